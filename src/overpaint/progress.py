"""What a run says while it works: a line a stage, a bar for long work, time left.

On a terminal the bar moves; elsewhere each stage is one plain line when it ends, and one now and
then as long as it lasts.
"""

import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from html import escape
from importlib import import_module
from itertools import takewhile
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[..., None]
"""Called with (done, of all) or (done, of all, a word on how it goes)."""

SILENCE = 30.0
"""Seconds, at most, without a word where there is no terminal."""


class Progressing:
    """Tells the stages of a run to a console; of a run that is planned, what is left of it too."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds: dict[str, float] = {}
        self.plan: Plan | None = None

    def say(self, text: str) -> None:
        """A line of its own."""
        self.console.print(text, highlight=False, markup=False)

    @contextmanager
    def stage(self, title: str) -> Iterator[Advance]:
        """A stage: yields what is called as the work advances."""
        begin = time.monotonic()
        if self.console.is_terminal:
            with self._bar(title) as advance:
                yield advance
        elif self.console.quiet:
            yield _ignore
        else:
            with self._now_and_then(title) as advance:
                yield advance
        self.seconds[title] = time.monotonic() - begin
        left = f"  ({self.plan.outlook()})" if self.plan else ""
        self.say(f"{title}  {duration(self.seconds[title])}{left}")

    @contextmanager
    def _now_and_then(self, title: str) -> Iterator[Advance]:
        """Say how a stage stands whenever nothing was said for a while, also of one that does not
        tell how far it is.
        """
        begin, stands, ended = time.monotonic(), [""], threading.Event()

        def advance(done: int, total: int, note: str = "") -> None:
            left = (time.monotonic() - begin) / done * (total - done) if done else None
            until = "" if left is None else f", about {duration(left)} left"
            stands[0] = f"{done:,} of {total:,}{f', {note}' if note else ''}{until}, "

        def speak() -> None:
            while not ended.wait(SILENCE):
                self.say(f"  {title}: {stands[0]}{duration(time.monotonic() - begin)} so far")

        speaker = threading.Thread(target=speak, name="progress", daemon=True)
        speaker.start()
        try:
            yield advance
        finally:
            ended.set()
            speaker.join()

    @contextmanager
    def _bar(self, title: str) -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TextColumn(self.plan.outlook() if self.plan else "", markup=False),
        )
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(title, total=None, note="")

            def advance(done: int, total: int, note: str = "") -> None:
                bar.update(task, completed=done, total=total, note=note)

            yield advance


class Plan:
    """What a run has to make, by kind, and how long what is left of it will take.

    >>> plan = Plan({"networks": 4, "site.json": 1})
    >>> plan.words()
    '4 networks, the report'
    >>> for number in range(4):
    ...     plan.begin("networks", now=8.0 * number)
    >>> plan.outlook(now=24.0)
    '3 of 5, about 48 s left'

    A kind that was made before takes what one of it took on average; one that was not, as much
    longer than those as on the demonstration.
    """

    def __init__(self, counts: Mapping[str, int]) -> None:
        self.left = Counter(counts)
        self.total = sum(counts.values())
        self.made: Counter[str] = Counter()
        self.spent: dict[str, float] = defaultdict(float)
        self.at: tuple[str, float] | None = None

    def words(self) -> str:
        """What is left, in words."""

        def told(kind: str, count: int) -> str:
            if kind.endswith(".json"):  # of which there is one
                return "the report" if kind == "site.json" else kind.removesuffix(".json")
            return f"{count} {kind.removesuffix('s') if count == 1 else kind}"

        kinds = sorted(self.left, key=[*USUAL, *self.left].index)
        return ", ".join(told(kind, self.left[kind]) for kind in kinds)

    def begin(self, kind: str, now: float | None = None) -> None:
        """The one before has ended, and one of this kind begins; it may be of no plan."""
        now = time.monotonic() if now is None else now
        if self.at:
            before, since = self.at
            self.made[before] += 1
            self.spent[before] += now - since
        self.at = kind, now
        # what was planned and is made by the way, or after all not at all, is no longer waited for
        for earlier in takewhile(lambda each: each != kind, USUAL if kind in USUAL else ()):
            self.total -= self.left.pop(earlier, 0)
        if not self.left[kind]:
            self.total += 1
        else:
            self.left[kind] -= 1

    def outlook(self, now: float | None = None) -> str:
        """How many of all are made, and about how long the others will take."""
        now = time.monotonic() if now is None else now
        taken = sum(self.spent.values())
        usual = sum(USUAL.get(kind, 1.0) * count for kind, count in self.made.items())
        if not self.left.total():
            return f"the last of {self.total}"
        done = f"{self.made.total()} of {self.total}"
        if not self.at or self.made.total() < FIRST:
            return done
        pace = taken / usual

        def each(kind: str) -> float:
            if self.made[kind]:
                return self.spent[kind] / self.made[kind]
            return pace * USUAL.get(kind, 1.0)

        kind, since = self.at
        left = sum(each(later) * count for later, count in self.left.items())
        left += max(each(kind) - (now - since), 0.0)
        return f"{done}, about {duration(left)} left"


FIRST = 3
"""What must be made before anything is said of time: the first training may be an odd one."""

USUAL = {
    "networks": 3.0,
    "features": 0.5,
    "comparisons": 2.7,
    "causes": 7.0,
    "probes": 0.5,
    "concepts": 1.6,
    "pairwise": 2.0,
    "gazes": 0.2,
    "findings.json": 3.5,
    "renderings": 2.0,
    "thumbnails": 0.5,
    "site.json": 15.0,
}
"""Seconds that one of a kind takes on the demonstration, of which only the ratios matter; in the
order in which they are made."""


def notebook_bar(title: str) -> Advance | None:
    """In a notebook, what draws a bar below the cell as work advances; elsewhere None.

    It is drawn when the work first tells how far it is.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if not hasattr(shell, "kernel"):  # a terminal has no place for it
        return None
    shown = import_module("IPython.display")  # it has types in part, and may not be there
    shown.display({"text/plain": title, "text/html": escape(title)}, raw=True)
    bars: list[Any] = []

    def advance(done: int, total: int, *_: object) -> None:
        if not bars:
            bars.append(shown.ProgressBar(total))
            bars[0].display()
        bars[0].progress = done

    return advance


def _ignore(*_: object) -> None:
    pass


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(0.3), duration(42), duration(200), duration(20_000), duration(200_000)
    ('0.3 s', '42 s', '3 min 20 s', '5 h 33 min', '2 d 7 h')
    """
    if seconds < 9.5:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 100:
        hours, minutes = divmod(minutes, 60)
        days, hours_left = divmod(hours, 24)
        return f"{days} d {hours_left} h" if hours >= 48 else f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
