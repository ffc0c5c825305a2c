"""Dataset: pictures with labels and fixed splits.

Each file beside this one knows one kind of collection and turns it into a catalogue; the doctor
reads every picture once, and names and leaves out those that cannot be read.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import TypeAdapter, ValidationError

from overpaint.cache import cache_folder
from overpaint.datasets import atelier, iconart, paintings
from overpaint.datasets.catalogue import Catalogue, Dataset, Picture, Split, dataset_of
from overpaint.datasets.doctor import check_trainable, duplicates, examine, leak
from overpaint.datasets.folder import grouped, read_folder
from overpaint.datasets.hub import read_hub
from overpaint.datasets.iconart import iconart_root, read_iconart
from overpaint.datasets.paintings import read_paintings
from overpaint.datasets.rasta import read_rasta
from overpaint.datasets.shards import read_shards
from overpaint.datasets.splits import draw_splits, with_splits
from overpaint.datasets.table import read_table
from overpaint.errors import DatasetError, nearest
from overpaint.records import ImageRow, digest
from overpaint.study import (
    KINDS,
    AtelierEntry,
    DatasetEntry,
    FolderEntry,
    HubEntry,
    IconArtEntry,
    PaintingsEntry,
    RastaEntry,
    ShardsEntry,
    TableEntry,
)

__all__ = [
    "Dataset",
    "Picture",
    "Split",
    "check_trainable",
    "dataset",
    "draw_splits",
    "duplicates",
    "leak",
    "open_dataset",
]


def catalogue(entry: DatasetEntry, base: Path, workplace: Path, seed: int) -> Catalogue:
    """What a collection holds; what is generated is made in `workplace`."""
    if isinstance(entry, AtelierEntry):
        return _painted(entry, workplace / "pictures", seed)
    root = (base / entry.root.expanduser()).resolve() if entry.root else None
    if isinstance(entry, HubEntry):
        return read_hub(root, entry, workplace / "pictures")
    assert root is not None  # the study file says so
    if isinstance(entry, ShardsEntry):
        return read_shards(root, entry, workplace / "pictures")
    return _lying(entry, root, base)


def _lying(
    entry: FolderEntry | TableEntry | RastaEntry | PaintingsEntry | IconArtEntry,
    root: Path,
    base: Path,
) -> Catalogue:
    """What a collection of files holds."""
    if isinstance(entry, FolderEntry):
        return Catalogue(root, grouped(read_folder(root), entry.group))
    if isinstance(entry, RastaEntry):
        return Catalogue(root, read_rasta(root))
    if isinstance(entry, PaintingsEntry):
        return Catalogue(root, read_paintings(root), paintings.CLASSES, multi_label=True)
    if isinstance(entry, IconArtEntry):
        root = iconart_root(root)
        return Catalogue(root, read_iconart(root), iconart.CLASSES, multi_label=True)
    return _tabled(entry, root, (base / entry.file.expanduser()).resolve())


def _painted(entry: AtelierEntry, root: Path, seed: int) -> Catalogue:
    atelier.make(root, entry.task, seed, dict(entry.sizes.items()) if entry.sizes else None)
    pictures = read_table(
        root, root / "labels.csv", path="path", label="labels", split="split", group=None
    )
    return Catalogue(root, pictures, multi_label=entry.task == "subjects")


def _tabled(entry: TableEntry, root: Path, file: Path) -> Catalogue:
    columns = entry.model_dump(include={"path", "label", "split", "group", "classes"})
    classes = tuple(entry.classes) if entry.classes else None
    several = True if isinstance(entry.label, list) else None
    return Catalogue(root, read_table(root, file, **columns), classes, several)


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

    Splits that the collection lacks are drawn from the seed and kept in `workplace`, also when
    pictures are added later. A picture that cannot be read is left out; raises DatasetError when
    none is left.
    """
    found = catalogue(entry, base, workplace, seed)
    pictures = with_splits(found.pictures, workplace, seed, name, disjoint=entry.disjoint)
    rows = examine(found.root, pictures, workplace, progress)
    good = [
        replace(picture, digest=row.digest)
        for picture, row in zip(pictures, rows, strict=True)
        if row.status == "ok"
    ]
    if not good:
        reason = f"{rows[0].image}: {rows[0].status}" if rows else "it lists none"
        raise DatasetError(
            "no-pictures", f"dataset {name!r} ({found.root}) has no readable picture: {reason}"
        )
    made = dataset_of(name, found.root, good, multi_label=found.several, classes=found.classes)
    return replace(made, cache=workplace / "decoded" if entry.cache else None), rows


def dataset(root: str | Path, *, kind: str = "folder", seed: int = 0, **more: Any) -> Dataset:
    """A dataset of a folder, without a study; what `op.dataset` is.

    >>> dataset("nowhere")
    Traceback (most recent call last):
    overpaint.errors.DatasetError: there is no folder ...nowhere
    >>> dataset("nowhere", kind="painting")
    Traceback (most recent call last):
    overpaint.errors.DatasetError: there is no kind 'painting'; did you mean 'paintings'? ...

    The keys are those of a study's dataset. By `kind`: folder (and, if paths tell groups, `group`);
    table (`file`, and if need be `path`, `label`, `split`, `group`, `classes`); rasta, paintings,
    iconart; shards (`splits`, `label`, `classes`); hub (`root` is a folder or a name of the hub;
    `revision`, `image`, `label`, `group`, `splits`). All take `disjoint="group"` and `cache=True`.
    Pictures that are written out or cached stand in the cache folder; nothing else is remembered,
    and every picture is read. Raises DatasetError.
    """
    entry = _entry({"kind": kind, "root": Path(root), **more})
    if entry.cache or isinstance(entry, HubEntry | ShardsEntry):
        made_of = [entry.model_dump(mode="json"), str(Path(root).resolve()), seed]
        place = cache_folder() / "datasets" / digest(made_of)[:16]
        return open_dataset(Path(root).name, entry, workplace=place, seed=seed)[0]
    with TemporaryDirectory() as workplace:
        return open_dataset(Path(root).name, entry, workplace=Path(workplace), seed=seed)[0]


def _entry(data: dict[str, Any]) -> DatasetEntry:
    kinds = [kind for kind in KINDS if kind != "atelier"]  # it is painted into a study's folder
    if data["kind"] not in kinds:
        raise DatasetError(
            "bad-dataset", f"there is no kind {data['kind']!r}; {nearest(data['kind'], kinds)}"
        )
    if data["kind"] == "hub" and not data["root"].is_dir():
        data["name"] = data.pop("root").as_posix()
    try:
        return ENTRY.validate_python(data)
    except ValidationError as error:
        [first, *_] = error.errors()
        known = ", ".join(KINDS[data["kind"]].model_fields)
        raise DatasetError(
            "bad-dataset", f"{first['loc'][-1]}: {first['msg']}; the keys are {known}"
        ) from None


ENTRY: TypeAdapter[DatasetEntry] = TypeAdapter(DatasetEntry)
