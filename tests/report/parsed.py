"""The pages of a site, parsed."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

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
        if tag not in VOID:
            self.depth.append(tag)

    def handle_endtag(self, tag):
        assert self.depth, f"</{tag}> closes nothing"
        assert self.depth.pop() == tag

    def handle_data(self, data):
        self.words += data

    @property
    def foreign(self) -> list[tuple[str, dict]]:
        """What runs or frames something, but for the site's own script."""
        own = re.compile(r"(\.\./)*assets/report\.js")
        return [
            (tag, named)
            for tag, named in self.tags
            if tag in ("script", "iframe", "object") and not own.fullmatch(named.get("src") or "")
        ]

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
