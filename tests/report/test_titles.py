"""Titles of networks: whoever reads sees them, while files and addresses keep the names."""

import re
import shutil
import xml.etree.ElementTree as ET

import pytest
from parsed import channels, pages

from overpaint.records import StudyFolder
from overpaint.report import build
from overpaint.report.export.methods import methods
from overpaint.report.study.reading import read_records

TITLES = {"imagenet": "as <loaded>", "fine_tuned": 'tuned & "gently"', "double": "by a detour",
          "scratch": "from nothing"}  # fmt: skip

NAMES = re.compile(r"\b(imagenet|fine_tuned)\b")


@pytest.fixture(scope="module")
def titled(whole, tmp_path_factory):
    """The whole study with titles, and its report."""
    folder = tmp_path_factory.mktemp("titled") / "whole"
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("site*"))
    text = StudyFolder(folder).study.read_text()
    for name, title in TITLES.items():
        text = re.sub(rf"^  {name}:$", f"  {name}:\n    title: '{title}'", text, flags=re.MULTILINE)
    StudyFolder(folder).study.write_text(text)
    build(folder)
    return folder


def test_pages_name_networks_by_their_titles(titled):
    """No word of a page is the name of a network with a title, but where the name is what is told:
    on its own page and in its box, and among artefacts.
    """
    for place, page in pages(titled / "site").items():
        words = re.sub(r"<code>.*?</code>|<span class=\"origin\">.*?</span>", "", page.unlinked)
        if place == "method.html":
            words = words.split('id="provenance"')[0]
        shown = re.sub(r"<[^>]*>", " ", words.split("<main")[1])
        assert not (found := NAMES.findall(shown)), f"{place}: {found}"


def test_charts_name_networks_by_their_titles(titled):
    """Nor does a chart write such a name."""
    for path in sorted((titled / "site/charts").rglob("*.svg")):
        words = " ".join(ET.parse(path).getroot().itertext())  # noqa: S314  (drawn by us)
        assert not NAMES.search(words), path.name


def test_channels_and_methods_name_networks_by_their_titles(titled):
    """The sentence of a channel and the paragraphs for a paper have titles."""
    site = titled / "site"
    told = channels(site, "comparisons/imagenet--fine_tuned/mixed4d.html")
    assert {channel.summary.split(", its")[0] for channel in told.values()} == {
        'From as <loaded> to tuned & "gently"'
    }
    assert not NAMES.search(methods(read_records(StudyFolder(titled)))["methods.md"])


def test_addresses_keep_the_names(whole, titled):
    """The pages of a study lie where they lay before it had titles."""
    assert [*pages(titled / "site")] == [*pages(whole / "site")]


def test_a_network_is_found_by_its_name_and_its_title(titled):
    """The search has both."""
    index = (titled / "site/assets/index.js").read_text()
    assert '"name":"by a detour","of":"double","at":"networks/double.html"' in index
