"""The loop: an image is changed step by step until it excites what it is to excite.

`ascend` is the loop, open; `together` runs it for many goals, in batches that fit in memory.
"""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from overpaint.device import give_back_memory, out_of_memory
from overpaint.errors import NetworkError
from overpaint.render import redirect
from overpaint.render.lens import Lens, Shape
from overpaint.render.manner import Manner, fourier
from overpaint.render.objectives import Objective, groups, score
from overpaint.seeds import generator

Image = NDArray[np.uint8]
"""[H, W, 3], RGB; [H, W, 4] with alpha."""


@dataclass(frozen=True)
class Goal:
    """What one image is to excite, in each network that it is shown to, and its seed.

    `judged` is what its success is measured by, where that is something else.
    """

    objectives: tuple[Objective, ...]
    seed: int
    judged: tuple[Objective, ...] = ()

    @property
    def measured(self) -> tuple[Objective, ...]:
        """What its success is measured by."""
        return self.judged or self.objectives

    def layers(self, number: int) -> list[str]:
        """What is read of a network."""
        both = self.objectives[number] + self.measured[number]
        return list(both.layers)


@dataclass(frozen=True)
class Settings:
    """How the loop is run; `frames` pictures on the way are kept."""

    steps: int = 512
    size: int = 128
    manner: Manner = field(default_factory=fourier)
    frames: int = 0

    @property
    def shapes(self) -> tuple[Shape, Shape]:
        """What a network is shown: a canvas as it is, and a view of it."""
        wide = self.size + self.manner.border
        return (self.size, self.size), (wide, wide)

    @property
    def kept(self) -> list[int]:
        """The steps whose pictures are kept, close together at first, where most changes."""
        way = np.linspace(0, 1, self.frames) ** 2 if self.frames else np.array([])
        return sorted({round(each) for each in (way * self.steps).tolist()})


@dataclass(frozen=True)
class Step:
    """The state of a batch after `number` steps: `pixels` (B, 3, H, W), RGB, 0..1, detached."""

    number: int
    pixels: Tensor


@dataclass(frozen=True)
class Drawn:
    """What the loop made of a goal: an image, what is measured on it and on the first noise.

    Both measured on 8-bit pictures and without transforms, a value for each network.
    """

    image: Image
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    steps: int
    frames: tuple[Image, ...]


# --- the loop ------------------------------------------------------------------------------------


def ascend(
    lenses: Sequence[Lens], goals: Sequence[Goal], settings: Settings
) -> Generator[Step, None, None]:
    """From the first noise to the last step, all goals in one batch.

    Each image has noise, transforms and objective of its own. Shown to several networks, it is
    shown to each in the same views, and what they say is added up.
    """
    seeds, manner = [goal.seed for goal in goals], settings.manner
    canvas = manner.paint(settings.size, seeds, lenses[0].device)
    adam = torch.optim.Adam(canvas.parameters, lr=manner.rate)
    eyes = [_eye(lens, goals, at, manner) for at, lens in enumerate(lenses)]
    for number in range(settings.steps + 1):
        with torch.enable_grad():
            pixels = canvas.pixels()
        yield Step(number, pixels.detach())
        if number == settings.steps:
            return
        with torch.enable_grad(), _relu(number):
            loss = -torch.stack([eye(pixels) for eye in eyes]).sum()
            gradients = torch.autograd.grad(loss, canvas.parameters)
        for leaf, gradient in zip(canvas.parameters, gradients, strict=True):
            leaf.grad = gradient
        adam.step()


def _eye(
    lens: Lens, goals: Sequence[Goal], number: int, manner: Manner
) -> Callable[[Tensor], Tensor]:
    """What one network makes of pixels: the sum of all goals' objectives in it."""
    objectives = [goal.objectives[number] for goal in goals]
    draws = [generator(goal.seed, "transforms") for goal in goals]
    views = manner.views(lens.side, lens.network.preprocessing.size)
    return lambda pixels: score(objectives, lens.look(views(pixels, draws))).sum()


def _relu(number: int) -> "redirect.RedirectedReLU | nullcontext[None]":
    return redirect.RedirectedReLU() if number < redirect.STEPS else nullcontext()


def draw(
    lenses: Sequence[Lens], goals: Sequence[Goal], settings: Settings, tell: Callable[[int], None]
) -> list[Drawn]:
    """What becomes of a batch of goals; `tell` is called with the image-steps taken."""
    frames: list[list[Image]] = [[] for _ in goals]
    taken = 0
    # closing: an exception keeps this frame alive, and with it the loop
    with closing(ascend(lenses, goals, settings)) as loop:
        for step in loop:
            if step.number in (0, settings.steps, *settings.kept):
                last = as_images(step.pixels)
                sound = step.pixels.isfinite().flatten(1).all(dim=1).tolist()
                if step.number in settings.kept:
                    for film, image in zip(frames, last, strict=True):
                        film.append(image)
            if step.number == 0:
                starts = measure(lenses, goals, last)
                if not any(math.isfinite(value) for values in starts for value in values):
                    break  # nothing that could rise
            else:
                taken = step.number
                tell(len(goals) * taken)
    nothing = (math.nan,) * len(lenses)  # of an image that is no longer made of numbers
    ends = [
        values if whole else nothing
        for values, whole in zip(measure(lenses, goals, last), sound, strict=True)
    ]
    return [
        Drawn(image, start, end, taken, tuple(film))
        for image, start, end, film in zip(last, starts, ends, frames, strict=True)
    ]


def measure(
    lenses: Sequence[Lens], goals: Sequence[Goal], images: NDArray[np.uint8]
) -> list[tuple[float, ...]]:
    """What is measured of each goal on its image as it is, without transforms, in each network."""
    values = []
    for at, lens in enumerate(lenses):
        pixels = torch.from_numpy(images).to(lens.device).permute(0, 3, 1, 2) / 255
        values.append(score([goal.measured[at] for goal in goals], lens.plainly(pixels)).tolist())
    return list(zip(*values, strict=True))


def as_images(pixels: Tensor) -> NDArray[np.uint8]:
    """(B, C, H, W), 0..1 -> [B, H, W, C]; what is no number is grey."""
    levels = (pixels.nan_to_num(0.5) * 255).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).cpu().contiguous().numpy()


# --- many goals ----------------------------------------------------------------------------------


def together(
    lenses: Sequence[Lens],
    goals: Sequence[Goal],
    settings: Settings,
    *,
    tell: Callable[[int], None],
    say: Callable[[str], None],
) -> Iterator[tuple[list[int], list[Drawn]]]:
    """What becomes of many goals: the rows of a batch, and what was drawn of them.

    A batch is as large as memory is thought to allow. If it is not enough after all, batches are
    halved for good, and `say` is told; nothing of what was drawn is lost. Raises NetworkError when
    a single image does not fit.
    """
    fitting = min(lens.at_once for lens in lenses) // len(lenses)
    at_once = 1 if settings.manner.alone else max(1, fitting)
    mates = groups([goal.objectives[0] for goal in goals])
    done = 0
    while mates:
        batch = packed(mates, at_once)[0]
        rows = sorted(row for group in batch for row in group)
        own = [goals[row] for row in rows]
        drawn = _unless_too_large(lenses, own, settings, _after(done, tell))
        if drawn is None:
            at_once = _halved(len(rows), indivisible=len(batch) == 1, settings=settings, say=say)
            continue
        done += len(rows) * settings.steps
        mates = mates[len(batch) :]
        yield rows, drawn


def _after(done: int, tell: Callable[[int], None]) -> Callable[[int], None]:
    return lambda steps: tell(done + steps)


def packed(groups: Sequence[list[int]], at_once: int) -> list[list[list[int]]]:
    """Groups of rows in batches of at most `at_once` rows, and as even as can be.

    >>> [len(batch) for batch in packed([[row] for row in range(9)], 8)]
    [5, 4]
    >>> packed([[0, 1, 2], [3]], 2)  # a group stays together
    [[[0, 1, 2]], [[3]]]
    """
    count = sum(map(len, groups))
    parts = math.ceil(count / at_once)
    batches: list[list[list[int]]] = []
    room = 0
    for group in groups:
        if not batches or room < len(group):
            batches.append([])
            room = math.ceil(count / max(1, parts))
            parts -= 1
        batches[-1].append(group)
        count -= len(group)
        room -= len(group)
    return batches


def _unless_too_large(
    lenses: Sequence[Lens], goals: Sequence[Goal], settings: Settings, tell: Callable[[int], None]
) -> list[Drawn] | None:
    """What becomes of a batch, or None if it does not fit in memory."""
    try:
        return draw(lenses, goals, settings, tell)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    # outside the handler, so that the failed batch's tensors are gone with its frames
    give_back_memory(lenses[0].device)
    return None


def _halved(
    count: int, *, indivisible: bool, settings: Settings, say: Callable[[str], None]
) -> int:
    if indivisible:
        many = f"{count} images" if count > 1 else "one image"
        raise NetworkError(
            "out-of-memory",
            f"there is not enough memory for {many} of {settings.size} pixels beside this "
            "network; a smaller size needs less",
        )
    half = count // 2
    say(f"{count} images at once do not fit in memory: going on with {half}")
    return half
