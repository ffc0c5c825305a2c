"""Distances of weights against sums written out."""

from itertools import permutations
from math import fsum, inf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.errors import MeasureError
from overpaint.measures.weights import (
    WeightDistance,
    distance,
    filter_change,
    matched_distance,
)

laws = settings(deadline=None, max_examples=40, derandomize=True)


def layer(seed, shape=(4, 3, 2, 2)):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def slow_distance(before, after):
    old, new = [[float(v) for v in array.ravel()] for array in (before, after)]
    moved = sqrt(fsum((a - b) ** 2 for a, b in zip(new, old, strict=True)))
    sizes = [sqrt(fsum(v * v for v in values)) for values in (old, new)]
    dot = fsum(a * b for a, b in zip(new, old, strict=True))
    return moved, moved / sizes[0], dot / (sizes[0] * sizes[1])


def slow_filter_change(before, after):
    changes = []
    for old, new in zip(before, after, strict=True):
        moved = fsum(
            abs(float(a) - float(b)) for a, b in zip(old.ravel(), new.ravel(), strict=True)
        )
        size = fsum(abs(float(a)) for a in old.ravel())
        changes.append(moved / size if size else (inf if moved else 0.0))
    return changes


@pytest.mark.parametrize("shape", [(5,), (4, 3), (4, 3, 2, 2), (2, 1, 1, 1)])
def test_equals_sums_written_out(shape):
    """Weights of every rank give the values of the formulas written out."""
    before, after = layer(0, shape), layer(1, shape)
    found = distance(before, after)
    assert (found.l2, found.l2_relative, found.cosine) == pytest.approx(
        slow_distance(before, after), rel=1e-12
    )
    assert filter_change(before, after) == pytest.approx(slow_filter_change(before, after))


@laws
@given(seed=st.integers(0, 10**6), factor=st.floats(0.01, 100))
def test_same_weights(seed, factor):
    """Equal weights are at distance exactly 0 and cosine exactly 1; scaled ones keep the cosine."""
    before = layer(seed)
    assert distance(before, before.copy()) == WeightDistance(0.0, 0.0, 1.0)
    assert not filter_change(before, before.copy()).any()
    scaled = distance(before.astype(float), before.astype(float) * factor)
    assert scaled.cosine == pytest.approx(1, abs=1e-12)
    assert scaled.l2_relative == pytest.approx(abs(factor - 1), abs=1e-12)


@laws
@given(seed=st.integers(0, 10**6))
def test_metric(seed):
    """The distance is symmetric and no detour is shorter."""
    a, b, c = layer(seed), layer(seed + 1), layer(seed + 2)
    assert distance(a, b).l2 == distance(b, a).l2
    assert distance(a, c).l2 <= distance(a, b).l2 + distance(b, c).l2


def test_opposite_weights():
    """Weights turned round have the cosine −1."""
    assert distance(layer(0), -layer(0)).cosine == -1


def test_one_last_bit_is_seen():
    """A change of one weight in its last bit gives a distance above 0."""
    before = layer(0)
    after = before.copy()
    after.flat[5] = np.nextafter(after.flat[5], np.float32(9))
    assert distance(before, after).l2 > 0


def test_sums_are_float64():
    """A million small float32 steps beside a large weight are not lost, and large ones not inf."""
    before = np.zeros((1, 10**6 + 1), np.float32)
    after = np.full_like(before, 1e-3)
    after[0, 0] = 100.0
    exact = sqrt(1e4 + 1e6 * float(np.float32(1e-3)) ** 2)
    assert distance(before, after).l2 == pytest.approx(exact, rel=1e-12)
    assert distance(after * 0, np.full_like(after, 1e30)).l2 == pytest.approx(1e33, rel=1e-6)


@pytest.mark.parametrize("measure", [distance, matched_distance, filter_change])
def test_how_weights_lie_changes_no_digit(measure):
    """Weights laid channels last, as a run may have left them, give the same to the last bit."""
    for seed in range(20):
        before, after = layer(seed, (16, 13, 5, 5)), layer(seed + 100, (16, 13, 5, 5))
        laid = [
            np.ascontiguousarray(weights.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
            for weights in (before, after)
        ]
        np.testing.assert_equal(measure(*laid), measure(before, after))


def test_from_zero():
    """Weights of zero before or after have no direction, and before no relative distance."""
    zero, some = np.zeros((2, 2)), np.eye(2)
    assert distance(zero, some) == WeightDistance(pytest.approx(sqrt(2)), None, None)
    assert distance(some, zero) == WeightDistance(pytest.approx(sqrt(2)), 1.0, None)
    assert distance(zero, zero) == WeightDistance(0.0, None, None)


def test_filters_of_zero():
    """A filter of zeros that stayed so changed by 0, one that did not by infinity."""
    before = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    after = np.array([[0.0, 0.0], [0.0, 1e-30], [2.0, 0.0]])
    assert filter_change(before, after).tolist() == [0.0, inf, 1.0]


@laws
@given(seed=st.integers(0, 10**6))
def test_matched_distance_is_the_smallest_of_all_orders(seed):
    """No order of the filters brings them nearer, and the plain distance is of one of them."""
    before, after = layer(seed), layer(seed + 1)
    tried = [distance(before, after[list(order)]).l2 for order in permutations(range(4))]
    assert matched_distance(before, after) == pytest.approx(min(tried), rel=1e-12)


@laws
@given(seed=st.integers(0, 10**6), order=st.permutations(range(4)))
def test_matched_distance_knows_no_order(seed, order):
    """Exactly 0 for permuted filters; symmetric, and no detour is shorter."""
    a, b, c = layer(seed), layer(seed + 1), layer(seed + 2)
    assert matched_distance(a, a[order]) == 0
    there = matched_distance(a, b)
    assert matched_distance(b[order], a) == pytest.approx(there, rel=1e-12)
    assert there <= matched_distance(a, c) + matched_distance(c, b) + 1e-12


@pytest.mark.parametrize("measure", [distance, filter_change, matched_distance])
@pytest.mark.parametrize(
    ("before", "after", "slug"),
    [
        (np.ones((2, 3)), np.ones((3, 2)), "shapes-differ"),
        (np.ones(()), np.ones(()), "empty-weights"),
        (np.ones((0, 3)), np.ones((0, 3)), "empty-weights"),
        (np.ones((3, 0)), np.ones((3, 0)), "empty-weights"),
        (np.full((2, 2), np.nan), np.ones((2, 2)), "not-finite"),
        (np.ones((2, 2)), np.full((2, 2), np.inf), "not-finite"),
    ],
)
def test_errors(measure, before, after, slug):
    """Weights that cannot be compared are refused, by a cause of its own."""
    with pytest.raises(MeasureError) as caught:
        measure(before, after)
    assert caught.value.slug == slug
