"""Advice: which network to start from, for each dataset of a study, before anything is trained.

Each start that can be had now is run once over the pictures to train on; what its head would be
given is all that LogME and the nearest neighbours need.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.table import Table

from overpaint.errors import StudyError, nearest
from overpaint.progress import Progressing
from overpaint.records import AdviceRow, Scores, StudyFolder, write_rows
from overpaint.run.lineage import Lineage
from overpaint.run.scores import Standings
from overpaint.study import Study


def advise_study(
    study: Study, out: Path, progress: Progressing, only: Sequence[str] = ()
) -> list[AdviceRow]:
    """A row for each start and dataset, the best start of a dataset first; kept in the folder.

    `only` names datasets; by default all that a network is fitted to. Raises StudyError for an
    unknown one.
    """
    lineage = Lineage(study, StudyFolder(out), progress)
    fitted = {entry.fit for entry in study.networks.values() if entry.fit}
    for name in only:
        if name not in study.datasets:
            raise StudyError(
                "unknown-dataset",
                f"the study has no dataset {name!r}; {nearest(name, study.datasets)}",
            )
    starts = [name for name in study.every if _is_there(lineage, name)]
    rows = [
        row
        for dataset in only or [name for name in study.datasets if name in fitted]
        for row in _rows(lineage, starts, dataset)
    ]
    write_rows(lineage.folder.advice, rows, AdviceRow)
    for dataset in dict.fromkeys(row.dataset for row in rows):
        own = [row for row in rows if row.dataset == dataset]
        progress.console.print(table(own, Standings(lineage).found(), study))
    return rows


def _is_there(lineage: Lineage, name: str) -> bool:
    """Load a network that needs no training; of the others, whether an earlier run trained it."""
    if lineage.study.every[name].fit is None:
        lineage.network(name)
    return (lineage.folder.network(name) / "manifest.json").is_file()


def _rows(lineage: Lineage, starts: Sequence[str], dataset: str) -> list[AdviceRow]:
    """The rows of one dataset; a network fitted to it has seen its labels and is no start."""
    from overpaint.features import read_features
    from overpaint.measures.transfer import advise
    from overpaint.networks.taps import PENULTIMATE

    split = lineage.dataset(dataset).split("train")
    others = [name for name in starts if not _has_seen(lineage.study, name, dataset)]
    paths = lineage.features(others, split, [PENULTIMATE])
    return advise(
        {name: read_features(path, PENULTIMATE) for name, path in paths.items()},
        split.labels,
        dataset=dataset,
        split="train",
        seed=lineage.study.seed,
        groups=[picture.group for picture in split.pictures],
    )


def _has_seen(study: Study, name: str, dataset: str) -> bool:
    """Whether a network or one that it descends from was fitted to a dataset."""
    entry = study.every[name]
    return entry.fit == dataset or bool(entry.parent and _has_seen(study, entry.parent, dataset))


def table(rows: Sequence[AdviceRow], scores: Mapping[str, Scores], study: Study) -> Table:
    """The advice on one dataset, and beside it what the trainings that there are gave."""
    first = rows[0]
    shown = Table(
        "start",
        "LogME",
        "neighbours (95 %)",
        "trained, it gave",
        title=f"{first.dataset}/{first.split}: {first.n} pictures, chance {_percent(first.chance)}",
        title_justify="left",
    )
    for row in rows:
        shown.add_row(
            row.network,
            "–" if row.logme is None else f"{row.logme:.3f}",
            f"{_percent(row.neighbour)} ({_percent(row.low)} … {_percent(row.high)})",
            _given(row, scores, study) if row.status == "ok" else row.status,
        )
    return shown


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _given(row: AdviceRow, scores: Mapping[str, Scores], study: Study) -> str:
    """The scores of what was trained from a start on the dataset."""
    told = [
        f"{name} {_percent(found.scores[found.main].value)}"
        for name, found in scores.items()
        if name in study.every
        and (study.every[name].parent, study.every[name].fit) == (row.network, row.dataset)
    ]
    return ", ".join(told) or "–"
