"""Probes against the formulas, the laws of what they may not know, and chance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.errors import MeasureError
from overpaint.measures.probe import PENALTIES, linear_probe, neighbour_probe
from overpaint.measures.scores import average_precisions

laws = settings(deadline=None, max_examples=25, derandomize=True)
PROBES = {"linear": linear_probe, "neighbours": neighbour_probe}


def draws():
    return np.random.default_rng(0)


def sample(seed, *, several=False, apart=1.5, channels=6, train=40, test=30):
    """Features of three classes that lie apart, and labels; of train and of test."""
    rng = np.random.default_rng(seed)
    numbers = np.arange(train + test) % 3
    labels = np.eye(3, dtype=int)[numbers] | (rng.random((train + test, 3)) < 0.2)
    features = rng.standard_normal((train + test, channels))
    features[:, :3] += apart * (labels if several else np.eye(3)[numbers])
    labels = labels if several else numbers
    return features[:train], labels[:train], features[train:], labels[train:]


def slow_ridge(train, targets, test):
    """Values of test: for each penalty the closed form, and what it makes of each picture that is
    left out; the penalty with the least error of those is taken.
    """
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0] = 1

    def fit(features, wanted, penalty):
        centre, level = features.mean(axis=0), wanted.mean(axis=0)
        about = features - centre
        square = about.T @ about + penalty * np.eye(features.shape[1])
        weights = np.linalg.solve(square, about.T @ (wanted - level))
        return lambda others: (others - centre) @ weights + level

    train, test = (train - mean) / deviation, (test - mean) / deviation
    errors = []
    for penalty in PENALTIES:
        rows = np.arange(len(train))
        left_out = [
            fit(train[rows != row], targets[rows != row], penalty)(train[row]) - targets[row]
            for row in rows
        ]
        errors.append(np.mean(np.square(left_out)))
    return fit(train, targets, PENALTIES[int(np.argmin(errors))])(test)


def slow_neighbours(train, present, test, k):
    """Values of test: the votes of the k that are nearest by the angle, an earlier one's counting
    a trifle more.
    """
    values = np.zeros((len(test), present.shape[1]))
    for row, picture in enumerate(test):
        angles = [
            1 - picture @ other / np.linalg.norm(picture) / np.linalg.norm(other) for other in train
        ]
        for place, nearest in enumerate(np.argsort(angles, kind="stable")[:k]):
            values[row] += present[nearest] * (1 - 1e-6 * place)
    return values


def value_of(values, labels):
    """Top-1, or mean average precision."""
    if labels.ndim == 1:
        return np.mean(values.argmax(axis=1) == labels)
    return np.nanmean(average_precisions(values, labels))


@laws
@given(seed=st.integers(0, 10**6), several=st.booleans())
def test_the_linear_probe_is_the_closed_form(seed, several):
    """Ridge regression to ±1 by its normal equations, the penalty chosen by leaving each picture
    out in turn, gives the same score, of one label and of several.
    """
    train, labels, test, test_labels = sample(seed, several=several)
    score = linear_probe(train, labels, test, test_labels, rng=draws())
    present = labels if several else np.eye(3)[labels]
    values = slow_ridge(train, 2.0 * present - 1.0, test)
    assert score.value == pytest.approx(value_of(values, test_labels))
    assert score.low <= score.value <= score.high
    assert score.n == len(test)


@laws
@given(seed=st.integers(0, 10**6), several=st.booleans(), k=st.integers(1, 50))
def test_the_neighbours_probe_counts_the_nearest(seed, several, k):
    """Counting votes picture by picture gives the same score, of one label and of several, also
    where more neighbours are asked for than there are.
    """
    train, labels, test, test_labels = sample(seed, several=several)
    score = neighbour_probe(train, labels, test, test_labels, k=k, rng=draws())
    present = labels if several else np.eye(3)[labels]
    values = slow_neighbours(train, present, test, min(k, len(train)))
    assert score.value == pytest.approx(value_of(values, test_labels))


@laws
@given(seed=st.integers(0, 10**6))
def test_neighbours_know_neither_rotation_nor_length(seed):
    """Features that are turned about the origin, and stretched as a whole, have the same
    neighbours.
    """
    train, labels, test, test_labels = sample(seed)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((6, 6)))
    scores = [
        neighbour_probe(first, labels, second, test_labels, rng=draws())
        for first, second in ((train, test), (3 * train @ turn, 3 * test @ turn))
    ]
    assert scores[0] == scores[1]


@laws
@given(seed=st.integers(0, 10**6), factors=st.lists(st.floats(0.01, 100), min_size=6, max_size=6))
def test_the_linear_probe_knows_no_scales_of_channels(seed, factors):
    """Each channel in another unit and from another zero is the same to it."""
    train, labels, test, test_labels = sample(seed)
    scores = [
        linear_probe(first, labels, second, test_labels, rng=draws())
        for first, second in ((train, test), (train * factors + 7, test * factors + 7))
    ]
    assert scores[0].value == pytest.approx(scores[1].value, abs=1 / len(test))


@laws
@given(seed=st.integers(0, 10**6), method=st.sampled_from(sorted(PROBES)))
def test_the_order_of_pictures_does_not_matter(seed, method):
    """Train in another order, and test too, gives the same value."""
    train, labels, test, test_labels = sample(seed)
    rng = np.random.default_rng(seed)
    rows, tested = rng.permutation(len(train)), rng.permutation(len(test))
    first = PROBES[method](train, labels, test, test_labels, rng=draws())
    second = PROBES[method](
        train[rows], labels[rows], test[tested], test_labels[tested], rng=draws()
    )
    assert first.value == second.value


@pytest.mark.parametrize("method", PROBES)
def test_features_that_know_nothing_are_at_chance(method):
    """The intervals of 200 draws of noise hold chance, one in four, in the share that they are
    said to, but for three standard errors.
    """
    covered = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        features, labels = rng.standard_normal((300, 8)), np.arange(300) % 4
        order = rng.permutation(300)
        train, test = order[:180], order[180:]
        score = PROBES[method](
            features[train], labels[train], features[test], labels[test], rng=draws()
        )
        covered.append(score.low <= 0.25 <= score.high)
    assert np.mean(covered) >= 0.95 - 3 * (0.95 * 0.05 / 200) ** 0.5


@pytest.mark.parametrize("method", PROBES)
@pytest.mark.parametrize("several", [False, True])
def test_features_that_know_the_classes_tell_them(method, several):
    """Classes far apart are told without a mistake, far above chance."""
    train, labels, test, test_labels = sample(3, several=several, apart=40)
    score = PROBES[method](train, labels, test, test_labels, rng=draws())
    assert score.value > 0.95
    assert score.low > score.chance


@pytest.mark.parametrize("method", PROBES)
def test_a_class_that_train_does_not_show_is_no_error(method):
    """A picture of test of a class that nobody was taught is a mistake."""
    train, labels, test, test_labels = sample(1, apart=40)
    score = PROBES[method](train, labels, test, np.where(test_labels == 2, 3, test_labels),
                           rng=draws())  # fmt: skip
    assert score.value == pytest.approx(np.mean(test_labels != 2))


@pytest.mark.parametrize("method", PROBES)
def test_the_interval_is_over_groups(method):
    """Pictures of ten hands, each hand's alike, make a wider interval than pictures alone."""
    rng = np.random.default_rng(0)
    hands = np.arange(100) // 10
    labels = hands % 2
    own = (labels + (hands > 6)) % 2  # of the last three hands all is mistaken
    train, test = np.eye(2)[labels], np.eye(2)[own] + 0.01 * rng.standard_normal((100, 2))
    plain, by_hand = (
        PROBES[method](train, labels, test, labels, rng=draws(), groups=groups)
        for groups in (None, [f"hand {hand}" for hand in hands])
    )
    assert plain.value == by_hand.value == pytest.approx(0.7)
    assert (plain.n_groups, by_hand.n_groups) == (None, 10)
    assert by_hand.high - by_hand.low > 2 * (plain.high - plain.low)


def test_the_earlier_of_two_wins_a_tie():
    """Where as many neighbours show each of two classes, that of the nearest is named."""
    train = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    score = neighbour_probe(train, np.array([1, 0, 0, 1]), np.array([[1.0, 0.01], [0.01, 1.0]]),
                            np.array([1, 0]), k=2, rng=draws())  # fmt: skip
    assert score.value == 1.0


GOOD = sample(0)


@pytest.mark.parametrize("method", PROBES)
@pytest.mark.parametrize(
    ("change", "slug"),
    [
        ({0: GOOD[0][:-1]}, "images-differ"),
        ({0: GOOD[0][:, :-1]}, "images-differ"),
        ({0: GOOD[0][:, 0]}, "images-differ"),
        ({3: GOOD[3][:-1]}, "images-differ"),
        ({0: GOOD[0][:1], 1: GOOD[1][:1]}, "too-few-images"),
        ({2: GOOD[2][:0], 3: GOOD[3][:0]}, "too-few-images"),
        ({0: GOOD[0] * np.nan}, "not-finite"),
        ({2: GOOD[2] + np.inf}, "not-finite"),
        ({0: np.ones_like(GOOD[0])}, "constant-features"),
        ({1: np.zeros_like(GOOD[1])}, "bad-labels"),
        ({1: np.ones((40, 2), int), 3: np.ones((30, 2), int)}, "bad-labels"),
    ],
)
def test_errors(method, change, slug):
    """What cannot be measured is refused by name."""
    arguments = [change.get(number, value) for number, value in enumerate(GOOD)]
    with pytest.raises(MeasureError) as error:
        PROBES[method](*arguments, rng=draws())
    assert error.value.slug == slug
