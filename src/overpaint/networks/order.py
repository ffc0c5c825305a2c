"""When each module of a network runs: the order of execution, which is not that of definition."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor, nn


class Call(NamedTuple):
    """One call of a module, as two ticks of a clock that counts begins and ends."""

    begin: int
    end: int


def calls(body: nn.Module, images: Tensor) -> dict[str, list[Call]]:
    """The calls of every module in one forward, in evaluation mode; leaves no trace.

    >>> import torch
    >>> seen = calls(nn.Sequential(nn.ReLU(), nn.Identity()), torch.zeros(1))
    >>> seen["0"], seen[""]
    ([Call(begin=1, end=2)], [Call(begin=0, end=5)])
    """
    clock = iter(range(10**9))
    seen: dict[str, list[Call]] = {}
    open_calls: list[int] = []
    modes = [(module, module.training) for module in body.modules()]
    handles = []
    for name, module in body.named_modules():
        handles.append(module.register_forward_pre_hook(lambda *_: open_calls.append(next(clock))))
        handles.append(module.register_forward_hook(_end(seen, name, open_calls, clock)))
    try:
        body.eval()
        body(images)
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    return seen


def _end(
    seen: dict[str, list[Call]], name: str, begins: list[int], clock: Iterator[int]
) -> Callable[..., None]:
    def hook(*_: object) -> None:
        seen.setdefault(name, []).append(Call(begins.pop(), next(clock)))

    return hook
