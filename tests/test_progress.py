"""What a run says while it works, where there is no terminal."""

import io
import threading
import time

import pytest
from rich.console import Console

from overpaint import progress
from overpaint.progress import Plan, Progressing


def test_a_long_stage_says_now_and_then_how_it_stands(monkeypatch):
    """How far, how long, how much is left; also of a stage that tells nothing of itself."""
    monkeypatch.setattr(progress, "SILENCE", 0.05)
    said = io.StringIO()
    telling = Progressing(Console(file=said, width=200))
    with telling.stage("report"):
        time.sleep(0.15)
    with telling.stage("train") as advance:
        advance(1200, 4800, "epoch 3, loss 0.512")
        time.sleep(0.15)
    lines = said.getvalue().splitlines()
    assert lines[0].startswith("  report: 0.")
    assert lines[0].endswith(" so far")
    [first, *_] = [line for line in lines if line.startswith("  train: ")]
    assert "1,200 of 4,800, epoch 3, loss 0.512, about 0." in first
    assert "left, 0." in first
    assert lines[-1].startswith("train  0.")


def test_a_short_stage_says_one_line_and_no_thread_stays(monkeypatch):
    """Nor does one stay of a stage that failed."""
    said, before = io.StringIO(), threading.active_count()
    telling = Progressing(Console(file=said, width=200))
    with telling.stage("short"):
        pass
    with pytest.raises(ValueError, match="no"), telling.stage("bad"):
        raise ValueError("no")
    assert len(said.getvalue().splitlines()) == 1
    assert threading.active_count() == before


def test_a_planned_run_says_with_each_stage_what_is_left():
    """What was planned is counted; what nobody planned is one more."""
    said = io.StringIO()
    telling = Progressing(Console(file=said, width=200))
    telling.plan = Plan({"networks": 2, "site.json": 1})
    assert telling.plan.words() == "2 networks, the report"
    for kind in ("networks", "networks", "renderings", "site.json"):
        telling.plan.begin(kind)
        with telling.stage(kind):
            time.sleep(0.02)
    counts = [line.partition("(")[2].partition(",")[0].rstrip(")") for line in
              said.getvalue().splitlines()]  # fmt: skip
    assert counts == ["0 of 3", "1 of 3", "2 of 4", "the last of 4"]


@pytest.mark.parametrize("made", [3, 5])
def test_time_left_follows_what_was_measured(made):
    """Of one kind alone: the mean of those that are made, times what is left."""
    plan = Plan({"networks": 10})
    for number in range(made + 1):
        plan.begin("networks", now=7.0 * number)
    assert plan.outlook(now=7.0 * made) == (
        f"{made} of 10, about {progress.duration(7.0 * (10 - made))} left"
    )
