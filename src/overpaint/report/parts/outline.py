"""What of a picture a position of a layer's map has seen, drawn over the picture's thumbnail."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from markupsafe import Markup

from overpaint.pixels.boxes import Line, on_picture_exactly


@dataclass(frozen=True)
class Sight:
    """What the positions of one layer of one network see of the pictures that it is shown."""

    rows: Line
    columns: Line
    size: int
    resize: int

    def outline(self, row: int, column: int, width: int, height: int) -> Markup:
        """The box that a position has seen and its middle, over a picture of width × height.

        >>> sight = Sight(Line(-16, 4, 33), Line(-16, 4, 33), size=32, resize=32)
        >>> print(sight.outline(2, 7, 64, 64))
        <svg viewBox="0 0 64 64" preserveAspectRatio="xMidYMid slice" \
aria-hidden="true"><path d="M24 0H64V50H24z"/><path d="M57 17h0"/></svg>

        Of a box that holds all that the network is shown there is the middle alone.
        """
        return _outline(self, row, column, width, height)


@lru_cache(maxsize=1 << 15)  # one channel's positions are the next one's, in the pictures of both
def _outline(sight: Sight, row: int, column: int, width: int, height: int) -> Markup:
    (top, bottom), (left, right) = sight.rows.span(row), sight.columns.span(column)
    x, y = (left + right) / 2, (top + bottom) / 2
    seen, middle, every = (
        on_picture_exactly(each, width, height, size=sight.size, resize=sight.resize)
        for each in ((left, top, right, bottom), (x, y, x, y), (0, 0, sight.size, sight.size))
    )
    # The dot is the round end of a line without length, as large in a picture of any size.
    dot = f'<path d="M{_short(middle[0])} {_short(middle[1])}h0"/>'
    a, b, c, d = map(_short, seen)
    box = "" if seen == every else f'<path d="M{a} {b}H{c}V{d}H{a}z"/>'
    return Markup(  # noqa: S704  (every part is a number)
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="xMidYMid slice" '
        f'aria-hidden="true">{box}{dot}</svg>'
    )


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def sights(told: Any) -> dict[str, Sight]:
    """The layers of a network, from what the manifest tells of their receptive fields; those of
    which it tells nothing that makes sense are left out.
    """
    if not isinstance(told, Mapping) or not isinstance(told.get("layers"), Mapping):
        return {}
    found = {name: _sight(told, each) for name, each in told["layers"].items()}
    return {name: sight for name, sight in found.items() if sight}


def _sight(told: Mapping[str, Any], layer: Any) -> Sight | None:
    try:
        lines = _line(layer["rows"]), _line(layer["columns"])
        sight = Sight(*lines, int(told["size"]), int(told["resize"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return sight if 0 < sight.size <= sight.resize else None


def _line(told: Any) -> Line:
    if not isinstance(told, list):
        raise TypeError
    return Line(*map(int, told))
