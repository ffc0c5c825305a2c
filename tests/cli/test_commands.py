"""All commands are alike: an example in each help, each option on the page, completion."""

import inspect
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from overpaint.cli import app
from overpaint.cli.compare import pictures_of
from overpaint.errors import OverpaintError
from overpaint.networks import build, describe, save_weights
from overpaint.progress import Progressing
from overpaint.records import manifest, write_json

COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_help_has_an_example_of_its_command(name):
    """It begins as it is typed."""
    assert f"Example: overpaint {name}" in inspect.cleandoc(COMMANDS[name].help)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_option_says_what_it_does(name):
    """No argument and no option goes without a word."""
    silent = [row.name for row in COMMANDS[name].params if row.name != "help" and not row.help]
    assert silent == []


@pytest.mark.parametrize("asked", ["--version", "version"])
def test_the_version_is_told(asked):
    """By the option that most programs have, and by a command."""
    done = CliRunner().invoke(app, [asked], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.strip() == version("overpaint")


def test_the_shell_can_complete():
    """The shell is given the names of the commands."""
    code = "import sys; sys.argv[0] = 'overpaint'; from overpaint.cli import main; main()"
    variables = {
        "_OVERPAINT_COMPLETE": "complete_bash",
        "COMP_WORDS": "overpaint doc",
        "COMP_CWORD": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        check=False,
    )
    assert done.stdout.split() == ["doctor"], done.stderr


def weights(folder: Path, seed: int) -> Path:
    """The folder of a small network, as a study leaves it."""
    network = build("inception_small", classes=("a", "b"), seed=seed)
    digest = save_weights(network, folder / "weights.safetensors")
    facts = {**describe(network), "weights": digest}
    write_json(folder / "manifest.json", manifest("network", inputs={}, settings={}, seed=0,
                                                  facts=facts))  # fmt: skip
    return folder


def test_a_dry_run_tells_a_program_what_is_missing(tmp_path):
    """The artefacts by their places; without --dry-run there is nothing to tell."""
    (tmp_path / "study.yaml").write_text(
        "study: x\nnetworks: {start: {load: inception_small, weights: random}}\n"
    )
    asked = ["run", str(tmp_path / "study.yaml"), "--out", str(tmp_path / "x"), "--json"]
    done = CliRunner().invoke(app, [*asked, "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "networks/start" in json.loads(done.stdout)["to_make"]
    error = CliRunner().invoke(app, asked).exception
    assert isinstance(error, OverpaintError)
    assert error.slug == "idle-option"


# --- networks ----------------------------------------------------------------------------------


def test_networks_are_found_by_parts_of_their_names():
    """All words must be in the name."""
    done = CliRunner().invoke(app, ["networks", "resnet", "18", "--json"])
    names = [row["name"] for row in json.loads(done.stdout)]
    assert "torchvision:resnet18" in names
    assert all("resnet" in name and "18" in name for name in names)


def test_the_layers_of_a_network_are_shown():
    """In the order of the network, with their channels."""
    done = CliRunner().invoke(app, ["networks", "inception_small", "--json"])
    told = json.loads(done.stdout)
    assert told["layers"][-1]["layer"] == "mixed5a"
    assert all(row["channels"] > 0 for row in told["layers"])
    assert "mixed5a" in CliRunner().invoke(app, ["networks", "inception_small"]).stdout


def test_the_layers_of_a_studys_network_need_no_torch(tmp_path):
    """Its manifest tells them."""
    folder = weights(tmp_path / "network", 0)
    code = (
        "import sys, overpaint.cli as cli\n"
        f"sys.argv = ['overpaint', 'networks', {str(folder)!r}]\n"
        "try: cli.main()\nexcept SystemExit as stop: assert not stop.code\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mixed5a" in done.stdout


def test_a_name_that_no_network_has_is_a_mistake():
    """Status 2, by a message that says what to try."""
    error = CliRunner().invoke(app, ["networks", "resnett"]).exception
    assert isinstance(error, OverpaintError)
    assert error.slug == "unknown-architecture"


# --- compare -----------------------------------------------------------------------------------


def test_two_networks_are_compared_without_a_study(tmp_path, pictures, monkeypatch):
    """A report is made of two folders of weights and a folder of pictures."""
    monkeypatch.chdir(tmp_path)
    first, second = (weights(tmp_path / name, seed) for seed, name in enumerate(("one", "two")))
    done = CliRunner().invoke(app, ["compare", str(first), str(second), str(pictures)])
    assert done.exit_code == 0, done.output
    assert Path(done.stdout.split()[-1]).as_posix() == "runs/one--two/site/index.html"
    assert (tmp_path / "runs/one--two/site/index.html").is_file()


def test_files_of_weights_need_an_architecture(tmp_path, pictures, monkeypatch):
    """It is asked for, and pictures without labels do as well."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("one", "two")):
        weights(tmp_path / name, seed)
    files = [f"{name}/weights.safetensors" for name in ("one", "two")]
    asked = ["compare", *files, str(pictures / "red"), "--out", "report"]
    error = CliRunner().invoke(app, asked).exception
    assert isinstance(error, OverpaintError)
    assert error.slug == "no-architecture"
    done = CliRunner().invoke(app, [*asked, "--architecture", "inception_small"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "report/site/index.html").is_file()


def test_a_picture_that_cannot_be_read_is_said_and_left_out(pictures, capsys):
    """Of all others there is a split."""
    from rich.console import Console

    (pictures / "red/broken.jpg").write_bytes(b"x")
    split = pictures_of(pictures, Progressing(Console()))
    assert len(split) == 24
    assert "left out: red/broken.jpg" in capsys.readouterr().out
