"""Which channel of one network does what a channel of another does, whatever its number.

>>> x = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 3.0]])
>>> match_channels(x, x[:, ::-1]).partner
array([1, 0])
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from overpaint.errors import MeasureError
from overpaint.measures.centred import Table
from overpaint.measures.ranges import Ranges, in_parts, ranges_of

BLOCK = 4096
"""Images that are held in float64 at once."""

SAME_NUMBER = 1e-9
"""What having the same number is worth, in correlation: more than rounding, and next to nothing."""


@dataclass(frozen=True)
class Matching:
    """For each channel of the first network its partner in the second, one to one.

    `correlation` is that of the two over images, NaN where either says the same of all images.
    """

    partner: NDArray[np.intp]
    correlation: NDArray[np.float64]


def match_channels(x: NDArray[Any], y: NDArray[Any]) -> Matching:
    """Pair the channels of two networks so that the sum of their correlations is largest.

    >>> x = np.array([[0.0, 1.0, 5.0], [1.0, 0.0, 5.0], [2.0, 3.0, 5.0]])
    >>> y = np.array([[0.0, 3.0, 0.1], [0.0, 1.0, 0.6], [0.0, 7.0, 1.1]])
    >>> match_channels(x, y)
    Matching(partner=array([2, 1, 0]), correlation=array([ 1.,  1., nan]))

    Channels are numbered by chance: two networks that do the same can have them in another order.
    A permutation is undone wholly, also when the channels were scaled (by a positive factor) or
    shifted:

    >>> order = np.array([2, 0, 1])
    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> bool((match_channels(x, 3 * x[:, order] + 1).partner == np.argsort(order)).all())
    True

    Of equally good pairings that with more equal numbers is taken. A channel that says the same
    of all images correlates with nothing: such channels come last, and take of the partners left
    that of their own number, or else the first.

    x, y: features [N, C] of the same images, any real dtype; sums are in float64. The best sum of
    unrelated channels is not 0: the more channels and the fewer images, the larger. So compare the
    correlation with what matching against shuffled images gives, and take no test of overlap that
    knows nothing of the choice.

    Raises MeasureError: `not-a-table`, `images-differ`, `channels-differ`, `not-finite`.

    Source: Li et al. 2016, "Convergent learning", section 3, for the assignment.
    """
    return paired(correlations(*_checked(x, y)))


def paired(correlation: NDArray[np.float64]) -> Matching:
    """`match_channels` by the correlation of each channel with each [C, C], NaN where constant."""
    live_x, live_y = (np.flatnonzero(~np.isnan(correlation).all(axis=axis)) for axis in (1, 0))
    gain = correlation[np.ix_(live_x, live_y)] + SAME_NUMBER * (live_x[:, None] == live_y)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    partner = np.full(len(correlation), -1, np.intp)
    partner[live_x[rows]] = live_y[columns]
    # Those without a partner (−1) have the one of their number, or else the first that is left.
    alone = np.flatnonzero(partner < 0)
    same = alone[~np.isin(alone, partner)]
    partner[same] = same
    partner[np.flatnonzero(partner < 0)] = np.setdiff1d(np.arange(len(partner)), partner)
    return Matching(partner, correlation[np.arange(len(partner)), partner])


def correlations(x: Table, y: Table) -> NDArray[np.float64]:
    """The correlation over images of each channel of x with each of y: [C, D].

    >>> x = np.array([[0.0], [1.0], [2.0]])
    >>> correlations(x, np.array([[5.0, 1.0], [4.0, 1.0], [3.0, 1.0]]))
    array([[-1., nan]])

    x, y: [N, C] and [N, D], finite. NaN where a channel is constant.
    """
    products = Products(ranges_of(x), ranges_of(y))
    for _, part_x, part_y in in_parts(x, y):
        products.add(part_x, part_y)
    return products.correlations


class Products:
    """The sums of products of two networks' channels about their means, of images that come a few
    at a time.
    """

    def __init__(self, x: Ranges, y: Ranges) -> None:
        self.ranges = x, y
        self.cross = np.zeros((len(x.total), len(y.total)))
        self.squares = [np.zeros(len(ranges.total)) for ranges in (x, y)]

    def add(self, x: NDArray[Any], y: NDArray[Any]) -> None:
        """Take the features [n, C] and [n, D] of some images."""
        means = [ranges.mean for ranges in self.ranges]
        for start in range(0, len(x), BLOCK):
            parts = [
                table[start : start + BLOCK] - mean
                for table, mean in zip((x, y), means, strict=True)
            ]
            self.cross += parts[0].T @ parts[1]
            for number, part in enumerate(parts):
                self.squares[number] += np.einsum("ij,ij->j", part, part)

    @property
    def correlations(self) -> NDArray[np.float64]:
        """`correlations` of all images."""
        # Rounding has left a constant channel a variance.
        varying = [
            np.where(ranges.constant, np.nan, squares)
            for ranges, squares in zip(self.ranges, self.squares, strict=True)
        ]
        return np.clip(self.cross / np.sqrt(np.multiply.outer(*varying)), -1, 1)


def _checked(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    first, second = np.asarray(x), np.asarray(y)
    for table in (first, second):
        if table.ndim != 2 or table.size == 0:
            raise MeasureError("not-a-table", f"needs features [images, channels]; {table.shape}")
        if not np.isfinite(table).all():
            raise MeasureError("not-finite", "features hold NaN or infinity")
    if len(first) != len(second):
        raise MeasureError("images-differ", f"{len(first)} images before, {len(second)} after")
    if first.shape[1] != second.shape[1]:
        raise MeasureError(
            "channels-differ",
            f"{first.shape[1]} channels before, {second.shape[1]} after: no pairing is one to one",
        )
    return first, second
