"""What of a picture a position of a layer's map has seen, drawn over the picture's thumbnail."""

from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup

from overpaint.pixels.boxes import Line, on_picture_exactly
from overpaint.pixels.images import CropMode
from overpaint.records import ReceptiveFields


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What the positions of one layer of one network see of the pictures that it is shown."""

    rows: Line
    columns: Line
    size: int
    resize: int
    crop_mode: CropMode = "center"

    def draw(self, row: int, column: int, width: int, height: int) -> Markup:
        """The box that a position has seen and its middle, over a picture of width × height.

        >>> line = Line(-16, 4, 33)
        >>> outline = Outline(rows=line, columns=line, size=32, resize=32)
        >>> print(outline.draw(2, 7, 64, 64))
        <svg class="seen" viewBox="0 0 64 64" preserveAspectRatio="xMidYMid slice" \
aria-hidden="true"><path d="M24 0H64V50H24z"/><path d="M57 17h0"/></svg>

        Of a box that holds all that the network is shown there is the middle alone.
        """
        return _drawing(self, row, column, width, height)


@lru_cache(maxsize=1 << 15)  # one channel's positions are the next one's, in the pictures of both
def _drawing(outline: Outline, row: int, column: int, width: int, height: int) -> Markup:
    (top, bottom), (left, right) = outline.rows.span(row), outline.columns.span(column)
    x, y = (left + right) / 2, (top + bottom) / 2
    field, middle, whole = (
        on_picture_exactly(
            box,
            width,
            height,
            size=outline.size,
            resize=outline.resize,
            crop_mode=outline.crop_mode,
        )
        for box in ((left, top, right, bottom), (x, y, x, y), (0, 0, outline.size, outline.size))
    )
    # The dot is the round end of a line without length, as large in a picture of any size.
    dot = f'<path d="M{_short(middle[0])} {_short(middle[1])}h0"/>'
    a, b, c, d = map(_short, field)
    box = "" if field == whole else f'<path d="M{a} {b}H{c}V{d}H{a}z"/>'
    return Markup(  # noqa: S704  (every part is a number)
        f'<svg class="seen" viewBox="0 0 {width} {height}" preserveAspectRatio="xMidYMid slice" '
        f'aria-hidden="true">{box}{dot}</svg>'
    )


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def outlines(network: ReceptiveFields | None) -> dict[str, Outline]:
    """The layers of a network that have an outline; none where a size makes no sense."""
    if network is None or not 0 < network.size <= network.resize:
        return {}
    return {
        layer: Outline(
            rows=Line(*lines["rows"]),
            columns=Line(*lines["columns"]),
            size=network.size,
            resize=network.resize,
            crop_mode=network.crop_mode,
        )
        for layer, lines in network.layers.items()
        if lines.keys() >= {"rows", "columns"}
    }
