"""A study from end to end: the folder that it leaves, twice the same, and nothing done twice."""

import filecmp
import io
import shutil
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from site_walk import walk

from overpaint.errors import StudyError
from overpaint.progress import Progressing
from overpaint.records import ChannelRow, LayerRow, StudyFolder, read_json, read_rows
from overpaint.run import run_study
from overpaint.study import read_study

STUDY = """\
study: tiny
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 40, val: 20, test: 30}}
  subjects: {kind: atelier, task: subjects, sizes: {train: 40, val: 20, test: 30}}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: photographs, recipe: mode_a, with: {epochs: 1}}
  scratch: {load: inception_small, fit: photographs, recipe: from_scratch, with: {epochs: 1}}
  double: {from: tuned, fit: subjects, recipe: frozen, with: {epochs: 1}}
compare:
  - [source, tuned]
  - [scratch.init, scratch]
  - {pair: [tuned, double], on: subjects/test}
maximal_images: 8
render: {layers: [mixed4b], channels: most_changed(2), steps: 3, size: 48}
"""


def carry_out(folder: Path, *overrides: str) -> str:
    """Run the study into a folder; returns what was said."""
    file = folder.parent / "study.yaml"
    file.write_text(STUDY)
    said = io.StringIO()
    study = read_study(str(file), overrides)
    run_study(study, folder, Progressing(Console(file=said, soft_wrap=True)))
    return said.getvalue()


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("one") / "run"
    carry_out(folder)
    return folder


def test_the_folder(done):
    """Every artefact of the design is there, with the columns that it promises."""
    folder = StudyFolder(done)
    for name in ("source", "tuned", "scratch.init", "scratch", "double"):
        assert (folder.network(name) / "weights.safetensors").is_file()
    for name in ("tuned", "scratch", "double"):
        for file in ("history.parquet", "scores.json", "predictions.parquet"):
            assert (folder.network(name) / file).is_file()
    place = folder.comparison("source", "tuned")
    layers = read_rows(place / "layers.parquet", LayerRow)
    assert [row.position for row in layers] == list(range(8))
    assert all(0 <= row.cka <= 1 and row.n_images == 30 for row in layers)
    channels = read_rows(place / "channels.parquet", ChannelRow)
    assert len(channels) == sum(row.channels for row in layers)
    maximal = pd.read_parquet(place / "maximal.parquet")
    assert maximal["rank"].max() == 8
    assert (maximal["value"] > 0).all()
    assert len(list(folder.renderings("source").glob("mixed4b/*.png"))) == 2
    assert folder.site.joinpath("index.html").is_file()


def test_a_network_and_itself_do_not_differ(done):
    """Frozen layers have the same features before and after: CKA 1, full overlap, no distance."""
    place = StudyFolder(done).comparison("tuned", "double")
    for row in read_rows(place / "layers.parquet", LayerRow):
        assert row.cka == pytest.approx(1, abs=1e-12)
    channels = pd.read_parquet(place / "channels.parquet")
    alive = channels[channels["n_before"] == 8]
    assert len(alive) > 100
    assert (alive["overlap"] == 1).all()
    assert (pd.read_parquet(place / "weights.parquet")["status"] == "identical").all()


def test_a_second_run_does_nothing(done):
    """What is there already is not made again, and torch is not even imported."""
    times = {path: path.stat().st_mtime_ns for path in done.rglob("*") if path.name != "study.yaml"}
    said = carry_out(done)
    again = {path: path.stat().st_mtime_ns for path in done.rglob("*") if path.name != "study.yaml"}
    changed = {p.relative_to(done).parts[0] for p in times if p.is_file() and times[p] != again[p]}
    assert times.keys() == again.keys()
    assert changed <= {"datasets"}  # only the stamps of a look at the pictures
    assert "train" not in said
    assert "report:" in said


def test_two_runs_give_the_same_bytes(done, tmp_path):
    """The same seed on the same machine gives identical artefacts, report and all."""
    carry_out(tmp_path / "run")
    ours = sorted(p.relative_to(done) for p in done.rglob("*") if p.is_file())
    theirs = sorted(
        p.relative_to(tmp_path / "run") for p in (tmp_path / "run").rglob("*") if p.is_file()
    )
    assert ours == theirs
    # Where the study's file lies, and when files were written, differs; nothing else does.
    own = {"stamps.parquet", "study.yaml"}
    names = [str(p) for p in ours if p.name not in own and p.parts[0] != "datasets"]
    _, mismatch, errors = filecmp.cmpfiles(done, tmp_path / "run", names, shallow=False)
    assert not errors
    assert [name for name in mismatch if name not in ("site.json", "site/index.html")] == []


def test_it_goes_on_where_it_was(done, tmp_path):
    """What is missing is made again, the rest stays; the result is the same."""
    copy = tmp_path / "run"
    shutil.copytree(done, copy)
    shutil.rmtree(copy / "comparisons")
    shutil.rmtree(copy / "networks" / "double")
    said = carry_out(copy)
    assert "network double: train" in said
    assert "network tuned: train" not in said
    for name in (
        "networks/double/weights.safetensors",
        "comparisons/source--tuned/channels.parquet",
    ):
        assert (copy / name).read_bytes() == (done / name).read_bytes()


def test_a_changed_setting_reaches_what_depends_on_it(done, tmp_path):
    """A changed recipe trains that network and its children anew, and nothing else."""
    copy = tmp_path / "run"
    shutil.copytree(done, copy)
    said = carry_out(copy, "networks.tuned.with.head_lr=0.02")
    assert "network tuned: train" in said
    assert "network double: train" in said
    assert "network scratch: train" not in said


def test_a_layer_that_no_network_has(tmp_path):
    """A typo in a layer to draw is found before anything is trained."""
    with pytest.raises(StudyError, match="did you mean 'mixed4b'") as caught:
        carry_out(tmp_path / "run", "render.layers=[mixed4bb]")
    assert caught.value.slug == "unknown-layer"
    assert not (tmp_path / "run" / "networks").exists()


def test_the_report_opens_from_disk(done):
    """In a real browser: no error, no request outside the folder, every link resolves."""
    assert walk(done / "site") == []


def test_manifests_tell_what_a_thing_was_made_from(done):
    """Inputs by digest, settings, seed and versions stand beside every artefact."""
    made = read_json(done / "networks/double/manifest.json")
    parent = read_json(done / "networks/tuned/manifest.json")
    assert made["inputs"]["parent"] == parent["facts"]["weights"]
    assert made["settings"]["recipe"]["train"] == "head"
    assert made["facts"]["recipe"]["name"] == "frozen"
    assert {"torch", "numpy", "overpaint"} <= made["versions"].keys()
