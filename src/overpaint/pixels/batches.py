"""A split as batches of pixels: decoded once, cropped as the network wants it.

Pixels are uint8 (3, S, S), RGB. What fits in memory is decoded once and kept for every training
and measurement of the run; a larger split is decoded anew, by threads that work ahead, or mapped
from disk if its dataset asks for that. While a network is trained on a GPU, what is kept lies there
where it fits, and nothing of an epoch's batches is the host's work.
"""

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import PIL
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from overpaint.datasets import Split
from overpaint.device import free_memory, has_own_memory, outbox, sent
from overpaint.networks import Preprocessing
from overpaint.pixels.images import DECODER, fitted, read
from overpaint.pixels.pixel_cache import Flat, in_memory, on_disk
from overpaint.pixels.resident import Resident
from overpaint.records import digest
from overpaint.seeds import generator

Progress = Callable[[int, int], None]
"""Called with (done, of all)."""

WORKERS = os.cpu_count() or 1

AHEAD = 3
"""Batches that are decoded before they are asked for."""

HOST_SHARE = 1 / 4
"""Of the free memory, what the pictures of one split may take."""

DEVICE_SHARE = 1 / 2
"""Of what may be taken of a device's memory, itself half of what is free there."""

ELONGATED = 1.5
"""The longer side by the shorter, by which it is reckoned how large pictures will be."""


class Change(Protocol):
    """What else becomes of a picture by its number, on the way to a network in training."""

    def cut(self, pixels: NDArray[np.uint8], index: int) -> NDArray[np.uint8] | None:
        """(H, W, 3) -> the part that is shown, (S, S, 3); None: the crop that was drawn."""

    def change(self, square: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        """(S, S, 3) -> (S, S, 3), after the crop and the mirror."""


class Pixels:
    """The pictures of a split, each resized as its preprocessing says, cropped on access.

    `corners` and `flips` hold, for each picture, where its crop lies as a share of the free space
    (0.5 = the centre) and whether it is mirrored; `change` what else becomes of it. `draw` sets
    them for an epoch.
    """

    def __init__(self, split: Split, preprocessing: Preprocessing) -> None:
        self.split = split
        self.preprocessing = preprocessing
        self.decoded: Flat | None = None
        self.resident: Resident | None = None  # the same on a device, for a while
        self.corners = np.full((len(split), 2), 0.5)
        self.flips = np.zeros(len(split), bool)
        self.change: Change | None = None

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Tensor:
        """(3, S, S) uint8."""
        return torch.from_numpy(self.square(index).copy()).permute(2, 0, 1)

    def square(self, index: int) -> NDArray[np.uint8]:
        """(S, S, 3), what is shown of a picture; it may be a view of what is kept."""
        pixels = self.decoded[index] if self.decoded is not None else self._decode(index)
        size = self.preprocessing.size
        top, left = self._places(self.corners[index], np.array(pixels.shape[:2]))
        square = pixels[top : top + size, left : left + size]
        if self.change and (part := self.change.cut(pixels, index)) is not None:
            square = part
        square = square[:, ::-1] if self.flips[index] else square
        if self.change:
            square = self.change.change(np.ascontiguousarray(square), index)
        return square

    def _places(self, corners: NDArray[np.float64], sides: NDArray[np.int64]) -> NDArray[np.int64]:
        """The upper left corners (..., 2) in pixels, of pictures (..., 2) high and wide."""
        # Half up, as the centre crop of images.centre_square rounds down: 0.5 × odd is exact.
        places = corners * (sides - self.preprocessing.size)
        if self.preprocessing.crop_mode != "center":
            # in the middle, half to the even pixel: the modes are timm's, and so is this
            places = np.where(corners == 0.5, np.rint(places), places)
        return np.floor(places).astype(np.int64)

    def draw(
        self,
        rng: np.random.Generator | None,
        *,
        crop: bool,
        flip: bool,
        change: Change | None = None,
    ) -> None:
        """Draw crops and flips for all pictures at once: whoever loads them sees the same."""
        self.change = change
        count = len(self)
        self.corners = rng.random((count, 2)) if rng and crop else np.full((count, 2), 0.5)
        self.flips = rng.random(count) < 0.5 if rng and flip else np.zeros(count, bool)
        self._aim()

    def _aim(self) -> None:
        """Tell the device, once an epoch, what is shown of each picture."""
        if self.resident is not None and self.decoded is not None and self.change is None:
            places = self._places(self.corners, self.decoded.shapes[:, :2])
            self.resident.aim(places, self.flips, self.preprocessing.size)

    def keep(self, progress: Progress | None = None) -> None:
        """Decode all pictures now, when they fit into a quarter of the free memory.

        Those of a dataset with a cache are decoded once for all runs, and mapped from disk.
        """
        if self.decoded is None and self.split.cache:
            self.decoded = self._cached(self.split.cache, progress)
        bytes_in_all = len(self) * 3 * ELONGATED * self.preprocessing.resize**2
        most = psutil.virtual_memory().available * HOST_SHARE
        if self.decoded is None and bytes_in_all <= most:
            self.decoded = in_memory(
                len(self), self._decode, workers=WORKERS, progress=progress, most=most
            )

    def settle(self, device: torch.device) -> None:
        """Put what is kept onto a device with a memory of its own, where that has room for it."""
        if self.decoded is None or not has_own_memory(device):
            return
        if self.decoded.data.size <= free_memory(device) * DEVICE_SHARE:
            self.resident = Resident(self.decoded, device)
            self._aim()

    def _cached(self, place: Path, progress: Progress | None) -> Flat:
        side, way = self.preprocessing.resize, self.preprocessing.interpolation
        # Another version of the decoder may round otherwise; the crop is no part of it.
        parts: list[object] = [self.split.digest, side, way, PIL.__version__, DECODER]
        name = f"{self.split.name}-{side}-{way}"
        if self.preprocessing.crop_mode != "center":
            view = self.preprocessing
            name += f"-{view.crop_mode}"
            parts += [view.crop_mode, view.size, view.mean]  # a border is as wide as the crop asks
        key = digest(parts)[:24]
        return on_disk(
            place, name, key, len(self), self._decode, workers=WORKERS, progress=progress
        )

    def _decode(self, index: int) -> NDArray[np.uint8]:
        side = self.preprocessing.resize
        picture = read(self.split.root / self.split.pictures[index].image, side)
        view = self.preprocessing
        red, green, blue = (round(255 * value) for value in (*view.mean, 0, 0)[:3])
        return np.asarray(
            fitted(
                picture,
                view.size,
                side,
                view.interpolation,
                crop_mode=view.crop_mode,
                border=(red, green, blue),
            )
        )


def pixels_of(split: Split, preprocessing: Preprocessing) -> Pixels:
    """The pixels of a split; asked for again, the same object, already decoded.

    Networks that differ in what they do with the values share it.
    """
    return _shared(split, view_of(preprocessing))


# Room for the splits of two collections, some in two views. What falls out is decoded again; more
# would hold the memory of collections that are done with.
_shared = lru_cache(maxsize=8)(Pixels)


def view_of(preprocessing: Preprocessing) -> Preprocessing:
    """A preprocessing as far as it says which pixels there are: its sizes and interpolation, how
    it crops, and the colour of a border.
    """
    view = Preprocessing(preprocessing.size, preprocessing.resize, preprocessing.interpolation)
    if preprocessing.crop_mode == "center":
        return view
    mean = preprocessing.mean if preprocessing.crop_mode == "border" else view.mean
    return replace(view, crop_mode=preprocessing.crop_mode, mean=mean)


@contextmanager
def settled(device: torch.device, *splits: Pixels) -> Iterator[None]:
    """Inside the block, what is kept of these splits lies on the device, where it fits."""
    try:
        for pixels in splits:
            pixels.settle(device)
        yield
    finally:
        for pixels in splits:
            pixels.resident = None


def batches(pixels: Pixels, order: Iterable[Sequence[int]]) -> Iterator[Tensor]:
    """Batches (B, 3, S, S) uint8 of the pictures with these indices, in this order, on the host.

    Decoded ahead by threads: Pillow decodes and resizes without Python's lock, and threads need
    no start for each epoch, as worker processes would. What a picture looks like was drawn before
    (`Pixels.draw`), so the number of threads changes nothing.
    """
    size = pixels.preprocessing.size
    # what is only copied takes less time than a thread does to be told of it
    alone = pixels.decoded is None or pixels.change is not None

    def fill(squares: Tensor, rows: Sequence[int]) -> None:
        for square, row in zip(squares.numpy(), rows, strict=True):
            square[:] = pixels.square(row)

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="decode") as pool:
        waiting: deque[tuple[Tensor, list[Future[None]]]] = deque()

        def first() -> Tensor:
            batch, tasks = waiting.popleft()
            for task in tasks:
                task.result()
            return batch.permute(0, 3, 1, 2)

        for rows in order:
            batch = outbox((len(rows), size, size, 3))
            # a piece for each thread: handed over one by one, small pictures cost a twentieth more
            step = math.ceil(len(rows) / WORKERS) if alone else len(rows)
            tasks = [
                pool.submit(fill, batch[start : start + step], rows[start : start + step])
                for start in range(0, len(rows), step)
            ]
            waiting.append((batch, tasks))
            if len(waiting) > AHEAD:
                yield first()
        while waiting:
            yield first()


def at_device(
    pixels: Pixels, order: Sequence[Sequence[int]], device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches as `batches`, and the numbers of their pictures (B,), all on the device.

    The order is sent once; the pixels too if they lie there (`settled`), else batch by batch.
    """
    in_row = sent(np.concatenate([[], *order]).astype(np.int64), device)
    numbers = torch.split(in_row, [len(rows) for rows in order])
    store = pixels.resident
    if store is not None and store.device == device and pixels.change is None:
        for rows in numbers:
            yield store.batch(rows), rows
        return
    for batch, rows in zip(batches(pixels, order), numbers, strict=True):
        yield batch.to(device, non_blocking=True), rows


def in_order(count: int, size: int) -> list[list[int]]:
    """All indices in order, in batches.

    >>> in_order(5, 2)
    [[0, 1], [2, 3], [4]]
    """
    return [list(range(start, min(start + size, count))) for start in range(0, count, size)]


def shuffled(count: int, size: int, seed: int, epoch: int) -> list[list[int]]:
    """All indices in the random order of an epoch, in whole batches (one batch at least).

    >>> [len(batch) for batch in shuffled(70, 32, 0, 1)]
    [32, 32]
    """
    order = generator(seed, "order", epoch).permutation(count).tolist()
    whole = max(count // size, 1) * size
    return [order[start : start + size] for start in range(0, min(whole, count), size)]


def as_float(batch: Tensor, device: torch.device) -> Tensor:
    """uint8 pixels -> (B, 3, S, S) float32, 0..1, channels last, on the device."""
    moved = batch.to(device, non_blocking=True)
    return moved.to(torch.float32, memory_format=torch.channels_last).div_(255)
