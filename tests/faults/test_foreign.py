"""Folders of others: whatever lies where the program would write, nothing of it is changed.

Digests of everything that is somebody else's are taken before and after; each arrangement is a row.
"""

import json
import os
import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from harness import COMMAND, STUDY, Ended, Warm, contents, lay_out

from overpaint.records import MARKER

OTHER = STUDY.replace("epochs: 2", "epochs: 1")
"""The same study with another recipe: networks, and all that follows, are made anew."""


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    with Warm() as process:
        yield process


@pytest.fixture(scope="module")
def done(warm, tmp_path_factory) -> Path:
    """A place with a finished run in `out`."""
    place = lay_out(tmp_path_factory.mktemp("foreign") / "done")
    ended = warm.run(place, *COMMAND)
    assert ended.status == 0, ended.output
    return place


@pytest.fixture
def place(done, tmp_path) -> Path:
    """A copy of it, and a folder of somebody else's beside it."""
    shutil.copytree(done, tmp_path / "place")
    write_theirs(tmp_path / "theirs")
    return tmp_path / "place"


def write_theirs(folder: Path) -> None:
    """A folder of somebody else's, with files of the names that ours have."""
    for name in ("index.html", "notes.md", "site/index.html", "assets/style.css", "tuned/notes.md",
                 "networks/tuned/weights.bin", "features/x.npy", "manifest.json"):  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"mine: {name}")


def refused(ended: Ended, slug: str) -> None:
    assert f"[{slug}]" in ended.output, ended.output
    assert "Traceback" not in ended.output
    assert ended.status == 2


# --- links ----------------------------------------------------------------------------------------

LINKED = (
    *("site", "networks", "networks/tuned", "features", "features/tuned", "comparisons"),
    *("comparisons/source--tuned", "renderings", "renderings/source", "renderings/source/two"),
    *("renderings/source--tuned", "thumbnails", "thumbnails/photographs", "datasets"),
    *("datasets/photographs", "datasets/photographs/pictures", "ensembles", "ensembles/both"),
    *("trainings", "exported", "study.yaml", "site.json", "site.files", MARKER),
    "features/tuned/photographs-test.zarr",
)


@pytest.mark.parametrize("name", LINKED)
def test_a_link_in_a_place_of_ours_is_refused(warm, place, tmp_path, name):
    """Nothing is written through it, and nothing removed behind it: by a run, a report, a clean."""
    path, theirs = place / "out" / name, tmp_path / "theirs"
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(theirs if "." not in path.name or path.suffix == ".zarr"
                    else theirs / "notes.md")  # fmt: skip
    before = contents(tmp_path)
    (place / "study.yaml").write_text(OTHER)
    slug = "folder-not-empty" if name == MARKER else "link-in-folder"
    for arguments in (COMMAND, ("report", "out"), ("clean", "out", "--all")):
        ended = warm.run(place, *arguments)
        if name == "study.yaml" and arguments[0] == "report":
            slug = "broken-record"  # what it leads to is no study
        if name == MARKER:  # a folder from before there were marks is known without
            assert ended.status == 2
            continue
        refused(ended, slug)
        slug = "link-in-folder"
    (place / "study.yaml").write_text(STUDY)
    assert {**contents(tmp_path), "place.output": ""} == {**before, "place.output": ""}


@pytest.mark.parametrize(
    "name", ["assets", "comparisons", "index.html", "pictures", "pictures/photographs-1.jpg"]
)
def test_a_link_in_the_site_is_not_written_through(warm, place, tmp_path, name):
    """Where a folder or a page of the site is a link, the report is refused."""
    path, theirs = place / "out/site" / name, tmp_path / "theirs"
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(theirs / "index.html" if path.suffix else theirs)
    before = contents(theirs)
    (place / "study.yaml").write_text(OTHER)
    refused(warm.run(place, *COMMAND), "link-in-folder")
    assert contents(theirs) == before
    assert path.is_symlink()


@pytest.mark.parametrize("kind", ["thumbnails", "renderings"])
def test_a_private_picture_does_not_get_into_the_site(warm, place, tmp_path, kind):
    """A thumbnail or a rendering that is a link to a picture elsewhere is not copied."""
    private = tmp_path / "theirs/private.png"
    Image.fromarray(np.arange(30 * 40 * 3, dtype=np.uint8).reshape(30, 40, 3)).save(private)
    pattern = "thumbnails/*/*.jpg" if kind == "thumbnails" else "renderings/*/*/*.png"
    for path in (place / "out").glob(pattern):
        path.unlink()
        path.symlink_to(private)
    refused(warm.run(place, "report", "out"), "link-in-folder")
    data = private.read_bytes()
    assert not any(path.read_bytes() == data for path in (place / "out/site").rglob("*.[pj]*g"))


def test_an_archive_holds_no_private_file(warm, place, tmp_path):
    """What in the site is a link is left out of the ZIP."""
    (place / "out/site/secret.txt").symlink_to(tmp_path / "theirs/notes.md")
    ended = warm.run(place, "report", "out", "--zip", "site.zip")
    assert ended.status == 0, ended.output
    assert b"secret" not in (place / "site.zip").read_bytes()
    assert (place / "out/site/secret.txt").is_symlink()


# --- folders of others ----------------------------------------------------------------------------


def in_the_folder_itself(theirs: Path) -> None:
    """`--out .` where site, networks and features are somebody else's, and the study's file too."""


def a_repository(theirs: Path) -> None:
    (theirs / ".git").mkdir()
    (theirs / ".git/HEAD").write_text("ref: refs/heads/main")


def a_repository_without_files(theirs: Path) -> None:
    shutil.rmtree(theirs)
    (theirs / ".git").mkdir(parents=True)


def a_mounted_disk(theirs: Path) -> None:
    shutil.rmtree(theirs)
    (theirs / "lost+found").mkdir(parents=True)


def a_home_folder(theirs: Path) -> None:
    (theirs / ".profile").write_text("mine")


def weights_of_ours(theirs: Path) -> None:
    """A network that was copied out of a study folder makes no study folder."""
    shutil.copytree(theirs.parent / "place/out/networks/source", theirs / "networks/source")
    (theirs / "study.yaml").unlink()


@pytest.mark.parametrize(
    "arrange",
    [in_the_folder_itself, a_repository, a_repository_without_files, a_mounted_disk, a_home_folder,
     weights_of_ours],
)  # fmt: skip
@pytest.mark.parametrize("command", ["run", "advise"])
def test_into_a_folder_of_others_nothing_is_written(warm, place, tmp_path, arrange, command):
    """Not one file is there more, and none is changed; a dry run says the same."""
    theirs = lay_out(tmp_path / "theirs")
    arrange(theirs)
    before = contents(theirs)
    arguments = (command, str(place / "study.yaml"), "--out", ".", "--allow-code")
    dry = [("--dry-run",)] if command == "run" else []
    for more in [(), *dry]:
        refused(warm.run(theirs, *arguments, *more), "folder-not-empty")
    assert contents(theirs) == before


def test_a_report_of_a_folder_that_is_none(warm, place, tmp_path):
    """A study's own file, as somebody wrote it, makes no study folder: its site stays as it was."""
    theirs = lay_out(tmp_path / "theirs")
    (theirs / "study.yaml").write_text(STUDY)
    before = contents(theirs)
    for arguments in (("report", "."), ("clean", ".", "--all")):
        ended = warm.run(theirs, *arguments)
        assert ended.status == 2
        assert "Traceback" not in ended.output
    assert contents(theirs) == before


def foreign_network(out: Path) -> None:
    header = json.dumps({"__metadata__": {"format": "pt"}}).encode()
    (out / "networks/tuned").mkdir(parents=True)
    weights = struct.pack("<Q", len(header)) + header
    (out / "networks/tuned/weights.safetensors").write_bytes(weights)


def foreign_network_by_name(out: Path) -> None:
    write_theirs(out / "networks/tuned.2")


def foreign_comparison(out: Path) -> None:
    (out / "comparisons/source--tuned").mkdir(parents=True)
    (out / "comparisons/source--tuned/manifest.json").write_text('{"name": "an app of the web"}')


def foreign_features(out: Path) -> None:
    group = out / "features/tuned/photographs-test.zarr"
    group.mkdir(parents=True)
    text = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}})
    (group / "zarr.json").write_text(text)


def foreign_dataset(out: Path) -> None:
    write_theirs(out / "datasets/photographs")


def foreign_site(out: Path) -> None:
    write_theirs(out / "site")


def foreign_thumbnails(out: Path) -> None:
    write_theirs(out / "thumbnails/photographs")


def foreign_checkpoint(out: Path) -> None:
    (out / "trainings").mkdir()
    (out / "trainings/tuned.pt").write_bytes(b"mine")


def foreign_renderings(out: Path) -> None:
    for channel in range(6):
        path = out / f"renderings/source/two/{channel}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9)).save(path)


def a_file_for_a_folder(out: Path) -> None:
    (out / "networks").write_text("mine")


def a_file_for_an_artefact(out: Path) -> None:
    (out / "comparisons").mkdir()
    (out / "comparisons/source--tuned").write_text("mine")


def a_folder_for_a_file(out: Path) -> None:
    write_theirs(out / "findings.json")


@pytest.mark.parametrize(
    "arrange",
    [foreign_network, foreign_network_by_name, foreign_comparison, foreign_features,
     foreign_dataset, foreign_site, foreign_thumbnails, foreign_checkpoint, foreign_renderings,
     a_file_for_a_folder, a_file_for_an_artefact, a_folder_for_a_file],
)  # fmt: skip
def test_what_lies_at_the_place_of_an_artefact_stays(warm, tmp_path, arrange):
    """In a study folder that is marked, too: the run is refused, and their files are as before."""
    place = lay_out(tmp_path / "place")
    (place / "out").mkdir()
    (place / "out" / MARKER).write_text(json.dumps({"study": "tiny"}))
    arrange(place / "out")
    before = contents(place / "out")
    ended = warm.run(place, *COMMAND)
    assert ended.status == 2, ended.output
    assert any(f"[{slug}]" in ended.output for slug in ("not-ours", "not-a-folder"))
    assert before.items() <= contents(place / "out").items()


def test_a_folder_of_another_study_is_not_taken(warm, place):
    """Two studies in one folder would write over each other; the message says what to do."""
    (place / "study.yaml").write_text(STUDY.replace("study: tiny", "study: another"))
    before = contents(place / "out")
    ended = warm.run(place, *COMMAND)
    refused(ended, "another-study")
    assert contents(place / "out") == before
    (place / "out" / MARKER).write_text('{"study": "another"}')
    assert warm.run(place, *COMMAND).status == 0


def test_a_folder_from_before_there_were_marks_goes_on(warm, place):
    """It is known by its artefacts, is marked, and nothing of it is made again."""
    out = place / "out"
    for name in (MARKER, "site.files"):
        (out / name).unlink()
    (out / "site/CNAME").write_text("www.example.org")
    times = {path: path.stat().st_mtime_ns for path in out.glob("networks/*/weights*")}
    assert warm.run(place, *COMMAND).status == 0
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert json.loads((out / MARKER).read_text())["study"] == "tiny"
    (place / "study.yaml").write_text(OTHER)
    assert warm.run(place, *COMMAND).status == 0
    assert (out / "site/CNAME").read_text() == "www.example.org"


# --- files of others in folders of ours -----------------------------------------------------------

BESIDE = (
    *("notes.md", "site/CNAME", "site/notes.md", "site/assets/logo.png", "site/own/page.html"),
    *("networks/notes.md", "networks/tuned/notes.md", "networks/mine/weights.safetensors"),
    *("networks/tuned/adapter/notes.md", "comparisons/source--tuned/notes.md"),
    *("ensembles/both/notes.md", "renderings/source/two/notes.png", "renderings/source/two/77.png"),
    *("renderings/source--tuned/notes.md", "thumbnails/photographs/mine.jpg"),
    *("datasets/photographs/notes.md", "datasets/photographs/pictures/notes.md"),
    *("datasets/photographs/pictures/train/mine.jpg", "trainings/mine.pt", "exported/notes.md"),
    "datasets/photographs/decoded/mine.npy",
)


def put_beside(out: Path) -> dict[str, str]:
    """Put files of somebody else's into all folders of a run."""
    for name in BESIDE:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(f"mine: {name}")
    return {name: f"mine: {name}" for name in BESIDE}


def test_what_others_put_into_our_folders_survives(warm, place):
    """A change that makes everything anew, a report and a page less leave them alone."""
    out = place / "out"
    theirs = put_beside(out)
    study = OTHER.replace("train: 24", "train: 26").replace(
        "- [source, tuned]", "- [source, tuned.2]"
    )
    (place / "study.yaml").write_text(study)
    ended = warm.run(place, *COMMAND)
    assert ended.status == 0, ended.output
    assert warm.run(place, "report", "out").status == 0
    assert {name: (out / name).read_text() for name in BESIDE} == theirs
    assert not (out / "site/comparisons/source--tuned.html").exists()
    assert (out / "site/comparisons/source--tuned.2.html").exists()
    assert json.loads((out / "networks/tuned/manifest.json").read_text())["kind"] == "network"


@pytest.mark.parametrize("name", ["findings.html", "assets/style.css"])
def test_a_page_of_others_where_ours_is_to_be(warm, place, name):
    """It is refused, and the page stays as it is."""
    out = place / "out"
    shutil.rmtree(out / "site")
    for file in ("site.json", "site.files"):
        (out / file).unlink()
    (out / "site" / name).parent.mkdir(parents=True)
    (out / "site" / name).write_text("mine")
    refused(warm.run(place, "report", "out"), "not-ours")
    assert (out / "site" / name).read_text() == "mine"


def test_a_group_of_features_with_files_of_others_is_not_removed(warm, place):
    """Chunks are ours; what else lies among them is said, and stays."""
    notes = place / "out/features/tuned/photographs-test.zarr/two/notes.md"
    notes.write_text("mine")
    (place / "study.yaml").write_text(OTHER)
    refused(warm.run(place, *COMMAND), "not-ours")
    assert notes.read_text() == "mine"


def test_a_listing_that_leads_elsewhere_removes_nothing(warm, place, tmp_path):
    """A study folder may be somebody's who means harm: only names below the site count."""
    names = [str(tmp_path / "theirs/notes.md"), "../../../theirs/notes.md", "../study.yaml"]
    with (place / "out/site.files").open("a") as file:
        file.writelines(f"{name}\n" for name in names)
    before = contents(tmp_path / "theirs")
    state = json.loads((place / "out/site.json").read_text())
    state["parts"]["x"] = {"key": "", "files": names}
    (place / "out/site.json").write_text(json.dumps(state))
    for arguments in (("report", "out"), ("clean", "out"), ("clean", "out", "--all")):
        assert warm.run(place, *arguments).status == 0
        assert contents(tmp_path / "theirs") == before
        assert arguments[-1] == "--all" or (place / "out/study.yaml").is_file()


@pytest.mark.parametrize(
    "name", [MARKER, "study.yaml", "site.files", "networks/tuned/manifest.json"]
)
def test_a_pipe_is_not_waited_for(warm, place, name):
    """What is no file is not read."""
    (place / "out" / name).unlink()
    os.mkfifo(place / "out" / name)
    for arguments in (("report", "out"), ("clean", "out")):
        assert "Traceback" not in warm.run(place, *arguments).output


# --- other places that are written to -------------------------------------------------------------


def figures_over_a_file(place: Path) -> tuple[tuple[str, ...], Path]:
    path = place / "paper/tables/scores.tex"
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    return ("report", "out", "--figures", "paper"), place / "paper"


def figures_behind_a_link(place: Path) -> tuple[tuple[str, ...], Path]:
    (place / "paper").mkdir()
    (place / "paper/tables").symlink_to(place.parent / "theirs")
    return ("report", "out", "--figures", "paper"), place.parent / "theirs"


def an_archive_of_others(place: Path) -> tuple[tuple[str, ...], Path]:
    (place / "mine").mkdir()
    shutil.make_archive(str(place / "mine/thesis"), "zip", place.parent / "theirs")
    return ("report", "out", "--zip", "mine/thesis.zip"), place / "mine"


def a_page_of_two_studies(place: Path) -> tuple[tuple[str, ...], Path]:
    shutil.copytree(place / "out", place / "other")
    write_theirs(place / "page")
    return ("report", "out", "--against", "other", "--out", "page"), place / "page"


def a_rendering(place: Path) -> tuple[tuple[str, ...], Path]:
    (place / "mine/two").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(place / "mine/two/1.png")
    return ("render", "plain:make", "two:1", "--allow-code", "--out", "mine"), place / "mine"


def a_rendering_behind_a_link(place: Path) -> tuple[tuple[str, ...], Path]:
    (place / "mine").mkdir()
    (place / "mine/two").symlink_to(place.parent / "theirs")
    arguments = ("render", "plain:make", "two:1", "--allow-code", "--out", "mine")
    return arguments, place.parent / "theirs"


def a_sheet(place: Path) -> tuple[tuple[str, ...], Path]:
    (place / "mine").mkdir()
    Image.new("RGB", (9, 9)).save(place / "mine/holiday.jpg")
    arguments = ("render", "plain:make", "two:1", "--allow-code", "--sheet", "mine/holiday.jpg")
    return arguments, place / "mine"


def a_movie(place: Path) -> tuple[tuple[str, ...], Path]:
    (place / "mine").mkdir()
    Image.new("RGB", (9, 9)).save(place / "mine/holiday.gif")
    arguments = ("render", "plain:make", "two:1", "--allow-code", "--movie", "mine/holiday.gif")
    return arguments, place / "mine"


def a_collection(place: Path) -> tuple[tuple[str, ...], Path]:
    return ("fetch", "iconart", str(place.parent / "theirs")), place.parent / "theirs"


def an_export(place: Path) -> tuple[tuple[str, ...], Path]:
    (place / "museum.csv").write_text("image,label\nhttp://127.0.0.1:9/a.jpg,cat\n")
    return ("fetch", "museum.csv", str(place.parent / "theirs")), place.parent / "theirs"


@pytest.mark.parametrize(
    "arrange",
    [figures_over_a_file, figures_behind_a_link, an_archive_of_others, a_page_of_two_studies,
     a_rendering, a_rendering_behind_a_link, a_sheet, a_movie, a_collection, an_export],
)  # fmt: skip
def test_wherever_else_something_is_written(warm, place, arrange: Callable):
    """A file of somebody else's in the place of ours is refused, and the folder is as before."""
    arguments, theirs = arrange(place)
    before = contents(theirs)
    ended = warm.run(place, *arguments)
    assert ended.status == 2, ended.output
    assert "Traceback" not in ended.output
    assert contents(theirs) == before


@pytest.mark.parametrize(
    "arguments",
    [("report", "out", "--figures", "paper"), ("report", "out", "--zip", "site.zip"),
     *[("render", "plain:make", "two:1", "--allow-code", "--steps", "2", "--size", "32", *more)
       for more in (("--out", "mine"), ("--sheet", "a.png"), ("--sheet", "a.jpg"),
                    ("--sheet", "a.webp"), ("--movie", "a.gif"), ("--movie", "a.webp"))]],
)  # fmt: skip
def test_the_same_command_twice(warm, place, arguments):
    """What is ours is written anew."""
    for _ in range(2):
        ended = warm.run(place, *arguments)
        assert ended.status == 0, ended.output


# --- clean ----------------------------------------------------------------------------------------


def test_clean_removes_what_the_study_does_not_name(warm, place):
    """Networks, comparisons and what was made of them go; the study's, and others' files, stay."""
    out = place / "out"
    theirs = put_beside(out)
    study = STUDY.replace(", repeats: 2", "").replace("ensembles:\n  both: [tuned, tuned.2]\n", "")
    (place / "study.yaml").write_text(study)
    assert warm.run(place, *COMMAND).status == 0
    before = contents(out)
    dry = warm.run(place, "clean", "out", "--dry-run")
    assert contents(out) == before
    ended = warm.run(place, "clean", "out")
    assert ended.status == 0, ended.output
    assert ended.output.replace("removed", "would remove") == dry.output.replace("removed", "x")
    after = contents(out)
    gone = {name for name in before if name not in after}
    assert {"networks/tuned.2/weights.safetensors", "ensembles/both/scores.json"} <= gone
    assert all(name.startswith(("networks/tuned.2", "ensembles/both", "features/tuned.2",
                                "renderings/tuned.2")) for name in gone)  # fmt: skip
    assert after.items() <= before.items()
    assert {name: (out / name).read_text() for name in BESIDE} == theirs
    again = warm.run(place, "clean", "out")
    assert again.output == "removed 0 bytes in all\n"


def test_clean_all_leaves_what_is_not_ours(warm, place):
    """Every file of ours is gone, and each of somebody else's is where it was."""
    out = place / "out"
    theirs = put_beside(out)
    assert warm.run(place, "clean", "out", "--all").status == 0
    left = {name for name, told in contents(out).items() if told != "folder"}
    assert left == set(BESIDE)
    assert {name: (out / name).read_text() for name in BESIDE} == theirs


def test_clean_all_removes_the_folder(warm, place):
    """Of a run that nobody added to, nothing is left."""
    before = contents(place)
    assert warm.run(place, "clean", "out", "--all").status == 0
    assert not (place / "out").exists()
    assert {name for name in before if not name.startswith("out")} == {*contents(place)}
