"""Linear CKA: how alike two sets of features of the same images are, from 0 to 1.

>>> rng = np.random.default_rng(0)
>>> before = rng.standard_normal((50, 8))
>>> round(linear_cka(before, before[:, ::-1] * 3 + 5), 12)
1.0

Of images that come in shards: `overpaint.measures.mergeable`; of all layers of two networks with
each other: `overpaint.measures.matrix`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overpaint.errors import MeasureError
from overpaint.measures.centred import Array, Centred, Table, ahead, centred_both, row_step, steps
from overpaint.measures.groups import Ints, group_numbers
from overpaint.measures.hsic import (
    DEGENERATE,
    Sums,
    cka_of,
    lost,
    quotient,
    row_sums,
)

EXACT = 2**12
"""Images up to which groups are left out by the N × N matrices: 134 MB for each of two."""

DOMINANT = 3
"""Images without which CKA is told once more."""


def linear_cka(x: Table, y: Table, *, debiased: bool = False) -> float:
    """The similarity of two sets of features of the same images, whatever their rotation and scale.

    >>> np.random.seed(1337)
    >>> x = np.random.randn(100, 10)
    >>> y = np.random.randn(100, 10) + x
    >>> round(linear_cka(x, y), 5)
    0.55761
    >>> round(linear_cka(x, y, debiased=True), 5)
    0.51346

    An offset of the features costs nothing that the input had not already lost:

    >>> round(linear_cka(x + 1e5, y), 5)
    0.55761

    x: [N, p] and y: [N, q], any real dtype, a row an image, rows in the same order; NumPy's arrays,
    or Zarr's, which are read in slices. Computed in float64. The biased value is in 0..1 and grows
    with p / N: each image is wholly like itself in both, and where features are wider than there
    are images nothing else is as large, so that unrelated ones come close to 1 (0.94 for 256
    images and 4,096 channels). The debiased value leaves out the pairing of each image with
    itself: −1..1, 0 on average for unrelated features; it needs 4 images, the biased one 2.

    Raises MeasureError: `not-a-table`, `images-differ`, `too-few-images`, `not-finite`,
    `constant-features` (no image differs from the others), `degenerate-features` (debiased only:
    nothing remains without the pairing of each image with itself, for instance because a single
    image differs from all the others).

    Source: Kornblith et al. 2019, "Similarity of neural network representations revisited"; the
    unbiased HSIC is that of Song et al. 2012, "Feature selection via dependence maximization",
    equation 5, in its form for centred linear kernels, which needs no N × N matrix.
    """
    return Kernels.of(x, y).cka(debiased=debiased)


def cka_interval(
    x: Table,
    y: Table,
    *,
    debiased: bool = False,
    level: float = 0.95,
    groups: Sequence[str] | None = None,
) -> tuple[float, float]:
    """The interval in which CKA would fall for other images of the same kind.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 8))
    >>> low, high = cka_interval(x, x + rng.standard_normal((200, 8)))
    >>> f"{low:.2f} to {high:.2f}"
    '0.45 to 0.53'

    x, y and errors as in `linear_cka`, but it takes 4 images (debiased 5), `degenerate-features` is
    raised also where a single image differs from all others, and `no-interval` where features
    differ but CKA is the same whichever image is left out: a width of zero would be untrue. The
    interval contains `linear_cka(x, y)`; that of the biased value is for the biased value of as
    many images.

    It is the delete-one jackknife on Fisher's scale (artanh), in closed form: no random draws, and
    the cost of one CKA. No bootstrap, because repeated images are alike by themselves. Coverage of
    the nominal 95 % in simulations (N 100 and 250, p 10 to 300, six kinds of Gaussian and
    heavy-tailed features, 150 to 250 replications each): jackknife 90 to 99 %; random halves
    88 to 100 %, up to a third wider where features are unrelated; percentile bootstrap 0 to 99 %,
    and with repeated pairs left out (debiased only) 88 to 100 %.

    groups: the group of each image, "" is none. Where an image has one, whole groups are left out
    in the place of images, one without a group alone, and Student's t is taken in the place of the
    normal quantile: it tells what other groups would give. Of fewer than 10 groups it is not to be
    relied on. Up to 4,096 images it is exact; of more, what a group does is the sum of what its
    images do one by one, which is too much rather than too little. Raises `too-few-groups` for a
    single group, and `images-differ` where there is not a group for each image.

    Source: Efron & Stein 1981, "The jackknife estimate of variance".
    """
    return Kernels.of(x, y).interval(
        debiased=debiased, level=level, groups=group_numbers(groups, x.shape[0])
    )


@dataclass(frozen=True, eq=False)
class Kernels:
    """All that CKA of two sets of features and its interval need, looked at once.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 8))
    >>> both = Kernels.of(x, x + rng.standard_normal((200, 8)))
    >>> round(both.cka(), 2), round(both.cka(debiased=True), 2)
    (0.49, 0.47)

    Errors as of `linear_cka`, those of too few images and of 0/0 only when the value is asked for.
    """

    x: Centred
    y: Centred
    xy: "_Pair"
    xx: "_Pair"
    yy: "_Pair"
    cross: Array | None  # xᵀ y [p, q], where that was the way

    @classmethod
    def of(cls, x: Table | Centred, y: Table | Centred) -> "Kernels":
        """Of two tables, or of two that were centred already, by the cheaper of two ways."""
        x, y = centred_both(x, y)
        if x.wide or y.wide:
            same = x.equals(y)
            return cls.from_sums(x, x if same else y, _by_grams(x, x if same else y), None)
        sums = KernelSums(x, y)
        step = row_step(x.width, y.width)
        for (_, u), (_, v) in ahead(zip(x.by_rows(step), y.by_rows(step), strict=True)):
            sums.add(u, v)
        return sums.kernels

    @classmethod
    def from_sums(
        cls, x: Centred, y: Centred, sums: "_ThreePairs", cross: Array | None
    ) -> "Kernels":
        """Of what was summed up of each image; of features and themselves where y is x."""
        # Three times one kernel, and not thrice its rounding: exactly 1.
        (xy, linked_xy), (xx, linked_xx), (yy, linked_yy) = [sums[1]] * 3 if x is y else sums
        a, b = x.sizes, y.sizes
        return cls(
            x=x,
            y=y,
            xy=_Pair(xy, a, b, linked_xy),
            xx=_Pair(xx, a, a, linked_xx),
            yy=_Pair(yy, b, b, linked_yy),
            cross=cross,
        )

    def cka(self, *, debiased: bool = False) -> float:
        """As `linear_cka`."""
        self._check_enough(4 if debiased else 2)
        return float(cka_of(self.xy.sums, self.xx.sums, self.yy.sums, debiased=debiased))

    def interval(
        self, *, debiased: bool = False, level: float = 0.95, groups: Ints | None = None
    ) -> tuple[float, float]:
        """As `cka_interval`; groups as `group_numbers` has them."""
        self._check_enough(5 if debiased else 4)
        return _jackknifed(
            self.cka(debiased=debiased),
            self.without_each(debiased=debiased, groups=groups),
            least=-1.0 if debiased else 0.0,
            level=level,
            of_groups=groups is not None,
        )

    def by_image(self) -> Array:
        """How alike each image's likenesses to all others are in x and y [N]: their cosine, −1..1;
        0 where an image is like no other.
        """
        inside = [pair.squares - pair.a * pair.b for pair in (self.xy, self.xx, self.yy)]
        xy, size = inside[0], np.sqrt(np.maximum(inside[1], 0) * np.maximum(inside[2], 0))
        cosine = np.divide(xy, size, out=np.zeros_like(xy), where=size > 0)
        return np.asarray(np.clip(cosine, -1, 1))

    def permuted(self) -> float:
        """The biased CKA when the pictures of one layer are dealt out anew, the mean over all N!
        ways, the same for all layers: Σ K_ii Σ L_ii / (N − 1) in the place of Σ_ij K_ij L_ij. The
        debiased value has the mean 0.

        What both layers owe to no picture in particular: the value that CKA has without any
        likeness, for so many images and directions.
        """
        self._check_enough(4)
        deal = self.xy.a.sum() * self.xy.b.sum() / (len(self.xy.a) - 1)
        return float(quotient(deal, self.xx.squares.sum(), self.yy.squares.sum()))

    def dominant(self, count: int = DOMINANT) -> tuple[list[int], float]:
        """The images without which, one at a time, debiased CKA moves most, that which moves it
        most first, and its value without all of these; no images where none moves it.

        Raises MeasureError: `too-few-images`, `degenerate-features`, and `too-many-images` above
        4,096, where no few of them can dominate.
        """
        self._check_enough(count + 4)
        if len(self.xy.a) > EXACT:
            raise _too_many()
        without = self.without_each(debiased=True)
        moves = -np.abs(without - without.mean())
        if (moves > -1e-12).all():
            return [], self.cka(debiased=True)
        rows = np.argsort(moves, kind="stable")[:count]
        outside = np.ones(len(moves), np.int64)
        outside[rows] = 0
        xy, xx, yy = (sums[:1] for sums in self._hsics_without_groups(outside, (), debiased=True))
        if (lost(xx, self.xx.squares.sum()) | lost(yy, self.yy.squares.sum())).any():
            raise MeasureError("degenerate-features", DEGENERATE)
        return rows.tolist(), float(quotient(xy, xx, yy)[0])

    def partial(self, input_gram: Array | None) -> float:
        """Debiased CKA of what is left of both kernels once that of the input is regressed off.

        input_gram: [N, N], x xᵀ of the input's features about their mean (`Centred.gram`; None of
        too many images): how alike the pictures are by themselves, which two networks share without
        having learnt it. The least-squares share of it goes from each kernel; (r_xy − r_x0 r_y0) /
        √((1 − r_x0²)(1 − r_y0²)) of the three debiased CKAs, −1..1.

        Raises MeasureError: `too-few-images`, `degenerate-features`, `too-many-images` above 4,096,
        `nothing-left` where a layer holds nothing but the likeness of the input.

        Source: Cui et al. 2022, "Deconfounded representation similarity for comparison of neural
        networks"; the unbiased kernels are those of Székely & Rizzo 2014, "Partial distance
        correlation with methods for dissimilarities".
        """
        self._check_enough(5)
        if input_gram is None or len(self.xy.a) > EXACT:
            raise _too_many()
        own = np.diagonal(input_gram)

        def sums(gram: Array, sizes: Array) -> Sums:
            terms = np.vdot(gram, input_gram), sizes @ own, sizes.sum(), own.sum()
            return Sums(len(own), *map(np.asarray, terms))

        alone = sums(input_gram, own)
        x, y = (
            float(cka_of(sums(side.gram, side.sizes), pair.sums, alone, debiased=True))
            for side, pair in ((self.x, self.xx), (self.y, self.yy))
        )
        left = (1 - x**2) * (1 - y**2)
        if min(1 - x**2, 1 - y**2) < 1e-6:
            raise MeasureError(
                "nothing-left", "a layer holds nothing but the likeness of the input"
            )
        return float(np.clip((self.cka(debiased=True) - x * y) / np.sqrt(left), -1, 1))

    def without_each(self, *, debiased: bool, groups: Ints | None = None) -> Array:
        """CKA of all images but one [N], or but those of a group [G]."""
        without = _Pair.unbiased_hsic_without if debiased else _Pair.biased_hsic_without
        hsics = [without(pair) for pair in (self.xy, self.xx, self.yy)]
        if groups is not None:
            count, least = np.bincount(groups), 4 if debiased else 3
            if len(count) < 2:
                raise MeasureError(
                    "too-few-groups", "an interval over groups needs two; all images are of one"
                )
            if len(groups) - count.max() < least:
                raise MeasureError(
                    "too-few-images",
                    f"needs at least {least} images without those of any group; got "
                    f"{len(groups) - count.max()}",
                )
            hsics = self._hsics_without_groups(groups, hsics, debiased=debiased)
        xy, xx, yy = hsics
        if (lost(xx, self.xx.squares.sum()) | lost(yy, self.yy.squares.sum())).any():
            raise MeasureError("degenerate-features", DEGENERATE)
        return quotient(xy, xx, yy)

    def _hsics_without_groups(
        self, groups: Ints, without_images: Sequence[Array], *, debiased: bool
    ) -> list[Array]:
        """HSIC of x and y, of x and itself, of y and itself without each group, [G]."""
        pairs = (self.xy, self.xx, self.yy)
        if len(groups) > EXACT:
            wholes = [pair.sums.hsic(debiased=debiased) for pair in pairs]
            return [
                whole + np.bincount(groups, without - whole)
                for whole, without in zip(wholes, without_images, strict=True)
            ]
        k, g = self.x.gram, self.y.gram
        return [
            pair.sums_without(groups, s, t).hsic(debiased=debiased)
            for pair, s, t in zip(pairs, (k, k, g), (g, k, g), strict=True)
        ]

    def _check_enough(self, least: int) -> None:
        if len(self.xy.a) < least:
            raise MeasureError(
                "too-few-images", f"needs at least {least} images; got {len(self.xy.a)}"
            )


def mean_cka(
    layers: Sequence[Kernels], *, debiased: bool = False, level: float = 0.95,
    groups: Ints | None = None,
) -> tuple[float, float, float]:  # fmt: skip
    """The mean CKA of several layers of two networks on the same images, and its interval.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((200, 8))
    >>> layers = [Kernels.of(x, x + noise * rng.standard_normal((200, 8))) for noise in (0.5, 1)]
    >>> "{:.2f}, {:.2f} to {:.2f}".format(*mean_cka(layers))
    '0.64, 0.62 to 0.66'

    The interval is the jackknife of the mean itself: an image, or a group of images, is left out of
    all layers at once, since layers that see the same images do not err apart. Errors as of
    `cka_interval`.
    """
    values = [kernels.cka(debiased=debiased) for kernels in layers]
    value = float(np.mean(values))
    # Equal kernels have exactly 1, and so do they without any image.
    without = np.mean(
        [kernels.without_each(debiased=debiased, groups=groups) for kernels in layers], axis=0
    )
    low, high = _jackknifed(
        value,
        without,
        least=-1.0 if debiased else 0.0,
        level=level,
        of_groups=groups is not None,
    )
    return value, low, high


def _jackknifed(
    value: float, without_each: Array, *, least: float, level: float, of_groups: bool
) -> tuple[float, float]:
    """The interval about a value, from those without each image or group."""
    without_each = _stretched(without_each)
    count = len(without_each)
    error = float(np.sqrt((count - 1) * np.var(without_each)))
    if error == 0 and value == 1:
        return value, value
    if error < 1e-9 and value < 1 - 1e-11:
        raise MeasureError(
            "no-interval",
            "no interval: CKA is the same whichever image or group is left out",
        )
    from scipy.special import ndtri, stdtrit  # reports read findings' words and have no SciPy

    upper = (1 + level) / 2
    reach = error * float(stdtrit(count - 1, upper) if of_groups else ndtri(upper))
    low, high = np.tanh([_stretched(value) - reach, _stretched(value) + reach])
    # The clip of the stretched value to just below 1 must not part the value from its interval.
    return min(max(float(low), least), value), max(float(high), value)


@dataclass(frozen=True, eq=False)
class Grams:
    """The Gram matrices [N, N] of two sets of features, for CKA of many selections of the images.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((2, 50, 8))
    >>> chosen = np.arange(50) % np.array([[2], [3]]) == 0  # every second, every third
    >>> values = Grams.of(x, y).cka_debiased(chosen)
    >>> bool(abs(values[1] - linear_cka(x[::3], y[::3], debiased=True)) < 1e-12)
    True
    """

    x: Array
    y: Array

    @classmethod
    def of(cls, x: Table, y: Table) -> "Grams":
        """Of two tables; errors as of `linear_cka`."""
        return cls(Centred.of(x).gram, Centred.of(y).gram)

    def cka_debiased(self, chosen: NDArray[np.bool_]) -> Array:
        """`linear_cka` of each of some selections [D, N], true where an image is chosen: [D].

        No product of features is made anew, and no selection has a matrix of its own: the sums of
        all selections come from products of `chosen` and the whole matrices. Raises MeasureError
        `degenerate-features` where that is so of any selection.
        """
        s = chosen.astype(np.float64)
        n = s.sum(axis=1)
        # About the mean of the chosen, whose part in each sum is known without a centred matrix.
        u, v = ((s @ gram) / n[:, None] for gram in (self.x, self.y))  # each with the chosen
        mean_u, mean_v = ((s * means).sum(axis=1) / n for means in (u, v))
        a, b = (
            s * (np.diagonal(gram) - 2 * means + mean[:, None])
            for gram, means, mean in ((self.x, u, mean_u), (self.y, v, mean_v))
        )
        u, v = s * u, s * v
        xy, xx, yy = (
            Sums(
                n=n,
                squares=row_sums(s @ (k * g), s) - 2 * n * row_sums(p, q) + n**2 * mean_p * mean_q,
                products=row_sums(c, d),
                a=c.sum(axis=1),
                b=d.sum(axis=1),
            )
            for k, g, p, q, mean_p, mean_q, c, d in (
                (self.x, self.y, u, v, mean_u, mean_v, a, b),
                (self.x, self.x, u, u, mean_u, mean_u, a, a),
                (self.y, self.y, v, v, mean_v, mean_v, b, b),
            )
        )
        for gram, pair in ((self.x, xx), (self.y, yy)):
            if lost(pair.squares, row_sums(s @ gram**2, s)).any():  # a selection of equals
                raise MeasureError("degenerate-features", DEGENERATE)
        return cka_of(xy, xx, yy, debiased=True)


@dataclass(frozen=True, eq=False)
class _Pair:
    """All that HSIC, with all images and without each, needs of two centred kernels; each [N]."""

    squares: Array  # Σ_j K_ij L_ij
    a: Array  # K_ii
    b: Array  # L_ii
    linked: Array  # Σ_j K_ij b_j + L_ij a_j

    @property
    def sums(self) -> Sums:
        terms = self.squares.sum(), self.a @ self.b, self.a.sum(), self.b.sum()
        return Sums(len(self.a), *map(np.asarray, terms))

    def biased_hsic_without(self) -> Array:
        """For each image, the biased HSIC of all others, about their own mean."""
        factor = len(self.a) / (len(self.a) - 1)
        return self.squares.sum() - 2 * factor * self.squares + factor**2 * self.a * self.b

    def unbiased_hsic_without(self) -> Array:
        """For each image, the unbiased HSIC of all others, by Song's three sums."""
        n, products, product = len(self.a) - 1, self.a @ self.b, self.a * self.b
        pairs = self.squares.sum() - products - 2 * (self.squares - product)
        triples = 2 / (n - 2) * (products + self.linked + self.squares - 4 * product)
        quadruples = (self.a.sum() - 2 * self.a) * (self.b.sum() - 2 * self.b)
        return np.asarray(pairs - triples + quadruples / ((n - 1) * (n - 2)))

    def sums_without(self, groups: Ints, k: Array, g: Array) -> Sums:
        """For each group the sums of all images of no group but others, about their own mean [G].

        k, g: the kernels K and L whose pair this is. About the mean of the others each image is
        further by s / r, where s is the sum of the group's images and r the number of the others.
        """
        order, rows = np.argsort(groups, kind="stable"), np.arange(len(groups))
        count = np.bincount(groups)
        starts, r = np.cumsum(count) - count, len(groups) - count.astype(np.float64)

        def to_groups(kernel: Array) -> Array:
            """What each image has with the images of each group together, [N, G]."""
            return np.asarray(np.add.reduceat(kernel[:, order], starts, axis=1))

        def of_groups(values: Array) -> Array:
            return np.asarray(np.bincount(groups, values), np.float64)

        def others(values: Array) -> Array:
            return np.asarray(values.sum() - of_groups(values))

        ks, ls = to_groups(k), to_groups(g)
        crossing = (ks * ls).sum(axis=0)
        own_k, own_l, own_pairs = ks[rows, groups], ls[rows, groups], to_groups(k * g)[rows, groups]
        size_k, size_l = of_groups(own_k), of_groups(own_l)  # |s|² in x and in y
        crossing -= of_groups(own_k * own_l)
        a, b = others(self.a), others(self.b)
        linked = of_groups(self.linked - self.a * own_l - self.b * own_k)
        return Sums(
            n=r,
            squares=self.squares.sum() - of_groups(2 * self.squares - own_pairs)
            + (size_k * size_l / r - 2 * crossing) / r,
            products=others(self.a * self.b) + 2 * linked / r
            + (4 * crossing + size_l * a + size_k * b) / r**2 - 3 * size_k * size_l / r**3,
            a=a - size_k / r,
            b=b - size_l / r,
        )  # fmt: skip


_ThreePairs = list[tuple[Array, Array]]
"""`squares` and `linked` of three pairs: x and y, x and x, y and y."""


def _by_grams(x: Centred, y: Centred) -> _ThreePairs:
    """From the N × N matrices."""
    a, b = x.sizes, y.sizes
    slices = []
    for (_, k), (_, g) in zip(x.by_gram_rows(), y.by_gram_rows(), strict=True):
        ka, gb = k @ a, g @ b
        slices.append([
            (row_sums(k, g), k @ b + g @ a), (row_sums(k, k), ka + ka), (row_sums(g, g), gb + gb)
        ])  # fmt: skip
    return _joined(slices)


@dataclass(frozen=True, eq=False, kw_only=True)
class Crosses:
    """What one look at centred features of the same images leaves: the products of their columns,
    and the sums of images weighed by their sizes a in x and b in y.
    """

    xy: Array  # xᵀ y [p, q]
    xx: Array
    yy: Array
    ax: Array  # a x [p]
    bx: Array
    ay: Array
    by: Array

    @classmethod
    def of(cls, x: Centred, y: Centred) -> "Crosses":
        """In a look of their own, which also tells the sizes."""
        step = row_step(x.width, y.width)
        crosses: list[Any] = [0, 0, 0]
        sums: list[Any] = [0, 0, 0, 0]
        sizes: list[tuple[Array, Array]] = []
        for (_, u), (_, v) in ahead(zip(x.by_rows(step), y.by_rows(step), strict=True)):
            a, b = row_sums(u, u), row_sums(v, v)
            sizes.append((a, b))
            crosses = _added(crosses, [u.T @ v, u.T @ u, v.T @ v])
            sums = _added(sums, [a @ u, b @ u, a @ v, b @ v])
        for table, parts in zip((x, y), zip(*sizes, strict=True), strict=True):
            table.set_sizes(np.concatenate(parts))
        (xy, xx, yy), (ax, bx, ay, by) = crosses, sums
        return cls(xy=xy, xx=xx, yy=yy, ax=ax, bx=bx, ay=ay, by=by)


class KernelSums:
    """`Kernels` of images that come a few at a time, in their order, when the products of their
    features are there; without any N × N matrix.
    """

    def __init__(self, x: Centred, y: Centred, crosses: Crosses | None = None) -> None:
        self.same = x.equals(y)
        self.x, self.y = x, x if self.same else y
        self.crosses = crosses or Crosses.of(self.x, self.y)
        self.own_x = _Form(self.crosses.xx)
        self.own_y = self.own_x if self.same else _Form(self.crosses.yy)
        self.slices: list[_ThreePairs] = []

    def add(self, u: Array, v: Array) -> None:
        """Take some images about the mean, their features in x and y."""
        if self.same:
            self.slices.append([(self.own_x.of(u), 2 * (u @ self.crosses.ax))] * 3)
            return
        products = self.crosses
        self.slices.append([
            (row_sums(u @ products.xy, v), u @ products.bx + v @ products.ay),
            (self.own_x.of(u), 2 * (u @ products.ax)),
            (self.own_y.of(v), 2 * (v @ products.by)),
        ])  # fmt: skip

    @property
    def kernels(self) -> Kernels:
        """Of all images."""
        cross = self.crosses.xx if self.same else self.crosses.xy
        return Kernels.from_sums(self.x, self.y, _joined(self.slices), cross)


class _Form:
    """u S uᵀ of each row u, for a symmetric S: by its upper half, which is half the work.

    >>> u = np.arange(6.0).reshape(2, 3)
    >>> _Form(u.T @ u).of(u), row_sums(u @ (u.T @ u), u)
    (array([ 221., 2696.]), array([ 221., 2696.]))
    """

    COLUMNS = 192

    def __init__(self, symmetric: Array) -> None:
        self.blocks = []
        for columns in steps(len(symmetric), self.COLUMNS):
            block = symmetric[: columns.stop, columns].copy()
            block[: columns.start] *= 2  # and once more below the diagonal
            self.blocks.append((columns, block))

    def of(self, u: Array) -> Array:
        """For each row [n]."""
        return np.asarray(sum(
            row_sums(u[:, : columns.stop] @ block, u[:, columns])
            for columns, block in self.blocks
        ))  # fmt: skip


def _added(totals: list[Any], parts: list[Array]) -> list[Any]:
    return [total + part for total, part in zip(totals, parts, strict=True)]


def _joined(slices: list[_ThreePairs]) -> _ThreePairs:
    """The rows of all slices, one after another."""
    return [
        (np.concatenate([s for s, _ in parts]), np.concatenate([t for _, t in parts]))
        for parts in zip(*slices, strict=True)
    ]


def _too_many() -> MeasureError:
    return MeasureError("too-many-images", f"not looked at for more than {EXACT:,} images")


def _stretched(cka: Array | float) -> Array:
    return np.asarray(np.arctanh(np.clip(cka, -1 + 1e-12, 1 - 1e-12)))
