"""Every page of a study, written into a site."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from altair.utils.schemapi import debug_mode

from overpaint.errors import RecordError
from overpaint.records import StudyFolder
from overpaint.report.charts.drawing import Painter
from overpaint.report.pages.listing import (
    NAVIGATION,
    OF_COMPARISON,
    OF_DATASET,
    OF_NETWORK,
    OF_STUDY,
    Page,
)
from overpaint.report.pages.subjects import (
    ComparisonSubject,
    DatasetSubject,
    NetworkSubject,
    StudySubject,
)
from overpaint.report.site.files import Site
from overpaint.report.site.incremental import IncrementalFiles
from overpaint.report.site.search import INDEX, index_script
from overpaint.report.site.templates import Templates
from overpaint.report.study.reading import Records


def bring_up_to_date(files: IncrementalFiles, records: Records) -> None:
    """Have the files of a site show what the records of a study hold."""
    with files.written(), showable(records.folder), Painter() as painter:
        write_pages(Site(files, painter=painter), records)
        files.finish()


@contextmanager
def showable(folder: StudyFolder) -> Iterator[None]:
    """Raises RecordError where no page can be made of records that were read without complaint."""
    try:
        yield
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        raise RecordError(
            "unshowable-record",
            f"{folder.root} holds what no page can show ({type(error).__name__}: {error}): "
            "'overpaint verify' says which files are not as a run wrote them; if none, the "
            "fault is ours",
        ) from error


@debug_mode(False)  # Altair would hold each part of each chart against a schema: the tests do
def write_pages(site: Site, records: Records, *, charts_only: bool = False) -> None:
    """Write every page of a study, with all that it shows; or only those that have charts."""
    templates = Templates.of(site, records.study.study, navigation=NAVIGATION)
    copy_assets(site)
    study = StudySubject(templates, records)
    networks = [NetworkSubject(templates, records, network) for network in records.trained]
    comparisons = [
        ComparisonSubject(templates, records, comparison)
        for comparison in records.comparisons.values()
    ]
    datasets = [
        DatasetSubject(
            templates,
            records,
            dataset,
            tuple(pair for pair in comparisons if pair.comparison.facts.dataset == name),
        )
        for name, dataset in records.datasets.items()
    ]

    def write(pages: Sequence[Page[Any]], subject: StudySubject) -> Iterator[None]:
        with_charts = {page.address: list(page.rows(subject)) for page in pages if page.has_charts}
        yield  # while the charts are drawn
        for page in reversed(pages):
            if page.has_charts or not charts_only:
                page.write(subject, with_charts.get(page.address))

    of_study = write(OF_STUDY, study)
    of: list[tuple[str, Sequence[Page[Any]], ComparisonSubject | NetworkSubject | DatasetSubject]]
    of = [
        *((f"comparison {pair.comparison.name}", OF_COMPARISON, pair) for pair in comparisons),
        *((f"network {trained.network.name}", OF_NETWORK, trained) for trained in networks),
        *((f"pictures of {each.dataset.name}", OF_DATASET, each) for each in datasets),
    ]
    parts = [
        site.files.part(name, subject.made_from(), partial(write, pages, subject))
        for name, pages, subject in of
    ]
    for begun in (*parts, of_study):
        next(begun, None)
    for part in parts:
        for _ in part:
            pass
    entries = [
        *(entry for page in OF_STUDY for entry in page.index(study)),
        *(entry for trained in networks for page in OF_NETWORK for entry in page.index(trained)),
        *(entry for each in datasets for page in OF_DATASET for entry in page.index(each)),
        *(entry for pair in comparisons for page in OF_COMPARISON for entry in page.index(pair)),
    ]
    site.text(INDEX, index_script(entries))
    site.files.write_the_rest()
    for _ in of_study:  # the first page last
        pass


def copy_assets(site: Site) -> None:
    """What every page needs beside itself."""
    for asset in Path(str(files("overpaint.report") / "assets")).iterdir():
        site.files.write(f"assets/{asset.name}", asset.read_bytes())
