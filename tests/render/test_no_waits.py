"""A step asks nothing of the device and sends nothing there: neither waits for the other."""

from contextlib import ExitStack

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from overpaint.networks import build
from overpaint.render import redirect
from overpaint.render.lens import open_lens
from overpaint.render.loop import Goal, Settings, ascend
from overpaint.render.objectives import channel, deepdream, direction, diversity, logit, neuron
from overpaint.render.setup import SETUPS, Setup, fourier, maco
from overpaint.render.transforms import Transform, View

META = torch.device("meta")
"""Stands in for a GPU: its tensors have no values that could be asked for."""

ASKING = {
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.equal.default,
}
"""What needs values on the host; whose shape depends on values, as of a mask, fails by itself."""


class Waits(TorchDispatchMode):
    """Inside the block, notes what a GPU would wait for, or be waited for."""

    def __init__(self):
        super().__init__()
        self.noted = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.lift_fresh.default:
            self.noted.append("a tensor is made of numbers of the host")
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if func in ASKING and any(tensor.device == META for tensor in given):
            self.noted.append(f"{func} asks for values")
            return 1.0
        result = func(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        if len({tensor.device for tensor in [*given, *made] if tensor.ndim}) > 1:
            self.noted.append(f"{func} sends")
        return result


@pytest.fixture(autouse=True)
def _two_redirected_steps(monkeypatch):
    monkeypatch.setattr(redirect, "STEPS", 2)


def waits(objectives, setup, steps=4, lenses=1):
    """What a run notes of each step but the first, in which the objectives are sent."""
    network = build("inception_small", classes=("a", "b"), seed=0).to(META)
    goals = [Goal((objective,) * lenses, seed) for seed, objective in enumerate(objectives)]
    layers = list(dict.fromkeys(layer for goal in goals for layer in goal.layers(0)))
    settings = Settings(steps=steps, size=64, setup=setup)
    noted = []
    with ExitStack() as stack:
        many = [
            stack.enter_context(open_lens(network, layers, settings.shapes)) for _ in range(lenses)
        ]
        loop = ascend(many, goals, settings)
        next(loop)
        for _ in range(steps):
            with Waits() as watch:
                next(loop)
            noted.append(watch.noted)
    return noted[1:]


DIFFER = diversity("mixed4b")
GOALS = {
    "channels": [channel("mixed4b", 3), channel("mixed4b", 5)],
    "difference": [channel("mixed4b", 3) - 2 * channel("mixed3a", 1)],
    "neurons": [neuron("mixed4b", 3), neuron("mixed4b", 3, (1, 2))],
    "directions": [
        direction("mixed4b", np.ones(152)),
        direction("mixed4b", np.ones(152), cosine_power=2, position="centre"),
    ],
    "deepdream": [deepdream("mixed3b")],
    "logit": [logit(1)],
    "diversity": [channel("mixed4b", 3) + 10 * DIFFER for _ in range(3)] + [channel("mixed3a", 1)],
    "before a ReLU": [channel("mixed4b_pre_relu", 3)],
}


@pytest.mark.parametrize("kind", GOALS)
def test_objectives(kind):
    """Whatever is to be excited, redirected and not, on a step after the first nobody waits."""
    assert waits(GOALS[kind], fourier()) == [[]] * 3


@pytest.mark.parametrize("setup", ["fourier", "pixel"])
def test_setups(setup):
    """Nor for what a canvas is painted on; with two networks neither."""
    assert waits(GOALS["channels"], SETUPS[setup](), lenses=2) == [[]] * 3


SENDING = {
    "lucid": (SETUPS["lucid"], 1),
    "alpha": (lambda: fourier(alpha=True), 2),
    "maco": (lambda: maco([np.zeros((64, 64, 3), np.uint8)], 64), 2),
}


@pytest.mark.parametrize("setup", SENDING)
def test_what_is_drawn_anew_is_sent_but_not_asked_for(setup):
    """What is as large as a picture is drawn a step before it is shown, and only sent."""
    made, pictures = SENDING[setup]
    noted = waits(GOALS["channels"][:pictures], made(), steps=2)
    assert all(noted)
    assert {told.endswith("sends") or "is made" in told for told in noted[0]} == {True}
    assert not any("asks" in told for told in noted[0])


@pytest.mark.parametrize("bad", ["value", "sum", "tensor", "numpy"])
def test_it_would_be_noticed(bad):
    """A step that asks for a value, or makes a tensor of what the host has, is found out."""
    with Waits() as watch:
        torch.tensor([2.0], device=META)
    if bad == "tensor" and not watch.noted:
        pytest.skip("this torch tells nobody of tensors that are made so")
    assert all(waits(GOALS["channels"], shown_by(lambda images: spoilt(images, bad)), steps=2))


def test_a_mask_would_be_noticed():
    """Indexing by a mask, whose result is as large as its values say, fails on the stand-in."""
    with pytest.raises(NotImplementedError, match="nonzero"):
        waits(GOALS["channels"], shown_by(lambda images: images[images > 2]), steps=2)


def spoilt(images, bad):
    if bad == "value" and images.mean().item() > 2:
        return images
    if bad == "sum":
        return images * float(images.detach().sum())
    if bad == "tensor":
        return images * torch.tensor([2.0], device=images.device)
    if bad == "numpy":
        return images * torch.from_numpy(np.ones(1)).to(images)
    return images


def shown_by(show):
    """A setup whose views are shown so."""

    def ahead(shape, _draws, steps, _device):
        return iter([View(show, shape)] * steps)

    return Setup(paint=fourier().paint, views=lambda *_: Transform(ahead), border=0)
