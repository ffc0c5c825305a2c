"""A list of all pages for a script to search in, itself a script: no page from disk can fetch."""

import json
from collections.abc import Iterable
from typing import Any

from overpaint.report.pages.channel import Channels
from overpaint.report.pages.class_page import Classes
from overpaint.report.parts.text import slug
from overpaint.report.study.reading import ComparisonRecords, Records

INDEX = "assets/index.js"

HEAD = """\
// Every page of the site: {kind, name, at, of}; `at` is its address from the root, `of` the
// comparison it belongs to. A layer has its channels too: channel number n is at
// at.replace(".html", "/n.html"), channels[n] is the number of its leading class after in `classes`
// of the entry of its comparison, -1 where it has none, and null where there is no channel n.
"""

PAGES = {
    "Overview": "index.html",
    "Findings": "findings.html",
    "Data": "data.html",
    "Method": "method.html",
}

Entry = dict[str, Any]


def index_script(records: Records) -> str:
    """All pages as `window.OVERPAINT_INDEX`, an entry a line."""
    lines = ",\n".join(
        json.dumps(entry, ensure_ascii=True, separators=(",", ":")) for entry in _entries(records)
    )
    return f"{HEAD}window.OVERPAINT_INDEX = [\n{lines}\n];\n"


def _entries(records: Records) -> Iterable[Entry]:
    for name, at in PAGES.items():
        yield {"kind": "page", "name": name, "at": at}
    for name, network in records.networks.items():
        if network.trained:
            yield {"kind": "network", "name": name, "at": f"networks/{slug(name)}.html"}
    for found in records.comparisons.values():
        yield from _of_comparison(records, found)


def _of_comparison(records: Records, found: ComparisonRecords) -> Iterable[Entry]:
    channels = Channels(found)
    classes = Classes(records, channels).order
    name = f"{found.before} → {found.after}"
    yield {"kind": "comparison", "name": name, "at": found.address(), "classes": classes}
    for label in classes:
        yield {"kind": "class", "name": label, "at": found.label(label), "of": name}
    places = {label: at for at, label in enumerate(classes)}
    for layer, own in channels.by_layer.items():
        led = {int(row.channel): places.get(row.top_class_after or "", -1) for row in own}
        numbers = [led.get(at) for at in range(max(led, default=-1) + 1)]
        yield {"kind": "layer", "name": layer, "at": found.layer(layer), "of": name,
               "channels": numbers}  # fmt: skip
