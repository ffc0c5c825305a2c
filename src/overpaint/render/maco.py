"""Magnitude-constrained optimisation: where the waves of a picture lie, not how strong they are.

>>> pictures = [np.full((40, 30, 3), level, np.uint8) for level in (80, 120)]
>>> spectrum = measured_spectrum(pictures, 32)
>>> canvas = MacoCanvas(32, seeds=[1, 2], spectrum=spectrum)
>>> canvas.pixels().shape, [tuple(leaf.shape) for leaf in canvas.parameters]
(torch.Size([2, 3, 32, 32]), [(2, 3, 32, 17)])

A picture is a sum of waves, each with a magnitude and a phase. Here the magnitudes are the means of
a collection's own pictures and stay what they are; the phases alone are optimised. So a rendering
cannot have more fine detail than the pictures have, and needs little else to hold it back: it is
shown to the network in `crops`, with noise.

Source: Fel et al., "Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained
Optimization", NeurIPS 2023. Differences, all meant: the magnitudes are those of the collection's
pictures where the canvas paints, before the sigmoid, so that no range of values need be chosen;
they hold exactly, on the edges of the spectrum too; a picture is seen in one crop a step, as with
every other transform, not in several; and so the phases move as slowly as other canvases' numbers,
by Adam at 0.05, where the paper's NAdam at 1.0 turns them past everything that one crop shows.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from overpaint.errors import MeasureError
from overpaint.render.canvas import Size, height_width, mixed, mixing
from overpaint.render.colours import Colours, Picture, matrix
from overpaint.render.transforms import (
    Draws,
    Shape,
    Transform,
    View,
    compose,
    noise,
    origins,
    sent,
    warped,
)
from overpaint.seeds import generator

Spectrum = NDArray[np.float32]
"""(C, H, W // 2 + 1): how strong each wave of each colour is, for `norm="ortho"`."""

CROP = (0.25, 0.1)
"""Mean and standard deviation of a crop's side, in sides of the canvas: the paper's."""

CENTRE = (0.5, 0.15)
"""Those of where its centre is, in each direction: Horama's, the authors' program."""

NOISE = 0.1
"""How far noise moves a number at most: the paper's."""


def measured_spectrum(
    pictures: Iterable[Picture], size: Size, *, colours: Colours = "imagenet"
) -> Spectrum:
    """The mean magnitude of pictures' waves, in the colours of a canvas and before its sigmoid.

    >>> grey = np.full((8, 8, 3), 200, np.uint8)
    >>> measured_spectrum([grey], 4, colours="grey").round(2)  # the constant alone is something
    array([[[5.14, 0.  , 0.  ],
            [0.  , 0.  , 0.  ],
            [0.  , 0.  , 0.  ],
            [0.  , 0.  , 0.  ]]], dtype=float32)

    Pictures [H, W, 3] of any size are resized to cover the canvas, and their middle is taken.
    Raises MeasureError when there are none.
    """
    height, width = height_width(size)
    unmixing = np.linalg.pinv(matrix(colours))
    total, count = np.zeros((len(unmixing), height, width // 2 + 1)), 0
    for picture in pictures:
        fitted = ImageOps.fit(Image.fromarray(picture), (width, height), Image.Resampling.BICUBIC)
        plain = np.einsum("cr,hwr->chw", unmixing, before_sigmoid(np.asarray(fitted)))
        total += np.abs(np.fft.rfft2(plain, norm="ortho"))
        count += 1
    if not count:
        raise MeasureError("no-pictures", "a spectrum is measured on pictures, and there are none")
    return (total / count).astype(np.float32)


def before_sigmoid(picture: Picture) -> NDArray[np.float64]:
    """The numbers whose sigmoid is the picture, black and white being not quite 0 and 1."""
    share = (picture + 0.5) / 256
    return np.log(share / (1 - share))


class MacoCanvas:
    """A batch of pictures, held as the phases of waves whose magnitudes do not change.

    `phase` is the leaf to optimise: float32 (B, C, H, W // 2 + 1), in radians, at first anywhere in
    a full turn. Of the constant, and of the shortest waves of an even size, a phase has only the
    cosine: they are as strong as measured or weaker.
    """

    def __init__(
        self,
        size: Size,
        seeds: Sequence[int],
        *,
        spectrum: Spectrum,
        colours: Colours = "imagenet",
        device: torch.device | str = "cpu",
    ) -> None:
        self.size = height, width = height_width(size)
        self._mixing = mixing(colours, alpha=False).to(device)
        shape = (self._mixing.shape[1], height, width // 2 + 1)
        if spectrum.shape != shape:
            raise MeasureError(
                "spectrum-misfit",
                f"a canvas of {height} × {width} needs a spectrum of {shape}, "
                f"not of {spectrum.shape}: measure it for this size and these colours",
            )
        start = [generator(seed, "canvas").random(shape, np.float32) for seed in seeds]
        turns = torch.from_numpy(np.stack(start)).to(device)
        self.phase = ((2 * turns - 1) * np.pi).requires_grad_()
        self.parameters = [self.phase]
        self._magnitude = torch.from_numpy(spectrum).to(device)
        y, x = np.arange(height)[:, None], np.arange(width // 2 + 1)[None]
        # 1 where a wave has an opposite, 0 where it is its own, which then has no sine
        paired = (2 * y % height != 0) | (2 * x % width != 0)
        self._paired = torch.from_numpy(paired).float().to(device)
        self._attention = torch.zeros(len(seeds), height, width, device=device)

    def pixels(self) -> Tensor:
        """(B, 3, H, W), RGB, 0..1, differentiable in `phase`.

        What gradient comes back to these pixels is added to that of earlier ones, for
        `transparency`.
        """
        plain = torch.fft.irfft2(self.waves(), s=self.size, norm="ortho")
        pixels = mixed(plain, self._mixing)
        if pixels.requires_grad:
            pixels.register_hook(self._attend)  # type: ignore[no-untyped-call]
        return pixels

    def waves(self) -> Tensor:
        """(B, C, H, W // 2 + 1), complex: the spectrum of real pictures and of nothing else.

        What a transform on a GPU makes of another one is not defined.
        """
        phase = _mirrored(self.phase, self.size)
        real = self._magnitude * phase.cos()
        return torch.complex(real, self._magnitude * self._paired * phase.sin())

    def _attend(self, gradient: Tensor) -> None:
        self._attention += gradient.detach().abs().sum(dim=1)

    def transparency(self, percentile: float = 80) -> Tensor:
        """How much each pixel has mattered so far: alpha, (B, 1, H, W), 0..1.

        The gradient's size added up over the steps; from the percentile on a pixel is opaque. All
        are, as long as nothing has come back.
        """
        attention = self._attention.flatten(1)
        full = torch.quantile(attention, percentile / 100, dim=1, keepdim=True)
        alpha = torch.where(full > 0, attention / full, 1.0).clamp(max=1)
        return alpha.reshape(-1, 1, *self.size)


def _mirrored(phase: Tensor, size: tuple[int, int]) -> Tensor:
    """Phases of a real picture: in the outer columns, each wave's opposite has the opposite phase.

    There both stand in the spectrum, and left to themselves they would weaken each other.
    """
    height, width = size
    rows = torch.arange(height, device=phase.device)[:, None]

    def column(number: int) -> Tensor:
        waves = phase[..., number : number + 1]
        opposites = waves.flip(2).roll(1, 2)  # row n -> row -n
        return torch.where(rows > height // 2, -opposites, waves)

    last = [column(width // 2)] if width % 2 == 0 else [phase[..., width // 2 :]]
    return torch.cat([column(0), phase[..., 1 : width // 2], *last], dim=3)


# --- what it must survive ------------------------------------------------------------------------


def crops(side: int) -> Transform:
    """Noise, and a random square of each picture resized to `side`, beyond the canvas grey.

    >>> seen = crops(64)(torch.full((2, 3, 200, 150), 0.5), [np.random.default_rng(i) for i in (0, 1)])
    >>> seen.shape
    torch.Size([2, 3, 64, 64])
    """  # noqa: E501 - a line to be run
    return compose(cropped(side), noise(NOISE))


def cropped(side: int) -> Transform:
    """A random square of each picture, resized to `side`."""

    def ahead(shape: Shape, draws: Draws, steps: int, device: torch.device) -> Iterator[View]:
        channels, height, width = shape
        for _ in range(steps):
            shares, centres = drawn_crops(draws)
            matrices = np.tile(np.eye(3), (len(draws), 1, 1))
            # the centre comes to 0, 0
            matrices[:, :2, 2] = (0.5 - centres) * np.array([width, height])
            zoom = np.zeros_like(matrices)
            zoom[:, 0, 0] = zoom[:, 1, 1] = side / (shares * min(height, width))
            zoom[:, 2, 2] = 1
            theta = sent(origins(zoom @ matrices, (height, width), (side, side)), device)
            yield View(partial(warped, theta=theta, size=(side, side)), (channels, side, side))

    return Transform(ahead)


def drawn_crops(draws: Draws) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The side (B,) of a crop, in sides of the canvas, and its centre (B, 2), x and y in 0..1."""
    numbers = np.array([random.standard_normal(3) for random in draws])
    shares = CROP[0] + CROP[1] * numbers[:, 0]
    return shares.clip(0.05, 1), CENTRE[0] + CENTRE[1] * numbers[:, 1:]
