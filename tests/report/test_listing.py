"""The list of pages: what the site, the navigation and the documentation have of each."""

import re
from collections import Counter
from pathlib import Path

from parsed import pages, read_page

from overpaint.report.pages.listing import NAVIGATION, PAGES


def test_every_page_of_the_site_is_of_one_kind(whole):
    """Each address of the site is that of exactly one kind of the list, and each kind has pages."""
    patterns = {page.address: re.sub("<.*?>", "[^/]+", page.address) for page in PAGES}
    counts = Counter()
    for name in pages(whole / "site"):
        kinds = [address for address, pattern in patterns.items() if re.fullmatch(pattern, name)]
        if len(kinds) > 1:  # a map lies among the layers, none of which is called so
            kinds = [address for address in kinds if not address.endswith("<layer>.html")]
        assert len(kinds) == 1, (name, kinds)
        counts[kinds[0]] += 1
    assert counts.keys() == patterns.keys()


def test_the_navigation_is_that_of_the_list(whole):
    """The pages with a title stand on top of every page, in order."""
    for place in ("index.html", "networks/fine_tuned.html"):
        text = read_page(whole / "site" / place).text
        top = text.split('class="pages"')[1].split("</nav>")[0]
        root = "../" * place.count("/")
        links = re.findall('<a href="(.*?)">(.*?)</a>', top)
        assert links == [(f"{root}{link.href}", link.text) for link in NAVIGATION]


def test_the_documentation_lists_every_page():
    """The table of pages in docs/report.md is that of the list."""
    text = (Path(__file__).parents[2] / "docs/report.md").read_text("utf-8")
    table = text.split("| page | address |\n|---|---|\n")[1].split("\n\n")[0]
    assert table.splitlines() == [f"| {page.about} | `{page.address}` |" for page in PAGES]


def test_the_list_knows_which_pages_have_charts(whole):
    """The kinds that have charts, which the figures of a paper are drawn from, are those with any.

    What has none is not made for them.
    """
    with_charts = {
        address
        for address in (page.address for page in PAGES)
        for name, page in pages(whole / "site").items()
        if re.fullmatch(re.sub("<.*?>", "[^/]+", address), name) and "charts/" in page.text
    }
    assert with_charts == {page.address for page in PAGES if page.has_charts}
