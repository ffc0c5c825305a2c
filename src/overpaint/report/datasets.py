"""The datasets of a study in words: how many pictures, and what makes their scores doubtful."""

from typing import Any

import pandas as pd

from overpaint.records import ImageRow
from overpaint.report.reader import rows
from overpaint.report.reading import DatasetRecords
from overpaint.report.rows import DatasetLine
from overpaint.report.site import Site
from overpaint.report.words import ABSENT, count, counted, percent, slug

NAMED = 50
"""The pictures left out, and those in two splits, that the page names; the tables name all."""


def dataset_line(site: Site, found: DatasetRecords) -> DatasetLine:
    """All that the first page tells of a dataset."""
    images, classes = found.images, found.facts.get("classes", [])
    used = images[images["status"] == "ok"]
    out = rows(images[images["status"] != "ok"], ImageRow)
    flat = images.assign(labels=[" · ".join(labels) for labels in images["labels"]])
    twice = pd.DataFrame(found.duplicates)
    return DatasetLine(
        f"dataset-{slug(found.name)}",
        found.name,
        str(found.facts.get("kind", ABSENT)),
        "several a picture" if found.facts.get("multi_label") else "one a picture",
        count(len(classes)) if classes else ABSENT,
        tuple(count(int((used["split"] == split).sum())) for split in ("train", "val", "test")),
        count(len(out)),
        tuple((row.image, row.status) for row in out[:NAMED]),
        _unnamed(len(out)),
        site.data(f"datasets/{found.name}", flat) if len(images) else None,
        tuple(_leak(found.name, row) for row in found.leak if row["known"]),
        _twice(found),
        tuple(_place(row) for row in found.duplicates[:NAMED]),
        _unnamed(len(twice)),
        site.data(f"datasets/{found.name}.duplicates", twice) if len(twice) else None,
    )


def _unnamed(found: int) -> str:
    return f"{counted(found - NAMED, 'more picture')} in the table." if found > NAMED else ""


def _leak(dataset: str, row: dict[str, Any]) -> str:
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
