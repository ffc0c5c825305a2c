"""A split as batches of pixels: decoded once, cropped as the network wants it.

Pixels are uint8 (3, S, S), RGB. What fits in memory is decoded once and kept for every training
and measurement of the run; a larger split is decoded anew, by threads that work ahead, or mapped
from disk if its dataset asks for that.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
from overpaint.device import pinned
from overpaint.networks import Preprocessing
from overpaint.pixels.images import DECODER, fitted, read
from overpaint.pixels.pixel_cache import on_disk
from overpaint.records import digest
from overpaint.seeds import generator

Progress = Callable[[int, int], None]
"""Called with (done, of all)."""

WORKERS = os.cpu_count() or 1

AHEAD = 3
"""Batches that are decoded before they are asked for."""


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
        self.decoded: list[NDArray[np.uint8]] | None = None
        self.corners = np.full((len(split), 2), 0.5)
        self.flips = np.zeros(len(split), bool)
        self.change: Change | None = None

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Tensor:
        """(3, S, S) uint8."""
        pixels = self.decoded[index] if self.decoded is not None else self._decode(index)
        size = self.preprocessing.size
        free = np.array(pixels.shape[:2]) - size
        # Half up, as the centre crop of images.centre_square rounds down: 0.5 × odd is exact.
        place = self.corners[index] * free
        if self.preprocessing.crop_mode != "center":
            # in the middle, half to the even pixel: the modes are timm's, and so is this
            place = np.where(self.corners[index] == 0.5, np.rint(place), place)
        top, left = np.floor(place).astype(int)
        square = pixels[top : top + size, left : left + size]
        if self.change and (part := self.change.cut(pixels, index)) is not None:
            square = part
        square = square[:, ::-1] if self.flips[index] else square
        if self.change:
            square = self.change.change(np.ascontiguousarray(square), index)
        return torch.from_numpy(np.array(square)).permute(2, 0, 1)

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

    def keep(self, progress: Progress | None = None) -> None:
        """Decode all pictures now, when they fit into an eighth of the free memory.

        Those of a dataset with a cache are decoded once for all runs, and mapped from disk.
        """
        if self.decoded is None and self.split.cache:
            self.decoded = self._cached(self.split.cache, progress)
        side = self.preprocessing.resize
        if (
            self.decoded is not None
            or len(self) * side * side * 6 > psutil.virtual_memory().available / 8
        ):
            return
        decoded = []
        with ThreadPoolExecutor(WORKERS) as pool:
            for pixels in pool.map(self._decode, range(len(self))):
                decoded.append(pixels)
                if progress:
                    progress(len(decoded), len(self))
        self.decoded = decoded

    def _cached(self, place: Path, progress: Progress | None) -> list[NDArray[np.uint8]]:
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


def batches(pixels: Pixels, order: Iterable[Sequence[int]]) -> Iterator[Tensor]:
    """Batches (B, 3, S, S) uint8 of the pictures with these indices, in this order.

    Decoded ahead by threads: Pillow decodes and resizes without Python's lock, and threads need
    no start for each epoch, as worker processes would. What a picture looks like was drawn before
    (`Pixels.draw`), so the number of threads changes nothing.
    """
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="decode") as pool:
        waiting: deque[list[Future[Tensor]]] = deque()
        for rows in order:
            waiting.append([pool.submit(pixels.__getitem__, row) for row in rows])
            if len(waiting) > AHEAD:
                yield _batch(waiting.popleft())
        while waiting:
            yield _batch(waiting.popleft())


def _batch(pictures: "list[Future[Tensor]]") -> Tensor:
    """The pictures as one tensor, where a GPU can fetch it."""
    return pinned(torch.stack([picture.result() for picture in pictures]))


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


def centred(pixels: Pixels, size: int, device: torch.device) -> Iterator[Tensor]:
    """The centre crops of all pictures in order, as floats."""
    pixels.draw(None, crop=False, flip=False)
    for batch in batches(pixels, in_order(len(pixels), size)):
        yield as_float(batch, device)
