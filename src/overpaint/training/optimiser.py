"""The optimiser of a recipe: torch's own three as the paper has them, else whatever timm knows.

>>> check_optimiser("adamw")
>>> check_optimiser("adamv")
Traceback (most recent call last):
overpaint.errors.StudyError: ...
"""

from collections.abc import Collection, Iterable
from fnmatch import fnmatch
from typing import Any

import timm.optim
import torch
from timm.models import group_parameters
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from torch import nn

from overpaint.device import device_of
from overpaint.errors import StudyError, nearest
from overpaint.networks import Network
from overpaint.study.recipe import PLAIN, Recipe
from overpaint.training.plan import Order


def optimiser_of(
    network: Network, recipe: Recipe, more_heads: Iterable[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """The optimiser with its groups, whose names begin with the rate they take, backbone or head.

    Only what has gradients is in it, so frozen weights have no state there. The penalty λΣw² has
    the gradient 2λw, which is what torch calls a weight decay of 2λ. RMSprop has the constants of
    Keras (0.9, 1e-7), Adam those of its paper. Other names are timm's, with timm's constants.

    On a GPU of CUDA a step of SGD, Adam or AdamW is one kernel a few dozen weights. Not on a CPU,
    whose last digits it would change.
    """
    fused: dict[str, Any] = {"fused": True} if device_of(network).type == "cuda" else {}
    if recipe.optimiser not in PLAIN:
        return create_optimizer_v2(
            _groups_as_timm(network, recipe, more_heads),
            opt=recipe.optimiser,
            lr=recipe.head_lr,
            momentum=recipe.momentum,
            **(fused if recipe.optimiser == "adamw" else {}),
        )
    groups = _groups_of_the_paper(network, recipe, more_heads)
    if recipe.optimiser == "adam":
        return torch.optim.Adam(groups, **fused)
    if recipe.optimiser == "rmsprop":
        return torch.optim.RMSprop(groups, alpha=0.9, eps=1e-7, momentum=recipe.momentum)
    return torch.optim.SGD(groups, momentum=recipe.momentum, **fused)


def check_optimiser(name: str) -> None:
    """Raises StudyError for an optimiser that neither torch's three are nor timm can make here."""
    if name in (*PLAIN, "linear_svm"):
        return
    try:
        optimiser = create_optimizer_v2([nn.Parameter(torch.zeros(2, 2))], opt=name, lr=1e-3)
        second = getattr(optimiser, "is_second_order", False)
    except Exception as error:  # timm's assertions, and whatever a missing library raises
        # before 1.0.12 timm could not list them
        listed = getattr(timm.optim, "list_optimizers", lambda: ["adamw", "lamb", "lion", "sgdw"])()
        raise StudyError(
            "unknown-optimiser",
            f"timm cannot make an optimiser {name!r} here ({str(error) or type(error).__name__}); "
            f"{nearest(name, [*PLAIN, 'linear_svm', *listed])}",
        ) from None
    if second:
        raise StudyError(
            "unknown-optimiser",
            f"the optimiser {name!r} needs second derivatives, which a training here does not "
            "take; of those that do without, adamw is the usual one",
        )


# --- groups --------------------------------------------------------------------------------------


def _groups_of_the_paper(
    network: Network, recipe: Recipe, more_heads: Iterable[nn.Parameter]
) -> list[dict[str, Any]]:
    """Backbone kernels, which are penalised, other backbone weights, head."""
    scales = layer_scales(network, recipe)
    head: list[nn.Parameter] = list(more_heads)
    backbone: dict[tuple[str, float], list[nn.Parameter]] = {}
    for name, parameter in network.body.named_parameters():
        if not parameter.requires_grad:
            continue
        if network.in_head(name):
            head.append(parameter)
        else:
            kind = "backbone kernels" if parameter.ndim > 1 else "backbone others"
            backbone.setdefault((kind, scales.get(name, 1.0)), []).append(parameter)
    groups = [
        {
            "name": kind,
            "params": parameters,
            "lr": recipe.backbone_lr,
            "lr_scale": scale,
            "weight_decay": 2 * recipe.weight_penalty if kind == "backbone kernels" else 0.0,
        }
        # kernels first, and of these the lowest layers: a network without layer_decay has one each
        for (kind, scale), parameters in sorted(backbone.items(), key=lambda group: group[0])
    ]
    if head:
        groups.append({"name": "head", "params": head, "lr": recipe.head_lr, "lr_scale": 1.0})
    return groups


def _groups_as_timm(
    network: Network, recipe: Recipe, more_heads: Iterable[nn.Parameter]
) -> list[dict[str, Any]]:
    """By rate, layer, and whether weights decay: those of more than one dimension do, unless the
    network excepts them (positions, class tokens).
    """
    scales = layer_scales(network, recipe)
    excepted: Collection[str] = getattr(network.body, "no_weight_decay", set)()
    groups: dict[tuple[str, float, bool], list[nn.Parameter]] = {}
    for name, parameter in network.body.named_parameters():
        if parameter.requires_grad:
            part = "head" if network.in_head(name) else "backbone"
            decays = parameter.ndim > 1 and not any(fnmatch(name, free) for free in excepted)
            groups.setdefault((part, scales.get(name, 1.0), decays), []).append(parameter)
    for parameter in more_heads:
        groups.setdefault(("head", 1.0, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "name": part,
            "params": parameters,
            "lr": recipe.head_lr if part == "head" else recipe.backbone_lr,
            "lr_scale": scale,
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (part, scale, decays), parameters in groups.items()
    ]


def layer_scales(network: Network, recipe: Recipe) -> dict[str, float]:
    """What `layer_decay` makes of the rate of each weight; nothing where the recipe has none.

    The layers are those that timm names for a network of its own, else those that are compared.
    Source: Bao et al. 2022 (BEiT), section 3.1.
    """
    if recipe.layer_decay is None:
        return {}
    if hasattr(network.body, "group_matcher"):
        matcher = network.body.group_matcher(coarse=False)  # type: ignore[operator]
        layers: dict[str, int] = group_parameters(network.body, matcher, reverse=True)
    else:
        layers = Order.of(network).layer_numbers()
    top = max(layers.values())
    return {name: recipe.layer_decay ** (top - layer) for name, layer in layers.items()}
