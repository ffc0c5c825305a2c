"""Which classes a channel's maximal images belong to, and how much it specialised in them.

>>> concentration(np.array([2, 2, 2, 2]), prior=np.array([0.25, 0.25, 0.5]))
Concentration(n=4, entropy=0.0, gain=1.0, top_class=2, top_share=1.0, top_lift=2.0)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, rel_entr

from overpaint.defaults import LEVEL
from overpaint.errors import MeasureError

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Concentration:
    """How concentrated the classes of n images are; all but n is None where n is 0.

    `entropy` is in 0..1 (0 = one class, 1 = uniform), `gain` in bits (0 = as the collection),
    `top_class` is the index of the leading class, `top_share` its share of the images and
    `top_lift` that share divided by its share of the collection.
    """

    n: int
    entropy: float | None
    gain: float | None
    top_class: int | None
    top_share: float | None
    top_lift: float | None


@dataclass(frozen=True)
class EntropyChance:
    """The entropy of images drawn at random: its mean and its 2.5 and 97.5 % quantiles."""

    mean: float
    low: float
    high: float


def concentration(labels_of_top: NDArray[Any], prior: NDArray[Any]) -> Concentration:
    """How concentrated the classes of a channel's maximal images are.

    >>> even = np.array([0.5, 0.5])
    >>> concentration(np.array([0, 1]), even).entropy
    1.0
    >>> concentration(np.array([], int), even)          # a dead channel
    Concentration(n=0, entropy=None, gain=None, top_class=None, top_share=None, top_lift=None)

    Pictures with several labels have a row of 0 and 1 each:

    >>> concentration(np.array([[1, 0], [1, 1]]), prior=np.array([0.5, 0.5]))
    Concentration(n=2, entropy=0.5, gain=0.5, top_class=0, top_share=1.0, top_lift=2.0)

    labels_of_top: integers [n] in 0..C−1 with the prior [C], the classes' shares of the split,
    which sum to 1. Entropy is −Σ p log2 p / log2 C. Gain is the Kullback–Leibler divergence of p
    from the prior. The mere difference of two entropies would not do: maximal images that swap a
    common class for a rare one have the entropy of the collection, and in an unbalanced
    collection it can even be negative; the divergence is 0 only for the collection's own mixture.
    Chance alone gives n images a gain of about (C − 1) / (2 n ln 2) bits.

    Or 0/1 [n, C] with the prior [C] of each label's presence rate. Entropy is the mean over labels
    of the binary entropy of the presence rate, gain the mean over labels of the divergence of the
    presence rate from the prior, both in bits: presence rates do not sum to 1 and are never taken
    for a distribution.

    The leading class has the largest share; among equals that of larger lift, then of lower index.

    Raises MeasureError: `bad-labels`, `bad-prior`, `prior-differs` (the images cannot be of a
    collection with this prior).

    Source: the entropy of Gonthier et al. 2020; Cover & Thomas, "Elements of information theory",
    section 2.3.
    """
    labels, prior = np.asarray(labels_of_top), _prior(prior, single=np.ndim(labels_of_top) == 1)
    counts = class_counts(labels, len(prior))
    n = len(labels)
    if n == 0:
        return Concentration(0, None, None, None, None, None)
    rates = counts / n
    lift = np.divide(rates, prior, out=np.zeros_like(rates), where=prior > 0)
    top = int(np.lexsort((-lift, -counts))[0])
    return Concentration(
        n=n,
        entropy=float(entropy(rates, single=labels.ndim == 1)),
        gain=_gain(rates, prior, single=labels.ndim == 1),
        top_class=top,
        top_share=float(rates[top]),
        top_lift=float(lift[top]),
    )


def entropy_chance(
    labels_of_split: NDArray[Any],
    k: int,
    *,
    classes: int | None = None,
    draws: int = 1000,
    rng: np.random.Generator,
) -> EntropyChance:
    """The entropy that k images have if drawn at random, without replacement, from the split.

    Few images have an entropy below that of their collection by themselves:

    >>> labels = np.repeat([0, 1, 2, 3], 100)
    >>> rng = np.random.default_rng(0)
    >>> round(entropy_chance(labels, 5, rng=rng).mean, 2)
    0.74
    >>> round(entropy_chance(labels, 200, rng=rng).mean, 2)
    1.0

    labels_of_split: as for `concentration`, of the whole split. classes: C of single labels, where
    the last classes may have no image in the split; by default the largest label + 1.

    Raises MeasureError: `bad-labels`, `too-few-images` (k exceeds the split), `bad-k`.
    """
    labels = np.asarray(labels_of_split)
    if k < 1:
        raise MeasureError("bad-k", f"k is {k}; it must be at least 1")
    if k > len(labels):
        raise MeasureError("too-few-images", f"cannot draw {k} images from {len(labels)}")
    single = labels.ndim == 1
    width = (classes or int(labels.max()) + 1) if single else labels.shape[-1]
    counts = class_counts(labels, width)
    if single:
        present = rng.multivariate_hypergeometric(counts, k, size=draws)
    else:
        picks = (rng.choice(len(labels), k, replace=False, shuffle=False) for _ in range(draws))
        present = np.array([labels[rows].sum(axis=0) for rows in picks])
    entropies = entropy(present / k, single=single)
    low, high = np.quantile(entropies, [LEVEL / 2, 1 - LEVEL / 2])
    return EntropyChance(float(entropies.mean()), float(low), float(high))


def indicators(labels: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """Single labels [N], or 0/1 [N, C], as 0/1 [N, C].

    >>> indicators(np.array([1, 0]), classes=3)
    array([[0, 1, 0],
           [1, 0, 0]])

    Raises MeasureError: `bad-labels`.
    """
    table = np.asarray(labels)
    class_counts(table, classes)
    return np.asarray(np.eye(classes, dtype=np.int64)[table] if table.ndim == 1 else table)


def entropy(rates: Table, *, single: bool) -> Table:
    """Of shares [..., C] that sum to 1, or of presence rates [..., C]; 0..1."""
    if not single:
        return np.asarray((entr(rates) + entr(1 - rates)).mean(axis=-1) / np.log(2))
    # A single class leaves nothing to be uncertain about: 0, not 0 / 0.
    uniform = np.log(max(rates.shape[-1], 2))
    return np.asarray(np.clip(entr(rates).sum(axis=-1) / uniform, 0, 1)) + 0.0


def _gain(rates: Table, prior: Table, *, single: bool) -> float:
    terms = rel_entr(rates, prior)
    if not single:
        terms = terms + rel_entr(1 - rates, 1 - prior)
    if not np.isfinite(terms).all():
        first = int(np.argmin(np.isfinite(terms)))
        raise MeasureError(
            "prior-differs",
            f"class {first} has the share {rates[first]:.3g} here but {prior[first]:g} in the "
            "prior; the images must be of the split that the prior describes",
        )
    gain = terms.sum() if single else terms.mean()
    return max(0.0, float(gain) / float(np.log(2)))


def _prior(prior: NDArray[Any], *, single: bool) -> Table:
    table = np.asarray(prior, np.float64)
    if table.ndim != 1 or table.size == 0 or not ((table >= 0) & (table <= 1)).all():
        raise MeasureError("bad-prior", "the prior must be one number in 0..1 for each class")
    if single and abs(table.sum() - 1) > 1e-6:
        raise MeasureError(
            "bad-prior", f"the prior of single labels sums to {table.sum():g}, not 1"
        )
    return table


def class_counts(labels: NDArray[Any], classes: int) -> NDArray[np.int64]:
    """How many images each class has, of labels as for `indicators`; errors as there."""
    if labels.ndim != 1:
        if labels.ndim != 2 or labels.shape[1] != classes or not np.isin(labels, (0, 1)).all():
            raise MeasureError(
                "bad-labels",
                f"several labels must be 0 or 1, [images, {classes}]; got {labels.shape}",
            )
        return np.asarray(labels.sum(axis=0), np.int64)
    if labels.size == 0:
        return np.zeros(classes, np.int64)
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
        raise MeasureError(
            "bad-labels",
            f"single labels must be integers in 0..{classes - 1}; "
            f"got {labels.dtype} from {labels.min()} to {labels.max()}",
        )
    return np.asarray(np.bincount(labels, minlength=classes), np.int64)
