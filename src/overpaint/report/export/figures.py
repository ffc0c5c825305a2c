"""What leaves the site: a paper's figures and tables in a folder, and the site as one file."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import altair as alt
import pandas as pd
from PIL import Image, ImageDraw, ImageFont, ImageOps

from overpaint.errors import RecordError
from overpaint.pixels.images import encoded
from overpaint.records import Listing, StudyFolder, digest, whole_file
from overpaint.records.belongings import files_below, is_link
from overpaint.records.drafts import Batch, sweep
from overpaint.report.charts import drawing, formats
from overpaint.report.every_page import showable, write_pages
from overpaint.report.export.methods import methods
from overpaint.report.export.paper import in_the_papers_words, several_at_once, sheets
from overpaint.report.parts.rows import Figure
from overpaint.report.site import spreadsheet
from overpaint.report.site.files import Site, no_figure
from overpaint.report.site.incremental import IncrementalFiles
from overpaint.report.site.owned import check_reported
from overpaint.report.study.reading import read_records


@contextmanager
def into(folder: Path, listing: Listing) -> Iterator[Path]:
    """A folder to write to, whose files move into `folder` only when the block ends well.

    Other files of the folder stay: it may be that of a manuscript. Raises RecordError where one of
    them would be written over, and then nothing is written.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise RecordError("not-a-folder", f"{folder} is a file; give a folder, new or old")
    with tempfile.TemporaryDirectory(prefix="overpaint-") as place:
        draft = Path(place)
        yield draft
        names = sorted(
            path.relative_to(draft).as_posix() for path in draft.rglob("*") if path.is_file()
        )
        for name in names:
            listing.check(name)
        sweep(folder)
        with Batch() as files:
            for name in names:
                listing.take(name)
                shutil.copyfile(draft / name, files.draft(folder / name))


def exported(folder: StudyFolder, out: Path) -> Listing:
    """The files of a folder elsewhere that came from a study, listed in the study's folder."""
    return Listing(out, folder.exported(digest(str(out.resolve()))[:16]))


# --- figures -----------------------------------------------------------------------------------


def figures(folder: Path, out: Path) -> Path:
    """Write every chart of a study as a paper prints it, and the tables; returns the folder.

    >>> figures(Path("runs/rasta"), Path("paper/figures"))           # doctest: +SKIP

    Each chart is `<place>.pdf`, `.svg`, `.png` (300 dots an inch) and, its data, `.csv`: one column
    (3.5 inches) wide or, where that would be too small, both (7.16 inches). Text is text, in
    Helvetica or what stands for it; colours are told apart without red and green, and where
    colours tell curves apart, dashes and shapes do too. `tables/` holds LaTeX and Markdown.
    `contact-sheet-1.png` shows all charts small; `methods.md` and `methods.tex` say how all was
    made.

    Raises RecordError where there is no study, `out` is a file, or a file that is not ours lies
    where one is to be.
    """
    records = read_records(StudyFolder(folder))
    check_reported(records.folder)
    with (
        into(out, exported(records.folder, out)) as draft,
        tempfile.TemporaryDirectory(prefix="overpaint-") as pages,
    ):
        site = PaperSite(IncrementalFiles(Path(pages)), paper=IncrementalFiles(draft))
        with site.files.written(), site.paper.written(), showable(records.folder):
            write_pages(site, records, charts_only=True)
            for _ in several_at_once(site, records):
                pass
            for name, text in methods(records).items():
                site.paper.write(name, text.encode())
            for place, sheet in sheets(records):
                site.paper.write(f"{place}.png", encoded(sheet, "PNG"))
        for number, sheet in enumerate(contact_sheets(draft), start=1):
            sheet.save(draft / f"contact-sheet-{number}.png")
    return out


ON_A_SHEET, COLUMNS = 30, 3
ROOM = (640, 420)
"""Pixels of a chart on a contact sheet, width and height, its name not counted."""


def contact_sheets(folder: Path) -> Iterator[Image.Image]:
    """All charts below a folder, small and with their names, so many a sheet."""
    charts = sorted(folder.rglob("*.png"))
    font, line = ImageFont.load_default(18), 32
    for start in range(0, len(charts), ON_A_SHEET):
        part = charts[start : start + ON_A_SHEET]
        width, height = ROOM[0] + 20, ROOM[1] + line + 20
        sheet = Image.new("RGB", (COLUMNS * width, -(-len(part) // COLUMNS) * height), "white")
        for number, path in enumerate(part):
            left, top = number % COLUMNS * width + 10, number // COLUMNS * height + 10
            with Image.open(path) as chart:
                small = ImageOps.contain(chart.convert("RGB"), ROOM)
            sheet.paste(small, (left, top + line))
            name = path.relative_to(folder).with_suffix("").as_posix()
            shown = name if len(name) < 64 else f"…{name[-62:]}"
            ImageDraw.Draw(sheet).text((left, top), shown, fill="black", font=font)
        yield sheet


@dataclass(frozen=True)
class PaperSite(Site):
    """A site that is thrown away, while its charts and tables are kept as a paper needs them."""

    paper: IncrementalFiles = field(kw_only=True)

    def figure(
        self,
        place: str,
        *,
        title: str,
        reading: str,
        alt_text: str,  # noqa: ARG002  (a paper has a caption)
        chart: alt.TopLevelMixin,
        table: pd.DataFrame,
        definition: str = "",  # noqa: ARG002
    ) -> Figure:
        """Draw a chart for print."""
        text, place = drawing.svg_for_print(chart), in_the_papers_words(place)
        self.paper.write(f"{place}.svg", text.encode())
        self.paper.write(f"{place}.png", formats.png_for_print(text))
        self.paper.write(f"{place}.pdf", formats.pdf_for_print(text))
        self.paper.write(f"{place}.csv", spreadsheet.csv(table).encode())
        return no_figure(place.rsplit("/", 1)[-1], title, reading)

    def text(self, place: str, text: str) -> str:
        """Keep a table for a paper; whatever else a page has is thrown away with it."""
        keep = self.paper if place.startswith("tables/") else self.files
        keep.write(place, text.encode())
        return place

    def data(self, place: str, frame: pd.DataFrame) -> str:
        """Keep the data of a table for a paper."""
        return self.text(f"{place}.csv", spreadsheet.csv(frame))

    def thumbnail(self, folder: Path, name: str, dataset: str, image: str) -> None:  # noqa: ARG002
        """No page is kept, so none of its pictures is."""
        return


# --- one file ----------------------------------------------------------------------------------

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every file in an archive: the first that the format knows."""

PACKED = {".jpg", ".png", ".pdf"}
"""Files that hardly become smaller."""


def archive(site: Path, file: Path) -> Path:
    """The site as a ZIP file, `index.html` on top; returns the file.

    Equal sites give equal bytes: files in order, with one date and one mode for all.

    Raises RecordError where the file would lie in the site itself, is a folder, or is there and no
    archive of a site. Links in the site are left out.
    """
    if file.is_dir() or file.resolve().is_relative_to(site.resolve()):
        raise RecordError(
            "bad-archive", f"{file}: give the name of a ZIP file outside of the site {site}"
        )
    if os.path.lexists(file) and not _is_archive(file):
        raise RecordError(
            "not-ours", f"{file} is there and no archive of a report: give another name"
        )
    paths = sorted(site / name for name in files_below(site))
    with whole_file(file) as draft, zipfile.ZipFile(draft, "w") as packed:
        for path in (path for path in paths if path.is_file() and not is_link(path)):
            entry = zipfile.ZipInfo(path.relative_to(site).as_posix(), EPOCH)
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # as on Unix, on any system
            is_packed = path.suffix in PACKED
            entry.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes())
    return file


def _is_archive(file: Path) -> bool:
    """Whether a file is an archive of a site, which another may replace."""
    if is_link(file) or not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as packed:
        return {"index.html", "assets/style.css", "assets/report.js"} <= {*packed.namelist()}
