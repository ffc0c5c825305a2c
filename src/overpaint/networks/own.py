"""One's own network: any module that takes pictures, with its layers, its head, and what it sees.

>>> module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(),
...                        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
>>> network = wrap(module, preprocessing={"size": 32}, classes=("cat", "dog"), name="mine")
>>> network.layers, network.head, network.body is module
(('1', '3'), '6', True)

The module stays its owner's: it is not copied, and after each use it is as it was.
"""

import copy
import inspect
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from overpaint.cache import first_line
from overpaint.errors import NetworkError, nearest
from overpaint.networks.inception_v1 import BUILDERS
from overpaint.networks.layouts import Layout, layouts_of, wake
from overpaint.networks.network import Network, seeded
from overpaint.networks.order import Run, runs
from overpaint.networks.outputs import LOGITS_KEY, logits_in, named_tensors
from overpaint.networks.parts import IMAGENET_MEAN, IMAGENET_STD, Parts, Preprocessing
from overpaint.networks.preprocessing import preprocessing_of, said_by, size_said_by

SIZES = (224, 32, 64, 28, 96, 128, 160, 192, 256, 299, 384, 448, 512)
"""Sides of pictures that are tried, where nobody says which; 224 is what most networks take."""

FEW_STAGES = 4
"""With fewer layers than these, one that holds most of the parameters is opened for its own."""

MOST_PREFIX_TOKENS = 16
"""More tokens than the patches by more than this are no class token and registers."""

ADAPTER = """a network is given pictures and nothing else; wrap five lines around it:
class Adapter(torch.nn.Module):
    def __init__(self, inner):
        super().__init__(); self.inner = inner
    def forward(self, pictures):
        return self.inner(pictures, ...)"""


def wrap(
    module: nn.Module,
    *,
    layers: Sequence[str] | None = None,
    head: str | Literal[False] | None = None,
    preprocessing: object = None,
    classes: Sequence[str] | None = None,
    name: str | None = None,
    multi_label: bool = False,
) -> Network:
    """A network of any module that takes pictures (N, 3, H, W) or (N, 1, H, W); what `op.wrap` is.

    `layers` are names of modules, by default those that are found: stages or blocks, each bare
    convolution where its activation ends. `head` is the module that gives the logits, by default
    the last linear layer or convolution that gives as many numbers as there are logits; False says
    that there is none, and the network has no classes. `classes` are their names, by default those
    of the module's configuration, or numbers. The logits are the module's output, or in a tuple,
    a dictionary or a dataclass its tensor `logits`, else the first.

    `preprocessing`: an `overpaint.networks.Preprocessing`, a dictionary of its fields, or an image
    processor of transformers. Without it, what a network of timm says of itself; else pictures are
    shown at the size that the module takes (224 if it takes that), with ImageNet's mean and
    deviation, and a UserWarning says so.

    The module is not copied: train it, and the network is trained. Each use leaves modes, hooks,
    gradients and device as they were. `name` is what the network is called, by default the class.
    Raises NetworkError for a module that cannot be run or read, with the module's own error.
    """
    body = _plain(module)
    name = name or type(body).__name__
    if name in BUILDERS or name.startswith(("timm:", "torchvision:")):
        raise NetworkError(
            "name-taken", f"{name!r} is a network of overpaint's own: give yours another name"
        )
    _check_forward(body)
    preprocessing, output, all_runs = _first_run(body, name, preprocessing)
    logits = logits_in(output, name)
    modules = dict(body.named_modules())
    heads = _heads(modules, all_runs, logits, head, name)
    filters: dict[str, tuple[str, ...]] = {}
    if layers is None:
        layers, filters = _found_layers(body, heads, all_runs)
        if not layers:
            raise NetworkError(
                "no-layers",
                f"no layers are found in {name}: name some, "
                f"wrap(…, layers=[…]); {nearest('', [run.name for run in all_runs if run.name])}",
            )
    else:
        _check_layers(layers, modules, all_runs, name)
        layers = [run.name for run in _once(all_runs, layers)]
    outputs = [run.output for run in _once(all_runs, layers) if run.output is not None]
    prefix_tokens = _prefix_tokens(all_runs, [output.shape for output in outputs])
    layouts = _layouts(body, preprocessing, prefix_tokens)
    of_layers = [layouts[layer] for layer in layers if layer in layouts]
    network = Network(
        name,
        Parts(
            body,
            tuple(layers),
            heads[0] if heads else "",
            preprocessing,
            filters=filters,
            any_size=_takes(body, preprocessing, preprocessing.size + preprocessing.size // 2),
            prefix_tokens=max((layout.prefix for layout in of_layers), default=prefix_tokens),
            channels_last=any(layout.order == "NHWC" for layout in of_layers),
            more_heads=heads[1:],
            layouts=layouts,
        ),
        _class_names(body, classes, logits if heads else None, name),
        multi_label=multi_label,
    )
    network.borrowed = True
    named = dict(named_tensors(output))
    if heads and len(named) > 1 and LOGITS_KEY not in named:
        warnings.warn(
            f"{name} gives {len(named)} tensors ({', '.join(named)}): "
            f"the first, {next(iter(named))!r}, is taken for the logits",
            stacklevel=2,
        )
    return network


# --- what cannot be wrapped ----------------------------------------------------------------------


def _plain(module: object) -> nn.Module:
    """The module itself, out of what runs it in parallel or compiled; a NetworkError otherwise."""
    if isinstance(module, Network) or not isinstance(module, nn.Module):
        what = "a network already" if isinstance(module, Network) else f"{type(module).__name__}"
        raise NetworkError("not-a-module", f"wrap takes a torch.nn.Module, and this is {what}")
    while isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        module = module.module
    module = getattr(module, "_orig_mod", module)  # of torch.compile
    assert isinstance(module, nn.Module)
    for place, part in module.named_modules():
        where = f"its part {place!r}" if place else "it"
        if isinstance(part, torch.jit.ScriptModule):
            raise NetworkError(
                "not-a-module",
                f"{where} is a TorchScript module, whose layers cannot be read: give the module "
                "that it was made from",
            )
        if hasattr(part, "_orig_mod") or getattr(part, "_compiled_call_impl", None):
            raise NetworkError(
                "not-a-module",
                f"{where} is compiled, and its layers cannot be read: give the module as it was "
                "before torch.compile",
            )
    _check_weights(module)
    return module


def _check_weights(module: nn.Module) -> None:
    """Refuse a module whose weights are not there, or not in one place."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    for place, tensor in tensors:
        if is_lazy(tensor):
            raise NetworkError(
                "no-weights", f"{place} has no shape yet: run the module once on a batch of yours"
            )
        if tensor.is_meta:
            raise NetworkError(
                "no-weights", f"{place} is on the meta device and has no values: load the weights"
            )
    if not any(True for _ in module.parameters()):
        raise NetworkError("no-weights", f"{type(module).__name__} has no parameters")
    devices = {str(tensor.device) for _, tensor in tensors}
    if len(devices) > 1:
        raise NetworkError(
            "several-devices",
            f"the module lies on {' and '.join(sorted(devices))}: bring it to one device",
        )


def _check_forward(body: nn.Module) -> None:
    """Refuse a forward that needs more than the pictures."""
    try:
        parameters = list(inspect.signature(body.forward).parameters.values())
    except (TypeError, ValueError):
        return  # its own error will say
    required = [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    positional = [p for p in parameters if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]
    if len(required) > 1 or not positional:
        raise NetworkError(
            "several-inputs",
            f"the forward of {type(body).__name__} needs {', '.join(required) or 'nothing'}: "
            + ADAPTER,
        )


# --- running it once -----------------------------------------------------------------------------


def _first_run(
    body: nn.Module, name: str, preprocessing: object
) -> tuple[Preprocessing, object, list[Run]]:
    """What pictures the module takes, what it gives, and the runs of all modules in one forward."""
    if preprocessing is not None:
        chosen = preprocessing_of(preprocessing)
    else:
        chosen = said_by(body) or _found_preprocessing(body, name)
    try:
        return chosen, *_run(body, chosen, chosen.size)
    except Exception as error:
        raise _not_run(name, chosen, error) from None


def _run(body: nn.Module, preprocessing: Preprocessing, side: int) -> tuple[object, list[Run]]:
    """What it gives for two pictures of noise, and what ran meanwhile.

    Of noise, because a new network says the same of a black picture in all its heads: nothing.
    """
    channels = 1 if preprocessing.order == "grey" else 3
    weight = next((w for w in body.parameters() if w.is_floating_point()), torch.zeros(()))
    noise = torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(0))
    pictures = noise.to(weight)
    outputs: list[object] = []
    handle = body.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        # no inference mode: what a module keeps of its first run is to be good for training too
        with torch.no_grad():
            all_runs = runs(body, pictures)
    finally:
        handle.remove()
    return outputs[0], all_runs


def _takes(body: nn.Module, preprocessing: Preprocessing, side: int) -> bool:
    try:
        _run(body, preprocessing, side)
    except Exception:  # each network has its own way to refuse
        return False
    return True


def _found_preprocessing(body: nn.Module, name: str) -> Preprocessing:
    """The size that a module takes, of the usual ones, with ImageNet's mean and deviation."""
    convolutions = [part for part in body.modules() if isinstance(part, nn.Conv2d)]
    grey = bool(convolutions) and convolutions[0].in_channels == 1
    said = size_said_by(body)
    ways = [
        replace(way, size=side, resize=256 if side == 224 and not said else side)
        for side in ([said] if said else SIZES)
        for way in ((GREY, Preprocessing()) if grey else (Preprocessing(), GREY))
    ]
    chosen = next((way for way in ways if _takes(body, way, way.size)), None)
    if chosen is None:
        try:
            _run(body, ways[0], ways[0].size)
        except Exception as error:
            tried = "" if said else f"; nor at {', '.join(map(str, SIZES[1:]))}"
            raise _not_run(name, ways[0], error, tried) from None
        chosen = ways[0]
    colours = "in grey " if chosen.order == "grey" else ""
    warnings.warn(
        f"nobody says what pictures {name} was trained on: it is shown them {colours}"
        f"at {chosen.size} pixels with ImageNet's mean and deviation; "
        "say preprocessing=… where that is wrong",
        stacklevel=4,
    )
    return chosen


GREY = Preprocessing(
    mean=(sum(IMAGENET_MEAN) / 3,), std=(sum(IMAGENET_STD) / 3,), order="grey"
)  # fmt: skip
"""ImageNet's mean and deviation for a network of one channel."""


def _not_run(
    name: str, preprocessing: Preprocessing, error: Exception, tried: str = ""
) -> NetworkError:
    channels = 1 if preprocessing.order == "grey" else 3
    side = preprocessing.size
    return NetworkError(
        "cannot-run",
        f"{name} cannot be run on pictures (2, {channels}, {side}, {side}){tried}: "
        f"{type(error).__name__}: {first_line(error)}; say its size with preprocessing={{'size': "
        f"…}}, or if it wants something else than pictures: {ADAPTER}",
    )


# --- head and classes ----------------------------------------------------------------------------


def _heads(
    modules: Mapping[str, nn.Module],
    all_runs: Sequence[Run],
    logits: Tensor,
    named: str | Literal[False] | None,
    name: str,
) -> tuple[str, ...]:
    """The names of the modules that give the logits: none, one, or two whose mean they are."""
    if named is False:
        return ()
    if named is None and logits.ndim != 2:
        return ()
    if len(logits) != 2:
        raise NetworkError(
            "not-logits", f"{name} gives {tuple(logits.shape)} for two pictures: a row a picture "
            "is wanted; where it has no logits, say wrap(…, head=False)",
        )  # fmt: skip
    if named is not None:
        if not named or named not in modules:
            raise NetworkError(
                "unknown-layer", f"{name} has no head {named!r}; {nearest(named, modules)}"
            )
        if not any(True for _ in modules[named].parameters()):
            raise NetworkError("no-head", f"the head {named!r} of {name} has no parameters")
        return (named,)
    heads = [
        (run.name, run.output.flatten(1))
        for run in _once(all_runs, [run.name for run in all_runs])
        if run.name
        and isinstance(modules[run.name], nn.Linear | nn.Conv2d)
        and run.output is not None
        and run.output.ndim > 1
        and run.output.shape[1] == logits.shape[1]
    ]
    last_two = [outputs for _, outputs in heads[-2:] if outputs.shape == logits.shape]
    averaged = len(last_two) == 2 and torch.allclose(torch.stack(last_two).mean(0), logits)
    if averaged and not torch.equal(last_two[1], logits):  # as distilled networks do
        return tuple(head for head, _ in heads[-2:])
    return tuple(head for head, _ in heads[-1:])


def _class_names(
    body: nn.Module, classes: Sequence[str] | None, logits: Tensor | None, name: str
) -> tuple[str, ...]:
    count = None if logits is None else logits.shape[-1]
    if classes is not None:
        if isinstance(classes, str) or (count is not None and len(classes) != count):
            raise NetworkError(
                "classes-differ", f"{name} tells {count} classes apart, and {classes!r} names "
                f"{'a text' if isinstance(classes, str) else len(classes)}"
            )  # fmt: skip
        return tuple(map(str, classes))
    if count is None:
        return ()
    names = getattr(getattr(body, "config", None), "id2label", None)
    if isinstance(names, Mapping) and sorted(names) == list(range(count)):
        return tuple(str(names[number]) for number in range(count))
    return tuple(map(str, range(count)))


# --- layers --------------------------------------------------------------------------------------


def _check_layers(
    layers: Sequence[str], modules: Mapping[str, nn.Module], all_runs: Sequence[Run], name: str
) -> None:
    """Layers that somebody names must be modules that run once and tell of each picture."""
    if isinstance(layers, str) or not layers or len(set(layers)) < len(layers):
        raise NetworkError("no-layers", f"layers of {name} are different names, not {layers!r}")
    for layer in layers:
        if layer not in modules or not layer:
            raise NetworkError(
                "unknown-layer",
                f"{name} has no layer {layer!r} (or the same module goes by an earlier name); "
                f"{nearest(layer, filter(None, modules))}",
            )
        of_layer = [run for run in all_runs if run.name == layer]
        if len(of_layer) != 1:
            times = f"is called {len(of_layer)} times" if of_layer else "is never called"
            raise NetworkError(
                "layer-calls", f"layer {layer!r} of {name} {times} in one forward; a layer is "
                "called exactly once",
            )  # fmt: skip
        if not _tells_of_pictures(of_layer[0]):
            shape = "no tensor" if (out := of_layer[0].output) is None else tuple(out.shape)
            raise NetworkError(
                "no-layers",
                f"layer {layer!r} of {name} gives {shape} for two pictures: a layer gives maps "
                "(N, C, H, W), tokens (N, T, D) or vectors (N, D)",
            )


def _tells_of_pictures(run: Run) -> bool:
    """Whether a module gave something for each of the two pictures."""
    return run.output is not None and run.output.ndim in (2, 3, 4) and len(run.output) == 2


def _found_layers(
    body: nn.Module, heads: Sequence[str], all_runs: Sequence[Run]
) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """The stages of a network in the order in which they end, and the filters of those that are
    the activation of a bare convolution.
    """
    from overpaint.networks import zoo  # timm takes seconds to import

    info = getattr(body, "feature_info", None) or []  # a network of timm names its stages
    said = [stage["module"] for stage in info if isinstance(stage, Mapping) and "module" in stage]
    if layers := [run.name for run in _once(all_runs, said) if _tells_of_pictures(run)]:
        return layers, {}
    stages = _stages(body, heads, all_runs)
    filters = dict(zoo.read_after_activation(body, iter(stages), all_runs))
    layers = [run.name for run in _once(all_runs, list(filters)) if _tells_of_pictures(run)]
    return layers, {layer: filters[layer] for layer in layers if filters[layer]}


def _stages(body: nn.Module, heads: Sequence[str], all_runs: Sequence[Run]) -> list[str]:
    """The children that hold parameters, but the heads; opened as far as they must be.

    That is what holds a head, without the linear layers beside it; what gives no tensor of its
    own (a list of blocks, a backbone that gives a dictionary); what holds nearly all; and where
    there are few the largest.
    """
    modules = dict(body.named_modules())
    in_heads = tuple(f"{head}." for head in heads)
    whole = {run.name for run in _once(all_runs, list(modules)) if _tells_of_pictures(run)}

    def children(stage: str) -> list[str]:
        above = f"{stage}." if stage else ""
        names = [f"{above}{name}" for name, _ in modules[stage].named_children()]
        return [name for name in names if name in modules and name not in heads and size(name)]

    def size(stage: str) -> int:
        return sum(
            weight.numel()
            for name, weight in modules[stage].named_parameters()
            if not f"{stage}.{name}".startswith(in_heads)
        )

    def blocks(stages: Sequence[str]) -> int:
        return sum(not isinstance(modules[stage], NORMS) for stage in stages)

    def must_open(stage: str) -> bool:
        return bool(children(stage)) and (
            stage not in whole or any(head.startswith(f"{stage}.") for head in heads)
        )

    def opened(stages: Sequence[str]) -> Iterator[str]:
        for stage in stages:
            yield from opened(children(stage)) if must_open(stage) else (stage,)

    beside = {head.rpartition(".")[0] for head in heads} - {""}
    stages = [
        stage
        for stage in opened(children(""))
        if not (stage.rpartition(".")[0] in beside and isinstance(modules[stage], nn.Linear))
    ]
    while stages:
        largest = max(stages, key=size)
        share = size(largest) / sum(map(size, stages))
        # a convolution with its norm and activation is one stage and not three
        divides = isinstance(modules[largest], nn.Sequential) and blocks(children(largest)) > 1
        few = blocks(stages) < FEW_STAGES and divides
        if not children(largest) or not (few or share > 0.9):
            return stages
        at = stages.index(largest)
        stages[at : at + 1] = opened(children(largest))
    return stages


def _layouts(
    body: nn.Module, preprocessing: Preprocessing, prefix_tokens: int
) -> Mapping[str, Layout]:
    """How what each module gives is laid out, as far as a copy of the network shows it.

    A copy, because the look changes statistics. Of what cannot be copied nothing is known, and it
    is read as its shapes suggest.
    """
    try:
        with seeded(0):
            model = copy.deepcopy(body).cpu().float()
            wake(model)
            return layouts_of(
                model,
                size=preprocessing.size,
                channels=1 if preprocessing.order == "grey" else 3,
                prefix_tokens=prefix_tokens,
                steady=True,
            )
    except Exception:  # each module has its own way to refuse a copy
        return {}


def _prefix_tokens(all_runs: Sequence[Run], shapes: Sequence[Sequence[int]]) -> int:
    """How many tokens stand before those of the patches, which a convolution has cut."""
    patches = next((run.output for run in all_runs if run.output is not None
                    and run.output.ndim == 4 and len(run.output) == 2), None)  # fmt: skip
    tokens = [shape[1] for shape in shapes if len(shape) == 3]
    if patches is None or not tokens:
        return 0
    more = tokens[-1] - patches.shape[2] * patches.shape[3]
    return more if 0 <= more <= MOST_PREFIX_TOKENS else 0


NORMS: tuple[Any, ...] = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)  # noqa: SLF001
"""What only scales, and is no layer to look at."""


def _once(all_runs: Sequence[Run], names: Sequence[str]) -> list[Run]:
    """The runs of those that run exactly once, in the order in which they end."""
    times = Counter(run.name for run in all_runs)
    return [run for run in all_runs if run.name in names and times[run.name] == 1]
