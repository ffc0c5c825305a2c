"""Carry out a study: the missing steps, in order, into records; no mathematics.

Each step knows the manifest that its artefact would have now, and does nothing when the artefact
in the folder has it already. So a run that was interrupted goes on where it was, a run that is
complete does nothing, and then torch is never even imported.

The order is below; `workspace` holds what the steps share, and each kind of artefact has a module.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table

from overpaint.errors import MachineError, OverpaintError, RecordError, StudyError
from overpaint.machine import refusals_told
from overpaint.processes import Processes, in_words
from overpaint.progress import Plan, Progressing
from overpaint.records import (
    Scores,
    StudyFolder,
    check_folder,
    read_manifest,
    verify_folder,
    write_json,
    write_text,
)
from overpaint.run.advice import keep_advice
from overpaint.run.causes import keep_causes
from overpaint.run.claimed import claim
from overpaint.run.comparisons import compared_pairs, keep_compared_features, keep_comparison
from overpaint.run.concepts import features_of_concepts, keep_concepts
from overpaint.run.datasets import keep_dataset
from overpaint.run.duration import time_told
from overpaint.run.findings import keep_findings
from overpaint.run.gaze import check_gaze, keep_gazes
from overpaint.run.networks import check_study, keep_network
from overpaint.run.pairwise import features_of_pairwise, keep_pairwise
from overpaint.run.probes import features_of_probes, keep_probes
from overpaint.run.renderings import awaited_renderings, keep_renderings
from overpaint.run.room import check_room
from overpaint.run.scores import all_scores, keep_ensemble, keep_network_scores, keep_repeats
from overpaint.run.site import keep_site
from overpaint.run.thumbnails import keep_thumbnails
from overpaint.run.workspace import Workspace, alone_in
from overpaint.study import Study
from overpaint.study.code import check_code


@dataclass(frozen=True)
class Outcome:
    """The report's first page, and what failed: network -> why. Of a dry run, what is missing."""

    page: Path
    failures: dict[str, str]
    pending: tuple[str, ...] = ()  # artefacts, by their places in the folder


@refusals_told()
def run_study(
    study: Study,
    out: Path,
    progress: Progressing,
    trackers: tuple[str, ...] = (),
    *,
    explain: bool = False,
    dry: bool = False,
    verify: bool = False,
    allow_code: bool = False,
    jobs: int = 1,
) -> Outcome:
    """Carry out a study into a folder.

    A training that fails does not end the run: what does not depend on it is done, and the
    outcome tells. `explain` says of each artefact whether it is kept or made, and why; `dry` says
    the same and makes nothing, so that of what depends on something that is to be made it is only
    known that it may have to be made too. `verify`: the bytes of all artefacts and pictures are
    read, where else a look at sizes and times is enough. `allow_code`: functions that the study
    names as networks may be run; without it a study that names any is refused, and nothing is
    imported. `jobs`: trainings that are made at once, each by a process of its own.

    One of several processes of torchrun's or Accelerate's leads and does all this, the others do
    their part of what it shares out; where nothing is missing they end at once.
    """
    check_code(study, allowed=dry or allow_code)
    check_folder(out, study.study)  # before anything at all is written there
    work = Workspace(
        study,
        StudyFolder(out),
        progress,
        trackers,
        explain=explain or dry,
        dry=dry,
        verify=verify,
        allow_code=allow_code,
    )
    processes = Processes.started()
    if jobs > 1 and processes.count > 1:
        raise StudyError(
            "jobs-of-processes",
            f"this run is one of {processes.count} processes, which train together: leave --jobs "
            "out, or start it by itself",
        )
    if dry or not processes.leads:  # who follows works for the one that holds the folder
        return _share_out(work, processes, jobs)
    with alone_in(work):
        return _share_out(work, processes, jobs)


def _share_out(work: Workspace, processes: Processes, jobs: int) -> Outcome:
    """Carry a study out by this process alone, or by all that were started together."""
    if processes.count == 1:
        return _carry_out(work, jobs)
    if not processes.leads:
        work = replace(work, progress=Progressing(Console(quiet=True)), explain=False)
    if work.dry or not _is_worth_sharing(work):
        if not processes.leads:
            return Outcome(work.folder.site / "index.html", {})
        processes.alone()
        return _carry_out(work)
    from overpaint.device import chosen  # with torch, which a run that makes nothing does without

    chosen()
    processes.join()
    work.processes = processes
    try:
        if processes.leads:
            outcome = _carry_out(work)
        else:
            processes.follow(work)
            outcome = Outcome(work.folder.site / "index.html", {})
    except BaseException as error:
        processes.abandon(in_words(error))
        raise
    processes.part_ways()
    return outcome


def _is_worth_sharing(work: Workspace) -> bool:
    """Whether anything is missing that processes make together; nothing is written.

    Every process asks for itself, and finds the same: as soon as one has found something, nobody
    writes before all have met.
    """
    look = replace(
        work,
        progress=Progressing(Console(quiet=True)),
        explain=False,
        dry=True,
        datasets={},
        split_digests={},
        group_digests={},
        looks={},
        networks={},
        extents={},
        failed={},
        pending=set(),
    )
    _carry_out(look)
    shared = {"networks", "features", "comparisons", "renderings"}
    return any(path.relative_to(work.folder.root).parts[0] in shared for path in look.pending)


def _carry_out(work: Workspace, jobs: int = 1) -> Outcome:
    """All steps, in order; says so where the folder goes away meanwhile, or holds other bytes than
    were written.
    """
    problem: Exception | None = None
    try:
        outcome = _steps(work, jobs)
    except (RecordError, MachineError, FileNotFoundError) as error:
        if getattr(error, "slug", "vanished") not in ("vanished", "missing-record"):
            raise
        problem = error
    except OverpaintError:
        raise
    except Exception as error:
        problem = error
    if not work.dry and not work.folder.study.exists():
        if work.folder.root.exists():  # begun anew by what was written since: it is ours
            write_text(work.folder.study, work.study.to_yaml())
        raise MachineError(
            "vanished",
            f"the study folder {work.folder.root} was moved or removed while this run was at work "
            "in it: the same command makes what is missing there",
        )
    if problem and not work.dry and not isinstance(problem, OverpaintError):
        damaged = [row for row in verify_folder(work.folder) if row.state != "foreign"]
        if damaged:
            more = f", and {len(damaged) - 1} more files" if len(damaged) > 1 else ""
            raise RecordError(
                "damaged-records",
                f"{work.folder.root}: {damaged[0]}{more}: the same command with --verify makes "
                "anew what is damaged",
            ) from problem
    if problem:
        raise problem
    return outcome


def _steps(work: Workspace, jobs: int) -> Outcome:
    """All steps, in order."""
    study, dry = work.study, work.dry
    claim(study, work.folder, dry=dry)
    if not dry:
        _write_study(work)
    for name in study.datasets:
        keep_dataset(work, name)
    check_study(work)
    check_gaze(work)
    check_room(work)
    if not dry and not work.explain and work.processes.count == 1:
        _plan(work)
    if jobs > 1:
        from overpaint.run.jobs import train_at_once

        train_at_once(work, jobs)
    if dry and work.explain:
        _tell_lineage(work)
    page, failures = _makings(work)
    if not dry:
        _sum_up(work, page, failures)
    missing = sorted(path.relative_to(work.folder.root).as_posix() for path in work.pending)
    return Outcome(page, failures, tuple(missing))


def _tell_lineage(work: Workspace) -> None:
    """Say which network comes from which, and how long it would all take."""
    study = work.study

    def tell(parent: str | None, depth: int) -> None:
        for name, entry in study.networks.items():
            if entry.parent == parent and not entry.mixed:
                trained = f": {entry.recipe} on {entry.fit}" if entry.fit else f": {entry.load}"
                times = f" ×{entry.repeats}" if entry.repeats > 1 else ""
                work.progress.say(f"lineage  {'  ' * depth}{name}{times}{trained}")
                tell(name, depth + 1)

    tell(None, 0)
    if told := time_told(work):
        work.progress.say(
            f"time  {told}, if all is made; far longer without a GPU: 'overpaint init' times a few "
            "steps on this machine"
        )


def _plan(work: Workspace) -> None:
    """Say what there is to make, so that each stage can say how much is left."""
    look = replace(
        work,
        progress=Progressing(Console(quiet=True)),
        dry=True,
        networks={},
        extents={},
        failed={},
        pending=set(),
        looks={},
    )
    _makings(look)
    root = work.folder.root
    # Scores and random starts are made with their networks.
    beside = ("scores.json", ".init")
    pending = look.pending | awaited_renderings(look)
    places = [path.relative_to(root) for path in pending if not path.name.endswith(beside)]
    counts = Counter(place.parts[0] for place in places)
    if counts:
        work.progress.plan = Plan(counts)
        work.progress.say(f"to make: {work.progress.plan.words()}")
    else:
        work.progress.say("nothing to make: all is there")


def _makings(work: Workspace) -> tuple[Path, dict[str, str]]:
    """All steps after the datasets, in order; the first page, and what failed and why."""
    study, dry = work.study, work.dry
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
    also = [*features_of_probes(work), *features_of_concepts(work), *features_of_pairwise(work)]
    keep_compared_features(work, also)
    for pair in compared_pairs(work):
        keep_comparison(work, pair)
    keep_causes(work)
    keep_probes(work)
    keep_concepts(work)
    keep_gazes(work)
    keep_pairwise(work)
    keep_findings(work)
    keep_renderings(work)
    keep_thumbnails(work)
    keep_advice(work)
    return keep_site(work), failures


def _write_study(work: Workspace) -> None:
    """Keep the study as it was read; say so where what lies there is none that a run has left."""
    path, text = work.folder.study, work.study.to_yaml()
    try:
        present = path.read_bytes()
    except OSError:
        present = b""
    if present == text.encode():
        return
    with suppress(RecordError):
        told = read_manifest(work.folder.site_state).inputs.get(path.name)
        if told != hashlib.sha256(present).hexdigest():
            work.progress.say(f"{path.name}: is not as the last run left it: made anew")
    write_text(path, text)


def _sum_up(work: Workspace, page: Path, failures: dict[str, str]) -> None:
    """Say what came of the run."""
    study = work.study
    repeated = {name: study.repeated(name) for name in study.networks}
    work.progress.console.print(score_table(all_scores(work), repeated))
    for name, why in failures.items():
        work.progress.say(f"failed: {name}: {why}")
    work.progress.say(f"report: {page}")


def _write_failures(work: Workspace, failures: dict[str, str]) -> None:
    """What failed and why, kept in the folder for the report."""
    if failures:
        write_json(work.folder.failures, failures)
    else:
        work.folder.failures.unlink(missing_ok=True)


def score_table(
    scores: Mapping[str, Scores], repeated: Mapping[str, Sequence[str]] | None = None
) -> Table:
    """The summary at the end of a run; below trainings that are `repeated` their mean, by the name
    of the first.
    """
    table = Table()
    for title in ("network", "dataset", "score", "95 % interval", "chance", "pictures"):
        table.add_column(title, overflow="fold", justify="right" if title == "pictures" else "left")
    last = {of[-1]: of for of in (repeated or {}).values() if len(of) > 1}
    for name, of_network in scores.items():
        main = of_network.scores[of_network.main]
        table.add_row(
            name,
            of_network.dataset,
            f"{of_network.main} {main.value:.1%}",
            f"{100 * main.low:.1f}–{100 * main.high:.1f} %",
            f"{main.chance:.1%}",
            str(main.n),
        )
        of = [each for each in last.get(name, ()) if each in scores]
        if len(of) > 1:
            mean = fmean(scores[each].scores[scores[each].main].value for each in of)
            table.add_row(f"{of[0]}, mean of {len(of)}", "", f"{of_network.main} {mean:.1%}")
    return table
