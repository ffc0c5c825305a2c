"""What channels show when the pictures are drawn anew."""

import numpy as np
import pytest

from overpaint.errors import MeasureError
from overpaint.measures.classes import concentration
from overpaint.measures.groups import group_numbers
from overpaint.measures.redrawn import Maximal, redrawn


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("several", [False, True])
def test_pictures_that_come_once_have_the_entropy_of_the_table(rng, several):
    """Where each picture comes once, a channel has its own entropy; of no images it has none."""
    labels = rng.integers(0, 2, (60, 3)) if several else rng.integers(0, 3, 60)
    maximal = [rng.permutation(60)[:size] for size in (1, 7, 40)] + [np.array([], np.intp)]
    entropies = Maximal.of(maximal, labels, classes=3).entropies(np.ones((60, 2)))
    prior = labels.mean(axis=0) if several else np.bincount(labels, minlength=3) / 60
    for channel, rows in enumerate(maximal[:3]):
        expected = concentration(labels[rows], prior).entropy
        assert entropies[channel] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(entropies[3]).all()


def test_a_picture_that_comes_twice_counts_twice(rng):
    """The entropy is that of the images written out, those of no channel left out."""
    labels, rows = rng.integers(0, 4, 50), rng.permutation(50)[:20]
    times = redrawn(50, 30, rng)
    entropies = Maximal.of([rows], labels, classes=4).entropies(times)[0]
    prior = np.bincount(labels, minlength=4) / 50
    for draw in range(30):
        drawn = np.repeat(rows, times[rows, draw].astype(int))
        expected = concentration(labels[drawn], prior).entropy
        assert entropies[draw] == pytest.approx(expected, abs=1e-12)


def test_many_channels_are_counted_in_parts(rng, monkeypatch):
    """What fits into memory at a time changes no number."""
    labels, maximal = rng.integers(0, 4, 50), [rng.permutation(50)[:20] for _ in range(9)]
    times = redrawn(50, 7, rng)
    whole = Maximal.of(maximal, labels, classes=4).entropies(times)
    monkeypatch.setattr("overpaint.measures.redrawn.CELLS", 80)
    parts = Maximal.of(maximal, labels, classes=4).entropies(times)
    np.testing.assert_array_equal(whole, parts)


def test_groups_come_whole(rng):
    """The pictures of a group come equally often; there are as many groups as there were."""
    numbers = group_numbers(["a"] * 5 + ["b"] * 3 + [""] * 2, 10)
    times = redrawn(10, 40, rng, groups=numbers)
    assert (times[:5] == times[0]).all()
    assert (times[5:8] == times[5]).all()
    assert (times[[0, 5, 8, 9]].sum(axis=0) == 4).all()
    assert (redrawn(10, 40, rng).sum(axis=0) == 10).all()


def test_labels_of_no_class_are_refused(rng):
    """A label beyond the classes is said, and not counted for another channel."""
    with pytest.raises(MeasureError, match="must be integers"):
        Maximal.of([np.arange(3)], np.array([0, 1, 2]), classes=2)
