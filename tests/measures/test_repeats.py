"""Several networks: ensembles, repeated trainings, differences between routes."""

import numpy as np
import pytest
from scipy.stats import t

from overpaint.errors import MeasureError
from overpaint.measures.repeats import ensemble, route_difference, spread
from overpaint.records import Score, Scores


def of(value, dataset="d"):
    """The scores of a training whose top-1 is this value."""
    scores = {
        "top1": Score(value=value, low=0, high=1, chance=0.5, n=100),
        "top3": Score(value=1, low=1, high=1, chance=1, n=100),
    }
    return Scores(
        dataset=dataset,
        split="test",
        multi_label=False,
        main="top1",
        scores=scores,
        classes=[],
        without_positives=[],
    )


def test_ensemble():
    """The mean of networks; with weights, each class in proportion to the networks' weights."""
    rng = np.random.default_rng(0)
    several = [rng.random((6, 3)) for _ in range(4)]
    assert ensemble(several) == pytest.approx(sum(several) / 4)
    weights = rng.random((4, 3))
    weights[1, 0] = np.nan
    weights[:, 2] = np.nan
    found = ensemble(several, weights)
    assert found[:, 0] == pytest.approx(
        np.average([each[:, 0] for each in several], axis=0, weights=np.nan_to_num(weights[:, 0]))
    )
    assert found[:, 1] == pytest.approx(
        np.average([each[:, 1] for each in several], axis=0, weights=weights[:, 1])
    )
    assert found[:, 2] == pytest.approx(ensemble(several)[:, 2])


def test_spread():
    """Mean, deviation with n − 1, and the extremes."""
    found = spread([of(0.5), of(0.7), of(0.9)])
    assert (found.score, found.n, found.values) == ("top1", 3, [0.5, 0.7, 0.9])
    assert (found.mean, found.deviation) == pytest.approx((0.7, 0.2))
    assert (found.min, found.max) == (0.5, 0.9)


def test_one_training_has_no_deviation():
    """From one training nothing is known about the others."""
    assert spread([of(0.5)]).deviation is None


def test_route_difference():
    """The interval is Welch's, as in the book."""
    a, b = np.array([0.50, 0.52, 0.55]), np.array([0.60, 0.70, 0.61, 0.66])
    found = route_difference([of(v) for v in a], [of(v) for v in b])
    parts = np.array([a.var(ddof=1) / 3, b.var(ddof=1) / 4])
    freedom = parts.sum() ** 2 / (parts**2 / [2, 3]).sum()
    reach = t.ppf(0.975, freedom) * np.sqrt(parts.sum())
    gap = b.mean() - a.mean()
    assert (found.difference, found.low, found.high) == pytest.approx(
        (gap, gap - reach, gap + reach)
    )
    assert (found.n_first, found.n_second, found.status) == (3, 4, "ok")


@pytest.mark.parametrize(
    ("first", "status"),
    [
        ([0.5], "an interval needs two trainings of each route"),
        ([0.5, 0.5], "no interval: the trainings of each route score the same"),
    ],
)
def test_no_interval(first, status):
    """One training, or trainings that score the same, give a difference and say why no interval."""
    found = route_difference([of(v) for v in first], [of(0.75), of(0.75)])
    assert found.difference == 0.25
    assert found.low is found.high is None
    assert found.status == status


def test_what_cannot_be_put_together():
    """Scores of different collections, or none, are refused."""
    for bad in ([of(0.5), of(0.5, "other")], []):
        with pytest.raises(MeasureError) as error:
            spread(bad)
        assert error.value.slug in ("scores-differ", "too-few-trainings")
    with pytest.raises(MeasureError):
        route_difference([of(0.5)], [of(0.6, "other")])


def test_a_route_whose_trainings_score_the_same_is_no_alarm(recwarn):
    """SciPy warns of lost precision where one side does not vary: nothing is lost."""
    gap = route_difference([of(0.914285714), of(0.914285714)], [of(0.9), of(0.85)])
    assert gap.status == "ok"
    assert gap.low < gap.difference < gap.high
    assert not recwarn.list
