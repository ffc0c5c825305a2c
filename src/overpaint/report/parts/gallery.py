"""The pictures of a comparison: feature visualisations, and thumbnails of maximal images.

A picture is copied into the site when a page asks for it, once for all pages.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from overpaint.files import safe_name
from overpaint.records import PairRenderingRow, RenderingRow, StudyFolder
from overpaint.report.parts.maximal import SIDES, Maximal, Numbers
from overpaint.report.parts.outline import Outline, outlines
from overpaint.report.parts.rows import Origin, Picture, Thumb
from overpaint.report.parts.text import ABSENT, number, slug
from overpaint.report.site.files import Site
from overpaint.report.site.templates import Templates
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import ComparisonRecords

UNASKED = "no feature visualisation was asked for"
LOST = "the feature visualisation is missing"
MARKS = (
    "A dot marks the position of the layer's map that responded most, a box what of the picture it "
    "has seen; where there is no box, that is all the network was shown."
)
OF_BOTH = {"both": "what both networks want", "only_after": "what only the network after wants"}
"""What was drawn of two networks at once."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Side:
    """A channel in one of the two networks: its feature visualisation and its maximal images."""

    when: str  # "before" or "after"
    network: str
    rendering: Picture | None
    caption: str
    thumbs: Markup  # items of a list, one for each maximal image
    n: int
    lost: int  # maximal images without a thumbnail
    located: bool  # whether it is drawn over any where the channel responded


def marks(sides: Iterable[Side]) -> str:
    """What is drawn over the maximal images of a page, in words; nothing where nothing is."""
    return MARKS if any(side.located for side in sides) else ""


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
    if not re.fullmatch(r"[0-9a-f]{24,64}", digest or ""):
        return None
    return site.thumbnail(folder.thumbnail(dataset, digest or ""), dataset, image)


@dataclass(frozen=True)
class Gallery:
    """The pictures of one comparison."""

    templates: Templates
    folder: StudyFolder
    comparison: ComparisonRecords
    maximal: Maximal
    origins: Mapping[str, Origin]  # by picture, where something is said of it
    _thumbs: dict[int, Picture | None] = field(default_factory=dict)
    _items: dict[tuple[int, bool, str], Markup] = field(default_factory=dict)

    @property
    def networks(self) -> tuple[str, str]:
        """The network before and that after."""
        return self.comparison.before, self.comparison.after

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

    def rendering(self, network: str, layer: str, channel: int) -> tuple[Picture | None, str]:
        """The feature visualisation of a channel, and what is to be said of it."""
        if network not in self.comparison.renderings:
            return None, UNASKED
        row = self._rendered.get((network, layer, channel))
        if row is None and (layer, channel) not in self._chosen:
            return None, "not among the channels that were drawn"
        picture = rendering(self.templates.site, self.folder, network, layer, channel)
        if row is None or picture is None:
            return picture, LOST
        rose = f"objective {number(row.objective_start, 2)} → {number(row.objective_end, 2)}"
        if row.ratio is not None:
            rose += f", {number(row.ratio, 1)} times that of its best picture"
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
                place = f"{self.comparison.name}/{slug(layer)}/{channel}-{row.kind}.png"
                alt_text = f"Feature visualisation of {layer}:{channel}, {OF_BOTH[row.kind]}"
                picture = self.templates.site.pair_rendering(path, place, alt_text)
                status = "" if row.status in ("ok", None) else f"; {row.status}"
                if picture:
                    before, after = number(row.before, 2), number(row.after, 2)
                    reached = f"{before} in {self.networks[0]}, {after} in {self.networks[1]}"
                    yield picture, f"{OF_BOTH[row.kind]}: {reached}{status}"

    # --- maximal images ------------------------------------------------------------------------

    def thumb(self, at: int) -> Picture | None:
        """The thumbnail of a picture, by its number."""
        if at not in self._thumbs:
            image, digest, _ = self.maximal.pictures[at]
            dataset = self.comparison.facts.dataset
            self._thumbs[at] = thumbnail(self.templates.site, self.folder, dataset, image, digest)
        return self._thumbs[at]

    def face(self, side: int, layer: str, channel: int) -> Picture | None:
        """What a channel looks for, small: its feature visualisation, or else its first image."""
        picture, _ = self.rendering(self.networks[side], layer, channel)
        numbers = self.maximal.of(layer, channel)[side]
        return picture or (self.thumb(int(numbers[0])) if len(numbers) else None)

    def sides(self, layer: str, channel: int, most: int, at: str) -> tuple[Side, ...]:
        """A channel in both networks, with at most so many images, for pages with the root `at`."""
        numbers = [of_side[:most] for of_side in self.maximal.of(layer, channel)]
        places = self.maximal.positions_of(layer, channel)
        shared = np.intersect1d(numbers[0], numbers[1])
        sides = []
        for when, network, pictures, positions in zip(
            SIDES, self.networks, numbers, places, strict=True
        ):
            drawing = self._outlines[when].get(layer)
            over = [Markup("")] * len(pictures)
            if drawing:
                at_most = zip(pictures.tolist(), positions[: len(pictures)].tolist(), strict=True)
                over = [self._over(drawing, number, *place) for number, place in at_most]
            picture, caption = self.rendering(network, layer, channel)
            sides.append(
                Side(
                    when=when,
                    network=network,
                    rendering=picture,
                    caption=caption,
                    thumbs=self._strip(pictures, np.isin(pictures, shared), over, at),
                    n=len(pictures),
                    lost=sum(self.thumb(number) is None for number in pictures.tolist()),
                    located=any(over),
                )
            )
        return tuple(sides)

    def _strip(self, numbers: Numbers, shared: Flags, over: list[Markup], at: str) -> Markup:
        items = zip(numbers.tolist(), shared.tolist(), over, strict=True)
        end = Markup("</li>\n")
        return Markup("").join(
            self._item(number, is_shared, at) + outline + end
            for number, is_shared, outline in items
        )

    def _item(self, number: int, shared: bool, at: str) -> Markup:
        """An item without its end: the same in the hundreds of lists where its picture stands."""
        key = number, shared, at
        if key not in self._items:
            image, _, label = self.maximal.pictures[number]
            thumb = Thumb(
                picture=self.thumb(number),
                image=image,
                label=label or ABSENT,
                shared=shared,
                origin=self.origins.get(image, Origin()),
            )
            self._items[key] = self.templates.thumb(at, thumb)
        return self._items[key]

    # --- what of a picture a channel has seen --------------------------------------------------

    @cached_property
    def _outlines(self) -> dict[str, dict[str, Outline]]:
        """For each side the layers whose positions can be told apart."""
        fields = self.comparison.facts.receptive_fields
        return {side: outlines(fields.get(side)) for side in SIDES}

    def _over(self, outline: Outline, number: int, row: int, column: int) -> Markup:
        """What is drawn over a thumbnail."""
        thumb = self.thumb(number)
        if thumb is None or row < 0:
            return Markup("")
        return outline.draw(row, column, thumb.width, thumb.height)
