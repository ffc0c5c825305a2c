"""Two studies side by side, from records alone."""

import io
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from parsed import read_page
from tiny_study import write_study

from overpaint.errors import RecordError
from overpaint.records import read_json, read_table, write_json, write_table, write_text
from overpaint.report import build
from overpaint.report.export.against import against

COMPARED = "comparisons/imagenet--fine_tuned"


@pytest.fixture
def twin(tmp_path, quick) -> Path:
    """Another study with the same networks, whose `gentle` is better, and without `svm`."""
    folder = write_study(tmp_path / "twin")
    text = (folder / "study.yaml").read_text().replace("study: gallery", "study: twin")
    text = text.replace(
        "recipe: mode_b\n    with:\n      epochs: 4", "recipe: mode_b\n    with:\n      epochs: 7"
    )
    write_text(folder / "study.yaml", text)
    shutil.rmtree(folder / "networks/svm")
    scores = read_json(folder / "networks/gentle/scores.json")
    scores["scores"]["top1"] |= {"value": 0.66, "low": 0.63, "high": 0.69}
    write_json(folder / "networks/gentle/scores.json", scores)
    layers = read_table(folder / COMPARED / "layers.parquet")
    for name in ("cka_debiased", "cka_debiased_low", "cka_debiased_high"):
        layers[name] = layers[name] ** 1.5
    write_table(folder / COMPARED / "layers.parquet", layers)
    found = read_json(folder / "findings.json")
    found["findings"][0] |= {"verdict": "no"}
    del found["findings"][-1]
    write_json(folder / "findings.json", found)
    return folder


@pytest.fixture
def page(whole, twin, tmp_path):
    return read_page(against(whole, twin, tmp_path / "out"))


def part(page, title: str) -> str:
    text = page.unlinked.split(f'<h2 id="{title}"')[1].split("<h2 ")[0]
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def test_scores_of_one_network_stand_side_by_side(page):
    """Both scores, their difference, and whether the intervals overlap, are told."""
    told = part(page, "scores")
    n = "N 6 in 3 groups (too few to rely on the interval)"
    assert (f"gentle top-1 on rasta/test 59.2 % 57.7–60.7; {n} 66.0 % 63.0–69.0; {n} "
            "+6.8 points do not overlap") in told  # fmt: skip
    assert f"fine_tuned top-1 on rasta/test 62.3 % 60.8–63.8; {n} 62.3 %" in told
    assert "0.0 points overlap" in told
    assert "svm" not in told
    assert "not tested with the same pictures" not in told


def test_other_test_pictures_are_warned_of(whole, twin, tmp_path):
    """Where the two were not tested with the same files, the line of each score says so."""
    images = read_table(twin / "datasets/rasta/images.parquet")
    last = images[(images["split"] == "test") & (images["status"] == "ok")].index[-1]
    images.loc[last, "digest"] = "0" * 64
    write_table(twin / "datasets/rasta/images.parquet", images)
    page = read_page(against(whole, twin, tmp_path / "out"))
    scores = part(page, "scores")
    assert "do not overlap; not tested with the same pictures" in scores
    assert (
        "mAP on iconart/test 54.1 % 52.6–55.6; N 6 (too few to rely on the interval) 54.1 % "
        "52.6–55.6; N 6 (too few to rely on the interval) 0.0 points overlap" in scores
    )
    told = part(page, "data")
    assert "rasta 27 · 6 · 6 27 · 6 · 6 the same pictures in train and val only; 5 test" in told
    assert "iconart 27 · 6 · 6 27 · 6 · 6 the same pictures" in told


def test_curves_are_those_of_both(whole, twin, tmp_path):
    """The chart of a comparison is drawn from both tables of layers, as its CSV shows."""
    page = read_page(against(whole, twin, tmp_path / "out"))
    tables = [
        pd.read_csv(io.StringIO(unquote(link.partition(",")[2])))
        for link in page.links
        if link.startswith("data:text/csv")
    ]
    [found] = [table for table in tables if {"what", "layer"} <= {*table}][:1]
    for name, folder in [("gallery", whole), ("twin", twin)]:
        layers = read_table(folder / COMPARED / "layers.parquet")
        own = found[found["what"] == name]
        assert own["layer"].tolist() == layers["layer"].tolist()
        assert own["value"].tolist() == pytest.approx(layers["cka_debiased"].tolist())


def test_changes_count_the_layers_apart(whole, twin, page):
    """Means, their difference and the layers whose intervals part are those of the tables."""
    one, other = (read_table(each / COMPARED / "layers.parquet") for each in (whole, twin))
    apart = [
        row.layer
        for row, own in zip(one.itertuples(), other.itertuples(), strict=True)
        if row.cka_debiased_low > own.cka_debiased_high
        or own.cka_debiased_low > row.cka_debiased_high
    ]
    means = [np.mean(each["cka_debiased"]) for each in (one, other)]
    assert 0 < len(apart) < 6
    assert (
        f"imagenet → fine_tuned {means[0]:.3f} rasta, N 6 {means[1]:.3f} rasta, N 6 "
        f"−{means[0] - means[1]:.3f} {len(apart)} of 6: {', '.join(apart)}"
    ) in part(page, "changes")


def test_statements_stand_side_by_side(page):
    """Each statement put to the same thing has both verdicts."""
    told = part(page, "statements")
    assert "Low layers change less than high ones imagenet → fine_tuned yes −0.930" in told
    assert "no −0.930" in told
    assert "Double fine-tuning helps" not in told
    assert "Double fine-tuning helps: double against single" in part(page, "only")


def test_what_only_one_has(page):
    """A network that only one scored is named on its side."""
    told = part(page, "only")
    assert "Networks and ensembles with a score svm –" in told
    assert "Networks svm" not in told.replace("Networks and ensembles", "")


def test_settings_that_differ(whole, twin, tmp_path):
    """A field of a recipe that differs is told with both values, from what ran."""
    path = twin / "networks/gentle/manifest.json"
    data = read_json(path)
    data["facts"]["recipe"]["epochs"] = 7
    write_json(path, data)
    page = read_page(against(whole, twin, tmp_path / "out"))
    assert "gentle epochs 4 7" in part(page, "settings")
    assert "momentum" not in part(page, "settings")


def test_the_page_stands_alone(whole, twin, tmp_path):
    """With a place of its own the page has all it needs there, and names no folder."""
    page = against(whole, twin, tmp_path / "out")
    assert page == tmp_path / "out/against-twin.html"
    read = read_page(page)
    for link in read.links:
        assert link.startswith(("data:", "#")) or (tmp_path / "out" / link).is_file(), link
    assert {link[1:] for link in read.links if link.startswith("#")} <= set(read.ids)
    assert str(tmp_path) not in read.text


def test_the_page_in_the_site(lean, twin):
    """Without a place of its own it lies in the site of the first, whose pages stay as they are."""
    build(lean)
    before = {path: path.read_bytes() for path in (lean / "site").rglob("*") if path.is_file()}
    page = against(lean, twin)
    assert page == lean / "site/against-twin.html"
    read = read_page(page)
    for link in read.links:
        place = link.split("#")[0]
        assert link.startswith("data:") or not place or (lean / "site" / place).is_file(), link
    assert all(path.read_bytes() == content for path, content in before.items())
    assert "Networks" in part(read, "only")


def test_one_name_twice(whole, twin, tmp_path):
    """Studies of one name are called by their folders."""
    text = (twin / "study.yaml").read_text().replace("study: twin", "study: gallery")
    write_text(twin / "study.yaml", text)
    page = against(whole, twin, tmp_path / "out")
    assert page.name == "against-twin.html"
    assert "whole | twin" in read_page(page).plain


def test_a_study_against_itself(whole, tmp_path):
    """A folder against itself is refused, also under another name."""
    (tmp_path / "link").symlink_to(whole)
    with pytest.raises(RecordError) as caught:
        against(whole, tmp_path / "link", tmp_path / "out")
    assert caught.value.slug == "same-study"


def test_against_nothing(whole, tmp_path):
    """A folder without a study is refused, and nothing is written."""
    with pytest.raises(RecordError, match=r"study\.yaml is missing"):
        against(whole, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_study_that_has_not_begun(whole, twin, tmp_path):
    """Beside a study that has nothing yet the page is there and says what is missing."""
    for path in twin.iterdir():
        if path.name != "study.yaml":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = read_page(against(whole, twin, tmp_path / "out"))
    assert "Not finished." in page.plain
    assert "No network of one name was scored on one dataset by both." in page.plain
    assert "No comparison of one name was measured by both." in page.plain
    assert "Comparisons imagenet → fine_tuned" in part(page, "only")


def test_hostile_names_on_both_sides(page):
    """What looks like markup in records of either is text."""
    assert page.foreign == []
    assert not any(key.startswith("on") for _, named in page.tags for key in named)
    assert "<script>alert(1)</script>" in page.words
