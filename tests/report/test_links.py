"""Marks of charts open what they stand for, by links that need no script."""

import re
from pathlib import Path

import pytest
from parsed import Page, pages, read_page

from overpaint.records import StudyFolder
from overpaint.report.export.figures import figures
from overpaint.report.study.reading import read_records

COMPARISON = "comparisons/imagenet--fine_tuned"


@pytest.fixture(scope="module")
def site(whole) -> Path:
    return whole / "site"


def opened(page: Page, chart: str) -> list[str]:
    """What the marks of a chart on a page open, in the order of the drawing."""
    section = page.unlinked.split(f'id="{chart}">')[1].split("</section>")[0]
    return re.findall(r'<a tabindex="-1" href="([^"]*)"', section)


def test_links_of_the_files_of_charts_lead_somewhere(site):
    """A chart that is opened alone leads to pages, and to anchors that these have."""
    ids = {place: {*page.ids} for place, page in pages(site).items()}
    count = 0
    for path in sorted((site / "charts").rglob("*.svg")):
        for href in re.findall(r'<a [^>]*href="([^"]*)"', path.read_text("utf-8")):
            place, _, anchor = href.partition("#")
            target = (path.parent / place).resolve().relative_to(site.resolve()).as_posix()
            assert not anchor or anchor in ids[target], f"{path.name} leads to {href}"
            assert target in ids, f"{path.name} leads to {href}"
            count += 1
    assert count > 100


def test_a_point_opens_its_channel(site):
    """Each point of the scatter plot leads to the address of its channel."""
    page = read_page(site / f"{COMPARISON}.html")
    for href in (marks := opened(page, "scatter")):
        assert re.fullmatch(r"\.\./comparisons/imagenet--fine_tuned/\w+\.html#\d", href)
    assert len(marks) == len({*marks}) > 20


@pytest.mark.parametrize("chart", ["cka", "overlap", "entropy", "matrix", "rewinds", "probes"])
def test_marks_by_layer_open_the_layer(site, chart):
    """Points, boxes, cells and diamonds lead to the page of their layer."""
    marks = opened(read_page(site / f"{COMPARISON}.html"), chart)
    assert {href.rpartition("/")[2] for href in marks} <= {
        f"{layer}.html"
        for layer in ("conv2d0", "conv2d2", "mixed3a", "mixed4a", "mixed4d", "mixed5b")
    }
    assert len({*marks}) >= 5


def test_a_cell_opens_the_pictures_of_its_pair(whole, site):
    """A confusion leads to the pictures of both classes, side by side; a hit to its class."""
    page = read_page(site / "networks/fine_tuned.html")
    network = read_records(StudyFolder(whole)).networks["fine_tuned"]
    square = network.scores.confusion
    wrong = {
        f"../networks/fine_tuned.html#confused-{row}-{column}"
        for row, line in enumerate(square)
        for column, n in enumerate(line)
        if n and row != column
    }
    marks = {*opened(page, "confusion")}
    assert wrong
    assert wrong <= marks
    rest = {href.partition("#")[2] for href in marks - wrong}
    assert rest == {f"class-{row}" for row, line in enumerate(square) if line[row]}
    for href in wrong:
        pair = page.text.split(f'id="{href.partition("#")[2]}"')[1].split("</article>")[0]
        assert pair.count('<p class="over">') == 2
        assert "rightly named" in pair


def test_a_score_opens_its_network_and_a_bar_its_class(site):
    """Marks of scores lead to networks but for ensembles; bars to the rows of their classes."""
    marks = opened(read_page(site / "index.html"), "scores-rasta-chart")
    assert {*marks} == {f"networks/{name}.html" for name in ("fine_tuned", "gentle", "svm",
                                                             "scratch")}  # fmt: skip
    data = read_page(site / "data.html")
    bars = opened(data, "classes-rasta")
    assert {href.partition("#")[2] for href in bars} <= {*data.ids}
    assert len({*bars}) == 4


def test_charts_without_links_stay_pictures(site):
    """What opens nothing is drawn by its file, when it is looked at."""
    page = read_page(site / "networks/fine_tuned.html")
    history = page.text.split('id="history">')[1].split("</section>")[0]
    assert '<img src="../charts/networks/fine_tuned/history.svg"' in history


def test_links_are_hidden_from_who_hears_or_tabs(site):
    """Hundreds of marks are no stops of the keyboard: the chart is told in words instead."""
    page = read_page(site / f"{COMPARISON}.html")
    drawings = re.findall(r"<svg [^>]*class=\"marks\"[^>]*>", page.text)
    assert drawings
    assert all('aria-hidden="true"' in drawing for drawing in drawings)
    assert "Scatter plot of overlap and class entropy after" in page.plain


def test_print_has_no_links(lean, tmp_path):
    """A figure for a paper leads to no page that would lie beside it."""
    out = figures(lean, tmp_path / "figures")
    for path in out.rglob("*.svg"):
        assert "<a " not in path.read_text("utf-8"), path.name
    for path in [*out.rglob("*.pdf"), *out.rglob("*.csv")]:
        assert b"site.invalid" not in path.read_bytes(), path.name
        assert b"/URI" not in path.read_bytes(), path.name


def test_no_address_of_the_drawer_is_left(site):
    """The address that stands for the site while a chart is drawn is on no page and in no file."""
    for path in site.rglob("*"):
        if path.suffix in (".html", ".svg", ".csv", ".js"):
            assert "site.invalid" not in path.read_text("utf-8"), path.name
