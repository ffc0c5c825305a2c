"""A lens: a network as a rendering looks through it, and nothing left behind.

Frozen, in evaluation mode, tapped at the layers wanted and stopped after the deepest; at the size
of the canvas itself where the network takes it; in the precision that is fastest.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import psutil
import torch
from torch import Tensor

from overpaint.networks import Network
from overpaint.networks.taps import Tap, taps
from overpaint.render.objectives import Activations
from overpaint.render.stem import FastStem
from overpaint.render.transforms import over, warp

AT_ONCE = {"cpu": 8, "cuda": 512}
"""The most images in a batch. On a CPU a larger one is hardly faster, and from 16 on torch takes
other convolutions on one thread, whose last digits differ."""

GREY = 0.5
"""What a picture with alpha is judged on."""

Shape = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True)
class Lens:
    """How a network is shown a canvas, and what it costs.

    `side` is the size that a view is resized to, or None for the canvas's own. `half` says whether
    the network runs in bfloat16. `bytes_each` is what one image needs in memory. `seen` is what the
    layers say of a black picture of the network's own size.
    """

    network: Network
    tap: Tap[Tensor]
    seen: Activations
    side: int | None
    half: bool
    bytes_each: int

    def look(self, view: Tensor) -> dict[str, Tensor]:
        """What the layers say of a view (B, 3, H, W), in float32, differentiable."""
        with FastStem(), _bfloat16(self.device) if self.half else nullcontext():
            return {layer: maps.float() for layer, maps in self.tap(_crowd(view)).items()}

    def plainly(self, pixels: Tensor) -> dict[str, Tensor]:
        """What they say of pictures without transforms, in full precision and without gradient."""
        with torch.no_grad():
            return self.tap(_crowd(self.plain(pixels)))

    def plain(self, pixels: Tensor) -> Tensor:
        """Pictures without transforms, on grey where they have alpha, as the network takes them."""
        if pixels.shape[1] == 4:
            pixels = over(pixels, torch.full_like(pixels[:, :3], GREY))
        if self.side is None:
            return pixels
        return warp((), side=self.side)(pixels, [np.random.default_rng(0)] * len(pixels))

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return device_of(self.network)

    @property
    def at_once(self) -> int:
        """How many images fit in memory together, at least one."""
        most = AT_ONCE.get(self.device.type, AT_ONCE["cpu"])
        return max(1, min(most, free_memory(self.device) // max(1, self.bytes_each)))


def _crowd(view: Tensor) -> Tensor:
    """A lone image twice: torch takes other convolutions for a batch of one, whose last digits
    differ; after some hundred steps that would be another picture.
    """
    crowd = torch.cat([view, view]) if len(view) == 1 else view
    return crowd.contiguous(memory_format=torch.channels_last)


@contextmanager
def looking(
    network: Network, layers: Sequence[str], shapes: Sequence[Shape], *, exactly: bool = False
) -> Iterator[Lens]:
    """A lens on some layers of a network, for pictures of these shapes, the largest last; with
    `exactly` in float32 whatever the machine.

    The network runs once to its end, at its own size, to see that each layer is called exactly
    once; from then on it stops after the deepest. Raises NetworkError for an unknown layer.
    """
    with _frozen(network), taps(network, layers, reduction=torch.clone) as tap:
        own, device = network.preprocessing.size, device_of(network)
        with torch.no_grad():
            seen = tap(_black((own, own), device))
        native = all(_runs(tap, device, shape) for shape in shapes)
        shape = shapes[-1] if native else (own, own)
        half = not exactly and has_bfloat16(device) and _runs(tap, device, shape, half=True)
        cost = _bytes_each(tap, device, shape, half=half)
        yield Lens(network, tap, seen, None if native else own, half, cost)


@contextmanager
def _frozen(network: Network) -> Iterator[None]:
    """No weight asks for a gradient inside the block."""
    asking = [weight for weight in network.parameters() if weight.requires_grad]
    try:
        for weight in asking:
            weight.requires_grad_(False)
        yield
    finally:
        for weight in asking:
            weight.requires_grad_()


def _runs(tap: Tap[Tensor], device: torch.device, shape: Shape, *, half: bool = False) -> bool:
    """Whether the network can be run on pictures of a shape, or in bfloat16."""
    try:
        with torch.no_grad(), _bfloat16(device) if half else nullcontext():
            tap(_black(shape, device))
    except (AssertionError, RuntimeError, ValueError) as error:  # how networks refuse another size
        if out_of_memory(error):
            raise
        return False
    return True


def _bytes_each(tap: Tap[Tensor], device: torch.device, shape: Shape, *, half: bool) -> int:
    """The memory of one image: what the forward keeps for the gradient, and as much for that."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.ndim > 1 and len(tensor) == 2:  # of the pictures, not of the weights
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
    precision = _bfloat16(device) if half else nullcontext()
    with torch.enable_grad(), precision, hooks:
        tap(_crowd(_black(shape, device)).requires_grad_())
    return sum(kept.values())


def _black(shape: Shape, device: torch.device) -> Tensor:
    return torch.zeros(1, 3, *shape, device=device)


# --- the machine ---------------------------------------------------------------------------------


def device_of(network: Network) -> torch.device:
    """Where a network is."""
    return next(network.parameters()).device


@contextmanager
def at_its_best(network: Network) -> Iterator[Network]:
    """The network on the GPU, if there is one, and afterwards where it was."""
    home = device_of(network)
    try:
        yield network.to("cuda") if torch.cuda.is_available() else network
    finally:
        network.to(home)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the machine reckons in bfloat16 itself; elsewhere it would be slower, not faster."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    able = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _bfloat16(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16)


def free_memory(device: torch.device) -> int:
    """Bytes that may be taken: half of what is free, for others and for what is not counted."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2
    return psutil.virtual_memory().available // 2


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory is not enough.

    >>> out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried …"))
    True
    >>> out_of_memory(RuntimeError("shapes differ"))
    False
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    words = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in words or "allocate memory" in words
    )
