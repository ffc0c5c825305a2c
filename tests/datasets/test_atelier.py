"""The atelier makes the same collection for the same seed, whole, balanced and worth learning."""

import csv
import json
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from overpaint.datasets.atelier import tasks as atelier
from overpaint.datasets.atelier.manners import PAINTERS
from overpaint.datasets.atelier.scenes import WORK, compose, photograph, see
from overpaint.datasets.atelier.subjects import COATS, SHAPES
from overpaint.datasets.atelier.tasks import DEPICTED, MANNERS, SIZES, SUBJECTS, TASKS, make, paint
from overpaint.errors import DatasetError

FEW = {"train": 7, "val": 2, "test": 3}


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- one picture -------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_a_picture_is_small_and_coloured(task):
    """Every picture is 64 × 64 RGB and shows more than one colour."""
    for number in range(10):
        picture, _ = paint(task, "train", number, 0)
        assert (picture.size, picture.mode) == ((64, 64), "RGB")
        assert np.asarray(picture).reshape(-1, 3).std(0).max() > 8


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("other", [("test", 3, 0), ("train", 4, 0), ("train", 3, 1)])
def test_a_picture_depends_on_each_of_its_arguments(task, other):
    """Another split, number or seed gives another picture; the same ones the same picture."""
    first, labels = paint(task, "train", 3, 0)
    again, same = paint(task, "train", 3, 0)
    assert (first.tobytes(), labels) == (again.tobytes(), same)
    assert first.tobytes() != paint(task, *other)[0].tobytes()


def test_classes_take_turns():
    """Each run of pictures as long as the classes are many holds every class once."""
    for task, classes in (("photographs", SUBJECTS), ("manners", MANNERS)):
        shown = [paint(task, "val", number, 5)[1] for number in range(2 * len(classes))]
        assert Counter(shown) == {(each,): 2 for each in classes}


def test_paintings_of_subjects_show_one_to_three():
    """The labels are one to three of the depicted subjects, sorted, and all of them occur."""
    shown = [paint("subjects", "train", number, 0)[1] for number in range(42)]
    assert all(labels == tuple(sorted(set(labels))) for labels in shown)
    assert {len(labels) for labels in shown} == {1, 2, 3}
    assert {label for labels in shown for label in labels} == set(DEPICTED)


def test_an_unknown_task_names_the_near_one():
    """A misspelt task is a DatasetError that suggests the right word."""
    with pytest.raises(DatasetError, match="did you mean 'manners'") as caught:
        paint("maners", "train", 0, 0)
    assert caught.value.slug == "unknown-task"


# --- scenes ------------------------------------------------------------------------------------


def test_every_subject_has_coats():
    """Each subject comes in at least three natural colourings of three colours each."""
    assert set(COATS) == set(SHAPES)
    assert all(len(coats) >= 3 for coats in COATS.values())
    assert all(len(coat.split()) == 3 for coats in COATS.values() for coat in coats)


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_stands_in_the_picture(subject):
    """A subject covers between a fiftieth and two thirds of its picture, wherever it stands."""
    for number in range(25):
        rng = np.random.default_rng(number)
        covered = see(compose([subject], rng), rng).subject.mean()
        assert 0.02 < covered < 0.67


def test_a_view_numbers_its_parts():
    """Sky, ground, clutter and shapes are numbered as their colours are listed."""
    rng = np.random.default_rng(3)
    scene = compose(["house", "moon"], rng)
    view = see(scene, rng)
    assert len(view.colours) == 2 + len(scene.clutter) + len(scene.shapes)
    assert view.part.shape == (WORK, WORK)
    clutter = 1 + len(scene.clutter)
    np.testing.assert_array_equal(view.subject > 0, view.part > clutter)
    np.testing.assert_array_equal(view.flat[:, 0, 0], view.colours[view.part[0, 0]])


@pytest.mark.parametrize("painter", [photograph, *PAINTERS.values()])
def test_painting_stays_in_single_precision(painter):
    """No manner slips into double precision, which would double its time."""
    rng = np.random.default_rng(0)
    picture = painter(see(compose(["boat"], rng, invented=1.0), rng), rng)
    assert (picture.shape, picture.dtype) == ((3, 64, 64), np.float32)


# --- a collection ------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_the_table_tells_what_was_painted(task, tmp_path):
    """labels.csv lists every file once, with the labels that paint gives, split by split."""
    make(tmp_path / "a", task, 4, FEW)
    rows = table(tmp_path / "a")
    assert list(rows[0]) == ["path", "labels", "split"]
    files = {name for name in contents(tmp_path / "a") if name.endswith(".jpg")}
    assert files == {row["path"] for row in rows}
    assert len(files) == len(rows) == 12
    assert [row["split"] for row in rows] == ["train"] * 7 + ["val"] * 2 + ["test"] * 3
    for row in rows:
        number = int(Path(row["path"]).stem)
        assert tuple(row["labels"].split("|")) == paint(task, row["split"], number, 4)[1]


def test_a_stored_picture_is_the_painted_one(tmp_path):
    """The file differs from what paint gives by no more than JPEG at a high quality must."""
    make(tmp_path / "a", "manners", 0, FEW)
    with Image.open(tmp_path / "a" / "train" / "00002.jpg") as file:
        stored = np.asarray(file).astype(int)
    painted = np.asarray(paint("manners", "train", 2, 0)[0]).astype(int)
    assert np.abs(stored - painted).mean() < 3


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    """Two collections of one seed agree in every byte; another seed's do not."""
    make(tmp_path / "a", "subjects", 0, FEW)
    make(tmp_path / "b", "subjects", 0, FEW)
    make(tmp_path / "c", "subjects", 1, FEW)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    a, c = contents(tmp_path / "a"), contents(tmp_path / "c")
    assert all(a[name] != c[name] for name in a if name.endswith(".jpg"))


def test_the_number_of_workers_does_not_show(tmp_path, monkeypatch):
    """One worker and two paint the same files and list the same rows."""
    monkeypatch.setattr(atelier, "FEW", 100)
    for workers in (1, 2):
        monkeypatch.setattr(atelier, "cpu_count", lambda workers=workers: workers)
        make(tmp_path / str(workers), "photographs", 0, {"train": 100, "val": 1, "test": 3})
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert len(contents(tmp_path / "1")) == 104 + 2


def test_a_second_make_does_nothing(tmp_path):
    """A folder that already holds these pictures is left alone, file by file."""
    folder = tmp_path / "a"
    make(folder, "manners", 0, FEW)
    (folder / "train" / "00000.jpg").write_bytes(b"touched")
    make(folder, "manners", 0, FEW)
    assert (folder / "train" / "00000.jpg").read_bytes() == b"touched"


@pytest.mark.parametrize(
    ("task", "seed", "sizes", "version"),
    [
        ("subjects", 0, FEW, atelier.VERSION),
        ("manners", 1, FEW, atelier.VERSION),
        ("manners", 0, FEW | {"val": 4}, atelier.VERSION),
        ("manners", 0, FEW, atelier.VERSION + 1),
    ],
)
def test_another_collection_takes_the_place_of_an_old_one(
    task, seed, sizes, version, tmp_path, monkeypatch
):
    """Another task, seed, size or version is made anew, and nothing of the old one stays."""
    folder = tmp_path / "a"
    make(folder, "manners", 0, FEW | {"train": 9})
    make(folder, "manners", 0, FEW)
    (folder / "train" / "00099.jpg").write_bytes(b"old")
    monkeypatch.setattr(atelier, "VERSION", version)
    make(folder, task, seed, sizes)
    assert not (folder / "train" / "00099.jpg").exists()
    assert json.loads((folder / "atelier.json").read_text())["version"] == version
    assert len(table(folder)) == sum(sizes.values())


def test_sizes_override_split_by_split(tmp_path, monkeypatch):
    """A split that the sizes do not name keeps its default size."""
    monkeypatch.setitem(SIZES, "manners", {"train": 4, "val": 3, "test": 2})
    make(tmp_path / "a", "manners", 0, {"val": 1})
    assert Counter(row["split"] for row in table(tmp_path / "a")) == {
        "train": 4,
        "val": 1,
        "test": 2,
    }


@pytest.fixture
def interrupted(monkeypatch):
    """Painting that is interrupted at the sixth picture."""

    def stopping(task, split, number, seed):
        if number == 5:
            raise KeyboardInterrupt
        return paint(task, split, number, seed)

    def interrupt():
        monkeypatch.setattr(atelier, "paint", stopping)

    return interrupt


def test_an_interrupted_make_leaves_no_folder(tmp_path, interrupted):
    """When painting stops half-way, neither the folder nor a draft of it is left."""
    interrupted()
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "a", "manners", 0, FEW)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_make_keeps_the_old_folder(tmp_path, interrupted):
    """When painting anew stops half-way, the earlier collection is still whole."""
    make(tmp_path / "a", "manners", 0, FEW)
    before = contents(tmp_path / "a")
    interrupted()
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "a", "manners", 1, FEW)
    assert contents(tmp_path / "a") == before


def test_other_files_are_not_replaced(tmp_path):
    """A folder with files that are not the atelier's is refused and left as it is."""
    (tmp_path / "thesis.txt").write_text("the only copy")
    with pytest.raises(DatasetError, match="did not make") as caught:
        make(tmp_path, "manners", 0, FEW)
    assert caught.value.slug == "not-an-atelier"
    assert (tmp_path / "thesis.txt").read_text() == "the only copy"


def test_make_refuses_an_unknown_task(tmp_path):
    """An unknown task is refused before anything is written."""
    with pytest.raises(DatasetError, match="known: photographs, manners, subjects"):
        make(tmp_path / "a", "sculptures", 0, FEW)
    assert not (tmp_path / "a").exists()


# --- worth learning ----------------------------------------------------------------------------


@cache
def painted(task: str, split: str, count: int) -> tuple[np.ndarray, list[str]]:
    """Pictures [count, 64, 64, 3], 0..1, and the label of each."""
    made = [paint(task, split, number, 0) for number in range(count)]
    pixels = np.stack([np.asarray(picture, np.float32) / 255 for picture, _ in made])
    return pixels, [label for _, (label,) in made]


def texture(pictures: np.ndarray) -> np.ndarray:
    """How much the grey changes, by direction and scale: no colour, no place."""
    grey = pictures @ np.array([0.299, 0.587, 0.114], np.float32)
    right, down = np.diff(grey, axis=2)[:, :63], np.diff(grey, axis=1)[:, :, :63]
    steps = np.hypot(right, down).reshape(len(grey), -1)
    turn = np.arctan2(down, right).reshape(len(grey), -1) // (np.pi / 4)
    angles = [(steps * (turn == way)).sum(1) / steps.sum(1) for way in range(-4, 4)]
    scales = [np.abs(grey[:, k:] - grey[:, :-k]).mean((1, 2)) for k in (1, 2, 3, 4, 6, 8)]
    return np.stack(
        [*np.quantile(steps, (0.1, 0.3, 0.5, 0.7, 0.9, 0.98), axis=1), *angles, *scales], 1
    )


def mean_colour(pictures: np.ndarray) -> np.ndarray:
    return pictures.mean((1, 2))


def probed(task: str, statistics: Callable[[np.ndarray], np.ndarray]) -> float:
    """The test accuracy of a linear classifier of simple statistics."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=10, max_iter=2000))
    pictures, labels = painted(task, "train", 160)
    probe.fit(statistics(pictures), labels)
    pictures, labels = painted(task, "test", 80)
    return float(probe.score(statistics(pictures), labels))


def test_manners_differ_by_texture():
    """Without colour, simple statistics tell most manners apart (chance: 0.125)."""
    assert probed("manners", texture) > 0.8


def test_manners_differ_by_more_than_palette():
    """The mean colour of a painting says little about its manner (chance: 0.125)."""
    assert probed("manners", mean_colour) < 0.4


@pytest.mark.parametrize("statistics", [texture, mean_colour])
def test_subjects_are_not_told_by_simple_statistics(statistics):
    """Texture or mean colour solve the photographs nowhere near (chance: 0.1)."""
    assert probed("photographs", statistics) < 0.6
