"""Findings: the statements of the paper, each put to this study, with its interval.

From tables, scores and stored features alone; no network runs, and torch is not needed. What a
study cannot decide is said to be undecided, and what it has not tried to be untested.

A statement is an entry of STATEMENTS: what it says, in words, and the function that tests it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.defaults import GROUPS, LEVEL
from overpaint.errors import MeasureError
from overpaint.measures.centred import Table, rows_at
from overpaint.measures.cka import Grams
from overpaint.measures.groups import Ints, group_numbers, how_many
from overpaint.measures.verdicts import (
    depth_rank,
    depth_ranks,
    over_both,
    over_channels,
    over_halves,
    over_permutations,
    spread_of_twins,
    unseen,
    verdict,
)
from overpaint.records import FindingRow, RouteDifference, Score
from overpaint.seeds import generator
from overpaint.study import Study
from overpaint.study.causes import double_routes

Rows = NDArray[np.intp]

PICTURES = 1000
"""Pictures, drawn at random from a larger split, whose halves give the interval of a CKA."""

DRAWS = 200
"""How often the pictures are drawn anew for the interval of what channels show."""


# --- what a study came to ------------------------------------------------------------------------


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
        n_groups: int | None = None,
        remark: str = "",
        chance: float = 0.0,
    ) -> FindingRow:
        """The row with its verdict; the interval holds the value."""
        if n_groups is not None and n_groups < GROUPS:
            few = f"the pictures are of {n_groups} groups only: the interval is not to be relied on"
            remark = f"{remark}; {few}" if remark else few
        low, high = min(interval[0], value), max(interval[1], value)
        return FindingRow(
            statement=self.statement,
            subject=self.subject,
            verdict=verdict(low, high, chance=chance, hoped=hoped),
            measured=self.measured,
            value=value,
            low=low,
            high=high,
            chance=chance,
            n=n,
            n_groups=n_groups,
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


SPARED = 0.02
"""What is said to cost nothing: less than two points, as Frankle et al. 2020 have it."""


def spared(hypothesis: Hypothesis, cost: Score, remark: str = "") -> FindingRow:
    """Whether what a score lost is less than SPARED.

    The interval reaches at least as far as what so few pictures cannot have shown.
    """
    return hypothesis.decided(
        cost.value,
        (cost.low, max(cost.high, unseen(cost.n))),
        n=cost.n,
        n_groups=cost.n_groups,
        hoped="below",
        remark=remark,
        chance=SPARED,
    )


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """At most PICTURES pictures of a comparison, the same for all layers."""

    layers: list[Grams]
    groups: Ints | None  # of these pictures
    n: int  # pictures that there were
    n_groups: int | None

    @classmethod
    def of(
        cls, layers: Sequence[tuple[Table, Table]], seed: int, groups: Sequence[str] | None = None
    ) -> "Sampled":
        """Drawn at random where there are more."""
        n = layers[0][0].shape[0]
        rows = np.sort(generator(seed, "tried").permutation(n)[:PICTURES])
        numbers = group_numbers(groups, n)
        return cls(
            layers=[Grams.of(rows_at(old, rows), rows_at(new, rows)) for old, new in layers],
            groups=None if numbers is None else np.unique(numbers[rows], return_inverse=True)[1],
            n=n,
            n_groups=how_many(numbers),
        )

    def interval(
        self, statistic: Callable[[list[float]], float], rng: np.random.Generator
    ) -> tuple[float, float]:
        """Of a statistic of the layers' debiased CKAs, over halves of pictures or of groups."""

        def of_each(chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
            ckas = zip(*(layer.cka_debiased(chosen) for layer in self.layers), strict=True)
            return np.array([statistic(list(values)) for values in ckas])

        return over_halves(of_each, len(self.layers[0].x), rng, groups=self.groups)


# --- low layers change less ----------------------------------------------------------------------


def layers_finding(pair: ComparedPair) -> FindingRow:
    """Whether CKA falls with depth."""
    hypothesis = of_change(
        pair, "layers", "rank correlation of debiased CKA with depth", "pictures"
    )
    names, depths = pair.with_cka["layer"].tolist(), pair.with_cka["position"].tolist()
    try:
        value = depth_rank(depths, pair.with_cka["cka_debiased"].tolist())
        sampled = Sampled.of([pair.features(name) for name in names], pair.seed, pair.groups)
        interval = sampled.interval(
            lambda ckas: depth_rank(depths, ckas), generator(pair.seed, "halves", "layers")
        )
    except MeasureError as error:
        return hypothesis.untested(str(error))
    return hypothesis.decided(
        value,
        interval,
        n=sampled.n,
        n_groups=sampled.n_groups,
        hoped="below",
        remark=beside_luck(pair),
    )


def beside_luck(pair: ComparedPair) -> str:
    """How many layers changed more than another seed changes, in words; "" without twins."""
    if "beside_luck" not in pair.layers:
        return ""
    ratios = pair.layers["beside_luck"].dropna()
    if ratios.empty:
        return ""
    return f"{(ratios > 1).sum()} of {len(ratios)} layers changed more than between two trainings"


# --- high layers concentrate classes -------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Entropies:
    """The class entropies of the channels that have one in both networks."""

    channels: Rows  # of the table
    depths: NDArray[np.float64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]

    @classmethod
    def of(cls, pair: ComparedPair) -> "Entropies":
        """Of a comparison, in the order of its table."""
        columns = pair.channels[["entropy_before", "entropy_after"]]
        channels = np.flatnonzero(columns.notna().all(axis=1))
        positions = dict(zip(pair.layers["layer"], pair.layers["position"], strict=True))
        before, after = columns.to_numpy(float)[channels].T
        return cls(
            channels=channels,
            depths=pair.channels["layer"].map(positions).to_numpy(float)[channels],
            before=before,
            after=after,
        )

    @property
    def rank_before(self) -> float:
        """How class entropy goes with depth before the training; MeasureError as `depth_rank`."""
        return depth_rank(self.depths.tolist(), self.before.tolist())

    @property
    def rank_after(self) -> float:
        """The same after it."""
        return depth_rank(self.depths.tolist(), self.after.tolist())


def classes_finding(pair: ComparedPair, twins: Sequence[ComparedPair] = ()) -> FindingRow:
    """Whether class entropy falls with depth, after the training."""
    measured = "rank correlation of class entropy with depth, after"
    hypothesis = of_change(pair, "classes", measured, "channels")
    return _entropy_finding(hypothesis, pair, twins, minus_before=False)


def classes_more_finding(pair: ComparedPair, twins: Sequence[ComparedPair] = ()) -> FindingRow:
    """Whether class entropy falls with depth more after the training than before."""
    measured = "that correlation after minus before"
    hypothesis = of_change(pair, "classes_more", measured, "channels")
    return _entropy_finding(hypothesis, pair, twins, minus_before=True)


def _entropy_finding(
    hypothesis: Hypothesis,
    pair: ComparedPair,
    twins: Sequence[ComparedPair],
    *,
    minus_before: bool,
) -> FindingRow:
    """Whether a trend of class entropies is below 0, over channels, pictures and trainings."""
    entropies, largest = Entropies.of(pair), 2 if minus_before else 1
    depths, before, after = entropies.depths, entropies.before, entropies.after

    def trends(rows: Rows | slice, before: NDArray[Any], after: NDArray[Any]) -> NDArray[Any]:
        ranks = depth_ranks(depths[rows], after)
        return ranks - depth_ranks(depths[rows], before) if minus_before else ranks

    try:
        value = entropies.rank_after - (entropies.rank_before if minus_before else 0)
        interval = over_channels(
            lambda rows: trends(rows, before[rows], after[rows]),
            depths,
            generator(pair.seed, "channels", hypothesis.statement),
            draws=500,
        )
        if pair.shown:
            shown = pair.shown().only(entropies.channels)
            sides = redrawn_entropies(shown, before, after, pair.seed)
            spread = float(np.nanstd(trends(slice(None), *(side.T for side in sides))))
            interval = over_both(interval, value, spread, largest=largest)
        luck = [twin.rank_after - twin.rank_before for twin in map(Entropies.of, twins)]
    except MeasureError as error:
        return hypothesis.untested(str(error))
    interval = over_both(interval, value, spread_of_twins(luck), largest=largest)
    return hypothesis.decided(
        value, interval, n=len(before), hoped="below", remark=beside_twins(luck)
    )


def beside_twins(luck: Sequence[float]) -> str:
    """By how much trainings of one route differ, in words; "" without twins."""
    if not luck:
        return ""
    values = ", ".join(f"{value:.2f}" for value in luck).replace("-", "−")
    return f"between two trainings of one start it differs by {values}"


def redrawn_entropies(
    shown: Shown, before: NDArray[np.float64], after: NDArray[np.float64], seed: int
) -> list[NDArray[np.float64]]:
    """The class entropies of channels, before and after, [channels, DRAWS] when the pictures are
    drawn anew, or their groups; those of a channel none of whose images was drawn stay.
    """
    # the report reads the statements' words and has no SciPy
    from overpaint.measures.redrawn import Maximal, redrawn

    images = len(shown.labels)
    numbers = group_numbers(shown.groups, images)
    rng = generator(seed, "pictures", "channels")
    times = redrawn(images, DRAWS, rng, groups=numbers)
    sides = []
    for maximal, entropy in ((shown.before, before), (shown.after, after)):
        anew = Maximal.of(maximal, shown.labels, classes=shown.classes).entropies(times)
        sides.append(np.where(np.isnan(anew), entropy[:, None], anew))
    return sides


# --- filters specialise --------------------------------------------------------------------------


def signs_of(pair: ComparedPair) -> tuple[pd.DataFrame, Rows, NDArray[np.float64]]:
    """The channels that were tested, their rows in the table, and 1 for each that concentrated, −1
    for each that scattered.
    """
    channels = np.flatnonzero(pair.channels["specialised_p"].notna())
    tested = pair.channels.iloc[channels]
    p = tested["specialised_p"].to_numpy(float)
    return tested, channels, np.subtract(p <= LEVEL, p >= 1 - LEVEL, dtype=np.float64)


def filters_finding(pair: ComparedPair, twins: Sequence[ComparedPair] = ()) -> FindingRow:
    """Whether more channels gained concentration than lost it, beyond what labels dealt out at
    random would show.

    Both tails are needed: a channel that knows the classes already moves, up or down, by more than
    random labels allow. Between two trainings of one start as many gain as lose, if the channels
    move each by itself; by how much they move together, `twins` tell.
    """
    measured = f"share of channels with p ≤ {LEVEL} minus that with p ≥ {1 - LEVEL}"
    hypothesis = of_change(pair, "filters", measured, "channels")
    tested, channels, signs = signs_of(pair)
    if tested.empty:
        return hypothesis.untested("no channel was tested: none fires in both networks")
    sure = int((tested["specialised_q"] <= LEVEL).sum())
    value = float(signs.mean())
    interval = over_channels(
        lambda rows: signs[rows].mean(axis=-1),
        tested["layer"].to_numpy(),
        generator(pair.seed, "channels", "filters"),
    )
    if pair.shown:
        from overpaint.measures.specialised import critical

        shown = pair.shown().only(channels)
        low, high = critical(
            shown.before,
            shown.after,
            shown.labels,
            classes=shown.classes,
            level=LEVEL,
            rng=generator(pair.seed, "critical", "filters"),
        )
        before, after = redrawn_entropies(
            shown,
            tested["entropy_before"].to_numpy(float),
            tested["entropy_after"].to_numpy(float),
            pair.seed,
        )
        # a fall that is drawn anew has its chance twice: once here, once in these pictures
        falls = (before - after) / np.sqrt(2)
        shares = (falls > high[:, None]).mean(axis=0) - (falls <= low[:, None]).mean(axis=0)
        interval = over_both(interval, value, float(shares.std()))
    luck = [float(signs.mean()) for _, _, signs in map(signs_of, twins) if len(signs)]
    remark = (
        f"{(signs > 0).sum()} concentrated, {(signs < 0).sum()} scattered; {sure} "
        f"concentrated at a false discovery rate of {100 * LEVEL:.0f} %"
    )
    return hypothesis.decided(
        value,
        over_both(interval, value, spread_of_twins(luck)),
        n=len(tested),
        hoped="above",
        remark="; ".join(filter(None, (remark, beside_twins(luck)))),
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
        n_groups=pictures.n_groups,
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
        sampled = Sampled.of(layers, change.seed, change.groups)
        interval = sampled.interval(
            lambda ckas: float(signs @ ckas), generator(change.seed, "halves", "control")
        )
    except MeasureError as error:
        return hypothesis.untested(str(error))
    return hypothesis.decided(
        alike - changed, interval, n=sampled.n, n_groups=sampled.n_groups, hoped="above"
    )


# --- what changed matters ------------------------------------------------------------------------


def matters_finding(tried: TriedPair, compared: ComparedPair) -> FindingRow:
    """Whether setting a layer back costs the more, the more it changed.

    Layers whose weights did not change cost nothing and say nothing of it.
    """
    hypothesis = of_change(
        compared,
        "matters",
        "rank correlation of change (1 − debiased CKA) with the cost of setting the layer back",
        "layers",
    )
    only = tried.rewind[tried.rewind["how"] == "only"]
    changed = only[only["status"] == "ok"].merge(
        compared.with_cka[["layer", "cka_debiased"]], on="layer"
    )
    changes, costs = (1 - changed["cka_debiased"]).tolist(), changed["cost"].tolist()
    try:
        interval = over_permutations(changes, costs, generator(compared.seed, "dealt", "matters"))
        value = depth_rank(changes, costs)
    except MeasureError as error:
        return hypothesis.untested(str(error))
    moved = changed.dropna(subset="moved")
    remarks = []
    if len(moved) == len(changed) and len({*moved["moved"]}) > 1:
        of_weights = depth_rank(moved["moved"].tolist(), costs)
        remarks.append(f"{of_weights:.2f} with how far the weights moved".replace("-", "−"))
    if len(changed) < len(only):
        remarks.append(f"{len(only) - len(changed)} of {len(only)} layers left out: did not change")
    return hypothesis.decided(
        value, interval, n=len(changed), hoped="above", remark="; ".join(remarks)
    )


def free_finding(tried: TriedPair) -> FindingRow:
    """Whether the lower third of the layers can be set back, all together, for nothing."""
    hypothesis = Hypothesis(
        statement="free",
        before=tried.before,
        after=tried.after,
        subject=f"{tried.before} → {tried.after}",
        measured="score lost when the lower third of the layers is set back to before",
        unit="pictures",
    )
    up_to = tried.rewind[tried.rewind["how"] == "up_to"].sort_values("position")
    third = len(up_to) // 3
    if not third:
        return hypothesis.untested(f"{len(up_to)} layers have no lower third")
    last = up_to.iloc[third - 1]
    layers = f"the {third} of {len(up_to)} layers up to {last['layer']}"
    if last["status"] == "identical":
        return hypothesis.untested(f"{layers} did not change")
    cost = Score(
        value=float(last["cost"]),
        low=float(last["low"]),
        high=float(last["high"]),
        chance=0.0,
        n=int(last["n"]),
        n_groups=None if pd.isna(n_groups := last.get("n_groups")) else int(n_groups),
    )
    return spared(hypothesis, cost, layers)


def basin_finding(study: Study, tried: TriedPair) -> FindingRow | None:
    """Whether no barrier stands between two trainings; None of two that are no such pair."""
    pair = tried.before, tried.after
    if twins(study, *pair):
        drawn = study.all_networks[tried.before].draws_everything
        remark = "two trainings of one route" + (", from other random weights" if drawn else "")
    elif pair in (routes := double_routes(study)) or pair[::-1] in routes:
        remark = "single and double fine-tuning"
    else:
        return None
    if tried.barrier is None:
        return None
    hypothesis = Hypothesis(
        statement="basin",
        before=tried.before,
        after=tried.after,
        subject=f"{tried.before} and {tried.after}",
        measured="mean score of the two minus that of the network half-way between them",
        unit="pictures",
    )
    return spared(hypothesis, tried.barrier, remark)


def forgot_finding(tried: TriedPair, lost: Score) -> FindingRow:
    """Whether the training lost the parent's task: the parent's head on the child's backbone."""
    hypothesis = Hypothesis(
        statement="forgot",
        before=tried.before,
        after=tried.after,
        subject=f"{tried.after}, of {tried.parent_dataset}",
        measured="score of the parent on its own task minus that of its head on the child",
        unit="pictures",
    )
    return hypothesis.decided(
        lost.value,
        (lost.low, lost.high),
        n=lost.n,
        n_groups=lost.n_groups,
        hoped="above",
        remark=f"the parent is {tried.parent}",
    )


READABLE = 0.9
"""Classes are readable where a probe has this share of what it has at best, above chance."""


def earlier_finding(
    pair: ComparedPair, probes_before: pd.DataFrame, probes_after: pd.DataFrame
) -> FindingRow:
    """Whether layers below the last tell the classes better after the training than before.

    The score of a linear probe, after minus before, mean over the layers but the last, which any
    training for the classes raises. Standard errors of two networks and of layers on the same
    pictures are added as if the networks were independent and the layers one: rather too wide.
    """
    hypothesis = of_change(
        pair,
        "earlier",
        "score of a linear probe, after minus before, mean over all layers but the last",
        "pictures",
    )
    linear = [
        probes.query("method == 'linear'").dropna(subset=["value", "low", "high", "chance"])
        for probes in (probes_before, probes_after)
    ]
    both = linear[0].merge(linear[1], on="layer", suffixes=("_before", "_after"))
    both = both.sort_values("position_after")
    below = both.iloc[:-1]
    if len(below) < 2 or (both["n_before"] != both["n_after"]).any():
        return hypothesis.untested("they were not probed on the same pictures at three layers")
    if (below["value_before"] == below["value_after"]).all():
        return hypothesis.untested("below the last layer both say the same")
    value = float((below["value_after"] - below["value_before"]).mean())
    widths = [below[f"high_{end}"] - below[f"low_{end}"] for end in ("before", "after")]
    half = float(np.hypot(widths[0], widths[1]).mean() / 2)
    chance = both["chance_before"].iloc[0]
    level = chance + READABLE * (both["value_before"].max() - chance)
    places = [
        next(iter(both.loc[both[f"value_{end}"] >= level, "layer"]), "no layer")
        for end in ("before", "after")
    ]
    return hypothesis.decided(
        value,
        (value - half, value + half),
        n=int(both["n_after"].iloc[0]),
        hoped="above",
        remark=f"{100 * READABLE:.0f} % of what {pair.before} knows at best, above chance, at "
        f"{places[0]} before and {places[1]} after",
    )


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


OF_CHANNELS = (
    "The interval is a bootstrap over the channels of each layer and over the pictures, or their "
    "groups: channels that like the same pictures move together. Where a route was trained twice, "
    "the difference between its trainings widens it."
)
NO_CHANGE = "No comparison is of a network and its training."
NOT_TRIED = "A study tests it with “causes: {word}”, or true, {of}."

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
                f"channel. {OF_CHANNELS}"
            ),
            nothing=NO_CHANGE,
            test=lambda results: (
                classes_finding(pair, results.twins_of(pair)) for pair in results.changes
            ),
        ),
        Statement(
            key="classes_more",
            title="… and more so after the training than before",
            reading=(
                "The same correlation after the training minus that before: below 0, the training "
                f"made the fall steeper. {OF_CHANNELS}"
            ),
            nothing=NO_CHANGE,
            test=lambda results: (
                classes_more_finding(pair, results.twins_of(pair)) for pair in results.changes
            ),
        ),
        Statement(
            key="filters",
            title="Filters specialise",
            reading=(
                "A channel’s fall of class entropy is held against labels dealt out at random, in "
                "a permutation test. The value is the share of channels that concentrated (p ≤ "
                "0.05) minus the share that scattered (p ≥ 0.95): between two trainings of one "
                f"start as many do one as the other. {OF_CHANNELS}"
            ),
            nothing=NO_CHANGE,
            test=lambda results: (
                filters_finding(pair, results.twins_of(pair)) for pair in results.changes
            ),
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
        Statement(
            key="matters",
            title="The layers that moved most matter most",
            reading=(
                "Spearman’s rank correlation over the layers of 1 − debiased CKA with what the "
                "score loses when the layer alone is set back to before: above 0, the more a layer "
                "changed, the more its change is missed. The interval is as wide as what dealing "
                "the costs out to the layers at random gives; layers that did not change are left "
                "out. Both may grow with depth for reasons of their own."
            ),
            nothing=NOT_TRIED.format(
                word="[rewind]", of="on a comparison of a network and its training"
            ),
            test=lambda results: (
                matters_finding(results.tried[pair], compared)
                for pair, compared in results.of_changes
                if len(results.tried[pair].rewind)
            ),
        ),
        Statement(
            key="free",
            title="Low layers can be set back for free",
            reading=(
                "What the score loses when the lower third of the layers is set back to before, "
                "all together: free below 2 points, which stand in the place of chance. The "
                "interval is a paired bootstrap over pictures, never narrower than what so few "
                "pictures can show."
            ),
            nothing=NOT_TRIED.format(
                word="[rewind]", of="on a comparison of a network and its training"
            ),
            test=lambda results: (
                free_finding(results.tried[pair])
                for pair, _ in results.of_changes
                if len(results.tried[pair].rewind)
            ),
            in_points=True,
        ),
        Statement(
            key="basin",
            title="Two trainings lie in one basin",
            reading=(
                "The mean score of two trainings minus that of the network half-way between their "
                "weights, the barrier: below 2 points, which stand in the place of chance, the two "
                "lie in one basin and can be mixed. Trainings of one route that differ by their "
                "seed, and double with single fine-tuning. The interval is a paired bootstrap over "
                "pictures, never narrower than what so few pictures can show."
            ),
            nothing=NOT_TRIED.format(
                word="[between]",
                of="on trainings that are repeated, and on double with single fine-tuning",
            ),
            test=lambda results: filter(
                None,
                (basin_finding(results.study, tried) for tried in results.tried.values()),
            ),
            in_points=True,
        ),
        Statement(
            key="forgot",
            title="The training forgot the parent’s task",
            reading=(
                "The score of the parent on its own test pictures minus that of the parent’s head "
                "on the child’s backbone: above 0, that much was forgotten. The interval is a "
                "paired bootstrap over pictures. A new head on the child’s features may do better."
            ),
            nothing=NOT_TRIED.format(
                word="[forgetting]", of="where a network is trained from one that was trained here"
            ),
            test=lambda results: (
                forgot_finding(tried, tried.lost) for tried in results.tried.values() if tried.lost
            ),
            in_points=True,
        ),
        Statement(
            key="earlier",
            title="Classes become readable earlier after fine-tuning",
            reading=(
                "The score of a linear probe on a layer’s features, after minus before, mean over "
                "all layers but the last: above 0, lower layers tell the classes that before only "
                "higher ones told. The interval adds those of the two networks as if they were "
                "independent, which makes it rather too wide. The remark names the first layer "
                "that has 90 % of what the network before knows at best, above chance."
            ),
            nothing=NOT_TRIED.format(
                word="[probe]", of="on a comparison of a network and its training"
            ),
            test=lambda results: (
                earlier_finding(pair, before, after) for pair, before, after in results.probed
            ),
            in_points=True,
        ),
    )
}
"""The statements by key, in the order in which they are reported."""


def findings(results: Results) -> Iterator[FindingRow]:
    """A row for each statement and each comparison or pair of routes that tests it."""
    for statement in STATEMENTS.values():
        yield from statement.test(results)
