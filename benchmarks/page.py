"""docs/performance.md, made from docs/performance.json.

    .venv/bin/python benchmarks/page.py

`make bench` does this at its end; a test checks that the page is what the file gives.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rounds import Bar, Case

JSON = Path(__file__).parents[1] / "docs/performance.json"

TOP = """\
# Speed

Written by `make bench` from `docs/performance.json`; do not edit. For each kind of work: overpaint,
its peers, and the limit, which is what nobody can do without. A round takes every way once, one
after the other, so that whatever else the machine did met them alike; a ratio is of two ways in the
same round, and above 1 where the way is the faster one. Figures are medians, with the least and the
most of all rounds in brackets; the first round warms up and does not count (of CKA all count). "By
processors" is the ratio of the time of all threads, which tells more where a machine does other
work besides, and does not see what worker processes do.

The peers come from PyPI into an environment of their own (`benchmarks/peers.txt`), with overpaint's
torch; torch-lucent is given what it needs to import beside libraries of today
(`benchmarks/render.py`). timm's training script is not on PyPI: "timm's pieces" is a loop of its
`create_loader` and `create_optimizer_v2` with a plain step between them, and
`make bench TIMM=FILE` adds the script itself. For the analysis of many pictures see
[scaling.md](scaling.md).
"""

NO_GPU = """\
## On a GPU

What `benchmarks/gpu.sh` gave on an H100 stands in [gpu.md](gpu.md). `make bench` on a machine with
a card that CUDA reaches adds a section for it here.
"""


def page(machines: Sequence[Mapping[str, Any]]) -> str:
    """The page: a section for each machine."""
    lines = [TOP]
    for run in machines:
        lines += section(run)
    if all(run["device"] == "cpu" for run in machines):
        lines.append(NO_GPU)
    return "\n".join(lines)


def section(run: Mapping[str, Any]) -> Iterator[str]:
    """The lines on one machine."""
    name = f"On {run['cores']} CPU cores" if run["device"] == "cpu" else f"On {run['device']}"
    versions = ", ".join(f"{name} {number}" for name, number in run["versions"].items())
    measured_with = (
        f"{run['processor']}, {run['cores']} cores, {run['memory']} GiB, {run['threads']} threads; "
        f"Python {run['python']}, {versions}. {run['date']}, `{run['command']}`, {run['rounds']} "
        f"rounds (CKA and rendering: 2), {run['took']} s; load before: {run['load']}."
    )
    yield from (f"## {name}", "", measured_with, "")
    parts = [(each, [read(case) for case in each["cases"]]) for each in run["parts"]]
    yield from (
        "| asked | by the clock | by processors | |",
        "|---|---|---|---|",
    )
    for part, cases in parts:
        for case in cases:
            for bar in case.bars:
                yield asked(part["part"], case, bar)
    yield ""
    for part, cases in parts:
        yield from (f"### {part['part'].capitalize().replace('Cka', 'CKA')}", "")
        if part["failed"]:
            yield from (f"Failed: {part['failed']}.", "")
        for case in cases:
            yield from table(case)


def read(case: Mapping[str, Any]) -> Case:
    """A case from its JSON."""
    return Case(**{**case, "bars": [Bar(**bar) for bar in case["bars"]]})


def asked(part: str, case: Case, bar: Bar) -> str:
    """A row on what was asked, and whether it is so."""
    text = f"| {part}, {case.title}: {bar.way} ≥ {bar.least:g} × {bar.base}"
    missing = [way for way in (bar.way, bar.base) if way not in case.seconds]
    if missing:
        return f"{text} | | | {' and '.join(missing)} failed |"
    clock, *_ = case.times(bar.way, bar.base)
    busy, *_ = case.times(bar.way, bar.base, processors=True)
    return f"{text} | {clock:.2f} | {busy:.2f} | {'yes' if clock >= bar.least else '**no**'} |"


def table(case: Case) -> Iterator[str]:
    """What the ways took."""
    unit = "seconds" if case.amount == 1 else f"{case.unit} a second"
    against = len(case.seconds) > 1 and case.base in case.seconds
    head = f" × {case.base} | by processors |" if against else ""
    yield from (
        f"**{case.title}**",
        "",
        f"| | {unit} |{head}",
        f"|---|---|{'---|---|' if against else ''}",
    )
    for way in case.seconds:
        if case.amount == 1:
            middle, most, least = (1 / rate for rate in case.rate(way))
        else:
            middle, least, most = case.rate(way)
        row = f"| {way} | {number(middle)} ({number(least)} … {number(most)}) |"
        if against and way != case.base:
            clock, low, high = case.times(way, case.base)
            busy, *_ = case.times(way, case.base, processors=True)
            row += f" {clock:.2f} ({low:.2f} … {high:.2f}) | {busy:.2f} |"
        elif against:
            row += " 1 | 1 |"
        yield row
    for way, why in case.failed.items():
        yield f"| {way} | failed: {why} |{' | |' if against else ''}"
    yield ""
    for remark in case.remarks:
        yield from (f"{remark[0].upper()}{remark[1:]}.", "")


def number(value: float) -> str:
    """Three digits that count.

    >>> number(1234.5), number(12.345), number(0.012345)
    ('1,234', '12.3', '0.0123')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    text = page(json.loads(JSON.read_text(encoding="utf-8")))
    JSON.with_suffix(".md").write_text(text, encoding="utf-8")
