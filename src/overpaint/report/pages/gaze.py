"""Where it looks: pictures with the heat of channels, patch colours and attributions over them.

A section of a comparison's page. `lines` gives what is said of each picture, for other pages.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from overpaint.records import GazePictureRow, GazeTileRow
from overpaint.report.parts.gallery import Gallery
from overpaint.report.parts.rows import Link, Picture, Sheet
from overpaint.report.parts.text import ABSENT, count, counted, listed, number, percent
from overpaint.report.site.files import Site
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import ComparisonRecords

METHODS = {
    "grad_cam": "Grad-CAM",
    "rollout": "Attention, rolled out",
    "integrated_gradients": "Integrated gradients",
}
"""What methods of attribution are called, in the order in which they are shown."""

RIM = 1
"""Pixels of a tile's edge that are not shown: WebP has something of the next tile in them."""

WHERE = (("top", "middle", "bottom"), ("left", "middle", "right"))


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A picture with a map over it; or why there is none."""

    picture: Picture | None
    caption: str
    aside: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Tiles that belong together: one channel, one layer's colours, one method."""

    title: Link
    aside: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A picture, and where the two networks look on it."""

    id: str
    image: Link  # to its page
    label: str
    said: str
    chosen_for: str
    picture: Picture | None
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Gaze:
    """All that the section shows."""

    reading: str
    colours: str  # how far patch colours can be compared
    check: str  # what the attributions by random weights say
    lines: tuple[Line, ...]
    data: tuple[Link, ...]
    remarks: tuple[str, ...]


def gaze(site: Site, gallery: Gallery) -> Gaze:
    """The section of a comparison."""
    comparison, looked = gallery.comparison, gallery.comparison.gaze
    if looked.pictures.empty:
        absent = (
            "Where the two networks look is shown by the run of a study, with “gaze: true”; "
            "op.report, which made this page, does not look."
            if comparison.is_from_python
            else "Where the two networks look was not asked for: with “gaze: true” in the study "
            "the next run shows it on a few pictures."
        )
        return Gaze(
            reading="",
            colours="",
            check="",
            lines=(),
            data=(),
            remarks=tuple(looked.facts.notes) or (absent,),
        )
    facts, place = looked.facts, f"gazes/{comparison.name}"
    apart = f" In {listed(facts.layers)} the channel after" if facts.matched else ""
    reading = (
        "The pictures that the last layer of the two sees least alike, and the first maximal "
        "images of the channels that are looked at. Heat: where the channel responds, in "
        "both networks on one scale, from grey for nothing (below zero in blue). Patch colours: "
        "the three leading components of what the layer says of each patch, of each network its "
        "own, those after turned onto those before as well as they go: like colours mean like "
        "features."
        + (f"{apart} is the one that responds most alike: the two share no numbering."
           if apart else "")
    )  # fmt: skip
    return Gaze(
        reading=reading,
        colours=" ".join(
            f"{layer}: agreement {number(facts.agreement.get(layer), 2)}, the three components "
            f"hold {percent(before)} of all variance before and {percent(after)} after."
            for layer, (before, after) in facts.shares.items()
        ),
        check=_check(comparison),
        lines=tuple(lines(site, gallery).values()),
        data=tuple(
            Link(name, href=site.data(f"{place}-{name}", frame))
            for name, frame in (("pictures", looked.pictures), ("tiles", looked.tiles))
        ),
        remarks=(*filter(None, [facts.no_attribution]), *facts.notes),
    )


def lines(site: Site, gallery: Gallery) -> dict[str, Line]:
    """What is shown of each picture, by its name."""
    comparison, looked = gallery.comparison, gallery.comparison.gaze
    tiles: dict[int, list[GazeTileRow]] = {}
    for tile in rows(looked.tiles, GazeTileRow):
        tiles.setdefault(int(tile.picture), []).append(tile)
    sheet = None
    if looked.sheet:
        sheet = site.gaze_sheet(looked.sheet, comparison.name)
    sheet_tiles = _Tiles(comparison=comparison, sheet=sheet)
    networks = comparison.title_before, comparison.title_after
    by_image = {}
    for row in rows(looked.pictures, GazePictureRow):
        of_picture = tiles.get(int(row.number), [])
        said = [
            f"{network} says {label} ({percent(share)})"
            for network, label, share in zip(
                networks,
                (row.said_before, row.said_after),
                (row.said_before_p, row.said_after_p),
                strict=True,
            )
            if label
        ]
        chosen_for = f"the first maximal image of {row.chosen_for}"
        if row.chosen_for == "unlike":
            chosen_for = f"among those that the two see least alike ({number(row.alike, 2)})"
        plain = next((tile for tile in of_picture if tile.kind == "picture"), None)
        by_image[row.image] = Line(
            id=anchor(int(row.number)),
            image=Link(row.image, href=gallery.dataset.origin(row.image).page)
            if gallery.dataset
            else Link(row.image),
            label=row.label or ABSENT,
            said=", ".join(said),
            chosen_for=chosen_for,
            picture=sheet_tiles.tile(plain, row.image) if plain else None,
            rows=(
                *_of_layers(sheet_tiles, row, of_picture),
                *_of_methods(sheet_tiles, row, of_picture),
            ),
        )
    return by_image


def anchor(number: int) -> str:
    """The anchor of a picture on the page of a comparison, by its number among those looked on.

    >>> anchor(3)
    'gaze-picture-3'
    """
    return f"gaze-picture-{number}"


class _Tiles(NamedTuple):
    """The tiles of a comparison, where its sheet is there."""

    comparison: ComparisonRecords
    sheet: Sheet | None

    def tile(self, row: GazeTileRow, alt: str) -> Picture | None:
        """A tile on the sheet; None where the sheet does not reach so far."""
        side, across = self.comparison.gaze.facts.tile, self.comparison.gaze.facts.across
        if self.sheet is None or side <= 2 * RIM or across < 1:
            return None
        x, y = side * (int(row.tile) % across), side * (int(row.tile) // across)
        if x + side > self.sheet.width or y + side > self.sheet.height:
            return None
        return Picture(
            src=self.sheet.src,
            width=side - 2 * RIM,
            height=side - 2 * RIM,
            alt=alt,
            sheet=self.sheet,
            x=x + RIM,
            y=y + RIM,
        )


def _of_layers(
    sheet_tiles: _Tiles, picture: GazePictureRow, tiles: list[GazeTileRow]
) -> Iterable[Row]:
    """Heat and patch colours, layer by layer."""
    comparison = sheet_tiles.comparison
    names = {"before": comparison.title_before, "after": comparison.title_after}
    for layer in comparison.gaze.facts.layers:
        heats = [tile for tile in tiles if (tile.kind, tile.layer) == ("heat", layer)]
        if heats:
            most = max(tile.largest or 0.0 for tile in heats)
            first = int(heats[0].channel or 0)
            yield Row(
                title=Link(f"{layer}:{first}", href=comparison.channel(layer, first)),
                aside=f"heat, up to {number(most, 2)}",
                tiles=tuple(
                    Tile(
                        picture=sheet_tiles.tile(
                            tile,
                            f"Heat of {layer}:{tile.channel} in {names.get(tile.network)} over "
                            f"{picture.image}{_most(tile)}",
                        ),
                        caption=tile.network,
                        aside=(
                            f"{number(tile.largest, 2)}"
                            + (f", {layer}:{tile.channel}" if tile.channel != first else "")
                        ),
                    )
                    for tile in heats
                ),
            )
        colours = [tile for tile in tiles if (tile.kind, tile.layer) == ("colours", layer)]
        if colours:
            yield Row(
                title=Link(layer, href=comparison.layer(layer)),
                aside="patch colours",
                tiles=tuple(
                    Tile(
                        picture=sheet_tiles.tile(
                            tile,
                            f"Patch colours of {layer} in {names.get(tile.network)}, "
                            f"{picture.image}",
                        ),
                        caption=tile.network,
                    )
                    for tile in colours
                ),
            )


def _of_methods(
    sheet_tiles: _Tiles, picture: GazePictureRow, tiles: list[GazeTileRow]
) -> Iterable[Row]:
    """What speaks for the class that the network after says: in both, and with random weights."""
    comparison = sheet_tiles.comparison
    for method, title in METHODS.items():
        of_method = {tile.network: tile for tile in tiles if tile.kind == method}
        if not of_method:
            continue
        of_side = []
        for side, tile in of_method.items():
            aside = f"sum misses {percent(tile.gap)}" if tile.gap is not None else ""
            if side == "randomised":
                aside = "the same everywhere"
                if tile.alike is not None:
                    aside = f"rank correlation {number(tile.alike, 2)}, {tile.places} places"
            alt = f"{title} for {picture.said_after}, {side}, over {picture.image}{_most(tile)}"
            of_side.append(Tile(picture=sheet_tiles.tile(tile, alt), caption=side, aside=aside))
        unnamed = "" if picture.in_before else f", which {comparison.title_before} does not name"
        yield Row(
            title=Link(title, href="method.html#attribution"),
            aside=f"for {picture.said_after}{unnamed}",
            tiles=tuple(of_side),
        )


def _most(tile: GazeTileRow) -> str:
    """Where a map is largest, in words.

    >>> _most(GazeTileRow(picture=0, kind="heat", tile=0, row=0.1, column=0.5))
    ': most at the top'
    """
    if tile.row is None or tile.column is None:
        return ": the same everywhere"
    words = [
        name[min(max(int(3 * place), 0), 2)]
        for name, place in zip(WHERE, (tile.row, tile.column), strict=True)
    ]
    if words == ["middle", "middle"]:
        return ": most in the middle"
    return f": most at the {' '.join(word for word in words if word != 'middle')}"


def _check(comparison: ComparisonRecords) -> str:
    """How much the maps of a network are like those of one with random weights, on the mean."""
    frame = comparison.gaze.tiles
    frame = frame[frame["network"] == "randomised"]
    sentences = []
    for method, title in METHODS.items():
        values = frame.loc[frame["kind"] == method, "alike"]
        if (ranks := values.dropna()).size:
            silent = len(values) - len(ranks)
            rest = f" ({count(silent)} more are the same everywhere)" if silent else ""
            sentences.append(
                f"{title}: {number(float(ranks.mean()), 2)} over "
                f"{counted(len(ranks), 'picture')}{rest}"
            )
    if not sentences:
        return ""
    return (
        "The last map of each row is a check: the same of the network after with its weights dealt "
        "out at random. The more it is like the map beside it, the less that says of what the "
        f"network learnt. Rank correlation, 1 for the same order of places: {'; '.join(sentences)}."
    )
