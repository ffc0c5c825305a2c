"""Full disks and forbidden places: one message, and the same command finishes to the same bytes."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import COMMAND, Ended, Warm, contents, difference, lay_out

MAIN = "from overpaint.cli import main; main()"

UNESTIMATED = "import overpaint.run as run; run.check_room = lambda *_: None\n"
"""The run does not ask first whether there is room, so that it meets the end of it anywhere."""

AS_NOBODY = "import os; os.setgid(65534); os.setuid(65534)\n"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="what a Unix system refuses")

as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounts and other users need root"
)


@pytest.fixture(scope="module")
def warm():
    """The process that trials are forked from."""
    with Warm() as process:
        yield process


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder that holds the study, open to all."""
    folder = lay_out(tmp_path_factory.mktemp("full") / "place")
    for above in (folder, *folder.parents[:3]):
        if above.stat().st_uid == os.geteuid():
            above.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def unbroken(warm, place):
    """What a run leaves that nothing happens to."""
    ended = warm.run(place, *COMMAND)
    assert ended.status == 0, ended.output
    left = contents(place / "out")
    left["bytes"] = str(sum(path.stat().st_size for path in (place / "out").rglob("*")))
    shutil.rmtree(place / "out")
    return left


@contextmanager
def disk(folder: Path, options: str) -> Iterator[None]:
    """A small file system at a folder, as long as the block lasts; skips where none may be had."""
    folder.mkdir(exist_ok=True)
    try:
        mount("-t", "tmpfs", "-o", options, "none", str(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        folder.rmdir()
        pytest.skip(f"no file system can be mounted: {error}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607
        folder.rmdir()


def mount(*arguments: str) -> None:
    """Have the system mount something."""
    subprocess.run(["mount", *arguments], check=True)  # noqa: S607


def remount(folder: Path, options: str) -> None:
    """Change what a small file system allows."""
    mount("-o", f"remount,{options}", str(folder))


def refusal(ended: Ended, slug: str) -> str:
    """The one message of a run that the machine refused; anything else fails the test."""
    assert "Traceback" not in ended.output, ended.output
    assert ended.status == 2, ended.output
    messages = [line for line in ended.output.splitlines() if line.startswith("overpaint: ")]
    assert len(messages) == 1, ended.output
    assert messages[0].endswith(f"[{slug}]"), ended.output
    assert ".draft" not in messages[0]
    assert not ended.children
    return messages[0]


def finished(warm: Warm, place: Path, unbroken: dict[str, str]) -> None:
    """The same command ends well, with every file as an unbroken run leaves it and none more."""
    ended = warm.run(place, *COMMAND)
    assert ended.status == 0, ended.output
    expected = {name: entry for name, entry in unbroken.items() if name != "bytes"}
    assert difference(place / "out", expected) == []


SHARES = (0.004, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.3, 0.5, 0.7, 0.9)


@as_root
@pytest.mark.parametrize("share", SHARES)
def test_a_full_disk_is_one_message_and_with_room_the_run_ends_as_ever(
    warm, place, unbroken, share
):
    """A disk of this share of what a run leaves fills up; the rerun with room leaves the same."""
    size = int(int(unbroken["bytes"]) * share)
    with disk(place / "out", f"size={size}"):
        ended = warm.run(place, *COMMAND, code=UNESTIMATED + MAIN)
        message = refusal(ended, "no-space")
        assert re.search(r"no room to write out\b", message), message
        assert "left" in message
        assert "What is finished stays as it is" in message
        remount(place / "out", "size=1g")
        finished(warm, place, unbroken)


@as_root
def test_a_disk_without_inodes_says_that_it_takes_no_further_file(warm, place, unbroken):
    """Free bytes are told beside the inodes that are used up."""
    with disk(place / "out", "size=1g,nr_inodes=150"):
        message = refusal(warm.run(place, *COMMAND), "no-space")
        assert "inodes" in message
        remount(place / "out", "nr_inodes=0")
        finished(warm, place, unbroken)


@pytest.mark.parametrize("limit", [300, 1_500, 6_000, 9_000, 40_000])
def test_a_limit_on_file_sizes_is_named_with_its_size(warm, place, unbroken, limit):
    """What is larger than the limit is named, and without the limit the run ends as ever."""
    try:
        ended = warm.run(place, *COMMAND, faults=[("file_size", limit)])
        message = refusal(ended, "too-large")
        assert "ulimit -f" in message
        finished(warm, place, unbroken)
    finally:
        shutil.rmtree(place / "out", ignore_errors=True)
