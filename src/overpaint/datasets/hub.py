"""Hub: sets of pictures as the library `datasets` of Hugging Face reads them, or has saved them.

The library is an extra. It is asked for the encoded bytes of each picture; from version 4 on it
runs no script that comes with a set.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, cast

from pydantic import model_validator

from overpaint.cache import first_line
from overpaint.datasets.catalogue import Catalogue
from overpaint.datasets.entry import CollectionEntry, SplitName, Surroundings
from overpaint.datasets.exported import Item, Source, exported, splits_or_none
from overpaint.datasets.labels import check_no_vectors
from overpaint.datasets.names import SPLIT_WORDS, clean, split_names
from overpaint.datasets.sheet import text_of
from overpaint.datasets.stamp import stamp
from overpaint.defaults import SPLITS
from overpaint.errors import DatasetError, nearest
from overpaint.machine import hand_on

UNNAMED = "other"
"""Parquet files whose path names no split, beside such as do."""

Tables = Mapping[str, Any]
"""The library's sets by the names of their splits."""


class HubEntry(CollectionEntry):
    """A set of the Hugging Face hub by `name`, or one that lies in the folder `root`."""

    writes_out: ClassVar[bool] = True

    kind: Literal["hub"]
    name: str | None = None
    root: Path | None = None
    revision: str | None = None
    image: str = "image"
    label: str = "label"
    group: str | None = None
    splits: dict[SplitName, str] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.name is None) == (self.root is None):
            raise ValueError("needs either 'name' (a set of the hub) or 'root' (a folder)")
        return self

    def read(self, surroundings: Surroundings) -> Catalogue:
        """The catalogue of the set, whose pictures are written out once.

        A set that was written out needs neither the library nor the network. Raises DatasetError
        for a set that cannot be had, a column or a split that it lacks.
        """
        root = surroundings.path(self.root) if self.root else None
        made_of = self.model_dump(mode="json", include={"name", "revision", "image", "label",
                                                        "group", "splits"})  # fmt: skip
        files = sorted(path for path in root.rglob("*") if path.is_file()) if root else []
        stamps = [[str(path.relative_to(root)), *stamp(path)] for path in files if root]
        return exported(surroundings.pictures, [made_of, stamps], lambda: _source(self, root))


def _source(entry: HubEntry, root: Path | None) -> Source:
    try:
        import datasets as library
    except ModuleNotFoundError:
        raise DatasetError(
            "missing-extra",
            "datasets of kind 'hub' need an extra: pip install 'overpaint[hub]'",
        ) from None
    place = str(root) if root else str(entry.name)
    tables = saved(library, root) if root else published(library, str(entry.name), entry.revision)
    everything, tables = tables, chosen(tables, entry.splits, place)
    for column in [entry.image, entry.label, *([entry.group] if entry.group else [])]:
        for table in tables.values():
            if column not in table.features:
                close = nearest(column, table.features)
                raise DatasetError("missing-column", f"{place} has no column {column!r}; {close}")
    features = [table.features[entry.label] for table in tables.values()]
    several = any(not isinstance(feature, dict) and hasattr(feature, "feature")
                  for feature in features)  # fmt: skip
    names = [class_names(feature) for feature in features]
    notes = [f"the split {name!r} of {place} is not used" for name in everything
             if all(everything[name] is not table for table in tables.values())]  # fmt: skip
    return Source(
        place=place,
        items=_items(library, tables, entry, root or Path(library.config.HF_CACHE_HOME), notes),
        notes=notes,
        classes=tuple(dict.fromkeys(names[0]))
        if names[0] and names.count(names[0]) == len(names)
        else None,
        multi_label=several or None,
    )


def class_names(feature: Any) -> list[str] | None:
    """The names of the classes, if numbers stand for them."""
    inner = feature if isinstance(feature, dict) else getattr(feature, "feature", feature)
    names = getattr(inner, "names", None)
    return [clean(name) for name in names] if names else None


def published(library: Any, name: str, revision: str | None) -> Tables:
    """A set of the hub, downloaded or from the library's own cache."""
    try:
        tables: Tables = library.load_dataset(name, revision=revision)
    except Exception as error:
        hand_on(error)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DatasetError(
            "no-hub-dataset",
            f"cannot load {name!r} from the hub: {reason}; without a network, save it where "
            f"there is one with datasets.load_dataset({name!r}).save_to_disk('FOLDER'), and "
            "give 'root: FOLDER' instead of 'name'",
        ) from None
    return tables


def saved(library: Any, root: Path) -> Tables:
    """A folder that `save_to_disk` wrote, or one of Parquet files named after their splits."""
    if not root.is_dir():
        raise DatasetError("missing-folder", f"there is no folder {root}")
    files: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.parquet")):
        files.setdefault(split_word(path.relative_to(root).as_posix()), []).append(str(path))
    if files.keys() == {""}:
        files = {"train": files[""]}  # no path names a split
    elif "" in files:
        files[UNNAMED] = files.pop("")
    try:
        if (root / "dataset_dict.json").is_file():
            return cast("Tables", library.load_from_disk(str(root)))
        if (root / "state.json").is_file():
            return {"train": library.load_from_disk(str(root))}
        if files:
            import pyarrow.parquet

            schema = pyarrow.parquet.read_schema(next(iter(files.values()))[0])
            features = library.Features.from_arrow_schema(schema)
            return cast(
                "Tables",
                library.load_dataset(
                    "parquet", data_files=files, features=features, streaming=True
                ),
            )
    except Exception as error:
        hand_on(error, root)
        raise DatasetError("no-hub-dataset", f"cannot read {root}: {error}") from None
    raise DatasetError(
        "no-hub-dataset",
        f"{root} holds neither what save_to_disk writes (dataset_dict.json) nor Parquet files",
    )


def split_word(path: str) -> str:
    """The word for a split in the path of a Parquet file, if there is one.

    >>> split_word("data/validation-00000-of-00002.parquet"), split_word("default/0000.parquet")
    ('validation', '')
    """
    words = re.findall(r"[a-z]+", path.lower())
    return next((word for word in reversed(words) if word in SPLIT_WORDS), "")


def chosen(tables: Tables, splits: Mapping[SplitName, str] | None, place: str) -> Tables:
    """The tables under the names train, val and test."""
    if splits is None:
        names: dict[str, list[str]] = {}
        for name, split in split_names(tables).items():
            names.setdefault(split, []).append(name)
        for split in SPLITS:
            if len(names.get(split, [])) > 1:
                raise DatasetError(
                    "unknown-split",
                    f"{place} has the splits {' and '.join(names[split])}, which both mean "
                    f"{split}: say in 'splits' which to use",
                )
        usual = {split: tables[names[split][0]] for split in SPLITS if split in names}
        if usual:
            return usual
        raise DatasetError(
            "unknown-split",
            f"{place} has the splits {', '.join(tables)}: say in 'splits' which of them is train, "
            "val and test",
        )
    for name in splits.values():
        if name not in tables:
            raise DatasetError(
                "unknown-split", f"{place} has no split {name!r}; {nearest(name, tables)}"
            )
    return {split: tables[name] for split, name in splits.items()}


def _items(
    library: Any, tables: Tables, entry: HubEntry, below: Path, notes: list[str]
) -> Iterator[Item]:
    """The rows of all tables: the encoded bytes of the picture, its labels and its group."""
    splits = splits_or_none(list(tables))
    place, unlabelled = entry.name or below, 0
    lists: list[list[str]] = []
    try:
        for split, table in tables.items():
            names = class_names(table.features[entry.label])
            encoded = table.cast_column(entry.image, library.Image(decode=False))
            for number, row in enumerate(encoded):
                where = f"{place}, {split} {number}"
                labels = labels_of(row[entry.label], names, where)
                if isinstance(row[entry.label], list):
                    lists.append(list(map(text_of, row[entry.label])))
                unlabelled += not labels and row[entry.label] != []
                group = row[entry.group] if entry.group else None
                yield Item(
                    split=splits[split],
                    data=encoded_bytes(row[entry.image], below, where),
                    labels=labels,
                    source=f"{split}/{number}",
                    group=clean(text_of(group)),
                )
        check_no_vectors(lists, f"{place}, the column {entry.label!r}")
    except DatasetError:
        raise
    except Exception as error:
        hand_on(error)
        raise DatasetError("no-hub-dataset", f"cannot read {place}: {first_line(error)}") from None
    if unlabelled:
        notes.append(f"{unlabelled} of the pictures have null or -1 for labels: they count as "
                     "showing none of the classes")  # fmt: skip


def labels_of(value: Any, names: list[str] | None, where: str) -> tuple[str, ...]:
    """The labels that a cell holds, one or a list of them, numbers replaced by their names.

    >>> labels_of([1, 0, 1], ["sea", "sky"], "here"), labels_of(-1, None, "here")
    (('sky', 'sea'), ())
    >>> labels_of(-2, ["sea", "sky"], "here")
    Traceback (most recent call last):
    overpaint.errors.DatasetError: here: class number -2; there are 2 classes
    """
    values = value if isinstance(value, list) else [value]
    if len(values) > 1 and any(missing(label) for label in values):
        raise DatasetError("bad-label", f"{where}: one of the labels {value} is none")
    for label in values:
        if names and isinstance(label, int) and label != -1 and not 0 <= label < len(names):
            raise DatasetError(
                "bad-label", f"{where}: class number {label}; there are {len(names)} classes"
            )
        if not (missing(label) or isinstance(label, str | int | float | date)):
            raise DatasetError(
                "bad-label",
                f"{where}: {str(label)[:60]} is neither a label nor a list of labels",
            )
    labels = [names[label] if names and isinstance(label, int) else clean(text_of(label))
              for label in values if not missing(label)]  # fmt: skip
    return tuple(dict.fromkeys(labels))


def missing(label: Any) -> bool:
    """Whether a value is what sets write where there is no label.

    >>> [missing(label) for label in (None, -1, "", float("nan"), 0, "-")]
    [True, True, True, True, False, False]
    """
    return label == -1 or not text_of(label)


def encoded_bytes(image: Mapping[str, Any] | None, below: Path, where: str) -> bytes:
    """The encoded bytes of a picture; of one that is a file, only if it lies where it should."""
    if image is None:
        return b""
    if image["bytes"] is not None:
        return bytes(image["bytes"])
    path = Path(str(image["path"])).resolve()
    if not path.is_relative_to(below.resolve()):
        raise DatasetError("path-outside", f"{where}: {str(path)!r} does not lie below {below}")
    return path.read_bytes() if path.is_file() else b""
