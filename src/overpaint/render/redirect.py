"""Redirected ReLU: a way out for channels that the first noise does not excite at all.

Behind a ReLU that is off everywhere there is no gradient, and nothing to begin with. Here such a
ReLU lets through what would switch it on.

>>> values = torch.tensor([[-1.0, -2.0]], requires_grad=True)
>>> with RedirectedReLU():
...     loss = -(values.relu() * torch.tensor([1.0, -1.0])).sum()
>>> torch.autograd.grad(loss, values)
(tensor([[-1., 0.]]),)

The network is left as it is: whichever way it calls its ReLU, the call is caught. Where its modules
make all such calls, they have another forward for the while (`networks.capture`).
"""

from typing import Any

import torch
from torch import Tensor

from overpaint.networks.relu_capture import ReluCapture

STEPS = 16
"""How many steps Lucid redirects; later a ReLU is what it is."""


class RedirectedReLU(ReluCapture):
    """Inside the block, ReLU and ReLU6 have the redirected gradient of a loss to be *lowered*.

    Source: Lucid, `misc/redirected_relu_grad.py`.
    """

    def relu(self, values: Tensor, ceiling: float) -> Tensor:
        """The values of the ordinary one, and another gradient."""
        return _Redirected.apply(values, ceiling)


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
