"""What a run says while it works, where there is no terminal."""

import io
import threading
import time

import pytest
from rich.console import Console

from overpaint import progress
from overpaint.progress import Progressing


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
