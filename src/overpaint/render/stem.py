"""The gradient of a network's first convolution, at half the cost and less.

A rendering asks for the gradient of pixels, which a training never does: of a convolution from 64
channels back to 3, with a stride. Libraries are slow at it, a seventh of a step of InceptionV1 on a
CPU. The same gradient is one convolution without stride, from 64 channels to 3 × stride², whose
result is then woven together: pixel (2i, 2j) from the first of four, (2i, 2j + 1) from the next.

>>> pixels = torch.rand(1, 3, 9, 9, requires_grad=True)
>>> weight = torch.rand(5, 3, 7, 7)
>>> plain = functional.conv2d(pixels, weight, stride=2, padding=3)
>>> with FastStem():
...     fast = functional.conv2d(pixels, weight, stride=2, padding=3)
>>> gradients = [torch.autograd.grad(out.square().sum(), pixels)[0] for out in (plain, fast)]
>>> torch.allclose(*gradients, rtol=1e-4)
True

The network is left as it is: the call is caught, as in `redirect`, or the module that makes it has
another forward for the while (`networks.capture`).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from overpaint.networks.capture import Capture

FEW = 4
"""The most channels of what is called a picture here."""


class FastStem(Capture):
    """Inside the block, strided convolutions of pictures have the fast gradient, on a CPU."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Called by torch for every function inside the block."""
        if func is functional.conv2d and (call := _stem(*args, **(kwargs or {}))):
            return _Stem.apply(*call)
        return func(*args, **(kwargs or {}))

    def catches(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
        """Whether a call is that of such a convolution."""
        return func is functional.conv2d and _stem(*args, **kwargs) is not None

    def stand_in(self, module: nn.Module) -> Callable[[Tensor], Tensor] | None:
        """A forward with the fast gradient for a plain convolution of pictures with a stride."""
        if (
            not isinstance(module, nn.Conv2d)
            or type(module).forward is not nn.Conv2d.forward
            or type(module)._conv_forward is not nn.Conv2d._conv_forward  # noqa: SLF001 - called there
            or module.padding_mode != "zeros"
            or module.in_channels > FEW
            or max(module.stride) == 1
        ):
            return None

        def forward(pixels: Tensor) -> Tensor:
            call = _stem(
                pixels, module.weight, module.bias, _pair(module.stride),
                module.padding if isinstance(module.padding, str) else _pair(module.padding),
                _pair(module.dilation), module.groups,
            )  # fmt: skip
            return _Stem.apply(*call) if call else nn.Conv2d.forward(module, pixels)

        return forward


def _stem(
    input: Tensor,  # noqa: A002 - torch's name
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | str = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> tuple[Tensor, Tensor, Tensor | None, int, tuple[int, int]] | None:
    """The arguments of `_Stem` if the call is one that it can do, and does faster."""
    step, pad = _pair(stride), padding if isinstance(padding, str) else _pair(padding)
    meant = (
        input.device.type == "cpu"
        and input.ndim == 4
        and input.requires_grad
        and not weight.requires_grad  # `_Stem` has no gradient for it
        and weight.shape[1] <= FEW
        and weight.shape[2] == weight.shape[3]
        and step[0] == step[1] > 1
        and _pair(dilation) == (1, 1)
        and groups == 1
    )
    if not meant or isinstance(pad, str):
        return None
    # A network that puts its input together anew (torchvision's googlenet) loses the order of the
    # numbers in which all that follows is fastest: pooling by a factor of fifteen.
    return input.contiguous(memory_format=torch.channels_last), weight, bias, step[0], pad


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


class _Stem(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        pixels: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: int,
        padding: tuple[int, int],
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.how = stride, padding, pixels.shape[2:], pixels.dtype
        return functional.conv2d(pixels, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (weight,) = ctx.saved_tensors
        stride, padding, size, dtype = ctx.how
        kernel = weight.to(gradients[0].dtype)
        gradient = pixel_gradient(gradients[0], kernel, stride, padding, size)
        return gradient.to(dtype), None, None, None, None


def pixel_gradient(
    gradient: Tensor, weight: Tensor, stride: int, padding: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """The gradient of a convolution's input (N, C, *size) from that of its output.

    Of the pixel at stride × a + r, in each direction: the sum over b of the output's gradient at
    a − b times the kernel at stride × b + r. That is a convolution for each r.
    """
    kernels = phases(weight, stride)
    reach = kernels.shape[-1] - 1
    short = [  # pixels that no window reaches: their gradient is zero
        max(0, -(-(side + pad) // stride) - (out + reach))
        for side, pad, out in zip(size, padding, gradient.shape[2:], strict=True)
    ]
    parts = functional.conv2d(gradient, kernels, padding=reach)
    parts = functional.pad(parts, (0, short[1], 0, short[0]))
    whole = functional.pixel_shuffle(parts, stride)
    (top, left), (height, width) = padding, size
    return whole[..., top : top + height, left : left + width]


def phases(weight: Tensor, stride: int) -> Tensor:
    """A kernel (out, in, k, k) as those of its gradient, (in × stride², out, K, K)."""
    out, channels, side, _ = weight.shape
    count = -(-side // stride)
    full = functional.pad(weight, [0, count * stride - side] * 2)
    split = full.reshape(out, channels, count, stride, count, stride).flip(2, 4)
    return split.permute(1, 3, 5, 0, 2, 4).reshape(-1, out, count, count)
