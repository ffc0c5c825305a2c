"""Comparison: two networks (before, after) -> tables by layer and by channel.

Everything here is a pure function of features, labels and weights; no network runs but in
`compare`, which takes the features first.

    sources.py    what is needed of each network: features that were stored, or in memory
    layers.py     how alike the layers are: the list of measures by layer; each layer with each
    weights.py    how far kernels and filters moved, and in how many directions
    luck.py       what a training changed, beside what another seed changes
    channels.py   the pictures that excite each channel, and the classes that they show
    plane.py      the pictures in a plane by the last layer of each
    concepts.py   the pictures that one of two networks holds together more than the other
    probes.py     what each layer of some networks knows of the classes
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.comparison.channels import (
    ChannelSums,
    Pictures,
    RangeSums,
    chance_of,
    channel_rows,
    maximal_table,
    response_rows,
    with_p_values,
)
from overpaint.comparison.layers import ComparedPictures, LayerSums, matrix_rows
from overpaint.comparison.plane import plane_table
from overpaint.comparison.sources import InMemory, Positions, Source, Stored
from overpaint.comparison.weights import filter_changes, weight_tables
from overpaint.datasets import Split
from overpaint.defaults import MAXIMAL_IMAGES
from overpaint.features import features_of
from overpaint.machine import refusals_told
from overpaint.measures.centred import Centred, Table, ahead, centred_if_possible
from overpaint.measures.matrix import LayerKernels
from overpaint.measures.ranges import in_parts
from overpaint.measures.similarity import sought
from overpaint.networks import Network
from overpaint.records import (
    ChannelRow,
    LayerRow,
    MatrixRow,
    MaximalRow,
    PictureRow,
    PlaneFacts,
    PlaneRow,
    ResponseRow,
    table,
)

__all__ = ["Comparison", "InMemory", "Positions", "Source", "Stored", "compare", "tables"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """What `compare` was given, and the digests that the networks had then."""

    before: Network
    after: Network
    digests: tuple[str, str]
    images: Split
    k: int
    seed: int
    reduction: str
    related: bool


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The tables of two networks."""

    layers: pd.DataFrame  # LayerRow
    matrix: pd.DataFrame  # MatrixRow
    weights: pd.DataFrame  # WeightRow
    spectra: pd.DataFrame  # SpectrumRow
    channels: pd.DataFrame  # ChannelRow
    maximal: pd.DataFrame  # MaximalRow
    responses: pd.DataFrame  # ResponseRow
    pictures: pd.DataFrame  # PictureRow
    plane: pd.DataFrame  # PlaneRow
    plane_facts: PlaneFacts | None  # None where no planes were asked for
    duplicates: int  # images that show a picture again, left out of all but layers and weights
    notes: tuple[str, ...]  # what to know of the two networks, in words
    of: Compared | None = None  # of a comparison made in Python, for its report

    def _repr_html_(self) -> str:
        from overpaint.report.charts.drawing import svg
        from overpaint.report.charts.plots import curves
        from overpaint.report.parts.frames import folded

        alike = self.layers.rename(
            columns={
                "cka_debiased": "value",
                "cka_debiased_low": "low",
                "cka_debiased_high": "high",
            }
        ).assign(what="debiased CKA")[["layer", "what", "value", "low", "high"]]
        alike = alike.dropna(subset="value")
        chart = svg(curves(alike, ["debiased CKA"], "linear CKA")) if len(alike) else ""
        tables = ("layers", "channels", "weights", "matrix", "maximal", "pictures")
        parts = [f"<p>{escape(note)}</p>" for note in self.notes]
        parts += [folded(name, getattr(self, name)) for name in tables]
        return f"<div>{chart}</div>{''.join(parts)}"


@refusals_told()
def compare(
    before: Network,
    after: Network,
    images: Split,
    *,
    k: int = MAXIMAL_IMAGES,
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
    networks = [(network, network.layers) for network in (before, after)]
    means = features_of(networks, images)
    compared = means if reduction == "mean" else features_of(networks, images, reduction)
    old, new = (
        InMemory(
            network=network,
            by_layer=compared[number],
            means_by_layer=means[number],
            reduction=reduction,
        )
        for number, (network, _) in enumerate(networks)
    )
    change = tables(
        old, new, images, compared=images, k=k, seed=seed, negative=negative, related=related
    )
    compared_networks = Compared(
        before=before,
        after=after,
        digests=(before.digest, after.digest),
        images=images,
        k=k,
        seed=seed,
        reduction=reduction,
        related=related,
    )
    return replace(change, of=compared_networks)


def tables(
    before: Source,
    after: Source,
    split: Split,
    *,
    k: int,
    seed: int,
    compared: Split | None = None,
    negative: bool = False,
    related: bool = True,
    mapped: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Compare two networks layer by layer, reading the features of a layer a few images at a time.

    split: the pictures that `means` and `positions` of the sources are of, among which the maximal
    images are found. compared: those that the layers are compared by, which may be others; their
    intervals are over groups where there are any. A pair that is not
    `related` has no common start; its filters are matched before the distance of the weights is
    taken once more. A pair whose channels differ in number has no rows by channel. `negative`:
    images rank among the maximal ones whatever the sign of their value, for layers before an
    activation. `mapped`: the pictures that the layers are compared by are laid out in planes.
    """
    layers, channels, maximal, responses, by_picture = [], [], [], [], []
    ranked: dict[str, list[NDArray[np.intp]]] = {"before": [], "after": []}
    pictures = Pictures.of(split)
    once = pictures.split
    chance = chance_of(once, k, seed)
    pair = (before.network, after.network)
    shared = common_layers(*pair)
    old_layers, old_ranges = first_look(before, "first", shared, pictures)
    new_layers, new_ranges = first_look(after, "second", shared, pictures)
    count = max((table.shape[0] for table in old_layers.values()), default=0)
    kernels = LayerKernels.of(old_layers, new_layers, keep=sought(count) if shared else None)
    matrix = matrix_rows(old_layers, new_layers, after.reduction, kernels)
    shown = ComparedPictures.of(
        count,
        old_layers[before.network.layers[0]] if shared else None,
        names=compared.images if compared else None,
        groups=[picture.group for picture in compared.pictures] if compared else None,
    )
    for position, layer in enumerate(shared):
        measured = LayerSums(
            old_layers[layer], new_layers[layer], shown, kernels.crosses.pop(layer, None)
        )
        means = before.means(layer), after.means(layer)
        sums = None
        if means[0].shape[1] == means[1].shape[1]:
            ranges = old_ranges[layer].of(means[0]), new_ranges[layer].of(means[1])
            sums = ChannelSums(*means, pictures, ranges, k=k, negative=negative)
        look(measured, sums)
        layers.append(measured.row(layer, position, after.reduction))
        by_picture.append(measured.pictures_table(layer, position))
        for features in (old_layers[layer], new_layers[layer]):
            if isinstance(features, Centred):
                features.forget()
        if sums:
            of_layer = sums.channels
            channels += channel_rows(
                layer,
                of_layer,
                images=len(once),
                k=k,
                chance=chance,
                changes=filter_changes(*pair, layer),
            )
            for source, side in ((before, of_layer.before), (after, of_layer.after)):
                ranked[side.name] += side.maximal
                maximal.append(maximal_table(layer, side, source.positions(layer), pictures))
                responses += response_rows(layer, side, once)
        if progress:
            progress(position + 1, len(shared))
    plane, plane_facts = table([], PlaneRow), None
    if mapped and compared:
        plane, plane_facts = plane_table(before, after, compared.images, seed=seed)
    weights, spectra = weight_tables(*pair, related=related)
    return Comparison(
        layers=table(layers, LayerRow),
        matrix=table(matrix, MatrixRow),
        weights=weights,
        spectra=spectra,
        channels=with_p_values(table(channels, ChannelRow), **ranked, split=once, seed=seed),
        maximal=pd.concat(maximal) if maximal else table([], MaximalRow),
        responses=table(responses, ResponseRow),
        pictures=pd.concat(by_picture, ignore_index=True) if by_picture else table([], PictureRow),
        plane=plane,
        plane_facts=plane_facts,
        duplicates=len(split) - len(once),
        notes=notes(*pair, related=related),
    )


def first_look(
    source: Source, which: str, shared: Sequence[str], pictures: Pictures
) -> tuple[dict[str, Table | Centred], dict[str, RangeSums]]:
    """The layers of a network about their mean; and what this reading tells of the channels of
    those that are shared, where it is of their means.
    """
    features, ranges = {}, {layer: RangeSums(pictures) for layer in shared}
    for layer in source.network.layers:
        table, also = source.compared(layer), None
        if layer in ranges and source.means(layer) is table:
            also = ranges[layer].add
        features[layer] = centred_if_possible(table, which, also)
    return features, ranges


def look(measured: LayerSums, sums: ChannelSums | None) -> None:
    """Read the features of a layer in two networks for all that wants them: once where the layers
    are compared by the tables that the channels are of.
    """
    readings: dict[tuple[int, int], list[LayerSums | ChannelSums]] = defaultdict(list)
    for taker in (measured, sums):
        if taker and taker.tables:
            readings[id(taker.tables[0]), id(taker.tables[1])].append(taker)
    for takers in readings.values():
        assert takers[0].tables
        for part in ahead(in_parts(*takers[0].tables)):
            for taker in takers:
                taker.add(*part)


def common_layers(before: Network, after: Network) -> list[str]:
    """The layers that both networks have, in the order of the second; often none of two
    architectures, which only the matrix of all layers compares.
    """
    return [layer for layer in after.layers if layer in before.layers]


def notes(before: Network, after: Network, *, related: bool) -> tuple[str, ...]:
    """What to know of a pair before its numbers are read, in sentences."""
    sentences = []
    if before is not after and before.body is after.body:
        sentences.append(
            "Before and after are one and the same module: to compare it with what it was, wrap a "
            "copy that was made before the training (copy.deepcopy)."
        )
    if not common_layers(before, after):
        sentences.append(
            f"{before.architecture} and {after.architecture} share no layer name: all layers of "
            "the one are compared with all of the other, and no channels."
        )
    if not related:
        sentences.append(
            "The two networks have no start in common: their filters are numbered by chance, and "
            "the plain distance of their weights means little; l2_matched is the distance after "
            "the best assignment of filters."
        )
    return tuple(sentences)
