"""Tables that charts are drawn from, each taken from records."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

POINTS = 1500
"""The most points that a scatter plot draws."""


def boxes(channels: pd.DataFrame, columns: dict[str, str], order: Sequence[str]) -> pd.DataFrame:
    """For each layer and column the quantiles over its channels: 5, 25, 50, 75 and 95 %.

    >>> table = pd.DataFrame({"layer": ["a"] * 5, "overlap": [0.0, 0.1, 0.2, 0.3, 0.4]})
    >>> boxes(table, {"overlap": "overlap"}, ["a"])[["channels", "q25", "median"]].values.tolist()
    [[5.0, 0.1, 0.2]]
    """
    quantiles = []
    for layer in order:
        of_layer = channels[channels["layer"] == layer]
        for column, what in columns.items():
            values = of_layer[column].dropna().to_numpy(float)
            if len(values):
                row = np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()
                quantiles.append([layer, what, len(values), *row])
    return pd.DataFrame(
        quantiles, columns=["layer", "what", "channels", "q05", "q25", "median", "q75", "q95"]
    )


def with_chance(table: pd.DataFrame, channels: pd.DataFrame, column: str) -> pd.DataFrame:
    """The same table and, for each layer, the median of a level of chance."""
    return table.assign(chance=table["layer"].map(channels.groupby("layer")[column].median()))


def evenly(frame: pd.DataFrame, column: str, most: int = POINTS) -> pd.DataFrame:
    """At most so many rows, spread evenly over the ranks of a column.

    >>> evenly(pd.DataFrame({"x": [3, 1, 2, 5, 4]}), "x", 3)["x"].tolist()
    [1, 3, 5]
    """
    if len(frame) <= most:
        return frame
    ranked = frame.sort_values(column, kind="stable", ignore_index=True)
    return ranked.iloc[np.linspace(0, len(ranked) - 1, most).round().astype(int)]


def cumulated(spectra: pd.DataFrame, most: int = 24) -> pd.DataFrame:
    """The share of the squared norm of each layer's change in its first directions.

    >>> table = pd.DataFrame({"layer": "a", "direction": [1, 2, 3], "change": [2.0, 1.0, 1.0]})
    >>> cumulated(table)["share"].round(3).tolist()
    [0.667, 0.833, 1.0]

    Rows in the order of the directions; of many, at most so many a layer, evenly by their
    logarithm.
    """
    parts = []
    for layer, rows in spectra.groupby("layer", sort=False):
        squares = np.cumsum(rows["change"].to_numpy(float) ** 2)
        places = np.unique(np.geomspace(1, len(squares), most).round().astype(int))
        parts.append(
            pd.DataFrame(
                {"layer": layer, "direction": places, "share": squares[places - 1] / squares[-1]}
            )
        )
    return pd.concat(parts, ignore_index=True)


def confusion(square: Sequence[Sequence[int]], classes: Sequence[str]) -> pd.DataFrame:
    """How often each class was taken for each: a row for every pair, with its share of the truth.

    >>> confusion([[1, 1], [0, 0]], ["a", "b"])["share"].tolist()
    [0.5, 0.5, 0.0, 0.0]

    square: [C, C], a row a true class.
    """
    pairs = [
        [true, predicted, int(n), float(n / max(sum(line), 1))]
        for true, line in zip(classes, square, strict=True)
        for predicted, n in zip(classes, line, strict=True)
    ]
    return pd.DataFrame(pairs, columns=["true", "predicted", "n", "share"])
