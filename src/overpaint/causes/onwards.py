"""Onwards: forwards that begin behind a layer, from what it gave in an earlier forward.

A network with other weights from one layer on says the same as the network itself up to there. What
runs before is not run again: its modules give zeros of the right form, which cost next to nothing,
and the layer gives what it gave. Whether nothing else reaches past the layer is tried, not assumed:
with its own weights the network must so come to the very logits of a whole forward.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from overpaint.device import device_of
from overpaint.networks import Network
from overpaint.networks.order import calls

Forward = Callable[[Tensor], Tensor]
"""Images -> logits, by the network with whatever weights."""


class Onwards:
    """The layers of a network behind which a forward can begin, and how."""

    def __init__(self, network: Network) -> None:
        size = network.preprocessing.size
        with torch.inference_mode():
            picture = torch.zeros(1, 3, size, size, device=device_of(network))
            ticks = calls(network.body, network.normalise(picture))
        once = {name: its[0] for name, its in ticks.items() if len(its) == 1}
        modules = dict(network.body.named_modules())
        self.layers = {layer: modules[layer] for layer in network.layers if layer in once}
        self.skipped: dict[str, list[nn.Module]] = {}
        self.forms: dict[nn.Module, Any] = {}  # what modules gave last, without memory
        self.blank: dict[torch.dtype, Tensor] = {}
        for layer in self.layers:
            outermost: list[str] = []
            for name in sorted(once, key=lambda module: once[module].begin):
                if once[name].end < once[layer].begin and not any(
                    name.startswith(f"{above}.") for above in outermost
                ):
                    outermost.append(name)
            self.skipped[layer] = [modules[name] for name in outermost]

    @contextmanager
    def recording(self) -> Iterator[dict[str, Tensor]]:
        """In the block a whole forward is run; afterwards the dictionary has what layers gave."""
        outputs: dict[str, Tensor] = {}

        def output_of(layer: str) -> Callable[..., None]:
            def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
                if isinstance(output, Tensor):
                    outputs[layer] = output.clone()  # a later operation in place may change it

            return keep

        def keep_form(module: nn.Module, _inputs: Any, output: Any) -> None:
            self.forms[module] = tree_map(
                lambda leaf: leaf.to("meta") if isinstance(leaf, Tensor) else leaf, output
            )

        with ExitStack() as stack:
            for module in {part for parts in self.skipped.values() for part in parts}:
                stack.callback(module.register_forward_hook(keep_form).remove)
            for layer, module in self.layers.items():
                stack.callback(module.register_forward_hook(output_of(layer)).remove)
            yield outputs

    @contextmanager
    def behind(self, layer: str, output: Tensor) -> Iterator[None]:
        """In the block a forward begins behind a layer, with this as what the layer gave."""

        def zeros(leaf: Any) -> Any:
            return self._zeros(leaf, output.device) if isinstance(leaf, Tensor) else leaf

        def giving_zeros(module: nn.Module) -> Callable[..., Any]:
            return lambda *_inputs, **_options: tree_map(zeros, self.forms[module])

        with ExitStack() as stack:
            for module in self.skipped[layer]:
                stack.enter_context(_forward(module, giving_zeros(module)))
            stack.enter_context(
                _forward(self.layers[layer], lambda *_inputs, **_options: output.clone())
            )
            yield

    def _zeros(self, form: Tensor, device: torch.device) -> Tensor:
        """All zeros are in one memory, as large as the largest: nothing that is read comes of them,
        and to lay out new ones would take a seventh of the time.
        """
        size = sum((n - 1) * step for n, step in zip(form.shape, form.stride(), strict=True)) + 1
        flat = self.blank.get(form.dtype)
        if flat is None or flat.numel() < size:
            flat = self.blank[form.dtype] = torch.zeros(size, dtype=form.dtype, device=device)
        return flat.as_strided(form.shape, form.stride())

    def tried(self, forward: Forward, images: Tensor) -> set[str]:
        """The layers behind which a forward can begin, seen on some images."""
        with self.recording() as outputs:
            whole = forward(images)
        able = set()
        for layer, output in outputs.items():
            # whatever a network does with zeros, there are whole forwards for it
            with suppress(Exception), self.behind(layer, output):
                if torch.equal(forward(images), whole):
                    able.add(layer)
        return able


@contextmanager
def _forward(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """In the block a module does this instead of what it does."""
    before = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if before is None:
            del module.forward
        else:
            module.forward = before
