"""Comparison: two networks (before, after) -> tables by layer and by channel.

Everything here is a pure function of stored features, labels and weights; no network runs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.datasets import Split
from overpaint.errors import MeasureError
from overpaint.features import features_of, read_features, stored
from overpaint.measures.centred import Table, centred_both
from overpaint.measures.cka import Kernels
from overpaint.measures.classes import Concentration, EntropyChance, concentration, entropy_chance
from overpaint.measures.matching import match_channels
from overpaint.measures.matrix import LayerKernels
from overpaint.measures.maximal import (
    Overlap,
    channel_status,
    distinct,
    maximal_images,
    overlap,
    overlaps,
)
from overpaint.measures.responses import class_responses
from overpaint.measures.similarity import mutual_neighbours, neighbours_chance, procrustes
from overpaint.measures.specialised import concentration_p, corrected, specialisation
from overpaint.measures.weights import distance, filter_change, matched_distance
from overpaint.networks import Network
from overpaint.records import (
    ChannelRow,
    LayerRow,
    MatrixRow,
    MaximalRow,
    ResponseRow,
    WeightRow,
    table,
)
from overpaint.seeds import generator

Features = NDArray[np.float32]
"""[N, C] of one layer."""


# --- what is compared -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Positions:
    """Where in a layer's map each channel responded most to each picture."""

    flat: NDArray[np.int32]  # [N, C], row × width + column
    width: int


class Source(Protocol):
    """One of the two networks that are compared, and what its layers say of the pictures."""

    @property
    def network(self) -> Network:
        """Its layers, filters and weights; it is not run."""

    @property
    def reduction(self) -> str:
        """What the layers are compared by: "mean", "flattened" or "sampled"."""

    def compared(self, layer: str) -> Table:
        """What a layer is compared by, of the pictures of CKA [N, p]; read in slices."""

    def means(self, layer: str) -> Features:
        """The spatial means of a layer, of the pictures of the maximal images [N, C]."""

    def positions(self, layer: str) -> Positions | None:
        """Where the layer responded most to each of those pictures; None if that is not known."""


@dataclass(frozen=True)
class Stored:
    """A network whose features were stored: the groups of the pictures of CKA, and of those of the
    maximal images, which may be one.
    """

    network: Network
    cka: Path
    maximal: Path
    reduction: str = "mean"

    def compared(self, layer: str) -> Table:
        """As it lies on disk."""
        return stored(self.cka, layer, self.reduction)

    def means(self, layer: str) -> Features:
        """Read whole."""
        return read_features(self.maximal, layer)

    def positions(self, layer: str) -> Positions:
        """Of the strongest response of each channel."""
        argmax = stored(self.maximal, layer, "argmax")
        return Positions(np.asarray(argmax), int(str(argmax.attrs["width"])))


@dataclass(frozen=True)
class InMemory:
    """A network whose features are held in memory, by layer."""

    network: Network
    by_layer: Mapping[str, Features]
    means_by_layer: Mapping[str, Features]
    reduction: str = "mean"

    def compared(self, layer: str) -> Features:
        """As given."""
        return self.by_layer[layer]

    def means(self, layer: str) -> Features:
        """As given."""
        return self.means_by_layer[layer]

    def positions(self, layer: str) -> None:
        """Not known: they take a second look at the maps."""


# --- layers --------------------------------------------------------------------------------------


def common_layers(before: Network, after: Network) -> list[str]:
    """The layers that both networks have, in the order of the second; often none of two
    architectures, which only the matrix of all layers compares.
    """
    return [layer for layer in after.layers if layer in before.layers]


def layer_row(
    layer: str, position: int, before: Table, after: Table, reduction: str = "mean"
) -> LayerRow:
    """How alike one layer's features are: CKA, biased and debiased, with their intervals; the
    Procrustes distance; the neighbours in common.

    What cannot be computed (too few images, constant features) is a status, never a lost run.
    """
    values: dict[str, float] = {}
    lacking: dict[str, list[str]] = {}
    for name, measure in _likenesses(before, after):
        try:
            values |= measure()
        except MeasureError as error:
            lacking.setdefault(str(error), []).append(name)
    columns = [field.name for field in fields(LayerRow) if "float" in str(field.type)]
    return LayerRow(
        layer=layer,
        position=position,
        channels=after.shape[1],
        n_images=after.shape[0],
        reduction=reduction,
        status="; ".join(f"{', '.join(names)}: {why}" for why, names in lacking.items()) or "ok",
        **{name: values.get(name) for name in columns},
    )


_Likenesses = list[tuple[str, Callable[[], dict[str, float]]]]


def _likenesses(before: Table, after: Table) -> _Likenesses:
    """What is measured of a layer, by the name that a failure is told under."""
    try:
        x, y = centred_both(before, after)
    except MeasureError as error:
        return [("all", partial(_refuse, error))]
    kernels, n = Kernels.of(x, y), len(x)
    return [
        ("cka", lambda: {"cka": kernels.cka()}),
        ("its interval", lambda: _ends("cka", kernels.interval())),
        ("cka_debiased", lambda: {"cka_debiased": kernels.cka(debiased=True)}),
        ("its interval", lambda: _ends("cka_debiased", kernels.interval(debiased=True))),
        ("procrustes", lambda: {"procrustes": procrustes(x, y)}),
        ("mutual_neighbours", lambda: {"mutual_neighbours": mutual_neighbours(x, y),
                                       "mutual_neighbours_chance": neighbours_chance(n)}),
    ]  # fmt: skip


def _refuse(error: MeasureError) -> dict[str, float]:
    raise error


def _ends(name: str, interval: tuple[float, float]) -> dict[str, float]:
    return {f"{name}_low": interval[0], f"{name}_high": interval[1]}


def matrix_rows(
    before: Mapping[str, Table], after: Mapping[str, Table], reduction: str = "mean"
) -> list[MatrixRow]:
    """CKA of each layer of a network with each layer of another, of whatever architectures.

    A layer that has no CKA says why in its own rows.
    """
    kernels = LayerKernels.of(before, after)
    biased, debiased = (kernels.cka(debiased=each) for each in (False, True))
    return [
        MatrixRow(
            layer_before=old,
            layer_after=new,
            cka=_known(biased.cka[row, column]),
            cka_debiased=_known(debiased.cka[row, column]),
            n_images=after[new].shape[0],
            reduction=reduction,
            status=_status(biased.status[row][column], debiased.status[row][column]),
        )
        for row, old in enumerate(before)
        for column, new in enumerate(after)
    ]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _status(biased: str, debiased: str) -> str:
    return debiased if biased == debiased else f"cka_debiased: {debiased}"


# --- weights -------------------------------------------------------------------------------------


def weight_rows(before: Network, after: Network, *, related: bool = True) -> list[WeightRow]:
    """The distance of each kernel of the backbone, in the order in which they are defined.

    Where the networks are not `related` (no common start), also after matching the filters.
    """
    old, new = before.tensors(), after.tensors()
    kernels = [
        name
        for name, parameter in after.body.named_parameters()
        if parameter.ndim > 1 and not name.startswith(f"{after.head}.") and name in old
    ]
    return [
        _weight_row(name, position, old[name].numpy(), new[name].numpy(), related=related)
        for position, name in enumerate(kernels)
    ]


def _weight_row(
    name: str, position: int, old: NDArray[Any], new: NDArray[Any], *, related: bool
) -> WeightRow:
    layer = name.removesuffix(".weight").removesuffix("_pre_relu.0").removesuffix("_pre_relu")
    if old.shape != new.shape:
        return WeightRow(layer, position, new.size, None, None, None, "shapes differ")
    moved = distance(old, new)
    return WeightRow(
        layer=layer,
        position=position,
        parameters=new.size,
        l2=moved.l2,
        l2_relative=moved.l2_relative,
        cosine=moved.cosine,
        status="identical" if np.array_equal(old, new) else "ok",
        l2_matched=None if related else matched_distance(old, new),
    )


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


def maximal_table(
    layer: str, network: str, side: Side, split: Split, positions: Positions | None = None
) -> pd.DataFrame:
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
    nowhere = ([None] * len(rows),) * 2
    at = divmod(positions.flat[rows, channels], positions.width) if positions else nowhere
    for name, each in zip(("row", "column"), at, strict=True):
        columns[name] = pd.Series(each, dtype="Int32")
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
    matrix: pd.DataFrame  # MatrixRow
    weights: pd.DataFrame  # WeightRow
    channels: pd.DataFrame  # ChannelRow
    maximal: pd.DataFrame  # MaximalRow
    responses: pd.DataFrame  # ResponseRow
    duplicates: int  # images that show a picture again, left out of all but layers and weights
    notes: tuple[str, ...]  # what to know of the two networks, in words


def tables(
    before: Source,
    after: Source,
    split: Split,
    *,
    k: int,
    seed: int,
    negative: bool = False,
    related: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare two networks layer by layer; features of one layer at a time are held in memory.

    split: the pictures that `means` and `positions` of the sources are of, among which the maximal
    images are found. A pair that is not `related` has no common start; its filters are matched
    before the distance of the weights is taken once more. A pair whose channels differ in number
    has no rows by channel. `negative`: images rank among the maximal ones whatever the sign of
    their value, for layers before an activation.
    """
    layers, channels, maximal, responses = [], [], [], []
    ranked: dict[str, list[NDArray[np.intp]]] = {"before": [], "after": []}
    once, rows = without_duplicates(split)
    chance = chance_of(once, k, seed)
    sources = (before, after)
    shared = common_layers(before.network, after.network)
    for position, layer in enumerate(shared):
        old, new = (source.compared(layer) for source in sources)
        layers.append(layer_row(layer, position, old, new, after.reduction))
        means = [_rows_of(source.means(layer), rows) for source in sources]
        if means[0].shape[1] == means[1].shape[1]:
            means, broken = _finite(means)
            sides = [Side.of(features, once, k, negative=negative) for features in means]
            statuses = channel_status(means[0], means[1], negative=negative)
            statuses = np.where(broken, NOT_FINITE, statuses).tolist()
            changes = filter_changes(before.network, after.network, layer)
            channels += channel_rows(layer, sides[0], sides[1], once, k, chance, changes, statuses)
            for name, source, side in zip(ranked, sources, sides, strict=True):
                ranked[name] += side.maximal
                positions = source.positions(layer)
                if positions:
                    positions = replace(positions, flat=_rows_of(positions.flat, rows))
                maximal.append(maximal_table(layer, name, side, once, positions))
                responses += response_rows(layer, name, side.features, once)
        if progress:
            progress(position + 1, len(shared))
    old_layers, new_layers = (
        {layer: source.compared(layer) for layer in source.network.layers} for source in sources
    )
    pair = before.network, after.network
    return Comparison(
        layers=table(layers, LayerRow),
        matrix=table(matrix_rows(old_layers, new_layers, after.reduction), MatrixRow),
        weights=table(weight_rows(*pair, related=related), WeightRow),
        channels=with_evidence(table(channels, ChannelRow), **ranked, split=once, seed=seed),
        maximal=pd.concat(maximal) if maximal else table([], MaximalRow),
        responses=table(responses, ResponseRow),
        duplicates=len(split) - len(once),
        notes=notes(*pair, related=related),
    )


NOT_FINITE = "not_finite"
"""The state of a channel that gave NaN or infinity: it has a row, and no maximal images."""


def _finite(seen: Sequence[Features]) -> tuple[list[Features], NDArray[np.bool_]]:
    """The features, 0 in each channel that is not finite in one of them, and which these are."""
    broken = ~np.all([np.isfinite(features).all(axis=0) for features in seen], axis=0)
    if not broken.any():
        return list(seen), broken
    return [np.where(broken, np.float32(0), features) for features in seen], broken


def notes(before: Network, after: Network, *, related: bool) -> tuple[str, ...]:
    """What to know of a pair before its numbers are read, in sentences."""
    found = []
    if not common_layers(before, after):
        found.append(
            f"{before.architecture} and {after.architecture} share no layer name: all layers of "
            "the one are compared with all of the other, and no channels."
        )
    if not related:
        found.append(
            "The two networks have no start in common: their filters are numbered by chance, and "
            "the plain distance of their weights means little; l2_matched is the distance after "
            "the best assignment of filters."
        )
    return tuple(found)


def _rows_of(features: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[Any]:
    return features if len(rows) == len(features) else features[rows]  # no copy of a large layer


def compare(
    before: Network,
    after: Network,
    images: Split,
    *,
    k: int = 100,
    seed: int = 0,
    negative: bool = False,
    reduction: str = "mean",
    related: bool = True,
) -> Comparison:
    """Compare two networks on a split, all in memory; what `op.compare` is.

    >>> change = compare(before, after, images)                       # doctest: +SKIP
    >>> change.channels.nlargest(20, "concentration")                 # doctest: +SKIP
    >>> change.matrix.pivot(index="layer_before", columns="layer_after",
    ...                     values="cka_debiased")                    # doctest: +SKIP

    The networks may be of different architectures; without a layer name in common they have a
    matrix of layers, and no channels to compare. `reduction`: what the layers are compared by,
    "mean", "flattened" or "sampled" positions of their maps. `related=False` for networks that
    began apart: their filters are matched before the distance of their weights is taken. Maximal
    images have no `row` and `column` here, which takes a second look at the maps; a study has them.
    """
    networks = [(before, before.layers), (after, after.layers)]
    means = features_of(networks, images)
    compared = means if reduction == "mean" else features_of(networks, images, reduction)
    sources = [
        InMemory(network, compared[number], means[number], reduction)
        for number, (network, _) in enumerate(networks)
    ]
    return tables(
        sources[0], sources[1], images, k=k, seed=seed, negative=negative, related=related
    )
