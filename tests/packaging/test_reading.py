"""Reading and reporting with the libraries of the plain install alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_study import write_study

REFUSED = (
    *("torch", "torchvision", "timm", "accelerate", "safetensors", "zarr", "numcodecs"),
    *("scipy", "sklearn", "google.protobuf"),
    *("datasets", "huggingface_hub", "tensorboard", "webdataset"),
)
"""What only the extras bring."""

START = f"import sys; sys.modules.update(dict.fromkeys({REFUSED}))\n"  # importing any of them fails
COMMAND = START + "from overpaint.cli import main; main()"


def without_extras(code: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Python where no library of an extra can be imported."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_a_report_needs_no_library_of_an_extra(tmp_path):
    """`overpaint report` makes site, figures and archive without any library of an extra."""
    study = write_study(tmp_path / "study", lean=True)
    done = without_extras(
        COMMAND, "report", "study", "--figures", "figures", "--zip", "x.zip", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert (study / "site/index.html").is_file()
    assert (tmp_path / "x.zip").is_file()
    assert list((tmp_path / "figures").rglob("*.pdf"))


READERS = """
import overpaint as op
op.report, op.dataset, op.read_study, op.Study, op.Dataset, op.OverpaintError
print(op.read_study("demo").study)
"""


def test_a_study_is_read_without_the_extra(tmp_path):
    """`op.read_study`, `op.report` and `op.dataset` are there without any library of an extra."""
    done = without_extras(START + READERS, folder=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "demo"), done.stderr


@pytest.mark.parametrize(
    "command", [("run", "demo"), ("advise", "demo"), ("render", "inception_v1", "mixed4d:164")]
)
def test_what_trains_says_what_to_install(tmp_path, command):
    """One message that names the extra, status 2, no traceback, and nothing is left behind."""
    done = without_extras(COMMAND, *command, folder=tmp_path)
    assert done.returncode == 2
    assert "pip install 'overpaint[train]'" in done.stderr
    assert "[missing-extra]" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not list(tmp_path.iterdir())


def test_a_folder_of_pictures_says_what_to_install_too(tmp_path):
    """Before it is looked at, and before a proposal is read."""
    (tmp_path / "paintings" / "calm").mkdir(parents=True)
    done = without_extras(COMMAND, "run", "paintings", folder=tmp_path)
    assert done.returncode == 2
    assert "[missing-extra]" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_a_misspelt_name_is_told_with_what_is_meant(tmp_path):
    """Of the studies that ship, and of the folders that lie there."""
    (tmp_path / "paintings").mkdir()
    for wrong, right in (("dmeo", "demo"), ("paintigns", "paintings")):
        done = without_extras(COMMAND, "run", wrong, folder=tmp_path)
        assert done.returncode == 2
        assert f"did you mean '{right}'?" in " ".join(done.stderr.split())


def test_a_dry_run_needs_no_extra(tmp_path):
    """What would be made is told from files alone, and nothing is written."""
    done = without_extras(COMMAND, "run", "demo", "--dry-run", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "to make  networks/fine_tuned: it is not there" in done.stdout
    assert not list(tmp_path.iterdir())


def test_the_spelling_of_a_study_is_told_first(tmp_path):
    """A misspelt key is told before the libraries that are missing."""
    (tmp_path / "study.yaml").write_text("study: x\nnetwroks: {}\nnetworks: {}\n")
    done = without_extras(COMMAND, "run", "study.yaml", folder=tmp_path)
    assert done.returncode == 2
    assert "[unknown-key]" in done.stderr


@pytest.mark.parametrize("name", ["load", "compare", "render", "taps", "Network"])
def test_the_front_door_says_what_to_install(tmp_path, name):
    """From Python the same message, an error of overpaint that is an ImportError too."""
    code = f"""{START}
import overpaint as op
try:
    op.{name}
except op.OverpaintError as error:
    assert isinstance(error, ImportError)
    print(error.slug, error)
"""
    done = without_extras(code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"missing-extra overpaint.{name} needs")
