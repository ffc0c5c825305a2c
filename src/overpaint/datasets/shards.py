"""Shards: tar files in the layout of WebDataset, `<key>.jpg` beside `<key>.cls` or `<key>.json`.

Nothing but pictures, class files and JSON is looked at: the layout also knows pickled members, and
a collection from elsewhere may hold some.
"""

import json
import lzma
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator

from overpaint.datasets.catalogue import Catalogue
from overpaint.datasets.entry import Classes, CollectionEntry, SplitName, Surroundings
from overpaint.datasets.exported import Item, Source, exported, splits_or_none
from overpaint.datasets.stamp import stamp
from overpaint.datasets.table import check_known
from overpaint.defaults import SPLITS
from overpaint.errors import DatasetError

PICTURES = ("jpg", "jpeg", "png", "webp")
LABELS = ("cls", "json")

LARGEST = {**dict.fromkeys(PICTURES, 2**29), **dict.fromkeys(LABELS, 2**20)}
"""Bytes that a member may have: a tar can claim any size, and be compressed."""


def below(pattern: str) -> str:
    """A pattern that cannot lead out of the root; else a ValueError."""
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise ValueError(f"{pattern!r} leads out of the root")
    return pattern


class ShardsEntry(CollectionEntry):
    """Tar files in the layout of WebDataset; `splits` are patterns, by default `train*.tar`, ….

    `label` is the field of a sample's .json; a class number counts into `classes`, if given.
    """

    writes_out: ClassVar[bool] = True

    kind: Literal["shards"]
    root: Path
    splits: dict[SplitName, Annotated[str, AfterValidator(below)]] | None = None
    label: str = "label"
    classes: Classes | None = None

    def read(self, surroundings: Surroundings) -> Catalogue:
        """The catalogue of the shards below the root, whose pictures are written out.

        Raises DatasetError for splits without shards, a shard that is cut off, a sample without
        picture or label, a class that is not among the entry's.
        """
        shards = _shards(surroundings.path(self.root), self.splits)
        stamps = [
            [split, path.name, *stamp(path)] for split, paths in shards.items() for path in paths
        ]
        classes = tuple(self.classes) if self.classes else None

        def source() -> Source:
            splits = splits_or_none(list(shards))
            items = (item for split, paths in shards.items() for path in paths
                     for item in _items(path, splits[split], self.label, classes))  # fmt: skip
            return Source(items=items, classes=classes)

        return exported(surroundings.pictures, [stamps, self.label, classes], source)


def _shards(root: Path, splits: Mapping[SplitName, str] | None) -> dict[str, list[Path]]:
    """The tar files of each split; those that are named must be there, and train in any case."""
    patterns: dict[str, str] = {split: f"{split}*.tar" for split in SPLITS}
    if splits:
        patterns = dict(splits.items())
    shards = {split: sorted(root.glob(patterns[split])) for split in SPLITS if split in patterns}
    for split, paths in shards.items():
        if not paths and (splits or split == "train"):
            there = ", ".join(sorted(path.name for path in root.glob("*.tar"))[:10]) or "no tar"
            raise DatasetError(
                "no-shards", f"no file below {root} is called {patterns[split]!r}; there: {there}"
            )
    return {split: paths for split, paths in shards.items() if paths}


def _items(path: Path, split: str, label: str, classes: tuple[str, ...] | None) -> Iterator[Item]:
    """The pictures of one tar file: neighbouring members of one key are a sample."""
    try:
        with tarfile.open(path, "r|*") as tar:
            for key, members in groupby(_members(tar, path), lambda member: member[0]):
                sample = {ending: data for _, ending, data in members}
                where = f"{path}, sample {key!r}"
                picture = next((sample[end] for end in PICTURES if end in sample), None)
                if picture is None:
                    raise DatasetError("no-picture-in-sample", f"{where}: no {', '.join(PICTURES)}")
                labels = labels_of(sample, label, classes, where)
                yield Item(split=split, data=picture, labels=labels, source=f"{path.name}/{key}")
            # A tar ends with blocks of zeros; the library takes a cut between two for an end.
            if tar.fileobj is None or not tar.fileobj.read(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("unexpected end of data")
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DatasetError(
            "broken-shard", f"cannot read the shard {path}, it may be cut off: {error}"
        ) from None


def _members(tar: tarfile.TarFile, path: Path) -> Iterator[tuple[str, str, bytes]]:
    """Key, ending and bytes of the members that are looked at."""
    for member in tar:
        name = PurePosixPath(member.name)
        stem, _, ending = name.name.partition(".")
        ending = ending.lower()
        if not member.isreg() or ending not in LARGEST:
            continue
        if member.size > LARGEST[ending]:
            raise DatasetError(
                "broken-shard", f"{path}: {member.name!r} claims {member.size} bytes; "
                f"a .{ending} may have {LARGEST[ending]}"
            )  # fmt: skip
        file = tar.extractfile(member)
        assert file is not None
        key = str(name.parent / stem).encode(errors="replace").decode()
        yield key, ending, file.read()


def labels_of(
    sample: Mapping[str, bytes], field: str, classes: tuple[str, ...] | None, where: str
) -> tuple[str, ...]:
    """The labels of a sample, of its .cls or of a field of its .json.

    >>> labels_of({"json": b'{"label": ["sea", "sky"]}'}, "label", None, "here")
    ('sea', 'sky')
    >>> labels_of({"cls": b"1"}, "label", ("sea", "sky"), "here")
    ('sky',)
    """
    try:
        data = {field: sample["cls"].decode().strip()} if "cls" in sample else None
        data = json.loads(sample["json"]) if data is None else data
    except KeyError:
        raise DatasetError("missing-label", f"{where}: neither .cls nor .json") from None
    except ValueError as error:
        raise DatasetError("broken-shard", f"{where}: no text or no JSON: {error}") from None
    if not isinstance(data, dict) or data.get(field) is None:
        raise DatasetError("missing-label", f"{where}: its .json has no field {field!r}")
    values = data[field] if isinstance(data[field], list) else [data[field]]
    labels = tuple(dict.fromkeys(class_of(value, classes, where) for value in values))
    check_known(labels, classes, where)
    return labels


def class_of(value: Any, classes: tuple[str, ...] | None, where: str) -> str:
    """A class by its name, or by its number among the classes, when these are given."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise DatasetError("bad-label", f"{where}: {value!r} is neither a class nor its number")
    text = str(value)
    if classes and text not in classes and text.isdecimal():
        if int(text) >= len(classes):
            raise DatasetError(
                "unknown-class", f"{where}: class number {text}; there are {len(classes)} classes"
            )
        return classes[int(text)]
    return text
