"""The room that a run will need: told before, within a factor of two, and refused where missing."""

import io
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from overpaint.errors import MachineError
from overpaint.progress import Progressing
from overpaint.records import StudyFolder
from overpaint.run import room as module
from overpaint.run import run_study
from overpaint.run.room import room
from overpaint.run.workspace import Workspace
from overpaint.study import read_study

STUDY = """\
study: tiny
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 24, val: 8, test: 16}}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: photographs, recipe: mode_a, with: {epochs: 1}}
compare: [[source, tuned]]
maximal_images: 8
render: {layers: [mixed4b], channels: most_changed(2), steps: 2, size: 32}
"""


def carry_out(folder: Path, *overrides: str, dry: bool = False) -> str:
    """Run the study into a folder; returns what was said."""
    said, file = io.StringIO(), folder.parent / "study.yaml"
    file.write_text(STUDY)
    progress = Progressing(Console(file=said, soft_wrap=True, width=500))
    run_study(read_study(str(file), overrides), folder, progress, explain=dry, dry=dry)
    return said.getvalue()


def needs(folder: Path, *overrides: str) -> int:
    """What a run into a folder is reckoned to need."""
    file = folder.parent / "study.yaml"
    file.write_text(STUDY)
    quiet = Progressing(Console(quiet=True))
    work = Workspace(read_study(str(file), overrides), StudyFolder(folder), quiet, dry=True)
    return sum(room(work).values())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder that a run has filled, and what it was reckoned to need before."""
    folder = tmp_path_factory.mktemp("room") / "run"
    reckoned = needs(folder)
    carry_out(folder)
    return folder, reckoned


def test_the_room_is_reckoned_within_a_factor_of_two_and_not_too_small(run):
    """What a run leaves, in blocks of the disk, is at least half of what was reckoned, and fits."""
    folder, reckoned = run
    listed = subprocess.run(["du", "-sk", str(folder)], check=True, capture_output=True)  # noqa: S607
    takes = 1024 * int(listed.stdout.split()[0])
    assert takes <= reckoned <= 2 * takes


def test_a_run_that_is_complete_needs_nothing(run):
    """Nothing is asked for, so that a full disk is no reason to refuse it."""
    assert needs(run[0]) == 0


def test_what_is_added_is_all_that_is_reckoned(run):
    """Another network asks for its weights and nothing else of what lies there."""
    other = "networks.other={from: source, fit: photographs, recipe: frozen, with: {epochs: 1}}"
    assert 500_000 < needs(run[0], other) < 8_000_000


def test_missing_room_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    """The message says what is needed, for what, and what is free; nothing was begun."""
    monkeypatch.setattr(module, "free_at", lambda _: 1_000_000)
    with pytest.raises(
        MachineError, match=r"needs about [\d.]+ MB .*the report.* has 1.0 MB left"
    ) as e:
        carry_out(tmp_path / "run")
    assert e.value.slug == "no-space"
    assert not (tmp_path / "run" / "networks").exists()


def test_a_dry_run_says_how_much_room_is_needed(tmp_path, monkeypatch):
    """Also where it is missing, and then it is no error: nothing would be written."""
    assert "are free\n" in carry_out(tmp_path / "run", dry=True)
    monkeypatch.setattr(module, "free_at", lambda _: 1_000_000)
    said = carry_out(tmp_path / "run", dry=True)
    assert "1.0 MB are free: NOT ENOUGH" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "least"),
    [
        ("datasets.photographs.sizes={train: 9000, val: 8, test: 16}", 9_000 * 704 * 4),
        ("networks.tuned.repeats=100", 100 * 159_000 * 8),
        ("render.size=1024", 4 * 1024**2 * 3),
        ("datasets.photographs.cache=true", 48 * 70**2 * 3),
        ("compare=[{pair: [source, tuned], reduction: flattened}]", 2 * 16 * 24 * 48**2),
    ],
)
def test_each_thing_that_grows_is_reckoned(tmp_path, override, least):
    """Pictures, networks, renderings, decoded pictures and whole maps each ask for more."""
    assert needs(tmp_path / "run", override) - needs(tmp_path / "run") > 0.8 * least
