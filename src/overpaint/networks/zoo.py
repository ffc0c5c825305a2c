"""Any image network of timm and torchvision, by name, with its stages as layers."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import timm
import torch
import torchvision
from timm.data import resolve_model_data_config  # type: ignore[attr-defined]
from torch import nn
from torchvision.models import VisionTransformer

from overpaint.errors import NetworkError, nearest
from overpaint.networks.order import Run, runs
from overpaint.networks.parts import Parts, Preprocessing


def parts(architecture: str, classes: int) -> Parts:
    """A network of the zoo with random weights and a head for so many classes."""
    source, _, name = architecture.partition(":")
    return _timm(name, classes) if source == "timm" else _torchvision(name, classes)


def pretrained(architecture: str) -> tuple[Parts, int]:
    """A network of the zoo with its published weights, and the number of its classes.

    Weights that were published without a classifier, as DINOv2's, get one for a single class.
    """
    source, _, name = architecture.partition(":")
    network = _timm_pretrained(name) if source == "timm" else _torchvision_pretrained(name)
    return network, head_classes(network.body, network.head)


def address(architecture: str) -> str:
    """Where the published weights of a network of the zoo lie, or "" when none are published."""
    source, _, name = architecture.partition(":")
    if source == "torchvision":
        return str(torchvision.models.get_model_weights(name).DEFAULT.url)
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


# --- timm ------------------------------------------------------------------------------------


def _check_timm(name: str) -> None:
    if not timm.is_model(name.split(".", maxsplit=1)[0]):
        hint = nearest(name, timm.list_models())
        raise NetworkError("unknown-architecture", f"timm has no model {name!r}; {hint}")


def _timm(name: str, classes: int) -> Parts:
    _check_timm(name)
    model: Any = timm.create_model(name, pretrained=False, num_classes=classes)
    for head in _heads(model)[1:]:
        # A distilled network averages two heads. What trains the head alone knows of one:
        # the other is to say nothing until it is trained or filled.
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
    return _timm_parts(model)


def _timm_pretrained(name: str) -> Parts:
    _check_timm(name)
    published = timm.get_pretrained_cfg(name)
    bare = published is not None and published.num_classes == 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        options: dict[str, Any] = {"num_classes": 1} if bare else {}
        return _timm_parts(timm.create_model(name, pretrained=True, **options))


def _heads(model: Any) -> tuple[Any, ...]:
    """The classifiers of a network of timm: one, or two of a distilled network."""
    heads = model.get_classifier()
    return heads if isinstance(heads, tuple) else (heads,)


def _timm_parts(model: Any) -> Parts:
    classifier = _heads(model)[0]
    head = next(name for name, module in model.named_modules() if module is classifier)
    config = resolve_model_data_config(model)
    size = config["input_size"][-1]
    preprocessing = Preprocessing(
        size=size,
        resize=int(size / config["crop_pct"]),
        interpolation=config["interpolation"]
        if config["interpolation"] in _INTERPOLATIONS
        else "bicubic",
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )
    info = [stage["module"] for stage in getattr(model, "feature_info", []) or []]
    stages = [name for name in info if name in dict(model.named_modules())]
    # class and register tokens; the few networks that do not count them have a class token
    has_class_token = any("cls_token" in name for name, _ in model.named_parameters())
    prefix_tokens = int(getattr(model, "num_prefix_tokens", has_class_token))
    return _parts(model, head, preprocessing, stages, prefix_tokens)


_INTERPOLATIONS = ("bilinear", "bicubic", "lanczos")


# --- torchvision -----------------------------------------------------------------------------


def _check_torchvision(name: str) -> None:
    classifiers = torchvision.models.list_models(module=torchvision.models)
    if name not in classifiers:
        message = f"torchvision has no image classifier {name!r}; {nearest(name, classifiers)}"
        raise NetworkError("unknown-architecture", message)


def _torchvision(name: str, classes: int) -> Parts:
    _check_torchvision(name)
    options = _AS_PUBLISHED if name in ("googlenet", "inception_v3") else {}
    body = torchvision.models.get_model(name, weights=None, num_classes=classes, **options)
    return _torchvision_parts(body, name)


_AS_PUBLISHED = {"aux_logits": False, "transform_input": True, "init_weights": True}
"""The published weights of these two change what they are given: so does a child of theirs."""


def _torchvision_pretrained(name: str) -> Parts:
    _check_torchvision(name)
    weights = torchvision.models.get_model_weights(name).DEFAULT
    body = torchvision.models.get_model(name, weights=weights)
    if name == "inception_v3":  # it alone keeps its auxiliary head
        body.aux_logits, body.AuxLogits = False, None
    return _torchvision_parts(body, name)


def _torchvision_parts(body: nn.Module, name: str) -> Parts:
    kinds = (nn.Linear, nn.Conv2d)  # SqueezeNet's head is a convolution
    linear, convolutions = (
        [layer for layer, module in body.named_modules() if isinstance(module, kind)]
        for kind in kinds
    )
    head = (linear or convolutions)[-1]
    transforms = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    preprocessing = Preprocessing(
        size=transforms.crop_size[0],
        resize=transforms.resize_size[0],
        interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )
    if isinstance(body, VisionTransformer):
        blocks = [f"encoder.layers.{block}" for block, _ in body.encoder.layers.named_children()]
        return _parts(body, head, preprocessing, blocks, prefix_tokens=1)
    return _parts(body, head, preprocessing, [], prefix_tokens=0)


# --- stages ------------------------------------------------------------------------------------


def _parts(
    body: nn.Module,
    head: str,
    preprocessing: Preprocessing,
    stages: Sequence[str],
    prefix_tokens: int,
) -> Parts:
    """A network of the zoo; without stages that it names itself, they are found."""
    size = preprocessing.size
    with torch.inference_mode():
        all_runs = runs(body, torch.zeros(1, 3, size, size))
    layers, filters = _once(all_runs, stages), dict[str, tuple[str, ...]]()
    if not layers:
        filters = dict(_read_after_activation(body, _stages(body, head), all_runs))
        layers = _once(all_runs, list(filters))
    shapes = [run.output.shape for run in layers if run.output is not None]
    return Parts(
        body,
        tuple(run.name for run in layers),
        head,
        preprocessing,
        filters={run.name: filters[run.name] for run in layers if filters.get(run.name)},
        any_size=_any_size(body, size),
        prefix_tokens=prefix_tokens,
        # (1, H, W, C): the map of a square picture is square
        channels_last=any(len(shape) == 4 and shape[1] == shape[2] != shape[3] for shape in shapes),
    )


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


def _read_after_activation(
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


def _once(all_runs: Sequence[Run], names: Sequence[str]) -> list[Run]:
    """The runs of those that run exactly once and give a tensor, in the order in which they end."""
    times = Counter(run.name for run in all_runs)
    return [
        run
        for run in all_runs
        if run.name in names and times[run.name] == 1 and run.output is not None
    ]


def _any_size(body: nn.Module, size: int) -> bool:
    """Whether a network takes pictures half as large again; a vision transformer does not."""
    body.eval()
    try:
        with torch.inference_mode():
            body(torch.zeros(1, 3, size + size // 2, size + size // 2))
    except Exception:  # each network has its own way to refuse
        return False
    return True
