"""Training: a parent network fitted to a dataset by a recipe becomes its child.

The child is built anew with random weights, and what the recipe does not draw is filled from the
parent; so a head for other classes, an upper half and a whole network are drawn in one way: as
the architecture itself starts.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

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
    child: Network,
    the_plan: Plan,
    dataset: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    advance: Advance | None = None,
) -> Trained:
    """Train a child, as `child_of` made it, on its dataset.

    Frozen parts are compared by digest at the end: weights, statistics, everything. Raises
    NetworkError when the loss is no number any more, and when something frozen has moved.
    """
    start = copy.deepcopy(child)
    history = _Loop(child, the_plan, dataset, recipe, seed, advance).run()
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


class _Loop:
    """The epochs of one training, and the best of them so far."""

    def __init__(
        self,
        network: Network,
        the_plan: Plan,
        dataset: Dataset,
        recipe: Recipe,
        seed: int,
        advance: Advance | None,
    ) -> None:
        self.network, self.plan, self.recipe, self.seed = network, the_plan, recipe, seed
        self.advance = advance
        self.train, self.val = (
            pixels_of(dataset.split(name), network.preprocessing) for name in ("train", "val")
        )
        self.loss_of = nn.BCEWithLogitsLoss() if dataset.multi_label else nn.CrossEntropyLoss()
        labels = torch.as_tensor(self.train.split.labels)
        self.targets = labels.float() if dataset.multi_label else labels
        self.accelerator = accelerate()
        freeze(network, the_plan)
        network.to(memory_format=torch.channels_last)
        optimiser = optimiser_of(network, recipe)
        self.rates = [group["lr"] for group in optimiser.param_groups]
        self.ready, self.optimiser = self.accelerator.prepare(network, optimiser)
        self.step = 0
        self.best: tuple[float, dict[str, Tensor]] | None = None

    def run(self) -> list[EpochRow]:
        """All epochs; leaves the network with the weights that were chosen."""
        self.train.keep()
        self.val.keep()
        history: list[EpochRow] = []
        for epoch in range(1, self.recipe.epochs + 1):
            row = self._look(epoch, self._epoch(epoch))
            history = [replace(old, best=old.best and not row.best) for old in history] + [row]
        assert self.best is not None
        self.network.body.load_state_dict(self.best[1])
        return history

    def _epoch(self, epoch: int) -> float:
        """One pass over the training pictures; returns the mean loss."""
        recipe = self.recipe
        set_modes(self.network, self.plan)
        rng = generator(self.seed, "augmentation", epoch)
        self.train.draw(rng, crop=recipe.crop == "random", flip=recipe.flip)
        order = shuffled(len(self.train), recipe.batch_size, self.seed, epoch)
        losses = []
        for number, (pixels, rows) in enumerate(
            zip(batches(self.train, order), order, strict=True), start=1
        ):
            losses.append(self._learn(pixels, rows, epoch))
            if self.advance:
                done, of_all = (epoch - 1) * len(order) + number, recipe.epochs * len(order)
                self.advance(done, of_all, f"epoch {epoch}, loss {losses[-1]:.3f}")
        return sum(losses) / len(losses)

    def _learn(self, pixels: Tensor, rows: list[int], epoch: int) -> float:
        """One step of the optimiser; returns the loss."""
        device = self.accelerator.device
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * decay(self.recipe, self.step, epoch)
        with self.accelerator.autocast():
            logits = self.ready(as_float(pixels, device))
        loss = self.loss_of(logits.float(), self.targets[rows].to(device))
        value = float(loss.item())
        if not math.isfinite(value):
            raise self._diverged(value, epoch)
        self.optimiser.zero_grad()
        self.accelerator.backward(loss)
        self.optimiser.step()
        self.step += 1
        return value

    def _look(self, epoch: int, train_loss: float) -> EpochRow:
        """Validate, and keep the weights when they are the best so far."""
        labels = self.val.split.labels
        logits = torch.as_tensor(logits_of(self.network, self.val, self.accelerator))
        target = torch.as_tensor(labels)
        loss = float(self.loss_of(logits, target.float() if labels.ndim == 2 else target))
        probabilities = probabilities_of(logits, self.val.split.multi_label)
        best = self.best is None or loss < self.best[0] or self.recipe.selection == "last"
        if best:
            kept = {name: each.detach().clone() for name, each in self.network.tensors().items()}
            self.best = (loss, kept)
        factor = decay(self.recipe, self.step, epoch)
        return EpochRow(
            epoch=epoch,
            train_loss=train_loss,
            val_loss=loss,
            val_score=main_score(probabilities, labels),
            head_lr=self.recipe.head_lr * factor,
            backbone_lr=self.recipe.backbone_lr * factor,
            best=best,
        )

    def _diverged(self, loss: float, epoch: int) -> NetworkError:
        rates = ", ".join(
            f"{group['name']} {group['lr']:.2g}" for group in self.optimiser.param_groups
        )
        return NetworkError(
            "diverged",
            f"the training diverged: the loss is {loss} at step {self.step} of epoch {epoch} "
            f"(learning rates: {rates}); lower head_lr {self.recipe.head_lr:g} or backbone_lr "
            f"{self.recipe.backbone_lr:g}",
        )


def freeze(network: Network, the_plan: Plan) -> None:
    """Only what the plan trains has gradients."""
    for name, parameter in network.body.named_parameters():
        parameter.requires_grad_(name in the_plan.trained)


def optimiser_of(network: Network, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser with its groups: backbone kernels, other backbone weights, head.

    The penalty λΣw² has the gradient 2λw, which is what torch calls a weight decay of 2λ.
    """
    head: list[nn.Parameter] = []
    kernels: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
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


# --- looking -------------------------------------------------------------------------------------


def main_score(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Top-1, or the mean average precision of the classes that have positives."""
    if labels.ndim == 1:
        return float(top_k_hits(probabilities, labels, 1).mean())
    once = np.ones((1, len(labels)))
    each = [
        average_precision(probabilities[:, c], labels[:, c], once)[0]
        for c in range(labels.shape[1])
    ]
    return float(np.nanmean(each)) if not np.isnan(each).all() else 0.0


def logits_of(network: Network, pixels: Pixels, accelerator: Accelerator) -> NDArray[np.float32]:
    """Logits [N, C] of a split, in evaluation mode."""
    network.to(accelerator.device).eval()
    with torch.inference_mode(), accelerator.autocast():
        found = [
            network(images).float().cpu() for images in centred(pixels, 64, accelerator.device)
        ]
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
