"""Uncorrelated colours, against the definition of a covariance and the matrix printed in Lucid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from overpaint.errors import MeasureError
from overpaint.pixels.images import read
from overpaint.render.colours import (
    IMAGENET,
    covariance,
    matrix,
    measured_colours,
    normalised,
    root_of,
)

PRINTED = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])


def pictures(*sizes):
    """Pictures whose red and green rise together, and blue against them."""
    random = np.random.default_rng(0)
    for size in sizes:
        red = random.integers(40, 200, size=size)
        noise = random.integers(-30, 30, size=(*size, 3))
        yield (np.stack([red, 0.5 * red, 240 - red], axis=-1) + noise).clip(0, 255).astype(np.uint8)


def slow_covariance(images):
    """The definition, pixel by pixel: the mean of products of what differs from the mean."""
    pixels = [pixel / 255 for image in images for row in image for pixel in row]
    mean = sum(pixels) / len(pixels)
    return sum(np.outer(pixel - mean, pixel - mean) for pixel in pixels) / len(pixels)


def test_imagenet():
    """ImageNet's is the matrix printed in Lucid over the length of its first column, 0.46195."""
    np.testing.assert_allclose(IMAGENET * 0.46195, PRINTED, atol=1e-5)
    np.testing.assert_allclose(IMAGENET[:, 0], [0.5628, 0.5845, 0.5845], atol=1e-4)


def test_covariance():
    """The covariance is that of red, green and blue over all pixels of all pictures."""
    sizes = (7, 5), (1, 9), (6, 6)
    np.testing.assert_allclose(
        covariance(pictures(*sizes)), slow_covariance(pictures(*sizes)), rtol=1e-10
    )


def test_channels_are_not_pixels():
    """It sees which channels go together, where captum's, reading rows as channels, sees none."""
    red, green, blue = covariance(pictures((40, 40)))
    assert red[1] > 0.5 * np.sqrt(red[0] * green[1])
    assert red[2] < -0.5 * np.sqrt(red[0] * blue[2])


def test_constant_channels():
    """Channels that do not vary have no covariance, however much they differ from each other."""
    flat = np.broadcast_to(np.array([10, 120, 240], np.uint8), (5, 5, 3))
    assert not covariance([flat]).any()
    with pytest.raises(MeasureError, match="one colour") as caught:
        measured_colours([flat])
    assert caught.value.slug == "one-colour"


def test_order():
    """Pictures in another order give the same bits."""
    many = list(pictures((9, 7), (3, 50), (20, 20)))
    assert np.array_equal(covariance(many), covariance(many[::-1]))


@given(arrays(np.float64, (3, 3), elements=st.floats(-1, 1)))
def test_root(root):
    """Roots give back the covariance; their columns are at right angles, the strongest first."""
    wanted = root @ root.T + np.diag([1e-3, 2e-3, 3e-3])
    found = root_of(wanted)
    np.testing.assert_allclose(found @ found.T, wanted, atol=1e-9)
    products = found.T @ found
    np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=1e-9)
    assert np.diff(np.diag(products)).max() <= 1e-9


def test_of_lucid_s_own_covariance():
    """Of the covariance that Lucid's matrix stands for, the root is Lucid's, signs and all."""
    np.testing.assert_allclose(normalised(root_of(PRINTED @ PRINTED.T)), IMAGENET, atol=0.02)


@pytest.mark.parametrize("factor", [0.1, 1, 30])
def test_normalised(factor):
    """Whatever the strength of the colours, the longest column is 1: captum forgets to divide."""
    lengths = np.linalg.norm(normalised(factor * PRINTED), axis=0)
    assert lengths.max() == pytest.approx(1)
    np.testing.assert_allclose(normalised(factor * PRINTED), IMAGENET)


def test_grey_pictures():
    """A collection without colour is painted in grey alone."""
    grey = np.random.default_rng(0).integers(256, size=(20, 20, 1), dtype=np.uint8).repeat(3, 2)
    np.testing.assert_allclose(measured_colours([grey]), np.array([[3**-0.5, 0, 0]] * 3), atol=1e-6)


def test_nothing():
    """Without pictures there is nothing to measure."""
    with pytest.raises(MeasureError) as caught:
        measured_colours([])
    assert caught.value.slug == "no-pictures"


def test_words():
    """A matrix is itself, no colours are RGB as it is."""
    assert np.array_equal(matrix(None), np.eye(3))
    assert np.array_equal(matrix(2 * IMAGENET), 2 * IMAGENET)


def test_imagenet_s_own_pictures(real):
    """Measured on 120 of ImageNet's pictures, the colours are nearly those of all of them."""
    paths = sorted((real / "data/imagenet_sample").glob("*.JPEG"))
    found = measured_colours(np.asarray(read(path, side=64)) for path in paths)
    np.testing.assert_allclose(found, IMAGENET, atol=0.04)
