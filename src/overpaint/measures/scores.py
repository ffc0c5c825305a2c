"""Scores: how well a network classifies, with intervals and the level of chance.

>>> probabilities = np.array([[0.7, 0.2, 0.1], [0.5, 0.4, 0.1], [0.2, 0.2, 0.6]])
>>> hits = top_k_hits(probabilities, np.array([0, 1, 2]), k=1)
>>> hits.tolist()
[True, False, True]
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.defaults import LEVEL
from overpaint.errors import MeasureError
from overpaint.measures.groups import group_numbers, how_many
from overpaint.records import ClassRow, Score, Scores
from overpaint.seeds import generator

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWS = 1000
INTERVAL = (LEVEL / 2, 1 - LEVEL / 2)
DRAWN_AT_ONCE = 2**18
"""Weights that are handled together: 2 MB stay in the processor's cache, all draws would not."""

TOP = (1, 3, 5)
RANK = 20


def score(
    probabilities: Floats,
    labels: Ints,
    classes: Sequence[str],
    *,
    dataset: str,
    split: str,
    seed: int,
    groups: Sequence[str] | None = None,
    train_groups: Iterable[str] = (),
) -> Scores:
    """Scores of probabilities [N, C] against labels: [N] class numbers, or [N, C] of 0/1.

    >>> probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]])
    >>> scores = score(probabilities, np.array([0, 1, 1, 1]), ["calm", "storm"],
    ...                dataset="seas", split="test", seed=0)
    >>> scores.scores["top1"].value, scores.scores["top1"].chance, scores.confusion
    (0.75, 0.75, [[1, 0], [1, 2]])

    Single label: top-1, top-3, top-5 (those below C) and the confusion matrix; chance is what
    naming the k most frequent classes would score. Multi-label: mAP, the mean of the
    non-interpolated average precisions of the classes that have positives, and each class's
    precision at rank 20; chance is the mean share of positives. Intervals: 95 %, percentile
    bootstrap, 1,000 draws, over the images, or over their groups as `main_score`.

    groups: the group of each image ("" = none), with the groups of the train split: the main
    score of the images whose group was trained on ("known") and was not ("unknown") apart, where
    there are such images.

    Raises MeasureError: `images-differ`, where groups are not one for each image.
    """
    many = labels.ndim == 2
    present = labels if many else np.eye(len(classes), dtype=np.int64)[labels]
    purpose = ("bootstrap", dataset, split)
    rng = generator(seed, *purpose)
    scores = (
        {"mAP": main_score(probabilities, labels, rng, groups)}
        if many
        else _top_scores(
            probabilities, labels, [k for k in TOP if k < len(classes) or k == 1], rng, groups
        )
    )
    # What the network says [N, C]: every label above one half, or the most probable class.
    named = (
        (probabilities >= 0.5).astype(np.int64)
        if many
        else np.eye(probabilities.shape[1], dtype=np.int64)[np.argmax(probabilities, axis=1)]
    )
    return Scores(
        dataset=dataset,
        split=split,
        multi_label=many,
        main=next(iter(scores)),
        scores=scores,
        classes=class_rows(probabilities, present, named, classes, multi_label=many),
        without_positives=[name for name, n in zip(classes, present.sum(0), strict=True) if n == 0],
        confusion=None if many else (present.T @ named).tolist(),
        groups={
            side: main_score(
                probabilities[rows],
                labels[rows],
                generator(seed, *purpose, side),
                [group for group, in_side in zip(groups or [], rows, strict=True) if in_side],
            )
            for side, rows in sides(groups or [], train_groups).items()
            if present[rows].any()
        },
    )


def sides(groups: Sequence[str], train_groups: Iterable[str]) -> dict[str, NDArray[np.bool_]]:
    """Which images are of a group that was trained on, and which of another; "" is no group.

    >>> {side: rows.tolist() for side, rows in sides(["Monet", "", "Klee"], ["Monet"]).items()}
    {'known': [True, False, False], 'unknown': [False, False, True]}
    """
    names = np.array(groups, dtype=object)
    if not len(names):
        return {}
    in_train = np.isin(names, np.array([*train_groups], dtype=object))
    return {"known": in_train & (names != ""), "unknown": ~in_train & (names != "")}


# --- values and their intervals ------------------------------------------------------------------


def main_value(probabilities: Floats, labels: Ints) -> float:
    """The value of the main score alone; 0 where no class has positives."""
    if labels.ndim == 1:
        return float(top_k_hits(probabilities, labels, 1).mean())
    precisions = average_precisions(probabilities, labels)
    return 0.0 if np.isnan(precisions).all() else float(np.nanmean(precisions))


def main_score(
    probabilities: Floats,
    labels: Ints,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
) -> Score:
    """Top-1 of single labels [N], mAP of several [N, C]; with interval and chance.

    >>> probabilities = np.repeat([[0.9, 0.1], [0.1, 0.9]], 50, axis=0)
    >>> painters, rng = [f"painter {n // 10}" for n in range(100)], np.random.default_rng(0)
    >>> by_picture = main_score(probabilities, np.zeros(100, int), rng)
    >>> by_painter = main_score(probabilities, np.zeros(100, int), rng, painters)
    >>> by_picture.low, by_painter.low, by_painter.n_groups
    (0.4, 0.1, 10)

    groups: the group of each image, "" is none. Where an image has one, the bootstrap draws whole
    groups, an image without one on its own: the interval tells what other groups would give, and
    images of one artist are no independent images. Its quantiles lie a little further out, as
    Student's t does and by √(G / (G − 1)), without which few groups make too narrow an interval;
    below 10 groups it is still not to be relied on (`Score.few`). Of a single group it is
    that over the images.

    Coverage of the nominal 95 % in simulations of top-1 (20, 50 and 100 groups of 10 images that
    are hard or easy alike, 200 draws, `benchmarks/coverage.py`): 93 to 95 % over groups, 62 to 67 %
    over images.

    Top-1 of 0 or 1 has the interval of Clopper and Pearson, over images or groups; below 30 images
    no interval is to be relied on.

    Raises MeasureError: `images-differ`, where groups are not one for each image.

    Source: Davison & Hinkley 1997, "Bootstrap methods and their application", 3.8, for groups drawn
    whole; Hesterberg 2015, "What teachers should know about the bootstrap", for the quantiles.
    """
    if labels.ndim == 1:
        return _top_scores(probabilities, labels, [1], rng, groups)["top1"]
    return mean_average_precision(probabilities, labels, rng, groups)


def difference(
    first: Floats,
    second: Floats,
    labels: Ints,
    *,
    dataset: str,
    split: str,
    seed: int,
    groups: Sequence[str] | None = None,
) -> Score:
    """How much better `second` scores than `first` on the same images: top-1, or mAP.

    >>> labels = np.array([0, 1] * 50)
    >>> right = np.eye(2)[labels]
    >>> difference(right[::-1], right, labels, dataset="d", split="test", seed=0)
    Score(value=1.0, low=1.0, high=1.0, chance=0.0, n=100, n_groups=None)

    first, second: probabilities [N, C] of two networks, rows in the same order. The bootstrap is
    paired: each draw takes the same images for both, or the same groups as `main_score`. Chance is
    0, that of two equal routes. It knows of one training each; for the luck of trainings see
    `repeats.route_difference`.

    Raises MeasureError: `images-differ`.
    """
    return contrast(
        [first, second],
        [-1.0, 1.0],
        labels,
        dataset=dataset,
        split=split,
        seed=seed,
        groups=groups,
    )


def contrast(
    networks: Sequence[Floats],
    weights: Sequence[float],
    labels: Ints,
    *,
    dataset: str,
    split: str,
    seed: int,
    groups: Sequence[str] | None = None,
) -> Score:
    """A sum of the main scores of networks on the same images, each with its weight.

    >>> labels = np.array([0, 1] * 50)
    >>> right = np.eye(2)[labels]
    >>> ends, middle = [right, right], right[::-1]
    >>> contrast([*ends, middle], [0.5, 0.5, -1.0], labels, dataset="d", split="test", seed=0).value
    1.0

    networks: probabilities [N, C] of each, rows in the same order; weights that sum to 0, so that
    chance is 0. Bootstrap, groups and errors as of `difference`.
    """
    if any(network.shape != (len(labels), networks[0].shape[-1]) for network in networks):
        shapes = f"{', '.join(str(network.shape) for network in networks)} and {len(labels)} labels"
        raise MeasureError(
            "images-differ", f"networks are compared on the same images; got {shapes}"
        )
    rng, numbers = generator(seed, "bootstrap", dataset, split), group_numbers(groups, len(labels))
    if labels.ndim == 1:
        hits = np.array([top_k_hits(network, labels, 1) for network in networks], np.float64)
        of_images = np.asarray(weights) @ hits
        values = resampled(lambda w: w @ of_images / w.sum(axis=1), len(labels), rng, numbers)
    else:
        rankings = [_rankings(network, labels) for network in networks]

        def mean_precision(draws: Floats) -> Floats:
            parts = zip(weights, rankings, strict=True)
            return _mean_of_some(
                np.asarray(sum(weight * _precisions(ranking, draws) for weight, ranking in parts))
            )

        values = resampled(mean_precision, len(labels), rng, numbers)
    return _with_interval(values, 0.0, len(labels), numbers)


def resampled(
    measure: Callable[[Floats], Floats],
    count: int,
    rng: np.random.Generator,
    groups: Ints | None = None,
) -> Floats:
    """A measure of the sample itself, and then of each draw [1 + DRAWS, ...].

    measure: weights [D, N], how often each draw holds each image, -> values [D, ...]. It is called
    with few draws at a time. groups: `group_numbers`; more than one are drawn in the images' place,
    and the weights of a draw then do not sum to N.
    """
    step = max(1, DRAWN_AT_ONCE // count)
    n_groups = how_many(groups) or 1
    units = n_groups if n_groups > 1 else count
    even = np.full(units, 1 / units)
    values = [measure(np.ones((1, count)))]
    for start in range(0, DRAWS, step):
        weights = rng.multinomial(units, even, size=min(step, DRAWS - start))
        if groups is not None and n_groups > 1:
            weights = weights[:, groups]
        values.append(measure(weights.astype(np.float64)))
    return np.concatenate(values)


def _with_interval(values: Floats, chance: float, count: int, groups: Ints | None = None) -> Score:
    """The first value with the quantiles of the others; draws without a value (NaN) do not count.

    The interval holds the value, also where a few draws do not tell it so.
    """
    draws = values[1:][~np.isnan(values[1:])]
    ends, n_groups = INTERVAL, how_many(groups)
    if n_groups is not None and n_groups > 1:
        from scipy.special import ndtr, stdtrit

        tail = ndtr(np.sqrt(n_groups / (n_groups - 1)) * stdtrit(n_groups - 1, LEVEL / 2))
        ends = (tail, 1 - tail)
    low, high = np.quantile(draws, ends) if len(draws) else (values[0], values[0])
    value = float(values[0])
    return Score(
        value=value,
        low=min(float(low), value),
        high=max(float(high), value),
        chance=chance,
        n=count,
        n_groups=n_groups,
    )


def _top_scores(
    probabilities: Floats,
    labels: Ints,
    ranks: Sequence[int],
    rng: np.random.Generator,
    groups: Sequence[str] | None,
) -> dict[str, Score]:
    shares = np.sort(np.bincount(labels) / len(labels))[::-1]
    hits = np.stack([top_k_hits(probabilities, labels, k) for k in ranks], axis=1)
    numbers = group_numbers(groups, len(labels))
    values = resampled(
        lambda weights: weights @ hits / weights.sum(axis=1, keepdims=True),
        len(labels),
        rng,
        numbers,
    )
    return {
        f"top{k}": _not_of_no_width(
            _with_interval(values[:, column], float(shares[:k].sum()), len(labels), numbers)
        )
        for column, k in enumerate(ranks)
    }


def _not_of_no_width(share: Score) -> Score:
    """A share of right answers, whose interval is Clopper and Pearson's where all are right or all
    wrong: there every draw of the bootstrap is like the next, and four of four would be certain.
    """
    units = share.n_groups if share.n_groups and share.n_groups > 1 else share.n
    missed = 1 - (LEVEL / 2) ** (
        1 / units
    )  # this often at most, if N were seen and none was missed
    if share.low == share.high == 1:
        return replace(share, low=1 - missed)
    if share.low == share.high == 0:
        return replace(share, high=missed)
    return share


def top_k_hits(probabilities: Floats, labels: Ints, k: int) -> NDArray[np.bool_]:
    """Whether the right class is among the k most probable; ties go to the lower class number."""
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return (order == labels[:, None]).any(axis=1)


# --- average precision ---------------------------------------------------------------------------


def mean_average_precision(
    probabilities: Floats,
    present: Ints,
    rng: np.random.Generator,
    groups: Sequence[str] | None = None,
) -> Score:
    """The mAP over the classes that have positives; a bootstrap draw leaves out those it lost."""
    occurs, numbers = present.any(axis=0), group_numbers(groups, len(present))
    if not occurs.any():
        return Score(
            value=0.0, low=0.0, high=0.0, chance=0.0, n=len(present), n_groups=how_many(numbers)
        )
    rankings = _rankings(probabilities[:, occurs], present[:, occurs])
    values = resampled(
        lambda weights: _mean_of_some(_precisions(rankings, weights)), len(present), rng, numbers
    )
    return _with_interval(values, float(present[:, occurs].mean()), len(present), numbers)


def _mean_of_some(values: Floats) -> Floats:
    """The mean of each row of values [D, C] that are not NaN; NaN where all are."""
    there = ~np.isnan(values)
    count = there.sum(axis=1)
    total = np.where(there, values, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)


def average_precisions(probabilities: Floats, present: Ints) -> Floats:
    """Average precision of each class [C], for probabilities and 0/1 labels [N, C]; NaN if none."""
    once = np.ones((1, len(present)))
    return _precisions(_rankings(probabilities, present), once)[0]


def average_precision(scores: Floats, positives: Ints, weights: Floats) -> Floats:
    """Non-interpolated average precision [D] of scores [N], for each row of weights [D, N].

    >>> average_precision(np.array([0.9, 0.8, 0.1]), np.array([1, 0, 1]), np.ones((1, 3)))
    array([0.83333333])

    Σ (R_n − R_{n−1}) P_n over the distinct thresholds, as scikit-learn defines it; NaN for a row
    whose positives all weigh nothing.
    """
    return _ranking(scores, positives).average_precision(weights)


@dataclass(frozen=True)
class _Ranking:
    """Images from the highest score down, cut after each threshold that adds a positive.

    Recall moves only at those thresholds: what lies between two of them is one sum.
    """

    images: Ints  # down to the last cut
    image_starts: Ints  # where in `images` each piece begins
    positives: Ints  # those among them
    positive_starts: Ints

    def average_precision(self, weights: Floats) -> Floats:
        if not len(self.positives):
            return np.full(len(weights), np.nan)
        gains = _sums(weights, self.positives, self.positive_starts)
        images = _sums(weights, self.images, self.image_starts).cumsum(axis=1)
        hits = gains.cumsum(axis=1)
        precision = np.divide(hits, images, out=np.zeros_like(hits), where=images > 0)
        area, total = (gains * precision).sum(axis=1), hits[:, -1]
        return np.divide(area, total, out=np.full_like(total, np.nan), where=total > 0)


def _ranking(scores: Floats, positives: Ints) -> _Ranking:
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    count = np.cumsum(positives[order])[ends]
    adds = np.diff(count, prepend=0) > 0
    ends, count = ends[adds] + 1, count[adds]
    last = ends[-1] if len(ends) else 0
    return _Ranking(
        images=order[:last],
        image_starts=np.append(0, ends[:-1]),
        positives=order[positives[order] > 0],
        positive_starts=np.append(0, count[:-1]),
    )


def _sums(weights: Floats, images: Ints, starts: Ints) -> Floats:
    return np.add.reduceat(np.take(weights, images, axis=1), starts, axis=1)


def _rankings(probabilities: Floats, present: Ints) -> list[_Ranking]:
    return [_ranking(*column) for column in zip(probabilities.T, present.T, strict=True)]


def _precisions(rankings: Sequence[_Ranking], weights: Floats) -> Floats:
    return np.stack([ranking.average_precision(weights) for ranking in rankings], axis=1)


def precision_at(scores: Floats, positives: Ints, rank: int = RANK) -> float | None:
    """Positives among the `rank` highest scores, of as many as could be there; None without any.

    >>> precision_at(np.array([0.9, 0.8, 0.1]), np.array([1, 0, 1]), rank=2)
    0.5

    Where a tie spans the rank, what a random order of the tied images would give on average.
    """
    total = int(positives.sum())
    if total == 0:
        return None
    rank = min(rank, len(scores))
    last = np.sort(scores)[-rank]
    above, tied = scores > last, scores == last
    hits = positives[above].sum() + (rank - above.sum()) * positives[tied].mean()
    return float(hits / min(total, rank))


# --- class by class ------------------------------------------------------------------------------


def class_rows(
    probabilities: Floats, present: Ints, named: Ints, classes: Sequence[str], *, multi_label: bool
) -> list[ClassRow]:
    """Precision, recall, F1 and average precision of each class, one against the rest."""
    right, named_so, positive = (present & named).sum(0), named.sum(0), present.sum(0)
    precisions = average_precisions(probabilities, present)
    return [
        ClassRow(
            label=label,
            n=int(positive[c]),
            precision=_share(right[c], named_so[c]),
            recall=_share(right[c], positive[c]),
            f1=_share(2 * right[c], named_so[c] + positive[c]),
            average_precision=None if np.isnan(precisions[c]) else float(precisions[c]),
            precision_at_20=(
                precision_at(probabilities[:, c], present[:, c]) if multi_label else None
            ),
        )
        for c, label in enumerate(classes)
    ]


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


# --- what was predicted --------------------------------------------------------------------------


def prediction_table(
    probabilities: Floats,
    *,
    images: Sequence[str],
    labels: Sequence[Sequence[str]],
    classes: Sequence[str],
) -> pd.DataFrame:
    """`image`, `labels`, and a column `p(CLASS)` of probabilities [N, C] for each class.

    >>> prediction_table(np.array([[0.9, 0.1]]), images=["a.png"], labels=[["calm"]],
    ...                  classes=["calm", "storm"]).columns.tolist()
    ['image', 'labels', 'p(calm)', 'p(storm)']
    """
    columns: dict[str, object] = {
        "image": list(images),
        "labels": [list(names) for names in labels],
    }
    for number, label in enumerate(classes):
        columns[f"p({label})"] = probabilities[:, number]
    return pd.DataFrame(columns)
