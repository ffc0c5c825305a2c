"""Channels: the page of each, the cards of the chosen ones, and what is said of any of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from overpaint.records import ChannelRow
from overpaint.report.parts.gallery import Gallery, seen
from overpaint.report.parts.maximal import SHOWN, SIDES
from overpaint.report.parts.rows import Card, ChannelPage, Fact, Link
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

    found: ComparisonRecords

    @cached_property
    def rows(self) -> dict[Unit, ChannelRow]:
        """What the tables tell of each."""
        place = {layer: at for at, layer in enumerate(self.found.order)}
        frame = self.found.channels
        told = rows(frame.assign(channel=frame["channel"].astype("int64")), ChannelRow)
        told.sort(key=lambda row: (place[row.layer], row.channel))
        return {(row.layer, row.channel): row for row in told}

    @cached_property
    def by_layer(self) -> dict[str, list[ChannelRow]]:
        """The same, layer by layer; a layer may have none."""
        found: dict[str, list[ChannelRow]] = {layer: [] for layer in self.found.order}
        for row in self.rows.values():
            found[row.layer].append(row)
        return found

    @cached_property
    def ranks(self) -> dict[str, dict[Unit, tuple[int, int]]]:
        """By each criterion the rank of a channel, equals alike, and of how many."""
        frame = self.found.channels
        units = list(zip(frame["layer"], frame["channel"].astype("int64"), strict=True))
        found = {}
        for name, (_, ascending) in CRITERIA.items():
            known = int(frame[name].notna().sum())
            placed = frame[name].rank(ascending=ascending, method="min").to_numpy()
            found[name] = {
                unit: (int(at), known)
                for unit, at in zip(units, placed, strict=True)
                if at == at  # noqa: PLR0124  (it is not NaN)
            }
        return found

    @cached_property
    def units(self) -> list[Unit]:
        """All of them, in order."""
        return list(self.rows)

    @cached_property
    def _places(self) -> dict[Unit, int]:
        return {unit: at for at, unit in enumerate(self.units)}

    def beside(self, unit: Unit, step: int) -> Link | None:
        """The channel after or before one, on to the next layer at the end of one."""
        at = self._places[unit] + step
        return self.link(*self.units[at]) if 0 <= at < len(self.units) else None

    def link(self, layer: str, channel: int) -> Link:
        """A channel, leading to its page where it has one."""
        there = (layer, channel) in self.rows
        where = self.found.channel(layer, channel) if there else None
        return Link(f"{layer}:{channel}", where)


CRITERIA = {
    "concentration": ("Most concentrated", False),
    "filter_change": ("Most changed filter", False),
    "overlap": ("Least overlap", True),
}
"""What channels are ranked by: its words, and whether the least stands first."""

# --- pages and cards ---------------------------------------------------------------------------


def channel_page(channels: Channels, gallery: Gallery, row: ChannelRow, at: str) -> ChannelPage:
    """All that the page of a channel shows; the root of the site is `at`."""
    found, unit = channels.found, (row.layer, row.channel)
    sides = gallery.sides(*unit, SHOWN, at)
    return ChannelPage(
        Link(f"{found.before} → {found.after}", found.address()),
        Link(row.layer, found.layer(row.layer)),
        row.channel,
        sentence(row, found),
        sides,
        tuple(gallery.together(*unit)),
        tuple(facts(channels, row)),
        tuple(_ranks(channels, unit)),
        remark(row, found.facts.get("k")),
        seen(sides),
        channels.beside(unit, -1),
        channels.beside(unit, 1),
    )


def card(
    channels: Channels, gallery: Gallery, layer: str, channel: int, missing: list[str]
) -> Card:
    """A chosen channel on the page of its comparison; what is missing is noted."""
    sides = gallery.sides(layer, channel, SHORT, "../")
    for side in sides:
        name = f"{layer}:{channel} of {side.network}"
        if side.rendering is None:
            missing.append(f"{name}: {side.caption}.")
        if side.lost:
            missing.append(f"{name}: {counted(side.lost, 'thumbnail')} missing.")
    row = channels.rows.get((layer, channel))
    return Card(
        anchor(layer, channel),
        channels.link(layer, channel),
        layer,
        channel,
        sides,
        tuple(_few_facts(channels, row)) if row else (),
        remark(row, channels.found.facts.get("k")) if row else "no record of its numbers",
    )


# --- what is said of a channel -----------------------------------------------------------------


def sentence(row: ChannelRow, found: ComparisonRecords) -> str:
    """What became of a channel, in one sentence.

    It tells of entropy where the channel has one before and after, or else of overlap.
    """
    start = f"From {found.before} to {found.after}, its"
    if row.concentration is None:
        return (
            f"{start} maximal activation images overlap by {number(row.overlap)} "
            f"(chance {number(row.overlap_chance)})."
        )
    return (
        f"{start} class entropy went from "
        f"{number(row.entropy_before)} to {number(row.entropy_after)} "
        f"(chance {number(row.entropy_chance)}); {percent(row.top_share_after)} of its maximal "
        f"activation images are now of {row.top_class_after or ABSENT}."
    )


def _few_facts(channels: Channels, row: ChannelRow) -> Iterable[Fact]:
    """The facts of a card."""
    yield _overlap(row)
    yield _matched(channels, row)
    yield _entropy(row)
    yield Fact(
        Link("Concentration", method("concentration")),
        Link(number(row.concentration)),
        q_value(row.specialised_q),
    )
    yield from (_leading(channels.found, row, side) for side in SIDES)
    yield _filter(row)


def facts(channels: Channels, row: ChannelRow) -> Iterable[Fact]:
    """All that is measured of a channel."""
    yield _overlap(row)
    yield _entropy(row)
    yield Fact(
        Link("Concentration", method("concentration")),
        Link(number(row.concentration)),
        f"after by chance {p_value(row.entropy_p_after)}",
    )
    yield Fact(
        Link("Specialised", method("specialised")),
        Link(q_value(row.specialised_q) or ABSENT),
        p_value(row.specialised_p),
    )
    yield Fact(
        Link("Information gain", method("gain")),
        Link(f"{number(row.gain_before)} → {number(row.gain_after)}"),
    )
    yield from (_leading(channels.found, row, side) for side in SIDES)
    yield _filter(row)
    yield _matched(channels, row)


def _overlap(row: ChannelRow) -> Fact:
    return Fact(
        Link("Overlap", method("overlap")),
        Link(number(row.overlap)),
        f"chance {number(row.overlap_chance)}, {p_value(row.overlap_p)}",
    )


def _entropy(row: ChannelRow) -> Fact:
    return Fact(
        Link("Class entropy", method("entropy")),
        Link(f"{number(row.entropy_before)} → {number(row.entropy_after)}"),
        f"chance {number(row.entropy_chance)}",
    )


def _leading(found: ComparisonRecords, row: ChannelRow, side: str) -> Fact:
    label, share, lift = (getattr(row, f"top_{name}_{side}") for name in ("class", "share", "lift"))
    times = "" if lift is None else f", {number(lift, 1)} times its share of all"
    where = found.label(label) if label else None
    return Fact(
        Link(f"Leading class {side}"), Link(label or ABSENT, where), f"{percent(share)}{times}"
    )


def _filter(row: ChannelRow) -> Fact:
    moved = "identical" if row.filter_change == 0 else number(row.filter_change)
    aside = "relative L1" if row.filter_change is not None else ""
    return Fact(Link("Filter change", method("filter_change")), Link(moved), aside)


def _matched(channels: Channels, row: ChannelRow) -> Fact:
    name = Link("Overlap, matched", method("overlap"))
    if row.matched_channel is None:
        return Fact(name, Link(number(row.overlap_matched)))
    own = row.matched_channel == row.channel
    where = None if own else channels.link(row.layer, int(row.matched_channel)).href
    which = "itself" if own else f"channel {int(row.matched_channel)}"
    return Fact(
        name,
        Link(number(row.overlap_matched), where),
        f"{which}, correlation {number(row.matched_correlation)}",
    )


def _ranks(channels: Channels, unit: Unit) -> Iterable[Fact]:
    for name, (words, _) in CRITERIA.items():
        rank, known = channels.ranks[name].get(unit, (None, 0))
        aside = f"of {count(known)} channels" if rank is not None else ""
        yield Fact(Link(words), Link(count(rank)), aside)


def remark(row: ChannelRow, k: int | None) -> str:
    """What is odd about a channel."""
    few = [
        f"only {counted(n, 'positive image')} {side}"
        for side, n in [("before", row.n_before), ("after", row.n_after)]
        if k is not None and n is not None and n < k
    ]
    odd = [] if row.status in ("ok", None) else [in_words(row.status)]
    return f"{listed([*odd, *few])}." if odd or few else ""


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
