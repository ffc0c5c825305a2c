"""`overpaint verify`: are the bytes of a study folder those that its runs wrote."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def verify(
    folder: Annotated[Path, typer.Argument(help="A study folder, as runs/demo.")],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="A list of name, state and text instead of lines.")
    ] = False,
) -> None:
    """Read all artefacts, and say of each file that is lost, cut off, changed or foreign.

    Ends with status 1 when there is any. `overpaint run STUDY --verify` makes anew what is damaged;
    what is foreign is left alone.

    Example: overpaint verify runs/styles --json
    """
    from overpaint.records import StudyFolder, verify_folder

    damaged = verify_folder(StudyFolder(folder))
    if as_json:
        typer.echo(json.dumps([asdict(damage) for damage in damaged], indent=1))
    else:
        for damage in damaged:
            typer.echo(f"{damage.state:<8} {damage}")
    if damaged:
        raise typer.Exit(1)


def say_what_is_damaged(folder: Path) -> None:
    """Say which files are no longer whole, by sizes and times; status 1 if there is any."""
    from overpaint.records import StudyFolder, verify_folder

    damaged = verify_folder(StudyFolder(folder), read=False)
    damaged = [damage for damage in damaged if damage.state != "foreign"]
    for damage in damaged:
        typer.echo(f"damaged: {damage}", err=True)
    if damaged:
        typer.echo("damaged: the next 'overpaint run' of the study makes this anew", err=True)
        raise typer.Exit(1)
