"""What was advised before training, beside what the trainings then gave."""

import pandas as pd

from overpaint.records import AdviceRow
from overpaint.report.parts.routes import Route, routes, score_name
from overpaint.report.parts.rows import AdviceLine, AdviceTable, Cell, Link
from overpaint.report.parts.text import count, interval, number, percent
from overpaint.report.parts.tree import anchor
from overpaint.report.site.files import Site
from overpaint.report.study.reading import Records


def advice_table(site: Site, records: Records) -> AdviceTable | None:
    """The advice, as it was given; None where none was asked for."""
    if not records.advice:
        return None
    frame = pd.DataFrame(records.advice)
    lines = tuple(_line(records, row) for row in records.advice)
    return AdviceTable(lines, site.data("overview/advice", frame))


def _line(records: Records, row: AdviceRow) -> AdviceLine:
    here = f"#{anchor(row.network)}" if row.network in records.networks else None
    within = "" if row.low is None else interval(row.low, row.high)
    return AdviceLine(
        f"{row.dataset}/{row.split}",
        Link(row.network, here),
        number(row.logme),
        Cell(percent(row.neighbour), within),
        percent(row.chance),
        count(row.n),
        _given(records, row),
        "" if row.status in ("ok", None) else row.status,
    )


def _given(records: Records, row: AdviceRow) -> tuple[Cell, ...]:
    """What each route from the start to the dataset gave, the best first."""
    found = (_from(records, route, row.network) for route in routes(records, row.dataset))
    return tuple(
        Cell(
            f"{route.name} {percent(route.mean)}",
            f"{score_name(route.main)}, {_how_sure(route)}",
        )
        for route in found
        if route
    )


def _from(records: Records, route: Route, start: str) -> Route | None:
    """The trainings of a route that began from a network."""
    every = records.study.all_networks
    own = {
        name: scores
        for name, scores in route.scores.items()
        if name in every and every[name].parent == start
    }
    return Route(next(iter(own)), own) if own else None


def _how_sure(route: Route) -> str:
    if len(route.values) > 1:
        return f"mean of {len(route.values)} trainings"
    return interval(route.score.low, route.score.high)
