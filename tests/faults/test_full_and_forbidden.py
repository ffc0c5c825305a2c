"""Full disks and forbidden places: one message, and the same command finishes to the same bytes."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from harness import COMMAND, Ended, Warm, contents, difference, lay_out
from PIL import Image

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
def place():
    """A folder that holds the study, below folders that are open to all: pytest's own are not."""
    with TemporaryDirectory(prefix="overpaint-") as above:
        Path(above).chmod(0o755)
        folder = lay_out(Path(above) / "place")
        folder.chmod(0o755)
        yield folder


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


@pytest.mark.parametrize("limit", [12, 20])
def test_too_many_open_files_cost_no_picture_and_no_result(warm, place, unbroken, limit):
    """No picture counts as unreadable because it could not be opened; the rerun ends as ever."""
    code = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))\n"
    try:
        message = refusal(warm.run(place, *COMMAND, code=code + MAIN), "too-many-files")
        assert f"the limit is {limit} for a process" in message
        finished(warm, place, unbroken)
    finally:
        shutil.rmtree(place / "out", ignore_errors=True)


@pytest.mark.parametrize("number", [20, 120, 200])
def test_a_folder_that_is_removed_under_the_run_is_named(warm, place, unbroken, number):
    """Whatever the run was at; the same command makes all anew, also where a part came after."""
    code = f"""
import harness, shutil
def act(count, event, path):
    if count == {number}:
        shutil.rmtree({str(place / "out")!r})
harness.WATCHERS.append(act)
"""
    try:
        message = refusal(warm.run(place, *COMMAND, code=code + MAIN), "vanished")
        assert "the study folder out was moved or removed" in message
        finished(warm, place, unbroken)
    finally:
        shutil.rmtree(place / "out", ignore_errors=True)


@as_root
def test_a_disk_that_is_read_only_is_named(warm, place):
    """So that nobody looks for the owner of the folder."""
    with disk(place / "out", "size=1m,ro"):
        assert "its disk is read-only" in refusal(warm.run(place, *COMMAND), "not-allowed")


FOLDER = """\
study: tiny
datasets:
  art: {kind: folder, root: pictures}
networks:
  source: {load: inception_small, weights: WEIGHTS}
"""
TABLE = FOLDER.replace(
    "kind: folder, root: pictures",
    "kind: table, root: pictures, file: labels.csv, path: path, label: label, split: split",
)


@as_root
@pytest.mark.parametrize(
    ("study", "closed", "named"),
    [
        (FOLDER, "pictures", "pictures"),
        (FOLDER, "pictures/train", "pictures/train"),
        (FOLDER, "pictures/train/a", "pictures/train/a"),
        (TABLE, "labels.csv", "labels.csv"),
        (TABLE, "pictures", "pictures"),
        (FOLDER.replace("WEIGHTS", "w.safetensors"), "w.safetensors", "w.safetensors"),
        (FOLDER.replace("WEIGHTS", "w.pth"), "w.pth", "w.pth"),
        (FOLDER, "mine", "out/run"),
    ],
)
def test_what_may_not_be_read_or_written_is_named_with_its_owner(warm, place, study, closed, named):
    """Root folder, class, table, weights, output: nothing is left out, or taken for broken."""
    for split in ("train", "val", "test"):
        for name in ("a", "b"):
            folder = place / "pictures" / split / name
            folder.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((64, 64), 50).save(folder / "0.png")
    rows = (
        f"{split}/{name}/0.png,{name},{split}\n" for split in ("train", "test") for name in "ab"
    )
    (place / "labels.csv").write_text("path,label,split\n" + "".join(rows))
    for name in ("w.safetensors", "w.pth"):
        (place / name).write_bytes(b"weights")
    (place / "mine").mkdir(exist_ok=True)
    (place / "s.yaml").write_text(study.replace("WEIGHTS", "random"))
    out = place / ("mine" if closed == "mine" else "theirs")
    out.mkdir(exist_ok=True)
    out.chmod(0o777)
    (place / closed).chmod(0)
    try:
        run = f"run s.yaml --out {out.name}/run".split()
        message = refusal(warm.run(place, *run, code=AS_NOBODY + MAIN), "not-allowed")
    finally:
        (place / closed).chmod(0o755)
        shutil.rmtree(place / "theirs", ignore_errors=True)
        shutil.rmtree(place / "mine", ignore_errors=True)
    assert named.removeprefix("out/") in message
    assert "belongs to root, not to you (nobody)" in message


def test_an_output_below_a_file_is_refused_and_the_file_stays(warm, place):
    """Of every command that writes somewhere."""
    (place / "file").write_text("mine")
    for command in (
        "run study.yaml --allow-code --out file/run",
        "run study.yaml --allow-code --out file",
        "advise study.yaml --allow-code --out file/run",
        "fetch study.yaml file/pictures",
    ):
        message = refusal(warm.run(place, *command.split()), "not-a-folder")
        assert "file is " in message
    assert (place / "file").read_text() == "mine"


def test_a_rendering_is_not_begun_that_could_not_be_written(warm, place):
    """Its folder, its sheet and its movie are tried first."""
    (place / "file").write_text("mine")
    draw = ("render", "plain:make", "two:0", "--allow-code", "--steps", "1", "--size", "32")
    for option, target, slug in (
        ("--out", "file/x", "not-a-folder"),
        ("--sheet", "file/x.png", "not-a-folder"),
        ("--movie", "file/x.gif", "not-a-folder"),
    ):
        ended = warm.run(place, *draw, option, target)
        refusal(ended, slug)
        assert "render plain:make two" not in ended.output


def test_a_full_standard_output_is_told_without_a_disk(warm, place):
    """A log that is full is not blamed on the folder of the study."""
    code = "import os; os.dup2(os.open('/dev/full', os.O_WRONLY), 1)\n"
    try:
        message = refusal(warm.run(place, *COMMAND, code=code + MAIN), "no-space")
        assert "standard output" in message
    finally:
        shutil.rmtree(place / "out", ignore_errors=True)
