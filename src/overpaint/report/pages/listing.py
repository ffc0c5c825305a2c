"""Every kind of page, once: navigation, search, kept pages and documentation are made from this.

To add a page: its row and what makes it in a module of its own, a template, and an entry here.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from overpaint.report.pages import (
    comparison,
    data,
    findings,
    label,
    layer,
    map,  # noqa: A004  (a map of pictures)
    method,
    network,
    overview,
    picture,
    view,
)
from overpaint.report.pages.subjects import (
    ComparisonSubject,
    DatasetSubject,
    NetworkSubject,
    StudySubject,
)
from overpaint.report.parts import addresses
from overpaint.report.parts.rows import Link
from overpaint.report.site.search import Entry

Subject = TypeVar("Subject", bound=StudySubject)


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Subject]):
    """A kind of page: where it is, what makes it, and what others need to know of it."""

    address: str
    about: str  # what it shows, as the documentation has it
    template: str
    rows: Callable[[Subject], Iterable[tuple[str, object]]]  # the address and the row of each
    scripts: Callable[[Subject], Iterable[tuple[str, str]]] | None = None  # that they load
    has_charts: bool = False
    entries: Callable[[Subject], Iterable[Entry]] | None = None  # what search finds, if anything
    title: str = ""  # in the navigation, if it stands there

    def write(self, subject: Subject, rows: Iterable[tuple[str, object]] | None = None) -> None:
        """Write all pages of this kind that a subject has, and what they load; `rows` are those
        of the pages where they were made before.
        """
        for place, row in self.rows(subject) if rows is None else rows:
            subject.templates.page(self.template, place, row)
        for place, text in self.scripts(subject) if self.scripts else ():
            subject.site.text(place, text)

    def index(self, subject: Subject) -> Iterable[Entry]:
        """What search finds of the pages of this kind that a subject has."""
        if self.title:
            yield {"kind": "page", "name": self.title, "at": self.address}
        yield from self.entries(subject) if self.entries else ()


OF_STUDY: tuple[Page[StudySubject], ...] = (
    Page(
        address=addresses.OVERVIEW,
        title="Overview",
        about="What was done, and what came out of it",
        template="index",
        rows=lambda subject: [
            (addresses.OVERVIEW, overview.overview(subject.site, subject.records))
        ],
        has_charts=True,
    ),
    Page(
        address=addresses.FINDINGS,
        title="Findings",
        about="The statements of the paper, put to this study",
        template="finding",
        rows=lambda subject: [
            (addresses.FINDINGS, findings.findings_page(subject.site, subject.records))
        ],
    ),
    Page(
        address=addresses.DATA,
        title="Data",
        about="The datasets, and what makes scores on them doubtful",
        template="data",
        rows=lambda subject: [(addresses.DATA, data.data_page(subject.site, subject.records))],
        has_charts=True,
    ),
    Page(
        address=addresses.METHOD,
        title="Method",
        about="Definitions, settings, versions and digests",
        template="method",
        rows=lambda subject: [(addresses.METHOD, method.method_page(subject.records))],
    ),
)

OF_NETWORK: tuple[Page[NetworkSubject], ...] = (
    Page(
        address=addresses.NETWORK,
        about="A trained network",
        template="network",
        rows=lambda subject: [
            (
                addresses.network_page(subject.network.name),
                network.network_page(subject.site, subject.records, subject.network),
            )
        ],
        has_charts=True,
        entries=lambda subject: [
            {
                "kind": "network",
                "name": subject.network.title,
                **(
                    {"of": subject.network.name}
                    if subject.network.title != subject.network.name
                    else {}
                ),
                "at": addresses.network_page(subject.network.name),
            }
        ],
    ),
)


def _layer_entries(subject: ComparisonSubject) -> Iterable[Entry]:
    """Each layer with the number of the leading class of each of its channels."""
    numbers = {name: number for number, name in enumerate(subject.classes.order)}
    for name, rows in subject.channels.by_layer.items():
        led = {int(row.channel): numbers.get(row.top_class_after or "", -1) for row in rows}
        yield {
            "kind": "layer",
            "name": name,
            "at": subject.comparison.layer(name),
            "of": subject.comparison.title,
            "channels": [led.get(number) for number in range(max(led, default=-1) + 1)],
        }


OF_COMPARISON: tuple[Page[ComparisonSubject], ...] = (
    Page(
        address=addresses.COMPARISON,
        about="Two networks",
        template="comparison",
        rows=lambda subject: [
            (
                subject.comparison.address(),
                comparison.comparison_page(subject.site, subject.classes, subject.gallery),
            )
        ],
        has_charts=True,
        entries=lambda subject: [
            {
                "kind": "comparison",
                "name": subject.comparison.title,
                "at": subject.comparison.address(),
                "classes": subject.classes.order,
            }
        ],
    ),
    Page(
        address=addresses.LAYER,
        about="A layer of them: all its channels, and any one of them, as `#164`",
        template="layer",
        rows=lambda subject: (
            (
                subject.comparison.layer(name),
                layer.layer_page(subject.channels, subject.gallery, name),
            )
            for name in subject.comparison.order
        ),
        scripts=lambda subject: view.scripts(subject.channels, subject.gallery),
        entries=_layer_entries,
    ),
    Page(
        address=addresses.MAP,
        about="The map of its pictures, by the last layer before and after",
        template="map",
        rows=lambda subject: (
            (place, map.map_page(subject.site, subject.classes, subject.gallery))
            for place in (subject.comparison.map,)
            if place
        ),
        entries=lambda subject: (
            {"kind": "map", "name": subject.comparison.title, "at": place}
            for place in (subject.comparison.map,)
            if place
        ),
    ),
    Page(
        address=addresses.CLASS,
        about="A class: the channels that speak for it",
        template="class",
        rows=lambda subject: (
            (
                subject.comparison.label(name),
                label.class_page(subject.classes, subject.gallery, name),
            )
            for name in subject.classes.order
        ),
        entries=lambda subject: (
            {
                "kind": "class",
                "name": name,
                "at": subject.comparison.label(name),
                "of": subject.comparison.title,
            }
            for name in subject.classes.order
        ),
    ),
)

OF_DATASET: tuple[Page[DatasetSubject], ...] = (
    Page(
        address=addresses.PICTURES,
        about="The pictures of a dataset, and any one of them, as `#NAME`",
        template="pictures",
        rows=lambda subject: (
            (place, picture.pictures_page(subject.collection))
            for place in (subject.dataset.page,)
            if subject.collection.images
        ),
        scripts=lambda subject: (
            (place, picture.pictures_script(subject.collection))
            for place in (subject.collection.script,)
            if subject.collection.images
        ),
        entries=lambda subject: (
            {"kind": "pictures", "name": f"Pictures of {subject.dataset.name}", "at": place}
            for place in (subject.dataset.page,)
            if subject.collection.images
        ),
    ),
)

PAGES: tuple[Page[Any], ...] = (*OF_STUDY, *OF_NETWORK, *OF_COMPARISON, *OF_DATASET)

NAVIGATION = tuple(Link(page.title, href=page.address) for page in PAGES if page.title)
"""What stands on top of every page."""
