"""Any number of pictures: each feature is read a few times, and little is held at once."""

import tracemalloc
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from overpaint.comparison import InMemory, compare, tables
from overpaint.comparison.channels import LayerChannels, Pictures
from overpaint.comparison.layers import layer_row, matrix_rows
from overpaint.datasets.catalogue import Picture, dataset_of
from overpaint.datasets.opening import dataset
from overpaint.findings import Sampled
from overpaint.measures import centred, similarity
from overpaint.measures.cka import Grams
from overpaint.networks import build
from overpaint.networks.taps import channels_of
from overpaint.seeds import generator


@dataclass(eq=False)
class Computed:
    """Features [n, p] that are made when they are read, so that no table of them is anywhere."""

    n: int
    p: int
    seed: int
    reads: Counter[int] = field(default_factory=Counter)
    most: int = 0

    @property
    def shape(self):
        return self.n, self.p

    def __getitem__(self, key):
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        numbers = np.atleast_1d(np.arange(self.n)[rows])
        self.reads.update(numbers.tolist())
        base = np.random.default_rng(self.seed).standard_normal((251, self.p), np.float32)
        part = base[numbers % 251, columns] * (1 + (numbers // 251)[:, None] / np.float32(7))
        self.most = max(self.most, part.size)
        return part if isinstance(rows, slice) else part[0]


def split_of(n):
    pictures = [
        Picture(image=f"{row % 7}/{row}", split="train", labels=("abc"[row % 3],), digest=str(row))
        for row in range(n)
    ]
    return dataset_of("many", None, pictures).split("train")


@pytest.fixture
def small_slices(monkeypatch):
    monkeypatch.setattr(centred, "SLICE", 2**16)
    monkeypatch.setattr(similarity, "QUERIES", 64)


@pytest.mark.parametrize(("n", "apart"), [(900, True), (2700, True), (2700, False)])
def test_each_picture_is_read_a_few_times(n, apart, small_slices, monkeypatch):
    """Means twice for the channels, what CKA is of three times; three where both are one. Of few
    pictures the N × N matrices take one look more.
    """
    for module in ("measures.cka", "comparison.layers"):
        monkeypatch.setattr(f"overpaint.{module}.EXACT", 1000)
    of_cka = 4 if n <= 1000 else 3
    networks = [build("inception_small", classes=("a",), seed=seed) for seed in (0, 1)]
    widths = channels_of(networks[0], networks[0].layers)
    sources, groups = [], []
    for network in networks:
        compared, means = (
            {layer: Computed(n, p, len(groups) + p) for layer, p in widths.items()}
            for _ in range(2)
        )
        groups += [(compared, of_cka), (means, 2)] if apart else [(compared, of_cka)]
        means = means if apart else compared
        sources.append(InMemory(network, by_layer=compared, means_by_layer=means))
    tables(*sources, split_of(n), k=9, seed=0)
    for group, looks in groups:
        for features in group.values():
            del features.reads[0]  # the first picture is what the mean is taken about
            assert set(features.reads.values()) == {looks}
            assert len(features.reads) == n - 1
            assert features.most <= 2**16


def peak(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def of_channels(before, after, split):
    pictures = Pictures.of(split)
    return lambda: LayerChannels.of(before, after, pictures, k=9)


def of_a_layer(before, after, _split):
    return lambda: layer_row("x", 0, before, after)


def of_the_matrix(before, after, _split):
    return lambda: matrix_rows({"x": before}, {"x": after})


@pytest.mark.parametrize("work", [of_channels, of_a_layer, of_the_matrix])
def test_memory_hardly_grows_with_the_pictures(work, small_slices):
    """4,000 pictures more take less than an eighth of what their features would, in float64."""
    peaks = []
    for n in (2000, 6000):
        before, after = Computed(n, 256, 0), Computed(n, 256, 1)
        peaks.append(peak(work(before, after, split_of(n))))
    assert peaks[1] - peaks[0] < 4000 * 2 * 256 * 8 / 8


def test_slices_change_no_table(pictures, monkeypatch):
    """Read a few pictures at a time, features give the tables that they give at once."""
    split = dataset(pictures).split("train")
    networks = [build("inception_small", classes=("a",), seed=seed) for seed in (0, 1)]
    whole = compare(*networks, split, k=3)
    monkeypatch.setattr(centred, "SLICE", 700)
    sliced = compare(*networks, split, k=3)
    for name in ("layers", "matrix", "channels", "maximal", "responses"):
        pd.testing.assert_frame_equal(
            getattr(sliced, name), getattr(whole, name), rtol=1e-9, atol=1e-9
        )


def test_a_channel_that_is_no_number_costs_itself_alone(small_slices):
    """NaN in one network takes the channel's images in both, and leaves the others as they were."""
    rng = np.random.default_rng(0)
    before, after = rng.random((2, 3000, 40), np.float32)
    pictures = Pictures.of(split_of(3000))
    whole = LayerChannels.of(before, after, pictures, k=5)
    after[2999, 7] = np.nan
    cut = LayerChannels.of(before, after, pictures, k=5)
    assert cut.statuses[7] == "not_finite"
    for side, other in ((cut.before, whole.before), (cut.after, whole.after)):
        assert len(side.maximal[7]) == 0
        for channel in (0, 6, 8, 39):
            assert np.array_equal(side.maximal[channel], other.maximal[channel])
            assert np.array_equal(side.maxima[channel], other.maxima[channel])
    assert np.isnan(cut.matching.correlation[7])


def test_a_picture_that_stands_twice_counts_once(small_slices):
    """Features of a split with copies give what those without the copies give."""
    rng = np.random.default_rng(0)
    before, after = rng.random((2, 2000, 9), np.float32)
    split = split_of(2000)
    again = [0, 5, 5, 1999]
    rows = np.sort(np.concatenate([np.arange(2000), again]))
    copies = [
        Picture(
            image=f"{split.images[row]}{'~' * int(place)}",
            split="train",
            labels=split.pictures[row].labels,
            digest=str(row),
        )
        for place, row in zip(np.arange(2004) - np.searchsorted(rows, rows), rows, strict=True)
    ]
    pictures = Pictures.of(dataset_of("many", None, copies).split("train"))
    found = LayerChannels.of(before[rows], after[rows], pictures, k=7)
    expected = LayerChannels.of(before, after, Pictures.of(split), k=7)
    for side, other in ((found.before, expected.before), (found.after, expected.after)):
        assert [rows.tolist() for rows in side.maximal] == [rows.tolist() for rows in other.maximal]
    assert np.array_equal(found.matching.correlation, expected.matching.correlation)


def test_findings_hold_only_the_pictures_they_draw(small_slices):
    """Of a large split a thousand rows of each layer are kept, and they are the right ones."""
    layers = [(Computed(3000, 30, 0), Computed(3000, 30, 1))]
    sampled = Sampled.of(layers, seed=3)
    (grams,) = sampled.layers
    rows = np.sort(generator(3, "tried").permutation(3000)[:1000])
    whole = Grams.of(*(np.asarray(table[:, :])[rows] for table in layers[0]))
    assert sampled.n == 3000
    assert np.array_equal(grams.x, whole.x)
    assert np.array_equal(grams.y, whole.y)
