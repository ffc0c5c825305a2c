"""A lens: a network as a rendering looks through it, and nothing left behind.

Frozen, in evaluation mode, tapped at the layers wanted and stopped after the deepest; at the size
of the canvas itself where the network takes it; in the precision that is fastest.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from overpaint.device import (
    at_once,
    bfloat16,
    device_of,
    exact,
    free_memory,
    has_bfloat16,
    out_of_memory,
)
from overpaint.networks import Network
from overpaint.networks.capture import Way, watched
from overpaint.networks.taps import Tap, taps
from overpaint.render.objectives import Activations
from overpaint.render.redirect import RedirectedReLU
from overpaint.render.stem import FastStem
from overpaint.render.transforms import over, warp

GREY = 0.5
"""What a picture with alpha is judged on."""

Shape = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True, kw_only=True)
class Lens:
    """How a network is shown a canvas, and what it costs.

    `side` is the size that a view is resized to, or None for the canvas's own. `half` says whether
    the network runs in bfloat16. `bytes_each` is what one image needs in memory. `of_black` is what
    the layers say of a black picture of the network's own size. `stem` and `relus` are where its
    first convolution and its ReLUs are called.
    """

    network: Network
    tap: Tap[Tensor]
    of_black: Activations
    side: int | None
    half: bool
    bytes_each: int
    stem: Way
    relus: Way

    def look(self, view: Tensor, *, redirected: bool = False) -> dict[str, Tensor]:
        """What the layers say of a view (B, 3, H, W), in float32, differentiable; with ReLUs that
        are redirected if asked for.
        """
        relus: AbstractContextManager[Any] = nullcontext()
        if redirected:
            # a tap that reads what a ReLU is given is a mode itself, and is to see the call
            relus = RedirectedReLU() if self.tap.before else self.relus.opened()
        stem = self.stem.opened() if view.device.type == "cpu" else nullcontext()
        with relus, stem, bfloat16(self.device, on=self.half):
            return {layer: maps.float() for layer, maps in self.tap(_at_least_two(view)).items()}

    def untransformed(self, pixels: Tensor) -> dict[str, Tensor]:
        """What they say of pictures without transforms, in full precision and without gradient."""
        with torch.no_grad(), exact():
            return self.tap(_at_least_two(self.prepared(pixels)))

    def prepared(self, pixels: Tensor) -> Tensor:
        """Pictures without transforms, on grey where they have alpha, as the network takes them."""
        if pixels.shape[1] == 4:
            pixels = over(pixels, torch.full_like(pixels[:, :3], GREY))
        return self.sized(tuple(pixels.shape))(pixels)

    def sized(self, shape: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
        """What makes pictures (B, C, H, W) of a shape as large as the network takes them."""
        if self.side is None:
            return lambda pixels: pixels
        undrawn = [np.random.default_rng(0)] * shape[0]
        (view,) = warp((), side=self.side).ahead(shape[1:], undrawn, 1, self.device)
        return view.show

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return device_of(self.network)

    @property
    def at_once(self) -> int:
        """How many images fit in memory together, at least one."""
        fitting = free_memory(self.device) // max(1, self.bytes_each)
        return max(1, min(at_once(self.device), fitting))


def _at_least_two(view: Tensor) -> Tensor:
    """A lone image twice: torch takes other convolutions for a batch of one, whose last digits
    differ; after some hundred steps that would be another picture.
    """
    views = torch.cat([view, view]) if len(view) == 1 else view
    return views.contiguous(memory_format=torch.channels_last)


@contextmanager
def open_lens(
    network: Network, layers: Sequence[str], shapes: Sequence[Shape], *, exactly: bool = False
) -> Iterator[Lens]:
    """A lens on some layers of a network, for pictures of these shapes, the largest last; with
    `exactly` in float32 whatever the machine.

    The network runs once to its end, at its own size, to see that each layer is called exactly
    once; from then on it stops after the deepest. Raises NetworkError for an unknown layer.
    """
    side, device = network.preprocessing.size, device_of(network)
    asking = [weight for weight in network.parameters() if weight.requires_grad]
    # clone: a later ReLU in place would overwrite what was read
    with taps(network, layers, reduction=torch.clone) as tap:
        try:
            for weight in asking:
                weight.requires_grad_(False)
            with torch.no_grad():
                of_black = tap(_black((side, side), device))
            native = all(_runs(tap, device, shape) for shape in shapes)
            shape = shapes[-1] if native else (side, side)
            half = not exactly and has_bfloat16(device) and _runs(tap, device, shape, half=True)
            with watched(network, FastStem()) as stem, watched(network, RedirectedReLU()) as relus:
                bytes_each = _bytes_each(tap, device, shape, half=half)
            yield Lens(
                network=network,
                tap=tap,
                of_black=of_black,
                side=None if native else side,
                half=half,
                bytes_each=bytes_each,
                stem=stem,
                relus=relus,
            )
        finally:
            for weight in asking:
                weight.requires_grad_()


def _runs(tap: Tap[Tensor], device: torch.device, shape: Shape, *, half: bool = False) -> bool:
    """Whether the network can be run on pictures of a shape, or in bfloat16."""
    try:
        with torch.no_grad(), bfloat16(device, on=half):
            tap(_black(shape, device))
    except (AssertionError, RuntimeError, ValueError) as error:  # how networks refuse another size
        if out_of_memory(error):
            raise
        return False
    return True


def _bytes_each(tap: Tap[Tensor], device: torch.device, shape: Shape, *, half: bool) -> int:
    """The memory of one image: what the forward keeps for the gradient, and as much for that.

    A lone image is run as two, and what is kept of the two is counted for the one: its own, and as
    much again for the gradients.
    """
    sizes: dict[int, int] = {}  # by address: several operations may keep the same memory
    weights = {tuple(sorted(weight.shape)) for weight in tap.network.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        # of the two pictures, or of the windows that they are cut into; not of the weights, which
        # may be kept in another precision and turned on their side
        of_pictures = tensor.ndim > 1 and len(tensor) % 2 == 0
        if of_pictures and tuple(sorted(tensor.shape)) not in weights:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    with torch.enable_grad(), bfloat16(device, on=half), hooks:
        tap(_at_least_two(_black(shape, device)).requires_grad_())
    return sum(sizes.values())


def _black(shape: Shape, device: torch.device) -> Tensor:
    return torch.zeros(1, 3, *shape, device=device)
