"""The report of a study: brought up to date where anything that it shows has changed."""

from pathlib import Path

from overpaint.errors import RecordError
from overpaint.records import (
    PENDING,
    damages_of_site,
    file_digest,
    manifest,
    read_json,
    write_manifest,
)
from overpaint.records.drafts import finished
from overpaint.report import build
from overpaint.report.site.incremental import program
from overpaint.run.workspace import Workspace

SHOWN = (
    *("study.yaml", "failures.json", "repeats.json", "findings.json", "advice.parquet"),
    "advice.manifest.json",
    *("datasets/*/manifest.json", "datasets/*/images.parquet"),
    *("networks/*/*manifest.json", "ensembles/*/*manifest.json", "comparisons/*/manifest.json"),
    "causes/*/manifest.json",
    "pairwise/*/manifest.json",
    *("concepts/*/manifest.json", "gazes/*/manifest.json", "probes/*/*/manifest.json"),
    *("renderings/*/*manifest.json", "renderings/*/*/manifest.json", "thumbnails/*/manifest.json"),
)
"""What the site is made from: small tables as they are, and all else by its manifest."""


def keep_site(work: Workspace) -> Path:
    """Bring the report up to date, unless it shows what lies in the folder; its first page.

    What of it stands already is not written again: see `report.site.incremental`.
    """
    root, state = work.folder.root, work.folder.site_state
    index = work.folder.site / "index.html"
    files = sorted(path for pattern in SHOWN for path in finished(root, pattern))
    digests = {path.relative_to(root).as_posix(): file_digest(path) for path in files}
    pending = {path.relative_to(root).as_posix(): PENDING for path in work.pending}
    inputs = {"program": program()} | digests | pending
    wanted = manifest("site", inputs=inputs, settings={}, seed=0)
    lacking = [] if index.is_file() or not state.is_file() else ["its first page is not there"]
    if state.is_file():
        try:
            read_json(state)
        except RecordError:
            lacking = ["it is no JSON"]
    damaged = damages_of_site(work.folder, read=work.verify, settle=not work.dry)
    if damaged and not lacking:
        more = f" and {len(damaged) - 1} more files of the report" if len(damaged) > 1 else ""
        lacking = [f"site/{damaged[0]}{more}"]
    if work.must_make(state, wanted, lacking):
        if lacking and not work.explain:
            work.progress.say(f"{state.name}: {lacking[0]}: made anew")
        with work.progress.stage("report"):
            build(root, wait=True, say=work.progress.say)
        write_manifest(state, wanted)
    return index
