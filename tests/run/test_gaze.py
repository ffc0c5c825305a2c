"""Where the networks of a study look: what is made, of what, what makes it anew, and what stays."""

import io
import shutil
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from overpaint.cli.clean import clean
from overpaint.datasets.catalogue import Picture, Split
from overpaint.errors import MissingExtraError, NetworkError, StudyError
from overpaint.gaze import captum
from overpaint.progress import Progressing
from overpaint.records import (
    GazeFacts,
    GazePictureRow,
    GazeTileRow,
    StudyFolder,
    facts_of,
    read_manifest,
    read_rows,
    verify_folder,
)
from overpaint.run import run_study
from overpaint.run.gaze import pictures_to_look_on
from overpaint.study import Study, read_study
from overpaint.study.idle import idle_keys
from overpaint.study.places import places

STUDY = """\
study: looked
datasets:
  manners: {kind: atelier, task: manners, sizes: {train: 24, val: 8, test: 24}}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: manners, recipe: mode_a, with: {epochs: 1}}
compare:
  - [source, tuned]
  - [tuned.init, tuned]
render: {layers: [mixed4a, mixed5a], channels: most_changed(2), steps: 1, size: 16}
maximal_images: 4
causes: false
gaze: {pictures: 4}
"""

PAIRS = {"gazes/source--tuned", "gazes/tuned.init--tuned"}


def run(folder: Path, text: str = STUDY, **how: bool) -> str:
    """Run the study into a folder; what was said, with the reasons."""
    file = folder.parent / "study.yaml"
    file.write_text(text)
    said = io.StringIO()
    progress = Progressing(Console(file=said, soft_wrap=True))
    with pytest.MonkeyPatch.context() as patch:  # the report takes longer than all the rest
        patch.setattr("overpaint.run.keep_site", lambda work: work.folder.site / "index.html")
        run_study(read_study(str(file)), folder, progress, explain=True, **how)
    return said.getvalue()


def made(said: str) -> set[str]:
    """The gazes that a run made, or that a dry run would make."""
    lines = [line.split(": ")[0] for line in said.splitlines()]
    found = {line.split("  ")[1] for line in lines if line.startswith(("made  ", "to make  "))}
    return {place for place in found if place.startswith("gazes/")}


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("looked") / "run"
    assert made(run(folder)) == PAIRS
    return folder


def test_pictures_tiles_and_facts_tell_of_one_another(done):
    """Each picture has its tiles, numbered as they stand on the sheet, and every layer its pair."""
    place = StudyFolder(done).gaze("tuned.init", "tuned")
    facts = facts_of(read_manifest(place), GazeFacts)
    pictures = read_rows(place / "pictures.parquet", GazePictureRow)
    tiles = read_rows(place / "tiles.parquet", GazeTileRow)
    assert facts.layers == ["mixed4a", "mixed5a"]
    assert facts.methods == ["grad_cam", "integrated_gradients"]
    assert [row.number for row in pictures] == [0, 1, 2, 3]
    assert [row.chosen_for == "unlike" for row in pictures] == [True, True, False, False]
    assert {row.split for row in pictures if row.chosen_for == "unlike"} == {"test"}
    assert [row.tile for row in tiles] == list(range(len(tiles)))
    for row in pictures:
        assert row.in_before  # an initialisation has the head of what was begun from it
        of_picture = [(tile.kind, tile.network) for tile in tiles if tile.picture == row.number]
        sides = [(kind, side) for _ in "ab" for kind in ("heat", "colours")
                 for side in ("before", "after")]  # fmt: skip
        attributed = [
            (method, side) for method in facts.methods for side in ("before", "after", "randomised")
        ]
        assert of_picture == [("picture", ""), *sides, *attributed]
    gaps = [tile.gap for tile in tiles if tile.kind == "integrated_gradients"]
    assert [gap is None for gap in gaps] == 4 * [False, False, True]
    assert all(tile.alike is not None or tile.network != "randomised" or tile.places == 16
               for tile in tiles)  # fmt: skip


def test_a_network_without_the_class_has_no_attribution_of_it(done):
    """The start names other classes than its training: heat in both, attribution after alone."""
    place = StudyFolder(done).gaze("source", "tuned")
    tiles = read_rows(place / "tiles.parquet", GazeTileRow)
    assert {tile.network for tile in tiles if tile.kind == "heat"} == {"before", "after"}
    assert {tile.network for tile in tiles if tile.kind == "grad_cam"} == {"after", "randomised"}
    assert not any(row.in_before for row in read_rows(place / "pictures.parquet", GazePictureRow))


def test_nothing_is_made_twice_and_the_bytes_are_those_of_the_seed(done, tmp_path):
    """A second run keeps all; made anew, the sheet has the same bytes."""
    assert made(run(done)) == set()
    sheet = StudyFolder(done).gaze("source", "tuned") / "sheet.webp"
    before = sheet.read_bytes()
    sheet.write_bytes(b"cut")
    assert made(run(done)) == {"gazes/source--tuned"}
    assert sheet.read_bytes() == before
    assert [row for row in verify_folder(StudyFolder(done)) if row.name.startswith("gazes")] == []


def test_without_captum_what_is_there_stays_and_what_is_asked_for_is_refused(
    done, tmp_path, monkeypatch
):
    """Attributions that were made are not taken away; where there are none, the page is told why;
    asked for by name they are refused before anything is trained.
    """
    monkeypatch.setattr(captum, "has_captum", lambda: False)
    monkeypatch.setitem(__import__("sys").modules, "captum", None)
    monkeypatch.setitem(__import__("sys").modules, "captum.attr", None)
    assert made(run(done)) == set()
    asked = STUDY.replace("pictures: 4", "pictures: 4, attribution: true")
    assert made(run(done, asked)) == set()
    with pytest.raises(MissingExtraError, match=r"overpaint\[attribution\]"):
        run(tmp_path / "run", asked)
    assert not (tmp_path / "run" / "networks").exists()
    run(tmp_path / "run")
    place = StudyFolder(tmp_path / "run").gaze("source", "tuned")
    facts = facts_of(read_manifest(place), GazeFacts)
    assert facts.methods == []
    assert "overpaint[attribution]" in facts.no_attribution
    assert {tile.kind for tile in read_rows(place / "tiles.parquet", GazeTileRow)} == {
        "picture", "heat", "colours",
    }  # fmt: skip


def test_what_is_asked_for_is_made_and_what_is_not_is_cleaned_away(done, tmp_path):
    """Fewer pictures make it anew; false makes nothing, and `clean` removes what is there."""
    few = STUDY.replace("pictures: 4", "pictures: 2, attribution: false")
    assert made(run(done, few, dry=True)) == PAIRS
    assert made(run(done, STUDY.replace("{pictures: 4}", "false"))) == set()
    removed = "\n".join(clean(done, dry=True))
    assert all(pair in removed for pair in PAIRS)
    assert made(run(done)) == set()  # and the study is as it was


def test_what_cannot_be_looked_at_costs_nothing_else(done, tmp_path, monkeypatch):
    """A network that cannot be read so, and a Captum that cannot be imported, are notes."""
    folder = shutil.copytree(done, tmp_path / "run")

    def refuse(*_args, **_options):
        raise NetworkError("rows-not-pictures", "no row a picture")

    place = StudyFolder(folder).gaze("source", "tuned")
    few = STUDY.replace("pictures: 4", "pictures: 2")
    monkeypatch.setitem(__import__("sys").modules, "captum.attr", None)
    assert made(run(folder, few)) == PAIRS
    facts = facts_of(read_manifest(place), GazeFacts)
    assert facts.methods == []
    assert [note.split(":")[0] for note in facts.notes] == [
        "No grad cam",
        "No integrated gradients",
    ]
    monkeypatch.setattr("overpaint.gaze.looking.maps_of", refuse)
    assert made(run(folder, few.replace("pictures: 2", "pictures: 3"))) == PAIRS
    assert "no row a picture" in facts_of(read_manifest(place), GazeFacts).notes[0]
    assert not (place / "sheet.webp").exists()
    assert made(run(folder, few.replace("pictures: 2", "pictures: 3"))) == set()


def test_where_nothing_is_said_it_is_looked_where_that_costs_little(tmp_path):
    """Beside so small a training it is not; beside a longer one it is, without attributions."""
    unsaid = STUDY.replace("gaze: {pictures: 4}\n", "")
    assert made(run(tmp_path / "run", unsaid, dry=True)) == set()
    assert made(run(tmp_path / "run", unsaid.replace("epochs: 1", "epochs: 99"), dry=True)) == PAIRS


def test_what_a_study_may_say():
    """True, false and a mapping; anything else names what would do."""

    def study(said):
        base = {"study": "x", "networks": {"a": {"load": "inception_small"}}, "gaze": said}
        return Study.model_validate(base)

    assert study(True).gaze.pictures == 8
    assert study(False).gaze.pictures == 0
    assert study(None).gaze is None
    assert ("gaze",) in [place for place, _ in idle_keys(study(True))]
    assert not [place for place in places(read_study("demo", ["gaze=false"])) if "gazes" in place]
    for said in ("gaze=yess", "gaze.pictures=65", "gaze.picture=3", "gaze=[heat]"):
        with pytest.raises(StudyError) as told:
            read_study("demo", [said])
        assert told.value.slug in ("bad-value", "unknown-key")


def split_of(name, images):
    pictures = tuple(Picture(image=image, split=name, labels=("a",)) for image in images)
    return Split(
        dataset="art", name=name, root=Path(), pictures=pictures, classes=("a",), multi_label=False
    )


def test_pictures_are_chosen_by_rule():
    """Half by first maximal images, in turn over the layers, the rest by how unlike they are."""
    test, train = split_of("test", "abcdef"), split_of("train", "uvwxyz")
    alike = pd.DataFrame(
        {
            "layer": ["low"] * 6 + ["high"] * 6,
            "position": [0] * 6 + [1] * 6,
            "image": list("abcdef") * 2,
            "alike": [0.1, *[0.9] * 5, 0.9, 0.2, 0.5, 0.2, 0.8, 0.7],
        }
    )
    first = {("high", 3): "u", ("high", 7): "v", ("low", 1): "u", ("low", 2): "w"}
    maximal = pd.DataFrame(
        [
            {"layer": layer, "channel": channel, "network": network, "rank": rank, "image": image}
            for (layer, channel), image in first.items()
            for network, rank in (("before", 1), ("after", 1), ("after", 2))
        ]
    )
    units = {"high": [(3, 3), (7, 7)], "low": [(1, 1), (2, 2)]}
    rows = pictures_to_look_on(alike, maximal, units, (test, train), 5)
    told = [(split.name, picture.image, chosen_for) for split, picture, chosen_for, _ in rows]
    assert told == [
        ("test", "b", "unlike"), ("test", "d", "unlike"), ("test", "c", "unlike"),
        ("train", "u", "high:3"), ("train", "v", "high:7"),
    ]  # fmt: skip
    assert [alike for *_, alike in rows] == [0.2, 0.2, 0.5, None, None]
    assert len(pictures_to_look_on(alike[:0], maximal[:0], {}, (test, train), 5)) == 0
