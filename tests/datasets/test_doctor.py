"""The doctor names what cannot be learnt, what stands in two splits, and what groups give away."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.dummy import DummyClassifier

from overpaint.datasets.catalogue import Picture, dataset_of
from overpaint.datasets.doctor import check_trainable, duplicates, leak, remarks, remember
from overpaint.datasets.folder import FolderEntry
from overpaint.datasets.opening import open_dataset
from overpaint.datasets.rasta import RastaEntry
from overpaint.datasets.table import TableEntry
from overpaint.errors import DatasetError
from overpaint.records import ImageRow, read_rows, read_table, write_table


def dataset(*rows: tuple[str, str, str, str], classes=None):
    """A dataset of (image, split, label, group)."""
    pictures = [
        Picture(image=image, split=split, labels=(label,), group=group)
        for image, split, label, group in rows
    ]
    return dataset_of("art", Path("art"), pictures, classes=classes)


WELL = [("1", "train", "a", ""), ("2", "train", "b", ""), ("3", "val", "a", ""),
        ("4", "test", "b", "")]  # fmt: skip


def test_what_can_be_trained():
    """Pictures in all splits and each class in train: nothing to say."""
    check_trainable(dataset(*WELL))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_empty_split(split):
    """A split without pictures is named."""
    rows = [row for row in WELL if row[1] != split]
    with pytest.raises(DatasetError, match=f"no picture in the split '{split}'") as caught:
        check_trainable(dataset(*rows))
    assert caught.value.slug == "empty-split"


def test_a_class_that_is_only_in_test():
    """It cannot be learnt: the error names it, how many it has, and where."""
    rows = [*WELL, ("5", "test", "c", ""), ("6", "test", "c", ""), ("7", "val", "c", "")]
    with pytest.raises(DatasetError, match=r"'c' \(3 elsewhere: val 1, test 2\)") as caught:
        check_trainable(dataset(*rows))
    assert caught.value.slug == "class-not-in-train"


def test_a_class_without_pictures():
    """A class that was asked for and has no picture at all is named too."""
    with pytest.raises(DatasetError, match=r"'z' \(0 elsewhere\)"):
        check_trainable(dataset(*WELL, classes=["a", "b", "z"]))


# --- pictures in two splits --------------------------------------------------------------------


def test_one_picture_under_two_names(pictures, tmp_path):
    """Equal bytes in two splits are found, the training picture first; in one split they may be."""
    for split in ("train", "val", "test"):
        (tmp_path / "art" / split).mkdir(parents=True)
        for label in ("red", "blue"):
            folder = tmp_path / "art" / split / label
            folder.mkdir()
            number = {"train": 0, "val": 1, "test": 2}[split]
            (folder / "a.png").write_bytes((pictures / label / f"{number:02}.png").read_bytes())
    same = (pictures / "red" / "00.png").read_bytes()
    (tmp_path / "art" / "test" / "red" / "copy.png").write_bytes(same)
    (tmp_path / "art" / "train" / "blue" / "twin.png").write_bytes(same)
    entry = FolderEntry(kind="folder", root=tmp_path / "art")
    found = duplicates(open_dataset("art", entry, workplace=tmp_path / "work")[0])
    assert [str(each) for each in found] == [
        "the same picture stands in train and test: train/blue/twin.png and test/red/copy.png"
    ]


def test_pictures_without_a_digest_are_no_duplicates():
    """Pictures that were not read yet are not taken for equal."""
    assert duplicates(dataset(*WELL)) == []


# --- groups in two splits ----------------------------------------------------------------------


def test_leak_by_hand():
    """Three of four test pictures are of known artists, and two are named by their artist."""
    rows = [
        ("1", "train", "rococo", "Boucher"),
        ("2", "train", "rococo", "Boucher"),
        ("3", "train", "cubism", "Boucher"),
        ("4", "train", "cubism", "Gris"),
        ("5", "train", "rococo", ""),
        ("6", "test", "rococo", "Boucher"),
        ("7", "test", "baroque", "Gris"),
        ("8", "test", "baroque", "Rubens"),
        ("9", "test", "baroque", ""),
        ("10", "test", "rococo", "Boucher"),
        ("0", "val", "cubism", ""),
    ]
    [row] = leak(dataset(*rows))
    assert (row.split, row.n, row.known, row.groups, row.known_groups) == ("test", 4, 3, 3, 2)
    assert (row.share, row.accuracy, row.chance) == (3 / 4, 2 / 3, 2 / 3)


def test_no_groups_no_rows():
    """Without groups there is nothing to tell; without known ones, no accuracy."""
    assert leak(dataset(*WELL)) == []
    [row] = leak(dataset(("1", "train", "a", "x"), ("2", "test", "a", "y")))
    assert (row.share, row.accuracy, row.chance) == (0, None, None)


@given(st.lists(st.tuples(st.sampled_from(["train", "val", "test"]), st.sampled_from("abc"),
                          st.integers(0, 5)), min_size=1, max_size=60))  # fmt: skip
@settings(deadline=None)
def test_leak_against_sklearn(rows):
    """Accuracy and chance are those of scikit-learn's most frequent class."""
    all_rows = [(str(n), split, label, f"g{g}") for n, (split, label, g) in enumerate(rows)]
    train = [row for row in all_rows if row[1] == "train"]
    for found in leak(dataset(*all_rows)):
        inside = [row for row in all_rows if row[1] == found.split]
        known = [row for row in inside if row[3] in {each[3] for each in train}]
        assert (found.n, found.known) == (len(inside), len(known))
        if known:
            named = [_usual([each[2] for each in train if each[3] == row[3]]) for row in known]
            truth = np.array([row[2] for row in known])
            assert found.accuracy == pytest.approx(np.mean(np.array(named) == truth))
            assert found.chance == pytest.approx(
                np.mean(truth == _usual([each[2] for each in train]))
            )


def _usual(labels: list[str]) -> str:
    dummy = DummyClassifier(strategy="most_frequent").fit(np.zeros((len(labels), 1)), labels)
    return str(dummy.predict(np.zeros((1, 1)))[0])


def test_rasta_leaks(real, tmp_path):
    """On RASTA's own splits an artist's name tells the style far better than chance."""
    entry = RastaEntry(kind="rasta", root=real / "data/rasta_small")
    opened, _ = open_dataset("rasta", entry, workplace=tmp_path)
    check_trainable(opened)
    assert duplicates(opened) == []
    for row in leak(opened):
        assert 0.3 < row.share < 0.6
        assert row.accuracy > 0.7
        assert row.chance < 0.1


def test_odd_pictures_are_told(pictures, tmp_path):
    """A picture of one colour, and one almost black, are named on every look, and others are not;
    one that is mended is not named any more.
    """
    root = tmp_path / "art"
    shutil.copytree(pictures, root)
    for path in root.rglob("*.png"):  # what the fixture paints may be of one colour
        Image.linear_gradient("L").save(path)
    Image.new("RGB", (9, 9), (255, 0, 16)).save(root / "red" / "flat.png")
    Image.linear_gradient("L").point(lambda value: value // 20).save(root / "red" / "dark.png")
    entry = FolderEntry(kind="folder", root=root)
    work = tmp_path / "work"
    for _ in range(2):
        dataset, rows = open_dataset("art", entry, workplace=work)
        remember(dataset.root, rows, work)
        assert remarks(work) == [
            "red/dark.png is almost black: no value above 12 of 255",
            "red/flat.png is of one colour only, #ff0010",
        ]
    (root / "red" / "dark.png").write_bytes((root / "red" / "00.png").read_bytes())
    open_dataset("art", entry, workplace=work)
    assert remarks(work) == ["red/flat.png is of one colour only, #ff0010"]


def test_a_table_of_pictures_from_before_there_were_sources(tmp_path, monkeypatch):
    """It counts as a look at the pictures, and what their table says now is written beside it."""
    (tmp_path / "art").mkdir()
    for number in range(3):
        Image.linear_gradient("L").rotate(number).save(tmp_path / "art" / f"{number}.png")
    file, work = tmp_path / "art.csv", tmp_path / "work"
    lines = [f"{number}.png,a,https://museum.org/{number},CC0" for number in range(3)]
    file.write_text("\n".join(["path,label,source,rights", *lines]))
    entry = TableEntry(kind="table", root=tmp_path / "art", file=file)
    dataset, rows = open_dataset("art", entry, workplace=work)
    remember(dataset.root, rows, work)
    assert [(row.source, row.rights) for row in read_rows(work / "images.parquet", ImageRow)] == [
        (f"https://museum.org/{number}", "CC0") for number in range(3)]  # fmt: skip
    frame = read_table(work / "images.parquet")
    write_table(work / "images.parquet", frame.drop(columns=["source", "rights"]))
    monkeypatch.setattr("overpaint.datasets.doctor.survey", None)  # nothing is read
    assert open_dataset("art", entry, workplace=work)[1] == rows


def test_what_could_not_be_read_is_tried_again(tmp_path, monkeypatch):
    """A scan above the limit is left out, and read once the limit is raised."""
    (tmp_path / "art" / "a").mkdir(parents=True)
    for name, side in (("small", 10), ("large", 100)):
        Image.linear_gradient("L").resize((side, side)).save(tmp_path / "art" / "a" / f"{name}.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    entry, work = FolderEntry(kind="folder", root=tmp_path / "art"), tmp_path / "work"
    dataset, rows = open_dataset("art", entry, workplace=work)
    remember(dataset.root, rows, work)
    assert len(dataset.pictures) == 1
    monkeypatch.setenv("OVERPAINT_MEGAPIXELS", "1")
    assert len(open_dataset("art", entry, workplace=work)[0].pictures) == 2
