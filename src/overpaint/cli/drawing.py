"""One-off pictures: what `overpaint render` draws, outside any study; torch is imported to draw.

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

from overpaint.errors import NetworkError
from overpaint.pixels.images import (
    MOVIES,
    SUFFIXES,
    movie,
    read,
    readable_below,
    sheet,
    shorter_side,
)
from overpaint.progress import Progressing
from overpaint.records import whole_file, write_picture

if TYPE_CHECKING:
    from overpaint.networks import Network
    from overpaint.render.manner import Manner
    from overpaint.render.rendering import Rendering

FRAMES = 48
"""Of a movie."""

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
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not layer or first > last:
            raise NetworkError(
                "not-a-unit", f"{text!r} names no channels; write mixed4d:164,450-460, or mixed4d"
            )
        channels += range(first, last + 1)
    return layer, list(dict.fromkeys(channels))


@dataclass(frozen=True)
class OneOff:
    """What to draw, how, and where to put it."""

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

    def draw(self, progress: Progressing) -> list[Path]:
        """Draw all, and return the files written."""
        wanted = [units(each) for each in self.units]
        self._check()
        from overpaint.networks import load
        from overpaint.render.lens import at_its_best

        with progress.stage(f"open {self.network}"):
            network = load(self.network)
        self._check_layers(network, [layer for layer, _ in wanted])
        found: list[Rendering] = []
        manner = self._manner(progress)
        with at_its_best(network):
            for layer, channels in wanted:
                found += self._layer(network, layer, channels, manner, progress)
        for each in found:
            if each.status != "ok":
                progress.say(f"  {each.name}: {each.status}")
        return [*self._files(found), *self._shown_together(found)]

    def _check(self) -> None:
        if self.movie and self.movie.suffix.lower() not in MOVIES:
            raise NetworkError("no-movie", f"{self.movie} is no movie: end its name in .gif, .webp")
        if self.sheet and self.sheet.suffix.lower() not in SUFFIXES:
            raise NetworkError(
                "no-sheet", f"{self.sheet} is no picture: end its name in .png, .jpg"
            )
        if (self.canvas == "maco") != (self.spectrum is not None):
            raise NetworkError(
                "no-spectrum", "maco takes its waves from a folder of pictures: --spectrum FOLDER"
            )

    @staticmethod
    def _check_layers(network: "Network", layers: Sequence[str]) -> None:
        """A typo in the last layer is found before the first is drawn."""
        from overpaint.networks.taps import taps

        with taps(network, layers):
            pass

    def _layer(
        self,
        network: "Network",
        layer: str,
        channels: list[int] | None,
        manner: "str | Manner",
        progress: Progressing,
    ) -> "list[Rendering]":
        from overpaint.render import render

        with progress.stage(f"render {self.network} {layer}") as advance:
            return render(
                network, layer, channels, steps=self.steps or 512, size=self.size or 128,
                seed=self.seed, manner=manner, frames=FRAMES if self.movie else 0,
                progress=advance, say=progress.say, drawn=self._keep,
            )  # fmt: skip

    def _manner(self, progress: Progressing) -> "str | Manner":
        if self.spectrum is None:
            return self.canvas
        from overpaint.render.manner import maco

        side = self.size or 128
        pictures = readable_below(self.spectrum, side, progress.say)
        return maco(
            (np.asarray(shorter_side(picture, side, "bilinear")) for picture in pictures), side
        )

    @property
    def _folder(self) -> Path | None:
        """Where each picture goes; nowhere if only a sheet or a movie is wanted."""
        return self.out or (None if self.sheet or self.movie else Path("renderings"))

    def _keep(self, each: "Rendering") -> None:
        """Write a picture as soon as it is final, so that nothing is lost."""
        if self._folder is None:
            return
        row = {
            "network": self.network, "layer": each.layer, "channel": each.channel,
            "objective_start": each.objective_start, "objective_end": each.objective_end,
            "steps": each.steps, "seed": each.seed, "status": each.status,
        }  # fmt: skip
        write_picture(self._path(each), each.image, {"row": row})

    def _path(self, each: "Rendering") -> Path:
        assert self._folder is not None
        return self._folder / each.layer / f"{each.channel}.png"

    def _files(self, found: "Sequence[Rendering]") -> list[Path]:
        return [self._path(each) for each in found] if self._folder else []

    def _shown_together(self, found: "Sequence[Rendering]") -> list[Path]:
        names = [each.name for each in found]
        if self.sheet:
            with whole_file(self.sheet) as draft:
                kind = Image.registered_extensions()[self.sheet.suffix.lower()]
                pictures = [Image.fromarray(each.image) for each in found]
                sheet(pictures, names).save(draft, kind, quality=88)
        if self.movie:
            films = zip(*(each.frames for each in found), strict=True)
            frames = [sheet([Image.fromarray(each) for each in film], names) for film in films]
            with whole_file(self.movie) as draft:
                movie(frames, draft, self.movie.suffix)
        return [path for path in (self.sheet, self.movie) if path]


@dataclass(frozen=True)
class Dream:
    """A picture to change, what into, and where to put it."""

    network: str
    units: Sequence[str]
    picture: Path
    out: Path | None
    steps: int | None
    size: int | None
    octaves: int

    def draw(self, progress: Progressing) -> list[Path]:
        """Change the picture for each unit, and return the files written.

        A layer without channels is raised as a whole.
        """
        wanted = [units(each) for each in self.units]
        opened = read(self.picture)
        side = self.size or min(LARGEST, *opened.size)
        pixels = np.asarray(shorter_side(opened, side, "lanczos"))
        from overpaint.networks import load
        from overpaint.render import dream
        from overpaint.render.lens import at_its_best
        from overpaint.render.objectives import channel, deepdream

        with progress.stage(f"open {self.network}"):
            network = load(self.network)
        written = []
        whole: list[int | None] = [None]
        goals = [(layer, index) for layer, some in wanted for index in some or whole]
        with at_its_best(network):
            for layer, index in goals:
                name = layer if index is None else f"{layer}:{index}"
                objective = deepdream(layer) if index is None else channel(layer, index)
                with progress.stage(f"dream of {name} on {self.picture.name}") as advance:
                    changed = dream(
                        network, pixels, objective, steps=self.steps or 100, octaves=self.octaves,
                        progress=advance,
                    )  # fmt: skip
                file = f"{self.picture.stem}-{name.replace(':', '-')}.png"
                written.append((self.out or Path("renderings")) / file)
                write_picture(written[-1], changed, {"network": self.network, "unit": name})
        return written
