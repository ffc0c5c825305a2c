"""A study from end to end: the folder that it leaves, twice the same, and nothing done twice."""

import filecmp
import io
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from safetensors.numpy import load_file
from site_walk import walk
from sklearn.model_selection import LeaveOneOut, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from overpaint.errors import DatasetError, StudyError
from overpaint.features import read_features
from overpaint.networks import build, open_network, save_weights
from overpaint.networks.receptive_fields import receptive_field
from overpaint.networks.taps import PENULTIMATE, taps
from overpaint.pixels.boxes import Line
from overpaint.pixels.images import centre_square, read, shorter_side
from overpaint.progress import Progressing
from overpaint.records import (
    AdviceRow,
    ChannelRow,
    ImageRow,
    LayerRow,
    ResponseRow,
    StudyFolder,
    read_json,
    read_manifest,
    read_rows,
)
from overpaint.run import run_study
from overpaint.run.advice import advise_study
from overpaint.run.datasets import keep_dataset
from overpaint.run.features import keep_features
from overpaint.run.networks import keep_network
from overpaint.run.workspace import Workspace
from overpaint.seeds import seed_for
from overpaint.study import read_study

STUDY = """\
study: tiny
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 40, val: 20, test: 30}}
  subjects: {kind: atelier, task: subjects, sizes: {train: 40, val: 20, test: 30}}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: photographs, recipe: mode_a, with: {epochs: 1}}
  scratch: {load: inception_small, fit: photographs, recipe: from_scratch, with: {epochs: 1}}
  double: {from: tuned, fit: subjects, recipe: frozen, with: {epochs: 1}}
compare:
  - [source, tuned]
  - [scratch.init, scratch]
  - {pair: [tuned, double], on: subjects/test}
maximal_images: 8
render: {layers: [mixed4b], channels: most_changed(2), steps: 3, size: 48}
"""


def carry_out(folder: Path, *overrides: str, text: str = STUDY) -> str:
    """Run a study into a folder; returns what was said."""
    file = folder.parent / "study.yaml"
    file.write_text(text)
    said = io.StringIO()
    study = read_study(str(file), overrides)
    run_study(study, folder, Progressing(Console(file=said, soft_wrap=True)))
    return said.getvalue()


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("one") / "run"
    carry_out(folder)
    return folder


def test_the_folder(done):
    """Every artefact of the design is there, with the columns that it promises."""
    folder = StudyFolder(done)
    for name in ("source", "tuned", "scratch.init", "scratch", "double"):
        assert (folder.network(name) / "weights.safetensors").is_file()
    for name in ("tuned", "scratch", "double"):
        for file in ("history.parquet", "scores.json", "predictions.parquet"):
            assert (folder.network(name) / file).is_file()
    place = folder.comparison("source", "tuned")
    layers = read_rows(place / "layers.parquet", LayerRow)
    assert [row.position for row in layers] == list(range(8))
    assert all(0 <= row.cka <= 1 and row.n_images == 30 for row in layers)
    channels = read_rows(place / "channels.parquet", ChannelRow)
    assert len(channels) == sum(row.channels for row in layers)
    maximal = pd.read_parquet(place / "maximal.parquet")
    assert maximal["rank"].max() == 8
    assert (maximal["value"] > 0).all()
    assert {row.status for row in channels} <= {
        "ok",
        "dead",
        "dead_before",
        "dead_after",
        "constant",
    }
    assert all(0 < row.specialised_p <= row.specialised_q <= 1
               for row in channels if row.status == "ok")  # fmt: skip
    assert sorted(row.matched_channel for row in channels if row.layer == "conv2d0") == [*range(24)]
    responses = read_rows(place / "responses.parquet", ResponseRow)
    assert {row.label for row in responses} <= set(
        read_manifest(folder.dataset("photographs")).facts["classes"]
    )
    assert {row.network for row in responses} == {"before", "after"}
    assert max(row.rank for row in responses) == 10
    assert read_manifest(place).facts["duplicates"] == 0
    assert len(list(folder.renderings("source").glob("mixed4b/*.png"))) == 2
    assert folder.site.joinpath("index.html").is_file()


def test_each_maximal_image_tells_where_the_channel_saw_it(done):
    """The position is that of the largest response to the picture alone, and the box of what it has
    seen follows from the facts.
    """
    folder = StudyFolder(done)
    place = folder.comparison("source", "tuned")
    network = open_network(folder.network("tuned")).eval()
    frame = pd.read_parquet(place / "maximal.parquet")
    frame = frame[(frame["network"] == "after") & (frame["layer"] == "mixed3a")]
    size = network.preprocessing.size
    for row in frame.sample(6, random_state=0).itertuples():
        square = centre_square(
            shorter_side(read(pictures_at(done) / row.image), size, "bilinear"), size
        )
        with torch.no_grad(), taps(network, ["mixed3a"], reduction=torch.clone) as tap:
            pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float() / 255
            maps = tap(pixels)["mixed3a"][0, row.channel]
        assert maps[row.row, row.column] == pytest.approx(maps.max().item(), rel=1e-4)
        assert maps.max() > 0
    told = read_manifest(place).facts["receptive_fields"]["after"]
    field = receptive_field(network, "mixed3a")
    assert told["size"] == size
    assert Line(*told["layers"]["mixed3a"]["columns"]) == field.columns
    assert Line(*told["layers"]["mixed3a"]["rows"]) == field.rows


def pictures_at(run: Path) -> Path:
    """The root of the photographs' pictures."""
    return Path(read_manifest(StudyFolder(run).dataset("photographs")).facts["root"])


def test_a_network_and_itself_do_not_differ(done):
    """Frozen layers have the same features before and after: CKA 1, full overlap, no distance."""
    place = StudyFolder(done).comparison("tuned", "double")
    for row in read_rows(place / "layers.parquet", LayerRow):
        assert row.cka == pytest.approx(1, abs=1e-12)
    channels = pd.read_parquet(place / "channels.parquet")
    alive = channels[channels["n_before"] == 8]
    assert len(alive) > 100
    assert (alive["overlap"] == 1).all()
    assert (alive["status"] == "identical").all()
    assert (alive["overlap_matched"] == 1).all()
    assert (alive["matched_channel"] == alive["channel"]).all()
    assert (alive[["specialised_p", "specialised_q"]] == 1).all(axis=None)
    page = (done / "site/comparisons/tuned--double.html").read_text()
    assert "the same response to every picture before and after." in page
    assert "No channel concentrated more" in page
    assert (pd.read_parquet(place / "weights.parquet")["status"] == "identical").all()


def test_a_second_run_does_nothing(done):
    """What is there already is not made again, and torch is not even imported."""
    times = {path: path.stat().st_mtime_ns for path in done.rglob("*") if path.name != "study.yaml"}
    said = carry_out(done)
    again = {path: path.stat().st_mtime_ns for path in done.rglob("*") if path.name != "study.yaml"}
    changed = {p.relative_to(done).parts[0] for p in times if p.is_file() and times[p] != again[p]}
    assert times.keys() == again.keys()
    assert changed <= {"datasets"}  # only the stamps of a look at the pictures
    assert "train" not in said
    assert "report:" in said


def test_two_runs_give_the_same_bytes(done, tmp_path):
    """The same seed on the same machine gives identical artefacts, report and all."""
    carry_out(tmp_path / "run")
    ours = sorted(p.relative_to(done) for p in done.rglob("*") if p.is_file())
    theirs = sorted(
        p.relative_to(tmp_path / "run") for p in (tmp_path / "run").rglob("*") if p.is_file()
    )
    assert ours == theirs
    # Where the study's file lies, and when files were written, differs; nothing else does.
    own = {"stamps.parquet", "study.yaml"}
    names = [
        str(p)
        for p in ours
        # A PDF writer has its own order of fonts and objects: what it is made from is compared.
        if p.name not in own and p.parts[0] != "datasets" and p.suffix != ".pdf"
    ]
    _, mismatch, errors = filecmp.cmpfiles(done, tmp_path / "run", names, shallow=False)
    assert not errors
    assert [
        name
        for name in mismatch
        if name not in ("site.json", "site.manifest.json", "site/index.html")
    ] == []


def test_it_goes_on_where_it_was(done, tmp_path):
    """What is missing is made again, the rest stays; the result is the same."""
    copy = tmp_path / "run"
    shutil.copytree(done, copy)
    shutil.rmtree(copy / "comparisons")
    shutil.rmtree(copy / "networks" / "double")
    said = carry_out(copy)
    assert "network double: train" in said
    assert "network tuned: train" not in said
    for name in (
        "networks/double/weights.safetensors",
        "comparisons/source--tuned/channels.parquet",
    ):
        assert (copy / name).read_bytes() == (done / name).read_bytes()


def test_a_changed_setting_reaches_what_depends_on_it(done, tmp_path):
    """A changed recipe trains that network and its children anew, and nothing else."""
    copy = tmp_path / "run"
    shutil.copytree(done, copy)
    said = carry_out(copy, "networks.tuned.with.head_lr=0.02")
    assert "network tuned: train" in said
    assert "network double: train" in said
    assert "network scratch: train" not in said


SEVERAL = """\
study: several
datasets:
  manners: {kind: atelier, task: manners, sizes: {train: 32, val: 16, test: 24}}
networks:
  source: {load: inception_small, weights: random}
  good: {from: source, fit: manners, recipe: frozen, with: {epochs: 2, batch_size: 16}, repeats: 2}
  child: {from: good, fit: manners, recipe: frozen, with: {epochs: 1, batch_size: 16}, repeats: 2}
  wild:
    from: source
    fit: manners
    recipe: mode_f
    with: {epochs: 3, batch_size: 16, backbone_lr: 9.0, head_lr: 9.0, weight_penalty: 9.0}
  orphan: {from: wild, fit: manners, recipe: frozen}
  shelf: {from: source, fit: manners, recipe: linear_svm}
ensembles:
  both: [good, good.2]
  lost: [good, wild]
compare:
  - [source, good]
  - [good, wild]
  - [wild.init, good]
maximal_images: 8
"""


@pytest.fixture(scope="module")
def several(tmp_path_factory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("several") / "run"
    return folder, carry_out(folder, text=SEVERAL)


def test_a_training_that_diverges_costs_only_what_depends_on_it(several):
    """It is told with its step and rates, its children with it; the rest is done and reported."""
    folder, said = StudyFolder(several[0]), several[1]
    failures = read_json(folder.failures)
    assert failures.keys() == {"wild", "orphan"}
    assert "[diverged]" in failures["wild"]
    assert re.search(r"nan|inf", failures["wild"])
    assert "learning rates: head" in failures["wild"]
    assert "at step" in failures["wild"]
    assert "'wild' has failed" in failures["orphan"]
    assert "failed: wild: the training diverged" in said
    assert not folder.network("wild").exists()
    for name in ("good", "good.2", "child", "child.2"):
        assert (folder.network(name) / "scores.json").is_file()
    assert [place.name for place in several[0].glob("comparisons/*")] == ["source--good"]
    assert "diverged" in (folder.site / "index.html").read_text()
    assert walk(folder.site) == []


def test_repeats_have_a_mean_and_a_spread(several):
    """Trainings that differ by their seed, their children by number, and what they score."""
    folder = StudyFolder(several[0])
    digests = [read_manifest(folder.network(name)).facts["weights"] for name in ("good", "good.2")]
    assert digests[0] != digests[1]
    assert read_manifest(folder.network("child.2")).inputs["parent"] == digests[1]
    told = read_json(folder.repeats)
    values = [read_json(folder.network(name) / "scores.json")["scores"]["top1"]["value"]
              for name in ("good", "good.2")]  # fmt: skip
    assert told["spreads"]["good"]["values"] == values
    assert told["spreads"]["good"]["mean"] == pytest.approx(sum(values) / 2)
    assert told["spreads"]["good"]["deviation"] == pytest.approx(
        abs(values[0] - values[1]) / 2**0.5
    )
    assert [(each["first"], each["second"]) for each in told["differences"]] == [("good", "child")]


def test_an_ensemble_is_the_mean_of_its_members(several):
    """Probabilities averaged, and scored; one whose member failed is left out."""
    folder = StudyFolder(several[0])
    both, one, two = (
        pd.read_parquet(place / "predictions.parquet").filter(regex="^p").to_numpy()
        for place in (folder.ensemble("both"), folder.network("good"), folder.network("good.2"))
    )
    assert both == pytest.approx((one + two) / 2)
    assert (folder.ensemble("both") / "scores.json").is_file()
    assert not folder.ensemble("lost").exists()


def test_the_baseline_is_a_network_with_the_head_of_an_svm(several):
    """Its backbone is its parent's to the bit, and it decides as scikit-learn's SVM does."""
    folder = StudyFolder(several[0])
    ours, parent = (
        load_file(folder.network(name) / "weights.safetensors") for name in ("shelf", "source")
    )
    changed = {name for name in ours if not np.array_equal(ours[name], parent[name])}
    assert changed == {"head.weight", "head.bias"}
    table = read_rows(folder.dataset("manners") / "images.parquet", ImageRow)
    labels = [row.labels[0] for name in ("train", "val") for row in table if row.split == name]
    features = [
        read_features(folder.features("source", "manners", name), PENULTIMATE)
        for name in ("train", "val")
    ]
    rows = pd.read_parquet(folder.network("shelf") / "svm.parquet")
    rival = LinearSVC(
        C=rows["cost"][0], max_iter=1000, random_state=seed_for(0, "linear svm") % 2**31
    )
    rival.fit(np.concatenate(features).astype(np.float64), labels)
    assert ours["head.weight"] == pytest.approx(rival.coef_, abs=1e-6)
    assert ours["head.bias"] == pytest.approx(rival.intercept_, abs=1e-6)
    assert rows["label"].tolist() == rival.classes_.tolist()
    assert pd.read_parquet(folder.network("shelf") / "history.parquet").empty


def test_missing_scores_are_made_from_the_predictions(several, tmp_path):
    """Without a network being run, and they are the same."""
    copy = tmp_path / "run"
    shutil.copytree(several[0], copy)
    scores = copy / "networks/good/scores.json"
    scores.unlink()
    said = carry_out(copy, text=SEVERAL)
    assert scores.read_bytes() == (several[0] / "networks/good/scores.json").read_bytes()
    assert "network good:" not in said


def test_a_random_head_is_kept_too(several):
    """`NAME.init` is there whenever anything was random: the parent with the head as it began."""
    folder = StudyFolder(several[0])
    start, parent = (
        load_file(folder.network(name) / "weights.safetensors") for name in ("good.init", "source")
    )
    changed = {name for name in start if not np.array_equal(start[name], parent[name])}
    assert changed == {"head.weight", "head.bias"}


def test_advice_is_of_starts_that_have_not_seen_the_labels(several, tmp_path):
    """A row for the source and none for what was fitted to the dataset; beside it what it gave."""
    copy = tmp_path / "run"
    shutil.copytree(several[0], copy)
    file = tmp_path / "study.yaml"
    file.write_text(SEVERAL)
    said = io.StringIO()
    study = read_study(str(file))
    rows = advise_study(study, copy, Progressing(Console(file=said, width=300)))
    assert [row.network for row in rows] == ["source"]
    assert (rows[0].dataset, rows[0].split, rows[0].n) == ("manners", "train", 32)
    labels = [row.labels[0] for row in read_rows(StudyFolder(copy).dataset("manners") /
              "images.parquet", ImageRow) if row.split == "train"]  # fmt: skip
    path = StudyFolder(copy).features("source", "manners", "train")
    rival = KNeighborsClassifier(1, metric="cosine")
    hits = cross_val_score(rival, read_features(path, PENULTIMATE), labels, cv=LeaveOneOut())
    assert rows[0].neighbour == pytest.approx(hits.mean())
    assert re.search(r"good \d+\.\d%, good.2", said.getvalue())
    assert read_rows(StudyFolder(copy).advice, AdviceRow) == rows
    with pytest.raises(StudyError, match="did you mean 'manners'"):
        advise_study(study, copy, Progressing(Console(file=said)), ["maners"])


def test_one_pass_over_each_split(done, tmp_path):
    """What all comparisons need of a split is computed at once, and what is there is kept."""
    copy = tmp_path / "run"
    shutil.copytree(done, copy)
    shutil.rmtree(copy / "features")
    shutil.rmtree(copy / "comparisons")
    said = carry_out(copy)
    told = [line.split("  ")[0] for line in said.splitlines() if line.startswith("features of")]
    assert told == [
        "features of source and tuned and scratch.init and scratch on photographs/test",
        "features of source and tuned and scratch.init and scratch on photographs/train",
        "features of tuned and double on subjects/test",
    ]
    assert "features of" not in carry_out(copy, "maximal_images=5")
    for table in (done / "comparisons").rglob("layers.parquet"):
        again = copy / table.relative_to(done)
        assert again.read_bytes() == table.read_bytes()


def test_features_of_changed_weights_are_made_anew(tmp_path, pictures):
    """Other weights under the same name: it is said, and only that network runs again; a layer
    that gives NaN is named.
    """
    network = build("inception_small", classes=("a",), seed=0)
    save_weights(network, tmp_path / "w.safetensors")
    text = (
        "study: x\n"
        f"datasets: {{art: {{kind: folder, root: {pictures}}}}}\n"
        "networks:\n"
        f"  a: {{load: inception_small, weights: {tmp_path}/w.safetensors}}\n"
        "  b: {load: inception_small, weights: random}\n"
    )
    file = tmp_path / "study.yaml"
    file.write_text(text)

    def features() -> tuple[dict[str, Path], str]:
        said = io.StringIO()
        progress = Progressing(Console(file=said, soft_wrap=True))
        work = Workspace(read_study(str(file)), StudyFolder(tmp_path / "run"), progress)
        keep_dataset(work, "art")
        for name in ("a", "b"):
            keep_network(work, name)
        return keep_features(work, ["a", "b"], work.split("art", "test")), said.getvalue()

    paths, told = features()
    assert "features of a and b on art/test" in told
    first = {name: read_features(path, "mixed4b") for name, path in paths.items()}
    with torch.no_grad():
        network.body.mixed4a_1x1_pre_relu[0].weight[3] = 3e38  # finite, as a file's must be
    save_weights(network, tmp_path / "w.safetensors")
    paths, told = features()
    assert "features of a on art/test: made anew, for they were of other weights" in told
    assert "features of a and b" not in told
    count = len(first["a"])
    assert f"a: layer mixed4b gave NaN or infinity for {count} of {count} pictures" in told
    assert "layer conv2d2 gave" not in told
    assert not np.isfinite(read_features(paths["a"], "mixed4b")).all()
    assert np.array_equal(read_features(paths["b"], "mixed4b"), first["b"])
    assert "features" not in features()[1]


def test_a_loaded_network_is_keyed_by_its_file(tmp_path, monkeypatch):
    """Other weights under the same name in the cache folder are noticed."""
    monkeypatch.setenv("OVERPAINT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    text = "study: x\nnetworks: {resnet: {load: 'torchvision:resnet18'}}\n"
    digests = []
    for seed in (1, 2, 2):
        network = build("torchvision:resnet18", classes=tuple(map(str, range(1000))), seed=seed)
        save_weights(network, tmp_path / "cache" / "torchvision-resnet18.safetensors")
        carry_out(tmp_path / "run", text=text)
        digests.append(read_manifest(tmp_path / "run/networks/resnet").facts["weights"])
    assert digests[0] != digests[1]
    assert digests[1] == digests[2]


def test_what_cannot_be_learnt_is_said_before_any_training(tmp_path, pictures):
    """A class that only the test split shows ends the run before a network is even loaded."""
    lines = ["path,label,split"]
    for label, picture in (("red", "red"), ("blue", "blue")):
        lines += [f"{picture}/{n:02}.png,{label},{'train' if n < 9 else 'val'}" for n in range(12)]
    lines[-1] = "blue/11.png,green,test"
    (pictures / "labels.csv").write_text("\n".join(lines))
    text = (
        "study: x\n"
        f"datasets: {{art: {{kind: table, root: {pictures}, file: {pictures}/labels.csv}}}}\n"
        "networks:\n"
        "  source: {load: inception_small, weights: random}\n"
        "  tuned: {from: source, fit: art, recipe: mode_a}\n"
    )
    with pytest.raises(DatasetError, match="green") as caught:
        carry_out(tmp_path / "run", text=text)
    assert caught.value.slug == "class-not-in-train"
    assert not (tmp_path / "run/networks").exists()


KILL = """\
import os, signal, sys
from pathlib import Path
from rich.console import Console
import overpaint.training.checkpoint as checkpoint
from overpaint.progress import Progressing
from overpaint.run import run_study
from overpaint.seeds import seed_for
from overpaint.study import read_study

save = checkpoint.Checkpoint.save
def save_and_die(self, state):
    save(self, state)
    if state["epoch"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.Checkpoint.save = save_and_die
run_study(read_study(sys.argv[1]), Path(sys.argv[2]), Progressing(Console()))
"""


def test_killed_in_a_training(tmp_path):
    """A process killed after the second epoch: the same command ends with the same weights."""
    text = SEVERAL.split("  good:", maxsplit=1)[0] + (
        "  tuned: {from: source, fit: manners, recipe: mode_a, with: {epochs: 3, batch_size: 16}}\n"
    )
    whole, broken = tmp_path / "a" / "run", tmp_path / "b" / "run"
    for folder in (whole, broken):
        folder.parent.mkdir()
        (folder.parent / "study.yaml").write_text(text)
    command = [sys.executable, "-c", KILL, str(broken.parent / "study.yaml"), str(broken)]
    killed = subprocess.run(command, check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert StudyFolder(broken).checkpoint("tuned").is_file()
    assert not StudyFolder(broken).network("tuned").exists()
    carry_out(broken, text=text)
    carry_out(whole, text=text)
    for file in ("weights.safetensors", "history.parquet", "scores.json"):
        ours, theirs = (StudyFolder(each).network("tuned") / file for each in (whole, broken))
        assert ours.read_bytes() == theirs.read_bytes(), file
    assert not StudyFolder(broken).checkpoint("tuned").exists()


def test_trackers_are_told_of_each_epoch(tmp_path):
    """TensorBoard's own reader finds every epoch's losses, score and rates."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    file = tmp_path / "study.yaml"
    file.write_text(SEVERAL.split("  child:", maxsplit=1)[0].replace(", repeats: 2", ""))
    study = read_study(str(file))
    run_study(study, tmp_path / "run", Progressing(Console(file=io.StringIO())), ("tensorboard",))
    events = EventAccumulator(str(tmp_path / "run/logs/good/several")).Reload()
    told = [(each.step, each.value) for each in events.Scalars("val_loss")]
    history = pd.read_parquet(tmp_path / "run/networks/good/history.parquet")
    assert [step for step, _ in told] == [1, 2]
    assert [value for _, value in told] == pytest.approx(history["val_loss"].tolist())


def test_a_layer_that_no_network_has(tmp_path):
    """A typo in a layer to draw is found before anything is trained."""
    with pytest.raises(StudyError, match="did you mean 'mixed4b'") as caught:
        carry_out(tmp_path / "run", "render.layers=[mixed4bb]")
    assert caught.value.slug == "unknown-layer"
    assert not (tmp_path / "run" / "networks").exists()


@pytest.mark.parametrize(
    ("channels", "told"),
    [("[3, 152]", "channel 152, but mixed4b has 152 channels, 0..151"),
     ("['mixed3a:999']", "channel mixed3a:999, but mixed3a has")],
)  # fmt: skip
def test_a_channel_that_no_network_has(tmp_path, done, channels, told):
    """So is a channel out of range, of a new study and of one that has been carried out."""
    folder = tmp_path / "run"
    for _ in range(2):
        with pytest.raises(StudyError, match=re.escape(told)):
            carry_out(folder, f"render.channels={channels}", "render.layers=[mixed3a, mixed4b]")
        assert not list(folder.glob("renderings/*"))
        shutil.copytree(done, folder, dirs_exist_ok=True, ignore=lambda *_: ["renderings"])


def test_a_record_of_another_network_refuses_nothing(tmp_path, done):
    """What is checked is the network that the study names now, not the one that lies there."""
    folder = tmp_path / "run"
    shutil.copytree(done, folder)
    manifest = folder / "networks/source/manifest.json"
    told = read_json(manifest)
    told["facts"]["layers"], told["facts"]["channels"] = ["conv2d0"], {"conv2d0": 1}
    manifest.write_text(json.dumps(told | {"key": "0" * 64}))
    carry_out(folder)
    assert "mixed4b" in read_json(manifest)["facts"]["channels"]


def test_an_older_record_without_widths_needs_no_torch(tmp_path, done):
    """A finished folder that tells no channels is checked by its layers alone, from files."""
    folder = tmp_path / "run"
    shutil.copytree(done, folder)
    for manifest in folder.glob("networks/*/manifest.json"):
        told = read_json(manifest)
        told["facts"].pop("channels")
        del told["seal"], told["files"]  # which came later
        manifest.write_text(json.dumps(told))
    (tmp_path / "study.yaml").write_text(STUDY)
    check = (
        "import sys, io; from pathlib import Path; from rich.console import Console\n"
        "from overpaint.study import read_study; from overpaint.run.workspace import Workspace\n"
        "from overpaint.run.networks import check_study\n"
        "from overpaint.run.datasets import keep_dataset\n"
        "from overpaint.progress import Progressing; from overpaint.records import StudyFolder\n"
        f"study = read_study({str(tmp_path / 'study.yaml')!r})\n"
        f"work = Workspace(study, StudyFolder(Path({str(folder)!r})), "
        "Progressing(Console(file=io.StringIO())))\n"
        "for name in study.datasets: keep_dataset(work, name)\n"
        "check_study(work)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_the_report_opens_from_disk(done):
    """In a real browser: no error, no request outside the folder, every link resolves."""
    assert walk(done / "site") == []


def test_manifests_tell_what_a_thing_was_made_from(done):
    """Inputs by digest, settings, seed and versions stand beside every artefact."""
    made = read_json(done / "networks/double/manifest.json")
    parent = read_json(done / "networks/tuned/manifest.json")
    assert made["inputs"]["parent"] == parent["facts"]["weights"]
    assert made["settings"]["recipe"]["train"] == "head"
    assert made["facts"]["recipe"]["name"] == "frozen"
    assert {"torch", "numpy", "overpaint"} <= made["versions"].keys()
