"""The files of a site while it is made: charts, tables and copies of pictures, safely named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

import altair as alt
import pandas as pd

from overpaint.errors import DatasetError
from overpaint.pixels.images import encoded, read, size_of
from overpaint.report.charts import drawing, formats
from overpaint.report.parts.rows import Figure, Link, Picture, Sheet
from overpaint.report.parts.text import slug
from overpaint.report.site import spreadsheet
from overpaint.report.site.incremental import IncrementalFiles
from overpaint.report.site.sheets import DIGEST, Place, on_sheets, small_on_sheets

IN_LINK = 24_000
"""The letters of a table that is in its link itself: a study has hundreds of small ones."""

DIGITS = 12
"""The digits by which the site names a thumbnail; the study folder has twice as many."""

HARMLESS = ",.:/=-_()"
"""What stands in such a link as it is, beside letters and digits."""


@dataclass(frozen=True)
class Site:
    """The site while it is brought up to date; what its methods return is relative to its root."""

    files: IncrementalFiles
    chart_formats: tuple[str, ...] = ()
    """What a chart is written as beside SVG: the pages of a study have nothing more."""

    painter: drawing.Painter | None = None
    """Who draws the charts, while pages are made here; without one they are drawn one by one."""

    _sheets: dict[Path, dict[str, Place]] = field(default_factory=dict, init=False)
    _small: dict[tuple[Path, frozenset[str]], dict[str, Place]] = field(
        default_factory=dict, init=False
    )
    _shorter: dict[Path, dict[str, str]] = field(default_factory=dict, init=False)
    _sizes: dict[str, tuple[int, int] | None] = field(default_factory=dict, init=False)

    def text(self, place: str, text: str) -> str:
        """Write a text file."""
        self.files.write(place, text.encode())
        return place

    def data(self, place: str, frame: pd.DataFrame) -> str:
        """Write a table as CSV, and return its address: `data/<place>.csv`, or, of a small one,
        a link that has all of it.
        """
        text = spreadsheet.csv(frame)
        if len(text) <= IN_LINK:
            name = "-".join(map(slug, place.split("/")[-2:]))  # under which it will be kept
            return f"data:text/csv;charset=utf-8;name={name}.csv,{quote(text, safe=HARMLESS)}"
        return self.text(f"data/{place}.csv", text)

    def figure(
        self,
        place: str,
        *,
        title: str,
        reading: str,
        alt_text: str,
        chart: alt.TopLevelMixin,
        table: pd.DataFrame,
        definition: str = "",
    ) -> Figure:
        """A chart as `charts/<place>.svg`, and as PNG and PDF, with its table beside it; it is
        drawn by the time that a page asks for it.
        """
        src = f"charts/{place}.svg"
        spec = chart.to_dict(validate=False)
        begun = None
        if self.painter and not self.files.is_cached(src, spec):
            begun = self.painter.begin(spec)

        def finish() -> str:
            """Have the drawing, and its files in the site."""
            root = "../" * src.count("/")
            svg = self.files.cached(
                src, spec, lambda: drawing.svg(spec, root, begun).encode()
            ).decode()
            for kind in self.chart_formats:
                write = partial(formats.WRITERS[kind], svg)
                self.files.cached(f"charts/{place}.{kind}", svg, write)
            return svg

        return Figure(
            id=place.rsplit("/", 1)[-1],
            title=title,
            reading=reading,
            draw=finish,
            src=src,
            alt=alt_text,
            data=self.data(place, table),
            downloads=tuple(
                Link(text=kind.upper(), href=f"charts/{place}.{kind}")
                for kind in ("svg", *self.chart_formats)
            ),
            definition=definition,
        )

    def rendering(self, source: Path, network: str, layer: str, channel: int) -> Picture | None:
        """A feature visualisation; None when it is missing or no picture."""
        place = f"pictures/renderings/{slug(network)}/{slug(layer)}/{channel}.jpg"
        return self._drawing(
            source, place, f"Feature visualisation of {layer}:{channel}, {network}"
        )

    def pair_rendering(self, source: Path, place: str, alt_text: str) -> Picture | None:
        """A feature visualisation that is of two networks; None when there is none."""
        return self._drawing(source, f"pictures/renderings/{place}", alt_text)

    def _drawing(self, source: Path, place: str, alt_text: str) -> Picture | None:
        """A picture of the study folder as JPEG: that is a quarter of its PNG, and looks the same.
        The PNG stays where it is.
        """
        size = size_of(source)
        if size is None:
            return None
        if place not in self.files.places:
            status = source.stat()
            try:
                self.files.cached(
                    place, [status.st_size, status.st_mtime_ns], partial(_as_jpeg, source)
                )
            except DatasetError:
                return None
        width, height = size
        return Picture(src=place, width=width, height=height, alt=alt_text)

    def thumbnail(self, folder: Path, name: str, dataset: str, image: str) -> Picture | None:
        """A thumbnail on a sheet, or copied as a file; None when it is missing or no picture."""
        if places := self._all_on_sheets(folder, dataset):
            on_it = places.get(name)
            return self._on_sheet(on_it, image) if on_it else None
        place = f"pictures/{slug(dataset)}/{self._short_names(folder).get(name) or slug(name)}"
        if place not in self._sizes:  # many pages show the same
            self._sizes[place] = size_of(folder / name)
        size = self._sizes[place]
        if size is None:
            return None
        self.files.copy(place, folder / name)
        return Picture(src=place, width=size[0], height=size[1], alt=image)

    def tiles(self, folder: Path, dataset: str, sources: Mapping[str, Path]) -> dict[str, Picture]:
        """The thumbnails of many pictures that one page shows, by picture, all of them on sheets:
        small ones, where those of the dataset are too many to be. `sources` lie in the folder.
        """
        places = self._all_on_sheets(folder, dataset)
        if not places:
            names = frozenset(source.name for source in sources.values())
            if (folder, names) not in self._small:
                self._small[folder, names] = small_on_sheets(self.files, folder, names, dataset)
            places = self._small[folder, names]
        return {
            image: self._on_sheet(places[source.name], image)
            for image, source in sources.items()
            if source.name in places
        }

    def _short_names(self, folder: Path) -> dict[str, str]:
        """The thumbnails of a folder by fewer digits, for pages name them many thousand times;
        nothing where two would be called alike.
        """
        if folder not in self._shorter:
            names = [name for name, *_ in self.files.pictures_below(folder)]
            shorter = {name: name[:DIGITS] + name[-4:] for name in names if DIGEST.fullmatch(name)}
            is_clear = len({*shorter.values()}) == len(shorter)
            self._shorter[folder] = shorter if is_clear else {}
        return self._shorter[folder]

    def _all_on_sheets(self, folder: Path, dataset: str) -> dict[str, Place]:
        if folder not in self._sheets:
            self._sheets[folder] = on_sheets(self.files, folder, dataset)
        return self._sheets[folder]

    def _on_sheet(self, place: Place, image: str) -> Picture:
        self.files.places.add(place.sheet.src)
        return Picture(
            src=place.sheet.src,
            width=place.width,
            height=place.height,
            alt=image,
            sheet=place.sheet,
            x=place.x,
            y=place.y,
        )

    def gaze_sheet(self, source: Path, comparison: str) -> Sheet | None:
        """Copy the sheet of where two networks look; None when it is missing or no picture."""
        size = size_of(source)
        if size is None:
            return None
        place = f"pictures/gazes/{slug(comparison)}.webp"
        self.files.copy(place, source)
        return Sheet(src=place, width=size[0], height=size[1])


def _as_jpeg(source: Path) -> bytes:
    return encoded(read(source), "JPEG", quality=90, subsampling=0, optimize=True)


def no_figure(name: str, title: str, why: str, definition: str = "") -> Figure:
    """The place of a chart for which the records are missing."""
    return Figure(id=name, title=title, reading=why, data=None, definition=definition)


def method(measure: str) -> str:
    """The address of a measure's definition, an anchor on the page of the method."""
    return f"method.html#{measure}"
