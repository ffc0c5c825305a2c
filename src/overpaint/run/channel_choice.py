"""Choice: which channels of a comparison to look at, by what its table says of them; no torch."""

from collections.abc import Sequence

import numpy as np

from overpaint.records import ChannelRow

CRITERIA = {
    "most_changed": lambda row: row.filter_change,
    "most_concentrated": lambda row: row.concentration,
    # Of the larger set: a channel with few positive images that kept them all has not changed.
    "least_overlap": lambda row: -row.overlap / max(row.n_before, row.n_after),
}


COMPARABLE = ("ok", "identical", "negative")
"""The states of a channel whose maximal images were chosen by their values in both networks."""


def choose_channels(
    rows: Sequence[ChannelRow], layers: Sequence[str], channels: str | Sequence[int | str]
) -> list[tuple[str, int]]:
    """The channels that a study wants to see: the same numbers in each layer, units by name, all,
    or in each layer the first n of a criterion or the extremes of the overlap, only those that fire
    in both networks.

    Where no filter change is known (no single filter makes a channel), `most_changed` falls back
    on the least overlap.
    """
    chosen = []
    for layer in layers:
        own = [row for row in rows if row.layer == layer]
        numbers = (
            _by_word(own, channels)
            if isinstance(channels, str)
            else _by_number(layer, len(own), channels)
        )
        chosen += [(layer, number) for number in numbers]
    return chosen


def _by_number(layer: str, width: int, channels: Sequence[int | str]) -> list[int]:
    """The channels of a layer among numbers and units ("mixed4d:164")."""
    units = [channel if isinstance(channel, str) else f"{layer}:{channel}" for channel in channels]
    numbers = [int(unit.rpartition(":")[2]) for unit in units if unit.rpartition(":")[0] == layer]
    return [number for number in dict.fromkeys(numbers) if number < width]


def _by_word(rows: Sequence[ChannelRow], choice: str) -> list[int]:
    name, _, count = choice.rstrip(")").partition("(")
    if name == "all":
        return [row.channel for row in rows]
    alive = [row for row in rows if row.status in COMPARABLE]
    if name == "extremes_of_overlap":
        return extremes([(row.overlap, row.channel) for row in alive], int(count))
    if name == "most_changed" and any(row.filter_change is None for row in alive):
        name = "least_overlap"
    scored = [(CRITERIA[name](row), row.channel) for row in alive]
    known = [(value, channel) for value, channel in scored if value is not None]
    return [channel for _, channel in sorted(known, key=lambda each: (-each[0], each[1]))][
        : int(count)
    ]


def extremes(scored: Sequence[tuple[float, int]], count: int) -> list[int]:
    """Of (value, channel): the lowest, those nearest the median, the highest; each channel once.

    >>> extremes([(value / 8, value) for value in range(9)], 2)
    [0, 1, 4, 3, 7, 8]

    The paper draws such a grid for the overlap. Ties go to the lower channel.
    """
    ordered = [channel for _, channel in sorted(scored)]
    if not ordered:
        return []
    middle = float(np.median([value for value, _ in scored]))
    near = [channel for _, channel in sorted((abs(value - middle), c) for value, c in scored)]
    return list(dict.fromkeys([*ordered[:count], *near[:count], *ordered[-count:]]))
