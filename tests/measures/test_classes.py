"""Class statistics against sums written out, and chance against counting."""

from itertools import combinations
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.errors import MeasureError
from overpaint.measures.classes import Concentration, concentration, entropy_chance

laws = settings(deadline=None, max_examples=60, derandomize=True)
thirds = np.full(3, 1 / 3)


def slow_entropy(labels, classes):
    shares = [sum(1 for one in labels if one == c) / len(labels) for c in range(classes)]
    return -sum(p * log2(p) for p in shares if p) / log2(classes)


def slow_gain(labels, prior):
    shares = [sum(1 for one in labels if one == c) / len(labels) for c in range(len(prior))]
    return sum(p * log2(p / q) for p, q in zip(shares, prior, strict=True) if p)


def slow_binary(p):
    return -sum(v * log2(v) for v in (p, 1 - p) if v)


def slow_divergence(p, q):
    return sum(v * log2(v / w) for v, w in ((p, q), (1 - p, 1 - q)) if v)


@laws
@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=30), seed=st.integers(0, 999))
def test_single_labels_equal_sums_written_out(labels, seed):
    """Entropy, gain, leading class, its share and lift are those of the formulas."""
    prior = np.random.default_rng(seed).dirichlet(np.ones(5)) * 0.99 + 0.002
    found = concentration(np.array(labels), prior)
    assert found.n == len(labels)
    assert found.entropy == pytest.approx(slow_entropy(labels, 5), abs=1e-12)
    assert found.gain == pytest.approx(slow_gain(labels, prior), abs=1e-12)
    leading = max(range(5), key=lambda c: (labels.count(c), labels.count(c) / prior[c], -c))
    assert found.top_class == leading
    assert found.top_share == pytest.approx(labels.count(leading) / len(labels))
    assert found.top_lift == pytest.approx(found.top_share / prior[leading])


@laws
@given(
    rows=st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=1, max_size=20),
    seed=st.integers(0, 999),
)
def test_several_labels_equal_sums_written_out(rows, seed):
    """With several labels an image, entropy and gain are means over labels of binary ones."""
    prior = np.random.default_rng(seed).uniform(0.05, 0.95, 3)
    found = concentration(np.array(rows), prior)
    rates = [sum(row[c] for row in rows) / len(rows) for c in range(3)]
    assert found.entropy == pytest.approx(sum(map(slow_binary, rates)) / 3, abs=1e-12)
    gain = sum(slow_divergence(p, q) for p, q in zip(rates, prior, strict=True)) / 3
    assert found.gain == pytest.approx(gain, abs=1e-12)
    assert found.top_class == max(range(3), key=lambda c: (rates[c], rates[c] / prior[c], -c))
    assert found.top_share == pytest.approx(max(rates))
    assert found.top_lift == pytest.approx(max(rates) / prior[found.top_class])


@laws
@given(labels=st.lists(st.integers(0, 6), min_size=1, max_size=40))
def test_bounds(labels):
    """Entropy is in 0..1 and gain is never negative, also for a prior that is rounded."""
    found = concentration(np.array(labels), np.full(7, 1 / 7 + 1e-7))
    assert 0 <= found.entropy <= 1
    assert found.gain >= 0
    assert concentration(np.arange(7), np.full(7, 1 / 7 + 1e-7)).gain == 0


@pytest.mark.parametrize("classes", [2, 3, 5, 7, 12, 25, 1000])
def test_extremes(classes):
    """One class has entropy exactly 0, all classes alike have entropy 1 and no gain."""
    uniform = np.full(classes, 1 / classes)
    one = concentration(np.full(9, classes - 1), uniform)
    assert (one.entropy, one.top_class, one.top_share) == (0.0, classes - 1, 1.0)
    assert one.gain == pytest.approx(log2(classes))
    even = concentration(np.arange(classes).repeat(2), uniform)
    assert even.entropy == pytest.approx(1, abs=1e-12)
    assert even.entropy <= 1
    assert even.gain == pytest.approx(0, abs=1e-12)


def test_extremes_of_several_labels():
    """Labels always or never present have entropy 0, labels on half the images 1."""
    always = concentration(np.array([[1, 0], [1, 0]]), np.array([0.5, 0.5]))
    assert (always.entropy, always.gain) == (0.0, 1.0)
    half = concentration(np.array([[1, 0], [0, 1]]), np.array([0.5, 0.5]))
    assert (half.entropy, half.gain) == (1.0, 0.0)


def test_gain_sees_what_a_difference_of_entropies_does_not():
    """A common class swapped for a rare one keeps the collection's entropy, not its mixture."""
    prior = np.array([0.75, 0.25])
    as_collection = concentration(np.array([0, 0, 0, 1]), prior)
    swapped = concentration(np.array([1, 1, 1, 0]), prior)
    assert as_collection.entropy == swapped.entropy
    assert as_collection.gain == 0
    assert swapped.gain > 0.7


def test_ties_of_the_leading_class():
    """Of classes with equal shares the rarer leads, of equally rare ones the first."""
    assert concentration(np.array([0, 1, 2]), np.array([0.5, 0.2, 0.3])).top_class == 1
    assert concentration(np.array([2, 1]), thirds).top_class == 1


@pytest.mark.parametrize("labels", [np.array([], int), np.array([]), np.zeros((0, 3), int)])
def test_no_images(labels):
    """A dead channel has no class, which is a state and no number."""
    assert concentration(labels, thirds) == Concentration(0, None, None, None, None, None)


def test_one_class_only():
    """A collection of one class leaves nothing uncertain."""
    found = concentration(np.array([0, 0]), np.array([1.0]))
    assert (found.entropy, found.gain, found.top_lift) == (0.0, 0.0, 1.0)


def test_a_class_without_images():
    """Classes that the split does not have take part in nothing but the number of classes."""
    found = concentration(np.array([0, 1]), np.array([0.5, 0.5, 0, 0]))
    assert (found.entropy, found.gain, found.top_class) == (0.5, 0.0, 0)
    several = concentration(np.array([[1, 0], [0, 0]]), np.array([0.5, 0.0]))
    assert (several.entropy, several.gain, several.top_class) == (0.5, 0.0, 0)


@pytest.mark.parametrize(
    ("labels", "prior", "slug"),
    [
        (np.array([0, 3]), thirds, "bad-labels"),
        (np.array([0, -1]), thirds, "bad-labels"),
        (np.array([0.0, 1.0]), thirds, "bad-labels"),
        (np.array([[0, 1]]), thirds, "bad-labels"),
        (np.array([[0, 1, 2]]), thirds, "bad-labels"),
        (np.zeros((1, 1, 3)), thirds, "bad-labels"),
        (np.array([0]), np.array([0.5, 0.4]), "bad-prior"),
        (np.array([0]), np.array([1.5, -0.5]), "bad-prior"),
        (np.array([0]), np.array([np.nan, 1]), "bad-prior"),
        (np.array([0]), np.eye(2), "bad-prior"),
        (np.array([[1]]), np.array([2.0]), "bad-prior"),
        (np.array([0, 1]), np.array([1.0, 0.0]), "prior-differs"),
        (np.array([[1, 0]]), np.array([0.0, 0.5]), "prior-differs"),
        (np.array([[1, 0]]), np.array([0.5, 1.0]), "prior-differs"),
    ],
)
def test_errors(labels, prior, slug):
    """Labels and priors that do not fit each other are refused, by a cause of their own."""
    with pytest.raises(MeasureError) as caught:
        concentration(labels, prior)
    assert caught.value.slug == slug


def all_entropies(labels, k, of):
    return sorted(of([labels[i] for i in rows]) for rows in combinations(range(len(labels)), k))


def check_chance(labels, k, exact):
    found = entropy_chance(labels, k, draws=4000, rng=np.random.default_rng(0))
    assert found.mean == pytest.approx(np.mean(exact), abs=0.01)
    # Quantiles of a few discrete values: between those of slightly smaller and larger tails.
    assert np.quantile(exact, 0.015) - 1e-9 <= found.low <= np.quantile(exact, 0.035) + 1e-9
    assert np.quantile(exact, 0.965) - 1e-9 <= found.high <= np.quantile(exact, 0.985) + 1e-9


def test_chance_of_single_labels():
    """Random draws have the entropies of all possible draws without replacement."""
    labels = [0] * 6 + [1] * 4 + [2] * 3
    check_chance(
        np.array(labels), 5, all_entropies(labels, 5, lambda drawn: slow_entropy(drawn, 3))
    )


def test_chance_of_several_labels():
    """Random draws of rows have the entropies of all possible draws without replacement."""
    rng = np.random.default_rng(1)
    labels = (rng.random((12, 2)) < (0.3, 0.6)).astype(int).tolist()

    def entropy(drawn):
        return sum(slow_binary(sum(row[c] for row in drawn) / len(drawn)) for c in range(2)) / 2

    check_chance(np.array(labels), 5, all_entropies(labels, 5, entropy))


def test_quantiles_of_chance():
    """What one draw in 29 gives lies inside the 2.5 % tail, on either side."""
    rng = np.random.default_rng(0)
    mostly_different = entropy_chance(np.arange(30) // 2, 2, draws=4000, rng=rng)
    assert mostly_different.low == 0 < mostly_different.high
    mostly_alike = entropy_chance(np.array([0] * 57 + [1]), 2, draws=4000, rng=rng)
    assert mostly_alike.low == 0
    assert mostly_alike.high == 1


def test_chance_of_the_whole_split():
    """All images drawn leave no chance: the entropy is that of the split."""
    labels = np.array([0, 0, 1, 2, 2, 2])
    found = entropy_chance(labels, 6, draws=20, rng=np.random.default_rng(0))
    assert found.low == found.mean == found.high == pytest.approx(slow_entropy([*labels], 3))


def test_chance_counts_classes_without_images():
    """The number of classes, where given, is that which the entropy is divided by."""
    found = entropy_chance(np.array([0, 1]), 2, classes=16, rng=np.random.default_rng(0))
    assert found.mean == pytest.approx(1 / 4)


def test_chance_is_the_same_for_the_same_generator():
    """Equal generators give equal numbers."""
    labels = np.arange(50) % 4
    one, other = (entropy_chance(labels, 7, rng=np.random.default_rng(3)) for _ in range(2))
    assert one == other


@pytest.mark.parametrize(
    ("labels", "k", "slug"),
    [
        (np.array([0, 1]), 3, "too-few-images"),
        (np.array([], int), 1, "too-few-images"),
        (np.array([0, 1]), 0, "bad-k"),
        (np.array([0, -1]), 1, "bad-labels"),
        (np.array([[0, 2]]), 1, "bad-labels"),
    ],
)
def test_errors_of_chance(labels, k, slug):
    """Draws that the split cannot give are refused."""
    with pytest.raises(MeasureError) as caught:
        entropy_chance(labels, k, rng=np.random.default_rng(0))
    assert caught.value.slug == slug
