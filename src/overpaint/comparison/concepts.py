"""Concepts: what one network holds together and another does not, layer by layer; `op.concepts`.

>>> change = concepts(before, after, images)                            # doctest: +SKIP
>>> change.concepts.query("q <= 0.05").nlargest(5, "gain")              # doctest: +SKIP
"""

import base64
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from overpaint.datasets import Split
from overpaint.defaults import LEVEL, MOST_PARTED
from overpaint.errors import MeasureError
from overpaint.features import features_of
from overpaint.machine import refusals_told
from overpaint.measures.concepts import Concept, difference_concepts
from overpaint.networks import Network
from overpaint.records import ConceptImageRow, ConceptRow, table
from overpaint.seeds import drawn_rows

Reader = Callable[[str], NDArray[Any]]
"""The features [N, C] of a network by layer, of the pictures of a split."""

SHOWN, EXAMPLES, SIDE = 6, 12, 80
"""Concepts, pictures of each and pixels of a picture that a notebook shows."""


@dataclass(frozen=True, kw_only=True)
class Concepts:
    """The difference concepts of two networks; a notebook shows the surest as pictures."""

    concepts: pd.DataFrame  # ConceptRow
    images: pd.DataFrame  # ConceptImageRow
    n: int  # pictures among which they were sought
    notes: tuple[str, ...]  # of the layers that have none, why
    split: Split

    def sure(self) -> pd.DataFrame:
        """Those at a false discovery rate of 5 % and, where that is known, beyond luck."""
        rows = self.concepts
        return rows[(rows["q"] <= LEVEL) & (rows["beyond_luck"] != False)]  # noqa: E712 - or None

    def _repr_html_(self) -> str:
        from overpaint.pixels.images import read, thumbnail

        sure = self.sure()
        where = escape(f"{self.split.dataset}/{self.split.name}")
        count = f"{len(sure)} of {len(self.concepts)}"
        parts = [f"<p>{count} concepts are sure, of {self.n} pictures of {where}.</p>"]
        for row in sure.nlargest(SHOWN, "gain").to_dict("records"):
            keys = ["layer", "held_by", "number"]
            of_concept = (self.images[keys] == [row[key] for key in keys]).all(axis=1)
            members = self.images[of_concept].nsmallest(EXAMPLES, "rank")
            beside = "" if pd.isna(row["luck"]) else f", luck {row['luck']:.2f}"
            parts.append(
                f"<p><b>{escape(row['layer'])}</b>, held together {row['held_by']}: {row['n']} "
                f"pictures, {row['top_share']:.0%} of {escape(row['top_class'])}; coherence "
                f"{row['coherence_before']:.2f} before, {row['coherence_after']:.2f} after{beside}"
                "</p>"
            )
            for image, label in zip(members["image"], members["label"], strict=True):
                small = thumbnail(read(self.split.root / image, SIDE), SIDE)
                data = base64.b64encode(small).decode()
                parts.append(
                    f'<img src="data:image/jpeg;base64,{data}" title="{escape(label)}" '
                    f'alt="{escape(label)}" style="margin:2px">'
                )
        parts += [f"<p>{escape(note)}</p>" for note in self.notes]
        return f"<div>{''.join(parts)}</div>"


@refusals_told()
def concepts(
    before: Network,
    after: Network,
    images: Split,
    *,
    repeats: Sequence[Network] = (),
    seed: int = 0,
) -> Concepts:
    """The groups of pictures that one of two networks holds together more than the other.

    >>> change = op.concepts(before, after, images, repeats=[again])    # doctest: +SKIP
    >>> change.sure()[["layer", "held_by", "top_class", "gain", "luck"]]   # doctest: +SKIP

    Of the layers that both have, all in memory; of at most 1,000 pictures, drawn by the seed.
    `repeats`: other trainings of the route that led to `after`: what differs between them is luck.
    Layers of which nothing can be said are named in `notes`. Raises MeasureError,
    `too-few-images`, for fewer than 40 pictures.
    """
    from overpaint.comparison import common_layers

    layers = common_layers(before, after)
    sample = images.of_rows(drawn_rows(len(images), MOST_PARTED, seed, "pictures of concepts"))
    networks = [before, after, *repeats]
    readers: list[Reader] = [
        features.__getitem__
        for features in features_of([(network, layers) for network in networks], sample)
    ]
    return concept_tables(
        (readers[0], readers[1]),
        sample,
        layers,
        repeats=[(readers[0], repeat) for repeat in readers[2:]],
        seed=seed,
    )


def concept_tables(
    pair: tuple[Reader, Reader],
    split: Split,
    layers: Sequence[str],
    *,
    repeats: Sequence[tuple[Reader, Reader]] = (),
    of_twins: bool = False,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Concepts:
    """The concepts of a comparison by layer, and what the pictures of them show.

    pair: readers of the networks before and after; repeats: those of the same comparison where the
    trainings were repeated; a network that was not is the same reader. `of_twins`: the two are such
    trainings themselves. Raises MeasureError for too few pictures; what is wrong with a single
    layer is a note.
    """
    readers = dict.fromkeys(reader for members in (pair, *repeats) for reader in members)
    by_layer: dict[str, list[Concept]] = {}
    notes = [] if layers else ["The two networks share no layer name, so there are no concepts."]
    for position, layer in enumerate(layers):
        try:
            features = {reader: reader(layer) for reader in readers}
            by_layer[layer] = difference_concepts(
                features[pair[0]],
                features[pair[1]],
                repeats=[(features[old], features[new]) for old, new in repeats],
                of_twins=of_twins,
                seed=seed,
            )
        except MeasureError as error:
            if error.slug == "too-few-images":
                raise
            notes.append(f"{layer} has no concepts: {error}")
        if progress:
            progress(position + 1, len(layers))
    concepts, shown = _described(by_layer, layers, split)
    return Concepts(
        concepts=table(concepts, ConceptRow),
        images=table(shown, ConceptImageRow),
        n=len(split),
        notes=tuple(notes),
        split=split,
    )


def _described(
    by_layer: Mapping[str, Sequence[Concept]], layers: Sequence[str], split: Split
) -> tuple[list[ConceptRow], list[ConceptImageRow]]:
    """The rows of concepts, and those of their pictures: what they show, how sure they are."""
    pictures = split.pictures
    p_values = [concept.p for concepts in by_layer.values() for concept in concepts]
    q_values = iter(false_discovery_control(p_values) if p_values else ())
    labels = [picture.labels for picture in pictures]
    groups = [(picture.group,) if picture.group else () for picture in pictures]
    concept_rows: list[ConceptRow] = []
    image_rows: list[ConceptImageRow] = []
    for layer, concepts in by_layer.items():
        numbers: Counter[str] = Counter()
        for concept in concepts:
            numbers[concept.held_by] += 1
            number = numbers[concept.held_by]
            top_class, share, lift = _leading(labels, concept.members)
            top_group, group_share, group_lift = _leading(groups, concept.members)
            concept_rows.append(
                ConceptRow(
                    layer=layer,
                    position=layers.index(layer),
                    held_by=concept.held_by,
                    number=number,
                    n=len(concept.members),
                    coherence_before=concept.coherence_before,
                    coherence_after=concept.coherence_after,
                    gain=concept.gain,
                    low=concept.low,
                    high=concept.high,
                    p=concept.p,
                    q=float(next(q_values)),
                    repeated=concept.repeated,
                    luck=concept.luck,
                    beyond_luck=concept.beyond_luck,
                    top_class=top_class,
                    top_share=share,
                    top_lift=lift,
                    top_group=top_group,
                    top_group_share=group_share if top_group else None,
                    top_group_lift=group_lift if top_group else None,
                )
            )
            image_rows += [
                ConceptImageRow(
                    layer=layer,
                    held_by=concept.held_by,
                    number=number,
                    rank=rank,
                    image=pictures[member].image,
                    digest=pictures[member].digest,
                    label=" · ".join(pictures[member].labels),
                )
                for rank, member in enumerate(concept.members, 1)
            ]
    return concept_rows, image_rows


def _leading(
    labels: Sequence[Sequence[str]], members: NDArray[np.intp]
) -> tuple[str, float, float]:
    """What some pictures show most beyond the share of all that do: its name, its share of them,
    and that divided by the share of all.

    >>> _leading([["cat"], ["cat"], ["dog"], ["dog"], ["dog"]], np.array([0, 1, 2]))
    ('cat', 0.6666666666666666, 1.6666666666666665)
    """
    of_all = Counter(label for names in labels for label in names)
    inside = Counter(label for member in members for label in labels[member])
    if not inside:
        return "", 0.0, 1.0
    shares = {label: (count / len(members), of_all[label] / len(labels))
              for label, count in inside.items()}  # fmt: skip
    name = max(sorted(shares), key=lambda label: shares[label][0] - shares[label][1])
    share, expected = shares[name]
    return name, share, share / expected
