"""Pages of the tiny study, compared with those kept."""

import golden
import pytest


def test_pages_are_as_kept(whole):
    """A page of each kind is what it was; if it is meant to differ, `make golden` accepts it."""
    told = golden.differences(golden.made(whole))
    if told:
        pytest.fail(f"{told}\nthe pages as they are now: {golden.CHANGED}; accept: make golden")


def test_a_difference_is_told(whole, tmp_path, monkeypatch):
    """A word that changed is in the difference, and the page is left to be looked at."""
    monkeypatch.setattr(golden, "CHANGED", tmp_path)
    pages = golden.made(whole)
    name = "networks/fine_tuned.html"
    changed = pages[name].replace("Recipe", "Prescription")
    told = golden.differences({name: changed})
    assert '-    <a href="#recipe">Recipe</a>' in told
    assert '+    <a href="#recipe">Prescription</a>' in told
    assert (tmp_path / name).read_text("utf-8") == changed


def test_what_differs_between_machines_is_scrubbed():
    """Versions and dates do not make a page another; numbers that were measured do."""
    assert golden.scrubbed("torch 2.15.0+cpu, 2026-11-25") == "torch VERSION, DATE"
    assert golden.scrubbed("CKA 0.612 of 1,999") == "CKA 0.612 of 1,999"
