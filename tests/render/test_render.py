"""Renderings: the same for the same seed, alone or together; better than noise; no trace left."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from overpaint.device import AT_ONCE
from overpaint.errors import NetworkError
from overpaint.networks import Network, build
from overpaint.networks.parts import Parts, Preprocessing
from overpaint.render import lens, redirect, render, render_steps, single
from overpaint.render.lens import open_lens
from overpaint.render.loop import Settings, as_images
from overpaint.render.objectives import channel, diversity, logit
from overpaint.render.redirect import STEPS
from overpaint.render.rendering import status_of
from overpaint.render.setup import fourier, maco
from overpaint.render.stem import FastStem

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
        [sorted(vars(module)) for module in modules],
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


@pytest.mark.of_a_cpu
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


@pytest.mark.of_a_cpu
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
    levels = (last.pixels * 255).round().permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)
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
    assert status_of(noise, 1.0, float("nan")).startswith("the objective became nan")
    assert status_of(noise, float("inf"), 1.0).startswith("the objective is inf on the first noise")
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


def test_leaves_no_trace_between_steps():
    """Between two steps, too, the ReLUs are the network's own for who else runs it."""
    network = half_trained()
    forwards = [sorted(vars(module)) for module in network.modules()]
    with closing(render_steps(network, "top", [1], steps=2, size=24)) as loop:
        next(loop), next(loop)
        assert [sorted(vars(module)) for module in network.modules()] == forwards
        values = torch.tensor([[-1.0]], requires_grad=True)
        (slope,) = torch.autograd.grad(-network.body.relu(values).sum(), values)
        assert slope.item() == 0


@pytest.mark.parametrize(
    ("architecture", "layer", "asked"),
    [
        ("inception_small", "mixed3a", False),
        ("torchvision:resnet18", "layer2.0", False),
        ("torchvision:googlenet", "inception3a", True),
    ],
)
def test_operations_are_not_asked_about(architecture, layer, asked, monkeypatch):
    """Where ReLUs and first convolution are modules, no mode is asked about any operation; where
    ReLUs are functions one is, as long as they are redirected.
    """
    calls = []
    for mode in (redirect.RedirectedReLU, FastStem):
        real = mode.__torch_function__

        def counted(self, *call, real=real, **more):
            calls.append(type(self))
            return real(self, *call, **more)

        monkeypatch.setattr(mode, "__torch_function__", counted)
    network = build(architecture, classes=CLASSES, seed=0)
    list(render_steps(network, layer, [1], steps=2, size=32))
    assert set(calls) == ({redirect.RedirectedReLU} if asked else set())


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


@pytest.mark.of_a_cpu
def test_progress(monkeypatch):
    """Progress is told after every step as image-steps taken, and those in all."""
    monkeypatch.setattr(single, "ATTEMPTS", 1)
    told = []
    channels = list(range(AT_ONCE["cpu"] + 2))
    render(tiny(), "top", channels, steps=2, size=16, progress=lambda *now: told.append(now))
    assert told == [(5, 20), (10, 20), (15, 20), (20, 20)]


class Grey(nn.Module):
    """Sees one channel alone."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 5, stride=2)
        self.relu = nn.ReLU()
        self.head = nn.Linear(8, 2)

    def forward(self, images):
        maps = self.relu(self.conv(images.mean(1, keepdim=True)))
        return self.head(maps.mean((2, 3)))


def grey():
    return Network("grey", Parts(Grey(), ("relu",), "head", Preprocessing(size=32)), CLASSES)


class OneChannel(nn.Module):
    """Takes pictures of one channel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 5, stride=2)
        self.head = nn.Linear(8, 2)

    def forward(self, images):
        return self.head(self.conv(images).relu().mean((2, 3)))


def test_a_network_of_one_channel_is_painted_for_in_grey():
    """From end to end: drawn in grey, by name as in the default; a colour would mean nothing."""
    torch.manual_seed(0)
    view = Preprocessing(size=32, resize=32, mean=(0.5,), std=(0.25,), order="grey")
    network = Network("one", Parts(OneChannel(), ("conv",), "head", view), CLASSES).eval()
    for setup in ("fourier", "pixel", "lucid"):
        (found,) = render(network, "conv", [3], steps=24, size=32, setup=setup)
        assert np.ptp(found.image, axis=2).max() == 0
        assert found.objective_end > found.objective_start
        assert found.image.std() > 10
    (coloured,) = render(network, "conv", [3], steps=2, size=32, setup=fourier())
    assert np.ptp(coloured.image, axis=2).max() > 0


def vgg():
    """VGG 11 as far as its convolutions go."""
    torch.manual_seed(0)
    features = make_layers(cfgs["A"])
    body = nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 2))
    return Network("vgg", Parts(body, ("0.7",), "3", Preprocessing(size=32)), CLASSES)


NETWORKS = {
    "inception_v1": (lambda: build("inception_v1", classes=CLASSES, seed=0), "mixed3a", 64),
    "inception_small": (lambda: build("inception_small", classes=CLASSES, seed=0), "mixed4b", 64),
    "vgg": (vgg, "0.7", 40),
    "resnet": (lambda: build("torchvision:resnet18", classes=CLASSES, seed=0), "layer2.0", 64),
    "grey": (grey, "relu", 24),
}


@pytest.mark.parametrize(("made", "layer", "size"), NETWORKS.values(), ids=NETWORKS)
def test_networks(made, layer, size):
    """Networks of every kind are seen at the canvas's own size, and rise."""
    network = made()
    with open_lens(network, [layer], Settings(size=size).shapes) as lens:
        assert lens.side is None
    (found,) = render(network, layer, [1], steps=12, size=size)
    assert found.image.shape == (size, size, 3)
    assert found.objective_end > found.objective_start


def test_the_whole_network_runs_once():
    """In a job the network runs to its end once, however many batches and steps there are."""
    network = tiny()
    ends = []
    network.body.head.register_forward_hook(lambda *_: ends.append(1))
    render(network, "relu", list(range(11)), steps=20, size=32)
    assert len(ends) == 1


def test_float32_where_there_is_no_bfloat16(monkeypatch):
    """Without bfloat16 in the machine, or where a network cannot do it, all is float32."""
    network, seen = tiny(), []
    network.body.relu.register_forward_hook(lambda _m, _i, output: seen.append(output.dtype))
    monkeypatch.setattr(lens, "has_bfloat16", lambda _device: False)
    render(network, "relu", [1], steps=2, size=24)
    assert set(seen) == {torch.float32}
    monkeypatch.setattr(lens, "has_bfloat16", lambda _device: True)
    render(network, "relu", [1], steps=2, size=24)
    assert torch.bfloat16 in seen
    assert seen[-1] == torch.float32  # what is measured


def test_a_network_that_cannot_do_bfloat16(monkeypatch):
    """It is rendered in float32."""
    network = tiny()
    real = network.body.relu.forward

    def forward(values):
        if values.dtype != torch.float32:
            raise RuntimeError("not implemented for 'BFloat16'")
        return real(values)

    network.body.relu.forward = forward
    monkeypatch.setattr(lens, "has_bfloat16", lambda _device: True)
    (found,) = render(network, "relu", [1], steps=3, size=24)
    assert found.objective_end > found.objective_start


class Cramped:
    """Stands in for the canvas: says that memory is out for batches above a size."""

    def __init__(self, fits, error):
        self.fits, self.error, self.batches = fits, error, []

    def __call__(self, size, seeds, device):
        self.batches.append(len(seeds))
        if len(seeds) > self.fits:
            raise self.error
        return fourier().paint(size, seeds, device)


ERRORS = {
    "cpu": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 GB"),
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    "python": MemoryError(),
}


@pytest.mark.of_a_cpu
@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_a_batch_too_large(error, monkeypatch):
    """It is halved, which is said; nothing is lost, and the images are those of enough memory."""
    monkeypatch.setattr(single, "ATTEMPTS", 1)
    network, channels, said, drawn = tiny(), list(range(11)), [], []
    paint = Cramped(2, error)
    setup = replace(fourier(), paint=paint)
    found = render(network, "top", channels, steps=3, size=24, setup=setup,
                   say=said.append, drawn=drawn.append)  # fmt: skip
    assert paint.batches[:3] == [6, 3, 1]
    assert said == [
        "6 images at once do not fit in memory: going on with 3",
        "3 images at once do not fit in memory: going on with 1",
    ]
    assert sorted(each.channel for each in drawn) == channels
    plain = render(network, "top", channels, steps=3, size=24)
    assert np.array_equal(images_of(found), images_of(plain))


def test_one_image_too_large():
    """What was drawn before was told, and the message says what would help."""
    setup = replace(fourier(), paint=Cramped(0, MemoryError()))
    with pytest.raises(NetworkError, match="not enough memory for one image of 24") as caught:
        render(tiny(), "top", [1], steps=3, size=24, setup=setup)
    assert caught.value.slug == "out-of-memory"


def test_another_error_is_not_taken_for_memory():
    """A mistake in a network is raised as it is."""
    network = tiny()
    network.body.fails = 6
    with pytest.raises(OSError, match="disk is full"):
        render(network, "top", [1], steps=9, size=24)


def test_batches_fit_in_memory(monkeypatch):
    """With little memory batches are small from the start."""
    monkeypatch.setattr(lens, "free_memory", lambda _device: 3 * 1024)
    with open_lens(tiny(), ["top"], Settings(size=24).shapes) as small:
        assert small.bytes_each > 36 * 36 * 3 * 2  # at least the view itself
        assert small.at_once == 1
    monkeypatch.setattr(lens, "free_memory", lambda _device: 5 * small.bytes_each)
    assert small.at_once == 5


class Windows(Tiny):
    """Looks at its first maps in four windows, each by itself, as some transformers do."""

    def __init__(self):
        super().__init__()
        self.whole = nn.Identity()

    def forward(self, images):
        rows = self.conv(images).tensor_split(2, dim=2)
        windows = torch.cat([part for row in rows for part in row.tensor_split(2, dim=3)])
        maps = self.top(self.last(self.relu(windows)))
        return self.head(self.whole(maps.mean((2, 3)).unflatten(0, (4, -1)).mean(0)))


def test_windows_need_memory_too():
    """What is kept of windows, of which a picture has several, is reckoned as that of pictures."""
    needs = []
    for body, layer in ((Tiny(), "top"), (Windows(), "whole")):
        parts = Parts(body, ("relu", layer), "head", Preprocessing(size=36))
        with open_lens(Network("cut", parts, CLASSES), [layer], Settings(size=24).shapes) as opened:
            needs.append(opened.bytes_each)
    assert 0.7 * needs[0] < needs[1] < 1.5 * needs[0]


def test_no_number():
    """A network of weights that are no numbers is told as such, and not tried again."""
    network = tiny()
    with torch.no_grad():
        network.body.last.weight[3] = float("nan")
    broken, beside = render(network, "top", [3, 4], steps=20, size=24)
    assert broken.status == "the objective is nan on the first noise: nothing could be optimised"
    assert beside.status.startswith("the objective became nan on the way")  # 0 × nan, backwards
    assert broken.attempts == beside.attempts == 1
    (alone,) = render(network, "top", [3], steps=20, size=24)
    assert alone.steps == 0
    (above,) = render(network, "relu", [4], steps=20, size=24)
    assert above.status == "ok"


def test_a_second_attempt(monkeypatch):
    """A channel that its first noise leaves dark is found from before its ReLU, judged after it."""
    network = tiny()
    with torch.no_grad():
        network.body.last.bias[5] = -0.2
    monkeypatch.setattr(redirect, "STEPS", 0)
    (found,) = render(network, "top", [5], steps=40, size=32)
    assert (found.status, found.attempts) == ("ok", 2)
    assert found.objective_end > 0
    pixels = torch.from_numpy(found.image).permute(2, 0, 1)[None] / 255
    body = network.body
    maps = body.top(body.last(body.relu(body.conv(network.normalise(pixels)))))
    assert found.objective_end == pytest.approx(maps[0, 5].mean().item(), rel=1e-5)


def test_drawn_is_told_once_each():
    """Each rendering is told when it is final: one that is tried again after the others."""
    network, told = tiny(), []
    with torch.no_grad():
        network.body.last.weight[5] = 0
        network.body.last.bias[5] = -1.0
    found = render(network, "top", [5, 6], steps=20, size=24, drawn=told.append)
    assert [each.channel for each in told] == [6, 5]
    assert told[1] is found[0]


def test_frames():
    """Pictures on the way come with each, the first noise first and the image itself last."""
    (found,) = render(tiny(), "top", [5], steps=30, size=24, frames=5)
    assert len(found.frames) == 5
    assert np.array_equal(found.frames[-1], found.image)
    first = next(render_steps(tiny(), "top", [5], size=24))
    assert np.array_equal(found.frames[0], as_images(first.pixels)[0])


def test_objectives_of_any_kind():
    """An objective instead of a layer: a difference of channels, a class."""
    network = tiny()
    goals = [channel("top", 3) - channel("relu", 2), logit("b")]
    found = render(network, goals, steps=12, size=32)
    assert [each.name for each in found] == ["top relu", "logits"]
    assert all(each.objective_end > each.objective_start for each in found)


def test_a_group_stays_in_one_batch(monkeypatch):
    """Images that are to differ from each other are optimised together, whatever memory says."""
    monkeypatch.setattr(lens, "free_memory", lambda _device: 0)
    differ = diversity("top")
    goals = [channel("top", 3) + 10 * differ for _ in range(3)]
    found = render(tiny(), goals, steps=3, size=24)
    assert len(found) == 3
    assert not np.array_equal(found[0].image, found[1].image)


@pytest.mark.parametrize("setup", ["pixel", "lucid", "alpha", "maco"])
def test_setups(setup):
    """Each setup raises the objective, alone and together to the same picture."""
    pictures = [np.random.default_rng(0).integers(256, size=(40, 40, 3), dtype=np.uint8)]
    made = {"alpha": lambda: fourier(alpha=True), "maco": lambda: maco(pictures, 32)}
    how = {"steps": 14, "size": 32, "setup": made.get(setup, lambda: setup)()}
    together = render(tiny(), "top", [5, 7], **how)
    (alone,) = render(tiny(), "top", [7], **how)
    assert np.array_equal(together[1].image, alone.image)
    assert setup == "maco" or alone.objective_end > alone.objective_start
    assert alone.image.shape == (32, 32, 4 if setup == "alpha" else 3)


def test_no_such_setup():
    """The message names the near one."""
    with pytest.raises(NetworkError, match="did you mean 'lucid'") as caught:
        render(tiny(), "top", [1], setup="lucd")
    assert caught.value.slug == "unknown-setup"


def test_a_whole_layer_and_its_sheet(tmp_path):
    """Without channels all are drawn, and saved as one sheet with their names."""
    found = render(tiny(), "relu", steps=1, size=16)
    assert [each.channel for each in found] == list(range(16))
    found.save(tmp_path / "sheet.png")
    found.save(tmp_path / "sheet.jpg", columns=8)
    assert Image.open(tmp_path / "sheet.png").size == (4 * 24 + 8, 4 * 38 + 8)
    assert Image.open(tmp_path / "sheet.jpg").size == (8 * 24 + 8, 2 * 38 + 8)


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
