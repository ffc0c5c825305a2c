"""Scores: how well a network classifies, with intervals and the level of chance.

>>> probabilities = np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]])
>>> hits = top_k_hits(probabilities, np.array([0, 1, 2]), k=1)
>>> hits.tolist()
[True, False, True]
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support

from overpaint.datasets import Split
from overpaint.records import ClassRow, Score, Scores
from overpaint.seeds import generator

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWS = 1000
LEVEL = (2.5, 97.5)


def score(
    probabilities: Floats,
    labels: Ints,
    classes: Sequence[str],
    *,
    dataset: str,
    split: str,
    seed: int,
) -> Scores:
    """Scores of probabilities [N, C] against labels: [N] class numbers, or [N, C] of 0/1.

    Single label: top-1, top-3, top-5 (those below C); chance is what naming the k most frequent
    classes would score. Multi-label: mAP, the mean of the non-interpolated average precisions of
    the classes that have positives; chance is the mean share of positives. Intervals: 95 %,
    percentile bootstrap over the images, 1,000 draws.
    """
    weights = bootstrap_weights(len(labels), generator(seed, "bootstrap", dataset, split))
    multi_label = labels.ndim == 2
    present = labels if multi_label else np.eye(len(classes), dtype=np.int64)[labels]
    scores = (
        {"mAP": mean_average_precision(probabilities, present, weights)}
        if multi_label
        else _top_scores(probabilities, labels, len(classes), weights)
    )
    named = _named(probabilities, multi_label)
    return Scores(
        dataset=dataset,
        split=split,
        multi_label=multi_label,
        main=next(iter(scores)),
        scores=scores,
        classes=class_rows(probabilities, present, named, classes),
        without_positives=[name for name, n in zip(classes, present.sum(0), strict=True) if n == 0],
    )


def bootstrap_weights(count: int, rng: np.random.Generator, draws: int = DRAWS) -> Floats:
    """How often each image is drawn [draws + 1, N]; the first row is the sample itself."""
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=draws)
    return np.vstack([np.ones(count), drawn]).astype(np.float64)


def _top_scores(
    probabilities: Floats, labels: Ints, classes: int, weights: Floats
) -> dict[str, Score]:
    shares = np.sort(np.bincount(labels, minlength=classes) / len(labels))[::-1]
    scores = {}
    for k in (1, 3, 5):
        if k < classes or k == 1:
            hits = top_k_hits(probabilities, labels, k).astype(np.float64)
            values = weights @ hits / len(labels)
            scores[f"top{k}"] = _with_interval(values, float(shares[:k].sum()), len(labels))
    return scores


def _with_interval(values: Floats, chance: float, count: int) -> Score:
    low, high = np.percentile(values[1:], LEVEL)
    return Score(float(values[0]), float(low), float(high), chance, count)


def top_k_hits(probabilities: Floats, labels: Ints, k: int) -> NDArray[np.bool_]:
    """Whether the right class is among the k most probable; ties go to the lower class number."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return (order == labels[:, None]).any(axis=1)


def mean_average_precision(probabilities: Floats, present: Ints, weights: Floats) -> Score:
    """The mAP over the classes that have positives; a bootstrap draw leaves out those it lost."""
    some = [c for c in range(present.shape[1]) if present[:, c].any()]
    if not some:
        return Score(0.0, 0.0, 0.0, 0.0, len(present))
    values = np.stack(
        [average_precision(probabilities[:, c], present[:, c], weights) for c in some]
    )
    chance = float(present[:, some].mean())
    return _with_interval(np.nanmean(values, axis=0), chance, len(present))


def average_precision(scores: Floats, positives: Ints, weights: Floats) -> Floats:
    """Non-interpolated average precision [D] of scores [N], for each row of weights [D, N].

    Σ (R_n − R_{n−1}) P_n over the distinct thresholds, as scikit-learn defines it; NaN for a row
    whose positives all weigh nothing.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    found = np.cumsum(weights[:, order] * positives[order], axis=1)[:, ends]
    taken = np.cumsum(weights[:, order], axis=1)[:, ends]
    precision = np.divide(found, taken, out=np.zeros_like(found), where=taken > 0)
    total = found[:, -1]
    gains = np.diff(found, axis=1, prepend=0.0) * precision
    return np.divide(gains.sum(1), total, out=np.full_like(total, np.nan), where=total > 0)


def _named(probabilities: Floats, multi_label: bool) -> Ints:
    """What the network says [N, C]: the most probable class, or every label above one half."""
    if multi_label:
        return (probabilities >= 0.5).astype(np.int64)
    best = np.argmax(probabilities, axis=1)
    return np.eye(probabilities.shape[1], dtype=np.int64)[best]


def class_rows(
    probabilities: Floats, present: Ints, named: Ints, classes: Sequence[str]
) -> list[ClassRow]:
    """Precision, recall, F1 and average precision of each class, one against the rest."""
    precision, recall, f1, _ = precision_recall_fscore_support(
        present, named, average=None, zero_division=np.nan
    )
    once = np.ones((1, len(present)))
    rows = []
    for number, label in enumerate(classes):
        positives = present[:, number]
        ap = average_precision(probabilities[:, number], positives, once)[0]
        numbers = (precision[number], recall[number], f1[number], ap)
        rows.append(ClassRow(label, int(positives.sum()), *(_or_none(value) for value in numbers)))
    return rows


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def prediction_table(split: Split, probabilities: Floats) -> pd.DataFrame:
    """`image`, `labels`, and a column `p(CLASS)` of probabilities for each class."""
    columns: dict[str, object] = {
        "image": split.images,
        "labels": [list(picture.labels) for picture in split.pictures],
    }
    for number, label in enumerate(split.classes):
        columns[f"p({label})"] = probabilities[:, number]
    return pd.DataFrame(columns)
