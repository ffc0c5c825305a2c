"""A study folder in which every name is an attack, opened in a real browser."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from parsed import all_tables
from site_walk import browsing
from tiny_study import DEPTHS, HOSTILE, write_study

from overpaint.report import build

ATTACKS = (
    "<img src=x onerror=alert(1)>",
    "\"' onmouseover=alert(1) autofocus onfocus=alert(1) x=",
    "<script>alert(1)<!--",
    "]]>--><svg onload=alert(1)>",
    "{{7*7}}<style>@import 'evil.example'<!--",
    "javascript:alert(1)",
    "=cmd|' \\C calc'!A0",
)
"""Markup, attributes, templates, addresses, formulas; without a slash, as names stand in paths."""


def attacked(value: Any, names: dict[str, str]) -> Any:
    """Records with names that are attacks, wherever one stands."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, dict):
        return {names.get(key, key): attacked(inner, names) for key, inner in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    return [attacked(inner, names) for inner in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """The report of a study whose layers, classes, pictures and sources are attacks."""
    folder = write_study(tmp_path_factory.mktemp("hostile") / "study", lean=True)
    images = pd.read_parquet(folder / "datasets/rasta/images.parquet")
    values = [*DEPTHS, *HOSTILE, *images["image"], *images["source"], *images["rights"]]
    names = {
        value: f"{value}{ATTACKS[number % len(ATTACKS)]}"
        for number, value in enumerate(dict.fromkeys(filter(None, values)))
    }
    for path in sorted(folder.rglob("*.parquet")):
        frame = pd.read_parquet(path)
        for column in frame.columns:
            if not pd.api.types.is_numeric_dtype(frame[column]):
                frame[column] = [attacked(cell, names) for cell in frame[column]]
            if column in ("source", "rights"):
                frame[column] = ATTACKS[5]
        frame.to_parquet(path, index=False)
    for path in sorted(folder.rglob("*.json")):
        path.write_text(json.dumps(attacked(json.loads(path.read_text("utf-8")), names)), "utf-8")
    for path in [path for layer in DEPTHS for path in folder.rglob(layer) if path.is_dir()]:
        shutil.move(path, path.with_name(names[path.name]))
    build(folder)
    return folder / "site"


def test_a_hostile_study_does_nothing_in_a_browser(hostile):
    """On every page, channel and drawing: no dialog, no request elsewhere, no element of theirs."""
    files = sorted(hostile.rglob("*.html"))
    drawings = sorted(hostile.rglob("*.svg"))[:40]
    channels = [
        f"{path.as_uri()}#{number}"
        for path in files
        for number in re.findall(r'<a id="(\d+)"', path.read_text("utf-8"))[:2]
    ]
    assert len(files) > 12
    assert len(channels) == 2 * len(DEPTHS)
    assert drawings
    faults: list[str] = []
    with browsing() as browser:
        page = browser.new_page()
        page.on("dialog", lambda dialog: (faults.append(f"a dialog: {page.url}"), dialog.dismiss()))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((hostile.as_uri(), "data:"))
                else faults.append(f"{page.url} asks for {request.url}")
            ),
        )
        page.on("popup", lambda popup: faults.append(f"{page.url} opens {popup.url}"))
        for address in [*(path.as_uri() for path in [*files, *drawings]), *channels]:
            page.goto("about:blank")
            page.goto(address)
            if address in channels:
                page.wait_for_selector("#facts div", state="attached")
                assert page.locator(".thumbs > li").count() > 5
            faults += [f"{address}: {fault}" for fault in page.evaluate(LOOK)]
    assert faults == []


LOOK = """() => {
  const faults = [];
  for (const element of document.querySelectorAll("*")) {
    for (const {name, value} of element.attributes) {
      if (name.startsWith("on")) faults.push(`<${element.localName} ${name}>`);
      if (["href", "src", "action", "xlink:href"].includes(name) && /^\\s*javascript:/i.test(value))
        faults.push(`<${element.localName} ${name}=${value}>`);
    }
    if (element.localName === "img" && element.getAttribute("src") === "x") faults.push("<img x>");
    if (element.localName === "script" && !element.src && element.textContent.includes("alert"))
      faults.push("<script>");
    if (element.localName === "style" && element.textContent.includes("evil")) faults.push("style");
    if (["iframe", "object", "embed", "base"].includes(element.localName)
        && element.outerHTML.includes("alert")) faults.push(element.localName);
    element.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
  }
  return faults;
}"""


def test_every_page_forbids_what_it_does_not_need(hostile):
    """A policy stands before all else that a browser would act on."""
    for path in hostile.rglob("*.html"):
        head = path.read_text("utf-8").partition("<body")[0]
        policy = re.search(r'http-equiv="Content-Security-Policy"\s+content="([^"]*)"', head)
        assert policy, path
        assert "default-src 'none'" in policy[1]
        assert "unsafe-eval" not in policy[1]
        assert head.index("Content-Security-Policy") < min(
            head.find(mark) % 10**9 for mark in ("<script", "<link", "<style")
        )


def test_no_cell_of_a_spreadsheet_is_a_formula(hostile):
    """In the tables that the report offers, what begins like a formula is text."""
    tables = all_tables(hostile)
    assert len(tables) > 10
    for name, text in tables.items():
        for row in text.splitlines():
            for cell in row.split(","):
                assert not re.match(r'"?[=@\t]|"?[+-](?![\d.e])', cell), (name, cell)
