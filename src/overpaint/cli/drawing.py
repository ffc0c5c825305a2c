"""Drawing: what `overpaint render` draws, outside any study; torch is imported to draw.

>>> units("mixed4d:164,450-452")
('mixed4d', [164, 450, 451, 452])
>>> units("mixed4d")
('mixed4d', None)
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from overpaint.defaults import DREAM_STEPS, RENDER_SIZE, RENDER_STEPS
from overpaint.errors import NetworkError, shortened
from overpaint.files import safe_name
from overpaint.machine import check_writable
from overpaint.pixels.images import (
    MOVIES,
    SUFFIXES,
    encoded,
    movie,
    read,
    readable_below,
    sheet,
    shorter_side,
    signed,
)
from overpaint.progress import Progressing
from overpaint.records import whole_file, write_picture
from overpaint.records.belongings import refuse_link, refuse_picture
from overpaint.records.drafts import sweep

if TYPE_CHECKING:
    from overpaint.networks import Network
    from overpaint.render.rendering import Rendering
    from overpaint.render.setup import Setup

FRAMES = 48
"""Of a movie."""

CHANNELS = 100_000
"""Of a layer, at most."""

LARGEST = 512
"""The shorter side of a picture to dream on, unless a size is given."""


def units(text: str) -> tuple[str, list[int] | None]:
    """A layer and its channels from "mixed4d:164,450-460"; None for all of them.

    Raises NetworkError for what cannot be read.
    """
    layer, colon, numbers = text.partition(":")
    if not colon and layer:
        return layer, None
    channels: list[int] = []
    for part in numbers.split(","):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not layer or first > last:
            raise NetworkError(
                "not-a-unit", f"{text!r} names no channels; write mixed4d:164,450-460, or mixed4d"
            )
        if len(channels) + last - first >= CHANNELS:
            raise NetworkError(
                "not-a-unit",
                f"{shortened(text, 100)!r} names more than {CHANNELS:,} channels: no layer has so "
                "many; all of a layer are LAYER alone",
            )
        channels += range(first, last + 1)
    return layer, list(dict.fromkeys(channels))


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What to draw from noise, how, and where to put it."""

    network: str
    units: Sequence[str]
    out: Path | None
    steps: int | None
    size: int | None
    seed: int
    canvas: str
    spectrum: Path | None
    sheet: Path | None
    movie: Path | None
    code: Path | None = None  # where own code lies, if it may be run

    def draw(self, progress: Progressing) -> list[Path]:
        """Draw all, and return the files written."""
        layers = [units(text) for text in self.units]
        self._check()
        for path in (self.sheet, self.movie, self._folder and self._folder / "picture.png"):
            if path:
                check_writable(path)
        from overpaint.networks import load
        from overpaint.networks.taps import taps

        with progress.stage(f"open {self.network}"):
            network = load(self.network, code=self.code)
        with taps(network, [layer for layer, _ in layers]):
            pass  # a typo in the last layer is found before the first is drawn
        if self._folder:
            for layer, channels in layers:
                folder = self._folder / safe_name(layer)
                refuse_link(folder)
                sweep(folder, deep=False)  # of drawings that were killed
                for path in folder.glob("*.png"):
                    if channels is None or path.stem in map(str, channels):
                        refuse_picture(path)
        renderings: list[Rendering] = []
        setup = self._setup(progress)
        for layer, channels in layers:
            renderings += self._layer(network, layer, channels, setup, progress)
        for rendering in renderings:
            if rendering.status != "ok":
                progress.say(f"  {rendering.name}: {rendering.status}")
        files = [self._path(rendering) for rendering in renderings] if self._folder else []
        return [*files, *self._save_together(renderings)]

    def _check(self) -> None:
        for file in filter(None, (self.sheet, self.movie)):
            refuse_picture(file)
        if self.movie and self.movie.suffix.lower() not in MOVIES:
            raise NetworkError("no-movie", f"{self.movie} is no movie: end its name in .gif, .webp")
        if self.sheet and self.sheet.suffix.lower() not in SUFFIXES:
            raise NetworkError(
                "no-sheet", f"{self.sheet} is no picture: end its name in .png, .jpg"
            )
        for file in filter(None, (self.sheet, self.movie)):
            if file.is_dir():
                raise NetworkError("no-sheet", f"{file} is a folder: give the name of a file")
        if (self.canvas == "maco") != (self.spectrum is not None):
            raise NetworkError(
                "no-spectrum", "maco takes its waves from a folder of pictures: --spectrum FOLDER"
            )

    def _layer(
        self,
        network: "Network",
        layer: str,
        channels: list[int] | None,
        setup: "str | Setup",
        progress: Progressing,
    ) -> "list[Rendering]":
        from overpaint.render import render

        with progress.stage(f"render {self.network} {layer}") as advance:
            return render(
                network, layer, channels, steps=self.steps or RENDER_STEPS,
                size=self.size or RENDER_SIZE, seed=self.seed, setup=setup,
                frames=FRAMES if self.movie else 0, progress=advance, say=progress.say,
                drawn=self._save,
            )  # fmt: skip

    def _setup(self, progress: Progressing) -> "str | Setup":
        if self.spectrum is None:
            return self.canvas
        from overpaint.render.setup import maco

        side = self.size or RENDER_SIZE
        pictures = readable_below(self.spectrum, side, progress.say)
        return maco(
            (np.asarray(shorter_side(picture, side, "bilinear")) for picture in pictures), side
        )

    @property
    def _folder(self) -> Path | None:
        """Where each picture goes; nowhere if only a sheet or a movie is wanted."""
        return self.out or (None if self.sheet or self.movie else Path("renderings"))

    def _save(self, rendering: "Rendering") -> None:
        """Write a picture as soon as it is final, so that nothing is lost."""
        if self._folder is None:
            return
        row = {
            "network": self.network, "layer": rendering.layer, "channel": rendering.channel,
            "objective_start": rendering.objective_start,
            "objective_end": rendering.objective_end,
            "steps": rendering.steps, "seed": rendering.seed, "status": rendering.status,
        }  # fmt: skip
        refuse_picture(self._path(rendering))
        write_picture(self._path(rendering), rendering.image, {"row": row})

    def _path(self, rendering: "Rendering") -> Path:
        assert self._folder is not None
        return self._folder / safe_name(rendering.layer) / f"{rendering.channel}.png"

    def _save_together(self, renderings: "Sequence[Rendering]") -> list[Path]:
        """Write the contact sheet and the movie, as far as they are wanted."""
        names = [rendering.name for rendering in renderings]
        if self.sheet:
            with whole_file(self.sheet) as draft:
                kind = Image.registered_extensions()[self.sheet.suffix.lower()]
                pictures = [Image.fromarray(rendering.image) for rendering in renderings]
                together = sheet(pictures, names)
                draft.write_bytes(encoded(together, kind, quality=88, **signed(self.sheet.suffix)))
        if self.movie:
            films = zip(*(rendering.frames for rendering in renderings), strict=True)
            frames = [sheet([Image.fromarray(frame) for frame in film], names) for film in films]
            with whole_file(self.movie) as draft:
                movie(frames, draft, self.movie.suffix)
        return [path for path in (self.sheet, self.movie) if path]


@dataclass(frozen=True, kw_only=True)
class Dream:
    """A picture to change, what into, and where to put it."""

    network: str
    units: Sequence[str]
    picture: Path
    out: Path | None
    steps: int | None
    size: int | None
    octaves: int
    code: Path | None = None  # where own code lies, if it may be run

    def draw(self, progress: Progressing) -> list[Path]:
        """Change the picture for each unit, and return the files written.

        A layer without channels is raised as a whole.
        """
        layers = [units(text) for text in self.units]
        opened = read(self.picture)
        check_writable((self.out or Path("renderings")) / "picture.png")
        side = self.size or min(LARGEST, *opened.size)
        pixels = np.asarray(shorter_side(opened, side, "lanczos"))
        from overpaint.networks import load
        from overpaint.render import dream
        from overpaint.render.objectives import channel, deepdream

        whole: list[int | None] = [None]
        goals = [(layer, index) for layer, channels in layers for index in channels or whole]
        for layer, index in goals:
            refuse_picture(self._path(layer, index))
        with progress.stage(f"open {self.network}"):
            network = load(self.network, code=self.code)
        files = []
        for layer, index in goals:
            name = layer if index is None else f"{layer}:{index}"
            objective = deepdream(layer) if index is None else channel(layer, index)
            with progress.stage(f"dream of {name} on {self.picture.name}") as advance:
                changed = dream(
                    network, pixels, objective, steps=self.steps or DREAM_STEPS,
                    octaves=self.octaves, progress=advance,
                )  # fmt: skip
            files.append(self._path(layer, index))
            write_picture(files[-1], changed, {"network": self.network, "unit": name})
        return files

    def _path(self, layer: str, channel: int | None) -> Path:
        unit = safe_name(layer) if channel is None else f"{safe_name(layer)}-{channel}"
        return (self.out or Path("renderings")) / f"{self.picture.stem}-{unit}.png"
