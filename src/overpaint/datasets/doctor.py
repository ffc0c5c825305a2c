"""What is wrong with a collection, before anything is trained on it.

Every picture is read once: its digest is taken, and one that cannot be decoded is named. What was
found is remembered beside size and time of the file, so that a second look costs nothing.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from overpaint.datasets.catalogue import Picture
from overpaint.errors import RecordError
from overpaint.images import survey
from overpaint.records import ImageRow, read_rows, read_table, write_rows, write_table

Stamp = tuple[int, int]
"""Size and time of change of a file, in bytes and nanoseconds; (-1, 0) for none."""


def examine(
    root: Path,
    pictures: Sequence[Picture],
    workplace: Path,
    progress: Callable[[int, int], None] | None = None,
) -> list[ImageRow]:
    """One row a picture, in order; only files that are new or have changed are read.

    A row's split is the one that an earlier look recorded, or else the picture's own.
    """
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
    split = picture.split or (old[1].split if old else "")
    if found is None:
        assert old is not None
        found = (old[1].digest, old[1].width, old[1].height, old[1].status)
    digest, width, height, status = found
    return ImageRow(
        image=picture.image,
        split=split,
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
