"""Receptive fields: which part of a picture a position of a layer's map has seen.

>>> from overpaint.networks import build
>>> network = build("inception_small", classes=("cat", "dog"), seed=0)
>>> receptive_box(network, "conv2d0", row=0, column=3)
(4, -2, 9, 3)
>>> receptive_field(network, "mixed3a").columns
Line(start=-16, jump=4, size=33)

The box is followed through one forward, operation by operation, from what each does with its window
(kernel, stride, padding, dilation); values play no part. Where a layer has seen everything, as
after attention or squeeze-and-excitation, or where a step cannot be followed, the box is the whole
picture, and `receptive_field` says so.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from overpaint.device import device_of
from overpaint.networks import Network
from overpaint.networks.taps import map_size, taps
from overpaint.pixels.boxes import Box, Line, ReceptiveField


def receptive_box(network: Network, layer: str, row: int, column: int) -> Box:
    """The box that a position of a layer's map sees, in pixels of the network's input.

    It may reach beyond the picture, into the padding; of a layer whose positions have seen
    everything it is the whole picture.
    """
    return receptive_field(network, layer).box(row, column)


def receptive_field(network: Network, layer: str) -> ReceptiveField:
    """What the positions of a layer see, for pictures of the network's own size.

    Raises NetworkError for an unknown layer.
    """
    return receptive_fields(network, [layer])[layer]


def receptive_fields(network: Network, layers: Sequence[str]) -> dict[str, ReceptiveField]:
    """The same of several layers, in one forward."""
    size = network.preprocessing.size
    picture = torch.zeros(1, 3, size, size, device=device_of(network))
    following = Following(picture)

    def look(activation: Tensor) -> tuple[View | None, tuple[int, int]]:
        return following.view(activation), map_size(activation)

    with torch.no_grad(), taps(network, layers, reduction=look) as tap, following:
        views = tap(picture)
    everything = Line(0, 0, size)
    return {
        layer: ReceptiveField(*(view or (everything, everything)), *shape, whole=view is None)
        for layer, (view, shape) in views.items()
    }


# --- following an image through a forward ------------------------------------------------------

View = tuple[Line, Line]
"""What the rows and the columns of a tensor (…, H, W) see."""

Size = tuple[int, ...]
"""(H, W)."""


class Following(TorchDispatchMode):
    """Notes, while torch computes, what each tensor's last two dimensions see of a picture.

    Each operation either looks through a window, or at one place, or only moves channels; after any
    other the view is lost, and what is made of it has seen the whole picture.
    """

    def __init__(self, picture: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        pixel = Line(0, 1, 1)
        # the tensors are kept too: an address that is used again would be taken for the old tensor
        self.views: dict[int, tuple[Tensor, View | None]] = {id(picture): (picture, (pixel, pixel))}
        self.lost = False

    def view(self, tensor: Tensor) -> View | None:
        """What a tensor sees; None for everything, or what could not be followed."""
        return None if self.lost else self.views.get(id(tensor), (tensor, None))[1]

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Compute as ever, and note what the result sees."""
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if id(leaf) in self.views]
        # before the call: one in place may change its input's size, and what it sees
        sizes = {_size(tensor) for tensor in inputs}
        views = [view for tensor in inputs if (view := self.view(tensor)) is not None]
        out = func(*args, **(kwargs or {}))
        if inputs:
            view = None
            if len(views) == len(inputs) and len(sizes) == 1:
                view = _after(func, _named(func, args, kwargs or {}), views, sizes.pop(), out)
            self._note(func, args, out, view)
        return out

    def _note(self, func: Any, args: tuple[Any, ...], out: Any, view: View | None) -> None:
        if _schema(func).is_mutable and self._reaches_others(args[0], view):
            self.lost = True
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self.views[id(tensor)] = (tensor, view)

    def _reaches_others(self, target: Tensor, view: View | None) -> bool:
        """Whether writing into a tensor changes what another one, of the same memory, has seen."""
        if id(target) not in self.views:
            return True
        place = target.untyped_storage().data_ptr()
        return self.view(target) != view and any(
            tensor is not target and tensor.untyped_storage().data_ptr() == place
            for tensor, _ in self.views.values()
        )


def _schema(func: Any) -> Any:
    return func._schema  # noqa: SLF001 - torch has no other way to ask for names and defaults


def _named(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of an operation by name, with its defaults."""
    slots = _schema(func).arguments
    rest = {slot.name: kwargs.get(slot.name, slot.default_value) for slot in slots[len(args) :]}
    return {slot.name: value for slot, value in zip(slots, args, strict=False)} | rest


def _size(tensor: Tensor) -> Size:
    return tuple(tensor.shape[-2:])


def _after(
    func: Any, named: dict[str, Any], views: Sequence[View], size: Size, out: Any
) -> View | None:
    """What the result of an operation sees, of inputs with these views and one (H, W)."""
    name = func.overloadpacket.__name__
    if name in WINDOWS:
        return WINDOWS[name](named, views[0], size) if len(views) == 1 else None
    pointwise = name in AT_ONE_PLACE or torch.Tag.pointwise in func.tags
    if not pointwise and not (name in CHANNELS and CHANNELS[name](named)):
        return None
    first = tree_leaves(out)[0]  # of several, as batch normalisation gives statistics too
    if _size(first) != size:
        return None
    rows, columns = views[0]  # and what any of the other inputs sees
    for row, column in views[1:]:
        if (row.jump, column.jump) != (rows.jump, columns.jump):
            return None
        rows, columns = rows | row, columns | column
    return rows, columns


def _convolution(named: dict[str, Any], view: View, _size: Size) -> View | None:
    kernel = named["weight"].shape[2:]
    if named["transposed"] or len(kernel) != 2:
        return None
    return _window(view, kernel, named["stride"], named["padding"], named["dilation"])


def _pool(named: dict[str, Any], view: View, _size: Size) -> View:
    kernel = named["kernel_size"]
    stride = named["stride"] or kernel
    return _window(view, kernel, stride, named["padding"], named.get("dilation", 1))


def _adaptive_pool(named: dict[str, Any], view: View, size: Size) -> View | None:
    sides = list(zip(size, named["output_size"], strict=True))
    if any(before % after for before, after in sides):
        return None  # its windows have several sizes
    kernel = [before // after for before, after in sides]
    return _window(view, kernel, kernel, 0, 1)


def _pad(named: dict[str, Any], view: View, _size: Size) -> View | None:
    left, _, top, _, *others = [*named["pad"], 0, 0][: max(len(named["pad"]), 4)]
    return None if any(others) else _window(view, 1, 1, (top, left), 1)


def _window(view: View, *settings: "int | Sequence[int]") -> View:
    """Kernel, stride, padding and dilation, each one number or one for rows and one for columns."""
    pairs = [(value, value) if isinstance(value, int) else (value[0], value[-1])
             for value in settings]  # fmt: skip
    rows, columns = zip(*pairs, strict=True)
    return view[0].window(*rows), view[1].window(*columns)


WINDOWS: dict[str, Callable[[dict[str, Any], View, Size], View | None]] = {
    "convolution": _convolution,
    "max_pool2d_with_indices": _pool,
    "avg_pool2d": _pool,
    "_adaptive_avg_pool2d": _adaptive_pool,
    "constant_pad_nd": _pad,
}

AT_ONE_PLACE = ("_to_copy", "detach", "alias", "hardswish", "hardswish_")
"""Beside those that torch itself calls pointwise."""


def _inner(ndim: int, *dims: int) -> bool:
    """Whether none of the dimensions is one of the last two."""
    return all(dim % ndim < ndim - 2 for dim in dims)


def _keeps_maps(named: dict[str, Any]) -> bool:
    return tuple(named["size"][-2:]) == _size(named["self"])


CHANNELS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "cat": lambda named: _inner(named["tensors"][0].ndim, named["dim"]),
    "flip": lambda named: _inner(named["self"].ndim, *named["dims"]),
    **dict.fromkeys(
        ("select", "slice", "split", "split_with_sizes", "unbind"),
        lambda named: _inner(named["self"].ndim, named["dim"]),
    ),
    "sum": lambda named: (  # a network of one channel is given the luminance
        named["keepdim"] and bool(named["dim"]) and _inner(named["self"].ndim, *named["dim"])
    ),
    "unsqueeze": lambda named: _inner(named["self"].ndim + 1, named["dim"]),
    "transpose": lambda named: _inner(named["self"].ndim, named["dim0"], named["dim1"]),
    "view": _keeps_maps,
    "_unsafe_view": _keeps_maps,
    "native_batch_norm": lambda named: not named["training"],
    "cudnn_batch_norm": lambda named: not named["training"],
    "_native_batch_norm_legit_no_training": lambda _named: True,
}
"""What moves channels or scales them, and when it leaves places alone."""
