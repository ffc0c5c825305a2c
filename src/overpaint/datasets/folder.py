"""Class folders: `root/<split>/<class>/picture`, or `root/<class>/picture` and splits are drawn."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from overpaint.datasets.catalogue import Catalogue, Picture
from overpaint.datasets.entry import CollectionEntry, Surroundings
from overpaint.defaults import SPLITS
from overpaint.errors import DatasetError

OTHER_NAMES = {"valid": "val", "validation": "val", "training": "train", "testing": "test"}


class FolderEntry(CollectionEntry):
    """Class folders, with or without split folders above them.

    `group` is a regular expression whose one capture group finds the group in a picture's path.
    """

    kind: Literal["folder"]
    root: Path
    group: str | None = None

    @model_validator(mode="after")
    def _one_capture(self) -> Self:
        try:
            captures = re.compile(self.group or "()").groups
        except re.error as error:
            raise ValueError(f"group {self.group!r} is no regular expression: {error}") from None
        if captures != 1:
            raise ValueError(f"group {self.group!r} needs one capture group, as in '/([^/_]+)_'")
        return self

    def read(self, surroundings: Surroundings) -> Catalogue:
        root = surroundings.path(self.root)
        return Catalogue(root=root, pictures=grouped(read_folder(root), self.group))


def read_folder(root: Path) -> list[Picture]:
    """The catalogue of a folder; pictures without split folders have the split "".

    Raises DatasetError for a missing folder, one without class folders, a class without pictures.
    """
    folders = class_folders(root)
    splits = {OTHER_NAMES.get(folder.name, folder.name): folder for folder in folders}
    if "train" in splits and splits.keys() <= set(SPLITS):
        return [
            picture
            for name, folder in sorted(splits.items())
            for picture in read_classes(root, class_folders(folder), name)
        ]
    return read_classes(root, folders, "")


def class_folders(root: Path) -> list[Path]:
    """The folders in a folder, in alphabetical order."""
    if not root.is_dir():
        raise DatasetError("missing-folder", f"there is no folder {root}")
    folders = sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    if not folders:
        raise DatasetError("no-classes", f"{root} holds no folders: one a class is wanted")
    return folders


def read_classes(root: Path, folders: list[Path], split: str) -> list[Picture]:
    """The pictures of class folders, each class in alphabetical order."""
    from overpaint.pixels.images import SUFFIXES

    pictures = []
    for folder in folders:
        shown = [
            Picture(image=file.relative_to(root).as_posix(), split=split, labels=(folder.name,))
            for file in sorted(folder.rglob("*"))
            if file.suffix.lower() in SUFFIXES and file.name[0] != "."
        ]
        if not shown:
            kinds = ", ".join(SUFFIXES)
            raise DatasetError(
                "class-without-pictures", f"class folder {folder} holds no picture ({kinds})"
            )
        pictures += shown
    return pictures


def grouped(pictures: list[Picture], pattern: str | None) -> list[Picture]:
    """The pictures with the group that the pattern's one capture group finds in their paths.

    >>> page = Picture(image="miniature/book7_03.jpg", split="", labels=("miniature",))
    >>> [page] = grouped([page], "/([^/_]+)_")
    >>> page.group
    'book7'

    A picture in whose path nothing is found has no group.
    """
    if pattern is None:
        return pictures
    matches = [re.search(pattern, picture.image) for picture in pictures]
    return [
        replace(picture, group=(match.group(1) or "") if match else "")
        for picture, match in zip(pictures, matches, strict=True)
    ]
