"""The page of a comparison: charts by layer, chosen channels, the channels that specialised."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from overpaint.defaults import LEVEL
from overpaint.measures.specialists import specialised
from overpaint.records import ChannelRow, LayerRow, MaximalRow, WeightRow
from overpaint.report.charts.comparison import comparison_figures
from overpaint.report.pages.channel import (
    SHORT,
    Card,
    Channels,
    Unit,
    anchor,
    in_words,
    leading,
    most_specialised,
)
from overpaint.report.pages.gaze import Gaze, gaze
from overpaint.report.pages.label import Classes
from overpaint.report.pages.map import why_none
from overpaint.report.pages.mattered import Mattered, beside_luck, what_mattered
from overpaint.report.parts.gallery import Gallery, marks
from overpaint.report.parts.maximal import SIDES, Maximal
from overpaint.report.parts.rows import Cell, Figure, Link
from overpaint.report.parts.text import (
    ABSENT,
    count,
    counted,
    listed,
    number,
    of_groups,
    percent,
    q_value,
    slug,
    times,
)
from overpaint.report.site.files import Site
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import ComparisonRecords

CARDS = 150
"""The most channels that get a card of their own; a page has to stay light."""

UNCHOSEN = 8
"""The cards where no channel was chosen to be drawn: of those that specialised most."""

CONCENTRATED = 30
"""The rows of the table of channels."""


@dataclass(frozen=True, kw_only=True)
class LayerLine:
    """A layer in the table of layers."""

    id: str
    link: Link
    cells: tuple[Cell, ...]
    remark: str

    @classmethod
    def of(cls, comparison: ComparisonRecords, layer: str, row: LayerRow | None) -> "LayerLine":
        """The line of a layer; the numbers of its channels are those of the median channel."""
        channels = comparison.channels[comparison.channels["layer"] == layer]
        median = {
            name: float(values.median()) if len(values := channels[name].dropna()) else None
            for name in ("overlap", "overlap_chance", "overlap_matched", "entropy_before",
                         "entropy_after", "entropy_chance")
        }  # fmt: skip
        cka, debiased = Cell(ABSENT), Cell(ABSENT)
        if row:
            cka = Cell(number(row.cka), aside=_range(row.cka_low, row.cka_high))
            debiased = Cell(
                number(row.cka_debiased),
                aside=_range(row.cka_debiased_low, row.cka_debiased_high),
            )
        return cls(
            id=f"layer-{slug(layer)}",
            link=Link(layer, href=comparison.layer(layer)),
            cells=(
                cka,
                debiased,
                *((beside_luck(row),) if comparison.has_luck else ()),
                Cell(number(median["overlap"]), aside=f"chance {number(median['overlap_chance'])}"),
                Cell(number(median["overlap_matched"])),
                Cell(
                    f"{number(median['entropy_before'])} → {number(median['entropy_after'])}",
                    aside=f"chance {number(median['entropy_chance'])}",
                ),
                _specialised_cell(channels),
                Cell(count(len(channels) or (row.channels if row else None))),
            ),
            remark="" if row is None or row.status == "ok" else row.status,
        )


@dataclass(frozen=True, kw_only=True)
class DoubtLine:
    """A layer in the table of what its CKA may come from other than the training."""

    layer: str
    cells: tuple[Cell, ...]
    pictures: str  # that it hangs on most

    @classmethod
    def of(cls, row: LayerRow) -> "DoubtLine":
        """The line of a layer."""
        return cls(
            layer=row.layer,
            cells=(
                Cell(number(row.cka), aside=f"permuted {number(row.cka_permuted)}"),
                Cell(number(row.cka_debiased)),
                Cell(number(row.cka_debiased_without)),
                Cell(number(row.cka_debiased_partial)),
            ),
            pictures=row.dominant or ABSENT,
        )


@dataclass(frozen=True, kw_only=True)
class WeightLine:
    """A kernel in the table of weights."""

    layer: str
    cells: tuple[Cell, ...]
    remark: str

    @classmethod
    def of(cls, row: WeightRow) -> "WeightLine":
        """The line of a kernel, with what chance would give beside each number that has it."""
        chance = f"chance {number(row.effective_rank_chance, 1)}"
        of_directions = f" of {count(row.directions)}" if row.directions else ""
        changed = row.effective_rank is not None
        return cls(
            layer=row.layer,
            cells=(
                Cell(count(row.parameters)),
                Cell(
                    number(row.l2),
                    aside=f"{times(row.beside_luck)} luck" if row.beside_luck is not None else "",
                ),
                Cell(number(row.l2_relative)),
                Cell(
                    f"{number(row.effective_rank, 1)}{of_directions}",
                    aside=chance if changed else "",
                ),
                Cell(number(row.stable_rank, 1)),
                Cell(
                    number(row.first_ten),
                    aside=f"chance {number(row.first_ten_chance)}" if changed else "",
                ),
                Cell(
                    count(row.intruders),
                    aside=f"unrelated {number(row.intruders_chance, 1)}" if changed else "",
                ),
            ),
            remark="" if row.status == "ok" else row.status,
        )


@dataclass(frozen=True, kw_only=True)
class ChannelLine:
    """A channel in the table of concentration."""

    id: str | None  # None where a card has the anchor
    link: Link
    cells: tuple[Cell, ...]

    @classmethod
    def of(cls, channels: Channels, row: ChannelRow, with_card: set[Unit]) -> "ChannelLine":
        """The line of a channel."""
        has_card = (row.layer, row.channel) in with_card
        classes = []  # each with its share, and how much more that is than in the split
        for first in (leading(row, side) for side in SIDES):
            lift = f", {number(first.lift, 1)}\xa0×" if first.lift is not None else ""
            share = f"{percent(first.share)}{lift}" if first.label else ""
            classes.append(Cell(first.label or ABSENT, aside=share))
        return cls(
            id=None if has_card else anchor(row.layer, row.channel),
            link=channels.link(row.layer, int(row.channel)),
            cells=(
                Cell(number(row.concentration), aside=q_value(row.specialised_q)),
                Cell(number(row.entropy_before)),
                Cell(number(row.entropy_after), aside=f"chance {number(row.entropy_chance)}"),
                Cell(number(row.overlap), aside=f"chance {number(row.overlap_chance)}"),
                *classes,
            ),
        )


@dataclass(frozen=True, kw_only=True)
class ClassCount:
    """A class in the list of classes: how many channels it leads."""

    link: Link
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class ComparisonPage:
    """The page of two networks."""

    name: str
    before: str
    after: str
    summary: str
    mattered: Mattered | None  # None where the comparison was not made
    figures: tuple[Figure, ...]
    layers: tuple[LayerLine, ...]
    luck: bool  # whether the change between two trainings of one route is known
    doubts: tuple[DoubtLine, ...]
    weights: tuple[WeightLine, ...]
    classes: tuple[ClassCount, ...]
    chosen: str  # what the channels of the cards are
    cards: tuple[Card, ...]
    more_cards: str
    gaze: Gaze | None  # None where the comparison was not made
    marks: str  # what is drawn over maximal images
    specialised: str  # what the channels below are
    channels: tuple[ChannelLine, ...]
    remarks: tuple[str, ...]
    data: tuple[Link, ...]
    map: Link | None
    no_map: str  # why there is none
    missing: tuple[str, ...]


def comparison_page(site: Site, classes: Classes, gallery: Gallery) -> ComparisonPage:
    """All that the page of a comparison shows."""
    channels = classes.channels
    comparison, chosen = channels.comparison, channels.comparison.facts.shown
    units = chosen[:CARDS] or most_specialised(comparison.channels, UNCHOSEN)
    layers = {row.layer: row for row in rows(comparison.layers, LayerRow)}
    measured = comparison.channels.dropna(subset="concentration")
    best = specialised(measured, LEVEL)
    if best.empty:
        best = measured.nlargest(CONCENTRATED, "concentration")
    missing = list(comparison.notes)
    cards = tuple(Card.of(channels, gallery, *unit, missing) for unit in units)
    rest = max(len(chosen) - len(cards), 0)
    return ComparisonPage(
        name=comparison.name,
        before=comparison.title_before,
        after=comparison.title_after,
        summary=summary(comparison),
        mattered=None if comparison.failed else what_mattered(site, classes.records, gallery),
        figures=() if comparison.failed else tuple(comparison_figures(site, comparison)),
        layers=tuple(
            LayerLine.of(comparison, layer, layers.get(layer)) for layer in comparison.order
        ),
        luck=comparison.has_luck,
        doubts=tuple(DoubtLine.of(row) for row in layers.values() if row.cka_permuted is not None),
        weights=tuple(WeightLine.of(row) for row in rows(comparison.weights, WeightRow)),
        classes=tuple(
            ClassCount(
                link=Link(label, href=comparison.label(label)),
                before=count(len(classes.led["before"].get(label, ()))),
                after=count(len(classes.led["after"].get(label, ()))),
            )
            for label in classes.order
        ),
        chosen="Chosen channels" if chosen else "The channels that specialised most",
        cards=cards,
        more_cards=(
            f"{counted(rest, 'more chosen channel')} only in the pages of the layers."
            if rest
            else ""
        ),
        gaze=None if comparison.manifest is None else gaze(site, gallery),
        marks=marks(side for card in cards for side in card.sides),
        specialised=_specialised_lead(comparison),
        channels=tuple(
            ChannelLine.of(channels, row, {*units})
            for row in rows(best.head(CONCENTRATED), ChannelRow)
        ),
        remarks=tuple(_remarks(comparison)),
        map=Link("Map of the pictures", href=comparison.map) if comparison.map else None,
        no_map=""
        if comparison.map or not comparison.manifest
        else why_none(comparison.facts.plane),
        data=tuple(_tables(site, classes, gallery.maximal, units)),
        missing=tuple(dict.fromkeys(missing)),
    )


def summary(comparison: ComparisonRecords) -> str:
    """What was compared, on what, in one sentence."""
    facts = comparison.facts
    if comparison.failed:
        failed = listed(map(comparison.study.title_of, comparison.failed))
        return f"This comparison was not made: {failed} failed."
    if comparison.manifest is None:
        return "This comparison has not been measured yet."
    left_out = ""
    if facts.duplicates:
        left_out = (
            f" {counted(facts.duplicates, 'picture')} of the latter "
            f"{'was' if facts.duplicates == 1 else 'were'} left out as the same file under "
            "another name."
        )
    n_groups = comparison.layers["n_groups"].max()
    groups = "" if pd.isna(n_groups) else f", {of_groups('', n_groups).strip()}"
    return (
        f"CKA on the {count(facts.n_cka)} pictures of {facts.dataset or ABSENT}/"
        f"{facts.cka_split or ABSENT}{groups}; the {count(facts.k)} maximal activation images "
        f"of each channel among the {count(facts.n_maximal)} of "
        f"{facts.maximal_split or ABSENT}; {counted(facts.classes or 0, 'class')}.{left_out}"
    )


# --- tables ------------------------------------------------------------------------------------


def _tables(site: Site, classes: Classes, maximal: Maximal, units: list[Unit]) -> Iterable[Link]:
    comparison = classes.channels.comparison
    tables = {
        "layers": comparison.layers,
        "weight distance": comparison.weights,
        "spectra of the change": comparison.spectra,
        "channels": comparison.channels,
        "classes": classes.table(),
        "responses to classes": comparison.responses,
        "maximal activation images shown": maximal_images(maximal, units),
    }
    place = f"comparisons/{comparison.name}/table"
    for name, frame in tables.items():
        if not frame.empty:
            yield Link(name, href=site.data(f"{place}-{name.split()[0]}", frame))


def maximal_images(maximal: Maximal, units: list[Unit]) -> pd.DataFrame:
    """The first maximal images of the chosen channels."""
    columns = [column.name for column in fields(MaximalRow) if column.name != "value"]
    table = pd.DataFrame(
        [
            [*unit, side, rank, *maximal.pictures[picture], *place]
            for unit in units
            for side, numbers, places in zip(
                SIDES, maximal.of(*unit), maximal.positions_of(*unit), strict=True
            )
            for rank, (picture, place) in enumerate(
                zip(numbers[:SHORT].tolist(), places[:SHORT].tolist(), strict=True), start=1
            )
        ],
        columns=columns,
    )
    places = table[["row", "column"]].astype("Int32")
    return table.assign(**places.where(places >= 0))


def _range(low: float | None, high: float | None) -> str:
    return f"{number(low)} to {number(high)}" if low is not None else ""


def _specialised_cell(channels: pd.DataFrame) -> Cell:
    """How many channels of a layer specialised, beside what single tests find and chance gives."""
    p, q = channels["specialised_p"].dropna(), channels["specialised_q"]
    if p.empty:
        return Cell(ABSENT)
    return Cell(
        f"{count((q <= LEVEL).sum())} of {count(len(p))}",
        aside=(
            f"{count((p <= LEVEL).sum())} at p\xa0≤\xa0{LEVEL}, "
            f"{count((p >= 1 - LEVEL).sum())} at p\xa0≥\xa0{1 - LEVEL}, "
            f"chance {number(LEVEL * len(p), 1)}"
        ),
    )


def _specialised_lead(comparison: ComparisonRecords) -> str:
    """What the table of channels is, how many of them may be there by chance, and what the numbers
    are to be held against: networks that merely differ go both ways.
    """
    q = comparison.channels["specialised_q"].dropna()
    p = comparison.channels["specialised_p"].dropna()
    below = int((q <= LEVEL).sum())
    if not below:
        least = f": the smallest q is {number(q.min())}" if len(q) else ""
        return (
            f"No channel concentrated more than labels scattered at random would make some of "
            f"{counted(len(q), 'channel')}{least}. These concentrated most."
        )
    return (
        f"{counted(below, 'channel')} of {count(len(q))} tested concentrated more than labels "
        f"scattered at random over the pictures would have made them, at a false discovery rate "
        f"of {percent(LEVEL)}: about {number(LEVEL * below, 1)} may be there by chance. "
        f"The surest stand first. One by one, {count((p <= LEVEL).sum())} became more "
        f"concentrated at p\xa0≤\xa0{LEVEL} and {count((p >= 1 - LEVEL).sum())} less, at "
        f"p\xa0≥\xa0{1 - LEVEL}; chance gives {number(LEVEL * len(p), 1)} each. Two networks that "
        "only differ, as two trainings from one start do, have as many of one kind as of the other."
    )


def _remarks(comparison: ComparisonRecords) -> list[str]:
    channels: pd.Series[Any] = comparison.channels["status"].fillna("ok")
    remarks = [
        f"{counted(n, 'channel')} of {count(len(channels))}: {in_words(str(status))}."
        for status, n in channels[channels != "ok"].value_counts().sort_index().items()
    ]
    layers = comparison.layers[comparison.layers["status"].fillna("ok") != "ok"]
    remarks += [f"{row.layer}: {row.status}." for row in layers.itertuples()]
    weights = comparison.weights["l2"].dropna()
    if len(weights) and (weights == 0).all():
        remarks.append("The weights of the two networks are identical.")
        if len(comparison.layers) and (comparison.layers["procrustes"] == 0).all():
            remarks.append("No change: at each layer both networks say the same of every picture.")
    return [*comparison.facts.notes, *remarks]
