"""The examples of the documentation: found by what stands around them, and a place to run them in.

The convention, for every page below docs and the README:

- `python` blocks run, those of a page one after the other, after the first block of
  docs/python.md, which says what the names are.
- `yaml` blocks are read as studies; one without `study:` is laid over `BASE`.
- `console` blocks are commands, a line each. Those of overpaint run; of `pip`, `make` and scripts
  it is looked whether there is such an extra, target or file.
- A line `<!-- not run: why -->` before a block says why it is not run. Commands of overpaint in it
  are parsed all the same.
- `text` blocks are no examples. A block of no kind, and an indented one, are not allowed.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

ROOT = Path(__file__).parents[2]

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

ELSEWHERE = {"own-networks.md": "tests/test_own_networks.py"}
"""Pages whose Python and studies other tests run, as they stand."""

KINDS = {"python", "yaml", "console", "bash", "text"}


@dataclass(frozen=True, kw_only=True)
class Example:
    """A block of a page."""

    page: str
    line: int
    kind: str
    text: str
    reason: str  # why it is not run; empty where it is

    @property
    def name(self) -> str:
        """The page and the line, for a test's name."""
        return f"{self.page}:{self.line}"

    def commands(self) -> Iterator[list[str]]:
        """The words of each line of a console block, without comments and variables before them."""
        for line in self.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words:
                yield words


BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+?) -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def examples() -> list[Example]:
    """Every block of every page."""
    blocks = []
    for page in PAGES:
        whole = page.read_text("utf-8")
        blocks += [
            Example(
                page=page.name,
                line=whole[: block.start("kind")].count("\n") + 1,
                kind=block["kind"],
                text=block["text"],
                reason=block["reason"] or "",
            )
            for block in BLOCK.finditer(whole)
        ]
    return blocks


BASE = """
study: page
datasets:
  rasta: {kind: rasta, root: data/rasta}
  pictures: {kind: folder, root: pictures}
networks:
  imagenet: {load: inception_v1.bvlc_in1k}
  fine_tuned: {from: imagenet, fit: rasta, recipe: mode_a}
compare: [[imagenet, fine_tuned]]
"""
"""What a part of a study is laid over: the names that the pages use."""


def laid_over(base: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """A study with the keys of a part in the place of its own; datasets and networks are added to.

    >>> laid_over({"a": {"b": 1}, "c": 2}, {"a": {"d": 3}})
    {'a': {'b': 1, 'd': 3}, 'c': 2}
    """
    whole = base | part
    for key in base.keys() & part.keys():
        if isinstance(base[key], dict) and isinstance(part[key], dict):
            whole[key] = base[key] | part[key]
    return whole


def study_text(example: Example) -> str:
    """The whole study that a yaml block stands for."""
    part = yaml.safe_load(example.text)
    if "study" in part:
        return example.text
    return yaml.safe_dump(laid_over(yaml.safe_load(BASE), part), sort_keys=False)


SMALL = """
study: styles
datasets:
  rasta: {kind: rasta, root: data/rasta}
networks:
  imagenet: {load: inception_small, weights: random}
  frozen: {from: imagenet, fit: rasta, recipe: frozen, with: {epochs: 1, batch_size: 8}}
  fine_tuned:
    {from: imagenet, fit: rasta, recipe: mode_a, with: {epochs: 1, batch_size: 8}, repeats: 2}
compare:
  - [imagenet, fine_tuned]
maximal_images: 4
render: {channels: ["mixed5a:17"], steps: 8}
causes: false
gaze: false
"""
"""What stands for styles.yaml where the commands run: the names of the pages, and seconds."""


def furnish(place: Path) -> None:
    """Put where a reader has them: a collection in RASTA's layout, class folders, a picture."""
    number = 0
    for split, count in (("train", 6), ("val", 3), ("test", 22)):
        for style, colour in (("Baroque", (150, 90, 40)), ("Pop_Art", (40, 90, 220))):
            folder = place / f"data/rasta/wikipaintings_{split}" / style
            folder.mkdir(parents=True)
            for index in range(count):
                number += 1
                tone = tuple((value + 23 * number) % 256 for value in colour)
                picture = Image.linear_gradient("L").resize((72, 64)).convert("RGB")
                picture = Image.blend(picture, Image.new("RGB", (72, 64), tone), 0.6)
                picture.rotate(number % 4 * 90).save(folder / f"artist-{split}{index}_work.jpg")
    for label, colour in (("red", (200, 40, 40)), ("blue", (40, 40, 200))):
        folder = place / "pictures" / label
        folder.mkdir(parents=True)
        for index in range(12):
            Image.new("RGB", (40, 40), colour).rotate(index).save(folder / f"{index:02}.png")
    Image.linear_gradient("L").convert("RGB").save(place / "painting.jpg")
    (place / "data/IconArt_v1").mkdir()
    (place / "pictures/labels.xlsx").touch()
    (place / "styles.yaml").write_text(SMALL, "utf-8")
    (place / "study.yaml").write_text(SMALL.replace("study: styles", "study: study"), "utf-8")
    (place / "cka-conformance.json").write_bytes((ROOT / "docs/cka-conformance.json").read_bytes())
