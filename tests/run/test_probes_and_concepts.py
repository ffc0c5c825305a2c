"""Probes and difference concepts of a study: what is made, of what, and what makes it anew."""

import io
import shutil
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from overpaint.cli.clean import clean
from overpaint.progress import Progressing
from overpaint.records import (
    ConceptFacts,
    ConceptImageRow,
    ConceptRow,
    ProbeFacts,
    ProbeRow,
    StudyFolder,
    facts_of,
    read_manifest,
    read_rows,
    verify_folder,
)
from overpaint.run import run_study
from overpaint.run.room import room
from overpaint.run.workspace import Workspace
from overpaint.study import read_study
from overpaint.study.causes import are_twins, repeats_of

STUDY = """\
study: known
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 24, val: 8, test: 48}}
  subjects: {kind: atelier, task: subjects, sizes: {train: 16, val: 8, test: 12}}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: photographs, recipe: mode_a, with: {epochs: 1}, repeats: 2}
  frozen: {from: source, fit: photographs, recipe: frozen, with: {epochs: 1}}
  double: {from: tuned, fit: subjects, recipe: mode_a, with: {epochs: 1}}
compare:
  - [source, tuned]
  - [tuned, tuned.2]
  - {pair: [tuned, double], on: subjects/test}
maximal_images: 4
causes: [probe, concepts]
"""

PROBES = {
    *(f"probes/{name}/photographs" for name in ("source", "tuned", "tuned.2", "frozen")),
    *(f"probes/{name}/subjects" for name in ("tuned", "double")),
}
CONCEPTS = {
    f"concepts/{pair}" for pair in ("source--tuned", "tuned--tuned.2", "tuned--double")
}  # fmt: skip


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
    """The probes and concepts that a run made, or that a dry run would make."""
    lines = [line.split(": ")[0] for line in said.splitlines()]
    places = {line.split("  ")[1] for line in lines if line.startswith(("made  ", "to make  "))}
    return {place for place in places if place.startswith(("probes/", "concepts/"))}


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("known") / "run"
    assert made(run(folder, dry=True)) == PROBES | CONCEPTS
    said = run(folder)
    assert made(said) == PROBES | CONCEPTS
    # all networks that lack something on a split are run over it at once
    assert said.count("features of source and tuned and tuned.2 and frozen on photographs/") == 2
    return folder


@pytest.fixture
def copy(done, tmp_path) -> Path:
    return shutil.copytree(done, tmp_path / "run")


def test_every_layer_is_probed_in_both_ways(done):
    """A row a layer and method, with score, interval and chance, in the order of the layers; what a
    network was probed on its manifest tells.
    """
    folder = StudyFolder(done)
    rows = read_rows(folder.probe("tuned", "photographs") / "probe.parquet", ProbeRow)
    layers = read_manifest(folder.network("tuned")).facts["layers"]
    assert [(row.layer, row.method) for row in rows] == [
        (layer, method) for layer in layers for method in ("linear", "neighbours")
    ]
    assert {(row.network, row.n_train, row.n, row.status) for row in rows} == {
        ("tuned", 24, 48, "ok")
    }
    assert all(row.low <= row.value <= row.high and 0 < row.chance < 1 for row in rows)
    several = read_manifest(folder.probe("tuned", "subjects"))
    assert facts_of(several, ProbeFacts) == ProbeFacts(
        dataset="subjects", n_train=16, of_train=16, n=12, multi_label=True
    )


def test_a_frozen_backbone_knows_what_its_start_knows(done):
    """A head alone was trained: the layers say what they said before, in every digit."""
    folder = StudyFolder(done)
    first, second = (
        pd.read_parquet(folder.probe(name, "photographs") / "probe.parquet").drop(columns="network")
        for name in ("source", "frozen")
    )
    pd.testing.assert_frame_equal(first, second)


def test_concepts_are_groups_of_pictures_with_what_they_show(done):
    """Each concept has its pictures, the most typical first, its class and lift, and its gain
    beside luck.
    """
    place = StudyFolder(done).concepts("source", "tuned")
    rows = read_rows(place / "concepts.parquet", ConceptRow)
    images = read_rows(place / "images.parquet", ConceptImageRow)
    assert {row.held_by for row in rows} == {"before", "after"}
    for row in rows:
        members = [
            image
            for image in images
            if (image.layer, image.held_by, image.number) == (row.layer, row.held_by, row.number)
        ]
        assert [image.rank for image in members] == list(range(1, row.n + 1))
        shown = [row.top_class in image.label.split(" · ") for image in members]
        assert row.top_share == pytest.approx(sum(shown) / row.n)
        assert row.beyond_luck == (min(row.gain, row.repeated) > row.luck)
        assert row.q >= row.p
    assert facts_of(read_manifest(place), ConceptFacts) == ConceptFacts(
        dataset="photographs", split="test", n=48, of=48, repeats=[("source", "tuned.2")]
    )


def test_what_two_trainings_of_one_route_show_is_luck(done):
    """No concept of twins is beyond luck: the largest gain is the luck of its layer."""
    place = StudyFolder(done).concepts("tuned", "tuned.2")
    rows = read_rows(place / "concepts.parquet", ConceptRow)
    assert rows
    assert not any(row.beyond_luck for row in rows)
    for layer in {row.layer for row in rows}:
        of_layer = [row for row in rows if row.layer == layer]
        assert {row.luck for row in of_layer} == {max(row.gain for row in of_layer)}
    assert facts_of(read_manifest(place), ConceptFacts).of_twins


def test_too_few_pictures_leave_empty_tables_and_a_note(done):
    """Twelve pictures make no groups: the tables are there, and the manifest says why they are
    empty.
    """
    place = StudyFolder(done).concepts("tuned", "double")
    assert read_rows(place / "concepts.parquet", ConceptRow) == []
    assert "at least 40 pictures; got 12" in facts_of(read_manifest(place), ConceptFacts).notes[0]


def test_a_second_run_makes_nothing(done):
    """All is kept, and verified whole."""
    assert made(run(done)) == set()
    assert verify_folder(StudyFolder(done)) == []


def test_a_run_that_is_complete_needs_no_room(done):
    """Of probes and concepts nothing is asked for either."""
    quiet = Progressing(Console(quiet=True))
    study = read_study(str(done.parent / "study.yaml"))
    needs = room(Workspace(study, StudyFolder(done), quiet, dry=True))
    assert needs["features"] == needs["concepts"] == needs["probes"] == 0


def test_what_is_damaged_is_made_anew_and_nothing_else(copy):
    """A table that is cut off, one that is lost, and features that are gone: each is told of, and
    comes back with the same bytes.
    """
    concepts = copy / "concepts/source--tuned/concepts.parquet"
    probe = copy / "probes/frozen/photographs/probe.parquet"
    before = concepts.read_bytes(), probe.read_bytes()
    concepts.write_bytes(before[0][:100])
    probe.unlink()
    shutil.rmtree(copy / "features/frozen")
    assert {(damage.name, damage.state) for damage in verify_folder(StudyFolder(copy))} >= {
        ("concepts/source--tuned/concepts.parquet", "cut"),
        ("probes/frozen/photographs/probe.parquet", "lost"),
    }
    said = run(copy)
    assert made(said) == {"concepts/source--tuned", "probes/frozen/photographs"}
    assert "features of frozen on photographs/train" in said
    assert "features of source" not in said
    assert (concepts.read_bytes(), probe.read_bytes()) == before


def test_another_seed_makes_them_anew(copy):
    """Halves of channels, draws and intervals come from the seed."""
    assert made(run(copy, STUDY.replace("study: known", "study: known\nseed: 1"), dry=True)) == (
        PROBES | CONCEPTS
    )


def test_what_is_not_asked_for_is_neither_made_nor_kept_by_clean(copy):
    """A study that wants no causes makes none, and clean removes what lies there."""
    assert made(run(copy, STUDY.replace("[probe, concepts]", "false"))) == set()
    removed = {line.split("  ")[1] for line in clean(copy) if line.startswith("removed  ")}
    assert removed >= PROBES | CONCEPTS


def test_a_file_of_somebody_else_is_not_written_over(copy):
    """In the place of probes and concepts too."""
    (copy / "probes/source/photographs/mine.txt").write_text("mine")
    (copy / "concepts/source--tuned/concepts.parquet").unlink()
    run(copy)
    assert (copy / "probes/source/photographs/mine.txt").read_text() == "mine"


ROUTES = """\
study: routes
datasets: {art: {kind: folder, root: .}, small: {kind: folder, root: .}}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: art, recipe: mode_a, repeats: 4}
  once: {from: source, fit: small, recipe: mode_a}
  double: {from: tuned, fit: small, recipe: mode_a, repeats: 2}
  scratch: {load: inception_small, fit: art, recipe: from_scratch, repeats: 2}
"""


@pytest.mark.parametrize(
    ("pair", "repeats"),
    [
        (("source", "tuned"), [("source", "tuned.2"), ("source", "tuned.3")]),
        (("source", "tuned.3"), [("source", "tuned"), ("source", "tuned.2")]),
        (("source", "once"), []),
        (("tuned", "tuned.2"), []),
        (("tuned", "double"), [("tuned.2", "double.2"), ("tuned.3", "double")]),
        (("once", "double"), [("once", "double.2")]),
        (("scratch.init", "scratch"), [("scratch.2.init", "scratch.2")]),
    ],
)
def test_repeats_of_a_comparison(tmp_path, pair, repeats):
    """Trainings of one number belong together; who was trained once stands in all repeats."""
    (tmp_path / "study.yaml").write_text(ROUTES)
    study = read_study(str(tmp_path / "study.yaml"))
    assert repeats_of(study, *pair) == repeats
    assert are_twins(study, *pair) == (pair == ("tuned", "tuned.2"))
