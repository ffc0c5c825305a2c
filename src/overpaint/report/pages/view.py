"""Any channel of a layer, for the layer's page to show: scripts beside the pages, for a page from
disk may fetch nothing else.

A list of channels repeats itself: what is said more than once stands in `words`, and its number
where it is said. Maximal images are written as digits, a picture's number and its position's.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from overpaint.records import ChannelRow
from overpaint.report.pages.channel import Channels, blanks, facts, patterns, remark, standing
from overpaint.report.parts.gallery import Gallery
from overpaint.report.parts.maximal import NOTHING, SIDES, Numbers
from overpaint.report.parts.rows import Fact, Picture
from overpaint.report.parts.text import ABSENT
from overpaint.report.site.templates import fit_for_a_page
from overpaint.report.study.reading import ComparisonRecords

DIGITS = "".join(map(chr, sorted({*range(35, 127)} - {*map(ord, "<\\")})))
"""Ninety signs that stand in a string of a script as they are."""

ENCODER = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))
"""Made once: there are rows by the ten thousand."""

BASE = len(DIGITS)
CODES = np.frombuffer(DIGITS.encode(), np.uint8)


def channels_at(comparison: ComparisonRecords, layer: str) -> str:
    """The address of the script with the channels of a layer."""
    return f"{comparison.layer(layer).removesuffix('.html')}.js"


def pictures_at(comparison: ComparisonRecords) -> str:
    """The address of the script with the pictures of a comparison."""
    return f"{comparison.address().removesuffix('.html')}.js"


def scripts(channels: Channels, gallery: Gallery) -> Iterator[tuple[str, str]]:
    """The scripts of a comparison, each with its address."""
    comparison = channels.comparison
    for layer, of_layer in channels.by_layer.items():
        if of_layer:
            yield channels_at(comparison, layer), layer_script(channels, gallery, layer)
    if channels.rows:
        yield pictures_at(comparison), pictures_script(gallery)


def script(name: str, about: str, shared: dict[str, Any], rows: list[Any]) -> str:
    r"""A script that sets a variable to what is shared and to rows in which words are numbers.

    >>> print(script("ROWS", "Two rows.", {"n": 2}, [["rock", "<b>"], ["rock", 7]]))
    // Two rows.
    window.OVERPAINT_ROWS = {"n":2,"words":["rock"],"rows":[
    [0,"\u003cb>"],
    [0,7]
    ]};
    <BLANKLINE>
    """
    counts: Counter[str] = Counter(strings(rows))
    words = [word for word, n in counts.most_common() if n > 1]
    numbers = {word: number for number, word in enumerate(words)}

    def packed(values: list[Any]) -> list[Any]:
        return [
            (numbers[part] if part in numbers else fit_for_a_page(part))
            if isinstance(part, str)
            else packed(part)
            if isinstance(part, list)
            else part
            for part in values
        ]

    head = in_script({**shared, "words": [fit_for_a_page(word) for word in words]})
    lines = ",\n".join(in_script(packed(row)) for row in rows)
    return f'// {about}\nwindow.OVERPAINT_{name} = {head[:-1]},"rows":[\n{lines}\n]}};\n'


def strings(values: list[Any]) -> list[str]:
    """All strings of a list of lists, in their order.

    >>> strings(["a", 1, ["b", ["a"]]])
    ['a', 'b', 'a']
    """
    found, floor = [], [iter(values)]
    while floor:
        for part in floor[-1]:
            if isinstance(part, str):
                found.append(part)
            elif isinstance(part, list):
                floor.append(iter(part))
                break
        else:
            floor.pop()
    return found


def in_script(value: Any) -> str:
    """A value as JSON that is ASCII and begins no element."""
    return ENCODER.encode(value).replace("<", "\\u003c")


# --- channels ----------------------------------------------------------------------------------


def layer_script(channels: Channels, gallery: Gallery, layer: str) -> str:
    """All that the page of a layer shows of any of its channels."""
    comparison, rows = channels.comparison, channels.by_layer[layer]
    page = comparison.layer(layer)
    measured = [list(facts(channels, row)) for row in rows]
    units = list(channels.rows)
    first, last = (units.index((layer, row.channel)) for row in (rows[0], rows[-1]))
    ends = units[first - 1] if first else None, units[last + 1] if units[last + 1 :] else None
    beside = [channels.link(*unit) if unit else None for unit in ends]
    images = Images.of(gallery, layer)
    outlines = [gallery.outlines[side].get(layer) for side in SIDES]
    return script(
        "LAYER",
        "The channels of a layer, for its page; docs/report.md says how it is to be read.",
        {
            "names": {fact.name.text: fact.name.href for each in measured for fact in each},
            "patterns": patterns(comparison),
            "beside": [[link.text, link.href] if link else None for link in beside],
            "seen": [asdict(outline) if outline else None for outline in outlines],
            "digits": DIGITS,
            "widths": [images.picture_width, images.place_width],
            "columns": images.columns,
        },
        [
            [
                row.channel,
                remark(row, comparison.facts.k),
                *blanks(row),
                [in_row(fact, page) for fact in facts_of_row],
                [in_row(fact, "") for fact in standing(channels, row)],
                [_side(gallery, images, side, row) for side in (0, 1)],
                [[*drawn(picture), what] for picture, what in gallery.together(layer, row.channel)],
            ]
            for row, facts_of_row in zip(rows, measured, strict=True)
        ],
    )


def in_row(fact: Fact, page: str) -> list[Any]:
    """A number of a channel, for a page: its name, itself, what qualifies it, where it leads."""
    href = (fact.value.href or "").removeprefix(page) if page else ""
    cells = [fact.name.text, fact.value.text, fact.aside, href]
    while not cells[-1]:
        cells.pop()
    return cells


def drawn(picture: Picture | None) -> list[Any]:
    """A feature visualisation: its address, its size, and what it is."""
    return [picture.src, picture.width, picture.height, picture.alt] if picture else []


def _side(gallery: Gallery, images: "Images", side: int, row: ChannelRow) -> list[Any]:
    """A channel in one of the two networks."""
    unit = row.layer, row.channel
    picture, caption = gallery.rendering(gallery.networks[side], *unit)
    is_located = row.layer in gallery.outlines[SIDES[side]]
    positions = gallery.maximal.positions_of(*unit)[side] if is_located else None
    written = images.written(gallery.maximal.of(*unit)[side], positions)
    return [caption, drawn(picture), written]


@dataclass(frozen=True, kw_only=True)
class Images:
    """How the maximal images of a layer's channels are written: so many signs for the number of a
    picture, and so many for a position, 0 for none and row × columns + column + 1 for others.
    """

    picture_width: int
    place_width: int
    columns: int

    @classmethod
    def of(cls, gallery: Gallery, layer: str) -> "Images":
        """The least signs that do for all channels of a layer."""
        places = [
            positions
            for unit, positions in gallery.maximal.positions.items()
            if unit[0] == layer and layer in gallery.outlines.get(unit[2], {}) and len(positions)
        ]
        rows, columns = np.concatenate([NOTHING.reshape(0, 2), *places]).max(0, initial=-1) + 1
        return cls(
            picture_width=signs(len(gallery.maximal.pictures)),
            place_width=signs(int(rows * columns + 1)) if rows * columns else 0,
            columns=int(columns),
        )

    def written(self, numbers: Numbers, positions: Numbers | None) -> str:
        """Maximal images by rank, and where each excites the channel most."""
        places = np.zeros_like(numbers)
        if positions is not None and len(positions):
            row, column = positions.T
            places = np.where(row < 0, 0, row * self.columns + column + 1)
        return in_digits((numbers, self.picture_width), (places, self.place_width))


def in_digits(*columns: tuple[Numbers, int]) -> str:
    """Rows of numbers as signs, so many for each number of a column.

    >>> in_digits((np.array([0, 91]), 2), (np.array([1, 2]), 1))
    '##$$$%'
    """
    digits = np.concatenate(
        [values[:, None] // BASE ** np.arange(width)[::-1] % BASE for values, width in columns],
        axis=1,
    )
    return CODES[digits].tobytes().decode()


def signs(n: int) -> int:
    """How many signs it takes to tell so many numbers apart.

    >>> [signs(n) for n in (1, 90, 91, 8100, 8101)]
    [1, 1, 2, 2, 3]
    """
    width = 1
    while BASE**width < n:
        width += 1
    return width


# --- pictures ----------------------------------------------------------------------------------


def pictures_script(gallery: Gallery) -> str:
    """The pictures among which the maximal images of a comparison are, by number."""
    rows: list[Any] = []
    sheets, page = {}, ""
    if gallery.dataset:
        page = gallery.dataset.page
    for number, (image, _, label) in enumerate(gallery.maximal.pictures):
        thumb = gallery.thumb(number)
        origin = gallery.origin(image, thumb)
        row: list[Any] = [image, label or ABSENT]
        if thumb:
            row += [thumb.src, thumb.width, thumb.height]
        if thumb and thumb.sheet:
            sheets[thumb.src] = [thumb.sheet.width, thumb.sheet.height]
            row += [thumb.x, thumb.y]
        href = "" if origin.page else origin.href or ""
        if href or origin.remark:
            row += [None] * (7 - len(row)) + [href, origin.remark]
        rows.append(row)
    return script(
        "PICTURES",
        "The pictures of a comparison, for the pages of its layers: see docs/report.md.",
        {"sheets": sheets, "page": page},
        rows,
    )
