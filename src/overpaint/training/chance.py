"""Draws of libraries that know no generator but the one of the whole process.

>>> with chance(7):
...     first = random.random(), np.random.rand()
>>> with chance(7):
...     (random.random(), np.random.rand()) == first
True
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def chance(seed: int) -> Iterator[None]:
    """Inside the block what `random` and NumPy draw follows from the seed; after it they go on as
    if nothing had been drawn.

    One thread at a time: whoever decodes ahead draws the same as whoever does not.
    """
    with _ONE_AT_A_TIME:
        before = random.getstate(), np.random.get_state()  # noqa: NPY002 - it is timm that draws
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002
