"""Kill a run anywhere, run it again: the folder is that of an unbroken run, byte by byte.

    python tests/faults/series.py            all series, some twenty minutes
    python tests/faults/series.py kills 5    the first five of one of them

Moments and operations are drawn from a seed. A trial is named by what befell it, so that it can be
had again.
"""

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from harness import COMMAND, STUDY, Ended, Warm, contents, difference, lay_out, seeded

CHANGED = STUDY.replace("epochs: 2", "epochs: 3").replace("maximal_images: 4", "maximal_images: 5")
"""The study after a change: trainings, and all that follows from them, are made anew."""

Fault = tuple[Any, ...]


@dataclass(kw_only=True)
class Trial:
    """What befalls runs of a study, one after the other; a plain run follows them."""

    faults: list[Fault]
    changed: bool = False  # the study has been run, and was changed then

    def __str__(self) -> str:
        befell = ", then ".join(" ".join(map(str, fault)) for fault in self.faults)
        return f"{befell}{' after a change' if self.changed else ''}"


@dataclass(kw_only=True)
class Bench:
    """A place where trials take place, and what unbroken runs leave there."""

    warm: Warm
    place: Path
    ends: list[Ended] = field(default_factory=list)  # of the last trial

    @property
    def out(self) -> Path:
        """The study folder, always at one place: some records name it."""
        return self.place / "out"

    def _run(self, *faults: Fault, log: bool = False) -> Ended:
        return self.warm.run(self.place, *COMMAND, faults=faults, log=log)

    def _unbroken(self) -> Ended:
        ended = self._run(log=True)
        assert ended.status == 0, ended.output
        return ended

    @cached_property
    def first(self) -> tuple[Ended, dict[str, str], list[str]]:
        """An unbroken run, what it leaves, and its file operations; the folder is kept beside."""
        shutil.rmtree(self.place, ignore_errors=True)
        lay_out(self.place)
        ended = self._unbroken()
        shutil.copytree(self.out, self.place.with_name("first"))
        return ended, contents(self.out), self._operations()

    @cached_property
    def second(self) -> tuple[Ended, dict[str, str], list[str]]:
        """The same of a run of the changed study in the folder of the first."""
        self.begin(changed=True)
        ended = self._unbroken()
        return ended, contents(self.out), self._operations()

    def _operations(self) -> list[str]:
        return Path(f"{self.place}.operations.log").read_text().splitlines()

    def begin(self, *, changed: bool) -> None:
        """The folder as it is before a trial."""
        _ = self.first
        shutil.rmtree(self.out, ignore_errors=True)
        lay_out(self.place, CHANGED if changed else STUDY)
        if changed:
            shutil.copytree(self.place.with_name("first"), self.out)

    def problems(self, trial: Trial) -> list[str]:
        """What is not as it should be after a trial."""
        unbroken = (self.second if trial.changed else self.first)[1]
        self.begin(changed=trial.changed)
        self.ends, problems = [], []
        for fault in trial.faults:
            ended = self._run(fault)
            self.ends.append(ended)
            problems += self._problems_of_end(ended, fault[-1])
        ended = self._run()
        if ended.status != 0:
            problems.append(f"the plain run ended with {ended.status}: {ended.output[-600:]}")
        return problems + difference(self.out, unbroken)

    def _problems_of_end(self, ended: Ended, signum: int) -> list[str]:
        problems = [f"left processes: {ended.children}"] if ended.children else []
        if "Traceback" in ended.output:
            problems.append(f"a traceback: {ended.output[-600:]}")
        if signum == signal.SIGKILL or ended.status == 0:  # or the end came first
            return problems
        if ended.status != 128 + signum:
            problems.append(f"status {ended.status}, signal {ended.signal}")
        if "overpaint: stopped by" not in ended.output or "the same command" not in ended.output:
            problems.append(f"does not say what is kept: {ended.output[-300:]!r}")
        left = [path.name for path in self.out.rglob(".*")
                if path.suffix in (".draft", ".json")]  # fmt: skip
        if left:
            problems.append(f"not swept: {left}")
        return problems

    # --- what befalls ----------------------------------------------------------------------------

    def moment(self, *name: object, signum: int = signal.SIGKILL, changed: bool = False) -> Fault:
        """A moment of a run that is seeded."""
        cpu = (self.second if changed else self.first)[0].cpu
        return ("at_cpu", round(seeded(0, *name).uniform(0.02, 0.97) * cpu, 3), int(signum))

    def operations(self, count: int, *, changed: bool = False) -> list[int]:
        """Numbers of file operations, of as many kinds as there are, those of the site last."""
        kinds: dict[tuple[str, ...], list[int]] = {}
        lines = (self.second if changed else self.first)[2]
        for line in lines[: -len(lines) // 10]:  # the next run may have some less
            number, event, path = line.split(" ", 2)
            parts = Path(path).relative_to(self.place).parts[1:] or ("",)
            suffix = "draft" if parts[-1].endswith(".draft") else Path(parts[-1]).suffix
            kinds.setdefault((event, parts[0], suffix), []).append(int(number))
        chance = seeded(1, count)
        order = sorted(kinds, key=lambda kind: (kind[1] == "site", chance.random()))
        numbers = [chance.choice(kinds[kind]) for kind in order]
        while len(numbers) < count:
            numbers.append(chance.choice(kinds[chance.choice(order)]))
        return numbers[:count]


def kills(bench: Bench) -> Iterator[Trial]:
    """SIGKILL at 25 moments and at 30 file operations."""
    for number in bench.operations(30):
        yield Trial(faults=[("at_operation", number, int(signal.SIGKILL))])
    for number in range(25):
        yield Trial(faults=[bench.moment("kill", number)])


def changes(bench: Bench) -> Iterator[Trial]:
    """Twenty kills of a run after a change."""
    for number in bench.operations(10, changed=True):
        yield Trial(faults=[("at_operation", number, int(signal.SIGKILL))], changed=True)
    for number in range(10):
        yield Trial(faults=[bench.moment("change", number, changed=True)], changed=True)


def repeated(bench: Bench) -> Iterator[Trial]:
    """Ten times four kills, one after the other."""
    for series in range(10):
        yield Trial(faults=[
            bench.moment("four", series, number) if number % 2 else
            ("at_operation", seeded(2, series, number).randrange(1, 900), int(signal.SIGKILL))
            for number in range(4)
        ])  # fmt: skip


def stops(bench: Bench) -> Iterator[Trial]:
    """SIGTERM and SIGINT, and SIGHUP now and then, at 15 moments and 15 file operations each."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        for index, number in enumerate(bench.operations(15)):
            hangup = signal.SIGHUP if index % 5 == 4 else signum
            yield Trial(faults=[("at_operation", number, int(hangup))])
        for number in range(15):
            yield Trial(faults=[bench.moment(signum.name, number, signum=signum)])


SERIES = {"kills": kills, "changes": changes, "repeated": repeated, "stops": stops}


def main(wanted: list[str]) -> int:
    """Carry series out; the number of trials after which anything was not as it should be."""
    wrong = count = 0
    most = int(wanted[1]) if len(wanted) > 1 else None
    with tempfile.TemporaryDirectory() as folder, Warm() as warm:
        bench = Bench(warm=warm, place=Path(folder).resolve() / "place")
        for name in [*SERIES] if not wanted else [wanted[0]]:
            for trial in list(SERIES[name](bench))[:most]:
                begin = time.monotonic()
                problems = bench.problems(trial)
                ends = ", ".join(f"{end.signal or end.status} in {end.seconds:.1f} s"
                                 for end in bench.ends)  # fmt: skip
                seconds = time.monotonic() - begin
                print(
                    f"{name}: {trial}: {ends}: {len(problems) or 'as unbroken'} ({seconds:.0f} s)"
                )
                for problem in problems[:8]:
                    print(f"    {problem}")
                sys.stdout.flush()
                count, wrong = count + 1, wrong + bool(problems)
    print(f"{count} trials, {wrong} of them not as unbroken")
    return wrong


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
