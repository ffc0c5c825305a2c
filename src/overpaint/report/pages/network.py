"""The page of a trained network: its recipe, its training, its scores class by class."""

from collections.abc import Iterable

import pandas as pd

from overpaint.measures.most_confident import Guess, surest
from overpaint.records import Score, SvmRow
from overpaint.report.charts import plots, tables
from overpaint.report.parts.gallery import thumbnail
from overpaint.report.parts.routes import score_name
from overpaint.report.parts.rows import Cell, Figure, Link, NetworkPage, Surest
from overpaint.report.parts.scores import GROUPS, SIDES
from overpaint.report.parts.text import (
    ABSENT,
    count,
    counted,
    interval,
    known,
    number,
    percent,
    setting,
    slug,
)
from overpaint.report.site.files import Site, no_figure
from overpaint.report.site.incremental import digests
from overpaint.report.site.templates import Templates
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import NetworkRecords, Records

SQUARE = 60
"""The most classes whose confusions are drawn."""

CONFUSED = 10
"""The rows of the table of confusions."""


OF_AN_SVM = ("name", "train", "reinit", "optimiser", "as_published")
"""The fields of a recipe that mean something where no descent is made."""


def fitted(templates: Templates, records: Records, found: NetworkRecords) -> None:
    """Write the page of a trained network, unless it stands."""
    files, folder = templates.site.files, records.folder
    dataset = records.study.all_networks[found.name].fit or ""
    own = sorted(each for each in folder.network(found.name).glob("*") if each.suffix in TABLES)
    paths = [folder.study, folder.failures, folder.dataset(dataset) / "images.parquet", *own]
    made_from = [digests(folder.root, paths), files.pictures_below(folder.thumbnails(dataset))]

    def write() -> None:
        place = f"networks/{slug(found.name)}.html"
        templates.page("network", place, network_page(templates.site, records, found))

    files.part(f"network {found.name}", made_from, write)


TABLES = (".json", ".parquet")
"""What the page is made from; the weights are no table."""


def network_page(site: Site, records: Records, found: NetworkRecords) -> NetworkPage:
    """All that the page of a trained network shows."""
    pairs = _confusions(found)
    hits, mistakes = surest(found.predictions)
    return NetworkPage(
        found.name,
        summary(records, found),
        _fields(records, found),
        _scores(found),
        tuple(_figures(site, found, pairs)) if not found.failed else (),
        found.scores is not None and found.scores.multi_label,
        _classes(found),
        _classes_data(site, found),
        _confused(pairs),
        tuple(_comparisons(records, found.name)),
        tuple(_siblings(records, found.name)),
        tuple(_svm(found)),
        _svm_data(site, found),
        tuple(_guesses(site, records, found, mistakes)),
        tuple(_guesses(site, records, found, hits)),
        found.failed,
        tuple(_remarks(found)),
        tuple(found.notes),
    )


def summary(records: Records, found: NetworkRecords) -> str:
    """Where the network comes from, what was trained, in one or two sentences."""
    entry = records.study.all_networks[found.name]
    parent = found.facts.get("parent") or entry.parent or entry.load
    text = f"From {parent}, fitted to {entry.fit} by the recipe {entry.recipe}."
    if found.failed:
        return f"{text} It failed, and there is nothing of it."
    trained = found.facts.get("trained")
    best = found.facts.get("best_epoch")
    kept = f" The weights of epoch {best} were kept." if best is not None else ""
    return f"{text} It {trained}.{kept}" if trained else f"{text}{kept}"


def _comparisons(records: Records, name: str) -> list[Link]:
    return [
        Link(f"{each.before} → {each.after}", each.address())
        for each in records.comparisons.values()
        if name in (each.before, each.after)
    ]


def _siblings(records: Records, name: str) -> list[Link]:
    """All trainings of a route that was repeated."""
    own = records.route(name)
    found = [each for each in records.networks if records.route(each) == own]
    return [Link(each, f"networks/{slug(each)}.html") for each in found if len(found) > 1]


def _fields(records: Records, found: NetworkRecords) -> tuple[tuple[str, str], ...]:
    entry = records.study.all_networks[found.name]
    training = entry.training()
    planned = training.model_dump() if training else {}
    recipe = found.facts.get("recipe")
    recipe = recipe if isinstance(recipe, dict) else planned
    if found.svm is not None:
        recipe = {name: value for name, value in recipe.items() if name in OF_AN_SVM}
    told = {"architecture": found.facts.get("architecture", ABSENT), **recipe}
    parameters = found.facts.get("parameters")
    told["parameters"] = count(parameters if isinstance(parameters, int) else None)
    told["seed"] = records.study.seed_of(found.name)
    return tuple((name.replace("_", " "), setting(value)) for name, value in told.items())


def _scores(found: NetworkRecords) -> tuple[tuple[str, Cell], ...]:
    """The main score, that of either side of the groups, and then the others."""
    if not found.scores:
        return ()
    main, scores, groups = found.scores.main, found.scores.scores, found.scores.groups
    apart = [
        (f"{score_name(main)}, {side} groups", groups[side]) for side in SIDES if side in groups
    ]
    others = [(score_name(name), score) for name, score in scores.items() if name != main]
    told = [(score_name(main), scores[main]), *apart, *others]
    return tuple((name, _score_cell(score)) for name, score in told)


def _score_cell(score: Score) -> Cell:
    return Cell(
        percent(score.value),
        f"{interval(score.low, score.high)}; chance {percent(score.chance)}; N\xa0{count(score.n)}",
    )


def _guesses(
    site: Site, records: Records, found: NetworkRecords, guesses: list[Guess]
) -> Iterable[Surest]:
    """Pictures that the network was sure of, in small."""
    dataset = records.study.all_networks[found.name].fit or ""
    images = records.datasets[dataset].images
    wanted = images[images["image"].isin([each.image for each in guesses])]
    digests = dict(zip(wanted["image"], wanted["digest"], strict=True))
    for each in guesses:
        picture = thumbnail(site, records.folder, dataset, each.image, digests.get(each.image))
        labels = " · ".join(each.labels) or "none of the classes"
        yield Surest(picture, each.image, labels, each.named, percent(each.probability))


# --- charts ------------------------------------------------------------------------------------


def _figures(site: Site, found: NetworkRecords, pairs: pd.DataFrame | None) -> list[Figure]:
    began = [_history(site, found)] if found.svm is None else []
    return [*began, _heat_map(site, found, pairs)]


def _history(site: Site, found: NetworkRecords) -> Figure:
    title = "How the training went"
    epochs = found.history.dropna(subset="epoch")
    if epochs.empty:
        return no_figure("history", title, "No history of the training is left.")
    last = epochs.iloc[-1]
    main = score_name(found.scores.main) if found.scores else "score"
    return site.figure(
        f"networks/{found.name}/history",
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


def _confusions(found: NetworkRecords) -> pd.DataFrame | None:
    """Confusions by pair of classes; None for several labels a picture, or where none are left."""
    if not found.scores or found.scores.confusion is None:
        return None
    classes = [row.label for row in found.scores.classes]
    return tables.confusion(found.scores.confusion, classes)


def _heat_map(site: Site, found: NetworkRecords, pairs: pd.DataFrame | None) -> Figure:
    title = "What was taken for what"
    if found.scores.multi_label if found.scores else found.facts.get("multi_label"):
        why = "A picture has several labels here, so no class is taken for another."
        return no_figure("confusion", title, why)
    if pairs is None:
        return no_figure("confusion", title, "No confusions are left.")
    classes = pairs["true"].drop_duplicates().tolist()
    if len(classes) > SQUARE:
        return no_figure("confusion", title, f"{len(classes)} classes are too many to draw.")
    right = pairs[pairs["true"] == pairs["predicted"]]["n"].sum()
    return site.figure(
        f"networks/{found.name}/confusion",
        title=title,
        reading=(
            f"A row for what {count(pairs['n'].sum())} pictures show, a column for what they were "
            "taken for; the darker, the larger the share of the row. The diagonal is right."
        ),
        alt_text=(
            f"Confusion matrix of {len(classes)} classes; {count(right)} of "
            f"{count(pairs['n'].sum())} pictures on the diagonal."
        ),
        chart=plots.heat_map(pairs, classes),
        table=pairs,
    )


# --- tables ------------------------------------------------------------------------------------


def _classes(found: NetworkRecords) -> tuple[tuple[str, ...], ...]:
    """A line a class; precision at 20 is of several labels a picture only."""
    if not found.scores:
        return ()
    return tuple(
        (
            row.label,
            count(row.n),
            *map(percent, (row.precision, row.recall, row.f1, row.average_precision)),
            *([percent(row.precision_at_20)] if found.scores.multi_label else []),
        )
        for row in found.scores.classes
    )


def _classes_data(site: Site, found: NetworkRecords) -> str | None:
    if not found.scores:
        return None
    return site.data(f"networks/{found.name}/classes", pd.DataFrame(found.scores.classes))


def _svm(found: NetworkRecords) -> list[tuple[str, ...]]:
    """What cross-validation chose for each class."""
    svm = [] if found.svm is None else rows(found.svm, SvmRow)
    return [
        (
            row.label,
            count(row.n),
            ABSENT if row.cost is None else f"{row.cost:g}",
            percent(row.cv_score),
            ABSENT if row.converged is None else setting(bool(row.converged)),
            "" if row.status in ("ok", None) else row.status,
        )
        for row in svm
    ]


def _svm_data(site: Site, found: NetworkRecords) -> str | None:
    if found.svm is None or found.svm.empty:
        return None
    return site.data(f"networks/{found.name}/svm", found.svm)


def _confused(pairs: pd.DataFrame | None) -> tuple[tuple[str, ...], ...]:
    if pairs is None:
        return ()
    wrong = pairs[(pairs["true"] != pairs["predicted"]) & (pairs["n"] > 0)]
    return tuple(
        (true, predicted, count(n), percent(share))
        for true, predicted, n, share in wrong.nlargest(CONFUSED, "n").to_numpy().tolist()
    )


def _remarks(found: NetworkRecords) -> list[str]:
    without = found.scores.without_positives if found.scores else []
    remarks = [GROUPS] if found.scores and found.scores.groups else []
    if without:
        remarks.append(f"Without a picture in the split, so not scored: {', '.join(without)}.")
    return remarks
