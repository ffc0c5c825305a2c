"""Files that end like pictures and are none, or are more than they seem: each by its name.

Each is made by a function that writes it to a path. Sizes are those at which a decoder that trusts
the file takes gigabytes, or minutes.
"""

import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from PIL import Image


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int,
    height: int,
    *,
    bits: int = 8,
    colour: int = 0,
    extra: bytes = b"",
    rows: int | None = None,
) -> bytes:
    """A PNG of zeros with that size, of which `rows` are there."""
    line = (width * bits * {0: 1, 2: 3, 4: 2, 6: 4}[colour] + 7) // 8 + 1
    packer = zlib.compressobj(1)
    data = bytearray()
    left = line * (height if rows is None else rows)
    block = bytes(2**20)
    while left > 0:
        data += packer.compress(block[: min(left, len(block))])
        left -= len(block)
    data += packer.flush()
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
        + extra
        + chunk(b"IDAT", bytes(data))
        + chunk(b"IEND", b"")
    )


@cache
def zeros(count: int) -> bytes:
    """So many zeros, compressed."""
    packer = zlib.compressobj(1)
    parts = [packer.compress(bytes(2**20)) for _ in range(count // 2**20)]
    return b"".join([*parts, packer.flush()])


def tiff(tags: list[tuple[int, int, int, int]], data: bytes = b"") -> bytes:
    """A little-endian TIFF of one directory; `data` lies behind the eight bytes of the header."""
    place = 8 + len(data) + len(data) % 2
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return (
        b"II*\0"
        + struct.pack("<I", place)
        + data.ljust(place - 8, b"\0")
        + struct.pack("<H", len(tags))
        + entries
        + bytes(4)
    )


def tiff_of(
    width: int, height: int, data: bytes, compression: int, *more: tuple[int, ...]
) -> bytes:
    """One grey strip, or tiles if `more` says so."""
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, compression),
        (262, 3, 1, 1),
        (277, 3, 1, 1),
        *more,
    ]
    if not any(tag[0] == 322 for tag in more):
        tags += [(273, 4, 1, 8), (279, 4, 1, len(data))]
        if not any(tag[0] == 278 for tag in more):
            tags.append((278, 4, 1, height))
    return tiff(tags, data)


def saved(size: tuple[int, int], kind: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind, **options)
    return buffer.getvalue()


def resized(data: bytes, width: int, height: int, marker: bytes, offset: int) -> bytes:
    """A JPEG whose header claims another size."""
    place = data.index(marker) + offset
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


def scans(count: int) -> bytes:
    """A progressive JPEG of 4000 × 4000 with a scan repeated that often: each costs all of it."""
    data = saved((4000, 4000), "JPEG", "L", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def ppm(header: str, data: bytes = b"") -> bytes:
    return header.encode() + b"\n" + data


def ico_of_png(data: bytes) -> bytes:
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(data), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + data


def qoi(width: int, height: int) -> bytes:
    runs = bytes([0xFD]) * (width * height // 62 + 1)
    return b"qoif" + struct.pack(">IIBB", width, height, 3, 0) + runs + bytes(7) + b"\x01"


def gif_frames(count: int) -> bytes:
    data = saved((200, 200), "GIF", "P")
    start = data.index(b",\0\0\0\0")
    return data[:start] + data[start:-1] * count + b";"


def gif_screen(width: int, height: int) -> bytes:
    """A GIF whose screen is far larger than its one frame."""
    data = saved((4, 4), "GIF", "P")
    return data[:6] + struct.pack("<HH", width, height) + data[10:]


def bmp(width: int, height: int) -> bytes:
    data = saved((4, 4), "BMP")
    return data[:18] + struct.pack("<ii", width, height) + data[26:]


def tga(width: int, height: int) -> bytes:
    """Runs of 128 pixels of one colour."""
    head = struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, width, height, 24, 0)
    return head + b"\xff\0\0\0" * (width * height // 128 + 1)


def pcx(width: int, height: int) -> bytes:
    head = struct.pack("<BBBBHHHHHH", 10, 5, 1, 8, 0, 0, width - 1, height - 1, 72, 72)
    head = head.ljust(65, b"\0") + struct.pack("<BH", 3, width) + b"\0\1"
    return head.ljust(128, b"\0") + b"\xff\0" * (width * height * 3 // 63)


def sgi(width: int, height: int) -> bytes:
    return struct.pack(">HBBHHHH", 474, 0, 1, 3, width, height, 3).ljust(512, b"\0")


def sun(width: int, height: int) -> bytes:
    return struct.pack(">8I", 0x59A66A95, width, height, 24, 0, 2, 0, 0) + b"\x80\xff\0" * 9999


def dds(width: int, height: int) -> bytes:
    head = struct.pack("<7I", 124, 0x1007, height, width, 0, 0, 0) + bytes(44)
    kind = struct.pack("<2I4s5I", 32, 0x40, b"\0\0\0\0", 24, 0x0F0F00, 0xF0F0, 0xFF, 0)
    return b"DDS " + head + kind + bytes(20)


EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 64 64
%%EndComments
(/tmp/overpaint-was-here) (w) file closefile
showpage
%%EOF
"""

Made = Callable[[Path], object]


def of(data: bytes | Callable[[], bytes]) -> Made:
    """A file of these bytes."""
    return lambda path: path.write_bytes(data() if callable(data) else data)


def sparse(size: int) -> Made:
    def made(path: Path) -> None:
        with path.open("wb") as file:
            file.write(b"\xff\xd8\xff\xe0")
            file.truncate(size)

    return made


def bound(path: Path) -> None:
    """A socket that nobody listens at."""
    lying = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path has 108 letters at most
    try:
        lying.bind(path.name)
    finally:
        os.chdir(here)
        lying.close()


ROWS: dict[str, tuple[str, Made, str]] = {
    # no files
    "a FIFO": ("jpg", os.mkfifo, "no file"),
    "a socket": ("png", bound, "no file"),
    "a device without end": ("jpg", lambda path: path.symlink_to("/dev/zero"), "no file"),
    "a device without anything": ("jpg", lambda path: path.symlink_to("/dev/null"), "no file"),
    "a terminal": ("jpg", lambda path: path.symlink_to("/dev/ptmx"), "no file"),
    "a link to itself": ("jpg", lambda path: path.symlink_to(path.name), "symbolic link"),
    "a link to nothing": ("jpg", lambda path: path.symlink_to("nowhere"), "No such file"),
    "a file of a terabyte": ("jpg", sparse(2**40), "MB, above the limit"),
    "a file of two gigabytes": ("tif", sparse(2**31), "MB, above the limit"),
    "an empty file": ("png", of(b""), "empty"),
    # too narrow
    "1 × 20,000 of 161 bytes": ("png", of(png(1, 20000, bits=1)), "too narrow"),
    "20,000 × 1": ("png", of(png(20000, 1, bits=1)), "too narrow"),
    "1 × 170,000,000": ("png", of(png(1, 170_000_000, bits=1, rows=9)), "too narrow"),
    "2 × 3,000": ("bmp", of(lambda: saved((2, 3000), "BMP")), "too narrow"),
    "1 × 65,000 as JPEG": ("jpg", of(lambda: saved((1, 65000), "JPEG")), "too narrow"),
    # too large, or larger inside than it says
    "PNG of 60,000 × 60,000": ("png", of(png(60000, 60000, rows=9)), "megapixels"),
    "PNG of 2^31 × 2^31": ("png", of(png(2**31 - 1, 2**31 - 1, rows=0)), "megapixels"),
    "PNG of zeros, 13,000 × 13,000": ("png", of(lambda: png(13000, 13000)), ""),
    "RGBA of 16 bits, 9,600²": ("png", of(lambda: png(9600, 9600, bits=16, colour=6)), ""),
    "PNG in grey of 16 bits, 9,600²": ("png", of(lambda: png(9600, 9600, bits=16)), ""),
    "PNG with 1 GB of profile": (
        "png",
        of(lambda: png(9, 9, extra=chunk(b"iCCP", b"a\0\0" + zeros(2**30)))),
        "",
    ),
    "PNG with 1 GB of text": (
        "png",
        of(lambda: png(9, 9, extra=chunk(b"zTXt", b"a\0\0" + zeros(2**30)))),
        "",
    ),
    "PNG with 1 GB of text in Unicode": (
        "png",
        of(lambda: png(9, 9, extra=chunk(b"iTXt", b"a\0\1\0\0\0" + zeros(2**30)))),
        "",
    ),
    "PNG with 1 GB behind its pixels": (
        "png",
        of(lambda: png(9, 9, rows=2**30 // 10)),
        "",
    ),
    "PNG whose chunk has 2 GB": (
        "png",
        of(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**31 - 1) + b"IHDR" + bytes(99)),
        "",
    ),
    "TIFF with a strip of 4 GB": (
        "tif",
        of(lambda: tiff_of(40, 40, zeros(2**28), 8, (278, 4, 1, 2**26))),
        "",
    ),
    "TIFF with a tile of 16,000 × 64,000": (
        "tif",
        of(
            lambda: tiff_of(
                40,
                40,
                zeros(2**30),
                8,
                (322, 4, 1, 16000),
                (323, 4, 1, 64000),
                (324, 4, 1, 8),
                (325, 4, 1, len(zeros(2**30))),
            )
        ),
        "tiles",
    ),
    "TIFF with a tile of 2^31": (
        "tif",
        of(
            tiff_of(
                40,
                40,
                bytes(99),
                1,
                (322, 4, 1, 2**31),
                (323, 4, 1, 2**31),
                (324, 4, 1, 8),
                (325, 4, 1, 99),
            )
        ),
        "tiles",
    ),
    "TIFF with 2^31 bits a sample": (
        "tif",
        of(tiff([(256, 4, 1, 9), (257, 4, 1, 9), (258, 3, 2**31, 8), (262, 3, 1, 1)])),
        "",
    ),
    "TIFF with 100 MB of one tag": (
        "tif",
        of(lambda: tiff_of(9, 9, bytes(10**8), 1, (34675, 7, 10**8, 8))),
        "",
    ),
    "TIFF that is its own next page": (
        "tif",
        of(tiff_of(9, 9, bytes(81), 1)[:-4] + struct.pack("<I", 90)),
        "",
    ),
    "TIFF of 20,000 × 20,000 with 100,000 pages": (
        "tif",
        of(lambda: pages(20000, 20000, 100_000)),
        "megapixels",
    ),
    "JPEG that claims 65,000 × 65,000": (
        "jpg",
        of(lambda: resized(saved((8, 8), "JPEG"), 65000, 65000, b"\xff\xc0", 5)),
        "",
    ),
    "progressive JPEG that claims 13,000²": (
        "jpg",
        of(lambda: resized(saved((8, 8), "JPEG", progressive=True), 13000, 13000, b"\xff\xc2", 5)),
        "",
    ),
    "JPEG with 5,000 scans": ("jpg", of(lambda: scans(5000)), "scans"),
    "JPEG with 100 MB of comments": (
        "jpg",
        of(lambda: b"\xff\xd8" + (b"\xff\xfe\xff\xff" + bytes(65533)) * 1500),
        "",
    ),
    "JPEG with 60 MB of EXIF": (
        "jpg",
        of(
            lambda: (
                b"\xff\xd8"
                + (b"\xff\xe1\xff\xffExif\0\0" + bytes(65527)) * 900
                + saved((8, 8), "JPEG")[2:]
            )
        ),
        "",
    ),
    "GIF of 200,000 frames": ("gif", of(lambda: gif_frames(200_000)), ""),
    "GIF with a screen of 65,000²": ("gif", of(gif_screen(65000, 65000)), "megapixels"),
    "GIF with a screen of 13,000²": ("gif", of(gif_screen(13000, 13000)), ""),
    "GIF with 100 MB of comment": (
        "gif",
        of(
            lambda: (
                saved((4, 4), "GIF", "P")[:-1]
                + b"!\xfe"
                + (b"\xff" + bytes(255)) * 400_000
                + b"\0;"
            )
        ),
        "",
    ),
    "WebP of 16,000 × 11,000": ("webp", of(lambda: saved((16000, 11000), "WEBP", method=0)), ""),
    "WebP of 50 frames": (
        "webp",
        of(
            lambda: saved(
                (2000, 2000),
                "WEBP",
                save_all=True,
                method=0,
                append_images=[Image.new("RGB", (2000, 2000), (n, 0, 0)) for n in range(20)],
            )
        ),
        "",
    ),
    "AVIF of 9,000 × 9,000": ("avif", of(lambda: saved((9000, 9000), "AVIF", "L", speed=10)), ""),
    "JPEG 2000 of 9,000 × 9,000": ("jp2", of(lambda: saved((9000, 9000), "JPEG2000", "L")), ""),
    "JPEG 2000 that claims 2^31": (
        "jp2",
        of(
            lambda: (
                b"\xffO\xffQ"
                + struct.pack(
                    ">HHIIIIIIII", 47, 0, 2**31 - 1, 2**31 - 1, 0, 0, 2**31 - 1, 2**31 - 1, 0, 0
                )
                + struct.pack(">H", 3)
                + b"\7\1\1" * 3
                + bytes(99)
            )
        ),
        "",
    ),
    "BMP that claims 13,000²": ("bmp", of(bmp(13000, 13000)), "truncated"),
    "BMP that claims 2^31": ("bmp", of(bmp(2**31 - 1, -(2**31) + 1)), ""),
    "PPM of 10^12 pixels": ("ppm", of(ppm("P6 1000000 1000000 255")), "megapixels"),
    "PPM with a size of 20,000 digits": ("ppm", of(ppm("P6 " + "9" * 20000 + " 9 255")), ""),
    "PGM in letters": ("pgm", of(lambda: ppm("P2 9000 9000 255", b"1 " * 10**6)), ""),
    "PFM of NaN": (
        "pfm",
        of(ppm("Pf\n9 9\n-1.0", struct.pack("<f", float("nan")) * 81)),
        "",
    ),
    "ICO around a PNG of 13,000²": ("ico", of(lambda: ico_of_png(png(13000, 13000))), ""),
    "ICO around a PNG of 60,000²": ("ico", of(ico_of_png(png(60000, 60000, rows=9))), ""),
    "QOI of 13,000 × 13,000": ("qoi", of(lambda: qoi(13000, 13000)), ""),
    "TGA of 13,000 × 13,000": ("tga", of(lambda: tga(13000, 13000)), ""),
    "PCX of 9,000 × 9,000": ("pcx", of(lambda: pcx(9000, 9000)), ""),
    "SGI of 13,000 × 13,000": ("sgi", of(sgi(13000, 13000)), ""),
    "Sun raster of 13,000 × 13,000": ("ras", of(sun(13000, 13000)), ""),
    "DDS of 13,000 × 13,000": ("dds", of(dds(13000, 13000)), ""),
    # what is no format of ours
    "EPS called .jpg": ("jpg", of(EPS), "is EPS"),
    "EPS called .tif": ("tif", of(EPS), "is EPS"),
    "EPS of DOS called .png": (
        "png",
        of(b"\xc5\xd0\xd3\xc6" + struct.pack("<6I", 32, len(EPS), 0, 0, 0, 0) + bytes(4) + EPS),
        "is EPS",
    ),
    "PDF called .jpg": ("jpg", of(b"%PDF-1.7\n1 0 obj <<>> endobj\n"), "is PDF"),
    "PSD called .jpg": ("jpg", of(b"8BPS\0\1" + bytes(99)), "is PSD"),
    "SVG called .png": (
        "png",
        of(b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'),
        "is SVG",
    ),
    "WMF called .jpg": ("jpg", of(b"\xd7\xcd\xc6\x9a\0\0" + bytes(99)), "is WMF"),
    "MPEG called .jpg": ("jpg", of(b"\0\0\1\xb3" + bytes(99)), "not a picture"),
    "FITS called .tif": ("tif", of(b"SIMPLE  =                    T".ljust(2880)), "not a picture"),
    "a page of the web called .jpg": (
        "jpg",
        of(b"<!DOCTYPE html><html>404</html>"),
        "page of the web",
    ),
    "a program called .jpg": ("jpg", of(b"#!/bin/sh\ntouch /tmp/x\n"), "not a picture"),
}
"""What a file is -> its ending, how it is made, and what the reason says; "" for any reason, or
none: what matters is the memory.
"""


def pages(width: int, height: int, count: int) -> bytes:
    """A TIFF of many pages that are all marked as small copies."""
    entry = [
        (254, 4, 1, 1),
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, 1),
    ]
    directory = struct.pack("<H", len(entry)) + b"".join(struct.pack("<HHII", *t) for t in entry)
    length = len(directory) + 4
    parts = [directory + struct.pack("<I", 8 + (n + 1) * length) for n in range(count - 1)]
    return b"II*\0" + struct.pack("<I", 8) + b"".join([*parts, directory, bytes(4)])
