"""The loop: an image is changed step by step until it excites what it is to excite.

`ascend` is the loop, open; `together` runs it for many goals, in batches that fit in memory.
"""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from overpaint.defaults import RENDER_SIZE, RENDER_STEPS
from overpaint.device import give_back_memory, out_of_memory
from overpaint.errors import NetworkError
from overpaint.render import redirect
from overpaint.render.lens import Lens, Shape
from overpaint.render.objectives import Objective, Scorer, groups, score
from overpaint.render.setup import Setup, fourier
from overpaint.render.transforms import View
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
        return list((self.objectives[number] + self.measured[number]).layers)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the loop is run; `frames` pictures on the way are kept."""

    steps: int = RENDER_STEPS
    size: int = RENDER_SIZE
    setup: Setup = field(default_factory=fourier)
    frames: int = 0

    @property
    def shapes(self) -> tuple[Shape, Shape]:
        """What a network is shown: a canvas as it is, and a view of it."""
        wide = self.size + self.setup.border
        return (self.size, self.size), (wide, wide)

    @property
    def filmed(self) -> list[int]:
        """The steps whose pictures are kept, close together at first, where most changes."""
        way = np.linspace(0, 1, self.frames) ** 2 if self.frames else np.array([])
        return sorted({round(step) for step in (way * self.steps).tolist()})


@dataclass(frozen=True)
class Step:
    """The state of a batch after `number` steps: `pixels` (B, 3, H, W), RGB, 0..1, detached."""

    number: int
    pixels: Tensor


@dataclass(frozen=True, kw_only=True)
class Result:
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
    setup = settings.setup
    canvas = setup.paint(settings.size, [goal.seed for goal in goals], lenses[0].device)
    adam = torch.optim.Adam(canvas.parameters, lr=setup.rate)
    scorers = [Scorer([goal.objectives[at] for goal in goals]) for at in range(len(lenses))]
    views: list[Iterator[View]] = []
    for number in range(settings.steps + 1):
        with torch.enable_grad():
            pixels = canvas.pixels()
        yield Step(number, pixels.detach())  # outside enable_grad: the caller's mode is its own
        if number == settings.steps:
            return
        if not views:
            # a generator for each goal and network, of one seed: the networks meet the same views
            views = [
                setup.views(lens.side, lens.network.preprocessing.size).ahead(
                    pixels.shape[1:],
                    [generator(goal.seed, "transforms") for goal in goals],
                    settings.steps,
                    pixels.device,
                )
                for lens in lenses
            ]
        redirected = number < redirect.STEPS
        step = [next(ahead) for ahead in views]
        with torch.enable_grad():
            scores = [
                scorer(lens.look(view.show(pixels), redirected=redirected)).sum()
                for scorer, lens, view in zip(scorers, lenses, step, strict=True)
            ]
            loss = -torch.stack(scores).sum()
            # not backward(), which would leave gradients in whatever else asks for them
            gradients = torch.autograd.grad(loss, canvas.parameters)
        for leaf, gradient in zip(canvas.parameters, gradients, strict=True):
            leaf.grad = gradient
        adam.step()


def draw(
    lenses: Sequence[Lens], goals: Sequence[Goal], settings: Settings, tell: Callable[[int], None]
) -> list[Result]:
    """What becomes of a batch of goals; `tell` is called with the image-steps taken."""
    frames: list[list[Image]] = [[] for _ in goals]
    taken_steps = 0
    # closing, because an exception keeps this frame alive, and with it the loop and its tensors
    with closing(ascend(lenses, goals, settings)) as loop:
        for step in loop:
            # only here: to make 8-bit pictures of a batch makes a GPU wait
            if step.number in (0, settings.steps, *settings.filmed):
                last = as_images(step.pixels)
                sound = step.pixels.isfinite().flatten(1).all(dim=1).tolist()
                if step.number in settings.filmed:
                    for film, image in zip(frames, last, strict=True):
                        film.append(image)
            if step.number == 0:
                starts = measure(lenses, goals, last)
                if not any(math.isfinite(value) for values in starts for value in values):
                    break  # nothing that could rise
            else:
                taken_steps = step.number
                tell(len(goals) * taken_steps)
    nothing = (math.nan,) * len(lenses)  # of an image that is no longer made of numbers
    ends = [
        values if whole else nothing
        for values, whole in zip(measure(lenses, goals, last), sound, strict=True)
    ]
    return [
        Result(image=image, starts=start, ends=end, steps=taken_steps, frames=tuple(film))
        for image, start, end, film in zip(last, starts, ends, frames, strict=True)
    ]


def measure(
    lenses: Sequence[Lens], goals: Sequence[Goal], images: NDArray[np.uint8]
) -> list[tuple[float, ...]]:
    """What is measured of each goal on its image as it is, without transforms, in each network."""
    values = []
    for at, lens in enumerate(lenses):
        pixels = torch.from_numpy(images).to(lens.device).permute(0, 3, 1, 2) / 255
        values.append(
            score([goal.measured[at] for goal in goals], lens.untransformed(pixels)).tolist()
        )
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
) -> Iterator[tuple[list[int], list[Result]]]:
    """What becomes of many goals: the rows of a batch, and what was drawn of them.

    A batch is as large as memory is thought to allow. If it is not enough after all, batches are
    halved for good, and `say` is told; nothing of what was drawn is lost. Raises NetworkError when
    a single image does not fit.
    """
    fitting = min(lens.at_once for lens in lenses) // len(lenses)
    at_once = 1 if settings.setup.alone else max(1, fitting)
    waiting = groups([goal.objectives[0] for goal in goals])
    done = 0

    def tell_of_all(steps: int) -> None:
        tell(done + steps)

    while waiting:
        batch = packed(waiting, at_once)[0]
        rows = sorted(row for group in batch for row in group)
        results = None
        try:
            results = draw(lenses, [goals[row] for row in rows], settings, tell_of_all)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        if results is not None:
            done += len(rows) * settings.steps
            waiting = waiting[len(batch) :]
            yield rows, results
            continue
        # outside the handler, so that the failed batch's tensors are gone with its frames
        give_back_memory(lenses[0].device)
        if len(batch) == 1:  # a group cannot be halved: its images are to differ from each other
            images = f"{len(rows)} images" if len(rows) > 1 else "one image"
            raise NetworkError(
                "out-of-memory",
                f"there is not enough memory for {images} of {settings.size} pixels beside this "
                "network; a smaller size needs less",
            )
        at_once = len(rows) // 2
        say(f"{len(rows)} images at once do not fit in memory: going on with {at_once}")


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
