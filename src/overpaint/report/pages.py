"""`build`: the site of a study folder, whole or not at all."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from overpaint.records import StudyFolder, whole_folder
from overpaint.report.comparisons import comparison_page
from overpaint.report.findings import PAGE, findings_page
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
        _write(Site(draft), records)
    return records.folder.site / "index.html"


def _write(site: Site, records: Records) -> None:
    templates = _templates(records.study.study)
    _page(site, templates, "index.html", overview(site, records))
    _page(site, templates, PAGE, findings_page(site, records))
    for name, comparison in records.comparisons.items():
        compared = comparison_page(site, records.folder, comparison)
        _page(site, templates, f"comparisons/{name}.html", compared)
    for name, network in records.networks.items():
        if network.trained:
            trained = network_page(site, records, network)
            _page(site, templates, f"networks/{slug(name)}.html", trained)
    with as_file(files("overpaint.report") / "assets") as assets:
        shutil.copytree(assets, site.root / "assets")


def _templates(study: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("overpaint.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["study"] = study
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
