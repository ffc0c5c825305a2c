"""The atelier: a collection made on the spot, for the demonstration and the tests.

Its three tasks mirror the transfer from photographs to paintings at the size of a stamp:
`photographs` to learn to see (one subject each), `manners` to fine-tune on (in which manner is it
painted?), and `subjects`, a small set of paintings with several subjects each, that a network does
better to reach by way of the other two.

>>> picture, labels = paint("photographs", "train", 0, seed=0)
>>> picture.size, picture.mode, labels
((64, 64), 'RGB', ('house',))
>>> paint("manners", "test", 3, seed=0)[1]
('hatching',)
>>> paint("subjects", "val", 4, seed=0)[1]
('flower', 'house')
"""

import csv
import multiprocessing
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image

from overpaint.datasets.atelier.manners import PAINTERS
from overpaint.datasets.atelier.scenes import compose, photograph, printed, see
from overpaint.datasets.atelier.subjects import SHAPES, Generator
from overpaint.errors import DatasetError, RecordError, nearest
from overpaint.records import read_json, whole_folder, write_json
from overpaint.seeds import generator

VERSION = 1
"""Raised whenever the same seed gives other pictures, so that stored ones are made anew."""

SUBJECTS: tuple[str, ...] = tuple(SHAPES)
"""What is shown, the classes of `photographs`."""
DEPICTED: tuple[str, ...] = SUBJECTS[:7]
"""The subjects that the paintings of `subjects` show, its classes."""
MANNERS: tuple[str, ...] = tuple(PAINTERS)
"""How it is painted, the classes of `manners`."""

SIZES: dict[str, dict[str, int]] = {
    "photographs": {"train": 2400, "val": 400, "test": 400},
    "manners": {"train": 1200, "val": 240, "test": 400},
    "subjects": {"train": 240, "val": 120, "test": 400},
}
"""The number of pictures of each task and split."""


def _photographs(number: int, rng: Generator) -> tuple[Image.Image, tuple[str, ...]]:
    subject = SUBJECTS[number % len(SUBJECTS)]
    view = see(compose([subject], rng), rng)
    return printed(photograph(view, rng)), (subject,)


def _manners(number: int, rng: Generator) -> tuple[Image.Image, tuple[str, ...]]:
    manner = MANNERS[number % len(MANNERS)]
    shown = [SUBJECTS[which] for which in rng.permutation(len(SUBJECTS))[: rng.integers(1, 3)]]
    return _painted(shown, manner, rng), (manner,)


def _subjects(number: int, rng: Generator) -> tuple[Image.Image, tuple[str, ...]]:
    first = number % len(DEPICTED)
    others = rng.permutation(len(DEPICTED) - 1)[: rng.integers(0, 3)] + first + 1
    shown = [DEPICTED[which % len(DEPICTED)] for which in (first, *others)]
    manner = LEGIBLE[int(rng.integers(len(LEGIBLE)))]
    return _painted(shown, manner, rng), tuple(sorted(shown))


LEGIBLE = tuple(manner for manner in MANNERS if manner != "fields")
"""The manners in which a subject can still be made out."""


def _painted(shown: list[str], manner: str, rng: Generator) -> Image.Image:
    view = see(compose(shown, rng, invented=0.6), rng)
    return printed(PAINTERS[manner](view, rng))


EASELS: dict[str, Callable[[int, Generator], tuple[Image.Image, tuple[str, ...]]]] = {
    "photographs": _photographs,
    "manners": _manners,
    "subjects": _subjects,
}
TASKS: tuple[str, ...] = tuple(EASELS)
"""The collections that the atelier makes."""


def paint(task: str, split: str, number: int, seed: int) -> tuple[Image.Image, tuple[str, ...]]:
    """One picture (64 × 64, RGB) and its labels: a pure function of its arguments.

    The classes of `photographs` and `manners` take turns by number, so that any run of pictures is
    balanced. A DatasetError, slug `unknown-task`, names the tasks that there are.
    """
    if task not in EASELS:
        raise DatasetError(
            "unknown-task", f"the atelier has no task {task!r}; {nearest(task, TASKS)}"
        )
    return EASELS[task](number, generator(seed, "atelier", task, split, number))


def make(folder: Path, task: str, seed: int, sizes: Mapping[str, int] | None = None) -> None:
    """Fill a folder with a task's pictures, `<split>/<number>.jpg`, and `labels.csv` beside them.

    `labels.csv` has the columns path, labels (joined by "|") and split. The folder appears whole
    or not at all, in place of an older one; nothing is done when it already holds these pictures.
    """
    if task not in TASKS:
        raise DatasetError(
            "unknown-task", f"the atelier has no task {task!r}; {nearest(task, TASKS)}"
        )
    wanted = {"task": task, "seed": seed, "sizes": dict(sizes or SIZES[task]), "version": VERSION}
    if _holds(folder, wanted):
        return
    with whole_folder(folder) as draft:
        jobs = [
            (draft, task, split, number, seed)
            for split, count in dict(sizes or SIZES[task]).items()
            for number in range(count)
        ]
        for split in {job[2] for job in jobs}:
            (draft / split).mkdir()
        with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
            rows = list(pool.map(_paint_file, jobs, chunksize=64))
        with (draft / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("path", "labels", "split"), *rows])
        write_json(draft / "atelier.json", wanted)


def _paint_file(job: tuple[Path, str, str, int, int]) -> tuple[str, str, str]:
    """Paint one picture into its file; returns its row of `labels.csv`."""
    folder, task, split, number, seed = job
    picture, labels = paint(task, split, number, seed)
    path = f"{split}/{number:05}.jpg"
    picture.save(folder / path, quality=93, subsampling=0)
    return path, "|".join(labels), split


def _holds(folder: Path, wanted: Mapping[str, object]) -> bool:
    try:
        return bool(read_json(folder / "atelier.json") == wanted)
    except RecordError:
        return False
