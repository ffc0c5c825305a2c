"""What one look at a layer tells of each channel: its mean and extremes, and what is no number.

>>> part = Ranges.of(np.array([[1.0, 0.0], [3.0, 0.0]]))
>>> (part + Ranges.of(np.array([[8.0, 0.0]]))).mean
array([4., 0.])

The measures by channel take what they need from here, and then look once more at all images, a few
at a time: features of any number of images are read twice, and never held.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overpaint.measures.centred import Array, Table, row_step, steps

Flags = NDArray[np.bool_]

Part = tuple[slice, NDArray[Any], NDArray[Any]]
"""Some rows of two tables."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranges:
    """Of each channel of n images [C]; parts add up. `finite` is False where any value is NaN or
    infinite, and then the others say nothing.
    """

    n: int
    finite: Flags
    total: Array
    least: NDArray[Any]
    largest: NDArray[Any]
    positive: NDArray[np.intp]  # images with a value above 0
    least_positive: NDArray[Any]  # infinite without any

    @classmethod
    def of(cls, part: NDArray[Any]) -> "Ranges":
        """Of some images [n, C]."""
        # An infinite sum is rarer than NaN, and cheaper than a look at each number.
        with np.errstate(invalid="ignore", over="ignore"):
            total = part.sum(axis=0, dtype=np.float64)
        finite = np.isfinite(total)
        finite = finite if finite.all() else np.isfinite(part).all(axis=0)
        above = part > 0
        infinite = part.dtype.type(np.inf) if part.dtype.kind == "f" else np.inf
        return cls(
            n=len(part),
            finite=finite,
            total=total,
            least=part.min(axis=0, initial=infinite),
            largest=part.max(axis=0, initial=-infinite),
            positive=np.count_nonzero(above, axis=0),
            least_positive=np.where(above, part, infinite).min(axis=0, initial=infinite),
        )

    def __add__(self, other: "Ranges") -> "Ranges":
        return Ranges(
            n=self.n + other.n,
            finite=self.finite & other.finite,
            total=self.total + other.total,
            least=np.minimum(self.least, other.least),
            largest=np.maximum(self.largest, other.largest),
            positive=self.positive + other.positive,
            least_positive=np.minimum(self.least_positive, other.least_positive),
        )

    @property
    def mean(self) -> Array:
        """The mean over images [C]."""
        return self.total / self.n

    @property
    def constant(self) -> Flags:
        """The channels that say the same of all images."""
        return np.asarray(self.least == self.largest)

    def only(self, chosen: Flags) -> "Ranges":
        """The same with 0 for all images in the channels that are not chosen."""
        zero = Ranges.of(np.zeros((1, len(chosen)), self.least.dtype))
        return Ranges(
            n=self.n,
            finite=self.finite | ~chosen,
            total=np.where(chosen, self.total, 0),
            least=np.where(chosen, self.least, zero.least),
            largest=np.where(chosen, self.largest, zero.largest),
            positive=np.where(chosen, self.positive, zero.positive),
            least_positive=np.where(chosen, self.least_positive, zero.least_positive),
        )


def ranges_of(table: Table) -> Ranges:
    """Of a layer's features [N, C], N above 0; in one look."""
    slices = steps(table.shape[0], row_step(max(table.shape[1], 1)))
    return reduce(add, (Ranges.of(np.asarray(table[rows, :])) for rows in slices))


def both_ranges(parts: Iterable[Part]) -> tuple[Ranges, Ranges, Flags]:
    """Of two networks' features of the same images, N above 0, as from `in_parts`; and which
    channels are equal in all of them.
    """
    looks, identical = [], None
    for _, x, y in parts:
        looks.append((Ranges.of(x), Ranges.of(y)))
        equal = (x == y).all(axis=0)
        identical = equal if identical is None else identical & equal
    assert identical is not None
    first, second = (reduce(add, ranges) for ranges in zip(*looks, strict=True))
    return first, second, identical


def in_parts(x: Table, y: Table) -> Iterator[Part]:
    """Some rows of two tables at a time, in their own dtype."""
    for rows in steps(x.shape[0], row_step(max(x.shape[1], y.shape[1], 1))):
        yield rows, np.asarray(x[rows, :]), np.asarray(y[rows, :])
