"""What a node of a study begins with."""

import io
import json

import timm
import torch
from rich.console import Console

from overpaint.progress import Progressing
from overpaint.records import read_manifest
from overpaint.run import run_study
from overpaint.study import read_study

STUDY = """\
study: folders
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 16, val: 8, test: 8}}
networks:
  source: {load: "timm:local-dir:theirs"}
"""


def test_a_folder_of_timms_lies_beside_the_study(tmp_path, monkeypatch):
    """Its path starts where the study's file lies, wherever the program was started."""
    place = tmp_path / "studies/theirs"
    place.mkdir(parents=True)
    model = timm.create_model("test_resnet", num_classes=3)
    torch.save(model.state_dict(), place / "pytorch_model.bin")
    config = {"architecture": "test_resnet", "num_classes": 3,
              "pretrained_cfg": {"input_size": [3, 96, 96], "num_classes": 3,
                                 "first_conv": "conv1", "classifier": "fc"}}  # fmt: skip
    (place / "config.json").write_text(json.dumps(config))
    file = tmp_path / "studies/study.yaml"
    file.write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    progress = Progressing(Console(file=io.StringIO(), soft_wrap=True))
    run_study(read_study(str(file)), tmp_path / "run", progress)
    made = read_manifest(tmp_path / "run/networks/source")
    assert len(made.facts["classes"]) == 3
    assert "weights" in made.inputs
