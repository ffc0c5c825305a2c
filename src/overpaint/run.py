"""Carry out a study: the missing steps, in order, into records; no mathematics.

Each step knows the manifest that its artefact would have now, and does nothing when the artefact
in the folder has it already. So a run that was interrupted goes on where it was, a run that is
complete does nothing, and then torch is never even imported.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from rich.table import Table

from overpaint.datasets import Dataset, Split, open_dataset
from overpaint.datasets.doctor import remember
from overpaint.errors import NetworkError, StudyError, nearest
from overpaint.images import decode, thumbnail
from overpaint.progress import Progressing
from overpaint.records import (
    ChannelRow,
    EpochRow,
    Manifest,
    RenderingRow,
    Scores,
    StudyFolder,
    digest,
    file_digest,
    fresh,
    manifest,
    read_json,
    read_manifest,
    read_rows,
    read_table,
    whole_file,
    whole_folder,
    write_json,
    write_rows,
    write_table,
    write_text,
)
from overpaint.study import NetworkEntry, Pair, Study

if TYPE_CHECKING:  # torch is imported by the steps that have work to do
    from overpaint.networks import Network
    from overpaint.training.fit import Trained

SHOWN_IMAGES = 12
"""Maximal images of a chosen channel that the report shows of each network."""


def run_study(study: Study, out: Path, progress: Progressing) -> Path:
    """Carry out a study into a folder; returns the report's first page."""
    work = Run(study, StudyFolder(out), progress)
    write_text(work.folder.study, study.to_yaml())
    for name in study.datasets:
        work.dataset(name)
    work.check_layers()
    for name in study.lineage():
        work.network(name)
    for pair in study.compare:
        work.comparison(pair)
    work.renderings()
    for pair in study.compare:
        work.thumbnails(pair)
    page = work.report()
    progress.console.print(score_table(work.scores()))
    progress.say(f"report: {page}")
    return page


def score_table(scores: dict[str, Scores]) -> Table:
    """The summary at the end of a run."""
    table = Table("network", "dataset", "score", "95 % interval", "chance", "pictures")
    for name, each in scores.items():
        main = each.scores[each.main]
        table.add_row(
            name,
            each.dataset,
            f"{each.main} {main.value:.1%}",
            f"{main.low:.1%} … {main.high:.1%}",
            f"{main.chance:.1%}",
            str(main.n),
        )
    return table


@dataclass
class Run:
    """A study, its folder, and what this run has opened so far."""

    study: Study
    folder: StudyFolder
    progress: Progressing
    datasets: dict[str, Dataset] = field(default_factory=dict)
    networks: dict[str, "Network"] = field(default_factory=dict)

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
        }
        inputs = {name: dataset.split(name).digest for name in dataset.split_names}
        settings = entry.model_dump(mode="json")
        made = manifest(
            "dataset", inputs=inputs, settings=settings, seed=self.study.seed, facts=facts
        )
        write_json(place / "manifest.json", made)
        self.datasets[name] = dataset
        return dataset

    # --- networks ----------------------------------------------------------------------------

    def check_layers(self) -> None:
        """A layer to draw that no network has is found before anything is trained, and so are
        weights that cannot be had.
        """
        if self.study.render is None:
            return
        roots = [name for name, entry in self.study.networks.items() if entry.parent is None]
        known = [layer for name in roots for layer in self._layers_of(name)]
        for layer in self.study.render.layers:
            if layer not in known:
                raise StudyError(
                    "unknown-layer",
                    f"render names layer {layer!r}, which no network of the study has; "
                    f"{nearest(layer, dict.fromkeys(known))}",
                )

    def _layers_of(self, name: str) -> Sequence[str]:
        place = self.folder.network(name)
        if (place / "manifest.json").is_file():
            return list(read_manifest(place).facts["layers"])
        return self._start(name, self.study.networks[name]).layers

    def network(self, name: str) -> None:
        """Load or train a network, unless the folder has it."""
        entry = self.study.networks[name]
        wanted = self._network_manifest(name, entry)
        if self._has_network(name, entry, wanted):
            return
        if entry.fit is None:
            with self.progress.stage(f"network {name}: load {entry.load}"):
                self._save_network(name, self._start(name, entry), wanted)
        else:
            self._train(name, entry, wanted)

    def _has_network(self, name: str, entry: NetworkEntry, wanted: Manifest) -> bool:
        names = [name, f"{name}.init"] if entry.starts_random else [name]
        return all(fresh(self.folder.network(each), wanted) for each in names)

    def _network_manifest(self, name: str, entry: NetworkEntry) -> Manifest:
        """What the network's artefact would be made from now."""
        inputs = {}
        if entry.parent:
            inputs["parent"] = self.weights_digest(entry.parent)
        elif file := self._weights_file(entry):
            inputs["weights"] = file_digest(file)
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
        recipe = entry.training()
        all_drawn = recipe is not None and recipe.reinit == "all"
        folder = self.study.path(Path(entry.load))
        source = str(folder) if (folder / "manifest.json").is_file() else entry.load
        weights = "random" if all_drawn or entry.weights == "random" else self._weights_file(entry)
        return load(source, weights=weights, seed=seed_for(self.study.seed_of(name), "start", name))

    def _train(self, name: str, entry: NetworkEntry, wanted: Manifest) -> None:
        from overpaint.training.fit import child_of, fit

        recipe = entry.training()
        assert recipe is not None
        assert entry.fit is not None
        dataset, seed = self.dataset(entry.fit), self.study.seed_of(name)
        child, plan = child_of(self._start(name, entry), dataset, recipe, seed)
        self.progress.say(f"network {name}: {recipe_in_words(recipe.model_dump())}")
        self.progress.say(f"  {plan.summary()}")
        with self.progress.stage(f"network {name}: train on {entry.fit}") as advance:
            trained = fit(child, plan, dataset, recipe, seed=seed, advance=advance)
        if entry.starts_random:
            self._save_network(f"{name}.init", trained.start, wanted)
        facts = {
            "parent": entry.parent,
            "dataset": entry.fit,
            "recipe": {"name": entry.recipe, **recipe.model_dump()},
            "trained": plan.summary(),
            "best_epoch": trained.best_epoch,
        }
        self._save_network(name, trained.network, wanted, facts, trained)

    def _save_network(
        self,
        name: str,
        network: "Network",
        wanted: Manifest,
        facts: dict[str, Any] | None = None,
        trained: "Trained | None" = None,
    ) -> None:
        """Write a network with all its records, whole or not at all."""
        from overpaint.networks import describe, save_weights

        untrained = {"parent": None, "dataset": None, "recipe": None, "trained": None,
                     "best_epoch": None}  # fmt: skip
        with whole_folder(self.folder.network(name)) as draft:
            weights = save_weights(network, draft / "weights.safetensors")
            if trained and facts:
                write_rows(draft / "history.parquet", trained.history, EpochRow)
                self._score(network, facts["dataset"], self.study.seed_of(name), draft)
            described = {**describe(network), "weights": weights, **untrained, **(facts or {})}
            write_json(draft / "manifest.json", replace(wanted, facts=described))
        self.networks[name] = network

    def _score(self, network: "Network", dataset: str, seed: int, draft: Path) -> None:
        """Predict the test split, and score what was predicted."""
        from overpaint.training.fit import predict
        from overpaint.training.scores import prediction_table, score

        split = self.dataset(dataset).split("test")
        probabilities = predict(network, split)
        scores = score(
            probabilities, split.labels, split.classes, dataset=dataset, split="test", seed=seed
        )
        write_table(draft / "predictions.parquet", prediction_table(split, probabilities))
        write_json(draft / "scores.json", scores)

    def opened(self, name: str) -> "Network":
        """A network of the folder, opened once a run."""
        from overpaint.networks import open_network

        if name not in self.networks:
            self.networks[name] = open_network(self.folder.network(name))
        return self.networks[name]

    # --- features and comparisons ------------------------------------------------------------

    def features(self, name: str, split: Split) -> Path:
        """The features of a network on a split, made when the folder has none."""
        facts = read_manifest(self.folder.network(name)).facts
        path = self.folder.features(name, split.dataset, split.name)
        wanted = manifest(
            "features",
            inputs={"network": facts["weights"], "images": split.digest},
            settings={"layers": facts["layers"], "preprocessing": facts["preprocessing"],
                      "reduction": "mean"},
            seed=0,
        )  # fmt: skip
        if not fresh(path, wanted):
            from overpaint.features import store_features

            title = f"features of {name} on {split.dataset}/{split.name}"
            with self.progress.stage(title) as advance:
                store_features(self.opened(name), split, facts["layers"], path, wanted, advance)
        return path

    def splits_of(self, pair: Pair) -> tuple[Split, Split]:
        """The split for CKA and the split for maximal images."""
        name = self.study.dataset_of(pair)
        assert name is not None
        if pair.on:
            split = self.dataset(name).split(pair.on.split("/")[1])
            return split, split
        return self.dataset(name).split("test"), self.dataset(name).split("train")

    def comparison(self, pair: Pair) -> None:
        """Compare a pair, unless the folder has the comparison."""
        cka_split, maximal_split = self.splits_of(pair)
        place = self.folder.comparison(pair.before, pair.after)
        wanted = manifest(
            "comparison",
            inputs={
                "before": self.weights_digest(pair.before),
                "after": self.weights_digest(pair.after),
                "cka images": cka_split.digest,
                "maximal images": maximal_split.digest,
            },
            settings={"k": self.study.maximal_images, "render": self._choice()},
            seed=self.study.seed,
        )
        if fresh(place, wanted):
            return
        paths = {
            (side, split.name): self.features(name, split)
            for side, name in (("before", pair.before), ("after", pair.after))
            for split in {cka_split.name: cka_split, maximal_split.name: maximal_split}.values()
        }
        self._compare(pair, cka_split, maximal_split, paths, wanted)

    def _choice(self) -> dict[str, Any]:
        render = self.study.render
        return {"layers": render.layers, "channels": render.channels} if render else {}

    def _compare(
        self,
        pair: Pair,
        cka_split: Split,
        maximal_split: Split,
        paths: dict[tuple[str, str], Path],
        wanted: Manifest,
    ) -> None:
        from overpaint.comparison import choose_channels, tables
        from overpaint.features import read_features

        with self.progress.stage(f"compare {pair.before} with {pair.after}") as advance:
            made = tables(
                self.opened(pair.before),
                self.opened(pair.after),
                lambda side, layer, split: read_features(paths[side, split.name], layer),
                cka_split=cka_split,
                maximal_split=maximal_split,
                k=self.study.maximal_images,
                seed=self.study.seed,
                progress=advance,
            )
            with whole_folder(self.folder.comparison(pair.before, pair.after)) as draft:
                for name in ("layers", "weights", "channels", "maximal"):
                    write_table(draft / f"{name}.parquet", getattr(made, name))
                rows = read_rows(draft / "channels.parquet", ChannelRow)
                facts = {
                    "dataset": maximal_split.dataset,
                    "cka_split": cka_split.name,
                    "maximal_split": maximal_split.name,
                    "n_cka": len(cka_split),
                    "n_maximal": len(maximal_split),
                    "k": self.study.maximal_images,
                    "classes": len(maximal_split.classes),
                    "multi_label": maximal_split.multi_label,
                    "shown": choose_channels(rows, *self._wanted_channels(pair)),
                }
                write_json(draft / "manifest.json", replace(wanted, facts=facts))

    def _wanted_channels(self, pair: Pair) -> tuple[list[str], str | list[int]]:
        """The layers and channels of the study's `render`, as far as this pair has the layers."""
        render = self.study.render
        if render is None:
            return [], []
        layers = read_manifest(self.folder.network(pair.after)).facts["layers"]
        return [layer for layer in render.layers if layer in layers], render.channels

    # --- pictures ----------------------------------------------------------------------------

    @cached_property
    def shown(self) -> dict[str, dict[str, list[int]]]:
        """For each network and layer, the channels to draw: those chosen by any of its pairs."""
        units: dict[str, dict[str, list[int]]] = {}
        for pair in self.study.compare:
            facts = read_manifest(self.folder.comparison(pair.before, pair.after)).facts
            for layer, channel in facts["shown"]:
                for name in pair.pair:
                    channels = units.setdefault(name, {}).setdefault(layer, [])
                    channels += [] if channel in channels else [channel]
        return units

    def renderings(self) -> None:
        """Draw the chosen channels of each network, unless the folder has them."""
        if self.study.render is None:
            return
        for name, layers in self.shown.items():
            rows = []
            for layer, channels in layers.items():
                rows += self._rendered_layer(name, layer, sorted(channels))
            table_file = self.folder.renderings(name) / "renderings.parquet"
            if not table_file.is_file() or read_rows(table_file, RenderingRow) != rows:
                write_rows(table_file, rows, RenderingRow)

    def _rendered_layer(self, name: str, layer: str, channels: Sequence[int]) -> list[RenderingRow]:
        settings = self.study.render
        assert settings is not None
        place = self.folder.renderings(name) / layer
        wanted = manifest(
            "renderings",
            inputs={"network": self.weights_digest(name)},
            settings={"layer": layer, "channels": list(channels), "steps": settings.steps,
                      "size": settings.size},
            seed=self.study.seed,
        )  # fmt: skip
        if not fresh(place, wanted):
            self._render(name, layer, channels, wanted)
        return [RenderingRow(**row) for row in read_json(place / "manifest.json")["facts"]["rows"]]

    def _render(self, name: str, layer: str, channels: Sequence[int], wanted: Manifest) -> None:
        from overpaint.render import render

        settings = self.study.render
        assert settings is not None
        title = f"render {len(channels)} channels of {name} {layer}"
        with self.progress.stage(title) as advance:
            drawn = render(
                self.opened(name),
                layer,
                channels,
                steps=settings.steps,
                size=settings.size,
                seed=self.study.seed,
                progress=advance,
            )
        rows = []
        with whole_folder(self.folder.renderings(name) / layer) as draft:
            for each in drawn:
                Image.fromarray(each.image).save(draft / f"{each.channel}.png")
                rows.append({
                    "layer": layer, "channel": each.channel,
                    "objective_start": each.objective_start, "objective_end": each.objective_end,
                    "steps": each.steps, "size": settings.size, "seed": each.seed,
                    "status": each.status,
                })  # fmt: skip
            write_json(draft / "manifest.json", replace(wanted, facts={"rows": rows}))

    def thumbnails(self, pair: Pair) -> None:
        """Keep a small copy of each picture that the report shows."""
        place = self.folder.comparison(pair.before, pair.after)
        facts = read_manifest(place).facts
        frame = read_table(place / "maximal.parquet")
        units = {(layer, channel) for layer, channel in facts["shown"]}
        frame = frame[frame["rank"] <= SHOWN_IMAGES]
        wanted = [unit in units for unit in zip(frame["layer"], frame["channel"], strict=True)]
        root = self.dataset(facts["dataset"]).root
        for image, picture in {*zip(frame["image"][wanted], frame["digest"][wanted], strict=True)}:
            path = self.folder.thumbnail(facts["dataset"], picture)
            if not path.is_file():
                with whole_file(path) as draft:
                    draft.write_bytes(thumbnail(decode((root / image).read_bytes(), 112)))

    # --- the report --------------------------------------------------------------------------

    def report(self) -> Path:
        """Write the report, unless it was written from these very records."""
        from overpaint.report import build

        page = self.folder.site / "index.html"
        state = self.folder.root / "site.json"
        key = digest(self._record_digests())
        if page.is_file() and state.is_file() and read_json(state) == {"records": key}:
            return page
        with self.progress.stage("report"):
            page = build(self.folder.root)
        write_json(state, {"records": key})
        return page

    def _record_digests(self) -> dict[str, str]:
        root = self.folder.root
        paths = [self.folder.study, *root.glob("*/**/manifest.json"), *root.glob("*/*/scores.json")]
        own = {p.relative_to(root).as_posix(): file_digest(p) for p in sorted(paths)
               if self.folder.site not in p.parents}  # fmt: skip
        return {**own, **manifest("report", inputs={}, settings={}, seed=0).versions}

    def scores(self) -> dict[str, Scores]:
        """The scores of the trained networks."""
        found = {}
        for name in self.study.lineage():
            path = self.folder.network(name) / "scores.json"
            if path.is_file():
                found[name] = Scores.from_json(read_json(path))
        return found


def recipe_in_words(recipe: dict[str, Any]) -> str:
    """The effective settings in one line.

    >>> recipe_in_words({"epochs": 20, "flip": False})
    'epochs 20, flip no'
    """
    said = {True: "yes", False: "no"}
    return ", ".join(
        f"{key} {said[value] if isinstance(value, bool) else value}"
        for key, value in recipe.items()
    )
