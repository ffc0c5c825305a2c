r"""What leaves the site for a paper: charts as PNG and PDF, text for LaTeX, Markdown and CSV.

>>> tex("fine_tuned → 50 %"), markdown("fine_tuned")
('fine\\_tuned $\\to$ 50 \\%', 'fine\\_tuned')
"""

import re
from collections.abc import Callable

import pandas as pd
import vl_convert

SHARP = 2
"""Pixels of a PNG for each of the chart, so that it is sharp on a dense screen."""

DPI = 300
"""Pixels an inch of a PNG for print."""


# --- charts ------------------------------------------------------------------------------------


def png(svg: str) -> bytes:
    """A chart as PNG, two pixels for each of its own."""
    return bytes(vl_convert.svg_to_png(svg, scale=SHARP))


def png_for_print(svg: str) -> bytes:
    """A chart that has its size in inches, as PNG of 300 pixels an inch."""
    return bytes(vl_convert.svg_to_png(_in_points(svg), ppi=DPI))


def pdf(svg: str) -> bytes:
    """A chart as PDF with its text as text, a point for each pixel; equal charts are equal bytes.

    The writer numbers fonts, and names other things, in an order drawn anew each time. So names are
    put in order, and a chart whose letters need several fonts is drawn until its fonts stand in
    order: with two or three fonts that is soon; with more it may be given up.
    """
    found = b""
    for _ in range(TRIES):
        found = _sorted(vl_convert.svg_to_pdf(svg))
        fonts = _FONT.findall(found)
        if fonts == sorted(fonts):
            break
    return found


TRIES = 60
_FONT = re.compile(rb"/BaseFont /\w+\+(\S+)")


def pdf_for_print(svg: str) -> bytes:
    """A chart that has its size in inches, as PDF of that size."""
    return pdf(_in_points(svg))


def _in_points(svg: str) -> str:
    """A chart whose size in inches is told in points, which is what the writers take pixels for."""
    return re.sub(r'(width|height)="([\d.]+)in"', _as_points, svg, count=2)


def _as_points(side: re.Match[str]) -> str:
    return f'{side[1]}="{72 * float(side[2]):.2f}"'


_NAMED = re.compile(rb"(?:^ +/\w+ \d+ 0 R\n)+", re.MULTILINE)


def _sorted(found: bytes) -> bytes:
    """A PDF whose named resources stand in order. No length changes, so no offset does."""
    return _NAMED.sub(lambda run: b"".join(sorted(run[0].splitlines(keepends=True))), found)


WRITERS: dict[str, Callable[[str], bytes]] = {"png": png, "pdf": pdf}
"""What a chart is written as, beside SVG."""


# --- words -------------------------------------------------------------------------------------

_TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    '"': r"\textquotedbl{}",
    "→": r"$\to$",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "–": "--",
    "\xa0": "~",
    "\u202f": r"\,",
}


def tex(text: str) -> str:
    r"""Text as LaTeX shows it as it is; what a command or a comment would begin is escaped.

    >>> tex(r"\input{secret} $x_1$ & 5 %")
    '\\textbackslash{}input\\{secret\\} \\$x\\_1\\$ \\& 5 \\%'

    Letters of other scripts stay letters: XeLaTeX and LuaLaTeX set them with a font that has them.
    """
    return "".join(_TEX.get(letter, letter) for letter in _one_line(text))


def markdown(text: str) -> str:
    r"""Text as Markdown shows it as it is, also in a table.

    >>> markdown("a|b <i> *c*")
    'a\\|b \\<i\\> \\*c\\*'
    """
    return re.sub(r"([\\`*_\[\]<>|&~$#!])", r"\\\1", _one_line(text))


def _one_line(text: str) -> str:
    return "".join(
        " " if letter < " " or letter in "\x7f\x85\u2028\u2029" else letter for letter in text
    )


# --- tables for spreadsheets -------------------------------------------------------------------

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv(frame: pd.DataFrame) -> str:
    """A table as CSV, as every file of the site has it."""
    return harmless(frame).to_csv(index=False, lineterminator="\n")


def harmless(frame: pd.DataFrame) -> pd.DataFrame:
    """The same table, with an apostrophe before each text that a spreadsheet would calculate.

    >>> harmless(pd.DataFrame({"class": ["=1+1", "Baroque"], "value": [-1, 2]})).values.tolist()
    [["'=1+1", -1], ['Baroque', 2]]

    A picture or a class may be called "=HYPERLINK(…)", and a table is made to be opened. Numbers
    are no text and stay as they are; the tables of the study folder have every name unchanged.
    """
    texts = frame.select_dtypes(["object", "string"]).columns
    told = frame.assign(**{name: frame[name].map(_harmless) for name in texts})
    return told.set_axis([_harmless(name) for name in told.columns], axis=1)


def _harmless(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r", " ")  # which would end the line, as no writer quotes it
    return f"'{text}" if cell.startswith(_FORMULA) else text
