"""The findings of a study, from its comparisons, scores and stored features."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from overpaint.findings import (
    Features,
    Read,
    Seen,
    class_findings,
    control_finding,
    double_finding,
    double_routes,
    filters_finding,
    layers_finding,
    twins,
)
from overpaint.records import (
    ComparisonFacts,
    FindingRow,
    RouteDifference,
    Score,
    facts_of,
    manifest,
    read_manifest,
    read_table,
    write_json,
    write_manifest,
)
from overpaint.run.comparisons import compared_pairs
from overpaint.run.features import keep_features
from overpaint.run.scores import all_scores, probabilities, scored_places
from overpaint.run.workspace import Workspace

STATEMENTS = ("layers", "classes", "classes_more", "filters", "double", "control")

Compared = dict[tuple[str, str], Seen]
"""The comparisons of a study by their networks."""


def keep_findings(work: Workspace) -> None:
    """Test the statements, unless the folder has the findings of these very records."""
    path, study = work.folder.findings, work.study
    comparisons = {
        f"{pair.before} and {pair.after}": work.artefact_key(work.folder.comparison(*pair.pair))
        for pair in compared_pairs(work)
    }
    scores = {
        f"scores of {name}": work.file_digest(place) for name, place in scored_places(work).items()
    }
    wanted = manifest(
        "findings",
        inputs=comparisons | scores,
        settings={
            "statements": list(STATEMENTS),
            "networks": study.model_dump(mode="json", include={"networks"}, exclude_defaults=True),
        },
        seed=study.seed,
    )

    def make() -> None:
        with work.progress.stage("findings"):
            rows = [asdict(row) for row in _rows(work)]
        write_json(path, {"findings": rows})
        write_manifest(path, wanted)

    work.keep(path, wanted, make)


def _rows(work: Workspace) -> Iterable[FindingRow]:
    compared = _compared(work)
    changes = [seen for seen in compared.values() if _is_training(work, seen)]
    yield from (layers_finding(change, _reader(work, change)) for change in changes)
    for change in changes:
        yield from class_findings(change)
    yield from map(filters_finding, changes)
    scored = all_scores(work)
    for single, double in double_routes(work.study):
        if single in scored and double in scored:
            yield double_finding(
                single,
                double,
                _difference_by_pictures(work, single, double),
                _difference_by_trainings(work, single, double),
            )
    yield from _controls(work, compared)


def _compared(work: Workspace) -> Compared:
    compared = {}
    for pair in compared_pairs(work):
        place = work.folder.comparison(*pair.pair)
        facts = facts_of(read_manifest(place), ComparisonFacts)
        layers, channels = (
            read_table(place / f"{name}.parquet") for name in ("layers", "channels")
        )
        images = f"{facts.dataset}/{facts.cka_split}"
        compared[pair.pair] = Seen(*pair.pair, layers, channels, images, work.study.seed)
    return compared


def _is_training(work: Workspace, compared: Seen) -> bool:
    """Whether the second network was trained from the first, over any number of steps."""
    networks, name = work.study.all_networks, compared.after
    if name not in networks:  # an initialisation
        return False
    ancestors = [f"{name}.init"]
    while (parent := networks[name].parent) is not None:
        ancestors += [parent, f"{parent}.init"]
        name = parent
    return compared.before in ancestors


def _reader(work: Workspace, *compared: Seen) -> Read:
    """What reads the features of the networks of comparisons on one split."""
    from overpaint.features import read_features

    split = work.split(*compared[0].images.rsplit("/", 1))
    networks = {name for pair in compared for name in (pair.before, pair.after)}
    paths = keep_features(work, sorted(networks), split)

    def read(network: str, layer: str) -> Features:
        return read_features(paths[network], layer)

    return read


def _difference_by_pictures(work: Workspace, single: str, double: str) -> Score:
    from overpaint.measures.scores import difference

    dataset = str(work.study.all_networks[double].fit)
    first, second = (
        probabilities(read_table(work.folder.network(name) / "predictions.parquet"))
        for name in (single, double)
    )
    labels = np.asarray(work.split(dataset, "test").labels)
    return difference(first, second, labels, dataset=dataset, split="test", seed=work.study.seed)


def _difference_by_trainings(work: Workspace, single: str, double: str) -> RouteDifference | None:
    from overpaint.measures.repeats import route_difference

    scored: dict[str, Any] = all_scores(work)
    routes = [
        [scored[repeat] for repeat in work.study.repeated(name) if repeat in scored]
        for name in (single, double)
    ]
    return route_difference(*routes) if min(map(len, routes)) > 1 else None


def _controls(work: Workspace, compared: Compared) -> Iterable[FindingRow]:
    networks = work.study.all_networks
    for (first, second), control in compared.items():
        if not twins(work.study, first, second) or networks[first].draws_everything:
            continue
        start = networks[first].parent or f"{first}.init"
        for name in (first, second):
            if (start, name) in compared:
                change = compared[start, name]
                yield control_finding(change, control, _reader(work, change, control))
