"""The networks of a study: loaded or trained once, and found again after.

A training that fails costs what depends on it and nothing else.
"""

import sys
from typing import TYPE_CHECKING

from overpaint.datasets.doctor import check_trainable
from overpaint.errors import MachineError, NetworkError, OverpaintError, StudyError, nearest
from overpaint.processes import ProcessError
from overpaint.records import (
    PENDING,
    Manifest,
    defaults_of,
    file_digest,
    manifest,
    reasons_to_make,
)
from overpaint.run.recipes import recipe_of
from overpaint.run.starts import loaded_digest, start_of
from overpaint.run.workspace import Workspace
from overpaint.study import RenderEntry
from overpaint.study.code import is_code, source_of
from overpaint.study.recipe import PLAIN, Recipe

if TYPE_CHECKING:
    pass


def keep_network(work: Workspace, name: str) -> None:
    """Load or train a network, unless the folder has it.

    When the training fails, that is noted in `work.failed`, and so is every descendant.
    """
    entry = work.study.all_networks[name]
    if name in work.failed:
        return  # as a job
    failed = next((parent for parent in entry.parents if work.has_failed(parent)), None)
    if failed:
        error = NetworkError("parent-failed", f"its parent {failed!r} has failed")
        note_failure(work, name, error)
        return
    wanted, place = wanted_network(work, name), work.folder.network(name)
    # What follows from weights that are whole is made from them: no training is done again.
    damaged = [damage.name for damage in work.damages(place)] if entry.fit else []
    lacks_start = entry.starts_random and bool(
        work.reasons(work.folder.network(f"{name}.init"), wanted)
    )
    is_trained = not reasons_to_make(place, wanted) and {*damaged} <= {"predictions.parquet"}
    if not must_make_network(work, name):
        return
    from overpaint.run.trainings import mix, predict_again, save_network, save_start, train

    if entry.fit and is_trained:
        if damaged:
            predict_again(work, name)
        if lacks_start:
            save_start(work, name, wanted)
        return
    if entry.fit is None:
        with work.progress.stage(f"network {name}: load {entry.load}"):
            save_network(work, name, start_of(work, name), wanted)
        return
    try:
        make = mix if entry.mixed else train
        make(work, name, wanted)
    except (ProcessError, MachineError):
        raise  # what one process could not do, or the machine refuses, is no fault of a training's
    except OverpaintError as error:
        note_failure(work, name, error)


def must_make_network(work: Workspace, name: str) -> bool:
    """Whether the folder lacks a network, or the initialisation that its training drew."""
    place, draws = work.folder.network(name), work.study.all_networks[name].starts_random
    beside = [work.folder.network(f"{name}.init")] if draws else []
    must = work.must_make(place, wanted_network(work, name), beside=beside)
    work.pending |= {other for other in beside if place in work.pending}
    if not must and not work.dry:  # a run may have been killed after it wrote the network
        work.folder.checkpoint(name).unlink(missing_ok=True)
    return must


def note_failure(work: Workspace, name: str, error: OverpaintError) -> None:
    """Remember that a network has failed, and say why."""
    work.processes.together(work, _take_failure, name, error)
    work.progress.say(f"network {name}: failed: {error} [{error.slug}]")


def _take_failure(work: Workspace, name: str, error: OverpaintError) -> None:
    work.failed[name] = error


def wanted_network(work: Workspace, name: str) -> Manifest:
    """What a network's artefact would be made from now."""
    entry = work.study.all_networks[name]
    inputs = {}
    if entry.parent:
        inputs["parent"] = work.weights_digest(entry.parent)
    elif weights := loaded_digest(work, name, entry):
        inputs["weights"] = weights
    if entry.mixed:
        inputs["mixed with"] = work.weights_digest(entry.mixed.of[0])
    if is_code(str(entry.load)):
        inputs["code"] = file_digest(source_of(str(entry.load), work.study.base.resolve()))
    recipe = recipe_of(work, name)
    if entry.fit:
        digests = work.split_digests[entry.fit] or {"images": PENDING}
        inputs |= {f"{entry.fit}/{split}": digest for split, digest in digests.items()}
    return manifest(
        "network",
        inputs=inputs,
        settings={
            "load": entry.load,
            "weights": "random" if entry.weights == "random" else None,
            "recipe": recipe.model_dump(mode="json") if recipe else entry.recipe,
            "mixed": entry.mixed.model_dump(mode="json") if entry.mixed else None,
        },
        defaults={"load": None, "weights": None, "recipe": defaults_of(Recipe), "mixed": None},
        seed=work.study.seed_of(name),
    )


# --- what cannot work is found before anything is trained ----------------------------------------


def check_study(work: Workspace) -> None:
    """Refuse what no training can be made with, a dataset, an optimiser or adapters without their
    library, and a layer or a channel to draw that no network has.
    """
    for node, entry in work.study.all_networks.items():
        training = entry.training()
        usual = (*PLAIN, "linear_svm", "adamw")  # known without asking timm, which takes seconds
        if training and training.optimiser not in usual:
            if work.is_there(work.folder.network(node)):
                continue  # what trained it was there
            from overpaint.training.optimiser import check_optimiser

            check_optimiser(training.optimiser)
    for name in dict.fromkeys(entry.fit for entry in work.study.all_networks.values()):
        if name in work.datasets:
            check_trainable(work.datasets[name])
    if any(
        (training := entry.training()) and training.lora and not work.folder.network(name).exists()
        for name, entry in work.study.all_networks.items()
    ):
        from overpaint.training.lora import check_peft

        check_peft()  # before hours of other trainings
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
    if not work.reasons(work.folder.network(name), wanted_network(work, name)):
        facts = work.network_facts(name)
        return facts.channels or dict.fromkeys(facts.layers, sys.maxsize)
    if work.dry:
        return {}
    from overpaint.networks.taps import channels_of

    network = start_of(work, name)
    return channels_of(network, network.layers)
