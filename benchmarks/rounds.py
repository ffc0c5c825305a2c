"""Ways to do one piece of work, taken in turn: what the benchmarks measure by.

A round takes every way once, so that whatever else the machine does meets them alike; a ratio is of
two ways in the same round. The first round warms up and does not count. A way that fails is told
with its error, and the others go on.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What is asked: that a way be at least so many times as fast as another."""

    way: str
    base: str
    least: float


@dataclass(frozen=True, kw_only=True)
class Case:
    """What the ways took for one piece of work."""

    title: str
    amount: float  # of a round, in units
    unit: str
    seconds: dict[str, list[tuple[float, float]]]  # of each round: the clock's, the processors'
    base: str  # the way that the others are compared with
    bars: list[Bar] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # way -> why
    remarks: list[str] = field(default_factory=list)

    def rate(self, way: str) -> tuple[float, float, float]:
        """Units a second by the clock: median, least, most."""
        rates = sorted(self.amount / clock for clock, _ in self.seconds[way])
        return statistics.median(rates), rates[0], rates[-1]

    def times(self, way: str, base: str, *, processors: bool = False) -> tuple[float, float, float]:
        """How many times as fast a way is as another, round by round: median, least, most."""
        ratios = sorted(
            bases[processors] / ways[processors]
            for ways, bases in zip(self.seconds[way], self.seconds[base], strict=True)
        )
        return statistics.median(ratios), ratios[0], ratios[-1]

    def show(self) -> None:
        """Print it."""
        print(f"{self.title} ({self.amount:g} {self.unit} a round)")
        for way in self.seconds:
            line = f"  {way:28} {self.rate(way)[0]:10.3g} {self.unit}/s"
            if self.base in self.seconds and way != self.base:
                clock, low, high = self.times(way, self.base)
                busy, *_ = self.times(way, self.base, processors=True)
                line += f", {clock:.2f} × {self.base} ({low:.2f} … {high:.2f})"
                line += f"; {busy:.2f} × by processors' time"
            print(line)
        for way, why in self.failed.items():
            print(f"  {way:28} failed: {why}")
        for bar in self.bars:
            if bar.way in self.seconds and bar.base in self.seconds:
                ratio, *_ = self.times(bar.way, bar.base)
                print(f"  asked: {bar.way} at least {bar.least:g} × {bar.base}: "
                      f"{ratio:.2f}, {'yes' if ratio >= bar.least else 'NO'}")  # fmt: skip
        for remark in self.remarks:
            print(f"  {remark}")
        print(end="", flush=True)


class Paced(NamedTuple):
    """Seconds that a way measured itself."""

    clock: float
    processors: float


Way = Callable[[int], object]
"""Called with the number of the round. What it returns does not count, unless it is `Paced`."""


def in_turn(
    ways: Mapping[str, Way], rounds: int, *, warm: bool = True
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, str]]:
    """The seconds of each way in each round, and why ways failed, which have none."""
    seconds: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    failed: dict[str, str] = {}
    for number in range(rounds + warm):
        for way, work in ways.items():
            if way in failed:
                continue
            begin, before = time.perf_counter(), time.process_time()
            try:
                measured = work(number)
            except Exception as error:  # whatever a peer does
                failed[way] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
                del seconds[way]
                continue
            whole = time.perf_counter() - begin, time.process_time() - before
            if number or not warm:
                seconds[way].append(tuple(measured) if isinstance(measured, Paced) else whole)
    return seconds, failed
