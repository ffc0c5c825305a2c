"""One collection as shards and as sets of the hub: the same pictures, labels and splits from each.

The collection is `../shared/data/objects_in_art` where that is there, or else a small one.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import webdataset
from PIL import Image

import datasets
from overpaint.datasets.catalogue import Catalogue
from overpaint.datasets.entry import CollectionEntry, Surroundings
from overpaint.datasets.hub import HubEntry
from overpaint.datasets.opening import open_dataset
from overpaint.datasets.shards import ShardsEntry

REAL = Path(__file__).parents[3] / "shared" / "data" / "objects_in_art"


@dataclass(frozen=True)
class Line:
    """A picture of the collection."""

    name: str
    label: str
    split: str
    data: bytes


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    if (REAL / "labels.csv").is_file():
        with (REAL / "labels.csv").open(encoding="utf-8", newline="") as file:
            return [
                Line(row["file"], row["object"], row["split"], (REAL / row["file"]).read_bytes())
                for row in csv.DictReader(file)
            ]
    made = []
    for number in range(40):
        buffer = io.BytesIO()
        Image.linear_gradient("L").resize((20 + number, 20)).save(buffer, "JPEG")
        split = ("train", "train", "val", "test")[number % 4]
        made.append(Line(f"{number}.jpg", f"class {number % 3}", split, buffer.getvalue()))
    return made


def shards(lines: list[Line], root: Path, label: Callable[[str], dict[str, object]]) -> None:
    """Shards of at most a hundred pictures, as the library writes them."""
    root.mkdir()
    for split in ("train", "val", "test"):
        pattern = str(root / f"{split}-%06d.tar")
        with webdataset.ShardWriter(pattern, maxcount=100, verbose=0) as sink:
            for number, line in enumerate(line for line in lines if line.split == split):
                sink.write({"__key__": f"{number:06}", "jpg": line.data, **label(line.label)})


def hub(lines: list[Line], label: object) -> datasets.DatasetDict:
    """A set of the hub, with the hub's name of val."""
    features = datasets.Features(image=datasets.Image(), label=label)
    names = {"train": "train", "validation": "val", "test": "test"}
    return datasets.DatasetDict({
        name: datasets.Dataset.from_dict(
            {"image": [{"bytes": line.data, "path": line.name} for line in lines
                       if line.split == split],
             "label": [line.label for line in lines if line.split == split]},
            features=features)
        for name, split in names.items()
    })  # fmt: skip


def as_shards_with_names(lines: list[Line], root: Path) -> CollectionEntry:
    shards(lines, root, lambda name: {"cls": name.encode()})
    return ShardsEntry(kind="shards", root=root)


def as_shards_with_numbers(lines: list[Line], root: Path) -> CollectionEntry:
    classes = sorted({line.label for line in lines})
    shards(lines, root, lambda name: {"cls": classes.index(name)})
    return ShardsEntry(kind="shards", root=root, classes=classes)


def as_shards_with_json(lines: list[Line], root: Path) -> CollectionEntry:
    shards(lines, root, lambda name: {"json": json.dumps({"object": name}).encode()})
    return ShardsEntry(kind="shards", root=root, label="object")


def as_a_set_saved_to_disk(lines: list[Line], root: Path) -> CollectionEntry:
    classes = sorted({line.label for line in lines})
    hub(lines, datasets.ClassLabel(names=classes)).save_to_disk(root)
    return HubEntry(kind="hub", root=root)


def as_a_set_of_words(lines: list[Line], root: Path) -> CollectionEntry:
    hub(lines, datasets.Value("string")).save_to_disk(root)
    return HubEntry(kind="hub", root=root)


def as_parquet_of_the_hub(lines: list[Line], root: Path) -> CollectionEntry:
    classes = sorted({line.label for line in lines})
    (root / "data").mkdir(parents=True)
    for name, table in hub(lines, datasets.ClassLabel(names=classes)).items():
        table.to_parquet(root / "data" / f"{name}-00000-of-00001.parquet")
    return HubEntry(kind="hub", root=root)


FORMS = [as_shards_with_names, as_shards_with_numbers, as_shards_with_json, as_a_set_saved_to_disk,
         as_a_set_of_words, as_parquet_of_the_hub]  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_one_catalogue(form, lines, tmp_path):
    """Whatever form the collection comes in, its catalogue is that of its table."""
    entry = form(lines, tmp_path / "art")
    found: Catalogue = entry.read(Surroundings(base=Path(), pictures=tmp_path / "pictures", seed=0))
    assert sorted(
        (hashlib.sha256((found.root / picture.image).read_bytes()).hexdigest(), picture.split,
         picture.labels)
        for picture in found.pictures
    ) == sorted((hashlib.sha256(line.data).hexdigest(), line.split, (line.label,))
                for line in lines)  # fmt: skip
    assert not found.several
    assert found.notes == ()


def test_one_dataset(lines, tmp_path):
    """Opened, the collection has the classes in one order, and every picture can be read."""
    classes = tuple(sorted({line.label for line in lines}))
    for form in (as_shards_with_names, as_a_set_saved_to_disk):
        entry = form(lines, tmp_path / form.__name__)
        dataset, rows = open_dataset("art", entry, workplace=tmp_path / f"{form.__name__}-work")
        assert dataset.classes == classes
        assert {row.status for row in rows} == {"ok"}
        assert len(dataset.pictures) == len(lines)
