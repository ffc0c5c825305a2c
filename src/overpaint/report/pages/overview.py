"""The first page: what was done, what came out of it, and where each number is."""

from dataclasses import dataclass

import pandas as pd

from overpaint.findings import STATEMENTS
from overpaint.records import ChannelRow
from overpaint.report.charts import plots
from overpaint.report.charts.comparison import at_layers
from overpaint.report.charts.pairwise import pairwise_figures
from overpaint.report.export import tables
from overpaint.report.pages.answer import Answer, answers
from overpaint.report.pages.channel import sentence
from overpaint.report.pages.data import DatasetLine
from overpaint.report.pages.findings import together
from overpaint.report.parts.addresses import FINDINGS
from overpaint.report.parts.advice import AdviceTable
from overpaint.report.parts.edges import extremes, first_images
from overpaint.report.parts.gallery import rendering
from overpaint.report.parts.routes import (
    best_route,
    contests,
    fitted,
    routes,
    score_name,
)
from overpaint.report.parts.rows import Cell, Figure, Link, Picture
from overpaint.report.parts.scores import ScoreTable, score_table
from overpaint.report.parts.text import ABSENT, count, counted, known, listed, number, percent, slug
from overpaint.report.parts.tree import Tree
from overpaint.report.site.files import Site
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import ComparisonRecords, Records

EXHIBITS = 3

CURVES = 6
"""The comparisons that have a sentence and a curve; the table has all."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A number that stands out, the sentence that it is from, and where to read on."""

    figure: Cell
    text: str
    link: Link


@dataclass(frozen=True, kw_only=True)
class StatementLine:
    """A statement of the paper, and how often this study says yes to it."""

    link: Link
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """A channel worth looking at: what it saw before and after, in pictures and one sentence."""

    link: Link
    text: str
    before: Picture | None
    after: Picture | None
    kind: str  # of the pictures: "drawn", or "maximal" for images of the dataset

    @classmethod
    def of(
        cls, site: Site, records: Records, row: ChannelRow, comparison: ComparisonRecords
    ) -> "Exhibit":
        """A channel of a comparison."""
        before, after = (
            rendering(site, records.folder, network, row.layer, row.channel)
            for network in (comparison.before, comparison.after)
        )
        kind = "drawn" if before or after else "maximal"
        if kind == "maximal":
            before, after = first_images(site, records, comparison, row)
        href = comparison.channel(row.layer, row.channel)
        return cls(
            link=Link(f"{row.layer}:{row.channel}", href=href),
            text=sentence(row, comparison),
            before=before,
            after=after,
            kind=kind,
        )


@dataclass(frozen=True, kw_only=True)
class ComparisonLine:
    """A comparison in the list."""

    link: Link
    on: str
    cka: str
    debiased: str
    overlap: Cell
    most: Link  # the layer that changed most
    least: Link

    @classmethod
    def of(cls, comparison: ComparisonRecords) -> "ComparisonLine":
        """The line of a comparison."""
        facts = comparison.facts
        on = f"{facts.dataset}/{facts.cka_split or ABSENT}" if facts.dataset else ABSENT
        if comparison.failed:
            on = f"not made: {listed(map(comparison.study.title_of, comparison.failed))} failed"
        overlap = number(known(comparison.channels["overlap"].mean()))
        chance = number(known(comparison.channels["overlap_chance"].mean()))
        most, least = (
            Link(layer, href=comparison.address(f"layer-{slug(layer)}")) if layer else Link(ABSENT)
            for layer in extremes(comparison) or ("", "")
        )
        return cls(
            link=Link(comparison.title, href=comparison.address()),
            on=on,
            cka=number(known(comparison.layers["cka"].mean())),
            debiased=number(known(comparison.layers["cka_debiased"].mean())),
            overlap=Cell(overlap, aside=f"chance {chance}"),
            most=most,
            least=least,
        )


@dataclass(frozen=True, kw_only=True)
class Overview:
    """The first page."""

    title: str
    summary: str
    answers: tuple[Answer, ...]
    tree: Tree
    reading: str  # how the lineage is to be read
    missing: tuple[str, ...]
    won: tuple[Finding, ...]  # a dataset each
    changed: tuple[Finding, ...]  # a comparison each
    more_changed: str  # the comparisons that are only in the table
    changes: Figure | None  # None where nothing was compared
    exhibits: tuple[Exhibit, ...]
    statements: tuple[StatementLine, ...]
    advice: AdviceTable | None
    scores: tuple[ScoreTable, ...]
    comparisons: tuple[ComparisonLine, ...]
    pairwise: tuple[Figure, ...]  # all networks of a dataset with all
    datasets: tuple[DatasetLine, ...]
    tables: tuple[tuple[str, tuple[Link, ...]], ...]  # what for a paper, and as what


def overview(site: Site, records: Records) -> Overview:
    """All that the first page shows."""
    changed, lineage = change_findings(records), Tree.of(site, records)
    rest = len(changed) - CURVES
    return Overview(
        title=records.study.study,
        summary=summary(records),
        missing=tuple(all_missing(records)),
        won=tuple(_score_findings(records)),
        changed=tuple(changed[:CURVES]),
        more_changed=f"{counted(rest, 'more comparison')} in the table." if rest > 0 else "",
        changes=_changes(site, records),
        exhibits=tuple(
            Exhibit.of(site, records, *channel) for channel in chosen_channels(records)[:EXHIBITS]
        ),
        statements=tuple(
            StatementLine(
                link=Link(stated.title, href=f"{FINDINGS}#{key}"),
                verdict=together([row.verdict for row in records.findings if row.statement == key]),
            )
            for key, stated in STATEMENTS.items()
        ),
        answers=tuple(answers(records)),
        tree=lineage,
        reading=_reading(lineage),
        advice=AdviceTable.of(site, records),
        scores=tuple(score_table(site, records, name) for name in fitted(records)),
        comparisons=tuple(map(ComparisonLine.of, records.comparisons.values())),
        pairwise=tuple(pairwise_figures(site, records)),
        datasets=tuple(map(DatasetLine.of, records.datasets.values())),
        tables=tuple(tables.write(site, records)),
    )


def summary(records: Records) -> str:
    """What was done, in one sentence."""
    trained = [network for network in records.trained if not network.failed]
    compared = [pair for pair in records.comparisons.values() if not pair.failed]
    failed = len(records.trained) - len(trained)
    scored = [network for network in trained if network.scores]
    pictures = sum(len(dataset.usable) for dataset in records.datasets.values())
    if not records.trained:
        return (
            f"{counted(len(compared), 'comparison')} of networks that were made elsewhere "
            f"({count(pictures)} pictures)."
        )
    how_many = "" if len(scored) == len(trained) else f", {len(scored)} of them scored"
    lost = f"; {failed} failed" if failed else ""
    return (
        f"{counted(len(trained), 'network')} trained on {listed(fitted(records))} "
        f"({count(pictures)} pictures){how_many}{lost}; "
        f"{counted(len(compared), 'comparison')} of what a training changed inside."
    )


def _reading(lineage: Tree) -> str:
    """How the lineage is to be read, as far as it shows something."""
    edges = [node.edge for node in lineage.nodes if node.edge]
    reading = (
        "Each box is a network, what it was trained by, and how it scores: the dark mark, in the "
        "pale bar of its 95\xa0% interval, beside chance"
    )
    has_repeats = any(len(node.repeats) > 1 for node in lineage.nodes)
    reading += (
        "; of several trainings their mean, from the least to the most." if has_repeats else "."
    )
    kinds = {edge.kind for edge in edges}
    if "drawn" in kinds:
        reading += (
            " The two pictures are what excites one of its channels most, before → after: of those "
            "drawn, the channel that kept the fewest of its maximal activation images."
        )
    if "maximal" in kinds:
        drawn = "Where none was drawn, they" if "drawn" in kinds else "The two pictures"
        reading += (
            f" {drawn} are of the dataset: those that most excite the channel that kept the fewest "
            "of its maximal activation images, before → after."
        )
    if edges:
        reading += (
            " The bars beneath are its layers, from first to last: how far each changed (1 − CKA), "
            "on one scale for the study"
        )
        reading += (
            "; a line across is luck, as far as two trainings of one route differ"
            if any(edge.has_luck for edge in edges)
            else ""
        )
        missed = any(bar.missed for edge in edges for bar in edge.bars)
        foot = "; a foot marks a layer that is missed for certain when it alone is set back"
        reading += f"{foot if missed else ''}."
    return reading


def all_missing(records: Records) -> list[str]:
    """What failed, is missing or cannot be read, a sentence each."""
    notes = [
        *(f"{records.title(name)} failed: {why}" for name, why in records.failures.items()),
        *records.notes,
        *(note for dataset in records.datasets.values() for note in dataset.notes),
        *(note for network in records.networks.values() for note in network.notes),
        *(note for ensemble in records.ensembles.values() for note in ensemble.notes),
        *records.repeats.notes,
        *(note for pairwise in records.pairwise.values() for note in pairwise.notes),
        *(note for comparison in records.comparisons.values() for note in comparison.notes),
    ]
    return list(dict.fromkeys(notes))


# --- findings ----------------------------------------------------------------------------------


def _score_findings(records: Records) -> list[Finding]:
    findings = []
    for dataset in contests(records) or fitted(
        records
    ):  # a source alone on its own task has not won
        if text := best_route(records, dataset):
            best = next(route for route in routes(records, dataset) if not route.members)
            aside = f"{records.title(best.name)}, {score_name(best.main)} on {dataset}"
            findings.append(
                Finding(
                    figure=Cell(percent(best.mean), aside=aside),
                    text=text,
                    link=Link("scores", href=f"#scores-{slug(dataset)}"),
                )
            )
    return findings


def change_findings(records: Records) -> list[Finding]:
    """What changed most and least in each comparison."""
    findings = []
    for comparison in records.comparisons.values():
        if measured := extremes(comparison):
            most, least = measured
            value = comparison.layers.set_index("layer")[comparison.trusted]
            is_control = records.is_control(comparison)
            findings.append(
                Finding(
                    figure=Cell(number(value[most]), aside=f"{most}, {_cka_name(comparison)}"),
                    text=_changed(comparison, value, most, least, is_control=is_control),
                    link=Link("comparison", href=comparison.address()),
                )
            )
    return findings


def _changed(
    comparison: ComparisonRecords,
    value: "pd.Series[float]",
    most: str,
    least: str,
    *,
    is_control: bool,
) -> str:
    """Which layers changed; of two trainings that differ by their seed, how much is luck."""
    start, changed = f"From {comparison.title_before} to {comparison.title_after}", "changed"
    if is_control:
        start = (
            f"Between {comparison.title_before} and {comparison.title_after}, by luck alone, as "
            "only their seeds differ"
        )
        changed = "differs"
    name, n = _cka_name(comparison), count(comparison.layers["n_images"].max())
    if most == least:
        return f"{start}, {most} has {name} {number(value[most])} on {n} pictures."
    if value[most] == value[least]:
        return f"{start}, all layers have {name} {number(value[most])} on {n} pictures."
    return (
        f"{start}, {most} {changed} most ({name} {number(value[most])}) and {least} least "
        f"({number(value[least])}), on {n} pictures."
    )


def _cka_name(comparison: ComparisonRecords) -> str:
    return "debiased CKA" if comparison.trusted == "cka_debiased" else "CKA"


def _changes(site: Site, records: Records) -> Figure | None:
    """The curves of the first comparisons in one chart."""
    measured = [pair for pair in records.comparisons.values() if extremes(pair)][:CURVES]
    if not measured:
        return None
    curves = []
    for comparison in measured:
        cka = comparison.trusted
        curve = comparison.layers[["layer", cka, f"{cka}_low", f"{cka}_high"]]
        curve = curve.set_axis(["layer", "value", "low", "high"], axis=1).dropna(subset="value")
        curves.append(at_layers(comparison, curve.assign(what=comparison.title)))
    long = pd.concat(curves, ignore_index=True)
    start = f"The first {CURVES} comparisons: a" if len(measured) == CURVES else "A"
    ends = [
        f"{what} from {number(known(curve['value'].iloc[0]))} to "
        f"{number(known(curve['value'].iloc[-1]))}"
        for what, curve in long.groupby("what", sort=False)
    ]
    return site.figure(
        "overview/changes",
        title="How alike a network sees before and after, layer by layer",
        reading=(
            f"{start} curve each, from the first layer to the last. At 1 a layer still arranges "
            "the pictures as before; the lower, the more it changed."
        ),
        alt_text=f"Debiased CKA by layer: {'; '.join(ends)}",
        chart=plots.curves(long, long["what"].drop_duplicates().tolist(), "linear CKA, debiased"),
        table=long.drop(columns="href"),
    )


def chosen_channels(records: Records) -> list[tuple[ChannelRow, ComparisonRecords]]:
    """Channels worth looking at: the one of each comparison that specialised most, then others.

    What two trainings of one route make different is luck, and shows nothing.
    """
    ranked = []
    for comparison in records.comparisons.values():
        channels, shown = comparison.channels, set(comparison.facts.shown)
        units = zip(channels["layer"], channels["channel"], strict=True)
        has_card = [unit in shown for unit in units]
        candidates = channels[has_card]
        if candidates.empty:
            candidates = channels.nlargest(EXHIBITS, "concentration")
        if not records.is_control(comparison):
            in_order = sorted(rows(candidates, ChannelRow), key=_least_concentrated)
            ranked += [(place, row, comparison) for place, row in enumerate(in_order)]
    ranked.sort(key=lambda candidate: (candidate[0], _least_concentrated(candidate[1])))
    return [(row, comparison) for _, row, comparison in ranked]


def _least_concentrated(row: ChannelRow) -> float:
    return -(row.concentration or 0)


# --- comparisons ------------------------------------------------------------------------------
