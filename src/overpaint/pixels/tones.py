"""Tones: a decoded picture of any mode as a viewer shows it, RGB of 8 bits.

>>> as_rgb(Image.fromarray(np.array([[0, 65535]], np.uint16))).getpixel((1, 0))
(255, 255, 255)
"""

import io
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms


def as_rgb(picture: Image.Image) -> Image.Image:
    """The pixels of a decoded picture of any mode as RGB; what is transparent becomes white."""
    if picture.mode.startswith(("I", "F")):
        return grey_of_numbers(picture, getattr(picture, "tag_v2", {})).convert("RGB")
    if picture.mode in ("La", "RGBa"):  # colours that were multiplied with their opacity
        picture = picture.convert({"La": "LA", "RGBa": "RGBA"}[picture.mode])
    clear = picture.info.get("transparency")
    if isinstance(clear, tuple) and max(clear) > 255:  # of a PNG with 16 bits
        picture.info["transparency"] = tuple(value >> 8 for value in clear)
    if picture.mode in ("RGBA", "LA", "PA") or clear is not None:
        layer = picture.convert("RGBA")
        ground = Image.new("RGBA", layer.size, "white")
        return _managed(Image.alpha_composite(ground, layer).convert("RGB"), picture)
    if picture.mode == "LAB":
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        return _through(picture, lab)
    return _managed(picture, picture)


STRIP = 2**22
"""Pixels of a strip, about."""


def in_strips(picture: Image.Image, smaller: int = 1) -> Image.Image:
    """The same for a large picture, strip by strip: beside it and its RGB little memory is taken.

    >>> in_strips(Image.new("LA", (300, 200), (0, 0)), smaller=2).getpixel((149, 99))
    (255, 255, 255)

    With `smaller`, squares of so many pixels become one, and nothing of full size is made.
    """
    width, height = picture.size
    rows = max(1, STRIP // width // smaller) * smaller
    strips = [(0, top, width, min(top + rows, height)) for top in range(0, height, rows)]
    tags: Any = getattr(picture, "tag_v2", {})
    of_numbers = picture.mode.startswith(("I", "F"))
    ends = None
    if of_numbers:  # black and white are those of the whole
        all_ends = [ends_of(_numbers(picture.crop(strip), tags)) for strip in strips]
        ends = min(low for low, _ in all_ends), max(high for _, high in all_ends)
    whole = Image.new("RGB", (-(-width // smaller), -(-height // smaller)))
    for strip in strips:
        part = picture.crop(strip)
        pixels = grey_of_numbers(part, tags, ends).convert("RGB") if of_numbers else as_rgb(part)
        whole.paste(pixels.reduce(smaller) if smaller > 1 else pixels, (0, strip[1] // smaller))
    return whole


def _managed(pixels: Image.Image, picture: Image.Image) -> Image.Image:
    """Pixels as RGB by the colour profile of their picture; without one they are taken as sRGB.

    A profile that is broken, or is for other pixels (grey), is passed over, as viewers do.
    """
    embedded = picture.info.get("icc_profile")
    # `convert` copies what is RGB already: megabytes, for which the system is asked anew each time
    if pixels.mode not in ("RGB", "CMYK"):
        pixels = pixels.convert("RGB")
    if embedded:
        with suppress(OSError, ValueError, TypeError, ImageCms.PyCMSError):
            profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
            space = profile.profile.xcolor_space.strip()
            if space == pixels.mode and "sRGB" not in (profile.profile.profile_description or ""):
                return _through(pixels, profile)
    return pixels if pixels.mode == "RGB" else pixels.convert("RGB")


def _through(pixels: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    converted = ImageCms.profileToProfile(pixels, profile, srgb, outputMode="RGB")
    assert converted is not None
    return converted


BITS = (8, 10, 12, 16, 24, 32)
"""What greys are measured in: a camera's 12 bits stand in 16, a mask's 8 may stand in 32."""


def _numbers(picture: Image.Image, tags: Any) -> NDArray[Any]:
    values = np.asarray(picture)
    if picture.mode == "I" and tags.get(258) == (32,) and tags.get(339, (1,)) == (1,):
        values = values.view(np.uint32)  # Pillow has no mode for them
    return values


def grey_of_numbers(
    picture: Image.Image, tags: Any, ends: tuple[float, float] | None = None
) -> Image.Image:
    """Whole numbers of more than 8 bits, or floats, as a grey picture of 8; `tags` are a TIFF's,
    `ends` those of the whole picture.
    """
    values = _numbers(picture, tags)
    most = tags[258][0] - 1 if tags.get(339) == (2,) else max(BITS)  # one bit is the sign
    shares = shares_of_white(values, most, ends)
    if tags.get(262) == 0:  # WhiteIsZero, which Pillow heeds up to 8 bits
        shares = 1 - shares
    clear = picture.info.get("transparency")
    if isinstance(clear, int):
        shares[values == clear] = 1
    return Image.fromarray((shares * 255 + 0.5).astype(np.uint8))


def ends_of(values: NDArray[Any]) -> tuple[float, float]:
    """The smallest and the largest of those that are numbers; 0 where none is."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def shares_of_white(
    values: NDArray[Any], most: int = max(BITS), ends: tuple[float, float] | None = None
) -> NDArray[np.float64]:
    """Greys as shares of white, 0..1; whole numbers have `most` bits at most.

    >>> shares_of_white(np.array([0, 2048, 4095])).round(2).tolist()
    [0.0, 0.5, 1.0]
    >>> shares_of_white(np.array([0, 0.25, 1])).tolist()
    [0.0, 0.25, 1.0]

    Whole numbers have the fewest bits that hold the brightest; floats lie in 0..1 or 0..255, or
    else below the brightest. A little above or below is cut off; where much lies below 0, black is
    the smallest. What is no number is black.
    """
    tones = values.astype(np.float64)
    low, high = ends or ends_of(tones)
    tones = np.nan_to_num(tones, nan=low, posinf=high, neginf=low)
    if low < -abs(high) / 10:
        return (tones - low) / ((high - low) or 1)
    if values.dtype.kind == "f":
        white = 1.0 if high <= 1.5 else 255.0 if high <= 400 else high
    else:
        white = 2.0 ** min(most, next(bits for bits in BITS if high < 2**bits)) - 1
    return np.clip(tones / white, 0, 1)
