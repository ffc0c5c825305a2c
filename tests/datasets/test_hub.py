"""Sets of the library `datasets`, saved by the library itself, become files with labels."""

import io
import sys
from pathlib import Path

import pytest
from PIL import Image

import datasets
from overpaint.datasets.entry import Surroundings
from overpaint.datasets.hub import HubEntry
from overpaint.datasets.opening import open_dataset
from overpaint.errors import DatasetError, StudyError
from overpaint.study import read_study

STYLES = ["rococo", "cubism", "baroque"]


def encoded(number: int, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9), (number % 256, 50, 7)).save(buffer, kind)
    return buffer.getvalue()


def made(first: int, count: int, label: object = None) -> datasets.Dataset:
    """Rows from `first` on; labels are class numbers, or what `label` makes of the number."""
    numbers = range(first, first + count)
    features = datasets.Features(
        image=datasets.Image(), label=label or datasets.ClassLabel(names=STYLES),
        artist=datasets.Value("string"),
    )  # fmt: skip
    several = isinstance(features["label"], datasets.List)
    rows = {
        "image": [{"bytes": encoded(n, "JPEG" if n % 2 else "PNG"), "path": None} for n in numbers],
        "label": [[n % 3, (n + 1) % 3] if several else n % 3 for n in numbers],
        "artist": [f"artist {n // 4}" if n % 5 else None for n in numbers],
    }
    return datasets.Dataset.from_dict(rows, features=features)


def opened(tmp_path: Path, **more: object):
    entry = HubEntry(kind="hub", **{"root": tmp_path / "set", **more})
    return open_dataset("art", entry, workplace=tmp_path / "work")[0]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A set with three splits, as `save_to_disk` writes it."""
    splits = {"train": made(0, 20), "validation": made(20, 5), "test": made(25, 10)}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "set")
    return tmp_path / "set"


def check(dataset) -> None:
    """The set of `saved`, picture by picture."""
    assert dataset.classes == tuple(STYLES)
    assert not dataset.multi_label
    numbers = {"train": range(20), "val": range(20, 25), "test": range(25, 35)}
    for name, expected in numbers.items():
        split = dataset.split(name)
        assert split.labels.tolist() == [n % 3 for n in expected]
        assert [path.read_bytes() for path in split.paths] == [
            encoded(n, "JPEG" if n % 2 else "PNG") for n in expected
        ]


def test_saved_to_disk(saved, tmp_path):
    """Bytes are kept as they are, classes are named in the order of the set."""
    dataset = opened(tmp_path)
    check(dataset)
    assert dataset.split("val").images[:2] == ["val/0000000.png", "val/0000001.jpg"]


def test_parquet_folder(tmp_path):
    """A folder of Parquet files as the hub stores it: splits by file name, classes by metadata."""
    (tmp_path / "set" / "data").mkdir(parents=True)
    for name, first, count in (("train-00000-of-00002", 0, 12), ("train-00001-of-00002", 12, 8),
                               ("validation-00000-of-00001", 20, 5), ("test", 25, 10)):  # fmt: skip
        made(first, count).to_parquet(tmp_path / "set" / "data" / f"{name}.parquet")
    check(opened(tmp_path))


def test_one_split_is_divided(tmp_path):
    """A set without splits gets them, here so that no artist stands in two."""
    made(0, 40).save_to_disk(tmp_path / "set")
    dataset = opened(tmp_path, group="artist", disjoint="group")
    assert dataset.split_names == ["train", "val", "test"]
    known = [(each.group, each.split) for each in dataset.pictures if each.group]
    assert len(set(known)) == len({group for group, _ in known}) == 10
    assert sum(not each.group for each in dataset.pictures) == 8


def test_several_labels(tmp_path):
    """A list of class numbers makes a set multi-label."""
    label = datasets.List(datasets.ClassLabel(names=STYLES))
    made(0, 12, label).save_to_disk(tmp_path / "set")
    dataset = opened(tmp_path)
    assert dataset.multi_label
    assert dataset.pictures[1].labels == ("cubism", "baroque")


def test_lists_of_one(tmp_path):
    """Labels that come as lists may be several, also where each list happens to hold one."""
    features = datasets.Features(
        image=datasets.Image(), label=datasets.List(datasets.Value("string"))
    )
    rows = {
        "image": [{"bytes": encoded(n), "path": None} for n in range(6)],
        "label": [["sea"]] * 6,
    }
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "set")
    assert opened(tmp_path).multi_label


def test_plain_numbers_and_chosen_splits(saved, tmp_path):
    """Numbers without names are classes in numeric order; `splits` says which is which."""
    plain = datasets.Value("int64")
    splits = {"a": made(0, 9, plain), "b": made(9, 9, plain)}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "other")
    dataset = opened(tmp_path, root=tmp_path / "other", splits={"train": "a", "test": "b"})
    assert dataset.classes == ("0", "1", "2")
    assert len(dataset.split("test")) == 9
    with pytest.raises(DatasetError, match="has the splits a, b") as caught:
        opened(tmp_path, root=tmp_path / "other")
    assert caught.value.slug == "unknown-split"
    with pytest.raises(DatasetError, match="no split 'c'; known: a, b"):
        opened(tmp_path, root=tmp_path / "other", splits={"train": "c"})


def test_written_out_once(saved, tmp_path, monkeypatch):
    """Later looks need no library."""
    before = opened(tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert opened(tmp_path).pictures == before.pictures


def test_without_the_library(saved, tmp_path, monkeypatch):
    """What to install is said."""
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DatasetError, match=r"pip install 'overpaint\[hub\]'") as caught:
        opened(tmp_path)
    assert caught.value.slug == "missing-extra"


def test_without_a_network(tmp_path, monkeypatch):
    """The error tells how to bring the set here; no script is ever asked for."""
    asked = []

    def refuse(name, **options):
        asked.append((name, options))
        raise ConnectionError("no route to host\nand more")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(DatasetError, match=r"no route to host; .*save_to_disk.*'root: F") as caught:
        opened(tmp_path, root=None, name="owner/art", revision="v1")
    assert caught.value.slug == "no-hub-dataset"
    assert asked == [("owner/art", {"revision": "v1"})]


def test_of_the_hub(tmp_path, monkeypatch):
    """What the hub's name gives is read like what lies in a folder."""
    splits = {"train": made(0, 20), "validation": made(20, 5), "test": made(25, 10)}
    monkeypatch.setattr(datasets, "load_dataset", lambda name, revision: splits)
    check(opened(tmp_path, root=None, name="owner/art"))


@pytest.mark.parametrize("column", ["image", "label", "group"])
def test_a_missing_column(saved, tmp_path, column):
    """A column that the set lacks is named with the near one."""
    with pytest.raises(DatasetError, match="no column 'artits'; did you mean 'artist'") as caught:
        opened(tmp_path, **{column: "artits"})
    assert caught.value.slug == "missing-column"


@pytest.mark.parametrize("make", [lambda root: None, lambda root: root.mkdir(),
                                  lambda root: (root.mkdir(), (root / "dataset_dict.json")
                                                .write_text("{"))])  # fmt: skip
def test_no_set_there(tmp_path, make):
    """A folder that is missing, empty or broken is named."""
    make(tmp_path / "set")
    with pytest.raises(DatasetError, match="set"):
        opened(tmp_path)


def test_pictures_elsewhere_are_not_read(tmp_path):
    """A set that names a file outside itself instead of bytes is refused."""
    (tmp_path / "private.png").write_bytes(encoded(1))
    rows = {"image": [{"bytes": None, "path": str(tmp_path / "private.png")}], "label": [0]}
    features = datasets.Features(image=datasets.Image(), label=datasets.Value("int64"))
    table = datasets.Dataset.from_dict(rows, features=features)
    (tmp_path / "set").mkdir()
    table.with_format("arrow").to_parquet(tmp_path / "set" / "train.parquet")
    import pyarrow.parquet as pq

    frame = pq.read_table(tmp_path / "set" / "train.parquet")
    if frame["image"][0].as_py()["bytes"] is not None:  # the library took the picture in
        pytest.fail("the test needs a set that names a path")
    with pytest.raises(DatasetError, match=r"private\.png' does not lie below") as caught:
        opened(tmp_path)
    assert caught.value.slug == "path-outside"


def test_one_place(tmp_path):
    """A name and a folder, or neither, is an error of the study."""
    (tmp_path / "s.yaml").write_text("study: s\nnetworks: {}\ndatasets:\n  art: {kind: hub}\n")
    with pytest.raises(StudyError, match=r"either 'name' .* line 4"):
        read_study(str(tmp_path / "s.yaml"))


# --- what is missing or not used ---------------------------------------------------------------


def catalogue(tmp_path: Path, **more: object):
    """The catalogue of a set, with its notes."""
    entry = HubEntry(kind="hub", **{"root": tmp_path / "set", **more})
    return entry.read(Surroundings(base=Path(), pictures=tmp_path / "out", seed=0))


def labelled(labels: list[object], label: object) -> datasets.Dataset:
    features = datasets.Features(image=datasets.Image(), label=label)
    pictures = [{"bytes": encoded(n), "path": None} for n in range(len(labels))]
    return datasets.Dataset.from_dict({"image": pictures, "label": labels}, features=features)


WORD, NUMBER = datasets.Value("string"), datasets.Value("int64")


@pytest.mark.parametrize(
    ("labels", "label"),
    [
        ([0, 1, -1, -1], datasets.ClassLabel(names=STYLES)),
        ([0, 1, None, None], datasets.ClassLabel(names=STYLES)),
        ([0, 1, -1, -1], NUMBER),
        ([0, 1, None, None], NUMBER),
        (["sea", "sky", "", " "], WORD),
        (["sea", "sky", None, None], WORD),
        ([0.0, 1.0, float("nan"), None], datasets.Value("float64")),
    ],
)
def test_a_missing_label(labels, label, tmp_path):
    """In a set of one label a picture it is an error with the row; no second label is made of it,
    and nothing is left behind.
    """
    labelled(labels, label).save_to_disk(tmp_path / "set")
    with pytest.raises(DatasetError, match=r"'train/2' has no label \(2 in all") as caught:
        catalogue(tmp_path)
    assert caught.value.slug == "missing-label"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("bare", [[], None, [-1], [None]])
def test_no_label_among_several(bare, tmp_path):
    """Where a picture may have several labels, it may have none; null and -1 are told."""
    label = datasets.List(datasets.ClassLabel(names=STYLES))
    labelled([[0, 1], [2], bare], label).save_to_disk(tmp_path / "set")
    found = catalogue(tmp_path)
    assert found.multi_label
    assert [picture.labels for picture in found.pictures] == [
        ("rococo", "cubism"), ("baroque",), ()]  # fmt: skip
    told = "1 of the pictures have null or -1 for labels: they count as showing none of the classes"
    assert found.notes == (() if bare == [] else (told,))


def test_blanks_and_forms(tmp_path):
    """Blanks around labels and the form of accents are no part of them, nor of names of classes;
    1 and 1.0 are one label.
    """
    words = ["sea ", " sea", "caf\u00e9", "cafe\u0301"]
    labelled(words, WORD).save_to_disk(tmp_path / "set")
    assert [picture.labels[0] for picture in catalogue(tmp_path).pictures] == [
        "sea", "sea", "caf\u00e9", "caf\u00e9"]  # fmt: skip
    labelled([0, 1], datasets.ClassLabel(names=["sea ", "sky"])).save_to_disk(tmp_path / "names")
    assert catalogue(tmp_path, root=tmp_path / "names").classes == ("sea", "sky")
    labelled([0.0, 1.0], datasets.Value("float64")).save_to_disk(tmp_path / "floats")
    assert catalogue(tmp_path, root=tmp_path / "floats").classes == ("0", "1")


def test_a_label_among_others_that_is_none(tmp_path):
    """It is an error with the row."""
    label = datasets.List(datasets.ClassLabel(names=STYLES))
    labelled([[0, 1], [2, -1]], label).save_to_disk(tmp_path / "set")
    with pytest.raises(DatasetError, match="train 1: one of the labels") as caught:
        catalogue(tmp_path)
    assert caught.value.slug == "bad-label"


@pytest.mark.parametrize(
    ("labels", "label", "said"),
    [
        ([[0, 1, 1], [1, 0, 0]], datasets.List(NUMBER), "all lists have 3 values, each 0 or 1"),
        ([{"box": 1}, {"box": 2}], {"box": NUMBER}, "train 0: {'box': 1} is neither a label"),
    ],
)
def test_what_is_no_label(labels, label, said, tmp_path):
    """It is refused: each would be a class of its own, or 0 and 1 the only ones."""
    labelled(labels, label).save_to_disk(tmp_path / "set")
    with pytest.raises(DatasetError, match=said) as caught:
        catalogue(tmp_path)
    assert caught.value.slug == "bad-label"


def test_words_for_no_label(tmp_path):
    """They may be classes, and are told."""
    labelled(["sea", "NA", "sky"], WORD).save_to_disk(tmp_path / "set")
    [note] = catalogue(tmp_path).notes
    assert "'NA' is read as a class" in note


def test_an_unlabelled_test_split(tmp_path):
    """As competitions have it: the error says how to leave it out, and so it is, and is told."""
    parts = {"train": labelled([0, 1, 2], NUMBER), "test": labelled([-1, -1], NUMBER)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "set")
    with pytest.raises(DatasetError, match=r"'test/0' has no label.*say in 'splits'"):
        catalogue(tmp_path)
    found = catalogue(tmp_path, splits={"train": "train"})
    assert len(found.pictures) == 3
    assert found.notes == (f"the split 'test' of {tmp_path / 'set'} is not used",)


def test_a_split_that_is_not_used(tmp_path):
    """It is named, also on a second look, which reads nothing."""
    parts = {name: made(0, 3) for name in ("train", "test", "unsupervised", "extra")}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "set")
    for _ in range(2):
        found = catalogue(tmp_path)
        assert {picture.split for picture in found.pictures} == {"train", "test"}
        assert [note.split("'")[1] for note in found.notes] == ["unsupervised", "extra"]


def test_two_names_of_one_split(tmp_path):
    """Neither val nor validation is taken in silence."""
    parts = {name: made(0, 3) for name in ("train", "val", "validation")}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "set")
    with pytest.raises(DatasetError, match="val and validation, which both mean val") as caught:
        catalogue(tmp_path)
    assert caught.value.slug == "unknown-split"
    assert catalogue(tmp_path, splits={"train": "train", "val": "validation"}).notes


def test_parquet_files_of_no_split(tmp_path):
    """Beside files that name their splits they are not taken for train."""
    (tmp_path / "set").mkdir()
    for name in ("train-00000-of-00001", "test-00000-of-00001", "unsupervised-00000-of-00001"):
        made(0, 3).to_parquet(tmp_path / "set" / f"{name}.parquet")
    found = catalogue(tmp_path)
    assert len(found.pictures) == 6
    assert found.notes == (f"the split 'other' of {tmp_path / 'set'} is not used",)


def test_parquet_files_that_name_nothing(tmp_path):
    """All of them are one collection, to be divided."""
    (tmp_path / "set").mkdir()
    for name in ("0000", "0001"):
        made(0, 3).to_parquet(tmp_path / "set" / f"{name}.parquet")
    found = catalogue(tmp_path)
    assert [picture.split for picture in found.pictures] == [""] * 6


def test_classes_in_another_order(tmp_path):
    """A number means what its own split says, also where the splits were made apart."""
    parts = {
        "train": labelled([0, 1], datasets.ClassLabel(names=["sea", "sky"])),
        "test": labelled([0, 1], datasets.ClassLabel(names=["sky", "sea"])),
    }
    (tmp_path / "set").mkdir()
    for name, part in parts.items():
        part.save_to_disk(tmp_path / "set" / name)
    (tmp_path / "set" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    found = catalogue(tmp_path)
    assert [picture.labels for picture in found.pictures] == [
        ("sea",), ("sky",), ("sky",), ("sea",)]  # fmt: skip


def test_a_column_of_no_pictures(tmp_path):
    """A set whose pictures are none is an error, not a traceback."""
    made(0, 3).save_to_disk(tmp_path / "set")
    with pytest.raises(DatasetError) as caught:
        catalogue(tmp_path, image="label")
    assert caught.value.slug == "no-hub-dataset"
