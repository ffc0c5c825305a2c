"""Magnitude-constrained optimisation: magnitudes are the collection's and stay, phases are free."""

import numpy as np
import pytest
import torch
from PIL import Image

from overpaint.errors import MeasureError
from overpaint.pixels.images import read
from overpaint.render.colours import IMAGENET
from overpaint.render.maco import CROP, MacoCanvas, cropped, crops, drawn_crops, measured_spectrum
from overpaint.render.transforms import GREY

SIZES = [(8, 8), (7, 9), (6, 9), (9, 6)]


def picture(height, width, seed=0):
    """A smooth coloured picture, far from black and white."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(a * x + b * y + c) for a, b, c in random.uniform(1, 9, size=(3, 3))]
    return (128 + 90 * np.stack(waves, -1)).astype(np.uint8)


def logit(image):
    return np.log((image + 0.5) / (255.5 - image))


def slow_magnitudes(image, mixing):
    """The length of each sum of turned pixels, for each uncorrelated colour: no FFT."""
    plain = np.einsum("cr,hwr->chw", np.linalg.inv(mixing), logit(image.astype(float)))
    _, height, width = plain.shape
    y, x = np.mgrid[0:height, 0:width]
    found = np.zeros((3, height, width // 2 + 1))
    for v in range(height):
        for u in range(width // 2 + 1):
            turned = np.exp(-2j * np.pi * (v * y / height + u * x / width))
            found[:, v, u] = np.abs((plain * turned).sum((1, 2))) / np.sqrt(height * width)
    return found


@pytest.mark.parametrize("size", SIZES)
def test_spectrum(size):
    """The spectrum is the mean over pictures of the magnitudes of their waves."""
    images = [picture(*size, seed) for seed in range(3)]
    twin = np.mean([slow_magnitudes(image, IMAGENET) for image in images], axis=0)
    np.testing.assert_allclose(measured_spectrum(images, size), twin, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(measured_spectrum(images[::-1], size), twin, rtol=1e-4, atol=1e-5)


def test_of_pictures_of_any_size():
    """A picture of another shape is resized to cover the canvas, and its middle is taken."""
    whole = picture(40, 60)
    middle = np.asarray(Image.fromarray(whole).crop((10, 0, 50, 40)))
    assert np.array_equal(measured_spectrum([whole], 40), measured_spectrum([middle], 40))
    small = measured_spectrum([whole], (20, 30))
    large = measured_spectrum([whole], (40, 60))
    # half the size has the same waves, each of half the strength by its area
    np.testing.assert_allclose(small[:, 0, 1:4], large[:, 0, 1:4] / 2, rtol=0.1)


@pytest.mark.parametrize("size", SIZES)
def test_a_picture_is_in_reach(size):
    """With the phases of a picture, and its magnitudes, a canvas is that picture."""
    image = picture(*size)
    canvas = MacoCanvas(size, [0], spectrum=measured_spectrum([image], size))
    plain = np.einsum("cr,hwr->chw", np.linalg.inv(IMAGENET), logit(image.astype(float)))
    phases = np.angle(np.fft.rfft2(plain))
    with torch.no_grad():
        canvas.phase[0] = torch.from_numpy(phases)
    wanted = torch.from_numpy((image + 0.5) / 256).permute(2, 0, 1).float()
    torch.testing.assert_close(canvas.pixels()[0].detach(), wanted, atol=1e-4, rtol=0)


def magnitudes(pixels):
    plain = np.einsum("cr,rhw->chw", np.linalg.inv(IMAGENET), np.log(pixels / (1 - pixels)))
    return np.abs(np.fft.rfft2(plain, norm="ortho"))


@pytest.mark.parametrize("size", SIZES)
def test_magnitudes_stay(size):
    """Whatever the phases, each wave is as strong as measured; its own opposite, at most."""
    spectrum = measured_spectrum([picture(*size, 1), picture(*size, 2)], size)
    canvas = MacoCanvas(size, [7], spectrum=0.3 * spectrum)
    with torch.no_grad():
        canvas.phase += torch.randn(canvas.phase.shape, generator=torch.Generator().manual_seed(0))
    found = magnitudes(canvas.pixels()[0].detach().double().numpy())
    height, width = size
    own = [(y, x) for y in {0, height / 2} for x in {0, width / 2} if y % 1 == x % 1 == 0]
    wanted = 0.3 * spectrum.astype(float)
    for y, x in own:
        y, x = int(y), int(x)  # noqa: PLW2901
        assert (found[:, y, x] <= wanted[:, y, x] + 1e-4).all()
        found[:, y, x] = wanted[:, y, x] = 0
    np.testing.assert_allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_spectra_of_real_pictures(size):
    """What is transformed is exactly what a real picture's transform can be."""
    spectrum = np.ones((3, size[0], size[1] // 2 + 1), np.float32)
    waves = MacoCanvas(size, [7], spectrum=spectrum).waves().detach()
    back = torch.fft.rfft2(torch.fft.irfft2(waves, s=size))
    torch.testing.assert_close(back, waves, atol=1e-5, rtol=0)


def test_start():
    """Phases start anywhere in a full turn, each picture's from its own seed."""
    spectrum = np.ones((3, 33, 32 // 2 + 1), np.float32)
    together, alone = (MacoCanvas((33, 32), seeds, spectrum=spectrum) for seeds in ([1, 2, 3], [3]))
    assert together.parameters == [together.phase]
    assert together.phase.abs().max() <= np.pi
    assert together.phase.std().item() == pytest.approx(np.pi / 3**0.5, rel=0.03)
    assert torch.equal(together.pixels()[2], alone.pixels()[0])


def test_descends():
    """Optimised, the phases bring a picture nearer to what is wanted, at the same magnitudes."""
    image = picture(24, 24)
    target = torch.from_numpy(image / 255).permute(2, 0, 1).float()
    canvas = MacoCanvas(24, [0], spectrum=measured_spectrum([image], 24))
    adam = torch.optim.Adam(canvas.parameters, lr=0.05)
    errors = []
    for _ in range(300):
        adam.zero_grad()
        error = (canvas.pixels()[0] - target).square().mean()
        error.backward()
        adam.step()
        errors.append(error.item())
    assert errors[-1] < 0.1 * errors[0]


def test_transparency():
    """A pixel is as opaque as it has mattered: by gradients of all steps, up to the percentile."""
    canvas = MacoCanvas((6, 8), [0, 1], spectrum=np.ones((3, 6, 5), np.float32))
    assert (canvas.transparency() == 1).all()
    slopes = np.random.default_rng(0).normal(size=(4, 2, 3, 6, 8)).astype("f4")
    for slope in slopes:
        (canvas.pixels() * torch.from_numpy(slope)).sum().backward()
    with torch.no_grad():
        canvas.pixels()  # nothing comes back from a mere look
    for row in range(2):
        mattered = np.abs(slopes[:, row]).sum((0, 1))
        twin = np.minimum(mattered / np.percentile(mattered, 80), 1)
        np.testing.assert_allclose(canvas.transparency()[row, 0].numpy(), twin, rtol=1e-4)
    assert canvas.transparency(50).mean() > canvas.transparency().mean()


def test_transparency_by_autograd_grad():
    """It is counted also where the gradient is only asked for, not kept."""
    canvas = MacoCanvas(6, [0], spectrum=np.ones((3, 6, 4), np.float32))
    torch.autograd.grad(canvas.pixels()[..., :2].sum(), canvas.parameters)
    alpha = canvas.transparency()
    assert (alpha[..., :2] == 1).all()
    assert (alpha[..., 2:] == 0).all()


def test_crops_are_of_the_paper_s_size():
    """A crop's side is a quarter of the canvas on average, as asked: Horama's is larger."""
    shares, centres = drawn_crops([np.random.default_rng(0)] * 4000)
    assert shares.mean() == pytest.approx(CROP[0], abs=0.01)
    assert shares.std() == pytest.approx(CROP[1], abs=0.01)
    assert shares.min() >= 0.05
    assert shares.max() <= 1
    np.testing.assert_allclose(centres.mean(0), 0.5, atol=0.01)
    np.testing.assert_allclose(centres.std(0), 0.15, atol=0.01)


@pytest.mark.parametrize("size", [(60, 60), (50, 80), (80, 50)])
def test_what_a_crop_shows(size):
    """What is seen is the square of the canvas that was drawn, no more and no less."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width].astype("f4")
    places = torch.from_numpy(np.stack([x, y, 0 * x + GREY]))[None]
    (share,), ((across, down),) = drawn_crops([np.random.default_rng(5)])
    seen = cropped(32)(places, [np.random.default_rng(5)])[0]
    side = share * min(size)
    left, top = across * width - side / 2 - 0.5, down * height - side / 2 - 0.5
    steps = (np.arange(32) + 0.5) * side / 32
    inside = (left + steps > 0) & (left + steps < width - 1)
    np.testing.assert_allclose(seen[0, 16].numpy()[inside], (left + steps)[inside], atol=1e-2)
    inside = (top + steps > 0) & (top + steps < height - 1)
    np.testing.assert_allclose(seen[1, :, 16].numpy()[inside], (top + steps)[inside], atol=1e-2)
    assert inside.sum() > 10


def test_crops_of_grey():
    """Beyond the canvas all is grey, and noise is all that differs from it."""
    seen = crops(40)(torch.full((8, 3, 60, 60), GREY), [np.random.default_rng(i) for i in range(8)])
    assert seen.shape == (8, 3, 40, 40)
    assert (seen - GREY).abs().max() <= 0.1 + 1e-6
    assert seen.std().item() == pytest.approx(0.1 / 3**0.5, rel=0.05)


def test_refused():
    """A spectrum of another size or other colours is refused, and so is none."""
    spectrum = measured_spectrum([picture(8, 8)], 8)
    for size, colours in ((9, "imagenet"), (8, "grey")):
        with pytest.raises(MeasureError, match="measure it for this size") as caught:
            MacoCanvas(size, [0], spectrum=spectrum, colours=colours)
        assert caught.value.slug == "spectrum-misfit"
    with pytest.raises(MeasureError) as caught:
        measured_spectrum([], 8)
    assert caught.value.slug == "no-pictures"


def test_grey():
    """In grey there is one spectrum, and red, green and blue are one."""
    spectrum = measured_spectrum([picture(8, 8)], 8, colours="grey")
    pixels = MacoCanvas(8, [0], spectrum=spectrum, colours="grey").pixels()[0]
    torch.testing.assert_close(pixels[0], pixels[2])
    assert pixels[0].std() > 0.02


def test_photographs_fall_off(real):
    """The spectrum of photographs falls with frequency, in each colour."""
    paths = sorted((real / "data/imagenet_sample").glob("*.JPEG"))[:12]
    spectrum = measured_spectrum((np.asarray(read(path, side=64)) for path in paths), 64)
    low, high = spectrum[:, 1:4, 1:4].mean((1, 2)), spectrum[:, 16:20, 16:20].mean((1, 2))
    assert (low > 4 * high).all()
