"""What a run says while it works: a line a stage, a bar for long work, time left.

On a terminal the bar moves; elsewhere each stage is one plain line when it ends, and one now and
then as long as it lasts.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[..., None]
"""Called with (done, of all) or (done, of all, a word on how it goes)."""

SILENCE = 30.0
"""Seconds, at most, without a word where there is no terminal."""


class Progressing:
    """Tells the stages of a run to a console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds: dict[str, float] = {}

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
        self.say(f"{title}  {duration(self.seconds[title])}")

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
        )
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(title, total=None, note="")

            def advance(done: int, total: int, note: str = "") -> None:
                bar.update(task, completed=done, total=total, note=note)

            yield advance


def notebook_bar(title: str) -> Advance | None:
    """In a notebook, what draws a bar below the cell as work advances; elsewhere None.

    It is drawn when the work first tells how far it is.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if not hasattr(shell, "kernel"):  # a terminal has no place for it
        return None
    from IPython.display import ProgressBar, display

    display({"text/plain": title, "text/html": escape(title)}, raw=True)
    bars: list[ProgressBar] = []

    def advance(done: int, total: int, *_: object) -> None:
        if not bars:
            bars.append(ProgressBar(total))
            bars[0].display()
        bars[0].progress = done

    return advance


def _ignore(*_: object) -> None:
    pass


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(0.3), duration(42), duration(200)
    ('0.3 s', '42 s', '3 min 20 s')
    """
    if seconds < 9.5:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
