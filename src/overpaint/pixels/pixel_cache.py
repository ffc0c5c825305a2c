"""Decoded pictures as one flat run of bytes and their shapes, in memory or mapped from disk.

>>> from tempfile import TemporaryDirectory
>>> grey = np.full((2, 3, 3), 99, np.uint8)
>>> with TemporaryDirectory() as place:
...     pictures = on_disk(Path(place), "train-224", "12ab", 1, [grey].__getitem__)
>>> pictures[0].shape, int(pictures[0][1, 2, 0])
((2, 3, 3), 99)
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from overpaint.errors import MachineError
from overpaint.records import whole_folder
from overpaint.records.belongings import remove_ours
from overpaint.records.drafts import sweep

Picture = NDArray[np.uint8]
"""(H, W, 3), RGB."""

AHEAD = 64
"""Pictures that are decoded before they are written: all at once need not fit into memory."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Flat:
    """Decoded pictures one behind the other; by its number each is a view (H, W, 3)."""

    data: NDArray[np.uint8]
    shapes: NDArray[np.int64]  # [N, 3]

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """Behind the last byte of each picture."""
        ends: NDArray[np.int64] = np.cumsum(self.shapes.prod(axis=1), dtype=np.int64)
        return ends

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The first byte of each picture."""
        return self.ends - self.shapes.prod(axis=1)

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: int) -> Picture:
        return self.data[self.starts[index] : self.ends[index]].reshape(self.shapes[index])


def in_memory(
    count: int,
    decode: Callable[[int], Picture],
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    most: float = math.inf,
) -> Flat | None:
    """The pictures 0 … count - 1, decoded now; None where they have more than `most` bytes."""
    # it grows where it lies: of a list that is joined at last there would be two for a while
    data, shapes = bytearray(), np.zeros((count, 3), np.int64)
    for number, picture in _decoded(count, decode, workers):
        shapes[number] = picture.shape
        data += picture.data if picture.flags.c_contiguous else picture.tobytes()
        if len(data) > most:
            return None
        if progress:
            progress(number + 1, count)
    return Flat(data=np.frombuffer(data, np.uint8), shapes=shapes)


def on_disk(
    place: Path,
    name: str,
    key: str,
    count: int,
    decode: Callable[[int], Picture],
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Flat:
    """The pictures 0 … count - 1 as a mapped file, decoded if they do not stand there.

    They lie in the folder `<name>-<key>` of `place`; one of another key, made of other pictures,
    is removed. Raises MachineError when the disk is full.
    """
    folder = place / f"{name}-{key}"
    pictures = _mapped(folder, count)
    if pictures is None:
        sweep(place, deep=False)
        for old in place.glob(f"{name}-*"):
            remove_ours(old, "decoded")
        try:
            with whole_folder(folder) as draft:
                _write(draft, count, decode, workers, progress)
        except MachineError as error:
            if error.slug not in ("no-space", "too-large"):
                raise
            raise MachineError(
                error.slug,
                f"{error}; these are decoded pictures, about 200 kB each, kept for 'cache: true': "
                "without it none are",
            ) from None
        pictures = _mapped(folder, count)
        assert pictures is not None
    return pictures


def _mapped(folder: Path, count: int) -> Flat | None:
    """The pictures, or None when the folder does not hold what it should."""
    try:
        shapes = np.load(folder / "shapes.npy")
        size = (folder / "pixels.u8").stat().st_size
        ends = np.cumsum(shapes.prod(axis=1))
    except (OSError, ValueError, EOFError):
        return None
    if len(shapes) != count or not count or ends[-1] != size:
        return None
    return Flat(data=np.asarray(np.memmap(folder / "pixels.u8", np.uint8, "r")), shapes=shapes)


def _write(
    folder: Path,
    count: int,
    decode: Callable[[int], Picture],
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    shapes = np.zeros((count, 3), np.int64)
    with (folder / "pixels.u8").open("wb") as file:
        for number, picture in _decoded(count, decode, workers):
            shapes[number] = picture.shape
            file.write(picture.tobytes())
            if progress:
                progress(number + 1, count)
    np.save(folder / "shapes.npy", shapes)


def _decoded(
    count: int, decode: Callable[[int], Picture], workers: int
) -> Iterator[tuple[int, Picture]]:
    """Each number and its picture, decoded by threads and not far ahead."""
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, count, AHEAD):
            numbers = range(start, min(start + AHEAD, count))
            yield from zip(numbers, pool.map(decode, numbers), strict=True)
