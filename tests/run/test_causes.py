"""Causes in a study: made once, kept, and told of by a dry run; and networks that are mixed."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from overpaint.cli import app
from overpaint.progress import Progressing
from overpaint.records import (
    CausesFacts,
    NetworkFacts,
    Scores,
    StudyFolder,
    facts_of,
    read_json,
    read_manifest,
    read_table,
    verify_folder,
)
from overpaint.report.pages.network import summary
from overpaint.report.study.reading import read_records
from overpaint.run import run_study
from overpaint.run.extents import pictures_of
from overpaint.run.reckoning import goes_by_layer, is_wanted
from overpaint.run.workspace import Workspace
from overpaint.study import read_study
from overpaint.study.causes import pairs_of_weights, parent_of_task

STUDY = """\
study: causes
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 24, val: 8, test: 16}}
  manners: {kind: atelier, task: manners, sizes: {train: 24, val: 8, test: 16}}
networks:
  middle: {mixed: {of: [tuned, tuned.2], at: best}}
  half: {mixed: {of: [source, tuned], at: 0.5}}
  source:
    {load: inception_small, weights: random, fit: photographs, recipe: frozen, with: {epochs: 1}}
  tuned: {from: source, fit: manners, recipe: mode_a, with: {epochs: 1}, repeats: 3}
compare: [[source, tuned], [tuned, middle]]
maximal_images: 4
causes: [rewind, between, forgetting]
"""

ONE, TWINS = "causes/source--tuned", {"causes/tuned--tuned.2", "causes/tuned--tuned.3"}


def carry_out(folder: Path, *overrides: str, dry: bool = False) -> str:
    """Run the study into a folder, its report left out; what was said, with the reasons."""
    file = folder.parent / "study.yaml"
    file.write_text(STUDY)
    said = io.StringIO()
    progress = Progressing(Console(file=said, soft_wrap=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("overpaint.run.keep_site", lambda work: work.folder.site / "index.html")
        run_study(read_study(str(file), overrides), folder, progress, explain=True, dry=dry)
    return said.getvalue()


def made(said: str) -> set[str]:
    """The artefacts that a run made, or that a dry run would make."""
    lines = [line.split(": ")[0] for line in said.splitlines()]
    return {line.split("  ")[1] for line in lines if line.startswith(("made  ", "to make  "))}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder that a run has filled, and what a dry run had said before."""
    folder = tmp_path_factory.mktemp("causes") / "run"
    told = carry_out(folder, dry=True)
    carry_out(folder)
    return folder, told


@pytest.fixture
def copy(done, tmp_path):
    return shutil.copytree(done[0], tmp_path / "run")


def facts(folder: Path, before: str, after: str) -> CausesFacts:
    return facts_of(read_manifest(StudyFolder(folder).causes(before, after)), CausesFacts)


def test_each_pair_of_a_training_has_its_tables(done):
    """Those compared have all, repeats the middle of the way to the first; mixes have none."""
    folder, told = done
    assert {path.name for path in (folder / "causes").iterdir()} == {
        "source--tuned", "tuned--tuned.2", "tuned--tuned.3"
    }  # fmt: skip
    assert {ONE, *TWINS} <= made(told)
    rewound, between, forgotten = (
        read_table(folder / ONE / f"{name}.parquet") for name in ("rewind", "between", "forgetting")
    )
    layers = facts_of(read_manifest(folder / "networks/tuned"), NetworkFacts).layers
    assert list(dict.fromkeys(rewound["layer"])) == layers
    assert [len(rewound), len(between), len(forgotten)] == [3 * len(layers), 13, 7]
    of_twins = read_table(folder / "causes/tuned--tuned.2/between.parquet")
    assert list(of_twins["alpha"]) == [0.0, 0.5, 1.0]
    assert facts(folder, "tuned", "tuned.2").barrier is not None
    assert facts(folder, "source", "tuned").barrier is None  # they name other classes


def test_the_ends_of_the_way_are_the_scores_of_the_networks(done):
    """At 1 is what the network after scored, and at 0 of what was forgotten the parent's."""
    folder, _ = done
    scores = {
        name: Scores.from_json(read_json(folder / f"networks/{name}/scores.json")).scores["top1"]
        for name in ("source", "tuned", "middle")
    }
    between = read_table(folder / ONE / "between.parquet").set_index("alpha")
    forgotten = read_table(folder / ONE / "forgetting.parquet").set_index("alpha")
    assert between.loc[1.0, "value"] == scores["tuned"].value
    assert forgotten.loc[0.0, "value"] == scores["source"].value
    told = facts(folder, "source", "tuned")
    assert (told.parent, told.parent_dataset, told.score) == ("source", "photographs", "top1")
    lost = scores["source"].value - forgotten.loc[1.0, "value"]
    assert told.lost.value == pytest.approx(lost)
    assert told.best.value == between.loc[told.best_alpha, "value"]


def test_a_mixed_network_lies_on_the_way(done):
    """Its weights are in between, its place is told; it is scored and compared as others are."""
    from overpaint.networks import open_network

    folder, _ = done
    source, tuned, half = (
        open_network(folder / "networks" / name).tensors() for name in ("source", "tuned", "half")
    )
    name = "conv2d0_pre_relu.0.weight"
    np.testing.assert_allclose(half[name], (source[name] + tuned[name]) / 2, atol=1e-7)
    assert (half["head.weight"] == tuned["head.weight"]).all()
    told = facts_of(read_manifest(folder / "networks/middle"), NetworkFacts)
    assert told.mixed == ["tuned", "tuned.2"]
    assert 0 <= told.alpha <= 1.2
    assert (folder / "networks/middle/scores.json").is_file()
    assert (folder / "comparisons/tuned--middle/layers.parquet").is_file()
    records = read_records(StudyFolder(folder))
    assert summary(records, records.networks["middle"]).startswith("Mixed, not trained: it lies")


def test_a_second_run_makes_nothing_and_other_wishes_what_they_name(copy):
    """Fewer causes are other tables; none leave the folder as it is, for `clean` to take."""
    assert made(carry_out(copy)) == set()
    assert made(carry_out(copy, "causes=[rewind]")) == {ONE, "findings.json"}
    assert sorted(path.name for path in (copy / ONE).glob("*.parquet")) == ["rewind.parquet"]
    assert made(carry_out(copy, "causes=false")) == {"findings.json"}
    assert verify_folder(StudyFolder(copy)) == []
    said = CliRunner().invoke(app, ["clean", str(copy), "--dry-run"]).output
    assert all(f"would remove  {place}  " in said for place in (ONE, *TWINS))


def test_what_was_looked_for_once_stays_true_where_nothing_is_said(copy):
    """Without the key, tables that are there are kept as if they were asked for."""
    assert not {ONE, *TWINS} & made(carry_out(copy, "causes=null"))  # what is cheap is looked for
    (copy / ONE / "rewind.parquet").unlink()
    assert made(carry_out(copy, "causes=null")) == {ONE}
    assert (copy / ONE / "rewind.parquet").is_file()


def test_a_training_that_is_another_reaches_what_follows(copy):
    """Its causes and mixes are made anew, the others kept."""
    told = made(carry_out(copy, "networks.tuned.with.epochs=2", dry=True))
    assert {ONE, *TWINS, "networks/half", "networks/middle"} <= told


def test_where_nothing_is_said_the_price_decides(tmp_path):
    """A tenth of three times the epochs times the pictures is the limit, for each cause alone."""
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)

    def wanted(epochs: int) -> list[str]:
        overrides = ["causes=null", f"networks.tuned.with.epochs={epochs}"]
        quiet = Progressing(Console(quiet=True))
        study = read_study(str(file), overrides)
        work = Workspace(study, StudyFolder(tmp_path / "run"), quiet, dry=True)
        assert pictures_of(work, "manners") == {"train": 24, "val": 8, "test": 16}
        words = [word for word in ("rewind", "between", "forgetting") if is_wanted(work, word)]
        return [*words, *(["by layer"] if goes_by_layer(work) else [])]

    # 8 layers: rewinding takes 3 × 8 × 16 = 384; the way 13 × (16 + 8 + 24) and twice 3 × 40, 864;
    # forgetting 7 × 40 = 280; by layer 11 × 8 × 40 = 3,520. A training of an epoch is 72, and
    # there are three besides the source's.
    assert wanted(1) == []
    assert wanted(13) == ["forgetting"]
    assert wanted(18) == ["rewind", "forgetting"]
    assert wanted(41) == ["rewind", "between", "forgetting"]
    assert wanted(165) == ["rewind", "between", "forgetting", "by layer"]


def test_whose_task_may_be_forgotten():
    """The first of a pair where the second comes from it, else its parent; nobody's without one."""
    study = read_study("demo")
    assert parent_of_task(study, "photographs", "double") == "photographs"
    assert parent_of_task(study, "fine_tuned", "double") == "fine_tuned"
    assert parent_of_task(study, "fine_tuned", "fine_tuned.2") == "photographs"
    assert parent_of_task(study, "scratch.init", "scratch") is None
    assert ("single", "double") in pairs_of_weights(study)
