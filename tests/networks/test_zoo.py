"""Networks of timm and torchvision: the layers worth reading, and what is read of them."""

import numpy as np
import pytest
import timm
import torch

import overpaint
from overpaint.networks import build, describe, load, open_network, save_weights
from overpaint.networks.taps import taps
from overpaint.networks.zoo import pretrained
from overpaint.records import manifest, write_json
from overpaint.study.recipe import recipe
from overpaint.training.fit import child_of


def read_by_hand(network, layer, images):
    """What a module gives, copied by a plain hook, and what the taps make of it."""
    kept = []
    module = network.body.get_submodule(layer)
    handle = module.register_forward_hook(lambda _module, _in, out: kept.append(out.clone()))
    with torch.inference_mode(), taps(network, [layer]) as tap:
        seen = tap(images)[layer].numpy()
    handle.remove()
    return kept[0].numpy(), seen


def noise(size, count=2):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    ("name", "layer", "prefix"),
    [
        ("timm:vit_tiny_patch16_224", "blocks.11", 1),
        ("timm:deit_tiny_distilled_patch16_224", "blocks.5", 2),
        ("timm:vit_small_patch14_reg4_dinov2", "blocks.2", 5),
        ("torchvision:vit_b_16", "encoder.layers.encoder_layer_3", 1),
    ],
)
def test_patches_alone(name, layer, prefix):
    """Features of a vision transformer are means over its patches: no class, no registers."""
    network = build(name, classes=("a", "b"), seed=0)
    raw, seen = read_by_hand(network, layer, noise(network.preprocessing.size))
    places = (network.preprocessing.size // (14 if "patch14" in name else 16)) ** 2
    assert raw.shape[1] == places + prefix
    np.testing.assert_allclose(seen, raw[:, prefix:].mean(1), rtol=1e-4, atol=1e-5)
    assert not np.allclose(seen, raw.mean(1), rtol=1e-3, atol=1e-4)
    assert len(network.layers) == 12
    assert not network.any_size


def test_patches_before_the_class_token():
    """Where the patches are still alone, none of them is taken for a class token."""
    network = build("timm:vit_tiny_patch16_224", classes=("a",), seed=0)
    raw, seen = read_by_hand(network, "patch_embed", noise(224))
    assert raw.shape[1] == 196
    np.testing.assert_allclose(seen, raw.mean(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("torchvision:swin_t", [96, 96, 192, 192, 384, 384, 768, 768]),
        ("timm:swin_tiny_patch4_window7_224", [96, 192, 384, 768]),
    ],
)
def test_channels_that_stand_last(name, widths):
    """Swin's maps have their channels last: they are counted and averaged as channels."""
    network = build(name, classes=("a", "b"), seed=0)
    assert network.channels_last
    layers = list(network.layers)
    with torch.inference_mode(), taps(network, layers) as tap:
        assert [values.shape[1] for values in tap(noise(224)).values()] == widths
    raw, seen = read_by_hand(network, layers[-1], noise(224))
    assert raw.shape == (2, 7, 7, widths[-1])
    np.testing.assert_allclose(seen, raw.mean((1, 2)), rtol=1e-4, atol=1e-5)


def test_a_convolution_puts_its_channels_first():
    """Inside Swin, the convolution of the patches still gives (N, C, H, W)."""
    network = build("torchvision:swin_t", classes=("a",), seed=0)
    raw, seen = read_by_hand(network, "features.0.0", noise(224))
    np.testing.assert_allclose(seen, raw.mean((2, 3)), rtol=1e-4, atol=1e-5)


VGG19 = (64,) * 2 + (128,) * 2 + (256,) * 4 + (512,) * 8


def test_vgg19():
    """VGG19 has sixteen layers, each a convolution read after its ReLU."""
    network = build("torchvision:vgg19", classes=("a", "b"), seed=0)
    convolutions = [network.filters[layer][0] for layer in network.layers]
    bodies = [network.body.get_submodule(name) for name in convolutions]
    assert tuple(each.out_channels for each in bodies) == VGG19
    kept = {}
    for name, module in zip(convolutions, bodies, strict=True):
        module.register_forward_hook(
            lambda _m, _i, out, name=name: kept.update({name: out.clone()})
        )
    with torch.inference_mode(), taps(network, network.layers) as tap:
        seen = tap(noise(64, 1))
    for layer, name in zip(network.layers, convolutions, strict=True):
        before = kept[name].numpy()
        assert before.min() < 0
        expected = np.maximum(before, 0).mean((2, 3))
        np.testing.assert_allclose(seen[layer].numpy(), expected, rtol=1e-4, atol=1e-6)


def test_resnet50():
    """ResNet50 is read after the ReLU of its stem and of its four stages, as they run."""
    network = build("torchvision:resnet50", classes=("a", "b"), seed=0)
    assert network.layers == ("relu", "layer1", "layer2", "layer3", "layer4")
    assert network.filters == {"relu": ("conv1",)}
    widths = []
    for layer in network.layers:
        raw, seen = read_by_hand(network, layer, noise(64))
        assert raw.min() == 0
        np.testing.assert_allclose(seen, raw.mean((2, 3)), rtol=1e-4, atol=1e-5)
        widths.append(seen.shape[1])
    assert widths == [64, 256, 512, 1024, 2048]


def test_normalised_convolutions():
    """A normalisation between a convolution and its ReLU is no layer of its own."""
    network = build("torchvision:vgg11_bn", classes=("a",), seed=0)
    assert len(network.layers) == 8
    for layer in network.layers:
        assert isinstance(network.body.get_submodule(layer), torch.nn.ReLU)
        assert isinstance(network.body.get_submodule(network.filters[layer][0]), torch.nn.Conv2d)


def test_a_second_head_is_silent():
    """A distilled network built for other classes listens to its first head alone."""
    network = build("timm:deit_tiny_distilled_patch16_224", classes=("a", "b"), seed=0).eval()
    with torch.inference_mode(), taps(network, ["penultimate"]) as tap:
        seen = tap(noise(224))["penultimate"]
        expected = network.body.head(seen) / 2
        torch.testing.assert_close(network(noise(224)), expected)


def unpublished(monkeypatch):
    """Let timm make networks with random weights where it would download them."""
    made = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, **o: made(name, **o))


def test_published_without_a_head(monkeypatch):
    """Weights without a classifier get one, the same each time, so that a child can be made."""
    unpublished(monkeypatch)
    found, classes = pretrained("timm:vit_small_patch14_dinov2.lvd142m")
    assert classes == 1
    torch.rand(1)  # the state of torch's generator does not matter
    again, _ = pretrained("timm:vit_small_patch14_dinov2.lvd142m")
    assert torch.equal(found.body.head.weight, again.body.head.weight)


def test_squeezenet():
    """A head may be a convolution."""
    network = load("torchvision:squeezenet1_1", weights="random")
    assert network.head == "classifier.1"
    assert network.layers[0] == "features.1"


@pytest.mark.parametrize(
    "name",
    [
        "timm:mixer_s32_224",  # mean and deviation 0.5, a crop of 0.875, bicubic
        "timm:test_vit.r160_in1k",  # 160 pixels, a crop of 0.95
        "torchvision:googlenet",  # it changes what it is given
        "inception_v1.tf_in1k",
    ],
)
def test_a_child_of_a_child(name, pictures, tmp_path):
    """Two trainings on, a network still sees pictures as its weights want, at the same layers."""
    first = load(name, weights="random", seed=1)
    dataset = overpaint.dataset(pictures)
    parent = first
    for generation in (1, 2):
        child, _ = child_of(parent, dataset, recipe("frozen"), seed=generation)
        weights = save_weights(child, tmp_path / "weights.safetensors")
        facts = {**describe(child), "weights": weights}
        made = manifest("network", inputs={}, settings={}, seed=0, facts=facts)
        write_json(tmp_path / "manifest.json", made)
        parent = open_network(tmp_path)
    assert parent.classes == ("blue", "red")
    told = ("architecture", "preprocessing", "layers", "head", "filters", "any_size")
    for fact in (*told, "prefix_tokens", "channels_last"):
        assert getattr(parent, fact) == getattr(first, fact), fact
    size = first.preprocessing.size
    images = noise(size)
    with (
        torch.inference_mode(),
        taps(first, first.layers) as before,
        taps(parent, first.layers) as after,
    ):
        one, two = before(images), after(images)
    for layer in first.layers:
        assert torch.equal(one[layer], two[layer]), layer


def test_published_twins_see_alike():
    """What torchvision publishes changes its input; a network built for a child of it does too."""
    network = build("torchvision:inception_v3", classes=("a",), seed=0)
    assert network.body.transform_input
    assert network.body.AuxLogits is None
