"""Pictures as the doctor sees them: each is read once, for all that is asked of it.

>>> from PIL import Image
>>> from overpaint.pixels.images import encoded
>>> sighting = sighting_of(encoded(Image.new("CMYK", (300, 60)), "JPEG"))
>>> sighting.look.status, sighting.traits
('ok', ('cmyk', 'grey', 'long'))
"""

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from overpaint.files import File
from overpaint.pixels.images import Look, contents, look_and_pixels, opened

TRAITS = {
    "cmyk": "of four printing colours (CMYK)",
    "deep": "of more than 8 bits a colour",
    "palette": "with a palette",
    "animated": "of several frames, the first of which is read",
    "turned": "turned by their EXIF data",
    "grey": "grey",
    "long": "more than four times as long as wide: the square in the middle is less than a quarter",
}
"""What may be odd about a picture that is read all the same, in words."""

LONG = 4
"""Times its shorter side that a picture's longer one may have before it is told."""

GREYNESS = 4
"""How far the colours of a grey picture lie apart at most, of 255: a JPEG of grey has some."""

HASH = 16
"""The side of the perceptual hash: 256 bits, from the lowest waves of 64 × 64 pixels."""

SMALL = 16
"""The side of the small copy by which two pictures of like hashes are compared."""


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """That by which copies of a picture are known."""

    waves: NDArray[np.uint64]  # [4]: the perceptual hash, 256 bits
    small: NDArray[np.float32]  # [256]: a grey copy, its mean 0 and its length 1


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What one look at a picture found."""

    look: Look
    traits: tuple[str, ...] = ()
    fingerprint: Fingerprint | None = None  # None for a picture of one colour: it is like any other


def sighting_of_file(file: File) -> Sighting:
    """What is to be seen in a file."""
    data, status = contents(file)
    return sighting_of(data) if data is not None else Sighting(look=Look(status=status))


def sighting_of(data: bytes) -> Sighting:
    """What is to be seen in the bytes of a file."""
    look, pixels = look_and_pixels(data)
    if pixels is None:
        return Sighting(look=look)
    traits = _traits(data, pixels)
    if look.note or not can_hash():
        return Sighting(look=look, traits=traits)
    import imagehash

    grey = pixels.convert("L")
    # The signs of the lowest waves (Zauner 2010).
    bits = imagehash.phash(grey, hash_size=HASH).hash
    small = np.asarray(grey.resize((SMALL, SMALL), Image.Resampling.BOX), np.float32).ravel()
    small = small - small.mean()
    fingerprint = Fingerprint(
        waves=np.packbits(bits.ravel()).view(np.uint64),
        small=small / max(float(np.linalg.norm(small)), 1e-9),
    )
    return Sighting(look=look, traits=traits, fingerprint=fingerprint)


def can_hash() -> bool:
    """Whether the library of the perceptual hash is there, which plain overpaint leaves out."""
    return find_spec("imagehash") is not None and find_spec("scipy") is not None


def _traits(data: bytes, pixels: Image.Image) -> tuple[str, ...]:
    """What is odd about a picture, by its header and its pixels."""
    with opened(data) as picture:
        tags = getattr(picture, "tag_v2", {})
        bits = tags.get(258, (8,))
        # Pillow takes a PNG of 16 bits a colour for one of 8, and does not say so.
        of_png = data[24] if picture.format == "PNG" else 8
        try:
            turn = picture.getexif().get(0x0112, 1)
        except Exception:  # a camera wrote what Pillow cannot read
            turn = 1
        lengths = sorted(picture.size)
        odd = {
            "cmyk": picture.mode == "CMYK",
            "deep": picture.mode.startswith(("I", "F")) or of_png > 8 or max(bits) > 8,
            "palette": picture.mode in ("P", "PA"),
            "animated": bool(getattr(picture, "is_animated", False)),
            "turned": turn in range(2, 9),
            "grey": _is_grey(pixels),
            "long": lengths[1] > LONG * lengths[0],
        }
    return tuple(name for name, is_so in odd.items() if is_so)


def _is_grey(pixels: Image.Image) -> bool:
    red, green, blue = pixels.resize((64, 64), Image.Resampling.BOX).split()
    apart = (ImageChops.difference(red, green), ImageChops.difference(green, blue))
    return all(np.asarray(channel).max() <= GREYNESS for channel in apart)
