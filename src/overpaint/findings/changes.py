"""The paper's statements: of layers, channels, filters, double fine-tuning, and the control."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.defaults import LEVEL
from overpaint.errors import MeasureError
from overpaint.findings.hypothesis import Hypothesis, Sampled, of_change
from overpaint.findings.results import (
    ComparedPair,
    ComparedRoutes,
    Rows,
    Shown,
)
from overpaint.measures.groups import group_numbers
from overpaint.measures.verdicts import (
    beyond_twins,
    depth_rank,
    depth_ranks,
    over_both,
    over_channels,
    spread_of_twins,
)
from overpaint.records import FindingRow
from overpaint.seeds import generator

DRAWS = 200
"""How often the pictures are drawn anew for the interval of what channels show."""


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
    """In how many layers the change is beyond what another seed changes, in words; "" without
    twins.
    """
    if "cka_debiased_twins" not in pair.layers:
        return ""
    columns = (pair.layers[name].tolist() for name in ("cka_debiased_high", "cka_debiased_twins"))
    more, known = beyond_twins(*columns)
    return f"{more} of {known} layers changed beyond what two trainings differ by" if known else ""


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
