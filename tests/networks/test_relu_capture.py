"""What a ReLU was given can be read in any network, and the network gives what it gave."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from overpaint.errors import NetworkError
from overpaint.networks import build
from overpaint.networks.relu_capture import RememberedReLU, before
from overpaint.networks.taps import taps
from overpaint.render.redirect import RedirectedReLU

VALUES = torch.tensor([[-1.0, 2.0, 9.0]])
CALLS = {
    "nn.ReLU": nn.ReLU(),
    "nn.ReLU(inplace)": nn.ReLU(inplace=True),
    "functional.relu": functional.relu,
    "torch.relu_": torch.relu_,
    "Tensor.relu_": lambda values: values.relu_(),
    "nn.ReLU6(inplace)": nn.ReLU6(inplace=True),
    "functional.hardtanh": lambda values: functional.hardtanh(values, 0.0, 6.0),
}


@pytest.mark.parametrize("name", CALLS)
def test_remembered(name):
    """By whichever call, in place or not, a ReLU gives its values, and its input is known."""
    wanted = CALLS[name](VALUES.clone())
    with RememberedReLU():
        after = CALLS[name](VALUES.clone())
    assert torch.equal(after, wanted)
    assert torch.equal(before(after), VALUES)


def test_others():
    """What is no ReLU's own output has nothing before it, nor has one outside the block."""
    with RememberedReLU():
        assert before(torch.relu(VALUES) + 1) is None
        assert before(functional.hardtanh(VALUES)) is None
    assert before(torch.relu(VALUES)) is None


def test_side_by_side():
    """Outputs of ReLUs side by side come from their inputs side by side."""
    with RememberedReLU():
        parts = [torch.relu(VALUES), functional.relu6(2 * VALUES)]
        for after in (torch.cat(parts, 1), torch.cat(tensors=parts, dim=1)):
            assert torch.equal(before(after), torch.cat([VALUES, 2 * VALUES], 1))
        assert before(torch.cat([parts[0], VALUES], 1)) is None


def seen(network, layer, images):
    with torch.no_grad(), taps(network, [layer], reduction=torch.clone) as tap:
        return tap(images)[layer]


@pytest.fixture(scope="module")
def images():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("architecture", "layer"),
    [
        ("inception_small", "mixed4b"),
        ("inception_small", "conv2d0"),
        ("torchvision:resnet18", "layer2.1"),
        ("torchvision:resnet18", "layer3"),
        ("torchvision:googlenet", "inception4a"),
        ("torchvision:squeezenet1_1", "features.1"),
        ("timm:resnet10t", "layer2"),
    ],
)
def test_before_a_layer_s_relu(architecture, layer, images):
    """In networks of all kinds, the ReLU of what is read is what the layer gives."""
    network = build(architecture, classes=("a", "b"), seed=0)
    given, after = seen(network, f"{layer}_pre_relu", images), seen(network, layer, images)
    assert given.min() < 0
    assert torch.equal(given.relu(), after)


def test_before_a_residual_s_relu(images):
    """What the ReLU at the end of a residual block is given is the sum of its two branches."""
    network = build("torchvision:resnet18", classes=("a", "b"), seed=0)
    found = seen(network, "layer1.1_pre_relu", images)
    inputs, branch = (seen(network, layer, images) for layer in ("layer1.0", "layer1.1.bn2"))
    torch.testing.assert_close(found, inputs + branch)


def test_no_relu(images):
    """A layer that does not end in a ReLU has nothing before it."""
    network = build("inception_small", classes=("a", "b"), seed=0)
    with pytest.raises(NetworkError, match="'maxpool0' does not end in a ReLU") as caught:
        seen(network, "maxpool0_pre_relu", images)
    assert caught.value.slug == "no-relu"
    with pytest.raises(NetworkError, match="no layer 'mixed9_pre_relu'"):
        seen(network, "mixed9_pre_relu", images)


def test_redirected_too(images):
    """What a ReLU is given is read of a redirected one as well, which keeps its gradient."""
    network = build("torchvision:resnet18", classes=("a", "b"), seed=0)
    values = torch.full((1, 4), -1.0, requires_grad=True)
    with RedirectedReLU(), RememberedReLU():
        after = nn.ReLU(inplace=True)(values * 1)
        assert torch.equal(before(after), values)
        (slope,) = torch.autograd.grad(-after.sum(), values)
    assert slope.tolist() == [[-1.0] * 4]
    plain = seen(network, "layer2_pre_relu", images)
    with RedirectedReLU():
        assert torch.equal(seen(network, "layer2_pre_relu", images), plain)


def test_logits(images):
    """The logits are what the network says."""
    network = build("torchvision:squeezenet1_1", classes=("a", "b", "c"), seed=0)
    found = seen(network, "logits", images)
    with torch.no_grad():
        assert torch.equal(found, network.eval()(images))
