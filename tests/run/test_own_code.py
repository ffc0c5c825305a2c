"""Own networks in a study: a function makes them, and runs only where the user has said so."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

import overpaint as op
from overpaint.errors import NetworkError, OverpaintError, StudyError
from overpaint.networks import drawn_like
from overpaint.progress import Progressing
from overpaint.records import StudyFolder, file_digest, read_manifest
from overpaint.run import run_study
from overpaint.study import read_study

CODE = """\
from pathlib import Path

import torch
from torch import nn

import helper
import overpaint

Path(__file__).with_name("imported").write_text("yes")


class Mine(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
        self.two = nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU())
        self.three = nn.Sequential(nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(12, classes)

    def forward(self, pictures):
        maps = self.three(self.two(self.one(pictures)))
        return {"logits": self.classifier(self.pool(maps).flatten(1))}


def small():
    return overpaint.wrap(Mine(5), preprocessing={"size": helper.SIZE})


def broken():
    raise ValueError("no luck")


def nothing():
    return 3
"""

STUDY = """\
study: own
datasets:
  colours: {kind: folder, root: pictures}
networks:
  mine: {load: mynets:small, weights: random}
  tuned: {from: mine, fit: colours, recipe: mode_a, with: {epochs: 1}}
  scratch: {load: mynets:small, fit: colours, recipe: from_scratch, with: {epochs: 1}}
compare: [[mine, tuned], [scratch.init, scratch]]
maximal_images: 4
render: {layers: [two], channels: [1], steps: 2, size: 32}
"""


@pytest.fixture
def place(pictures) -> Path:
    """A folder with a study, its code beside it, and pictures."""
    folder = pictures.parent
    (folder / "own.yaml").write_text(STUDY)
    (folder / "mynets.py").write_text(CODE)
    (folder / "helper.py").write_text("SIZE = 32\n")
    return folder


def carry_out(place, text=STUDY, **options):
    (place / "own.yaml").write_text(text)
    said = io.StringIO()
    progress = Progressing(Console(file=said, soft_wrap=True))
    study = read_study(str(place / "own.yaml"))
    outcome = run_study(study, place / "run", progress, explain=True, **options)
    return outcome, said.getvalue()


def kept(said: str) -> set[str]:
    return {line.split()[1] for line in said.splitlines() if line.startswith("kept")}


def test_a_study_runs_nothing_that_nobody_allowed(place):
    """Without the flag a study that names a function is refused, and nothing of it is imported."""
    with pytest.raises(StudyError, match="--allow-code") as caught:
        carry_out(place)
    assert caught.value.slug == "code-not-allowed"
    with pytest.raises(StudyError):
        op.load("mynets:small")
    carry_out(place, dry=True)
    done = subprocess.run(
        [sys.executable, "-m", "overpaint", "run", "own.yaml"],
        capture_output=True, text=True, check=False, cwd=place,
    )  # fmt: skip
    assert done.returncode == 2
    assert "[code-not-allowed]" in done.stderr
    assert not (place / "imported").exists()
    assert not (place / "run").exists()


def test_a_study_of_an_own_network(place):
    """An own network is drawn, trained with a new head, compared, rendered, and found again."""
    outcome, _ = carry_out(place, allow_code=True)
    assert outcome.failures == {}
    folder = StudyFolder(place / "run")
    made = read_manifest(folder.network("mine"))
    assert made.facts["architecture"] == "mynets:small"
    assert made.facts["code"] == made.inputs["code"] == file_digest(place / "mynets.py")
    assert made.facts["layers"] == ["one", "two", "three"]
    assert len(made.facts["classes"]) == 5
    assert read_manifest(folder.network("tuned")).facts["classes"] == ["blue", "red"]
    assert (folder.comparison("scratch.init", "scratch") / "layers.parquet").is_file()
    assert (folder.renderings("tuned") / "two" / "1.png").is_file()

    _, said = carry_out(place, allow_code=True)
    assert "made  " not in said
    assert "networks/tuned" in kept(said)

    (place / "imported").unlink()
    op.report(place / "run")
    assert not (place / "imported").exists()

    for flag, status in ((), 2), (("--allow-code",), 0):
        command = [sys.executable, "-m", "overpaint", "render", "run/networks/tuned", "two:1"]
        options = ["--steps", "2", "--size", "32", *flag]
        done = subprocess.run([*command, *options], cwd=place, capture_output=True, check=False)
        assert done.returncode == status
    assert (place / "renderings/two/1.png").is_file()

    with pytest.raises(StudyError):
        op.load(str(folder.network("tuned")))
    tuned = op.load(str(folder.network("tuned")), code=place)
    images = op.dataset(place / "pictures").split("test")
    with torch.no_grad():
        logits = tuned.eval()(torch.rand(len(images), 3, 32, 32))
    assert logits.shape == (len(images), 2)
    assert tuned.classes == ("blue", "red")


def test_other_code_makes_the_network_and_its_children_anew(place):
    """A changed source is told, and what follows from it is made again."""
    carry_out(place, allow_code=True)
    (place / "mynets.py").write_text(CODE.replace("self.two(self.one(pictures))", "self.two(self.one(pictures)) * 2"))  # fmt: skip # noqa: E501
    _, said = carry_out(place, allow_code=True)
    lines = said.splitlines()
    assert any(line.startswith("made  networks/mine: code is another") for line in lines)
    assert any(line.startswith("made  networks/tuned: parent is another") for line in lines)
    (place / "mynets.py").write_text(CODE)
    with pytest.warns(UserWarning, match="has changed"):
        op.load(str(place / "run" / "networks" / "mine"), code=place)


def test_random_weights_are_those_of_the_seed(place):
    """The function is called anew for each draw: a seed gives its weights, another others."""
    first, same, other = (op.load("mynets:small", seed=seed, code=place) for seed in (1, 1, 2))
    assert first.digest == same.digest != other.digest
    assert first.body is not same.body
    child = drawn_like(first, classes=("a", "b", "c"), seed=1)
    assert child.classes == ("a", "b", "c")
    assert child.body.classifier.out_features == 3
    np.testing.assert_array_equal(
        first.tensors()["one.0.weight"].numpy(), child.tensors()["one.0.weight"].numpy()
    )


def test_weights_of_a_file(place):
    """A file of weights is put into what the function makes."""
    network = op.load("mynets:small", seed=7, code=place)
    torch.save(network.tensors(), place / "seven.pth")
    filled = op.load("mynets:small", weights=place / "seven.pth", seed=0, code=place)
    assert filled.digest == network.digest


@pytest.mark.parametrize(
    ("name", "slug", "said"),
    [
        ("mynets:broken", "code-failed", r"ValueError: no luck \(.*mynets.py, line 31\)"),
        ("mynets:nothing", "no-code", "gives a int"),
        ("mynets:nobody", "no-code", "no function 'nobody'"),
        ("nowhere.inside:small", "no-code", "no Python file for 'nowhere.inside'"),
        ("json:loads", "no-code", "loaded already"),
    ],
)
def test_code_that_makes_no_network(place, name, slug, said):
    """What is wrong with the code is told with its line, without a traceback."""
    (place / "json.py").write_text("")
    with pytest.raises(NetworkError, match=said) as caught:
        op.load(name, code=place)
    assert caught.value.slug == slug
    assert str(place) not in sys.path


def test_two_studies_may_call_their_code_the_same(place, tmp_path):
    """Code beside one study is not taken for that beside another."""
    assert op.load("mynets:small", code=place).preprocessing.size == 32
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mynets.py").write_text(CODE)
    (elsewhere / "helper.py").write_text("SIZE = 48\n")
    assert op.load("mynets:small", code=elsewhere).preprocessing.size == 48


def test_a_wrapped_module_is_not_trained_by_a_study(place):
    """Of a module that was wrapped in Python nobody knows how to make another."""
    wrapped = op.wrap(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()),
                      preprocessing={"size": 32})  # fmt: skip
    with pytest.raises(OverpaintError, match="was wrapped") as caught:
        drawn_like(wrapped, classes=("a", "b"), seed=0)
    assert caught.value.slug == "no-code"
