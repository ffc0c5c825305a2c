"""The trainings of a study: a parent fitted to a dataset, written with all its records."""

import copy
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overpaint.device import chosen, in_words, trains_in_bfloat16
from overpaint.networks import save_weights
from overpaint.networks.attention import attention_share
from overpaint.networks.described import config_of
from overpaint.networks.taps import PENULTIMATE, channels_of
from overpaint.records import (
    EpochRow,
    LoraRow,
    Manifest,
    NetworkFacts,
    PreprocessingFacts,
    SvmRow,
    read_manifest,
    whole_folder,
    with_facts,
    write_manifest,
    write_rows,
    write_table,
)
from overpaint.run.features import keep_features
from overpaint.run.recipes import preset_of, recipe_of
from overpaint.run.starts import start_of
from overpaint.run.workspace import Workspace
from overpaint.study.recipe import Recipe, in_use
from overpaint.training.checkpoint import Checkpoint
from overpaint.training.fit import child_of, fit, predict

if TYPE_CHECKING:
    from overpaint.datasets import Dataset
    from overpaint.networks import Network
    from overpaint.training.fit import Trained
    from overpaint.training.plan import Plan


def train(work: Workspace, name: str, wanted: Manifest) -> None:
    """Fit a network to its dataset and keep it, its initialisation too where any was drawn."""
    entry = work.study.all_networks[name]
    preset = preset_of(work, name)
    assert preset is not None
    assert entry.fit is not None
    recipe = entry.training(preset.name)
    assert recipe is not None
    if preset.why:
        work.progress.say(f"network {name}: auto takes {preset.name}: {preset.why}")
    changes = f" with {recipe_in_words(entry.overrides)}" if entry.overrides else ""
    work.progress.say(f"network {name}: recipe {preset.name}{changes}")
    if work.explain:
        work.progress.say(f"  in effect: {recipe_in_words(in_use(recipe.model_dump()))}")
    if recipe.optimiser == "linear_svm":
        trained = _fit_svm(work, name, recipe)
    else:
        trained = work.processes.together(work, _fit, name, recipe, wanted.key)[0]
    if trained.plan.reinitialised:
        save_network(work, f"{name}.init", trained.start, wanted)
    training = {
        "parent": entry.parent,
        "dataset": entry.fit,
        "recipe": {
            "name": preset.name,
            **({"auto": preset.why} if preset.why else {}),
            **recipe.model_dump(mode="json"),
        },
        "trained": trained.plan.summary(),
        "best_epoch": trained.best_epoch,
    }
    save_network(work, name, trained.network, wanted, trained, training)
    work.folder.checkpoint(name).unlink(missing_ok=True)


def mix(work: Workspace, name: str, wanted: Manifest) -> None:
    """Keep a network on the way between two; where it is best is chosen on the pictures of val."""
    from overpaint.causes.between import between, mixed

    entry, seed = work.study.all_networks[name], work.study.seed
    assert entry.mixed is not None
    assert entry.fit is not None
    before, after = map(work.opened, entry.mixed.of)
    train, alpha = work.split(entry.fit, "train"), entry.mixed.at
    title = f"network {name}: mix {' and '.join(entry.mixed.of)}"
    with work.progress.stage(title) as advance:
        if alpha == "best":
            val = work.split(entry.fit, "val")
            way = between(before, after, val, train=train, seed=seed, progress=advance)
            alpha = way.best()
        network = copy.deepcopy(after)
        network.fill(mixed(before, after, alpha, train=train, seed=seed))
        work.progress.say(f"  {name}: α = {alpha:g}")
        training = {
            "parent": entry.mixed.of[1],
            "dataset": entry.fit,
            "mixed": list(entry.mixed.of),
            "alpha": alpha,
        }
        save_network(work, name, network, wanted, training=training)


def _fit(work: Workspace, name: str, recipe: Recipe, key: str) -> "Trained":
    """Go down the gradients, all processes together."""
    dataset, child, plan = _begun(work, name, recipe)
    tracking = None
    if work.trackers:
        from overpaint.training.trackers import Tracking

        tracking = Tracking(work.trackers, work.folder.root / "logs", work.study.study, name)
    checkpoint = Checkpoint(work.folder.checkpoint(name), key)
    if checkpoint.path.exists() and not checkpoint.is_whole():
        address = checkpoint.path.relative_to(work.folder.root).as_posix()
        work.progress.say(f"{address}: it is no whole checkpoint: the training begins anew")
    with work.progress.stage(f"network {name}: train on {dataset.name}") as advance:
        return fit(
            child,
            plan,
            dataset,
            recipe,
            seed=work.study.seed_of(name),
            advance=advance,
            checkpoint=checkpoint,
            tracking=tracking,
        )


def _fit_svm(work: Workspace, name: str, recipe: Recipe) -> "Trained":
    """Have scikit-learn find the head, on features of the parent's."""
    from overpaint.features import read_features
    from overpaint.training.svm_head import fit_svm

    dataset, child, plan = _begun(work, name, recipe)
    parent = work.study.all_networks[name].parent
    assert parent is not None
    features = {}
    with work.progress.stage(f"network {name}: train on {dataset.name}"):
        for split in ("train", "val"):
            paths = keep_features(work, [parent], dataset.split(split), layers=[PENULTIMATE])
            features[split] = read_features(paths[parent], PENULTIMATE)
        return fit_svm(child, plan, dataset, features, seed=work.study.seed_of(name))


def predict_again(work: Workspace, name: str) -> None:
    """Have the predictions of a trained network, whose weights are there, anew."""
    place, dataset = work.folder.network(name), work.study.all_networks[name].fit
    assert dataset is not None
    with work.progress.stage(f"network {name}: predict {dataset}/test"):
        _write_predictions(work, work.opened(name), dataset, place)
    write_manifest(place, read_manifest(place))


def save_start(work: Workspace, name: str, wanted: Manifest) -> None:
    """Draw again what a training began with, beside the network that it gave."""
    recipe = recipe_of(work, name)
    assert recipe is not None
    _, child, _ = _begun(work, name, recipe)
    save_network(work, f"{name}.init", child, wanted)


def _begun(work: Workspace, name: str, recipe: Recipe) -> "tuple[Dataset, Network, Plan]":
    """What a network is fitted to, the network as its training begins, and what that changes."""
    entry = work.study.all_networks[name]
    assert entry.fit is not None
    work.networks.pop(name, None)  # an earlier one of that name
    dataset = work.datasets[entry.fit]
    child, plan = child_of(start_of(work, name), dataset, recipe, work.study.seed_of(name))
    work.progress.say(f"  {plan.summary()}")
    return dataset, child, plan


def save_network(
    work: Workspace,
    name: str,
    network: "Network",
    wanted: Manifest,
    trained: "Trained | None" = None,
    training: dict[str, Any] | None = None,
) -> None:
    """Write a network with all its records, whole or not at all; `training`: NetworkFacts of it, of
    one that was fitted or mixed.
    """
    with whole_folder(work.folder.network(name)) as draft:
        weights = save_weights(network, draft / "weights.safetensors")
        if trained and trained.adapter:
            trained.adapter.save(draft / "adapter")
            write_rows(draft / "lora.parquet", trained.adapter.rows, LoraRow)
        if trained and trained.svm:
            write_rows(draft / "svm.parquet", trained.svm, SvmRow)
        if training:
            write_rows(draft / "history.parquet", trained.history if trained else [], EpochRow)
            _write_predictions(work, network, training["dataset"], draft)
        facts = network_facts_of(network, weights, training)
        where = chosen().device if trained and trained.history else None
        made_on = in_words(where, half=trains_in_bfloat16(where)) if where else ""
        if made_on and work.processes.count > 1:
            made_on += f", {work.processes.count} processes"
        write_manifest(draft, with_facts(wanted, facts, device=made_on))
    work.networks[name] = network


def network_facts_of(
    network: "Network", weights: str, training: dict[str, Any] | None = None
) -> NetworkFacts:
    """What a manifest says of a network whose weights have a digest."""
    return NetworkFacts(
        architecture=network.architecture,
        layers=list(network.layers),
        parameters=network.parameters_in_all,
        attention=round(attention_share(network.body), 4),
        classes=list(network.classes),
        multi_label=network.multi_label,
        preprocessing=PreprocessingFacts(**asdict(network.preprocessing)),
        channels=channels_of(network, network.layers),
        weights=weights,
        config=config_of(network.architecture),
        remark=network.remark,
        code=network.source_digest,
        **(training or {}),
    )


def _write_predictions(work: Workspace, network: "Network", dataset: str, draft: Path) -> None:
    """What the network says of the test split; its scores are made from that."""
    from overpaint.measures.scores import prediction_table

    split = work.split(dataset, "test")
    write_table(
        draft / "predictions.parquet",
        prediction_table(
            predict(network, split),
            images=split.images,
            labels=[picture.labels for picture in split.pictures],
            classes=split.classes,
        ),
    )


def recipe_in_words(recipe: dict[str, Any]) -> str:
    """Settings of a recipe in one line.

    >>> recipe_in_words({"epochs": 20, "flip": False, "clip_norm": None, "auxiliary": (0.3, 0.3)})
    'epochs 20, flip no, clip_norm none, auxiliary 0.3 0.3'
    >>> recipe_in_words({"stages": ({"train": "head", "epochs": 2}, {"train": "all"})})
    'stages (train head, epochs 2) (train all)'
    """
    words: dict[str, str] = {}
    for key, value in recipe.items():
        if isinstance(value, dict):
            words[key] = f"({recipe_in_words(value)})"
        elif isinstance(value, bool):
            words[key] = "yes" if value else "no"
        elif isinstance(value, tuple | list):
            words[key] = (
                " ".join(
                    f"({recipe_in_words(part)})" if isinstance(part, dict) else str(part)
                    for part in value
                )
                or "none"
            )
        else:
            words[key] = "none" if value is None else str(value)
    return ", ".join(f"{key} {word}" for key, word in words.items())
