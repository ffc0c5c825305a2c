"""What findings read of a comparison's folder."""

import pandas as pd

from overpaint.run.findings import maximal_rows


def test_each_channel_has_its_own_maximal_images(tmp_path):
    """By the order of the table of channels, whatever that of the images; a dead one has none."""
    channels = [("low", 0), ("low", 1), ("high", 0), ("high", 1)]
    pd.DataFrame(channels, columns=["layer", "channel"]).to_parquet(tmp_path / "channels.parquet")
    shown = [
        ("high", 1, "before", "c"), ("low", 1, "before", "a"), ("high", 1, "before", "a"),
        ("low", 0, "after", "b"), ("low", 0, "before", "b"), ("high", 0, "after", "a"),
    ]  # fmt: skip
    columns = ["layer", "channel", "network", "image"]
    pd.DataFrame(shown, columns=columns).to_parquet(tmp_path / "maximal.parquet")
    before, after = maximal_rows(tmp_path, ["a", "b", "c"])
    assert [rows.tolist() for rows in before] == [[1], [0], [], [2, 0]]
    assert [rows.tolist() for rows in after] == [[1], [], [0], []]
