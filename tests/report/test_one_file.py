"""The report in one file: it is whole in itself, small enough, and as harmless as the site."""

import re

import pytest
from parsed import read_page
from tiny_study import BREAKOUT, SCRIPT

from overpaint.errors import RecordError
from overpaint.report.export import one_file as module
from overpaint.report.export.one_file import LARGEST, one_file


@pytest.fixture(scope="module")
def file(whole, tmp_path_factory):
    """The report of the finished study in one file."""
    return one_file(whole, tmp_path_factory.mktemp("mail") / "report.html")


def test_it_is_whole_in_itself(file):
    """Each link leads to a place in the file, to an address of the web, or holds what it is of;
    each picture is in the file, and each place is there once.
    """
    text = file.read_text(encoding="utf-8")
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    links = re.findall(r'\shref="([^"]*)"', text)
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    elsewhere = [link for link in links if not re.match(r"#|data:|https?:", link)]
    assert elsewhere == []
    sources = re.findall(r'\ssrc="([^"]*)"', text)
    assert len(sources) > 20
    assert all(source.startswith("data:image/") for source in sources)
    for named in re.findall(r'\saria-labelledby="([^"]+)"', text):
        assert set(named.split()) <= set(ids)


def test_a_mark_that_leads_out_stays_a_mark(file):
    """A drawing's link to a page that is not in the file becomes a group: nothing of HTML stands in
    a drawing, where it would end it.
    """
    drawings = re.findall(r"<svg .*?</svg>", file.read_text(encoding="utf-8"), re.DOTALL)
    assert any("<g>" in drawing and "<circle" in drawing for drawing in drawings)
    assert not [drawing for drawing in drawings if "<span" in drawing]


def words(markup: str) -> list[str]:
    return re.sub(r"<[^>]+>", " ", markup).split()


def test_it_has_the_main_pages_letter_by_letter(whole, file):
    """All that the overview, the findings and the comparisons say stands in it, in their order."""
    articles = re.findall(
        r'<article class="page" id="p\d+">(.*?)</article>\n(?=<article class="page"|</main>)',
        file.read_text(encoding="utf-8"),
        re.DOTALL,
    )
    site = whole / "site"
    pages = [site / "index.html", site / "findings.html", *site.glob("comparisons/*.html")]
    for path in pages:
        body = path.read_text(encoding="utf-8").split('<main id="main">')[1].split("</main>")[0]
        assert words(body) in [words(article) for article in articles]
    assert len(articles) == len(pages) + 1
    assert "are in the whole report" in read_page(file).plain
    assert file.stat().st_size < LARGEST


def test_the_same_site_gives_the_same_file(whole, file, tmp_path):
    """It is made again byte by byte, also over itself."""
    again = one_file(whole, tmp_path / "again.html")
    assert again.read_bytes() == file.read_bytes()
    assert one_file(whole, again).read_bytes() == file.read_bytes()


def test_hostile_names_stay_names(file):
    """Nothing of a name becomes markup, and the file allows no script and no request at all."""
    text = file.read_text(encoding="utf-8")
    assert SCRIPT not in text
    assert BREAKOUT not in text
    assert "<script" not in text
    assert re.search(r"default-src 'none'; img-src data:; style-src 'sha256-[^']+'\"", text)


def test_what_is_too_much_is_left_out_and_told(whole, tmp_path, monkeypatch):
    """A file with little room has fewer pictures; with less, fewer comparisons; and says so."""
    monkeypatch.setattr(module, "LARGEST", 700_000)
    monkeypatch.setattr(module, "TEXT", 10**9)
    small = one_file(whole, tmp_path / "small.html")
    assert re.search(r"\d+ pictures too many were left out", read_page(small).plain)
    text = small.read_text(encoding="utf-8")
    assert '<use href="#"/>' not in text
    assert re.search(r'<svg [^>]*viewBox="[^>]*>(<text class="lacking" [^>]*>not included</text>)',
                     text)  # fmt: skip
    monkeypatch.setattr(module, "TEXT", 1)
    smaller = one_file(whole, tmp_path / "smaller.html")
    assert re.search(r"Left out, .*imagenet → ", read_page(smaller).plain)
    assert 'id="chosen"' not in smaller.read_text(encoding="utf-8")


@pytest.mark.parametrize("place", ["inside", "folder", "theirs"])
def test_where_it_may_not_be(whole, tmp_path, place):
    """A place in the site, a folder and a page of somebody else's are refused, and stay."""
    theirs = tmp_path / "letter.html"
    theirs.write_text("<p>Dear all,")
    places = {"inside": whole / "site/report.html", "folder": tmp_path, "theirs": theirs}
    with pytest.raises(RecordError) as error:
        one_file(whole, places[place])
    assert error.value.slug == ("not-ours" if place == "theirs" else "bad-one-file")
    assert theirs.read_text() == "<p>Dear all,"
