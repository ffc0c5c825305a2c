"""Procrustes distance and mutual neighbours against SciPy, scikit-learn and plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes as scipy_procrustes
from sklearn.neighbors import NearestNeighbors

from overpaint.errors import MeasureError
from overpaint.measures import centred, similarity
from overpaint.measures.centred import Centred
from overpaint.measures.cka import Kernels
from overpaint.measures.similarity import (
    Neighbours,
    mutual_neighbours,
    neighbours_chance,
    procrustes,
    sought,
)
from overpaint.seeds import generator

laws = settings(deadline=None, max_examples=25, derandomize=True)
seeds = st.integers(0, 10**6)
widths = st.integers(1, 40)


def related(n, p, q, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p)) * np.arange(1, p + 1)
    return x, noise * rng.standard_normal((n, q)) + x @ rng.standard_normal((p, q)) / p


def moved(x, seed):
    """Rotated, reflected, scaled and shifted."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((x.shape[1],) * 2))[0]
    return x @ rotation * rng.choice([-3.0, 1e-4, 50.0]) + 10 * rng.standard_normal(x.shape[1])


# --- Procrustes ----------------------------------------------------------------------------------


def slow_procrustes(x, y):
    """One turned onto the other by the best rotation, and the difference taken."""
    x, y = (each - each.mean(axis=0) for each in (x, y))
    x, y = x / np.sqrt((x**2).sum()), y / np.sqrt((y**2).sum())
    width = max(x.shape[1], y.shape[1])
    x, y = (np.pad(each, ((0, 0), (0, width - each.shape[1]))) for each in (x, y))
    u, _, vt = np.linalg.svd(x.T @ y)
    return np.sqrt(((x @ (u @ vt) - y) ** 2).sum())


@pytest.mark.parametrize(("n", "p", "q"), [(30, 4, 4), (30, 2, 7), (9, 30, 12), (9, 3, 40)])
def test_equals_the_best_rotation(n, p, q):
    """Narrow, wide and mixed features are as far apart as after turning one onto the other."""
    x, y = related(n, p, q, noise=3)
    assert procrustes(x, y) == pytest.approx(slow_procrustes(x, y), abs=1e-7)


@laws
@given(n=st.integers(5, 30), p=widths, q=widths, seed=seeds)
def test_equals_scipy(n, p, q, seed):
    """SciPy's disparity, which allows a scale besides, is 1 − (1 − d²/2)²."""
    x, y = related(n, p, q, seed)
    width = max(p, q)
    x_padded, y_padded = (np.pad(each, ((0, 0), (0, width - each.shape[1]))) for each in (x, y))
    disparity = scipy_procrustes(x_padded, y_padded)[2]
    assert 1 - (1 - procrustes(x, y) ** 2 / 2) ** 2 == pytest.approx(disparity, abs=1e-9)


@laws
@given(n=st.integers(5, 30), p=widths, q=widths, seed=seeds)
def test_procrustes_knows_no_rotation_scale_offset_or_order(n, p, q, seed):
    """What the features do together does not change when one is turned, scaled or shifted."""
    x, y = related(n, p, q, seed)
    order = np.random.default_rng(seed).permutation(n)
    found = procrustes(moved(x, seed)[order], y[order])
    assert found == pytest.approx(procrustes(x, y), abs=1e-6)
    assert procrustes(x, moved(x, seed)) < 1e-6


@laws
@given(n=st.integers(5, 30), p=widths, q=widths, r=widths, seed=seeds)
def test_procrustes_is_a_metric(n, p, q, r, seed):
    """Symmetric, within 0 and √2, no detour shorter; exactly 0 to itself."""
    x, y = related(n, p, q, seed, noise=3)
    z = related(n, r, 1, seed + 1)[0]
    there = procrustes(x, y)
    assert there == pytest.approx(procrustes(y, x), abs=1e-7)
    assert 0 <= there <= 2**0.5
    assert there <= procrustes(x, z) + procrustes(z, y) + 1e-7
    assert procrustes(x, x.copy()) == 0


def test_procrustes_goes_all_the_way():
    """Features that share no direction over images are at √2."""
    assert procrustes(np.eye(8)[:, :2] - 1 / 8, np.eye(8)[:, 5:6]) < 2**0.5
    halves = np.kron(np.eye(2), np.array([[1.0], [-1.0]]))
    assert procrustes(halves[:, :1], halves[:, 1:]) == pytest.approx(2**0.5, abs=1e-12)


# --- neighbours ----------------------------------------------------------------------------------


def slow_mutual(x, y, k):
    n, shared = len(x), 0
    for image in range(n):
        near = []
        for table in (x, y):
            far = [(sum((table[image] - table[other]) ** 2), other)
                   for other in range(n) if other != image]  # fmt: skip
            near.append({other for _, other in sorted(far)[:k]})
        shared += len(near[0] & near[1])
    return shared / (n * k)


@laws
@given(n=st.integers(6, 25), p=widths, q=widths, k=st.integers(1, 4), seed=seeds)
def test_equals_loops(n, p, q, k, seed):
    """Wide and narrow features share the neighbours that sorting finds."""
    x, y = related(n, p, q, seed)
    assert mutual_neighbours(x, y, k) == slow_mutual(x, y, k)


@laws
@given(n=st.integers(6, 25), k=st.integers(1, 4), seed=seeds)
def test_ties_go_to_the_earlier_image(n, k, seed):
    """Whole numbers abound in equal distances, and the earlier rows win them."""
    x, y = np.random.default_rng(seed).integers(0, 3, (2, n, 3)).astype(float)
    x[0], y[0] = 5, 5  # no constant features
    assert mutual_neighbours(x, y, k) == slow_mutual(x, y, k)


def test_equals_scikit_learn():
    """The neighbours are those of scikit-learn."""
    x, y = related(200, 12, 5)
    near = [NearestNeighbors(n_neighbors=10).fit(each).kneighbors(return_distance=False)
            for each in (x, y)]  # fmt: skip
    shared = [len(set(a) & set(b)) for a, b in zip(*near, strict=True)]
    assert mutual_neighbours(x, y) == sum(shared) / 2000


@laws
@given(n=st.integers(12, 30), p=widths, q=widths, seed=seeds)
def test_neighbours_know_no_rotation_scale_offset_or_order(n, p, q, seed):
    """Neighbours stay neighbours when all images are turned, scaled, shifted or shuffled."""
    x, y = related(n, p, q, seed)
    order = np.random.default_rng(seed).permutation(n)
    value = mutual_neighbours(x, y)
    assert mutual_neighbours(moved(x, seed)[order], y[order]) == pytest.approx(value, abs=1e-12)
    assert mutual_neighbours(y, x) == value
    assert mutual_neighbours(x, x.copy()) == 1
    assert 0 <= value <= 1


def test_unrelated_features_share_what_chance_gives():
    """Over many draws unrelated features share k / (N − 1) of their neighbours."""
    rng = np.random.default_rng(0)
    found = [mutual_neighbours(*rng.standard_normal((2, 60, 5))) for _ in range(60)]
    error = np.std(found) / len(found) ** 0.5
    assert np.mean(found) == pytest.approx(neighbours_chance(60), abs=3 * error)
    assert error < 0.005


def test_rows_of_gram_matrices_change_nothing(monkeypatch):
    """A few rows of the Gram matrices at a time give the same neighbours."""
    x, y = related(50, 6, 70)
    whole = mutual_neighbours(x, y)
    monkeypatch.setattr(centred, "GRAM", 350)
    assert mutual_neighbours(x, y) == whole


@pytest.mark.parametrize("p", [4, 90])
def test_of_many_images_some_are_asked_for_their_neighbours(p, monkeypatch):
    """Neighbours of a drawn sample, among all images: the mean over just those that were drawn."""
    x, y = related(60, p, 5)
    monkeypatch.setattr(similarity, "QUERIES", 20)
    drawn = set(generator(0, "neighbours", 60).choice(60, 20, replace=False).tolist())
    shared = []
    for image in drawn:
        near = []
        for table in (x, y):
            far = np.linalg.norm(table - table[image], axis=1)
            near.append({*[other for other in np.argsort(far) if other != image][:10]})
        shared.append(len(near[0] & near[1]))
    assert mutual_neighbours(x, y) == pytest.approx(sum(shared) / 200, abs=1e-12)
    monkeypatch.setattr(centred, "SLICE", 40)
    assert mutual_neighbours(x, y) == pytest.approx(sum(shared) / 200, abs=1e-12)


def test_a_known_product_is_not_made_again():
    """The Procrustes distance is the same from the product that CKA had made."""
    x, y = related(40, 4, 6)
    kernels = Kernels.of(x, y)
    assert procrustes(x, y, kernels.cross) == procrustes(x, y)
    assert Kernels.of(*related(9, 30, 4)).cross is None


@pytest.mark.parametrize("measure", [procrustes, lambda x, y: mutual_neighbours(x, y, 3)])
@pytest.mark.parametrize(
    ("x", "y", "slug"),
    [
        (np.zeros((8, 3)), np.eye(8), "constant-features"),
        (np.eye(8), np.eye(9), "images-differ"),
        (np.eye(8), np.where(np.eye(8), np.nan, 0), "not-finite"),
        (np.eye(8), np.ones((8, 2, 2)), "not-a-table"),
        (np.eye(1), np.eye(1), "too-few-images"),
    ],
)
def test_errors(measure, x, y, slug):
    """What has no likeness is refused, by a cause of its own."""
    with pytest.raises(MeasureError) as caught:
        measure(x, y)
    assert caught.value.slug == slug


@pytest.mark.parametrize(("n", "k", "slug"), [(11, 10, "too-few-images"), (11, 0, "bad-k")])
def test_neighbour_errors(n, k, slug):
    """With N ≤ k + 1 every image is a neighbour, and the value would be 1 whatever the features."""
    x, y = related(n, 3, 3)
    with pytest.raises(MeasureError) as caught:
        mutual_neighbours(x, y, k)
    assert caught.value.slug == slug
    assert 0 <= mutual_neighbours(*related(12, 3, 3)) <= 1


def test_centred_features_are_taken_as_they_are():
    """What was centred for one measure serves the next."""
    x, y = related(30, 4, 5)
    assert procrustes(Centred.of(x), Centred.of(y)) == procrustes(x, y)
    assert mutual_neighbours(Centred.of(x), y) == mutual_neighbours(x, y)


def slow_nearest(x, images, k):
    """By distances in float64 of all pairs, to 12 digits, of equals the earlier."""
    x = Centred.of(x)
    whole = x[:, :]
    pairs = []
    for image in images.tolist():
        squares = ((whole - whole[image]) ** 2).sum(axis=1) / x.sizes.max()
        order = [row for row in np.lexsort((np.arange(len(x)), squares.round(12))) if row != image]
        pairs += [image * len(x) + row for row in order[:k]]
    return pairs


@pytest.mark.parametrize("kind", ["alike", "outlier", "twins", "last digits"])
def test_what_float32_cannot_tell_apart_is_decided_in_float64(kind, monkeypatch):
    """Neighbours are those of float64 where float32 rounds their distances to one, or to 0."""
    monkeypatch.setattr(similarity, "QUERIES", 60)
    monkeypatch.setattr(similarity, "AT_ONCE", 150)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((900, 7))
    if kind == "outlier":
        x[3] = 1e25
    elif kind == "twins":
        x = x[rng.integers(0, 12, 900)]
    elif kind == "last digits":
        x = x[rng.integers(0, 12, 900)] + 1e-5 * x
    table = Centred.of(x)
    near = Neighbours(table, k=10)
    for rows, part in table.by_rows(300):
        near.add(rows, part)
    assert near.pairs.tolist() == slow_nearest(x, sought(900), 10)
