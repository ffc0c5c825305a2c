"""An epoch asks nothing of the device but its looks, and sends nothing there once it has begun."""

from collections import Counter
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import overpaint.pixels.batches
from overpaint.datasets.folder import FolderEntry
from overpaint.datasets.opening import open_dataset
from overpaint.networks import build
from overpaint.study.recipe import recipe
from overpaint.training import fit as fitting
from overpaint.training.fit import _Loop, _Supervised, child_of
from overpaint.training.optimiser import optimiser_of

META = torch.device("meta")
"""Stands in for a GPU: its tensors have no values that could be asked for."""

ATEN = torch.ops.aten


class Waits(TorchDispatchMode):
    """Inside the block, counts what a GPU would wait for, or be waited for."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        there = any(tensor.device == META for tensor in given)
        if there and func in (ATEN._local_scalar_dense.default, ATEN.equal.default):
            self.counts["asked"] += 1
            return 1.0
        if (
            there
            and func is ATEN._to_copy.default
            and (kwargs or {}).get("device") == torch.device("cpu")
        ):
            self.counts["fetched"] += 1
            return torch.ones(given[0].shape, dtype=given[0].dtype)
        result = func(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        if len({tensor.device for tensor in [*given, *made] if tensor.ndim}) > 1:
            self.counts["sent"] += 1
        return result


@pytest.fixture
def colours(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(overpaint.pixels.batches, "has_own_memory", lambda _device: True)
    entry = FolderEntry(kind="folder", root=pictures)
    return open_dataset("colours", entry, workplace=tmp_path / "w")[0]


def waits(colours, monkeypatch, *, batch_size, learn=None, **options):
    """What an epoch of batches of this size counts; `learn` takes the place of a step."""
    the_recipe = recipe("mode_a", {"batch_size": batch_size, "crop": "random", "flip": True,
                                   **options})  # fmt: skip
    parent = build("inception_small", classes=("x", "y", "z"), seed=11)
    child, the_plan = child_of(parent, colours, the_recipe, 3)
    loop = _Loop(child, the_plan, colours, the_recipe, 3)
    child.to(META)
    loop.loss_of.to(META)
    loop.recipe, loop.plan, loop.before, loop.average = the_recipe, the_plan, 0, None
    loop.steps, loop.ready = 100, _Supervised(child, loop.auxiliary.to(META))
    loop.optimiser = optimiser_of(child, the_recipe, loop.auxiliary.parameters())
    loop.accelerator = SimpleNamespace(
        device=META,
        process_index=0,
        num_processes=1,
        autocast=nullcontext,
        backward=lambda loss: loss.backward(),
        clip_grad_norm_=torch.nn.utils.clip_grad_norm_,
    )
    if learn:
        monkeypatch.setattr(_Loop, "_learn", learn)
    loop.train.keep()
    loop.train.settle(META)
    try:
        assert loop.train.resident is not None
        with Waits() as watch:
            loop._epoch(1, None)
    finally:
        loop.train.resident = None
    return watch.counts


RECIPES = {
    "sgd": {},
    "rmsprop": {"optimiser": "rmsprop"},
    "adam": {"optimiser": "adam"},
    "clipped": {"clip_norm": 1.0},
    "mixed": {"mixup": 0.2, "cutmix": 1.0},
    "smoothed": {"label_smoothing": 0.1, "class_weights": "balanced"},
    "accumulated": {"grad_accumulation": 2},
    "deep": {"auxiliary": [0.3, 0.3], "dropout": 0.3},
    "by step": {"schedule": "cosine_by_step", "warmup": 0.1},
}


@pytest.mark.parametrize("kind", RECIPES)
def test_an_epoch_of_more_batches_sends_no_more(colours, monkeypatch, kind):
    """Whether an epoch has 2 batches or 9, as much is sent, and one look and the mean are asked."""
    few, many = (waits(colours, monkeypatch, batch_size=size, **RECIPES[kind]) for size in (8, 2))
    assert few == many
    assert few["fetched"] == few["asked"] == 1  # the look at the end of the epoch, and its mean
    assert few["sent"] <= 2  # the order of the pictures; their corners and mirrors


def test_looks_are_the_only_questions(colours, monkeypatch):
    """With a look every other batch there are as many fetches, and nothing else is asked."""
    monkeypatch.setattr(fitting, "LOOK", 2)
    counts = waits(colours, monkeypatch, batch_size=2)
    assert counts["fetched"] == 5  # after batches 2, 4, 6, 8 and 9
    assert counts["asked"] == 1


LEARN = _Loop._learn


@pytest.mark.parametrize("bad", ["value", "rows", "tensor"])
def test_it_would_be_noticed(colours, monkeypatch, bad):
    """A step that asks for its loss, sends its rows or makes a tensor of numbers is found out."""

    def learn(loop, pixels, rows, *rest):
        if bad == "rows":
            rows = torch.zeros(len(rows), dtype=torch.int64).to(META)
        loss = LEARN(loop, pixels, rows, *rest)
        if bad == "value":
            float(loss)
        if bad == "tensor":
            loss = loss * torch.tensor([2.0, 3.0]).to(META).mean()
        return loss

    counts = waits(colours, monkeypatch, batch_size=2, learn=learn)
    assert counts["asked" if bad == "value" else "sent"] > 8
