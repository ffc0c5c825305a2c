"""Modules that compute as TensorFlow's do, for weights that were learnt there."""

import torch
from torch import Tensor, nn


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """How many zeros stand before and after a side under the padding 'SAME'.

    >>> same_padding(224, kernel=7, stride=2)
    (2, 3)
    >>> same_padding(225, kernel=7, stride=2)
    (3, 3)
    """
    steps = -(-size // stride)
    padding = max((steps - 1) * stride + kernel - size, 0)
    return padding // 2, padding - padding // 2


def _padded(maps: Tensor, kernel: int, stride: int, value: float) -> Tensor:
    height, width = (same_padding(size, kernel, stride) for size in maps.shape[-2:])
    return nn.functional.pad(maps, (*width, *height), value=value)


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's 'SAME' padding, which with a stride is not symmetric."""

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride))."""
        return super().forward(_padded(maps, self.kernel_size[0], self.stride[0], 0.0))


class SameMaxPool2d(nn.Module):
    """Maximum pooling with TensorFlow's 'SAME' padding; what is padded is never the maximum."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride))."""
        padded = _padded(maps, self.kernel, self.stride, -torch.inf)
        return nn.functional.max_pool2d(padded, self.kernel, self.stride)


LRN_DEFAULTS = {"depth_radius": 5.0, "bias": 1.0, "alpha": 1.0, "beta": 0.5}
"""What a graph means that leaves an attribute out: TensorFlow's documented defaults."""

LRN_START = (5.0, 2.0, 1e-4, 0.5)
"""What a random start has: the values that the paper's authors read in the published graph."""


class LocalResponseNorm(nn.Module):
    """x / (bias + alpha × the sum of squares over the channels at most depth_radius away) ** beta.

    >>> norm = LocalResponseNorm()
    >>> norm.constants[:] = torch.tensor([5, 1, 1, 0.5])
    >>> norm(torch.ones(1, 3, 1, 1)).flatten()  # 1 / sqrt(1 + 3)
    tensor([0.5000, 0.5000, 0.5000])

    The window has 2 × depth_radius + 1 channels and alpha is not divided by it, other than in
    Caffe and torch. The four constants are a tensor of the state, as they belong to the weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("constants", torch.tensor(LRN_START))
        self.constants: Tensor

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        radius, bias, alpha, beta = self.constants.unbind()
        index = torch.arange(maps.shape[1], device=maps.device)
        band = (index[:, None] - index[None, :]).abs() <= radius
        energy = nn.functional.conv2d(maps * maps, band.to(maps.dtype)[:, :, None, None])
        return maps * (bias + alpha * energy).pow(-beta)
