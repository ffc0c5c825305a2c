"""The datasets of a study: how many pictures of what, and what makes their scores doubtful."""

from typing import Any

import numpy as np
import pandas as pd

from overpaint.defaults import SPLITS
from overpaint.records import ImageRow
from overpaint.report.charts import plots
from overpaint.report.parts.rows import (
    ClassLine,
    DataPage,
    DatasetLine,
    DatasetSection,
    Figure,
    LeakLine,
    Link,
)
from overpaint.report.parts.text import ABSENT, count, counted, listed, percent, slug
from overpaint.report.site.files import Site, no_figure
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import DatasetRecords, Records

PAGE = "data.html"

NAMED = 50
"""The pictures left out, and those in two splits, that the page names; the tables name all."""

BARS = 60
"""The most classes whose pictures are drawn."""

LINES = 100
"""The most classes in the table of the page."""

FEW = 10
"""A class with fewer pictures to train on is told of."""


def data_page(site: Site, records: Records) -> DataPage:
    """All that the page of the data shows."""
    return DataPage(tuple(_section(site, each) for each in records.datasets.values()))


def dataset_line(found: DatasetRecords) -> DatasetLine:
    """What the first page tells of a dataset."""
    used, classes = _used(found), _classes(found)
    known = [f"{row['split']} {percent(row['share'])}" for row in found.leak if row["known"]]
    return DatasetLine(
        f"dataset-{slug(found.name)}",
        Link(found.name, f"{PAGE}#{_anchor(found)}"),
        *_kind(found),
        count(len(classes)) if classes else ABSENT,
        tuple(count(int((used["split"] == split).sum())) for split in SPLITS),
        count(len(found.images) - len(used)),
        count(len(found.duplicates)),
        ", ".join(known) or ("none" if found.leak else ABSENT),
    )


def _anchor(found: DatasetRecords) -> str:
    return f"data-{slug(found.name)}"


def _kind(found: DatasetRecords) -> tuple[str, str]:
    several = "several a picture" if found.facts.get("multi_label") else "one a picture"
    return str(found.facts.get("kind", ABSENT)), several


def _used(found: DatasetRecords) -> pd.DataFrame:
    return found.images[found.images["status"] == "ok"]


def _classes(found: DatasetRecords) -> list[str]:
    """The classes in their order; where the manifest tells none, those of the pictures."""
    told: list[str] = found.facts.get("classes", [])
    return told or sorted({label for labels in found.images["labels"] for label in labels})


def _section(site: Site, found: DatasetRecords) -> DatasetSection:
    images, used = found.images, _used(found)
    out = rows(images[images["status"] != "ok"], ImageRow)
    flat = images.assign(labels=[" · ".join(labels) for labels in images["labels"]])
    twice = pd.DataFrame(found.duplicates)
    counts = class_counts(used, _classes(found))
    kind, labels = _kind(found)
    place, anchor = f"datasets/{found.name}", _anchor(found)
    return DatasetSection(
        anchor,
        found.name,
        (
            ("Kind", kind),
            ("Labels", labels),
            ("Classes", count(len(counts)) if len(counts) else ABSENT),
            *((split.capitalize(), count(int((used["split"] == split).sum()))) for split in SPLITS),
            ("Left out", count(len(out))),
        ),
        tuple(_remarks(used, counts)),
        _figure(site, found, counts),
        tuple(_class_line(line, len(used)) for line in counts[:LINES].itertuples(index=False)),
        f"{counted(len(counts) - LINES, 'more class')} in the table."
        if len(counts) > LINES
        else "",
        tuple(map(_leak_line, found.leak)),
        tuple(leak_in_words(found.name, row) for row in found.leak if row["known"]),
        _reasons(out),
        tuple((row.image, row.status) for row in out[:NAMED]),
        _unnamed(len(out)),
        _twice(found),
        tuple(_place(row) for row in found.duplicates[:NAMED]),
        _unnamed(len(twice)),
        site.data(f"{place}.duplicates", twice) if len(twice) else None,
        site.data(place, flat) if len(images) else None,
        tuple(found.notes),
    )


# --- classes -----------------------------------------------------------------------------------


def class_counts(used: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """How many pictures of each split show each class, the most frequent class first.

    >>> table = pd.DataFrame({"split": ["train", "test"], "labels": [["b"], ["b", "a"]]})
    >>> class_counts(table, ["a", "b", "c"]).values.tolist()
    [['b', 1, 0, 1, 2], ['a', 0, 0, 1, 1], ['c', 0, 0, 0, 0]]

    A picture with several labels counts for each.
    """
    shown = used[["split", "labels"]].explode("labels").dropna(subset="labels")
    every = list(dict.fromkeys([*classes, *shown["labels"]]))
    table = pd.crosstab(shown["labels"], shown["split"]).reindex(
        index=every, columns=list(SPLITS), fill_value=0
    )
    total = table.sum(axis=1)
    table = table.assign(all=total).loc[total.sort_values(ascending=False, kind="stable").index]
    return table.rename_axis("label").rename_axis(None, axis=1).reset_index()


def _class_line(row: Any, pictures: int) -> ClassLine:
    label, *parts, every = row
    share = every / pictures if pictures else None
    return ClassLine(str(label), (*map(count, parts), count(every), percent(share)))


def _figure(site: Site, found: DatasetRecords, counts: pd.DataFrame) -> Figure:
    name, title = f"classes-{slug(found.name)}", "How many pictures show each class"
    if not len(counts) or not counts["all"].sum():
        return no_figure(name, title, "No picture is recorded.")
    drawn = counts[:BARS]
    long = drawn.melt(["label"], list(SPLITS), "split", "pictures")
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
        chart=plots.class_bars(long, drawn["label"].tolist()),
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
            remarks.append(f"{_some(without)} {verb} no picture {what}.")
    few = counts[(counts["train"] > 0) & (counts["train"] < FEW)]["label"].tolist()
    if few:
        remarks.append(f"Fewer than {FEW} pictures to train on: {_some(few)}.")
    most, least = counts["all"].max(), counts["all"][counts["all"] > 0].min()
    if most > 1.5 * least:
        remarks.append(
            f"The most frequent class has {most / least:.1f} times the pictures of the rarest."
        )
    remarks.append(_sizes(used))
    return remarks


def _some(labels: list[str]) -> str:
    more = len(labels) - NAMED
    return listed([*labels[:NAMED], *([f"{more} more"] if more > 0 else [])])


def _sizes(used: pd.DataFrame) -> str:
    """How large the pictures are, which says how far they were enlarged or shrunk."""
    shorter = np.minimum(used["width"].to_numpy(float), used["height"].to_numpy(float))
    return (
        f"The shorter side of a picture has {count(float(np.nanmedian(shorter)))} pixels at the "
        f"median, {count(float(np.nanmin(shorter)))} at least."
    )


def _unnamed(found: int) -> str:
    return f"{counted(found - NAMED, 'more picture')} in the table." if found > NAMED else ""


def _reasons(out: list[ImageRow]) -> str:
    """Why pictures were left out: reasons alike are told together."""
    kinds = pd.Series([row.status.split(":")[0] for row in out], dtype=object).value_counts()
    return listed(f"{kind} ({count(n)})" for kind, n in kinds.items()) if len(kinds) else ""


def _leak_line(row: dict[str, Any]) -> LeakLine:
    return LeakLine(
        str(row["split"]),
        (
            count(row["n"]),
            count(row["known"]),
            percent(row["share"]),
            f"{count(row.get('known_groups'))} of {count(row.get('groups'))}",
            percent(row["accuracy"]),
            percent(row["chance"]),
        ),
    )


def leak_in_words(dataset: str, row: dict[str, Any]) -> str:
    """How much a split gives away by its groups."""
    start = (
        f"{dataset}/{row['split']}: of the {counted(row['n'], 'picture')} that have a group (an "
        f"artist, a sitter, a book), {percent(row['share'])} are of one that is in train too."
    )
    if row["accuracy"] is None or row["chance"] is None:
        return start
    return (
        f"{start} The group alone, without a look at the picture, names {percent(row['accuracy'])} "
        f"of them rightly, where the most frequent class of train is right for "
        f"{percent(row['chance'])}."
    )


def _twice(found: DatasetRecords) -> str:
    if not found.duplicates:
        return ""
    return f"In two splits of {found.name}: {counted(len(found.duplicates), 'picture')}"


def _place(row: dict[str, Any]) -> tuple[str, str, str, str]:
    first, first_split, second, second_split = (
        str(row[key]) for key in ("first", "first_split", "second", "second_split")
    )
    return first, first_split, second, second_split
