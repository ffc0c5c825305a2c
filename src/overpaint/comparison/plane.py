"""The pictures of a split in a plane, by the last layer of each of two networks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.comparison.sources import Source
from overpaint.defaults import MOST_MAPPED, NEAREST
from overpaint.errors import MeasureError
from overpaint.measures.centred import Centred, Table, rows_at
from overpaint.measures.plane import planes
from overpaint.measures.similarity import root
from overpaint.records import PlaneFacts, PlaneRow, table
from overpaint.seeds import drawn_rows


def plane_table(
    before: Source, after: Source, images: Sequence[str], *, seed: int
) -> tuple[pd.DataFrame, PlaneFacts]:
    """The planes of two networks (PlaneRow), and what is to be known of them.

    images: the names of the pictures that the layers are compared by. Of more than 3,000 a draw of
    so many is laid out. Where that cannot be, the table is empty and `status` says why.
    """
    rows = np.array(drawn_rows(len(images), MOST_MAPPED, seed, "pictures of planes"), np.intp)
    last = [source.network.layers[-1] for source in (before, after)]
    facts = PlaneFacts(layer_before=last[0], layer_after=last[1], n=len(rows), of=len(images))
    try:
        made = planes(
            *(
                features_at(source.compared(layer), rows)
                for source, layer in zip((before, after), last, strict=True)
            ),
            seed=seed,
        )
    except MeasureError as error:
        return table([], PlaneRow), replace(facts, n=0, status=str(error))
    names = np.array(images, object)[rows]
    columns = {
        "image": names,
        "x_before": made.before.points[:, 0],
        "y_before": made.before.points[:, 1],
        "x_after": made.after.points[:, 0],
        "y_after": made.after.points[:, 1],
        "kept": made.kept,
        "nearest_before": list(names[made.before.nearest[:, :NEAREST]].tolist()),
        "nearest_after": list(names[made.after.nearest[:, :NEAREST]].tolist()),
    }
    return pd.DataFrame(columns), replace(
        facts,
        kept=made.shared,
        chance=made.chance,
        trust_before=made.before.trust,
        trust_after=made.after.trust,
    )


def features_at(features: Table, rows: NDArray[np.intp]) -> NDArray[Any]:
    """The features of some pictures; of wide ones others [n, n] that lie as far from each other."""
    if features.shape[1] <= max(len(rows), MOST_MAPPED):
        return rows_at(features, rows)
    return root(Centred.of(features).gram_rows(rows)[:, rows])
