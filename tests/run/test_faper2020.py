"""The paper's study from end to end, on small collections of the true layouts: all its networks,
its figures and its tables.
"""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

from overpaint.progress import Progressing
from overpaint.records import StudyFolder, read_json
from overpaint.report.export.figures import figures
from overpaint.run import run_study
from overpaint.study import Study, read_study

STYLES = ("Baroque", "Cubism", "Fauvism", "Naïve_Art_(Primitivism)", "Realism", "Ukiyo-e")
PAINTED = ("aeroplane", "bird", "boat", "chair", "cow", "diningtable", "dog", "horse", "sheep",
           "train")  # fmt: skip
ICONS = ("angel", "Child_Jesus", "crucifixion_of_Jesus", "Mary", "nudity", "ruins",
         "Saint_Sebastien")  # fmt: skip


def paint(path, draw):
    """A small picture that is no other's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw.integers(0, 255, (40, 48, 3), np.uint8)).save(path, quality=90)


def collections(root):
    """RASTA, the Paintings and IconArt as they are published, and small."""
    draw = np.random.default_rng(0)
    for split, each in (("train", 4), ("val", 2), ("test", 3)):
        for style in STYLES:
            for number in range(each):
                name = f"artist-{number % 3}-of-{split}_painting-{number}.jpg"
                paint(root / f"rasta/wikipaintings_{split}/{style}/{name}", draw)
    lines = []
    for number in range(48):
        split = ("train", "train", "validation", "test")[number % 4]
        labels = f"{PAINTED[number % 10]} {PAINTED[(number * 7 + number // 10) % 10]}"
        paint(root / f"paintings/Painting_Dataset/painting_{number}.jpg", draw)
        lines.append({"name_img": f"painting_{number}", "set": split, "classe": labels})
    pd.DataFrame(lines).to_csv(root / "paintings/Paintings.txt", index=False)
    rows = []
    for number in range(42):
        paint(root / f"IconArt_v1/JPEGImages/Q{number}.jpg", draw)
        shows = {icon: int((number + at) % 7 < 2) for at, icon in enumerate(ICONS)}
        rows.append({"item": f"Q{number}", **shows, "set": "train" if number % 2 else "test"})
    table = root / "IconArt_v1/ImageSets/Main/IconArt_v1.csv"
    table.parent.mkdir(parents=True)
    pd.DataFrame(rows).to_csv(table, index=False)


def small(study):
    """The study of a small network of random weights, an epoch a training, and two steps a
    rendering.
    """
    data = study.model_dump(mode="json", by_alias=True, exclude_none=True)
    for entry in data["networks"].values():
        if "load" in entry:
            entry["load"] = "inception_small"
            entry.update({} if entry.get("fit") else {"weights": "random"})
        if entry.get("fit") and entry["recipe"] != "linear_svm":
            entry["with"] = {**entry.get("with", {}), "epochs": 1}
    data["render"] = {"channels": ["mixed3a:3", "mixed4b:1"], "steps": 2, "size": 24}
    data |= {"causes": False, "gaze": False, "maximal_images": 5, "base": study.base}
    return Study.model_validate(data)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The study, the folder that its run left, and its figures."""
    place = tmp_path_factory.mktemp("faper")
    collections(place / "data")
    roots = {"rasta": "rasta", "paintings": "paintings", "iconart": "IconArt_v1"}
    study = read_study(
        "faper2020", [f"datasets.{name}.root={place / 'data' / at}" for name, at in roots.items()]
    )
    out = place / "run"
    outcome = run_study(small(study), out, Progressing(Console(file=io.StringIO())))
    assert not outcome.failures
    return study, StudyFolder(out), figures(out, place / "figures")


def test_every_network_is_trained_and_scored(run):
    """Two trainings of each mode, the networks from scratch, the double fine-tunings."""
    study, folder, _ = run
    trained = [name for name, entry in study.all_networks.items() if entry.fit]
    assert len(trained) == 50
    for name in trained:
        scores = read_json(folder.network(name) / "scores.json")
        main = "top1" if study.all_networks[name].fit == "rasta" else "mAP"
        assert scores["main"] == main, name
        assert set(scores["scores"]) >= ({"top1", "top3", "top5"} if main == "top1" else {"mAP"}), (
            name
        )


def test_every_figure_of_the_paper_is_there(run):
    """By the paper's words; each as PDF, SVG, PNG and with its data."""
    study, _, out = run
    pairs = [f"{pair.before}--{pair.after}" for pair in study.compare]
    charts = [
        *(f"paper/{dataset}-{name}" for dataset in ("paintings", "iconart")
          for name in ("linear_cka", "l2_norm")),
        *(f"paper/rasta-linear_cka-{part}" for part in (1, 2, 3)),
        *(f"paper/rasta-l2_norm-{part}" for part in (1, 2)),
        *(f"pairwise/{dataset}/{name}" for dataset in study.pairwise
          for name in ("linear_cka", "l2_norm")),
        *(f"comparisons/{pair}/{name}" for pair in pairs
          for name in ("linear_cka", "l2_norm", "overlapping_ratio")),
        *(f"comparisons/{pair}/{name}" for pair in pairs[:14]  # entropy is of one label a picture
          for name in ("class_entropy", "overlapping_ratio_and_class_entropy")),
    ]  # fmt: skip
    for chart in charts:
        for kind in ("pdf", "svg", "png", "csv"):
            assert (out / f"{chart}.{kind}").stat().st_size > 100, chart
    sheets = sorted(out.glob("maximal_activation_images/*/*.png"))
    assert len(sheets) == 2 * len(pairs)


def test_tables(run):
    """RASTA's top-1, 3 and 5, and mAP on the two small collections."""
    _, _, out = run
    text = (out / "tables/scores.md").read_text(encoding="utf-8")
    rasta, paintings, iconart = text.split("**Scores on ")[1:]
    assert "top-1" in rasta
    assert "top-3" in rasta
    assert "top-5" in rasta
    assert "mAP" in paintings
    assert "mAP" in iconart
    assert "Mode A" in rasta
    assert "Paintings, Mode F of Mode A" in paintings
    assert (out / "tables/changes.tex").is_file()


def test_heat_maps_have_all_networks(run):
    """17 on RASTA, two trainings of each mode among them; 16 on each small collection."""
    study, folder, _ = run
    for dataset, networks in (("rasta", 17), ("paintings", 16), ("iconart", 16)):
        pairs = pd.read_parquet(folder.pairwise(dataset) / "pairwise.parquet")
        assert len(study.pairwise_on(dataset)) == networks
        assert len(pairs) == networks * (networks - 1) / 2
        assert pairs["cka_debiased"].notna().all()
        assert ((pairs["cka_low"] <= pairs["cka"]) & (pairs["cka"] <= pairs["cka_high"])).all()
