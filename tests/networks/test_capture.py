"""Modules do something else for a while, and are as they were afterwards."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from overpaint.networks.capture import stood_in, watched
from overpaint.networks.relu_capture import ReluCapture


class Doubled(ReluCapture):
    """A ReLU that gives twice as much."""

    def relu(self, values, ceiling):
        return 2 * values.clamp(0, ceiling)


class Network(nn.Module):
    """A ReLU that is a module, and one that is called in some other way."""

    def __init__(self, last):
        super().__init__()
        self.first = nn.ReLU(inplace=True)
        self.six = nn.ReLU6()
        self.other = nn.Hardtanh()
        self.last = last

    def forward(self, values):
        return self.last(self, self.other(-self.six(self.first(values))) + values)


LASTS = {
    "none": (lambda _network, values: values, False),
    "function": (lambda _network, values: functional.relu(values), True),
    "method": (lambda _network, values: values.relu(), True),
    "keyword": (lambda network, values: network.first(input=values), True),
}


@pytest.mark.parametrize(("last", "by_itself"), LASTS.values(), ids=LASTS)
def test_watched(last, by_itself):
    """A network that calls one by itself keeps the mode; the values are the same either way."""
    network, values = Network(last), torch.tensor([[-1.0, 0.2, 0.3, 9.0]])
    with watched(network, Doubled()) as way:
        plain = network(values.clone())
    assert torch.equal(plain, network(values.clone()))
    assert way.by_itself == by_itself
    assert list(way.stand_ins) == [network.first, network.six]
    with Doubled():
        wanted = network(values.clone())
    for _ in "twice":
        with way.opened():
            assert torch.equal(network(values.clone()), wanted)
    assert not torch.equal(wanted, plain)
    assert torch.equal(network(values.clone()), plain)


def test_a_forward_of_one_s_own_stays():
    """A module that somebody has given another forward is left alone, and its call is caught."""
    network = nn.Sequential(nn.ReLU())
    mine = lambda values: functional.relu(values) + 1  # noqa: E731
    network[0].forward = mine
    with watched(network, Doubled()) as way:
        network(torch.ones(1))
    assert (way.by_itself, way.stand_ins) == (True, {})
    with way.opened():
        assert network(torch.ones(1)) == 3
    assert network[0].forward is mine


def test_a_kind_of_one_s_own():
    """A ReLU that does something else is none; one that is only called otherwise is."""

    class Leaky(nn.ReLU):
        def forward(self, values):
            return functional.leaky_relu(values)

    class Named(nn.ReLU):
        pass

    assert Doubled().stand_in(Leaky()) is None
    assert Doubled().stand_in(Named())(torch.ones(1)) == 2
    assert Doubled().stand_in(nn.Hardtanh(0, 3))(torch.tensor(5.0)) == 6


def test_after_an_exception():
    """Forwards are the modules' own again, whether the network or its watching failed."""
    network = nn.Sequential(nn.ReLU(), nn.Linear(2, 2))
    with watched(network, Doubled()) as way:
        network(torch.ones(1, 2))
    for block in (way.opened(), stood_in({network[0]: torch.neg}), watched(network, Doubled())):
        with pytest.raises(RuntimeError), block:
            network(torch.ones(1, 3))
        assert "forward" not in vars(network[0])


def test_hooks_are_called():
    """Hooks of a module are called around what stands in for it."""
    network, told = nn.Sequential(nn.ReLU()), []
    network[0].register_forward_hook(lambda _module, _inputs, output: told.append(output.item()))
    with stood_in({network[0]: torch.neg}):
        network(torch.ones(1))
    assert told == [-1]
