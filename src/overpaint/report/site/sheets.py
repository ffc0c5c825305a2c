"""Thumbnails of a collection on sheets: one picture of many, where there would be many files."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path

from overpaint.pixels.images import size_of
from overpaint.records import digest
from overpaint.report.parts.rows import Sheet
from overpaint.report.parts.text import slug
from overpaint.report.site.draw_sheet import draw_sheet, fitted
from overpaint.report.site.incremental import IncrementalFiles

MOST = 2000
"""Of a collection with more thumbnails each is a file: a page would load all sheets of so many."""

SIDE = 1024
"""The longest side of a sheet, in pixels, as far as more than one thumbnail fits."""

SMALL = 48
"""The longer side of a thumbnail on a map of a collection that has more than those."""

BLOCK = 16
"""Thumbnails begin at a multiple of so many pixels, so that JPEG blends none into the next."""

APART = 200
"""A sheet of so many thumbnails takes as long to draw as a process to start, some 0.07 s."""

JPEG = b"\xff\xd8"
"""How one begins."""

DIGEST = re.compile(r"[0-9a-f]{24}\.jpg")
"""What a thumbnail is called in the study folder."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a thumbnail lies: its size, its sheet, and its corner on that."""

    width: int
    height: int
    sheet: Sheet
    x: int
    y: int


def on_sheets(files: IncrementalFiles, folder: Path, dataset: str) -> dict[str, Place]:
    """Put the thumbnails of a folder on sheets, by file name; nothing where there are too many."""
    names = [name for name, *_ in files.pictures_below(folder)]
    names = list(filter(DIGEST.fullmatch, names))
    return {} if len(names) > MOST else put_on_sheets(files, folder, names, slug(dataset))


def small_on_sheets(
    files: IncrementalFiles, folder: Path, names: Iterable[str], dataset: str
) -> dict[str, Place]:
    """Put some thumbnails of a folder on sheets that are small enough for a page to load all."""
    present = sorted({*names} & {name for name, *_ in files.pictures_below(folder)})
    title = f"{slug(dataset)}-map-{digest(present)[:8]}"
    return put_on_sheets(files, folder, present, title, most=SMALL)


def put_on_sheets(
    files: IncrementalFiles, folder: Path, names: Iterable[str], title: str, most: int = SIDE
) -> dict[str, Place]:
    """Put thumbnails, their longer side `most` pixels at most, on sheets of this title."""
    sizes = {name: fitted(size, most) for name in names if (size := size_of(folder / name))}
    if not sizes:
        return {}
    step_x, step_y = (
        -(-max(size[axis] for size in sizes.values()) // BLOCK) * BLOCK for axis in (0, 1)
    )
    across, down = max(1, SIDE // step_x), max(1, SIDE // step_y)
    told = {name: rest for name, *rest in files.pictures_below(folder)}
    places: dict[str, Place] = {}
    names = list(sizes)
    for number, first in enumerate(range(0, len(names), across * down)):
        on_it = names[first : first + across * down]
        rows = -(-len(on_it) // across)
        corners = {
            name: (step_x * (at % across), step_y * (at // across)) for at, name in enumerate(on_it)
        }
        sheet = Sheet(
            src=f"pictures/{title}-{number + 1}.jpg",
            width=step_x * min(across, len(on_it)),
            height=step_y * rows,
        )
        made_from = [[name, *told[name], *corner] for name, corner in corners.items()]
        draw = partial(drawn, folder, sheet, corners, most)
        files.cached_meanwhile(sheet.src, made_from, draw)
        for name, (x, y) in corners.items():
            width, height = sizes[name]
            places[name] = Place(width=width, height=height, sheet=sheet, x=x, y=y)
    return places


def drawn(folder: Path, sheet: Sheet, corners: dict[str, tuple[int, int]], most: int) -> bytes:
    """A sheet as JPEG. One of many thumbnails is drawn by a process of its own, for a thread would
    take turns with what makes pages; where there is none to be had, it is drawn here.
    """
    order = str(folder), (sheet.width, sheet.height), corners, most
    if len(corners) >= APART and sys.executable:
        with suppress(OSError, subprocess.CalledProcessError):
            program = str(resources.files("overpaint.report") / "site/draw_sheet.py")
            data = subprocess.run(  # noqa: S603  (a file of ours)
                [sys.executable, "-P", program],
                input=json.dumps(order).encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)},
                check=True,
            ).stdout
            if data.startswith(JPEG):
                return data
    return draw_sheet(*order)
