"""Outputs: where the logits are in what a network gives, be it a tensor, a tuple or a row of many.

>>> import torch
>>> logits_in({"loss": None, "logits": torch.zeros(2, 5)}, "mine").shape
torch.Size([2, 5])
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from torch import Tensor

from overpaint.errors import NetworkError

LOGITS_KEY = "logits"
"""What libraries call them, where outputs have names."""


def logits_in(output: object, network: str) -> Tensor:
    """The tensor `logits` of an output with names, else its first tensor.

    Raises NetworkError where there is none.
    """
    if isinstance(output, Tensor):
        return output
    tensors = dict(named_tensors(output))
    if not tensors:
        raise NetworkError(
            "no-tensor",
            f"{network} gives no tensor that could be its logits, but a {type(output).__name__}: "
            "let its forward return a tensor (N, classes), or a dictionary with a key 'logits'",
        )
    return tensors.get(LOGITS_KEY, next(iter(tensors.values())))


def named_tensors(output: object) -> Iterator[tuple[str, Tensor]]:
    """The tensors of an output by name, or by number where they have none.

    >>> import torch
    >>> [name for name, _ in named_tensors((torch.zeros(1), [torch.zeros(1)], None))]
    ['0', '1.0']
    """
    if isinstance(output, Mapping):
        parts = list(output.items())
    elif is_dataclass(output):
        parts = [(field.name, getattr(output, field.name)) for field in fields(output)]
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        parts = list(zip(output._fields, output, strict=True))
    elif isinstance(output, list | tuple):
        parts = list(enumerate(output))
    else:
        return
    for name, value in parts:
        if isinstance(value, Tensor):
            yield str(name), value
        else:
            yield from ((f"{name}.{inner}", tensor) for inner, tensor in named_tensors(value))
