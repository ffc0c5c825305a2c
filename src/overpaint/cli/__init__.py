"""The command line: thin; torch is imported only by commands that need it."""

import json
import os
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from overpaint.cli.compare import compare as compare_networks
from overpaint.cli.doctor import doctor as examine_collection
from overpaint.cli.init import Network, init, is_collection, study_of_folder
from overpaint.cli.networks import networks as search_networks
from overpaint.cli.stopping import asked, farewell, keeps, of_study, stoppable
from overpaint.cli.verify import say_what_is_damaged
from overpaint.cli.verify import verify as verify_study
from overpaint.defaults import (
    DEVICE_VARIABLE,
    DREAM_STEPS,
    MOST_SIDE,
    MOST_STEPS,
    RENDER_SIZE,
    RENDER_STEPS,
)
from overpaint.errors import OverpaintError, Stopped, command, require_train


class Canvas(StrEnum):
    """What a rendering is painted on."""

    fourier = "fourier"
    pixel = "pixel"
    maco = "maco"
    lucid = "lucid"


app = typer.Typer(
    epilog="Ends with status 0 when all is well, 1 when something was found or has failed (a "
    "fault, a damaged file, a training, a download), 2 for a mistake, which one message explains, "
    "and 128 + the signal's number when it was stopped. 'overpaint COMMAND --help' tells of each.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


Device = Annotated[
    str | None,
    typer.Option(
        help=f"cpu, cuda, cuda:1, xpu or mps, as the variable {DEVICE_VARIABLE}; "
        "by default a GPU that CUDA reaches, else the CPU.",
    ),
]


AllowCode = Annotated[
    bool,
    typer.Option(
        "--allow-code",
        help="Python functions that are named as networks may be run: you trust them.",
    ),
]


def _a_rate(rate: float) -> float:
    """A rate of requests; no number is none."""
    if not 0.01 <= rate <= 1000:
        raise typer.BadParameter("is a number of requests a second, 0.01 to 1000")
    return rate


def _refuse_idle(context: typer.Context, where: str, *names: str) -> None:
    """Raises an OverpaintError for a parameter that was given and would do nothing."""
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = options[name]
            raise OverpaintError("idle-option", f"{option} does nothing {where}: leave it out")


def _ask_for_device(name: str | None) -> None:
    """Tell the one place that chooses, without importing it."""
    if name:
        os.environ[DEVICE_VARIABLE] = name
        # what Apple's GPU cannot do, the CPU does; torch looks when it is imported
        os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


@app.command()
def run(
    context: typer.Context,
    study: Annotated[
        str,
        typer.Argument(
            help="A YAML file, the name of a study that ships (demo), or a collection, for which "
            "one is proposed as by init."
        ),
    ],
    another: Annotated[
        Path | None,
        typer.Argument(help="Of collections: one to be fine-tuned on first."),
    ] = None,
    *,
    out: Annotated[
        Path | None, typer.Option(help="The study folder; by default runs/<study>.")
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option("--set", help="dotted.key=value, instead of the file's.")
    ] = None,
    device: Device = None,
    log_with: Annotated[
        str, typer.Option(help="Trackers to tell of each epoch: tensorboard,wandb,mlflow.")
    ] = "",
    explain: Annotated[
        bool, typer.Option("--explain", help="Say of each artefact whether it is made, and why.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made, and why; make nothing.")
    ] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Read the bytes of all that is there, also of old pictures."),
    ] = False,
    allow_code: AllowCode = False,
    jobs: Annotated[
        int,
        typer.Option(
            min=1, max=1024, help="Trainings at once, each on a GPU or a share of the threads."
        ),
    ] = 1,
    network: Network = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="The demonstration in a minute: the study demo_quick.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Of --dry-run: what would be made, for a program.")
    ] = False,
) -> None:
    """Train, measure, draw and report, as a study says; what is done already is not done again.

    Of a folder of pictures, or a table of them, a study is proposed first and kept beside its
    results. Ends with status 1 when a training failed; what does not depend on it is done all the
    same.

    Example: overpaint run photographs
    """
    # The study comes first: a misspelt key is told before anything heavy is imported.
    from overpaint.study import read_study

    if not dry_run:
        _refuse_idle(context, "without --dry-run", "as_json")
    if quick and (study != "demo" or another or network):
        raise OverpaintError(
            "idle-option",
            "--quick is for 'overpaint run demo', which ships in a small size as well",
        )
    proposed = None
    if quick:
        study = "demo_quick"
    elif is_collection(study):
        _ask_for_device(device)
        proposed = study_of_folder(Path(study), another, out, network, dry=dry_run)
        study = str(proposed)
    elif another or network:
        raise OverpaintError(
            "idle-option", "a second collection and --network are for 'overpaint run FOLDER'"
        )
    read = read_study(study, override or [])
    if not dry_run:  # which makes nothing, and only reads
        require_train("overpaint run")
    _ask_for_device(device)
    trackers = _trackers(log_with)
    from rich.console import Console

    from overpaint.progress import Progressing
    from overpaint.run import run_study

    folder = out or Path("runs") / read.study
    keeps(lambda: of_study(folder) if not dry_run else "nothing was to be made")
    outcome = run_study(
        read,
        folder,
        Progressing(Console(soft_wrap=True, stderr=as_json)),
        trackers,
        explain=explain,
        dry=dry_run,
        verify=verify,
        allow_code=allow_code,
        jobs=jobs,
    )
    if proposed and not dry_run:
        typer.echo(f"to change it: edit {proposed}, then {command('overpaint', 'run', proposed)}")
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "to_make": outcome.pending}, indent=1))
    if outcome.failures:
        raise typer.Exit(1)


def _trackers(names: str) -> tuple[str, ...]:
    """The trackers of "tensorboard,mlflow", each known and installed."""
    trackers = tuple(filter(None, names.split(",")))
    if trackers:
        from overpaint.training.trackers import check_trackers

        check_trackers(trackers)
    return trackers


@app.command()
def advise(
    study: Annotated[str, typer.Argument(help="A YAML file, or the name of a study that ships.")],
    out: Annotated[
        Path | None, typer.Option(help="The study folder; by default runs/<study>.")
    ] = None,
    on: Annotated[
        list[str] | None, typer.Option(help="A dataset of the study; by default all.")
    ] = None,
    device: Device = None,
    allow_code: AllowCode = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The rows of advice.parquet, for a program.")
    ] = False,
) -> None:
    """Say which network to start from, from features alone: no training.

    Example: overpaint advise study.yaml --on styles
    """
    from overpaint.study import read_study

    read = read_study(study)
    require_train("overpaint advise")
    _ask_for_device(device)
    from rich.console import Console

    from overpaint.progress import Progressing
    from overpaint.run.advice import advise_study

    folder = out or Path("runs") / read.study
    keeps(lambda: f"{folder} keeps all that was finished; the same command goes on from there")
    progress = Progressing(Console(soft_wrap=True, stderr=as_json))
    rows = advise_study(read, folder, progress, on or [], allow_code=allow_code)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=1))


@app.command()
def render(
    context: typer.Context,
    network: Annotated[
        str, typer.Argument(help="A name, as inception_v1, or the folder of a study's network.")
    ],
    units: Annotated[
        list[str],
        typer.Argument(metavar="LAYER[:CHANNELS]...", help="mixed4d:164,450-460, or mixed4d: all."),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="A folder for LAYER/CHANNEL.png; by default renderings, or none "
            "beside --sheet or --movie."
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_STEPS,
            help=f"By default {RENDER_STEPS}, or {DREAM_STEPS} on a picture; the paper's: 2048.",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=16,
            max=MOST_SIDE,
            help=f"Pixels of a side; by default {RENDER_SIZE}, or the picture's.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=-(2**63), max=2**63 - 1, help="Another gives another picture.")
    ] = 0,
    canvas: Annotated[
        Canvas, typer.Option(help="What is painted on; lucid is Lucid's way to the pixel.")
    ] = Canvas.fourier,
    spectrum: Annotated[
        Path | None, typer.Option(help="For maco: a folder of pictures whose waves it takes.")
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="A file for a contact sheet.")] = None,
    movie: Annotated[
        Path | None, typer.Option(help="A file, .gif or .webp, for a movie of the optimisation.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="A picture to change, instead of noise (deep dream).")
    ] = None,
    octaves: Annotated[
        int,
        typer.Option(
            min=1, max=100, help="Sizes in which the picture is changed, small ones first."
        ),
    ] = 1,
    allow_code: AllowCode = False,
    device: Device = None,
) -> None:
    """Draw what most excites channels of a network, outside any study.

    Example: overpaint render inception_v1 mixed4d:164,450-460 --sheet mixed4d.png
    """
    if picture:
        _refuse_idle(context, "with --picture", "sheet", "movie", "canvas", "spectrum", "seed")
    else:
        _refuse_idle(context, "without --picture", "octaves")
    if canvas != Canvas.maco:
        _refuse_idle(context, "without --canvas maco", "spectrum")
    require_train("overpaint render")
    _ask_for_device(device)
    from rich.console import Console

    from overpaint.cli.drawing import Drawing, Dream
    from overpaint.progress import Progressing

    progress = Progressing(Console(soft_wrap=True))
    code = Path.cwd() if allow_code else None  # the study of a folder is not known here
    work = (
        Dream(
            network=network,
            units=units,
            code=code,
            picture=picture,
            out=out,
            steps=steps,
            size=size,
            octaves=octaves,
        )
        if picture
        else Drawing(
            network=network,
            units=units,
            code=code,
            out=out,
            steps=steps,
            size=size,
            seed=seed,
            canvas=canvas,
            spectrum=spectrum,
            sheet=sheet,
            movie=movie,
        )
    )
    keeps(lambda: "each picture that was finished is kept; the same command draws all again")
    for path in work.draw(progress):
        typer.echo(path)


@app.command()
def report(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A study folder, as runs/demo.")],
    figures: Annotated[
        Path | None,
        typer.Option(help="A folder for a paper’s figures (PDF, SVG, PNG, CSV) and tables."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            help="Another study folder, to set side by side; the page is gone with the next report."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A folder for the page of --against; by default the site of FOLDER."),
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--zip", help="A ZIP file of the site, to put on a server.")
    ] = None,
    one_file: Annotated[
        Path | None,
        typer.Option(help="An HTML file of the main pages and their pictures, to send by mail."),
    ] = None,
) -> None:
    """Write the report of a study folder anew; needs no network and no pictures.

    Ends with status 1 when something in the folder is damaged; what is not is shown all the same.

    Example: overpaint report runs/styles --one-file styles.html
    """
    from overpaint.report import build

    if against is None:
        _refuse_idle(context, "without --against, whose page it is for", "out")
    keeps(lambda: f"what {folder} holds is kept; the same command writes what is missing")
    typer.echo(build(folder))
    if figures:
        from overpaint.report.export import figures as exports

        typer.echo(exports.figures(folder, figures))
    if against:
        from overpaint.report.export import against as two

        typer.echo(two.against(folder, against, out))
    if archive:
        from overpaint.report.export import figures as exports

        typer.echo(exports.archive(folder / "site", archive))
    if one_file:
        from overpaint.report.export import one_file as mail

        typer.echo(mail.one_file(folder, one_file))
    say_what_is_damaged(folder)


@app.command()
def clean(
    folder: Annotated[Path, typer.Argument(help="A study folder, as runs/demo.")],
    everything: Annotated[
        bool, typer.Option("--all", help="All that is overpaint’s, and the folder if it is empty.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed; remove nothing.")
    ] = False,
) -> None:
    """Remove what a study folder holds and its study no longer names; never what others put there.

    Example: overpaint clean runs/demo --dry-run
    """
    from overpaint.cli.clean import clean as cleaned

    keeps(lambda: "what was not removed yet is as it was; the same command removes the rest")
    for line in cleaned(folder, everything=everything, dry=dry_run):
        typer.echo(line)


@app.command()
def fetch(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="COLLECTION|TABLE|MANIFEST",
            help="A published collection: iconart. Or a museum's export, a file or an address: a "
            "table of addresses of pictures, a IIIF manifest, a IIIF collection.",
        ),
    ],
    folder: Annotated[
        Path | None, typer.Argument(help="The folder to make; for iconart data/IconArt_v1.")
    ] = None,
    size: Annotated[
        int,
        typer.Option(
            min=16, max=100_000, help="The longer side, in pixels, where a server offers sizes."
        ),
    ] = 1024,
    rate: Annotated[float, typer.Option(callback=_a_rate, help="Requests a second, at most.")] = 2,
    column: Annotated[
        str | None, typer.Option(help="The table's column of addresses, where it is not plain.")
    ] = None,
) -> None:
    """Download a collection, or the pictures of a museum's export; says what a study writes to use
    them.

    Ends with status 1 when a picture of an export could not be had; the same command tries again.

    Example: overpaint fetch export.csv data/moons
    """
    from rich.console import Console

    from overpaint.datasets.fetch import fetch as fetched
    from overpaint.datasets.fetch import is_export, study_line

    keeps(
        lambda: (
            "every picture that was fetched is kept; the same command goes on from there"
            if is_export(what)
            else "nothing was unpacked; the same command begins again"
        )
    )
    from overpaint.progress import Progressing

    progress = Progressing(Console(soft_wrap=True, stderr=True))
    if not is_export(what):
        _refuse_idle(context, "for a published collection", "size", "rate", "column")
        with progress.stage(f"fetch {what}"):
            place = fetched(what, folder)
        typer.echo(study_line(what, place))
        return
    from overpaint.datasets.museum import fetch_pictures

    pictures = fetch_pictures(what, folder, size=size, rate=rate, column=column, progress=progress)
    typer.echo(pictures.study_line())
    if pictures.lost:
        raise typer.Exit(1)


app.command("verify")(verify_study)
app.command("doctor")(examine_collection)
app.command("init")(init)
app.command("networks")(search_networks)
app.command("compare")(compare_networks)


@app.command("help")
def show_help(
    context: typer.Context,
    command: Annotated[str | None, typer.Argument(help="One of the commands.")] = None,
) -> None:
    """Print what --help prints, of all commands or of one.

    Example: overpaint help run
    """
    above = context.parent
    assert above is not None
    inner = above.command.get_command(above, command) if command else None  # type: ignore[attr-defined]
    typer.echo(inner.get_help(typer.Context(inner, above, command)) if inner else above.get_help())


@app.command()
def version() -> None:
    """Print the version.

    Example: overpaint version
    """
    from importlib.metadata import version as installed

    typer.echo(installed("overpaint"))


def _say_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


@app.callback()
def overpaint(
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_say_version, help="Print the version."),
    ] = False,
) -> None:
    """See what fine-tuning painted over your pre-trained network."""


def main() -> None:
    """Run the command line; a user's mistake ends with one message and status 2."""
    with stoppable():
        try:
            try:
                app()
            except (OverpaintError, KeyboardInterrupt, SystemExit, Stopped):
                raise
            except BaseException as error:  # Rust's panics are no Exceptions
                from overpaint.machine import machine_error

                refusal = machine_error(error)
                if refusal is None:
                    raise
                raise refusal from None
        except BaseException as error:
            done = isinstance(error, SystemExit) and not error.code
            if (signal := asked()) and not done:  # whatever came of it on its way up
                farewell(signal)
            if not isinstance(error, OverpaintError):
                raise
            print(f"overpaint: {error} [{error.slug}]", file=sys.stderr)  # noqa: T201
            sys.exit(2)
