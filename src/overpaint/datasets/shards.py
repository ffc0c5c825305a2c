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
from typing import Any

from overpaint.datasets.catalogue import SPLITS, Catalogue
from overpaint.datasets.doctor import stamp
from overpaint.datasets.exported import Item, Source, exported, splits_or_none
from overpaint.datasets.table import check_known
from overpaint.errors import DatasetError
from overpaint.study import ShardsEntry

PICTURES = ("jpg", "jpeg", "png", "webp")
LABELS = ("cls", "json")

LARGEST = {**dict.fromkeys(PICTURES, 2**29), **dict.fromkeys(LABELS, 2**20)}
"""Bytes that a member may have: a tar can claim any size, and be compressed."""


def read_shards(root: Path, entry: ShardsEntry, folder: Path) -> Catalogue:
    """The catalogue of the shards below `root`, whose pictures are written out into `folder`.

    Raises DatasetError for splits without shards, a shard that is cut off, a sample without
    picture or label, a class that is not among the entry's.
    """
    shards = _shards(root, entry)
    stamps = [[split, path.name, *stamp(path)] for split, paths in shards.items() for path in paths]
    classes = tuple(entry.classes) if entry.classes else None

    def read() -> Source:
        named = splits_or_none(list(shards))
        items = (item for split, paths in shards.items() for path in paths
                 for item in _items(path, named[split], entry.label, classes))  # fmt: skip
        return Source(items, classes)

    return exported(folder, [stamps, entry.label, classes], read)


def _shards(root: Path, entry: ShardsEntry) -> dict[str, list[Path]]:
    patterns: dict[str, str] = {split: f"{split}*.tar" for split in SPLITS}
    if entry.splits:
        patterns = dict(entry.splits.items())
    found = {split: sorted(root.glob(patterns[split])) for split in SPLITS if split in patterns}
    for split, paths in found.items():
        if not paths and (entry.splits or split == "train"):
            there = ", ".join(sorted(path.name for path in root.glob("*.tar"))[:10]) or "no tar"
            raise DatasetError(
                "no-shards", f"no file below {root} is called {patterns[split]!r}; there: {there}"
            )
    return {split: paths for split, paths in found.items() if paths}


def _items(path: Path, split: str, label: str, classes: tuple[str, ...] | None) -> Iterator[Item]:
    try:
        for key, sample in _samples(path):
            where = f"{path}, sample {key!r}"
            picture = next((sample[end] for end in PICTURES if end in sample), None)
            if picture is None:
                raise DatasetError("no-picture-in-sample", f"{where}: no {', '.join(PICTURES)}")
            labels = _labels(sample, label, classes, where)
            yield Item(split, picture, labels, f"{path.name}/{key}")
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise DatasetError(
            "broken-shard", f"cannot read the shard {path}, it may be cut off: {error}"
        ) from None


def _samples(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Neighbouring members of one key, those that are looked at, by their endings."""
    with tarfile.open(path, "r|*") as tar:
        for key, members in groupby(_members(tar, path), lambda each: each[0]):
            yield key, {ending: data for _, ending, data in members}
        # A tar ends with blocks of zeros; the library takes a cut between two blocks for an end.
        if tar.fileobj is None or not tar.fileobj.read(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("unexpected end of data")


def _members(tar: tarfile.TarFile, path: Path) -> Iterator[tuple[str, str, bytes]]:
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


def _labels(
    sample: Mapping[str, bytes], field: str, classes: tuple[str, ...] | None, where: str
) -> tuple[str, ...]:
    """The labels of a sample: names, or the numbers of classes."""
    given = _given(sample, field, where)
    values = given if isinstance(given, list) else [given]
    labels = tuple(dict.fromkeys(_name(value, classes, where) for value in values))
    check_known(labels, classes, where)
    return labels


def _given(sample: Mapping[str, bytes], field: str, where: str) -> Any:
    try:
        if "cls" in sample:
            return sample["cls"].decode().strip()
        data = json.loads(sample["json"])
    except KeyError:
        raise DatasetError("missing-label", f"{where}: neither .cls nor .json") from None
    except ValueError as error:
        raise DatasetError("broken-shard", f"{where}: no text or no JSON: {error}") from None
    if not isinstance(data, dict) or data.get(field) is None:
        raise DatasetError("missing-label", f"{where}: its .json has no field {field!r}")
    return data[field]


def _name(value: Any, classes: tuple[str, ...] | None, where: str) -> str:
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
