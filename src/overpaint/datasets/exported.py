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


@dataclass(frozen=True, kw_only=True)
class Item:
    """A picture of a source, with what the source says of it."""

    split: str
    data: bytes
    labels: tuple[str, ...]
    source: str  # what the source calls it
    group: str = ""


@dataclass(frozen=True, kw_only=True)
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
    from overpaint.records import digest, read_json, read_rows, whole_folder

    key = digest([FORMAT, made_of])
    try:
        fresh = read_json(folder / "export.json")["key"] == key
    except RecordError:
        fresh = False
    if not fresh:
        with whole_folder(folder) as draft:
            _write_out(read(), draft, key)
    facts = read_json(folder / "export.json")
    pictures = [
        Picture(image=row.image, split=row.split, labels=tuple(row.labels), group=row.group)
        for row in read_rows(folder / "pictures.parquet", ExportedRow)
    ]
    labels = {label for picture in pictures for label in picture.labels}
    classes = facts["classes"] or numbered(labels)
    return Catalogue(
        root=folder,
        pictures=pictures,
        classes=tuple(classes) if classes else None,
        multi_label=facts["multi_label"],
    )


def _write_out(source: Source, folder: Path, key: str) -> None:
    """Write each picture as a file, and what was said of it beside them."""
    from overpaint.records import write_json, write_rows

    rows = []
    counts: Counter[str] = Counter()
    for item in source.items:
        place = item.split or "all"
        image = f"{place}/{counts[place]:07}{suffix(item.data)}"
        counts[place] += 1
        (folder / place).mkdir(exist_ok=True)
        (folder / image).write_bytes(item.data)
        rows.append(
            ExportedRow(
                image=image,
                split=item.split,
                labels=list(item.labels),
                group=item.group,
                source=item.source,
            )
        )
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
    names = list(labels)
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else None


def splits_or_none(names: Sequence[str]) -> dict[str, str]:
    """The split that pictures get, by the source's: none where there is only one, to be drawn.

    >>> splits_or_none(["train", "test"]), splits_or_none(["train"])
    ({'train': 'train', 'test': 'test'}, {'train': ''})
    """
    return {name: name if len(names) > 1 else "" for name in names}
