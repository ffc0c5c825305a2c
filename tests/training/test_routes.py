"""The routes of today: timm's parts, step for step, seeded, and taken up again where they ended."""

import numpy as np
import pytest
import torch
from timm.optim import create_optimizer_v2
from timm.scheduler.cosine_lr import CosineLRScheduler
from timm.utils.model_ema import ModelEmaV3

from overpaint.datasets.folder import FolderEntry
from overpaint.datasets.opening import open_dataset
from overpaint.datasets.table import TableEntry
from overpaint.errors import NetworkError, StudyError
from overpaint.networks import build
from overpaint.networks.network import tensor_digests
from overpaint.pixels.batches import as_float, pixels_of, shuffled
from overpaint.study.recipe import recipe
from overpaint.training.checkpoint import Checkpoint
from overpaint.training.fit import child_of, fit
from overpaint.training.optimiser import check_optimiser, layer_scales, optimiser_of
from overpaint.training.plan import plan
from overpaint.training.schedule import cosine_by_step

PARENT = build("inception_small", classes=("x", "y", "z"), seed=11)
VIT = "timm:test_vit"


@pytest.fixture
def colours(pictures, tmp_path):
    return open_dataset(
        "colours", FolderEntry(kind="folder", root=pictures), workplace=tmp_path / "w"
    )[0]


def begin(colours, the_recipe, parent=PARENT, **options):
    child, the_plan = child_of(parent, colours, the_recipe, seed=3)
    return fit(child, the_plan, colours, the_recipe, seed=3, **options)


# --- timm's own ----------------------------------------------------------------------------------


@pytest.mark.of_a_cpu
def test_it_is_timms_own_step_for_step(colours):
    """AdamW, layer decay, warm-up, cosine and moving average: the losses and weights of a plain
    loop of timm's parts, over 20 steps.
    """
    parent = build(VIT, classes=("x", "y"), seed=1)
    options = {
        "optimiser": "adamw", "weight_decay": 0.05, "layer_decay": 0.75, "warmup": 0.25,
        "schedule": "cosine_by_step", "lr_decay": 0, "ema": 0.9, "head_lr": 1e-3,
        "backbone_lr": 1e-3, "epochs": 10, "batch_size": 8, "selection": "last",
    }  # fmt: skip
    the_recipe = recipe("mode_a", options)
    mine = begin(colours, the_recipe, parent)

    network, _ = child_of(parent, colours, the_recipe, seed=3)
    network.to(memory_format=torch.channels_last)
    train = colours.split("train")
    pixels, labels = pixels_of(train, network.preprocessing), torch.as_tensor(train.labels)
    pixels.draw(None, crop=False, flip=False)
    pictures = torch.stack([pixels[number] for number in range(len(train))])
    in_epoch = len(train) // 8
    updates = 10 * in_epoch
    assert updates >= 20
    optimiser = create_optimizer_v2(
        network.body, opt="adamw", lr=1e-3, weight_decay=0.05, layer_decay=0.75
    )
    warmup = round(0.25 * updates)
    scheduler = CosineLRScheduler(
        optimiser, t_initial=updates - warmup, warmup_t=warmup, warmup_prefix=True,
        t_in_epochs=False,
    )  # fmt: skip
    average = ModelEmaV3(network, decay=0.9, use_warmup=True)
    update, losses = 0, []
    for epoch in range(1, 11):
        network.train()
        of_epoch = []
        for rows in shuffled(len(train), 8, 3, epoch):
            images = as_float(pictures[rows], torch.device("cpu"))
            loss = torch.nn.functional.cross_entropy(network(images), labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            update += 1
            average.update(network, step=update)
            scheduler.step_update(update)
            of_epoch.append(loss.item())
        losses.append(np.mean(of_epoch))
    assert [row.train_loss for row in mine.history] == pytest.approx(losses, abs=1e-6)
    for name, weight in average.module.tensors().items():
        assert torch.allclose(mine.network.tensors()[name], weight, atol=1e-6), name


def test_groups_of_a_vit_are_timms():
    """Rates and decays of all weights are those of param_groups_layer_decay."""
    network = build(VIT, classes=("x", "y"), seed=1)
    the_recipe = recipe("modern_vit", {"head_lr": 1e-3, "backbone_lr": 1e-3})
    name_of = {weight: name for name, weight in network.body.named_parameters()}
    mine = {
        name_of[weight]: (round(group["lr"] * group["lr_scale"], 12), group["weight_decay"])
        for group in optimiser_of(network, the_recipe).param_groups
        for weight in group["params"]
    }
    timms = create_optimizer_v2(
        network.body, opt="adamw", lr=1e-3, weight_decay=0.05, layer_decay=0.75
    )
    theirs = {
        name_of[weight]: (round(1e-3 * group["lr_scale"], 12), group["weight_decay"])
        for group in timms.param_groups
        for weight in group["params"]
    }
    assert mine == theirs
    assert len({rate for rate, _ in mine.values()}) > 5


def test_layers_of_a_network_that_timm_does_not_group():
    """Rates fall layer by layer from the head down, and the first layer has the lowest."""
    scales = layer_scales(PARENT, recipe("modern_cnn"))
    assert scales["head.weight"] == 1
    first = next(iter(PARENT.tensors()))
    assert scales[first] == pytest.approx(0.8 ** len(PARENT.layers))
    assert len(set(scales.values())) == len(PARENT.layers) + 1


def test_cosine_ends_at_nothing():
    """The rate rises to its own, falls from there, and is next to nothing at the last step."""
    rates = [cosine_by_step(step, 100, 10) for step in range(100)]
    assert rates[0] == 0
    assert rates[10] == max(rates) == 1
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[99] < 1e-3


# --- optimisers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("optimiser", ["adamw", "lamb", "sgdw", "lion", "nadamw"])
def test_optimisers_of_timm_learn(colours, optimiser):
    """Whatever timm's factory knows takes part, and lowers the loss."""
    rates = {"head_lr": 1e-2, "backbone_lr": 1e-3}
    the_recipe = recipe("mode_a", {"optimiser": optimiser, "epochs": 6, "batch_size": 8, **rates})
    history = begin(colours, the_recipe).history
    assert history[-1].train_loss < history[0].train_loss


@pytest.mark.parametrize(
    ("name", "said"), [("adamv", "adam"), ("fusedadamw", "cannot make"), ("adahessian", "second")]
)
def test_optimisers_that_cannot_be(name, said):
    """One that timm does not know, has no library for, or that needs more, is refused by name."""
    with pytest.raises(StudyError, match=said) as caught:
        check_optimiser(name)
    assert caught.value.slug == "unknown-optimiser"


@pytest.mark.of_a_cpu
def test_accumulated_batches_are_one_step(colours):
    """Two batches of 4 to a step give the weights of batches of 8, where no batch has a norm."""
    vit = build(VIT, classes=("x", "y"), seed=1)
    options = {"epochs": 2, "selection": "last", "head_lr": 1e-2, "backbone_lr": 1e-2}
    whole = begin(colours, recipe("mode_a", {**options, "batch_size": 8}), vit)
    parts = begin(
        colours, recipe("mode_a", {**options, "batch_size": 4, "grad_accumulation": 2}), vit
    )
    for name, weight in whole.network.tensors().items():
        assert torch.allclose(weight, parts.network.tensors()[name], atol=1e-5), name


# --- stages --------------------------------------------------------------------------------------


def test_first_the_head_then_all(colours):
    """In the first stage only the head moves, in the second the rest does too."""
    options = {"batch_size": 8, "epochs": 2, "warmup": 0}
    result = begin(colours, recipe("lp_ft", options))
    assert result.plan.span == f"head, then {PARENT.layers[0]} … head"
    probe = begin(colours, recipe("lp_ft", {**options, "stages": ["head"], "epochs": 1,
                                            "head_lr": 1e-3}))  # fmt: skip
    start, middle, end = (
        tensor_digests(network.tensors())
        for network in (result.start, probe.network, result.network)
    )
    assert {name for name in start if start[name] != middle[name]} == {"head.weight", "head.bias"}
    assert all(start[name] != end[name] for name in start)
    assert [row.head_lr for row in result.history] != [result.history[0].head_lr] * 2
    assert result.best_epoch == 2


def test_a_stage_begins_with_what_the_one_before_kept(colours):
    """A second stage at rates of nothing leaves the first stage's weights as they are."""
    still = {"train": "head", "head_lr": 0, "backbone_lr": 0, "epochs": 1}
    first = {"train": "head", "epochs": 3}
    options = {"batch_size": 8, "selection": "best_val_loss", "head_lr": 0.3}
    both = begin(colours, recipe("frozen", {**options, "train": "all", "stages": [first, still]}))
    alone = begin(colours, recipe("frozen", {**options, "train": "all", "stages": [first]}))
    assert both.network.digest == alone.network.digest


def test_what_a_stage_leaves_alone_is_compared(colours, monkeypatch):
    """A stage that moves what it should leave alone is an error, though a later one trains it."""
    monkeypatch.setattr(
        "overpaint.training.fit.freeze",
        lambda network, _plan: [weight.requires_grad_() for weight in network.parameters()],
    )
    with pytest.raises(NetworkError, match="was frozen and has changed"):
        begin(colours, recipe("lp_ft", {"batch_size": 8, "epochs": 2, "backbone_lr": 1e-2}))


@pytest.mark.parametrize("words", ["only {0}", "only {0} to {1}"])
def test_surgery_on_a_block(colours, words):
    """Only the named block changes, and the head, which was drawn anew; statistics stay."""
    first, last = PARENT.layers[3], PARENT.layers[5]
    train = words.format(first, last)
    result = begin(colours, recipe("mode_a", {"train": train, "epochs": 1, "batch_size": 8}))
    before, after = (tensor_digests(n.tensors()) for n in (result.start, result.network))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == result.plan.trained
    assert {"head.weight", "head.bias"} < changed
    block = {name.split("_")[0] for name in changed if not name.startswith("head")}
    assert block == set(PARENT.layers[3:4] if "to" not in words else PARENT.layers[3:6])


def test_surgery_leaves_a_head_that_is_kept():
    """Where no head is drawn, it is left alone as everything else."""
    the_plan = plan(
        PARENT, recipe("mode_a", {"train": f"only {PARENT.layers[3]}", "reinit": "nothing"})
    )
    assert not the_plan.trained & the_plan.head
    assert "head" not in the_plan.span


def test_a_block_that_is_none():
    """Layers in the wrong order are refused with the right one."""
    backwards = f"only {PARENT.layers[5]} to {PARENT.layers[3]}"
    with pytest.raises(NetworkError, match="only FIRST to LAST"):
        plan(PARENT, recipe("mode_a", {"train": backwards}))


# --- again, and taken up -------------------------------------------------------------------------

EVERYTHING = {
    "batch_size": 4, "epochs": 6, "stages": ["head", "all"], "optimiser": "adamw",
    "weight_decay": 0.05, "layer_decay": 0.8, "warmup": 0.2, "schedule": "cosine_by_step",
    "label_smoothing": 0.1, "class_weights": "balanced", "mixup": 0.4, "cutmix": 1.0,
    "crop": "resized", "flip": True, "augment": "rand-m9-mstd0.5-inc1", "ema": 0.9,
    "grad_accumulation": 2, "dropout": 0.2, "clip_norm": 1.0,
}  # fmt: skip


class Killed(BaseException):
    """What ends a process, as far as a training can see."""


@pytest.mark.parametrize("epochs", [2, 3, 4])
def test_everything_at_once_goes_on_to_the_same_bits(colours, tmp_path, epochs):
    """Killed within a stage, between two, and in the second: the weights of an unbroken one."""
    the_recipe = recipe("mode_a", EVERYTHING)
    checkpoint = Checkpoint(tmp_path / "state.pt", "key")

    def advance(_done, _all, word):
        if word.startswith(f"epoch {epochs + 1},"):
            raise Killed

    with pytest.raises(Killed):
        begin(colours, the_recipe, checkpoint=checkpoint, advance=advance)
    assert checkpoint.load()["epoch"] == epochs
    whole, resumed = begin(colours, the_recipe), begin(colours, the_recipe, checkpoint=checkpoint)
    assert resumed.network.digest == whole.network.digest
    assert resumed.history == whole.history


def test_several_labels_take_all_of_it(pictures, tmp_path):
    """Mixing, smoothing and weights train several labels too, and are validated plainly."""
    rows = ["path,warm,cold,square"]
    for label, shown in (("red", "1,0"), ("blue", "0,1")):
        rows += [f"{label}/{number:02}.png,{shown},{int(number % 3 == 0)}" for number in range(12)]
    (pictures / "labels.csv").write_text("\n".join(rows))
    entry = TableEntry(
        kind="table", root=pictures, file=pictures / "labels.csv", path="path",
        label=["warm", "cold", "square"],
    )  # fmt: skip
    dataset = open_dataset("several", entry, workplace=tmp_path / "w")[0]
    assert dataset.multi_label
    one, two = (begin(dataset, recipe("mode_a", {**EVERYTHING, "epochs": 2})) for _ in range(2))
    assert one.network.digest == two.network.digest != one.start.digest
    still = {"train": "head", "epochs": 1, "batch_size": 8, "head_lr": 0}
    plain, mixed = (
        begin(dataset, recipe("frozen", {**still, **options})).history[0]
        for options in ({}, {"mixup": 1.0, "class_weights": "balanced"})
    )
    assert plain.val_loss == mixed.val_loss
    assert plain.train_loss != mixed.train_loss


def test_the_average_is_what_is_kept(colours):
    """With a moving average other weights are kept than without, from the same losses."""
    options = {"epochs": 2, "batch_size": 8, "selection": "last"}
    bare, averaged = (
        begin(colours, recipe("mode_a", {**options, "ema": ema})) for ema in (None, 0.9)
    )
    assert [row.train_loss for row in bare.history] == [row.train_loss for row in averaged.history]
    assert bare.network.digest != averaged.network.digest
    assert bare.history[-1].val_loss != averaged.history[-1].val_loss


def test_the_validation_loss_stays_plain(colours):
    """Smoothing and class weights change what is trained, not what the start is measured by."""
    still = {"epochs": 1, "batch_size": 8, "head_lr": 0, "train": "head"}
    plain = begin(colours, recipe("frozen", still)).history[0]
    other = begin(
        colours, recipe("frozen", {**still, "label_smoothing": 0.3, "class_weights": "balanced"})
    ).history[0]
    assert other.val_loss == plain.val_loss
    assert other.train_loss != plain.train_loss
