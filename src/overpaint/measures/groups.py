"""Groups of images: the pictures of one artist are no independent pictures.

>>> group_numbers(["Monet", "", "Monet", ""], 4)
array([2, 0, 2, 1])
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from overpaint.errors import MeasureError

Ints = NDArray[np.int64]


def group_numbers(groups: Sequence[str] | None, count: int) -> Ints | None:
    """The number of each image's group [N], from 0; None where no image has one.

    "" is no group: such an image is one of its own, and counts as one where groups are counted.
    Raises MeasureError: `images-differ`, where there is not a group for each of `count` images.
    """
    if groups is None:
        return None
    if len(groups) != count:
        raise MeasureError("images-differ", f"{count} images but {len(groups)} groups")
    if not any(groups):
        return None
    names = np.array(groups, dtype=object)
    alone = names == ""
    numbers = np.empty(count, np.int64)
    numbers[alone] = np.arange(alone.sum())
    numbers[~alone] = alone.sum() + np.unique(names[~alone], return_inverse=True)[1]
    return numbers


def how_many(groups: Ints | None) -> int | None:
    """The number of groups; None where there are none."""
    return None if groups is None else int(groups.max()) + 1
