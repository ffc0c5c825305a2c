"""Training: exactly what the recipe names is changed, and it learns."""

import dataclasses

import numpy as np
import pytest
import torch

import overpaint.pixels.batches
import overpaint.training.optimiser
from overpaint.datasets.folder import FolderEntry
from overpaint.datasets.opening import open_dataset
from overpaint.errors import NetworkError
from overpaint.networks import build
from overpaint.networks.network import tensor_digests
from overpaint.pixels.batches import Pixels, pixels_of
from overpaint.study.recipe import PLAIN, PRESETS, PUBLISHED, Recipe, recipe
from overpaint.training.auxiliary import AuxiliaryHeads
from overpaint.training.checkpoint import Checkpoint
from overpaint.training.fit import _Loop, check_frozen, child_of, fit, predict
from overpaint.training.optimiser import optimiser_of
from overpaint.training.plan import plan
from overpaint.training.schedule import decay, plateau, rates_at

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


GRADIENT_PRESETS = [name for name in PRESETS if PRESETS[name].get("optimiser") != "linear_svm"]

UPPER = ("mixed", "head")  # in the small network the upper half begins at mixed3a


@pytest.mark.parametrize("preset", GRADIENT_PRESETS)
def test_what_each_preset_changes(colours, preset):
    """The named tensors change in the training, all others are bit-equal, statistics too."""
    result = trained(colours, preset)
    before, after = (tensor_digests(n.tensors()) for n in (result.start, result.network))
    changed = {name for name in before if before[name] != after[name]}
    head = {name for name in before if name.startswith("head.")}
    expected = {
        "frozen": head,
        "linear_probe": head,
        "end_from_scratch": {name for name in before if name.startswith(UPPER)},
        "lora": head | {name for name in before if result.start.tensors()[name].ndim > 1},
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


RATES = {  # head, backbone; as the protocol has them, sections 2.1 to 2.3
    "mode_a": (1e-2, 1e-3), "mode_b": (1e-3, 1e-4), "mode_c": (1e-3, 1e-3),
    "mode_d": (1e-3, 1e-4), "mode_e": (1e-3, 1e-3), "mode_f": (1e-2, 1e-2),
    "frozen": (1e-2, 0), "end_from_scratch": (1e-4, 1e-4), "from_scratch": (1e-3, 1e-3),
    "linear_probe": (1e-3, 0), "lp_ft": (5e-5, 5e-5), "modern_cnn": (1e-3, 2e-4),
    "modern_vit": (1e-3, 2e-4), "lora": (1e-3, 2e-3),
}  # fmt: skip


@pytest.mark.parametrize("preset", GRADIENT_PRESETS)
def test_rates_of_each_preset(preset):
    """At the first step, warm-up apart, the rates are those that the protocol gives."""
    rates = rates_at(recipe(preset, {"warmup": 0}), 0, 1, [], steps=9)
    assert (rates["head"], rates["backbone"]) == RATES[preset]


@pytest.mark.parametrize("preset", [p for p in GRADIENT_PRESETS if recipe(p).optimiser in PLAIN])
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
    pixels.decoded = None
    from_disk = torch.stack([pixels[n] for n in range(len(pixels))])
    pixels.keep()
    assert pixels.decoded is not None
    assert torch.equal(from_disk, torch.stack([pixels[n] for n in range(len(pixels))]))


@pytest.mark.parametrize("options", [{}, {"crop": "random", "flip": True}, {"crop": "resized"}])
def test_pixels_on_the_device_change_nothing(colours, monkeypatch, options):
    """Trained by gathers of a device's pixels, by slices and by decoding: the same weights."""
    by_slices = trained(colours, "mode_a", **options).network.digest
    monkeypatch.setattr(overpaint.pixels.batches, "has_own_memory", lambda _device: True)
    assert trained(colours, "mode_a", **options).network.digest == by_slices
    monkeypatch.setattr(Pixels, "keep", lambda _pixels: None)
    overpaint.pixels.batches._shared.cache_clear()
    assert trained(colours, "mode_a", **options).network.digest == by_slices


def test_divergence_names_its_step(colours, monkeypatch):
    """Looked at every so often, the step that is named is the first whose loss was no number."""
    learn = _Loop._learn

    def failing(loop, pixels, rows, epoch, number, in_epoch):
        loss = learn(loop, pixels, rows, epoch, number, in_epoch)
        return loss * torch.nan if (epoch, number) == (2, 5) else loss

    monkeypatch.setattr(_Loop, "_learn", failing)
    with pytest.raises(NetworkError, match="at step 14 of epoch 2"):  # 9 of the first epoch, 5
        trained(colours, "mode_a", batch_size=2)


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw"])
def test_optimisers_are_fused_on_a_gpu_only(monkeypatch, optimiser):
    """One kernel for many weights where the network is on CUDA; on a CPU its bits stay."""
    the_recipe = Recipe(optimiser=optimiser)
    assert not optimiser_of(PARENT, the_recipe).defaults.get("fused")
    monkeypatch.setattr(
        overpaint.training.optimiser, "device_of", lambda _network: torch.device("cuda")
    )
    assert optimiser_of(PARENT, the_recipe).defaults["fused"]


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


def test_the_optimiser_gets_the_rates(colours, monkeypatch):
    """At every step the head's group has the head's rate, the others the backbone's, decayed."""
    seen = []
    step = torch.optim.SGD.step

    def noted(optimiser, *rest, **more):
        seen.append({group["name"]: group["lr"] for group in optimiser.param_groups})
        return step(optimiser, *rest, **more)

    monkeypatch.setattr(torch.optim.SGD, "step", noted)
    trained(colours, "mode_a", lr_decay=0.5)
    assert len(seen) == 4  # 2 epochs of 2 whole batches
    for number, rates in enumerate(seen):
        factor = 1 / (1 + 0.5 * number)
        assert rates["head"] == pytest.approx(1e-2 * factor)
        assert rates["backbone kernels"] == rates["backbone others"]
        assert rates["backbone others"] == pytest.approx(1e-3 * factor)


def test_as_published_does_what_the_runs_did():
    """The presets that differ from their names do what was published, overrides still win."""
    assert rates_at(recipe("mode_a", {"as_published": True}), 0, 1, [], steps=9)["head"] == 1e-3
    assert rates_at(recipe("mode_b", {"as_published": True}), 0, 1, [], steps=9)["head"] == 1e-4
    assert recipe("end_from_scratch", {"as_published": True}).flip is False
    assert recipe("from_scratch", {"as_published": True}).crop == "slide"
    assert recipe("mode_a", {"as_published": True, "head_lr": 0.5}).head_lr == 0.5
    assert PUBLISHED.keys() <= PRESETS.keys()
    for name in PUBLISHED:
        assert recipe(name) != recipe(name, {"as_published": True, **PRESETS[name]})


def test_plateau_halves_as_keras_does():
    """Halved when 5 epochs brought nothing, at most every 6, and never below 1e-5."""
    losses = [2.0, 1.0, 1.0, 0.99995, 1.0, 1.0]  # the fourth is better by too little
    assert [plateau(losses[:count]) for count in range(1, 7)] == [1.0] * 6
    assert plateau([*losses, 1.0]) == 0.5
    assert plateau([*losses, *[1.0] * 6]) == 0.5  # one epoch of rest, then five
    assert plateau([*losses, *[1.0] * 7]) == 0.25
    falling = Recipe(schedule="plateau", lr_decay=0)
    assert rates_at(falling, 9, 9, [1.0] * 100, steps=9) == {"head": 1e-5, "backbone": 1e-5}
    assert rates_at(falling, 9, 9, [1.0, 0.5], steps=9)["head"] == 1e-2


def test_step_schedule_is_googlenets():
    """lr0 × 0.96 ** floor((e + 1) / 8), e from 0 (protocol, section 2.1)."""
    stepping = recipe("from_scratch")
    for epoch in range(1, 40):
        twin = 0.96 ** ((epoch - 1 + 1) // 8)
        assert decay(stepping, 12345, epoch, 99) == pytest.approx(twin)


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "rmsprop"])
def test_each_optimiser_learns(colours, optimiser):
    """The loss falls with each of them, and the right class of torch does it."""
    rates = {"sgd": 0.02, "adam": 2e-3, "rmsprop": 1e-3}
    lr = rates[optimiser]
    result = trained(colours, "mode_a", optimiser=optimiser, epochs=6, head_lr=lr, backbone_lr=lr)
    assert result.history[-1].train_loss < result.history[0].train_loss
    made = optimiser_of(PARENT, Recipe(optimiser=optimiser))
    assert type(made).__name__.lower() == optimiser


def test_clipping_bounds_the_step(colours):
    """With plain SGD no step moves all weights together by more than the rate times the norm."""
    options = {"clip_norm": 0.01, "momentum": 0.0, "weight_penalty": 0.0, "lr_decay": 0.0,
               "head_lr": 0.1, "backbone_lr": 0.1, "epochs": 1, "batch_size": 16}  # fmt: skip
    clipped, free = (trained(colours, "mode_a", **{**options, "clip_norm": norm})
                     for norm in (0.01, None))  # fmt: skip
    assert _moved(clipped) <= 0.1 * 0.01 * 1.001
    assert _moved(free) > 0.1 * 0.01 * 2


def _moved(result) -> float:
    start = dict(result.start.body.named_parameters())
    moves = [(each.detach() - start[name].detach()).flatten()
             for name, each in result.network.body.named_parameters()]  # fmt: skip
    return float(torch.cat(moves).norm())


def test_dropout_only_while_training(colours):
    """Dropout changes what is learnt, and leaves nothing behind in the network."""
    plain, dropped = (trained(colours, "mode_c", dropout=share) for share in (0.0, 0.5))
    assert plain.network.digest != dropped.network.digest
    head = dropped.network.body.get_submodule("head")
    assert not head._forward_pre_hooks
    again = trained(colours, "mode_c", dropout=0.5)
    assert again.network.digest == dropped.network.digest


def test_deep_supervision_reaches_what_lies_below(colours):
    """The auxiliary losses alter the layers below them, and the heads are not kept."""
    plain, deep = trained(colours, "mode_c"), trained(colours, "mode_e")
    assert plain.start.digest == deep.start.digest
    assert not torch.equal(plain.network.tensors()["conv2d0_pre_relu.0.weight"],
                           deep.network.tensors()["conv2d0_pre_relu.0.weight"])  # fmt: skip
    assert deep.network.tensors().keys() == plain.network.tensors().keys()
    assert not deep.network.body.get_submodule("mixed4b")._forward_hooks


def test_the_loss_of_deep_supervision(colours):
    """Main loss + 0.3 + 0.3 of the auxiliary heads, the heads of the protocol's shape."""
    network = build("inception_v1", classes=("a", "b"), seed=0)
    heads = AuxiliaryHeads(network, 2, dropout=0.0, seed=0)
    assert heads.layers == ("mixed4a", "mixed4d")
    shapes = [tuple(each.shape) for each in heads.parameters()]
    assert shapes == [(128, 512, 1, 1), (128,), (2, 2048), (2,), (128, 528, 1, 1), (128,),
                      (2, 2048), (2,)]  # fmt: skip
    with heads.listening(network), torch.inference_mode():
        network.eval()(torch.zeros(1, 3, 224, 224))
        assert [tuple(each.shape) for each in heads()] == [(1, 2), (1, 2)]


def test_the_crop_that_slides(colours):
    """The shorter side is the crop's own, so the crop moves along the longer one only."""
    view = pixels_of(
        colours.split("train"),
        dataclasses.replace(PARENT.preprocessing, resize=PARENT.preprocessing.size),
    )
    view.draw(np.random.default_rng(0), crop=True, flip=False)
    high, wide = view._decode(0).shape[:2]
    assert (high, wide) == (64, 73)
    assert view[0].shape == (3, 64, 64)
    assert trained(colours, "from_scratch", as_published=True).history


class Killed(BaseException):
    """What ends a process, as far as a training can see."""


def killed_after(batches: int):
    """An advance that ends the training after so many reports."""
    seen = []

    def advance(*_):
        seen.append(1)
        if len(seen) > batches:
            raise Killed

    return advance


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("mode_a", {"crop": "random", "flip": True, "dropout": 0.3}),
        ("from_scratch", {"auxiliary_dropout": 0.5, "clip_norm": 1.0}),
        ("end_from_scratch", {"selection": "last"}),
        ("mode_b", {"optimiser": "rmsprop", "schedule": "plateau"}),
        ("frozen", {}),
    ],
)
def test_a_killed_training_goes_on_to_the_same_bits(colours, tmp_path, preset, options):
    """Killed in the third epoch and begun again: weights and history of an unbroken one."""
    the_recipe = recipe(preset, {"epochs": 4, "batch_size": 8, **options})
    checkpoint = Checkpoint(tmp_path / "state.pt", "key")

    def begin(**more):
        child, the_plan = child_of(PARENT, colours, the_recipe, seed=3)
        return fit(child, the_plan, colours, the_recipe, seed=3, **more)

    with pytest.raises(Killed):
        begin(checkpoint=checkpoint, advance=killed_after(2))
    assert checkpoint.load()["epoch"] == 2
    whole, resumed = begin(), begin(checkpoint=checkpoint)
    assert resumed.network.digest == whole.network.digest
    assert resumed.history == whole.history


def test_a_checkpoint_of_another_training_is_not_taken(colours, tmp_path):
    """Another key, a broken file, code in the file: the training begins anew."""
    path = tmp_path / "state.pt"
    Checkpoint(path, "one").save({"epoch": 3})
    assert Checkpoint(path, "two").load() is None
    path.write_bytes(b"broken")
    assert Checkpoint(path, "one").load() is None
    torch.save({"key": "one", "state": {"epoch": Killed}}, path)
    assert Checkpoint(path, "one").load() is None


RESNET = "torchvision:resnet18"


def test_frozen_batch_normalisation_stays(colours, tmp_path):
    """Freezing a ResNet moves no running statistic, nor after kill and resume; no state for it."""
    parent = build(RESNET, classes=("x",), seed=1)
    the_recipe = recipe("frozen", {"epochs": 2, "batch_size": 8})
    checkpoint = Checkpoint(tmp_path / "state.pt", "key")
    with pytest.raises(Killed):
        child, the_plan = child_of(parent, colours, the_recipe, seed=3)
        fit(child, the_plan, colours, the_recipe, seed=3, checkpoint=checkpoint,
            advance=killed_after(1))  # fmt: skip
    assert len(checkpoint.load()["optimiser"]["state"]) == 2  # the head's weight and bias
    child, the_plan = child_of(parent, colours, the_recipe, seed=3)
    result = fit(child, the_plan, colours, the_recipe, seed=3, checkpoint=checkpoint)
    before, after = (tensor_digests(each.tensors()) for each in (parent, result.network))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"fc.weight", "fc.bias"}
    assert any("running_mean" in name for name in before)


def test_partly_frozen_batch_normalisation(colours):
    """From layer3 on: what lies below keeps its statistics, what is trained moves them."""
    parent = build(RESNET, classes=("x",), seed=1)
    the_recipe = recipe("mode_a", {"train": "from layer3", "epochs": 1, "batch_size": 8})
    child, the_plan = child_of(parent, colours, the_recipe, seed=3)
    result = fit(child, the_plan, colours, the_recipe, seed=3)
    before, after = (tensor_digests(each.tensors()) for each in (result.start, result.network))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {name for name in before if name.startswith(("layer3", "layer4", "fc"))}


def test_other_classes_get_another_head(colours):
    """The head is drawn when the classes change, be there as many of them, and only then."""
    keep = recipe("mode_a", {"reinit": "nothing"})
    other = build("inception_small", classes=("cyan", "pink"), seed=5)
    child, the_plan = child_of(other, colours, keep, seed=3)
    assert the_plan.reinitialised == {"head.weight", "head.bias"}
    assert not torch.equal(child.tensors()["head.weight"], other.tensors()["head.weight"])
    same, the_plan = child_of(child, colours, keep, seed=4)
    assert the_plan.reinitialised == frozenset()
    assert same.digest == child.digest


def test_unknown_layer_in_a_recipe(colours):
    """A layer that the network lacks is named with the close one."""
    with pytest.raises(NetworkError, match="did you mean 'mixed4a'"):
        plan(PARENT, recipe("mode_a", {"train": "from mixed4aa"}))
