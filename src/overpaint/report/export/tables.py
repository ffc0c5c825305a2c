"""The tables of a paper: scores by network, changes by comparison."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from math import sqrt
from statistics import stdev

import numpy as np
import pandas as pd

from overpaint.records import Score
from overpaint.report.charts.mattered import LayerCost, change_beside_cost
from overpaint.report.export.grid import Grid, in_latex, in_markdown
from overpaint.report.parts.routes import Route, routes, score_name
from overpaint.report.parts.rows import Link
from overpaint.report.parts.text import (
    ABSENT,
    count,
    counted,
    interval,
    known,
    listed,
    number,
    of_groups,
    percent,
    points,
)
from overpaint.report.parts.tree import begin_of, training
from overpaint.report.site.files import Site
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import ComparisonRecords, Records


def write(site: Site, records: Records) -> Iterable[tuple[str, tuple[Link, ...]]]:
    """The tables as files of the site: what each tells, and the files that tell it."""
    changes = [change(comparison) for comparison in records.comparisons.values()]
    costs = {
        comparison.title: change_beside_cost(comparison)
        for comparison in records.comparisons.values()
    }
    costs = {title: table for title, table in costs.items() if len(table)}
    for title, grids, frame in [
        ("Scores", score_grids(records), None),
        ("Changes", change_grids(changes), pd.DataFrame([row.columns for row in changes])),
        (
            "Causes",
            [cost_grid(title, rows(table, LayerCost)) for title, table in costs.items()],
            pd.concat([table.assign(change_of=title) for title, table in costs.items()])
            if costs
            else None,
        ),
    ]:
        if not grids:
            continue
        place = f"tables/{title.lower()}"
        latex = site.text(f"{place}.tex", "\n".join(map(in_latex, grids)))
        markdown = site.text(f"{place}.md", "\n".join(map(in_markdown, grids)))
        links = [Link("LaTeX", href=latex), Link("Markdown", href=markdown)]
        if frame is not None:
            links.append(Link("CSV", href=site.data(place, frame)))
        yield title, tuple(links)


# --- scores ------------------------------------------------------------------------------------


def score_grids(records: Records) -> list[Grid]:
    """The scores on each dataset, best route first."""
    fits = {network.fit for network in records.study.all_networks.values()}
    scored = {name: routes(records, name) for name in records.study.datasets if name in fits}
    return [score_grid(records, name, lines) for name, lines in scored.items() if lines]


def score_grid(records: Records, dataset: str, scored: list[Route]) -> Grid:
    """The scores of at least one route on a dataset, and the level of chance."""
    firsts = [next(iter(route.scores.values())) for route in scored]
    kinds = list(dict.fromkeys(kind for first in firsts for kind in first.scores))
    pictures = sorted({score.n for first in firsts for score in first.scores.values()})
    over = of_groups(
        f"{' or '.join(map(count, pictures))} pictures", firsts[0].scores[firsts[0].main].n_groups
    )
    spread = (
        " Where a route was trained several times: mean ± standard deviation over the trainings."
        if any(len(route.values) > 1 for route in scored)
        else ""
    )
    chance = []
    for kind in kinds:
        levels = {score.chance for route in scored for score in _scores(route, kind)}
        chance.append(" to ".join(map(_bare, sorted({min(levels), max(levels)}))))
    lines = tuple(
        (
            records.title(route.name),
            f"ensemble of {listed(records.titles(route.members))}"
            if route.members
            else f"{begin_of(records, route.name)} → {training(records, route.name)}",
            *(_score_cell(_scores(route, kind)) for kind in kinds),
            count(len(route.values)),
            count(max(score.n for score in first.scores.values())),
        )
        for route, first in zip(scored, firsts, strict=True)
    )
    return Grid(
        title=f"Scores on {dataset}/{firsts[0].split}, in percent",
        heads=("Network", "Training", *map(score_name, kinds), "Trainings", "N"),
        lines=lines,
        note=f"In parentheses the 95\xa0% bootstrap interval over the {over}.{spread}",
        last=("chance", "", *chance, "", ""),
        left=2,
    )


def _scores(route: Route, kind: str) -> list[Score]:
    """A score of each training that has it."""
    return [scores.scores[kind] for scores in route.scores.values() if kind in scores.scores]


def _score_cell(scores: list[Score]) -> str:
    values = [score.value for score in scores]
    if not values:
        return ABSENT
    if len(values) == 1:
        return f"{_bare(values[0])} ({interval(scores[0].low, scores[0].high)})"
    return f"{_bare(float(np.mean(values)))} ± {100 * stdev(values):.1f}"


def _bare(share: float | None) -> str:
    return percent(share).removesuffix("\xa0%")


# --- changes -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean and its interval; None where there is nothing to take it of."""

    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        """With three decimals.

        >>> str(Mean(value=0.6124, low=0.598, high=None)), str(Mean(value=0.5, low=0.25, high=0.75))
        ('0.612', '0.500 (0.250–0.750)')
        """
        within = "" if self.low is None or self.high is None else (
            f" ({number(self.low)}–{number(self.high)})"
        )  # fmt: skip
        return f"{number(self.value)}{within}"

    @property
    def in_percent(self) -> str:
        """With one decimal, without the sign.

        >>> Mean(value=0.35, low=0.252, high=0.448).in_percent
        '35.0 (25.2–44.8)'
        """
        within = "" if self.low is None or self.high is None else (
            f" ({interval(self.low, self.high)})"
        )  # fmt: skip
        return f"{_bare(self.value)}{within}"


@dataclass(frozen=True, kw_only=True)
class Change:
    """What changed from one network to another: the means that papers print, unrounded.

    Over layers: CKA, and without those that are as before; the weights. Over channels: the overlap
    of the maximal images and their class entropy, each with its level of chance.
    """

    before: str
    after: str
    dataset: str | None
    pictures: float | None
    layers: int
    cka: Mean
    cka_debiased: Mean
    layers_changed: int
    cka_changed: float | None
    cka_debiased_changed: float | None
    l2: float | None
    l2_relative: float | None
    weight_layers: int
    overlap: Mean
    overlap_chance: float | None
    entropy_before: Mean
    entropy_after: Mean
    entropy_chance: float | None
    channels: int
    k: int | None
    pictures_maximal: int | None

    @property
    def title(self) -> str:
        """The two networks."""
        return f"{self.before} → {self.after}"

    @property
    def columns(self) -> dict[str, object]:
        """The change as a row of a table, a mean as three columns."""
        row: dict[str, object] = {}
        for column in fields(self):
            value = getattr(self, column.name)
            if isinstance(value, Mean):
                ends = {"": value.value, "_low": value.low, "_high": value.high}
                row |= {f"{column.name}{end}": number for end, number in ends.items()}
            else:
                row[column.name] = value
        return row


def change(comparison: ComparisonRecords) -> Change:
    """The means of a comparison."""
    layers, channels = comparison.layers.dropna(subset="cka"), comparison.channels
    weights, facts = comparison.weights, comparison.facts
    changed = layers[layers["cka"] < 1]
    return Change(
        before=comparison.title_before,
        after=comparison.title_after,
        dataset=facts.dataset or None,
        pictures=known(comparison.layers["n_images"].max()),
        layers=len(layers),
        cka=over_layers(layers, "cka"),
        cka_debiased=over_layers(layers, "cka_debiased"),
        layers_changed=len(changed),
        cka_changed=known(changed["cka"].mean()),
        cka_debiased_changed=known(changed["cka_debiased"].mean()),
        l2=known(weights["l2"].mean()),
        l2_relative=known(weights["l2_relative"].mean()),
        weight_layers=int(weights["l2"].notna().sum()),
        overlap=over_channels(channels, "overlap"),
        overlap_chance=known(channels["overlap_chance"].mean()),
        entropy_before=over_channels(channels, "entropy_before"),
        entropy_after=over_channels(channels, "entropy_after"),
        entropy_chance=known(channels["entropy_chance"].mean()),
        channels=len(channels),
        k=facts.k,
        pictures_maximal=facts.n_maximal,
    )


def over_layers(layers: pd.DataFrame, column: str) -> Mean:
    """The mean over layers, and that of the intervals' ends.

    The standard error of a mean is at most the mean of the standard errors, whatever the layers
    have in common, so that this interval is rather too wide.
    """
    return Mean(
        value=known(layers[column].mean()),
        low=known(layers[f"{column}_low"].mean()),
        high=known(layers[f"{column}_high"].mean()),
    )


def over_channels(channels: pd.DataFrame, column: str) -> Mean:
    """The mean over channels with its 95 % interval: that of other channels of such layers.

    >>> table = pd.DataFrame({"layer": ["a", "a", "b", "b"], "x": [0.1, 0.3, 0.5, 0.5]})
    >>> str(over_channels(table, "x"))
    '0.350 (0.252–0.448)'

    The variance is that within layers, each with as many channels as it has.
    """
    values = channels[["layer", column]].dropna()
    mean = known(values[column].mean())
    if mean is None:
        return Mean(value=None, low=None, high=None)
    groups = values.groupby("layer")[column]
    error = sqrt(float((groups.size() * groups.var().fillna(0)).sum())) / len(values)
    return Mean(value=mean, low=mean - 1.96 * error, high=mean + 1.96 * error)


def change_grids(changes: Iterable[Change]) -> list[Grid]:
    """What changed inside, a line a comparison; none where nothing was compared."""
    rows = [row for row in changes if row.layers]
    return [layers_grid(rows), channels_grid(rows)] if rows else []


def layers_grid(rows: list[Change]) -> Grid:
    """What changed in the layers; the note says what frozen layers do to a mean."""
    frozen = [
        f" {row.title}: {row.layers - row.layers_changed} of {row.layers} layers are as before "
        "(CKA exactly 1), as frozen ones are; over the others the means are "
        f"{number(row.cka_changed)} and {number(row.cka_debiased_changed)}."
        for row in rows
        if 0 < row.layers_changed < row.layers
    ]
    return Grid(
        title="What each training changed in the layers",
        heads=("Before → after", "CKA", "CKA, debiased", "Weights, L2", "relative", "Layers", "N"),
        lines=tuple(
            (
                row.title,
                str(row.cka),
                str(row.cka_debiased),
                number(row.l2, 2),
                number(row.l2_relative),
                count(row.layers),
                count(row.pictures),
            )
            for row in rows
        ),
        note="Linear CKA of the pictures’ mean features: mean over layers, in parentheses the mean "
        "of the layers’ 95\xa0% intervals, rather too wide for that of the mean; N pictures. "
        "Weights: Frobenius norm of the difference, and the same divided by the norm before, mean "
        f"over the parametrised layers.{''.join(frozen)}",
    )


def channels_grid(rows: list[Change]) -> Grid:
    """What changed in the channels."""
    k = " or ".join(map(count, sorted({row.k for row in rows if row.k})))
    return Grid(
        title="What each training changed in the channels",
        heads=("Before → after", "Overlap, %", "by chance", "Entropy before", "after", "by chance",
               "Channels", "N"),
        lines=tuple(
            (
                row.title,
                row.overlap.in_percent,
                _bare(row.overlap_chance),
                str(row.entropy_before),
                str(row.entropy_after),
                number(row.entropy_chance),
                count(row.channels),
                count(row.pictures_maximal),
            )
            for row in rows
        ),
        note="Overlap and normalised class entropy of the maximal activation images of a channel"
        f"{f' ({k} of them)' if k else ''}: mean over channels, in parentheses the 95\xa0% "
        "interval over channels; N pictures to choose from.",
    )  # fmt: skip


# --- causes ------------------------------------------------------------------------------------


def cost_grid(title: str, layers: list[LayerCost]) -> Grid:
    """How far each layer changed beside what it costs to set it back, of one comparison."""
    with_luck = any(row.luck is not None for row in layers)
    heads = ("Layer", "1 − CKA", *(("luck",) if with_luck else ()),
             "Cost alone", "up to it", "from it on")  # fmt: skip
    return Grid(
        title=f"What it costs to set layers back: {title}",
        heads=heads,
        lines=tuple(
            (
                row.layer,
                str(Mean(value=row.change, low=row.change_low, high=row.change_high)),
                *((number(row.luck),) if with_luck else ()),
                _in_points(row.cost, row.cost_low, row.cost_high),
                _in_points(row.up_to, row.up_to_low, row.up_to_high),
                _in_points(row.onwards, row.onwards_low, row.onwards_high),
            )
            for row in layers
        ),
        note="Points of the score lost when a layer alone, all layers up to it or all from it on "
        "have their weights of before, and in parentheses the 95\xa0% bootstrap interval, paired "
        f"over {counted(max(row.n for row in layers), 'test picture')}; 0 by chance."
        + (" Luck: 1 − CKA of two trainings of one route." if with_luck else ""),
    )


def _in_points(value: float | None, low: float | None, high: float | None) -> str:
    if value is None or low is None or high is None:
        return ABSENT
    return f"{points(value)} ({points(low)} to {points(high)})"
