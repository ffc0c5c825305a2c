"""Tables as CSV, which a spreadsheet may open without harm."""

import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv(frame: pd.DataFrame) -> str:
    """A table as CSV, as every file of the site has it: numbers in nine digits."""
    return harmless(frame).to_csv(index=False, lineterminator="\n", float_format="%.9g")


def harmless(frame: pd.DataFrame) -> pd.DataFrame:
    """The same table, with an apostrophe before each text that a spreadsheet would calculate.

    >>> harmless(pd.DataFrame({"class": ["=1+1", "Baroque"], "value": [-1, 2]})).values.tolist()
    [["'=1+1", -1], ['Baroque', 2]]

    A picture or a class may be called "=HYPERLINK(…)", and a table is made to be opened. Numbers
    are no text and stay as they are; the tables of the study folder have every name unchanged.
    """
    texts = frame.select_dtypes(["object", "string"]).columns
    escaped = frame.assign(**{name: frame[name].map(_harmless) for name in texts})
    return escaped.set_axis([_harmless(name) for name in frame.columns], axis=1)


def _harmless(cell: object) -> object:
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r", " ")  # which would end the line, as no writer quotes it
    return f"'{text}" if cell.startswith(_FORMULA) else text
