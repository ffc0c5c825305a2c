"""Published collections, fetched and unpacked.

>>> "iconart" in COLLECTIONS
True
"""

import lzma
import os
import shutil
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from overpaint.cache import TIMEOUT, cache_folder, first_line
from overpaint.errors import DatasetError, nearest
from overpaint.machine import hand_on
from overpaint.records import whole_folder
from overpaint.records.belongings import refuse_link
from overpaint.records.drafts import downloading, sweep


@dataclass(frozen=True, kw_only=True)
class Collection:
    """An archive that is published under a DOI, and the kind of dataset that it holds."""

    doi: str
    archive: str
    kind: str
    folder: str


COLLECTIONS = {
    "iconart": Collection(
        doi="10.5281/zenodo.4737435",
        archive="IconArt_v1.zip",
        kind="iconart",
        folder="data/IconArt_v1",
    )
}

LARGEST = 2**35
"""Bytes that an archive may unpack to."""

LONGEST = 255
"""Bytes of a name, as file systems have it."""

RATIO, SPARE = 100, 2**26
"""Times its own bytes, and beyond them, that it may unpack to: pictures hardly get smaller."""


def fetch(name: str, folder: Path | None = None) -> Path:
    """The folder of a published collection, made now: downloaded by its DOI, and unpacked.

    The archive is looked for in the cache folder first. Raises DatasetError for a collection that
    is not known, a folder that holds other things, an archive that cannot be had or is broken.
    """
    if name not in COLLECTIONS:
        raise DatasetError(
            "unknown-collection",
            f"cannot fetch {name!r}: it is no file, no address (https://…) and no collection; "
            f"{nearest(name, COLLECTIONS)}",
        )
    collection = COLLECTIONS[name]
    place = folder or Path(collection.folder)
    refuse_link(place)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise DatasetError(
            "folder-not-empty", f"{place} is there already: give a folder that is to be made"
        )
    sweep(place.parent, deep=False)
    archive = cache_folder() / collection.archive
    if not archive.is_file():
        try:
            archive = downloaded(collection, archive.parent)
        except Exception as error:
            hand_on(error, archive)
            raise DatasetError(
                "no-archive",
                f"cannot download {collection.archive} of doi:{collection.doi} "
                f"({first_line(error)}): fetch it from https://doi.org/{collection.doi} and put it "
                f"into {archive.parent}",
            ) from None
    unpack(archive, place)
    return place


def is_export(what: str) -> bool:
    """Whether what is to be fetched is a file or an address, and no collection's name.

    >>> is_export("iconart"), is_export("https://museum.org/manifest.json")
    (False, True)
    """
    return what not in COLLECTIONS and (
        what.startswith(("https://", "http://")) or Path(what).is_file()
    )


def study_line(name: str, folder: Path) -> str:
    """What a study says to use the collection.

    >>> print(study_line("iconart", Path("data/IconArt_v1")))
    datasets:
      iconart: {kind: iconart, root: data/IconArt_v1}
    """
    return f"datasets:\n  {name}: {{kind: {COLLECTIONS[name].kind}, root: {folder.as_posix()}}}"


def downloaded(collection: Collection, folder: Path) -> Path:
    """The archive, downloaded into a folder and compared with the publisher's hash."""
    import pooch  # and with it requests: only where something is downloaded

    with downloading(folder / collection.archive) as draft:
        publisher = pooch.create(path=draft, base_url=f"doi:{collection.doi}/")
        publisher.load_registry_from_doi()
        publisher.fetch(collection.archive, downloader=pooch.DOIDownloader(timeout=TIMEOUT))
    return folder / collection.archive


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a ZIP archive into a folder, whole, without the one folder that may hold all of it.

    Raises DatasetError for an archive that is broken, has a name that leads out of the folder, or
    would unpack to more than `LARGEST` bytes; then nothing is left behind.
    """
    try:
        with zipfile.ZipFile(archive) as file, whole_folder(folder) as draft:
            for path, member in _members(file, archive).items():
                target = draft / path
                target.parent.mkdir(parents=True, exist_ok=True)
                # What is a link in the archive becomes a file: nothing is followed.
                with file.open(member) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out, 2**20)
    except (
        *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, OSError),
        *(ValueError, struct.error),
    ) as error:
        raise DatasetError(
            "broken-archive", f"cannot unpack {archive}: {first_line(error)}; remove the file, and "
            "it is downloaded again"
        ) from None  # fmt: skip


def _members(file: zipfile.ZipFile, archive: Path) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The files of an archive by where they go, those that a Mac adds left out."""
    members = {PurePosixPath(info.filename): info for info in file.infolist() if not info.is_dir()}
    for path in members:
        if (
            not path.parts
            or path.is_absolute()
            or ".." in path.parts
            or "\\" in str(path)
            or ":" in path.parts[0]
        ):
            raise DatasetError(
                "unsafe-archive", f"{archive} holds {str(path)!r}, which leads out of its folder"
            )
    folders = {folder for path in members for folder in path.parents}
    for path in members:
        if path in folders or max(len(os.fsencode(part)) for part in path.parts) > LONGEST:
            raise DatasetError(
                "broken-archive",
                f"cannot unpack {archive}: {str(path)[:60]!r} is too long, or a folder as well",
            )
    size = sum(info.file_size for info in members.values())
    most = min(LARGEST, SPARE + RATIO * archive.stat().st_size)
    if size > most:
        raise DatasetError(
            "unsafe-archive", f"{archive} would unpack to {size} bytes; at most {most} are taken"
        )
    members = {path: info for path, info in members.items() if path.parts[0] != "__MACOSX"}
    above = {path.parts[0] for path in members}
    skip = 1 if len(above) == 1 and all(len(path.parts) > 1 for path in members) else 0
    return {PurePosixPath(*path.parts[skip:]): info for path, info in members.items()}
