"""What `recipe: auto` takes, and where it is told."""

import io
import shutil

import pytest
from rich.console import Console

from overpaint.errors import StudyError
from overpaint.networks import build
from overpaint.networks.attention import attention_share
from overpaint.progress import Progressing
from overpaint.records import read_manifest
from overpaint.run import run_study
from overpaint.study import read_study

STUDY = """\
study: auto
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 16, val: 8, test: 8}}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: photographs, recipe: auto, with: {epochs: 2, batch_size: 8}}
maximal_images: 4
"""


def carry_out(folder, text=STUDY, *, dry=False) -> str:
    file = folder.parent / "study.yaml"
    file.write_text(text)
    said = io.StringIO()
    run_study(
        read_study(str(file)), folder, Progressing(Console(file=said, soft_wrap=True)),
        explain=True, dry=dry,
    )  # fmt: skip
    return said.getvalue()


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auto") / "run"
    return folder, carry_out(folder)


def test_auto_says_what_it_took_and_why(done):
    """The run, the manifest and the network's page name the preset and the reason."""
    folder, said = done
    why = "no transformer, and fewer than 1,000 pictures: 16"
    assert f"network tuned: auto takes lp_ft: {why}" in said
    manifest = read_manifest(folder / "networks/tuned")
    assert manifest.facts["recipe"]["name"] == "lp_ft"
    assert manifest.facts["recipe"]["auto"] == why
    assert manifest.settings["recipe"]["optimiser"] == "adamw"
    page = (folder / "site/networks/tuned.html").read_text()
    assert f"by the recipe lp_ft, which auto took: {why}." in page


def test_what_auto_took_is_kept(done, tmp_path):
    """A second run makes nothing, a dry run says so too, and naming the preset is the same."""
    folder = shutil.copytree(done[0], tmp_path / "run")
    for dry in (False, True):
        assert "kept  networks/tuned" in carry_out(folder, dry=dry)
    named = STUDY.replace("recipe: auto", "recipe: lp_ft")
    assert "kept  networks/tuned" in carry_out(folder, named, dry=True)


def test_a_dry_run_that_cannot_tell(tmp_path):
    """Before anything is there, a dry run says that the network is to be made."""
    assert "to make  networks/tuned: it is not there" in carry_out(tmp_path / "run", dry=True)


def test_an_optimiser_that_there_is_not(tmp_path):
    """It is refused with the nearest before anything is trained."""
    text = STUDY.replace("recipe: auto", "recipe: mode_a").replace(
        "{epochs", "{optimiser: adamv, epochs"
    )
    with pytest.raises(StudyError, match="adamw") as caught:
        carry_out(tmp_path / "run", text)
    assert caught.value.slug == "unknown-optimiser"
    assert not (tmp_path / "run/networks").exists()


@pytest.mark.parametrize(
    ("architecture", "least", "most"),
    [
        ("timm:test_vit", 0.2, 0.5), ("inception_small", 0, 0), ("timm:test_resnet", 0, 0),
        ("timm:resnet18", 0, 0), ("torchvision:vit_b_16", 0.2, 0.5),
    ],
)  # fmt: skip
def test_attention_tells_transformers(architecture, least, most):
    """A third of a transformer is attention, nothing of a convolutional network."""
    network = build(architecture, classes=("a", "b"), seed=0)
    assert least <= attention_share(network.body) <= most
