"""What the template of two studies side by side may see."""

from dataclasses import dataclass

from overpaint.report.parts.rows import Cell, Figure


@dataclass(frozen=True, kw_only=True)
class StudyLine:
    """One of the two studies."""

    name: str
    summary: str
    missing: str  # how much failed or is missing; "" where nothing is


@dataclass(frozen=True, kw_only=True)
class SharedDataset:
    """A dataset of both studies and whether its pictures are the same."""

    name: str
    first: str
    second: str
    same: str


@dataclass(frozen=True, kw_only=True)
class SharedScore:
    """A network that both studies scored on one dataset and split."""

    network: str
    score: str
    first: Cell
    second: Cell
    difference: str  # second minus first, in points
    overlap: str


@dataclass(frozen=True, kw_only=True)
class SharedChange:
    """A comparison that both studies made."""

    name: str
    first: Cell
    second: Cell
    difference: str
    apart: str  # the layers whose intervals do not overlap


@dataclass(frozen=True, kw_only=True)
class SharedFinding:
    """A statement put to the same thing in both studies."""

    statement: str
    subject: str
    first: str  # the verdict
    second: str
    first_value: Cell
    second_value: Cell


@dataclass(frozen=True, kw_only=True)
class SettingDifference:
    """A setting in which networks of one name differ."""

    network: str
    setting: str
    first: str
    second: str


@dataclass(frozen=True, kw_only=True)
class Unshared:
    """What only one of two studies has."""

    kind: str
    first: tuple[str, ...]
    second: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AgainstPage:
    """The page of two studies."""

    first: str
    second: str
    studies: tuple[StudyLine, ...]
    datasets: tuple[SharedDataset, ...]
    scores: tuple[SharedScore, ...]
    scores_data: str | None
    changes: tuple[SharedChange, ...]
    figures: tuple[Figure, ...]
    undrawn: str
    findings: tuple[SharedFinding, ...]
    settings: tuple[SettingDifference, ...]
    unshared: tuple[Unshared, ...]
