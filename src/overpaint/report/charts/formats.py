"""What a chart's SVG is written as beside it: PNG and PDF, for a page or for print."""

import re
from collections.abc import Callable

import vl_convert

SHARP = 2
"""Pixels of a PNG for each of the chart, so that it is sharp on a dense screen."""

DPI = 300
"""Pixels an inch of a PNG for print."""


def png(svg: str) -> bytes:
    """A chart as PNG, two pixels for each of its own."""
    return bytes(vl_convert.svg_to_png(svg, scale=SHARP))


def pdf(svg: str) -> bytes:
    """A chart as PDF with its text as text, a point for each pixel.

    The writer numbers fonts and names in an order drawn anew each time: equal charts show the same
    and need not be equal bytes.
    """
    return bytes(vl_convert.svg_to_pdf(svg))


WRITERS: dict[str, Callable[[str], bytes]] = {"png": png, "pdf": pdf}
"""What a chart is written as, beside SVG."""


def png_for_print(svg: str) -> bytes:
    """A chart that has its size in inches, as PNG of 300 pixels an inch."""
    return bytes(vl_convert.svg_to_png(_in_points(svg), ppi=DPI))


def pdf_for_print(svg: str) -> bytes:
    """A chart that has its size in inches, as PDF of that size."""
    return pdf(_in_points(svg))


def _in_points(svg: str) -> str:
    """A chart with its size in points instead of inches: the writers take pixels for points."""
    return re.sub(
        r'(width|height)="([\d.]+)in"',
        lambda side: f'{side[1]}="{72 * float(side[2]):.2f}"',
        svg,
        count=2,
    )
