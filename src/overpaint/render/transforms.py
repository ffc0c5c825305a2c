"""Transforms: what a picture must survive, so that it is no adversarial noise.

Lucid's standard set (pad, jitter, scale, rotate, jitter) as one geometric map an image, sampled
once. We deviate on purpose: bilinear sampling (Lucid rotates with the nearest pixel), the true π,
own draws for each image (so that none depends on its batch mates), a fixed size of view (Lucid's
mean), and corners that show the pad's grey, not black.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

GREY = 0.5
SCALES = 1 + (np.arange(11) - 5) / 50
DEGREES = np.array([*range(-10, 11), 0, 0, 0, 0, 0])
JITTERS = (8, 4)


@dataclass(frozen=True)
class Draws:
    """The views of one image at each step."""

    scale: NDArray[np.float64]  # [steps]
    radians: NDArray[np.float64]  # [steps]
    offset: NDArray[np.float64]  # [steps, 2], in pixels of the canvas


def draws(steps: int, size: int, rng: np.random.Generator) -> Draws:
    """Draw the views of one image. A canvas below 128 pixels is shaken in proportion."""
    scale = rng.choice(SCALES, steps)
    radians = np.radians(rng.choice(DEGREES, steps))
    first, last = (rng.integers(0, jitter + 1, (steps, 2)) - jitter / 2 for jitter in JITTERS)
    offset = (first + last / scale[:, None]) * min(1, size / 128)
    return Draws(scale, radians, offset)


def view_size(size: int) -> int:
    """The side of what the network sees of a canvas: Lucid's 125 to 154 of 128, at its mean."""
    return size + round(12 * min(1, size / 128))


def view(pixels: Tensor, each: list[Draws], step: int) -> Tensor:
    """What the network sees at a step: (B, 3, S, S) -> (B, 3, V, V), V = view_size(S)."""
    size, seen = pixels.shape[-1], view_size(pixels.shape[-1])
    theta = np.stack([_affine(one, step, size, seen) for one in each])
    grid = functional.affine_grid(
        torch.as_tensor(theta, dtype=pixels.dtype, device=pixels.device),
        [len(each), 3, seen, seen],
        align_corners=False,
    )
    # Sampled as a difference from grey: outside the canvas is 0, which is grey again.
    return functional.grid_sample(pixels - GREY, grid, align_corners=False) + GREY


def _affine(one: Draws, step: int, size: int, seen: int) -> NDArray[np.float64]:
    """From places in the view to places on the canvas, both from −1 to 1 [2, 3]."""
    cos, sin = np.cos(one.radians[step]), np.sin(one.radians[step])
    turn = np.array([[cos, -sin], [sin, cos]]) * (seen / size / one.scale[step])
    return np.column_stack([turn, one.offset[step] * 2 / size])
