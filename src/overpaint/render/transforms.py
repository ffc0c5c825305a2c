"""What a rendering must survive: configuration -> (pictures, draws -> pictures).

>>> survive = compose(noise(0.1), standard())
>>> survive(torch.full((1, 3, 64, 48), 0.5), [np.random.default_rng(0)]).shape
torch.Size([1, 3, 76, 60])

A move is a random change of the view: it draws from the generator of each picture and gives the
matrices that take a point of the canvas to where it is then seen. `warp` carries out any number of
moves as one matrix for each picture, and one interpolation. `compose` strings transforms together.

The default is `standard`, which is Lucid's set done better; `lucid_exact` is that set to the pixel.
Both surround the canvas with grey, and of black, which no picture has around it, the network sees
next to nothing: none in `standard`, 1.8 % of the pixels in `lucid_exact`.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

from overpaint.render.canvas import Size, height_width, painted

Matrices = NDArray[np.float64]
"""(B, 3, 3), homogeneous, in pixels from the centre: x to the right, y downwards."""

Draws = Sequence[np.random.Generator]
"""The generator of each picture."""

Move = Callable[[Draws], Matrices]
"""One draw for each picture of a random change of the view."""

Transform = Callable[[Tensor, Draws], Tensor]
"""Pictures (B, 3, H, W), 0..1, and the generator of each -> pictures as the network sees them."""

GREY = 0.5
"""What surrounds a canvas, on all sides and without end."""

BORDER = 12
"""By how many pixels a view with the standard moves is wider than its canvas."""

SCALES = tuple(1 + (i - 5) / 50 for i in range(11))
ANGLES = (*range(-10, 11), 0, 0, 0, 0, 0)
"""Lucid's, in degrees."""


# --- moves ---------------------------------------------------------------------------------------


def jitter(pixels: int) -> Move:
    """A shift by whole pixels, in each direction anywhere in a range of `pixels`.

    >>> jitter(8)([np.random.default_rng(0)])
    array([[[1., 0., 3.],
            [0., 1., 1.],
            [0., 0., 1.]]])
    """

    def draw(draws: Draws) -> Matrices:
        shifts = [random.integers(pixels + 1, size=2) for random in draws]
        matrices = np.tile(np.eye(3), (len(draws), 1, 1))
        matrices[:, :2, 2] = np.reshape(shifts, (-1, 2)) - pixels // 2
        return matrices

    return draw


def scale(factors: Sequence[float]) -> Move:
    """An enlargement by one of the factors."""

    def draw(draws: Draws) -> Matrices:
        matrices = np.tile(np.eye(3), (len(draws), 1, 1))
        matrices[:, 0, 0] = matrices[:, 1, 1] = _chosen(factors, draws)
        return matrices

    return draw


def rotate(degrees: Sequence[float]) -> Move:
    """A turn by one of the angles, clockwise as one sees it."""

    def draw(draws: Draws) -> Matrices:
        angles = np.deg2rad(_chosen(degrees, draws))
        matrices = np.tile(np.eye(3), (len(draws), 1, 1))
        matrices[:, 0, 0] = matrices[:, 1, 1] = np.cos(angles)
        matrices[:, 1, 0] = np.sin(angles)
        matrices[:, 0, 1] = -np.sin(angles)
        return matrices

    return draw


def _chosen(values: Sequence[float], draws: Draws) -> NDArray[np.float64]:
    return np.array([values[int(random.integers(len(values)))] for random in draws], np.float64)


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


def warp(moves: Sequence[Move], *, border: int = 0, side: int | None = None) -> Transform:
    """Moves, one after the other, in a view `border` pixels wider and higher than the canvas.

    Without moves and border, the picture as it is, resized to a square of `side` if that is given.
    """

    def transform(images: Tensor, draws: Draws) -> Tensor:
        height, width = (length + border for length in images.shape[2:])
        shape = (side, side) if side else (height, width)
        matrices = np.tile(np.eye(3), (len(draws), 1, 1))
        for move in moves:
            matrices = move(draws) @ matrices
        resizing = np.diag([shape[1] / width, shape[0] / height, 1])
        return look(images, resizing @ matrices, shape)

    return transform


def look(images: Tensor, matrices: Matrices, size: Size) -> Tensor:
    """Pictures through one matrix each: (B, C, H, W), (B, 3, 3) -> (B, C, *size).

    Bilinear; beyond the canvas all is grey.
    """
    height, width = height_width(size)
    theta = np.linalg.inv(matrices)[:, :2]  # of a point seen, where on the canvas it comes from
    # a grid's unit is half a picture: of the view where it comes in, of the canvas where it goes
    theta = theta * np.array([width, height, 2]) / np.array(images.shape[:1:-1])[:, None]
    grid = affine_grid(
        torch.from_numpy(theta).to(images), [*images.shape[:2], height, width], align_corners=False
    )
    # what lies beyond is zero to grid_sample, so zero must be grey
    return grid_sample(images - GREY, grid, padding_mode="zeros", align_corners=False) + GREY


def compose(*transforms: Transform) -> Transform:
    """One transform after the other."""

    def transform(images: Tensor, draws: Draws) -> Tensor:
        for step in transforms:
            images = step(images, draws)
        return images

    return transform


def noise(amount: float) -> Transform:
    """Each number of each picture up or down by at most `amount`."""

    def transform(images: Tensor, draws: Draws) -> Tensor:
        shape = images.shape[1:]
        numbers = np.stack([random.random(shape, np.float32) for random in draws])
        return images + amount * (2 * torch.from_numpy(numbers).to(images) - 1)

    return transform


def on_grey() -> Transform:
    """What a canvas with alpha looks like on mid-grey: (B, 4, H, W) -> (B, 3, H, W)."""
    return lambda images, _draws: over(images, torch.full_like(images[:, :3], GREY))


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

    def transform(images: Tensor, draws: Draws) -> Tensor:
        height, width = images.shape[2:]
        shape = (3, height, width // 2 + 1, 2)
        waves = np.stack([random.standard_normal(shape, np.float32) for random in draws])
        return over(images, painted(sd * torch.from_numpy(waves).to(images), (height, width)))

    return transform


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

    def transform(images: Tensor, draws: Draws) -> Tensor:
        random = draws[0]
        images = pad(images, (12, 12, 12, 12), value=GREY)
        images = lucid_jitter(images, 8, random.integers(9, size=2))
        images = lucid_scale(images, SCALES[random.integers(len(SCALES))])
        images = lucid_rotate(images, ANGLES[random.integers(len(ANGLES))])
        images = lucid_jitter(images, 4, random.integers(5, size=2))
        return images if side is None else crop_or_pad(images, side)

    return transform


def lucid_jitter(images: Tensor, pixels: int, start: NDArray[np.int64]) -> Tensor:
    """A crop that is `pixels` less high and wide, from a row and column on."""
    (top, left), (height, width) = start, images.shape[2:]
    return images[:, :, top : top + height - pixels, left : left + width - pixels]


def lucid_scale(images: Tensor, factor: float) -> Tensor:
    """Resized by a factor as TensorFlow 1 does it: pixel n of the new is pixel n / factor."""
    for dimension in (3, 2):
        old = images.shape[dimension]
        new = int(np.float32(factor) * np.float32(old))
        # each new pixel lies between two old ones, the last beyond the last of all
        place = np.arange(new, dtype=np.float32) * np.float32(old / new)
        low = np.floor(place).astype(np.int64)
        neighbours = (
            torch.from_numpy(np.minimum(index, old - 1)).to(images.device)
            for index in (low, low + 1)
        )
        below, above = (images.index_select(dimension, index) for index in neighbours)
        share = torch.from_numpy(place - low).to(images)
        images = below + (above - below) * (share if dimension == 3 else share[:, None])
    return images


def lucid_rotate(images: Tensor, degrees: float) -> Tensor:
    """Turned counter-clockwise; each pixel is the nearest of before, or black beyond."""
    height, width = images.shape[2:]
    angle = np.float32(3.14) * np.float32(degrees) / np.float32(180)
    cos, sin = np.cos(angle), np.sin(angle)
    wide, high = np.float32(width - 1), np.float32(height - 1)
    x, y = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in (width, height)))
    # from where each comes: the turn backwards, about the middle of the corner pixels' centres
    from_x = cos * x - sin * y + (wide - (cos * wide - sin * high)) / np.float32(2)
    from_y = sin * x + cos * y + (high - (sin * wide + cos * high)) / np.float32(2)
    column, row = _nearest(from_x), _nearest(from_y)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    flat = torch.from_numpy(np.where(inside, row * width + column, 0).ravel()).to(images.device)
    mask = torch.from_numpy(inside).to(images)
    return images.flatten(2).index_select(2, flat).reshape(images.shape) * mask


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
