"""The fast gradient of a first convolution is the gradient, for every kernel and stride."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from overpaint.render.stem import FastStem, _Stem, phases, pixel_gradient


def by_loops(gradient, weight, stride, padding, size):
    """The gradient of each pixel, from all windows that have it."""
    images, channels = len(gradient), weight.shape[1]
    found = torch.zeros(images, channels, *size, dtype=torch.float64)
    for row in range(gradient.shape[2]):
        for column in range(gradient.shape[3]):
            for y in range(weight.shape[2]):
                for x in range(weight.shape[3]):
                    at = row * stride + y - padding[0], column * stride + x - padding[1]
                    if 0 <= at[0] < size[0] and 0 <= at[1] < size[1]:
                        found[:, :, at[0], at[1]] += (
                            gradient[:, :, row, column].double() @ weight[:, :, y, x].double()
                        )
    return found


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 7),
    st.integers(2, 4),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.integers(7, 12), st.integers(7, 12)),
    st.integers(1, 3),
)
def test_twin(kernel, stride, padding, size, channels):
    """It is what sums over all windows give, also where the last pixels are in none."""
    torch.manual_seed(kernel)
    weight = torch.randn(4, channels, kernel, kernel)
    pixels = torch.zeros(2, channels, *size)
    gradient = torch.randn_like(functional.conv2d(pixels, weight, None, stride, padding))
    found = pixel_gradient(gradient, weight, stride, padding, size)
    slow = by_loops(gradient, weight, stride, padding, size)
    assert found.shape == pixels.shape
    assert torch.allclose(found.double(), slow, atol=1e-4)


def test_phases_of_one():
    """A kernel of one pixel has one phase that is not empty."""
    weight = torch.ones(5, 3, 1, 1)
    made = phases(weight, 2).reshape(3, 4, 5)
    assert made[:, 0].eq(1).all()
    assert made[:, 1:].eq(0).all()


CALLS = {
    "strided": ((3, 8, 7, 2), {}, True),
    "grey": ((1, 8, 5, 2), {"padding": 2}, True),
    "same": ((3, 8, 3, 1), {"padding": 1}, False),
    "features": ((16, 8, 3, 2), {}, False),
    "dilated": ((3, 8, 3, 2), {"dilation": 2}, False),
}


@pytest.mark.parametrize(("shape", "more", "caught"), CALLS.values(), ids=CALLS)
def test_only_what_it_can(shape, more, caught, monkeypatch):
    """Strided convolutions of pictures are caught; all others are left as they are."""
    calls = []
    real = _Stem.apply
    monkeypatch.setattr(_Stem, "apply", lambda *args: calls.append(1) or real(*args))
    convolution = torch.nn.Conv2d(*shape, **more).requires_grad_(False)
    pixels = torch.rand(2, shape[0], 20, 17, requires_grad=True)
    outside = torch.autograd.grad(convolution(pixels).square().sum(), pixels)[0]
    with FastStem():
        inside = torch.autograd.grad(convolution(pixels).square().sum(), pixels)[0]
    assert bool(calls) == caught
    assert torch.allclose(inside, outside, rtol=1e-4, atol=1e-5)


def test_a_training_is_not_touched():
    """Where the weights want a gradient too, the call is left as it is."""
    convolution = torch.nn.Conv2d(3, 8, 7, 2)
    pixels = torch.rand(2, 3, 20, 20, requires_grad=True)
    with FastStem():
        convolution(pixels).sum().backward()
    assert convolution.weight.grad is not None
    assert pixels.grad is not None


def test_what_follows_a_stem_lies_with_its_channels_last():
    """Also behind a network that laid its input anew, as googlenet does: pooling is fastest so."""
    pixels = torch.rand(2, 3, 16, 16, requires_grad=True)
    laid_anew = torch.cat([pixels[:, each : each + 1] for each in range(3)], 1)
    with FastStem():
        seen = functional.conv2d(laid_anew, torch.rand(8, 3, 7, 7), stride=2, padding=3)
    assert seen.is_contiguous(memory_format=torch.channels_last)
