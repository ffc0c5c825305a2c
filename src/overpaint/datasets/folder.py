"""Class folders: `root/<split>/<class>/picture`, or `root/<class>/picture` and splits are drawn."""

import re
from dataclasses import replace
from pathlib import Path

from overpaint.datasets.catalogue import SPLITS, Picture
from overpaint.errors import DatasetError
from overpaint.pixels.images import SUFFIXES

OTHER_NAMES = {"valid": "val", "validation": "val", "training": "train", "testing": "test"}


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
    folders = sorted(each for each in root.iterdir() if each.is_dir() and each.name[0] != ".")
    if not folders:
        raise DatasetError("no-classes", f"{root} holds no folders: one a class is wanted")
    return folders


def read_classes(root: Path, folders: list[Path], split: str) -> list[Picture]:
    """The pictures of class folders, each class in alphabetical order."""
    pictures = []
    for folder in folders:
        found = [
            Picture(file.relative_to(root).as_posix(), split, (folder.name,))
            for file in sorted(folder.rglob("*"))
            if file.suffix.lower() in SUFFIXES and file.name[0] != "."
        ]
        if not found:
            kinds = ", ".join(SUFFIXES)
            raise DatasetError(
                "class-without-pictures", f"class folder {folder} holds no picture ({kinds})"
            )
        pictures += found
    return pictures


def grouped(pictures: list[Picture], pattern: str | None) -> list[Picture]:
    """The pictures with the group that the pattern's one capture group finds in their paths.

    >>> [page] = grouped([Picture("miniature/book7_03.jpg", "", ("miniature",))], "/([^/_]+)_")
    >>> page.group
    'book7'

    A picture in whose path nothing is found has no group.
    """
    if pattern is None:
        return pictures
    found = ((each, re.search(pattern, each.image)) for each in pictures)
    return [replace(each, group=(match.group(1) or "") if match else "") for each, match in found]
