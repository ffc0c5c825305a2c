"""Weights: how far each kernel moved, and each filter of a layer."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from overpaint.measures.weights import distance, filter_change, matched_distance
from overpaint.networks import Network
from overpaint.records import WeightRow


def weight_rows(before: Network, after: Network, *, related: bool = True) -> list[WeightRow]:
    """The distance of each kernel of the backbone, in the order in which they are defined.

    Where the networks are not `related` (no common start), also after matching the filters.
    """
    old_weights, new_weights = before.tensors(), after.tensors()
    kernels = [
        name
        for name, parameter in after.body.named_parameters()
        if parameter.ndim > 1 and not after.in_head(name) and name in old_weights
    ]
    rows = []
    for position, name in enumerate(kernels):
        old, new = array_of(old_weights[name]), array_of(new_weights[name])
        moved = distance(old, new) if old.shape == new.shape else None
        if moved is None:
            status = "shapes differ"
        else:
            status = "identical" if np.array_equal(old, new) else "ok"
        rows.append(
            WeightRow(
                layer=name.removesuffix(".weight")
                .removesuffix("_pre_relu.0")
                .removesuffix("_pre_relu"),
                position=position,
                parameters=new.size,
                l2=moved.l2 if moved else None,
                l2_relative=moved.l2_relative if moved else None,
                cosine=moved.cosine if moved else None,
                l2_matched=None if related or moved is None else matched_distance(old, new),
                status=status,
            )
        )
    return rows


def filter_changes(before: Network, after: Network, layer: str) -> NDArray[np.float64] | None:
    """The relative change of the filter behind each channel of a layer [C]; None where no single
    filter makes a channel.
    """
    filters = after.filters.get(layer)
    if filters is None or before.filters.get(layer) != filters:
        return None
    old, new = before.tensors(), after.tensors()
    names = [f"{module}.weight" for module in filters]
    if any(old[name].shape != new[name].shape for name in names):
        return None
    return np.concatenate(
        [filter_change(array_of(old[name]), array_of(new[name])) for name in names]
    )


def array_of(weight: Tensor) -> NDArray[np.float32]:
    """A weight as NumPy has it, wherever it lies and however precise it is."""
    return np.asarray(weight.detach().float().cpu())
