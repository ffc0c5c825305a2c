"""Which network to start from: advice from features alone, before anything is trained.

>>> rng = np.random.default_rng(0)
>>> labels = np.repeat([0, 1], 20)
>>> dull = rng.standard_normal((40, 5))
>>> keen = dull + 2 * labels[:, None]
>>> rows = advise({"dull": dull, "keen": keen}, labels, dataset="seas", split="train", seed=0)
>>> [row.network for row in rows]
['keen', 'dull']
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from overpaint.errors import MeasureError
from overpaint.measures.transfer import logme, nearest_neighbour
from overpaint.records import AdviceRow
from overpaint.seeds import generator

SINGLE, SEVERAL = 1, 5
"""Neighbours asked for single labels, and for several, where one vote could rank nothing."""


def advise(
    features: Mapping[str, NDArray[Any]],
    labels: NDArray[np.int64],
    *,
    dataset: str,
    split: str,
    seed: int,
    groups: Sequence[str] | None = None,
) -> list[AdviceRow]:
    """A row for each network's features [N, D] of the same pictures, best LogME first.

    labels: [N] class numbers, or [N, C] of 0/1. groups: of each picture; no picture then asks a
    neighbour of its own group. LogME does not know of groups: where the two disagree, features may
    have told the painter instead of the style. What cannot be computed is None, with the reason in
    `status`; without LogME a row comes last.
    """
    rows = [
        _row(network, table, labels, groups, dataset, split, seed)
        for network, table in features.items()
    ]
    return sorted(rows, key=lambda row: -np.inf if row.logme is None else row.logme, reverse=True)


def _row(
    network: str,
    table: NDArray[Any],
    labels: NDArray[np.int64],
    groups: Sequence[str] | None,
    dataset: str,
    split: str,
    seed: int,
) -> AdviceRow:
    rng = generator(seed, "bootstrap", dataset, split)
    k = SINGLE if labels.ndim == 1 else SEVERAL
    evidence, score, reasons = None, None, []
    try:
        evidence = logme(table, labels)
    except MeasureError as error:
        reasons.append(str(error))
    try:
        score = nearest_neighbour(table, labels, groups, k=k, rng=rng)
    except MeasureError as error:
        reasons.append(str(error))
    return AdviceRow(
        network=network,
        dataset=dataset,
        split=split,
        n=score.n if score else 0,
        logme=evidence,
        neighbour=score.value if score else None,
        low=score.low if score else None,
        high=score.high if score else None,
        chance=score.chance if score else None,
        status="; ".join(dict.fromkeys(reasons)) or "ok",
    )
