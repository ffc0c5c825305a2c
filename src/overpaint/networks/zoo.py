"""The image classifiers of timm and torchvision, by name, with their stages as layers.

What cannot be had is refused by name and with its reason (`REFUSED`).
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from typing import Any

import timm
import torch
import torchvision
from timm.data import resolve_model_data_config  # type: ignore[attr-defined]
from torch import nn
from torchvision.models import VisionTransformer

from overpaint.errors import NetworkError, nearest
from overpaint.networks import described
from overpaint.networks.layouts import Layout, layouts_of, wake
from overpaint.networks.order import Run, runs
from overpaint.networks.parts import Parts, Preprocessing

REFUSED: dict[str, str] = {
    "timm:*_enc": "it is the encoder of a language model and has no classifier",
    "timm:*_sapiens2": "it takes pictures that are not square",
}
"""Networks that are not to be had, as patterns of names, and why."""


def parts(architecture: str, classes: int) -> Parts:
    """A network of the zoo with random weights and a head for so many classes."""
    plan = _plan(architecture)
    body = _create(architecture, classes=classes)
    for head in plan.heads[1:]:
        # A network may average several heads. What fills the first alone knows of one: the others
        # are to say nothing until they are trained or filled.
        module = body.get_submodule(head)
        for parameter in module.parameters(recurse=False):
            nn.init.zeros_(parameter)
    return plan.parts(body, _preprocessing(architecture, body))


def pretrained(architecture: str) -> tuple[Parts, int]:
    """A network of the zoo with its published weights, and the number of its classes.

    Weights that were published without a classifier, as DINOv2's, get one for a single class.
    """
    plan = _plan(architecture)
    source, _, name = architecture.partition(":")
    bare = source == "timm" and _published_bare(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = _create(architecture, classes=1 if bare else None, pretrained=True)
    network = plan.parts(body, _preprocessing(architecture, body))
    return network, head_classes(body, network.head)


def address(architecture: str) -> str:
    """Where the published weights of a network of the zoo lie, or "" when none are published."""
    source, _, name = architecture.partition(":")
    if source == "torchvision":
        return str(torchvision.models.get_model_weights(name).DEFAULT.url)
    if name.startswith(described.HUB):
        repository = name.removeprefix(described.HUB)
        return f"https://huggingface.co/{repository}/resolve/main/model.safetensors"
    published = timm.get_pretrained_cfg(name)
    if published is None:
        return ""
    if published.hf_hub_id:
        file = published.hf_hub_filename or "model.safetensors"
        return f"https://huggingface.co/{published.hf_hub_id}/resolve/main/{file}"
    return str(published.url or "")


def head_classes(body: nn.Module, head: str) -> int:
    """The number of classes that a head tells apart."""
    return int(body.get_parameter(f"{head}.weight").shape[0])


# --- names -----------------------------------------------------------------------------------


def _check(architecture: str) -> None:
    """Raise NetworkError for a name that there is not, or that is refused."""
    source, _, name = architecture.partition(":")
    if source == "torchvision":
        classifiers = torchvision.models.list_models(module=torchvision.models)
        if name not in classifiers:
            message = f"torchvision has no image classifier {name!r}; {nearest(name, classifiers)}"
            raise NetworkError("unknown-architecture", message)
    else:
        config = described.config_of(name)
        architecture = config["architecture"] if config else name
        base, _, tag = architecture.partition(".")
        if not timm.is_model(base):
            hint = nearest(base, timm.list_models())
            raise NetworkError("unknown-architecture", f"timm has no model {base!r}; {hint}")
        tagged = timm.list_models(f"{base}.*", include_tags=True) if tag else []
        tags = [full.partition(".")[2] for full in tagged]
        if tag and tag not in tags:
            raise NetworkError(
                "unknown-tag", f"timm's {base} has no weights {tag!r}; {nearest(tag, tags)}"
            )
        name = base
    for pattern, reason in REFUSED.items():
        if fnmatch(f"{source}:{name}", pattern):
            raise NetworkError("unsupported-network", f"{source}:{name} is not to be had: {reason}")


def _published_bare(name: str) -> bool:
    published = None if described.is_described(name) else timm.get_pretrained_cfg(name)
    return published is not None and published.num_classes == 0


# --- making ----------------------------------------------------------------------------------


def _create(architecture: str, *, classes: int | None, pretrained: bool = False) -> Any:
    """A network of the zoo, as its library makes it; with `classes` of another number of them."""
    source, _, name = architecture.partition(":")
    options: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    if source == "timm":
        if config := described.config_of(name):
            options = {**config.get("model_args", {}), **options}
            published = config.get("pretrained_cfg") or {
                key: value for key, value in config.items() if key != "architecture"
            }
            return timm.create_model(
                config["architecture"], pretrained=False, pretrained_cfg=published, **options
            )
        return timm.create_model(name, pretrained=pretrained, **options)
    weights = torchvision.models.get_model_weights(name).DEFAULT if pretrained else None
    if not pretrained and name in ("googlenet", "inception_v3"):
        options |= _AS_PUBLISHED
    body = torchvision.models.get_model(name, weights=weights, **options)
    if pretrained and name == "inception_v3":  # it alone keeps its auxiliary head
        body.aux_logits, body.AuxLogits = False, None
    return body


_AS_PUBLISHED = {"aux_logits": False, "transform_input": True, "init_weights": True}
"""The published weights of these two change what they are given: so does a child of theirs."""


def _preprocessing(architecture: str, body: Any) -> Preprocessing:
    source, _, name = architecture.partition(":")
    if source == "timm":
        config = resolve_model_data_config(body)
        size = config["input_size"][-1]
        return Preprocessing(
            size=size,
            resize=int(size / config["crop_pct"]),
            interpolation=config["interpolation"]
            if config["interpolation"] in _INTERPOLATIONS
            else "bicubic",
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
            crop_mode=config["crop_mode"]
            if config["crop_mode"] in ("squash", "border")
            else "center",
        )
    transforms = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    return Preprocessing(
        size=transforms.crop_size[0],
        resize=transforms.resize_size[0],
        interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )


_INTERPOLATIONS = ("bilinear", "bicubic", "lanczos")


# --- looking at a network once -----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is known of all networks of one name, whatever their weights and classes."""

    layers: tuple[str, ...]
    filters: dict[str, tuple[str, ...]]
    heads: tuple[str, ...]  # the modules whose weights have a row a class, the first one first
    layouts: dict[str, Layout]
    any_size: bool
    prefix_tokens: int
    channels_last: bool

    def parts(self, body: nn.Module, preprocessing: Preprocessing) -> Parts:
        """The parts of a body of this name."""
        return Parts(
            body,
            self.layers,
            self.heads[0],
            preprocessing,
            filters=dict(self.filters),
            any_size=self.any_size,
            prefix_tokens=self.prefix_tokens,
            channels_last=self.channels_last,
            more_heads=self.heads[1:],
            layouts=self.layouts,
        )


def _plan(architecture: str) -> _Plan:
    _check(architecture)
    return _look(architecture)


@lru_cache(maxsize=64)
def _look(architecture: str) -> _Plan:
    """Look at a network of random weights, the same each time, that is thrown away afterwards."""
    # whatever the device that the network itself is made on
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        body = _create(architecture, classes=2)
        return _looked_at(architecture, body)


def _looked_at(architecture: str, body: Any) -> _Plan:
    size = _preprocessing(architecture, body).size
    heads = _heads(architecture, body)
    prefix_tokens, stages = 0, list[str]()
    if isinstance(body, VisionTransformer):
        prefix_tokens = 1
        stages = [f"encoder.layers.{block}" for block, _ in body.encoder.layers.named_children()]
    elif architecture.startswith("timm:"):
        # class and register tokens; the few networks that do not count them have a class token
        has_class_token = any("cls_token" in name for name, _ in body.named_parameters())
        prefix_tokens = int(getattr(body, "num_prefix_tokens", has_class_token))
        modules = dict(body.named_modules())
        info = [stage["module"] for stage in getattr(body, "feature_info", []) or []]
        stages = [name for name in info if name in modules]
    with torch.inference_mode():
        all_runs = runs(body, torch.zeros(1, 3, size, size))
    any_size = _any_size(body, size)
    wake(body)
    layouts = layouts_of(body, size=size, prefix_tokens=prefix_tokens, steady=True)
    layers, filters = _layers(body, all_runs, layouts, stages, heads)
    if len(layers) < 2:
        raise NetworkError(
            "no-layers",
            f"{architecture} has {len(layers)} modules that run once and say something of each "
            "picture: nothing could be compared by layer",
        )
    return _Plan(
        layers=tuple(layers),
        filters={layer: filters[layer] for layer in layers if filters.get(layer)},
        heads=heads,
        layouts=layouts,
        any_size=any_size,
        prefix_tokens=prefix_tokens,
        channels_last=any(layouts[layer].order == "NHWC" for layer in layers),
    )


def _heads(architecture: str, body: Any) -> tuple[str, ...]:
    """The modules whose weights have a row a class: those that differ where classes do.

    Of several, what the network itself calls its classifier comes first.
    """
    try:
        with torch.device("meta"):
            larger = _create(architecture, classes=3).state_dict()
    except NotImplementedError:  # it reckons with tensors while it is made, as torchvision's RegNet
        larger = _create(architecture, classes=3).state_dict()
    names = [
        name
        for name, tensor in body.state_dict().items()
        if tensor.shape != larger[name].shape and name.endswith(".weight")
    ]
    heads = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
    if not heads or any(len(body.get_parameter(f"{head}.weight")) != 2 for head in heads):
        raise NetworkError(
            "unsupported-network", f"{architecture} is not to be had: it has no linear classifier"
        )
    if hasattr(body, "get_classifier"):
        classifier = body.get_classifier()
        first = classifier[0] if isinstance(classifier, tuple) else classifier
        inside = set(first.modules()) if isinstance(first, nn.Module) else set()
        heads.sort(key=lambda head: body.get_submodule(head) not in inside)
    return tuple(heads)


# --- stages ------------------------------------------------------------------------------------


def _layers(
    body: nn.Module,
    all_runs: Sequence[Run],
    readable: Collection[str],
    stages: Sequence[str],
    heads: Sequence[str],
) -> tuple[list[str], Mapping[str, tuple[str, ...]]]:
    """The layers worth reading in the order in which they end, and the modules of their filters.

    The stages that a network names itself; else the children that hold its parameters; else, where
    it calls none of these, what lies inside of them.
    """

    def in_order(names: Collection[str]) -> list[str]:
        return [run.name for run in all_runs if run.name in names and run.name in readable]

    by_stage = in_order(stages)
    if len(by_stage) > 1:
        return by_stage, {}
    filters = dict(read_after_activation(body, _stages(body, heads[0]), all_runs))
    by_child = in_order(filters)
    if len(by_child) > 1 and not by_stage:
        return by_child, filters
    opened = _opened(body, [*stages] or [name for name, _ in body.named_children()], all_runs)
    deeper = in_order([name for name in opened if name not in heads])
    return max(by_stage, deeper, by_child, key=len), filters


def _opened(body: nn.Module, names: Sequence[str], all_runs: Sequence[Run]) -> Iterator[str]:
    """The modules; of a list that is never called itself, those in it."""
    called = {run.name for run in all_runs}
    for name in names:
        children = [f"{name}.{child}" for child, _ in body.get_submodule(name).named_children()]
        if name in called or not children:
            yield name
        else:
            yield from _opened(body, children, all_runs)


def _stages(body: nn.Module, head: str) -> Iterator[str]:
    """The children that hold parameters; one that holds nearly all of them is opened."""
    backbone = {
        name: sum(parameter.numel() for parameter in module.parameters())
        for name, module in body.named_children()
        if name != head.partition(".")[0]
    }
    for name, size in backbone.items():
        if size > 0.9 * sum(backbone.values()):
            opened = _stages(body.get_submodule(name), "")
            yield from (f"{name}.{inner}" for inner in opened)
        elif size:
            yield name


_NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)  # noqa: SLF001 - all of its kind
_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish)


def read_after_activation(
    body: nn.Module, stages: Iterator[str], all_runs: Sequence[Run]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The stages, each bare convolution read where its activation ends, with its filters' module.

    A bare normalisation that leads to no activation is no layer of its own.
    """
    modules = dict(body.named_modules())
    for stage in stages:
        module = modules[stage]
        if isinstance(module, nn.Conv2d):
            yield _activation_of(stage, modules, all_runs), (stage,)
        elif not isinstance(module, _NORMS):
            yield stage, ()


def _activation_of(stage: str, modules: dict[str, nn.Module], all_runs: Sequence[Run]) -> str:
    """The activation that takes what a convolution gives, straight or normalised; or itself."""
    times = Counter(run.name for run in all_runs)
    leaves = [run for run in all_runs if not any(modules[run.name].children())]
    number = next((n for n, run in enumerate(leaves) if run.name == stage), len(leaves))
    for before, run in zip(leaves[number:], leaves[number + 1 :], strict=False):
        module = modules[run.name]
        if run.input is not before.output or times[run.name] > 1:
            break
        if isinstance(module, _ACTIVATIONS):
            return run.name
        if not isinstance(module, _NORMS):
            break
    return stage


def _any_size(body: nn.Module, size: int) -> bool:
    """Whether a network takes pictures half as large again; a vision transformer does not."""
    body.eval()
    try:
        with torch.inference_mode():
            body(torch.zeros(1, 3, size + size // 2, size + size // 2))
    except Exception:  # each network has its own way to refuse
        return False
    return True
