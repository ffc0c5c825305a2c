"""A collection made ready for use: read by its kind, splits drawn, every picture looked at once."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import TypeAdapter, ValidationError

from overpaint.cache import cache_folder
from overpaint.datasets.catalogue import Dataset, dataset_of
from overpaint.datasets.doctor import alike, contradictions, examine, remarks
from overpaint.datasets.entry import CollectionEntry, Surroundings
from overpaint.datasets.kinds import KINDS, DatasetEntry
from overpaint.datasets.names import legible
from overpaint.datasets.remote import is_address
from overpaint.datasets.splits import in_words, way_of, with_splits
from overpaint.datasets.wording import first_fault
from overpaint.errors import DatasetError, nearest
from overpaint.machine import refusals_told
from overpaint.records import ImageRow, digest
from overpaint.records.belongings import refuse_link_within
from overpaint.records.drafts import sweep

ENTRY: TypeAdapter[DatasetEntry] = TypeAdapter(DatasetEntry)


def open_dataset(
    name: str,
    entry: CollectionEntry,
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
    catalogue = entry.read(Surroundings(base=base, pictures=workplace / "pictures", seed=seed))
    if legible(str(catalogue.root)) != str(catalogue.root):
        raise DatasetError(
            "missing-folder",
            f"the name of the folder {legible(str(catalogue.root))} is not UTF-8: rename it",
        )
    several = catalogue.several
    way = way_of(catalogue.pictures, disjoint=entry.disjoint, several=several)
    pictures = with_splits(
        catalogue.pictures, workplace, seed, name, disjoint=entry.disjoint, several=several
    )
    rows = examine(catalogue.root, pictures, workplace, progress, catalogue.looks)
    readable = [
        replace(picture, digest=row.digest)
        for picture, row in zip(pictures, rows, strict=True)
        if row.status == "ok"
    ]
    if not readable:
        reason = f"{rows[0].image}: {rows[0].status}" if rows else "it lists none"
        raise DatasetError(
            "no-pictures", f"dataset {name!r} ({catalogue.root}) has no readable picture: {reason}"
        )
    dataset = dataset_of(
        name,
        catalogue.root,
        readable,
        multi_label=several,
        classes=catalogue.classes,
    )
    notes = [
        *catalogue.notes,
        *remarks(workplace),
        *(in_words(readable, way, seed) if way else []),
        *contradictions(dataset),
        *alike(dataset.classes),
    ]
    cache = workplace / "decoded" if entry.cache else None
    return replace(dataset, cache=cache, notes=tuple(notes)), rows


@refusals_told()
def dataset(root: str | Path, *, kind: str = "folder", seed: int = 0, **more: Any) -> Dataset:
    """A dataset of a folder, without a study; what `op.dataset` is.

    >>> dataset("nowhere")
    Traceback (most recent call last):
    overpaint.errors.DatasetError: there is no folder ...nowhere
    >>> dataset("nowhere", kind="painting")
    Traceback (most recent call last):
    overpaint.errors.DatasetError: there is no kind 'painting'; did you mean 'paintings'? ...

    The kinds and their keys are those of a study's dataset that has a `root`; for `kind="hub"`, the
    root is a folder or a name of the hub. Pictures that are written out or cached stand in the
    cache folder; nothing else is remembered, and every picture is read. What was left out or found
    out on the way is told by a UserWarning, and stands in `notes`. Raises DatasetError.
    """
    kinds = [name for name, entry in KINDS.items() if "root" in entry.model_fields]
    if kind not in kinds:
        raise DatasetError("bad-dataset", f"there is no kind {kind!r}; {nearest(kind, kinds)}")
    # What is no folder is a name, for a kind that knows names.
    place = "name" if "name" in KINDS[kind].model_fields and not Path(root).is_dir() else "root"
    try:
        entry = ENTRY.validate_python({"kind": kind, place: str(root), **more})
    except ValidationError as error:
        fault = first_fault(error, {"kind": kind, place: str(root), **more})
        key, keys = ".".join(map(str, fault.place)) or kind, ", ".join(KINDS[kind].model_fields)
        words = f"{key} {fault.words}"
        if fault.kind == "extra_forbidden":
            words = f"there is no key {key!r}"
        raise DatasetError("bad-dataset", f"{words}; the keys are {keys}") from None
    if entry.cache or entry.writes_out:
        lying = root if is_address(root) else Path(root).resolve()
        made_of = [entry.model_dump(mode="json"), str(lying), seed]
        workplace = cache_folder() / "datasets" / digest(made_of)[:16]
        refuse_link_within(cache_folder(), f"datasets/{workplace.name}/pictures")
        sweep(workplace, deep=False)
        opened, rows = open_dataset(Path(root).name, entry, workplace=workplace, seed=seed)
    else:
        with TemporaryDirectory() as folder:
            opened, rows = open_dataset(Path(root).name, entry, workplace=Path(folder), seed=seed)
    unreadable = [f"left out: {row.image}: {row.status}" for row in rows if row.status != "ok"]
    if sentences := [*opened.notes, *unreadable]:
        # A run prints these; who calls from Python would else never hear of them.
        warnings.warn(f"dataset {opened.name!r}: {'; '.join(sentences)}", stacklevel=2)
    return opened
