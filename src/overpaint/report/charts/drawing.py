"""Drawing a chart as SVG, for a page or for print: vl-convert does it, without a browser."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib.resources import files
from typing import Any, Self

import altair as alt
import vl_convert

from overpaint.errors import printable
from overpaint.report.charts.colours import FAINT, INK, PAPER, RULE

SANS = "Helvetica, Arial, sans-serif"

COLUMN, BOTH = 3.5, 7.16
"""The widths of a figure in print, in inches: those of a paper in two columns."""

CROWDED = 640
"""A chart that needs more pixels than these would be too small in one column."""


VEGA_LITE = "5.20"
"""The version in which charts are described."""

LINK = "https://site.invalid/"
"""What stands before the address of a page in the site, for the drawer takes whole addresses."""


def link(address: str | None) -> str:
    """What a mark of a chart opens: a page of the site, or nothing."""
    return LINK + address if address else ""


def svg(
    chart: alt.TopLevelMixin | dict[str, Any], root: str = "", begun: Future[str] | None = None
) -> str:
    """A chart as the text of an SVG file; `root` leads from there to the root of the site, where
    its links begin. `begun` is what a `Painter` was asked to draw of it.
    """
    drawing = _NOWHERE.sub(r"\1", begun.result() if begun else draw(chart, _PAGE))
    drawing = drawing.replace(f'xlink:href="{LINK}', f'tabindex="-1" href="{root}')
    for pattern, replacement in _SLIMMER:
        drawing = pattern.sub(replacement, drawing)
    return drawing.replace("<svg ", f'<svg font-family="{SANS}" ', 1)


_NOWHERE = re.compile(rf'<a xlink:href="(?!{LINK})[^"]*">(.*?)</a>')
"""A mark that opens nothing, which the drawer links all the same."""


def _rounded(place: re.Match[str]) -> str:
    """A place in hundredths of a pixel."""
    return re.sub(r"(\.\d\d)\d+", r"\1", place[0])


def _hexadecimal(colour: re.Match[str]) -> str:
    return '="#{:02x}{:02x}{:02x}"'.format(*map(int, colour.groups()))


_SLIMMER: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r'(?<= )(d|transform|x|y|x1|x2|y1|y2|width|height)="[^"<>]*"'), _rounded),
    (
        re.compile(
            r'<path transform="translate\(([\d.]+),([\d.]+)\)" '
            r'd="M([\d.]+),0A\3,\3,0,1,1,-\3,0A\3,\3,0,1,1,\3,0"'
        ),
        r'<circle cx="\1" cy="\2" r="\3"',
    ),
    (re.compile(r'<path class="(back|fore)ground" aria-hidden="true"[^<>]*/>'), ""),
    (re.compile(r' (class="mark-[^"<>]*"|role="[^"<>]*"|aria-[a-z]*="[^"<>]*"|opacity="1")'), ""),
    (re.compile(rf' font-family="{SANS}"'), ""),
    (re.compile(r'="rgb\((\d+), (\d+), (\d+)\)"'), _hexadecimal),
    (re.compile(r'(<circle [^<>]*fill="#[^<>]*) stroke-width="2"(?![^<>]*stroke=)'), r"\1"),
)
"""What makes a drawing half as long, as it looks: it lies in a page with its links."""


def svg_for_print(chart: alt.TopLevelMixin | dict[str, Any]) -> str:
    """A chart for a page of a paper: on white, as wide as one column or as both.

    Its size is in inches, its coordinates are those of the drawing for a page.
    """
    drawing = draw(chart, _PRINT, linked=False)
    start = re.search(r'width="([\d.]+)" height="([\d.]+)"', drawing)
    assert start is not None
    width, height = (float(side) for side in start.groups())
    inches = COLUMN if width <= CROWDED else BOTH
    size = f'width="{inches}in" height="{inches * height / width:.3f}in"'
    return drawing[: start.start()] + size + drawing[start.end() :]


def draw(
    chart: alt.TopLevelMixin | dict[str, Any], theme: dict[str, Any], *, linked: bool = True
) -> str:
    """A chart, or its Vega-Lite, as SVG in a theme: the `config` of Vega-Lite. Print has no links,
    for they lead to pages beside it.
    """
    described = chart if isinstance(chart, dict) else chart.to_dict()
    spec = fit_to_draw(described) | {"config": theme}
    if not linked:
        spec = _without_links(spec)
    return _drawn_here(spec)


def _drawn_here(spec: dict[str, Any]) -> str:
    return str(vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE))


class Painter:
    """Draws charts in a process of its own, while pages are made here: vl-convert lets nothing else
    of its process go on.

    The process runs a file by its path, and needs nothing of the program that called us. Where
    there is none to be had, or it ends, charts are drawn here: they are the same.
    """

    def __init__(self) -> None:
        self._queue = ThreadPoolExecutor(1, thread_name_prefix="charts")
        self.process: subprocess.Popen[str] | None = None
        self.is_lost = not sys.executable

    def begin(self, chart: dict[str, Any]) -> Future[str]:
        """Have a chart drawn for a page, after those that were begun before."""
        return self._queue.submit(self._ask, fit_to_draw(chart) | {"config": _PAGE})

    def _ask(self, spec: dict[str, Any]) -> str:
        if not self.is_lost:
            try:
                process = self.process = self.process or self._start()
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(json.dumps([spec, VEGA_LITE]) + "\n")
                process.stdin.flush()
                return str(json.loads(process.stdout.readline()))
            except (OSError, ValueError):  # among them no answer at all
                self.is_lost = True
        return _drawn_here(spec)

    @staticmethod
    def _start() -> "subprocess.Popen[str]":
        return subprocess.Popen(  # noqa: S603  (a file of ours)
            [sys.executable, "-P", str(files("overpaint.report") / "charts/draw_apart.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="ascii",
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Let the process end, with what nobody asks for any more."""
        self._queue.shutdown(cancel_futures=True)
        if self.process:
            with suppress(OSError):
                self.process.communicate()


def _without_links(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _without_links(value) for name, value in part.items() if name != "href"}
    return [_without_links(value) for value in part] if isinstance(part, list) else part


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
        if len(part) > LONGEST and not part.startswith(LINK):
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
