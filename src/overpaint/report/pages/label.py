"""The page of a class in a comparison: which channels speak for it, before and after."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from overpaint.records import ChannelRow, ClassRow, ResponseRow
from overpaint.report.pages.channel import Channels, leading
from overpaint.report.parts.addresses import network_page
from overpaint.report.parts.gallery import Gallery
from overpaint.report.parts.maximal import SIDES
from overpaint.report.parts.rows import Cell, Fact, Link, Picture, Sheet, sheets
from overpaint.report.parts.text import ABSENT, count, counted, number, percent, slug
from overpaint.report.site.files import method
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import Records

LISTED = 500
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
        dataset = self.records.datasets.get(self.channels.comparison.facts.dataset)
        leading_any = sorted({label for side in SIDES for label in self.led[side]})
        return list(dict.fromkeys([*(dataset.facts.classes if dataset else []), *leading_any]))

    @cached_property
    def led(self) -> dict[str, dict[str, list[ChannelRow]]]:
        """By side and class the channels that it leads, the largest share first."""
        led: dict[str, dict[str, list[ChannelRow]]] = {side: {} for side in SIDES}
        for side, by_label in led.items():
            shares = [(leading(row, side), row) for row in self.channels.rows.values()]
            for first, row in sorted(shares, key=lambda pair: -(pair[0].share or 0)):
                if first.label:
                    by_label.setdefault(first.label, []).append(row)
        return led

    @cached_property
    def responding(self) -> dict[tuple[str, str], list[ResponseRow]]:
        """By class and side the channels of all layers that respond most, the first the most."""
        table = self.channels.comparison.responses.dropna(subset=["label", "standardised"])
        table = table.sort_values("standardised", ascending=False, kind="stable")
        first = table.groupby(["label", "network"], sort=False).head(RESPONDING)
        responding: dict[tuple[str, str], list[ResponseRow]] = {}
        for row in rows(first, ResponseRow):
            responding.setdefault((row.label, row.network), []).append(row)
        return responding

    @cached_property
    def mapped(self) -> set[str]:
        """The classes of the pictures on the map."""
        dataset = self.records.datasets.get(self.channels.comparison.facts.dataset)
        if dataset is None:
            return set()
        on_it = dataset.usable["image"].isin(self.channels.comparison.plane["image"])
        return {label for labels in dataset.usable[on_it]["labels"] for label in labels}

    @cached_property
    def scores(self) -> dict[str, ClassRow]:
        """The scores of the network after, where it was fitted to these classes."""
        comparison = self.channels.comparison
        network = self.records.networks.get(comparison.after)
        scores = network.scores if network else None
        if scores is None or scores.dataset != comparison.facts.dataset:
            return {}
        return {row.label: row for row in scores.classes}

    def beside(self, label: str, step: int) -> Link | None:
        """The class after or before one."""
        place = self.order.index(label) + step
        if not 0 <= place < len(self.order):
            return None
        return Link(self.order[place], href=self.channels.comparison.label(self.order[place]))

    def table(self) -> pd.DataFrame:
        """For each class how many channels it leads before and after."""
        numbers = [
            [label, *(len(self.led[side].get(label, ())) for side in SIDES)] for label in self.order
        ]
        return pd.DataFrame(numbers, columns=["class", *SIDES])


@dataclass(frozen=True, kw_only=True)
class ClassChannelLine:
    """A channel that speaks for a class."""

    link: Link
    picture: Picture | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class ClassChannels:
    """The channels that a class leads in one of the networks, the largest share first."""

    when: str
    network: str
    n: str
    lines: tuple[ClassChannelLine, ...]
    more: str


@dataclass(frozen=True, kw_only=True)
class LayerCount:
    """How many channels of a layer a class leads."""

    layer: Link
    before: str
    after: str
    channels: str  # of the layer


@dataclass(frozen=True, kw_only=True)
class ClassPage:
    """The page of a class in a comparison: the channels that speak for it."""

    comparison: Link
    label: str
    summary: str
    scores: tuple[Fact, ...]
    layers: tuple[LayerCount, ...]
    led: tuple[ClassChannels, ...]
    responding: tuple[tuple[str, tuple[ClassChannelLine, ...]], ...]  # by network
    sheets: tuple[Sheet, ...]  # of their pictures
    map: Link | None  # its pictures on the map
    previous: Link | None
    next: Link | None
    missing: tuple[str, ...]


def class_page(classes: Classes, gallery: Gallery, label: str) -> ClassPage:
    """All that the page of a class shows."""
    comparison, channels = classes.channels.comparison, classes.channels
    before, after = (classes.led[side].get(label, []) for side in SIDES)
    layers_before, layers_after = (Counter(row.layer for row in led) for led in (before, after))
    responding = []
    for side, network in reversed([*enumerate(gallery.titles)]):
        lines = tuple(
            ClassChannelLine(
                link=channels.link(row.layer, int(row.channel)),
                picture=gallery.face(side, row.layer, int(row.channel)),
                cells=(
                    Cell(number(row.standardised, 2)),
                    Cell(number(row.mean_class), aside=f"of all {number(row.mean_all)}"),
                    Cell(count(row.n)),
                ),
            )
            for row in classes.responding.get((label, SIDES[side]), ())
        )
        if lines:
            responding.append((network, lines))
    led = _led(channels, gallery, after, 1), _led(channels, gallery, before, 0)
    lists = [each.lines for each in led] + [lines for _, lines in responding]
    return ClassPage(
        comparison=Link(comparison.title, href=comparison.address()),
        label=label,
        summary=(
            f"Of {counted(len(channels.rows), 'channel')}, {count(len(before))} had {label} as "
            f"the class most frequent among their maximal activation images in "
            f"{comparison.title_before}; in {comparison.title_after} it is {count(len(after))}."
        ),
        scores=tuple(_scores(classes, label)),
        layers=tuple(
            LayerCount(
                layer=Link(layer, href=comparison.layer(layer)),
                before=count(layers_before[layer]),
                after=count(layers_after[layer]),
                channels=count(len(of_layer)),
            )
            for layer, of_layer in channels.by_layer.items()
        ),
        led=led,
        responding=tuple(responding),
        sheets=sheets(line.picture for lines in lists for line in lines),
        map=Link("On the map", href=f"{comparison.map}#class-{slug(label)}")
        if comparison.map and label in classes.mapped
        else None,
        previous=classes.beside(label, -1),
        next=classes.beside(label, 1),
        missing=tuple(comparison.notes),
    )


def _scores(classes: Classes, label: str) -> list[Fact]:
    row = classes.scores.get(label)
    if row is None:
        return []
    scores = {
        "Precision": row.precision,
        "Recall": row.recall,
        "F1": row.f1,
        "Average precision": row.average_precision,
    }
    where = network_page(classes.channels.comparison.after, "classes")
    return [
        *(
            Fact(name=Link(name, href=method("scores")), value=Link(percent(score)))
            for name, score in scores.items()
        ),
        Fact(name=Link("Test pictures"), value=Link(count(row.n), href=where)),
    ]


def _led(channels: Channels, gallery: Gallery, led: list[ChannelRow], side: int) -> ClassChannels:
    lines = []
    for row in led[:LISTED]:
        here, there = leading(row, SIDES[side]), leading(row, SIDES[1 - side])
        line = ClassChannelLine(
            link=channels.link(row.layer, row.channel),
            picture=gallery.face(side, row.layer, row.channel),
            cells=(
                Cell(percent(here.share)),
                Cell(number(here.lift, 1)),
                Cell(number(here.entropy)),
                Cell(there.label or ABSENT),
            ),
        )
        lines.append(line)
    rest = len(led) - len(lines)
    return ClassChannels(
        when=SIDES[side],
        network=gallery.titles[side],
        n=counted(len(led), "channel"),
        lines=tuple(lines),
        more=f"{counted(rest, 'more channel')}." if rest else "",
    )
