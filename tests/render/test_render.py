"""Renderings: the same for the same seed, alone or together; better than noise; no trace left."""

from contextlib import closing

import numpy as np
import pytest
import torch
from torch import nn

from overpaint.errors import NetworkError
from overpaint.networks import Network, build
from overpaint.networks.parts import Parts, Preprocessing
from overpaint.render import redirect, render, render_steps, single
from overpaint.render.lens import AT_ONCE
from overpaint.render.redirect import STEPS
from overpaint.render.rendering import status_of

CLASSES = ("a", "b")


class Tiny(nn.Module):
    """Two convolutions and a head; the forward numbered `fails` raises."""

    def __init__(self, *, inplace=False):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 5, stride=2)
        self.relu = nn.ReLU(inplace=inplace)
        self.last = nn.Conv2d(16, 32, 3)
        self.top = nn.ReLU(inplace=inplace)
        self.head = nn.Linear(32, 2)
        self.calls = self.fails = 0

    def forward(self, images):
        self.calls += 1
        if self.calls == self.fails:
            raise OSError("the disk is full")
        maps = self.top(self.last(self.relu(self.conv(images))))
        return self.head(maps.mean((2, 3)))


def tiny(*, inplace=False, size=32):
    torch.manual_seed(0)
    parts = Parts(Tiny(inplace=inplace), ("relu", "top"), "head", Preprocessing(size=size))
    return Network("tiny", parts, CLASSES)


def state_of(network):
    """All that a rendering could leave behind in a network and its process."""
    modules = list(network.modules())
    return [
        [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules],
        [module.training for module in modules],
        [weight.requires_grad for weight in network.parameters()],
        [weight.grad is None for weight in network.parameters()],
        [weight.stride() for weight in network.parameters()],
        network.digest,
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002 - the state nobody may touch
        torch.is_grad_enabled(),
    ]


def half_trained():
    """A network with some of everything that must be kept."""
    network = tiny()
    network.train()
    network.body.relu.eval()
    network.body.conv.weight.requires_grad_(False)
    return network


def images_of(renderings):
    return [rendering.image for rendering in renderings]


def test_rises():
    """The objective rises far above its start on every channel, and the status is ok."""
    network = build("inception_small", classes=CLASSES, seed=0)
    for found in render(network, "mixed3a", [1, 2], steps=24, size=64):
        assert found.objective_end > 5 * found.objective_start
        assert found.status == "ok"
        assert (found.image.shape, found.image.dtype) == ((64, 64, 3), np.uint8)


def test_objective_of_the_image():
    """The objective at the end is the channel's mean on the very image that is given."""
    network = tiny()
    (found,) = render(network, "top", [7], steps=5, size=31)
    pixels = torch.from_numpy(found.image).permute(2, 0, 1)[None] / 255
    body = network.body
    maps = body.top(body.last(body.relu(body.conv(network.normalise(pixels)))))
    assert found.objective_end == pytest.approx(maps[0, 7].mean().item(), rel=1e-5)


@pytest.mark.parametrize("architecture", ["inception_small", "torchvision:resnet18"])
def test_alone_and_together(architecture):
    """A channel's image is bit for bit the same alone, in a batch, and in a batch that is cut."""
    network = build(architecture, classes=CLASSES, seed=0)
    layer = network.layers[2]
    together = render(network, layer, [3, 0, 5], steps=8, size=32)
    (alone,) = render(network, layer, [5], steps=8, size=32)
    assert np.array_equal(together[2].image, alone.image)
    assert together[2].objective_end == alone.objective_end
    assert together[2].seed == alone.seed


def test_batches():
    """More channels than fit one batch come in their order, each as if it were alone."""
    network = tiny()
    channels = list(range(AT_ONCE["cpu"] + 1))[::-1]
    many = render(network, "top", channels, steps=4, size=24)
    assert [each.channel for each in many] == channels
    for each in (many[0], many[-1]):
        (alone,) = render(network, "top", [each.channel], steps=4, size=24)
        assert np.array_equal(alone.image, each.image)


def test_twice():
    """Two runs are identical, another seed gives another image, and so does another channel."""
    network = tiny()
    first, again = (images_of(render(network, "top", [1, 2], steps=6, size=24)) for _ in "ab")
    assert np.array_equal(first, again)
    other = images_of(render(network, "top", [1], steps=6, size=24, seed=1))
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[0], first[1])


def test_two_networks_start_alike():
    """Two networks start from the same noise for the same channel."""
    starts = [
        next(render_steps(build("inception_small", classes=CLASSES, seed=seed), "mixed4b", [3]))
        for seed in (0, 1)
    ]
    assert torch.equal(starts[0].pixels, starts[1].pixels)


def test_steps_are_render_s():
    """The open loop ends with the image that the one call gives."""
    network = tiny()
    *_, last = render_steps(network, "top", [4, 9], steps=5, size=24)
    levels = (last.pixels * 255).round().permute(0, 2, 3, 1).numpy().astype(np.uint8)
    assert last.number == 5
    assert np.array_equal(levels, images_of(render(network, "top", [4, 9], steps=5, size=24)))


@pytest.mark.parametrize("layer", ["last", "top"])
def test_in_place(layer):
    """ReLUs that work in place give the image and the numbers that others give."""
    (plain,), (inplace,) = (
        render(tiny(inplace=inplace), layer, [2], steps=STEPS + 3, size=24)
        for inplace in (False, True)
    )
    assert np.array_equal(plain.image, inplace.image)
    assert plain.objective_start == inplace.objective_start
    assert plain.objective_end == inplace.objective_end


@pytest.mark.parametrize("layer", ["conv1", "bn1", "relu", "layer1.0.bn1"])
def test_in_place_network(layer):
    """Layers before, at and after a ReLU in place can be rendered in a residual network."""
    network = build("torchvision:resnet18", classes=CLASSES, seed=0)
    (found,) = render(network, layer, [3], steps=3, size=32)
    assert found.objective_end > found.objective_start


def test_escapes_a_dark_start(monkeypatch):
    """A channel that is off everywhere on its first noise is found by the redirected gradient."""
    network = tiny()
    with torch.no_grad():
        network.body.last.bias[5] = -0.2
    (found,) = render(network, "top", [5], steps=60, size=32)
    assert found.objective_start == 0
    assert found.objective_end > 0
    assert found.status == "ok"
    monkeypatch.setattr(redirect, "STEPS", 0)
    monkeypatch.setattr(single, "ATTEMPTS", 1)
    (stuck,) = render(network, "top", [5], steps=60, size=32)
    assert stuck.objective_end == 0


def test_dead_channel():
    """A channel that nothing excites is rendered with a sentence that says so."""
    network = tiny()
    with torch.no_grad():
        network.body.last.weight[5] = 0
        network.body.last.bias[5] = -1.0
    (found,) = render(network, "top", [5], steps=3, size=24)
    assert found.status == (
        "the objective did not rise: 0 at the start, 0 at the end (the best of 3 attempts)"
    )
    assert found.attempts == 3


def test_status():
    """A grey image and an objective that is no number are told, and a good image is ok."""
    noise = np.random.default_rng(0).integers(256, size=(9, 9, 3), dtype=np.uint8)
    assert status_of(noise, 0.0, 1.0) == "ok"
    assert status_of(noise, -2.0, -1.0) == "ok"
    assert status_of(noise, 1.0, 1.005).startswith("the objective did not rise: 1 at the start")
    assert status_of(noise, 1.0, float("nan")) == "the objective is nan"
    assert status_of(noise // 64 + 126, 0.0, 1.0).startswith("the image is grey")


def test_leaves_no_trace():
    """A network, its gradients and the random states are as they were."""
    network = half_trained()
    before = state_of(network)
    render(network, "top", [1], steps=2, size=24)
    assert state_of(network) == before


def test_leaves_no_trace_when_the_network_raises():
    """Also when the network raises in the middle of a step."""
    network = half_trained()
    network.body.fails = 5
    before = state_of(network)
    with pytest.raises(OSError, match="disk is full") as caught:
        render(network, "top", [1], steps=9, size=24)
    assert state_of(network) == before  # while the exception, and with it the frames, still lives
    del caught


def test_leaves_no_trace_when_interrupted():
    """Also when the user interrupts."""
    network = half_trained()
    before = state_of(network)

    def interrupt(done, _total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        render(network, "top", [1], steps=9, size=24, progress=interrupt)
    assert state_of(network) == before
    del caught


def test_leaves_no_trace_when_closed():
    """Also when the open loop is left early."""
    network = half_trained()
    before = state_of(network)
    with closing(render_steps(network, "top", [1], steps=9, size=24)) as loop:
        next(loop)
        next(loop)
        assert state_of(network) != before
    assert state_of(network) == before


def test_frozen_inside():
    """While it runs, no weight asks for a gradient and no module is in training mode."""
    network = half_trained()
    with closing(render_steps(network, "top", [1], steps=2, size=24)) as loop:
        next(loop)
        assert not any(weight.requires_grad for weight in network.parameters())
        assert not any(module.training for module in network.modules())


def test_without_gradients_around():
    """A caller who has switched gradients off gets the same image."""
    network = tiny()
    with torch.no_grad():
        off = images_of(render(network, "top", [1], steps=4, size=24))
    assert np.array_equal(off, images_of(render(network, "top", [1], steps=4, size=24)))


def seen_by(network, channels):
    """The pictures of the first step's forward."""
    seen = []
    handle = network.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    list(render_steps(network, "top", channels, steps=1, size=32))
    handle.remove()
    return seen[-1].detach()


def test_no_black_is_seen():
    """While the canvas is mid-grey noise, no pixel that the network sees is black."""
    images = seen_by(tiny(), [1, 2])
    assert images.shape == (2, 3, 44, 44)
    assert (images < 0.02).float().mean() == 0
    assert images.mean().item() == pytest.approx(0.5, abs=0.02)


def test_draws_of_its_own():
    """Each image of a batch meets its own transforms: their grey surrounds differ."""
    surround = seen_by(tiny(), [1, 2]) == 0.5
    assert surround.any(dim=(1, 2, 3)).all()
    assert (surround[0] != surround[1]).float().mean() > 0.02


def test_never_in_a_batch_of_one():
    """A lone image is run as two: torch's convolutions of a single one round differently."""
    assert seen_by(tiny(), [1]).shape[0] == 2


def test_fixed_size():
    """A network that takes one size of picture alone sees the canvas resized to it."""
    network = build("timm:vit_tiny_patch16_224", classes=CLASSES, seed=0)
    (found,) = render(network, network.layers[0], [3], steps=2, size=40)
    assert found.image.shape == (40, 40, 3)
    assert found.objective_end > found.objective_start


def test_progress(monkeypatch):
    """Progress is told after every step as image-steps taken, and those in all."""
    monkeypatch.setattr(single, "ATTEMPTS", 1)
    told = []
    channels = list(range(AT_ONCE["cpu"] + 2))
    render(tiny(), "top", channels, steps=2, size=16, progress=lambda *now: told.append(now))
    assert told == [(5, 20), (10, 20), (15, 20), (20, 20)]


def test_unknown_layer():
    """An unknown layer is refused, and the message lists the near names."""
    with pytest.raises(NetworkError, match="did you mean 'top'") as caught:
        render(tiny(), "topp", [1])
    assert caught.value.slug == "unknown-layer"


@pytest.mark.parametrize("index", [32, -1])
def test_no_such_channel(index):
    """A channel out of range is refused, and the message says how many there are."""
    with pytest.raises(NetworkError, match=r"has 32 channels, 0\.\.31") as caught:
        render(tiny(), "top", [0, index])
    assert caught.value.slug == "no-channel"


def test_nothing_asked():
    """No channels, no renderings."""
    assert render(tiny(), "top", []) == []
