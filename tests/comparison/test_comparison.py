"""Two networks by layer: one architecture, two architectures, one network twice."""

import io

import numpy as np
import pytest
import torch
from rich.console import Console

from overpaint.comparison import compare
from overpaint.datasets.opening import dataset
from overpaint.errors import StudyError
from overpaint.features import features_of, stored
from overpaint.measures.cka import cka_interval, linear_cka
from overpaint.measures.similarity import mutual_neighbours, procrustes
from overpaint.networks import build
from overpaint.progress import Progressing
from overpaint.records import (
    LayerRow,
    MatrixRow,
    PlaneRow,
    StudyFolder,
    WeightRow,
    read_manifest,
    read_rows,
)
from overpaint.run import run_study
from overpaint.study import Study, read_study

STUDY = """\
study: pairs
datasets:
  manners: {kind: atelier, task: manners, sizes: {train: 24, val: 12, test: 16}}
networks:
  small: {load: inception_small, weights: random}
  scratch: {load: inception_small, fit: manners, recipe: from_scratch, with: {epochs: 1}}
  other: {load: "torchvision:resnet18", weights: random}
compare:
  - {pair: [small, other], on: manners/test}
  - {pair: [small, small], on: manners/test}
  - {pair: [small, scratch], on: manners/test, reduction: sampled}
  - {pair: [scratch.init, scratch], on: manners/test, reduction: flattened}
maximal_images: 4
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> StudyFolder:
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "study.yaml").write_text(STUDY)
    study = read_study(str(folder / "study.yaml"))
    run_study(study, folder / "run", Progressing(Console(file=io.StringIO())))
    return StudyFolder(folder / "run")


def tables(folder, before, after):
    place = folder.comparison(before, after)
    kinds = {"layers": LayerRow, "matrix": MatrixRow, "weights": WeightRow}
    return [read_rows(place / f"{name}.parquet", kind) for name, kind in kinds.items()]


def page(folder, before, after):
    return (folder.site / "comparisons" / f"{before}--{after}.html").read_text()


def test_two_architectures_have_a_matrix(done):
    """Networks without a layer name in common: layers × layers, and no table by layer."""
    layers, matrix, _ = tables(done, "small", "other")
    names = [read_manifest(done.network(name)).facts["layers"] for name in ("small", "other")]
    assert layers == []
    assert [(row.layer_before, row.layer_after) for row in matrix] == [
        (old, new) for old in names[0] for new in names[1]
    ]
    assert all(row.status == "ok" and 0 <= row.cka <= 1 for row in matrix)
    assert all(row.n_images == 16 and row.reduction == "mean" for row in matrix)
    notes = read_manifest(done.comparison("small", "other")).facts["notes"]
    assert "share no layer name" in notes[0]
    assert "no start in common" in notes[1]
    assert "share no layer name" in page(done, "small", "other")


def test_too_few_pictures_have_no_map(done):
    """The table is there and empty, and the page says why there is no map."""
    for pair in (("small", "other"), ("small", "scratch")):
        facts = read_manifest(done.comparison(*pair)).facts["plane"]
        assert "needs at least 22 images; got 16" in facts["status"]
        assert read_rows(done.comparison(*pair) / "plane.parquet", PlaneRow) == []
        assert "There is no map of the pictures: needs at least 22" in page(done, *pair)


def test_the_matrix_holds_the_layers_own_values(done):
    """In each pair's reduction, the row of a layer is the cell of it with itself."""
    for pair in (("small", "scratch"), ("scratch.init", "scratch")):
        layers, matrix, _ = tables(done, *pair)
        cells = {(row.layer_before, row.layer_after): row for row in matrix}
        assert len(cells) == len(layers) ** 2
        for row in layers:
            cell = cells[row.layer, row.layer]
            assert cell.reduction == row.reduction
            assert cell.cka == pytest.approx(row.cka, abs=1e-10)
            assert cell.cka_debiased == pytest.approx(row.cka_debiased, abs=1e-10)


@pytest.mark.parametrize(
    ("before", "reduction"), [("small", "sampled"), ("scratch.init", "flattened")]
)
def test_layers_are_compared_in_the_reduction_asked_for(done, before, reduction):
    """Wide features of whole maps and of sampled positions, read from the store."""
    layers, _, _ = tables(done, before, "scratch")
    for row in layers:
        x, y = (np.asarray(stored(done.features(name, "manners", "test"), row.layer, reduction))
                for name in (before, "scratch"))  # fmt: skip
        assert row.reduction == reduction
        assert row.channels == y.shape[1]
        assert row.cka == pytest.approx(linear_cka(x, y), abs=1e-12)
        assert row.cka_debiased == pytest.approx(linear_cka(x, y, debiased=True), abs=1e-12)
        assert (row.cka_low, row.cka_high) == pytest.approx(cka_interval(x, y), abs=1e-12)
        assert row.procrustes == pytest.approx(procrustes(x, y), abs=1e-7)
        assert row.mutual_neighbours == mutual_neighbours(x, y)
        assert row.mutual_neighbours_chance == 10 / 15


def test_one_network_twice_has_not_changed(done):
    """In numbers, exactly and everywhere, and in words."""
    layers, matrix, weights = tables(done, "small", "small")
    for row in layers:
        likeness = (row.cka, row.cka_low, row.cka_high, row.cka_debiased, row.cka_debiased_low,
                    row.cka_debiased_high, row.mutual_neighbours)  # fmt: skip
        assert likeness == (1,) * 7
        assert row.procrustes == 0
        assert row.status == "ok"
    own = [row for row in matrix if row.layer_before == row.layer_after]
    assert len(own) == len(layers)
    assert all(row.cka == pytest.approx(1, abs=1e-12) for row in own)
    assert all(row.cka_debiased == pytest.approx(1, abs=1e-12) for row in own)
    assert {(row.l2, row.status) for row in weights} == {(0, "identical")}
    assert "No change: at each layer" in page(done, "small", "small")
    for name in ("other", "scratch"):
        assert "No change" not in page(done, "small", name)


def test_why_the_biased_value_is_high_is_said(done):
    """The report tells why unrelated features seem alike to the biased value."""
    assert "each picture is wholly like itself in both networks" in page(done, "small", "scratch")


def test_weights_of_networks_that_began_apart(done):
    """Matched filters are nearer, and it is said that the plain distance means little."""
    for before, apart in (("small", True), ("scratch.init", False)):
        _, _, weights = tables(done, before, "scratch")
        told = [row for row in weights if row.l2_matched is not None]
        notes = read_manifest(done.comparison(before, "scratch")).facts["notes"]
        assert len(told) == (len(weights) if apart else 0)
        assert all(row.l2_matched < row.l2 for row in told)
        assert ["mean" in note for note in notes] == [True] * apart


def test_in_memory_two_architectures(pictures):
    """`op.compare` gives the same tables of two networks of any kind."""
    split = dataset(pictures).split("train")
    small = build("inception_small", classes=("a",), seed=0)
    other = build("torchvision:resnet18", classes=("a",), seed=1)
    change = compare(small, other, split, k=3, related=False)
    assert len(change.matrix) == len(small.layers) * len(other.layers)
    assert (change.matrix["status"] == "ok").all()
    assert change.matrix["n_images"].unique().tolist() == [len(split)]
    assert change.layers.empty
    assert change.channels.empty
    assert change.maximal.empty
    assert len(change.notes) == 2


@pytest.mark.parametrize("reduction", ["mean", "sampled"])
def test_in_memory_reductions(pictures, reduction):
    """The layers are compared in the reduction asked for, the channels by their means."""
    split = dataset(pictures).split("train")
    small, again = (build("inception_small", classes=("a",), seed=seed) for seed in (0, 1))
    change = compare(small, again, split, k=3, reduction=reduction)
    x, y = (each["mixed4b"] for each in features_of(
            [(small, ["mixed4b"]), (again, ["mixed4b"])], split, reduction))  # fmt: skip
    row = change.layers.set_index("layer").loc["mixed4b"]
    assert row["reduction"] == reduction
    assert row["channels"] == x.shape[1]
    assert row["cka"] == pytest.approx(linear_cka(x, y), abs=1e-12)
    assert (change.channels["layer"] == "mixed4b").sum() == 152
    assert change.weights["l2_matched"].isna().all()
    assert change.notes == ()


def study(**networks):
    made = {"study": "x", "datasets": {"art": {"kind": "folder", "root": "p"}}}
    return Study.model_validate(made | {"networks": networks})


TUNE = {"fit": "art", "recipe": "mode_a"}


def test_a_channel_that_gives_nan_costs_its_own_row(pictures):
    """What overflows is a state of its channel; the others of its layer are compared as ever."""
    before = build("inception_small", classes=("a",), seed=0)
    after = build("inception_small", classes=("a",), seed=0)
    layer = after.layers[-1]
    weight = after.body.get_submodule(after.filters[layer][0]).weight
    with torch.no_grad():
        weight[2] = 3e38  # finite, and too much for what it is multiplied with
    change = compare(before, after, dataset(pictures).split("train"), k=3)
    states = change.channels[change.channels["layer"] == layer]["status"].tolist()
    assert states[2] == "not_finite"
    assert "not_finite" not in states[:2] + states[3:]
    assert change.layers.set_index("layer").loc[layer, "status"] != "ok"


def test_networks_with_a_start_in_common():
    """By descent, however far, or by weights of one name; never by drawing for oneself."""
    found = study(
        imagenet={"load": "inception_v1"},
        again={"load": "inception_v1"},
        elsewhere={"load": "inception_v1.tf_in1k"},
        tuned={"from": "imagenet", "repeats": 2, **TUNE},
        twice={"from": "tuned", **TUNE},
        end={"from": "again", "fit": "art", "recipe": "end_from_scratch"},
        scratch={"load": "inception_v1", "fit": "art", "recipe": "from_scratch", "repeats": 2},
        random={"load": "inception_v1", "weights": "random"},
        drawn={"from": "imagenet", "fit": "art", "recipe": "from_scratch"},
    )
    related = [("imagenet", "tuned"), ("imagenet", "again"), ("twice", "tuned.2"),
               ("twice", "imagenet"), ("end", "tuned"), ("end.init", "twice"),
               ("scratch.init", "scratch"), ("random", "random")]  # fmt: skip
    apart = [("imagenet", "elsewhere"), ("scratch", "scratch.2"), ("scratch", "imagenet"),
             ("random", "imagenet"), ("random", "scratch"), ("drawn", "imagenet"),
             ("scratch.init", "scratch.2"), ("drawn", "scratch.init")]  # fmt: skip
    for one, other in related:
        assert found.related(one, other), (one, other)
        assert found.related(other, one), (other, one)
    for one, other in apart:
        assert not found.related(one, other), (one, other)
        assert not found.related(other, one), (other, one)


def test_an_unknown_reduction(tmp_path):
    """What CKA may compare is listed."""
    file = tmp_path / "study.yaml"
    file.write_text(STUDY.replace("sampled", "means"))
    with pytest.raises(StudyError, match="'mean', 'flattened' or 'sampled'") as caught:
        read_study(str(file))
    assert caught.value.slug == "bad-value"
