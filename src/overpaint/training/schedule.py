"""How the learning rates of a recipe rise and fall.

>>> rates_at(Recipe(head_lr=1e-2, lr_decay=1e-4), 10_000, 5, [], steps=20_000)["head"]
0.005
"""

import math
import warnings
from collections.abc import Sequence

import torch
from timm.scheduler.cosine_lr import CosineLRScheduler
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from overpaint.study.recipe import Recipe

PLATEAU = {"factor": 0.5, "patience": 4, "threshold": 1e-4, "threshold_mode": "abs", "cooldown": 1}
"""The paper's: halved when 5 epochs brought no loss lower by more than 1e-4, then one of rest.

torch counts the epochs that it tolerates, Keras the one that it no longer does: 4 here is 5 there.
"""
LEAST = 1e-5
"""A plateau takes no rate below this."""


def rates_at(
    recipe: Recipe, step: int, epoch: int, val_losses: Sequence[float], *, steps: int
) -> dict[str, float]:
    """The learning rates of backbone and head at a step (from 0) of an epoch (from 1).

    `val_losses` are those of the epochs before: what a plateau is told by. `steps`: of the whole
    training, or of its stage.
    """
    factor = decay(recipe, step, epoch, steps)
    rates = {"backbone": recipe.backbone_lr * factor, "head": recipe.head_lr * factor}
    if recipe.schedule == "plateau":
        flat = plateau(val_losses)
        rates = {name: max(rate * flat, min(rate, LEAST)) for name, rate in rates.items()}
    return rates


def decay(recipe: Recipe, step: int, epoch: int, steps: int) -> float:
    """What learning rates are multiplied by at a step (from 0) of an epoch (from 1).

    >>> decay(Recipe(lr_decay=1e-4), 10_000, 5, 20_000)
    0.5
    >>> round(decay(Recipe(lr_decay=0, schedule="step"), 0, 8, 100), 2)
    0.96
    >>> warm = Recipe(lr_decay=0, schedule="cosine_by_step", warmup=0.1)
    >>> [round(decay(warm, step, 1, 100), 2) for step in (0, 5, 10, 55)]
    [0.0, 0.5, 1.0, 0.5]
    """
    factor = 1 / (1 + recipe.lr_decay * step)
    rising = min(round(recipe.warmup * steps), steps - 1)
    if recipe.schedule == "cosine_by_step":
        return factor * cosine_by_step(step, steps, rising)
    if recipe.schedule == "step":
        factor = float(factor * 0.96 ** (epoch // 8))
    elif recipe.schedule == "cosine":
        factor = factor * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / recipe.epochs))
    return factor * step / rising if step < rising else factor


def cosine_by_step(step: int, steps: int, rising: int) -> float:
    """What timm's CosineLRScheduler makes of a rate of 1: up for `rising` steps, then down to 0."""
    # made anew each time, as for the plateau: a training that goes on needs no state of it
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = CosineLRScheduler(
        optimiser,
        t_initial=max(steps - rising, 2),  # of one step there is nothing to fall
        warmup_t=rising,
        warmup_prefix=True,
        t_in_epochs=False,
    )
    scheduler.step_update(step)
    return float(optimiser.param_groups[0]["lr"])


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
