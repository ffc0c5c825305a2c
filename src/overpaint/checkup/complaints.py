"""Complaints: what is wrong with a collection, whether it would hurt a study, and what mends it.

What hurts makes a training impossible, or its scores untrue; what is remarked is read all the same,
and its owner should know.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from overpaint.checkup.copies import families
from overpaint.checkup.pictures import TRAITS, Sighting
from overpaint.datasets.catalogue import Picture, dataset_of
from overpaint.datasets.doctor import alike, in_classes, leak
from overpaint.defaults import SPLITS

FEW = 10
"""Pictures of a class in train, below which it is told: of fewer a network learns little."""

LEAST = 3
"""Pictures of a class without which it cannot be in train, val and test."""

UNEVEN = 5
"""Times the pictures of the smallest class that the largest has, from which on it is told."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A picture that a complaint is about, or a class."""

    name: str  # the picture's id, or the class
    with_name: str = ""  # the other picture, where it is about two
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Complaint:
    """What is wrong, of how many, and what mends it."""

    slug: str
    hurts: bool
    what: str
    mend: str = ""
    cases: list[Case] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Patient:
    """A collection as it was read, with what was seen of its pictures."""

    name: str
    pictures: Sequence[Picture]
    sightings: Mapping[str, Sighting]  # by picture
    classes: Sequence[str]
    multi_label: bool
    drawn: bool  # whether the splits are drawn by overpaint
    unlabelled: Sequence[str] = ()  # pictures that lie there and have no label
    fields: Mapping[str, object] = field(default_factory=dict)  # what a study says of it

    @property
    def readable(self) -> list[Picture]:
        """The pictures that a study would use."""
        return [row for row in self.pictures if self.sightings[row.image].look.status == "ok"]


def complaints_of(patient: Patient) -> list[Complaint]:
    """All complaints, those that would hurt a study first."""
    listed = [
        *_of_files(patient),
        *_of_copies(patient),
        *_of_classes(patient),
        *_of_groups(patient),
        *_of_traits(patient),
    ]
    return sorted(listed, key=lambda complaint: not complaint.hurts)


# --- files -------------------------------------------------------------------------------------

REASONS = {
    "missing": ("No such file", "no file is there"),
    "empty": ("the file is empty", "the file is empty"),
    "truncated": ("truncated", "cut off"),
    "too-large": ("above the limit", "of more pixels or bytes than are read"),
    "too-narrow": ("too narrow", "too long and narrow for a square of it"),
    "unreadable": ("", "cannot be read as pictures"),
}
"""Why a picture cannot be used: a word of its status, and how it is told."""

MENDS = {
    "missing": "put the files where the table says, or take their rows out",
    "empty": "fetch or copy the files anew, or remove them",
    "truncated": "fetch or copy the files anew, or remove them",
    "too-large": "make smaller copies, or set OVERPAINT_MEGAPIXELS as the reason says",
    "too-narrow": "cut the pictures, or remove them",
    "unreadable": "fetch or convert the files anew, or remove them",
}


def _of_files(patient: Patient) -> Iterator[Complaint]:
    """What cannot be read, by its reason, and what has no label."""
    by_reason: dict[str, list[Case]] = defaultdict(list)
    for image in dict.fromkeys([*(row.image for row in patient.pictures), *patient.unlabelled]):
        status = patient.sightings[image].look.status
        if status != "ok":
            slug = next(name for name, (word, _) in REASONS.items() if word in status)
            by_reason[slug].append(Case(name=image, detail=status))
    for slug, (_, words) in REASONS.items():
        if cases := by_reason[slug]:
            yield Complaint(
                slug=slug,
                hurts=True,
                what=f"{counted(cases, 'picture')}: {words}; a run leaves them out",
                mend=MENDS[slug],
                cases=cases,
            )
    if patient.unlabelled:
        cases = [Case(name=image) for image in patient.unlabelled]
        yield Complaint(
            slug="without-label",
            hurts=False,
            what=f"{counted(cases, 'picture')} without a label: not used",
            mend="move them into a class folder, or give them a row in the table",
            cases=cases,
        )


def _of_traits(patient: Patient) -> Iterator[Complaint]:
    """What is odd about pictures that can be read."""
    by_trait: dict[str, list[Case]] = defaultdict(list)
    for picture in patient.readable:
        sighting = patient.sightings[picture.image]
        for trait in sighting.traits:
            width, height = sighting.look.width, sighting.look.height
            by_trait[trait].append(Case(name=picture.image, detail=f"{width} × {height}"))
        if sighting.look.note:
            by_trait["blank"].append(Case(name=picture.image, detail=sighting.look.note))
    mends = {"long": "cut them, if what matters is not in the middle", "blank": "look at them"}
    for trait, words in {**TRAITS, "blank": "of one colour, or almost black"}.items():
        if cases := by_trait[trait]:
            yield Complaint(
                slug=trait,
                hurts=False,
                what=f"{counted(cases, 'picture')} {words}",
                mend=mends.get(trait, "nothing to do: they are read as a viewer shows them"),
                cases=cases,
            )


# --- copies ------------------------------------------------------------------------------------


def _of_copies(patient: Patient) -> Iterator[Complaint]:
    """Pictures that stand twice: in two splits, under two labels, or only so."""
    pictures = patient.readable
    sightings = [patient.sightings[picture.image] for picture in pictures]
    cases: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for family in families(sightings):
        members = sorted((pictures[n] for n in family), key=lambda row: SPLITS.index(row.split))
        first = members[0]
        for copy in members[1:]:
            same = (
                patient.sightings[copy.image].look.digest
                == patient.sightings[first.image].look.digest
            )
            kind = "" if same else "near-"
            if set(copy.labels) != set(first.labels):
                detail = f"{in_classes(first)} and {in_classes(copy)}"
                where = "under-two-labels"
            elif copy.split != first.split:
                detail, where = f"{first.split} and {copy.split}", "in-two-splits"
            else:
                detail, where = f"both in {copy.split}", "in-one-split"
            case = Case(name=copy.image, with_name=first.image, detail=detail)
            cases[kind, where].append(case)
    by_draw = " (as they are drawn with seed 0)" if patient.drawn else ""
    told = {
        "under-two-labels": (True, "under another label", "keep the one that is right"),
        "in-two-splits": (
            True,
            f"in another split{by_draw}",
            "remove one of each two; 'overpaint doctor PATH --csv FILE' lists them all",
        ),
        "in-one-split": (False, "in the same split", "remove one of each two, or leave them"),
    }
    for where, (hurts, words, mend) in told.items():
        for kind, name in {"": "the same file", "near-": "nearly the same picture"}.items():
            if rows := cases[kind, where]:
                yield Complaint(
                    slug=f"{kind}copies-{where}",
                    hurts=hurts,
                    what=f"{counted(rows, 'picture')}: {name} stands {words}",
                    mend=mend,
                    cases=rows,
                )


# --- classes -----------------------------------------------------------------------------------


def _of_classes(patient: Patient) -> Iterator[Complaint]:
    """Classes that are alone, lack pictures, or have many more than others."""
    counts = {split: Counter(label for row in patient.readable if row.split == split
                             for label in row.labels) for split in SPLITS}  # fmt: skip
    total = Counter[str]()
    for of_split in counts.values():
        total.update(of_split)
    if len(patient.classes) < 2:
        yield Complaint(
            slug="one-class",
            hurts=True,
            what=f"{counted(list(patient.classes), 'class', 'classes')}: nothing to tell apart",
            mend="put the pictures into a folder a class, or name the column of labels in 'label'",
            cases=[Case(name=label) for label in patient.classes],
        )
    lacking = [label for label in patient.classes if not total[label]]
    if lacking:
        yield Complaint(
            slug="class-without-pictures",
            hurts=True,
            what=f"{counted(lacking, 'class', 'classes')} without a picture that can be read",
            mend="add pictures, or take the class out",
            cases=[Case(name=label) for label in lacking],
        )
    small = [label for label in patient.classes if 0 < total[label] < LEAST]
    if small:
        yield Complaint(
            slug="class-too-small",
            hurts=True,
            what=f"{counted(small, 'class', 'classes')} with fewer than {LEAST} pictures: not one "
            "for each of train, val and test",
            mend="add pictures, or take the class out",
            cases=[Case(name=label, detail=str(total[label])) for label in small],
        )
    for split in ("train", "test"):
        absent = [label for label in patient.classes
                  if total[label] >= LEAST and not counts[split][label]]  # fmt: skip
        if absent:
            yield Complaint(
                slug=f"class-not-in-{split}",
                hurts=True,
                what=f"{counted(absent, 'class', 'classes')} without a picture in {split}: "
                + ("it cannot be learnt" if split == "train" else "no score tells of it"),
                mend=f"move pictures of it to {split}, or take the class out",
                cases=[Case(name=label, detail=f"{total[label]} elsewhere") for label in absent],
            )
    few = [label for label in patient.classes
           if total[label] >= LEAST and 0 < counts["train"][label] < FEW]  # fmt: skip
    if few:
        yield Complaint(
            slug="class-of-few",
            hurts=False,
            what=f"{counted(few, 'class', 'classes')} with fewer than {FEW} pictures in train",
            mend="add pictures, or join classes; intervals will be wide",
            cases=[Case(name=label, detail=str(counts["train"][label])) for label in few],
        )
    of_train = [(counts["train"][label], label) for label in patient.classes
                if counts["train"][label]]  # fmt: skip
    if of_train and max(of_train)[0] >= UNEVEN * min(of_train)[0]:
        (most, large), (least, little) = max(of_train), min(of_train)
        yield Complaint(
            slug="uneven-classes",
            hurts=False,
            what=f"{large!r} has {most} pictures in train, {little!r} {least}: "
            f"{most / least:.0f} times as many",
            mend="networks: NAME: with: {class_weights: balanced}",
            cases=[Case(name=label, detail=str(count)) for count, label in sorted(of_train)],
        )
    names = alike(patient.classes)
    if names:
        yield Complaint(
            slug="classes-alike",
            hurts=True,
            what="; ".join(names),
            mend="call them the same, if they are",
        )


# --- groups ------------------------------------------------------------------------------------


def _of_groups(patient: Patient) -> Iterator[Complaint]:
    """Groups (artists, sitters, books) that stand in train and elsewhere."""
    pictures = patient.readable
    dataset = dataset_of(patient.name, Path(), pictures, multi_label=patient.multi_label,
                         classes=patient.classes)  # fmt: skip
    for row in leak(dataset):
        if not row.known:
            continue
        in_train = {picture.group for picture in pictures if picture.split == "train"}
        cases = [
            Case(name=picture.image, detail=picture.group)
            for picture in pictures
            if picture.split == row.split and picture.group and picture.group in in_train
        ]
        gives_away = row.accuracy is not None and row.accuracy > (row.chance or 0)
        group = patient.fields.get("group")
        said = f"group: {str(group)!r}, " if group else ""
        yield Complaint(
            slug=f"groups-in-{row.split}",
            hurts=gives_away,
            what=f"{row.split}: {row.describe()}",
            mend=f"datasets: {patient.name}: {{…, {said}disjoint: group}}: splits are drawn anew, "
            "and no group stands in two",
            cases=cases,
        )


def counted(rows: Sequence[object], name: str, names: str = "") -> str:
    """How many of something.

    >>> counted([1], "picture"), counted([], "class", "classes")
    ('1 picture', '0 classes')
    """
    return f"{len(rows):,} {name if len(rows) == 1 else names or name + 's'}"
