"""What a rendering is to excite."""

import torch

from overpaint.render.objectives import channel, score


def test_channel_of_maps():
    """The channel objective of maps is the mean over positions of that channel."""
    maps = torch.arange(24.0).reshape(2, 3, 4)
    assert score([channel("a", 1)], {"a": maps[None]}) == maps[1].mean() == 17.5


def test_channel_of_tokens_and_vectors():
    """Of tokens it is the mean over tokens, of a vector the value itself."""
    tokens = torch.arange(12.0).reshape(4, 3)
    assert score([channel("a", 2)], {"a": tokens[None]}) == tokens[:, 2].mean()
    assert score([channel("a", 2)], {"a": tokens[:1]}) == 2


def test_each_its_own():
    """In a batch each picture has its own objective, and its gradient is not another's."""
    maps = torch.rand(2, 3, 2, 2, requires_grad=True)
    values = score([channel("a", 0), channel("a", 2)], {"a": maps})
    torch.testing.assert_close(values, torch.stack([maps[0, 0].mean(), maps[1, 2].mean()]))
    (gradient,) = torch.autograd.grad(values.sum(), maps)
    wanted = torch.zeros(2, 3, 2, 2)
    wanted[0, 0] = wanted[1, 2] = 0.25
    assert torch.equal(gradient, wanted)


def test_extra_pictures():
    """Pictures beyond the objectives are not asked for anything."""
    maps = torch.rand(2, 3, 2, 2)
    assert score([channel("a", 1)], {"a": maps}).shape == (1,)
