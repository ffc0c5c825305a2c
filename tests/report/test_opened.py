"""A study folder opened in Python."""

import pandas as pd
import pytest
from PIL import Image
from tiny_study import HOSTILE

import overpaint as op
from overpaint.errors import RecordError
from overpaint.records import StudyFolder
from overpaint.report.opened import OpenStudy


@pytest.fixture(scope="module")
def study(whole) -> OpenStudy:
    return op.open_study(whole)


def test_every_table_of_the_folder_is_a_frame(study, whole):
    """By its path; those of features and of the site are none of them."""
    there = {
        path.relative_to(whole).with_suffix("").as_posix() for path in whole.rglob("*.parquet")
    }
    assert set(study.tables) == {
        name for name in there if not name.startswith(("features/", "site/"))
    }
    for name in study.tables:
        assert isinstance(study.table(name), pd.DataFrame)


def test_a_comparison_has_its_tables_by_name(study):
    """Those of its causes too, and an unknown one is refused with the nearest."""
    before, after = study.comparisons[0]
    change = study.comparison(before, after)
    assert {"layers", "channels", "weights", "maximal"} <= set(change)
    assert list(change["layers"]["layer"])
    with pytest.raises(RecordError, match="did you mean 'layers'"):
        change["layer"]
    with pytest.raises(RecordError, match="no comparison 'a--b'"):
        study.comparison("a", "b")


def test_scores_name_the_deciding_one_first(study):
    """One a network, with interval, chance and N."""
    scores = study.scores
    main = scores[scores["is_main"]]
    assert list(main["network"]) == list(dict.fromkeys(scores["network"]))
    assert ((main["low"] <= main["value"]) & (main["value"] <= main["high"])).all()
    assert {"chance", "n"} <= set(scores)


def test_pictures_are_opened(study, whole):
    """Renderings by network, layer and channel; thumbnails by dataset and picture."""
    row = study.renderings.query("status == 'ok'").iloc[0]
    assert study.rendering(row["network"], row["layer"], int(row["channel"])).mode == "RGB"
    dataset = next(iter(study.records.datasets))
    kept = {path.name for path in StudyFolder(whole).thumbnails(dataset).glob("*.jpg")}
    images = study.images(dataset)
    shown = images[[f"{digest[:24]}.jpg" in kept for digest in images["digest"]]]
    assert isinstance(study.thumbnail(dataset, shown["image"].iloc[0]), Image.Image)
    with pytest.raises(RecordError, match="was it drawn"):
        study.rendering(row["network"], row["layer"], 10**6)
    with pytest.raises(RecordError, match="no picture of"):
        study.thumbnail(dataset, "nowhere.jpg")


def test_a_notebook_shows_what_was_found_and_nothing_breaks_out(study):
    """Answer, scores, findings; charts and folded tables of a comparison; names are text."""
    page = study._repr_html_()
    assert "Which route won?" in page
    assert "<summary>findings" in page
    for pair in study.comparisons:
        page += study.comparison(*pair)._repr_html_()
    assert page.count("<svg") >= len(study.comparisons)
    assert "<summary>layers" in page
    for name in HOSTILE:
        assert f"<{name}" not in page
    assert "<script" not in page


def test_a_folder_without_a_study_is_refused(tmp_path):
    """With what would be right."""
    with pytest.raises(RecordError, match="give the folder that a run of a study left"):
        op.open_study(tmp_path)
