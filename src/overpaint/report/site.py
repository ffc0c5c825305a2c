"""The files of a site while it is made: charts, tables and copies of pictures, safely named."""

import shutil
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import altair as alt
import pandas as pd
from PIL import Image

from overpaint.report import charts
from overpaint.report.rows import Figure, Picture
from overpaint.report.words import slug


@dataclass(frozen=True)
class Site:
    """A draft of the site; what its methods return is relative to its root."""

    root: Path

    def data(self, place: str, frame: pd.DataFrame) -> str:
        """Write a table as CSV: `data/<place>.csv`."""
        path = self._path(f"data/{place}.csv")
        frame.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")
        return f"data/{place}.csv"

    def figure(
        self,
        place: str,
        title: str,
        reading: str,
        alt_text: str,
        chart: alt.TopLevelMixin,
        table: pd.DataFrame,
    ) -> Figure:
        """Draw a chart as `charts/<place>.svg` with its table beside it."""
        src = f"charts/{place}.svg"
        text = charts.svg(chart)
        self._path(src).write_text(text, encoding="utf-8")
        size = ET.fromstring(text)  # noqa: S314  (drawn here a line above)
        width, height = (round(float(size.attrib[side])) for side in ("width", "height"))
        picture = Picture(src, width, height, alt_text)
        name = place.rsplit("/", 1)[-1]
        return Figure(name, title, reading, picture, self.data(place, table))

    def rendering(self, source: Path, network: str, layer: str, channel: int) -> Picture | None:
        """Copy a feature visualisation; None when it is missing or no picture."""
        place = f"pictures/renderings/{slug(network)}/{slug(layer)}/{channel}.png"
        return self._picture(
            source, place, f"Feature visualisation of {layer}:{channel}, {network}"
        )

    def pair_rendering(
        self, source: Path, pair: str, layer: str, channel: int, kind: str
    ) -> Picture | None:
        """Copy a feature visualisation of two networks; None when it is missing or no picture."""
        place = f"pictures/renderings/{slug(pair)}/{slug(layer)}/{channel}-{slug(kind)}.png"
        what = f"Feature visualisation of {layer}:{channel}, {kind.replace('_', ' ')}, {pair}"
        return self._picture(source, place, what)

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
