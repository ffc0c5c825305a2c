"""Where other tools give wrong likenesses: each of their defects, and that it is not ours.

T is torch_cka, K ckatorch, A anatome; of these, what has to do with taps alone stands in
`tests/test_taps.py`: a layer called twice or never (T5), hooks left behind, also by an exception
inside the forward (T7). Maximal images have their own: `tests/measures/test_maximal.py`.
"""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from overpaint.comparison.layers import layer_row
from overpaint.datasets.opening import dataset
from overpaint.features import features_of
from overpaint.measures.centred import Centred
from overpaint.measures.cka import linear_cka
from overpaint.measures.matrix import BatchSums, cka_matrix
from overpaint.measures.mergeable import CkaSums
from overpaint.networks import Network, build
from overpaint.networks.parts import Parts, Preprocessing
from overpaint.networks.taps import gram, spatial_mean, taps

both_kinds = pytest.mark.parametrize("debiased", [False, True])


class Tricky(nn.Module):
    """Registers a before b and runs b before a; the ReLU changes b's output in place."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(6, 4, 3), nn.Conv2d(3, 6, 3)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.a(self.relu(self.b(x))).mean((2, 3)))


def tricky(seed=0):
    torch.manual_seed(seed)
    plain = Preprocessing(8, 8, mean=(0, 0, 0), std=(1, 1, 1))
    return Network("tricky", Parts(Tricky(), ("b", "a"), "head", plain), ("x", "y"))


def images(count, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 8, 8, generator=draw) + torch.rand(count, 3, 1, 1, generator=draw)


def seen(network, pictures, batch=32, layers=("b", "a"), reduction=spatial_mean):
    with torch.inference_mode(), taps(network, layers, reduction=reduction) as tap:
        parts = [tap(part) for part in pictures.split(batch)]
    return {layer: torch.cat([part[layer] for part in parts]).numpy() for layer in layers}


def in_batches(one, two, pictures, batch):
    total = BatchSums.empty()
    with (
        torch.inference_mode(),
        taps(one, ("b", "a"), reduction=gram) as first,
        taps(two, ("b", "a"), reduction=gram) as second,
    ):
        for part in pictures.split(batch):
            total += BatchSums.of(first(part), second(part))
    return total


@pytest.mark.parametrize("layers", [("b", "a"), ("a", "b")])
def test_t1_rows_carry_the_right_name(layers):
    """Execution order is not registration order, and each row is of the layer that it names."""
    one, two, pictures = tricky(0), tricky(1), images(40)
    found = cka_matrix(seen(one, pictures, layers=layers), seen(two, pictures, layers=layers))
    maps = [network.body.b(pictures) for network in (one, two)]
    b = [values.mean((2, 3)).detach().numpy() for values in maps]
    assert (found.before, found.after) == (layers, layers)
    place = layers.index("b")
    assert found.cka[place, place] == pytest.approx(linear_cka(*b), abs=1e-6)
    assert found.cka[place, place] != pytest.approx(found.cka[1 - place, 1 - place], abs=0.01)


def test_t2_an_in_place_relu_does_not_reach_back():
    """The CKA of a convolution is of what it gave, not of what the ReLU behind it made of that."""
    one, two, pictures = tricky(0), tricky(1), images(40)
    for network in (one, two):
        network.body.b.bias.data -= 0.5  # so that the ReLU has something to do
    plain, positive = (
        [make(network.body.b(pictures)).detach().flatten(1).numpy() for network in (one, two)]
        for make in (torch.clone, torch.relu)
    )
    found = in_batches(one, two, pictures, 40).result().cka[0, 0]
    assert found == pytest.approx(linear_cka(*plain, debiased=True), abs=1e-6)
    assert abs(found - linear_cka(*positive, debiased=True)) > 1e-3


@both_kinds
def test_t3_shuffled_images_are_the_same_for_both(debiased):
    """A network is wholly like itself, and two keep their likeness, in whatever order."""
    one, two, pictures = tricky(0), tricky(1), images(67)
    order = torch.randperm(67, generator=torch.Generator().manual_seed(3))
    own = cka_matrix(seen(one, pictures[order]), seen(one, pictures[order]), debiased=debiased)
    assert np.diag(own.cka) == pytest.approx(1, abs=1e-12)
    plain, shuffled = (
        cka_matrix(seen(one, each), seen(two, each), debiased=debiased).cka
        for each in (pictures, pictures[order])
    )
    assert shuffled == pytest.approx(plain, abs=1e-6)


@both_kinds
@pytest.mark.parametrize("last", [1, 2, 3])
def test_t4_a_ragged_last_batch(last, debiased):
    """A last batch of 1, 2 or 3 counts like any other image: the value is that of one batch."""
    one, two, pictures = tricky(0), tricky(1), images(64 + last)
    ragged, whole = (
        cka_matrix(seen(one, pictures, batch), seen(two, pictures, batch), debiased=debiased).cka
        for batch in (32, 100)
    )
    assert ragged == pytest.approx(whole, abs=1e-6)
    shard = CkaSums.empty()
    for x, y in zip(
        torch.tensor(seen(one, pictures)["a"]).split(32),
        torch.tensor(seen(two, pictures)["a"]).split(32),
        strict=True,
    ):
        shard += CkaSums.of(x.numpy(), y.numpy())
    assert shard.result(debiased=debiased) == pytest.approx(whole[1, 1], abs=1e-6)


@pytest.mark.parametrize("last", [1, 2, 3])
def test_t4_a_ragged_last_batch_of_whole_maps(last):
    """Where only images of one batch are compared, it holds no four images, and is told."""
    one, two, pictures = tricky(0), tricky(1), images(64 + last)
    ragged = in_batches(one, two, pictures, 32)
    assert (ragged.n_images, ragged.n_unused) == (64 + last, last)
    expected = in_batches(one, two, pictures[:64], 32).result().cka
    assert ragged.result().cka == pytest.approx(expected, abs=1e-12)


def test_t5_a_layer_that_says_nothing_costs_its_own_cells():
    """One dead layer does not lose the matrix."""
    one, two, pictures = tricky(0), tricky(1), images(40)
    whole = cka_matrix(seen(one, pictures), seen(two, pictures)).cka
    before = seen(one, pictures) | {"aux": np.zeros((40, 7), np.float32)}
    found = cka_matrix(before, seen(two, pictures))
    assert found.cka[:2] == pytest.approx(whole, abs=1e-12)
    assert all("the same for all images" in status for status in found.status[2])


@both_kinds
@pytest.mark.parametrize("offset", [0, 10, 100, 1e3, 1e4, 1e5])
def test_t6_offset(offset, debiased):
    """Also thingsvision's and platonic's: an offset of the features changes none of six digits."""
    old = np.random.RandomState(1337)
    x = old.randn(100, 10)
    y = old.randn(100, 10) + x
    value = linear_cka(x + offset, y + offset, debiased=debiased)
    assert value == pytest.approx(0.51346 if debiased else 0.55761, abs=1e-5)
    assert f"{value:.6f}" == f"{linear_cka(x, y, debiased=debiased):.6f}"


@pytest.mark.parametrize("offset", [0, 10, 1e3, 1e5])
def test_t6_offset_of_whole_maps(offset):
    """The Gram matrix inside a tap is that of the very float32 numbers, whatever their offset."""
    maps = torch.rand(9, 5, 6, 6, generator=torch.Generator().manual_seed(0)) + offset
    exact = maps.flatten(1).double().numpy() - offset
    exact -= exact.mean(axis=0)
    for layout in (torch.contiguous_format, torch.channels_last):
        found = gram(maps.contiguous(memory_format=layout)).numpy()
        assert found == pytest.approx(exact @ exact.T, abs=1e-9)


def test_t7_the_network_can_be_copied_afterwards():
    """Nothing of the measuring stays in the network."""
    network = tricky()
    seen(network, images(10))
    deepcopy(network)
    assert not any(module._forward_hooks for module in network.modules())


def test_t8_no_graph_is_kept(pictures):
    """Features are read without gradients, so no activation outlives its batch."""
    network, enabled = build("inception_small", classes=("a", "b"), seed=0), []
    network.body.conv2d1.register_forward_hook(lambda *_: enabled.append(torch.is_grad_enabled()))
    features_of([(network, ["conv2d1"])], dataset(pictures).split("test"))
    assert enabled
    assert not any(enabled)


def test_t9_each_gram_matrix_is_made_once(monkeypatch):
    """L + M of them for L × M cells."""
    made, own = [], Centred.gram_rows
    monkeypatch.setattr(Centred, "gram_rows", lambda x, rows: made.append(1) or own(x, rows))
    draw = np.random.default_rng(0)
    before, after = ({n: draw.standard_normal((20, 50)) for n in range(count)} for count in (5, 7))
    assert cka_matrix(before, after).cka.shape == (5, 7)
    assert len(made) == 12


def test_t10_small_batches_of_near_identical_images():
    """Batches of 5, whose HSIC may be negative one by one, give finite numbers all the same."""
    draw = np.random.default_rng(0)
    for _ in range(200):
        x = draw.standard_normal((1, 30)) + 1e-3 * draw.standard_normal((5, 30))
        grams = {"x": Centred.of(x).gram}
        assert BatchSums.of(grams, grams).result().cka[0, 0] == pytest.approx(1, abs=1e-9)


@both_kinds
def test_k1_no_batch_overwrites_another(debiased):
    """Two batches give the value of all images, which is that of neither."""
    x, y = np.random.default_rng(0).standard_normal((2, 60, 5))
    parts = [CkaSums.of(x[rows], y[rows]) for rows in (slice(30), slice(30, 60))]
    value = sum(parts, CkaSums.empty()).result(debiased=debiased)
    assert value == pytest.approx(linear_cka(x, y, debiased=debiased), abs=1e-12)
    assert all(abs(value - part.result(debiased=debiased)) > 1e-3 for part in parts)


@pytest.mark.parametrize("shape", [(4, 6, 6), (7, 5), (9,)])
def test_k2_maps_tokens_and_vectors(shape):
    """CKA is over images, whatever a layer gives of each."""
    values = torch.rand(12, *shape, generator=torch.Generator().manual_seed(0))
    flat = values.flatten(1).double().numpy()
    assert np.allclose(gram(values), Centred.of(flat).gram * Centred.of(flat).largest ** 2)
    means = spatial_mean(values).numpy()
    assert means.shape == (12, {3: 4, 2: 5, 1: 9}[len(shape)])
    assert linear_cka(means, means) == 1


@both_kinds
def test_a1_permuted_channels_are_the_same(debiased):
    """The same weights with their channels in another order have CKA 1, means or whole maps."""
    one = tricky()
    two, order = deepcopy(one), torch.randperm(6, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        two.body.b.weight[:], two.body.b.bias[:] = one.body.b.weight[order], one.body.b.bias[order]
        two.body.a.weight[:] = one.body.a.weight[:, order]
    pictures = images(40)
    found = cka_matrix(seen(one, pictures), seen(two, pictures), debiased=debiased).cka
    assert np.diag(found) == pytest.approx(1, abs=1e-6)
    assert np.diag(in_batches(one, two, pictures, 10).result().cka) == pytest.approx(1, abs=1e-6)


@both_kinds
@pytest.mark.parametrize("scale", [1e-3, 1e-9, 1e9])
def test_scale(scale, debiased):
    """platonic's: no constant in a denominator makes small features less alike."""
    x, y = np.random.default_rng(0).standard_normal((2, 60, 5))
    value = linear_cka(x * scale, x + y, debiased=debiased)
    assert value == pytest.approx(linear_cka(x, x + y, debiased=debiased), rel=1e-12)


@both_kinds
@pytest.mark.parametrize("channel", [np.full(60, -7.3), np.zeros(60), np.full(60, 1e9)])
def test_a_constant_channel(channel, debiased):
    """A channel that says the same of all images, and a dead one, change nothing."""
    x, y = np.random.default_rng(0).standard_normal((2, 60, 5))
    value = linear_cka(np.column_stack([x, channel]), x + y, debiased=debiased)
    assert value == pytest.approx(linear_cka(x, x + y, debiased=debiased), rel=1e-12)


@both_kinds
def test_an_all_negative_channel(debiased):
    """A channel without a positive value counts like any other."""
    x, y = np.random.default_rng(0).standard_normal((2, 60, 5))
    lowered = x - [0, 0, 50, 0, 0]
    assert (lowered[:, 2] < 0).all()
    value = linear_cka(lowered, x + y, debiased=debiased)
    assert value == pytest.approx(linear_cka(x, x + y, debiased=debiased), rel=1e-12)
    assert abs(value - linear_cka(np.delete(x, 2, 1), x + y, debiased=debiased)) > 1e-3


def test_a_network_without_positive_images():
    """A layer that is 0 for all images has a row that says so, and numbers nowhere."""
    alive = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    row = layer_row("dead", 0, alive, np.zeros((20, 4), np.float32))
    assert row.status == "all: second features are the same for all images"
    assert [row.cka, row.cka_debiased, row.procrustes, row.mutual_neighbours] == [None] * 4
    assert (row.n_images, row.channels) == (20, 4)
