"""Findings: the statements of the paper, each put to this study, with its interval.

From tables, scores and stored features alone; no network runs, and torch is not needed. What a
study cannot decide is said to be undecided, and what it has not tried to be untested.

A statement is an entry of STATEMENTS: what it says, in words, and the function that tests it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.defaults import LEVEL
from overpaint.errors import MeasureError
from overpaint.measures.centred import Table, rows_at
from overpaint.measures.cka import Grams
from overpaint.measures.verdicts import depth_rank, over_channels, over_halves, verdict
from overpaint.records import FindingRow, RouteDifference, Score
from overpaint.seeds import generator
from overpaint.study import Study

Rows = NDArray[np.intp]

PICTURES = 1000
"""Pictures, drawn at random from a larger split, whose halves give the interval of a CKA."""


# --- what a study came to ------------------------------------------------------------------------


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
class Results:
    """What a study came to, as far as a statement can be tested on it."""

    study: Study
    compared: Mapping[tuple[str, str], ComparedPair]  # by the names of the networks
    routes: Sequence[ComparedRoutes]  # of `double_routes`, those that are scored

    @property
    def changes(self) -> list[ComparedPair]:
        """The comparisons of a network with what was trained from it, over any number of steps."""
        return [
            pair for pair in self.compared.values() if pair.before in self._ancestors(pair.after)
        ]

    def _ancestors(self, name: str) -> list[str]:
        networks = self.study.all_networks
        if name not in networks:  # an initialisation
            return []
        ancestors = [f"{name}.init"]
        while (parent := networks[name].parent) is not None:
            ancestors += [parent, f"{parent}.init"]
            name = parent
        return ancestors

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


def twins(study: Study, first: str, second: str) -> bool:
    """Whether two networks are trainings from one start that differ by nothing but their seed."""
    if first == second or not {first, second} <= set(study.all_networks):
        return False
    a, b = study.all_networks[first], study.all_networks[second]
    same = ("load", "parent", "weights", "fit", "recipe", "overrides")
    return a.fit is not None and all(getattr(a, name) == getattr(b, name) for name in same)


# --- how a finding comes to its row --------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """What a finding is about, before it is decided."""

    statement: str
    before: str
    after: str
    subject: str
    measured: str
    unit: str

    def decided(
        self,
        value: float,
        interval: tuple[float, float],
        *,
        n: int,
        hoped: Literal["below", "above"],
        remark: str = "",
    ) -> FindingRow:
        """The row with its verdict; the interval holds the value, and chance is 0."""
        low, high = min(interval[0], value), max(interval[1], value)
        return FindingRow(
            statement=self.statement,
            subject=self.subject,
            verdict=verdict(low, high, chance=0.0, hoped=hoped),
            measured=self.measured,
            value=value,
            low=low,
            high=high,
            chance=0.0,
            n=n,
            unit=self.unit,
            remark=remark,
            before=self.before,
            after=self.after,
        )

    def untested(self, why: str) -> FindingRow:
        """The row of what could not be tested."""
        return FindingRow(
            statement=self.statement,
            subject=self.subject,
            verdict="untested",
            measured=self.measured,
            value=None,
            low=None,
            high=None,
            chance=None,
            n=0,
            unit=self.unit,
            remark=why,
            before=self.before,
            after=self.after,
        )


def of_change(pair: ComparedPair, statement: str, measured: str, unit: str) -> Hypothesis:
    """A hypothesis of a network and its training."""
    return Hypothesis(
        statement=statement,
        before=pair.before,
        after=pair.after,
        subject=f"{pair.before} → {pair.after}",
        measured=measured,
        unit=unit,
    )


def sampled_grams(layers: Sequence[tuple[Table, Table]], seed: int) -> tuple[list[Grams], int]:
    """The Grams of at most PICTURES pictures, the same of all layers, and how many there were."""
    n = layers[0][0].shape[0]
    rows = np.sort(generator(seed, "tried").permutation(n)[:PICTURES])
    return [Grams.of(rows_at(before, rows), rows_at(after, rows)) for before, after in layers], n


# --- low layers change less ----------------------------------------------------------------------


def layers_finding(pair: ComparedPair) -> FindingRow:
    """Whether CKA falls with depth."""
    hypothesis = of_change(
        pair, "layers", "rank correlation of debiased CKA with depth", "pictures"
    )
    names, depths = pair.with_cka["layer"].tolist(), pair.with_cka["position"].tolist()
    try:
        value = depth_rank(depths, pair.with_cka["cka_debiased"].tolist())
        grams, n = sampled_grams([pair.features(name) for name in names], pair.seed)
        interval = over_halves(
            lambda rows: depth_rank(depths, [layer.cka_debiased(rows) for layer in grams]),
            len(grams[0].x),
            generator(pair.seed, "halves", "layers"),
        )
    except MeasureError as error:
        return hypothesis.untested(str(error))
    return hypothesis.decided(value, interval, n=n, hoped="below")


# --- high layers concentrate classes -------------------------------------------------------------


def classes_finding(pair: ComparedPair) -> FindingRow:
    """Whether class entropy falls with depth, after the training."""
    measured = "rank correlation of class entropy with depth, after"
    return _entropy_finding(
        of_change(pair, "classes", measured, "channels"),
        pair,
        lambda depths, _, after: depth_rank(depths.tolist(), after.tolist()),
    )


def classes_more_finding(pair: ComparedPair) -> FindingRow:
    """Whether class entropy falls with depth more after the training than before."""
    measured = "that correlation after minus before"
    return _entropy_finding(
        of_change(pair, "classes_more", measured, "channels"),
        pair,
        lambda depths, before, after: (
            depth_rank(depths.tolist(), after.tolist())
            - depth_rank(depths.tolist(), before.tolist())
        ),
    )


def _entropy_finding(
    hypothesis: Hypothesis,
    pair: ComparedPair,
    statistic: Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], float],
) -> FindingRow:
    """A statistic of the depths of channels and of their class entropies, before and after."""
    alive = pair.channels.dropna(subset=["entropy_before", "entropy_after"])
    positions = dict(zip(pair.layers["layer"], pair.layers["position"], strict=True))
    depths = alive["layer"].map(positions).to_numpy(float)
    before, after = alive["entropy_before"].to_numpy(float), alive["entropy_after"].to_numpy(float)

    def of_channels(rows: Rows) -> float:
        return statistic(depths[rows], before[rows], after[rows])

    try:
        value = of_channels(np.arange(len(alive)))
        rng = generator(pair.seed, "channels", hypothesis.statement)
        interval = over_channels(of_channels, depths, rng, draws=500)
    except MeasureError as error:
        return hypothesis.untested(str(error))
    return hypothesis.decided(value, interval, n=len(alive), hoped="below")


# --- filters specialise --------------------------------------------------------------------------


def filters_finding(pair: ComparedPair) -> FindingRow:
    """Whether more channels gained concentration than lost it, beyond what labels dealt out at
    random would show.

    Both tails are needed: a channel that knows the classes already moves, up or down, by more than
    random labels allow. Between two trainings of one start as many gain as lose.
    """
    measured = f"share of channels with p ≤ {LEVEL} minus that with p ≥ {1 - LEVEL}"
    hypothesis = of_change(pair, "filters", measured, "channels")
    tested = pair.channels.dropna(subset="specialised_p")
    if tested.empty:
        return hypothesis.untested("no channel was tested: none fires in both networks")
    p = tested["specialised_p"].to_numpy(float)
    signs = (p <= LEVEL) * 1.0 - (p >= 1 - LEVEL)
    sure = int((tested["specialised_q"] <= LEVEL).sum())
    interval = over_channels(
        lambda rows: float(signs[rows].mean()),
        tested["layer"].to_numpy(),
        generator(pair.seed, "channels", "filters"),
    )
    return hypothesis.decided(
        float(signs.mean()),
        interval,
        n=len(tested),
        hoped="above",
        remark=f"{(signs > 0).sum()} concentrated, {(signs < 0).sum()} scattered; {sure} "
        f"concentrated at a false discovery rate of {100 * LEVEL:.0f} %",
    )


# --- double fine-tuning helps --------------------------------------------------------------------


def double_finding(routes: ComparedRoutes) -> FindingRow:
    """Whether the detour scores higher: over trainings where they were repeated, else over
    pictures.
    """
    gap, pictures = routes.by_trainings, routes.by_pictures
    hypothesis = partial(
        Hypothesis,
        statement="double",
        before=routes.single,
        after=routes.double,
        subject=f"{routes.double} against {routes.single}",
    )
    if gap is not None and gap.low is not None and gap.high is not None:
        over_trainings = hypothesis(measured=f"difference of {gap.score}", unit="trainings")
        n = gap.n_first + gap.n_second
        return over_trainings.decided(gap.difference, (gap.low, gap.high), n=n, hoped="above")
    return hypothesis(measured="difference of the main score", unit="pictures").decided(
        pictures.value,
        (pictures.low, pictures.high),
        n=pictures.n,
        hoped="above",
        remark="one training of each: the luck of their seeds is not in the interval",
    )


# --- the control ---------------------------------------------------------------------------------


def control_finding(change: ComparedPair, control: ComparedPair) -> FindingRow:
    """Whether two trainings from one start (`control`) are more alike than one of them and its
    start (`change`).
    """
    hypothesis = Hypothesis(
        statement="control",
        before=control.before,
        after=control.after,
        subject=f"{control.before}, {control.after} and their start {change.before}",
        measured="mean debiased CKA of the two trainings minus that of start and training",
        unit="pictures",
    )
    in_control = set(control.with_cka["layer"])
    shared = [layer for layer in change.with_cka["layer"] if layer in in_control]
    if not shared or change.images != control.images:
        return hypothesis.untested("they were not compared on the same pictures and layers")
    signs = np.repeat([1.0, -1.0], len(shared)) / len(shared)
    alike, changed = (
        float(pair.with_cka.set_index("layer").loc[shared, "cka_debiased"].mean())
        for pair in (control, change)
    )
    try:
        layers = [pair.features(name) for pair in (control, change) for name in shared]
        grams, n = sampled_grams(layers, change.seed)
        interval = over_halves(
            lambda rows: float(signs @ [layer.cka_debiased(rows) for layer in grams]),
            len(grams[0].x),
            generator(change.seed, "halves", "control"),
        )
    except MeasureError as error:
        return hypothesis.untested(str(error))
    return hypothesis.decided(alike - changed, interval, n=n, hoped="above")


# --- the statements ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement of the paper: in words, how it is tested, and what tests it.

    `nothing` is what is said, and advised, where a study has nothing to test it on.
    """

    key: str
    title: str
    reading: str
    nothing: str
    test: Callable[[Results], Iterable[FindingRow]]
    in_points: bool = False  # whether its value is a difference of shares, told in points


NO_CHANGE = "No comparison is of a network and its training."

STATEMENTS = {
    statement.key: statement
    for statement in (
        Statement(
            key="layers",
            title="Low layers change less than high ones",
            reading=(
                "Spearman’s rank correlation of debiased CKA with depth, −1 to 1: below 0, the "
                "deeper a layer the more it changed. The interval is that of random halves of the "
                "pictures."
            ),
            nothing=NO_CHANGE,
            test=lambda results: map(layers_finding, results.changes),
        ),
        Statement(
            key="classes",
            title="High layers concentrate classes",
            reading=(
                "Spearman’s rank correlation of a channel’s class entropy after the training with "
                "the depth of its layer: below 0, the deeper the fewer the classes that excite a "
                "channel. The interval is a bootstrap over the channels of each layer."
            ),
            nothing=NO_CHANGE,
            test=lambda results: map(classes_finding, results.changes),
        ),
        Statement(
            key="classes_more",
            title="… and more so after the training than before",
            reading=(
                "The same correlation after the training minus that before: below 0, the training "
                "made the fall steeper. The interval is a bootstrap over the channels of each "
                "layer."
            ),
            nothing=NO_CHANGE,
            test=lambda results: map(classes_more_finding, results.changes),
        ),
        Statement(
            key="filters",
            title="Filters specialise",
            reading=(
                "A channel’s fall of class entropy is held against labels dealt out at random, in "
                "a permutation test. The value is the share of channels that concentrated (p ≤ "
                "0.05) minus the share that scattered (p ≥ 0.95): between two trainings of one "
                "start as many do one as the other. The interval is a bootstrap over the channels "
                "of each layer."
            ),
            nothing=NO_CHANGE,
            test=lambda results: map(filters_finding, results.changes),
            in_points=True,
        ),
        Statement(
            key="double",
            title="Double fine-tuning helps",
            reading=(
                "The score of the route by way of another collection minus that of the direct "
                "route, on the same test pictures. Over repeated trainings the interval is "
                "Welch’s; where each route was trained once, it is a paired bootstrap over "
                "pictures."
            ),
            nothing=(
                "No two routes lead from one start to one collection, at once and by way of "
                "another. A study tests it with a child and a grandchild of one network, fitted "
                "to the same dataset."
            ),
            test=lambda results: map(double_finding, results.routes),
            in_points=True,
        ),
        Statement(
            key="control",
            title="Two trainings from one start differ less than training and start",
            reading=(
                "Mean debiased CKA over the layers of two trainings that differ by their seed "
                "only, minus that of one of them and its start: above 0, what the training did is "
                "more than luck. The interval is that of random halves of the pictures."
            ),
            nothing=(
                "No comparison is of two trainings that differ by their seed only. A study tests "
                "it with “repeats: 2” on a network NAME and the pairs [parent, NAME] and [NAME, "
                "NAME.2]."
            ),
            test=lambda results: (control_finding(*pair) for pair in results.controls),
        ),
    )
}
"""The statements by key, in the order in which they are reported."""


def findings(results: Results) -> Iterator[FindingRow]:
    """A row for each statement and each comparison or pair of routes that tests it."""
    for statement in STATEMENTS.values():
        yield from statement.test(results)
