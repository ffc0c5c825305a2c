"""Two studies side by side, from the records of both."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import pandas as pd

from overpaint.defaults import SPLITS
from overpaint.errors import RecordError
from overpaint.records import FindingRow, Score, Scores, StudyFolder
from overpaint.report.build_site import copy_assets
from overpaint.report.charts import plots
from overpaint.report.export.against_rows import (
    AgainstPage,
    BothChanges,
    BothDatasets,
    BothFindings,
    BothScores,
    Only,
)
from overpaint.report.export.figures import into
from overpaint.report.pages.findings import STATEMENTS, value_cell
from overpaint.report.pages.listing import NAVIGATION
from overpaint.report.pages.method import effective
from overpaint.report.pages.overview import all_missing, summary
from overpaint.report.parts.routes import score_name
from overpaint.report.parts.rows import Cell, Figure
from overpaint.report.parts.text import (
    ABSENT,
    count,
    counted,
    interval,
    known,
    listed,
    number,
    percent,
    points,
    slug,
)
from overpaint.report.site.files import Site
from overpaint.report.site.incremental import IncrementalFiles
from overpaint.report.site.templates import Templates
from overpaint.report.study.reading import ComparisonRecords, DatasetRecords, Records, read_records

DRAWN = 24
"""The most comparisons that are drawn."""

Value = TypeVar("Value")


def against(folder: Path, other: Path, out: Path | None = None) -> Path:
    """Write the page of two studies; returns it.

    >>> against(Path("runs/a"), Path("runs/b"))                      # doctest: +SKIP
    PosixPath('runs/a/site/against-b.html')

    It goes into the site of the first, where it stays until the site is made anew, or, with `out`,
    into a folder where it stands alone.

    Raises RecordError where one of the folders holds no study, or both are one.
    """
    if folder.resolve() == other.resolve():
        raise RecordError("same-study", f"{folder} and {other} are one study; give another")
    first, second = read_records(StudyFolder(folder)), read_records(StudyFolder(other))
    names = _names(first, second)
    page = f"against-{slug(names[1])}"
    with into(out or first.folder.site) as draft:
        site = Site(IncrementalFiles(draft))
        found = against_page(site, page, names, first, second)
        templates = Templates.of(site, names[0], navigation=NAVIGATION if out is None else ())
        templates.page("against", f"{page}.html", found)
        if out is not None:
            copy_assets(site)
    return (out or first.folder.site) / f"{page}.html"


def _names(first: Records, second: Records) -> tuple[str, str]:
    """What the two are called: their names, or, where these are equal, those of their folders."""
    names = (first.study.study, second.study.study)
    if names[0] == names[1]:
        names = (first.folder.root.resolve().name, second.folder.root.resolve().name)
    return names if names[0] != names[1] else (f"{names[0]} (first)", f"{names[1]} (second)")


def against_page(
    site: Site, place: str, names: tuple[str, str], first: Records, second: Records
) -> AgainstPage:
    """All that the page of two studies shows."""
    scores = list(_scores(first, second))
    compared = _both(_told(first), _told(second))
    drawn = list(compared.items())[:DRAWN]
    rest = len(compared) - len(drawn)
    return AgainstPage(
        *names,
        tuple(
            (name, summary(each), _how_much_is_missing(each))
            for name, each in zip(names, (first, second), strict=True)
        ),
        tuple(_datasets(first, second)),
        tuple(_score_line(first, second, *each) for each in scores if each[1] == each[2].main),
        _scores_data(site, place, scores),
        tuple(_change_line(*pair) for pair in compared.values()),
        tuple(_figure(site, place, names, *pair) for _, pair in drawn),
        f"{counted(rest, 'more comparison')} only in the table." if rest else "",
        tuple(_findings(first, second)),
        tuple(_settings(first, second)),
        tuple(_only(first, second)),
    )


def _both(
    first: Mapping[str, Value], second: Mapping[str, Value]
) -> dict[str, tuple[Value, Value]]:
    return {name: (first[name], second[name]) for name in first if name in second}


def _how_much_is_missing(records: Records) -> str:
    missing = all_missing(records)
    return f"{counted(len(missing), 'thing')} failed or missing: {missing[0]}" if missing else ""


# --- data --------------------------------------------------------------------------------------


def _datasets(first: Records, second: Records) -> Iterable[BothDatasets]:
    for name, (one, other) in _both(first.datasets, second.datasets).items():
        yield BothDatasets(name, _pictures(one), _pictures(other), _sameness(one, other))


def _pictures(found: DatasetRecords) -> str:
    used = found.images[found.images["status"] == "ok"]
    return " · ".join(count(int((used["split"] == split).sum())) for split in SPLITS)


def _sameness(one: DatasetRecords, other: DatasetRecords) -> str:
    """Which splits hold the very same pictures, by the digests of the files."""
    parts = {split: (_digests(one, split), _digests(other, split)) for split in SPLITS}
    same = [split for split, (a, b) in parts.items() if a == b and a]
    if len(same) == len(parts):
        return "the same pictures"
    shared = len(parts["test"][0] & parts["test"][1])
    told = f"the same pictures in {listed(same)} only" if same else "other pictures"
    return told if "test" in same else f"{told}; {count(shared)} test pictures in common"


def _digests(found: DatasetRecords, split: str) -> set[str]:
    images = found.images
    return set(images[(images["split"] == split) & (images["status"] == "ok")]["digest"])


# --- scores ------------------------------------------------------------------------------------


def _scored(records: Records) -> dict[str, Scores]:
    trained = {name: each.scores for name, each in records.networks.items() if each.scores}
    return trained | {name: each.scores for name, each in records.ensembles.items() if each.scores}


def _scores(first: Records, second: Records) -> Iterable[tuple[str, str, Scores, Scores]]:
    """Network, score, and what both tell, where both scored it on one dataset and split."""
    for name, (one, other) in _both(_scored(first), _scored(second)).items():
        if (one.dataset, one.split) == (other.dataset, other.split):
            yield from ((name, kind, one, other) for kind in one.scores if kind in other.scores)


def _score_line(
    first: Records, second: Records, name: str, kind: str, one: Scores, other: Scores
) -> BothScores:
    a, b = one.scores[kind], other.scores[kind]
    difference = b.value - a.value
    sign = "+" if difference > 0 else ""
    return BothScores(
        name,
        f"{score_name(kind)} on {one.dataset}/{one.split}",
        _score_cell(a),
        _score_cell(b),
        f"{sign}{points(difference)} points",
        f"{_overlap(a, b)}{_other_pictures(first, second, one)}",
    )


def _score_cell(score: Score) -> Cell:
    return Cell(
        percent(score.value), aside=f"{interval(score.low, score.high)}; N\xa0{count(score.n)}"
    )


def _overlap(a: Score, b: Score) -> str:
    return "overlap" if a.low <= b.high and b.low <= a.high else "do not overlap"


def _other_pictures(first: Records, second: Records, scores: Scores) -> str:
    """A warning where the two were not tested with the same pictures."""
    both = [each.datasets.get(scores.dataset) for each in (first, second)]
    digests = [_digests(each, scores.split) for each in both if each is not None]
    if len(digests) == 2 and digests[0] and digests[0] == digests[1]:
        return ""
    return "; not tested with the same pictures"


def _scores_data(
    site: Site, place: str, scores: list[tuple[str, str, Scores, Scores]]
) -> str | None:
    if not scores:
        return None
    frame = pd.DataFrame(
        [
            {"network": name, "dataset": one.dataset, "split": one.split, "score": kind,
             **_columns("first", one.scores[kind]), **_columns("second", other.scores[kind]),
             "difference": other.scores[kind].value - one.scores[kind].value,
             "intervals_overlap": _overlap(one.scores[kind], other.scores[kind]) == "overlap"}
            for name, kind, one, other in scores
        ]
    )  # fmt: skip
    return site.data(f"{place}/scores", frame)


def _columns(which: str, score: Score) -> dict[str, float]:
    fields = ("value", "low", "high", "chance", "n")
    return {f"{which}_{field}": getattr(score, field) for field in fields}


# --- changes -----------------------------------------------------------------------------------


def _told(records: Records) -> dict[str, ComparisonRecords]:
    """The comparisons that have a CKA."""
    found = records.comparisons.items()
    return {name: each for name, each in found if each.layers[each.trusted].notna().any()}


def _measure(one: ComparisonRecords, other: ComparisonRecords) -> str:
    """Debiased CKA where both have it at every layer."""
    return "cka_debiased" if one.trusted == other.trusted == "cka_debiased" else "cka"


def _by_layer(one: ComparisonRecords, other: ComparisonRecords) -> pd.DataFrame:
    """CKA with its interval at each layer that both have: value, low, high and the same with _2."""
    measure = _measure(one, other)
    columns = ["layer", measure, f"{measure}_low", f"{measure}_high"]
    tables = [
        each.layers[columns].set_axis(["layer", "value", "low", "high"], axis=1).dropna()
        for each in (one, other)
    ]
    return tables[0].merge(tables[1], on="layer", suffixes=("", "_2"))


def _change_line(one: ComparisonRecords, other: ComparisonRecords) -> BothChanges:
    both = _by_layer(one, other)
    first, second = (known(both[name].mean()) for name in ("value", "value_2"))
    clear = both[(both["low"] > both["high_2"]) | (both["low_2"] > both["high"])]["layer"].tolist()
    gap = None if first is None or second is None else second - first
    return BothChanges(
        f"{one.before} → {one.after}",
        Cell(number(first), aside=_on(one)),
        Cell(number(second), aside=_on(other)),
        f"{'+' if gap and gap > 0 else ''}{number(gap)}",
        f"{len(clear)} of {len(both)}{': ' if clear else ''}{', '.join(clear)}",
    )


def _on(each: ComparisonRecords) -> str:
    n = count(known(each.layers["n_images"].max()))
    return f"{each.facts.dataset or ABSENT}, N\xa0{n}"


def _figure(
    site: Site,
    place: str,
    names: tuple[str, str],
    one: ComparisonRecords,
    other: ComparisonRecords,
) -> Figure:
    both = _by_layer(one, other)
    columns = [["layer", "value", "low", "high"], ["layer", "value_2", "low_2", "high_2"]]
    long = pd.concat(
        [
            both[own].set_axis(columns[0], axis=1).assign(what=name)
            for name, own in zip(names, columns, strict=True)
        ],
        ignore_index=True,
    )
    name = "Debiased CKA" if _measure(one, other) == "cka_debiased" else "CKA"
    title = f"{one.before} → {one.after}"
    return site.figure(
        f"{place}/{one.name}",
        title=title,
        reading=(
            f"{name} by layer in both studies, with 95\xa0% intervals: 1 where a layer sees "
            "the pictures as before. Where the bands part, the studies differ by more than their "
            "pictures."
        ),
        alt_text=f"{name} of {title} by layer in {listed(names)}.",
        chart=plots.curves(long, names, name),
        table=long,
    )


# --- findings and settings ---------------------------------------------------------------------


def _stated(records: Records) -> dict[tuple[str, str], FindingRow]:
    return {(row.statement, row.subject): row for row in records.findings}


def _findings(first: Records, second: Records) -> Iterable[BothFindings]:
    one, other = _stated(first), _stated(second)
    for key in STATEMENTS:
        for found in [each for each in one if each[0] == key and each in other]:
            a, b = one[found], other[found]
            title = STATEMENTS[key].title
            yield BothFindings(title, found[1], a.verdict, b.verdict, value_cell(a), value_cell(b))


def _settings(first: Records, second: Records) -> Iterable[tuple[str, str, str, str]]:
    """The settings in which networks of one name differ."""
    trained = [{name: each for name, each in records.networks.items() if each.trained}
               for records in (first, second)]  # fmt: skip
    for name in _both(*trained):
        one, other = effective(first, name), effective(second, name)
        for field in dict.fromkeys([*one, *other]):
            values = [each.get(field, ABSENT) for each in (one, other)]
            if values[0] != values[1]:
                yield (name, field, *values)  # type: ignore[misc]


def _only(first: Records, second: Records) -> Iterable[Only]:
    parts: dict[str, tuple[Collection[str], Collection[str]]] = {
        "Datasets": (first.datasets, second.datasets),
        "Networks": (first.networks, second.networks),
        "Networks and ensembles with a score": (_scored(first), _scored(second)),
        "Comparisons": (_arrows(first), _arrows(second)),
        "Statements put to": (_subjects(first), _subjects(second)),
    }
    for what, (one, other) in parts.items():
        own = tuple(name for name in one if name not in other)
        others = tuple(name for name in other if name not in one)
        if own or others:
            yield Only(what, own, others)


def _arrows(records: Records) -> list[str]:
    return [f"{each.before} → {each.after}" for each in _told(records).values()]


def _subjects(records: Records) -> list[str]:
    titles = {key: each.title for key, each in STATEMENTS.items()}
    return [f"{titles[key]}: {subject}" for key, subject in _stated(records) if key in titles]
