"""What was advised before training, beside what the trainings then gave."""

from dataclasses import dataclass

import pandas as pd

from overpaint.records import AdviceRow
from overpaint.report.parts.routes import Route, routes, score_name
from overpaint.report.parts.rows import Cell, Link
from overpaint.report.parts.text import count, interval, number, of_groups, percent
from overpaint.report.parts.tree import anchor
from overpaint.report.site.files import Site
from overpaint.report.study.reading import Records


@dataclass(frozen=True, kw_only=True)
class AdviceLine:
    """A start, for a dataset, and what the trainings from it gave."""

    on: str
    start: Link
    logme: str
    neighbours: Cell
    baseline: Cell
    chance: str
    n: str
    results: tuple[Cell, ...]
    remark: str

    @classmethod
    def of(cls, records: Records, row: AdviceRow) -> "AdviceLine":
        """The line of a start."""
        is_here = row.network in records.networks
        within = "" if row.low is None else interval(row.low, row.high)
        results = []
        for route in routes(records, row.dataset):
            if begun := _begun_from(records, route, row.network):
                how_sure = interval(begun.score.low, begun.score.high)
                if len(begun.values) > 1:
                    how_sure = f"mean of {len(begun.values)} trainings"
                aside = f"{score_name(begun.main)}, {how_sure}"
                results.append(
                    Cell(f"{records.title(begun.name)} {percent(begun.mean)}", aside=aside)
                )
        return cls(
            on=f"{row.dataset}/{row.split}",
            start=Link(
                records.title(row.network), href=f"#{anchor(row.network)}" if is_here else None
            ),
            logme=number(row.logme),
            neighbours=Cell(percent(row.neighbour), aside=within),
            baseline=Cell(percent(row.own_score), aside=row.own_task)
            if row.own_task
            else Cell(count(row.parameters), aside="weights" if row.parameters else ""),
            chance=percent(row.chance),
            n=of_groups(count(row.n), row.n_groups),
            results=tuple(results),
            remark="" if row.status in ("ok", None) else row.status,
        )


@dataclass(frozen=True, kw_only=True)
class AdviceTable:
    """What was advised before training."""

    lines: tuple[AdviceLine, ...]
    data: str

    @classmethod
    def of(cls, site: Site, records: Records) -> "AdviceTable | None":
        """The advice, as it was given; None where none was asked for."""
        if not records.advice:
            return None
        return cls(
            lines=tuple(AdviceLine.of(records, row) for row in records.advice),
            data=site.data("overview/advice", pd.DataFrame(records.advice)),
        )


def _begun_from(records: Records, route: Route, start: str) -> Route | None:
    """The trainings of a route that began from a network."""
    entries = records.study.all_networks
    scores = {
        name: scores
        for name, scores in route.scores.items()
        if name in entries and entries[name].parent == start
    }
    return Route(next(iter(scores)), scores) if scores else None
