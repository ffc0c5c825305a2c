"""Dreaming on a picture: by the paper's steps, in octaves, with no trace left in the network."""

import numpy as np
import pytest
import torch

from overpaint.errors import NetworkError
from overpaint.networks import build
from overpaint.networks.taps import taps
from overpaint.render import dream
from overpaint.render.dreaming import octave_shapes
from overpaint.render.objectives import channel, deepdream, score

NETWORK = build("inception_small", classes=("a", "b"), seed=0)
PICTURE = np.random.default_rng(0).integers(60, 200, (48, 64, 3), dtype=np.uint8)


def value(picture, objective):
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255
    with torch.no_grad(), taps(NETWORK, objective.layers, reduction=torch.clone) as tap:
        return score([objective], tap(pixels)).item()


def test_one_step_is_the_paper_s():
    """A pixel moves by the rate times the gradient over its mean size, up to the last level."""
    objective = channel("conv2d0", 5)
    pixels = (torch.from_numpy(PICTURE).permute(2, 0, 1)[None] / 255).requires_grad_()
    with taps(NETWORK, ["conv2d0"], reduction=torch.clone) as tap:
        maps = tap(pixels)["conv2d0"]
    (gradient,) = torch.autograd.grad(maps[:, 5].mean(), pixels)
    wanted = (pixels + 0.01 * gradient / gradient.abs().mean()).clamp(0, 1)
    found = dream(NETWORK, PICTURE, objective, steps=1)
    levels = (wanted[0].permute(1, 2, 0) * 255).detach().numpy()
    assert np.abs(found - levels).max() < 0.51


@pytest.mark.parametrize("octaves", [1, 2])
def test_the_objective_rises(octaves):
    """Up for an objective, down for its negative; the picture keeps its shape."""
    for objective in (channel("mixed3a", 3), deepdream("mixed3b")):
        found = dream(NETWORK, PICTURE, objective, steps=8, octaves=octaves)
        assert found.shape == PICTURE.shape
        assert value(found, objective) > 1.05 * value(PICTURE, objective)
    lower = dream(NETWORK, PICTURE, -channel("mixed3a", 3), steps=8)
    assert value(lower, channel("mixed3a", 3)) < value(PICTURE, channel("mixed3a", 3))


def test_nothing_dreamt_is_the_picture():
    """Where nothing excites the objective anywhere, the picture stays, in every octave."""
    dead = build("inception_small", classes=("a", "b"), seed=0)
    with torch.no_grad():
        for weight in dead.parameters():
            weight.zero_()
    found = dream(dead, PICTURE, channel("mixed3a", 3), steps=2, octaves=2)
    assert np.abs(found.astype(int) - PICTURE).max() <= 1


def test_octaves():
    """Each is 1.4 times as large as the one before, and none is too small to see anything in."""
    assert octave_shapes((64, 90), 9) == [(33, 46), (46, 64), (64, 90)]
    assert octave_shapes((20, 20), 3) == [(20, 20)]


def test_progress_and_no_trace():
    """Progress is told over all octaves; frozen weights and modes are as they were."""
    told = []
    NETWORK.train()
    dream(NETWORK, PICTURE, channel("mixed3a", 3), steps=2, octaves=2,
          progress=lambda *now: told.append(now))  # fmt: skip
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert NETWORK.training
    assert all(weight.requires_grad for weight in NETWORK.parameters())
    assert not any(module._forward_hooks for module in NETWORK.modules())


def test_a_network_of_one_size():
    """A transformer sees the picture at its own size, and changes it at the picture's."""
    vit = build("timm:vit_tiny_patch16_224", classes=("a", "b"), seed=0)
    found = dream(vit, PICTURE, channel(vit.layers[0], 3), steps=1)
    assert found.shape == PICTURE.shape
    assert (found != PICTURE).any()


def test_unknown():
    """A layer and a channel that are not there are refused."""
    with pytest.raises(NetworkError, match="did you mean"):
        dream(NETWORK, PICTURE, channel("mixed3", 3))
    with pytest.raises(NetworkError, match="there is no 999"):
        dream(NETWORK, PICTURE, channel("mixed3a", 999))
