"""Two networks: the image that excites a channel in both, or in the second alone."""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from overpaint.device import on_best_device
from overpaint.networks import Network
from overpaint.render.lens import looking
from overpaint.render.loop import Drawn, Goal, Image, Settings, together
from overpaint.render.manner import Manner, manner_of
from overpaint.render.objectives import Objective, channel
from overpaint.render.rendering import status_of
from overpaint.render.single import Progress, render, seed_of

Kind = Literal["both", "only_after"]
"""What both networks want, or what the second wants and the first does not."""

SIGNS: dict[Kind, tuple[int, int]] = {"both": (1, 1), "only_after": (-1, 1)}

Reach = tuple[float | None, float | None]
"""What a channel reaches in each network on a rendering of its own; None if it shows nothing."""


@dataclass(frozen=True)
class PairRendering:
    """The image that a channel of two networks wants.

    `before` and `after` are the channel's means on `image` in each network, and `reach_before` and
    `reach_after` those that it reaches in each on a rendering of its own: 1 is as much as alone.
    `rise` is by how much the objective rose, in these units.
    """

    layer: str
    channel: int
    kind: Kind
    image: Image
    before: float
    after: float
    reach_before: float | None
    reach_after: float | None
    rise: float
    steps: int
    seed: int
    status: str


def render_pair(
    before: Network,
    after: Network,
    layer: str,
    channels: Sequence[int],
    *,
    kind: Kind = "both",
    reach: Sequence[Reach] | None = None,
    steps: int = 512,
    size: int = 128,
    seed: int = 0,
    manner: str | Manner = "fourier",
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
    drawn: Callable[[PairRendering], None] | None = None,
) -> list[PairRendering]:
    """What channels of a layer want in two networks at once, or in the second and not in the first.

    >>> from overpaint.networks import build
    >>> pair = [build("inception_small", classes=("cat", "dog"), seed=seed) for seed in (0, 1)]
    >>> (found,) = render_pair(*pair, "mixed3b", [3], kind="only_after", steps=8, size=48)
    >>> found.after / found.reach_after > found.before / found.reach_before
    True

    Both networks are shown the same image in the same views. Their channels differ in scale, so
    each counts in units of what it reaches alone: 1 is as much as on a rendering of its own.
    "both" raises the sum of the two shares, "only_after" the share of the second less that of the
    first. `reach` are these scales, if they are known; without it the channels are first rendered
    alone. A network in which a channel shows nothing does not count, and the status says so.

    The image starts from the noise of the channel's own renderings. `progress`, `say`, `drawn`, and
    what is left of the networks: as for `render`.
    """
    settings = Settings(steps, size, manner_of(manner, before, after))
    if reach is None:
        alone = [
            render(network, layer, channels, steps=steps, size=size, seed=seed, manner=manner)
            for network in (before, after)
        ]
        reach = [
            (_reached(a.status, a.objective_end), _reached(b.status, b.objective_end))
            for a, b in zip(*alone, strict=True)
        ]
    goals = [
        _goal(layer, index, kind, each, seed) for index, each in zip(channels, reach, strict=True)
    ]
    found: dict[int, PairRendering] = {}

    def tell(done: int) -> None:
        if progress:
            progress(done, len(goals) * steps)

    with on_best_device(before, after), ExitStack() as stack:
        lenses = [
            stack.enter_context(looking(network, [layer], settings.shapes))
            for network in (before, after)
        ]
        for goal in goals:
            for lens, objective in zip(lenses, goal.measured, strict=True):
                objective.check(lens.network, lens.seen)
        for rows, made in together(lenses, goals, settings, tell=tell, say=say or (lambda _: None)):
            for row, each in zip(rows, made, strict=True):
                found[row] = _pair(layer, channels[row], kind, reach[row], goals[row].seed, each)
                if drawn:
                    drawn(found[row])
    return [found[row] for row in range(len(goals))]


def _reached(status: str, value: float) -> float | None:
    return value if status == "ok" and value > 0 else None


def _goal(layer: str, index: int, kind: Kind, reach: Reach, seed: int) -> Goal:
    weights = [
        sign / scale if scale else 0.0 for sign, scale in zip(SIGNS[kind], reach, strict=True)
    ]
    plain = channel(layer, index)
    objectives: list[Objective] = [weight * plain for weight in weights]
    return Goal(tuple(objectives), seed_of(seed, layer, index), judged=(plain, plain))


def _pair(
    layer: str, index: int, kind: Kind, reach: Reach, seed: int, drawn: Drawn
) -> PairRendering:
    start, end = (
        sum(
            sign * value / scale
            for sign, value, scale in zip(SIGNS[kind], values, reach, strict=True)
            if scale
        )
        for values in (drawn.starts, drawn.ends)
    )
    status = _status(drawn, reach, float(start), float(end))
    before, after = drawn.ends
    return PairRendering(
        layer,
        index,
        kind,
        drawn.image,
        before,
        after,
        *reach,
        rise=float(end - start),
        steps=drawn.steps,
        seed=seed,
        status=status,
    )


def _status(drawn: Drawn, reach: Reach, start: float, end: float) -> str:
    silent = [name for name, scale in zip(("before", "after"), reach, strict=True) if not scale]
    if len(silent) == 2:
        return "the channel shows nothing in either network"
    status = status_of(drawn.image, start, end)
    if silent and status == "ok" and math.isfinite(end):
        return f"the channel shows nothing in the network {silent[0]}, which does not count"
    return status
