"""Class folders: `root/<class>/picture`, with split folders above the classes, or below them.

Folders are read as people have them: splits by their common names, a single folder around all the
others, folders of machines among them. What is not read is named in the catalogue's notes.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from overpaint.datasets.catalogue import Catalogue, Picture
from overpaint.datasets.entry import CollectionEntry, Surroundings
from overpaint.datasets.names import clean, legible, split_names, split_within
from overpaint.defaults import SPLITS
from overpaint.errors import DatasetError, shortened
from overpaint.machine import hand_on

MACHINE_MADE = frozenset(
    ("__macosx", "@eadir", "@recycle", "#recycle", "$recycle.bin", "lost+found", "__pycache__",
     "system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")
)  # fmt: skip
"""Files and folders that no owner put there, in lower case; beside all that begins with a dot."""


DEEPEST = 60
MOST_FOLDERS = 50_000
LINKS = 20
"""Folders in one another, and in all, that are looked into; ImageNet-21k has 21,841. And how often
links may lead to one of them."""


class FolderEntry(CollectionEntry):
    """Class folders, with or without split folders above them.

    `group` is a regular expression whose one capture group finds the group in a picture's path.
    """

    kind: Literal["folder"]
    root: Path
    group: Annotated[str, Field(max_length=1000)] | None = None

    @model_validator(mode="after")
    def _one_capture(self) -> Self:
        try:
            captures = re.compile(self.group or "()").groups
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"group {self.group!r} is no regular expression: {error}") from None
        if captures != 1:
            raise ValueError(f"group {self.group!r} needs one capture group, as in '/([^/_]+)_'")
        return self

    def read(self, surroundings: Surroundings) -> Catalogue:
        root = surroundings.path(self.root)
        catalogue = read_folder(root)
        return replace(catalogue, pictures=grouped(catalogue.pictures, self.group))


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder of a collection, as far as it is looked at."""

    path: Path
    folders: list["Folder"]
    pictures: list[Path]  # those that lie in it, beside the folders

    @property
    def name(self) -> str:
        """Its name, by which it is a class or a split."""
        return clean(self.path.name)

    def all_pictures(self) -> list[Path]:
        """The pictures in it and below it."""
        return self.pictures + [path for folder in self.folders for path in folder.all_pictures()]


@dataclass
class Walk:
    """A walk through the folders of a collection, which remembers what it leaves out."""

    root: Path
    notes: list[str] = field(default_factory=list)
    no_pictures: Counter[str] = field(default_factory=Counter)  # by ending
    machine_made: Counter[str] = field(default_factory=Counter)  # by name
    illegible: list[str] = field(default_factory=list)  # names that are not UTF-8
    entered: Counter[str] = field(default_factory=Counter)  # the folders, and how often

    def scan(self, path: Path, above: tuple[str, ...] = ()) -> Folder:
        """A folder and all below it; links are followed, but not in a circle."""
        from overpaint.pixels.images import is_picture

        self.entered[os.path.realpath(path)] += 1
        if len(self.entered) > MOST_FOLDERS or self.entered[os.path.realpath(path)] > LINKS:
            raise DatasetError(
                "too-many-folders",
                f"{self.root} holds more than {MOST_FOLDERS:,} folders, or links lead from one to "
                "another again and again",
            )
        folders, pictures = [], []
        for inner in self._members(path):
            if inner.name.startswith(".") or inner.name.lower() in MACHINE_MADE:
                self.machine_made["._*" if inner.name.startswith("._") else inner.name] += 1
            elif legible(inner.name) != inner.name:
                self.illegible.append(legible(self.relative(inner)))
            elif not inner.is_dir():
                if is_picture(inner):
                    pictures.append(inner)
                else:
                    kind = inner.suffix.lower() or "without ending"
                    self.no_pictures[kind if inner.is_file() else "broken link"] += 1
            elif os.path.realpath(inner) in (*above, os.path.realpath(path)):
                link = self.relative(inner)
                self.notes.append(f"the link {link} leads to a folder above it: not followed")
            elif len(above) >= DEEPEST:
                self.notes.append(f"{shortened(self.relative(inner), 100)} lies too deep: not read")
            else:
                folders.append(self.scan(inner, (*above, os.path.realpath(path))))
        return Folder(path=path, folders=folders, pictures=pictures)

    def _members(self, path: Path) -> list[Path]:
        try:
            return sorted(path.iterdir(), key=lambda inner: (clean(inner.name), inner.name))
        except OSError as error:
            if path.name != "lost+found":  # which is root's, and holds no pictures
                hand_on(error, path)  # what is in it would be missing, and nobody see it
            if path == self.root:
                raise DatasetError(
                    "missing-folder", f"cannot open {path}: {error.strerror}"
                ) from None
            self.notes.append(f"{self.relative(path)} cannot be opened: {error.strerror}")
            return []

    def relative(self, path: Path) -> str:
        """A path below the root, with "/"."""
        return path.relative_to(self.root).as_posix()

    def left_out(self) -> tuple[str, ...]:
        """Sentences on what was left out, by kind."""
        notes = list(self.notes)
        if self.no_pictures:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.no_pictures.most_common())
            total = self.no_pictures.total()
            files = "1 file was no picture" if total == 1 else f"{total} files were no pictures"
            notes.append(f"{files}: {kinds}")
        if self.machine_made:
            kinds = ", ".join(f"{count} {name}" for name, count in self.machine_made.most_common(9))
            notes.append(f"left out, as hidden or made by a machine: {kinds}")
        if self.illegible:
            notes.append(f"left out, as their names are not UTF-8: {first_few(self.illegible)}")
        return tuple(notes)


def first_few(names: Sequence[str]) -> str:
    """The first of some names, and how many there are.

    >>> first_few(["a", "b"]), first_few(list("abcdefg"))
    ('a, b', 'a, b, c, d, e, … (7 in all)')
    """
    return ", ".join(names[:5]) + (f", … ({len(names)} in all)" if len(names) > 5 else "")


def read_folder(root: Path) -> Catalogue:
    """The catalogue of a folder; pictures without split folders have the split "".

    Raises DatasetError for a missing folder, one without class folders, a class without pictures,
    two folders that mean one split, and for what may be split folders or classes.
    """
    if not root.is_dir():
        raise DatasetError("missing-folder", f"there is no folder {root}")
    walk = Walk(root)
    base = unwrapped(walk, walk.scan(root))
    splits = unwrapped_splits(walk, split_folders(walk, base))
    pictures = read_classes(walk, splits or {"": base})
    return Catalogue(root=root, pictures=pictures, notes=walk.left_out())


def unwrapped(walk: Walk, folder: Folder) -> Folder:
    """A folder, or the one in it that stands around all the others, as archives have it."""
    base = folder
    while len(base.folders) == 1:
        [inner] = base.folders
        if not inner.folders or inner.pictures or split_names([inner.name])[inner.name]:
            break
        _note_loose(walk, base)
        base = inner
    if base is not folder:
        walk.notes.append(f"the folders of {walk.relative(base.path)} are read")
    return base


def unwrapped_splits(walk: Walk, splits: Mapping[str, Folder]) -> dict[str, Folder]:
    """Split folders without a folder that is in each the only one: `train/images`, `train/train`.

    Raises DatasetError for a split that holds folders of splits and no classes.
    """
    inner = {
        split: folder.folders[0]
        for split, folder in splits.items()
        if len(folder.folders) == 1 and folder.folders[0].folders
    }
    if inner.keys() == splits.keys() and not any(folder.pictures for folder in inner.values()):
        meanings = {
            split: split_names([folder.name])[folder.name] for split, folder in inner.items()
        }
        same_name = len({folder.name for folder in inner.values()}) == 1
        if all(meanings[split] == split for split in inner) or (
            same_name and not any(meanings.values())
        ):
            walk.notes += [
                f"the folders of {walk.relative(row.path)} are read" for row in inner.values()
            ]
            splits = inner
    for folder in splits.values():
        names = [row.name for row in folder.folders]
        if names and all(split_names(names).values()):
            raise DatasetError(
                "unclear-splits",
                f"{folder.path} is a split and holds the folders {first_few(names)}, which are "
                "named after splits and not after classes",
            )
    return dict(splits)


def split_folders(walk: Walk, base: Folder) -> dict[str, Folder]:
    """The split folders in a folder; none where its folders are classes."""
    splits, others = by_split(walk, base)
    beside = [walk.relative(folder.path) for folder in others if folder.all_pictures()]
    if not splits:
        return {}
    if len(splits) == 1 and beside:
        [(split, folder)] = splits.items()
        if folder.name.lower() == "train" and folder.pictures:
            return {}  # among boats and birds, a train is a train
        raise DatasetError(
            "unclear-splits",
            f"{folder.path} may hold the pictures of {split} or those of a class, as beside it "
            f"stand {first_few(beside)}: move these away, rename it, or add the other splits",
        )
    walk.notes += [
        f"{walk.relative(folder.path)} is no split and was left out, with "
        f"{len(folder.all_pictures())} pictures"
        for folder in others
    ]
    _note_loose(walk, base)
    return splits


def by_split(walk: Walk, base: Folder) -> tuple[dict[str, Folder], list[Folder]]:
    """The folders in a folder that are named after splits, and the others."""
    meanings = split_names(folder.name for folder in base.folders)
    splits: dict[str, Folder] = {}
    for folder in base.folders:
        split = meanings[folder.name]
        if split in splits:
            raise DatasetError(
                "split-twice",
                f"{walk.root}: the folders {walk.relative(splits[split].path)} and "
                f"{walk.relative(folder.path)} both mean {split}: join them, or rename one",
            )
        if split:
            splits[split] = folder
    ordered = {split: splits[split] for split in SPLITS if split in splits}
    return ordered, [folder for folder in base.folders if not meanings[folder.name]]


def read_classes(walk: Walk, bases: Mapping[str, Folder]) -> list[Picture]:
    """The pictures of the class folders in each split's folder, in alphabetical order.

    A split "" may stand below the classes instead: `cat/train`, `cat/test`.
    """
    for base in bases.values():
        _check_classes(walk, base)
        _note_loose(walk, base)
    pictures = []
    for split, base in bases.items():
        whole = [(folder, {split: folder}) for folder in base.folders]
        for folder, parts in whole if split else splits_below(walk, base):
            pictures += [
                Picture(image=walk.relative(path), split=part, labels=(folder.name,))
                for part, place in parts.items()
                for path in place.all_pictures()
            ]
    labels = {picture.labels[0] for picture in pictures}
    for folder in [folder for base in bases.values() for folder in base.folders]:
        if folder.name not in labels:
            raise DatasetError(
                "class-without-pictures", f"the class folder {folder.path} holds no picture"
            )
        if not folder.all_pictures():
            walk.notes.append(f"{walk.relative(folder.path)} holds no picture")
    return pictures


def _check_classes(walk: Walk, base: Folder) -> None:
    """A DatasetError for a folder that holds no folders, or such as are no classes."""
    holders = [folder for folder in base.folders if folder.all_pictures()]
    readable = base.path.iterdir() if os.access(base.path, os.R_OK | os.X_OK) else ()
    files = sorted(path.name for path in readable if path.is_file())
    tables = [name for name in files if Path(name).suffix.lower() in TABLES]
    hint = (
        "move its pictures into a folder a class, name their labels in a table ('kind: table'), or "
        "move them away"
    )
    if tables:
        hint = f"if {tables[0]} tells the labels, say 'kind: table' and 'file: {tables[0]}'"
    if not base.folders:
        if not tables and not base.pictures:
            hint = "it holds no picture: remove it, if it is not needed"
        odd = [name for name in files if "\\" in name]
        if odd:
            hint = (
                f"backslashes in the names, as in {odd[0]!r}, stood for folders where they were "
                "packed: unpack them with another program"
            )
        raise DatasetError(
            "no-classes", f"{base.path} holds no folders: one a class is wanted; {hint}"
        )
    for folder in holders:
        if folder.name.lower() in NO_CLASSES:
            beside = [walk.relative(row.path) for row in base.folders if row is not folder]
            way = f"move {first_few(beside)} away" if beside and folder.folders else hint
            raise DatasetError(
                "no-classes",
                f"{folder.path} is called after what all collections hold, and not after a class: "
                f"{way}",
            )
    _check_names(walk, base, holders)


def _check_names(walk: Walk, base: Folder, holders: Sequence[Folder]) -> None:
    """A DatasetError for class folders whose names are of splits too, or that hold masks and more;
    a note where what they hold may be the classes.
    """
    parts: dict[str, dict[str, str]] = {}
    for folder in holders:
        inside = {row.name.lower(): walk.relative(row.path) for row in folder.folders
                  if row.all_pictures()}  # fmt: skip
        beside = [path for name, path in inside.items() if name not in NO_CLASSES]
        if beside and len(beside) < len(inside):
            raise DatasetError(
                "no-classes",
                f"{folder.path} holds the pictures of a class in a folder of their own, and "
                f"{first_few(beside)} beside it: move what are no pictures of the class away",
            )
        split, rest = split_within(folder.name)
        twin = parts.setdefault(rest, {}) if split and rest else {}
        twin[split] = folder.name
        if len(twin) > 1:
            raise DatasetError(
                "unclear-splits",
                f"{base.path}: {' and '.join(twin.values())} are named after a split and a class: "
                f"make folders {' and '.join(twin)}, and in each the folder {rest!r}",
            )
    inner = {tuple(row.name for row in folder.folders) for folder in holders}
    names = inner.pop() if len(inner) == 1 else ()
    if len(holders) > 1 and len(names) > 1 and not all(split_names(names).values()):
        first, second, *_ = (walk.relative(folder.path) for folder in holders)
        walk.notes.append(
            f"{first} and {second} are read as classes, and both hold the folders "
            f"{first_few(names)}: if these are the classes, they should stand above"
        )


def splits_below(walk: Walk, base: Folder) -> list[tuple[Folder, dict[str, Folder]]]:
    """The class folders in a folder, each divided into its splits, or whole as the split ""."""
    divided = {}
    for folder in base.folders:
        names = split_names(part.name for part in folder.folders)
        if {"train", "test"} <= set(names.values()) or {"train", "val"} <= set(names.values()):
            splits, others = by_split(walk, folder)
            whole = others or folder.pictures
            divided[folder.name] = {} if whole else splits
    if not divided:
        return [(folder, {"": folder}) for folder in base.folders]
    for folder in base.folders:
        if not divided.get(folder.name):
            raise DatasetError(
                "unclear-splits",
                f"{walk.root}: the class {next(iter(divided))} is divided into folders of splits, "
                f"and {walk.relative(folder.path)} is not, or not all of it",
            )
    return [(folder, divided[folder.name]) for folder in base.folders]


def _note_loose(walk: Walk, folder: Folder) -> None:
    """Pictures that lie beside folders are of none of them."""
    if folder.pictures:
        names = first_few([walk.relative(path) for path in folder.pictures])
        walk.notes.append(f"pictures beside the folders are of none and were left out: {names}")


NO_CLASSES = ("image", "images", "img", "imgs", "jpegimages")
"""Names of folders that tell nothing of what is in them, in lower case."""

TABLES = (".csv", ".tsv", ".xlsx", ".parquet", ".jsonl")
"""Endings of files that may tell the labels."""


PATIENCE = 10
"""Seconds in which a `group` is to be found in 10,000 paths; a thousandth is usual."""

SEARCH = """\
import json, re, sys
pattern, paths = json.load(sys.stdin)
json.dump([(match[1] or "") if match else "" for match in map(re.compile(pattern).search, paths)],
          sys.stdout)
"""


def grouped(pictures: Sequence[Picture], pattern: str | None) -> list[Picture]:
    """The pictures with the group that the pattern's one capture group finds in their paths.

    >>> page = Picture(image="miniature/book7_03.jpg", split="", labels=("miniature",))
    >>> [page] = grouped([page], "/([^/_]+)_")
    >>> page.group
    'book7'

    A picture in whose path nothing is found has no group; a DatasetError when that is so for all.
    """
    if pattern is None:
        return list(pictures)
    order = json.dumps([pattern, [picture.image for picture in pictures]])
    seconds = PATIENCE + len(pictures) // 10_000
    try:  # in a process of its own: a search cannot be ended otherwise
        answer = subprocess.run(  # noqa: S603 - nothing of it is from outside but the input
            [sys.executable, "-I", "-S", "-c", SEARCH],
            input=order.encode(), capture_output=True, timeout=seconds, check=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise DatasetError(
            "slow-group",
            f"the group {pattern!r} is not found in all paths within {seconds} seconds, and "
            "perhaps never is: the same letters fit it in too many ways; leave out repeats in a "
            "repeat, as in '(a+)+', or write [^/]* instead of .*",
        ) from None
    groups = [clean(text) for text in json.loads(answer.stdout)]
    if pictures and not any(groups):
        raise DatasetError(
            "no-group-found",
            f"the group {pattern!r} is found in no path, as in {pictures[0].image!r}",
        )
    return [replace(picture, group=group) for picture, group in zip(pictures, groups, strict=True)]
