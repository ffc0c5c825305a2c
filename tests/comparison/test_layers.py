"""The measures by layer: a list, of which a row holds whatever can be computed."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from overpaint.comparison.layers import LAYER_MEASURES, layer_row, matrix_rows
from overpaint.measures.cka import cka_interval
from overpaint.records import LayerRow, column_kinds


def test_every_number_of_a_row_has_one_measure():
    """The list fills each column of numbers of LayerRow once, but those of luck, and names."""
    filled = Counter(column for measure in LAYER_MEASURES for column in measure.columns)
    numbers = {name for name, kind in column_kinds(LayerRow).items() if kind.dtype == "float64"}
    assert filled == Counter(numbers - {"cka_debiased_twins", "beside_luck"} | {"dominant"})


def features(n, p, seed=0):
    return np.random.default_rng(seed).standard_normal((n, p)).astype(np.float32)


@pytest.mark.parametrize(
    ("n", "status", "absent"),
    [
        (1, "all: needs at least 2 images; got 1", {"cka", "procrustes"}),
        (3, ("cka, interval of cka, cka_debiased, cka_permuted: needs at least 4 images; got 3; "
             "interval of cka_debiased: needs at least 5 images; got 3; dominant: needs at least 7 "
             "images; got 3; mutual_neighbours: needs at least 12 images; got 3"),
         {"cka", "cka_low", "cka_debiased", "cka_debiased_low", "mutual_neighbours"}),
        (4, ("interval of cka_debiased: needs at least 5 images; got 4; dominant: needs at least 7 "
             "images; got 4; mutual_neighbours: needs at least 12 images; got 4"),
         {"cka_debiased_low", "mutual_neighbours"}),
        (11, "mutual_neighbours: needs at least 12 images; got 11", {"mutual_neighbours"}),
        (12, "ok", set()),
    ],
)  # fmt: skip
def test_few_images_cost_what_needs_more(n, status, absent):
    """A row says what it lacks and why, and has all the rest."""
    row = layer_row("x", 0, features(n, 3), features(n, 3, seed=1))
    assert row.status == status
    measured = ["cka", "cka_low", "cka_debiased", "cka_debiased_low", "procrustes",
                "mutual_neighbours"]  # fmt: skip
    lacking = {name for name in measured if getattr(row, name) is None}
    assert lacking >= absent
    assert n == 1 or lacking == absent


def test_intervals_are_over_groups():
    """A row tells how many groups its intervals are over, and of one why there are none."""
    before, after = features(40, 3), features(40, 3) + features(40, 3, seed=1)
    painters = [f"painter {n // 4}" for n in range(40)]
    row = layer_row("x", 0, before, after, groups=painters)
    assert (row.cka_low, row.cka_high) == pytest.approx(
        cka_interval(before, after, groups=painters), abs=1e-9
    )
    assert (row.n_images, row.n_groups, row.status) == (40, 10, "ok")
    row = layer_row("x", 0, before, after, groups=["Monet"] * 40)
    assert (row.cka_low, row.n_groups) == (None, 1)
    assert row.cka is not None
    assert row.status.startswith(
        "interval of cka, interval of cka_debiased: an interval over groups"
    )


def test_three_pictures_have_no_matrix():
    """Of fewer than 4 pictures no two layers have a CKA, and each cell says so."""
    rows = matrix_rows({"x": features(3, 2)}, {"x": features(3, 2, seed=1)})
    assert [(row.cka, row.status) for row in rows] == [(None, "needs at least 4 images; got 3")]


def test_a_layer_without_cka_costs_its_own_cells():
    """Constant layers say so in their cells of the table, and all others have their values."""
    rows = matrix_rows({"x": features(20, 3), "dead": np.zeros((20, 2))}, {"y": features(20, 5, 1)})
    assert [row.status for row in rows] == ["ok", "first features are the same for all images"]
    assert rows[0].cka is not None
    assert (rows[1].cka, rows[1].cka_debiased) == (None, None)
    frame = pd.DataFrame(rows)
    assert frame["n_images"].tolist() == [20, 20]
