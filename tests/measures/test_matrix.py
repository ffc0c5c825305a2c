"""The matrix of all layers of two networks, cell by cell."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.errors import MeasureError
from overpaint.measures import centred, matrix
from overpaint.measures.cka import linear_cka
from overpaint.measures.matrix import BatchSums, LayerKernels, cka_matrix

laws = settings(deadline=None, max_examples=25, derandomize=True)
both_kinds = pytest.mark.parametrize("debiased", [False, True])


def layers(n, widths, seed=0):
    """Layers that share some of what they say."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((n, 4))
    return {
        f"layer{number}": shared @ rng.standard_normal((4, p)) + rng.standard_normal((n, p))
        for number, p in enumerate(widths)
    }


@both_kinds
@pytest.mark.parametrize("grams", [False, True])
@pytest.mark.parametrize(("n", "together"), [(30, 4096), (30, 10)])
def test_each_cell_is_its_pair(n, together, grams, debiased, monkeypatch):
    """By either way, in blocks or at once, a cell is the CKA of its two layers."""
    monkeypatch.setattr(matrix, "_grams_are_cheaper", lambda *_: grams)
    monkeypatch.setattr(matrix, "TOGETHER", together)
    if together == 10:
        monkeypatch.setattr(centred, "GRAM", 2000)
        monkeypatch.setattr(centred, "SLICE", 100)
    before, after = layers(n, [3, 7, 40, 5]), layers(n, [6, 50, 2], seed=1)
    found = cka_matrix(before, after, debiased=debiased)
    assert (found.before, found.after) == (tuple(before), tuple(after))
    expected = [[linear_cka(x, y, debiased=debiased) for y in after.values()]
                for x in before.values()]  # fmt: skip
    assert found.cka == pytest.approx(np.array(expected), abs=1e-12)
    assert all(status == "ok" for row in found.status for status in row)


def test_the_cheaper_way():
    """Many images of few channels go by the features, few images of many channels by Grams."""
    few, many = ({0: centred.Centred.of(x)} for x in np.split(np.eye(200), [20]))
    tall = {0: centred.Centred.of(np.eye(200, 20))}
    assert matrix._grams_are_cheaper(few, few)
    assert not matrix._grams_are_cheaper(tall, tall)
    assert many[0].wide


@both_kinds
@laws
@given(seed=st.integers(0, 10**6))
def test_laws(debiased, seed):
    """Symmetric with the networks in the other order, 1 for a layer with itself, blind to order."""
    before, after = layers(20, [3, 30, 8], seed), layers(20, [12, 5], seed + 1)
    there = cka_matrix(before, after, debiased=debiased).cka
    back = cka_matrix(after, before, debiased=debiased).cka
    assert there == pytest.approx(back.T, abs=1e-12)
    own = cka_matrix(before, before, debiased=debiased).cka
    assert np.diag(own) == pytest.approx(1, abs=1e-12)
    assert (np.abs(own) <= 1).all()
    order = np.random.default_rng(seed).permutation(20)
    moved = [{name: x[order] for name, x in side.items()} for side in (before, after)]
    assert cka_matrix(*moved, debiased=debiased).cka == pytest.approx(there, abs=1e-12)


@both_kinds
def test_a_layer_without_cka_costs_its_own_cells(debiased):
    """Constant and infinite layers say why in their cells; all others have their values."""
    before, after = layers(12, [3, 20, 5]), layers(12, [4, 6], seed=1)
    whole = cka_matrix(before, after, debiased=debiased).cka
    before["layer1"][:] = 7
    after["layer0"][3, 1] = np.inf
    found = cka_matrix(before, after, debiased=debiased)
    assert found.cka[[0, 2], 1] == pytest.approx(whole[[0, 2], 1], abs=1e-12)
    assert np.isnan(found.cka[1]).all()
    assert np.isnan(found.cka[:, 0]).all()
    assert [row[1] == "ok" for row in found.status] == [True, False, True]
    assert "the same for all images" in found.status[1][1]
    assert "row 3" in found.status[0][0]


def test_degenerate_layers():
    """A layer in which one image alone differs has a biased value and no debiased one."""
    before = {"one": np.eye(8)[:, :1], "many": np.random.default_rng(0).standard_normal((8, 3))}
    kernels = LayerKernels.of(before, before)
    assert not np.isnan(kernels.cka().cka).any()
    debiased = kernels.cka(debiased=True)
    assert np.isnan(debiased.cka).tolist() == [[True, True], [True, False]]
    assert "0/0" in debiased.status[0][1]


@pytest.mark.parametrize(("n", "debiased"), [(1, False), (3, True)])
def test_too_few_images(n, debiased):
    """Too few images are told in every cell."""
    before = layers(n, [3, 4])
    found = cka_matrix(before, before, debiased=debiased)
    assert np.isnan(found.cka).all()
    assert all("images; got" in status for row in found.status for status in row)


def test_different_images():
    """Layers of different images are refused."""
    with pytest.raises(MeasureError) as caught:
        cka_matrix(layers(8, [3]), layers(9, [3]))
    assert caught.value.slug == "images-differ"


def test_no_layers():
    """A network without layers has an empty row or column of them."""
    assert cka_matrix({}, layers(8, [3])).cka.shape == (0, 1)
    assert cka_matrix(layers(8, [3]), {}).cka.shape == (1, 0)


# --- batch by batch ------------------------------------------------------------------------------


def grams(side, rows):
    return {name: centred_gram(x[rows]) for name, x in side.items()}


def centred_gram(x):
    about = x - x.mean(axis=0)
    return about @ about.T


def in_batches(before, after, batches):
    parts = [BatchSums.of(grams(before, rows), grams(after, rows)) for rows in batches]
    return sum(parts, BatchSums.empty())


def slow_batch_cka(x, y, batches):
    """From its definition: the sum over all ordered fours of images within batches."""

    def hsic(u, v):
        total = 0.0
        for rows in batches:
            k, g = u[rows] @ u[rows].T, v[rows] @ v[rows].T
            for i, j, q, r in permutations(range(len(k)), 4):
                total += k[i, j] * (g[i, j] + g[q, r] - 2 * g[i, q])
        return total

    return hsic(x, y) / (hsic(x, x) * hsic(y, y)) ** 0.5


BATCHES = ([0, 1, 2, 3, 4, 5], [6, 7, 8, 9], [10, 11, 12, 13, 14], [15], [16, 17, 18])


def test_batches_equal_their_definition():
    """Batches of unequal sizes give the mean over all fours of images that stood in one batch."""
    before, after = layers(19, [3, 8]), layers(19, [4], seed=1)
    total = in_batches(before, after, BATCHES)
    assert (total.n_images, total.n_unused) == (19, 4)
    for row, x in enumerate(before.values()):
        expected = slow_batch_cka(x, after["layer0"], BATCHES)
        assert total.result().cka[row, 0] == pytest.approx(expected, rel=1e-10)


def test_one_batch_is_the_debiased_matrix():
    """All images in one batch are compared all with all."""
    before, after = layers(20, [3, 30]), layers(20, [4, 9], seed=1)
    found = in_batches(before, after, [range(20)]).result()
    assert found.cka == pytest.approx(cka_matrix(before, after, debiased=True).cka, abs=1e-12)


def test_the_order_of_batches_does_not_matter():
    """Batches add up in any order and grouping, and none are neutral."""
    before, after = layers(19, [3, 8]), layers(19, [4], seed=1)
    parts = [in_batches(before, after, [rows]) for rows in BATCHES]
    one = sum(parts, BatchSums.empty()).result().cka
    other = (parts[4] + parts[1]) + (parts[3] + (parts[0] + parts[2]))
    assert other.result().cka == pytest.approx(one, abs=1e-13)


def test_a_constant_layer_in_batches():
    """A layer that says the same of all images costs its own cells, batch by batch as well."""
    before, after = layers(12, [3, 5]), layers(12, [4], seed=1)
    before["layer1"][:] = 0
    found = in_batches(before, after, [range(6), range(6, 12)]).result()
    assert np.isnan(found.cka).tolist() == [[False], [True]]
    assert found.status[0] == ["ok"]
    assert "0/0" in found.status[1][0]


def test_an_infinite_layer_in_batches():
    """One batch with NaN in a layer costs that layer, not the others."""
    before, after = layers(12, [3, 5]), layers(12, [4], seed=1)
    before["layer0"][8, 0] = np.nan
    found = in_batches(before, after, [range(6), range(6, 12)]).result()
    assert np.isnan(found.cka).tolist() == [[True], [False]]
    assert "NaN or infinity" in found.status[0][0]


def test_batch_errors():
    """No batch of four, other layers, other images: refused."""
    side = layers(12, [3])
    with pytest.raises(MeasureError) as caught:
        in_batches(side, side, [range(3), range(3, 6)]).result()
    assert caught.value.slug == "too-few-images"
    with pytest.raises(MeasureError) as caught:
        in_batches(side, side, [range(5)]) + in_batches(layers(12, [3, 4]), side, [range(5)])
    assert caught.value.slug == "layers-differ"
    with pytest.raises(MeasureError) as caught:
        BatchSums.of(grams(side, range(5)), grams(side, range(6)))
    assert caught.value.slug == "images-differ"
