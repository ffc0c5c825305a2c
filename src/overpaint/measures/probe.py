"""What features know of classes: how well a simple reader of them alone would tell the classes.

>>> rng = np.random.default_rng(0)
>>> labels = np.tile([0, 1, 2], 40)
>>> apart = rng.standard_normal((120, 8)) + 3 * np.eye(8)[labels]
>>> train, test = slice(0, 60), slice(60, 120)
>>> score = linear_probe(apart[train], labels[train], apart[test], labels[test], rng=rng)
>>> score.value > 0.9, round(score.chance, 2), score.n
(True, 0.33, 60)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from overpaint.errors import MeasureError
from overpaint.measures.scores import main_score
from overpaint.records import Score

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PENALTIES = tuple(10.0**power for power in range(-2, 7))
"""Of the squares of the weights, for features of mean 0 and deviation 1; one is chosen."""

NEIGHBOURS = 5


def linear_probe(
    train: NDArray[Any],
    train_labels: Ints,
    test: NDArray[Any],
    test_labels: Ints,
    *,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
) -> Score:
    """How well a linear classifier of these features does on test, fitted to those of train.

    train: [N, D], test: [M, D], any real dtype; labels: class numbers, or 0/1 [N, C]. Features are
    scaled to mean 0 and deviation 1 on train; a ridge regression to each class (1, else −1) in
    closed form, its one penalty of 10⁻² … 10⁶ chosen by leave-one-out within train, ranks the
    classes. Top-1, or mean average precision, with interval and chance as every score: over whole
    groups where `groups` tells those of test.

    Raises MeasureError: `images-differ`, `not-finite`, `bad-labels` (train shows one class only),
    `constant-features`, `too-few-images`.

    Source: Alain & Bengio 2016, "Understanding intermediate layers using linear classifier probes",
    with least squares in the place of the softmax: nothing to converge.
    """
    table, tested, present = _prepared(train, train_labels, test, test_labels)
    scaler = StandardScaler().fit(table)
    ridge = RidgeCV(alphas=PENALTIES).fit(scaler.transform(table), 2.0 * present - 1.0)
    values = np.asarray(ridge.predict(scaler.transform(tested))).reshape(len(tested), -1)
    return main_score(values, test_labels, rng, groups)


def neighbour_probe(
    train: NDArray[Any],
    train_labels: Ints,
    test: NDArray[Any],
    test_labels: Ints,
    *,
    k: int = NEIGHBOURS,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
) -> Score:
    """How well the k pictures of train that are most like it name a picture of test.

    Alike by the cosine of their features; each class is ranked by the share of the neighbours that
    show it, ties to the class of the nearer ones. Arguments, errors and result as `linear_probe`.
    """
    table, tested, present = _prepared(train, train_labels, test, test_labels)
    k = min(k, len(table))
    search = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(table)
    nearest = search.kneighbors(tested, return_distance=False)
    # A vote less by 1e-6 for each place down the row: it decides ties alone.
    votes = 1.0 - 1e-6 * np.arange(k)
    values = np.einsum("k,mkc->mc", votes, present[nearest])
    return main_score(values, test_labels, rng, groups)


def _prepared(
    train: NDArray[Any], train_labels: Ints, test: NDArray[Any], test_labels: Ints
) -> tuple[Floats, Floats, Floats]:
    """Features in float64 and the labels [N, C] of train in 0/1, checked."""
    table, tested = np.asarray(train, np.float64), np.asarray(test, np.float64)
    sizes = (len(table), len(tested)) != (len(train_labels), len(test_labels))
    if table.ndim != 2 or tested.ndim != 2 or table.shape[1] != tested.shape[1] or sizes:
        raise MeasureError(
            "images-differ",
            f"needs a row and a label for each image, and the same features of train and test; got "
            f"{table.shape} and {tested.shape}, {len(train_labels)} and {len(test_labels)} labels",
        )
    if len(table) < 2 or not len(tested):
        raise MeasureError(
            "too-few-images", f"needs 2 images of train and 1 of test; got {len(table)} and "
            f"{len(tested)}",
        )  # fmt: skip
    if not (np.isfinite(table).all() and np.isfinite(tested).all()):
        raise MeasureError("not-finite", "features hold NaN or infinity")
    if (table == table[0]).all():
        raise MeasureError("constant-features", "the features are the same for all images of train")
    if train_labels.ndim == 2:
        present = np.asarray(train_labels, np.float64)
    else:
        classes = int(max(train_labels.max(), test_labels.max())) + 1
        present = np.eye(classes)[train_labels]
    if not (present.any(axis=0) & ~present.all(axis=0)).any():
        raise MeasureError("bad-labels", "no label is shown by some images of train and not others")
    return table, tested, present
