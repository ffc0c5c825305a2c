"""The canvases against their formulas written out again, and against a picture they must become."""

import numpy as np
import pytest
import torch

from overpaint.pixels.images import centre_square, read, shorter_side
from overpaint.render.canvas import FourierCanvas, PixelCanvas, spectrum_scale
from overpaint.render.colours import IMAGENET

SIZES = [(32, 32), (33, 33), (20, 47), (47, 20), (21, 34)]


def slow_scale(height, width):
    """One over the frequency, which is never taken to be lower than one wave a picture."""
    frequency = lambda k, size: (k if k <= size // 2 else k - size) / size  # noqa: E731
    length = [
        [
            (frequency(y, height) ** 2 + frequency(x, width) ** 2) ** 0.5
            for x in range(width // 2 + 1)
        ]
        for y in range(height)
    ]
    return np.array([[1 / max(f, 1 / max(height, width)) for f in row] for row in length])


def slow_colours():
    """The matrix printed in Lucid, divided by the Euclidean length of its longest column."""
    matrix = np.array([[26, 9, 2], [27, 0, -5], [27, -9, 3]]) / 100
    return matrix / max(sum(matrix[:, j] ** 2) ** 0.5 for j in range(3))


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def slow_plain(spectrum, size):
    """Lucid's steps on a whole complex spectrum, its scale with the root of the picture's area."""
    height, width = size
    waves = spectrum[..., 0] + 1j * spectrum[..., 1]
    scaled = waves * slow_scale(height, width) * np.sqrt(height * width)
    return np.fft.irfft2(scaled, s=size) / 4


def slow_pixels(spectrum, size):
    return sigmoid(np.tensordot(slow_colours(), slow_plain(spectrum, size), axes=(1, 0)))


def strong(canvas):
    """A canvas off the flat middle of its sigmoid."""
    with torch.no_grad():
        for leaf in canvas.parameters:
            leaf.mul_(40)
    return canvas


@pytest.mark.parametrize("size", SIZES)
def test_scale(size):
    """The spectrum is scaled by one over the frequency, for even, odd and oblong sizes."""
    np.testing.assert_allclose(spectrum_scale(size), slow_scale(*size), rtol=1e-12)
    if size[0] == size[1]:
        assert np.array_equal(spectrum_scale(size), spectrum_scale(size[0]))


@pytest.mark.parametrize("size", SIZES)
def test_pixels(size):
    """Pixels are what the steps of Lucid, written out in NumPy, make of the same numbers."""
    canvas = strong(FourierCanvas(size, seeds=[3, 4]))
    twin = [slow_pixels(numbers, size) for numbers in canvas.spectrum.detach().numpy()]
    np.testing.assert_allclose(canvas.pixels().detach().numpy(), twin, atol=1e-5)


def test_alpha():
    """With alpha a fourth channel is a sigmoid by itself, and the colours are as without."""
    size = (20, 33)
    canvas, plain = (strong(FourierCanvas(size, [5], alpha=alpha)) for alpha in (True, False))
    pixels = canvas.pixels().detach()
    torch.testing.assert_close(pixels[:, :3], plain.pixels().detach())
    twin = sigmoid(slow_plain(canvas.spectrum.detach().numpy()[0, 3], size))
    np.testing.assert_allclose(pixels[0, 3].numpy(), twin, atol=1e-5)


@pytest.mark.parametrize("canvas", [FourierCanvas, PixelCanvas])
def test_grey(canvas):
    """In grey there is one channel to optimise, and it is seen three times."""
    made = strong(canvas((9, 12), [5], colours="grey"))
    red, green, blue = made.pixels()[0]
    assert made.parameters[0].shape[1] == 1
    assert torch.equal(red, green)
    assert torch.equal(red, blue)
    assert red.std() > 0.02


def test_own_colours():
    """A matrix of one's own is what the colours are mixed by; without one, RGB is as painted."""
    size = (16, 16)
    own = np.array([[0.5, 0.1, 0.0], [0.2, 0.3, 0.1], [0.1, 0.0, 0.9]])
    for colours, mixing in ((own, own), (None, np.eye(3))):
        canvas = strong(FourierCanvas(size, [2], colours=colours))
        plain = slow_plain(canvas.spectrum.detach().numpy()[0], size)
        twin = sigmoid(np.tensordot(mixing, plain, axes=(1, 0)))
        np.testing.assert_allclose(canvas.pixels()[0].detach().numpy(), twin, atol=1e-5)


def test_pixel_canvas():
    """The pixel canvas is the sigmoid of its mixed numbers, with no division by four."""
    canvas = strong(PixelCanvas((8, 11), [5, 6]))
    twin = sigmoid(np.einsum("rc,bchw->brhw", slow_colours(), canvas.plain.detach().numpy()))
    np.testing.assert_allclose(canvas.pixels().detach().numpy(), twin, atol=1e-5)


@pytest.mark.parametrize("canvas", [FourierCanvas, PixelCanvas])
def test_start(canvas):
    """A canvas starts as normal noise of standard deviation 0.01, its own for each seed."""
    (leaf,) = canvas(64, seeds=[1, 2]).parameters
    assert leaf.requires_grad
    assert leaf.std().item() == pytest.approx(0.01, rel=0.02)
    assert abs(leaf.mean().item()) < 0.0005
    assert abs(np.corrcoef(leaf.detach().reshape(2, -1).numpy())[0, 1]) < 0.05


@pytest.mark.parametrize("size", [(48, 31), (33, 33), (9, 11)])
@pytest.mark.parametrize("canvas", [FourierCanvas, PixelCanvas])
def test_batch_mates(canvas, size):
    """A picture is bit for bit the same alone and among others, and so is its gradient."""
    together, alone = (strong(canvas(size, seeds)) for seeds in ([5, 6, 7], [7]))
    assert torch.equal(together.pixels()[2], alone.pixels()[0])
    slopes = [
        torch.autograd.grad(each.pixels().square().sum(), each.parameters)[0][-1]
        for each in (together, alone)
    ]
    assert torch.equal(*slopes)


def fitted(target, steps):
    """The mean absolute error of a canvas optimised to be a picture (3, H, W)."""
    canvas = FourierCanvas(tuple(target.shape[1:]), seeds=[0])
    adam = torch.optim.Adam(canvas.parameters, lr=0.05)
    for _ in range(steps):
        adam.zero_grad()
        (canvas.pixels()[0] - target).pow(2).mean().backward()
        adam.step()
    return (canvas.pixels()[0] - target).abs().mean().item()


def test_can_be_a_picture():
    """Optimisation brings a canvas to any smooth coloured picture within 0.01 a pixel."""
    y, x = np.mgrid[0:33, 0:48] / 32
    target = np.stack([0.2 + 0.3 * x, 0.5 + 0.3 * np.sin(7 * y), 0.8 - 0.4 * x * y]).astype("f4")
    assert fitted(torch.from_numpy(target), 400) < 0.01


def test_can_be_a_photograph(real):
    """And to a photograph, within 1,000 steps."""
    path = real / "data/imagenet_sample/n01443537_goldfish.JPEG"
    photograph = centre_square(shorter_side(read(path), 64, "bilinear"), 64)
    target = torch.from_numpy(np.array(photograph)).permute(2, 0, 1) / 255
    assert target.std() > 0.15
    assert fitted(target, 800) < 0.01


def test_imagenet_is_the_default():
    """The colours of a canvas are ImageNet's unless said."""
    said, unsaid = (FourierCanvas(8, [1], **kind) for kind in ({"colours": IMAGENET}, {}))
    assert torch.equal(said.pixels(), unsaid.pixels())
