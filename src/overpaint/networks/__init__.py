"""Network: weights with an architecture, their preprocessing, and the layers worth analysing.

>>> import torch
>>> network = build("inception_small", classes=("cat", "dog"), seed=0)
>>> network(torch.zeros(1, 3, 64, 64)).shape
torch.Size([1, 2])
>>> network.layers[-1], network.head
('mixed5a', 'head')

A network takes pictures as they are, (N, 3, H, W), RGB, 0..1; what its weights want to see
(channel order, means, range) belongs to it and travels with it.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from overpaint import cache
from overpaint.errors import NetworkError, OverpaintError, command, nearest
from overpaint.machine import hand_on, refusals_told
from overpaint.networks import described
from overpaint.networks.inception_v1 import BUILDERS, TAGS
from overpaint.networks.network import Network, seeded
from overpaint.networks.parts import Preprocessing
from overpaint.networks.weights import importers
from overpaint.networks.weights.opening import read_tensors
from overpaint.networks.weights.placing import Places, check_finite, check_settings, placed
from overpaint.records import file_digest, read_manifest, whole_file
from overpaint.records.drafts import finished
from overpaint.study.code import is_code, not_allowed

__all__ = ["Network", "Preprocessing", "build", "load", "open_network", "save_weights"]


# --- building ----------------------------------------------------------------------------------


def build(
    architecture: str, *, classes: tuple[str, ...], seed: int, multi_label: bool = False
) -> Network:
    """A network with random weights, the same for the same seed.

    `architecture` is `inception_v1` (the variant of the Caffe model zoo's weights),
    `inception_v1.tf_in1k` (that of TensorFlow's), `inception_small`, `timm:NAME` or
    `torchvision:NAME`; raises NetworkError for another. The random state of the process is left as
    it was.
    """
    with seeded(seed):
        if architecture in BUILDERS:
            parts = BUILDERS[architecture](len(classes))
        elif _in_zoo(architecture):
            from overpaint.networks import zoo  # timm and torchvision take seconds to import

            parts = zoo.parts(architecture, len(classes))
        else:
            raise NetworkError(
                "unknown-architecture",
                f"there is no architecture {architecture!r}; {nearest(architecture, BUILDERS)}, "
                "timm:NAME, torchvision:NAME",
            )
    return Network(architecture, parts, classes, multi_label=multi_label)


def drawn_like(
    network: Network, *, classes: tuple[str, ...], seed: int, multi_label: bool = False
) -> Network:
    """A network of the same architecture with random weights, for some classes.

    Of an own network, what its function makes; a NetworkError for a module that was wrapped.
    """
    if network.code:
        from overpaint.networks import code

        return code.drawn(
            network.architecture, network.code, classes=classes, seed=seed, multi_label=multi_label
        )
    if network.borrowed:
        raise NetworkError(
            "no-code",
            f"{network.architecture} was wrapped, and nobody knows how to make another: give a "
            "study the function that makes it, 'load: package.module:function'",
        )
    return build(network.architecture, classes=classes, seed=seed, multi_label=multi_label)


# --- loading -----------------------------------------------------------------------------------


@refusals_told()
def load(
    name: str,
    *,
    weights: str | Path | None = None,
    seed: int = 0,
    code: str | Path | None = None,
) -> Network:
    """A network by name, file or folder.

    >>> load("inception_small", weights="random").architecture
    'inception_small'

    `name` is `inception_v1[.bvlc_in1k]`, `inception_v1.tf_in1k`, `timm:NAME`, `torchvision:NAME`,
    or the folder of a study's network. `weights` is "random" (drawn from `seed`), or a file for the
    architecture: PyTorch's (`.safetensors`, `.pth`, `.pt`, `.bin`, `.ckpt`, `.tar`; checkpoints of
    timm, Lightning, DINO and others are unwrapped), a folder of Hugging Face, GoogLeNet's
    `.caffemodel`, a frozen graph of InceptionV1 (`.pb`, or the `.zip` that holds it). What was
    unwrapped, renamed or left is told by a UserWarning, and stands in `remark`. Without `weights`,
    those published under the name, from the cache folder (`OVERPAINT_CACHE`, by default the
    platform's) or downloaded into it. Weights that cannot be had are a NetworkError that says where
    to put them: never random in silence.

    An own network is `package.module:function`, or lies in a folder; to load it runs its code, for
    which `code` names the folder where to look first. Without `code` nothing is run.
    """
    place = None if code is None else Path(code).resolve()
    if (Path(name) / "manifest.json").is_file():
        return open_network(Path(name), code=place)
    if (Path(name) / "study.yaml").is_file():
        paths = [path.parent for path in finished(Path(name), "networks/*/manifest.json")]
        known = ", ".join(path.as_posix() for path in paths) or "none yet"
        raise NetworkError(
            "not-a-network", f"{name} is a study folder; name one of its networks: {known}"
        )
    if is_code(name):
        if place is None:
            raise not_allowed(name)
        return _by_code(name, place, weights, seed)
    architecture = _without_tag(name)
    if weights == "random":
        return build(architecture, classes=("untrained",), seed=seed)
    if weights is not None:
        return _with_weights(architecture, Path(weights))
    if architecture in cache.SOURCES:
        return _with_names(_with_weights(architecture, cache.published(name)))
    if _in_zoo(architecture):
        return _with_names(_pretrained(architecture))
    others = " or ".join(_of_zoos(architecture))
    meant = f"did you mean {others}? Else " if others else ""
    if not others and (count := _named_like(name)):
        listed = command("overpaint", "networks", name)
        meant = f"{count} names have it in them, {listed!r} lists them. Else "
    raise NetworkError(
        "no-weights",
        f"no weights are published for {name!r}: {meant}give a file ('weights: FILE' in a study), "
        "or say 'weights: random'",
    )


def _with_names(network: Network) -> Network:
    """A published network with the names of its classes, where these are ImageNet's thousand; what
    a repository of the hub holds may be a thousand of anything.
    """
    from torchvision.models import ResNet18_Weights

    names = tuple(ResNet18_Weights.DEFAULT.meta["categories"])
    if len(network.classes) == len(names) and not described.is_described(network.architecture):
        network.classes = names
    return network


def _of_zoos(name: str) -> list[str]:
    """The names of zoos' networks that end so."""
    import timm
    from torchvision.models import list_models

    found = [f"torchvision:{name}"] if name in list_models() else []
    return [*found, *([f"timm:{name}"] if timm.is_model(name) else [])]


def _named_like(name: str) -> int:
    """How many networks of zoos have a word in their names."""
    import timm
    from torchvision.models import list_models

    names = [*list_models(), *timm.list_pretrained()]
    return sum(name.lower() in each.lower() for each in names) if name else 0


def _without_tag(name: str) -> str:
    """The architecture of "inception_v1.bvlc_in1k", whose tag must be one that there is."""
    architecture, _, tag = name.partition(".")
    if architecture in TAGS:
        if tag and tag not in TAGS[architecture]:
            raise NetworkError(
                "unknown-weights",
                f"{architecture} has no weights {tag!r}; {nearest(tag, TAGS[architecture])}",
            )
        return name if name in BUILDERS else architecture
    return name


def _with_weights(architecture: str, path: Path) -> Network:
    tensors = read_tensors(path)
    if path.suffix in importers.READERS:
        check_finite(tensors, str(path))
    if architecture == "inception_v1" and importers.has_caffe_names(tensors):
        return network_of(architecture, importers.from_caffe_names(tensors), where=str(path))
    if path.suffix in importers.READERS:
        return network_of(architecture, tensors, where=str(path))
    bare = build(architecture, classes=("a",), seed=0)
    found = placed(
        tensors, Places(bare.body, bare.heads), where=str(path), architecture=architecture
    )
    folder = path if path.is_dir() else path.parent
    settings = check_settings(folder, bare.body, architecture=architecture)
    network = network_of(architecture, found.tensors, where=str(path))
    _remark(network, path, [*found.remarks, *settings])
    return network


def _by_code(name: str, folder: Path, weights: str | Path | None, seed: int) -> Network:
    """What a function makes, filled from a file if one is named; its head is as the file's."""
    from overpaint.networks import code

    network = code.made_by(name, folder, seed)
    if weights in (None, "random"):
        return network
    path = Path(str(weights))
    found = placed(
        read_tensors(path),
        Places(network.body, network.heads),
        where=str(path),
        architecture=name,
    )
    head = found.tensors.get(f"{network.head}.weight")
    if head is not None and len(head) != len(network.classes):
        classes = tuple(map(str, range(len(head))))
        network = code.drawn(name, folder, classes=classes, seed=seed)
    fill(network, found.tensors, where=str(path))
    _remark(network, path, found.remarks)
    return network


def _remark(network: Network, path: Path, remarks: Sequence[str]) -> None:
    """Keep and say how a file was read, where there is anything to say."""
    if remarks:
        network.remark = f"{path.name}: {'; '.join(remarks)}"
        warnings.warn(f"weights {network.remark}", stacklevel=4)  # where `load` was called


def network_of(
    architecture: str,
    tensors: Mapping[str, Tensor],
    *,
    where: str,
    classes: tuple[str, ...] | None = None,
    multi_label: bool = False,
) -> Network:
    """An architecture filled with tensors; a NetworkError names the first that does not fit."""
    bare = build(architecture, classes=("a",), seed=0)
    weight = tensors.get(f"{bare.head}.weight")
    if weight is None:
        raise _misfit(where, architecture, f"it lacks {bare.head}.weight")
    names = classes if classes is not None else tuple(map(str, range(weight.shape[0])))
    network = build(architecture, classes=names, seed=0, multi_label=multi_label)
    fill(network, tensors, where=where)
    return network


def fill(network: Network, tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Give a network its tensors; a NetworkError names the first that does not fit."""
    architecture, places = network.architecture, network.tensors()
    for name in sorted(places.keys() | tensors.keys()):
        if name not in tensors:
            raise _misfit(where, architecture, f"it lacks {name}")
        if name not in places:
            raise _misfit(where, architecture, f"{name} has no place in it")
        if places[name].shape != tensors[name].shape:
            shapes = f"{tuple(tensors[name].shape)}, not {tuple(places[name].shape)}"
            raise _misfit(where, architecture, f"{name} is {shapes}")
    network.fill(tensors)


def _misfit(where: str, architecture: str, why: str) -> NetworkError:
    return NetworkError("weights-misfit", f"{where} does not fit {architecture}: {why}")


def _in_zoo(architecture: str) -> bool:
    return architecture.startswith(("timm:", "torchvision:"))


def _pretrained(architecture: str) -> Network:
    from overpaint.networks import zoo

    if path := cache.weights_file(architecture):
        return _with_weights(architecture, path)
    try:
        if described.is_described(architecture):
            return _with_weights(architecture, described.downloaded_weights(architecture))
        parts, classes = zoo.pretrained(architecture)
    except OverpaintError:
        raise
    except Exception as error:
        hand_on(error)
        url = zoo.address(architecture)
        file = next(
            (name for name in cache.names_of(architecture) if url.endswith(Path(name).suffix)),
            cache.names_of(architecture)[0],
        )
        raise NetworkError(
            "no-weights",
            f"the weights of {architecture!r} could not be downloaded ({cache.first_line(error)}): "
            f"put {url} as {file} into {cache.cache_folder()}, or say 'weights: random'",
        ) from None
    return Network(architecture, parts, tuple(map(str, range(classes))))


# --- the network of a study folder ---------------------------------------------------------------


def open_network(folder: Path, *, code: Path | None = None) -> Network:
    """A network of a study folder, with the classes and layers that it was saved with.

    `code` is the folder of the code of own networks, where that may be run.
    """
    facts = read_manifest(folder).facts
    described.remember(facts["architecture"], facts.get("config"))
    path = folder / "weights.safetensors"
    if not path.is_file():
        raise NetworkError("no-weights", f"{folder} holds no weights: only what was found of them")
    if facts["weights"] != file_digest(path):
        raise NetworkError(
            "changed-weights", f"{path} is not the file that {folder / 'manifest.json'} describes"
        )
    if is_code(facts["architecture"]):
        if code is None:
            raise not_allowed(facts["architecture"])
        from overpaint.networks.code import drawn

        network = drawn(
            facts["architecture"],
            code,
            classes=tuple(facts["classes"]),
            seed=0,
            multi_label=facts["multi_label"],
        )
        if network.source_digest != facts["code"]:
            warnings.warn(
                f"the code of {facts['architecture']} has changed since {folder} was made",
                stacklevel=3,
            )
        fill(network, read_tensors(path), where=str(path))
        return network
    return network_of(
        facts["architecture"],
        read_tensors(path),
        where=str(path),
        classes=tuple(facts["classes"]),
        multi_label=facts["multi_label"],
    )


def save_weights(network: Network, path: Path) -> str:
    """Write a network's tensors as safetensors, whole; returns the file's SHA-256."""
    tensors: dict[str, Tensor] = {}
    places: set[int] = set()  # in memory: safetensors takes none twice, and CoaT shares some
    for name, tensor in network.tensors().items():
        plain = tensor.detach().cpu().contiguous()
        place = plain.untyped_storage().data_ptr()
        tensors[name] = plain.clone() if place in places else plain
        places.add(place)
    with whole_file(path) as draft:
        safetensors.torch.save_file(tensors, draft)
    return file_digest(path)


def describe(network: Network) -> dict[str, Any]:
    """What a manifest says of a network."""
    return {
        "architecture": network.architecture,
        "layers": list(network.layers),
        "parameters": network.parameters_in_all,
        "classes": list(network.classes),
        "multi_label": network.multi_label,
        "preprocessing": asdict(network.preprocessing),
        "config": described.config_of(network.architecture),
    }
