"""DataFrames as a notebook shows them: their first rows, behind their names where they are many."""

from html import escape

import pandas as pd

SHOWN = 12
"""Rows of a table that are shown; how many there are is said."""


def shown(frame: pd.DataFrame, most: int = SHOWN) -> str:
    """The first rows of a table as HTML.

    >>> shown(pd.DataFrame({"layer": ["<a>", "b", "c"]}), most=1).splitlines()[-1]
    '</table><p>The first 1 of 3 rows.</p>'
    """
    text: str = frame.head(most).to_html(index=False, na_rep="", float_format="{:.4g}".format)
    rest = f"<p>The first {most} of {len(frame):,} rows.</p>" if len(frame) > most else ""
    return text + rest


def folded(name: str, frame: pd.DataFrame, most: int = SHOWN) -> str:
    """A table behind its name, which opens it.

    >>> folded("layers", pd.DataFrame({"layer": ["<b>"]}))[:53]
    '<details><summary>layers (1 rows, 1 columns)</summary'
    """
    rows, columns = frame.shape
    title = f"{escape(name)} ({rows:,} rows, {columns} columns)"
    return f"<details><summary>{title}</summary>{shown(frame, most)}</details>"
