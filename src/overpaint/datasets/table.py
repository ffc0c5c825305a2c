"""A table that names each picture's path, its label or labels, and its split.

The readers of other tables (`paintings`, `iconart`) are made of the same parts.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from overpaint.datasets.catalogue import Catalogue, Picture
from overpaint.datasets.entry import Classes, CollectionEntry, SplitName, Surroundings
from overpaint.datasets.folder import first_few
from overpaint.datasets.labels import (
    LABELS,
    NOTHING,
    Labels,
    check_known,
    doubtful,
    label_column,
    labels_in,
    marked,
)
from overpaint.datasets.names import clean, legible, split_names
from overpaint.datasets.paths import Finder
from overpaint.datasets.sheet import Sheet, read_sheet, text_of
from overpaint.defaults import SPLITS
from overpaint.errors import DatasetError, nearest

PATHS = ("path", "file", "file_name", "image_path", "image", "filepath", "img_path", "img")
"""What the column of paths is called where the study says nothing."""

SOURCES = ("source", "link", "page", "permalink", "link resource", "object url", "web page",
           "landing page", "url", "uri")  # fmt: skip
RIGHTS = ("rights", "licence", "license", "rights statement", "copyright", "credit", "credit line")
"""What museums call these columns, in lower case; the first that is there is taken."""


class TableEntry(CollectionEntry):
    """A CSV, Excel or Parquet file that names each picture's path, label or labels, and split.

    `files` are one for each split, in place of `file`. With `classes`, their order is kept and any
    other class in the file is an error. `separator` is what stands between several labels in a
    cell.
    """

    kind: Literal["table"]
    root: Path
    file: Path | None = None
    files: Annotated[dict[SplitName, Path], Field(min_length=1)] | None = None
    path: str | None = None
    label: str | Annotated[list[str], Field(min_length=1)] | None = None
    separator: Annotated[str, Field(min_length=1)] | None = None
    split: str | None = None
    group: str | None = None
    classes: Classes | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.files is None):
            raise ValueError("needs either 'file' (a table) or 'files' (a table for each split)")
        return self

    def read(self, surroundings: Surroundings) -> Catalogue:
        root = surroundings.path(self.root)
        if not root.is_dir():
            raise DatasetError("missing-folder", f"there is no folder {root}")
        columns = self.model_dump(
            include={"path", "label", "separator", "split", "group", "classes"}
        )

        def read(place: Path) -> Catalogue:
            file = surroundings.path(place)
            if not file.exists() and (root / place).exists():
                file = root / place
            return read_table(root, file, **columns)

        notes: list[str] = []
        files = self.files
        if self.file is not None and (files := self._in_folders(surroundings, root)):
            names = ", ".join(file.relative_to(root).as_posix() for file in files.values())
            notes.append(f"the tables of the splits are read: {names}")
        if self.file is not None and not files:
            table = read(self.file)
            said = [*table.notes, *unnamed(table, root), *self._others(surroundings, root)]
            return replace(table, notes=tuple(said))
        joined = joined_tables({split: read(file) for split, file in (files or {}).items()})
        said = [*notes, *joined.notes, *unnamed(joined, root)]
        return replace(joined, notes=tuple(said))

    def _in_folders(self, surroundings: Surroundings, root: Path) -> dict[SplitName, Path]:
        """The tables in the folders of the splits, where there is none above: `train/metadata.csv`.

        Raises DatasetError where two folders mean one split, or one means none.
        """
        assert self.file is not None
        above = [surroundings.path(self.file), root / self.file]
        if any(file.exists() for file in above):
            return {}
        lying = [folder for folder in sorted(root.iterdir()) if (folder / self.file).is_file()]
        meanings = split_names(folder.name for folder in lying)
        if len(set(meanings.values())) < len(lying) or "" in meanings.values():
            raise DatasetError(
                "unclear-splits",
                f"there is no table {root / self.file}, but such in {', '.join(meanings)}, which "
                "are not one folder a split: say in 'files' which table is train, val and test",
            )
        names = {meanings[folder.name]: folder / self.file for folder in lying}
        splits: list[SplitName] = ["train", "val", "test"]
        return {split: names[split] for split in splits if split in names}

    def _others(self, surroundings: Surroundings, root: Path) -> list[str]:
        """A sentence on the tables of the other splits, where the study names that of one."""
        assert self.file is not None
        file = next(path for path in (surroundings.path(self.file), root / self.file)
                    if path.exists())  # fmt: skip
        beside = {path.name: path for path in file.parent.iterdir() if path.suffix == file.suffix}
        # Their own names tell the splits, or those of the folders that they lie in.
        around = {path.parent.name: path for path in file.parent.parent.glob(f"*/{file.name}")}
        for name, tables in ((file.name, beside), (file.parent.name, around)):
            names = {path.partition(".")[0]: path for path in tables}
            meanings = split_names(names)
            if meanings.get(name.partition(".")[0]):
                others = [names[stem] for stem, split in meanings.items()
                          if split and names[stem] != name]  # fmt: skip
                if others:
                    said = (
                        f"{file.name} is read alone, and not {', '.join(others)} beside it; for "
                        "one table a split, say 'files: {train: …, test: …}'"
                    )
                    return [said]
        return []


def joined_tables(tables: Mapping[str, Catalogue]) -> Catalogue:
    """One catalogue of the tables of the splits, by the splits.

    Raises DatasetError for a picture that two tables name, and for a table with splits of its own.
    """
    pictures: dict[str, Picture] = {}
    for split, table in tables.items():
        for picture in table.pictures:
            if picture.split not in ("", split):
                raise DatasetError(
                    "unclear-splits",
                    f"{picture.image!r} is of {picture.split}, and stands in the table of {split}",
                )
            if picture.image in pictures:
                raise DatasetError(
                    "duplicate-path",
                    f"{picture.image!r} stands in the tables of {pictures[picture.image].split} "
                    f"and of {split}",
                )
            pictures[picture.image] = replace(picture, split=split)
    first = next(iter(tables.values()))
    return replace(
        first,
        pictures=list(pictures.values()),
        multi_label=True if any(table.multi_label for table in tables.values()) else None,
        notes=tuple(dict.fromkeys(note for table in tables.values() for note in table.notes)),
    )


def unnamed(table: Catalogue, root: Path) -> list[str]:
    """A sentence on the pictures that lie beside those that a table names."""
    from overpaint.pixels.images import ENDINGS

    named = {picture.image for picture in table.pictures}
    lying = [
        path.relative_to(root).as_posix()
        for folder in sorted({(root / image).parent for image in named})
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in ENDINGS and not path.name.startswith(".")
    ]
    others = [legible(image) for image in lying if image not in named]
    if not others:
        return []
    return [f"no row names these pictures, which lie beside others: {first_few(others)}"]


def read_table(
    root: Path,
    file: Path,
    *,
    path: str | None = None,
    label: str | Sequence[str] | None = None,
    separator: str | None = None,
    split: str | None = None,
    group: str | None = None,
    classes: Sequence[str] | None = None,
) -> Catalogue:
    """The catalogue in a table.

    `label` is one column or several of 0 and 1. Without a column of splits, they are those that
    another column or the paths name, or else "". Raises DatasetError with the file and the line
    for a column that is named and missing, an unknown split, a class that is not among `classes`, a
    picture without a label where each has one, a path that leaves the root, a path that stands
    twice. Where a picture comes from and its rights are carried along, if the table says them.
    """
    marks = [] if label is None or isinstance(label, str) else list(label)
    usual = [path] if path else list(PATHS)
    needed = [usual, *([name] for name in (*marks, split, group) if name)]
    if isinstance(label, str) or not marks:
        needed.insert(1, [label] if isinstance(label, str) else list(LABELS))
    sheet = read_sheet(file, needed)
    notes = list(sheet.notes)

    finder = Finder(root=root, beside=file.parent)
    images = [
        finder.find(text_of(cell), sheet.where(line))
        for (line, _), cell in zip(sheet.rows, sheet.cells(usual), strict=True)
    ]
    notes += finder.notes()

    several: bool | None = None
    column = ""
    if marks:
        several, labels = True, marked_rows(sheet, marks)
    else:
        column = label_column(sheet, label if isinstance(label, str) else None)
        labels, listed = labels_in(sheet, column, separator, classes)
        several = True if listed else None
        if listed and all(len(names) == 1 for names in labels):
            notes.append(f"{file.name}: labels are lists, so that a picture may have several")
    if not marks and not classes:
        notes += doubtful(labels, file.name, separated=separator is not None)
    for (line, _), names in zip(sheet.rows, labels, strict=True):
        check_known(names, classes, sheet.where(line))
    bare = labels.count(())
    if bare:
        notes.append(f"{file.name}: {bare} pictures show none of the classes")

    splits, said = splits_in(sheet, split, images, [*marks, *([column] if column else [])])
    notes += said
    groups = [""] * len(images)
    if group:
        texts = [clean(text_of(cell)) for cell in sheet.cells([group])]
        groups = ["" if text.lower() in NOTHING else text for text in texts]
    if group and groups and not any(groups):
        raise DatasetError("no-group-found", f"{file}: the column {group!r} names no group")
    pictures = [
        Picture(image=image, split=split, labels=names, group=name)
        for image, split, names, name in zip(images, splits, labels, groups, strict=True)
    ]
    lines = [line for line, _ in sheet.rows]
    rows = list(zip(lines, with_origins(sheet, pictures), strict=True))
    pictures = unique(sheet, rows)
    if len(pictures) < len(rows):
        again = len(rows) - len(pictures)
        notes.append(f"{file.name}: {again} rows say once more what a row above them says")
    return Catalogue(
        root=root,
        pictures=pictures,
        classes=tuple(map(clean, classes)) if classes else None,
        multi_label=several,
        notes=tuple(notes),
    )


def marked_rows(sheet: Sheet, columns: Sequence[str]) -> list[Labels]:
    """The labels of each row by columns of 0 and 1."""
    texts = [list(map(text_of, sheet.cells([column]))) for column in columns]
    signs = {text for column in texts for text in column}
    if signs & {"-1", "-1.0"} and signs & {"0", "0.0"}:
        raise DatasetError(
            "bad-label",
            f"{sheet.file}: 0, 1 and -1 stand together in the columns of labels: write 0 where -1 "
            "means that a picture does not show it, and leave out the rows where it is not known",
        )
    return [
        marked(dict(zip(columns, row, strict=True)), columns, sheet.where(line))
        for (line, _), row in zip(sheet.rows, zip(*texts, strict=True), strict=True)
    ]


def with_origins(sheet: Sheet, pictures: Sequence[Picture]) -> list[Picture]:
    """The pictures of the rows with what is said there of where they come from and their rights.

    The source is what stands in the first of the usual columns that holds addresses of the web, for
    a `page` may be a number; or else in the column `source`, whatever it holds.
    """
    sources = sheet.texts(["source"])
    for name in SOURCES:
        texts = sheet.texts([name])
        if any(re.match("https?://", text, re.IGNORECASE) for text in texts):
            sources = texts
            break
    return [
        replace(picture, source=source, rights=rights)
        for picture, source, rights in zip(pictures, sources, sheet.texts(RIGHTS), strict=True)
    ]


def unique(sheet: Sheet, rows: Iterable[tuple[int, Picture]]) -> list[Picture]:
    """Each picture once; a DatasetError for one that stands twice and not alike."""
    first: dict[str, tuple[int, Picture]] = {}
    for line, picture in rows:
        above, twin = first.setdefault(picture.image, (line, picture))
        if twin != picture:
            hint = "; several labels stand in one cell" if twin.split == picture.split else ""
            raise DatasetError(
                "duplicate-path",
                f"{sheet.where(line)}: {picture.image!r} ({picture.split or 'no split'}) stands "
                f"in line {above} already ({twin.split or 'no split'}){hint}",
            )
    return [picture for _, picture in first.values()]


# --- tables whose columns are known ------------------------------------------------------------

Row = Mapping[str, str]
"""What the columns of one line say."""


def read_pictures(
    file: Path, columns: Sequence[str], picture: Callable[[Row, str], Picture]
) -> list[Picture]:
    """The pictures that the rows of a file describe; `picture` makes one of a row and its place.

    Raises DatasetError for a column that is missing, a picture that stands twice.
    """
    sheet = read_sheet(file, [[column] for column in columns])
    texts = [list(map(text_of, sheet.cells([column]))) for column in columns]
    pictures = [
        (line, picture(dict(zip(columns, row, strict=True)), sheet.where(line)))
        for (line, _), row in zip(sheet.rows, zip(*texts, strict=True), strict=True)
    ]
    return unique(sheet, pictures)


# --- splits ------------------------------------------------------------------------------------


def split_of(text: str, where: str) -> str:
    """The split that a cell names."""
    split = split_names([text])[text]
    if not split:
        raise DatasetError("unknown-split", f"{where}: split {text!r}; {nearest(text, SPLITS)}")
    return split


def splits_in(
    sheet: Sheet, name: str | None, images: Sequence[str], labels: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The split of each row, and a sentence on where it comes from if that was not said.

    Without a column of splits, one that holds nothing else is taken; or else folders of the paths
    that are named after splits; or else there is none, and all are "".
    """
    if name or sheet.column(["split"]) is not None:
        return named_splits(sheet, name or "split")
    candidates = {
        title: [clean(text_of(cells[place])) for _, cells in sheet.rows]
        for place, title in enumerate(sheet.header)
    }
    columns = {title: texts for title, texts in candidates.items() if _name_splits(texts)}
    if len(columns) > 1:
        raise DatasetError(
            "unclear-splits",
            f"{sheet.file}: the columns {' and '.join(columns)} may be the splits: say in 'split' "
            "which it is",
        )
    places = [sheet.column([label]) for label in labels]
    others = {title: candidates[title] for place, title in enumerate(sheet.header)
              if place not in places}  # fmt: skip
    for title, texts in others.items():
        if not columns:
            _refuse_half(texts, f"the column {title!r}", sheet)
    for title, texts in columns.items():
        said = f"{sheet.file.name}: the splits are those of the column {title!r}"
        return list(map(split_names(texts).__getitem__, texts)), [said]
    folders = [PurePosixPath(image).parts[:-1] for image in images]
    for depth in range(max(map(len, folders), default=0)):
        texts = [parts[depth] if depth < len(parts) else "" for parts in folders]
        if _name_splits(texts):
            names = ", ".join(dict.fromkeys(texts))
            said = f"{sheet.file.name}: the splits are those of the paths' folders {names}"
            return list(map(split_names(texts).__getitem__, texts)), [said]
        _refuse_half(texts, "the paths' folders", sheet)
    flags = [
        title
        for title, texts in others.items()
        if (FLAG.fullmatch(title.lower()) and {text.lower() for text in texts} <= YES_AND_NO)
        or (title.lower() in ("fold", "folds", "kfold") and all(map(str.isdecimal, texts)))
    ]
    return [""] * len(images), [
        f"{sheet.file.name}: the column {title!r} is not read; splits are told by a column 'split' "
        "that says train, val or test"
        for title in flags
    ]


FLAG = re.compile(r"(is[_ ]?)?(train|val|test)[a-z]*([_ ][a-z]+)?")
"""What a column of yes and no is called that tells one split from the others."""

YES_AND_NO = frozenset(("", "0", "1", "true", "false", "yes", "no", "y", "n"))


def _refuse_half(texts: Sequence[str], what: str, sheet: Sheet) -> None:
    """A DatasetError for texts that name splits in some rows and something else in others."""
    meanings = split_names(texts) if len(set(texts)) <= 2 * len(SPLITS) else {}
    others = [text for text in texts if not meanings.get(text)]
    if others and {"train"} < {split for split in meanings.values() if split}:
        raise DatasetError(
            "unclear-splits",
            f"{sheet.file}: {what} may be the splits, but in {len(others)} rows say "
            f"{others[0]!r}: leave these rows out, or give each row train, val or test in a column "
            "'split'",
        )


def named_splits(sheet: Sheet, column: str) -> tuple[list[str], list[str]]:
    """The splits that a column names; it may be empty from top to bottom, which is said."""
    texts = [clean(text_of(cell)) for cell in sheet.cells([column])]
    lines = [line for line, _ in sheet.rows]
    empty = [line for line, text in zip(lines, texts, strict=True) if not text]
    if texts and len(empty) == len(texts):
        return texts, [f"{sheet.file.name}: the column {column!r} is empty"]
    if empty:
        raise DatasetError(
            "missing-split",
            f"{sheet.where(empty[0])}: the picture has no split ({len(empty)} in all): give each "
            "picture one, or none to any",
        )
    meanings = split_names(texts)
    for line, text in zip(lines, texts, strict=True):
        if not meanings[text]:
            split_of(text, sheet.where(line))
    return [meanings[text] for text in texts], []


def _name_splits(texts: Sequence[str]) -> bool:
    """Whether texts name splits, train and at least another, and nothing else."""
    if len(set(texts)) > 2 * len(SPLITS):
        return False
    splits = set(split_names(texts).values())
    return "train" in splits and len(splits) > 1 and "" not in splits
