"""The command line: quick to help, clear about mistakes."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def overpaint(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "overpaint.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


def test_help_does_not_import_torch():
    """--help answers without torch, pandas or timm."""
    code = (
        "import sys, overpaint.cli as cli\n"
        "sys.argv = ['overpaint', '--help']\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'pandas', 'timm', 'sklearn'} & sys.modules.keys()\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "run" in done.stdout


def test_reading_a_study_needs_no_torch():
    """The wall: study, records and report load without torch."""
    code = (
        "import sys, overpaint.study, overpaint.records, overpaint.report, overpaint.run\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


BAD = [
    (
        "study: x\nnetworks: {a: {from: b, fit: d, recipe: mode_a}}\n",
        "unknown-parent",
        "study.yaml",
    ),
    ("study: x\nnetwroks: {}\nnetworks: {}\n", "unknown-key", "line 2"),
    (
        "study: x\ndatasets: {d: {kind: folder, root: nowhere}}\nnetworks: {a: {load: x}}\n",
        "missing-folder",
        "nowhere",
    ),
]


@pytest.mark.parametrize(("text", "slug", "said"), BAD, ids=[bad[1] for bad in BAD])
def test_a_users_mistake(tmp_path, text, slug, said):
    """One clear message, exit status 2, no traceback."""
    (tmp_path / "study.yaml").write_text(text)
    done = overpaint("run", "study.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert f"[{slug}]" in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_every_message_is_explained():
    """Each slug that the code can raise is a heading of docs/messages.md."""
    raised = set()
    for file in (ROOT / "src").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        raised |= set(
            re.findall(r"(?:Error|_At)\(\s*(?:\([^)]*\),\s*)?\"([a-z]+(?:-[a-z]+)+)\"", text)
        )
    headings = re.findall(r"^### (.+)$", (ROOT / "docs/messages.md").read_text(), re.MULTILINE)
    explained = {slug for heading in headings for slug in heading.split(", ")}
    assert len(raised) > 30
    assert raised - explained == set()


DIVERGES = """\
study: wild
datasets:
  manners: {kind: atelier, task: manners, sizes: {train: 16, val: 8, test: 8}}
networks:
  source: {load: inception_small, weights: random}
  wild: {from: source, fit: manners, recipe: mode_f, with: {head_lr: 9.0, backbone_lr: 9.0,
         weight_penalty: 9.0, batch_size: 8}}
"""


def test_a_failed_training_is_status_1(tmp_path):
    """The run ends well enough for a report, and says with its status that it is not all."""
    (tmp_path / "study.yaml").write_text(DIVERGES)
    done = overpaint("run", "study.yaml", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "failed: wild: the training diverged" in done.stdout
    assert "Traceback" not in done.stderr
    assert (tmp_path / "runs/wild/site/index.html").is_file()


def test_an_unknown_tracker_is_status_2(tmp_path):
    """It is named before anything is done."""
    (tmp_path / "study.yaml").write_text(DIVERGES)
    done = overpaint("run", "study.yaml", "--log-with", "tensorbord", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'tensorboard'" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_report_writes_all_that_is_asked_for(tmp_path):
    """`report` makes the site, figures, an archive and the page of two studies, and names each."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "study.yaml").write_text(
            f"study: {name}\nnetworks: {{start: {{load: inception_small, weights: random}}}}\n"
        )
    done = overpaint("report", "a", "--figures", "figures", "--against", "b", "--zip", "a.zip",
                     cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = [Path(line).as_posix() for line in done.stdout.split()]
    assert told == ["a/site/index.html", "figures", "a/site/against-b.html", "a.zip"]
    assert all((tmp_path / path).exists() for path in told if path != "figures")
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert {"index.html", "against-b.html"} <= set(packed.namelist())
    done = overpaint("report", "a", "--against", "b", "--out", "two", cwd=tmp_path)
    assert Path(done.stdout.split()[1]).as_posix() == "two/against-b.html"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--out", "x"], "--against"),
        (["--against", "."], "[same-study]"),
        (["--against", "nowhere"], "[missing-record]"),
        (["--zip", "site/a.zip"], "[bad-archive]"),
        (["--figures", "study.yaml"], "[not-a-folder]"),
    ],
)
def test_report_options_that_cannot_be(tmp_path, arguments, told):
    """An option that makes no sense ends with status 2 and one message, without a traceback."""
    (tmp_path / "study.yaml").write_text("study: a\nnetworks: {start: {load: inception_small}}\n")
    done = overpaint("report", ".", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
