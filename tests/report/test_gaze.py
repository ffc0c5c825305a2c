"""The section Where it looks: each tile is the right part of the sheet, and what lacks is said."""

import re
import shutil

import pytest
from parsed import Page
from PIL import Image
from tiny_study import BREAKOUT, SCRIPT

from overpaint.records import (
    GazePictureRow,
    GazeTileRow,
    StudyFolder,
    read_json,
    read_rows,
    write_json,
    write_rows,
)
from overpaint.report import build
from overpaint.report.parts.addresses import picture_page

NAME = "imagenet--fine_tuned"


def section_of(folder, name=NAME):
    """The section of a comparison's page."""
    page = (folder / f"site/comparisons/{name}.html").read_text("utf-8")
    return page.split('<section aria-labelledby="gaze">')[1].split("</section>")[0]


def gaze_of(folder):
    """The folder of the gaze, the first pair's."""
    return StudyFolder(folder).gaze("imagenet", "fine_tuned")


def test_each_tile_is_its_part_of_the_sheet(whole):
    """Every tile of the tables stands on the page once, cut out where its number says."""
    tiles = read_rows(gaze_of(whole) / "tiles.parquet", GazeTileRow)
    section = section_of(whole)
    corners = re.findall(r'viewBox="(\d+) (\d+) 110 110"', section)
    expected = [(str(112 * (row.tile % 12) + 1), str(112 * (row.tile // 12) + 1)) for row in tiles]
    assert sorted(corners) == sorted(expected)
    sheet = whole / f"site/pictures/gazes/{NAME}.webp"
    with Image.open(sheet) as picture:
        assert f'width="{picture.width}" height="{picture.height}"' in section
        assert picture.height == 112 * (1 + max(row.tile for row in tiles) // 12)


def test_what_a_tile_shows_is_said_in_words(whole):
    """Heat has its scale and its place, a check its correlation, a class that lacks is told."""
    section = Page(section_of(whole))
    layer = read_json(gaze_of(whole) / "manifest.json")["facts"]["layers"][0]
    assert f"Heat of {layer}:" in section.text
    assert "most at the top right" in section.text
    assert "heat, up to 2.25" in section.plain
    assert "sum misses 1.2" in section.plain
    assert "rank correlation 0.40, 49 places" in section.plain
    assert "which imagenet does not name" in section.plain
    assert "Grad-CAM: 0.40 over 2 pictures; Integrated gradients: 0.40 over 2" in section.plain
    assert f"{layer}: agreement 0.75, the three components hold 50.0" in section.plain
    assert section.text.count("<article") == 2
    assert section.text.count(' role="img" aria-label=') == section.text.count('class="cell"')


def test_hostile_names_break_nothing(whole):
    """The picture's name and a note are told as they are, and are no markup."""
    section = section_of(whole)
    assert SCRIPT not in section
    assert "<img src=x" not in section
    assert "&lt;script&gt;" in section
    assert BREAKOUT in read_rows(gaze_of(whole) / "pictures.parquet", GazePictureRow)[0].image


def test_where_op_report_made_the_page_it_says_that_it_does_not_look(lean):
    """No study and no run can be asked for more: what can be done is said, for all that is not."""
    text = (lean / "study.yaml").read_text()
    started = re.sub(r"from: imagenet", "load: python:small", text)
    (lean / "study.yaml").write_text(started)
    for name in ("gazes", "causes", "concepts", "probes"):
        shutil.rmtree(lean / name)
    build(lean)
    page = (lean / "site/comparisons/imagenet--fine_tuned.html").read_text()
    assert "with “gaze: true”; op.report, which made this page, does not look." in page
    assert "op.report, which made this page, tries none of it." in page
    layer = (lean / "site/comparisons/imagenet--fine_tuned/mixed4d.html").read_text()
    assert "render={&#39;channels&#39;: [&#39;{}&#39;]}) draws it" in layer
    assert "in the study the next run" not in page


def test_where_it_was_not_looked_the_page_says_how_it_comes(whole):
    """One sentence, with the key of the study."""
    section = section_of(whole, "fine_tuned--double")
    assert "gaze: true" in section
    assert "<article" not in section


def test_why_there_is_no_attribution_is_told(lean):
    """What the run wrote stands on the page, and no empty rows do."""
    place = gaze_of(lean)
    tiles = read_rows(place / "tiles.parquet", GazeTileRow)
    kept = [row for row in tiles if row.kind in ("picture", "heat", "colours")]
    write_rows(place / "tiles.parquet", kept, GazeTileRow)
    manifest = read_json(place / "manifest.json")
    manifest["facts"] |= {"methods": [], "no_attribution": "Captum is not installed <b>."}
    write_json(place / "manifest.json", manifest)
    build(lean)
    section = section_of(lean)
    assert "Captum is not installed &lt;b&gt;." in section
    assert "Grad-CAM" not in section


@pytest.mark.parametrize("sheet", [b"", b"RIFF no picture", None])
def test_without_its_sheet_the_words_stay(lean, sheet):
    """A sheet that is gone, or none, is noted; what tables tell is told all the same."""
    place = gaze_of(lean)
    path = place / "sheet.webp"
    path.unlink() if sheet is None else path.write_bytes(sheet)
    build(lean)
    section = section_of(lean)
    assert "heat, up to 2.25" in Page(section).plain
    assert 'class="cell"' not in section
    assert not (lean / f"site/pictures/gazes/{NAME}.webp").exists()


def test_what_could_not_be_looked_at_is_told(lean):
    """Empty tables say why; the page does not say that nobody asked."""
    place = gaze_of(lean)
    for name, row in (("pictures", GazePictureRow), ("tiles", GazeTileRow)):
        write_rows(place / f"{name}.parquet", [], row)
    manifest = read_json(place / "manifest.json")
    manifest["facts"]["notes"] = ["No picture is there to look on."]
    write_json(place / "manifest.json", manifest)
    build(lean)
    assert "No picture is there to look on." in section_of(lean)
    assert "gaze: true" not in section_of(lean)


def test_tiles_beyond_the_sheet_are_none(lean):
    """A number that no sheet has shows nothing that is not there."""
    place = gaze_of(lean)
    rows = read_rows(place / "tiles.parquet", GazeTileRow)
    write_rows(
        place / "tiles.parquet",
        [GazeTileRow(**(vars(row) | {"tile": 10**6})) for row in rows],
        GazeTileRow,
    )
    build(lean)
    assert 'class="cell"' not in section_of(lean)


def test_a_picture_and_its_page_lead_to_each_other(whole):
    """The name of a picture leads to its page, and that to where networks look on it."""
    first, second = read_rows(gaze_of(whole) / "pictures.parquet", GazePictureRow)
    section = section_of(whole)
    script = (whole / "site/pictures/rasta.js").read_text("utf-8")
    for row in (first, second):
        assert f'href="../{picture_page("rasta", row.image)}"' in section
        assert f"{NAME}.html#gaze-picture-{row.number}" in script
        assert f'id="gaze-picture-{row.number}"' in section
    cards = section.split("<article")[1:]
    assert [card.count("<figcaption>") for card in cards] == [8, 10]


def test_without_a_gaze_nothing_is_copied(lean):
    """A folder that is removed takes its sheet from the site with it."""
    build(lean)
    assert (lean / f"site/pictures/gazes/{NAME}.webp").exists()
    assert "#gaze-picture-" in (lean / "site/pictures/rasta.js").read_text("utf-8")
    shutil.rmtree(gaze_of(lean))
    build(lean)
    assert "#gaze-picture-" not in (lean / "site/pictures/rasta.js").read_text("utf-8")
    assert not (lean / f"site/pictures/gazes/{NAME}.webp").exists()
    assert "gaze: true" in section_of(lean)
