"""Training: exactly what the recipe names is changed, and it learns."""

import numpy as np
import pytest
import torch

from overpaint.batches import pixels_of
from overpaint.datasets import open_dataset
from overpaint.errors import NetworkError
from overpaint.networks import build, tensor_digests
from overpaint.study import FolderEntry
from overpaint.training.fit import check_frozen, child_of, fit, optimiser_of, predict
from overpaint.training.plan import plan
from overpaint.training.recipe import PRESETS, recipe

PARENT = build("inception_small", classes=("x", "y", "z"), seed=11)


@pytest.fixture
def colours(pictures, tmp_path):
    return open_dataset(
        "colours", FolderEntry(kind="folder", root=pictures), workplace=tmp_path / "w"
    )[0]


def trained(colours, preset: str, **overrides):
    the_recipe = recipe(preset, {"epochs": 2, "batch_size": 8, **overrides})
    child, the_plan = child_of(PARENT, colours, the_recipe, seed=3)
    return fit(child, the_plan, colours, the_recipe, seed=3)


UPPER = ("mixed", "head")  # in the small network the upper half begins at mixed3a


@pytest.mark.parametrize("preset", PRESETS)
def test_what_each_preset_changes(colours, preset):
    """The named tensors change in the training, all others are bit-equal, statistics too."""
    result = trained(colours, preset)
    before, after = (tensor_digests(n.tensors()) for n in (result.start, result.network))
    changed = {name for name in before if before[name] != after[name]}
    expected = {
        "frozen": {name for name in before if name.startswith("head.")},
        "end_from_scratch": {name for name in before if name.startswith(UPPER)},
    }.get(preset, set(before))
    assert changed == expected


@pytest.mark.parametrize("preset", PRESETS)
def test_what_each_preset_draws(colours, preset):
    """Before the training, what is not drawn anew is the parent's, bit for bit."""
    start, _ = child_of(PARENT, colours, recipe(preset), seed=3)
    parent, child = tensor_digests(PARENT.tensors()), tensor_digests(start.tensors())
    kernels = [name for name in parent if name.endswith(".0.weight") or name.startswith("head")]
    drawn = {name for name in kernels if parent[name] != child[name]}
    upper = {name for name in kernels if name.startswith(UPPER)}
    head = {"head.weight", "head.bias"}
    assert drawn == {"end_from_scratch": upper, "from_scratch": set(kernels)}.get(preset, head)


@pytest.mark.parametrize("preset", PRESETS)
def test_learning_rates_by_group(preset):
    """The head has head_lr, the backbone backbone_lr; only backbone kernels are penalised."""
    network, the_recipe = build("inception_small", classes=("a",), seed=0), recipe(preset)
    groups = {group["name"]: group for group in optimiser_of(network, the_recipe).param_groups}
    assert groups["head"]["lr"] == the_recipe.head_lr
    assert groups["backbone kernels"]["lr"] == the_recipe.backbone_lr
    assert groups["backbone others"]["lr"] == the_recipe.backbone_lr
    assert groups["backbone kernels"]["weight_decay"] == 2 * the_recipe.weight_penalty
    assert groups["head"]["weight_decay"] == groups["backbone others"]["weight_decay"] == 0


def test_the_papers_upper_half():
    """In the paper's network the upper half begins at mixed4a."""
    network = build("inception_v1", classes=("a",), seed=0)
    found = plan(network, recipe("end_from_scratch"))
    assert found.first == "mixed4a"
    below = {name for name in network.tensors() if name not in found.trained}
    assert {name.split("_")[0] for name in below} == {
        "conv2d0", "conv2d1", "conv2d2", "mixed3a", "mixed3b"}  # fmt: skip


def test_it_learns(colours):
    """Red is told from blue after a few epochs."""
    result = trained(colours, "mode_a", epochs=15, head_lr=0.05, backbone_lr=0.05, selection="last")
    assert result.history[-1].train_loss < result.history[0].train_loss / 2
    test = colours.split("test")
    assert (predict(result.network, test).argmax(1) == test.labels).all()


def test_same_seed_same_weights(colours):
    """Two trainings with one seed give the same bits; another seed gives others."""
    one, two = (trained(colours, "mode_a", crop="random", flip=True).network for _ in range(2))
    assert one.digest == two.digest
    the_recipe = recipe("mode_a", {"epochs": 2, "batch_size": 8})
    child, the_plan = child_of(PARENT, colours, the_recipe, seed=4)
    assert fit(child, the_plan, colours, the_recipe, seed=4).network.digest != one.digest


def test_workers_change_nothing(colours):
    """Pictures decoded by worker processes are those that are kept in memory."""
    pixels = pixels_of(colours.split("train"), PARENT.preprocessing)
    pixels.draw(np.random.default_rng(0), crop=True, flip=True)
    pixels.kept = None
    from_disk = torch.stack([pixels[n] for n in range(len(pixels))])
    pixels.keep()
    assert pixels.kept is not None
    assert torch.equal(from_disk, torch.stack([pixels[n] for n in range(len(pixels))]))


def test_best_epoch_is_kept(colours):
    """The weights are those of the epoch with the least validation loss, and it is marked."""
    history = trained(colours, "mode_a", epochs=4, head_lr=0.05).history
    best = [row for row in history if row.best]
    assert len(best) == 1
    assert best[0].val_loss == min(row.val_loss for row in history)


def test_divergence_is_told(colours):
    """A loss that is no number stops the training with the step and the learning rates."""
    the_recipe = recipe("mode_a", {"batch_size": 8})
    child, the_plan = child_of(PARENT, colours, the_recipe, seed=3)
    with torch.no_grad():
        next(child.parameters())[0] = torch.inf
    with pytest.raises(NetworkError, match="learning rates") as caught:
        fit(child, the_plan, colours, the_recipe, seed=3)
    assert caught.value.slug == "diverged"


def test_frozen_that_moved_is_noticed(colours):
    """If a frozen tensor changes by a single bit, the check at the end objects."""
    result = trained(colours, "frozen", epochs=1)
    with torch.no_grad():
        next(result.network.parameters())[0, 0, 0, 0] += 1e-6
    with pytest.raises(NetworkError) as caught:
        check_frozen(result.start, result.network, result.plan)
    assert caught.value.slug == "frozen-moved"


def test_unknown_layer_in_a_recipe(colours):
    """A layer that the network lacks is named with the close one."""
    with pytest.raises(NetworkError, match="did you mean 'mixed4a'"):
        plan(PARENT, recipe("mode_a", {"train": "from mixed4aa"}))
