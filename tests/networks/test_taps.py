"""Taps: they read what is there, by exact name, and leave nothing behind."""

import pytest
import torch
from torch import nn

from overpaint.errors import NetworkError
from overpaint.networks import Network, build
from overpaint.networks.parts import Parts, Preprocessing
from overpaint.networks.taps import (
    REDUCTIONS,
    Unit,
    reduction_of,
    spatial_argmax,
    spatial_max,
    taps,
)


class Tricky(nn.Module):
    """Executes b before a, changes b's output in place, calls one module twice, one never."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 3, 1)
        self.relu = nn.ReLU(inplace=True)
        self.twice, self.never = nn.Identity(), nn.Identity()
        self.head = nn.Linear(4, 2)
        self.fail = False

    def forward(self, x):
        x = self.twice(self.twice(self.relu(self.b(x))))
        if self.fail:
            raise RuntimeError("inside")
        return self.head(self.a(x).mean((2, 3)))


def tricky() -> Network:
    torch.manual_seed(0)
    plain = Preprocessing(8, 8, mean=(0, 0, 0), std=(1, 1, 1))
    return Network("tricky", Parts(Tricky(), ("b", "a"), "head", plain), ("x", "y"))


IMAGES = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1)) - 0.5


def test_in_place_relu_does_not_reach_back():
    """What a layer gave is read before an in-place ReLU overwrites it."""
    network = tricky()
    with torch.inference_mode(), taps(network, ["b"]) as tap:
        seen = tap(IMAGES)["b"]
        expected = network.body.b(IMAGES).mean((2, 3))
    torch.testing.assert_close(seen, expected)
    assert seen.min() < 0


def test_names_and_values_belong_together():
    """Execution order is not the order of definition, and names stay with their values."""
    network = tricky()
    with torch.inference_mode(), taps(network, ["a", "b"]) as tap:
        seen = tap(IMAGES)
    assert {name: values.shape[1] for name, values in seen.items()} == {"a": 4, "b": 3}


@pytest.mark.parametrize(("layer", "said"), [("twice", "2 times"), ("never", "never called")])
def test_calls_are_counted(layer, said):
    """A layer that is called twice or never is an error, not a wrong row."""
    with pytest.raises(NetworkError, match=said), taps(tricky(), [layer]) as tap:
        tap(IMAGES)


def test_unknown_layer():
    """A typo lists the close name."""
    network = build("inception_small", classes=("a",), seed=0)
    with pytest.raises(NetworkError, match="did you mean 'mixed4b'"), taps(network, ["mixed4bb"]):
        pass


@pytest.mark.parametrize("fail", [False, True])
def test_leaves_no_trace(fail):
    """Hooks are gone and every module's mode is as it was, also when the forward raises."""
    network = tricky()
    network.train()
    network.body.a.eval()
    network.body.fail = fail
    state = torch.get_rng_state()
    try:
        with taps(network, ["b", "a"]) as tap:
            tap(IMAGES)
    except RuntimeError:
        assert fail
    assert not any(module._forward_hooks for module in network.modules())
    assert network.body.b.training
    assert not network.body.a.training
    assert torch.equal(state, torch.get_rng_state())


def test_the_forward_ends_at_the_deepest_layer():
    """After the first call, nothing behind the deepest layer runs any more."""
    network = tricky()
    ran = []
    network.body.head.register_forward_hook(lambda *_: ran.append(1))
    with torch.inference_mode(), taps(network, ["b"]) as tap:
        tap(IMAGES)
        tap(IMAGES)
        tap(IMAGES)
    assert len(ran) == 1


def test_the_network_still_runs_inside():
    """Inside the block the network can be called as ever."""
    network = tricky()
    with taps(network, ["b"]) as tap:
        tap(IMAGES)
        assert network(IMAGES).shape == (5, 2)


def test_each_layer_can_have_its_own_reduction():
    """A mapping says what is kept of each layer, and anything may be."""
    network = tricky()
    how = {"b": spatial_max, "a": lambda maps: tuple(maps.shape)}
    with torch.inference_mode(), taps(network, ["a", "b"], reduction=how) as tap:
        seen = tap(IMAGES)
        expected = network.body.b(IMAGES).amax((2, 3))
    assert seen["a"] == (5, 4, 8, 8)
    torch.testing.assert_close(seen["b"], expected)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_no_reduction_can_be_overwritten(name):
    """What was kept of a map, of tokens or of a vector shares no memory with it."""
    for shape in ((2, 3, 5, 5), (2, 25, 3), (2, 3)):
        activation = torch.rand(shape, generator=torch.Generator().manual_seed(0)) + 1
        for given in (activation, activation.contiguous(memory_format=torch.channels_last)
                      if len(shape) == 4 else activation):  # fmt: skip
            kept = reduction_of(name)(given)
            before = kept.clone()
            given.neg_()
            assert torch.equal(kept, before)
            given.neg_()


def test_places_of_the_maximum():
    """The place is that of the flat map, the first of equals, also of negative values and zeros."""
    maps = torch.full((1, 3, 4, 6), -2.0)
    maps[0, 0, 2, 5] = maps[0, 0, 3, 1] = -1.0
    maps[0, 1] = 0.0
    assert spatial_argmax(maps).tolist() == [[2 * 6 + 5, 0, 0]]
    assert spatial_max(maps).tolist() == [[-1.0, 0.0, -2.0]]
    tokens = maps.flatten(2).transpose(1, 2)
    assert spatial_argmax(tokens).tolist() == [[2 * 6 + 5, 0, 0]]


@pytest.mark.parametrize("count", [1, 2, 3, 33])
def test_ragged_batches(count):
    """A batch of any size gives the rows that each picture alone gives."""
    network = tricky()
    images = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode(), taps(network, ["b", "a"]) as tap:
        seen = tap(images)
        alone = [tap(image[None]) for image in images]
    for layer, values in seen.items():
        torch.testing.assert_close(values, torch.cat([each[layer] for each in alone]))


def test_unit():
    """A unit is a layer and a channel; anything else is refused."""
    assert Unit.of("layer4.1.relu:17") == Unit("layer4.1.relu", 17)
    with pytest.raises(NetworkError):
        Unit.of("mixed4d")


def test_penultimate_is_what_the_head_is_given():
    """The head applied to the penultimate features gives the logits."""
    network = build("inception_small", classes=("a", "b", "c"), seed=0).eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode(), taps(network, ["mixed5a", "penultimate"]) as tap:
        seen = tap(images)
        again = tap(images)
        found, expected = network.body.head(seen["penultimate"]), network(images)
    assert torch.equal(seen["penultimate"], again["penultimate"])
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.allclose(seen["penultimate"], seen["mixed5a"], atol=1e-6)
