"""CKA of each layer of a network with each layer of another, of one architecture or of two.

From features that are kept, `cka_matrix`; batch by batch where they cannot be, `BatchSums`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dgemm

from overpaint.errors import MeasureError
from overpaint.measures.centred import (
    Array,
    Centred,
    Table,
    ahead,
    check_same_images,
    gram_step,
    row_step,
    steps,
)
from overpaint.measures.cka import Crosses
from overpaint.measures.hsic import (
    DEGENERATE,
    Sums,
    lost,
    quotient,
    row_sums,
)


@dataclass(frozen=True, eq=False)
class CkaMatrix:
    """CKA of each layer of a network with each of another; where it has none, its status says why.

    `cka` is [L, M] and NaN just where `status` is not "ok".
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    cka: Array
    status: list[list[str]]


def cka_matrix(
    before: Mapping[str, Table], after: Mapping[str, Table], *, debiased: bool = False
) -> CkaMatrix:
    """CKA of each layer of a network with each layer of another, of whatever architectures.

    >>> rng = np.random.default_rng(0)
    >>> low, high = rng.standard_normal((2, 40, 5))
    >>> matrix = cka_matrix({"low": low, "dead": 0 * low}, {"low": low, "both": low + high})
    >>> matrix.cka.round(2)
    array([[1.  , 0.45],
           [ nan,  nan]])
    >>> matrix.status[1][0]
    'first features are the same for all images'

    before, after: features [N, p] of each layer, of the same images; as of `linear_cka`. A layer
    that has no CKA costs its own cells. Raises MeasureError: `images-differ`, `not-a-table`.
    """
    return LayerKernels.of(before, after).cka(debiased=debiased)


@dataclass(frozen=True, eq=False)
class LayerKernels:
    """All that CKA of each layer with each needs, biased and debiased, looked at once.

    The kernel of a layer with itself, and where N × N matrices are cheaper that matrix too, is
    made once for each layer and not for each pair; the pairs are then one product of matrices.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    xy: Sums  # arrays [L, M]; 0 where a layer has no kernel
    xx: Sums  # [L, 1]
    yy: Sums  # [1, M]
    lacking: tuple[dict[int, str], dict[int, str]]  # the layers without a kernel, and why
    crosses: dict[str, Crosses]  # of the layers that both have by name, where that was the way

    @classmethod
    def of(
        cls,
        before: Mapping[str, Table | Centred],
        after: Mapping[str, Table | Centred],
        *,
        keep: NDArray[np.intp] | None = None,
    ) -> "LayerKernels":
        """Of the features of all layers of two networks; errors as of `cka_matrix`. `keep`: rows
        that the next measures will ask each layer for.
        """
        counts = [table.shape[0] for table in (*before.values(), *after.values())]
        for count in counts:
            check_same_images(counts[0], count)
        (xs, no_x), (ys, no_y) = _kernels(before, "first"), _kernels(after, "second")
        shape, n = (len(before), len(after)), counts[0] if counts else 0
        crosses: dict[str, Crosses] = {}
        # Σ_ij K_ij L_ij of each layer with each, and of each with itself.
        squares, squares_x, squares_y = np.zeros(shape), np.zeros(shape[0]), np.zeros(shape[1])
        if xs and ys:
            layers = [*xs.values()], [*ys.values()]
            if _grams_are_cheaper(xs, ys):
                sums = _squares_by_grams(*layers)
            else:
                of_x, of_y = (
                    {names[number]: place for place, number in enumerate(kernels)}
                    for names, kernels in (([*before], xs), ([*after], ys))
                )
                pairs = {name: (of_x[name], of_y[name]) for name in of_x if name in of_y}
                sums, crosses = _squares_by_features(*layers, pairs, keep)
            cells = np.ix_(list(xs), list(ys))
            squares[cells], squares_x[list(xs)], squares_y[list(ys)] = sums
        a, b = _stacked(xs, shape[0], n), _stacked(ys, shape[1], n)
        totals = a.sum(axis=1)[:, None], b.sum(axis=1)[None, :]
        return cls(
            tuple(before),
            tuple(after),
            Sums(n, squares, a @ b.T, *totals),
            Sums(n, squares_x[:, None], row_sums(a, a)[:, None], totals[0], totals[0]),
            Sums(n, squares_y[None, :], row_sums(b, b)[None, :], totals[1], totals[1]),
            (no_x, no_y),
            crosses,
        )

    def cka(self, *, debiased: bool = False) -> CkaMatrix:
        """As `cka_matrix`."""
        n, least = self.xy.n, 4 if debiased else 2
        if n < least:
            few = f"needs at least {least} images; got {n}"
            status = [[few] * len(self.after) for _ in self.before]
            return CkaMatrix(
                self.before, self.after, np.full(self.xy.squares.shape, np.nan), status
            )
        xx, yy = self.xx.hsic(debiased=debiased), self.yy.hsic(debiased=debiased)
        return _matrix(
            (self.before, self.after),
            (self.xy.hsic(debiased=debiased), xx, yy),
            (lost(xx, self.xx.squares), lost(yy, self.yy.squares)),
            self.lacking,
        )


def _matrix(
    names: tuple[tuple[str, ...], tuple[str, ...]],
    hsic: tuple[Array, Array, Array],
    zero: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    lacking: tuple[dict[int, str], dict[int, str]],
) -> CkaMatrix:
    """The values where there are any, and elsewhere why there are none."""
    none = zero[0] | zero[1]
    none[list(lacking[0])] = True
    none[:, list(lacking[1])] = True
    xy, xx, yy = hsic
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(none, np.nan, quotient(xy, xx, yy))
    status = [
        [
            lacking[0].get(row) or lacking[1].get(column) or (DEGENERATE if empty else "ok")
            for column, empty in enumerate(line)
        ]
        for row, line in enumerate(none.tolist())
    ]
    return CkaMatrix(*names, values, status)


def _kernels(
    layers: Mapping[str, Table | Centred], which: str
) -> tuple[dict[int, Centred], dict[int, str]]:
    """The layers that have a kernel, by their number; and the others, with what they lack."""
    kernels, lacking = {}, {}
    for number, table in enumerate(layers.values()):
        try:
            kernels[number] = table if isinstance(table, Centred) else Centred.of(table, which)
        except MeasureError as error:
            if error.slug == "not-a-table":
                raise
            lacking[number] = str(error)
    return kernels, lacking


def _stacked(layers: dict[int, Centred], count: int, n: int) -> Array:
    """Each layer's K_ii [L, N]."""
    sizes = np.zeros((count, n))
    for number, layer in layers.items():
        sizes[number] = layer.sizes
    return sizes


READ = 100
"""Multiplications in the time in which one number is read from disk, about."""


def _grams_are_cheaper(xs: dict[int, Centred], ys: dict[int, Centred]) -> bool:
    n = len(next(iter(xs.values())))
    p, q = ([layer.width for layer in layers.values()] for layers in (xs, ys))
    looks = ceil(n / gram_step(n, len(p) + len(q)))
    grams = n * n * (sum(p) + sum(q) + len(p) * len(q)) + looks * n * (sum(p) + sum(q)) * READ
    return grams < n * (sum(p) * sum(q) + sum(width**2 for width in p + q))


def _squares_by_grams(xs: list[Centred], ys: list[Centred]) -> tuple[Array, Array, Array]:
    n = len(xs[0])
    squares = np.zeros((len(xs), len(ys)))
    squares_x, squares_y = np.zeros(len(xs)), np.zeros(len(ys))
    for rows in steps(n, gram_step(n, len(xs) + len(ys))):
        k, g = _gram_stack(xs, rows), _gram_stack(ys, rows)
        squares += k @ g.T
        squares_x += row_sums(k, k)
        squares_y += row_sums(g, g)
    return squares, squares_x, squares_y


def _gram_stack(layers: list[Centred], rows: slice) -> Array:
    """These rows of each layer's Gram matrix, flat [L, rows × N]."""
    flat = np.empty((len(layers), (rows.stop - rows.start) * len(layers[0])))
    for number, layer in enumerate(layers):
        flat[number] = layer.gram_rows(rows).ravel()
    return flat


TOGETHER = 6144
"""Columns of layers side by side that are multiplied at once: 300 MB for their products, which all
layers of InceptionV1 are.
"""


def _squares_by_features(
    xs: list[Centred],
    ys: list[Centred],
    pairs: Mapping[str, tuple[int, int]],
    keep: NDArray[np.intp] | None,
) -> tuple[tuple[Array, Array, Array], dict[str, Crosses]]:
    """In a look at each group of layers with each. Where there is one group, as nearly always, its
    look also tells of some pairs of layers what CKA of these alone needs, and each layer keeps
    some rows.
    """
    groups = [_groups(layers) for layers in (xs, ys)]
    if len(groups[0]) > 1 or len(groups[1]) > 1:
        pairs, keep = {}, None
    crosses: dict[str, Crosses] = {}
    squares: list[list[Array]] = []
    own: tuple[list[float], list[float]] = [], []
    for left in groups[0]:
        squares.append([])
        for right in groups[1]:
            # What a layer is by itself is told by the first look at it.
            first = not squares[-1], len(squares) == 1
            x, y = (
                _Side(layers, keep=keep, own=is_first)
                for layers, is_first in zip((left, right), first, strict=True)
            )
            look = _Look(x, y, pairs)
            crosses |= look.crosses
            squares[-1].append(look.squares())
            for side, norms in zip((x, y), own, strict=True):
                norms += [float(np.vdot(products, products)) for products in side.own]
    return (np.block(squares), np.array(own[0]), np.array(own[1])), crosses


def _groups(layers: list[Centred]) -> list[list[Centred]]:
    """Neighbours that together have no more than so many columns."""
    groups: list[list[Centred]] = []
    for layer in layers:
        if groups and sum(neighbour.width for neighbour in groups[-1]) + layer.width <= TOGETHER:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return groups


class _Side:
    """Layers of one network side by side, and what a look at them tells of each by itself: the
    products of its columns, its sizes and the rows to keep.
    """

    def __init__(self, layers: list[Centred], *, keep: NDArray[np.intp] | None, own: bool) -> None:
        self.layers, self.keep = layers, keep
        ends = np.cumsum([layer.width for layer in layers]).tolist()
        self.starts = [0, *ends[:-1]]
        self.columns = [*map(slice, self.starts, ends)]
        self.width = int(ends[-1])
        self.own = [np.zeros((layer.width, layer.width)) for layer in layers if own]
        self.sizes = np.empty((len(layers), len(layers[0])))
        self.kept = np.empty((0 if keep is None else len(keep), self.width))

    def read(self, rows: slice, out: Array) -> None:
        """Some rows of all layers, [n, width]."""
        for layer, columns in zip(self.layers, self.columns, strict=True):
            layer.about_mean(np.asarray(layer.table[rows, :]), out=out[:, columns])

    def take(self, rows: slice, read: Array) -> None:
        """What these rows add."""
        for number, columns in enumerate(self.columns):
            part = read[:, columns]
            self.sizes[number, rows] = row_sums(part, part)
            if self.own:
                self.own[number] += part.T @ part
        if self.keep is not None:
            some = slice(*np.searchsorted(self.keep, [rows.start, rows.stop]))
            self.kept[some] = read[self.keep[some] - rows.start]

    def finish(self) -> None:
        """Let the layers know their sizes and rows."""
        for layer, columns, sizes in zip(self.layers, self.columns, self.sizes, strict=True):
            if not layer.wide:
                layer.set_sizes(sizes)
            if self.keep is not None:
                layer.keep_rows(self.keep, self.kept[:, columns])


class _Look:
    """One look at the layers of two networks: the products of all columns of the one with all of
    the other; of pairs of layers also what CKA of these alone needs.
    """

    def __init__(self, x: _Side, y: _Side, pairs: Mapping[str, tuple[int, int]]) -> None:
        self.x, self.y, self.pairs = x, y, pairs
        self.cross = np.zeros((x.width, y.width))
        ends = {name: (x.columns[i], y.columns[j]) for name, (i, j) in pairs.items()}
        weighed = {name: (np.zeros((2, u.stop - u.start)), np.zeros((2, v.stop - v.start)))
                   for name, (u, v) in ends.items()}  # fmt: skip
        for rows, left, right in ahead(self._slices()):
            x.take(rows, left)
            y.take(rows, right)
            for name, (i, j) in pairs.items():
                sizes = np.stack([x.sizes[i, rows], y.sizes[j, rows]])
                for sums, part, columns in zip(
                    weighed[name], (left, right), ends[name], strict=True
                ):
                    np.add(sums, sizes @ part[:, columns], out=sums)
            add_product(self.cross, left, right)
        x.finish()
        y.finish()
        self.crosses = {
            name: Crosses(
                xy=self.cross[ends[name]].copy(),
                xx=x.own[i],
                yy=y.own[j],
                ax=weighed[name][0][0],
                bx=weighed[name][0][1],
                ay=weighed[name][1][0],
                by=weighed[name][1][1],
            )
            for name, (i, j) in pairs.items()
        }

    def _slices(self) -> Iterator[tuple[slice, Array, Array]]:
        """Some rows of both at a time. Two sets of memory take turns: while one is at work the
        next rows are read into the other.
        """
        n, widths = len(self.x.layers[0]), (self.x.width, self.y.width)
        step = min(row_step(*widths), n)
        memory = [[np.empty((step, width)) for width in widths] for _ in range(2)]
        for turn, rows in enumerate(steps(n, step)):
            left, right = (whole[: rows.stop - rows.start] for whole in memory[turn % 2])
            self.x.read(rows, left)
            self.y.read(rows, right)
            yield rows, left, right

    def squares(self) -> Array:
        """The squared norm of xᵀ y of each layer with each; `cross` is used up."""
        np.square(self.cross, out=self.cross)
        by_x = np.add.reduceat(self.cross, self.x.starts, axis=0)
        return np.asarray(np.add.reduceat(by_x, self.y.starts, axis=1))


def add_product(total: Array, u: Array, v: Array) -> None:
    """Add uᵀ v, without a second matrix as large.

    >>> total = np.ones((1, 1))
    >>> add_product(total, np.array([[2.0]]), np.array([[3.0]]))
    >>> total
    array([[7.]])
    """
    # BLAS adds to what is there, and sees in our rows its columns: totalᵀ + vᵀ u.
    added = dgemm(1.0, v.T, u.T, 1.0, total.T, trans_b=True, overwrite_c=True)
    assert np.shares_memory(added, total)


# --- batch by batch ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class BatchSums:
    """Debiased CKA of each layer with each, from the similarity of images within batches only.

    >>> rng = np.random.default_rng(0)
    >>> batches = rng.standard_normal((40, 16, 5))
    >>> grams = [{"layer": Centred.of(batch).gram} for batch in batches]
    >>> total = sum((BatchSums.of(gram, gram) for gram in grams), BatchSums.empty())
    >>> total.result().cka.round(12), total.n_images, total.n_unused
    (array([[1.]]), 640, 0)

    For whole maps of so many images that their features cannot be kept: a batch leaves L + M
    matrices [n, n] (`overpaint.networks.taps.gram` reduces a map to one), then L × M numbers. What
    counts is each four images that stood in one batch together, each four once. So batches may
    have any sizes; one of fewer than 4 holds no four images, and its images are counted as
    `n_unused`. Where features can be kept, `cka_matrix` compares all images with all and is the
    better estimate.

    Source: Nguyen, Raghu & Kornblith 2021, "Do wide and deep networks learn the same things?",
    equation 3, but for batches of different sizes.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    n_images: int
    n_unused: int
    hsic: tuple[Array, Array, Array]  # [L, M], [L, 1], [1, M]
    squares: tuple[Array, Array]  # what the last two were made from, to see their rounding
    lacking: tuple[dict[int, str], dict[int, str]]

    @classmethod
    def empty(cls) -> "BatchSums":
        """No images: neutral in sums."""
        nothing = np.zeros((0, 0))
        return cls(
            before=(),
            after=(),
            n_images=0,
            n_unused=0,
            hsic=(nothing,) * 3,
            squares=(nothing,) * 2,
            lacking=({}, {}),
        )

    @classmethod
    def of(cls, before: Mapping[str, Any], after: Mapping[str, Any]) -> "BatchSums":
        """A batch: for each layer the Gram matrix [n, n] of the features of its n images, about
        their mean. Raises MeasureError `images-differ`.
        """
        grams = [np.asarray(gram, np.float64) for gram in (*before.values(), *after.values())]
        n = len(grams[0])
        for gram in grams:
            check_same_images(n, len(gram))
        k, no_x = _without_infinite(np.stack(grams[: len(before)]), "first")
        g, no_y = _without_infinite(np.stack(grams[len(before) :]), "second")
        diagonal_k, diagonal_g = (np.einsum("lii->li", grams) for grams in (k, g))
        k, g = k.reshape(len(k), -1), g.reshape(len(g), -1)
        a, b = diagonal_k.sum(axis=1)[:, None], diagonal_g.sum(axis=1)[None, :]
        xy = Sums(n, k @ g.T, diagonal_k @ diagonal_g.T, a, b)
        xx = Sums(n, row_sums(k, k)[:, None], row_sums(diagonal_k, diagonal_k)[:, None], a, a)
        yy = Sums(n, row_sums(g, g)[None, :], row_sums(diagonal_g, diagonal_g)[None, :], b, b)
        weight = (n - 1) * (n - 2) if n >= 4 else 0  # n (n − 1) (n − 2) (n − 3) ordered fours
        hsic = tuple(
            weight * sums.hsic(debiased=True) if weight else 0 * sums.squares
            for sums in (xy, xx, yy)
        )
        return cls(
            before=tuple(before),
            after=tuple(after),
            n_images=n,
            n_unused=0 if weight else n,
            hsic=(hsic[0], hsic[1], hsic[2]),
            squares=(weight * xx.squares, weight * yy.squares),
            lacking=(no_x, no_y),
        )

    def __add__(self, other: "BatchSums") -> "BatchSums":
        if self.n_images == 0 or other.n_images == 0:
            return other if self.n_images == 0 else self
        if (self.before, self.after) != (other.before, other.after):
            raise MeasureError("layers-differ", "batches can be added only of the same layers")
        xy, xx, yy = (s + t for s, t in zip(self.hsic, other.hsic, strict=True))
        squares_x, squares_y = (s + t for s, t in zip(self.squares, other.squares, strict=True))
        no_x, no_y = (s | t for s, t in zip(self.lacking, other.lacking, strict=True))
        return BatchSums(
            before=self.before,
            after=self.after,
            n_images=self.n_images + other.n_images,
            n_unused=self.n_unused + other.n_unused,
            hsic=(xy, xx, yy),
            squares=(squares_x, squares_y),
            lacking=(no_x, no_y),
        )

    def result(self) -> CkaMatrix:
        """The matrix; a layer that has no CKA costs its own cells.

        Raises MeasureError `too-few-images` where no batch held four.
        """
        if self.n_images == self.n_unused:
            raise MeasureError("too-few-images", "needs at least 4 images in a batch")
        none = lost(self.hsic[1], self.squares[0]), lost(self.hsic[2], self.squares[1])
        return _matrix((self.before, self.after), self.hsic, none, self.lacking)


def _without_infinite(grams: Array, which: str) -> tuple[Array, dict[int, str]]:
    """The Gram matrices, 0 in the place of those that hold NaN or infinity, and which those are."""
    bad = ~np.isfinite(grams).all(axis=(1, 2))
    grams[bad] = 0
    why = f"{which} features hold NaN or infinity"
    return grams, dict.fromkeys(np.flatnonzero(bad).tolist(), why)
