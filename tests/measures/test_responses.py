"""Responses to classes against means written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.errors import MeasureError
from overpaint.measures.responses import class_responses

laws = settings(deadline=None, max_examples=40, derandomize=True)


def slow_response(values, shown):
    """λ (mean_c − mean_all) as the paper writes it, and the channel's standard deviation."""
    inside = [value for value, here in zip(values, shown, strict=True) if here]
    mean_all = sum(values) / len(values)
    factor = len(values) / (len(values) - len(inside))
    deviation = (sum((value - mean_all) ** 2 for value in values) / len(values)) ** 0.5
    response = factor * (sum(inside) / len(inside) - mean_all)
    return sum(inside) / len(inside), mean_all, response, response / deviation


@laws
@given(n=st.integers(4, 40), several=st.booleans(), seed=st.integers(0, 10**6))
def test_equals_means_written_out(n, several, seed):
    """Means, response and standardised response of each class, also past the first block."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 70)).astype(np.float32)
    labels = rng.integers(0, 2, (n, 3)) if several else rng.integers(0, 3, n)
    found = class_responses(features, labels, classes=3)
    for label in range(3):
        shown = labels[:, label] == 1 if several else labels == label
        assert found.n[label] == shown.sum()
        if not 0 < shown.sum() < n:
            assert np.isnan(found.response[label]).all()
            continue
        for channel in (0, 63, 64, 69):
            told = slow_response(features[:, channel].tolist(), shown)
            ours = (found.mean[label, channel], found.mean_all[channel],
                    found.response[label, channel], found.standardised[label, channel])  # fmt: skip
            assert ours == pytest.approx(told, rel=1e-9, abs=1e-9)


@laws
@given(seed=st.integers(0, 10**6), scale=st.floats(0.1, 50), shift=st.floats(-50, 50))
def test_laws(seed, scale, shift):
    """The order of images is nothing, classes renamed are rows moved, scale and shift cancel."""
    rng = np.random.default_rng(seed)
    features, labels = rng.normal(size=(30, 4)), rng.permutation(np.repeat([0, 1, 2], 10))
    found = class_responses(features, labels, classes=3)
    order, names = rng.permutation(30), rng.permutation(3)
    moved = class_responses(features[order], labels[order], classes=3)
    assert moved.standardised == pytest.approx(found.standardised)
    renamed = class_responses(features, names[labels], classes=3)
    assert renamed.standardised[names] == pytest.approx(found.standardised)
    scaled = class_responses(scale * features + shift, labels, classes=3)
    assert scaled.standardised == pytest.approx(found.standardised, rel=1e-6, abs=1e-9)
    assert scaled.response == pytest.approx(scale * found.response, rel=1e-6, abs=1e-9)


def test_the_strongest_are_those_planted():
    """Channels that were made to answer a class lead its list; those of a scale of 1000 do not."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(200, 12)), np.arange(200) % 4
    features[labels == 2, 7] += 4
    features[labels == 2, 3] += 2
    features[labels == 1, 9] -= 3
    features[:, 5] *= 1000
    found = class_responses(features, labels, classes=4).strongest(2)
    assert found[2].tolist() == [7, 3]
    assert 9 not in found[1]
    assert all(len(rows) == 2 for rows in found)


def test_ties_go_to_the_first_channel():
    """Twin channels stand in the order of their numbers."""
    column = np.array([1.0, 1.0, 0.0, 0.0])
    features = np.column_stack([1 - column, column, column, column])
    found = class_responses(features, np.array([0, 0, 1, 1]), classes=2)
    assert found.strongest(2)[0].tolist() == [1, 2]
    assert found.strongest(9)[1].tolist() == [0]


def test_what_has_no_response():
    """Dead and constant channels, classes of no image and of every image: none is listed."""
    features = np.column_stack([np.zeros(6), np.full(6, 0.1), np.arange(6.0)])
    assert features[:, 1].mean() != 0.1  # rounding leaves it a deviation
    labels = np.array([[1, 1, 0]] * 3 + [[1, 0, 0]] * 3)
    found = class_responses(features, labels, classes=3)
    assert [rows.tolist() for rows in found.strongest(5)] == [[], [], []]
    assert found.n.tolist() == [6, 3, 0]
    assert np.isnan(found.standardised[:, :2]).all()
    assert np.isnan(found.response[[0, 2]]).all()
    assert found.response[1, 2] == pytest.approx(-3)


@pytest.mark.parametrize("offset", [0, 10, 1e3, 1e5])
def test_an_offset_costs_no_digits(offset):
    """Differences are taken around the mean: a large offset changes nothing."""
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(100, 3)), np.arange(100) % 5
    plain, moved = (
        class_responses(each, labels, classes=5) for each in (features, features + offset)
    )
    assert moved.standardised == pytest.approx(plain.standardised, abs=1e-9)


@pytest.mark.parametrize(
    ("features", "labels", "slug"),
    [
        (np.ones((3, 2)), np.array([0, 1]), "images-differ"),
        (np.ones((3, 2)), np.array([0, 1, 2]), "bad-labels"),
        (np.ones(3), np.array([0, 1, 1]), "not-a-table"),
        (np.ones((0, 2)), np.array([], int), "not-a-table"),
        (np.full((2, 2), np.inf), np.array([0, 1]), "not-finite"),
    ],
)
def test_errors(features, labels, slug):
    """What has no response is refused, by a cause of its own."""
    with pytest.raises(MeasureError) as caught:
        class_responses(features, labels, classes=2)
    assert caught.value.slug == slug
