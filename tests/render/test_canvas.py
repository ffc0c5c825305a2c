"""The canvas against its formulas written out again, and against a picture it must become."""

import numpy as np
import pytest
import torch

from overpaint.render.canvas import FourierCanvas, spectrum_scale
from overpaint.render.colours import IMAGENET


def slow_scale(size):
    """One over the frequency, which is never taken to be lower than one wave a picture."""
    frequency = lambda k: (k if k <= size // 2 else k - size) / size  # noqa: E731
    rows, columns = range(size), range(size // 2 + 1)
    length = [[(frequency(y) ** 2 + frequency(x) ** 2) ** 0.5 for x in columns] for y in rows]
    return np.array([[1 / max(f, 1 / size) for f in row] for row in length])


def slow_colours():
    """The matrix printed in Lucid, divided by the Euclidean length of its longest column."""
    matrix = np.array([[26, 9, 2], [27, 0, -5], [27, -9, 3]]) / 100
    return matrix / max(sum(matrix[:, j] ** 2) ** 0.5 for j in range(3))


def slow_pixels(spectrum, size):
    """Lucid's steps on a whole complex spectrum, its scale with the root of the picture's area."""
    waves = spectrum[..., 0] + 1j * spectrum[..., 1]
    scaled = waves * slow_scale(size) * size
    plain = np.fft.irfft2(scaled, s=(size, size)) / 4
    rgb = np.tensordot(slow_colours(), plain, axes=(1, 0))
    return 1 / (1 + np.exp(-rgb))


@pytest.mark.parametrize("size", [32, 33])
def test_scale(size):
    """The spectrum is scaled by one over the frequency, for even and odd sizes."""
    np.testing.assert_allclose(spectrum_scale(size), slow_scale(size), rtol=1e-12)


def test_colours():
    """The colour matrix is ImageNet's with its longest column of length 1."""
    np.testing.assert_allclose(IMAGENET, slow_colours(), rtol=1e-12)
    np.testing.assert_allclose(IMAGENET[:, 0], [0.5628, 0.5845, 0.5845], atol=1e-4)


@pytest.mark.parametrize("size", [32, 33])
def test_pixels(size):
    """Pixels are what the steps of Lucid, written out in NumPy, make of the same numbers."""
    canvas = FourierCanvas(size, seeds=[3, 4])
    with torch.no_grad():
        canvas.spectrum *= 40  # off the flat middle of the sigmoid
    twin = [slow_pixels(numbers, size) for numbers in canvas.spectrum.detach().numpy()]
    np.testing.assert_allclose(canvas.pixels().detach().numpy(), twin, atol=1e-5)


def test_start():
    """A canvas starts as normal noise of standard deviation 0.01, its own for each seed."""
    spectrum = FourierCanvas(64, seeds=[1, 2]).spectrum.detach()
    assert spectrum.std().item() == pytest.approx(0.01, rel=0.02)
    assert abs(spectrum.mean().item()) < 0.0005
    assert abs(np.corrcoef(spectrum.reshape(2, -1).numpy())[0, 1]) < 0.05


def test_batch_mates():
    """A picture is bit for bit the same alone and among others."""
    together = FourierCanvas(48, seeds=[5, 6, 7]).pixels()
    alone = FourierCanvas(48, seeds=[6]).pixels()
    assert torch.equal(together[1], alone[0])


def test_can_be_a_photograph():
    """Optimisation brings a canvas to any smooth coloured picture within 0.01 a pixel."""
    y, x = np.mgrid[0:32, 0:32] / 32
    target = np.stack([0.2 + 0.6 * x, 0.5 + 0.3 * np.sin(7 * y), 0.8 - 0.6 * x * y]).astype("f4")
    target = torch.from_numpy(target)
    canvas = FourierCanvas(32, seeds=[0])
    adam = torch.optim.Adam([canvas.spectrum], lr=0.05)
    for _ in range(400):
        adam.zero_grad()
        (canvas.pixels()[0] - target).pow(2).mean().backward()
        adam.step()
    assert (canvas.pixels()[0] - target).abs().mean() < 0.01
