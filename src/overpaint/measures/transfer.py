"""How well features would serve a collection, before any network is trained on it: advice.

>>> rng = np.random.default_rng(0)
>>> labels = np.repeat([0, 1, 2], 30)
>>> noise = rng.standard_normal((90, 8))
>>> apart = noise + 3 * np.eye(8)[labels]
>>> logme(apart, labels) > logme(noise, labels)
True
>>> score = nearest_neighbour(apart, labels, rng=rng)
>>> score.value > 0.8, round(score.chance, 2), score.n
(True, 0.33, 90)
>>> features = {"noise": noise, "apart": apart}
>>> [row.network for row in advise(features, labels, dataset="seas", split="train", seed=0)]
['apart', 'noise']
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overpaint.errors import MeasureError
from overpaint.measures.groups import group_numbers
from overpaint.measures.scores import main_score
from overpaint.records import AdviceRow, Score
from overpaint.seeds import generator

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDS = 1000
TOLERANCE = 1e-6
FAR = 1e12
STARTS = 100
AT_ONCE = 2**22
"""Similarities that are held together: 32 MB."""


SINGLE, SEVERAL = 1, 5
"""Neighbours asked for single labels, and for several, where one vote could rank nothing."""


def advise(
    features: Mapping[str, NDArray[Any]],
    labels: Ints,
    *,
    dataset: str,
    split: str,
    seed: int,
    groups: Sequence[str] | None = None,
) -> list[AdviceRow]:
    """A row for each network's features [N, D] of the same pictures, best LogME first.

    labels: [N] class numbers, or [N, C] of 0/1. groups: of each picture; no picture then asks a
    neighbour of its own group. LogME does not know of groups: where the two disagree, features may
    have known the painter instead of the style. What cannot be computed is None, with the reason in
    `status`; without LogME a row comes last.
    """
    rows = []
    for network, table in features.items():
        rng = generator(seed, "bootstrap", dataset, split)
        log_evidence, score, reasons = None, None, []
        try:
            log_evidence = logme(table, labels)
        except MeasureError as error:
            reasons.append(str(error))
        try:
            k = SINGLE if labels.ndim == 1 else SEVERAL
            score = nearest_neighbour(table, labels, groups, k=k, rng=rng)
        except MeasureError as error:
            reasons.append(str(error))
        rows.append(
            AdviceRow(
                network=network,
                dataset=dataset,
                split=split,
                n=score.n if score else 0,
                logme=log_evidence,
                neighbour=score.value if score else None,
                low=score.low if score else None,
                high=score.high if score else None,
                chance=score.chance if score else None,
                n_groups=score.n_groups if score else None,
                status="; ".join(dict.fromkeys(reasons)) or "ok",
            )
        )
    return sorted(rows, key=lambda row: -np.inf if row.logme is None else row.logme, reverse=True)


def logme(features: NDArray[Any], labels: Ints) -> float:
    """LogME: the log evidence, per picture, of linear models from features to labels.

    >>> labels = np.array([0, 0, 1, 1])
    >>> round(logme(np.array([[1.0, 0.1], [0.9, 0.0], [0.1, 1.0], [0.0, 0.8]]), labels), 2)
    -0.21

    features: [N, D], any real dtype; computed in float64. labels: [N] class numbers, or [N, C] of
    0/1. For each class y (0/1 a picture) the model is y = F w + noise, with Gaussian w and noise
    of precisions α and β; the value is the mean over the classes of max log p(y | F, α, β) / N.
    Classes that none or all of the pictures show are left out. It is unbounded and says nothing by
    itself: compare it between features of the same pictures, whatever their width. Turning the
    features, or scaling them all alike, changes nothing.

    Raises MeasureError: `images-differ`, `bad-labels`, `not-finite`, `constant-features`,
    `degenerate-features` (fewer features than pictures give the labels exactly: the evidence is
    infinite).

    Source: You et al. 2021, "LogME: Practical assessment of pre-trained models for transfer
    learning", algorithm 1.
    """
    table, present = _prepared(features, labels)
    differ = present.any(axis=0) & ~present.all(axis=0)
    if not differ.any():
        raise MeasureError("bad-labels", "no label is shown by some images and not by others")
    values, power, outside = _directions(table, present[:, differ].astype(np.float64))
    total = power.sum(axis=0) + outside
    if len(values) < len(table) and (outside <= 1e-12 * total).any():
        raise MeasureError(
            "degenerate-features",
            f"{len(values)} independent features give labels of {len(table)} images exactly: LogME "
            "is infinite; are images repeated, or labels among the features?",
        )
    return float(_evidence(values, power, outside, len(table)).mean())


def _directions(table: Floats, present: Floats) -> tuple[Floats, Floats, Floats]:
    """Eigenvalues [R] of F Fᵀ, the squares [R, C] of the labels along them, and what is left [C].

    One QR of features and labels side by side yields all without any matrix as long as Q.
    """
    count, width = table.shape
    reduced: Floats = np.linalg.qr(np.concatenate([table, present], axis=1), mode="r")  # type: ignore[assignment]
    rows = min(count, width)
    triangle, along, left = reduced[:rows, :width], reduced[:rows, width:], reduced[rows:, width:]
    turned, singular, _ = np.linalg.svd(triangle, full_matrices=False)
    power = (turned.T @ along) ** 2
    counts = singular > singular[0] * max(count, width) * np.finfo(np.float64).eps
    outside = (left**2).sum(axis=0) + power[~counts].sum(axis=0)
    return singular[counts] ** 2, power[counts], outside


def _evidence(values: Floats, power: Floats, outside: Floats, count: int) -> Floats:
    """The largest log evidence per picture of each class.

    values: eigenvalues σ [R] of F Fᵀ; power: [R, C]; outside: [C], what no direction explains. All
    hangs on t = α / β, which the paper's iteration brings to a fixed point. That lies at infinity
    for features that explain nothing, and may lie at 0 for as many as images; and as there can be
    two, the start is not the paper's α = β = 1 but the best of a coarse grid.
    """
    least, most = values.min() / FAR, values.max() * FAR
    coarse = np.geomspace(least, most, STARTS)
    at = [_evidence_at(np.full(len(outside), t), values, power, outside, count) for t in coarse]
    t = coarse[np.argmax(at, axis=0)]
    for _ in range(ROUNDS):
        explained = values[:, None] / (values[:, None] + t)
        lost = t / (values[:, None] + t)
        error = (power * lost**2).sum(axis=0) + outside
        size = np.maximum((power * explained * lost).sum(axis=0) / t, np.finfo(np.float64).tiny)
        moved = explained.sum(axis=0) / (lost.sum(axis=0) + count - len(values)) * error / size
        moved = np.clip(moved, least, most)
        done = (np.abs(np.log(moved / t)) < TOLERANCE).all()
        t = moved
        if done:
            break
    return _evidence_at(t, values, power, outside, count)


def _evidence_at(t: Floats, values: Floats, power: Floats, outside: Floats, count: int) -> Floats:
    """The log evidence per picture at t = α / β, with the β that is best for this t."""
    unexplained = (power * t / (values[:, None] + t)).sum(axis=0) + outside
    spread = np.log1p(values[:, None] / t).sum(axis=0) / count
    return np.asarray(-0.5 * (np.log(2 * np.pi * unexplained / count) + 1 + spread))


def nearest_neighbour(
    features: NDArray[Any],
    labels: Ints,
    groups: Sequence[str] | None = None,
    *,
    k: int = 1,
    rng: np.random.Generator,
) -> Score:
    """How well each picture is classified by the k others that its features are most like.

    >>> rng = np.random.default_rng(0)
    >>> features = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]])
    >>> nearest_neighbour(features, np.array([0, 0, 1, 1]), rng=rng).value
    1.0
    >>> painters = ["Monet", "Monet", "Klee", "Klee"]
    >>> nearest_neighbour(features, np.array([0, 1, 1, 0]), painters, rng=rng).value
    0.5

    features: [N, D], compared by their cosine in float64. labels: [N] class numbers: the share of
    pictures whose label is the most frequent among the neighbours, ties to the lower class number;
    or [N, C] of 0/1: the mean average precision of the labels' shares among the neighbours.
    Among equally near neighbours the first. With interval and chance as every score.

    groups: neighbours of the picture's own group do not count ("" is no group). Without it, what
    knows the painter seems to know the style. A picture to which no other can be neighbour is left
    out, and so is one whose class no other group shows, as no answer could be right; `n` counts
    the others. With fewer than k neighbours, these vote.

    Raises MeasureError: `images-differ`, `too-few-images`, `bad-labels`, `not-finite`, `bad-k`,
    `constant-features`, `no-neighbours`.
    """
    if k < 1:
        raise MeasureError("bad-k", f"k is {k}; it must be at least 1")
    table, present = _prepared(features, labels)
    numbers = group_numbers(groups, len(table))
    if numbers is None:
        numbers = np.arange(len(table))
    votes = _votes(table, present, numbers, k)
    asked = ~np.isnan(votes).any(axis=1)
    if groups is not None and labels.ndim == 1:
        # Whether another group shows the label of the image.
        pairs = np.unique(np.stack([labels, numbers]), axis=1)
        asked &= np.isin(labels, pairs[0][:-1][np.diff(pairs[0]) == 0])
    if not asked.any():
        raise MeasureError(
            "no-neighbours", "no image has a neighbour of another group to learn from"
        )
    asked_groups = None if groups is None else np.array(groups, dtype=object)[asked].tolist()
    return main_score(votes[asked], labels[asked], rng, asked_groups)


def _votes(table: Floats, present: Ints, groups: Ints, k: int) -> Floats:
    """The share of each class [N, C] among an image's neighbours; NaN where it has none."""
    length = np.linalg.norm(table, axis=1, keepdims=True)
    unit = np.divide(table, length, out=np.zeros_like(table), where=length > 0)
    step = max(1, AT_ONCE // len(unit))
    votes = []
    for start in range(0, len(unit), step):
        rows = slice(start, start + step)
        # Rounded, so that copies of one picture tie whatever the block that they are in.
        similarity = np.round(unit[rows] @ unit.T, 12)
        similarity[groups[rows, None] == groups] = -np.inf
        votes.append(_votes_of(similarity, present, k))
    return np.concatenate(votes)


def _votes_of(similarity: Floats, present: Ints, k: int) -> Floats:
    rows = np.arange(len(similarity))
    votes, count = np.zeros((len(rows), present.shape[1])), np.zeros((len(rows), 1))
    for _ in range(min(k, similarity.shape[1] - 1)):
        best = similarity.argmax(axis=1)
        there = np.isfinite(similarity[rows, best])[:, None]
        votes += present[best] * there
        count += there
        similarity[rows, best] = -np.inf
    return np.divide(votes, count, out=np.full_like(votes, np.nan), where=count > 0)


def _prepared(features: NDArray[Any], labels: Ints) -> tuple[Floats, Ints]:
    """Features [N, D] and labels [N, C] of 0/1, checked."""
    table = np.array(features, np.float64)
    if table.ndim != 2 or len(table) != len(labels):
        raise MeasureError(
            "images-differ",
            f"needs a row and a label for each image; got {table.shape} and {len(labels)} labels",
        )
    if len(table) < 2:
        raise MeasureError("too-few-images", f"needs at least 2 images; got {len(table)}")
    if not np.isfinite(table).all():
        row = int(np.argmin(np.isfinite(table).all(axis=1)))
        raise MeasureError("not-finite", f"features hold NaN or infinity, first in row {row}")
    if (table == table[0]).all():
        raise MeasureError("constant-features", "the features are the same for all images")
    if labels.ndim == 1:
        return table, np.eye(int(labels.max()) + 1, dtype=np.int64)[labels]
    if not np.isin(labels, (0, 1)).all():
        raise MeasureError("bad-labels", "several labels must be 0 or 1")
    return table, labels
