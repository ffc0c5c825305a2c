"""Thumbnails on sheets: each where its place says, the same sheets from the same thumbnails."""

import io
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from overpaint.report.parts.rows import Sheet
from overpaint.report.site import sheets
from overpaint.report.site.incremental import IncrementalFiles

PYTHON = sys.executable
COLOURS = ("#c03028", "#2f6f4e", "#24508a", "#d8b13c", "#f4f1ea")


@pytest.fixture
def thumbnails(tmp_path):
    """A folder of thumbnails in several shapes, and their colours by name."""
    folder = tmp_path / "thumbnails"
    folder.mkdir()
    colours = {}
    for number in range(23):
        name = f"{number:024x}.jpg"
        colours[name] = COLOURS[number % len(COLOURS)]
        size = (112, 84) if number % 2 else (60, 112)
        Image.new("RGB", size, colours[name]).save(folder / name)
    return folder, colours


def test_each_thumbnail_lies_where_its_place_says(thumbnails, tmp_path, monkeypatch):
    """Every thumbnail is on a sheet, whole, in its own colour, and no sheet is wider than said."""
    monkeypatch.setattr(sheets, "SIDE", 336)
    folder, colours = thumbnails
    files = IncrementalFiles(tmp_path / "site")
    with files.written():
        places = sheets.on_sheets(files, folder, "rasta")
    assert places.keys() == colours.keys()
    assert {place.sheet.src for place in places.values()} == {
        f"pictures/rasta-{number}.jpg" for number in (1, 2, 3)
    }
    for name, place in places.items():
        with Image.open(tmp_path / "site" / place.sheet.src) as sheet:
            assert sheet.size == (place.sheet.width, place.sheet.height)
            assert max(sheet.size) <= 336
            right, bottom = place.x + place.width, place.y + place.height
            part = np.asarray(sheet.crop((place.x, place.y, right, bottom)), int)
        colour = np.asarray(Image.new("RGB", (1, 1), colours[name]), int)
        assert np.abs(part - colour).mean() < 4, name


@pytest.mark.parametrize("program", [PYTHON, shutil.which("true"), "/nowhere/python", ""])
def test_a_sheet_of_another_process_is_the_same(thumbnails, monkeypatch, program):
    """Of many thumbnails or of few, and where that process says nothing or there is none."""
    folder, colours = thumbnails
    corners = {name: (0, 112 * number) for number, name in enumerate(colours)}
    sheet = Sheet(src="a.jpg", width=112, height=112 * len(corners))
    here = sheets.drawn(folder, sheet, corners, 90)
    monkeypatch.setattr(sheets, "APART", 1)
    monkeypatch.setattr(sheets.sys, "executable", program)
    calls = []
    draw = sheets.draw_sheet
    monkeypatch.setattr(sheets, "draw_sheet", lambda *order: calls.append(1) or draw(*order))
    assert sheets.drawn(folder, sheet, corners, 90) == here
    assert len(calls) == (program != PYTHON)


def test_many_thumbnails_are_files(thumbnails, tmp_path, monkeypatch):
    """Of more than a page could load as sheets there are none."""
    monkeypatch.setattr(sheets, "MOST", 22)
    assert sheets.on_sheets(IncrementalFiles(tmp_path / "site"), thumbnails[0], "rasta") == {}


def test_what_is_no_thumbnail_is_on_no_sheet(thumbnails, tmp_path):
    """A file under another name, or that is no picture, has no place; one cut off is left blank."""
    folder, colours = thumbnails
    first, second, *_ = sorted(colours)
    (folder / "notes.jpg").write_bytes((folder / first).read_bytes())
    (folder / second).write_bytes(b"no picture")
    whole = io.BytesIO()
    Image.effect_noise((112, 84), 90).convert("RGB").save(whole, "JPEG")
    (folder / first).write_bytes(whole.getvalue()[:1500])
    files = IncrementalFiles(tmp_path / "site")
    with files.written():
        places = sheets.on_sheets(files, folder, "rasta")
    assert places.keys() == colours.keys() - {second}
    assert sheets.on_sheets(files, tmp_path / "nothing", "rasta") == {}
