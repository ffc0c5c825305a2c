"""The pages of a site, parsed."""

import io
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

UNENDED = {"dt": ("dt", "dd"), "dd": ("dt", "dd"), "th": ("td", "th", "tr"),
           "td": ("td", "th", "tr"), "tr": ("tr",), "p": ("li",), "li": ("li",)}  # fmt: skip
"""Elements whose end may be left out, and what then ends them."""

VOID = {"meta", "link", "img", "br", "hr", "input"}


@dataclass
class Page(HTMLParser):
    """What a test asks of a page."""

    text: str
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    tags: list[tuple[str, dict]] = field(default_factory=list)
    words: str = ""
    depth: list[str] = field(default_factory=list)

    def __post_init__(self):
        super().__init__()
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.tags.append((tag, named))
        self.ids += [named["id"]] if "id" in named else []
        self.links += [named[key] for key in ("href", "src") if key in named]
        while self.depth and tag in UNENDED.get(self.depth[-1], ()):
            self.depth.pop()
        if tag not in VOID:
            self.depth.append(tag)

    def handle_endtag(self, tag):
        while self.depth and self.depth[-1] != tag and self.depth[-1] in UNENDED:
            self.depth.pop()
        assert self.depth, f"</{tag}> closes nothing"
        assert self.depth.pop() == tag

    def handle_data(self, data):
        self.words += data

    @property
    def foreign(self) -> list[tuple[str, dict]]:
        """What runs or frames something, but for the site's own script."""
        own = re.compile(r"(\.\./)*assets/(report|pictures)\.js")
        return [
            (tag, named)
            for tag, named in self.tags
            if tag in ("script", "iframe", "object") and not own.fullmatch(named.get("src") or "")
        ]

    @property
    def unlinked(self) -> str:
        """The text without the tables that stand in its links."""
        return re.sub(r'href="data:text[^"]*"', "", self.text)

    @property
    def plain(self) -> str:
        """The words with single blanks."""
        return " ".join(self.words.split())


def read_page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def pages(site: Path) -> dict[str, Page]:
    return {
        path.relative_to(site).as_posix(): read_page(path) for path in sorted(site.rglob("*.html"))
    }


def linked_tables(page: Page) -> dict[str, str]:
    """The tables that stand in links of a page, as CSV, by the names under which they are kept."""
    return {
        named["download"]: unquote(named["href"].partition(",")[2])
        for tag, named in page.tags
        if tag == "a" and "download" in named
    }


def all_tables(site: Path) -> dict[str, str]:
    """Every table that a site offers, as CSV, by its name: files, and what stands in links."""
    tables = {path.name: path.read_text("utf-8") for path in sorted(site.rglob("*.csv"))}
    for page in pages(site).values():
        tables |= linked_tables(page)
    return tables


def csv_at(site: Path, place: str) -> io.StringIO:
    """A table of the site: a file, or in a link of one of its pages."""
    path = site / f"data/{place}.csv"
    if path.is_file():
        return io.StringIO(path.read_text("utf-8"))
    name = "-".join(place.split("/")[-2:]) + ".csv"
    texts = {text for page in pages(site).values()
             for kept, text in linked_tables(page).items() if kept == name}  # fmt: skip
    assert len(texts) == 1, f"{len(texts)} tables are called {name}"
    return io.StringIO(texts.pop())


# --- the scripts beside the pages of a comparison ----------------------------------------------


def read_script(path: Path) -> dict[str, Any]:
    """What a script sets its variable to."""
    return json.loads(path.read_text("ascii").partition(" = ")[2].removesuffix(";\n"))


@dataclass(frozen=True)
class Image:
    """A maximal image as a script has it: its picture, and the position, None where unknown."""

    name: str
    label: str
    src: str | None
    href: str | None
    remark: str | None
    place: tuple[int, int] | None


@dataclass(frozen=True)
class Channel:
    """A channel as the script of its layer has it."""

    number: int
    remark: str
    summary: str
    facts: dict[str, tuple[str, str, str]]  # value, what qualifies it, where it leads
    ranks: dict[str, tuple[str, str]]
    captions: tuple[str, str]
    drawn: tuple[list, list]
    images: tuple[list[Image], list[Image]]
    together: list[list]

    @property
    def plain(self) -> str:
        """All its words with single blanks."""
        cells = [cell for fact in (self.facts | self.ranks).items() for cell in (fact[0], *fact[1])]
        return " ".join(" ".join([self.summary, self.remark, *self.captions, *cells]).split())


def channels(site: Path, layer: str) -> dict[int, Channel]:
    """All channels of a layer, by number, as its page shows them: `layer` is the page's address."""
    data = read_script((site / layer).with_suffix(".js"))
    pictures = read_script(site / f"{Path(layer).parent.as_posix()}.js")
    found = {}
    for number, *row in data["rows"]:
        remark, which, values, facts, ranks, sides, together = _said(row, data["words"], skip={1})
        start, *pieces = data["patterns"][which]
        found[number] = Channel(
            number=number,
            remark=remark,
            summary=start + "".join(map("".join, zip(values, pieces, strict=True))),
            facts={name: (*rest, "", "", "")[:3] for name, *rest in facts},
            ranks={name: (*rest, "")[:2] for name, *rest in ranks},
            captions=tuple(side[0] for side in sides),
            drawn=tuple(side[1] for side in sides),
            images=tuple(_images(side[2], data, pictures) for side in sides),
            together=together,
        )
    return found


def _said(value: Any, words: list[str], skip: frozenset | set = frozenset()) -> Any:
    if isinstance(value, list):
        return [part if at in skip else _said(part, words) for at, part in enumerate(value)]
    return words[value] if isinstance(value, int) else value


def _images(written: str, data: dict, pictures: dict) -> list[Image]:
    digits = {digit: value for value, digit in enumerate(data["digits"])}
    of_picture, of_place = data["widths"]

    def value(text: str) -> int:
        total = 0
        for digit in text:
            total = total * len(digits) + digits[digit]
        return total

    found, step = [], of_picture + of_place
    for at in range(0, len(written), step):
        row = pictures["rows"][value(written[at : at + of_picture])]
        words = [_said(cell, pictures["words"]) if i not in (3, 4, 5, 6) else cell
                 for i, cell in enumerate(row)] + [None] * (9 - len(row))  # fmt: skip
        place = value(written[at + of_picture : at + step]) - 1
        found.append(
            Image(
                name=words[0],
                label=words[1],
                src=words[2],
                href=words[7] or None,
                remark=words[8] or None,
                place=divmod(place, data["columns"]) if place >= 0 else None,
            )
        )
    return found


# --- the script beside the page of a dataset's pictures -----------------------------------------


@dataclass(frozen=True)
class Seen:
    """What two networks make of a picture."""

    title: str
    kept: str
    near: tuple[list[str], list[str]]
    total: tuple[int, int]
    excited: tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]  # layer, channel, rank


@dataclass(frozen=True)
class Shown:
    """A picture as the script of its dataset has it."""

    name: str
    summary: str
    facts: list[tuple[str, str, str]]
    src: str | None
    said: dict[str, list[tuple[str, str, bool]]]  # by network
    seen: list[Seen]


def collection(site: Path, dataset: str = "rasta") -> dict[str, Shown]:
    """All pictures of a dataset that have a page, by name."""
    data = read_script(site / f"pictures/{dataset}.js")
    words, digits = data["words"], {sign: n for n, sign in enumerate(data["digits"])}

    def word(value: Any) -> str:
        return words[value] if isinstance(value, int) else value

    names = [word(row[0]) for row in data["rows"]]

    def unwritten(written: str, pair: dict) -> list[tuple[str, int, int]]:
        signs, found = list(written), []
        while signs:
            numbers = []
            for width in pair["widths"]:
                number = 0
                for sign in signs[:width]:
                    number = number * len(digits) + digits[sign]
                del signs[:width]
                numbers.append(number)
            found.append((pair["layers"][numbers[0]][0], *numbers[1:]))
        return found

    found = {}
    for name, summary, facts, thumb, said, seen in data["rows"]:
        of_pairs = []
        for pair, told in zip(data["pairs"], seen, strict=True):
            near, excited = told or ([], [])
            kept, *sides = near or ("", [], [])
            before, after = excited or ([0, ""], [0, ""])
            of_pairs.append(
                Seen(
                    title=pair["title"],
                    kept=word(kept),
                    near=tuple([names[at] for at in side] for side in sides),
                    total=(before[0], after[0]),
                    excited=tuple(unwritten(word(side[1]), pair) for side in (before, after)),
                )
            )
        found[word(name)] = Shown(
            name=word(name),
            summary=word(summary),
            facts=[tuple(map(word, fact)) for fact in facts],
            src=word(thumb[0]) if thumb else None,
            said={
                network: [(word(label), word(share), bool(right)) for label, share, right in told]
                for (network, _), told in zip(data["networks"], said, strict=True)
                if told
            },
            seen=of_pairs,
        )
    return found
