"""The command line: quick to help, clear about mistakes."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from overpaint.cli import app
from overpaint.errors import OverpaintError
from overpaint.networks import build, describe, save_weights
from overpaint.records import manifest, picture_metadata, write_json

ROOT = Path(__file__).parents[2]


def overpaint(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "overpaint", *arguments],
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


def small_network(folder: Path) -> Path:
    """The folder of a network, as a study leaves it."""
    network = build("inception_small", classes=("a", "b"), seed=0)
    weights = save_weights(network, folder / "weights.safetensors")
    facts = {**describe(network), "weights": weights}
    made = manifest("network", inputs={}, settings={}, seed=0, facts=facts)
    write_json(folder / "manifest.json", made)
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Path:
    return small_network(tmp_path_factory.mktemp("network"))


HOW = ("--steps", "3", "--size", "32")


def test_render(network, tmp_path):
    """Pictures one by one, a contact sheet and a movie, of channels in lists and ranges."""
    files = ("--out", "drawn", "--sheet", "sheet.jpg", "--movie", "way.webp")
    done = overpaint("render", str(network), "mixed3b:1,4-5", *HOW, *files, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    drawn = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.png"))
    assert drawn == [f"drawn/mixed3b/{channel}.png" for channel in (1, 4, 5)]
    assert done.stdout.split()[-5:] == [*drawn, "sheet.jpg", "way.webp"]
    with Image.open(tmp_path / "sheet.jpg") as sheet, Image.open(tmp_path / "way.webp") as way:
        assert sheet.size == way.size == (2 * 40 + 8, 2 * 54 + 8)
        assert way.n_frames == 4  # all of three steps, and the first noise
    told = picture_metadata(tmp_path / drawn[0])["row"]
    assert (told["layer"], told["channel"], told["steps"]) == ("mixed3b", 1, 3)


def test_render_twice(network, tmp_path, monkeypatch):
    """The same command gives the same bytes; a seed, others. A sheet alone leaves no folder."""
    monkeypatch.chdir(tmp_path)
    for name, seed in (("a.png", "0"), ("b.png", "0"), ("c.png", "1")):
        asked = ["render", str(network), "conv2d0:2", *HOW, "--sheet", name, "--seed", seed]
        assert CliRunner().invoke(app, asked).exit_code == 0
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a == b != c
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "c.png"]


def test_render_on_a_picture(network, tmp_path, monkeypatch):
    """A picture is changed for each unit; of a layer without channels, as a whole."""
    Image.effect_noise((60, 40), 80).convert("RGB").save(tmp_path / "old.jpg")
    asked = ("mixed3b:1", "conv2d1", "--picture", "old.jpg", "--steps", "2", "--octaves", "2")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["render", str(network), *asked])
    assert done.exit_code == 0, done.stderr
    for name in ("old-mixed3b-1.png", "old-conv2d1.png"):
        assert Image.open(tmp_path / "renderings" / name).size == (60, 40)


WRONG = [
    (["mixed3x:1"], "unknown-layer", "did you mean 'mixed3b'"),
    (["mixed3b:1", "mixed3x:1"], "unknown-layer", "did you mean"),
    (["mixed3b:96"], "no-channel", "has 88 channels, 0..87; there is no 96"),
    (["mixed3b:one"], "not-a-unit", "mixed4d:164,450-460"),
    (["mixed3b:7-3"], "not-a-unit", "mixed3b:7-3"),
    (["mixed3b:1", "--movie", "way.mp4"], "no-movie", ".gif"),
    (["mixed3b:1", "--sheet", "sheet"], "no-sheet", ".png"),
    (["mixed3b:1", "--canvas", "maco"], "no-spectrum", "--spectrum FOLDER"),
    (["mixed3b:1", "--picture", "nowhere.jpg"], "unreadable-picture", "nowhere.jpg"),
    (["mixed3b:1", "--picture", "a.jpg", "--sheet", "a.png"], "idle-option", "with --picture"),
    (["mixed3b:1", "--picture", "a.jpg", "--movie", "a.gif"], "idle-option", "with --picture"),
    (["mixed3b:1", "--picture", "a.jpg", "--canvas", "pixel"], "idle-option", "with --picture"),
    (["mixed3b:1", "--picture", "a.jpg", "--spectrum", "a"], "idle-option", "with --picture"),
    (["mixed3b:1", "--picture", "a.jpg", "--seed", "0"], "idle-option", "with --picture"),
    (["mixed3b:1", "--octaves", "1"], "idle-option", "without --picture"),
    (["mixed3b:1", "--spectrum", "a"], "idle-option", "without --canvas maco"),
]


@pytest.mark.parametrize(("asked", "slug", "said"), WRONG, ids=["-".join(w[0]) for w in WRONG])
def test_render_a_mistake(network, tmp_path, monkeypatch, asked, slug, said):
    """The message says what would be right, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    error = CliRunner().invoke(app, ["render", str(network), *asked]).exception
    assert isinstance(error, OverpaintError), error
    assert error.slug == slug
    assert said in str(error)
    assert list(tmp_path.iterdir()) == []


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
        (["--out", "x"], "[idle-option]"),
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


def test_a_misspelt_key_is_told_before_anything_heavy_is_imported(tmp_path):
    """The study is read first: neither torch nor the steps of a run are loaded for an error."""
    (tmp_path / "study.yaml").write_text("study: x\nnetwroks: {}\nnetworks: {}\n")
    code = (
        "import sys, overpaint.cli as cli\n"
        f"sys.argv = ['overpaint', 'run', {str(tmp_path / 'study.yaml')!r}]\n"
        "try: cli.main()\nexcept SystemExit as stop: assert stop.code == 2\n"
        "heavy = {'torch', 'pandas', 'PIL', 'overpaint.run'} & sys.modules.keys()\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[unknown-key]" in done.stderr


def test_a_study_folder_is_no_network_and_says_which_it_holds(tmp_path):
    """`render STUDYFOLDER` names the folders of its networks."""
    (tmp_path / "study.yaml").write_text("study: a\n")
    for name in ("source", "tuned"):
        small_network(tmp_path / "networks" / name)
    error = CliRunner().invoke(app, ["render", str(tmp_path), "mixed3b:1"]).exception
    assert isinstance(error, OverpaintError)
    assert error.slug == "not-a-network"
    assert f"{tmp_path / 'networks' / 'source'}, {tmp_path / 'networks' / 'tuned'}" in str(error)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["iconart", "--size", "99"], "--size does nothing for a published collection"),
        (["iconart", "--rate", "2"], "--rate does nothing for a published collection"),
        (["manifest.json", "new", "--column", "a"], "manifest.json is none: leave it out"),
    ],
)
def test_options_of_fetch_that_do_nothing(tmp_path, monkeypatch, asked, said):
    """Of a published collection, and of what is no table."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    error = CliRunner().invoke(app, ["fetch", *asked]).exception
    assert isinstance(error, OverpaintError)
    assert error.slug == "idle-option"
    assert said in str(error)


@pytest.mark.parametrize(
    ("networks", "said"),
    [
        ("source: {load: inception_small, weights: random}", "fitted to a dataset; name one with"),
        (
            "tuned: {load: inception_small, fit: art, recipe: from_scratch}",
            "nothing to advise on art: no network",
        ),
    ],
)
def test_advise_with_nothing_to_do_says_so(tmp_path, networks, said):
    """No dataset to advise on, or no start."""
    (tmp_path / "study.yaml").write_text(
        "study: x\ndatasets:\n  art: {kind: atelier, task: manners, sizes: "
        f"{{train: 16, val: 8, test: 8}}}}\nnetworks: {{{networks}}}\n"
    )
    asked = ["advise", str(tmp_path / "study.yaml"), "--out", str(tmp_path / "run")]
    error = CliRunner().invoke(app, asked).exception
    assert isinstance(error, OverpaintError)
    assert error.slug == "nothing-to-advise"
    assert said in str(error)
