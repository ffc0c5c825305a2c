# ruff: noqa: E501 - a case a line
"""Bad input: each of these ends with one message, in little time and memory.

Studies, `--set`, tables, folders of pictures and arguments; folders of records stand in
`tests/report/test_garbage.py`.
"""

import gzip
import io
import json
import os
import socket
import sys
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside the tests are no package

from trials import Outcome, Trials

MEGABYTES = 1000


@pytest.fixture(scope="module")
def trials():
    with Trials() as warm:
        yield warm


def check(outcome: Outcome, slug: str) -> None:
    """One message with its slug, and nothing of Python's."""
    assert "Traceback" not in outcome.output, outcome.output[-3000:]
    assert outcome.status == 2, (outcome.status, outcome.output[-500:])
    assert outcome.slug == slug, outcome.output[-500:]
    assert len(outcome.output) < 4000
    assert outcome.megabytes < MEGABYTES


# --- studies -------------------------------------------------------------------------------------

PLAIN = "study: x\nnetworks:\n  a: {load: inception_small, weights: random}\n"
FITTED = (
    "study: x\ndatasets:\n  d: {kind: folder, root: p}\nnetworks:\n"
    "  a: {load: inception_small, weights: random}\n"
)


def trained(settings: str) -> str:
    return f"{FITTED}  b: {{from: a, fit: d, recipe: mode_a, with: {{{settings}}}}}\n"


def rooted(entry: str) -> str:
    return f"study: x\ndatasets:\n  d: {{{entry}}}\nnetworks: {{a: {{load: x}}}}\n"


def bomb(merge: str = "") -> str:
    names = "abcdefghij"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]" if not merge else "a: &a {x: 1}"]
    for before, name in pairwise(names):
        aliases = ", ".join([f"*{before}"] * 9)
        lines.append(
            f"{name}: &{name} {{<<: [{aliases}]}}" if merge else f"{name}: &{name} [{aliases}]"
        )
    return "\n".join(lines)


def descent(generations: int) -> str:
    lines = [f"  n{n}: {{from: n{n - 1}, fit: d, recipe: mode_a}}" for n in range(1, generations)]
    return FITTED.replace("  a:", "  n0:") + "\n".join(lines)


STUDIES: dict[str, tuple[str | bytes, str]] = {
    "a list in itself": ("study: &a [*a]", "not-yaml"),
    "a mapping in itself": ("&a\nstudy: x\nb: *a", "not-yaml"),
    "nested 5,000 deep": ("study: " + "[" * 5000 + "]" * 5000, "not-yaml"),
    "nested in lines": ("".join(" " * n + "a:\n" for n in range(900)), "not-yaml"),
    "nested by aliases": (
        "k0: &k0 [x]\n" + "".join(f"k{n}: &k{n} [*k{n - 1}]\n" for n in range(1, 2000)),
        "not-yaml",
    ),
    "an alias bomb": (bomb(), "not-yaml"),
    "a bomb of merged keys": (bomb("merge"), "not-yaml"),
    "an unknown alias": ("a: *b", "not-yaml"),
    "400,000 values": ("[" + "a," * 400_000 + "]", "not-yaml"),
    "two megabytes": ("# " + "x" * 2_000_000, "no-such-study"),
    "5,000 digits": (f"{PLAIN}seed: {'9' * 5000}", "not-yaml"),
    "6,000 digits of 16": (f"{PLAIN}seed: 0x{'f' * 6000}", "not-yaml"),
    "a seed of 25 digits": (f"{PLAIN}seed: {'9' * 25}", "bad-value"),
    "no day": (f"{PLAIN}seed: 2001-99-99", "not-yaml"),
    "an object of Python": ("study: !!python/object/apply:os.system [ls]", "not-yaml"),
    "a list as a key": ("? [a, b]\n: c", "not-yaml"),
    "two documents": ("a: b\n---\nc: d", "not-yaml"),
    "a NUL": (b"study: \0", "not-yaml"),
    "UTF-16": ("study: x".encode("utf-16-le"), "not-yaml"),
    "random bytes": (bytes(range(256)) * 20, "not-yaml"),
    "a word": ("hello", "not-yaml"),
    "nothing": ("", "not-yaml"),
    "a key of 100,000 letters": (f"study: x\n? {'k' * 100_000}\n: 3\nnetworks: {{}}", "unknown-key"),
    "a field of the model": (f"{PLAIN}base: /etc", "unknown-key"),
    "a line of 3,000 networks": (descent(3000), "bad-value"),
    "a line of 900 networks": (descent(900), "bad-value"),
    "90,000 trainings": (
        FITTED + "".join(f"  b{n}: {{from: a, fit: d, recipe: mode_a, repeats: 100}}\n"
                         for n in range(900)),
        "bad-value",
    ),
    "a NUL in a path": (rooted('kind: folder, root: "a\\0b"'), "bad-value"),
    "half a letter in a path": (rooted('kind: folder, root: "\\ud800"'), "bad-value"),
    "nobody's home": (rooted("kind: folder, root: ~no-one/x"), "bad-value"),
    "a path of 300 letters": (rooted(f"kind: folder, root: {'x' * 300}"), "bad-value"),
    "a table of 300 letters": (rooted(f"kind: table, root: ., file: {'x' * 300}"), "bad-value"),
    "a NUL in a network": ('study: x\nnetworks: {a: {load: "x\\0"}}', "bad-value"),
    "weights at nobody's": ("study: x\nnetworks: {a: {load: x, weights: ~no-one/w}}", "bad-value"),
    "a pattern of 900 brackets": (rooted(f"kind: folder, root: p, group: '{'(' * 900}'"), "bad-value"),
    "a pattern that repeats": (rooted("kind: folder, root: p, group: '(a{99999999999})'"), "bad-value"),
    "a rate without end": (trained("lr_decay: .inf"), "bad-value"),
    "epochs of 13 digits": (trained("epochs: 1000000000000"), "bad-value"),
    "a batch of 13 digits": (trained("batch_size: 1000000000000"), "bad-value"),
    "adapters of 13 digits": (trained("lora: {rank: 1000000000000}"), "bad-value"),
    "stages that are a mapping": (trained("stages: {a: 3}"), "bad-value"),
    "no mapping of settings": (trained("3: 4"), "bad-value"),
    "steps of 13 digits": (f"{PLAIN}render: {{layers: [x], steps: 1000000000000}}", "bad-value"),
    "a channel of 20 digits": (f"{PLAIN}render: {{channels: ['a:{'9' * 20}']}}", "bad-value"),
    "channels of 20 digits": (
        f"{PLAIN}render: {{layers: [x], channels: most_changed({'9' * 20})}}", "bad-value"),
    "10^12 maximal images": (f"{PLAIN}maximal_images: 1000000000000", "bad-value"),
    "10^12 painted pictures": (
        rooted("kind: atelier, task: manners, sizes: {train: 1000000000000}"), "bad-value"),
    "a kind that is a list": (rooted("kind: [a]"), "bad-value"),
    "networks that are a number": ("study: x\nnetworks: 3", "bad-value"),
    "a pair of mappings": (f"{PLAIN}compare: [{{pair: {{}}}}]", "bad-value"),
    "an address that is none": (f"{PLAIN}features: {{store: 'http://[::1'}}", "bad-value"),
}  # fmt: skip


@pytest.mark.parametrize("name", STUDIES)
def test_a_bad_study(trials, tmp_path, name):
    """A study that is no study, or asks for too much, is told so before anything is built."""
    text, slug = STUDIES[name]
    data = text.encode() if isinstance(text, str) else text
    (tmp_path / "s.yaml").write_bytes(data)
    check(trials.command(tmp_path, "run", "s.yaml", "--dry-run"), slug)


def pipe(place: Path) -> None:
    os.mkfifo(place)


def unix_socket(place: Path) -> None:
    here = Path.cwd()
    os.chdir(place.parent)  # the name of a socket has some hundred letters at most
    try:
        socket.socket(socket.AF_UNIX).bind(place.name)
    finally:
        os.chdir(here)


ODD_FILES: dict[str, Callable[[Path], Any]] = {
    "a pipe": pipe,
    "a socket": unix_socket,
    "a folder": Path.mkdir,
    "a link to itself": lambda place: place.symlink_to(place.name),
    "a device without end": lambda place: place.symlink_to("/dev/zero"),
    "standard input": lambda place: place.symlink_to("/dev/stdin"),
    "memory": lambda place: place.symlink_to("/proc/self/mem"),
    "a file below a file": lambda place: place.symlink_to("/dev/null/x"),
}


@pytest.mark.parametrize("name", ODD_FILES)
def test_what_is_no_study_file(trials, tmp_path, name):
    """What is no file is not read as a study, and nobody waits for it."""
    ODD_FILES[name](tmp_path / "s.yaml")
    slug = "idle-option" if name == "a folder" else "no-such-study"  # which is a collection
    check(trials.command(tmp_path, "run", "s.yaml", "--dry-run"), slug)


SETTINGS = {
    "seed=[": "bad-override",
    "seed=*a": "bad-override",
    "seed=&a [*a]": "bad-override",
    f"seed={'[' * 3000}": "bad-override",
    f"seed={'9' * 5000}": "bad-override",
    "seed=2001-99-99": "bad-override",
    "seed=!!python/name:os.system": "bad-override",
    "..=3": "unknown-key",
    "networks.a.load.x=3": "bad-override",
    "compare.0=3": "bad-value",
    "networks=": "bad-value",
    "networks.a.load=~no-one": "bad-value",
    f"{'a' * 50_000}=3": "unknown-key",
}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda text: text[:20])
def test_a_bad_setting(trials, tmp_path, setting):
    """What `--set` cannot mean is told so."""
    (tmp_path / "s.yaml").write_text(PLAIN)
    outcome = trials.command(tmp_path, "run", "s.yaml", "--dry-run", "--set", setting)
    check(outcome, SETTINGS[setting])


# --- tables --------------------------------------------------------------------------------------


def parquet(columns: dict[str, Any], **settings: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **settings)
    return file.getvalue()


def cut_in_the_middle(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes(100) + data[len(data) // 2 + 100 :]


def of_another_type(data: bytes) -> bytes:
    """The first texts of a Parquet file are called numbers at its end, where its columns are told:
    asked for those, pyarrow ends the process.
    """
    begin = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    place = data.index(b"\x0c", begin)
    return data[:place] + b"\x04" + data[place + 1 :]


def workbook(sheet: str, texts: str = "", entity: str = "") -> bytes:
    """The least Excel file with a sheet of these rows."""
    head = '<?xml version="1.0"?>'
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    members = {
        "[Content_Types].xml": f'{head}<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/s.xml" ContentType="{kind}.worksheet+xml"/>'
        f'<Override PartName="/xl/t.xml" ContentType="{kind}.sharedStrings+xml"/></Types>',
        "_rels/.rels": f'{head}<Relationships xmlns="{package}/relationships"><Relationship '
        f'Id="r1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'{head}<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{head}<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/s.xml"/>'
        f'<Relationship Id="r2" Type="{office}/sharedStrings" Target="t.xml"/></Relationships>',
        "xl/t.xml": f'{head}<sst xmlns="{main}">{texts}</sst>',
        "xl/worksheets/s.xml": f'{head}{entity}<worksheet xmlns="{main}"><sheetData>{sheet}'
        "</sheetData></worksheet>",
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return file.getvalue()


LAUGHS = "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">'
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)

TABLES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "nothing": ("t.csv", lambda: b"", "missing-column"),
    "zeros": ("t.csv", lambda: bytes(1000), "missing-column"),
    "random bytes": ("t.csv", lambda: np.random.default_rng(0).bytes(5000), "broken-table"),
    "a NUL in a path": ("t.csv", lambda: b"path,label" + b" " * 500 + b"\na\0b.png,x\nc.png,y", "path-outside"),
    "a quote without end": ("t.csv", lambda: b'path,label\n"a.png,x\n' + b"b.png,y\n" * 1000, "broken-table"),
    "a line of 100 MB": ("t.csv", lambda: b"a" * 10**8, "broken-table"),
    "a cell of 100 MB": ("t.csv", lambda: b'path,label\n"' + b"a" * 10**8, "broken-table"),
    "a million columns": ("t.csv", lambda: b"path,label" + b",x" * 10**6 + b"\na.png,x", "broken-table"),
    "a million fields": ("t.csv", lambda: b"path,label\na.png" + b",x" * 10**6, "broken-table"),
    "ten million lines": ("t.csv", lambda: b"path,label\n" + b"a,b\n" * 10**7, "broken-table"),
    "empty lines": ("t.csv", lambda: b"path,label\n" + b"\n" * 10**8, "broken-table"),
    "half of UTF-16": ("t.csv", lambda: "path,label\na,b".encode("utf-16") + b"a", "broken-table"),
    "a gzip bomb": ("t.csv.gz", lambda: gzip.compress(bytes(3 * 10**8), 1), "broken-table"),
    "half a gzip": ("t.csv.gz", lambda: gzip.compress(os.urandom(1000))[:500], "broken-table"),
    "a path of 5,000 letters": ("t.csv", lambda: b"path,label\n" + b"a" * 5000 + b".png,x", "no-pictures"),
    "a path of circles": ("t.csv", lambda: b"path,label\nloop/loop/a.png,x", "no-pictures"),
    "a path that is a pipe": ("t.csv", lambda: b"path,label\npipe.png,x", "no-pictures"),
    "a path that leads out": ("t.csv", lambda: b"path,label\n../../etc/passwd,x", "path-outside"),
    "JSON 100,000 deep": ("t.json", lambda: b"[" * 100_000, "broken-table"),
    "JSON lines, deep": ("t.jsonl", lambda: b'{"path": ' + b"[" * 100_000 + b"\n", "broken-table"),
    "JSON of 5,000 digits": ("t.json", lambda: b'[{"path": ' + b"9" * 5000 + b"}]", "broken-table"),
    "half a letter": ("t.jsonl", lambda: b'{"path": "\\ud800", "label": "x"}', "broken-table"),
    "a NUL in JSON": ("t.jsonl", lambda: b'{"path": "a\\u0000.png", "label": "x"}', "path-outside"),
    "lists of lists": ("t.json", lambda: b'[{"path": [["a"]], "label": [[["x"]]]}]', "bad-label"),
    "JSON of numbers": ("t.json", lambda: b"[1, 2, 3]", "broken-table"),
    "ten million objects": ("t.json", lambda: b"[" + b"{}," * 10**7 + b"{}]", "broken-table"),
    "a million columns of JSON": ("t.jsonl", lambda: json.dumps({f"k{n}": 1 for n in range(10**6)}).encode(), "broken-table"),
    "Parquet's four letters": ("t.parquet", lambda: b"PAR1", "broken-table"),
    "a corrupt page": ("t.parquet", lambda: cut_in_the_middle(parquet({"path": [f"{n}.png" for n in range(500)], "label": ["x"] * 500})), "broken-table"),
    "texts that say they are numbers": ("t.parquet", lambda: of_another_type(parquet({"path": ["a.png", "b.png"], "label": ["x", "y"]})), "broken-table"),
    "lists that say they are of numbers": ("t.parquet", lambda: of_another_type(parquet({"path": ["a.png", "b.png"], "label": [["x"], ["y", "z"]]})), "broken-table"),
    "equal rows without end": ("t.parquet", lambda: parquet({"path": pa.DictionaryArray.from_arrays(pa.array(np.zeros(10**7, np.int8)), ["a.png"]), "label": pa.array(np.zeros(10**7, bool))}), "broken-table"),
    "one long text in each row": ("t.parquet", lambda: parquet({"path": pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000, np.int8)), ["a" * 10**6]), "label": ["x"] * 20_000}), "broken-table"),
    "structs in lists": ("t.parquet", lambda: parquet({"path": ["a.png"], "label": pa.array([[{"a": [{"b": 1}]}]])}), "bad-label"),
    "texts as bytes": ("t.parquet", lambda: parquet({"path": pa.array([b"a.png"]), "label": ["x"]}), "missing-column"),
    "times beyond the calendar": ("t.parquet", lambda: parquet({"path": pa.array([2**62], pa.timestamp("ms")), "label": ["x"]}), "broken-table"),
    "an archive": ("t.zip", lambda: workbook(""), "broken-table"),
    "half an Excel file": ("t.xlsx", lambda: workbook("")[:300], "broken-table"),
    "an archive bomb": ("t.xlsx", lambda: workbook("", " " * 3 * 10**8), "broken-table"),
    "XML that laughs": ("t.xlsx", lambda: workbook('<row r="1"><c r="A1" t="str"><v>&j;</v></c></row>', entity=f'<!DOCTYPE x [<!ENTITY a "ha">{LAUGHS}]>'), "broken-table"),
    "a cell far away": ("t.xlsx", lambda: workbook("".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(1, 3000))), "broken-table"),
    "Excel of before 2007": ("t.xls", lambda: b"\xd0\xcf\x11\xe0" + bytes(600), "broken-table"),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_a_bad_table(trials, tmp_path, name):
    """A table that cannot be read, or would fill the memory, is told so; from Python as well."""
    file, make, slug = TABLES[name]
    (tmp_path / file).write_bytes(make())
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe.png")
    door = "overpaint.datasets.opening:dataset"
    check(trials.python(tmp_path, door, ".", kind="table", file=file), slug)


@pytest.mark.parametrize("name", ODD_FILES)
def test_what_is_no_table(trials, tmp_path, name):
    """What is no file is not read as a table, and nobody waits for it."""
    ODD_FILES[name](tmp_path / "t.csv")
    door = "overpaint.datasets.opening:dataset"
    outcome = trials.python(tmp_path, door, ".", kind="table", file="t.csv")
    check(outcome, outcome.slug)


# --- folders of pictures -------------------------------------------------------------------------


def pictures(folder: Path) -> None:
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for number in range(4):
            noise = np.random.default_rng(number).integers(0, 255, (20, 20, 3), np.uint8)
            Image.fromarray(noise).save(folder / label / f"{number}.png")


def deep(folder: Path) -> None:
    here = os.open(folder / "a", os.O_RDONLY)
    for _ in range(400):  # deeper ones nobody can remove
        os.mkdir("d", dir_fd=here)
        here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(above)


def farm(folder: Path) -> None:
    for number in range(12):
        (folder / f"c{number}").mkdir()
        for other in range(12):
            (folder / f"c{number}" / f"l{other}").symlink_to(folder / f"c{other}")


ODD_FOLDERS: dict[str, Callable[[Path], Any]] = {
    "a pipe": lambda folder: pipe(folder / "a" / "p.png"),
    "a socket": lambda folder: unix_socket(folder / "a" / "p.png"),
    "a device": lambda folder: (folder / "a" / "p.png").symlink_to("/dev/zero"),
    "a link to itself": lambda folder: (folder / "a" / "p.png").symlink_to("p.png"),
    "folders 400 deep": deep,
    "links to all folders": farm,
}


@pytest.mark.parametrize("name", ODD_FOLDERS)
def test_an_odd_folder(trials, tmp_path, name):
    """What is no picture is left out, and the pictures are read; or one message says why not."""
    pictures(tmp_path)
    ODD_FOLDERS[name](tmp_path)
    outcome = trials.python(tmp_path, "overpaint.datasets.opening:dataset", ".")
    assert "Traceback" not in outcome.output, outcome.output[-3000:]
    assert outcome.status in (0, 2)
    assert outcome.megabytes < MEGABYTES


@pytest.mark.parametrize("root", ["a\0b", "~no-one/x", "\ud800", "x" * 300, "/dev/zero", ""])
def test_a_folder_that_can_be_none(trials, tmp_path, root):
    """From Python, too, a path that can be none is told so."""
    outcome = trials.python(tmp_path, "overpaint.datasets.opening:dataset", root)
    check(outcome, outcome.slug)


# --- arguments -----------------------------------------------------------------------------------

ARGUMENTS: dict[str, tuple[tuple[str, ...], str]] = {
    "no study folder": (("report", "nowhere"), "missing-record"),
    "a file": (("report", "file"), "missing-record"),
    "a pipe": (("report", "pipe"), "missing-record"),
    "a device": (("report", "/dev/zero"), "missing-record"),
    "a long name": (("report", "x" * 300), "broken-record"),
    "a channel of 10 digits": (("render", "net", "mixed4d:0-9999999999"), "not-a-unit"),
    "a billion channels": (("render", "net", "mixed4d:0-999999999"), "not-a-unit"),
    "a sheet that is a folder": (("render", "net", "mixed4d:0", "--sheet", "folder.png"), "not-ours"),
    "a side of 13 digits": (("render", "net", "mixed4d:0", "--size", "1000000000000"), ""),
    "steps of 13 digits": (("render", "net", "mixed4d:0", "--steps", "1000000000000"), ""),
    "a seed of 30 digits": (("render", "net", "mixed4d:0", "--seed", "9" * 30), ""),
    "octaves of 13 digits": (("render", "net", "mixed4d:0", "--octaves", "1000000000000"), ""),
    "jobs of 13 digits": (("run", "demo", "--jobs", "1000000000000"), ""),
    "no rate": (("fetch", "file", "out", "--rate", "nan"), ""),
    "a size of 13 digits": (("fetch", "file", "out", "--size", "1000000000000"), ""),
    "a document of 100,000 lists": (("fetch", "deep.json", "out"), "no-document"),
    "a document that is a pipe": (("fetch", "pipe", "out"), "unknown-collection"),
    "a picture that is a pipe": (("render", "net", "x:0", "--picture", "pipe"), "unreadable-picture"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARGUMENTS)
def test_bad_arguments(trials, tmp_path, name):
    """Arguments that are out of all bounds, or name what is no file, are told so."""
    arguments, slug = ARGUMENTS[name]
    (tmp_path / "file").write_text("path,label\n")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe")
    check(trials.command(tmp_path, *arguments), slug)


@pytest.mark.parametrize("cache", ["file", "~no-one/cache", "x" * 300, "/dev/null"])
def test_a_cache_that_is_no_folder(trials, tmp_path, cache):
    """A cache folder that can be none is told so."""
    (tmp_path / "file").write_text("")
    outcome = trials.command(tmp_path, "fetch", "iconart", "out", OVERPAINT_CACHE=cache)
    check(outcome, "bad-cache")
