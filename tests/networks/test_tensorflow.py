"""InceptionV1 as TensorFlow computes it: the padding, the normalisation, the variant."""

import numpy as np
import pytest
import torch

from overpaint.errors import NetworkError
from overpaint.networks import build, load, network_of, open_network, save_weights
from overpaint.networks.taps import channels_of
from overpaint.networks.tensorflow import LocalResponseNorm, SameConv2d, SameMaxPool2d
from overpaint.records import manifest, write_json

TF = "inception_v1.tf_in1k"


def norm_by_the_book(x, radius, bias, alpha, beta):
    """TensorFlow's documentation, channel by channel."""
    out = np.empty_like(x)
    for channel in range(x.shape[1]):
        window = x[:, max(channel - radius, 0) : channel + radius + 1]
        out[:, channel] = x[:, channel] / (bias + alpha * (window**2).sum(1)) ** beta
    return out


@pytest.mark.parametrize("constants", [(5, 1, 1, 0.5), (5, 2, 1e-4, 0.5), (2, 1, 0.02, 0.75)])
def test_response_norm(constants):
    """The normalisation is the documented one, with an undivided alpha and 2r + 1 channels."""
    norm = LocalResponseNorm()
    norm.load_state_dict({"constants": torch.tensor(constants)})
    x = np.random.default_rng(0).normal(0, 30, (2, 24, 3, 4))
    found = norm(torch.from_numpy(x).float()).numpy()
    np.testing.assert_allclose(found, norm_by_the_book(x, *constants), rtol=1e-4)


def test_stem_padding():
    """At 224 pixels, the 7 × 7 stem sees two zeros left and above, three right and below."""
    conv = SameConv2d(1, 1, 7, 2, bias=False)
    x = torch.randn(1, 1, 224, 224)
    by_hand = torch.zeros(1, 1, 229, 229)
    by_hand[..., 2:226, 2:226] = x
    expected = torch.nn.functional.conv2d(by_hand, conv.weight, stride=2)
    assert expected.shape == (1, 1, 112, 112)
    torch.testing.assert_close(conv(x), expected)


@pytest.mark.parametrize("size", [14, 15])
def test_pool_padding(size):
    """An even side is padded at its end alone, an odd one on both; padding never wins."""
    x = -torch.rand(1, 2, size, size) - 1
    before = size % 2
    by_hand = np.full((1, 2, size + 2, size + 2), -np.inf)
    by_hand[..., before : size + before, before : size + before] = x.numpy()
    steps = -(-size // 2)
    expected = [
        [by_hand[..., 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].max((2, 3)) for j in range(steps)]
        for i in range(steps)
    ]
    found = SameMaxPool2d(3, 2)(x)
    np.testing.assert_array_equal(found.permute(2, 3, 0, 1).numpy(), np.float32(expected))


def test_variant():
    """The variant has TensorFlow's widths and preprocessing; without a tag it is Caffe's."""
    network = build(TF, classes=("a", "b"), seed=0)
    widths = channels_of(network, network.layers)
    assert (widths["mixed4a"], widths["mixed5b"]) == (508, 1024)
    assert network.body.get_submodule("mixed5a_5x5_bottleneck_pre_relu").out_channels == 48
    red = torch.tensor([1.0, 0, 0]).reshape(1, 3, 1, 1)
    seen = network.normalise(red).flatten()
    torch.testing.assert_close(seen, torch.tensor([138.0, -117, -117]), rtol=0, atol=1e-4)
    plain = load("inception_v1", weights="random")
    assert plain.architecture == "inception_v1"
    assert plain.preprocessing.order == "BGR"
    assert not any("constants" in name for name in plain.tensors())


def test_any_side():
    """It takes pictures of any size."""
    network = build(TF, classes=("a",), seed=0).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 3, 131, 131)).shape == (1, 1)


def test_constants_travel(tmp_path):
    """The constants of the normalisation are saved with the weights and come back."""
    network = load(TF, weights="random", seed=3)
    assert network.architecture == TF
    assert network.body.localresponsenorm0.constants.tolist() == pytest.approx([5, 2, 1e-4, 0.5])
    constants = torch.tensor([4, 1, 1, 0.75])
    network.body.localresponsenorm1.load_state_dict({"constants": constants})
    facts = {
        "architecture": network.architecture,
        "classes": ["untrained"],
        "multi_label": False,
        "weights": save_weights(network, tmp_path / "weights.safetensors"),
    }
    made = manifest("network", inputs={}, settings={}, seed=0, facts=facts)
    write_json(tmp_path / "manifest.json", made)
    again = open_network(tmp_path)
    assert torch.equal(again.body.localresponsenorm1.constants, constants)
    assert again.digest == network.digest


def test_variants_do_not_mix():
    """Weights of one variant do not fit the other, and the message names the first misfit."""
    tensors = build(TF, classes=("a",), seed=0).tensors()
    with pytest.raises(NetworkError, match=r"localresponsenorm0\.constants") as caught:
        network_of("inception_v1", tensors, where="x")
    assert caught.value.slug == "weights-misfit"
