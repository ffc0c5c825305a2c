"""Cost: how long a study takes here, by a few steps that are timed, and how much fits a sitting."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import torch

from overpaint.device import device_of, on_best_device
from overpaint.render import render
from overpaint.run.duration import DRAWN_SIDE, Speed
from overpaint.study.asked import CAUSES, Cause

if TYPE_CHECKING:
    from overpaint.networks import Network

BATCH = 16
"""Pictures of the batch that is timed, and of those that a proposed study trains on."""

SITTING = 11 * 60
"""Seconds that a proposed study may take by what is reckoned; with a margin of a third, it is a
quarter of an hour."""


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
        # The fastest of a few: what else this machine does for a moment is not the network's.
        forth = min(seconds(1, training=False) for _ in range(3))
        trained = min(seconds(1, training=True) for _ in range(3))
    for parameter in network.parameters():
        parameter.grad = None
    layer = layers_to_draw(network.layers)[0]
    lasting = []
    for steps in (1, 2, 10):  # the first prepares what the others use
        begin = time.perf_counter()
        render(network, layer, channels=[0, 1, 2, 3], steps=steps, size=DRAWN_SIDE)
        lasting.append(time.perf_counter() - begin)
    return Speed(forth=forth, training=trained, drawing=max(lasting[2] - lasting[1], 0) / 32)


@contextmanager
def rivals() -> Iterator[Callable[[], float]]:
    """Yields what tells, once the block has ended, which share of the processors other programs had
    meanwhile, 0 to 1.
    """

    def spent() -> tuple[float, float]:
        """Seconds of all processors, at work or not, and those of them that others worked."""
        times, own = psutil.cpu_times(), psutil.Process().cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        # Linux counts the time of guests with that of users.
        whole = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        return whole, whole - idle - own.user - own.system

    begin, share = spent(), [0.0]
    yield lambda: share[0]
    whole, others = (now - then for now, then in zip(spent(), begin, strict=True))
    share[0] = min(max(others / whole, 0.0), 1.0) if whole > 0 else 0.0


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
    # Whether a change mattered is asked before what layers know; concepts cost no run of a network.
    Size(epochs=2, causes=("rewind", "concepts"), steps=64),
    Size(epochs=2, causes=CHEAP, steps=64),
)
"""From which the first is taken that fits a sitting; where none does, the last."""
