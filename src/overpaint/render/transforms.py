"""What a rendering must survive: configuration -> (pictures, draws -> pictures).

>>> survive = compose(noise(0.1), standard())
>>> survive(torch.full((1, 3, 64, 48), 0.5), [np.random.default_rng(0)]).shape
torch.Size([1, 3, 76, 60])

A move is a random change of the view: it draws from the generator of each picture and gives the
matrices that take a point of the canvas to where it is then seen. `warp` carries out any number of
moves as one matrix for each picture, and one interpolation. `compose` strings transforms together.

What is drawn does not depend on the pictures. So a transform draws ahead of the steps, and a step
asks nothing of the host: all moves of all steps are drawn, reckoned and sent to the device at once.

The default is `standard`, which is Lucid's set done better; `lucid_exact` is that set to the pixel.
Both surround the canvas with grey, and of black, which no picture has around it, the network sees
next to nothing: none in `standard`, 1.8 % of the pixels in `lucid_exact`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

from overpaint.render.canvas import Size, height_width, mixed, mixing, spectrum_scale, waves

Matrices = NDArray[np.float64]
"""(..., 3, 3), homogeneous, in pixels from the centre: x to the right, y downwards."""

Draws = Sequence[np.random.Generator]
"""The generator of each picture."""

Shape = tuple[int, ...]
"""Channels, height and width of a picture."""

GREY = 0.5
"""What surrounds a canvas, on all sides and without end."""

BORDER = 12
"""By how many pixels a view with the standard moves is wider than its canvas."""

SCALES = tuple(1 + (i - 5) / 50 for i in range(11))
ANGLES = (*range(-10, 11), 0, 0, 0, 0, 0)
"""Lucid's, in degrees."""


@dataclass(frozen=True)
class View:
    """How pictures are seen in one step: (B, C, H, W), 0..1 -> (B, *shape).

    All that `show` needs is on their device already.
    """

    show: Callable[[Tensor], Tensor]
    shape: Shape


@dataclass(frozen=True)
class Transform:
    """Pictures (B, 3, H, W), 0..1, and the generator of each -> pictures as the network sees them.

    >>> views = standard().ahead((3, 64, 48), [np.random.default_rng(0)], 2, torch.device("cpu"))
    >>> [view.show(torch.full((1, 3, 64, 48), 0.5)).shape for view in views]
    [torch.Size([1, 3, 76, 60]), torch.Size([1, 3, 76, 60])]

    `ahead(shape, draws, steps, device)` gives the views of so many steps, in the draws that as many
    calls would make. Moves are drawn for all steps when the first is asked for; what is as large as
    a picture, as noise is, for a step when that is asked for, because a run's would fill gigabytes.
    """

    ahead: Callable[[Shape, Draws, int, torch.device], Iterator[View]]

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        """One step: drawn, and shown."""
        (view,) = self.ahead(images.shape[1:], draws, 1, images.device)
        return view.show(images)


def sent(numbers: NDArray[Any], device: torch.device) -> Tensor:
    """Numbers on a device, by a copy that nobody waits for."""
    tensor = torch.from_numpy(numbers)
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


# --- moves ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Move:
    """A random change of the view: whole numbers that are drawn, and the matrices that they mean.

    Number n is drawn from 0 to `bounds[n]`, exclusive; `meant` takes numbers (..., n) to matrices.
    """

    bounds: tuple[int, ...]
    meant: Callable[[NDArray[np.int64]], Matrices]

    def __call__(self, draws: Draws) -> Matrices:
        """One draw for each picture."""
        return self.meant(drawn_numbers(self.bounds, draws, 1)[0])


def drawn_numbers(bounds: Sequence[int], draws: Draws, steps: int) -> NDArray[np.int64]:
    """Whole numbers below bounds, (steps, B, len(bounds)): of each picture all steps in one call.

    They are those that a call for each step and bound would give.
    """
    all_bounds = np.tile(np.array(bounds, np.int64), steps)
    numbers = [random.integers(all_bounds) for random in draws] if bounds else []
    return np.reshape(numbers, (len(draws), steps, len(bounds))).swapaxes(0, 1)


def jitter(pixels: int) -> Move:
    """A shift by whole pixels, in each direction anywhere in a range of `pixels`.

    >>> jitter(8)([np.random.default_rng(0)])
    array([[[1., 0., 3.],
            [0., 1., 1.],
            [0., 0., 1.]]])
    """

    def meant(numbers: NDArray[np.int64]) -> Matrices:
        matrices = _identities(numbers.shape[:-1])
        matrices[..., :2, 2] = numbers - pixels // 2
        return matrices

    return Move((pixels + 1, pixels + 1), meant)


def scale(factors: Sequence[float]) -> Move:
    """An enlargement by one of the factors."""

    def meant(numbers: NDArray[np.int64]) -> Matrices:
        matrices = _identities(numbers.shape[:-1])
        matrices[..., 0, 0] = matrices[..., 1, 1] = np.array(factors, float)[numbers[..., 0]]
        return matrices

    return Move((len(factors),), meant)


def rotate(degrees: Sequence[float]) -> Move:
    """A turn by one of the angles, clockwise as one sees it."""

    def meant(numbers: NDArray[np.int64]) -> Matrices:
        angles = np.deg2rad(np.array(degrees, float)[numbers[..., 0]])
        matrices = _identities(numbers.shape[:-1])
        matrices[..., 0, 0] = matrices[..., 1, 1] = np.cos(angles)
        matrices[..., 1, 0] = np.sin(angles)
        matrices[..., 0, 1] = -np.sin(angles)
        return matrices

    return Move((len(degrees),), meant)


def _identities(shape: tuple[int, ...]) -> Matrices:
    return np.tile(np.eye(3), (*shape, 1, 1))


STANDARD = (jitter(8), scale(SCALES), rotate(ANGLES), jitter(4))
"""Lucid's standard moves."""


# --- transforms ----------------------------------------------------------------------------------


def standard(side: int | None = None) -> Transform:
    """Lucid's standard set: a grey surround, jitter, scale, rotation, jitter.

    >>> grey = torch.full((2, 3, 64, 64), 0.5)
    >>> seen = standard()(grey, [np.random.default_rng(i) for i in range(2)])
    >>> tuple(seen.shape), float(seen.min()), float(seen.max())
    ((2, 3, 76, 76), 0.5, 0.5)

    A padding of 12 on each side less both jitters is a view 12 pixels wider than the canvas; it is
    that for every scale, where Lucid's changes its size. Further differences, all meant: every
    picture has draws of its own; interpolation is bilinear, and once; turned-in corners are grey,
    not black; an angle is an angle (Lucid reckons with a pi of 3.14).

    With a `side`, the view is resized to it in the same interpolation.
    """
    return warp(STANDARD, border=BORDER, side=side)


LOT = 2**18
"""The most matrices that are reckoned at once: 19 MB."""


def warp(moves: Sequence[Move], *, border: int = 0, side: int | None = None) -> Transform:
    """Moves, one after the other, in a view `border` pixels wider and higher than the canvas.

    Without moves and border, the picture as it is, resized to a square of `side` if that is given.
    """
    bounds = [bound for move in moves for bound in move.bounds]

    def ahead(shape: Shape, draws: Draws, steps: int, device: torch.device) -> Iterator[View]:
        channels, height, width = shape[0], shape[1] + border, shape[2] + border
        size = (side, side) if side else (height, width)
        resizing = np.diag([size[1] / width, size[0] / height, 1])
        lot = max(1, LOT // max(1, len(draws)))
        for begin in range(0, steps, lot):
            count = min(lot, steps - begin)
            numbers = drawn_numbers(bounds, draws, count)
            matrices = _identities((count, len(draws)))
            first = 0
            for move in moves:
                last = first + len(move.bounds)
                matrices = move.meant(numbers[..., first:last]) @ matrices
                first = last
            for theta in sent(origins(resizing @ matrices, shape[1:], size), device):
                yield View(partial(warped, theta=theta, size=size), (channels, *size))

    return Transform(ahead)


def look(images: Tensor, matrices: Matrices, size: Size) -> Tensor:
    """Pictures through one matrix each: (B, C, H, W), (B, 3, 3) -> (B, C, *size).

    Bilinear; beyond the canvas all is grey.
    """
    shape = height_width(size)
    return warped(images, sent(origins(matrices, images.shape[2:], shape), images.device), shape)


def origins(matrices: Matrices, canvas: Shape, size: tuple[int, int]) -> NDArray[np.float32]:
    """Where on a canvas (H, W) what is seen comes from: (..., 2, 3), as `affine_grid` takes it."""
    theta = np.linalg.inv(matrices)[..., :2, :]
    # a grid's unit is half a picture: of the view where it comes in, of the canvas where it goes
    return (theta * np.array([*size[::-1], 2]) / np.array(canvas[::-1])[:, None]).astype(np.float32)


def warped(images: Tensor, theta: Tensor, size: tuple[int, int]) -> Tensor:
    """Pictures, each through the matrix (B, 2, 3) that says where it comes from."""
    grid = affine_grid(theta.to(images.dtype), [*images.shape[:2], *size], align_corners=False)
    # what lies beyond is zero to grid_sample, so zero must be grey
    return grid_sample(images - GREY, grid, padding_mode="zeros", align_corners=False) + GREY


def compose(*transforms: Transform) -> Transform:
    """One transform after the other."""
    if len(transforms) == 1:
        return transforms[0]

    def ahead(shape: Shape, draws: Draws, steps: int, device: torch.device) -> Iterator[View]:
        for _ in range(steps):  # all draw from the same generators, in turn
            views: list[View] = []
            for transform in transforms:
                before = views[-1].shape if views else shape
                views += transform.ahead(before, draws, 1, device)
            yield View(partial(_one_by_one, views), views[-1].shape if views else shape)

    return Transform(ahead)


def _one_by_one(views: Sequence[View], images: Tensor) -> Tensor:
    for view in views:
        images = view.show(images)
    return images


def noise(amount: float) -> Transform:
    """Each number of each picture up or down by at most `amount`."""

    def ahead(shape: Shape, draws: Draws, steps: int, device: torch.device) -> Iterator[View]:
        for _ in range(steps):
            numbers = sent(np.stack([random.random(shape, np.float32) for random in draws]), device)
            yield View(partial(show, numbers=numbers), shape)

    def show(images: Tensor, numbers: Tensor) -> Tensor:
        return images + amount * (2 * numbers - 1)

    return Transform(ahead)


def on_grey() -> Transform:
    """What a canvas with alpha looks like on mid-grey: (B, 4, H, W) -> (B, 3, H, W)."""

    def ahead(shape: Shape, _draws: Draws, steps: int, _device: torch.device) -> Iterator[View]:
        return iter([View(show, (3, *shape[1:]))] * steps)

    def show(images: Tensor) -> Tensor:
        return over(images, torch.full_like(images[:, :3], GREY))

    return Transform(ahead)


def on_noise(sd: float = 0.5) -> Transform:
    """What a canvas with alpha looks like on a ground that is drawn anew each time.

    >>> clear = torch.zeros(1, 4, 32, 32)
    >>> seen = on_noise()(clear, [np.random.default_rng(0)])
    >>> tuple(seen.shape), bool(seen.std() > 0.1)
    ((1, 3, 32, 32), True)

    Only what stands out from any ground is worth making opaque. The ground is a canvas's start, in
    ImageNet's colours, with `sd` in place of its own.

    Source: Lucid, `transform.collapse_alpha_random`.
    """

    def ahead(shape: Shape, draws: Draws, steps: int, device: torch.device) -> Iterator[View]:
        _, height, width = shape
        strengths = sent(spectrum_scale((height, width)).astype(np.float32), device)
        colours = mixing("imagenet", alpha=False).to(device)
        numbers = (3, height, width // 2 + 1, 2)
        for _ in range(steps):
            normal = np.stack([random.standard_normal(numbers, np.float32) for random in draws])
            spectrum = sd * sent(normal, device)
            ground = mixed(waves(spectrum, strengths, (height, width)), colours)
            yield View(partial(over, ground=ground), (3, height, width))

    return Transform(ahead)


def over(images: Tensor, ground: Tensor) -> Tensor:
    """Pictures with alpha (B, 4, H, W) over a ground (B, 3, H, W)."""
    alpha = images[:, 3:]
    return alpha * images[:, :3] + (1 - alpha) * ground


# --- Lucid's, to the pixel -----------------------------------------------------------------------


def lucid_exact(side: int | None = None) -> Transform:
    """Lucid's standard set with all its oddities, for comparison with pictures made by Lucid.

    >>> seen = lucid_exact()(torch.ones(2, 3, 128, 128), [np.random.default_rng(0)] * 2)
    >>> tuple(seen.shape)
    (2, 3, 140, 140)

    The draw is shared by the batch (that of its first picture), so a picture depends on its batch
    mates, and two batches cannot be compared; the size of what is seen changes from step to step,
    125 to 154 pixels for a canvas of 128; turning takes the nearest pixel, by a pi of 3.14, and
    leaves corners black. With a `side` what is seen is cropped to it in the middle, or set in
    black.

    Source: Lucid, `transform.standard_transforms`, with the `resize_bilinear`,
    `contrib.image.rotate` and `resize_image_with_crop_or_pad` of TensorFlow 1.
    """

    def ahead(shape: Shape, draws: Draws, steps: int, device: torch.device) -> Iterator[View]:
        channels, height, width = shape
        for _ in range(steps):
            random = draws[0]
            first = random.integers(9, size=2)
            factor = SCALES[random.integers(len(SCALES))]
            degrees = ANGLES[random.integers(len(ANGLES))]
            last = random.integers(5, size=2)
            rows, columns = (_neighbours(old + 24 - 8, factor, device) for old in (height, width))
            high, wide = len(rows[0]), len(columns[0])
            places = _nearest_places((high, wide), degrees, device)
            yield View(
                partial(show, first=first, scaled=(rows, columns), turned=places, last=last),
                (channels, side, side) if side else (channels, high - 4, wide - 4),
            )

    def show(
        images: Tensor,
        *,
        first: NDArray[np.int64],
        scaled: tuple[Neighbours, Neighbours],
        turned: tuple[Tensor, Tensor],
        last: NDArray[np.int64],
    ) -> Tensor:
        images = pad(images, (12, 12, 12, 12), value=GREY)
        images = lucid_jitter(images, 8, first)
        images = _between(images, *scaled)
        images = _from_places(images, *turned)
        images = lucid_jitter(images, 4, last)
        return images if side is None else crop_or_pad(images, side)

    return Transform(ahead)


Neighbours = tuple[Tensor, Tensor, Tensor]
"""Of each new row or column, the two old ones that it lies between, and how far it is on."""


def lucid_jitter(images: Tensor, pixels: int, start: NDArray[np.int64]) -> Tensor:
    """A crop that is `pixels` less high and wide, from a row and column on."""
    (top, left), (height, width) = start, images.shape[2:]
    return images[:, :, top : top + height - pixels, left : left + width - pixels]


def lucid_scale(images: Tensor, factor: float) -> Tensor:
    """Resized by a factor as TensorFlow 1 does it: pixel n of the new is pixel n / factor."""
    rows, columns = (_neighbours(length, factor, images.device) for length in images.shape[2:])
    return _between(images, rows, columns)


def _neighbours(old: int, factor: float, device: torch.device) -> Neighbours:
    new = int(np.float32(factor) * np.float32(old))
    # each new pixel lies between two old ones, the last beyond the last of all
    place = np.arange(new, dtype=np.float32) * np.float32(old / new)
    low = np.floor(place).astype(np.int64)
    below, above = (sent(np.minimum(index, old - 1), device) for index in (low, low + 1))
    return below, above, sent((place - low).astype(np.float32), device)


def _between(images: Tensor, rows: Neighbours, columns: Neighbours) -> Tensor:
    for dimension, (low, high, share) in ((3, columns), (2, rows)):
        below, above = (images.index_select(dimension, index) for index in (low, high))
        images = below + (above - below) * (share if dimension == 3 else share[:, None])
    return images


def lucid_rotate(images: Tensor, degrees: float) -> Tensor:
    """Turned counter-clockwise; each pixel is the nearest of before, or black beyond."""
    height, width = images.shape[2:]
    return _from_places(images, *_nearest_places((height, width), degrees, images.device))


def _nearest_places(
    size: tuple[int, int], degrees: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Which pixel each is after a turn, row by row, and where there is one."""
    height, width = size
    angle = np.float32(3.14) * np.float32(degrees) / np.float32(180)
    cos, sin = np.cos(angle), np.sin(angle)
    wide, high = np.float32(width - 1), np.float32(height - 1)
    x, y = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in (width, height)))
    # from where each comes: the turn backwards, about the middle of the corner pixels' centres
    from_x = cos * x - sin * y + (wide - (cos * wide - sin * high)) / np.float32(2)
    from_y = sin * x + cos * y + (high - (sin * wide + cos * high)) / np.float32(2)
    column, row = _nearest(from_x), _nearest(from_y)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    flat = np.where(inside, row * width + column, 0).ravel()
    return sent(flat, device), sent(inside.astype(np.float32), device)


def _from_places(images: Tensor, flat: Tensor, inside: Tensor) -> Tensor:
    return images.flatten(2).index_select(2, flat).reshape(images.shape) * inside


def _nearest(places: NDArray[np.float32]) -> NDArray[np.int64]:
    """Halves go away from zero, as in C; NumPy's own go to the even neighbour."""
    return (np.sign(places) * np.floor(np.abs(places) + np.float32(0.5))).astype(np.int64)


def crop_or_pad(images: Tensor, side: int) -> Tensor:
    """The square in the middle, set in black where the pictures do not reach."""
    for dimension in (2, 3):
        spare = images.shape[dimension] - side
        if spare > 0:
            images = images.narrow(dimension, spare // 2, side)
        elif spare < 0:
            before, after = -spare // 2, -spare - (-spare // 2)
            border = (before, after) if dimension == 3 else (0, 0, before, after)
            images = pad(images, border)
    return images
