"""The datasets of a study: opened once a run, and what makes their scores doubtful told."""

import json
import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from overpaint.datasets import Dataset
from overpaint.datasets.catalogue import Picture
from overpaint.datasets.doctor import STAMPS, duplicates, leak, remember, remembered
from overpaint.datasets.entry import CollectionEntry, Surroundings
from overpaint.datasets.opening import open_dataset
from overpaint.datasets.stamp import stamp
from overpaint.errors import DatasetError, RecordError
from overpaint.records import (
    DatasetFacts,
    DuplicateRow,
    ImageRow,
    Manifest,
    defaults_of,
    digest,
    file_digest,
    manifest,
    read_manifest,
    with_facts,
    write_manifest,
)
from overpaint.records.belongings import remove_ours
from overpaint.records.contents import changed_at
from overpaint.run.near_copies import near_copies
from overpaint.run.workspace import Workspace

NAMED = 5
"""The pictures in two splits that are named on the way; the manifest names all."""


def keep_dataset(work: Workspace, name: str) -> None:
    """Open a dataset; name the pictures that cannot be read, and what its owner should know."""
    entry, place = work.study.datasets[name], work.folder.dataset(name)
    if work.dry:
        _look_only(work, name)
        return
    _make_room(work, name)
    title = "look again" if (place / "manifest.json").is_file() else "read"
    with work.progress.stage(f"dataset {name}: {title}") as advance:
        dataset, rows = open_dataset(
            name,
            entry,
            base=work.study.base,
            workplace=place,
            seed=work.study.seed,
            progress=advance,
        )
    work.processes.together(work, _take, dataset)
    wanted = _wanted(work, name)
    copies, near_of = near_copies(work, dataset, place)
    facts = _facts(dataset, entry.kind, rows, copies, near_of)
    made = with_facts(wanted, facts)
    work.looks[place] = []  # what lies there now was written a moment ago
    # What there is to tell may change although no picture that is used has.
    is_new = work.must_make(place, wanted, _changed(place, made))  # sees what lay there before
    remember(dataset.root, rows, place)
    write_manifest(place, made if is_new else read_manifest(place))
    for note in facts.notes:
        work.progress.say(f"  {note}")
    for row in rows:
        if row.status != "ok":
            work.progress.say(f"  left out: {dataset.root / row.image}: {row.status}")
    for duplicate in facts.duplicates[:NAMED]:
        work.progress.say(f"  {duplicate}")
    if len(facts.duplicates) > NAMED:
        more = len(facts.duplicates) - NAMED
        work.progress.say(f"  and {more} more pictures that stand in two splits")
    for leak_row in facts.leak:
        if leak_row.known:
            work.progress.say(f"  {leak_row.split}: {leak_row.describe()}")


def _make_room(work: Workspace, name: str) -> None:
    """Remove what of a dataset is not as it was made, and say so: opening it makes it anew."""
    place = work.folder.dataset(name)
    pictures = _damaged_pictures(work, name)
    damaged = [*map(str, work.damages(place)), *pictures]
    for damage in work.damages(place):
        (place / damage.name).unlink(missing_ok=True)
        pictures += [damage.name] if damage.name.startswith("pictures/") else []
    if pictures:  # they were written out together
        remove_ours(place / "pictures", "pictures")
    if damaged:
        said = f"{'; '.join(damaged[:NAMED])}{' …' if len(damaged) > NAMED else ''}"
        work.progress.say(f"{place.relative_to(work.folder.root).as_posix()}: {said}: made anew")
    if work.verify or any(damage.name == "notes.json" for damage in work.damages(place)):
        (place / STAMPS).unlink(missing_ok=True)  # so that every picture is read


def _damaged_pictures(work: Workspace, name: str) -> list[str]:
    """In words, the pictures that overpaint wrote out itself and that are not any more as they were
    at the last look.
    """
    place = work.folder.dataset(name)
    pictures = place / "pictures"
    entry: CollectionEntry = work.study.datasets[name]
    if not entry.writes_out or not pictures.is_dir() or (pictures / "looks.parquet").is_file():
        return []  # they are somebody else's, not there yet, or at an address
    damaged = []
    manifested = place / "manifest.json"
    since = changed_at(manifested) if manifested.is_file() else 0
    for image, (when, row) in remembered(place).items():
        now = stamp(pictures / image)
        if now[0] < 0:
            damaged.append(f"{image} is lost")
        elif not work.verify and now == when and changed_at(pictures / image) <= since:
            continue
        elif file_digest(pictures / image) != row.digest:
            damaged.append(f"{image} was changed after it was made")
    return damaged


def _take(work: Workspace, dataset: Dataset) -> None:
    """Have a dataset as the leader has opened it."""
    work.datasets[dataset.name] = dataset
    work.split_digests[dataset.name] = _digests(dataset)
    work.group_digests[dataset.name] = _group_digests(dataset.pictures)


def _changed(place: Path, made: Manifest) -> list[str]:
    """In words, that the manifest at a place tells other facts than one that would be made now."""
    try:
        present = read_manifest(place).facts
    except RecordError:
        return []  # there is none, and that is told already
    # As they are once they were written; a folder that was moved tells the same.
    facts = json.loads(json.dumps(made.facts)) | {"root": present.get("root")}
    return [] if present == facts else ["what is to be told of it has changed"]


def _digests(dataset: Dataset) -> dict[str, str]:
    return {split: dataset.split(split).digest for split in dataset.split_names}


def _group_digests(pictures: Iterable[Picture | ImageRow]) -> dict[str, str]:
    """Of the groups, what is asked of them: which pictures of train belong together, which of test
    are of a group that is in train, and, where they are told by name, the group of each picture;
    nothing for a split without groups.
    """
    pictures = list(pictures)
    train = [picture for picture in pictures if picture.split == "train"]
    members = defaultdict(list)
    for picture in train:
        if picture.group:
            members[picture.group].append(picture.image)
    is_familiar = sorted(
        (picture.image, picture.group in members)
        for picture in pictures
        if picture.split == "test" and picture.group
    )
    named = sorted((picture.image, picture.group) for picture in pictures if picture.group)
    groups = {
        "train": sorted(map(sorted, members.values())),
        "test": is_familiar,
        "names": named,
    }
    return {split: digest(value) for split, value in groups.items() if value}


def _wanted(work: Workspace, name: str) -> Manifest:
    """The manifest of a dataset, once its splits' digests are known."""
    entry = work.study.datasets[name]
    return manifest(
        "dataset",
        inputs=work.split_digests[name],
        settings=entry.model_dump(mode="json"),
        defaults=defaults_of(type(entry)),
        seed=work.study.seed,
    )


def _facts(
    dataset: Dataset, kind: str, rows: list[ImageRow], copies: list[DuplicateRow], near_of: str
) -> DatasetFacts:
    return DatasetFacts(
        kind=kind,
        root=str(dataset.root),
        classes=list(dataset.classes),
        multi_label=dataset.multi_label,
        left_out=sum(row.status != "ok" for row in rows),
        duplicates=[*duplicates(dataset), *copies],
        near_of=near_of,
        leak=leak(dataset),
        notes=list(dataset.notes),
    )


def _look_only(work: Workspace, name: str) -> None:
    """The digests of a dataset's splits as they are now, and nothing written.

    Of pictures that overpaint itself paints or writes out, as they were at the last look.
    """
    entry, place = work.study.datasets[name], work.folder.dataset(name)
    work.split_digests[name] = {}
    if not work.is_there(place):
        work.must_make(place, _wanted(work, name))
        if not entry.writes_out:
            try:
                entry.read(Surroundings(base=work.study.base, pictures=place, seed=work.study.seed))
            except DatasetError as error:
                work.progress.say(f"missing  datasets/{name}: {error}")
        return
    work.split_digests[name] = read_manifest(place).inputs
    rows = [row for _, row in remembered(place).values() if row.status == "ok"]
    work.group_digests[name] = _group_digests(rows)
    if not entry.writes_out:
        with TemporaryDirectory() as copy:  # what was found before is looked up, and not changed
            for path in place.glob("*.parquet"):
                if not (work.verify and path.name == STAMPS):
                    shutil.copy(path, copy)
            dataset, _ = open_dataset(
                name,
                entry,
                base=work.study.base,
                workplace=Path(copy),
                seed=work.study.seed,
            )
        work.datasets[name] = dataset
        work.split_digests[name] = _digests(dataset)
        work.group_digests[name] = _group_digests(dataset.pictures)
    work.must_make(place, _wanted(work, name), _damaged_pictures(work, name))
    if place in work.pending and entry.writes_out:
        work.split_digests[name] = {}  # known only once the pictures are written
