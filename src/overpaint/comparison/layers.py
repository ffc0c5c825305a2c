"""Layers: how alike two networks see the pictures, one layer after another or each with each.

A measure by layer is an entry of LAYER_MEASURES: a function of a pair of layers, and the columns of
LayerRow that it fills.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.defaults import NEIGHBOURS
from overpaint.errors import MeasureError
from overpaint.measures.centred import Array, Centred, Table, ahead, centred_both, steps
from overpaint.measures.cka import EXACT, Crosses, Kernels, KernelSums
from overpaint.measures.groups import Ints, group_numbers, how_many
from overpaint.measures.matrix import LayerKernels
from overpaint.measures.ranges import in_parts
from overpaint.measures.similarity import (
    AT_ONCE,
    Neighbours,
    check_neighbours,
    mutual_neighbours,
    neighbours_chance,
    procrustes,
    shared_part,
)
from overpaint.records import LayerRow, MatrixRow, PictureRow, table

LEAST = 4
"""Images below which no CKA of layers is told: any two are wholly alike, and three nearly so."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparedPictures:
    """The pictures that layers are compared by."""

    names: Sequence[str]
    groups: Ints | None  # the number of each picture's group
    first: Centred | None = None  # the first layer before, which is nearest to the pictures
    likeness: Array | None = None  # its Gram matrix, of so few pictures as to be had

    @classmethod
    def of(
        cls,
        count: int,
        first: Table | Centred | None = None,
        names: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
    ) -> "ComparedPictures":
        """Of so many pictures, named by their numbers where no names are known."""
        centred = first if isinstance(first, Centred) else None
        return cls(
            names=[str(number) for number in range(count)] if names is None else names,
            groups=group_numbers(groups, count),
            first=centred,
            likeness=centred.gram if centred and count <= EXACT else None,
        )


@dataclass(frozen=True, eq=False)
class LayerPair:
    """The features of one layer in two networks, and what CKA and neighbours make of them."""

    before: Centred
    after: Centred
    kernels: Kernels
    neighbours: Callable[[], float]  # the share in common
    pictures: "ComparedPictures"

    def dominant(self) -> tuple[str, float]:
        """The pictures that CKA hangs on most, by name, and its value without them."""
        rows, value = self.kernels.dominant()
        return " · ".join(self.pictures.names[row] for row in rows), value

    def partial(self) -> float | None:
        """CKA without what the first layer before sees as alike; None of that layer itself."""
        if self.pictures.first is None or self.before is self.pictures.first:
            return None
        return self.kernels.partial(self.pictures.likeness)

    def cka(self, *, debiased: bool = False) -> float:
        """Of so few pictures as to be alike whatever a network sees in them there is none."""
        if len(self.before) < LEAST:
            raise MeasureError(
                "too-few-images", f"needs at least {LEAST} images; got {len(self.before)}"
            )
        return self.kernels.cka(debiased=debiased)


@dataclass(frozen=True, kw_only=True)
class LayerMeasure:
    """A measure of a pair of layers: its values, one for each column of LayerRow that it fills.

    What it cannot compute it says by a MeasureError, and the row tells that under its `name`.
    """

    name: str
    columns: tuple[str, ...]
    values: Callable[[LayerPair], tuple[float | str | None, ...]]


LAYER_MEASURES = (
    LayerMeasure(
        name="cka",
        columns=("cka",),
        values=lambda pair: (pair.cka(),),
    ),
    LayerMeasure(
        name="interval of cka",
        columns=("cka_low", "cka_high"),
        values=lambda pair: pair.kernels.interval(groups=pair.pictures.groups),
    ),
    LayerMeasure(
        name="cka_debiased",
        columns=("cka_debiased",),
        values=lambda pair: (pair.cka(debiased=True),),
    ),
    LayerMeasure(
        name="interval of cka_debiased",
        columns=("cka_debiased_low", "cka_debiased_high"),
        values=lambda pair: pair.kernels.interval(debiased=True, groups=pair.pictures.groups),
    ),
    LayerMeasure(
        name="cka_permuted",
        columns=("cka_permuted",),
        values=lambda pair: (pair.kernels.permuted(),),
    ),
    LayerMeasure(
        name="dominant",
        columns=("dominant", "cka_debiased_without"),
        values=LayerPair.dominant,
    ),
    LayerMeasure(
        name="cka_debiased_partial",
        columns=("cka_debiased_partial",),
        values=lambda pair: (pair.partial(),),
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
            pair.neighbours(),
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
    groups: Sequence[str] | None = None,
) -> LayerRow:
    """How alike one layer's features are, by all that LAYER_MEASURES lists.

    groups: of each image, "" is none; intervals are over groups where there are any. What cannot be
    computed (too few images, constant features) is a status, never a lost run.
    """
    pictures = ComparedPictures.of(after.shape[0], groups=groups)
    measured = LayerSums(before, after, pictures)
    if measured.tables:
        for part in ahead(in_parts(*measured.tables)):
            measured.add(*part)
    return measured.row(layer, position, reduction)


class LayerSums:
    """`layer_row` of images that come a few at a time, so that others can have them too.

    Features that are wider than there are images are looked at another way, and want no rows.
    """

    def __init__(
        self,
        before: Table | Centred,
        after: Table | Centred,
        pictures: ComparedPictures,
        crosses: Crosses | None = None,
    ) -> None:
        self.shape = after.shape
        self.pictures = pictures
        self.refused: dict[str, list[str]] = {}  # why -> the measures that said so
        self.tables: tuple[Table, Table] | None = None  # what rows are wanted of
        try:
            self.x, self.y = centred_both(before, after)
        except MeasureError as error:
            self.refused[str(error)] = ["all"]
            return
        if self.x.wide or self.y.wide:
            return
        self.tables = self.x.table, self.y.table
        self.kernels = KernelSums(self.x, self.y, crosses)
        self.near: list[Neighbours] = []
        if len(self.x) >= NEIGHBOURS + 2:
            # Equal features have the same neighbours.
            sides = (self.x,) if self.kernels.same else (self.x, self.y)
            self.near = [Neighbours(side) for side in sides]

    def add(self, rows: slice, before: NDArray[Any], after: NDArray[Any]) -> None:
        """Take some rows of both tables."""
        for some in steps(len(before), AT_ONCE):  # they stay in the processor's cache
            u = self.x.about_mean(before[some])
            v = u if self.kernels.same else self.y.about_mean(after[some])
            self.kernels.add(u, v)
            here = slice(rows.start + some.start, rows.start + some.stop)
            for near, part in zip(self.near, (u, v), strict=False):
                near.add(here, part)

    def row(self, layer: str, position: int, reduction: str) -> LayerRow:
        """Of all images."""
        values: dict[str, Any] = {
            column: None for measure in LAYER_MEASURES for column in measure.columns
        } | {"dominant": ""}
        pair, refused = self.pair, {why: list(names) for why, names in self.refused.items()}
        if pair:
            for measure in LAYER_MEASURES:
                try:
                    values |= zip(measure.columns, measure.values(pair), strict=True)
                except MeasureError as error:
                    refused.setdefault(str(error), []).append(measure.name)
        return LayerRow(
            layer=layer,
            position=position,
            channels=self.shape[1],
            n_images=self.shape[0],
            n_groups=how_many(self.pictures.groups),
            reduction=reduction,
            status="; ".join(f"{', '.join(names)}: {why}" for why, names in refused.items())
            or "ok",
            **values,
        )

    def pictures_table(self, layer: str, position: int) -> pd.DataFrame:
        """PictureRow of each picture; of none where features are refused, or pictures so many that
        nobody looks at each.
        """
        if self.pair is None or self.shape[0] > EXACT:
            return table([], PictureRow)
        rows = (
            PictureRow(layer=layer, position=position, image=name, alike=float(alike))
            for name, alike in zip(self.pictures.names, self.pair.kernels.by_image(), strict=True)
        )
        return table(rows, PictureRow)

    @cached_property
    def pair(self) -> LayerPair | None:
        """Of all images; None where features are refused."""
        if self.refused:
            return None
        return LayerPair(
            self.x,
            self.y,
            self.kernels.kernels if self.tables else Kernels.of(self.x, self.y),
            self._neighbours,
            self.pictures,
        )

    def _neighbours(self) -> float:
        if not self.tables:
            return mutual_neighbours(self.x, self.y)
        check_neighbours(len(self.x))
        return shared_part(self.near[0].pairs, self.near[-1].pairs)


def matrix_rows(
    before: Mapping[str, Table | Centred],
    after: Mapping[str, Table | Centred],
    reduction: str = "mean",
    kernels: LayerKernels | None = None,
) -> list[MatrixRow]:
    """CKA of each layer of a network with each layer of another, of whatever architectures.

    A layer that has no CKA says why in its own rows. `kernels` are those of the layers, where
    there are any.
    """
    kernels = kernels or LayerKernels.of(before, after)
    debiased = kernels.cka(debiased=True)
    enough = all(table.shape[0] >= LEAST for table in after.values())
    biased = kernels.cka() if enough else debiased
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
