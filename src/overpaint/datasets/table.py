"""A table that names each picture's path, its label or labels, and its split."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from overpaint.datasets.catalogue import SPLITS, Picture
from overpaint.datasets.folder import OTHER_NAMES
from overpaint.errors import DatasetError, nearest

SEPARATOR = "|"


def read_table(
    root: Path, file: Path, *, path: str, label: str | list[str], split: str, group: str | None
) -> list[Picture]:
    """The catalogue in a CSV or Parquet file.

    `label` is one column (several labels in it are separated by "|") or a list of 0/1 columns.
    Without a split column the split is "". Raises DatasetError with the file and the row for a
    missing column, an unknown split, a path that leaves the root, a path that stands twice.
    """
    frame = _load(file)
    labels = [label] if isinstance(label, str) else label
    for column in [path, *labels, *([group] if group else [])]:
        if column not in frame.columns:
            known = nearest(column, map(str, frame.columns))
            raise DatasetError("missing-column", f"{file} has no column {column!r}; {known}")
    rows = frame.to_dict("records")
    pictures = [
        Picture(
            _path(row[path], root, file, number),
            _split(row, split, file, number),
            _labels(row, label, file, number),
            str(row[group]) if group else "",
        )
        for number, row in enumerate(rows, start=2)
    ]
    _check_unique(pictures, file)
    return pictures


def _load(file: Path) -> pd.DataFrame:
    try:
        if file.suffix == ".parquet":
            return pd.read_parquet(file)
        return pd.read_csv(file, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise DatasetError("missing-table", f"there is no table {file}") from None
    except (OSError, ValueError) as error:
        raise DatasetError("broken-table", f"cannot read the table {file}: {error}") from None


def _path(value: object, root: Path, file: Path, number: int) -> str:
    """The id of a picture: below the root, or else the table could point anywhere."""
    inside = Path(str(value)).as_posix()
    if not (root / inside).resolve().is_relative_to(root.resolve()):
        raise DatasetError(
            "path-outside", f"{file}, line {number}: {inside!r} leads out of the root {root}"
        )
    return inside


def _split(row: Mapping[Hashable, Any], column: str, file: Path, number: int) -> str:
    if column not in row:
        return ""
    value = str(row[column])
    name = OTHER_NAMES.get(value, value)
    if name not in SPLITS:
        raise DatasetError(
            "unknown-split", f"{file}, line {number}: split {value!r}; {nearest(value, SPLITS)}"
        )
    return name


def _labels(
    row: Mapping[Hashable, Any], label: str | list[str], file: Path, number: int
) -> tuple[str, ...]:
    if isinstance(label, str):
        labels = tuple(part.strip() for part in str(row[label]).split(SEPARATOR) if part.strip())
        return tuple(dict.fromkeys(labels))
    for column in label:
        if str(row[column]) not in ("0", "1", "0.0", "1.0", "-1", "-1.0", "True", "False"):
            raise DatasetError(
                "bad-label", f"{file}, line {number}: {column!r} is {row[column]!r}, not 0 or 1"
            )
    return tuple(column for column in label if str(row[column]) in ("1", "1.0", "True"))


def _check_unique(pictures: list[Picture], file: Path) -> None:
    seen: dict[str, int] = {}
    for number, picture in enumerate(pictures, start=2):
        if picture.image in seen:
            first = seen[picture.image]
            raise DatasetError(
                "duplicate-path", f"{file}, line {number}: {picture.image!r} stands in line {first}"
            )
        seen[picture.image] = number
