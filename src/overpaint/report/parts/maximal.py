"""The maximal images of all channels, each picture once: a million rows in little memory."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from overpaint.defaults import SHOWN_IMAGES
from overpaint.errors import RecordError
from overpaint.records import MaximalRow, checked, table_file
from overpaint.report.study.reading import ComparisonRecords

SIDES = ("before", "after")
Numbers = NDArray[np.int64]
NOTHING: Numbers = np.array([], np.int64)


class MaximalPicture(NamedTuple):
    """A picture of a dataset, as a channel's maximal image."""

    image: str
    digest: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Maximal:
    """For each channel and side the maximal images by rank, as numbers of `pictures`; and the row
    and the column of the position that responded most to each, −1 where that is not known.
    """

    pictures: list[MaximalPicture]
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


def read_maximal(comparison: ComparisonRecords) -> Maximal:
    """The maximal images of a comparison; none, and a note, where the table cannot be read."""
    path = comparison.maximal
    if path is None:
        return Maximal(pictures=[], rows={}, positions={})
    columns = [*WORDS, *NUMBERS]
    try:
        with table_file(path) as file:
            present = {*pq.read_schema(file).names}
            frame = pq.read_table(
                file, columns=[name for name in columns if name in present], read_dictionary=WORDS
            ).to_pandas()
        numbers, _ = checked(frame[[name for name in NUMBERS if name in present]], MaximalRow)
        if len(numbers) < len(frame):
            frame = frame.loc[numbers.index]
        frame = frame.assign(**numbers)
        frame = frame.reindex(columns=columns)  # a position that is not there is not known
        frame = frame[frame["rank"] <= SHOWN_IMAGES].dropna(subset=["layer", "network"])
        return by_channel(frame)
    except (RecordError, OSError, ValueError, TypeError, pa.ArrowException):
        comparison.notes.append(f"comparisons/{comparison.name}/maximal.parquet cannot be read.")
        return Maximal(pictures=[], rows={}, positions={})


WORDS = ["layer", "network", "image", "digest", "label"]
NUMBERS = ["channel", "rank", "row", "column"]


def by_channel(frame: pd.DataFrame) -> Maximal:
    """The maximal images of a table: by column and not by row, a word is a number to the last."""
    codes, names = {}, {}
    for word in WORDS:
        codes[word], values = pd.factorize(frame[word].astype("category"))
        names[word] = [str(value) for value in values]
    picture = np.zeros(len(frame), np.int64)
    for word in MaximalPicture._fields:
        picture = picture * (len(names[word]) + 1) + codes[word] + 1
    _, first, numbers = np.unique(picture, return_index=True, return_inverse=True)
    words = [
        ["" if code < 0 else names[word][code] for code in codes[word][first]]
        for word in MaximalPicture._fields
    ]
    channel, rank = (frame[name].to_numpy(np.int64) for name in ("channel", "rank"))
    keys = (codes["layer"], channel, codes["network"])
    order = np.lexsort((rank, *reversed(keys)))
    ordered = [key[order] for key in keys]
    starts = np.flatnonzero(np.any([np.diff(key, prepend=-2) != 0 for key in ordered], axis=0))
    units = [
        (names["layer"][layer], int(at), names["network"][side])
        for layer, at, side in zip(*(key[starts] for key in ordered), strict=True)
    ]
    positions = frame[["row", "column"]].fillna(-1).to_numpy(np.int64)
    spans = list(map(slice, starts.tolist(), [*starts[1:].tolist(), len(order)]))
    rows, places = (
        dict(zip(units, map(column[order].__getitem__, spans), strict=True))
        for column in (numbers, positions)
    )
    return Maximal(pictures=list(map(MaximalPicture, *words)), rows=rows, positions=places)
