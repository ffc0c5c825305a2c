"""Whether what was read is what a run writes: tables by the fields of their rows, JSON as well.

>>> from overpaint.records.rows import EpochRow
>>> frame = pd.DataFrame({"epoch": [1, 2, "third"], "train_loss": [0.5, float("inf"), 0.1],
...                       "best": [True, False, False]})
>>> sound, remarks = checked(frame, EpochRow)
>>> sound["epoch"].tolist(), sound["train_loss"].tolist(), remarks
([1, 2], [0.5, nan], ['holds in 1 of its rows something else than “epoch” is'])

A folder may have been damaged, or made by somebody else: a page that is made of what is checked
here meets texts, numbers and nothing where its row says so, and no number that would fill the
memory.
"""

from dataclasses import fields
from functools import cache
from itertools import chain
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from overpaint.errors import RecordError
from overpaint.records.rows import INDICES, Index

Kind = TypeVar("Kind")


@cache
def _types(row: type) -> dict[str, set[Any]]:
    """The types that each field of a row may have; `list` for lists of texts."""
    types = {}
    for name, hint in get_type_hints(row, include_extras=True).items():
        is_plain = get_origin(hint) in (None, list, Annotated)
        parts = [hint] if is_plain else get_args(hint)
        types[name] = {list if get_origin(part) is list else part for part in parts}
    return types


def checked(frame: pd.DataFrame, row: type) -> tuple[pd.DataFrame, list[str]]:
    """A table whose columns are as the fields of its row say, as far as there are such columns; and
    what it held beside that, in words.

    A number that is none is as if it had not been measured, a text that is none as by default.
    Where a field needs something, a row that has it not is left out.
    """
    sound = np.ones(len(frame), bool)
    columns, remarks = {}, []
    defaults = {field.name: field.default for field in fields(row)}
    for name, types in _types(row).items():
        if name not in frame:
            continue
        column = frame[name]
        if isinstance(default := defaults.get(name), str):  # a text that nobody wrote
            column = column.astype(object).where(column.notna(), default)
        values, fits = _as(column, types)
        if NoneType not in types and float not in types and not fits.all():
            lacking = int((~fits & sound).sum())
            remarks += [f"holds in {lacking:,} of its rows something else than “{name}” is"] * bool(
                lacking
            )
            sound &= fits
        columns[name] = values
    others = [name for name in frame if name not in columns]
    whole = pd.concat([pd.DataFrame(columns, index=frame.index), frame[others]], axis=1)
    whole = whole[list(frame.columns)][sound]
    counted = [name for name, types in _types(row).items() if types <= {int, Index}]
    return whole.astype({name: "int64" for name in counted if name in whole}), remarks


def _as(column: "pd.Series[Any]", types: set[Any]) -> "tuple[pd.Series[Any], NDArray[np.bool_]]":
    """The values of a column as one of some types, and where they are of it."""
    if float in types:
        numbers = pd.to_numeric(column, errors="coerce").astype("float64")
        return numbers.where(np.isfinite(numbers)), np.ones(len(column), bool)
    if types & {int, Index}:
        return _whole(column, INDICES if Index in types else (-(2**63), 2**63 - 1))
    if types <= {str, NoneType} and pd.api.types.infer_dtype(column, skipna=False) == "string":
        return column, np.ones(len(column), bool)
    check = _is_texts if list in types else _is_truth if bool in types else _is_text
    fits = np.fromiter(map(check, column), bool, len(column))
    return column.astype(object).where(fits, other=None), fits


def _whole(
    column: "pd.Series[Any]", bounds: tuple[int, int]
) -> "tuple[pd.Series[Any], NDArray[np.bool_]]":
    """The whole numbers of a column within bounds, nothing in the place of others."""
    if pd.api.types.is_bool_dtype(column):
        return column, np.zeros(len(column), bool)
    if pd.api.types.is_integer_dtype(column):  # as it is: a seed has more digits than a float
        fits = ((column >= bounds[0]) & (column <= bounds[1])).fillna(False).to_numpy(bool)
        if fits.all():
            return column, fits
        return column.where(fits, other=0).astype("Int64").where(fits), fits
    numbers = pd.to_numeric(column, errors="coerce")
    floats = numbers.astype("Float64").to_numpy("float64", na_value=np.nan)
    low, high = max(bounds[0], -(2**53)), min(bounds[1], 2**53)
    fits = (floats >= low) & (floats <= high) & (floats == np.round(floats))
    return pd.Series(np.where(fits, floats, np.nan), index=column.index), fits


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_truth(value: object) -> bool:
    return isinstance(value, bool | np.bool_)


def _is_texts(value: object) -> bool:
    return isinstance(value, list | np.ndarray) and {str}.issuperset(map(type, chain(value)))


def read_as(kind: type[Kind], value: Any, where: object) -> Kind:
    """A value of a JSON file as a row; a RecordError names the file and what of it is not so.

    >>> from overpaint.records.rows import Score
    >>> read_as(Score, {"value": "high"}, "scores.json")
    Traceback (most recent call last):
    overpaint.errors.RecordError: scores.json does not hold what a run writes there: value: ...
    """
    try:
        return TypeAdapter(kind).validate_python(value)
    except (ValidationError, RecursionError) as error:
        reason = ""
        if isinstance(error, ValidationError):
            [first, *_] = error.errors(include_input=False)
            reason = f": {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise RecordError(
            "broken-record", f"{where} does not hold what a run writes there{reason}"
        ) from None
