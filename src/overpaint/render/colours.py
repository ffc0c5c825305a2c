"""Colours that do not vary together: what a canvas mixes its RGB from.

>>> matrix("imagenet").shape, matrix("grey").shape
((3, 3), (3, 1))

In pictures red, green and blue rise and fall together. Painted in colours that do not, brightness
is one number among three, and a rendering neither drowns in it nor in garish colours.
"""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from overpaint.errors import MeasureError

Matrix = NDArray[np.float64]
"""3 × n, uncorrelated colours -> RGB, to be followed by a sigmoid."""

Colours = Matrix | Literal["imagenet", "grey"] | None
"""A matrix (`measured_colours`), ImageNet's, one grey for all three, or RGB as it is."""

Picture = NDArray[np.uint8]
"""[H, W, 3], RGB."""


def normalised(root: Matrix) -> Matrix:
    """A root of a covariance with its longest column of length 1, as Lucid has it."""
    return root / np.linalg.norm(root, axis=0).max()


IMAGENET: Matrix = normalised(
    np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
)
"""The root of ImageNet's colour covariance as Lucid prints it: brightness, yellow-blue, green."""


def matrix(colours: Colours) -> Matrix:
    """The matrix that a word for colours means."""
    if colours is None:
        return np.eye(3)
    if isinstance(colours, str):
        return {"imagenet": IMAGENET, "grey": np.ones((3, 1))}[colours]
    return np.asarray(colours, np.float64)


def measured_colours(pictures: Iterable[Picture]) -> Matrix:
    """The matrix of a collection: as ImageNet's, from its own pixels.

    >>> red = np.zeros((1, 2, 3), np.uint8)
    >>> red[0, 1] = 255, 0, 0
    >>> measured_colours([red])
    array([[1., 0., 0.],
           [0., 0., 0.],
           [0., 0., 0.]])

    Counted in whole numbers: the order of the pictures changes no digit. Raises MeasureError when
    there are no pictures, or no two different pixels among them.
    """
    return normalised(root_of(covariance(pictures)))


def covariance(pictures: Iterable[Picture]) -> Matrix:
    """How red, green and blue vary together over all pixels of all pictures: 3 × 3, for 0..1.

    The rows of the table whose covariance this is are pixels, its columns the channels; pixels of a
    large picture count as much as those of a small one, so pictures of one size count alike.
    """
    count, total, squares = 0, np.zeros(3, np.int64), np.zeros((3, 3), np.int64)
    for picture in pictures:
        pixels = picture.reshape(-1, 3).astype(np.int64)
        count += len(pixels)
        total += pixels.sum(axis=0)
        squares += pixels.T @ pixels
    if not count:
        raise MeasureError("no-pictures", "colours are measured on pictures, and there are none")
    # whole numbers of any size: a difference of two large products loses no digit
    exact = count * squares.astype(object) - np.outer(total.astype(object), total.astype(object))
    return exact.astype(np.float64) / (float(count) ** 2 * 255**2)


def root_of(covariance: Matrix) -> Matrix:
    """The root whose columns are colours that do not vary together, the strongest first.

    Columns at right angles, as Lucid's are, each with its red positive; root @ root.T is the
    covariance. Raises MeasureError when nothing varies.
    """
    strengths, colours = np.linalg.eigh(covariance)
    strengths, colours = strengths[::-1].clip(0), colours[:, ::-1]
    # what is left of nothing after rounding is nothing: grey pictures have one colour, not three
    strengths = np.where(strengths > 1e-12 * strengths[0], strengths, 0)
    if not strengths[0] > 0:
        raise MeasureError("one-colour", "all pixels have one colour: there is nothing to measure")
    first = np.take_along_axis(colours, (np.abs(colours) > 1e-9).argmax(axis=0)[None], axis=0)
    return colours * np.sign(first) * np.sqrt(strengths)
