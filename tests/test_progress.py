"""What a run says while it works, where there is no terminal."""

import io
import threading
import time

import pytest
from rich.console import Console
from rich.progress import Progress

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
    """A stage that has ended is counted, what nobody planned is not: the whole stays what it was,
    and what is made after all of another kind is no longer waited for.
    """
    said = io.StringIO()
    telling = Progressing(Console(file=said, width=200))
    telling.plan = Plan({"networks": 2, "features": 1, "site.json": 1})
    assert telling.plan.words() == "2 networks, 1 feature, the report"
    for kind in ("networks", "networks", "renderings", "site.json"):
        telling.plan.begin(kind)
        with telling.stage(kind):
            time.sleep(0.02)
    counts = [line.partition("(")[2].partition(",")[0].rstrip(")") for line in
              said.getvalue().splitlines()]  # fmt: skip
    assert counts == ["1 of 4", "2 of 4", "3 of 4", "4 of 4"]


def test_several_that_are_made_together_are_counted_together():
    """As features of several networks are, in one pass: what it took is that of all."""
    plan = Plan({"features": 6})
    for _ in range(3):
        plan.begin("features", now=1.0)
    assert plan.outlook(now=2.0) == "0 of 6"
    plan.end(now=31.0)
    assert plan.outlook(now=31.0) == "3 of 6, about 30 s left"


def test_a_report_does_not_take_longer_where_trainings_do():
    """Long trainings tell of what runs networks, and nothing of what reads tables."""
    plan = Plan({"networks": 4, "site.json": 1})
    for number in range(4):
        plan.begin("networks", now=300.0 * number)
        plan.end(now=300.0 * number + 300.0)
    assert plan.outlook(now=1200.0) == "4 of 5, about 15 s left"


@pytest.mark.parametrize("made", [3, 5])
def test_time_left_follows_what_was_measured(made):
    """Of one kind alone: the mean of those that are made, times what is left."""
    plan = Plan({"networks": 10})
    for number in range(made):
        plan.begin("networks", now=7.0 * number)
        plan.end(now=7.0 * number + 7.0)
    assert plan.outlook(now=7.0 * made) == (
        f"{made} of 10, about {progress.duration(7.0 * (10 - made))} left"
    )


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_narrow_terminal_cuts_the_title_and_no_number(width):
    """The title first, then nothing: how many, how long and what the training says stand whole."""
    said = io.StringIO()
    console = Console(file=said, width=width, force_terminal=True, color_system=None)
    outlook, note = "12 of 36, about 13 min 12 s left", "epoch 10, loss 0.512"
    with Progress(*progress.columns_of(outlook, width), console=console, expand=True) as bar:
        title = "network fine_tuned.2: train on Bildmotive_Sammlung_Muller"
        task = bar.add_task(title, total=None, note="")
        bar.update(task, completed=100, total=4_000, note=note)
    last = next(line for line in reversed(said.getvalue().splitlines()) if outlook in line)
    assert note in last
    assert "network" in last
    assert (title in last) == (width == 200)
