"""`overpaint doctor`: what is wrong with a collection, as a table, as JSON, as CSV."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from overpaint.errors import printable

if TYPE_CHECKING:  # which takes pandas with it
    from rich.console import Console
    from rich.table import Table

    from overpaint.checkup import Checkup

NAMED = 3
"""Pictures of a complaint that are named in the table; the CSV names all."""


def doctor(
    path: Annotated[
        Path,
        typer.Argument(
            help="A folder of classes or of splits, a table, a museum's export, or a study."
        ),
    ],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="All that is found, for a program.")
    ] = False,
    csv_file: Annotated[
        Path | None,
        typer.Option("--csv", help="A file for a line a complaint and picture, with all of them."),
    ] = None,
) -> None:
    """Look at every picture of a collection, and say what would hurt a study and what mends it.

    Ends with status 1 when something would hurt; 0 when there is nothing, or only remarks.

    Example: overpaint doctor photographs --csv faults.csv
    """
    from rich.console import Console

    from overpaint.checkup import checkups_of
    from overpaint.progress import Progressing

    progress = Progressing(Console(soft_wrap=True, stderr=True))
    checkups = checkups_of(path, progress)
    if csv_file:
        write_csv(checkups, csv_file)
    if as_json:
        typer.echo(json.dumps([checkup.as_json() for checkup in checkups], indent=1))
    else:
        console = Console()
        for checkup in checkups:
            say(checkup, console)
        if csv_file:
            typer.echo(csv_file)
    if any(checkup.hurts for checkup in checkups):
        raise typer.Exit(1)


def say(checkup: "Checkup", console: "Console") -> None:
    """Print a checkup: what there is, then what is wrong."""
    classes = len(checkup.classes)
    contents = (
        f"{checkup.pictures:,} pictures, {classes:,} {'class' if classes == 1 else 'classes'}"
    )
    console.print(f"{checkup.name}: {contents}; splits: {checkup.splits}",
                  highlight=False, markup=False)  # fmt: skip
    console.print(table_of_contents(checkup))
    for note in [*checkup.guesses, *checkup.notes]:
        console.print(f"· {printable(note)}", highlight=False, markup=False)
    if checkup.complaints:
        console.print(table_of_complaints(checkup))
    hurting = sum(complaint.hurts for complaint in checkup.complaints)
    remarks = len(checkup.complaints) - hurting
    summary = f"{hurting} would hurt a study, {remarks} to know" if hurting + remarks else "well"
    console.print(f"{checkup.name}: {summary}", highlight=False, markup=False)


def table_of_contents(checkup: "Checkup") -> "Table":
    """How many pictures each class has in each split; of many classes, the largest and smallest."""
    from rich.markup import escape
    from rich.table import Table

    splits = [split for split, size in checkup.sizes.items() if size]
    table = Table()
    table.add_column("class", overflow="fold")
    for split in splits:
        table.add_column(split, justify="right")
    labels = sorted(
        checkup.classes,
        key=lambda label: -sum(checkup.counts[split].get(label, 0) for split in splits),
    )
    half = MOST_CLASSES // 2
    for number, label in enumerate(labels):
        if len(labels) <= MOST_CLASSES or not half <= number < len(labels) - half:
            counts = (checkup.counts[split].get(label, 0) for split in splits)
            table.add_row(escape(printable(label)), *(f"{count:,}" for count in counts))
        elif number == half:
            table.add_row(f"… {len(labels) - MOST_CLASSES:,} more")
    table.add_section()
    table.add_row("all", *(f"{checkup.sizes[split]:,}" for split in splits))
    return table


MOST_CLASSES = 12
"""Classes that stand in the table; of more, those in the middle are counted."""


def table_of_complaints(checkup: "Checkup") -> "Table":
    """What is wrong, the first pictures, and what mends it."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_lines=True)
    table.add_column("")
    table.add_column("what", overflow="fold")
    for complaint in checkup.complaints:
        text = Text(printable(complaint.what))
        for case in complaint.cases[:NAMED]:
            names = " = ".join(filter(None, (case.name, case.with_name)))
            detail = f" ({case.detail})" if case.detail else ""
            text.append(f"\n  {printable(names + detail)}", "dim")
        if len(complaint.cases) > NAMED:
            text.append(f"\n  … and {len(complaint.cases) - NAMED:,} more", "dim")
        if complaint.mend:
            text.append(f"\n→ {printable(complaint.mend)}", "green")
        level = "[red]hurts[/red]" if complaint.hurts else "to know"
        table.add_row(level, text)
    return table


COLUMNS = ("dataset", "complaint", "hurts", "name", "with", "detail", "mend")


def write_csv(checkups: "Sequence[Checkup]", file: Path) -> None:
    """A line for each picture or class of each complaint, and one for a complaint about none."""
    from overpaint.checkup import Case
    from overpaint.records import whole_file

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for checkup in checkups:
        for complaint in checkup.complaints:
            for case in complaint.cases or [Case(name="", detail=complaint.what)]:
                hurts = "yes" if complaint.hurts else "no"
                writer.writerow(
                    [checkup.name, complaint.slug, hurts, case.name, case.with_name, case.detail,
                     complaint.mend]
                )  # fmt: skip
    with whole_file(file) as draft:
        draft.write_text(text.getvalue(), encoding="utf-8")
