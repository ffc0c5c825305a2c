"""Deep supervision: heads at the middle of a network that help it to train, and then go.

>>> from overpaint.networks import build
>>> network = build("inception_v1", classes=("cat", "dog"), seed=0)
>>> supervised_layers(network, 2)
('mixed4a', 'mixed4d')
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from overpaint.device import device_of
from overpaint.errors import NetworkError
from overpaint.networks import Network
from overpaint.networks.network import seeded
from overpaint.networks.taps import find_layer, places, taps
from overpaint.seeds import seed_for

PLACES = (5 / 12, 8 / 12)
"""mixed4a and mixed4d are the sixth and the ninth of the paper's twelve layers."""

BOTTLENECK = 128


class AuxiliaryHeads(nn.Module):
    """A head for each supervised layer: average pool 5/3, 1×1 convolution to 128, dense.

    Source: the protocol, section 1.1. They belong to a training, not to the network: they start
    at random, learn at the head's rate, and are not kept.
    """

    def __init__(self, network: Network, count: int, *, dropout: float, seed: int) -> None:
        super().__init__()
        self.layers = supervised_layers(network, count)
        self._outputs: dict[str, Tensor] = {}
        with seeded(seed_for(seed, "auxiliary")):
            self.heads = nn.ModuleList(
                _head(shape, len(network.classes), dropout)
                for shape in _shapes(network, self.layers)
            )

    def forward(self) -> list[Tensor]:
        """The logits [N, classes] of each head, of what its layer gave in the last forward."""
        return [
            head(self._outputs[layer]) for layer, head in zip(self.layers, self.heads, strict=True)
        ]

    @contextmanager
    def listening(self, network: Network) -> Iterator[None]:
        """Keep what the supervised layers give, inside the block."""
        handles = [
            find_layer(network, layer).register_forward_hook(
                lambda _module, inputs, output, layer=layer: self._outputs.update(
                    {layer: places(network, layer, output, len(inputs[0]))}
                )
            )
            for layer in self.layers
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            self._outputs.clear()


def supervised_layers(network: Network, count: int) -> tuple[str, ...]:
    """The layers that get a head: those at five and eight twelfths of the network's layers."""
    layers = network.layers
    return tuple(layers[round(place * len(layers))] for place in PLACES[:count])


def _shapes(network: Network, layers: tuple[str, ...]) -> list[torch.Size]:
    """The shape of what each layer gives for one picture."""
    size = network.preprocessing.size
    with torch.inference_mode(), taps(network, layers, reduction=lambda maps: maps) as tap:
        outputs = tap(torch.zeros(1, 3, size, size, device=device_of(network)))
    for layer, maps in outputs.items():
        if maps.ndim != 4:
            raise NetworkError(
                "no-maps",
                f"deep supervision needs maps (N, C, H, W), and {layer} of {network.architecture} "
                f"gives {tuple(maps.shape)}: train it without 'auxiliary'",
            )
    return [maps.shape for maps in outputs.values()]


def _head(shape: torch.Size, classes: int, dropout: float) -> nn.Module:
    _, channels, height, width = shape
    pooled = min(height, width) >= 5
    across = ((height - 5) // 3 + 1) * ((width - 5) // 3 + 1) if pooled else height * width
    return nn.Sequential(
        nn.AvgPool2d(5, 3) if pooled else nn.Identity(),
        nn.Conv2d(channels, BOTTLENECK, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(BOTTLENECK * across, classes),
    )
