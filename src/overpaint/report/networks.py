"""The page of a trained network: its recipe, its training, its scores class by class."""

import pandas as pd

from overpaint.report import charts
from overpaint.report.reading import NetworkRecords, Records
from overpaint.report.rows import Cell, Figure, Link, NetworkPage
from overpaint.report.site import Site, no_figure
from overpaint.report.words import count, counted, interval, known, number, percent, setting

SCORE_NAMES = {"top1": "top-1", "top3": "top-3", "top5": "top-5", "mAP": "mAP"}

SQUARE = 60
"""The most classes whose confusions are drawn."""

CONFUSED = 10
"""The rows of the table of confusions."""


def score_name(name: str) -> str:
    """A score as people write it.

    >>> score_name("top1"), score_name("mAP")
    ('top-1', 'mAP')
    """
    return SCORE_NAMES.get(name, name)


def network_page(site: Site, records: Records, found: NetworkRecords) -> NetworkPage:
    """All that the page of a trained network shows."""
    pairs = _confusions(found)
    return NetworkPage(
        found.name,
        summary(records, found),
        _fields(records, found),
        _scores(found),
        tuple(_figures(site, found, pairs)),
        _classes(found),
        _classes_data(site, found),
        _confused(pairs),
        tuple(_comparisons(records, found.name)),
        tuple(_remarks(found, pairs)),
        tuple(found.notes),
    )


def summary(records: Records, found: NetworkRecords) -> str:
    """Where the network comes from, what was trained, in one or two sentences."""
    entry = records.study.every[found.name]
    parent = found.facts.get("parent") or entry.parent or entry.load
    text = f"From {parent}, fitted to {entry.fit} by the recipe {entry.recipe}."
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


def _fields(records: Records, found: NetworkRecords) -> tuple[tuple[str, str], ...]:
    entry = records.study.every[found.name]
    training = entry.training()
    planned = training.model_dump() if training else {}
    recipe = found.facts.get("recipe") or planned
    told = {"architecture": found.facts.get("architecture"), **recipe}
    told["parameters"] = count(found.facts.get("parameters"))
    told["seed"] = records.study.seed_of(found.name)
    return tuple((name.replace("_", " "), setting(value)) for name, value in told.items())


def _scores(found: NetworkRecords) -> tuple[tuple[str, Cell], ...]:
    if not found.scores:
        return ()
    return tuple(
        (
            score_name(name),
            Cell(
                percent(score.value),
                f"{interval(score.low, score.high)}; chance {percent(score.chance)}",
            ),
        )
        for name, score in found.scores.scores.items()
    )


# --- charts ------------------------------------------------------------------------------------


def _figures(site: Site, found: NetworkRecords, pairs: pd.DataFrame | None) -> list[Figure]:
    return [_history(site, found), _heat_map(site, found, pairs)]


def _history(site: Site, found: NetworkRecords) -> Figure:
    title = "How the training went"
    epochs = found.history.dropna(subset="epoch")
    if epochs.empty:
        return no_figure("history", title, "No history of the training is left.")
    last = epochs.iloc[-1]
    main = score_name(found.scores.main) if found.scores else "score"
    return site.figure(
        f"networks/{found.name}/history",
        title,
        f"Loss and validation {main} over {counted(len(epochs), 'epoch')}; the dashed upright line "
        "is the epoch whose weights were kept. A validation loss that rises while the training "
        "loss falls is overfitting.",
        f"Curves of the training: validation loss {number(known(last['val_loss']))} and {main} "
        f"{percent(known(last['val_score']))} after the last epoch.",
        charts.history(epochs, main),
        epochs,
    )


def _confusions(found: NetworkRecords) -> pd.DataFrame | None:
    """Confusions by pair of classes; None for several labels a picture, or without predictions."""
    if found.predictions is None or found.facts.get("multi_label"):
        return None
    chances = found.predictions.filter(regex=r"(?s)^p\(.*\)$")
    if "labels" not in found.predictions or chances.empty:
        return None
    classes = [str(column)[2:-1] for column in chances.columns]
    guess = [classes[place] for place in chances.fillna(-1).to_numpy().argmax(axis=1)]
    truth = [str(labels[0]) for labels in found.predictions["labels"]]
    return charts.confusion(truth, guess, classes)


def _heat_map(site: Site, found: NetworkRecords, pairs: pd.DataFrame | None) -> Figure:
    title = "What was taken for what"
    if found.facts.get("multi_label"):
        why = "A picture has several labels here, so no class is taken for another."
        return no_figure("confusion", title, why)
    if pairs is None:
        return no_figure("confusion", title, "No predictions are left.")
    classes = pairs["true"].drop_duplicates().tolist()
    if len(classes) > SQUARE:
        return no_figure("confusion", title, f"{len(classes)} classes are too many to draw.")
    right = pairs[pairs["true"] == pairs["predicted"]]["n"].sum()
    return site.figure(
        f"networks/{found.name}/confusion",
        title,
        f"A row for what {count(pairs['n'].sum())} pictures show, a column for what they were "
        "taken for; the darker, the larger the share of the row. The diagonal is right.",
        f"Confusion matrix of {len(classes)} classes; {count(right)} of {count(pairs['n'].sum())} "
        "pictures on the diagonal.",
        charts.heat_map(pairs, classes),
        pairs,
    )


# --- tables ------------------------------------------------------------------------------------


def _classes(found: NetworkRecords) -> tuple[tuple[str, ...], ...]:
    if not found.scores:
        return ()
    return tuple(
        (
            row.label,
            count(row.n),
            *map(percent, (row.precision, row.recall, row.f1, row.average_precision)),
        )
        for row in found.scores.classes
    )


def _classes_data(site: Site, found: NetworkRecords) -> str | None:
    if not found.scores:
        return None
    return site.data(f"networks/{found.name}/classes", pd.DataFrame(found.scores.classes))


def _confused(pairs: pd.DataFrame | None) -> tuple[tuple[str, ...], ...]:
    if pairs is None:
        return ()
    wrong = pairs[(pairs["true"] != pairs["predicted"]) & (pairs["n"] > 0)]
    return tuple(
        (true, predicted, count(n), percent(share))
        for true, predicted, n, share in wrong.nlargest(CONFUSED, "n").to_numpy().tolist()
    )


def _remarks(found: NetworkRecords, pairs: pd.DataFrame | None) -> list[str]:
    without = found.scores.without_positives if found.scores else []
    remarks = []
    if without:
        remarks.append(f"Without a picture in the split, so not scored: {', '.join(without)}.")
    if pairs is not None and pairs["n"].sum() == 0:
        remarks.append("The labels of the predictions are none of their classes.")
    return remarks
