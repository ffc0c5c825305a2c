"""A short stretch of the fuzzing that `fuzz.py` does for as long as one wants."""

import os
import signal

import fuzz
from fuzz import Door, changed, failures


def test_nothing_but_messages_comes_of_changed_files():
    """For 20 seconds each door answers with a result or a message of ours, in bounds."""
    assert list(failures(20, seed=3)) == []


def test_a_library_that_ends_its_process_is_a_failure_like_others(tmp_path, monkeypatch):
    """It is told with the file that did it, and the files after it are tried all the same."""
    end = Door(
        name="end",
        seeds=(b"letters",),
        ending="txt",
        opened=lambda path: os.kill(os.getpid(), signal.SIGKILL),
    )
    monkeypatch.setattr(fuzz, "KEPT", tmp_path)
    monkeypatch.setattr(fuzz, "doors", lambda: [end])
    faults = failures(60, seed=5)
    for number in range(2):
        assert next(faults) == f"end 5-{number}: the process ended by signal 9"
        assert (tmp_path / f"end-5-{number}.txt").read_bytes() == changed(end, 5, number)
    faults.close()
