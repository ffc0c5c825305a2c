"""Hub: sets of pictures as the library `datasets` of Hugging Face reads them, or has saved them.

The library is an extra. It is asked for the encoded bytes of each picture; from version 4 on it
runs no script that comes with a set.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from overpaint.datasets.catalogue import SPLITS, Catalogue
from overpaint.datasets.doctor import stamp
from overpaint.datasets.exported import Item, Source, exported, splits_or_none
from overpaint.datasets.folder import OTHER_NAMES
from overpaint.errors import DatasetError, nearest
from overpaint.study import HubEntry

Tables = Mapping[str, Any]
"""The library's sets by the names of their splits."""


def read_hub(root: Path | None, entry: HubEntry, folder: Path) -> Catalogue:
    """The catalogue of a set of the hub, or of a folder `root` that holds one.

    Pictures are written out into `folder` once; a set that was written out needs neither the
    library nor the network. Raises DatasetError for a set that cannot be had, a column or a split
    that it lacks.
    """
    made_of = entry.model_dump(mode="json", include={"name", "revision", "image", "label", "group",
                                                     "splits"})  # fmt: skip
    files = sorted(path for path in root.rglob("*") if path.is_file()) if root else []
    stamps = [[str(path.relative_to(root)), *stamp(path)] for path in files if root]
    return exported(folder, [made_of, stamps], lambda: _source(root, entry))


def _source(root: Path | None, entry: HubEntry) -> Source:
    library = _library()
    place = str(root) if root else str(entry.name)
    tables = _local(library, root) if root else _loaded(library, entry)
    chosen = _chosen(tables, entry, place)
    first = next(iter(chosen.values()))
    for column in [entry.image, entry.label, *([entry.group] if entry.group else [])]:
        if column not in first.features:
            known = nearest(column, first.features)
            raise DatasetError("missing-column", f"{place} has no column {column!r}; {known}")
    feature = first.features[entry.label]
    several = not isinstance(feature, dict) and hasattr(feature, "feature")
    names = getattr(feature.feature if several else feature, "names", None)
    below = root or Path(library.config.HF_CACHE_HOME)
    encoded = {
        split: table.cast_column(entry.image, library.Image(decode=False))
        for split, table in chosen.items()
    }
    items = _items(encoded, entry, names, below)
    return Source(items, tuple(names) if names else None, several or None)


def _library() -> Any:
    try:
        import datasets
    except ModuleNotFoundError:
        raise DatasetError(
            "missing-extra",
            "datasets of kind 'hub' need an extra: pip install 'overpaint[hub]'",
        ) from None
    return datasets


def _loaded(library: Any, entry: HubEntry) -> Tables:
    try:
        tables: Tables = library.load_dataset(entry.name, revision=entry.revision)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DatasetError(
            "no-hub-dataset",
            f"cannot load {entry.name!r} from the hub: {reason}; without a network, save it where "
            f"there is one with datasets.load_dataset({entry.name!r}).save_to_disk('FOLDER'), and "
            "give 'root: FOLDER' instead of 'name'",
        ) from None
    return tables


def _local(library: Any, root: Path) -> Tables:
    """A folder that `save_to_disk` wrote, or one of Parquet files named after their splits."""
    if not root.is_dir():
        raise DatasetError("missing-folder", f"there is no folder {root}")
    try:
        if (root / "dataset_dict.json").is_file():
            tables: Tables = library.load_from_disk(str(root))
            return tables
        if (root / "state.json").is_file():
            return {"train": library.load_from_disk(str(root))}
        return _parquet(library, root)
    except DatasetError:
        raise
    except Exception as error:
        raise DatasetError("no-hub-dataset", f"cannot read {root}: {error}") from None


def _parquet(library: Any, root: Path) -> Tables:
    files: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.parquet")):
        files.setdefault(_split_in(path.relative_to(root).as_posix()), []).append(str(path))
    if not files:
        raise DatasetError(
            "no-hub-dataset",
            f"{root} holds neither what save_to_disk writes (dataset_dict.json) nor Parquet files",
        )
    import pyarrow.parquet

    schema = pyarrow.parquet.read_schema(next(iter(files.values()))[0])
    features = library.Features.from_arrow_schema(schema)
    tables: Tables = library.load_dataset(
        "parquet", data_files=files, features=features, streaming=True
    )
    return tables


def _split_in(path: str) -> str:
    """The split that the path of a Parquet file names.

    >>> _split_in("data/validation-00000-of-00002.parquet"), _split_in("default/0000.parquet")
    ('val', 'train')
    """
    words = re.findall(r"[a-z]+", path.lower())
    names = [OTHER_NAMES.get(word, word) for word in words]
    return next((name for name in reversed(names) if name in SPLITS), "train")


def _chosen(tables: Tables, entry: HubEntry, place: str) -> Tables:
    """The tables under our names of splits."""
    if entry.splits is None:
        ours = {OTHER_NAMES.get(name, name): table for name, table in tables.items()}
        chosen = {split: ours[split] for split in SPLITS if split in ours}
        if chosen:
            return chosen
        raise DatasetError(
            "unknown-split",
            f"{place} has the splits {', '.join(tables)}: say in 'splits' which of them is train, "
            "val and test",
        )
    for name in entry.splits.values():
        if name not in tables:
            raise DatasetError(
                "unknown-split", f"{place} has no split {name!r}; {nearest(name, tables)}"
            )
    return {split: tables[name] for split, name in entry.splits.items()}


def _items(tables: Tables, entry: HubEntry, names: list[str] | None, below: Path) -> Iterator[Item]:
    named = splits_or_none(list(tables))
    for split, table in tables.items():
        for number, row in enumerate(table):
            value = row[entry.label]
            values = value if isinstance(value, list) else [value]
            labels = [names[each] if names and isinstance(each, int) else str(each)
                      for each in values if each is not None and each != -1]  # fmt: skip
            yield Item(
                named[split],
                _bytes(row[entry.image], below, f"{entry.name or below}, {split} {number}"),
                tuple(dict.fromkeys(labels)),
                f"{split}/{number}",
                str(row[entry.group]) if entry.group and row[entry.group] is not None else "",
            )


def _bytes(image: Mapping[str, Any] | None, below: Path, where: str) -> bytes:
    """The encoded bytes of a picture; of one that is a file, only if it lies where it should."""
    if image is None:
        return b""
    if image["bytes"] is not None:
        return bytes(image["bytes"])
    path = Path(str(image["path"])).resolve()
    if not path.is_relative_to(below.resolve()):
        raise DatasetError("path-outside", f"{where}: {str(path)!r} does not lie below {below}")
    return path.read_bytes() if path.is_file() else b""
