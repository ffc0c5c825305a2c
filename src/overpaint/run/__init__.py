"""Carry out a study: the missing steps, in order, into records; no mathematics.

Each step knows the manifest that its artefact would have now, and does nothing when the artefact
in the folder has it already. So a run that was interrupted goes on where it was, a run that is
complete does nothing, and then torch is never even imported.

The order is below; `workspace` holds what the steps share, and each kind of artefact has a module.
"""

from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from overpaint.progress import Progressing
from overpaint.records import (
    Scores,
    StudyFolder,
    file_digest,
    manifest,
    write_json,
    write_manifest,
    write_text,
)
from overpaint.run.comparisons import compared_pairs, keep_compared_features, keep_comparison
from overpaint.run.datasets import keep_dataset
from overpaint.run.findings import keep_findings
from overpaint.run.networks import check_study, keep_network
from overpaint.run.renderings import keep_renderings
from overpaint.run.scores import all_scores, keep_ensemble, keep_network_scores, keep_repeats
from overpaint.run.thumbnails import keep_thumbnails
from overpaint.run.workspace import Workspace
from overpaint.study import Study


@dataclass(frozen=True)
class Outcome:
    """The report's first page, and what failed: network -> why."""

    page: Path
    failures: dict[str, str]


def run_study(
    study: Study,
    out: Path,
    progress: Progressing,
    trackers: tuple[str, ...] = (),
    *,
    explain: bool = False,
    dry: bool = False,
) -> Outcome:
    """Carry out a study into a folder.

    A training that fails does not end the run: what does not depend on it is done, and the
    outcome tells. `explain` says of each artefact whether it is kept or made, and why; `dry` says
    the same and makes nothing, so that of what depends on something that is to be made it is only
    known that it may have to be made too.
    """
    work = Workspace(study, StudyFolder(out), progress, trackers, explain or dry, dry)
    if not dry:
        write_text(work.folder.study, study.to_yaml())
    for name in study.datasets:
        keep_dataset(work, name)
    check_study(work)
    for name in study.all_networks:
        keep_network(work, name)
        if name not in work.failed:
            keep_network_scores(work, name)
    for name in study.ensembles:
        keep_ensemble(work, name)
    keep_repeats(work)
    failures = {name: f"{error} [{error.slug}]" for name, error in work.failed.items()}
    if not dry:
        _write_failures(work, failures)
    keep_compared_features(work)
    for pair in compared_pairs(work):
        keep_comparison(work, pair)
    keep_findings(work)
    keep_renderings(work)
    keep_thumbnails(work)
    page = keep_site(work)
    if not dry:
        progress.console.print(score_table(all_scores(work)))
        for name, why in failures.items():
            progress.say(f"failed: {name}: {why}")
        progress.say(f"report: {page}")
    return Outcome(page, failures)


def _write_failures(work: Workspace, failures: dict[str, str]) -> None:
    """What failed and why, kept in the folder for the report."""
    if failures:
        write_json(work.folder.failures, failures)
    else:
        work.folder.failures.unlink(missing_ok=True)


LOOSE = ("study.yaml", "failures.json", "repeats.json", "findings.json", "advice.parquet")
"""Files of the study folder itself that the report reads."""


def keep_site(work: Workspace) -> Path:
    """Bring the report up to date; what of it stands already is not made again."""
    from overpaint.report import build
    from overpaint.report.site.incremental import program

    root, index = work.folder.root, work.folder.site / "index.html"
    manifests = [
        path
        for path in sorted(root.glob("**/*manifest.json"))
        if path.parent != root and not path.is_relative_to(work.folder.site)
    ]
    others = (
        [path for path in sorted(root.iterdir()) if path.name in LOOSE] if root.exists() else []
    )
    wanted = manifest(
        "site",
        inputs={"program": program()}
        | {path.relative_to(root).as_posix(): file_digest(path) for path in manifests + others}
        | {path.relative_to(root).as_posix(): "is to be made" for path in work.pending},
        settings={},
        seed=0,
    )

    def make() -> None:
        with work.progress.stage("report"):
            build(root)
        write_manifest(work.folder.site_state, wanted)

    if index.is_file() or not work.folder.site_state.is_file():
        work.keep(work.folder.site_state, wanted, make)
    elif work.must_make(work.folder.site_state, wanted, ["site/index.html is not there"]):
        make()
    return index


def score_table(scores: dict[str, Scores]) -> Table:
    """The summary at the end of a run."""
    table = Table("network", "dataset", "score", "95 % interval", "chance", "pictures")
    for name, of_network in scores.items():
        main = of_network.scores[of_network.main]
        table.add_row(
            name,
            of_network.dataset,
            f"{of_network.main} {main.value:.1%}",
            f"{main.low:.1%} … {main.high:.1%}",
            f"{main.chance:.1%}",
            str(main.n),
        )
    return table
