"""Two networks: the image that excites a channel in both, or in the second alone."""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from overpaint.defaults import RENDER_SIZE, RENDER_STEPS
from overpaint.device import on_best_device
from overpaint.networks import Network
from overpaint.render.lens import open_lens
from overpaint.render.loop import Goal, Image, Settings, together
from overpaint.render.objectives import Objective, channel
from overpaint.render.rendering import Rendering, status_of
from overpaint.render.setup import Setup, setup_of
from overpaint.render.single import Progress, render, seed_of

Kind = Literal["both", "only_after"]
"""What both networks want, or what the second wants and the first does not."""

SIGNS: dict[Kind, tuple[int, int]] = {"both": (1, 1), "only_after": (-1, 1)}

Reach = tuple[float | None, float | None]
"""What a channel reaches in each network on a rendering of its own; None if it shows nothing."""


@dataclass(frozen=True, kw_only=True)
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
    steps: int = RENDER_STEPS,
    size: int = RENDER_SIZE,
    seed: int = 0,
    setup: str | Setup = "fourier",
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
    drawn: Callable[[PairRendering], None] | None = None,
) -> list[PairRendering]:
    """What channels of a layer want in two networks at once, or in the second and not in the first.

    >>> from overpaint.networks import build
    >>> pair = [build("inception_small", classes=("cat", "dog"), seed=seed) for seed in (0, 1)]
    >>> (only,) = render_pair(*pair, "mixed3b", [3], kind="only_after", steps=8, size=48)
    >>> only.after / only.reach_after > only.before / only.reach_before
    True

    Both networks are shown the same image in the same views. Their channels differ in scale, so
    each counts in units of what it reaches alone: 1 is as much as on a rendering of its own.
    "both" raises the sum of the two shares, "only_after" the share of the second less that of the
    first. `reach` are these scales, if they are known; without it the channels are first rendered
    alone. A network in which a channel shows nothing does not count, and the status says so.

    The image starts from the noise of the channel's own renderings. `progress`, `say`, `drawn`, and
    what is left of the networks: as for `render`.
    """
    settings = Settings(steps=steps, size=size, setup=setup_of(setup, before, after))
    with on_best_device(before, after):
        if reach is None:
            alone = [
                render(network, layer, channels, steps=steps, size=size, seed=seed, setup=setup)
                for network in (before, after)
            ]
            reach = [(_reached(a), _reached(b)) for a, b in zip(*alone, strict=True)]
        goals = [
            _goal(layer, index, kind, scales, seed)
            for index, scales in zip(channels, reach, strict=True)
        ]
        pairs: dict[int, PairRendering] = {}

        def tell(done: int) -> None:
            if progress:
                progress(done, len(goals) * steps)

        with ExitStack() as stack:
            lenses = [
                stack.enter_context(open_lens(network, [layer], settings.shapes))
                for network in (before, after)
            ]
            for goal in goals:
                for lens, objective in zip(lenses, goal.measured, strict=True):
                    objective.check(lens.network, lens.of_black)
            for rows, results in together(
                lenses, goals, settings, tell=tell, say=say or (lambda _: None)
            ):
                for row, result in zip(rows, results, strict=True):
                    start, end = (
                        _in_reach(values, kind, reach[row])
                        for values in (result.starts, result.ends)
                    )
                    pairs[row] = PairRendering(
                        layer=layer,
                        channel=channels[row],
                        kind=kind,
                        image=result.image,
                        before=result.ends[0],
                        after=result.ends[1],
                        reach_before=reach[row][0],
                        reach_after=reach[row][1],
                        rise=end - start,
                        steps=result.steps,
                        seed=goals[row].seed,
                        status=_status(result.image, reach[row], start, end),
                    )
                    if drawn:
                        drawn(pairs[row])
    return [pairs[row] for row in range(len(goals))]


def _reached(rendering: Rendering) -> float | None:
    """What a channel reaches on a rendering of its own, if that shows something."""
    value = rendering.objective_end
    return value if rendering.status == "ok" and value > 0 else None


def _goal(layer: str, index: int, kind: Kind, reach: Reach, seed: int) -> Goal:
    weights = [
        sign / scale if scale else 0.0 for sign, scale in zip(SIGNS[kind], reach, strict=True)
    ]
    plain = channel(layer, index)
    objectives: list[Objective] = [weight * plain for weight in weights]
    return Goal(tuple(objectives), seed_of(seed, layer, index), judged=(plain, plain))


def _in_reach(values: Sequence[float], kind: Kind, reach: Reach) -> float:
    """What the pair's objective is of a channel's means, in units of what it reaches alone."""
    shares = [
        sign * value / scale
        for sign, value, scale in zip(SIGNS[kind], values, reach, strict=True)
        if scale
    ]
    return float(sum(shares))


def _status(image: Image, reach: Reach, start: float, end: float) -> str:
    silent = [name for name, scale in zip(("before", "after"), reach, strict=True) if not scale]
    if len(silent) == 2:
        return "the channel shows nothing in either network"
    status = status_of(image, start, end)
    if silent and status == "ok" and math.isfinite(end):
        return f"the channel shows nothing in the network {silent[0]}, which does not count"
    return status
