"""Charts from tables, as Altair describes them.

Every chart is drawn from the table that lies beside it as CSV.
"""

import json
from collections.abc import Sequence
from typing import TypeVar

import altair as alt
import numpy as np
import pandas as pd

from overpaint.defaults import SPLITS
from overpaint.report.charts.colours import (
    AFTER,
    BEFORE,
    CHANCE,
    DASHES,
    INK,
    LINES,
    PAPER,
    PARTS,
    RULE,
    SHADES,
    SHAPES,
)
from overpaint.report.charts.drawing import fit_to_draw

NAMED = 15
"""The most classes whose confusions are written as numbers into the heat map."""

NUMBERED = 30
"""The most networks whose likeness is."""


def inline(frame: pd.DataFrame) -> alt.InlineData:
    """A table as a chart holds it: as JSON, in which what is not there is null.

    Altair would copy a list row by row with every property that a chart is given.
    """
    names = list(map(str, frame.columns))
    plain = frame.astype(object).where(frame.notna(), None)
    rows = [dict(zip(names, row, strict=True)) for row in plain.to_numpy().tolist()]
    values = json.dumps(fit_to_draw(rows), allow_nan=False, default=str)
    return alt.InlineData(values=values, format=alt.JsonDataFormat(type="json"))


Linked = TypeVar("Linked", bound=alt.Chart)


def linked(chart: Linked, frame: pd.DataFrame) -> Linked:
    """Marks that open what they stand for, where the table has a column `href`."""
    return chart.encode(href=alt.Href("href:N")) if "href" in frame else chart


def width_of(steps: int) -> int:
    """As wide as the layers' names need, within reason."""
    return int(np.clip(420 / max(steps, 1), 16, 60)) * max(steps, 2)


UPRIGHT = 20
"""Layers whose names stand aslant at most."""


def layer_axis(order: Sequence[str], *, named: bool = True) -> alt.X:
    """The layers from left to right."""
    # Names of many layers touch one another aslant.
    angle = -45 if len(order) <= UPRIGHT else -90
    axis = alt.Axis(title=None, labelAngle=angle, labels=named, ticks=named, labelOverlap=False)
    return alt.X("layer:N", sort=list(order), axis=axis)


def _two(names: Sequence[str], *, legend: alt.Legend | None) -> alt.Color:
    scale = alt.Scale(domain=list(names), range=[AFTER, BEFORE])
    return alt.Color("what:N", scale=scale, legend=legend)


def similarity(layers: pd.DataFrame) -> alt.TopLevelMixin:
    """CKA by layer, biased and debiased, each with its interval. Columns: layer, what, ..."""
    names = ["biased (the paper’s)", "debiased"]
    base = alt.Chart(inline(layers)).encode(layer_axis(layers["layer"].drop_duplicates().tolist()))
    lowest = float(min(0.0, layers["low"].min(), layers["value"].min()))
    scale = alt.Scale(domain=[lowest, 1], nice=False)
    legend = alt.Legend(symbolType="stroke", symbolSize=300, symbolOpacity=1)
    dash = alt.StrokeDash(
        "what:N", scale=alt.Scale(domain=names, range=[[1, 0], [6, 3]]), legend=legend
    )
    colour = _two(names, legend=legend)
    band = base.mark_area(opacity=0.18).encode(
        alt.Y("low:Q", scale=scale, title="linear CKA"), alt.Y2("high:Q"), colour
    )
    line = base.mark_line(strokeWidth=2).encode(alt.Y("value:Q", scale=scale), colour, dash)
    point = linked(base.mark_point(filled=True, size=36, opacity=1), layers).encode(
        alt.Y("value:Q", scale=scale), colour
    )
    steps = layers["layer"].nunique()
    return alt.layer(band, line, point).properties(width=width_of(steps), height=280)


def curves(
    layers: pd.DataFrame, names: Sequence[str], title: str, *, most: float = 1.0
) -> alt.TopLevelMixin:
    """A curve by layer for each of at most six names, up to `most`; with their intervals where
    they are two.

    Columns: layer, what (one of the names), value, low, high.
    """
    order = layers["layer"].drop_duplicates().tolist()
    base = alt.Chart(inline(layers)).encode(layer_axis(order))
    lowest = float(np.fmin(0.0, layers[["low", "value"]].min().min()))
    scale = alt.Scale(domain=[lowest, most], nice=False)
    domain, many = list(names), len(names)
    legend = alt.Legend(
        symbolSize=80, symbolStrokeWidth=0, symbolOpacity=1, columns=1 if many > 2 else many
    )
    colour = alt.Color(
        "what:N", scale=alt.Scale(domain=domain, range=list(LINES[:many])), legend=legend
    )
    dash = alt.StrokeDash(
        "what:N", scale=alt.Scale(domain=domain, range=list(DASHES[:many])), legend=None
    )
    shape = alt.Shape(
        "what:N", scale=alt.Scale(domain=domain, range=list(SHAPES[:many])), legend=legend
    )
    y = alt.Y("value:Q", scale=scale, title=title)
    band = base.mark_area(opacity=0.15).encode(
        alt.Y("low:Q", scale=scale, title=title), alt.Y2("high:Q"), colour
    )
    line = base.mark_line(strokeWidth=2).encode(y, colour, dash)
    point = linked(base.mark_point(filled=True, size=42, opacity=1), layers).encode(
        y, colour, shape
    )
    marks = [band, line, point] if many <= 2 else [line, point]
    return alt.layer(*marks).properties(width=width_of(len(order)), height=260)


def class_bars(counts: pd.DataFrame, order: Sequence[str]) -> alt.TopLevelMixin:
    """How many pictures show each class, a bar in parts for train, val and test.

    Columns: label, split, pictures; `order` is that of the classes, the first on top.
    """
    scale = alt.Scale(domain=list(SPLITS), range=list(PARTS))
    return (
        linked(alt.Chart(inline(counts.assign(place=counts["split"].map(SPLITS.index)))), counts)
        .mark_bar(height={"band": 0.7}, stroke=PAPER, strokeWidth=1)
        .encode(
            alt.X("pictures:Q", title="pictures",
                  axis=alt.Axis(grid=True, tickMinStep=1, tickCount=5)),
            alt.Y("label:N", sort=list(order), title=None,
                  axis=alt.Axis(labelLimit=160, labelOverlap=False)),
            alt.Color("split:N", scale=scale, legend=alt.Legend(symbolType="square")),
            alt.Order("place:Q"),
        )
        .properties(width=310, height=alt.Step(22))  # so wide that it fits a telephone
    )  # fmt: skip


def weight_distance(weights: pd.DataFrame) -> alt.TopLevelMixin:
    """How far each parametrised layer moved, absolute above, relative below."""
    above, below = (
        _stems(weights, "l2", "L2 distance", named=False),
        _stems(weights, "l2_relative", "relative"),
    )
    return alt.vconcat(above, below, spacing=16)


def anatomy(weights: pd.DataFrame) -> alt.TopLevelMixin:
    """The directions of each layer's change, with what chance would give as a bar across.

    Columns: layer; directions_used, first_ten, intruders, each with its _chance.
    """
    panels = {
        "directions_used": ("effective rank, share", 1.0),
        "first_ten": ("share of first ten", 1.0),
        "intruders": ("intruders", 10.0),
    }
    last = list(panels)[-1]
    return alt.vconcat(
        *(
            _stems(
                weights,
                column,
                title,
                named=column == last,
                most=most,
                height=110,
                chance=f"{column}_chance",
            )
            for column, (title, most) in panels.items()
        ),
        spacing=16,
    )


NAMED = 12
"""Layers that a legend names at most; of more, some from early to late, whose colours tell of those
between them."""


def spectra(shares: pd.DataFrame, order: Sequence[str]) -> alt.Chart:
    """The squared norm of each layer's change that its first directions hold, from early to late.

    Columns: layer, direction, share.
    """
    scheme = alt.Scale(
        domain=list(order), scheme=alt.SchemeParams(name="viridis", extent=[0, 0.88])
    )
    most = float(shares["direction"].max())
    return (
        alt.Chart(inline(shares))
        .mark_line(strokeWidth=1.5, opacity=0.8)
        .encode(
            alt.X(
                "direction:Q",
                title="directions",
                scale=alt.Scale(type="log", domain=[1, max(most, 2)], nice=False),
                axis=alt.Axis(values=[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], format="d"),
            ),
            alt.Y(
                "share:Q",
                title="share of the squared norm",
                scale=alt.Scale(domain=[0, 1], nice=False),
            ),
            alt.Color(
                "layer:O",
                sort=list(order),
                scale=scheme,
                legend=alt.Legend(
                    orient="right",
                    symbolType="stroke",
                    title=None if len(order) <= NAMED else "some, in order",
                    values=list(order[:: -(-len(order) // NAMED)]),
                ),
            ),
        )
        .properties(width=360, height=320)
    )


def lora(adapters: pd.DataFrame) -> alt.TopLevelMixin:
    """The norm of each adapter's change, absolute above, relative below.

    Columns: layer, norm, norm_relative.
    """
    above, below = (
        _stems(adapters, "norm", "norm of the change", named=False),
        _stems(adapters, "norm_relative", "relative"),
    )
    return alt.vconcat(above, below, spacing=16)


def procrustes(layers: pd.DataFrame) -> alt.TopLevelMixin:
    """The Procrustes distance of each layer, of at most √2. Columns: layer, procrustes."""
    return _stems(layers, "procrustes", "Procrustes distance", most=2**0.5, height=280)


def _stems(
    frame: pd.DataFrame, column: str, title: str, *, named: bool = True,
    most: float | None = None, height: int = 150, chance: str | None = None,
) -> alt.LayerChart | alt.FacetChart:  # fmt: skip
    order = frame["layer"].tolist()
    scale = alt.Scale() if most is None else alt.Scale(domain=[0, most], nice=False)
    base = alt.Chart(inline(frame)).encode(
        layer_axis(order, named=named), alt.Y(f"{column}:Q", title=title, scale=scale)
    )
    stem = base.mark_rule(color=AFTER, opacity=0.5).encode(alt.Y2(datum=0))
    head = linked(base, frame).mark_point(color=AFTER, filled=True, size=50, opacity=1)
    marks = [stem, head]
    if chance:
        width = width_of(len(order)) / max(len(order), 1)
        across = base.mark_tick(color=CHANCE, thickness=1.5, bandSize=width)
        marks.append(across.encode(alt.Y(f"{chance}:Q", title=title, scale=scale)))
    return alt.layer(*marks).properties(width=width_of(len(order)), height=height)


def box_plots(table: pd.DataFrame, title: str, names: Sequence[str]) -> alt.TopLevelMixin:
    """Boxes from quantiles by layer, side by side for several names, with chance as a bar across.

    Columns: layer, what, q05, q25, median, q75, q95, chance.
    """
    order = table["layer"].drop_duplicates().tolist()
    scale = alt.Scale(domain=[0, 1], nice=False)
    base = alt.Chart(inline(table)).encode(
        layer_axis(order),
        alt.XOffset(
            "what:N", sort=list(names), scale=alt.Scale(paddingInner=0.3, paddingOuter=0.2)
        ),
    )
    colours = [BEFORE, AFTER][-len(names) :]
    colour = alt.Color(
        "what:N",
        scale=alt.Scale(domain=list(names), range=colours),
        legend=alt.Legend(symbolType="square") if len(names) > 1 else None,
    )
    whisker = base.mark_rule().encode(
        alt.Y("q05:Q", scale=scale, title=title), alt.Y2("q95:Q"), colour
    )
    box = (
        linked(base, table)
        .mark_bar(fillOpacity=0.35, strokeWidth=1)
        .encode(
            alt.Y("q25:Q", scale=scale),
            alt.Y2("q75:Q"),
            colour,
            stroke=alt.Stroke(
                "what:N", legend=None, scale=alt.Scale(domain=list(names), range=colours)
            ),
        )
    )
    middle = (
        linked(base, table)
        .mark_tick(thickness=3, opacity=1)
        .encode(alt.Y("median:Q", scale=scale), colour)
    )
    by_layer = table.drop_duplicates("layer").dropna(subset="chance")
    chance = (
        alt.Chart(inline(by_layer))
        .mark_tick(color=CHANCE, thickness=1.5, bandSize=width_of(len(order)) / max(len(order), 1))
        .encode(layer_axis(order), alt.Y("chance:Q", scale=scale))
    )
    return alt.layer(whisker, box, middle, chance).properties(
        width=width_of(len(order)), height=280
    )


def scatter(channels: pd.DataFrame, order: Sequence[str]) -> alt.Chart:
    """Overlap against class entropy after, a point a channel, coloured from early to late layer."""
    scheme = alt.Scale(
        domain=list(order), scheme=alt.SchemeParams(name="viridis", extent=[0, 0.88])
    )
    return (
        linked(alt.Chart(inline(channels)), channels)
        .mark_point(filled=True, size=28, opacity=0.6)
        .encode(
            alt.X(
                "overlap:Q", title="overlap of the maximal images", scale=alt.Scale(domain=[0, 1])
            ),
            alt.Y("entropy_after:Q", title="class entropy after", scale=alt.Scale(domain=[0, 1])),
            alt.Color(
                "layer:O",
                sort=list(order),
                scale=scheme,
                legend=alt.Legend(orient="right", symbolOpacity=1, symbolLimit=80),
            ),
        )
        .properties(width=360, height=320)
    )


def intervals(scores: pd.DataFrame, title: str) -> alt.TopLevelMixin:
    """Scores with their intervals, a row a route, best first; chance as a line through all."""
    base = linked(alt.Chart(inline(scores)), scores).encode(
        alt.Y("route:N", sort=None, title=None, axis=alt.Axis(labelLimit=220, labelFontSize=13))
    )
    most = float(np.ceil(scores["high"].max() * 10) / 10)
    scale = alt.Scale(domain=[0, min(1.0, most)], nice=False)
    axis = alt.Axis(format="%", title=title, tickCount=4, grid=True)
    bar = base.mark_rule(color=AFTER, strokeWidth=12, opacity=0.3).encode(
        alt.X("low:Q", scale=scale, axis=axis), alt.X2("high:Q")
    )
    point = base.mark_tick(color=AFTER, thickness=3, bandSize=18).encode(
        alt.X("value:Q", scale=scale)
    )
    chance = base.mark_tick(color=CHANCE, thickness=2, bandSize=30).encode(
        alt.X("chance:Q", scale=scale)
    )
    return alt.layer(bar, point, chance).properties(width=260, height=alt.Step(30))


def history(epochs: pd.DataFrame, score: str) -> alt.TopLevelMixin:
    """Losses and validation score by epoch, the kept epoch marked by a line."""
    best = epochs[epochs["best"].astype(bool)]
    names = ["validation", "training"]
    losses = pd.concat(
        [
            pd.DataFrame({"epoch": epochs["epoch"], "what": what, "value": epochs[column]})
            for what, column in zip(names, ["val_loss", "train_loss"], strict=True)
        ]
    )
    return alt.hconcat(
        _curve(losses, best, "loss", names),
        _curve(
            epochs.assign(what="validation", value=epochs["val_score"])[["epoch", "what", "value"]],
            best,
            score,
            names,
            alt.Axis(format="%", title=f"validation {score}", grid=True),
        ),
        spacing=36,
    )


def _curve(
    frame: pd.DataFrame,
    best: pd.DataFrame,
    title: str,
    names: Sequence[str],
    axis: alt.Axis | None = None,
) -> alt.LayerChart | alt.FacetChart:
    # Named, for between the two epochs of a short training Vega would name one and a half as 2.
    numbers = sorted(frame["epoch"].astype(int).unique().tolist())
    steps = alt.Axis(values=numbers[:: -(-len(numbers) // 10)], format="d", title="epoch")
    x = alt.X("epoch:Q", axis=steps, scale=alt.Scale(zero=False, nice=False, padding=8))
    y = alt.Y("value:Q", axis=axis or alt.Axis(title=title), scale=alt.Scale(zero=True))
    line = alt.Chart(inline(frame)).mark_line(
        strokeWidth=2, point=alt.OverlayMarkDef(filled=True, size=30)
    )
    colour = _two(names, legend=alt.Legend(symbolType="stroke"))
    epoch = alt.Chart(inline(best[["epoch"]])).mark_rule(color=CHANCE, strokeDash=[4, 3])
    return alt.layer(epoch.encode(x), line.encode(x, y, colour)).properties(width=300, height=220)


def layer_matrix(
    pairs: pd.DataFrame, column: str, networks: tuple[str, str], order: Sequence[str]
) -> alt.TopLevelMixin:
    """A measure of each layer of one network with each of the other, in the order of layers.

    Columns: layer_before, layer_after and that of the measure.
    """
    before, after = networks
    base = linked(alt.Chart(inline(pairs)), pairs).encode(
        alt.X("layer_after:N", sort=list(order), title=after, axis=_class_axis(-45)),
        alt.Y("layer_before:N", sort=list(order), title=before, axis=_class_axis(0)),
    )
    numbers = base.mark_text(fontSize=10).encode(alt.Text(f"{column}:Q", format=".2f"))
    return _squares(base, column, numbers, steps=len(order), legend="CKA", legend_format=".2f")


def heat_map(pairs: pd.DataFrame, classes: Sequence[str]) -> alt.TopLevelMixin:
    """Confusions of the classes: a row is what a picture shows, a column what it was taken for."""
    base = linked(alt.Chart(inline(pairs)), pairs).encode(
        alt.X("predicted:N", sort=list(classes), title="taken for", axis=_class_axis(-45)),
        alt.Y("true:N", sort=list(classes), title="shows", axis=_class_axis(0)),
    )
    numbers = base.transform_filter("datum.n > 0").mark_text(fontSize=11).encode(alt.Text("n:Q"))
    return _squares(
        base, "share", numbers, steps=len(classes), legend="share of the row", legend_format="%"
    )


def network_matrix(
    cells: pd.DataFrame, order: Sequence[str], *, legend: str, most: float
) -> alt.TopLevelMixin:
    """A number of each network with each, shaded from 0 to `most`, in the order of networks.

    Columns: first, second, value.
    """
    base = linked(alt.Chart(inline(cells)), cells).encode(
        alt.X("second:N", sort=list(order), title=None, axis=_class_axis(-45)),
        alt.Y("first:N", sort=list(order), title=None, axis=_class_axis(0)),
    )
    numbers = base.mark_text(fontSize=10).encode(alt.Text("value:Q", format=".2f"))
    return _squares(
        base, "value", numbers, steps=len(order), legend=legend, legend_format=".2f", most=most,
        numbered=NUMBERED,
    )  # fmt: skip


def _squares(
    base: alt.Chart,
    column: str,
    numbers: alt.Chart,
    *,
    steps: int,
    legend: str,
    legend_format: str,
    most: float = 1.0,
    numbered: int = NAMED,
) -> alt.LayerChart | alt.FacetChart:
    """Squares shaded by a column from 0 to `most`; where they are few, with numbers in them."""
    most = most or 1.0
    scale = alt.Scale(domain=[0, most], range=list(SHADES), clamp=True)
    shades = alt.Legend(
        type="symbol",  # a gradient would have an id that counts through the process
        orient="right",
        title=legend,
        format=legend_format,
        values=[share * most for share in (0, 0.25, 0.5, 0.75, 1)],
        symbolType="square",
        symbolSize=200,
        symbolStrokeColor=RULE,
        symbolOpacity=1,
    )
    cell = base.mark_rect(stroke=RULE, strokeWidth=0.5).encode(
        alt.Color(f"{column}:Q", scale=scale, legend=shades)
    )
    side, chart = 20, alt.layer(cell)
    if steps <= numbered:
        readable = alt.condition(f"datum.{column} > {0.5 * most}", alt.value(PAPER), alt.value(INK))
        side, chart = 34 if steps <= NAMED else 28, alt.layer(cell, numbers.encode(color=readable))
    return chart.properties(width=side * steps, height=side * steps)


def _class_axis(angle: int) -> alt.Axis:
    return alt.Axis(labelAngle=angle, labelOverlap=False, domain=False, ticks=False, labelLimit=150)
