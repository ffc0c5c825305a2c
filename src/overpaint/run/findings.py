"""The findings of a study, from its comparisons, scores and stored features."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.findings import (
    STATEMENTS,
    ComparedPair,
    ComparedRoutes,
    Results,
    Shown,
    TriedPair,
    findings,
)
from overpaint.measures.centred import Table
from overpaint.records import (
    CausesFacts,
    ComparisonFacts,
    RewindRow,
    RouteDifference,
    Score,
    facts_of,
    manifest,
    read_manifest,
    read_table,
    table,
    write_json,
    write_manifest,
)
from overpaint.run.comparisons import compared_pairs
from overpaint.run.features import keep_features
from overpaint.run.probes import probed_networks
from overpaint.run.scores import all_scores, probabilities, scored_places
from overpaint.run.workspace import Workspace
from overpaint.study import Pair
from overpaint.study.causes import double_routes, pairs_of_weights


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
    causes = {
        f"causes of {before} and {after}": work.artefact_key(work.folder.causes(before, after))
        for before, after in _tried_pairs(work)
    }
    probes = {
        f"probes of {name} on {dataset}": work.artefact_key(work.folder.probe(name, dataset))
        for name, dataset in probed_networks(work)
    }
    wanted = manifest(
        "findings",
        inputs=comparisons | scores | causes | probes,
        settings={
            "statements": list(STATEMENTS),
            "networks": {
                "networks": {
                    name: entry.model_dump(mode="json", exclude={"title"}, exclude_defaults=True)
                    for name, entry in study.networks.items()
                }
            },
        },
        seed=study.seed,
    )

    def make() -> None:
        with work.progress.stage("findings"):
            rows = [asdict(row) for row in findings(_results(work))]
        write_json(path, {"findings": rows})
        write_manifest(path, wanted)

    work.keep(path, wanted, make)


def _results(work: Workspace) -> Results:
    scored = all_scores(work)
    return Results(
        study=work.study,
        compared={pair.pair: _compared(work, pair) for pair in compared_pairs(work)},
        routes=[
            ComparedRoutes(
                single=single,
                double=double,
                by_pictures=_difference_by_pictures(work, single, double),
                by_trainings=_difference_by_trainings(work, single, double),
            )
            for single, double in double_routes(work.study)
            if single in scored and double in scored
        ],
        tried={names: _tried(work, *names) for names in _tried_pairs(work)},
        probes={
            names: read_table(work.folder.probe(*names) / "probe.parquet")
            for names in probed_networks(work)
        },
    )


def _tried_pairs(work: Workspace) -> list[tuple[str, str]]:
    """The pairs of which it was tried, or is to be, what other weights do."""
    places = {names: work.folder.causes(*names) for names in pairs_of_weights(work.study)}
    return [
        names for names, place in places.items() if place in work.pending or work.is_there(place)
    ]


def _tried(work: Workspace, before: str, after: str) -> TriedPair:
    place = work.folder.causes(before, after)
    facts = facts_of(read_manifest(place), CausesFacts)
    rewind = place / "rewind.parquet"
    return TriedPair(
        before=before,
        after=after,
        rewind=read_table(rewind) if rewind.is_file() else table([], RewindRow),
        barrier=facts.barrier,
        lost=facts.lost,
        parent=facts.parent,
        parent_dataset=facts.parent_dataset,
    )


def _compared(work: Workspace, pair: Pair) -> ComparedPair:
    place = work.folder.comparison(*pair.pair)
    facts = facts_of(read_manifest(place), ComparisonFacts)

    @cache
    def paths() -> dict[str, Path]:
        return keep_features(work, pair.pair, work.split(facts.dataset, facts.cka_split))

    def read(network: str, layer: str) -> Table:
        from overpaint.features import stored

        return stored(paths()[network], layer)

    @cache
    def shown() -> Shown:
        split = work.split(facts.dataset, facts.maximal_split)
        before, after = maximal_rows(place, split.images)
        return Shown(
            before=before,
            after=after,
            labels=split.labels,
            classes=len(split.classes),
            groups=[picture.group for picture in split.pictures],
        )

    return ComparedPair(
        before=pair.before,
        after=pair.after,
        layers=read_table(place / "layers.parquet"),
        channels=read_table(place / "channels.parquet"),
        images=f"{facts.dataset}/{facts.cka_split}",
        groups=[picture.group for picture in work.split(facts.dataset, facts.cka_split).pictures],
        seed=work.study.seed,
        read=read,
        shown=shown,
    )


def maximal_rows(place: Path, images: Sequence[str]) -> list[list[NDArray[np.intp]]]:
    """The rows in a split of the maximal images of each channel in a comparison's table, before and
    after.
    """
    channels = read_table(place / "channels.parquet")
    places = pd.MultiIndex.from_frame(channels[["layer", "channel"]])
    maximal = read_table(place / "maximal.parquet")
    channel = places.get_indexer(pd.MultiIndex.from_frame(maximal[["layer", "channel"]]))
    row = pd.Index(images).get_indexer(pd.Index(maximal["image"]))
    sides = []
    for network in ("before", "after"):
        of_network = np.flatnonzero((maximal["network"] == network) & (channel >= 0) & (row >= 0))
        order = of_network[np.argsort(channel[of_network], kind="stable")]
        ends = np.searchsorted(channel[order], np.arange(1, len(channels)))
        sides.append(np.split(row[order], ends))
    return sides


def _difference_by_pictures(work: Workspace, single: str, double: str) -> Score:
    from overpaint.measures.scores import difference

    dataset = str(work.study.all_networks[double].fit)
    first, second = (
        probabilities(read_table(work.folder.network(name) / "predictions.parquet"))
        for name in (single, double)
    )
    test = work.split(dataset, "test")
    return difference(
        first,
        second,
        np.asarray(test.labels),
        dataset=dataset,
        split="test",
        seed=work.study.seed,
        groups=[picture.group for picture in test.pictures],
    )


def _difference_by_trainings(work: Workspace, single: str, double: str) -> RouteDifference | None:
    from overpaint.measures.repeats import route_difference

    scored: dict[str, Any] = all_scores(work)
    routes = [
        [scored[repeat] for repeat in work.study.repeated(name) if repeat in scored]
        for name in (single, double)
    ]
    return route_difference(*routes) if min(map(len, routes)) > 1 else None
