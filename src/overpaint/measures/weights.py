"""How far the weights of a layer moved.

>>> distance(np.ones((2, 3)), np.ones((2, 3)))
WeightDistance(l2=0.0, l2_relative=0.0, cosine=1.0)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from overpaint.errors import MeasureError


@dataclass(frozen=True)
class WeightDistance:
    """How far one array of weights is from another.

    `l2` is the Frobenius norm of the difference, `l2_relative` the same divided by the norm
    before, `cosine` that of the angle between the two (−1..1). What would divide by a norm of 0 is
    None.
    """

    l2: float
    l2_relative: float | None
    cosine: float | None


def distance(before: NDArray[Any], after: NDArray[Any]) -> WeightDistance:
    """How far the weights of a layer moved.

    >>> distance(np.array([[3.0, 4.0]]), np.array([[3.0, 0.0]]))
    WeightDistance(l2=4.0, l2_relative=0.8, cosine=0.6)
    >>> distance(np.zeros(2), np.array([3.0, 4.0]))
    WeightDistance(l2=5.0, l2_relative=None, cosine=None)

    before, after: arrays of one shape, any real dtype; sums are in float64. `l2` is exactly 0 only
    for equal weights.

    Raises MeasureError: `shapes-differ`, `empty-weights`, `not-finite`.

    Source: the Frobenius norm of the difference is the measure of Gonthier et al. 2020.
    """
    old, new = _checked(before, after)
    old_square, new_square = float(np.vdot(old, old)), float(np.vdot(new, new))
    l2 = float(np.linalg.norm(new - old))
    # One root of the product, not a product of roots: the cosine of equal weights is exactly 1.
    norms = float(np.sqrt(old_square * new_square))
    return WeightDistance(
        l2=l2,
        l2_relative=l2 / float(np.sqrt(old_square)) if old_square else None,
        cosine=min(max(float(np.vdot(old, new)) / norms, -1.0), 1.0) if norms else None,
    )


def matched_distance(before: NDArray[Any], after: NDArray[Any]) -> float:
    """How far the filters of a layer are from those of another, whatever their order.

    >>> before = np.array([[3.0, 4.0], [1.0, 0.0]])
    >>> matched_distance(before, before[::-1]), distance(before, before[::-1]).l2 > 0
    (0.0, True)

    The filters of a network are numbered by chance, so that the plain distance of two networks
    that began at random and apart says little. This is the Frobenius norm of the difference after
    the best one-to-one assignment of filters, the smallest over all their orders: never above
    `distance(before, after).l2`, 0 for filters that are only permuted, symmetric, and no detour is
    shorter. The channels that a filter reads are not put into another order, though their numbers
    are chance as well: beyond a network's first layer it is an upper bound.

    before, after: [out channels, ...] of one shape. Raises MeasureError as `distance`.

    Source: the assignment is that of Li et al. 2016, "Convergent learning", with the inner product
    of filters in the place of the correlation of responses.
    """
    old, new = _checked(before, after)
    gain = old.reshape(len(old), -1) @ new.reshape(len(new), -1).T
    rows, partners = linear_sum_assignment(gain, maximize=True)
    return float(np.linalg.norm(new[partners] - old[rows]))


def filter_change(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.float64]:
    """How much each output filter of a layer changed, relative to its size before.

    >>> before = np.array([[1.0, -1.0], [2.0, 2.0], [0.0, 0.0], [0.0, 0.0]])
    >>> after = np.array([[1.0, -1.0], [1.0, 3.0], [0.0, 0.0], [0.0, 1.0]])
    >>> filter_change(before, after)
    array([0. , 0.5, 0. , inf])

    before, after: [out channels, ...], as PyTorch keeps the weights of convolutions and of linear
    layers (not of transposed convolutions, whose first axis is the input). Returns float64
    [out channels]: mean |before − after| / mean |before| over all axes but the first; 0 for a
    filter of zeros that stayed so, infinity for one that did not.

    Raises MeasureError as `distance`.

    Source: the choice of most changed filters of Gonthier et al. 2020.
    """
    old, new = _checked(before, after)
    size = np.abs(old).reshape(len(old), -1).mean(axis=1)
    change = np.abs(old - new).reshape(len(old), -1).mean(axis=1)
    from_zero = np.where(change > 0, np.inf, 0.0)
    return np.asarray(np.divide(change, size, out=from_zero, where=size > 0))


def _checked(
    before: NDArray[Any], after: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if np.shape(before) != np.shape(after):
        raise MeasureError(
            "shapes-differ",
            f"weights can be compared only in one shape; "
            f"got {np.shape(before)} before and {np.shape(after)} after",
        )
    # In one order: a sum's last digit depends on how the weights lie, which a run may have changed.
    old, new = np.array(before, np.float64, order="C"), np.array(after, np.float64, order="C")
    if old.ndim == 0 or old.size == 0:
        raise MeasureError("empty-weights", f"no weights to compare in the shape {old.shape}")
    for name, array in (("before", old), ("after", new)):
        if not np.isfinite(array).all():
            raise MeasureError("not-finite", f"weights {name} hold NaN or infinity")
    return old, new
