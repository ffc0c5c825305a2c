"""The paper's network, and a small one of its kind for pictures of 64 pixels.

InceptionV1 (GoogLeNet; Szegedy et al. 2015) without its auxiliary heads. Every step is a module
with the name that Lucid and the paper give it, so that each can be tapped by name:

    conv2d0_pre_relu                the convolution          conv2d0    after the ReLU
    mixed4d_3x3_bottleneck_pre_relu, mixed4d_3x3_pre_relu    the convolutions of a block
    mixed4d_pre_relu                the branches put side by side: 1x1 | 3x3 | 5x5 | pool_reduce
    mixed4d                         after the ReLU
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from overpaint.networks import tensorflow
from overpaint.networks.parts import Parts, Preprocessing


class Block(NamedTuple):
    """The widths of an inception block's convolutions."""

    single: int
    three_bottleneck: int
    three: int
    five_bottleneck: int
    five: int
    pool_reduce: int

    @property
    def width(self) -> int:
        """The channels of the block's output."""
        return self.single + self.three + self.five + self.pool_reduce


BVLC_BLOCKS = {
    "mixed3a": Block(64, 96, 128, 16, 32, 32),
    "mixed3b": Block(128, 128, 192, 32, 96, 64),
    "mixed4a": Block(192, 96, 208, 16, 48, 64),
    "mixed4b": Block(160, 112, 224, 24, 64, 64),
    "mixed4c": Block(128, 128, 256, 24, 64, 64),
    "mixed4d": Block(112, 144, 288, 32, 64, 64),
    "mixed4e": Block(256, 160, 320, 32, 128, 128),
    "mixed5a": Block(256, 160, 320, 32, 128, 128),
    "mixed5b": Block(384, 192, 384, 48, 128, 128),
}
"""The widths of the Caffe model zoo's weights and of the 2015 paper."""

TF_BLOCKS = BVLC_BLOCKS | {
    "mixed4a": Block(192, 96, 204, 16, 48, 64),
    "mixed5a": Block(256, 160, 320, 48, 128, 128),
}
"""The widths of TensorFlow's weights, those of Lucid."""

LAYERS = ("conv2d0", "conv2d1", "conv2d2", *BVLC_BLOCKS)
"""The twelve layers that the paper analyses, after their ReLU."""

BRANCHES = ("1x1", "3x3", "5x5", "pool_reduce")

Convolution = Callable[[int, int, int], nn.Module]
"""(channels in, channels out, kernel) -> a convolution that keeps the size of the map."""


class LocalResponseNorm(nn.Module):
    """Divide by (k + alpha/n × the sum of squares over n neighbouring channels) ** beta.

    The sum is a 1×1 convolution of the squares by a band matrix: the same numbers as
    `torch.nn.LocalResponseNorm`, without its detour through a three-dimensional pooling.
    """

    def __init__(
        self, channels: int, size: int = 5, alpha: float = 1e-4, beta: float = 0.75
    ) -> None:
        super().__init__()
        self.alpha, self.beta = alpha / size, beta
        index = torch.arange(channels)
        band = (index[:, None] - index[None, :]).abs() <= size // 2
        self.register_buffer("band", band.float()[:, :, None, None], persistent=False)
        self.band: Tensor

    def forward(self, maps: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        energy = nn.functional.conv2d(maps * maps, self.band.to(maps.dtype))
        scale = 1 + self.alpha * energy
        if self.beta == 0.75:  # two roots are cheaper than a power, and so is their gradient
            root = scale.rsqrt()
            return maps * (root * root.sqrt())
        return maps * scale.pow(-self.beta)


class Inception(nn.Module):
    """What InceptionV1 and its small kin share: blocks of named modules, pooling, a head.

    A block "mixed4d" is six convolutions, a pre-ReLU concatenation and a ReLU, all of them
    children of the network itself, so that a name is an address.
    """

    def _add_conv(self, name: str, convolution: nn.Module) -> None:
        self.add_module(f"{name}_pre_relu", convolution)
        self.add_module(name, nn.ReLU())

    def _add_block(self, name: str, channels: int, block: Block, conv: Convolution) -> None:
        self._add_conv(f"{name}_3x3_bottleneck", conv(channels, block.three_bottleneck, 1))
        self._add_conv(f"{name}_5x5_bottleneck", conv(channels, block.five_bottleneck, 1))
        self.add_module(f"{name}_1x1_pre_relu", conv(channels, block.single, 1))
        self.add_module(f"{name}_3x3_pre_relu", conv(block.three_bottleneck, block.three, 3))
        self.add_module(f"{name}_5x5_pre_relu", conv(block.five_bottleneck, block.five, 5))
        self.add_module(f"{name}_pool", nn.MaxPool2d(3, 1, 1))
        self.add_module(f"{name}_pool_reduce_pre_relu", conv(channels, block.pool_reduce, 1))
        self._add_conv(name, nn.Identity())

    def step(self, name: str, maps: Tensor) -> Tensor:
        """Run one named module."""
        return self.get_submodule(name)(maps)

    def conv(self, name: str, maps: Tensor) -> Tensor:
        """A convolution and its ReLU."""
        return self.step(name, self.step(f"{name}_pre_relu", maps))

    def block(self, name: str, maps: Tensor) -> Tensor:
        """An inception block."""
        branches = [
            self.step(f"{name}_1x1_pre_relu", maps),
            self.step(f"{name}_3x3_pre_relu", self.conv(f"{name}_3x3_bottleneck", maps)),
            self.step(f"{name}_5x5_pre_relu", self.conv(f"{name}_5x5_bottleneck", maps)),
            self.step(f"{name}_pool_reduce_pre_relu", self.step(f"{name}_pool", maps)),
        ]
        return self.conv(name, torch.cat(branches, dim=1))


class Variant(NamedTuple):
    """Where the two sets of published weights differ: widths, and how the stem computes."""

    blocks: dict[str, Block]
    stem: Callable[[], nn.Conv2d]
    pool: Callable[[], nn.Module]
    norm: Callable[[int], nn.Module]


BVLC = Variant(
    BVLC_BLOCKS,
    stem=lambda: nn.Conv2d(3, 64, 7, 2, 3),
    pool=lambda: nn.MaxPool2d(3, 2, ceil_mode=True),
    norm=LocalResponseNorm,
)
TF = Variant(
    TF_BLOCKS,
    stem=lambda: tensorflow.SameConv2d(3, 64, 7, 2),
    pool=lambda: tensorflow.SameMaxPool2d(3, 2),
    norm=lambda _channels: tensorflow.LocalResponseNorm(),
)


class InceptionV1(Inception):
    """InceptionV1 as the Caffe model zoo's weights, or TensorFlow's, want it.

    >>> InceptionV1(25)(torch.zeros(1, 3, 224, 224)).shape
    torch.Size([1, 25])

    Input (N, 3, H, W), as its preprocessing leaves it.
    A random start is the paper's: Glorot uniform kernels, biases 0.2.
    """

    def __init__(self, classes: int, variant: Variant = BVLC) -> None:
        super().__init__()
        self._add_conv("conv2d0", variant.stem())
        self.maxpool0 = variant.pool()
        self.localresponsenorm0 = variant.norm(64)
        self._add_conv("conv2d1", nn.Conv2d(64, 64, 1))
        self._add_conv("conv2d2", nn.Conv2d(64, 192, 3, 1, 1))
        self.localresponsenorm1 = variant.norm(192)
        self.maxpool1 = variant.pool()
        channels = 192
        for name, block in variant.blocks.items():
            if name == "mixed4a":
                self.maxpool2 = variant.pool()
            if name == "mixed5a":
                self.maxpool3 = variant.pool()
            self._add_block(name, channels, block, _plain_conv)
            channels = block.width
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, classes)
        self.apply(_start_as_in_the_paper)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> logits (N, classes)."""
        maps = self.localresponsenorm0(self.maxpool0(self.conv("conv2d0", images)))
        maps = self.conv("conv2d2", self.conv("conv2d1", maps))
        maps = self.maxpool1(self.localresponsenorm1(maps))
        for name in BVLC_BLOCKS:
            if name == "mixed4a":
                maps = self.maxpool2(maps)
            if name == "mixed5a":
                maps = self.maxpool3(maps)
            maps = self.block(name, maps)
        return self.head(self.avgpool(maps).flatten(1))


def _plain_conv(channels: int, width: int, kernel: int) -> nn.Module:
    return nn.Conv2d(channels, width, kernel, padding=kernel // 2)


def _start_as_in_the_paper(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        assert module.bias is not None
        nn.init.constant_(module.bias, 0.2 if isinstance(module, nn.Conv2d) else 0.0)


SMALL_BLOCKS = {
    "mixed3a": Block(16, 16, 24, 8, 12, 12),
    "mixed3b": Block(24, 24, 32, 8, 16, 16),
    "mixed4a": Block(32, 24, 48, 8, 16, 16),
    "mixed4b": Block(40, 32, 64, 12, 24, 24),
    "mixed5a": Block(48, 40, 80, 16, 32, 32),
}

SMALL_LAYERS = ("conv2d0", "conv2d1", "conv2d2", *SMALL_BLOCKS)


class InceptionSmall(Inception):
    """An inception network for pictures of 64 pixels, with batch normalisation.

    >>> InceptionSmall(8)(torch.zeros(2, 3, 64, 64)).shape
    torch.Size([2, 8])

    Each `<name>_pre_relu` is a convolution followed by its normalisation.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self._add_conv("conv2d0", _normed_conv(3, 24, 5, 2))
        self.maxpool0 = nn.MaxPool2d(3, 2, 1)
        self._add_conv("conv2d1", _normed_conv(24, 24, 1))
        self._add_conv("conv2d2", _normed_conv(24, 48, 3))
        channels = 48
        for name, block in SMALL_BLOCKS.items():
            if name == "mixed4a":
                self.maxpool1 = nn.MaxPool2d(3, 2, 1)
            if name == "mixed5a":
                self.maxpool2 = nn.MaxPool2d(3, 2, 1)
            self._add_block(name, channels, block, _normed_conv)
            channels = block.width
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> logits (N, classes)."""
        maps = self.maxpool0(self.conv("conv2d0", images))
        maps = self.conv("conv2d2", self.conv("conv2d1", maps))
        for name in SMALL_BLOCKS:
            if name == "mixed4a":
                maps = self.maxpool1(maps)
            if name == "mixed5a":
                maps = self.maxpool2(maps)
            maps = self.block(name, maps)
        return self.head(self.avgpool(maps).flatten(1))


def _normed_conv(channels: int, width: int, kernel: int, stride: int = 1) -> nn.Module:
    conv = nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width))


# --- what there is to know of them ---------------------------------------------------------------

CAFFE_PREPROCESSING = Preprocessing(
    mean=(104 / 255, 117 / 255, 123 / 255), std=(1 / 255, 1 / 255, 1 / 255), order="BGR"
)
"""The Caffe model zoo's: BGR, 0..255, minus (104, 117, 123)."""

TF_PREPROCESSING = Preprocessing(
    mean=(117 / 255, 117 / 255, 117 / 255), std=(1 / 255, 1 / 255, 1 / 255)
)
"""TensorFlow's: RGB, 0..255, minus 117."""

SMALL_PREPROCESSING = Preprocessing(64, 64, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def v1_parts(classes: int) -> Parts:
    """InceptionV1 with its twelve layers."""
    body = InceptionV1(classes)
    return Parts(body, LAYERS, "head", CAFFE_PREPROCESSING, _filters(LAYERS, ""))


def tf_parts(classes: int) -> Parts:
    """InceptionV1 as TensorFlow's weights want it, with the same twelve layers."""
    body = InceptionV1(classes, TF)
    return Parts(body, LAYERS, "head", TF_PREPROCESSING, _filters(LAYERS, ""))


def small_parts(classes: int) -> Parts:
    """The small network with its eight layers."""
    body = InceptionSmall(classes)
    return Parts(body, SMALL_LAYERS, "head", SMALL_PREPROCESSING, _filters(SMALL_LAYERS, ".0"))


def _filters(layers: tuple[str, ...], conv: str) -> dict[str, tuple[str, ...]]:
    """The convolutions whose filters make the channels of each layer."""
    return {
        layer: tuple(f"{layer}_{branch}_pre_relu{conv}" for branch in BRANCHES)
        if layer.startswith("mixed")
        else (f"{layer}_pre_relu{conv}",)
        for layer in layers
    }


BUILDERS = {
    "inception_v1": v1_parts,
    "inception_v1.tf_in1k": tf_parts,
    "inception_small": small_parts,
}
"""The architectures that are no one else's, by name."""

TAGS = {"inception_v1": ("bvlc_in1k", "tf_in1k")}
"""The published weights of each."""
