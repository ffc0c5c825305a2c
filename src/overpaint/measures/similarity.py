"""Two second opinions beside CKA: the Procrustes distance, and which images are neighbours.

>>> rng = np.random.default_rng(0)
>>> before = rng.standard_normal((50, 8))
>>> after = before[:, ::-1] * 3 + 5
>>> round(procrustes(before, after), 6), mutual_neighbours(before, after)
(0.0, 1.0)
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, svdvals

from overpaint.errors import MeasureError
from overpaint.measures.centred import Array, Centred, Table, centred_both, row_step

NEIGHBOURS = 10
"""How many nearest neighbours an image has."""


def procrustes(x: Table | Centred, y: Table | Centred) -> float:
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

    It takes a singular value decomposition of p × q, or of N × N where features are wider.

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
    else:  # xᵀ y, from slices
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

    Raises MeasureError as `linear_cka`; `too-few-images` unless N > k + 1, `bad-k`.

    Source: the mutual k-nearest-neighbour measure of Huh et al. 2024, "The platonic representation
    hypothesis", with distances in the place of inner products, so that offsets do not matter.
    """
    if k < 1:
        raise MeasureError("bad-k", f"k is the number of neighbours, at least 1; got {k}")
    if x.shape[0] < k + 2:
        raise MeasureError("too-few-images", f"needs at least {k + 2} images; got {x.shape[0]}")
    x, y = centred_both(x, y)
    shared = [
        np.count_nonzero(_nearest(x, rows, near, k) & _nearest(y, rows, far, k))
        for (rows, near), (_, far) in zip(x.by_gram_rows(), y.by_gram_rows(), strict=True)
    ]
    return float(sum(shared) / (k * len(x)))


def neighbours_chance(n: int, k: int = NEIGHBOURS) -> float:
    """The share of neighbours that unrelated features of n images have in common on average.

    >>> neighbours_chance(101)
    0.1
    """
    return k / (n - 1)


def _nearest(x: Centred, rows: slice, gram: Array, k: int) -> NDArray[np.bool_]:
    """Which images are the k nearest of each of these rows' [r, N]."""
    squares = x.sizes[rows, None] + x.sizes - 2 * gram
    np.round(squares / x.sizes.max(), 12, out=squares)  # equal distances shall not differ by chance
    squares[np.arange(len(squares)), np.arange(len(x))[rows]] = np.inf
    limit = np.partition(squares, k - 1, axis=1)[:, k - 1 : k]
    near = squares <= limit
    for row in np.flatnonzero(np.count_nonzero(near, axis=1) > k):
        last = np.flatnonzero(squares[row] == limit[row])  # more of them than places
        near[row, last[k - np.count_nonzero(near[row]) :]] = False
    return np.asarray(near)
