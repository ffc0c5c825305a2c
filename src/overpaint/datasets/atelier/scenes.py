"""Scenes: subjects in a setting, and the light on them; and the photographs taken of them.

A scene is still geometry and colour. `View` is the scene as it is seen: an array of lit colours and
the maps of its pieces, from which a photograph is printed here and every painting is painted in
`manners`.

>>> scene = compose(["boat", "moon"], np.random.default_rng(0))
>>> view = see(scene, np.random.default_rng(1))
>>> view.lit.shape, view.part.shape
((3, 128, 128), (128, 128))
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from overpaint.datasets.atelier.subjects import (
    COATS,
    SHAPES,
    Generator,
    Points,
    box,
    disc,
    turned,
)

SIDE = 64
"""The side of every picture, in pixels."""
WORK = 2 * SIDE
"""The side at which a picture is worked on, before it is reduced."""

Colour = NDArray[np.float32]
"""Red, green and blue [3], 0..1 as displayed (sRGB)."""
Colours = NDArray[np.float32]
"""Several colours [n, 3]."""
Field = NDArray[np.float32]
"""One value a pixel [WORK, WORK], or a colour a pixel [3, WORK, WORK].

Colours come first because NumPy is several times faster over long rows than over triples.
"""

GRID = (np.arange(WORK, dtype=np.float32) + np.float32(0.5)) / np.float32(WORK)
ACROSS, DOWN = np.meshgrid(GRID, GRID)
"""The place of each pixel, 0..1 [WORK, WORK]."""

SETTINGS: dict[str, tuple[str, ...]] = {
    "field": (
        "4f8fd0 cfe2ee 8fae6a 4c7a36",
        "8fb0c8 e8ecea b8b07a 8a7a48",
        "6a88b0 f0c8a0 7a8a58 48602f",
        "a8b4bc d8dcdc e8ecf0 c8d4dc",
        "5a98d8 e0eaf0 d8bc88 b08a58",
        "b0c0cc dfe4e4 a0784a 6a4c30",
    ),
    "sea": (
        "4f8fd0 d4e4ec 7fa8bd 2f5f7d",
        "9aacb8 dde2e2 8fa8a4 4a6f70",
        "6a5f98 f0b088 a88a90 4a4a70",
        "7ab0d8 eaf0ea 6fb8b0 2f7f88",
    ),
    "room": (
        "b8a890 c8b8a0 8a6240 5f4028",
        "8a9a98 a8b4b0 b09a78 7a6448",
        "7a4a42 94605a 9a7a58 5a4430",
        "d8d0c0 e4ddd0 c0b8ac 8f8880",
        "5f6f80 78889a a8703f 704826",
    ),
    "haze": (
        "3f7f98 7fb0b8 7fb0b8 2f5f78",
        "9ab078 c8d0a0 c8d0a0 6a8050",
        "b0b4b8 d0d2d2 d0d2d2 a0a4a8",
        "c89a78 e0c0a0 e0c0a0 9a6a50",
        "4f5a70 7a8498 7a8498 3a4458",
    ),
    "night": (
        "10182f 2f4060 283848 121a24",
        "1a1430 50406a 3a3448 1c1828",
        "0f2028 2c5058 2a4444 142426",
    ),
}
"""The natural colours of each setting: top of the sky, its foot, far ground, near ground."""

HABITATS: dict[str, str] = {
    "house": "field field field sea night",
    "tree": "field field haze sea night",
    "boat": "sea sea sea haze night",
    "bird": "field sea haze room field",
    "flower": "field room haze room field",
    "figure": "field room sea haze night",
    "moon": "night night field sea haze",
    "fish": "haze sea room haze sea",
    "bottle": "room room haze field room",
    "mountain": "field sea haze night field",
}
"""Where each subject is likely to be met; no setting belongs to one subject alone."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A piece in its place: an outline in picture units (0..1) and a colour."""

    outline: Points
    colour: Colour
    height: float  # how far it stands out, for the light: 0..1


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What there is to see."""

    setting: str
    skyline: Points  # the upper edge of the ground, from left to right
    ground: Colours  # top of the sky, its foot, far ground, near ground
    clutter: tuple[Shape, ...]  # bushes, stones, things on the table: never a subject
    shapes: tuple[Shape, ...]  # the subjects, back to front
    light: tuple[float, float]  # towards the light, x and y


@dataclass(frozen=True, kw_only=True)
class View:
    """A scene as it is seen, at WORK × WORK pixels.

    `part` numbers the pieces: 0 the sky, 1 the ground, then the clutter and the shapes in their
    order, and `colours` has one flat colour for each. `backdrop` is the setting without its
    subjects, `subject` is 1 where one is, and `relief`, 0..1, tells how the forms swell.
    """

    scene: Scene
    part: NDArray[np.uint8]
    colours: Colours
    subject: Field
    backdrop: Field
    relief: Field
    lit: Field

    @property
    def flat(self) -> Field:
        """The picture in flat colours."""
        return filled(self.colours, self.part)


# --- colours -----------------------------------------------------------------------------------


def colours_of(text: str) -> Colours:
    """Colours [n, 3] from hexadecimal.

    >>> colours_of("ff0000 336699").tolist()[0]
    [1.0, 0.0, 0.0]
    """
    values = [[int(code[i : i + 2], 16) for i in (0, 2, 4)] for code in text.split()]
    return np.array(values, np.float32) / np.float32(255)


def oklch(lightness: float, chroma: float, hue: float) -> Colour:
    """The displayed colour of an OKLCH triple, hue in turns; what cannot be shown is clipped.

    Source: B. Ottosson, "A perceptual color space for image processing" (2020).

    >>> oklch(1.0, 0.0, 0.0).round(2).tolist()
    [1.0, 1.0, 1.0]
    """
    a, b = chroma * np.cos(2 * np.pi * hue), chroma * np.sin(2 * np.pi * hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = np.array(
        [
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        ]
    ).clip(0, 1)
    displayed = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return displayed.astype(np.float32)


def pixel(colour: Colour) -> Field:
    """A colour [3, 1, 1], to be spread over a picture."""
    return colour[:, None, None]


def filled(colours: Colours, part: NDArray[np.uint8]) -> Field:
    """Each part in its colour [3, WORK, WORK]."""
    return np.ascontiguousarray(colours.T).take(part, axis=1)


def luminance(colour: Field) -> Field:
    """How bright colours [3, ...] look, 0..1 (Rec. 601 luma)."""
    return (
        np.float32(0.299) * colour[0]
        + np.float32(0.587) * colour[1]
        + np.float32(0.114) * colour[2]
    )


def pick(rng: Generator, choices: Sequence[str]) -> str:
    """One of several strings (much faster than `rng.choice`)."""
    return choices[int(rng.integers(len(choices)))]


HARMONIES = (
    (0.0, 0.08, -0.08, 0.5),
    (0.0, 0.5, 0.08, 0.42),
    (0.0, 0.33, 0.67, 0.33),
    (0.0, 0.12, 0.5, 0.62),
)


class Palette:
    """Colours that go together: hues in harmony around a random one, in a random key."""

    def __init__(self, rng: Generator) -> None:
        self.rng = rng
        self.hue = rng.uniform()
        self.hues = HARMONIES[int(rng.integers(len(HARMONIES)))]
        self.chroma = rng.uniform(0.05, 0.14)
        self.dark = rng.uniform() < 0.3

    def colour(self, lightness: float, which: int) -> Colour:
        """A colour of this lightness in one of the four hues of the harmony."""
        hue = self.hue + self.hues[which % 4] + self.rng.normal(0, 0.02)
        return oklch(lightness, self.chroma * self.rng.uniform(0.6, 1.25), hue)

    def ground(self) -> Colours:
        """The four colours of a setting."""
        keys = (0.28, 0.45, 0.38, 0.25) if self.dark else (0.7, 0.88, 0.72, 0.52)
        return np.stack([self.colour(key, number // 2) for number, key in enumerate(keys)])

    def coat(self) -> Colours:
        """The three colours of a subject, set off against the ground."""
        keys = (0.78, 0.6, 0.88) if self.dark else (0.5, 0.36, 0.86)
        return np.stack(
            [
                self.colour(key + self.rng.uniform(-0.1, 0.1), 2 + number)
                for number, key in enumerate(keys)
            ]
        )


# --- composing ---------------------------------------------------------------------------------


def compose(subjects: Sequence[str], rng: Generator, *, invented: float | None = None) -> Scene:
    """A scene of these subjects: as found in nature, or as a painter arranges it.

    The painter takes, with the chance `invented`, a palette instead of nature's colours, and
    leaves the clutter out. Several subjects share the width, in random order, and may overlap.
    """
    setting = pick(rng, HABITATS[subjects[0]].split())
    palette = Palette(rng) if rng.uniform() < (invented or 0) else None
    ground = palette.ground() if palette else _varied(colours_of(pick(rng, SETTINGS[setting])), rng)
    horizon = {"room": 0.66, "haze": 1.0}.get(setting, 0.56) + rng.uniform(-0.12, 0.1)
    order = rng.permutation(len(subjects))
    slots = [((place + 0.5) / len(subjects), subjects[who]) for place, who in enumerate(order)]
    slots.sort(key=lambda slot: ("moon", "mountain", slot[1]).index(slot[1]))  # the farthest first
    shapes: list[Shape] = []
    for slot, subject in slots:
        coat = palette.coat() if palette else natural_coat(subject, ground, rng)
        shapes += _stand(subject, slot, len(subjects), horizon, coat, rng)
    light = (pick_sign(rng) * rng.uniform(0.5, 0.9), -rng.uniform(0.4, 0.8))
    skyline = skyline_of(setting, horizon, rng)
    clutter = []  # up to four things in a photograph; a painter leaves them out
    if invented is None:
        clutter = [_thing(horizon, ground, rng) for _ in range(int(rng.integers(0, 5)))]
    return Scene(
        setting=setting,
        skyline=skyline,
        ground=ground,
        clutter=tuple(clutter),
        shapes=tuple(shapes),
        light=light,
    )


def pick_sign(rng: Generator) -> float:
    """Plus or minus one."""
    return 1.0 if rng.uniform() < 0.5 else -1.0


def _varied(colours: Colours, rng: Generator) -> Colours:
    """Natural colours on another day: another exposure, another white balance."""
    gain = rng.uniform(0.85, 1.12) * rng.uniform(0.92, 1.08, 3)
    return (colours * gain + rng.normal(0, 0.025, colours.shape)).clip(0, 1).astype(np.float32)


def natural_coat(subject: str, ground: Colours, rng: Generator) -> Colours:
    """Of two natural coats the one that is easier to see before this ground."""
    coats = [_varied(colours_of(pick(rng, COATS[subject])), rng) for _ in range(2)]
    return max(coats, key=lambda coat: float(np.abs(coat[0] - ground[1:3]).sum()))


def _stand(
    subject: str, slot: float, company: int, horizon: float, coat: Colours, rng: Generator
) -> list[Shape]:
    """A subject's pieces at their place: in the sky, on the horizon, or on the ground."""
    size = rng.uniform(0.26, 0.42) * (1.0, 0.78, 0.66)[company - 1]
    x = slot + rng.normal(0, 0.09 if company == 1 else 0.06)
    foot = {"moon": 0.42, "bird": 0.8, "fish": 0.85, "mountain": horizon + 0.05 + 0.35 * size}
    y = foot.get(subject, max(horizon, 0.5) + 0.28) + rng.uniform(-0.1, 0.1) - 0.85 * size
    if subject == "mountain":
        size *= 1.35
    angle = rng.normal(0, 0.3 if subject in {"moon", "fish"} else 0.09)
    stretch = (size * rng.uniform(0.87, 1.15) * pick_sign(rng), size)
    tints = dict(zip(("main", "second", "third"), coat, strict=True))
    tints |= {"light": 0.85 + 0.13 * coat[2], "dark": 0.22 * coat[1]}
    centre = (min(max(x, 0.22), 0.78), min(max(y, size * 0.7), 1.02 - size))
    return [
        Shape(
            outline=turned(piece.outline * stretch, angle) + centre,
            colour=tints[piece.role],
            height=rng.uniform(0.5, 1.0),
        )
        for piece in SHAPES[subject](rng)
    ]


def skyline_of(setting: str, horizon: float, rng: Generator) -> Points:
    """Rolling on land, straight at sea and at the edge of a table."""
    swell = {"field": 0.03, "night": 0.02}.get(setting, 0.0) * rng.uniform(0, 1.5)
    x = np.linspace(0, 1, 12)
    waves = np.sin(x * rng.uniform(3, 10) + rng.uniform(0, 6))
    return np.stack([x, horizon + swell * waves], 1)


def _thing(horizon: float, ground: Colours, rng: Generator) -> Shape:
    """A low thing in a colour near those of the ground."""
    wide, high = rng.uniform(0.04, 0.16), rng.uniform(0.02, 0.09)
    outline = disc(0, 0, wide, high) if rng.uniform() < 0.6 else box(-wide, -high, wide, high)
    place = (rng.uniform(0, 1), min(horizon, 0.8) + rng.exponential(0.1))
    colour = ground[int(rng.integers(1, 4))] * rng.uniform(0.65, 1.15) + rng.normal(0, 0.05, 3)
    return Shape(
        outline=outline + place,
        colour=colour.clip(0, 1).astype(np.float32),
        height=rng.uniform(0.2, 0.6),
    )


# --- seeing ------------------------------------------------------------------------------------


def noise(rng: Generator, rows: int, columns: int) -> Field:
    """Smooth noise about −1..1 with so many hills down and across."""
    coarse = Image.fromarray(rng.uniform(-1, 1, (rows, columns)).astype(np.float32))
    return np.asarray(coarse.resize((WORK, WORK), Image.Resampling.BICUBIC))


def soft(field: Field, factor: int) -> Field:
    """A field [WORK, WORK] blurred over about `factor` pixels."""
    small = Image.fromarray(field).reduce(factor)
    return np.asarray(small.resize((WORK, WORK), Image.Resampling.BICUBIC))


def blurred(picture: Field, radius: float) -> Field:
    """A picture [3, WORK, WORK] out of focus."""
    return opened(printed(picture).filter(ImageFilter.BoxBlur(radius)))


def printed(picture: Field) -> Image.Image:
    """Colours [3, height, width] as an image; what is below 0 or above 1 is clipped."""
    values = (picture.clip(0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(values.transpose(1, 2, 0)))


def opened(image: Image.Image) -> Field:
    """The colours of an image [3, height, width], 0..1."""
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)) * np.float32(1 / 255)


def reduced(picture: Field) -> Field:
    """A picture at SIDE × SIDE: each pixel the mean of four."""
    rows = picture[:, ::2] + picture[:, 1::2]
    return (rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25)


def mixed(a: Field, b: Field, share: Field) -> Field:
    """From a picture to another, by a share 0..1 of the second."""
    return a + (b - a) * share


def slope(field: Field) -> tuple[Field, Field]:
    """The steps of a field to the right and down, zero at the far edge."""
    right, down = np.zeros_like(field), np.zeros_like(field)
    np.subtract(field[:, 1:], field[:, :-1], out=right[:, :-1])
    np.subtract(field[1:], field[:-1], out=down[:-1])
    return right, down


def see(scene: Scene, rng: Generator) -> View:
    """The scene in its light."""
    part = Image.new("L", (WORK, WORK), 0)
    draw = ImageDraw.Draw(part)
    draw.polygon([*(scene.skyline * WORK).ravel().tolist(), WORK, 3 * WORK, 0, 3 * WORK], fill=1)
    land = np.array(part, np.float32)
    shapes = (*scene.clutter, *scene.shapes)
    for number, shape in enumerate(shapes, start=2):
        draw.polygon((shape.outline * WORK).ravel().tolist(), fill=number)
    parts = np.asarray(part)
    heights = np.array([0, 0, *(shape.height for shape in shapes)], np.float32)
    sky, ground = scene.ground[:2].mean(0), scene.ground[2:].mean(0)
    colours = np.stack([sky, ground, *(shape.colour for shape in shapes)])
    things = (parts > 1).astype(np.float32)
    subject = (parts > 1 + len(scene.clutter)).astype(np.float32)
    relief = np.float32(0.35) * soft(heights[parts], 3) + np.float32(0.65) * soft(subject, 12)
    shade, shadow = shading(scene, things, relief), shadow_of(scene, subject, land)
    backdrop = backdrop_of(scene, land, rng) * shadow
    bare = mixed(backdrop, filled(colours, parts), things)
    behind = mixed(bare, backdrop, subject) if scene.clutter else backdrop
    return View(
        scene=scene,
        part=parts,
        colours=colours,
        subject=subject,
        backdrop=behind,
        relief=relief,
        lit=bare * shade,
    )


def backdrop_of(scene: Scene, land: Field, rng: Generator) -> Field:
    """Sky above and ground below, with clouds, waves, grain or blades."""
    top, foot, far, near = (pixel(colour) for colour in scene.ground)
    horizon = float(scene.skyline[:, 1].mean())
    above = (GRID / np.float32(horizon)).clip(0, 1)[:, None]
    below = ((GRID - np.float32(horizon)) / np.float32(1.001 - min(horizon, 1))).clip(0, 1)[:, None]
    grain = {"sea": (40, 6), "room": (14, 2), "field": (24, 20)}.get(scene.setting, (6, 6))
    clouds = np.float32(0.02 if scene.setting == "room" else 0.08) * noise(rng, 9, 5).clip(-0.3, 1)
    ripple = 1 + np.float32(0.13) * noise(rng, *grain)
    return mixed(mixed(top, foot, above) + clouds, mixed(far, near, below) * ripple, land)


def shading(scene: Scene, things: Field, relief: Field) -> Field:
    """The light on each pixel, about 1: forms are shaded by how they lean."""
    x, y = (np.float32(part) for part in scene.light)
    right, down = slope(relief)
    shade = 1 - things * np.float32(11) * (x * right + y * down)
    fall = np.float32(0.15) * (x * (ACROSS - np.float32(0.5)) + y * (DOWN - np.float32(0.5)))
    return shade.clip(0.35, 1.5) + fall


def shadow_of(scene: Scene, subject: Field, land: Field) -> Field:
    """The shadow that the subjects throw on the ground, as a factor."""
    reach = -10 if scene.light[0] > 0 else 10
    thrown = soft(np.roll(subject, (5, reach), (0, 1)), 6)
    return 1 - np.float32(0.35) * thrown * land


# --- photographs -------------------------------------------------------------------------------


def photograph(view: View, rng: Generator) -> Field:
    """The view through a lens: depth of field, exposure, vignette and the noise of the sensor."""
    near, behind = reduced(view.lit), reduced(view.backdrop)
    focus = reduced(soft(view.subject, 2)[None]).clip(0, 1)
    focused = mixed(blurred(behind, rng.uniform(0.2, 2)), near, focus)
    centre = reduced((ACROSS - np.float32(0.5))[None] ** 2 + (DOWN - np.float32(0.5)) ** 2)
    exposure = np.float32(rng.uniform(0.8, 1.15)) * (1 - np.float32(rng.uniform(0, 0.7)) * centre)
    sensor = rng.standard_normal(focused.shape, np.float32) * np.float32(rng.uniform(0.005, 0.03))
    return blurred(focused * exposure, rng.uniform(0, 0.6)) + sensor
