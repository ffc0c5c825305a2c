"""Pixels: decode, crop, shrink, lay side by side; knows no network.

>>> picture = Image.new("RGB", (300, 200), "tan")
>>> centre_square(shorter_side(picture, 64, "bilinear"), 64).size
(64, 64)
"""

import hashlib
import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

from overpaint.errors import DatasetError

RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")


def decode(data: bytes, side: int | None = None) -> Image.Image:
    """A picture as upright RGB, from the bytes of a file.

    With `side`, a JPEG may be decoded at a fraction of its size, never below `side` pixels on its
    shorter side: a picture of 12 megapixels need not be decoded in full to make 224 pixels.
    Transparent parts become white. Raises ValueError with the reason for what is no picture, cut
    off, or large enough to be an attack (Pillow's limit of 179 megapixels).
    """
    try:
        with warnings.catch_warnings():
            # Above 89 megapixels Pillow only warns; large scans are what museums have.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data))
            if side is not None and picture.format == "JPEG":
                picture.draft("RGB", (side * picture.width // min(picture.size) + 1,
                                      side * picture.height // min(picture.size) + 1))  # fmt: skip
            picture.load()
            return _upright_rgb(picture)
    except UnidentifiedImageError:
        raise ValueError("not a picture that Pillow can read") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error) or type(error).__name__) from None


def _upright_rgb(picture: Image.Image) -> Image.Image:
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        picture = picture.point(lambda value: value / 256).convert("L")  # 16 bits to 8
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        layer = picture.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(ground, layer).convert("RGB")
    return picture.convert("RGB")


def read(path: Path, side: int | None = None) -> Image.Image:
    """A picture of a file, as `decode`; a DatasetError names the file and the reason."""
    try:
        return decode(path.read_bytes(), side)
    except (OSError, ValueError) as error:
        raise DatasetError("unreadable-picture", f"cannot read {path}: {error}") from None


def shorter_side(picture: Image.Image, side: int, interpolation: str) -> Image.Image:
    """The picture with its shorter side at `side` pixels, its shape kept."""
    return picture.resize(scaled_size(picture.size, side), RESAMPLING[interpolation])


def scaled_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The width and height that make the shorter of the two `side` pixels.

    >>> scaled_size((1000, 500), 256)
    (512, 256)
    """
    scale = side / min(size)
    width, height = (max(side, round(length * scale)) for length in size)
    return width, height


def centre_square(picture: Image.Image, side: int) -> Image.Image:
    """The square of `side` pixels in the middle."""
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def thumbnail(picture: Image.Image, side: int = 112) -> bytes:
    """A small JPEG of a picture, its longer side `side` pixels (a small picture stays as it is)."""
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


GAP = 8
"""Pixels between the pictures of a contact sheet."""


def sheet(
    pictures: Sequence[Image.Image], captions: Sequence[str], columns: int | None = None
) -> Image.Image:
    """A contact sheet: pictures of one size row by row on white, each with its caption below.

    >>> sheet([Image.new("RGB", (64, 64))] * 5, list("abcde"), columns=3).size
    (224, 180)
    """
    if not pictures:
        raise ValueError("a contact sheet needs at least one picture")
    columns = min(len(pictures), columns or math.ceil(math.sqrt(len(pictures))))
    width, height = pictures[0].size
    font = ImageFont.load_default(size=12)
    cell = width + GAP, height + GAP + 14
    rows = math.ceil(len(pictures) / columns)
    ground = Image.new("RGB", (columns * cell[0] + GAP, rows * cell[1] + GAP), "white")
    pen = ImageDraw.Draw(ground)
    for number, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left, top = GAP + number % columns * cell[0], GAP + number // columns * cell[1]
        own = picture.convert("RGBA")
        ground.paste(own, (left, top), own)
        pen.text((left, top + height + 2), caption, fill="black", font=font)
    return ground


MOVIES = (".gif", ".webp")


def movie(frames: Sequence[Image.Image], path: Path, ending: str, seconds: float = 4) -> None:
    """Frames as an animated .gif or .webp that begins again after showing the last for a while."""
    each = max(20, round(1000 * seconds / len(frames)))
    durations = [each] * (len(frames) - 1) + [1500]
    kind = ending.lower().removeprefix(".")
    with path.open("wb") as file:
        frames[0].save(
            file, kind, save_all=True, append_images=list(frames[1:]), duration=durations, loop=0,
            quality=85,
        )  # fmt: skip


def survey(path: Path) -> tuple[str, int, int, str]:
    """(SHA-256, width, height, status) of a file; the status is "ok" or why it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return "", 0, 0, error.strerror or str(error)
    digest = hashlib.sha256(data).hexdigest()
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
        decode(data, 224)
    except (ValueError, OSError, Image.DecompressionBombError) as error:
        return digest, 0, 0, _reason(error)
    return digest, width, height, "ok"


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not a picture that Pillow can read"
    return str(error) or type(error).__name__
