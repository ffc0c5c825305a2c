"""Which channels respond most to a class.

>>> features = np.array([[3.0, 0.0], [3.1, 1.0], [0.1, 0.0], [0.0, 1.0]])
>>> class_responses(features, np.array([0, 0, 1, 1]), classes=2).strongest(n=1)
[array([0]), array([], dtype=int64)]
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overpaint.errors import MeasureError
from overpaint.measures.classes import indicators
from overpaint.measures.ranges import Ranges

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Responses:
    """How a layer's channels respond to each class; rows of a class that has no other are NaN.

    `n` is the number of images of each class [K], `mean` their mean features [K, C], `mean_all`
    that of all images [C], `response` [K, C] the mean of a class minus that of all other images,
    and `standardised` [K, C] the same in standard deviations of the channel over all images, NaN
    for a constant channel.
    """

    n: NDArray[np.int64]
    mean: Table
    mean_all: Table
    response: Table
    standardised: Table

    def strongest(self, n: int) -> list[NDArray[np.intp]]:
        """For each class its n channels of largest standardised response, the largest first.

        Only those that respond more to the class than to the rest; of equals the first.
        """
        strongest = []
        for row in self.standardised:
            order = np.argsort(-row, kind="stable")  # NaN comes last
            strongest.append(order[row[order] > 0][:n])
        return strongest


def class_responses(features: NDArray[Any], labels: NDArray[Any], *, classes: int) -> Responses:
    """The response of each channel to each class, against all other images.

    >>> features = np.array([[4.0], [2.0], [0.0], [2.0]])
    >>> responses = class_responses(features, np.array([0, 0, 1, 1]), classes=2)
    >>> responses.response[:, 0], responses.standardised[:, 0].round(2)
    (array([ 2., -2.]), array([ 1.41, -1.41]))

    The paper writes it as λ (mean_c − mean_all) with λ = N / (N − N_c), which is the mean of the
    class minus the mean of the rest. A class that no image shows, or that all show, has no such
    response: its row is NaN.

    features: [N, C]; sums are in float64. labels: integers [N] in 0..K−1, or 0/1 [N, K].

    Raises MeasureError: `bad-labels`, `not-a-table`, `images-differ`, `not-finite`.

    Source: Gonthier et al. 2020, the code that draws channels for each class.
    """
    values = _checked(features)
    if len(values) != len(labels):
        raise MeasureError("images-differ", f"{len(values)} images, labels of {len(labels)}")
    sums = ClassSums(Ranges.of(values), classes)
    sums.add(values, labels)
    return sums.responses


class ClassSums:
    """The sums of a layer's features by class, of images that come a few at a time."""

    def __init__(self, ranges: Ranges, classes: int) -> None:
        self.ranges, self.mean = ranges, ranges.mean
        self.n = np.zeros(classes, np.int64)
        self.sums = np.zeros((classes, len(self.mean)))  # about the mean
        self.squares = np.zeros(len(self.mean))

    def add(self, features: NDArray[Any], labels: NDArray[Any]) -> None:
        """Take some images: their features [n, C] and labels, as for `class_responses`."""
        present = indicators(labels, len(self.n)).astype(np.float64)
        self.n += present.sum(axis=0).astype(np.int64)
        # A few channels at a time: the float64 copy of a whole layer would be large.
        for channels in (slice(start, start + 64) for start in range(0, features.shape[1], 64)):
            # Around the mean, so that a large offset costs the differences no digits.
            centred = features[:, channels] - self.mean[channels]
            self.sums[:, channels] += present.T @ centred
            self.squares[channels] += np.einsum("ij,ij->j", centred, centred)

    @property
    def responses(self) -> Responses:
        """`class_responses` of all images."""
        images, n = self.ranges.n, self.n.astype(np.float64)
        mean = self.sums / np.where(n > 0, n, np.nan)[:, None]
        rest = np.where(n < images, images - n, np.nan)
        response = images / rest[:, None] * mean
        deviation = np.sqrt(self.squares / images)
        return Responses(
            n=self.n,
            mean=mean + self.mean,
            mean_all=self.mean,
            response=response,
            standardised=response / np.where(self.ranges.constant, np.nan, deviation),
        )


def _checked(features: NDArray[Any]) -> NDArray[Any]:
    table = np.asarray(features)
    if table.ndim != 2 or table.size == 0:
        raise MeasureError("not-a-table", f"needs features [images, channels]; got {table.shape}")
    if not np.isfinite(table).all():
        raise MeasureError("not-finite", "features hold NaN or infinity")
    return table
