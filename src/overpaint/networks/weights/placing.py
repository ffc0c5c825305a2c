"""Tensors of a file brought to their places in a network, whatever wraps and names them.

>>> body = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(4, 1))
>>> kept = {f"state_dict.module.{name}": tensor for name, tensor in body.state_dict().items()}
>>> placed(kept, Places(body, heads=("2",)), where="net.pth", architecture="mine").remarks
("taken from under 'state_dict.module.'",)

A file fits when every place is filled by exactly one tensor of its shape. Nothing is guessed: the
prefix is the one under which the names are those of the network, in its own words or in those of
another program (`names`); what is left over has to be known as no part of it, or stand elsewhere.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from overpaint.errors import NetworkError
from overpaint.files import json_of
from overpaint.networks.weights.looks import looks_like
from overpaint.networks.weights.names import ROUTES, translated


@dataclass(frozen=True)
class Places:
    """What a network wants to be filled: its tensors by name, and which are its classifiers'."""

    body: nn.Module
    heads: tuple[str, ...]

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Every place; the classifiers' tensors are those of a single class."""
        return {
            name: tensor
            for name, tensor in self.body.state_dict().items()
            if isinstance(tensor, Tensor)
        }

    def of_head(self, name: str) -> bool:
        """Whether a place belongs to a classifier."""
        return name.startswith(tuple(f"{head}." for head in self.heads))


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A tensor for every place, and what is to be said of the file in sentences' parts."""

    tensors: dict[str, Tensor]
    remarks: tuple[str, ...]


@dataclass(kw_only=True)
class _Fit:
    """One way to read a file: under a prefix, in the names of a program."""

    prefix: str
    program: str
    """Whose names they were, or "" for the network's own."""
    tensors: dict[str, Tensor]
    """By the names of the network, as far as they have such."""
    left: list[str] = field(default_factory=list)
    """Names of the file that have no part in it."""
    remarks: list[str] = field(default_factory=list)
    fresh_head: bool = False
    differences: dict[str, str] = field(default_factory=dict)
    """What does not fit, by name."""
    matching: int = 0


def placed(
    tensors: Mapping[str, Tensor], places: Places, *, where: str, architecture: str
) -> Placed:
    """The tensors of a file under the names of a network.

    Numbers of half precision become float32; position embeddings of another grid are interpolated;
    a classifier that is not there is the fresh one of `places`, of a single class. All of that is
    in the remarks. Raises NetworkError: `weights-misfit` with the first three that differ,
    `ambiguous-weights` where several networks in the file fit, `broken-weights` for numbers that
    are not finite.
    """
    fits = list(_readings(tensors, places))
    for fit in fits:
        outside = {
            name: tensor for name, tensor in tensors.items() if not name.startswith(fit.prefix)
        }
        _fill_head(fit, outside, places)
        _fit_positions(fit, places)
        _leave_spare(fit, places)
        _fill(fit, places)
    complete = [fit for fit in fits if not fit.differences]
    if not complete:
        nearest = max(fits, key=lambda fit: (fit.matching, -len(fit.differences)))
        raise NetworkError(
            "weights-misfit", _misfit(nearest, tensors, where=where, architecture=architecture)
        )
    fit = _preferred(complete, where)
    check_finite(fit.tensors, where)
    return Placed(tensors=fit.tensors, remarks=tuple(_remarks(fit)))


def check_finite(tensors: Mapping[str, Tensor], where: str) -> None:
    """A NetworkError that names the tensors with numbers that are none."""
    broken = sorted(name for name, tensor in tensors.items() if not tensor.isfinite().all())
    if broken:
        raise NetworkError(
            "broken-weights",
            f"{where} holds numbers that are not finite (NaN or infinite) in {_some(broken)}",
        )


def _some(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


# --- which part of the file, in whose names ------------------------------------------------------


def _readings(tensors: Mapping[str, Tensor], places: Places) -> Iterator[_Fit]:
    """Prefixes under which the names are the network's, or those that another program gives."""
    votes: Counter[str] = Counter()
    body = {name: tensor for name, tensor in places.tensors.items() if not places.of_head(name)}
    for name, tensor in tensors.items():
        for start in _starts(name):
            place = body.get(name[start:])
            if place is not None and place.shape == tensor.shape:
                votes[name[:start]] += 1
    wrapper = _common_prefix(tensors)
    most = max(votes.values(), default=0)
    for prefix in [prefix for prefix, count in votes.items() if 2 * count >= most] or [wrapper]:
        yield _Fit(prefix=prefix, program="", tensors=_under(prefix, tensors))
    for route in ROUTES:
        mark = route[0].mark
        for name in tensors:
            if name == mark or name.endswith(f".{mark}"):
                prefix = name.removesuffix(mark)
                renamed = translated(_under(prefix, tensors), route)
                if renamed is not None:
                    yield _Fit(prefix=prefix, program=route[0].program, tensors=renamed)
    renamed = _by_timm(_under(wrapper, tensors), places.body)
    if renamed:
        yield _Fit(prefix=wrapper, program="another program, as timm knows them", tensors=renamed)


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _by_timm(tensors: dict[str, Tensor], body: nn.Module) -> dict[str, Tensor]:
    """What timm makes of the names that an architecture was first published under, if anything.

    Not of CLIP's, whose activation is another one than the names say, and not where timm goes by
    the order of the tensors.
    """
    module = sys.modules[type(body).__module__]
    translate = getattr(module, "checkpoint_filter_fn", None)
    if translate is None or "visual.class_embedding" in tensors or module.__name__ in _BY_ORDER:
        return {}
    try:
        renamed = translate(dict(tensors), body)
    except Exception:  # names that it does not know; each has its own way to stumble
        return {}
    return {
        name: tensor
        for name, tensor in renamed.items()
        if isinstance(name, str) and isinstance(tensor, Tensor)
    }


_BY_ORDER = ("timm.models.nextvit",)


def _starts(name: str) -> list[int]:
    """Where a name may begin: at its start, and behind each dot."""
    return [0, *(index + 1 for index, letter in enumerate(name) if letter == ".")]


def _common_prefix(tensors: Mapping[str, Tensor]) -> str:
    """The wrappers that all names stand in."""
    prefix = ""
    while match := re.match(_WRAPPER, next(iter(tensors))[len(prefix) :]):
        longer = prefix + match.group()
        if not all(name.startswith(longer) for name in tensors):
            break
        prefix = longer
    return prefix


_WRAPPER = r"(state_dict|model|module|backbone|encoder|net|network|params|_orig_mod)\."

_KINDS = (
    # A running average is what its training was for; timm's own use_ema.
    r"(^|[._])(ema|swa|averaged|model_ema|ema_model)[0-9]*([._]|$)",
    r"(^|[._])teacher([._]|$)",  # DINO's, an average as well
    r"",
    r"(^|[._])student([._]|$)",
    r"(^|[._])(momentum_encoder|encoder_k|target|target_encoder)([._]|$)",
)
"""Networks that stand beside each other in a file, the first choice first; `` is any other."""


def _rank(prefix: str) -> int:
    marked = (rank for rank, kind in enumerate(_KINDS) if kind and re.search(kind, prefix))
    return next(marked, _KINDS.index(""))


def _preferred(complete: list[_Fit], where: str) -> _Fit:
    """The network of the file that is taken; several alike must be the same, tensor by tensor."""
    rank = min(_rank(fit.prefix) for fit in complete)
    best = [fit for fit in complete if _rank(fit.prefix) == rank]
    for fit in best[1:]:
        same = (torch.equal(tensor, best[0].tensors[name]) for name, tensor in fit.tensors.items())
        if not all(same):
            names = " and ".join(repr(fit.prefix) for fit in best[:3])
            raise NetworkError(
                "ambiguous-weights",
                f"{where} holds {len(best)} networks that fit, under {names}: write the one that "
                "is meant to a file of its own",
            )
    return best[0]


# --- one reading ---------------------------------------------------------------------------------


def _leave_spare(fit: _Fit, places: Places) -> None:
    """What has no place is left if it is known as no part of a network, and else a difference."""
    for name in [name for name in fit.tensors if name not in places.tensors]:
        of_head = fit.fresh_head and name.startswith(tuple(f"{head}." for head in places.heads))
        if of_head or re.search(_NO_PART, name) or name.rpartition(".")[2] in _DERIVED:
            fit.tensors.pop(name)
            fit.left.append(name)
        else:
            fit.differences[name] = f"{name} has no place in it"


def _fill(fit: _Fit, places: Places) -> None:
    """Tell what is missing or of another shape; fill what a network computes itself."""
    casts: Counter[str] = Counter()
    for name, place in places.tensors.items():
        tensor = fit.tensors.get(name, _NOTHING)
        if fit.program and _without_ones(tensor) == _without_ones(place):
            tensor = tensor.reshape(place.shape)  # (C, 1, 1) here and (C,) there
        classes = tensor.shape[:1] if places.of_head(name) else place.shape[:1]
        shape = classes + place.shape[1:]
        if tensor.shape != shape and name.rpartition(".")[2] in _DERIVED:
            tensor = place
        elif tensor is _NOTHING:
            fit.differences.setdefault(name, f"it lacks {name}")
        elif tensor.shape != shape or 0 in shape:
            fit.differences[name] = f"{name} is {tuple(tensor.shape)}, not {tuple(shape)}"
        elif place.is_floating_point() and tensor.dtype not in _FLOATS:
            fit.differences[name] = f"{name} holds {_dtype(tensor)} (quantised?), not float32"
        else:
            fit.matching += 1
            if place.is_floating_point() and tensor.dtype != place.dtype:
                casts[_dtype(tensor)] += 1
        fit.tensors[name] = tensor.detach().to(place.dtype)
    for dtype, count in casts.items():
        fit.remarks.append(f"{count} tensors of {dtype} are float32 now")


_NOTHING = torch.empty(0)
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
_DERIVED = {
    *("num_batches_tracked", "relative_position_index", "relative_coords_table", "attn_mask"),
    *("position_ids", "total_ops", "total_params"),
}
"""Buffers that a network computes itself, or counts: the fresh ones are as good."""

_NO_PART = (
    r"^(pooler|mask_token|embeddings\.mask_token|aux\d|AuxLogits|aux_|queue|queue_ptr|center"
    r"|decoder|proj_head|projection|projector|predictor|prototypes|dino_|ibot_|criterion|loss"
    r"|head\.mlp\.|head\.last_layer|n_averaged$|epoch$|step$|global_step$|logit_scale$|logit_bias$)"
)
"""What stands beside a network's own tensors without a part in what it says of a picture."""


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _without_ones(tensor: Tensor) -> tuple[int, ...]:
    return tuple(size for size in tensor.shape if size != 1)


# --- the classifier ----------------------------------------------------------------------------


def _fill_head(fit: _Fit, outside: Mapping[str, Tensor], places: Places) -> None:
    """The classifier under its own name or one that people give it, or else a fresh one."""
    if re.search(_PROJECTS, fit.prefix):
        fit.left += [name for name in fit.tensors if places.of_head(name)]
        fit.tensors = {name: t for name, t in fit.tensors.items() if name not in fit.left}
    fit.left += outside
    for head, names in zip(places.heads, (_NAMES_OF_HEADS, _NAMES_OF_SECOND_HEADS), strict=False):
        weight, bias = f"{head}.weight", f"{head}.bias"
        if weight not in places.tensors:
            continue  # a classifier of several layers: its own names, or none
        if weight not in fit.tensors and not re.search(_PROJECTS, fit.prefix):
            _find_head(fit, outside, head, names, places.tensors[weight])
        if weight in fit.tensors and bias in places.tensors and bias not in fit.tensors:
            fit.tensors[bias] = torch.zeros(fit.tensors[weight].shape[:1])
            fit.remarks.append("its classifier has no bias: zeros")
    if not any(places.of_head(n) for n in places.tensors if n in fit.tensors | fit.differences):
        fit.tensors |= {
            name: tensor for name, tensor in places.tensors.items() if places.of_head(name)
        }
        fit.fresh_head = True
        fit.remarks.append("it has no classifier that fits: a new one, of a single class")


def _find_head(
    fit: _Fit, outside: Mapping[str, Tensor], head: str, names: str, place: Tensor
) -> None:
    """A classifier that has another name, the one that stands nearest to the body."""
    tensors = {**outside, **{f"{fit.prefix}{name}": t for name, t in fit.tensors.items()}}
    layers = _classifiers(tensors, names, place)
    nearest = max((_shared(layer, fit.prefix) for layer in layers), default=0)
    layers = [layer for layer in layers if _shared(layer, fit.prefix) == nearest]
    if len(layers) > 1:
        weight = f"{head}.weight"
        fit.differences[weight] = f"{' and '.join(layers[:3])} may all be {weight}"
    elif layers:
        for kind in ("weight", "bias"):
            name = f"{layers[0]}.{kind}"
            if name in tensors:
                fit.tensors.pop(name.removeprefix(fit.prefix), None)
                fit.tensors[f"{head}.{kind}"] = tensors[name]
                fit.left = [other for other in fit.left if other != name]
        fit.remarks.append(f"its classifier is {layers[0]!r}")


_PROJECTS = r"(^|\.)(encoder_q|encoder_k|base_encoder|momentum_encoder|online_encoder)\.$"
"""Where contrastive trainings keep an encoder: what ends it is a projection, no classifier."""

_NAMES_OF_HEADS = (
    r"(fc|head|heads|classifier|cls_head|cls_classifier|linear_head|linear|lin|last_linear|logits"
    r"|classification_head|output|out|linear_probe|probe|linear_classifier)"
    r"(\.(\d|fc|head|linear|classifier|layers\.head))?"
)
_NAMES_OF_SECOND_HEADS = r"(head_dist|distillation_classifier)"


def _classifiers(tensors: Mapping[str, Tensor], names: str, place: Tensor) -> list[str]:
    """The linear layers of a file that may be a classifier: nothing else stands with them."""
    layers = []
    for name, tensor in tensors.items():
        layer = name.removesuffix(".weight")
        if layer != name and tensor.shape[1:] == place.shape[1:] and tensor.ndim == place.ndim:
            around = layer.rpartition(".")[0] if layer[-1].isdigit() else layer
            alone = {other for other in tensors if other.startswith(f"{around}.")}
            if re.search(rf"(^|\.){names}$", layer) and alone <= {name, f"{layer}.bias"}:
                layers.append(layer)
    return layers


def _shared(name: str, prefix: str) -> int:
    """How many of the first parts two names have in common."""
    count = 0
    for mine, other in zip(name.split("."), prefix.split("."), strict=False):
        if mine != other:
            break
        count += 1
    return count


# --- position embeddings -------------------------------------------------------------------------


def _fit_positions(fit: _Fit, places: Places) -> None:
    """Absolute position embeddings of another grid, interpolated as timm does."""
    name = next((name for name in _POSITIONS if name in places.tensors), None)
    if name is None or name not in fit.tensors:
        return
    place, tensor = places.tensors[name], fit.tensors[name]
    if tensor.ndim != 3 or tensor.shape[2] != place.shape[2] or place.ndim != 3:
        return
    prefix = getattr(places.body, "num_prefix_tokens", 1)
    if getattr(places.body, "no_embed_class", False):
        if _side(tensor.shape[1]) is None and _side(tensor.shape[1] - 1) is not None:
            token = fit.tensors.get("cls_token")  # it has a position of its own: added once for all
            if token is None or token.shape != tensor[:, :1].shape:
                return
            fit.tensors["cls_token"] = token + tensor[:, :1]
            fit.tensors[name] = tensor = tensor[:, 1:]
        prefix = 0
    if tensor.shape == place.shape:
        return
    old, new = _side(tensor.shape[1] - prefix), _side(place.shape[1] - prefix)
    if old is None or new is None:
        return
    from timm.layers import resample_abs_pos_embed  # type: ignore[attr-defined]

    fit.tensors[name] = resample_abs_pos_embed(
        tensor.float(), new_size=[new, new], num_prefix_tokens=prefix
    )
    fit.remarks.append(f"its positions of {old}×{old} are interpolated to {new}×{new}")


_POSITIONS = ("pos_embed", "encoder.pos_embedding")


def _side(count: int) -> int | None:
    """The side of a square of so many."""
    side = round(max(count, 0) ** 0.5)
    return side if side > 0 and side * side == count else None


# --- what no shape shows -------------------------------------------------------------------------

_ACTIVATIONS = {
    "gelu": ("GELU(approximate='none')", "GELU()"),
    "gelu_pytorch_tanh": ("GELU(approximate='tanh')", "GELUTanh()"),
    "gelu_new": ("GELU(approximate='tanh')", "GELUTanh()"),
    "quick_gelu": ("QuickGELU()",),
    "relu": ("ReLU()", "ReLU(inplace=True)"),
}
"""Hugging Face's names of activations, and how PyTorch prints what computes the same."""


def check_settings(path: Path, body: nn.Module, *, architecture: str) -> list[str]:
    """What a `config.json` of Hugging Face beside the weights tells that no tensor does.

    Returns remarks. Raises NetworkError `weights-misfit` where the network has another number of
    attention heads or another activation: its tensors would fit, and mean something else.
    """
    try:
        config = json_of(path / "config.json")
        if not isinstance(config, dict) or "model_type" not in config:
            return []
    except (OSError, ValueError):
        return []
    heads: Any = next((m.num_heads for m in body.modules() if hasattr(m, "num_heads")), None)
    printed = {str(module) for module in body.modules() if "LU" in type(module).__name__}
    expected = config.get("num_attention_heads")
    activation = config.get("hidden_act")
    wrong = ""
    if isinstance(expected, int) and isinstance(heads, int) and heads != expected:
        wrong = f"{expected} attention heads, not {heads}"
    elif activation in _ACTIVATIONS and printed and not printed & {*_ACTIVATIONS[activation]}:
        wrong = f"the activation {activation}, not {' and '.join(sorted(printed))}"
    if config.get("downsample_in_bottleneck"):
        wrong = "its strides in the first convolutions of its blocks (downsample_in_bottleneck)"
    if wrong:
        raise NetworkError(
            "weights-misfit",
            f"{path} does not fit {architecture}: by its config.json it has {wrong}",
        )
    epsilon = config.get("layer_norm_eps")
    norm = next((module.eps for module in body.modules() if isinstance(module, nn.LayerNorm)), None)
    if isinstance(epsilon, float) and norm is not None and epsilon != norm:
        return [f"layer_norm_eps is {epsilon:g} in its config.json and {norm:g} here"]
    return []


# --- in words ------------------------------------------------------------------------------------


def _remarks(fit: _Fit) -> Iterator[str]:
    if fit.prefix:
        average = " (a running average)" if _rank(fit.prefix) == 0 else ""
        yield f"taken from under {fit.prefix!r}{average}"
    if fit.program:
        yield f"names of {fit.program}"
    yield from fit.remarks
    if fit.left:
        yield f"left: {_groups(fit.left)}"


def _groups(names: list[str]) -> str:
    """Names by what they begin with, and how many there are of each."""
    groups = Counter(name.partition(".")[0] for name in names)
    words = [
        f"{group} ({count} tensors)" if count > 1 else group for group, count in groups.items()
    ]
    return _some(words, 6)


def _misfit(fit: _Fit, tensors: Mapping[str, Tensor], *, where: str, architecture: str) -> str:
    differences = [fit.differences[name] for name in sorted(fit.differences)]
    more = f"; and {len(differences) - 3} more" if len(differences) > 3 else ""
    under = f" (read under {fit.prefix!r})" if fit.prefix else ""
    kind = looks_like(tensors)
    return f"{where} does not fit {architecture}{under}: {'; '.join(differences[:3])}{more}" + (
        f"; it looks like {kind}" if kind else ""
    )
