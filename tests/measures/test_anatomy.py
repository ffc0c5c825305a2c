"""Directions of a change of weights against whole decompositions, planted changes and chance."""

from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.errors import MeasureError
from overpaint.measures.anatomy import (
    anatomy,
    as_matrix,
    effective_rank,
    gaussian_spectrum,
    intruders,
    intruders_by_chance,
    leading_share,
    singular_values,
    stable_rank,
)

laws = settings(deadline=None, max_examples=30, derandomize=True)
SHAPES = [(12, 30), (30, 12), (20, 20), (8, 3, 3, 3), (5, 1), (1, 5), (40, 1, 3, 3)]


def normal(seed, shape=(12, 30)):
    return np.random.default_rng(seed).standard_normal(shape)


def turn(seed, side):
    """A random orthogonal matrix."""
    return np.linalg.qr(normal(seed, (side, side)))[0]


def slow_effective_rank(values):
    shares = [value / sum(values) for value in values]
    return exp(-sum(share * log(share) for share in shares if share > 0))


def slow_intruders(before, after, first=10, new=0.5):
    """The published program, in NumPy: left singular vectors of both by a whole decomposition."""
    old, sizes, _ = np.linalg.svd(before, full_matrices=False)
    old = old[:, sizes > 1e-9 * sizes[0]]
    leading = np.linalg.svd(after, full_matrices=False)[0][:, :first]
    return sum(max(abs(float(vector @ other)) for other in old.T) < new for vector in leading.T)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_equals_a_whole_decomposition(shape, dtype):
    """Every number is that of the singular values and vectors by another algorithm."""
    before, step = normal(0, shape).astype(dtype), 0.3 * normal(1, shape).astype(dtype)
    after = before + step
    found = anatomy(before, after)
    old, new = (array.astype(float).reshape(shape[0], -1) for array in (before, after))
    change = (new - old).reshape(as_matrix(before).shape)
    values = np.linalg.svd(change, compute_uv=False)
    assert found.change == pytest.approx(values, rel=1e-9)
    assert found.before == pytest.approx(np.linalg.svd(as_matrix(before), compute_uv=False))
    assert found.directions == len(values)
    assert found.effective_rank == pytest.approx(slow_effective_rank(values.tolist()), rel=1e-9)
    assert found.stable_rank == pytest.approx((values**2).sum() / values[0] ** 2)
    assert found.first_ten == pytest.approx((values[:10] ** 2).sum() / (values**2).sum())
    assert found.intruders == slow_intruders(as_matrix(before), as_matrix(after))


@laws
@given(seed=st.integers(0, 10**6), tall=st.booleans(), size=st.floats(0.01, 30))
def test_intruders_are_those_of_the_published_program(seed, tall, size):
    """Wide or tall, small change or large, the count is that of whole decompositions."""
    shape = (40, 24) if tall else (24, 40)
    before = normal(seed, shape)
    after = before + size * normal(seed + 1, (shape[0], 2)) @ normal(seed + 2, (2, shape[1]))
    assert intruders(before, after) == slow_intruders(before, after)


@laws
@given(seed=st.integers(0, 10**6), factor=st.floats(1e-3, 1e3), tall=st.booleans())
def test_turning_or_scaling_changes_no_rank(seed, factor, tall):
    """Rotations of outputs and inputs, orders of rows and a factor leave all ranks and shares."""
    shape = (15, 9) if tall else (9, 15)
    before, after = normal(seed, shape), normal(seed + 1, shape)
    plain = anatomy(before, after)
    left, right = turn(seed + 2, shape[0]), turn(seed + 3, shape[1])
    order = np.random.default_rng(seed).permutation(shape[0])
    for change in (
        lambda array: factor * array,
        lambda array: array[order],
        lambda array: left @ array @ right,
    ):
        found = anatomy(change(before), change(after))
        assert found.effective_rank == pytest.approx(plain.effective_rank, rel=1e-9)
        assert found.stable_rank == pytest.approx(plain.stable_rank, rel=1e-9)
        assert found.first_ten == pytest.approx(plain.first_ten, rel=1e-9)
        assert found.intruders == plain.intruders


@laws
@given(seed=st.integers(0, 10**6), rank=st.integers(1, 10), tall=st.booleans())
def test_a_planted_change_of_low_rank_is_found(seed, rank, tall):
    """A change of rank r has an effective rank of at most r, and all of it in r directions."""
    shape = (60, 30) if tall else (30, 60)
    planted = normal(seed, (shape[0], rank)) @ normal(seed + 1, (rank, shape[1]))
    found = anatomy(np.zeros(shape), planted)
    assert 1 <= found.effective_rank <= rank * (1 + 1e-12)
    assert found.stable_rank <= found.effective_rank * (1 + 1e-9)
    assert (found.change > 0).sum() == rank
    assert found.first_ten == pytest.approx(1, abs=1e-12)
    assert leading_share(found.change, rank) == pytest.approx(1, abs=1e-12)


@laws
@given(seed=st.integers(0, 10**6), tall=st.booleans())
def test_a_planted_intruder_is_found(seed, tall):
    """One strong direction away from all before is one intruder, a strengthened old one is none."""
    shape = (300, 80) if tall else (80, 300)
    left, right = turn(seed, shape[0])[:, :80], turn(seed + 1, shape[1])[:, :80]
    before = left * np.linspace(10, 1, 80) @ right.T
    even = left.sum(axis=1) / np.sqrt(80)
    assert intruders(before, before) == 0
    assert intruders(before, before + 50 * np.outer(even, right[:, 3])) == 1
    assert intruders(before, before + 50 * np.outer(left[:, 70], right[:, 70])) == 0


def test_what_the_weights_before_are_zero_in_is_new():
    """A direction that the matrix before does not have is an intruder; from zero, all are."""
    before = np.diag([3.0, 2.0, 1.0, 0.0])
    after = before + np.diag([0, 0, 0, 9.0])
    assert intruders(before, after) == 1
    assert intruders(np.zeros((4, 6)), normal(0, (4, 6))) == 4


def test_no_change_has_no_rank():
    """Equal weights have no rank and no share, and no intruder."""
    weights = normal(0).astype(np.float32)
    found = anatomy(weights, weights.copy())
    assert (found.effective_rank, found.stable_rank, found.first_ten) == (None, None, None)
    assert found.intruders == 0
    assert not found.change.any()


@pytest.mark.parametrize("size", [1e-170, 1e-40, 1e150])
def test_sizes_whose_squares_are_no_numbers(size):
    """Changes whose squares would be 0 or infinity have the ranks of others."""
    plain = anatomy(np.zeros((12, 30)), normal(3))
    found = anatomy(np.zeros((12, 30)), size * normal(3))
    assert found.effective_rank == pytest.approx(plain.effective_rank)
    assert found.stable_rank == pytest.approx(plain.stable_rank)
    assert found.first_ten == pytest.approx(plain.first_ten)
    assert found.change[0] == pytest.approx(size * plain.change[0])


def test_where_digits_end():
    """Singular values keep six digits of range: smaller ones, which squares cannot hold, are 0."""
    values = 10.0 ** -np.arange(0, 12, 2)
    matrix = turn(0, 6) * values @ turn(1, 6)
    found = singular_values(matrix)
    assert found[:3] == pytest.approx(values[:3], rel=1e-6)
    assert not found[4:].any()


@pytest.mark.parametrize("shape", [(3, 27), (9, 16), (64, 147), (147, 64), (100, 100)])
def test_chance_is_what_random_changes_have(shape):
    """Levels of chance are the means over random matrices of the shape, within 2 %."""
    spectra = [singular_values(normal(seed, shape)) for seed in range(40)]
    by_chance = gaussian_spectrum(*shape)
    for measure in (effective_rank, leading_share):
        mean = np.mean([measure(values) for values in spectra])
        assert measure(by_chance) == pytest.approx(mean, rel=0.02)
    assert gaussian_spectrum(1, 1)[0] > 0


@pytest.mark.parametrize("shape", [(5, 20), (16, 40), (40, 16), (64, 64)])
def test_intruders_of_unrelated_matrices(shape):
    """Unrelated matrices have as many intruders as their level of chance says."""
    counts = [intruders(normal(seed, shape), normal(seed + 999, shape)) for seed in range(60)]
    error = np.std(counts) / np.sqrt(len(counts))
    assert intruders_by_chance(*shape) == pytest.approx(np.mean(counts), abs=4 * error + 0.03)


def test_kernels_as_matrices():
    """A row for each output; embeddings of places lose the axis of the batch."""
    assert as_matrix(np.zeros((8, 4, 3, 3))).shape == (8, 36)
    assert as_matrix(np.zeros((8, 1, 3, 3))).shape == (8, 9)
    assert as_matrix(np.zeros((1, 1, 6))).shape == (1, 6)
    assert as_matrix(np.zeros(4)).shape == (4, 1)


def test_ranks_of_nothing():
    """A matrix of zeros has the rank 0 by every count."""
    assert effective_rank(np.zeros(3)) == stable_rank(np.zeros(3)) == 0


@pytest.mark.parametrize(
    ("before", "after", "slug"),
    [
        (np.ones((2, 3)), np.ones((3, 2)), "shapes-differ"),
        (np.ones(()), np.ones(()), "empty-weights"),
        (np.ones((0, 3)), np.ones((0, 3)), "empty-weights"),
        (np.full((2, 2), np.nan), np.ones((2, 2)), "not-finite"),
        (np.ones((2, 2)), np.full((2, 2), np.inf), "not-finite"),
    ],
)
def test_errors(before, after, slug):
    """Weights that cannot be compared are refused, by a cause of its own."""
    with pytest.raises(MeasureError) as caught:
        anatomy(before, after)
    assert caught.value.slug == slug
