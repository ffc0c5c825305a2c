"""Folders of records that were damaged or made by somebody else: a report or a message.

`python tests/report/test_garbage.py FIRST LAST` tries so many more, and prints what went wrong.
"""

import json
import shutil
import signal
import sys
import traceback
from pathlib import Path

import pandas as pd
import pytest
from garbage import spoil
from tiny_study import DEPTHS, HOSTILE, Plan, write_study

from overpaint.errors import OverpaintError
from overpaint.records import read_table, write_table
from overpaint.report import build
from overpaint.report.charts import drawing, formats

SMALL = Plan(dict.fromkeys(DEPTHS[:3], 2), HOSTILE, 24, 2, 4, 16, 2)
SEEDS = range(20)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return write_study(tmp_path_factory.mktemp("sound") / "study", SMALL, lean=True)


@pytest.fixture
def folder(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "study"))


@pytest.fixture(autouse=True)
def no_waiting():
    """Who waits for a pipe waits for ever."""
    signal.alarm(300)
    yield
    signal.alarm(0)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_spoilt_folder(folder, quick, seed):
    """A folder that was spoilt at random has a report, or a message of what is wrong with it."""
    ways = spoil(folder, seed)
    slug = ""
    try:
        build(folder)
    except OverpaintError as error:
        slug = error.slug
    assert slug != "unshowable-record", ways  # the last net, which is for what nobody thought of
    assert (folder / "site" / "index.html").is_file() == (slug == "")


def rewrite(path: Path, **columns) -> None:
    frame = pd.read_parquet(path)
    frame.assign(**{name: [value] * len(frame) for name, value in columns.items()}).to_parquet(path)


COMPARISON = "comparisons/imagenet--fine_tuned"
TABLES = [
    ("layers", {"position": -3}),
    ("layers", {"position": 10**12}),
    ("layers", {"cka": float("inf")}),
    ("layers", {"cka": "high"}),
    ("layers", {"layer": 7}),
    ("channels", {"channel": 10**9}),
    ("channels", {"matched_channel": 10**15}),
    ("channels", {"top_class_after": 3.5}),
    ("maximal", {"rank": -1}),
    ("maximal", {"channel": "none"}),
    ("maximal", {"row": 10**12}),
    ("responses", {"n": float("nan")}),
    ("weights", {"directions": "many"}),
]


@pytest.mark.parametrize(("table", "columns"), TABLES, ids=lambda value: str(value)[:40])
def test_a_column_of_another_type(folder, quick, table, columns):
    """A column that holds what a run never writes leaves the report to the others."""
    rewrite(folder / COMPARISON / f"{table}.parquet", **columns)
    assert build(folder).is_file()


@pytest.mark.parametrize(("table", "column"), [("causes", "alpha"), ("concepts", "q")])
@pytest.mark.parametrize("rows", [slice(None), slice(0, 1)], ids=["all", "one"])
def test_a_number_that_each_row_needs(folder, quick, table, column, rows):
    """Rows without a number that tells what they are of are left out, and said."""
    name = {"causes": "between", "concepts": "concepts"}[table]
    path = folder / f"{table}/imagenet--fine_tuned/{name}.parquet"
    frame = read_table(path)
    frame.loc[frame.index[rows], column] = float("nan")
    write_table(path, frame)
    assert f"of its rows no “{column}”" in build(folder).read_text(encoding="utf-8")


def test_a_layer_that_is_named_twice(folder, quick):
    """Of rows of one layer the first is shown, and the others are told of."""
    path = folder / COMPARISON / "layers.parquet"
    frame = read_table(path)
    write_table(path, frame.assign(layer=frame["layer"].iloc[0]))
    said = f"names a layer once more in {len(frame) - 1} of its rows"
    assert said in build(folder).read_text(encoding="utf-8")


MANIFESTS = [
    [],
    3,
    {"kind": "dataset"},
    {"facts": [1]},
    {"inputs": {"train": 3}},
    {"seed": "x"},
    {"versions": {"torch": None}},
    {"facts": {"classes": {"a": 1}, "left_out": -5, "leak": "none"}},
]


@pytest.mark.parametrize("change", MANIFESTS, ids=str)
def test_a_manifest_that_is_none(folder, quick, change):
    """A manifest of another shape is noted on the page of its dataset."""
    path = folder / "datasets" / "rasta" / "manifest.json"
    data = json.loads(path.read_text()) | change if isinstance(change, dict) else change
    path.write_text(json.dumps(data))
    assert build(folder).is_file()


NUMBERS = ["1e999", "NaN", "9" * 5000, "-Infinity", '"\\ud800"', "[" * 5000, "{}"]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda text: text[:9])
def test_a_number_that_is_none(folder, quick, number):
    """A score that is no number is told, and not shown."""
    path = folder / "networks" / "fine_tuned" / "scores.json"
    data = json.loads(path.read_text())
    data["scores"][data["main"]]["value"] = "HERE"
    path.write_text(json.dumps(data).replace('"HERE"', number))
    build(folder)
    told = "cannot be read" if number != "{}" else "does not hold the scores of a network"
    page = (folder / "site" / "index.html").read_text(encoding="utf-8")
    assert f"networks/fine_tuned/scores.json {told}" in page


def test_a_table_of_equal_rows_without_end(folder, quick):
    """A table of a few bytes that says that it has a hundred million cells is not read."""
    path = folder / COMPARISON / "layers.parquet"
    frame = pd.read_parquet(path).iloc[[0]]
    pd.concat([frame] * 300_000).to_parquet(path)
    page = build(folder)
    assert "layers.parquet cannot be read" in page.read_text(encoding="utf-8")


def test_a_label_of_100_000_letters(folder, monkeypatch):
    """It is shortened where it is shown and drawn, so that a chart does not take its minute."""
    monkeypatch.setattr(formats, "WRITERS", {})
    long = "a" * 100_000
    for path in folder.rglob("*.parquet"):
        frame = pd.read_parquet(path)
        texts = frame.select_dtypes(["object", "string"]).columns
        for name in texts:
            frame[name] = [
                long if isinstance(value, str) and value == HOSTILE[1] else value
                for value in frame[name]
            ]
        frame.to_parquet(path)
    for path in folder.rglob("*.json"):
        path.write_text(path.read_text().replace(json.dumps(HOSTILE[1], ensure_ascii=False),
                                                 json.dumps(long)))  # fmt: skip
    page = build(folder)
    for file in page.parent.rglob("*.html"):
        assert long not in file.read_text(encoding="utf-8")
    for file in page.parent.rglob("*.svg"):
        assert file.stat().st_size < 500_000


def main(first: int, last: int) -> None:
    """Spoil so many folders, and print what ends otherwise than in a report or a message."""
    drawing.Painter.begin = lambda self, chart: None
    drawing.svg = lambda chart, root="", begun=None: (
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    )
    formats.WRITERS = dict.fromkeys(formats.WRITERS, lambda svg: b"")
    place = Path("garbage")
    sound = write_study(place / "sound", SMALL, lean=True)
    for seed in range(first, last):
        shutil.rmtree(place / "spoilt", ignore_errors=True)
        (place / "spoilt").mkdir()
        folder = Path(shutil.copytree(sound, place / "spoilt" / "study"))
        ways = spoil(folder, seed)
        try:
            build(folder)
        except OverpaintError as error:
            if error.slug == "unshowable-record":
                print(seed, ways, error, error.__cause__, flush=True)  # noqa: T201
        except Exception:
            print(seed, ways, traceback.format_exc(), flush=True)  # noqa: T201
        print(seed, end=" ", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
