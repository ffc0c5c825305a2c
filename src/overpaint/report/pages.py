"""`build`: the site of a study folder, brought up to date."""

from importlib.resources import files
from pathlib import Path

from overpaint.records import StudyFolder
from overpaint.report.comparisons import compared
from overpaint.report.findings import PAGE, findings_page
from overpaint.report.networks import fitted
from overpaint.report.overview import overview
from overpaint.report.press import Press
from overpaint.report.reading import Records, read_records
from overpaint.report.search import INDEX, index_script
from overpaint.report.site import Site
from overpaint.report.standing import Standing


def build(folder: Path) -> Path:
    """Bring `site/` of a study folder up to what the run left there; returns its `index.html`.

    Only what changed is written, and the first page last. A study that is not finished gets a
    report too, which says what is missing. Raises RecordError where there is no study at all.
    """
    records = read_records(StudyFolder(folder))
    site = Site(Standing(records.folder.site, records.folder.site_state))
    _write(Press.of(site, records.study.study), records)
    site.standing.settle()
    return records.folder.site / "index.html"


def _write(press: Press, records: Records) -> None:
    site = press.site
    for asset in Path(str(files("overpaint.report") / "assets")).iterdir():
        site.standing.write(f"assets/{asset.name}", asset.read_bytes())
    for comparison in records.comparisons.values():
        compared(press, records, comparison)
    for network in records.networks.values():
        if network.trained:
            fitted(press, records, network)
    press.page("finding", PAGE, findings_page(site, records))
    site.text(INDEX, index_script(records))
    press.page("index", "index.html", overview(site, records))
