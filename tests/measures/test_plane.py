"""Planes of pictures against loops from the formulas, their laws, and two classes that part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.defaults import NEIGHBOURS
from overpaint.errors import MeasureError
from overpaint.measures.plane import LEAST, planes, turned_onto
from overpaint.measures.similarity import mutual_neighbours, neighbours_chance

laws = settings(deadline=None, max_examples=8, derandomize=True)
seeds = st.integers(0, 10**6)
counts = st.integers(LEAST, 40)


def features(n, p, seed=0):
    return np.random.default_rng(seed).standard_normal((n, p)) * np.linspace(1, 3, p)


def rotated(x, seed=0):
    return x @ np.linalg.qr(np.random.default_rng(seed).standard_normal((x.shape[1],) * 2))[0]


# --- the formulas, slowly ------------------------------------------------------------------------


def slow_nearest(x, row):
    """All others by their distance from one picture."""
    distances = [(np.sqrt(((x[row] - x[at]) ** 2).sum()), at) for at in range(len(x)) if at != row]
    return [at for _, at in sorted(distances)]


def slow_trust(x, points, k=NEIGHBOURS):
    """1 − 2 / (n k (2n − 3k − 1)) Σ over pictures Σ over its k nearest in the plane of by how much
    the rank of each by the features is beyond k.
    """
    n, total = len(x), 0
    for row in range(n):
        by_features, in_plane = slow_nearest(x, row), slow_nearest(points, row)
        total += sum(max(0, by_features.index(at) + 1 - k) for at in in_plane[:k])
    return 1 - total * 2 / (n * k * (2 * n - 3 * k - 1))


@pytest.mark.parametrize(("n", "p", "q"), [(LEAST, 4, 4), (40, 3, 90), (30, 60, 2)])
def test_neighbours_and_trust_are_those_of_the_formulas(n, p, q):
    """Narrow and wide features: the nearest, the share that is kept, and how far planes err."""
    before, after = features(n, p, 1), features(n, q, 2)
    made = planes(before, after, seed=0)
    for side, x in ((made.before, before), (made.after, after)):
        near = [slow_nearest(x, row)[:NEIGHBOURS] for row in range(n)]
        assert side.nearest.tolist() == near
        assert side.trust == pytest.approx(slow_trust(x, side.points), abs=1e-12)
    for row in range(n):
        both = {*slow_nearest(before, row)[:NEIGHBOURS]} & {*slow_nearest(after, row)[:NEIGHBOURS]}
        assert made.kept[row] == pytest.approx(len(both) / NEIGHBOURS)
    assert made.shared == pytest.approx(mutual_neighbours(before, after))
    assert made.chance == neighbours_chance(n)


def test_the_plane_after_is_turned_as_well_as_can_be():
    """No angle, mirrored or not, brings it nearer to the plane before."""
    target, points = features(30, 2, 3), features(30, 2, 4)
    turned = turned_onto(target, points)
    least = ((turned - target) ** 2).sum()
    for angle in np.linspace(0, 2 * np.pi, 721):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        for mirror in (np.eye(2), np.diag([1.0, -1.0])):
            assert ((points @ turn @ mirror - target) ** 2).sum() >= least - 1e-9
    lengths = [np.linalg.norm(each, axis=1) for each in (points, turned)]
    assert np.allclose(*lengths)


# --- laws ----------------------------------------------------------------------------------------


@laws
@given(counts, st.integers(1, 60), seeds)
def test_equal_features_have_equal_planes(n, p, seed):
    """Bit for bit, with all neighbours kept, and the same again from the same seed."""
    x = features(n, p, seed)
    made, again = planes(x, x.copy(), seed=seed), planes(x, x, seed=seed)
    assert np.array_equal(made.before.points, made.after.points)
    assert np.array_equal(made.before.points, again.before.points)
    assert made.shared == 1.0
    assert made.before.trust == made.after.trust


@laws
@given(counts, seeds)
def test_the_order_of_the_pictures_does_not_matter(n, seed):
    """Each has the same place, the same neighbours and the same share of them, bit for bit."""
    before, after = features(n, 12, seed), features(n, 9, seed + 1)
    order = np.random.default_rng(seed).permutation(n)
    plain, shuffled = planes(before, after, seed=1), planes(before[order], after[order], seed=1)
    for one, other in ((plain.before, shuffled.before), (plain.after, shuffled.after)):
        assert np.array_equal(one.points[order], other.points)
        assert np.array_equal(one.nearest[order], order[other.nearest])
        assert one.trust == other.trust
    assert np.array_equal(plain.kept[order], shuffled.kept)


@laws
@given(counts, seeds)
def test_rotations_change_no_neighbours(n, seed):
    """Nor do mirrors, scale and offset: only who is near whom is asked."""
    x = features(n, 10, seed)
    made = planes(x, rotated(x, seed) * 40 + 7, seed=0)
    assert made.shared == 1.0
    assert np.array_equal(made.before.nearest, made.after.nearest)


@laws
@given(counts, seeds)
def test_planes_are_about_their_mean_and_of_one_size(n, seed):
    """So that two of them can be drawn in one frame."""
    made = planes(features(n, 6, seed), features(n, 8, seed + 1), seed=0)
    for side in (made.before, made.after):
        assert np.allclose(side.points.mean(axis=0), 0, atol=1e-9)
        assert (side.points**2).sum(axis=1).mean() == pytest.approx(1)
        assert 0 <= side.trust <= 1


# --- what is planted is seen ---------------------------------------------------------------------


def silhouette(points, groups):
    """How much nearer to its own group than to the other a point is, on average, of the farther."""
    total = []
    for point, group in zip(points, groups, strict=True):
        near, far = (np.linalg.norm(points[groups == g] - point, axis=1).mean()
                     for g in (group, 1 - group))  # fmt: skip
        total.append((far - near) / max(far, near))
    return np.mean(total)


def test_two_classes_that_were_one_come_apart():
    """Two classes that a network holds for one lie mixed before and apart after; a third class
    stays where it is, and few of the two keep their neighbours.
    """
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 60)
    centres = rng.standard_normal((3, 32)) * 3
    merged = centres.copy()
    merged[1] = merged[0]
    noise = rng.standard_normal((2, 180, 32))
    noise[1, labels == 2] = noise[0, labels == 2]
    made = planes(merged[labels] + noise[0], centres[labels] + noise[1], seed=0)
    two = labels < 2
    assert silhouette(made.before.points[two], labels[two]) < 0.1
    assert silhouette(made.after.points[two], labels[two]) > 0.6
    assert made.kept[~two].mean() > 0.95
    assert made.kept[two].mean() < 0.3
    third = [side.points[~two].mean(axis=0) for side in (made.before, made.after)]
    assert np.linalg.norm(third[0] - third[1]) < 0.6  # where a plane is some 3 across
    assert min(made.before.trust, made.after.trust) > 0.85


def test_unrelated_features_keep_what_chance_gives():
    """Over 300 pictures the share is that of the formula, within three standard errors."""
    made = planes(features(300, 20, 5), features(300, 20, 6), seed=0)
    assert made.chance == pytest.approx(10 / 299)
    assert abs(made.shared - made.chance) < 3 * made.kept.std() / np.sqrt(300)


# --- what cannot be ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "slug"),
    [
        (features(30, 4), features(29, 4), "images-differ"),
        (features(LEAST - 1, 4), features(LEAST - 1, 4), "too-few-images"),
        (features(30, 4), np.ones((30, 4)), "constant-features"),
        (features(30, 4), np.where(np.eye(30)[:, :4], np.nan, 1.0), "not-finite"),
        (features(30, 4), features(30, 4)[:, 0], "not-a-table"),
    ],
)
def test_what_has_no_plane_is_refused(before, after, slug):
    """With the reason, and not with a plane of something else."""
    with pytest.raises(MeasureError) as caught:
        planes(before, after, seed=0)
    assert caught.value.slug == slug


def test_large_and_small_numbers_do_not_matter():
    """Features of float32 far from zero have the neighbours and planes of those about it."""
    x = features(40, 6).round(2).astype(np.float32)
    far = (x * 64 + 4096).astype(np.float32)
    made = planes(x, far, seed=0)
    assert made.shared > 0.99
