"""Probes: what each layer of some networks knows of the classes; `op.probe`.

>>> known = probe({"before": before, "after": after}, train, test)      # doctest: +SKIP
>>> known.rows.pivot_table(index="layer", columns=["network", "method"], values="value",
...                        sort=False)                                  # doctest: +SKIP
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from overpaint.datasets import Split
from overpaint.defaults import MOST_TAUGHT
from overpaint.errors import MeasureError
from overpaint.features import features_of
from overpaint.machine import refusals_told
from overpaint.measures.probe import linear_probe, neighbour_probe
from overpaint.networks import Network
from overpaint.records import ProbeRow, Score, table
from overpaint.seeds import drawn_rows, generator


@dataclass(frozen=True, kw_only=True)
class Known:
    """Pictures with their labels, and their features [N, C] by layer."""

    split: Split
    features: Callable[[str], NDArray[Any]]


METHODS = {"linear": linear_probe, "neighbours": neighbour_probe}


@dataclass(frozen=True, kw_only=True)
class Probes:
    """What layers know of the classes; a notebook shows it as curves."""

    rows: pd.DataFrame  # ProbeRow

    def _repr_html_(self) -> str:
        from overpaint.report.charts.colours import LINES
        from overpaint.report.charts.drawing import svg
        from overpaint.report.charts.plots import curves

        parts = []
        for method in METHODS:
            rows = self.rows[(self.rows["method"] == method) & self.rows["value"].notna()]
            names = rows["network"].drop_duplicates().tolist()[: len(LINES)]
            curve = rows.rename(columns={"network": "what"})[
                ["layer", "what", "value", "low", "high"]
            ]
            curve = curve[curve["what"].isin(names)]
            if len(curve):
                parts.append(svg(curves(curve, names, f"{method}: score on test")))
        chance = self.rows["chance"].dropna()
        said = f"Chance is {chance.iloc[0]:.1%}." if len(chance) else "Nothing could be measured."
        return f"<div>{''.join(parts)}<p>{said}</p></div>"


@refusals_told()
def probe(
    networks: Mapping[str, Network] | Sequence[Network],
    train: Split,
    test: Split,
    *,
    seed: int = 0,
) -> Probes:
    """How well the features of each layer alone tell the classes of test, once taught by train.

    >>> op.probe([before, after], train, test)                          # doctest: +SKIP

    networks: by the names that they are to have in the table; without, before and after of two,
    else network 1, 2, … For each layer of each a linear classifier and the nearest neighbours, as
    `measures.probe` has them; train has at most 5,000 pictures, drawn by the seed. A layer that
    cannot be measured has no value, and its status says why. Raises MeasureError, `images-differ`,
    where train and test are not of the same classes.
    """
    if not isinstance(networks, Mapping):
        names = (
            ["before", "after"]
            if len(networks) == 2
            else [f"network {number}" for number, _ in enumerate(networks, 1)]
        )
        networks = dict(zip(names, networks, strict=True))
    sample = train.of_rows(drawn_rows(len(train), MOST_TAUGHT, seed, "pictures of probes"))
    pairs = [(network, network.layers) for network in networks.values()]
    features = zip(features_of(pairs, sample), features_of(pairs, test), strict=True)
    tables = [
        probe_table(
            name,
            networks[name].layers,
            Known(split=sample, features=taught.__getitem__),
            Known(split=test, features=tested.__getitem__),
            seed=seed,
        )
        for name, (taught, tested) in zip(networks, features, strict=True)
    ]
    return Probes(rows=pd.concat(tables, ignore_index=True) if tables else table([], ProbeRow))


def probe_table(
    name: str,
    layers: Sequence[str],
    train: Known,
    test: Known,
    *,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """What the layers of a network know: the rows of each layer, first linear, then neighbours."""
    taught, tested = train.split, test.split
    if (taught.classes, taught.multi_label) != (tested.classes, tested.multi_label):
        raise MeasureError(
            "images-differ",
            "probes are taught and tested on the same classes: give two splits of one dataset; got "
            f"{len(taught.classes)} classes of {taught.dataset}/{taught.name} and "
            f"{len(tested.classes)} of {tested.dataset}/{tested.name}",
        )
    rows = []
    for position, layer in enumerate(layers):
        shown, asked = train.features(layer), test.features(layer)
        for method, measure in METHODS.items():
            score: Score | None = None
            status = "ok"
            try:
                score = measure(
                    shown,
                    taught.labels,
                    asked,
                    tested.labels,
                    rng=generator(seed, "probe", tested.dataset, tested.name),
                    groups=[picture.group for picture in tested.pictures],
                )
            except MeasureError as error:
                status = error.slug
            rows.append(
                ProbeRow(
                    network=name,
                    layer=layer,
                    position=position,
                    method=method,
                    value=score.value if score else None,
                    low=score.low if score else None,
                    high=score.high if score else None,
                    chance=score.chance if score else None,
                    n_train=len(taught),
                    n=len(tested),
                    status=status,
                    n_groups=score.n_groups if score else None,
                )
            )
        if progress:
            progress(position + 1, len(layers))
    return table(rows, ProbeRow)
