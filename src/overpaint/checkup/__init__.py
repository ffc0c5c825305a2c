"""Checkup: a collection, or all those of a study, looked at before anything is trained.

>>> [checkup] = checkups_of(Path("nowhere"))
Traceback (most recent call last):
overpaint.errors.DatasetError: there is neither a folder nor a table nowhere
"""

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from overpaint.checkup.complaints import Case, Complaint, Patient, complaints_of
from overpaint.checkup.doors import Door, door_of
from overpaint.checkup.pictures import Sighting, can_hash, sighting_of_file
from overpaint.datasets.catalogue import Catalogue, Dataset, Picture, dataset_of
from overpaint.datasets.entry import CollectionEntry, Surroundings
from overpaint.datasets.folder import NO_CLASSES, TABLES, Walk
from overpaint.datasets.names import as_name, clean, split_names
from overpaint.datasets.splits import WAYS, way_of, with_splits
from overpaint.defaults import SPLITS
from overpaint.errors import DatasetError, StudyError
from overpaint.progress import Progressing
from overpaint.study import read_study

__all__ = ["Case", "Checkup", "Complaint", "Door", "checkup_of", "checkups_of", "door_of"]


@dataclass(frozen=True, kw_only=True)
class Checkup:
    """What was found of a collection."""

    name: str
    root: str
    fields: dict[str, Any]  # what a study says to read it
    pictures: int  # those that a study would use
    classes: list[str]
    counts: dict[str, dict[str, int]]  # split -> class -> pictures
    splits: str  # where the splits come from, in words
    guesses: list[str]
    notes: list[str]  # what the reader of the collection says
    complaints: list[Complaint]
    dataset: Dataset  # of the pictures that can be read, as a study of seed 0 would have it
    refusal: DatasetError | None  # why no study can read it

    @property
    def hurts(self) -> bool:
        """Whether something would hurt a study."""
        return any(complaint.hurts for complaint in self.complaints)

    @property
    def sizes(self) -> dict[str, int]:
        """How many pictures each split has."""
        return {split: sum(counts.values()) for split, counts in self.counts.items()}

    def as_json(self) -> dict[str, Any]:
        """All of it, for a program."""
        told = ("name", "root", "fields", "pictures", "classes", "counts", "splits", "guesses")
        return {
            **{name: getattr(self, name) for name in told},
            "notes": self.notes,
            "hurts": self.hurts,
            "complaints": [asdict(complaint) for complaint in self.complaints],
        }


def checkups_of(path: Path, progress: Progressing | None = None) -> list[Checkup]:
    """A checkup of the collection at a path; of a study's file, of each of its datasets.

    Raises DatasetError and StudyError for a path that leads to neither.
    """
    if path.suffix.lower() in (".yaml", ".yml"):
        study = read_study(str(path))
        if not study.datasets:
            raise StudyError("nothing-to-examine", f"{path} names no dataset")
        return [
            checkup_of(
                name,
                Door(fields=entry.model_dump(mode="json", exclude_defaults=True)),
                entry=entry,
                base=study.base,
                seed=study.seed,
                progress=progress,
            )
            for name, entry in study.datasets.items()
        ]
    return [checkup_of(name_of(path), door_of(path), progress=progress)]


def name_of(path: Path) -> str:
    """What a study calls the collection at a path.

    >>> name_of(Path("My moons (2)")), name_of(Path("moons/images")), name_of(Path("moons/a.csv"))
    ('My_moons_2', 'moons', 'moons')
    """
    lying = path.resolve()
    plain = lying.name.lower() not in NO_CLASSES and lying.suffix.lower() not in TABLES
    return as_name(lying.name if plain else lying.parent.name)


def checkup_of(
    name: str,
    door: Door,
    *,
    entry: CollectionEntry | None = None,
    base: Path = Path(),
    seed: int = 0,
    progress: Progressing | None = None,
) -> Checkup:
    """Look at all pictures of a collection, and say what is wrong.

    One that its reader refuses is looked at all the same, each folder as a class: so that all that
    is wrong is told at once.
    """
    progress = progress or Progressing(Console(quiet=True))
    entry = entry or door.entry
    with TemporaryDirectory() as temporary:
        where = Surroundings(base=base, pictures=Path(temporary) / "pictures", seed=seed)
        reading = read_whole(name, entry, where)
        root, pictures = reading.catalogue.root, reading.pictures
        images = [*(picture.image for picture in pictures), *reading.unlabelled]
        sightings: dict[str, Sighting] = {}
        with (
            progress.stage(f"look at {len(images):,} pictures of {name}") as advance,
            ThreadPoolExecutor(os.cpu_count()) as pool,
        ):
            files = [root / image for image in images]
            for image, sighting in zip(images, pool.map(sighting_of_file, files), strict=True):
                sightings[image] = sighting
                advance(len(sightings), len(images))
    labels = sorted({label for picture in pictures for label in picture.labels})
    patient = Patient(
        name=name,
        pictures=pictures,
        sightings=sightings,
        classes=list(reading.catalogue.classes or labels),
        multi_label=reading.several,
        drawn=bool(reading.way),
        unlabelled=reading.unlabelled,
        fields=door.fields,
    )
    with progress.stage("look for copies"):
        complaints = [*map(refusal_of, reading.refusals), *complaints_of(patient)]
    dataset = dataset_of(
        name,
        root,
        patient.readable,
        multi_label=reading.several,
        classes=patient.classes,
    )
    counts = {split: Counter(label for picture in dataset.pictures if picture.split == split
                             for label in picture.labels) for split in SPLITS}  # fmt: skip
    return Checkup(
        name=name,
        root=str(root),
        fields=door.fields,
        pictures=len(dataset.pictures),
        classes=list(dataset.classes),
        counts={split: dict(sorted(of_split.items())) for split, of_split in counts.items()},
        splits=f"drawn {WAYS[reading.way]}" if reading.way else "those of the collection",
        guesses=door.guesses,
        notes=list(reading.catalogue.notes),
        complaints=complaints if can_hash() else [*complaints, NO_NEAR_COPIES],
        dataset=dataset,
        refusal=reading.refusals[0] if reading.refusals else None,
    )


NO_NEAR_COPIES = Complaint(
    slug="no-near-copies",
    hurts=False,
    what="copies that were saved anew were not looked for",
    mend="python -m pip install 'overpaint[train]'",
)
"""What is said where the library of the perceptual hash is missing."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A collection as its reader has it, or as its folders lie where the reader refuses it."""

    catalogue: Catalogue
    pictures: list[Picture]  # those with labels, in splits
    unlabelled: list[str]
    several: bool  # labels a picture
    way: str  # in which the splits were drawn; "" for those of the collection
    refusals: list[DatasetError]


def read_whole(name: str, entry: CollectionEntry, where: Surroundings) -> Reading:
    """All pictures of a collection, with and without a label; a DatasetError where none lie."""
    refusals: list[DatasetError] = []
    try:
        catalogue = entry.read(where)
    except DatasetError as error:
        folder = where.path(getattr(entry, "root", None) or Path())
        if not folder.is_dir() or "root" not in type(entry).model_fields:
            raise
        refusals.append(error)
        catalogue = catalogue_of_folders(folder)
    several = catalogue.several and not refusals
    pictures = [picture for picture in catalogue.pictures if several or picture.labels]
    unlabelled: list[str] = []
    if isinstance(catalogue.root, Path) and not entry.writes_out:
        named = {picture.image for picture in pictures}
        unlabelled = [image for image in images_below(catalogue.root) if image not in named]
    disjoint = entry.disjoint if not refusals else None
    way = way_of(pictures, disjoint=disjoint, several=several)
    try:
        pictures = with_splits(
            pictures, where.pictures.parent, where.seed, name, disjoint=disjoint, several=several
        )
    except DatasetError as error:
        refusals.append(error)
        pictures = [replace(picture, split=picture.split or "train") for picture in pictures]
    return Reading(
        catalogue=catalogue,
        pictures=pictures,
        unlabelled=unlabelled,
        several=several,
        way=way,
        refusals=refusals,
    )


def refusal_of(error: DatasetError) -> Complaint:
    """That no study can read the collection, and why."""
    mend = f"as it says [{error.slug}]; then 'overpaint doctor' again"
    return Complaint(slug="refused", hurts=True, what=str(error), mend=mend)


def images_below(root: Path) -> list[str]:
    """The pictures that lie in a folder and below it, as paths below it."""
    walk = Walk(root)
    return [walk.relative(path) for path in walk.scan(root).all_pictures()]


def catalogue_of_folders(root: Path) -> Catalogue:
    """All pictures below a folder, each with the folder that it lies in as its class."""
    images = images_below(root)
    above = {image: PurePosixPath(image).parts[:-1] for image in images}
    meanings = split_names(sorted({part for parts in above.values() for part in parts}))
    pictures = []
    for image, parts in above.items():
        splits = [meanings[part] for part in parts if meanings[part]]
        labels = tuple(clean(part) for part in parts[-1:] if not meanings[part])
        split = splits[0] if splits else "train" if any(meanings.values()) else ""
        pictures.append(Picture(image=image, split=split, labels=labels))
    return Catalogue(root=root, pictures=pictures)
