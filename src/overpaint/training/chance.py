"""Draws of libraries that know no generator but the one of the whole process.

>>> with chance(7):
...     first = random.random(), np.random.rand()
>>> with chance(7):
...     (random.random(), np.random.rand()) == first
True
"""

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

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


def drawn_for(part: slice, count: int) -> AbstractContextManager[Any]:
    """Inside the block what torch draws for the rows of a batch of which this is a part is what it
    would draw for them in the whole batch, of `count` rows; so dropout does not depend on how many
    processes share a batch.

    >>> with torch.random.fork_rng(), drawn_for(slice(2, 4), 8):
    ...     _ = torch.manual_seed(0)
    ...     part = functional.dropout(torch.ones(2, 3))
    >>> with torch.random.fork_rng():
    ...     _ = torch.manual_seed(0)
    ...     torch.equal(functional.dropout(torch.ones(8, 3))[2:4], part)
    True

    As far as that is dropout, of single values or of channels, and stochastic depth; not what a
    fused attention drops, and on a CPU: a GPU draws in another order by itself.
    """
    return nullcontext() if len(range(*part.indices(count))) == count else _ForWhole(part, count)


class _ForWhole(TorchFunctionMode):
    """Stands between functions and torch, and draws for more rows than there are."""

    def __init__(self, part: slice, count: int) -> None:
        super().__init__()
        self.part, self.count = part, count

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Whatever it is, done as always, but for the three that draw."""
        options = dict(kwargs or {})
        if func is Tensor.bernoulli_:
            return args[0].copy_(self._drawn(args[0], *args[1:], **options))
        if func in (functional.dropout, functional.dropout2d):
            names = ("input", "p", "training", "inplace")
            settings = {
                "p": 0.5,
                "training": True,
                **dict(zip(names, args, strict=False)),
                **options,
            }
            values, share = settings["input"], settings["p"]
            if settings["training"] and 0 < share < 1:
                mask = values if func is functional.dropout else values[:, :, :1, :1]
                return values * self._drawn(mask, 1 - share).div_(1 - share)
        return func(*args, **options)

    def _drawn(self, values: Tensor, share: float, **options: Any) -> Tensor:
        """Zeros and ones in the shape of some values, of which this share is one."""
        here = len(range(*self.part.indices(self.count)))
        each, rest = divmod(len(values), here)  # windows and the like: several rows a picture
        if rest:
            return torch.empty_like(values).bernoulli_(share, **options)
        last = values.ndim == 4 and not values.is_contiguous()
        form = torch.channels_last if last else torch.contiguous_format
        shape = (each * self.count, *values.shape[1:])
        whole = torch.empty(shape, dtype=values.dtype, device=values.device, memory_format=form)
        whole.bernoulli_(share, **options)
        return whole[each * self.part.start : each * self.part.start + len(values)]
