"""RASTA (Lecoutre et al. 2017): `wikipaintings_<split>/<Style>/<artist>_<title>.jpg`.

The artist, which stands before the first underscore of the file name, is the picture's group.
"""

from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Literal

from overpaint.datasets.catalogue import Catalogue
from overpaint.datasets.entry import CollectionEntry, Surroundings
from overpaint.datasets.folder import Walk, read_classes
from overpaint.defaults import SPLITS
from overpaint.errors import DatasetError


class RastaEntry(CollectionEntry):
    """The layout of RASTA: wikipaintings_train, _val and _test with a folder a style."""

    published = {"train": 66_549, "val": 7_383, "test": 8_201}  # noqa: RUF012

    kind: Literal["rasta"]
    root: Path

    def read(self, surroundings: Surroundings) -> Catalogue:
        return read_rasta(surroundings.path(self.root))


def read_rasta(root: Path) -> Catalogue:
    """The catalogue of a folder in the layout of RASTA.

    Raises DatasetError when the pictures to train on are missing; other splits may be drawn.
    """
    walk = Walk(root)
    folders = {folder.name: folder for folder in walk.scan(root).folders} if root.is_dir() else {}
    if "wikipaintings_train" not in folders:
        raise DatasetError("missing-folder", f"{root} is not RASTA: it lacks wikipaintings_train/")
    pictures = read_classes(
        walk,
        {
            split: folders[f"wikipaintings_{split}"]
            for split in SPLITS
            if f"wikipaintings_{split}" in folders
        },
    )
    return Catalogue(
        root=root,
        pictures=[replace(picture, group=artist(picture.image)) for picture in pictures],
        notes=walk.left_out(),
    )


def artist(image: str) -> str:
    """The artist in a picture's path.

    >>> artist("wikipaintings_train/Rococo/antoine-watteau_the-shepherds.jpg")
    'antoine-watteau'
    """
    return PurePosixPath(image).name.partition("_")[0]
