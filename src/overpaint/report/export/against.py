"""Two studies side by side, from the records of both."""

from collections.abc import Collection, Iterable
from pathlib import Path

import pandas as pd

from overpaint.defaults import SPLITS
from overpaint.errors import RecordError
from overpaint.findings import STATEMENTS
from overpaint.records import FindingRow, StudyFolder
from overpaint.report.charts import formats
from overpaint.report.every_page import copy_assets, showable
from overpaint.report.export.against_rows import (
    AgainstPage,
    SettingDifference,
    SharedDataset,
    SharedFinding,
    StudyLine,
    Unshared,
)
from overpaint.report.export.figures import exported, into
from overpaint.report.export.pairs import (
    ChangePair,
    digests,
    images,
    measured,
    scored,
    shared,
    shared_scores,
)
from overpaint.report.pages.findings import value_cell
from overpaint.report.pages.listing import NAVIGATION
from overpaint.report.pages.method import effective
from overpaint.report.pages.overview import all_missing, summary
from overpaint.report.parts.text import (
    ABSENT,
    count,
    counted,
    listed,
    slug,
)
from overpaint.report.site.files import Site
from overpaint.report.site.incremental import IncrementalFiles
from overpaint.report.site.owned import check_reported, listing_of
from overpaint.report.site.templates import Templates
from overpaint.report.study.reading import Records, read_records

DRAWN = 24
"""The most comparisons that are drawn."""


def against(folder: Path, other: Path, out: Path | None = None) -> Path:
    """Write the page of two studies; returns it.

    >>> against(Path("runs/a"), Path("runs/b"))                      # doctest: +SKIP
    PosixPath('runs/a/site/against-b.html')

    It goes into the site of the first, where it stays until the site is made anew, or, with `out`,
    into a folder where it stands alone.

    Raises RecordError where one of the folders holds no study, or both are one.
    """
    if folder.resolve() == other.resolve():
        raise RecordError("same-study", f"{folder} and {other} are one study; give another")
    first, second = read_records(StudyFolder(folder)), read_records(StudyFolder(other))
    names = first.study.study, second.study.study
    if names[0] == names[1]:
        names = first.folder.root.resolve().name, second.folder.root.resolve().name
    if names[0] == names[1]:
        names = f"{names[0]} (first)", f"{names[1]} (second)"
    place = f"against-{slug(names[1])}"
    check_reported(first.folder)
    listing = listing_of(first.folder) if out is None else exported(first.folder, out)
    with into(out or first.folder.site, listing) as draft, showable(first.folder):
        site = Site(IncrementalFiles(draft), chart_formats=tuple(formats.WRITERS))
        with site.files.written():
            page = against_page(site, place, names, first, second)
            templates = Templates.of(site, names[0], navigation=NAVIGATION if out is None else ())
            templates.page("against", f"{place}.html", page)
            if out is not None:
                copy_assets(site)
    return (out or first.folder.site) / f"{place}.html"


def against_page(
    site: Site, place: str, names: tuple[str, str], first: Records, second: Records
) -> AgainstPage:
    """All that the page of two studies shows."""
    scores = list(shared_scores(first, second))
    changes = [
        ChangePair(first=pair[0], second=pair[1])
        for pair in shared(measured(first), measured(second)).values()
    ]
    rest = len(changes) - DRAWN
    return AgainstPage(
        first=names[0],
        second=names[1],
        studies=(study_line(names[0], first), study_line(names[1], second)),
        datasets=tuple(shared_datasets(first, second)),
        scores=tuple(score.line for score in scores if score.decides),
        scores_data=site.data(f"{place}/scores", pd.DataFrame([score.columns for score in scores]))
        if scores
        else None,
        changes=tuple(change.line for change in changes),
        figures=tuple(change.figure(site, place, names) for change in changes[:DRAWN]),
        undrawn=f"{counted(rest, 'more comparison')} only in the table." if rest > 0 else "",
        findings=tuple(shared_findings(first, second)),
        settings=tuple(setting_differences(first, second)),
        unshared=tuple(unshared(first, second)),
    )


def study_line(name: str, records: Records) -> StudyLine:
    """What a study did, and how much of it is missing."""
    missing = all_missing(records)
    return StudyLine(
        name=name,
        summary=summary(records),
        missing=f"{counted(len(missing), 'thing')} failed, or not made yet: {missing[0]}"
        if missing
        else "",
    )


# --- data --------------------------------------------------------------------------------------


def shared_datasets(first: Records, second: Records) -> Iterable[SharedDataset]:
    """The datasets of both, and which splits hold the very same pictures."""
    for name, pair in shared(first.datasets, second.datasets).items():
        sizes = [
            " · ".join(count(len(images(dataset, split))) for split in SPLITS) for dataset in pair
        ]
        files = {split: [digests(dataset, split) for dataset in pair] for split in SPLITS}
        same = [split for split, (a, b) in files.items() if a and a == b]
        text = f"the same pictures in {listed(same)} only" if same else "other pictures"
        if len(same) == len(SPLITS):
            text = "the same pictures"
        elif "test" not in same:
            common = set.intersection(*files["test"])
            text = f"{text}; {count(len(common))} test pictures in common"
        yield SharedDataset(name=name, first=sizes[0], second=sizes[1], same=text)


# --- findings and settings ---------------------------------------------------------------------


def shared_findings(first: Records, second: Records) -> Iterable[SharedFinding]:
    """The statements that were put to the same thing in both, in the order of the statements."""
    pairs = shared(findings_by_subject(first), findings_by_subject(second))
    for key, statement in STATEMENTS.items():
        for a, b in pairs.values():
            if a.statement == key:
                yield SharedFinding(
                    statement=statement.title,
                    subject=a.subject,
                    first=a.verdict,
                    second=b.verdict,
                    first_value=value_cell(a),
                    second_value=value_cell(b),
                )


def findings_by_subject(records: Records) -> dict[str, FindingRow]:
    """The findings by what they say: the statement in words and what it was put to."""
    return {
        f"{STATEMENTS[row.statement].title}: {row.subject}": row
        for row in records.findings
        if row.statement in STATEMENTS
    }


def setting_differences(first: Records, second: Records) -> Iterable[SettingDifference]:
    """The settings in which networks of one name differ."""
    for name, networks in shared(first.networks, second.networks).items():
        if not all(network.trained for network in networks):
            continue
        a, b = effective(first, name), effective(second, name)
        for setting in dict.fromkeys([*a, *b]):
            values = a.get(setting, ABSENT), b.get(setting, ABSENT)
            if values[0] != values[1]:
                yield SettingDifference(
                    network=name, setting=setting, first=values[0], second=values[1]
                )


def unshared(first: Records, second: Records) -> Iterable[Unshared]:
    """What only one of the two has, by kind."""
    arrows = [
        [f"{pair.before} → {pair.after}" for pair in measured(records).values()]
        for records in (first, second)
    ]
    kinds: dict[str, tuple[Collection[str], Collection[str]]] = {
        "Datasets": (first.datasets, second.datasets),
        "Networks": (first.networks, second.networks),
        "Networks and ensembles with a score": (scored(first), scored(second)),
        "Comparisons": (arrows[0], arrows[1]),
        "Statements put to": (findings_by_subject(first), findings_by_subject(second)),
    }
    for kind, (a, b) in kinds.items():
        only_first = tuple(name for name in a if name not in b)
        only_second = tuple(name for name in b if name not in a)
        if only_first or only_second:
            yield Unshared(kind=kind, first=only_first, second=only_second)
