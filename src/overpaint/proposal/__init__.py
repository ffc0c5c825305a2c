"""Proposal: a study for a collection that nobody has described yet, which runs in a sitting."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from overpaint.checkup import Checkup, checkup_of, door_of, name_of
from overpaint.datasets.doctor import check_trainable
from overpaint.device import chosen
from overpaint.errors import DatasetError, StudyError, command
from overpaint.machine import free_at
from overpaint.networks import load
from overpaint.progress import Progressing
from overpaint.proposal.cost import SITTING, SIZES, rivals, speed_of
from overpaint.proposal.start import MANY, Start, named_start, start_for
from overpaint.proposal.text import MARK, Draft, first_line, study_text
from overpaint.records import StudyFolder, whole_file
from overpaint.run.duration import seconds_of
from overpaint.run.room import room
from overpaint.run.workspace import Workspace
from overpaint.study import Study
from overpaint.study.reading import parse

__all__ = ["MARK", "Proposal", "check_start", "examined", "first_line", "propose"]


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A study that was not written yet, and what it will take here."""

    study: Study
    text: str
    checkups: list[Checkup]
    start: Start
    device: str  # and why it is this one
    seconds: dict[str, float]  # by part
    others: float  # the share of the processors that other programs had while it was timed
    bytes: int
    free: int | None

    def write(self, file: Path) -> None:
        """Write the study; raises StudyError where a file is there already."""
        if file.exists() or file.is_symlink():
            raise StudyError(
                "file-exists",
                f"{file} is there already, and is not written over: name another file with --out, "
                f"or run it: {command('overpaint', 'run', file)}",
            )
        with whole_file(file) as draft:
            draft.write_text(self.text, encoding="utf-8")


def check_start(network: str | None) -> None:
    """Raises a NetworkError where what is to be started from cannot be had: the named network, or
    any of those that may be proposed.
    """
    if network:
        named = named_start(network)
        load(named.name, weights=named.weights)
    else:
        start_for(chosen().device.type, MANY)


def examined(path: Path, progress: Progressing) -> Checkup:
    """A collection that a study can be made for; a DatasetError says why not."""
    checkup = checkup_of(name_of(path), door_of(path), progress=progress)
    if checkup.refusal:
        raise checkup.refusal
    if len(checkup.classes) < 2:
        raise DatasetError(
            "one-class",
            f"{path} has {'one class' if checkup.classes else 'no classes'}: there is nothing to "
            "tell apart; put the pictures into a folder a class, or name the column of labels "
            "'label'",
        )
    check_trainable(checkup.dataset)
    return checkup


def propose(
    collections: Mapping[Path, Checkup],
    file: Path,
    folder: Path,
    progress: Progressing,
    network: str | None = None,
) -> Proposal:
    """A study of a collection, and of another by way of which it may be learnt.

    `file` is where the study is to be written, and `folder` where its run would leave its results;
    nothing is written here. `network` is what to start from, by default one that suits. Raises
    NetworkError where no weights can be had.
    """
    checkups = list(collections.values())
    target, *others = checkups
    choice = chosen()
    pictures = sum(checkup.sizes["train"] for checkup in checkups)
    start = named_start(network) if network else start_for(choice.device.type, pictures)
    with progress.stage(f"time a few steps of {start.name}"):
        loaded = load(start.name, weights=start.weights)
        with rivals() as share_of_others:
            speed = speed_of(loaded)
    base = file.resolve().parent
    with TemporaryDirectory() as temporary:
        for size in SIZES:
            draft = Draft(
                target=target,
                detour=others[0] if others else None,
                start=start,
                layers=loaded.layers,
                size=size,
                base=base,
                paths=[str(path.resolve()) for path in collections],
            )
            text = study_text(draft)
            data, _ = parse(text, file.name)
            study = Study.model_validate({**data, "base": base})
            quiet = Progressing(Console(quiet=True))
            work = Workspace(study, StudyFolder(Path(temporary)), quiet, dry=True)
            work.datasets = {checkup.name: checkup.dataset for checkup in checkups}
            seconds = seconds_of(work, speed)
            if sum(seconds.values()) <= SITTING:
                break
        needed = room(work).total()
    return Proposal(
        study=study,
        text=text,
        checkups=checkups,
        start=start,
        device=f"{choice.device.type}: {choice.why}",
        seconds=seconds,
        others=share_of_others(),
        bytes=needed,
        free=free_at(folder),
    )
