"""What is written when a report is made again: only what changed, and never half of it."""

import os
import shutil

import pytest
from parsed import pages
from tiny_study import write_study

from overpaint.errors import RecordError
from overpaint.records import (
    VERSIONS,
    StudyFolder,
    read_json,
    read_table,
    write_json,
    write_table,
)
from overpaint.report import build
from overpaint.report.charts import drawing
from overpaint.report.parts import gallery
from overpaint.report.site import incremental, look
from overpaint.report.study import reading

PAIR = "comparisons/imagenet--fine_tuned"
pytestmark = pytest.mark.usefixtures("quick")


def stamps(folder) -> dict[str, int]:
    """When each file of the site was last written; every one long ago, before a build."""
    site = folder / "site"
    return {
        path.relative_to(site).as_posix(): path.stat().st_mtime_ns
        for path in site.rglob("*") if path.is_file()
    }  # fmt: skip


def rebuilt(folder) -> set[str]:
    """The files that a build writes, makes or removes."""
    for path in (folder / "site").rglob("*"):
        if path.is_file() and path.suffix not in (".png", ".jpg"):
            os.utime(path, (1, 1))
    before = stamps(folder)
    build(folder)
    after = stamps(folder)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def contents(folder) -> dict[str, bytes]:
    site = folder / "site"
    return {
        path.relative_to(site).as_posix(): path.read_bytes()
        for path in site.rglob("*") if path.is_file()
    }  # fmt: skip


def test_a_second_build_writes_nothing(lean, monkeypatch):
    """Where nothing changed no file is touched, the state beside the site neither."""
    monkeypatch.setattr(look, "SETTLED", float("inf"))  # the records are read all the same
    build(lean)
    state = (lean / "site.json").stat().st_mtime_ns
    monkeypatch.setattr(drawing, "svg", lambda *_: pytest.fail("a chart was drawn again"))
    monkeypatch.setattr(
        gallery, "read_maximal", lambda pair: pytest.fail("the channels were read again")
    )
    assert rebuilt(lean) == set()
    assert (lean / "site.json").stat().st_mtime_ns == state


def test_a_build_of_what_it_made_loads_nothing_that_makes_pages(lean, monkeypatch):
    """Where no file of the study or of the site is another one, no record is read."""
    monkeypatch.setattr(look, "SETTLED", 0)
    build(lean)
    monkeypatch.setattr(reading, "read_records", lambda folder: pytest.fail("read again"))
    index = lean / "site/index.html"
    before = stamps(lean)
    assert build(lean) == index
    assert stamps(lean) == before


@pytest.mark.parametrize(
    "change",
    ["a record", "a picture", "a page", "a page more", "the listing", "a link", "the program"],
)
def test_whatever_changed_is_looked_at(lean, monkeypatch, change):
    """A change of the study, of the site or of the program is seen, though times were set back."""
    monkeypatch.setattr(look, "SETTLED", 0)
    build(lean)
    whole = contents(lean)
    path = {
        "a record": lean / "findings.json",
        "a picture": next((lean / "thumbnails").rglob("*.jpg")),
        "a page": lean / "site/findings.html",
        "a page more": lean / "site/against-other.html",
        "the listing": lean / "site.files",
        "a link": lean / "networks/link",
        "the program": lean / "findings.json",
    }[change]
    if change == "a page more":
        path.write_text("of --against")
        (lean / "site.files").write_text((lean / "site.files").read_text() + f"{path.name}\n")
    elif change == "the listing":
        path.unlink()
    elif change == "a link":
        path.symlink_to(lean / "networks/imagenet")
    elif change == "the program":
        monkeypatch.setattr(incremental, "program", lambda: "another")
    else:
        times = path.stat()
        path.write_bytes(bytes(reversed(path.read_bytes())))  # as long as before
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    read = []
    read_records = reading.read_records
    monkeypatch.setattr(
        reading, "read_records", lambda folder: read.append(folder) or read_records(folder)
    )
    if change == "a link":
        with pytest.raises(RecordError):
            build(lean)
    else:
        build(lean)
    assert len(read) == 1
    if change not in ("a record", "a picture", "a link"):
        assert contents(lean) == whole


def test_only_the_pages_that_changed_are_written(lean):
    """Another number of one channel changes what is shown of its layer; no page of another."""
    build(lean)
    path = lean / PAIR / "channels.parquet"
    frame = read_table(path)
    at = frame.index[(frame["layer"] == "mixed4a") & (frame["channel"] == 5)][0]
    frame.loc[at, "gain_after"] = 0.789
    write_table(path, frame)
    pages_and_scripts = (".html", ".js")
    written = {name for name in rebuilt(lean) if name.endswith(pages_and_scripts)}
    assert written == {f"{PAIR}/mixed4a.js", f"{PAIR}.html"}  # which has the table of channels
    frame.loc[at, "status"] = "constant"
    write_table(path, frame)
    written = {name for name in rebuilt(lean) if name.endswith(pages_and_scripts)}
    expected = {f"{PAIR}/mixed4a.js", f"{PAIR}/mixed4a.html", f"{PAIR}.html"}
    assert expected <= written <= {*expected, "index.html", "method.html"}


def test_a_finding_changes_no_channel(lean):
    """What does not concern a comparison leaves all of its pages as they are."""
    build(lean)
    path = lean / "findings.json"
    told = read_json(path)
    told["findings"][0]["remark"] = "said otherwise"
    write_json(path, told)
    written = rebuilt(lean)
    assert "findings.html" in written
    assert not {name for name in written if name.startswith((PAIR, "networks", "pictures"))}


def test_a_file_that_was_lost_is_made_again(lean):
    """A page, a thumbnail or a chart that someone removed is there again, and the rest not new."""
    build(lean)
    whole = contents(lean)
    lost = [f"{PAIR}/mixed4a.html", f"{PAIR}/mixed4a.js", f"charts/{PAIR}/cka.svg",
            next(name for name in whole if name.startswith("pictures/rasta-"))]  # fmt: skip
    for name in lost:
        (lean / "site" / name).unlink()
    assert rebuilt(lean) == set(lost)
    assert contents(lean) == whole


def test_what_is_no_longer_wanted_is_removed(tmp_path):
    """A comparison that the study no longer has takes its pages and folders with it."""
    folder = write_study(tmp_path / "study", lean=True)
    build(folder)
    (folder / "site/notes.txt").write_text("left by hand")
    told = StudyFolder(folder).study
    told.write_text(told.read_text().replace("- - imagenet\n  - fine_tuned", "[]"))
    if "compare: []" not in told.read_text():
        told.write_text(told.read_text().split("compare:")[0] + "compare: []\n")
    build(folder)
    assert not (folder / "site" / PAIR).exists()
    assert (folder / "site/notes.txt").read_text() == "left by hand"
    assert not any("comparisons" in name for name in contents(folder))


@pytest.mark.parametrize("after", [1, 8, 20])
def test_a_build_that_is_cut_off(lean, monkeypatch, after):
    """Cut off anywhere, the site can be read, and the next build makes it what it should be."""
    build(lean)
    old = contents(lean)
    path = lean / PAIR / "channels.parquet"
    first = read_table(path)
    write_table(path, first.assign(overlap=first["overlap"] / 2))
    write, count = incremental.IncrementalFiles.write, iter(range(after))

    def cut(*args):
        next(count)  # StopIteration when the time has come
        write(*args)

    with monkeypatch.context() as patched, pytest.raises((StopIteration, RuntimeError)):
        patched.setattr(incremental.IncrementalFiles, "write", cut)
        build(lean)
    found = pages(lean / "site")  # each whole
    assert found.keys() == {name for name in old if name.endswith(".html")}
    assert contents(lean)["index.html"] == old["index.html"]
    assert not list(lean.rglob("*draft*"))
    write_table(path, first)  # as at first: what was written in between must go
    build(lean)
    assert contents(lean) == old


def test_a_state_that_is_no_state(lean):
    """Where the file beside the site is broken, everything is looked at, and nothing written."""
    build(lean)
    for text in ("[]", "{", '{"parts": {"x": {"y": 1}}, "keys": {}}', '{"parts": 3}'):
        (lean / "site.json").write_text(text)
        assert rebuilt(lean) == set()


def test_another_program_makes_every_page_anew(lean, monkeypatch):
    """With another version of the report no page is taken for what it would be now."""
    build(lean)
    monkeypatch.setattr(incremental, "program", lambda: "another")
    shutil.copy(lean / f"site/{PAIR}/mixed4a.html", lean / f"site/{PAIR}/mixed5b.html")
    assert f"{PAIR}/mixed5b.html" in rebuilt(lean)


def test_another_version_of_sites_is_another_program(monkeypatch):
    """The version of the kind in the table of artefacts counts among what makes pages."""
    before = incremental.program.__wrapped__()
    monkeypatch.setitem(VERSIONS, "site", VERSIONS["site"] + 1)
    assert incremental.program.__wrapped__() != before


def test_a_picture_that_arrives_is_shown(lean):
    """A thumbnail or a feature visualisation that comes later is on the pages that lacked it."""
    build(lean)
    whole = contents(lean)
    for name in ("thumbnails", "renderings"):
        shutil.move(lean / name, lean / f"{name}.away")
        build(lean)
        assert contents(lean) != whole
        shutil.move(lean / f"{name}.away", lean / name)
        build(lean)
        assert contents(lean) == whole
