"""The page of a comparison: charts by layer, chosen channels, the channels that specialised."""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from overpaint.records import ChannelRow, LayerRow, MaximalRow, RenderingRow, StudyFolder
from overpaint.report import charts
from overpaint.report.reader import rows
from overpaint.report.reading import ComparisonRecords
from overpaint.report.rows import (
    Card,
    Cell,
    ChannelLine,
    ComparisonPage,
    Figure,
    LayerLine,
    Link,
    Picture,
    Side,
    Thumb,
)
from overpaint.report.site import Site, no_figure
from overpaint.report.together import best_picture, together
from overpaint.report.words import ABSENT, count, counted, listed, number, p_value, percent, slug

CARDS = 150
"""The most channels that get a card of their own; a page has to stay light."""

CONCENTRATED = 30
"""The rows of the table of channels."""


def anchor(layer: str, channel: int) -> str:
    """The anchor of a channel on the page of a comparison.

    >>> anchor("mixed4d", 164)
    'mixed4d-164'
    """
    return f"{slug(layer)}-{channel}"


def comparison_page(site: Site, folder: StudyFolder, found: ComparisonRecords) -> ComparisonPage:
    """All that the page of a comparison shows."""
    shown = found.shown[:CARDS]
    more = len(found.shown) - len(shown)
    missing = list(found.notes)
    cards = tuple(_card(site, folder, found, *each, missing) for each in shown)
    return ComparisonPage(
        found.before,
        found.after,
        summary(found),
        tuple(_figures(site, found)) if not found.failed else (),
        tuple(_layer_lines(found)),
        cards,
        f"{counted(more, 'more chosen channel')} only in the table of channels." if more else "",
        tuple(_channel_line(row, found.shown[:CARDS]) for row in _most_concentrated(found)),
        tuple(_remarks(found)),
        tuple(_tables(site, found)),
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
    )


# --- charts ------------------------------------------------------------------------------------


def _figures(site: Site, found: ComparisonRecords) -> list[Figure]:
    makers = [
        ("cka", "How alike the two networks see", _similarity),
        ("weights", "How far the weights moved", _weights),
        ("overlap", "How many maximal activation images stayed", _overlap),
        ("entropy", "How pure the channels are, before and after", _entropy),
        ("scatter", "Channel by channel", _scatter),
    ]
    figures = []
    for name, title, make in makers:
        figure = make(site, f"comparisons/{found.name}/{name}", title, found)
        figures.append(figure or no_figure(name, title, _why_not(found, name)))
    return figures


def _why_not(found: ComparisonRecords, name: str) -> str:
    if found.facts.get("multi_label") and name in ("entropy", "scatter"):
        return "Class entropy is defined for one label a picture only."
    return "Nothing to draw: no record of it is left."


def _similarity(site: Site, place: str, title: str, found: ComparisonRecords) -> Figure | None:
    long = pd.concat(
        [
            found.layers[["layer", column, f"{column}_low", f"{column}_high"]]
            .set_axis(["layer", "value", "low", "high"], axis=1)
            .assign(what=what)
            for column, what in [("cka", "biased (the paper’s)"), ("cka_debiased", "debiased")]
        ],
        ignore_index=True,
    ).dropna(subset="value")
    if long.empty:
        return None
    n = count(found.layers["n_images"].max())
    first, last = long.iloc[0], long[long["what"] == long["what"].iloc[0]].iloc[-1]
    return site.figure(
        place,
        title,
        f"At 1 both networks arrange the {n} test pictures in the same way, whatever single "
        "channels do; the lower, the more the layer changed. The bands are 95\xa0% jackknife "
        "intervals over pictures; debiased CKA corrects for few pictures and many channels.",
        f"Linear CKA by layer: {number(first['value'])} at {first['layer']}, "
        f"{number(last['value'])} at {last['layer']}.",
        charts.similarity(long),
        long,
    )


def _weights(site: Site, place: str, title: str, found: ComparisonRecords) -> Figure | None:
    weights = found.weights.dropna(subset="l2")
    if weights.empty:
        return None
    most = weights.nlargest(1, "l2").iloc[0]
    same = int((weights["l2"] == 0).sum())
    unmoved = f" Identical, at exactly 0: {same} of {len(weights)}." if same else ""
    return site.figure(
        place,
        title,
        "Above, the Frobenius norm of the difference of the weights before and after; below, the "
        f"same divided by the norm before. One stem for each of {len(weights)} parametrised "
        f"layers, {count(weights['parameters'].sum())} parameters in all.{unmoved}",
        f"Weight distance by layer; the largest is {number(most['l2'])} at {most['layer']}.",
        charts.weight_distance(weights),
        weights,
    )


def _overlap(site: Site, place: str, title: str, found: ComparisonRecords) -> Figure | None:
    table = charts.boxes(found.channels, {"overlap": "overlap"}, found.order)
    if table.empty:
        return None
    table = charts.with_chance(table, found.channels, "overlap_chance")
    return site.figure(
        place,
        title,
        f"The share of a channel’s {count(found.facts.get('k'))} maximal activation images that it "
        f"keeps, over {counted(int(table['channels'].sum()), 'channel')}: {BOX} "
        "The thin line across is chance: two random choices of so many pictures.",
        _box_alt("Overlap of the maximal activation images", table),
        charts.box_plots(table, "overlap", ["overlap"]),
        table,
    )


BOX = (
    "the bar is the median channel, the box the middle half, the whiskers reach from the 5th to "
    "the 95th percentile."
)


def _entropy(site: Site, place: str, title: str, found: ComparisonRecords) -> Figure | None:
    columns = {"entropy_before": "before", "entropy_after": "after"}
    table = charts.boxes(found.channels, columns, found.order)
    if table.empty:
        return None
    table = charts.with_chance(table, found.channels, "entropy_chance")
    return site.figure(
        place,
        title,
        "Class entropy of a channel’s maximal activation images, divided by its maximum: 0 when "
        f"all show one class, 1 when all {count(found.facts.get('classes'))} classes are equally "
        f"frequent. Over {counted(int(table['channels'].max()), 'channel')} a layer at most: {BOX} "
        "The thin line across is the entropy of as many random pictures.",
        _box_alt("Normalised class entropy before and after", table),
        charts.box_plots(table, "class entropy", list(columns.values())),
        table,
    )


def _box_alt(what: str, table: pd.DataFrame) -> str:
    last = table.iloc[-1]
    return (
        f"{what} by layer, as box plots; median {number(table.iloc[0]['median'])} at "
        f"{table.iloc[0]['layer']}, {number(last['median'])} at {last['layer']}."
    )


def _scatter(site: Site, place: str, title: str, found: ComparisonRecords) -> Figure | None:
    columns = ["layer", "channel", "overlap", "entropy_after"]
    every = found.channels[columns].dropna()
    if every.empty:
        return None
    drawn = charts.evenly(every, "entropy_after")
    sample = f", a sample even by rank of the entropy, of {count(len(every))} channels"
    sample = sample if len(drawn) < len(every) else ""
    return site.figure(
        place,
        title,
        f"A point for each of {count(len(drawn))} channels{sample}; low and to the "
        "left are channels that left their old pictures for those of few classes.",
        f"Scatter plot of overlap and class entropy after, {count(len(drawn))} channels.",
        charts.scatter(drawn, found.order),
        drawn,
    )


# --- tables ------------------------------------------------------------------------------------


def _tables(site: Site, found: ComparisonRecords) -> list[Link]:
    tables = {
        "layers": found.layers,
        "weight distance": found.weights,
        "channels": found.channels,
        "maximal activation images shown": found.maximal,
    }
    place = f"comparisons/{found.name}/table"
    return [
        Link(name, site.data(f"{place}-{name.split()[0]}", frame))
        for name, frame in tables.items()
        if not frame.empty
    ]


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
        layer,
        (
            *_cka_cells(row),
            Cell(number(overlap), f"chance {number(_median(channels['overlap_chance']))}"),
            Cell(
                f"{number(before)} → {number(after)}",
                f"chance {number(_median(channels['entropy_chance']))}",
            ),
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


def _most_concentrated(found: ComparisonRecords) -> list[ChannelRow]:
    told = found.channels.dropna(subset="concentration")
    return rows(told.nlargest(CONCENTRATED, "concentration"), ChannelRow)


def _channel_line(row: ChannelRow, carded: Sequence[tuple[str, int]]) -> ChannelLine:
    here = anchor(row.layer, row.channel)
    has_card = (row.layer, row.channel) in carded
    return ChannelLine(
        None if has_card else here,
        Link(f"{row.layer}:{row.channel}", f"#{here}" if has_card else None),
        (
            Cell(number(row.concentration)),
            Cell(number(row.entropy_before)),
            Cell(number(row.entropy_after), f"chance {number(row.entropy_chance)}"),
            Cell(number(row.overlap), f"chance {number(row.overlap_chance)}"),
            Cell(row.top_class_before or ABSENT, percent(row.top_share_before)),
            Cell(row.top_class_after or ABSENT, percent(row.top_share_after)),
        ),
    )


def _remarks(found: ComparisonRecords) -> list[str]:
    odd = found.channels[found.channels["status"].fillna("ok") != "ok"]
    remarks = [
        f"{counted(number_of, 'channel')} of {count(len(found.channels))}: {status}."
        for status, number_of in odd["status"].value_counts().sort_index().items()
    ]
    layers = found.layers[found.layers["status"].fillna("ok") != "ok"]
    remarks += [f"{row.layer}: {row.status}." for row in layers.itertuples()]
    weights = found.weights["l2"].dropna()
    if len(weights) and (weights == 0).all():
        remarks.append("The weights of the two networks are identical.")
    return remarks


# --- cards -------------------------------------------------------------------------------------


def _card(
    site: Site,
    folder: StudyFolder,
    found: ComparisonRecords,
    layer: str,
    channel: int,
    missing: list[str],
) -> Card:
    maximal = rows(_of_channel(found.maximal, layer, channel), MaximalRow)
    before, after = ({row.image for row in maximal if row.network == side} for side in SIDES)
    sides = []
    for side, network in zip(SIDES, (found.before, found.after), strict=True):
        rendering, caption = _rendering(site, folder, found, network, layer, channel)
        if rendering is not None:
            caption += best_picture(found, side, network, layer, channel)
        else:
            missing.append(f"{layer}:{channel} of {network}: {caption}.")
        of_side = [row for row in maximal if row.network == side]
        thumbs = tuple(_thumb(site, folder, found, row, before & after) for row in of_side)
        lost = sum(thumb.picture is None for thumb in thumbs)
        if lost:
            missing.append(f"{layer}:{channel} of {network}: {counted(lost, 'thumbnail')} missing.")
        sides.append(Side(network, rendering, caption, thumbs))
    told = rows(_of_channel(found.channels, layer, channel), ChannelRow)
    numbers = _numbers(told[0]) if told else ()
    remark = _card_remark(told[0], found.facts.get("k")) if told else "no record of its numbers"
    shared = together(site, folder, found, layer, channel)
    return Card(anchor(layer, channel), layer, channel, tuple(sides), numbers, remark, shared)


SIDES = ("before", "after")


def _of_channel(frame: pd.DataFrame, layer: str, channel: int) -> pd.DataFrame:
    return frame[(frame["layer"] == layer) & (frame["channel"] == channel)]


def _rendering(
    site: Site,
    folder: StudyFolder,
    found: ComparisonRecords,
    network: str,
    layer: str,
    channel: int,
) -> tuple[Picture | None, str]:
    if network not in found.renderings:
        return None, "no feature visualisation was asked for"
    told = rows(_of_channel(found.renderings[network], layer, channel), RenderingRow)
    picture = rendering(site, folder, network, layer, channel)
    if not told or picture is None:
        return picture, "the feature visualisation is missing"
    row: RenderingRow = told[0]
    rose = f"objective {number(row.objective_start, 2)} → {number(row.objective_end, 2)}"
    return picture, rose if row.status == "ok" else f"{rose}; {row.status}"


def rendering(
    site: Site, folder: StudyFolder, network: str, layer: str, channel: int
) -> Picture | None:
    """The feature visualisation of a channel, copied into the site; None when there is none."""
    below = folder.renderings(network)
    path = below / layer / f"{channel}.png"
    inside = path.resolve().is_relative_to(below.resolve())
    return site.rendering(path, network, layer, channel) if inside else None


def _thumb(
    site: Site,
    folder: StudyFolder,
    found: ComparisonRecords,
    row: MaximalRow,
    shared: set[str],
) -> Thumb:
    dataset = str(found.facts.get("dataset", ""))
    known = re.fullmatch(r"[0-9a-f]{24,64}", row.digest or "")
    source = folder.thumbnail(dataset, row.digest) if known else None
    picture = site.thumbnail(source, dataset, row.image) if source else None
    return Thumb(picture, row.image, row.label or ABSENT, row.image in shared)


def _numbers(row: ChannelRow) -> tuple[tuple[str, Cell], ...]:
    moved = "identical" if row.filter_change == 0 else number(row.filter_change)
    return (
        (
            "Overlap",
            Cell(
                number(row.overlap),
                f"chance {number(row.overlap_chance)}, {p_value(row.overlap_p)}",
            ),
        ),
        (
            "Class entropy",
            Cell(
                f"{number(row.entropy_before)} → {number(row.entropy_after)}",
                f"chance {number(row.entropy_chance)}",
            ),
        ),
        (
            "Leading class before",
            Cell(row.top_class_before or ABSENT, percent(row.top_share_before)),
        ),
        ("Leading class after", Cell(row.top_class_after or ABSENT, percent(row.top_share_after))),
        ("Filter change", Cell(moved, "relative L1" if row.filter_change is not None else "")),
    )


def _card_remark(row: ChannelRow, k: int | None) -> str:
    few = [
        f"only {counted(n, 'positive image')} {side}"
        for side, n in [("before", row.n_before), ("after", row.n_after)]
        if k is not None and n is not None and n < k
    ]
    odd = [] if row.status in ("ok", None) else [row.status]
    return f"{listed([*odd, *few])}." if odd or few else ""
