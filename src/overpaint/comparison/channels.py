"""Channels: which pictures excite each most in two networks, and what these pictures show."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.comparison.sources import Positions
from overpaint.datasets import Split
from overpaint.measures.centred import Table, ahead, numbers_at, row_step, steps
from overpaint.measures.classes import EntropyChance, concentration, entropy_chance
from overpaint.measures.matching import Matching, Products, paired
from overpaint.measures.maximal import Largest, distinct, order_of_ids, overlap, overlaps, states
from overpaint.measures.ranges import Ranges, in_parts
from overpaint.measures.responses import ClassSums, Responses
from overpaint.measures.specialised import concentration_p, corrected, specialisation
from overpaint.records import ChannelRow, ChannelSide, MaximalRow, ResponseRow
from overpaint.seeds import generator

Rows = NDArray[np.intp]

NETWORKS = ("before", "after")

RESPONDING = 10
"""The channels that are listed for a class and layer."""

NOT_FINITE = "not_finite"
"""The state of a channel that gave NaN or infinity: it has a row, and no maximal images."""

UNTESTED = "constant"
"""The state of a channel whose maximal images were chosen by their ids: no classes are told."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """The pictures of a split, each once, as the channels of every layer want them."""

    split: Split
    rows: Rows  # in the split as it was
    by_id: Rows  # in the order of their ids

    @classmethod
    def of(cls, split: Split) -> "Pictures":
        """Leave out the images that show a picture again."""
        rows = distinct(split.images, [picture.digest for picture in split.pictures])
        once = replace(split, pictures=tuple(split.pictures[row] for row in rows))
        return cls(once, rows, order_of_ids(once.images, len(once)))

    def among(self, rows: slice) -> tuple[slice, Rows | slice]:
        """Which pictures some rows of the split as it was are: their numbers here, and which of
        these rows they are.
        """
        here = slice(*np.searchsorted(self.rows, [rows.start, rows.stop]).tolist())
        if here.stop - here.start == rows.stop - rows.start:
            return here, slice(None)
        return here, self.rows[here] - rows.start

    @cached_property
    def columns(self) -> dict[str, NDArray[np.object_]]:
        """What a table of maximal images says of each picture."""
        pictures = self.split.pictures
        columns = {
            "image": self.split.images,
            "digest": [picture.digest for picture in pictures],
            "label": [" · ".join(picture.labels) for picture in pictures],
        }
        return {name: np.array(values, object) for name, values in columns.items()}


def chance_of(split: Split, k: int, seed: int) -> EntropyChance:
    """The entropy of k images drawn at random from the split."""
    rng = generator(seed, "entropy chance", split.dataset, split.name)
    classes = None if split.multi_label else len(split.classes)
    return entropy_chance(split.labels, min(k, len(split)), classes=classes, rng=rng)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One network's view of a layer: each channel's maximal images and their values, what classes
    these show, and how the channels respond to each class.
    """

    name: str  # "before" or "after"
    maximal: list[Rows]
    maxima: list[NDArray[np.float32]]
    classes: list[ChannelSide]
    responses: Responses


@dataclass(frozen=True, kw_only=True)
class LayerChannels:
    """The channels of one layer in two networks."""

    statuses: list[str]
    matching: Matching
    before: Side
    after: Side

    @classmethod
    def of(
        cls, before: Table, after: Table, pictures: Pictures, *, k: int, negative: bool = False
    ) -> "LayerChannels":
        """Of the features [N, C] of two networks: two looks at each, a few images at a time."""
        ranges = RangeSums(pictures).of(before), RangeSums(pictures).of(after)
        sums = ChannelSums(before, after, pictures, ranges, k=k, negative=negative)
        for part in ahead(in_parts(before, after)):
            sums.add(*part)
        return sums.channels


class RangeSums:
    """The ranges of a layer's channels over the pictures of a split, each once; of rows that come
    a few at a time.
    """

    def __init__(self, pictures: Pictures) -> None:
        self.pictures, self.rows = pictures, 0
        self.ranges: Ranges | None = None

    def add(self, rows: slice, part: NDArray[Any]) -> None:
        """Take some rows of the split as it was."""
        _, once = self.pictures.among(rows)
        ranges = Ranges.of(part[once])
        self.ranges = self.ranges + ranges if self.ranges else ranges
        self.rows += len(part)

    def of(self, table: Table) -> Ranges:
        """Of this table, which is looked at unless it was already, as a whole."""
        if self.ranges is None or self.rows < table.shape[0]:
            self.ranges, self.rows = None, 0
            for rows in steps(table.shape[0], row_step(max(table.shape[1], 1))):
                self.add(rows, np.asarray(table[rows, :]))
        assert self.ranges is not None
        return self.ranges


class ChannelSums:
    """`LayerChannels` of images that come a few at a time, so that others can have them too; the
    ranges of the channels are known before.
    """

    def __init__(
        self,
        before: Table,
        after: Table,
        pictures: Pictures,
        ranges: tuple[Ranges, Ranges],
        *,
        k: int,
        negative: bool = False,
    ) -> None:
        self.tables = before, after
        self.pictures, self.split = pictures, pictures.split
        self.negative = negative
        self.finite = ranges[0].finite & ranges[1].finite
        self.ranges = [network.only(self.finite) for network in ranges]
        width, classes = len(self.finite), len(self.split.classes)
        self.identical = np.ones(width, bool)
        self.products = Products(*self.ranges)
        self.largest = [Largest(pictures.by_id, width, k, negative=negative) for _ in NETWORKS]
        self.sums = [ClassSums(network, classes) for network in self.ranges]

    def add(self, rows: slice, before: NDArray[Any], after: NDArray[Any]) -> None:
        """Take some rows of both tables."""
        here, once = self.pictures.among(rows)
        parts = [before[once], after[once]]
        self.identical &= (parts[0] == parts[1]).all(axis=0)
        if not self.finite.all():
            parts = [np.where(self.finite, part, np.float32(0)) for part in parts]
        self.products.add(*parts)
        for side, part in enumerate(parts):
            self.largest[side].add(here, part)
            self.sums[side].add(part, self.split.labels[here])

    @property
    def channels(self) -> LayerChannels:
        """Of all images."""
        before, after = (
            Side(
                name=name,
                maximal=chosen.rows,
                maxima=chosen.values,
                classes=_classes_of(chosen.rows, self.split),
                responses=by_class.responses,
            )
            for name, chosen, by_class in zip(NETWORKS, self.largest, self.sums, strict=True)
        )
        first, second = self.ranges
        told = states(first, second, self.identical, negative=self.negative)
        return LayerChannels(
            statuses=np.where(self.finite, told, NOT_FINITE).tolist(),
            matching=paired(self.products.correlations),
            before=before,
            after=after,
        )


def _classes_of(maximal: Sequence[Rows], split: Split) -> list[ChannelSide]:
    """What classes the maximal images of each channel belong to."""
    labels, prior, classes = split.labels, split.prior, []
    for rows in maximal:
        top = concentration(labels[rows], prior)
        classes.append(
            ChannelSide(
                n=top.n,
                entropy=top.entropy,
                gain=top.gain,
                top_class=None if top.top_class is None else split.classes[top.top_class],
                top_share=top.top_share,
                top_lift=top.top_lift,
            )
        )
    return classes


def channel_rows(
    layer: str,
    channels: LayerChannels,
    *,
    images: int,
    k: int,
    chance: EntropyChance,
    changes: NDArray[np.float64] | None,
) -> list[ChannelRow]:
    """The rows of all channels of a layer, as yet without the p-values, which need all layers.

    The overlap is that of the same channel number in both networks, and that with the channel of
    the second that responds most alike.
    """
    before, after, matching = channels.before, channels.after, channels.matching
    old_images, new_images = ([rows.tolist() for rows in side.maximal] for side in (before, after))
    shared = overlaps(old_images, new_images, images, k)
    rows = []
    for channel, status in enumerate(channels.statuses):
        old, new = before.classes[channel], after.classes[channel]
        partner, correlation = (
            int(matching.partner[channel]),
            float(matching.correlation[channel]),
        )
        # A channel that is constant correlates with none: its partner is what was left.
        matched = not np.isnan(correlation)
        fell = None
        if old.entropy is not None and new.entropy is not None and status != UNTESTED:
            fell = old.entropy - new.entropy
        rows.append(
            ChannelRow(
                layer=layer,
                channel=channel,
                overlap=shared[channel].overlap,
                overlap_chance=shared[channel].chance,
                overlap_p=shared[channel].p,
                matched_channel=partner if matched else None,
                matched_correlation=correlation if matched else None,
                overlap_matched=(
                    overlap(old_images[channel], new_images[partner], k) if matched else None
                ),
                **old.columns("before"),
                **new.columns("after"),
                entropy_chance=chance.mean,
                entropy_p_after=None,
                concentration=fell,
                specialised_p=None,
                specialised_q=None,
                filter_change=None if changes is None else float(changes[channel]),
                status=status,
            )
        )
    return rows


def with_p_values(
    channels: pd.DataFrame,
    before: Sequence[Rows],
    after: Sequence[Rows],
    split: Split,
    seed: int,
) -> pd.DataFrame:
    """The rows of all layers with the p-values of their concentration, and these corrected.

    `before` and `after` are the maximal images of each row's channel. Nothing is said of a channel
    that is constant: its maximal images were chosen by their ids.
    """
    nothing = np.array([], np.intp)
    tested = (channels["status"] != UNTESTED).tolist()
    before, after = (
        [rows if is_tested else nothing for rows, is_tested in zip(side, tested, strict=True)]
        for side in (before, after)
    )
    labels, classes = split.labels, len(split.classes)
    rng = [
        generator(seed, purpose, split.dataset, split.name)
        for purpose in ("specialised", "concentrated after")
    ]
    p = specialisation(before, after, labels, classes=classes, rng=rng[0])
    p_after = concentration_p(after, labels, classes=classes, rng=rng[1])
    return channels.assign(specialised_p=p, specialised_q=corrected(p), entropy_p_after=p_after)


def maximal_table(
    layer: str, side: Side, positions: Positions | None, pictures: Pictures
) -> pd.DataFrame:
    """Every maximal image of every channel of a layer, by rank, in the columns of MaximalRow.

    By column and not by row: twelve layers of the paper's network have a million of them.
    """
    counts = [len(rows) for rows in side.maximal]
    rows = np.concatenate(side.maximal).astype(np.intp)
    channels = np.repeat(np.arange(len(counts)), counts)
    ranks = np.concatenate([np.arange(1, count + 1) for count in counts])
    columns = {
        "layer": layer,
        "channel": channels,
        "network": side.name,
        "rank": ranks,
        **{name: values[rows] for name, values in pictures.columns.items()},
        "value": np.concatenate(side.maxima).astype(np.float64),
    }
    where: Sequence[Any] = ([None] * len(rows),) * 2
    if positions:
        flat = numbers_at(positions.flat, pictures.rows[rows], channels)
        where = divmod(flat, positions.width)
    for name, places in zip(("row", "column"), where, strict=True):
        columns[name] = pd.Series(places, dtype="Int32")
    return pd.DataFrame(columns, columns=[field.name for field in fields(MaximalRow)])


def response_rows(layer: str, side: Side, split: Split) -> list[ResponseRow]:
    """The channels of a layer that respond most to each class."""
    responses = side.responses
    return [
        ResponseRow(
            label=split.classes[label],
            network=side.name,
            layer=layer,
            rank=rank,
            channel=channel,
            mean_class=float(responses.mean[label, channel]),
            mean_all=float(responses.mean_all[channel]),
            response=float(responses.response[label, channel]),
            standardised=float(responses.standardised[label, channel]),
            n=int(responses.n[label]),
        )
        for label, channels in enumerate(responses.strongest(RESPONDING))
        for rank, channel in enumerate(channels.tolist(), start=1)
    ]
