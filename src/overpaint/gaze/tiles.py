"""Tiles: pictures with what was found of their places laid over them, side by side on a sheet.

>>> tile = overlay(np.full((32, 32, 3), 128, np.uint8), np.array([[0.0, 0.0], [0.0, 1.0]]))
>>> tile.shape, bool(tile[28, 28].sum() > tile[4, 4].sum())
((32, 32, 3), True)
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from overpaint.pixels.images import encoded

TILE = 112
"""Pixels of a tile's side: a multiple of the 16 within which WebP blends."""

ACROSS = 12
"""Tiles in a row of a sheet."""

QUALITY = 70

Pixels = NDArray[np.uint8]
Map = NDArray[np.floating]

GROUND = 0.8
"""How bright the grey of a picture is on which a map lies."""

DETAIL = 0.45
"""How much of a picture's light and dark is seen through a map."""

ABOVE = ((150, 10, 40), (255, 120, 0), (255, 240, 90))
BELOW = ((10, 30, 120), (30, 130, 230), (170, 235, 255))
"""Colours from a little to much, above zero and below: told apart by everybody, and in grey by how
bright they are.
"""


def overlay(picture: Pixels, values: Map) -> Pixels:
    """A map [h, w] of −1..1 over a picture [S, S, 3] in grey: nothing lets it be seen, much covers
    all but its light and dark. Between its places the map is drawn in a straight line.
    """
    grey = picture @ np.array([0.299, 0.587, 0.114])
    smooth = spread_out(np.clip(values, -1, 1), picture.shape[0])
    size = np.abs(smooth)
    steps = np.linspace(0, 1, len(ABOVE))
    colour = np.stack(
        [
            np.where(
                smooth >= 0,
                np.interp(size, steps, [each[band] for each in ABOVE]),
                np.interp(size, steps, [each[band] for each in BELOW]),
            )
            for band in range(3)
        ],
        axis=-1,
    )
    cover = np.clip(1.6 * size, 0, 1)[..., None]
    shaded = colour * through(grey)
    return np.clip((1 - cover) * GROUND * grey[..., None] + cover * shaded, 0, 255).astype(np.uint8)


def through(grey: NDArray[np.floating]) -> NDArray[np.floating]:
    """What a colour over a picture is multiplied by, [S, S, 1], for the picture to be seen."""
    return (1 - DETAIL + DETAIL * grey / 255)[..., None]


def spread_out(values: Map, side: int) -> NDArray[np.float32]:
    """A map [h, w] on side × side pixels, in a straight line from the middle of one place to that
    of the next.
    """
    small = Image.fromarray(np.asarray(values, np.float32))
    return np.asarray(small.resize((side, side), Image.Resampling.BILINEAR))


def in_colours(picture: Pixels, values: Map) -> Pixels:
    """A map of colours [h, w, 3], 0..1, over the light and dark of a picture [S, S, 3]."""
    bands = [spread_out(values[..., band], picture.shape[0]) for band in range(3)]
    shaded = 255 * np.stack(bands, axis=-1) * through(picture @ np.array([0.299, 0.587, 0.114]))
    return np.clip(shaded, 0, 255).astype(np.uint8)


def tile_of(picture: Pixels) -> Pixels:
    """A square picture as a tile."""
    sized = Image.fromarray(picture).resize((TILE, TILE), Image.Resampling.LANCZOS)
    return np.asarray(sized)


def sheet_of(tiles: Sequence[Pixels]) -> bytes:
    """Tiles side by side, `ACROSS` in a row, as a WebP."""
    rows = -(-len(tiles) // ACROSS)
    sheet = np.zeros((rows * TILE, min(len(tiles), ACROSS) * TILE, 3), np.uint8)
    for number, tile in enumerate(tiles):
        top, left = TILE * (number // ACROSS), TILE * (number % ACROSS)
        sheet[top : top + TILE, left : left + TILE] = tile
    return encoded(Image.fromarray(sheet), "WEBP", quality=QUALITY, method=6)
