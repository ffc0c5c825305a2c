"""docs/commands.md, made from the command line itself: `make docs` writes it, a test compares it.

Commands, arguments, options, defaults and examples are read from the program at run time, so that
one which is added stands in the page by itself.
"""

import inspect
import re
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import typer
from typer.models import ArgumentInfo, ParameterInfo
from typer.utils import get_params_from_function

from overpaint.cli import app

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"

INTRODUCTION = """\
# Commands

`overpaint COMMAND --help` says the same in the terminal. This page is made from the program
(`make docs`); a test holds the two together. Options may stand before or behind the arguments.
`overpaint --version` is `overpaint version`.

## How a command ends

| status | |
|---|---|
| 0 | All was done. |
| 1 | Something could not be had, or was found out: the command's paragraph says what. What does not depend on it is done all the same. |
| 2 | A mistake in the command, the study or the files, told in one message that ends with a word in brackets; [Messages](messages.md) explains each. Nothing is half written. |
| 130, 143, 129 | Stopped by Ctrl+C, SIGTERM or SIGHUP. What was finished is kept, a line says what it is, and the same command goes on from there. |

## For programs

{json}: what was found goes to the output (stdout) as JSON, what is said on the
way to the error stream. What a run leaves is an interface of its own: [the study folder](study-folder.md).
"""  # noqa: E501


COMPLETION = """\

## Completion by the shell

`overpaint --install-completion` teaches the shell that it is called from (bash, zsh, fish,
PowerShell) to complete commands, options and files with the Tab key;
`overpaint --show-completion` prints the script instead, to look at it or to install it by hand.
"""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """An argument or an option, as its function declares it."""

    is_argument: bool
    names: str  # as it is written: UNITS..., or --steps
    takes: str  # in a word; nothing for a flag
    required: bool
    about: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command, with its whole name."""

    name: str
    about: str
    parameters: tuple[Parameter, ...]

    @property
    def usage(self) -> str:
        """The line that says how it is called."""
        arguments = [
            row.names if row.required else f"[{row.names}]"
            for row in self.parameters
            if row.is_argument
        ]
        has_options = any(not row.is_argument for row in self.parameters)
        return " ".join([self.name, *arguments, *["[OPTIONS]"] * has_options])


def commands(program: typer.Typer = app, before: str = "overpaint") -> Iterator[Command]:
    """Every command of a program in the order of its help, those of programs inside it too."""
    for row in program.registered_commands:
        function = row.callback
        if function is not None and not row.hidden:
            name = row.name or function.__name__.replace("_", "-")
            yield Command(
                name=f"{before} {name}",
                about=inspect.cleandoc(row.help or function.__doc__ or ""),
                parameters=tuple(parameters(function)),
            )
    for group in program.registered_groups:
        if group.typer_instance is not None:
            yield from commands(group.typer_instance, f"{before} {group.name}")


def parameters(function: Callable[..., object]) -> Iterator[Parameter]:
    """What a command takes, arguments first."""
    declared = get_params_from_function(function).values()
    infos = [(row, row.default) for row in declared if isinstance(row.default, ParameterInfo)]
    for row, info in sorted(infos, key=lambda pair: not isinstance(pair[1], ArgumentInfo)):
        if info.hidden:
            continue
        is_argument = isinstance(info, ArgumentInfo)
        kinds = typing.get_args(row.annotation) or (row.annotation,)
        is_flag = bool in kinds
        dashed = f"--{row.name.replace('_', '-')}"
        spelt = [text for text in info.param_decls or () if text.startswith("-")]
        yield Parameter(
            is_argument=is_argument,
            names=(info.metavar or row.name.upper())
            if is_argument
            else ", ".join(spelt or [dashed]),
            takes="" if is_flag or is_argument else word(info, kinds),
            required=info.default is ...,
            about=about(info, kinds),
        )


def word(info: ParameterInfo, kinds: tuple[object, ...]) -> str:
    """What an option takes, in a word."""
    if info.metavar:
        return str(info.metavar)
    for cls in kinds:
        if isinstance(cls, type) and issubclass(cls, Enum):
            return "WORD"
        if cls in (int, float):
            return "NUMBER"
        if cls is Path:
            return "PATH"
    return "TEXT"


def about(info: ParameterInfo, kinds: tuple[object, ...]) -> str:
    """What a parameter is for, its choices or its range, and its default."""
    parts = [(info.help or "").strip()]
    choices = [cls for cls in kinds if isinstance(cls, type) and issubclass(cls, Enum)]
    parts += [f"One of {', '.join(str(choice.value) for choice in cls)}." for cls in choices]
    if info.min is not None and abs(info.min) < 2**60:
        upper = f" to {info.max:,}" if info.max is not None else " or more"
        parts.append(f"{info.min:,}{upper}.")
    value = info.default.value if isinstance(info.default, Enum) else info.default
    if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
        parts.append(f"By default {value}.")
    return " ".join(parts).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def page() -> str:
    """The whole page."""
    with_json = [
        f"`{command.name.removeprefix('overpaint ')}`"
        for command in commands()
        if any(row.names == "--json" for row in command.parameters)
    ]
    names = f"{', '.join(with_json[:-1])} and {with_json[-1]}" if with_json[1:] else with_json[0]
    verb = "have" if with_json[1:] else "has"
    parts = [INTRODUCTION.replace("{json}", f"{names} {verb} `--json`")]
    for command in commands():
        parts += [f"\n## {command.name}\n", f"```text\n{command.usage}\n```\n"]
        parts += paragraphs(command.about)
        for kind in ("argument", "option"):
            rows = [row for row in command.parameters if row.is_argument == (kind == "argument")]
            if rows:
                parts += [f"| {kind} | |", "|---|---|"]
                parts += [f"| {code(row)} | {row.about} |" for row in rows]
                parts += [""]
    if app._add_completion:
        parts.append(COMPLETION)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).strip() + "\n"


def code(row: Parameter) -> str:
    """A parameter as it is typed; a bar would end the cell of the table."""
    text = f"{row.names} {row.takes}".strip()
    return f"`{text}`" if "|" not in text else f"<code>{text.replace('|', '&#124;')}</code>"


EXAMPLE = re.compile(r"\s*Examples?:\s*(.*)", re.DOTALL)


def paragraphs(text: str) -> list[str]:
    """The help of a command; what stands behind "Example:" as lines for a shell."""
    lines = []
    for paragraph in text.replace("\b\n", "").split("\n\n"):
        example = EXAMPLE.fullmatch(paragraph)
        if example or paragraph.lstrip().startswith("overpaint "):
            shell = example[1] if example else paragraph
            rows = "\n".join(line.strip() for line in shell.splitlines() if line.strip())
            mark = "<!-- not run: parsed here, and run by the tests of the command -->"
            lines.append(f"{mark}\n```console\n{rows}\n```\n")
        else:
            lines.append(paragraph + "\n")
    return lines


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
