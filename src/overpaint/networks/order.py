"""When each module of a network runs: the order of execution, which is not that of definition."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from torch import Tensor, nn


class Run(NamedTuple):
    """One run of a module: what it took and what it gave, as far as these are tensors."""

    name: str
    input: Tensor | None
    output: Tensor | None


def runs(body: nn.Module, images: Tensor) -> list[Run]:
    """The runs of all modules in one forward, in evaluation mode, in the order in which they end.

    Of several inputs or outputs the first is kept. Leaves no trace.

    >>> import torch
    >>> first, second, _ = runs(nn.Sequential(nn.ReLU(), nn.Identity()), torch.zeros(1))
    >>> first.name, first.output is second.input
    ('0', True)
    """
    finished: list[Run] = []

    def listen(name: str) -> Callable[..., None]:
        return lambda _module, inputs, output: finished.append(
            Run(name, _first(inputs), _first(output))
        )

    hooks = [module.register_forward_hook(listen(name)) for name, module in body.named_modules()]
    with evaluating(body):
        try:
            body(images)
        finally:
            for hook in hooks:
                hook.remove()
    return finished


def _first(value: object) -> Tensor | None:
    if isinstance(value, tuple | list) and value:
        value = value[0]
    return value if isinstance(value, Tensor) else None


@contextmanager
def evaluating(body: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block, and each module's own mode afterwards."""
    modes = [(module, module.training) for module in body.modules()]
    body.eval()
    try:
        yield
    finally:
        back_to(modes)


def back_to(modes: Iterable[tuple[nn.Module, bool]]) -> None:
    """Give modules, parents before their children, the modes that they had.

    By `train`, and not by the bare attribute: LeViT and its like forget there what they computed
    from their weights in evaluation mode.
    """
    for module, training in modes:
        module.train(training)


class Call(NamedTuple):
    """One call of a module, as two ticks of a clock that counts begins and ends."""

    begin: int
    end: int


def calls(body: nn.Module, images: Tensor) -> dict[str, list[Call]]:
    """The calls of every module in one forward, in evaluation mode; leaves no trace.

    >>> import torch
    >>> by_module = calls(nn.Sequential(nn.ReLU(), nn.Identity()), torch.zeros(1))
    >>> by_module["0"], by_module[""]
    ([Call(begin=1, end=2)], [Call(begin=0, end=5)])
    """
    clock = iter(range(10**9))
    by_module: dict[str, list[Call]] = {}
    begins: list[int] = []  # of the calls that have not ended: the last to begin ends first

    def end(name: str) -> Callable[..., None]:
        return lambda *_: by_module.setdefault(name, []).append(Call(begins.pop(), next(clock)))

    handles = []
    for name, module in body.named_modules():
        handles.append(module.register_forward_pre_hook(lambda *_: begins.append(next(clock))))
        handles.append(module.register_forward_hook(end(name)))
    with evaluating(body):
        try:
            body(images)
        finally:
            for handle in handles:
                handle.remove()
    return by_module
