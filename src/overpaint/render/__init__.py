"""Rendering: feature visualisation, the image that most excites a channel.

>>> from overpaint.networks import build
>>> network = build("inception_small", classes=("cat", "dog"), seed=0)
>>> [drawn] = render(network, "mixed4b", [3], steps=64, size=32)
>>> drawn.image.shape, drawn.objective_end > drawn.objective_start
((32, 32, 3), True)

A canvas, an objective, transforms and a loop: `render_steps` is the loop, open to look into,
`render` one call over it. Two networks of one architecture start from the same noise and see the
same views, for a channel's start and draws depend on the seed, the layer and the channel alone.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from overpaint.errors import NetworkError
from overpaint.networks import Network
from overpaint.render import objectives, transforms
from overpaint.render.canvas import FourierCanvas
from overpaint.render.redirect import RedirectedReLU
from overpaint.seeds import generator, seed_for
from overpaint.taps import channels_of, taps

RATE = 0.05
REDIRECTED_STEPS = 16
AT_ONCE = 16
"""Images of one batch: bounded memory, and wide enough for the processor."""
GREY_SD = 0.02
"""A picture with less variation than this is grey to the eye."""


@dataclass(frozen=True)
class Rendering:
    """A feature visualisation, with the objective before and after on one scale."""

    layer: str
    channel: int
    image: NDArray[np.uint8]  # [size, size, 3], RGB
    objective_start: float
    objective_end: float
    steps: int
    seed: int
    status: str


@dataclass(frozen=True)
class Step:
    """The state of the loop after a step; pixels (B, 3, size, size), 0..1."""

    number: int
    pixels: Tensor
    values: Tensor  # (B,), the objective of what the network saw


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
    """Draw channels of a layer, several in one batch.

    Raises NetworkError for an unknown layer or channel. The network is left as it was: hooks,
    modes, requires_grad, random state. `progress` is called with (image-steps done, of all).
    """
    _check_channels(network, layer, channels)
    drawn: list[Rendering] = []
    for first in range(0, len(channels), AT_ONCE):
        some = channels[first : first + AT_ONCE]
        drawn += _render_batch(network, layer, some, steps, size, seed, len(drawn), len(channels), progress)
    return drawn


def _render_batch(
    network: Network,
    layer: str,
    channels: Sequence[int],
    steps: int,
    size: int,
    seed: int,
    before: int,
    of_all: int,
    progress: Callable[[int, int], None] | None,
) -> list[Rendering]:
    start = FourierCanvas(size, _seeds(seed, layer, channels)).pixels().detach()
    last = start
    for step in render_steps(network, layer, channels, steps=steps, size=size, seed=seed):
        last = step.pixels
        if progress:
            progress(before * steps + step.number * len(channels), of_all * steps)
    begin = objective_of(network, layer, channels, start)
    end = objective_of(network, layer, channels, last)
    pictures = (last * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return [
        Rendering(
            layer=layer,
            channel=channel,
            image=pictures[number],
            objective_start=begin[number],
            objective_end=end[number],
            steps=steps,
            seed=seed,
            status=_status(pictures[number], begin[number], end[number]),
        )
        for number, channel in enumerate(channels)
    ]


def render_steps(
    network: Network,
    layer: str,
    channels: Sequence[int],
    *,
    steps: int = 512,
    size: int = 128,
    seed: int = 0,
) -> Iterator[Step]:
    """The loop itself: Adam at 0.05 on the canvas, one step at a time.

    Each image of the batch has its own channel, its own start and its own views.
    """
    canvas = FourierCanvas(size, _seeds(seed, layer, channels)).to(_device(network))
    views = [
        transforms.draws(steps, size, generator(seed, "views", layer, channel)) for channel in channels
    ]
    optimiser = torch.optim.Adam(canvas.parameters(), lr=RATE)
    fit = _fit_to(network, transforms.view_size(size))
    with _frozen(network), taps(network, [layer], reduction=objectives.channels(channels)) as tap:
        for number in range(steps):
            redirect = RedirectedReLU() if number < REDIRECTED_STEPS else nullcontext()
            seen = fit(transforms.view(canvas.pixels(), views, number))
            with torch.enable_grad(), redirect:
                values = tap(seen)[layer]
            optimiser.zero_grad()
            (-values.sum()).backward()
            optimiser.step()
            yield Step(number + 1, canvas.pixels().detach(), values.detach())


def objective_of(
    network: Network, layer: str, channels: Sequence[int], pixels: Tensor
) -> list[float]:
    """The objective of pictures as they are, without transforms."""
    fit = _fit_to(network, pixels.shape[-1])
    reduction = objectives.channels(channels)
    with torch.no_grad(), taps(network, [layer], reduction=reduction) as tap:
        return [float(each) for each in tap(fit(pixels.to(_device(network))))[layer]]


def _check_channels(network: Network, layer: str, channels: Sequence[int]) -> None:
    count = channels_of(network, [layer])[layer]
    wrong = [channel for channel in channels if not 0 <= channel < count]
    if wrong:
        raise NetworkError(
            "no-channel", f"layer {layer!r} has {count} channels, 0 to {count - 1}; not {wrong[0]}"
        )


def _seeds(seed: int, layer: str, channels: Sequence[int]) -> list[int]:
    return [seed_for(seed, "canvas", layer, channel) for channel in channels]


def _device(network: Network) -> torch.device:
    return next(network.parameters()).device


@contextmanager
def _frozen(network: Network) -> Iterator[None]:
    """No gradients for the weights inside the block: half the work of a backward pass."""
    before = [(each, each.requires_grad) for each in network.parameters()]
    try:
        network.requires_grad_(requires_grad=False)
        yield
    finally:
        for parameter, required in before:
            parameter.requires_grad_(required)


def _fit_to(network: Network, size: int) -> Callable[[Tensor], Tensor]:
    """Views go in at their own size where the network takes any, or else at the one it takes."""
    wanted = network.preprocessing.size
    if size == wanted or network.any_size:
        return lambda view: view.contiguous(memory_format=torch.channels_last)
    return lambda view: functional.interpolate(view, (wanted, wanted), mode="bilinear")


def _status(picture: NDArray[np.uint8], begin: float, end: float) -> str:
    if end <= begin:
        return "failed: the objective did not rise"
    if picture.std() / 255 < GREY_SD:
        return "grey: the picture hardly varies"
    return "ok"
