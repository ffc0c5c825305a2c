"""Variants: a network with weights that are not its own, run without a copy of the network.

>>> from overpaint.networks import build
>>> network = build("inception_small", classes=("cat", "dog"), seed=0)
>>> by_layer = tensors_by_layer(network)
>>> list(by_layer) == list(network.layers), by_layer["conv2d0"][0]
(True, 'conv2d0_pre_relu.0.weight')
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from overpaint.causes.onwards import Onwards
from overpaint.datasets import Split
from overpaint.device import device_of, exact, on_best_device
from overpaint.errors import NetworkError
from overpaint.networks import Network
from overpaint.networks.order import back_to, calls
from overpaint.pixels.batches import as_float, at_device, in_order, pixels_of

BATCH = 32
"""Pictures of a forward."""


def tensors_by_layer(network: Network) -> dict[str, tuple[str, ...]]:
    """The names of the weights and statistics that work in each layer, the head's left out.

    A layer is all that runs after the layer before it has given its output, up to its own. What
    runs behind the last layer and is not of the head counts to the last; what no forward in
    evaluation mode uses (an auxiliary head) to none. Together the layers hold all that decides
    what the head is given.
    """
    size = network.preprocessing.size
    with torch.inference_mode():
        picture = torch.zeros(1, 3, size, size, device=device_of(network))
        by_module = calls(network.body, network.normalise(picture))
    ends = sorted((by_module[layer][0].end, layer) for layer in network.layers)
    names: dict[str, list[str]] = {layer: [] for layer in network.layers}
    for tensor in network.tensors():
        module, _, _ = tensor.rpartition(".")
        if network.in_head(tensor) or module not in by_module:
            continue
        begin = by_module[module][0].begin
        later = (layer for end, layer in ends if end > begin)
        names[next(later, ends[-1][1])].append(tensor)
    return {layer: tuple(tensors) for layer, tensors in names.items()}


def check_same_backbone(before: Network, after: Network) -> None:
    """Raises NetworkError, `other-backbone`, unless all weights but the heads' have the same names
    and shapes: only then can those of one stand in the other.
    """
    old, new = ({
        name: tuple(tensor.shape)
        for name, tensor in network.tensors().items()
        if not network.in_head(name)
    } for network in (before, after))  # fmt: skip
    if old != new:
        names = [*old, *new]
        name = next(name for name in names if old.get(name) != new.get(name))
        raise NetworkError(
            "other-backbone",
            f"weights of {before.architecture} cannot stand in {after.architecture}: {name} is "
            f"{old.get(name, 'not there')} before and {new.get(name, 'not there')} after; this "
            "takes two networks of one architecture",
        )


def check_head(network: Network, images: Split) -> None:
    """Raises NetworkError, `classes-differ`, where a network names others than the classes of the
    images: then it has no score on them. One that names none is taken as it is.
    """
    if network.classes and tuple(network.classes) != tuple(images.classes):
        pairs = zip_longest(network.classes, images.classes, fillvalue="none")
        number, pair = next((at, pair) for at, pair in enumerate(pairs) if pair[0] != pair[1])
        raise NetworkError(
            "classes-differ",
            f"the network names {len(network.classes)} classes and {images.dataset} has "
            f"{len(images.classes)}; class {number} is {pair[0]!r} there and {pair[1]!r} here: it "
            "has a score on pictures of the classes that it was fitted to, in their order",
        )


@dataclass(frozen=True, eq=False)
class Said:
    """What a network says of a split: logits in float64, [N, C]."""

    logits: NDArray[np.float64]
    multi_label: bool

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Softmax, or a sigmoid a label."""
        logits = torch.from_numpy(self.logits)
        return (logits.sigmoid() if self.multi_label else logits.softmax(dim=1)).numpy()

    def losses(self, labels: NDArray[np.int64]) -> NDArray[np.float64]:
        """The cross-entropy of each picture [N], in nats; of several labels the mean."""
        logits, target = torch.from_numpy(self.logits), torch.from_numpy(np.asarray(labels))
        if self.multi_label:
            of_labels = nn.functional.binary_cross_entropy_with_logits(
                logits, target.double(), reduction="none"
            )
            return of_labels.mean(dim=1).numpy()
        return nn.functional.cross_entropy(logits, target, reduction="none").numpy()


def said_of(network: Network, split: Split, tensors: Mapping[str, Tensor] | None = None) -> Said:
    """What a network says of a split, with these weights and statistics in the place of its own.

    In evaluation mode, on the best device, float32. The network is afterwards as it was.
    """
    [said] = said_of_each(network, split, [Variant(tensors=tensors or {})])
    return said


@dataclass(frozen=True, eq=False, kw_only=True)
class Variant:
    """Weights and statistics in the place of a network's own, by name.

    Up to the layer `behind`, which is None of a variant that is run whole, the network so says what
    it says with those of the variant of the number `like`, which stands before this one.
    """

    tensors: Mapping[str, Tensor]
    behind: str | None = None
    like: int = 0


def said_of_each(
    network: Network,
    split: Split,
    variants: Sequence[Variant],
    progress: Callable[[int, int], None] | None = None,
) -> list[Said]:
    """What a network says of a split with the tensors of each of some variants; as `said_of` of
    each, bit for bit, but what two say alike is reckoned once. Where one begins behind a layer, the
    first has no tensors.
    """
    pixels = pixels_of(split, network.preprocessing)
    pixels.keep()
    modes = [(module, module.training) for module in network.modules()]
    parts: list[list[Tensor]] = [[] for _ in variants]
    begun_from = {variant.like for variant in variants if variant.behind}
    able: set[str] | None = None
    try:
        with on_best_device(network) as device, torch.inference_mode(), exact():
            onwards = Onwards(network) if begun_from else None
            # each once, however many variants have it
            there = {
                id(tensor): tensor.to(device)
                for variant in variants
                for tensor in variant.tensors.values()
            }
            running = [
                _Variant(
                    network, {name: there[id(tensor)] for name, tensor in each.tensors.items()}
                )
                for each in variants
            ]
            pixels.draw(None, crop=False, flip=False)
            order = in_order(len(pixels), BATCH)
            for number, (batch, _) in enumerate(at_device(pixels, order, device), start=1):
                images = as_float(batch, device)
                outputs: dict[int, dict[str, Tensor]] = {}
                for at, (variant, run) in enumerate(zip(variants, running, strict=True)):
                    if number == 1 or len(running) > 1:  # another has run since
                        run.forget()
                    if onwards and able is None:
                        able = onwards.tried(run, images)
                    if onwards and able and variant.behind in able:
                        with onwards.behind(variant.behind, outputs[variant.like][variant.behind]):
                            logits = run(images)
                    elif onwards and at in begun_from:
                        with onwards.recording() as outputs[at]:
                            logits = run(images)
                    else:
                        logits = run(images)
                    parts[at].append(logits.double().cpu())
                if progress:
                    progress(number, len(order))
    finally:
        network.train()  # what was computed from other weights in evaluation mode is forgotten
        back_to(modes)
    return [Said(torch.cat(part).numpy(), split.multi_label) for part in parts]


class _Variant(nn.Module):
    """A network that runs with other tensors, by their names in its body."""

    def __init__(self, network: Network, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.network = network
        self.tensors = {f"body.{name}": tensor for name, tensor in tensors.items()}

    def forget(self) -> None:
        """Have nothing remembered that came from other weights."""
        self.network.train()
        self.network.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W), RGB, 0..1 -> logits (N, classes)."""
        logits: Tensor = functional_call(self.network, self.tensors, (images,))
        return logits
