"""Luck: what a training changed, beside what another seed changes."""

import numpy as np
import pandas as pd
import pytest

from overpaint.comparison.layers import ComparedPictures, LayerSums
from overpaint.comparison.luck import FLOORS, beside, beside_twins
from overpaint.measures.centred import Centred
from overpaint.records import ChannelRow, LayerRow, PictureRow, WeightRow, table
from overpaint.records.files import column_kinds


def test_a_change_beside_luck():
    """It is the quotient of the two changes, and nothing where twins are one and the same."""
    values = beside([0.3, 0.3, 0.0, np.nan], [0.1, 0.0, 0.1, 0.1])
    assert values == pytest.approx([3.0, np.nan, 0.0, np.nan], nan_ok=True)


@pytest.mark.parametrize(
    ("name", "row"),
    [("layers", LayerRow), ("weights", WeightRow), ("channels", ChannelRow),
     ("pictures", PictureRow)],
)  # fmt: skip
def test_every_table_has_the_columns_of_its_floor(name, row):
    """What is divided by what is among the columns of each table, with the quotient."""
    keys, column, _ = FLOORS[name]
    assert {*keys, column, f"{column}_twins", "beside_luck"} <= set(column_kinds(row))


def test_twins_stand_in_the_rows_of_their_layer():
    """Rows keep their order and columns, and one that twins do not have stays empty."""
    layers = pd.DataFrame({
        "layer": ["b", "a", "c"], "cka_debiased": [0.4, 0.9, 0.5], "cka_debiased_twins": np.nan,
        "beside_luck": np.nan, "status": "ok",
    })  # fmt: skip
    twins = pd.DataFrame({"layer": ["a", "b"], "cka_debiased": [0.95, 0.8]})
    joined = beside_twins(layers, twins, "layers")
    assert joined.columns.tolist() == layers.columns.tolist()
    assert joined["layer"].tolist() == ["b", "a", "c"]
    assert joined["cka_debiased_twins"].tolist()[:2] == [0.8, 0.95]
    assert joined["beside_luck"].tolist() == pytest.approx([3.0, 2.0, np.nan], nan_ok=True)


def test_each_picture_has_its_likeness():
    """A picture's likeness is the cosine of its row in both Gram matrices, without itself."""
    rng = np.random.default_rng(0)
    before = rng.standard_normal((30, 5))
    after = before + rng.standard_normal((30, 5))
    after[4] *= -3
    names = [f"{number}.png" for number in range(30)]
    sums = LayerSums(before, after, ComparedPictures.of(30, names=names))
    sums.add(slice(0, 30), before, after)
    rows = sums.pictures_table("x", 2)
    k, g = Centred.of(before).gram, Centred.of(after).gram
    for row in rows.itertuples():
        number = names.index(row.image)
        ours, theirs = np.delete(k[number], number), np.delete(g[number], number)
        cosine = ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs)
        assert row.alike == pytest.approx(cosine, abs=1e-9)
    assert rows["alike"].idxmin() == 4
    assert set(rows["position"]) == {2}


def test_pictures_of_a_constant_layer_have_no_row():
    """Where features are refused no picture has a likeness."""
    sums = LayerSums(np.zeros((8, 2)), np.ones((8, 2)), ComparedPictures.of(8))
    assert sums.pictures_table("x", 0).equals(table([], PictureRow))
