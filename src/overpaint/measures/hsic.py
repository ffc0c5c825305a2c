"""HSIC, of which CKA is made: the sums that it takes, and the quotient; for one pair or many.

>>> k = np.array([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 1.0]])  # of (1, 0, −1)
>>> sums = Sums(3, *map(np.asarray, (np.vdot(k, k), 2.0, 2.0, 2.0)))
>>> float(cka_of(sums, sums, sums, debiased=False))
1.0
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from overpaint.errors import MeasureError
from overpaint.measures.centred import Array

DEGENERATE = (
    "CKA or its interval is 0/0: only one or two images differ from all others, or all "
    "images are equally far apart; use more images, or the biased value alone"
)


@dataclass(frozen=True, eq=False)
class Sums:
    """What HSIC is made of for centred kernels K = x xᵀ and L = y yᵀ; one pair, or many at once."""

    n: int | Array
    squares: Array  # Σ_ij K_ij L_ij
    products: Array  # Σ_i K_ii L_ii
    a: Array  # Σ_i K_ii
    b: Array  # Σ_i L_ii

    # Common factors of HSIC cancel in CKA and are left out. The rows of a centred kernel sum to 0,
    # hence with a zeroed diagonal to −K_ii; the formulas here and below use this throughout.

    def hsic(self, *, debiased: bool) -> Array:
        """Biased, or unbiased but for a factor that depends on n alone."""
        if not debiased:
            return self.squares
        n = self.n
        triples = 2 / (n - 2) * self.products
        quadruples = self.a * self.b / ((n - 1) * (n - 2))
        return self.squares - self.products - triples + quadruples


def cka_of(xy: Sums, xx: Sums, yy: Sums, *, debiased: bool) -> Array:
    """CKA of x and y from the sums of x and y, of x and itself, of y and itself.

    Raises MeasureError `degenerate-features`.
    """
    own_x, own_y = xx.hsic(debiased=debiased), yy.hsic(debiased=debiased)
    if (lost(own_x, xx.squares) | lost(own_y, yy.squares)).any():
        raise MeasureError("degenerate-features", DEGENERATE)
    return quotient(xy.hsic(debiased=debiased), own_x, own_y)


def lost(hsic: Array, squares: Array) -> NDArray[np.bool_]:
    """Whether an HSIC is below the rounding of the squares that it was made from, and so 0."""
    return np.asarray(hsic <= 1e-12 * squares)


def quotient(xy: Array, xx: Array, yy: Array) -> Array:
    """Exactly 1 where all three are equal; a rounding past ±1 goes, anything further stays."""
    cka = xy / xx * np.sqrt(xx / yy)
    return np.where(np.abs(cka) < 1 + 1e-9, np.clip(cka, -1, 1), cka)


def row_sums(s: Array, t: Array) -> Array:
    """Σ_j s_ij t_ij for each i."""
    return np.einsum("ij,ij->i", s, t)
