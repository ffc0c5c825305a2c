"""One collection in many forms: the same pictures, labels and splits come of each."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from overpaint.datasets.catalogue import Dataset
from overpaint.datasets.folder import FolderEntry
from overpaint.datasets.opening import open_dataset
from overpaint.datasets.table import TableEntry

Row = dict[str, str]
COLUMNS = {"path": "file", "label": "object"}


def rows_of(root: Path) -> list[Row]:
    """The lines of the collection's own table, read without any of our code."""
    with (root / "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def as_folders(root: Path, place: Path) -> FolderEntry:
    """Links to the pictures in folders of classes in folders of splits."""
    for row in rows_of(root):
        link = place / "art" / row["split"].title() / row["object"] / Path(row["file"]).name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(root / row["file"])
    return FolderEntry(kind="folder", root=place / "art")


def as_semicolons(root: Path, place: Path) -> TableEntry:
    """A CSV as Excel saves it in most of Europe."""
    text = (root / "labels.csv").read_text(encoding="utf-8").replace(",", ";")
    (place / "labels.csv").write_text(text, encoding="utf-8-sig", newline="\r\n")
    return TableEntry(kind="table", root=root, file=place / "labels.csv", **COLUMNS)


def as_excel(root: Path, place: Path) -> TableEntry:
    """An Excel file with a title above the header, and backslashes in the paths."""
    book = openpyxl.Workbook()
    book.active.append(["Objects in art"])
    book.active.append(["file", "object", "split"])
    for row in rows_of(root):
        book.active.append([row["file"].replace("/", "\\"), f" {row['object']} ", row["split"]])
    book.save(place / "labels.xlsx")
    return TableEntry(kind="table", root=root, file=place / "labels.xlsx", **COLUMNS)


def as_lists(root: Path, place: Path) -> TableEntry:
    """A Parquet file whose labels are lists of one."""
    frame = pd.DataFrame(rows_of(root))
    frame["object"] = [[label] for label in frame["object"]]
    frame.to_parquet(place / "labels.parquet")
    return TableEntry(kind="table", root=root, file=place / "labels.parquet", **COLUMNS)


FORMS = [as_folders, as_semicolons, as_excel, as_lists]


def catalogue_of(dataset: Dataset) -> Counter[tuple[str, str, tuple[str, ...]]]:
    """The pictures by their bytes, with split and labels: whatever they are called."""
    return Counter((row.digest, row.split, row.labels) for row in dataset.pictures)


@pytest.fixture(scope="module")
def objects(real: Path) -> Iterator[Path]:
    """The folder of the collection."""
    root = real / "data" / "objects_in_art"
    if not root.is_dir():
        pytest.skip("needs objects_in_art in ../shared/data, which is not distributed")
    return root


@pytest.fixture(scope="module")
def first(objects: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The collection by its own table."""
    entry = TableEntry(kind="table", root=objects, file=objects / "labels.csv", **COLUMNS)
    return open_dataset("art", entry, workplace=tmp_path_factory.mktemp("work"))[0]


def test_the_whole_collection(objects, first):
    """Every line of the table is a picture."""
    lines = Counter((row["split"], (row["object"],)) for row in rows_of(objects))
    assert Counter((row.split, row.labels) for row in first.pictures) == lines
    assert first.notes == ()


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_the_same_catalogue(form, objects, first, tmp_path):
    """The form of a collection does not matter to what is in it."""
    entry = form(objects, tmp_path)
    dataset, _ = open_dataset("art", entry, workplace=tmp_path / "work")
    assert catalogue_of(dataset) == catalogue_of(first)
    assert dataset.classes == first.classes
