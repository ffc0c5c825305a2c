"""Pixels: decode, crop, shrink, lay side by side; knows no network.

>>> picture = Image.new("RGB", (300, 200), "tan")
>>> centre_square(shorter_side(picture, 64, "bilinear"), 64).size
(64, 64)
"""

import ctypes
import hashlib
import importlib
import io
import logging
import math
import os
import re
import struct
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from PIL import (
    Image,
    ImageDraw,
    ImageFile,
    ImageFont,
    TiffImagePlugin,
    UnidentifiedImageError,
)
from PIL.PngImagePlugin import PngInfo

from overpaint.errors import DatasetError
from overpaint.files import File, no_file
from overpaint.machine import is_machines
from overpaint.pixels.tones import as_rgb, in_strips
from overpaint.records.belongings import SIGN

DECODER = 3
"""Raised when a file becomes other pixels, so that what is kept of them is made anew."""

RESAMPLING = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
"""Endings of pictures that are written, too."""

ENDINGS = (
    *SUFFIXES, ".jpe", ".jfif", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".apng", ".avif",
    ".avifs", ".heic", ".heif", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".tga", ".icb", ".vda",
    ".vst", ".dib", ".qoi",
)  # fmt: skip
"""Endings in lower case that promise a picture."""

FORMATS = (
    "JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "DIB", "JPEG2000", "AVIF", "HEIF", "PPM", "ICO",
    "PCX", "SGI", "SUN", "QOI", "DDS", "TGA",
)  # fmt: skip
"""What is read, whatever a file's ending, by Pillow's names. Not among them is what Pillow hands to
another program (EPS to Ghostscript), cannot decode (MPEG, HDF5) or takes for a picture by chance.
TGA has no magic number: it stands last.
"""

WRITTEN = ("JPEG", "PNG", "WEBP")
"""What thumbnails, renderings and sheets are written as."""

REFUSED = (
    (b"%!PS", "EPS"), (b"\xc5\xd0\xd3\xc6", "EPS"), (b"%PDF", "PDF"), (b"8BPS", "PSD"),
    (b"\xd7\xcd\xc6\x9a", "WMF"), (b"<svg", "SVG"), (b"gimp xcf", "XCF"), (b"SIMPLE  =", "FITS"),
    (b"\x89HDF", "HDF5"), (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"), (b"PK\x03\x04", "an archive (ZIP)"),
)  # fmt: skip
"""First bytes of what is taken for a picture, and is none of the formats."""

# --- limits ------------------------------------------------------------------------------------

LARGEST = 2**29
"""Bytes of a file, and of a picture that is enlarged, at most."""

NARROW = 200
"""Times its width that a picture may be high, and the other way round: enlarged to a network's
input, what is narrower would fill the memory. The Bayeux Tapestry has 140.
"""

MOST_SCANS = 100
"""Of a progressive JPEG, each of which costs the time of a whole picture, and of pieces of its EXIF
data, which are put together one by one.
"""

MOST_FRAMES = 64
"""Of a TIFF, among which a smaller copy is looked for."""

TAKEN = {"WEBP": 16, "JPEG2000": 20, "AVIF": 12, "HEIF": 12, "QOI": 8}
"""Bytes that a pixel takes while it is decoded, by format; of all others 4, and of a JPEG that is
progressive 10, as measured.
"""

PROGRESSIVE = 10

AT_ONCE = 2**30
"""Bytes that all pictures may take that are decoded at once; a larger one is decoded alone."""


class Room:
    """Memory for pictures in the making: who finds none left waits."""

    def __init__(self, most: int) -> None:
        self.most = self.left = most
        self.change = threading.Condition()

    @contextmanager
    def of(self, count: int) -> Iterator[None]:
        """So many bytes, or all of it."""
        count = min(count, self.most)
        with self.change:
            self.change.wait_for(lambda: self.left >= count)
            self.left -= count
        try:
            yield
        finally:
            with self.change:
                self.left += count
                self.change.notify_all()


ROOM = Room(AT_ONCE)


# --- which files are pictures ------------------------------------------------------------------


def is_picture(path: Path) -> bool:
    """Whether a file is a picture: its ending says so, or else its first bytes.

    What ends in .jpg and is none is a broken picture, and is told as one when it is read. A file is
    opened only if its ending is unfamiliar or missing.
    """
    if path.suffix.lower() in ENDINGS:
        return True
    if not path.is_file():
        return False
    _quiet()
    magical = [name for name in _formats() if name != "TGA"]
    try:
        with path.open("rb") as file:
            if file.read(3) == b"\xff\xd8\xff":  # there may be much before it tells more of itself
                return True
        with Image.open(path, formats=magical) as picture:
            return not is_raw(picture)
    except Image.DecompressionBombError:
        return True
    except Exception:
        return False


@cache
def _formats() -> tuple[str, ...]:
    """Those of the formats that this Pillow reads."""
    Image.init()
    with suppress(ImportError):  # HEIC comes with a plugin, where that is installed
        importlib.import_module("pillow_heif").register_heif_opener()
    # Without a handler of its own, a library's remarks go to the terminal.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    # What libtiff says of a broken file would go to the terminal too, past all of Python.
    with suppress(OSError, AttributeError):
        decoders = importlib.import_module("PIL._imaging").__file__
        ctypes.CDLL(decoders).TIFFSetErrorHandler(None)
    # Grey that Pillow can read but does not list for this order of bytes.
    for key, modes in {
        (b"MM", 0, (1,), 1, (16,), ()): ("I;16B", "I;16B"),
        (b"MM", 1, (1,), 1, (12,), ()): ("I;16", "I;12"),
        (b"II", 0, (1,), 1, (12,), ()): ("I;16", "I;12"),
        (b"MM", 0, (1,), 1, (12,), ()): ("I;16", "I;12"),
    }.items():
        TiffImagePlugin.OPEN_INFO.setdefault(key, modes)
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _quiet() -> None:
    """Nothing that Pillow thinks of a file goes to the terminal: what matters is in the status.

    Set before each picture: a filter is soon another's, and `catch_warnings` is for one thread.
    """
    for category in (UserWarning, RuntimeWarning):
        warnings.filterwarnings("ignore", module=r"PIL\.", category=category)


# --- from a file to pixels ---------------------------------------------------------------------


def decode(data: bytes, side: int | None = None) -> Image.Image:
    """A picture as upright RGB of 8 bits, from the bytes of a file, as a viewer shows it.

    With `side`, a JPEG may be decoded at a fraction of its size, never below `side` pixels on its
    shorter side: a picture of 12 megapixels need not be decoded in full to make 224 pixels. Only so
    are scans beyond `most_pixels` read: JPEG at a fraction, JPEG 2000 and TIFF by a smaller copy
    inside. Of several frames it is the first. Transparent parts become white. More than 8 bits,
    floats and inverted greys keep their tones; colours are those of the profile that comes with it.

    Raises ValueError with the reason for what is no picture, cut off, too narrow or too large: that
    is known before memory is taken.
    """
    _quiet()
    limit = most_pixels()
    if data.startswith(b"\xff\xd8"):
        for mark, pieces in ((b"\xff\xda", "scans"), (b"Exif\0\0", "pieces of EXIF data")):
            if data.count(mark) > MOST_SCANS:
                raise ValueError(f"a JPEG of more than {MOST_SCANS} {pieces}")
    try:
        with opened(data) as picture:
            if is_raw(picture):
                raise ValueError(  # noqa: TRY301 - told as all that is wrong with the file
                    "a camera's raw file, of which only the preview could be read: develop it first"
                )
            tags = getattr(picture, "tag_v2", {})
            if tags.get(284) == 2 and max(tags.get(258, (8,))) > 8:  # as Pillow 12 does
                raise ValueError(  # noqa: TRY301
                    "colours of more than 8 bits in planes, which Pillow misreads: interleave them"
                )
            pixels = picture.width * picture.height
            if side is not None and taken(picture) == 4 and picture.format == "JPEG":
                pixels //= max(1, min(8, min(picture.size) // side)) ** 2  # of a draft
            with ROOM.of(2 * taken(picture) * pixels):
                return upright_rgb(small_enough(picture, data, side, limit), side)
    except UnidentifiedImageError:
        raise ValueError(_no_picture(data)) from None
    except Image.DecompressionBombError as error:  # of a format that is decoded as it is opened
        pixels = int(next(iter(re.findall(r"\d+", str(error))), "0"))
        raise ValueError(_too_large(f"{pixels} pixels", pixels, limit)) from None
    except Exception as error:  # a broken file may trip Pillow anywhere
        raise ValueError(str(error) or type(error).__name__) from None


def _no_picture(data: bytes) -> str:
    """What is known of bytes that are none of the formats."""
    if not data:
        return "not a picture that Pillow can read: the file is empty"
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        return "HEIC, for which Pillow needs a plugin: pip install pillow-heif"
    if data.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS in place of the picture: run 'git lfs pull'"
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:5].lower() in (b"<!doc", b"<html") and b"<svg" not in start:
        return "not a picture that Pillow can read, but a page of the web: the download went wrong"
    if start.startswith((b"<?xml", b"<!DOC", b"<!--")) and b"<svg" in start:
        start = b"<svg"
    kind = next((kind for first, kind in REFUSED if start.startswith(first)), None)
    if kind:
        return (
            f"not a picture that Pillow can read: it is {kind}, no format of pictures that is read"
        )
    return "not a picture that Pillow can read"


def is_raw(picture: Image.Image) -> bool:
    """Whether Pillow sees of a file no more than the preview in a camera's raw file.

    Such are TIFF to their first bytes: with a version of DNG, the mark of CR2, or a first frame
    that is marked as a small copy and points to the frames that are not.
    """
    tags = getattr(picture, "tag_v2", {})
    file = getattr(picture, "fp", None)
    if not tags or file is None:
        return False
    place = file.tell()
    file.seek(8)
    mark = file.read(2)
    file.seek(place)
    return 50706 in tags or mark == b"CR" or bool(tags.get(254, 0) & 1 and 330 in tags)


def opened(data: bytes) -> ImageFile.ImageFile:
    """A picture of any size, nothing of which is decoded yet."""
    try:
        return Image.open(io.BytesIO(data), formats=_formats())
    except Image.DecompressionBombError:
        for name in _formats():
            opens, accepts = Image.OPEN[name]
            if accepts is None or accepts(data[:16]):
                with suppress(SyntaxError, IndexError, TypeError, struct.error):  # another format's
                    return opens(io.BytesIO(data), "")  # which does not look at the size
        raise


def _too_large(size: str, pixels: float, limit: float) -> str:
    return (
        f"{size}, above the limit of {limit / 1e6:.3g} megapixels; to read it, set "
        f"OVERPAINT_MEGAPIXELS={math.ceil(pixels / 1e6)}"
    )


def most_pixels() -> float:
    """The pixels of the largest picture that is decoded: Pillow's limit of 179 megapixels, beyond
    which a file may be an attack, or the environment's OVERPAINT_MEGAPIXELS.
    """
    megapixels = os.environ.get("OVERPAINT_MEGAPIXELS")
    if megapixels:
        try:
            Image.MAX_IMAGE_PIXELS = int(float(megapixels) * 1e6 / 2)  # Pillow refuses twice that
        except (ValueError, OverflowError):
            raise DatasetError(
                "bad-limit", f"OVERPAINT_MEGAPIXELS is {megapixels!r}, which is no number"
            ) from None
    return math.inf if Image.MAX_IMAGE_PIXELS is None else 2 * Image.MAX_IMAGE_PIXELS


def small_enough(
    picture: ImageFile.ImageFile, data: bytes, side: int | None, limit: float
) -> ImageFile.ImageFile:
    """The picture, decoded as small as its format allows for the side, and within the limit."""
    width, height = picture.size
    shorter = min(picture.size)
    if max(picture.size) > NARROW * shorter:
        raise ValueError(f"{width} × {height} pixels: too narrow for a square of it")
    tags = getattr(picture, "tag_v2", {})
    if tags.get(322, 0) * tags.get(323, 0) > max(width * height, 2**24):
        raise ValueError(f"tiles of {tags[322]} × {tags[323]} in {width} × {height} pixels")
    most = limit * 4 / taken(picture)
    large = width * height > most
    # A progressive JPEG must be held in memory whole, however small it comes out.
    if (
        side is not None
        and picture.format == "JPEG"
        and not (large and "progressive" in picture.info)
    ):
        picture.draft("RGB", (side * width // shorter + 1, side * height // shorter + 1))
        large = picture.width * picture.height > most
    if not large:
        picture.load()
        return picture
    smaller = None
    if side is not None and picture.format == "JPEG2000":
        smaller = _halved(picture, data, side, most)
    elif side is not None and picture.format == "TIFF":
        smaller = _small_copy(picture, side, most)
    if smaller is None:
        size, needed = f"{width} × {height} pixels", width * height * limit / most
        raise ValueError(_too_large(size, needed, most))
    return smaller


def _halved(
    picture: ImageFile.ImageFile, data: bytes, side: int, most: float
) -> ImageFile.ImageFile | None:
    """A JPEG 2000 as small as it is in the file."""
    width, height = picture.size
    for halvings in range(int(math.log2(max(min(width, height) / side, 1))), 0, -1):
        if width * height / 4**halvings <= most:
            with suppress(OSError):  # fewer halvings are in the file
                smaller = opened(data)
                smaller.reduce = halvings  # type: ignore[method-assign, assignment]
                smaller.load()
                return smaller
    return None


def _small_copy(picture: ImageFile.ImageFile, side: int, most: float) -> ImageFile.ImageFile | None:
    """The smallest copy of a TIFF's first picture that suffices."""
    frames: list[tuple[int, int]] = []
    with suppress(EOFError):
        for frame in range(1, MOST_FRAMES):
            picture.seek(frame)
            pixels = picture.width * picture.height
            copy = getattr(picture, "tag_v2", {}).get(254, 0) & 1
            if copy and min(picture.size) >= side and pixels <= most:
                frames.append((pixels, frame))
    if not frames:
        return None
    picture.seek(min(frames)[1])
    picture.load()
    return picture


def taken(picture: Image.Image) -> int:
    """Bytes that each pixel of a picture takes while it is decoded."""
    if "progressive" in picture.info:
        return PROGRESSIVE
    return TAKEN.get(picture.format or "", 4)


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by the orientation in its EXIF data."""


def upright_rgb(picture: Image.Image, side: int | None = None) -> Image.Image:
    """A decoded picture as it is shown.

    A large one is made so strip by strip, and where two of its size would take more memory than
    there is for one, smaller on the way: its shorter side keeps `side` pixels.
    """
    try:
        # Read before anything is converted. Pillow's own exif_transpose also rewrites the data, and
        # fails where a camera wrote what it cannot.
        turn = TURNS.get(picture.getexif().get(0x0112, 1))
    except Exception:
        turn = None
    count = picture.width * picture.height
    if count > IN_STRIPS:
        smaller = side is not None and 2 * count > most_pixels()
        pixels = in_strips(picture, max(1, min(picture.size) // (side or 1)) if smaller else 1)
    else:
        pixels = as_rgb(picture)
    return pixels.transpose(turn) if turn is not None else pixels


IN_STRIPS = 2**24
"""Pixels above which a picture is turned into RGB in strips."""


def bytes_of(path: File) -> bytes:
    """All of a file. Raises OSError, and ValueError for what is no file, or too large for one."""
    if isinstance(path, Path) and (kind := no_file(path)):
        raise ValueError(f"no file but {kind}")
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(f"{size / 1e6:.0f} MB, above the limit of {LARGEST / 1e6:.0f} MB")
    return path.read_bytes()


def size_of(path: Path) -> tuple[int, int] | None:
    """Width and height of a picture that was written here; None of what is none."""
    if (size := _size_of_jpeg(path)) is not None:
        return size
    _quiet()
    try:
        with (
            Image.open(path, formats=WRITTEN)
            if path.is_file()
            else Image.new("L", (0, 0)) as picture
        ):
            return picture.size if picture.width else None
    except Exception:  # a broken file may trip Pillow anywhere
        return None


HEAD = 2048
"""Bytes of a thumbnail in which its size stands; of other pictures it may stand later."""


def _size_of_jpeg(path: Path) -> tuple[int, int] | None:
    """Width and height of an ordinary JPEG, a tenth of the time that Pillow takes; else None."""
    try:
        with path.open("rb", buffering=0) as file:
            head = file.read(HEAD)
    except OSError:
        return None
    size, at = None, 2
    while head[:2] == b"\xff\xd8" and head[at : at + 1] == b"\xff" and at + 10 <= len(head):
        kind, length = struct.unpack_from(">BH", head, at + 1)
        if kind == 0xDA:  # here its pixels begin
            return size
        if kind in (0xC0, 0xC2):
            depth, height, width, channels = struct.unpack_from(">BHHB", head, at + 4)
            if depth != 8 or channels not in (1, 3) or not width or not height:
                return None
            size = width, height
        elif kind not in (0xC4, 0xDB, 0xDD, 0xE0):
            return None
        at += 2 + length
    return None


def read(path: File, side: int | None = None) -> Image.Image:
    """A picture of a file, as `decode`; a DatasetError names the file and the reason."""
    try:
        return decode(bytes_of(path), side)
    except (OSError, ValueError) as error:
        if is_machines(error):
            raise  # it says nothing of the picture
        reason = getattr(error, "strerror", None) or error
        raise DatasetError("unreadable-picture", f"cannot read {path}: {reason}") from None


def readable_below(folder: Path, side: int, say: Callable[[str], None]) -> Iterator[Image.Image]:
    """The pictures below a folder, as `read`; each that cannot be read is said, and left out.

    What is hidden is not looked at. Raises DatasetError when none can be read.
    """
    paths = sorted(folder.rglob("*"))
    visible = [path for path in paths if not any(
        name.startswith(".") for name in path.relative_to(folder).parts)]  # fmt: skip
    count = 0
    for path in filter(is_picture, visible):
        try:
            picture = read(path, side)
        except DatasetError as error:
            say(f"  left out: {error}")
            continue
        count += 1
        yield picture
    if not count:
        raise DatasetError("no-pictures", f"there are no pictures below {folder}")


def shorter_side(picture: Image.Image, side: int, interpolation: str) -> Image.Image:
    """The picture with its shorter side at `side` pixels, its shape kept; a DatasetError where that
    would take too much memory.
    """
    return _resized(picture, scaled_size(picture.size, side), interpolation)


def _resized(picture: Image.Image, size: tuple[int, int], interpolation: str) -> Image.Image:
    width, height = size
    if 4 * width * height > LARGEST:
        raise DatasetError(
            "unreadable-picture",
            f"a picture of {picture.width} × {picture.height} pixels would be {width} × {height} "
            f"and take {4 * width * height / 1e6:.0f} MB: cut it, or leave it out",
        )
    return picture.resize(size, RESAMPLING[interpolation])


def scaled_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The width and height that make the shorter of the two `side` pixels.

    >>> scaled_size((1000, 500), 256)
    (512, 256)
    """
    scale = side / min(size)
    width, height = (max(side, round(length * scale)) for length in size)
    return width, height


CropMode = Literal["center", "squash", "border"]
"""How a picture becomes a square, by timm's names: its centre is cut out after its shorter side was
fitted; after both sides were, whatever its shape; or after its longer side was, with a border.
"""


def fitted(
    picture: Image.Image,
    size: int,
    resize: int,
    interpolation: str,
    *,
    crop_mode: CropMode = "center",
    border: tuple[int, int, int] = (0, 0, 0),
) -> Image.Image:
    """The picture resized, of which a square of `size` is then cut out; `border` is a colour.

    >>> fitted(Image.new("RGB", (300, 200)), 64, 70, "bicubic", crop_mode="border").size
    (70, 64)
    """
    new_size = fitted_size(picture.size, resize, crop_mode)
    resized = _resized(picture, new_size, interpolation)
    if crop_mode != "border" or min(resized.size) >= size:
        return resized
    width, height = (max(side, size) for side in resized.size)
    ground = Image.new("RGB", (width, height), border)
    ground.paste(resized, ((width - resized.width) // 2, (height - resized.height) // 2))
    return ground


def fitted_size(
    size: tuple[int, int], resize: int, crop_mode: CropMode = "center"
) -> tuple[int, int]:
    """The width and height that a picture is resized to.

    >>> [fitted_size((1000, 500), 256, mode) for mode in ("center", "squash", "border")]
    [(512, 256), (256, 256), (256, 128)]
    """
    if crop_mode == "squash":
        return resize, resize
    if crop_mode == "border":
        width, height = (max(1, round(length * resize / max(size))) for length in size)
        return width, height
    return scaled_size(size, resize)


def centre_square(picture: Image.Image, side: int) -> Image.Image:
    """The square of `side` pixels in the middle."""
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side))


def thumbnail(picture: Image.Image, side: int = 112) -> bytes:
    """A small JPEG of a picture, its longer side `side` pixels (a small picture stays as it is)."""
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return encoded(small, "JPEG", quality=85, optimize=True)  # a tenth less, of the same pixels


def encoded(picture: Image.Image, kind: str, **settings: Any) -> bytes:
    """A picture as the bytes of a file. Pillow itself, where a disk is full, writes a part of them
    and says nothing.
    """
    buffer = io.BytesIO()
    picture.save(buffer, kind, **settings)
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
    path.write_bytes(
        encoded(
            frames[0], kind, save_all=True, append_images=list(frames[1:]), duration=durations,
            loop=0, quality=85, **signed(ending),
        )
    )  # fmt: skip


def signed(ending: str) -> dict[str, Any]:
    r"""What Pillow is told so that a PNG, WebP, JPEG or GIF says that it is ours.

    >>> signed(".jpg")
    {'comment': b'overpaint\x00'}
    """
    if ending.lower() == ".png":
        text = PngInfo()
        text.add_text(SIGN.decode().rstrip("\0"), "sheet")
        return {"pnginfo": text}
    return {"xmp" if ending.lower() == ".webp" else "comment": SIGN}


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look at a file found."""

    digest: str = ""  # SHA-256 of its bytes
    width: int = 0
    height: int = 0
    status: str = "ok"  # or why it cannot be read
    note: str = ""  # what its owner should know all the same


def survey(path: File) -> Look:
    """A look at a file, which is decoded as far as a network's input needs."""
    data, status = contents(path)
    return look_at(data) if data is not None else Look(status=status)


def contents(path: File) -> tuple[bytes | None, str]:
    """The bytes of a file; or none, and why they cannot be had."""
    try:
        return bytes_of(path), "ok"
    except OSError as error:
        if is_machines(error):
            raise  # nothing is left out for that
        return None, error.strerror or str(error)
    except ValueError as error:
        return None, str(error)


def look_at(data: bytes) -> Look:
    """A look at the bytes of a file."""
    look, _ = look_and_pixels(data)
    return look


def look_and_pixels(data: bytes) -> tuple[Look, Image.Image | None]:
    """A look at the bytes of a file, and the picture as it was decoded for that."""
    digest = hashlib.sha256(data).hexdigest()
    try:
        pixels = decode(data, 224)
        with opened(data) as picture:
            width, height = picture.size
    except ValueError as error:
        return Look(digest=digest, status=str(error)), None
    lowest, highest = zip(*pixels.getextrema(), strict=True)
    note = ""
    if lowest == highest:
        note = f"of one colour only, #{bytes(lowest).hex()}"
    elif max(highest) < ALMOST_BLACK:
        note = f"almost black: no value above {max(highest)} of 255"
    return Look(digest=digest, width=width, height=height, note=note), pixels


ALMOST_BLACK = 16
"""A scan of 12 bits a colour in 16 lies below it; a painting never does."""
