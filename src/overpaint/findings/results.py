"""What a study came to, as its statements are put to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.measures.centred import Table
from overpaint.records import RouteDifference, Score
from overpaint.study import Study

Rows = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The maximal images of a comparison's channels, in the order of its table, by their rows in a
    split, and what the images of this split show.
    """

    before: Sequence[Rows]
    after: Sequence[Rows]
    labels: NDArray[np.int64]  # [N], or 0/1 [N, classes]
    classes: int
    groups: Sequence[str]  # of each image; "" is none

    def only(self, channels: Rows) -> "Shown":
        """Of some of the channels."""
        numbers = channels.tolist()
        before, after = ([side[number] for number in numbers] for side in (self.before, self.after))
        return replace(self, before=before, after=after)


@dataclass(frozen=True, kw_only=True)
class ComparedPair:
    """A comparison and what its measures were computed from."""

    before: str
    after: str
    layers: pd.DataFrame  # LayerRow
    channels: pd.DataFrame  # ChannelRow
    images: str  # the split of the CKA
    seed: int
    read: Callable[[str, str], Table]  # (network, layer) -> its features [N, C] of these images
    groups: Sequence[str] | None = None  # of each of these images; "" is none
    shown: Callable[[], Shown] | None = None  # what the channels' maximal images show

    @property
    def with_cka(self) -> pd.DataFrame:
        """The layers whose debiased CKA is known, in the order of execution."""
        return self.layers.dropna(subset="cka_debiased").sort_values("position")

    def features(self, layer: str) -> tuple[Table, Table]:
        """Of one layer, before and after."""
        return self.read(self.before, layer), self.read(self.after, layer)


@dataclass(frozen=True, kw_only=True)
class ComparedRoutes:
    """Two routes to one dataset, and how much better the second scores."""

    single: str
    double: str
    by_pictures: Score
    by_trainings: RouteDifference | None  # where both were repeated


@dataclass(frozen=True, kw_only=True)
class TriedPair:
    """What other weights would do in two networks; nothing where that was not tried."""

    before: str
    after: str
    rewind: pd.DataFrame  # RewindRow
    barrier: Score | None  # mean of the ends minus half-way
    lost: (
        Score | None
    )  # the score of the parent on its own task minus that of its head on the child
    parent: str  # whose task
    parent_dataset: str


@dataclass(frozen=True, kw_only=True)
class Results:
    """What a study came to, as far as a statement can be tested on it."""

    study: Study
    compared: Mapping[tuple[str, str], ComparedPair]  # by the names of the networks
    routes: Sequence[ComparedRoutes]  # of `double_routes`, those that are scored
    tried: Mapping[tuple[str, str], TriedPair] = field(default_factory=dict)
    probes: Mapping[tuple[str, str], pd.DataFrame] = field(default_factory=dict)
    """ProbeRow, by network and dataset."""

    @property
    def changes(self) -> list[ComparedPair]:
        """The comparisons of a network with what was trained from it, over any number of steps."""
        return [
            pair
            for pair in self.compared.values()
            if pair.before in ancestors(self.study, pair.after)
        ]

    @property
    def probed(self) -> list[tuple[ComparedPair, pd.DataFrame, pd.DataFrame]]:
        """The comparisons of a network with its training, with the probes of both on what they were
        compared on.
        """
        probed = []
        for pair in self.changes:
            dataset = pair.images.rpartition("/")[0]
            before, after = (self.probes.get((name, dataset)) for name in (pair.before, pair.after))
            if before is not None and after is not None:
                probed.append((pair, before, after))
        return probed

    @property
    def of_changes(self) -> list[tuple[tuple[str, str], ComparedPair]]:
        """The comparisons of a network with its training of which other weights were tried."""
        pairs = {(pair.before, pair.after): pair for pair in self.changes}
        return [(names, pair) for names, pair in pairs.items() if names in self.tried]

    @property
    def controls(self) -> list[tuple[ComparedPair, ComparedPair]]:
        """The comparisons of a start with its training, each with that of two such trainings."""
        networks, controls = self.study.all_networks, []
        for pair, control in self.compared.items():
            if twins(self.study, *pair) and not networks[pair[0]].draws_everything:
                start = networks[pair[0]].parent or f"{pair[0]}.init"
                changes = [self.compared.get((start, name)) for name in pair]
                controls += [(change, control) for change in changes if change]
        return controls

    def twins_of(self, change: ComparedPair) -> list[ComparedPair]:
        """The comparisons of what a training came to with what another such training came to."""
        return [control for pair, control in self.controls if pair is change]


def ancestors(study: Study, name: str) -> list[str]:
    """The networks that a network came from, over any number of steps, and their initialisations;
    none of an initialisation.
    """
    networks = study.all_networks
    if name not in networks:
        return []
    names = [f"{name}.init"]
    while (parent := networks[name].parent) is not None:
        names += [parent, f"{parent}.init"]
        name = parent
    return names


def twins(study: Study, first: str, second: str) -> bool:
    """Whether two networks are trainings from one start that differ by nothing but their seed."""
    if first == second or not {first, second} <= set(study.all_networks):
        return False
    a, b = study.all_networks[first], study.all_networks[second]
    same = ("load", "parent", "weights", "fit", "recipe", "overrides")
    return a.fit is not None and all(getattr(a, name) == getattr(b, name) for name in same)
