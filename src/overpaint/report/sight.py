"""What of a picture a position of a layer's map has seen, drawn over the picture's thumbnail."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from markupsafe import Markup

from overpaint.boxes import Box, Line, on_picture


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

    def _seen(self, row: int, column: int, width: int, height: int) -> tuple[Box, Box]:
        (top, bottom), (left, right) = self.rows.span(row), self.columns.span(column)
        x, y = (left + right) // 2, (top + bottom) // 2
        box, middle = (
            on_picture(each, width, height, size=self.size, resize=self.resize)
            for each in ((left, top, right, bottom), (x, y, x + 1, y + 1))
        )
        return box, middle

    def _all(self, width: int, height: int) -> Box:
        every = (0, 0, self.size, self.size)
        return on_picture(every, width, height, size=self.size, resize=self.resize)


@cache  # a channel looks at a few hundred positions of pictures of a few sizes
def _outline(sight: Sight, row: int, column: int, width: int, height: int) -> Markup:
    # every part is a number
    (left, top, right, bottom), middle = sight._seen(row, column, width, height)  # noqa: SLF001
    whole = (left, top, right, bottom) == sight._all(width, height)  # noqa: SLF001
    box = "" if whole else f'<path d="M{left} {top}H{right}V{bottom}H{left}z"/>'
    x, y = (middle[0] + middle[2]) // 2, (middle[1] + middle[3]) // 2
    dot = (
        f'<path d="M{x} {y}h0"/>'  # the round end of a line without length: as large in any picture
    )
    return Markup(  # noqa: S704
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="xMidYMid slice" '
        f'aria-hidden="true">{box}{dot}</svg>'
    )


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
        lines = [Line(*map(int, layer[side])) for side in ("rows", "columns")]
        sight = Sight(lines[0], lines[1], int(told["size"]), int(told["resize"]))
    except (KeyError, TypeError, ValueError):
        return None
    return sight if 0 < sight.size <= sight.resize else None
