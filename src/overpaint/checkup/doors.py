"""Doors: what kind of collection lies at a path, found by a look, and what a study says to read it.

A folder of classes, split folders, a table in any shape, a museum's export, a known collection:
nothing is asked that can be seen. What was guessed is said, and stands in the study's line.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from overpaint.datasets.catalogue import Catalogue, Picture
from overpaint.datasets.entry import CollectionEntry, Surroundings
from overpaint.datasets.folder import TABLES, read_folder
from overpaint.datasets.iiif import ARTISTS
from overpaint.datasets.labels import LABELS
from overpaint.datasets.museum import LABELS as LABELS_OF_MUSEUMS
from overpaint.datasets.names import legible
from overpaint.datasets.opening import ENTRY
from overpaint.datasets.sheet import Sheet, plain, read_sheet
from overpaint.datasets.table import PATHS
from overpaint.errors import DatasetError
from overpaint.records import MARKER

GROUPS = (*ARTISTS, "sitter", "book", "manuscript", "group")
"""What a column of groups is called, in lower case."""

GROUP_OF_NAMES = "([^/_]+)_[^/]*$"
"""The group of file names such as antoine-watteau_the-shepherds.jpg: what stands before the first
underscore."""

MOST_CLASSES = 1000
"""Different labels of a column at most, that is taken for one of labels without its name."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """What a study says to read a collection, and what of that was guessed."""

    fields: dict[str, Any]
    guesses: list[str] = field(default_factory=list)

    @property
    def entry(self) -> CollectionEntry:
        """The entry of a study with these fields."""
        return ENTRY.validate_python(self.fields)

    def read(self) -> Catalogue:
        """What the collection holds; a DatasetError for one that is not as its kind promises."""
        return self.entry.read(Surroundings(base=Path(), pictures=Path(), seed=0))


def door_of(path: Path) -> Door:
    """How a collection is to be read; a DatasetError where nothing is there, or no way is plain.

    >>> door_of(Path("nowhere"))
    Traceback (most recent call last):
    overpaint.errors.DatasetError: there is neither a folder nor a table nowhere
    """
    if path.is_file() and path.suffix.lower() in TABLES:
        return door_of_table(path, path.resolve().parent)
    root = collection_at(path)
    for kind, mark in KNOWN.items():
        if (root / mark).exists():
            return Door(fields={"kind": kind, "root": str(root)})
    if any(root.glob("*.tar")) and not any(inner.is_dir() for inner in root.iterdir()):
        return Door(fields={"kind": "shards", "root": str(root)})
    refusals = []
    for table in sorted(root.iterdir()):
        if table.suffix.lower() not in TABLES or not table.is_file() or table.name == "lost.csv":
            continue
        try:
            return door_of_table(table, root)
        except DatasetError as error:  # a table of something else, or one that nobody can read
            refusals.append(f"{table.name} is not read: {error}")
    return _door_of_folders(root, refusals)


KNOWN = {
    "rasta": "wikipaintings_train",
    "paintings": "Paintings.txt",
    "iconart": "ImageSets/Main/IconArt_v1.csv",
}
"""What lies in collections that are known, by the kind that reads them."""


def collection_at(path: Path) -> Path:
    """The folder of a collection; a DatasetError for what is none."""
    if path.is_file():
        raise DatasetError(
            "no-collection",
            f"{path} is no collection: give a folder of pictures, a table ({', '.join(TABLES)}), "
            "or a study (.yaml)",
        )
    root = path.resolve()
    if not root.is_dir():
        raise DatasetError("missing-folder", f"there is neither a folder nor a table {path}")
    if legible(str(root)) != str(root):
        raise DatasetError(
            "missing-folder", f"the name of the folder {legible(str(root))} is not UTF-8: rename it"
        )
    if (root / MARKER).is_file() or (root / "study.yaml").is_file():
        raise DatasetError(
            "no-collection",
            f"{path} is the folder of a study, and no collection: give the study itself, as "
            f"{path / 'study.yaml'}",
        )
    return root


# --- class folders -----------------------------------------------------------------------------


def _door_of_folders(root: Path, notes: list[str]) -> Door:
    fields: dict[str, Any] = {"kind": "folder", "root": str(root)}
    try:
        pictures = read_folder(root).pictures
    except DatasetError:
        return Door(fields=fields, guesses=notes)  # which the doctor tells of
    if group := group_of_names(pictures):
        fields["group"] = group
        names = {found[1] for picture in pictures if (found := re.search(group, picture.image))}
        said = (
            "file names begin with what looks like a group (an artist, a sitter, a book), as "
            f"{min(names)!r}: {len(names)} groups"
        )
        notes = [*notes, said]
    return Door(fields=fields, guesses=notes)


def group_of_names(pictures: Sequence[Picture]) -> str:
    """The pattern that finds the groups in file names; "" where these seem to name none.

    >>> picture = lambda image: Picture(image=image, split="", labels=(image[0],))
    >>> by_artist = [f"{'ab'[n % 2]}/{name}_{n}.jpg" for name in ("ito", "abe", "ono")
    ...              for n in (1, 2)]
    >>> group_of_names([picture(image) for image in by_artist])
    '([^/_]+)_[^/]*$'
    >>> group_of_names([picture(image) for image in ("a/IMG_1.jpg", "b/IMG_2.jpg")])
    ''

    A group is a word that several pictures begin with, and there are more groups than classes.
    """
    matches = [re.search(GROUP_OF_NAMES, picture.image) for picture in pictures]
    names = Counter(match[1] for match in matches if match)
    words = sum(count for name, count in names.items() if re.search("[^\\W\\d_]{3}", name))
    shared = sum(count for count in names.values() if count > 1)
    classes = len({picture.labels for picture in pictures})
    plausible = words >= 0.8 * len(pictures) and shared >= 0.5 * len(pictures)
    return GROUP_OF_NAMES if plausible and len(names) > classes else ""


# --- tables ------------------------------------------------------------------------------------


def door_of_table(file: Path, root: Path) -> Door:
    """How a table is to be read: which columns hold the paths, the labels, the groups.

    Raises DatasetError for a table that names no pictures that are there, and where several columns
    may be the labels.
    """
    sheet = read_sheet(file, [])
    fields: dict[str, Any] = {"kind": "table", "root": str(root), "file": str(file.resolve())}
    titles = [title for title in sheet.header if title]
    columns = {title: sheet.texts([title]) for title in titles}
    guesses = []
    path = next((title for name in PATHS for title in titles if plain(title) == plain(name)), None)
    if path is None:
        path = next((title for title in titles if _names_files(columns[title], root)), None)
        if path is None:
            raise DatasetError("no-collection", f"no column of {file} names pictures in {root}")
        fields["path"] = path
        guesses.append(f"the column {path!r} holds the paths")
    rest = {title: texts for title, texts in columns.items() if title != path}
    group = next((title for name in GROUPS for title in rest if plain(title) == plain(name)), None)
    if group and len(set(rest[group]) - {""}) > 1:
        fields["group"] = group
        guesses.append(f"the column {group!r} holds the groups")
    label = _label_of(sheet, rest, columns[path], group)
    if label not in LABELS:
        fields["label"] = label
        guesses.append(
            f"the column {label!r} holds the labels"
            if isinstance(label, str)
            else f"the columns {', '.join(label)} of 0 and 1 hold the labels"
        )
    for separator in ("", ";", ",", "/", "+"):
        try:
            Door(fields=fields | ({"separator": separator} if separator else {})).read()
        except DatasetError as error:
            if error.slug != "several-labels":
                return Door(fields=fields, guesses=guesses)  # which the doctor tells of
        else:
            if separator:
                fields["separator"] = separator
                guesses.append(f"several labels stand in a cell, with {separator!r} between them")
            break
    return Door(fields=fields, guesses=guesses)


def _names_files(texts: Sequence[str], root: Path) -> bool:
    """Whether half of the first cells name files below the root."""
    first = [text for text in texts[:50] if text]
    lying = sum((root / text.replace("\\", "/").lstrip("/")).is_file() for text in first
                if len(text) < 500 and "\0" not in text)  # fmt: skip
    return bool(first) and lying >= len(first) / 2


def _label_of(
    sheet: Sheet, columns: dict[str, list[str]], paths: Sequence[str], group: str | None
) -> str | list[str]:
    """The column of labels, or those of 0 and 1; a DatasetError where several may be it."""
    names = (*LABELS, *LABELS_OF_MUSEUMS)
    for name in names:
        for title, texts in columns.items():
            if plain(title) == plain(name) and len(set(texts)) > 1:
                return title
    marks = [title for title, texts in columns.items() if set(texts) == {"0", "1"}]
    if len(marks) > 1:
        return marks
    # A column that says what the pictures' folders say holds the labels, whatever it is called.
    folders = [PurePosixPath(text.replace("\\", "/")).parent.name for text in paths]
    for title, texts in columns.items():
        if len(set(texts)) > 1 and texts == folders:
            return title
    candidates = [
        title
        for title, texts in columns.items()
        if title != group
        and plain(title) not in ("split", "fold", "set", "subset", "partition")
        and 1 < len(set(texts)) <= min(MOST_CLASSES, len(texts) / 2)
        and not all(re.fullmatch(r"[-\d.,e+]*", text) for text in texts)
    ]
    if len(candidates) != 1:
        said = (
            f"the columns {' and '.join(candidates)} may be it" if candidates else "none is plain"
        )
        raise DatasetError(
            "unclear-labels",
            f"{sheet.file}: which column holds the labels? {said}: call it 'label', or write a "
            "study that says 'label: COLUMN'",
        )
    return candidates[0]
