"""Batch normalisation of a single value, found before a training and not by it; and over the
parts of a batch that several processes have.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from timm.layers.norm_act import convert_sync_batchnorm
from torch import Tensor, nn

from overpaint.device import device_of
from overpaint.errors import NetworkError
from overpaint.networks import Network
from overpaint.networks.order import back_to, evaluating
from overpaint.training.plan import Plan, set_modes


def check_batches(network: Network, the_plan: Plan, pictures: int, batch_size: int) -> None:
    """Raise NetworkError where a batch of one picture gives a batch normalisation that is trained
    one value a channel, as behind a pooling: there is no deviation of one value.

    `pictures` are those of `train`, of which each batch is whole, and there is one at least.
    """
    if min(pictures, batch_size) > 1:
        return
    modes = [(module, module.training) for module in network.modules()]
    set_modes(network, the_plan)
    learning = {
        name: module
        for name, module in network.body.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training  # noqa: SLF001
    }
    back_to(modes)
    lone: list[str] = []

    def look(name: str, values: Tensor) -> None:
        if values.numel() == values.shape[1]:
            lone.append(name)

    hooks = [
        module.register_forward_pre_hook(lambda _module, inputs, name=name: look(name, inputs[0]))
        for name, module in learning.items()
    ]
    size = network.preprocessing.size
    try:
        with torch.inference_mode(), evaluating(network):
            network(torch.zeros(1, 3, size, size, device=device_of(network)))
    finally:
        for hook in hooks:
            hook.remove()
    if lone:
        why = f"batch_size is {batch_size}" if batch_size == 1 else "train has one picture"
        raise NetworkError(
            "lone-picture",
            f"{why}, and {lone[0]} of {network.architecture} is a batch norm that sees one "
            "value a channel of one picture, which has no deviation: take batch_size 2 or more, or "
            "train only what lies behind it ('train: head')",
        )


@contextmanager
def over_whole_batches(network: Network, *, on: bool) -> Iterator[None]:
    """Inside the block batch norms see what all processes have of a batch, if it is on.

    Raises NetworkError where the device cannot: torch has SyncBatchNorm on GPUs only.
    """
    if not on:
        yield
        return
    if (device := device_of(network)).type == "cpu":
        raise NetworkError(
            "no-global-norm",
            f"batch_norm is 'global', and torch has no batch norm over processes on {device}: take "
            "GPUs, one process, or batch_norm 'local'",
        )
    norms = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)  # noqa: SLF001
    }
    convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for name, norm in norms.items():
            parent, _, child = name.rpartition(".")
            learned = network.get_submodule(name)
            norm._parameters.update(learned._parameters)  # noqa: SLF001
            norm._buffers.update(learned._buffers)  # noqa: SLF001
            network.get_submodule(parent).add_module(child, norm)
