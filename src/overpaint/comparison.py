"""Comparison: two networks (before, after) -> tables by layer and by channel.

Everything here is a pure function of stored features, labels and weights; no network runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.datasets import Split
from overpaint.errors import MeasureError
from overpaint.features import features_of
from overpaint.measures.cka import cka_interval, linear_cka
from overpaint.measures.classes import Concentration, EntropyChance, concentration, entropy_chance
from overpaint.measures.matching import match_channels
from overpaint.measures.maximal import (
    Overlap,
    channel_status,
    distinct,
    maximal_images,
    overlap,
    overlaps,
)
from overpaint.measures.responses import class_responses
from overpaint.measures.specialised import concentration_p, corrected, specialisation
from overpaint.measures.weights import distance, filter_change
from overpaint.networks import Network
from overpaint.records import ChannelRow, LayerRow, MaximalRow, ResponseRow, WeightRow, table
from overpaint.seeds import generator

Features = NDArray[np.float32]
"""[N, C] of one layer."""


def common_layers(before: Network, after: Network) -> list[str]:
    """The layers that both networks have, in the order of the second.

    Raises MeasureError when there is none.
    """
    shared = [layer for layer in after.layers if layer in before.layers]
    if not shared:
        raise MeasureError(
            "no-common-layer", f"{before.architecture} and {after.architecture} share no layer name"
        )
    return shared


def layer_row(layer: str, position: int, before: Features, after: Features) -> LayerRow:
    """CKA of one layer, biased and debiased, with their intervals.

    What cannot be computed (too few images, constant features) is a status, never a lost run.
    """
    values: dict[str, float | None] = {}
    status = "ok"
    for debiased in (False, True):
        name = "cka_debiased" if debiased else "cka"
        try:
            values[name] = linear_cka(before, after, debiased=debiased)
            low, high = cka_interval(before, after, debiased=debiased)
            values |= {f"{name}_low": low, f"{name}_high": high}
        except MeasureError as error:
            status = f"{name}: {error}"
    measured = {f"{name}{end}": values.get(f"{name}{end}") for name in ("cka", "cka_debiased")
                for end in ("", "_low", "_high")}  # fmt: skip
    return LayerRow(
        layer=layer,
        position=position,
        channels=after.shape[1],
        n_images=len(after),
        reduction="mean",
        status=status,
        **measured,
    )


# --- weights -------------------------------------------------------------------------------------


def weight_rows(before: Network, after: Network) -> list[WeightRow]:
    """The distance of each kernel of the backbone, in the order in which they are defined."""
    old, new = before.tensors(), after.tensors()
    kernels = [
        name
        for name, parameter in after.body.named_parameters()
        if parameter.ndim > 1 and not name.startswith(f"{after.head}.") and name in old
    ]
    return [
        _weight_row(name, position, old[name].numpy(), new[name].numpy())
        for position, name in enumerate(kernels)
    ]


def _weight_row(name: str, position: int, old: NDArray[Any], new: NDArray[Any]) -> WeightRow:
    layer = name.removesuffix(".weight").removesuffix("_pre_relu.0").removesuffix("_pre_relu")
    if old.shape != new.shape:
        return WeightRow(layer, position, new.size, 0.0, None, None, "shapes differ")
    moved = distance(old, new)
    status = "identical" if np.array_equal(old, new) else "ok"
    return WeightRow(layer, position, new.size, moved.l2, moved.l2_relative, moved.cosine, status)


def filter_changes(before: Network, after: Network, layer: str) -> NDArray[np.float64] | None:
    """The relative change of the filter behind each channel of a layer [C]; None where no single
    filter makes a channel.
    """
    filters = after.filters.get(layer)
    if filters is None or before.filters.get(layer) != filters:
        return None
    old, new = before.tensors(), after.tensors()
    names = [f"{module}.weight" for module in filters]
    if any(old[name].shape != new[name].shape for name in names):
        return None
    return np.concatenate([filter_change(old[n].numpy(), new[n].numpy()) for n in names])


# --- channels ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """One network's view of a layer: its features and each channel's maximal images."""

    features: Features
    maximal: list[NDArray[np.intp]]
    classes: list[Concentration]

    @classmethod
    def of(cls, features: Features, split: Split, k: int, *, negative: bool = False) -> "Side":
        """Find the maximal images of every channel, and the classes that they belong to."""
        maximal = maximal_images(features, split.images, k, negative=negative)
        labels, prior = split.labels, split.prior
        return cls(features, maximal, [concentration(labels[rows], prior) for rows in maximal])


def without_duplicates(split: Split) -> tuple[Split, NDArray[np.intp]]:
    """A split in which each picture stands once, and its rows in the split as it was."""
    rows = distinct(split.images, [picture.digest for picture in split.pictures])
    return replace(split, pictures=tuple(split.pictures[row] for row in rows)), rows


def chance_of(split: Split, k: int, seed: int) -> EntropyChance:
    """The entropy of k images drawn at random from the split."""
    rng = generator(seed, "entropy chance", split.dataset, split.name)
    classes = None if split.multi_label else len(split.classes)
    return entropy_chance(split.labels, min(k, len(split)), classes=classes, rng=rng)


def channel_rows(
    layer: str,
    before: Side,
    after: Side,
    split: Split,
    k: int,
    chance: EntropyChance,
    changes: NDArray[np.float64] | None,
    statuses: Sequence[str],
) -> list[ChannelRow]:
    """The rows of all channels of a layer, as yet without the evidence, which needs all layers.

    The overlap is that of the same channel number in both networks, and that with the channel of
    the second that responds most alike.
    """
    maximal = [[rows.tolist() for rows in side.maximal] for side in (before, after)]
    shared = overlaps(maximal[0], maximal[1], len(split), k)
    matched = _matched_columns(before, after, maximal, k)
    return [
        ChannelRow(
            layer=layer,
            channel=channel,
            **_overlap_columns(shared[channel]),
            **matched[channel],
            **_class_columns("before", before.classes[channel], split),
            **_class_columns("after", after.classes[channel], split),
            entropy_chance=chance.mean,
            concentration=_difference(before.classes[channel], after.classes[channel], status),
            filter_change=None if changes is None else float(changes[channel]),
            status=status,
            entropy_p_after=None,
            specialised_p=None,
            specialised_q=None,
        )
        for channel, status in enumerate(statuses)
    ]


def _matched_columns(
    before: Side, after: Side, maximal: Sequence[Sequence[list[int]]], k: int
) -> list[dict[str, Any]]:
    matching = match_channels(before.features, after.features)
    pairs = zip(matching.partner.tolist(), matching.correlation.tolist(), strict=True)
    return [
        # A channel that is constant correlates with none: its partner is what was left.
        dict.fromkeys(("matched_channel", "matched_correlation", "overlap_matched"))
        if np.isnan(correlation)
        else {
            "matched_channel": partner,
            "matched_correlation": correlation,
            "overlap_matched": overlap(maximal[0][channel], maximal[1][partner], k),
        }
        for channel, (partner, correlation) in enumerate(pairs)
    ]


def _overlap_columns(shared: Overlap) -> dict[str, Any]:
    return {
        "overlap": shared.overlap,
        "overlap_chance": shared.chance,
        "overlap_p": shared.p,
    }


def _class_columns(side: str, classes: Concentration, split: Split) -> dict[str, Any]:
    top = None if classes.top_class is None else split.classes[classes.top_class]
    return {
        f"n_{side}": classes.n,
        f"entropy_{side}": classes.entropy,
        f"gain_{side}": classes.gain,
        f"top_class_{side}": top,
        f"top_share_{side}": classes.top_share,
        f"top_lift_{side}": classes.top_lift,
    }


def _difference(before: Concentration, after: Concentration, status: str) -> float | None:
    """Entropy before minus after; None also where ids alone have chosen the maximal images."""
    if before.entropy is None or after.entropy is None or status == "constant":
        return None
    return before.entropy - after.entropy


def with_evidence(
    channels: pd.DataFrame,
    before: Sequence[NDArray[np.intp]],
    after: Sequence[NDArray[np.intp]],
    split: Split,
    seed: int,
) -> pd.DataFrame:
    """The rows of all layers with the p-values of their concentration, and these corrected.

    `before` and `after` are the maximal images of each row's channel. Nothing is told of a channel
    that is constant: its maximal images were chosen by their ids.
    """
    told = (channels["status"] != "constant").tolist()
    before, after = (
        [rows if is_told else NOTHING for rows, is_told in zip(every, told, strict=True)]
        for every in (before, after)
    )
    labels, classes = split.labels, len(split.classes)
    rng = [generator(seed, purpose, split.dataset, split.name)
           for purpose in ("specialised", "concentrated after")]  # fmt: skip
    p = specialisation(before, after, labels, classes=classes, rng=rng[0])
    p_after = concentration_p(after, labels, classes=classes, rng=rng[1])
    return channels.assign(specialised_p=p, specialised_q=corrected(p), entropy_p_after=p_after)


NOTHING = np.array([], np.intp)


def maximal_table(layer: str, network: str, side: Side, split: Split) -> pd.DataFrame:
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
        "network": network,
        "rank": ranks,
        "image": np.array(split.images, object)[rows],
        "digest": np.array(digests, object)[rows],
        "label": np.array(labels, object)[rows],
        "value": side.features[rows, channels].astype(np.float64),
    }
    return pd.DataFrame(columns, columns=[field.name for field in fields(MaximalRow)])


RESPONDING = 10
"""The channels that are listed for a class and layer."""


def response_rows(layer: str, network: str, features: Features, split: Split) -> list[ResponseRow]:
    """The channels of a layer that respond most to each class."""
    found = class_responses(features, split.labels, classes=len(split.classes))
    return [
        ResponseRow(
            label=split.classes[label],
            network=network,
            layer=layer,
            rank=rank,
            channel=channel,
            mean_class=float(found.mean[label, channel]),
            mean_all=float(found.mean_all[channel]),
            response=float(found.response[label, channel]),
            standardised=float(found.standardised[label, channel]),
            n=int(found.n[label]),
        )
        for label, channels in enumerate(found.strongest(RESPONDING))
        for rank, channel in enumerate(channels.tolist(), start=1)
    ]


# --- the whole comparison -----------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """The tables of two networks."""

    layers: pd.DataFrame  # LayerRow
    weights: pd.DataFrame  # WeightRow
    channels: pd.DataFrame  # ChannelRow
    maximal: pd.DataFrame  # MaximalRow
    responses: pd.DataFrame  # ResponseRow
    duplicates: int  # images that show a picture again, left out of all but layers and weights


def tables(
    before: Network,
    after: Network,
    read: Callable[[str, str, Split], Features],
    *,
    cka_split: Split,
    maximal_split: Split,
    k: int,
    seed: int,
    negative: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare two networks layer by layer.

    `read("before" or "after", layer, split)` gives features [N, C]; one layer at a time is held in
    memory. A pair whose channels differ in number has no rows by channel. `negative`: images rank
    among the maximal ones whatever the sign of their value, for layers before an activation.
    """
    layers, channels, maximal, responses = [], [], [], []
    ranked: dict[str, list[NDArray[np.intp]]] = {"before": [], "after": []}
    once, kept = without_duplicates(maximal_split)
    chance = chance_of(once, k, seed)
    shared = common_layers(before, after)
    for position, layer in enumerate(shared):
        old, new = (read(side, layer, cka_split) for side in ("before", "after"))
        layers.append(layer_row(layer, position, old, new))
        if old.shape[1] == new.shape[1]:
            seen = [_once(read(side, layer, maximal_split), kept) for side in ("before", "after")]
            sides = [Side.of(features, once, k, negative=negative) for features in seen]
            statuses = channel_status(seen[0], seen[1], negative=negative).tolist()
            changes = filter_changes(before, after, layer)
            channels += channel_rows(layer, sides[0], sides[1], once, k, chance, changes, statuses)
            for name, side in zip(ranked, sides, strict=True):
                ranked[name] += side.maximal
                maximal.append(maximal_table(layer, name, side, once))
                responses += response_rows(layer, name, side.features, once)
        if progress:
            progress(position + 1, len(shared))
    return Comparison(
        layers=table(layers, LayerRow),
        weights=table(weight_rows(before, after), WeightRow),
        channels=with_evidence(table(channels, ChannelRow), **ranked, split=once, seed=seed),
        maximal=pd.concat(maximal) if maximal else table([], MaximalRow),
        responses=table(responses, ResponseRow),
        duplicates=len(maximal_split) - len(once),
    )


def _once(features: Features, kept: NDArray[np.intp]) -> Features:
    return features if len(kept) == len(features) else features[kept]  # no copy of a large layer


def compare(
    before: Network,
    after: Network,
    images: Split,
    *,
    k: int = 100,
    seed: int = 0,
    negative: bool = False,
) -> Comparison:
    """Compare two networks on a split, all in memory; what `op.compare` is.

    >>> change = compare(before, after, images)                       # doctest: +SKIP
    >>> change.channels.nlargest(20, "concentration")                 # doctest: +SKIP
    """
    shared = common_layers(before, after)
    seen = {name: features_of(network, images, shared)
            for name, network in (("before", before), ("after", after))}  # fmt: skip
    return tables(
        before,
        after,
        lambda side, layer, _split: seen[side][layer],
        cka_split=images,
        maximal_split=images,
        k=k,
        seed=seed,
        negative=negative,
    )


# --- which channels to look at -------------------------------------------------------------------

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
