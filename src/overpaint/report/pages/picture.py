"""The pictures of a dataset of which pages show anything, and any one of them.

A picture is a view of the page of its dataset, as a channel is one of its layer's: the page lists
all, and a script shows any from the data beside it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from overpaint.defaults import NEIGHBOURS
from overpaint.records import PlaneRow
from overpaint.report.pages import gaze
from overpaint.report.pages.view import DIGITS, in_digits, script, signs
from overpaint.report.parts.addresses import network_page, picture_anchor
from overpaint.report.parts.gallery import Gallery, thumbnail
from overpaint.report.parts.maximal import SIDES
from overpaint.report.parts.origins import in_words, short
from overpaint.report.parts.rows import Link, Picture, Sheet, sheets
from overpaint.report.parts.text import ABSENT, count, counted, listed, percent
from overpaint.report.site.files import Site
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import DatasetRecords, NetworkRecords, Records

SAID = 3
"""The classes that are told of what a network says of a picture, the most probable first."""

EXCITED = 8
"""The channels that are told of those that a picture excites, in each network."""


@dataclass(frozen=True, kw_only=True)
class CollectedPicture:
    """A picture of a dataset, as its table has it."""

    image: str
    digest: str
    labels: tuple[str, ...]
    group: str
    split: str
    size: str


@dataclass(frozen=True)
class Collection:
    """The pictures of a dataset that have a thumbnail or a place on a map."""

    site: Site
    records: Records
    dataset: DatasetRecords
    galleries: list[Gallery]  # of the comparisons on it

    @cached_property
    def images(self) -> list[CollectedPicture]:
        """In the order of the dataset."""
        on_pages = {
            image
            for gallery in self.galleries
            for table in (gallery.comparison.plane, gallery.comparison.gaze.pictures)
            for image in table["image"]
        }
        place = self.records.folder.thumbnails(self.dataset.name)
        present = {name for name, *_ in self.site.files.pictures_below(place)}
        return [
            CollectedPicture(
                image=image,
                digest=digest,
                labels=tuple(labels),
                group=group or "",
                split=split,
                size=f"{count(width)} × {count(height)} pixels",
            )
            for image, digest, labels, group, split, width, height in self.dataset.usable[
                ["image", "digest", "labels", "group", "split", "width", "height"]
            ]
            .drop_duplicates("image")
            .itertuples(index=False, name=None)
            if image in on_pages or f"{digest[:24]}.jpg" in present
        ]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Of each picture its number among them."""
        return {picture.image: number for number, picture in enumerate(self.images)}

    @property
    def script(self) -> str:
        """The address of the script with what is shown of each."""
        return f"{self.dataset.page.removesuffix('.html')}.js"

    @cached_property
    def thumbs(self) -> dict[str, Picture]:
        """The thumbnails. Where they are too many for sheets, the small ones of maps do for what
        stands on no other page.
        """
        tiles = {image: tile for each in self.galleries for image, tile in each.tiles().items()}
        elsewhere = {
            row.image for each in self.galleries for row in each.maximal.pictures
        } | self.numbers.keys() - tiles.keys()
        for picture in self.images:
            if picture.image in elsewhere:
                thumb = thumbnail(
                    self.site,
                    self.records.folder,
                    self.dataset.name,
                    picture.image,
                    picture.digest,
                )
                if thumb:
                    tiles[picture.image] = thumb
        return tiles

    @cached_property
    def networks(self) -> list[NetworkRecords]:
        """The networks that say something of the pictures."""
        return [
            network
            for network in self.records.trained
            if self.records.study.all_networks[network.name].fit == self.dataset.name
            and len(network.predictions)
        ]

    @cached_property
    def said(self) -> list[dict[str, list[tuple[str, float]]]]:
        """By network and picture the most probable classes, each with its probability."""
        return [most_probable(network.predictions) for network in self.networks]

    def summary(self, picture: CollectedPicture) -> str:
        """What a picture shows, and how many networks say so."""
        shows = f"Shows {listed(picture.labels)}" if picture.labels else "Shows none of the classes"
        named = [said[picture.image][0][0] for said in self.said if said.get(picture.image)]
        right = sum(label in picture.labels for label in named)
        if not named:
            return f"{shows}; it is of {picture.split}."
        if len(named) == 1:
            return f"{shows}; the network names it {'rightly' if right else 'wrongly'}."
        return f"{shows}; {count(right)} of {counted(len(named), 'network')} name it rightly."

    @cached_property
    def classes(self) -> dict[str, str]:
        """The pages of the classes, in the first comparison that has them."""
        pages: dict[str, str] = {}
        for gallery in self.galleries:
            if len(gallery.comparison.channels):
                for label in self.dataset.facts.classes:
                    pages.setdefault(label, gallery.comparison.label(label))
        return pages


def most_probable(predictions: pd.DataFrame) -> dict[str, list[tuple[str, float]]]:
    """Of each picture the three most probable classes, the first the most.

    >>> table = pd.DataFrame({"image": ["x"], "labels": [["a"]], "p(a)": [0.2], "p(b)": [0.7],
    ...                       "p(c)": [0.0], "p(d)": [0.1]})
    >>> most_probable(table)
    {'x': [('b', 0.7), ('a', 0.2), ('d', 0.1)]}

    A picture whose probabilities are not all known is left out.
    """
    matched = {name: re.fullmatch(r"(?s)p\((.*)\)", str(name)) for name in predictions.columns}
    classes = [match[1] for match in matched.values() if match]
    chances = predictions[[name for name, match in matched.items() if match]].to_numpy(np.float64)
    order = np.argsort(-chances, axis=1, kind="stable")[:, :SAID]
    return {
        str(image): [(classes[at], float(of_image[at])) for at in first]
        for image, first, of_image in zip(predictions["image"], order, chances, strict=True)
        if len(classes) and np.isfinite(of_image).all()
    }


# --- the page ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ListedPicture:
    """A picture in the list."""

    id: str
    picture: Picture | None
    name: str
    summary: str
    group: str


@dataclass(frozen=True, kw_only=True)
class PicturesPage:
    """The page of a dataset's pictures: all of them; and, filled by a script, any one."""

    dataset: str
    data: str  # the script
    summary: str
    pictures: tuple[ListedPicture, ...]
    sheets: tuple[Sheet, ...]
    comparisons: tuple[Link, ...]
    maps: tuple[Link, ...]
    missing: tuple[str, ...]


def pictures_page(collection: Collection) -> PicturesPage:
    """All that the page shows."""
    dataset, thumbs = collection.dataset, collection.thumbs
    splits = pd.Series([picture.split for picture in collection.images]).value_counts()
    return PicturesPage(
        dataset=dataset.name,
        data=collection.script,
        summary=(
            f"{counted(len(collection.images), 'picture')} of {dataset.name} that the report shows "
            f"or has on a map: {listed(f'{count(n)} of {split}' for split, n in splits.items())}."
        ),
        pictures=tuple(
            ListedPicture(
                id=picture_anchor(picture.image),
                picture=thumbs.get(picture.image),
                name=picture.image,
                summary=collection.summary(picture),
                group=picture.group,
            )
            for picture in collection.images
        ),
        sheets=sheets(thumbs.values()),
        comparisons=tuple(
            Link(each.comparison.title, href=each.comparison.address())
            for each in collection.galleries
        ),
        maps=tuple(
            Link(each.comparison.title, href=each.comparison.map)
            for each in collection.galleries
            if each.comparison.map
        ),
        missing=tuple(dataset.notes),
    )


# --- the script --------------------------------------------------------------------------------


def pictures_script(collection: Collection) -> str:
    """What the page shows of any picture; docs/report.md says how it is to be read."""
    layers = [list(each.comparison.order) for each in collection.galleries]
    excited = [Excited.of(each) for each in collection.galleries]
    planes = [
        {row.image: row for row in rows(each.comparison.plane, PlaneRow)}
        for each in collection.galleries
    ]
    found_sheets: dict[str, list[int]] = {}
    lines: list[Any] = []
    for picture in collection.images:
        thumb: list[Any] = []
        if place := collection.thumbs.get(picture.image):
            thumb = [place.src, place.width, place.height]
            if place.sheet:
                found_sheets[place.src] = [place.sheet.width, place.sheet.height]
                thumb += [place.x, place.y]
        of_pairs: list[Any] = []
        for plane, channels in zip(planes, excited, strict=True):
            row, exciting = plane.get(picture.image), channels.by_picture.get(picture.image)
            near: list[Any] = []
            if row:
                nearest = (row.nearest_before, row.nearest_after)
                near = [
                    f"{round(row.kept * NEIGHBOURS)} of {NEIGHBOURS}",
                    *([collection.numbers[name] for name in names if name in collection.numbers]
                      for names in nearest),
                ]  # fmt: skip
            of_pairs.append([near, exciting or []] if row or exciting else [])
        lines.append(
            [
                picture.image,
                collection.summary(picture),
                list(facts(collection, picture)),
                thumb,
                [
                    [
                        [label, percent(chance), int(label in picture.labels)]
                        for label, chance in said.get(picture.image, ())
                    ]
                    for said in collection.said
                ],
                of_pairs,
            ]
        )
    return script(
        "COLLECTION",
        "The pictures of a dataset, for its page; docs/report.md says how it is to be read.",
        {
            "networks": [
                [collection.records.title(each.name), network_page(each.name)]
                for each in collection.networks
            ],
            "pairs": [
                {
                    "title": each.comparison.title,
                    "networks": each.titles,
                    "href": each.comparison.address(),
                    "map": each.comparison.map,
                    "layers": [[layer, each.comparison.layer(layer)] for layer in of_pair],
                    "widths": channels.widths,
                    "k": each.comparison.facts.k,
                    "split": each.comparison.facts.maximal_split,
                    "chance": percent(each.comparison.facts.plane.chance)
                    if each.comparison.facts.plane
                    else ABSENT,
                }
                for each, of_pair, channels in zip(
                    collection.galleries, layers, excited, strict=True
                )
            ],
            "digits": DIGITS,
            "sheets": found_sheets,
        },
        lines,
    )


def facts(collection: Collection, picture: CollectedPicture) -> Iterable[list[str]]:
    """What the table of the dataset says of a picture: name, value and where it leads."""
    for label in picture.labels:
        yield ["Class", label, collection.classes.get(label, "")]
    if picture.group:
        yield ["Group", picture.group, ""]
    yield ["Split", picture.split, ""]
    yield ["Size", picture.size, ""]
    for gallery in collection.galleries:
        comparison = gallery.comparison
        for number in comparison.gaze.numbers.get(picture.image, ()):
            address = comparison.address(gaze.anchor(number))
            yield ["Where networks look", comparison.title, address]
    said = collection.dataset.said.get(picture.image)
    if said:
        source, rights = said
        origin = collection.dataset.origin(picture.image)
        if source:
            yield ["Source", short(source), origin.href or ""]
        if rights:
            yield ["Rights", short(in_words(rights)), ""]


@dataclass(frozen=True, kw_only=True)
class Excited:
    """The channels that the pictures of a comparison excite: of how many a picture is a maximal
    image before and after, and layer, channel and rank of those where it stands first, in digits.
    """

    widths: tuple[int, int, int]
    by_picture: dict[str, list[list[Any]]]

    @classmethod
    def of(cls, gallery: Gallery) -> "Excited":
        """Of equal ranks the deeper layer first."""
        maximal, order = gallery.maximal, gallery.comparison.order
        names = [picture.image for picture in maximal.pictures]
        places = {layer: place for place, layer in enumerate(order)}
        last = max((channel for _, channel, _ in maximal.rows), default=0)
        most = max(map(len, maximal.rows.values()), default=0)
        widths = (signs(len(order)), signs(last + 1), signs(most + 1))
        by_picture: dict[str, list[list[Any]]] = {name: [[0, ""], [0, ""]] for name in names}
        for at, side in enumerate(SIDES):
            units = [unit for unit in maximal.rows if unit[2] == side and unit[0] in places]
            if not units:
                continue
            lists = [maximal.rows[unit] for unit in units]
            lengths = [len(numbers) for numbers in lists]
            pictures = np.concatenate(lists)
            ranks = np.concatenate([np.arange(1, length + 1) for length in lengths])
            layers = np.repeat([places[layer] for layer, _, _ in units], lengths)
            channels = np.repeat([channel for _, channel, _ in units], lengths)
            by_rank = np.lexsort((channels, -layers, ranks, pictures))
            bounds = np.searchsorted(pictures[by_rank], np.arange(len(names) + 1)).tolist()
            columns = (values[by_rank] for values in (layers, channels, ranks))
            digits, wide = in_digits(*zip(columns, widths, strict=True)), sum(widths)
            for name, start, stop in zip(names, bounds[:-1], bounds[1:], strict=True):
                first = digits[start * wide : min(stop, start + EXCITED) * wide]
                by_picture[name][at] = [stop - start, first]
        return cls(widths=widths, by_picture=by_picture)
