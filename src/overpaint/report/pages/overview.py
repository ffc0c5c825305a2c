"""The first page: what was done, what came out of it, and where each number is."""

from collections.abc import Iterable

import pandas as pd

from overpaint.records import ChannelRow
from overpaint.report.charts import plots
from overpaint.report.export import tables
from overpaint.report.pages.data import dataset_line
from overpaint.report.pages.findings import PAGE, STATEMENTS, together
from overpaint.report.parts.advice import advice_table
from overpaint.report.parts.gallery import rendering
from overpaint.report.parts.routes import best_route, routes, score_name
from overpaint.report.parts.rows import (
    Cell,
    ComparisonLine,
    Exhibit,
    Figure,
    Finding,
    Link,
    Overview,
    StatementLine,
)
from overpaint.report.parts.scores import score_table
from overpaint.report.parts.text import ABSENT, count, counted, known, listed, number, percent, slug
from overpaint.report.parts.tree import tree
from overpaint.report.site.files import Site
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import ComparisonRecords, Records

EXHIBITS = 3

TOLD = 6
"""The comparisons that have a sentence and a curve; the table has all."""


def overview(site: Site, records: Records) -> Overview:
    """All that the first page shows."""
    changed = _change_findings(records)
    more = len(changed) - TOLD
    return Overview(
        records.study.study,
        summary(records),
        tuple(all_missing(records)),
        tuple(_score_findings(records)),
        tuple(changed[:TOLD]),
        f"{counted(more, 'more comparison')} in the table." if more > 0 else "",
        _changes(site, records),
        tuple(_exhibits(site, records)),
        tuple(_statements(records)),
        tuple(tree(records)),
        advice_table(site, records),
        tuple(score_table(site, records, name) for name in fitted(records)),
        tuple(_comparison_line(each) for each in records.comparisons.values()),
        tuple(dataset_line(each) for each in records.datasets.values()),
        tuple(tables.write(site, records)),
    )


def summary(records: Records) -> str:
    """What was done, in one sentence."""
    planned = [each for each in records.networks.values() if each.trained]
    trained = [each for each in planned if not each.failed]
    compared = [each for each in records.comparisons.values() if not each.failed]
    failed = len(planned) - len(trained)
    scored = [each for each in trained if each.scores]
    pictures = sum(int((each.images["status"] == "ok").sum()) for each in records.datasets.values())
    some = "" if len(scored) == len(trained) else f", {len(scored)} of them scored"
    lost = f"; {failed} failed" if failed else ""
    return (
        f"{counted(len(trained), 'network')} trained on {listed(fitted(records))} "
        f"({count(pictures)} pictures){some}{lost}; "
        f"{counted(len(compared), 'comparison')} of what a training changed inside."
    )


def fitted(records: Records) -> list[str]:
    """The datasets that networks were fitted to, in the order of the study."""
    fits = {network.fit for network in records.study.all_networks.values()}
    return [name for name in records.study.datasets if name in fits]


def all_missing(records: Records) -> list[str]:
    """What failed, is missing or cannot be read, a sentence each."""
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
    found = []
    contests = [each for each in fitted(records) if len(routes(records, each)) > 1]
    for dataset in contests or fitted(records):  # a source alone on its own task has not won
        if text := best_route(records, dataset):
            best = next(route for route in routes(records, dataset) if not route.members)
            figure = Cell(percent(best.mean), f"{best.name}, {score_name(best.main)} on {dataset}")
            found.append(Finding(figure, text, Link("scores", f"#scores-{slug(dataset)}")))
    return found


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
            value = each.layers.set_index("layer")[each.trusted]
            figure = Cell(number(value[most]), f"{most}, {_cka_name(each)}")
            text = _changed(each, value, most, least, is_control=records.is_control(each))
            found.append(Finding(figure, text, Link("comparison", each.address())))
    return found


def _changed(
    each: ComparisonRecords, value: "pd.Series[float]", most: str, least: str, *, is_control: bool
) -> str:
    """Which layers changed; of two trainings that differ by their seed, how much is luck."""
    start, changed = f"From {each.before} to {each.after}", "changed"
    if is_control:
        start = f"Between {each.before} and {each.after}, by luck alone, as only their seeds differ"
        changed = "differs"
    name, n = _cka_name(each), count(each.layers["n_images"].max())
    if most == least:
        return f"{start}, {most} has {name} {number(value[most])} on {n} pictures."
    if value[most] == value[least]:
        return f"{start}, all layers have {name} {number(value[most])} on {n} pictures."
    return (
        f"{start}, {most} {changed} most ({name} {number(value[most])}) and {least} least "
        f"({number(value[least])}), on {n} pictures."
    )


def _cka_name(each: ComparisonRecords) -> str:
    return "debiased CKA" if each.trusted == "cka_debiased" else "CKA"


def _changes(site: Site, records: Records) -> Figure | None:
    """The curves of the first comparisons in one chart."""
    told = [each for each in records.comparisons.values() if _extremes(each)[0]][:TOLD]
    if not told:
        return None
    long = pd.concat([_curve(each) for each in told], ignore_index=True)
    several = f"The first {TOLD} comparisons: a" if len(told) == TOLD else "A"
    return site.figure(
        "overview/changes",
        title="How alike a network sees before and after, layer by layer",
        reading=(
            f"{several} curve each, from the first layer to the last. At 1 a layer still arranges "
            "the pictures as before; the lower, the more it changed."
        ),
        alt_text=(
            "Debiased CKA by layer: "
            + "; ".join(
                f"{what} from {number(known(own['value'].iloc[0]))} to "
                f"{number(known(own['value'].iloc[-1]))}"
                for what, own in long.groupby("what", sort=False)
            )
        ),
        chart=plots.curves(long, long["what"].drop_duplicates().tolist(), "linear CKA, debiased"),
        table=long,
    )


def _curve(each: ComparisonRecords) -> pd.DataFrame:
    measure = each.trusted
    columns = ["layer", measure, f"{measure}_low", f"{measure}_high"]
    own = each.layers[columns].set_axis(["layer", "value", "low", "high"], axis=1)
    return own.dropna(subset="value").assign(what=f"{each.before} → {each.after}")


def _extremes(each: ComparisonRecords) -> tuple[str | None, str | None]:
    """The layers that changed most and least."""
    told = each.layers.dropna(subset=each.trusted)
    if told.empty:
        return None, None
    values = told.set_index("layer")[each.trusted]
    return str(values.idxmin()), str(values.idxmax())


def _exhibits(site: Site, records: Records) -> Iterable[Exhibit]:
    for row, each in _chosen(records)[:EXHIBITS]:
        before, after = (
            rendering(site, records.folder, network, row.layer, row.channel)
            for network in (each.before, each.after)
        )
        where = Link(f"{row.layer}:{row.channel}", each.channel(row.layer, row.channel))
        yield Exhibit(where, _exhibit(row, each), before, after)


def _chosen(records: Records) -> list[tuple[ChannelRow, ComparisonRecords]]:
    """Channels worth looking at: the one of each comparison that specialised most, then others.

    What two trainings of one route make different is luck, and shows nothing.
    """
    ranked = [
        (place, row, each)
        for each in records.comparisons.values()
        if not records.is_control(each)
        for place, row in enumerate(sorted(_candidates(each), key=_least_concentrated))
    ]
    ranked.sort(key=lambda found: (found[0], _least_concentrated(found[1])))
    return [(row, each) for _, row, each in ranked]


def _least_concentrated(row: ChannelRow) -> float:
    return -(row.concentration or 0)


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
