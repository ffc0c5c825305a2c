"""The page of the data: counts, what groups and duplicates give away, what was left out."""

import re
from dataclasses import replace

import pandas as pd
import pytest
from parsed import Page, csv_at, read_page
from tiny_study import BREAKOUT, HOSTILE, SCRIPT, TINY, leak, pictures

from overpaint.records import ImageRow, read_json, read_rows, table, write_json, write_rows
from overpaint.report import build
from overpaint.report.pages.data import class_counts


@pytest.fixture(scope="module")
def page(whole) -> Page:
    return read_page(whole / "site/data.html")


def part(page: Page, title: str) -> str:
    """The text of the section with a heading."""
    return page.unlinked.split(f'<h2 id="{title}"')[1].split("<h2 ")[0]


def plain(text: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def rewrite(folder, change) -> None:
    """Change the pictures of the lean study."""
    path = folder / "datasets/rasta/images.parquet"
    write_rows(path, [change(number, row) for number, row in enumerate(read_rows(path, ImageRow))],
               ImageRow)  # fmt: skip


# --- classes -----------------------------------------------------------------------------------


def test_every_class_of_every_split_is_counted(whole):
    """The table counts what going through the pictures one by one counts, left out ones apart."""
    found = pd.read_csv(csv_at(whole / "site", "datasets/classes-rasta")).set_index("label")
    assert set(found.index) == set(HOSTILE)
    for label in HOSTILE:
        for split in ("train", "val", "test"):
            n = 0
            for row in pictures("rasta", TINY):
                n += row.status == "ok" and row.split == split and label in row.labels
            assert found.loc[label, split] == n
        assert found.loc[label, "all"] == found.loc[label, ["train", "val", "test"]].sum()
    assert found["all"].is_monotonic_decreasing


def test_a_picture_counts_for_each_of_its_labels():
    """With several labels a picture counts for each, one without a label for none."""
    rows = [
        ImageRow(
            image=str(n),
            split="test",
            labels=labels,
            group="",
            bytes=1,
            digest="",
            width=9,
            height=9,
            status="ok",
        )
        for n, labels in enumerate([["a", "b"], ["b"], []])
    ]
    counts = class_counts(table(rows, ImageRow), ["a", "b", "c"])
    assert counts[["label", "test", "all"]].to_numpy().tolist() == [["b", 2, 2], ["a", 1, 1],
                                                                ["c", 0, 0]]  # fmt: skip


def test_classes_are_in_the_page_as_text(page):
    """The classes stand in the table as they are called, in any script."""
    for label in HOSTILE:
        assert label in page.words
    assert SCRIPT not in page.text


@pytest.mark.usefixtures("quick")
def test_classes_that_cannot_be_learnt_or_tested_are_told(lean):
    """A class without a picture in a split is named, and so is one with few to train on."""
    rewrite(lean, lambda _, row: replace(row, labels=["浮世絵" if row.split == "test" else "a"]))
    build(lean)
    told = read_page(lean / "site/data.html").plain
    assert "浮世絵" in told.split("to train on")[0]
    assert "no picture to train on" in told
    assert "a have no picture to test with" in told or "and a " in told


@pytest.mark.usefixtures("quick")
def test_sizes_are_those_of_the_shorter_side(lean):
    """The median and the least of the shorter sides are told."""
    rewrite(lean, lambda n, row: replace(row, width=[640, 51][n % 2], height=[480, 700][n % 2]))
    build(lean)
    told = read_page(lean / "site/data.html").plain
    used = [n for n, row in enumerate(pictures("rasta", TINY)) if row.status == "ok"]
    sides = sorted([480, 51][n % 2] for n in used)
    median = sides[len(sides) // 2]
    assert f"has {median} pixels at the median, 51 at least." in told


# --- groups, duplicates, left out --------------------------------------------------------------


def test_leaks_are_told(page):
    """A split that shares groups with train is told of, one that shares none is in the table."""
    told = plain(part(page, "data-rasta"))
    assert (
        "rasta/test: of the 5 pictures that have a group (an artist, a sitter, a book), 60.0 % are "
        "of one that is in train too. The group alone, without a look at the picture, names 49.5 % "
        "of them rightly, where the most frequent class of train is right for 12.5 %."
    ) in told
    assert "rasta/val:" not in told
    assert "val 6 0 0 % 0 of 4 – – test 5 3 60.0 % 2 of 4 49.5 % 12.5 %" in told
    assert "No picture has a group" in plain(part(page, "data-iconart"))


def test_duplicates_are_named(page, whole):
    """The first fifty pictures in two splits are named, the table names all."""
    told = part(page, "data-rasta")
    assert "In two splits of rasta: 53 pictures" in told
    assert len(re.findall(r"train/\d{3}\.jpg", told)) == 50
    assert 'train <code dir="auto">train/000.jpg</code> = test' in told
    assert "3 more pictures in the table." in told
    assert BREAKOUT in page.words
    found = pd.read_csv(csv_at(whole / "site", "datasets/rasta.duplicates"))
    assert len(found) == 53
    assert "No file stands in two splits byte for byte." in plain(part(page, "data-iconart"))


def test_the_overview_has_the_doubts_in_short(whole):
    """The first page counts duplicates and says which share of the test is of groups of train."""
    index = read_page(whole / "site/index.html")
    told = plain(index.text.split('<h2 id="datasets"')[1])
    assert "rasta folder one a picture 4 27 6 6 1 53 test 60.0 %" in told
    assert "iconart folder several a picture 4 27 6 6 1 0 –" in told
    assert "data.html#data-rasta" in index.links


@pytest.mark.usefixtures("quick")
def test_a_leak_without_accuracy(lean):
    """A leak whose accuracy is not known is told without it."""
    path = lean / "datasets/rasta/manifest.json"
    data = read_json(path)
    data["facts"]["leak"] = [leak()[1] | {"accuracy": None, "chance": None}]
    write_json(path, data)
    build(lean)
    page = read_page(lean / "site/data.html").plain
    assert "60.0 % are of one that is in train too." in page
    assert "The group alone" not in page


@pytest.mark.usefixtures("quick")
def test_many_reasons_are_counted(lean):
    """Pictures left out for one reason are told together."""
    rewrite(
        lean, lambda n, row: replace(row, status=["empty file", "not decodable: x", "ok"][n % 3])
    )
    build(lean)
    told = read_page(lean / "site/data.html").plain
    assert "could not be used: empty file (14) and not decodable (13)." in told


@pytest.mark.parametrize("classes", [3, "x", None, {"a": 1}, [1, 2]])
@pytest.mark.usefixtures("quick")
def test_classes_of_another_shape(lean, classes):
    """Classes that the manifest does not tell as a list are those of the pictures."""
    path = lean / "datasets/rasta/manifest.json"
    data = read_json(path)
    data["facts"]["classes"] = classes
    write_json(path, data)
    build(lean)
    assert HOSTILE[1] in read_page(lean / "site/data.html").words


@pytest.mark.parametrize("column", ["labels", "split", "status", "width"])
@pytest.mark.usefixtures("quick")
def test_a_missing_column_of_pictures(lean, column):
    """Without a column of the pictures the page says which, and is whole."""
    path = lean / "datasets/rasta/images.parquet"
    frame = pd.read_parquet(path).drop(columns=column)
    frame.to_parquet(path)
    build(lean)
    told = f"datasets/rasta/images.parquet lacks the column “{column}”."
    for name in ("data.html", "index.html"):
        assert told in read_page(lean / "site" / name).plain
