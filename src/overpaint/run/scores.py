"""How the networks of a study classify: each, several together, and over repeats.

All of it is made from the stored predictions, so scores that are missing are made again without
a network.
"""

from dataclasses import asdict
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.records import (
    PENDING,
    EnsembleFacts,
    Scores,
    file_digest,
    manifest,
    manifest_path,
    read_json,
    read_manifest,
    read_table,
    whole_folder,
    with_facts,
    write_json,
    write_manifest,
    write_table,
)
from overpaint.run.workspace import Workspace


def keep_network_scores(work: Workspace, name: str) -> None:
    """Score a trained network, unless the folder has its scores."""
    entry = work.study.all_networks[name]
    if entry.fit is not None:
        _keep_scores(work, work.folder.network(name), entry.fit, work.study.seed_of(name))


def _keep_scores(work: Workspace, place: Path, dataset: str, seed: int) -> None:
    """Scores of the predictions at a place, of known and of unknown groups apart."""
    path, predictions = place / "scores.json", place / "predictions.parquet"
    wanted = manifest(
        "scores",
        inputs={
            "predictions": file_digest(predictions)
            if work.is_there(place) and predictions.is_file()
            else PENDING,
            "train images": work.split_digest(dataset, "train"),
            "test images": work.split_digest(dataset, "test"),
        }
        | work.groups_of(dataset, "test"),
        settings={},
        seed=seed,
    )

    def make() -> None:
        from overpaint.measures.scores import score

        train, test = (work.split(dataset, name) for name in ("train", "test"))
        scores = score(
            probabilities(read_table(predictions)),
            test.labels,
            test.classes,
            dataset=dataset,
            split="test",
            seed=seed,
            groups=[picture.group for picture in test.pictures],
            train_groups={picture.group for picture in train.pictures},
        )
        write_json(path, scores)
        write_manifest(path, wanted)

    work.keep(path, wanted, make)


def keep_ensemble(work: Workspace, name: str) -> None:
    """The mean of several networks' probabilities, scored, unless the folder has it."""
    members = work.study.ensembles[name]
    if any(map(work.has_failed, members)):
        return
    dataset, place = str(work.study.all_networks[members[0]].fit), work.folder.ensemble(name)
    wanted = manifest(
        "ensemble",
        inputs={member: work.weights_digest(member) for member in members}
        | {"images": work.split_digest(dataset, "test")},
        settings={},
        seed=work.study.seed,
    )

    def make() -> None:
        from overpaint.measures.repeats import ensemble
        from overpaint.measures.scores import prediction_table

        predicted = [
            probabilities(read_table(work.folder.network(member) / "predictions.parquet"))
            for member in members
        ]
        test = work.split(dataset, "test")
        together = prediction_table(
            ensemble(predicted),
            images=test.images,
            labels=[picture.labels for picture in test.pictures],
            classes=test.classes,
        )
        with whole_folder(place) as draft:
            write_table(draft / "predictions.parquet", together)
            write_manifest(
                draft, with_facts(wanted, EnsembleFacts(members=members, dataset=dataset))
            )

    work.keep(place, wanted, make)
    _keep_scores(work, place, dataset, work.study.seed)


def keep_repeats(work: Workspace) -> None:
    """Mean and spread of repeated trainings, and how far routes to one dataset differ."""
    study, path = work.study, work.folder.repeats
    scored = scored_places(work)
    routes = {
        name: [repeat for repeat in study.repeated(name) if repeat in scored]
        for name, entry in study.networks.items()
        if entry.repeats > 1
    }
    routes = {name: repeats for name, repeats in routes.items() if repeats}
    if not routes:
        is_there = work.is_there(path) and read_manifest(path).kind == "repeats"
        if is_there and not work.dry:
            path.unlink(missing_ok=True)
            manifest_path(path).unlink(missing_ok=True)
        return
    names = [name for repeats in routes.values() for name in repeats]
    wanted = manifest(
        "repeats",
        inputs={name: work.file_digest(scored[name]) for name in names},
        settings={"routes": routes},
        seed=study.seed,
    )

    def make() -> None:
        from overpaint.measures.repeats import route_difference, spread

        scores = all_scores(work)
        of_routes = {name: [scores[repeat] for repeat in own] for name, own in routes.items()}
        differences = [
            {
                "first": first,
                "second": second,
                **asdict(route_difference(of_routes[first], of_routes[second])),
            }
            for first, second in combinations(of_routes, 2)
            if of_routes[first][0].dataset == of_routes[second][0].dataset
        ]
        spreads = {name: asdict(spread(scores)) for name, scores in of_routes.items()}
        write_json(path, {"spreads": spreads, "differences": differences})
        write_manifest(path, wanted)

    work.keep(path, wanted, make)


def scored_places(work: Workspace) -> dict[str, Path]:
    """The files of scores that the folder has or, in a dry run, would have: the trained networks,
    and then the ensembles.
    """
    study, folder = work.study, work.folder
    places = {
        name: folder.network(name) / "scores.json"
        for name, entry in study.all_networks.items()
        if entry.fit and not work.has_failed(name)
    }
    places |= {name: folder.ensemble(name) / "scores.json" for name in study.ensembles}
    return {name: path for name, path in places.items() if path.is_file() or path in work.pending}


def all_scores(work: Workspace) -> dict[str, Scores]:
    """The scores of the trained networks, and then of the ensembles."""
    places = scored_places(work)
    return {name: Scores.from_json(read_json(path)) for name, path in places.items()}


def probabilities(predictions: pd.DataFrame) -> NDArray[np.float64]:
    """The probabilities [N, C] in a table of predictions, classes in their order."""
    return predictions.filter(regex=r"(?s)^p\(.*\)$").to_numpy(np.float64)
