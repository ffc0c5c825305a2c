"""Patches: what a network says of each place of some pictures, and that in colours.

>>> rng = np.random.default_rng(0)
>>> before = rng.normal(size=(4, 8, 3, 3))
>>> turned = np.einsum("nchw,cd->ndhw", before, np.linalg.qr(rng.normal(size=(8, 8)))[0])
>>> colours = patch_colours(before, turned)
>>> colours.agreement > 0.999, bool(np.allclose(colours.before, colours.after))
(True, True)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from overpaint.device import exact, on_best_device
from overpaint.networks import Network
from overpaint.networks.taps import taps, unplaced

Maps = NDArray[np.float32]
Floats = NDArray[np.float64]

ENDS = (0.01, 0.99)
"""The quantiles of a component that have none and all of its colour."""


def maps_of(network: Network, images: Tensor, layers: Sequence[str]) -> dict[str, Maps]:
    """What layers say at each place of pictures (N, 3, S, S): [N, C, H, W] each.

    A layer whose positions nobody can place, or that has but one, is not among them.
    """
    if not layers:
        return {}
    with (
        on_best_device(network, channels_last=True) as device,
        torch.inference_mode(),
        exact(),
        taps(network, layers, reduction=_as_map) as tap,
    ):
        maps = tap(images.to(device))
    return {layer: each.cpu().numpy() for layer, each in maps.items() if each is not None}


def _as_map(activation: Tensor) -> Tensor | None:
    if activation.ndim == 2 or unplaced(activation):
        return None
    if activation.ndim == 3:
        side = isqrt(activation.shape[1])
        activation = activation.transpose(1, 2).reshape(len(activation), -1, side, side)
    is_map = activation.shape[2] * activation.shape[3] > 1
    return activation.float().contiguous() if is_map else None


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchColours:
    """The patches of some pictures in colours, 0..1, before and after: like colours mean like
    features within a network, and across the two as far as they agree.
    """

    before: Floats  # [N, H, W, 3]
    after: Floats
    agreement: float  # 0..1: of the components before, the share that those after explain
    shares: tuple[float, float]  # of the variance of all channels, what three components hold


def patch_colours(before: NDArray[np.floating], after: NDArray[np.floating]) -> PatchColours:
    """The three leading components of the patch features of two networks, as colours.

    before, after: [N, C, H, W] of the same pictures; where their maps are of different sizes, the
    one after is read at the places of the one before. Each network has components of its own, for
    no basis serves two; those after are turned onto those before over all patches, by the rotation
    that brings them nearest, so that colours can be compared. Red, green and blue are then the
    first, second and third component before, each from its 1st to its 99th percentile in both.

    Source: Amir et al. 2021 and Oquab et al. 2023 for patch features in colours; Schönemann 1966
    for the rotation.
    """
    count, _, height, width = before.shape
    if after.shape[2:] != before.shape[2:]:
        rows, columns = (
            np.minimum((np.arange(new) + 0.5) * old / new, old - 1).astype(int)
            for new, old in zip((height, width), after.shape[2:], strict=True)
        )
        after = after[:, :, rows][:, :, :, columns]
    (first, share_first), (second, share_second) = map(_components, (before, after))
    left, stretch, right = np.linalg.svd(second.T @ first)
    turned = np.stack([first, second @ (left @ right)])
    low, high = np.quantile(turned.reshape(-1, 3), ENDS, axis=0)
    scaled = np.clip((turned - low) / np.maximum(high - low, 1e-12), 0, 1)
    colours = scaled.reshape(2, count, height, width, 3)
    return PatchColours(
        before=colours[0],
        after=colours[1],
        agreement=float(stretch.sum() ** 2),
        shares=(share_first, share_second),
    )


def _components(maps: NDArray[np.floating]) -> tuple[Floats, float]:
    """The three leading components of patches [patches, 3], together of length 1, and the share of
    the variance that they hold; the signs are such that the largest weight is positive.
    """
    patches = maps.transpose(0, 2, 3, 1).reshape(-1, maps.shape[1]).astype(np.float64)
    patches -= patches.mean(axis=0)
    whole = float((patches**2).sum())
    if len(patches) < patches.shape[1]:
        _, sizes, axes = np.linalg.svd(patches, full_matrices=False)
        variances, axes = sizes**2, axes.T
    else:
        variances, axes = np.linalg.eigh(patches.T @ patches)
        variances, axes = variances[::-1], axes[:, ::-1]
    axes = np.pad(axes[:, :3], ((0, 0), (0, max(0, 3 - axes.shape[1]))))
    heaviest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    components = patches @ (axes * np.where(heaviest < 0, -1, 1))
    length = float(np.linalg.norm(components))
    return components / max(length, 1e-30), float(variances[:3].sum()) / max(whole, 1e-30)
