"""Runs of the command line that something is done to, each a fork of one warm process.

Importing what a run needs takes seconds, a run of the smallest study hardly more. So one process
imports all of it once, and each trial is a fork of it: about a second. A trial is told what shall
happen to it by the name of a fault of this module and its settings:

    with Warm() as warm:
        ended = warm.run(place, "run", "study.yaml", "--out", "out", fault=("at_operation", 17))
        ended.signal, ended.status, ended.output

Faults are functions below, registered by `@fault`; they are called in the fork before the command.
"""

import hashlib
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

SOURCES = Path(__file__).parents[2] / "src"
sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

from pdfs import read_pdf  # noqa: E402

CODE = """\
import overpaint
import torch
from torch import nn


def block(before, after):
    return nn.Sequential(nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU())


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = block(3, 4)
        self.two = block(4, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, pictures):
        return self.head(self.two(self.one(pictures)).mean((2, 3)))


def make():
    torch.manual_seed(0)
    return overpaint.wrap(Plain(), preprocessing={"size": 32})
"""

STUDY = """\
study: tiny
datasets:
  photographs:
    {kind: atelier, task: photographs, sizes: {train: 24, val: 8, test: 16}, cache: true}
networks:
  source: {load: "plain:make"}
  tuned: {from: source, fit: photographs, recipe: mode_a, repeats: 2, with: {epochs: 2}}
ensembles:
  both: [tuned, tuned.2]
compare:
  - [source, tuned]
maximal_images: 4
render: {layers: [two], channels: most_changed(1), steps: 2, size: 32, together: true}
"""
"""Everything that a run leaves, as small as it can be."""

COMMAND = ("run", "study.yaml", "--out", "out", "--allow-code")


def lay_out(place: Path, study: str = STUDY) -> Path:
    """A folder in which `overpaint run study.yaml --allow-code` works."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "plain.py").write_text(CODE)
    (place / "study.yaml").write_text(study)
    return place


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a trial ended: by which signal, or with which status."""

    signal: int | None
    status: int | None
    output: str  # both streams
    seconds: float
    cpu: float  # of the fork and what it waited for
    operations: int  # file operations below the place that the trial has begun
    children: list[int]  # processes of its session that are still alive after it


# --- what can happen to a trial -------------------------------------------------------------------

FAULTS: dict[str, Callable[..., None]] = {}


def fault(function: Callable[..., None]) -> Callable[..., None]:
    """Register what can happen to a trial by its name."""
    FAULTS[function.__name__] = function
    return function


@fault
def at_operation(number: int, signum: int = signal.SIGKILL) -> None:
    """A signal at a file operation below the place, before it happens."""

    def act(count: int, event: str, path: str) -> None:
        if count == number:
            os.kill(os.getpid(), signum)

    WATCHERS.append(act)


@fault
def at_place(part: str, signum: int = signal.SIGKILL) -> None:
    """A signal at the first file operation in a place whose path has this part."""

    def act(count: int, event: str, path: str) -> None:
        if part in path:
            os.kill(os.getpid(), signum)

    WATCHERS.append(act)


@fault
def at_cpu(seconds: float, signum: int = signal.SIGKILL) -> None:
    """A signal once the fork has worked for so long: the same moment on an idle and a busy machine.

    SIGKILL's part is taken by SIGPROF at its default, which ends a process just as abruptly.
    """
    handler = signal.SIG_DFL if signum == signal.SIGKILL else lambda *_: _send(signum)
    signal.signal(signal.SIGPROF, handler)
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _send(signum: int) -> None:
    os.kill(os.getpid(), signum)


@fault
def file_size(limit: int) -> None:
    """No file may grow above so many bytes: EFBIG, as on a file system that is full."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


@fault
def environment(**variables: str) -> None:
    """Variables of the environment."""
    os.environ.update(variables)


WATCHERS: list[Callable[[int, str, str], None]] = []
"""Called with number, event and path of each file operation below the place, before it happens; a
fault adds its own. What it raises is raised where the operation was asked for (an OSError, say)."""

CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link",
           "os.symlink", "os.utime", "shutil.rmtree", "os.chmod"}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Operations:
    """An audit hook that counts what changes files below a place, and tells the watchers."""

    def __init__(self, place: Path, log: Path | None) -> None:
        self.place, self.count, self.pid = str(place), 0, os.getpid()
        self.log = log.open("w") if log else None
        self.inside = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.inside or os.getpid() != self.pid:
            return
        if event == "open":
            path, mode, flags = arguments
            if not isinstance(path, str | bytes | os.PathLike):
                return
            if not (
                flags & WRITING if isinstance(flags, int) else mode and set(mode) & set("wax+")
            ):
                return
        elif event in CHANGES:
            path = arguments[0]
        else:
            return
        try:
            name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - no link is followed
        except TypeError:
            return
        if not f"{name}/".startswith(f"{self.place}/"):
            return
        self.inside = True
        try:
            self.count += 1
            if self.log:
                self.log.write(f"{self.count} {event} {name}\n")
                self.log.flush()
            for watcher in WATCHERS:
                watcher(self.count, event, name)
        finally:
            self.inside = False


# --- the warm process -----------------------------------------------------------------------------


IMPORTS = (
    *("altair", "numpy.random", "pyarrow.parquet", "rich.progress", "rich.table", "vl_convert"),
    *("scipy.optimize", "scipy.stats", "torch", "zarr", "filelock", "psutil", "pooch"),
    *("overpaint.cli", "overpaint.comparison", "overpaint.features", "overpaint.networks.own"),
    *("overpaint.measures.transfer", "overpaint.render", "overpaint.report.export.against"),
    *("overpaint.report.export.figures", "overpaint.run.advice", "overpaint.run.jobs"),
    *("overpaint.run.renderings", "overpaint.run.trainings", "overpaint.run"),
)


def serve() -> None:
    """Import what a run needs, then carry out orders of standard input, a JSON line each."""
    sys.path.insert(0, str(SOURCES))
    for name in IMPORTS:
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    orders = os.fdopen(os.dup(0))
    answers = os.fdopen(os.dup(1), "w")
    answers.write("ready\n")
    answers.flush()
    for line in orders:
        order = json.loads(line)
        if "wait for" in order:
            _, state = os.waitpid(order["wait for"], 0)
            answers.write(json.dumps({"status": os.waitstatus_to_exitcode(state)}) + "\n")
            answers.flush()
            continue
        begun = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _carry_out(order)
        if order["wait"]:
            _, state, usage = os.wait4(pid, 0)
            answer = {
                "signal": os.WTERMSIG(state) if os.WIFSIGNALED(state) else None,
                "status": os.WEXITSTATUS(state) if os.WIFEXITED(state) else None,
                "seconds": time.monotonic() - begun,
                "cpu": usage.ru_utime + usage.ru_stime,
                "children": left_behind(pid),
            }
        else:
            answer = {"pid": pid}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def left_behind(leader: int) -> list[int]:
    """Processes of a trial's session that do not end by themselves within some seconds: one that
    draws charts sees that nobody asks any more, once it has drawn what it was at.
    """
    patience = time.monotonic() + 5
    while (alive := of_session(leader)) and time.monotonic() < patience:
        time.sleep(0.05)
    return alive


def of_session(leader: int) -> list[int]:
    """Processes that are alive and belong to the session of a trial."""
    alive = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            alive.append(int(entry.name))
    return alive


def _carry_out(order: dict[str, Any]) -> None:
    """In the fork: be a process of the command line, and end with its status."""
    status = 70
    try:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may have been begun by nohup
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(order["place"])
        os.environ.pop("PWD", None)
        output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        log = Path(order["log"]) if order["log"] else None
        operations = Operations(Path(order["place"]), log)
        for name, *settings in order["faults"]:
            keywords = settings.pop() if settings and isinstance(settings[-1], dict) else {}
            FAULTS[name](*settings, **keywords)
        sys.addaudithook(operations)
        sys.argv = ["overpaint", *order["arguments"]]
        if order["code"]:
            sys.path.insert(0, order["place"])
            exec(order["code"], {"__name__": "__main__"})  # noqa: S102
            status = 0
        else:
            from overpaint.cli import main

            main()
            status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if order["log"]:
            Path(order["log"] + ".count").write_text(str(operations.count))
        os._exit(status)


class Warm:
    """The warm process, and the trials that are forked from it, one after the other."""

    def __enter__(self) -> Self:
        # one thread: with more, a fork may wait for locks of threads that it does not have
        single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        paths = os.pathsep.join(filter(None, [str(SOURCES), os.environ.get("PYTHONPATH")]))
        self.process = subprocess.Popen(
            [sys.executable, "-c", "import harness; harness.serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent,
            env=os.environ
            | single
            | {"PYTHONPATH": paths, "ACCELERATE_USE_CPU": "true", "COLUMNS": "200"},
        )
        assert self._stream("stdout").readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._stream("stdin").close()
        self.process.wait(30)

    def _stream(self, name: str) -> IO[str]:
        stream = getattr(self.process, name)
        assert stream is not None
        return stream

    def run(
        self,
        place: Path,
        *arguments: str,
        faults: Sequence[Sequence[Any]] = (),
        code: str = "",
        log: bool = False,
        output: str = "output",
    ) -> Ended:
        """`overpaint ARGUMENTS` in a folder, to its end. `code`: Python that is run instead of it.
        `log`: write operations.log beside the folder, a line a file operation.
        """
        answer = self._order(
            place, arguments, faults=faults, code=code, log=log, output=output, wait=True
        )
        count = Path(f"{place}.operations.log.count")
        return Ended(
            **answer,
            output=place.with_name(f"{place.name}.{output}").read_text(errors="replace"),
            operations=int(count.read_text()) if log and count.exists() else 0,
        )

    def start(
        self, place: Path, *arguments: str, faults: Sequence[Sequence[Any]] = (), code: str = ""
    ) -> int:
        """The same, and do not wait: its process. The output stands in PLACE.output."""
        answer = self._order(
            place, arguments, faults=faults, code=code, log=False, output="output", wait=False
        )
        return int(answer["pid"])

    def wait(self, process: int) -> int:
        """The status of a process that was started, or minus its signal, once it has ended."""
        return int(self._ask({"wait for": process})["status"])

    def _order(
        self,
        place: Path,
        arguments: Sequence[str],
        *,
        faults: Sequence[Sequence[Any]],
        code: str,
        wait: bool,
        log: bool,
        output: str,
    ) -> dict[str, Any]:
        order = {
            "place": str(place),
            "arguments": arguments,
            "output": str(place.with_name(f"{place.name}.{output}")),
            "faults": [list(each) for each in faults],
            "log": f"{place}.operations.log" if log else "",
            "code": code,
            "wait": wait,
        }
        return self._ask(order)

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        stdin, stdout = self._stream("stdin"), self._stream("stdout")
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()
        return dict(json.loads(stdout.readline()))


# --- what a folder holds --------------------------------------------------------------------------


TIMES = ("stamps.parquet", "site.json", "site.manifest.json")
"""Files that tell the times of others, by which a next look is quick, and the digest of one: only
that they are there."""


def contents(folder: Path) -> dict[str, str]:
    """Every file and folder below one, hidden ones too: path -> digest of its bytes; of a PDF,
    whose writer draws the order of its objects anew each time, of what it shows.
    """
    entries = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            entries[name] = f"-> {path.readlink()}"
        elif path.is_dir():
            entries[name] = "folder"
        elif path.name in TIMES:
            entries[name] = "file" if path.stat().st_size else "empty"
        else:
            data = path.read_bytes()
            if path.suffix == ".pdf" and data:
                data = repr(read_pdf(data)).encode()
            entries[name] = hashlib.sha256(data).hexdigest()
    return entries


def difference(folder: Path, unbroken: dict[str, str]) -> list[str]:
    """What differs from what an unbroken run left, a line each; nothing where all is equal."""
    now = contents(folder)
    return [
        *(f"missing: {name}" for name in unbroken if name not in now),
        *(f"more: {name}" for name in now if name not in unbroken),
        *(f"other bytes: {name}" for name in now if unbroken.get(name, now[name]) != now[name]),
    ]


def seeded(seed: int, *names: object) -> random.Random:
    """Chance of a seed's."""
    return random.Random(repr((seed, *names)))  # noqa: S311 - no secret
