"""The page of a layer: all its channels, as a grid that a script may sort and thin out."""

from overpaint.records import ChannelRow, LayerRow
from overpaint.report.pages.channel import Channels, remark
from overpaint.report.parts.gallery import Gallery
from overpaint.report.parts.rows import Fact, LayerPage, Link, Tile
from overpaint.report.parts.text import ABSENT, count, counted, number, p_value
from overpaint.report.site.files import method
from overpaint.report.study.reader import rows

DEAD = {"dead": "both", "dead_before": "before", "dead_after": "after"}
"""In which network a channel of a status has no positive value."""

SURE = 0.05
"""A channel specialised where its corrected p-value is at most that."""


def layer_page(channels: Channels, gallery: Gallery, layer: str) -> LayerPage:
    """All that the page of a layer shows."""
    found, own = channels.found, channels.by_layer[layer]
    at = found.order.index(layer)
    return LayerPage(
        Link(f"{found.before} → {found.after}", found.address()),
        layer,
        _summary(own),
        tuple(_facts(channels, layer)),
        tuple(_tile(channels, gallery, row) for row in own),
        tuple(sorted({row.top_class_after for row in own if row.top_class_after})),
        _beside(channels, at - 1),
        _beside(channels, at + 1),
        tuple(found.notes),
    )


def _beside(channels: Channels, at: int) -> Link | None:
    order = channels.found.order
    if not 0 <= at < len(order):
        return None
    return Link(order[at], channels.found.layer(order[at]))


def _summary(own: list[ChannelRow]) -> str:
    if not own:
        return "No record of its channels is left."
    dead = sum(row.status in DEAD for row in own)
    sure = sum(map(_is_sure, own))
    told = any(row.specialised_q is not None for row in own)
    special = f", {count(sure)} of them specialised (q ≤ {SURE})" if told else ""
    lost = f"; {count(dead)} dead before or after" if dead else ""
    return f"{counted(len(own), 'channel')}{special}{lost}."


def _is_sure(row: ChannelRow) -> bool:
    return row.specialised_q is not None and row.specialised_q <= SURE


def _facts(channels: Channels, layer: str) -> list[Fact]:
    told = channels.found.layers
    return [
        fact
        for row in rows(told[told["layer"] == layer], LayerRow)
        for fact in (
            _with_interval("CKA", "cka", row.cka, row.cka_low, row.cka_high),
            _with_interval("Debiased CKA", "cka_debiased", row.cka_debiased,
                           row.cka_debiased_low, row.cka_debiased_high),
            Fact(Link("Procrustes distance", method("procrustes")), Link(number(row.procrustes))),
            Fact(
                Link("Shared neighbours", method("mutual_neighbours")),
                Link(number(row.mutual_neighbours)),
                f"chance {number(row.mutual_neighbours_chance)}",
            ),
        )
    ]  # fmt: skip


def _with_interval(
    name: str, measure: str, value: float | None, low: float | None, high: float | None
) -> Fact:
    aside = f"{number(low)} to {number(high)}" if low is not None else ""
    return Fact(Link(name, method(measure)), Link(number(value)), aside)


def _tile(channels: Channels, gallery: Gallery, row: ChannelRow) -> Tile:
    unit = row.layer, row.channel
    before, after = (gallery.face(side, *unit) for side in (0, 1))
    return Tile(
        f"c{row.channel}",
        Link(str(row.channel), channels.found.channel(*unit)),
        before,
        after,
        (
            ("channel", str(row.channel)),
            ("concentration", _plain(row.concentration)),
            ("change", _plain(row.filter_change)),
            ("overlap", _plain(row.overlap)),
            ("entropy-before", _plain(row.entropy_before)),
            ("entropy-after", _plain(row.entropy_after)),
            ("q", _plain(row.specialised_q)),
            ("specialised", "yes" if _is_sure(row) else ""),
            ("leading-before", row.top_class_before or ""),
            ("leading", row.top_class_after or ""),
            ("dead", DEAD.get(row.status, "")),
            ("status", row.status or "ok"),
        ),
        (
            ("overlap", number(row.overlap)),
            ("entropy", f"{number(row.entropy_before)} → {number(row.entropy_after)}"),
            ("concentration", number(row.concentration)),
            ("q", _q(row)),
            ("filter change", number(row.filter_change)),
        ),
        (row.top_class_before or ABSENT, row.top_class_after or ABSENT),
        remark(row, channels.found.facts.get("k")),
    )


def _plain(value: float | None) -> str:
    """A number for a script: six digits, or nothing."""
    return "" if value is None else f"{value:.6g}"


def _q(row: ChannelRow) -> str:
    """Without the sign where it is that of equality."""
    if row.specialised_q is None:
        return ABSENT
    return p_value(row.specialised_q).removeprefix("p\xa0").removeprefix("=\xa0")
