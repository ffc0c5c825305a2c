"""Eight manners of painting a view.

Each manner takes a view and a generator and returns colours 0..1 [3, SIDE, SIDE]. All of them paint
the same scenes in the same palettes: what tells them apart is the hand.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from overpaint.datasets.atelier.scenes import (
    ACROSS,
    DOWN,
    WORK,
    Colour,
    Colours,
    Field,
    View,
    blurred,
    filled,
    luminance,
    mixed,
    noise,
    oklch,
    opened,
    pixel,
    reduced,
    slope,
    soft,
)
from overpaint.datasets.atelier.subjects import Generator

Places = NDArray[np.int64]
"""The rows, or the columns, of some pixels [n]."""


def vivid(picture: Field, much: float) -> Field:
    """Colours [3, ...] drawn away from their grey."""
    grey = luminance(picture)
    return grey + (picture - grey) * np.float32(much)


def stretched(tone: Field) -> Field:
    """A tone spread over 0..1, but for its darkest and lightest twentieths."""
    low, high = (float(level) for level in np.quantile(tone[::4, ::4], (0.05, 0.95)))
    return ((tone - np.float32(low)) / np.float32(max(high - low, 0.1))).clip(0, 1)


def drawn(rng: Generator, low: float, high: float, *shape: int) -> Field:
    """Uniform draws, in single precision."""
    return rng.uniform(low, high, shape).astype(np.float32)


def scattered(rng: Generator, step: float) -> tuple[Places, Places]:
    """The rows and columns of places about a step apart, in random order [n]."""
    count = int(WORK / step) + 1
    grid = np.stack(np.meshgrid(np.arange(count), np.arange(count)), -1).reshape(-1, 2)
    places = (grid + rng.uniform(-0.35, 0.35, grid.shape) + (0.5, 0.5)) * step
    rows, columns = rng.permutation(places.astype(np.int64).clip(0, WORK - 1)).T
    return rows, columns


def contour(view: View, width: int) -> Field:
    """1 along the borders of the pieces, 0 elsewhere."""
    line = np.zeros((WORK, WORK), np.float32)
    for shift in range(1, width + 1):
        line[shift:] = np.maximum(line[shift:], view.part[shift:] != view.part[:-shift])
        line[:, shift:] = np.maximum(line[:, shift:], view.part[:, shift:] != view.part[:, :-shift])
    return line


# --- the eight manners -------------------------------------------------------------------------


def strokes(view: View, rng: Generator) -> Field:
    """Thick strokes of broken colour that follow the forms (impressionist)."""
    right, down = slope(soft(luminance(view.lit), 4))
    sway = noise(rng, 4, 4) + np.float32(rng.uniform(-0.5, 0.5))
    angle = np.arctan2(right * 12 + np.sin(sway) * 0.12, -down * 12 + np.cos(sway) * 0.12)
    canvas = blurred(view.lit, 2) * np.float32(rng.uniform(0.75, 1.0))
    _lay(canvas, view.lit, angle, scattered(rng, 7.5), (9, 3), rng)
    rows, columns = scattered(rng, 5.5)  # smaller strokes on the subjects, and here and there
    keep = (view.subject[rows, columns] > 0) | (rng.uniform(size=len(rows)) < 0.25)
    _lay(canvas, view.lit, angle, (rows[keep], columns[keep]), (6, 2), rng)
    return reduced(canvas)


def _lay(
    canvas: Field,
    lit: Field,
    angle: Field,
    places: tuple[Places, Places],
    size: tuple[int, int],
    rng: Generator,
) -> None:
    """Lay strokes on the canvas: along their angle, bristle beside bristle."""
    rows, columns = places
    long, wide = (np.arange(-half, half + 1, dtype=np.float32) * np.float32(0.85) for half in size)
    along, beside = (axis.ravel() for axis in np.meshgrid(long, wide))
    turn = (angle[rows, columns] + drawn(rng, -0.35, 0.35, len(rows)))[:, None]
    sin, cos = np.sin(turn), np.cos(turn)
    down, across = (axis.astype(np.float32)[:, None] for axis in places)
    y = (down + along * sin + beside * cos).clip(0, WORK - 1).astype(np.intp)
    x = (across + along * cos - beside * sin).clip(0, WORK - 1).astype(np.intp)
    paint = vivid(lit[:, rows, columns], 1.2) + drawn(rng, -0.09, 0.09, 3, len(rows))
    ridge = 1 + np.float32(0.15) * beside / wide[-1] + np.float32(0.07) * np.sin(beside * 3)
    body = ridge * drawn(rng, 0.86, 1.14, len(rows), 1)
    for layer, tint in zip(canvas, paint, strict=True):
        layer[y, x] = tint[:, None] * body


def dots(view: View, rng: Generator) -> Field:
    """Round points of divided, unmixed colour on a light ground (pointillist)."""
    source = vivid(blurred(view.lit, 1.5), 1.35)
    ground = 0.35 * source.mean((1, 2)) + 0.65 * np.array([0.97, 0.94, 0.88], np.float32)
    canvas = np.tile(pixel(ground.astype(np.float32)), (1, WORK, WORK))
    step = rng.uniform(5.8, 6.8)
    dy, dx = (axis.ravel() for axis in np.meshgrid(np.arange(-3, 4), np.arange(-3, 4)))
    for radius, share in ((3.1, 1.0), (2.3, 0.6)):
        rows, columns = scattered(rng, step)
        keep = rng.uniform(size=len(rows)) < share
        rows, columns = rows[keep], columns[keep]
        within = dy**2 + dx**2 <= radius**2
        y = (rows[:, None] + dy[within]).clip(0, WORK - 1)
        x = (columns[:, None] + dx[within]).clip(0, WORK - 1)
        # The points divide the colours of the source: warm and cool, light and dark.
        side = np.sign(drawn(rng, -1, 1, len(rows)))
        warm = np.array([[0.1], [0.02], [-0.12]], np.float32) * side
        paint = source[:, rows, columns] + warm + drawn(rng, -0.09, 0.09, len(rows))
        for layer, tint in zip(canvas, paint, strict=True):
            layer[y, x] = tint[:, None]
    return reduced(canvas)


def planes(view: View, rng: Generator) -> Field:
    """Shapes cut from plain paper and pasted down, a little askew (cut-outs)."""
    colours = vivid(view.colours.T, 1.4).T
    sheet = Image.new("RGB", (WORK, WORK), _bytes(colours[0]))
    draw = ImageDraw.Draw(sheet)
    _paste(draw, np.concatenate([view.scene.skyline, [[1, 3], [0, 3]]]) * WORK, colours[1])
    for _ in range(int(rng.integers(1, 4))):
        tint = colours[int(rng.integers(len(colours)))] * 0.6 + 0.4 * drawn(rng, 0, 1, 3)
        _paste(draw, panel(rng) if rng.uniform() < 0.45 else leaf(rng), tint)
    rim = np.array([0.97, 0.95, 0.9], np.float32)
    for shape, colour in zip(view.scene.shapes, colours[-len(view.scene.shapes) :], strict=True):
        cut = shape.outline[:: 2 if len(shape.outline) > 12 else 1] * WORK + rng.normal(0, 1.2, 2)
        middle = cut.mean(0)
        _paste(draw, middle + (cut - middle) * 1.17, rim)
        _paste(draw, middle + (cut - middle) * 1.05, colour)
    return reduced(opened(sheet))


def panel(rng: Generator) -> NDArray[np.float64]:
    """A paper from top to bottom."""
    x, wide, (lean, tilt) = rng.uniform(0, WORK), rng.uniform(25, 60), rng.normal(0, 5, 2)
    return np.array([(x, 0), (x + wide, 0), (x + wide + lean, WORK), (x + tilt, WORK)])


def leaf(rng: Generator) -> NDArray[np.float64]:
    """A paper leaf with three to six lobes."""
    turn = np.linspace(0, 2 * np.pi, 40)
    reach = rng.uniform(10, 20) * (0.65 + 0.35 * np.cos(turn * rng.integers(3, 7)))
    return rng.uniform(0, WORK, 2) + np.stack([np.cos(turn), np.sin(turn)], 1) * reach[:, None]


def _paste(draw: ImageDraw.ImageDraw, outline: NDArray[np.float64], colour: Colour) -> None:
    draw.polygon(outline.ravel().tolist(), fill=_bytes(colour))


def _bytes(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (colour.clip(0, 1) * 255).astype(int).tolist()
    return red, green, blue


def hatching(view: View, rng: Generator) -> Field:
    """Lines that swell with the shadow and cross in the dark (engraving)."""
    dark = 1 - stretched(luminance(view.lit) + np.float32(0.08) * view.subject)
    period, angle = rng.uniform(0.042, 0.052), rng.uniform(0, np.pi)
    ink = contour(view, 1)
    for turn, floor in ((0.0, 0.1), (1.2, 0.6), (2.2, 0.85)):
        x, y = np.cos(angle + turn) / period, np.sin(angle + turn) / period
        phase = ACROSS * np.float32(x) + DOWN * np.float32(y) + view.relief * np.float32(1.5)
        line = np.abs(phase - np.floor(phase) - np.float32(0.5)) * 2
        weight = ((dark - np.float32(floor)) / np.float32(1 - floor)).clip(0, 1) * np.float32(0.6)
        swelling = weight + np.float32(0.14) * (dark > floor) - line
        ink = np.maximum(ink, (swelling * np.float32(4)).clip(0, 1))
    paper = pixel(oklch(rng.uniform(0.86, 0.96), rng.uniform(0.0, 0.05), rng.uniform()))
    pen = pixel(oklch(rng.uniform(0.15, 0.42), rng.uniform(0.0, 0.12), rng.uniform()))
    if rng.uniform() < 0.6:  # washed by hand
        paper = paper * (vivid(view.flat, 1.3) * np.float32(0.6) + np.float32(0.4))
    return reduced(mixed(paper, pen, ink))


def woodblock(view: View, rng: Generator) -> Field:
    """A few flat inks inside dark contours, a graded sky and the grain of the wood."""
    inks = farthest(view.colours, int(rng.integers(4, 7)))
    paper = pixel(oklch(0.93, 0.04, rng.uniform(0.1, 0.3)))
    sky = (view.part == 0) * ((np.float32(0.4) - DOWN) / np.float32(0.4)).clip(0, 1)
    sheet = mixed(filled(inks, view.part), pixel(inks[0] ** 2 * 0.6), sky)
    if view.scene.setting in {"sea", "haze"}:
        crest = np.sin(DOWN * np.float32(rng.uniform(60, 85)) + 2 * np.sin(ACROSS * 20))
        sheet = mixed(sheet, paper, np.float32(0.7) * ((view.part == 1) & (crest > 0.75)))
    veins = 1 + np.float32(0.03) * np.sin(DOWN * 70 + 6 * noise(rng, 3, 2))
    key = pixel(oklch(rng.uniform(0.12, 0.3), rng.uniform(0.0, 0.08), rng.uniform()))
    return reduced(mixed(sheet * veins * (0.8 + 0.2 * paper), key, contour(view, 2)))


def farthest(colours: Colours, count: int) -> Colours:
    """The colours, each replaced by the nearest of the `count` that lie farthest apart."""
    chosen = [0]
    gaps = np.square(colours[:, None] - colours).sum(-1)
    while len(chosen) < min(count, len(colours)):
        chosen.append(int(gaps[chosen].min(0).argmax()))
    return colours[np.array(chosen)[gaps[chosen].argmin(0)]]


def fields(view: View, rng: Generator) -> Field:
    """The scene dissolved into soft-edged bands of its colours (colour field)."""
    tints = vivid(view.colours.T, 1.4).T
    bands = int(rng.integers(2, 5))
    edges = np.linspace(0.06, 0.94, bands + 1)
    edges[1:-1] += rng.uniform(-0.12, 0.12, bands - 1)
    lean = np.float32(0.012) * noise(rng, 9, 9)
    side = np.float32(rng.uniform(0.38, 0.44)) - np.abs(ACROSS - np.float32(0.5))
    canvas = pixel(tints[int(rng.integers(len(tints)))] * np.float32(rng.uniform(0.45, 0.9)))
    cloud = 1 + np.float32(0.1) * noise(rng, 8, 8)
    for which, top, foot in zip(rng.permutation(len(tints)), edges, edges[1:], strict=False):
        height = np.float32((foot - top) / 2 - 0.018) - np.abs(DOWN - np.float32((foot + top) / 2))
        cover = ((np.minimum(side, height) + lean + np.float32(0.01)) * 18).clip(0, 0.95)
        canvas = mixed(canvas, pixel(tints[which]) * cloud, cover)
    ghost = blurred(view.lit, 6)
    haunt = np.float32(rng.uniform(0.15, 0.4))
    return reduced(canvas + haunt * (ghost - pixel(ghost.mean((1, 2)))))


def facets(view: View, rng: Generator) -> Field:
    """The scene broken along straight lines, each facet seen from elsewhere (cubist)."""
    lines = 6
    angles = np.linspace(0, np.pi, lines, endpoint=False) + rng.uniform(-0.3, 0.3, lines)
    code = np.zeros((WORK, WORK), np.int64)
    lean = np.zeros((WORK, WORK), np.float32)
    for number, angle in enumerate(angles + rng.uniform(0, 3)):
        x, y = 0.5 + rng.uniform(-0.3, 0.3, 2)
        across, down = np.float32(np.sin(angle)), np.float32(-np.cos(angle))
        beyond = (ACROSS - np.float32(x)) * across + (DOWN - np.float32(y)) * down
        code |= (beyond > 0).astype(np.int64) << number
        # Each line darkens one side and fades away from it: the edge of a folded plane.
        lean -= np.float32(0.3) * (beyond > 0) * (1 - beyond * 5).clip(0, 1)
    shift = rng.integers(-13, 14, (2, 2**lines))
    base = np.arange(WORK)
    rows = (base[:, None] + shift[0, code]).clip(0, WORK - 1)
    columns = (base + shift[1, code]).clip(0, WORK - 1)
    askew = np.float32(0.5) * (view.lit + view.flat)[:, rows, columns]
    value = drawn(rng, 0.85, 1.3, 2**lines)[code] + lean
    return reduced(vivid(askew, rng.uniform(0.6, 1.2)) * value)


def chiaroscuro(view: View, rng: Generator) -> Field:
    """Forms that emerge softly from the dark into one light."""
    glow = soft(soft(view.subject, 8), 16)
    x, y = (np.float32(1.2 * part) for part in view.scene.light)
    fall = (1 + x * (ACROSS - np.float32(0.5)) + y * (DOWN - np.float32(0.5))).clip(0.25, 1.7)
    lamp = (np.float32(0.2) + np.float32(0.8) * glow / glow.max()).clip(0, 1) * fall
    gloom = np.float32(0.45) * view.backdrop
    melted = blurred(mixed(gloom, view.lit, view.subject), rng.uniform(1, 2.5))
    bright = float((luminance(melted) * view.subject).sum() / max(view.subject.sum(), 1))
    lit = melted * lamp * np.float32(0.62 / max(bright, 0.2))
    dark = pixel(oklch(rng.uniform(0.14, 0.26), rng.uniform(0.02, 0.07), rng.uniform()))
    glaze = pixel(0.6 + 0.4 * oklch(0.85, 0.1, rng.uniform(0.1, 0.3)))
    weave = 1 + np.float32(0.05) * noise(rng, 50, 50)
    return reduced((dark + lit * glaze * (1 - dark)) * weave)


PAINTERS: dict[str, Callable[[View, Generator], Field]] = {
    painter.__name__: painter
    for painter in (strokes, dots, planes, hatching, woodblock, fields, facets, chiaroscuro)
}
