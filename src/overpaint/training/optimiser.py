"""The optimiser of a recipe, its groups, and how its learning rates fall.

>>> rates_at(Recipe(head_lr=1e-2, lr_decay=1e-4), 10_000, 5, [])["head"]
0.005
"""

import math
import warnings
from collections.abc import Iterable, Sequence

import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from overpaint.networks import Network
from overpaint.study.recipe import Recipe

PLATEAU = {"factor": 0.5, "patience": 4, "threshold": 1e-4, "threshold_mode": "abs", "cooldown": 1}
"""The paper's: halved when 5 epochs brought no loss lower by more than 1e-4, then one of rest.

torch counts the epochs that it tolerates, Keras the one that it no longer does: 4 here is 5 there.
"""
LEAST = 1e-5
"""A plateau takes no rate below this."""


def optimiser_of(
    network: Network, recipe: Recipe, more_heads: Iterable[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """The optimiser with its groups: backbone kernels, other backbone weights, head.

    Only what has gradients is in it, so frozen weights have no state there. The penalty λΣw² has
    the gradient 2λw, which is what torch calls a weight decay of 2λ. RMSprop has the constants of
    Keras (0.9, 1e-7), Adam those of its paper.
    """
    head: list[nn.Parameter] = list(more_heads)
    kernels: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in network.body.named_parameters():
        if not parameter.requires_grad:
            continue
        if network.in_head(name):
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
    if recipe.optimiser == "rmsprop":
        return torch.optim.RMSprop(groups, alpha=0.9, eps=1e-7, momentum=recipe.momentum)
    return torch.optim.SGD(groups, momentum=recipe.momentum)


def rates_at(
    recipe: Recipe, step: int, epoch: int, val_losses: Sequence[float]
) -> dict[str, float]:
    """The learning rates of backbone and head at a step (from 0) of an epoch (from 1).

    `val_losses` are those of the epochs before: what a plateau is told by.
    """
    factor = decay(recipe, step, epoch)
    rates = {"backbone": recipe.backbone_lr * factor, "head": recipe.head_lr * factor}
    if recipe.schedule == "plateau":
        flat = plateau(val_losses)
        rates = {name: max(rate * flat, min(rate, LEAST)) for name, rate in rates.items()}
    return rates


def decay(recipe: Recipe, step: int, epoch: int) -> float:
    """What learning rates are multiplied by at a step (from 0) of an epoch (from 1).

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


def plateau(val_losses: Sequence[float]) -> float:
    """What torch's ReduceLROnPlateau has made of a rate of 1 after these validation losses.

    >>> plateau([1.0] * 5), plateau([1.0] * 6)
    (1.0, 0.5)
    """
    # from the start each time, so that a training that goes on needs no state of a scheduler
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = ReduceLROnPlateau(optimiser, **PLATEAU)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses the steps of an optimiser that has none
        for loss in val_losses:
            scheduler.step(loss)
    return float(optimiser.param_groups[0]["lr"])
