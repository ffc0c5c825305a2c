"""The charts of a comparison, each with a sentence on how to read it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import altair as alt
import pandas as pd

from overpaint.report.charts import plots, tables
from overpaint.report.charts.drawing import link
from overpaint.report.parts.rows import Figure
from overpaint.report.parts.text import BIASED, count, counted, number, of_groups
from overpaint.report.site.files import Site, method, no_figure
from overpaint.report.study.reading import ComparisonRecords


def comparison_figures(site: Site, comparison: ComparisonRecords) -> list[Figure]:
    """Every chart of a comparison; where its records are missing, why it is not there."""
    figures = []
    for chart in CHARTS:
        drawing = chart.draw(comparison)
        if drawing is not None:
            figure = site.figure(
                f"comparisons/{comparison.name}/{chart.name}",
                title=chart.title,
                reading=drawing.reading,
                alt_text=drawing.alt_text,
                chart=drawing.chart,
                table=drawing.table,
            )
        elif comparison.facts.multi_label and chart.name in ("entropy", "scatter"):
            why = "Class entropy is defined for one label a picture only."
            figure = no_figure(chart.name, chart.title, why)
        else:
            why = "Nothing to draw: no record of it is left."
            figure = no_figure(chart.name, chart.title, why)
        figures.append(replace(figure, definition=method(chart.measure)))
    return figures


def at_layers(comparison: ComparisonRecords, frame: pd.DataFrame) -> pd.DataFrame:
    """A table by layer with what each row opens: the layer's page, where it has one."""
    pages = {layer: link(comparison.layer(layer)) for layer in comparison.order}
    return frame.assign(href=[pages.get(layer, "") for layer in frame["layer"]])


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A chart of one comparison, how to read it, and the table that it is drawn from."""

    reading: str
    alt_text: str
    chart: alt.TopLevelMixin
    table: pd.DataFrame


def similarity(comparison: ComparisonRecords) -> Drawing | None:
    """CKA by layer, biased and debiased."""
    long = pd.concat(
        [
            comparison.layers[["layer", column, f"{column}_low", f"{column}_high"]]
            .set_axis(["layer", "value", "low", "high"], axis=1)
            .assign(what=what)
            for column, what in [("cka", "biased (the paper’s)"), ("cka_debiased", "debiased")]
        ],
        ignore_index=True,
    ).dropna(subset="value")
    if long.empty:
        return None
    n, n_groups = count(comparison.layers["n_images"].max()), comparison.layers["n_groups"].max()
    over = "pictures" if pd.isna(n_groups) else of_groups("pictures", n_groups)
    first, last = long.iloc[0], long[long["what"] == long["what"].iloc[0]].iloc[-1]
    return Drawing(
        reading=(
            f"At 1 both networks arrange the {n} test pictures in the same way, whatever single "
            "channels do; the lower, the more the layer changed. The bands are 95\xa0% jackknife "
            f"intervals over {over}. {BIASED}"
        ),
        alt_text=(
            f"Linear CKA by layer: {number(first['value'])} at {first['layer']}, "
            f"{number(last['value'])} at {last['layer']}."
        ),
        chart=plots.similarity(at_layers(comparison, long)),
        table=long,
    )


def weights(comparison: ComparisonRecords) -> Drawing | None:
    """How far the weights of each layer moved."""
    moved = comparison.weights.dropna(subset="l2")
    if moved.empty:
        return None
    most = moved.nlargest(1, "l2").iloc[0]
    same = int((moved["l2"] == 0).sum())
    unmoved = f" Identical, at exactly 0: {same} of {len(moved)}." if same else ""
    return Drawing(
        reading=(
            "Above, the Frobenius norm of the difference of the weights before and after; below, "
            f"the same divided by the norm before. One stem for each of {len(moved)} "
            f"parametrised layers, {count(moved['parameters'].sum())} parameters in all.{unmoved}"
        ),
        alt_text=(
            f"Weight distance by layer; the largest is {number(most['l2'])} at {most['layer']}."
        ),
        chart=plots.weight_distance(at_layers(comparison, moved)),
        table=moved,
    )


def anatomy(comparison: ComparisonRecords) -> Drawing | None:
    """How many directions the change of each layer has, and which are new."""
    changed = comparison.weights.dropna(subset=["effective_rank", "directions"])
    if changed.empty:
        return None
    changed = changed.assign(
        directions_used=changed["effective_rank"] / changed["directions"],
        directions_used_chance=changed["effective_rank_chance"] / changed["directions"],
    )
    least = changed.nsmallest(1, "directions_used").iloc[0]
    new = int(changed["intruders"].sum())
    return Drawing(
        reading=(
            "Above, the effective rank of the change of a layer’s weights as a share of all its "
            "directions: near 0 the layer changed in a few directions, as by LoRA, at the line "
            "across in as many as random numbers of its shape would have. In the middle the share "
            "of the squared norm of the change in its first ten directions. Below, intruders: how "
            "many of the ten strongest directions of the layer after resemble none before "
            f"({counted(new, 'intruder')} in {counted(len(changed), 'changed layer')}); across, "
            "as many as between unrelated weights."
        ),
        alt_text=(
            "Effective rank, share of the first ten directions and intruder dimensions by layer; "
            f"the smallest effective rank is {number(least['effective_rank'], 1)} of "
            f"{count(least['directions'])} at {least['layer']}."
        ),
        chart=plots.anatomy(at_layers(comparison, changed)),
        table=changed,
    )


def spectra(comparison: ComparisonRecords) -> Drawing | None:
    """How the change of each layer spreads over its directions."""
    if comparison.spectra.empty:
        return None
    shares = tables.cumulated(comparison.spectra.sort_values(["position", "direction"]))
    order = shares["layer"].drop_duplicates().tolist()
    first = shares[shares["direction"] == 1].nlargest(1, "share").iloc[0]
    return Drawing(
        reading=(
            "How much of the squared norm of the change of a layer’s weights lies in its first "
            f"directions, a line for each of {counted(len(order), 'changed layer')}: a line that "
            "rises at once is a change in few directions, one that hugs the bottom and rises "
            "late has spread over all."
        ),
        alt_text=(
            "Share of the squared norm of the change by number of directions, a line a layer; the "
            f"largest share of the first direction is {number(first['share'])} at {first['layer']}."
        ),
        chart=plots.spectra(shares, order),
        table=shares,
    )


def overlap(comparison: ComparisonRecords) -> Drawing | None:
    """The share of its maximal images that a channel keeps, by layer."""
    table = tables.boxes(comparison.channels, {"overlap": "overlap"}, comparison.order)
    if table.empty:
        return None
    table = tables.with_chance(table, comparison.channels, "overlap_chance")
    return Drawing(
        reading=(
            f"The share of a channel’s {count(comparison.facts.k)} maximal activation images "
            f"that it keeps, over {counted(int(table['channels'].sum()), 'channel')}: {BOX} The "
            "thin line across is chance: two random choices of so many pictures."
        ),
        alt_text=_box_alt("Overlap of the maximal activation images", table),
        chart=plots.box_plots(at_layers(comparison, table), "overlap", ["overlap"]),
        table=table,
    )


BOX = (
    "the bar is the median channel, the box the middle half, the whiskers reach from the 5th to "
    "the 95th percentile."
)


def entropy(comparison: ComparisonRecords) -> Drawing | None:
    """The class entropy of the channels before and after, by layer."""
    columns = {"entropy_before": "before", "entropy_after": "after"}
    table = tables.boxes(comparison.channels, columns, comparison.order)
    if table.empty:
        return None
    table = tables.with_chance(table, comparison.channels, "entropy_chance")
    return Drawing(
        reading=(
            "Class entropy of a channel’s maximal activation images, divided by its maximum: 0 "
            f"when all show one class, 1 when all {count(comparison.facts.classes)} classes are "
            f"equally frequent. Over {counted(int(table['channels'].max()), 'channel')} a layer at "
            f"most: {BOX} The thin line across is the entropy of as many random pictures."
        ),
        alt_text=_box_alt("Normalised class entropy before and after", table),
        chart=plots.box_plots(
            at_layers(comparison, table), "class entropy", list(columns.values())
        ),
        table=table,
    )


def _box_alt(what: str, table: pd.DataFrame) -> str:
    last = table.iloc[-1]
    return (
        f"{what} by layer, as box plots; median {number(table.iloc[0]['median'])} at "
        f"{table.iloc[0]['layer']}, {number(last['median'])} at {last['layer']}."
    )


def scatter(comparison: ComparisonRecords) -> Drawing | None:
    """Overlap and entropy of each channel."""
    columns = ["layer", "channel", "overlap", "entropy_after"]
    channels = comparison.channels[columns].dropna()
    if channels.empty:
        return None
    points = tables.evenly(channels, "entropy_after")
    sample = f", a sample even by rank of the entropy, of {count(len(channels))} channels"
    pages = [
        link(comparison.channel(layer, int(channel)))
        for layer, channel in zip(points["layer"], points["channel"], strict=True)
    ]
    sample = sample if len(points) < len(channels) else ""
    return Drawing(
        reading=(
            f"A point for each of {count(len(points))} channels{sample}; low and to the "
            "left are channels that left their old pictures for those of few classes."
        ),
        alt_text=f"Scatter plot of overlap and class entropy after, {count(len(points))} channels.",
        chart=plots.scatter(points.assign(href=pages), comparison.order),
        table=points,
    )


def matrix(comparison: ComparisonRecords) -> Drawing | None:
    """CKA of each layer before with each after."""
    column = "cka_debiased" if comparison.matrix["cka_debiased"].notna().any() else "cka"
    pairs = comparison.matrix.dropna(subset=column)
    if pairs.empty:
        return None
    name = "Debiased CKA" if column == "cka_debiased" else "CKA"
    high = pairs.nlargest(1, column).iloc[0]
    return Drawing(
        reading=(
            f"{name} of each layer of {comparison.title_before} (a row) with each of "
            f"{comparison.title_after} "
            f"(a column) on {count(pairs['n_images'].max())} pictures; the darker, the more alike. "
            "On the diagonal stand the values of the first chart; a layer that is most like one "
            "further up or down has taken over another part of the work."
        ),
        alt_text=(
            f"Heat map of {name} of {pairs['layer_before'].nunique()} × "
            f"{pairs['layer_after'].nunique()} layers; the largest is {number(high[column])}, of "
            f"{high['layer_before']} with {high['layer_after']}."
        ),
        chart=plots.layer_matrix(
            at_layers(comparison, pairs.assign(layer=pairs["layer_before"])),
            column,
            (comparison.title_before, comparison.title_after),
            comparison.order,
        ),
        table=pairs,
    )


def procrustes(comparison: ComparisonRecords) -> Drawing | None:
    """The Procrustes distance of each layer."""
    layers = comparison.layers[["layer", "procrustes"]].dropna()
    if layers.empty:
        return None
    most = layers.nlargest(1, "procrustes").iloc[0]
    return Drawing(
        reading=(
            "How far apart the two arrangements of the pictures stay after the best rotation of "
            "one: 0 when they are the same, √2 when nothing is shared. Where this rises as CKA "
            "falls, the change is not an effect of one measure."
        ),
        alt_text=(
            f"Procrustes distance by layer; the largest is {number(most['procrustes'])} at "
            f"{most['layer']}."
        ),
        chart=plots.procrustes(at_layers(comparison, layers)),
        table=layers,
    )


NEIGHBOURS = {"mutual_neighbours": "shared", "mutual_neighbours_chance": "by chance"}


def neighbours(comparison: ComparisonRecords) -> Drawing | None:
    """The nearest neighbours that pictures share before and after."""
    long = comparison.layers.melt("layer", list(NEIGHBOURS), "what").dropna(subset="value")
    shared = long[long["what"] == "mutual_neighbours"]
    if shared.empty:
        return None
    long = long.assign(what=long["what"].map(NEIGHBOURS), low=long["value"], high=long["value"])
    first, last = shared.iloc[0], shared.iloc[-1]
    return Drawing(
        reading=(
            "The share of the pictures nearest to a picture before that are among its nearest "
            "after, over all pictures: 1 when all stayed. A few pictures that lie far off can "
            "decide CKA, but not this."
        ),
        alt_text=(
            f"Shared nearest neighbours by layer: {number(first['value'])} at {first['layer']}, "
            f"{number(last['value'])} at {last['layer']}."
        ),
        chart=plots.curves(
            at_layers(comparison, long), list(NEIGHBOURS.values()), "shared nearest neighbours"
        ),
        table=long[["layer", "what", "value"]],
    )


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart that every comparison has."""

    name: str
    title: str
    measure: str  # as the page of definitions calls it
    draw: Callable[[ComparisonRecords], Drawing | None]  # None: there is nothing to draw


CHARTS = (
    Chart(name="cka", title="How alike the two networks see", measure="cka", draw=similarity),
    Chart(name="weights", title="How far the weights moved", measure="weights", draw=weights),
    Chart(
        name="anatomy",
        title="In how many directions the weights moved",
        measure="anatomy",
        draw=anatomy,
    ),
    Chart(
        name="spectra",
        title="How the change spreads over directions",
        measure="anatomy",
        draw=spectra,
    ),
    Chart(
        name="overlap",
        title="How many maximal activation images stayed",
        measure="overlap",
        draw=overlap,
    ),
    Chart(
        name="entropy",
        title="How pure the channels are, before and after",
        measure="entropy",
        draw=entropy,
    ),
    Chart(name="scatter", title="Channel by channel", measure="entropy", draw=scatter),
    Chart(
        name="matrix",
        title="Every layer against every layer",
        measure="cka_debiased",
        draw=matrix,
    ),
    Chart(
        name="procrustes",
        title="A second opinion: after the best rotation",
        measure="procrustes",
        draw=procrustes,
    ),
    Chart(
        name="neighbours",
        title="A third opinion: who is near to whom",
        measure="mutual_neighbours",
        draw=neighbours,
    ),
)
"""In the order of the page."""
