"""Ways of writing a picture, and what its pixels must be, or why it is left out."""

import io
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import PIL
import pytest
from PIL import Image, ImageCms, TiffImagePlugin

from overpaint.errors import DatasetError
from overpaint.pixels.images import ENDINGS, decode, is_picture, survey

RAMP = np.linspace(0, 1, 24 * 16).reshape(16, 24)
"""Greys from black to white, as shares of white."""

GREY = np.repeat((RAMP * 255).round()[..., None], 3, axis=2)
"""The ramp as it is shown."""

COLOURS = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=2) * 200 + 20
PICTURE = Image.fromarray(COLOURS.astype(np.uint8))


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def array(values: np.ndarray, kind: str = "TIFF", **options: object) -> bytes:
    return encoded(Image.fromarray(values), kind, **options)


def tiff(
    values: np.ndarray, *, order: str = "<", photometric: int = 1, bits: int = 16, form: int = 1
) -> bytes:
    """An uncompressed grey TIFF, written by hand: what Pillow does not write."""
    height, width = values.shape
    size = "B" if bits <= 8 else {16: "H", 32: "I"}.get(bits, "B")
    if form == 2:
        size = size.lower()
    if form == 3:
        size = "f"
    if bits == 12:  # two pixels in three bytes
        pairs = values.reshape(-1, 2).astype(int)
        packed = np.stack(
            [pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255],
            axis=1,
        )
        data = packed.astype(np.uint8).tobytes()
    else:
        data = values.astype(np.dtype(size).newbyteorder(order)).tobytes()
    tags = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric),
        (273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, len(data)), (339, 3, form),
    ]  # fmt: skip
    entries = b"".join(
        struct.pack(order + "HHI", tag, kind, 1)
        + (struct.pack(order + "I", value) if kind == 4 else struct.pack(order + "HH", value, 0))
        for tag, kind, value in tags
    )
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(data))
    return head + data + struct.pack(order + "H", len(tags)) + entries + b"\0\0\0\0"


def whole(bits: int) -> np.ndarray:
    return (RAMP * (2**bits - 1)).round()


def turned(orientation: int, kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {"lossless": True}
    return encoded(PICTURE, kind, exif=exif, **options)


def odd_exif(entry: bytes) -> bytes:
    """A JPEG whose EXIF data says "turned by a quarter", and has one more entry."""
    data = encoded(PICTURE, "JPEG", quality=100, subsampling=0)
    turn = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    body = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + turn + entry + b"\0\0\0\0" + b"abcd"
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


def paletted(**options: object) -> bytes:
    picture = Image.new("P", (24, 16))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.paste(1, (12, 0, 24, 16))
    return encoded(picture, "PNG", **options)


def halves(left: object, right: object) -> np.ndarray:
    expected = np.zeros((16, 24, 3))
    expected[:, :12], expected[:, 12:] = left, right
    return expected


def faded(mode: str) -> Image.Image:
    """Red, and right of the middle nothing."""
    picture = Image.new("RGBA", (24, 16), (255, 0, 0, 255))
    picture.paste((255, 0, 0, 0), (12, 0, 24, 16))
    if mode == "LA":
        return picture.convert("LA")
    if mode == "PA":
        indexed = Image.new("P", (24, 16))
        indexed.putpalette([255, 0, 0])
        made = indexed.convert("PA")
        made.putalpha(picture.getchannel("A"))
        return made
    return picture


def with_chunk(name: bytes, body: bytes, data: bytes) -> bytes:
    """A PNG with a chunk before its pixels."""
    at = data.index(b"IDAT") - 4
    crc = struct.pack(">I", zlib.crc32(name + body))
    return data[:at] + struct.pack(">I", len(body)) + name + body + crc + data[at:]


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (24, 16), colour) for colour in ("red", "blue")]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)


def profiled(kind: str = "PNG", mode: str = "RGB") -> bytes:
    """Red and green change places by the profile that comes with the picture."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[at[0] : at[0] + 4], profile[at[1] : at[1] + 4] = b"gXYZ", b"rXYZ"
    name = profile.index(b"s\0R\0G\0B")
    profile[name : name + 7] = b"o\0d\0d\0 "
    return encoded(PICTURE.convert(mode), kind, icc_profile=bytes(profile))


def inverted_cmyk(adobe: bool) -> bytes:
    data = encoded(PICTURE.convert("CMYK"), "JPEG", quality=100)
    assert b"Adobe" in data
    if adobe:
        return data
    at = data.index(b"\xff\xee")
    return data[:at] + data[at + 2 + struct.unpack(">H", data[at + 2 : at + 4])[0] :]


def lab() -> bytes:
    profiles = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
    made = ImageCms.profileToProfile(PICTURE, *profiles, outputMode="LAB")
    return encoded(made, "TIFF")


WHITE, RED, BLUE, BLACK = (255, 255, 255), (255, 0, 0), (0, 0, 255), (0, 0, 0)
BLACK_AND_WHITE = halves(BLACK, WHITE)
ONE_BIT = Image.fromarray((BLACK_AND_WHITE[..., 0] > 0).astype(np.uint8) * 255).convert("1")
QUARTER = np.rot90(COLOURS, -1)
FLOATS = RAMP.astype(np.float32)


def colours_tiff(values: np.ndarray, *more: tuple[int, int, int], planes: bool = False) -> bytes:
    """An uncompressed TIFF of colours, written by hand, with more tags."""
    height, width, _ = values.shape
    data = (values.transpose(2, 0, 1) if planes else values).tobytes()
    bits = values.dtype.itemsize * 8
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * 3), 259: (3, [1]),
            262: (3, [2]), 273: (4, [8 + n * len(data) // 3 for n in range(3)] if planes else [8]),
            277: (3, [3]), 278: (4, [height]),
            279: (4, [len(data) // 3] * 3 if planes else [len(data)]),
            284: (3, [1 + planes])}  # fmt: skip
    tags |= {tag: (kind, [value]) for tag, kind, value in more}
    end = 8 + len(data) + 2 + 12 * len(tags) + 4
    entries, body = b"", b""
    for tag, (kind, numbers) in sorted(tags.items()):
        packed = struct.pack(f"<{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers)
        entries += struct.pack("<HHI", tag, kind, len(numbers))
        elsewhere = len(packed) > 4
        entries += struct.pack("<I", end + len(body)) if elsewhere else packed.ljust(4, b"\0")
        body += packed if elsewhere else b""
    head = b"II" + struct.pack("<HI", 42, 8 + len(data))
    return head + data + struct.pack("<H", len(tags)) + entries + bytes(4) + body


EIGHT, SIXTEEN = COLOURS.astype(np.uint8), (COLOURS * 257).astype("<u2")
RAW = colours_tiff(EIGHT, (254, 4, 1), (330, 4, 8))
"""What Pillow sees of a camera's raw file: a small copy, and a pointer elsewhere."""

SHOWN = {
    # tones
    "16 bits": (array(whole(16).astype(np.uint16)), GREY),
    "16 bits, big-endian": (tiff(whole(16), order=">"), GREY),
    "16 bits, compressed": (array(whole(16).astype(np.uint16), compression="tiff_lzw"), GREY),
    "16 bits, PNG": (array(whole(16).astype(np.uint16), "PNG"), GREY),
    "16 bits, PGM": (array(whole(16).astype(np.int32), "PPM"), GREY),
    "16 bits, JPEG 2000": (array(whole(16).astype(np.uint16), "JPEG2000"), GREY),
    "12 bits in 16": (array(whole(12).astype(np.uint16)), GREY),
    "10 bits in 16": (array(whole(10).astype(np.uint16)), GREY),
    "8 bits in 16": (array(whole(8).astype(np.uint16)), GREY),
    "12 bits in 16, big-endian": (tiff(whole(12), order=">"), GREY),
    "12 bits, packed": (tiff(whole(12), bits=12), GREY),
    "12 bits, packed, big-endian": (tiff(whole(12), bits=12, order=">"), GREY),
    "a dark scan of 16 bits stays dark": (array((whole(16) / 4).astype(np.uint16)), GREY / 4),
    "int32 of 8 bits": (array(whole(8).astype(np.int32)), GREY),
    "int32 of 16 bits": (array(whole(16).astype(np.int32)), GREY),
    "int32 in full": (tiff(whole(31), bits=32, form=2), GREY),
    "uint32 in full": (tiff(whole(32), bits=32), GREY),
    "int32 below 0": (array(((RAMP - 0.5) * 2000).astype(np.int32)), GREY),
    "int16 in full": (tiff(whole(15), form=2), GREY),
    "int16 below 0": (tiff((RAMP - 0.5) * 65534, form=2), GREY),
    "float 0..1": (array(FLOATS), GREY),
    "float 0..255": (array(FLOATS * 255), GREY),
    "float 0..65535": (array(FLOATS * 65535), GREY),
    "float -1..1": (array(FLOATS * 2 - 1), GREY),
    "float 0..1, big-endian": (tiff(RAMP, order=">", bits=32, form=3), GREY),
    "float, overshooting": (array(FLOATS * 1.02 - 0.01), GREY),
    "float with gaps": (
        array(np.where(RAMP < 0.1, np.nan, FLOATS)), np.where(RAMP[..., None] < 0.1, 26, GREY)),
    "colours of 8 bits in planes": (colours_tiff(EIGHT, planes=True), COLOURS),
    "colours of 16 bits, TIFF": (colours_tiff(SIXTEEN), COLOURS),
    "a small copy without another": (colours_tiff(EIGHT, (254, 4, 1)), COLOURS),
    "WhiteIsZero, 8 bits": (tiff(255 - whole(8), bits=8, photometric=0), GREY),
    "WhiteIsZero, 16 bits": (tiff(65535 - whole(16), photometric=0), GREY),
    "WhiteIsZero, 16 bits, big-endian": (
        tiff(65535 - whole(16), photometric=0, order=">"), GREY),
    "WhiteIsZero, float": (tiff(1 - RAMP, photometric=0, bits=32, form=3), GREY),
    "WhiteIsZero, 1 bit, fax": (
        encoded(ONE_BIT, "TIFF", compression="group4", tiffinfo={262: 0}), BLACK_AND_WHITE),
    "1 bit, TIFF": (encoded(ONE_BIT, "TIFF"), BLACK_AND_WHITE),
    "1 bit, PNG": (encoded(ONE_BIT, "PNG"), BLACK_AND_WHITE),
    "1 bit, PBM": (encoded(ONE_BIT, "PPM"), BLACK_AND_WHITE),
    # what is transparent
    "RGBA": (encoded(faded("RGBA"), "PNG"), halves(RED, WHITE)),
    "RGBA, WebP": (encoded(faded("RGBA"), "WEBP", lossless=True), halves(RED, WHITE)),
    "RGBA, TIFF": (encoded(faded("RGBA"), "TIFF"), halves(RED, WHITE)),
    "LA": (encoded(faded("LA"), "PNG"), halves(76, 255)),
    "LA, TIFF": (encoded(faded("LA"), "TIFF"), halves(76, 255)),
    "PA, TIFF": (encoded(faded("PA"), "TIFF"), halves(RED, WHITE)),
    "multiplied, TIFF": (
        encoded(faded("RGBA"), "TIFF", tiffinfo={338: 1}), halves(RED, WHITE)),
    "palette": (paletted(), halves(RED, BLUE)),
    "palette with one transparent": (paletted(transparency=0), halves(WHITE, BLUE)),
    "palette with opacities": (paletted(transparency=b"\xff\0"), halves(RED, WHITE)),
    "grey with one transparent": (
        array(halves(7, 200)[..., 0].astype(np.uint8), "PNG", transparency=7), halves(255, 200)),
    "16 bits with one transparent": (
        with_chunk(b"tRNS", struct.pack(">H", 65535), array(whole(16).astype(np.uint16), "PNG")),
        GREY),
    "RGB with one transparent": (
        encoded(Image.fromarray(halves(RED, BLUE).astype(np.uint8)), "PNG", transparency=RED),
        halves(WHITE, BLUE)),
    "GIF with one transparent": (
        encoded(Image.open(io.BytesIO(paletted())), "GIF", transparency=0), halves(WHITE, BLUE)),
    # colours
    "CMYK, TIFF": (encoded(PICTURE.convert("CMYK"), "TIFF"), COLOURS),
    "CMYK, JPEG of Adobe": (inverted_cmyk(adobe=True), COLOURS),
    "CMYK, JPEG without Adobe's mark": (inverted_cmyk(adobe=False), COLOURS),
    "YCbCr": (encoded(PICTURE.convert("YCbCr"), "TIFF"), COLOURS)
    if PIL.__version__ >= "13" else None,  # before, Pillow told it as cut off
    "LAB": (lab(), COLOURS),
    "a colour profile": (profiled(), COLOURS[..., [1, 0, 2]]),
    "a colour profile, JPEG": (profiled("JPEG"), COLOURS[..., [1, 0, 2]]),
    "a colour profile for other pixels": (profiled(mode="L"),
                                          np.asarray(PICTURE.convert("L").convert("RGB"))),
    "a broken colour profile": (encoded(PICTURE, "PNG", icc_profile=b"none"), COLOURS),
    # frames
    "animated GIF": (animated("GIF"), halves(RED, RED)),
    "animated WebP": (animated("WEBP"), halves(RED, RED)),
    "animated PNG": (animated("PNG"), halves(RED, RED)),
    "several pages": (
        encoded(PICTURE, "TIFF", save_all=True, append_images=[Image.new("RGB", (9, 9))]), COLOURS),
    # EXIF
    "turned": (turned(6), QUARTER),
    "turned, PNG": (turned(6, "PNG"), QUARTER),
    "turned, TIFF": (encoded(PICTURE, "TIFF", tiffinfo={274: 6}), QUARTER),
    "turned, WebP": (turned(6, "WEBP"), QUARTER),
    "mirrored": (turned(2), COLOURS[:, ::-1]),
    "an orientation that is none": (turned(9), COLOURS),
    "an orientation of 0": (turned(0), COLOURS),
    "EXIF of a type that does not exist": (
        odd_exif(struct.pack("<HHII", 0x0131, 99, 1, 0)), QUARTER),
    "EXIF of a signed type in a text": (odd_exif(struct.pack("<HHIi", 0x0131, 9, 1, -1)), QUARTER),
    "EXIF of floats": (odd_exif(struct.pack("<HHIf", 0x9204, 11, 1, 0.5)), QUARTER),
    "EXIF that points nowhere": (odd_exif(struct.pack("<HHII", 0x0131, 2, 99, 9999)), QUARTER),
    "EXIF with a part that is a number": (
        odd_exif(struct.pack("<HHII", 0x8769, 4, 1, 0xFFFFFFF0)), QUARTER),
    "EXIF of a length that is false": (
        odd_exif(struct.pack("<HHII", 0x0131, 3, 2**31, 8)), QUARTER),
    # kinds of files
    "BMP": (encoded(PICTURE, "BMP"), COLOURS),
    "TGA": (encoded(PICTURE, "TGA"), COLOURS),
    "PPM": (encoded(PICTURE, "PPM"), COLOURS),
    "JPEG 2000": (encoded(PICTURE, "JPEG2000"), COLOURS),
    "PCX": (encoded(PICTURE, "PCX"), COLOURS),
    "QOI": (encoded(PICTURE, "QOI"), COLOURS) if "QOI" in Image.SAVE else None,
    "AVIF": (encoded(PICTURE, "AVIF", quality=100), COLOURS) if "AVIF" in Image.SAVE else None,
}  # fmt: skip


LOSSY = ("LAB", "AVIF", "a colour profile, JPEG")
"""Saturated colours do not come back as they were."""


@pytest.mark.parametrize("case", [name for name, row in SHOWN.items() if row])
def test_as_a_viewer_shows_it(case, tmp_path, recwarn, capfd):
    """However a picture was written, its pixels are those that were meant; nothing is printed."""
    data, expected = SHOWN[case]
    shown = decode(data)
    assert shown.mode == "RGB"
    away = np.abs(np.asarray(shown).astype(float) - expected)
    assert away.max() <= (16 if case in LOSSY else 4)
    assert away.mean() <= 3
    path = tmp_path / "a"
    path.write_bytes(data)
    assert survey(path).status == "ok"
    assert not [warning for warning in recwarn if "PIL" in warning.filename]
    assert capfd.readouterr() == ("", "")


LARGE = Image.linear_gradient("L").resize((400, 300))


def pyramid(*sides: int, copies: bool = True) -> bytes:
    """A TIFF of several sizes, those after the first marked as copies."""
    buffer = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(buffer) as pages:
        for number, side in enumerate(sides):
            page = LARGE.resize((side * 4 // 3, side))
            page.save(pages, "TIFF", tiffinfo={254: int(copies and number > 0)})
            pages.newFrame()
    return buffer.getvalue()


@pytest.fixture
def _limit(monkeypatch):
    """40,000 pixels are too many: as if 179 million were. Of JPEG 2000, a fifth."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000)


@pytest.mark.usefixtures("_limit")
@pytest.mark.parametrize(
    ("data", "size"),
    [
        (encoded(LARGE, "JPEG"), (50, 38)),
        (encoded(LARGE, "JPEG2000"), (50, 38)),
        (encoded(LARGE, "JPEG2000", num_resolutions=3), (100, 75)),
        (pyramid(300, 150, 75, 37), (100, 75)),
        (pyramid(300, 75, 150), (100, 75)),
    ],
    ids=["JPEG", "JPEG 2000", "JPEG 2000 of three sizes", "TIFF pyramid", "TIFF pyramid, mixed"],
)
def test_a_huge_scan_is_read_smaller(data, size):
    """It is decoded at the smallest size that suffices, and looks as it would in full."""
    shown = decode(data, 38)
    assert shown.size == size or min(shown.size) >= 38
    assert shown.width * shown.height <= 20_000
    expected = np.asarray(LARGE.resize(shown.size).convert("RGB")).astype(float)
    assert np.abs(np.asarray(shown) - expected).mean() < 3


@pytest.mark.usefixtures("_limit")
@pytest.mark.parametrize(
    ("data", "side"),
    [
        (encoded(LARGE, "PNG"), 38),
        (encoded(LARGE, "WEBP"), 38),
        (encoded(LARGE, "TIFF"), 38),
        (encoded(LARGE, "TGA"), 38),
        (encoded(LARGE, "JPEG", progressive=True), 38),
        (encoded(LARGE, "JPEG"), None),
        (encoded(LARGE, "JPEG2000", num_resolutions=1), 38),
        (pyramid(300, 100, copies=False), 38),
        (pyramid(300, 20), 38),
    ],
    ids=["PNG", "WebP", "TIFF", "TGA", "progressive", "in full", "one size", "pages", "too small"],
)
def test_a_huge_scan_that_cannot_be_read_smaller(data, side, monkeypatch):
    """It is left out with its size and the option that allows it, which does."""
    with pytest.raises(
        ValueError, match=r"(400 × 300|120000) pixels, .* set OVERPAINT_MEGAPIXELS=1"
    ):
        decode(data, side)
    monkeypatch.setenv("OVERPAINT_MEGAPIXELS", "1")
    assert min(decode(data, side).size) >= 38


def test_a_limit_that_is_no_number(monkeypatch):
    """The variable is named."""
    monkeypatch.setenv("OVERPAINT_MEGAPIXELS", "lots")
    with pytest.raises(DatasetError, match="OVERPAINT_MEGAPIXELS is 'lots'") as caught:
        decode(encoded(PICTURE, "PNG"))
    assert caught.value.slug == "bad-limit"


def cut(kind: str, **options: object) -> bytes:
    noise = Image.effect_noise((64, 64), 50).convert("RGB")
    return encoded(noise, kind, **options)[:-700]


LEFT_OUT = {
    "an empty file": (b"", "the file is empty"),
    "a pointer of Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "git lfs pull"),
    "a raw file": (RAW, "a camera's raw file"),
    "a raw file, DNG": (colours_tiff(EIGHT, (50706, 4, 0x0104)), "a camera's raw file"),
    "16 bits in three planes": (colours_tiff(SIXTEEN, planes=True), "which Pillow misreads"),
    "a page that says 404": (b"<!DOCTYPE html><html>404</html>", "not a picture"),
    "a JPEG cut off": (cut("JPEG"), "truncated"),
    "a PNG cut off": (cut("PNG"), "truncated|broken"),
    "a GIF cut off": (cut("GIF"), "truncated|not a picture|broken|cannot"),
    "a TIFF cut off": (cut("TIFF", compression="tiff_lzw"), "."),
    "a TIFF whose LZW is broken": (
        encoded(PICTURE, "TIFF", compression="tiff_lzw").replace(
            encoded(PICTURE, "TIFF", compression="tiff_lzw")[20:60], b"\xff" * 40), "."),
    "a WebP cut off": (cut("WEBP"), "."),
    "a JPEG 2000 cut off": (cut("JPEG2000"), "."),
    "a JPEG's head": (b"\xff\xd8\xff\xe0", "."),
    "a PNG of no width": (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 0, 9) + b"\x08\2\0\0\0", "."),
    "a PNG whose text unpacks to 100 MB": (
        with_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"0" * 10**8), encoded(PICTURE, "PNG")), "."),
    "HEIC without its plugin": (b"\0\0\0\x18ftypheic\0\0\0\0", "pip install pillow-heif"),
    "EPS, which Pillow gives to a program": (
        encoded(PICTURE, "EPS"), "not a picture"),
    "PDF": (encoded(PICTURE, "PDF"), "not a picture"),
    "PSD": (b"8BPS\0\1" + bytes(20), "not a picture"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
    "floats in three colours": (
        tiff(RAMP, bits=64, form=3), "not a picture"),
}  # fmt: skip


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_cannot_be_read_is_left_out(case, tmp_path, recwarn, capfd):
    """The status tells why; no error ends a run, and nothing is printed."""
    data, reason = LEFT_OUT[case]
    with pytest.raises(ValueError, match=reason):
        decode(data)
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    look = survey(path)
    assert (len(look.digest), look.width, look.height) == (64, 0, 0)
    assert look.status not in ("", "ok")
    assert not [warning for warning in recwarn if "PIL" in warning.filename]
    assert capfd.readouterr() == ("", "")


def test_threads_are_quiet(recwarn):
    """Many pictures that Pillow has remarks on, in many threads: not one is heard."""
    data = SHOWN["EXIF of a length that is false"][0]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, [data] * 64))
    assert not [warning for warning in recwarn if "PIL" in warning.filename]


def test_the_terminal_stays_clean(tmp_path):
    """Also in a process of its own, where Pillow's log has no handler."""
    names = ["EXIF of a length that is false", "EXIF that points nowhere", "palette with opacities"]
    for number, name in enumerate(names):
        (tmp_path / str(number)).write_bytes(SHOWN[name][0])
    (tmp_path / "many").write_bytes(tiff(RAMP, bits=64, form=3))
    code = (
        "from pathlib import Path; from overpaint.pixels.images import survey\n"
        f"print([survey(path).status for path in sorted(Path({str(tmp_path)!r}).iterdir())])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.count("ok") == 3


# --- which files are pictures ------------------------------------------------------------------

FILES = {
    "a.jpg": (b"<html>404</html>", True),  # a broken picture, to be told as one
    "a.JFIF": (encoded(PICTURE, "JPEG"), True),
    "a.jpe": (encoded(PICTURE, "JPEG"), True),
    "a.Jp2": (encoded(PICTURE, "JPEG2000"), True),
    "a.avif": (b"", True),
    "a.heic": (b"\0\0\0\x18ftypheic", True),
    "a.ppm": (encoded(PICTURE, "PPM"), True),
    "a.TGA": (encoded(PICTURE, "TGA"), True),
    "without an ending": (encoded(PICTURE, "PNG"), True),
    "a.jpg.download": (encoded(PICTURE, "JPEG"), True),
    "a.pcx": (encoded(PICTURE, "PCX"), True),
    "Q.1890": (encoded(PICTURE, "TIFF"), True),
    "a.txt": (b"P5 is a place in the museum", False),
    "notes": (b"title,artist", False),
    "empty": (b"", False),
    "a.psd": (b"8BPS\0\1" + bytes(20), False),
    "a.nef": (RAW, False),
    "a.eps": (encoded(PICTURE, "EPS"), False),
    "a.pdf": (encoded(PICTURE, "PDF"), False),
    "a.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", False),
    "a.csv": (b"path,label\n", False),
    "Thumbs.db": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), False),
    ".DS_Store": (b"\0\0\0\1Bud1" + bytes(99), False),
}


@pytest.mark.parametrize("name", FILES)
def test_which_files_are_pictures(name, tmp_path):
    """The ending says so in any case, or else the first bytes do."""
    data, expected = FILES[name]
    (tmp_path / name).write_bytes(data)
    assert is_picture(tmp_path / name) == expected


def test_only_unfamiliar_endings_are_opened(tmp_path, monkeypatch):
    """A hundred thousand pictures are not opened to see what they are; a folder is none."""
    monkeypatch.setattr(Image, "open", lambda *args, **options: pytest.fail("opened"))
    assert all(is_picture(tmp_path / f"a{ending}") for ending in ENDINGS)
    assert not is_picture(tmp_path)
    assert not is_picture(tmp_path / "missing")
