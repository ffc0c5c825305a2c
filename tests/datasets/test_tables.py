"""Tables of pictures: Paintings, IconArt and one's own; what is wrong is named with its line."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from overpaint.datasets.iconart import IconArtEntry
from overpaint.datasets.opening import open_dataset
from overpaint.datasets.paintings import PaintingsEntry
from overpaint.datasets.table import TableEntry
from overpaint.errors import DatasetError, StudyError
from overpaint.study import read_study


def picture(path: Path, number: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 9), (number % 256, number // 256, 7)).save(path)


# --- Paintings ---------------------------------------------------------------------------------

PAINTINGS = """name_img,set,classe
abd_1,train,bird dog
abd.2,validation, train
abd_3.jpg,test,"diningtable, chair"
"""


def paintings(tmp_path: Path, text: str = PAINTINGS):
    for number, name in enumerate(("abd_1", "abd.2", "abd_3")):
        picture(tmp_path / "art" / "Painting_Dataset" / f"{name}.jpg", number)
    (tmp_path / "art" / "Paintings.txt").write_text(text)
    entry = PaintingsEntry(kind="paintings", root=tmp_path / "art")
    return open_dataset("paintings", entry, workplace=tmp_path / "work")[0]


def test_paintings(tmp_path):
    """Names with or without an ending, three sets, ten classes, several of them a picture."""
    dataset = paintings(tmp_path)
    assert [(each.image, each.split, each.labels) for each in dataset.pictures] == [
        ("Painting_Dataset/abd_1.jpg", "train", ("bird", "dog")),
        ("Painting_Dataset/abd.2.jpg", "val", ("train",)),
        ("Painting_Dataset/abd_3.jpg", "test", ("diningtable", "chair")),
    ]
    assert dataset.multi_label
    assert len(dataset.classes) == 10
    assert dataset.split("train").labels.tolist() == [[0, 1, 0, 0, 0, 0, 1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("old", "new", "slug", "said"),
    [
        ("bird dog", "bird dogs", "unknown-class", "line 2: class 'dogs'; did you mean 'dog'"),
        ("bird dog", "birddog", "unknown-class", "line 2: class 'birddog'"),
        ("classe", "class", "missing-column", "did you mean 'class'"),
        ("test", "tset", "unknown-split", "line 4"),
        ("abd_1", "../../etc/x", "path-outside", "line 2"),
        ("abd.2", "abd_1", "duplicate-path", "line 3: .* stands in line 2"),
    ],
)
def test_bad_paintings(tmp_path, old, new, slug, said):
    """A wrong cell of Paintings.txt is named with the file and the line."""
    with pytest.raises(DatasetError, match=rf"Paintings\.txt.*{said}") as caught:
        paintings(tmp_path, PAINTINGS.replace(old, new))
    assert caught.value.slug == slug


# --- IconArt -----------------------------------------------------------------------------------

MOTIFS = ["angel", "Child_Jesus", "crucifixion_of_Jesus", "Mary", "nudity", "ruins",
          "Saint_Sebastien"]  # fmt: skip


@pytest.fixture
def iconart(tmp_path: Path) -> Path:
    """An IconArt_v1 of 100 training and 20 test pictures."""
    root = tmp_path / "data" / "IconArt_v1"
    rows = []
    for number in range(120):
        picture(root / "JPEGImages" / f"Q{number}.jpg", number)
        shown = [int((number + turn) % 7 in (0, 3 * (number % 2))) for turn in range(7)]
        rows.append([f"Q{number}", *shown, "train" if number < 100 else "test", 1])
    (root / "ImageSets" / "Main").mkdir(parents=True)
    frame = pd.DataFrame(rows, columns=["item", *MOTIFS, "set", "Anno"])
    frame.to_csv(root / "ImageSets" / "Main" / "IconArt_v1.csv", index=False)
    return root


def open_iconart(root: Path, workplace: Path, seed: int = 0):
    entry = IconArtEntry(kind="iconart", root=root)
    return open_dataset("iconart", entry, workplace=workplace, seed=seed)[0]


def test_iconart(iconart, tmp_path):
    """Seven motifs in the authors' order; the folder above will do as root."""
    dataset = open_iconart(iconart, tmp_path / "work")
    assert list(dataset.classes) == MOTIFS
    assert dataset.multi_label
    assert dataset.split("test").pictures[1].labels == ("angel", "nudity")
    assert dataset.pictures == open_iconart(iconart.parent, tmp_path / "other").pictures


def test_iconart_has_no_val(iconart, tmp_path):
    """A tenth of train becomes val, by the seed; test stays what it is."""
    dataset = open_iconart(iconart, tmp_path / "work")
    assert [len(dataset.split(name)) for name in ("train", "val", "test")] == [90, 10, 20]
    drawn = [each.image for each in dataset.split("val").pictures]
    assert drawn == [
        each.image for each in open_iconart(iconart, tmp_path / "w2").split("val").pictures
    ]
    other = open_iconart(iconart, tmp_path / "work", seed=1)
    assert drawn != [each.image for each in other.split("val").pictures]


def test_bad_iconart(iconart, tmp_path):
    """A motif's cell that is neither 0 nor 1 is named with its line; so is a missing motif."""
    file = iconart / "ImageSets" / "Main" / "IconArt_v1.csv"
    text = file.read_text()
    file.write_text(text.replace("\nQ5,0", "\nQ5,maybe").replace("\nQ5,1", "\nQ5,maybe"))
    with pytest.raises(DatasetError, match="line 7: 'angel' is 'maybe'"):
        open_iconart(iconart, tmp_path / "work")
    file.write_text(text.replace("ruins", "ruin"))
    with pytest.raises(DatasetError, match="no column 'ruins'; did you mean 'ruin'"):
        open_iconart(iconart, tmp_path / "work")


# --- one's own ---------------------------------------------------------------------------------

TABLE = """path,style,artist,split
a.png,rococo,Boucher,train
b.png,cubism,Gris,val

c.png,baroque,Gris,test
"""


def table(tmp_path: Path, text: str = TABLE, *, suffix: str = ".csv", **columns: object):
    for number, name in enumerate("abc"):
        picture(tmp_path / "art" / f"{name}.png", number)
    file = tmp_path / f"labels{suffix}"
    file.write_text(text) if suffix == ".csv" else None
    entry = TableEntry(
        kind="table", root=tmp_path / "art", file=file, **{"label": "style", **columns}
    )
    return open_dataset("art", entry, workplace=tmp_path / "work")[0]


def test_one_column_of_several_is_the_label(tmp_path):
    """Style or artist may be learnt from one table; classes stand in alphabetical order."""
    assert table(tmp_path).classes == ("baroque", "cubism", "rococo")
    assert table(tmp_path, label="artist").classes == ("Boucher", "Gris")
    assert [each.group for each in table(tmp_path, group="artist").pictures] == [
        "Boucher", "Gris", "Gris"]  # fmt: skip


def test_given_classes_keep_their_order(tmp_path):
    """The classes of the entry are those of the dataset, in their order."""
    dataset = table(tmp_path, classes=["rococo", "cubism", "baroque", "fauvism"])
    assert dataset.classes == ("rococo", "cubism", "baroque", "fauvism")
    assert dataset.split("test").labels.tolist() == [2]


def test_a_path_is_known_by_where_it_leads(tmp_path):
    """A path written in a roundabout way, or from the top, is the picture's own."""
    art = tmp_path / "art"
    text = TABLE.replace("a.png", "./x/../a.png").replace("b.png", str(art / "b.png"))
    assert [each.image for each in table(tmp_path, text).pictures] == ["a.png", "b.png", "c.png"]


def test_empty_cells_of_parquet(tmp_path):
    """A cell of a Parquet file that holds nothing is empty, and not the word None."""
    frame = pd.DataFrame(
        {"path": ["a.png", "b.png"], "style": ["x|y", None], "split": "train",
         "artist": [float("nan"), "Gris"]}
    )  # fmt: skip
    frame.to_parquet(tmp_path / "labels.parquet")
    dataset = table(tmp_path, suffix=".parquet", group="artist")
    assert [(each.labels, each.group) for each in dataset.pictures] == [
        (("x", "y"), ""), ((), "Gris")]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "slug", "said"),
    [
        ("cubism", "kubism", "unknown-class", "line 3: class 'kubism'; did you mean 'cubism'"),
        ("baroque", "cubbism", "unknown-class", "line 5: class 'cubbism'"),
        ("style", "stile", "missing-column", "no column 'style'; did you mean 'stile'"),
        ("c.png", "a.png", "duplicate-path", r"line 5: 'a.png' \(test\) .* line 2 already \(train"),
        ("c.png", "x/../a.png", "duplicate-path", "line 5: 'a.png'"),
        ("c.png", "../secret.png", "path-outside", "line 5"),
        ("c.png", "/etc/passwd", "path-outside", "line 5"),
        ("c.png", "", "missing-path", "line 5"),
        ("val", "valdi", "unknown-split", "line 3: split 'valdi'; did you mean 'val'"),
        ("baroque", "", "missing-label", r"line 5: the picture has no 'style' \(1 in all\)"),
        ("c.png,", "c.png,,,,", "broken-table", "line 5"),
    ],
)
def test_bad_tables(tmp_path, old, new, slug, said):
    """Each mistake is named with the file, the line and what would be right."""
    with pytest.raises(DatasetError, match=rf"labels\.csv.*{said}") as caught:
        table(tmp_path, TABLE.replace(old, new, 1), classes=["rococo", "cubism", "baroque"])
    assert caught.value.slug == slug


def with_columns(head: str, *cells: str) -> str:
    """The table with further columns."""
    lines = filter(None, TABLE.splitlines())
    return "\n".join(f"{line},{more}" for line, more in zip(lines, (head, *cells), strict=True))


def test_source_and_rights_are_carried_and_make_no_split_another(tmp_path):
    """What the table says of a picture beside what it shows changes no digest."""
    cells = "https://museum.org/1,CC0", "https://museum.org/2,", ","
    plain = table(tmp_path, with_columns("inventory,room", *cells))
    telling = table(tmp_path, with_columns("source,rights", *cells))
    assert [(each.source, each.rights) for each in telling.pictures] == [
        ("https://museum.org/1", "CC0"), ("https://museum.org/2", ""), ("", "")]  # fmt: skip
    assert [(each.source, each.rights) for each in plain.pictures] == [("", "")] * 3
    for split in ("train", "val", "test"):
        assert telling.split(split).digest == plain.split(split).digest


@pytest.mark.parametrize(
    ("head", "cells", "source", "rights"),
    [
        ("Object URL,Licence", "http://m.org/1,CC BY", "http://m.org/1", "CC BY"),
        ("source,url", "wikiart,https://m.org/1", "https://m.org/1", ""),
        ("source,credit_line", "Inv. 12,A gift", "Inv. 12", "A gift"),
        ("page,attribution", "12,a follower of Gris", "", ""),
        ("url,url", "https://m.org/1,https://m.org/2", "https://m.org/1", ""),
        ("Link,rights,license", "HTTPS://m.org/1,ours,CC0", "HTTPS://m.org/1", "ours"),
    ],
)
def test_columns_of_source_and_rights(tmp_path, head, cells, source, rights):
    """The names that museums use are understood; a page that is a number is no source."""
    first = table(tmp_path, with_columns(head, cells, ",", ",")).pictures[0]
    assert (first.source, first.rights) == (source, rights)


def test_a_row_that_differs_in_its_source_alone_is_the_same_picture(tmp_path):
    """Two rows that tell two sources of one picture are no contradiction; the first holds."""
    text = with_columns("source", "https://m.org/1", "https://m.org/2", "https://m.org/3")
    lines = text.splitlines()
    dataset = table(tmp_path, "\n".join([*lines, lines[1].replace("m.org/1", "m.org/9")]))
    assert [each.source for each in dataset.pictures] == [
        "https://m.org/1", "https://m.org/2", "https://m.org/3"]  # fmt: skip


def test_a_path_by_another_name_of_the_root(tmp_path):
    """A path from the top by way of a link to the root is refused: what it is called is unclear."""
    (tmp_path / "alias").symlink_to(tmp_path / "art")
    with pytest.raises(DatasetError, match="line 5") as caught:
        table(tmp_path, TABLE.replace("c.png", str(tmp_path / "alias" / "c.png")))
    assert caught.value.slug == "path-outside"


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_link_may_not_lead_out(tmp_path, linked):
    """A link below the root to a picture elsewhere is refused."""
    picture(tmp_path / "private" / "z.png")
    (tmp_path / "art").mkdir()
    if linked == "file":
        (tmp_path / "art" / "z.png").symlink_to(tmp_path / "private" / "z.png")
    else:
        (tmp_path / "art" / "link").symlink_to(tmp_path / "private")
    name = "z.png" if linked == "file" else "link/z.png"
    with pytest.raises(DatasetError, match=r"line 5: .*leads out of the root") as caught:
        table(tmp_path, TABLE.replace("c.png", name))
    assert caught.value.slug == "path-outside"


def test_classes_of_an_entry_differ(tmp_path):
    """A class that the study names twice is an error with its line."""
    (tmp_path / "s.yaml").write_text(
        "study: s\nnetworks: {}\ndatasets:\n  art:\n    kind: table\n    root: a\n"
        "    file: b\n    classes: [x, y, x]\n"
    )
    with pytest.raises(StudyError, match=r"'x' stands twice.*line 8"):
        read_study(str(tmp_path / "s.yaml"))
