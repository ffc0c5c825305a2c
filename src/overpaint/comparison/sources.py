"""Sources: what a comparison needs of each of its two networks, stored or held in memory."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from overpaint.features import stored
from overpaint.measures.centred import Table
from overpaint.networks import Network

Features = NDArray[np.float32]
"""[N, C] of one layer."""


@dataclass(frozen=True)
class Positions:
    """Where in a layer's map each channel responded most to each picture."""

    flat: Table  # int32 [N, C], row × width + column; read in slices
    width: int


class Source(Protocol):
    """One of the two networks that are compared, and what its layers say of the pictures."""

    @property
    def network(self) -> Network:
        """Its layers, filters and weights; it is not run."""

    @property
    def reduction(self) -> str:
        """What the layers are compared by: "mean", "flattened" or "sampled"."""

    def compared(self, layer: str) -> Table:
        """What a layer is compared by, of the pictures of CKA [N, p]; read in slices."""

    def means(self, layer: str) -> Table:
        """The spatial means of a layer, of the pictures of the maximal images [N, C]; read in
        slices.
        """

    def positions(self, layer: str) -> Positions | None:
        """Where the layer responded most to each of those pictures; None where nobody knows."""


@dataclass(frozen=True)
class Stored:
    """A network whose features were stored: the groups of the pictures of CKA, and of those of the
    maximal images, which may be one.
    """

    network: Network
    _: KW_ONLY
    cka: Path
    maximal: Path
    reduction: str = "mean"
    opened: dict[str, Table] = field(default_factory=dict, init=False, repr=False, compare=False)

    def compared(self, layer: str) -> Table:
        """As it lies on disk."""
        if layer not in self.opened:
            self.opened[layer] = stored(self.cka, layer, self.reduction)
        return self.opened[layer]

    def means(self, layer: str) -> Table:
        """As they lie on disk; the very table of `compared` where it is one."""
        same = (self.maximal, "mean") == (self.cka, self.reduction)
        return self.compared(layer) if same else stored(self.maximal, layer)

    def positions(self, layer: str) -> Positions | None:
        """Of the strongest response of each channel; None of a layer whose map has one row, as
        those have whose positions are in an order that nobody knows.
        """
        argmax = stored(self.maximal, layer, "argmax")
        height, width = (int(str(argmax.attrs[side])) for side in ("height", "width"))
        return None if height == 1 < width else Positions(argmax, width)


@dataclass(frozen=True)
class InMemory:
    """A network whose features are held in memory, by layer."""

    network: Network
    _: KW_ONLY
    by_layer: Mapping[str, Features]
    means_by_layer: Mapping[str, Features]
    reduction: str = "mean"

    def compared(self, layer: str) -> Features:
        """As given."""
        return self.by_layer[layer]

    def means(self, layer: str) -> Features:
        """As given."""
        return self.means_by_layer[layer]

    def positions(self, layer: str) -> None:
        """Not known: they take a second look at the maps."""
