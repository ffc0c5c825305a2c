"""Shards that the WebDataset library wrote are read; nothing in them is executed or leads out."""

import gzip
import io
import json
import os
import pickle
import tarfile
from pathlib import Path

import pytest
import webdataset
from PIL import Image

from overpaint.datasets.entry import Surroundings
from overpaint.datasets.opening import open_dataset
from overpaint.datasets.shards import ShardsEntry, below
from overpaint.errors import DatasetError, StudyError
from overpaint.study import read_study


def encoded(number: int = 0, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9), (number % 256, 50, 7)).save(buffer, kind)
    return buffer.getvalue()


def write(path: Path, samples: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with webdataset.TarWriter(str(path)) as sink:
        for sample in samples:
            sink.write(sample)


def opened(root: Path, tmp_path: Path, **more: object):
    entry = ShardsEntry(kind="shards", root=root, **more)
    return open_dataset("art", entry, workplace=tmp_path / "work")[0]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Two shards of train, one of val, one of test; class numbers."""
    root = tmp_path / "shards"
    for name, first in (("train-000000", 0), ("train-000001", 10), ("val-0", 20), ("test-0", 30)):
        write(
            root / f"{name}.tar",
            [{"__key__": f"{n:04}", "jpg": encoded(n), "cls": n % 12} for n in
             range(first, first + 10)],
        )  # fmt: skip
    return root


def test_shards(shards, tmp_path):
    """Every sample becomes a file of the very bytes, in order; class numbers sort as numbers."""
    dataset = opened(shards, tmp_path)
    assert [len(dataset.split(name)) for name in ("train", "val", "test")] == [20, 10, 10]
    assert dataset.classes == tuple(map(str, range(12)))
    train = dataset.split("train")
    assert [path.read_bytes() for path in train.paths] == [encoded(n) for n in range(20)]
    assert train.labels.tolist() == [n % 12 for n in range(20)]
    assert train.images[:2] == ["train/0000000.jpg", "train/0000001.jpg"]


def test_numbers_are_names_when_classes_are_given(shards, tmp_path):
    """A class number counts into the classes of the entry."""
    names = [f"style {letter}" for letter in "lkjihgfedcba"]
    dataset = opened(shards, tmp_path, classes=names)
    assert dataset.classes == tuple(names)
    assert dataset.split("val").pictures[0].labels == ("style d",)
    with pytest.raises(DatasetError, match=r"'0011': class number 11; there are 11") as caught:
        opened(shards, tmp_path, classes=names[:11])
    assert caught.value.slug == "unknown-class"


def test_shards_are_written_out_once(shards, tmp_path, monkeypatch):
    """A second look opens no tar; a shard that has changed is read anew."""
    before = opened(shards, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(tarfile, "open", lambda *args: pytest.fail("opened a tar"))
        assert opened(shards, tmp_path).pictures == before.pictures
    write(shards / "test-0.tar", [{"__key__": "x", "png": encoded(3, "PNG"), "cls": "0"}])
    assert opened(shards, tmp_path).split("test").images == ["test/0000000.png"]


def test_json_labels(tmp_path):
    """A name, a list of names, an empty list; PNG and WebP beside JPEG; several labels."""
    write(
        tmp_path / "s" / "train-0.tar",
        [
            {"__key__": "a", "png": encoded(1, "PNG"), "json": {"label": "sea", "year": 1900}},
            {"__key__": "b", "webp": encoded(2, "WEBP"), "json": {"label": ["sea", "sky"]}},
            {"__key__": "c", "jpg": encoded(3), "json": {"label": []}},
        ],
    )
    write(tmp_path / "s" / "test-0.tar", [{"__key__": "a", "jpg": encoded(4), "cls": "sky"}])
    dataset = opened(tmp_path / "s", tmp_path)
    assert dataset.multi_label
    rows = [(each.image, each.labels) for each in dataset.pictures if "test" not in each.image]
    assert rows == [
        ("train/0000000.png", ("sea",)),
        ("train/0000001.webp", ("sea", "sky")),
        ("train/0000002.jpg", ()),
    ]


def test_train_alone_is_divided(tmp_path):
    """With shards of train only, the splits are drawn, and no name of a file says otherwise."""
    samples = [{"__key__": f"{n}", "jpg": encoded(n), "cls": "a"} for n in range(20)]
    write(tmp_path / "s" / "train-0.tar", samples)
    dataset = opened(tmp_path / "s", tmp_path)
    assert [len(dataset.split(name)) for name in ("train", "val", "test")] == [14, 2, 4]
    assert {each.image.split("/")[0] for each in dataset.pictures} == {"all"}


def test_own_patterns(shards, tmp_path):
    """Patterns say which shards are which split; one that finds nothing names what is there."""
    dataset = opened(shards, tmp_path, splits={"train": "train-*0.tar", "test": "*-000001.tar"})
    assert len(dataset.split("test")) == 10
    assert dataset.split("train").pictures[9].labels == ("9",)
    with pytest.raises(DatasetError, match=r"'tain\*'; there: test-0.tar, train-0") as caught:
        opened(shards, tmp_path, splits={"train": "tain*"})
    assert caught.value.slug == "no-shards"
    with pytest.raises(DatasetError, match=r"'tset\*'"):
        opened(shards, tmp_path, splits={"train": "train*", "test": "tset*"})


def tar(path: Path, members: list[tuple[str | tarfile.TarInfo, bytes]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.name.endswith("1.tar") else "w") as file:
        for name, data in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))


def test_names_of_members_are_no_paths(tmp_path):
    """Members that call themselves /evil or ../evil are written where all others are."""
    members = [(f"{name}.{end}", data) for name in ("/evil", "../../evil", "a/b.c")
               for end, data in (("jpg", encoded()), ("cls", b"x"))]  # fmt: skip
    tar(tmp_path / "s" / "train-1.tar", [*members[:4], ("a/b.jpg", encoded()), ("a/b.cls", b"x")])
    dataset = opened(tmp_path / "s", tmp_path)
    assert [each.image for each in dataset.pictures] == [f"all/{n:07}.jpg" for n in range(3)]
    assert not list(tmp_path.rglob("*evil*"))


def test_the_ending_begins_at_the_first_dot(tmp_path):
    """A sample's mask.png is not its png, as the WebDataset library has it."""
    sample = {"mask.png": encoded(1, "PNG"), "jpg": encoded(2), "cls": "x", "old.cls": b"y"}
    write(tmp_path / "s" / "train-0.tar", [{"__key__": "a", **sample}])
    [only] = opened(tmp_path / "s", tmp_path).pictures
    assert (only.image, only.labels) == ("all/0000000.jpg", ("x",))


class Trap:
    """Pickled, it writes a file when it is loaded."""

    def __reduce__(self):
        return os.system, ("touch trapped",)


def test_pickled_members_are_not_loaded(tmp_path, monkeypatch):
    """Members of other kinds, links among them, are passed over."""
    monkeypatch.chdir(tmp_path)
    link = tarfile.TarInfo("a.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members = [("a.pyd", pickle.dumps(Trap())), ("a.pickle", pickle.dumps(Trap())), (link, b""),
               ("a.jpg", encoded()), ("a.cls", b"x")]  # fmt: skip
    tar(tmp_path / "s" / "train-0.tar", members)
    assert len(opened(tmp_path / "s", tmp_path).pictures) == 1
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize(
    ("members", "slug", "said"),
    [
        ([("a.jpg", encoded())], "missing-label", "'a': neither .cls nor .json"),
        ([("a.cls", b"x")], "no-picture-in-sample", "'a': no jpg"),
        ([("a.jpg", encoded()), ("a.json", b"{}")], "missing-label", "no field 'label'"),
        ([("a.jpg", encoded()), ("a.json", b"[1]")], "missing-label", "no field 'label'"),
        ([("a.jpg", encoded()), ("a.json", b"{")], "broken-shard", "no JSON"),
        ([("a.jpg", encoded()), ("a.cls", b"\xff")], "broken-shard", "no text"),
        ([("a.jpg", encoded()), ("a.cls", b"")], "bad-label", "neither a class nor its number"),
        ([("a.jpg", encoded()), ("a.json", b'{"label": {}}')], "bad-label", "{} is neither"),
        ([("a.jpg", encoded()), ("a.json", b'{"label": [-1, 2]}')], "bad-label", "is none"),
        ([("a.jpg", encoded()), ("a.cls", b"x" * (2**20 + 1))], "broken-shard", "1048577 bytes"),
    ],
)
def test_bad_samples(tmp_path, members, slug, said):
    """What is wrong with a sample is named with the shard and its key."""
    tar(tmp_path / "s" / "train-0.tar", members)
    with pytest.raises(DatasetError, match=rf"train-0\.tar.*{said}") as caught:
        opened(tmp_path / "s", tmp_path)
    assert caught.value.slug == slug


def test_an_unknown_class(tmp_path):
    """A name that is not among the classes is named with its neighbour."""
    tar(tmp_path / "s" / "train-0.tar", [("a.jpg", encoded()), ("a.cls", b"cubizm")])
    with pytest.raises(DatasetError, match="did you mean 'cubism'"):
        opened(tmp_path / "s", tmp_path, classes=["cubism", "rococo"])


@pytest.mark.parametrize("length", [700, 1100, 5000, 5120, 5632])
def test_a_shard_that_is_cut_off(shards, tmp_path, length):
    """It is named, wherever it is cut, and nothing half written is left behind."""
    data = (shards / "test-0.tar").read_bytes()
    (shards / "test-0.tar").write_bytes(data[:length])
    with pytest.raises(DatasetError, match=r"test-0\.tar, it may be cut off") as caught:
        opened(shards, tmp_path)
    assert caught.value.slug == "broken-shard"
    assert not (tmp_path / "work" / "pictures").exists()
    assert not list((tmp_path / "work").glob(".*"))


def test_what_each_file_was_is_recorded(shards, tmp_path):
    """pictures.parquet tells the shard and key of each file."""
    import pandas as pd

    opened(shards, tmp_path)
    frame = pd.read_parquet(tmp_path / "work" / "pictures" / "pictures.parquet")
    assert frame["source"][10] == "train-000001.tar/0010"
    assert json.loads((tmp_path / "work/pictures/export.json").read_text())["multi_label"] is None


@pytest.mark.parametrize("pattern", ["*a*a*a*a*.tar", "**/**/**/*.tar", "{a,*-*-*-*}.tar"])
def test_a_pattern_that_fits_in_too_many_ways(pattern):
    """Each star more has a long name, on a disk or a server, tried a hundred times as often."""
    with pytest.raises(ValueError, match="can fit a name in too many ways"):
        below(pattern)
    assert below("**/*-train-*-of-*.tar")


def test_patterns_stay_below_the_root(tmp_path):
    """A pattern that leads out of the root is an error of the study."""
    (tmp_path / "s.yaml").write_text(
        "study: s\nnetworks: {}\ndatasets:\n"
        "  art: {kind: shards, root: a, splits: {train: ../x.tar}}\n"
    )
    with pytest.raises(StudyError, match=r"'../x.tar' leads out of the root.*line 4"):
        read_study(str(tmp_path / "s.yaml"))


# --- keys, and what is left out ----------------------------------------------------------------

PICTURE = encoded()

KEYS = {
    "dots in a folder": (
        ["v1.2/a.jpg", "v1.2/a.cls"], [("v1.2/a", PICTURE)], ()),
    "upper case": (["A.JPG", "A.CLS"], [("A", PICTURE)], ()),
    "the same name in two folders": (
        ["x/a.jpg", "x/a.cls", "y/a.jpg", "y/a.cls"], [("x/a", PICTURE), ("y/a", PICTURE)], ()),
    "a key with a dot": (["Q.1.jpg", "Q.1.cls"], [("Q", PICTURE)], ()),
    "a view and its label": (["a.left.jpg", "a.left.cls"], [("a", PICTURE)], ()),
    "a view and the sample's label": (["a.left.jpg", "a.cls"], [("a", PICTURE)], ()),
    "a mask beside the picture": (
        ["a.jpg", "a.seg.png", "a.cls"], [("a", PICTURE)],
        ("1 member of a shard is not looked at: 1 .seg.png",)),
    "other members": (
        ["a.jpg", "a.cls", "a.txt", "a.npy", "b.jpg", "b.cls", "b.txt", "README"],
        [("a", PICTURE), ("b", PICTURE)],
        ("4 members of the shards are not looked at: 2 .txt, 1 .npy, 1 without ending",)),
    "hidden files of a Mac": (
        ["._a.jpg", "a.jpg", "a.cls"], [("a", PICTURE)],
        ("1 member of a shard is not looked at: 1 hidden",)),
    "what WebDataset writes about a shard": (
        ["__meta__/about.json", "a.jpg", "a.cls"], [("a", PICTURE)], ()),
    "TIFF": (["a.tif", "a.cls"], [("a", PICTURE)], ()),
    "JPEG 2000": (["a.jp2", "a.cls"], [("a", PICTURE)], ()),
}  # fmt: skip


def catalogue(tmp_path: Path, names: list[str], content: dict[str, bytes] | None = None, **more):
    """The catalogue of one shard with these members, and the keys of its samples."""
    import pandas as pd

    usual = {name: b"sea" if name.lower().endswith("cls") else PICTURE for name in names}
    members = [(name, (content or {}).get(name, usual[name])) for name in names]
    tar(tmp_path / "s" / "train-0.tar", members)
    entry = ShardsEntry(kind="shards", root=tmp_path / "s", **more)
    found = entry.read(Surroundings(base=Path(), pictures=tmp_path / "out", seed=0))
    sources = pd.read_parquet(tmp_path / "out" / "pictures.parquet")["source"]
    return found, [source.removeprefix("train-0.tar/") for source in sources]


@pytest.mark.parametrize("case", KEYS)
def test_keys(case, tmp_path):
    """Keys end at the first dot, as WebDataset has it; what is left out is counted."""
    names, expected, notes = KEYS[case]
    found, keys = catalogue(tmp_path, names)
    assert keys == [key for key, _ in expected]
    assert [(found.root / picture.image).read_bytes() for picture in found.pictures] == [
        data for _, data in expected
    ]
    assert found.notes == notes


@pytest.mark.parametrize(
    "names",
    [
        ["a.jpg", "a.cls", "b.v2.jpg", "b.v2.cls"],
        ["x.y/a.jpg", "x.y/a.cls", "x.y/b.png", "x.y/b.cls"],
    ],
)
def test_keys_are_those_of_webdataset(names, tmp_path):
    """The library itself finds the same samples."""
    _, keys = catalogue(tmp_path, names)
    url = str(tmp_path / "s" / "train-0.tar")
    assert keys == [sample["__key__"] for sample in webdataset.WebDataset(url, shardshuffle=False)]


REFUSED = {
    "many pictures of one key": (
        ["Q.1.jpg", "Q.1.cls", "Q.2.jpg", "Q.2.cls"], {}, "dotted-key", r"'Q': 1.jpg and 2.jpg"),
    "a member twice": (["a.jpg", "a.jpg", "a.cls"], {}, "broken-shard", "two members are .jpg"),
    "a label of -1": (["a.jpg", "a.cls"], {"a.cls": b"-1"}, "missing-label", "'train-0.tar/a'"),
    "null": (["a.jpg", "a.json"], {"a.json": b'{"label": null}'}, "missing-label", "no field"),
    "a list that is empty": (
        ["a.jpg", "a.cls", "b.jpg", "b.json"], {"b.json": b'{"label": []}'},
        "missing-label", r"'train-0.tar/b' has no label \(1 in all"),
    "a list of null": (
        ["a.jpg", "a.cls", "b.jpg", "b.json"], {"b.json": b'{"label": [null]}'},
        "missing-label", "'train-0.tar/b' has no label"),
    "a number of -1": (
        ["a.jpg", "a.cls", "b.jpg", "b.json"], {"b.json": b'{"label": -1}'},
        "missing-label", "'train-0.tar/b' has no label"),
    "the label of another view": (
        ["a.left.jpg", "a.right.cls"], {}, "missing-label", "'a': neither .cls nor .json"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_samples_that_are_refused(case, tmp_path):
    """Each is named with its key; none changes how the others are read."""
    names, content, slug, message = REFUSED[case]
    with pytest.raises(DatasetError, match=message) as caught:
        catalogue(tmp_path, names, content)
    assert caught.value.slug == slug
    assert not (tmp_path / "out").exists()


def test_blanks_around_labels(tmp_path):
    """They are no part of them."""
    content = {"b.json": b'{"label": [" sea ", "sky"]}', "a.cls": b" sea\r\n"}
    found, _ = catalogue(tmp_path, ["a.jpg", "a.cls", "b.jpg", "b.json"], content)
    assert [picture.labels for picture in found.pictures] == [("sea",), ("sea", "sky")]


def test_lists_of_0_and_1(tmp_path):
    """They tell of each class whether it is there, and are not taken for its number."""
    members = [("a.jpg", encoded()), ("a.json", b'{"label": [0, 1, 1]}'),
               ("b.jpg", encoded()), ("b.json", b'{"label": [1, 0, 0]}')]  # fmt: skip
    tar(tmp_path / "s" / "train-0.tar", members)
    with pytest.raises(DatasetError, match="all lists have 3 values, each 0 or 1") as caught:
        opened(tmp_path / "s", tmp_path, classes=["sea", "sky", "sand"])
    assert caught.value.slug == "bad-label"


def test_a_class_after_a_byte_order_mark(tmp_path):
    """The mark is no part of it."""
    tar(tmp_path / "s" / "train-0.tar", [("a.jpg", encoded()), ("a.cls", "\ufeffsea".encode())])
    assert opened(tmp_path / "s", tmp_path).classes == ("sea",)


def test_a_class_that_is_called_minus_one(tmp_path):
    """It is one where the study says so."""
    found, _ = catalogue(tmp_path, ["a.jpg", "a.cls"], {"a.cls": b"-1"}, classes=["-1", "1"])
    assert found.pictures[0].labels == ("-1",)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train-0", "val-0", "test-0"], ["train", "val", "test"]),
        (["Train-0", "VAL-0", "Test-0"], ["train", "val", "test"]),
        (["training_0", "validation_0"], ["train", "val"]),
        (["art-train-0", "art-train-1", "art-dev-0"], ["train", "val"]),
        (["train-clean-0", "train-clean-1"], [""]),
        (["train-0", "extra-0"], [""]),
    ],
)
def test_the_names_of_shards(names, splits, tmp_path):
    """Their splits may be called as folders may be."""
    for number, name in enumerate(names):
        write(tmp_path / "s" / f"{name}.tar", [{"__key__": "a", "jpg": encoded(number), "cls": 0}])
    entry = ShardsEntry(kind="shards", root=tmp_path / "s")
    found = entry.read(Surroundings(base=Path(), pictures=tmp_path / "out", seed=0))
    assert list(dict.fromkeys(picture.split for picture in found.pictures)) == splits
    assert bool(found.notes) == ("extra-0" in names)


def test_shards_that_no_split_names(shards, tmp_path):
    """They are told; compressed ones are read; one file in two splits is an error."""
    (shards / "extra-0.tar").write_bytes((shards / "val-0.tar").read_bytes())
    entry = ShardsEntry(kind="shards", root=shards)
    found = entry.read(Surroundings(base=Path(), pictures=tmp_path / "out", seed=0))
    assert found.notes == ("not used, because no split names them: extra-0.tar",)
    (shards / "train-000002.tgz").write_bytes(gzip.compress((shards / "val-0.tar").read_bytes()))
    assert len(opened(shards, tmp_path).split("train")) == 30
    with pytest.raises(DatasetError, match=r"test-0\.tar would be in test and in train") as caught:
        opened(shards, tmp_path, splits={"train": "*.tar", "test": "test*.tar"})
    assert caught.value.slug == "no-shards"
