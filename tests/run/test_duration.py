"""Duration: how long a study takes, reckoned by hand; and what a dry run tells of it."""

import io

import pytest
import yaml
from rich.console import Console

from overpaint.progress import Progressing
from overpaint.records import StudyFolder
from overpaint.run import run_study
from overpaint.run.duration import Speed, at_once, seconds_of, seconds_of_trainings
from overpaint.run.workspace import Workspace
from overpaint.study import Study, read_study

STUDY = """\
study: tiny
datasets:
  art: {kind: atelier, task: subjects, sizes: {train: 40, val: 20, test: 30}}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: art, recipe: mode_a, with: {epochs: 3}, repeats: 2}
  frozen: {from: tuned, fit: art, recipe: frozen, with: {epochs: 5}}
compare: [[source, tuned]]
pairwise: [art]
causes: false
render: {layers: [mixed3b, mixed4a], channels: most_changed(3), steps: 100, size: 256}
"""
SPEED = Speed(forth=1, training=10, drawing=0.5)


@pytest.fixture
def work(tmp_path):
    """A study of which nothing is made."""
    study = Study.model_validate(yaml.safe_load(STUDY))
    return Workspace(study, StudyFolder(tmp_path), Progressing(Console(quiet=True)), dry=True)


def test_trainings(work):
    """Pictures that are trained on in each epoch, those of val after each, and the scores."""
    tuned = 3 * (40 * 10 + 20 * 1) + 20 + 30
    frozen = 5 * (40 * 1 + 20 * 1) + 20 + 30
    expected = {"tuned": tuned, "tuned.2": tuned, "frozen": frozen}
    assert seconds_of_trainings(work, SPEED) == expected


def test_the_rest(work):
    """Each network passes a split once; a rendering of twice the side takes four times as long."""
    parts = seconds_of(work, SPEED)
    assert parts["trainings"] == 2 * 1310 + 350
    # The pair and the twin on both splits; the same three networks on test for the heat map.
    assert parts["comparisons"] == 3 * (40 + 30)
    assert parts["renderings"] == 2 * 3 * 2 * 100 * 0.5 * 4
    assert parts["causes"] == 0


def test_several_at_once():
    """No training begins before that of its parent has ended; no more run than are asked for."""
    seconds = {"a": 5, "b": 4, "c": 3, "d": 1}
    parents = {"b": "a", "c": "a"}
    assert at_once(seconds, parents, 1) == 13
    assert at_once(seconds, parents, 2) == 9
    assert at_once(seconds, parents, 8) == 9
    assert at_once({}, {}, 8) == 0


def test_a_dry_run_tells_the_lineage_and_the_time(tmp_path):
    """Of the paper's study too, whose collections are not there: as many as are published."""
    said = io.StringIO()
    progress = Progressing(Console(file=said, soft_wrap=True))
    roots = [f"datasets.{name}.root={tmp_path}" for name in ("rasta", "paintings", "iconart")]
    run_study(read_study("faper2020", roots), tmp_path / "run", progress, dry=True)
    lines = said.getvalue().splitlines()
    assert "lineage    mode_a ×2: mode_a on rasta" in lines
    assert "lineage      paintings_f_of_mode_a: mode_f on paintings" in lines
    (time,) = [line for line in lines if line.startswith("time  ")]
    # Three trainings of 200 epochs over 66,549 pictures alone take 9.6 hours at 1,150 a second.
    assert 10 < int(time.split("about ")[1].split(" h")[0]) < 20
    assert "on 8 with --jobs 8" in time
    assert "far longer without a GPU" in time
    assert sum(line.startswith("missing  datasets/") for line in lines) == 3
