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
    values, present = _checked(features), indicators(labels, classes).astype(np.float64)
    if len(values) != len(present):
        raise MeasureError("images-differ", f"{len(values)} images, labels of {len(present)}")
    n, mean_all = present.sum(axis=0), values.mean(axis=0, dtype=np.float64)
    mean, deviation = np.full((classes, values.shape[1]), np.nan), np.empty(values.shape[1])
    occurs = n > 0
    # A few channels at a time: the float64 copy of a whole layer would be large.
    for channels in (slice(start, start + 64) for start in range(0, values.shape[1], 64)):
        # Around the mean, so that a large offset costs the differences no digits.
        centred = values[:, channels] - mean_all[channels]
        mean[occurs, channels] = (present.T @ centred)[occurs] / n[occurs, None]
        deviation[channels] = np.sqrt(np.einsum("ij,ij->j", centred, centred) / len(values))
    constant = values.max(axis=0) == values.min(axis=0)
    rest = np.where(n < len(values), len(values) - n, np.nan)
    response = len(values) / rest[:, None] * mean
    standardised = response / np.where(constant, np.nan, deviation)
    return Responses(
        n=n.astype(np.int64),
        mean=mean + mean_all,
        mean_all=mean_all,
        response=response,
        standardised=standardised,
    )


def _checked(features: NDArray[Any]) -> NDArray[Any]:
    table = np.asarray(features)
    if table.ndim != 2 or table.size == 0:
        raise MeasureError("not-a-table", f"needs features [images, channels]; got {table.shape}")
    if not np.isfinite(table).all():
        raise MeasureError("not-finite", "features hold NaN or infinity")
    return table
