"""The maximal images of all channels, each picture once: a million rows in little memory."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from overpaint.report.study.reading import ComparisonRecords

SHOWN = 100
"""The maximal images of a channel and network that the report shows at most."""

SIDES = ("before", "after")
Numbers = NDArray[np.int64]
NOTHING: Numbers = np.array([], np.int64)


class Shown(NamedTuple):
    """A picture of a dataset, as a channel's maximal image."""

    image: str
    digest: str
    label: str


@dataclass(frozen=True)
class Maximal:
    """For each channel and side the maximal images by rank, as numbers of `pictures`; and the row
    and the column of the position that responded most to each, −1 where that is not known.
    """

    pictures: list[Shown]
    rows: dict[tuple[str, int, str], Numbers]
    positions: dict[tuple[str, int, str], Numbers]  # [n, 2]

    def of(self, layer: str, channel: int) -> tuple[Numbers, Numbers]:
        """Those before and after."""
        before, after = (self.rows.get((layer, channel, side), NOTHING) for side in SIDES)
        return before, after

    def positions_of(self, layer: str, channel: int) -> tuple[Numbers, Numbers]:
        """Where the channel responded most to each of them, before and after."""
        before, after = (
            self.positions.get((layer, channel, side), NOTHING.reshape(0, 2)) for side in SIDES
        )
        return before, after


def read_maximal(found: ComparisonRecords) -> Maximal:
    """The maximal images of a comparison; none, and a note, where the table cannot be read."""
    if found.maximal is None:
        return Maximal([], {}, {})
    try:
        return _maximal(_frame(found))
    except (OSError, ValueError, TypeError):
        found.notes.append(f"comparisons/{found.name}/maximal.parquet cannot be read.")
        return Maximal([], {}, {})


WORDS = ["layer", "network", "image", "digest", "label"]


def _frame(found: ComparisonRecords) -> pd.DataFrame:
    columns = [*WORDS, "channel", "rank", "row", "column"]
    there = {*pq.read_schema(found.maximal).names}
    table = pq.read_table(
        found.maximal, columns=[name for name in columns if name in there], read_dictionary=WORDS
    )
    frame = table.to_pandas()
    frame = frame.reindex(columns=columns)  # a position that is not there is not known
    return frame[frame["rank"] <= SHOWN].dropna(subset=["layer", "network"])


def _maximal(frame: pd.DataFrame) -> Maximal:
    """By column and not by row; each word is a number until it is shown."""
    codes, names = {}, {}
    for word in WORDS:
        codes[word], names[word] = pd.factorize(frame[word].astype("category"))
    picture = np.zeros(len(frame), np.int64)
    for word in Shown._fields:
        picture = picture * (len(names[word]) + 1) + codes[word] + 1
    _, first, numbers = np.unique(picture, return_index=True, return_inverse=True)
    words = [
        ["" if code < 0 else str(names[word][code]) for code in codes[word][first]]
        for word in Shown._fields
    ]
    channel, rank = (frame[name].to_numpy(np.int64) for name in ("channel", "rank"))
    keys = (codes["layer"], channel, codes["network"])
    order = np.lexsort((rank, *reversed(keys)))
    ordered = [key[order] for key in keys]
    starts = np.flatnonzero(np.any([np.diff(key, prepend=-2) != 0 for key in ordered], axis=0))
    units = [
        (str(names["layer"][layer]), int(at), str(names["network"][side]))
        for layer, at, side in zip(*(key[starts] for key in ordered), strict=True)
    ]
    positions = frame[["row", "column"]].fillna(-1).to_numpy(np.int64)
    rows, places = (
        dict(zip(units, np.split(each[order], starts[1:]), strict=True)) if units else {}
        for each in (numbers, positions)
    )
    return Maximal(list(map(Shown, *words)), rows, places)
