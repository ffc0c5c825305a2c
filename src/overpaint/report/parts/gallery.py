"""The pictures of a comparison: feature visualisations, and thumbnails of maximal images.

A picture is copied into the site when a page asks for it, once for all pages.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np

from overpaint.files import safe_name
from overpaint.records import PairRenderingRow, RenderingRow, StudyFolder
from overpaint.report.parts.maximal import SIDES, Maximal, read_maximal
from overpaint.report.parts.outline import Outline
from overpaint.report.parts.outline import outlines as outlines_of
from overpaint.report.parts.rows import Origin, Picture, Thumb
from overpaint.report.parts.text import ABSENT, number, slug
from overpaint.report.site.files import Site
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import ComparisonRecords, DatasetRecords

UNASKED = "no feature visualisation was asked for"
LOST = "the feature visualisation is missing"
MARKS = (
    "A dot marks the position of the layer's map that responded most, a box what of the picture it "
    "has seen; where there is no box, that is all the network was shown."
)
DIGEST = re.compile(r"[0-9a-f]{24,64}")
"""By the first 24 digits of which a thumbnail is called."""

MORE = 3
"""The maximal images that the page of a layer shows of a channel, beside its face."""

OF_BOTH = {"both": "what both networks want", "only_after": "what only the network after wants"}
"""What was drawn of two networks at once."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A channel in one of the two networks: its feature visualisation and its maximal images."""

    when: str  # "before" or "after"
    network: str
    rendering: Picture | None
    caption: str
    thumbs: tuple[Thumb, ...]

    @property
    def lost(self) -> int:
        """Its maximal images without a thumbnail."""
        return sum(thumb.picture is None for thumb in self.thumbs)


def marks(sides: Iterable[Side]) -> str:
    """What is drawn over the maximal images of a page, in words; nothing where nothing is."""
    return MARKS if any(thumb.over for side in sides for thumb in side.thumbs) else ""


def rendering(
    site: Site, folder: StudyFolder, network: str, layer: str, channel: int
) -> Picture | None:
    """The feature visualisation of a channel, copied into the site; None when there is none."""
    below = folder.renderings(network)
    path = folder.layer_renderings(network, layer) / f"{channel}.png"
    inside = path.resolve().is_relative_to(below.resolve())
    return site.rendering(path, network, layer, channel) if inside else None


def thumbnail(
    site: Site, folder: StudyFolder, dataset: str, image: str, digest: str | None
) -> Picture | None:
    """The thumbnail of a picture, copied into the site; None when there is none."""
    if digest is None or not DIGEST.fullmatch(digest):
        return None
    return site.thumbnail(_thumbnails(folder, dataset), f"{digest[:24]}.jpg", dataset, image)


_thumbnails = lru_cache(64)(StudyFolder.thumbnails)
"""One path for all thumbnails of a dataset: as a key it is quickly found."""


@dataclass(frozen=True)
class Gallery:
    """The pictures of one comparison."""

    site: Site
    folder: StudyFolder
    comparison: ComparisonRecords
    dataset: DatasetRecords | None
    _thumbs: dict[int, Picture | None] = field(default_factory=dict)
    _renderings: dict[tuple[str, str, int], tuple[Picture | None, str]] = field(
        default_factory=dict
    )

    @property
    def networks(self) -> tuple[str, str]:
        """The network before and that after."""
        return self.comparison.before, self.comparison.after

    @property
    def titles(self) -> tuple[str, str]:
        """What the two are called on pages."""
        return self.comparison.title_before, self.comparison.title_after

    @cached_property
    def maximal(self) -> Maximal:
        """The maximal images of all channels, read when they are first asked for."""
        return read_maximal(self.comparison)

    # --- feature visualisations ----------------------------------------------------------------

    @cached_property
    def _rendered(self) -> dict[tuple[str, str, int], RenderingRow]:
        return {
            (network, row.layer, row.channel): row
            for network, table in self.comparison.renderings.items()
            for row in rows(table, RenderingRow)
        }

    @cached_property
    def _chosen(self) -> set[tuple[str, int]]:
        return set(self.comparison.facts.shown)

    def was_chosen(self, layer: str, channel: int) -> bool:
        """Whether a channel was to be drawn."""
        return bool(self.comparison.renderings) and (layer, channel) in self._chosen

    def rendering(self, network: str, layer: str, channel: int) -> tuple[Picture | None, str]:
        """The feature visualisation of a channel, and what is to be said of it."""
        key = network, layer, channel
        if key not in self._renderings:
            self._renderings[key] = self._rendering(*key)
        return self._renderings[key]

    def _rendering(self, network: str, layer: str, channel: int) -> tuple[Picture | None, str]:
        if network not in self.comparison.renderings:
            return None, UNASKED
        row = self._rendered.get((network, layer, channel))
        if row is None and (layer, channel) not in self._chosen:
            return None, "not among the channels that were drawn"
        picture = rendering(self.site, self.folder, network, layer, channel)
        if row is None or picture is None:
            return picture, LOST
        # Short, as it stands below every picture; docs/reading.md says what it means.
        rose = f"response {number(row.objective_start, 2)} → {number(row.objective_end, 2)}"
        if row.ratio is not None:
            rose += f", {number(row.ratio, 1)} times that to its best picture"
        return picture, rose if row.status in ("ok", None) else f"{rose}; {row.status}"

    @cached_property
    def _together(self) -> dict[tuple[str, int], list[PairRenderingRow]]:
        by_unit: dict[tuple[str, int], list[PairRenderingRow]] = {}
        for row in rows(self.comparison.together, PairRenderingRow):
            by_unit.setdefault((row.layer, row.channel), []).append(row)
        return by_unit

    def together(self, layer: str, channel: int) -> Iterable[tuple[Picture, str]]:
        """The feature visualisations of a channel that are of both networks at once."""
        below = self.folder.pair_renderings(*self.networks)
        for row in self._together.get((layer, channel), ()):
            path = below / safe_name(layer) / f"{channel}-{row.kind}.png"
            if row.kind in OF_BOTH and path.resolve().is_relative_to(below.resolve()):
                place = f"{self.comparison.name}/{slug(layer)}/{channel}-{row.kind}.jpg"
                alt_text = f"Feature visualisation of {layer}:{channel}, {OF_BOTH[row.kind]}"
                picture = self.site.pair_rendering(path, place, alt_text)
                status = "" if row.status in ("ok", None) else f"; {row.status}"
                if picture:
                    before, after = number(row.before, 2), number(row.after, 2)
                    reached = f"{before} in {self.titles[0]}, {after} in {self.titles[1]}"
                    yield picture, f"{OF_BOTH[row.kind]}: {reached}{status}"

    # --- maximal images ------------------------------------------------------------------------

    def thumb(self, at: int) -> Picture | None:
        """The thumbnail of a picture, by its number."""
        if at not in self._thumbs:
            image, digest, _ = self.maximal.pictures[at]
            dataset = self.comparison.facts.dataset
            self._thumbs[at] = thumbnail(self.site, self.folder, dataset, image, digest)
        return self._thumbs[at]

    def tiles(self) -> dict[str, Picture]:
        """The thumbnails of the pictures in the planes, all of them on sheets."""
        if self.dataset is None:
            return {}
        name, digests = self.dataset.name, self.dataset.digests
        sources = {
            image: self.folder.thumbnail(name, digests[image])
            for image in self.comparison.plane["image"]
            if DIGEST.fullmatch(digests.get(image) or "")
        }
        return self.site.tiles(self.folder.thumbnails(name), name, sources)

    def origin(self, image: str, picture: Picture | None) -> Origin:
        """What a thumbnail, if there is one, leads to."""
        if self.dataset is None:
            return Origin()
        origin = self.dataset.origin(image)
        return origin if picture else replace(origin, page=None)

    def face(self, side: int, layer: str, channel: int) -> Picture | None:
        """What a channel looks for, small: its feature visualisation, or else its first image."""
        picture, _ = self.rendering(self.networks[side], layer, channel)
        numbers = self.maximal.of(layer, channel)[side]
        return picture or (self.thumb(int(numbers[0])) if len(numbers) else None)

    def more(self, side: int, layer: str, channel: int) -> tuple[Picture, ...]:
        """The thumbnails of the images that excite a channel most, but for one that is its face."""
        face = self.face(side, layer, channel)
        thumbs = map(self.thumb, self.maximal.of(layer, channel)[side][: MORE + 1].tolist())
        return tuple(thumb for thumb in thumbs if thumb and thumb != face)[:MORE]

    def marks(self, layer: str) -> str:
        """What is drawn over the maximal images of a layer's channels, in words."""
        is_located = any(
            (self.maximal.positions[unit] >= 0).any()
            for unit in self.maximal.positions
            if unit[0] == layer and unit[2] in SIDES and layer in self.outlines[unit[2]]
        )
        return MARKS if is_located else ""

    def side(self, side: int, layer: str, channel: int, most: int) -> Side:
        """A channel in the network before (0) or after (1), with at most so many images."""
        numbers = self.maximal.of(layer, channel)
        shared = np.intersect1d(numbers[0][:most], numbers[1][:most]).tolist()
        outline = self.outlines[SIDES[side]].get(layer)
        thumbs = []
        for number_of, (row, column) in zip(
            numbers[side][:most].tolist(),
            self.maximal.positions_of(layer, channel)[side][:most].tolist(),
            strict=True,
        ):
            picture, (image, _, label) = self.thumb(number_of), self.maximal.pictures[number_of]
            thumbs.append(
                Thumb(
                    picture=picture,
                    image=image,
                    label=label or ABSENT,
                    shared=number_of in shared,
                    origin=self.origin(image, picture),
                    over=outline.draw(row, column, picture.width, picture.height)
                    if outline and picture and row >= 0
                    else None,
                )
            )
        rendered, caption = self.rendering(self.networks[side], layer, channel)
        return Side(
            when=SIDES[side],
            network=self.titles[side],
            rendering=rendered,
            caption=caption,
            thumbs=tuple(thumbs),
        )

    # --- what of a picture a channel has seen --------------------------------------------------

    @cached_property
    def outlines(self) -> dict[str, dict[str, Outline]]:
        """For each side the layers whose positions can be told apart."""
        fields = self.comparison.facts.receptive_fields
        return {side: outlines_of(fields.get(side)) for side in SIDES}
