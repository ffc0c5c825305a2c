"""The page of the study folder is that of the classes, and tells of all of them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the module beside the tests is no package

import folder_page

from overpaint.records import VERSIONS


def test_the_page_is_made_from_the_classes():
    """A column that is added or renamed reaches the page: `make docs` writes it."""
    assert folder_page.PAGE.read_text(encoding="utf-8") == folder_page.page()


def test_every_row_and_every_kind_is_told_of():
    """No table of the folder and no kind of artefact is left out."""
    assert folder_page.undocumented() == []
    assert {kind for _, kind, _, _ in folder_page.FILES if kind} == VERSIONS.keys()
