"""Findings: the statements of the paper, each put to this study, with its interval.

From tables, scores and stored features alone; no network runs. What a study cannot decide is said
to be undecided, and what it has not tried to be untested.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.errors import MeasureError
from overpaint.measures.centred import Array, Centred
from overpaint.measures.hsic import Sums, cka_of
from overpaint.measures.verdicts import depth_rank, over_channels, over_halves, verdict
from overpaint.records import FindingRow, RouteDifference, Score
from overpaint.seeds import generator
from overpaint.study import NetworkEntry, Study

Features = NDArray[np.float32]
"""[N, C] of one layer."""

Read = Callable[[str, str], Features]
"""(network, layer) -> its features of the pictures that CKA is measured on."""

LEVEL = 0.05
"""Below which a p counts as small, and a q as specialised."""

TRIED = 1000
"""Pictures, drawn at random from a larger split, whose halves give the interval of a CKA."""


@dataclass(frozen=True)
class Seen:
    """A comparison and what its measures were computed from."""

    before: str
    after: str
    layers: pd.DataFrame  # LayerRow
    channels: pd.DataFrame  # ChannelRow
    images: str  # the split of the CKA
    seed: int

    @property
    def subject(self) -> str:
        """How it is called."""
        return f"{self.before} → {self.after}"

    @property
    def trusted(self) -> pd.DataFrame:
        """The layers whose debiased CKA is known, in the order of execution."""
        known = self.layers.dropna(subset="cka_debiased")
        return known.sort_values("position")


# --- low layers change less ----------------------------------------------------------------------


def layers_finding(seen: Seen, read: Read) -> FindingRow:
    """Whether CKA falls with depth."""
    told = Told("layers", seen.subject, "rank correlation of debiased CKA with depth", "pictures")
    names, depths = seen.trusted["layer"].tolist(), seen.trusted["position"].tolist()
    try:
        value = depth_rank(depths, seen.trusted["cka_debiased"].tolist())
        pairs = [(read(seen.before, name), read(seen.after, name)) for name in names]
        some, n = _some(pairs, seen.seed)
        interval = over_halves(
            lambda rows: depth_rank(depths, [each.cka(rows) for each in some]),
            len(some[0].before),
            generator(seen.seed, "halves", "layers"),
        )
    except MeasureError as error:
        return told.untested(str(error))
    return told.decided(value, interval, chance=0.0, n=n, hoped="below")


@dataclass(frozen=True)
class Grams:
    """The Gram matrices [N, N] of one layer's features in two networks."""

    before: Array
    after: Array

    def cka(self, rows: NDArray[np.intp]) -> float:
        """The debiased CKA of some of the pictures; `linear_cka` of their features, but the
        products of features are not made anew for each half.
        """
        k, g = (_centred(gram[np.ix_(rows, rows)]) for gram in (self.before, self.after))
        return float(cka_of(_sums(k, g), _sums(k, k), _sums(g, g), debiased=True))


def _centred(gram: Array) -> Array:
    means = gram.mean(axis=0)
    return np.asarray(gram - means - means[:, None] + means.mean())


def _sums(k: Array, g: Array) -> Sums:
    a, b = np.diagonal(k), np.diagonal(g)
    parts = (np.vdot(k, g), a @ b, a.sum(), b.sum())
    return Sums(len(k), *map(np.asarray, parts))


def _some(pairs: Sequence[tuple[Features, Features]], seed: int) -> tuple[list[Grams], int]:
    """The Grams of at most `TRIED` pictures, the same of all layers, and how many there were."""
    n = len(pairs[0][0])
    rows = np.sort(generator(seed, "tried").permutation(n)[:TRIED])
    return [Grams(*(Centred.of(side[rows]).gram for side in pair)) for pair in pairs], n


# --- high layers concentrate classes -------------------------------------------------------------


def class_findings(seen: Seen) -> Iterable[FindingRow]:
    """Whether class entropy falls with depth, and more so after the training than before."""
    alive = seen.channels.dropna(subset=["entropy_before", "entropy_after"])
    depths = alive["layer"].map(dict(zip(seen.layers["layer"], seen.layers["position"],
                                         strict=True))).to_numpy(float)  # fmt: skip
    before, after = (alive[f"entropy_{side}"].to_numpy(float) for side in ("before", "after"))
    falls = Told("classes", seen.subject,
                 "rank correlation of class entropy with depth, after", "channels")  # fmt: skip
    more = Told("classes_more", seen.subject,
                "that correlation after minus before", "channels")  # fmt: skip

    def of_after(rows: NDArray[np.intp]) -> float:
        return depth_rank(depths[rows].tolist(), after[rows].tolist())

    def gained(rows: NDArray[np.intp]) -> float:
        return of_after(rows) - depth_rank(depths[rows].tolist(), before[rows].tolist())

    for told, statistic in ((falls, of_after), (more, gained)):
        try:
            value = statistic(np.arange(len(alive)))
            rng = generator(seen.seed, "channels", told.statement)
            interval = over_channels(statistic, depths, rng, draws=500)
        except MeasureError as error:
            yield told.untested(str(error))
            continue
        yield told.decided(value, interval, chance=0.0, n=len(alive), hoped="below")


# --- filters specialise --------------------------------------------------------------------------


def filters_finding(seen: Seen) -> FindingRow:
    """Whether more channels gained concentration than lost it, beyond what labels dealt out at
    random would show.

    Both tails are needed: a channel that knows the classes already moves, up or down, by more than
    random labels allow. Between two trainings of one start as many gain as lose.
    """
    measured = "share of channels with p ≤ 0.05 minus that with p ≥ 0.95"
    told = Told("filters", seen.subject, measured, "channels")
    tested = seen.channels.dropna(subset="specialised_p")
    if tested.empty:
        return told.untested("no channel was tested: none fires in both networks")
    p = tested["specialised_p"].to_numpy(float)
    signs = (p <= LEVEL) * 1.0 - (p >= 1 - LEVEL)
    sure = int((tested["specialised_q"] <= LEVEL).sum())
    rng = generator(seen.seed, "channels", "filters")
    interval = over_channels(
        lambda rows: float(signs[rows].mean()), tested["layer"].to_numpy(), rng
    )
    return told.decided(
        float(signs.mean()),
        interval,
        chance=0.0,
        n=len(tested),
        hoped="above",
        remark=f"{(signs > 0).sum()} concentrated, {(signs < 0).sum()} scattered; {sure} "
        "concentrated at a false discovery rate of 5 %",
    )


# --- double fine-tuning helps --------------------------------------------------------------------


def double_routes(study: Study) -> list[tuple[str, str]]:
    """The (single, double) routes of a study: to one dataset from one start, at once and by way of
    another dataset.
    """
    entries = study.networks
    return [
        (single, double)
        for double, entry in entries.items()
        for single, other in entries.items()
        if _is_detour(entries, entry, other)
    ]


def _is_detour(entries: dict[str, NetworkEntry], double: NetworkEntry, other: NetworkEntry) -> bool:
    middle = entries.get(double.parent or "")
    if middle is None or middle.parent is None or middle.fit in (None, double.fit):
        return False
    alike = (double.recipe == "linear_svm") == (other.recipe == "linear_svm")
    return other.parent == middle.parent and other.fit == double.fit and alike


def double_finding(
    single: str, double: str, by_pictures: Score, by_trainings: RouteDifference | None
) -> FindingRow:
    """Whether the detour scores higher: over trainings where they were repeated, else over
    pictures.
    """
    subject = f"{double} against {single}"
    gap = by_trainings
    if gap is not None and gap.low is not None and gap.high is not None:
        told = Told("double", subject, f"difference of {gap.score}", "trainings")
        return told.decided(gap.difference, (gap.low, gap.high), chance=0.0,
                            n=gap.n_first + gap.n_second, hoped="above")  # fmt: skip
    told = Told("double", subject, "difference of the main score", "pictures")
    return told.decided(
        by_pictures.value,
        (by_pictures.low, by_pictures.high),
        chance=0.0,
        n=by_pictures.n,
        hoped="above",
        remark="one training of each: the luck of their seeds is not in the interval",
    )


# --- the control ---------------------------------------------------------------------------------


def twins(study: Study, one: str, other: str) -> bool:
    """Whether two networks are trainings from one start that differ by nothing but their seed."""
    if one == other or not {one, other} <= set(study.all_networks):
        return False
    first, second = study.all_networks[one], study.all_networks[other]
    same = ("load", "parent", "weights", "fit", "recipe", "overrides")
    return first.fit is not None and all(getattr(first, x) == getattr(second, x) for x in same)


def control_finding(change: Seen, control: Seen, read: Read) -> FindingRow:
    """Whether two trainings from one start (`control`) are more alike than one of them and its
    start (`change`).
    """
    subject = f"{control.before}, {control.after} and their start {change.before}"
    measured = "mean debiased CKA of the two trainings minus that of start and training"
    told = Told("control", subject, measured, "pictures")
    shared = [x for x in change.trusted["layer"] if x in set(control.trusted["layer"])]
    if not shared or change.images != control.images:
        return told.untested("they were not compared on the same pictures and layers")
    pairs = [
        (read(seen.before, name), read(seen.after, name))
        for seen in (control, change)
        for name in shared
    ]
    signs = np.repeat([1.0, -1.0], len(shared)) / len(shared)
    values = [
        float(seen.trusted.set_index("layer").loc[shared, "cka_debiased"].mean())
        for seen in (control, change)
    ]
    try:
        some, n = _some(pairs, change.seed)
        interval = over_halves(
            lambda rows: float(signs @ [each.cka(rows) for each in some]),
            len(some[0].before),
            generator(change.seed, "halves", "control"),
        )
    except MeasureError as error:
        return told.untested(str(error))
    return told.decided(values[0] - values[1], interval, chance=0.0, n=n, hoped="above")


# --- rows ----------------------------------------------------------------------------------------


class Told(NamedTuple):
    """What a finding is about, before it is decided."""

    statement: str
    subject: str
    measured: str
    unit: str

    def decided(
        self,
        value: float,
        interval: tuple[float, float],
        *,
        chance: float,
        n: int,
        hoped: Literal["below", "above"],
        remark: str = "",
    ) -> FindingRow:
        """The row with its verdict; the interval holds the value."""
        low, high = min(interval[0], value), max(interval[1], value)
        found = verdict(low, high, chance=chance, hoped=hoped)
        return FindingRow(self.statement, self.subject, found, self.measured, value, low, high,
                          chance, n, self.unit, remark)  # fmt: skip

    def untested(self, why: str) -> FindingRow:
        """The row of what could not be tested."""
        return FindingRow(self.statement, self.subject, "untested", self.measured, None, None, None,
                          None, 0, self.unit, why)  # fmt: skip
