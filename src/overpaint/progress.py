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
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

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
        if self.plan:
            self.plan.end()
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
        columns = columns_of(self.plan.outlook() if self.plan else "", self.console.width)
        with Progress(*columns, console=self.console, transient=True, expand=True) as bar:
            task = bar.add_task(title, total=None, note="")

            def advance(done: int, total: int, note: str = "") -> None:
                bar.update(task, completed=done, total=total, note=note)

            yield advance


def columns_of(outlook: str, width: int) -> tuple[ProgressColumn, ...]:
    """The columns of a bar. Where a terminal is narrow the bar is short, and then the title is cut:
    never a number.
    """
    numbers = 32 + len(outlook)  # a note, the time that is left, and the blanks between
    bar = max(4, min(40, width - numbers - TITLE))
    return (
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
        BarColumn(bar),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TextColumn(outlook, markup=False),
    )


TITLE = 60
"""Letters of a title for which a bar becomes shorter."""


class Plan:
    """What a run has to make, by kind, and how long what is left of it will take.

    >>> plan = Plan({"networks": 4, "site.json": 1})
    >>> plan.words()
    '4 networks, the report'
    >>> for number in range(4):
    ...     plan.begin("networks", now=8.0 * number)
    ...     plan.end(now=8.0 * number + 8.0)
    >>> plan.outlook(now=32.0)
    '4 of 5, about 15 s left'

    What was begun is made when its stage ends. What was not planned is not counted, and what was
    planned and is not made after all counts as made: so the whole stays what it was.

    A kind that was made before takes what one of it took on average. Of one that was not, it is
    reckoned from the demonstration: where networks are run, as much longer or shorter as what else
    ran networks here; the rest likewise.
    """

    def __init__(self, counts: Mapping[str, int]) -> None:
        self.left = Counter(counts)
        self.total = sum(counts.values())
        self.begun: Counter[str] = Counter()  # and not made yet
        self.counted = 0  # of what is begun, what was planned
        self.made: Counter[str] = Counter()
        self.spent: dict[str, float] = defaultdict(float)
        self.since: float | None = None

    def words(self) -> str:
        """What is left, in words."""

        def told(kind: str, count: int) -> str:
            if "." in kind:  # a file, of which there is one
                return "the report" if kind == "site.json" else kind.partition(".")[0]
            return f"{count} {kind.removesuffix('s') if count == 1 else kind}"

        kinds = sorted(self.left, key=[*USUAL, *self.left].index)
        return ", ".join(told(kind, self.left[kind]) for kind in kinds)

    def begin(self, kind: str, now: float | None = None) -> None:
        """One of this kind begins; it may be of no plan. Several of a kind may be made together."""
        now = time.monotonic() if now is None else now
        if self.begun and kind not in self.begun:
            self.end(now)
        if self.since is None:
            self.since = now
        # What was planned and is made by the way, or after all not at all, is no longer waited for;
        # features are made in the middle of other things too.
        if kind in USUAL and kind != "features":
            for earlier in takewhile(lambda each: each != kind, USUAL):
                self.left.pop(earlier, 0)
        if self.left[kind]:
            self.left[kind] -= 1
            self.counted += 1
        self.begun[kind] += 1

    def end(self, now: float | None = None) -> None:
        """What was begun is made."""
        now = time.monotonic() if now is None else now
        for kind, count in self.begun.items():
            share = count / self.begun.total()
            self.spent[kind] += (now - (now if self.since is None else self.since)) * share
            self.made[kind] += count
        if self.begun:
            self.since = now
        self.begun.clear()
        self.counted = 0

    def outlook(self, now: float | None = None) -> str:
        """How many of all are made, and about how long the others will take."""
        now = time.monotonic() if now is None else now
        waiting = self.left.total()
        if self.counted and not waiting:
            return f"the last of {self.total}"
        done = f"{self.total - waiting - self.counted} of {self.total}"
        if not waiting or self.made.total() < FIRST or self.since is None:
            return done
        left = sum(self._each(kind) * count for kind, count in self.left.items())
        at = sum(self._each(kind) * count for kind, count in self.begun.items())
        left += max(at - (now - self.since), 0.0)
        return f"{done}, about {duration(left)} left"

    def _each(self, kind: str) -> float:
        """Seconds that one of a kind takes here."""
        if self.made[kind]:
            return self.spent[kind] / self.made[kind]
        runs = kind in RUN_NETWORKS
        alike = [each for each in self.made if (each in RUN_NETWORKS) == runs]
        trusted = 0.0 if runs else TRUSTED
        usual = trusted + sum(USUAL.get(each, 1.0) * self.made[each] for each in alike)
        taken = trusted + sum(self.spent[each] for each in alike)
        return (taken / usual if usual else 1.0) * USUAL.get(kind, 1.0)


FIRST = 3
"""What must be made before anything is said of time: the first training may be an odd one."""

USUAL = {
    "networks": 3.0,
    "ensembles": 0.1,
    "repeats.json": 0.1,
    "features": 0.5,
    "comparisons": 2.7,
    "causes": 7.0,
    "probes": 0.5,
    "concepts": 1.6,
    "gazes": 0.2,
    "pairwise": 2.0,
    "findings.json": 3.5,
    "renderings": 2.0,
    "thumbnails": 0.5,
    "advice.parquet": 1.0,
    "site.json": 15.0,
}
"""Seconds that one of a kind takes on the demonstration, in the order in which they are made."""

TRUSTED = 5.0
"""Seconds of work on tables for which this machine counts as fast as that of the demonstration: a
few small files tell little."""

RUN_NETWORKS = ("networks", "features", "causes", "gazes", "renderings")
"""Kinds that take as long as their networks do; the others work on what was written of them."""


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
