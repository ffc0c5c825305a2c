"""Which channels specialised in classes, and how sure it is that this is not chance.

>>> labels = np.repeat([0, 1], 50)
>>> before, after = [np.arange(0, 100, 5)], [np.arange(20)]     # all classes, then one
>>> p = specialisation(before, after, labels, classes=2, rng=np.random.default_rng(0))
>>> bool(p[0] < 0.01)
True
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr
from scipy.stats import false_discovery_control

from overpaint.errors import MeasureError
from overpaint.measures.classes import class_counts

Rows = NDArray[np.intp]
Table = NDArray[np.float64]

FIRST_DRAWS = 1000
ENOUGH = 10
"""A channel that so many draws have reached is settled; the others are drawn for further."""

DRAWS_A_CHANNEL = 20
"""So many draws for each channel that is tested let a single one stand out of all at q = 0.05."""

TIE = 1e-9
"""Entropies of the same counts, added up in another order of the classes, differ by less."""


def specialisation(
    before: Sequence[Rows],
    after: Sequence[Rows],
    labels: NDArray[Any],
    *,
    classes: int,
    rng: np.random.Generator,
) -> Table:
    """For each channel the p-value of its concentration, if labels were scattered at random.

    The statistic is the class entropy of the maximal images before minus that after. The labels
    are permuted over the images of the split, for both networks at once, and p is
    (1 + permutations that concentrate at least as much) / (1 + permutations): one-sided.

    >>> labels = np.repeat([0, 1], 50)
    >>> mixed = np.arange(0, 100, 5)
    >>> specialisation([mixed], [mixed], labels, classes=2, rng=np.random.default_rng(0))
    array([1.])

    A permutation makes the maximal images a random draw from the split, so its outcome depends on
    nothing but how many they are before, after and in both. Channels equal in these three share
    their permutations, and only the first few hundred places of a permutation need be drawn. This
    is exact, and lets p be as small as a correction for thousands of channels needs: all channels
    get 1000 permutations, those that fewer than 10 of these reach ten times as many, and so on, up
    to 20 for each channel tested. Stopping so keeps P(p ≤ α) ≤ α: for any α that a stage can tell,
    a channel has p ≤ α only if its p at that stage is.

    It says that labels have to do with it, not how much, and not that the training meant it: of
    two trainings from one start, whose channels know the classes but have unlike numbers, many
    channels have a small p, and as many one near 1. Hold the one count against the other. And it
    takes the images to be independent; where an artist stands for a class, a channel that found
    the artist has specialised by this test.

    before, after: row numbers of each channel's maximal images, all layers of a comparison
    together or any part. labels: of the whole split, integers [N] in 0..classes−1, or 0/1
    [N, classes], where the entropy is the mean over labels of the binary one. Returns float64,
    NaN for a channel without images before or after.

    Raises MeasureError: `channels-differ`, `bad-labels`.

    Source: Phipson & Smyth 2010, for the 1 + in p; Besag & Clifford 1991, for stopping early.
    """
    if len(before) != len(after):
        raise MeasureError("channels-differ", f"{len(before)} channels before, {len(after)} after")
    sizes = _sizes(before, after)
    tested = (sizes[:, 0] > 0) & (sizes[:, 1] > 0)
    return _p_values(
        before, after, sizes=sizes, tested=tested, labels=labels, classes=classes, rng=rng
    )


def critical(
    before: Sequence[Rows],
    after: Sequence[Rows],
    labels: NDArray[Any],
    *,
    classes: int,
    level: float,
    rng: np.random.Generator,
) -> tuple[Table, Table]:
    """The fall of class entropy at and below which a channel has p ≥ 1 − level, and that above
    which it has p ≤ level, of `FIRST_DRAWS` permutations of labels.

    >>> labels = np.repeat([0, 1], 50)
    >>> before, after = [np.arange(0, 100, 5)], [np.arange(20)]
    >>> rng = np.random.default_rng(0)
    >>> low, high = critical(before, after, labels, classes=2, level=0.05, rng=rng)
    >>> bool(-1 < low[0] < 0 < high[0] < 1)
    True

    Arguments and source as for `specialisation`.
    """
    alike, kind = np.unique(_sizes(before, after), axis=0, return_inverse=True)
    entropies = Entropies(single=labels.ndim == 1, classes=classes)
    blocks: list[list[Table]] = [[] for _ in alike]
    for counts in _permuted(labels, entropies, alike, FIRST_DRAWS, rng):
        for block, sizes in zip(blocks, alike, strict=True):
            block.append(_statistic(counts, sizes, entropies))
    null = np.sort([np.concatenate(block) for block in blocks], axis=1)
    tail = int(level * FIRST_DRAWS)
    low, high = null[:, tail] + TIE, null[:, FIRST_DRAWS - tail - 1] + TIE
    return low[kind.reshape(-1)], high[kind.reshape(-1)]


def concentration_p(
    sets: Sequence[Rows], labels: NDArray[Any], *, classes: int, rng: np.random.Generator
) -> Table:
    """For each channel the p-value of so low a class entropy, if labels were scattered at random.

    >>> labels = np.repeat([0, 1], 50)
    >>> sets = [np.arange(20), np.arange(0, 100, 5)]
    >>> p = concentration_p(sets, labels, classes=2, rng=np.random.default_rng(0))
    >>> bool(p[0] < 0.01 < 0.9 < p[1])
    True

    As `specialisation`, of one network alone.
    """
    sizes = np.array([(0, len(rows), 0) for rows in sets], np.intp).reshape(-1, 3)
    nothing = [np.array([], np.intp)] * len(sets)
    tested = sizes[:, 1] > 0
    return _p_values(
        nothing, sets, sizes=sizes, tested=tested, labels=labels, classes=classes, rng=rng
    )


def corrected(p: NDArray[Any]) -> Table:
    """p-values as the false discovery rate at which each would just be found; NaN stays NaN.

    >>> corrected(np.array([0.01, 0.2, np.nan, 0.02]))
    array([0.03, 0.2 ,  nan, 0.03])

    Source: Benjamini & Hochberg 1995.
    """
    q = np.array(p, np.float64)
    tested = ~np.isnan(q)
    q[tested] = false_discovery_control(q[tested]) if tested.any() else q[tested]
    return q


# --- permutations --------------------------------------------------------------------------------


def _sizes(before: Sequence[Rows], after: Sequence[Rows]) -> NDArray[np.intp]:
    """Of each channel how many maximal images it has before, after and in both [channels, 3]."""
    sizes = [
        (len(a), len(b), len(np.intersect1d(a, b))) for a, b in zip(before, after, strict=True)
    ]
    return np.array(sizes, np.intp).reshape(-1, 3)


def _p_values(
    before: Sequence[Rows],
    after: Sequence[Rows],
    *,
    sizes: NDArray[np.intp],
    tested: NDArray[np.bool_],
    labels: NDArray[Any],
    classes: int,
    rng: np.random.Generator,
) -> Table:
    p = np.full(len(tested), np.nan)
    if not tested.any():
        return p
    table = np.asarray(labels)
    class_counts(table, classes)
    entropies = Entropies(single=table.ndim == 1, classes=classes)
    observed = np.array([
        entropies.of(class_counts(table[a], classes), len(a))
        - entropies.of(class_counts(table[b], classes), len(b))
        for a, b, is_tested in zip(before, after, tested, strict=True) if is_tested
    ])  # fmt: skip
    # In an order of their own, so that the order of the images changes no digit.
    table = np.sort(table) if table.ndim == 1 else table[np.lexsort(table.T)]
    p[tested] = _tail(observed, sizes[tested], table, entropies, rng)
    return p


class Entropies:
    """Class entropies of counts; of no images 0.

    >>> Entropies(single=True, classes=2).of(np.array([[2, 2], [0, 4]]), n=4)
    array([1., 0.])
    """

    def __init__(self, *, single: bool, classes: int) -> None:
        self.single, self.classes = single, classes
        self.scale = 1 / np.log(max(classes, 2)) if single else 1 / (classes * np.log(2))
        self.tables: dict[int, Table] = {0: np.zeros(1)}

    def of(self, counts: NDArray[Any], n: int) -> Table:
        """counts: of n images, [..., classes]."""
        if n not in self.tables:
            rates = np.arange(n + 1) / n
            self.tables[n] = self.scale * (entr(rates) + (0 if self.single else entr(1 - rates)))
        return self.tables[n][counts].sum(axis=-1)


def _tail(
    observed: Table,
    sizes: NDArray[np.intp],
    labels: NDArray[np.int64],
    entropies: Entropies,
    rng: np.random.Generator,
) -> Table:
    """(1 + draws that reach the observed value) / (1 + draws), for each channel."""
    alike, kind = np.unique(sizes, axis=0, return_inverse=True)
    kind = kind.reshape(-1)  # NumPy 2.0 gives it a second axis
    reached, draws = np.zeros(len(observed), np.intp), np.zeros(len(observed), np.intp)
    unsettled, done = np.ones(len(observed), bool), 0
    for total in _stages(len(observed)):
        groups = {g: np.flatnonzero(unsettled & (kind == g)) for g in np.unique(kind[unsettled])}
        for counts in _permuted(labels, entropies, alike[[*groups]], total - done, rng):
            for group, channels in groups.items():
                null = np.sort(_statistic(counts, alike[group], entropies))
                below = np.searchsorted(null, observed[channels] - TIE)
                reached[channels] += len(null) - below
        draws[unsettled] = done = total
        unsettled &= reached < ENOUGH
        if not unsettled.any():
            break
    return (1 + reached) / (1 + draws)


def _stages(channels: int) -> list[int]:
    """How many permutations have been drawn when it is looked which channels need more."""
    most = max(FIRST_DRAWS, DRAWS_A_CHANNEL * channels)
    stages = [FIRST_DRAWS]
    while stages[-1] < most:
        stages.append(min(10 * stages[-1], most))
    return stages


def _permuted(
    labels: NDArray[np.int64],
    entropies: Entropies,
    sizes: NDArray[np.intp],
    draws: int,
    rng: np.random.Generator,
) -> Iterator[NDArray[np.int32]]:
    """In blocks [places + 1, draws, classes], how often each class stands in the first places of
    permuted labels.
    """
    places = int((sizes[:, 0] + sizes[:, 1] - sizes[:, 2]).max())
    block = max(1, 2**22 // (places * entropies.classes))
    one_hot = np.eye(entropies.classes, dtype=np.int32)
    while draws > 0:
        count = min(block, draws)
        order = np.stack(
            [rng.choice(len(labels), places, replace=False) for _ in range(count)], axis=1
        )
        counts = np.zeros((places + 1, count, entropies.classes), np.int32)
        chosen = one_hot[labels[order]] if labels.ndim == 1 else labels[order].astype(np.int32)
        np.cumsum(chosen, axis=0, out=counts[1:])
        yield counts
        draws -= count


def _statistic(counts: NDArray[np.int32], sizes: NDArray[np.intp], entropies: Entropies) -> Table:
    """The concentration of each draw: the first places are those before, the last of these are
    also the first of those after.
    """
    before, after, shared = sizes.tolist()
    start = before - shared
    return entropies.of(counts[before], before) - entropies.of(
        counts[start + after] - counts[start], after
    )
