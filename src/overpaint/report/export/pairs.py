"""What two studies both have under one name, in pairs: scores and comparisons."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import pandas as pd

from overpaint.records import Score, Scores
from overpaint.report.charts import plots
from overpaint.report.export.against_rows import SharedChange, SharedScore
from overpaint.report.parts.routes import score_name
from overpaint.report.parts.rows import Cell, Figure
from overpaint.report.parts.text import (
    ABSENT,
    count,
    interval,
    known,
    listed,
    number,
    of_pictures,
    percent,
    points,
)
from overpaint.report.site.files import Site
from overpaint.report.study.reading import ComparisonRecords, DatasetRecords, Records

Value = TypeVar("Value")


def shared(
    first: Mapping[str, Value], second: Mapping[str, Value]
) -> dict[str, tuple[Value, Value]]:
    """What both have under one name.

    >>> shared({"a": 1, "b": 2}, {"b": 3, "c": 4})
    {'b': (2, 3)}
    """
    return {name: (first[name], second[name]) for name in first if name in second}


# --- pictures ----------------------------------------------------------------------------------


def images(dataset: DatasetRecords, split: str) -> pd.DataFrame:
    """The usable pictures of a split."""
    return dataset.usable[dataset.usable["split"] == split]


def digests(dataset: DatasetRecords, split: str) -> set[str]:
    """The digests of the files of a split."""
    return set(images(dataset, split)["digest"])


# --- scores ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ScorePair:
    """A score that both studies gave to one network, on one dataset and split."""

    network: str
    kind: str
    dataset: str
    split: str
    decides: bool  # whether it is the dataset's main score
    first: Score
    second: Score
    same_pictures: bool

    @property
    def overlap(self) -> bool:
        """Whether the intervals overlap."""
        return self.first.low <= self.second.high and self.second.low <= self.first.high

    @property
    def line(self) -> SharedScore:
        """The pair as a line of the page."""
        difference = self.second.value - self.first.value
        overlap = "overlap" if self.overlap else "do not overlap"
        warning = "" if self.same_pictures else "; not tested with the same pictures"
        first, second = (
            Cell(
                percent(score.value),
                aside=f"{interval(score.low, score.high)}; N\xa0{of_pictures(score)}",
            )
            for score in (self.first, self.second)
        )
        return SharedScore(
            network=self.network,
            score=f"{score_name(self.kind)} on {self.dataset}/{self.split}",
            first=first,
            second=second,
            difference=f"{'+' if difference > 0 else ''}{points(difference)} points",
            overlap=f"{overlap}{warning}",
        )

    @property
    def columns(self) -> dict[str, object]:
        """The pair as a row of the table beside the page."""
        return {
            "network": self.network,
            "dataset": self.dataset,
            "split": self.split,
            "score": self.kind,
            **{
                f"{study}_{column}": getattr(score, column)
                for study, score in (("first", self.first), ("second", self.second))
                for column in ("value", "low", "high", "chance", "n")
            },
            "difference": self.second.value - self.first.value,
            "intervals_overlap": self.overlap,
        }


def shared_scores(first: Records, second: Records) -> Iterable[ScorePair]:
    """The scores of networks and ensembles that both scored on one dataset and split."""
    for name, (a, b) in shared(scored(first), scored(second)).items():
        if (a.dataset, a.split) != (b.dataset, b.split):
            continue
        pictures = [
            digests(records.datasets[a.dataset], a.split)
            for records in (first, second)
            if a.dataset in records.datasets
        ]
        for kind, scores in shared(a.scores, b.scores).items():
            yield ScorePair(
                network=name,
                kind=kind,
                dataset=a.dataset,
                split=a.split,
                decides=kind == a.main,
                first=scores[0],
                second=scores[1],
                same_pictures=len(pictures) == 2
                and bool(pictures[0])
                and pictures[0] == pictures[1],
            )


def scored(records: Records) -> dict[str, Scores]:
    """The scores of the networks and ensembles that have some."""
    networks, ensembles = records.networks.values(), records.ensembles.values()
    return {
        **{network.name: network.scores for network in networks if network.scores},
        **{ensemble.name: ensemble.scores for ensemble in ensembles if ensemble.scores},
    }


# --- changes -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ChangePair:
    """A comparison that both studies measured."""

    first: ComparisonRecords
    second: ComparisonRecords

    @property
    def measure(self) -> str:
        """Debiased CKA where both have it at every layer."""
        debiased = self.first.trusted == self.second.trusted == "cka_debiased"
        return "cka_debiased" if debiased else "cka"

    @cached_property
    def layers(self) -> pd.DataFrame:
        """CKA with its interval at each layer that both have.

        Columns: layer; value, low and high of the first; value_2, low_2 and high_2 of the second.
        """
        columns = ["layer", self.measure, f"{self.measure}_low", f"{self.measure}_high"]
        first, second = (
            comparison.layers[columns].set_axis(["layer", "value", "low", "high"], axis=1).dropna()
            for comparison in (self.first, self.second)
        )
        return first.merge(second, on="layer", suffixes=("", "_2"))

    @property
    def line(self) -> SharedChange:
        """The pair as a line of the page."""
        layers = self.layers
        means = [known(layers[column].mean()) for column in ("value", "value_2")]
        gap = None if means[0] is None or means[1] is None else means[1] - means[0]
        is_apart = (layers["low"] > layers["high_2"]) | (layers["low_2"] > layers["high"])
        apart = layers[is_apart]["layer"].tolist()
        first, second = (
            Cell(
                number(mean),
                aside=f"{comparison.facts.dataset or ABSENT}, "
                f"N\xa0{count(known(comparison.layers['n_images'].max()))}",
            )
            for mean, comparison in zip(means, (self.first, self.second), strict=True)
        )
        return SharedChange(
            name=self.first.title,
            first=first,
            second=second,
            difference=f"{'+' if gap and gap > 0 else ''}{number(gap)}",
            apart=f"{len(apart)} of {len(layers)}{': ' if apart else ''}{', '.join(apart)}",
        )

    def figure(self, site: Site, place: str, names: tuple[str, str]) -> Figure:
        """The curves of both studies in one chart."""
        columns = ["layer", "value", "low", "high"]
        sides = (columns, ["layer", "value_2", "low_2", "high_2"])
        long = pd.concat(
            [
                self.layers[side].set_axis(columns, axis=1).assign(what=name)
                for name, side in zip(names, sides, strict=True)
            ],
            ignore_index=True,
        )
        measure = "Debiased CKA" if self.measure == "cka_debiased" else "CKA"
        return site.figure(
            f"{place}/{self.first.name}",
            title=self.first.title,
            reading=(
                f"{measure} by layer in both studies, with 95\xa0% intervals: 1 where a layer sees "
                "the pictures as before. Where the bands part, the studies differ by more than "
                "their pictures."
            ),
            alt_text=f"{measure} of {self.first.title} by layer in {listed(names)}.",
            chart=plots.curves(long, names, measure),
            table=long,
        )


def measured(records: Records) -> dict[str, ComparisonRecords]:
    """The comparisons that have a CKA."""
    return {
        name: comparison
        for name, comparison in records.comparisons.items()
        if comparison.layers[comparison.trusted].notna().any()
    }
