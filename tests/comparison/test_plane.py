"""The planes of a comparison: whose features, of which pictures, and what is said without them."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from overpaint.comparison import plane
from overpaint.comparison.plane import features_at, plane_table
from overpaint.defaults import NEAREST, NEIGHBOURS
from overpaint.measures.plane import planes
from overpaint.records import PlaneRow, column_kinds


@dataclass
class Given:
    """A network with features of some layers, as a source of a comparison."""

    features: dict[str, np.ndarray]

    @property
    def network(self) -> SimpleNamespace:
        return SimpleNamespace(layers=list(self.features))

    def compared(self, layer: str) -> np.ndarray:
        return self.features[layer]


def given(seed: int, n: int = 40, **widths: int) -> Given:
    draw = np.random.default_rng(seed)
    return Given({layer: draw.standard_normal((n, p)) for layer, p in widths.items()})


def names(n: int) -> list[str]:
    return [f"test/{number:02d}.jpg" for number in range(n)]


def test_the_last_layer_of_each_network_is_laid_out():
    """Two networks without a layer in common have planes too; the table is that of the measure."""
    before, after = given(0, early=5, late=6), given(1, first=4, last=9)
    table, facts = plane_table(before, after, names(40), seed=3)
    made = planes(before.features["late"], after.features["last"], seed=3)
    assert list(table.columns) == list(column_kinds(PlaneRow))
    assert table["image"].tolist() == names(40)
    assert np.array_equal(table[["x_before", "y_before"]], made.before.points)
    assert np.array_equal(table[["x_after", "y_after"]], made.after.points)
    assert np.array_equal(table["kept"], made.kept)
    for column, side in (("nearest_before", made.before), ("nearest_after", made.after)):
        assert table[column].tolist() == [
            [names(40)[at] for at in row[:NEAREST]] for row in side.nearest
        ]
    assert (facts.layer_before, facts.layer_after) == ("late", "last")
    assert (facts.n, facts.of, facts.status) == (40, 40, "ok")
    assert facts.kept == pytest.approx(made.shared)
    assert facts.chance == NEIGHBOURS / 39
    assert (facts.trust_before, facts.trust_after) == (made.before.trust, made.after.trust)


def test_of_many_pictures_a_draw_is_laid_out(monkeypatch):
    """The same one from the same seed, in order, and neighbours are those among the drawn."""
    monkeypatch.setattr(plane, "MOST_MAPPED", 30)
    before, after = given(0, last=6), given(1, last=6)
    table, facts = plane_table(before, after, names(40), seed=0)
    again, _ = plane_table(before, after, names(40), seed=0)
    other, _ = plane_table(before, after, names(40), seed=1)
    assert (facts.n, facts.of, facts.chance) == (30, 40, NEIGHBOURS / 29)
    assert table.equals(again)
    drawn = table["image"].tolist()
    assert drawn == sorted(drawn)
    assert drawn != other["image"].tolist()
    assert {name for near in table["nearest_before"] for name in near} <= {*drawn}


def test_wide_features_lie_as_far_from_each_other(monkeypatch):
    """Flattened maps are brought to as many numbers as there are pictures, distances and all."""
    monkeypatch.setattr(plane, "MOST_MAPPED", 30)
    wide = np.random.default_rng(0).standard_normal((40, 400))
    rows = np.arange(0, 40, 2)
    narrow = features_at(wide, rows)
    assert narrow.shape == (20, 20)
    distances = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in (narrow, wide[rows])]
    ratio = distances[1][~np.eye(20, dtype=bool)] / distances[0][~np.eye(20, dtype=bool)]
    assert np.allclose(ratio, ratio[0])


@pytest.mark.parametrize(
    ("before", "n", "why"),
    [
        (given(0, n=12, last=6), 12, "needs at least 22 images; got 12"),
        (Given({"last": np.ones((40, 3))}), 40, "the same for all images"),
        (Given({"last": np.full((40, 3), np.nan)}), 40, "NaN or infinity"),
    ],
)
def test_without_planes_it_is_said_why(before, n, why):
    """An empty table with its columns, no picture, and the reason."""
    table, facts = plane_table(before, given(1, n=n, last=6), names(n), seed=0)
    assert table.empty
    assert list(table.columns) == list(column_kinds(PlaneRow))
    assert why in facts.status
    assert (facts.n, facts.kept) == (0, None)
