"""Augmentation: how each picture of an epoch is cut and changed, and how a batch is mixed.

All of it is timm's; here it is drawn for each picture by itself, from the seed, the epoch and the
picture's number, so that neither threads nor an interruption change what a network is shown.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from timm.data.auto_augment import posterize, rand_augment_transform
from timm.data.mixup import Mixup
from timm.data.transforms import RandomResizedCropAndInterpolation
from torch import Tensor

from overpaint.networks import Preprocessing
from overpaint.pixels.images import RESAMPLING
from overpaint.seeds import seed_for
from overpaint.study.recipe import Recipe
from overpaint.training.chance import chance

RATIO = (3 / 4, 4 / 3)
"""Of width to height, what a random resized crop may have (Szegedy et al. 2015)."""

Change = tuple[Callable[..., Image.Image], tuple[Any, ...], dict[str, Any]]
"""A function of a picture, and the numbers that were drawn for it."""


class Augmentation:
    """What becomes of the pictures of one epoch."""

    def __init__(
        self, recipe: Recipe, preprocessing: Preprocessing, *, seed: int, epoch: int
    ) -> None:
        self.scale = recipe.crop_scale if recipe.crop == "resized" else None
        self.side = preprocessing.size
        self.resampling = RESAMPLING[preprocessing.interpolation]
        self.seed, self.epoch = seed, epoch
        self.draw_changes: Callable[[list[Change]], list[Change]] | None = None
        if recipe.augment:
            options = {"translate_const": int(self.side * 0.45), "interpolation": self.resampling}
            transform = rand_augment_transform(recipe.augment, options)
            for operation in transform.ops:
                operation.aug_fn = partial(_note, operation.aug_fn)
            self.draw_changes = transform

    def cut(self, pixels: NDArray[np.uint8], index: int) -> NDArray[np.uint8] | None:
        """The part of a picture (H, W, 3) that is shown, (S, S, 3); None where its crop is no
        resized one.
        """
        if self.scale is None:
            return None
        picture = Image.fromarray(pixels)
        with chance(seed_for(self.seed, "resized crop", self.epoch, index)):
            box = RandomResizedCropAndInterpolation.get_params(picture, self.scale, RATIO)  # type: ignore[no-untyped-call]
        top, left, height, width = box
        part = picture.crop((left, top, left + width, top + height))
        return np.asarray(part.resize((self.side, self.side), self.resampling))

    def change(self, square: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        """A picture (S, S, 3) with the changes that RandAugment draws for it."""
        if self.draw_changes is None:
            return square
        with chance(seed_for(self.seed, "augment", self.epoch, index)):
            changes = self.draw_changes([])
        picture = Image.fromarray(square)  # outside: threads may well change pictures side by side
        for function, levels, options in changes:
            if function is posterize and not levels[0]:
                # a picture of which no bit is kept is black; Pillow 12 refuses to say so
                picture = Image.new(picture.mode, picture.size)
                continue
            picture = function(picture, *levels, **options)
        return np.asarray(picture)


def _note(
    function: Callable[..., Image.Image], noted: list[Change], *levels: Any, **options: Any
) -> list[Change]:
    """Stands for an operation of timm's: writes down what it would do in place of doing it."""
    return [*noted, (function, levels, options)]


def mixed(images: Tensor, targets: Tensor, recipe: Recipe, *, seed: int) -> tuple[Tensor, Tensor]:
    """A batch (B, 3, S, S) of floats and its targets (B, classes), mixed by mixup or by cutmix.

    The first is mixed with the last, and so on; the one in the middle of an odd number stays.
    """
    pairs = len(images) // 2 * 2
    if not pairs:
        return images, targets
    # with each picture as a class of its own, timm's targets are how much of each is in which
    mixup: Any = Mixup(recipe.mixup, recipe.cutmix, label_smoothing=0.0, num_classes=pairs)  # type: ignore[no-untyped-call]
    with chance(seed):
        changed, shares = mixup(images[:pairs], torch.arange(pairs, device=images.device))
    return (
        torch.cat([changed, images[pairs:]]),
        torch.cat([shares.to(targets) @ targets[:pairs], targets[pairs:]]),
    )
