"""The figures of the paper that are of several comparisons at once, or made of pictures.

Gonthier, Gousseau and Ladjal draw a curve a pair of networks into one chart, and below a feature
visualisation the images that excite its channel most, those framed that do so in both networks.
"""

from collections import Counter
from collections.abc import Iterator
from math import ceil, sqrt
from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw, ImageFont, ImageOps

from overpaint.defaults import SHOWN_IMAGES
from overpaint.errors import printable
from overpaint.report.charts import plots
from overpaint.report.charts.colours import LINES, RULE
from overpaint.report.parts.maximal import Maximal, read_maximal
from overpaint.report.parts.rows import Figure
from overpaint.report.parts.text import slug
from overpaint.report.site.files import Site
from overpaint.report.site.sheets import DIGEST
from overpaint.report.study.reading import ComparisonRecords, Records

NAMES = {
    "cka": "linear_cka",
    "weights": "l2_norm",
    "overlap": "overlapping_ratio",
    "entropy": "class_entropy",
    "scatter": "overlapping_ratio_and_class_entropy",
    "changes": "linear_cka",
}
"""What the paper calls what a chart of ours shows; the others have names of their own."""


def in_the_papers_words(place: str) -> str:
    """The place of a chart, with the paper's word for what it shows.

    >>> in_the_papers_words("comparisons/imagenet--mode_a/overlap")
    'comparisons/imagenet--mode_a/overlapping_ratio'
    """
    folder, _, name = place.rpartition("/")
    return f"{folder}/{NAMES.get(name, name)}"


def several_at_once(site: Site, records: Records) -> Iterator[Figure]:
    """For each dataset, CKA by layer and the distance of weights by kernel, a curve a comparison;
    of more than six comparisons in several charts. Networks without a common start have no
    distance.
    """
    for dataset in records.datasets:
        pairs = [pair for pair in records.comparisons.values() if pair.facts.dataset == dataset]
        related = [pair for pair in pairs if records.study.related(pair.before, pair.after)]
        for name, legend, curves in (
            ("linear_cka", "linear CKA", list(map(_alike, pairs))),
            ("l2_norm", "L2 norm of the difference", list(map(_apart, related))),
        ):
            drawn = [curve for curve in curves if len(curve)]
            for start in range(0, len(drawn), len(LINES)):
                long = pd.concat(drawn[start : start + len(LINES)], ignore_index=True)
                names = long["what"].drop_duplicates().tolist()
                most = float(long["value"].max()) or 1.0  # where nothing moved at all
                part = f"-{start // len(LINES) + 1}" if len(drawn) > len(LINES) else ""
                yield site.figure(
                    f"paper/{slug(dataset)}-{name}{part}",
                    title=f"{legend} by layer, on {dataset}",
                    reading="",
                    alt_text="",
                    chart=plots.curves(long, names, legend, most=most if name == "l2_norm" else 1),
                    table=long,
                )


def _alike(pair: ComparisonRecords) -> pd.DataFrame:
    """The curve of the biased CKA, which is the paper’s."""
    curve = pair.layers[["layer", "cka", "cka_low", "cka_high"]].dropna(subset="cka")
    curve = curve.set_axis(["layer", "value", "low", "high"], axis=1)
    return curve.assign(what=pair.title)


def _apart(pair: ComparisonRecords) -> pd.DataFrame:
    """The curve of the weights."""
    curve = pair.weights[["layer", "l2"]].dropna().set_axis(["layer", "value"], axis=1)
    return curve.assign(low=curve["value"], high=curve["value"], what=pair.title)


# --- sheets of maximal images ------------------------------------------------------------------

TILE, GAP, FRAME, LINE = 96, 6, 4, 26
"""Pixels: of an image on a sheet, between two of them, of the frame about one, of a line of text.
"""

SHARED = "#12876f"
"""The colour of the frame about an image that excites the channel in both networks."""

NAMED = 3
"""The classes that stand above a sheet with their shares."""


def sheets(records: Records) -> Iterator[tuple[str, Image.Image]]:
    """For each channel that was to be drawn a sheet, and its place: in both networks the feature
    visualisation above the maximal images, the shared ones framed.
    """
    for pair in records.comparisons.values():
        if not pair.facts.shown:
            continue
        maximal = read_maximal(pair)
        for layer, channel in pair.facts.shown:
            halves = [half(records, pair, maximal, side, (layer, channel)) for side in range(2)]
            apart, height = 4 * GAP, max(each.height for each in halves)
            sheet = Image.new("RGB", (sum(each.width for each in halves) + apart, height), "white")
            sheet.paste(halves[0], (0, 0))
            sheet.paste(halves[1], (halves[0].width + apart, 0))
            yield f"maximal_activation_images/{pair.name}/{slug(layer)}-{channel}", sheet


def half(
    records: Records, pair: ComparisonRecords, maximal: Maximal, side: int, unit: tuple[str, int]
) -> Image.Image:
    """A channel in the network before (0) or after (1)."""
    numbers = [each[:SHOWN_IMAGES].tolist() for each in maximal.of(*unit)]
    shared, pictures = {*numbers[0]} & {*numbers[1]}, [maximal.pictures[at] for at in numbers[side]]
    across = max(ceil(sqrt(len(pictures))), 4)
    width = across * (TILE + GAP) + GAP
    head, of_tiles = 2 * LINE + width, ceil(len(pictures) / across) * (TILE + GAP) + GAP
    sheet = Image.new("RGB", (width, head + of_tiles), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    classes = Counter(picture.label for picture in pictures if picture.label).most_common(NAMED)
    title = (pair.title_before, pair.title_after)[side]
    words = [f"{len(shared)} of {len(pictures)} shared"]
    words += [f"{label} {round(100 * times / len(pictures))} %" for label, times in classes]
    for line, shown in enumerate((f"{title}, {unit[0]}:{unit[1]}", " · ".join(words))):
        text = " ".join(printable(shown).split())
        while draw.textlength(text, font) > width - 2 * GAP:
            text = f"{text.removesuffix('…')[:-1]}…"
        draw.text((GAP, GAP + line * LINE), text, fill="black", font=font)
    network, folder = (pair.before, pair.after)[side], records.folder
    own = _opened(folder.root, folder.layer_renderings(network, unit[0]) / f"{unit[1]}.png")
    if own:
        within = (width - 2 * GAP, width - 2 * GAP)
        sheet.paste(ImageOps.contain(own, within), (GAP, 2 * LINE + GAP))
    else:
        draw.text((GAP, 3 * LINE), "not drawn", fill="black", font=font)
    for place, (at, picture) in enumerate(zip(numbers[side], pictures, strict=True)):
        left = GAP + place % across * (TILE + GAP)
        top = head + GAP + place // across * (TILE + GAP)
        path = folder.thumbnail(pair.facts.dataset, picture.digest)
        thumb = _opened(folder.root, path) if DIGEST.fullmatch(path.name) else None
        if at in shared:
            frame = (left - FRAME, top - FRAME, left + TILE + FRAME - 1, top + TILE + FRAME - 1)
            draw.rectangle(frame, fill=SHARED)
        tile = ImageOps.fit(thumb, (TILE, TILE)) if thumb else Image.new("RGB", (TILE, TILE), RULE)
        sheet.paste(tile, (left, top))
    return sheet


def _opened(root: Path, path: Path) -> Image.Image | None:
    """A picture of the study folder; None where there is none that can be read, or a link leads to
    another's.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        return None
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, ValueError):
        return None
