"""The network that a proposed study starts from: one that suits the machine, and can be had.

What lies in the cache folder comes first; what must be downloaded is asked for with a short request
before it is proposed. Never are weights drawn at random because none can be had.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from overpaint.cache import SOURCES, cache_folder, names_of, network_of_file, weights_file
from overpaint.errors import NetworkError

MANY = 2000
"""Pictures from which on a GPU may as well train a larger network."""

PATIENCE = 5
"""Seconds in which a server is to answer whether it has a file."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """A network by the name that a study gives it, and why it is this one."""

    name: str
    why: str
    weights: Path | None = None  # a file for it that was named, and not looked for


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A network that may be proposed."""

    name: str
    address: str
    why: str


SMALL = Candidate(
    name="inception_v1.bvlc_in1k",
    address=SOURCES["inception_v1.bvlc_in1k"].url,
    why="InceptionV1 of ImageNet, the paper's network: small enough for a processor",
)
TORCHVISION = "https://download.pytorch.org/models/"
RESNET_18 = Candidate(
    name="torchvision:resnet18",
    address=f"{TORCHVISION}resnet18-f37072fd.pth",
    why="ResNet-18 of ImageNet: small enough for a processor",
)
RESNET_50 = Candidate(
    name="torchvision:resnet50",
    address=f"{TORCHVISION}resnet50-11ad3fa6.pth",
    why="ResNet-50 of ImageNet, which a GPU trains in minutes",
)


def candidates(device: str, pictures: int) -> tuple[Candidate, ...]:
    """The networks that suit a device ("cpu", "cuda", …) and a number of pictures, the best first.

    >>> [candidate.name for candidate in candidates("cpu", 500)]
    ['inception_v1.bvlc_in1k', 'torchvision:resnet18']
    >>> candidates("cuda", 20_000)[0].name
    'torchvision:resnet50'
    """
    if device == "cpu" or pictures < MANY:
        return SMALL, RESNET_18
    return RESNET_50, SMALL, RESNET_18


def named_start(network: str) -> Start:
    """What was named to start from: a network by its name, its folder in a study, or a file of
    weights whose name tells which network they are of; a NetworkError says what to do with another.
    """
    path, why = Path(network), "the network that was named"
    if path.is_dir():
        return Start(name=str(path.resolve()), why=why)
    if path.is_file() and (name := network_of_file(path.name)):
        return Start(name=name, why=f"{why}, by {path}", weights=path.resolve())
    if path.is_file():
        raise NetworkError(
            "no-weights",
            f"--network {network}: of a file of that name it is not known which network its "
            f"weights are of: name it as {SMALL.name} looks for it "
            f"({' or '.join(names_of(SMALL.name))}), or timm-NAME or torchvision-NAME with its "
            f"ending, here or in the cache folder ({cache_folder()}; OVERPAINT_CACHE is another); "
            "or in a study write 'load: ARCHITECTURE, weights: FILE'",
        )
    if path.suffix.lower() in ENDINGS:
        raise NetworkError("no-weights", f"--network: there is no file of weights {network}")
    return Start(name=network, why=why)


ENDINGS = (".safetensors", ".caffemodel", ".pth", ".pt", ".bin", ".ckpt", ".tar", ".pb", ".zip")
"""Of files of weights; no network's name ends so."""


def start_for(device: str, pictures: int) -> Start:
    """The network to start from; a NetworkError that says what to do where none can be had."""
    listed = candidates(device, pictures)
    for candidate in listed:
        if place := _lies_at(candidate):
            return Start(name=candidate.name, why=f"{candidate.why}; its weights are in {place}")
    for candidate in listed:
        if _can_be_had(candidate.address):
            return Start(name=candidate.name, why=f"{candidate.why}; its weights are downloaded")
    places = "; or ".join(
        f"{candidate.address} as {' or '.join(reversed(names_of(candidate.name)))}"
        for candidate in listed
    )
    raise NetworkError(
        "no-weights",
        "no weights of a network are here, and none can be downloaded, as without a connection: "
        f"fetch {places}, and put it into {cache_folder()} (or set OVERPAINT_CACHE to the folder "
        "that holds it); or name a network with --network: a name, or the folder of a study's "
        "network",
    )


def _lies_at(candidate: Candidate) -> Path | None:
    """Where the weights lie already: in our cache, or in torch's."""
    if path := weights_file(candidate.name):
        return path.parent
    home = os.environ.get("TORCH_HOME") or Path.home() / ".cache/torch"
    path = Path(home) / "hub/checkpoints" / candidate.address.rpartition("/")[2]
    return path.parent if path.is_file() else None


def _can_be_had(address: str) -> bool:
    """Whether a server answers that it has a file."""
    import requests

    with suppress(requests.RequestException):
        return requests.head(address, timeout=PATIENCE, allow_redirects=True).ok
    return False
