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

QUERIES = 2048
"""Images whose neighbours are sought, of more drawn at random: the time is linear from here on."""


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

    Of more than 2,048 images the share is that of 2,048 of them, drawn at random, the same for all
    features of as many images; their neighbours are sought among all. The shares of single images
    lie in 0..1, so that the standard error is at most 0.011, mostly a third of that.

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
        # Of each query the nearest so far, and the distance that a nearer one must not exceed.
        near = distance = np.empty(0)
        query, limit = np.empty(0, np.intp), np.full(len(queries), np.inf)
        for rows, gram in _gram_parts(x, queries):
            squares = x.sizes[rows] - 2 * gram
            if rows.stop - rows.start > k and np.isinf(limit).any():
                # Not less than the k-th nearest but the image itself, which may be among them.
                limit = np.minimum(limit, np.partition(squares, k, axis=1)[:, k] + size)
            ours, theirs = np.nonzero(squares <= (limit - size + 2e-12 * scale)[:, None])
            there = queries[ours] != theirs + rows.start
            ours, theirs = ours[there], theirs[there]
            # Equal distances shall not differ by chance.
            new = np.round((size[ours] + squares[ours, theirs]) / scale, 12)
            query = np.concatenate([query, ours])
            near = np.concatenate([near, theirs + rows.start])
            distance = np.concatenate([distance, new])
            order = np.lexsort((near, distance, query))
            query, near, distance = query[order], near[order], distance[order]
            place = np.arange(len(query)) - np.searchsorted(query, query)
            best = place < k
            query, near, distance = query[best], near[best], distance[best]
            last = place[best] == k - 1
            limit[query[last]] = distance[last] * scale
        found.append(queries[query] * n + near.astype(np.intp))
    return np.concatenate(found)


def _query_steps(x: Centred, images: int) -> Iterator[slice]:
    """All images at once where their features fit in memory; of wide ones as many as Gram rows."""
    return steps(images, gram_step(len(x)) if x.wide else images)


def _gram_parts(x: Centred, queries: NDArray[np.intp]) -> Iterator[tuple[slice, Array]]:
    """The products of these images with all others, a few of the others at a time."""
    if x.wide:
        whole = len(queries) == len(x)
        yield slice(0, len(x)), x.gram if whole else x.gram_rows(queries)
        return
    own = rows_at(x, queries)
    for rows, part in x.by_rows(row_step(x.width, len(queries))):
        yield rows, own @ part.T
