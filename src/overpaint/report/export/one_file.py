"""The report as one HTML file, to be sent by mail: what the site's main pages show, and no more.

It is made of the pages as they stand in the site. Their pictures are put into the file, links from
one of them to another lead within it, and a link to what is not in it is a text without one.
"""

import base64
import hashlib
import html
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote

from overpaint.errors import RecordError
from overpaint.files import read_regular
from overpaint.records import StudyFolder
from overpaint.records.belongings import is_link
from overpaint.records.files import write_text
from overpaint.report.parts import addresses
from overpaint.report.parts.text import counted
from overpaint.report.study.reading import read_records

LARGEST = 20_000_000
"""Bytes of the file: what a mail may well have."""

TEXT = LARGEST // 2
"""Bytes of the pages without their pictures."""

MARK = '<meta name="generator" content="overpaint: a report in one file">'
"""By which a file that may be replaced is known."""

KINDS = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
}

REFERENCES = ("id", "for", "headers", "aria-labelledby", "aria-describedby", "aria-controls")
"""Attributes that name places on a page."""


def one_file(folder: Path, file: Path) -> Path:
    """Write the overview, the findings, the method and each comparison's page into one file.

    >>> one_file(Path("runs/demo"), Path("report.html"))             # doctest: +SKIP
    PosixPath('report.html')

    The site of the folder is to be up to date. The file has at most 20 MB: comparisons beyond half
    of that, and pictures beyond the rest, are left out, and its beginning says so. It loads nothing
    and runs nothing. Equal sites give equal bytes.

    Raises RecordError where the file would lie in the site itself, is a folder, or is there and no
    report in one file.
    """
    site = StudyFolder(folder).site
    if file.is_dir() or file.resolve().is_relative_to(site.resolve()):
        raise RecordError(
            "bad-one-file", f"{file}: give the name of an HTML file outside of the site {site}"
        )
    if os.path.lexists(file) and not _is_one_file(file):
        raise RecordError(
            "not-ours", f"{file} is there and no report in one file: give another name"
        )
    records = read_records(StudyFolder(folder))
    titles = {
        addresses.OVERVIEW: "Overview",
        addresses.FINDINGS: "Findings",
        **{pair.address(): pair.title for pair in records.comparisons.values()},
        addresses.METHOD: "Method",
    }
    texts: dict[str, str] = {}
    omitted: list[str] = []
    for place, title in titles.items():
        page = site / place
        text = "" if is_link(page) or not page.is_file() else page.read_text(encoding="utf-8")
        length = sum(len(each.encode()) for each in (*texts.values(), text))
        if not text or (length > TEXT and place.startswith("comparisons/")):
            omitted.append(title)
        else:
            texts[place] = text
    room = LARGEST - sum(len(text.encode()) for text in texts.values()) - 100_000
    pictures = Pictures(site, room)
    bodies = [
        f'<article class="page" id="{name}">\n{_moved(text, place, [*texts], pictures)}</article>\n'
        for name, (place, text) in zip(_names(texts), texts.items(), strict=True)
    ]
    contents = "".join(
        f'<a href="#{name}">{html.escape(titles[place])}</a>\n'
        for name, place in zip(_names(texts), texts, strict=True)
    )
    write_text(
        file, _whole(records.study.study, contents, _left_out(omitted, pictures), bodies, pictures)
    )
    return file


def _is_one_file(file: Path) -> bool:
    try:
        return not is_link(file) and MARK.encode() in read_regular(file, 2 * LARGEST)[:1000]
    except OSError:
        return False


def _names(pages: Iterable[str]) -> Iterator[str]:
    """Names for pages within the file: short, as they stand before every place on them."""
    return (f"p{number}" for number, _ in enumerate(pages))


@dataclass
class Pictures:
    """The pictures of a site as they stand in the file, as long as there is room."""

    site: Path
    room: int  # bytes
    left_out: set[str] = field(default_factory=set)
    sheets: dict[str, str] = field(default_factory=dict)  # address in the site -> in the file
    _written: dict[str, str] = field(default_factory=dict)

    def written(self, place: str) -> str | None:
        """A picture as an address that holds it; None where it is missing or too much."""
        if place not in self._written:
            path = self.site / place
            kind = KINDS.get(path.suffix)
            inside = path.resolve().is_relative_to(self.site.resolve())
            if kind is None or not inside or not path.is_file():
                return None
            data = base64.b64encode(path.read_bytes()).decode("ascii")
            self._written[place] = f"data:{kind};base64,{data}"
        if len(self._written[place]) > self.room:
            self.left_out.add(place)
            return None
        self.room -= len(self._written[place])
        return self._written[place]

    def sheet(self, place: str, width: str, height: str) -> str | None:
        """The place in the file of a sheet of thumbnails, which stands there once."""
        if place not in self.sheets and (data := self.written(place)):
            name = f"sheet{len(self.sheets) + 1}"
            self.sheets[place] = (
                f'<image id="{name}" href="{data}" width="{width}" height="{height}"/>'
            )
        return f"sheet{[*self.sheets].index(place) + 1}" if place in self.sheets else None


class _Mover(HTMLParser):
    """Copies what is within <main> of a page of ours, and turns its addresses into places of the
    file. Of a tag only the attributes are touched that hold one: all else stays letter by letter.
    """

    def __init__(self, place: str, pages: Sequence[str], pictures: Pictures) -> None:
        super().__init__(convert_charrefs=False)
        self.place, self.pictures = place, pictures
        self.names = dict(zip(pages, _names(pages), strict=True))
        self.text: list[str] = []
        self.inside = False
        self.links: list[str] = []  # the elements that the <a> that are open became
        self.drawings = 0  # the <svg> that are open
        self.box = (0.0, 0.0, 1.0, 1.0)  # what the last of them shows
        self.sheets: dict[str, str] = {}  # ids of sheets on the page -> in the file

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.inside:
            self.drawings += tag == "svg"
            values = {name: value or "" for name, value in attrs}
            if tag == "svg" and "viewbox" in values:
                x, y, width, height = map(float, values["viewbox"].split())
                self.box = x, y, width, height
            raw = self._with_addresses(tag, self.get_starttag_text() or "", values)
            for attribute in REFERENCES:
                raw = _with(raw, attribute, self._prefixed)
            self.text.append(raw.replace("url(#", f"url(#{self.names[self.place]}-"))
        self.inside |= tag == "main"

    def _with_addresses(self, tag: str, raw: str, values: Mapping[str, str]) -> str:
        """A start tag whose links and pictures are those of the file, or what stands for it."""
        address = values.get("href", "")
        if tag == "a":
            target = self._address(address)
            if target is None:
                self.links.append("g" if self.drawings else "span")
                return f"<{self.links[-1]}>"
            self.links.append("a")
            return _with(raw, "href", lambda _: target)
        if tag == "img":
            data = self.pictures.written(self._resolved(values.get("src", "")))
            if data is None:
                return '<div class="absent">not included</div>'
            return _with(raw, "src", lambda _: data).replace(' loading="lazy"', "")
        if tag == "use":
            name = self.sheets.get(address.removeprefix("#"), "")
            return _with(raw, "href", lambda _: f"#{name}") if name else self._not_included()
        return self._part_of_sheet(values) if tag == "image" else raw

    def _part_of_sheet(self, values: Mapping[str, str]) -> str:
        """What stands for a sheet of thumbnails, of which one is cut out around it."""
        place = self._resolved(values["href"])
        sheet = self.pictures.sheet(place, values["width"], values["height"]) or ""
        if "id" in values:  # only named here, and used further below
            self.sheets[values["id"]] = sheet
            return ""
        return f'<use href="#{sheet}"/>' if sheet else self._not_included()

    def _not_included(self) -> str:
        """What stands in the place of a thumbnail whose sheet has no room, in its middle."""
        x, y, width, height = self.box
        return (
            f'<text class="lacking" x="{x + width / 2:g}" y="{y + height / 2:g}" '
            f'font-size="{width / 7:g}" text-anchor="middle">not included</text>'
        )

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag == "main":
            self.inside = False
        if self.inside and tag not in ("image", "use", "img"):
            self.drawings -= tag == "svg"
            name = self.links.pop() if tag == "a" and self.links else self._spelling(tag)
            self.text.append(f"</{name}>")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.text.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")

    def _spelling(self, tag: str) -> str:
        """An element's name as its page spells it: those of SVG have capitals."""
        position = re.escape(tag)
        spelt = re.search(rf"</({position})\s*>", self.rawdata, re.IGNORECASE)
        return spelt[1] if spelt and tag.lower() == spelt[1].lower() else tag

    def _prefixed(self, ids: str) -> str:
        return " ".join(f"{self.names[self.place]}-{name}" for name in ids.split())

    def _resolved(self, address: str) -> str:
        return posixpath.normpath(
            posixpath.join(posixpath.dirname(self.place), unquote(address.partition("?")[0]))
        )

    def _address(self, address: str) -> str | None:
        """Where a link leads in the file; None for what is not in it."""
        if re.match(r"(data|https?|mailto):", address):
            return address
        page, _, anchor = address.partition("#")
        name = self.names.get(self._resolved(page) if page else self.place)
        if name is None:
            return None
        return f"#{name}-{anchor}" if anchor else f"#{name}"


def _with(tag: str, attribute: str, change: Callable[[str], str]) -> str:
    """A start tag with another value of one of its attributes, if it has it."""

    def changed(match: re.Match[str]) -> str:
        return f'{match[1]}"{html.escape(change(html.unescape(match[2])))}"'

    return re.sub(rf'(\s{attribute}=)"([^"]*)"', changed, tag, count=1)


def _moved(text: str, place: str, pages: Sequence[str], pictures: Pictures) -> str:
    mover = _Mover(place, pages, pictures)
    mover.feed(text)
    mover.close()
    return "".join(mover.text)


def _left_out(omitted: Sequence[str], pictures: Pictures) -> str:
    """What the file does not have, in words."""
    what = (
        "This is the report in one file: its overview, its findings, the page of each comparison "
        "and the method. The pages of layers, channels, classes, networks and data are in the "
        "whole report, as are the charts as files."
    )
    lines = [what]
    if omitted:
        lines.append(f"Left out, as they are missing or too much: {', '.join(omitted)}.")
    if pictures.left_out:
        lines.append(f"{counted(len(pictures.left_out), 'picture')} too many were left out.")
    return "".join(f'<p class="remark">{html.escape(line)}</p>\n' for line in lines)


def _whole(
    study: str, contents: str, left_out: str, bodies: Sequence[str], pictures: Pictures
) -> str:
    style = (files("overpaint.report") / "assets" / "style.css").read_text(encoding="utf-8")
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    sheets = "".join(pictures.sheets.values())
    title = html.escape(study)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{MARK}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; img-src data:; style-src 'sha256-{allowed}'">
<title>{title} · overpaint</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<header class="top">
<span class="home">overpaint</span>
<nav aria-label="In this file" class="pages">
{contents}</nav>
<span class="study">{title}</span>
</header>
<main id="main">
<svg class="unseen" aria-hidden="true"><defs>{sheets}</defs></svg>
{left_out}{"".join(bodies)}</main>
<footer class="bottom">
<p>Made by overpaint from the study folder; every number here is also in its tables.</p>
</footer>
</body>
</html>
"""
