"""Contents: the files of an artefact by size and digest, and whether they are still those.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     _ = (Path(folder) / "layers.parquet").write_bytes(b"abc")
...     files = contents(Path(folder), "comparison")
...     _ = (Path(folder) / "layers.parquet").write_bytes(b"a")
...     str(damages(Path(folder), files)[0])
'layers.parquet is cut off: 1 of 3 bytes'

A manifest lists them, and when they were last written is known by comparison: no file of an
artefact is newer than its manifest, which is written last. So sizes and times cost a look at each
file, its bytes are read only where it is newer (in a folder that was copied, say) or on request,
and there is no clock in a manifest.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import pyarrow.parquet as pq

from overpaint.errors import RecordError
from overpaint.records.files import file_digest, read_json

PARTS = {
    "dataset": r"(images|drawn)\.parquet|notes\.json"
    r"|pictures/(labels\.csv|(atelier|export)\.json|(pictures|looks)\.parquet)",
    "network": r"weights\.safetensors|(history|lora|svm|predictions)\.parquet|adapter/[^/]+",
    "features": r"(.+/)?zarr\.json|.+/c/.+",
    "comparison": r"[a-z]+\.parquet",
    "causes": r"[a-z]+\.parquet",
    "concepts": r"[a-z]+\.parquet",
    "gaze": r"(pictures|tiles)\.parquet|sheet\.webp",
    "pairwise": r"pairwise\.parquet",
    "probe": r"probe\.parquet",
    "ensemble": r"predictions\.parquet",
    "renderings": r"renderings\.parquet|\d+\.png|[^/]+/\d+-(both|only_after)\.png",
    "thumbnails": r"[0-9a-f]{24}\.jpg",
}
"""By its kind, which files of its folder belong to an artefact, as a regular expression; one that
is a file has that alone."""

DEEP = ("network", "features", "renderings")
"""The kinds that have files in folders within theirs."""

State = Literal["lost", "cut", "changed", "foreign"]


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A file that is not what its artefact was made with; the text says so of its name."""

    name: str  # below the folder of the manifest
    state: State
    text: str

    def __str__(self) -> str:
        return f"{self.name} {self.text}"


def changed_at(path: Path) -> int:
    """When a file was last written, or anything else of it changed, in nanoseconds."""
    return _moment(path.stat())


def _moment(status: os.stat_result) -> int:
    # A time of change can be set, as copying and unpacking do; that of the entry cannot.
    return max(status.st_mtime_ns, status.st_ctime_ns)


def parts(folder: Path, kind: str) -> list[str]:
    """The names of the files of an artefact that is a folder, in order."""
    pattern = re.compile(PARTS.get(kind, "(?!)"))
    paths = [*files_below(str(folder), deep=kind in DEEP)]
    if kind == "dataset":  # the pictures themselves stand with their digests in images.parquet
        paths += files_below(str(folder / "pictures"), deep=False)
    names = (path[len(str(folder)) + 1 :].replace(os.sep, "/") for path in paths)
    return sorted(name for name in names if pattern.fullmatch(name))


def files_below(folder: str, *, deep: bool = True) -> Iterator[str]:
    """The files below a folder but the hidden and the unfinished ones; no link is followed."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name.endswith(".partial"):
            continue
        if entry.is_dir(follow_symlinks=False):
            if deep:
                yield from files_below(entry.path)
        else:
            yield entry.path


def contents(
    place: Path, kind: str, known: Mapping[str, str] | None = None, since: int = 0
) -> dict[str, str]:
    """The files of an artefact: name -> "size digest", in bytes and as SHA-256.

    What is `known` already of a file that has its size and is not newer than `since` is taken.
    """
    if kind == "site":
        return {}  # what it was made from lists its files: `verification.damages_of_site`
    if is_file(place):
        return digests(place.parent, [place.name], known, since)
    return digests(place, parts(place, kind), known, since)


def digests(
    folder: Path, names: Iterable[str], known: Mapping[str, str] | None = None, since: int = 0
) -> dict[str, str]:
    """For files below a folder "size digest" of each; as `contents`."""
    files = {}
    for name in names:
        path, told = folder / name, (known or {}).get(name, "")
        status = path.stat()
        trusted = told.startswith(f"{status.st_size} ") and _moment(status) <= since
        files[name] = told if trusted else f"{status.st_size} {file_digest(path)}"
    return files


def lie_below(files: object) -> bool:
    """Whether these are names of files with their digests, and lead nowhere but below a folder."""
    if not isinstance(files, dict):
        return False
    paths = [PurePosixPath(str(name)) for name in files]
    return not any(path.is_absolute() or ".." in path.parts for path in paths)


def is_file(place: Path) -> bool:
    """Whether the artefact of a place is one file, and no folder."""
    return place.suffix in (".json", ".parquet")


def damages(
    folder: Path, files: Mapping[str, str], *, since: int | None = None, settle: Path | None = None
) -> list[Damage]:
    """The files that are lost, cut off or changed.

    The bytes are read of those that are newer than `since`, by default of all. Where they are as
    they were, `settle` names the manifest that takes over the newest of those times.
    """
    damaged: list[Damage] = []
    newest, root = since or 0, str(folder)
    for name, told in files.items():
        size, _, digest = str(told).partition(" ")
        try:
            status = os.stat(f"{root}/{name}")  # noqa: PTH116 - of very many files
        except (OSError, ValueError):
            damaged.append(Damage(name=name, state="lost", text="is lost"))
            continue
        if not stat.S_ISREG(status.st_mode):
            damaged.append(Damage(name=name, state="changed", text="is no file any more"))
        elif str(status.st_size) != size:
            damaged.append(_of_another_size(folder, name, status.st_size, size))
        elif since is None or _moment(status) > since:
            newest = max(newest, _moment(status))
            try:
                is_same = file_digest(folder / name) == digest
            except OSError as error:
                damaged.append(Damage(name=name, state="lost", text=f"cannot be read: {error}"))
                continue
            if not is_same:
                damaged.append(
                    Damage(name=name, state="changed", text="was changed after it was made")
                )
    if settle and not damaged and newest > changed_at(settle):
        with suppress(OSError):  # in somebody else's folder the bytes are read again
            os.utime(settle, ns=(newest, newest))
    return damaged


def _of_another_size(folder: Path, name: str, size: int, told: str) -> Damage:
    # by hand a file may be made shorter and be whole
    whole = Path(name).suffix in (".json", ".parquet") and _is_whole(folder / name)
    if told.isdecimal() and size < int(told) and not whole:
        text = f"is cut off: {size:,} of {int(told):,} bytes" if size else "is empty"
        return Damage(name=name, state="cut", text=text)
    return Damage(name=name, state="changed", text="was changed after it was made")


# --- of artefacts from before there were digests -------------------------------------------------


def unfinished(place: Path, kind: str, required: Iterable[str] = ()) -> list[Damage]:
    """The files of an artefact without digests that are lost, or cannot be whole by their form."""
    folder, names = (place.parent, [place.name]) if is_file(place) else (place, parts(place, kind))
    lost = sorted({*required, *REQUIRED.get(kind, ())} - {*names})
    return [
        *(Damage(name=name, state="lost", text="is lost") for name in lost),
        *(
            Damage(name=name, state="cut", text="is empty or cut off")
            for name in names
            if not _is_whole(folder / name)
        ),
    ]


REQUIRED = {
    "ensemble": ("predictions.parquet",),
    "comparison": ("channels.parquet", "layers.parquet", "matrix.parquet", "maximal.parquet",
                   "responses.parquet", "spectra.parquet", "weights.parquet"),
}  # fmt: skip
"""Files that were always there, by kind."""


def _is_whole(path: Path) -> bool:
    """Whether a file ends as files of its kind do."""
    try:
        if path.suffix == ".parquet":
            pq.read_metadata(path)
        elif path.suffix == ".json":
            read_json(path)
        elif path.suffix in ENDS:
            with path.open("rb") as file:
                file.seek(-len(ENDS[path.suffix]), os.SEEK_END)
                return file.read() == ENDS[path.suffix]
        return path.stat().st_size > 0
    except (OSError, ValueError, RecordError):
        return False


ENDS = {".png": b"\0\0\0\0IEND\xaeB`\x82", ".jpg": b"\xff\xd9"}
"""The last bytes of a picture that is whole."""
