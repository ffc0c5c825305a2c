"""What in a folder is ours: no file goes, or is written over, that is not.

An artefact's manifest names its kind, and a kind has files of certain names. All else that lies
beside them is somebody else's, and stays.

>>> is_named("network", "weights.safetensors"), is_named("network", "notes.md")
(True, False)
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from overpaint.errors import RecordError
from overpaint.files import open_regular, read_regular
from overpaint.records.drafts import PARTIAL, is_draft, put_in_place, sync

_TABLES = "layers|matrix|weights|spectra|channels|maximal|responses|pictures|plane"
_SCORED = r"manifest\.json|predictions\.parquet|scores\.json|scores\.manifest\.json"
_PICTURES = (
    r"atelier\.json|labels\.csv|export\.json|pictures\.parquet|looks\.parquet|[^/]+/\d{5,7}\.\w+"
)
_DECODED = r"pixels\.u8|shapes\.npy"
_NAMES: dict[str, str] = {
    "dataset": rf"manifest\.json|(images|stamps|drawn)\.parquet|notes\.json|"
    rf"pictures/({_PICTURES})|decoded/[^/]+/({_DECODED})",
    "pictures": _PICTURES,  # that were painted, or written out of other files
    "decoded": _DECODED,
    "network": rf"{_SCORED}|weights\.safetensors|(history|lora|svm)\.parquet|"
    r"adapter/adapter_(model\.safetensors|config\.json)",
    "ensemble": _SCORED,
    "features": r"manifest\.json|(.+/)?zarr\.json|.+/c(/\d+)*",
    "comparison": rf"manifest\.json|({_TABLES})\.parquet",
    "causes": r"manifest\.json|(rewind|between|forgetting)\.parquet",
    "concepts": r"manifest\.json|(concepts|images)\.parquet",
    "gaze": r"manifest\.json|(pictures|tiles)\.parquet|sheet\.webp",
    "pairwise": r"manifest\.json|pairwise\.parquet",
    "probe": r"manifest\.json|probe\.parquet",
    "renderings": r"manifest\.json|renderings\.(parquet|manifest\.json)|"
    r"[^/]+/manifest\.json|([^/]+/)?\d+(-both|-only_after)?\.png",
    "thumbnails": r"manifest\.json|[0-9a-f]{24}\.jpg",
}
NAMES = {kind: re.compile(pattern) for kind, pattern in _NAMES.items()}
"""By the kind of an artefact that is a folder, the files that it may have."""

MOST = 2**28
"""Bytes of a manifest, of features with very many chunks too."""

KEYS = ("manifest.json", "atelier.json", "export.json")
"""Without it a folder is not whole: the last file that is written, and the first that goes."""

SYSTEM = re.compile(r"\.DS_Store|Thumbs\.db|desktop\.ini|\._.*", re.IGNORECASE)
"""What systems put into every folder that is looked at."""


def is_named(kind: str, name: str) -> bool:
    """Whether a file, by its path below the artefact, is one that artefacts of the kind have."""
    parts = name.split("/")
    if SYSTEM.fullmatch(parts[-1]) or any(
        is_draft(part) or PARTIAL.fullmatch(part) for part in parts
    ):
        return True
    return NAMES[kind].fullmatch(name) is not None


def is_link(path: Path | os.DirEntry[str]) -> bool:
    """Whether a path is a link, or what Windows has for one."""
    return path.is_symlink() or bool(getattr(path, "is_junction", bool)())


def refuse_link(path: Path) -> None:
    """Raises RecordError for a link in the place of a file or a folder of ours."""
    if is_link(path):
        raise RecordError(
            "link-in-folder",
            f"{path} is a link, and what it leads to may be somebody else's: nothing is written "
            "through it; remove the link, or move what it leads to into its place",
        )


def kind_of(folder: Path) -> str | None:
    """The kind of the artefact that a folder holds, as a file of ours in it says."""
    if (manifest := read_plain(folder / "manifest.json")) is not None:
        kind = str(manifest.get("kind"))
        return kind if {"key", "inputs", "settings"} <= manifest.keys() and kind in NAMES else None
    if any((folder / name).is_file() for name in ("atelier.json", "export.json")):
        return "pictures"
    return "decoded" if (folder / "shapes.npy").is_file() else None


def holds(folder: Path, kind: str) -> bool:
    """Whether a folder holds an artefact of a kind, as manifests of ours in it say."""
    if kind != "renderings":
        return kind_of(folder) == kind
    paths = [folder / "manifest.json", folder / "renderings.manifest.json"]
    paths += folder.glob("*/manifest.json")
    return any((read_plain(path) or {}).get("kind") == kind for path in paths)


def read_plain(path: Path) -> dict[str, Any] | None:
    """The mapping in a JSON file that is no link; None where there is none."""
    try:
        value = None if is_link(path) else json.loads(read_regular(path, MOST))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def files_below(folder: Path) -> Iterator[str]:
    """All that is no folder below one, links too, by path; no link is followed."""
    for place, folders, files in os.walk(folder):
        below = Path(place)
        links = [name for name in folders if is_link(below / name)]
        folders[:] = sorted(set(folders) - {*links})
        for name in sorted([*files, *links]):
            yield (below / name).relative_to(folder).as_posix()


def strangers(folder: Path, kind: str | None = None) -> list[str]:
    """What below a folder is not ours, by path: links, and files that its kind does not have.

    Of a folder without a kind everything is.
    """
    kind, present = kind or kind_of(folder), kind_of(folder)
    names = []
    for name in files_below(folder):
        another = name == "manifest.json" and present is None and _is_json(folder / name)
        if kind == "renderings" and name.endswith(".png"):
            another = not is_picture(folder / name)
        if kind is None or is_link(folder / name) or not is_named(kind, name) or another:
            names.append(name)
    return names


def _is_json(path: Path) -> bool:
    """Whether a manifest that is none of ours is whole: then it is not one that was cut off."""
    try:
        json.loads(read_regular(path, MOST))
    except (OSError, ValueError, RecursionError):
        return False
    return True


def refuse_strangers(folder: Path, kind: str) -> None:
    """Raises RecordError for a folder at the place of an artefact that holds something else.

    One that lost its manifest is taken for ours as long as it holds nothing that no artefact of the
    kind has.
    """
    refuse_link(folder)
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise RecordError("not-a-folder", f"{folder} is a file, where a folder is to be: move it")
    if holds(folder, kind):
        return
    names = strangers(folder, kind)
    if kind == "network" and not _is_of_safetensors(folder / "weights.safetensors"):
        names.append("weights.safetensors")
    group = read_plain(folder / "zarr.json") if kind == "features" else None
    if group is not None and "made_from" not in group.get("attributes", {}):
        names.append("zarr.json")
    if names:
        raise RecordError(
            "not-ours",
            f"{folder} holds {names[0]!r} and no manifest of overpaint's: nothing is written over "
            "it; move it away, or take another name in the study",
        )


def _is_of_safetensors(path: Path) -> bool:
    """Whether a file of weights is absent or such as we write: with no metadata in its header."""
    try:
        with open_regular(path, 2**50) as file:
            size = int.from_bytes(file.read(8), "little")
            return b'"__metadata__"' not in file.read(min(size, 4096))
    except OSError:
        return not path.exists()


def refuse_picture(path: Path) -> None:
    """Raises RecordError for a file in the place of a picture of ours that is another's.

    Ours say so, most of them at their beginning: also where the rest of one is lost.
    """
    refuse_link(path)
    if os.path.lexists(path) and not is_picture(path):
        raise RecordError(
            "not-ours",
            f"{path} is there and no picture of overpaint's: move it away, or give another folder",
        )


def is_picture(path: Path) -> bool:
    """Whether a file is a picture of ours, or empty: then nobody could miss it."""
    try:
        with open_regular(path, 2**50) as file:
            begin = file.read(4096)
            file.seek(max(file.seek(0, os.SEEK_END) - 4096, 0))
            end = file.read()
    except OSError:
        return False
    return SIGN in begin or SIGN in end or not begin


SIGN = b"overpaint\0"
"""What each picture of ours says of itself: before the text of a PNG, or as a comment."""


def refuse_checkpoint(path: Path) -> None:
    """Raises RecordError for a file in the place of a checkpoint that is none of ours."""
    if os.path.lexists(path) and not is_checkpoint(path):
        raise RecordError(
            "not-ours", f"{path} is there and no checkpoint of overpaint's: move it away"
        )


def is_checkpoint(path: Path) -> bool:
    """Whether a file is the state of a training, or the beginning of one."""
    try:
        with open_regular(path, 2**50) as file:
            begin = file.read(4096)
    except OSError:
        return False
    return not begin or all(sign in begin for sign in (b"data.pkl", b"key", b"state"))


def replace_folder(draft: Path, folder: Path) -> None:
    """Put a finished folder in the place of an earlier one; what in that is not ours stays.

    Of a folder that is no artefact nothing does: who asks for it has seen that it may go.
    """
    refuse_link(folder)
    kind, files = kind_of(folder) or kind_of(draft), list(files_below(draft))
    if kind is None or not folder.exists() or not strangers(folder, kind):
        put_in_place(draft, folder)
        return
    for name in files:
        refuse_link_within(folder, name)
        if (folder / name).is_dir():
            raise RecordError("not-ours", f"{folder / name} is a folder, where a file is to be")
    names = [name for name in files_below(folder) if is_named(kind, name)]
    for name in sorted(names, key=lambda name: name not in KEYS):  # from here on it is not whole
        if name in KEYS or (name not in files and not is_link(folder / name)):
            (folder / name).unlink()
    for name in sorted(files, key=lambda name: name in KEYS):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (draft / name).replace(folder / name)
        sync((folder / name).parent)


def refuse_link_within(folder: Path, name: str) -> None:
    """Raises RecordError where a file below a folder is a link, or lies below one."""
    path = folder
    for part in Path(name).parts:
        path = path / part
        refuse_link(path)


def remove_ours(folder: Path, kind: str | None = None) -> list[str]:
    """Remove what is ours of an artefact, and the folder if it is empty then; what has stayed.

    No link is followed. Of a folder without a kind nothing is removed.
    """
    kind = kind or kind_of(folder)
    if kind is None or is_link(folder):
        return list(files_below(folder))
    stays = set(strangers(folder, kind))
    names = [name for name in files_below(folder) if name not in stays]
    for name in sorted(names, key=lambda name: name not in KEYS):
        (folder / name).unlink()
    remove_empty(folder)
    return sorted(stays)


def remove_empty(folder: Path) -> None:
    """Remove a folder and those below it, as far as there is no file in them."""
    for place, _, _ in os.walk(folder, topdown=False):
        if not is_link(Path(place)) and not any(os.scandir(place)):
            Path(place).rmdir()
