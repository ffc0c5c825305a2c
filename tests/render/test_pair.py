"""Two networks at once: both are excited, or the second alone; neither drowns the other."""

import numpy as np
import pytest
import torch
from torch import nn

from overpaint.errors import NetworkError
from overpaint.networks import Network, build
from overpaint.networks.parts import Parts, Preprocessing
from overpaint.render import render, render_pair


class Colours(nn.Module):
    """Two channels: how red a picture is, and how blue, each times `scale`."""

    def __init__(self, *, first, scale):
        super().__init__()
        self.see = nn.Conv2d(3, 2, 1, bias=False)
        self.see.weight.data = torch.zeros(2, 3, 1, 1)
        self.see.weight.data[0, first] = self.see.weight.data[1, 2] = scale
        self.head = nn.Linear(2, 2)

    def forward(self, images):
        return self.head(self.see(images).mean((2, 3)))


def colours(first, scale=1.0):
    body = Colours(first=first, scale=scale)
    plain = Preprocessing(size=16, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return Network("colours", Parts(body, ("see",), "head", plain), ("a", "b"))


def test_both_and_only_after():
    """Of a network that wants red and one that wants green: yellow for both, green for one."""
    before, after = colours(0), colours(1)
    how = {"steps": 40, "size": 32}
    (both,) = render_pair(before, after, "see", [0], kind="both", **how)
    (only,) = render_pair(before, after, "see", [0], kind="only_after", **how)
    red, green, _ = both.image.reshape(-1, 3).mean(0)
    assert min(red, green) > 150
    assert abs(red - green) < 10
    red, green, _ = only.image.reshape(-1, 3).mean(0)
    assert green - red > 15
    assert only.after / only.reach_after > only.before / only.reach_before + 0.05
    assert both.status == only.status == "ok"


def test_no_network_drowns_the_other():
    """A network whose activations are a thousand times as large counts as much as the other."""
    how = {"kind": "both", "steps": 30, "size": 24}
    (plain,) = render_pair(colours(0), colours(1), "see", [0], **how)
    (loud,) = render_pair(colours(0), colours(1, scale=1000.0), "see", [0], **how)
    assert loud.after > 500 * plain.after
    assert np.abs(loud.image.astype(int) - plain.image).max() <= 2
    assert loud.rise == pytest.approx(plain.rise, rel=0.01)


def test_shares_are_of_what_each_reaches_alone():
    """The scales are the objectives of the channel's own renderings."""
    pair = colours(0), colours(1)
    how = {"steps": 12, "size": 24}
    (found,) = render_pair(*pair, "see", [1], **how)
    alone = [render(network, "see", [1], **how)[0] for network in pair]
    assert (found.reach_before, found.reach_after) == (
        alone[0].objective_end, alone[1].objective_end,
    )  # fmt: skip
    assert found.seed == alone[0].seed == alone[1].seed


def test_the_same_network_twice():
    """Both at once, of a network and itself, is its own rendering."""
    network = colours(0)
    (alone,) = render(network, "see", [0], steps=10, size=24)
    (both,) = render_pair(network, network, "see", [0], steps=10, size=24)
    assert np.abs(both.image.astype(int) - alone.image).max() <= 2
    assert both.before == both.after


def test_a_channel_that_is_silent_in_one():
    """It is drawn by the other network, and the status says that."""
    (found,) = render_pair(
        colours(0), colours(1), "see", [0], reach=[(None, 1.0)], steps=8, size=24
    )
    assert found.status == "the channel shows nothing in the network before, which does not count"
    assert found.after > 0.5
    (nothing,) = render_pair(
        colours(0), colours(1), "see", [0], reach=[(None, None)], steps=2, size=24
    )
    assert nothing.status == "the channel shows nothing in either network"


def test_alone_and_together():
    """An image does not depend on its batch mates, and comes in the order asked for."""
    pair = [build("inception_small", classes=("a", "b"), seed=seed) for seed in (0, 1)]
    how = {"kind": "only_after", "steps": 5, "size": 32}
    reach = [(1.0, 2.0), (2.0, 1.0), (1.0, 1.0)]
    many = render_pair(*pair, "mixed3a", [4, 0, 2], reach=reach, **how)
    (alone,) = render_pair(*pair, "mixed3a", [2], reach=reach[2:], **how)
    assert [each.channel for each in many] == [4, 0, 2]
    assert np.array_equal(many[2].image, alone.image)


def test_a_channel_that_one_lacks():
    """The message says which network lacks it."""
    pair = colours(0), colours(1)
    with pytest.raises(NetworkError, match=r"has 2 channels, 0\.\.1; there is no 2"):
        render_pair(*pair, "see", [2], reach=[(1.0, 1.0)])
