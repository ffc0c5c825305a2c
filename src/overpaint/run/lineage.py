"""Lineage: the datasets and networks of a study, each made once and found again after.

Each network knows the manifest that it would have now, and is not made when the folder has it
already. A training that fails costs what depends on it and nothing else.
"""

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overpaint.cache import SOURCES, published, weights_file
from overpaint.datasets import Dataset, Split
from overpaint.datasets.doctor import LeakRow, check_trainable, duplicates, leak, remember
from overpaint.datasets.opening import open_dataset
from overpaint.errors import NetworkError, OverpaintError, StudyError, nearest
from overpaint.progress import Progressing
from overpaint.records import (
    EpochRow,
    Manifest,
    StudyFolder,
    SvmRow,
    file_digest,
    fresh,
    manifest,
    read_manifest,
    whole_folder,
    write_json,
    write_rows,
    write_table,
)
from overpaint.study import NetworkEntry, Study
from overpaint.study.model import RenderEntry
from overpaint.study.recipe import Recipe

if TYPE_CHECKING:  # torch is imported by the steps that have work to do
    from overpaint.networks import Network
    from overpaint.training.fit import Trained
    from overpaint.training.plan import Plan

FEW = 5
"""The pictures in two splits that are named on the way; the manifest names all."""

UNTRAINED = dict.fromkeys(("parent", "dataset", "recipe", "trained", "best_epoch"))


@dataclass
class Lineage:
    """A study's datasets and networks, its folder, and what this run has opened so far."""

    study: Study
    folder: StudyFolder
    progress: Progressing
    trackers: tuple[str, ...] = ()
    datasets: dict[str, Dataset] = field(default_factory=dict)
    networks: dict[str, "Network"] = field(default_factory=dict)
    failed: dict[str, OverpaintError] = field(default_factory=dict)

    # --- datasets ----------------------------------------------------------------------------

    def dataset(self, name: str) -> Dataset:
        """Open a dataset, once a run; name the pictures that cannot be read."""
        if name in self.datasets:
            return self.datasets[name]
        entry, place = self.study.datasets[name], self.folder.dataset(name)
        new = not (place / "manifest.json").is_file()
        title = f"dataset {name}: read" if new else f"dataset {name}: look again"
        with self.progress.stage(title) as advance:
            dataset, rows = open_dataset(
                name,
                entry,
                base=self.study.base,
                workplace=place,
                seed=self.study.seed,
                progress=advance,
            )
        remember(dataset.root, rows, place)
        left_out = [row for row in rows if row.status != "ok"]
        for row in left_out:
            self.progress.say(f"  left out: {dataset.root / row.image}: {row.status}")
        facts = {
            "kind": entry.kind,
            "root": str(dataset.root),
            "classes": list(dataset.classes),
            "multi_label": dataset.multi_label,
            "left_out": len(left_out),
            **self._doubts(dataset),
        }
        inputs = {name: dataset.split(name).digest for name in dataset.split_names}
        settings = entry.model_dump(mode="json")
        made = manifest(
            "dataset", inputs=inputs, settings=settings, seed=self.study.seed, facts=facts
        )
        write_json(place / "manifest.json", made)
        self.datasets[name] = dataset
        return dataset

    def _doubts(self, dataset: Dataset) -> dict[str, Any]:
        """What makes a dataset's scores doubtful: pictures and groups that stand in two splits."""
        twice, leaks = duplicates(dataset), leak(dataset)
        for each in twice[:FEW]:
            self.progress.say(f"  {each}")
        if len(twice) > FEW:
            self.progress.say(f"  and {len(twice) - FEW} more pictures that stand in two splits")
        for row in leaks:
            if row.known:
                self.progress.say(f"  {leak_in_words(row)}")
        return {
            "duplicates": [asdict(each) for each in twice],
            "leak": [asdict(row) for row in leaks],
        }

    # --- networks ----------------------------------------------------------------------------

    def check(self) -> None:
        """What cannot work is found before anything is trained: a dataset that no network can be
        fitted to, a layer or a channel to draw that no network has.
        """
        for dataset in dict.fromkeys(filter(None, (e.fit for e in self.study.every.values()))):
            check_trainable(self.dataset(dataset))
        if self.study.render is not None:
            self._check_units(self.study.render)

    def _check_units(self, render: RenderEntry) -> None:
        roots = [name for name, entry in self.study.every.items() if entry.parent is None]
        widths: dict[str, int] = {}  # of each layer, the most channels that it has in any network
        for layer, width in (each for name in roots for each in self._widths_of(name).items()):
            widths[layer] = max(width, widths.get(layer, 0))
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

    def _widths_of(self, name: str) -> dict[str, int]:
        """How many channels each layer of a network has; no limit where an old record has none."""
        place, entry = self.folder.network(name), self.study.every[name]
        if fresh(place, self._manifest(name, entry)):
            facts = read_manifest(place).facts
            return dict(facts.get("channels") or dict.fromkeys(facts["layers"], sys.maxsize))
        from overpaint.networks.taps import channels_of

        network = self._start(name, entry)
        return channels_of(network, network.layers)

    def network(self, name: str) -> None:
        """Load or train a network, unless the folder has it.

        When the training fails, that is noted in `failed`, and so is every descendant.
        """
        entry = self.study.every[name]
        if entry.parent in self.failed:
            self._fail(
                name, NetworkError("parent-failed", f"its parent {entry.parent!r} has failed")
            )
            return
        wanted = self._manifest(name, entry)
        if self._has(name, entry, wanted):
            return
        if entry.fit is None:
            with self.progress.stage(f"network {name}: load {entry.load}"):
                self._save(name, self._start(name, entry), wanted)
            return
        try:
            self._train(name, entry, wanted)
        except OverpaintError as error:
            self._fail(name, error)

    def _fail(self, name: str, error: OverpaintError) -> None:
        self.failed[name] = error
        self.progress.say(f"network {name}: failed: {error} [{error.slug}]")

    def has_failed(self, name: str) -> bool:
        """Whether a network, or the training that its initialisation began, has failed."""
        return name.removesuffix(".init") in self.failed

    def _has(self, name: str, entry: NetworkEntry, wanted: Manifest) -> bool:
        names = [name, f"{name}.init"] if entry.starts_random else [name]
        return all(fresh(self.folder.network(each), wanted) for each in names)

    def _manifest(self, name: str, entry: NetworkEntry) -> Manifest:
        """What the network's artefact would be made from now."""
        inputs = {}
        if entry.parent:
            inputs["parent"] = self.weights_digest(entry.parent)
        elif weights := self._loaded_digest(name, entry):
            inputs["weights"] = weights
        recipe = entry.training()
        if entry.fit and recipe:
            dataset = self.dataset(entry.fit)
            inputs |= {
                f"{entry.fit}/{split}": dataset.split(split).digest for split in dataset.split_names
            }
        settings = {
            "load": entry.load,
            "weights": "random" if entry.weights == "random" else None,
            "recipe": recipe.model_dump() if recipe else None,
        }
        return manifest("network", inputs=inputs, settings=settings, seed=self.study.seed_of(name))

    def _weights_file(self, entry: NetworkEntry) -> Path | None:
        """The file of a loaded network's weights, as far as the study names it."""
        if entry.weights in (None, "random"):
            return None
        path = self.study.path(Path(str(entry.weights)))
        if not path.is_file():
            raise NetworkError("no-weights", f"there is no file of weights {path}")
        return path

    def _loaded_digest(self, name: str, entry: NetworkEntry) -> str | None:
        """The digest of the file that a loaded network's weights come from; None for random ones,
        and for those that timm and torchvision keep in places of their own.
        """
        if entry.draws_everything:
            return None
        folder = self.study.path(Path(str(entry.load)))
        if (folder / "manifest.json").is_file():  # a network of another study
            return str(read_manifest(folder).facts["weights"])
        file = self._weights_file(entry) or weights_file(str(entry.load))
        if file is None and entry.load in SOURCES:
            place = self.folder.network(name)
            if (place / "manifest.json").is_file():  # loaded before; the file may be gone since
                return read_manifest(place).inputs.get("weights")
            file = published(entry.load)
        return file_digest(file) if file else None

    def weights_digest(self, name: str) -> str:
        """The digest of a network's weights in the folder."""
        return str(read_manifest(self.folder.network(name)).facts["weights"])

    def _start(self, name: str, entry: NetworkEntry) -> "Network":
        """The network that a node begins with: its parent, or what it loads."""
        from overpaint.networks import load
        from overpaint.seeds import seed_for

        if entry.parent:
            return self.opened(entry.parent)
        assert entry.load is not None
        folder = self.study.path(Path(entry.load))
        source = str(folder) if (folder / "manifest.json").is_file() else entry.load
        weights = "random" if entry.draws_everything else self._weights_file(entry)
        return load(source, weights=weights, seed=seed_for(self.study.seed_of(name), "start", name))

    def opened(self, name: str) -> "Network":
        """A network of the folder, opened once a run."""
        from overpaint.networks import open_network

        if name not in self.networks:
            self.networks[name] = open_network(self.folder.network(name))
        return self.networks[name]

    # --- features ----------------------------------------------------------------------------

    def features(
        self,
        names: Iterable[str],
        split: Split,
        layers: Sequence[str] = (),
        reductions: Sequence[str] = ("mean",),
    ) -> dict[str, Path]:
        """The features of networks on a split, by network; in one pass, what the folder lacks.

        Of all layers of a network, or of those that are named.
        """
        wanted = {name: self.arrays(name, layers, reductions) for name in names}
        self.gather(wanted, split)
        return {name: self.folder.features(name, split.dataset, split.name) for name in wanted}

    def arrays(
        self, name: str, layers: Sequence[str] = (), reductions: Sequence[str] = ("mean",)
    ) -> list[str]:
        """The names of arrays of features, as "mixed4d/mean"; by default of all layers."""
        own = layers or read_manifest(self.folder.network(name)).facts["layers"]
        return [f"{layer}/{reduction}" for layer in own for reduction in reductions]

    def gather(self, wanted: Mapping[str, Collection[str]], split: Split) -> None:
        """Have arrays of features of each network; what the folder lacks is computed in one pass.

        What was made from other weights, pictures or preprocessing than there are now is removed.
        """
        made = {name: self._features_manifest(name, split) for name in wanted}
        paths = {name: self.folder.features(name, split.dataset, split.name) for name in wanted}
        lacking = [name for name in wanted if not _holds(paths[name], made[name], wanted[name])]
        if not lacking:
            return
        from overpaint.features import Wanted, discard_foreign, store_features

        for name in lacking:
            if discard_foreign(paths[name], made[name]):
                self.progress.say(
                    f"features of {name} on {split.dataset}/{split.name}: made anew, "
                    "for they were of other weights or pictures"
                )
        title = f"features of {' and '.join(lacking)} on {split.dataset}/{split.name}"
        with self.progress.stage(title) as advance:
            odd = store_features(
                [
                    Wanted(self.opened(name), paths[name], sorted(wanted[name]), made[name])
                    for name in lacking
                ],
                split,
                claims=self.folder.claims(split.dataset, split.name),
                progress=advance,
            )
        for name, layers in zip(lacking, odd, strict=True):
            for layer, count in layers.items():
                self.progress.say(
                    f"  {name}: layer {layer} gave NaN or infinity for {count} of {len(split)} "
                    "pictures"
                )

    def _features_manifest(self, name: str, split: Split) -> Manifest:
        facts = read_manifest(self.folder.network(name)).facts
        return manifest(
            "features",
            inputs={"network": facts["weights"], "images": split.digest},
            settings={key: facts[key] for key in ("architecture", "preprocessing")},
            seed=0,
        )

    # --- trainings ---------------------------------------------------------------------------

    def _train(self, name: str, entry: NetworkEntry, wanted: Manifest) -> None:
        from overpaint.training.fit import child_of

        recipe = entry.training()
        assert recipe is not None
        assert entry.fit is not None
        dataset, seed = self.dataset(entry.fit), self.study.seed_of(name)
        child, plan = child_of(self._start(name, entry), dataset, recipe, seed)
        self.progress.say(f"network {name}: {recipe_in_words(recipe.model_dump())}")
        self.progress.say(f"  {plan.summary()}")
        with self.progress.stage(f"network {name}: train on {entry.fit}") as advance:
            if recipe.optimiser == "linear_svm":
                trained = self._fit_svm(entry, child, plan, dataset, seed)
            else:
                trained = self._fit(name, child, plan, dataset, recipe, wanted, advance)
        if trained.plan.drawn:
            self._save(f"{name}.init", trained.start, wanted)
        facts = {
            "parent": entry.parent,
            "dataset": entry.fit,
            "recipe": {"name": entry.recipe, **recipe.model_dump()},
            "trained": plan.summary(),
            "best_epoch": trained.best_epoch,
        }
        self._save(name, trained.network, wanted, facts, trained)
        self.folder.checkpoint(name).unlink(missing_ok=True)

    def _fit(
        self,
        name: str,
        child: "Network",
        plan: "Plan",
        dataset: Dataset,
        recipe: Recipe,
        wanted: Manifest,
        advance: Any,
    ) -> "Trained":
        from overpaint.training.checkpoint import Checkpoint
        from overpaint.training.fit import fit
        from overpaint.training.trackers import Tracking

        logs = self.folder.root / "logs"
        tracking = Tracking(self.trackers, logs, self.study.study, name) if self.trackers else None
        return fit(
            child,
            plan,
            dataset,
            recipe,
            seed=self.study.seed_of(name),
            advance=advance,
            checkpoint=Checkpoint(self.folder.checkpoint(name), wanted.key),
            tracking=tracking,
        )

    def _fit_svm(
        self, entry: NetworkEntry, child: "Network", plan: "Plan", dataset: Dataset, seed: int
    ) -> "Trained":
        from overpaint.features import read_features
        from overpaint.networks.taps import PENULTIMATE
        from overpaint.training.linear_svm import fit_svm

        assert entry.parent is not None
        parent = entry.parent
        features = {
            name: read_features(
                self.features([parent], dataset.split(name), [PENULTIMATE])[parent], PENULTIMATE
            )
            for name in ("train", "val")
        }
        return fit_svm(child, plan, dataset, features, seed=seed)

    def _save(
        self,
        name: str,
        network: "Network",
        wanted: Manifest,
        facts: dict[str, Any] | None = None,
        trained: "Trained | None" = None,
    ) -> None:
        """Write a network with all its records, whole or not at all."""
        from overpaint.networks import describe, save_weights
        from overpaint.networks.taps import channels_of

        with whole_folder(self.folder.network(name)) as draft:
            weights = save_weights(network, draft / "weights.safetensors")
            if trained and facts:
                write_rows(draft / "history.parquet", trained.history, EpochRow)
                if trained.svm:
                    write_rows(draft / "svm.parquet", trained.svm, SvmRow)
                self._predict(network, facts["dataset"], draft)
            channels = channels_of(network, network.layers)
            told = {"channels": channels, "weights": weights}
            described = {**describe(network), **told, **UNTRAINED, **(facts or {})}
            write_json(draft / "manifest.json", replace(wanted, facts=described))
        self.networks[name] = network

    def _predict(self, network: "Network", dataset: str, draft: Path) -> None:
        """What the network says of the test split; its scores are made from that."""
        from overpaint.measures.scores import prediction_table
        from overpaint.training.fit import predict

        split = self.dataset(dataset).split("test")
        write_table(draft / "predictions.parquet", prediction_table(split, predict(network, split)))


def _holds(path: Path, wanted: Manifest, arrays: Collection[str]) -> bool:
    """Whether a group of features has these arrays whole, made from what there is now."""
    return fresh(path, wanted) and set(arrays) <= set(read_manifest(path).facts["arrays"])


def leak_in_words(row: LeakRow) -> str:
    """How much a split gives away by its groups, in one line."""
    return (
        f"{row.split}: {row.share:.0%} of {row.n} pictures are of a group that is in train too; "
        f"the group alone names {row.accuracy:.0%} of them rightly (chance {row.chance:.0%})"
    )


def recipe_in_words(recipe: dict[str, Any]) -> str:
    """The effective settings in one line.

    >>> recipe_in_words({"epochs": 20, "flip": False, "clip_norm": None, "auxiliary": (0.3, 0.3)})
    'epochs 20, flip no, clip_norm none, auxiliary 0.3 0.3'
    """
    return ", ".join(f"{key} {_in_words(value)}" for key, value in recipe.items())


def _in_words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
