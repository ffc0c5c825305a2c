"""The paper's statements, and what this study says of each."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from overpaint.records import FindingRow
from overpaint.report.parts.rows import Cell, FindingLine, FindingsPage, Link, Statement
from overpaint.report.parts.text import ABSENT, counted, listed, number, points
from overpaint.report.site.files import Site
from overpaint.report.study.reading import Records

PAGE = "findings.html"


class Stated(NamedTuple):
    """A statement, how it is tested, and what is said where nothing tests it."""

    title: str
    reading: str
    nothing: str


STATEMENTS = {
    "layers": Stated(
        title="Low layers change less than high ones",
        reading=(
            "Spearman’s rank correlation of debiased CKA with depth, −1 to 1: below 0, the deeper"
            " a layer the more it changed. The interval is that of random halves of the pictures."
        ),
        nothing="No comparison is of a network and its training.",
    ),
    "classes": Stated(
        title="High layers concentrate classes",
        reading=(
            "Spearman’s rank correlation of a channel’s class entropy after the training with the"
            " depth of its layer: below 0, the deeper the fewer the classes that excite a "
            "channel. The interval is a bootstrap over the channels of each layer."
        ),
        nothing="No comparison is of a network and its training.",
    ),
    "classes_more": Stated(
        title="… and more so after the training than before",
        reading=(
            "The same correlation after the training minus that before: below 0, the training "
            "made the fall steeper. The interval is a bootstrap over the channels of each layer."
        ),
        nothing="No comparison is of a network and its training.",
    ),
    "filters": Stated(
        title="Filters specialise",
        reading=(
            "A channel’s fall of class entropy is held against labels dealt out at random, in a "
            "permutation test. The value is the share of channels that concentrated (p ≤ 0.05) "
            "minus the share that scattered (p ≥ 0.95): between two trainings of one start as "
            "many do one as the other. The interval is a bootstrap over the channels of each layer."
        ),
        nothing="No comparison is of a network and its training.",
    ),
    "double": Stated(
        title="Double fine-tuning helps",
        reading=(
            "The score of the route by way of another collection minus that of the direct route, "
            "on the same test pictures. Over repeated trainings the interval is Welch’s; where "
            "each route was trained once, it is a paired bootstrap over pictures."
        ),
        nothing=(
            "No two routes lead from one start to one collection, at once and by way of another. "
            "A study tests it with a child and a grandchild of one network, fitted to the same "
            "dataset."
        ),
    ),
    "control": Stated(
        title="Two trainings from one start differ less than training and start",
        reading=(
            "Mean debiased CKA over the layers of two trainings that differ by their seed only, "
            "minus that of one of them and its start: above 0, what the training did is more than"
            " luck. The interval is that of random halves of the pictures."
        ),
        nothing=(
            "No comparison is of two trainings that differ by their seed only. A study tests it "
            "with “repeats: 2” on a network NAME and the pairs [parent, NAME] and [NAME, NAME.2]."
        ),
    ),
}

VERDICTS = ("yes", "no", "undecided", "untested")


def findings_page(site: Site, records: Records) -> FindingsPage:
    """Every statement with its rows."""
    frame = pd.DataFrame(records.findings)
    data = site.data("findings", frame) if records.findings else None
    return FindingsPage(tuple(_statement(records, key) for key in STATEMENTS), data)


def _statement(records: Records, key: str) -> Statement:
    title, reading, nothing = STATEMENTS[key]
    own = [row for row in records.findings if row.statement == key]
    lines = tuple(_line(records, row) for row in own)
    measured = own[0].measured if own else ""
    return Statement(key, title, reading, together([row.verdict for row in own]), measured, lines,
                     "" if own else nothing)  # fmt: skip


def together(verdicts: list[str]) -> str:
    """Verdicts in a few words.

    >>> together([]), together(["yes"]), together(["no", "no"]), together(["yes", "no", "yes"])
    ('untested', 'yes', 'no, in 2 of 2', '2 yes and 1 no')
    """
    found = Counter(verdicts)
    if len(found) == 1:
        (verdict,) = found
        return (
            verdict if len(verdicts) == 1 else f"{verdict}, in {len(verdicts)} of {len(verdicts)}"
        )
    return (
        listed(f"{found[each]} {each}" for each in VERDICTS if found[each])
        if found
        else VERDICTS[-1]
    )


def _line(records: Records, row: FindingRow) -> FindingLine:
    told = VALUES.get(row.statement, number)
    n = counted(row.n, row.unit.removesuffix("s")) if row.n else ABSENT
    return FindingLine(
        _link(records, row),
        row.verdict,
        value_cell(row),
        ABSENT if row.chance is None else told(row.chance),
        n,
        row.remark,
    )


def value_cell(row: FindingRow) -> Cell:
    """The value of a finding with its interval."""
    told = VALUES.get(row.statement, number)
    within = "" if row.low is None else f"{told(row.low)} to {told(row.high)}"
    return Cell(ABSENT if row.value is None else told(row.value), within)


def _points(value: float | None) -> str:
    return ABSENT if value is None else f"{points(value)} points"


VALUES: dict[str, Callable[[float | None], str]] = {"filters": _points, "double": _points}


def _link(records: Records, row: FindingRow) -> Link:
    name = row.subject.replace(" → ", "--")
    found = records.comparisons.get(name)
    return Link(row.subject, found.address() if found else None)
