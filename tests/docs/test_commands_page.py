"""docs/commands.md: every command and option of the program, and nothing that it has not."""

import re

from commands_page import COMPLETION, PAGE, page
from typer.testing import CliRunner

from overpaint.cli import app

SECTIONS = {
    section.splitlines()[0]: section
    for section in PAGE.read_text("utf-8").split("\n## ")
    if section.startswith("overpaint")
}


def help_of(*words: str) -> str:
    """What `overpaint … --help` prints, on a wide terminal and without colours."""
    result = CliRunner().invoke(
        app, [*words, "--help"], env={"COLUMNS": "300", "NO_COLOR": "1", "TERM": "dumb"}
    )
    assert result.exit_code == 0
    return result.output


def test_the_page_is_that_of_the_program():
    """The page in the repository is what `make docs` would write."""
    assert PAGE.read_text("utf-8") == page()


def test_every_command_has_its_paragraph():
    """The commands that the help of the program lists are those of the page."""
    listed = set(re.findall(r"^[\s│|]*([a-z][a-z-]+) {2,}\S", help_of(), re.MULTILINE))
    assert len(listed) >= 8
    assert {f"overpaint {name}" for name in listed} == SECTIONS.keys()


def test_every_option_stands_in_its_commands_paragraph():
    """What `--help` lists of each command, read as a user reads it, is on the page, and no more."""
    for name, section in SECTIONS.items():
        shown = help_of(*name.split()[1:])
        options = set(re.findall(r"^[\s│|*]*(--[a-z][a-z-]*)", shown, re.MULTILINE)) - {"--help"}
        table = set(re.findall(r"^\| (?:`|<code>)(--[a-z][a-z-]*)", section, re.MULTILINE))
        assert options == table, name


def test_options_of_the_program_itself_stand_on_the_page():
    """Those of shell completion too, if it has any."""
    shown = set(re.findall(r"^[\s│|*]*(--[a-z][a-z-]*)", help_of(), re.MULTILINE)) - {"--help"}
    text = PAGE.read_text("utf-8")
    assert {option for option in shown if f"`overpaint {option}`" not in text} == set()
    assert (COMPLETION in text) == ("--install-completion" in shown)
