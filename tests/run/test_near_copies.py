"""Near copies in two splits: found by a run, remembered, and shown on the page of the data."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from overpaint.progress import Progressing
from overpaint.records import DatasetFacts, StudyFolder, facts_of, read_manifest
from overpaint.run import run_study
from overpaint.study import read_study

STUDY = """\
study: copies
datasets: {art: {kind: folder, root: art}}
networks: {source: {load: inception_small, weights: random}}
"""


@pytest.fixture
def place(tmp_path) -> Path:
    """Twelve pictures of two classes in three splits, one of test a smaller JPEG of one of train,
    and one of val the very same file as one of train.
    """
    pictures = np.random.default_rng(0)
    for number in range(12):
        split = ("train", "train", "val", "test")[number % 4]
        file = tmp_path / f"art/{split}/{'ab'[number // 6]}/{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        blocks = pictures.integers(0, 255, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((160, 120), Image.Resampling.BICUBIC).save(file)
    with Image.open(tmp_path / "art/train/a/0.png") as first:
        first.resize((120, 90)).save(tmp_path / "art/test/a/anew.jpg", quality=80)
    same = (tmp_path / "art/train/a/1.png").read_bytes()
    (tmp_path / "art/val/a/same.png").write_bytes(same)
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path


def run(place: Path) -> str:
    said = io.StringIO()
    study = read_study(str(place / "study.yaml"))
    run_study(study, place / "run", Progressing(Console(file=said, soft_wrap=True)))
    return said.getvalue()


def found(place: Path) -> list[tuple[str, str, bool]]:
    facts = facts_of(read_manifest(StudyFolder(place / "run").dataset("art")), DatasetFacts)
    return [(row.first, row.second, row.near) for row in facts.duplicates]


def test_a_run_finds_near_copies_and_remembers_them(place, monkeypatch):
    said = run(place)
    assert found(place) == [
        ("train/a/1.png", "val/a/same.png", False),
        ("train/a/0.png", "test/a/anew.jpg", True),
    ]
    assert "nearly the same picture stands in train and test" in said
    page = (place / "run/site/data.html").read_text()
    assert "Nearly the same in two splits of art: 1 picture" in page
    assert "In two splits of art: 1 picture" in page
    monkeypatch.setattr("overpaint.run.near_copies.families", None)  # not asked a second time
    run(place)
    monkeypatch.undo()
    (place / "art/test/a/anew.jpg").unlink()
    run(place)
    assert found(place) == [("train/a/1.png", "val/a/same.png", False)]
    page = (place / "run/site/data.html").read_text()
    assert "or cut at its edges does either" in page


def test_what_was_not_sought_is_told(place, monkeypatch):
    """Without the library nothing is claimed, and with it the copies are found later."""
    monkeypatch.setattr("overpaint.run.near_copies.can_hash", lambda: False)
    run(place)
    assert [near for *_, near in found(place)] == [False]
    assert "were not sought" in (place / "run/site/data.html").read_text()
    monkeypatch.undo()
    run(place)
    assert [near for *_, near in found(place)] == [False, True]


def test_a_copy_is_named_once(place):
    """Two files of test are the same to the byte, and nearly one of train: one pair is exact."""
    twin = (place / "art/test/a/anew.jpg").read_bytes()
    (place / "art/val/a/twin.jpg").write_bytes(twin)
    run(place)
    named = [second for _, second, _ in found(place)]
    assert len(named) == len(set(named)) == 3
