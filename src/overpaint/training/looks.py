"""Looks at the loss of a training while it runs, for which a GPU does not wait.

>>> looks = Looks()
>>> looks.look([torch.tensor(0.5), torch.tensor(0.25)]), looks.last
(None, 0.25)
>>> looks.look([torch.tensor(0.5), torch.tensor(0.25), torch.tensor(math.nan)])
(2, nan)
"""

import math
from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from overpaint.device import Fetched, fetch


class Looks:
    """The losses of an epoch on their way from the device, and the last that has come."""

    def __init__(self) -> None:
        self.last: float | None = None
        self._asked = 0
        self._under_way: deque[tuple[int, Fetched]] = deque()

    def look(self, losses: Sequence[Tensor], *, wait: bool = False) -> tuple[int, float] | None:
        """Ask for those of an epoch's losses that are new. Returns the first that is no number, as
        its place and value, of those that are here: what was asked for by the look before is.

        With `wait`, at the end of an epoch, all are.
        """
        fresh = torch.stack([*losses[self._asked :]])
        self._under_way.append((self._asked, fetch(fresh)))
        self._asked = len(losses)
        while self._under_way:
            first, fetched = self._under_way[0]
            if not (wait or len(self._under_way) > 1 or fetched.here):
                break
            self._under_way.popleft()
            for place, value in enumerate(fetched.array().tolist(), first):
                if not math.isfinite(value):
                    return place, value
                self.last = value
        return None
