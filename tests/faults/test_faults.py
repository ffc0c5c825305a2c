"""A run that is killed or stopped anywhere, and run again, leaves what an unbroken run leaves.

A part of the series; `python tests/faults/series.py` carries out all of them.
"""

import os
import signal
import time
from pathlib import Path

import pytest
from harness import COMMAND, Warm, contents, difference, lay_out, of_session
from series import Bench, Trial

from overpaint.records.drafts import NAME


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with Warm() as warm:
        yield Bench(warm=warm, place=tmp_path_factory.mktemp("faults").resolve() / "place")


KILLS = range(4)


@pytest.mark.parametrize("index", KILLS)
def test_a_run_that_is_killed_at_a_file_operation_goes_on(bench, index):
    """SIGKILL just before a file is made, renamed or removed: all is as unbroken after a rerun."""
    number = bench.operations(30)[index :: len(KILLS)][index]
    assert bench.problems(Trial(faults=[("at_operation", number, int(signal.SIGKILL))])) == []


def test_a_run_that_is_killed_three_times_goes_on(bench):
    """Kills at seeded moments, one after the other."""
    faults = [bench.moment("suite", number) for number in range(3)]
    assert bench.problems(Trial(faults=faults)) == []


def test_a_run_that_is_killed_after_a_change_goes_on(bench):
    """Old artefacts are replaced: a kill in the middle leaves no half of either."""
    numbers = bench.operations(10, changed=True)
    trial = Trial(faults=[("at_operation", numbers[2], int(signal.SIGKILL))], changed=True)
    assert bench.problems(trial) == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_run_that_is_asked_to_stop_says_what_is_kept(bench, signum):
    """It ends with the signal's status, leaves no draft and no process, and can go on."""
    moment = bench.moment("stop", signum.name, signum=signum)
    assert bench.problems(Trial(faults=[moment])) == []
    [end] = bench.ends
    assert end.status == 128 + signum
    assert f"overpaint: stopped by {signum.name}: " in end.output


def test_a_long_computation_does_not_keep_a_run_from_stopping(bench, tmp_path):
    """Where the main thread does not look up, a thread ends the program within five seconds."""
    place = lay_out(tmp_path / "place")
    code = (
        "import os, signal, threading, time, re, sys\n"
        "from overpaint.cli import main, app\n"
        "from overpaint.cli import stopping\n"
        "@app.command()\n"
        "def compute():\n"
        "    stopping.keeps(lambda: 'the same command goes on')\n"
        "    from overpaint.records import whole_file\n"
        "    from pathlib import Path\n"
        "    with whole_file(Path('half.txt')) as draft:\n"
        "        draft.write_text('half')\n"
        "        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()\n"
        "        time.sleep(0.1)\n"
        "        import hashlib\n"
        "        hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)\n"
        "sys.argv = ['overpaint', 'compute']\n"
        "main()\n"
    )
    ended = bench.warm.run(place, code=code)
    assert ended.status == 143, ended.output
    assert "stopped by SIGTERM: the same command goes on" in ended.output
    assert ended.seconds < 5
    assert not [path for path in place.iterdir() if NAME.fullmatch(path.name)]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_jobs_end_with_the_run_that_started_them(bench, signum):
    """However the run ends, no process of it is left after a moment, and it can go on."""
    bench.begin(changed=False)
    process = bench.warm.start(bench.place, *COMMAND, "--jobs", "2")
    for _ in range(3000):
        if len(of_session(process)) > 1:
            break
        time.sleep(0.02)
    assert len(of_session(process)) > 1
    begin = time.monotonic()
    # Ctrl+C goes to all processes of a terminal
    (os.killpg if signum == signal.SIGINT else os.kill)(process, signum)
    status = bench.warm.wait(process)
    assert status == (-9 if signum == signal.SIGKILL else 128 + signum)
    assert time.monotonic() - begin < 5
    for _ in range(3000):  # a job that still imports sees only then that the run is gone
        if signum != signal.SIGKILL or not of_session(process):
            break
        time.sleep(0.02)
    assert of_session(process) == []
    output = bench.place.with_name("place.output").read_text()
    assert signum == signal.SIGKILL or "the same command" in output, output
    assert "Traceback" not in output


def _wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.02)
    raise AssertionError(path)


def test_of_two_runs_at_once_one_works_and_the_other_says_who_does(bench):
    """The second leaves at once with status 2, and the folder is that of one unbroken run."""
    unbroken = bench.first[1]
    bench.begin(changed=False)
    process = bench.warm.start(bench.place, *COMMAND)
    _wait_for(bench.out / ".overpaint.holder.json")
    other = bench.warm.run(bench.place, *COMMAND, output="other")
    assert other.status == 2, other.output
    assert "[folder-in-use]" in other.output
    assert f"process {process} on {os.uname().nodename}" in other.output
    assert bench.warm.wait(process) == 0
    assert difference(bench.out, unbroken) == []


def test_a_report_beside_a_run_damages_nothing(bench):
    """Reports are written again and again while a run works: each ends well or with one message."""
    unbroken = bench.first[1]
    bench.begin(changed=False)
    process = bench.warm.start(bench.place, *COMMAND)
    _wait_for(bench.out / "networks" / "tuned" / "manifest.json")
    for _ in range(3):
        ended = bench.warm.run(bench.place, "report", "out", output="other")
        assert "Traceback" not in ended.output, ended.output
        assert ended.status in (0, 2), ended.output
        assert ended.status == 0 or ended.output.count("\n") == 1, ended.output
    assert bench.warm.wait(process) == 0
    assert difference(bench.out, unbroken) == []


def test_a_run_in_a_folder_of_another_container_does_not_take_its_drafts_for_gone(tmp_path):
    """Process numbers of another machine say nothing: its drafts stay where no lock decides."""
    from overpaint.records.drafts import sweep

    elsewhere = tmp_path / ".tuned.pt.0123456789ab-1-1-00000000.draft"
    elsewhere.touch()
    assert sweep(tmp_path) == 0
    os.utime(elsewhere, (1, 1))
    assert sweep(tmp_path) == 1
    elsewhere.touch()
    assert sweep(tmp_path, alone=True) == 1


def test_nothing_of_a_trial_is_left_out_of_the_comparison(tmp_path):
    """The comparison itself sees a byte, a missing file and one more."""
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    before = contents(tmp_path)
    (tmp_path / "a").write_text("other")
    (tmp_path / "b").unlink()
    (tmp_path / ".c.draft").touch()
    assert difference(tmp_path, before) == ["missing: b", "more: .c.draft", "other bytes: a"]
