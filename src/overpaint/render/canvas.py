"""What a rendering is painted on: numbers (seed) -> picture, differentiable.

Noise in an ordinary picture is what optimisation finds first. Painted in frequencies scaled as in
natural pictures, and in colours that do not vary together, every direction is as easy as the next.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from overpaint.seeds import generator

SD = 0.01
"""The standard deviation of the numbers that a canvas starts with."""

_COLOUR_SQRT = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
COLOURS: NDArray[np.float64] = _COLOUR_SQRT / np.linalg.norm(_COLOUR_SQRT, axis=0).max()
"""Uncorrelated colours -> RGB: the root of ImageNet's colour correlation, longest column 1."""


class FourierCanvas:
    """A batch of square pictures, held as the frequencies of uncorrelated colours.

    >>> canvas = FourierCanvas(33, seeds=[1, 2])
    >>> canvas.pixels().shape
    torch.Size([2, 3, 33, 33])
    >>> alone = FourierCanvas(33, seeds=[2])
    >>> torch.equal(canvas.spectrum[1], alone.spectrum[0])
    True

    `spectrum` is the leaf to optimise: float32 (B, 3, size, size // 2 + 1, 2), real and imaginary
    parts, normal with `SD`. A picture's start depends on its own seed alone.

    Source: Lucid, `optvis/param` (decay 1, division by 4, sigmoid). An odd size has exactly its own
    frequencies here; Lucid paints one column more and cuts it off.
    """

    def __init__(
        self, size: int, seeds: Sequence[int], *, device: torch.device | str = "cpu"
    ) -> None:
        shape = (3, size, size // 2 + 1, 2)
        start = np.stack([generator(seed, "canvas").standard_normal(shape, "f4") for seed in seeds])
        self.size = size
        self.spectrum = torch.from_numpy(start * np.float32(SD)).to(device).requires_grad_()
        self._scale = torch.from_numpy(spectrum_scale(size)).float().to(device)
        self._colours = torch.from_numpy(COLOURS).float().to(device)

    def pixels(self) -> Tensor:
        """(B, 3, size, size), RGB, 0..1, differentiable in `spectrum`."""
        waves = torch.view_as_complex(self.spectrum) * self._scale
        plain = torch.fft.irfft2(waves, s=(self.size, self.size), norm="ortho") / 4
        return torch.einsum("rc,bchw->brhw", self._colours, plain).sigmoid()


def spectrum_scale(size: int) -> NDArray[np.float64]:
    """How strong each frequency is: one over its cycles a pixel, the constant as the lowest wave.

    >>> spectrum_scale(4).round(2)
    array([[4.  , 4.  , 2.  ],
           [4.  , 2.83, 1.79],
           [2.  , 1.79, 1.41],
           [4.  , 2.83, 1.79]])

    (size, size // 2 + 1), for an inverse transform with `norm="ortho"`.
    """
    high = np.fft.fftfreq(size)[:, None]
    wide = np.fft.rfftfreq(size)[None, :]
    return 1 / np.maximum(np.hypot(high, wide), 1 / size)
