"""Artefacts: what each was made from, and the one way to keep it.

An artefact is a folder with `manifest.json` in it, or a file with its manifest beside it
(`scores.json` and `scores.manifest.json`). Whether it is done already is decided here and nowhere
else: `reasons_to_make` compares the manifest that lies there with the one that the artefact would
have now; a run makes it where they differ (`run.workspace.Workspace.keep`).

>>> wanted = manifest("features", inputs={"network": "12ab"}, settings={"layers": ["x"]}, seed=0)
>>> differences(wanted, manifest("features", inputs={}, settings={"layers": ["y"]}, seed=0))
['no network among what it was made from', "layers is ['x'], was ['y']"]
"""

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from overpaint.errors import RecordError
from overpaint.records.contents import (
    Damage,
    changed_at,
    contents,
    damages,
    is_file,
    lie_below,
    unfinished,
)
from overpaint.records.files import digest, read_json, write_json

VERSIONS: dict[str, int] = {
    "dataset": 1,
    "network": 1,
    "features": 1,
    "comparison": 6,
    "causes": 1,
    "concepts": 1,
    "gaze": 1,
    "pairwise": 1,
    "probe": 1,
    "scores": 3,
    "ensemble": 1,
    "repeats": 1,
    "findings": 4,
    "renderings": 1,
    "thumbnails": 1,
    "advice": 2,
    "site": 1,
}
"""The version of each kind of artefact. Raise it when the kind is made in another way or holds
something else, so that a folder that exists has it made again; what is made from it follows, where
it came out other than it was."""


@dataclass(frozen=True)
class Manifest:
    """What an artefact was made from; no clock in it, so that equal work gives equal bytes.

    `settings` are the effective ones, whole, for readers; those that stand at their `defaults` do
    not count for `key`, so that a field that is added with a neutral default changes no key.
    """

    kind: str
    key: str  # digest of kind, version, inputs, seed and the settings that are no default
    inputs: dict[str, str]  # name -> digest
    settings: dict[str, Any]
    seed: int
    versions: dict[str, str]  # of the libraries that compute the numbers
    hardware: str
    facts: dict[str, Any]  # what else the artefact says of itself: see `facts`
    device: str = ""  # what networks ran on, and in which precision; of what needed none, nothing
    version: int | None = None  # of its kind: see VERSIONS; None in folders from before there were
    files: dict[str, str] | None = None  # name -> "bytes SHA-256"; None from before there were any
    seal: str = field(default="", compare=False)  # the digest of all the rest
    defaults: dict[str, Any] = field(default_factory=dict, compare=False)  # not written
    is_sealed: bool = field(default=True, compare=False)  # whether the seal is right; not written


def manifest(
    kind: str,
    *,
    inputs: dict[str, str],
    settings: dict[str, Any],
    seed: int,
    defaults: dict[str, Any] | None = None,
    facts: object = None,
) -> Manifest:
    """The manifest of an artefact made here and now. `facts` are a row of `records.facts`.

    >>> plain = manifest("features", inputs={}, settings={"layers": ["x"]}, seed=0)
    >>> grown = manifest("features", inputs={}, settings={"layers": ["x"], "new": None}, seed=0,
    ...                  defaults={"new": None})
    >>> grown.key == plain.key, grown.settings
    (True, {'layers': ['x'], 'new': None})
    """
    neutral = defaults or {}
    counting = {
        "kind": kind,
        "version": VERSIONS[kind],
        "inputs": inputs,
        "settings": without_defaults(settings, neutral),
        "seed": seed,
    }
    return Manifest(
        kind=kind,
        key=digest(counting),
        inputs=inputs,
        settings=settings,
        seed=seed,
        versions=versions(),
        hardware=f"{platform.machine()}, {os.cpu_count()} cores",
        facts=_plain(facts),
        version=VERSIONS[kind],
        defaults=neutral,
    )


def with_facts(wanted: Manifest, facts: object, *, device: str | None = None) -> Manifest:
    """A manifest that tells these facts, a row of `records.facts`, and maybe a device."""
    return replace(wanted, facts=_plain(facts), device=wanted.device if device is None else device)


def _plain(facts: object) -> dict[str, Any]:
    """Facts as they are written: a row as a dictionary; a dictionary as it is."""
    if facts is None:
        return {}
    return asdict(facts) if hasattr(facts, "__dataclass_fields__") else dict(facts)  # type: ignore[call-overload]


def without_defaults(settings: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that differ from their defaults, at any depth.

    >>> without_defaults({"recipe": {"epochs": 5, "flip": False}, "load": None},
    ...                  {"recipe": {"epochs": 20, "flip": False}, "load": None})
    {'recipe': {'epochs': 5}}
    """
    counting = {}
    for name, value in settings.items():
        neutral = defaults.get(name)
        if isinstance(value, Mapping) and isinstance(neutral, Mapping):
            counting[name] = without_defaults(value, neutral)
        elif name not in defaults or not _same(value, neutral):
            counting[name] = value
    return counting


def defaults_of(entry: type[BaseModel]) -> dict[str, Any]:
    """The defaults of an entry's fields, as settings."""
    fields = entry.model_fields
    return {name: field.default for name, field in fields.items() if not field.is_required()}


def _same(first: object, second: object) -> bool:
    """Whether two settings are equal once both are JSON, where a tuple is a list."""
    return first == second or json.dumps(first, default=str) == json.dumps(second, default=str)


VERSIONED = ("overpaint", "torch", "torchvision", "timm", "numpy", "pillow")


def versions() -> dict[str, str]:
    """The versions of what computes the numbers, as far as it is installed."""
    present = {}
    for name in VERSIONED:
        try:
            present[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # whoever only reads and reports has no torch
    return present


# --- where it lies -------------------------------------------------------------------------------


def manifest_path(place: Path) -> Path:
    """Where the manifest of an artefact lies: in its folder, or beside its file.

    >>> manifest_path(Path("networks/tuned/scores.json")).as_posix()
    'networks/tuned/scores.manifest.json'
    """
    if is_file(place):
        return place.with_suffix(".manifest.json")
    return place / "manifest.json"


def read_manifest(place: Path) -> Manifest:
    """The manifest of an artefact; a RecordError when there is none."""
    path = manifest_path(place)
    data = read_json(path)
    try:
        read = Manifest(**data)
    except TypeError:
        raise RecordError("not-a-manifest", f"{path} is no manifest of overpaint") from None
    texts = [read.kind, read.key, read.hardware, read.device, read.seal]
    tables = [read.facts, read.versions, read.inputs, read.settings]
    if (
        not all(isinstance(value, str) for value in texts)
        or not all(isinstance(value, dict) for value in tables)
        or not all(
            isinstance(text, str) for text in [*read.inputs.values(), *read.versions.values()]
        )
        or type(read.seed) is not int
    ):
        raise RecordError("not-a-manifest", f"{path} does not hold what a manifest does")
    # one from before there were digests has no seal
    is_sealed = read.seal == _seal(data) if read.seal or read.files is not None else True
    return replace(read, is_sealed=is_sealed)


def write_manifest(place: Path, made: Manifest) -> None:
    """Write the manifest of an artefact: the last thing of it, and only when it is whole.

    It takes the digests of the files that are there. Those of the manifest that it replaces hold
    for what was not written since.
    """
    path, earlier = manifest_path(place), None
    with suppress(RecordError):
        earlier = read_manifest(place)
    since = changed_at(path) if earlier else 0
    files = contents(place, made.kind, earlier.files if earlier else None, since)
    data = json.loads(json.dumps(asdict(replace(made, files=files)), allow_nan=False))
    del data["defaults"], data["is_sealed"]
    write_json(path, data | {"seal": _seal(data)})


def _seal(data: Mapping[str, Any]) -> str:
    return digest({name: value for name, value in data.items() if name != "seal"})


# --- whether it is whole --------------------------------------------------------------------------


def damages_of(place: Path, *, read: bool = False, settle: bool = False) -> list[Damage]:
    """What of an artefact that has a manifest is not as it was made: files that are lost, cut or
    changed, and the manifest itself.

    Bytes are read of files that are newer than the manifest, or of all with `read`; with `settle`
    what turns out to be the same is not read again the next time. Of an artefact from before there
    were digests it is seen whether its files end as they should. Raises RecordError where there is
    no manifest.
    """
    path, present = manifest_path(place), read_manifest(place)
    files = present.files
    if not present.is_sealed or not (
        files is None or (isinstance(files, dict) and lie_below(files))
    ):
        return [Damage(name=path.name, state="changed", text="was changed after it was written")]
    if files is None:
        trained = present.kind == "network" and bool(present.facts.get("dataset"))
        return unfinished(place, present.kind, ("predictions.parquet",) if trained else ())
    since = None if read else changed_at(path)
    return damages(path.parent, files, since=since, settle=path if settle else None)


# --- whether it is as wanted ---------------------------------------------------------------------


def reasons_to_make(place: Path, wanted: Manifest) -> list[str]:
    """Why an artefact must be made, in words; nothing where what lies there is as wanted."""
    if place != manifest_path(place).parent and not place.exists():
        return ["it is not there"]
    try:
        present = read_manifest(place)
    except RecordError as error:
        if error.slug != "missing-record":
            return [str(error)]
        return ["it has no manifest" if place.exists() else "it is not there"]
    return differences(wanted, present)


def differences(wanted: Manifest, present: Manifest) -> list[str]:
    """What of a manifest is not as wanted, in words.

    A manifest from before kinds had versions counts as version 1, and is compared field by field,
    its settings without their defaults: what it tells of may be as good as new.
    """
    if present.key == wanted.key:
        return []
    if (present.version or 1) != wanted.version:
        return [f"{wanted.kind} is of version {wanted.version}, was {present.version or 1}"]
    reasons = []
    for name in dict.fromkeys([*wanted.inputs, *present.inputs]):
        now, before = wanted.inputs.get(name), present.inputs.get(name)
        if now == before:
            continue
        if now is None:
            reasons.append(f"{name} is no longer among what it is made from")
        elif before is None and now != PENDING:
            reasons.append(f"no {name} among what it was made from")
        else:
            reasons.append(f"{name} {PENDING if now == PENDING else 'is another'}")
    reasons += _changed_settings(
        without_defaults(wanted.settings, wanted.defaults),
        without_defaults(present.settings, wanted.defaults),
    )
    if present.seed != wanted.seed:
        reasons.append(f"seed is {wanted.seed}, was {present.seed}")
    if not reasons and present.version is not None:
        reasons.append("its key is not that of what it tells")
    return reasons


PENDING = "is to be made"
"""Stands for what a dry run would make, its digest or what it will tell of itself: it cannot be
known before.
"""


def _changed_settings(now: Mapping[str, Any], before: Mapping[str, Any], at: str = "") -> list[str]:
    reasons = []
    for name in dict.fromkeys([*now, *before]):
        new, old, place = now.get(name), before.get(name), _as_written(f"{at}{name}")
        if new == PENDING:
            continue  # what it is of is among the inputs
        if isinstance(new, Mapping) and isinstance(old, Mapping):
            reasons += _changed_settings(new, old, f"{at}{name}.")
        elif name not in before:
            reasons.append(f"{place} is {new!r}, was at its default")
        elif name not in now:
            reasons.append(f"{place} is at its default, was {old!r}")
        elif not _same(new, old):
            reasons.append(f"{place} is {new!r}, was {old!r}")
    return reasons


def _as_written(place: str) -> str:
    """A setting as a study writes it, of findings, which are made from whole networks.

    >>> _as_written("networks.networks.tuned.overrides.epochs"), _as_written("recipe.epochs")
    ('networks.tuned.with.epochs', 'recipe.epochs')
    """
    above = "networks.networks."
    if not place.startswith(above):
        return place
    name, *fields = place.removeprefix(above).split(".")
    written = {"overrides": "with", "parent": "from"}
    return ".".join(["networks", name, *(written.get(field, field) for field in fields)])
