"""What a study file may say of a dataset, kind by kind."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$")]
"""Names become folders and addresses: letters, digits, "_" and "-"."""


class Entry(BaseModel):
    """What all parts of a study share: unknown keys are errors, values stay as they were read."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def _all_different(names: list[str]) -> list[str]:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands twice")
    return names


def _below(pattern: str) -> str:
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise ValueError(f"{pattern!r} leads out of the root")
    return pattern


SplitName = Literal["train", "val", "test"]
Classes = Annotated[list[str], Field(min_length=1), AfterValidator(_all_different)]


class CollectionEntry(Entry):
    """What every kind of dataset may say.

    With `disjoint: group` the splits are drawn, whatever the collection brings, so that no group
    stands in two. With `cache: true` decoded pictures are kept on disk.
    """

    kind: str
    disjoint: Literal["group"] | None = None
    cache: bool = False


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


class TableEntry(CollectionEntry):
    """A CSV or Parquet file that names each picture's path, label or labels, and split.

    With `classes`, their order is kept and any other class in the file is an error.
    """

    kind: Literal["table"]
    root: Path
    file: Path
    path: str = "path"
    label: str | list[str] = "label"
    split: str = "split"
    group: str | None = None
    classes: Classes | None = None


class RastaEntry(CollectionEntry):
    """The layout of RASTA: wikipaintings_train, _val and _test with a folder a style."""

    kind: Literal["rasta"]
    root: Path


class PaintingsEntry(CollectionEntry):
    """The Paintings of Art UK: Paintings.txt beside the folder Painting_Dataset."""

    kind: Literal["paintings"]
    root: Path


class IconArtEntry(CollectionEntry):
    """IconArt_v1, or the folder that holds it."""

    kind: Literal["iconart"]
    root: Path


class ShardsEntry(CollectionEntry):
    """Tar files in the layout of WebDataset; `splits` are patterns, by default `train*.tar`, ….

    `label` is the field of a sample's .json; a class number counts into `classes`, if given.
    """

    kind: Literal["shards"]
    root: Path
    splits: dict[SplitName, Annotated[str, AfterValidator(_below)]] | None = None
    label: str = "label"
    classes: Classes | None = None


class HubEntry(CollectionEntry):
    """A set of the Hugging Face hub by `name`, or one that lies in the folder `root`."""

    kind: Literal["hub"]
    name: str | None = None
    root: Path | None = None
    revision: str | None = None
    image: str = "image"
    label: str = "label"
    group: str | None = None
    splits: dict[SplitName, str] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.name is None) == (self.root is None):
            raise ValueError("needs either 'name' (a set of the hub) or 'root' (a folder)")
        return self


class AtelierEntry(CollectionEntry):
    """A collection made on the spot."""

    kind: Literal["atelier"]
    task: Literal["photographs", "manners", "subjects"]
    sizes: dict[SplitName, Annotated[int, Field(ge=1)]] | None = None


DatasetEntry = Annotated[
    FolderEntry
    | TableEntry
    | RastaEntry
    | PaintingsEntry
    | IconArtEntry
    | ShardsEntry
    | HubEntry
    | AtelierEntry,
    Field(discriminator="kind"),
]

KINDS: dict[str, type[CollectionEntry]] = {
    "folder": FolderEntry,
    "table": TableEntry,
    "rasta": RastaEntry,
    "paintings": PaintingsEntry,
    "iconart": IconArtEntry,
    "shards": ShardsEntry,
    "hub": HubEntry,
    "atelier": AtelierEntry,
}
