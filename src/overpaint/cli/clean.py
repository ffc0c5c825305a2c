"""What `overpaint clean` removes of a study folder: what is ours and the study no longer names, or
all that is ours. What somebody else put there stays, whatever it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from overpaint.errors import OverpaintError, RecordError
from overpaint.machine import in_bytes
from overpaint.records import Listing, StudyFolder, check_folder, manifest_path, study_of
from overpaint.records.belongings import (
    KEYS,
    files_below,
    holds,
    is_checkpoint,
    is_link,
    kind_of,
    read_plain,
    remove_empty,
    strangers,
)
from overpaint.records.drafts import is_draft
from overpaint.records.lock import held
from overpaint.records.marker import FILES, FOLDERS, MARKER
from overpaint.study import study_in
from overpaint.study.places import places


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """Something of ours: a file, or the files below a folder that are ours."""

    path: Path
    why: str
    names: tuple[str, ...] = ()  # below the folder, in the order in which they go
    stays: tuple[str, ...] = ()  # what else lies there

    @classmethod
    def of(cls, path: Path, kind: str, why: str) -> "Leftover":
        """An artefact that is a folder."""
        stays = strangers(path, kind)
        names = sorted({*files_below(path)} - {*stays}, key=lambda name: (name not in KEYS, name))
        return cls(path=path, why=why, names=tuple(names), stays=tuple(stays))

    @property
    def files(self) -> list[Path]:
        """All files that are to go."""
        return [self.path / name for name in self.names] if self.path.is_dir() else [self.path]

    def remove(self) -> None:
        """Remove the files, and the folders that are empty then."""
        for file in self.files:
            file.unlink(missing_ok=True)
        if self.path.is_dir():
            remove_empty(self.path)


def clean(root: Path, *, everything: bool = False, dry: bool = False) -> Iterator[str]:
    """Remove what a study folder no longer needs, or all that is ours; says what, line by line.

    With `dry` nothing is removed. Raises RecordError for a folder that is no study folder, and for
    a link in a place of ours: then nothing is removed either.
    """
    if study_of(root) is None:
        raise RecordError(
            "not-a-study-folder",
            f"{root} is no study folder: it has no {MARKER} and no study; nothing was removed",
        )
    check_folder(root)
    with held(root, "overpaint clean"):
        yield from _clean(root, everything=everything, dry=dry)
    if everything and not dry:
        for path in root.glob(".overpaint*.lock"):
            path.unlink()
        names = sorted(path.name for path in root.iterdir())
        if names:
            yield f"left {root}, which holds {names[0]!r}"
        elif not is_link(root):
            root.rmdir()


def _clean(root: Path, *, everything: bool, dry: bool) -> Iterator[str]:
    verb, total = "would remove" if dry else "removed", 0
    for leftover in leftovers(root, everything=everything):
        size = sum(file.lstat().st_size for file in leftover.files)
        total += size
        if not dry:
            leftover.remove()
        place = leftover.path.relative_to(root).as_posix()
        yield f"{verb}  {place}  {in_bytes(size)}  ({leftover.why})"
        for name in leftover.stays:
            yield f"  left {place}/{name}, which is not overpaint's"
    yield f"{verb} {in_bytes(total)} in all"
    if everything and not dry:
        for name in FOLDERS:
            if (root / name).is_dir() and name != "logs":
                remove_empty(root / name)


def leftovers(root: Path, *, everything: bool) -> list[Leftover]:
    """What there is to remove, artefacts before the files that tell of the study."""
    wanted = {} if everything else wanted_places(root)
    why = "all that is overpaint's" if everything else "the study does not name it"
    gone = [
        Leftover.of(path, kind, why)
        for path, kind, owners in artefacts(root)
        if not all(owner in wanted for owner in owners)
    ]
    gone += [
        Leftover(path=path, why=why)
        for path in sorted(root.glob("trainings/[!.]*.pt"))
        if f"networks/{path.stem}" not in wanted and is_checkpoint(path)
    ]
    gone += [
        Leftover(path=path, why="a draft that was never finished", names=tuple(files_below(path)))
        for folder in (root, *(root / name for name in FOLDERS))
        for path in sorted(folder.glob("**/.*.draft"))
        if is_draft(path.name) and not is_link(path)
    ]
    return [*gone, *(files_of_all(root, why) if everything else ())]


def artefacts(root: Path) -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    """The artefacts of a folder that are folders: the kind of each, and the places that a study has
    if this is one of it.
    """
    kinds = (
        *("dataset", "network", "ensemble", "comparison"),
        *("causes", "concepts", "gaze", "pairwise", "thumbnails"),
    )
    for kind in kinds:
        folder = kind if kind.endswith(("s", "pairwise")) else f"{kind}s"
        for path in sorted(root.glob(f"{folder}/[!.]*")):
            if kind_of(path) == kind:
                yield path, kind, (f"{folder}/{path.name}",)
    for path in sorted(root.glob("features/[!.]*/*.zarr")):
        if _is_group(path):
            dataset = path.stem.rpartition("-")[0]
            yield path, "features", (f"features/{path.parent.name}", f"datasets/{dataset}")
    for path in sorted(root.glob("probes/[!.]*/[!.]*")):
        if kind_of(path) == "probe":
            yield path, "probe", (f"probes/{path.parent.name}", f"datasets/{path.name}")
    for path in sorted(root.glob("renderings/[!.]*")):
        if holds(path, "renderings"):
            yield path, "renderings", (f"renderings/{path.name}",)


def files_of_all(root: Path, why: str) -> Iterator[Leftover]:
    """The site, and the files that tell of the study."""
    site = StudyFolder(root).site
    written = sorted(Listing(site, StudyFolder(root).site_files).places)
    names = [name for name in written if (site / name).is_file() and not _is_linked(site, name)]
    stays = {*files_below(site)} - {*names}
    if names:
        yield Leftover(path=site, why=why, names=tuple(names), stays=tuple(sorted(stays)))
    patterns = ("features/.claims/*/*.lock", "trainings/.claims/*.lock", "exported/*.files", *FILES)
    paths = {path for pattern in patterns for path in root.glob(pattern)}
    for path in sorted(paths, key=lambda path: (path.name == MARKER, path)):  # the mark last
        if path.is_file() and _is_ours(path):
            yield Leftover(path=path, why=why)


def wanted_places(root: Path) -> dict[str, str]:
    """The artefacts of the study that a folder is of."""
    path = StudyFolder(root).study
    try:
        return places(study_in(path))
    except (OSError, OverpaintError) as error:
        raise RecordError(
            "broken-record",
            f"{path} holds no study, so it cannot be told what is of it: {error}; nothing was "
            "removed",
        ) from None


def _is_group(path: Path) -> bool:
    """Whether a group of features is ours, also one that was not finished."""
    attributes = (read_plain(path / "zarr.json") or {}).get("attributes") or {}
    return kind_of(path) == "features" or "made_from" in attributes


def _is_linked(folder: Path, name: str) -> bool:
    """Whether a file below a folder is a link, or lies behind one."""
    path = folder / name
    return any(map(is_link, (path, *list(path.parents)[: len(Path(name).parts) - 1])))


def _is_ours(path: Path) -> bool:
    """Whether a file beside the folders is ours: some have a manifest beside them."""
    if path.name in ("repeats.json", "findings.json", "advice.parquet"):
        return manifest_path(path).is_file()
    return not is_link(path)
