"""What an artefact is made from: a change of it makes exactly what depends on it, else nothing."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

from overpaint.progress import Progressing
from overpaint.records import StudyFolder, read_json
from overpaint.report import build
from overpaint.run import run_study
from overpaint.run.advice import advise_study
from overpaint.seeds import generator
from overpaint.study import read_study

STUDY = """\
study: inputs
datasets:
  art: {kind: table, root: pictures, file: art.csv, group: artist}
  other: {kind: folder, root: other}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: art, recipe: mode_a, with: {epochs: 1}}
  again: {from: source, fit: art, recipe: mode_b, with: {epochs: 1}}
  elsewhere: {from: source, fit: other, recipe: mode_a, with: {epochs: 1}}
ensembles: {both: [tuned, again]}
compare: [[source, tuned]]
maximal_images: 4
render: {layers: [mixed3a], channels: [1], steps: 2, size: 32, colours: art}
causes: [probe, concepts]
"""


def paint(path: Path, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = generator(0, "inputs", path.name, *map(str, colour)).normal(0, 30, (40, 40, 3))
    Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8)).save(path)


def write_art(place: Path) -> None:
    """Sixteen pictures to train on, of eight artists, four to choose by, eight to test with, half
    of them by artists of train.
    """
    rows = []
    for number in range(28):
        label, colour = (("red", (200, 40, 40)), ("blue", (40, 40, 200)))[number % 2]
        split = "train" if number < 16 else "val" if number < 20 else "test"
        paint(place / f"pictures/{number:02}.png", colour)
        artist = f"artist {number // 2 % 8 if number < 24 else number}"
        rows.append((f"{number:02}.png", label, split, artist, "museum", "CC0"))
        paint(place / f"other/{('train', 'val', 'test')[number % 3]}/{label}/{number}.png", colour)
    columns = ["path", "label", "split", "artist", "source", "rights"]
    pd.DataFrame(rows, columns=columns).to_csv(place / "art.csv", index=False)


def study_in(place: Path, text: str = STUDY):
    (place / "study.yaml").write_text(text)
    return read_study(str(place / "study.yaml"))


def run(place: Path, text: str = STUDY) -> set[str]:
    """Run the study of a place; the artefacts that were made."""
    said = io.StringIO()
    progress = Progressing(Console(file=said, soft_wrap=True))
    run_study(study_in(place, text), place / "run", progress, explain=True)
    lines = [line.split(": ")[0] for line in said.getvalue().splitlines()]
    return {line.split("  ")[1] for line in lines if line.startswith("made  ")}


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("inputs")
    write_art(place)
    quiet = Progressing(Console(file=io.StringIO()))
    advise_study(study_in(place), place / "run", quiet, ["art"])
    run(place)
    return place


def table(change: Callable[[pd.DataFrame], pd.DataFrame | None]) -> Callable[[Path], None]:
    """A change of the table of pictures."""

    def write(place: Path) -> None:
        frame = pd.read_csv(place / "art.csv")
        changed = change(frame)
        (frame if changed is None else changed).to_csv(place / "art.csv", index=False)

    return write


def setting(before: str, after: str) -> Callable[[Path], str]:
    """A change of the study."""

    def write(_place: Path) -> str:
        assert before in STUDY
        return STUDY.replace(before, after)

    return write


def put(column: str, row: int, value: str) -> Callable[[Path], None]:
    """Another value of one cell of the table."""
    return table(lambda frame: frame.assign(**{
        column: [value if number == row else old for number, old in enumerate(frame[column])]
    }))  # fmt: skip


def another_picture(number: int) -> Callable[[Path], None]:
    return lambda place: paint(place / f"pictures/{number:02}.png", (90, 160, 90))


SCORES = {
    f"{place}/scores.json" for place in ("networks/tuned", "networks/again", "ensembles/both")
}
COMPARED = {
    *("comparisons/source--tuned", "findings.json", "thumbnails/art"),
    *(f"renderings/{name}/renderings.parquet" for name in ("source", "tuned")),
}
PROBES = {"probes/source/art", "probes/tuned/art"}
CONCEPTS = {"concepts/source--tuned"}
DRAWN = {f"renderings/{name}/mixed3a" for name in ("source", "tuned")}
TUNED = {"networks/tuned", "networks/tuned/scores.json", "ensembles/both",
         "ensembles/both/scores.json"}  # fmt: skip
AGAIN = {"networks/again", "networks/again/scores.json", "ensembles/both",
         "ensembles/both/scores.json", "findings.json", "thumbnails/art"}  # fmt: skip


def features(*splits: str, names: tuple[str, ...] = ("source", "tuned")) -> set[str]:
    return {f"features/{name}/art-{split}.zarr" for name in names for split in splits}


OF_ART = (
    {"datasets/art", "advice.parquet"} | TUNED | AGAIN | SCORES | COMPARED | DRAWN
    | PROBES | CONCEPTS
    | features("train", "test")
)  # fmt: skip
"""All that is made from the dataset."""

OF_TRAIN = OF_ART - features("test", names=("source",)) | {"site.json"}

CHANGES = {
    "nothing": (lambda _place: None, set()),
    "a comment of the study": (setting("maximal_images", "# more\nmaximal_images"), set()),
    "the time of a picture": (lambda place: (place / "pictures/00.png").touch(), set()),
    "a column nobody asked for": (table(lambda frame: frame.assign(century=19)), set()),
    "the order of columns": (table(lambda frame: frame[frame.columns[::-1]]), set()),
    "a source": (put("source", 26, "a friend"), {"site.json"}),
    "rights": (put("rights", 3, "CC BY 4.0"), {"site.json"}),
    # Concepts name the artists, and in the order of their names intervals draw them.
    "the name of an artist": (
        table(lambda frame: frame.assign(artist=frame["artist"].replace("artist 3", "Manet"))),
        {"findings.json", "site.json", "thumbnails/art"} | CONCEPTS | PROBES,
    ),
    "a group of test that is known now": (
        put("artist", 26, "artist 3"),
        {"datasets/art", "site.json"} | COMPARED | SCORES | CONCEPTS
        | PROBES,
    ),
    "a group of train": (
        put("artist", 1, "artist 5"),
        {"advice.parquet", "findings.json", "site.json", "thumbnails/art"} | CONCEPTS | PROBES,
    ),
    "a picture of test": (another_picture(26), OF_ART - features("train") - DRAWN
                          - {"advice.parquet"} | {"site.json"}),
    "a picture of train": (another_picture(2), OF_TRAIN),
    "a label": (put("label", 4, "blue"), OF_TRAIN),
    "the name of a class": (
        table(lambda frame: frame.assign(label=frame["label"].replace("red", "rot"))),
        OF_ART | {"site.json"},
    ),
    "a recipe": (
        setting("mode_b, with: {epochs: 1}", "mode_b, with: {epochs: 1, head_lr: 0.05}"),
        AGAIN | {"site.json"},
    ),
    "the images of a channel": (
        setting("maximal_images: 4", "maximal_images: 5"), COMPARED | {"site.json"},
    ),
    "the channels to draw": (
        setting("channels: [1]", "channels: [2]"), COMPARED | DRAWN | {"site.json"},
    ),
    "the steps of a rendering": (
        setting("steps: 2", "steps: 3"),
        DRAWN | {"site.json"} | {path for path in COMPARED if path.startswith("renderings")},
    ),
    "an ensemble": (
        setting("ensembles: {both: [tuned, again]}", "ensembles: {}"),
        {"findings.json", "site.json"},
    ),
}  # fmt: skip
"""By what is changed: how, and what is made anew."""


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_makes_exactly_what_depends_on_it(done, tmp_path, what):
    """And the next run makes nothing."""
    place = shutil.copytree(done, tmp_path / "place")
    change, follows = CHANGES[what]
    text = change(place) or STUDY
    first = run(place, text)
    assert first - {"site.json"} == follows - {"site.json"}
    assert run(place, text) == set()


def test_scores_of_known_groups_follow_the_groups(done, tmp_path):
    """The number of pictures by known hands is that of the table."""
    place = shutil.copytree(done, tmp_path / "place")
    scores = place / "run/networks/tuned/scores.json"
    assert {side: score["n"] for side, score in read_json(scores)["groups"].items()} == {
        "known": 4,
        "unknown": 4,
    }
    put("artist", 26, "artist 3")(place)
    run(place)
    for path in (scores, place / "run/ensembles/both/scores.json"):
        assert read_json(path)["groups"]["known"]["n"] == 5


def test_the_report_says_that_advice_is_of_other_pictures(done, tmp_path):
    """Where data changed and nobody has run the study, the page does not show it as true."""
    place = shutil.copytree(done, tmp_path / "place")
    advice = StudyFolder(place / "run").advice
    build(place / "run")
    assert "advice.parquet" not in (place / "run/site/index.html").read_text()
    before = (advice.read_bytes(), advice.with_suffix(".manifest.json").read_bytes())
    another_picture(2)(place)
    run(place)
    assert "is of other" not in (place / "run/site/index.html").read_text()
    advice.write_bytes(before[0])
    advice.with_suffix(".manifest.json").write_bytes(before[1])
    build(place / "run")
    page = (place / "run/site/index.html").read_text()
    assert "advice.parquet is of other pictures of art than there are now." in page
