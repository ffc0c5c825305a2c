"""Any image network of timm and torchvision, by name, with its stages as layers."""

from collections.abc import Iterator
from typing import Any

import timm
import torch
import torchvision
from timm.data import resolve_model_data_config  # type: ignore[attr-defined]
from torch import nn

from overpaint.errors import NetworkError, nearest
from overpaint.networks.order import calls
from overpaint.networks.parts import Parts, Preprocessing


def parts(architecture: str, classes: int) -> Parts:
    """A network of the zoo with random weights and a head for so many classes."""
    source, _, name = architecture.partition(":")
    return _timm(name, classes) if source == "timm" else _torchvision(name, classes)


def pretrained(architecture: str) -> tuple[Parts, int]:
    """A network of the zoo with its published weights, and the number of its classes."""
    source, _, name = architecture.partition(":")
    if source == "timm":
        _check_timm(name)
        model: Any = timm.create_model(name, pretrained=True)
        return _timm_parts(model), int(model.num_classes)
    _check_torchvision(name)
    weights = torchvision.models.get_model_weights(name).DEFAULT
    body = torchvision.models.get_model(name, weights=weights, **_without_auxiliary(name))
    made = _torchvision_parts(body, name)
    return made, head_classes(body, made.head)


# --- timm ------------------------------------------------------------------------------------


def _check_timm(name: str) -> None:
    if not timm.is_model(name.split(".", maxsplit=1)[0]):
        known = nearest(name, timm.list_models())
        raise NetworkError("unknown-architecture", f"timm has no model {name!r}; {known}")


def _timm(name: str, classes: int) -> Parts:
    _check_timm(name)
    return _timm_parts(timm.create_model(name, pretrained=False, num_classes=classes))


def _timm_parts(model: Any) -> Parts:
    head = _name_of(model, model.get_classifier())
    config = resolve_model_data_config(model)
    size = config["input_size"][-1]
    preprocessing = Preprocessing(
        size=size,
        resize=int(size / config["crop_pct"]),
        interpolation=config["interpolation"] if config["interpolation"] in _KNOWN else "bicubic",
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )
    info = [each["module"] for each in getattr(model, "feature_info", []) or []]
    stages = [name for name in info if name in dict(model.named_modules())]
    layers = _in_order(model, stages or list(_stages(model, head)), size)
    return Parts(model, layers, head, preprocessing, any_size=_any_size(model, size))


_KNOWN = ("bilinear", "bicubic", "lanczos")


def _name_of(model: nn.Module, wanted: nn.Module) -> str:
    return next(name for name, module in model.named_modules() if module is wanted)


# --- torchvision -----------------------------------------------------------------------------


def _check_torchvision(name: str) -> None:
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        message = f"torchvision has no image classifier {name!r}; {nearest(name, known)}"
        raise NetworkError("unknown-architecture", message)


def head_classes(body: nn.Module, head: str) -> int:
    """The number of classes that a head tells apart."""
    return int(body.get_parameter(f"{head}.weight").shape[0])


def _without_auxiliary(name: str) -> dict[str, bool]:
    return {"aux_logits": False} if name == "inception_v3" else {}


def _torchvision(name: str, classes: int) -> Parts:
    _check_torchvision(name)
    auxiliary = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    options = {**auxiliary, "init_weights": True} if auxiliary else {}
    body = torchvision.models.get_model(name, weights=None, num_classes=classes, **options)
    return _torchvision_parts(body, name)


def _torchvision_parts(body: nn.Module, name: str) -> Parts:
    heads = [each for each, module in body.named_modules() if isinstance(module, nn.Linear)]
    head = heads[-1]
    transforms = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    size = transforms.crop_size[0]
    preprocessing = Preprocessing(
        size=size,
        resize=transforms.resize_size[0],
        interpolation=transforms.interpolation.value,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
    )
    layers = _in_order(body, list(_stages(body, head)), size)
    return Parts(body, layers, head, preprocessing, any_size=_any_size(body, size))


# --- stages ------------------------------------------------------------------------------------


def _stages(body: nn.Module, head: str) -> Iterator[str]:
    """The children that hold parameters; one that holds nearly all of them is opened."""
    backbone = {
        name: _size(module)
        for name, module in body.named_children()
        if name != head.partition(".")[0]
    }
    for name, size in backbone.items():
        if size > 0.9 * sum(backbone.values()):
            opened = _stages(body.get_submodule(name), "")
            yield from (f"{name}.{inner}" for inner in opened)
        elif size:
            yield name


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _any_size(body: nn.Module, size: int) -> bool:
    """Whether a network takes pictures half as large again; a vision transformer does not."""
    body.eval()
    try:
        with torch.inference_mode():
            body(torch.zeros(1, 3, size + size // 2, size + size // 2))
    except (AssertionError, RuntimeError):
        return False
    return True


def _in_order(body: nn.Module, names: list[str], size: int) -> tuple[str, ...]:
    """Those that one forward calls exactly once, in the order in which they end."""
    with torch.inference_mode():
        seen = calls(body, torch.zeros(1, 3, size, size))
    once = {name: seen[name][0].end for name in names if len(seen.get(name, ())) == 1}
    return tuple(sorted(once, key=once.__getitem__))
