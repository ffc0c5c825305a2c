"""One network: the images that most excite its channels, or any objective."""

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from overpaint.device import on_best_device
from overpaint.errors import NetworkError
from overpaint.networks import Network
from overpaint.networks.taps import PRE_RELU
from overpaint.render.lens import Lens, looking
from overpaint.render.loop import Drawn, Goal, Settings, Step, ascend, together
from overpaint.render.manner import Manner, manner_of
from overpaint.render.objectives import Objective, channel, channels_first
from overpaint.render.rendering import Rendering, Renderings, best, status_of
from overpaint.seeds import seed_for

What = str | Objective | Sequence[Objective]
"""A layer, whose channels are meant, or an objective, or several."""

Progress = Callable[[int, int], None]
"""Called with image-steps taken and those in all."""


def render(
    network: Network,
    what: What,
    channels: Sequence[int] | None = None,
    *,
    steps: int = 512,
    size: int = 128,
    seed: int = 0,
    manner: str | Manner = "fourier",
    frames: int = 0,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
    drawn: Callable[[Rendering], None] | None = None,
) -> Renderings:
    """The renderings of some channels of a layer, in their order; of all of them without `channels`.

    >>> from overpaint.networks import build
    >>> network = build("inception_small", classes=("cat", "dog"), seed=0)
    >>> found = render(network, "mixed4b", [3, 5], steps=4, size=64)
    >>> [each.name for each in found]
    ['mixed4b:3', 'mixed4b:5']
    >>> render(network, "mixed4b", [152], size=64)
    Traceback (most recent call last):
    overpaint.errors.NetworkError: layer 'mixed4b' of inception_small has 152 channels, 0..151; there is no 152

    Instead of a layer, an objective or several: `render(network, channel("a", 1) - channel("b", 2))`.

    An image depends on network, layer, channel, `seed`, `size`, `steps` and `manner`, not on the
    other channels asked for. Two networks start from the same noise and meet the same transforms.
    2,048 steps are the paper's number. `manner` is "fourier", "pixel", "lucid" (Lucid's transforms
    to the pixel, one image at a time) or one that was made, as `maco` makes one.

    An image that came out grey, or whose objective did not rise, is tried again: from what the
    layer's ReLU is given, which has a gradient where the ReLU has none, and then from another seed.
    If it is no better then, its `status` says so.

    `progress` is called after every step, `say` with a sentence when a batch did not fit in memory,
    and `drawn` with each rendering as soon as it is final, so that it can be kept. `frames` pictures
    on the way come with each.

    The network runs on the GPU, if there is one (`overpaint.device`), and is left as and where it
    was; so is the random state of the process. On a machine that reckons in bfloat16 the network
    does so while the image changes; what is measured is float32.
    Raises NetworkError for an unknown layer or channel, and when one image does not fit in memory.
    """  # noqa: E501 - a message is one line
    settings = Settings(steps, size, manner_of(manner, network), frames)
    with on_best_device(network):
        with looking(network, _layers(what), settings.shapes) as lens:
            job = _Job(_wanted(lens, what, channels, seed), settings, progress, say, drawn)
            failed = job.attempt(1, lens, range(len(job.wanted)))
        for number in range(2, ATTEMPTS + 1):
            failed = _again(network, job, number, failed)
    return Renderings(best(job.found[row]) for row in range(len(job.wanted)))


def render_steps(
    network: Network,
    what: What,
    channels: Sequence[int] | None = None,
    *,
    steps: int = 512,
    size: int = 128,
    seed: int = 0,
    manner: str | Manner = "fourier",
) -> Generator[Step, None, None]:
    """The loop of `render`, open: all channels in one batch, from the first noise to the last step.

    >>> from overpaint.networks import build
    >>> network = build("inception_small", classes=("cat", "dog"), seed=0)
    >>> for step in render_steps(network, "mixed4b", [3], steps=2, size=64):
    ...     print(step.number, tuple(step.pixels.shape))
    0 (1, 3, 64, 64)
    1 (1, 3, 64, 64)
    2 (1, 3, 64, 64)

    Memory grows with the channels. The network is on the GPU, if there is one, in evaluation mode
    and frozen until the loop ends or is closed. Nothing is tried again.
    """
    settings = Settings(steps, size, manner_of(manner, network))
    with on_best_device(network), looking(network, _layers(what), settings.shapes) as lens:
        goals = [want.attempt(1) for want in _wanted(lens, what, channels, seed)]
        yield from ascend([lens], goals, settings)


# --- what is wanted ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Want:
    """An objective that is asked for; `channel` if it is one channel of one `layer`."""

    layer: str
    channel: int | None
    objective: Objective
    seed: int

    @property
    def before(self) -> Objective | None:
        """The same of what the layer's ReLU is given, if it ends in one."""
        return None if self.channel is None else channel(self.layer + PRE_RELU, self.channel)

    def attempt(self, number: int, *, before: bool = False) -> Goal:
        """What to try: first what is asked for, then from before the ReLU, then another seed."""
        if number == 1:
            return Goal((self.objective,), self.seed)
        objective = self.before if before and self.before else self.objective
        same = number == 2 and objective is not self.objective
        seed = self.seed if same else seed_for(self.seed, "attempt", number)
        return Goal((objective,), seed, judged=(self.objective,))


def _layers(what: What) -> list[str]:
    if isinstance(what, str):
        return [what]
    objectives = [what] if isinstance(what, Objective) else what
    return list(dict.fromkeys(layer for each in objectives for layer in each.layers))


def _wanted(lens: Lens, what: What, channels: Sequence[int] | None, seed: int) -> list[Want]:
    """What is asked for, as far as the network has it; a NetworkError otherwise."""
    if isinstance(what, str):
        indices = range(channels_first(lens.seen[what]).shape[1]) if channels is None else channels
        wanted = [
            Want(what, index, channel(what, index), seed_of(seed, what, index)) for index in indices
        ]
    else:
        objectives = [what] if isinstance(what, Objective) else what
        wanted = [
            Want(" ".join(each.layers), None, each.on(lens.network), seed_for(seed, "render", at))
            for at, each in enumerate(objectives)
        ]
    for want in wanted:
        want.objective.check(lens.network, lens.seen)
    return wanted


def seed_of(seed: int, layer: str, index: int) -> int:
    """The seed of a channel's image: the same in every network."""
    return seed_for(seed, "render", layer, index)


# --- attempts ------------------------------------------------------------------------------------

ATTEMPTS = 3
"""As asked; from what the layer's ReLU is given; that, from another seed."""


@dataclass
class _Job:
    """What is wanted, what has been found of each row of it so far, and who is told."""

    wanted: list[Want]
    settings: Settings
    progress: Progress | None
    say: Callable[[str], None] | None
    drawn: Callable[[Rendering], None] | None
    found: dict[int, list[Rendering]] = field(default_factory=dict)
    done: int = 0
    total: int = 0

    def attempt(
        self, number: int, lens: Lens, rows: Sequence[int], *, before: bool = False
    ) -> list[int]:
        """Draw some rows; those that should be tried again."""
        wanted = [self.wanted[row] for row in rows]
        goals = [each.attempt(number, before=before) for each in wanted]
        self.total += len(goals) * self.settings.steps
        failed = []
        for at, drawn in together([lens], goals, self.settings, tell=self._told, say=self._say):
            for place, each in zip(at, drawn, strict=True):
                row, made = rows[place], rendering_of(wanted[place], goals[place].seed, each)
                self.found.setdefault(row, []).append(made)
                hopeless = not math.isfinite(each.starts[0] + each.ends[0])
                if made.status == "ok" or number == ATTEMPTS or hopeless:
                    self._final(row)
                else:
                    failed.append(row)
        self.done = self.total
        return sorted(failed)

    def _final(self, row: int) -> None:
        made, attempts = best(self.found[row]), len(self.found[row])
        if made.status != "ok" and attempts > 1:
            made = replace(made, status=f"{made.status} (the best of {attempts} attempts)")
        self.found[row] = [replace(made, attempts=attempts)]
        if self.drawn:
            self.drawn(self.found[row][0])

    def _told(self, steps: int) -> None:
        if self.progress:
            self.progress(self.done + steps, self.total)

    def _say(self, text: str) -> None:
        if self.say:
            self.say(text)


def rendering_of(want: Want, seed: int, drawn: Drawn) -> Rendering:
    """What came of an attempt."""
    start, end = drawn.starts[0], drawn.ends[0]
    status = status_of(drawn.image, start, end)
    return Rendering(
        want.layer, want.channel, drawn.image, start, end, drawn.steps, seed, status,
        frames=drawn.frames,
    )  # fmt: skip


def _again(network: Network, job: _Job, number: int, rows: Sequence[int]) -> list[int]:
    """Try some rows once more, from before the ReLU where there is one; those that failed again."""
    if not rows:
        return []
    wanted = [job.wanted[row] for row in rows]
    layers = list(dict.fromkeys(layer for each in wanted for layer in each.objective.layers))
    before = [each.before for each in wanted if each.before]
    with ExitStack() as stack:
        try:
            deeper = [*layers, *dict.fromkeys(layer for each in before for layer in each.layers)]
            lens = stack.enter_context(looking(network, deeper, job.settings.shapes))
        except NetworkError:  # the layer ends in no ReLU
            lens = stack.enter_context(looking(network, layers, job.settings.shapes))
            before = []
        return job.attempt(number, lens, rows, before=bool(before))
