"""Dreaming: a picture that there is, changed until it excites what it is to excite."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from overpaint.defaults import DREAM_STEPS
from overpaint.device import on_best_device
from overpaint.networks import Network
from overpaint.render.lens import Shape, open_lens
from overpaint.render.loop import Image, as_images
from overpaint.render.objectives import Objective, Scorer

SCALE = 1.4
"""How much larger each octave is than the one before."""

SMALLEST = 32
"""Pixels of the shorter side below which there is no octave."""


def dream(
    network: Network,
    picture: Image,
    objective: Objective,
    *,
    steps: int = DREAM_STEPS,
    rate: float = 0.01,
    octaves: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Image:
    """A picture [H, W, 3] with more in it of what an objective asks for.

    >>> import numpy as np
    >>> from overpaint.networks import build
    >>> from overpaint.render.objectives import channel
    >>> network = build("inception_small", classes=("cat", "dog"), seed=0)
    >>> noise = np.random.default_rng(0).integers(256, size=(64, 80, 3), dtype=np.uint8)
    >>> dream(network, noise, channel("mixed3a", 3), steps=3).shape
    (64, 80, 3)

    Each of the `steps` goes up the gradient, which is divided by its mean size: a pixel changes by
    `rate` of the range from black to white, on the mean. That is the paper's way, with its numbers.
    With several `octaves` the picture is changed small first, then larger by 1.4 each time, until
    it has its own size; what is small in the picture then becomes large in what is dreamt.

    A negative objective, `-channel(...)`, takes out of the picture what a channel sees in it.
    The network is left as and where it was. Raises NetworkError for an unknown layer or channel.

    Source: Mordvintsev et al., "Inceptionism", 2015.
    """
    whole = torch.tensor(picture).permute(2, 0, 1)[None] / 255
    shapes = octave_shapes((picture.shape[0], picture.shape[1]), octaves)
    with (
        on_best_device(network),
        open_lens(network, objective.layers, shapes, exactly=True) as lens,
    ):
        objective = objective.on(network)
        objective.check(network, lens.of_black)
        whole = whole.to(lens.device)
        changed = _resized(whole, shapes[0])
        for number, shape in enumerate(shapes):
            plain = _resized(whole, shape)
            if number:
                # what the smaller octave added, on the picture in the detail of this size
                added = changed - _resized(whole, shapes[number - 1])
                changed = (plain + _resized(added, shape)).clamp(0, 1)
            sized, scorer = lens.sized(tuple(changed.shape)), Scorer([objective])
            for step in range(steps):
                with torch.enable_grad():
                    leaf = changed.detach().requires_grad_()
                    value = scorer(lens.look(sized(leaf))).sum()
                    (gradient,) = torch.autograd.grad(value, leaf)
                spread = gradient.abs().mean()
                # where nothing excites it, no direction is up; a GPU is not asked which is the case
                up = torch.where(spread > 0, gradient / spread, 0)
                changed = (changed + rate * up).clamp(0, 1)
                if progress:
                    progress(number * steps + step + 1, len(shapes) * steps)
    image: Image = as_images(changed)[0]
    return image


def _resized(pixels: Tensor, shape: Shape) -> Tensor:
    if pixels.shape[2:] == shape:
        return pixels
    return interpolate(pixels, shape, mode="bicubic", align_corners=False, antialias=True)


def octave_shapes(shape: Shape, octaves: int) -> list[Shape]:
    """The sizes of a picture's octaves, its own last; none is too small to see anything in.

    >>> octave_shapes((140, 280), 3)
    [(71, 143), (100, 200), (140, 280)]
    """
    smaller = [
        (round(shape[0] / SCALE**number), round(shape[1] / SCALE**number))
        for number in range(octaves - 1, 0, -1)
    ]
    return [size for size in smaller if min(size) >= SMALLEST] + [shape]
