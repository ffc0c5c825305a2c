"""Drawing a chart as SVG, for a page or for print: vl-convert does it, without a browser."""

import re
from typing import Any

import altair as alt
import vl_convert

from overpaint.errors import printable
from overpaint.report.charts.colours import FAINT, INK, PAPER, RULE

SANS = "Helvetica, Arial, sans-serif"

COLUMN, BOTH = 3.5, 7.16
"""The widths of a figure in print, in inches: those of a paper in two columns."""

CROWDED = 640
"""A chart that needs more pixels than these would be too small in one column."""


def svg(chart: alt.TopLevelMixin | dict[str, Any]) -> str:
    """A chart as the text of an SVG file."""
    return draw(chart, _PAGE)


def svg_for_print(chart: alt.TopLevelMixin | dict[str, Any]) -> str:
    """A chart for a page of a paper: on white, as wide as one column or as both.

    Its size is in inches, its coordinates are those of the drawing for a page.
    """
    drawing = draw(chart, _PRINT)
    start = re.search(r'width="([\d.]+)" height="([\d.]+)"', drawing)
    assert start is not None
    width, height = (float(side) for side in start.groups())
    inches = COLUMN if width <= CROWDED else BOTH
    size = f'width="{inches}in" height="{inches * height / width:.3f}in"'
    return drawing[: start.start()] + size + drawing[start.end() :]


def draw(chart: alt.TopLevelMixin | dict[str, Any], theme: dict[str, Any]) -> str:
    """A chart, or its Vega-Lite, as SVG in a theme: the `config` of Vega-Lite."""
    described = chart if isinstance(chart, dict) else chart.to_dict()
    spec = fit_to_draw(described) | {"config": theme}
    return str(vl_convert.vegalite_to_svg(spec, vl_version="5.20"))


LONGEST = 160
"""The letters of a text in a chart: each is measured, and 160 pixels of them are shown."""

CODE = ("calculate", "expr", "labelExpr", "filter", "test", "datasets")
"""Keys of Vega-Lite whose texts are no labels; rows of a table became fit when they became JSON."""


def fit_to_draw(part: Any) -> Any:
    """A part of a chart in which what is longer than `LONGEST` has an ellipsis in its middle, and
    what XML does not take is written out: there the drawing would end the process.
    """
    if isinstance(part, dict):
        return {
            fit_to_draw(name): value if name in CODE else fit_to_draw(value)
            for name, value in part.items()
        }
    if isinstance(part, list):
        return [fit_to_draw(value) for value in part]
    if isinstance(part, str):
        if len(part) > LONGEST:
            part = f"{part[: LONGEST - 30]}…{part[-29:]}"  # two long labels may begin alike
        return printable(part)
    return part


_AXIS = {
    "labelColor": FAINT,
    "titleColor": INK,
    "domainColor": FAINT,
    "tickColor": FAINT,
    "gridColor": RULE,
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
    "titlePadding": 10,
    "labelLimit": 160,
}
_PAGE: dict[str, Any] = {
    "background": PAPER,
    "font": SANS,
    "padding": 16,
    "aria": False,  # the page says what the picture shows; a text for each mark is megabytes
    "view": {"stroke": None},
    "axis": _AXIS,
    "axisX": {"grid": False},
    "axisY": {"domain": False, "ticks": False},
    "legend": {
        "orient": "top",
        "title": None,
        "labelColor": INK,
        "labelFontSize": 12,
        "labelLimit": 260,
        "titleFontWeight": "normal",
        "titleColor": INK,
        "symbolStrokeWidth": 2,
        "columnPadding": 20,
    },
    "header": {"title": None, "labelColor": INK, "labelFontSize": 13, "labelAnchor": "start"},
}

_LARGE = {"labelFontSize": 14, "titleFontSize": 14}
_PRINT: dict[str, Any] = {
    **_PAGE,
    "background": "#ffffff",
    "padding": 2,
    "axis": {**_AXIS, **_LARGE, "labelColor": INK},  # in one column about 7 points
    "legend": {**_PAGE["legend"], **_LARGE},
    "header": {**_PAGE["header"], "labelFontSize": 14},
}
