"""The first page: what was done, what came out of it, and where each number is."""

from collections.abc import Iterable

import pandas as pd

from overpaint.records import ChannelRow, Manifest
from overpaint.report.advice import advice_table
from overpaint.report.channels import anchor
from overpaint.report.datasets import dataset_line
from overpaint.report.findings import PAGE, STATEMENTS, together
from overpaint.report.gallery import rendering
from overpaint.report.reader import rows
from overpaint.report.reading import ComparisonRecords, Records
from overpaint.report.routes import best_route
from overpaint.report.rows import (
    Cell,
    ComparisonLine,
    Exhibit,
    Finding,
    Link,
    Overview,
    Provenance,
    StatementLine,
)
from overpaint.report.scores import score_table
from overpaint.report.site import Site
from overpaint.report.tree import tree
from overpaint.report.words import ABSENT, count, counted, known, listed, number, percent, slug

EXHIBITS = 3


def overview(site: Site, records: Records) -> Overview:
    """All that the first page shows."""
    manifests = _manifests(records)
    return Overview(
        records.study.study,
        _summary(records),
        (*_score_findings(records), *_change_findings(records)),
        tuple(_statements(records)),
        tuple(_exhibits(site, records)),
        tuple(tree(records)),
        advice_table(site, records),
        tuple(score_table(site, records, name) for name in _fitted(records)),
        tuple(dataset_line(site, each) for each in records.datasets.values()),
        tuple(_comparison_line(each) for each in records.comparisons.values()),
        str(records.study.seed),
        tuple(_versions(manifests)),
        tuple(sorted({each.hardware for _, each in manifests if each.hardware})),
        tuple(
            Provenance(name, each.key, str(each.facts.get("weights", "")))
            for name, each in manifests
        ),
        tuple(_missing(records)),
    )


def _summary(records: Records) -> str:
    planned = [each for each in records.networks.values() if each.trained]
    trained = [each for each in planned if not each.failed]
    compared = [each for each in records.comparisons.values() if not each.failed]
    failed = len(planned) - len(trained)
    scored = [each for each in trained if each.scores]
    pictures = sum(int((each.images["status"] == "ok").sum()) for each in records.datasets.values())
    some = "" if len(scored) == len(trained) else f", {len(scored)} of them scored"
    lost = f"; {failed} failed" if failed else ""
    return (
        f"{counted(len(trained), 'network')} trained on {listed(_fitted(records))} "
        f"({count(pictures)} pictures){some}{lost}; "
        f"{counted(len(compared), 'comparison')} of what a training changed inside."
    )


def _fitted(records: Records) -> list[str]:
    """The datasets that networks were fitted to, in the order of the study."""
    fits = {network.fit for network in records.study.every.values()}
    return [name for name in records.study.datasets if name in fits]


def _missing(records: Records) -> list[str]:
    notes = [
        *(f"{name} failed: {why}" for name, why in records.failures.items()),
        *records.notes,
        *(note for each in records.datasets.values() for note in each.notes),
        *(note for each in records.networks.values() for note in each.notes),
        *(note for each in records.ensembles.values() for note in each.notes),
        *records.repeats.notes,
        *(note for each in records.comparisons.values() for note in each.notes),
    ]
    return list(dict.fromkeys(notes))


# --- findings ----------------------------------------------------------------------------------


def _score_findings(records: Records) -> list[Finding]:
    return [
        Finding(text, Link("scores", f"index.html#scores-{slug(dataset)}"))
        for dataset in _fitted(records)
        if (text := best_route(records, dataset))
    ]


def _statements(records: Records) -> Iterable[StatementLine]:
    """The paper's statements, each with the verdicts that this study gives."""
    for key, stated in STATEMENTS.items():
        verdicts = [row.verdict for row in records.findings if row.statement == key]
        yield StatementLine(Link(stated.title, f"{PAGE}#{key}"), together(verdicts))


def _change_findings(records: Records) -> list[Finding]:
    found = []
    for each in records.comparisons.values():
        most, least = _extremes(each)
        if most is not None and least is not None:
            text = _changed(each, most, least)
            found.append(Finding(text, Link("comparison", each.address())))
    return found


def _changed(each: ComparisonRecords, most: str, least: str) -> str:
    measure = _trusted(each)
    value = each.layers.set_index("layer")[measure]
    name = "debiased CKA" if measure == "cka_debiased" else "CKA"
    start = f"From {each.before} to {each.after}"
    n = count(each.layers["n_images"].max())
    if most == least:
        return f"{start}, {most} has {name} {number(value[most])} on {n} pictures."
    if value[most] == value[least]:
        return f"{start}, all layers have {name} {number(value[most])} on {n} pictures."
    return (
        f"{start}, {most} changed most ({name} {number(value[most])}) and {least} least "
        f"({number(value[least])}), on {n} pictures."
    )


def _trusted(each: ComparisonRecords) -> str:
    """Debiased CKA where every layer has it: layers of different width are then comparable."""
    return "cka_debiased" if each.layers["cka_debiased"].notna().all() else "cka"


def _extremes(each: ComparisonRecords) -> tuple[str | None, str | None]:
    """The layers that changed most and least."""
    told = each.layers.dropna(subset=_trusted(each))
    if told.empty:
        return None, None
    values = told.set_index("layer")[_trusted(each)]
    return str(values.idxmin()), str(values.idxmax())


def _exhibits(site: Site, records: Records) -> Iterable[Exhibit]:
    chosen = [(row, each) for each in records.comparisons.values() for row in _candidates(each)]
    chosen.sort(key=lambda pair: -(pair[0].concentration or 0))
    for row, each in chosen[:EXHIBITS]:
        before, after = (
            rendering(site, records.folder, network, row.layer, row.channel)
            for network in (each.before, each.after)
        )
        where = Link(f"{row.layer}:{row.channel}", each.address(anchor(row.layer, row.channel)))
        yield Exhibit(where, _exhibit(row, each), before, after)


def _candidates(each: ComparisonRecords) -> list[ChannelRow]:
    """The channels with a card, or else those that specialised most."""
    channels = each.channels
    shown = set(each.shown)
    carded = [pair in shown for pair in zip(channels["layer"], channels["channel"], strict=True)]
    own = channels[carded] if any(carded) else channels.nlargest(EXHIBITS, "concentration")
    return rows(own, ChannelRow)


def _exhibit(row: ChannelRow, each: ComparisonRecords) -> str:
    start = f"From {each.before} to {each.after}, its"
    if row.concentration is None:
        return (
            f"{start} maximal activation images overlap by {number(row.overlap)} "
            f"(chance {number(row.overlap_chance)})."
        )
    return (
        f"{start} class entropy went from "
        f"{number(row.entropy_before)} to {number(row.entropy_after)} "
        f"(chance {number(row.entropy_chance)}); {percent(row.top_share_after)} of its maximal "
        f"activation images are now of {row.top_class_after or ABSENT}."
    )


# --- comparisons ------------------------------------------------------------------------------


def _comparison_line(found: ComparisonRecords) -> ComparisonLine:
    facts = found.facts
    most, least = _extremes(found)
    on = f"{facts['dataset']}/{facts.get('cka_split', ABSENT)}" if "dataset" in facts else ABSENT
    on = f"not made: {listed(found.failed)} failed" if found.failed else on
    overlap, chance = (found.channels[name].mean() for name in ("overlap", "overlap_chance"))
    return ComparisonLine(
        Link(f"{found.before} → {found.after}", found.address()),
        on,
        number(_mean(found.layers["cka"])),
        number(_mean(found.layers["cka_debiased"])),
        Cell(number(known(overlap)), f"chance {number(known(chance))}"),
        _layer_link(found, most),
        _layer_link(found, least),
    )


def _layer_link(found: ComparisonRecords, layer: str | None) -> Link:
    return Link(layer, found.address(f"layer-{slug(layer)}")) if layer else Link(ABSENT)


def _mean(column: "pd.Series[float]") -> float | None:
    return known(column.mean())


# --- provenance --------------------------------------------------------------------------------


def _manifests(records: Records) -> list[tuple[str, Manifest]]:
    found = [
        *((f"dataset {name}", each.manifest) for name, each in records.datasets.items()),
        *((f"network {name}", each.manifest) for name, each in records.networks.items()),
        *((f"ensemble {name}", each.manifest) for name, each in records.ensembles.items()),
        *((f"comparison {name}", each.manifest) for name, each in records.comparisons.items()),
    ]
    return [(name, manifest) for name, manifest in found if manifest]


def _versions(manifests: list[tuple[str, Manifest]]) -> list[str]:
    found = {f"{name} {each}" for _, part in manifests for name, each in part.versions.items()}
    return sorted(found)
