"""LogME against the evidence itself, neighbours against scikit-learn and brute force, advice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, ortho_group
from sklearn.metrics import average_precision_score
from sklearn.neighbors import KNeighborsClassifier

from overpaint.errors import MeasureError
from overpaint.measures import transfer
from overpaint.measures.transfer import advise, logme, nearest_neighbour

laws = settings(deadline=None, max_examples=15, derandomize=True)
seeds = st.integers(0, 10**6)


def collection(n, d, seed=0, classes=3, apart=1.0):
    """Features [n, d] of which the first few tell the class."""
    rng = np.random.default_rng(seed)
    labels = np.append(np.arange(classes), rng.integers(0, classes, n - classes))
    features = rng.standard_normal((n, d)) + 0.3
    features[:, :classes] += apart * np.eye(classes)[labels][:, :d]
    return features, labels


def evidence_by_the_book(features, y):
    """The log density of y ~ N(0, F Fᵀ / α + 1 / β), as large as scipy can make it, per image."""
    n = len(y)

    def loss(logs):
        alpha, beta = np.exp(np.clip(logs, -30, 30))
        covariance = features @ features.T / alpha + np.eye(n) / beta
        return -multivariate_normal.logpdf(y, np.zeros(n), covariance) / n

    starts = [(a, b) for a in (-2, 1, 4) for b in (0, 3)]
    return -min(minimize(loss, start, method="Nelder-Mead").fun for start in starts)


@pytest.mark.parametrize(("n", "d"), [(40, 6), (12, 30), (20, 20)])
def test_logme_is_the_largest_evidence(n, d):
    """LogME equals the evidence that scipy maximises over α and β, wide features and narrow."""
    features, labels = collection(n, d)
    features[:, -1] = 0.7  # a constant column is one feature more
    book = [evidence_by_the_book(features, (labels == c).astype(float)) for c in range(3)]
    assert logme(features, labels) == pytest.approx(np.mean(book), abs=1e-5)


def test_logme_of_one_direction():
    """For a single feature the evidence has a closed form at its best α and β."""
    features, y = np.array([[1.0], [2.0], [0.0], [-1.0]]), np.array([1, 1, 0, 0])
    along, total = (features[:, 0] @ y) ** 2 / 6, 2.0
    # Of 4 directions 1 has the variance 6 / α + 1 / β; each variance is best as what it explains.
    inside, outside = along, (total - along) / 3
    best = -0.5 * (np.log(2 * np.pi) + 1) - (np.log(inside) + 3 * np.log(outside)) / 8
    assert logme(features, y[:, None]) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("seed", [791, 1187, 2649, 2915])
def test_two_summits(seed):
    """Where the evidence has two summits over α / β, the higher one is found."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(10, 60)), int(rng.integers(2, 20))
    features = rng.standard_normal((n, d)) * 10 ** rng.uniform(-3, 3, d)
    y = (rng.random((n, 1)) < 0.5).astype(int)
    parts = transfer._directions(features, y.astype(float))
    tried = np.geomspace(1e-13, 1e13, 2000) * parts[0][0]
    best = max(transfer._evidence_at(np.array([t]), *parts, n)[0] for t in tried)
    assert logme(features, y) >= best - 1e-9


def test_several_labels_are_averaged():
    """With several labels LogME is the mean of each; labels that all or none have do not count."""
    features, labels = collection(50, 5)
    present = np.eye(3, dtype=int)[labels]
    each = [logme(features, present[:, [c]]) for c in range(3)]
    assert logme(features, labels) == pytest.approx(np.mean(each))
    padded = np.column_stack([np.ones(50, int), present, np.zeros(50, int)])
    assert logme(features, padded) == pytest.approx(np.mean(each))


@laws
@given(seeds, st.sampled_from([(30, 5), (8, 20)]))
def test_turning_features_changes_nothing(seed, shape):
    """Neither a rotation of the features nor a common scale nor the order of images matters."""
    features, labels = collection(*shape, seed=seed)
    value = logme(features, labels)
    turned = features @ ortho_group.rvs(shape[1], random_state=seed) * 37
    order = np.random.default_rng(seed).permutation(len(labels))
    assert logme(turned, labels) == pytest.approx(value, abs=1e-6)
    assert logme(features[order], labels[order]) == pytest.approx(value, abs=1e-6)


@laws
@given(seeds)
def test_clearer_features_score_higher(seed):
    """The further apart the classes, the higher LogME and the neighbours' score."""
    rng = np.random.default_rng(0)
    several = [collection(90, 10, seed, apart=apart) for apart in (0, 2, 5)]
    evidence = [logme(*each) for each in several]
    scores = [nearest_neighbour(*each, rng=rng).value for each in several]
    assert evidence == sorted(evidence)
    assert scores == sorted(scores)
    assert scores[2] > 0.9


@pytest.mark.parametrize(
    ("features", "labels", "slug"),
    [
        (np.ones((4, 2)), [0, 1, 0, 1], "constant-features"),
        (np.full((4, 2), np.inf), [0, 1, 0, 1], "not-finite"),
        (np.eye(4), [0, 1, 0], "images-differ"),
        (np.eye(1), [0], "too-few-images"),
        (np.eye(4), [0, 0, 0, 0], "bad-labels"),
        (np.eye(2)[[0, 1, 0, 1]], [0, 1, 0, 1], "degenerate-features"),
        (np.tile(np.arange(6).reshape(2, 3) ** 2, (2, 2)), [0, 1, 0, 1], "degenerate-features"),
        (np.eye(4), [[0], [2], [0], [1]], "bad-labels"),
    ],
)
def test_refused(features, labels, slug):
    """What LogME is not defined for is told."""
    with pytest.raises(MeasureError) as error:
        logme(features, np.array(labels))
    assert error.value.slug == slug


# --- neighbours ----------------------------------------------------------------------------------


def neighbours_by_hand(features, groups, image, k):
    """The k images most alike, by a loop."""
    length = np.linalg.norm(features, axis=1)
    cosine = features @ features[image] / length / length[image]
    others = [j for j in np.argsort(-cosine) if j != image]
    return [j for j in others if not groups or not groups[j] or groups[j] != groups[image]][:k]


@pytest.mark.parametrize("k", [1, 4])
def test_leave_one_out(k):
    """The score is scikit-learn's, each picture classified by all others."""
    features, labels = collection(60, 5)
    right = []
    for image in range(60):
        others = np.arange(60) != image
        machine = KNeighborsClassifier(k, metric="cosine", algorithm="brute")
        machine.fit(features[others], labels[others])
        right.append(machine.predict(features[[image]])[0] == labels[image])
    found = nearest_neighbour(features, labels, k=k, rng=np.random.default_rng(0))
    assert found.value == pytest.approx(np.mean(right))
    assert (found.n, found.chance) == (60, np.bincount(labels).max() / 60)
    assert found.low < found.value < found.high


def answerable(labels, groups):
    """The images whose label an image of another group shows too."""
    return [
        image
        for image, label in enumerate(labels)
        if any(
            other == label and (not groups[image] or groups[j] != groups[image])
            for j, other in enumerate(labels)
            if j != image
        )
    ]


def test_a_class_of_one_painter_asks_nobody():
    """An image whose class one painter alone shows is left out: no neighbour could name it."""
    features = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1]])
    painters = ["Monet", "Monet", "Klee", "Corot", "Corot"]
    labels = np.array([0, 0, 0, 1, 1])
    found = nearest_neighbour(features, labels, painters, rng=np.random.default_rng(0))
    assert (found.n, found.value) == (3, 1.0)
    with pytest.raises(MeasureError) as caught:
        nearest_neighbour(features, np.array([0, 0, 1, 2, 2]), painters, rng=None)
    assert caught.value.slug == "no-neighbours"


def test_neighbours_of_other_groups():
    """A picture's own group has no vote; "" is no group; who has no neighbour is left out."""
    features, labels = collection(60, 5)
    rng = np.random.default_rng(0)
    groups = rng.choice(["Monet", "Klee", "Corot", ""], 60).tolist()
    names = [neighbours_by_hand(features, groups, image, 1)[0] for image in range(60)]
    found = nearest_neighbour(features, labels, groups, rng=rng)
    assert found.value == pytest.approx((labels[names] == labels).mean())
    alone = nearest_neighbour(features, labels, rng=rng)
    assert alone.value != found.value
    assert nearest_neighbour(features, labels, [""] * 60, rng=rng).value == alone.value
    with pytest.raises(MeasureError) as error:
        nearest_neighbour(features, labels, ["Monet"] * 60, rng=rng)
    assert error.value.slug == "no-neighbours"


@pytest.mark.parametrize("seed", range(5))
def test_fewer_than_k_vote(seed):
    """Where a group leaves fewer than k others, those vote and the picture counts."""
    features, labels = collection(12, 4, seed)
    labels = 2 - labels
    groups = ["Monet"] * 10 + ["Klee"] * 2
    found = nearest_neighbour(features, labels, groups, k=5, rng=np.random.default_rng(0))
    named = [
        np.bincount(labels[neighbours_by_hand(features, groups, image, 5)]).argmax()
        for image in range(12)
    ]
    right = [named[image] == labels[image] for image in answerable(labels, groups)]
    assert found.n == len(right)
    assert found.value == pytest.approx(np.mean(right))


def test_votes_for_several_labels():
    """With several labels the score is the mAP of the labels' shares among the neighbours."""
    features, labels = collection(60, 5)
    present = np.eye(3, dtype=int)[labels]
    present[:, 1] |= present[:, 0]
    votes = np.array(
        [present[neighbours_by_hand(features, None, image, 5)].mean(0) for image in range(60)]
    )
    found = nearest_neighbour(features, present, k=5, rng=np.random.default_rng(0))
    assert found.value == pytest.approx(average_precision_score(present, votes))
    assert found.chance == pytest.approx(present.mean())


@pytest.mark.parametrize("rows", [1, 7])
def test_blocks_change_nothing(rows, monkeypatch):
    """How many similarities are held at once does not matter, not for copies of pictures either."""
    once = np.random.default_rng(0).standard_normal((37, 50))
    features = np.concatenate([once, once, np.zeros((1, 50))])
    present = np.eye(75, dtype=int)
    whole = transfer._votes(features, present, np.arange(75), 4)
    monkeypatch.setattr(transfer, "AT_ONCE", rows * 75)
    assert (transfer._votes(features, present, np.arange(75), 4) == whole).all()
    assert whole[:37, 37:74].trace() == 37 / 4  # the own copy comes first


def test_no_neighbours_asked():
    """A k of 0 is refused."""
    with pytest.raises(MeasureError) as error:
        nearest_neighbour(np.eye(3), np.arange(3), k=0, rng=np.random.default_rng(0))
    assert error.value.slug == "bad-k"


# --- advice --------------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [True, False])
def test_advice(many):
    """Best first; each row has what the measures say; what cannot be computed comes last."""
    tables = {name: collection(60, 5, apart=apart)[0] for name, apart in (("poor", 1), ("rich", 4))}
    labels = collection(60, 5)[1]
    labels = np.eye(3, dtype=int)[labels] if many else labels
    groups = ["a", "b", "c", ""] * 15
    advice = advise(
        {"blank": np.zeros((60, 4)), **tables}, labels, dataset="d", split="train", seed=0,
        groups=groups,
    )  # fmt: skip
    assert [row.network for row in advice] == ["rich", "poor", "blank"]
    rich, poor, blank = advice
    assert rich.logme == logme(tables["rich"], labels)
    k, rng = 5 if many else 1, np.random.default_rng(0)
    score = nearest_neighbour(tables["poor"], labels, groups, k=k, rng=rng)
    assert (poor.neighbour, poor.chance, poor.n) == (score.value, score.chance, 60)
    assert poor.low < poor.neighbour < poor.high
    for other in ({"k": 6 - k, "groups": groups}, {"k": k}):
        assert nearest_neighbour(tables["poor"], labels, rng=rng, **other).value != score.value
    assert (rich.dataset, rich.split, rich.status) == ("d", "train", "ok")
    assert blank.logme is blank.neighbour is None
    assert (blank.n, blank.status) == (0, "the features are the same for all images")
