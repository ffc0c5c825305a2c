"""The tasks of the atelier, painted picture by picture.

The three tasks mirror the transfer from photographs to paintings at the size of a stamp:
`photographs` to learn to see (one subject each), `manners` to fine-tune on (in which manner is it
painted?), and `subjects`, a set of paintings with one to three subjects each that is too small to
learn from scratch: a network that has seen the photographs does better.

>>> picture, labels = paint("photographs", "train", 0, seed=0)
>>> picture.size, picture.mode, labels
((64, 64), 'RGB', ('house',))
>>> paint("manners", "test", 3, seed=0)[1]
('hatching',)
>>> paint("subjects", "val", 4, seed=0)[1]
('bird', 'flower')
"""

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

from joblib import Parallel, cpu_count, delayed  # type: ignore[import-untyped]
from PIL import Image

from overpaint.datasets.atelier.manners import PAINTERS
from overpaint.datasets.atelier.scenes import compose, photograph, printed, see
from overpaint.datasets.atelier.subjects import SHAPES, Generator
from overpaint.errors import DatasetError, RecordError, nearest
from overpaint.pixels.images import encoded
from overpaint.records import read_json, whole_folder, write_json
from overpaint.records.belongings import refuse_link
from overpaint.seeds import generator

VERSION = 2
"""Raised whenever the same seed gives other pictures, so that stored ones are made anew."""

SUBJECTS: tuple[str, ...] = tuple(SHAPES)
"""What is shown, the classes of `photographs`."""
DEPICTED: tuple[str, ...] = SUBJECTS[:7]
"""The subjects that the paintings of `subjects` show, its classes."""
MANNERS: tuple[str, ...] = tuple(PAINTERS)
"""How it is painted, the classes of `manners`."""

SIZES: dict[str, dict[str, int]] = {
    "photographs": {"train": 1600, "val": 200, "test": 300},
    "manners": {"train": 800, "val": 160, "test": 320},
    "subjects": {"train": 200, "val": 100, "test": 300},
}
"""The number of pictures of each task and split."""


def photographs(number: int, rng: Generator) -> tuple[Image.Image, tuple[str, ...]]:
    """A photograph of one subject."""
    subject = SUBJECTS[number % len(SUBJECTS)]
    view = see(compose([subject], rng), rng)
    return printed(photograph(view, rng)), (subject,)


def manners(number: int, rng: Generator) -> tuple[Image.Image, tuple[str, ...]]:
    """A painting of one or two subjects; its label is how it is painted."""
    manner = MANNERS[number % len(MANNERS)]
    sitters = [SUBJECTS[which] for which in rng.permutation(len(SUBJECTS))[: rng.integers(1, 3)]]
    return _painted(sitters, manner, rng), (manner,)


def subjects(number: int, rng: Generator) -> tuple[Image.Image, tuple[str, ...]]:
    """A painting of one to three subjects, which are its labels."""
    first = number % len(DEPICTED)
    others = rng.permutation(len(DEPICTED) - 1)[: rng.integers(0, 3)] + first + 1
    sitters = [DEPICTED[which % len(DEPICTED)] for which in (first, *others)]
    manner = LEGIBLE[int(rng.integers(len(LEGIBLE)))]
    return _painted(sitters, manner, rng), tuple(sorted(sitters))


LEGIBLE = tuple(manner for manner in MANNERS if manner != "fields")
"""The manners in which a subject can still be made out."""


def _painted(sitters: list[str], manner: str, rng: Generator) -> Image.Image:
    view = see(compose(sitters, rng, invented=0.6), rng)
    return printed(PAINTERS[manner](view, rng))


Easel = Callable[[int, Generator], tuple[Image.Image, tuple[str, ...]]]
"""From a picture's number and its generator to the picture and its labels."""

EASELS: dict[str, Easel] = {easel.__name__: easel for easel in (photographs, manners, subjects)}
TASKS: tuple[str, ...] = tuple(EASELS)
"""The collections that the atelier makes."""


def paint(task: str, split: str, number: int, seed: int) -> tuple[Image.Image, tuple[str, ...]]:
    """One picture (64 × 64, RGB) and its labels: a pure function of its arguments.

    The classes of `photographs` and `manners` take turns by number, so that any run of pictures is
    balanced. A DatasetError, slug `unknown-task`, names the tasks that there are.
    """
    return _easel(task)(number, generator(seed, "atelier", task, split, number))


def _easel(task: str) -> Easel:
    try:
        return EASELS[task]
    except KeyError:
        message = f"the atelier has no task {task!r}; {nearest(task, TASKS)}"
        raise DatasetError("unknown-task", message) from None


def make(folder: Path, task: str, seed: int, sizes: Mapping[str, int] | None = None) -> None:
    """Fill a folder with a task's pictures, `<split>/<number>.jpg`, and `labels.csv` beside them.

    `sizes` overrides the number of pictures of the splits that it names. `labels.csv` has the
    columns path, labels (joined by "|") and split. The folder appears whole or not at all, in place
    of an earlier one of the atelier; nothing is done when it already holds these very pictures.

    Raises DatasetError, slug `unknown-task`, or `not-an-atelier` when the folder holds other files,
    which are not for the atelier to replace.
    """
    _easel(task)
    sizes = {**SIZES[task], **(sizes or {})}
    facts = {"task": task, "seed": seed, "sizes": sizes, "version": VERSION}
    refuse_link(folder)
    if folder.exists() and any(folder.iterdir()):
        try:
            if read_json(folder / "atelier.json") == facts:
                return
        except RecordError as error:
            raise DatasetError(
                "not-an-atelier",
                f"{folder} holds files that the atelier did not make; name an empty or a new "
                "folder",
            ) from error
    workers = 1 if sum(sizes.values()) < FEW else cpu_count()
    with whole_folder(folder) as draft:
        for split in sizes:
            (draft / split).mkdir()
        # joblib starts its workers afresh, not by fork: threads here do no harm, and a script that
        # calls `make` needs no `if __name__ == "__main__"`.
        portions = Parallel(n_jobs=workers)(
            delayed(_portion)(draft, task, seed, split, range(first, min(first + 80, size)))
            for split, size in sizes.items()
            for first in range(0, size, 80)
        )
        rows = [row for portion in portions for row in portion]
        with (draft / "labels.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("path", "labels", "split"), *rows])
        write_json(draft / "atelier.json", facts)


FEW = 400
"""So many pictures are sooner painted here than by workers that have yet to start."""

Row = tuple[str, str, str]
"""A line of `labels.csv`: path, labels, split."""


def _portion(folder: Path, task: str, seed: int, split: str, numbers: range) -> list[Row]:
    """Paint some pictures of a split."""
    rows = []
    for number in numbers:
        picture, labels = paint(task, split, number, seed)
        path = f"{split}/{number:05d}.jpg"
        (folder / path).write_bytes(encoded(picture, "JPEG", quality=95, subsampling=0))
        rows.append((path, "|".join(labels), split))
    return rows
