"""LoRA: a frozen network learns by a pair of thin matrices beside each kernel, merged at the end.

W x + (α / r) B A x, where A has r rows and B, which begins at 0, r columns. The adapters are those
of the library peft; what is saved as the network is the merged one, W + (α / r) B A in the place of
W, of the same architecture as any other, and the adapter lies beside it in peft's own format.

Source: Hu et al. 2021, "LoRA: low-rank adaptation of large language models".
"""

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from overpaint.errors import MissingExtraError, NetworkError, nearest
from overpaint.measures.anatomy import as_matrix, effective_rank, singular_values
from overpaint.networks import Network
from overpaint.networks.network import seeded
from overpaint.networks.parts import kernel_layer
from overpaint.records import LoraRow, whole_folder
from overpaint.seeds import seed_for
from overpaint.study.recipe import Lora
from overpaint.training.plan import Order, Plan

ADAPTER = "default"
"""What peft calls an adapter that has no name."""

ATTENTION = re.compile(r"(^|\.)\w*(attn|attention)\w*\.")


def check_peft() -> None:
    """Raises MissingExtraError where peft, or what it needs, is not installed."""
    try:
        import peft  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "missing-extra",
            f"a recipe with lora needs an extra ({error}): python -m pip install 'overpaint[lora]'",
        ) from None


# --- where ---------------------------------------------------------------------------------------


def adaptable(network: Network) -> dict[str, nn.Linear | nn.Conv2d]:
    """The linear layers and convolutions of the backbone to which an adapter can be added, so that
    merged and unmerged are one function.

    Not: kernels in groups, whose adapters peft does not merge; kernels that are changed before
    they are used (standardised, parametrised), padded by the layer itself, or used without calling
    the layer; and tensors that two layers share.
    """
    called = Order.of(network).begins
    uses = Counter(
        id(parameter) for _, parameter in network.body.named_parameters(remove_duplicate=False)
    )
    return {
        name: module
        for name, module in network.body.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
        and type(module).forward in (nn.Linear.forward, nn.Conv2d.forward)
        and getattr(type(module), "_conv_forward", None) in (None, nn.Conv2d._conv_forward)  # noqa: SLF001
        and getattr(module, "groups", 1) == 1
        and getattr(module, "padding_mode", "zeros") == "zeros"
        and not parametrize.is_parametrized(module)
        and name in called
        and uses[id(module.weight)] == 1
        and not network.in_head(f"{name}.")
    }


def adapted(network: Network, lora: Lora) -> list[str]:
    """The modules that the words of `where` mean, in the order in which they are defined.

    >>> from overpaint.networks import build
    >>> network = build("inception_small", classes=("cat", "dog"), seed=0)
    >>> adapted(network, Lora(where="mixed3a"))[:2]
    ['mixed3a_3x3_bottleneck_pre_relu.0', 'mixed3a_5x5_bottleneck_pre_relu.0']

    auto: all linear layers where these hold most of the weights (transformers), else all
    convolutions. Raises NetworkError: `no-lora` where nothing can be adapted, `unknown-layer` for a
    name that the network does not have.
    """
    candidates = adaptable(network)
    if not candidates:
        raise NetworkError(
            "no-lora",
            f"{network.architecture} has no linear layer and no convolution that LoRA can adapt: "
            "train it whole, or its head",
        )
    linear = [name for name, module in candidates.items() if isinstance(module, nn.Linear)]
    convolutions = [name for name in candidates if name not in linear]
    kinds = {
        "all": list(candidates),
        "linear": linear,
        "convolutions": convolutions,
        "attention": [name for name in linear if ATTENTION.search(f"{name}.")],
    }
    sizes = {name: module.weight.numel() for name, module in candidates.items()}
    mostly_linear = sum(sizes[name] for name in linear) >= sum(sizes.values()) / 2
    kinds["auto"] = linear if mostly_linear else convolutions
    chosen: set[str] = set()
    for word in lora.where:
        matching = kinds.get(word)
        if matching is None:
            matching = [name for name in candidates if _is_meant(word, name)]
        if not matching:
            raise _nothing_there(network, word, kinds)
        chosen.update(matching)
    return [name for name in candidates if name in chosen]


def _is_meant(word: str, name: str) -> bool:
    """Whether a word is a module's name, the end of it, or a layer that it lies in."""
    padded = f".{name}."
    return padded.endswith(f".{word}.") or padded.startswith((f".{word}.", f".{word}_"))


def _nothing_there(network: Network, word: str, kinds: dict[str, list[str]]) -> NetworkError:
    names = [name for name, _ in network.body.named_modules() if name]
    if word in kinds:
        why = f"{network.architecture} has none of these that can be adapted"
    elif any(_is_meant(word, name) for name in names):
        why = (
            "there is no linear layer or convolution there whose adapter could be merged: kernels "
            "in groups have none, nor such that are changed before they are used"
        )
    else:
        return NetworkError(
            "unknown-layer",
            f"lora goes 'where: {word}', and {network.architecture} has no such module; "
            f"{nearest(word, [*kinds, *network.layers, *kinds['all']])}",
        )
    return NetworkError("no-lora", f"lora goes 'where: {word}', and {why}")


def lora_plan(network: Network, plan: Plan, lora: Lora) -> Plan:
    """What a training by adapters changes: the adapted kernels, once merged, and the head."""
    check_peft()
    modules = adapted(network, lora)
    order = Order.of(network)
    trained = plan.head | {f"{name}.weight" for name in modules}
    sizes = {name: weight.numel() for name, weight in network.body.named_parameters()}
    thin = 0
    for name in modules:
        weight = network.body.get_parameter(f"{name}.weight")
        thin += lora.rank * (weight.shape[0] + weight[0].numel())
    many = f"{len(modules)} kernels" if len(modules) > 1 else "1 kernel"
    return replace(
        plan,
        trained=trained,
        span=f"LoRA of rank {lora.rank} beside {many}, and head",
        parameters=thin + sum(size for name, size in sizes.items() if name in plan.head),
        still=order.before(trained),
    )


# --- adapters ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """The adapters of a trained network: what they became, and what peft needs to load them."""

    rows: list[LoraRow]
    tensors: dict[str, Tensor]  # by peft's names
    config: Any  # peft's LoraConfig

    def save(self, folder: Path) -> None:
        """Write adapter_model.safetensors and adapter_config.json, as peft reads them."""
        with whole_folder(folder) as draft:
            safetensors.torch.save_file(self.tensors, draft / "adapter_model.safetensors")
            self.config.save_pretrained(draft)


class Adapting:
    """A network with adapters in it, from their drawing until they are merged.

    `plan` names the tensors as they are called while the adapters are there.
    """

    def __init__(self, network: Network, the_plan: Plan, lora: Lora, *, seed: int) -> None:
        check_peft()
        from peft import LoraConfig, LoraModel

        self.network, self.lora = network, lora
        self.modules = adapted(network, lora)
        self.config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,  # type: ignore[arg-type]  # peft divides it by r
            lora_dropout=lora.dropout,
            # a pattern, since peft takes names in a list for the ends of names
            target_modules="|".join(map(re.escape, self.modules)),
        )
        before = set(network.tensors())
        with seeded(seed_for(seed, "lora")):
            self.tuner = LoraModel(network.body, self.config, ADAPTER)
        adapters = {
            name for name in network.tensors().keys() - before if ".base_layer." not in name
        }
        self.plan = replace(the_plan, trained=the_plan.head | adapters)

    def merge(self) -> Adapter:
        """Put the sum in the place of each kernel, and the layers back in the place of peft's."""
        rows, tensors = [], {}
        for position, name in enumerate(self.modules):
            layer: Any = self.network.body.get_submodule(name)
            weight = layer.base_layer.weight.detach()
            with torch.no_grad():
                change = layer.get_delta_weight(ADAPTER).cpu()
            values = singular_values(as_matrix(change.numpy()))
            norm, size = float(change.double().norm()), float(weight.double().norm())
            rows.append(
                LoraRow(
                    layer=kernel_layer(f"{name}.weight"),
                    position=position,
                    kernel=f"{name}.weight",
                    rank=self.lora.rank,
                    alpha=self.lora.alpha,
                    parameters=self.lora.rank * (weight.shape[0] + weight[0].numel()),
                    directions=len(values),
                    norm=norm,
                    norm_relative=norm / size if size else None,
                    effective_rank=effective_rank(values) if norm else None,
                )
            )
            for part in ("lora_A", "lora_B"):
                thin = getattr(layer, part)[ADAPTER].weight.detach().cpu().contiguous()
                tensors[f"base_model.model.{name}.{part}.weight"] = thin
        self.tuner.merge_and_unload()
        vars(self.network.body).pop("peft_config", None)  # a note that older versions leave
        return Adapter(rows=rows, tensors=tensors, config=self.config)
