"""Training: a parent network fitted to a dataset by a recipe becomes its child.

The child is built anew with random weights, and what the recipe does not draw is filled from the
parent; so a head for other classes, an upper half and a whole network are drawn in one way: as
the architecture itself starts.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from overpaint.batches import Pixels, as_float, batches, centred, pixels_of, shuffled
from overpaint.datasets import Dataset, Split
from overpaint.errors import NetworkError
from overpaint.networks import Network, build, tensor_digests
from overpaint.records import EpochRow
from overpaint.seeds import generator, seed_for
from overpaint.training.plan import Plan, plan, set_modes
from overpaint.training.recipe import Recipe
from overpaint.training.scores import average_precision, top_k_hits

Advance = Callable[[int, int, str], None]
"""Called after each batch with (batches done, of all, a word on how it goes)."""


@dataclass(frozen=True)
class Trained:
    """The child, what it started from, and how the training went."""

    network: Network
    start: Network
    plan: Plan
    history: list[EpochRow]

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights were kept."""
        return next(row.epoch for row in self.history if row.best)


def fit(
    parent: Network,
    dataset: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    advance: Advance | None = None,
) -> Trained:
    """Train a child of the parent on a dataset; the parent stays as it is.

    Frozen parts are compared by digest at the end: weights, statistics, everything. Raises
    NetworkError when the loss is no number any more, and when something frozen has moved.
    """
    child, the_plan = child_of(parent, dataset, recipe, seed)
    start = copy.deepcopy(child)
    accelerator = accelerate()
    history = _train(child, the_plan, dataset, recipe, seed, accelerator, advance)
    child.to("cpu")
    check_frozen(start, child, the_plan)
    return Trained(child, start, the_plan, history)


def accelerate() -> Accelerator:
    """The device that there is; bfloat16 where a GPU has it, float32 on a CPU."""
    precision = "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"
    return Accelerator(mixed_precision=precision)


def child_of(parent: Network, dataset: Dataset, recipe: Recipe, seed: int) -> tuple[Network, Plan]:
    """The child before its training: drawn where the recipe says, elsewhere as its parent."""
    child = build(
        parent.architecture,
        classes=dataset.classes,
        seed=seed_for(seed, "init"),
        multi_label=dataset.multi_label,
    )
    the_plan = plan(child, recipe)
    own, inherited = child.tensors(), parent.tensors()
    drawn = set(the_plan.drawn) | {n for n in own if own[n].shape != inherited[n].shape}
    child.body.load_state_dict({n: own[n] if n in drawn else inherited[n] for n in own})
    return child, the_plan


# --- the loop ------------------------------------------------------------------------------------


def _train(
    network: Network,
    the_plan: Plan,
    dataset: Dataset,
    recipe: Recipe,
    seed: int,
    accelerator: Accelerator,
    advance: Advance | None,
) -> list[EpochRow]:
    """The epochs, one after the other; leaves the network with the weights that were chosen."""
    train, val = (pixels_of(dataset.split(name), network.preprocessing) for name in ("train", "val"))
    train.keep()
    val.keep()
    loss_of = nn.BCEWithLogitsLoss() if dataset.multi_label else nn.CrossEntropyLoss()
    labels = torch.as_tensor(train.split.labels)
    freeze(network, the_plan)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    ready, optimiser = accelerator.prepare(network, optimiser_of(network, recipe))
    rates = [group["lr"] for group in optimiser.param_groups]
    history: list[EpochRow] = []
    best: tuple[float, dict[str, Tensor]] | None = None
    step = 0
    for epoch in range(1, recipe.epochs + 1):
        set_modes(network, the_plan)
        rng = generator(seed, "augmentation", epoch)
        train.draw(rng, crop=recipe.crop == "random", flip=recipe.flip)
        order = shuffled(len(train), recipe.batch_size, seed, epoch)
        total = 0.0
        for number, (batch, rows) in enumerate(zip(batches(train, order), order, strict=True)):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * decay(recipe, step, epoch)
            target = labels[rows].to(accelerator.device)
            with accelerator.autocast():
                logits = ready(as_float(batch, accelerator.device))
            loss = loss_of(logits.float(), target.float() if dataset.multi_label else target)
            _check_loss(loss, recipe, optimiser.param_groups, epoch, step)
            optimiser.zero_grad()
            accelerator.backward(loss)
            optimiser.step()
            total += loss.item()
            step += 1
            if advance:
                done = (epoch - 1) * len(order) + number + 1
                advance(done, recipe.epochs * len(order), f"epoch {epoch}, loss {loss.item():.3f}")
        val_loss, val_score = _validate(network, val, loss_of, accelerator)
        improved = best is None or val_loss < best[0] or recipe.selection == "last"
        if improved:
            best = (val_loss, {n: t.detach().clone() for n, t in network.tensors().items()})
        history = [_not_best(row) for row in history] if improved else history
        head_lr, backbone_lr = (recipe_rate * decay(recipe, step, epoch) for recipe_rate in (recipe.head_lr, recipe.backbone_lr))  # fmt: skip # noqa: E501
        history.append(
            EpochRow(epoch, total / len(order), val_loss, val_score, head_lr, backbone_lr, improved)
        )
    assert best is not None
    network.body.load_state_dict(best[1])
    return history


def _not_best(row: EpochRow) -> EpochRow:
    return EpochRow(**{**row.__dict__, "best": False})


def freeze(network: Network, the_plan: Plan) -> None:
    """Only what the plan trains has gradients."""
    for name, parameter in network.body.named_parameters():
        parameter.requires_grad_(name in the_plan.trained)


def optimiser_of(network: Network, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser with its groups: backbone kernels, other backbone weights, head.

    The penalty λΣw² has the gradient 2λw, which is what torch calls a weight decay of 2λ.
    """
    head, kernels, others = [], [], []
    for name, parameter in network.body.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith(f"{network.head}."):
            head.append(parameter)
        else:
            (kernels if parameter.ndim > 1 else others).append(parameter)
    groups = [
        {"name": "backbone kernels", "params": kernels, "lr": recipe.backbone_lr,
         "weight_decay": 2 * recipe.weight_penalty},
        {"name": "backbone others", "params": others, "lr": recipe.backbone_lr},
        {"name": "head", "params": head, "lr": recipe.head_lr},
    ]  # fmt: skip
    groups = [group for group in groups if group["params"]]
    if recipe.optimiser == "adam":
        return torch.optim.Adam(groups)
    return torch.optim.SGD(groups, momentum=recipe.momentum)


def decay(recipe: Recipe, step: int, epoch: int) -> float:
    """What the learning rates are multiplied by at a step (from 0) of an epoch (from 1).

    >>> decay(Recipe(lr_decay=1e-4), 10_000, 5)
    0.5
    >>> round(decay(Recipe(lr_decay=0, schedule="step"), 0, 8), 2)
    0.96
    """
    by_step = 1 / (1 + recipe.lr_decay * step)
    if recipe.schedule == "step":
        return float(by_step * 0.96 ** (epoch // 8))
    if recipe.schedule == "cosine":
        return by_step * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / recipe.epochs))
    return by_step


def _check_loss(
    loss: Tensor, recipe: Recipe, groups: list[dict[str, object]], epoch: int, step: int
) -> None:
    if not torch.isfinite(loss):
        rates = ", ".join(f"{group['name']} {group['lr']:.2g}" for group in groups)
        raise NetworkError(
            "diverged",
            f"the training diverged: the loss is {loss.item()} at step {step} of epoch {epoch} "
            f"(learning rates: {rates}); lower head_lr {recipe.head_lr:g} or backbone_lr "
            f"{recipe.backbone_lr:g}",
        )


# --- looking -------------------------------------------------------------------------------------


def _validate(
    network: Network, pixels: Pixels, loss_of: nn.Module, accelerator: Accelerator
) -> tuple[float, float]:
    """The mean loss on a split, and its top-1 or mAP."""
    labels = torch.as_tensor(pixels.split.labels)
    logits = torch.as_tensor(logits_of(network, pixels, accelerator))
    target = labels.float() if pixels.split.multi_label else labels
    loss = float(loss_of(logits, target))
    return loss, main_score(probabilities_of(logits, pixels.split.multi_label), labels.numpy())


def main_score(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Top-1, or the mean average precision of the classes that have positives."""
    if labels.ndim == 1:
        return float(top_k_hits(probabilities, labels, 1).mean())
    once = np.ones((1, len(labels)))
    each = [average_precision(probabilities[:, c], labels[:, c], once)[0] for c in range(labels.shape[1])]
    return float(np.nanmean(each)) if not np.isnan(each).all() else 0.0


def logits_of(network: Network, pixels: Pixels, accelerator: Accelerator) -> NDArray[np.float32]:
    """Logits [N, C] of a split, in evaluation mode."""
    network.to(accelerator.device).eval()
    with torch.inference_mode(), accelerator.autocast():
        found = [network(images).float().cpu() for images in centred(pixels, 64, accelerator.device)]
    return torch.cat(found).numpy()


def probabilities_of(logits: Tensor, multi_label: bool) -> NDArray[np.float64]:
    """Softmax, or a sigmoid a label."""
    exact = logits.double()
    return (exact.sigmoid() if multi_label else exact.softmax(dim=1)).numpy()


def predict(network: Network, split: Split) -> NDArray[np.float64]:
    """Probabilities [N, C] of a split."""
    pixels = pixels_of(split, network.preprocessing)
    pixels.keep()
    logits = logits_of(network, pixels, accelerate())
    network.to("cpu")
    return probabilities_of(torch.as_tensor(logits), split.multi_label)


# --- frozen means frozen -------------------------------------------------------------------------


def check_frozen(start: Network, end: Network, the_plan: Plan) -> None:
    """Raises NetworkError when a tensor that was not trained has changed by a single bit."""
    before, after = tensor_digests(start.tensors()), tensor_digests(end.tensors())
    moved = [n for n in before if n not in the_plan.trained and before[n] != after[n]]
    if moved:
        raise NetworkError(
            "frozen-moved", f"{moved[0]} was frozen and has changed ({len(moved)} such tensors)"
        )
