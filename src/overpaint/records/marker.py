"""Whose a folder is: a study folder says in `overpaint.json` that it is one, and of which study.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as place:
...     take_folder(Path(place), "rasta")
...     study_of(Path(place))
'rasta'

Into a folder that holds other things nothing is written, nor through a link in the place of a
folder of ours.
"""

import os
from pathlib import Path

import yaml

from overpaint.errors import RecordError
from overpaint.files import read_regular
from overpaint.records.belongings import is_link, kind_of, read_plain, refuse_link
from overpaint.records.drafts import finished
from overpaint.records.files import write_json

MARKER = "overpaint.json"

MOST = 2**20
"""Bytes of a study."""

FOLDERS = ("datasets", "networks", "trainings", "ensembles", "features", "comparisons", "causes",
           "concepts", "gazes", "pairwise", "probes",
           "renderings", "thumbnails", "site", "exported", "logs")  # fmt: skip
"""The folders of a study folder."""

FILES = (
    *("study.yaml", "failures.json", "repeats.json", "repeats.manifest.json", "findings.json"),
    *("findings.manifest.json", "advice.parquet", "advice.manifest.json"),
    *("site.json", "site.manifest.json", "site.files", MARKER),
)
"""The files of a study folder beside its folders."""

DEPTH = 3
"""Floors below a study folder that are looked through for links; below are single features,
painted pictures and the pages of the site, which are looked at where they are written."""


def take_folder(root: Path, study: str, *, of_any_study: bool = False) -> None:
    """Have a folder for a study, marked as such; RecordErrors as `check_folder`."""
    check_folder(root, None if of_any_study else study)
    if read_plain(root / MARKER) is None or study_of(root) != study:
        write_json(root / MARKER, {"holds": "a study folder of overpaint", "study": study})


def check_folder(root: Path, study: str | None = None) -> None:
    """Raises RecordError for a folder that is not a study's, or not this one's; writes nothing.

    A folder that is new or empty is whoever's asks for it.
    """
    if not os.path.lexists(root):
        return
    if not root.is_dir():
        raise RecordError("not-a-folder", f"{root} is no folder: give one, new or empty")
    name = study_of(root)
    if name is None:
        with os.scandir(root) as entries:
            # a mark that was begun and not ended is nobody else's, nor is a lock
            names = sorted(
                entry.name for entry in entries if not entry.name.startswith(".overpaint")
            )
        if names:
            raise RecordError(
                "folder-not-empty",
                f"{root} holds other things, as {names[0]!r}, and no {MARKER} that says that it is "
                "a study folder: nothing was written; give a new folder, or an empty one",
            )
    if study is not None and name not in (None, "", study):
        raise RecordError(
            "another-study",
            f"{root} is the folder of the study {name!r}, and this is {study!r}: give another "
            f"folder; or, if the study was renamed, write its new name into {root / MARKER}",
        )
    refuse_links(root)


def study_of(root: Path) -> str | None:
    """The study that a folder is of; None of a folder that is no study's.

    One from before there were marks is known by the study in it, as a run writes it down, or by
    artefacts; of one that was only advised on, the name is "".
    """
    marked = read_plain(root / MARKER)
    if marked is not None and isinstance(marked.get("study"), str):
        return str(marked["study"])
    artefacts = any(
        kind_of(path.parent) == kind
        for kind, folder in (("dataset", "datasets"), ("network", "networks"))
        for path in finished(root, f"{folder}/*/manifest.json")
    )
    try:
        text = read_regular(root / "study.yaml", MOST).decode()
        study = yaml.safe_load(text)
        name, _ = str(study["study"]), study["networks"].items()
        dumped = yaml.safe_dump(study, sort_keys=False, allow_unicode=True)
    except FileNotFoundError:
        advised = read_plain(root / "advice.manifest.json") or {}
        return "" if artefacts and advised.get("kind") == "advice" else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    except yaml.YAMLError:
        return None
    return name if artefacts or (dumped == text and "maximal_images" in study) else None


def refuse_links(root: Path) -> None:
    """Raises RecordError for a link in a place of ours, and for a file in that of a folder."""
    for name in FILES:
        refuse_link(root / name)
        if (root / name).is_dir():
            raise RecordError("not-ours", f"{root / name} is a folder, where a file is to be")
    for name in FOLDERS:
        refuse_link(root / name)
        if os.path.lexists(root / name) and not (root / name).is_dir():
            raise RecordError("not-a-folder", f"{root / name} is a file, where a folder is to be")
    # trackers have links of their own in their logs
    floor = [
        root / name for name in FOLDERS if name not in ("site", "logs") and (root / name).is_dir()
    ]
    for depth in range(DEPTH):
        below: list[Path] = []
        for folder in floor:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if is_link(entry):
                        refuse_link(Path(entry.path))
                    if depth < DEPTH - 1 and entry.is_dir(follow_symlinks=False):
                        below.append(Path(entry.path))
        floor = below
