"""Verdicts: what the tables say of a statement, a number with its interval, yes, no or undecided.

>>> depth_rank([0, 1, 2, 3], [0.99, 0.95, 0.8, 0.6])
-1.0
>>> verdict(-1.0, -0.8, chance=0.0, hoped="below")
'yes'
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from overpaint.defaults import LEVEL
from overpaint.errors import MeasureError
from overpaint.measures.groups import Ints, how_many

Rows = NDArray[np.intp]
Interval = tuple[float, float]
Verdict = Literal["yes", "no", "undecided"]

MOST = 500
"""Pictures in a half: more would only cost time, and make no interval too narrow."""

CELLS = 2**21
"""Row numbers of drawn channels in memory at a time."""

INTERVAL = (LEVEL / 2, 1 - LEVEL / 2)


def beyond_twins(highs: Sequence[float | None], twins: Sequence[float | None]) -> tuple[int, int]:
    """In how many layers the change is beyond what two trainings of one route differ by, and of how
    many that is known.

    >>> beyond_twins([0.90, 0.97, float("nan")], [0.95, 0.96, 0.9])
    (1, 2)

    highs: the upper ends of the intervals of CKA between before and after; twins: the CKA of the
    two trainings. A layer counts where the two are more alike than that interval allows; how far a
    third training would differ is not known.
    """
    ends, alike = np.array(highs, np.float64), np.array(twins, np.float64)  # None becomes NaN
    return int((alike > ends).sum()), int((~np.isnan(alike - ends)).sum())


def verdict(low: float, high: float, *, chance: float, hoped: Literal["below", "above"]) -> Verdict:
    """Whether an interval lies on the hoped side of what chance gives, on the other, or on both.

    >>> verdict(0.1, 0.3, chance=0.05, hoped="above")
    'yes'
    >>> verdict(0.1, 0.3, chance=0.05, hoped="below")
    'no'
    >>> verdict(-0.2, 0.3, chance=0.0, hoped="above")
    'undecided'
    """
    if low <= chance <= high:
        return "undecided"
    return "yes" if (low > chance) == (hoped == "above") else "no"


def depth_rank(positions: Sequence[float], values: Sequence[float]) -> float:
    """Spearman's rank correlation of values with depth, −1..1.

    >>> depth_rank([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4]).__round__(3)
    0.894

    Raises MeasureError: `too-few-values` (it needs 4), `all-alike` (no rank without a difference).
    """
    if len(values) < 4:
        raise MeasureError(
            "too-few-values", f"a trend with depth needs 4 values; got {len(values)}"
        )
    if len(set(values)) == 1 or len(set(positions)) == 1:
        raise MeasureError("all-alike", "all values or all depths are the same: there is no trend")
    from scipy.stats import rankdata  # the report reads the statements' words and has no SciPy

    # as spearmanr, without its p-value, which takes most of its time
    return float(np.corrcoef(rankdata(positions), rankdata(values))[0, 1])


def depth_ranks(positions: NDArray[Any], values: NDArray[Any]) -> NDArray[np.float64]:
    """The same of many rows of positions and values [..., N] at once; NaN where all are alike.

    >>> depth_ranks(np.array([0, 0, 1, 1]), np.array([[0.1, 0.2, 0.3, 0.4], [4, 3, 2, 1]])).round(3)
    array([ 0.894, -0.894])
    """
    from scipy.stats import rankdata

    x, y = (rankdata(part, axis=-1) for part in (positions, values))
    x, y = (ranks - ranks.mean(axis=-1, keepdims=True) for ranks in (x, y))
    with np.errstate(invalid="ignore"):
        ranks: NDArray[np.float64] = (x * y).sum(axis=-1) / np.sqrt(
            (x * x).sum(axis=-1) * (y * y).sum(axis=-1)
        )
    return ranks


def over_permutations(
    first: Sequence[float], second: Sequence[float], rng: np.random.Generator, *, draws: int = 2000
) -> Interval:
    """Spearman's rank correlation of two rows of values, give or take what dealing one of them out
    at random would give in 95 of 100 draws: the interval leaves out 0 where a permutation test at
    5 % would say so.

    >>> x = [1, 2, 3, 4, 5, 6, 7, 8]
    >>> low, high = over_permutations(x, x, np.random.default_rng(0))
    >>> 0.2 < low < 0.35, high
    (True, 1.0)

    It is rather too wide for values that go together: permuted they spread most.

    Raises MeasureError: `too-few-values` (it needs 5: of 4, no order is rarer than 5 %),
    `all-alike`.

    Source: Spearman 1904; the test, Pitman 1937.
    """
    if len(first) < 5:
        raise MeasureError(
            "too-few-values", f"a permutation test of ranks needs 5 values; got {len(first)}"
        )
    value = depth_rank(first, second)
    from scipy.stats import rankdata

    x, y = (rankdata(values) for values in (first, second))
    x, y = ((ranks - ranks.mean()) / np.linalg.norm(ranks - ranks.mean()) for ranks in (x, y))
    permuted = rng.permuted(np.tile(y, (draws, 1)), axis=1) @ x
    half = float(np.quantile(np.abs(np.round(permuted, 9)), 1 - LEVEL, method="higher"))
    return max(-1.0, value - half), min(1.0, value + half)


def unseen(images: int) -> float:
    """The share of pictures that may go wrong though none of these did, at most in 95 of 100.

    >>> round(unseen(249), 4)
    0.0147

    An interval that no picture has stretched is not one of width 0. Source: Clopper & Pearson 1934.
    """
    return float(1 - (LEVEL / 2) ** (1 / images))


def over_halves(
    statistic: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
    images: int,
    rng: np.random.Generator,
    *,
    groups: Ints | None = None,
    draws: int = 200,
) -> Interval:
    """The 95 % interval of a statistic of images, from random halves of them, or of their groups.

    >>> values = np.arange(100.0)
    >>> def means(chosen):
    ...     return chosen @ values / chosen.sum(axis=1)
    >>> low, high = over_halves(means, 100, np.random.default_rng(0))
    >>> low < 49.5 < high
    True

    `statistic` takes several selections [draws, images], true where an image is in it, and gives a
    value of each. A half, drawn without replacement, differs from the whole as much
    as the whole from another such collection: the spread over halves is that of the statistic. A
    bootstrap would repeat images, which CKA takes for similarity. A statistic that is biased in
    small samples makes the interval reach further to that side. Of a large collection a "half" is
    500 images, so that the interval is rather too wide. groups: `group_numbers` of the images; then
    it is half of the groups, each whole.

    Raises MeasureError: `too-few-images` (it needs 10), `too-few-groups` (it needs 4).

    Source: half-sampling, McCarthy 1969; Politis & Romano 1994 for statistics in general.
    """
    if images < 10:
        raise MeasureError("too-few-images", f"halves need at least 10 images; got {images}")
    if groups is None:
        half, places = min(images // 2, MOST), np.arange(images)
        chosen = [np.isin(places, rng.permutation(images)[:half]) for _ in range(draws)]
    else:
        count = how_many(groups) or 0
        if count < 4:
            raise MeasureError(
                "too-few-groups", f"halves of groups need at least 4 groups; got {count}"
            )
        chosen = [rng.permutation(count)[groups] < count // 2 for _ in range(draws)]
    return _quantiles(statistic(np.stack(chosen)))


def over_channels(
    statistic: Callable[[Rows], NDArray[np.float64]],
    layers: NDArray[Any],
    rng: np.random.Generator,
    *,
    draws: int = 1000,
) -> Interval:
    """The 95 % interval of a statistic of channels, bootstrapped within each layer.

    `statistic` takes the row numbers of several draws [some, channels] and gives a value of each.
    layers: [channels], the layer of each. It says what other channels of such layers would give on
    the same images.
    """
    groups = [np.flatnonzero(layers == layer) for layer in np.unique(layers)]
    step, values = max(1, CELLS // len(layers)), []
    for start in range(0, draws, step):
        rows = [
            np.concatenate([rng.choice(group, len(group)) for group in groups])
            for _ in range(min(step, draws - start))
        ]
        values.append(statistic(np.stack(rows)))
    return _quantiles(np.concatenate(values))


def over_both(interval: Interval, value: float, spread: float, *, largest: float = 1.0) -> Interval:
    """An interval with another source of chance added to it, of which the standard deviation is
    known. The statistic is in −largest..largest.

    >>> low, high = over_both((0.4, 0.6), 0.5, 0.05)
    >>> round(low, 2), round(high, 2)
    (0.36, 0.64)

    So for a statistic of channels, which like the same pictures and move together: the spread when
    the pictures are drawn anew is added to the interval over channels. What chance does in a single
    channel with a single picture counts twice then: rather too wide.

    Source: Owen & Eckles 2012, for resampling two kinds of things that are crossed.
    """
    low, high = interval
    half = 1.96 * spread
    return (
        max(-largest, value - float(np.hypot(max(value - low, 0), half))),
        min(largest, value + float(np.hypot(max(high - value, 0), half))),
    )


def spread_of_twins(differences: Sequence[float]) -> float:
    """The standard deviation of a statistic from one training to the next, from its differences
    between two trainings of one route; 0 of none.

    >>> round(spread_of_twins([0.1, -0.1]), 4)
    0.0707

    Of a difference half the variance is that of one training.
    """
    return float(np.sqrt(np.mean(np.square(differences)) / 2)) if len(differences) else 0.0


def _quantiles(values: Sequence[float] | NDArray[np.float64]) -> Interval:
    low, high = np.nanquantile(values, INTERVAL)
    return float(low), float(high)
