"""What the networks of a study begin with: a parent, published weights, a file, or a seed."""

import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from overpaint.cache import SOURCES, published, weights_file
from overpaint.errors import NetworkError, RecordError
from overpaint.records import (
    PENDING,
    NetworkFacts,
    digest,
    facts_of,
    file_digest,
    read_manifest,
)
from overpaint.run.workspace import Workspace
from overpaint.study import NetworkEntry
from overpaint.study.code import MADE_IN_PYTHON, is_code

if TYPE_CHECKING:
    from overpaint.networks import Network


def start_of(work: Workspace, name: str) -> "Network":
    """The network that a node begins with: its parent, or what it loads."""
    from overpaint.networks import load
    from overpaint.seeds import seed_for

    entry = work.study.all_networks[name]
    if entry.parent:
        return work.opened(entry.parent)
    if name in work.started:
        return work.started.pop(name)
    assert entry.load is not None
    folder = work.study.path(Path(entry.load))
    source = str(folder) if (folder / "manifest.json").is_file() else _placed(work, entry.load)
    weights = "random" if entry.draws_everything else _named_weights(work, entry)
    if source.startswith(MADE_IN_PYTHON):
        raise NetworkError(
            "no-code", f"network {name!r} was made in Python, and cannot be made from its study"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "weights ")  # it is said in the run's own way
        seed = seed_for(work.study.seed_of(name), "start", name)
        network = load(source, weights=weights, seed=seed, code=work.code)
    if network.remark:
        work.progress.say(f"  weights of {name}: {network.remark}")
    return network


def _placed(work: Workspace, name: str) -> str:
    """A name to load; a folder of timm's is named from where the study's file lies."""
    kind = "timm:local-dir:"
    if not name.startswith(kind):
        return name
    return f"{kind}{work.study.path(Path(name.removeprefix(kind)))}"


def _named_weights(work: Workspace, entry: NetworkEntry) -> Path | None:
    """The file of a loaded network's weights, as far as the study names it."""
    if entry.weights in (None, "random"):
        return None
    path = work.study.path(Path(str(entry.weights)))
    if not path.exists():
        raise NetworkError("no-weights", f"there is no file of weights {path}")
    return path


def loaded_digest(work: Workspace, name: str, entry: NetworkEntry) -> str | None:
    """The digest of the file that a loaded network's weights come from; None for random ones,
    and for those that timm and torchvision keep in places of their own.
    """
    if entry.draws_everything:
        return None
    folder = work.study.path(Path(str(entry.load)))
    if not is_code(str(entry.load)) and (folder / "manifest.json").is_file():  # of another study
        return facts_of(read_manifest(folder), NetworkFacts).weights
    file = _named_weights(work, entry) or weights_file(_placed(work, str(entry.load)))
    if file is None and entry.load in SOURCES:
        place = work.folder.network(name)
        with suppress(RecordError):  # loaded before; the file may be gone since
            return read_manifest(place).inputs.get("weights")
        # a dry run downloads nothing
        return PENDING if work.dry else file_digest(published(entry.load))
    if file is not None and file.is_dir():  # as Hugging Face writes one
        parts = sorted(part for part in file.glob("*model*") if part.is_file())
        return digest([file_digest(part) for part in parts])
    return file_digest(file) if file else None
