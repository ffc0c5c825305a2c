"""Pictures: the feature visualisations of a study's chosen channels; no mathematics.

Each visualisation is a PNG that carries what it was drawn from and what came of it. So a run that
was stopped in the middle of a layer goes on with the channel where it was, and a study that asks
for more channels draws only these.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from overpaint.errors import RecordError
from overpaint.pixels.images import read, shorter_side
from overpaint.records import (
    Manifest,
    PairRenderingRow,
    RenderingRow,
    fresh,
    manifest,
    read_manifest,
    read_rows,
    read_table,
    told_by_picture,
    write_json,
    write_picture,
    write_rows,
)
from overpaint.run.lineage import Lineage
from overpaint.seeds import generator
from overpaint.study import Pair
from overpaint.study.model import RenderEntry

if TYPE_CHECKING:  # torch is imported when something has to be drawn
    import numpy as np
    from numpy.typing import NDArray

    from overpaint.render.pair import PairRendering
    from overpaint.render.rendering import Rendering
    from overpaint.render.setup import Setup

MEASURED = 1000
"""Pictures of a dataset, at most, that colours and waves are measured on."""

KINDS = ("both", "only_after")
"""What is drawn of a pair: what both networks want, and what only the second."""


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
            for layer, channel in self._shown_by(pair):
                for name in pair.pair:
                    channels = units.setdefault(name, {}).setdefault(layer, [])
                    channels += [] if channel in channels else [channel]
        return units

    def _shown_by(self, pair: Pair) -> list[tuple[str, int]]:
        facts = read_manifest(self.lineage.folder.comparison(pair.before, pair.after)).facts
        return [(layer, channel) for layer, channel in facts["shown"]]

    def renderings(self) -> None:
        """Draw the chosen channels of each network, unless the folder has them."""
        if self.lineage.study.render is None:
            return
        for name, layers in self.shown.items():
            rows = []
            for layer, channels in layers.items():
                rows += self._drawn_layer(name, layer, sorted(channels))
            self._write(
                self.lineage.folder.renderings(name) / "renderings.parquet",
                self._beside_pictures(name, rows),
                RenderingRow,
            )
        if self.lineage.study.render.together:
            for pair in self.pairs:
                self._drawn_pair(pair)

    @staticmethod
    def _write(path: Path, rows: Sequence[Any], row: type) -> None:
        try:
            same = read_rows(path, row) == rows
        except RecordError:
            same = False
        if not same:
            write_rows(path, rows, row)

    # --- one network -------------------------------------------------------------------------

    def _drawn_layer(self, name: str, layer: str, channels: Sequence[int]) -> list[RenderingRow]:
        place = self.lineage.folder.renderings(name) / layer
        inputs = {"network": self.lineage.weights_digest(name)}
        wanted = self._manifest("renderings", inputs, layer=layer, channels=list(channels))
        if not fresh(place, wanted):
            keys = {
                channel: self._manifest("rendering", inputs, layer=layer, channel=channel).key
                for channel in channels
            }
            self._draw(name, layer, place, keys)
            told = [told_by_picture(place / f"{channel}.png") for channel in channels]
            rows = [each["row"] for each in told if each]
            _only({f"{channel}.png" for channel in channels}, place)
            write_json(place / "manifest.json", replace(wanted, facts={"rows": rows}))
        return [RenderingRow(**row) for row in read_manifest(place).facts["rows"]]

    def _draw(self, name: str, layer: str, place: Path, keys: dict[int, str]) -> None:
        """Draw the channels of a layer that are not there yet, and keep each at once."""
        from overpaint.render import render

        missing = [each for each, key in keys.items() if _key_of(place / f"{each}.png") != key]
        if not missing:
            return

        def keep(each: "Rendering") -> None:
            assert each.channel is not None
            row = RenderingRow(
                layer, each.channel, _number(each.objective_start), _number(each.objective_end),
                each.steps, self._settings.size, each.seed, each.status, each.attempts,
            )  # fmt: skip
            told = {"key": keys[each.channel], "row": asdict(row)}
            write_picture(place / f"{each.channel}.png", each.image, told)

        title = f"render {len(missing)} channels of {name} {layer}"
        with self.lineage.progress.stage(title) as advance:
            render(
                self.lineage.opened(name), layer, missing,
                steps=self._settings.steps, size=self._settings.size,
                seed=self.lineage.study.seed, setup=self._setup, progress=advance,
                say=self._say, drawn=keep,
            )  # fmt: skip

    def _beside_pictures(self, name: str, rows: Sequence[RenderingRow]) -> list[RenderingRow]:
        """The rows with the best picture of each channel in the first pair that shows it."""
        best: dict[tuple[str, int], tuple[str, float]] = {}
        for pair in reversed(self.pairs):
            for number, side in enumerate(("before", "after")):
                if pair.pair[number] == name:
                    best |= self._best_pictures(pair, side)
        return [_beside(row, best.get((row.layer, row.channel))) for row in rows]

    def _best_pictures(self, pair: Pair, side: str) -> dict[tuple[str, int], tuple[str, float]]:
        frame = self._maximal(pair)
        frame = frame[(frame["rank"] == 1) & (frame["network"] == side)]
        units = zip(frame["layer"], frame["channel"].astype(int), strict=True)
        values = zip(frame["image"], frame["value"].astype(float), strict=True)
        return dict(zip(units, values, strict=True))

    def _maximal(self, pair: Pair) -> pd.DataFrame:
        return read_table(
            self.lineage.folder.comparison(pair.before, pair.after) / "maximal.parquet"
        )

    # --- two networks ------------------------------------------------------------------------

    def _drawn_pair(self, pair: Pair) -> None:
        place = self.lineage.folder.pair_renderings(pair.before, pair.after)
        inputs = {
            side: self.lineage.weights_digest(name)
            for side, name in zip(("before", "after"), pair.pair, strict=True)
        }
        shown = self._shown_by(pair)
        wanted = self._manifest("pair renderings", inputs, shown=shown)
        if fresh(place, wanted):
            return
        files = {}
        for layer in dict.fromkeys(layer for layer, _ in shown):
            channels = sorted(channel for each, channel in shown if each == layer)
            for kind in KINDS:
                keys = {
                    channel: self._manifest(
                        "pair rendering", inputs, layer=layer, channel=channel, wants=kind
                    ).key
                    for channel in channels
                }
                self._draw_pair(pair, layer, kind, place / layer, keys)
                for channel in channels:
                    path = place / layer / f"{channel}-{kind}.png"
                    files[path] = PairRenderingRow(**(told_by_picture(path) or {})["row"])
            _only({path.name for path in files if path.parent.name == layer}, place / layer)
        self._write(place / "renderings.parquet", list(files.values()), PairRenderingRow)
        write_json(place / "manifest.json", wanted)

    def _draw_pair(
        self, pair: Pair, layer: str, kind: Any, place: Path, keys: dict[int, str]
    ) -> None:
        from overpaint.render import render_pair

        missing = [
            each for each, key in keys.items() if _key_of(place / f"{each}-{kind}.png") != key
        ]
        if not missing:
            return

        def keep(each: "PairRendering") -> None:
            row = PairRenderingRow(
                layer, each.channel, kind, _number(each.before), _number(each.after),
                each.reach_before, each.reach_after, each.steps, self._settings.size, each.seed,
                each.status,
            )  # fmt: skip
            told = {"key": keys[each.channel], "row": asdict(row)}
            write_picture(place / f"{each.channel}-{kind}.png", each.image, told)

        reach = [self._reach(name, layer) for name in pair.pair]
        title = f"render {len(missing)} channels of {' and '.join(pair.pair)} {layer}, {kind}"
        before, after = (self.lineage.opened(name) for name in pair.pair)
        with self.lineage.progress.stage(title) as advance:
            render_pair(
                before, after, layer, missing, kind=kind,
                reach=[(reach[0].get(each), reach[1].get(each)) for each in missing],
                steps=self._settings.steps, size=self._settings.size,
                seed=self.lineage.study.seed, setup=self._setup, progress=advance,
                say=self._say, drawn=keep,
            )  # fmt: skip

    def _reach(self, name: str, layer: str) -> dict[int, float]:
        """What the channels of a layer reach on renderings of their own that show something."""
        rows = read_rows(self.lineage.folder.renderings(name) / "renderings.parquet", RenderingRow)
        good = {row.channel: row.objective_end for row in rows
                if row.layer == layer and row.status == "ok"}  # fmt: skip
        return {channel: value for channel, value in good.items() if value and value > 0}

    # --- how ---------------------------------------------------------------------------------

    @property
    def _settings(self) -> RenderEntry:
        assert self.lineage.study.render is not None
        return self.lineage.study.render

    def _manifest(self, kind: str, inputs: dict[str, str], **what: Any) -> Manifest:
        """What a picture, or a folder of them, would be drawn from now."""
        how = self._settings.model_dump(exclude={"layers", "channels", "together"})
        if how["colours"] == "imagenet":
            how["colours"] = self._plain_colours
        measured = {
            f"{name} images": self.lineage.dataset(name).split("train").digest
            for name in self._measured
        }
        return manifest(
            kind, inputs=inputs | measured, settings=what | how, seed=self.lineage.study.seed
        )

    @property
    def _measured(self) -> list[str]:
        """The datasets that colours and waves are measured on."""
        named = (self._settings.colours, self._settings.spectrum)
        return [name for name in named if name not in (None, "imagenet")]

    @cached_property
    def _setup(self) -> "Setup":
        from overpaint.render.colours import measured_colours
        from overpaint.render.setup import fourier, lucid, maco, pixel

        settings = self._settings
        named = settings.colours != "imagenet"
        colours: Any = self._plain_colours
        if named:
            colours = measured_colours(self._sample(settings.colours))
        if settings.canvas == "maco":
            assert settings.spectrum is not None
            return maco(self._sample(settings.spectrum), settings.size, colours=colours)
        canvas = {"fourier": fourier, "pixel": pixel}[settings.canvas](colours=colours)
        if settings.lucid_exact:
            return replace(lucid(colours=colours), paint=canvas.paint)
        return canvas

    @cached_property
    def _plain_colours(self) -> str:
        """Grey where all networks that are drawn see one channel."""
        orders = {
            read_manifest(self.lineage.folder.network(name)).facts["preprocessing"]["order"]
            for name in self.shown
        }
        return "grey" if orders == {"grey"} else "imagenet"

    def _sample(self, dataset: str) -> "Iterator[NDArray[np.uint8]]":
        """Training pictures of a dataset, a sample of them if there are many."""
        import numpy as np

        opened = self.lineage.dataset(dataset)
        images = opened.split("train").images
        order = generator(self.lineage.study.seed, "measured pictures", dataset)
        for row in sorted(order.permutation(len(images))[:MEASURED].tolist()):
            picture = read(opened.root / images[row], self._settings.size)
            yield np.asarray(shorter_side(picture, self._settings.size, "bilinear"))

    @property
    def _say(self) -> Callable[[str], None]:
        return lambda text: self.lineage.progress.say(f"  {text}")


# --- details -------------------------------------------------------------------------------------


def _key_of(path: Path) -> str | None:
    """The key of what a picture was drawn from, if it is whole."""
    told = told_by_picture(path)
    known = {"key", "row"} if told else None
    return str(told["key"]) if told and known == told.keys() else None


def _only(names: set[str], place: Path) -> None:
    """Remove the pictures that a folder no longer has to show."""
    for path in place.glob("*.png"):
        if path.name not in names:
            path.unlink()


def _number(value: float) -> float | None:
    """What is no number is not there; the status tells of it."""
    return value if math.isfinite(value) else None


def _beside(row: RenderingRow, best: tuple[str, float] | None) -> RenderingRow:
    """A row with the picture that most excites its channel, and how the two compare."""
    if best is None:
        return row
    image, value = best
    reached = row.objective_end
    ratio = reached / value if reached is not None and value > 0 else None
    return replace(row, best_image=image, best_value=value, ratio=ratio)
