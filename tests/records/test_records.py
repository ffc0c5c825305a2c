"""Records: whole or not at all, and the same when read back."""

from dataclasses import replace

import pytest

from overpaint.errors import RecordError
from overpaint.records import (
    LayerRow,
    RenderingRow,
    contents,
    manifest,
    read_json,
    read_rows,
    reasons_to_make,
    table,
    whole_file,
    whole_folder,
    write_manifest,
    write_rows,
    write_table,
)

ROW = LayerRow(
    layer="mixed4d",
    position=0,
    channels=528,
    n_images=249,
    reduction="mean",
    cka=0.9,
    cka_low=0.8,
    cka_high=0.95,
    cka_debiased=None,
    cka_debiased_low=None,
    cka_debiased_high=None,
    status="ok",
)


def test_rows_come_back(tmp_path):
    """A table of rows reads back as the same rows, None included."""
    write_rows(tmp_path / "layers.parquet", [ROW, ROW], LayerRow)
    assert read_rows(tmp_path / "layers.parquet", LayerRow) == [ROW, ROW]


def test_empty_tables_keep_their_columns(tmp_path):
    """A table without rows can be read as a table."""
    write_rows(tmp_path / "r.parquet", [], RenderingRow)
    assert read_rows(tmp_path / "r.parquet", RenderingRow) == []


def test_missing_column(tmp_path):
    """A table of another kind is refused, with the column that it lacks."""
    write_rows(tmp_path / "r.parquet", [], RenderingRow)
    with pytest.raises(RecordError, match="'position'"):
        read_rows(tmp_path / "r.parquet", LayerRow)


def test_a_column_from_before_there_was_it(tmp_path):
    """A column that a table lacks is what its field is by default, where that is anything."""
    row = RenderingRow(
        layer="mixed4d",
        channel=3,
        objective_start=0.1,
        objective_end=2.5,
        steps=8,
        size=64,
        seed=0,
        status="ok",
        attempts=2,
    )
    path = tmp_path / "r.parquet"
    write_table(path, table([row], RenderingRow).drop(columns=["attempts", "ratio"]))
    assert read_rows(path, RenderingRow) == [replace(row, attempts=1)]


def test_file_whole_or_not(tmp_path):
    """A file that fails while it is written leaves the old one and no draft."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), whole_file(path) as draft:
        draft.write_text("half")
        raise RuntimeError
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_folder_whole_or_not(tmp_path):
    """A folder that fails while it is written leaves the old one and no draft."""
    path = tmp_path / "site"
    with whole_folder(path) as draft:
        (draft / "old").touch()
    with pytest.raises(RuntimeError), whole_folder(path) as draft:
        (draft / "half").touch()
        raise RuntimeError
    assert [each.name for each in tmp_path.rglob("*")] == ["site", "old"]
    with whole_folder(path) as draft:
        (draft / "new").touch()
    assert [each.name for each in path.iterdir()] == ["new"]


def test_kept(tmp_path):
    """An artefact is kept exactly when inputs, settings and seed are what they would be now."""
    made = manifest("features", inputs={"a": "1"}, settings={"b": 2}, seed=0)
    assert reasons_to_make(tmp_path, made)
    write_manifest(tmp_path, made)
    assert not reasons_to_make(tmp_path, made)
    assert reasons_to_make(
        tmp_path, manifest("features", inputs={"a": "2"}, settings={"b": 2}, seed=0)
    )
    assert reasons_to_make(
        tmp_path, manifest("features", inputs={"a": "1"}, settings={"b": 3}, seed=0)
    )
    assert reasons_to_make(
        tmp_path, manifest("features", inputs={"a": "1"}, settings={"b": 2}, seed=1)
    )


@pytest.mark.parametrize(("text", "slug"), [(None, "missing-record"), ("{", "broken-record")])
def test_bad_json(tmp_path, text, slug):
    """A missing or broken file is named."""
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    with pytest.raises(RecordError, match=r"a\.json") as caught:
        read_json(tmp_path / "a.json")
    assert caught.value.slug == slug


@pytest.mark.parametrize(
    ("text", "state"), [('{"a": 1}', "changed"), ('{"a": [1, ', "cut"), ("", "cut")]
)
def test_what_was_made_shorter_by_hand_is_not_called_cut_off(tmp_path, text, state):
    """A file that is shorter than it was made is cut off only where it is not whole."""
    path = tmp_path / "scores.json"
    path.write_text('{"a": [1, 2, 3]}')
    files = contents.contents(path, "scores")
    path.write_text(text)
    [damage] = contents.damages(tmp_path, files)
    assert damage.state == state
