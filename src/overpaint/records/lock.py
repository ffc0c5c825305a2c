"""The lock of a folder: one process, with those that it starts, works in it and says who it is.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as place, held(Path(place), "overpaint run"):
...     with held(Path(place), "overpaint run"):
...         pass
Traceback (most recent call last):
overpaint.errors.RecordError: ... overpaint run is at work in it (process ... on ..., since ...

The lock is one of the operating system's, so it ends with its process, also with one that is
killed, and holds between containers of one machine. Who holds it stands in a file beside it, which
is gone after an orderly end. Some file systems keep the locks of each machine to themselves. So
where that file names a process of another machine it is watched for a while: whoever is at work
touches it every few seconds.
"""

import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from overpaint.errors import RecordError
from overpaint.machine import refusals_told
from overpaint.records.drafts import runs_still, started, this_kernel, this_machine

BEAT = 5.0
"""Seconds between two touches of the file that says who holds a lock."""

WATCHED = 3
"""Beats without a touch after which a process of another machine is taken for gone."""

files_of_mine: set[Path] = set()
"""The files that say that this process holds a lock."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A process that works in a folder."""

    what: str  # as "overpaint run"
    host: str
    kernel: str  # see drafts.this_kernel
    machine: str  # see drafts.this_machine
    process: int
    started: int  # see drafts.started
    since: str  # for people

    def __str__(self) -> str:
        where = f"process {self.process} on {self.host}"
        return f"{self.what} is at work in it ({where}, since {self.since})"


@contextmanager
def held(
    folder: Path,
    what: str,
    *,
    name: str = "",
    wait: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[None]:
    """Hold the lock of a folder as long as the block lasts. `name` tells the locks of one folder.

    Raises RecordError, slug `folder-in-use`, at once when another holds it; with `wait`, waits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # By default a lock belongs to the thread that took it; here another may let it go.
    lock = FileLock(folder / f".overpaint{name}.lock", thread_local=False)
    file = folder / f".overpaint{name}.holder.json"
    waiting = False
    while True:
        try:
            lock.acquire(timeout=0)
            locks = True
        except Timeout:
            holder = _read(file)
        except NotImplementedError:  # this file system knows no locks: the file decides
            locks, holder = False, _read(file)
            if holder is None or _is_gone(holder, file, say, locks=False):
                break
        else:
            holder = _read(file)
            if holder is None or _is_gone(holder, file, say, locks=True):
                break
            lock.release()
        if not wait:
            raise RecordError(
                "folder-in-use",
                f"{folder}: {holder or 'another process is at work in it'}; wait for its end, or "
                "stop it: nothing was changed",
            )
        if not waiting:
            say(f"waits: {holder or 'another process is at work'}")
        waiting = True
        time.sleep(0.2)
    over = threading.Event()
    try:
        _write(file, what)
        files_of_mine.add(file)
        threading.Thread(target=_beat, args=(file, over), daemon=True).start()
        yield
    finally:
        over.set()
        file.unlink(missing_ok=True)
        files_of_mine.discard(file)
        if locks:
            lock.release()


def let_go() -> None:
    """Remove what says that this process holds locks: it ends, and the locks with it."""
    for file in list(files_of_mine):
        with suppress(OSError):
            file.unlink()
        files_of_mine.discard(file)


def _beat(file: Path, over: threading.Event) -> None:
    while not over.wait(BEAT):
        with suppress(OSError):
            os.utime(file)


def _write(file: Path, what: str) -> None:
    holder = Holder(
        what=what,
        host=platform.node(),
        kernel=this_kernel(),
        machine=this_machine(),
        process=os.getpid(),
        started=started(os.getpid()) or 0,
        since=time.strftime("%Y-%m-%d %H:%M:%S"),
    )
    # in its place: the lock is ours, and who reads a half takes it for that of an unknown
    with refusals_told(file):  # a full disk does not say of which file it is said
        file.write_text(json.dumps(asdict(holder)), encoding="utf-8")


def _read(file: Path) -> Holder | None:
    try:
        return Holder(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _is_gone(holder: Holder, file: Path, say: Callable[[str], None], *, locks: bool) -> bool:
    """Whether who is named in the file holds the lock no more; `locks`: we were given it."""
    if locks and holder.kernel == this_kernel():
        return True
    if holder.machine == this_machine():
        return not runs_still(holder.process, holder.started)
    say(
        f"the last who worked in {file.parent} did not say that it ended (process {holder.process} "
        f"on {holder.host}): looks for {WATCHED * BEAT:.0f} s whether it still does"
    )
    before = _touched(file)
    for _ in range(WATCHED):
        time.sleep(BEAT)
        if _touched(file) != before:
            return False
    return True


def _touched(file: Path) -> int:
    """When a file was last changed, by the clock of whoever stores it."""
    try:
        with file.open("rb") as opened:  # which has a network's file system ask anew
            return os.fstat(opened.fileno()).st_mtime_ns
    except OSError:
        return 0
