"""Cost: how long a study takes here, by a few steps that are timed, and how much fits a sitting."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from overpaint.device import device_of, on_best_device
from overpaint.render import render
from overpaint.run.comparisons import looked_at, splits_of
from overpaint.run.extents import pictures_of
from overpaint.run.reckoning import pictures_for
from overpaint.run.workspace import Workspace
from overpaint.study.asked import CAUSES, Cause, asks_for
from overpaint.study.recipe import AUTO, fitting

if TYPE_CHECKING:
    from overpaint.networks import Network

BATCH = 16
"""Pictures of the batch that is timed, and of those that a proposed study trains on."""

DRAWN_SIDE = 128
"""Pixels of a rendering's side."""

SITTING = 11 * 60
"""Seconds that a proposed study may take by what is reckoned; with a margin of a third, it is a
quarter of an hour."""

REPORT, PAGES = 10, 8
"""Seconds that a report takes, and each comparison's pages."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Seconds that a network takes here."""

    forth: float  # for a picture that goes through it
    training: float  # for a picture that it is trained on
    drawing: float  # for a step of a rendering


def speed_of(network: "Network") -> Speed:
    """How fast a network is on this machine: a few steps of each kind, timed."""
    side = network.preprocessing.size
    pictures = torch.rand(BATCH, 3, side, side, generator=torch.Generator().manual_seed(0))

    def seconds(steps: int, *, training: bool) -> float:
        begin = time.perf_counter()
        for _ in range(steps):
            with torch.inference_mode(not training):
                answer = network(pictures.to(device_of(network)))
                if training:
                    answer.square().mean().backward()
        answer.sum().item()  # a GPU may not have ended
        return (time.perf_counter() - begin) / (steps * BATCH)

    with on_best_device(network):
        for training in (True, False):
            seconds(1, training=training)  # the first step prepares what the others use
        forth, trained = seconds(2, training=False), seconds(2, training=True)
    for parameter in network.parameters():
        parameter.grad = None
    layer = layers_to_draw(network.layers)[0]
    lasting = []
    for steps in (1, 2, 10):  # the first prepares what the others use
        begin = time.perf_counter()
        render(network, layer, channels=[0, 1, 2, 3], steps=steps, size=DRAWN_SIDE)
        lasting.append(time.perf_counter() - begin)
    return Speed(forth=forth, training=trained, drawing=max(lasting[2] - lasting[1], 0) / 32)


def layers_to_draw(layers: Sequence[str]) -> list[str]:
    """Two layers worth drawing: one at two thirds of the network, and the last.

    >>> layers_to_draw([f"block{n}" for n in range(12)])
    ['block8', 'block11']
    """
    return list(dict.fromkeys([layers[2 * len(layers) // 3], layers[-1]]))


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much a proposed study does."""

    epochs: int
    causes: tuple[Cause, ...]
    steps: int  # of a rendering


CHEAP: tuple[Cause, ...] = ("probe", "concepts")
SIZES = (
    Size(epochs=20, causes=CAUSES, steps=512),
    Size(epochs=10, causes=CAUSES, steps=512),
    Size(epochs=6, causes=CAUSES, steps=256),
    Size(epochs=5, causes=CAUSES, steps=256),
    Size(epochs=4, causes=CAUSES, steps=256),
    Size(epochs=3, causes=CAUSES, steps=128),
    Size(epochs=3, causes=("rewind", *CHEAP), steps=128),
    Size(epochs=2, causes=("rewind", *CHEAP), steps=128),
    Size(epochs=2, causes=CHEAP, steps=64),
)
"""From which the first is taken that fits a sitting; where none does, the last."""


def seconds_of(work: Workspace, speed: Speed) -> dict[str, float]:
    """How long each part of a study takes, in seconds, by what is done to how many pictures."""
    study = work.study
    counts = {name: pictures_of(work, name) for name in study.datasets}
    parts = {"trainings": 0.0}
    for entry in study.all_networks.values():
        if entry.fit is None:
            continue
        of_dataset = counts[entry.fit]
        named = fitting(0.0, of_dataset["train"])[0] if entry.recipe == AUTO else None
        training = entry.training(named)
        assert training is not None
        for stage in training.trainings():
            of_picture = speed.forth if stage.train == "head" else speed.training
            epoch = of_dataset["train"] * of_picture + of_dataset["val"] * speed.forth
            parts["trainings"] += stage.epochs * epoch
        parts["trainings"] += (of_dataset["val"] + of_dataset["test"]) * speed.forth
    passes = {
        (name, dataset, split)
        for pair in study.compare
        for dataset, split in splits_of(work, pair)
        for name in looked_at(work, pair)
    }
    parts["comparisons"] = sum(counts[dataset][split] for _, dataset, split in passes) * speed.forth
    asked = [cause for cause in CAUSES if asks_for(study, cause)]
    parts["causes"] = sum(pictures_for(work, cause) for cause in asked) * speed.forth
    if study.render and isinstance(study.render.channels, str):
        channels = int(study.render.channels.rstrip(")").partition("(")[2])
        drawn = 2 * channels * len(study.render.layers) * len(study.compare)
        parts["renderings"] = drawn * study.render.steps * speed.drawing
    parts["the report"] = REPORT + PAGES * len(study.compare)
    return parts
