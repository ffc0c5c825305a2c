"""Artefacts: what each was made from, and whether what lies in the folder is still right."""

import importlib.metadata
import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overpaint.errors import RecordError
from overpaint.records.files import digest, read_json


@dataclass(frozen=True)
class Manifest:
    """What an artefact was made from; no clock in it, so that equal work gives equal bytes.

    An artefact is fresh when `key`, the digest of inputs, settings and seed, is what it would be
    made with now.
    """

    kind: str
    key: str
    inputs: dict[str, str]  # name -> digest
    settings: dict[str, Any]
    seed: int
    versions: dict[str, str]
    hardware: str
    facts: dict[str, Any]  # what else the artefact says of itself


def manifest(
    kind: str,
    *,
    inputs: dict[str, str],
    settings: dict[str, Any],
    seed: int,
    facts: dict[str, Any] | None = None,
    hardware: str = "",
) -> Manifest:
    """The manifest of an artefact made here and now.

    >>> a = manifest("features", inputs={"network": "12ab"}, settings={"layers": ["x"]}, seed=0)
    >>> b = manifest("features", inputs={"network": "12ab"}, settings={"layers": ["y"]}, seed=0)
    >>> a.key == b.key
    False
    """
    key = digest({"kind": kind, "inputs": inputs, "settings": settings, "seed": seed})
    place = hardware or f"{platform.machine()}, {os.cpu_count()} cores"
    return Manifest(kind, key, inputs, settings, seed, versions(), place, facts or {})


VERSIONED = ("overpaint", "torch", "torchvision", "timm", "numpy", "pillow")


def versions() -> dict[str, str]:
    """The versions of what computes the numbers, as far as it is installed."""
    installed = {}
    for name in VERSIONED:
        with suppress(importlib.metadata.PackageNotFoundError):
            installed[name] = importlib.metadata.version(name)
    return installed


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an artefact's folder; a RecordError when there is none."""
    data = read_json(folder / "manifest.json")
    try:
        return Manifest(**data)
    except TypeError:
        raise RecordError(
            "not-a-manifest", f"{folder / 'manifest.json'} is no manifest of overpaint"
        ) from None


def fresh(folder: Path, wanted: Manifest) -> bool:
    """Whether the folder already holds what this manifest would make."""
    try:
        return read_manifest(folder).key == wanted.key
    except RecordError:
        return False
