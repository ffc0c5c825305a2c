"""Extents: how many pictures a study has, and how large its networks are, before they are there.

What cannot be known before, as of a network that cannot be had, is left out.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from overpaint.datasets.atelier import AtelierEntry
from overpaint.datasets.atelier.tasks import SIZES
from overpaint.datasets.doctor import remembered
from overpaint.datasets.entry import Surroundings
from overpaint.defaults import SPLITS
from overpaint.errors import OverpaintError, RecordError
from overpaint.records import NetworkFacts, facts_of, read_manifest
from overpaint.run.starts import start_of
from overpaint.run.workspace import Workspace
from overpaint.study.code import is_code

if TYPE_CHECKING:
    from overpaint.networks import Network


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How large a network is, as far as that is known before it is made."""

    parameters: int
    channels: dict[str, int]  # by layer
    resize: int  # the shorter side of the pictures that it is given


def pictures_of(work: Workspace, name: str) -> dict[str, int]:
    """How many pictures each split of a dataset has; of one that is not there as many as are
    published, 0 where that cannot be known.
    """
    entry = work.study.datasets[name]
    if name in work.datasets:
        return {
            split: len(work.split(name, split)) if split in work.datasets[name].split_names else 0
            for split in SPLITS
        }
    if isinstance(entry, AtelierEntry):
        return SIZES[entry.task] | dict((entry.sizes or {}).items())
    place = work.folder.dataset(name)
    if entry.writes_out:
        rows = remembered(place).values() if place.exists() else ()
        by_split = Counter(row.split for _, row in rows)
        return {split: by_split[split] for split in SPLITS}
    try:
        pictures = entry.read(
            Surroundings(base=work.study.base, pictures=Path(), seed=work.study.seed)
        ).pictures
    except (OverpaintError, OSError):
        return {split: entry.published.get(split, 0) for split in SPLITS}
    by_split = Counter(picture.split for picture in pictures)
    return {split: by_split[split] or len(pictures) // 3 for split in SPLITS}


def extents_of(work: Workspace) -> dict[str, Extent]:
    """The extents of the networks, by name, found once a run; a child is as large as its parent."""
    extents: dict[str, Extent] = work.extents
    for name, entry in work.study.all_networks.items():
        if name in extents:
            continue
        place = work.folder.network(name)
        if entry.load and not lies_at(place):
            place = work.study.path(Path(entry.load))  # of another study
        facts = None
        with suppress(RecordError):  # of one that is damaged, and will be made anew
            facts = facts_of(read_manifest(place), NetworkFacts)
        if facts is not None:
            resize = facts.preprocessing.resize if facts.preprocessing else 224
            channels = facts.channels or {}
            extents[name] = Extent(
                parameters=facts.parameters or 0, channels=channels, resize=resize
            )
        elif entry.parent in extents:
            extents[name] = extents[entry.parent]
        elif entry.load and (network := _begun(work, name)):
            from overpaint.networks.taps import channels_of

            extents[name] = Extent(
                parameters=network.parameters_in_all,
                channels=channels_of(network, network.layers),
                resize=network.preprocessing.resize,
            )
    return extents


def _begun(work: Workspace, name: str) -> "Network | None":
    """A network to begin with, which the run then has; in a dry run, one of its architecture."""
    source = str(work.study.all_networks[name].load)
    try:
        from overpaint.networks import load

        if not work.dry:
            work.started[name] = start_of(work, name)
            return work.started[name]
        if source.startswith("timm:hf-hub:") or (is_code(source) and work.code is None):
            return None  # which would have to be downloaded, or run
        return load(source, weights="random", seed=0, code=work.code)
    except (OverpaintError, ImportError):
        return None  # what is wrong is told where it is made


def lies_at(place: Path) -> bool:
    """Whether an artefact lies at a place, be it to be made anew."""
    return (place / "manifest.json").is_file()
