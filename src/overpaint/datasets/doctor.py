"""What is wrong with a collection, before anything is trained on it.

Every picture is read once: its digest is taken, and one that cannot be decoded is named. What was
found is remembered beside size and time of the file, so that a second look costs nothing.

What makes a training pointless is an error; what makes its scores doubtful is told: pictures that
stand in two splits, and groups (artists, sitters, books) that do.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from overpaint.datasets.catalogue import SPLITS, Dataset, Picture
from overpaint.errors import DatasetError, RecordError
from overpaint.pixels.images import survey
from overpaint.records import (
    DuplicateRow,
    ImageRow,
    LeakRow,
    read_rows,
    read_table,
    write_rows,
    write_table,
)

Stamp = tuple[int, int]
"""Size and time of change of a file, in bytes and nanoseconds; (-1, 0) for none."""


def examine(
    root: Path,
    pictures: Sequence[Picture],
    workplace: Path,
    progress: Callable[[int, int], None] | None = None,
) -> list[ImageRow]:
    """One row a picture, in order; only files that are new or have changed are read."""
    known = _known(workplace)
    stamps = [stamp(root / picture.image) for picture in pictures]
    seen = [known.get(picture.image) for picture in pictures]
    stale = [n for n, old in enumerate(seen) if old is None or old[0] != stamps[n]]
    fresh = dict(
        zip(stale, _survey([root / pictures[n].image for n in stale], progress), strict=True)
    )
    return [
        _row(picture, stamps[number][0], fresh.get(number), seen[number])
        for number, picture in enumerate(pictures)
    ]


def _row(
    picture: Picture,
    size: int,
    found: tuple[str, int, int, str] | None,
    old: tuple[Stamp, ImageRow] | None,
) -> ImageRow:
    """The row of a picture from a fresh look, or else from the last one."""
    if found is None:
        assert old is not None
        found = (old[1].digest, old[1].width, old[1].height, old[1].status)
    digest, width, height, status = found
    return ImageRow(
        image=picture.image,
        split=picture.split,
        labels=list(picture.labels),
        group=picture.group,
        bytes=max(size, 0),
        digest=digest,
        width=width,
        height=height,
        status=status,
    )


def remember(root: Path, rows: Sequence[ImageRow], workplace: Path) -> None:
    """Keep what was found for the next look."""
    stamps = [stamp(root / row.image) for row in rows]
    write_rows(workplace / "images.parquet", rows, ImageRow)
    names = [row.image for row in rows]
    times = [time for _, time in stamps]
    sizes = [size for size, _ in stamps]
    write_table(
        workplace / "stamps.parquet", pd.DataFrame({"image": names, "bytes": sizes, "time": times})
    )


def _known(workplace: Path) -> dict[str, tuple[Stamp, ImageRow]]:
    try:
        rows = read_rows(workplace / "images.parquet", ImageRow)
        stamps = read_table(workplace / "stamps.parquet")
    except RecordError:
        return {}
    times = zip(stamps["bytes"].tolist(), stamps["time"].tolist(), strict=True)
    at = dict(zip(stamps["image"].tolist(), times, strict=True))
    return {row.image: (at[row.image], row) for row in rows if row.image in at}


def stamp(path: Path) -> Stamp:
    """Size and time of a file."""
    try:
        status = path.stat()
    except OSError:
        return (-1, 0)
    return (status.st_size, status.st_mtime_ns)


def _survey(
    paths: Sequence[Path], progress: Callable[[int, int], None] | None
) -> list[tuple[str, int, int, str]]:
    found = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, result in enumerate(pool.map(survey, paths), start=1):
            found.append(result)
            if progress:
                progress(number, len(paths))
    return found


# --- what cannot be learnt ---------------------------------------------------------------------


def check_trainable(dataset: Dataset) -> None:
    """A DatasetError for a dataset that no network can be fitted to.

    Each of train, val and test needs pictures, and each class needs pictures in train: one that is
    only in val or test cannot be learnt, and is named with its count.
    """
    for split in SPLITS:
        dataset.split(split)
    known = {label for each in _of(dataset, "train") for label in each.labels}
    elsewhere = Counter(label for each in dataset.pictures for label in each.labels)
    for label in dataset.classes:
        if label not in known:
            raise DatasetError("class-not-in-train", _not_learnt(dataset, label, elsewhere[label]))


def _of(dataset: Dataset, split: str) -> list[Picture]:
    return [picture for picture in dataset.pictures if picture.split == split]


def _not_learnt(dataset: Dataset, label: str, count: int) -> str:
    where = ", ".join(
        f"{split} {found}"
        for split in SPLITS
        if (found := sum(label in each.labels for each in _of(dataset, split)))
    )
    return (
        f"dataset {dataset.name!r} ({dataset.root}): no picture in train shows the class {label!r} "
        f"({count} elsewhere{': ' if where else ''}{where}): it cannot be learnt; move pictures of "
        "it to train, or leave the class out"
    )


# --- pictures in two splits --------------------------------------------------------------------


def duplicates(dataset: Dataset) -> list[DuplicateRow]:
    """The pictures whose very bytes stand in two splits under two names.

    Large collections have some; a training goes on, and whoever reads its scores should know.
    """
    same: dict[str, list[Picture]] = defaultdict(list)
    for picture in dataset.pictures:
        if picture.digest:
            same[picture.digest].append(picture)
    return [pair for pictures in same.values() for pair in _across(pictures)]


def _across(pictures: Sequence[Picture]) -> Iterable[DuplicateRow]:
    first, *others = sorted(pictures, key=lambda each: SPLITS.index(each.split))
    for other in others:
        if other.split != first.split:
            yield DuplicateRow(
                digest=first.digest,
                first=first.image,
                first_split=first.split,
                second=other.image,
                second_split=other.split,
            )


# --- groups in two splits ----------------------------------------------------------------------


def leak(dataset: Dataset) -> list[LeakRow]:
    """The leak of groups from train into val and test; no row for a split without groups."""
    train = _of(dataset, "train")
    members: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for picture in train:
        if picture.group:
            members[picture.group][picture.labels] += 1
    usual = {group: _most(counts) for group, counts in members.items()}
    default = _most(Counter(picture.labels for picture in train))
    splits = {split: [each for each in _of(dataset, split) if each.group] for split in SPLITS[1:]}
    return [_leak(split, each, usual, default) for split, each in splits.items() if each]


def _most(counts: Counter[tuple[str, ...]]) -> tuple[str, ...]:
    return max(sorted(counts), key=lambda labels: counts[labels], default=())


def _leak(
    split: str,
    pictures: Sequence[Picture],
    usual: Mapping[str, tuple[str, ...]],
    default: tuple[str, ...],
) -> LeakRow:
    known = [picture for picture in pictures if picture.group in usual]
    groups = {picture.group for picture in pictures}
    right = sum(picture.labels == usual[picture.group] for picture in known)
    lucky = sum(picture.labels == default for picture in known)
    return LeakRow(
        split=split,
        n=len(pictures),
        known=len(known),
        share=len(known) / len(pictures),
        groups=len(groups),
        known_groups=len(groups & usual.keys()),
        accuracy=right / len(known) if known else None,
        chance=lucky / len(known) if known else None,
    )
