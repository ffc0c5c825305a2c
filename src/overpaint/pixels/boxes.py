"""Boxes: where in a picture the pixels lie that a position of a layer's map has seen; no torch.

>>> columns = Line(start=-16, jump=4, size=33)
>>> field = ReceptiveField(rows=columns, columns=columns, height=8, width=8)
>>> field.box(row=2, column=7)
(12, -8, 45, 25)
>>> on_picture(field.box(row=2, column=7), 640, 480, size=32, resize=32)
(253, 0, 551, 375)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from overpaint.errors import NetworkError
from overpaint.pixels.images import CropMode, fitted_size

Box = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels, right and bottom excluded, as Pillow has it."""


@dataclass(frozen=True)
class Line:
    """The pixels that the positions of a row or a column see: position i those from
    start + i × jump on, `size` of them.
    """

    start: int
    jump: int
    size: int

    def span(self, position: int) -> tuple[int, int]:
        """The first pixel of a position, and the one after its last."""
        first = self.start + position * self.jump
        return first, first + self.size

    def window(self, kernel: int, stride: int, padding: int, dilation: int = 1) -> "Line":
        """Seen through a window.

        >>> Line(0, 1, 1).window(kernel=7, stride=2, padding=3)
        Line(start=-3, jump=2, size=7)
        """
        return Line(
            self.start - padding * self.jump,
            self.jump * stride,
            self.size + (kernel - 1) * dilation * self.jump,
        )

    def __or__(self, other: "Line") -> "Line":
        """What one or the other sees, of two that move by the same jump.

        >>> Line(-1, 2, 3) | Line(0, 2, 5)
        Line(start=-1, jump=2, size=6)
        """
        start = min(self.start, other.start)
        end = max(self.start + self.size, other.start + other.size)
        return Line(start, self.jump, end - start)


@dataclass(frozen=True)
class ReceptiveField:
    """What the positions of a layer's map see of the network's input.

    `whole` says that there is no telling them apart: each may have seen the whole picture.
    """

    rows: Line
    columns: Line
    height: int  # positions of the map
    width: int
    whole: bool = False

    def box(self, row: int, column: int) -> Box:
        """The box of a position, in pixels of the input; it may reach beyond the picture, into the
        padding. Raises NetworkError for a position that the map does not have.
        """
        if not (0 <= row < self.height and 0 <= column < self.width):
            raise NetworkError(
                "no-position",
                f"there is no position ({row}, {column}) in a map of {self.height} × {self.width}",
            )
        (top, bottom), (left, right) = self.rows.span(row), self.columns.span(column)
        return left, top, right, bottom


def on_picture(
    box: Box, width: int, height: int, *, size: int, resize: int, crop_mode: CropMode = "center"
) -> Box:
    """A box of the network's input, in pixels of the picture that was shown.

    >>> on_picture((0, 0, 224, 224), 1000, 500, size=224, resize=256)
    (281, 31, 719, 469)

    The picture is upright, width × height; its shorter side became `resize` (or as `crop_mode`
    says), of which the middle was cut out. Only the part of the box inside the input is taken:
    beyond it there is no picture.
    """
    corners = [min(max(each, 0), size - 1) for each in box[:2]]
    corners += [min(max(each, 1), size) for each in box[2:]]  # a box beside the input: its edge
    left, top, right, bottom = on_picture_exactly(
        corners, width, height, size=size, resize=resize, crop_mode=crop_mode
    )
    return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)


def on_picture_exactly(
    box: Sequence[float],
    width: int,
    height: int,
    *,
    size: int,
    resize: int,
    crop_mode: CropMode = "center",
) -> tuple[float, float, float, float]:
    """The same without rounding to pixels; of a place beside the input, the nearest inside.

    >>> on_picture_exactly((0, 0, 112, 224), 1000, 500, size=224, resize=256)
    (281.25, 31.25, 500.0, 468.75)
    """
    sides = fitted_size((width, height), resize, crop_mode)

    def along(ends: tuple[float, float], length: int, resized: int) -> list[float]:
        # beyond a border's inner edge there is no picture
        first = (resized - size) // 2 if resized >= size else -((size - resized) // 2)
        if crop_mode != "center" and resized >= size:
            first = round((resized - size) / 2)  # as timm rounds
        places = [first + min(max(end, 0), size) for end in ends]
        return [min(max(place, 0), resized) * length / resized for place in places]

    (left, right), (top, bottom) = (
        along(ends, length, resized)
        for ends, length, resized in zip(
            ((box[0], box[2]), (box[1], box[3])), (width, height), sides, strict=True
        )
    )
    return left, top, right, bottom
