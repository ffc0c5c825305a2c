"""The notebooks of the documentation, each cell run."""

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("notebooks")


def outputs(cell) -> list[str]:
    """The kinds of what a cell shows, and its errors."""
    return [
        kind for output in cell.outputs for kind in output.get("data", {output.output_type: ""})
    ]


# The second goes on with the pictures that the first has made.
@pytest.mark.parametrize("name", ["demonstration", "own_module"])
def test_a_notebook_runs_from_top_to_bottom(name, place, monkeypatch):
    """What is last in a cell shows itself: as HTML or as a picture, not as a line of text alone."""
    commands = Path(sys.executable).parent  # where `!overpaint` is
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    book = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in book.cells), "outputs are not kept"
    NotebookClient(
        book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(place)}}
    ).execute()
    shown = [outputs(cell) for cell in book.cells if cell.cell_type == "code"]
    rich = [kinds for kinds in shown if {"text/html", "image/png"} & set(kinds)]
    assert len(rich) >= 4
    text = nbformat.writes(book)
    assert "<svg" in text
    assert "ProgressBar" in text or "<progress" in text
