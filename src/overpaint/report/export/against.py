"""Two studies side by side, from the records of both."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
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
    SettingDifference,
    SharedChange,
    SharedDataset,
    SharedFinding,
    SharedScore,
    StudyLine,
    Unshared,
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
    names = first.study.study, second.study.study
    if names[0] == names[1]:
        names = first.folder.root.resolve().name, second.folder.root.resolve().name
    if names[0] == names[1]:
        names = f"{names[0]} (first)", f"{names[1]} (second)"
    place = f"against-{slug(names[1])}"
    with into(out or first.folder.site) as draft:
        site = Site(IncrementalFiles(draft))
        page = against_page(site, place, names, first, second)
        templates = Templates.of(site, names[0], navigation=NAVIGATION if out is None else ())
        templates.page("against", f"{place}.html", page)
        if out is not None:
            copy_assets(site)
    return (out or first.folder.site) / f"{place}.html"


def against_page(
    site: Site, place: str, names: tuple[str, str], first: Records, second: Records
) -> AgainstPage:
    """All that the page of two studies shows."""
    scores = list(shared_scores(first, second))
    changes = [
        ChangePair(first=pair[0], second=pair[1])
        for pair in shared(measured(first), measured(second)).values()
    ]
    rest = len(changes) - DRAWN
    return AgainstPage(
        first=names[0],
        second=names[1],
        studies=(study_line(names[0], first), study_line(names[1], second)),
        datasets=tuple(shared_datasets(first, second)),
        scores=tuple(score.line for score in scores if score.decides),
        scores_data=site.data(f"{place}/scores", pd.DataFrame([score.columns for score in scores]))
        if scores
        else None,
        changes=tuple(change.line for change in changes),
        figures=tuple(change.figure(site, place, names) for change in changes[:DRAWN]),
        undrawn=f"{counted(rest, 'more comparison')} only in the table." if rest > 0 else "",
        findings=tuple(shared_findings(first, second)),
        settings=tuple(setting_differences(first, second)),
        unshared=tuple(unshared(first, second)),
    )


def shared(
    first: Mapping[str, Value], second: Mapping[str, Value]
) -> dict[str, tuple[Value, Value]]:
    """What both have under one name.

    >>> shared({"a": 1, "b": 2}, {"b": 3, "c": 4})
    {'b': (2, 3)}
    """
    return {name: (first[name], second[name]) for name in first if name in second}


def study_line(name: str, records: Records) -> StudyLine:
    """What a study did, and how much of it is missing."""
    missing = all_missing(records)
    return StudyLine(
        name=name,
        summary=summary(records),
        missing=f"{counted(len(missing), 'thing')} failed or missing: {missing[0]}"
        if missing
        else "",
    )


# --- data --------------------------------------------------------------------------------------


def shared_datasets(first: Records, second: Records) -> Iterable[SharedDataset]:
    """The datasets of both, and which splits hold the very same pictures."""
    for name, pair in shared(first.datasets, second.datasets).items():
        sizes = [
            " · ".join(count(len(_images(dataset, split))) for split in SPLITS) for dataset in pair
        ]
        digests = {split: [_digests(dataset, split) for dataset in pair] for split in SPLITS}
        same = [split for split, (a, b) in digests.items() if a and a == b]
        text = f"the same pictures in {listed(same)} only" if same else "other pictures"
        if len(same) == len(SPLITS):
            text = "the same pictures"
        elif "test" not in same:
            common = set.intersection(*digests["test"])
            text = f"{text}; {count(len(common))} test pictures in common"
        yield SharedDataset(name=name, first=sizes[0], second=sizes[1], same=text)


def _images(dataset: DatasetRecords, split: str) -> pd.DataFrame:
    return dataset.usable[dataset.usable["split"] == split]


def _digests(dataset: DatasetRecords, split: str) -> set[str]:
    return set(_images(dataset, split)["digest"])


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
                aside=f"{interval(score.low, score.high)}; N\xa0{count(score.n)}",
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
        digests = [
            _digests(records.datasets[a.dataset], a.split)
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
                same_pictures=len(digests) == 2 and bool(digests[0]) and digests[0] == digests[1],
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


# --- findings and settings ---------------------------------------------------------------------


def shared_findings(first: Records, second: Records) -> Iterable[SharedFinding]:
    """The statements that were put to the same thing in both, in the order of the statements."""
    pairs = shared(findings_by_subject(first), findings_by_subject(second))
    for key, statement in STATEMENTS.items():
        for a, b in pairs.values():
            if a.statement == key:
                yield SharedFinding(
                    statement=statement.title,
                    subject=a.subject,
                    first=a.verdict,
                    second=b.verdict,
                    first_value=value_cell(a),
                    second_value=value_cell(b),
                )


def findings_by_subject(records: Records) -> dict[str, FindingRow]:
    """The findings by what they say: the statement in words and what it was put to."""
    return {
        f"{STATEMENTS[row.statement].title}: {row.subject}": row
        for row in records.findings
        if row.statement in STATEMENTS
    }


def setting_differences(first: Records, second: Records) -> Iterable[SettingDifference]:
    """The settings in which networks of one name differ."""
    for name, networks in shared(first.networks, second.networks).items():
        if not all(network.trained for network in networks):
            continue
        a, b = effective(first, name), effective(second, name)
        for setting in dict.fromkeys([*a, *b]):
            values = a.get(setting, ABSENT), b.get(setting, ABSENT)
            if values[0] != values[1]:
                yield SettingDifference(
                    network=name, setting=setting, first=values[0], second=values[1]
                )


def unshared(first: Records, second: Records) -> Iterable[Unshared]:
    """What only one of the two has, by kind."""
    arrows = [
        [comparison.title for comparison in measured(records).values()]
        for records in (first, second)
    ]
    kinds: dict[str, tuple[Collection[str], Collection[str]]] = {
        "Datasets": (first.datasets, second.datasets),
        "Networks": (first.networks, second.networks),
        "Networks and ensembles with a score": (scored(first), scored(second)),
        "Comparisons": (arrows[0], arrows[1]),
        "Statements put to": (findings_by_subject(first), findings_by_subject(second)),
    }
    for kind, (a, b) in kinds.items():
        only_first = tuple(name for name in a if name not in b)
        only_second = tuple(name for name in b if name not in a)
        if only_first or only_second:
            yield Unshared(kind=kind, first=only_first, second=only_second)
