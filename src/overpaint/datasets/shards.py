"""Shards: tar files in the layout of WebDataset, `<key>.jpg` beside `<key>.cls` or `<key>.json`.

As there, the key is a member's file name up to its first dot; what follows is the field:
`0001.left.jpg` is the field `left.jpg` of the sample `0001`. Nothing but pictures, class files and
JSON is looked at: the layout also knows pickled members, and a collection from elsewhere may hold
some. What is left out is counted by its ending.

Below a folder, the pictures are written out once. Those at an address (`s3://…`) stay there: each
shard is read through once, and its pictures from then on in parts.
"""

import lzma
import re
import struct
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby, islice
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import AfterValidator, BeforeValidator

from overpaint.datasets.catalogue import Catalogue
from overpaint.datasets.entry import Classes, CollectionEntry, SplitName, Surroundings
from overpaint.datasets.exported import Item, Source, exported, splits_or_none
from overpaint.datasets.labels import check_known, check_no_vectors
from overpaint.datasets.names import clean, split_names
from overpaint.datasets.remote import RemoteFile, RemoteFolder, address, is_address
from overpaint.datasets.sheet import text_of
from overpaint.datasets.stamp import stamp
from overpaint.defaults import SPLITS
from overpaint.errors import DatasetError
from overpaint.files import json_from, no_file

PICTURES = (
    "jpg", "jpeg", "png", "webp", "jpe", "jfif", "tif", "tiff", "bmp", "gif", "jp2", "avif", "heic",
    "ppm", "pgm",
)  # fmt: skip
"""The first that a sample has is its picture."""

LABELS = ("cls", "json")

LARGEST = {**dict.fromkeys(PICTURES, 2**29), **dict.fromkeys(LABELS, 2**20)}
"""Bytes that a member may have: a tar can claim any size, and be compressed."""


LARGEST_SAMPLE = 2**29
"""Bytes of all members of a sample, which are held at once."""

LONGEST = 500
"""Letters of a label, of a pattern, and twice of a member's name."""

RATIO, SPARE = 100, 2**26
"""A compressed shard may unpack to so many times its bytes, and as many beyond."""

MOST = 100_000
"""Shards that one pattern may mean."""

STARS, FOLDERS = 3, 2
"""How often `*` may stand in a name, and `**` in a pattern: with each more, a long name takes a
hundred times as long.
"""

Shard = Path | RemoteFile


def below(pattern: str) -> str:
    """A pattern that cannot lead out of the root; else a ValueError."""
    if len(pattern) > LONGEST or not pattern.isprintable() or not pattern.strip("./"):
        raise ValueError(f"{pattern[:60]!r} is no pattern of names, as in 'train-*.tar'")
    patterns = list(islice(braces(pattern), MOST + 1)) if pattern.count("{") < 9 else []
    if len(patterns) > MOST or not patterns:
        raise ValueError(f"{pattern!r} means none, or more than {MOST} shards")
    if any("**" in part and part != "**" for name in patterns for part in name.split("/")):
        raise ValueError(f"{pattern!r}: '**' stands for folders, alone between two '/'")
    if any(part.count("*") > STARS for name in patterns for part in name.split("/")) or any(
        name.split("/").count("**") > FOLDERS for name in patterns
    ):
        raise ValueError(
            f"{pattern!r} can fit a name in too many ways: a name may have {STARS} '*', "
            f"and a pattern {FOLDERS} '**'"
        )
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in patterns):
        raise ValueError(f"{pattern!r} leads out of the root")
    return pattern


def braces(pattern: str) -> Iterator[str]:
    """The patterns that one with braces stands for, as WebDataset writes them.

    >>> list(braces("train-{008..010}.tar"))
    ['train-008.tar', 'train-009.tar', 'train-010.tar']
    >>> list(braces("{a,b}-{0..1}.tar"))
    ['a-0.tar', 'a-1.tar', 'b-0.tar', 'b-1.tar']
    """
    match = re.search(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}", pattern)
    if match is None:
        yield pattern
        return
    first, last, words = match.groups()
    before, after = pattern[: match.start()], pattern[match.end() :]
    width = len(first or "")
    parts = (
        words.split(",") if words else (f"{n:0{width}}" for n in range(int(first), int(last) + 1))
    )
    for part in parts:
        for rest in braces(after):
            yield f"{before}{part}{rest}"


def place_of(root: Any) -> Any:
    """A root as the study has it: an address, or a path."""
    if not is_address(root):
        return root
    return address(root)


class ShardsEntry(CollectionEntry):
    """Tar files in the layout of WebDataset; `splits` are patterns of their names.

    `root` is a folder, or an address that fsspec knows.

    `label` is the field of a sample's .json; a class number counts into `classes`, if given.
    """

    writes_out: ClassVar[bool] = True

    kind: Literal["shards"]
    root: Annotated[Path | str, BeforeValidator(place_of)]
    splits: dict[SplitName, Annotated[str, AfterValidator(below)]] | None = None
    label: str = "label"
    classes: Classes | None = None

    def read(self, surroundings: Surroundings) -> Catalogue:
        """The catalogue of the shards below the root, whose pictures are written out.

        Raises DatasetError for splits without shards, a shard that is cut off, a sample without
        picture or label, a class that is not among the entry's.
        """
        root: Path | RemoteFolder
        if is_address(self.root):
            root = RemoteFolder(str(self.root))
        else:
            root = surroundings.path(Path(self.root))
        shards = shards_below(root, self.splits)
        stamps = [
            [split, path.name, *stamp(path)] for split, paths in shards.items() for path in paths
        ]
        classes = tuple(self.classes) if self.classes else None

        def source() -> Source:
            splits = splits_or_none(list(shards))
            left_out: Counter[str] = Counter()
            notes: list[str] = []

            lists: list[list[str]] = []

            def items() -> Iterator[Item]:
                for split, paths in shards.items():
                    for path in paths:
                        yield from items_of(
                            path, splits[split], self.label, classes, left_out, lists
                        )
                check_no_vectors(lists, f"{root}, the field {self.label!r}")
                if left_out:
                    count = left_out.total()
                    kinds = ", ".join(f"{n} {kind}" for kind, n in left_out.most_common(10))
                    verb = "member of a shard is" if count == 1 else "members of the shards are"
                    notes.append(f"{count} {verb} not looked at: {kinds}")

            used = {path for paths in shards.values() for path in paths}
            # an address whose shards are named need not be one that can be listed
            lying = set(tars_in(root)) if isinstance(root, Path) or not self.splits else used
            unused = sorted(path.name for path in lying - used)
            if unused:
                named = ", ".join(unused[:10]) + (" …" if len(unused) > 10 else "")
                notes.append(f"not used, because no split names them: {named}")
            return Source(place=str(root), items=items(), notes=notes, classes=classes)

        made_of = [stamps, self.label, classes]
        if isinstance(root, Path):
            return exported(surroundings.pictures, made_of, source)
        files = [cast(RemoteFile, path) for paths in shards.values() for path in paths]
        return exported(surroundings.pictures, [*made_of, root.address], source, files)


ENDINGS = (".tar", ".tar.gz", ".tgz")


def tars_in(root: Path | RemoteFolder) -> list[Shard]:
    """The tar files that lie in a folder or at an address."""
    return sorted({path for ending in ENDINGS for path in root.glob(f"*{ending}")})


def shards_named(root: Path | RemoteFolder, pattern: str) -> list[Shard]:
    """The shards that a pattern means; a DatasetError names what braces mean and is not there."""
    shards: dict[Shard, None] = {}
    for name in (patterns := list(braces(pattern))):
        fitting: list[Shard] = sorted(root.glob(name))
        if not fitting and len(patterns) > 1:
            raise DatasetError("no-shards", f"no file below {root} is called {name!r}, and "
                               f"{pattern!r} means it too")  # fmt: skip
        shards |= dict.fromkeys(fitting)
    return list(shards)


def shards_below(
    root: Path | RemoteFolder, splits: Mapping[SplitName, str] | None
) -> dict[str, list[Shard]]:
    """The tar files of each split: those that the study names, or those whose names tell of it."""
    patterns = {str(split): pattern for split, pattern in (splits or {}).items()}
    shards = {split: shards_named(root, patterns[split]) for split in SPLITS if split in patterns}
    lying = tars_in(root) if not patterns or not all(shards.values()) else []
    if not patterns:
        stems = {path: path.name.partition(".tar")[0].removesuffix(".tgz") for path in lying}
        meanings = split_names(stems.values())
        for split in SPLITS:
            paths = [path for path, stem in stems.items() if meanings[stem] == split
                     or (not meanings[stem] and stem.lower().startswith(split))]  # fmt: skip
            if paths or split == "train":
                shards[split] = paths
    for split, paths in shards.items():
        if not paths:
            there = ", ".join(path.name for path in lying[:10]) or "no tar"
            raise DatasetError(
                "no-shards",
                f"no file below {root} is called {patterns.get(split, f'{split}*.tar')!r}; "
                f"there: {there}",
            )
        for before, others in shards.items():
            if before != split and (shared := sorted(set(paths) & set(others))):
                raise DatasetError("no-shards", f"{shared[0]} would be in {before} and in {split}: "
                                   "give patterns that share no file")  # fmt: skip
    return shards


def opened(path: Shard) -> tarfile.TarFile:
    """A shard, to be read from its beginning to its end.

    At an address it must be one whose members can be read by themselves afterwards.
    """
    if isinstance(path, Path):
        if kind := no_file(path):
            raise DatasetError("broken-shard", f"the shard {path} is no file but {kind}")
        return tarfile.open(path, "r|*", tarinfo=Member)
    if path.part(0, min(6, path.size)).startswith(COMPRESSED):
        raise DatasetError(
            "compressed-shard",
            f"the shard {path} is compressed, so no picture in it can be read by itself: write "
            "plain tar files, or have it on a disk, where it is written out",
        )
    return tarfile.open(fileobj=path.stream(), mode="r|", tarinfo=Member)  # type: ignore[call-overload]


COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


class Member(tarfile.TarInfo):
    """A member whose name and the like are not read where they claim to be gigabytes."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "Member":
        """As the library does; a ReadError for what is too large."""
        member = super().frombuf(buf, encoding, errors)
        kinds = (
            *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
            *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
        )
        if member.type in kinds and member.size > 2**20:
            raise tarfile.ReadError(f"a header of {member.size} bytes")
        return member


def items_of(
    path: Shard,
    split: str,
    label: str,
    classes: tuple[str, ...] | None,
    left_out: Counter[str],
    lists: list[list[str]],
) -> Iterator[Item]:
    """The pictures of one tar file: neighbouring members of one key are a sample."""
    try:
        with opened(path) as tar:
            members = members_of(tar, path, left_out)
            for key, fields in groupby(members, lambda member: member[0]):
                where = f"{path}, sample {key!r}"
                sample: dict[str, bytes] = {}
                offsets: dict[str, int] = {}
                for _, name, offset, data in fields:
                    offsets[name] = offset
                    if name in sample:
                        raise DatasetError("broken-shard", f"{where}: two members are .{name}")
                    sample[name] = data
                    if sum(map(len, sample.values())) > LARGEST_SAMPLE:
                        raise DatasetError(
                            "broken-shard", f"{where} has more than {LARGEST_SAMPLE} bytes"
                        )
                picture = chosen(sample, PICTURES, where)
                if picture is None:
                    raise DatasetError(
                        "no-picture-in-sample", f"{where}: no {', '.join(PICTURES[:4])}, …"
                    )
                # What belongs to 0001.left.jpg is called 0001.left.cls, or 0001.cls.
                view = picture.rpartition(".")[0]
                of_view = {name.removeprefix(f"{view}."): data for name, data in sample.items()
                       if name.startswith(f"{view}.")}  # fmt: skip
                labels = labels_of({**sample, **of_view}, label, classes, where, lists)
                left_out.update(f".{name}" for name in sample
                                if name != picture and name.endswith(PICTURES))  # fmt: skip
                yield Item(
                    split=split,
                    data=sample[picture],
                    labels=labels,
                    source=f"{path.name}/{key}",
                    file=None if isinstance(path, Path) else path,
                    offset=offsets[picture],
                )
            # A tar ends with blocks of zeros; the library takes a cut between two for an end.
            if tar.fileobj is None or not tar.fileobj.read(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("unexpected end of data")
    except (
        *(tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, struct.error),
        *(ValueError, LookupError, ArithmeticError, MemoryError),
    ) as error:  # a broken file may trip the libraries anywhere
        raise DatasetError(
            "broken-shard", f"cannot read the shard {path}, it may be cut off: {error}"
        ) from None


def chosen(sample: Mapping[str, bytes], endings: tuple[str, ...], where: str) -> str | None:
    """The field of a sample that has one of the endings: `jpg` before `left.jpg`.

    >>> chosen({"seg.png": b"", "jpg": b"", "cls": b""}, PICTURES, "here")
    'jpg'
    >>> chosen({"001.jpg": b"", "002.jpg": b""}, PICTURES, "here")
    Traceback (most recent call last):
    overpaint.errors.DatasetError: here: 001.jpg and 002.jpg, and no jpg: ...
    """
    plain = next((ending for ending in endings if ending in sample), None)
    fields = [name for name in sample if name.rpartition(".")[2] in endings]
    if plain is None and len(fields) > 1:
        raise DatasetError(
            "dotted-key",
            f"{where}: {fields[0]} and {fields[1]}, and no {fields[0].rpartition('.')[2]}: the key "
            "of a sample ends at the first dot; write shards whose keys have no dots",
        )
    return plain or next(iter(fields), None)


def members_of(
    tar: tarfile.TarFile, path: Shard, left_out: Counter[str]
) -> Iterator[tuple[str, str, int, bytes]]:
    """Key, field, place and bytes of the members that are looked at."""
    most = SPARE + RATIO * path.stat().st_size
    for member in tar:
        tar.members.clear()  # type: ignore[attr-defined]  # the library keeps each
        if member.offset_data + member.size > most and isinstance(path, Path):
            raise DatasetError("broken-shard", f"{path} would unpack to more than {most} bytes")
        if len(member.name) > 2 * LONGEST:
            raise DatasetError(
                "broken-shard",
                f"{path}: a name of {len(member.name)} letters: {member.name[:60]!r}",
            )
        name = PurePosixPath(member.name)
        stem, _, field = name.name.partition(".")
        field = field.lower()
        ending = field.rpartition(".")[2]
        if member.isdir() or re.search(r"__[^/]*__($|/)", member.name):
            continue  # the second is what WebDataset writes about the shard
        if not member.isreg() or not stem or ending not in LARGEST:
            kind = "hidden" if not stem else f".{ending}" if ending else "without ending"
            left_out[kind if member.isreg() else "link"] += 1
            continue
        if member.size > LARGEST[ending]:
            raise DatasetError(
                "broken-shard", f"{path}: {member.name!r} claims {member.size} bytes; "
                f"a .{ending} may have {LARGEST[ending]}"
            )  # fmt: skip
        if member.issparse() and not isinstance(path, Path):
            raise DatasetError(
                "broken-shard", f"{path}: {member.name!r} does not lie in one piece (sparse)"
            )
        file = tar.extractfile(member)
        assert file is not None
        key = str(name.parent / stem).encode(errors="replace").decode()
        yield key, field, member.offset_data, file.read()


def labels_of(
    sample: Mapping[str, bytes],
    field: str,
    classes: tuple[str, ...] | None,
    where: str,
    lists: list[list[str]],
) -> tuple[str, ...]:
    """The labels of a sample, of its .cls or of a field of its .json; a list is put to `lists`.

    >>> labels_of({"json": b'{"label": ["sea", "sky"]}'}, "label", None, "here", [])
    ('sea', 'sky')
    >>> labels_of({"cls": b"1"}, "label", ("sea", "sky"), "here", [])
    ('sky',)
    """
    try:
        data = {field: sample["cls"].decode("utf-8-sig").strip()} if "cls" in sample else None
        data = json_from(sample["json"]) if data is None else data
    except KeyError:
        raise DatasetError("missing-label", f"{where}: neither .cls nor .json") from None
    except ValueError as error:
        raise DatasetError("broken-shard", f"{where}: no text or no JSON: {error}") from None
    if not isinstance(data, dict) or data.get(field) is None:
        raise DatasetError("missing-label", f"{where}: its .json has no field {field!r}")
    values = data[field] if isinstance(data[field], list) else [data[field]]
    if isinstance(data[field], list):
        lists.append(list(map(text_of, values)))
    if values in ([-1], ["-1"], [None]) and "-1" not in (classes or ()):
        return ()  # how sets say that a picture has no label
    if any(value in (-1, "-1", None) for value in values) and "-1" not in (classes or ()):
        raise DatasetError("bad-label", f"{where}: one of the labels {str(values)[:60]} is none")
    labels = tuple(dict.fromkeys(class_of(value, classes, where) for value in values))
    check_known(labels, classes, where)
    return labels


def class_of(value: Any, classes: tuple[str, ...] | None, where: str) -> str:
    """A class by its name, or by its number among the classes, when these are given."""
    is_text = isinstance(value, str | int) and not isinstance(value, bool)
    text = clean(str(value)) if is_text else ""
    if not text:
        said = ascii(value)[:60]
        raise DatasetError("bad-label", f"{where}: {said} is neither a class nor its number")
    if len(text) > LONGEST or text.encode(errors="replace").decode() != text:
        raise DatasetError(
            "bad-label",
            f"{where}: a label of {len(text)} letters, or of such as are none: {text[:60]!a}",
        )
    if classes and text not in classes and text.isdecimal():
        if int(text) >= len(classes):
            raise DatasetError(
                "unknown-class", f"{where}: class number {text}; there are {len(classes)} classes"
            )
        return classes[int(text)]
    return text
