"""docs/commands.md, made from the commands: `make docs` writes it, a test compares it."""

import inspect
import re
from pathlib import Path

import typer.main

from overpaint.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"

INTRODUCTION = """\
# The commands

`overpaint --help` lists them, `overpaint COMMAND --help` tells of one. This page is made from the
same words (`make docs`); a test holds the two together.

## How a command ends

- **0**: all is well.
- **1**: it ran, and something is not well: `doctor` found what would hurt a study; a training of
  `run` failed; `verify` and `report` met a damaged file; `fetch` could not have a picture.
- **2**: a mistake of who called. One message says what, where, and what would be right, and ends
  with a word in brackets that [messages.md](messages.md) explains.
- **128 + n**: it was stopped by signal n, as 130 by Ctrl+C; what was finished is kept.

## For programs

`doctor`, `networks`, `advise`, `verify` and `run --dry-run` have `--json`: what they have found
goes to standard output as JSON, what they say on the way to standard error. `doctor --csv FILE`
writes a line for each picture of each complaint. What a run leaves is an interface of its own:
[study-folder.md](study-folder.md).

## Completion in the shell

`overpaint --install-completion` lets the shell complete commands and options (bash, zsh, fish,
PowerShell); `overpaint --show-completion` prints what it would add.
"""


def page() -> str:
    """The page as it should be."""
    commands = typer.main.get_command(app).commands
    return "\n".join([INTRODUCTION, *(section(name, commands[name]) for name in sorted(commands))])


def section(name, command) -> str:
    """A command: how it is called, what it does, its arguments and options."""
    takes = [parameter for parameter in command.params if parameter.name != "help"]
    arguments = [p for p in takes if p.param_type_name == "argument"]
    options = [p for p in takes if p.param_type_name == "option"]
    words = " ".join(title(p) if p.required else f"[{title(p)}]" for p in arguments)
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(command.help))
    told = [" ".join(paragraph.split()) for paragraph in paragraphs]
    [example] = [text.removeprefix("Example: ") for text in told if text.startswith("Example: ")]
    lines = [f"## overpaint {name}", "", f"`overpaint {name} {words}`".replace(" `", "`"), ""]
    for text in told:
        if not text.startswith("Example: "):
            lines += [text, ""]
    lines += ["```", example, "```", ""]
    rows = [(f"`{title(p)}`", p.help or "") for p in arguments]
    rows += [(f"`{', '.join(p.opts)}`", p.help or "") for p in options]
    if rows:
        lines += ["| | |", "|---|---|"]
        lines += [f"| {names} | {escaped(help_)} |" for names, help_ in rows] + [""]
    return "\n".join(lines)


def title(parameter) -> str:
    """What an argument is called in help."""
    return parameter.metavar or parameter.name.upper()


def escaped(text: str) -> str:
    """A text in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
