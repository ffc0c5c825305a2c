"""Rows into pages: the templates, and where what they make is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from overpaint.report.parts.rows import Link, Picture
from overpaint.report.parts.text import as_printed
from overpaint.report.site.files import Site


def fit_for_a_page(value: Any) -> Any:
    """What a template is to print, a text `as_printed`."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return as_printed(value)
    return value


@lru_cache(2**14)
def small(root: str, picture: Picture, alt: str = "") -> Markup:
    """One of very many small pictures of a page; the page names the sheets once, by `sheets`.

    >>> print(small("../", Picture(src="pictures/a.jpg", width=84, height=112, alt="rock")))
    <img src="../pictures/a.jpg" alt="" loading="lazy">

    No macro: a site has a hundred thousand of them, of a tenth as many pictures.
    """
    if picture.sheet is None:
        html = Markup('<img src="{}{}" alt="{}" loading="lazy">')
        return html.format(root, as_printed(picture.src), as_printed(alt))
    box = f"{picture.x} {picture.y} {picture.width} {picture.height}"
    crop = "" if picture.width == picture.height else ' preserveAspectRatio="xMidYMid slice"'
    label = Markup(' role="img" aria-label="{}"').format(as_printed(alt)) if alt else ""
    html = Markup('<svg viewBox="{}"{}{}><use href="#{}"/></svg>')
    return html.format(box, Markup(crop), label, picture.sheet.id)  # noqa: S704  (ours)


@dataclass(frozen=True)
class Templates:
    """Writes pages of one study into its site."""

    site: Site
    templates: Environment

    @classmethod
    def of(cls, site: Site, study: str, *, navigation: Sequence[Link] = ()) -> "Templates":
        """The templates of a study's report; without navigation, of a page that stands alone."""
        environment = Environment(
            loader=PackageLoader("overpaint.report"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            finalize=fit_for_a_page,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.globals |= {"study": study, "navigation": navigation, "small": small}
        return cls(site, environment)

    def page(self, template: str, place: str, page: object) -> None:
        """Write a page of a kind to its place in the site."""
        text = self.templates.get_template(f"{template}.html").render(page=page, root=root(place))
        self.site.text(place, text)


def root(place: str) -> str:
    """The way from a page to the root of the site.

    >>> root("index.html"), root("comparisons/a--b/mixed4d.html")
    ('', '../../')
    """
    return "../" * place.count("/")
