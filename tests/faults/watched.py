"""A call watched from outside: what comes of it, and what it takes of processor time and memory.

It runs in a fork, so that one that hangs or fills the memory ends alone. There it has one thread: a
fork has none of the threads that its process began, and would wait for them for ever.
"""

import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from overpaint.errors import OverpaintError

SECONDS = 20
"""Of the processor, at most; of the clock three times as much, as tests run beside others."""

MEGABYTES = 1024
"""More than before the call, at most."""

ROOM = 6 * 2**30
"""Bytes of addresses that a call may ask for: not all that is asked for is taken."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a call ended."""

    slug: str  # of the error; "" for a result, "traceback" and "killed" for what must not be
    message: str  # of the error, or what the result says of itself
    seconds: float
    megabytes: float

    @property
    def status(self) -> int:
        """The status that the command line ends with."""
        return {"": 0, "traceback": 1, "killed": 137}.get(self.slug, 2)


def watched(call: Callable[[], object]) -> Outcome:
    """What comes of a call, which may neither hang nor take more than it should."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    begin = time.monotonic()
    child = os.fork()
    if child == 0:
        _answer(call, writing)
    os.close(writing)
    answer = b""
    while time.monotonic() - begin < 3 * SECONDS:
        if select.select([reading], [], [], 0.5)[0]:
            part = os.read(reading, 2**16)
            if not part:
                break
            answer += part
    else:
        os.kill(child, signal.SIGKILL)
    os.close(reading)
    _, code, usage = os.wait4(child, 0)
    if not answer:
        answer = json.dumps(["killed", f"ended by {code}", 0]).encode()
    slug, message, before = json.loads(answer)
    return Outcome(
        slug=slug,
        message=message,
        seconds=usage.ru_utime + usage.ru_stime,
        megabytes=usage.ru_maxrss / 1024 - before,
    )


def _answer(call: Callable[[], object], writing: int) -> None:
    """In the fork: call, tell what came of it, and be gone."""
    try:
        torch.set_num_threads(1)
        before = resident()
        taken = pages()[0] * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, taken + ROOM))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS + 2, SECONDS + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            answer = ["", str(call())[:2000]]
        except OverpaintError as error:
            answer = [error.slug, str(error)]
        except BaseException as error:  # whatever it is, it is told
            answer = ["traceback", f"{error!r:.300}\n{traceback.format_exc(limit=-4)}"]
        os.write(writing, json.dumps([*answer, before]).encode())
    finally:
        os._exit(0)


def pages() -> list[int]:
    """Pages of memory of this process: its addresses, and what it holds."""
    return [int(number) for number in Path("/proc/self/statm").read_text("ascii").split()[:2]]


def resident() -> float:
    """Megabytes that this process holds."""
    return pages()[1] * resource.getpagesize() / 2**20
