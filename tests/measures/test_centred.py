"""Features about their mean: the same in one piece and in slices, in memory and on disk."""

import numpy as np
import pytest
import zarr

from overpaint.errors import MeasureError
from overpaint.measures import centred
from overpaint.measures.centred import Centred
from overpaint.measures.cka import cka_interval, linear_cka
from overpaint.measures.matrix import cka_matrix
from overpaint.measures.similarity import mutual_neighbours, procrustes

narrow, wide = pytest.param(5, id="narrow"), pytest.param(70, id="wide")


def features(n, p, seed=0):
    return np.random.default_rng(seed).standard_normal((n, p)) * np.arange(1, p + 1) + 100


class Slices:
    """A table that counts how many numbers were asked of it at once."""

    def __init__(self, values):
        self.values, self.shape, self.most = values, values.shape, 0

    def __getitem__(self, key):
        part = self.values[key]
        self.most = max(self.most, part.size)
        return part


@pytest.fixture
def small_slices(monkeypatch):
    monkeypatch.setattr(centred, "SLICE", 90)
    monkeypatch.setattr(centred, "GRAM", 400)


@pytest.mark.parametrize("p", [narrow, wide])
def test_equals_the_formula(p):
    """Values, Gram matrix and sizes are those of features less their mean, over the largest."""
    x = features(30, p)
    found = Centred.of(x)
    expected = (x - x.mean(axis=0)) / np.abs(x - x[0]).max()
    assert found[:, :] == pytest.approx(expected, abs=1e-14)
    assert found.gram == pytest.approx(expected @ expected.T, abs=1e-12)
    assert found.gram_rows(slice(7, 9)) == pytest.approx(found.gram[7:9], abs=1e-12)
    assert found.sizes == pytest.approx((expected**2).sum(axis=1), abs=1e-12)


def everything(x, y):
    """All measures that read features in slices."""
    layers = [cka_matrix({"x": x, "y": y}, {"y": y}, debiased=each).cka for each in (False, True)]
    return np.hstack([
        linear_cka(x, y), linear_cka(x, y, debiased=True), cka_interval(x, y),
        cka_interval(x, y, debiased=True), procrustes(x, y), mutual_neighbours(x, y),
        *(matrix.ravel() for matrix in layers),
    ])  # fmt: skip


@pytest.mark.parametrize("p", [narrow, wide])
def test_slices_change_nothing(p, small_slices, monkeypatch):
    """Every measure of features read a few rows or columns at a time is that of all at once."""
    x = features(40, p)
    y = x[:, : p - 2] + 30 * features(40, p - 2, seed=1)
    sliced = everything(x, y)
    monkeypatch.undo()
    assert sliced == pytest.approx(everything(x, y), abs=1e-10)


@pytest.mark.parametrize("p", [narrow, wide])
def test_little_is_read_at_once(p, small_slices):
    """No measure of one pair asks for more numbers than it may hold; but one row it may."""
    x, y = Slices(features(40, p)), Slices(features(40, p, seed=1))
    linear_cka(x, y)
    procrustes(x, y)
    assert x.most <= 90
    assert y.most <= 90


@pytest.mark.parametrize("p", [narrow, wide])
def test_on_disk(p, tmp_path):
    """Zarr's arrays are read as NumPy's are, whatever their chunks."""
    x, y = features(40, p).astype(np.float32), features(40, p, seed=1).astype(np.float32)
    stored = []
    for name, values in (("x", x), ("y", y)):
        path = tmp_path / f"{name}.zarr"
        stored.append(zarr.create_array(path, data=values, chunks=(16, min(p, 8))))
    assert everything(*stored) == pytest.approx(everything(x, y), abs=1e-12)


def test_columns_are_read_in_whole_chunks(small_slices, tmp_path):
    """No chunk of wide features is decoded twice where two of its columns fit."""
    stored = zarr.create_array(tmp_path / "x.zarr", data=features(20, 43), chunks=(8, 4))
    assert [part.shape[1] for part in Centred.of(stored).by_columns()] == [4] * 10 + [3]


@pytest.mark.parametrize("p", [narrow, wide])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_row_of_what_is_no_number(p, bad, small_slices):
    """NaN and infinity are refused with the first row of theirs, also in a later slice."""
    x = features(40, p)
    x[33, 4] = bad
    with pytest.raises(MeasureError, match="in row 33") as caught:
        Centred.of(x)
    assert caught.value.slug == "not-finite"


def test_equals_is_bit_for_bit():
    """One last bit of one number makes features different."""
    x = features(30, 5)
    moved = x.copy()
    moved[17, 3] = np.nextafter(moved[17, 3], np.inf)
    assert Centred.of(x).equals(Centred.of(x.copy()))
    assert not Centred.of(x).equals(Centred.of(moved))
    assert not Centred.of(x).equals(Centred.of(x[:, :4]))
    whole = np.arange(32.0).reshape(8, 4) ** 2  # its sums are exact in any order
    other = whole[[0, 2, 1, 3, 4, 5, 6, 7]]
    assert np.array_equal(Centred.of(whole).mean, Centred.of(other).mean)
    assert not Centred.of(whole).equals(Centred.of(other))


def test_one_image():
    """There is no deviation from the mean of one image."""
    with pytest.raises(MeasureError) as caught:
        Centred.of(features(1, 5))
    assert caught.value.slug == "too-few-images"
