"""Files and folders that are there whole or not at all, their digests, and tables of rows."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING, asdict, dataclass, fields
from functools import cache
from math import isfinite
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, BinaryIO, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from overpaint.errors import RecordError, shortened
from overpaint.files import open_regular, read_regular
from overpaint.machine import hand_on, is_machines, refusals_told
from overpaint.records.belongings import replace_folder
from overpaint.records.drafts import draft_of, forget, sync, sync_below


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
    """A path to write to; it becomes `path` only when the block ends well, and is on the disk then.

    Of two writers at once the last that ends stays.
    """
    with refusals_told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_of(path)
    try:
        with refusals_told(path):
            yield draft
            sync(draft)
            draft.replace(path)
            sync(path.parent)
    finally:
        forget(draft)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write to; it takes the place of `path` only when the block ends well.

    What in that is somebody else's stays there.
    """
    with refusals_told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft, mark = draft_of(path), draft_of(path)
        draft.mkdir()
        mark.touch()
    try:
        with refusals_told(path):
            yield draft
            mark.unlink()  # gone where all was removed meanwhile: the draft lacks its beginning
            sync_below(draft)
            replace_folder(draft, path)
    finally:
        forget(draft)
        forget(mark)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to write to; it becomes `path` when the block ends well.

    If another process has made `path` in the meantime, that one stays.
    """
    with refusals_told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = draft_of(path)
        draft.mkdir()
    try:
        with refusals_told(path):
            yield draft
            sync_below(draft)
            try:
                draft.rename(path)
            except OSError:
                if not path.exists():
                    raise
            sync(path.parent)
    finally:
        forget(draft)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole."""
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a value, or a row, as JSON for people to read."""
    plain = asdict(value) if hasattr(value, "__dataclass_fields__") else value
    write_text(path, json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


JSON_BYTES = 2**26
JSON_PARTS = 2_000_000
"""Of a JSON file, its lists and objects counted: each takes much more memory than its two signs."""


def read_json(path: Path) -> Any:
    """The value of a JSON file; a RecordError says which file is missing or broken.

    Numbers in it are finite and of 64 bits, texts can be written again.
    """
    try:
        return _value(read_regular(path, JSON_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        raise RecordError("missing-record", f"{path} is missing: run the study first") from None
    except OSError as error:
        hand_on(error, path)
        raise RecordError("broken-record", f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise RecordError("broken-record", f"{path} is not JSON: {error}") from None


def _value(data: bytes) -> Any:
    if data.count(b"{") + data.count(b"[") > JSON_PARTS:
        raise ValueError(f"more than {JSON_PARTS:,} lists and objects")
    text = data.decode()
    value = json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_finite)
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # half a letter is no text
    return value


def _whole(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
        raise ValueError("a whole number of more than 64 bits")
    return int(digits)


def _finite(digits: str) -> float:
    if not isfinite(float(digits)):
        raise ValueError(f"{shortened(digits, 30)} is no number")
    return float(digits)


def write_picture(path: Path, pixels: NDArray[np.uint8], metadata: dict[str, Any]) -> None:
    """Write pixels [H, W, 3 or 4] as a PNG that carries its metadata, whole."""
    text = PngInfo()
    text.add_text(METADATA, json.dumps(metadata, sort_keys=True, allow_nan=False))
    with whole_file(path) as draft:
        Image.fromarray(pixels).save(draft, "png", pnginfo=text)


def picture_metadata(path: Path) -> dict[str, Any] | None:
    """What a picture of `write_picture` carries; None if it is missing, cut off or another's."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            picture.load()
            metadata = json.loads(picture.info[METADATA])
    except Exception as error:  # a broken file may trip Pillow anywhere
        if is_machines(error):
            raise
        return None
    return metadata if isinstance(metadata, dict) else None


METADATA = "overpaint"
"""The key of the text in a PNG."""


@dataclass(frozen=True, kw_only=True)
class ColumnKind:
    """What a column of a table of rows may hold, as its field's type says."""

    dtype: Literal["float64", "Int64"] | None  # of pandas; None where the values say it
    can_lack: bool  # a number that may be absent: the column may be without values
    default: Any  # of a column that folders from before do not have; None where that is no value


@cache
def column_kinds(row: type) -> dict[str, ColumnKind]:
    """The columns of a row class by name.

    >>> from overpaint.records import RenderingRow
    >>> column_kinds(RenderingRow)["objective_end"]
    ColumnKind(dtype='float64', can_lack=True, default=None)
    >>> column_kinds(RenderingRow)["attempts"].default
    1
    """
    kinds = {}
    hints = get_type_hints(row)
    for column in fields(row):
        hint = hints[column.name]
        types = set(get_args(hint)) if get_origin(hint) in (UnionType, Union) else {hint}
        dtype: Literal["float64", "Int64"] | None = None
        if float in types:
            dtype = "float64"
        elif types == {int, NoneType}:
            dtype = "Int64"
        kinds[column.name] = ColumnKind(
            dtype=dtype,
            can_lack=bool(types & {float, NoneType}),
            default=None if column.default is MISSING else column.default,
        )
    return kinds


def table(rows: Iterable[Row], row: type[Row]) -> pd.DataFrame:
    """Rows as a table whose columns are the row's fields, also when there is no row.

    >>> from overpaint.records import RenderingRow
    >>> table([], RenderingRow).columns.tolist()[:2]
    ['layer', 'channel']
    """
    kinds = column_kinds(row)  # type: ignore[arg-type]
    lines = [[getattr(line, name) for name in kinds] for line in rows]
    frame = pd.DataFrame(lines, columns=list(kinds))
    for name, kind in kinds.items():
        # A column of only None has its type too.
        if kind.dtype == "float64":
            frame[name] = frame[name].astype("float64")
        elif kind.dtype == "Int64":
            frame[name] = frame[name].astype("Int64")
    return frame


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as Parquet, whole."""
    with whole_file(path) as draft:
        frame.to_parquet(draft, index=False)


TABLE_BYTES = 2**33
CELLS, CELLS_A_BYTE, MOST_CELLS = 1_000_000, 20, 2**28
"""Of a table: some, and more where the file is long, for a run of equal cells takes few bytes."""


def read_table(path: Path) -> pd.DataFrame:
    """A table of the folder; a RecordError says which one is missing or broken."""
    with table_file(path) as file:
        try:
            return pd.read_parquet(file)
        except Exception as error:  # pyarrow's own errors are of many classes
            hand_on(error, path)
            raise RecordError("broken-record", f"{path} is no Parquet table: {error}") from None


@contextmanager
def table_file(path: Path) -> Iterator[BinaryIO]:
    """The opened file of a table, one that is a file and whose cells fit into memory.

    Raises RecordError as `read_table` has it.
    """
    try:
        file = open_regular(path, TABLE_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        raise RecordError("missing-record", f"{path} is missing: run the study first") from None
    except OSError as error:
        hand_on(error, path)
        raise RecordError("broken-record", f"{path} cannot be read: {error.strerror}") from None
    with file:
        try:
            kept = pq.read_metadata(file)
        except Exception as error:
            raise RecordError("broken-record", f"{path} is no Parquet table: {error}") from None
        cells = kept.num_rows * kept.num_columns
        size = os.fstat(file.fileno()).st_size
        if cells > min(MOST_CELLS, CELLS + CELLS_A_BYTE * size):
            raise RecordError(
                "broken-record", f"{path} says that it has {cells:,} cells, in {size:,} bytes"
            )
        file.seek(0)
        yield file


def write_rows(path: Path, rows: Iterable[Row], row: type[Row]) -> None:
    """Write rows as a Parquet table."""
    write_table(path, table(rows, row))


def read_rows(path: Path, row: type[Row]) -> list[Row]:
    """A table as rows again; a missing column is a RecordError that names it, unless its field has
    a default: then the table is from before there was that column.
    """
    frame = read_table(path)
    names = []
    for column in fields(row):  # type: ignore[arg-type]
        if column.name in frame.columns:
            names.append(column.name)
        elif column.default is MISSING:
            raise RecordError("missing-column", f"{path} lacks the column {column.name!r}")
    columns = [_plain(frame[name]) for name in names]
    return [row(**dict(zip(names, values, strict=True))) for values in zip(*columns, strict=True)]


def _plain(column: "pd.Series[Any]") -> list[Any]:
    """Python values of a column: what was None comes back as None, not as NaN."""
    if column.dtype == object and len(column) and hasattr(column.iloc[0], "tolist"):
        return [value.tolist() for value in column]  # a list a row
    return column.astype(object).where(column.notna(), None).tolist()
