"""The feature visualisations of a study's chosen channels; no mathematics.

Each visualisation is a PNG that carries the key of what it was drawn from and its row. So a run
that was stopped in the middle of a layer goes on with the channel where it was, and a study that
asks for more channels draws only these.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from overpaint.errors import RecordError
from overpaint.files import safe_name
from overpaint.pixels.images import read, shorter_side
from overpaint.records import (
    ComparisonFacts,
    LayerRenderingsFacts,
    Manifest,
    PairRenderingRow,
    RenderingRow,
    defaults_of,
    facts_of,
    manifest,
    picture_metadata,
    read_manifest,
    read_rows,
    read_table,
    with_facts,
    write_manifest,
    write_picture,
    write_rows,
)
from overpaint.records.belongings import is_named, is_picture, refuse_picture
from overpaint.run.comparisons import compared_pairs
from overpaint.run.workspace import Workspace
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

Kind = Literal["both", "only_after"]
KINDS: tuple[Kind, ...] = ("both", "only_after")
"""What is drawn of a pair: what both networks want, and what only the second."""


def keep_renderings(work: Workspace) -> None:
    """Draw the chosen channels of each network, unless the folder has them."""
    if work.study.render is None:
        return
    drawing = _drawing_of(work)
    for network, layers in drawing.chosen.items():
        for layer, channels in layers.items():
            _keep_layer(drawing, network, layer, sorted(channels))
        _keep_table(drawing, network)
    if work.study.render.together:
        for pair in drawing.pairs:
            _keep_pair(drawing, pair)


def awaited_renderings(work: Workspace) -> set[Path]:
    """Where renderings will lie of pairs that are to be compared first: a dry run does not know
    their channels.
    """
    render, folder = work.study.render, work.folder
    pairs = [] if render is None else compared_pairs(work)
    awaited: set[Path] = set()
    for pair in pairs:
        if render is None or work.is_there(folder.comparison(*pair.pair)):
            continue
        for name in pair.pair:
            awaited |= {folder.layer_renderings(name, layer) for layer in render.layers}
            awaited.add(folder.renderings(name) / "renderings.parquet")
        if render.together:
            awaited.add(folder.pair_renderings(*pair.pair))
    return awaited


@dataclass
class Drawing:
    """What all renderings of a study share: which channels, and how they are drawn."""

    work: Workspace
    settings: RenderEntry

    @cached_property
    def pairs(self) -> list[Pair]:
        """The pairs whose comparisons are there: a dry run knows the channels of no other."""
        folder = self.work.folder
        return [
            pair
            for pair in compared_pairs(self.work)
            if self.work.is_there(folder.comparison(*pair.pair))
        ]

    @cached_property
    def chosen(self) -> dict[str, dict[str, list[int]]]:
        """For each network and layer, the channels to draw: those chosen by any of its pairs."""
        units: dict[str, dict[str, list[int]]] = {}
        for pair in self.pairs:
            for layer, channel in self.chosen_by(pair):
                for name in pair.pair:
                    channels = units.setdefault(name, {}).setdefault(layer, [])
                    channels += [] if channel in channels else [channel]
        return units

    def chosen_by(self, pair: Pair) -> list[tuple[str, int]]:
        """The channels to draw of a pair, as its comparison chose them."""
        place = self.work.folder.comparison(*pair.pair)
        return facts_of(read_manifest(place), ComparisonFacts).shown

    def wanted(self, inputs: dict[str, str], **what: Any) -> Manifest:
        """What a picture, or a folder of them, would be drawn from now."""
        how = self.settings.model_dump(mode="json", exclude={"layers", "channels", "together"})
        if how["colours"] == "imagenet":
            how["colours"] = self.plain_colours
        measured = {
            f"{name} images": self.work.split_digest(name, "train")
            for name in (self.settings.colours, self.settings.spectrum)
            if name not in (None, "imagenet")
        }
        return manifest(
            "renderings",
            inputs=inputs | measured,
            settings=what | how,
            defaults={
                name: value for name, value in defaults_of(RenderEntry).items() if name in how
            },
            seed=self.work.study.seed,
        )

    @cached_property
    def setup(self) -> "Setup":
        """What is painted on, and what it must survive, as the study says."""
        from overpaint.render.colours import measured_colours
        from overpaint.render.setup import fourier, lucid, maco, pixel

        settings = self.settings
        colours: Any = self.plain_colours
        if settings.colours != "imagenet":
            colours = measured_colours(self._sample(settings.colours))
        if settings.canvas == "maco":
            assert settings.spectrum is not None
            return maco(self._sample(settings.spectrum), settings.size, colours=colours)
        canvas = {"fourier": fourier, "pixel": pixel}[settings.canvas](colours=colours)
        if settings.lucid_exact:
            return replace(lucid(colours=colours), paint=canvas.paint)
        return canvas

    @cached_property
    def plain_colours(self) -> str:
        """Grey where all networks that are drawn see one channel."""
        preprocessing = [self.work.network_facts(name).preprocessing for name in self.chosen]
        orders = {way.order for way in preprocessing if way}
        return "grey" if orders == {"grey"} else "imagenet"

    def _sample(self, dataset: str) -> "Iterator[NDArray[np.uint8]]":
        """Training pictures of a dataset, a sample of them if there are many."""
        import numpy as np

        root, images = self.work.datasets[dataset].root, self.work.split(dataset, "train").images
        order = generator(self.work.study.seed, "measured pictures", dataset)
        for row in sorted(order.permutation(len(images))[:MEASURED].tolist()):
            picture = read(root / images[row], self.settings.size)
            yield np.asarray(shorter_side(picture, self.settings.size, "bilinear"))

    @property
    def options(self) -> dict[str, Any]:
        """What `render` and `render_pair` are told of the loop."""
        return {
            "steps": self.settings.steps,
            "size": self.settings.size,
            "seed": self.work.study.seed,
            "setup": self.setup,
            "say": lambda text: self.work.progress.say(f"  {text}"),
        }


def _drawing_of(work: Workspace) -> Drawing:
    """What all renderings share, found once a run: colours may be measured on many pictures."""
    if work.drawing is None:
        assert work.study.render is not None
        work.drawing = Drawing(work, work.study.render)
    drawing: Drawing = work.drawing
    return drawing


# --- one network ---------------------------------------------------------------------------------


def _keep_layer(drawing: Drawing, network: str, layer: str, channels: Sequence[int]) -> None:
    work, place = drawing.work, drawing.work.folder.layer_renderings(network, layer)
    inputs = {"network": work.weights_digest(network)}
    wanted = drawing.wanted(inputs, layer=layer, channels=list(channels))

    def make() -> None:
        paths = {channel: place / f"{channel}.png" for channel in channels}
        keys = {
            channel: drawing.wanted(inputs, layer=layer, channel=channel).key
            for channel in channels
        }
        missing = [channel for channel in channels if _key_of(paths[channel]) != keys[channel]]
        if missing:
            _refuse_others({paths[channel] for channel in missing}, _pictures_listed(place))
            missing_keys = {channel: keys[channel] for channel in missing}
            work.processes.together(work, _draw_layer, network, layer, missing_keys)
        metadata = [picture_metadata(path) for path in paths.values()]
        rows = [RenderingRow(**of_picture["row"]) for of_picture in metadata if of_picture]
        _remove_others(place, paths.values())
        # As the pictures tell it: some may be of a run that was stopped in the middle of the layer.
        devices = dict.fromkeys(of_picture.get("device") for of_picture in metadata if of_picture)
        drawn_on = "; ".join(filter(None, devices))
        facts = LayerRenderingsFacts(rows=rows)
        write_manifest(place, with_facts(wanted, facts, device=drawn_on))

    work.keep(place, wanted, make)


def _draw_layer(work: Workspace, network: str, layer: str, keys: dict[int, str]) -> None:
    """Draw this process's part of channels of a layer, and keep each at once with its key."""
    from overpaint.device import chosen, has_bfloat16, in_words
    from overpaint.render import render

    channels = work.processes.share(list(keys))
    if not channels:
        return
    drawing = _drawing_of(work)
    place = drawing.work.folder.layer_renderings(network, layer)
    device = chosen().device
    drawn_on = in_words(device, half=has_bfloat16(device))

    def keep_picture(rendering: "Rendering") -> None:
        assert rendering.channel is not None
        row = RenderingRow(
            layer=layer,
            channel=rendering.channel,
            objective_start=_finite(rendering.objective_start),
            objective_end=_finite(rendering.objective_end),
            steps=rendering.steps,
            size=drawing.settings.size,
            seed=rendering.seed,
            status=rendering.status,
            attempts=rendering.attempts,
        )
        metadata = {"key": keys[rendering.channel], "row": asdict(row), "device": drawn_on}
        write_picture(place / f"{rendering.channel}.png", rendering.image, metadata)

    title = f"render {len(keys)} channels of {network} {layer}"
    with work.progress.stage(title) as advance:
        render(
            work.opened(network),
            layer,
            channels,
            progress=advance,
            drawn=keep_picture,
            **drawing.options,
        )


def _keep_table(drawing: Drawing, network: str) -> None:
    """The rows of a network's renderings, each with the best picture of its channel in the first
    pair that shows it.
    """
    work, place = drawing.work, drawing.work.folder.renderings(network)
    path, layers = place / "renderings.parquet", list(drawing.chosen[network])
    pairs = [pair for pair in drawing.pairs if network in pair.pair]
    comparisons = {
        "--".join(pair.pair): work.artefact_key(work.folder.comparison(*pair.pair))
        for pair in pairs
    }
    wanted = manifest(
        "renderings",
        inputs={
            layer: work.artefact_key(work.folder.layer_renderings(network, layer))
            for layer in layers
        }
        | comparisons,
        settings={"table": network},
        seed=work.study.seed,
    )

    def make() -> None:
        best: dict[tuple[str, int], tuple[str, float]] = {}
        for pair in reversed(pairs):
            maximal = read_table(work.folder.comparison(*pair.pair) / "maximal.parquet")
            maximal = maximal[maximal["rank"] == 1]
            for side, name in zip(("before", "after"), pair.pair, strict=True):
                if name == network:
                    first = maximal[maximal["network"] == side]
                    units = zip(first["layer"], first["channel"].astype(int), strict=True)
                    values = zip(first["image"], first["value"].astype(float), strict=True)
                    best |= dict(zip(units, values, strict=True))
        rows = [
            _beside(row, best.get((row.layer, row.channel)))
            for layer in layers
            for row in facts_of(
                read_manifest(work.folder.layer_renderings(network, layer)), LayerRenderingsFacts
            ).rows
        ]
        write_rows(path, rows, RenderingRow)
        write_manifest(path, wanted)

    work.keep(path, wanted, make)


def _beside(row: RenderingRow, best: tuple[str, float] | None) -> RenderingRow:
    """A row with the picture that most excites its channel, and how the two compare."""
    if best is None:
        return row
    image, value = best
    reached = row.objective_end
    ratio = reached / value if reached is not None and value > 0 else None
    return replace(row, best_image=image, best_value=value, ratio=ratio)


# --- two networks --------------------------------------------------------------------------------


def _keep_pair(drawing: Drawing, pair: Pair) -> None:
    work, place = drawing.work, drawing.work.folder.pair_renderings(*pair.pair)
    inputs = {
        side: work.weights_digest(name)
        for side, name in zip(("before", "after"), pair.pair, strict=True)
    }
    chosen = drawing.chosen_by(pair)
    wanted = drawing.wanted(inputs, shown=[list(unit) for unit in chosen])

    def make() -> None:
        rows = []
        for layer in dict.fromkeys(layer for layer, _ in chosen):
            channels = sorted(channel for of_layer, channel in chosen if of_layer == layer)
            paths: list[Path] = []
            for kind in KINDS:
                below = place / safe_name(layer)
                pictures = {channel: below / f"{channel}-{kind}.png" for channel in channels}
                keys = {
                    channel: drawing.wanted(inputs, layer=layer, channel=channel, wants=kind).key
                    for channel in channels
                }
                missing = [channel for channel in channels
                           if _key_of(pictures[channel]) != keys[channel]]  # fmt: skip
                if missing:
                    _refuse_others(
                        {pictures[channel] for channel in missing}, _pictures_listed(place)
                    )
                    missing_keys = {channel: keys[channel] for channel in missing}
                    work.processes.together(work, _draw_pair, pair, layer, kind, missing_keys)
                paths += pictures.values()
            rows += [PairRenderingRow(**(picture_metadata(path) or {})["row"]) for path in paths]
            _remove_others(place / safe_name(layer), paths)
        write_rows(place / "renderings.parquet", rows, PairRenderingRow)
        write_manifest(place, wanted)

    work.keep(place, wanted, make)


def _draw_pair(work: Workspace, pair: Pair, layer: str, kind: Kind, keys: dict[int, str]) -> None:
    from overpaint.render import render_pair

    channels = work.processes.share(list(keys))
    if not channels:
        return
    drawing = _drawing_of(work)
    place = work.folder.pair_renderings(*pair.pair) / safe_name(layer)

    def keep_picture(rendering: "PairRendering") -> None:
        row = PairRenderingRow(
            layer=layer,
            channel=rendering.channel,
            kind=kind,
            before=_finite(rendering.before),
            after=_finite(rendering.after),
            reach_before=rendering.reach_before,
            reach_after=rendering.reach_after,
            steps=rendering.steps,
            size=drawing.settings.size,
            seed=rendering.seed,
            status=rendering.status,
        )
        metadata = {"key": keys[rendering.channel], "row": asdict(row)}
        write_picture(place / f"{rendering.channel}-{kind}.png", rendering.image, metadata)

    before, after = (_reach(work, name, layer) for name in pair.pair)
    title = f"render {len(keys)} channels of {' and '.join(pair.pair)} {layer}, {kind}"
    with work.progress.stage(title) as advance:
        render_pair(
            work.opened(pair.before),
            work.opened(pair.after),
            layer,
            channels,
            kind=kind,
            reach=[(before.get(channel), after.get(channel)) for channel in channels],
            progress=advance,
            drawn=keep_picture,
            **drawing.options,
        )


def _reach(work: Workspace, network: str, layer: str) -> dict[int, float]:
    """What the channels of a layer reach on renderings of their own that show something."""
    rows = read_rows(work.folder.renderings(network) / "renderings.parquet", RenderingRow)
    return {
        row.channel: row.objective_end
        for row in rows
        if (row.layer, row.status) == (layer, "ok") and row.objective_end and row.objective_end > 0
    }


# --- files ---------------------------------------------------------------------------------------


def _key_of(path: Path) -> str | None:
    """The key of what a picture was drawn from, if it is whole."""
    metadata = picture_metadata(path)
    return str(metadata["key"]) if metadata and metadata.keys() >= {"key", "row"} else None


def _pictures_listed(place: Path) -> set[Path]:
    """The pictures that the manifest of a layer, or the table of a pair, says were drawn."""
    with suppress(RecordError):
        facts = facts_of(read_manifest(place), LayerRenderingsFacts)
        return {place / f"{row.channel}.png" for row in facts.rows}
    with suppress(RecordError, TypeError):
        rows = read_rows(place / "renderings.parquet", PairRenderingRow)
        return {place / safe_name(row.layer) / f"{row.channel}-{row.kind}.png" for row in rows}
    return set()


def _refuse_others(paths: Iterable[Path], listed: Collection[Path]) -> None:
    """Refuse to draw where a picture of somebody else's lies."""
    for path in paths:
        if path not in listed:
            refuse_picture(path)


def _remove_others(place: Path, paths: Iterable[Path]) -> None:
    """Remove the pictures of ours that a folder no longer has to show."""
    names = {path.name for path in paths}
    for path in place.glob("*.png"):
        if path.name not in names and is_named("renderings", path.name) and is_picture(path):
            path.unlink()


def _finite(value: float) -> float | None:
    """What is no number is not there; the status tells of it."""
    return value if math.isfinite(value) else None
