"""`op.dataset` opens any kind of collection without a study."""

import io
from pathlib import Path

import pytest
import webdataset
from PIL import Image

from overpaint.datasets.opening import dataset
from overpaint.errors import DatasetError


def test_every_key_of_a_study(pictures):
    """Keys go to the kind as a study's would; splits come from the seed."""
    art = dataset(pictures, group=r"(\d)\.png$", disjoint="group", seed=3)
    where = {(each.group, each.split) for each in art.pictures}
    assert len(where) == 10
    assert art.pictures == dataset(
        str(pictures), group=r"(\d)\.png$", disjoint="group", seed=3
    ).pictures  # fmt: skip


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"kind": "rastas"}, "no kind 'rastas'; did you mean 'rasta'"),
        ({"kind": "atelier"}, "no kind 'atelier'"),
        ({"grup": "x"}, "there is no key 'grup'; the keys are kind, disjoint, cache, root, group"),
        ({"kind": "table"}, "needs either 'file' .* or 'files'"),
    ],
)
def test_what_is_wrong_is_said(pictures, more, said):
    """An unknown kind or key is an error that lists the known ones."""
    with pytest.raises(DatasetError, match=said) as caught:
        dataset(pictures, **more)
    assert caught.value.slug == "bad-dataset"


def test_pictures_of_shards_stay(tmp_path: Path, monkeypatch):
    """What is written out stands in the cache folder, and is there after the call."""
    monkeypatch.setenv("OVERPAINT_CACHE", str(tmp_path / "cache"))
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9)).save(buffer, "JPEG")
    (tmp_path / "s").mkdir()
    with webdataset.TarWriter(str(tmp_path / "s" / "train-0.tar")) as sink:
        for number in range(5):
            sink.write({"__key__": f"{number}", "jpg": buffer.getvalue(), "cls": "a"})
    art = dataset(tmp_path / "s", kind="shards")
    assert art.split("train").paths[0].read_bytes() == buffer.getvalue()
    assert art.root.is_relative_to(tmp_path / "cache" / "datasets")
    assert dataset(tmp_path / "s", kind="shards", seed=1).root != art.root


def test_a_name_of_the_hub(monkeypatch, tmp_path):
    """What is no folder is a name of the hub."""
    monkeypatch.setenv("OVERPAINT_CACHE", str(tmp_path))
    datasets = pytest.importorskip("datasets")
    asked = []

    def refuse(name, revision):
        asked.append((name, revision))
        raise ConnectionError("offline")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(DatasetError, match="offline"):
        dataset("owner/art", kind="hub", revision="v1")
    assert asked == [("owner/art", "v1")]


def test_what_is_left_out_is_told_from_python_too(pictures):
    """Who calls `op.dataset` hears of a broken picture, of other files, and of drawn splits."""
    (pictures / "red/00.png").write_bytes(b"no picture")
    (pictures / "red/notes.txt").write_text("...")
    with pytest.warns(UserWarning, match="splits drawn class by class") as caught:
        art = dataset(pictures)
    told = str(caught[0].message)
    assert "left out: red/00.png" in told
    assert "1 file was no picture: 1 .txt" in told
    assert art.notes
