"""Matching against trying every pairing, and correlation against NumPy's."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.errors import MeasureError
from overpaint.measures import matching
from overpaint.measures.matching import correlations, match_channels

laws = settings(deadline=None, max_examples=40, derandomize=True)


def slow_correlation(a, b):
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    above = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    below = sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)
    return above / below**0.5


@laws
@given(n=st.integers(3, 30), channels=st.integers(1, 5), seed=st.integers(0, 10**6))
def test_equals_the_best_of_all_pairings(n, channels, seed):
    """No pairing has a larger sum of correlations, and those told are those of the formula."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, n, channels))
    found = match_channels(x, y)
    table = [[slow_correlation(a.tolist(), b.tolist()) for b in y.T] for a in x.T]
    best = max(
        sum(table[row][column] for row, column in enumerate(each))
        for each in permutations(range(channels))
    )
    assert sorted(found.partner.tolist()) == list(range(channels))
    told = [table[row][column] for row, column in enumerate(found.partner)]
    assert sum(told) == pytest.approx(best, abs=1e-7)
    assert found.correlation == pytest.approx(told, abs=1e-9)


@laws
@given(
    channels=st.integers(1, 30),
    seed=st.integers(0, 10**6),
    scale=st.floats(0.01, 100),
    shift=st.floats(-100, 100),
)
def test_a_permutation_is_undone(channels, seed, scale, shift):
    """Channels in another order, scaled and shifted, are found with correlation 1."""
    rng = np.random.default_rng(seed)
    x, order = rng.normal(size=(40, channels)), rng.permutation(channels)
    found = match_channels(x, scale * x[:, order] + shift)
    assert order[found.partner].tolist() == list(range(channels))
    assert found.correlation == pytest.approx(1, abs=1e-9)


@laws
@given(seed=st.integers(0, 10**6))
def test_the_order_of_images_does_not_matter(seed):
    """Images in another order give the same pairs; the two networks swapped give the inverse."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 25, 8))
    order, found = rng.permutation(25), match_channels(x, y)
    assert match_channels(x[order], y[order]).partner.tolist() == found.partner.tolist()
    assert match_channels(y, x).partner.tolist() == np.argsort(found.partner).tolist()


def test_itself():
    """A network matched with itself keeps all numbers, also of twin, constant and dead channels."""
    rng = np.random.default_rng(0)
    x = np.maximum(rng.normal(size=(50, 12)), 0).astype(np.float32)
    x[:, 3], x[:, 7], x[:, 8], x[:, 9] = x[:, 5], 0.1, 0, 0
    found = match_channels(x, x.copy())
    assert found.partner.tolist() == list(range(12))
    assert np.flatnonzero(np.isnan(found.correlation)).tolist() == [7, 8, 9]
    assert found.correlation[[0, 3, 5]] == pytest.approx(1, abs=1e-12)


def test_twins_keep_their_numbers():
    """Channels that differ by their scale alone are equally good partners, up to rounding: each is
    matched with its own number.
    """
    rng = np.random.default_rng(0)
    x = np.maximum(rng.normal(size=(500, 24)), 0).astype(np.float32)
    x[:, 16:] = x[:, :8] * rng.uniform(1, 3, 8).astype(np.float32)
    y = x * rng.uniform(1, 3, 24).astype(np.float32)
    assert match_channels(x, y).partner.tolist() == list(range(24))


def test_rounding_makes_no_correlation():
    """The mean of many times 0.1 is not 0.1, and the difference is no signal."""
    x = np.column_stack([np.full(30, 0.1), np.arange(30.0)])
    assert x[:, 0].mean() != 0.1
    assert np.isnan(correlations(x, x)).tolist() == [[True, True], [True, False]]


def test_constant_channels_come_last():
    """What varies is matched first; the rest take their own number, or the first that is left."""
    rng = np.random.default_rng(0)
    live = rng.normal(size=(30, 3))
    x = np.column_stack([np.full(30, 0.1), live[:, 0], live[:, 1], np.zeros(30), live[:, 2]])
    y = np.column_stack([live[:, 2], live[:, 1], live[:, 0], np.full(30, 7.3), np.ones(30)])
    found = match_channels(x.astype(np.float32), y.astype(np.float32))
    assert found.partner.tolist() == [4, 2, 1, 3, 0]
    assert np.isnan(found.correlation).tolist() == [True, False, False, True, False]
    # More vary after than before: one of them is left over, and a constant channel takes it.
    y[:, 3] = rng.normal(size=30)
    assert sorted(match_channels(x, y).partner.tolist()) == list(range(5))


def test_only_constant_channels():
    """A dead layer is matched number by number, and told to correlate with nothing."""
    found = match_channels(np.zeros((9, 4)), np.ones((9, 4)))
    assert found.partner.tolist() == [0, 1, 2, 3]
    assert np.isnan(found.correlation).all()


@pytest.mark.parametrize("n", [2, 63, 64, 65, 66, 129])
def test_every_image_counts(n, monkeypatch):
    """Neither a last block of one image nor a part of a block is left out."""
    monkeypatch.setattr(matching, "BLOCK", 64)
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, 3)), rng.normal(size=(n, 2))
    expected = np.corrcoef(x.T, y.T)[:3, 3:]
    assert correlations(x, y) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("offset", [0, 10, 1e3, 1e5])
def test_an_offset_costs_no_digits(offset):
    """Sums are taken around the mean: a large offset changes nothing."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 200, 3))
    assert correlations(x + offset, y - offset) == pytest.approx(correlations(x, y), abs=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "slug"),
    [
        (np.ones((3, 2)), np.ones((4, 2)), "images-differ"),
        (np.ones((3, 2)), np.ones((3, 4)), "channels-differ"),
        (np.ones(3), np.ones(3), "not-a-table"),
        (np.ones((0, 2)), np.ones((0, 2)), "not-a-table"),
        (np.ones((3, 2)), np.full((3, 2), np.nan), "not-finite"),
    ],
)
def test_errors(x, y, slug):
    """What has no pairing is refused, by a cause of its own."""
    with pytest.raises(MeasureError) as caught:
        match_channels(x, y)
    assert caught.value.slug == slug
