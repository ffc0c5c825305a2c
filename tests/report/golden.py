"""Pages of a tiny fixed study that are kept, so that a change of any of them is seen.

python tests/report/golden.py      # or `make golden`: accept what the report makes now
"""

import difflib
import re
import sys
import tempfile
from pathlib import Path

KEPT = Path(__file__).parent / "golden"
CHANGED = Path(__file__).parents[2] / "artefacts" / "golden"
"""Where the pages that differ are left to be looked at; not under version control."""

NAMES = {
    "network": "fine_tuned",
    "before": "imagenet",
    "after": "fine_tuned",
    "layer": "mixed4d",
    "class": "浮世絵",
    "dataset": "rasta",
}
"""Whose pages are kept: one of each kind that the report has."""

PROGRAMS = "overpaint|torch|torchvision|timm|numpy|pillow|pandas|altair"
SCRUBBED = (
    (r'(<svg aria-hidden="true")[^>]*class="marks".*?</svg>(?=</div>)', r"\1>DRAWING</svg>"),
    (rf"\b({PROGRAMS})(\s+)\d+(\.\w+)+(\+\w+)?", r"\1\2VERSION"),
    (r"version = \{[^}]*\}", "version = {VERSION}"),
    (r"\b\d{4}-\d\d-\d\d\b", "DATE"),
    (r'(\.svg" width=)"\d+" height="\d+"', r'\1"SIZE" height="SIZE"'),
)
"""What may differ from machine to machine: versions, dates, the size of a drawing."""


def made(folder: Path) -> dict[str, str]:
    """The pages as the report makes them now from the tiny study, scrubbed."""
    from overpaint.report.pages.listing import PAGES
    from overpaint.report.parts.addresses import address

    kept_as = NAMES | {"class": "ukiyo-e"}  # a file name that every system can have
    places = [(page.address, address(page.address, NAMES)) for page in PAGES]
    kept = {address(pattern, kept_as): place for pattern, place in places}
    kept |= {  # what such a page shows of its channels
        address(page.address, kept_as).replace(".html", ".js"): place.replace(".html", ".js")
        for page, (_, place) in zip(PAGES, places, strict=True)
        if page.scripts
    }
    return {
        name: scrubbed((folder / "site" / place).read_text("utf-8")) for name, place in kept.items()
    }


def scrubbed(text: str) -> str:
    """A page without what no change of the report can be told by."""
    for pattern, word in SCRUBBED:
        text = re.sub(pattern, word, text, flags=re.DOTALL)
    return text


def differences(pages: dict[str, str]) -> str:
    """How the pages differ from those kept, a few lines of each; the pages are left to look at."""
    told = []
    for name, page in pages.items():
        kept = KEPT / name
        before = kept.read_text("utf-8") if kept.is_file() else ""
        if page != before:
            write(CHANGED, {name: page})
            lines = difflib.unified_diff(
                before.splitlines(),
                page.splitlines(),
                f"kept/{name}",
                f"now/{name}",
                n=0,
                lineterm="",
            )
            told += [*(line[:300] for line, _ in zip(lines, range(40), strict=False)), ""]
    return "\n".join(told)


def write(root: Path, pages: dict[str, str]) -> None:
    """Keep pages below a folder."""
    for name, page in pages.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")


def accept() -> None:
    """Keep the pages as they are made now."""
    from tiny_study import write_study

    from overpaint.report import build

    with tempfile.TemporaryDirectory() as place:
        folder = write_study(Path(place) / "whole")
        build(folder)
        write(KEPT, made(folder))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    accept()
