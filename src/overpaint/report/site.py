"""The files of a site while it is made: charts, tables and copies of pictures, safely named."""

import shutil
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import altair as alt
import pandas as pd
from PIL import Image

from overpaint.report import charts, formats
from overpaint.report.rows import Figure, Link, Picture
from overpaint.report.words import slug


@dataclass(frozen=True)
class Site:
    """A draft of the site; what its methods return is relative to its root."""

    root: Path
    drawn: tuple[str, ...] = tuple(formats.WRITERS)
    """What a chart is written as, beside SVG: nothing more where there are very many charts."""

    def data(self, place: str, frame: pd.DataFrame) -> str:
        """Write a table as CSV: `data/<place>.csv`."""
        return self.text(f"data/{place}.csv", formats.csv(frame))

    def text(self, place: str, text: str) -> str:
        """Write a text file."""
        self._path(place).write_text(text, encoding="utf-8", newline="\n")
        return place

    def figure(
        self,
        place: str,
        title: str,
        reading: str,
        alt_text: str,
        chart: alt.TopLevelMixin,
        table: pd.DataFrame,
    ) -> Figure:
        """Draw a chart as `charts/<place>.svg`, and as PNG and PDF, with its table beside it."""
        text = charts.svg(chart)
        src = self.text(f"charts/{place}.svg", text)
        size = ET.fromstring(text)  # noqa: S314  (drawn here a line above)
        width, height = (round(float(size.attrib[side])) for side in ("width", "height"))
        picture = Picture(src, width, height, alt_text)
        name = place.rsplit("/", 1)[-1]
        drawn = (Link("SVG", src), *(self._drawn(place, text, kind) for kind in self.drawn))
        return Figure(name, title, reading, picture, self.data(place, table), drawn)

    def _drawn(self, place: str, text: str, kind: str) -> Link:
        src = f"charts/{place}.{kind}"
        self._path(src).write_bytes(formats.WRITERS[kind](text))
        return Link(kind.upper(), src)

    def rendering(self, source: Path, network: str, layer: str, channel: int) -> Picture | None:
        """Copy a feature visualisation; None when it is missing or no picture."""
        place = f"pictures/renderings/{slug(network)}/{slug(layer)}/{channel}.png"
        return self._picture(
            source, place, f"Feature visualisation of {layer}:{channel}, {network}"
        )

    def thumbnail(self, source: Path, dataset: str, image: str) -> Picture | None:
        """Copy a thumbnail; None when it is missing or no picture."""
        return self._picture(source, f"pictures/{slug(dataset)}/{slug(source.name)}", image)

    def _picture(self, source: Path, place: str, alt_text: str) -> Picture | None:
        try:
            with Image.open(source) as image:
                width, height = image.size
        except OSError:
            return None
        path = self._path(place)
        if not path.exists():
            shutil.copyfile(source, path)
        return Picture(place, width, height, alt_text)

    def _path(self, place: str) -> Path:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def no_figure(name: str, title: str, why: str) -> Figure:
    """The place of a chart for which the records are missing."""
    return Figure(name, title, why, None, None)
