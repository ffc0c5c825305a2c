"""`build`: the site of a study folder, brought up to date.

To load what makes pages takes a second: that is done only where a file of the study or of the site
is not as the last build left it.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from overpaint.machine import refusals_told
from overpaint.records import StudyFolder
from overpaint.records.drafts import sweep
from overpaint.records.lock import held
from overpaint.report.site.incremental import IncrementalFiles
from overpaint.report.site.look import look_at
from overpaint.report.site.owned import check_reported, listing_of


@contextmanager
def collecting_nothing() -> Iterator[None]:
    """Python looks for no garbage in cycles meanwhile: of millions of objects that live until the
    end it finds hardly any, and takes a quarter of the time.
    """
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_on:
            gc.enable()


@refusals_told()
@collecting_nothing()
def build(folder: Path, *, wait: bool = False, say: Callable[[str], None] = lambda _: None) -> Path:
    """Bring `site/` of a study folder up to what the run left there; returns its `index.html`.

    Only what changed is written, and the first page last. A study that is not finished gets a
    report too, which says what is missing, and so does one that a run is at work on. Raises
    RecordError where there is no study at all, where a file or a folder of somebody else's lies in
    the place of one of ours, or another process writes the same report: with `wait` it is waited
    for.
    """
    study = StudyFolder(folder)
    look = look_at(study)  # before anything is read: what changes meanwhile is another by the next
    records = None
    if not IncrementalFiles(study.site, study.site_state, look=look).has_looked:
        from overpaint.report.study.reading import read_records

        records = read_records(study)
    check_reported(study)
    with held(folder, "a report", name=".site", wait=wait, say=say):
        listing = listing_of(study)
        sweep(study.site, alone=True)
        files = IncrementalFiles(study.site, study.site_state, listing, look=look)
        if not files.is_as_it_was:
            from overpaint.report.every_page import bring_up_to_date
            from overpaint.report.study.reading import read_records

            bring_up_to_date(files, records or read_records(study))
    return study.site / "index.html"
