"""Sources: stored features and features in memory are one to a comparison."""

import numpy as np
import pytest

from overpaint.comparison import InMemory, Stored, compare, tables
from overpaint.datasets.opening import dataset
from overpaint.features import FeatureRequest, store_features, stored
from overpaint.networks import build
from overpaint.records import manifest


@pytest.fixture
def split(pictures):
    return dataset(pictures).split("train")


@pytest.fixture
def networks():
    return [build("inception_small", classes=("a",), seed=seed) for seed in (0, 1)]


@pytest.fixture
def groups(tmp_path, networks, split):
    """The features of both networks on the split, each in a group of its own."""
    wanted = [
        FeatureRequest(
            network=network,
            path=tmp_path / f"{number}.zarr",
            arrays=[f"{layer}/{kind}" for layer in network.layers for kind in ("mean", "argmax")],
            manifest=manifest("features", inputs={}, settings={"seed": number}, seed=0),
        )
        for number, network in enumerate(networks)
    ]
    store_features(wanted, split, claims=tmp_path / "claims")
    return [each.path for each in wanted]


def test_stored_features_give_the_tables_of_features_in_memory(networks, groups, split):
    """Every table is the same, but that only stored features know where a channel responded."""
    sources = [
        Stored(network, cka=group, maximal=group)
        for network, group in zip(networks, groups, strict=True)
    ]
    from_disk = tables(*sources, split, compared=split, k=3, seed=0)
    in_memory = compare(*networks, split, k=3, seed=0)
    for name in ("layers", "matrix", "weights", "channels", "responses"):
        assert getattr(from_disk, name).equals(getattr(in_memory, name)), name
    places = ["row", "column"]
    assert from_disk.maximal.drop(columns=places).equals(in_memory.maximal.drop(columns=places))
    assert from_disk.maximal[places].notna().all(axis=None)
    assert in_memory.maximal[places].isna().all(axis=None)


def test_positions_are_read_with_the_width_of_their_map(networks, groups):
    """A position is row × width + column of the layer's map, as it was stored."""
    layer = networks[0].layers[0]
    positions = Stored(networks[0], cka=groups[0], maximal=groups[0]).positions(layer)
    array = stored(groups[0], layer, "argmax")
    assert positions.width == array.attrs["width"]
    assert np.array_equal(positions.flat, array[:])


def test_a_source_in_memory_gives_what_it_was_given(networks):
    """The layers are compared by one thing, and the channels by their means."""
    wide, means = np.ones((2, 9), np.float32), np.zeros((2, 3), np.float32)
    source = InMemory(
        networks[0], by_layer={"x": wide}, means_by_layer={"x": means}, reduction="flattened"
    )
    assert source.compared("x") is wide
    assert source.means("x") is means
    assert source.positions("x") is None
