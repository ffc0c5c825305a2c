"""Duration: how long a study takes, reckoned from the pictures that go through its networks."""

from collections.abc import Mapping
from dataclasses import dataclass

from overpaint.progress import duration
from overpaint.run.comparisons import looked_at, splits_of
from overpaint.run.extents import pictures_of
from overpaint.run.reckoning import pictures_for
from overpaint.run.workspace import Workspace
from overpaint.study.asked import CAUSES, asks_for
from overpaint.study.recipe import AUTO, fitting

DRAWN_SIDE = 128
"""Pixels of the side of a rendering whose steps are timed."""

REPORT, PAGES = 10, 8
"""Seconds that a report takes, and each comparison's pages."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Seconds that a network takes on some machine."""

    forth: float  # for a picture that goes through it
    training: float  # for a picture that it is trained on
    drawing: float  # for a step of a rendering of 128 pixels


H100 = Speed(forth=1 / 4_240, training=1 / 1_150, drawing=1 / 10_640)
"""InceptionV1 on one NVIDIA H100, measured: docs/gpu.md."""

GPUS = 8
"""Of the larger machine that an estimate is told for."""


def seconds_of(work: Workspace, speed: Speed) -> dict[str, float]:
    """How long each part of a study takes, in seconds, by what is done to how many pictures."""
    study = work.study
    counts = {name: pictures_of(work, name) for name in study.datasets}
    parts = {"trainings": sum(seconds_of_trainings(work, speed).values())}
    passes = {
        (name, dataset, split)
        for pair in study.compare
        for dataset, split in splits_of(work, pair)
        for name in looked_at(work, pair)
    }
    passes |= {
        (name, dataset, "test") for dataset in study.pairwise for name in study.pairwise_on(dataset)
    }
    parts["comparisons"] = sum(counts[dataset][split] for _, dataset, split in passes) * speed.forth
    asked = [cause for cause in CAUSES if asks_for(study, cause)]
    parts["causes"] = sum(pictures_for(work, cause) for cause in asked) * speed.forth
    if study.render:
        chosen = study.render.channels
        each = chosen.rstrip(")").partition("(")[2] if isinstance(chosen, str) else len(chosen)
        drawn = 2 * int(each or 0) * len(study.compare)
        drawn *= len(study.render.layers) if isinstance(chosen, str) else 1
        of_step = speed.drawing * (study.render.size / DRAWN_SIDE) ** 2
        parts["renderings"] = drawn * study.render.steps * of_step
    parts["the report"] = REPORT + PAGES * len(study.compare)
    return parts


def seconds_of_trainings(work: Workspace, speed: Speed) -> dict[str, float]:
    """How long each training of a study takes, with the scores of its network."""
    # Looked up once a dataset: of one that was never opened, all its files are listed for it.
    counts = {name: pictures_of(work, name) for name in work.study.datasets}
    seconds = {}
    for name, entry in work.study.all_networks.items():
        if entry.fit is None or entry.mixed:
            continue
        of_dataset = counts[entry.fit]
        named = fitting(0.0, of_dataset["train"])[0] if entry.recipe == AUTO else None
        training = entry.training(named)
        assert training is not None
        seconds[name] = (of_dataset["val"] + of_dataset["test"]) * speed.forth
        for stage in training.trainings():
            of_picture = speed.forth if stage.train == "head" else speed.training
            epoch = of_dataset["train"] * of_picture + of_dataset["val"] * speed.forth
            seconds[name] += stage.epochs * epoch
    return seconds


def at_once(seconds: Mapping[str, float], parents: Mapping[str, str | None], jobs: int) -> float:
    """How long trainings take, so many at once, each after that of its parent.

    >>> at_once({"a": 3, "b": 2, "c": 2, "d": 2}, {"b": "a"}, jobs=2)
    5.0
    >>> at_once({"a": 3, "b": 2}, {}, jobs=8)
    3.0
    """
    waiting, running, now = [*seconds], dict[str, float](), 0.0
    while waiting or running:
        for name in [*waiting]:
            if len(running) < jobs and parents.get(name) not in (*waiting, *running):
                running[name] = now + seconds[name]
                waiting.remove(name)
        first = min(running, key=lambda name: running[name])
        now = running.pop(first)
    return now


def time_told(work: Workspace) -> str:
    """How long a whole study takes on a GPU and on eight, in words; nothing where no picture is
    known of.
    """
    trainings, parts = seconds_of_trainings(work, H100), seconds_of(work, H100)
    if not any(trainings.values()):
        return ""
    parents = {name: entry.parent for name, entry in work.study.all_networks.items()}
    rest = sum(parts.values()) - parts["trainings"]
    several = at_once(trainings, parents, GPUS) + rest
    return (
        f"about {duration(sum(parts.values()))} on one GPU (an H100, at the pace of InceptionV1; "
        f"{duration(parts['trainings'])} of them trainings), {duration(several)} on {GPUS} with "
        f"--jobs {GPUS}"
    )
