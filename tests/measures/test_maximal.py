"""Maximal images against a plain sort, and their overlap against counting."""

from fractions import Fraction
from itertools import combinations, pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.errors import MeasureError
from overpaint.measures import centred
from overpaint.measures.maximal import (
    Largest,
    Overlap,
    Ranked,
    channel_status,
    distinct,
    maximal_images,
    order_of_ids,
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


@laws
@given(column=columns, k=st.integers(1, 45), seed=st.integers(0, 10**6))
def test_negative_values_rank_on_request(column, k, seed):
    """On request every image ranks, whatever its sign; the positive ones stay where they are."""
    values, ids = np.array(column, np.float32), shuffled_ids(len(column), seed)
    expected = sorted(range(len(ids)), key=lambda row: (-values[row], ids[row]))[:k]
    found = maximal_images(values, ids, k, negative=True)[0].tolist()
    assert found == expected
    positive = maximal_images(values, ids, k)[0].tolist()
    assert found[: len(positive)] == positive


def test_an_all_negative_channel():
    """Before a ReLU a channel can be below 0 for every image: dead by default, ranked on request.

    A search that starts from a best value of 0 gives ids of −1 here.
    """
    values = np.array([[-3.0], [-1.0], [-2.0]], np.float32)
    assert maximal_images(values, ["a", "b", "c"], 2)[0].tolist() == []
    assert maximal_images(values, ["a", "b", "c"], 2, negative=True)[0].tolist() == [1, 2]
    assert channel_status(values, -values).tolist() == ["dead_before"]
    assert channel_status(values, -values, negative=True).tolist() == ["negative"]


def test_values_that_bfloat16_cannot_tell_apart():
    """Neighbours that half the digits would tie are ranked by what they are, in any order."""
    rng = np.random.default_rng(0)
    values = (1 + rng.permutation(1000) / 1e4).astype(np.float32)  # bfloat16 has steps of 1/128
    ids = shuffled_ids(1000, 0)
    found = maximal_images(values, ids, 100)[0]
    assert values[found].tolist() == sorted(values.tolist(), reverse=True)[:100]
    order = rng.permutation(1000)
    moved = maximal_images(values[order], [ids[row] for row in order], 100)[0]
    assert order[moved].tolist() == found.tolist()


def test_channels_do_not_compete():
    """The images of a channel are those with its largest values, not with its largest share."""
    values = np.array([[9.0, 90.0], [5.0, 0.0], [1.0, 0.0]], np.float32)
    assert maximal_images(values, ["a", "b", "c"], 2)[0].tolist() == [0, 1]


digests = st.sampled_from(["", "d1", "d2", "d3", "d4", "d5"])


def slow_distinct(ids, marks):
    kept = []
    for row, image in enumerate(ids):
        same = [ids[i] for i in range(len(ids)) if marks[i] == marks[row] and marks[row]]
        if not same or image == min(same):
            kept.append(row)
    return kept


@laws
@given(marks=st.lists(digests, max_size=20), seed=st.integers(0, 10**6))
def test_distinct_keeps_the_first_id_of_each_picture(marks, seed):
    """Of images with one digest that with the first id stays; unknown digests equal none."""
    ids = shuffled_ids(len(marks), seed)
    assert distinct(ids, marks).tolist() == slow_distinct(ids, marks)


def test_a_picture_counts_once():
    """A picture that lies in the collection three times fills one place, not three."""
    values = np.array([5.0, 5.0, 5.0, 2.0, 1.0], np.float32)
    ids, marks = ["c", "a", "b", "d", "e"], ["x", "x", "x", "y", "z"]
    kept = distinct(ids, marks)
    found = kept[maximal_images(values[kept], [ids[row] for row in kept], 2)[0]]
    assert found.tolist() == [1, 3]
    assert Ranked.of(values, ids, marks, 2).images == [["a", "d"]]


def test_errors_of_distinct():
    """Each image has one digest and an id of its own."""
    with pytest.raises(MeasureError) as caught:
        distinct(["a"], [])
    assert caught.value.slug == "images-differ"
    with pytest.raises(MeasureError) as caught:
        distinct(["a", "a"], ["x", "y"])
    assert caught.value.slug == "repeated-ids"


@laws
@given(
    pictures=st.lists(st.tuples(levels, levels), min_size=6, max_size=12),
    shown=st.lists(st.integers(0, 11), min_size=8, max_size=30),
    cuts=st.lists(st.integers(1, 29), min_size=1, max_size=5),
    k=st.integers(1, 6),
    seed=st.integers(0, 10**6),
    negative=st.booleans(),
)
def test_parts_add_up_to_the_whole(pictures, shown, cuts, k, seed, negative):
    """Any cut into parts, of one image too, in any order of parts, gives what the whole gives.

    Images that show one picture have its values, and count once across parts.
    """
    shown = [number % len(pictures) for number in shown]
    values = np.array([pictures[number] for number in shown], np.float32)
    ids, marks = shuffled_ids(len(shown), seed), [f"d{number}" for number in shown]
    whole = Ranked.of(values, ids, marks, k, negative=negative)
    bounds = sorted({0, len(shown), *(cut for cut in cuts if cut < len(shown))})
    parts = [
        Ranked.of(values[a:b], ids[a:b], marks[a:b], k, negative=negative)
        for a, b in pairwise(bounds)
    ]
    order = np.random.default_rng(seed).permutation(len(parts))
    merged = parts[order[0]]
    for number in order[1:]:
        merged += parts[number]
    assert merged == whole
    kept = slow_distinct(ids, marks)
    for channel, images in enumerate(whole.images):
        rows = [row for row in kept if negative or values[row, channel] > 0]
        slow = sorted(rows, key=lambda row: (-values[row, channel], ids[row]))[:k]
        assert images == [ids[row] for row in slow]


def test_errors_of_parts():
    """Parts of other layers or of another k do not add up."""
    one = Ranked.of(np.ones((1, 2)), ["a"], ["x"], 1)
    for other, slug in [
        (Ranked.of(np.ones((1, 3)), ["b"], ["y"], 1), "channels-differ"),
        (Ranked.of(np.ones((1, 2)), ["b"], ["y"], 2), "bad-k"),
    ]:
        with pytest.raises(MeasureError) as caught:
            one + other
        assert caught.value.slug == slug


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
        ([0, 7, 1], [0, 7, 1], "identical"),
        ([7, 7, 0], [7, 7, 0], "constant"),
        ([0, -1, 0], [0, -1, 0], "dead"),
    ],
)
def test_status(before, after, status):
    """A channel is dead without positive values, constant when two or more are all equal, and
    identical when both networks say the same of every image.
    """
    assert channel_status(np.array(before), np.array(after)).tolist() == [status]


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        ([-1, -2, 0], [3, 1, -1], "negative"),
        ([3, 1, -1], [-3, -1, -2], "negative"),
        ([1, -2, 0], [3, 1, -1], "ok"),
        ([0, 0, 0], [3, 1, -1], "constant"),
        ([3, 1, -1], [-2, -2, -2], "constant"),
        ([2, 2, 0], [3, 1, -1], "ok"),
        ([-1, -2, -3], [-1, -2, -3], "identical"),
    ],
)
def test_status_where_every_image_ranks(before, after, status):
    """Then none is dead: constant when all are equal, negative when none is above 0."""
    found = channel_status(np.array(before), np.array(after), negative=True)
    assert found.tolist() == [status]


def test_status_of_a_layer():
    """Channels have their status each for itself, and a single image is no reason for constant."""
    before = np.array([[3, 0, 0, 4]])
    after = np.array([[1, 0, 2, 0]])
    assert channel_status(before, after).tolist() == ["ok", "dead", "dead_before", "dead_after"]


@pytest.mark.parametrize(
    ("before", "after", "slug"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), "channels-differ"),
        (np.ones((2, 3)), np.ones((1, 3)), "images-differ"),
        (np.ones((2, 3)), np.full((2, 3), np.nan), "not-finite"),
        (np.ones((2, 3)), np.ones((2, 3, 1)), "not-a-table"),
    ],
)
def test_errors_of_status(before, after, slug):
    """Values that are no layer's are refused."""
    with pytest.raises(MeasureError) as caught:
        channel_status(before, after)
    assert caught.value.slug == slug


@laws
@given(
    column=columns,
    k=st.integers(1, 45),
    cuts=st.lists(st.integers(1, 39), max_size=4),
    seed=st.integers(0, 10**6),
    negative=st.booleans(),
)
def test_a_few_images_at_a_time(column, k, cuts, seed, negative):
    """The largest of images that come in parts, in any order of parts, are those of all at once."""
    values, ids = np.array(column, np.float32)[:, None], shuffled_ids(len(column), seed)
    largest = Largest(order_of_ids(ids, len(ids)), channels=1, k=k, negative=negative)
    bounds = sorted({0, len(column), *(cut for cut in cuts if cut < len(column))})
    parts = [slice(*pair) for pair in pairwise(bounds)]
    for number in np.random.default_rng(seed).permutation(len(parts)):
        largest.add(parts[number], values[parts[number]])
    (expected,) = maximal_images(values, ids, k, negative=negative)
    assert largest.rows[0].tolist() == expected.tolist()
    assert largest.values[0].tolist() == values[expected, 0].tolist()


def test_each_value_is_read_once(monkeypatch):
    """Features that lie on disk are looked at once, a few rows at a time."""
    monkeypatch.setattr(centred, "SLICE", 60)
    values, read = np.random.default_rng(0).random((100, 6), np.float32), []

    class Stored:
        shape = values.shape

        def __getitem__(self, key):
            read.extend(range(100)[key[0]])
            return values[key]

    ids = shuffled_ids(100, 0)
    found = maximal_images(Stored(), ids, 5)
    assert read == list(range(100))
    assert [rows.tolist() for rows in found] == [slow_maximal(c, ids, 5) for c in values.T]
