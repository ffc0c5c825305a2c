"""Verification: the bytes of all artefacts of a study folder, against what their manifests tell."""

import re
from collections.abc import Iterator
from pathlib import Path

from overpaint.errors import RecordError
from overpaint.records.artefacts import Manifest, damages_of, manifest_path, read_manifest
from overpaint.records.contents import (
    Damage,
    changed_at,
    damages,
    files_below,
    is_file,
    lie_below,
)
from overpaint.records.drafts import finished
from overpaint.records.files import file_digest, read_json, read_rows
from overpaint.records.folder import StudyFolder
from overpaint.records.rows import ImageRow

PLACES = (
    *("datasets/*", "networks/*", "networks/*/scores.json", "ensembles/*"),
    *("ensembles/*/scores.json", "features/*/*.zarr", "comparisons/*", "causes/*"),
    *("thumbnails/*", "renderings/*", "renderings/*/*", "renderings/*/renderings.parquet"),
    *("concepts/*", "gazes/*", "pairwise/*", "probes/*/*"),
    *("repeats.json", "findings.json", "advice.parquet", "site.json"),
)
"""Where artefacts lie."""

BESIDE = re.compile(
    r"(overpaint|site)\.json|study\.yaml|failures\.json|site\.files|(trainings|logs|exported|site)/.+"
    r"|datasets/[^/]+/(stamps\.parquet|notes\.json|decoded/.+|pictures/.+)"
)
"""What of ours is no artefact, or is looked after elsewhere."""


def verify_folder(folder: StudyFolder, *, read: bool = True) -> list[Damage]:
    """What of a study folder is lost, cut off, changed or foreign, by its path in the folder.

    All bytes are read; or, without `read`, those of files that are newer than their manifests.
    Raises RecordError where there is no study folder.
    """
    root = folder.root
    places = [
        path.parent / pattern.name if is_file(pattern) else path.parent
        for pattern in map(Path, PLACES)
        for path in finished(root, manifest_path(pattern).as_posix())
    ]
    if not places and not folder.study.is_file():
        raise RecordError(
            "missing-record", f"{root} is no study folder: give the one that a run of a study left"
        )
    damaged: list[Damage] = []
    ours: set[str] = set()
    for place in dict.fromkeys(places):
        path = manifest_path(place)
        at = path.parent.relative_to(root).as_posix()
        prefix = "" if at == "." else f"{at}/"
        ours.add(f"{prefix}{path.name}")
        try:
            present = read_manifest(place)
            found = damages_of(place, read=read)
        except RecordError:
            found = [Damage(name=path.name, state="cut", text="cannot be read")]
            ours |= {f"{prefix}{name}" for name in _unlisted(place)}
        else:
            names = present.files if isinstance(present.files, dict) else _unlisted(place)
            ours |= {f"{prefix}{name}" for name in names}
        found += _pictures(place) if read and place.parent.name == "datasets" else []
        damaged += [Damage(name=f"{prefix}{damage.name}", state=damage.state, text=damage.text)
                    for damage in found]  # fmt: skip
    damaged += [
        Damage(name=f"site/{damage.name}", state=damage.state, text=damage.text)
        for damage in damages_of_site(folder, read=read)
    ]
    damaged += _against_the_report(folder, {damage.name for damage in damaged})
    damaged += [
        Damage(name=name, state="foreign", text="is of no artefact")
        for name in sorted(_names(root))
        if name not in ours and not BESIDE.fullmatch(name)
    ]
    return damaged


def damages_of_site(
    folder: StudyFolder, *, read: bool = False, settle: bool = False
) -> list[Damage]:
    """The files of the report that are not as the last build left them; none before there is one.

    As `damages_of`; what a build was made from stands in a file beside the site, with the digests.
    """
    state = folder.site_state
    try:
        files = read_json(state).get("files", {})
    except (RecordError, AttributeError):
        files = {}
    if not files or not lie_below(files):
        return []
    since = None if read else changed_at(state)
    return damages(folder.site, files, since=since, settle=state if settle else None)


def _unlisted(place: Path) -> list[str]:
    """The files of an artefact whose manifest does not tell of any."""
    if is_file(place):
        return [place.name]
    return [path[len(str(place)) + 1 :] for path in files_below(str(place))]


def _names(root: Path) -> Iterator[str]:
    for path in files_below(str(root)):
        yield Path(path).relative_to(root).as_posix()


def _pictures(place: Path) -> list[Damage]:
    """The pictures that were written out for a dataset and are not those that were looked at."""
    pictures = place / "pictures"
    if not pictures.is_dir() or (pictures / "looks.parquet").is_file():
        return []
    try:
        rows = read_rows(place / "images.parquet", ImageRow)
    except RecordError:
        return []  # which is told already
    damaged = []
    for row in rows:
        name = f"pictures/{row.image}"
        try:
            if file_digest(pictures / row.image) != row.digest:
                text = "was changed after it was made"
                damaged.append(Damage(name=name, state="changed", text=text))
        except OSError:
            damaged.append(Damage(name=name, state="lost", text="is lost"))
    return damaged


def _against_the_report(folder: StudyFolder, told: set[str]) -> list[Damage]:
    """What the report was made from and what is gone since, or is another without a manifest."""
    try:
        made: Manifest = read_manifest(folder.site_state)
    except RecordError:
        return []
    damaged = []
    for name, digest in made.inputs.items():
        path = folder.root / name
        if name == "program" or name in told or ".." in path.parts:
            continue
        if not path.is_file():
            damaged.append(Damage(name=name, state="lost", text="is lost"))
        elif name in ("study.yaml", "failures.json") and file_digest(path) != digest:
            text = "is another than the report was made from"
            damaged.append(Damage(name=name, state="changed", text=text))
    return damaged
