"""One way to keep an artefact: what changed reaches a folder that exists, and nothing else does."""

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from pydantic import Field
from rich.console import Console

from overpaint.findings import STATEMENTS, Statement
from overpaint.progress import Progressing
from overpaint.records import (
    VERSIONS,
    FindingRow,
    ImageRow,
    Score,
    Scores,
    read_json,
    read_rows,
)
from overpaint.run import run_study, score_table
from overpaint.study import read_study, recipe

STUDY = """\
study: kept
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 24, val: 8, test: 16}}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: photographs, recipe: mode_a, with: {epochs: 1}, repeats: 2}
ensembles: {both: [tuned, tuned.2]}
compare: [[source, tuned]]
maximal_images: 8
pairwise: [photographs]
render: {layers: [mixed3b], channels: [1, 4], steps: 3, size: 48, together: true}
causes: [rewind, between, probe, concepts]
gaze: {pictures: 2, attribution: false}
"""


def carry_out(folder: Path, text: str = STUDY, *, dry: bool = False) -> str:
    """Run a study into a folder and return what was said, with the reasons."""
    file = folder.parent / "study.yaml"
    file.write_text(text)
    said = io.StringIO()
    progress = Progressing(Console(file=said, soft_wrap=True))
    run_study(read_study(str(file)), folder, progress, explain=True, dry=dry)
    return said.getvalue()


def made(said: str) -> set[str]:
    """The artefacts that a run made, or that a dry run would make."""
    lines = [line.split(": ")[0] for line in said.splitlines()]
    return {line.split("  ")[1] for line in lines if line.startswith(("made  ", "to make  "))}


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kept") / "run"
    carry_out(folder)
    return folder


@pytest.fixture
def copy(done, tmp_path) -> Path:
    return shutil.copytree(done, tmp_path / "run")


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


SCORES = {f"networks/{name}/scores.json" for name in ("tuned", "tuned.2")}
NETWORKS = {f"networks/{name}" for name in ("source", "tuned", "tuned.2")}
FEATURES = {  # `tuned.2` is how far luck goes
    f"features/{name}/photographs-{split}.zarr"
    for name in ("source", "tuned", "tuned.2")
    for split in ("test", "train")
}
CONCEPTS = {"concepts/source--tuned"}
GAZES = {"gazes/source--tuned"}
PAIRWISE = {"pairwise/photographs"}
PROBES = {f"probes/{name}/photographs" for name in ("source", "tuned")}
COMPARISON, PAIR = "comparisons/source--tuned", "renderings/source--tuned"
LAYERS = {f"renderings/{name}/mixed3b" for name in ("source", "tuned")}
TABLES = {f"renderings/{name}/renderings.parquet" for name in ("source", "tuned")}
SMALL = {"thumbnails/photographs"}
FOLLOWS = {
    # Weights, features and scores that come out as they were cost nothing that is made from them.
    "dataset": {"datasets/photographs"},
    "network": NETWORKS | SCORES | SMALL,
    # Features are compared by what they were made from, so what is made of them follows.
    "features": FEATURES
    | {COMPARISON, "findings.json"}
    | CONCEPTS
    | GAZES
    | PAIRWISE
    | PROBES
    | TABLES
    | SMALL,
    "comparison": {COMPARISON, "findings.json"} | GAZES | TABLES | SMALL,
    "causes": {"causes/source--tuned", "causes/tuned--tuned.2", "findings.json"},
    "concepts": CONCEPTS | SMALL,
    "gaze": GAZES,
    "pairwise": PAIRWISE,
    "probe": PROBES | {"findings.json"},
    "scores": SCORES | {"ensembles/both/scores.json"},
    "ensemble": {"ensembles/both", "ensembles/both/scores.json"},
    "repeats": {"repeats.json"},
    "findings": {"findings.json"},
    "renderings": LAYERS | TABLES | {PAIR},
    "thumbnails": SMALL,
    "advice": set(),  # a command of its own
    "site": set(),
}
"""What another version of a kind makes again, beside the site."""


def test_every_kind_is_tried():
    """The table of versions and the cases below name the same kinds."""
    assert FOLLOWS.keys() == VERSIONS.keys()


@pytest.mark.parametrize("kind", [kind for kind in FOLLOWS if kind != "advice"])
def test_a_changed_version_makes_exactly_what_depends_on_it(copy, monkeypatch, kind):
    """What is of another version is made again, and so is what is made from it."""
    monkeypatch.setitem(VERSIONS, kind, VERSIONS[kind] + 1)
    came_out_equal = {"repeats", "findings"}  # tables that the site is made from as they are
    site = set() if kind in came_out_equal else {"site.json"}
    assert made(carry_out(copy)) == FOLLOWS[kind] | site
    assert made(carry_out(copy)) == set()


def test_a_new_kind_of_finding_reaches_a_folder_that_exists(copy, monkeypatch):
    """A statement that is added to the program is tested on what lies there, and shown."""
    row = FindingRow(
        statement="new",
        subject="source → tuned",
        verdict="untested",
        measured="nothing",
        value=None,
        low=None,
        high=None,
        chance=None,
        n=0,
        unit="pictures",
        remark="for trial",
        before="source",
        after="tuned",
    )
    new = Statement(
        key="new", title="A new one", reading="-", nothing="-", test=lambda _results: [row]
    )
    monkeypatch.setitem(STATEMENTS, "new", new)
    assert made(carry_out(copy)) == {"findings.json", "site.json"}
    assert "new" in [told["statement"] for told in read_json(copy / "findings.json")["findings"]]
    page = (copy / "site/findings.html").read_text()
    assert "A new one" in page
    assert "for trial" in page


def test_features_of_another_precision_are_others(copy):
    """They are made anew with what is made of them, and the comparison's page is told."""
    text = STUDY + "features: {precision: bf16}\n"
    assert made(carry_out(copy, text)) == FOLLOWS["features"] | {"site.json"}
    assert made(carry_out(copy, text)) == set()
    manifest = read_json(copy / "features/tuned/photographs-test.zarr/manifest.json")
    assert manifest["settings"]["precision"] == "bf16"
    assert manifest["facts"]["batch"] == 32
    notes = read_json(copy / "comparisons/source--tuned/manifest.json")["facts"]["notes"]
    assert notes[-1] == "The features were computed in bf16, not in float32."
    assert made(carry_out(copy)) == FOLLOWS["features"] | {"site.json"}


def test_features_at_an_address(copy):
    """What is begun anew has its numbers there and is compared from there; what lies in the folder
    stays there.
    """
    text = STUDY + 'features: {store: "memory://kept"}\n'
    assert made(carry_out(copy, text)) == {"site.json"}  # the study's own text is another
    before = read_json(copy / "comparisons/source--tuned/manifest.json")
    tables = (copy / "comparisons/source--tuned/layers.parquet").read_bytes()
    shutil.rmtree(copy / "features")
    shutil.rmtree(copy / "comparisons")
    assert made(carry_out(copy, text)) >= FEATURES | {COMPARISON}
    assert not list((copy / "features").glob("*/*/*/mean/c/*"))
    assert read_json(copy / "comparisons/source--tuned/manifest.json") == before
    assert (copy / "comparisons/source--tuned/layers.parquet").read_bytes() == tables
    memory = fsspec.filesystem("memory")
    assert memory.glob("/kept/*.zarr/*/mean/c/0/0")
    memory.store.clear()


def test_a_recipe_field_with_a_neutral_default_makes_nothing_again(copy, monkeypatch):
    """Settings enter a key without their defaults."""

    class Grown(recipe.Recipe):
        warm_up: int = Field(0, ge=0)

    for module in ("overpaint.study.recipe", "overpaint.study.model", "overpaint.run.networks"):
        monkeypatch.setattr(f"{module}.Recipe", Grown)
    assert made(carry_out(copy)) == set()
    other = STUDY.replace("epochs: 1}", "epochs: 1, warm_up: 2}")
    said = carry_out(copy, other, dry=True)
    assert "to make  networks/tuned: recipe.warm_up is 2, was at its default" in said


def test_a_changed_title_redoes_the_report_alone(copy):
    """What a network is called enters no key: the run makes nothing, and the pages have it."""
    titled = STUDY.replace("tuned: {from", 'tuned: {title: "tuned, but gently", from')
    assert titled != STUDY
    artefacts = files(copy)
    assert made(carry_out(copy, titled)) == {"site.json"}
    of_run = {name for name in artefacts if not name.startswith(("site", "study.yaml", "."))}
    after = files(copy)
    assert {name: after[name][1] for name in of_run} == {
        name: artefacts[name][1] for name in of_run
    }
    assert "tuned, but gently" in (copy / "site/index.html").read_text("utf-8")
    assert (copy / "site/networks/tuned.html").is_file()


TABLE = """\
study: table
datasets:
  art: {kind: table, root: art, file: art.csv}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: art, recipe: mode_a, with: {epochs: 1}}
compare: [[source, tuned]]
maximal_images: 4
"""


def write_table_of(copy: Path, file: Path, source: str, rights: str) -> None:
    """The pictures of a run as a table that says where each comes from; {} is its number."""
    rows = read_rows(copy / "datasets/photographs/images.parquet", ImageRow)
    lines = [f"{row.image},{row.labels[0]},{row.split},{source.format(number)},{rights}"
             for number, row in enumerate(rows)]  # fmt: skip
    file.write_text("\n".join(["path,label,split,source,rights", *lines]))


def test_sources_of_a_table_reach_the_report_and_nothing_is_trained_again(copy, tmp_path):
    """What a table says of its pictures stands on the pages; told otherwise, only they change."""
    folder, file = tmp_path / "table", tmp_path / "art.csv"
    root = Path(read_json(copy / "datasets/photographs/manifest.json")["facts"]["root"])
    shutil.copytree(root, tmp_path / "art")
    write_table_of(copy, file, "https://museum.org/{}", "CC0")
    carry_out(folder, TABLE)
    page = folder / "site/networks/tuned.html"
    channels = folder / "site/comparisons/source--tuned.js"  # its pictures
    pictures = folder / "site/pictures/art.js"  # the page of each, where its source stands
    to_its_page = r'<a href="\.\./pictures/art\.html#[^"]+" title="{}"><svg '
    assert len(re.findall(to_its_page.format("Rights: CC0"), page.read_text())) >= 4
    assert len(re.findall(r'"https://museum\.org/\d+"', pictures.read_text())) >= 4
    assert '"Rights: CC0"' in channels.read_text()
    write_table_of(copy, file, "javascript:alert({})", "CC BY 4.0")
    assert made(carry_out(folder, TABLE)) == {"site.json"}
    title = to_its_page.format(r"Source: javascript:alert\(\d+\)\. Rights: CC BY 4\.0")
    assert len(re.findall(title, page.read_text())) >= 4
    assert "javascript:alert(" in pictures.read_text()
    assert 'href="javascript' not in page.read_text()
    title = re.compile(r'"Source: javascript:alert\(\d+\). Rights: CC BY 4.0"')
    assert len(title.findall(channels.read_text())) >= 4
    assert '"javascript:' not in channels.read_text()
    write_table_of(copy, file, "", "")
    assert made(carry_out(folder, TABLE)) == {"site.json"}
    assert "title=" not in page.read_text()
    assert "Rights" not in channels.read_text()


def test_a_dry_run_says_what_would_be_made_and_writes_nothing(copy):
    """Each artefact is named with its reason; what depends on it may have to be made too."""
    before = files(copy)
    said = carry_out(copy, STUDY.replace("epochs: 1", "epochs: 2"), dry=True)
    assert files(copy) == before
    assert "kept  networks/source" in said
    assert "to make  networks/tuned: recipe.epochs is 2, was 1" in said
    assert f"to make  {COMPARISON}: after is to be made" in said
    assert "at its default" not in said  # of a network that is not there nothing is known
    assert f"to make  {max(FEATURES)}: network is to be made\n" in said
    assert "networks.tuned.with.epochs is 2, was 1" in said  # as the study writes it
    assert "among what it was made from" not in said
    assert made(said) >= NETWORKS - {"networks/source"} | SCORES | {COMPARISON, "findings.json"}


def test_a_run_counts_to_what_it_had_said_at_its_beginning(tmp_path):
    """The whole never grows, though which channels are drawn is known only after comparing; and a
    run that finds all there says so.
    """
    (tmp_path / "study.yaml").write_text(STUDY.replace("[1, 4]", "most_changed(2)"))
    said = []
    for _ in range(2):
        told = io.StringIO()
        progress = Progressing(Console(file=told, soft_wrap=True))
        run_study(read_study(str(tmp_path / "study.yaml")), tmp_path / "run", progress)
        said.append(told.getvalue())
    counts = [tuple(map(int, told)) for told in re.findall(r"\((\d+) of (\d+)[,)]", said[0])]
    [total] = {total for _, total in counts}
    assert [made for made, _ in counts] == sorted(made for made, _ in counts)
    assert counts[-1] == (total, total)
    assert "nothing to make" not in said[0]
    assert "nothing to make: all is there" in said[1]
    assert " of " not in said[1].partition("nothing")[0]


def test_a_report_that_a_command_has_written_does_not_alarm(copy):
    """It has no manifest of a run's, as when it is looked at before the run has ended."""
    (copy / "site.manifest.json").unlink()
    (copy.parent / "study.yaml").write_text(STUDY)
    said = io.StringIO()
    progress = Progressing(Console(file=said, soft_wrap=True))
    run_study(read_study(str(copy.parent / "study.yaml")), copy, progress)
    assert "manifest" not in said.getvalue()
    assert (copy / "site.manifest.json").is_file()


def test_the_table_at_the_end_folds_and_has_the_mean_of_repeats():
    """Nothing of a name is cut on a narrow terminal."""
    said = io.StringIO()
    scores = {
        name: Scores(
            dataset="Bildmotive_Sammlung_Mueller",
            split="test",
            multi_label=False,
            main="top1",
            scores={"top1": Score(value=value, low=0.741, high=0.944, chance=0.5, n=16)},
            classes=[],
            without_positives=[],
        )
        for name, value in [("tuned", 0.8), ("tuned.2", 0.6)]
    }
    table = score_table(scores, {"tuned": ["tuned", "tuned.2"]})
    Console(file=said, width=80).print(table)
    told = said.getvalue()
    assert "…" not in told
    assert "74.1–94.4 %" in told
    assert "70.0%" in told
    assert "tuned, mean" in told


def test_a_dry_run_of_a_new_study_needs_no_folder(tmp_path):
    """Before anything is there, all is to be made, and nothing is written."""
    said = carry_out(tmp_path / "run", dry=True)
    assert not (tmp_path / "run").exists()
    assert made(said) >= {"datasets/photographs"} | NETWORKS | {COMPARISON, "findings.json"}


def test_a_dry_run_says_which_collections_are_missing_and_what_belongs_there(tmp_path, monkeypatch):
    """Of a study that ships they are looked for where the command is given."""
    monkeypatch.chdir(tmp_path)
    said = io.StringIO()
    run_study(
        read_study("faper2020"),
        tmp_path / "run",
        Progressing(Console(file=said, soft_wrap=True)),
        dry=True,
    )
    missing = [line for line in said.getvalue().splitlines() if line.startswith("missing")]
    assert len(missing) == 3
    assert f"{tmp_path}/data/rasta is not RASTA: it lacks wikipaintings_train/" in missing[0]
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_imports_no_torch(copy):
    """What would be made is told from files alone."""
    (copy.parent / "study.yaml").write_text(STUDY)
    code = (
        "import sys, io; from pathlib import Path; from rich.console import Console\n"
        "from overpaint.study import read_study; from overpaint.run import run_study\n"
        "from overpaint.progress import Progressing\n"
        f"study = read_study({str(copy.parent / 'study.yaml')!r}, ['seed=3'])\n"
        f"run_study(study, Path({str(copy)!r}), "
        "Progressing(Console(file=io.StringIO())), dry=True)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_folder_from_before_versions_is_read_on(copy):
    """Old manifests tell settings whole and no version, and scores and findings have none: trained
    networks and features are kept, tables are made anew, and it is said why.
    """
    for path in copy.glob("**/*.manifest.json"):
        path.unlink()
    for path in copy.glob("**/manifest.json"):
        told = read_json(path)
        del told["version"], told["files"], told["seal"]
        path.write_text(json.dumps(told | {"key": "0" * 64}))
    said = carry_out(copy)
    assert made(said).isdisjoint(NETWORKS | FEATURES | LAYERS)
    assert made(said) >= {COMPARISON, "findings.json"} | SCORES
    assert f"made  {COMPARISON}: comparison is of version {VERSIONS['comparison']}, was 1" in said
    assert "made  findings.json: it has no manifest" in said
    assert made(carry_out(copy)) == set()


def test_a_manifest_that_was_changed_by_hand_is_no_answer(copy):
    """A key that does not belong to what the manifest tells makes the artefact anew."""
    path = copy / "repeats.manifest.json"
    path.write_text(json.dumps(read_json(path) | {"key": "0" * 64}))
    assert "made  repeats.json: its key is not that of what it tells" in carry_out(copy)


def test_thumbnails_of_another_size_are_made_anew(copy, monkeypatch):
    """The size of a thumbnail is no secret of the file's name."""
    monkeypatch.setattr("overpaint.run.thumbnails.SIDE", 40)
    before = files(copy / "thumbnails")
    assert made(carry_out(copy)) == {"thumbnails/photographs", "site.json"}
    after = files(copy / "thumbnails")
    pictures = [name for name in after if name.endswith(".jpg")]
    assert pictures
    assert all(after[name] != before[name] for name in pictures)


def test_what_is_told_of_a_dataset_is_renewed(tmp_path, pictures):
    """A file that is no picture is noted on the data page, although no picture has changed."""
    text = f"study: x\ndatasets: {{art: {{kind: folder, root: {pictures}}}}}\nnetworks:\n"
    text += "  a: {load: inception_small, weights: random}\n"
    carry_out(tmp_path / "run", text)
    assert made(carry_out(tmp_path / "run", text)) == set()
    (pictures / "red/notes.txt").write_text("...")
    said = carry_out(tmp_path / "run", text)
    assert made(said) == {"datasets/art", "site.json"}
    assert "made  datasets/art: what is to be told of it has changed" in said
    assert "1 file was no picture: 1 .txt." in (tmp_path / "run/site/data.html").read_text()
