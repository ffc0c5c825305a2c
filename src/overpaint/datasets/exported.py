"""Pictures that lie inside other files (shards, a hub's tables), written out once, each as a file.

So everything that follows works on files. The bytes are kept as they are, never decoded, and the
files have numbers for names: what the source calls a picture is recorded and never used as a path.

Pictures at an address are not written out: of each it is kept where it lies, and what was seen of
it when all of them were read the first time.
"""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overpaint.datasets.catalogue import Catalogue, Picture
from overpaint.datasets.labels import doubtful
from overpaint.datasets.remote import RemoteFile, Status
from overpaint.errors import DatasetError, RecordError
from overpaint.files import Folder

if TYPE_CHECKING:
    from overpaint.pixels.images import Look

WAITING = 64
"""Pictures that wait to be looked at, at most."""

FORMAT = 2
"""Raised when what is written out changes, so that it is written anew."""

MAGIC = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"RIFF": ".webp",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"\0\0\0\x0cjP  ": ".jp2",
    b"\xffO\xffQ": ".j2k",
}
BRANDS = {b"avif": ".avif", b"avis": ".avif", b"heic": ".heic", b"heix": ".heic", b"mif1": ".heic"}
"""Of files that begin with their length, "ftyp" and a brand."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """A picture of a source, with what the source says of it."""

    split: str
    data: bytes
    labels: tuple[str, ...]
    source: str  # what the source calls it
    group: str = ""
    file: RemoteFile | None = None  # at an address, in which it stays
    offset: int = 0  # of its first byte there


@dataclass(frozen=True, kw_only=True)
class Source:
    """All pictures of a source. Classes and `multi_label` as a catalogue has them.

    `notes` are what is to be told of it; the items may add to them while they are read.
    """

    place: str
    items: Iterable[Item]
    notes: list[str] = field(default_factory=list)
    classes: tuple[str, ...] | None = None
    multi_label: bool | None = None


@dataclass(frozen=True)
class ExportedRow:
    """A picture that was written out, in `pictures.parquet`."""

    image: str
    split: str
    labels: list[str]
    group: str
    source: str
    file: str = ""  # where it lies at an address, and stays; "" for one that was written out
    offset: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class LookRow:
    """What was seen of a picture that stays at an address, in `looks.parquet`."""

    image: str
    digest: str
    width: int
    height: int
    status: str
    note: str


@dataclass(frozen=True)
class InFile:
    """A picture inside a file at an address."""

    file: RemoteFile
    offset: int
    length: int
    image: str

    def __str__(self) -> str:
        return f"{self.file}, {self.image}"

    def read_bytes(self) -> bytes:
        """Its bytes, by a request or from what was read ahead."""
        return self.file.part(self.offset, self.length)

    def stat(self) -> Status:
        """It is another when its file is."""
        return Status(st_size=self.length, st_mtime_ns=self.file.stat().st_mtime_ns)


@dataclass(frozen=True)
class InFiles:
    """Pictures inside files at an address, by their ids."""

    address: str
    pictures: Mapping[str, InFile] = field(hash=False, repr=False)

    def __str__(self) -> str:
        return self.address

    def __truediv__(self, image: str, /) -> InFile:
        return self.pictures[image]


def exported(
    folder: Path,
    made_of: Any,
    read: Callable[[], Source],
    files: Sequence[RemoteFile] = (),
) -> Catalogue:
    """The catalogue of a source, written out into `folder` anew when `made_of` has changed.

    Pictures of `files` stay there.
    """
    from overpaint.pixels.images import Look
    from overpaint.records import digest, read_json, read_rows, whole_folder
    from overpaint.records.belongings import refuse_strangers

    key = digest([FORMAT, made_of])
    try:
        fresh = read_json(folder / "export.json")["key"] == key
    except RecordError:
        fresh = False
    if not fresh:
        refuse_strangers(folder, "pictures")
        with whole_folder(folder) as draft:
            _write_out(read(), draft, key)
    facts = read_json(folder / "export.json")
    rows = read_rows(folder / "pictures.parquet", ExportedRow)
    pictures = [
        Picture(image=row.image, split=row.split, labels=tuple(row.labels), group=row.group)
        for row in rows
    ]
    root: Folder = folder
    looks: dict[str, Look] | None = None
    if files:
        by_name = {str(file): file for file in files}
        root = InFiles(
            str(files[0].folder),
            {row.image: InFile(by_name[row.file], row.offset, row.bytes, row.image)
             for row in rows},
        )  # fmt: skip
        looks = {
            row.image: Look(digest=row.digest, width=row.width, height=row.height,
                            status=row.status, note=row.note)
            for row in read_rows(folder / "looks.parquet", LookRow)
        }  # fmt: skip
    labels = {label for picture in pictures for label in picture.labels}
    classes = facts["classes"] or numbered(labels)
    return Catalogue(
        root=root,
        pictures=pictures,
        classes=tuple(classes) if classes else None,
        multi_label=facts["multi_label"],
        notes=tuple(facts["notes"]),
        looks=looks,
    )


def _write_out(source: Source, folder: Path, key: str) -> None:
    """Write each picture as a file, and what was said of it beside them.

    One that stays at an address is looked at instead, while the next ones come.
    """
    from overpaint.pixels.images import look_at
    from overpaint.records import write_json, write_rows

    rows = []
    looks: dict[str, Future[Look]] = {}
    waiting: deque[Future[Look]] = deque()
    counts: Counter[str] = Counter()
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="look") as pool:
        for item in source.items:
            place = item.split or "all"
            image = f"{place}/{counts[place]:07}{suffix(item.data)}"
            counts[place] += 1
            if item.file is None:
                (folder / place).mkdir(exist_ok=True)
                (folder / image).write_bytes(item.data)
            else:
                looks[image] = pool.submit(look_at, item.data)
                waiting.append(looks[image])
                if len(waiting) > WAITING:  # each holds its picture
                    waiting.popleft().result()
            rows.append(
                ExportedRow(
                    image=image,
                    split=item.split,
                    labels=list(item.labels),
                    group=item.group,
                    source=item.source,
                    file=str(item.file or ""),
                    offset=item.offset,
                    bytes=len(item.data),
                )
            )
    bare = [row.source for row in rows if not row.labels]
    if bare and source.multi_label is None and all(len(row.labels) < 2 for row in rows):
        # Where no picture has several labels, one without any is a gap and not an answer.
        raise DatasetError(
            "missing-label",
            f"{source.place}: the picture {bare[0]!r} has no label ({len(bare)} in all; -1 and "
            "null stand for none): give each picture one, or leave those without out; where a "
            "whole split has none, say in 'splits' which to use",
        )
    if not source.classes:
        labels = [tuple(row.labels) for row in rows]
        source.notes.extend(doubtful(labels, source.place, separated=True))
    write_rows(folder / "pictures.parquet", rows, ExportedRow)
    if looks:
        look_rows = [LookRow(image=image, **asdict(look.result())) for image, look in looks.items()]
        write_rows(folder / "looks.parquet", look_rows, LookRow)
    write_json(
        folder / "export.json",
        {
            "key": key,
            "classes": source.classes,
            "multi_label": source.multi_label,
            "notes": source.notes,
        },
    )


def suffix(data: bytes) -> str:
    r"""The ending for a picture, by its first bytes.

    >>> suffix(b"\x89PNG\r\n"), suffix(b"no picture")
    ('.png', '.bin')
    """
    if data[4:8] == b"ftyp" and data[8:12] in BRANDS:
        return BRANDS[data[8:12]]
    return next((end for magic, end in MAGIC.items() if data.startswith(magic)), ".bin")


def numbered(labels: Iterable[str]) -> Sequence[str] | None:
    """Class numbers in the order of numbers; None when the classes have names.

    >>> numbered(["10", "9"]), numbered(["10", "nine"])
    (['9', '10'], None)
    """
    names = list(labels)
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else None


def splits_or_none(names: Sequence[str]) -> dict[str, str]:
    """The split that pictures get, by the source's: none where there is only one, to be drawn.

    >>> splits_or_none(["train", "test"]), splits_or_none(["train"])
    ({'train': 'train', 'test': 'test'}, {'train': ''})
    """
    return {name: name if len(names) > 1 else "" for name in names}
