"""Luck: what a training changed, beside what another seed changes.

>>> beside([0.3, 0.2, None, 0.1], [0.1, 0.4, 0.1, 0.0]).round(3).tolist()
[3.0, 0.5, nan, nan]
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from overpaint.comparison import Comparison

FLOORS: dict[str, tuple[tuple[str, ...], str, Callable[[pd.Series], pd.Series]]] = {
    "layers": (("layer",), "cka_debiased", lambda value: 1 - value),
    "weights": (("layer", "position"), "l2", lambda value: value),
    "channels": (("layer", "channel"), "overlap", lambda value: 1 - value),
    "pictures": (("layer", "image"), "alike", lambda value: 1 - value),
}
"""Of each table: what a row is about, the number that tells of change, and the change in it."""


def beside(
    change: Sequence[float | None] | pd.Series, luck: Sequence[float | None] | pd.Series
) -> NDArray[np.float64]:
    """A change divided by that between twins: 1 is no more than luck. NaN where twins are alike to
    the last digit, or either number is not there.
    """
    above, below = (np.array(values, np.float64) for values in (change, luck))
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 1e-12)


def beside_twins(table: pd.DataFrame, of_twins: pd.DataFrame, name: str) -> pd.DataFrame:
    """A table of a start and its training, with that number of two twins (`..._twins`) and the
    change beside it (`beside_luck`) in each row.
    """
    keys, column, change = FLOORS[name]
    floor = of_twins[[*keys, column]].rename(columns={column: f"{column}_twins"})
    joined = table.drop(columns=f"{column}_twins").merge(floor, on=list(keys), how="left")
    joined["beside_luck"] = beside(change(joined[column]), change(joined[f"{column}_twins"]))
    return joined[table.columns].astype(table.dtypes)


def with_luck(change: "Comparison", of_twins: "Comparison") -> "Comparison":
    """A comparison of a start and its training, with that of two trainings beside it."""

    def joined(name: str) -> pd.DataFrame:
        return beside_twins(getattr(change, name), getattr(of_twins, name), name)

    return replace(
        change,
        layers=joined("layers"),
        weights=joined("weights"),
        channels=joined("channels"),
        pictures=joined("pictures"),
    )
