"""Layouts: which modules say something of each picture, and how it is laid out; found by looking.

>>> body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(392, 2))
>>> layouts = layouts_of(body, size=16)
>>> layouts["1"]
Layout(order='NCHW', prefix=0, placed=True, output=0)
>>> layouts["3"].order
'NC'

Shapes do not tell: a map may have as many rows as channels, and tokens may stand in another order
than the patches that they were cut from. So a network is shown noise, and the same noise with a
corner changed, for each of the four corners; where an activation changes is where its positions
lie.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from overpaint.networks.order import evaluating

LOCAL = 1.25
"""How many times more a corner of the picture must move its own quarter of a map than another.

Maps reach 1.5 and much more with random weights; the unrolled tokens of Hiera 0.9.
"""

MOST_PREFIX = 16
"""Class and register tokens that are thought of, at most."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How what a module gives for N pictures is laid out.

    `order`: a map's rows H and columns W, tokens T, channels C. `prefix`: tokens that stand before
    those of places. `placed`: whether positions are in the order of the picture's rows; where they
    are not, nobody knows which position is where. `output`: which tensor it is of several.
    """

    order: Literal["NCHW", "NHWC", "NTC", "NCT", "NC"]
    prefix: int = 0
    placed: bool = True
    output: int = 0

    def arranged(self, activation: Tensor) -> Tensor:
        """An activation as (N, C, H, W), patch tokens (N, T, C) in the order of a square map, or
        (N, C); positions of unknown places as a map of one row, (N, C, 1, T).
        """
        if self.order == "NHWC":
            activation = activation.permute(0, 3, 1, 2)
        if self.order == "NCT":
            activation = activation.transpose(1, 2)
        if activation.ndim == 3:
            activation = activation[:, self.prefix :]
        if self.placed or self.order == "NC":
            return activation
        by_place = activation.transpose(1, 2) if activation.ndim == 3 else activation.flatten(2)
        return by_place[:, :, None]


def tensors_of(output: object) -> list[Tensor]:
    """The tensors of what a module gives, be it one, a tuple, or a dictionary of them."""
    return [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]


def layouts_of(
    body: nn.Module, *, size: int, channels: int = 3, prefix_tokens: int = 0, steady: bool = False
) -> dict[str, Layout]:
    """The layouts of the modules that can be read: that run once, and whose rows are the pictures.

    In evaluation mode, by one forward of five pictures of noise; leaves no trace, but with
    `steady`: then batch normalisation takes the statistics of the noise, so that a network of
    random weights neither fades nor explodes. `prefix_tokens`: what the network says of itself,
    for where looking does not tell.
    """
    pictures = _pictures(size, channels)
    layouts: dict[str, Layout] = {}
    times: Counter[str] = Counter()

    def look(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            times[name] += 1
            for number, tensor in enumerate(tensors_of(output)):
                if has_rows(tensor, len(pictures)):
                    layouts[name] = _layout(tensor, number, prefix_tokens)
                    return

        return hook

    hooks = [module.register_forward_hook(look(name)) for name, module in body.named_modules()]
    with torch.inference_mode(), evaluating(body):
        try:
            if steady:
                for module in body.modules():
                    module.training = isinstance(module, NORMS_OF_BATCHES)
            body(pictures)
        finally:
            for hook in hooks:
                hook.remove()
    return {name: layout for name, layout in layouts.items() if times[name] == 1 and name}


def has_rows(tensor: Tensor, pictures: int) -> bool:
    """Whether a tensor may be an activation with a row a picture."""
    return tensor.is_floating_point() and 2 <= tensor.ndim <= 4 and len(tensor) == pictures


def wake(body: nn.Module) -> None:
    """Give weights that begin at nothing, as those of the last norm of a block may, some value:
    what lies behind them would say the same of all pictures.
    """
    with torch.no_grad():
        for name, parameter in body.named_parameters():
            if not name.endswith("bias") and not bool(parameter.any()):
                nn.init.ones_(parameter) if parameter.ndim < 2 else nn.init.normal_(
                    parameter, std=parameter[0].numel() ** -0.5
                )


NORMS_OF_BATCHES = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - all of its kind


def _pictures(size: int, channels: int) -> Tensor:
    """Noise, and the same with one corner changed: (5, C, S, S)."""
    rng = torch.Generator().manual_seed(0)
    pictures = torch.randn(1, channels, size, size, generator=rng).repeat(5, 1, 1, 1)
    part = max(size // 4, 1)
    patch = 3 * torch.randn(channels, part, part, generator=rng)
    for number, (top, left) in enumerate(CORNERS, start=1):
        rows = slice(0, part) if top else slice(size - part, size)
        columns = slice(0, part) if left else slice(size - part, size)
        pictures[number, :, rows, columns] = patch
    return pictures


CORNERS = ((True, True), (True, False), (False, True), (False, False))
"""Whether it is at the top, and whether it is on the left."""


def _layout(tensor: Tensor, output: int, prefix_tokens: int) -> Layout:
    if tensor.ndim == 2:
        return Layout(order="NC", output=output)
    moved = (tensor[1:] - tensor[:1]).square()
    if tensor.ndim == 4:
        for order, dim in (("NCHW", 1), ("NHWC", 3)):
            if _locality(moved.sum(dim)) > LOCAL:
                return Layout(order=order, output=output)  # type: ignore[arg-type]
        _, height, width, channels = tensor.shape
        # the map of a square picture is square
        last = height == width != channels
        positions = height * width if last else width * channels
        return Layout(order="NHWC" if last else "NCHW", placed=positions == 1, output=output)
    local: list[tuple[float, Layout | None]] = [(0.0, None)]
    for order, energy in (("NTC", moved.sum(2)), ("NCT", moved.sum(1))):
        for prefix in range(MOST_PREFIX + 1 if order == "NTC" else 1):
            side = math.isqrt(max(energy.shape[1] - prefix, 0))
            if side > 1 and side**2 == energy.shape[1] - prefix:
                maps = energy[:, prefix:].reshape(4, side, side)
                layout = Layout(order=order, prefix=prefix, output=output)  # type: ignore[arg-type]
                local.append((_locality(maps), layout))
    ratio, best = max(local, key=lambda pair: pair[0])
    if best and ratio > LOCAL:
        return best
    count = tensor.shape[1]
    # a square number of tokens is the patches of a square picture alone
    prefix = 0 if math.isqrt(count) ** 2 == count else min(prefix_tokens, count - 1)
    return Layout(order="NTC", prefix=prefix, placed=count - prefix == 1, output=output)


def _locality(energy: Tensor) -> float:
    """How much more the corners of the picture move their own quarters than others: energy
    (4, H, W) of each changed corner -> the least ratio of its own quarter to any other.
    """
    _, height, width = energy.shape
    energy = energy.double()
    if min(height, width) < 2:
        return 0.0
    first_rows, first_columns = (
        (side / 2 - torch.arange(side, dtype=energy.dtype)).clamp(0, 1) for side in (height, width)
    )
    quarters = torch.stack(
        [
            torch.einsum(
                "nhw,h,w->n",
                energy,
                first_rows if top else 1 - first_rows,
                first_columns if left else 1 - first_columns,
            )
            for top, left in CORNERS
        ],
        dim=1,
    )
    shares = quarters / quarters.sum(dim=1, keepdim=True)
    own = shares.diagonal()
    rest = shares - torch.diag(torch.full_like(own, math.inf))
    ratio = own / torch.maximum(rest.amax(dim=0), rest.amax(dim=1)).clamp_min(1e-30)
    return float(ratio.min()) if bool(torch.isfinite(ratio).all()) else 0.0
