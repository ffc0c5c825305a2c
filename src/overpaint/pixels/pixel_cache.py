"""Decoded pictures on disk: one flat file of bytes and the shapes, to be mapped, not read.

>>> from tempfile import TemporaryDirectory
>>> grey = np.full((2, 3, 3), 99, np.uint8)
>>> with TemporaryDirectory() as place:
...     pictures = on_disk(Path(place), "train-224", "12ab", 1, [grey].__getitem__)
>>> pictures[0].shape, int(pictures[0][1, 2, 0])
((2, 3, 3), 99)
"""

import errno
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overpaint.errors import DatasetError
from overpaint.records import whole_folder

Picture = NDArray[np.uint8]
"""(H, W, 3), RGB."""

AHEAD = 64
"""Pictures that are decoded before they are written: all at once need not fit into memory."""


def on_disk(
    place: Path,
    name: str,
    key: str,
    count: int,
    decode: Callable[[int], Picture],
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Picture]:
    """The pictures 0 … count - 1 as views of a mapped file, decoded if they do not stand there.

    They lie in the folder `<name>-<key>` of `place`; one of another key, made of other pictures,
    is removed. Raises DatasetError when the disk is full.
    """
    folder = place / f"{name}-{key}"
    pictures = _mapped(folder, count)
    if pictures is None:
        for old in place.glob(f"{name}-*"):
            shutil.rmtree(old)
        try:
            with whole_folder(folder) as draft:
                _write(draft, count, decode, workers, progress)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise DatasetError(
                "disk-full",
                f"no room for decoded pictures in {place}: about 200 kB a picture are needed; free "
                "some, or leave out 'cache: true'",
            ) from None
        pictures = _mapped(folder, count)
        assert pictures is not None
    return pictures


def _mapped(folder: Path, count: int) -> list[Picture] | None:
    """The views, or None when the folder does not hold what it should."""
    try:
        shapes = np.load(folder / "shapes.npy")
        size = (folder / "pixels.u8").stat().st_size
        ends = np.cumsum(shapes.prod(axis=1))
    except (OSError, ValueError, EOFError):
        return None
    if len(shapes) != count or not count or ends[-1] != size:
        return None
    flat = np.asarray(np.memmap(folder / "pixels.u8", np.uint8, "r"))
    parts = np.split(flat, ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _write(
    folder: Path,
    count: int,
    decode: Callable[[int], Picture],
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    shapes = np.zeros((count, 3), np.int64)
    with (folder / "pixels.u8").open("wb") as file, ThreadPoolExecutor(workers) as pool:
        for start in range(0, count, AHEAD):
            numbers = range(start, min(start + AHEAD, count))
            for number, picture in zip(numbers, pool.map(decode, numbers), strict=True):
                shapes[number] = picture.shape
                file.write(picture.tobytes())
                if progress:
                    progress(number + 1, count)
    np.save(folder / "shapes.npy", shapes)
