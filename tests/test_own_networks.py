"""The examples of docs/own-networks.md run as they stand, and a comparison has its report."""

import re
from pathlib import Path

import pytest
import torch
from rich.console import Console

import overpaint as op
from overpaint.errors import NetworkError, OverpaintError, RecordError, StudyError
from overpaint.progress import Progressing
from overpaint.records import MaximalRow, StudyFolder, read_rows, read_table
from overpaint.report.study.reading import read_records
from overpaint.run import run_study
from overpaint.study import read_study

PAGE = Path(__file__).parents[1] / "docs/own-networks.md"
PYTHON = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
BY_HAND, TRANSFORMERS, ADAPTER, FUNCTION = PYTHON
[STUDY] = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)


def run(code: str) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - it is the page's own example
    return names


def notes_of(folder: Path) -> list[str]:
    """What the report says is missing or broken."""
    records = read_records(StudyFolder(folder))
    parts = [*records.datasets.values(), *records.networks.values(), *records.comparisons.values()]
    return [*records.notes, *(note for part in parts for note in part.notes)]


def test_a_network_written_by_hand(pictures, monkeypatch, capsys):
    """Thirty lines of somebody's, five steps, and pages of what they changed."""
    monkeypatch.chdir(pictures.parent)
    names = run(BY_HAND)
    assert capsys.readouterr().out.startswith("('stem', 'middle', 'last') classifier\n")
    change = names["change"]
    assert change.layers["layer"].tolist() == ["stem", "middle", "last"]
    assert Path("middle.png").is_file()

    folder = Path("runs/mine")
    assert notes_of(folder) == []
    page = (folder / "site/index.html").read_text("utf-8")
    assert "before → tuned" in page
    assert "1 comparison of networks that were made elsewhere (18 pictures)" in page
    records = read_records(StudyFolder(folder))
    assert list(records.networks) == ["before", "tuned"]
    assert len(records.comparisons["before--tuned"].facts.shown) == 4
    for side in ("before", "tuned"):
        drawn = read_table(folder / "renderings" / side / "renderings.parquet")
        assert len(drawn) == 4
    table = read_table(StudyFolder(folder).comparison("before", "tuned") / "layers.parquet")
    assert table["cka"].tolist() == change.layers["cka"].tolist()
    maximal = read_rows(StudyFolder(folder).comparison("before", "tuned") / "maximal.parquet", MaximalRow)  # fmt: skip # noqa: E501
    thumbnails = {path.stem for path in (folder / "thumbnails").rglob("*.jpg")}
    assert {row.digest[:24] for row in maximal} == thumbnails
    with pytest.raises(NetworkError, match="holds no weights"):
        op.load("runs/mine/networks/tuned")


def test_a_network_of_transformers(pictures, monkeypatch, capsys):
    """A vision transformer from a configuration, before and after five steps, has its pages."""
    monkeypatch.chdir(pictures.parent)
    names = run(TRANSFORMERS)
    assert capsys.readouterr().out.startswith("vit.layers.0 1\n")
    assert (names["change"].layers["cka"] < 1).all()
    folder = Path("runs/vit")
    assert notes_of(folder) == []
    layer_pages = {page.stem for page in (folder / "site/comparisons/before--after").glob("*.html")}
    assert {"vit.embeddings", "vit.layers.0", "vit.layers.3"} <= layer_pages


def test_the_adapter():
    """A module of two inputs is wrapped by the five lines."""

    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 4, 3)

        def forward(self, pictures, numbers):
            return self.two(self.one(pictures)) + numbers[:, None, None, None]

    with pytest.raises(NetworkError, match="needs pictures, numbers"):
        op.wrap(Two())
    adapter = run(ADAPTER)["Adapter"](Two())
    assert op.wrap(adapter, preprocessing={"size": 32}).layers == ("inner.one", "inner.two")


def test_a_study_of_the_page(pictures):
    """The study of the page is read, its function found, and its network made."""
    place = pictures.parent
    (place / "mynets.py").write_text(FUNCTION)
    (place / "mine.yaml").write_text(STUDY)
    study = read_study(str(place / "mine.yaml"), ["networks.tuned.with.epochs=1"])
    progress = Progressing(Console(quiet=True))
    outcome = run_study(study, place / "run", progress, allow_code=True)
    assert outcome.failures == {}
    assert op.load(str(place / "run/networks/tuned"), code=place).classes == ("blue", "red")


# --- reports -------------------------------------------------------------------------------------


@pytest.fixture
def change(pictures):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(),
                                 torch.nn.Conv2d(4, 4, 3), torch.nn.ReLU())  # fmt: skip
    network = op.wrap(module, preprocessing={"size": 32}, name="mine")
    return op.compare(network, network, op.dataset(pictures).split("train"), k=4)


def test_a_report_is_written_again_and_nothing_else_is_written_over(change, tmp_path):
    """A folder that holds a report of this kind takes another; any other folder is left alone."""
    folder = tmp_path / "report"
    first = op.report(change, folder)
    assert op.report(change, str(folder), names=("a", "b")) == first
    assert op.report(folder) == first
    (tmp_path / "study.yaml").write_text("study: x\nnetworks: {a: {load: inception_small}}\n")
    for other in (tmp_path, tmp_path / "pictures"):
        before = sorted(other.iterdir())
        with pytest.raises(RecordError) as caught:
            op.report(change, other)
        assert caught.value.slug == "folder-not-empty"
        assert sorted(other.iterdir()) == before


def test_a_network_that_has_changed_since_is_not_drawn(change, tmp_path):
    """Renderings are of the weights that were compared, or of none; the tables stay what they are."""  # noqa: E501
    with torch.no_grad():
        change.of.after.body[0].weight += 1
    with pytest.raises(NetworkError) as caught:
        op.report(change, tmp_path / "report", render={"layers": ["1"]})
    assert caught.value.slug == "changed-weights"
    assert not (tmp_path / "report").exists()
    assert op.report(change, tmp_path / "report").is_file()


@pytest.mark.parametrize(
    "options",
    [
        {"names": ("a b", "c")},
        {"names": ("same", "same")},
        {"render": {"layer": ["1"]}},
        {"render": {"layers": ["1"], "channels": "some"}},
        {"render": {"layers": ["nowhere"]}},
    ],
)
def test_what_cannot_be_reported_is_told(change, tmp_path, options):
    """Names, keys and layers that cannot be are errors of a study, and nothing is written."""
    with pytest.raises(OverpaintError):
        op.report(change, tmp_path / "report", **options)
    assert not (tmp_path / "report").exists()


def test_a_study_made_in_python_is_no_study_to_run(change, tmp_path):
    """`overpaint run` on the written study says that its networks cannot be made from it."""
    op.report(change, tmp_path / "report")
    study = read_study(str(tmp_path / "report/study.yaml"))
    with pytest.raises((NetworkError, StudyError)) as caught:
        run_study(study, tmp_path / "again", Progressing(Console(quiet=True)))
    assert caught.value.slug == "no-code"
