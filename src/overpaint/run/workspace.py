"""Workspace: what the steps of one run share, and the one way in which they keep an artefact."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overpaint.datasets import Dataset, Split
from overpaint.errors import OverpaintError, RecordError
from overpaint.processes import Processes
from overpaint.progress import Progressing
from overpaint.records import (
    PENDING,
    Damage,
    Manifest,
    NetworkFacts,
    StudyFolder,
    damages_of,
    facts_of,
    file_digest,
    manifest_path,
    read_manifest,
    reasons_to_make,
    write_manifest,
)
from overpaint.records.drafts import sweep
from overpaint.records.lock import held
from overpaint.study import Study

if TYPE_CHECKING:  # torch is imported by the steps that have work to do
    from overpaint.networks import Network

PIECEMEAL = ("features", "renderings", "thumbnails")
"""Folders of artefacts that are made where they lie, and have their manifest at last."""

NAMED = 5
"""Files that are named where an artefact is no longer whole; the others are counted."""


@contextmanager
def alone_in(work: "Workspace", what: str = "overpaint run") -> Iterator[None]:
    """Hold a study's folder, without what those have left there that were killed."""
    root = work.folder.root
    with held(root, what, say=work.progress.say):
        sweep(root, alone=True, leave=[work.folder.site, root / "logs"])
        for lock in (*root.glob("features/.claims/*/*.lock"), *root.glob("trainings/.claims/*")):
            lock.unlink(missing_ok=True)  # of parts that nobody is at any more
        yield


@dataclass
class Workspace:
    """A study, its folder, and what this run has opened and what has failed so far.

    With `explain` the run says of each artefact whether it is kept or made, and why; with `dry` it
    says so and makes nothing.
    """

    study: Study
    folder: StudyFolder
    progress: Progressing
    trackers: tuple[str, ...] = ()
    explain: bool = False
    dry: bool = False
    verify: bool = False  # whether all bytes are read, and not only sizes and times looked at
    allow_code: bool = False  # whether code that the study names may be run
    processes: Processes = field(default_factory=lambda: Processes(rank=0, count=1))
    datasets: dict[str, Dataset] = field(default_factory=dict)
    split_digests: dict[str, dict[str, str]] = field(default_factory=dict)  # dataset -> split -> …
    group_digests: dict[str, dict[str, str]] = field(default_factory=dict)  # of splits with groups
    networks: dict[str, "Network"] = field(default_factory=dict)
    started: dict[str, "Network"] = field(default_factory=dict)  # loaded, and not used yet
    failed: dict[str, OverpaintError] = field(default_factory=dict)  # network -> why
    extents: dict[str, Any] = field(default_factory=dict)  # how large networks are
    drawing: Any = None  # what all renderings share: a Drawing of theirs, once there is one
    pending: set[Path] = field(default_factory=set)  # what a dry run would have made
    explained: set[Path] = field(default_factory=set)  # what was told of already
    looks: dict[Path, list[Damage]] = field(default_factory=dict)  # what was found of files

    def keep(
        self, place: Path, wanted: Manifest, make: Callable[[], None], beside: Iterable[Path] = ()
    ) -> None:
        """Have an artefact: what lies at `place` if it is as wanted, else what `make` makes.

        `make` writes it with its manifest, the last thing of it. `beside` names other places that
        the same making fills, with the same manifest.
        """
        if self.must_make(place, wanted, beside=beside):
            make()
            if self.progress.plan:
                self.progress.plan.end()

    def must_make(
        self,
        place: Path,
        wanted: Manifest,
        lacking: Sequence[str] = (),
        beside: Iterable[Path] = (),
    ) -> bool:
        """Whether an artefact is to be made now: never in a dry run, which only says why.

        For what is made together with others; `lacking` are reasons that no manifest tells. Files
        that are not as they were made are removed before they are made anew, and that is said.
        """
        damaged = [(place, damage) for damage in self.damages(place)]
        reasons = [*reasons_to_make(place, wanted), *lacking]
        for other in beside:
            damaged += [(other, damage) for damage in self.damages(other)]
            reasons = reasons or [
                f"{reason} ({other.name})" for reason in reasons_to_make(other, wanted)
            ]
        causes = [str(damage) if at == place else f"{damage} ({at.name})" for at, damage in damaged]
        causes = [] if reasons == ["it is not there"] else causes
        reasons += causes[:NAMED] + (
            [f"and {len(causes) - NAMED} more files"] if len(causes) > NAMED else []
        )
        if self.explain and place not in self.explained:
            self.explained.add(place)
            address = place.relative_to(self.folder.root).as_posix()
            verb = "kept" if not reasons else "to make" if self.dry else "made"
            why = f": {'; '.join(reasons)}" if reasons else ""
            self.progress.say(f"{verb}  {address}{why}")
        elif not self.dry and (damaged or self._has_lost_its_manifest(place)):
            address = place.relative_to(self.folder.root).as_posix()
            self.progress.say(f"{address}: {'; '.join(reasons)}: made anew")
        if reasons and self.dry:
            self.pending.add(place)
        elif reasons:
            if self.progress.plan and place.name != "scores.json":  # which are of a network
                self.progress.plan.begin(place.relative_to(self.folder.root).parts[0])
            for at, damage in damaged:
                path = manifest_path(at).parent / damage.name
                if not path.is_dir():
                    path.unlink(missing_ok=True)
            for at in (place, *beside):
                self.looks.pop(at, None)
        return bool(reasons) and not self.dry

    def _has_lost_its_manifest(self, place: Path) -> bool:
        """Whether there is an artefact without a manifest that can be read.

        Of what is made piece by piece that is nothing to speak of: a run was cut off in between.
        Nor is it of the report: it has none as long as only `overpaint report` has written it.
        """
        path = manifest_path(place)
        if path.exists():
            return not self.is_there(place)
        kind = place.relative_to(self.folder.root).parts[0]
        if kind == "datasets":  # what is looked at lies there before there is anything to tell of
            return (place / "images.parquet").exists()
        return place.exists() and kind not in (*PIECEMEAL, "site.json")

    def damages(self, place: Path) -> list[Damage]:
        """What of an artefact's files is not as it was made; looked at once a run."""
        if place not in self.looks:
            try:
                damaged = damages_of(place, read=self.verify, settle=not self.dry)
                present = read_manifest(place)
                if present.files is None and not damaged and not self.dry:
                    write_manifest(place, present)  # which was from before there were digests
            except RecordError:
                return []  # it has no manifest, which is a reason of its own
            self.looks[place] = damaged
        return self.looks[place]

    def reasons(self, place: Path, wanted: Manifest) -> list[str]:
        """Why an artefact has to be made: it is another's, or no longer whole."""
        return [*reasons_to_make(place, wanted), *map(str, self.damages(place))]

    # --- what artefacts are made from ---------------------------------------------------------

    def split(self, dataset: str, name: str) -> Split:
        """A split of a dataset that this run has opened."""
        return self.datasets[dataset].split(name)

    def split_digest(self, dataset: str, name: str) -> str:
        """The digest of a split's pictures and labels."""
        digests = self.split_digests[dataset]
        if name not in digests and not self.dry:
            self.split(dataset, name)  # which says what is wrong
        return digests.get(name, PENDING)

    def groups_of(self, dataset: str, split: str) -> dict[str, str]:
        """What an artefact is made from that looks at the groups of a split: nothing, where none of
        its pictures has any.
        """
        digest = self.group_digests.get(dataset, {}).get(split)
        return {f"groups of {dataset}/{split}": digest} if digest else {}

    def network_facts(self, name: str) -> NetworkFacts:
        """What the folder's manifest tells of a network."""
        return facts_of(read_manifest(self.folder.network(name)), NetworkFacts)

    def weights_digest(self, name: str) -> str:
        """The digest of a network's weights in the folder, and of its code if it is an own one."""
        if self.dry and not self.is_there(self.folder.network(name)):
            return PENDING
        return self.network_facts(name).identity

    def file_digest(self, path: Path) -> str:
        """The digest of a file of the folder that is an artefact."""
        return file_digest(path) if self.is_there(path) else PENDING

    def artefact_key(self, place: Path) -> str:
        """The key of the manifest of an artefact in the folder."""
        return read_manifest(place).key if self.is_there(place) else PENDING

    def is_there(self, place: Path) -> bool:
        """Whether a place holds an artefact that a dry run would not make anew."""
        if place in self.pending or not place.exists():
            return False
        try:
            read_manifest(place)
        except RecordError:
            return False
        return True

    @property
    def code(self) -> Path | None:
        """Where the code of own networks is looked for first, where it may be run."""
        return self.study.base.resolve() if self.allow_code else None

    def has_failed(self, name: str) -> bool:
        """Whether a network, or the training that its initialisation began, has failed."""
        return name.removesuffix(".init") in self.failed

    def opened(self, name: str) -> "Network":
        """A network of the folder, opened once a run."""
        from overpaint.networks import open_network

        if name not in self.networks:
            self.networks[name] = open_network(self.folder.network(name), code=self.code)
        return self.networks[name]
