"""The networks of a study: loaded or trained once, and found again after.

A training that fails costs what depends on it and nothing else.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from overpaint.cache import SOURCES, published, weights_file
from overpaint.datasets.doctor import check_trainable
from overpaint.errors import NetworkError, OverpaintError, StudyError, nearest
from overpaint.records import (
    PENDING,
    Manifest,
    NetworkFacts,
    defaults_of,
    facts_of,
    file_digest,
    manifest,
    read_manifest,
    reasons_to_make,
)
from overpaint.run.workspace import Workspace
from overpaint.study import NetworkEntry, RenderEntry
from overpaint.study.recipe import Recipe

if TYPE_CHECKING:
    from overpaint.networks import Network


def keep_network(work: Workspace, name: str) -> None:
    """Load or train a network, unless the folder has it.

    When the training fails, that is noted in `work.failed`, and so is every descendant.
    """
    entry = work.study.all_networks[name]
    if entry.parent in work.failed:
        error = NetworkError("parent-failed", f"its parent {entry.parent!r} has failed")
        _note_failure(work, name, error)
        return
    place = work.folder.network(name)
    wanted = wanted_network(work, name)
    beside = [work.folder.network(f"{name}.init")] if entry.starts_random else []
    if not work.must_make(place, wanted, beside=beside):
        work.pending |= {other for other in beside if place in work.pending}
        return
    from overpaint.run.trainings import save_network, train

    if entry.fit is None:
        with work.progress.stage(f"network {name}: load {entry.load}"):
            save_network(work, name, start_of(work, name), wanted)
        return
    try:
        train(work, name, wanted)
    except OverpaintError as error:
        _note_failure(work, name, error)


def _note_failure(work: Workspace, name: str, error: OverpaintError) -> None:
    work.failed[name] = error
    work.progress.say(f"network {name}: failed: {error} [{error.slug}]")


def wanted_network(work: Workspace, name: str) -> Manifest:
    """What a network's artefact would be made from now."""
    entry = work.study.all_networks[name]
    inputs = {}
    if entry.parent:
        inputs["parent"] = work.weights_digest(entry.parent)
    elif weights := _loaded_digest(work, name, entry):
        inputs["weights"] = weights
    recipe = entry.training()
    if entry.fit and recipe:
        digests = work.split_digests[entry.fit] or {"images": PENDING}
        inputs |= {f"{entry.fit}/{split}": digest for split, digest in digests.items()}
    return manifest(
        "network",
        inputs=inputs,
        settings={
            "load": entry.load,
            "weights": "random" if entry.weights == "random" else None,
            "recipe": recipe.model_dump(mode="json") if recipe else None,
        },
        defaults={"load": None, "weights": None, "recipe": defaults_of(Recipe)},
        seed=work.study.seed_of(name),
    )


# --- what a network begins with --------------------------------------------------------------


def start_of(work: Workspace, name: str) -> "Network":
    """The network that a node begins with: its parent, or what it loads."""
    from overpaint.networks import load
    from overpaint.seeds import seed_for

    entry = work.study.all_networks[name]
    if entry.parent:
        return work.opened(entry.parent)
    assert entry.load is not None
    folder = work.study.path(Path(entry.load))
    source = str(folder) if (folder / "manifest.json").is_file() else entry.load
    weights = "random" if entry.draws_everything else _named_weights(work, entry)
    return load(source, weights=weights, seed=seed_for(work.study.seed_of(name), "start", name))


def _named_weights(work: Workspace, entry: NetworkEntry) -> Path | None:
    """The file of a loaded network's weights, as far as the study names it."""
    if entry.weights in (None, "random"):
        return None
    path = work.study.path(Path(str(entry.weights)))
    if not path.is_file():
        raise NetworkError("no-weights", f"there is no file of weights {path}")
    return path


def _loaded_digest(work: Workspace, name: str, entry: NetworkEntry) -> str | None:
    """The digest of the file that a loaded network's weights come from; None for random ones,
    and for those that timm and torchvision keep in places of their own.
    """
    if entry.draws_everything:
        return None
    folder = work.study.path(Path(str(entry.load)))
    if (folder / "manifest.json").is_file():  # a network of another study
        return facts_of(read_manifest(folder), NetworkFacts).weights
    file = _named_weights(work, entry) or weights_file(str(entry.load))
    if file is None and entry.load in SOURCES:
        place = work.folder.network(name)
        if (place / "manifest.json").is_file():  # loaded before; the file may be gone since
            return read_manifest(place).inputs.get("weights")
        if work.dry:
            return PENDING  # a dry run downloads nothing
        file = published(entry.load)
    return file_digest(file) if file else None


# --- what cannot work is found before anything is trained ----------------------------------------


def check_study(work: Workspace) -> None:
    """Refuse a dataset that no network can be fitted to, and a layer or a channel to draw that no
    network has.
    """
    for name in dict.fromkeys(entry.fit for entry in work.study.all_networks.values()):
        if name in work.datasets:
            check_trainable(work.datasets[name])
    if work.study.render:
        _check_channels(work, work.study.render)


def _check_channels(work: Workspace, render: RenderEntry) -> None:
    widths: dict[str, int] = {}  # of each layer, the most channels that it has in any network
    for name, entry in work.study.all_networks.items():
        if entry.parent is None:
            for layer, width in _widths_of(work, name).items():
                widths[layer] = max(width, widths.get(layer, 0))
    if not widths:
        return  # a dry run that knows no network yet
    for layer in render.layers:
        if layer not in widths:
            raise StudyError(
                "unknown-layer",
                f"render names layer {layer!r}, which no network of the study has; "
                f"{nearest(layer, widths)}",
            )
    for channel in render.channels if isinstance(render.channels, list) else []:
        layer, _, number = str(channel).rpartition(":")
        layer = layer or max(render.layers, key=widths.__getitem__)
        if int(number) >= widths[layer]:
            raise StudyError(
                "no-channel",
                f"render names channel {channel}, but {layer} has {widths[layer]} channels, "
                f"0..{widths[layer] - 1}",
            )


def _widths_of(work: Workspace, name: str) -> dict[str, int]:
    """How many channels each layer of a network has; no limit where an old record has none."""
    if not reasons_to_make(work.folder.network(name), wanted_network(work, name)):
        facts = work.network_facts(name)
        return facts.channels or dict.fromkeys(facts.layers, sys.maxsize)
    if work.dry:
        return {}
    from overpaint.networks.taps import channels_of

    network = start_of(work, name)
    return channels_of(network, network.layers)
