"""Several networks at once: what they say together, and how much luck is in their scores.

>>> ensemble([np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]])]).tolist()
[[0.7, 0.3]]
"""

import warnings
from collections.abc import Sequence

import numpy as np
from scipy.stats import ttest_ind

from overpaint.defaults import LEVEL
from overpaint.errors import MeasureError
from overpaint.measures.scores import Floats
from overpaint.records import RouteDifference, Scores, Spread


def ensemble(probabilities: Sequence[Floats], weights: Floats | None = None) -> Floats:
    """The mean [N, C] of the probabilities of several networks, class by class.

    >>> ensemble([np.array([[0.9, 0.1]]), np.array([[0.5, 0.5]])]).tolist()
    [[0.7, 0.3]]

    weights: [networks, C], for instance each network's average precision of each class on `val`,
    which is `average_precisions(...)`; NaN counts as 0, and a class without any weight takes
    the plain mean. With weights the rows no longer sum to 1.
    """
    stacked = np.stack(probabilities)
    if weights is None:
        return np.asarray(stacked.mean(axis=0))
    finite = np.nan_to_num(weights)
    total = finite.sum(axis=0)
    shares = np.divide(finite, total, out=np.full(finite.shape, 1 / len(stacked)), where=total > 0)
    return np.asarray((stacked * shares[:, None]).sum(axis=0))


def spread(scores: Sequence[Scores]) -> Spread:
    """The main score over the trainings of one route.

    Raises MeasureError: `scores-differ` (not of one dataset, split and kind), `too-few-trainings`.
    """
    name, values = _values(scores)
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    mean = float(np.mean(values))
    return Spread(
        score=name,
        n=len(values),
        mean=mean,
        deviation=deviation,
        min=min(values),
        max=max(values),
        values=values,
    )


def route_difference(first: Sequence[Scores], second: Sequence[Scores]) -> RouteDifference:
    """How much better the trainings of `second` score than those of `first`, on average.

    The interval is Welch's, for trainings as the unit: it tells what other seeds would give on
    the same test images. Raises MeasureError as `spread`.
    """
    (name, a), (_, b) = _values(first), _values(second)
    _values([*first, *second])
    low, high, status = None, None, "ok"
    if min(len(a), len(b)) < 2:
        status = "an interval needs two trainings of each route"
    elif np.ptp(a) == np.ptp(b) == 0:
        status = "no interval: the trainings of each route score the same"
    else:
        with warnings.catch_warnings():
            # One route whose trainings score the same is no loss of precision, as SciPy takes it.
            warnings.simplefilter("ignore", RuntimeWarning)
            interval = ttest_ind(b, a, equal_var=False).confidence_interval(1 - LEVEL)
        low, high = float(interval.low), float(interval.high)
    return RouteDifference(
        score=name,
        n_first=len(a),
        n_second=len(b),
        difference=float(np.mean(b) - np.mean(a)),
        low=low,
        high=high,
        status=status,
    )


def _values(scores: Sequence[Scores]) -> tuple[str, list[float]]:
    if not scores:
        raise MeasureError("too-few-trainings", "a spread needs the scores of a training")
    kinds = {(training.dataset, training.split, training.main) for training in scores}
    if len(kinds) > 1:
        listed = "; ".join(" ".join(kind) for kind in sorted(kinds))
        raise MeasureError("scores-differ", f"these scores cannot be put together: {listed}")
    return scores[0].main, [training.scores[training.main].value for training in scores]
