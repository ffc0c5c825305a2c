"""CKA against its definitions, its laws and the numbers of its sources."""

from itertools import permutations
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from overpaint.errors import MeasureError
from overpaint.measures import cka as cka_module
from overpaint.measures.centred import Centred
from overpaint.measures.cka import Kernels, cka_interval, linear_cka

laws = settings(deadline=None, max_examples=25, derandomize=True)
seeds = st.integers(0, 10**6)
both_kinds = pytest.mark.parametrize("debiased", [False, True])


def related(n, p, q, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p)) * np.arange(1, p + 1)
    y = noise * rng.standard_normal((n, q)) + x @ rng.standard_normal((p, q)) / p
    return x, y


def slow_hsic(k, n):
    """Of two Gram matrices, with the centring matrix written out."""
    h = np.eye(n) - np.ones((n, n)) / n
    return np.trace(k[0] @ h @ k[1] @ h)


def slow_unbiased_hsic(k, n):
    """The mean over all ordered quadruples of different images, as the U-statistic is defined."""
    a, b = k
    total = count = 0.0
    for i, j, q, r in permutations(range(n), 4):
        total += a[i, j] * (b[i, j] + b[q, r] - 2 * b[i, q])
        count += 1
    return total / count


def slow_cka(x, y, debiased):
    hsic = slow_unbiased_hsic if debiased else slow_hsic
    k, g, n = x @ x.T, y @ y.T, len(x)
    return hsic((k, g), n) / (hsic((k, k), n) * hsic((g, g), n)) ** 0.5


def slow_interval(x, y, debiased, level):
    """The delete-one jackknife on Fisher's scale, image by image."""
    n, centre = len(x), np.arctanh(slow_cka(x, y, debiased))
    leaves = [
        np.arctanh(slow_cka(np.delete(x, i, 0), np.delete(y, i, 0), debiased)) for i in range(n)
    ]
    middle = sum(leaves) / n
    error = ((n - 1) / n * sum((leaf - middle) ** 2 for leaf in leaves)) ** 0.5
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    return np.tanh(centre - reach), np.tanh(centre + reach)


def test_golden_values():
    """The published example gives its published biased and debiased values."""
    old = np.random.RandomState(1337)
    x = old.randn(100, 10)
    y = old.randn(100, 10) + x
    assert linear_cka(x, y) == pytest.approx(0.55761, abs=1e-5)
    assert linear_cka(x, y, debiased=True) == pytest.approx(0.51346, abs=1e-5)


@both_kinds
@pytest.mark.parametrize(("n", "p", "q"), [(7, 2, 3), (8, 5, 1), (7, 12, 3), (6, 2, 9), (5, 8, 8)])
def test_equals_its_definition(n, p, q, debiased):
    """Narrow, wide and mixed features give the value of the formula written out in loops."""
    x, y = related(n, p, q, seed=n)
    assert linear_cka(x, y, debiased=debiased) == pytest.approx(
        slow_cka(x, y, debiased), rel=1e-10, abs=1e-12
    )


def test_biased_value_of_many_images():
    """A table of a few hundred images gives the value of the centring matrix written out."""
    x, y = related(300, 20, 40)
    assert linear_cka(x, y) == pytest.approx(slow_cka(x, y, debiased=False), rel=1e-12)


@both_kinds
def test_gram_and_features_agree(debiased):
    """Channels of zeros, which make the features wider than the images, change nothing."""
    x, y = related(40, 6, 9)
    wide = np.hstack([x, np.zeros((40, 50))])
    assert linear_cka(wide, y, debiased=debiased) == pytest.approx(
        linear_cka(x, y, debiased=debiased), rel=1e-12
    )


@both_kinds
@laws
@given(n=st.integers(8, 60), p=st.integers(1, 80), seed=seeds)
def test_self_is_one(debiased, n, p, seed):
    """Features are wholly like themselves, and rounding never makes that more than wholly."""
    x, _ = related(n, p, 1, seed)
    assert linear_cka(x, x.copy(), debiased=debiased) == pytest.approx(1, abs=1e-12)
    assert linear_cka(x, x / 3 + 1, debiased=debiased) <= 1


@both_kinds
@laws
@given(n=st.integers(8, 50), p=st.integers(1, 60), q=st.integers(1, 60), seed=seeds)
def test_symmetric_and_bounded(debiased, n, p, q, seed):
    """Before and after can change places, and the value stays within its range."""
    x, y = related(n, p, q, seed)
    value = linear_cka(x, y, debiased=debiased)
    assert value == pytest.approx(linear_cka(y, x, debiased=debiased), abs=1e-12)
    assert (-1 if debiased else 0) <= value <= 1


@both_kinds
@laws
@given(
    p=st.integers(2, 40),
    scale=st.sampled_from([-1.0, 1e-100, 1e-6, 3.0, 1e6, 1e100]),
    seed=seeds,
)
def test_rotation_scale_and_order_do_not_matter(debiased, p, scale, seed):
    """Rotating, scaling and reordering the images of both leaves the value as it is."""
    x, y = related(30, p, 7, seed)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((p, p)))[0]
    order = rng.permutation(30)
    moved = linear_cka((x @ rotation * scale)[order], y[order], debiased=debiased)
    assert moved == pytest.approx(linear_cka(x, y, debiased=debiased), abs=1e-10)


@both_kinds
@pytest.mark.parametrize("p", [5, 100])
@pytest.mark.parametrize("offset", [0, 10, 1e3, 1e5])
def test_offset_does_not_matter(offset, p, debiased):
    """An offset of the features leaves six digits and more of the value as they are."""
    x, y = related(60, p, 8)
    value = linear_cka(x + offset, y - offset, debiased=debiased)
    assert value == pytest.approx(linear_cka(x, y, debiased=debiased), abs=1e-7)


@both_kinds
@pytest.mark.parametrize("p", [5, 100])
@pytest.mark.parametrize(("offset", "dtype"), [(1e5, np.float32), (1e12, np.float64)])
def test_offset_costs_only_what_the_input_lost(offset, dtype, p, debiased):
    """Features stored around a large number give the value of exactly these stored numbers."""
    x, y = related(60, p, 8)
    stored = (x + offset).astype(dtype)
    exact = stored.astype(np.float64) - offset
    value = linear_cka(stored, y, debiased=debiased)
    assert value == pytest.approx(linear_cka(exact, y, debiased=debiased), abs=1e-12)


def test_the_input_is_left_alone():
    """Centring happens in a copy, also for float64 input."""
    x, y = related(20, 3, 3)
    kept = x.copy()
    cka_interval(x, y)
    assert np.array_equal(x, kept)


def test_unrelated_features():
    """Unrelated features wider than the images look alike to the biased value only."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 256, 4096))
    assert linear_cka(x, y) == pytest.approx(0.94, abs=0.01)
    assert abs(linear_cka(x, y, debiased=True)) < 0.02


@both_kinds
@pytest.mark.parametrize(("p", "q"), [(2, 3), (12, 2)])
def test_interval_equals_its_definition(p, q, debiased):
    """The closed form is the jackknife that leaves out image by image."""
    x, y = related(7, p, q, seed=4)
    low, high = cka_interval(x, y, debiased=debiased, level=0.9)
    slow_low, slow_high = slow_interval(x, y, debiased, 0.9)
    assert low == pytest.approx(slow_low if debiased else max(slow_low, 0), rel=1e-9)
    assert high == pytest.approx(slow_high, rel=1e-9)


@both_kinds
def test_interval_covers(debiased):
    """The true value lies in about 95 of 100 intervals."""
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((6, 6)) * 0.5

    def sample(n):
        x = rng.standard_normal((n, 6))
        return x, x + rng.standard_normal((n, 6)) @ mix

    if debiased:  # the population value, from the covariances
        truth = 6 / (6 * np.sum((np.eye(6) + mix.T @ mix) ** 2)) ** 0.5
    else:
        truth = np.mean([linear_cka(*sample(80)) for _ in range(1000)])
    intervals = [cka_interval(*sample(80), debiased=debiased) for _ in range(400)]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.91 <= covered <= 0.985


@both_kinds
@laws
@given(n=st.integers(8, 40), p=st.integers(1, 50), noise=st.floats(0.01, 10), seed=seeds)
def test_interval_contains_the_value(debiased, n, p, noise, seed):
    """The interval lies around the value and within the range of CKA."""
    x, y = related(n, p, 4, seed, noise)
    low, high = cka_interval(x, y, debiased=debiased)
    assert (-1 if debiased else 0) <= low <= linear_cka(x, y, debiased=debiased) <= high <= 1


@both_kinds
def test_interval_of_the_same_features_is_a_point(debiased):
    """There is no doubt about the likeness of features to themselves."""
    x, _ = related(50, 8, 1)
    assert cka_interval(x, x, debiased=debiased) == pytest.approx((1, 1), abs=1e-11)


@both_kinds
def test_interval_of_more_images_is_narrower(debiased):
    """Sixteen times the images give an interval about a quarter as wide."""
    x, y = related(3200, 5, 5, noise=3)
    few, many = (cka_interval(x[:n], y[:n], debiased=debiased) for n in (200, 3200))
    assert (many[1] - many[0]) / (few[1] - few[0]) == pytest.approx(0.25, rel=0.25)


one_image_differs = np.eye(6, 3)[[0, 5, 5, 5, 5, 5]]
all_equally_far = np.eye(8)
table = related(8, 3, 3)[0]


@pytest.mark.parametrize(
    ("x", "y", "debiased", "slug"),
    [
        (np.zeros(5), np.zeros(5), False, "not-a-table"),
        (table, table[:, :, None], False, "not-a-table"),
        (table, table[:-1], False, "images-differ"),
        (table[:1], table[:1], False, "too-few-images"),
        (table[:3], table[:3], True, "too-few-images"),
        (np.where(table == table[2, 1], np.nan, table), table, False, "not-finite"),
        (table, np.where(table == table[2, 1], np.inf, table), True, "not-finite"),
        (np.full((8, 3), 0.1), table, False, "constant-features"),
        (table, np.full((8, 3), 1e5, np.float32), True, "constant-features"),
        (one_image_differs, table[:6], True, "degenerate-features"),
        (table[:6], one_image_differs, True, "degenerate-features"),
        (all_equally_far, table, True, "degenerate-features"),
        (table, all_equally_far, True, "degenerate-features"),
    ],
)
def test_errors(x, y, debiased, slug):
    """What CKA is not defined for is refused, by a cause of its own."""
    with pytest.raises(MeasureError) as caught:
        linear_cka(x, y, debiased=debiased)
    assert caught.value.slug == slug


@both_kinds
def test_fewest_images(debiased):
    """Two images suffice for the biased value, four for the debiased; intervals need four or five.

    Of three images each two that remain have a CKA of 1: a width of zero would be untrue.
    """
    least, for_interval = (4, 5) if debiased else (2, 4)
    x, y = related(for_interval, 3, 3)
    assert -1 <= linear_cka(x[:least], y[:least], debiased=debiased) <= 1
    low, high = cka_interval(x, y, debiased=debiased)
    assert low < high
    with pytest.raises(MeasureError) as caught:
        cka_interval(x[:-1], y[:-1], debiased=debiased)
    assert caught.value.slug == "too-few-images"


def test_no_width_of_zero():
    """Where each image could go and CKA stayed as it is, there is no interval and not a point."""
    x = np.array([[1.0], [1], [-1], [-1]])
    y = np.array([[1.0], [-1], [1], [-1]])
    with pytest.raises(MeasureError) as caught:
        cka_interval(x, y)
    assert caught.value.slug == "no-interval"


# --- by group ------------------------------------------------------------------------------------


def slow_interval_by_group(x, y, groups, debiased):
    """The jackknife by its definition: CKA once more without each group."""
    names = sorted(set(groups))
    left = [[group != name for group in groups] for name in names]
    values = [linear_cka(x[rows], y[rows], debiased=debiased) for rows in left]
    stretched, value = np.arctanh(values), np.arctanh(linear_cka(x, y, debiased=debiased))
    error = np.sqrt((len(names) - 1) / len(names) * ((stretched - stretched.mean()) ** 2).sum())
    reach = student.ppf(0.975, len(names) - 1) * error
    return np.tanh(value - reach), np.tanh(value + reach)


@both_kinds
@laws
@given(count=st.integers(2, 6), p=st.integers(1, 40), noise=st.floats(0.1, 10), seed=seeds)
def test_interval_by_group_equals_its_definition(debiased, count, p, noise, seed):
    """The closed form is the jackknife that leaves out group by group, wide features or not."""
    n = 4 * count + 6
    x, y = related(n, p, 4, seed, noise)
    names = [f"painter {number}" for number in range(count)]
    groups = np.random.default_rng(seed).permutation((names * n)[: n - 4] + names[:2] * 2).tolist()
    low, high = cka_interval(x, y, debiased=debiased, groups=groups)
    slow_low, slow_high = slow_interval_by_group(x, y, groups, debiased)
    assert low == pytest.approx(slow_low if debiased else max(slow_low, 0), rel=1e-6, abs=1e-9)
    assert high == pytest.approx(slow_high, rel=1e-6, abs=1e-9)


@both_kinds
def test_groups_of_one_image_are_images(debiased):
    """Where each image is its own group, only Student's t tells the two intervals apart."""
    x, y = related(30, 5, 5)
    kernels = Kernels.of(x, y)
    by_image = kernels.without_each(debiased=debiased)
    by_group = kernels.without_each(debiased=debiased, groups=np.arange(30))
    assert by_group == pytest.approx(by_image, rel=1e-12)


@both_kinds
def test_many_images_by_group(debiased, monkeypatch):
    """Of many images the sum of what a group's images do comes near to what the group does."""
    x, y = related(2000, 6, 6, noise=2)
    groups = np.random.default_rng(0).integers(0, 200, 2000).astype(str).tolist()
    exact = cka_interval(x, y, debiased=debiased, groups=groups)
    monkeypatch.setattr(cka_module, "EXACT", 100)
    near = cka_interval(x, y, debiased=debiased, groups=groups)
    assert near == pytest.approx(exact, abs=0.02 * (exact[1] - exact[0]))


def test_groups_that_give_no_interval():
    """A single group has none, nor has a group without which too few images remain."""
    x, y = related(12, 3, 3)
    for groups, slug in (
        (["Monet"] * 12, "too-few-groups"),
        (["Monet"] * 10 + ["Klee", "Corot"], "too-few-images"),
        (["Monet"] * 11, "images-differ"),
    ):
        with pytest.raises(MeasureError) as caught:
            cka_interval(x, y, groups=groups)
        assert caught.value.slug == slug


def test_interval_where_one_image_differs():
    """One image unlike all others has a biased value but no interval."""
    assert linear_cka(one_image_differs, table[:6]) > 0
    with pytest.raises(MeasureError) as caught:
        cka_interval(one_image_differs, table[:6])
    assert caught.value.slug == "degenerate-features"


# --- what CKA owes to what -----------------------------------------------------------------------


def test_permuted_is_the_mean_over_all_ways_to_deal_the_pictures():
    """The value under permutations is the mean CKA of all orders of one table's rows."""
    x, y = related(5, 3, 2)
    ways = list(permutations(range(5)))
    biased = np.mean([linear_cka(x, y[list(way)]) for way in ways])
    debiased = np.mean([linear_cka(x, y[list(way)], debiased=True) for way in ways])
    assert Kernels.of(x, y).permuted() == pytest.approx(biased, abs=1e-12)
    assert debiased == pytest.approx(0, abs=1e-12)


@laws
@given(n=st.integers(8, 30), p=st.integers(1, 40), noise=st.floats(0.1, 10), seed=seeds)
def test_dominant_pictures_by_definition(n, p, noise, seed):
    """They are those without which CKA moves most, and the value is that of all the others."""
    x, y = related(n, p, 4, seed, noise)
    rows, value = Kernels.of(x, y).dominant()
    without = np.array([
        linear_cka(np.delete(x, i, 0), np.delete(y, i, 0), debiased=True) for i in range(n)
    ])  # fmt: skip
    expected = np.sort(np.abs(without - without.mean()))[-3:]
    assert np.sort(np.abs(without - without.mean())[rows]) == pytest.approx(expected, abs=1e-9)
    others = np.delete(x, rows, 0), np.delete(y, rows, 0)
    assert value == pytest.approx(linear_cka(*others, debiased=True), abs=1e-9)


def test_a_planted_picture_dominates():
    """Three pictures that are far out in both networks make unrelated features look alike."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 100, 8))
    x[[7, 30, 90]] = y[[7, 30, 90]] = 20 * rng.standard_normal(8)
    rows, value = Kernels.of(x, y).dominant()
    assert set(rows) == {7, 30, 90}
    assert linear_cka(x, y, debiased=True) > 0.8
    assert abs(value) < 0.05


def test_no_picture_dominates_a_layer_that_did_not_change():
    """Features and themselves stay alike without any picture: none is named."""
    x, _ = related(20, 4, 2)
    assert Kernels.of(x, x).dominant() == ([], 1.0)


def centred_off_diagonal(kernel):
    """U-centring, as Székely & Rizzo define it."""
    n = len(kernel)
    np.fill_diagonal(kernel, 0)
    mean = kernel.sum(axis=0) / (n - 2)
    centred = kernel - mean - mean[:, None] + kernel.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0)
    return centred


@laws
@given(n=st.integers(6, 25), p=st.integers(2, 40), noise=st.floats(0.1, 10), seed=seeds)
def test_partial_is_the_likeness_of_residuals(n, p, noise, seed):
    """It is the correlation of both kernels after a regression on the kernel of the input."""
    x, y = related(n, p, 4, seed, noise)
    z = x[:, :2] + np.random.default_rng(seed).standard_normal((n, 2))
    k, g, h = (
        centred_off_diagonal((table - table.mean(0)) @ (table - table.mean(0)).T)
        for table in (x, y, z)
    )
    left_k, left_g = (side - (side * h).sum() / (h * h).sum() * h for side in (k, g))
    expected = (left_k * left_g).sum() / np.sqrt((left_k**2).sum() * (left_g**2).sum())
    assert Kernels.of(x, y).partial(Centred.of(z).gram) == pytest.approx(expected, abs=1e-8)


def test_shared_input_is_taken_out():
    """Layers that have nothing in common but the pictures are alike, and not without that."""
    rng = np.random.default_rng(0)
    pictures = rng.standard_normal((300, 4))
    x, y = (np.hstack([pictures, rng.standard_normal((300, 4))]) for _ in range(2))
    value = Kernels.of(x, y).partial(Centred.of(pictures).gram)
    assert linear_cka(x, y, debiased=True) > 0.4
    assert abs(value) < 0.05


def test_what_is_not_looked_at(monkeypatch):
    """Of too many pictures, and of a layer that is the input again, it is said."""
    x, y = related(30, 4, 3)
    kernels, gram = Kernels.of(x, y), Centred.of(x).gram
    with pytest.raises(MeasureError) as caught:
        kernels.partial(gram)
    assert caught.value.slug == "nothing-left"
    monkeypatch.setattr(cka_module, "EXACT", 20)
    for ask in (lambda: kernels.partial(None), kernels.dominant):
        with pytest.raises(MeasureError) as caught:
            ask()
        assert caught.value.slug == "too-many-images"
