"""Two second opinions beside CKA: the Procrustes distance, and which images are neighbours.

>>> rng = np.random.default_rng(0)
>>> before = rng.standard_normal((50, 8))
>>> after = before[:, ::-1] * 3 + 5
>>> round(procrustes(before, after), 6), mutual_neighbours(before, after)
(0.0, 1.0)
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, svdvals

from overpaint.defaults import NEIGHBOURS
from overpaint.errors import MeasureError
from overpaint.measures.centred import (
    Array,
    Centred,
    Table,
    ahead,
    centred_both,
    gram_step,
    row_step,
    steps,
)
from overpaint.measures.hsic import row_sums
from overpaint.seeds import generator

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
        cross = root(x.gram).T @ root(y.gram)
    elif cross is None:  # xᵀ y, from slices
        step = row_step(x.width, y.width)
        parts = zip(x.by_rows(step), y.by_rows(step), strict=True)
        cross = np.asarray(sum(u.T @ v for (_, u), (_, v) in parts))
    shared = svdvals(cross).sum() / np.sqrt(x.sizes.sum() * y.sizes.sum())
    return float(np.sqrt(max(2 - 2 * shared, 0.0)))


def root(gram: Array) -> Array:
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
    check_neighbours(x.shape[0], k)
    return shared_part(*(_nearest(table, k) for table in centred_both(x, y)))


def check_neighbours(n: int, k: int = NEIGHBOURS) -> None:
    """Raises MeasureError `bad-k` and `too-few-images`, as `mutual_neighbours` of n images."""
    if k < 1:
        raise MeasureError("bad-k", f"k is the number of neighbours, at least 1; got {k}")
    if n < k + 2:
        raise MeasureError("too-few-images", f"needs at least {k + 2} images; got {n}")


def shared_part(near_x: NDArray[np.intp], near_y: NDArray[np.intp]) -> float:
    """The share of pairs of an image and its neighbour that two sets of features have alike."""
    return float(len(np.intersect1d(near_x, near_y, assume_unique=True)) / len(near_x))


def neighbours_chance(n: int, k: int = NEIGHBOURS) -> float:
    """The share of neighbours that unrelated features of n images have in common on average.

    >>> neighbours_chance(101)
    0.1
    """
    return k / (n - 1)


def sought(n: int) -> NDArray[np.intp]:
    """The images whose neighbours are sought, ascending: all, or of many those that are drawn."""
    if n <= QUERIES:
        return np.arange(n)
    return np.sort(generator(0, "neighbours", n).choice(n, QUERIES, replace=False))


def _nearest(x: Centred, k: int) -> NDArray[np.intp]:
    """As `Neighbours.pairs`, in a look of its own."""
    if not x.wide:
        neighbours = Neighbours(x, k)
        for rows, part in ahead(x.by_rows(row_step(x.width))):
            neighbours.add(rows, part)
        return neighbours.pairs
    n, images, found = len(x), sought(len(x)), []
    for some in steps(len(images), gram_step(n)):  # as many as Gram rows fit in memory
        queries = images[some]
        nearest = _Nearest(queries, x.sizes, k)
        gram = x.gram if len(queries) == n else x.gram_rows(queries)
        squares = x.sizes - 2 * gram
        nearest.bound(squares)
        nearest.add_within(squares, slice(0, n))
        found.append(nearest.pairs)
    return np.concatenate(found)


class Neighbours:
    """The nearest neighbours of the images that are `sought`, of features that come a few at a
    time, in their order.

    >>> x = Centred.of(np.array([[0.0], [1.0], [3.0], [7.0]]))
    >>> near = Neighbours(x, k=1)
    >>> for rows, part in x.by_rows():
    ...     near.add(rows, part)
    >>> near.pairs % 4
    array([1, 0, 1, 2])

    Distances in float32 tell which pairs may be near, by the bound of their rounding; those alone
    are measured in float64, and decided.
    """

    def __init__(self, x: Centred, k: int = NEIGHBOURS) -> None:
        self.x, self.nearest = x, _Nearest(sought(len(x)), x.sizes, k)
        self.own = -2 * x.rows(self.nearest.images)
        self.roughly = self.own.astype(np.float32)

    def add(self, rows: slice, part: Array) -> None:
        """Take some images about the mean."""
        for some in steps(len(part), AT_ONCE):  # they stay in the processor's cache
            self._add(slice(rows.start + some.start, rows.start + some.stop), part[some])

    def _add(self, rows: slice, part: Array) -> None:
        nearest, sizes = self.nearest, self.x.sizes[rows]
        squares = self.roughly @ part.astype(np.float32).T
        squares += sizes.astype(np.float32)
        # A sum of p products errs by p + 2 roundings of |q| |x| at most, in whatever order; then
        # come those of the size and of its addition, and products that are too small for float32.
        far = float(sizes.max(initial=0.0))
        width = part.shape[1]
        error = 2.0**-22 * far + width * 2.0**-120
        error = error + (width + 4) * 2.0**-23 * np.sqrt(nearest.size * far)
        nearest.bound(squares, error)
        reach = (nearest.reach + error).astype(np.float32)
        close = squares <= np.nextafter(reach, np.float32(np.inf))[:, None]
        count = int(np.count_nonzero(close))
        if count > close.size // 32:  # equal images by the thousand, or the first few
            nearest.add_within(self.own @ part.T + sizes, rows)
            return
        query, column = divmod(np.flatnonzero(close), close.shape[1])
        for some in steps(count, max(2**18 // width, 1)):
            q, c = query[some], column[some]
            nearest.add(q, c + rows.start, row_sums(self.own[q], part[c]) + sizes[c])

    @property
    def pairs(self) -> NDArray[np.intp]:
        """Each image and its k nearest, as image × N + neighbour."""
        return self.nearest.pairs


class _Nearest:
    """The k nearest rows of some images so far; what comes is put in order now and then.

    A square is that of the distance, without the size of the image that asks.
    """

    def __init__(self, images: NDArray[np.intp], sizes: Array, k: int) -> None:
        self.images, self.size, self.k = images, sizes[images], k
        self.n, self.scale = len(sizes), sizes.max()
        self.limit = np.full(len(images), np.inf)  # what the square of a nearer one cannot exceed
        self.query = self.row = np.empty(0, np.intp)
        self.square = np.empty(0)
        self.waiting: list[tuple[NDArray[np.intp], NDArray[np.intp], Array]] = []

    @property
    def reach(self) -> Array:
        """What squares must not exceed."""
        return self.limit - self.size + 2e-12 * self.scale

    def bound(self, squares: NDArray[Any], error: Array | float = 0.0) -> None:
        """Let the squares of the first images, which may err, tell what is too far."""
        if squares.shape[1] > self.k and np.isinf(self.limit).any():
            # Not below the k-th nearest but the image itself, which may be among them.
            bound = np.partition(squares, self.k, axis=1)[:, self.k] + self.size + error
            self.limit = np.minimum(self.limit, bound)

    def add_within(self, squares: Array, rows: slice) -> None:
        """Take of the squares from these rows those within reach."""
        query, column = divmod(np.flatnonzero(squares <= self.reach[:, None]), squares.shape[1])
        self.add(query, column + rows.start, squares[query, column])

    def add(self, query: NDArray[np.intp], row: NDArray[np.intp], square: Array) -> None:
        """Take some pairs of an image, by its place among them, and a row; its own is left out."""
        other = self.images[query] != row
        query, row, square = query[other], row[other], self.size[query[other]] + square[other]
        # Equal distances shall not differ by chance.
        self.waiting.append((query, row, np.round(square / self.scale, 12)))
        if sum(len(pairs) for pairs, _, _ in self.waiting) >= len(self.limit):
            self._settle()

    def _settle(self) -> None:
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

    @property
    def pairs(self) -> NDArray[np.intp]:
        """Each image and its k nearest, as image × N + neighbour."""
        self._settle()
        return self.images[self.query] * self.n + self.row
