"""A list of all pages for a script to search in, itself a script: no page from disk can fetch."""

import json
from collections.abc import Iterable
from typing import Any

INDEX = "assets/index.js"

HEAD = """\
// Every page of the site: {kind, name, at, of}; `at` is its address from the root, `of` the
// comparison it belongs to. A layer has its channels too: channel number n is at
// at + "#" + n, channels[n] is the number of its leading class after in `classes`
// of the entry of its comparison, -1 where it has none, and null where there is no channel n.
"""

Entry = dict[str, Any]


def index_script(entries: Iterable[Entry]) -> str:
    """All pages as `window.OVERPAINT_INDEX`, an entry a line."""
    lines = ",\n".join(
        json.dumps(entry, ensure_ascii=True, separators=(",", ":")) for entry in entries
    )
    return f"{HEAD}window.OVERPAINT_INDEX = [\n{lines}\n];\n"
