"""The channels that specialised, read from the table of a comparison; no torch, no SciPy."""

import pandas as pd

from overpaint.defaults import LEVEL


def specialised(channels: pd.DataFrame, q: float = LEVEL) -> pd.DataFrame:
    """The channels that specialised, the surest first, of equally sure ones the most concentrated.

    >>> columns = ["layer", "channel", "concentration", "specialised_q"]
    >>> rows = [("a", 0, 0.1, 0.2), ("a", 1, 0.3, 0.01), ("b", 0, 0.5, 0.01)]
    >>> specialised(pd.DataFrame(rows, columns=columns))[["layer", "channel"]].values.tolist()
    [['b', 0], ['a', 1]]

    channels: the table of a comparison (ChannelRow). q: the share of the list that may be there
    by chance.
    """
    sure = channels[channels["specialised_q"] <= q]
    order = ["specialised_q", "concentration"]
    return sure.sort_values(order, ascending=[True, False], kind="stable", ignore_index=True)
