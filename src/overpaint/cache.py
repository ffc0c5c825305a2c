"""The cache folder: published weights by file name, downloaded where they are not; no torch.

>>> names_of("inception_v1.tf_in1k")
('inception5h.zip',)
>>> names_of("torchvision:resnet18")
('torchvision-resnet18.safetensors', 'torchvision-resnet18.pth')
"""

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from overpaint.errors import NetworkError
from overpaint.files import check_place
from overpaint.machine import hand_on

TIMEOUT = 30
"""Seconds without a word from a server before a download is given up."""


@dataclass(frozen=True)
class Source:
    """A file that is published for everybody. `hash` is "sha256:…", or "sha1:…" of older ones."""

    name: str
    url: str
    hash: str


CAFFEMODEL = Source(
    "bvlc_googlenet.caffemodel",
    "http://dl.caffe.berkeleyvision.org/bvlc_googlenet.caffemodel",
    "sha1:405fc5acd08a3bb12de8ee5e23a96bec22f08204",
)
GRAPH_ZIP = Source(
    "inception5h.zip",
    "https://storage.googleapis.com/download.tensorflow.org/models/inception5h.zip",
    "sha256:d13569f6a98159de37e92e9c8ec4dae8f674fbf475f69fe6199b514f756d4364",
)
SOURCES = {
    "inception_v1": CAFFEMODEL,
    "inception_v1.bvlc_in1k": CAFFEMODEL,
    "inception_v1.tf_in1k": GRAPH_ZIP,
}
"""By the name of the network."""


def cache_folder() -> Path:
    """Where published weights lie: `OVERPAINT_CACHE`, or the platform's cache folder.

    Raises NetworkError for what can be no folder.
    """
    named = os.environ.get("OVERPAINT_CACHE")
    folder = Path(named or platformdirs.user_cache_dir("overpaint"))
    try:
        check_place(folder)
    except ValueError as error:
        raise NetworkError("bad-cache", f"OVERPAINT_CACHE: {error}") from None
    folder = folder.expanduser()
    if folder.exists() and not folder.is_dir():
        raise NetworkError(
            "bad-cache", f"{folder}, the cache folder, is a file: set OVERPAINT_CACHE to a folder"
        )
    return folder


def names_of(network: str) -> tuple[str, ...]:
    """The file names under which a network's weights are looked for, the first choice first."""
    if network in SOURCES:
        name = SOURCES[network].name
        converted = ("bvlc_googlenet.safetensors",) if name == CAFFEMODEL.name else ()
        return (*converted, name)
    if network.startswith(("timm:", "torchvision:")):
        stem = network.replace(":", "-").replace("/", "-")
        return (f"{stem}.safetensors", f"{stem}.pth")
    return ()


def network_of_file(file: str) -> str | None:
    """The network whose weights are looked for under a file's name; None for any other name.

    >>> network_of_file("bvlc_googlenet.safetensors"), network_of_file("timm-vit_tiny.pth")
    ('inception_v1.bvlc_in1k', 'timm:vit_tiny')
    >>> network_of_file("mine.pth")
    """
    for network in reversed(SOURCES):  # with the tag first
        if file in names_of(network):
            return network
    kind, _, name = file.rpartition(".")[0].partition("-")
    network = f"{kind}:{name}"
    if name.startswith(("hf-hub-", "local-dir-")):
        return None  # in whose names a stroke stands for others too
    return network if file in names_of(network) else None


FOLDER_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.bin", "model.pth")
"""The files of weights that a folder of timm's may hold."""


def weights_file(network: str) -> Path | None:
    """The file of the cache folder, or of the folder that is named, that weights come from, if one
    is there.
    """
    folder, names = cache_folder(), names_of(network)
    if network.startswith("timm:local-dir:"):
        folder, names = Path(network.removeprefix("timm:local-dir:")), FOLDER_WEIGHTS
    paths = (folder / name for name in names)
    return next((path for path in paths if path.is_file()), None)


def published(network: str) -> Path:
    """The file of a name's weights, downloaded if it is not in the cache folder.

    Raises NetworkError when it cannot be had, naming URL, file and folder, and when a file is there
    that is not the published one, with both hashes.
    """
    source, path = SOURCES[network], weights_file(network)
    if path is None:
        return _download(source, network)
    if path.name == source.name:
        import pooch  # and with it requests: only where weights are loaded

        algorithm, _, expected = source.hash.partition(":")
        actual = pooch.file_hash(str(path), alg=algorithm)
        if actual != expected:
            raise NetworkError(
                "wrong-hash",
                f"{path} is not the file that {source.url} publishes: its {algorithm} is {actual}, "
                f"not {expected}; remove it, and it is downloaded",
            )
    return path


def _download(source: Source, network: str) -> Path:
    import pooch

    from overpaint.records.drafts import downloading

    folder = cache_folder()
    try:
        with downloading(folder / source.name) as draft:
            pooch.retrieve(
                source.url,
                known_hash=source.hash,
                fname=source.name,
                path=draft,
                downloader=pooch.HTTPDownloader(timeout=TIMEOUT),
            )
    except ValueError as error:
        if isinstance(error, OSError):  # requests calls some failures both
            hand_on(error, folder / source.name)
            raise _missing(source, network, folder, error) from None
        raise NetworkError("wrong-hash", f"{source.url} gave another file: {error}") from None
    except Exception as error:
        hand_on(error, folder / source.name)
        raise _missing(source, network, folder, error) from None
    return folder / source.name


def _missing(source: Source, network: str, folder: Path, error: Exception) -> NetworkError:
    return NetworkError(
        "no-weights",
        f"the weights of {network!r} are not here and could not be downloaded "
        f"({first_line(error)}): put {source.url} as {' or '.join(reversed(names_of(network)))} "
        f"into {folder} (or set OVERPAINT_CACHE to the folder that holds it), or say "
        "'weights: random'",
    )


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
