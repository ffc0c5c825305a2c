"""Receptive fields: the boxes are large enough, no larger, and lie where the picture was cut."""

from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from overpaint.errors import NetworkError
from overpaint.networks import Network, Preprocessing, build
from overpaint.networks.parts import Parts
from overpaint.networks.receptive_fields import receptive_box, receptive_field, receptive_fields
from overpaint.networks.taps import taps
from overpaint.pixels.boxes import Box, Line, on_picture
from overpaint.pixels.images import centre_square, shorter_side


def small(name: str, size: int) -> Network:
    """A network for smaller pictures than usual, so that boxes end inside them."""
    network = vgg() if name == "vgg11_bn" else build(name, classes=("a", "b"), seed=0)
    network.preprocessing = replace(network.preprocessing, size=size, resize=size)
    return network.eval()


def vgg() -> Network:
    """VGG-11 without its hundred million weights after the last map."""
    parts = {"features": make_layers(cfgs["A"], batch_norm=True), "pool": nn.AdaptiveAvgPool2d(1),
             "flat": nn.Flatten(), "head": nn.Linear(512, 2)}  # fmt: skip
    body = nn.Sequential(OrderedDict(parts))
    return Network("vgg", Parts(body, ("features.10",), "head", Preprocessing()), ("a", "b"))


def shell(name: str) -> Network:
    """A network without values, which play no part."""
    with torch.device("meta"):
        return build(name, classes=("a",), seed=0)


# --- goldens from elsewhere ----------------------------------------------------------------------


def test_the_first_convolution():
    """Seven pixels of each side, every second, three into the padding: 7×7/2, padding 3."""
    network = shell("inception_v1")
    for row, column in ((0, 0), (5, 9), (111, 111)):
        expected = (2 * column - 3, 2 * row - 3, 2 * column + 4, 2 * row + 4)
        assert receptive_box(network, "conv2d0", row, column) == expected


@pytest.mark.parametrize(
    ("name", "layer", "size", "jump"),
    [
        ("torchvision:alexnet", "features.12", 195, 32),
        ("torchvision:vgg16", "features.30", 212, 32),
        ("torchvision:inception_v3", "Mixed_7c", 1311, 32),
    ],
)
def test_published_sizes(name, layer, size, jump):
    """Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks (Distill,
    2019), table of networks.
    """
    columns = receptive_field(shell(name), layer).columns
    assert (columns.size, columns.jump) == (size, jump)


def test_resnet_by_hand():
    """ResNet-50 as torchvision has it: 7, a pool of 3, then 3, 4, 6 and 3 convolutions of 3."""
    size, jump = 7, 2
    size, jump = size + 2 * jump, 4
    for stage, blocks in enumerate((3, 4, 6, 3)):
        size += 2 * jump  # torchvision strides in the first 3×3 itself, from the second stage on
        jump *= 2 if stage else 1
        size += (blocks - 1) * 2 * jump
    columns = receptive_field(shell("torchvision:resnet50"), "layer4").columns
    assert (columns.size, columns.jump) == (size, jump) == (427, 32)


# --- the network itself as judge -----------------------------------------------------------------


def reached(network: Network, layer: str, row: int, column: int, image: torch.Tensor) -> bool:
    """Whether a NaN of the image arrives at the position: whatever the weights, it spreads to all
    that the operations look at.
    """
    # other algorithms of convolution mix neighbouring windows
    with torch.no_grad(), torch.backends.mkldnn.flags(enabled=False):  # noqa: SIM117
        with taps(network, [layer], reduction=torch.clone) as tap:
            return bool(tap(image)[layer][0, :, row, column].isnan().any())


def frames(box: Box, size: int) -> list[tuple[torch.Tensor, bool]]:
    """Images with NaN outside of a box, and along each edge inside it, as far as it is inside the
    picture; and whether that must arrive.
    """
    left, top, right, bottom = box
    outside = torch.full((1, 3, size, size), float("nan"))
    outside[:, :, max(top, 0) : bottom, max(left, 0) : right] = 0
    cases = [(outside, False)]
    for horizontal, edge in ((True, top), (True, bottom - 1), (False, left), (False, right - 1)):
        if 0 <= edge < size:
            image = torch.zeros(1, 3, size, size)
            image[(..., edge, slice(None)) if horizontal else (..., edge)] = float("nan")
            cases.append((image, True))
    return cases


@pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")
@pytest.mark.parametrize(
    ("name", "size", "layers"),
    [
        ("inception_small", 96, ["conv2d0", "mixed3b", "mixed4b"]),
        ("inception_v1", 160, ["conv2d1", "mixed3b"]),
        ("inception_v1.tf_in1k", 160, ["conv2d0", "mixed3a"]),
        ("vgg11_bn", 96, ["features.10", "features.28"]),
        ("torchvision:resnet18", 96, ["layer1", "layer2"]),
        ("torchvision:shufflenet_v2_x0_5", 96, ["stage2"]),
        ("torchvision:densenet121", 96, ["features.transition1"]),
    ],
)
def test_exactly_what_reaches_a_position(name, size, layers):
    """Nothing outside of the box reaches a position, and each of its edges does."""
    network = small(name, size)
    for layer in layers:
        field = receptive_field(network, layer)
        assert not field.whole
        edges = 0
        for row, column in ((0, field.width - 1), (field.height // 2, field.width // 3)):
            for image, expected in frames(field.box(row, column), size):
                assert reached(network, layer, row, column, image) is expected
                edges += expected
        assert edges >= 2


def test_gradients_agree():
    """Over many random pictures, the pixels with a gradient fill the box, and only the box."""
    network = small("inception_small", 64)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    images = torch.rand(48, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    images.requires_grad_(True)
    with taps(network, ["mixed3a"], reduction=lambda maps: maps[:, :, 7, 8].sum()) as tap:
        (gradient,) = torch.autograd.grad(tap(images)["mixed3a"], images)
    rows, columns = gradient.abs().sum((0, 1)).nonzero().T.numpy()
    left, top, right, bottom = receptive_box(network, "mixed3a", 7, 8)
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (
        left, top, right, bottom,
    )  # fmt: skip


# --- the whole picture ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("torchvision:vit_b_32", "encoder.layers.encoder_layer_1"),
        ("torchvision:mobilenet_v3_small", "features.11"),
        ("timm:efficientnet_b0", "blocks.4"),
        ("torchvision:resnet18", "penultimate"),
    ],
)
def test_the_whole_picture(name, layer):
    """Attention, squeeze-and-excitation and the mean over all places have seen everything."""
    network = build(name, classes=("a",), seed=0)
    field = receptive_field(network, layer)
    assert field.whole
    size = network.preprocessing.size
    assert field.box(field.height - 1, 0) == (0, 0, size, size)


class Odd(nn.Module):
    """A convolution, then a step that is not what it looks like."""

    def __init__(self, step):
        super().__init__()
        self.conv, self.step, self.here = nn.Conv2d(3, 4, 3, padding=1), step, nn.Identity()
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.here(self.step(self.conv(x))).mean((2, 3)))


def _written_into(x: torch.Tensor) -> torch.Tensor:
    out = torch.zeros_like(x)
    out[:, :, 4:] = x[:, :, :-4]
    return out


def _added_to_a_part(x: torch.Tensor) -> torch.Tensor:
    x[:, :2] += torch.nn.functional.avg_pool2d(x[:, 2:], 5, 1, 2)
    return x


@pytest.mark.parametrize(
    "step",
    [
        lambda x: x.transpose(2, 3),
        lambda x: x.flip(3),
        lambda x: x.roll(1, 2),
        lambda x: x.flatten(2).softmax(2).view_as(x),
        lambda x: x * torch.nn.functional.adaptive_avg_pool2d(x, 1),
        lambda x: torch.nn.functional.layer_norm(x, x.shape[1:]),
        lambda x: torch.nn.functional.group_norm(x, 2),
        lambda x: torch.nn.functional.interpolate(x[:, :, ::2, ::2], scale_factor=2),
        lambda x: torch.cat([x[:, :, :8], x[:, :, :8]], 2),
        lambda x: x @ x,
        lambda x: torch.nn.functional.avg_pool2d(x, 16) * torch.ones(16, 16),
        _written_into,
        _added_to_a_part,
    ],
)
def test_what_cannot_be_followed_is_the_whole_picture(step):
    """A step that moves or mixes places, though shapes stay the same, is never taken for none."""
    torch.manual_seed(0)
    plain = Preprocessing(16, 16)
    network = Network("odd", Parts(Odd(step), ("here",), "head", plain), ("x", "y"))
    assert receptive_field(network, "here").whole
    body = Network("odd", Parts(Odd(nn.ReLU(inplace=True)), ("here",), "head", plain), ("x", "y"))
    assert receptive_field(body, "here").columns == Line(-1, 1, 3)


def test_a_position_that_is_none():
    """A position outside of the map is an error that tells its size."""
    network = small("inception_small", 64)
    with pytest.raises(NetworkError, match="map of 32 × 32") as caught:
        receptive_box(network, "conv2d0", 32, 0)
    assert caught.value.slug == "no-position"


# --- on the picture ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1000, 500), (333, 777), (64, 64), (100, 61), (40, 30)])
def test_on_the_picture(size):
    """The box on the picture is where the marked pixels of the network's input come from."""
    view = Preprocessing(size=48, resize=60)
    width, height = size
    ramp = np.zeros((height, width, 3), np.float32)
    ramp[..., 0], ramp[..., 1] = np.arange(width), np.arange(height)[:, None]
    seen = [
        np.asarray(
            centre_square(shorter_side(Image.fromarray(ramp[..., axis]), 60, "bilinear"), 48)
        )
        for axis in (0, 1)
    ]
    for box in ((0, 0, 48, 48), (10, 20, 31, 40), (-30, -9, 12, 60)):
        left, top, right, bottom = on_picture(
            box, width, height, size=view.size, resize=view.resize
        )
        inside = [max(box[0], 0), max(box[1], 0), min(box[2], 48) - 1, min(box[3], 48) - 1]
        x = seen[0][0, [inside[0], inside[2]]]
        y = seen[1][[inside[1], inside[3]], 0]
        # a resized pixel stands for some of the picture, and its value is that of their middle
        slack = min(size) / 60 / 2 + 1.6
        np.testing.assert_allclose([left, right], x, rtol=0, atol=slack)
        np.testing.assert_allclose([top, bottom], y, rtol=0, atol=slack)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height


def test_a_network_of_one_channel():
    """The luminance moves no pixel: its fields are those of the network in colour."""
    colour, grey = (small("inception_small", 32) for _ in range(2))
    grey.preprocessing = replace(grey.preprocessing, order="grey")
    grey._mean, grey._std = grey._mean[:, :1], grey._std[:, :1]
    for module in grey.body.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 3:
            module.weight = nn.Parameter(module.weight[:, :1])
            module.in_channels = 1
    for layer in ("conv2d0", "mixed4b"):
        assert receptive_field(grey, layer) == receptive_field(colour, layer)
        assert not receptive_field(grey, layer).whole


def test_fields_of_several_layers_are_those_of_each():
    """One forward for all layers tells what a forward for each does."""
    network = small("inception_small", 64)
    every = receptive_fields(network, network.layers)
    assert every == {layer: receptive_field(network, layer) for layer in network.layers}
