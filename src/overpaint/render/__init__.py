"""Rendering: the image that most excites a channel, found by optimisation.

>>> from overpaint.networks import build
>>> network = build("inception_small", classes=("cat", "dog"), seed=0)
>>> found = render(network, "mixed3b", [1, 2], steps=4, size=64)
>>> [rendering.channel for rendering in found], found[0].image.shape
([1, 2], (64, 64, 3))
>>> found[0].objective_end > found[0].objective_start
True

Four questions, four files: what to want (`objectives`), what is painted on (`canvas`), what it must
survive (`transforms`), and here how to run: `render` is one call, `render_steps` the open loop.

Source: Olah et al., "Feature Visualization", Distill 2017, and its program Lucid.
"""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from overpaint.errors import NetworkError
from overpaint.networks import Network
from overpaint.render import redirect
from overpaint.render.canvas import FourierCanvas
from overpaint.render.objectives import Objective, channel, score
from overpaint.render.transforms import BORDER, standard, warp
from overpaint.seeds import generator, seed_for
from overpaint.taps import Tap, taps

__all__ = ["Rendering", "Step", "render", "render_steps"]

Image = NDArray[np.uint8]
"""[H, W, 3], RGB."""

# The largest batch: faster than singles by half, and not yet slowed by its size. Below 16, because
# from there torch takes other convolutions on one thread, whose last digits differ.
TOGETHER = 8

RATE = 0.05
"""Adam's learning rate, as in Lucid."""


@dataclass(frozen=True)
class Rendering:
    """The image that most excites a channel.

    `objective_start` and `objective_end` are the channel's mean on the first noise and on `image`,
    both as 8-bit pictures and without transforms. `seed` is this image's own. `status` is "ok" or
    a sentence that says why the image shows nothing.
    """

    layer: str
    channel: int
    image: Image
    objective_start: float
    objective_end: float
    steps: int
    seed: int
    status: str


@dataclass(frozen=True)
class Step:
    """The state of a batch after `number` steps: `pixels` (B, 3, H, W), RGB, 0..1, detached."""

    number: int
    pixels: Tensor


def render(
    network: Network,
    layer: str,
    channels: Sequence[int],
    *,
    steps: int = 512,
    size: int = 128,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Rendering]:
    """The renderings of some channels of a layer, in their order.

    >>> from overpaint.networks import build
    >>> network = build("inception_small", classes=("cat", "dog"), seed=0)
    >>> render(network, "mixed4b", [152], size=64)
    Traceback (most recent call last):
    overpaint.errors.NetworkError: layer 'mixed4b' of inception_small has 152 channels, 0..151; there is no 152

    An image depends on network, layer, channel, `seed` and `size`, not on the other channels asked
    for. Two networks start from the same noise and meet the same transforms. `progress` is called
    after every step with the steps taken so far and those in all, over all channels.

    The network is left as it was, and so is the random state of the process. Raises NetworkError for
    an unknown layer or channel.
    """  # noqa: E501 - a message is one line
    lens = Lens.of(network, layer, channels, size)
    found: list[Rendering] = []
    for batch in _batches(channels):
        tell = _counted(progress, len(found) * steps, len(batch), len(channels) * steps)
        found += _render_batch(network, layer, batch, lens, steps, size, seed, tell)
    return found


def render_steps(
    network: Network,
    layer: str,
    channels: Sequence[int],
    *,
    steps: int = 512,
    size: int = 128,
    seed: int = 0,
) -> Generator[Step, None, None]:
    """The loop of `render`, open: all channels in one batch, from the first noise to the last step.

    >>> from overpaint.networks import build
    >>> network = build("inception_small", classes=("cat", "dog"), seed=0)
    >>> for step in render_steps(network, "mixed4b", [3], steps=2, size=64):
    ...     print(step.number, tuple(step.pixels.shape))
    0 (1, 3, 64, 64)
    1 (1, 3, 64, 64)
    2 (1, 3, 64, 64)

    Memory grows with the channels. The network is in evaluation mode and frozen until the loop ends
    or is closed.
    """
    lens = Lens.of(network, layer, channels, size)
    seeds = [_seed_of(seed, layer, index) for index in channels]
    objectives = [channel(layer, index) for index in channels]
    yield from _optimise(network, objectives, seeds, lens, steps, size)


# --- one batch -----------------------------------------------------------------------------------


def _optimise(
    network: Network,
    objectives: Sequence[Objective],
    seeds: Sequence[int],
    lens: "Lens",
    steps: int,
    size: int,
) -> Generator[Step, None, None]:
    canvas = FourierCanvas(size, seeds, device=_device(network))
    draws = [generator(seed, "transforms") for seed in seeds]
    adam = torch.optim.Adam([canvas.spectrum], lr=RATE)
    transform = standard(lens.side)
    with reading(network, objectives) as tap:
        for number in range(steps + 1):
            with torch.enable_grad():
                pixels = canvas.pixels()
            yield Step(number, pixels.detach())
            if number == steps:
                return
            with torch.enable_grad(), _relu(number):
                loss = -_values(tap, objectives, transform(pixels, draws)).sum()
                (canvas.spectrum.grad,) = torch.autograd.grad(loss, canvas.spectrum)
            adam.step()


def _relu(number: int) -> "redirect.RedirectedReLU | nullcontext[None]":
    return redirect.RedirectedReLU() if number < redirect.STEPS else nullcontext()


def _values(tap: Tap[Tensor], objectives: Sequence[Objective], images: Tensor) -> Tensor:
    """Each image's objective, (B,)."""
    # torch takes other convolutions for a batch of one, whose last digits differ; after some
    # hundred steps that would be another picture
    crowd = torch.cat([images, images]) if len(images) == 1 else images
    return score(objectives, tap(crowd.contiguous(memory_format=torch.channels_last)))


@contextmanager
def reading(network: Network, objectives: Sequence[Objective]) -> Iterator[Tap[Tensor]]:
    """A tap on what the objectives read, of a network whose weights ask for no gradient."""
    layers = [layer for objective in objectives for layer in objective.layers]
    asking = [weight for weight in network.parameters() if weight.requires_grad]
    try:
        for weight in asking:
            weight.requires_grad_(False)
        with taps(network, layers, reduction=torch.clone) as tap:
            yield tap
    finally:
        for weight in asking:
            weight.requires_grad_()


def _render_batch(
    network: Network,
    layer: str,
    channels: Sequence[int],
    lens: "Lens",
    steps: int,
    size: int,
    seed: int,
    tell: Callable[[int], None],
) -> list[Rendering]:
    seeds = [_seed_of(seed, layer, index) for index in channels]
    objectives = [channel(layer, index) for index in channels]
    # closing: an exception keeps this frame alive, and with it the loop and its hooks
    with closing(_optimise(network, objectives, seeds, lens, steps, size)) as loop:
        first = last = _as_images(next(loop).pixels)
        for step in loop:
            tell(step.number)
            if step.number == steps:
                last = _as_images(step.pixels)
    starts, ends = (measure(network, objectives, images, lens) for images in (first, last))
    return [
        Rendering(layer, index, image, start, end, steps, own_seed, _status(image, start, end))
        for index, image, start, end, own_seed in zip(
            channels, last, starts, ends, seeds, strict=True
        )
    ]


def _as_images(pixels: Tensor) -> NDArray[np.uint8]:
    """(B, 3, H, W), 0..1 -> [B, H, W, 3]."""
    levels = (pixels * 255).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).cpu().contiguous().numpy()


def measure(
    network: Network, objectives: Sequence[Objective], images: NDArray[np.uint8], lens: "Lens"
) -> list[float]:
    """Each image's objective as it is, without transforms: images [B, H, W, 3]."""
    pixels = torch.from_numpy(images).to(_device(network)).permute(0, 3, 1, 2) / 255
    with torch.no_grad(), reading(network, objectives) as tap:
        return _values(tap, objectives, lens.plain(pixels)).tolist()


def _status(image: Image, start: float, end: float) -> str:
    """What is the matter with an image, or "ok".

    >>> _status(np.zeros((8, 8, 3), np.uint8), 0.0, 0.0)
    'the objective did not rise: 0 at the start, 0 at the end'
    """
    if not math.isfinite(end):
        return f"the objective is {end}"
    if end - start <= 0.01 * max(abs(start), abs(end)):
        return f"the objective did not rise: {start:.3g} at the start, {end:.3g} at the end"
    if (spread := image.std() / 255) < 0.02:
        return f"the image is grey: its values spread by {spread:.3f} of 1"
    return "ok"


# --- details -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lens:
    """How a network is shown a canvas: at the canvas's own size, or resized to `side`."""

    side: int | None

    @classmethod
    def of(cls, network: Network, layer: str, channels: Sequence[int], size: int) -> "Lens":
        """The lens for a network, whose layer has the channels."""
        try:
            width = _width(network, layer, size, size + BORDER)
            lens = cls(side=None)
        except (AssertionError, RuntimeError, ValueError):  # how networks refuse another size
            lens = cls(side=network.preprocessing.size)
            width = _width(network, layer, network.preprocessing.size)
        _check_channels(network, layer, channels, width)
        return lens

    def plain(self, pixels: Tensor) -> Tensor:
        """Pictures without transforms."""
        if self.side is None:
            return pixels
        return warp((), side=self.side)(pixels, [np.random.default_rng(0)] * len(pixels))


def _width(network: Network, layer: str, *sizes: int) -> int:
    """How many channels a layer has; fails if the network cannot be run at one of the sizes."""
    with torch.no_grad(), taps(network, [layer], stop=False) as tap:
        widths = [tap(torch.zeros(1, 3, size, size, device=_device(network))) for size in sizes]
    return widths[0][layer].shape[1]


def _check_channels(network: Network, layer: str, channels: Sequence[int], width: int) -> None:
    for index in channels:
        if not 0 <= index < width:
            raise NetworkError(
                "no-channel",
                f"layer {layer!r} of {network.architecture} has {width} channels, "
                f"0..{width - 1}; there is no {index}",
            )


def _seed_of(seed: int, layer: str, index: int) -> int:
    return seed_for(seed, "render", layer, index)


def _batches(channels: Sequence[int]) -> Iterator[list[int]]:
    """At most `TOGETHER`, and as even as can be."""
    count = math.ceil(len(channels) / TOGETHER)
    for batch in np.array_split(np.array(channels, dtype=int), count) if count else ():
        yield batch.tolist()


def _counted(
    progress: Callable[[int, int], None] | None, before: int, width: int, total: int
) -> Callable[[int], None]:
    """What a batch of `width` images tells of its steps, as progress over all images."""
    if progress is None:
        return lambda _number: None
    return lambda number: progress(before + number * width, total)


def _device(network: Network) -> torch.device:
    return next(network.parameters()).device
