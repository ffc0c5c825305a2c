"""Dataset: pictures with labels and fixed splits.

Each file beside this one knows one kind of collection and turns it into a catalogue; the doctor
reads every picture once, and names and leaves out those that cannot be read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import TypeAdapter

from overpaint.datasets import atelier
from overpaint.datasets.catalogue import Dataset, Picture, Split, dataset_of
from overpaint.datasets.doctor import examine
from overpaint.datasets.folder import read_folder
from overpaint.datasets.rasta import read_rasta
from overpaint.datasets.table import read_table
from overpaint.errors import DatasetError
from overpaint.records import ImageRow
from overpaint.seeds import seed_for
from overpaint.study import AtelierEntry, DatasetEntry, FolderEntry, RastaEntry, TableEntry

__all__ = ["Dataset", "Picture", "Split", "dataset", "open_dataset"]

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
"""How a collection without splits is divided, class by class."""


def catalogue(
    entry: DatasetEntry, base: Path, workplace: Path, seed: int
) -> tuple[Path, list[Picture]]:
    """The root of a collection and its pictures; what is generated is made in `workplace`."""
    if isinstance(entry, AtelierEntry):
        root = workplace / "pictures"
        atelier.make(root, entry.task, seed, dict(entry.sizes.items()) if entry.sizes else None)
        return root, read_table(
            root, root / "labels.csv", path="path", label="labels", split="split", group=None
        )
    root = (base / entry.root.expanduser()).resolve()
    if isinstance(entry, FolderEntry):
        return root, read_folder(root)
    if isinstance(entry, RastaEntry):
        return root, read_rasta(root)
    file = (base / entry.file.expanduser()).resolve()
    columns = entry.model_dump(include={"path", "label", "split", "group"})
    return root, read_table(root, file, **columns)


def open_dataset(
    name: str,
    entry: DatasetEntry,
    *,
    base: Path = Path(),
    workplace: Path,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Dataset, list[ImageRow]]:
    """A dataset ready for use, and the doctor's row on each of its pictures.

    Splits that the collection does not have are drawn from the seed and kept in `workplace`, also
    when pictures are added later. A picture that cannot be read is left out; raises DatasetError
    when none is left.
    """
    root, pictures = catalogue(entry, base, workplace, seed)
    multi_label = is_multi_label(entry, pictures)
    rows = examine(root, pictures, workplace, progress)
    if any(not picture.split for picture in pictures):
        pictures = draw_splits(pictures, _kept(rows), seed, name)
    rows = [replace(row, split=picture.split) for row, picture in zip(rows, pictures, strict=True)]
    good = [
        replace(picture, digest=row.digest)
        for picture, row in zip(pictures, rows, strict=True)
        if row.status == "ok"
    ]
    if not good:
        reason = f"{rows[0].image}: {rows[0].status}" if rows else "it lists none"
        raise DatasetError(
            "no-pictures", f"dataset {name!r} ({root}) has no readable picture: {reason}"
        )
    return dataset_of(name, root, good, multi_label=multi_label), rows


def dataset(root: str | Path, *, kind: str = "folder", seed: int = 0, **columns: Any) -> Dataset:
    """A dataset of a folder, without a study; what `op.dataset` is.

    >>> dataset("nowhere")
    Traceback (most recent call last):
    overpaint.errors.DatasetError: there is no folder ...nowhere

    `kind` is folder, rasta, or table (then `file`, and if need be `path`, `label`, `split`,
    `group`). Nothing is remembered: every picture is read.
    """
    entry = ENTRY.validate_python({"kind": kind, "root": root, **columns})
    with TemporaryDirectory() as workplace:
        return open_dataset(Path(root).name, entry, workplace=Path(workplace), seed=seed)[0]


ENTRY: TypeAdapter[DatasetEntry] = TypeAdapter(DatasetEntry)


def is_multi_label(entry: DatasetEntry, pictures: Sequence[Picture]) -> bool:
    """Whether a picture may have several labels, or none."""
    if isinstance(entry, AtelierEntry):
        return entry.task == "subjects"
    if isinstance(entry, TableEntry) and isinstance(entry.label, list):
        return True
    return any(len(picture.labels) != 1 for picture in pictures)


def _kept(rows: Sequence[ImageRow]) -> dict[str, str]:
    return {row.image: row.split for row in rows if row.split}


def draw_splits(
    pictures: Sequence[Picture], kept: Mapping[str, str], seed: int, name: str
) -> list[Picture]:
    """Pictures with splits drawn within each class, those already drawn kept as they were.

    >>> many = [Picture(f"cat/{n}.jpg", "", ("cat",)) for n in range(10)]
    >>> drawn = draw_splits(many, {}, 0, "pets")
    >>> sorted(picture.split for picture in drawn)
    ['test', 'test', 'train', 'train', 'train', 'train', 'train', 'train', 'train', 'val']
    """
    chosen = dict(kept)
    for labels in sorted({picture.labels for picture in pictures}):
        new = [each.image for each in pictures if each.labels == labels and each.image not in kept]
        new.sort(key=lambda image: seed_for(seed, "splits", name, image))
        chosen.update(zip(new, _shares(len(new)), strict=True))
    return [replace(picture, split=chosen[picture.image]) for picture in pictures]


def _shares(count: int) -> list[str]:
    """So many splits in their shares; at least one each of train, test and val, in that order."""
    test, val = (max(1, round(SHARES[name] * count)) for name in ("test", "val"))
    order = ["train"] * max(1, count - test - val) + ["test"] * test + ["val"] * val
    return order[:count]
