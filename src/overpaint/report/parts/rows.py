"""What the rows of several pages are made of: texts, pictures and addresses, already in words.

A page's own rows stand beside the page. Addresses are relative to the site's root; the templates
put the way to the root before them.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

from markupsafe import Markup


@dataclass(frozen=True)
class Link:
    """A word that leads somewhere, or only the word."""

    text: str
    href: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Cell:
    """A number of a table, and beneath it what qualifies it."""

    value: str
    aside: str = field(default="", kw_only=True)


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Many thumbnails in one picture."""

    src: str
    width: int
    height: int

    @cached_property
    def id(self) -> str:
        """What a page calls it that shows parts of it many times: thousands, so it is short."""
        return f"s{hashlib.sha256(self.src.encode()).hexdigest()[:5]}"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture in the site, with its size in pixels; a part of a sheet, or a file of its own."""

    src: str
    width: int
    height: int
    alt: str
    sheet: Sheet | None = None
    x: int = 0  # its corner on the sheet
    y: int = 0


def sheets(pictures: Iterable[Picture | None]) -> tuple[Sheet, ...]:
    """The sheets of which pictures are parts."""
    found = {picture.sheet for picture in pictures if picture and picture.sheet}
    return tuple(sorted(found, key=lambda sheet: sheet.src))


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A chart, how to read it, and the table that it is drawn from."""

    id: str
    title: str
    reading: str
    draw: Callable[[], str] | None = None  # its SVG; None: there is nothing to draw
    src: str = ""  # where that is a file
    alt: str = ""
    data: str | None
    downloads: tuple[Link, ...] = ()  # the chart as SVG, and what else it is written as
    definition: str = ""  # where what it shows is defined

    @cached_property
    def svg(self) -> str:
        """The drawing, once it is asked for."""
        return self.draw() if self.draw else ""

    @cached_property
    def picture(self) -> Picture | None:
        """The drawing as a picture; None where there was nothing to draw."""
        size = re.search(r' width="([\d.]+)" height="([\d.]+)"', self.svg)
        if size is None:
            return None
        width, height = (round(float(side)) for side in size.groups())
        return Picture(src=self.src, width=width, height=height, alt=self.alt)

    @property
    def drawing(self) -> str:
        """The SVG itself, where its marks are links: no picture of a page can have any."""
        return self.svg if "<a " in self.svg else ""

    def inline(self, root: str) -> Markup:
        """The drawing for a page, from which `root` leads to where links begin."""
        drawing = re.sub(r'(tabindex="-1" href=")(?:\.\./)*', rf"\g<1>{root}", self.drawing)
        return Markup(drawing.replace("<svg ", '<svg aria-hidden="true" ', 1))  # noqa: S704  (ours)

    @property
    def wide(self) -> bool:
        """Whether it needs the width of the page for itself."""
        return self.picture is not None and self.picture.width > 560


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a picture leads, and what is to be said of it; nothing where nothing is known."""

    href: str | None = None  # of the web; None where what is said is no address
    remark: str = ""
    page: str | None = field(default=None, repr=False)  # in the site, to which it leads first


@dataclass(frozen=True, kw_only=True)
class Thumb:
    """A maximal image."""

    picture: Picture | None  # None: no thumbnail was left
    image: str
    label: str
    shared: bool
    origin: Origin
    over: Markup | None = None  # drawn over the picture


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A number of a layer, channel or class, what qualifies it, and where it leads."""

    name: Link
    value: Link
    aside: str = ""
