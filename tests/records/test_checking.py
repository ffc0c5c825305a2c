"""What a table is checked by against the types of its row."""

import numpy as np
import pandas as pd

from overpaint.records import ImageRow, PairRenderingRow, checked, table

IMAGE = {"image": "a.png", "split": "train", "labels": ["x"], "group": "", "bytes": 1,
         "digest": "0", "width": 1, "height": 1, "status": "ok"}  # fmt: skip


def test_a_text_that_nobody_wrote_is_the_default():
    """A column of nothing, of a field with a default, costs no row."""
    rows = table([ImageRow(**IMAGE), ImageRow(**IMAGE)], ImageRow)
    for nothing in (None, float("nan"), pd.NA):
        sound, remarks = checked(rows.assign(source=nothing), ImageRow)
        assert sound["source"].tolist() == ["", ""]
        assert remarks == []


def test_a_number_of_many_digits_keeps_them_all():
    """A seed has more digits than a float holds: none is rounded, and none is thought too large."""
    seeds = [1983500215552209094, 6330843339294747601, 2**63 - 1]
    fields = dict.fromkeys(("layer", "kind", "status"), "x") | dict.fromkeys(
        ("channel", "steps", "size"), 1
    )
    frame = pd.DataFrame({name: [value] * 3 for name, value in fields.items()} | {"seed": seeds})
    sound, remarks = checked(frame, PairRenderingRow)
    assert sound["seed"].tolist() == seeds
    assert remarks == []
    frame["seed"] = np.array([1, 2**63 + 5, 3], np.uint64)
    sound, remarks = checked(frame, PairRenderingRow)
    assert sound["seed"].tolist() == [1, 3]
    assert len(remarks) == 1
