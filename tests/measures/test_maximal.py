"""Maximal images against a plain sort, and their overlap against counting."""

from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.errors import MeasureError
from overpaint.measures.maximal import (
    Overlap,
    channel_status,
    maximal_images,
    overlap,
    overlap_of,
    overlaps,
)

laws = settings(deadline=None, max_examples=60, derandomize=True)

# Few different values, so that ties abound, two of them neighbours in float32.
levels = st.sampled_from([-1.0, -0.0, 0.0, 1.0, float(np.nextafter(np.float32(1), 2)), 2.0, 1e-45])
columns = st.lists(levels, min_size=1, max_size=40)


def slow_maximal(column, ids, k):
    rows = [row for row in range(len(ids)) if column[row] > 0]
    return sorted(rows, key=lambda row: (-column[row], ids[row]))[:k]


def shuffled_ids(n, seed):
    # Of different lengths, so that the order of strings is not that of numbers.
    return [f"é{i}" for i in np.random.default_rng(seed).permutation(n)]


@laws
@given(column=columns, k=st.integers(1, 45), seed=st.integers(0, 10**6))
def test_equals_a_plain_sort(column, k, seed):
    """Any values with any ties give what a full sort by value and id gives."""
    values = np.array(column, np.float32)
    ids = shuffled_ids(len(column), seed)
    assert maximal_images(values, ids, k)[0].tolist() == slow_maximal(values, ids, k)


@laws
@given(column=columns, k=st.integers(1, 45), seed=st.integers(0, 10**6))
def test_the_order_of_rows_does_not_matter(column, k, seed):
    """The same images in another order are the same maximal images, also among ties."""
    values, ids = np.array(column, np.float32), shuffled_ids(len(column), seed)
    order = np.random.default_rng(seed + 1).permutation(len(ids))
    moved_ids = [ids[row] for row in order]
    found = [ids[row] for row in maximal_images(values, ids, k)[0]]
    moved = [moved_ids[row] for row in maximal_images(values[order], moved_ids, k)[0]]
    assert found == moved


def test_many_channels():
    """Every channel of a wide layer has its own maximal images, also past the first block."""
    rng = np.random.default_rng(0)
    values = rng.integers(-3, 6, (50, 200)).astype(np.float32)
    values[:, 150] = -1
    ids = shuffled_ids(50, 0)
    found = maximal_images(values, ids, 10)
    assert [rows.tolist() for rows in found] == [slow_maximal(c, ids, 10) for c in values.T]
    assert len(found[150]) == 0


def test_values_are_compared_as_float32():
    """Numbers that float32 cannot tell apart are a tie, those that it can are not."""
    close = np.array([1.0, 1.0 + 1e-9, 1.0 + 1e-6])
    assert maximal_images(close, ["a", "b", "c"], 3)[0].tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("values", "ids", "k", "slug"),
    [
        (np.ones((2, 2, 2)), ["a", "b"], 1, "not-a-table"),
        (np.ones(3), ["a", "b"], 1, "images-differ"),
        (np.ones(3), ["a", "b", "a"], 1, "repeated-ids"),
        (np.ones(2), ["a", "b"], 0, "bad-k"),
        (np.array([1, np.nan]), ["a", "b"], 1, "not-finite"),
        (np.array([1, np.inf]), ["a", "b"], 1, "not-finite"),
    ],
)
def test_errors_of_maximal_images(values, ids, k, slug):
    """What has no ranking is refused, by a cause of its own."""
    with pytest.raises(MeasureError) as caught:
        maximal_images(values, ids, k)
    assert caught.value.slug == slug


few = st.sets(st.integers(0, 12), max_size=8)


@laws
@given(a=few, b=few)
def test_overlap_laws(a, b):
    """Overlap is symmetric, within 0..1, and counts what both sets hold."""
    found = overlap(a, b, 8)
    assert found == overlap(b, a, 8) == sum(1 for one in a if one in b) / 8
    assert overlap(a, a, 8) == len(a) / 8


def test_overlap_with_itself():
    """A full set of maximal images overlaps itself wholly, ids and rows alike."""
    assert overlap(range(5), np.arange(5), 5) == 1
    assert overlap(["x", "y"], ["y", "x"], 2) == 1


@pytest.mark.parametrize(("n", "size_a", "size_b", "k"), [(7, 3, 4, 4), (8, 5, 5, 5), (6, 2, 6, 6)])
def test_chance_and_tail_by_enumeration(n, size_a, size_b, k):
    """The chance level and the tail are those of all possible sets, counted one by one."""
    a = set(range(size_a))
    shared = [len(a & set(b)) for b in combinations(range(n), size_b)]
    for observed in sorted(set(shared)):
        b = [*range(observed), *range(size_a, size_a + size_b - observed)]
        found = overlap_of(a, b, n, k)
        assert found.overlap == observed / k
        assert found.chance == pytest.approx(np.mean(shared) / k)
        assert found.p == pytest.approx(np.mean([s >= observed for s in shared]))


def test_chance_by_drawing():
    """Sets drawn at random share the chance level on average."""
    rng = np.random.default_rng(0)
    pairs = [(rng.permutation(60)[:20], rng.permutation(60)[:15]) for _ in range(2000)]
    rows = [overlap_of(a, b, 60, 20) for a, b in pairs]
    assert np.mean([row.overlap for row in rows]) == pytest.approx(rows[0].chance, abs=0.005)
    assert rows[0].chance == pytest.approx(20 * 15 / 60 / 20)


@pytest.mark.parametrize("observed", [0, 1, 2, 5, 20])
def test_tail_of_a_large_collection(observed):
    """At the size of the paper's collection the tail equals the exact fraction."""
    n, k = 66_549, 100
    exact = sum(
        (Fraction(comb(k, s) * comb(n - k, k - s), comb(n, k)) for s in range(observed, k + 1)),
        Fraction(0),
    )
    found = overlap_of(range(k), range(k - observed, 2 * k - observed), n, k)
    assert found.p == pytest.approx(float(exact), rel=1e-6)


def test_empty_sets():
    """A dead channel shares nothing, as it must."""
    assert overlap_of([], [1, 2], 10, 2) == Overlap(0.0, 0.0, 1.0)


def test_all_channels_at_once():
    """A layer at once gives what its channels give one by one."""
    rng = np.random.default_rng(0)
    a, b = ([rng.permutation(20)[: rng.integers(6)] for _ in range(30)] for _ in range(2))
    assert overlaps(a, b, 20, 5) == [
        overlap_of(one, other, 20, 5) for one, other in zip(a, b, strict=True)
    ]
    assert overlaps([], [], 20, 5) == []


@pytest.mark.parametrize(
    ("a", "b", "n", "k", "slug"),
    [
        ([[1, 2]], [[1]], 9, 1, "bad-k"),
        ([[1]], [[1]], 9, 0, "bad-k"),
        ([[1, 2]], [[1]], 1, 2, "too-few-images"),
        ([[]], [[]], 0, 2, "too-few-images"),
        ([[1]], [], 9, 1, "channels-differ"),
    ],
)
def test_errors_of_overlaps(a, b, n, k, slug):
    """Sets that cannot be maximal images of the collection are refused."""
    with pytest.raises(MeasureError) as caught:
        overlaps(a, b, n, k)
    assert caught.value.slug == slug


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        ([1, 2, 0], [3, 1, 0], "ok"),
        ([0, -1, 0], [-2, 0, 0], "dead"),
        ([0, -1, 0], [0, 0, 1], "dead_before"),
        ([0, 3, 1], [0, 0, -1], "dead_after"),
        ([2, 2, 0], [1, 2, 3], "constant"),
        ([1, 2, 3], [-1, 5, 5], "constant"),
        ([0, 0, 0], [5, 5, 5], "dead_before"),
        ([0, 7, 0], [1, 2, 3], "ok"),
    ],
)
def test_status(before, after, status):
    """A channel is dead without positive values, constant when two or more are all equal."""
    assert channel_status(np.array(before), np.array(after)).tolist() == [status]


def test_status_of_a_layer():
    """Channels have their status each for itself, and a single image is no reason for constant."""
    before = np.array([[1, 0, 0, 4]])
    after = np.array([[1, 0, 2, 0]])
    assert channel_status(before, after).tolist() == ["ok", "dead", "dead_before", "dead_after"]


@pytest.mark.parametrize(
    ("before", "after", "slug"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), "channels-differ"),
        (np.ones((2, 3)), np.full((2, 3), np.nan), "not-finite"),
        (np.ones((2, 3)), np.ones((2, 3, 1)), "not-a-table"),
    ],
)
def test_errors_of_status(before, after, slug):
    """Values that are no layer's are refused."""
    with pytest.raises(MeasureError) as caught:
        channel_status(before, after)
    assert caught.value.slug == slug
