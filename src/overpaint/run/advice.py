"""Advice: which network to start from, for each dataset of a study, before anything is trained.

Each start that can be had now is run once over the pictures to train on; what its head would be
given is all that LogME and the nearest neighbours need.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from overpaint.errors import RecordError, StudyError, nearest
from overpaint.machine import refusals_told
from overpaint.progress import Progressing
from overpaint.records import (
    AdviceRow,
    Scores,
    StudyFolder,
    check_folder,
    manifest,
    manifest_path,
    read_manifest,
    read_rows,
    write_manifest,
    write_rows,
)
from overpaint.run.claimed import claim
from overpaint.run.datasets import keep_dataset
from overpaint.run.features import keep_features
from overpaint.run.networks import keep_network
from overpaint.run.scores import all_scores, scored_places
from overpaint.run.workspace import Workspace, alone_in
from overpaint.study import Study
from overpaint.study.code import check_code


@refusals_told()
def advise_study(
    study: Study,
    out: Path,
    progress: Progressing,
    only: Sequence[str] = (),
    *,
    allow_code: bool = False,
) -> list[AdviceRow]:
    """A row for each start and dataset, the best start of a dataset first; kept in the folder.

    `only` names datasets; by default all that a network is fitted to. Raises StudyError for an
    unknown one.
    """
    check_code(study, allowed=allow_code)
    check_folder(out, study.study)
    work = Workspace(study, StudyFolder(out), progress, allow_code=allow_code)
    with alone_in(work, "overpaint advise"):
        return _advise_all(work, only)


def _advise_all(work: Workspace, only: Sequence[str]) -> list[AdviceRow]:
    study = work.study
    claim(study, work.folder)
    fitted = {entry.fit for entry in study.networks.values() if entry.fit}
    for name in only:
        if name not in study.datasets:
            raise StudyError(
                "unknown-dataset",
                f"the study has no dataset {name!r}; {nearest(name, study.datasets)}",
            )
    datasets = list(only) or [name for name in study.datasets if name in fitted]
    if not datasets:
        known = ", ".join(study.datasets) or "none"
        raise StudyError(
            "nothing-to-advise",
            "there is nothing to advise: no network of the study is fitted to a dataset; name one "
            f"with --on; known: {known}",
        )
    for name in study.datasets:
        if name in {*datasets, *fitted}:
            keep_dataset(work, name)
    starts = [name for name in study.all_networks if _can_start(work, name)]
    # A network fitted to a dataset, and what descends from it, has seen its labels: no start.
    start_names = {
        dataset: [name for name in starts if not _has_seen(study, name, dataset)]
        for dataset in datasets
    }
    if not any(start_names.values()):
        raise StudyError(
            "nothing-to-advise",
            f"there is nothing to advise on {' and '.join(datasets)}: no network can be had now "
            "that has not seen the labels",
        )
    _keep(work, start_names)
    rows = read_rows(work.folder.advice, AdviceRow)
    for dataset in dict.fromkeys(row.dataset for row in rows):
        of_dataset = [row for row in rows if row.dataset == dataset]
        work.progress.console.print(advice_table(of_dataset, all_scores(work), study))
    return rows


def keep_advice(work: Workspace) -> None:
    """Have the advice that was asked for once true of the data and the starts that there are now.

    Starts that have come since are for who asks again.
    """
    path, study = work.folder.advice, work.study
    if not path.exists() and not manifest_path(path).exists():
        return
    starts: dict[str, list[str]] = {}
    try:
        starts = dict(read_manifest(path).settings["starts"])
    except (RecordError, KeyError, TypeError, ValueError):
        pairs: set[tuple[str, str]] = set()
        with suppress(RecordError):
            pairs = {(row.dataset, row.network) for row in read_rows(path, AdviceRow)}
        fitted = {entry.fit for entry in study.networks.values() if entry.fit}
        starts = {
            dataset: [name for name in study.all_networks if not pairs or (dataset, name) in pairs]
            for dataset in study.datasets
            if dataset in fitted
        }
    starts = {
        dataset: [
            name
            for name in names
            if name in study.all_networks
            and not work.has_failed(name)
            and not _has_seen(study, name, dataset)
        ]
        for dataset, names in starts.items()
        if dataset in study.datasets
    }
    starts = {dataset: names for dataset, names in starts.items() if names}
    if starts:
        _keep(work, starts)
    elif not work.dry:
        path.unlink(missing_ok=True)
        manifest_path(path).unlink(missing_ok=True)


def _keep(work: Workspace, starts: Mapping[str, Sequence[str]]) -> None:
    """Have the advice on datasets, of the starts of each."""
    path = work.folder.advice
    inputs = {}
    for name in dict.fromkeys(name for names in starts.values() for name in names):
        inputs[f"network {name}"] = work.weights_digest(name)
    for dataset in starts:
        inputs[f"images of {dataset}"] = work.split_digest(dataset, "train")
        inputs |= work.groups_of(dataset, "train")
    scored = scored_places(work)
    for name in dict.fromkeys(name for names in starts.values() for name in names):
        for network in _descent(work.study, name):
            if network in scored:
                inputs[f"scores of {network}"] = work.file_digest(scored[network])
    wanted = manifest(
        "advice", inputs=inputs, settings={"starts": dict(starts)}, seed=work.study.seed
    )

    def make() -> None:
        rows = [row for name, names in starts.items() for row in _advise(work, names, name)]
        write_rows(path, rows, AdviceRow)
        write_manifest(path, wanted)

    work.keep(path, wanted, make)


def _descent(study: Study, name: str) -> list[str]:
    """A network, and those that it came from."""
    names = [name]
    while (parent := study.all_networks[names[-1]].parent) is not None:
        names.append(parent)
    return names


def _with_baseline(work: Workspace, row: AdviceRow) -> AdviceRow:
    """Beside what was measured, what is known without a look at the pictures: the start's score on
    the largest task that it was trained for in this study, and its size.
    """
    scores = all_scores(work)
    tasks = [scores[name] for name in _descent(work.study, row.network) if name in scores]
    largest = max(tasks, key=lambda task: len(work.split(task.dataset, "train")), default=None)
    return replace(
        row,
        parameters=work.network_facts(row.network).parameters,
        own_task=largest.dataset if largest else "",
        own_score=largest.scores[largest.main].value if largest else None,
    )


def _can_start(work: Workspace, name: str) -> bool:
    """Load a network that needs no training; of the others, whether an earlier run trained it."""
    if work.study.all_networks[name].fit is None:
        keep_network(work, name)
    return work.is_there(work.folder.network(name))


def _has_seen(study: Study, name: str, dataset: str) -> bool:
    """Whether a network or one that it descends from was fitted to a dataset."""
    entry = study.all_networks[name]
    return entry.fit == dataset or bool(entry.parent and _has_seen(study, entry.parent, dataset))


def _advise(work: Workspace, starts: Sequence[str], dataset: str) -> list[AdviceRow]:
    from overpaint.features import read_features
    from overpaint.measures.transfer import advise
    from overpaint.networks.taps import PENULTIMATE

    split = work.split(dataset, "train")
    paths = keep_features(work, starts, split, layers=[PENULTIMATE])
    rows = advise(
        {name: read_features(path, PENULTIMATE) for name, path in paths.items()},
        split.labels,
        dataset=dataset,
        split="train",
        seed=work.study.seed,
        groups=[picture.group for picture in split.pictures],
    )
    return [_with_baseline(work, row) for row in rows]


def advice_table(rows: Sequence[AdviceRow], scores: Mapping[str, Scores], study: Study) -> Table:
    """The advice on one dataset, and beside it what the trainings that there are gave."""
    first = rows[0]
    lines = Table(
        "start",
        "LogME",
        "neighbours (95 %)",
        "its own task, or size",
        "trained, it gave",
        title=f"{first.dataset}/{first.split}: {first.n} pictures, chance {_percent(first.chance)}",
        title_justify="left",
    )
    for row in rows:
        gave = [
            f"{name} {_percent(of_network.scores[of_network.main].value)}"
            for name, of_network in scores.items()
            if name in study.all_networks
            and study.all_networks[name].parent == row.network
            and study.all_networks[name].fit == row.dataset
        ]
        lines.add_row(
            row.network,
            "–" if row.logme is None else f"{row.logme:.3f}",
            f"{_percent(row.neighbour)} ({_percent(row.low)} … {_percent(row.high)})",
            f"{row.own_task} {_percent(row.own_score)}"
            if row.own_task
            else f"{row.parameters or 0:,} weights",
            (", ".join(gave) or "–") if row.status == "ok" else row.status,
        )
    return lines


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
