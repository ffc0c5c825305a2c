"""Paintings (Crowley & Zisserman 2014, of Art UK): several of ten kinds of objects a picture.

`Paintings.txt` names each picture, its set and, in one cell, the classes that it shows.
"""

import re
from pathlib import Path
from typing import Literal

from overpaint.datasets.catalogue import Catalogue, Picture
from overpaint.datasets.entry import CollectionEntry, Surroundings
from overpaint.datasets.labels import check_known
from overpaint.datasets.paths import inside
from overpaint.datasets.table import Row, read_pictures, split_of

CLASSES = ("aeroplane", "bird", "boat", "chair", "cow", "diningtable", "dog", "horse", "sheep",
           "train")  # fmt: skip


class PaintingsEntry(CollectionEntry):
    """The Paintings of Art UK: Paintings.txt beside the folder Painting_Dataset."""

    published = {"train": 3_463, "val": 865, "test": 4_301}  # noqa: RUF012

    kind: Literal["paintings"]
    root: Path

    def read(self, surroundings: Surroundings) -> Catalogue:
        root = surroundings.path(self.root)
        pictures = read_paintings(root)
        return Catalogue(root=root, pictures=pictures, classes=CLASSES, multi_label=True)


def read_paintings(root: Path) -> list[Picture]:
    """The catalogue of a folder with `Paintings.txt` and `Painting_Dataset/<name>.jpg`.

    Raises DatasetError as a table does, with the line.
    """

    def picture(row: Row, where: str) -> Picture:
        labels = words(str(row["classe"]))
        check_known(labels, CLASSES, where)
        image = inside(f"Painting_Dataset/{jpeg(str(row['name_img']))}", root, where)
        return Picture(image=image, split=split_of(row["set"], where), labels=labels)

    return read_pictures(root / "Paintings.txt", ["name_img", "set", "classe"], picture)


def words(cell: str) -> tuple[str, ...]:
    """The words of a cell: a train is no part of a "constrainted" one.

    >>> words("bird dog bird")
    ('bird', 'dog')
    """
    return tuple(dict.fromkeys(re.findall(r"\w+", cell)))


def jpeg(name: str) -> str:
    """The name of a picture's file; lists give it with or without its ending.

    >>> jpeg("st.mary_1"), jpeg("st.mary_1.jpg")
    ('st.mary_1.jpg', 'st.mary_1.jpg')
    """
    return name if name.lower().endswith((".jpg", ".jpeg")) else f"{name}.jpg"
