"""The parts of a network that every architecture must say of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from overpaint.networks.layouts import Layout
from overpaint.pixels.images import CropMode

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """How pictures must look for the weights.

    The picture's shorter side becomes `resize`, its centre square of `size` is cut out; then
    (values − mean) / std for values in 0..1, mean and std in the order of the channels. A network
    of one channel has `order="grey"` and one number in each: it is given the luminance.

    `crop_mode`, as timm has it: with "squash" both sides become `resize` before the cut, with
    "border" the longer one does, and what then lacks of `size` is filled with the mean.
    """

    size: int = 224
    resize: int = 256
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    order: Literal["RGB", "BGR", "grey"] = "RGB"
    crop_mode: CropMode = "center"


@dataclass(frozen=True)
class Parts:
    """A body of modules, and what there is to know of it.

    `layers` are module names in the order of execution. `filters` tells, for a layer whose
    channels are each made by one filter, the modules whose outputs stand side by side in it.
    """

    body: nn.Module
    layers: tuple[str, ...]
    head: str
    preprocessing: Preprocessing
    filters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    any_size: bool = True  # whether it takes pictures of any size, as convolutions do
    prefix_tokens: int = 0  # class and register tokens that stand before the patches in (N, T, D)
    channels_last: bool = False  # whether its maps are (N, H, W, C), as Swin's are
    more_heads: tuple[str, ...] = ()  # the other classifiers of a network that averages several
    layouts: Mapping[str, Layout] = field(default_factory=dict)  # of modules, as far as looked at


def kernel_layer(tensor: str) -> str:
    """The layer that a kernel is of.

    >>> kernel_layer("mixed3a_1x1_pre_relu.0.weight"), kernel_layer("blocks.0.attn.qkv.weight")
    ('mixed3a_1x1', 'blocks.0.attn.qkv')
    """
    return tensor.removesuffix(".weight").removesuffix("_pre_relu.0").removesuffix("_pre_relu")
