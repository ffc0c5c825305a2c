"""The section What mattered of a comparison's page: causes, probes and difference concepts."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from overpaint.defaults import LEVEL
from overpaint.records import BetweenRow, ConceptImageRow, ConceptRow, LayerRow, ProbeRow
from overpaint.report.charts import mattered
from overpaint.report.parts.gallery import Gallery, thumbnail
from overpaint.report.parts.rows import Cell, Figure, Link, Thumb
from overpaint.report.parts.text import (
    ABSENT,
    count,
    counted,
    listed,
    number,
    percent,
    points,
    q_value,
    slug,
    times,
)
from overpaint.report.site.files import Site, method
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import ComparisonRecords, Records
from overpaint.study.causes import are_twins, parent_of_task

LAYERS, A_LAYER = 3, 3
"""The layers whose difference concepts are shown as pictures, and how many of each."""

PICTURES = 8
"""The pictures of a difference concept that are shown, the most typical first."""

LISTED = 200
"""The most difference concepts in the table of the page; its CSV has all."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of one of the section's tables."""

    head: Link
    cells: tuple[Cell, ...]
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class Folded:
    """A table below the charts."""

    summary: str
    caption: str
    heads: tuple[str, ...]
    words: int  # cells after the first column that are words and no numbers
    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class ConceptCard:
    """A difference concept with its pictures."""

    id: str
    title: str  # the leading class
    share: str
    held_by: str
    facts: tuple[tuple[str, Cell], ...]
    thumbs: tuple[Thumb, ...]
    more: str


@dataclass(frozen=True, kw_only=True)
class LayerConcepts:
    """The difference concepts of a layer that are shown."""

    layer: Link
    change: str
    cards: tuple[ConceptCard, ...]


@dataclass(frozen=True, kw_only=True)
class Mattered:
    """All that the section shows."""

    lead: str
    figures: tuple[Figure, ...]
    concepts: tuple[LayerConcepts, ...]
    concepts_reading: str
    tables: tuple[Folded, ...]
    data: tuple[Link, ...]
    remarks: tuple[str, ...]  # what to know of the numbers
    absent: str  # how what was not tried comes to be tried


def what_mattered(site: Site, records: Records, gallery: Gallery) -> Mattered:
    """The section of a comparison."""
    comparison = gallery.comparison
    score = "mAP" if comparison.facts.multi_label else "top-1"
    table = mattered.change_beside_cost(comparison)
    concepts = rows(
        comparison.causes.concepts.sort_values(["q", "gain"], ascending=[True, False]), ConceptRow
    )
    return Mattered(
        lead=mattered.sentence(table, score, _rank(records, comparison)) if len(table) else "",
        figures=tuple(_figures(site, records, comparison, table, score)),
        concepts=tuple(_by_layer(gallery, concepts)),
        concepts_reading=_concepts_reading(comparison, concepts),
        tables=tuple(_tables(comparison, table, concepts)),
        data=tuple(_data(site, comparison)),
        remarks=tuple(comparison.causes.facts.notes + comparison.causes.concept_facts.notes),
        absent=_absent(records, comparison),
    )


def _rank(records: Records, comparison: ComparisonRecords) -> str:
    """Whether the layers that moved most are those that matter, as the findings have it."""
    row = next((row for row in records.findings_of(comparison) if row.statement == "matters"), None)
    if row is None or row.value is None:
        return ""
    words = {
        "yes": "the layers that moved most are those that matter most",
        "no": "the layers that moved most matter least",
    }
    said = words.get(row.verdict, "whether the layers that moved most matter most is undecided")
    return f"; {said} (rank correlation {number(row.value, 2)}, N\xa0{row.n} layers)"


def _figures(
    site: Site,
    records: Records,
    comparison: ComparisonRecords,
    table: pd.DataFrame,
    score: str,
) -> Iterable[Figure]:
    drawings = (
        ("rewinds", "Change, and what it costs to take it back", "rewind",
         mattered.rewinds(comparison, table, score)),
        ("way", "The way from before to after", "between",
         mattered.way(comparison, _tasks(records, comparison), score)),
        ("probes", "What each layer knows of the classes", "probe",
         mattered.knows(comparison, score)),
    )  # fmt: skip
    for name, title, measure, drawing in drawings:
        if drawing is not None:
            figure = site.figure(
                f"comparisons/{comparison.name}/{name}",
                title=title,
                reading=drawing.reading,
                alt_text=drawing.alt_text,
                chart=drawing.chart,
                table=drawing.table,
            )
            yield replace(figure, definition=method(measure))


def _tasks(records: Records, comparison: ComparisonRecords) -> tuple[str, str]:
    """What the two lines of the way are called: the task trained for, and that of the parent."""
    study, dataset = records.study, comparison.facts.dataset or ABSENT
    parent = parent_of_task(study, comparison.before, comparison.after)
    fit = study.all_networks[parent].fit if parent else ABSENT
    return (
        f"on {dataset}",
        f"on {fit}, by the head of {records.title(parent) if parent else ABSENT}",
    )


# --- difference concepts -------------------------------------------------------------------------


def _by_layer(gallery: Gallery, concepts: list[ConceptRow]) -> Iterable[LayerConcepts]:
    """The surest concepts of the layers that changed most, those beyond luck before others; where
    none is sure, one a layer.
    """
    comparison = gallery.comparison
    by_layer: dict[str, list[ConceptRow]] = {}
    for concept in concepts:
        by_layer.setdefault(concept.layer, []).append(concept)
    pictures: dict[tuple[str, str, int], list[ConceptImageRow]] = {}
    for picture in rows(comparison.causes.concept_images.sort_values("rank"), ConceptImageRow):
        key = picture.layer, picture.held_by, picture.number
        pictures.setdefault(key, []).append(picture)
    cka = comparison.layers.drop_duplicates("layer").set_index("layer")[comparison.trusted]
    most = A_LAYER if any(concept.q <= LEVEL for concept in concepts) else 1
    for layer in mattered.where_it_changed_most(comparison, by_layer)[:LAYERS]:
        first = sorted(by_layer[layer], key=lambda concept: not concept.beyond_luck)
        cards = tuple(
            _card(gallery, concept, pictures.get((layer, concept.held_by, concept.number), []))
            for concept in first[:most]
        )
        known = layer in cka.index and pd.notna(cka[layer])
        yield LayerConcepts(
            layer=Link(layer, href=comparison.layer(layer) if layer in comparison.order else None),
            change=f"1 − CKA {number(1 - float(cka[layer]))}" if known else "",
            cards=cards,
        )


def _card(gallery: Gallery, concept: ConceptRow, pictures: list[ConceptImageRow]) -> ConceptCard:
    site, dataset = gallery.site, gallery.comparison.facts.dataset
    thumbs = []
    for row in pictures[:PICTURES]:
        picture = thumbnail(site, gallery.folder, dataset, row.image, row.digest)
        thumbs.append(
            Thumb(
                picture=picture,
                image=row.image,
                label=row.label or ABSENT,
                shared=False,
                origin=gallery.origin(row.image, picture),
            )
        )
    within = _within(concept.low, concept.high)
    more = f"{number(concept.gain, 2)} more {concept.held_by}, {within}"
    coherence = f"{number(concept.coherence_before, 2)} → {number(concept.coherence_after, 2)}"
    facts = [
        ("Coherence", Cell(coherence, aside=more)),
        ("False discovery rate", Cell(q_value(concept.q) or ABSENT)),
    ]
    if concept.luck is not None:
        facts.append(("Luck", _luck(concept)))
    if concept.top_group:
        facts.append(("Leading group", _group(concept)))
    return ConceptCard(
        id=f"concept-{slug(concept.layer)}-{concept.held_by}-{concept.number}",
        title=concept.top_class or ABSENT,
        share=f"{percent(concept.top_share)} of {counted(concept.n, 'picture')}",
        held_by=_held(concept),
        facts=tuple(facts),
        thumbs=tuple(thumbs),
        more=f"{counted(len(pictures) - PICTURES, 'more picture')} in the table."
        if len(pictures) > PICTURES
        else "",
    )


def _held(concept: ConceptRow) -> str:
    return f"held together more {concept.held_by}"


def _group(concept: ConceptRow) -> Cell:
    if not concept.top_group:
        return Cell(ABSENT)
    lift = f"{number(concept.top_group_lift, 1)}\xa0×"
    return Cell(concept.top_group, aside=f"{percent(concept.top_group_share)}, {lift}")


def _luck(concept: ConceptRow) -> Cell:
    """The largest gain between two trainings of one route, and whether this one is beyond it."""
    if concept.luck is None:
        return Cell(ABSENT)
    beyond = "beyond it" if concept.beyond_luck else "not beyond it"
    return Cell(number(concept.luck, 2), aside=beyond)


def _concepts_reading(comparison: ComparisonRecords, concepts: list[ConceptRow]) -> str:
    if not concepts:
        return ""
    facts, beyond = comparison.causes.concept_facts, [row.beyond_luck for row in concepts]
    luck = (
        f" {count(sum(map(bool, beyond)))} go beyond luck: more than any group gains between two "
        "trainings of one route, in this comparison and where it was repeated."
        if any(word is not None for word in beyond)
        else " No training was repeated, so that luck is not known."
    )
    sure, layers = sum(row.q <= LEVEL for row in concepts), {row.layer for row in concepts}
    if not sure:
        luck += " As none is sure, they are pictures to look at, and no finding."
    return (
        f"Groups of pictures that one of the two networks holds together at a layer more than the "
        f"other. Coherence is how often a picture of the group is nearer to another of it than "
        f"to one outside: 0.5 by chance, 1 for a group that lies apart. Of "
        f"{counted(len(concepts), 'group')} in {counted(len(layers), 'layer')} "
        f"{count(sure)} differ at a false discovery rate of {percent(LEVEL)}, on "
        f"{counted(facts.n or 0, 'picture')}.{luck} The layers that changed most:"
    )


# --- tables --------------------------------------------------------------------------------------


def _within(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{number(low, 2)} to {number(high, 2)}"


def _points(value: float | None, low: float | None, high: float | None) -> Cell:
    """A difference of two shares in points, with its interval; nothing where nothing is known."""
    if value is None:
        return Cell(ABSENT)
    ends = "" if low is None or high is None else f"{points(low)} to {points(high)}"
    return Cell(points(value), aside=ends)


def _tables(
    comparison: ComparisonRecords, table: pd.DataFrame, concepts: list[ConceptRow]
) -> Iterable[Folded]:
    if len(table):
        yield Folded(
            summary=f"Change and cost in numbers: {counted(len(table), 'layer')}",
            caption="Change: 1 minus CKA, with its 95 % interval. Cost: points of the score lost "
            "when the layer alone, all layers up to it, or all from it on are set back to before, "
            f"on {counted(int(table['n'].max()), 'test picture')}; 0 by chance."
            + (
                " Beside luck: the change divided by that between two trainings of one route."
                if comparison.has_luck
                else ""
            ),
            heads=(
                "Layer",
                "Change",
                *(("Beside luck",) if comparison.has_luck else ()),
                "Weights moved",
                "Cost alone",
                "up to it",
                "from it on",
            ),
            words=0,
            lines=tuple(
                Line(
                    head=Link(
                        row.layer,
                        href=comparison.layer(row.layer) if row.layer in comparison.order else None,
                    ),
                    cells=(
                        Cell(number(row.change), aside=_within(row.change_low, row.change_high)),
                        *((beside_luck(row),) if comparison.has_luck else ()),
                        Cell(number(row.moved)),
                        _points(row.cost, row.cost_low, row.cost_high),
                        _points(row.up_to, row.up_to_low, row.up_to_high),
                        _points(row.onwards, row.onwards_low, row.onwards_high),
                    ),
                    remark="unchanged" if row.identical else "",
                )
                for row in rows(table, mattered.LayerCost)
            ),
        )
    yield from _way_tables(comparison)
    probes = rows(comparison.causes.probes, ProbeRow)
    if probes:
        yield Folded(
            summary=f"What layers know in numbers: {counted(len(probes), 'probe')}",
            caption="Score on test of a linear probe, and of the nearest neighbours, with 95 % "
            "interval and chance.",
            heads=("Network", "Layer", "Method", "Score", "Chance", "N train", "N test"),
            words=2,
            lines=tuple(
                Line(
                    head=Link(comparison.study.title_of(row.network)),
                    cells=(
                        Cell(row.layer),
                        Cell(row.method),
                        Cell(percent(row.value), aside=_shares(row.low, row.high)),
                        Cell(percent(row.chance)),
                        Cell(count(row.n_train)),
                        Cell(count(row.n)),
                    ),
                    remark="" if row.status == "ok" else row.status,
                )
                for row in probes
            ),
        )
    if concepts:
        cut = f" The {LISTED} surest; the CSV has all." if len(concepts) > LISTED else ""
        yield Folded(
            summary=f"All difference concepts: {counted(len(concepts), 'group')}",
            caption="N pictures, the leading class with its share and how many times its share of "
            "all pictures that is, coherence in both networks, gain with its 95 % interval, and "
            "the false discovery rate q; luck, the largest gain between two trainings of one "
            f"route.{cut}",
            heads=("Layer", "Held together", "Leading class", "Leading group", "N",
                   "Coherence before", "after", "Gain", "q", "Luck"),
            words=3,
            lines=tuple(
                Line(
                    head=Link(row.layer),
                    cells=(
                        Cell(row.held_by),
                        Cell(
                            row.top_class or ABSENT,
                            aside=f"{percent(row.top_share)}, {number(row.top_lift, 1)}\xa0×",
                        ),
                        _group(row),
                        Cell(count(row.n)),
                        Cell(number(row.coherence_before, 2)),
                        Cell(number(row.coherence_after, 2)),
                        Cell(number(row.gain, 2), aside=_within(row.low, row.high)),
                        Cell(q_value(row.q).replace("q\xa0=\xa0", "")),
                        _luck(row),
                    ),
                )
                for row in concepts[:LISTED]
            ),
        )  # fmt: skip


def _way_tables(comparison: ComparisonRecords) -> Iterable[Folded]:
    for name, summary in (
        ("between", "The way in numbers"),
        ("forgetting", "What is lost of the parent’s task in numbers"),
    ):
        places = rows(comparison.causes.way(name), BetweenRow)
        if places:
            yield Folded(
                summary=f"{summary}: {counted(len(places), 'place')}",
                caption="Score with its 95 % interval, chance, and loss in nats, over "
                f"{counted(places[0].n, 'picture')}.",
                heads=("α", "Score", "Chance", "Loss"),
                words=0,
                lines=tuple(
                    Line(
                        head=Link(f"{row.alpha:g}"),
                        cells=(
                            Cell(percent(row.value), aside=_shares(row.low, row.high)),
                            Cell(percent(row.chance)),
                            Cell(number(row.loss)),
                        ),
                    )
                    for row in places
                ),
            )


def _shares(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{percent(low)} to {percent(high)}"


def beside_luck(row: LayerRow | mattered.LayerCost | None) -> Cell:
    """How many times as much a layer changed as between two trainings of one route."""
    if row is None or row.cka_debiased_twins is None:
        return Cell(ABSENT)
    return Cell(times(row.beside_luck), aside=f"luck {number(1 - row.cka_debiased_twins)}")


def _data(site: Site, comparison: ComparisonRecords) -> Iterable[Link]:
    causes = comparison.causes
    tables = {
        "rewinds": causes.rewind,
        "way": causes.between,
        "forgetting": causes.forgetting,
        "probes": causes.probes,
        "concepts": causes.concepts,
        # by their names; the digests of the files are in the study folder
        "pictures of concepts": causes.concept_images.drop(columns="digest", errors="ignore"),
    }
    for name, frame in tables.items():
        if not frame.empty:
            place = f"comparisons/{comparison.name}/mattered-{name.split()[0]}"
            yield Link(name, href=site.data(place, frame))


def _absent(records: Records, comparison: ComparisonRecords) -> str:
    """What was not tried, and how it comes to be; what a comparison cannot have is not named."""
    causes = comparison.causes
    tried = {
        "setting layers back": causes.rewind,
        "the way from before to after": causes.between,
        "what layers know": causes.probes,
        "difference concepts": causes.concepts,
    }
    if are_twins(records.study, comparison.before, comparison.after):
        del tried["setting layers back"]  # there is nothing to set back to
    lacking = [name for name, frame in tried.items() if frame.empty]
    if not lacking:
        return ""
    how = "With “causes: true” a study tries all that it can."
    if comparison.is_from_python:
        how = f"{how[:-1]}; op.report, which made this page, tries none of it."
    return f"Not tried here: {listed(lacking)}. {how}"
