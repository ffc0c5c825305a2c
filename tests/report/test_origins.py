"""Where pictures come from: links to the web and nothing else, rights in words, little weight.

A thumbnail leads to the page of its picture, and from there to the source.
"""

import re
import shutil
from dataclasses import replace
from html import unescape
from urllib.parse import unquote

import pandas as pd
import pytest
from parsed import channels, collection, csv_at, pages, read_page
from tiny_study import SCRIPT

from overpaint.records import (
    ImageRow,
    read_manifest,
    read_rows,
    read_table,
    write_manifest,
    write_rows,
    write_table,
)
from overpaint.report import build
from overpaint.report.parts.origins import LONGEST, in_words, origin

NETWORK, CARDS = "networks/fine_tuned.html", "comparisons/imagenet--fine_tuned.html"
LAYER = "comparisons/imagenet--fine_tuned/mixed4d.html"
ITEM = re.compile(r"<li[^>]*>(?:(?!</li>).)*</li>", re.DOTALL)
LISTS = re.compile(r'<ol class="(?:thumbs|sure)">.*?</ol>', re.DOTALL)


def say(folder, source: str, rights: str = "") -> None:
    """Let the table of the dataset say this of each picture; {} is its number."""
    path = folder / "datasets/rasta/images.parquet"
    rows = [
        replace(row, source=source.format(number), rights=rights)
        for number, row in enumerate(read_rows(path, ImageRow))
    ]
    write_rows(path, rows, ImageRow)


def shown(folder, place: str) -> list[str]:
    """The pictures of a page that are a dataset's, each as the item of its list."""
    lists = LISTS.findall((folder / "site" / place).read_text(encoding="utf-8"))
    items = [item for text in lists for item in ITEM.findall(text)]
    assert len(items) > 5
    return items


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("place", [NETWORK, CARDS])
def test_thumbnails_lead_back(lean, place):
    """Each leads to the page of its picture, which has its source; with its rights in words."""
    sources = {row.image: f'https://museum.org/{number}?a=1&b="2"'
               for number, row in enumerate(read_rows(
                   lean / "datasets/rasta/images.parquet", ImageRow))}  # fmt: skip
    say(lean, 'https://museum.org/{}?a=1&b="2"', "http://rightsstatements.org/vocab/InC/1.0/")
    build(lean)
    told = collection(lean / "site")
    for item in shown(lean, place):
        href, title, inside = re.search(
            r'<a href="([^"]*)" title="([^"]*)">(.*?)</a>', item
        ).groups()
        assert title == "Rights: in copyright"
        picture = unescape(re.search(r' aria-label="([^"]*)"', inside)[1])
        page, _, anchor = unescape(href).partition("#")
        assert (lean / "site" / place).parent.joinpath(page).resolve() == (
            lean / "site/pictures/rasta.html"
        ).resolve()
        assert unquote(anchor) == picture
        source = sources[picture]
        assert ("Source", source, source) in told[picture].facts
    images = channels(lean / "site", LAYER)[3].images
    for image in (image for side in images for image in side):
        assert (image.href, image.remark) == (None, "Rights: in copyright")


@pytest.mark.usefixtures("quick")
def test_thumbnails_of_no_page_lead_to_the_source(lean):
    """Where the pictures of the network page have no thumbnail, their place leads to the source."""
    say(lean, "https://museum.org/{}")
    shutil.rmtree(lean / "thumbnails")
    build(lean)
    for item in shown(lean, NETWORK):
        assert re.search(r'<a href="https://museum.org/\d+" rel="noreferrer"', item)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "source",
    ["javascript:alert(1)", " https://museum.org", "data:text/html,x", "//museum.org/1", "Inv. 12",
     "https://museum.org/a b", "http:///etc", "file:///etc/passwd", "java\tscript:x", SCRIPT,
     'x" onclick="alert(1)', "https://museum.org/" + 2000 * "x"],
)  # fmt: skip
def test_what_is_no_address_of_the_web_is_no_link(lean, source):
    """It is told as text, of its own words only, and leads nowhere."""
    say(lean, source.replace("{", "{{"))
    build(lean)
    for place in (NETWORK, CARDS):
        page = read_page(lean / "site" / place)
        assert not page.foreign
        assert all(set(named) <= {"title", "href"} for _, named in page.tags
                   if "Source" in named.get("title", ""))  # fmt: skip
        for item in shown(lean, place):
            href, title = map(
                unescape, re.search('<a href="([^"]*)" title="([^"]*)">', item).groups()
            )
            assert "pictures/rasta.html#" in href
            assert title.startswith(f"Source: {' '.join(source.split())[:100]}")
            assert len(title) <= LONGEST + len("Source: ")
    for image in channels(lean / "site", LAYER)[3].images[0]:
        assert image.href is None
        assert image.remark.startswith(f"Source: {' '.join(source.split())[:100]}")
        assert len(image.remark) <= LONGEST + len("Source: ")


@pytest.mark.usefixtures("quick")
def test_pictures_without_a_word_are_as_before(lean):
    """Pages and tables do not change by columns that are empty, or not there at all."""
    path = lean / "datasets/rasta/images.parquet"
    build(lean)
    before = {place: page.text for place, page in pages(lean / "site").items()}
    table = csv_at(lean / "site", "datasets/rasta").read()
    frame = read_table(path)
    for changed in (frame.drop(columns=["source", "rights"]), frame.assign(source=None)):
        write_table(path, changed)
        write_manifest(path.parent, read_manifest(path.parent))
        build(lean)
        assert {place: page.text for place, page in pages(lean / "site").items()} == before
        assert csv_at(lean / "site", "datasets/rasta").read() == table
    assert "source" not in table.splitlines()[0]


@pytest.mark.usefixtures("quick")
def test_the_data_page_counts_sources_and_rights(lean):
    """One sentence says of how many pictures they are known, and the table has them whole."""
    path = lean / "datasets/rasta/images.parquet"
    rights = "Courtesy of the museum. " * 20
    write_rows(path, [replace(row, source="https://museum.org/1" if number % 2 else "",
                              rights=rights if number < 10 else "")
                      for number, row in enumerate(read_rows(path, ImageRow))],
               ImageRow)  # fmt: skip
    build(lean)
    known = [row for row in read_rows(path, ImageRow) if row.status == "ok"]
    n = sum(bool(row.source) for row in known)
    assert (
        f"The source of {n} pictures and the rights of 10 are recorded: the page of a picture "
        "leads to the one and names the other, and the table has both."
        in read_page(lean / "site/data.html").plain
    )
    table = pd.read_csv(csv_at(lean / "site", "datasets/rasta"), keep_default_na=False)
    assert table["rights"].tolist()[:11] == [rights] * 10 + [""]


@pytest.mark.usefixtures("quick")
def test_changed_rights_reach_pages_that_stand(lean):
    """What is shown of a channel is made again when other is said of its pictures."""
    for rights in ("CC0", "CC BY 4.0", ""):
        say(lean, "https://museum.org/{}", rights)
        build(lean)
        for place in (NETWORK, CARDS):
            assert all(("title=" in item) == bool(rights) for item in shown(lean, place))
            assert all(f'title="Rights: {rights}"' in item for item in shown(lean, place) if rights)
        images = channels(lean / "site", LAYER)[3].images[0]
        assert {image.remark for image in images} == {f"Rights: {rights}" if rights else None}


@pytest.mark.parametrize(
    ("rights", "words"),
    [
        ("http://creativecommons.org/licenses/by-nc-nd/3.0/nl/", "CC BY-NC-ND 3.0"),
        ("https://creativecommons.org/licenses/by/4.0/deed.en; A. Moon", "CC BY 4.0; A. Moon"),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "public domain"),
        ("See https://rightsstatements.org/page/NKC/1.0/.", "See no known copyright."),
        (
            "http://rightsstatements.org/vocab/XYZ/1.0/",
            "http://rightsstatements.org/vocab/XYZ/1.0/",
        ),
        ("© Muzej 2026", "© Muzej 2026"),
    ],
)
def test_rights_are_words(rights, words):
    """The addresses of usual licences and statements are put in words, all else is kept."""
    assert in_words(rights) == words


def test_a_long_text_is_cut_in_sight():
    """What is cut ends in three dots, in a script without blanks too."""
    assert origin("", "版" * 500).remark == f"Rights: {'版' * (LONGEST - 1)}…"
