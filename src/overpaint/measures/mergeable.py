"""CKA of images that come in shards: sums that add up to the very value of all images at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overpaint.errors import MeasureError
from overpaint.measures.centred import Array, check_finite, check_same_images
from overpaint.measures.hsic import Sums, cka_of, row_sums


@dataclass(frozen=True, eq=False)
class CkaSums:
    """CKA of images that come in shards, of whatever size, in whatever order.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.standard_normal((2, 50, 8))
    >>> whole, parts = CkaSums.of(x, y), zip(np.split(x, [1, 20]), np.split(y, [1, 20]))
    >>> total = sum((CkaSums.of(*part) for part in parts), CkaSums.empty())
    >>> abs(total.result(debiased=True) - whole.result(debiased=True)) < 1e-12
    True

    Exact, biased and debiased: each shard keeps sums about its own mean, and `+` moves both to the
    mean of all (as Chan, Golub & LeVeque 1983 do for variances; the debiased value needs the third
    and fourth moments as well, of which p + q numbers suffice). It takes (p + q)² numbers whatever
    the number of images, so it is for features of up to a few thousand channels. Their fourth
    powers have to fit in float64: all of float32 does.

    Errors as of `linear_cka`; moreover `channels-differ` where shards do not fit together.
    """

    n: int
    x: "_Mean"
    y: "_Mean"
    xy: "_Moments"
    xx: "_Moments"
    yy: "_Moments"

    @classmethod
    def empty(cls) -> "CkaSums":
        """No images: neutral in sums."""
        return cls.of(np.empty((0, 0)), np.empty((0, 0)))

    @classmethod
    def of(cls, x: NDArray[Any], y: NDArray[Any]) -> "CkaSums":
        """A shard: the features [n, p] and [n, q] of the same n images, one image or more."""
        if np.ndim(x) != 2 or np.ndim(y) != 2:
            shapes = f"{np.shape(x)} and {np.shape(y)}"
            raise MeasureError("not-a-table", f"needs features [images, channels]; got {shapes}")
        check_same_images(len(x), len(y))
        (mean_x, u), (mean_y, v) = _Mean.of(x, "first"), _Mean.of(y, "second")
        return cls(len(u), mean_x, mean_y, _Moments.of(u, v), _Moments.of(u, u), _Moments.of(v, v))

    def __add__(self, other: "CkaSums") -> "CkaSums":
        if self.n == 0 or other.n == 0:
            return other if self.n == 0 else self
        widths = self.xy.cross.shape, other.xy.cross.shape
        if widths[0] != widths[1]:
            raise MeasureError("channels-differ", f"shards of {widths[0]} and {widths[1]} channels")
        n = self.n + other.n
        gaps = self.x.gap(other.x), self.y.gap(other.y)
        # From each shard's mean to the mean of all; the first row of the first shard stays.
        head = self._moved(*(-other.n / n * gap for gap in gaps))
        tail = other._moved(*(self.n / n * gap for gap in gaps))
        x, y = (
            mean.plus(other.n / n * gap) for mean, gap in zip((self.x, self.y), gaps, strict=True)
        )
        xy, xx, yy = (s.plus(t) for s, t in zip(head, tail, strict=True))
        return CkaSums(n, x, y, xy, xx, yy)

    def _moved(self, d: Array, e: Array) -> "tuple[_Moments, _Moments, _Moments]":
        """The moments of features that are all larger by d and e."""
        a, b = self.xx.trace, self.yy.trace
        return (
            self.xy.moved(self.n, d, e, a, b),
            self.xx.moved(self.n, d, d, a, a),
            self.yy.moved(self.n, e, e, b, b),
        )

    def result(self, *, debiased: bool = False) -> float:
        """As `linear_cka` of all images."""
        least = 4 if debiased else 2
        if self.n < least:
            raise MeasureError("too-few-images", f"needs at least {least} images; got {self.n}")
        for moments, which in ((self.xx, "first"), (self.yy, "second")):
            if moments.trace == 0:
                raise MeasureError(
                    "constant-features", f"{which} features are the same for all images"
                )
        a, b = self.xx.trace, self.yy.trace
        sums = (self.xy.sums(self.n, a, b), self.xx.sums(self.n, a, a), self.yy.sums(self.n, b, b))
        return float(cka_of(*sums, debiased=debiased))


@dataclass(frozen=True, eq=False)
class _Mean:
    """The mean of a shard, as its first row and what is to be added to that.

    In two, because the difference of two means near 10⁵ would have lost five digits.
    """

    first: Array
    mean: Array

    @classmethod
    def of(cls, table: NDArray[Any], which: str) -> "tuple[_Mean, Array]":
        """The mean, and the features about it."""
        part = np.array(table, np.float64)
        check_finite(part, which)
        first = part[0].copy() if len(part) else np.zeros(part.shape[1])
        part -= first
        mean = part.sum(axis=0) / max(len(part), 1)
        return cls(first, mean), part - mean

    def plus(self, step: Array) -> "_Mean":
        """The mean, moved by a step."""
        return _Mean(self.first, self.mean + step)

    def gap(self, other: "_Mean") -> Array:
        """From this mean to the other."""
        return (other.first - self.first) + (other.mean - self.mean)


@dataclass(frozen=True, eq=False)
class _Moments:
    """Of features u [n, p] and v [n, q] of the same images, about their means."""

    cross: Array  # [p, q] Σ u vᵀ
    by_other: Array  # [p] Σ |v|² u
    by_one: Array  # [q] Σ |u|² v
    sizes: float  # Σ |u|² |v|²

    @classmethod
    def of(cls, u: Array, v: Array) -> "_Moments":
        a, b = row_sums(u, u), row_sums(v, v)
        return cls(u.T @ v, b @ u, a @ v, float(a @ b))

    @property
    def trace(self) -> float:
        """Σ |u|², of features with themselves."""
        return float(np.trace(self.cross))

    def plus(self, other: "_Moments") -> "_Moments":
        return _Moments(
            self.cross + other.cross,
            self.by_other + other.by_other,
            self.by_one + other.by_one,
            self.sizes + other.sizes,
        )

    def moved(self, n: int, d: Array, e: Array, a: float, b: float) -> "_Moments":
        """Of u + d and v + e, where Σ |u|² = a and Σ |v|² = b, and Σ u = Σ v = 0."""
        dd, ee, across = float(d @ d), float(e @ e), self.cross @ e
        return _Moments(
            self.cross + n * np.outer(d, e),
            self.by_other + d * (b + n * ee) + 2 * across,
            self.by_one + e * (a + n * dd) + 2 * (d @ self.cross),
            self.sizes + 2 * float(e @ self.by_one + d @ self.by_other + 2 * d @ across)
            + ee * a + dd * b + n * dd * ee,
        )  # fmt: skip

    def sums(self, n: int, a: float, b: float) -> Sums:
        squares = np.vdot(self.cross, self.cross)
        return Sums(n, *map(np.asarray, (squares, self.sizes, a, b)))
