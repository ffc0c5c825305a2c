"""Two second opinions beside CKA: the Procrustes distance, and which images are neighbours.

>>> rng = np.random.default_rng(0)
>>> before = rng.standard_normal((50, 8))
>>> after = before[:, ::-1] * 3 + 5
>>> round(procrustes(before, after), 6), mutual_neighbours(before, after)
(0.0, 1.0)
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, svdvals

from overpaint.errors import MeasureError
from overpaint.measures.centred import (
    Array,
    Centred,
    Table,
    centred_both,
    gram_step,
    row_step,
    rows_at,
    steps,
)
from overpaint.seeds import generator

NEIGHBOURS = 10
"""How many nearest neighbours an image has."""

QUERIES = 1024
"""Images whose neighbours are sought, of more drawn at random: the time is linear from here on."""

AT_ONCE = 1024
"""Images that are held against all of those at once."""


def procrustes(x: Table | Centred, y: Table | Centred, cross: Array | None = None) -> float:
    """How far apart two sets of features stay after the best rotation of one: 0 to √2.

    >>> x = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0]])
    >>> procrustes(x, x)
    0.0
    >>> round(procrustes(x, x[[2, 3, 0, 1]]) ** 2, 6), round(procrustes(x[:, :1], x[:, 1:]) ** 2, 6)
    (0.4, 2.0)

    x: [N, p] and y: [N, q], a row an image, in the same order. Both are centred and scaled to the
    Frobenius norm 1; the distance is min ‖x − y R‖ over all orthogonal R, the narrower one padded
    with zeros: √(2 − 2 ‖xᵀ y‖₊), ‖·‖₊ being the sum of the singular values. A metric: symmetric,
    and no detour is shorter; 0 for features that differ in nothing but rotation, reflection, scale
    and offset, exactly for those that differ in nothing, otherwise to about 1e-7. Like the biased
    CKA it is drawn towards similarity where features are wider than there are images.

    It takes a singular value decomposition of p × q, or of N × N where features are wider. `cross`
    is xᵀ y of the centred features, where it is known (`Kernels.cross`).

    Raises MeasureError as `linear_cka`.

    Source: Schönemann 1966, "A generalized solution of the orthogonal Procrustes problem"; as a
    distance of networks Ding, Denain & Steinhardt 2021, "Grounding representation similarity
    through statistical testing", and Williams et al. 2021, "Generalized shape metrics on neural
    representations".
    """
    x, y = centred_both(x, y)
    if x.equals(y):
        return 0.0
    if x.wide or y.wide:
        cross = _root(x.gram).T @ _root(y.gram)
    elif cross is None:  # xᵀ y, from slices
        step = row_step(x.width, y.width)
        parts = zip(x.by_rows(step), y.by_rows(step), strict=True)
        cross = np.asarray(sum(u.T @ v for (_, u), (_, v) in parts))
    shared = svdvals(cross).sum() / np.sqrt(x.sizes.sum() * y.sizes.sum())
    return float(np.sqrt(max(2 - 2 * shared, 0.0)))


def _root(gram: Array) -> Array:
    """An S with S Sᵀ = K: features [N, N] that are as good as those K was made from."""
    values, vectors = eigh(gram)
    # What is below the rounding of the largest is 0; its root would be 1e-8 and no more small.
    values[values < len(gram) * np.finfo(float).eps * values[-1]] = 0
    return np.asarray(vectors * np.sqrt(values))


def mutual_neighbours(x: Table | Centred, y: Table | Centred, k: int = NEIGHBOURS) -> float:
    """The share of each image's k nearest neighbours by x that are so by y too: 0 to 1.

    >>> x = np.arange(12.0)[:, None]
    >>> mutual_neighbours(x, x, k=2), mutual_neighbours(x, x % 2, k=2) < 0.5
    (1.0, True)

    x: [N, p] and y: [N, q], a row an image, in the same order. Neighbours by Euclidean distance,
    the image itself left out; among equal distances (to 12 digits) the earlier row. Symmetric;
    it knows neither rotation, reflection, scale nor offset, and unlike CKA and Procrustes it does
    not let a few far-off images decide. Unrelated features share `neighbours_chance(N, k)`.

    Of more than 1,024 images the share is that of 1,024 of them, drawn at random, the same for all
    features of as many images; their neighbours are sought among all. The shares of single images
    lie in 0..1, so that the standard error is at most 0.016, mostly a third of that.

    Raises MeasureError as `linear_cka`; `too-few-images` unless N > k + 1, `bad-k`.

    Source: the mutual k-nearest-neighbour measure of Huh et al. 2024, "The platonic representation
    hypothesis", with distances in the place of inner products, so that offsets do not matter.
    """
    if k < 1:
        raise MeasureError("bad-k", f"k is the number of neighbours, at least 1; got {k}")
    n = x.shape[0]
    if n < k + 2:
        raise MeasureError("too-few-images", f"needs at least {k + 2} images; got {n}")
    x, y = centred_both(x, y)
    images = np.arange(n)
    if n > QUERIES:
        images = np.sort(generator(0, "neighbours", n).choice(n, QUERIES, replace=False))
    near_x, near_y = (_nearest(table, images, k) for table in (x, y))
    shared = np.intersect1d(near_x, near_y, assume_unique=True)
    return float(len(shared) / (k * len(images)))


def neighbours_chance(n: int, k: int = NEIGHBOURS) -> float:
    """The share of neighbours that unrelated features of n images have in common on average.

    >>> neighbours_chance(101)
    0.1
    """
    return k / (n - 1)


def _nearest(x: Centred, images: NDArray[np.intp], k: int) -> NDArray[np.intp]:
    """The k nearest of each of these images, each as image × N + neighbour."""
    n, scale = len(x), x.sizes.max()
    found = []
    for some in _query_steps(x, len(images)):
        queries = images[some]
        size = x.sizes[queries]
        nearest = _Nearest(size, scale, k)
        for rows, squares in _shifted_squares(x, queries):
            if squares.shape[1] > k and np.isinf(nearest.limit).any():
                # Not below the k-th nearest but the image itself, which may be among them.
                bound = np.partition(squares, k, axis=1)[:, k] + size
                nearest.limit = np.minimum(nearest.limit, bound)
            reach = nearest.limit - size + 2e-12 * scale
            query, column = divmod(np.flatnonzero(squares <= reach[:, None]), squares.shape[1])
            there = queries[query] != column + rows.start
            query, column = query[there], column[there]
            nearest.add(query, column + rows.start, size[query] + squares[query, column])
        nearest.settle()
        found.append(queries[nearest.query] * n + nearest.row)
    return np.concatenate(found)


class _Nearest:
    """The k nearest rows of each query so far; what comes is put in order now and then."""

    def __init__(self, size: Array, scale: float, k: int) -> None:
        self.scale, self.k = scale, k
        self.limit = np.full(len(size), np.inf)  # what the square of a nearer one must not exceed
        self.query = self.row = np.empty(0, np.intp)
        self.square = np.empty(0)
        self.waiting: list[tuple[NDArray[np.intp], NDArray[np.intp], Array]] = []

    def add(self, query: NDArray[np.intp], row: NDArray[np.intp], square: Array) -> None:
        """Take the distances of some pairs."""
        # Equal distances shall not differ by chance.
        self.waiting.append((query, row, np.round(square / self.scale, 12)))
        if sum(len(pairs) for pairs, _, _ in self.waiting) >= len(self.limit):
            self.settle()

    def settle(self) -> None:
        """Keep the nearest, of equals the earlier rows, and no more than k."""
        parts = [(self.query, self.row, self.square), *self.waiting]
        unsorted, row, square = map(np.concatenate, zip(*parts, strict=True))
        order = np.lexsort((row, square, unsorted))
        query = unsorted[order]
        place = np.arange(len(query)) - np.searchsorted(query, query)
        order, place = order[place < self.k], place[place < self.k]
        self.query, self.row, self.square = unsorted[order], row[order], square[order]
        last = place == self.k - 1
        self.limit[self.query[last]] = self.square[last] * self.scale
        self.waiting = []


def _query_steps(x: Centred, images: int) -> Iterator[slice]:
    """All images at once where their features fit in memory; of wide ones as many as Gram rows."""
    return steps(images, gram_step(len(x)) if x.wide else images)


def _shifted_squares(x: Centred, queries: NDArray[np.intp]) -> Iterator[tuple[slice, Array]]:
    """The squared distances of these images from all others, without the queries' own sizes; a few
    of the others at a time.
    """
    if x.wide:
        gram = x.gram if len(queries) == len(x) else x.gram_rows(queries)
        yield slice(0, len(x)), x.sizes - 2 * gram
        return
    own = -2 * rows_at(x, queries)
    for rows, part in x.by_rows(row_step(x.width, len(queries))):
        for start in range(rows.start, rows.stop, AT_ONCE):  # they stay in the processor's cache
            some = slice(start, min(start + AT_ONCE, rows.stop))
            squares = own @ part[start - rows.start : some.stop - rows.start].T
            squares += x.sizes[some]
            yield some, squares
