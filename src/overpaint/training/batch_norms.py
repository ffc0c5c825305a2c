"""Batch normalisation of a single value: found before a training, not by it."""

import torch
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
