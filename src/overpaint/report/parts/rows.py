"""All that a template may see: rows of texts, pictures and addresses, already in words.

Addresses are relative to the site's root; the templates put the way to the root before them.
"""

from dataclasses import dataclass

from markupsafe import Markup


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
    downloads: tuple[Link, ...] = ()  # the chart as SVG, PNG and PDF
    definition: str = ""  # where what it shows is defined

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
    """A number that stands out, the sentence that it is from, and where to read on."""

    figure: Cell
    text: str
    link: Link


@dataclass(frozen=True)
class StatementLine:
    """A statement of the paper, and how often this study says yes to it."""

    link: Link
    verdict: str


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
    change: Link | None  # how much its training changed inside
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

    id: str
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
    """A dataset in the list, with what may make its scores doubtful."""

    id: str
    name: Link
    kind: str
    labels: str
    classes: str
    counts: tuple[str, ...]  # train, val, test
    left_out: str
    twice: str  # pictures in two splits
    known: str  # the share of a split that is of groups of train


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
class Overview:
    """The first page."""

    title: str
    summary: str
    missing: tuple[str, ...]
    won: tuple[Finding, ...]  # a dataset each
    changed: tuple[Finding, ...]  # a comparison each
    unchanged: str  # the comparisons that are only in the table
    changes: Figure | None  # None where nothing was compared
    exhibits: tuple[Exhibit, ...]
    statements: tuple[StatementLine, ...]
    tree: tuple[Node, ...]
    advice: AdviceTable | None
    scores: tuple[ScoreTable, ...]
    comparisons: tuple[ComparisonLine, ...]
    datasets: tuple[DatasetLine, ...]
    tables: tuple[tuple[str, tuple[Link, ...]], ...]  # what for a paper, and as what


# --- findings ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class FindingLine:
    """A statement put to one comparison or pair of routes."""

    link: Link
    verdict: str  # "yes", "no", "undecided", "untested"
    value: Cell
    chance: str
    n: str
    remark: str


@dataclass(frozen=True)
class Statement:
    """A statement of the paper with all that tests it; `nothing` says what would."""

    id: str
    title: str
    reading: str
    summary: str
    measured: str
    lines: tuple[FindingLine, ...]
    nothing: str


@dataclass(frozen=True)
class FindingsPage:
    """The page of the paper's statements."""

    statements: tuple[Statement, ...]
    data: str | None


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

    when: str  # "before" or "after"
    network: str
    rendering: Picture | None
    caption: str
    thumbs: Markup  # items of a list, one for each maximal image
    n: int
    lost: int  # maximal images without a thumbnail
    located: bool  # whether it is drawn over any where the channel responded


@dataclass(frozen=True)
class Fact:
    """A number of a channel, what qualifies it, and where it leads."""

    name: Link
    value: Link
    aside: str = ""


@dataclass(frozen=True)
class Card:
    """A chosen channel."""

    id: str
    link: Link
    layer: str
    channel: int
    sides: tuple[Side, ...]
    numbers: tuple[Fact, ...]
    remark: str


@dataclass(frozen=True)
class LayerLine:
    """A layer in the table of layers."""

    id: str
    link: Link
    cells: tuple[Cell, ...]
    remark: str


@dataclass(frozen=True)
class ChannelLine:
    """A channel in the table of concentration."""

    id: str | None  # None where a card has the anchor
    link: Link
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class LeadLine:
    """A class in the list of classes of a comparison: how many channels it leads."""

    link: Link
    before: str
    after: str


@dataclass(frozen=True)
class ComparisonPage:
    """The page of two networks."""

    name: str
    before: str
    after: str
    summary: str
    figures: tuple[Figure, ...]
    layers: tuple[LayerLine, ...]
    classes: tuple[LeadLine, ...]
    cards: tuple[Card, ...]
    uncarded: str
    seen: str  # what is drawn over maximal images
    specialised: str  # what the channels below are
    channels: tuple[ChannelLine, ...]
    remarks: tuple[str, ...]
    data: tuple[Link, ...]
    missing: tuple[str, ...]


# --- layer, channel, class ---------------------------------------------------------------------


@dataclass(frozen=True)
class Tile:
    """A channel in the grid of its layer; `told` is what a script may sort and choose by."""

    id: str
    link: Link
    before: Picture | None
    after: Picture | None
    told: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    leads: tuple[str, str]  # the leading class before and after
    remark: str


@dataclass(frozen=True)
class LayerPage:
    """The page of a layer: all its channels."""

    comparison: Link
    layer: str
    summary: str
    facts: tuple[Fact, ...]
    tiles: tuple[Tile, ...]
    classes: tuple[str, ...]  # those that lead a channel after, for a choice by script
    previous: Link | None
    next: Link | None
    missing: tuple[str, ...]


@dataclass(frozen=True)
class ChannelPage:
    """The page of a channel."""

    comparison: Link
    layer: Link
    channel: int
    summary: str
    sides: tuple[Side, ...]
    together: tuple[tuple[Picture, str], ...]
    facts: tuple[Fact, ...]
    ranks: tuple[Fact, ...]
    remark: str
    seen: str  # what is drawn over its maximal images
    previous: Link | None
    next: Link | None


@dataclass(frozen=True)
class LedLine:
    """A channel that a class leads."""

    link: Link
    picture: Picture | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Led:
    """The channels that a class leads in one of the networks, the largest share first."""

    when: str
    network: str
    n: str
    lines: tuple[LedLine, ...]
    more: str


@dataclass(frozen=True)
class ClassPage:
    """The page of a class in a comparison: the channels that speak for it."""

    comparison: Link
    label: str
    summary: str
    scores: tuple[Fact, ...]
    layers: tuple[tuple[Link, str, str, str], ...]  # layer, led before, led after, channels
    led: tuple[Led, ...]
    responding: tuple[tuple[str, tuple[LedLine, ...]], ...]  # by side
    previous: Link | None
    next: Link | None
    missing: tuple[str, ...]


# --- network -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Surest:
    """A picture with what it shows and what a network is surest that it shows."""

    picture: Picture | None
    image: str
    labels: str
    named: str
    probability: str


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
    mistakes: tuple[Surest, ...]
    hits: tuple[Surest, ...]
    failed: str
    remarks: tuple[str, ...]
    missing: tuple[str, ...]


# --- data --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClassLine:
    """A class of a dataset and how many pictures show it."""

    label: str
    cells: tuple[str, ...]  # train, val, test, all, share of the pictures


@dataclass(frozen=True)
class LeakLine:
    """What a split shares with train by its groups."""

    split: str
    cells: tuple[str, ...]  # pictures, of known groups, share, groups, named rightly, chance


@dataclass(frozen=True)
class DatasetSection:
    """A dataset on the page of the data."""

    id: str
    name: str
    fields: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]
    figure: Figure
    classes: tuple[ClassLine, ...]
    unnamed_classes: str
    leaks: tuple[LeakLine, ...]
    leaks_told: tuple[str, ...]  # a sentence a split that shares groups with train
    why: str  # the reasons for what was left out, counted
    reasons: tuple[tuple[str, str], ...]  # picture, reason
    unnamed: str  # how many more are only in the table
    twice: str
    places: tuple[tuple[str, str, str, str], ...]  # picture, split, the same picture, its split
    unnamed_twice: str
    twice_data: str | None
    data: str | None
    missing: tuple[str, ...]


@dataclass(frozen=True)
class DataPage:
    """The page of the data."""

    datasets: tuple[DatasetSection, ...]


# --- method ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Provenance:
    """An artefact and the digests that say what it is and what it was made from."""

    artefact: str
    key: str
    weights: str


@dataclass(frozen=True)
class RecipeLine:
    """A trained network and the fields of its recipe that not all share."""

    network: Link
    fields: tuple[str, ...]


@dataclass(frozen=True)
class MethodPage:
    """The page of definitions, settings and provenance."""

    settings: tuple[tuple[str, str], ...]  # of the study
    shared: tuple[tuple[str, str], ...]  # fields of the recipes that all networks share
    heads: tuple[str, ...]  # the other fields
    recipes: tuple[RecipeLine, ...]
    networks: tuple[tuple[str, ...], ...]  # names, architecture, parameters, preprocessing
    small: str  # what few pictures mean for CKA in this study
    charts: str  # what charts are written as
    versions: tuple[str, ...]
    hardware: tuple[str, ...]
    provenance: tuple[Provenance, ...]
    paper: str  # BibTeX
    program: str
