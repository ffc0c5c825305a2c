"""What is wrong with a collection, before anything is trained on it.

Every picture is read once: its digest is taken, and one that cannot be decoded is named. What was
found is remembered beside size and time of the file, so that a second look costs nothing.

What makes a training pointless is an error; what makes its scores doubtful is told: pictures that
stand in two splits, and groups (artists, sitters, books) that do.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pandas as pd

from overpaint.datasets.catalogue import Dataset, Picture
from overpaint.datasets.stamp import Stamp, stamp
from overpaint.defaults import SPLITS
from overpaint.errors import DatasetError, RecordError
from overpaint.files import Folder
from overpaint.pixels.images import Look, survey
from overpaint.records import (
    DuplicateRow,
    ImageRow,
    LeakRow,
    read_json,
    read_rows,
    read_table,
    write_json,
    write_rows,
    write_table,
)
from overpaint.records.contents import changed_at

STAMPS = "stamps.parquet"
"""Size and time of each picture at the last look; without it every picture is read."""


def examine(
    root: Folder,
    pictures: Sequence[Picture],
    workplace: Path,
    progress: Callable[[int, int], None] | None = None,
    looks: Mapping[str, Look] | None = None,
) -> list[ImageRow]:
    """One row a picture, in order; only files that are new or have changed are read, and those that
    could not be: another version of a library, or another limit, may read them.

    Where the reader of the collection had all in hand, its `looks` are taken, and none is read.
    What is odd about a picture that can be read is kept in `workplace` for `remarks`.
    """
    last_look = remembered(workplace)
    stamps = {picture.image: stamp(root / picture.image) for picture in pictures}
    notes = known_notes(workplace)
    # A time can be set, as whoever copies does; that of the last change of a file's entry cannot.
    manifest = workplace / "manifest.json"
    since = changed_at(manifest) if manifest.is_file() else None
    touched = {
        picture.image
        for picture in pictures
        if since and isinstance(path := root / picture.image, Path) and _is_newer(path, since)
    }
    looks = dict(looks) if looks is not None else {
        image: Look(digest=row.digest, width=row.width, height=row.height, status=row.status,
                    note=notes.get(image, ""))
        for image, (when, row) in last_look.items()
        if when == stamps.get(image) and row.status == "ok" and image not in touched
    }  # fmt: skip
    stale = [image for image in stamps if image not in looks]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        surveys = pool.map(survey, [root / image for image in stale])
        for number, (image, look) in enumerate(zip(stale, surveys, strict=True), start=1):
            looks[image] = look
            if progress:
                progress(number, len(stale))
    rows = []
    for picture in pictures:
        look = looks[picture.image]
        rows.append(
            ImageRow(
                image=picture.image,
                split=picture.split,
                labels=list(picture.labels),
                group=picture.group,
                bytes=max(stamps[picture.image][0], 0),
                digest=look.digest,
                width=look.width,
                height=look.height,
                status=look.status,
                source=picture.source,
                rights=picture.rights,
            )
        )
    odd = {picture.image: looks[picture.image].note for picture in pictures
           if looks[picture.image].note}  # fmt: skip
    if odd != notes:
        write_json(workplace / "notes.json", odd)
    return rows


def _is_newer(path: Path, since: int) -> bool:
    with suppress(OSError):
        return changed_at(path) > since
    return False


def known_notes(workplace: Path) -> dict[str, str]:
    """What was odd about pictures when they were looked at, by picture."""
    try:
        notes: dict[str, str] = read_json(workplace / "notes.json")
    except RecordError:
        return {}
    return notes


def remarks(workplace: Path) -> list[str]:
    """Sentences on pictures that can be read and look odd: the first are named, all are counted."""
    notes = known_notes(workplace)
    sentences = [f"{image} is {note}" for image, note in sorted(notes.items())]
    rest = [f"{len(sentences)} pictures are of one colour or almost black"]
    return sentences[:FEW] + (rest if len(sentences) > FEW else [])


FEW = 5
"""Pictures that are named; the others are counted."""


def remember(root: Folder, rows: Sequence[ImageRow], workplace: Path) -> None:
    """Keep what was found for the next look."""
    stamps = [stamp(root / row.image) for row in rows]
    write_rows(workplace / "images.parquet", rows, ImageRow)
    names = [row.image for row in rows]
    times = [time for _, time in stamps]
    sizes = [size for size, _ in stamps]
    write_table(workplace / STAMPS, pd.DataFrame({"image": names, "bytes": sizes, "time": times}))


def remembered(workplace: Path) -> dict[str, tuple[Stamp, ImageRow]]:
    """What the last look found of each picture, and the stamp that its file had."""
    try:
        rows = read_rows(workplace / "images.parquet", ImageRow)
        stamps = read_table(workplace / STAMPS)
    except RecordError:
        return {}
    times = zip(stamps["bytes"].tolist(), stamps["time"].tolist(), strict=True)
    by_image = dict(zip(stamps["image"].tolist(), times, strict=True))
    return {row.image: (by_image[row.image], row) for row in rows if row.image in by_image}


# --- what cannot be learnt ---------------------------------------------------------------------


def check_trainable(dataset: Dataset) -> None:
    """A DatasetError for a dataset that no network can be fitted to.

    Each of train, val and test needs pictures, and each class needs pictures in train: one that is
    only in val or test cannot be learnt, and is named with its count.
    """
    counts = {split: Counter(label for picture in dataset.split(split).pictures
                             for label in picture.labels) for split in SPLITS}  # fmt: skip
    for label in dataset.classes:
        if not counts["train"][label]:
            places = [f"{split} {counts[split][label]}" for split in SPLITS if counts[split][label]]
            elsewhere = sum(counts[split][label] for split in SPLITS)
            raise DatasetError(
                "class-not-in-train",
                f"dataset {dataset.name!r} ({dataset.root}): no picture in train shows the class "
                f"{label!r} ({elsewhere} elsewhere{': ' if places else ''}{', '.join(places)}): it "
                "cannot be learnt; move pictures of it to train, or leave the class out",
            )


# --- pictures in two splits --------------------------------------------------------------------


def duplicates(dataset: Dataset) -> list[DuplicateRow]:
    """The pictures whose very bytes stand in two splits under two names.

    Large collections have some; a training goes on, and whoever reads its scores should know.
    """
    copies: dict[str, list[Picture]] = defaultdict(list)
    for picture in dataset.pictures:
        if picture.digest:
            copies[picture.digest].append(picture)
    rows = []
    for digest, pictures in copies.items():
        first, *rest = sorted(pictures, key=lambda picture: SPLITS.index(picture.split))
        rows += [
            DuplicateRow(
                digest=digest,
                first=first.image,
                first_split=first.split,
                second=copy.image,
                second_split=copy.split,
            )
            for copy in rest
            if copy.split != first.split
        ]
    return rows


def contradictions(dataset: Dataset) -> list[str]:
    """Sentences on pictures whose very bytes stand in one split under two names and other labels.

    The first are named, and all counted.
    """
    first: dict[tuple[str, str], Picture] = {}
    sentences = []
    for picture in dataset.pictures:
        if not picture.digest:
            continue
        twin = first.setdefault((picture.split, picture.digest), picture)
        if set(twin.labels) != set(picture.labels):
            sentences.append(
                f"the same picture in {picture.split} is {in_classes(twin)} and "
                f"{in_classes(picture)}: {twin.image} and {picture.image}"
            )
    rest = [f"{len(sentences)} pictures stand in a split twice with other labels"]
    return sentences[:5] + (rest if len(sentences) > 5 else [])


def in_classes(picture: Picture) -> str:
    """The labels of a picture in words."""
    return " and ".join(map(repr, picture.labels)) or "without a label"


def alike(classes: Sequence[str]) -> list[str]:
    """Sentences on classes whose names differ in nothing but capitals.

    >>> alike(["Cubism", "cubism", "Rococo"])
    ["the classes 'Cubism' and 'cubism' differ in their capitals only, and are kept apart"]
    """
    names: dict[str, list[str]] = defaultdict(list)
    for label in classes:
        names[label.casefold()].append(label)
    return [
        f"the classes {' and '.join(map(repr, labels))} differ in their capitals only, "
        "and are kept apart"
        for labels in names.values()
        if len(labels) > 1
    ]


# --- groups in two splits ----------------------------------------------------------------------


def leak(dataset: Dataset) -> list[LeakRow]:
    """The leak of groups from train into val and test; no row for a split without groups."""
    in_split = {
        split: [picture for picture in dataset.pictures if picture.split == split]
        for split in SPLITS
    }
    train = in_split.pop("train")
    members: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for picture in train:
        if picture.group:
            members[picture.group][picture.labels] += 1
    usual = {group: most_frequent(counts) for group, counts in members.items()}
    default = most_frequent(Counter(picture.labels for picture in train))
    rows = []
    for split, pictures in in_split.items():
        grouped = [picture for picture in pictures if picture.group]
        if not grouped:
            continue
        groups = {picture.group for picture in grouped}
        familiar = [picture for picture in grouped if picture.group in usual]
        right = sum(picture.labels == usual[picture.group] for picture in familiar)
        lucky = sum(picture.labels == default for picture in familiar)
        rows.append(
            LeakRow(
                split=split,
                n=len(grouped),
                known=len(familiar),
                share=len(familiar) / len(grouped),
                groups=len(groups),
                known_groups=len(groups & usual.keys()),
                accuracy=right / len(familiar) if familiar else None,
                chance=lucky / len(familiar) if familiar else None,
            )
        )
    return rows


def most_frequent(counts: Counter[tuple[str, ...]]) -> tuple[str, ...]:
    """The labels that most pictures have; of equals, the first in alphabetical order."""
    return max(sorted(counts), key=lambda labels: counts[labels], default=())
