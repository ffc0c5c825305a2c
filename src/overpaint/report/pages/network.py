"""The page of a trained network: its recipe, its training, its scores class by class."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from overpaint.measures.most_confident import (
    OF_A_PAIR,
    Guess,
    confused_pairs,
    most_confident,
)
from overpaint.records import ClassRow, LoraRow, SvmRow
from overpaint.report.charts import plots, tables
from overpaint.report.charts.drawing import link
from overpaint.report.parts.addresses import network_page as address
from overpaint.report.parts.gallery import thumbnail
from overpaint.report.parts.routes import score_name
from overpaint.report.parts.rows import Cell, Figure, Link, Origin, Picture, Sheet, sheets
from overpaint.report.parts.scores import GROUP_SIDES, GROUPS
from overpaint.report.parts.text import (
    ABSENT,
    count,
    counted,
    interval,
    known,
    number,
    of_pictures,
    percent,
    setting,
)
from overpaint.report.site.files import Site, no_figure
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import NetworkRecords, Records
from overpaint.study.recipe import in_use

SQUARE = 60
"""The most classes whose confusions are drawn."""

CONFUSED = 10
"""The rows of the table of confusions; more of them have their pictures."""

OF_AN_SVM = ("name", "train", "reinit", "optimiser", "as_published")
"""The fields of a recipe that mean something where no descent is made."""


@dataclass(frozen=True, kw_only=True)
class Surest:
    """A picture with what it shows and what a network is surest that it shows."""

    picture: Picture | None
    origin: Origin
    image: str
    labels: str
    named: str
    probability: str


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """How well a class is told from the others."""

    id: str
    label: str
    n: str
    scores: tuple[str, ...]

    @classmethod
    def of(cls, row: ClassRow, place: int, *, several: bool) -> "ClassScores":
        """The line of a class; precision at 20 is of several labels a picture only."""
        scores = [row.precision, row.recall, row.f1, row.average_precision]
        if several:
            scores.append(row.precision_at_20)
        return cls(
            id=f"class-{place}", label=row.label, n=count(row.n), scores=tuple(map(percent, scores))
        )


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """A class that was taken for another, with pictures of both."""

    id: str
    label: str
    predicted: str
    n: str
    share: str  # of the pictures that show the class
    taken: tuple[Surest, ...]  # that show the one and were taken for the other
    right: tuple[Surest, ...]  # that show the other, and were named so
    more: str


@dataclass(frozen=True, kw_only=True)
class SvmLine:
    """The linear SVM of a class."""

    label: str
    n: str
    cost: str
    score: str
    converged: str
    remark: str

    @classmethod
    def of(cls, row: SvmRow) -> "SvmLine":
        """What cross-validation chose for a class."""
        return cls(
            label=row.label,
            n=count(row.n),
            cost=ABSENT if row.cost is None else f"{row.cost:g}",
            score=percent(row.cv_score),
            converged=ABSENT if row.converged is None else setting(bool(row.converged)),
            remark="" if row.status in ("ok", None) else row.status,
        )


@dataclass(frozen=True, kw_only=True)
class LoraLine:
    """The adapter of a kernel."""

    layer: str
    numbers: tuple[str, ...]

    @classmethod
    def of(cls, row: LoraRow) -> "LoraLine":
        """How large the change of a kernel is, and of how many directions."""
        return cls(
            layer=row.layer,
            numbers=(
                f"{count(row.rank)} of {count(row.directions)}",
                number(row.effective_rank, 1),
                number(row.norm),
                number(row.norm_relative),
                count(row.parameters),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class NetworkPage:
    """The page of a trained network."""

    name: str
    title: str
    summary: str
    fields: tuple[tuple[str, str], ...]
    scores: tuple[tuple[str, Cell], ...]
    figures: tuple[Figure, ...]
    several: bool  # labels a picture
    classes: tuple[ClassScores, ...]
    classes_data: str | None
    confused: tuple[Confusion, ...]
    listed: int  # how many of them stand in the table
    sheets: tuple[Sheet, ...]  # of their pictures
    comparisons: tuple[Link, ...]
    siblings: tuple[Link, ...]  # itself and the others of its route, where it was repeated
    svm: tuple[SvmLine, ...]
    svm_data: str | None
    lora: tuple[LoraLine, ...]
    mistakes: tuple[Surest, ...]
    hits: tuple[Surest, ...]
    failed: str
    remarks: tuple[str, ...]
    missing: tuple[str, ...]


def network_page(site: Site, records: Records, network: NetworkRecords) -> NetworkPage:
    """All that the page of a trained network shows."""
    scores, name = network.scores, network.name
    several = scores is not None and scores.multi_label
    route = records.route(name)
    siblings = [sibling for sibling in records.networks if records.route(sibling) == route]
    hits, mistakes = most_confident(network.predictions)
    remarks = [GROUPS] if scores and scores.groups else []
    if scores and scores.without_positives:
        without = ", ".join(scores.without_positives)
        remarks.append(f"Without a picture in the split, so not scored: {without}.")
    confused = tuple(_confused(site, records, network))
    figures = [make(site, network) for make in FIGURES] if not network.failed else []
    return NetworkPage(
        name=name,
        title=network.title,
        summary=summary(records, network),
        fields=_fields(records, network),
        scores=tuple(_scores(network)),
        figures=tuple(figure for figure in figures if figure),
        several=several,
        classes=tuple(
            ClassScores.of(row, place, several=several)
            for place, row in enumerate(scores.classes if scores else ())
        ),
        classes_data=(
            site.data(f"networks/{name}/classes", pd.DataFrame(scores.classes)) if scores else None
        ),
        confused=confused,
        listed=CONFUSED,
        sheets=sheets(guess.picture for pair in confused for guess in (*pair.taken, *pair.right)),
        comparisons=tuple(
            Link(comparison.title, href=comparison.address())
            for comparison in records.comparisons.values()
            if name in (comparison.before, comparison.after)
        ),
        siblings=tuple(
            Link(records.title(sibling), href=address(sibling))
            for sibling in siblings
            if len(siblings) > 1
        ),
        svm=tuple(map(SvmLine.of, [] if network.svm is None else rows(network.svm, SvmRow))),
        svm_data=(
            None
            if network.svm is None or network.svm.empty
            else site.data(f"networks/{name}/svm", network.svm)
        ),
        lora=tuple(map(LoraLine.of, [] if network.lora is None else rows(network.lora, LoraRow))),
        mistakes=tuple(_guesses(site, records, network, mistakes)),
        hits=tuple(_guesses(site, records, network, hits)),
        failed=network.failed,
        remarks=tuple(remarks),
        missing=tuple(network.notes),
    )


def summary(records: Records, network: NetworkRecords) -> str:
    """Where the network comes from, what was trained, in one or two sentences."""
    entry, facts = records.study.all_networks[network.name], network.facts
    parent = facts.parent or entry.parent
    start = records.title(parent) if parent else entry.load
    recipe = facts.recipe or {}
    by = (
        f"{recipe['name']}, which auto took: {recipe['auto']}" if "auto" in recipe else entry.recipe
    )
    if facts.mixed:
        first, second = records.titles((facts.mixed[0], facts.mixed[-1]))
        at = f" at α = {number(facts.alpha, 2)}" if facts.alpha is not None else ""
        return (
            f"Mixed, not trained: it lies on the straight way from {first} to "
            f"{second}{at}, and has the classes of the second."
        )
    text = f"From {start}, fitted to {entry.fit} by the recipe {by}."
    if network.failed:
        return f"{text} It failed, and there is nothing of it."
    trained = f" It {facts.trained}." if facts.trained else ""
    best = facts.best_epoch
    epoch = f" The weights of epoch {best} were kept." if best is not None else ""
    return f"{text}{trained}{epoch}"


def _fields(records: Records, network: NetworkRecords) -> tuple[tuple[str, str], ...]:
    entry = records.study.all_networks[network.name]
    recipe = in_use(network.facts.recipe or entry.planned)
    if network.svm is not None:
        recipe = {name: value for name, value in recipe.items() if name in OF_AN_SVM}
    fields = {
        "architecture": network.facts.architecture or ABSENT,
        **recipe,
        "parameters": count(network.facts.parameters),
        "seed": records.study.seed_of(network.name),
    }
    return tuple((name.replace("_", " "), setting(value)) for name, value in fields.items())


def _scores(network: NetworkRecords) -> Iterable[tuple[str, Cell]]:
    """The main score, that of either side of the groups, and then the others."""
    if not network.scores:
        return
    main, scores, groups = network.scores.main, network.scores.scores, network.scores.groups
    sides = [side for side in GROUP_SIDES if side in groups]
    in_order = [
        (score_name(main), scores[main]),
        *((f"{score_name(main)}, {side} groups", groups[side]) for side in sides),
        *((score_name(name), score) for name, score in scores.items() if name != main),
    ]
    for name, score in in_order:
        within = interval(score.low, score.high)
        n = of_pictures(score)
        aside = f"{within}; chance {percent(score.chance)}; N\xa0{n}"
        yield name, Cell(percent(score.value), aside=aside)


def _guesses(
    site: Site, records: Records, network: NetworkRecords, guesses: list[Guess]
) -> Iterable[Surest]:
    """Pictures that the network was sure of, in small."""
    dataset = records.study.all_networks[network.name].fit or ""
    digests = records.datasets[dataset].digests
    for guess in guesses:
        picture = thumbnail(site, records.folder, dataset, guess.image, digests.get(guess.image))
        origin = records.datasets[dataset].origin(guess.image)
        yield Surest(
            picture=picture,
            origin=origin if picture else replace(origin, page=None),
            image=guess.image,
            labels=" · ".join(guess.labels) or "none of the classes",
            named=guess.named,
            probability=percent(guess.probability),
        )


# --- charts ------------------------------------------------------------------------------------


def history(site: Site, network: NetworkRecords) -> Figure | None:
    """Epoch by epoch; nothing of a network whose head a linear SVM found."""
    title = "How the training went"
    if network.svm is not None:
        return None
    epochs = network.history.dropna(subset="epoch")
    if epochs.empty:
        return no_figure("history", title, "No history of the training is left.")
    last = epochs.iloc[-1]
    main = score_name(network.scores.main) if network.scores else "score"
    return site.figure(
        f"networks/{network.name}/history",
        title=title,
        reading=(
            f"Loss and validation {main} over {counted(len(epochs), 'epoch')}; the dashed upright "
            "line is the epoch whose weights were kept. A validation loss that rises while the "
            "training loss falls is overfitting."
        ),
        alt_text=(
            f"Curves of the training: validation loss {number(known(last['val_loss']))} and {main} "
            f"{percent(known(last['val_score']))} after the last epoch."
        ),
        chart=plots.history(epochs, main),
        table=epochs,
    )


def confusions(site: Site, network: NetworkRecords) -> Figure:
    """What was taken for what."""
    title, pairs = "What was taken for what", _pairs(network)
    several = network.scores.multi_label if network.scores else network.facts.multi_label
    if several:
        why = "A picture has several labels here, so no class is taken for another."
        return no_figure("confusion", title, why)
    if pairs is None:
        return no_figure("confusion", title, "No confusions are left.")
    classes = pairs["true"].drop_duplicates().tolist()
    if len(classes) > SQUARE:
        return no_figure("confusion", title, f"{len(classes)} classes are too many to draw.")
    right = pairs[pairs["true"] == pairs["predicted"]]["n"].sum()
    return site.figure(
        f"networks/{network.name}/confusion",
        title=title,
        reading=(
            f"A row for what {count(pairs['n'].sum())} pictures show, a column for what they were "
            "taken for; the darker, the larger the share of the row. The diagonal is right."
        ),
        alt_text=(
            f"Confusion matrix of {len(classes)} classes; {count(right)} of "
            f"{count(pairs['n'].sum())} pictures on the diagonal."
        ),
        chart=plots.heat_map(pairs.assign(href=_opened(network, pairs, classes)), classes),
        table=pairs,
    )


def adapters(site: Site, network: NetworkRecords) -> Figure | None:
    """How far each kernel was moved by its adapter; nothing of a network without."""
    title = "What LoRA changed"
    if network.lora is None:
        return None
    if network.lora.empty:
        return no_figure("lora", title, "No record of the adapters is left.")
    adapted = network.lora.sort_values("position")
    most = adapted.nlargest(1, "norm_relative").iloc[0] if adapted["norm_relative"].any() else None
    return site.figure(
        f"networks/{network.name}/lora",
        title=title,
        reading=(
            f"Above, the Frobenius norm of what the adapter of each of {count(len(adapted))} "
            "kernels was merged as; below, the same divided by the norm of the kernel before. All "
            "other kernels are the parent’s."
        ),
        alt_text=(
            f"Norm of the change by LoRA, by layer; relative to the kernel the largest is "
            f"{number(known(most['norm_relative']))} at {most['layer']}."
            if most is not None
            else "Norm of the change by LoRA, by layer; no adapter changed anything."
        ),
        chart=plots.lora(adapted),
        table=adapted,
    )


FIGURES = (history, adapters, confusions)
"""The charts of the page."""


def _pairs(network: NetworkRecords) -> pd.DataFrame | None:
    """How often each class was taken for each; None where that is not left."""
    if not network.scores or network.scores.confusion is None:
        return None
    classes = [row.label for row in network.scores.classes]
    return tables.confusion(network.scores.confusion, classes)


# --- tables ------------------------------------------------------------------------------------


def _pair_anchor(classes: list[str], label: str, predicted: str) -> str:
    """The anchor of a pair of classes that was confused."""
    return f"confused-{classes.index(label)}-{classes.index(predicted)}"


def _opened(network: NetworkRecords, pairs: pd.DataFrame, classes: list[str]) -> list[str]:
    """What each cell of the confusions opens: the pictures of its pair, or else its class."""
    page = address(network.name)
    pictured = {(pair.label, pair.predicted) for pair in confused_pairs(network.predictions)}
    opened = []
    for label, predicted, n, _ in pairs.to_numpy().tolist():
        at = f"class-{classes.index(label)}"
        if (label, predicted) in pictured:
            at = _pair_anchor(classes, label, predicted)
        opened.append(link(f"{page}#{at}") if n else "")
    return opened


def _confused(site: Site, records: Records, network: NetworkRecords) -> Iterable[Confusion]:
    """The classes that were most often taken for another, with pictures where these are told."""
    pairs = _pairs(network)
    if pairs is None:
        return
    classes = pairs["true"].drop_duplicates().tolist()
    pictures = {(pair.label, pair.predicted): pair for pair in confused_pairs(network.predictions)}
    wrong = pairs[(pairs["true"] != pairs["predicted"]) & (pairs["n"] > 0)]
    in_order = wrong.sort_values("n", ascending=False, kind="stable").to_numpy().tolist()
    for place, (label, predicted, n, share) in enumerate(in_order):
        pair = pictures.get((label, predicted))
        if pair is None and place >= CONFUSED:
            continue
        taken = pair.taken if pair else ()
        rest = len(taken) - OF_A_PAIR
        yield Confusion(
            id=_pair_anchor(classes, label, predicted),
            label=label,
            predicted=predicted,
            n=counted(n, "picture"),
            share=percent(share),
            taken=tuple(_guesses(site, records, network, list(taken[:OF_A_PAIR]))),
            right=tuple(_guesses(site, records, network, list(pair.right if pair else ()))),
            more=f"{count(rest)} more" if rest > 0 else "",
        )
