"""What a rendering is painted on: numbers (seed) -> picture, differentiable.

>>> canvas = FourierCanvas((30, 47), seeds=[1, 2])
>>> canvas.pixels().shape, [tuple(leaf.shape) for leaf in canvas.parameters]
(torch.Size([2, 3, 30, 47]), [(2, 3, 30, 24, 2)])

Noise in an ordinary picture is what optimisation finds first. Painted in frequencies scaled as in
natural pictures, and in colours that do not vary together, every direction is as easy as the next.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from overpaint.render.colours import Colours, matrix
from overpaint.seeds import generator

SD = 0.01
"""The standard deviation of the numbers that a canvas starts with."""

Size = int | tuple[int, int]
"""Height and width in pixels, or the side of a square."""


class Canvas(Protocol):
    """A batch of pictures held as numbers to be optimised.

    A picture's start depends on its own seed alone, and so do its pixels on its own numbers.
    """

    size: tuple[int, int]
    parameters: list[Tensor]
    """The leaves to optimise: float32, their first dimension that of the pictures."""

    def pixels(self) -> Tensor:
        """(B, 3, H, W), RGB, 0..1, differentiable in the parameters; (B, 4, H, W) with alpha."""


class FourierCanvas:
    """A batch of pictures, held as the frequencies of uncorrelated colours.

    >>> canvas = FourierCanvas(33, seeds=[1, 2])
    >>> canvas.pixels().shape
    torch.Size([2, 3, 33, 33])
    >>> alone = FourierCanvas(33, seeds=[2])
    >>> torch.equal(canvas.spectrum[1], alone.spectrum[0])
    True
    >>> FourierCanvas((33, 40), seeds=[1], colours="grey", alpha=True).pixels().shape
    torch.Size([1, 4, 33, 40])

    `spectrum` is the leaf to optimise: float32 (B, C, H, W // 2 + 1, 2), real and imaginary parts,
    normal with `SD`; C is the number of colours, and one for alpha. With alpha the fourth channel
    of the pixels says how opaque each is, and the colours start as they do without. For networks
    that see one channel, `colours="grey"` paints one, and gives it three times.

    Source: Lucid, `optvis/param` (decay 1, division by 4, sigmoid). An odd size has exactly its own
    frequencies here; Lucid paints one column more and cuts it off.
    """

    def __init__(
        self,
        size: Size,
        seeds: Sequence[int],
        *,
        colours: Colours = "imagenet",
        alpha: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self.size = height, width = height_width(size)
        self._mixing = mixing(colours, alpha=alpha).to(device)
        shape = (self._mixing.shape[1], height, width // 2 + 1, 2)
        self.spectrum = noise(seeds, shape, device)
        self.parameters = [self.spectrum]
        self._scale = torch.from_numpy(spectrum_scale(self.size)).float().to(device)

    def pixels(self) -> Tensor:
        """(B, 3 or 4, H, W), RGB and alpha, 0..1, differentiable in `spectrum`."""
        return mixed(waves(self.spectrum, self._scale, self.size), self._mixing)


class PixelCanvas:
    """A batch of pictures, held as the uncorrelated colours of their pixels.

    >>> PixelCanvas((5, 7), seeds=[1, 2], colours=None).pixels().shape
    torch.Size([2, 3, 5, 7])

    For comparison: optimised on it, networks give the noise that the Fourier canvas is there to
    avoid. `plain` is the leaf, float32 (B, C, H, W), normal with `SD`; all else as there.

    Source: Lucid, `optvis/param/images.py`, `fft=False`.
    """

    def __init__(
        self,
        size: Size,
        seeds: Sequence[int],
        *,
        colours: Colours = "imagenet",
        alpha: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        self.size = height_width(size)
        self._mixing = mixing(colours, alpha=alpha).to(device)
        self.plain = noise(seeds, (self._mixing.shape[1], *self.size), device)
        self.parameters = [self.plain]

    def pixels(self) -> Tensor:
        """(B, 3 or 4, H, W), RGB and alpha, 0..1, differentiable in `plain`."""
        return mixed(self.plain, self._mixing)


# --- from numbers to pixels ----------------------------------------------------------------------


def height_width(size: Size) -> tuple[int, int]:
    """Height and width."""
    return (size, size) if isinstance(size, int) else size


def noise(seeds: Sequence[int], shape: tuple[int, ...], device: torch.device | str) -> Tensor:
    """A leaf of normal numbers with `SD`, (B, *shape), each picture's from its own seed."""
    # NumPy's numbers, not torch's, which are others on a GPU
    start = np.stack([generator(seed, "canvas").standard_normal(shape, "f4") for seed in seeds])
    return torch.from_numpy(start * np.float32(SD)).to(device).requires_grad_()


def spectrum_scale(size: Size) -> NDArray[np.float64]:
    """How strong each frequency is: one over its cycles a pixel, the constant as the lowest wave.

    >>> spectrum_scale(4).round(2)
    array([[4.  , 4.  , 2.  ],
           [4.  , 2.83, 1.79],
           [2.  , 1.79, 1.41],
           [4.  , 2.83, 1.79]])

    (H, W // 2 + 1), for an inverse transform with `norm="ortho"`.
    """
    height, width = height_width(size)
    high = np.fft.fftfreq(height)[:, None]
    wide = np.fft.rfftfreq(width)[None, :]
    return 1 / np.maximum(np.hypot(high, wide), 1 / max(height, width))


def waves(spectrum: Tensor, scale: Tensor, size: tuple[int, int]) -> Tensor:
    """The sum of all waves: (B, C, H, W // 2 + 1, 2) -> (B, C, H, W), by one inverse transform."""
    scaled = torch.view_as_complex(spectrum) * scale
    return torch.fft.irfft2(scaled, s=size, norm="ortho") / 4


def mixing(colours: Colours, *, alpha: bool) -> Tensor:
    """The matrix from a canvas's channels to those of its pixels; alpha is a colour by itself."""
    rgb = matrix(colours)
    if alpha:
        rgb = np.pad(rgb, ((0, 1), (0, 1)))
        rgb[-1, -1] = 1
    return torch.from_numpy(rgb).float()


def mixed(plain: Tensor, matrix: Tensor) -> Tensor:
    """Colours (B, C, H, W) of any value -> RGB, 0..1."""
    # the sigmoid by way of tanh: torch's own rounds the last few numbers of a tensor in another way
    # than all others, and so a picture would depend on how many there are beside it
    return torch.einsum("rc,bchw->brhw", matrix, plain / 2).tanh() / 2 + 0.5
