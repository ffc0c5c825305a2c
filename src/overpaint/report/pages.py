"""`build`: the site of a study folder, whole or not at all."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from overpaint.records import StudyFolder, whole_folder
from overpaint.report import data, findings, formats, method
from overpaint.report.comparisons import comparison_page
from overpaint.report.networks import network_page
from overpaint.report.overview import overview
from overpaint.report.reading import Records, read_records
from overpaint.report.site import Site
from overpaint.report.words import slug


def build(folder: Path) -> Path:
    """Make `site/` in a study folder from what the run left there; returns its `index.html`.

    A study that is not finished gets a report too, which says what is missing. Raises RecordError
    where there is no study at all.
    """
    records = read_records(StudyFolder(folder))
    with whole_folder(records.folder.site) as draft:
        write_pages(Site(draft, drawn_as(records)), records)
    return records.folder.site / "index.html"


MANY = 120
"""A site of more charts has them as SVG only: PNG and PDF cost 0.2 s and 400 kB for each."""


def drawn_as(records: Records) -> tuple[str, ...]:
    """What the charts of a site are written as, beside SVG."""
    trained = sum(each.trained for each in records.networks.values())
    charts = 6 * len(records.comparisons) + 2 * trained
    return () if charts > MANY else tuple(formats.WRITERS)


def write_pages(site: Site, records: Records) -> None:
    """Write every page of a study, with all that it shows."""
    templates = templates_of(records.study.study)
    _page(site, templates, "index.html", overview(site, records))
    _page(site, templates, findings.PAGE, findings.findings_page(site, records))
    _page(site, templates, data.PAGE, data.data_page(site, records))
    _page(site, templates, method.PAGE, method.method_page(site, records))
    for name, comparison in records.comparisons.items():
        compared = comparison_page(site, records.folder, comparison)
        _page(site, templates, f"comparisons/{name}.html", compared)
    for name, network in records.networks.items():
        if network.trained:
            trained = network_page(site, records, network)
            _page(site, templates, f"networks/{slug(name)}.html", trained)
    copy_assets(site)


def copy_assets(site: Site) -> None:
    """What every page needs beside itself."""
    with as_file(files("overpaint.report") / "assets") as assets:
        shutil.copytree(assets, site.root / "assets")


def templates_of(study: str, *, alone: bool = False) -> Environment:
    """The templates of the pages of a study; `alone`, of a page without the others around it."""
    environment = Environment(
        loader=PackageLoader("overpaint.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"study": study, "alone": alone}
    return environment


def _page(site: Site, templates: Environment, place: str, page: object) -> None:
    """Write a page; its template has the name of its folder, or else of itself, without the s."""
    folder, _, file = place.rpartition("/")
    name = folder or file.removesuffix(".html")
    template = templates.get_template(f"{name.removesuffix('s')}.html")
    path = site.root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    text = template.render(page=page, root="../" if folder else "")
    path.write_text(text, encoding="utf-8")
