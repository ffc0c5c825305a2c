"""Processes: one run by several of them, started by torchrun or by `accelerate launch`.

>>> one = Processes(rank=0, count=1)
>>> one.share(["a", "b", "c"]), Processes(rank=1, count=2).share(["a", "b", "c"])
(['a', 'b', 'c'], ['b', 'c'])

One leads: it reads the folder, decides, writes, and speaks, as if there were no other. The others
follow: they wait for what is worth to be shared out (`together`), do their part of it and wait
again. So no two ever decide differently, and a step that nobody shares out needs no word on it.

Whoever ends before its time ends all. A follower and the leader each wait in a thread for a word
of the other's, over a connection that breaks with the process at its other end: nothing is timed,
so neither a long pause nor a busy machine is taken for a death. torch is imported by `join`.
"""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from overpaint.errors import OverpaintError, Stopped

Item = TypeVar("Item")

GRACE = 3.0
"""Seconds in which all processes should fail that fail alike, as in a training that diverges. After
them one has failed alone, and others may wait for it in the middle of a step."""

LETTER = 2000
"""Bytes of what processes tell one another when they end."""

COUNTS = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
RANKS = ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK")
"""Where torchrun and Accelerate, Open MPI and other launchers say how many there are and which this
is."""

PATIENCE = timedelta(days=30)
"""How long a follower waits for something to do: comparisons of many pictures take hours."""


class ProcessError(OverpaintError):
    """Another process has failed."""


@dataclass
class Processes:
    """The processes of this run, this one being the `rank`th of `count`."""

    rank: int
    count: int
    joined: bool = False
    words: Any = None  # the group in which the leader says what is to be done
    watch: Any = None  # that in which nobody says anything until the end
    threads: list[threading.Thread] = field(default_factory=list, repr=False)

    @classmethod
    def started(cls) -> "Processes":
        """As whoever started this process says in its environment; alone where nobody does."""
        count, rank = _number(*COUNTS, otherwise=1), _number(*RANKS, otherwise=0)
        return cls(rank=rank, count=count)

    @property
    def leads(self) -> bool:
        """Whether this one decides, writes and speaks."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> list[Item]:
        """The part of this process of some items, in their order; parts differ by one at most."""
        start, stop = (len(items) * (self.rank + more) // self.count for more in (0, 1))
        return list(items[start:stop])

    def alone(self) -> None:
        """Go on without the others, who have nothing to do: Accelerate would wait for them."""
        for name in (*COUNTS, *RANKS, "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
            os.environ.pop(name, None)
        self.rank, self.count = 0, 1

    def join(self) -> None:
        """Meet the others, once `device.chosen` has brought all together by Accelerate; a process
        that then ends is noticed.
        """
        import torch.distributed as dist

        self.words = dist.new_group(backend="gloo", timeout=PATIENCE)
        self.watch = dist.new_group(backend="gloo", timeout=PATIENCE)
        self.joined = True
        for other in range(1, self.count) if self.leads else [0]:
            self.threads.append(threading.Thread(target=self._listen, args=(other,), daemon=True))
            self.threads[-1].start()

    # --- sharing work out -------------------------------------------------------------------------

    def together(self, work: Any, part: Callable[..., Any], *settings: Any) -> list[Any]:
        """Have all processes call `part(work, *settings)`, each with a workspace of its own; what
        each returns, the leader's first.

        `part` is a function of a module. An error of the leader's own is raised as it is; where
        only others have failed, a ProcessError says which and why.
        """
        if not self.joined:
            return [part(work, *settings)]
        import torch.distributed as dist

        dist.broadcast_object_list([(part, settings)], src=0, group=self.words)
        return self._do(work, part, settings)

    def follow(self, work: Any) -> None:
        """Do what the leader shares out, until it has nothing more."""
        import torch.distributed as dist

        while True:
            order: list[Any] = [None]
            try:
                dist.broadcast_object_list(order, src=0, group=self.words)
            except RuntimeError:
                time.sleep(GRACE)  # the leader is gone; who listens to it says so, and ends
                raise
            if order[0] is None:
                return
            part, settings = order[0]
            try:
                self._do(work, part, settings)
            except OverpaintError:
                continue  # the leader knows, and decides

    def _do(self, work: Any, part: Callable[..., Any], settings: Sequence[Any]) -> list[Any]:
        import torch.distributed as dist

        result, error, alarm = None, None, None
        try:
            result = part(work, *settings)
        except Exception as problem:
            if not isinstance(problem, OverpaintError):
                time.sleep(1)  # it may be that another's end broke a step; who listens then ends us
                traceback.print_exception(problem)
            error = problem
            alarm = threading.Timer(GRACE, self._end_all, [self._told(in_words(problem))])
            alarm.daemon = True
            alarm.start()
        outcomes: list[Any] = [None] * self.count
        sent = None if self.leads else result  # the leader's own may be large, and is for itself
        dist.all_gather_object(outcomes, (sent, error and in_words(error)), group=self.words)
        if alarm:
            alarm.cancel()
        if error:
            raise error
        for number, (_, why) in enumerate(outcomes):
            if why:
                raise ProcessError(
                    "process-failed", f"process {number + 1} of {self.count} failed: {why}"
                )
        return [result if self.leads else None, *(told for told, _ in outcomes[1:])]

    # --- ending -----------------------------------------------------------------------------------

    def part_ways(self) -> None:
        """The run is done: let the others go, and be told that they are."""
        import torch.distributed as dist

        if self.leads:
            dist.broadcast_object_list([None], src=0, group=self.words)
        self._tell("")
        for thread in self.threads:
            thread.join()
        self.joined = False
        dist.destroy_process_group()

    def abandon(self, why: str) -> None:
        """End before the run does: have all others end, and say why."""
        if self.joined:
            self._tell(self._told(why))
            self.joined = False

    def _told(self, why: str) -> str:
        return f"process {self.rank + 1} of {self.count} failed: {why}"

    def _tell(self, text: str, besides: int | None = None) -> None:
        """Write to the leader, or as the leader to all others but one."""
        import torch
        import torch.distributed as dist

        letter = text.encode()[:LETTER].ljust(LETTER, b"\0")
        for other in range(1, self.count) if self.leads else [0]:
            if other != besides:
                try:
                    dist.send(torch.frombuffer(bytearray(letter), dtype=torch.uint8), other,
                              group=self.watch)  # fmt: skip
                except RuntimeError:
                    continue  # it is gone already

    def _listen(self, other: int) -> None:
        """Wait for another's last word; end with it unless it only says goodbye."""
        import torch
        import torch.distributed as dist

        letter = torch.zeros(LETTER, dtype=torch.uint8)
        try:
            dist.recv(letter, other, group=self.watch)
            text = bytes(letter.tolist()).rstrip(b"\0").decode(errors="replace")
        except RuntimeError:
            text = f"process {other + 1} of {self.count} was killed, or its machine is gone"
        if text and self.joined:
            self._end_all(text, besides=other)

    def _end_all(self, text: str, besides: int | None = None) -> None:
        """Say why, to the others too, and end: the main thread may wait for ever."""
        self._tell(text, besides)
        print(f"overpaint: {text}; all processes end, and the same command goes on from here "  # noqa: T201
              "[process-failed]", file=sys.stderr, flush=True)  # fmt: skip
        from overpaint.records.drafts import forget_mine

        forget_mine()
        os._exit(1)


def in_words(error: BaseException) -> str:
    """An error for people; what is no mistake of theirs with its kind."""
    if isinstance(error, OverpaintError):
        return f"{error} [{error.slug}]"
    if isinstance(error, Stopped):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _number(*names: str, otherwise: int) -> int:
    """The first of some variables that is there."""
    return next((int(os.environ[name]) for name in names if os.environ.get(name)), otherwise)
