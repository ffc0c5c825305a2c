"""The catalogue of a collection: one row a picture, whatever its kind.

`Dataset` is the catalogue with its classes, `Split` what a network is trained or measured on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from overpaint.defaults import SPLITS
from overpaint.errors import DatasetError, nearest
from overpaint.files import File, Folder

if TYPE_CHECKING:
    from overpaint.pixels.images import Look


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One row of a catalogue. `image` is the id: the path below the root, with "/"."""

    image: str
    split: str  # train, val or test; "" before splits are drawn
    labels: tuple[str, ...]
    group: str = ""
    digest: str = ""  # SHA-256 of the file, once it was read
    # What is said of it beside what it shows: it makes no picture and no split another.
    source: str = field(default="", compare=False)  # the address of its page, or a text
    rights: str = field(default="", compare=False)


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """What the reader of a kind found."""

    root: Folder
    pictures: list[Picture]
    classes: tuple[str, ...] | None = None  # None: those that occur, in alphabetical order
    multi_label: bool | None = None  # None: if some picture has not exactly one label
    notes: tuple[str, ...] = ()  # what was left out or decided, in sentences
    looks: Mapping[str, "Look"] | None = None  # what the reader saw of them, if it had them in hand

    @property
    def several(self) -> bool:
        """Whether a picture may have several labels, or none."""
        if self.multi_label is not None:
            return self.multi_label
        return any(len(picture.labels) != 1 for picture in self.pictures)


@dataclass(frozen=True, kw_only=True)
class Split:
    """The pictures of one split, in the order in which every result lists them."""

    dataset: str
    name: str
    root: Folder
    pictures: tuple[Picture, ...]
    classes: tuple[str, ...]
    multi_label: bool
    cache: Path | None = None  # where decoded pictures are kept, if that was asked for

    def __len__(self) -> int:
        return len(self.pictures)

    def of_rows(self, rows: Sequence[int]) -> "Split":
        """Some of the pictures, as a split of the same name; what is kept decoded is of all."""
        return replace(self, pictures=tuple(self.pictures[row] for row in rows), cache=None)

    @property
    def paths(self) -> list[File]:
        """Where the pictures lie."""
        return [self.root / picture.image for picture in self.pictures]

    @property
    def images(self) -> list[str]:
        """The ids."""
        return [picture.image for picture in self.pictures]

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The class index of each picture [N], or 0/1 for each label [N, C] if multi-label."""
        index = {label: number for number, label in enumerate(self.classes)}
        if not self.multi_label:
            return np.array([index[picture.labels[0]] for picture in self.pictures], np.int64)
        present = np.zeros((len(self), len(self.classes)), np.int64)
        for row, picture in enumerate(self.pictures):
            present[row, [index[label] for label in picture.labels]] = 1
        return present

    @property
    def prior(self) -> NDArray[np.float64]:
        """The share of the pictures that show each class [C]."""
        if self.multi_label:
            return self.labels.mean(axis=0)
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return counts / max(len(self), 1)

    @cached_property
    def digest(self) -> str:
        """The digest of the pictures, their labels and their order."""
        from overpaint.records import digest

        rows = [(picture.image, picture.digest, picture.labels) for picture in self.pictures]
        return digest([rows, self.classes, self.multi_label])


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A named collection: its catalogue, its classes, where it lies."""

    name: str
    root: Folder
    pictures: tuple[Picture, ...]
    classes: tuple[str, ...]
    multi_label: bool
    cache: Path | None = None
    notes: tuple[str, ...] = ()  # what was left out or decided on the way, in sentences

    @property
    def split_names(self) -> list[str]:
        """The splits that have pictures, in the order train, val, test."""
        names = {picture.split for picture in self.pictures}
        return [name for name in SPLITS if name in names]

    def split(self, name: str) -> Split:
        """The pictures of one split; a DatasetError when it has none."""
        chosen = tuple(picture for picture in self.pictures if picture.split == name)
        if not chosen:
            splits = sorted({picture.split for picture in self.pictures})
            raise DatasetError(
                "empty-split",
                f"dataset {self.name!r} ({self.root}) has no picture in the split {name!r}; "
                f"{nearest(name, splits)}",
            )
        return Split(
            dataset=self.name,
            name=name,
            root=self.root,
            pictures=chosen,
            classes=self.classes,
            multi_label=self.multi_label,
            cache=self.cache,
        )


def dataset_of(
    name: str,
    root: Folder,
    pictures: Sequence[Picture],
    *,
    multi_label: bool = False,
    classes: Sequence[str] | None = None,
) -> Dataset:
    """A dataset whose classes are those given, or the labels that occur in alphabetical order.

    >>> cat = Picture(image="a/cat.jpg", split="train", labels=("cat",))
    >>> dog = Picture(image="a/dog.jpg", split="train", labels=("dog",))
    >>> pets = dataset_of("pets", Path("pets"), [dog, cat])
    >>> pets.classes, pets.split("train").labels.tolist()
    (('cat', 'dog'), [1, 0])
    """
    labels = sorted({label for picture in pictures for label in picture.labels})
    return Dataset(
        name=name,
        root=root,
        pictures=tuple(pictures),
        classes=tuple(classes or labels),
        multi_label=multi_label,
    )
