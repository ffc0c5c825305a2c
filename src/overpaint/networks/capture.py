"""Calls of a network that do something else for a while, and the network is as it was afterwards.

>>> network = nn.Sequential(nn.ReLU(), nn.Flatten())
>>> with stood_in({network[0]: torch.neg}):
...     network(torch.ones(1, 2))
tensor([[-1., -1.]])
>>> network(torch.ones(1, 2))
tensor([[1., 1.]])

A mode of torch catches a function whoever calls it, but is asked about every operation, in Python.
Where modules alone make the calls that are meant, as one forward shows, other functions stand in
for their forwards, and nothing is asked. A network that makes such calls itself, as torchvision's
googlenet calls its ReLUs, keeps the mode.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch  # noqa: F401 - for the example
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

Forward = Callable[[Tensor], Tensor]


class Capture(TorchFunctionMode, ABC):
    """Inside the block, some calls are others."""

    @abstractmethod
    def catches(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
        """Whether a call of a function is one of those."""

    @abstractmethod
    def stand_in(self, module: nn.Module) -> Forward | None:
        """What to call in place of a module's forward, if that is nothing but such a call."""


@dataclass
class Way:
    """How all calls of a network that a capture means are caught: `stand_ins` for modules, or,
    where the network makes some `by_itself`, the capture.
    """

    capture: Capture
    stand_ins: Mapping[nn.Module, Forward]
    by_itself: bool = False

    def opened(self) -> AbstractContextManager[Any]:
        """Inside the block, they are caught."""
        return self.capture if self.by_itself else stood_in(self.stand_ins)


@contextmanager
def watched(network: nn.Module, capture: Capture) -> Iterator[Way]:
    """The way to catch a network's calls, known after the block, in which it is run once.

    >>> from overpaint.networks.relu_capture import RememberedReLU
    >>> network = nn.Sequential(nn.ReLU())
    >>> with watched(network, RememberedReLU()) as way:
    ...     after = network(torch.ones(1))
    >>> way.by_itself, list(way.stand_ins)
    (False, [ReLU()])
    """
    stand_ins = {
        module: forward
        for module in network.modules()
        if "forward" not in vars(module) and (forward := capture.stand_in(module))
    }
    way, watch = Way(capture, stand_ins), _Watch(capture)
    with stood_in({module: partial(watch.run, module) for module in stand_ins}), watch:
        yield way
    way.by_itself = watch.outside > 0


@contextmanager
def stood_in(forwards: Mapping[nn.Module, Forward]) -> Iterator[None]:
    """Inside the block, modules that have the forward of their class have another one."""
    try:
        for module, forward in forwards.items():
            vars(module)["forward"] = forward
        yield
    finally:
        for module in forwards:
            vars(module).pop("forward", None)


class _Watch(TorchFunctionMode):
    """Counts the calls that are made outside the forwards of some modules."""

    def __init__(self, capture: Capture) -> None:
        super().__init__()
        self.capture = capture
        self.inside = self.outside = 0

    def run(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """A module's forward; by a keyword a stand-in could not be called."""
        self.inside += not kwargs
        try:
            return type(module).forward(module, *args, **kwargs)
        finally:
            self.inside -= not kwargs

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Called by torch for every function inside the block."""
        kwargs = kwargs or {}
        self.outside += not self.inside and self.capture.catches(func, *args, **kwargs)
        return func(*args, **kwargs)
