"""Layers: how alike two networks see the pictures, one layer after another or each with each.

A measure by layer is an entry of LAYER_MEASURES: a function of a pair of layers, and the columns of
LayerRow that it fills.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from overpaint.errors import MeasureError
from overpaint.measures.centred import Centred, Table, centred_both
from overpaint.measures.cka import Kernels
from overpaint.measures.matrix import LayerKernels
from overpaint.measures.similarity import mutual_neighbours, neighbours_chance, procrustes
from overpaint.records import LayerRow, MatrixRow


@dataclass(frozen=True, eq=False)
class LayerPair:
    """The features of one layer in two networks, and what CKA makes of them."""

    before: Centred
    after: Centred
    kernels: Kernels


@dataclass(frozen=True, kw_only=True)
class LayerMeasure:
    """A measure of a pair of layers: its values, one for each column of LayerRow that it fills.

    What it cannot compute it says by a MeasureError, and the row tells that under its `name`.
    """

    name: str
    columns: tuple[str, ...]
    values: Callable[[LayerPair], tuple[float, ...]]


LAYER_MEASURES = (
    LayerMeasure(
        name="cka",
        columns=("cka",),
        values=lambda pair: (pair.kernels.cka(),),
    ),
    LayerMeasure(
        name="its interval",
        columns=("cka_low", "cka_high"),
        values=lambda pair: pair.kernels.interval(),
    ),
    LayerMeasure(
        name="cka_debiased",
        columns=("cka_debiased",),
        values=lambda pair: (pair.kernels.cka(debiased=True),),
    ),
    LayerMeasure(
        name="its interval",
        columns=("cka_debiased_low", "cka_debiased_high"),
        values=lambda pair: pair.kernels.interval(debiased=True),
    ),
    LayerMeasure(
        name="procrustes",
        columns=("procrustes",),
        values=lambda pair: (procrustes(pair.before, pair.after, pair.kernels.cross),),
    ),
    LayerMeasure(
        name="mutual_neighbours",
        columns=("mutual_neighbours", "mutual_neighbours_chance"),
        values=lambda pair: (
            mutual_neighbours(pair.before, pair.after),
            neighbours_chance(len(pair.before)),
        ),
    ),
)
"""What is measured of a layer, in this order."""


def layer_row(
    layer: str,
    position: int,
    before: Table | Centred,
    after: Table | Centred,
    reduction: str = "mean",
) -> LayerRow:
    """How alike one layer's features are, by all that LAYER_MEASURES lists.

    What cannot be computed (too few images, constant features) is a status, never a lost run.
    """
    values: dict[str, float | None] = {
        column: None for measure in LAYER_MEASURES for column in measure.columns
    }
    refused: dict[str, list[str]] = {}  # why -> the measures that said so
    try:
        x, y = centred_both(before, after)
        pair = LayerPair(x, y, Kernels.of(x, y))
    except MeasureError as error:
        refused[str(error)] = ["all"]
    else:
        for measure in LAYER_MEASURES:
            try:
                values |= zip(measure.columns, measure.values(pair), strict=True)
            except MeasureError as error:
                refused.setdefault(str(error), []).append(measure.name)
    return LayerRow(
        layer=layer,
        position=position,
        channels=after.shape[1],
        n_images=after.shape[0],
        reduction=reduction,
        status="; ".join(f"{', '.join(names)}: {why}" for why, names in refused.items()) or "ok",
        **values,
    )


def matrix_rows(
    before: Mapping[str, Table | Centred],
    after: Mapping[str, Table | Centred],
    reduction: str = "mean",
) -> list[MatrixRow]:
    """CKA of each layer of a network with each layer of another, of whatever architectures.

    A layer that has no CKA says why in its own rows.
    """
    kernels = LayerKernels.of(before, after)
    biased, debiased = kernels.cka(), kernels.cka(debiased=True)
    rows = []
    for i, layer_before in enumerate(before):
        for j, layer_after in enumerate(after):
            cka, cka_debiased = (
                None if np.isnan(matrix.cka[i, j]) else float(matrix.cka[i, j])
                for matrix in (biased, debiased)
            )
            status = debiased.status[i][j]
            alike = status == biased.status[i][j]
            rows.append(
                MatrixRow(
                    layer_before=layer_before,
                    layer_after=layer_after,
                    cka=cka,
                    cka_debiased=cka_debiased,
                    n_images=after[layer_after].shape[0],
                    reduction=reduction,
                    status=status if alike else f"cka_debiased: {status}",
                )
            )
    return rows
