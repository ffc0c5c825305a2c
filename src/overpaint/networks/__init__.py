"""Network: weights with an architecture, their preprocessing, and the layers worth analysing.

>>> network = build("inception_small", classes=("cat", "dog"), seed=0)
>>> network(torch.zeros(1, 3, 64, 64)).shape
torch.Size([1, 2])
>>> network.layers[-1], network.head
('mixed5a', 'head')

A network takes pictures as they are, (N, 3, H, W), RGB, 0..1; what its weights want to see
(channel order, means, range) belongs to it and travels with it.
"""

import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from overpaint import cache
from overpaint.errors import NetworkError, OverpaintError, nearest
from overpaint.networks import described, importers, inception_v1, weight_files
from overpaint.networks.order import back_to
from overpaint.networks.outputs import logits_in
from overpaint.networks.parts import Parts, Preprocessing
from overpaint.networks.weights import Places, check_settings, placed
from overpaint.records import digest, file_digest, read_manifest, whole_file
from overpaint.study.code import is_code, not_allowed

__all__ = ["Network", "Preprocessing", "build", "load", "open_network", "save_weights"]


class Network(nn.Module):
    """An architecture with weights, ready to run on pictures and to be tapped by layer name."""

    def __init__(
        self,
        architecture: str,
        parts: Parts,
        classes: tuple[str, ...],
        *,
        multi_label: bool = False,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.body = parts.body
        self.layers = parts.layers
        self.head = parts.head
        self.heads = tuple(filter(None, (parts.head, *parts.more_heads)))
        self.filters = parts.filters
        self.any_size = parts.any_size
        self.prefix_tokens = parts.prefix_tokens
        self.channels_last = parts.channels_last
        self.layouts = parts.layouts
        self.preprocessing = parts.preprocessing
        self.classes = classes
        self.multi_label = multi_label
        self.remark = ""  # how its file of weights was read, where there is anything to say
        self.borrowed = False  # whether the body is somebody else's, to be left as it was
        self.code: Path | None = None  # where the code of an own network lies, if it may be run
        self.source_digest = ""  # of the file of that code
        self.register_buffer("_mean", _per_channel(self.preprocessing.mean), persistent=False)
        self.register_buffer("_std", _per_channel(self.preprocessing.std), persistent=False)
        self._mean: Tensor
        self._std: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W), RGB, 0..1 -> logits (N, classes)."""
        return logits_in(self.body(self.normalise(images)), self.architecture)

    def normalise(self, images: Tensor) -> Tensor:
        """Pictures 0..1 -> the values that the weights want to see."""
        if self.preprocessing.order == "BGR":
            images = images.flip(1)
        if self.preprocessing.order == "grey":
            images = luminance(images)
        values = (images - self._mean.to(images.device)) / self._std.to(images.device)
        return values.to(self._dtype)

    @property
    def _dtype(self) -> torch.dtype:
        """What the body reckons in; float32, unless its owner has made it another."""
        weights = (weight.dtype for weight in self.body.parameters())
        return next((dtype for dtype in weights if dtype.is_floating_point), torch.float32)

    def in_head(self, tensor: str) -> bool:
        """Whether a tensor belongs to a classifier.

        >>> network = build("inception_small", classes=("cat", "dog"), seed=0)
        >>> network.in_head("head.weight"), network.in_head("conv2d0_pre_relu.0.weight")
        (True, False)
        """
        return tensor.startswith(tuple(f"{head}." for head in self.heads))

    @property
    def parameters_in_all(self) -> int:
        """How many numbers the network has learnt."""
        return sum(parameter.numel() for parameter in self.parameters())

    def tensors(self) -> dict[str, Tensor]:
        """All weights and statistics by name."""
        state = self.body.state_dict()  # which may carry more than tensors
        return {name: value for name, value in state.items() if isinstance(value, Tensor)}

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Take weights and statistics: all of them, by the names of `tensors`."""
        state = self.body.state_dict()
        # in the body's own dictionary: MNASNet reads from its metadata how old the weights are
        state.update(tensors)
        self.body.load_state_dict(state)
        modes = [(module, module.training) for module in self.body.modules()]
        self.body.train()  # LeViT and its like forget here what they computed from the old weights
        back_to(modes)

    @property
    def digest(self) -> str:
        """SHA-256 over architecture, preprocessing and every tensor's name and bytes."""
        preprocessing = asdict(self.preprocessing)
        if self.preprocessing.crop_mode == "center":
            del preprocessing["crop_mode"]  # it came later, and digests are to stay
        parts = [self.architecture, preprocessing, list(self.classes)]
        return digest([parts, tensor_digests(self.tensors())])


def tensor_digests(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """SHA-256 of each tensor's bytes."""
    return {
        # as bytes: NumPy knows no bfloat16
        name: hashlib.sha256(
            tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        ).hexdigest()
        for name, tensor in tensors.items()
    }


def luminance(images: Tensor) -> Tensor:
    """How bright colours are, as ITU-R 601 and Pillow have it: (N, 3, H, W) -> (N, 1, H, W)."""
    shares = torch.tensor([0.299, 0.587, 0.114]).to(images).reshape(1, 3, 1, 1)
    return (images * shares).sum(dim=1, keepdim=True)


def _per_channel(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).reshape(1, -1, 1, 1)


# --- building ----------------------------------------------------------------------------------

BUILDERS = {
    "inception_v1": inception_v1.v1_parts,
    "inception_v1.tf_in1k": inception_v1.tf_parts,
    "inception_small": inception_v1.small_parts,
}
TAGS = {"inception_v1": ("bvlc_in1k", "tf_in1k")}


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


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's generator at a seed inside the block, and as it was afterwards."""
    # manual_seed is for the GPUs too; to ask for the state of one that nobody uses would start it
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    gpus = range(torch.cuda.device_count()) if started else ()
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(seed)
        yield


# --- loading -----------------------------------------------------------------------------------


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
        return _with_weights(architecture, cache.published(name))
    if _in_zoo(architecture):
        return _pretrained(architecture)
    raise NetworkError(
        "no-weights",
        f"no weights are published for {name!r}: give a file ('weights: FILE'), or say "
        "'weights: random'",
    )


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
    tensors = weight_files.read_tensors(path)
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
        weight_files.read_tensors(path),
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
        fill(network, weight_files.read_tensors(path), where=str(path))
        return network
    return network_of(
        facts["architecture"],
        weight_files.read_tensors(path),
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
