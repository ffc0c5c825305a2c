"""The permutation test against all permutations, its calibration, and what was planted."""

from itertools import permutations
from math import log2

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from overpaint.errors import MeasureError
from overpaint.measures import specialised as module
from overpaint.measures.classes import concentration
from overpaint.measures.redrawn import Maximal
from overpaint.measures.specialised import (
    Entropies,
    concentration_p,
    corrected,
    critical,
    specialisation,
)
from overpaint.measures.specialists import specialised

laws = settings(deadline=None, max_examples=25, derandomize=True)
SEED = 12


def rng():
    return np.random.default_rng(SEED)


def slow_entropy(labels):
    """Of single labels in bits, or the mean over labels of the binary one; not normalised."""
    if isinstance(labels[0], tuple):
        rates = [sum(row[c] for row in labels) / len(labels) for c in range(len(labels[0]))]
        return sum(-sum(v * log2(v) for v in (p, 1 - p) if v) for p in rates) / len(rates)
    shares = [labels.count(c) / len(labels) for c in set(labels)]
    return -sum(p * log2(p) for p in shares)


def slow_p(before, after, labels):
    """The share of all permutations of the labels that concentrate at least as much."""

    def statistic(each):
        entropy_after = slow_entropy([each[row] for row in after])
        return (slow_entropy([each[row] for row in before]) if before else 0) - entropy_after

    observed = statistic(labels)
    reached = [statistic(each) >= observed - 1e-9 for each in permutations(labels)]
    return sum(reached) / len(reached)


def close(p, exact, draws=1000):
    """Whether p is within four standard errors of the exact value."""
    return abs(p - exact) <= 4 * (exact * (1 - exact) / draws) ** 0.5 + 2 / draws


SINGLE = [0, 0, 1, 1, 1, 2, 0]
SEVERAL = [(1, 0), (1, 1), (0, 1), (0, 0), (1, 0), (0, 1), (1, 1)]


@pytest.mark.parametrize("labels", [SINGLE, SEVERAL])
@pytest.mark.parametrize(
    ("before", "after"),
    [([0, 2, 5], [2, 3, 4]), ([0, 2], [2, 3, 4, 5]), ([6, 3, 1], [0, 4, 5]), ([1], [2, 4, 3])],
)
def test_equals_all_permutations(labels, before, after):
    """The p-value is that of all 5040 permutations, up to the error of drawing some of them."""
    found = specialisation(
        [np.array(before)], [np.array(after)], np.array(labels), classes=len(labels[0])
        if labels is SEVERAL else 3, rng=rng(),
    )  # fmt: skip
    assert close(found[0], slow_p(before, after, labels))


@pytest.mark.parametrize("labels", [SINGLE, SEVERAL])
@pytest.mark.parametrize("rows", [[2, 3, 4], [0, 2, 5, 6], [1]])
def test_one_network_alone_equals_all_permutations(labels, rows):
    """So is that of one network's class entropy."""
    classes = 2 if labels is SEVERAL else 3
    found = concentration_p([np.array(rows)], np.array(labels), classes=classes, rng=rng())
    assert close(found[0], slow_p([], rows, labels))


@laws
@given(
    n=st.integers(1, 30), single=st.booleans(), classes=st.integers(1, 5), seed=st.integers(0, 999)
)
def test_the_entropy_is_that_of_the_table(n, single, classes, seed):
    """The test and the columns of a comparison are of one and the same entropy."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, classes, n) if single else draw.integers(0, 2, (n, classes))
    prior = np.full(classes, 1 / classes if single else 0.5)
    counts = np.bincount(labels, minlength=classes) if single else labels.sum(axis=0)
    ours = Entropies(single=single, classes=classes).of(counts, n)
    assert ours == pytest.approx(concentration(labels, prior).entropy, abs=1e-12)


def random_sets(draw, channels, images, k):
    """Maximal images that know nothing of labels: half as many channels share some of theirs."""
    before = [draw.permutation(images)[: draw.integers(1, k + 1)] for _ in range(channels)]
    after = []
    for rows in before:
        kept = rows[: draw.integers(0, len(rows) + 1)]
        others = np.setdiff1d(draw.permutation(images)[:k], rows)
        after.append(np.concatenate([kept, draw.permutation(others)])[:k])
    return before, after


@pytest.mark.parametrize("several", [False, True])
def test_calibration(several):
    """Where labels have nothing to do with it, p is uniform: neither too small nor too large."""
    draw = np.random.default_rng(0)
    before, after = random_sets(draw, 1500, 400, 40)
    labels = (
        draw.integers(0, 2, (400, 6)) if several else draw.choice(6, 400, p=np.arange(1, 7) / 21)
    )
    ours = [
        specialisation(before, after, labels, classes=6, rng=rng()),
        concentration_p(after, labels, classes=6, rng=rng()),
    ]
    for p in ours:
        for level in (0.001, 0.01, 0.05, 0.2, 0.5):
            error = (level * (1 - level) / len(p)) ** 0.5
            assert abs((p <= level).mean() - level) <= 4 * error + 1e-3
        # Few images have few outcomes, whose ties make p a little too large; the others fit.
        many = np.array([len(a) > 20 and len(b) > 20 for a, b in zip(before, after, strict=True)])
        assert kstest(p[many], "uniform").pvalue > 0.001
        assert (corrected(p) <= 0.05).sum() == 0


def test_what_was_planted_is_found():
    """Of 3000 channels those 25 that moved to a class are found, and next to no other."""
    draw = np.random.default_rng(0)
    before, after = random_sets(draw, 3000, 1000, 60)
    labels = np.arange(1000) % 8
    planted = draw.permutation(3000)[:25]
    for channel in planted:
        before[channel] = draw.permutation(1000)[:60]
        own = draw.permutation(np.flatnonzero(labels == channel % 8))[:40]
        after[channel] = np.union1d(own, before[channel][:20])[:60]
    q = corrected(specialisation(before, after, labels, classes=8, rng=rng()))
    assert set(planted) <= set(np.flatnonzero(q <= 0.05))
    assert (q <= 0.05).sum() <= 27


def test_a_single_channel_can_stand_out():
    """However many channels are tested, one alone can be told from chance."""
    draw = np.random.default_rng(0)
    before, after = random_sets(draw, 4000, 600, 30)
    labels = np.arange(600) % 6
    before[77], after[77] = np.arange(30), np.arange(0, 180, 6)
    q = corrected(specialisation(before, after, labels, classes=6, rng=rng()))
    assert np.flatnonzero(q <= 0.05).tolist() == [77]


def test_as_many_permutations_are_drawn_as_are_counted(monkeypatch):
    """Twenty for each channel, in all; the p of what none of them reaches says just that."""
    draw, drawn = np.random.default_rng(0), []
    permuted = module._permuted

    def counting(shown, entropies, sizes, draws, generator):
        drawn.append(draws)
        return permuted(shown, entropies, sizes, draws, generator)

    monkeypatch.setattr(module, "_permuted", counting)
    before, after = random_sets(draw, 200, 600, 30)
    before[77], after[77] = np.arange(30), np.arange(0, 180, 6)
    p = specialisation(before, after, np.arange(600) % 6, classes=6, rng=rng())
    assert sum(drawn) == 4000
    assert p[77] == 1 / 4001


@laws
@given(seed=st.integers(0, 10**6), several=st.booleans())
def test_laws(seed, several):
    """Nothing depends on the order of images or of channels, or on the names of classes."""
    draw = np.random.default_rng(seed)
    before, after = random_sets(draw, 12, 50, 8)
    labels = draw.integers(0, 2, (50, 4)) if several else draw.integers(0, 4, 50)
    p = specialisation(before, after, labels, classes=4, rng=rng())
    assert ((p > 0) & (p <= 1)).all()
    order, names = draw.permutation(50), draw.permutation(4)
    place = np.argsort(order)
    moved = [[place[rows] for rows in side] for side in (before, after)]
    assert (specialisation(*moved, labels[order], classes=4, rng=rng()) == p).all()
    mixed = draw.permutation(12)
    shuffled = [[side[channel] for channel in mixed] for side in (before, after)]
    assert (specialisation(*shuffled, labels, classes=4, rng=rng()) == p[mixed]).all()
    renamed = labels[:, names] if several else names[labels]
    again = specialisation(before, after, renamed, classes=4, rng=rng())
    assert all(close(a, b, 500) for a, b in zip(again, p, strict=True))


def test_no_change_is_no_evidence():
    """The same images before and after, whatever their classes: p is exactly 1."""
    labels = np.repeat([0, 1, 2], 20)
    sets = [np.arange(20), np.arange(0, 60, 7), np.array([3])]
    assert specialisation(sets, sets, labels, classes=3, rng=rng()).tolist() == [1, 1, 1]


def test_dead_channels_are_not_tested():
    """A channel without images has no p, keeps its place, and is not counted in the correction."""
    labels, nothing = np.repeat([0, 1], 30), np.array([], np.intp)
    before = [nothing, np.arange(0, 60, 6), np.arange(10), nothing, np.arange(0, 60, 6)]
    after = [nothing, np.arange(10), nothing, np.arange(10), np.arange(0, 60, 6)]
    p = specialisation(before, after, labels, classes=2, rng=rng())
    assert np.isnan(p).tolist() == [True, False, True, True, False]
    assert p[1] < 0.01
    assert corrected(p)[1] == pytest.approx(2 * p[1])
    alone = concentration_p(after, labels, classes=2, rng=rng())
    assert np.isnan(alone).tolist() == [True, False, True, False, False]
    empty = specialisation([nothing] * 3, [nothing] * 3, labels, classes=2, rng=rng())
    assert np.isnan(empty).all()
    assert np.isnan(corrected(empty)).all()
    assert specialisation([], [], labels, classes=2, rng=rng()).tolist() == []


def test_a_whole_split_and_one_class():
    """Maximal images that are the whole split, or a collection of one class, prove nothing."""
    labels = np.array([0, 1, 1])
    everything = [np.arange(3)]
    assert specialisation(everything, everything, labels, classes=2, rng=rng()).tolist() == [1]
    assert concentration_p(everything, labels, classes=2, rng=rng()).tolist() == [1]
    assert concentration_p([np.arange(2)], labels * 0, classes=1, rng=rng()).tolist() == [1]


def slow_corrected(p):
    """Benjamini–Hochberg: the least, over larger ones, of p times the number of tests by rank."""
    ranked = sorted(p)
    return [
        min(min(1, value * len(p) / rank) for rank, value in enumerate(ranked, 1) if value >= own)
        for own in p
    ]


@laws
@given(p=st.lists(st.floats(1e-6, 1), min_size=1, max_size=20), gaps=st.lists(st.integers(0, 5)))
def test_correction(p, gaps):
    """As written out; never below p, in its order; what was not tested does not count."""
    q = corrected(np.array(p))
    assert q == pytest.approx(slow_corrected(p))
    assert (q >= np.array(p) - 1e-15).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(q[order]) >= 0).all()
    holes = np.insert(np.array(p), [gap % (len(p) + 1) for gap in gaps], np.nan)
    assert corrected(holes)[~np.isnan(holes)] == pytest.approx(q)


@pytest.mark.parametrize("several", [False, True])
def test_the_critical_fall_is_where_p_is_the_level(several):
    """A channel's fall lies above the critical one where its p is at most the level, and at or
    below the other where it is at least one minus it.
    """
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (80, 3)) if several else rng.integers(0, 3, 80)
    sets = [[rng.permutation(80)[:20] for _ in range(150)] for _ in range(2)]
    p = specialisation(*sets, labels, classes=3, rng=rng)
    low, high = critical(*sets, labels, classes=3, level=0.1, rng=rng)
    entropies = Maximal.of(sets[0] + sets[1], labels, classes=3).entropies(np.ones((80, 1)))[:, 0]
    falls = entropies[:150] - entropies[150:]
    unsure = (np.abs(p - 0.1) < 0.03) | (np.abs(p - 0.9) < 0.03)
    assert unsure.mean() < 0.25
    np.testing.assert_array_equal((falls > high)[~unsure], (p <= 0.1)[~unsure])
    np.testing.assert_array_equal((falls <= low)[~unsure], (p >= 0.9)[~unsure])
    assert 3 < ((falls > high) & ~unsure).sum() < 30


def test_the_ranked_list():
    """The surest first, then the most concentrated; none above q, none that was not tested."""
    columns = ["layer", "channel", "concentration", "specialised_q"]
    rows = [
        ("a", 0, 0.1, 0.01),
        ("a", 1, 0.5, 0.06),
        ("a", 2, None, None),
        ("b", 0, 0.4, 0.01),
        ("b", 1, 0.9, 0.05),
    ]
    found = specialised(pd.DataFrame(rows, columns=columns))
    assert list(zip(found["layer"], found["channel"], strict=True)) == [
        ("b", 0),
        ("a", 0),
        ("b", 1),
    ]
    assert len(specialised(pd.DataFrame(rows, columns=columns), q=0.1)) == 4


@pytest.mark.parametrize(
    ("before", "after", "labels", "slug"),
    [
        ([[0]], [], [0, 1], "channels-differ"),
        ([[0]], [[1]], [0, 2], "bad-labels"),
        ([[0]], [[1]], [[0, 2]], "bad-labels"),
    ],
)
def test_errors(before, after, labels, slug):
    """What cannot be tested is refused, by a cause of its own."""
    with pytest.raises(MeasureError) as caught:
        specialisation(
            [np.array(each) for each in before],
            [np.array(each) for each in after],
            np.array(labels),
            classes=2,
            rng=rng(),
        )
    assert caught.value.slug == slug
