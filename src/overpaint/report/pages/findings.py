"""The paper's statements, and what this study says of each."""

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from overpaint.findings import STATEMENTS
from overpaint.records import FindingRow
from overpaint.report.parts.rows import Cell, Link
from overpaint.report.parts.text import ABSENT, counted, listed, number, of_groups, points
from overpaint.report.parts.titles import titled
from overpaint.report.site.files import Site
from overpaint.report.study.reading import Records

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
            link=Link(
                titled(records.study, row.subject),
                href=comparison.address() if comparison else None,
            ),
            verdict=row.verdict,
            value=value_cell(row),
            chance=ABSENT if row.chance is None else _value(row, row.chance),
            n=of_groups(counted(row.n, row.unit.removesuffix("s")), row.n_groups)
            if row.n
            else ABSENT,
            remark=titled(records.study, row.remark),
        )


@dataclass(frozen=True, kw_only=True)
class StatementSection:
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

    statements: tuple[StatementSection, ...]
    missing: tuple[str, ...]
    data: str | None


def findings_page(site: Site, records: Records) -> FindingsPage:
    """Every statement with its rows."""
    statements = []
    for key, statement in STATEMENTS.items():
        rows = [row for row in records.findings if row.statement == key]
        section = StatementSection(
            id=key,
            title=statement.title,
            reading=statement.reading,
            summary=together([row.verdict for row in rows]),
            measured=rows[0].measured if rows else "",
            lines=tuple(FindingLine.of(records, row) for row in rows),
            nothing="" if rows else statement.nothing,
        )
        statements.append(section)
    frame = pd.DataFrame(records.findings)
    return FindingsPage(
        statements=tuple(statements),
        missing=tuple(note for note in records.notes if note.startswith("findings.json ")),
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
    statement = STATEMENTS.get(row.statement)
    if value is None or not (statement and statement.in_points):
        return number(value)
    return f"{points(value)} points"
