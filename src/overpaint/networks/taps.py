"""Taps: named activations of a network while it runs, and nothing left behind.

>>> from overpaint.networks import build
>>> network = build("inception_small", classes=("cat", "dog"), seed=0)
>>> with taps(network, ["conv2d0", "mixed4b"]) as tap:
...     seen = tap(torch.zeros(2, 3, 64, 64))
>>> {layer: tuple(values.shape) for layer, values in seen.items()}
{'conv2d0': (2, 24), 'mixed4b': (2, 152)}

Each activation is reduced inside the hook, at once: a later in-place operation cannot overwrite
what was read. The forward ends after the deepest layer wanted.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from overpaint.device import device_of, has_float64
from overpaint.errors import NetworkError, nearest
from overpaint.networks import Network, relu_capture
from overpaint.networks.layouts import has_rows, tensors_of
from overpaint.networks.order import back_to
from overpaint.networks.outputs import logits_in

PENULTIMATE = "penultimate"
"""The layer name for what the head is given, whatever module that comes from."""

LOGITS = "logits"
"""The layer name for what the network says of each class."""

PRE_RELU = "_pre_relu"
"""Behind the name of a layer that ends in a ReLU: what that ReLU is given."""

Reduction = Callable[[Tensor], Tensor]
"""What is kept of an activation: (N, C, H, W), or patch tokens (N, T, D), or (N, D) -> (N, ...).

Whatever the network does inside, maps come with their channels first, and tokens without those of
the class and the registers, which are at no place of the picture. Positions in an order that nobody
knows, as the unrolled tokens of Hiera are, come as a map of one row, (N, C, 1, T).
"""

Kept = TypeVar("Kept")
"""What a tap gives of each layer: a tensor, or whatever its reduction makes of an activation."""


@dataclass(frozen=True)
class Unit:
    """One channel of one layer.

    >>> Unit.of("mixed4d:164")
    Unit(layer='mixed4d', channel=164)
    """

    layer: str
    channel: int

    @classmethod
    def of(cls, unit: "str | Unit") -> "Unit":
        """A unit from its name; raises NetworkError for anything else."""
        if isinstance(unit, Unit):
            return unit
        match = re.fullmatch(r"(.+):(\d+)", unit)
        if not match:
            raise NetworkError("not-a-unit", f"{unit!r} is no unit; write it as 'mixed4d:164'")
        return cls(match[1], int(match[2]))


def spatial_mean(activation: Tensor) -> Tensor:
    """The mean over positions: (N, C, H, W) -> (N, C); a vector (N, D) stays as it is.

    Tokens (N, T, D) are averaged over T.

    >>> spatial_mean(torch.tensor([[[1.0, 10.0], [3.0, 30.0]]]))
    tensor([[ 2., 20.]])
    """
    if activation.ndim == 2:
        return activation.clone()
    return activation.mean(dim=1 if activation.ndim == 3 else (2, 3))


def spatial_max(activation: Tensor) -> Tensor:
    """The largest value over positions: (N, C, H, W) -> (N, C).

    >>> spatial_max(torch.tensor([[[1.0, 10.0], [3.0, 30.0]]]))
    tensor([[ 3., 30.]])
    """
    return by_place(activation).amax(dim=2)


def spatial_argmax(activation: Tensor) -> Tensor:
    """Where the largest value is, the first of equals: (N, C, H, W) -> (N, C) int32.

    The position is that of the flat map, row × W + column; of tokens, the number of the token.

    >>> spatial_argmax(torch.tensor([[[1.0, 10.0], [3.0, 10.0]]]))
    tensor([[1, 0]], dtype=torch.int32)
    """
    return by_place(activation).argmax(dim=2).to(torch.int32)


def by_place(activation: Tensor) -> Tensor:
    """(N, C, positions), whether it was a map, tokens or a vector; may share its memory."""
    if activation.ndim == 2:
        return activation[:, :, None]
    return activation.transpose(1, 2) if activation.ndim == 3 else activation.flatten(2)


def unplaced(activation: Tensor) -> bool:
    """Whether nobody knows which position is where: tokens of no square, a map of one row.

    >>> unplaced(torch.zeros(1, 197, 768)), unplaced(torch.zeros(1, 768, 14, 14))
    (True, False)
    """
    height, width = map_size(activation)
    return height == 1 and width > 1


def map_size(activation: Tensor) -> tuple[int, int]:
    """(H, W) of a map, or of the square that tokens are patches of; (1, 1) of a vector.

    >>> map_size(torch.zeros(1, 196, 768))
    (14, 14)
    """
    if activation.ndim == 4:
        return activation.shape[2], activation.shape[3]
    count = activation.shape[1] if activation.ndim == 3 else 1
    side = math.isqrt(count)
    return (side, side) if side * side == count else (1, count)


def flattened(activation: Tensor) -> Tensor:
    """All positions of all channels: (N, C, H, W) -> (N, C·H·W), (N, T, D) -> (N, T·D).

    >>> flattened(torch.tensor([[[[1.0, 2.0]], [[10.0, 20.0]]]]))
    tensor([[ 1.,  2., 10., 20.]])
    """
    return activation.flatten(1).clone()


GRID = 4
"""The positions a side of the grid that `sampled` reads."""


def sampled(grid: int) -> Reduction:
    """A reduction to grid × grid positions, evenly spread: (N, C, H, W) -> (N, C·grid²).

    Of a map that is narrower than the grid, every position, once. Tokens (N, T, D) are sampled in
    the square that they were cut from; where T is no square, and in a map of one row, evenly over
    all of them.

    >>> sampled(2)(torch.arange(16.0).reshape(1, 1, 4, 4))
    tensor([[ 5.,  7., 13., 15.]])
    """

    def reduce(activation: Tensor) -> Tensor:
        if activation.ndim == 2:
            return activation.clone()
        if unplaced(activation):
            if activation.ndim == 3:
                return flattened(activation[:, _evenly(activation.shape[1], grid**2)])
            return flattened(activation[:, :, :, _evenly(activation.shape[3], grid**2)])
        if activation.ndim == 3:
            side = math.isqrt(activation.shape[1])
            activation = activation.reshape(len(activation), side, side, -1).permute(0, 3, 1, 2)
        rows, columns = (_evenly(size, grid) for size in activation.shape[2:])
        return flattened(activation[:, :, rows][:, :, :, columns])

    return reduce


def _evenly(size: int, count: int) -> list[int]:
    """The middles of so many equal parts, each position once."""
    return sorted({(2 * part + 1) * size // (2 * count) for part in range(count)})


REDUCTIONS: dict[str, Reduction] = {
    "mean": spatial_mean,
    "max": spatial_max,
    "argmax": spatial_argmax,
    "flattened": flattened,
    "sampled": sampled(GRID),
}
"""By the name that a study calls them."""


def reduction_of(name: str) -> Reduction:
    """A reduction by its name; a NetworkError lists the names.

    >>> reduction_of("mean") is spatial_mean
    True
    """
    if name not in REDUCTIONS:
        raise NetworkError(
            "unknown-reduction", f"there is no reduction {name!r}; {nearest(name, REDUCTIONS)}"
        )
    return REDUCTIONS[name]


def gram(activation: Tensor) -> Tensor:
    """The Gram matrix of a batch's flattened features about their mean: (N, …) -> (N, N), float64.

    For `overpaint.measures.matrix.BatchSums`, where maps are too large to be kept.

    >>> gram(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]], dtype=torch.float64)
    """
    if activation.ndim == 4 and activation.is_contiguous(memory_format=torch.channels_last):
        activation = activation.permute(0, 2, 3, 1)  # as it lies in memory; the order is all one
    rows = activation.flatten(1)
    if not has_float64(rows.device):
        rows = rows.cpu()
    half = (len(rows) + 1) // 2
    products = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=rows.device)
    for columns in torch.split(rows, max(CACHED // len(rows), 1), dim=1):
        part = columns.double()
        part -= part[:1].clone()  # an offset goes before anything is rounded
        products[:half].addmm_(part[:half], part.T)
        products[half:, half:].addmm_(part[half:], part[half:].T)
    products[half:, :half] = products[:half, half:].T  # the quarter that need not be computed
    # What the first image and the mean differ by goes from the small matrix.
    mean = products.mean(dim=0)
    return products - mean - mean[:, None] + mean.mean()


CACHED = 2**19
"""Numbers that a processor keeps close by: 4 MB in float64."""


class _Enough(Exception):
    """Ends a forward after the deepest layer wanted."""


@dataclass
class Tap(Generic[Kept]):
    """Runs the network on images and returns what each layer was reduced to."""

    network: Network
    reductions: Mapping[str, Callable[[Tensor], Kept]]
    stop: bool
    before: bool = False  # whether a layer is what a ReLU is given
    pictures: int = 0  # of the forward that runs
    _seen: dict[str, Kept] = field(default_factory=dict)
    _calls: dict[str, int] = field(default_factory=dict)
    _checked: bool = False
    _running: bool = False

    @property
    def layers(self) -> list[str]:
        """The layers that are read."""
        return list(self.reductions)

    def __call__(self, images: Tensor) -> dict[str, Kept]:
        """Images (N, 3, H, W), 0..1 -> layer -> its reduced activation, in the order asked.

        The first call runs to the end, to see that each layer is called exactly once.
        """
        self._seen.clear()
        self._calls = dict.fromkeys(self.layers, 0)
        self._running, self.pictures = True, len(images)
        try:
            with relu_capture.RememberedReLU() if self.before else nullcontext():
                self.network(images)
        except _Enough:
            pass
        finally:
            self._running = False
        if not self._checked:
            self._check_calls()
            self._checked = True
        return {layer: self._seen[layer] for layer in self.layers}

    def read(self, layer: str, output: Tensor) -> None:
        """Called by the hook of a layer; silent when the network runs for somebody else."""
        if not self._running:
            return
        self._calls[layer] += 1
        if self._calls[layer] == 1 and not has_rows(output, self.pictures):
            raise NetworkError(
                "rows-not-pictures",
                f"layer {layer!r} of {self.network.architecture} gives {tuple(output.shape)} for "
                f"{self.pictures} pictures: an activation must have a row a picture, and be a map, "
                "tokens or a vector; read another layer",
            )
        self._seen[layer] = self.reductions[layer](output)
        if self.stop and self._checked and len(self._seen) == len(self.reductions):
            raise _Enough

    def _check_calls(self) -> None:
        for layer, calls in self._calls.items():
            if calls != 1:
                times = "is never called" if calls == 0 else f"is called {calls} times"
                raise NetworkError(
                    "layer-calls",
                    f"layer {layer!r} of {self.network.architecture} {times} in one forward; "
                    "a tap needs exactly one",
                )


@overload
def taps(
    network: Network, layers: Sequence[str], *, stop: bool = True
) -> AbstractContextManager[Tap[Tensor]]: ...


@overload
def taps(
    network: Network,
    layers: Sequence[str],
    *,
    reduction: Callable[[Tensor], Kept] | Mapping[str, Callable[[Tensor], Kept]],
    stop: bool = True,
) -> AbstractContextManager[Tap[Kept]]: ...


@contextmanager
def taps(
    network: Network,
    layers: Sequence[str],
    *,
    reduction: Any = spatial_mean,
    stop: bool = True,
) -> Iterator[Tap[Any]]:
    """Read layers of a network, in evaluation mode, inside a with block.

    `layers` are exact module names (`network.layers` is the usual choice), or "penultimate" for
    what the head is given: the vectors that a linear classifier would see, or "logits". A name that
    is no module's but that of one with "_pre_relu" behind it means what the ReLU is given in which
    the module ends. `reduction` is one for all layers, or a mapping with one for each. On leaving,
    also by an exception, hooks are gone and each module's training mode is as it was. Raises
    NetworkError for an unknown layer, with the close matches.
    """
    by_layer = reduction if isinstance(reduction, Mapping) else dict.fromkeys(layers, reduction)
    tap = Tap(network, {layer: by_layer[layer] for layer in layers}, stop)
    tap.before = any(_relu_of(network, layer) for layer in tap.layers)
    modes = [(module, module.training) for module in network.modules()]
    handles: list[RemovableHandle] = []
    try:
        # one by one: what listens already is let go when the next fails
        handles.extend(_listen(network, tap, layer) for layer in tap.layers)
        network.eval()
        yield tap
    finally:
        for handle in handles:
            handle.remove()
        back_to(modes)


def _listen(network: Network, tap: Tap[Any], layer: str) -> RemovableHandle:
    """Have a tap read a layer's output, or the input of the head."""
    if layer in (PENULTIMATE, LOGITS) and not network.head:
        raise NetworkError(
            "no-head", f"{network.architecture} has no head, and so no layer {layer!r}"
        )
    if layer == PENULTIMATE:
        head = network.body.get_submodule(network.head)
        return head.register_forward_pre_hook(lambda _module, inputs: tap.read(layer, inputs[0]))
    if layer == LOGITS:
        return network.body.register_forward_hook(
            lambda _module, _inputs, output: tap.read(
                layer, logits_in(output, network.architecture)
            )
        )
    ending = _relu_of(network, layer)
    name = ending or layer

    def read(_module: nn.Module, _inputs: Any, output: Any) -> None:
        output = before_relu(network, layer, output) if ending else output
        tap.read(layer, places(network, name, output, tap.pictures))

    return find_layer(network, name).register_forward_hook(read)


def _relu_of(network: Network, layer: str) -> str | None:
    """The layer whose ReLU's input a name means, unless it is a module's own name."""
    modules = dict(network.body.named_modules())
    ending = layer.removesuffix(PRE_RELU)
    return ending if ending and ending in modules and layer not in modules else None


def before_relu(network: Network, layer: str, output: "Tensor | tuple[Tensor, ...]") -> Tensor:
    """What the ReLU was given that a layer's output comes from."""
    before = relu_capture.before(output) if isinstance(output, Tensor) else None
    if before is None:
        raise NetworkError(
            "no-relu",
            f"{network.architecture} has no layer {layer!r}: "
            f"{layer.removesuffix(PRE_RELU)!r} does not end in a ReLU",
        )
    return before


def places(network: Network, layer: str, output: Any, pictures: int) -> Tensor:
    """What a layer says of each place of the picture, in the order of dimensions of `Reduction`.

    Of several outputs, as attention has, the first with a row a picture is meant. A module that
    nobody has looked at is taken for what the network says of itself.
    """
    tensors = tensors_of(output)
    layout = network.layouts.get(layer)
    if layout and layout.output < len(tensors):
        activation = tensors[layout.output]
        return layout.arranged(activation) if activation.ndim == len(layout.order) else activation
    if not tensors:
        raise NetworkError(
            "rows-not-pictures", f"layer {layer!r} of {network.architecture} gives no tensor"
        )
    activation = next((tensor for tensor in tensors if has_rows(tensor, pictures)), tensors[0])
    if activation.ndim == 3:
        # a square number of tokens is the patches of a square picture alone: before the class
        # token joins them, as in a patch embedding
        alone = math.isqrt(activation.shape[1]) ** 2 == activation.shape[1]
        return activation if alone else activation[:, network.prefix_tokens :]
    # a convolution puts the channels first, also inside a network that moves them last afterwards
    is_convolution = isinstance(network.body.get_submodule(layer), nn.Conv2d)
    if activation.ndim == 4 and network.channels_last and not is_convolution:
        return activation.permute(0, 3, 1, 2)
    return activation


def find_layer(network: Network, layer: str) -> nn.Module:
    """The module of a layer; a NetworkError lists close names."""
    modules = dict(network.body.named_modules())
    if layer not in modules or not layer:
        names = [*network.layers, *(name for name in modules if name not in network.layers)]
        raise NetworkError(
            "unknown-layer",
            f"{network.architecture} has no layer {layer!r}; {nearest(layer, filter(None, names))}",
        )
    return modules[layer]


def channels_of(network: Network, layers: Sequence[str]) -> dict[str, int]:
    """How many channels each layer has, by one forward of a black picture."""
    size = network.preprocessing.size
    with torch.inference_mode(), taps(network, layers) as tap:
        means = tap(torch.zeros(1, 3, size, size, device=device_of(network)))
    return {layer: values.shape[1] for layer, values in means.items()}
