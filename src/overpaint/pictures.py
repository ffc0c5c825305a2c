"""Pictures: the feature visualisations of a study's chosen channels, and thumbnails; no
mathematics.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

from overpaint.images import decode, thumbnail
from overpaint.lineage import Lineage
from overpaint.records import (
    Manifest,
    RenderingRow,
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
)
from overpaint.study import Pair
from overpaint.surest import surest

WORKERS = os.cpu_count() or 1
"""Threads that decode: Pillow lets go of the interpreter while it does."""

SHOWN_IMAGES = 100
"""Maximal images of a channel that the report shows of each network at most."""

SIDE = 112
"""Pixels of the longer side of a thumbnail."""


@dataclass
class Pictures:
    """What of a lineage's compared pairs is drawn and kept for the report."""

    lineage: Lineage
    pairs: Sequence[Pair]

    @cached_property
    def shown(self) -> dict[str, dict[str, list[int]]]:
        """For each network and layer, the channels to draw: those chosen by any of its pairs."""
        units: dict[str, dict[str, list[int]]] = {}
        for pair in self.pairs:
            facts = read_manifest(self.lineage.folder.comparison(pair.before, pair.after)).facts
            for layer, channel in facts["shown"]:
                for name in pair.pair:
                    channels = units.setdefault(name, {}).setdefault(layer, [])
                    channels += [] if channel in channels else [channel]
        return units

    def renderings(self) -> None:
        """Draw the chosen channels of each network, unless the folder has them."""
        if self.lineage.study.render is None:
            return
        for name, layers in self.shown.items():
            rows = []
            for layer, channels in layers.items():
                rows += self._rendered_layer(name, layer, sorted(channels))
            table_file = self.lineage.folder.renderings(name) / "renderings.parquet"
            if not table_file.is_file() or read_rows(table_file, RenderingRow) != rows:
                write_rows(table_file, rows, RenderingRow)

    def _rendered_layer(self, name: str, layer: str, channels: Sequence[int]) -> list[RenderingRow]:
        settings = self.lineage.study.render
        assert settings is not None
        place = self.lineage.folder.renderings(name) / layer
        wanted = manifest(
            "renderings",
            inputs={"network": self.lineage.weights_digest(name)},
            settings={"layer": layer, "channels": list(channels), "steps": settings.steps,
                      "size": settings.size},
            seed=self.lineage.study.seed,
        )  # fmt: skip
        if not fresh(place, wanted):
            self._render(name, layer, channels, wanted)
        return [RenderingRow(**row) for row in read_json(place / "manifest.json")["facts"]["rows"]]

    def _render(self, name: str, layer: str, channels: Sequence[int], wanted: Manifest) -> None:
        from overpaint.render import render

        settings = self.lineage.study.render
        assert settings is not None
        title = f"render {len(channels)} channels of {name} {layer}"
        with self.lineage.progress.stage(title) as advance:
            drawn = render(
                self.lineage.opened(name),
                layer,
                channels,
                steps=settings.steps,
                size=settings.size,
                seed=self.lineage.study.seed,
                progress=advance,
            )
        rows = []
        with whole_folder(self.lineage.folder.renderings(name) / layer) as draft:
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
        """Keep a small copy of each maximal image that the report shows of a pair."""
        place = self.lineage.folder.comparison(pair.before, pair.after)
        found = pq.read_table(
            place / "maximal.parquet",
            columns=["image", "digest"],
            filters=[("rank", "<=", SHOWN_IMAGES)],
        )
        wanted = found.group_by(["image", "digest"]).aggregate([]).to_pydict()
        pictures = dict(zip(wanted["image"], wanted["digest"], strict=True))
        self._keep(read_manifest(place).facts["dataset"], pictures)

    def surest_of(self, name: str) -> None:
        """Keep a small copy of the pictures that a trained network is surest of."""
        fit = self.lineage.study.every[name].fit
        if fit is None:
            return
        predictions = read_table(self.lineage.folder.network(name) / "predictions.parquet")
        images = {guess.image for guesses in surest(predictions) for guess in guesses}
        test = self.lineage.dataset(fit).split("test").pictures
        self._keep(fit, {each.image: each.digest for each in test if each.image in images})

    def _keep(self, dataset: str, pictures: dict[str, str]) -> None:
        """Keep small copies of pictures, image -> digest, unless the folder has them."""
        folder, root = self.lineage.folder, self.lineage.dataset(dataset).root
        there = {path.name for path in folder.thumbnails(dataset).glob("*.jpg")}
        paths = {image: folder.thumbnail(dataset, digest) for image, digest in pictures.items()}
        lacking = {image: path for image, path in paths.items() if path.name not in there}
        if not lacking:
            return
        title = f"{len(lacking)} thumbnails of {dataset}"
        with self.lineage.progress.stage(title) as advance, ThreadPoolExecutor(WORKERS) as pool:
            small = pool.map(lambda image: _small(root / image), lacking)
            for done, (path, data) in enumerate(zip(lacking.values(), small, strict=True), start=1):
                with whole_file(path) as draft:
                    draft.write_bytes(data)
                advance(done, len(lacking))


def _small(path: Path) -> bytes:
    return thumbnail(decode(path.read_bytes(), SIDE), SIDE)
