"""Charts of what was tried of a comparison, from tables, as Altair describes them.

Shapes, dashes and places tell apart what colours do, so that nothing is lost in grey.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from overpaint.report.charts.colours import (
    AFTER,
    BEFORE,
    CHANCE,
    DASHES,
    FAINT,
    LINES,
    PAPER,
    SHAPES,
)
from overpaint.report.charts.plots import inline, layer_axis, linked, width_of

PANEL = 132
"""The width of a panel in pixels: two with the names of layers fit a phone."""


def change_and_cost(layers: pd.DataFrame, score: str) -> alt.TopLevelMixin:
    """How much each layer changed, and beside it what it costs to set it back: a row a layer.

    Columns: layer; change, change_low, change_high, luck (as much as between two trainings of one
    route, or nothing); cost, cost_low, cost_high, in points; sure (whether the interval leaves 0
    out: a filled mark).
    """
    order = layers["layer"].tolist()
    base = alt.Chart(inline(layers))

    def row(*, named: bool) -> alt.Y:
        axis = alt.Axis(
            title=None, labels=named, ticks=False, domain=False, grid=True, labelLimit=96,
            labelOverlap=False,
        )  # fmt: skip
        return alt.Y("layer:N", sort=order, axis=axis)

    def panel(
        column: str, title: str, colour: str, shape: str, *, named: bool, fill: Any
    ) -> list[alt.Chart]:
        axis = alt.Axis(title=title, tickCount=4, grid=False, labelFlush=True)
        scale = alt.Scale(zero=True, nice=False, padding=7)
        rule = base.mark_rule(color=colour, strokeWidth=2).encode(
            row(named=named),
            alt.X(f"{column}_low:Q", axis=axis, scale=scale),
            alt.X2(f"{column}_high:Q"),
        )
        point = (
            linked(base, layers)
            .mark_point(shape=shape, size=64, stroke=colour, strokeWidth=2, opacity=1)
            .encode(row(named=named), alt.X(f"{column}:Q", axis=axis, scale=scale), fill=fill)
        )
        return [rule, point]

    change = panel("change", "change: 1 − CKA", AFTER, "circle", named=True, fill=alt.value(AFTER))
    if layers["luck"].notna().any():
        change.append(
            base.mark_tick(color=CHANCE, thickness=2.5, size=13).encode(
                row(named=True), alt.X("luck:Q")
            )
        )
    sure = alt.condition("datum.sure", alt.value(BEFORE), alt.value(PAPER))
    cost = panel("cost", f"points of {score} lost", BEFORE, "diamond", named=False, fill=sure)
    nought = alt.Chart(inline(pd.DataFrame({"x": [0.0]}))).mark_rule(color=FAINT).encode(x="x:Q")
    height = alt.Step(22)
    return alt.hconcat(
        alt.layer(*change).properties(width=PANEL, height=height),
        alt.layer(nought, *cost).properties(width=PANEL, height=height),
        spacing=14,
    )


def way(places: pd.DataFrame, names: Sequence[str], score: str) -> alt.TopLevelMixin:
    """A score along the way from one network to another, for each of at most two tasks.

    Columns: alpha, what (one of the names), value, low, high, chance, in shares.
    """
    domain = list(names)
    many = len(domain)
    base = alt.Chart(inline(places))
    legend = alt.Legend(symbolSize=80, symbolOpacity=1, columns=1, labelLimit=330)
    x = alt.X(
        "alpha:Q",
        title="α: 0 is the network before, 1 that after",
        axis=alt.Axis(values=[0, 0.25, 0.5, 0.75, 1, 1.2], format="~g"),
        scale=alt.Scale(nice=False, zero=False),
    )
    axis = alt.Axis(format="%", title=score, tickCount=5, grid=True)
    most = min(1.0, float(places["high"].max()) * 1.05)
    y = alt.Y("value:Q", axis=axis, scale=alt.Scale(domain=[0, most]))
    colour = alt.Color(
        "what:N", scale=alt.Scale(domain=domain, range=[AFTER, BEFORE][:many]), legend=legend
    )
    dash = alt.StrokeDash(
        "what:N", scale=alt.Scale(domain=domain, range=list(DASHES[:many])), legend=None
    )
    shape = alt.Shape(
        "what:N", scale=alt.Scale(domain=domain, range=list(SHAPES[:many])), legend=legend
    )
    band = base.mark_area(opacity=0.16).encode(
        x, alt.Y("low:Q", axis=axis), alt.Y2("high:Q"), colour
    )
    line = base.mark_line(strokeWidth=2).encode(x, y, colour, dash)
    point = base.mark_point(filled=True, size=46, opacity=1).encode(x, y, colour, shape)
    chance = base.mark_line(color=CHANCE, strokeWidth=1.5, strokeDash=[1, 3]).encode(
        x, alt.Y("chance:Q", axis=axis), alt.Detail("what:N")
    )
    return alt.layer(band, chance, line, point).properties(width=310, height=240)


def probes(layers: pd.DataFrame, names: Sequence[str], score: str) -> alt.TopLevelMixin:
    """What the layers of at most six networks know of the classes, with chance as a line across.

    Columns: layer, what (one of the names), value, low, high, chance. The first two have bands.
    """
    order = layers["layer"].drop_duplicates().tolist()
    domain = list(names)
    many = len(domain)
    base = alt.Chart(inline(layers)).encode(layer_axis(order))
    legend = alt.Legend(
        symbolSize=80, symbolStrokeWidth=0, symbolOpacity=1, columns=1 if many > 2 else many
    )
    colours = [BEFORE, AFTER, *LINES[2:]][:many]
    axis = alt.Axis(format="%", title=score, tickCount=5)
    y = alt.Y("value:Q", axis=axis, scale=alt.Scale(domain=[0, 1], nice=False))
    colour = alt.Color("what:N", scale=alt.Scale(domain=domain, range=colours), legend=legend)
    dash = alt.StrokeDash(
        "what:N", scale=alt.Scale(domain=domain, range=list(DASHES[:many])), legend=None
    )
    shape = alt.Shape(
        "what:N", scale=alt.Scale(domain=domain, range=list(SHAPES[:many])), legend=legend
    )
    band = (
        base.transform_filter(alt.FieldOneOfPredicate(field="what", oneOf=domain[:2]))
        .mark_area(opacity=0.14)
        .encode(alt.Y("low:Q", axis=axis), alt.Y2("high:Q"), colour)
    )
    line = base.mark_line(strokeWidth=2).encode(y, colour, dash)
    point = (
        linked(base, layers).mark_point(filled=True, size=46, opacity=1).encode(y, colour, shape)
    )
    chance = base.mark_line(color=CHANCE, strokeWidth=1.5, strokeDash=[1, 3]).encode(
        alt.Y("mean(chance):Q", axis=axis)
    )
    return alt.layer(band, chance, line, point).properties(
        width=max(300, width_of(len(order))), height=260
    )
