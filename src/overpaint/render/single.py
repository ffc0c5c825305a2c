"""One network: the images that most excite its channels, or any objective."""

import math
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from overpaint.defaults import RENDER_SIZE, RENDER_STEPS
from overpaint.device import on_best_device
from overpaint.errors import NetworkError
from overpaint.machine import refusals_told
from overpaint.networks import Network
from overpaint.networks.taps import PRE_RELU
from overpaint.progress import notebook_bar
from overpaint.render.lens import Lens, open_lens
from overpaint.render.loop import Goal, Result, Settings, Step, ascend, together
from overpaint.render.objectives import Objective, channel, channels_first
from overpaint.render.rendering import Rendering, Renderings, best, status_of
from overpaint.render.setup import Setup, setup_of
from overpaint.seeds import seed_for

What = str | Objective | Sequence[Objective]
"""A layer, whose channels are meant, or an objective, or several."""

Progress = Callable[[int, int], None]
"""Called with image-steps taken and those in all."""


@refusals_told()
def render(
    network: Network,
    what: What,
    channels: Sequence[int] | None = None,
    *,
    steps: int = RENDER_STEPS,
    size: int = RENDER_SIZE,
    seed: int = 0,
    setup: str | Setup = "fourier",
    frames: int = 0,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
    drawn: Callable[[Rendering], None] | None = None,
) -> Renderings:
    """The renderings of some channels of a layer, in their order; of all of them without `channels`.

    >>> from overpaint.networks import build
    >>> network = build("inception_small", classes=("cat", "dog"), seed=0)
    >>> renderings = render(network, "mixed4b", [3, 5], steps=4, size=64)
    >>> [rendering.name for rendering in renderings]
    ['mixed4b:3', 'mixed4b:5']
    >>> render(network, "mixed4b", [152], size=64)
    Traceback (most recent call last):
    overpaint.errors.NetworkError: layer 'mixed4b' of inception_small has 152 channels, 0..151; there is no 152

    Instead of a layer, an objective or several: `render(network, channel("a", 1) - channel("b", 2))`.

    An image depends on network, layer, channel, `seed`, `size`, `steps` and `setup`, not on the
    other channels asked for. Two networks start from the same noise and meet the same transforms.
    2,048 steps are the paper's number. `setup` is "fourier", "pixel", "lucid" (Lucid's transforms
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
    settings = Settings(steps=steps, size=size, setup=setup_of(setup, network), frames=frames)
    progress = progress or notebook_bar("render")
    with on_best_device(network):
        with open_lens(network, _layers(what), settings.shapes) as lens:
            job = _Job(_wants(lens, what, channels, seed), settings, progress, say, drawn)
            failed = job.attempt(1, lens, range(len(job.wants)))
        for number in range(2, ATTEMPTS + 1):
            if failed:
                failed = job.attempt_again(number, network, failed)
    return Renderings(job.attempts[row][0] for row in range(len(job.wants)))


def render_steps(
    network: Network,
    what: What,
    channels: Sequence[int] | None = None,
    *,
    steps: int = RENDER_STEPS,
    size: int = RENDER_SIZE,
    seed: int = 0,
    setup: str | Setup = "fourier",
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
    settings = Settings(steps=steps, size=size, setup=setup_of(setup, network))
    with on_best_device(network), open_lens(network, _layers(what), settings.shapes) as lens:
        goals = [want.attempt(1) for want in _wants(lens, what, channels, seed)]
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
    def before_relu(self) -> Objective | None:
        """The same of what the layer's ReLU is given, if it ends in one."""
        return None if self.channel is None else channel(self.layer + PRE_RELU, self.channel)

    def attempt(self, number: int, *, before_relu: bool = False) -> Goal:
        """What to try: first what is asked for, then from before the ReLU, then another seed."""
        if number == 1:
            return Goal((self.objective,), self.seed)
        objective = self.before_relu if before_relu and self.before_relu else self.objective
        same_seed = number == 2 and objective is not self.objective
        seed = self.seed if same_seed else seed_for(self.seed, "attempt", number)
        return Goal((objective,), seed, judged=(self.objective,))


def _layers(what: What) -> list[str]:
    if isinstance(what, str):
        return [what]
    objectives = [what] if isinstance(what, Objective) else what
    return list(dict.fromkeys(layer for objective in objectives for layer in objective.layers))


def _wants(lens: Lens, what: What, channels: Sequence[int] | None, seed: int) -> list[Want]:
    """What is asked for, as far as the network has it; a NetworkError otherwise."""
    if isinstance(what, str):
        if channels is None:
            channels = range(channels_first(lens.of_black[what]).shape[1])
        wants = [
            Want(what, index, channel(what, index), seed_of(seed, what, index))
            for index in channels
        ]
    else:
        objectives = [what] if isinstance(what, Objective) else what
        wants = [
            Want(
                " ".join(objective.layers),
                None,
                objective.on(lens.network),
                seed_for(seed, "render", number),
            )
            for number, objective in enumerate(objectives)
        ]
    for want in wants:
        want.objective.check(lens.network, lens.of_black)
    return wants


def seed_of(seed: int, layer: str, index: int) -> int:
    """The seed of a channel's image: the same in every network."""
    return seed_for(seed, "render", layer, index)


# --- attempts ------------------------------------------------------------------------------------

ATTEMPTS = 3
"""As asked; from what the layer's ReLU is given; that, from another seed."""


@dataclass
class _Job:
    """What is wanted, what each row of it has come to so far, and who is told."""

    wants: list[Want]
    settings: Settings
    progress: Progress | None
    say: Callable[[str], None] | None
    drawn: Callable[[Rendering], None] | None
    attempts: dict[int, list[Rendering]] = field(default_factory=dict)
    done: int = 0
    total: int = 0

    def attempt(
        self, number: int, lens: Lens, rows: Sequence[int], *, before_relu: bool = False
    ) -> list[int]:
        """Draw some rows; those that should be tried again."""
        goals = [self.wants[row].attempt(number, before_relu=before_relu) for row in rows]
        self.total += len(goals) * self.settings.steps
        failed = []
        for places, results in together(
            [lens], goals, self.settings, tell=self._tell, say=self.say or (lambda _: None)
        ):
            for place, result in zip(places, results, strict=True):
                row = rows[place]
                rendering = rendering_of(self.wants[row], goals[place].seed, result)
                self.attempts.setdefault(row, []).append(rendering)
                hopeless = not math.isfinite(result.starts[0] + result.ends[0])
                if rendering.status == "ok" or number == ATTEMPTS or hopeless:
                    self._finish(row)
                else:
                    failed.append(row)
        self.done = self.total
        return sorted(failed)

    def attempt_again(self, number: int, network: Network, rows: Sequence[int]) -> list[int]:
        """Draw some rows once more, from before the ReLU where there is one."""
        wants = [self.wants[row] for row in rows]
        objectives = [want.objective for want in wants]
        deeper = [want.before_relu for want in wants if want.before_relu]
        with ExitStack() as stack:
            try:
                lens = stack.enter_context(
                    open_lens(network, _layers([*objectives, *deeper]), self.settings.shapes)
                )
            except NetworkError:  # the layer ends in no ReLU
                deeper = []
                lens = stack.enter_context(
                    open_lens(network, _layers(objectives), self.settings.shapes)
                )
            return self.attempt(number, lens, rows, before_relu=bool(deeper))

    def _finish(self, row: int) -> None:
        """Of a row's attempts keep the best, with a status that says how many there were."""
        count, rendering = len(self.attempts[row]), best(self.attempts[row])
        if rendering.status != "ok" and count > 1:
            status = f"{rendering.status} (the best of {count} attempts)"
            rendering = replace(rendering, status=status)
        self.attempts[row] = [replace(rendering, attempts=count)]
        if self.drawn:
            self.drawn(self.attempts[row][0])

    def _tell(self, steps: int) -> None:
        if self.progress:
            self.progress(self.done + steps, self.total)


def rendering_of(want: Want, seed: int, result: Result) -> Rendering:
    """What came of an attempt."""
    start, end = result.starts[0], result.ends[0]
    return Rendering(
        layer=want.layer,
        channel=want.channel,
        image=result.image,
        objective_start=start,
        objective_end=end,
        steps=result.steps,
        seed=seed,
        status=status_of(result.image, start, end),
        frames=result.frames,
    )
