"""How a finding comes to its row: a value and its interval, beside what chance gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from overpaint.defaults import GROUPS
from overpaint.findings.results import (
    ComparedPair,
)
from overpaint.measures.centred import Table, rows_at
from overpaint.measures.cka import Grams
from overpaint.measures.groups import Ints, group_numbers, how_many
from overpaint.measures.verdicts import (
    over_halves,
    unseen,
    verdict,
)
from overpaint.records import FindingRow, Score
from overpaint.seeds import generator

PICTURES = 1000
"""Pictures, drawn at random from a larger split, whose halves give the interval of a CKA."""


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
