"""The site in a real browser."""

import shutil

import pytest
from site_walk import walk


@pytest.fixture(scope="module")
def faults(whole, tmp_path_factory) -> list[str]:
    """What a walk through a copy of the site, alone in another place, finds wrong."""
    place = tmp_path_factory.mktemp("moved away") / "site"
    shutil.copytree(whole / "site", place)
    return walk(place)


def test_the_site_opens_from_disk(faults):
    """Every page opens from disk: no message, no request elsewhere, no overflow, all pictures."""
    assert faults == []


def test_the_walk_objects(tmp_path):
    """The walk tells of a script, a missing picture, a request elsewhere, a page too wide."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text(
        '<!doctype html><p style="width: 500px">wide</p><img src="missing.png" alt="">'
        '<img src="file:///etc/hostname" alt=""><script>console.log("hello")</script>'
    )
    faults = "\n".join(walk(site))
    for fault in ("console: hello", "broken image", "asked for file:///etc/hostname", "wide"):
        assert fault in faults
