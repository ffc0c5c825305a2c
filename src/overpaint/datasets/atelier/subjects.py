"""What the atelier's pictures show: ten subjects as a few flat pieces each.

>>> pieces = SHAPES["house"](np.random.default_rng(0))
>>> [piece.role for piece in pieces]
['second', 'main', 'second', 'third', 'light']

A subject stands in a box from −1 to 1, x to the right and y down; every draw from the generator
varies its build. A piece names the role of its colour, not the colour, so that the same house can
be photographed in brick red and painted in blue. `COATS` are the colours that such things have.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""The corners of a polygon [n, 2], as (x, y)."""

Generator = np.random.Generator


@dataclass(frozen=True)
class Piece:
    """A polygon and the role of its colour: main, second, third, light or dark."""

    role: str
    outline: Points


def polygon(*corners: tuple[float, float]) -> Points:
    """A polygon from its corners."""
    return np.array(corners, np.float64)


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """An upright rectangle."""
    return polygon((left, top), (right, top), (right, bottom), (left, bottom))


ROUND = np.stack([np.cos(np.arange(20) * np.pi / 10), np.sin(np.arange(20) * np.pi / 10)], 1)
"""A circle of radius 1, as near as twenty corners come to it."""


def disc(x: float, y: float, rx: float, ry: float | None = None, turn: float = 0.0) -> Points:
    """An ellipse, turned by an angle in radians."""
    upright = ROUND * (rx, rx if ry is None else ry)
    return (turned(upright, turn) if turn else upright) + (x, y)


def turned(points: Points, angle: float) -> Points:
    """Points turned about the origin, clockwise as y points down."""
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


def shifted(points: Points, x: float, y: float) -> Points:
    """Points moved by x and y."""
    return points + (x, y)


def symmetric(right: Points) -> Points:
    """A closed outline from its right half, listed from top to bottom."""
    return np.concatenate([right, right[::-1] * (-1, 1)])


# --- the ten subjects --------------------------------------------------------------------------


def house(rng: Generator) -> list[Piece]:
    """Walls, a gabled roof, a chimney, a door and a window or two."""
    half, eaves, foot = rng.uniform(0.55, 0.85), rng.uniform(-0.2, 0.1), 0.85
    ridge, hip = eaves - rng.uniform(0.45, 0.7), rng.choice([0.0, 0.0, 0.3])
    chimney, door = rng.uniform(0.25, 0.45) * half, rng.uniform(-0.4, 0.1) * half
    roof = polygon((-half - 0.12, eaves), (-hip, ridge), (hip, ridge), (half + 0.12, eaves))
    pieces = [
        Piece("second", box(chimney, ridge - 0.05, chimney + 0.18, eaves)),
        Piece("main", box(-half, eaves - 0.02, half, foot)),
        Piece("second", roof),
        Piece("third", box(door - 0.14, foot - 0.5, door + 0.14, foot)),
        Piece("light", box(door + 0.28, eaves + 0.2, door + 0.52, eaves + 0.45)),
    ]
    if rng.uniform() < 0.5 and door - 0.3 > -half + 0.1:
        pieces.append(Piece("light", box(door - 0.5, eaves + 0.2, door - 0.26, eaves + 0.45)))
    return pieces


def tree(rng: Generator) -> list[Piece]:
    """A trunk below a round, a pointed or a slender crown."""
    kind, girth = rng.integers(3), rng.uniform(0.07, 0.13)
    trunk = Piece(
        "third", polygon((-girth, 0), (girth, 0), (girth * 1.5, 0.95), (-girth * 1.5, 0.95))
    )
    if kind == 0:
        return [trunk, *round_crown(rng)]
    if kind == 1:
        return [trunk, *fir_crown(rng)]
    half = rng.uniform(0.25, 0.34)
    slender = symmetric(
        polygon((0, -1), (half * 0.7, -0.6), (half, 0), (half * 0.8, 0.5), (0, 0.65))
    )
    return [
        trunk,
        Piece("main", slender),
        Piece("second", slender * (0.5, 0.85) + (half * 0.3, 0.05)),
    ]


def round_crown(rng: Generator) -> list[Piece]:
    centres = np.stack([rng.uniform(-0.42, 0.42, 5), rng.uniform(-0.65, 0.0, 5)], 1)
    blobs = [disc(x, y, rng.uniform(0.3, 0.44)) for x, y in centres]
    return [Piece("second" if number < 2 else "main", blob) for number, blob in enumerate(blobs)]


def fir_crown(rng: Generator) -> list[Piece]:
    half, storeys = rng.uniform(0.45, 0.65), rng.integers(2, 5)
    tops = np.linspace(-1, -0.05, storeys)
    widths = np.linspace(0.6, 1, storeys) * half
    depth = 1.3 / storeys + 0.15
    return [
        Piece(
            "second" if number % 2 else "main",
            polygon((0, top), (wide, top + depth), (-wide, top + depth)),
        )
        for number, (top, wide) in enumerate(zip(tops, widths, strict=True))
    ][::-1]


def boat(rng: Generator) -> list[Piece]:
    """A hull with a mast and one or two sails."""
    stern, keel, mast = rng.uniform(0.7, 0.9), rng.uniform(0.7, 0.85), rng.uniform(-0.15, 0.15)
    hull = polygon((-0.95, 0.4), (0.98, 0.36), (stern * 0.8, keel), (-stern * 0.75, keel))
    top = rng.uniform(-1, -0.75)
    pieces = [
        Piece("third", box(mast - 0.03, top, mast + 0.03, 0.45)),
        Piece(
            "light",
            polygon(
                (mast + 0.06, top + 0.05), (mast + rng.uniform(0.5, 0.8), 0.25), (mast + 0.06, 0.27)
            ),
        ),
        Piece("main", hull),
        Piece("third", polygon((-0.95, 0.4), (0.98, 0.36), (0.93, 0.47), (-0.92, 0.5))),
    ]
    if rng.uniform() < 0.7:
        jib = polygon(
            (mast - 0.06, top + 0.2), (mast - 0.06, 0.24), (mast - rng.uniform(0.4, 0.75), 0.24)
        )
        pieces.insert(1, Piece("second", jib))
    return pieces


def bird(rng: Generator) -> list[Piece]:
    """A bird, at rest on two legs or with its wings raised."""
    tilt, plump = rng.uniform(-0.45, 0.05), rng.uniform(0.3, 0.4)
    flying = rng.uniform() < 0.4
    body = [
        Piece(
            "second",
            shifted(
                turned(polygon((-0.35, -0.1), (-1, -0.08), (-0.95, 0.16), (-0.3, 0.14)), tilt),
                0,
                0.1,
            ),
        ),
        Piece("main", shifted(turned(disc(0, 0, 0.58, plump), tilt), 0, 0.1)),
        Piece("third", polygon((0.7, -0.45), (1.02, -0.33), (0.7, -0.25))),
        Piece("main", disc(0.52, -0.35, 0.25)),
        Piece("dark", disc(0.6, -0.4, 0.06)),
    ]
    if flying:
        far = polygon((-0.1, -0.05), (0.3, -0.05), (0.1, -0.95), (-0.35, -0.8))
        near = polygon((-0.25, 0.1), (0.25, 0.0), (-0.35, -0.95), (-0.75, -0.75))
        return [Piece("second", far), *body, Piece("second", near)]
    legs = [
        Piece("third", polygon((x, 0.35), (x + 0.06, 0.35), (x + 0.1, 0.92), (x + 0.03, 0.92)))
        for x in (-0.1, 0.12)
    ]
    wing = shifted(
        turned(polygon((0.3, -0.14), (0.2, 0.16), (-0.3, 0.2), (-0.75, 0.05), (-0.2, -0.16)), tilt),
        0,
        0.08,
    )
    return [*legs, *body, Piece("second", wing)]


def fish(rng: Generator) -> list[Piece]:
    """A body with fins, a forked tail and sometimes stripes."""
    deep, fork = rng.uniform(0.3, 0.48), rng.uniform(0.3, 0.48)
    along = np.linspace(0, np.pi, 10)
    back = np.stack([0.95 - 1.45 * along / np.pi, -deep * np.sin(along) ** 0.8], 1)
    belly = back[::-1] * (1, -1)
    pieces = [
        Piece("second", polygon((-0.35, 0), (-0.98, -fork), (-0.8, 0), (-0.98, fork))),
        Piece("second", polygon((0.45, -deep * 0.8), (0.0, -deep - 0.28), (-0.25, -deep * 0.6))),
        Piece("second", polygon((0.3, deep * 0.7), (0.0, deep + 0.22), (-0.1, deep * 0.7))),
        Piece("main", np.concatenate([back, belly])),
    ]
    if rng.uniform() < 0.5:
        pieces += [Piece("third", disc(x, 0, 0.06, deep * 0.75)) for x in (0.32, 0.05, -0.2)]
    return [
        *pieces,
        Piece("light", disc(0.66, -0.08, 0.11)),
        Piece("dark", disc(0.68, -0.08, 0.055)),
    ]


def flower(rng: Generator) -> list[Piece]:
    """A stem with leaves, and petals around a disc."""
    petals, reach, y = rng.integers(5, 9), rng.uniform(0.3, 0.38), -0.42
    lean = rng.uniform(-0.2, 0.2)
    stem = polygon((-0.04, y), (0.04, y), (lean + 0.05, 0.98), (lean - 0.05, 0.98))
    leaves = [
        Piece(
            "third",
            shifted(
                turned(disc(side * 0.3, 0, 0.32, 0.12), -side * 0.5),
                lean / 2,
                rng.uniform(0.4, 0.7),
            ),
        )
        for side in (-1, 1)
    ]
    angles = np.arange(petals) * 2 * np.pi / petals + rng.uniform(0, 1)
    width = 1.9 * reach / petals
    corolla = [
        Piece("main", disc(np.cos(a) * reach, y + np.sin(a) * reach, reach * 0.72, width, a))
        for a in angles
    ]
    return [
        Piece("third", stem),
        *leaves,
        *corolla,
        Piece("second", disc(0, y, rng.uniform(0.16, 0.22))),
    ]


def bottle(rng: Generator) -> list[Piece]:
    """A body, shoulders, a neck with its cork, and a label."""
    half, neck = rng.uniform(0.28, 0.42), rng.uniform(0.08, 0.13)
    shoulder, collar = rng.uniform(-0.3, 0.0), rng.uniform(-0.6, -0.4)
    right = polygon(
        (neck, -0.92),
        (neck, collar),
        (half * 0.75, shoulder - 0.1),
        (half, shoulder + 0.08),
        (half, 0.9),
        (half * 0.85, 0.97),
    )
    label = box(-half, shoulder + 0.3, half, min(shoulder + 0.75, 0.8))
    shine = box(-half * 0.75, shoulder + 0.1, -half * 0.5, 0.85)
    cork = box(-neck * 0.9, -1.0, neck * 0.9, -0.82)
    return [
        Piece("third", cork),
        Piece("main", symmetric(right)),
        Piece("light", shine),
        Piece("second", label),
    ]


def figure(rng: Generator) -> list[Piece]:
    """A person in a long coat or in trousers, with or without a hat."""
    hem, reach = rng.uniform(0.26, 0.5), rng.uniform(0.3, 0.55)
    robe = rng.uniform() < 0.55
    shoulders = symmetric(
        polygon(
            (0.1, -0.5), (0.26, -0.42), (0.22, 0.1), (hem if robe else 0.24, 0.95 if robe else 0.3)
        )
    )
    legs = (
        []
        if robe
        else [
            Piece(
                "second",
                polygon((0, 0.25), (side * 0.23, 0.25), (side * 0.26, 0.97), (side * 0.08, 0.97)),
            )
            for side in (-1, 1)
        ]
    )
    lift = rng.uniform(-0.5, 0.35, 2)
    arms = [
        Piece(
            "main",
            polygon(
                (side * 0.2, -0.42),
                (side * 0.27, -0.3),
                (side * reach, y + 0.08),
                (side * (reach - 0.06), y - 0.08),
            ),
        )
        for side, y in zip((-1, 1), lift, strict=True)
    ]
    hands = [
        Piece("third", disc(side * reach, y, 0.08)) for side, y in zip((-1, 1), lift, strict=True)
    ]
    head = [Piece("third", disc(0, -0.7, 0.17, 0.21))]
    hat = [
        Piece("second", disc(0, -0.82, 0.3, 0.07)),
        Piece("second", box(-0.16, -1.02, 0.16, -0.82)),
    ]
    hair = [Piece("dark", disc(0, -0.83, 0.17, 0.11))]
    return [
        *legs,
        *hands,
        *arms,
        Piece("main", shoulders),
        *head,
        *(hat if rng.uniform() < 0.5 else hair),
    ]


def mountain(rng: Generator) -> list[Piece]:
    """A massif with a ridge in shadow and snow on its peaks."""
    peak, top, low = rng.uniform(-0.3, 0.3), rng.uniform(-0.75, -0.5), 0.65
    second = peak + rng.choice([-1, 1]) * rng.uniform(0.4, 0.55)
    rise = rng.uniform(-0.3, 0.0)
    snow, bend = rng.uniform(0.25, 0.45), rng.uniform(-0.1, 0.15)
    left, right = polygon((peak, top), (-1.05, low)), polygon((peak, top), (1.05, low))
    a, b = (edge[0] + (edge[1] - edge[0]) * snow for edge in (left, right))
    middle = (a + b) / 2
    cap = np.stack(
        [left[0], b, middle + (0.12, -0.06), middle + (0.02, 0.1), middle + (-0.12, -0.05), a]
    )
    shade = polygon(
        (peak, top), (1.05, low), (peak + bend, low), (peak + bend * 2, (top + low) / 2)
    )
    return [
        Piece("second", polygon((second, rise), (second + 0.6, low), (second - 0.6, low))),
        Piece("main", polygon((peak, top), (1.05, low), (-1.05, low))),
        Piece("second", shade),
        Piece("light", cap),
    ]


def moon(rng: Generator) -> list[Piece]:
    """A crescent, or a full moon with its seas, in a faint ring."""
    size = rng.uniform(0.6, 0.8)
    ring = [Piece("third", disc(0, 0, size + 0.2))] if rng.uniform() < 0.6 else []
    if rng.uniform() < 0.5:
        bright = np.linspace(-np.pi / 2, np.pi / 2, 16)
        outer = np.stack([np.cos(bright), np.sin(bright)], 1) * size
        inner = outer[::-1] * (rng.uniform(-0.1, 0.5), 1)
        return [*ring, Piece("main", np.concatenate([outer, inner]))]
    seas = [
        shifted(disc(0, 0, rng.uniform(0.12, 0.28) * size), *rng.uniform(-0.5, 0.5, 2) * size)
        for _ in range(4)
    ]
    return [*ring, Piece("main", disc(0, 0, size)), *(Piece("second", sea) for sea in seas)]


SHAPES: dict[str, Callable[[Generator], list[Piece]]] = {
    shape.__name__: shape
    for shape in (house, tree, boat, bird, flower, figure, moon, fish, bottle, mountain)
}

COATS: dict[str, tuple[str, ...]] = {
    "house": (
        "c9a27e 8c3b2a 4a3b30",
        "e6ddcb 6b4a3a 2f5d62",
        "a8472f 4b4f57 d8c9a8",
        "d9b65c 7c3f2c 5a3a22",
        "9fb3bd 3f4a5a 7a2e2a",
    ),
    "tree": (
        "4c7a36 2f5426 5b4130",
        "7f9a3e 4f6b2a 6a5038",
        "c0702a 8f4a1f 4a3527",
        "2f5d4a 1e4236 4a3a30",
        "d8a838 a8742a 4b382a",
        "a05a6a 74404f 4f3b33",
    ),
    "boat": (
        "8a3b2c d8c8a8 3a2f28",
        "2f4f70 d0d6d8 6a4f38",
        "3d3a38 b8543a 8a6a48",
        "d8d2c2 5f8fa8 7a4a34",
        "4f6a4a e0c070 4a3a2c",
    ),
    "bird": (
        "8a6a4a 5a4330 d8903a",
        "3a4a6a 232f48 e0a030",
        "b8463a 6f2a28 4a3a2c",
        "e4e0d6 9aa0a4 e08a3a",
        "4f7f9a 2f5168 3a3230",
        "d8b83a 8a7428 5a4030",
        "2e2c30 4a484e d8a020",
    ),
    "flower": (
        "d84a5a e8b838 4f7a3a",
        "f0e8e0 e0a828 3f6a3a",
        "8a5fb8 e8c850 4a7048",
        "e8a02a 6a4020 5a7a34",
        "5a7fd0 f0d868 3f6844",
        "e890a8 c8486a 577a44",
    ),
    "figure": (
        "3a4a68 2a2f3a d8a888",
        "8a2f34 3a2a2a e0b898",
        "5a6a4a 3f3a30 b08060",
        "c8a860 4a4238 8a5f44",
        "d8d4cc 5a5f6a c89878",
        "4a4048 7a5a48 6a4632",
    ),
    "moon": (
        "f0ead0 c8c0a4 b8bcc0",
        "f4dca0 d0b478 c8a880",
        "dfe6ea b4bec6 8fa0b4",
        "e8b070 c08850 b08068",
    ),
    "fish": (
        "d8702a e8b060 f0ece0",
        "8fa4b0 5f7684 d0dadc",
        "d8c03a 5a6a9a 3a4468",
        "4f8a8a 2f5f68 b8d0b8",
        "b84a4a 7a2f38 e8c8a8",
        "6a6a48 46482f c0b480",
    ),
    "bottle": (
        "2f5a3a d8cfae 8a6a48",
        "6a4224 e0d4b4 3a2f28",
        "8ab0b8 d86a4a c8a070",
        "3a4a7a e8e0c8 b08a5a",
        "b8bcae 4f7a6a 7a5a40",
        "7a2a3a d8c8a0 c0a070",
    ),
    "mountain": (
        "7a7f88 545a66 3f4a40",
        "8a7a6a 5f5248 4a4438",
        "5f7488 42546a 3a4a58",
        "9a8478 6a5650 54463f",
        "6a7a5a 46563f 3a4434",
    ),
}
"""The natural colours of each subject, as (main, second, third) in hexadecimal."""
