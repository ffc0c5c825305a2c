"""The images that most excite a channel, and how many of them two networks share.

>>> values = np.array([0.1, 0.9, 0.0, 0.5], np.float32)
>>> maximal_images(values, ["a", "b", "c", "d"], k=2)
[array([1, 3])]
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from overpaint.errors import MeasureError
from overpaint.measures.centred import Table, row_step, steps
from overpaint.measures.ranges import Ranges, both_ranges, in_parts

Rows = NDArray[np.intp]


def maximal_images(
    values: Table, ids: Sequence[str], k: int, *, negative: bool = False
) -> list[Rows]:
    """For each channel, the rows of the k images with the largest values, the largest first.

    Only positive values count, so a channel can have fewer than k images, and a dead one none:

    >>> values = np.array([[0.2, 0.0, 0.0], [0.7, 0.1, 0.0], [0.5, 0.0, -1.0]], np.float32)
    >>> maximal_images(values, ["a", "b", "c"], k=2)
    [array([1, 2]), array([1]), array([], dtype=int64)]

    Equal values are ordered by the images' ids, never by the order of the rows:

    >>> maximal_images(np.ones(3, np.float32), ["c", "a", "b"], k=2)
    [array([1, 2])]

    Before an activation a value below 0 is as good as any; with `negative` every image ranks:

    >>> before_relu = np.array([-0.5, -0.1, -2.0], np.float32)
    >>> maximal_images(before_relu, ["a", "b", "c"], k=2)
    [array([], dtype=int64)]
    >>> maximal_images(before_relu, ["a", "b", "c"], k=2, negative=True)
    [array([1, 0])]

    values: [N, C], or [N] for a single channel, compared as float32, the precision of stored
    features; NumPy's arrays, or Zarr's, of which each chunk is read once. ids: N different strings,
    ordered by code point. Returns C arrays of at most k row numbers each. One picture under two ids
    is two images here: `distinct` leaves out the second.

    Raises MeasureError: `not-a-table`, `images-differ`, `repeated-ids`, `bad-k`, `not-finite`.
    """
    table: Table = values if len(values.shape) == 2 else _table(np.asarray(values))
    by_id = order_of_ids(ids, table.shape[0])
    largest = Largest(by_id, table.shape[1], k, negative=negative)
    for rows in steps(table.shape[0], row_step(max(table.shape[1], 1))):
        largest.add(rows, _table(table[rows, :]))
    return largest.rows


def order_of_ids(ids: Sequence[str], images: int) -> Rows:
    """The rows in the order of their ids; errors as `maximal_images`."""
    _check_ids(ids, images)
    return np.array(sorted(range(images), key=ids.__getitem__), np.intp)


class Largest:
    """The k largest values of each channel, of images that come a few at a time, in any order.

    >>> largest = Largest(by_id=np.array([2, 1, 0]), channels=1, k=2)
    >>> for row, value in enumerate([0.5, 0.5, 0.5]):
    ...     largest.add(slice(row, row + 1), np.array([[value]], np.float32))
    >>> largest.rows, largest.values
    ([array([2, 1])], [array([0.5, 0.5], dtype=float32)])

    It holds k numbers a channel, however many images there are. What is `maximal_images` of all.
    """

    def __init__(self, by_id: Rows, channels: int, k: int, *, negative: bool = False) -> None:
        _check_k(k)
        self.by_id, self.k = by_id, k
        self.places = np.empty_like(by_id)  # of each row, its place in the order of the ids
        self.places[by_id] = np.arange(len(by_id))
        self.values = [np.empty(0, np.float32)] * channels  # the largest first
        self.chosen = [np.empty(0, np.intp)] * channels  # places
        # What a value must reach to be looked at: above 0, and later the k-th.
        least = np.float32(-np.inf) if negative else np.nextafter(np.float32(0), np.float32(1))
        self.least = np.full(channels, least)

    def add(self, rows: slice, values: NDArray[np.float32]) -> None:
        """Take the values [n, C] of these rows."""
        places = self.places[rows]
        # Rows in the order of their ids: the first of equals is the right one.
        order = np.argsort(places)
        places = places[order]
        # A column of a row-major table is far apart in memory; a few dozen at once are copied fast.
        for start in range(0, values.shape[1], 64):
            columns = np.ascontiguousarray(values[:, start : start + 64][order].T)
            for channel, column in enumerate(columns, start):
                new = np.flatnonzero(column >= self.least[channel])
                if not len(new):
                    continue
                if len(new) > self.k:
                    new = _first_k(new, column[new], self.k)
                both = np.concatenate([self.values[channel], column[new]])
                theirs = np.concatenate([self.chosen[channel], places[new]])
                best = np.lexsort((theirs, -both))[: self.k]
                self.values[channel], self.chosen[channel] = both[best], theirs[best]
                if len(best) == self.k:
                    self.least[channel] = both[best[-1]]

    @property
    def rows(self) -> list[Rows]:
        """The rows of each channel's largest values, the largest first."""
        return [self.by_id[places] for places in self.chosen]


def _first_k(rows: Rows, values: NDArray[np.float32], k: int) -> Rows:
    """The k rows with the largest values, of equals the earliest; ascending."""
    least = np.partition(values, len(values) - k)[len(values) - k]
    chosen = values > least
    ties = np.flatnonzero(values == least)
    chosen[ties[: k - np.count_nonzero(chosen)]] = True
    return np.asarray(rows[chosen])


def distinct(ids: Sequence[str], digests: Sequence[str]) -> Rows:
    """The rows of the images without those that show a picture a second time.

    A picture that lies in a collection twice would fill two places among the maximal images:

    >>> distinct(["a", "b", "c"], ["51f0", "77aa", "51f0"])
    array([0, 1])

    Of equal pictures the one whose id comes first is kept, wherever its row stands:

    >>> distinct(["c", "b", "a"], ["51f0", "77aa", "51f0"])
    array([1, 2])

    ids: N different strings. digests: of the N files; an empty one is not known, and equals none.
    Returns row numbers in ascending order.

    Raises MeasureError: `images-differ`, `repeated-ids`.
    """
    _check_ids(ids, len(digests))
    first: dict[str, int] = {}
    for row in sorted(range(len(ids)), key=ids.__getitem__):
        first.setdefault(digests[row] or f"row {row}", row)
    return np.array(sorted(first.values()), np.intp)


@dataclass(frozen=True)
class Ranked:
    """The maximal images of a layer's channels in a part of the split; parts add up.

    >>> values = np.array([[0.2], [0.7], [0.5]], np.float32)
    >>> head = Ranked.of(values[:1], ["a"], ["51f0"], k=2)
    >>> tail = Ranked.of(values[1:], ["b", "c"], ["77aa", "0c0c"], k=2)
    >>> (head + tail).images
    [['b', 'c']]

    Any split into parts, in any order of parts and of images, adds up to what the whole gives.
    One picture in several images counts once, by the id that comes first, in a part and across
    parts; its images must have equal values, which they have when a network sees equal pixels.
    """

    k: int
    channels: tuple[tuple["Entry", ...], ...]

    @classmethod
    def of(
        cls,
        values: NDArray[Any],
        ids: Sequence[str],
        digests: Sequence[str],
        k: int,
        *,
        negative: bool = False,
    ) -> "Ranked":
        """The maximal images of some images; arguments and errors as `maximal_images`."""
        table, once = _table(values), distinct(ids, digests)
        _check_ids(ids, len(table))
        table, names = table[once], [ids[row] for row in once]
        maximal = maximal_images(table, names, k, negative=negative)
        return cls(k, tuple(
            tuple((-float(table[row, channel]), names[row], digests[once[row]]) for row in rows)
            for channel, rows in enumerate(maximal)
        ))  # fmt: skip

    def __add__(self, other: "Ranked") -> "Ranked":
        """Both parts together. Raises MeasureError: `channels-differ`, `bad-k`."""
        if len(self.channels) != len(other.channels):
            raise MeasureError(
                "channels-differ", f"{len(self.channels)} and {len(other.channels)} channels"
            )
        if self.k != other.k:
            raise MeasureError("bad-k", f"the {self.k} and the {other.k} largest do not add up")
        channels = []
        for entries in zip(self.channels, other.channels, strict=True):
            first: dict[str, Entry] = {}
            for entry in sorted(chain(*entries)):
                first.setdefault(entry[2] or f"image {entry[1]}", entry)
            channels.append(tuple(first.values())[: self.k])
        return Ranked(self.k, tuple(channels))

    @property
    def images(self) -> list[list[str]]:
        """The ids of each channel's maximal images, the largest value first."""
        return [[image for _, image, _ in entries] for entries in self.channels]


Entry = tuple[float, str, str]
"""Minus the value, the id and the digest of an image: the order of entries is their rank."""


@dataclass(frozen=True)
class Overlap:
    """What two networks share of a channel's maximal images.

    `overlap` is the shared part of k (0..1), `chance` what two sets drawn at random would share,
    `p` the probability that they would share at least as much.
    """

    overlap: float
    chance: float
    p: float


def overlap(a: Iterable[Hashable], b: Iterable[Hashable], k: int) -> float:
    """The part of k that two sets of maximal images share: |A ∩ B| / k.

    >>> overlap(["sunflowers", "irises"], ["irises", "almonds"], k=2)
    0.5

    a, b: ids or row numbers, at most k each, in any order. Sets smaller than k cannot reach 1.

    Raises MeasureError: `bad-k`.

    Source: Gonthier et al. 2020.
    """
    return _shared(set(a), set(b), k) / k


def overlap_of(a: Iterable[Hashable], b: Iterable[Hashable], n_images: int, k: int) -> Overlap:
    """The overlap of two sets of maximal images, beside what chance would give.

    >>> overlap_of([1, 2], [2, 3], n_images=4, k=2)
    Overlap(overlap=0.5, chance=0.5, p=0.8333333333333...)

    The chance level is |A| |B| / (n_images k), which is k / n_images for two full sets; `p` is the
    upper tail of the hypergeometric distribution, P(|A ∩ B| ≥ observed). An empty set shares
    nothing by necessity: overlap 0, chance 0, p 1.

    Raises MeasureError: `bad-k`, `too-few-images` (a set is larger than the collection).
    """
    return overlaps([a], [b], n_images, k)[0]


def overlaps(
    a: Sequence[Iterable[Hashable]], b: Sequence[Iterable[Hashable]], n_images: int, k: int
) -> list[Overlap]:
    """`overlap_of` for all channels of a layer at once; `a` and `b` hold a set for each channel.

    >>> [row.overlap for row in overlaps([[1, 2], []], [[2, 1], [4]], n_images=9, k=2)]
    [1.0, 0.0]

    Raises MeasureError as `overlap_of`, and `channels-differ`.
    """
    if len(a) != len(b):
        raise MeasureError("channels-differ", f"{len(a)} channels before, {len(b)} after")
    sets = [(set(before), set(after)) for before, after in zip(a, b, strict=True)]
    shared = np.array([_shared(before, after, k) for before, after in sets], int)
    sizes = np.array([(len(before), len(after)) for before, after in sets], int).reshape(-1, 2)
    if n_images < max(1, sizes.max(initial=0)):
        raise MeasureError(
            "too-few-images", f"{sizes.max(initial=0)} maximal images of a collection of {n_images}"
        )
    tail = hypergeom.sf(shared - 1, n_images, sizes[:, 0], sizes[:, 1])
    chance = sizes.prod(axis=1) / (n_images * k)
    return [
        Overlap(float(s) / k, float(c), float(p))
        for s, c, p in zip(shared, chance, tail, strict=True)
    ]


def _shared(a: set[Hashable], b: set[Hashable], k: int) -> int:
    _check_k(k)
    if max(len(a), len(b)) > k:
        raise MeasureError(
            "bad-k", f"the sets have {len(a)} and {len(b)} images, but k is {k}; cut them to k"
        )
    return len(a & b)


def channel_status(
    values_before: NDArray[Any], values_after: NDArray[Any], *, negative: bool = False
) -> NDArray[np.str_]:
    """For each channel, whether its maximal images can be compared.

    >>> before = np.array([[1.0, 0.0, 0.0, 2.0], [3.0, -1.0, 2.0, 2.0]])
    >>> after = np.array([[1.0, 0.0, 0.0, 1.0], [2.0, 0.0, 0.0, 3.0]])
    >>> channel_status(before, after).tolist()
    ['ok', 'dead', 'dead_after', 'constant']

    values_before, values_after: [N, C], or [N] for a single channel. `dead`: no positive value in
    both networks, `dead_before` and `dead_after`: in one of them; `constant`: in one of them two
    or more images have a positive value and all these are equal, so that their order says
    nothing; `identical`: both networks give every image the same value; else `ok`.

    With `negative`, where every image ranks, no channel is dead: it is `constant` when all images
    have one value in one of the networks, and `negative`, whose images can be compared, when in
    one of them none is above 0:

    >>> channel_status(np.array([-1.0, -2.0]), np.array([1.0, 0.0]), negative=True).tolist()
    ['negative']

    Raises MeasureError: `not-a-table`, `channels-differ`, `images-differ`, `not-finite`.
    """
    before, after = _table(values_before), _table(values_after)
    if before.shape[1] != after.shape[1]:
        raise MeasureError(
            "channels-differ", f"{before.shape[1]} channels before, {after.shape[1]} after"
        )
    if len(before) != len(after):
        raise MeasureError("images-differ", f"{len(before)} images before, {len(after)} after")
    return states(*both_ranges(in_parts(before, after)), negative=negative)


def states(
    before: Ranges, after: Ranges, identical: NDArray[np.bool_], *, negative: bool = False
) -> NDArray[np.str_]:
    """`channel_status` of what a look at the two networks' channels told."""
    dead = [ranges.positive == 0 for ranges in (before, after)]
    constant = np.logical_or(*(_constant(ranges, negative=negative) for ranges in (before, after)))
    if negative:
        statuses = {"constant": constant, "identical": identical, "negative": dead[0] | dead[1]}
    else:
        statuses = {
            "dead": dead[0] & dead[1],
            "dead_before": dead[0],
            "dead_after": dead[1],
            "constant": constant,
            "identical": identical,
        }
    return np.select([*statuses.values()], [*statuses], "ok")


def _constant(ranges: Ranges, *, negative: bool) -> NDArray[np.bool_]:
    """Which channels rank two or more images of which none is before another."""
    if negative:
        return ranges.constant & (ranges.n > 1)
    return np.asarray((ranges.positive > 1) & (ranges.least_positive == ranges.largest))


def _table(values: NDArray[Any]) -> NDArray[np.float32]:
    table = np.asarray(values, np.float32)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2:
        raise MeasureError("not-a-table", f"needs values [images, channels]; got {table.shape}")
    if not np.isfinite(table).all():
        channel = int(np.argmin(np.isfinite(table).all(axis=0)))
        raise MeasureError("not-finite", f"channel {channel} holds NaN or infinity")
    return table


def _check_ids(ids: Sequence[str], images: int) -> None:
    if len(ids) != images:
        raise MeasureError("images-differ", f"{len(ids)} ids for the values of {images} images")
    if len(set(ids)) != len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise MeasureError(
            "repeated-ids", f"image id {twice!r} stands more than once; ids must differ"
        )


def _check_k(k: int) -> None:
    if k < 1:
        raise MeasureError("bad-k", f"k is {k}; it must be at least 1")
