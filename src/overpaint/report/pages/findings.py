"""The paper's statements, and what this study says of each."""

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from overpaint.records import FindingRow
from overpaint.report.parts.rows import Cell, Link
from overpaint.report.parts.text import ABSENT, counted, listed, number, points
from overpaint.report.site.files import Site
from overpaint.report.study.reading import Records


@dataclass(frozen=True, kw_only=True)
class Stated:
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


@dataclass(frozen=True, kw_only=True)
class FindingLine:
    """A statement put to one comparison or pair of routes."""

    link: Link
    verdict: str  # "yes", "no", "undecided", "untested"
    value: Cell
    chance: str
    n: str
    remark: str

    @classmethod
    def of(cls, records: Records, row: FindingRow) -> "FindingLine":
        """The line of a finding."""
        comparison = records.comparisons.get(f"{row.before}--{row.after}")
        return cls(
            link=Link(row.subject, href=comparison.address() if comparison else None),
            verdict=row.verdict,
            value=value_cell(row),
            chance=ABSENT if row.chance is None else _value(row, row.chance),
            n=counted(row.n, row.unit.removesuffix("s")) if row.n else ABSENT,
            remark=row.remark,
        )


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement of the paper with all that tests it; `nothing` says what would."""

    id: str
    title: str
    reading: str
    summary: str
    measured: str
    lines: tuple[FindingLine, ...]
    nothing: str


@dataclass(frozen=True, kw_only=True)
class FindingsPage:
    """The page of the paper's statements."""

    statements: tuple[Statement, ...]
    data: str | None


def findings_page(site: Site, records: Records) -> FindingsPage:
    """Every statement with its rows."""
    statements = []
    for key, stated in STATEMENTS.items():
        rows = [row for row in records.findings if row.statement == key]
        statement = Statement(
            id=key,
            title=stated.title,
            reading=stated.reading,
            summary=together([row.verdict for row in rows]),
            measured=rows[0].measured if rows else "",
            lines=tuple(FindingLine.of(records, row) for row in rows),
            nothing="" if rows else stated.nothing,
        )
        statements.append(statement)
    frame = pd.DataFrame(records.findings)
    return FindingsPage(
        statements=tuple(statements),
        data=site.data("findings", frame) if records.findings else None,
    )


def together(verdicts: list[str]) -> str:
    """Verdicts in a few words.

    >>> together([]), together(["yes"]), together(["no", "no"]), together(["yes", "no", "yes"])
    ('untested', 'yes', 'no, in 2 of 2', '2 yes and 1 no')
    """
    counts = Counter(verdicts)
    if not counts:
        return VERDICTS[-1]
    if len(verdicts) == 1:
        return verdicts[0]
    if len(counts) == 1:
        return f"{verdicts[0]}, in {len(verdicts)} of {len(verdicts)}"
    return listed(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])


def value_cell(row: FindingRow) -> Cell:
    """The value of a finding with its interval."""
    within = "" if row.low is None else f"{_value(row, row.low)} to {_value(row, row.high)}"
    return Cell(ABSENT if row.value is None else _value(row, row.value), aside=within)


def _value(row: FindingRow, value: float | None) -> str:
    """A value as its statement measures it: a correlation, or a difference in points."""
    if value is None or row.statement not in ("filters", "double"):
        return number(value)
    return f"{points(value)} points"
