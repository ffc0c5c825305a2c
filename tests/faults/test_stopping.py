"""Each command that is asked to stop ends within five seconds, says what is kept and leaves nothing
half: `run` stands in test_faults.py.
"""

import os
import shutil
import signal
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from typing import ClassVar

import pytest
from harness import COMMAND, Ended, Warm, contents, difference, lay_out, of_session
from PIL import Image

from overpaint.cli.stopping import PATIENCE
from overpaint.records.drafts import is_draft

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

CODE = """
import os, time, harness
from pathlib import Path
from typing import ClassVar

def stop(*_):
    if not Path({begun!r}).exists():
        Path({begun!r}).write_text(str(time.monotonic()))
        os.kill(os.getpid(), {signum})

harness.WATCHERS.append(lambda count, event, path: {part!r} in path and stop())
{more}
from overpaint.cli import main
main()
"""

READING = """
import overpaint.records.contents as contents
digest = contents.file_digest
contents.file_digest = lambda path: stop() if {name!r} in str(path) else digest(path)
"""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command, at what it is stopped, what it must say is kept, and how the next ends."""

    arguments: tuple[str, ...]
    part: str  # of the path that is changed when the signal comes
    kept: str
    code: str = ""  # before the command
    gone: tuple[str, ...] = ()  # what is removed first, so that there is something to do
    status: int = 0  # of the same command afterwards


COMMANDS = {
    "advise": Command(
        arguments=("advise", "study.yaml", "--out", "advised", "--allow-code"),
        part="advised/features",
        kept="advised keeps all that was finished; the same command goes on from there",
    ),
    "render": Command(
        arguments=("render", "out/networks/tuned", "two:0-5", "--out", "drawn", "--steps", "3",
                   "--size", "32", "--allow-code"),
        part="/.3.png",
        kept="each picture that was finished is kept; the same command draws all again",
    ),
    "report": Command(
        arguments=("report", "out"),
        part="site/comparisons",
        gone=("out/site.json", "out/site/comparisons/source--tuned.html"),
        kept="what out holds is kept; the same command writes what is missing",
    ),
    "figures": Command(
        arguments=("report", "out", "--figures", "figures"),
        part="place/figures/",
        kept="what out holds is kept; the same command writes what is missing",
    ),
    "zip": Command(
        arguments=("report", "out", "--zip", "site.zip"),
        part="place/.site.zip",
        kept="what out holds is kept; the same command writes what is missing",
    ),
    "verify": Command(
        arguments=("verify", "out"),
        part="nothing",
        code=READING.format(name="layers.parquet"),
        kept="nothing was changed",
    ),
    "clean": Command(
        arguments=("clean", "out", "--all"),
        part="networks/tuned/",
        kept="what was not removed yet is as it was; the same command removes the rest",
    ),
    "fetch": Command(
        arguments=("fetch", "iconart", "icons"),
        part="Q1.jpg",
        kept="nothing was unpacked; the same command begins again",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm() as process:
        yield process


@pytest.fixture(scope="module")
def finished(warm, tmp_path_factory) -> Path:
    """A place with a study that has been run, and an archive that has been downloaded."""
    place = lay_out(tmp_path_factory.mktemp("stopping") / "finished")
    ended = warm.run(place, *COMMAND)
    assert ended.status == 0, ended.output
    with zipfile.ZipFile(place / "IconArt_v1.zip", "w") as file:
        for name in ("ImageSets/Main/IconArt_v1.csv", "JPEGImages/Q1.jpg", "JPEGImages/Q2.jpg"):
            file.writestr(f"IconArt_v1/{name}", "item\n")
    return place


@pytest.fixture
def place(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "place"))


def stopped(warm: Warm, place: Path, command: Command, signum: int) -> Ended:
    """The command, to which the signal comes; it has ended within five seconds."""
    for name in command.gone:
        (place / name).unlink()
    begun = place.with_name("begun")
    code = CODE.format(begun=str(begun), signum=int(signum), part=command.part, more=command.code)
    faults = [("environment", {"OVERPAINT_CACHE": str(place)})]
    ended = warm.run(place, *command.arguments, code=code, faults=faults)
    assert begun.exists(), ended.output
    assert time.monotonic() - float(begun.read_text()) < 5
    return ended


def said(ended: Ended, place: Path, signum: signal.Signals, kept: str) -> None:
    """It ended by the signal, with one message of what is kept, and left nothing half."""
    assert ended.status == 128 + signum, ended.output
    lines = ended.output.splitlines()
    assert lines[-1] == f"overpaint: stopped by {signum.name}: {kept}"
    assert "Traceback" not in ended.output
    assert not ended.children
    hidden = [path.name for path in place.rglob(".*")]
    assert not [name for name in hidden if is_draft(name) or name.endswith(".holder.json")]


# each signal reaches a third of the commands: all go one way
@pytest.mark.parametrize(("name", "signum"), zip(COMMANDS, cycle(SIGNALS), strict=False))
def test_a_command_that_is_asked_to_stop(warm, place, name, signum):
    """It says what is kept, leaves no draft, no lock and no process, and can be had again."""
    command = COMMANDS[name]
    said(stopped(warm, place, command, signum), place, signum, command.kept)
    cache = [("environment", {"OVERPAINT_CACHE": str(place)})]
    again = warm.run(place, *command.arguments, faults=cache)
    assert again.status == command.status, again.output


def test_a_report_that_was_stopped_is_finished_by_the_next(warm, place, finished):
    """Every page is as it was, and there is none more."""
    command = COMMANDS["report"]
    stopped(warm, place, command, signal.SIGTERM)
    assert warm.run(place, *command.arguments).status == 0
    assert difference(place / "out" / "site", contents(finished / "out" / "site")) == []


def test_pictures_that_were_drawn_before_the_stop_are_whole(warm, place):
    """The one at which the signal came is not there, not even half of it."""
    stopped(warm, place, COMMANDS["render"], signal.SIGINT)
    names = {path.name for path in (place / "drawn" / "two").iterdir()}
    assert {"0.png", "1.png"} <= names <= {f"{number}.png" for number in (0, 1, 2, 4, 5)}
    for name in names:
        with Image.open(place / "drawn" / "two" / name) as picture:
            picture.load()


LOST = {
    "another error comes of it": "try:\n    send()\nfinally:\n    threading.Lock().release()",
    "it comes where an object is deleted": (
        "class Thing:\n    def __del__(self):\n        send()\nThing()\nthreading.Event().wait(60)"
    ),
    "a failure is told of it": (
        "try:\n    send()\nexcept BaseException:\n"
        "    raise overpaint.OverpaintError('lost', slug='lost') from None"
    ),
    "it ends with another status": "try:\n    send()\nexcept BaseException:\n    sys.exit(3)",
}


@pytest.mark.parametrize("how", LOST)
def test_a_stop_that_is_lost_on_its_way(warm, tmp_path, how):
    """Libraries replace or swallow what is raised within them: there is the one message, always."""
    lines = "".join(f"    {line}\n" for line in LOST[how].splitlines())
    code = (
        "import os, signal, sys, threading, time\n"
        "import overpaint\n"
        "from overpaint.cli import app, main\n"
        "def send():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(1)\n"
        "@app.command()\n"
        f"def compute():\n{lines}"
        "main()\n"
    )
    ended = warm.run(lay_out(tmp_path / "place"), "compute", code=code)
    assert ended.output == "overpaint: stopped by SIGTERM: nothing was changed\n"
    assert ended.status == 128 + signal.SIGTERM
    assert ended.seconds < PATIENCE  # it is not the thread that ended it


class Silent(BaseHTTPRequestHandler):
    """A server that takes a request, and answers no more after the first picture."""

    asked: ClassVar[list[str]] = []

    def do_GET(self):
        self.asked.append(self.path)
        if len(self.asked) > 1:
            time.sleep(30)
            return
        data = b"no picture"
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("signum", SIGNALS, ids=lambda signum: signum.name)
def test_a_fetch_from_a_server_that_is_silent(warm, tmp_path, signum):
    """It does not wait for the server."""
    place = tmp_path / "place"
    place.mkdir()
    Silent.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Silent) as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        rows = "".join(f"http://127.0.0.1:{server.server_port}/{n}.jpg,sea\n" for n in range(3))
        (place / "table.csv").write_text(f"image,label\n{rows}")
        process = warm.start(place, "fetch", "table.csv", "pictures", "--rate", "100")
        for _ in range(1500):
            if len(Silent.asked) > 1:
                break
            time.sleep(0.02)
        assert len(Silent.asked) > 1, place.with_name("place.output").read_text()
        begin = time.monotonic()
        os.kill(process, signum)
        assert warm.wait(process) == 128 + signum
        assert time.monotonic() - begin < 5
        server.shutdown()
    output = place.with_name("place.output").read_text()
    kept = "every picture that was fetched is kept; the same command goes on from there"
    assert f"overpaint: stopped by {signum.name}: {kept}" in output
    assert "Traceback" not in output
    assert of_session(process) == []
    assert not [path for path in place.rglob(".*") if is_draft(path.name)]
