"""Scores: as scikit-learn has them, with intervals and chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, top_k_accuracy_score

from overpaint.training.scores import average_precision, score

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


def scored(probabilities, labels, classes):
    return score(probabilities, labels, classes, dataset="d", split="test", seed=0)


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
    assert found.classes[2].average_precision is None
