"""Redirected ReLU against the rule written out, and by every way in which networks call theirs."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from overpaint.render.redirect import RedirectedReLU


def slow_gradient(values, gradients, ceiling=math.inf):
    """One picture: lists of inputs and of the loss's gradients of the outputs."""
    inside = [0 <= value <= ceiling for value in values]
    ordinary = [g if ok else 0.0 for g, ok in zip(gradients, inside, strict=True)]
    if any(ordinary):
        return ordinary
    # to lower the loss, an input goes against its gradient
    up = [value < 0 and g < 0 for value, g in zip(values, gradients, strict=True)]
    down = [value > ceiling and g > 0 for value, g in zip(values, gradients, strict=True)]
    return [
        g if ok or a or b else 0.0 for g, ok, a, b in zip(gradients, inside, up, down, strict=True)
    ]


VALUES = [
    [-1.0, -2.0, 0.5, 7.0],  # some are on
    [-1.0, -2.0, -0.5, -7.0],  # all are off
    [-1.0, -2.0, 3.0, 9.0],  # one is on, but nobody asks it for anything
    [8.0, 7.0, -0.1, 9.0],
]
GRADIENTS = [
    [-1.0, 1.0, 2.0, -3.0],
    [-1.0, 1.0, 2.0, -3.0],
    [-1.0, 1.0, 0.0, 0.0],
    [1.0, -1.0, -2.0, 0.0],
]


def gradient_of(relu, values=VALUES, gradients=GRADIENTS):
    values = torch.tensor(values, requires_grad=True)
    with RedirectedReLU():
        outputs = relu(values * 1)
    return torch.autograd.grad(outputs, values, torch.tensor(gradients))[0].tolist()


RELUS = {
    "nn.ReLU": nn.ReLU(),
    "nn.ReLU(inplace)": nn.ReLU(inplace=True),
    "functional.relu": functional.relu,
    "functional.relu(inplace)": lambda values: functional.relu(values, inplace=True),
    "functional.relu(input=)": lambda values: functional.relu(input=values),
    "torch.relu": torch.relu,
    "torch.relu_": torch.relu_,
    "Tensor.relu": lambda values: values.relu(),
    "Tensor.relu_": lambda values: values.relu_(),
}
RELU6S = {
    "nn.ReLU6": nn.ReLU6(),
    "nn.ReLU6(inplace)": nn.ReLU6(inplace=True),
    "functional.relu6": functional.relu6,
    "functional.hardtanh": lambda values: functional.hardtanh(values, min_val=0.0, max_val=6.0),
}


@pytest.mark.parametrize("name", RELUS)
def test_relu(name):
    """Each picture's gradient is redirected if and only if its ordinary one is zero everywhere."""
    wanted = [slow_gradient(*row) for row in zip(VALUES, GRADIENTS, strict=True)]
    assert gradient_of(RELUS[name]) == wanted


@pytest.mark.parametrize("name", RELU6S)
def test_relu6(name):
    """ReLU6 is off above 6 too, and there what brings it down is let through."""
    wanted = [slow_gradient(*row, ceiling=6) for row in zip(VALUES, GRADIENTS, strict=True)]
    assert gradient_of(RELU6S[name]) == wanted


def test_by_hand():
    """The rule on values worked out by hand."""
    assert gradient_of(torch.relu) == [
        [0.0, 0.0, 2.0, -3.0],  # the ordinary gradient
        [-1.0, 0.0, 0.0, -3.0],  # only what raises
        [-1.0, 0.0, 0.0, 0.0],
        [1.0, -1.0, 0.0, 0.0],  # the ordinary gradient
    ]


def test_values():
    """The values are those of the ordinary function, and a call in place leaves its input."""
    values = torch.tensor([[-1.0, 3.0, 9.0]])
    with RedirectedReLU():
        assert nn.ReLU(inplace=True)(values).tolist() == [[0.0, 3.0, 9.0]]
        assert nn.ReLU6(inplace=True)(values).tolist() == [[0.0, 3.0, 6.0]]
        assert functional.hardtanh(values).tolist() == [[-1.0, 1.0, 1.0]]
    assert values.tolist() == [[-1.0, 3.0, 9.0]]


def test_only_inside():
    """After the block a ReLU has its ordinary gradient."""
    values = torch.tensor([[-1.0]], requires_grad=True)
    with RedirectedReLU():
        pass
    assert torch.autograd.grad(-values.relu().sum(), values)[0].item() == 0
