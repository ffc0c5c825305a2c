"""Objectives: what to want. A function of one layer's activation, one value for each image."""

from collections.abc import Callable, Sequence

from torch import Tensor

Objective = Callable[[Tensor], Tensor]
"""(N, C, H, W), (N, T, D) or (N, D) -> (N,), to be maximised."""


def channels(wanted: Sequence[int]) -> Objective:
    """The mean over positions of one channel, each image of the batch its own.

    >>> import torch
    >>> channels([1, 0])(torch.tensor([[[[0.0]], [[5.0]]], [[[3.0]], [[0.0]]]])).tolist()
    [5.0, 3.0]
    """

    def objective(activation: Tensor) -> Tensor:
        if activation.ndim == 4:
            activation = activation.mean(dim=(2, 3))
        if activation.ndim == 3:
            activation = activation.mean(dim=1)
        rows = range(len(activation))
        return activation[list(rows), list(wanted)]

    return objective
