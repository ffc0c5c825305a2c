"""The kinds of datasets: what is there is read, what is wrong is named."""

import subprocess
import sys
from pathlib import Path

import pytest

from overpaint.datasets.catalogue import Picture
from overpaint.datasets.doctor import remember
from overpaint.datasets.folder import FolderEntry
from overpaint.datasets.kinds import KINDS
from overpaint.datasets.opening import open_dataset
from overpaint.datasets.rasta import RastaEntry
from overpaint.datasets.splits import draw_splits
from overpaint.datasets.table import TableEntry
from overpaint.errors import DatasetError
from overpaint.pixels.images import Look

DOCS = Path(__file__).parents[2] / "docs" / "datasets.md"


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_documented(kind):
    """The table of kinds has a row for each kind, and the row names the kind's own keys."""
    [row] = [line for line in DOCS.read_text().splitlines() if line.startswith(f"| `{kind}` |")]
    shared = {"kind", "root", "disjoint", "cache"}
    keys = [key for key in KINDS[kind].model_fields if key not in shared]
    assert [key for key in keys if f"`{key}" not in row] == []


def test_entries_are_light():
    """A study is read without what is heavy: readers import it when they read."""
    code = (
        "import sys, overpaint.study\n"
        "heavy = {'torch', 'pandas', 'pyarrow', 'PIL', 'joblib', 'sklearn'} & sys.modules.keys()\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def opened(root: Path, tmp_path: Path):
    entry = FolderEntry(kind="folder", root=root)
    return open_dataset("art", entry, workplace=tmp_path / "work")


def test_folder_draws_splits(pictures, tmp_path):
    """A folder without splits gets them, within each class, in the shares 7 : 1 : 2."""
    dataset, rows = opened(pictures, tmp_path)
    assert dataset.classes == ("blue", "red")
    for label in dataset.classes:
        splits = [row.split for row in rows if row.labels == [label]]
        assert [splits.count(name) for name in ("train", "val", "test")] == [9, 1, 2]


def test_drawn_splits_are_kept(pictures, tmp_path):
    """Pictures that come later do not move those that have their split."""
    dataset, rows = opened(pictures, tmp_path)
    remember(dataset.root, rows, tmp_path / "work")
    before = {row.image: row.split for row in rows}
    for number in range(12, 40):
        source = pictures / "red" / "00.png"
        (pictures / "red" / f"{number:02}.png").write_bytes(source.read_bytes())
    after = {row.image: row.split for row in opened(pictures, tmp_path)[1]}
    assert len(after) == len(before) + 28
    assert {image: after[image] for image in before} == before


def test_splits_depend_on_the_seed_alone():
    """The order in which pictures are found does not matter; another seed draws otherwise."""
    many = [Picture(image=f"a/{n}.jpg", split="", labels=("a",)) for n in range(50)]
    drawn = {each.image: each.split for each in draw_splits(many, {}, 0, "x")}
    assert drawn == {each.image: each.split for each in draw_splits(many[::-1], {}, 0, "x")}
    assert drawn != {each.image: each.split for each in draw_splits(many, {}, 1, "x")}


def test_folder_with_splits(pictures, tmp_path):
    """Split folders above the class folders are the splits."""
    for split in ("train", "valid", "test"):
        (tmp_path / "tree" / split).mkdir(parents=True)
        for label in ("red", "blue"):
            (pictures / label).rename(tmp_path / "tree" / split / label)
            (pictures / label).mkdir()
            file = tmp_path / "tree" / split / label / "x.png"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(b"")
    _, rows = opened(tmp_path / "tree", tmp_path)
    assert {row.split for row in rows} == {"train", "val", "test"}


def test_unreadable_picture_is_left_out(pictures, tmp_path):
    """One bad picture is named and left out; the others stay."""
    (pictures / "red" / "bad.jpg").write_text("no picture")
    dataset, rows = opened(pictures, tmp_path)
    assert [row.image for row in rows if row.status != "ok"] == ["red/bad.jpg"]
    assert "red/bad.jpg" not in [picture.image for picture in dataset.pictures]


def test_nothing_left(tmp_path):
    """A collection of which nothing can be read is an error with the first reason."""
    (tmp_path / "p" / "a").mkdir(parents=True)
    (tmp_path / "p" / "a" / "x.jpg").write_text("no picture")
    with pytest.raises(DatasetError, match=r"a/x\.jpg: not a picture") as caught:
        opened(tmp_path / "p", tmp_path)
    assert caught.value.slug == "no-pictures"


def test_only_changed_files_are_read_again(pictures, tmp_path, monkeypatch):
    """A second look decodes only what is new."""
    dataset, rows = opened(pictures, tmp_path)
    remember(dataset.root, rows, tmp_path / "work")
    looked = []
    monkeypatch.setattr(
        "overpaint.datasets.doctor.survey",
        lambda path: looked.append(path.name) or Look(digest="d", width=1, height=1),
    )
    (pictures / "red" / "new.png").write_bytes((pictures / "red" / "00.png").read_bytes())
    opened(pictures, tmp_path)
    assert looked == ["new.png"]


@pytest.mark.parametrize(
    ("make", "slug"),
    [
        (lambda root: None, "missing-folder"),
        (lambda root: root.mkdir(), "no-classes"),
        (lambda root: (root / "empty").mkdir(parents=True), "class-without-pictures"),
    ],
)
def test_bad_folders(tmp_path, make, slug):
    """A missing folder, one without classes, a class without pictures: each is named."""
    make(tmp_path / "art")
    with pytest.raises(DatasetError, match="art") as caught:
        opened(tmp_path / "art", tmp_path)
    assert caught.value.slug == slug


TABLE = "path,label,split\nred/00.png,red,train\nblue/00.png,blue|red,test\n"


def table(pictures: Path, tmp_path: Path, text: str, **columns: object):
    file = tmp_path / "labels.csv"
    file.write_text(text)
    entry = TableEntry(kind="table", root=pictures, file=file, **columns)
    return open_dataset("art", entry, workplace=tmp_path / "work")[0]


def test_table_with_several_labels(pictures, tmp_path):
    """A cell with several labels makes the dataset multi-label."""
    dataset = table(pictures, tmp_path, TABLE)
    assert dataset.multi_label
    assert dataset.split("test").labels.tolist() == [[1, 1]]


def test_table_of_label_columns(pictures, tmp_path):
    """Columns of 0 and 1 are labels, and a picture may have none."""
    text = "path,sea,sky,split\nred/00.png,1,0,train\nblue/00.png,0,1,train\nblue/01.png,0,0,test\n"
    dataset = table(pictures, tmp_path, text, label=["sea", "sky"])
    assert dataset.classes == ("sea", "sky")
    assert dataset.split("test").labels.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("text", "slug", "said"),
    [
        (TABLE.replace("label", "lable"), "missing-column", "'label'"),
        (TABLE.replace(",test", ",tset"), "unknown-split", "line 3"),
        (TABLE.replace("red/00", "../../etc/x"), "path-outside", "line 2"),
        (TABLE + "red/00.png,red,val\n", "duplicate-path", "line 4"),
    ],
)
def test_bad_tables(pictures, tmp_path, text, slug, said):
    """Each mistake in a table is named with its line."""
    with pytest.raises(DatasetError, match=said) as caught:
        table(pictures, tmp_path, text)
    assert caught.value.slug == slug


def test_empty_split(pictures, tmp_path):
    """A split that has no picture is an error that lists those that have."""
    with pytest.raises(DatasetError, match="known: test, train"):
        table(pictures, tmp_path, TABLE).split("val")


def test_rasta(real, tmp_path):
    """The small RASTA has 25 styles, 748 pictures, and an artist for each."""
    entry = RastaEntry(kind="rasta", root=real / "data/rasta_small")
    dataset, rows = open_dataset("rasta", entry, workplace=tmp_path)
    assert len(dataset.classes) == 25
    assert [len(dataset.split(name)) for name in ("train", "val", "test")] == [249, 250, 249]
    assert all(row.group and row.status == "ok" for row in rows)


def test_not_rasta(pictures, tmp_path):
    """A folder that is not laid out as RASTA is told what it lacks."""
    with pytest.raises(DatasetError, match="wikipaintings_train"):
        open_dataset("r", RastaEntry(kind="rasta", root=pictures), workplace=tmp_path)
