"""Strided convolutions that a processor's library cannot be trusted with, done in another way.

>>> conv = nn.Conv2d(13, 4, 1, stride=2)
>>> network = nn.Sequential(conv)
>>> images = torch.rand(2, 13, 8, 8)
>>> ((strided_points(network)[conv](images) - conv(images)).abs() < 1e-6).all()
tensor(True)

On a CPU with AVX-512, oneDNN as torch 2.15 has it writes beyond its memory when it comes to the
gradient of the weights of a 1 × 1 convolution of stride 2, of less than 16 channels, whose input
lies channels last: the process ends (found on GENet and FastViT; 2.11 was not tried). The same
numbers come from every second place, and a convolution of stride 1.
"""

from collections.abc import Callable
from functools import partial

import torch  # noqa: F401 - for the example
from torch import Tensor, nn
from torch.nn.functional import conv2d

FEW = 16
"""Channels from which on it goes well."""


def strided_points(network: nn.Module) -> dict[nn.Module, Callable[[Tensor], Tensor]]:
    """Another forward for each convolution of that kind; for `networks.capture.stood_in`."""
    return {
        module: partial(_every_other, module)
        for module in network.modules()
        if type(module) is nn.Conv2d
        and module.kernel_size == (1, 1)
        and max(module.stride) > 1
        and module.padding in ((0, 0), "valid")
        and module.in_channels // module.groups < FEW
    }


def _every_other(conv: nn.Conv2d, images: Tensor) -> Tensor:
    down, across = conv.stride
    return conv2d(images[:, :, ::down, ::across], conv.weight, conv.bias, groups=conv.groups)
