"""A study's renderings: kept one by one, so that what was drawn is never drawn again."""

import io
import shutil
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

from overpaint.errors import StudyError
from overpaint.progress import Progressing
from overpaint.records import (
    PairRenderingRow,
    RenderingRow,
    StudyFolder,
    picture_metadata,
    read_json,
    read_rows,
    write_json,
    write_picture,
)
from overpaint.render import single
from overpaint.run import run_study
from overpaint.run.datasets import keep_dataset
from overpaint.run.renderings import Drawing, keep_renderings
from overpaint.run.workspace import Workspace
from overpaint.study import read_study

STUDY = """\
study: tiny
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 24, val: 8, test: 24}}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: photographs, recipe: mode_a, with: {epochs: 1}}
compare:
  - [source, tuned]
maximal_images: 8
render: {layers: [mixed3b], channels: [1, 4, 7], steps: 20, size: 32, together: true}
"""


def study_of(folder, text=STUDY):
    file = folder.parent / "study.yaml"
    file.write_text(text)
    return read_study(str(file), [])


def carry_out(folder, text=STUDY):
    said = io.StringIO()
    run_study(study_of(folder, text), folder, Progressing(Console(file=said, soft_wrap=True)))
    return said.getvalue()


def draw(folder, text=STUDY):
    """Draw the renderings of a study that is done up to them."""
    work = workspace_of(folder, text)
    for name in work.study.datasets:
        keep_dataset(work, name)
    keep_renderings(work)


def workspace_of(folder, text=STUDY):
    progress = Progressing(Console(file=io.StringIO()))
    return Workspace(study_of(folder, text), StudyFolder(folder), progress)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one") / "run"
    carry_out(folder)
    return folder


@pytest.fixture
def copy(done, tmp_path):
    return shutil.copytree(done, tmp_path / "run")


def bytes_of(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes()
            for p in sorted((folder / "renderings").rglob("*")) if p.is_file()}  # fmt: skip


def test_rows(done):
    """Each rendering has a row, beside the best picture of the split on the same scale."""
    folder = StudyFolder(done)
    maximal = pd.read_parquet(folder.comparison("source", "tuned") / "maximal.parquet")
    for name, side in (("source", "before"), ("tuned", "after")):
        found = read_rows(folder.renderings(name) / "renderings.parquet", RenderingRow)
        assert [row.channel for row in found] == [1, 4, 7]
        for row in found:
            best = maximal.query(
                f"layer == 'mixed3b' and channel == {row.channel} and network == '{side}'"
            )
            if best.empty:
                assert row.ratio is None
                continue
            assert row.best_value == best["value"].max()
            assert row.best_image == best.sort_values("rank")["image"].iloc[0]
            assert row.ratio == pytest.approx(row.objective_end / row.best_value)
        assert any(row.ratio for row in found)


def test_pictures_carry_their_rows(done):
    """A PNG alone tells what it is and how it came out."""
    folder = StudyFolder(done)
    row = read_rows(folder.renderings("tuned") / "renderings.parquet", RenderingRow)[1]
    told = picture_metadata(folder.renderings("tuned") / "mixed3b/4.png")["row"]
    assert told == asdict(row) | dict.fromkeys(("best_image", "best_value", "ratio"))


def test_both_networks_at_once(done):
    """What both want and what only the second wants lie in a folder of the pair."""
    place = StudyFolder(done).pair_renderings("source", "tuned")
    found = read_rows(place / "renderings.parquet", PairRenderingRow)
    assert [(row.channel, row.kind) for row in found] == [
        (channel, kind) for kind in ("both", "only_after") for channel in (1, 4, 7)
    ]
    alone = read_rows(StudyFolder(done).renderings("tuned") / "renderings.parquet", RenderingRow)
    reached = {row.channel: row.objective_end for row in alone if row.status == "ok"}
    for row in found:
        assert row.reach_after == reached.get(row.channel)
        assert Image.open(place / f"mixed3b/{row.channel}-{row.kind}.png").size == (32, 32)
    site = [path for ending in ("html", "js") for path in (done / "site").rglob(f"*.{ending}")]
    pages = "".join(path.read_text() for path in site)
    assert "4-both.jpg" in pages
    assert "4-only_after.jpg" in pages


def test_a_killed_layer_goes_on(copy, monkeypatch):
    """Channels that were drawn before a kill are not drawn again, and the bytes are the same."""
    whole = bytes_of(copy)
    shutil.rmtree(copy / "renderings")
    monkeypatch.setattr(single, "together", _one_by_one(single.together))
    drawn = []
    real = write_picture

    def kill(path, *rest):
        if len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(path)
        real(path, *rest)

    monkeypatch.setattr("overpaint.run.renderings.write_picture", kill)
    with pytest.raises(KeyboardInterrupt):
        draw(copy)
    assert [path.name for path in drawn] == ["1.png", "4.png"]
    assert sorted(path.name for path in (copy / "renderings").rglob("*.png")) == ["1.png", "4.png"]
    times = {path: path.stat().st_mtime_ns for path in drawn}
    monkeypatch.setattr("overpaint.run.renderings.write_picture", real)
    draw(copy)
    assert {path: path.stat().st_mtime_ns for path in drawn} == times
    assert bytes_of(copy) == whole


def _one_by_one(real):
    """Batches of one, so that a kill comes between them."""

    def together(lenses, goals, settings, **how):
        for row, goal in enumerate(goals):
            for _, drawn in real(lenses, [goal], settings, **how):
                yield [row], drawn

    return together


def test_only_what_is_missing(copy):
    """A picture that is gone, or cut off, is drawn again; the others stay."""
    whole = bytes_of(copy)
    place = copy / "renderings/source/mixed3b"
    (place / "1.png").unlink()
    (place / "4.png").write_bytes((place / "4.png").read_bytes()[:300])
    (place / "manifest.json").unlink()
    times = (place / "7.png").stat().st_mtime_ns
    draw(copy)
    assert bytes_of(copy) == whole
    assert (place / "7.png").stat().st_mtime_ns == times


def test_more_channels(copy):
    """A study that asks for another channel draws that one; what is asked for no more goes."""
    place = copy / "renderings/tuned/mixed3b"
    times = (place / "4.png").stat().st_mtime_ns
    said = carry_out(copy, STUDY.replace("[1, 4, 7]", "[4, 9]"))
    assert "render 1 channels of tuned mixed3b" in said
    assert sorted(path.name for path in place.glob("*.png")) == ["4.png", "9.png"]
    assert (place / "4.png").stat().st_mtime_ns == times
    pair = copy / "renderings/source--tuned/mixed3b"
    assert len(list(pair.glob("*.png"))) == 4


def test_other_settings(copy):
    """Another number of steps draws all anew."""
    before = (copy / "renderings/tuned/mixed3b/4.png").read_bytes()
    draw(copy, STUDY.replace("steps: 20, size: 32, together: true", "steps: 4"))
    assert (copy / "renderings/tuned/mixed3b/4.png").read_bytes() != before


@pytest.mark.parametrize(
    "how", ["canvas: maco, spectrum: photographs", "colours: photographs", "lucid_exact: true",
            "canvas: pixel"],
)  # fmt: skip
def test_manners(copy, how):
    """Waves and colours of the study's own pictures, pixels, and Lucid to the pixel."""
    text = STUDY.replace("together: true", how).replace("steps: 20", "steps: 2")
    before = (copy / "renderings/tuned/mixed3b/4.png").read_bytes()
    draw(copy, text)
    assert (copy / "renderings/tuned/mixed3b/4.png").read_bytes() != before


BAD = [
    ("channels: some(3)", "most_changed(n)"),
    ("channels: most_changed(0)", "most_changed(n)"),
    ("channels: [1, mixed3b:4]", "channels"),
    ("channels: [mixed4a:4]", "leaves out the layer of channel mixed4a:4"),
    ("canvas: maco", "spectrum: DATASET"),
    ("canvas: maco, spectrum: photograph", "did you mean 'photographs'"),
    ("colours: photograph", "did you mean 'photographs'"),
    ("canvas: maco, spectrum: photographs, lucid_exact: true", "lucid_exact goes with"),
    ("spectrum: photographs", "'canvas: maco'"),
    ("canvas: oil", "fourier"),
]


@pytest.mark.parametrize(("line", "said"), BAD, ids=[bad[0] for bad in BAD])
def test_bad_settings(tmp_path, line, said):
    """Each mistake is found when the study is read, with what would be right."""
    text = STUDY.partition("render:")[0] + f"render: {{layers: [mixed3b], {line}}}\n"
    with pytest.raises(StudyError) as caught:
        study_of(tmp_path / "run", text)
    assert said in str(caught.value)


def test_units_name_their_layers(tmp_path):
    """Channels by their names need no list of layers."""
    text = STUDY.partition("render:")[0] + "render: {channels: [mixed4a:4, mixed3b:1]}\n"
    study = study_of(tmp_path / "run", text)
    assert study.render.layers == ["mixed4a", "mixed3b"]
    assert study_of(tmp_path / "run", study.to_yaml()).render == study.render


def test_a_picture_of_somebody_else(tmp_path):
    """A PNG without what is told, another file, and none: nothing is told by them."""
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("no picture")
    for name in ("plain.png", "text.png", "nowhere.png"):
        assert picture_metadata(tmp_path / name) is None
    write_picture(tmp_path / "own.png", np.zeros((4, 4, 3), np.uint8), {"key": "a"})
    assert picture_metadata(tmp_path / "own.png") == {"key": "a"}


def test_grey_is_another_rendering(copy):
    """What is painted in grey, because all its networks see one channel, is told from colour."""
    keys = {}
    for order in ("RGB", "grey"):
        for manifest in copy.glob("networks/*/manifest.json"):
            told = read_json(manifest)
            told["facts"]["preprocessing"]["order"] = order
            write_json(manifest, told)
        work = workspace_of(copy)
        keys[order] = Drawing(work, work.study.render).wanted({}).key
    assert keys["RGB"] != keys["grey"]
