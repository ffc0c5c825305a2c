"""`build`: the site of a study folder, brought up to date."""

from importlib.resources import files
from pathlib import Path

from overpaint.records import StudyFolder
from overpaint.report.charts import formats
from overpaint.report.pages import data, findings, method
from overpaint.report.pages.comparison import compared
from overpaint.report.pages.network import fitted
from overpaint.report.pages.overview import overview
from overpaint.report.site.files import Site
from overpaint.report.site.incremental import IncrementalFiles
from overpaint.report.site.search import INDEX, index_script
from overpaint.report.site.templates import Templates
from overpaint.report.study.reading import Records, read_records


def build(folder: Path) -> Path:
    """Bring `site/` of a study folder up to what the run left there; returns its `index.html`.

    Only what changed is written, and the first page last. A study that is not finished gets a
    report too, which says what is missing. Raises RecordError where there is no study at all.
    """
    records = read_records(StudyFolder(folder))
    site = Site(
        IncrementalFiles(records.folder.site, records.folder.site_state), chart_formats(records)
    )
    write_pages(site, records)
    site.files.finish()
    return records.folder.site / "index.html"


MANY = 120
"""A site of more charts has them as SVG only: PNG and PDF cost 0.2 s and 400 kB for each."""


def chart_formats(records: Records) -> tuple[str, ...]:
    """What the charts of a site are written as, beside SVG."""
    trained = sum(each.trained for each in records.networks.values())
    charts = 8 * len(records.comparisons) + 2 * trained
    return () if charts > MANY else tuple(formats.WRITERS)


def write_pages(site: Site, records: Records, *, charts_only: bool = False) -> None:
    """Write every page of a study, with all that it shows; or only those that have charts."""
    templates = Templates.of(site, records.study.study)
    copy_assets(site)
    for comparison in records.comparisons.values():
        compared(templates, records, comparison, charts_only=charts_only)
    for network in records.networks.values():
        if network.trained:
            fitted(templates, records, network)
    templates.page("finding", findings.PAGE, findings.findings_page(site, records))
    templates.page("data", data.PAGE, data.data_page(site, records))
    templates.page("method", method.PAGE, method.method_page(site, records))
    site.text(INDEX, index_script(records))
    templates.page("index", "index.html", overview(site, records))


def copy_assets(site: Site) -> None:
    """What every page needs beside itself."""
    for asset in Path(str(files("overpaint.report") / "assets")).iterdir():
        site.files.write(f"assets/{asset.name}", asset.read_bytes())
