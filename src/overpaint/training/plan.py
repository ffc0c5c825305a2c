"""Plan: a recipe's words ("from mixed4a") resolved to the tensors of one network.

>>> from overpaint.networks import build
>>> network = build("inception_small", classes=("cat", "dog"), seed=0)
>>> plan(network, recipe("frozen")).summary()
'trains 386 of 158,594 parameters: head'
>>> plan(network, recipe("end_from_scratch")).first
'mixed3a'
"""

from bisect import bisect_right
from dataclasses import dataclass, replace

import torch

from overpaint.device import device_of
from overpaint.errors import NetworkError, nearest
from overpaint.networks import Network
from overpaint.networks.order import calls
from overpaint.study.recipe import Recipe, recipe

__all__ = ["Plan", "plan", "recipe"]

MIDDLE = 5 / 12
"""Where the paper's upper half begins: mixed4a is the sixth of its twelve layers."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which tensors of a network a training changes, and which it draws anew before."""

    trained: frozenset[str]
    reinitialised: frozenset[str]
    head: frozenset[str]
    first: str  # the first layer trained, or "head"
    span: str  # all that is trained, in words
    parameters: int
    parameters_in_all: int
    still: frozenset[str]  # modules that run before anything that is trained
    stages: tuple["Plan", ...] = ()  # of each stage, where the recipe has any

    def summary(self) -> str:
        """One line for people."""
        return f"trains {self.parameters:,} of {self.parameters_in_all:,} parameters: {self.span}"


def plan(network: Network, recipe: Recipe, *, new_head: bool = False) -> Plan:
    """Resolve a recipe on a network; raises NetworkError for a layer that it does not have.

    With `new_head` the head is drawn anew whatever the recipe says.
    """
    order = Order.of(network)
    head = order.tensors("head")
    reinitialised = order.tensors(recipe.reinit) | (head if new_head else frozenset())
    sizes = {name: weight.numel() for name, weight in network.body.named_parameters()}
    stages = []
    for stage in recipe.trainings():
        trained = order.tensors(stage.train)
        first, span = order.first_layer(stage.train), stage.train
        if stage.train.startswith("only "):
            # what was drawn at random is of no use unless it learns
            trained |= reinitialised & head
            span = stage.train.removeprefix("only ").replace(" to ", " … ")
            span += " and head" if reinitialised & head else ""
        elif stage.train != "head":
            span = f"{first} … head"
        stages.append(
            Plan(
                trained=trained,
                reinitialised=reinitialised,
                head=head,
                first=first,
                span=span,
                parameters=sum(size for name, size in sizes.items() if name in trained),
                parameters_in_all=sum(sizes.values()),
                still=order.before(trained),
            )
        )
    if len(stages) == 1:
        return stages[0]
    together = frozenset[str]().union(*(stage.trained for stage in stages))
    return replace(
        stages[0],
        trained=together,
        first=min((stage.first for stage in stages), key=[*network.layers, "head"].index),
        span=", then ".join(stage.span for stage in stages),
        parameters=sum(size for name, size in sizes.items() if name in together),
        still=order.before(together),
        stages=tuple(stages),
    )


@dataclass(frozen=True)
class Order:
    """A network's tensors by when the module that owns them first runs."""

    network: Network
    begins: dict[str, int]  # module -> tick
    ends: dict[str, int]

    @classmethod
    def of(cls, network: Network) -> "Order":
        """Watch one forward of a black picture."""
        size = network.preprocessing.size
        with torch.inference_mode():
            by_module = calls(
                network.body, torch.zeros(1, 3, size, size, device=device_of(network))
            )
        begins = {name: runs[0].begin for name, runs in by_module.items()}
        return cls(network, begins, {name: runs[-1].end for name, runs in by_module.items()})

    def tensors(self, words: str) -> frozenset[str]:
        """The tensors that "all", "head", "nothing", "from LAYER" or "only LAYER" means."""
        names = self.network.tensors()
        if words == "nothing":
            return frozenset()
        if words == "all":
            return frozenset(names)
        head = frozenset(name for name in names if self.network.in_head(name))
        if words == "head":
            return head
        start = self._start(self.first_layer(words))
        if words.startswith("from "):
            return head | {name for name in names if self._begin(name) >= start}
        last = self.network.layers.index(self._layer(words.rpartition(" ")[2], words))
        end = self.ends[self.network.layers[last]]
        block = frozenset(name for name in names if start <= self._begin(name) < end) - head
        if not block:
            raise NetworkError(
                "unknown-layer",
                f"a recipe goes '{words}', and {self.network.architecture} learns nothing there; "
                "the layers stand in the order in which they run: 'only FIRST to LAST'",
            )
        return block

    def first_layer(self, words: str) -> str:
        """The first layer that the words reach."""
        if words in ("head", "nothing"):
            return "head"
        return self.network.layers[0] if words == "all" else self._layer(words.split()[1], words)

    def before(self, trained: frozenset[str]) -> frozenset[str]:
        """The modules that have ended before the first trained tensor is used."""
        first = min((self._begin(name) for name in trained), default=0)
        return frozenset(name for name, end in self.ends.items() if end < first)

    def layer_numbers(self) -> dict[str, int]:
        """The number of the layer that each tensor belongs to; the head lies above the last."""
        ends = [self.ends[layer] for layer in self.network.layers]
        return {
            name: len(ends) if self.network.in_head(name) else bisect_right(ends, self._begin(name))
            for name in self.network.tensors()
        }

    def _layer(self, layer: str, words: str) -> str:
        layers = self.network.layers
        if layer == "middle":
            return layers[round(MIDDLE * len(layers))]
        if layer not in layers:
            raise NetworkError(
                "unknown-layer",
                f"a recipe goes '{words}', but {self.network.architecture} has no such layer; "
                f"{nearest(layer, layers)}",
            )
        return layer

    def _start(self, layer: str) -> int:
        """The tick at which the layer before has ended: all that runs later belongs to this one."""
        number = self.network.layers.index(layer)
        return self.ends[self.network.layers[number - 1]] if number else 0

    def _begin(self, tensor: str) -> int:
        """When the owner of a tensor first runs; one that never runs comes before all."""
        return self.begins.get(tensor.rpartition(".")[0], 0)


def set_modes(network: Network, plan: Plan) -> None:
    """Training mode where something is trained, evaluation mode for what lies before it.

    Frozen batch normalisation in training mode would move its statistics, and frozen dropout would
    add noise to what the trained part sees.
    """
    network.train()
    owners = {name.rpartition(".")[0] for name in plan.trained}
    for name, module in network.body.named_modules():
        has_statistics = any(True for _ in module.buffers(recurse=False))
        if name in plan.still or (has_statistics and name not in owners):
            module.train(False)
