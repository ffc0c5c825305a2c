"""Weights: how far each kernel moved and in how many directions, and each filter of a layer."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from overpaint.measures.anatomy import anatomy
from overpaint.measures.weights import distance, filter_change, matched_distance
from overpaint.networks import Network
from overpaint.networks.parts import kernel_layer
from overpaint.records import SpectrumRow, WeightRow, table


def weight_tables(
    before: Network, after: Network, *, related: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The distance of each kernel of the backbone with the directions of its change, in the order
    in which they are defined (WeightRow), and the singular values of each (SpectrumRow).

    Where the networks are not `related` (no common start), also the distance after matching the
    filters.
    """
    old_weights, new_weights = before.tensors(), after.tensors()
    kernels = [
        name
        for name, parameter in after.body.named_parameters()
        if parameter.ndim > 1 and not after.in_head(name) and name in old_weights
    ]
    rows, spectra = [], []
    for position, name in enumerate(kernels):
        old, new = array_of(old_weights[name]), array_of(new_weights[name])
        moved = distance(old, new) if old.shape == new.shape else None
        if moved is None:
            status = "shapes differ"
        else:
            status = "identical" if np.array_equal(old, new) else "ok"
        layer = kernel_layer(name)
        change = anatomy(old, new) if status == "ok" else None
        if change:
            spectra.append(
                pd.DataFrame(
                    {
                        "layer": layer,
                        "position": position,
                        "direction": np.arange(1, change.directions + 1),
                        "change": change.change,
                        "before": change.before,
                    }
                )
            )
        rows.append(
            WeightRow(
                layer=layer,
                position=position,
                parameters=new.size,
                l2=moved.l2 if moved else None,
                l2_relative=moved.l2_relative if moved else None,
                cosine=moved.cosine if moved else None,
                l2_matched=None if related or moved is None else matched_distance(old, new),
                status=status,
                **(change.columns() if change else {}),
            )
        )
    return (
        table(rows, WeightRow),
        pd.concat(spectra, ignore_index=True) if spectra else table([], SpectrumRow),
    )


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
    """A weight as NumPy has it, wherever it lies, in whatever order and however precise."""
    return np.ascontiguousarray(weight.detach().float().cpu())
