"""Redirected ReLU: a way out for channels that the first noise does not excite at all.

Behind a ReLU that is off everywhere there is no gradient, and nothing to begin with. Here such a
ReLU lets through what would switch it on.

>>> values = torch.tensor([[-1.0, -2.0]], requires_grad=True)
>>> with RedirectedReLU():
...     loss = -(values.relu() * torch.tensor([1.0, -1.0])).sum()
>>> torch.autograd.grad(loss, values)
(tensor([[-1., 0.]]),)

The network is not touched: whichever way it calls its ReLU, the call is caught.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

STEPS = 16
"""How many steps Lucid redirects; later a ReLU is what it is."""


class RedirectedReLU(TorchFunctionMode):
    """Inside the block, ReLU and ReLU6 have the redirected gradient of a loss to be *lowered*.

    A call in place gives a new tensor instead, and leaves its input as it was: only its result may
    be used, as every network of timm and torchvision does.

    Source: Lucid, `misc/redirected_relu_grad.py`.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Called by torch for every function inside the block."""
        kwargs = kwargs or {}
        ceiling = CEILINGS[func](*args, **kwargs) if func in CEILINGS else None
        if ceiling is None:
            return func(*args, **kwargs)
        return _Redirected.apply(args[0] if args else kwargs["input"], ceiling)


def _none(*_: object, **__: object) -> float:
    return math.inf


def _six(*_: object, **__: object) -> float:
    return 6.0


def _of_hardtanh(
    _input: Tensor, min_val: float = -1.0, max_val: float = 1.0, *_: object, **__: object
) -> float | None:
    """`nn.ReLU6` is a hardtanh from 0; any other hardtanh is not meant."""
    return max_val if min_val == 0 else None


CEILINGS: dict[Callable[..., Any], Callable[..., float | None]] = {
    functional.relu: _none,
    torch.relu: _none,
    torch.relu_: _none,
    Tensor.relu: _none,
    Tensor.relu_: _none,
    functional.relu6: _six,
    functional.hardtanh: _of_hardtanh,
}
"""The calls that are a ReLU, and the value above which each is off again."""


class _Redirected(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, ceiling: float) -> Tensor:
        # masks, not values: a later in-place operation cannot spoil them
        ctx.save_for_backward(values < 0, values > ceiling)
        return values.clamp(0, ceiling)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        low, high = ctx.saved_tensors
        return redirected(gradients[0], low, high), None


def redirected(gradient: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The gradient of a ReLU's input from that of its output, (N, ...), for a loss to be lowered.

    For each of the N, the ordinary one (nothing where the input is too low or too high), unless
    that is zero everywhere: then also what moves a low input up or a high one down.
    """
    ordinary = gradient.masked_fill(low | high, 0)
    away = (low & (gradient > 0)) | (high & (gradient < 0))
    stuck = (ordinary == 0).reshape(len(gradient), -1).all(dim=1)
    stuck = stuck.reshape(-1, *[1] * (gradient.ndim - 1))
    return torch.where(stuck, gradient.masked_fill(away, 0), ordinary)
