"""Statements and their evidence: trends with depth, intervals that cover, verdicts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.errors import MeasureError
from overpaint.measures.verdicts import (
    depth_rank,
    depth_ranks,
    over_channels,
    over_halves,
    verdict,
)


def spearman(x, y):
    """The twin: Pearson's correlation of midranks, each rank counted pair by pair."""

    def ranks(values):
        return [sum(b < a for b in values) + (sum(b == a for b in values) + 1) / 2 for a in values]

    a, b = np.array(ranks(x)), np.array(ranks(y))
    a, b = a - a.mean(), b - b.mean()
    return float((a @ b) / np.sqrt((a @ a) * (b @ b)))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=4, max_size=12))
def test_rank_with_depth(pairs):
    """It is the correlation of midranks, whatever the order of the layers."""
    depths, values = zip(*pairs, strict=True)
    if len(set(depths)) == 1 or len(set(values)) == 1:
        with pytest.raises(MeasureError) as error:
            depth_rank(depths, values)
        assert error.value.slug == "all-alike"
        return
    assert depth_rank(depths, values) == pytest.approx(spearman(depths, values), abs=1e-12)
    assert depth_rank(depths[::-1], values[::-1]) == pytest.approx(depth_rank(depths, values))


def test_three_layers_show_no_trend():
    """A trend of three values is none."""
    with pytest.raises(MeasureError) as error:
        depth_rank([0, 1, 2], [3.0, 2.0, 1.0])
    assert error.value.slug == "too-few-values"


@pytest.mark.parametrize(
    ("low", "high", "hoped", "found"),
    [(0.1, 0.2, "above", "yes"), (0.1, 0.2, "below", "no"), (-0.2, -0.1, "below", "yes"),
     (-0.2, -0.1, "above", "no"), (-0.1, 0.1, "above", "undecided"),
     (0.0, 0.1, "above", "undecided")],
)  # fmt: skip
def test_verdicts(low, high, hoped, found):
    """Only an interval that leaves out chance decides."""
    assert verdict(low, high, chance=0.0, hoped=hoped) == found


def test_halves_cover():
    """The interval of halves holds the true mean in about 95 of 100 collections of 60 pictures."""
    held = 0
    for trial in range(200):
        rng = np.random.default_rng(trial)
        values = rng.standard_normal(60)
        low, high = over_halves(lambda chosen, v=values: chosen @ v / chosen.sum(axis=1), 60, rng)
        held += low <= 0 <= high
    assert 180 <= held <= 199


def test_halves_are_halves():
    """Each half has half of the pictures, none twice, and of many pictures 500."""
    seen = []

    def statistic(chosen):
        seen.extend(chosen)
        return np.zeros(len(chosen))

    over_halves(statistic, 41, np.random.default_rng(0), draws=5)
    over_halves(statistic, 9000, np.random.default_rng(0), draws=1)
    assert [int(chosen.sum()) for chosen in seen] == [20] * 5 + [500]
    assert len({tuple(chosen) for chosen in seen[:5]}) == 5


def test_few_pictures_have_no_halves():
    """Nine pictures are refused."""
    with pytest.raises(MeasureError) as error:
        over_halves(lambda chosen: np.zeros(len(chosen)), 9, np.random.default_rng(0))
    assert error.value.slug == "too-few-images"


def test_channels_stay_in_their_layer(monkeypatch):
    """Each draw has as many channels of each layer as there are, however many are drawn at once."""
    layers, seen = np.array([0, 0, 0, 1, 1]), []

    def statistic(rows):
        seen.extend(layers[rows])
        return rows.mean(axis=-1)

    intervals = []
    for cells in (5, 35, 2**20):
        monkeypatch.setattr("overpaint.measures.verdicts.CELLS", cells)
        rng = np.random.default_rng(0)
        intervals.append(over_channels(statistic, layers, rng, draws=20))
    assert len(seen) == 60
    assert all(np.bincount(drawn).tolist() == [3, 2] for drawn in seen)
    assert len(set(intervals)) == 1


def test_ranks_of_many_are_those_of_each():
    """Ties and rows that are all alike included."""
    rng = np.random.default_rng(0)
    depths, values = rng.integers(0, 4, 30), rng.integers(0, 9, (6, 30))
    values[3] = 5
    ranks = depth_ranks(depths, values)
    assert np.isnan(ranks[3])
    for row in (0, 1, 2, 4, 5):
        expected = depth_rank(depths.tolist(), values[row].tolist())
        assert ranks[row] == pytest.approx(expected, abs=1e-12)
