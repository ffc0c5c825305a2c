"""The datasets of a study: how many pictures of what, and what makes their scores doubtful."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from overpaint.defaults import SPLITS
from overpaint.records import ImageRow, LeakRow, StudyFolder
from overpaint.report.charts import plots
from overpaint.report.charts.drawing import link
from overpaint.report.parts.addresses import DATA
from overpaint.report.parts.rows import Figure, Link
from overpaint.report.parts.text import ABSENT, count, counted, listed, percent, slug
from overpaint.report.site.files import Site, no_figure
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import DatasetRecords, Records

NAMED = 50
"""The pictures left out, and those in two splits, that the page names; the tables name all."""

BARS = 60
"""The most classes whose pictures are drawn."""

LINES = 100
"""The most classes in the table of the page."""

FEW = 10
"""A class with fewer pictures to train on is told of."""


@dataclass(frozen=True, kw_only=True)
class DatasetLine:
    """A dataset in the list of the first page, with what may make its scores doubtful."""

    id: str
    name: Link
    kind: str
    labels: str
    classes: str
    counts: tuple[str, ...]  # train, val, test
    left_out: str
    duplicates: str  # pictures in two splits
    leak: str  # the share of a split that is of groups of train

    @classmethod
    def of(cls, dataset: DatasetRecords) -> "DatasetLine":
        """What the first page tells of a dataset."""
        facts, classes = dataset.facts, _classes(dataset)
        leaks = [f"{row.split} {percent(row.share)}" for row in facts.leak if row.known]
        return cls(
            id=f"dataset-{slug(dataset.name)}",
            name=Link(dataset.name, href=f"{DATA}#{_anchor(dataset)}"),
            kind=facts.kind or ABSENT,
            labels=_labels(dataset),
            classes=count(len(classes)) if classes else ABSENT,
            counts=_counts(dataset),
            left_out=count(len(dataset.images) - len(dataset.usable)),
            duplicates=count(len(facts.duplicates)),
            leak=", ".join(leaks) or ("none" if facts.leak else ABSENT),
        )


@dataclass(frozen=True, kw_only=True)
class ClassLine:
    """A class of a dataset and how many pictures show it."""

    id: str
    label: str
    cells: tuple[str, ...]  # train, val, test, all, share of the pictures

    @classmethod
    def of(cls, row: Any, pictures: int, anchor: str) -> "ClassLine":
        """A row of `class_counts`, of so many pictures."""
        label, *by_split, total = row
        share = percent(total / pictures if pictures else None)
        return cls(id=anchor, label=str(label), cells=(*map(count, by_split), count(total), share))


@dataclass(frozen=True, kw_only=True)
class LeakLine:
    """What a split shares with train by its groups."""

    split: str
    cells: tuple[str, ...]  # pictures, of known groups, share, groups, named rightly, chance

    @classmethod
    def of(cls, row: LeakRow) -> "LeakLine":
        """The line of a split."""
        return cls(
            split=row.split,
            cells=(
                count(row.n),
                count(row.known),
                percent(row.share),
                f"{count(row.known_groups)} of {count(row.groups)}",
                percent(row.accuracy),
                percent(row.chance),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class DuplicateLine:
    """One picture under two names."""

    first: str
    first_split: str
    second: str
    second_split: str


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """Pictures in two splits, to the byte or nearly."""

    summary: str  # "" where there is none
    lines: tuple[DuplicateLine, ...]
    more: str

    @classmethod
    def of(cls, dataset: DatasetRecords, *, near: bool) -> "Duplicates":
        """Those of a dataset that are or are not the very same file."""
        found = [row for row in dataset.facts.duplicates if row.near == near]
        how = "Nearly the same in" if near else "In"
        return cls(
            summary=f"{how} two splits of {dataset.name}: {counted(len(found), 'picture')}"
            if found
            else "",
            lines=tuple(
                DuplicateLine(
                    first=row.first,
                    first_split=row.first_split,
                    second=row.second,
                    second_split=row.second_split,
                )
                for row in found[:NAMED]
            ),
            more=_more(len(found) - NAMED, "picture"),
        )


@dataclass(frozen=True, kw_only=True)
class DatasetSection:
    """A dataset on the page of the data."""

    id: str
    name: str
    fields: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]
    figure: Figure
    classes: tuple[ClassLine, ...]
    more_classes: str
    leaks: tuple[LeakLine, ...]
    leak_remarks: tuple[str, ...]  # a sentence a split that shares groups with train
    why: str  # the reasons for what was left out, counted
    left_out: tuple[tuple[str, str], ...]  # picture, reason
    more_left_out: str  # how many are only in the table
    duplicates: "Duplicates"  # to the byte
    near: "Duplicates"
    has_sought_near: bool
    duplicates_data: str | None
    pictures: Link | None  # their page, where the report shows any
    data: str | None
    missing: tuple[str, ...]

    @classmethod
    def of(cls, site: Site, folder: StudyFolder, dataset: DatasetRecords) -> "DatasetSection":
        """All that the page shows of a dataset."""
        thumbnails = {
            name for name, *_ in site.files.pictures_below(folder.thumbnails(dataset.name))
        }
        is_shown = any(f"{key[:24]}.jpg" in thumbnails for key in dataset.digests.values())
        images, facts = dataset.images, dataset.facts
        left_out = rows(images[images["status"] != "ok"], ImageRow)
        flat = images.assign(labels=[" · ".join(labels) for labels in images["labels"]])
        # The digests of the files are in the table of the study folder alone.
        unsaid = [name for name in ("source", "rights") if (images[name] == "").all()]
        unsaid.append("digest")
        duplicates = pd.DataFrame(facts.duplicates)
        counts = class_counts(dataset.usable, _classes(dataset))
        # Reasons alike are told together.
        reasons = Counter(row.status.split(":")[0] for row in left_out).most_common()
        place = f"datasets/{dataset.name}"
        return cls(
            id=_anchor(dataset),
            name=dataset.name,
            fields=(
                ("Kind", facts.kind or ABSENT),
                ("Labels", _labels(dataset)),
                ("Classes", count(len(counts)) if len(counts) else ABSENT),
                *zip(map(str.capitalize, SPLITS), _counts(dataset), strict=True),
                ("Left out", count(len(left_out))),
            ),
            remarks=(
                *_remarks(dataset.usable, counts),
                *(f"{note[:1].upper()}{note[1:]}." for note in facts.notes),
            ),
            figure=_figure(site, dataset, counts),
            classes=tuple(
                ClassLine.of(line, len(dataset.usable), _class_anchor(dataset, place))
                for place, line in enumerate(counts[:LINES].itertuples(index=False))
            ),
            more_classes=_more(len(counts) - LINES, "class"),
            leaks=tuple(map(LeakLine.of, facts.leak)),
            leak_remarks=tuple(
                f"{dataset.name}/{row.split}: {row.describe(percent)}"
                for row in facts.leak
                if row.known
            ),
            why=listed(f"{why} ({count(n)})" for why, n in reasons) if reasons else "",
            left_out=tuple((row.image, row.status) for row in left_out[:NAMED]),
            more_left_out=_more(len(left_out) - NAMED, "picture"),
            duplicates=Duplicates.of(dataset, near=False),
            near=Duplicates.of(dataset, near=True),
            has_sought_near=bool(facts.near_of),
            duplicates_data=site.data(f"{place}.duplicates", duplicates)
            if len(duplicates)
            else None,
            pictures=Link("Its pictures, one by one", href=dataset.page) if is_shown else None,
            data=site.data(place, flat.drop(columns=unsaid)) if len(images) else None,
            missing=tuple(dataset.notes),
        )


@dataclass(frozen=True, kw_only=True)
class DataPage:
    """The page of the data."""

    datasets: tuple[DatasetSection, ...]


def data_page(site: Site, records: Records) -> DataPage:
    """All that the page of the data shows."""
    return DataPage(
        datasets=tuple(
            DatasetSection.of(site, records.folder, dataset)
            for dataset in records.datasets.values()
        )
    )


def _anchor(dataset: DatasetRecords) -> str:
    return f"data-{slug(dataset.name)}"


def _class_anchor(dataset: DatasetRecords, place: int) -> str:
    """The anchor of a class, by its place among the most frequent."""
    return f"{_anchor(dataset)}-class-{place}"


def _labels(dataset: DatasetRecords) -> str:
    return "several a picture" if dataset.facts.multi_label else "one a picture"


def _counts(dataset: DatasetRecords) -> tuple[str, ...]:
    splits = dataset.usable["split"]
    return tuple(count(int((splits == split).sum())) for split in SPLITS)


def _classes(dataset: DatasetRecords) -> list[str]:
    """The classes in their order; where the manifest names none, those of the pictures."""
    return dataset.facts.classes or sorted(
        {label for labels in dataset.images["labels"] for label in labels}
    )


def _more(rest: int, noun: str) -> str:
    return f"{counted(rest, f'more {noun}')} in the table." if rest > 0 else ""


# --- classes -----------------------------------------------------------------------------------


def class_counts(used: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """How many pictures of each split show each class, the most frequent class first.

    >>> table = pd.DataFrame({"split": ["train", "test"], "labels": [["b"], ["b", "a"]]})
    >>> class_counts(table, ["a", "b", "c"]).values.tolist()
    [['b', 1, 0, 1, 2], ['a', 0, 0, 1, 1], ['c', 0, 0, 0, 0]]

    A picture with several labels counts for each.
    """
    shown = used[["split", "labels"]].explode("labels", ignore_index=True)
    labels = shown.dropna(subset="labels")
    order = list(dict.fromkeys([*classes, *labels["labels"]]))
    table = pd.crosstab(labels["labels"], labels["split"]).reindex(
        index=order, columns=list(SPLITS), fill_value=0
    )
    total = table.sum(axis=1)
    table = table.assign(all=total).loc[total.sort_values(ascending=False, kind="stable").index]
    return table.rename_axis("label").rename_axis(None, axis=1).reset_index()


def _figure(site: Site, dataset: DatasetRecords, counts: pd.DataFrame) -> Figure:
    name, title = f"classes-{slug(dataset.name)}", "How many pictures show each class"
    if not len(counts) or not counts["all"].sum():
        return no_figure(name, title, "No picture is recorded.")
    bars = counts[:BARS]
    long = bars.melt(["label"], list(SPLITS), "split", "pictures")
    places = {label: place for place, label in enumerate(bars["label"])}
    opened = [link(f"{DATA}#{_class_anchor(dataset, places[label])}") for label in long["label"]]
    most, least = counts.iloc[0], counts.iloc[-1]
    rest = f" The {BARS} most frequent of {len(counts)} classes are drawn." if len(
        counts) > BARS else ""  # fmt: skip
    return site.figure(
        f"datasets/{name}",
        title=title,
        reading=(
            "A bar a class, in parts for the pictures to train on, to choose the epoch by, and to "
            f"test with.{rest}"
        ),
        alt_text=(
            f"Pictures by class: {count(most['all'])} show {most['label']}, the most frequent; "
            f"{count(least['all'])} show {least['label']}, the rarest."
        ),
        chart=plots.class_bars(long.assign(href=opened), bars["label"].tolist()),
        table=counts,
    )


# --- what makes scores doubtful ----------------------------------------------------------------


def _remarks(used: pd.DataFrame, counts: pd.DataFrame) -> list[str]:
    """What was noticed of the collection, a sentence each."""
    if used.empty:
        return []
    remarks = []
    for split, what in [("train", "to train on"), ("test", "to test with")]:
        without = counts[counts[split] == 0]["label"].tolist()
        if without:
            verb = "has" if len(without) == 1 else "have"
            remarks.append(f"{_named(without)} {verb} no picture {what}.")
    few = counts[(counts["train"] > 0) & (counts["train"] < FEW)]["label"].tolist()
    if few:
        remarks.append(f"Fewer than {FEW} pictures to train on: {_named(few)}.")
    most, least = counts["all"].max(), counts["all"][counts["all"] > 0].min()
    if most > 1.5 * least:
        remarks.append(
            f"The most frequent class has {most / least:.1f} times the pictures of the rarest."
        )
    # It says how far the pictures were enlarged or shrunk.
    shorter = np.minimum(used["width"].to_numpy(float), used["height"].to_numpy(float))
    remarks.append(
        f"The shorter side of a picture has {count(float(np.nanmedian(shorter)))} pixels at the "
        f"median, {count(float(np.nanmin(shorter)))} at least."
    )
    sources, rights = (int((used[name] != "").sum()) for name in ("source", "rights"))
    if sources or rights:
        remarks.append(
            f"The source of {counted(sources, 'picture')} and the rights of {count(rights)} are "
            "recorded: the page of a picture leads to the one and names the other, and the table "
            "has both."
        )
    return remarks


def _named(labels: list[str]) -> str:
    rest = len(labels) - NAMED
    return listed([*labels[:NAMED], *([f"{rest} more"] if rest > 0 else [])])
