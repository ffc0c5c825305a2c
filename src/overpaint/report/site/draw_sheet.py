"""Draws one sheet of thumbnails; as a program, from an order in JSON to the bytes of the sheet.

It is run by its path in a process of its own (`sheets.drawn`), and needs nothing of the rest.
"""

import io
import json
import os
import sys

from PIL import Image

QUALITY = 85


def fitted(size: tuple[int, int], most: int) -> tuple[int, int]:
    """A size whose longer side is so many pixels at most.

    >>> fitted((112, 84), 48), fitted((40, 20), 48)
    ((48, 36), (40, 20))
    """
    times = min(1.0, most / max(size))
    return max(1, round(size[0] * times)), max(1, round(size[1] * times))


def draw_sheet(
    folder: str, size: tuple[int, int], corners: dict[str, tuple[int, int]], most: int
) -> bytes:
    """A sheet as JPEG, thumbnails of a folder by their corners, their longer side `most` pixels at
    most; one that cannot be decoded is left blank.
    """
    sheet = Image.new("RGB", size, "#888")
    for name, corner in corners.items():
        try:
            with Image.open(os.path.join(folder, name), formats=["JPEG"]) as thumbnail:  # noqa: PTH118
                copy = thumbnail.convert("RGB")
                copy = copy.resize(fitted(copy.size, most), Image.Resampling.LANCZOS)
                sheet.paste(copy, corner)
        except (OSError, ValueError, SyntaxError):
            continue
    data = io.BytesIO()
    sheet.save(data, "JPEG", quality=QUALITY, optimize=True)
    return data.getvalue()


if __name__ == "__main__":
    folder, size, corners, most = json.load(sys.stdin)
    places = {name: (x, y) for name, (x, y) in corners.items()}
    sys.stdout.buffer.write(draw_sheet(folder, tuple(size), places, most))
