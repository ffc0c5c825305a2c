"""Scores: as scikit-learn has them, with intervals and chance."""

from dataclasses import asdict
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm
from scipy.stats import t as student
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from overpaint.errors import MeasureError
from overpaint.measures import scores as scores_module
from overpaint.measures.scores import (
    average_precision,
    average_precisions,
    difference,
    main_score,
    precision_at,
    score,
)
from overpaint.records import Scores

seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_average_precision(seed):
    """AP equals scikit-learn's, ties included."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    scores = rng.integers(0, 8, n) / 8 if rng.random() < 0.5 else rng.random(n)
    positives = rng.integers(0, 2, n)
    positives[0] = 1
    ours = average_precision(scores, positives, np.ones((1, n)))[0]
    assert ours == pytest.approx(average_precision_score(positives, scores), abs=1e-12)


@given(seeds)
def test_weighted_average_precision(seed):
    """A bootstrap weight is a repeated picture."""
    rng = np.random.default_rng(seed)
    scores, positives = rng.random(12), rng.integers(0, 2, 12)
    weights = rng.integers(0, 3, 12)
    repeated = np.repeat(np.arange(12), weights)
    if not positives[repeated].any():
        return
    ours = average_precision(scores, positives, weights[None].astype(float))[0]
    theirs = average_precision_score(positives[repeated], scores[repeated])
    assert ours == pytest.approx(theirs, abs=1e-12)


def scored(probabilities, labels, classes, **more):
    return score(probabilities, labels, classes, dataset="d", split="test", seed=0, **more)


def test_top_k():
    """Top-1, 3 and 5 equal scikit-learn's; chance is what the most frequent classes score."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(7), 200)
    labels = rng.integers(0, 7, 200)
    found = scored(probabilities, labels, list("abcdefg"))
    for k in (1, 3, 5):
        theirs = top_k_accuracy_score(labels, probabilities, k=k, labels=range(7))
        assert found.scores[f"top{k}"].value == pytest.approx(theirs)
    counts = np.sort(np.bincount(labels))[::-1]
    assert found.scores["top3"].chance == pytest.approx(counts[:3].sum() / 200)
    assert found.main == "top1"


def test_interval_covers():
    """The 95 % interval of top-1 holds the true value in about 95 % of samples."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(100):
        hit = rng.random(150) < 0.6
        probabilities = np.where(hit[:, None], [0.9, 0.1], [0.1, 0.9])
        top1 = scored(probabilities, np.zeros(150, int), ["a", "b"]).scores["top1"]
        held += top1.low <= 0.6 <= top1.high
    assert 88 <= held <= 100


def test_classes_without_positives():
    """A label that no picture shows is left out of mAP and listed, not counted as zero."""
    labels = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]])
    probabilities = np.array([[0.9, 0.1, 0.2], [0.2, 0.8, 0.3], [0.7, 0.3, 0.1]])
    found = scored(probabilities, labels, ["sea", "sky", "sun"])
    assert found.scores["mAP"].value == 1
    assert found.without_positives == ["sun"]
    assert found.scores["mAP"].chance == 0.5
    assert found.classes[2].average_precision is None


def several_labels(seed, most=60, classes=5):
    """Random probabilities, often tied, and labels of which some have one positive or none."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, most))
    probabilities = rng.random((n, classes))
    if seed % 2:
        probabilities = np.round(probabilities * 4) / 4
    present = (rng.random((n, classes)) < rng.random(classes)).astype(np.int64)
    present[:, 0] = 0
    present[:, 1] = np.arange(n) == rng.integers(n)
    return probabilities, present


def test_map_on_200_cases():
    """Each class's AP and their mean equal scikit-learn's; classes nobody shows do not count."""
    names = list("abcde")
    for seed in range(200):
        probabilities, present = several_labels(seed)
        found = scored(probabilities, present, names)
        theirs = {
            name: average_precision_score(present[:, c], probabilities[:, c])
            for c, name in enumerate(names)
            if present[:, c].any()
        }
        ours = {row.label: row.average_precision for row in found.classes}
        assert [name for name in names if name not in theirs] == found.without_positives
        assert "a" in found.without_positives
        assert all(ours[name] is None for name in found.without_positives)
        assert {name: ours[name] for name in theirs} == pytest.approx(theirs, abs=1e-12)
        assert found.scores["mAP"].value == pytest.approx(np.mean(list(theirs.values())))


@pytest.mark.parametrize("many", [True, False])
def test_class_by_class(many):
    """Precision, recall, F1 and the confusion matrix equal scikit-learn's."""
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(6), 80) if not many else rng.random((80, 6))
    probabilities[:, 4] = 0.01  # a class that is never named
    labels = (rng.random((80, 6)) < 0.3).astype(int) if many else rng.integers(0, 5, 80)
    named = (probabilities >= 0.5).astype(int) if many else probabilities.argmax(1)
    found = scored(probabilities, labels, list("abcdef"))
    theirs = precision_recall_fscore_support(
        labels, named, labels=range(6), average=None, zero_division=np.nan
    )
    for column, name in enumerate(["precision", "recall", "f1"]):
        ours = [getattr(row, name) for row in found.classes]
        assert np.array(ours, float) == pytest.approx(theirs[column], nan_ok=True)
    assert [row.n for row in found.classes] == theirs[3].tolist()
    expected = None if many else confusion_matrix(labels, named, labels=range(6)).tolist()
    assert found.confusion == expected


def test_a_single_label():
    """A collection of one yes-or-no label is scored as that label, not as its absence."""
    labels = np.array([[1], [0], [0], [0]])
    row = scored(np.array([[0.9], [0.8], [0.1], [0.2]]), labels, ["saint"]).classes[0]
    assert (row.n, row.precision, row.recall) == (1, 0.5, 1.0)


def test_precision_at_rank():
    """The share of positives at the top, of as many as fit; ties as all orders on average."""
    rng = np.random.default_rng(0)
    scores, positives = rng.permutation(100) / 100, rng.integers(0, 2, 100)
    best = np.argsort(scores)[::-1][:20]
    assert precision_at(scores, positives) == pytest.approx(positives[best].mean())
    few = np.zeros(100, int)
    few[[best[0], best[10]]] = 1
    assert precision_at(scores, few) == 1  # two positives, both there: no penalty for being rare
    tied, shown = np.array([3, 2, 2, 2, 2, 1]), np.array([0, 1, 1, 0, 1, 1])
    every = [shown[[0, *order, 5]][:3].sum() for order in permutations([1, 2, 3, 4])]
    assert precision_at(tied, shown, rank=3) == pytest.approx(np.mean(every) / 3)
    assert precision_at(scores, np.zeros(100, int)) is None


def test_precision_at_20_only_for_several_labels():
    """The column is filled for several labels, and left empty for one."""
    probabilities, present = several_labels(0, most=40)
    rows = scored(probabilities, present, list("abcde")).classes
    assert [row.precision_at_20 is None for row in rows] == [not n for n in present.any(axis=0)]
    rows = scored(probabilities, present[:, 1], list("abcde")).classes
    assert {row.precision_at_20 for row in rows} == {None}


@settings(max_examples=20, deadline=None)
@given(seeds, st.booleans())
def test_the_order_of_images_changes_nothing(seed, many):
    """Values and class rows are the same for permuted images, ties included."""
    probabilities, labels = several_labels(seed)
    labels = labels if many else labels.argmax(axis=1)
    order = np.random.default_rng(seed).permutation(len(labels))
    one = scored(probabilities, labels, list("abcde"))
    other = scored(probabilities[order], labels[order], list("abcde"))
    assert one.confusion == other.confusion
    for a, b in zip(one.classes, other.classes, strict=True):
        assert asdict(a) == pytest.approx(asdict(b))
    for name, each in one.scores.items():
        assert each.value == pytest.approx(other.scores[name].value)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_intervals_hold_the_value(seed):
    """The value lies in its interval, and all within 0..1."""
    probabilities, labels = several_labels(seed, most=12)
    for each in (labels, labels.argmax(axis=1)):
        for found in scored(probabilities, each, list("abcde")).scores.values():
            assert 0 <= found.low <= found.value <= found.high <= 1


def test_draws_that_tell_little():
    """An interval holds its value even if no draw does, and draws without a value do not count."""
    high = scores_module._with_interval(np.array([0.5, 0.6, 0.7]), 0.0, 3)
    low = scores_module._with_interval(np.array([0.9, 0.6, np.nan, 0.6]), 0.0, 3)
    none = scores_module._with_interval(np.array([0.4, np.nan]), 0.0, 3)
    assert (high.low, low.low, low.high) == (0.5, 0.6, 0.9)
    assert (none.low, none.high) == (0.4, 0.4)


def test_perfect():
    """A network that is always right scores 1, whatever is drawn; a share's interval is exact."""
    _, labels = several_labels(0)
    for each in (labels, labels.argmax(axis=1)):
        truth = labels if each.ndim == 2 else np.eye(5)[each]
        for found in scored(truth.astype(float), each, list("abcde")).scores.values():
            low = 1 if each.ndim == 2 else binomtest(len(each), len(each)).proportion_ci().low
            assert (found.value, found.low, found.high) == pytest.approx((1, low, 1))


def test_pieces_of_draws(monkeypatch):
    """How many draws are handled at once changes nothing."""
    probabilities, labels = several_labels(3)
    whole = scored(probabilities, labels, list("abcde"))
    monkeypatch.setattr(scores_module, "DRAWN_AT_ONCE", 7 * len(labels))
    assert scored(probabilities, labels, list("abcde")) == whole


def test_the_interval_is_the_bootstraps():
    """The interval of mAP equals that of pictures really drawn again and again."""
    probabilities, present = several_labels(4)
    found = main_score(probabilities, present, np.random.default_rng(0))
    rng, drawn = np.random.default_rng(1), []
    for _ in range(1000):
        rows = rng.integers(0, len(present), len(present))
        kept = present[rows].any(axis=0)
        each = average_precision_score(present[rows][:, kept], probabilities[rows][:, kept])
        drawn.append(each)
    assert (found.low, found.high) == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.015)


# --- groups --------------------------------------------------------------------------------------


def test_known_and_unknown_groups():
    """Each side is the score of its own pictures; pictures without a group are on neither."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, 120)
    groups = rng.choice(["Monet", "Klee", "Corot", ""], 120)
    probabilities = rng.dirichlet(np.ones(3), 120)
    known = groups == "Monet"
    probabilities[known] = np.eye(3)[labels[known]]
    found = scored(
        probabilities, labels, list("abc"), groups=groups.tolist(), train_groups={"Monet", ""}
    )
    unknown = (groups == "Klee") | (groups == "Corot")
    assert found.groups["known"].value == 1
    assert [found.groups[side].n for side in ("known", "unknown")] == [known.sum(), unknown.sum()]
    hits = (probabilities.argmax(1) == labels)[unknown]
    side = found.groups["unknown"]
    assert side.value == pytest.approx(hits.mean())
    assert side.low < side.value < side.high
    assert side.chance == np.bincount(labels[unknown]).max() / unknown.sum()
    whole = scored(probabilities, labels, list("abc")).scores["top1"]
    assert (found.scores["top1"].value, found.scores["top1"].n) == (whole.value, whole.n)


def test_groups_of_several_labels():
    """With several labels a side has the mAP of the classes that occur there."""
    probabilities, present = several_labels(6, most=50)
    groups = ["known" if n % 3 else "new" for n in range(len(present))]
    found = scored(probabilities, present, list("abcde"), groups=groups, train_groups=["known"])
    rows = np.array(groups) == "new"
    precisions = average_precisions(probabilities[rows], present[rows])
    assert found.groups["unknown"].value == pytest.approx(np.nanmean(precisions))
    assert found.groups["unknown"].n == rows.sum()


@pytest.mark.parametrize("groups", [None, [""] * 20])
def test_no_groups(groups):
    """A collection without groups has no such scores."""
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 20)
    labels = np.arange(20) % 3
    assert scored(probabilities, labels, list("abc"), groups=groups).groups == {}


@given(seeds, st.booleans())
@settings(max_examples=20)
def test_copies_of_a_picture_in_its_group_add_nothing(seed, many):
    """Pictures that are there thrice, thrice in one group, give the interval of each once."""
    probabilities, present = several_labels(seed)
    labels = present if many else present.argmax(axis=1)
    names = [f"painter {number}" for number in range(len(labels))]
    once, thrice = (
        main_score(
            np.repeat(probabilities, copies, axis=0),
            np.repeat(labels, copies, axis=0),
            np.random.default_rng(seed),
            np.repeat(names, copies).tolist(),
        )
        for copies in (1, 3)
    )
    assert thrice.n_groups == once.n_groups == len(labels)
    assert (thrice.value, thrice.low, thrice.high) == pytest.approx(
        (once.value, once.low, once.high), abs=1e-12
    )


def test_the_interval_by_group_is_the_cluster_bootstraps():
    """The interval over groups equals that of groups really drawn whole, again and again."""
    rng = np.random.default_rng(3)
    painters = rng.integers(0, 40, 300)
    skill = rng.beta(3, 2, 40)
    hits = rng.random(300) < skill[painters]
    probabilities = np.where(hits[:, None], [0.9, 0.1], [0.1, 0.9])
    names = [f"painter {number}" for number in painters]
    found = main_score(probabilities, np.zeros(300, int), np.random.default_rng(0), names)
    drawn = []
    for _ in range(4000):
        rows = [np.flatnonzero(painters == painter) for painter in rng.integers(0, 40, 40)]
        drawn.append(hits[np.concatenate(rows)].mean())
    tail = 100 * norm.cdf(np.sqrt(40 / 39) * student.ppf(0.025, 39))
    assert (found.low, found.high) == pytest.approx(
        np.percentile(drawn, [tail, 100 - tail]), abs=0.02
    )


def test_a_difference_by_group_is_wider_where_groups_differ():
    """Pictures of few painters tell less of a difference than as many of their own."""
    rng = np.random.default_rng(0)
    labels, painters = np.zeros(200, int), np.repeat(np.arange(20), 10)
    first, second = (
        np.where((rng.random(20) < 0.5)[painters][:, None], [0.9, 0.1], [0.1, 0.9])
        for _ in range(2)
    )
    by_picture = between(first, second, labels)
    by_painter = difference(
        first,
        second,
        labels,
        dataset="d",
        split="test",
        seed=0,
        groups=painters.astype(str).tolist(),
    )
    assert by_painter.value == by_picture.value
    assert by_painter.high - by_painter.low > 2.5 * (by_picture.high - by_picture.low)
    assert (by_painter.n_groups, by_painter.few) == (20, False)


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("n", [1, 4, 29, 30, 400])
@pytest.mark.parametrize("of_painters", [False, True])
def test_all_right_and_all_wrong(n, right, of_painters):
    """Four of four are no certainty: where no draw differs, the interval is the exact one of the
    binomial distribution, over pictures or over the painters they are by.
    """
    labels = np.zeros(n, int)
    probabilities = np.eye(2)[labels if right else 1 - labels]
    painters = [f"painter {number // 2}" for number in range(n)] if of_painters else None
    score = main_score(probabilities, labels, np.random.default_rng(0), painters)
    units = (n + 1) // 2 if of_painters and n > 2 else n
    exact = binomtest(units if right else 0, units).proportion_ci(method="exact")
    assert (score.low, score.high) == pytest.approx((exact.low, exact.high))
    assert score.few == (n < 30 or (of_painters and units < 10))


def test_one_group():
    """Of a single group the interval is that over its pictures, and said to be of one group."""
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 40)
    labels = np.arange(40) % 3
    plain, grouped = (
        main_score(probabilities, labels, np.random.default_rng(0), groups)
        for groups in (None, ["Monet"] * 40)
    )
    assert (grouped.low, grouped.high) == (plain.low, plain.high)
    assert (grouped.n_groups, grouped.few) == (1, True)
    assert (plain.n_groups, plain.few) == (None, False)


def test_groups_of_other_images():
    """Groups that are not one for each picture are refused."""
    with pytest.raises(MeasureError) as error:
        main_score(np.ones((3, 2)), np.zeros(3, int), np.random.default_rng(0), ["a", "b"])
    assert error.value.slug == "images-differ"


# --- records -------------------------------------------------------------------------------------


def test_to_json_and_back():
    """Scores come back from JSON as they were, and so do those of before groups and confusion."""
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 20)
    found = scored(
        probabilities, np.arange(20) % 3, list("abc"), groups=["x", "y"] * 10, train_groups=["x"]
    )
    assert Scores.from_json(asdict(found)) == found
    old = asdict(found)
    del old["confusion"], old["groups"]
    for row in old["classes"]:
        del row["precision_at_20"]
    loaded = Scores.from_json(old)
    assert (loaded.confusion, loaded.groups, loaded.scores) == (None, {}, found.scores)


# --- differences ---------------------------------------------------------------------------------


def between(first, second, labels):
    return difference(first, second, labels, dataset="d", split="test", seed=0)


def test_difference():
    """Second minus first, of top-1 and of mAP; antisymmetric; 0 between equal networks."""
    first, present = several_labels(8)
    second = np.random.default_rng(0).random(first.shape)
    for labels in (present, present.argmax(axis=1)):
        each = [main_score(p, labels, np.random.default_rng(0)).value for p in (first, second)]
        found, back = between(first, second, labels), between(second, first, labels)
        assert found.value == pytest.approx(each[1] - each[0])
        assert (back.value, back.low, back.high) == pytest.approx(
            (-found.value, -found.high, -found.low)
        )
        same = between(first, first, labels)
        assert (same.value, same.low, same.high) == (0, 0, 0)


def test_difference_is_paired():
    """Two networks that err on nearly the same pictures differ by less than their intervals."""
    rng = np.random.default_rng(0)
    labels = np.zeros(300, int)
    right = rng.random(300) < 0.6
    first = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
    second = first.copy()
    second[np.flatnonzero(~right)[:12]] = [0.9, 0.1]
    found = between(first, second, labels)
    assert found.value == pytest.approx(0.04)
    error = np.sqrt(0.04 * 0.96 / 300)  # of a share of 12 in 300
    assert (found.low, found.high) == pytest.approx(
        (0.04 - 1.96 * error, 0.04 + 1.96 * error), 0.15
    )
    alone = main_score(second, labels, np.random.default_rng(0))
    assert alone.high - alone.low > 2 * (found.high - found.low)


def test_difference_of_other_images():
    """Probabilities of different pictures are refused."""
    with pytest.raises(MeasureError) as error:
        between(np.ones((3, 2)), np.ones((4, 2)), np.zeros(3, int))
    assert error.value.slug == "images-differ"
