"""The scores on a dataset: a table and a chart of its routes, and how much luck is in them."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import pandas as pd

from overpaint.records import Score, Scores, Spread
from overpaint.report.charts import plots
from overpaint.report.charts.drawing import link
from overpaint.report.parts.addresses import network_page
from overpaint.report.parts.routes import Route, apart, routes, score_name
from overpaint.report.parts.rows import Cell, Figure, Link
from overpaint.report.parts.text import (
    ABSENT,
    count,
    interval,
    listed,
    of_pictures,
    percent,
    points,
    slug,
)
from overpaint.report.parts.tree import begin_of, recipe_of
from overpaint.report.site.files import Site, no_figure
from overpaint.report.study.reading import Records

GROUP_SIDES = ("known", "unknown")

GROUPS = (
    "Known groups: pictures by artists (or of whatever makes the groups of the dataset) that the "
    "training saw too; unknown groups: by those that it did not see. Where the score falls from "
    "the one to the other, the network may have recognised the artist instead of the class."
)


@dataclass(frozen=True, kw_only=True)
class ScoreLine:
    """A network or an ensemble in the score table."""

    network: Link
    route: str
    kind: str  # "", "repeat" of the one above, or "ensemble"
    cells: tuple[Cell, ...]
    n: str


@dataclass(frozen=True, kw_only=True)
class RepeatLine:
    """The trainings of one route."""

    route: Link
    score: str
    n: str
    mean: str
    deviation: str
    range: str
    values: str

    @classmethod
    def of(cls, name: str, title: str, spread: Spread) -> "RepeatLine":
        """The line of a route."""
        deviation = ABSENT if spread.deviation is None else f"{points(spread.deviation)} points"
        return cls(
            route=Link(title, href=network_page(name)),
            score=score_name(spread.score),
            n=count(spread.n),
            mean=percent(spread.mean),
            deviation=deviation,
            range=f"{percent(spread.min)} to {percent(spread.max)}",
            values=", ".join(map(percent, spread.values)),
        )


@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """The networks that were scored on a dataset, best first, and the level of chance."""

    id: str
    dataset: str
    split: str
    heads: tuple[str, ...]
    lines: tuple[ScoreLine, ...]
    chance: tuple[str, ...]
    figure: Figure
    unscored: tuple[str, ...]
    failed: tuple[str, ...]
    aside: str
    groups: str  # what the scores of known and unknown groups mean, where there are any
    repeated: tuple[RepeatLine, ...]
    apart: tuple[str, ...]  # how far two routes differ, a sentence each
    repeat_tables: tuple[Link, ...]


def score_table(site: Site, records: Records, dataset: str) -> ScoreTable:
    """All that the first page tells of the scores on a dataset."""
    scored = routes(records, dataset)
    by_name = {name: scores for route in scored for name, scores in route.scores.items()}
    first = next(iter(by_name.values()), None)
    kinds = dict.fromkeys(kind for scores in by_name.values() for kind in scores.scores)
    columns: list[Column] = [(kind, "") for kind in kinds]
    has_groups = any(scores.groups for scores in by_name.values())
    if first and has_groups:
        columns += [(first.main, side) for side in GROUP_SIDES]
    without = sorted({label for scores in by_name.values() for label in scores.without_positives})
    chance = []  # one number a column, unless networks were scored differently
    for column in columns:
        scored_in = [score for scores in by_name.values() if (score := _at(scores, column))]
        levels = sorted({score.chance for score in scored_in})
        chance.append(" to ".join(map(percent, levels[:1] + levels[1:][-1:])))
    fitted = [name for name, entry in records.study.all_networks.items() if entry.fit == dataset]
    waiting = [name for name in fitted if name not in by_name]
    ensembles = [
        ensemble.name
        for ensemble in records.ensembles.values()
        if ensemble.name not in by_name and ensemble.members[0] in fitted and not ensemble.skipped
    ]
    spreads = _spreads(records, dataset)
    return ScoreTable(
        id=f"scores-{slug(dataset)}",
        dataset=dataset,
        split=first.split if first else "",
        heads=tuple(
            f"{score_name(kind)}, {side} groups" if side else score_name(kind)
            for kind, side in columns
        ),
        lines=tuple(line for route in scored for line in _lines(records, route, columns)),
        chance=tuple(chance),
        figure=_figure(site, records, dataset, scored),
        unscored=(
            *(records.title(name) for name in waiting if not records.networks[name].failed),
            *ensembles,
        ),
        failed=tuple(records.title(name) for name in waiting if records.networks[name].failed),
        aside=f"Without a picture in the split: {', '.join(without)}." if without else "",
        groups=GROUPS if has_groups else "",
        repeated=tuple(
            RepeatLine.of(name, records.title(name), spread) for name, spread in spreads.items()
        ),
        apart=tuple(
            apart(records.title(first), records.title(second), gap)
            for (first, second), gap in records.repeats.differences.items()
            if first in spreads
        ),
        repeat_tables=tuple(_repeat_tables(site, records, dataset)),
    )


# --- the table ---------------------------------------------------------------------------------

Column = tuple[str, str]
"""A score, and the side that its pictures are on: "" for all, "known" or "unknown"."""


def _at(scores: Scores, column: Column) -> Score | None:
    kind, side = column
    return scores.groups.get(side) if side else scores.scores.get(kind)


def _lines(records: Records, route: Route, columns: Sequence[Column]) -> Iterable[ScoreLine]:
    """A line a network, the repeats of a training after it."""
    for number, (name, scores) in enumerate(route.scores.items()):
        if route.members:
            link, way, kind = (
                Link(name),
                f"ensemble of {listed(records.titles(route.members))}",
                "ensemble",
            )
        else:
            link, kind = (
                Link(records.title(name), href=network_page(name)),
                "repeat" if number else "",
            )
            begin = begin_of(records, name)
            way = "another seed" if number else f"{begin} → {recipe_of(records, name)}"
        cells = []
        for column in columns:
            score = _at(scores, column)
            n = ""
            if score and column[1]:
                n = f"\nN\xa0{of_pictures(score)}"
            cells.append(
                Cell(percent(score.value), aside=f"{interval(score.low, score.high)}{n}")
                if score
                else Cell(ABSENT)
            )
        yield ScoreLine(
            network=link,
            route=way,
            kind=kind,
            cells=tuple(cells),
            n=of_pictures(scores.scores[scores.main]),
        )


# --- the chart ---------------------------------------------------------------------------------


def _page_of(records: Records, name: str) -> str:
    """What a mark of a score opens: the network's page, and nothing for an ensemble."""
    return link(network_page(name)) if name in records.networks else ""


def _figure(site: Site, records: Records, dataset: str, scored: list[Route]) -> Figure:
    name = f"scores-{slug(dataset)}-chart"
    if not scored:
        return no_figure(name, "In a chart", "No network has been scored on it yet.")
    table = pd.DataFrame(
        [
            {"dataset": dataset, "route": records.title(route.name), "network": network,
             "score": kind, "pictures": side and f"of {side} groups", **asdict(score)}
            for route in scored
            for network, scores in route.scores.items()
            for (kind, side), score in {
                **{(kind, ""): score for kind, score in scores.scores.items()},
                **{(scores.main, side): score for side, score in scores.groups.items()},
            }.items()
        ]
    )  # fmt: skip
    main = scored[0].main
    marks = table[(table["score"] == main) & (table["pictures"] == "")]
    repeated = any(len(route.values) > 1 for route in scored)
    several = " A row with several marks is one route, a mark for each training."
    figure = site.figure(
        f"overview/scores-{slug(dataset)}",
        title=f"{score_name(main)} on {dataset}",
        reading=(
            "The dark mark is the score, the pale bar its 95\xa0% bootstrap interval over the "
            f"{count(marks['n'].max())} pictures, the line through all rows chance."
            f"{several if repeated else ''}"
        ),
        alt_text=(
            f"{score_name(main)} on {dataset}: "
            + "; ".join(
                f"{records.title(route.name)} {', '.join(map(percent, route.values))}"
                for route in scored
            )
        ),
        chart=plots.intervals(
            marks.assign(href=[_page_of(records, name) for name in marks["network"]]),
            score_name(main),
        ),
        table=table,
    )
    return replace(figure, id=name)


# --- repeated trainings ------------------------------------------------------------------------


def _spreads(records: Records, dataset: str) -> dict[str, Spread]:
    """The spreads of the routes to a dataset, the best mean first."""
    fits = {name: entry.fit for name, entry in records.study.networks.items()}
    spreads = records.repeats.spreads.items()
    of_dataset = [(name, spread) for name, spread in spreads if fits.get(name) == dataset]
    return dict(sorted(of_dataset, key=lambda pair: -pair[1].mean))


def _repeat_tables(site: Site, records: Records, dataset: str) -> Iterable[Link]:
    spreads = _spreads(records, dataset)
    place = f"overview/scores-{slug(dataset)}"
    if spreads:
        frame = pd.DataFrame(
            [{"route": name, **asdict(spread)} for name, spread in spreads.items()]
        )
        yield Link("repeated trainings", href=site.data(f"{place}.repeats", frame))
    gaps = [
        {"first": first, "second": second, **asdict(gap)}
        for (first, second), gap in records.repeats.differences.items()
        if first in spreads
    ]
    if gaps:
        yield Link("differences", href=site.data(f"{place}.differences", pd.DataFrame(gaps)))
