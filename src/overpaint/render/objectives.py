"""What a rendering is to excite: activations of one picture -> a number, the larger the better."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Activations = Mapping[str, Tensor]
"""One picture's activations by layer: (C, H, W), or tokens (T, D), or a vector (D,)."""


@dataclass(frozen=True)
class Objective:
    """A number to raise, and the layers that it reads."""

    layers: tuple[str, ...]
    of: Callable[[Activations], Tensor]


def channel(layer: str, index: int) -> Objective:
    """The mean of a channel over its positions.

    >>> maps = torch.tensor([[[1.0, 3.0]], [[5.0, 7.0]]])  # two channels of 1 × 2 positions
    >>> channel("mixed4d", 1).of({"mixed4d": maps})
    tensor(6.)

    Source: Lucid, `objectives.channel`.
    """
    return Objective((layer,), lambda activations: _one_channel(activations[layer], index).mean())


def _one_channel(activation: Tensor, index: int) -> Tensor:
    """Maps have their channels first; tokens and vectors have them last."""
    return activation[index] if activation.ndim == 3 else activation[..., index]


def score(objectives: Sequence[Objective], activations: Activations) -> Tensor:
    """Each picture's own objective: activations (B, ...) by layer -> (B,).

    >>> maps = torch.tensor([[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]]])  # two pictures
    >>> score([channel("a", 0), channel("a", 1)], {"a": maps})
    tensor([1., 4.])
    """
    # unbind, not indexing: the gradient of an index is a batch of zeros for every picture
    pictures = {layer: maps.unbind() for layer, maps in activations.items()}
    return torch.stack(
        [
            objective.of({layer: pictures[layer][i] for layer in objective.layers})
            for i, objective in enumerate(objectives)
        ]
    )
