"""The page of a comparison: charts by layer, chosen channels, the channels that specialised."""

from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from overpaint.measures.specialised import specialised
from overpaint.records import ChannelRow, LayerRow, MaximalRow
from overpaint.report.charts.comparison import comparison_figures
from overpaint.report.pages.channel import (
    SHORT,
    Channels,
    Unit,
    anchor,
    card,
    channel_page,
    in_words,
)
from overpaint.report.pages.class_page import Classes, class_page, led_table
from overpaint.report.pages.layer import layer_page
from overpaint.report.parts.gallery import Gallery, seen
from overpaint.report.parts.maximal import SIDES, Maximal, read_maximal
from overpaint.report.parts.rows import (
    Cell,
    ChannelLine,
    ComparisonPage,
    LayerLine,
    Link,
)
from overpaint.report.parts.text import (
    ABSENT,
    count,
    counted,
    listed,
    number,
    percent,
    q_value,
    slug,
)
from overpaint.report.site.files import Site
from overpaint.report.site.incremental import digests
from overpaint.report.site.templates import Templates, root
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import ComparisonRecords, Records

CARDS = 150
"""The most channels that get a card of their own; a page has to stay light."""

CONCENTRATED = 30
"""The rows of the table of channels."""

DISCOVERY = 0.05
"""The share of the specialised channels that may be so by chance, and a single test's level."""


def compared(
    templates: Templates, records: Records, found: ComparisonRecords, *, charts_only: bool = False
) -> None:
    """Write the pages of a comparison, its layers, channels and classes, unless they stand.

    Of these, the page of the comparison has the charts.
    """
    files = templates.site.files
    made_from = _made_from(records, found, files.pictures_below)
    files.part(
        f"comparison {found.name}",
        made_from,
        lambda: _write(templates, records, found, charts_only),
    )


def _write(
    templates: Templates, records: Records, found: ComparisonRecords, charts_only: bool
) -> None:
    channels, maximal = Channels(found), read_maximal(found)
    gallery, classes = (
        Gallery(templates, records.folder, found, maximal),
        Classes(records, channels),
    )
    if not charts_only:
        _write_parts(templates, channels, gallery, classes)
    templates.page("comparison", found.address(), comparison_page(templates.site, classes, gallery))


def _write_parts(
    templates: Templates, channels: Channels, gallery: Gallery, classes: Classes
) -> None:
    found = channels.found
    for row in channels.rows.values():
        place = found.channel(row.layer, row.channel)
        templates.page("channel", place, channel_page(channels, gallery, row, root(place)))
    for layer in found.order:
        templates.page("layer", found.layer(layer), layer_page(channels, gallery, layer))
    for label in classes.order:
        templates.page("class", found.label(label), class_page(classes, gallery, label))


def _made_from(
    records: Records, found: ComparisonRecords, look: Callable[[Path], list[Any]]
) -> list[Any]:
    """All that the pages of a comparison depend on: a digest of each table, a look at pictures."""
    folder = records.folder
    dataset = str(found.facts.get("dataset", ""))
    named = [folder.study, folder.network(found.after) / "scores.json"]
    named += [folder.dataset(dataset) / "manifest.json"] if dataset in records.datasets else []
    pair = found.before, found.after
    drawn = [*map(folder.renderings, pair), folder.pair_renderings(*pair)]
    named += [place / "renderings.parquet" for place in drawn]
    tables = folder.comparison(*pair).glob("*")
    pictures = [*drawn, *([folder.thumbnails(dataset)] if dataset in records.datasets else [])]
    return [
        found.failed,
        digests(folder.root, sorted([*named, *tables])),
        [look(place) for place in pictures],
    ]


def comparison_page(site: Site, classes: Classes, gallery: Gallery) -> ComparisonPage:
    """All that the page of a comparison shows."""
    channels = classes.channels
    found, shown = channels.found, channels.found.shown[:CARDS]
    more = len(found.shown) - len(shown)
    missing = list(found.notes)
    cards = tuple(card(channels, gallery, *each, missing) for each in shown)
    return ComparisonPage(
        found.name,
        found.before,
        found.after,
        summary(found),
        tuple(comparison_figures(site, found)) if not found.failed else (),
        tuple(_layer_lines(found)),
        tuple(map(classes.line, classes.order)),
        cards,
        f"{counted(more, 'more chosen channel')} only in the pages of the layers." if more else "",
        seen(side for each in cards for side in each.sides),
        _specialised_lead(found),
        tuple(_channel_line(channels, row, {*shown}) for row in _listed_channels(found)),
        tuple(_remarks(found)),
        tuple(_tables(site, classes, gallery.maximal, shown)),
        tuple(dict.fromkeys(missing)),
    )


def summary(found: ComparisonRecords) -> str:
    """What was compared, on what, in one sentence."""
    facts = found.facts
    if found.failed:
        return f"This comparison was not made: {listed(found.failed)} failed."
    if not facts:
        return "This comparison has not been measured yet."
    return (
        f"CKA on the {count(facts.get('n_cka'))} pictures of {facts.get('dataset', ABSENT)}/"
        f"{facts.get('cka_split', ABSENT)}; the {count(facts.get('k'))} maximal activation images "
        f"of each channel among the {count(facts.get('n_maximal'))} of "
        f"{facts.get('maximal_split', ABSENT)}; {counted(int(facts.get('classes', 0)), 'class')}."
        f"{_duplicates(facts.get('duplicates'))}"
    )


def _duplicates(number_of: int | None) -> str:
    if not number_of:
        return ""
    return (
        f" {counted(number_of, 'picture')} of the latter "
        f"{'was' if number_of == 1 else 'were'} left out as the same file under another name."
    )


# --- tables ------------------------------------------------------------------------------------


def _tables(site: Site, classes: Classes, maximal: Maximal, shown: list[Unit]) -> Iterable[Link]:
    found = classes.channels.found
    tables = {
        "layers": found.layers,
        "weight distance": found.weights,
        "channels": found.channels,
        "classes": led_table(classes),
        "responses to classes": found.responses,
        "maximal activation images shown": _maximal_shown(maximal, shown),
    }
    place = f"comparisons/{found.name}/table"
    for name, frame in tables.items():
        if not frame.empty:
            yield Link(name, site.data(f"{place}-{name.split()[0]}", frame))


def _maximal_shown(maximal: Maximal, shown: list[Unit]) -> pd.DataFrame:
    """The first maximal images of the chosen channels."""
    columns = [each.name for each in fields(MaximalRow) if each.name != "value"]
    table = pd.DataFrame(
        [
            [*unit, side, rank, *maximal.pictures[at], *place]
            for unit in shown
            for side, numbers, places in zip(
                SIDES, maximal.of(*unit), maximal.positions_of(*unit), strict=True
            )
            for rank, (at, place) in enumerate(
                zip(numbers[:SHORT].tolist(), places[:SHORT].tolist(), strict=True), start=1
            )
        ],
        columns=columns,
    )
    places = table[["row", "column"]].astype("Int32")
    return table.assign(**places.where(places >= 0))


def _layer_lines(found: ComparisonRecords) -> list[LayerLine]:
    known = {row.layer: row for row in rows(found.layers, LayerRow)}
    return [_layer_line(found, layer, known.get(layer)) for layer in found.order]


def _layer_line(found: ComparisonRecords, layer: str, row: LayerRow | None) -> LayerLine:
    channels = found.channels[found.channels["layer"] == layer]
    overlap, before, after = (
        _median(channels[name]) for name in ("overlap", "entropy_before", "entropy_after")
    )
    return LayerLine(
        f"layer-{slug(layer)}",
        Link(layer, found.layer(layer)),
        (
            *_cka_cells(row),
            Cell(number(overlap), f"chance {number(_median(channels['overlap_chance']))}"),
            Cell(number(_median(channels["overlap_matched"]))),
            Cell(
                f"{number(before)} → {number(after)}",
                f"chance {number(_median(channels['entropy_chance']))}",
            ),
            _specialised_cell(channels),
            Cell(count(len(channels) or (row.channels if row else None))),
        ),
        "" if row is None or row.status == "ok" else row.status,
    )


def _cka_cells(row: LayerRow | None) -> tuple[Cell, Cell]:
    if row is None:
        return Cell(ABSENT), Cell(ABSENT)
    return (
        Cell(number(row.cka), _range(row.cka_low, row.cka_high)),
        Cell(number(row.cka_debiased), _range(row.cka_debiased_low, row.cka_debiased_high)),
    )


def _median(column: "pd.Series[Any]") -> float | None:
    values = column.dropna()
    return float(values.median()) if len(values) else None


def _range(low: float | None, high: float | None) -> str:
    return f"{number(low)} to {number(high)}" if low is not None else ""


def _specialised_cell(channels: pd.DataFrame) -> Cell:
    """How many channels of a layer specialised, beside what single tests find and chance gives."""
    p, q = channels["specialised_p"].dropna(), channels["specialised_q"]
    if p.empty:
        return Cell(ABSENT)
    return Cell(
        f"{count((q <= DISCOVERY).sum())} of {count(len(p))}",
        f"{count((p <= DISCOVERY).sum())} at p\xa0≤\xa0{DISCOVERY}, "
        f"{count((p >= 1 - DISCOVERY).sum())} at p\xa0≥\xa0{1 - DISCOVERY}, "
        f"chance {number(DISCOVERY * len(p), 1)}",
    )


def _specialised_lead(found: ComparisonRecords) -> str:
    """What the table of channels is, and how many of them may be there by chance."""
    tested = found.channels["specialised_q"].dropna()
    ours = int((tested <= DISCOVERY).sum())
    if not ours:
        least = f": the smallest q is {number(tested.min())}" if len(tested) else ""
        return (
            f"No channel concentrated more than labels scattered at random would make some of "
            f"{counted(len(tested), 'channel')}{least}. These concentrated most."
        )
    return (
        f"{counted(ours, 'channel')} of {count(len(tested))} tested concentrated more than labels "
        f"scattered at random over the pictures would have made them, at a false discovery rate "
        f"of {percent(DISCOVERY)}: about {number(DISCOVERY * ours, 1)} may be there by chance. "
        f"The surest stand first. {_other_way(found)}"
    )


def _other_way(found: ComparisonRecords) -> str:
    """What the numbers are to be held against: networks that merely differ go both ways."""
    p = found.channels["specialised_p"].dropna()
    more, less = ((p <= DISCOVERY).sum(), (p >= 1 - DISCOVERY).sum())
    return (
        f"One by one, {count(more)} became more concentrated at p\xa0≤\xa0{DISCOVERY} and "
        f"{count(less)} less, at p\xa0≥\xa0{1 - DISCOVERY}; chance gives "
        f"{number(DISCOVERY * len(p), 1)} each. Two networks that only differ, as two trainings "
        "from one start do, have as many of one kind as of the other."
    )


def _listed_channels(found: ComparisonRecords) -> list[ChannelRow]:
    """Those that specialised, or else those that concentrated most."""
    told = found.channels.dropna(subset="concentration")
    sure = specialised(told, DISCOVERY)
    best = sure if len(sure) else told.nlargest(CONCENTRATED, "concentration")
    return rows(best.head(CONCENTRATED), ChannelRow)


def _channel_line(channels: Channels, row: ChannelRow, carded: set[Unit]) -> ChannelLine:
    has_card = (row.layer, row.channel) in carded
    return ChannelLine(
        None if has_card else anchor(row.layer, row.channel),
        channels.link(row.layer, int(row.channel)),
        (
            Cell(number(row.concentration), q_value(row.specialised_q)),
            Cell(number(row.entropy_before)),
            Cell(number(row.entropy_after), f"chance {number(row.entropy_chance)}"),
            Cell(number(row.overlap), f"chance {number(row.overlap_chance)}"),
            _leading(row.top_class_before, row.top_share_before, row.top_lift_before),
            _leading(row.top_class_after, row.top_share_after, row.top_lift_after),
        ),
    )


def _leading(label: str | None, share: float | None, lift: float | None) -> Cell:
    """A class, its share of the maximal images, and how much more that is than in the split."""
    times = f", {number(lift, 1)}\xa0×" if lift is not None else ""
    return Cell(label or ABSENT, f"{percent(share)}{times}" if label else "")


def _remarks(found: ComparisonRecords) -> list[str]:
    odd = found.channels[found.channels["status"].fillna("ok") != "ok"]
    remarks = [
        f"{counted(number_of, 'channel')} of {count(len(found.channels))}: {in_words(str(status))}."
        for status, number_of in odd["status"].value_counts().sort_index().items()
    ]
    layers = found.layers[found.layers["status"].fillna("ok") != "ok"]
    remarks += [f"{row.layer}: {row.status}." for row in layers.itertuples()]
    weights = found.weights["l2"].dropna()
    if len(weights) and (weights == 0).all():
        remarks.append("The weights of the two networks are identical.")
        if len(found.layers) and (found.layers["procrustes"] == 0).all():
            remarks.append("No change: at each layer both networks say the same of every picture.")
    return [*map(str, found.facts.get("notes", [])), *remarks]
