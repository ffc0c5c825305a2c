"""CKA of shards: any split of the images adds up to the value of all at once."""

from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.errors import MeasureError
from overpaint.measures.cka import linear_cka
from overpaint.measures.mergeable import CkaSums

laws = settings(deadline=None, max_examples=40, derandomize=True)
both_kinds = pytest.mark.parametrize("debiased", [False, True])
seeds = st.integers(0, 10**6)


def related(n, p=6, q=9, seed=0, offset=0.0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p)) * np.arange(1, p + 1) + offset
    return x, rng.standard_normal((n, q)) + (x - offset) @ rng.standard_normal((p, q)) - offset


def shards(x, y, cuts):
    return [CkaSums.of(*part) for part in zip(np.split(x, cuts), np.split(y, cuts), strict=True)]


def added(parts):
    return sum(parts, CkaSums.empty())


@both_kinds
@laws
@given(n=st.integers(8, 60), cuts=st.lists(st.integers(0, 60), max_size=9), seed=seeds)
def test_any_split_equals_the_whole(debiased, n, cuts, seed):
    """Shards of any sizes, of one image and of none too, give the value of the whole table."""
    x, y = related(n, seed=seed)
    value = added(shards(x, y, sorted(min(cut, n) for cut in cuts))).result(debiased=debiased)
    assert value == pytest.approx(CkaSums.of(x, y).result(debiased=debiased), abs=1e-12)
    assert value == pytest.approx(linear_cka(x, y, debiased=debiased), abs=1e-12)


@both_kinds
@laws
@given(order=st.permutations(range(6)), seed=seeds)
def test_order_and_grouping_do_not_matter(debiased, order, seed):
    """Shards in any order, added from either end, are one and the same."""
    x, y = related(40, seed=seed)
    parts = shards(x, y, [1, 3, 10, 11, 30])
    moved = [parts[number] for number in order]
    right = reduce(lambda total, part: part + total, reversed(moved))
    values = [each.result(debiased=debiased) for each in (added(parts), added(moved), right)]
    assert values == pytest.approx([values[0]] * 3, abs=1e-12)


@both_kinds
@pytest.mark.parametrize("offset", [0, 10, 1e3, 1e5, 1e9])
def test_offset_does_not_matter(offset, debiased):
    """An offset costs what the numbers themselves lost to it, and not what their squares would."""
    x, y = related(60, offset=offset)
    value = added(shards(x, y, [7, 8, 40])).result(debiased=debiased)
    assert value == pytest.approx(linear_cka(*related(60), debiased=debiased), abs=1e-7)
    assert value == pytest.approx(linear_cka(x, y, debiased=debiased), abs=1e-10)


@both_kinds
def test_shards_that_lie_far_apart(debiased):
    """Sorted images, whose shards have means far from each other, give the value too."""
    x, y = related(60)
    order = np.argsort(x[:, -1])
    value = added(shards(x[order], y[order], range(10, 60, 10))).result(debiased=debiased)
    assert value == pytest.approx(linear_cka(x, y, debiased=debiased), abs=1e-12)


def test_empty_is_neutral():
    """No images added on either side change nothing, and none have no value."""
    x, y = related(10)
    one = CkaSums.of(x, y)
    assert (one + CkaSums.empty()) is one
    assert (CkaSums.empty() + one) is one
    with pytest.raises(MeasureError) as caught:
        CkaSums.empty().result()
    assert caught.value.slug == "too-few-images"


@both_kinds
def test_the_same_features_are_wholly_alike(debiased):
    """CKA of features with themselves is exactly 1 from shards too."""
    x, _ = related(30)
    assert added(shards(x, x.copy(), [3, 20])).result(debiased=debiased) == 1


@pytest.mark.parametrize(
    ("parts", "slug"),
    [
        ([np.zeros((4, 2)), np.ones((4, 2))], None),
        ([np.full((4, 2), 0.1)] * 2, "constant-features"),
        ([np.eye(4)[:, :2], np.eye(4)[:, :3]], "channels-differ"),
        ([np.eye(4), np.full((1, 4), np.nan)], "not-finite"),
        ([np.eye(4), np.eye(4), np.zeros(4)], "not-a-table"),
        ([np.eye(8)], "degenerate-features"),
        ([np.eye(3)], "too-few-images"),
    ],
)
def test_errors(parts, slug):
    """What CKA is not defined for is refused, also when single shards would be."""

    def value():
        return added([CkaSums.of(part, part) for part in parts]).result(debiased=True)

    if slug is None:  # constant in each shard, and yet not the same for all images
        assert value() == 1
        return
    with pytest.raises(MeasureError) as caught:
        value()
    assert caught.value.slug == slug


def test_different_images():
    """A shard needs the same images twice."""
    with pytest.raises(MeasureError) as caught:
        CkaSums.of(np.eye(4), np.eye(5))
    assert caught.value.slug == "images-differ"
