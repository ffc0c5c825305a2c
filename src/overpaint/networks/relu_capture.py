"""Which calls of torch are a ReLU, and what each was given.

>>> values = torch.tensor([-1.0, 2.0])
>>> with RememberedReLU():
...     after = torch.relu_(values)
>>> before(after), after
(tensor([-1.,  2.]), tensor([0., 2.]))

Networks call their ReLU in a dozen ways, in place and not. Caught at the call, all are one.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from overpaint.networks.capture import Capture


def _no_ceiling(*_: object, **__: object) -> float:
    return math.inf


def _ceiling_of_hardtanh(
    _input: object, min_val: float = -1.0, max_val: float = 1.0, *_: object, **__: object
) -> float | None:
    """`nn.ReLU6` is a hardtanh from 0; any other hardtanh is not meant."""
    return max_val if min_val == 0 else None


_CEILINGS: dict[Callable[..., Any], Callable[..., float | None]] = {
    functional.relu: _no_ceiling,
    torch.relu: _no_ceiling,
    torch.relu_: _no_ceiling,
    Tensor.relu: _no_ceiling,
    Tensor.relu_: _no_ceiling,
    functional.relu6: lambda *_, **__: 6.0,
    functional.hardtanh: _ceiling_of_hardtanh,
}


class ReluCapture(Capture):
    """Inside the block, each ReLU and ReLU6 is what `relu` makes of it; other calls are as ever.

    A call in place gives a new tensor instead, and leaves its input as it was: only its result may
    be used, as every network of timm and torchvision does.
    """

    @abstractmethod
    def relu(self, values: Tensor, ceiling: float) -> Tensor:
        """A ReLU that is off again above the ceiling."""

    def catches(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
        """Whether a call is that of a ReLU or ReLU6."""
        return func in _CEILINGS and _CEILINGS[func](*args, **kwargs) is not None

    def stand_in(self, module: nn.Module) -> Callable[[Tensor], Tensor] | None:
        """What `relu` makes of a module, in place of its forward, if it is nothing but a ReLU.

        >>> RememberedReLU().stand_in(nn.ReLU6(inplace=True))(torch.tensor([7.0]))
        tensor([6.])
        """
        if type(module).forward is nn.ReLU.forward:
            ceiling: float | None = math.inf
        elif isinstance(module, nn.Hardtanh) and type(module).forward is nn.Hardtanh.forward:
            ceiling = _ceiling_of_hardtanh(module, module.min_val, module.max_val)
        else:
            ceiling = None
        return None if ceiling is None else partial(self.relu, ceiling=ceiling)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Called by torch for every function inside the block."""
        kwargs = kwargs or {}
        ceiling = _CEILINGS[func](*args, **kwargs) if func in _CEILINGS else None
        if ceiling is None:
            return func(*args, **kwargs)
        return self.relu(args[0] if args else kwargs["input"], ceiling)


class RememberedReLU(ReluCapture):
    """Inside the block, what comes out of a ReLU knows what went in: `before` tells it."""

    def relu(self, values: Tensor, ceiling: float) -> Tensor:
        """The ordinary one, or that of a block around this one."""
        after = functional.relu(values) if ceiling == math.inf else functional.relu6(values)
        _remember(after, lambda: values)
        return after

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Outputs of several ReLUs side by side have their inputs side by side."""
        kwargs = kwargs or {}
        after = super().__torch_function__(func, types, args, kwargs)
        if func in _CONCATENATIONS:
            parts = args[0] if args else kwargs["tensors"]
            if all(hasattr(part, _MARK) for part in parts):
                options = {name: kwargs[name] for name in kwargs if name != "tensors"}
                _remember(
                    after, lambda: func([before(part) for part in parts], *args[1:], **options)
                )
        return after


_CONCATENATIONS = (torch.cat, torch.concat, torch.concatenate)

_MARK = "_before_relu"
"""An attribute of the tensor itself, so that what is remembered lives no longer than it."""


def _remember(after: Tensor, read_before: Callable[[], Tensor]) -> None:
    setattr(after, _MARK, read_before)


def before(after: Tensor) -> Tensor | None:
    """What the ReLU was given whose output this very tensor is, or None if it is no ReLU's."""
    read_before: Callable[[], Tensor] | None = getattr(after, _MARK, None)
    return read_before() if read_before else None
