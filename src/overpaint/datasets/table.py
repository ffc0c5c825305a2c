"""A table that names each picture's path, its label or labels, and its split.

The readers of other tables (`paintings`, `iconart`) are made of the same parts.
"""

import os.path
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from overpaint.datasets.catalogue import Catalogue, Picture
from overpaint.datasets.entry import Classes, CollectionEntry, Surroundings
from overpaint.datasets.folder import OTHER_NAMES
from overpaint.defaults import SPLITS
from overpaint.errors import DatasetError, nearest

if TYPE_CHECKING:
    import pandas as pd

SEPARATOR = "|"

Row = Mapping[Hashable, Any]


class TableEntry(CollectionEntry):
    """A CSV or Parquet file that names each picture's path, label or labels, and split.

    With `classes`, their order is kept and any other class in the file is an error.
    """

    kind: Literal["table"]
    root: Path
    file: Path
    path: str = "path"
    label: str | list[str] = "label"
    split: str = "split"
    group: str | None = None
    classes: Classes | None = None

    def read(self, surroundings: Surroundings) -> Catalogue:
        root, file = surroundings.path(self.root), surroundings.path(self.file)
        return Catalogue(
            root=root,
            pictures=read_table(
                root,
                file,
                path=self.path,
                label=self.label,
                split=self.split,
                group=self.group,
                classes=self.classes,
            ),
            classes=tuple(self.classes) if self.classes else None,
            multi_label=True if isinstance(self.label, list) else None,
        )


def read_table(
    root: Path,
    file: Path,
    *,
    path: str,
    label: str | list[str],
    split: str,
    group: str | None,
    classes: Sequence[str] | None = None,
) -> list[Picture]:
    """The catalogue in a CSV or Parquet file.

    `label` is one column (several labels in it are separated by "|") or a list of 0/1 columns.
    Without a split column the split is "". Raises DatasetError with the file and the line for a
    missing column, an unknown split, a class that is not among `classes`, a picture without a
    label where each has one, a path that leaves the root, a path that stands twice.
    """
    columns = [path, *([label] if isinstance(label, str) else label), *([group] if group else [])]

    def picture(row: Row, where: str) -> Picture:
        labels = marked(row, label, where) if isinstance(label, list) else _listed(row[label])
        check_known(labels, classes, where)
        return Picture(
            image=inside(_text(row[path]), root, where),
            split=split_of(row[split], where) if split in row else "",
            labels=labels,
            group=_text(row[group]) if group else "",
        )

    pictures = read_pictures(file, columns, picture)
    if isinstance(label, str):
        _check_labelled(pictures, file, label)
    return pictures


def read_pictures(
    file: Path, columns: Iterable[str], picture: Callable[[Row, str], Picture]
) -> list[Picture]:
    """The pictures that the rows of a file describe; `picture` makes one of a row and its place.

    Raises DatasetError for a column that is missing, a picture that stands twice.
    """
    frame = _load(file)
    for column in columns:
        if column not in frame.columns:
            close = nearest(column, map(str, frame.columns))
            raise DatasetError("missing-column", f"{file} has no column {column!r}; {close}")
    lines = [(number, row) for number, row in enumerate(frame.to_dict("records"), start=2)
             if any(_text(value) for value in row.values())]  # fmt: skip
    pictures = {number: picture(row, f"{file}, line {number}") for number, row in lines}
    _check_unique(pictures, file)
    return list(pictures.values())


def _load(file: Path) -> "pd.DataFrame":
    """The table; blank lines stay in it, so that a row's number tells its line."""
    import pandas as pd

    try:
        if file.suffix == ".parquet":
            return pd.read_parquet(file)
        return pd.read_csv(file, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except FileNotFoundError:
        raise DatasetError("missing-table", f"there is no table {file}") from None
    except (OSError, ValueError) as error:
        raise DatasetError("broken-table", f"cannot read the table {file}: {error}") from None


def _text(value: object) -> str:
    """What a cell says; nothing when it is empty, also in a Parquet file."""
    return "" if value is None or value != value else str(value)  # noqa: PLR0124 - NaN


def inside(path: str, root: Path, where: str) -> str:
    """The id of a picture: below the root, or else the table could point anywhere.

    Links are followed: one that leads out of the root is refused as well.
    """
    if not path:
        raise DatasetError("missing-path", f"{where}: the path of the picture is empty")
    named = Path(os.path.normpath(root / path))
    if not (named.is_relative_to(root) and named.resolve().is_relative_to(root.resolve())):
        raise DatasetError("path-outside", f"{where}: {path!r} leads out of the root {root}")
    return named.relative_to(root).as_posix()


def split_of(value: object, where: str) -> str:
    """The split that a cell names."""
    text = _text(value)
    name = OTHER_NAMES.get(text, text)
    if name not in SPLITS:
        raise DatasetError("unknown-split", f"{where}: split {text!r}; {nearest(text, SPLITS)}")
    return name


def _listed(value: object) -> tuple[str, ...]:
    labels = [part.strip() for part in _text(value).split(SEPARATOR)]
    return tuple(dict.fromkeys(label for label in labels if label))


def marked(row: Row, columns: Sequence[str], where: str) -> tuple[str, ...]:
    """The columns whose cell is 1; a DatasetError for a cell that is neither 0 nor 1."""
    for column in columns:
        if str(row[column]) not in ("0", "1", "0.0", "1.0", "-1", "-1.0", "True", "False"):
            raise DatasetError("bad-label", f"{where}: {column!r} is {row[column]!r}, not 0 or 1")
    return tuple(column for column in columns if str(row[column]) in ("1", "1.0", "True"))


def check_known(labels: Iterable[str], classes: Sequence[str] | None, where: str) -> None:
    """A DatasetError for a label that is not among the classes, when these are given."""
    for label in labels:
        if classes is not None and label not in classes:
            raise DatasetError("unknown-class", f"{where}: class {label!r}; "
                               f"{nearest(label, classes)}")  # fmt: skip


def _check_labelled(pictures: Sequence[Picture], file: Path, label: str) -> None:
    """Where no picture has several labels, one without any is a gap and not an answer."""
    bare = [picture.image for picture in pictures if not picture.labels]
    if bare and all(len(picture.labels) < 2 for picture in pictures):
        raise DatasetError(
            "missing-label",
            f"{file}: {bare[0]!r} has no {label!r} ({len(bare)} in all): "
            "give each picture one, or leave its line out",
        )


def _check_unique(pictures: Mapping[int, Picture], file: Path) -> None:
    lines: dict[str, int] = {}
    for number, picture in pictures.items():
        if picture.image in lines:
            first = lines[picture.image]
            raise DatasetError(
                "duplicate-path",
                f"{file}, line {number}: {picture.image!r} ({picture.split or 'no split'}) stands "
                f"in line {first} already ({pictures[first].split or 'no split'})",
            )
        lines[picture.image] = number
