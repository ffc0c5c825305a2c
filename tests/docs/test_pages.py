"""The pages of the documentation: all in the navigation, with links that lead somewhere."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

import overpaint as op
from overpaint.datasets import kinds
from overpaint.study import model
from overpaint.study.recipe import PRESETS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def words_of(page: str) -> str:
    """The text of a page."""
    return (DOCS / page).read_text("utf-8")


def test_every_page_stands_in_the_navigation_once():
    """No page is lost, and none is there twice."""
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    listed = Counter(re.findall(r"[\w-]+\.md", yaml.safe_dump(settings["nav"])))
    assert set(listed.values()) == {1}
    assert set(listed) == {page.name for page in DOCS.rglob("*.md")}


def test_every_file_is_used():
    """Each picture beside the pages stands on one of them, or in the README."""
    text = "".join(page.read_text("utf-8") for page in [*DOCS.glob("*.md"), ROOT / "README.md"])
    text += (ROOT / "mkdocs.yml").read_text("utf-8")
    files = [path for path in DOCS.rglob("*") if path.suffix not in (".md", "") and path.is_file()]
    assert [path.name for path in files if path.name not in text] == []


def test_every_picture_is_told_in_words():
    """Who sees no picture reads what it shows."""
    for page in DOCS.glob("*.md"):
        assert [alt for alt in re.findall(r"!\[(.*?)\]", page.read_text("utf-8")) if not alt] == []


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The documentation, built with strict links."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_pages_ask_nothing_of_other_servers(site):
    """Scripts, styles, fonts and pictures lie beside the pages; only what is clicked leads away."""
    for page in site.rglob("*.html"):
        text = page.read_text("utf-8")
        loaded = re.findall(r'<(?:script|img|link|iframe|source)[^>]*?(?:src|href)="([^"]+)"', text)
        assert [place for place in loaded if re.match(r"(?:https?:)?//", place)] == [], page.name
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", style.read_text("utf-8")), style.name


# --- what the program knows, the pages tell ------------------------------------------------------


def test_every_key_of_a_study_is_told():
    """Each key of a study, of a network and of a rendering stands in docs/studies.md."""
    keys: set[str] = set()
    for entry in (model.Study, model.NetworkEntry, model.Pair, model.RenderEntry, model.GazeEntry,
                  model.FeaturesEntry, model.Mixed):  # fmt: skip
        keys |= {field.alias or name for name, field in entry.model_fields.items()
                 if not field.exclude}  # fmt: skip
    text = words_of("studies.md")
    assert {key for key in keys if not re.search(rf"`{key}[`:( ]", text)} == set()


def test_every_recipe_and_kind_is_told():
    """Presets stand in docs/training.md, kinds of datasets in docs/datasets.md."""
    assert {name for name in PRESETS if f"| `{name}` |" not in words_of("training.md")} == set()
    assert {name for name in kinds.KINDS if f"| `{name}` |" not in words_of("datasets.md")} == set()


def test_every_public_name_is_told():
    """What `overpaint` exports stands in the table of docs/python.md."""
    table = words_of("python.md").split("## The names")[1]
    assert {name for name in op.__all__ if f"`{name}`" not in table} == set()
