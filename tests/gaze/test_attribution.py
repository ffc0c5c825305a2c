"""Attributions against the formulas written out, and against what was planted."""

import copy

import numpy as np
import pytest
import timm
import torch
from torch import nn

from overpaint.errors import MissingExtraError, NetworkError
from overpaint.gaze import captum
from overpaint.gaze.attribution import (
    METHODS,
    TOLERANCE,
    as_images,
    attribute,
    attributions,
    by_place,
    last_map,
    mean_colour,
    own_method,
    rank_correlation,
    rollout,
    with_weights_dealt_out,
)
from overpaint.networks import build
from overpaint.networks.own import wrap
from overpaint.networks.taps import taps

SIZE = 32
PLAIN = {"size": SIZE, "mean": [0.5] * 3, "std": [0.25] * 3}


class Linear(nn.Module):
    """A linear classifier of pixels."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one = nn.Conv2d(3, 4, 4, stride=4)
        self.head = nn.Linear(4 * (SIZE // 4) ** 2, 2)

    def forward(self, pictures):
        return self.head(self.one(pictures).flatten(1))


class Red(nn.Module):
    """Says "lit" by how red a picture is; a second channel sees green, and counts for nothing."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 2, 4, stride=4), nn.ReLU())
        self.head = nn.Linear(2, 2)
        with torch.no_grad():
            self.maps[0].weight.zero_()
            self.maps[0].bias.zero_()
            self.maps[0].weight[0, 0] = 1
            self.maps[0].weight[0, 1] = -1
            self.maps[0].weight[1, 1] = 1
            self.head.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))

    def forward(self, pictures):
        return self.head(self.maps(pictures).mean(dim=(2, 3)))


def wrapped(module):
    return wrap(module.eval(), preprocessing=PLAIN, classes=("dark", "lit"), head="head")


def vit(depth=2, **how):
    """A transformer of timm's with weights that do something."""
    torch.manual_seed(0)
    body = timm.create_model(
        "vit_tiny_patch16_224", img_size=SIZE, patch_size=8, embed_dim=24, depth=depth, num_heads=2,
        num_classes=2, **how,
    )  # fmt: skip
    for parameter in body.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.2)
    return wrap(body.eval(), preprocessing=PLAIN, classes=("dark", "lit"))


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(256, size=(SIZE, SIZE, 3), dtype=np.uint8)


def test_integrated_gradients_of_a_linear_network_are_its_weights_times_the_way(picture):
    """Each pixel has w × (x − b), b the mean colour, and the sum misses nothing."""
    network = wrapped(Linear())
    images = as_images([picture])
    [found] = attributions(network, images, [1], "integrated_gradients")
    leaf = images.clone().requires_grad_()
    (weights,) = torch.autograd.grad(network(leaf)[0, 1], leaf)
    expected = (weights * (images - mean_colour(network, images))).sum(dim=1)[0]
    assert np.allclose(found.values, expected.numpy(), atol=1e-6)
    assert found.gap < 1e-4
    assert found.steps == 32


def test_integrated_gradients_sum_up_to_the_difference_of_logits(picture):
    """Also of a network with bends, within the tolerance that is told."""
    network = build("inception_small", classes=("dark", "lit"), seed=0)
    picture = np.tile(picture, (2, 2, 1))
    images = as_images([picture])
    [found] = attributions(network, images, [0], "integrated_gradients")
    network.eval()
    with torch.no_grad():
        way = network(images)[0, 0] - network(mean_colour(network, images))[0, 0]
    assert abs(found.values.sum() - float(way)) == pytest.approx(
        found.gap * abs(float(way)), abs=1e-4
    )
    assert found.gap <= TOLERANCE


def test_grad_cam_is_the_maps_weighed_by_their_mean_gradients(picture):
    """relu(sum over channels of mean gradient × map), written out by hand."""
    network = build("inception_small", classes=("dark", "lit"), seed=0)
    images = as_images([np.tile(picture, (2, 2, 1))])
    for target in (0, 1):
        [found] = attributions(network, images, [target], "grad_cam")
        network.eval()
        with taps(network, ["mixed5a"], reduction=lambda maps: maps, stop=False) as tap:
            maps = tap(images)["mixed5a"].detach().requires_grad_()
        logit = network.body.head(network.body.avgpool(maps).flatten(1))[0, target]
        (gradient,) = torch.autograd.grad(logit, maps)
        by_hand = (gradient.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1).clamp(min=0)[0]
        assert np.allclose(found.values, by_hand.detach().numpy(), atol=1e-6)


def test_rollout_of_two_tokens_by_hand():
    """Two blocks of two heads: R = (1 + E₂)(1 + E₁), E the mean positive part of A × gradient."""
    rng = torch.Generator().manual_seed(0)
    attention = [torch.rand(1, 2, 2, 2, generator=rng) for _ in range(2)]
    gradient = [torch.randn(1, 2, 2, 2, generator=rng) for _ in range(2)]
    first, second = (
        sum(
            np.maximum(a[0, head].numpy() * g[0, head].numpy(), 0) for head in range(2)
        ) / 2
        for a, g in zip(attention, gradient, strict=True)
    )  # fmt: skip
    by_hand = (np.eye(2) + second) @ (np.eye(2) + first)
    assert np.allclose(rollout(attention, gradient)[0].numpy(), by_hand, atol=1e-6)


@pytest.mark.parametrize("how", [{}, {"global_pool": "avg"}, {"reg_tokens": 2}])
def test_a_transformer_is_rolled_out_and_left_as_it_was(picture, how):
    """The map has a place a patch; attention is as fast as before, and no hook stays."""
    network = vit(**how)
    before = network(as_images([picture]))
    fused = [block.attn.fused_attn for block in network.body.blocks]
    [found] = attributions(network, as_images([picture]), [1], "rollout")
    assert found.values.shape == (SIZE // 8, SIZE // 8)
    assert (found.values >= 0).all()
    assert np.ptp(found.values) > 0
    assert [block.attn.fused_attn for block in network.body.blocks] == fused
    assert not any(block.attn.attn_drop._forward_hooks for block in network.body.blocks)
    assert torch.equal(network(as_images([picture])), before)


def test_a_rollout_that_fails_leaves_attention_as_it_was(picture, monkeypatch):
    """An error in the middle puts everything back."""
    network = vit()
    fused = [block.attn.fused_attn for block in network.body.blocks]
    monkeypatch.setattr(network.body.norm, "forward", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        attributions(network, as_images([picture]), [1], "rollout")
    assert [block.attn.fused_attn for block in network.body.blocks] == fused
    assert not any(block.attn.attn_drop._forward_hooks for block in network.body.blocks)


@pytest.mark.parametrize("method", ["integrated_gradients", "grad_cam"])
def test_a_network_that_looks_at_one_corner_is_seen_to(method):
    """All that speaks for "lit" lies in the corner that is red, and nothing in the green one."""
    picture = np.full((SIZE, SIZE, 3), 127.5).astype(np.uint8)
    picture[:8, 24:] = (255, 0, 0)
    picture[24:, :8] = (0, 255, 0)
    found = np.abs(attribute(wrapped(Red()), picture, label="lit", method=method).values)
    side = len(found) // 4
    assert found[:side, 3 * side :].sum() > 0.98 * found.sum() > 0
    assert found[3 * side :, :side].sum() == 0


def test_attention_to_one_patch_is_seen_by_the_rollout():
    """Where all tokens attend to one patch alone, that patch has all for one of the classes."""
    network = vit(depth=1)
    attention = network.body.blocks[0].attn
    spot = 1 + 4 * 1 + 2  # the token behind that of the class, of row 1, column 2

    class Spotlight(nn.Module):
        def forward(self, weights):
            return weights * torch.nn.functional.one_hot(torch.tensor(spot), weights.shape[-1])

    attention.attn_drop = nn.Sequential(Spotlight(), nn.Identity())
    picture = np.random.default_rng(1).integers(256, size=(SIZE, SIZE, 3), dtype=np.uint8)
    maps = [attributions(network, as_images([picture]), [at], "rollout")[0].values for at in (0, 1)]
    elsewhere = np.ones((4, 4), bool)
    elsewhere[1, 2] = False
    assert max(each[1, 2] for each in maps) > 0
    assert all((each[elsewhere] == 0).all() for each in maps)


def test_weights_dealt_out_are_the_same_numbers_in_another_order():
    """Within each tensor, by the seed; the network itself keeps its own."""
    network = build("inception_small", classes=("dark", "lit"), seed=0)
    before = {name: tensor.clone() for name, tensor in network.tensors().items()}
    dealt, again, other = (with_weights_dealt_out(network, seed).tensors() for seed in (0, 0, 1))
    name = "mixed4a_3x3_pre_relu.0.weight"
    assert torch.equal(dealt[name].flatten().sort().values, before[name].flatten().sort().values)
    assert not torch.equal(dealt[name], before[name])
    assert torch.equal(dealt[name], again[name])
    assert not torch.equal(dealt[name], other[name])
    assert all(torch.equal(tensor, before[each]) for each, tensor in network.tensors().items())


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_map(picture, method):
    """Map and check are the same to the bit; another seed deals out other weights."""
    network = vit() if method == "rollout" else wrapped(Linear())
    one, two, other = (
        attribute(copy.deepcopy(network), picture, label="lit", method=method, seed=seed)
        for seed in (0, 0, 1)
    )
    assert one.values.tobytes() == two.values.tobytes() == other.values.tobytes()
    assert one.randomised.tobytes() == two.randomised.tobytes()
    assert one.randomised.tobytes() != other.randomised.tobytes()
    assert -1 <= one.alike <= 1


def test_the_method_goes_with_the_network():
    """A transformer is rolled out, a convolutional network has Grad-CAM at its last map."""
    small = build("inception_small", classes=("dark", "lit"), seed=0)
    assert (own_method(small), last_map(small)) == ("grad_cam", "mixed5a")
    assert (own_method(vit()), last_map(vit())) == ("rollout", None)


def test_what_cannot_be_is_told(picture):
    """Each refusal names what would be right."""
    small, transformer = build("inception_small", classes=("dark", "lit"), seed=0), vit()
    for network, how, slug in (
        (small, {"method": "rollout"}, "no-attention"),
        (transformer, {"method": "grad_cam"}, "no-map"),
        (small, {"method": "gradcam"}, "unknown-method"),
        (small, {"label": "lite"}, "unknown-class"),
        (small, {"label": 2}, "unknown-class"),
        (
            wrap(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), preprocessing=PLAIN, head=False),
            {},
            "no-head",
        ),
    ):
        with pytest.raises(NetworkError) as told:
            attribute(network, picture, **how)
        assert told.value.slug == slug


def test_without_captum_the_extra_is_named(picture, monkeypatch):
    """Grad-CAM says what to install; a rollout needs nothing more."""
    monkeypatch.setitem(__import__("sys").modules, "captum", None)
    monkeypatch.setitem(__import__("sys").modules, "captum.attr", None)
    with pytest.raises(MissingExtraError, match=r"overpaint\[attribution\]"):
        attribute(wrapped(Linear()), picture, method="integrated_gradients")
    assert attribute(vit(), picture, method="rollout").values.size
    assert captum.has_captum.__doc__


def test_places_and_ranks():
    """Fine maps are compared in squares; a map that is the same everywhere has no rank."""
    fine = np.zeros((64, 64), np.float32)
    fine[:4, :4] = -1
    assert by_place(fine).shape == (16, 16)
    assert by_place(fine)[0, 0] == 1
    assert rank_correlation(fine, np.ones_like(fine)) is None
    assert rank_correlation(fine, -fine) == -1
