"""`overpaint init`: from a folder of pictures to a study that runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from overpaint.errors import StudyError, command, printable, require_train, shortened

if TYPE_CHECKING:
    from rich.console import Console

    from overpaint.proposal import Proposal

Network = Annotated[
    str | None,
    typer.Option(
        help="What to start from: a name, the folder of a study's network, or a file of weights "
        "under the name of the published one; by default one that suits the machine and can be had."
    ),
]


def init(
    folder: Annotated[
        Path, typer.Argument(help="A folder of classes or of splits, a table, a museum's export.")
    ],
    another: Annotated[
        Path | None,
        typer.Argument(help="A collection to be fine-tuned on first: double fine-tuning."),
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("study.yaml"),
    network: Network = None,
) -> None:
    """Look at a collection, and write a study of it that runs: with comments, to be changed.

    What hurts is told as `overpaint doctor` tells it; the study is written all the same, unless no
    study could read the collection. A few steps are timed, so that the study fits a sitting.

    Example: overpaint init photographs
    """
    proposal = proposed(folder, another, out, Path("runs"), network)
    proposal.write(out)
    typer.echo(f"study: {out}")
    typer.echo(f"next: {command('overpaint', 'run', out)}")


def proposed(
    folder: Path, another: Path | None, file: Path, runs: Path, network: str | None
) -> "Proposal":
    """A study for collections, with all that is to be known of it printed; nothing is written."""
    require_train("overpaint init")
    from rich.console import Console

    from overpaint.cli.doctor import say
    from overpaint.progress import Progressing
    from overpaint.proposal import check_start, examined, propose

    if file.exists():
        raise StudyError(
            "file-exists",
            f"{file} is there already, and is not written over: name another file with --out, or "
            f"run it: {command('overpaint', 'run', file)}",
        )
    progress = Progressing(Console(soft_wrap=True, stderr=True))
    console = Console()
    check_start(network)  # before all pictures are looked at
    collections = {}
    for path in filter(None, (folder, another)):
        collections[path] = examined(path, progress)
        say(collections[path], console)
        if collections[path].hurts:
            by_name = command("overpaint", "doctor", path, "--csv", "faults.csv")
            console.print(GOES_ON.format(by_name=by_name), highlight=False, markup=False)
    proposal = propose(collections, file, runs, progress, network)
    say_plan(proposal, console)
    return proposal


GOES_ON = (
    "What hurts is yours to mend; the study is made all the same: what cannot be read is left out, "
    "all else is taken as it lies. All of it by name: {by_name}"
)


def say_plan(proposal: "Proposal", console: "Console") -> None:
    """What the study does, and what that takes here."""
    from rich.markup import escape
    from rich.table import Table

    from overpaint.machine import in_bytes
    from overpaint.progress import duration

    study = proposal.study
    plan = Table(title="the study", title_justify="left", show_header=False)
    plan.add_column(overflow="fold")
    plan.add_column(overflow="fold")
    plan.add_row("network", escape(f"{proposal.start.name}: {proposal.start.why}"))
    plan.add_row("runs on", escape(proposal.device))
    for name, entry in study.networks.items():
        if entry.recipe:
            epochs = f"{entry.overrides['epochs']} epochs on {entry.fit}"
            again = ", twice" if entry.repeats == 2 else ""
            plan.add_row(name, f"from {entry.parent}, recipe {entry.recipe}, {epochs}{again}")
    pairs = ", ".join(" → ".join(pair.pair) for pair in study.compare)
    plan.add_row("compared", pairs)
    plan.add_row("causes", ", ".join(study.causes) if isinstance(study.causes, list) else "")
    parts = ", ".join(f"{part} {duration(time)}" for part, time in proposal.seconds.items())
    busy = (
        f"; other programs have {proposal.others:.0%} of this machine's processors: with it to "
        "itself it takes less, and a study proposed then does more"
        if proposal.others > BUSY
        else ""
    )
    plan.add_row("time", f"about {duration(sum(proposal.seconds.values()))} here: {parts}{busy}")
    free = f", {in_bytes(proposal.free)} are free" if proposal.free else ""
    plan.add_row("disk", f"at most {in_bytes(proposal.bytes)}{free}")
    console.print(plan)


BUSY = 0.2
"""The share of the processors from which on it is told that other programs have it."""

TABLES = (".csv", ".tsv", ".xlsx", ".parquet", ".jsonl")
"""Endings of tables, as the reader of folders has them; named here for a study without pandas."""


def is_collection(name: str) -> bool:
    """Whether what is to be run is a folder or a table of pictures, and no study.

    >>> is_collection("demo"), is_collection("study.yaml")
    (False, False)
    """
    path = Path(name)
    return path.is_dir() or (path.suffix.lower() in TABLES and path.is_file())


def study_of_folder(
    folder: Path, another: Path | None, out: Path | None, network: str | None, *, dry: bool = False
) -> Path:
    """The study's file of `overpaint run FOLDER`, beside the folder of its results: what was
    proposed for these collections before, or else a proposal that is written now.

    Raises StudyError where a file lies there that is none of them, or where a dry run finds none.
    """
    if not dry:
        require_train("overpaint run")
    from overpaint.checkup import name_of
    from overpaint.proposal import first_line

    name = name_of(folder) + (f"_after_{name_of(another)}" if another else "")
    runs = out or Path("runs") / name
    file = runs.parent / f"{runs.name}.yaml"
    if dry and not file.is_file():
        writes = command("overpaint", "init", *filter(None, (folder, another)))
        raise StudyError(
            "idle-option",
            f"--dry-run does nothing for pictures without a study; this writes one, and no more: "
            f"{writes}",
        )
    if file.is_file():
        first = file.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
        if first == first_line([str(path.resolve()) for path in (folder, another) if path]):
            cited = network and (Path(network).name if Path(network).is_file() else network)
            if cited and cited not in file.read_text(encoding="utf-8", errors="replace"):
                raise StudyError(
                    "file-exists",
                    f"{file} was proposed before, with another network than {network!r}: change "
                    "its 'load:', or give another place for this one with --out",
                )
            typer.echo(f"study: {file}, as it was proposed before")
            return file
        raise StudyError(
            "file-exists",
            f"{file} lies there already and was not proposed for {folder} (it begins: "
            f"{printable(shortened(first, 90))}): give this collection a place of its own, with "
            f"{command('--out', f'{runs}_2')}",
        )
    proposal = proposed(folder, another, file, runs, network)
    proposal.write(file)
    typer.echo(f"study: {file}")
    return file
