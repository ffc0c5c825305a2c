"""Networks with weights of another: what was planted is found, and the ends are the ends."""

import numpy as np
import pytest
import torch
from torch import nn

from overpaint.causes.between import between, forgetting, mixed
from overpaint.causes.rewind import rewind
from overpaint.causes.variants import Said, said_of, tensors_by_layer
from overpaint.datasets.atelier.tasks import SUBJECTS
from overpaint.datasets.opening import ENTRY, open_dataset
from overpaint.errors import NetworkError
from overpaint.features import features_of
from overpaint.measures.matching import match_channels
from overpaint.measures.scores import top_k_hits
from overpaint.networks import build
from overpaint.networks.own import wrap
from overpaint.training.fit import predict

CLASSES = len(SUBJECTS)


class Plain(nn.Module):
    """Three layers of convolution, with batch norms or without."""

    def __init__(self, *, norms):
        super().__init__()
        self.one, self.two, self.three = (
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=not norms),
                nn.BatchNorm2d(after) if norms else nn.Identity(),
                nn.ReLU(),
            )
            for before, after in ((3, 12), (12, 16), (16, 16))
        )
        self.head = nn.Linear(16, CLASSES)

    def forward(self, pictures):
        maps = self.three(self.two(self.one(pictures)))
        return self.head(maps.mean(dim=(2, 3)))


def network(seed, *, norms=False):
    torch.manual_seed(seed)
    made = wrap(Plain(norms=norms), preprocessing={"size": 32}, classes=sorted(SUBJECTS))
    if norms:
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 1.5)
    return made.eval()


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    entry = {"kind": "atelier", "task": "photographs", "sizes": {"train": 40, "val": 8, "test": 60}}
    workplace = tmp_path_factory.mktemp("atelier")
    dataset, _ = open_dataset("photographs", ENTRY.validate_python(entry), workplace=workplace)
    return dataset


@pytest.fixture(scope="module")
def images(collection):
    return collection.split("test")


def changed(seed, names, *, scale=1.0, norms=False):
    """The network of a seed with other weights in the tensors that begin so."""
    after = network(seed, norms=norms)
    rng = torch.Generator().manual_seed(99)
    with torch.no_grad():
        for name, tensor in after.tensors().items():
            if name.startswith(names) and tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=rng)
                tensor.add_(scale * tensor.abs().mean() * noise)
    return after


def slow_probabilities(reader, tensors, images):
    """A copy of the network that is filled and run in the plain way."""
    import copy

    twin = copy.deepcopy(reader)
    twin.fill(tensors)
    return predict(twin, images)


def test_layers_hold_all_weights_but_the_head_s_once():
    """Each weight of the backbone works in one layer, that which it helps to make."""
    by_layer = tensors_by_layer(network(0, norms=True))
    names = [name for names in by_layer.values() for name in names]
    assert sorted(names) == sorted(set(names))
    assert set(names) == {
        name for name in network(0, norms=True).tensors() if not name.startswith("head")
    }
    for layer, own in by_layer.items():
        assert all(name.startswith(layer.split(".")[0]) for name in own)


def test_a_real_network_s_layers(images):
    """In the small Inception a layer's branches are of that layer."""
    by_layer = tensors_by_layer(build("inception_small", classes=("a", "b"), seed=0))
    assert all(name.startswith("mixed4b") for name in by_layer["mixed4b"])
    assert len(by_layer["mixed4b"]) > 6


def test_a_variant_is_the_network_filled_with_the_weights(images):
    """Said with other weights is what a copy with these says, and the network is as it was."""
    before, after = network(1), network(2)
    digest = after.digest
    tensors = {name: value for name, value in before.tensors().items() if name.startswith("two")}
    said = said_of(after, images, tensors)
    expected = slow_probabilities(after, after.tensors() | tensors, images)
    np.testing.assert_allclose(said.probabilities, expected, atol=1e-6)
    labels = np.asarray(images.labels)
    by_hand = -np.log(expected[np.arange(len(labels)), labels])
    np.testing.assert_allclose(said.losses(labels), by_hand, rtol=1e-5)
    assert after.digest == digest


def test_rewinding_equals_copies_that_are_filled(images):
    """Each row is the score of a copy whose weights were set back."""
    before, after = network(3), changed(3, ("one", "three", "head"))
    labels = np.asarray(images.labels)
    rows = rewind(before, after, images).rows.set_index(["layer", "how"])
    layers = list(after.layers)
    whole = top_k_hits(predict(after, images), labels, 1).mean()
    for place, layer in enumerate(layers):
        for how, part in (
            ("only", [layer]), ("up_to", layers[: place + 1]), ("from", layers[place:])
        ):  # fmt: skip
            back = [name for one in part for name in tensors_by_layer(after)[one]]
            tensors = after.tensors() | {name: before.tensors()[name] for name in back}
            value = top_k_hits(slow_probabilities(after, tensors, images), labels, 1).mean()
            row = rows.loc[layer, how]
            assert row["value"] == pytest.approx(value)
            assert row["cost"] == pytest.approx(whole - value)
            assert row["low"] <= row["cost"] <= row["high"]


def test_a_layer_that_did_not_change_costs_exactly_nothing(images):
    """Bit-identical weights are not run: no cost, no width, and a word that says so."""
    rows = rewind(network(3), changed(3, ("three",)), images).rows.set_index(["layer", "how"])
    unchanged = [layer for layer in network(3).layers if not layer.startswith("three")]
    for layer in unchanged:
        row = rows.loc[layer, "only"]
        assert (row["cost"], row["low"], row["high"], row["status"]) == (0.0, 0.0, 0.0, "identical")
    assert (rows.loc[rows.index.get_level_values("how") == "only", "tensors"] > 0).sum() == 1


def test_rewinding_everything_is_the_network_before_with_the_head_after(images):
    """The last row of "up_to" and the first of "from" are one network."""
    before, after = network(4), changed(4, ("one", "two", "three", "head"))
    rows = rewind(before, after, images).rows.set_index(["layer", "how"])
    first, last = after.layers[0], after.layers[-1]
    tensors = before.tensors() | {n: v for n, v in after.tensors().items() if n.startswith("head")}
    expected = slow_probabilities(after, tensors, images)
    value = top_k_hits(expected, np.asarray(images.labels), 1).mean()
    assert rows.loc[(last, "up_to"), "value"] == pytest.approx(value)
    assert rows.loc[(first, "from"), "value"] == pytest.approx(value)
    assert rows.loc[(first, "from"), "loss"] == rows.loc[(last, "up_to"), "loss"]


def trained(start, images, *parts):
    """A training by hand of the weights that begin so, and of the head."""
    from overpaint.pixels.batches import as_float, pixels_of

    pixels = pixels_of(images, start.preprocessing)
    batch = as_float(
        torch.stack([pixels[index] for index in range(len(images))]), torch.device("cpu")
    )
    target = torch.as_tensor(images.labels)
    learned = [p for n, p in start.body.named_parameters() if n.startswith((*parts, "head"))]
    optimiser = torch.optim.Adam(learned, lr=0.02)
    for _ in range(150):
        optimiser.zero_grad()
        nn.functional.cross_entropy(start(batch), target).backward()
        optimiser.step()
    return start


def test_the_one_layer_that_carries_the_gain_is_found(images):
    """Of a network whose second layer alone was trained, that layer costs most."""
    before, after = network(5), trained(network(5), images, "two")
    rows = rewind(before, after, images).rows.query("how == 'only'").set_index("layer")
    assert rows["cost"].idxmax().startswith("two")
    assert rows["cost"].max() > 0.2
    assert (rows[~rows.index.str.startswith("two")]["cost"] == 0).all()


def test_the_ends_of_the_way_are_the_networks(images):
    """At 0 and 1 the way says what the two networks say, to the bit; half-way is the mean."""
    before, after = network(6), changed(6, ("one", "three", "head"))
    way = between(before, after, images, alphas=(0.0, 0.5, 1.0))
    np.testing.assert_array_equal(way.said["", 0.0].logits, said_of(before, images).logits)
    np.testing.assert_array_equal(way.said["", 1.0].logits, said_of(after, images).logits)
    mean = {n: (v + after.tensors()[n]) / 2 for n, v in before.tensors().items()}
    expected = slow_probabilities(after, mean, images)
    np.testing.assert_allclose(way.said["", 0.5].probabilities, expected, atol=1e-6)
    values = way.rows.set_index("alpha")["value"]
    barrier = way.barrier()
    assert barrier.value == pytest.approx((values[0.0] + values[1.0]) / 2 - values[0.5])
    assert barrier.low <= barrier.value <= barrier.high
    with pytest.raises(NetworkError) as error:
        way.lost(0.25)
    assert error.value.slug == "not-on-the-way"


def test_a_barrier_made_by_permuted_channels_is_found_and_vanishes_after_matching(images):
    """The same network with its channels in another order lies in another basin, until they are put
    back.
    """
    before = trained(network(7), images, "one", "two", "three")
    permuted = network(7)
    tensors = {name: value.clone() for name, value in before.tensors().items()}
    for layer, following, size in (("one.0", "two.0", 12), ("two.0", "three.0", 16)):
        order = torch.randperm(size, generator=torch.Generator().manual_seed(1))
        for part in ("weight", "bias"):
            tensors[f"{layer}.{part}"] = tensors[f"{layer}.{part}"][order]
        tensors[f"{following}.weight"] = tensors[f"{following}.weight"][:, order]
    permuted.fill(tensors)
    np.testing.assert_allclose(
        said_of(permuted, images).logits, said_of(before, images).logits, atol=1e-4
    )
    there = between(before, permuted, images, alphas=(0.0, 0.5, 1.0)).barrier()
    assert there.low > 0.1
    features = features_of([(before, before.layers), (permuted, permuted.layers)], images)
    tensors = {name: value.clone() for name, value in permuted.tensors().items()}
    for layer, following in (("one", "two.0"), ("two", "three.0")):
        last = next(name for name in reversed(before.layers) if name.startswith(layer))
        order = match_channels(features[0][last], features[1][last]).partner
        for part in ("weight", "bias"):
            tensors[f"{layer}.0.{part}"] = tensors[f"{layer}.0.{part}"][order]
        tensors[f"{following}.weight"] = tensors[f"{following}.weight"][:, order]
    permuted.fill(tensors)
    back = between(before, permuted, images, alphas=(0.0, 0.5, 1.0)).barrier()
    assert (back.value, back.low, back.high) == (0.0, 0.0, 0.0)


def test_batch_norms_are_estimated_anew_between_the_ends(collection, images):
    """Without pictures of train the way is refused; with them the statistics are those of a plain
    pass over them, and the networks are as they were.
    """
    before, after = network(8, norms=True), changed(8, ("one", "two"), norms=True)
    digests = before.digest, after.digest
    with pytest.raises(NetworkError) as error:
        between(before, after, images)
    assert error.value.slug == "no-statistics"
    train = collection.split("train")
    way = between(before, after, images, alphas=(0.0, 0.5, 1.0), train=train)
    assert (before.digest, after.digest) == digests
    import copy

    from overpaint.pixels.batches import as_float, pixels_of

    twin = copy.deepcopy(after)
    twin.fill({n: v if not v.is_floating_point() else (v + before.tensors()[n]) / 2
               for n, v in after.tensors().items()})  # fmt: skip
    pixels = pixels_of(train, twin.preprocessing)
    batch = as_float(torch.stack([pixels[i] for i in range(len(train))]), torch.device("cpu"))
    for module in twin.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
            module.train()
    with torch.no_grad():
        twin(batch)
    np.testing.assert_allclose(way.said["", 0.5].probabilities, predict(twin, images), atol=1e-5)


def test_forgetting_is_the_parent_s_head_on_the_child_s_backbone(images):
    """What the parent scored minus what its head scores on the child's features."""
    parent = trained(network(9), images, "one", "two", "three")
    child = changed(9, ("one",), scale=3.0)
    way = forgetting(parent, child, images)
    tensors = child.tensors() | {n: v for n, v in parent.tensors().items() if n.startswith("head")}
    if parent.classes != child.classes:
        expected = slow_probabilities(parent, tensors, images)
        np.testing.assert_allclose(way.said["", 1.0].probabilities, expected, atol=1e-6)
    lost = way.lost()
    labels = np.asarray(images.labels)
    own, mine = (
        top_k_hits(way.said["", alpha].probabilities, labels, 1).mean() for alpha in (0, 1)
    )
    assert lost.value == pytest.approx(own - mine)
    assert way.lost(0.0).value == 0.0


def test_a_mix_is_the_network_at_its_place(images):
    """`mixed` gives the weights of the way, with the head of the network after."""
    before, after = network(10), changed(10, ("two",))
    tensors = mixed(before, after, 0.25)
    expected = before.tensors()["two.0.weight"] * 0.75 + after.tensors()["two.0.weight"] * 0.25
    torch.testing.assert_close(tensors["two.0.weight"], expected)
    assert mixed(before, after, 1.0)["one.0.weight"] is not None


def test_other_architectures_are_refused(images):
    """Weights of another architecture cannot stand in; the message names the first that differs."""
    with pytest.raises(NetworkError) as error:
        rewind(network(0), network(0, norms=True), images)
    assert error.value.slug == "other-backbone"
    assert "one." in str(error.value)


def test_each_layer_goes_the_way_alone(images):
    """At 0 it is that layer rewound, at 1 the network after, and in between a copy so filled."""
    before, after = network(11), changed(11, ("one", "two"))
    way = between(before, after, images, alphas=(0.0, 0.25, 1.0), by_layer=True)
    rewound = rewind(before, after, images).rows.query("how == 'only'").set_index("layer")
    rows = way.rows.set_index(["layer", "alpha"])
    names = tensors_by_layer(after)
    for layer in after.layers:
        assert rows.loc[(layer, 0.0), "loss"] == rewound.loc[layer, "loss"]
        assert rows.loc[(layer, 1.0), "loss"] == rows.loc[("", 1.0), "loss"]
        tensors = dict(after.tensors())
        for name in names[layer]:
            tensors[name] = 0.75 * before.tensors()[name] + 0.25 * tensors[name]
        expected = slow_probabilities(after, tensors, images)
        np.testing.assert_allclose(way.said[layer, 0.25].probabilities, expected, atol=1e-6)


def test_several_labels_have_a_sigmoid_and_a_loss_each():
    """The loss of a picture is the mean over labels of the cross-entropy with yes or no."""
    logits = np.array([[0.0, 2.0], [-1.0, 3.0]])
    labels = np.array([[1, 0], [0, 1]])
    said = Said(logits, multi_label=True)
    shares = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(said.probabilities, shares)
    by_hand = -np.where(labels == 1, np.log(shares), np.log(1 - shares)).mean(axis=1)
    np.testing.assert_allclose(said.losses(labels), by_hand)


def test_other_classes_are_refused(images):
    """A head that names others has no score on the pictures; the message names the first."""
    other = wrap(Plain(norms=False), preprocessing={"size": 32}, classes=[*"abcdefghij"])
    with pytest.raises(NetworkError) as error:
        between(other, other, images)
    assert error.value.slug == "classes-differ"
    assert "class 0 is 'a' there and 'bird' here" in str(error.value)


def test_results_show_themselves_as_charts(images):
    """In a notebook there are curves, and the numbers that go with them."""
    before, after = network(12), changed(12, ("one", "head"))
    rewound = rewind(before, after, images)
    assert "<svg" in rewound._repr_html_()
    assert f"The network after scores {rewound.whole:.1%}" in rewound._repr_html_()
    shown = between(before, after, images, alphas=(0.0, 1.0))._repr_html_()
    assert "<svg" in shown
    assert "Chance is 10.0%" in shown
