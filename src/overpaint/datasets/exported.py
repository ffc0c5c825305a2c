"""Pictures that lie inside other files (shards, a hub's tables), written out once, each as a file.

So everything that follows works on files. The bytes are kept as they are, never decoded, and the
files have numbers for names: what the source calls a picture is recorded and never used as a path.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overpaint.datasets.catalogue import Catalogue, Picture
from overpaint.errors import RecordError
from overpaint.records import digest, read_json, read_rows, whole_folder, write_json, write_rows

FORMAT = 1
"""Raised when what is written out changes, so that it is written anew."""

MAGIC = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"RIFF": ".webp",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
}


@dataclass(frozen=True)
class Item:
    """A picture of a source, with what the source says of it."""

    split: str
    data: bytes
    labels: tuple[str, ...]
    source: str  # what the source calls it
    group: str = ""


@dataclass(frozen=True)
class Source:
    """All pictures of a source. Classes and `multi_label` as a catalogue has them."""

    items: Iterable[Item]
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


def exported(folder: Path, made_of: Any, read: Callable[[], Source]) -> Catalogue:
    """The catalogue of a source, written out into `folder` anew when `made_of` has changed."""
    key = digest([FORMAT, made_of])
    if not _fresh(folder, key):
        with whole_folder(folder) as draft:
            _write(draft, key, read())
    facts = read_json(folder / "export.json")
    pictures = [
        Picture(row.image, row.split, tuple(row.labels), row.group)
        for row in read_rows(folder / "pictures.parquet", ExportedRow)
    ]
    classes = facts["classes"] or numbered({label for each in pictures for label in each.labels})
    return Catalogue(folder, pictures, tuple(classes) if classes else None, facts["multi_label"])


def _fresh(folder: Path, key: str) -> bool:
    try:
        return bool(read_json(folder / "export.json")["key"] == key)
    except RecordError:
        return False


def _write(folder: Path, key: str, source: Source) -> None:
    rows = []
    counts: Counter[str] = Counter()
    for item in source.items:
        place = item.split or "all"
        image = f"{place}/{counts[place]:07}{suffix(item.data)}"
        counts[place] += 1
        (folder / place).mkdir(exist_ok=True)
        (folder / image).write_bytes(item.data)
        rows.append(ExportedRow(image, item.split, list(item.labels), item.group, item.source))
    write_rows(folder / "pictures.parquet", rows, ExportedRow)
    facts = {"key": key, "classes": source.classes, "multi_label": source.multi_label}
    write_json(folder / "export.json", facts)


def suffix(data: bytes) -> str:
    r"""The ending for a picture, by its first bytes.

    >>> suffix(b"\x89PNG\r\n"), suffix(b"no picture")
    ('.png', '.bin')
    """
    return next((end for magic, end in MAGIC.items() if data.startswith(magic)), ".bin")


def numbered(labels: Iterable[str]) -> Sequence[str] | None:
    """Class numbers in the order of numbers; None when the classes have names.

    >>> numbered(["10", "9"]), numbered(["10", "nine"])
    (['9', '10'], None)
    """
    found = list(labels)
    return sorted(found, key=int) if all(label.isdecimal() for label in found) else None


def splits_or_none(names: Sequence[str]) -> dict[str, str]:
    """The split that pictures get, by the source's: none where there is only one, to be drawn.

    >>> splits_or_none(["train", "test"]), splits_or_none(["train"])
    ({'train': 'train', 'test': 'test'}, {'train': ''})
    """
    return {name: name if len(names) > 1 else "" for name in names}
