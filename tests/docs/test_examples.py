"""Every example of the documentation runs, or says why it does not."""

import doctest
import importlib
import re
import shutil
import tomllib
from pathlib import Path

import pytest
import typer
from examples import ELSEWHERE, KINDS, PAGES, ROOT, Example, examples, furnish, study_text
from typer.testing import CliRunner

import overpaint as op
from overpaint.cli import app
from overpaint.records import StudyFolder
from overpaint.report.study.reading import read_records
from overpaint.study import read_study

ALL = examples()
CONSOLE = [block for block in ALL if block.kind == "console"]


def named(blocks: list[Example]) -> list[object]:
    """Blocks as parameters, called by page and line."""
    return [pytest.param(block, id=block.name) for block in blocks]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A reader's folder, with a study that ran."""
    folder = tmp_path_factory.mktemp("reader")
    furnish(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = CliRunner().invoke(app, ["run", "styles.yaml"])
        assert done.exit_code == 0, done.output
        shutil.copytree("runs/styles", "runs/styles_2")
    return folder


def test_every_block_has_a_kind():
    """No block is left without a word for what it is, and none hides as an indented paragraph."""
    assert [block.name for block in ALL if block.kind not in KINDS] == []
    assert len(CONSOLE) > 10
    for page in PAGES:
        prose = re.sub(r"(?ms)^```.*?^```$", "", page.read_text("utf-8"))
        assert re.findall(r"(?m)^\n    +(?:overpaint|python|pip|make) .*", prose) == [], page.name
        assert prose.count("```") == 0, page.name


@pytest.mark.parametrize("block", named([block for block in ALL if block.kind == "bash"]))
def test_a_script_says_why_it_is_not_run(block):
    """Scripts for other machines are marked."""
    assert block.reason


def test_no_mark_is_left_alone():
    """A reason stands right before its block."""
    marks = sum(page.read_text("utf-8").count("<!-- not run:") for page in PAGES)
    assert marks == sum(bool(block.reason) for block in ALL)


PYTHON_PAGES = sorted({block.page for block in ALL if block.kind == "python"} - ELSEWHERE.keys())


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_the_python_of_a_page_runs(page, place, monkeypatch):
    """Its blocks run in order, after the first of docs/python.md, which says what the names are."""
    monkeypatch.chdir(place)
    twin = place / "runs/styles/networks/fine_tuned.2"
    assert twin.is_dir()
    first = next(block for block in ALL if block.page == "python.md" and block.kind == "python")
    blocks = [block for block in ALL if (block.page, block.kind) == (page, "python")]
    names: dict[str, object] = {}
    for block in [first] * (page != "python.md") + blocks:
        assert not block.reason
        exec(compile(block.text, block.name, "exec"), names)  # noqa: S102 - a page's own example


STUDIES = [
    block
    for block in ALL
    if block.kind == "yaml" and not block.reason and block.page not in ELSEWHERE
]


@pytest.mark.parametrize("block", named(STUDIES))
def test_a_study_is_read(block, place):
    """Every study, or part of one, that a page shows is one that overpaint takes."""
    file = place / "page.yaml"
    file.write_text(study_text(block), "utf-8")
    assert read_study(str(file)).networks


def parsed(words: list[str]) -> None:
    """Read a command of overpaint as the program would, and do nothing."""
    program = typer.main.get_command(app)
    context = program.make_context("overpaint", words, resilient_parsing=False)
    rest = [*context._protected_args, *context.args]
    name, command, arguments = program.resolve_command(context, rest)
    command.make_context(name, arguments, parent=context)


@pytest.mark.parametrize("block", named(CONSOLE))
def test_every_command_is_one(block):
    """Commands of overpaint are parsed; extras, targets and scripts are there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for words in block.commands():
        if words[0] in ("torchrun", "accelerate"):
            words = words[words.index("overpaint") :]  # noqa: PLW2901 - what they start
        match words[0]:
            case "overpaint":
                parsed(words[1:])
            case "pip":
                for extra in re.findall(r"\[(.*?)\]", " ".join(words)):
                    assert {*extra.split(",")} <= project["optional-dependencies"].keys()
            case "make":
                targets = re.findall(
                    r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE
                )
                assert {*words[1:]} <= {*targets}
            case "python":
                assert (ROOT / words[1]).is_file()
            case _:
                pytest.fail(f"{block.name}: what is {words[0]}?")


RUN = [
    block
    for block in CONSOLE
    if not block.reason and any(words[0] == "overpaint" for words in block.commands())
]


@pytest.mark.parametrize("block", named(RUN))
def test_a_command_runs(block, place, monkeypatch):
    """Commands of overpaint that are not marked end well, in the folder of a reader."""
    monkeypatch.chdir(place)
    for words in block.commands():
        if words[0] == "overpaint":
            done = CliRunner().invoke(app, words[1:])
            assert done.exit_code == 0, (words, done.output, done.exception)


# --- docstrings ----------------------------------------------------------------------------------
# Those that need nothing are run by pytest as they stand. What needs a study or trained networks is
# marked +SKIP there, and run here.


def skipped() -> list[doctest.DocTest]:
    """The docstrings with an example that pytest passes over."""
    tests = []
    for file in sorted((ROOT / "src").rglob("*.py")):
        if "+SKIP" in file.read_text("utf-8"):
            name = ".".join(file.relative_to(ROOT / "src").with_suffix("").parts)
            module = importlib.import_module(name.removesuffix(".__init__"))
            tests += [
                test
                for test in doctest.DocTestFinder().find(module)
                if any(example.options.get(doctest.SKIP) for example in test.examples)
            ]
    return tests


@pytest.mark.parametrize("test", [pytest.param(test, id=test.name) for test in skipped()])
def test_an_example_of_a_docstring_runs(test, place, monkeypatch):
    """With two networks, their pictures and study folders under the names that it uses."""
    monkeypatch.chdir(place)
    for name in ("a", "b", "demo", "rasta"):
        if not Path("runs", name).exists():
            shutil.copytree("runs/styles", f"runs/{name}")
    collection = op.dataset("data/rasta", kind="rasta")
    names = test.globs | {
        "op": op,
        "read_study": read_study,
        "read_records": read_records,
        "StudyFolder": StudyFolder,
        "Path": Path,
        "before": op.load("runs/styles/networks/imagenet"),
        "after": op.load("runs/styles/networks/fine_tuned"),
        "again": op.load("runs/styles/networks/fine_tuned.2"),
        "collection": collection,
        "images": collection.split("test"),
        "train": collection.split("train"),
        "test": collection.split("test"),
        "path": StudyFolder(Path("runs/styles")).features("fine_tuned", "rasta", "test"),
    }
    for example in test.examples:
        exec(compile(example.source, test.name, "exec"), names)  # noqa: S102 - our own example
