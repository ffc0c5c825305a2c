"""Channels: which pictures excite each most in two networks, and what these pictures show."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.comparison.sources import Features, Positions
from overpaint.datasets import Split
from overpaint.measures.classes import EntropyChance, concentration, entropy_chance
from overpaint.measures.matching import match_channels
from overpaint.measures.maximal import distinct, maximal_images, overlap, overlaps
from overpaint.measures.responses import class_responses
from overpaint.measures.specialised import concentration_p, corrected, specialisation
from overpaint.records import ChannelRow, ChannelSide, MaximalRow, ResponseRow
from overpaint.seeds import generator

Rows = NDArray[np.intp]

RESPONDING = 10
"""The channels that are listed for a class and layer."""

NOT_FINITE = "not_finite"
"""The state of a channel that gave NaN or infinity: it has a row, and no maximal images."""

UNTESTED = "constant"
"""The state of a channel whose maximal images were chosen by their ids: no classes are told."""


def without_duplicates(split: Split) -> tuple[Split, Rows]:
    """A split in which each picture stands once, and its rows in the split as it was."""
    rows = distinct(split.images, [picture.digest for picture in split.pictures])
    return replace(split, pictures=tuple(split.pictures[row] for row in rows)), rows


def chance_of(split: Split, k: int, seed: int) -> EntropyChance:
    """The entropy of k images drawn at random from the split."""
    rng = generator(seed, "entropy chance", split.dataset, split.name)
    classes = None if split.multi_label else len(split.classes)
    return entropy_chance(split.labels, min(k, len(split)), classes=classes, rng=rng)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One network's view of a layer: its features, each channel's maximal images, and what classes
    these show.
    """

    name: str  # "before" or "after"
    features: Features
    positions: Positions | None
    maximal: list[Rows]
    classes: list[ChannelSide]

    @classmethod
    def of(
        cls,
        name: str,
        features: Features,
        positions: Positions | None,
        split: Split,
        *,
        k: int,
        negative: bool = False,
    ) -> "Side":
        """Find the maximal images of every channel, and the classes that they belong to."""
        maximal = maximal_images(features, split.images, k, negative=negative)
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
        return cls(
            name=name, features=features, positions=positions, maximal=maximal, classes=classes
        )


def channel_rows(
    layer: str,
    before: Side,
    after: Side,
    *,
    images: int,
    k: int,
    chance: EntropyChance,
    changes: NDArray[np.float64] | None,
    statuses: Sequence[str],
) -> list[ChannelRow]:
    """The rows of all channels of a layer, as yet without the p-values, which need all layers.

    The overlap is that of the same channel number in both networks, and that with the channel of
    the second that responds most alike.
    """
    old_images, new_images = ([rows.tolist() for rows in side.maximal] for side in (before, after))
    shared = overlaps(old_images, new_images, images, k)
    matching = match_channels(before.features, after.features)
    rows = []
    for channel, status in enumerate(statuses):
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


def maximal_table(layer: str, side: Side, split: Split) -> pd.DataFrame:
    """Every maximal image of every channel of a layer, by rank, in the columns of MaximalRow.

    By column and not by row: twelve layers of the paper's network have a million of them.
    """
    counts = [len(rows) for rows in side.maximal]
    rows = np.concatenate(side.maximal).astype(np.intp)
    channels = np.repeat(np.arange(len(counts)), counts)
    ranks = np.concatenate([np.arange(1, count + 1) for count in counts])
    labels = [" · ".join(picture.labels) for picture in split.pictures]
    digests = [picture.digest for picture in split.pictures]
    columns = {
        "layer": layer,
        "channel": channels,
        "network": side.name,
        "rank": ranks,
        "image": np.array(split.images, object)[rows],
        "digest": np.array(digests, object)[rows],
        "label": np.array(labels, object)[rows],
        "value": side.features[rows, channels].astype(np.float64),
    }
    at = side.positions
    where = divmod(at.flat[rows, channels], at.width) if at else ([None] * len(rows),) * 2
    for name, places in zip(("row", "column"), where, strict=True):
        columns[name] = pd.Series(places, dtype="Int32")
    return pd.DataFrame(columns, columns=[field.name for field in fields(MaximalRow)])


def response_rows(layer: str, side: Side, split: Split) -> list[ResponseRow]:
    """The channels of a layer that respond most to each class."""
    responses = class_responses(side.features, split.labels, classes=len(split.classes))
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
