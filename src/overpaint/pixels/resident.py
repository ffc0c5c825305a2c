"""Pixels that live on a device, where a batch of crops and mirrors is one gather.

>>> grey = np.arange(24, dtype=np.uint8)
>>> resident = Resident(Flat(data=grey, shapes=np.array([[2, 4, 3]])), torch.device("cpu"))
>>> resident.aim(np.array([[0, 1]]), np.array([True]), 2)
>>> resident.batch(torch.tensor([0]))[0, 0].tolist()
[[6, 3], [18, 15]]
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from overpaint.device import sent
from overpaint.pixels.pixel_cache import Flat

PIECE = 2**26
"""Bytes that are sent at once: as much lies twice in the host's memory meanwhile."""


class Resident:
    """The decoded pictures of a split on a device."""

    def __init__(self, flat: Flat, device: torch.device) -> None:
        self.device = device
        data = torch.empty(flat.data.size, dtype=torch.uint8, device=device)
        for start in range(0, flat.data.size, PIECE):
            piece = flat.data[start : start + PIECE]
            data[start : start + piece.size].copy_(sent(piece, device))
        self.colours = data.view(-1, 3)
        self.firsts, self.widths = flat.starts // 3, flat.shapes[:, 1]

    def aim(self, corners: NDArray[np.int64], flips: NDArray[np.bool_], size: int) -> None:
        """Say what is shown of each picture: squares of `size` pixels whose upper left corners are
        `corners` [N, 2] (top, left), mirrored where `flips` [N] says so.
        """
        tops, lefts = corners.T
        # a mirrored row is read from its right end to the left
        begins = self.firsts + tops * self.widths + lefts + np.where(flips, size - 1, 0)
        steps = np.where(flips, -1, 1)
        self.begins, self.down, self.across = sent(
            np.stack([begins, self.widths, steps]), self.device
        )
        self.span = torch.arange(size, device=self.device)

    def batch(self, rows: Tensor) -> Tensor:
        """The pictures of these numbers (B,), on the device: (B, 3, S, S) uint8, channels last."""
        begins, down, across = (
            values[rows].view(-1, 1, 1) for values in (self.begins, self.down, self.across)
        )
        places = begins + down * self.span.view(-1, 1) + across * self.span
        return self.colours[places].permute(0, 3, 1, 2)
