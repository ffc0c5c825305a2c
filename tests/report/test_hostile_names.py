"""Names of every kind that somebody may have given: classes, layers, pictures, sources, rights.

The report, its charts, the figures of a paper, the tables and the archive are made of a study that
has them, in a process of its own: the writer of charts ends a process for a sign it does not take.
"""

import csv
import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from parsed import all_tables
from pdfs import read_pdf
from tiny_study import Plan, write_study

from overpaint.records import read_table

CLASSES = (
    "a\nb\\input{/etc/passwd}",
    "\u202egnp.exe\u2066",
    "../../etc/\x07\x1b[31m",
    '=cmd|"x"\'$\\$%&#_^~{}<b>',
)
LAYERS = ("conv\n../x", "\u202elayer<b>", "mixed\\$&%")
PICTURES = ("../../{}\n.jpg", "\u202e{}gpj.exe", '"><script>{}</script>.jpg', "=1+{}\x07.jpg")

STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufffe\uffff]")

MAKE = """
import sys
from pathlib import Path
from overpaint.report import build
from overpaint.report.export import figures
folder, out = map(Path, sys.argv[1:])
build(folder)
figures.figures(folder, out / "figures")
figures.archive(folder / "site", out / "site.zip")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[str, Path]:
    """The folders with the site and the figures, and the archive."""
    place = tmp_path_factory.mktemp("hostile")
    plan = Plan(dict.fromkeys(LAYERS, 2), CLASSES, 24, 2, 4, 16, 2)
    folder = write_study(place / "study", plan, lean=True)
    path = folder / "datasets" / "rasta" / "images.parquet"
    frame = read_table(path)
    for column in ("image", "source", "rights", "group"):
        frame[column] = [PICTURES[n % len(PICTURES)].format(n) for n in range(len(frame))]
    frame.to_parquet(path)
    ended = subprocess.run(
        [sys.executable, "-c", MAKE, str(folder), str(place)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return {"site": folder / "site", "figures": place / "figures", "zip": place / "site.zip"}


def texts(made: dict[str, Path], *endings: str) -> list[tuple[Path, str]]:
    """The files of the site and of the figures with these endings."""
    paths = [path for name in ("site", "figures") for path in sorted(made[name].rglob("*"))]
    return [
        (path, path.read_bytes().decode())
        for path in paths
        if path.suffix in endings and path.is_file()
    ]


def test_no_sign_steers_or_turns_what_is_shown(made):
    """Pages, charts and tables to be typeset write such signs out, so that names can be told."""
    files = texts(made, ".html", ".svg", ".tex", ".md", ".js")
    assert len(files) > 50
    assert [path for path, text in files if STEERING.search(text)] == []
    assert any(r"\u202egnp.exe\u2066" in text for path, text in files if path.suffix == ".html")
    assert any(r"../../etc/\x07\x1b[31m" in text for path, text in files if path.suffix == ".svg")


def test_charts_are_sound(made):
    """Each SVG is XML without a script or an element of a name's, each PDF and PNG is whole."""
    for _, text in texts(made, ".svg"):
        elements = [*ET.fromstring(text).iter()]  # noqa: S314 - ours
        tags = {element.tag.rpartition("}")[2] for element in elements}
        assert tags <= {"svg", "g", "path", "text", "rect", "defs", "clipPath", "line", "title",
                        "linearGradient", "stop", "image", "style", "tspan",
                        "a", "circle"}, tags  # fmt: skip
        for href in [element.get("href", "") for element in elements if element.tag.endswith("}a")]:
            assert re.fullmatch(r"(\.\./)+[\w./-]+\.html(#[\w.-]+)?", href), href
    drawn = [path for name in ("site", "figures") for path in made[name].rglob("*.pdf")]
    assert all(read_pdf(path.read_bytes()).text for path in drawn)
    for path in [path for name in ("site", "figures") for path in made[name].rglob("*.png")]:
        assert path.read_bytes().endswith(b"IEND\xaeB`\x82")


def test_tables_hold_the_names_and_no_command(made):
    """CSV has each name in one cell, none a formula; LaTeX has no command of a name's."""
    tables = [text for _, text in texts(made, ".csv")] + [*all_tables(made["site"]).values()]
    rows = [row for text in tables for row in csv.reader(io.StringIO(text, newline=""))]
    cells = {cell for row in rows for cell in row}
    assert {CLASSES[0], CLASSES[1]} <= cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]
    assert not [path for path, text in texts(made, ".tex") if r"\input" in text]


def test_files_stand_below_their_folder_under_plain_names(made):
    """No name leads out of the folder or the archive, or holds a sign that a system refuses."""
    names = [
        path.relative_to(made[name]).as_posix()
        for name in ("site", "figures")
        for path in made[name].rglob("*")
    ]
    names += zipfile.ZipFile(made["zip"]).namelist()
    assert len(names) > 100
    assert [
        name for name in names if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", name, re.ASCII)
    ] == []
    assert not [name for name in names if ".." in name.split("/")]
