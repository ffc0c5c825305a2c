"""The scores on a dataset: a table and a chart of its routes, and how much luck is in them."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace

import pandas as pd

from overpaint.records import Score, Scores, Spread
from overpaint.report.charts import plots
from overpaint.report.parts.routes import Route, apart, routes, score_name
from overpaint.report.parts.rows import Cell, Figure, Link, RepeatLine, ScoreLine, ScoreTable
from overpaint.report.parts.text import ABSENT, count, interval, listed, percent, points, slug
from overpaint.report.parts.tree import origin, parent_of, training
from overpaint.report.site.files import Site, no_figure
from overpaint.report.study.reading import Records

SIDES = ("known", "unknown")

GROUPS = (
    "Known groups: pictures by artists (or of whatever makes the groups of the dataset) that the "
    "training saw too; unknown groups: by those that it did not see. Where the score falls from "
    "the one to the other, the network may have recognised the artist instead of the class."
)


def score_table(site: Site, records: Records, dataset: str) -> ScoreTable:
    """All that the first page tells of the scores on a dataset."""
    found = routes(records, dataset)
    scored = {name: each for route in found for name, each in route.scores.items()}
    first = next(iter(scored.values()), None)
    columns = _columns(scored.values())
    without = sorted({label for each in scored.values() for label in each.without_positives})
    return ScoreTable(
        f"scores-{slug(dataset)}",
        dataset,
        first.split if first else "",
        tuple(map(_head, columns)),
        tuple(line for route in found for line in _lines(records, route, columns)),
        tuple(_chance(scored.values(), column) for column in columns),
        _figure(site, dataset, found),
        tuple(_without_scores(records, dataset, scored, failed=False)),
        tuple(_without_scores(records, dataset, scored, failed=True)),
        f"Without a picture in the split: {', '.join(without)}." if without else "",
        GROUPS if any(each.groups for each in scored.values()) else "",
        tuple(_repeat_line(name, each) for name, each in _spreads(records, dataset).items()),
        tuple(
            apart(first, second, gap)
            for (first, second), gap in records.repeats.differences.items()
            if first in _spreads(records, dataset)
        ),
        tuple(_repeat_tables(site, records, dataset)),
    )


def _without_scores(
    records: Records, dataset: str, scored: dict[str, Scores], *, failed: bool
) -> list[str]:
    """The networks and ensembles that should have been scored on a dataset, or that failed."""
    fitted = [name for name, entry in records.study.all_networks.items() if entry.fit == dataset]
    waiting = [name for name in fitted if name not in scored]
    if failed:
        return [name for name in waiting if records.networks[name].failed]
    together = [
        name
        for name, each in records.ensembles.items()
        if name not in scored and each.members[0] in fitted and not each.hindered
    ]
    return [*(name for name in waiting if not records.networks[name].failed), *together]


# --- the table ---------------------------------------------------------------------------------

Column = tuple[str, str]
"""A score, and the side that its pictures are on: "" for all, "known" or "unknown"."""


def _columns(scored: Iterable[Scores]) -> list[Column]:
    scored = list(scored)
    kinds = dict.fromkeys((kind, "") for each in scored for kind in each.scores)
    apart = [(each.main, side) for each in scored[:1] for side in SIDES]
    return [*kinds, *(apart if any(each.groups for each in scored) else [])]


def _at(found: Scores, column: Column) -> Score | None:
    kind, side = column
    return found.groups.get(side) if side else found.scores.get(kind)


def _head(column: Column) -> str:
    kind, side = column
    return f"{score_name(kind)}, {side} groups" if side else score_name(kind)


def _lines(records: Records, route: Route, columns: Sequence[Column]) -> Iterable[ScoreLine]:
    """A line a network, the repeats of a training after it."""
    for number, (name, found) in enumerate(route.scores.items()):
        if route.members:
            link, way, kind = Link(name), f"ensemble of {listed(route.members)}", "ensemble"
        else:
            link, kind = Link(name, f"networks/{slug(name)}.html"), "repeat" if number else ""
            begin = parent_of(records, name) or origin(records, name)
            way = "another seed" if number else f"{begin} → {training(records, name)}"
        cells = tuple(_cell(_at(found, column), column) for column in columns)
        n = max(each.n for each in found.scores.values())
        yield ScoreLine(link, way, kind, cells, count(n))


def _cell(score: Score | None, column: Column) -> Cell:
    if score is None:
        return Cell(ABSENT)
    n = f"; N\xa0{count(score.n)}" if column[1] else ""
    return Cell(percent(score.value), f"{interval(score.low, score.high)}{n}")


def _chance(found: Iterable[Scores], column: Column) -> str:
    """The level of chance of a score; one number, unless networks were scored differently."""
    scores = [_at(each, column) for each in found]
    levels = sorted({each.chance for each in scores if each})
    return " to ".join(map(percent, levels[:1] + levels[1:][-1:]))


# --- the chart ---------------------------------------------------------------------------------


def _figure(site: Site, dataset: str, found: list[Route]) -> Figure:
    name = f"scores-{slug(dataset)}-chart"
    if not found:
        return no_figure(name, "In a chart", "No network has been scored on it yet.")
    every = pd.DataFrame(
        [
            {"dataset": dataset, "route": route.name, "network": network, "score": kind,
             "pictures": side and f"of {side} groups", **asdict(score)}
            for route in found
            for network, each in route.scores.items()
            for kind, side, score in _all(each)
        ]
    )  # fmt: skip
    main = found[0].main
    drawn = every[(every["score"] == main) & (every["pictures"] == "")]
    repeated = any(len(route.values) > 1 for route in found)
    marks = " A row with several marks is one route, a mark for each training." if repeated else ""
    figure = site.figure(
        f"overview/scores-{slug(dataset)}",
        title=f"{score_name(main)} on {dataset}",
        reading=(
            "The dark mark is the score, the pale bar its 95\xa0% bootstrap interval over the "
            f"{count(drawn['n'].max())} pictures, the line through all rows "
            f"chance.{marks}"
        ),
        alt_text=(
            f"{score_name(main)} on {dataset}: "
            + "; ".join(f"{route.name} {', '.join(map(percent, route.values))}" for route in found)
        ),
        chart=plots.intervals(drawn, score_name(main)),
        table=every,
    )
    return replace(figure, id=name)


def _all(found: Scores) -> Iterable[tuple[str, str, Score]]:
    for kind, score in found.scores.items():
        yield kind, "", score
    for side, score in found.groups.items():
        yield found.main, side, score


# --- repeated trainings ------------------------------------------------------------------------


def _spreads(records: Records, dataset: str) -> dict[str, Spread]:
    """The spreads of the routes to a dataset, the best mean first."""
    fits = {name: entry.fit for name, entry in records.study.networks.items()}
    found = records.repeats.spreads.items()
    own = [(name, each) for name, each in found if fits.get(name) == dataset]
    return dict(sorted(own, key=lambda pair: -pair[1].mean))


def _repeat_line(name: str, found: Spread) -> RepeatLine:
    deviation = ABSENT if found.deviation is None else f"{points(found.deviation)} points"
    return RepeatLine(
        Link(name, f"networks/{slug(name)}.html"),
        score_name(found.score),
        count(found.n),
        percent(found.mean),
        deviation,
        f"{percent(found.min)} to {percent(found.max)}",
        ", ".join(map(percent, found.values)),
    )


def _repeat_tables(site: Site, records: Records, dataset: str) -> Iterable[Link]:
    spreads = _spreads(records, dataset)
    place = f"overview/scores-{slug(dataset)}"
    if spreads:
        frame = pd.DataFrame([{"route": name, **asdict(each)} for name, each in spreads.items()])
        yield Link("repeated trainings", site.data(f"{place}.repeats", frame))
    gaps = [
        {"first": first, "second": second, **asdict(gap)}
        for (first, second), gap in records.repeats.differences.items()
        if first in spreads
    ]
    if gaps:
        yield Link("differences", site.data(f"{place}.differences", pd.DataFrame(gaps)))
