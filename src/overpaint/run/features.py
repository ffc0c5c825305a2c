"""The features of a study: one pass over a split for all networks that lack something there."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

from overpaint.datasets import Split
from overpaint.defaults import SPLITS
from overpaint.errors import RecordError
from overpaint.records import PENDING, FeaturesFacts, Manifest, facts_of, manifest, read_manifest
from overpaint.run.workspace import Workspace

CHUNK = re.compile(r"(?!images/)[^/]+/[^/]+/(zarr\.json|c/.+)|manifest\.json")
"""The files of a group that are made anew by themselves when they are gone."""


def keep_features(
    work: Workspace,
    names: Iterable[str],
    split: Split,
    *,
    layers: Sequence[str] = (),
    reductions: Sequence[str] = ("mean",),
) -> dict[str, Path]:
    """The features of networks on a split, by network; in one pass, what the folder lacks.

    Of all layers of a network, or of those that are named.
    """
    arrays = {name: arrays_of(work, name, layers, reductions) for name in names}
    keep_arrays(work, arrays, split)
    return {name: work.folder.features(name, split.dataset, split.name) for name in arrays}


def arrays_of(
    work: Workspace, name: str, layers: Sequence[str] = (), reductions: Sequence[str] = ("mean",)
) -> list[str]:
    """The names of arrays of features, as "mixed4d/mean"; by default of all layers."""
    wanted_layers = layers or work.network_facts(name).layers
    return [f"{layer}/{reduction}" for layer in wanted_layers for reduction in reductions]


def keep_arrays(work: Workspace, arrays: Mapping[str, Collection[str]], split: Split) -> None:
    """Have arrays of features of each network; what the folder lacks is computed in one pass.

    What was made from other weights, pictures or preprocessing than there are now is removed, and
    what is not any more as it was made: its chunks, or all where what tells of them is damaged.
    """
    wanted = {name: wanted_features(work, name, split.dataset, split.name) for name in arrays}
    paths = {name: work.folder.features(name, split.dataset, split.name) for name in arrays}
    beyond = {
        name
        for name, path in paths.items()
        if not all(CHUNK.fullmatch(damage.name) for damage in work.damages(path))
    }
    lacking = [
        name
        for name in arrays
        if work.must_make(paths[name], wanted[name], missing_arrays(paths[name], arrays[name]))
    ]
    if not lacking:
        return
    from overpaint.features import discard, discard_foreign

    for name in lacking:
        if name in beyond:
            discard(paths[name])
        if discard_foreign(paths[name], wanted[name]):
            work.progress.say(
                f"features of {name} on {split.dataset}/{split.name}: made anew, "
                "for they were of other weights or pictures"
            )
    requests = {name: (sorted(arrays[name]), wanted[name]) for name in lacking}
    odd: Counter[tuple[str, str]] = Counter()
    for by_network in work.processes.together(work, _store, requests, split.dataset, split.name):
        odd.update(by_network)
    for (name, layer), count in odd.items():
        work.progress.say(
            f"  {name}: layer {layer} gave NaN or infinity for {count} of {len(split)} pictures"
        )


def _store(
    work: Workspace, requests: dict[str, tuple[list[str], Manifest]], dataset: str, name: str
) -> Counter[tuple[str, str]]:
    """Compute what other processes have not claimed; by network and layer, for how many pictures
    it gave what is no number.
    """
    from overpaint.features import FeatureRequest, store_features

    split = work.split(dataset, name)
    title = f"features of {' and '.join(requests)} on {dataset}/{name}"
    with work.progress.stage(title) as advance:
        not_finite = store_features(
            [
                FeatureRequest(
                    work.opened(network),
                    work.folder.features(network, dataset, name),
                    arrays,
                    wanted,
                    precision=work.study.precision,
                    store=(work.study.features and work.study.features.store) or "",
                )
                for network, (arrays, wanted) in requests.items()
            ],
            split,
            claims=work.folder.claims(dataset, name),
            progress=advance,
        )
    return Counter(
        {
            (network, layer): count
            for network, layers in zip(requests, not_finite, strict=True)
            for layer, count in layers.items()
        }
    )


def damaged_features(work: Workspace) -> dict[tuple[str, str], dict[str, set[str]]]:
    """The features that the folder has and that are no longer whole: by dataset and split, for each
    network the names of arrays.

    Those that are gone altogether are wanted only by what is made of them.
    """
    damaged: dict[tuple[str, str], dict[str, set[str]]] = {}
    for dataset, split, name in product(work.study.datasets, SPLITS, work.study.nodes()):
        path = work.folder.features(name, dataset, split)
        if not work.damages(path) or work.has_failed(name):
            continue
        if split not in work.split_digests[dataset]:
            continue  # the dataset has no such split any more
        present = read_manifest(path)
        if present.key == wanted_features(work, name, dataset, split).key:
            with suppress(RecordError):
                arrays = set(facts_of(present, FeaturesFacts).arrays)
                damaged.setdefault((dataset, split), {})[name] = arrays
    return damaged


def missing_arrays(path: Path, arrays: Collection[str]) -> list[str]:
    """In words, the arrays that a group of features has not whole."""
    try:
        present = facts_of(read_manifest(path), FeaturesFacts).arrays
    except RecordError:
        return []  # all of them, and that is told already
    missing = sorted(set(arrays) - set(present))
    return [f"it lacks {', '.join(missing)}"] if missing else []


def wanted_features(work: Workspace, name: str, dataset: str, split: str) -> Manifest:
    """What the features of a network on a split would be made from now."""
    inputs = {
        "network": work.weights_digest(name),
        "images": work.split_digest(dataset, split),
    }
    # Without the precision that is the usual one, as in folders from before there were others.
    settings: dict[str, Any] = (
        {} if work.study.precision == "float32" else {"precision": work.study.precision}
    )
    if work.is_there(work.folder.network(name)):
        facts = work.network_facts(name)
        preprocessing = facts.preprocessing.settings() if facts.preprocessing else {}
        settings |= {"architecture": facts.architecture, "preprocessing": preprocessing}
    else:
        settings |= {"architecture": PENDING, "preprocessing": PENDING}
    return manifest("features", inputs=inputs, settings=settings, seed=0)
