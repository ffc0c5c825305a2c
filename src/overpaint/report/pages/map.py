"""The map of a collection: its pictures in a plane, by the last layer before and after."""

from collections import Counter
from dataclasses import dataclass
from math import sqrt

import numpy as np
import pandas as pd

from overpaint.defaults import NEIGHBOURS
from overpaint.records import PlaneFacts, PlaneRow
from overpaint.report.pages.label import Classes
from overpaint.report.parts.gallery import Gallery
from overpaint.report.parts.maximal import SIDES
from overpaint.report.parts.rows import Fact, Link, Picture, Sheet, sheets
from overpaint.report.parts.text import ABSENT, count, number, percent, slug
from overpaint.report.site.files import Site, method
from overpaint.report.study.reader import rows

TILE = 24
"""The side of a picture on a plane, in the units of the drawing."""

CROWD = 1.5
"""A plane is so many pictures wide, times the root of their number."""

FRAMES = 24
"""How many frames can be told apart, six colours in four kinds of line."""

GROUPS = 100
"""The groups that can be chosen, the most frequent; a list of more is none."""

DEFINITION = method("planes")


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A picture at its place on a plane, the upper left corner."""

    x: int
    y: int
    frame: int
    picture: Picture | None
    name: str
    label: str
    href: str | None


@dataclass(frozen=True, kw_only=True)
class Side:
    """The plane of one of the two networks."""

    when: str
    network: str
    layer: str
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A class or a group: what its pictures are framed by, and how many there are."""

    id: str
    number: int
    frame: int
    link: Link
    n: str


@dataclass(frozen=True, kw_only=True)
class MapPage:
    """The page of a map; the pictures of both planes stand in one order."""

    comparison: Link
    summary: str
    size: tuple[int, int]  # of a plane, in the units of the drawing
    planes: tuple[Side, Side]
    classes: tuple[Kind, ...]
    groups: tuple[Kind, ...]
    kinds: tuple[tuple[str, int | None], ...]  # of each picture its classes, and its group
    facts: tuple[Fact, ...]
    sheets: tuple[Sheet, ...]
    pictures: Link | None  # the page of all pictures
    data: str
    missing: tuple[str, ...]


def map_page(site: Site, classes: Classes, gallery: Gallery) -> MapPage:
    """All that the page of a map shows; of a comparison that has planes."""
    comparison, dataset = gallery.comparison, gallery.dataset
    facts = comparison.facts.plane or PlaneFacts()
    pictures = rows(comparison.plane, PlaneRow)
    table = dataset.usable if dataset else pd.DataFrame(columns=["image", "labels", "group"])
    of_image = table.drop_duplicates("image").set_index("image")
    labels = {row.image: list(of_image["labels"].get(row.image, ())) for row in pictures}
    groups = {row.image: str(of_image["group"].get(row.image, "")) for row in pictures}
    thumbs: dict[str, Picture] = gallery.tiles()

    shown = Counter(label for of_picture in labels.values() for label in of_picture)
    order = [label for label in dict.fromkeys([*classes.order, *shown]) if shown[label]]
    of_class = {label: place for place, label in enumerate(order)}
    common = [name for name, _ in Counter(filter(None, groups.values())).most_common(GROUPS)]
    of_group = {name: place for place, name in enumerate(common)}
    counts = Counter(groups.values())

    # Both planes in one frame, as wide and as high as they are, and no flatter than a landscape.
    places = comparison.plane[["x_before", "y_before", "x_after", "y_after"]].to_numpy(float)
    places = places.reshape(-1, 2, 2) * [1, -1]
    first, extent = places.min(axis=(0, 1)), np.ptp(places, axis=(0, 1))
    extent = np.maximum(extent, extent.max() / 2) if extent.any() else np.ones(2)
    width = TILE * min(max(CROWD * sqrt(len(pictures)), 12), 45)
    size = np.rint(width * extent / extent[0])
    slack = (extent - np.ptp(places, axis=(0, 1))) / 2
    corners = np.rint((size - TILE) * (places - first + slack) / extent).astype(int)
    planes = []
    for column, (when, network) in enumerate(zip(SIDES, gallery.titles, strict=True)):
        tiles = []
        for row, (x, y) in zip(pictures, corners[:, column].tolist(), strict=True):
            kinds = labels[row.image]
            tiles.append(
                Tile(
                    x=x,
                    y=y,
                    frame=of_class[kinds[0]] % FRAMES if kinds else FRAMES,
                    picture=thumbs.get(row.image),
                    name=row.image,
                    label=" · ".join(kinds) or ABSENT,
                    href=dataset.origin(row.image).page if dataset else None,
                )
            )
        layer = facts.layer_before if when == "before" else facts.layer_after
        planes.append(Side(when=when, network=network, layer=layer, tiles=tuple(tiles)))
    return MapPage(
        comparison=Link(comparison.title, href=comparison.address()),
        summary=summary(comparison.facts.dataset, comparison.facts.cka_split, facts),
        size=(int(size[0]), int(size[1])),
        planes=(planes[0], planes[1]),
        classes=tuple(
            Kind(
                id=f"class-{slug(label)}",
                number=place,
                frame=place % FRAMES,
                link=Link(label, href=comparison.label(label) if label in classes.order else None),
                n=count(shown[label]),
            )
            for label, place in of_class.items()
        ),
        groups=tuple(
            Kind(
                id=f"group-{slug(name)}",
                number=place,
                frame=place % FRAMES,
                link=Link(name),
                n=count(counts[name]),
            )
            for name, place in of_group.items()
        ),
        kinds=tuple(
            (
                " ".join(str(of_class[label]) for label in labels[row.image]),
                of_group.get(groups[row.image]),
            )
            for row in pictures
        ),
        facts=tuple(in_numbers(facts, gallery.titles)),
        sheets=sheets(thumbs.values()),
        pictures=Link(f"All pictures of {dataset.name}", href=dataset.page) if dataset else None,
        data=site.data(
            f"comparisons/{comparison.name}/plane",
            comparison.plane.drop(columns=["nearest_before", "nearest_after"]).round(4),
        ),
        missing=tuple(comparison.notes),
    )


def summary(dataset: str, split: str, facts: PlaneFacts) -> str:
    """Which pictures lie on a map, by what, and how many of their neighbours are kept."""
    which = f"The {count(facts.n)} pictures of {dataset}/{split}"
    if facts.of > facts.n:
        which = f"{count(facts.n)} pictures drawn from the {count(facts.of)} of {dataset}/{split}"
    layers = facts.layer_before
    if facts.layer_after != facts.layer_before:
        layers = f"{facts.layer_before} before and {facts.layer_after} after"
    return (
        f"{which} by what {layers} says of them: who is near whom before, and after. Of the "
        f"{NEIGHBOURS} nearest neighbours of a picture, {percent(facts.kept)} are kept; unrelated "
        f"features would keep {percent(facts.chance)}."
    )


def in_numbers(facts: PlaneFacts, networks: tuple[str, str]) -> list[Fact]:
    """What tells how much planes are worth, with N and chance."""
    of_all = f" of {count(facts.of)}, drawn" if facts.of > facts.n else ""
    return [
        Fact(name=Link("Pictures"), value=Link(f"{count(facts.n)}{of_all}")),
        Fact(
            name=Link("Neighbours kept", href=DEFINITION),
            value=Link(percent(facts.kept)),
            aside=f"of {NEIGHBOURS}, by the features; chance {percent(facts.chance)}",
        ),
        *(
            Fact(
                name=Link(f"Trustworthiness {when}", href=DEFINITION),
                value=Link(number(trust)),
                aside=f"of the plane of {network}; 1 is best, places by chance about 0.5",
            )
            for when, network, trust in zip(
                SIDES, networks, (facts.trust_before, facts.trust_after), strict=True
            )
        ),
    ]


def why_none(facts: PlaneFacts | None) -> str:
    """Why a comparison has no map, in a sentence."""
    if facts is None:
        return (
            "There is no map of the pictures: this comparison was made before there were any. "
            "The next overpaint run of the study makes it."
        )
    return f"There is no map of the pictures: {facts.status}."
