"""The pictures of docs/reading.md, from the demonstration's report: by hand, when pages change.

    make demo
    .venv/bin/python tests/docs/report_pictures.py runs/demo

Charts are the files of the report, pages are looked at in Chromium, 1,000 pixels wide. Which parts
of which pages is `SHOWN`; look at every picture before it is committed.
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"

VIEW = (1000, 1600)
"""Pixels of the window."""

PAIR = "photographs--fine_tuned"
LAYER = f"comparisons/{PAIR}/mixed5a.html"

CHARTS = {
    **{
        name: f"comparisons/{PAIR}/{name}.svg"
        for name in (
            "rewinds", "way", "probes", "cka", "weights", "anatomy", "spectra", "overlap",
            "entropy", "scatter", "matrix", "procrustes", "neighbours",
        )
    },
    "scores": "overview/scores-manners.svg",
    "changes": "overview/changes.svg",
    "history": "networks/fine_tuned/history.svg",
    "confusion": "networks/fine_tuned/confusion.svg",
}  # fmt: skip
"""The name of each picture, and the chart of the report."""

SHOWN = {
    "answer": ("index.html", ".answers", 0),
    "lineage": ("index.html", ".lineage", 620),
    "finding": ("findings.html", "section[aria-labelledby=filters]", 560),
    "leaks": ("data.html", "section[aria-labelledby=data-manners]", 560),
    "concepts": (f"comparisons/{PAIR}.html", ".concepts", 0),
    "gaze": (f"comparisons/{PAIR}.html", "#gaze-picture-1", 0),
    "channel": (f"{LAYER}#27", "#unit", 900),
    "layer": (LAYER, "section[aria-labelledby=channels]", 700),
    "map": (f"comparisons/{PAIR}/map.html", "section[aria-labelledby=planes]", 0),
    "class": (f"comparisons/{PAIR}/classes/planes.html", "main", 760),
    "picture": ("pictures/manners.html", "main", 760),
}
"""The name of each picture, the page, the part of it, and the height to cut it off at, if any."""


def cut(page: Page, site: Path, place: str, part: str, height: int) -> Image.Image:
    """A part of a page as it looks, in light colours."""
    page.goto("about:blank")
    page.goto(f"file://{site.resolve()}/{place}")
    page.wait_for_timeout(800)
    seen = page.locator(part).first
    seen.evaluate(
        "element => scrollTo({ top: element.getBoundingClientRect().top + scrollY, "
        "behavior: 'instant' })"
    )
    page.wait_for_timeout(800)  # what comes into view is loaded then
    box = seen.bounding_box()
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    left, top, bottom = box["x"], box["y"], box["y"] + (height or box["height"])
    return image.crop((int(left), int(top), int(left + box["width"]), int(min(bottom, VIEW[1]))))


def main(study: Path) -> None:
    """Copy the charts, and look at the pages."""
    site = study / "site"
    PICTURES.mkdir(exist_ok=True)
    for name, chart in CHARTS.items():
        shutil.copyfile(site / "charts" / chart, PICTURES / f"{name}.svg")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(
            viewport={"width": VIEW[0], "height": VIEW[1]}, color_scheme="light"
        )
        for name, (place, part, height) in SHOWN.items():
            image = cut(page, site, place, part, height)
            image.save(PICTURES / f"{name}.jpg", quality=78, optimize=True, progressive=True)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
