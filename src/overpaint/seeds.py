"""Every random draw comes from a generator derived from (seed, what it is for).

>>> int(generator(0, "splits", "rasta").integers(100))
24
>>> seed_for(0, "splits", "rasta") == seed_for(0, "order", "rasta")
False
"""

import hashlib

import numpy as np


def seed_for(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for one purpose, the same on every machine.

    >>> seed_for(0, "init", "scratch")
    702820785302796136
    """
    text = "\x1f".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A NumPy generator for one purpose."""
    return np.random.default_rng(seed_for(seed, *purpose))


def drawn_rows(count: int, most: int, seed: int, *purpose: str | int) -> list[int]:
    """The rows of so many, in order: all, or a draw of the most that are wanted.

    >>> drawn_rows(4, 10, 0, "probes"), len(drawn_rows(100, 10, 0, "probes"))
    ([0, 1, 2, 3], 10)
    """
    rows = generator(seed, *purpose).permutation(count)[:most] if count > most else range(count)
    return sorted(map(int, rows))
