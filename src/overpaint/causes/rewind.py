"""Rewind: the network after, with weights of layers set back to before, and what that costs.

>>> rewound = rewind(before, after, collection.split("test"))                  # doctest: +SKIP
>>> rewound.rows.query("how == 'only'").nlargest(3, "cost")                    # doctest: +SKIP
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from overpaint.causes.variants import (
    Variant,
    check_head,
    check_same_backbone,
    said_of_each,
    tensors_by_layer,
)
from overpaint.datasets import Split
from overpaint.machine import refusals_told
from overpaint.measures.scores import difference, main_value
from overpaint.networks import Network
from overpaint.progress import notebook_bar
from overpaint.records import RewindRow, table

HOW = ("only", "up_to", "from")
"""One layer alone; all layers up to it; all layers from it on."""


@dataclass(frozen=True, kw_only=True)
class Rewound:
    """What it costs to set layers back; a notebook shows it as curves."""

    rows: pd.DataFrame  # RewindRow
    whole: float  # the main score of the network after

    def _repr_html_(self) -> str:
        from overpaint.report.charts.drawing import svg
        from overpaint.report.charts.plots import curves

        named = {"only": "this layer", "up_to": "all up to it", "from": "all from it on"}
        what = self.rows["how"].map(named)
        chart = curves(self.rows.assign(what=what), [*named.values()], "score once set back")
        return f"<div>{svg(chart)}<p>The network after scores {self.whole:.1%}.</p></div>"


@refusals_told()
def rewind(
    before: Network,
    after: Network,
    images: Split,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Rewound:
    """What it costs to set the weights of layers back, a row (RewindRow) a layer and way.

    images: a split of the collection that `after` was fitted to, its test split as a rule. Each
    layer of `after.layers` is set back alone, with all layers before it, and with all after it; the
    head stays that of `after`. `value` is the main score (top-1, or mAP) of the network so mended,
    `cost` that of `after` minus it, on the same pictures: above 0 where the change of the layer
    serves the score. Intervals: 95 %, bootstrap over pictures, paired for the cost. A layer whose
    weights and statistics are bit-identical before and after is not run: its cost is exactly 0, its
    status "identical".

    A layer that can be set back for free need not be one that did not matter while it was trained.

    Raises NetworkError: `other-backbone` for two architectures; `classes-differ` where `after` does
    not name the classes of the images.

    Source: Zhang, Bengio & Singer 2019, "Are all layers created equal?" (re-initialisation to the
    weights before training), and Chatterji, Neyshabur & Sedghi 2020, "The intriguing role of
    module criticality in the generalization of deep networks".
    """
    check_same_backbone(before, after)
    check_head(after, images)
    labels = np.asarray(images.labels)
    old, new = before.tensors(), after.tensors()
    changed = {
        layer: [name for name in names if not torch.equal(old[name].cpu(), new[name].cpu())]
        for layer, names in tensors_by_layer(after).items()
    }
    layers = list(changed)
    # summed in the order of the names and of C: a run before may have laid weights in another
    squares = {
        name: tuple(
            float(np.square(part.ravel()).sum())
            for part in (_in_order(new[name]) - _in_order(old[name]), _in_order(old[name]))
        )
        for names in changed.values()
        for name in names
        if old[name].is_floating_point() and not name.endswith(("running_mean", "running_var"))
    }
    everything = frozenset(name for names in changed.values() for name in names)
    back_of: dict[tuple[int, str], frozenset[str]] = {}
    # by what is set back: what is said up to where, and with all set back or nothing
    begin: dict[frozenset[str], tuple[str | None, int]] = {frozenset(): (None, 0)}
    begin.setdefault(everything, (None, 1))
    for position, layer in enumerate(layers):
        above = layers[position - 1] if position else None
        for how, part, behind, like in (
            ("only", [layer], above, 0),
            ("up_to", layers[: position + 1], layer, 1),
            ("from", layers[position:], above, 0),
        ):
            back = frozenset(name for name_of in part for name in changed[name_of])
            back_of[position, how] = back
            begin.setdefault(back, (behind, like))
    variants = [
        Variant(tensors={name: old[name] for name in back}, behind=behind, like=like)
        for back, (behind, like) in begin.items()
    ]
    progress = progress or notebook_bar("rewind")
    said_by = dict(zip(begin, said_of_each(after, images, variants, progress), strict=True))
    whole = said_by[frozenset()]
    rows = []
    for position, layer in enumerate(layers):
        for how in HOW:
            back = back_of[position, how]
            said = said_by[back]
            far, size = (
                sum(squares[name][part] for name in sorted(back & squares.keys()))
                for part in (0, 1)
            )
            cost = difference(
                said.probabilities,
                whole.probabilities,
                labels,
                dataset=images.dataset,
                split=images.name,
                seed=seed,
                groups=[picture.group for picture in images.pictures],
            )
            rows.append(
                RewindRow(
                    layer=layer,
                    position=position,
                    how=how,
                    value=main_value(said.probabilities, labels),
                    cost=cost.value,
                    low=cost.low,
                    high=cost.high,
                    loss=float(said.losses(labels).mean()),
                    n=cost.n,
                    n_groups=cost.n_groups,
                    tensors=len(back),
                    status="ok" if back else "identical",
                    moved=float(np.sqrt(far / size)) if size else None if back else 0.0,
                )
            )
    return Rewound(rows=table(rows, RewindRow), whole=main_value(whole.probabilities, labels))


def _in_order(tensor: torch.Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(tensor.detach().cpu().numpy(), np.float64, order="C")
