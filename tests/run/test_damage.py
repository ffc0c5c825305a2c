"""Damage is noticed and mended: what is lost, cut off or changed is made anew, and nothing else."""

import io
import json
import os
import shutil
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from overpaint.cli import app
from overpaint.errors import RecordError
from overpaint.progress import Progressing
from overpaint.records import (
    StudyFolder,
    manifest_path,
    read_json,
    read_manifest,
    verify_folder,
    write_manifest,
)
from overpaint.run import run_study
from overpaint.study import read_study

STUDY = """\
study: damaged
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 24, val: 8, test: 16}}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: photographs, recipe: mode_a, with: {epochs: 1}, repeats: 2}
  scratch: {load: inception_small, fit: photographs, recipe: from_scratch, with: {epochs: 1}}
ensembles: {both: [tuned, tuned.2]}
compare: [[source, tuned]]
maximal_images: 8
render: {layers: [mixed3b], channels: [1, 4], steps: 3, size: 48, together: true}
causes: [rewind, between]
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(folder)
    return folder


@pytest.fixture
def copy(done, tmp_path) -> Path:
    return shutil.copytree(done, tmp_path / "run")


def run(folder: Path, **how: bool) -> str:
    """The plain command, as a user gives it; what was said."""
    file = folder.parent / "study.yaml"
    file.write_text(STUDY)
    said = io.StringIO()
    progress = Progressing(Console(file=said, soft_wrap=True))
    run_study(read_study(str(file)), folder, progress, **how)
    return said.getvalue()


def made(said: str) -> set[str]:
    """What a run that explains says it has made."""
    lines = [line.split(": ")[0] for line in said.splitlines()]
    return {line.split("  ")[1] for line in lines if line.startswith("made  ")}


def same_as(done: Path, folder: Path) -> None:
    """Every file is as in the unbroken run but those that tell of the folder itself."""
    own = {"stamps.parquet", "site.json", "site.manifest.json"}

    def files(root: Path) -> dict[str, bytes]:
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
            and path.name not in own
            and path.suffix != ".pdf"
            and not path.match("datasets/*/manifest.json")
        }

    before, after = files(done), files(folder)
    assert sorted(before) == sorted(after)
    assert [name for name in before if before[name] != after[name]] == []


def lose(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def change(path: Path) -> None:
    """One bit, and the size and the time that it had."""
    data, status = bytearray(path.read_bytes()), path.stat()
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


GROUP = "features/tuned/photographs-test.zarr"
DAMAGES = [
    ("networks/source/weights.safetensors", lose, "networks/source: weights.safetensors is lost"),
    ("networks/tuned/weights.safetensors", change, "networks/tuned: weights.safetensors was chang"),
    ("networks/tuned/predictions.parquet", empty, "networks/tuned: predictions.parquet is empty"),
    ("networks/tuned/history.parquet", cut, "networks/tuned: history.parquet is cut off: "),
    ("networks/scratch.init/weights.safetensors", cut, "weights.safetensors is cut off"),
    ("networks/tuned/manifest.json", cut, "networks/tuned: "),
    ("networks/tuned/scores.json", empty, "networks/tuned/scores.json: scores.json is empty"),
    ("networks/tuned/scores.manifest.json", lose, "networks/tuned/scores.json: it has no manifest"),
    ("ensembles/both/predictions.parquet", lose, "ensembles/both: predictions.parquet is lost"),
    ("ensembles/both/scores.json", change, "ensembles/both/scores.json: scores.json was changed"),
    ("repeats.json", cut, "repeats.json: repeats.json is cut off"),
    ("findings.json", change, "findings.json: findings.json was changed after it was made"),
    ("findings.manifest.json", empty, "findings.json: "),
    ("comparisons/source--tuned/maximal.parquet", cut, "source--tuned: maximal.parquet is cut off"),
    ("comparisons/source--tuned/channels.parquet", change, "channels.parquet was changed"),
    ("causes/source--tuned/rewind.parquet", cut, "causes/source--tuned: rewind.parquet is cut off"),
    ("causes/tuned--tuned.2/between.parquet", change, "between.parquet was changed"),
    (f"{GROUP}/mixed3b/mean/c/0/0", cut, f"{GROUP}: mixed3b/mean/c/0/0 is cut off"),
    (f"{GROUP}/mixed3b/mean/c/0/0", lose, f"{GROUP}: mixed3b/mean/c/0/0 is lost"),
    (f"{GROUP}/mixed3b/mean/zarr.json", empty, f"{GROUP}: mixed3b/mean/zarr.json is empty"),
    (f"{GROUP}/zarr.json", cut, f"{GROUP}: zarr.json is cut off"),
    (f"{GROUP}/images/digest/c/0", change, f"{GROUP}: images/digest/c/0 was changed"),
    ("renderings/source/mixed3b/1.png", empty, "renderings/source/mixed3b: 1.png is empty"),
    ("renderings/source/mixed3b/4.png", change, "renderings/source/mixed3b: 4.png was changed"),
    ("renderings/tuned/renderings.parquet", lose, "renderings/tuned/renderings.parquet: "),
    ("renderings/source--tuned/mixed3b/1-both.png", cut, "mixed3b/1-both.png is cut off"),
    ("renderings/source--tuned/renderings.parquet", empty, "renderings.parquet is empty"),
    ("thumbnails/photographs/*.jpg", lose, ".jpg is lost"),
    ("datasets/photographs/images.parquet", cut, "photographs: images.parquet is cut off"),
    ("datasets/photographs/pictures/train/*.jpg", change, "train/00000.jpg was changed"),
    ("datasets/photographs/pictures/atelier.json", lose, "pictures/atelier.json is lost"),
    ("datasets/photographs/pictures/labels.csv", empty, "pictures/labels.csv is empty"),
    ("study.yaml", cut, "study.yaml: "),
    ("site/findings.html", change, "site/findings.html was changed"),
    ("site/comparisons/source--tuned/mixed3b.html", cut, "mixed3b.html is cut off"),
    ("site/comparisons/source--tuned/mixed3b.js", cut, "mixed3b.js is cut off"),
    ("site/pictures/renderings/source/mixed3b/1.jpg", lose, "1.jpg is lost"),
]
"""A file, what happens to it, and what the next run says."""


@pytest.mark.parametrize(("place", "damage", "told"), DAMAGES)
def test_what_is_damaged_is_made_anew(done, copy, place, damage, told):
    """It is said in a line with the reason, and then all is as it was, to the byte."""
    path = min(copy.glob(place))
    damage(path)
    said = run(copy)
    lines = [line for line in said.splitlines() if line.endswith("made anew")]
    assert any(told in line for line in lines), said
    assert len(lines) == 1
    assert said.count(": train on") == (place in TRAINED)
    same_as(done, copy)


TRAINED = {
    f"networks/tuned/{file}" for file in ("weights.safetensors", "history.parquet", "manifest.json")
}
"""What only another training gives: all else of a network is made from its weights."""


def test_a_copied_folder_costs_one_look(done, copy, monkeypatch):
    """Times are others there: bytes are read, nothing is made, and the next run reads none."""
    for path in copy.rglob("*"):
        if path.name in ("predictions.parquet", "maximal.parquet") or path.suffix == ".png":
            os.utime(path)
    assert made(run(copy, explain=True)) <= {"site.json"}
    read: list[Path] = []
    real = __import__("overpaint.records.contents", fromlist=["x"]).file_digest
    monkeypatch.setattr(
        "overpaint.records.contents.file_digest", lambda path: (read.append(path), real(path))[1]
    )
    assert made(run(copy, explain=True)) == set()
    assert {path.relative_to(copy).parts[0] for path in read} <= {"datasets"}


def test_a_folder_without_digests_is_not_made_anew(copy):
    """Manifests from before there were digests get them at the first look."""
    for path in [*copy.glob("**/manifest.json"), *copy.glob("**/*.manifest.json")]:
        told = read_json(path)
        if told.get("files") is not None:
            path.write_text(json.dumps({name: value for name, value in told.items()
                                        if name not in ("files", "seal")}))  # fmt: skip
    assert made(run(copy, explain=True)) <= {"site.json"}
    assert read_manifest(copy / "comparisons/source--tuned").files is not None
    assert run(copy).count("made anew") == 0


def test_old_tables_that_are_cut_off_are_noticed(copy):
    """Without digests, a file's end tells."""
    place = copy / "comparisons/source--tuned"
    told = read_json(place / "manifest.json")
    del told["files"], told["seal"]
    (place / "manifest.json").write_text(json.dumps(told))
    cut(place / "layers.parquet")
    assert "source--tuned: layers.parquet is empty or cut off: made anew" in run(copy)


def test_a_changed_manifest_is_noticed(copy):
    """What a manifest tells has a seal."""
    path = copy / "comparisons/source--tuned/manifest.json"
    told = read_json(path)
    told["facts"]["n_maximal"] = 999
    path.write_text(json.dumps(told))
    assert "source--tuned: manifest.json was changed after it was written: made anew" in run(copy)
    assert read_json(path)["facts"]["n_maximal"] != 999


def test_names_in_a_manifest_lead_nowhere_else(copy, tmp_path):
    """A manifest that somebody wrote can name no file beyond its folder."""
    private = tmp_path / "private.txt"
    private.write_text("mine")
    place = copy / "comparisons/source--tuned"
    write_manifest(place, read_manifest(place))
    told = read_json(place / "manifest.json")
    told["files"]["../../../private.txt"] = "1 ab"
    del told["seal"]
    from overpaint.records.artefacts import _seal

    (place / "manifest.json").write_text(json.dumps(told | {"seal": _seal(told)}))
    run(copy)
    assert private.read_text() == "mine"


def test_verify_reads_what_sizes_and_times_do_not_show(copy, monkeypatch):
    """A change that leaves size and times is found by bytes, by verify and by run --verify."""
    path = copy / "findings.json"
    change(path)
    # As on a disk whose times cannot be trusted.
    monkeypatch.setattr("overpaint.records.contents._moment", lambda _status: 0)
    assert "made anew" not in run(copy)
    damages = {damage.name: damage.state for damage in verify_folder(StudyFolder(copy))}
    assert damages["findings.json"] == "changed"
    assert "findings.json was changed after it was made: made anew" in run(copy, verify=True)
    assert verify_folder(StudyFolder(copy)) == []


def test_the_command_verify(copy):
    """A line for each file that is lost, cut off, changed or foreign, and status 1."""
    command = CliRunner()
    result = command.invoke(app, ["verify", str(copy)])
    assert (result.exit_code, result.output) == (0, "")
    lose(copy / "networks/tuned/predictions.parquet")
    cut(min((copy / "thumbnails/photographs").iterdir()))
    change(copy / "site/index.html")
    change(copy / "datasets/photographs/pictures/test/00003.jpg")
    (copy / "comparisons/source--tuned/notes.txt").write_text("mine")
    shutil.rmtree(copy / "ensembles/both")
    result = command.invoke(app, ["verify", str(copy)])
    assert result.exit_code == 1
    states = {line.split()[1]: line.split()[0] for line in result.output.splitlines()}
    assert states.items() >= {
        ("networks/tuned/predictions.parquet", "lost"),
        ("site/index.html", "changed"),
        ("datasets/photographs/pictures/test/00003.jpg", "changed"),
        ("comparisons/source--tuned/notes.txt", "foreign"),
        ("ensembles/both/manifest.json", "lost"),
    }
    assert "cut" in states.values()
    told = json.loads(command.invoke(app, ["verify", str(copy), "--json"]).output)
    assert {row["name"] for row in told} == states.keys()


def test_no_folder_to_verify(tmp_path):
    """A folder of something else is said to be none."""
    with pytest.raises(RecordError, match="is no study folder"):
        verify_folder(StudyFolder(tmp_path))


def test_the_report_says_what_is_damaged(copy):
    """On its page and by the command, whose status is 1; the rest is shown."""
    change(copy / "findings.json")
    cut(copy / "networks/tuned/predictions.parquet")
    lose(copy / "renderings/source/mixed3b/1.png")
    result = CliRunner().invoke(app, ["report", str(copy)])
    assert result.exit_code == 1
    assert "damaged: findings.json was changed after it was made" in result.stderr
    assert "'overpaint run' of the study makes this anew" in result.stderr
    first, network = (
        (copy / "site" / name).read_text() for name in ("index.html", "networks/tuned.html")
    )
    changed = "findings.json was changed after it was made, and is shown as it is now: the next run"
    assert f"{changed} makes it anew." in first
    assert "Changed or missing: " in first
    findings = (copy / "site/findings.html").read_text()
    assert changed in findings
    assert "predictions.parquet" not in findings
    assert "predictions.parquet is cut off" in network
    assert "renderings/source/mixed3b/1.png is lost" in first
    run(copy)
    result = CliRunner().invoke(app, ["report", str(copy)])
    assert result.exit_code == 0
    assert "makes it anew" not in (copy / "site/index.html").read_text()


def test_every_artefact_of_a_run_lists_its_files(done):
    """No file of a study folder is in nobody's list."""
    assert verify_folder(StudyFolder(done)) == []
    for path in [*done.glob("**/manifest.json"), *done.glob("*.manifest.json")]:
        assert "files" in read_json(path)
    assert manifest_path(done / "findings.json").is_file()
