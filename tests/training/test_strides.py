"""Convolutions that would end the process are done in another way, with the same numbers."""

import subprocess
import sys

import torch
from torch import nn

from overpaint.networks.capture import stood_in
from overpaint.training.strides import strided_points

TRAINING = """
import torch
from torch import nn
from overpaint.networks.capture import stood_in
from overpaint.training.strides import strided_points
network = nn.Sequential(nn.Conv2d(13, 48, 1, stride=2, bias=False))
network = network.to(memory_format=torch.channels_last)
images = torch.rand(8, 13, 112, 112).to(memory_format=torch.channels_last)
with stood_in(strided_points(network)):
    for _ in range(5):
        network(images).sum().backward()
"""


def test_only_points_of_few_channels_are_meant():
    """Other convolutions, and what only derives from one, are left alone."""

    class Own(nn.Conv2d):
        """A convolution with a way of its own."""

    few = nn.Conv2d(8, 4, 1, stride=(2, 3))
    others = [
        nn.Conv2d(16, 4, 1, stride=2),
        nn.Conv2d(8, 4, 1),
        nn.Conv2d(8, 4, 3, stride=2),
        nn.Conv2d(8, 4, 1, stride=2, padding=1),
        Own(8, 4, 1, stride=2),
    ]
    assert list(strided_points(nn.Sequential(few, *others))) == [few]


def test_the_numbers_and_gradients_are_the_same():
    """In double precision to the last digits, with groups, a bias and an odd size."""
    conv = nn.Conv2d(12, 6, 1, stride=(2, 3), groups=2).double()
    images = torch.rand(2, 12, 7, 8, dtype=torch.float64)
    plain = conv(images)
    (expected,) = torch.autograd.grad(plain.square().sum(), conv.weight)
    with stood_in(strided_points(nn.Sequential(conv))):
        other = conv(images)
        (gradient,) = torch.autograd.grad(other.square().sum(), conv.weight)
    torch.testing.assert_close(other, plain)
    torch.testing.assert_close(gradient, expected)


def test_a_process_outlives_them():
    """What ended it on a processor with AVX-512 does not any more."""
    subprocess.run([sys.executable, "-c", TRAINING], check=True, timeout=300)
