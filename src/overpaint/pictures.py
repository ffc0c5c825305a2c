"""Pictures: the feature visualisations of a study's chosen channels, and thumbnails; no
mathematics.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

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

SHOWN_IMAGES = 12
"""Maximal images of a chosen channel that the report shows of each network."""


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
        """Keep a small copy of each picture that the report shows."""
        place = self.lineage.folder.comparison(pair.before, pair.after)
        facts = read_manifest(place).facts
        frame = read_table(place / "maximal.parquet")
        units = {(layer, channel) for layer, channel in facts["shown"]}
        frame = frame[frame["rank"] <= SHOWN_IMAGES]
        wanted = [unit in units for unit in zip(frame["layer"], frame["channel"], strict=True)]
        root = self.lineage.dataset(facts["dataset"]).root
        for image, picture in {*zip(frame["image"][wanted], frame["digest"][wanted], strict=True)}:
            path = self.lineage.folder.thumbnail(facts["dataset"], picture)
            if not path.is_file():
                with whole_file(path) as draft:
                    draft.write_bytes(thumbnail(decode((root / image).read_bytes(), 112)))
