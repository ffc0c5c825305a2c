"""Channels: the cards of the chosen ones, and what is said of any of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from overpaint.defaults import LEVEL
from overpaint.measures.specialists import specialised
from overpaint.records import ChannelRow
from overpaint.report.parts.gallery import Gallery, Side
from overpaint.report.parts.maximal import SIDES
from overpaint.report.parts.rows import Fact, Link
from overpaint.report.parts.text import (
    ABSENT,
    count,
    counted,
    listed,
    number,
    p_value,
    percent,
    q_value,
    slug,
    times,
)
from overpaint.report.site.files import method
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import ComparisonRecords

SHORT = 4
"""The maximal images of a card."""

Unit = tuple[str, int]
"""A channel: its layer and its number."""


def anchor(layer: str, channel: int) -> str:
    """The anchor of a channel on the page of a comparison.

    >>> anchor("mixed4d", 164)
    'mixed4d-164'
    """
    return f"{slug(layer)}-{channel}"


@dataclass(frozen=True)
class Channels:
    """All channels of a comparison, in the order in which the networks run them."""

    comparison: ComparisonRecords

    @cached_property
    def rows(self) -> dict[Unit, ChannelRow]:
        """What the tables tell of each."""
        places = {layer: place for place, layer in enumerate(self.comparison.order)}
        frame = self.comparison.channels
        channels = rows(frame.assign(channel=frame["channel"].astype("int64")), ChannelRow)
        channels.sort(key=lambda row: (places[row.layer], row.channel))
        return {(row.layer, row.channel): row for row in channels}

    @cached_property
    def by_layer(self) -> dict[str, list[ChannelRow]]:
        """The same, layer by layer; a layer may have none."""
        by_layer: dict[str, list[ChannelRow]] = {layer: [] for layer in self.comparison.order}
        for row in self.rows.values():
            by_layer[row.layer].append(row)
        return by_layer

    @cached_property
    def ranks(self) -> dict[str, dict[Unit, tuple[int, int]]]:
        """By each criterion the rank of a channel, equals alike, and of how many."""
        frame = self.comparison.channels
        units = list(zip(frame["layer"], frame["channel"].astype("int64"), strict=True))
        ranks = {}
        for name, (_, ascending) in CRITERIA.items():
            n = int(frame[name].notna().sum())
            column = frame[name].rank(ascending=ascending, method="min").to_numpy()
            ranks[name] = {
                unit: (int(rank), n)
                for unit, rank in zip(units, column, strict=True)
                if rank == rank  # noqa: PLR0124  (it is not NaN)
            }
        return ranks

    def link(self, layer: str, channel: int) -> Link:
        """A channel, leading to what is shown of it, where there is anything."""
        is_there = (layer, channel) in self.rows
        href = self.comparison.channel(layer, channel) if is_there else None
        return Link(f"{layer}:{channel}", href=href)


def most_specialised(channels: pd.DataFrame, most: int) -> list[Unit]:
    """The channels that specialised most: the surest, or else those that concentrated most, or that
    kept the fewest of their images where no class is theirs.
    """
    measured = channels.dropna(subset="concentration")
    best = specialised(measured, LEVEL)
    if best.empty:
        best = measured.nlargest(most, "concentration")
    if best.empty:
        best = channels.nsmallest(most, "overlap")
    units = zip(best["layer"], best["channel"], strict=True)
    return [(str(layer), int(channel)) for layer, channel in units][:most]


CRITERIA = {
    "concentration": ("Most concentrated", False),
    "filter_change": ("Most changed filter", False),
    "overlap": ("Least overlap", True),
}
"""What channels are ranked by: its words, and whether the least stands first."""


@dataclass(frozen=True, kw_only=True)
class ClassShare:
    """The class most frequent among a channel's maximal images in one of the two networks."""

    label: str | None
    share: float | None  # of the images
    lift: float | None  # the share over that among all pictures
    entropy: float | None  # of the classes of the images


def leading(row: ChannelRow, side: str) -> ClassShare:
    """What leads a channel on a side, "before" or "after"."""
    if side == "before":
        return ClassShare(
            label=row.top_class_before,
            share=row.top_share_before,
            lift=row.top_lift_before,
            entropy=row.entropy_before,
        )
    return ClassShare(
        label=row.top_class_after,
        share=row.top_share_after,
        lift=row.top_lift_after,
        entropy=row.entropy_after,
    )


# --- cards -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Card:
    """A chosen channel on the page of its comparison."""

    id: str
    link: Link
    layer: str
    channel: int
    was_chosen: bool  # to be drawn
    sides: tuple[Side, ...]
    numbers: tuple[Fact, ...]
    remark: str

    @property
    def is_drawn(self) -> bool:
        """Whether there is, or was to be, a feature visualisation of it."""
        return self.was_chosen or any(side.rendering for side in self.sides)

    @classmethod
    def of(
        cls, channels: Channels, gallery: Gallery, layer: str, channel: int, missing: list[str]
    ) -> "Card":
        """A chosen channel on the page of its comparison; what is missing is noted."""
        sides = tuple(gallery.side(side, layer, channel, SHORT) for side in (0, 1))
        was_chosen = gallery.was_chosen(layer, channel)
        for side in sides:
            name = f"{layer}:{channel} of {side.network}"
            if side.rendering is None and was_chosen:
                missing.append(f"{name}: {side.caption}.")
            if side.lost:
                missing.append(f"{name}: {counted(side.lost, 'thumbnail')} missing.")
        row = channels.rows.get((layer, channel))
        no_record = "no record of its numbers"
        return cls(
            id=anchor(layer, channel),
            link=channels.link(layer, channel),
            layer=layer,
            channel=channel,
            was_chosen=was_chosen,
            sides=sides,
            numbers=tuple(few_facts(channels, row)) if row else (),
            remark=remark(row, channels.comparison.facts.k) if row else no_record,
        )


# --- what is said of a channel -----------------------------------------------------------------


def sentence(row: ChannelRow, comparison: ComparisonRecords) -> str:
    """What became of a channel, in one sentence.

    It tells of entropy where the channel has one before and after, or else of overlap.
    """
    which, values = blanks(row)
    pieces = patterns(comparison)[which]
    return pieces[0] + "".join(map("".join, zip(values, pieces[1:], strict=True)))


def patterns(comparison: ComparisonRecords) -> tuple[list[str], list[str]]:
    """The sentences that are said of the channels of a comparison, each in pieces between which
    the values stand: of overlap, and of entropy.
    """
    start = f"From {comparison.title_before} to {comparison.title_after}, its"
    return (
        [f"{start} maximal activation images overlap by ", " (chance ", ")."],
        [
            f"{start} class entropy went from ",
            " to ",
            " (chance ",
            "); ",
            " of its maximal activation images are now of ",
            ".",
        ],
    )


def blanks(row: ChannelRow) -> tuple[int, list[str]]:
    """Which of these sentences is said of a channel, and the values that fill it."""
    if row.concentration is None:
        return 0, [number(row.overlap), number(row.overlap_chance)]
    entropies = map(number, (row.entropy_before, row.entropy_after, row.entropy_chance))
    return 1, [*entropies, percent(row.top_share_after), row.top_class_after or ABSENT]


def standing(channels: Channels, row: ChannelRow) -> Iterable[Fact]:
    """Its rank among all channels, by each criterion."""
    for name, (words, _) in CRITERIA.items():
        rank, n = channels.ranks[name].get((row.layer, row.channel), (None, 0))
        aside = f"of {count(n)} channels" if rank is not None else ""
        yield Fact(name=Link(words), value=Link(count(rank)), aside=aside)


def few_facts(channels: Channels, row: ChannelRow) -> Iterable[Fact]:
    """The facts of a card."""
    yield _overlap(row)
    yield from _luck(row)
    yield _matched(channels, row)
    yield _entropy(row)
    yield Fact(
        name=Link("Concentration", href=method("concentration")),
        value=Link(number(row.concentration)),
        aside=q_value(row.specialised_q),
    )
    yield from _leading(channels.comparison, row)
    yield _filter(row)


def facts(channels: Channels, row: ChannelRow) -> Iterable[Fact]:
    """All that is measured of a channel."""
    yield _overlap(row)
    yield from _luck(row)
    yield _entropy(row)
    yield Fact(
        name=Link("Concentration", href=method("concentration")),
        value=Link(number(row.concentration)),
        aside=f"after by chance {p_value(row.entropy_p_after)}",
    )
    yield Fact(
        name=Link("Specialised", href=method("specialised")),
        value=Link(q_value(row.specialised_q) or ABSENT),
        aside=p_value(row.specialised_p),
    )
    yield Fact(
        name=Link("Information gain", href=method("gain")),
        value=Link(f"{number(row.gain_before)} → {number(row.gain_after)}"),
    )
    yield from _leading(channels.comparison, row)
    yield _filter(row)
    yield _matched(channels, row)


def _overlap(row: ChannelRow) -> Fact:
    return Fact(
        name=Link("Overlap", href=method("overlap")),
        value=Link(number(row.overlap)),
        aside=f"chance {number(row.overlap_chance)}, {p_value(row.overlap_p)}",
    )


def _luck(row: ChannelRow) -> Iterable[Fact]:
    """Its change beside that between two trainings, where there are two."""
    if row.overlap_twins is not None:
        yield Fact(
            name=Link("Change beside luck", href=method("luck")),
            value=Link(times(row.beside_luck)),
            aside=f"overlap of two trainings {number(row.overlap_twins)}",
        )


def _entropy(row: ChannelRow) -> Fact:
    return Fact(
        name=Link("Class entropy", href=method("entropy")),
        value=Link(f"{number(row.entropy_before)} → {number(row.entropy_after)}"),
        aside=f"chance {number(row.entropy_chance)}",
    )


def _leading(comparison: ComparisonRecords, row: ChannelRow) -> Iterable[Fact]:
    for side in SIDES:
        first = leading(row, side)
        times = "" if first.lift is None else f", {number(first.lift, 1)} times its share of all"
        href = comparison.label(first.label) if first.label else None
        yield Fact(
            name=Link(f"Leading class {side}"),
            value=Link(first.label or ABSENT, href=href),
            aside=f"{percent(first.share)}{times}",
        )


def _filter(row: ChannelRow) -> Fact:
    return Fact(
        name=Link("Filter change", href=method("filter_change")),
        value=Link("identical" if row.filter_change == 0 else number(row.filter_change)),
        aside="relative L1" if row.filter_change is not None else "",
    )


def _matched(channels: Channels, row: ChannelRow) -> Fact:
    name = Link("Overlap, matched", href=method("overlap"))
    if row.matched_channel is None:
        return Fact(name=name, value=Link(number(row.overlap_matched)))
    which, href = "itself", None
    if row.matched_channel != row.channel:
        which = f"channel {int(row.matched_channel)}"
        href = channels.link(row.layer, int(row.matched_channel)).href
    return Fact(
        name=name,
        value=Link(number(row.overlap_matched), href=href),
        aside=f"{which}, correlation {number(row.matched_correlation)}",
    )


def remark(row: ChannelRow, k: int | None) -> str:
    """What is odd about a channel of which k maximal images were asked for."""
    odd = [] if row.status in ("ok", None) else [in_words(row.status)]
    odd += [
        f"only {counted(n, 'positive image')} {side}"
        for side, n in [("before", row.n_before), ("after", row.n_after)]
        if k is not None and n is not None and n < k
    ]
    return f"{listed(odd)}." if odd else ""


STATUSES = {
    "dead": "no positive value in either network",
    "dead_before": "no positive value before",
    "dead_after": "no positive value after",
    "constant": "one value for all pictures that it responds to, so that nothing ranks them",
    "negative": "no value above zero in one of the networks",
    "not_finite": "gave NaN or infinity",
    "identical": "the same response to every picture before and after",
}


def in_words(status: str) -> str:
    """The state of a channel; what is not known is told as it is."""
    return STATUSES.get(status, status)
