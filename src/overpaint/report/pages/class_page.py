"""The page of a class in a comparison: which channels speak for it, before and after."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from overpaint.records import ChannelRow, ClassRow, ResponseRow
from overpaint.report.pages.channel import Channels
from overpaint.report.parts.gallery import Gallery
from overpaint.report.parts.maximal import SIDES
from overpaint.report.parts.rows import Cell, ClassPage, Fact, LeadLine, Led, LedLine, Link
from overpaint.report.parts.text import ABSENT, count, counted, number, percent, slug
from overpaint.report.site.files import method
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import Records

LED = 500
"""The most channels that a page lists for a class and network."""

RESPONDING = 20
"""The channels that respond most to a class, of each network."""


@dataclass(frozen=True)
class Classes:
    """The classes of a comparison, and the channels that each leads."""

    records: Records
    channels: Channels

    @cached_property
    def order(self) -> list[str]:
        """The classes of the dataset in its order, and others that the tables tell of."""
        found = self.channels.found
        dataset = self.records.datasets.get(str(found.facts.get("dataset", "")))
        told = dataset.facts.get("classes") if dataset else None
        known = list(map(str, told)) if isinstance(told, list) else []
        led = sorted({label for side in SIDES for label in self.led[side]})
        return list(dict.fromkeys([*known, *led]))

    @cached_property
    def led(self) -> dict[str, dict[str, list[ChannelRow]]]:
        """By side and class the channels that it leads, the largest share first."""
        found: dict[str, dict[str, list[ChannelRow]]] = {}
        for side in SIDES:
            own: dict[str, list[ChannelRow]] = {}
            for row in self.channels.rows.values():
                if label := getattr(row, f"top_class_{side}"):
                    own.setdefault(label, []).append(row)
            for each in own.values():
                each.sort(key=lambda row: -(getattr(row, f"top_share_{side}") or 0))
            found[side] = own
        return found

    @cached_property
    def responding(self) -> dict[tuple[str, str], list[ResponseRow]]:
        """By class and side the channels of all layers that respond most, the first the most."""
        told = self.channels.found.responses.dropna(subset=["label", "standardised"])
        told = told.sort_values("standardised", ascending=False, kind="stable")
        first = told.groupby(["label", "network"], sort=False).head(RESPONDING)
        found: dict[tuple[str, str], list[ResponseRow]] = {}
        for row in rows(first, ResponseRow):
            found.setdefault((row.label, row.network), []).append(row)
        return found

    @cached_property
    def scores(self) -> dict[str, ClassRow]:
        """The scores of the network after, where it was fitted to these classes."""
        found = self.channels.found
        network = self.records.networks.get(found.after)
        scores = network.scores if network else None
        if scores is None or scores.dataset != found.facts.get("dataset"):
            return {}
        return {row.label: row for row in scores.classes}

    def line(self, label: str) -> LeadLine:
        """A class in the list of classes."""
        before, after = (count(len(self.led[side].get(label, ()))) for side in SIDES)
        return LeadLine(Link(label, self.channels.found.label(label)), before, after)


def class_page(classes: Classes, gallery: Gallery, label: str) -> ClassPage:
    """All that the page of a class shows."""
    channels = classes.channels
    found, at = channels.found, classes.order.index(label)
    return ClassPage(
        Link(f"{found.before} → {found.after}", found.address()),
        label,
        _summary(classes, label),
        tuple(_scores(classes, label)),
        tuple(_layers(classes, label)),
        tuple(_led(classes, gallery, label, at) for at in (1, 0)),
        tuple(
            (network, tuple(_responds(channels, gallery, side, row) for row in own))
            for side, network in reversed([*enumerate(gallery.networks)])
            if (own := classes.responding.get((label, SIDES[side]), []))
        ),
        _beside(classes, at - 1),
        _beside(classes, at + 1),
        tuple(found.notes),
    )


def _beside(classes: Classes, at: int) -> Link | None:
    if not 0 <= at < len(classes.order):
        return None
    return Link(classes.order[at], classes.channels.found.label(classes.order[at]))


def _summary(classes: Classes, label: str) -> str:
    found = classes.channels.found
    before, after = (len(classes.led[side].get(label, ())) for side in SIDES)
    every = counted(len(classes.channels.rows), "channel")
    return (
        f"Of {every}, {count(before)} had {label} as the class most frequent among their maximal "
        f"activation images in {found.before}; in {found.after} it is {count(after)}."
    )


def _scores(classes: Classes, label: str) -> list[Fact]:
    row = classes.scores.get(label)
    if row is None:
        return []
    where = f"networks/{slug(classes.channels.found.after)}.html#classes"
    told = {
        "Precision": row.precision,
        "Recall": row.recall,
        "F1": row.f1,
        "Average precision": row.average_precision,
    }
    return [
        *(Fact(Link(name, method("scores")), Link(percent(value))) for name, value in told.items()),
        Fact(Link("Test pictures"), Link(count(row.n), where)),
    ]


def _layers(classes: Classes, label: str) -> list[tuple[Link, str, str, str]]:
    channels = classes.channels
    before, after = (
        Counter(row.layer for row in classes.led[side].get(label, ())) for side in SIDES
    )
    return [
        (Link(layer, channels.found.layer(layer)), count(before[layer]), count(after[layer]),
         count(len(own)))
        for layer, own in channels.by_layer.items()
    ]  # fmt: skip


def _led(classes: Classes, gallery: Gallery, label: str, at: int) -> Led:
    own = classes.led[SIDES[at]].get(label, [])
    more = f"{counted(len(own) - LED, 'more channel')}." if len(own) > LED else ""
    lines = tuple(_led_line(classes.channels, gallery, row, at) for row in own[:LED])
    return Led(SIDES[at], gallery.networks[at], counted(len(own), "channel"), lines, more)


def _led_line(channels: Channels, gallery: Gallery, row: ChannelRow, at: int) -> LedLine:
    own, other = SIDES[at], SIDES[1 - at]
    share, lift, entropy = (
        getattr(row, name) for name in (f"top_share_{own}", f"top_lift_{own}", f"entropy_{own}")
    )
    return LedLine(
        channels.link(row.layer, row.channel),
        gallery.face(at, row.layer, row.channel),
        (
            Cell(percent(share)),
            Cell(number(lift, 1)),
            Cell(number(entropy)),
            Cell(getattr(row, f"top_class_{other}") or ABSENT),
        ),
    )


def _responds(channels: Channels, gallery: Gallery, side: int, row: ResponseRow) -> LedLine:
    return LedLine(
        channels.link(row.layer, int(row.channel)),
        gallery.face(side, row.layer, int(row.channel)),
        (
            Cell(number(row.standardised, 2)),
            Cell(number(row.mean_class), f"of all {number(row.mean_all)}"),
            Cell(count(row.n)),
        ),
    )


def led_table(classes: Classes) -> pd.DataFrame:
    """For each class how many channels it leads before and after."""
    return pd.DataFrame(
        [
            [label, *(len(classes.led[side].get(label, ())) for side in SIDES)]
            for label in classes.order
        ],
        columns=["class", *SIDES],
    )
