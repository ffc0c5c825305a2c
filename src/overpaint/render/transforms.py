"""What a rendering must survive: configuration -> (pictures, draws -> pictures).

A move is a random change of the view: it draws from a generator and returns the matrix that takes a
point of the canvas to where it is then seen. `warp` carries out any number of moves as one matrix
for each picture, and one interpolation.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

Matrix = NDArray[np.float64]
"""3 × 3, homogeneous, in pixels from the centre: x to the right, y downwards."""

Move = Callable[[np.random.Generator], Matrix]
"""One draw of a random change of the view."""

Transform = Callable[[Tensor, Sequence[np.random.Generator]], Tensor]
"""Pictures (B, 3, H, W), 0..1, and the generator of each -> pictures as the network sees them."""

GREY = 0.5
"""What surrounds a canvas, on all sides and without end."""

BORDER = 12
"""By how many pixels a view with the standard moves is wider than its canvas."""


def jitter(pixels: int) -> Move:
    """A shift by whole pixels, in each direction anywhere in a range of `pixels`.

    >>> jitter(8)(np.random.default_rng(0))
    array([[1., 0., 3.],
           [0., 1., 1.],
           [0., 0., 1.]])
    """

    def draw(random: np.random.Generator) -> Matrix:
        matrix = np.eye(3)
        matrix[:2, 2] = random.integers(pixels + 1, size=2) - pixels // 2
        return matrix

    return draw


def scale(factors: Sequence[float]) -> Move:
    """An enlargement by one of the factors."""

    def draw(random: np.random.Generator) -> Matrix:
        factor = random.choice(factors)
        return np.diag([factor, factor, 1.0])

    return draw


def rotate(degrees: Sequence[float]) -> Move:
    """A turn by one of the angles."""

    def draw(random: np.random.Generator) -> Matrix:
        angle = np.deg2rad(random.choice(degrees))
        cos, sin = np.cos(angle), np.sin(angle)
        return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])

    return draw


STANDARD = (
    jitter(8),
    scale([1 + (i - 5) / 50 for i in range(11)]),
    rotate([*range(-10, 11), 0, 0, 0, 0, 0]),
    jitter(4),
)
"""Lucid's standard moves."""


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
    """Moves, one after the other, in a view `border` pixels wider than the canvas.

    Without moves and border, the picture as it is, resized to `side` if that is given.
    """

    def transform(images: Tensor, draws: Sequence[np.random.Generator]) -> Tensor:
        shown = images.shape[-1] + border
        zoom = np.diag([(side or shown) / shown] * 2 + [1.0])
        matrices = np.stack([zoom @ _composed(moves, random) for random in draws])
        return look(images, matrices, side or shown)

    return transform


def _composed(moves: Sequence[Move], random: np.random.Generator) -> Matrix:
    matrix = np.eye(3)
    for move in moves:
        matrix = move(random) @ matrix
    return matrix


def look(images: Tensor, matrices: Matrix, side: int) -> Tensor:
    """Square pictures through one matrix each: (B, 3, H, H), (B, 3, 3) -> (B, 3, side, side).

    Bilinear; beyond the canvas all is grey.
    """
    size = images.shape[-1]
    theta = np.linalg.inv(matrices)[:, :2]  # of a point seen, where on the canvas it comes from
    # a grid's unit is half a picture: of the view where it comes in, of the canvas where it goes
    theta = theta * np.array([side / size, side / size, 2 / size])
    grid = affine_grid(
        torch.from_numpy(theta).to(images), [len(images), 3, side, side], align_corners=False
    )
    # what lies beyond is zero to grid_sample, so zero must be grey
    return grid_sample(images - GREY, grid, padding_mode="zeros", align_corners=False) + GREY
