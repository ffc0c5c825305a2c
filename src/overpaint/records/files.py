"""Files and folders that are there whole or not at all, their digests, and tables of rows."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from overpaint.errors import RecordError


def digest(value: Any) -> str:
    """SHA-256 of a value's canonical JSON.

    >>> digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


Row = TypeVar("Row")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to; it becomes `path` only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write to; it takes the place of `path` only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        yield draft
        if path.exists():
            shutil.rmtree(path)
        draft.replace(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to write to; it becomes `path` when the block ends well.

    If another process has made `path` in the meantime, that one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        yield draft
        try:
            draft.rename(path)
        except OSError:
            if not path.exists():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole."""
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a value, or a row, as JSON for people to read."""
    plain = asdict(value) if hasattr(value, "__dataclass_fields__") else value
    write_text(path, json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The value of a JSON file; a RecordError says which file is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordError("missing-record", f"{path} is missing: run the study first") from None
    except ValueError as error:
        raise RecordError("broken-record", f"{path} is not JSON: {error}") from None


def write_picture(path: Path, pixels: NDArray[np.uint8], told: dict[str, Any]) -> None:
    """Write pixels [H, W, 3 or 4] as a PNG that carries what is told of it, whole."""
    text = PngInfo()
    text.add_text(TOLD, json.dumps(told, sort_keys=True, allow_nan=False))
    with whole_file(path) as draft:
        Image.fromarray(pixels).save(draft, "png", pnginfo=text)


def told_by_picture(path: Path) -> dict[str, Any] | None:
    """What a picture of `write_picture` carries; None if it is missing, cut off or another's."""
    try:
        with Image.open(path) as picture:
            picture.load()
            found = json.loads(picture.info[TOLD])
    except (OSError, SyntaxError, KeyError, ValueError):
        return None
    return found if isinstance(found, dict) else None


TOLD = "overpaint"
"""The key of the text in a PNG."""


def table(rows: Iterable[Row], row: type[Row]) -> pd.DataFrame:
    """Rows as a table whose columns are the row's fields, also when there is no row.

    >>> table([], RenderingRow).columns.tolist()[:2]
    ['layer', 'channel']
    """
    names = [field.name for field in fields(row)]  # type: ignore[arg-type]
    frame = pd.DataFrame([[getattr(each, name) for name in names] for each in rows], columns=names)
    for each in fields(row):  # type: ignore[arg-type]
        if "float" in str(each.type) and "list" not in str(each.type):
            frame[each.name] = frame[each.name].astype("float64")  # a column of only None too
        elif each.type == int | None:
            frame[each.name] = frame[each.name].astype("Int64")
    return frame


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as Parquet, whole."""
    with whole_file(path) as draft:
        frame.to_parquet(draft, index=False)


def read_table(path: Path) -> pd.DataFrame:
    """A table of the folder; a RecordError says which one is missing or broken."""
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise RecordError("missing-record", f"{path} is missing: run the study first") from None
    except (OSError, ValueError) as error:
        raise RecordError("broken-record", f"{path} is no Parquet table: {error}") from None


def write_rows(path: Path, rows: Iterable[Row], row: type[Row]) -> None:
    """Write rows as a Parquet table."""
    write_table(path, table(rows, row))


def read_rows(path: Path, row: type[Row]) -> list[Row]:
    """A table as rows again; a missing column is a RecordError that names it."""
    frame = read_table(path)
    names = [field.name for field in fields(row)]  # type: ignore[arg-type]
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise RecordError("missing-column", f"{path} lacks the column {absent[0]!r}")
    columns = [_plain(frame[name]) for name in names]
    return [row(*values) for values in zip(*columns, strict=True)]


def _plain(column: "pd.Series[Any]") -> list[Any]:
    """Python values of a column: what was None comes back as None, not as NaN."""
    if column.dtype == object and len(column) and hasattr(column.iloc[0], "tolist"):
        return [value.tolist() for value in column]  # a list a row
    return column.astype(object).where(column.notna(), None).tolist()
