"""Ctrl+C, SIGTERM and SIGHUP: the program stops within seconds, leaves nothing half, and says what
is kept.

A signal raises `Stopped` where the program is, so that all it has begun is tidied up. Where that
takes too long, as in the middle of a long computation that does not look up, a thread ends it. What
else the signal sets off on its way, as a lock that it comes between, is not told.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from overpaint.errors import Stopped
from overpaint.processes import Processes

PATIENCE = 3.5
"""Seconds after a signal in which the program should have ended by itself."""

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]

kept: Callable[[], str] = lambda: "nothing was changed"  # noqa: E731
"""Says what stays of the work, and how to go on; each command that changes anything has its own."""


def keeps(words: Callable[[], str]) -> None:
    """Have it said, when the command is stopped, what is kept and how to go on."""
    global kept  # noqa: PLW0603 - of the one command of this process
    kept = words


def of_study(folder: Path) -> str:
    """What is kept of a run that is stopped.

    >>> of_study(Path("nowhere"))
    'nothing was finished yet; the same command begins again'
    """
    from overpaint.records.drafts import finished

    networks = [path.parent.name for path in finished(folder, "networks/*/manifest.json")]
    trainings = sorted(path.stem for path in folder.glob("trainings/*.pt"))
    if not networks and not trainings:
        return "nothing was finished yet; the same command begins again"
    kept = f"all that was finished ({_counted(networks)})"
    epochs = f", and the whole epochs of {_counted(trainings)}" if trainings else ""
    return f"{folder} keeps {kept}{epochs}; the same command goes on from there"


def _counted(names: list[str]) -> str:
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"network{'s' if len(names) != 1 else ''} {shown}" if names else "no network yet"


@contextmanager
def stoppable() -> Iterator[None]:
    """In the block a signal raises Stopped; who comes out with it ends by `farewell`.

    A signal that this process was started to ignore, as by nohup, is ignored.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    before: dict[int, object] = {}
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, _stop)
    # Python tells this socket of a signal at once, even if the main thread computes for minutes.
    told = signal.set_wakeup_fd(ours.fileno(), warn_on_full_buffer=False)
    unraisable, sys.unraisablehook = sys.unraisablehook, _end_where_it_is_lost
    threading.Thread(target=_watch, args=(theirs, set(before)), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(told)
        sys.unraisablehook = unraisable
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        ours.close()


def asked() -> int:
    """The signal by which this program was asked to stop, 0 where it was not."""
    return _asked


def _stop(number: int, _: FrameType | None) -> None:
    global _asked  # noqa: PLW0603 - of this process
    _asked = number
    raise Stopped(number)


_asked = 0


def _end_where_it_is_lost(unraisable: "sys.UnraisableHookArgs") -> None:
    """In a `__del__` or a callback of a weak reference nobody would hear of it: end there."""
    if isinstance(unraisable.exc_value, Stopped):
        farewell(unraisable.exc_value.number)
    sys.__unraisablehook__(unraisable)


def _watch(told: socket.socket, numbers: set[int]) -> None:
    """Wait for a signal; some seconds later, or at a second one, end what is still there."""
    number = 0
    while not number:
        letters = told.recv(64)
        if not letters:
            return  # the program is done
        number = next((letter for letter in letters if letter in numbers), 0)
    told.settimeout(PATIENCE)
    with suppress(TimeoutError):
        while letters := told.recv(64):
            if any(letter in numbers for letter in letters):
                break
        else:
            threading.Event().wait(PATIENCE)  # it has come out of the block, and ends
    farewell(number)


def farewell(number: int) -> None:
    """Say that the program was stopped and what is kept; leave no draft, no lock, no child; end."""
    from overpaint.records.drafts import forget_mine
    from overpaint.records.lock import let_go

    if not _leaving.acquire(blocking=False):
        threading.Event().wait(PATIENCE)  # another thread is at it
    for number_of_another in SIGNALS:
        with suppress(ValueError):  # only the main thread may
            signal.signal(number_of_another, signal.SIG_IGN)
    forget_mine()
    let_go()
    with suppress(Exception):
        _end_children()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    if Processes.started().leads:
        show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""
        text = f"{show_cursor}overpaint: stopped by {signal.Signals(number).name}: {kept()}"
        with suppress(OSError, ValueError):
            print(text, file=sys.stderr, flush=True)  # noqa: T201
    forget_mine()  # what another thread has begun meanwhile
    os._exit(128 + number)


_leaving = threading.Lock()


def _end_children() -> None:
    import psutil

    children = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.terminate()
    _, alive = psutil.wait_procs(children, timeout=0.5)
    for child in alive:
        with suppress(psutil.NoSuchProcess):
            child.kill()
