"""Pictures in the plane by the features of a layer, for two networks so that eyes can follow.

>>> rng = np.random.default_rng(0)
>>> before = np.repeat(rng.standard_normal((3, 16)), 20, axis=0)
>>> before += 0.1 * rng.standard_normal((60, 16))
>>> same = planes(before, before, seed=0)
>>> bool((same.before.points == same.after.points).all()), same.shared, round(same.chance, 3)
(True, 1.0, 0.169)
>>> apart = planes(before, rng.standard_normal((60, 16)), seed=0)
>>> apart.shared < 0.3, apart.before.trust > 0.9
(True, True)
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from sklearn.manifold import TSNE, trustworthiness
from threadpoolctl import threadpool_limits

from overpaint.defaults import NEIGHBOURS
from overpaint.errors import MeasureError
from overpaint.measures.centred import check_finite, check_same_images
from overpaint.measures.similarity import neighbours_chance
from overpaint.seeds import seed_for

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

LEAST = 2 * NEIGHBOURS + 2
"""Pictures without which the trustworthiness of a plane is not defined."""

COMPONENTS = 50
"""The principal components that t-SNE is given, as many as there are at most."""

PERPLEXITY = 30
"""Of t-SNE, about how many neighbours a picture has; a third of all where they are few."""

STEPS = 350
"""Steps of the descent, the first 250 of them exaggerated; more made planes hardly truer."""


@dataclass(frozen=True, kw_only=True)
class Plane:
    """The pictures by one network: where they lie in its plane, and near which by its features."""

    points: Floats  # [N, 2], about their mean, whose mean square distance is 1
    nearest: Rows  # [N, 10] by the features, the nearest first
    trust: float  # how far who is near in the plane is so by the features; 0..1


@dataclass(frozen=True, kw_only=True)
class Planes:
    """The same pictures by two networks."""

    before: Plane
    after: Plane
    kept: Floats  # [N], the share of a picture's nearest before that are so after
    chance: float  # the share that unrelated features would keep

    @property
    def shared(self) -> float:
        """The share of neighbours that are kept, over all pictures: `mutual_neighbours`."""
        return float(self.kept.mean())


def planes(before: NDArray[Any], after: NDArray[Any], *, seed: int) -> Planes:
    """The planes of two networks' features of the same pictures, and what tells their worth.

    before: [N, p] and after: [N, q], a row a picture, any real dtype. Each is brought to its first
    50 principal components, and t-SNE lays those out; it starts for both from the same places, the
    first two principal components of the two networks taken together, and the plane after is
    turned (or mirrored) onto the plane before. Equal features have equal planes, bit for bit, and
    the order of the pictures does not matter. Deterministic in `seed`, by one thread.

    A t-SNE shows who is near whom. How large a cluster is, how far clusters lie from each other,
    and where in the plane they lie, say nothing. So `kept` and `nearest` are of the features and
    not of the plane: the 10 nearest by Euclidean distance, of equals (to 12 digits) the earlier
    row. `trust` is scikit-learn's `trustworthiness` of 10 neighbours: 1 where who is near in the
    plane is near by the features, about 0.5 for places drawn at random.

    Memory is that of some [N, N] matrices, time N log N but for those.

    Raises MeasureError: `not-a-table`, `images-differ`, `not-finite`, `too-few-images` (fewer than
    22), `constant-features`.

    Source: van der Maaten & Hinton 2008, "Visualizing data using t-SNE"; the start from principal
    components: Kobak & Linderman 2021, "Initialization is critical for preserving global data
    structure in both t-SNE and UMAP"; trustworthiness: Venna & Kaski 2001, "Neighborhood
    preservation in nonlinear projection methods".
    """
    check_same_images(len(before), len(after))
    # Descents amplify the last digit, so that rows go through in an order of their own.
    pairs = zip(np.ascontiguousarray(before), np.ascontiguousarray(after), strict=True)
    texts = [x.tobytes() + y.tobytes() for x, y in pairs]
    order = np.array(sorted(range(len(texts)), key=texts.__getitem__), np.intp)
    back = np.argsort(order)
    features = _about_mean(before[order], "first"), _about_mean(after[order], "second")
    components = [_components(x) for x in features]
    start = _components(np.hstack([part / np.linalg.norm(part) for part in components]), most=2)
    points = [_laid_out(components[0], start, seed)]
    if np.array_equal(components[0], components[1]):
        points.append(points[0])
    else:
        points.append(turned_onto(points[0], _laid_out(components[1], start, seed)))
    sides = []
    for x, places in zip(features, points, strict=True):
        squares = _squares(x)
        trust = trustworthiness(
            np.sqrt(squares), places, n_neighbors=NEIGHBOURS, metric="precomputed"
        )
        in_place = squares[np.ix_(back, back)]
        np.fill_diagonal(in_place, np.inf)  # nobody is a neighbour of their own
        nearest = np.argsort(in_place, axis=1, kind="stable")[:, :NEIGHBOURS]
        sides.append(Plane(points=places[back], nearest=nearest, trust=float(trust)))
    shared = (sides[0].nearest[:, :, None] == sides[1].nearest[:, None, :]).any(axis=2)
    return Planes(
        before=sides[0],
        after=sides[1],
        kept=shared.mean(axis=1),
        chance=neighbours_chance(len(before)),
    )


def _about_mean(table: NDArray[Any], which: str) -> Floats:
    if table.ndim != 2:
        raise MeasureError(
            "not-a-table", f"features are [images, channels]; {which} have the shape {table.shape}"
        )
    if len(table) < LEAST:
        raise MeasureError("too-few-images", f"needs at least {LEAST} images; got {len(table)}")
    check_finite(table, which)
    about = table.astype(np.float64) - table[0].astype(np.float64)  # as `centred` does
    largest = np.abs(about).max(initial=0.0)
    if largest == 0:
        raise MeasureError("constant-features", f"{which} features are the same for all images")
    about /= largest
    return np.asarray(about - about.mean(axis=0))


def _components(x: Floats, most: int = COMPONENTS) -> Floats:
    """The scores [N, most] on the first principal components of features about their mean."""
    count, width = x.shape
    most = min(most, count, width)
    if width <= count:
        _, vectors = eigh(x.T @ x, subset_by_index=[width - most, width - 1])
        scores = x @ vectors[:, ::-1]
    else:
        values, vectors = eigh(x @ x.T, subset_by_index=[count - most, count - 1])
        scores = (vectors * np.sqrt(np.maximum(values, 0.0)))[:, ::-1]
    ends = scores[np.abs(scores).argmax(axis=0), np.arange(most)]
    return np.asarray(scores * np.where(ends < 0, -1.0, 1.0))  # a component has no sign of its own


def _laid_out(components: Floats, start: Floats, seed: int) -> Floats:
    """Where t-SNE puts the pictures, from a start, about the mean and of mean square 1."""
    places = np.zeros((len(start), 2), np.float32)  # a single component has no second
    places[:, : start.shape[1]] = start / start[:, 0].std() * 1e-4
    tsne = TSNE(
        perplexity=min(PERPLEXITY, (len(start) - 1) / 3),
        init=places,
        max_iter=STEPS,
        random_state=seed_for(seed, "plane") % 2**32,
    )
    with threadpool_limits(1):  # several would add in an order of the moment
        points = np.asarray(tsne.fit_transform(components.astype(np.float32)), np.float64)
    points -= points.mean(axis=0)
    return np.asarray(points / np.sqrt((points**2).sum(axis=1).mean()))


def turned_onto(target: Floats, points: Floats) -> Floats:
    """Points [N, 2] about their mean, turned or mirrored so as to lie nearest to others.

    >>> cross = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.5], [0.0, -0.5]])
    >>> turned_onto(cross, cross[:, ::-1]).round(9) + 0.0
    array([[ 1. ,  0. ],
           [-1. ,  0. ],
           [ 0. ,  0.5],
           [ 0. , -0.5]])

    Source: Schönemann 1966, "A generalized solution of the orthogonal Procrustes problem".
    """
    u, _, vt = np.linalg.svd(points.T @ target)
    return np.asarray(points @ (u @ vt))


def _squares(x: Floats) -> Floats:
    """The squares of the distances of all rows [N, N], to 12 digits of the largest size."""
    sizes = np.einsum("ij,ij->i", x, x)
    squares = np.round((sizes[:, None] + sizes - 2.0 * (x @ x.T)) / sizes.max(), 12)
    np.fill_diagonal(squares, 0.0)
    return np.asarray(np.maximum(squares, 0.0))
