"""What a study file may say of a dataset, whatever its kind.

The entry of a kind stands beside its reader, in a file of the kind's name; `kinds` lists them.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from overpaint.datasets.catalogue import Catalogue
from overpaint.files import absolute, check_place

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$")]
"""Names become folders and addresses: letters, digits, "_" and "-"."""


class Entry(BaseModel):
    """What all parts of a study share: unknown keys are errors, values stay as they were read."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False
    )


def possible(place: str) -> str:
    """A path as it is; a ValueError where no file can be called so."""
    check_place(place)
    return place


def _all_different(names: list[str]) -> list[str]:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} stands twice")
    return names


SplitName = Literal["train", "val", "test"]
Classes = Annotated[list[str], Field(min_length=1), AfterValidator(_all_different)]


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a reader may need to know beside its entry."""

    base: Path  # where relative paths start
    pictures: Path  # the folder for pictures that the kind paints or writes out
    seed: int

    def path(self, path: Path) -> Path:
        """A path of the entry, made absolute."""
        return absolute(self.base, path)


class CollectionEntry(Entry, ABC):
    """What every kind of dataset may say.

    With `disjoint: group` the splits are drawn, whatever the collection brings, so that no group
    stands in two. With `cache: true` decoded pictures are kept on disk.
    """

    writes_out: ClassVar[bool] = False
    """Whether the files of the pictures are ours: painted, or written out of other files."""

    published: ClassVar[Mapping[str, int]] = {}
    """The pictures of each split as the collection is published: what is reckoned with where it is
    not there."""

    kind: str
    disjoint: Literal["group"] | None = None
    cache: bool = False

    @model_validator(mode="after")
    def _possible_places(self) -> Self:
        for _, value in self:
            for place in value.values() if isinstance(value, dict) else [value]:
                if isinstance(place, Path):
                    check_place(place)
        return self

    @abstractmethod
    def read(self, surroundings: Surroundings) -> Catalogue:
        """What the collection holds; a DatasetError for one that is not as its kind promises."""
