"""All that a template may see: rows of texts, pictures and addresses, already in words.

Addresses are relative to the site's root; the templates put the way to the root before them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """A word that leads somewhere, or only the word."""

    text: str
    href: str | None = None


@dataclass(frozen=True)
class Picture:
    """A picture in the site, with its size in pixels."""

    src: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class Figure:
    """A chart, how to read it, and the table that it is drawn from."""

    id: str
    title: str
    reading: str
    picture: Picture | None  # None: there was nothing to draw
    data: str | None

    @property
    def wide(self) -> bool:
        """Whether it needs the width of the page for itself."""
        return self.picture is not None and self.picture.width > 560


@dataclass(frozen=True)
class Cell:
    """A number of a table, and beneath it what qualifies it."""

    value: str
    aside: str = ""


# --- overview ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """A sentence with numbers, and where to read on."""

    text: str
    link: Link


@dataclass(frozen=True)
class Exhibit:
    """A channel worth looking at: what it saw before and after, in pictures and one sentence."""

    link: Link
    text: str
    before: Picture | None
    after: Picture | None


@dataclass(frozen=True)
class Repeat:
    """A network that differs from the one in whose box it stands by its seed only."""

    id: str
    link: Link
    score: str


@dataclass(frozen=True)
class Node:
    """A network in the lineage, the training that led to it, and what was trained from it."""

    id: str
    link: Link
    kind: str  # "trained", "loaded" or "random"; and "failed"
    origin: str
    training: str
    dataset: str
    score: Cell | None
    repeats: tuple[Repeat, ...]
    mean: str  # over the network and its repeats
    children: tuple["Node", ...]


@dataclass(frozen=True)
class ScoreLine:
    """A network or an ensemble in the score table."""

    network: Link
    route: str
    kind: str  # "", "repeat" of the one above, or "ensemble"
    cells: tuple[Cell, ...]
    n: str


@dataclass(frozen=True)
class RepeatLine:
    """The trainings of one route."""

    route: Link
    score: str
    n: str
    mean: str
    deviation: str
    range: str
    values: str


@dataclass(frozen=True)
class ScoreTable:
    """The networks that were scored on a dataset, best first, and the level of chance."""

    dataset: str
    split: str
    heads: tuple[str, ...]
    lines: tuple[ScoreLine, ...]
    chance: tuple[str, ...]
    figure: Figure
    unscored: tuple[str, ...]
    failed: tuple[str, ...]
    aside: str
    groups: str  # what the scores of known and unknown groups mean, where there are any
    repeated: tuple[RepeatLine, ...]
    apart: tuple[str, ...]  # how far two routes differ, a sentence each
    repeat_tables: tuple[Link, ...]


@dataclass(frozen=True)
class DatasetLine:
    """A dataset and what was left out of it."""

    id: str
    name: str
    kind: str
    labels: str
    classes: str
    counts: tuple[str, ...]  # train, val, test
    left_out: str
    reasons: tuple[tuple[str, str], ...]  # picture, reason
    unnamed: str  # how many more are only in the table
    data: str | None
    leaks: tuple[str, ...]  # a sentence a split
    twice: str
    places: tuple[tuple[str, str, str, str], ...]  # picture, split, the same picture, its split
    unnamed_twice: str
    twice_data: str | None


@dataclass(frozen=True)
class AdviceLine:
    """A start, for a dataset, and what the trainings from it gave."""

    on: str
    start: Link
    logme: str
    neighbours: Cell
    chance: str
    n: str
    given: tuple[Cell, ...]
    remark: str


@dataclass(frozen=True)
class AdviceTable:
    """What was advised before training."""

    lines: tuple[AdviceLine, ...]
    data: str


@dataclass(frozen=True)
class ComparisonLine:
    """A comparison in the list."""

    link: Link
    on: str
    cka: str
    debiased: str
    overlap: Cell
    most: Link
    least: Link


@dataclass(frozen=True)
class Provenance:
    """An artefact and the digests that say what it is and what it was made from."""

    artefact: str
    key: str
    weights: str


@dataclass(frozen=True)
class Overview:
    """The first page."""

    title: str
    summary: str
    findings: tuple[Finding, ...]
    exhibits: tuple[Exhibit, ...]
    tree: tuple[Node, ...]
    advice: AdviceTable | None
    scores: tuple[ScoreTable, ...]
    datasets: tuple[DatasetLine, ...]
    comparisons: tuple[ComparisonLine, ...]
    seed: str
    versions: tuple[str, ...]
    hardware: tuple[str, ...]
    provenance: tuple[Provenance, ...]
    missing: tuple[str, ...]


# --- comparison --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Thumb:
    """A maximal image."""

    picture: Picture | None  # None: no thumbnail was left
    image: str
    label: str
    shared: bool


@dataclass(frozen=True)
class Side:
    """A channel in one of the two networks: its feature visualisation and its maximal images."""

    network: str
    rendering: Picture | None
    caption: str
    thumbs: tuple[Thumb, ...]


@dataclass(frozen=True)
class Together:
    """What a channel wants of both networks: in both at once, or only after."""

    title: str
    picture: Picture | None
    caption: str


@dataclass(frozen=True)
class Card:
    """A chosen channel."""

    id: str
    layer: str
    channel: int
    sides: tuple[Side, ...]
    numbers: tuple[tuple[str, Cell], ...]
    remark: str
    together: tuple[Together, ...] = ()


@dataclass(frozen=True)
class LayerLine:
    """A layer in the table of layers."""

    id: str
    layer: str
    cells: tuple[Cell, ...]
    remark: str


@dataclass(frozen=True)
class ChannelLine:
    """A channel in the table of concentration."""

    id: str | None  # None where a card has the anchor
    link: Link
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ComparisonPage:
    """The page of two networks."""

    before: str
    after: str
    summary: str
    figures: tuple[Figure, ...]
    layers: tuple[LayerLine, ...]
    cards: tuple[Card, ...]
    uncarded: str
    channels: tuple[ChannelLine, ...]
    remarks: tuple[str, ...]
    data: tuple[Link, ...]
    missing: tuple[str, ...]


# --- network -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class NetworkPage:
    """The page of a trained network."""

    name: str
    summary: str
    fields: tuple[tuple[str, str], ...]
    scores: tuple[tuple[str, Cell], ...]
    figures: tuple[Figure, ...]
    several: bool  # labels a picture
    classes: tuple[tuple[str, ...], ...]
    classes_data: str | None
    confused: tuple[tuple[str, ...], ...]
    comparisons: tuple[Link, ...]
    siblings: tuple[Link, ...]  # itself and the others of its route, where it was repeated
    svm: tuple[tuple[str, ...], ...]
    svm_data: str | None
    failed: str
    remarks: tuple[str, ...]
    missing: tuple[str, ...]
