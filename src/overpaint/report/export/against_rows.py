"""What the template of two studies side by side may see."""

from dataclasses import dataclass

from overpaint.report.parts.rows import Cell, Figure


@dataclass(frozen=True)
class BothScores:
    """A network that both studies scored on one dataset and split."""

    network: str
    score: str
    first: Cell
    second: Cell
    difference: str  # second minus first, in points
    overlap: str


@dataclass(frozen=True)
class BothDatasets:
    """A dataset of both studies and whether its pictures are the same."""

    name: str
    first: str
    second: str
    same: str


@dataclass(frozen=True)
class BothChanges:
    """A comparison that both studies made."""

    name: str
    first: Cell
    second: Cell
    difference: str
    apart: str  # the layers whose intervals do not overlap


@dataclass(frozen=True)
class BothFindings:
    """A statement put to the same thing in both studies."""

    statement: str
    subject: str
    first: str  # the verdict
    second: str
    first_value: Cell
    second_value: Cell


@dataclass(frozen=True)
class Only:
    """What only one of two studies has."""

    what: str
    first: tuple[str, ...]
    second: tuple[str, ...]


@dataclass(frozen=True)
class AgainstPage:
    """The page of two studies."""

    first: str
    second: str
    summaries: tuple[tuple[str, str, str], ...]  # study, what it did, what is missing of it
    datasets: tuple[BothDatasets, ...]
    scores: tuple[BothScores, ...]
    scores_data: str | None
    changes: tuple[BothChanges, ...]
    figures: tuple[Figure, ...]
    undrawn: str
    findings: tuple[BothFindings, ...]
    settings: tuple[tuple[str, str, str, str], ...]  # network, field, first, second
    only: tuple[Only, ...]
