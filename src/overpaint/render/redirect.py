"""Redirected ReLU: a way up for a channel that is silent at the start.

Where a ReLU stops the whole gradient of an image, the part that would raise its input is let
through (Lucid, for the first sixteen steps). The network is not touched: calls of ReLU are
intercepted while the mode is active.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class _Redirected(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return values.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The gradient of something to be minimised: negative where more would be better."""
        (values,) = ctx.saved_tensors
        ordinary = gradient * (values > 0)
        stopped = (ordinary == 0).flatten(1).all(1).reshape(-1, *[1] * (values.ndim - 1))
        rising = gradient * ~((values < 0) & (gradient > 0))
        return torch.where(stopped, rising, ordinary)


RELUS = (
    functional.relu,
    functional.relu_,
    torch.relu,
    torch.relu_,
    Tensor.relu,
    Tensor.relu_,
)


class RedirectedReLU(TorchFunctionMode):
    """While active, every ReLU passes gradients as described; never in place."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Replace calls of ReLU, pass on all others."""
        if func in RELUS:
            return _Redirected.apply(args[0])  # type: ignore[no-untyped-call]
        return func(*args, **(kwargs or {}))
