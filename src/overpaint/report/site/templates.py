"""Rows into pages: the templates, and where what they make is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from overpaint.report.parts.rows import Link, Picture
from overpaint.report.parts.text import as_printed
from overpaint.report.site.files import Site


def fit_for_a_page(value: Any) -> Any:
    """What a template is to print, a text `as_printed`."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return as_printed(value) if is_text else value


@lru_cache(2**14)
def small(root: str, picture: Picture, alt: str = "") -> Markup:
    """One of very many small pictures of a page; the page names the sheets once, by `sheets`.

    >>> print(small("../", Picture(src="pictures/a.jpg", width=84, height=112, alt="rock")))
    <img src="../pictures/a.jpg" alt loading=lazy>

    No macro, and no letter too many: a site has a hundred thousand, of a tenth as many pictures.
    """
    said = escape(as_printed(alt))
    if picture.sheet is None:
        src = escape(as_printed(root + picture.src))
        alt_text = f'alt="{said}"' if alt else "alt"
        html = f'<img src="{src}" {alt_text} loading=lazy>'
    else:
        box = f"{picture.x} {picture.y} {picture.width} {picture.height}"
        crop = "" if picture.width == picture.height else ' preserveAspectRatio="xMidYMid slice"'
        label = f' role="img" aria-label="{said}"' if alt else ""
        html = f'<svg viewBox="{box}"{crop}{label}><use href="#{picture.sheet.id}"/></svg>'
    return Markup(html)  # noqa: S704  (all names in it are escaped)


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
