"""Claims: one part of the work is one process's, and a dead process has none."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from overpaint.records.claims import Claims


def test_a_part_is_claimed_once_and_again_after_it_was_let_go(tmp_path):
    """Two holders never have one part at a time; leaving the block lets everything go."""
    with Claims(tmp_path) as ours, Claims(tmp_path) as theirs:
        assert ours.take("0")
        assert not theirs.take("0")
        ours.release("0")
        assert theirs.take("0")
        assert ours.take("1")
    with Claims(tmp_path) as later:
        assert later.take("0")
        assert later.take("1")
    assert list(tmp_path.iterdir()) == []


def test_another_thread_may_let_go(tmp_path):
    """Who writes what was claimed is a thread of its own."""
    with Claims(tmp_path) as ours, Claims(tmp_path) as theirs, ThreadPoolExecutor(1) as pool:
        assert ours.take("0")
        pool.submit(ours.release, "0").result()
        assert theirs.take("0")


def test_an_exception_lets_go(tmp_path):
    """A process that stops with an error does not keep others waiting."""
    with pytest.raises(ZeroDivisionError), Claims(tmp_path) as ours:
        ours.take("0")
        _ = 1 / 0
    with Claims(tmp_path) as later:
        assert later.take("0")


HOLD = """\
import sys, time
from pathlib import Path
import pytest

from overpaint.records.claims import Claims
claims = Claims(Path(sys.argv[1]))
print(claims.take("0"), flush=True)
time.sleep(60)
"""


def test_a_killed_process_has_no_claims(tmp_path):
    """What a killed process had claimed is free at once, though its file is still there."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "True\n"
    with Claims(tmp_path) as ours:
        assert not ours.take("0")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert (tmp_path / "0.lock").exists()
        assert ours.take("0")
