"""Difference concepts: groups of pictures that one network holds together and another does not.

>>> rng = np.random.default_rng(0)
>>> labels = np.repeat(range(6), 40)
>>> centres = rng.standard_normal((6, 64))
>>> before = centres[labels] + rng.standard_normal((240, 64))
>>> centres[2] = centres[1]  # the second network holds two of the classes for one
>>> after = centres[labels] + rng.standard_normal((240, 64))
>>> best = min(difference_concepts(before, after, seed=0), key=lambda concept: concept.p)
>>> best.held_by, best.gain > 0.1, best.p < 0.001
('after', True, True)
>>> bool(np.isin(labels[best.members], [1, 2]).mean() > 0.9)
True
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, t
from sklearn.cluster import SpectralClustering

from overpaint.errors import MeasureError
from overpaint.seeds import generator, seed_for

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
Side = Literal["before", "after"]

GROUPS = 8
"""Groups that are sought in each direction."""

LEAST = 5
"""Pictures of a group, and pictures outside of it, without which nothing can be said of it."""

SHARPNESS, LOCALITY = 5.0, 80.0
"""β of the affinity and γ N of the difference, as the source has them."""


@dataclass(frozen=True, kw_only=True)
class Concept:
    """Pictures that are each other's neighbours in one network more than in the other.

    A coherence is how often a member is nearer to another member than to a picture outside: 0.5
    for pictures that have nothing in common, 1 for a group that lies apart. `gain` is that of the
    network that holds them together minus that of the other.
    """

    held_by: Side
    members: Rows  # the most typical first: nearest to the other members where they are held
    coherence_before: float
    coherence_after: float
    gain: float
    low: float  # 95 %, jackknife over pictures
    high: float
    p: float  # of so large a gain where the networks differ by noise in each picture alone
    repeated: float | None = None  # the least gain of these pictures in the repeats; None without
    luck: float | None = None  # the largest gain of any group between twins; None without

    @property
    def beyond_luck(self) -> bool | None:
        """Whether it has a larger gain than any between twins, in each repeat too."""
        if self.luck is None:
            return None
        return min(self.gain, self.gain if self.repeated is None else self.repeated) > self.luck


Pair = tuple[NDArray[Any], NDArray[Any]]
"""Features of the same pictures in two networks, the one before and the one after."""


def difference_concepts(
    before: NDArray[Any],
    after: NDArray[Any],
    *,
    seed: int,
    groups: int = GROUPS,
    repeats: Sequence[Pair] = (),
    of_twins: bool = False,
) -> list[Concept]:
    """The difference concepts of two networks' features of the same pictures, both ways.

    before: [N, p] and after: [N, q], a row a picture, any real dtype; p and q may differ. First
    those that the network after holds together, then those that the one before did, each in the
    order of their gain, the largest first. Deterministic in `seed`.

    The groups are chosen because they differ, so that what they were found by cannot test them:
    they are found by the features of one random half of the channels of each network and tested on
    the other half. `p` is one-sided, of a t-test with the jackknife's standard error over pictures,
    members and outsiders apart. It knows of pictures only: two trainings of one route differ by
    more than that.

    `repeats` are the same comparison of other trainings; a network that was not trained again is
    the same array in all. What they tell of luck is in each concept: the largest gain of any group
    between twins (each network and its repeats), sought as the concepts are; and the least gain
    that its own pictures have in the repeats, which had no part in finding them. `of_twins`: before
    and after are two trainings of one route themselves, so that what they show is luck.

    Memory and time are those of some [N, N] matrices and their first eigenvectors: meant for up to
    a few thousand pictures. A group of fewer than 5 pictures is left out.

    Raises MeasureError: `images-differ`, `not-finite`, `too-few-images` (fewer than 5 a group on
    average), `too-few-channels` (fewer than 8), `bad-k`.

    Source: Kondapaneni, Mac Aodha & Perona 2025, "Representational difference explanations": ranks
    of distances, their difference biased to what is near in either network, spectral clustering.
    The halves, coherences and tests are ours.
    """
    if groups < 2:
        raise MeasureError("bad-k", f"{groups} groups; at least 2 are needed to part pictures")
    ranks: dict[int, tuple[Floats, Floats]] = {}  # by network, some of which are in several pairs
    for features in (before, after, *(network for pair in repeats for network in pair)):
        if features.ndim != 2 or len(features) != len(before):
            raise MeasureError(
                "images-differ",
                "needs features [N, channels] of the same pictures in all networks; got "
                f"{before.shape} and {features.shape}",
            )
        if id(features) not in ranks:
            ranks[id(features)] = _ranks_by_halves(features, groups, seed)
    concepts = _sought(ranks[id(before)], ranks[id(after)], groups, seed)
    twins = {
        (id(network), id(repeat))
        for pair in repeats
        for network, repeat in zip((before, after), pair, strict=True)
        if network is not repeat
    }
    gains = [
        concept.gain
        for network, repeat in twins
        for concept in _sought(ranks[network], ranks[repeat], groups, seed)
    ]
    gains += [concept.gain for concept in concepts] if of_twins else []
    if not gains:
        return concepts
    return [
        replace(
            concept,
            luck=max(gains),
            repeated=min(
                (
                    _gain_again(concept, ranks[id(old)][1], ranks[id(new)][1])
                    for old, new in repeats
                ),
                default=None,
            ),
        )
        for concept in concepts
    ]


def _ranks_by_halves(features: NDArray[Any], groups: int, seed: int) -> tuple[Floats, Floats]:
    """The ranks by one half of a network's channels, and those by the other."""
    table = np.asarray(features, np.float64)
    if len(table) < groups * LEAST:
        raise MeasureError(
            "too-few-images",
            f"{groups} groups need at least {groups * LEAST} pictures; got {len(table)}",
        )
    if not np.isfinite(table).all():
        raise MeasureError("not-finite", "features hold NaN or infinity")
    channels = table.shape[1]
    if channels < 8:
        raise MeasureError(
            "too-few-channels",
            "groups are found by half of the channels and tested on the other half, which takes "
            f"at least 8; got {channels}",
        )
    order = generator(seed, "halves of channels", channels).permutation(channels)
    one, other = order[: channels // 2], order[channels // 2 :]
    return neighbour_ranks(table[:, one]), neighbour_ranks(table[:, other])


def _sought(
    before: tuple[Floats, Floats], after: tuple[Floats, Floats], groups: int, seed: int
) -> list[Concept]:
    """The concepts of two networks, by their ranks."""
    concepts: list[Concept] = []
    directions: list[tuple[Side, tuple[Floats, Floats], tuple[Floats, Floats]]] = [
        ("after", after, before),
        ("before", before, after),
    ]
    for held_by, (near, near_tested), (far, far_tested) in directions:
        labels = difference_groups(near, far, groups, seed=seed_for(seed, "groups", held_by))
        of_direction = [
            _tested(held_by, labels == group, near_tested, far_tested)
            for group in range(groups)
            if LEAST <= (labels == group).sum() <= len(labels) - LEAST
        ]
        concepts += sorted(of_direction, key=lambda concept: -concept.gain)
    return concepts


def _gain_again(concept: Concept, before: Floats, after: Floats) -> float:
    """The gain of a concept's pictures in two other networks."""
    inside = np.zeros(len(before), bool)
    inside[concept.members] = True
    near, far = (after, before) if concept.held_by == "after" else (before, after)
    return coherence(near, inside) - coherence(far, inside)


def neighbour_ranks(features: Floats) -> Floats:
    """Of each picture (a row) the ranks of all others by distance: 1 the nearest, 0 for itself.

    >>> neighbour_ranks(np.array([[0.0], [1.0], [3.0]]))
    array([[0., 1., 2.],
           [1., 0., 2.],
           [2., 1., 0.]])

    features: [N, C]. Euclidean distances; what is equally near, to 10 digits, shares the mean rank.
    """
    about = features - features.mean(axis=0)  # lest the digits go into what all have in common
    lengths = np.einsum("ij,ij->i", about, about)
    squares = lengths[:, None] + lengths - 2.0 * (about @ about.T)
    distances = np.round(squares / (lengths.max() or 1.0), 10)
    np.fill_diagonal(distances, -1.0)
    return np.asarray(rankdata(distances, axis=1) - 1.0)


def difference_groups(near: Floats, far: Floats, groups: int, *, seed: int) -> Rows:
    """The group [N] of each picture: pictures that are near by `near` and not by `far` meet.

    near, far: ranks [N, N] of `neighbour_ranks`. The affinity of two pictures is exp(−β d), where
    d = tanh(γ (near − far) / (1 + min(near, far))) in −1..1 is −1 for what is much nearer here; a
    pair that is far in both counts for nothing. Spectral clustering parts the pictures.
    """
    difference = np.tanh(LOCALITY / len(near) * (near - far) / (1.0 + np.minimum(near, far)))
    affinity = np.exp(-SHARPNESS * difference)
    affinity = (affinity + affinity.T) / 2
    np.fill_diagonal(affinity, 0.0)
    clustering = SpectralClustering(
        groups,
        affinity="precomputed",
        assign_labels="cluster_qr",  # nothing to draw: k-means would depend on its starts
        random_state=seed % 2**32,
    )
    return np.asarray(clustering.fit_predict(affinity), np.intp)


def coherence(ranks: Floats, inside: NDArray[np.bool_]) -> float:
    """How often a member of a group is nearer to another member than to a picture outside: 0 to 1.

    >>> ranks = neighbour_ranks(np.array([[0.0], [1.0], [2.0], [9.0], [10.0]]))
    >>> coherence(ranks, np.array([True, True, True, False, False]))
    1.0
    >>> coherence(ranks, np.array([True, False, True, False, True]))
    0.25

    ranks: [N, N] of `neighbour_ranks`; inside: [N], of at least two pictures in and one out.
    0.5 for pictures drawn at random; equal ranks count half.
    """
    return float(_comparisons(ranks, inside)[1].mean())


def _comparisons(ranks: Floats, inside: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """For each member, a row: the share of outsiders that are farther than each member [m, m], NaN
    for itself; and the share of other members that are nearer than each outsider [m, o].
    """
    rows = ranks[inside]
    rows = rows + 2.0 * len(ranks) * np.arange(len(rows))[:, None]  # all of a row below the next
    members, outsiders = rows[:, inside], rows[:, ~inside]
    farther = 1.0 - _shares_below(np.sort(outsiders, axis=1), members)
    np.fill_diagonal(farther, np.nan)
    others = np.sort(members, axis=1)[:, 1:]  # the first is itself, with rank 0
    return farther, _shares_below(others, outsiders)


def _shares_below(ordered: Floats, values: Floats) -> Floats:
    """Of each row in order, rows following upon one another, how much is below each of its values;
    what is equal counts half.
    """
    count, flat = ordered.shape[1], ordered.ravel()
    places = np.searchsorted(flat, values, "left") + np.searchsorted(flat, values, "right")
    before = 2 * count * np.arange(len(ordered))[:, None]
    return (places - before) / (2 * count)


def _tested(held_by: Side, inside: NDArray[np.bool_], near: Floats, far: Floats) -> Concept:
    """A group and how much more coherent it is by one network's ranks than by the other's."""
    farther, nearer = _comparisons(near, inside)
    farther_apart, nearer_apart = _comparisons(far, inside)
    typical = np.nanmean(farther, axis=0)
    gains = farther - farther_apart
    by_outsider = (nearer - nearer_apart).mean(axis=0)
    count, others = len(gains), len(by_outsider)
    filled = np.nan_to_num(gains)
    total = filled.sum()
    gain = total / (count * (count - 1))
    # Delete one member, who is in a row and in a column; delete one outsider.
    without = (total - filled.sum(axis=0) - filled.sum(axis=1)) / ((count - 1) * (count - 2))
    without_outsider = (by_outsider.sum() - by_outsider) / (others - 1)
    variance = sum(
        (len(left) - 1) / len(left) * ((left - left.mean()) ** 2).sum()
        for left in (without, without_outsider)
    )
    error, freedom = float(np.sqrt(variance)), count - 1
    p = float(t.sf(gain / error, freedom)) if error > 0 else float(gain <= 0)
    half = float(t.ppf(0.975, freedom)) * error
    held = float(nearer.mean())
    coherences = {held_by: held, "before" if held_by == "after" else "after": held - gain}
    return Concept(
        held_by=held_by,
        members=np.flatnonzero(inside)[np.argsort(-typical, kind="stable")],
        coherence_before=float(coherences["before"]),
        coherence_after=float(coherences["after"]),
        gain=float(gain),
        low=float(gain - half),
        high=float(gain + half),
        p=p,
    )
