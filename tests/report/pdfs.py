"""What a PDF of a chart holds: its size, and the letters that can be found and copied."""

import re
import zlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Pdf:
    """The page's width and height in points, and its text, letter after letter as it is set."""

    width: float
    height: float
    text: str


def read_pdf(data: bytes) -> Pdf:
    """A slow reader of as much of the format as the writer of charts uses."""
    objects = dict(re.findall(rb"^(\d+) 0 obj\n(.*?)^endobj", data, re.DOTALL | re.MULTILINE))
    page = next(each for each in objects.values() if b"/Type /Page\n" in each)
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", page)
    letters = {
        name: _letters(_stream(objects[re.search(rb"/ToUnicode (\d+)", objects[number])[1]]))
        for name, number in re.findall(rb"/(fo\d+) (\d+) 0 R", page)
    }
    content = _stream(objects[re.search(rb"/Contents (\d+)", page)[1]])
    shown = re.findall(rb"/(fo\d+) [\d.]+ Tf\n\((.*?)\) Tj\nET", content, re.DOTALL)
    text = "".join(letters[font][_code(glyph)] for font, glyph in shown)
    # An older vl-convert ties what stands together: blanks and hyphens.
    plain = text.translate({0xA0: " ", 0x2010: "-", 0x2011: "-", 0xAD: "-"})
    return Pdf(float(box[1]), float(box[2]), plain)


def _stream(body: bytes) -> bytes:
    data = re.search(rb"stream\r?\n(.*)\r?\nendstream", body, re.DOTALL)[1]
    return zlib.decompress(data) if b"/FlateDecode" in body else data


def _letters(table: bytes) -> dict[int, str]:
    """The letters by the number of their glyph."""
    return {
        int(glyph, 16): bytes.fromhex(code.decode()).decode("utf-16-be")
        for glyph, code in re.findall(rb"<([0-9A-F]+)> <([0-9A-F]+)>\n", table)
        if len(glyph) == 4 and glyph + code != b"0000FFFF"
    }


def _code(text: bytes) -> int:
    """The number of a glyph from a string of two bytes, escaped as PDF does."""
    named = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
    plain = re.sub(
        rb"\\([0-7]{3}|.)",
        lambda it: bytes([int(it[1], 8)]) if len(it[1]) == 3 else named.get(it[1], it[1]),
        text,
        flags=re.DOTALL,
    )
    assert len(plain) == 2
    return int.from_bytes(plain, "big")
