"""A walk through a site in real Chromium, as a reader with no network would take it."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE, DESK = 390, 1200

LOAD_IMAGES = """async () => {
  const images = [...document.images];
  for (const image of images) image.loading = "eager";
  const sheets = new Set([...document.querySelectorAll("image")].map(each => each.href.baseVal));
  for (const src of sheets) images.push(Object.assign(new Image(), { src }));
  await Promise.allSettled(images.map(image => image.decode()));
  return images.filter(image => !image.naturalWidth).map(image => image.src);
}"""


def chromium() -> str:
    """Where Chromium is; without one the test is skipped, or fails where a browser is required."""
    found = "/usr/bin/chromium" if Path("/usr/bin/chromium").exists() else None
    found = found or shutil.which("chromium") or shutil.which("chromium-browser")
    required = os.environ.get("OVERPAINT_BROWSER") == "required"
    if found is None and required:
        pytest.fail("OVERPAINT_BROWSER=required, and there is no chromium on the path")
    if found is None:
        pytest.skip("no chromium on the path")
    if find_spec("playwright") is None and not required:
        pytest.skip("no playwright, which the extra `dev` brings")
    return found


@contextmanager
def browsing() -> Iterator[Any]:
    """A browser; one at a time."""
    executable = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def walk(site: Path) -> list[str]:
    """Open every page of a site at both widths, and of a layer's channels the first and the last;
    returns what is wrong, which should be nothing.
    """
    with browsing() as browser:
        return walked(browser, site)


def walked(browser, site: Path) -> list[str]:
    """The same, in a browser that is open."""
    return [
        f"{path.relative_to(site)}{channel}: {fault}"
        for path in sorted(site.rglob("*.html"))
        for channel in ("", *_ends(path))
        for fault in _faults(browser, site, path, channel)
    ]


def _ends(path: Path) -> list[str]:
    """The first and the last channel of a layer's page, as they are asked for."""
    numbers = re.findall(r'<a id="(\d+)"', path.read_text("utf-8"))
    return [f"#{number}" for number in dict.fromkeys([*numbers[:1], *numbers[-1:]])]


def listen(page, site: Path) -> list[str]:
    """What goes wrong on a page from now on: messages, errors, dialogs, requests elsewhere."""
    faults: list[str] = []
    page.on("console", lambda message: faults.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (faults.append("a dialog opened"), dialog.dismiss()))
    page.on("request", lambda request: faults.extend(_outside(site, request.url)))
    return faults


def _faults(browser, site: Path, path: Path, channel: str) -> list[str]:
    page = browser.new_page(viewport={"width": PHONE, "height": 844})
    faults = listen(page, site)
    try:
        page.goto(path.resolve().as_uri() + channel, wait_until="load")
        if channel:
            page.wait_for_selector("#facts div", state="attached")
        faults += [f"broken image {src}" for src in page.evaluate(LOAD_IMAGES)]
        for width in (PHONE, DESK):
            page.set_viewport_size({"width": width, "height": 844})
            wide = page.evaluate("document.documentElement.scrollWidth")
            faults += [f"at {width} the page is {wide} wide"] if wide > width else []
    finally:
        page.close()
    return faults


def _outside(site: Path, url: str) -> list[str]:
    """A request is within the site's folder, or is the empty icon."""
    parts = urlparse(url)
    inside = parts.scheme == "file" and Path(unquote(parts.path)).is_relative_to(site.resolve())
    return [] if inside or url == "data:," else [f"asked for {url}"]
