"""The tree of CONTRIBUTING.md is the tree, and the README is one screen."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_module_stands_in_the_tree():
    """A module that is added, moved or renamed is so in the tree too, and none is left over."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    tree = text.split("## The tree, in reading order")[1].split("```")[1]
    named = set(re.findall(r"\b(\w+\.py)\b", tree))
    modules = {path.name for path in (ROOT / "src/overpaint").rglob("*.py")}
    assert named == modules
    folders = {
        path.parent.relative_to(ROOT / "src/overpaint").as_posix()
        for path in (ROOT / "src/overpaint").rglob("__init__.py")
    }
    assert {f"{Path(name).name}/" for name in folders if name != "."} <= set(tree.split())


def test_the_readme_is_short():
    """Purpose, picture, two commands, a study, links: what takes longer stands in docs."""
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 75
    assert len(text.split()) <= 500


def test_what_the_readme_links_to_is_there():
    """Files by their path, paragraphs by their heading."""
    text = (ROOT / "README.md").read_text("utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, heading = target.partition("#")
        page = (ROOT / path).read_bytes()
        assert heading in page.decode().lower().replace(" ", "-") if heading else page
