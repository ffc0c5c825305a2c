"""What channels' maximal images show when the pictures of a collection are drawn anew.

Channels are no independent units: those that like the same pictures move together. Drawing the
pictures, or their groups, anew moves all channels at once, as another such collection would.

>>> rng = np.random.default_rng(0)
>>> maximal = Maximal.of([np.arange(20), np.arange(0, 100, 5)], np.repeat([0, 1], 50), classes=2)
>>> entropies = maximal.entropies(redrawn(100, 50, rng))
>>> entropies.shape, float(entropies[0].max()), bool(entropies[1].std() > 0.001)
((2, 50), 0.0, True)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from overpaint.measures.classes import class_counts, entropy
from overpaint.measures.groups import Ints, how_many

Rows = NDArray[np.intp]
Table = NDArray[np.float64]

CELLS = 2**23
"""Counts of channels and classes in memory at a time."""


def redrawn(
    images: int, draws: int, rng: np.random.Generator, *, groups: Ints | None = None
) -> Table:
    """How often each image comes [images, draws] when as many images, or groups of them, are drawn
    with replacement.

    groups: `group_numbers` of the images. Source: Efron 1979; by groups, Davison & Hinkley 1997,
    section 3.8.
    """
    count = images if groups is None else (how_many(groups) or 0)
    times = rng.multinomial(count, np.full(count, 1 / count), size=draws).T
    return np.asarray(times if groups is None else times[groups], np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Maximal:
    """The maximal images of channels, and what each shows."""

    shown: csr_array  # [channels * columns, images]: 1 where a channel's image shows the class
    chosen: csr_array  # [channels, images]: 1 for its maximal images
    single: bool  # one label an image

    @classmethod
    def of(cls, maximal: Sequence[Rows], labels: NDArray[Any], *, classes: int) -> "Maximal":
        """maximal: the row numbers of each channel's maximal images. labels: of all images,
        integers [N] in 0..classes−1 or 0/1 [N, classes].

        Raises MeasureError: `bad-labels`.
        """
        table = np.asarray(labels)
        class_counts(table, classes)
        channels = np.repeat(np.arange(len(maximal)), [len(rows) for rows in maximal])
        images = np.concatenate([*maximal, np.array([], np.intp)]).astype(np.intp)
        if table.ndim == 1:
            places, label = np.arange(len(images)), table[images]
        else:
            places, label = np.nonzero(table[images])

        def ones(rows: Rows, columns: Rows, height: int) -> csr_array:
            shape = (height, len(table))
            return csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)

        return cls(
            shown=ones(channels[places] * classes + label, images[places], len(maximal) * classes),
            chosen=ones(channels, images, len(maximal)),
            single=table.ndim == 1,
        )

    def entropies(self, times: Table) -> Table:
        """The class entropy of each channel [channels, draws], 0..1, if each image came so often
        [images, draws]; NaN where none of a channel's images came.

        What a channel would like better among the images that came more than once is not looked
        for: it has some more or some fewer maximal images.
        """
        channels, draws = self.chosen.shape[0], times.shape[1]
        entropies = np.full((channels, draws), np.nan)
        step = max(1, CELLS // max(self.shown.shape[0], 1))
        for start in range(0, draws, step):
            some = slice(start, start + step)
            counts = (self.shown @ times[:, some]).reshape(channels, -1, times[:, some].shape[1])
            n = (self.chosen @ times[:, some])[:, None, :]
            rates = np.divide(counts, n, out=np.full_like(counts, np.nan), where=n > 0)
            entropies[:, some] = entropy(np.moveaxis(rates, 1, -1), single=self.single)
        return entropies
