"""The doors: collections as people have them, and what must come of each.

A case is a few small files, what a study says of them, and either the pictures that come of it,
counted by split and class, with words of the notes, or the slug and words of the refusal.
"""

import gzip
import io
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from overpaint.datasets import folder
from overpaint.datasets.folder import FolderEntry
from overpaint.datasets.opening import open_dataset
from overpaint.datasets.rasta import RastaEntry
from overpaint.datasets.table import TableEntry, read_table
from overpaint.errors import DatasetError

FORMATS = {"jfif": "JPEG", "jpe": "JPEG", "jpg": "JPEG", "jpeg": "JPEG", "jp2": "JPEG2000",
           **({"avif": "AVIF"} if features.check("avif") else {}),
           "ppm": "PPM", "pgm": "PPM", "tga": "TGA", "tif": "TIFF", "webp": "WEBP",
           "gif": "GIF", "bmp": "BMP"}  # fmt: skip


def picture(number: int, ending: str = "png") -> bytes:
    """A picture that no other number has, encoded as its ending says; PNG for an unknown one.

    AVIF is PNG too where Pillow does not write it: what a file is, is told by its first bytes.
    """
    image = Image.new("RGB", (9, 9))
    image.putdata([(number % 256, number // 256, 40 * (place % 6)) for place in range(81)])
    buffer = io.BytesIO()
    image.save(buffer, FORMATS.get(ending.lower(), "PNG"))
    return buffer.getvalue()


@dataclass(frozen=True)
class Link:
    """A link; its target is told from where it lies."""

    target: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """A collection, and what must come of it."""

    name: str
    pictures: str = ""  # "train/cat 3": three pictures in a folder; "a.jpg": one
    files: dict[str, Any] = field(default_factory=dict)  # text, bytes, links; a table as a function
    says: dict[str, Any] = field(default_factory=dict)  # keys of the study
    gives: str = ""  # "train cat 3, test cat 1"; "drawn cat 4" where the splits are drawn
    notes: tuple[str, ...] = ()
    several: bool = False  # whether a picture may have several labels, where none happens to
    silent: bool = False  # nothing is told
    slug: str = ""
    said: str = ""


def build(root: Path, case: Case) -> None:
    """Make the files of a case."""
    number = 0
    root.mkdir()
    for part in filter(None, map(str.strip, case.pictures.split(","))):
        name, _, count = part.rpartition(" ")
        name, count = (name, count) if name and count.isdigit() else (part, "")
        places = [f"{name}/{n}.png" for n in range(int(count))] if count else [name]
        for place in places:
            path = root / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(number, path.suffix[1:]))
            number += 1
    for name, content in case.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Link):
            path.symlink_to(content.target)
        elif callable(content):
            content(path)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        elif content is None:
            path.mkdir()
        else:
            path.write_text(content, encoding="utf-8", newline="")


def check(case: Case, entry: type, tmp_path: Path, **more: Any) -> None:
    """Open the collection of a case, and compare."""
    root = tmp_path / "art"
    build(root, case)
    kind = entry.model_fields["kind"].annotation.__args__[0]
    study = entry(**{"kind": kind, "root": root, **more, **case.says})
    if case.slug:
        with pytest.raises(DatasetError) as caught:
            open_dataset("art", study, base=tmp_path, workplace=tmp_path / "work")
        assert caught.value.slug == case.slug
        assert case.said in str(caught.value)
        return
    dataset, rows = open_dataset("art", study, base=tmp_path, workplace=tmp_path / "work")
    told = "\n".join([*dataset.notes, *(f"{row.image}: {row.status}" for row in rows)])
    drawn = case.gives.startswith("drawn ")
    assert ("splits drawn" in told) == (drawn or "*" in case.gives)
    counts = Counter(
        ("drawn" if drawn else row.split, "+".join(row.labels) or "-") for row in dataset.pictures
    )
    given = ", ".join(sorted(f"{split} {names} {n}" for (split, names), n in counts.items()))
    assert sorted(given.split(", ")) == sorted(case.gives.replace("*", "").split(", "))
    assert not (case.silent and dataset.notes)
    for words in case.notes:
        assert words in told
    assert dataset.multi_label == ("+" in case.gives or "- " in case.gives or case.several)


TWO = "cat 3, dog 2"

FOLDERS = [
    Case(name="classes alone", pictures=TWO, gives="drawn cat 3, drawn dog 2"),
    Case(
        name="splits with capitals",
        pictures="Train/cat 2, Val/cat 1, Test/cat 1",
        gives="train cat 2, val cat 1, test cat 1",
        silent=True,
    ),
    Case(
        name="splits all in capitals",
        pictures="TRAIN/cat 2, VALIDATION/cat 1, TEST/cat 1",
        gives="train cat 2, val cat 1, test cat 1",
    ),
    Case(
        name="dev and eval",
        pictures="train/cat 2, dev/cat 1, eval/cat 1",
        gives="train cat 2, val cat 1, test cat 1",
    ),
    Case(
        name="sets",
        pictures="train_set/cat 2, Valid-Set/cat 1, test set/cat 1",
        gives="train cat 2, val cat 1, test cat 1",
    ),
    Case(
        name="numbered and other forms",
        pictures="1_training/cat 2, 2_validate/cat 1, 3_testing/cat 1",
        gives="train cat 2, val cat 1, test cat 1",
    ),
    Case(
        name="years behind the names",
        pictures="train2017/cat 2, val2017/cat 1, test2017/cat 1",
        gives="train cat 2, val cat 1, test cat 1",
    ),
    Case(
        name="a name around them",
        pictures="pets_train/cat 2, pets_val/cat 1, pets_test/cat 1",
        gives="train cat 2, val cat 1, test cat 1",
    ),
    Case(
        name="another language",
        pictures="entraînement/cat 2, validation/cat 1, test/cat 1",
        gives="train cat 2, val cat 1, test cat 1",
    ),
    Case(
        name="a folder that is no split",
        pictures="train/cat 2, val/cat 1, test/cat 1, sketches/cat 5",
        gives="train cat 2, val cat 1, test cat 1",
        notes=("sketches is no split and was left out, with 5 pictures",),
    ),
    Case(
        name="two of three splits and a folder that is none",
        pictures="train/cat 2, test/cat 1, sketches/x 5",
        gives="train cat 1, val cat 1, test cat 1*",
        notes=("sketches is no split",),
    ),
    Case(
        name="two folders for one split",
        pictures="train/cat 2, valid/cat 1, val/cat 1, test/cat 1",
        slug="split-twice",
        said="val and valid both mean val",
    ),
    Case(
        name="train twice",
        pictures="train_1/cat 2, train_2/cat 1",
        slug="split-twice",
        said="both mean train",
    ),
    Case(
        name="no test",
        pictures="train/cat 10, val/cat 2",
        gives="train cat 8, test cat 2, val cat 2*",
        notes=("splits drawn out of train",),
    ),
    Case(
        name="no val",
        pictures="train/cat 10, test/cat 2",
        gives="train cat 9, val cat 1, test cat 2*",
    ),
    Case(
        name="train alone",
        pictures="train/cat 10, train/dog 10",
        gives="train cat 7, val cat 1, test cat 2, train dog 7, val dog 1, test dog 2*",
        notes=("splits drawn class by class, seed 0: train 14, val 2, test 4",),
    ),
    Case(
        name="a train among boats is a class",
        pictures="boat 2, bird 2, train 2",
        gives="drawn boat 2, drawn bird 2, drawn train 2",
    ),
    Case(
        name="train that may be a split or a class",
        pictures="train/cat 2, train/dog 2, bird 3",
        slug="unclear-splits",
        said="beside it stand bird",
    ),
    Case(
        name="classes beside a test folder",
        pictures="cat 2, dog 2, test 3",
        slug="unclear-splits",
        said="may hold the pictures of test or those of a class",
    ),
    Case(
        name="splits without classes",
        pictures="train 3, test 2",
        slug="no-classes",
        said="one a class is wanted",
    ),
    Case(
        name="splits without classes, but a table",
        pictures="train 3, test 2",
        files={"train/metadata.csv": "file_name,label\n"},
        slug="no-classes",
        said="if metadata.csv tells the labels, say 'kind: table'",
    ),
    Case(
        name="splits below the classes",
        pictures="cat/train 3, cat/val 1, cat/test 1, dog/train 2, dog/val 1, dog/test 1",
        gives="train cat 3, val cat 1, test cat 1, train dog 2, val dog 1, test dog 1",
    ),
    Case(
        name="splits below some classes",
        pictures="cat/train 3, cat/test 1, dog 2",
        slug="unclear-splits",
        said="and dog is not",
    ),
    Case(
        name="a folder around all",
        pictures="pets-master/train/cat 2, pets-master/val/cat 1, pets-master/test/cat 1",
        gives="train cat 2, val cat 1, test cat 1",
        notes=("the folders of pets-master are read",),
    ),
    Case(
        name="two folders around all",
        pictures="archive/pets/cat 3, archive/pets/dog 2",
        gives="drawn cat 3, drawn dog 2",
        notes=("the folders of archive/pets are read",),
    ),
    Case(
        name="a folder around all, and a picture beside it",
        pictures="cover.jpg, pets/cat 3, pets/dog 2",
        gives="drawn cat 3, drawn dog 2",
        notes=("the folders of pets are read", "left out: cover.jpg"),
    ),
    Case(
        name="a folder between splits and classes",
        pictures="train/images/cat 2, train/images/dog 1, val/images/cat 1, test/images/cat 1",
        gives="train cat 2, train dog 1, val cat 1, test cat 1",
        notes=("the folders of train/images are read",),
    ),
    Case(
        name="archives unpacked into folders of their own names",
        pictures="train/train/cat 2, train/train/dog 1, val/val/cat 1, test/test/cat 1",
        gives="train cat 2, train dog 1, val cat 1, test cat 1",
        notes=("the folders of test/test are read",),
    ),
    Case(
        name="splits in a split",
        pictures="train/train/cat 2, train/val/dog 1, test/cat 1",
        slug="unclear-splits",
        said="train is a split and holds the folders train, val",
    ),
    Case(
        name="a class with folders in one split",
        pictures="train/cat 2, train/dog 1, val/cat 1, test/cat/old 1, test/cat/young 1",
        gives="train cat 2, train dog 1, val cat 1, test cat 2",
    ),
    Case(
        name="one class",
        pictures="cat 3",
        gives="drawn cat 3",
    ),
    Case(
        name="folders below the classes",
        pictures="cat/kittens 2, cat/old/very 1, dog 2",
        gives="drawn cat 3, drawn dog 2",
    ),
    Case(
        name="endings",
        pictures="cat/a.jfif, cat/b.jpe, cat/c.jp2, cat/d.avif, cat/e.ppm, cat/f.tga, cat/g.JPEG, "
        "cat/h.PNG, cat/i.Tif, cat/j.pgm, cat/k.WebP, cat/l.BMP, cat/m.gif, dog 1",
        gives="drawn cat 13, drawn dog 1",
    ),
    Case(
        name="endings that say nothing",
        pictures="cat/scan, cat/scan.v2, cat/scan.png.orig, cat/scan.2019-05-01, dog 1",
        gives="drawn cat 4, drawn dog 1",
    ),
    Case(
        name="what is no picture",
        pictures=TWO,
        files={f"cat/{n}.txt": "x" for n in range(4)} | {"dog/a.psd": b"8BPS", "dog/b.psd": b"x"},
        gives="drawn cat 3, drawn dog 2",
        notes=("6 files were no pictures: 4 .txt, 2 .psd",),
    ),
    Case(
        name="what is no picture and has no ending",
        pictures=TWO,
        files={"cat/README": "read me", "LICENSE": "free"},
        gives="drawn cat 3, drawn dog 2",
        notes=("2 files were no pictures: 2 without ending",),
    ),
    Case(
        name="HEIC without its plugin",
        pictures=TWO,
        files={"cat/p.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"},
        gives="drawn cat 3, drawn dog 2",
        notes=("cat/p.heic: HEIC",),
    ),
    Case(
        name="empty and broken files",
        pictures=TWO,
        files={"cat/empty.jpg": b"", "cat/cut.png": picture(99)[:60]},
        gives="drawn cat 3, drawn dog 2",
        notes=("cat/empty.jpg: ", "cat/cut.png: "),
    ),
    Case(
        name="machine-made folders",
        pictures="cat 3, cat/.ipynb_checkpoints/a.png, cat/@eaDir/x/b.png, __MACOSX/cat/c.png, "
        ".git/d.png, dog 2, cat/#recycle/e.png",
        files={
            "cat/Thumbs.db": b"x",
            "cat/._1.png": b"x",
            "dog/desktop.ini": "x",
            ".DS_Store": "x",
        },
        gives="drawn cat 3, drawn dog 2",
        notes=("1 @eaDir", "1 .ipynb_checkpoints", "1 Thumbs.db", "1 ._*"),
    ),
    Case(
        name="machine-made folders beside splits",
        pictures="train/cat 2, val/cat 1, test/cat 1, __MACOSX/train/cat/._0.png, .thumbs/x.png",
        gives="train cat 2, val cat 1, test cat 1",
    ),
    Case(
        name="linked files and folders",
        pictures="cat 2, dog 2",
        files={
            "../elsewhere/a.png": picture(50),
            "../elsewhere/b.png": picture(51),
            "cat/more": Link("../../elsewhere"),
            "dog/c.png": Link("../../elsewhere/a.png"),
        },
        gives="drawn cat 4, drawn dog 3",
    ),
    Case(
        name="a link that goes in a circle",
        pictures=TWO,
        files={"cat/again": Link(".."), "dog/self": Link(".")},
        gives="drawn cat 3, drawn dog 2",
        notes=("the link cat/again leads to a folder above it", "the link dog/self leads"),
    ),
    Case(
        name="a link that leads nowhere",
        pictures=TWO,
        files={"cat/gone.png": Link("nowhere.png"), "dog/gone": Link("nowhere")},
        gives="drawn cat 3, drawn dog 2",
        notes=("cat/gone.png: No such file", "1 file was no picture: 1 broken link"),
    ),
    Case(
        name="pictures beside the classes",
        pictures="cat 3, dog 2, cover.jpg",
        gives="drawn cat 3, drawn dog 2",
        notes=("pictures beside the folders are of none and were left out: cover.jpg",),
    ),
    Case(
        name="pictures beside the classes of a split",
        pictures="train/cat 2, train/a.jpg, val/cat 1, test/cat 1",
        gives="train cat 2, val cat 1, test cat 1",
        notes=("left out: train/a.jpg",),
    ),
    Case(
        name="pictures and no folders",
        pictures="a.jpg, b.jpg",
        slug="no-classes",
        said="holds no folders",
    ),
    Case(
        name="accents in two forms are one class",
        pictures="train/cafe\u0301 2, val/caf\u00e9 1, test/caf\u00e9 1",
        gives="train caf\u00e9 2, val caf\u00e9 1, test caf\u00e9 1",
    ),
    Case(
        name="blanks around a class",
        pictures="train/cat  2, val/cat 1, test/cat 1",
        gives="train cat 2, val cat 1, test cat 1",
    ),
    Case(
        name="classes that differ in capitals",
        pictures="cat 2, Cat 2",
        gives="drawn cat 2, drawn Cat 2",
        notes=("'Cat' and 'cat' differ in their capitals only",),
    ),
    Case(
        name="a class without pictures",
        pictures=TWO,
        files={"eel": None},
        slug="class-without-pictures",
        said="eel holds no picture",
    ),
    Case(
        name="a class without pictures in one split",
        pictures="train/cat 2, train/dog 2, val/cat 1, test/cat 1, test/dog 1",
        files={"val/dog": None},
        gives="train cat 2, train dog 2, val cat 1, test cat 1, test dog 1",
        notes=("val/dog holds no picture",),
    ),
    Case(
        name="very small classes",
        pictures="cat 10, dog 2, eel 1",
        gives="drawn cat 10, drawn dog 2, drawn eel 1",
        notes=("'dog' has train 1, val 0, test 1; 'eel' has train 1, val 0, test 0",),
    ),
    Case(
        name="one picture in two classes",
        pictures="train/cat 2, train/dog 1, val/cat 1, test/cat 1",
        files={"train/dog/copy.png": picture(0)},
        gives="train cat 2, train dog 2, val cat 1, test cat 1",
        notes=("the same picture in train is 'cat' and 'dog': train/cat/0.png and train/dog/c",),
    ),
    Case(
        name="a group that is found",
        pictures="cat/ann_1.png, cat/ann_2.png, dog/bob_1.png",
        says={"group": "/([^/_]+)_"},
        gives="drawn cat 2, drawn dog 1",
    ),
    Case(
        name="a group that is not found",
        pictures=TWO,
        says={"group": "/(artist[0-9]+)_"},
        slug="no-group-found",
        said="found in no path, as in 'cat/0.png'",
    ),
    Case(
        name="val without classes",
        pictures="train/cat 3, train/dog 2, val/1.jpg, val/2.jpg",
        slug="no-classes",
        said="val holds no folders: one a class is wanted; move its pictures into a folder a class",
    ),
    Case(
        name="a folder of a split that is empty",
        pictures="train/cat 3",
        files={"val": None},
        slug="no-classes",
        said="it holds no picture: remove it",
    ),
    Case(
        name="the labels in a table in each split",
        pictures="train 2, test 2",
        files={"train/metadata.csv": "file_name,label\n", "test/metadata.csv": "x"},
        slug="no-classes",
        said="say 'kind: table' and 'file: metadata.csv'",
    ),
    Case(
        name="all pictures in one folder",
        pictures="Abyssinian_1.jpg, beagle_2.jpg",
        slug="no-classes",
        said="name their labels in a table",
    ),
    Case(
        name="images alone",
        pictures="images/Abyssinian_1.jpg, images/beagle_2.jpg",
        slug="no-classes",
        said="images is called after what all collections hold",
    ),
    Case(
        name="images and masks",
        pictures="images/cat 2, images/dog 2, masks/cat 2, masks/dog 2",
        slug="no-classes",
        said="move masks away",
    ),
    Case(
        name="images and masks in each split",
        pictures="train/images/cat 2, train/masks/cat 2, test/images/cat 1, test/masks/cat 1",
        slug="no-classes",
        said="move train/masks away",
    ),
    Case(
        name="images and masks in each class",
        pictures="covid/images 2, covid/masks 2, normal/images 2, normal/masks 2",
        slug="no-classes",
        said="covid/masks beside it: move what are no pictures of the class away",
    ),
    Case(
        name="a folder of a split below each class",
        pictures="cat/train 2, cat/val 1, cat/test 1, dog/train 2, dog/val 1, dog/test 1",
        gives="train cat 2, val cat 1, test cat 1, train dog 2, val dog 1, test dog 1",
        silent=True,
    ),
    Case(
        name="images in each class",
        pictures="train/n01/images 2, train/n02/images 2, val/n01/images 1, test/n02/images 1",
        gives="train n01 2, train n02 2, val n01 1, test n02 1",
    ),
    Case(
        name="backslashes of an archive",
        pictures="train\\cat\\1.png, train\\dog\\2.png",
        slug="no-classes",
        said="unpack them with another program",
    ),
    Case(
        name="splits and classes in one name",
        pictures="train_cat 3, train_dog 3, test_cat 2, test_dog 2",
        slug="unclear-splits",
        said="test_cat and train_cat are named after a split and a class",
    ),
    Case(
        name="splits and classes in one word",
        pictures="trainA 3, trainB 3, testA 2, testB 2",
        slug="unclear-splits",
        said="testA and trainA are named after a split and a class",
    ),
    Case(
        name="classes that have a word for a split in them",
        pictures="steam train 3, test tube 2",
        gives="drawn steam train 3, drawn test tube 2",
    ),
    Case(
        name="folds",
        pictures="fold1/cat 2, fold1/dog 2, fold2/cat 2, fold2/dog 2",
        gives="drawn fold1 4, drawn fold2 4",
        notes=("fold1 and fold2 are read as classes, and both hold the folders cat, dog",),
    ),
    Case(name="no folder", slug="missing-folder", says={"root": "nowhere"}, said="nowhere"),
    Case(name="an empty folder", slug="no-classes", said="holds no folders"),
]


@pytest.mark.parametrize("case", FOLDERS, ids=lambda case: case.name)
def test_folders(case, tmp_path):
    """A folder is read as its owner means it, or refused with the reason."""
    check(case, FolderEntry, tmp_path)


def test_a_group_that_is_looked_for_without_end(tmp_path, monkeypatch):
    """A pattern that fits the same letters in too many ways is given up after some seconds."""
    monkeypatch.setattr(folder, "PATIENCE", 1)
    case = Case(
        name="",
        pictures=f"cat/{'a' * 60}.png, dog/1.png",
        says={"group": "/((?:a+)+)_"},
        slug="slow-group",
        said="the group '/((?:a+)+)_' is not found in all paths within 1 seconds",
    )
    check(case, FolderEntry, tmp_path)


def test_names_that_are_not_utf_8(tmp_path):
    """Files and classes with such names are left out by name, in legible bytes."""
    case = Case(
        name="",
        pictures=TWO,
        files={"cat/caf\udce9.png": picture(70), "\udcff/a.png": picture(71)},
        gives="drawn cat 3, drawn dog 2",
        notes=("left out, as their names are not UTF-8: cat/caf\\xe9.png, \\xff",),
    )
    check(case, FolderEntry, tmp_path)


def test_a_root_that_is_not_utf_8(tmp_path):
    """Nothing could be recorded of it: it is refused, with its bytes legible."""
    case = Case(name="", slug="missing-folder", said="caf\\xe9 is not UTF-8: rename it",
                says={"root": "caf\udce9"},
                files={"../caf\udce9/cat/1.png": picture(0)})  # fmt: skip
    check(case, FolderEntry, tmp_path)


def test_rasta_without_val_and_test(tmp_path):
    """What lacks is drawn out of train, as for every kind."""
    case = Case(
        name="",
        pictures="wikipaintings_train/Rococo 10, wikipaintings_test/Rococo 2",
        gives="train Rococo 9, val Rococo 1, test Rococo 2*",
    )
    check(case, RastaEntry, tmp_path)


def test_rasta_with_other_files(tmp_path):
    """What people and machines put into RASTA is left out as in any folder."""
    case = Case(
        name="",
        pictures="wikipaintings_train/Rococo/a_1.jpg, wikipaintings_val/Rococo/b_1.jpg, "
        "wikipaintings_test/Rococo/c_1.jpg, wikipaintings_test/.thumbs/x.jpg, more/x.jpg",
        files={"wikipaintings_train/Rococo/a_1.txt": "x"},
        gives="train Rococo 1, val Rococo 1, test Rococo 1",
        notes=("1 file was no picture: 1 .txt",),
    )
    check(case, RastaEntry, tmp_path)


# --- tables ------------------------------------------------------------------------------------

SHOWN = "a.png, b.png, c.png, d.png"
PLAIN = "path,label,split\na.png,cat,train\nb.png,cat,val\nc.png,dog,train\nd.png,dog,test\n"
GIVES = "train cat 1, val cat 1, train dog 1, test dog 1"
SEVERAL = "train sea+sky 1, val sky 1, train sea 1, test sea+sand 1"
LABELS = ["sea{0}sky", "sky", "sea", "sea{0}sand"]


def several(separator: str, quote: str = "") -> str:
    """A CSV of pictures with several labels in a cell."""
    rows = zip("abcd", LABELS, ("train", "val", "train", "test"), strict=True)
    lines = [
        f"{name}.png,{quote}{cell.format(separator)}{quote},{split}" for name, cell, split in rows
    ]
    return "\n".join(["path,label,split", *lines])


def workbook(**sheets: list[list[object]]):
    """What writes an Excel file of these sheets."""

    def write(path: Path) -> None:
        book = openpyxl.Workbook()
        book.remove(book.active)
        for title, rows in sheets.items():
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
        book.save(path)

    return write


def parquet(**columns: object):
    """What writes a Parquet file of these columns."""
    return lambda path: pd.DataFrame(columns).to_parquet(path)


GRID = [line.split(",") for line in PLAIN.splitlines()]
FOUR = {"path": ["a.png", "b.png", "c.png", "d.png"], "split": ["train", "val", "train", "test"]}


def lines(*changes: tuple[str, str]) -> str:
    """The plain table with changes."""
    text = PLAIN
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def of(name: str, table: object, gives: str = GIVES, **more: Any) -> Case:
    """A case of four pictures and a table, by default table.csv."""
    file = more.pop("file", "table.csv")
    says = {"file": f"art/{file}", **more.pop("says", {})}
    return Case(
        name=name,
        pictures=more.pop("pictures", SHOWN),
        files={file: table, **more.pop("files", {})},
        says=says,
        gives="" if "slug" in more else gives,
        **more,
    )


TABLES = [
    # --- how the file is written
    of("commas", PLAIN, silent=True),
    of("semicolons", PLAIN.replace(",", ";")),
    of("tabs", PLAIN.replace(",", "\t"), file="table.tsv"),
    of("bars", PLAIN.replace(",", "|"), notes=("separated by bars",)),
    of(
        "blanks behind the commas",
        lines(("cat", '"Gogh, V."')).replace(",c", ", c"),
        GIVES.replace("cat", "Gogh, V."),
        says={"separator": "|"},
    ),
    of("blanks before the quotes", lines(("cat", ' "cat"'), ("dog", ' "dog"'))),
    of("a table that is named from the root", PLAIN, says={"file": "table.csv"}),
    of(
        "classes with commas that are known",
        lines(("cat", '"Gogh, V."'), ("dog", '"Hals, F."')),
        "train Gogh, V. 1, val Gogh, V. 1, train Hals, F. 1, test Hals, F. 1",
        says={"classes": ["Gogh, V.", "Hals, F."]},
    ),
    of("sep= of Excel", "sep=;\n" + PLAIN.replace(",", ";")),
    of(
        "semicolons and decimal commas",
        "path;label;split;size\na.png;cat;train;1,5\n"
        "b.png;cat;val;2,5\nc.png;dog;train;3\nd.png;dog;test;4,0\n",
    ),
    of("a byte order mark", PLAIN.encode("utf-8-sig")),
    of("a byte order mark and quotes", ("\ufeff" + lines(("path", '"path"'))).encode()),
    of("UTF-16", PLAIN.encode("utf-16"), notes=("is read as UTF-16",)),
    of("UTF-16 without a mark", PLAIN.encode("utf-16-le"), notes=("is read as UTF-16",)),
    of("UTF-16 from the other end", "\ufeff".encode("utf-16-be") + PLAIN.encode("utf-16-be")),
    of(
        "Latin-1",
        lines(("cat", "caf\u00e9")).encode("latin-1"),
        GIVES.replace("cat", "caf\u00e9"),
        notes=("is read as Latin-1",),
    ),
    of("old Mac's lines", PLAIN.replace("\n", "\r")),
    of("Windows' lines", PLAIN.replace("\n", "\r\n")),
    of("compressed", gzip.compress(PLAIN.encode()), file="table.csv.gz"),
    of("Excel", workbook(one=GRID), file="table.xlsx"),
    of(
        "Excel, several sheets",
        workbook(about=[["by", "me"]], data=GRID),
        file="t.xlsx",
        notes=("the sheet 'data' is read",),
    ),
    of(
        "Excel, two that would do",
        workbook(old=GRID, new=GRID),
        file="t.xlsx",
        slug="several-sheets",
        said="old and new",
    ),
    of(
        "Excel, header further down",
        workbook(one=[["My collection"], [], *GRID]),
        file="t.xlsx",
        notes=("the header stands in line 3",),
    ),
    of(
        "Excel, numbers as labels",
        workbook(one=[[*row[:1], 7.0, row[2]] if n else row for n, row in enumerate(GRID)]),
        "train 7 2, val 7 1, test 7 1",
        file="t.xlsx",
    ),
    of(
        "Excel of before 2007",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        file="t.xls",
        slug="broken-table",
        said="save it as .xlsx",
    ),
    of("Parquet", parquet(**FOUR, label=["cat", "cat", "dog", "dog"]), file="t.parquet"),
    of(
        "Parquet with categories",
        parquet(**FOUR, label=pd.Categorical(["cat", "cat", "dog", "dog"])),
        file="t.parquet",
    ),
    of(
        "Parquet with lists",
        parquet(**FOUR, label=[["sea", "sky"], ["sky"], ["sea"], ["sea", "sand"]]),
        SEVERAL,
        file="t.parquet",
    ),
    of(
        "Parquet with lists of one",
        parquet(**FOUR, label=[["cat"], ["cat"], ["dog"], ["dog"]]),
        file="t.parquet",
        several=True,
    ),
    of(
        "Parquet with numbers and gaps",
        parquet(**FOUR, label=[1.0, None, 2.0, 1.0]),
        file="t.parquet",
        slug="missing-label",
        said="line 3",
    ),
    of(
        "JSON lines",
        '{"file_name": "a.png", "label": ["sea"], "split": "train"}\n\n'
        '{"file_name": "b.png", "label": [], "split": "val"}\n'
        '{"file_name": "c.png", "label": ["sea", "sky"], "split": "test"}\n',
        "train sea 1, val - 1, test sea+sky 1",
        file="t.jsonl",
    ),
    of(
        "broken JSON lines",
        '{"path": "a.png"}\n{"path":\n',
        file="t.jsonl",
        slug="broken-table",
        said="line 2",
    ),
    of(
        "a header further down",
        "My collection\nexported 2024-05-01, by me\n\n" + PLAIN,
        notes=("the header stands in line 4",),
    ),
    of("a header in other letters", lines(("path,label,split", " Path , LABEL,Split "))),
    of(
        "a header twice",
        PLAIN
        + PLAIN.replace("a.png,cat,train\nb.png,cat,val\nc.png,dog,train\nd.png,dog,test\n", ""),
        notes=("the header stands 1 times more",),
    ),
    of(
        "quotes around a line's end",
        lines(("split\n", "split,note\n"), ("train\nb", 'train,"two\nlines"\nb')),
    ),
    of(
        "a quote that is not closed",
        lines(("a.png,cat", 'a.png,"cat')),
        slug="broken-table",
        said="line 2",
    ),
    of("commas behind every line", PLAIN.replace("\n", ",,\n")),
    of("blank lines", PLAIN.replace("\n", "\n\n,,\n")),
    of(
        "a row that is too long",
        lines(("c.png,dog", "c.png,dog,brown")),
        slug="broken-table",
        said="line 4: 4 fields, and the header has 3",
    ),
    of("no file", PLAIN, says={"file": "art/t.csv"}, slug="missing-table", said="t.csv"),
    of("an empty file", "", slug="missing-column", said="no column 'path'"),
    of("a header and no rows", "path,label,split\n", slug="no-pictures", said="it lists none"),
    # --- columns
    *(
        of(f"the column {name}", lines(("path", name)))
        for name in ("file", "file_name", "image_path", "image", "File Name")
    ),
    of(
        "a column of paths that is not known",
        lines(("path", "where")),
        slug="missing-column",
        said="no column 'path' (or file, file_name, ",
    ),
    of(
        "a named column that is not there",
        PLAIN,
        says={"path": "file"},
        slug="missing-column",
        said="no column 'file'",
    ),
    of(
        "a named split that is not there",
        PLAIN,
        says={"split": "spilt"},
        slug="missing-column",
        said="no column 'spilt'; did you mean 'split'",
    ),
    of(
        "a named group that is not there",
        PLAIN,
        says={"group": "artist"},
        slug="missing-column",
        said="no column 'artist'",
    ),
    of(
        "a column that stands twice",
        lines(("split\n", "split,label\n")),
        slug="duplicate-column",
        said="2 columns that are called 'label'",
    ),
    of("another column twice", lines(("split\n", "split,x,x\n"))),
    of("class instead of label", lines(("label", "Class"))),
    of(
        "class and category",
        lines(("label,", "class,"), ("split\n", "split,category\n")),
        slug="missing-column",
        said="class and category",
    ),
    of(
        "an index before the columns",
        "".join(f"{n or ''},{line}\n" for n, line in enumerate(PLAIN.splitlines())),
    ),
    # --- labels
    of("several labels by |", several("|"), SEVERAL),
    of("several by ;", several(";"), SEVERAL, says={"separator": ";"}),
    of(
        "several by ; that nobody named",
        several(";"),
        slug="several-labels",
        said="'separator: \";\"'",
    ),
    of("several by ,", several(", ", '"'), SEVERAL, says={"separator": ","}),
    of(
        "several by , that nobody named",
        several(", ", '"'),
        slug="several-labels",
        said="looks like several labels",
    ),
    of(
        "all cells with a comma",
        lines(("cat", '"Gogh, Vincent"'), ("dog", '"Hals, Frans"')),
        slug="several-labels",
        said="'separator: \"|\"'",
    ),
    of(
        "one label with a comma",
        lines(("cat", '"Gogh, Vincent"'), ("dog", '"Hals, Frans"')),
        "train Gogh, Vincent 1, val Gogh, Vincent 1, train Hals, Frans 1, test Hals, Frans 1",
        says={"separator": "|"},
    ),
    of(
        "a list as Python writes it",
        "path,label,split\na.png,\"['sea', 'sky']\",train\nb.png,['sky'],val\n"
        "c.png,['sea'],train\nd.png,\"['sea', 'sand']\",test\n",
        SEVERAL,
    ),
    of(
        "a list as JSON has it",
        'path;label;split\na.png;"[""sea"", ""sky""]";train\n'
        'b.png;"[""sky""]";val\nc.png;"[""sea""]";train\nd.png;"[""sea"", ""sand""]";test\n',
        SEVERAL,
    ),
    of(
        "a list as NumPy prints it",
        "path,label,split\na.png,['sea' 'sky'],train\nb.png,['sky'],val\n"
        "c.png,['sea'],train\nd.png,['sea' 'sand'],test\n",
        SEVERAL,
    ),
    of("blanks around labels", lines(("cat,train", " cat ,train"), ("dog,test", "dog\u00a0,test"))),
    of(
        "accents in two forms",
        lines(("cat,train", "cafe\u0301,train"), ("cat,val", "caf\u00e9,val")),
        GIVES.replace("cat", "caf\u00e9"),
    ),
    of(
        "1 and 1.0",
        lines(("cat,train", "1,train"), ("cat,val", "1.0,val"), ("dog", "2")),
        "train 1 1, val 1 1, train 2 1, test 2 1",
    ),
    of(
        "numbers with zeros before them",
        lines(("cat", "01"), ("dog", "02")),
        "train 01 1, val 01 1, train 02 1, test 02 1",
    ),
    of("an empty label", lines(("c.png,dog", "c.png,")), slug="missing-label", said="line 4"),
    of("NaN as a label", lines(("c.png,dog", "c.png,NaN")), slug="missing-label", said="line 4"),
    of(
        "no label among several",
        lines(("a.png,cat", "a.png,cat|dog"), ("c.png,dog", "c.png,")),
        "train cat+dog 1, val cat 1, train - 1, test dog 1",
        notes=("1 pictures show none",),
    ),
    of(
        "columns of 0 and 1",
        "path,sea,sky,split\na.png,1,TRUE,train\nb.png,0,1.0,val\n"
        "c.png,True,0,train\nd.png, 1,false,test\n",
        "train sea+sky 1, val sky 1, train sea 1, test sea 1",
        says={"label": ["sea", "sky"]},
    ),
    of(
        "a mark that is neither 0 nor 1",
        "path,sea,split\na.png,x,train\n",
        says={"label": ["sea"]},
        slug="bad-label",
        said="line 2: 'sea' is 'x'",
    ),
    of(
        "classes in another form",
        lines(("cat", "cafe\u0301")),
        GIVES.replace("cat", "caf\u00e9"),
        says={"classes": ["dog", "caf\u00e9"]},
    ),
    # --- splits
    of(
        "splits in other words",
        lines(
            ("cat,train", "cat,Train"),
            ("dog,train", "dog,TRAIN"),
            ("val", "Validation"),
            ("dog,test", "dog, testing "),
        ),
    ),
    of("dev and eval", lines(("val", "dev"), ("test", "eval"))),
    of(
        "a split that is none",
        lines(("val", "vla")),
        slug="unknown-split",
        said="line 3: split 'vla'",
    ),
    of("an empty split", lines(("cat,val", "cat,")), slug="missing-split", said="line 3"),
    of(
        "a column of empty splits",
        "path,label,split\na.png,cat,\nb.png,cat,\nc.png,dog,\nd.png,dog,\n",
        "drawn cat 2, drawn dog 2",
        notes=("the column 'split' is empty",),
    ),
    of(
        "no column of splits",
        "path,label\na.png,cat\nb.png,cat\nc.png,dog\nd.png,dog\n",
        "drawn cat 2, drawn dog 2",
    ),
    of(
        "splits in a column of another name",
        lines(("split", "subset")),
        notes=("the splits are those of the column 'subset'",),
    ),
    of(
        "two columns of splits",
        "path,label,fold,subset\na.png,cat,train,train\nb.png,cat,val,test\n"
        "c.png,dog,train,train\nd.png,dog,test,val\n",
        slug="unclear-splits",
        said="fold and subset",
    ),
    of(
        "splits in the paths",
        "file_name,label\ntrain/a.png,cat\ntrain/b.png,dog\nval/c.png,cat\ntest/d.png,dog\n",
        "train cat 1, train dog 1, val cat 1, test dog 1",
        pictures="train/a.png, train/b.png, val/c.png, test/d.png",
        notes=("the splits are those of the paths' folders train, val, test",),
    ),
    of(
        "train alone",
        "path,label,split\na.png,cat,train\nb.png,cat,train\nc.png,dog,train\nd.png,dog,train\n",
        "train cat 1, test cat 1, train dog 1, test dog 1*",
    ),
    of(
        "train and test",
        lines(("val", "train")),
        "train cat 1, val cat 1, train dog 1, test dog 1*",
    ),
    # --- groups
    of(
        "blanks around groups",
        lines(
            ("split\n", "split,artist\n"),
            ("cat,train", "cat,train, Ann"),
            ("cat,val", "cat,val,Ann "),
        ),
        says={"group": "artist"},
    ),
    of(
        "a column without groups",
        lines(("split\n", "split,artist\n")),
        says={"group": "artist"},
        slug="no-group-found",
        said="the column 'artist' names no group",
    ),
    # --- what public collections have
    of(
        "a column that names splits in some rows",
        lines(("split", "subset"), ("dog,test", "dog,")),
        slug="unclear-splits",
        said="the column 'subset' may be the splits, but in 1 rows say ''",
    ),
    of(
        "a column of splits and of what is not used",
        lines(("split", "subset"), ("dog,test", "dog,unused")),
        slug="unclear-splits",
        said="in 1 rows say 'unused'",
    ),
    of(
        "splits in the paths of some rows",
        "path,label\ntrain/a.png,cat\ntest/b.png,cat\nextra/c.png,dog\n",
        pictures="train/a.png, test/b.png, extra/c.png",
        slug="unclear-splits",
        said="the paths' folders may be the splits, but in 1 rows say 'extra'",
    ),
    of(
        "splits in the paths, and a picture above them",
        "path,label\ntrain/a.png,cat\ntest/b.png,cat\nc.png,dog\n",
        pictures="train/a.png, test/b.png, c.png",
        slug="unclear-splits",
        said="in 1 rows say ''",
    ),
    of(
        "columns of 0 and 1 that are called after splits",
        "path,train,boat\na.png,1,0\nb.png,1,1\nc.png,0,1\nd.png,0,1\n",
        "drawn train 1, drawn train+boat 1, drawn boat 2",
        says={"label": ["train", "boat"]},
    ),
    of(
        "a column of yes and no for one split",
        "path,label,is_valid\na.png,cat,True\nb.png,cat,False\nc.png,dog,True\nd.png,dog,False\n",
        "drawn cat 2, drawn dog 2",
        notes=("the column 'is_valid' is not read",),
    ),
    of(
        "folds in numbers, and a column train",
        "path,label,fold,train\na.png,cat,0,1\nb.png,cat,1,0\nc.png,dog,2,1\nd.png,dog,0,1\n",
        "drawn cat 2, drawn dog 2",
        notes=("the column 'fold' is not read", "the column 'train' is not read"),
    ),
    of("a root that is a file", PLAIN, says={"root": "art/a.png"}, slug="missing-folder"),
    of(
        "classes that are called after splits",
        "path,label\na.png,train\nb.png,test\nc.png,boat\nd.png,boat\n",
        "drawn train 1, drawn test 1, drawn boat 2",
    ),
    of(
        "a very long cell",
        lines(("split\n", "split,mask\n"), ("cat,train", "cat,train," + "9 " * 99999)),
    ),
    of(
        "names without endings",
        "id,label,split\na,cat,train\nb,cat,val\nc,dog,train\nd,dog,test\n",
        says={"path": "id"},
        notes=("4 paths are written otherwise",),
    ),
    of(
        "a name without ending that two files have",
        lines(("a.png", "a")),
        "val cat 1, train dog 1, test dog 1",
        pictures="a.png, a.jpg, b.png, c.png, d.png",
        notes=("a: No such file",),
    ),
    of(
        "pictures that no row names",
        PLAIN,
        pictures=SHOWN + ", e.png, f.png",
        notes=("no row names these pictures, which lie beside others: e.png, f.png",),
    ),
    of(
        "NA",
        lines(("a.png,cat", "a.png,NA")),
        "train NA 1, val cat 1, train dog 1, test dog 1",
        notes=("'NA' is read as a class; if it says that there is none, leave its rows out (1)",),
    ),
    of(
        "NA that is a class",
        lines(("cat", "NA")),
        GIVES.replace("cat", "NA"),
        says={"classes": ["dog", "NA"]},
    ),
    of(
        "what Excel writes for an error",
        lines(("a.png,cat", "a.png,#REF!")),
        slug="missing-label",
        said="line 2",
    ),
    of(
        "groups that are gaps",
        lines(("split\n", "split,artist\n"), ("cat,train", "cat,train,nan"), ("l\n", "l,NULL\n")),
        says={"group": "artist"},
        slug="no-group-found",
    ),
    of(
        "several by a slash that nobody named",
        several("/"),
        "train sea/sky 1, val sky 1, train sea 1, test sea/sand 1",
        notes=("'sea/sky' is read as one label; if it is several, say so in 'separator': '/'",),
    ),
    of(
        "thousands",
        lines(("a.png,cat", 'a.png,"1,000"'), ("cat", "1"), ("dog", "2")),
        "train 1,000 1, val 1 1, train 2 1, test 2 1",
        says={"separator": "|"},
    ),
    of(
        "0, 1 and -1",
        "path,sea,sky\na.png,1,-1\nb.png,0,1\n",
        says={"label": ["sea", "sky"]},
        slug="bad-label",
        said="0, 1 and -1 stand together",
    ),
    of(
        "-1 and 1",
        "path,sea,sky,split\na.png,1,-1,train\nb.png,-1,1,val\nc.png,1,1,train\nd.png,-1,1,test\n",
        "train sea 1, val sky 1, train sea+sky 1, test sky 1",
        says={"label": ["sea", "sky"]},
    ),
    of(
        "days as labels",
        workbook(
            s=[
                ["path", "label", "split"],
                *(
                    [f"{name}.png", date(1990, 1, 1), split]
                    for name, split in zip("abcd", FOUR["split"], strict=True)
                ),
            ]
        ),
        "train 1990-01-01 2, val 1990-01-01 1, test 1990-01-01 1",
        file="t.xlsx",
    ),
    of(
        "objects as labels",
        '{"path": "a.png", "label": {"id": 1}}\n',
        file="t.jsonl",
        slug="bad-label",
        said="line 1: 'label' holds {'id': 1}",
    ),
    of(
        "lists of 0 and 1",
        parquet(**FOUR, label=[[0, 1, 1], [1, 0, 0], [0, 0, 1], [1, 1, 1]]),
        file="t.parquet",
        slug="bad-label",
        said="all lists have 3 values, each 0 or 1",
    ),
    of(
        "pictures in Parquet",
        parquet(image=[{"bytes": b"x", "path": "a.png"}], label=[0]),
        file="t.parquet",
        slug="missing-column",
        said="pictures in 'image': say 'kind: hub'",
    ),
    of(
        "JSON of one list",
        pd.DataFrame(GRID[1:], columns=GRID[0]).to_json(orient="records", indent=1),
        file="t.json",
    ),
    of(
        "COCO",
        '{"images": [{"id": 1, "file_name": "a.png"}], "annotations": [], "categories": []}',
        file="t.json",
        slug="broken-table",
        said="one JSON object and no list",
    ),
    of(
        "an archive",
        b"PK\3\4" + bytes(40),
        file="t.csv.zip",
        slug="broken-table",
        said="an archive: save it as .xlsx or .csv",
    ),
    of(
        "a table in the folder of each split",
        "file_name,label\n0.png,cat\n1.png,dog\n",
        "train cat 1, train dog 1, val cat 1, test dog 1",
        file="train/metadata.csv",
        files={
            "val/metadata.csv": "file_name,label\n0.png,cat\n",
            "test/metadata.csv": "file_name,label\n0.png,dog\n",
        },
        pictures="train 2, val 1, test 1",
        says={"file": "metadata.csv"},
        notes=("train/metadata.csv, val/metadata.csv, test/metadata.csv",),
    ),
    of(
        "a table in folders that are no splits",
        PLAIN,
        file="x/t.csv",
        files={"y/t.csv": PLAIN},
        says={"file": "t.csv"},
        slug="unclear-splits",
        said="such in x, y",
    ),
    of(
        "a table of one split alone",
        "path,label\na.png,cat\nb.png,cat\nc.png,dog\nd.png,dog\n",
        "drawn cat 2, drawn dog 2",
        file="train.csv",
        files={"test.csv": "path\nx.png\n"},
        notes=("train.csv is read alone, and not test.csv beside it",),
    ),
    # --- paths
    of("backslashes", lines(("a.png", "x\\a.png")), pictures="x/a.png, b.png, c.png, d.png"),
    of(
        "signs of an address",
        lines(("a.png", "my%20cat.png")),
        pictures="my cat.png, b.png, c.png, d.png",
        notes=("1 paths are written otherwise",),
    ),
    of(
        "a name that has such signs",
        lines(("a.png", "my%20cat.png")),
        pictures="my%20cat.png, my cat.png, b.png, c.png, d.png",
    ),
    of("a dot before the path", lines(("a.png", "./a.png"), ("b.png", ".\\b.png"))),
    of(
        "a slash before the path",
        lines(("a.png", "/x/a.png")),
        pictures="x/a.png, b.png, c.png, d.png",
    ),
    of(
        "capitals of an ending", lines(("a.png", "A.PNG")), notes=("1 paths are written otherwise",)
    ),
    of(
        "accents of a path",
        lines(("a.png", "e\u0301.png")),
        pictures="\u00e9.png, b.png, c.png, d.png",
    ),
    of(
        "accents of a file",
        lines(("a.png", "\u00e9.png")),
        pictures="e\u0301.png, b.png, c.png, d.png",
    ),
    of(
        "paths from the table on",
        PLAIN,
        file="x/t.csv",
        pictures="x/a.png, x/b.png, x/c.png, x/d.png",
    ),
    of(
        "an absolute path elsewhere",
        lines(("a.png", "/etc/passwd")),
        slug="path-outside",
        said="line 2",
    ),
    of("a path that leads out", lines(("c.png", "../c.png")), slug="path-outside", said="line 4"),
    of(
        "a path of another machine",
        lines(("a.png", "C:\\art\\a.png")),
        slug="path-outside",
        said="another machine",
    ),
    of(
        "an address",
        lines(("a.png", "https://x.org/a.png")),
        slug="path-outside",
        said="overpaint fetch",
    ),
    of("an empty path", lines(("a.png", "")), slug="missing-path", said="line 2"),
    of(
        "a picture that is not there",
        lines(("a.png", "z.png")),
        "val cat 1, train dog 1, test dog 1",
        notes=("z.png: No such file",),
    ),
    of("the same row twice", PLAIN + "c.png,dog,train\n", notes=("1 rows say once more",)),
    of(
        "one picture with two labels",
        PLAIN + "c.png,cat,train\n",
        slug="duplicate-path",
        said="line 6: 'c.png' (train) stands in line 4 already (train); several labels",
    ),
    of(
        "one picture by two paths",
        PLAIN + ".\\c.png,dog,test\n",
        slug="duplicate-path",
        said="line 6",
    ),
]


@pytest.mark.parametrize("case", TABLES, ids=lambda case: case.name)
def test_tables(case, tmp_path):
    """A table is read as its owner means it, or refused with the reason and the line."""
    check(case, TableEntry, tmp_path)


SPLIT_TABLES = {
    "train.csv": "path,label\na.png,cat\nb.png,dog\n",
    "val.csv": "path,label\nc.png,cat\n",
    "test.csv": "path,label\nd.png,dog\n",
}


@pytest.mark.parametrize(
    ("change", "slug", "said"),
    [
        ({}, "", ""),
        ({"test.csv": "path,label\na.png,cat\n"}, "duplicate-path",
         "'a.png' stands in the tables of train and of test"),
        ({"test.csv": "path,label,split\nd.png,cat,train\n"}, "unclear-splits",
         "'d.png' is of train, and stands in the table of test"),
        ({"test.csv": "path\nd.png\n"}, "missing-column", "test.csv has no column 'label'"),
    ],
)  # fmt: skip
def test_a_table_for_each_split(change, slug, said, tmp_path):
    """Each says which pictures a split has; what two of them name is refused."""
    case = Case(
        name="",
        pictures=SHOWN,
        files=SPLIT_TABLES | change,
        says={"files": {name: f"{name}.csv" for name in ("train", "val", "test")}},
        gives="train cat 1, train dog 1, val cat 1, test dog 1",
        slug=slug,
        said=said,
    )
    check(case, TableEntry, tmp_path)


def test_an_absolute_path_below_the_root(tmp_path):
    """It is the picture's own."""
    text = PLAIN.replace("a.png", str(tmp_path / "art" / "a.png"))
    check(of("", text), TableEntry, tmp_path)


WAYS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"]


@given(
    st.sampled_from(
        [PLAIN, PLAIN.replace(",", ";"), several("|"), '{"path": "a.png", "label": []}']
    ),
    st.sampled_from(WAYS),
    st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=3)), max_size=6),
    st.sampled_from(["t.csv", "t.jsonl", "t.xlsx", "t.parquet"]),
)
@settings(deadline=None, max_examples=300)
def test_whatever_a_table_holds(text, encoding, changes, name):
    """Bytes that are no table, or no longer one, are refused; nothing else comes of them."""
    data = bytearray(text.encode(encoding))
    for place, new in changes:
        data[place : place + len(new)] = new
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(data)
        with suppress(DatasetError):
            read_table(Path(folder), Path(folder) / name)
