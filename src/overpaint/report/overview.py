"""The first page: what was done, what came out of it, and where each number is."""

from collections.abc import Iterable
from dataclasses import asdict, replace

import pandas as pd

from overpaint.records import ChannelRow, ImageRow, Manifest, Score, Scores
from overpaint.report import charts
from overpaint.report.comparisons import anchor, rendering
from overpaint.report.networks import score_name
from overpaint.report.reading import (
    ComparisonRecords,
    DatasetRecords,
    NetworkRecords,
    Records,
    rows,
)
from overpaint.report.rows import (
    Cell,
    ComparisonLine,
    DatasetLine,
    Exhibit,
    Figure,
    Finding,
    Link,
    Node,
    Overview,
    Provenance,
    ScoreLine,
    ScoreTable,
)
from overpaint.report.site import Site, no_figure
from overpaint.report.words import (
    ABSENT,
    count,
    counted,
    interval,
    known,
    listed,
    number,
    percent,
    setting,
    slug,
)

EXHIBITS = 3
NAMED_LEFT_OUT = 50
"""The pictures left out that the page names; the table names all."""


def overview(site: Site, records: Records) -> Overview:
    """All that the first page shows."""
    manifests = _manifests(records)
    return Overview(
        records.study.study,
        _summary(records),
        (*_score_findings(records), *_change_findings(records)),
        tuple(_exhibits(site, records)),
        tuple(_tree(records)),
        tuple(_score_table(site, records, name) for name in _fitted(records)),
        tuple(_dataset_line(site, each) for each in records.datasets.values()),
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
    trained = [each for each in records.networks.values() if each.trained]
    scored = [each for each in trained if each.scores]
    pictures = sum(int((each.images["status"] == "ok").sum()) for each in records.datasets.values())
    some = "" if len(scored) == len(trained) else f", {len(scored)} of them scored"
    return (
        f"{counted(len(trained), 'network')} trained on {listed(_fitted(records))} "
        f"({count(pictures)} pictures){some}; "
        f"{counted(len(records.comparisons), 'comparison')} of what a training changed inside."
    )


def _fitted(records: Records) -> list[str]:
    """The datasets that networks were fitted to, in the order of the study."""
    fits = {network.fit for network in records.study.every.values()}
    return [name for name in records.study.datasets if name in fits]


def _missing(records: Records) -> list[str]:
    notes = [
        *(f"{name} failed: {why}" for name, why in records.failures.items()),
        *(note for each in records.datasets.values() for note in each.notes),
        *(note for each in records.networks.values() for note in each.notes),
        *(note for each in records.comparisons.values() for note in each.notes),
    ]
    return list(dict.fromkeys(notes))


# --- findings ----------------------------------------------------------------------------------


def _scored(records: Records, dataset: str) -> list[tuple[str, Score]]:
    """The networks scored on a dataset and their main score, best first."""
    found = [
        (each.name, each.scores.scores[each.scores.main])
        for each in records.networks.values()
        if each.scores and each.scores.dataset == dataset
    ]
    return sorted(found, key=lambda pair: -pair[1].value)


def _score_findings(records: Records) -> list[Finding]:
    return [
        Finding(_best(records, dataset), Link("scores", f"index.html#scores-{slug(dataset)}"))
        for dataset in _fitted(records)
        if _scored(records, dataset)
    ]


def _best(records: Records, dataset: str) -> str:
    (name, best), *others = _scored(records, dataset)
    scores = records.networks[name].scores
    main = score_name(scores.main) if scores else ""
    start = (
        f"On {dataset}, {name} classifies best: {main} {_with_interval(best)} of "
        f"{count(best.n)} pictures, where chance is {percent(best.chance)}"
    )
    if not others:
        return f"{start}. It is the only network scored on it."
    other, second = others[0]
    if best.value == second.value:
        return f"{start}. {other} is level with it."
    apart = f"{(best.value - second.value) * 100:.1f} points above {other} {_with_interval(second)}"
    if best.low > second.high:
        return f"{start}. That is {apart}; their intervals do not overlap."
    return f"{start}. That is {apart}; their intervals overlap, so the order is not settled."


def _with_interval(score: Score) -> str:
    return f"{percent(score.value)} ({interval(score.low, score.high)})"


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


# --- lineage -----------------------------------------------------------------------------------


def _tree(records: Records) -> list[Node]:
    parents = {name: _parent(records, name) for name in records.networks}
    return [_node(records, parents, name) for name, parent in parents.items() if parent is None]


def _parent(records: Records, name: str) -> str | None:
    """The network that a training began from: what the run says, or else the study."""
    said = records.networks[name].facts.get("parent")
    if said in records.networks and said != name:
        return str(said)
    if name not in records.study.every:
        return None
    planned = records.study.every[name].parent
    return planned or (f"{name}.init" if f"{name}.init" in records.networks else None)


def _node(records: Records, parents: dict[str, str | None], name: str) -> Node:
    found = records.networks[name]
    children = [child for child, parent in parents.items() if parent == name]
    entry = records.study.every.get(name)
    return Node(
        f"network-{slug(name)}",
        Link(name, f"networks/{slug(name)}.html" if found.trained else None),
        _kind(records, name),
        _origin(records, name),
        _training(records, name),
        entry.fit or "" if entry else "",
        _node_score(found),
        tuple(_node(records, parents, child) for child in children),
    )


def _kind(records: Records, name: str) -> str:
    entry = records.study.every.get(name)
    if records.networks[name].trained:
        return "trained"
    return "random" if entry is None or entry.weights == "random" else "loaded"


def _origin(records: Records, name: str) -> str:
    entry = records.study.every.get(name)
    if entry is None:
        return f"where {name.removesuffix('.init')} began, drawn at random"
    return entry.load or ""


def _training(records: Records, name: str) -> str:
    """The recipe of a network's training with what was overridden."""
    entry = records.study.every.get(name)
    if entry is None or entry.recipe is None:
        return ""
    own = "".join(
        f", {key.replace('_', ' ')} {setting(value)}" for key, value in entry.overrides.items()
    )
    return entry.recipe + own


def _node_score(found: NetworkRecords) -> Cell | None:
    if not found.trained:
        return None
    if not found.scores:
        return Cell("not scored yet")
    score = found.scores.scores[found.scores.main]
    name = score_name(found.scores.main)
    return Cell(percent(score.value), f"{name}, {interval(score.low, score.high)}")


# --- scores ------------------------------------------------------------------------------------


def _score_table(site: Site, records: Records, dataset: str) -> ScoreTable:
    found = [records.networks[name] for name, _ in _scored(records, dataset)]
    scored = {each.name: each.scores for each in found if each.scores}
    first = next(iter(scored.values()), None)
    kinds = list(dict.fromkeys(kind for each in scored.values() for kind in each.scores))
    fitted = [name for name, entry in records.study.every.items() if entry.fit == dataset]
    without = sorted({label for each in scored.values() for label in each.without_positives})
    return ScoreTable(
        dataset,
        first.split if first else "",
        tuple(map(score_name, kinds)),
        tuple(_score_line(records, name, each, kinds) for name, each in scored.items()),
        tuple(_chance(scored.values(), kind) for kind in kinds),
        _score_figure(site, dataset, scored, first.main if first else ""),
        tuple(name for name in fitted if name not in scored),
        f"Without a picture in the split: {', '.join(without)}." if without else "",
    )


def _score_line(records: Records, name: str, found: Scores, kinds: list[str]) -> ScoreLine:
    scores = [found.scores.get(kind) for kind in kinds]
    begin = _parent(records, name) or _origin(records, name)
    return ScoreLine(
        Link(name, f"networks/{slug(name)}.html"),
        f"{begin} → {_training(records, name)}",
        tuple(
            Cell(percent(each.value), interval(each.low, each.high)) if each else Cell(ABSENT)
            for each in scores
        ),
        count(max(each.n for each in scores if each)),
    )


def _chance(found: Iterable[Scores], kind: str) -> str:
    """The level of chance of a score; one number, unless networks were scored differently."""
    levels = sorted({each.scores[kind].chance for each in found if kind in each.scores})
    return " to ".join(map(percent, levels[:1] + levels[1:][-1:]))


def _score_figure(site: Site, dataset: str, scored: dict[str, Scores], main: str) -> Figure:
    name = f"scores-{slug(dataset)}-chart"
    if not scored:
        return no_figure(name, "In a chart", "No network has been scored on it yet.")
    every = pd.DataFrame(
        [
            {"dataset": dataset, "network": network, "score": kind, **asdict(score)}
            for network, found in scored.items()
            for kind, score in found.scores.items()
        ]
    )
    n = max(found.scores[main].n for found in scored.values())
    figure = site.figure(
        f"overview/scores-{slug(dataset)}",
        f"{score_name(main)} on {dataset}",
        "The dark mark is the score, the pale bar its 95\xa0% bootstrap interval over the "
        f"{count(n)} pictures, the line through all rows chance.",
        f"{score_name(main)} on {dataset}: "
        + "; ".join(f"{name} {percent(each.scores[main].value)}" for name, each in scored.items()),
        charts.intervals(every[every["score"] == main], score_name(main)),
        every,
    )
    return replace(figure, id=name)


# --- datasets and comparisons ------------------------------------------------------------------


def _dataset_line(site: Site, found: DatasetRecords) -> DatasetLine:
    images, classes = found.images, found.facts.get("classes", [])
    used = images[images["status"] == "ok"]
    out = rows(images[images["status"] != "ok"], ImageRow)
    more = len(out) - NAMED_LEFT_OUT
    flat = images.assign(labels=[" · ".join(labels) for labels in images["labels"]])
    return DatasetLine(
        f"dataset-{slug(found.name)}",
        found.name,
        str(found.facts.get("kind", ABSENT)),
        "several a picture" if found.facts.get("multi_label") else "one a picture",
        count(len(classes)) if classes else ABSENT,
        tuple(count(int((used["split"] == split).sum())) for split in ("train", "val", "test")),
        count(len(out)),
        tuple((row.image, row.status) for row in out[:NAMED_LEFT_OUT]),
        f"{counted(more, 'more picture')} in the table." if more > 0 else "",
        site.data(f"datasets/{found.name}", flat) if len(images) else None,
    )


def _comparison_line(found: ComparisonRecords) -> ComparisonLine:
    facts = found.facts
    most, least = _extremes(found)
    overlap, chance = (found.channels[name].mean() for name in ("overlap", "overlap_chance"))
    return ComparisonLine(
        Link(f"{found.before} → {found.after}", found.address()),
        f"{facts['dataset']}/{facts.get('cka_split', ABSENT)}" if "dataset" in facts else ABSENT,
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
        *((f"comparison {name}", each.manifest) for name, each in records.comparisons.items()),
    ]
    return [(name, manifest) for name, manifest in found if manifest]


def _versions(manifests: list[tuple[str, Manifest]]) -> list[str]:
    found = {f"{name} {each}" for _, part in manifests for name, each in part.versions.items()}
    return sorted(found)
