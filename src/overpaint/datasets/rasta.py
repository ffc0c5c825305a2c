"""RASTA (Lecoutre et al. 2017): `wikipaintings_<split>/<Style>/<artist>_<title>.jpg`.

The artist, which stands before the first underscore of the file name, is the picture's group.
"""

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal

from overpaint.datasets.catalogue import Catalogue, Picture
from overpaint.datasets.entry import CollectionEntry, Surroundings
from overpaint.datasets.folder import class_folders, read_classes
from overpaint.defaults import SPLITS
from overpaint.errors import DatasetError


class RastaEntry(CollectionEntry):
    """The layout of RASTA: wikipaintings_train, _val and _test with a folder a style."""

    kind: Literal["rasta"]
    root: Path

    def read(self, surroundings: Surroundings) -> Catalogue:
        root = surroundings.path(self.root)
        return Catalogue(root=root, pictures=read_rasta(root))


def read_rasta(root: Path) -> list[Picture]:
    """The catalogue of a folder in the layout of RASTA.

    Raises DatasetError when one of the three split folders is missing.
    """
    pictures = []
    for split in SPLITS:
        folder = root / f"wikipaintings_{split}"
        if not folder.is_dir():
            raise DatasetError("missing-folder", f"{root} is not RASTA: it lacks {folder.name}/")
        pictures += read_classes(root, class_folders(folder), split)
    return [replace(picture, group=artist(picture.image)) for picture in pictures]


def artist(image: str) -> str:
    """The artist in a picture's path.

    >>> artist("wikipaintings_train/Rococo/antoine-watteau_the-shepherds.jpg")
    'antoine-watteau'
    """
    return PurePosixPath(image).name.partition("_")[0]
