"""The loss that a training goes down, and the targets that it is measured against.

>>> labels = np.array([0, 0, 0, 1])
>>> loss = TrainingLoss(Recipe(class_weights="balanced"), labels, classes=2, multi_label=False)
>>> [round(weight, 3) for weight in loss.weights.tolist()]
[0.667, 2.0]
>>> loss = TrainingLoss(Recipe(label_smoothing=0.1), labels, classes=2, multi_label=False)
>>> [round(share, 2) for share in loss.targets[0].tolist()]
[0.95, 0.05]
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from overpaint.study.recipe import Recipe


def plain_loss(multi_label: bool) -> nn.Module:
    """The loss by which epochs and networks compare, whatever a training goes down."""
    return nn.BCEWithLogitsLoss() if multi_label else nn.CrossEntropyLoss()


class TrainingLoss:
    """The loss of a recipe on the training pictures with these labels.

    labels: class numbers [N], or [N, C] of 0/1. `targets` has a row a picture: class numbers, or
    shares [N, C] where a recipe smooths or mixes them, or where a picture has several labels.
    `weights` [C], if any: of the classes, N / (C × pictures of it) as in King and Zeng 2001; of
    several labels, what the pictures that show one weigh, those without it / those with it.
    """

    def __init__(
        self, recipe: Recipe, labels: NDArray[Any], *, classes: int, multi_label: bool
    ) -> None:
        self.multi_label = multi_label
        self.weights: Tensor | None = None
        if recipe.class_weights == "balanced":
            if multi_label:
                shows = labels.sum(axis=0)
                balance = np.maximum(len(labels) - shows, 1) / np.maximum(shows, 1)
            else:
                counts = np.bincount(labels, minlength=classes)
                balance = np.where(
                    counts > 0, len(labels) / ((counts > 0).sum() * np.maximum(counts, 1)), 0.0
                )
            self.weights = torch.tensor(balance, dtype=torch.float32)
        self.targets = torch.as_tensor(labels)
        smoothing = recipe.label_smoothing
        if multi_label:
            self.targets = self.targets.float()
            if smoothing:
                self.targets = self.targets * (1 - smoothing) + smoothing / 2
        elif smoothing or recipe.mixup or recipe.cutmix:
            certain = nn.functional.one_hot(self.targets.long(), classes).float()
            self.targets = certain * (1 - smoothing) + smoothing / classes

    def to(self, device: torch.device) -> "TrainingLoss":
        """The same, with its numbers on a device."""
        self.targets = self.targets.to(device)
        self.weights = None if self.weights is None else self.weights.to(device)
        return self

    def mass(self, targets: Tensor) -> Tensor:
        """What the loss of these targets is divided by, a scalar: their number or weights."""
        if self.multi_label:
            return torch.full((), len(targets), device=targets.device)
        if targets.ndim == 1:
            weights = torch.ones_like(targets) if self.weights is None else self.weights[targets]
            return weights.sum()
        return (targets if self.weights is None else targets * self.weights).sum()

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The loss of logits (B, C) and the targets of the same pictures, a scalar.

        Cross-entropy is a mean in which each picture counts by the weight of its classes, for
        shares as torch has it for class numbers.
        """
        if self.multi_label:
            return nn.functional.binary_cross_entropy_with_logits(
                logits, targets, pos_weight=self.weights
            )
        if targets.ndim == 1:
            return nn.functional.cross_entropy(logits, targets, weight=self.weights)
        shares = targets if self.weights is None else targets * self.weights
        return -(shares * logits.log_softmax(dim=1)).sum() / shares.sum()
