"""The charts of a comparison, each with a sentence on how to read it."""

from dataclasses import replace

import pandas as pd

from overpaint.report.charts import plots, tables
from overpaint.report.parts.rows import Figure
from overpaint.report.parts.text import BIASED, count, counted, number
from overpaint.report.site.files import Site, method, no_figure
from overpaint.report.study.reading import ComparisonRecords


def comparison_figures(site: Site, found: ComparisonRecords) -> list[Figure]:
    """Every chart of a comparison; where its records are missing, why it is not there."""
    makers = [
        ("cka", "How alike the two networks see", _similarity),
        ("weights", "How far the weights moved", _weights),
        ("overlap", "How many maximal activation images stayed", _overlap),
        ("entropy", "How pure the channels are, before and after", _entropy),
        ("scatter", "Channel by channel", _scatter),
        ("matrix", "Every layer against every layer", _matrix),
        ("procrustes", "A second opinion: after the best rotation", _procrustes),
        ("neighbours", "A third opinion: who is near to whom", _neighbours),
    ]
    figures = []
    for name, title, make in makers:
        figure = make(site, f"comparisons/{found.name}/{name}", title, found)
        figure = figure or no_figure(name, title, _why_not(found, name))
        figures.append(replace(figure, definition=method(DEFINED[name])))
    return figures


DEFINED = {
    "cka": "cka",
    "weights": "weights",
    "overlap": "overlap",
    "entropy": "entropy",
    "scatter": "entropy",
    "matrix": "cka_debiased",
    "procrustes": "procrustes",
    "neighbours": "mutual_neighbours",
}
"""The measure of each chart, as the page of definitions calls it."""


def _why_not(found: ComparisonRecords, name: str) -> str:
    if found.facts.multi_label and name in ("entropy", "scatter"):
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
        title=title,
        reading=(
            f"At 1 both networks arrange the {n} test pictures in the same way, whatever single "
            "channels do; the lower, the more the layer changed. The bands are 95\xa0% jackknife "
            f"intervals over pictures. {BIASED}"
        ),
        alt_text=(
            f"Linear CKA by layer: {number(first['value'])} at {first['layer']}, "
            f"{number(last['value'])} at {last['layer']}."
        ),
        chart=plots.similarity(long),
        table=long,
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
        title=title,
        reading=(
            "Above, the Frobenius norm of the difference of the weights before and after; below, "
            f"the same divided by the norm before. One stem for each of {len(weights)} "
            f"parametrised layers, {count(weights['parameters'].sum())} parameters in all.{unmoved}"
        ),
        alt_text=(
            f"Weight distance by layer; the largest is {number(most['l2'])} at {most['layer']}."
        ),
        chart=plots.weight_distance(weights),
        table=weights,
    )


def _overlap(site: Site, place: str, title: str, found: ComparisonRecords) -> Figure | None:
    table = tables.boxes(found.channels, {"overlap": "overlap"}, found.order)
    if table.empty:
        return None
    table = tables.with_chance(table, found.channels, "overlap_chance")
    return site.figure(
        place,
        title=title,
        reading=(
            f"The share of a channel’s {count(found.facts.k)} maximal activation images "
            f"that it keeps, over {counted(int(table['channels'].sum()), 'channel')}: {BOX} The "
            "thin line across is chance: two random choices of so many pictures."
        ),
        alt_text=_box_alt("Overlap of the maximal activation images", table),
        chart=plots.box_plots(table, "overlap", ["overlap"]),
        table=table,
    )


BOX = (
    "the bar is the median channel, the box the middle half, the whiskers reach from the 5th to "
    "the 95th percentile."
)


def _entropy(site: Site, place: str, title: str, found: ComparisonRecords) -> Figure | None:
    columns = {"entropy_before": "before", "entropy_after": "after"}
    table = tables.boxes(found.channels, columns, found.order)
    if table.empty:
        return None
    table = tables.with_chance(table, found.channels, "entropy_chance")
    return site.figure(
        place,
        title=title,
        reading=(
            "Class entropy of a channel’s maximal activation images, divided by its maximum: 0 "
            f"when all show one class, 1 when all {count(found.facts.classes)} classes are "
            f"equally frequent. Over {counted(int(table['channels'].max()), 'channel')} a layer at "
            f"most: {BOX} The thin line across is the entropy of as many random pictures."
        ),
        alt_text=_box_alt("Normalised class entropy before and after", table),
        chart=plots.box_plots(table, "class entropy", list(columns.values())),
        table=table,
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
    drawn = tables.evenly(every, "entropy_after")
    sample = f", a sample even by rank of the entropy, of {count(len(every))} channels"
    sample = sample if len(drawn) < len(every) else ""
    return site.figure(
        place,
        title=title,
        reading=(
            f"A point for each of {count(len(drawn))} channels{sample}; low and to the "
            "left are channels that left their old pictures for those of few classes."
        ),
        alt_text=f"Scatter plot of overlap and class entropy after, {count(len(drawn))} channels.",
        chart=plots.scatter(drawn, found.order),
        table=drawn,
    )


def _matrix(site: Site, place: str, title: str, found: ComparisonRecords) -> Figure | None:
    column = "cka_debiased" if found.matrix["cka_debiased"].notna().any() else "cka"
    pairs = found.matrix.dropna(subset=column)
    if pairs.empty:
        return None
    name = "Debiased CKA" if column == "cka_debiased" else "CKA"
    high = pairs.nlargest(1, column).iloc[0]
    return site.figure(
        place,
        title=title,
        reading=(
            f"{name} of each layer of {found.before} (a row) with each of {found.after} (a column) "
            f"on {count(pairs['n_images'].max())} pictures; the darker, the more alike. On the "
            "diagonal stand the values of the first chart; a layer that is most like one further "
            "up or down has taken over another part of the work."
        ),
        alt_text=(
            f"Heat map of {name} of {pairs['layer_before'].nunique()} × "
            f"{pairs['layer_after'].nunique()} layers; the largest is {number(high[column])}, of "
            f"{high['layer_before']} with {high['layer_after']}."
        ),
        chart=plots.layer_matrix(pairs, column, (found.before, found.after), found.order),
        table=pairs,
    )


def _procrustes(site: Site, place: str, title: str, found: ComparisonRecords) -> Figure | None:
    layers = found.layers[["layer", "procrustes"]].dropna()
    if layers.empty:
        return None
    most = layers.nlargest(1, "procrustes").iloc[0]
    return site.figure(
        place,
        title=title,
        reading=(
            "How far apart the two arrangements of the pictures stay after the best rotation of "
            "one: 0 when they are the same, √2 when nothing is shared. Where this rises as CKA "
            "falls, the change is not an effect of one measure."
        ),
        alt_text=(
            f"Procrustes distance by layer; the largest is {number(most['procrustes'])} at "
            f"{most['layer']}."
        ),
        chart=plots.procrustes(layers),
        table=layers,
    )


NEIGHBOURS = {"mutual_neighbours": "shared", "mutual_neighbours_chance": "by chance"}


def _neighbours(site: Site, place: str, title: str, found: ComparisonRecords) -> Figure | None:
    long = found.layers.melt("layer", list(NEIGHBOURS), "what").dropna(subset="value")
    shared = long[long["what"] == "mutual_neighbours"]
    if shared.empty:
        return None
    long = long.assign(what=long["what"].map(NEIGHBOURS), low=long["value"], high=long["value"])
    first, last = shared.iloc[0], shared.iloc[-1]
    return site.figure(
        place,
        title=title,
        reading=(
            "The share of the pictures nearest to a picture before that are among its nearest "
            "after, over all pictures: 1 when all stayed. A few pictures that lie far off can "
            "decide CKA, but not this."
        ),
        alt_text=(
            f"Shared nearest neighbours by layer: {number(first['value'])} at {first['layer']}, "
            f"{number(last['value'])} at {last['layer']}."
        ),
        chart=plots.curves(long, list(NEIGHBOURS.values()), "shared nearest neighbours"),
        table=long[["layer", "what", "value"]],
    )
