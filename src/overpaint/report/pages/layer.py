"""The page of a layer: all its channels, as a grid that a script may sort and thin out."""

from dataclasses import dataclass

from overpaint.defaults import LEVEL
from overpaint.records import ChannelRow, LayerRow
from overpaint.report.pages import view
from overpaint.report.pages.channel import Card, Channels, most_specialised, remark
from overpaint.report.parts.gallery import Gallery
from overpaint.report.parts.rows import Fact, Link, Picture, Sheet, sheets
from overpaint.report.parts.text import ABSENT, count, counted, number, p_value, times
from overpaint.report.site.files import method
from overpaint.report.study.reader import rows

DEAD = {"dead": "both", "dead_before": "before", "dead_after": "after"}
"""In which network a channel of a status has no positive value."""


CARDS, UNDRAWN = 3, 2
"""The channels that have a card on the page of their layer: of those drawn, or else of all."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A channel in the grid of its layer; `data` is what a script may sort and choose by."""

    id: str
    link: Link
    faces: tuple[Picture | None, Picture | None]  # before and after
    more: tuple[tuple[Picture, ...], tuple[Picture, ...]]  # those that excite it most besides
    data: tuple[tuple[str, str], ...]
    facts: tuple[tuple[str, str], ...]
    led_before: str  # the class that leads it
    led_after: str
    remark: str

    @classmethod
    def of(cls, channels: Channels, gallery: Gallery, row: ChannelRow) -> "Tile":
        """The tile of a channel."""
        unit = row.layer, row.channel
        faces = gallery.face(0, *unit), gallery.face(1, *unit)
        # Without the sign where it is that of equality.
        q = p_value(row.specialised_q).removeprefix("p\xa0").removeprefix("=\xa0")
        return cls(
            id=f"c{row.channel}",
            link=Link(str(row.channel), href=f"#{row.channel}"),
            faces=faces,
            more=(gallery.more(0, *unit), gallery.more(1, *unit)),
            data=(
                ("channel", str(row.channel)),
                ("concentration", _plain(row.concentration)),
                ("change", _plain(row.filter_change)),
                ("overlap", _plain(row.overlap)),
                ("entropy-before", _plain(row.entropy_before)),
                ("entropy-after", _plain(row.entropy_after)),
                ("q", _plain(row.specialised_q)),
                ("specialised", "yes" if _is_specialised(row) else ""),
                ("leading-before", row.top_class_before or ""),
                ("leading", row.top_class_after or ""),
                ("dead", DEAD.get(row.status, "")),
                ("status", "" if row.status == "ok" else row.status or ""),
            ),
            facts=(
                ("overlap", number(row.overlap)),
                ("entropy", f"{number(row.entropy_before)} → {number(row.entropy_after)}"),
                ("concentration", number(row.concentration)),
                ("q", q),
                ("filter change", number(row.filter_change)),
            ),
            led_before=row.top_class_before or ABSENT,
            led_after=row.top_class_after or ABSENT,
            remark=remark(row, channels.comparison.facts.k),
        )


@dataclass(frozen=True, kw_only=True)
class LayerPage:
    """The page of a layer: all its channels; and, filled by a script, any one of them."""

    comparison: Link
    layer: str
    networks: tuple[str, str]
    data: str  # the script that has what is shown of each of its channels
    pictures: str  # that of the pictures
    marks: str
    undrawn: str  # how a channel, `{}`, that was not drawn may be
    summary: str
    facts: tuple[Fact, ...]
    chosen: str  # what the channels of the cards are
    cards: tuple[Card, ...]
    tiles: tuple[Tile, ...]
    sheets: tuple[Sheet, ...]  # of their pictures
    classes: tuple[str, ...]  # those that lead a channel after, for a choice by script
    previous: Link | None
    next: Link | None
    missing: tuple[str, ...]


def layer_page(channels: Channels, gallery: Gallery, layer: str) -> LayerPage:
    """All that the page of a layer shows."""
    comparison, of_layer = channels.comparison, channels.by_layer[layer]
    place = comparison.order.index(layer)
    summary = "No record of its channels is left."
    if of_layer:
        dead = sum(row.status in DEAD for row in of_layer)
        special = sum(map(_is_specialised, of_layer))
        tested = any(row.specialised_q is not None for row in of_layer)
        summary = (
            counted(len(of_layer), "channel")
            + (f", {count(special)} of them specialised (q ≤ {LEVEL})" if tested else "")
            + (f"; {count(dead)} dead before or after." if dead else ".")
        )
    tiles = tuple(Tile.of(channels, gallery, row) for row in of_layer)
    drawn = [unit for unit in comparison.facts.shown if unit[0] == layer]
    table, missing = comparison.channels, list(comparison.notes)
    units = drawn or most_specialised(table[table["layer"] == layer], UNDRAWN)
    cards = tuple(Card.of(channels, gallery, *unit, missing) for unit in units[:CARDS])
    return LayerPage(
        comparison=Link(comparison.title, href=comparison.address()),
        layer=layer,
        networks=gallery.titles,
        data=view.channels_at(comparison, layer),
        pictures=view.pictures_at(comparison),
        marks=gallery.marks(layer),
        undrawn=(
            "op.report(change, FOLDER, render={'channels': ['{}']}) draws it"
            if comparison.is_from_python
            else "a study draws it with “render: {channels: [{}]}”"
        ),
        summary=summary,
        facts=tuple(_facts(channels, layer)),
        chosen="Chosen channels" if drawn else "The channels that specialised most",
        cards=cards,
        tiles=tiles,
        sheets=sheets(
            picture for tile in tiles for picture in (*tile.faces, *tile.more[0], *tile.more[1])
        ),
        classes=tuple(sorted({row.top_class_after for row in of_layer if row.top_class_after})),
        previous=_beside(channels, place - 1),
        next=_beside(channels, place + 1),
        missing=tuple(dict.fromkeys(missing)),
    )


def _beside(channels: Channels, place: int) -> Link | None:
    order = channels.comparison.order
    if not 0 <= place < len(order):
        return None
    return Link(order[place], href=channels.comparison.layer(order[place]))


def _is_specialised(row: ChannelRow) -> bool:
    return row.specialised_q is not None and row.specialised_q <= LEVEL


def _facts(channels: Channels, layer: str) -> list[Fact]:
    facts = []
    table = channels.comparison.layers
    for row in rows(table[table["layer"] == layer], LayerRow):
        for name, measure, value, low, high in [
            ("CKA", "cka", row.cka, row.cka_low, row.cka_high),
            ("Debiased CKA", "cka_debiased", row.cka_debiased, row.cka_debiased_low,
             row.cka_debiased_high),
        ]:  # fmt: skip
            parts = [f"{number(low)} to {number(high)}"] if low is not None else []
            if measure == "cka" and row.cka_permuted is not None:
                parts.append(f"pictures dealt out anew {number(row.cka_permuted)}")
            aside = "; ".join(parts)
            facts.append(
                Fact(name=Link(name, href=method(measure)), value=Link(number(value)), aside=aside)
            )
        if row.cka_debiased_twins is not None:
            facts.append(
                Fact(
                    name=Link("Change beside luck", href=method("luck")),
                    value=Link(times(row.beside_luck)),
                    aside=f"debiased CKA of two trainings {number(row.cka_debiased_twins)}",
                )
            )
        if row.cka_debiased_partial is not None:
            facts.append(
                Fact(
                    name=Link("Debiased CKA, likeness of the input out", href=method("luck")),
                    value=Link(number(row.cka_debiased_partial)),
                )
            )
        if row.dominant:
            facts.append(
                Fact(
                    name=Link("Debiased CKA without three pictures", href=method("luck")),
                    value=Link(number(row.cka_debiased_without)),
                    aside=row.dominant,
                )
            )
        facts += [
            Fact(
                name=Link("Procrustes distance", href=method("procrustes")),
                value=Link(number(row.procrustes)),
            ),
            Fact(
                name=Link("Shared neighbours", href=method("mutual_neighbours")),
                value=Link(number(row.mutual_neighbours)),
                aside=f"chance {number(row.mutual_neighbours_chance)}",
            ),
        ]
    return facts


def _plain(value: float | None) -> str:
    """A number for a script: six digits, or nothing."""
    return "" if value is None else f"{value:.6g}"
