"""The README's tree is the tree."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_module_stands_in_the_tree():
    """A module that is added, moved or renamed is so in the README too, and none is left over."""
    text = (ROOT / "README.md").read_text("utf-8")
    tree = text.split("## The tree, in reading order")[1].split("```")[1]
    named = set(re.findall(r"\b(\w+\.py)\b", tree))
    modules = {path.name for path in (ROOT / "src/overpaint").rglob("*.py")}
    assert named == modules
    folders = {
        path.parent.relative_to(ROOT / "src/overpaint").as_posix()
        for path in (ROOT / "src/overpaint").rglob("__init__.py")
    }
    assert {f"{Path(name).name}/" for name in folders if name != "."} <= set(tree.split())
