"""Pairwise: all networks of a dataset with all, in one number a measure, as heat maps show them."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from overpaint.comparison.layers import LEAST
from overpaint.comparison.sources import Source
from overpaint.comparison.weights import array_of
from overpaint.errors import MeasureError
from overpaint.measures.centred import Centred, Table, centred_if_possible
from overpaint.measures.cka import Kernels, mean_cka
from overpaint.measures.groups import Ints, group_numbers, how_many
from overpaint.measures.weights import distance
from overpaint.networks import Network
from overpaint.records import PairwiseRow, table


def pairwise_table(
    sources: Mapping[str, Source],
    *,
    related: Callable[[str, str], bool],
    groups: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """A row for each two of some networks (PairwiseRow): the mean CKA of the layers that both have,
    with its interval, and the mean distance of their kernels.

    `related`: whether two networks have a common start; the kernels of others are numbered by
    chance, so that their distance says nothing. `groups`: the group of each image, over which the
    intervals are taken then. Layers that two networks share unchanged (CKA exactly 1), as frozen
    ones are, count in the means, and there is a second mean without them.

    Source: the heat maps of Gonthier et al. 2020, of the biased CKA, for which layers that a
    training could not change are left out.
    """
    centred: dict[str, dict[str, Table | Centred]] = {
        name: {
            layer: centred_if_possible(source.compared(layer), name)
            for layer in source.network.layers
        }
        for name, source in sources.items()
    }
    if len(sources) < 2:
        return table([], PairwiseRow)
    count = max(features.shape[0] for layers in centred.values() for features in layers.values())
    numbers, pairs, rows = group_numbers(groups, count), [*combinations(sources, 2)], []
    for done, (first, second) in enumerate(pairs):
        rows.append(
            PairwiseRow(
                first=first,
                second=second,
                n_images=count,
                n_groups=how_many(numbers),
                **_alike(centred[first], centred[second], numbers),
                **_apart(
                    sources[first].network,
                    sources[second].network,
                    related=related(first, second),
                ),
            )
        )
        if progress:
            progress(done + 1, len(pairs))
    return table(rows, PairwiseRow)


def _alike(
    first: Mapping[str, Table | Centred],
    second: Mapping[str, Table | Centred],
    groups: Ints | None,
) -> dict[str, Any]:
    """The columns of CKA."""
    kernels: list[Kernels] = []
    refused: dict[str, list[str]] = {}
    for layer in (layer for layer in second if layer in first):
        try:
            of_layer = Kernels.of(first[layer], second[layer])
            of_layer.cka(debiased=True)
        except MeasureError as error:
            refused.setdefault(str(error), []).append(layer)
        else:
            kernels.append(of_layer)
    changed = [each for each in kernels if each.cka() < 1]
    columns: dict[str, Any] = {"layers": len(kernels), "layers_changed": len(changed)}
    for column, debiased in (("cka", False), ("cka_debiased", True)):
        values = [each.cka(debiased=debiased) for each in changed]
        columns |= {f"{column}_changed": float(np.mean(values)) if values else None}
        columns |= dict.fromkeys((column, f"{column}_low", f"{column}_high"))
        if not kernels or len(kernels[0].x) < LEAST:
            continue
        columns[column] = float(np.mean([each.cka(debiased=debiased) for each in kernels]))
        try:
            _, low, high = mean_cka(kernels, debiased=debiased, groups=groups)
        except MeasureError as error:
            refused.setdefault(f"no interval of {column}: {error}", [])
        else:
            columns |= {f"{column}_low": low, f"{column}_high": high}
    if not kernels and not refused:
        refused["no layer has a name that both have"] = []
    status = [f"{', '.join(layers)}: {why}" if layers else why for why, layers in refused.items()]
    return columns | {"status": "; ".join(status) or "ok"}


def _apart(first: Network, second: Network, *, related: bool) -> dict[str, Any]:
    """The columns of the weights' distance."""
    old, new = first.tensors(), second.tensors()
    moved = [
        distance(array_of(old[name]), array_of(new[name])).l2
        for name, parameter in second.body.named_parameters()
        if parameter.ndim > 1
        and not second.in_head(name)
        and name in old
        and old[name].shape == new[name].shape
    ]
    others = [each for each in moved if each > 0]
    tells = related and bool(moved)
    return {
        "kernels": len(moved),
        "l2": float(np.mean(moved)) if tells else None,
        "kernels_moved": len(others),
        "l2_moved": float(np.mean(others)) if tells and others else None,
    }
