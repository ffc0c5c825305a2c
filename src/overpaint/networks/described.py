"""Networks of timm that a `config.json` describes: on the Hugging Face hub, or in a folder.

>>> is_described("hf-hub:org/name"), is_described("resnet18.a1_in1k")
(True, False)

The file says which architecture it is, with which arguments, and how pictures must look. What was
read once is remembered by name, and a study folder keeps it: there, neither hub nor folder is
needed any more.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from overpaint import cache
from overpaint.errors import NetworkError
from overpaint.files import json_of
from overpaint.machine import hand_on

HUB, FOLDER = "hf-hub:", "local-dir:"

_configs: dict[str, dict[str, Any]] = {}


def is_described(name: str) -> bool:
    """Whether a name of timm's is that of a repository or a folder."""
    return name.removeprefix("timm:").startswith((HUB, FOLDER))


def remember(name: str, config: Mapping[str, Any] | None) -> None:
    """Take a config from a study folder, so that it need not be read where it came from."""
    if config is not None:
        _configs[name.removeprefix("timm:")] = dict(config)


def config_of(name: str) -> dict[str, Any] | None:
    """The config of a described network; None of any other. Raises NetworkError `no-config`."""
    name = name.removeprefix("timm:")
    if not is_described(name):
        return None
    if name not in _configs:
        _configs[name] = _read(name)
    return _configs[name]


def _read(name: str) -> dict[str, Any]:
    if name.startswith(FOLDER):
        path = Path(name.removeprefix(FOLDER)) / "config.json"
        advice = "'timm:local-dir:FOLDER' takes a folder of timm's, with config.json and weights"
    else:
        repository = name.removeprefix(HUB)
        advice = (
            f"fetch config.json and model.safetensors of https://huggingface.co/{repository} into "
            "a folder, and say 'timm:local-dir:FOLDER'"
        )
        try:
            path = download(repository, "config.json")
        except Exception as error:
            hand_on(error)
            raise NetworkError(
                "no-config",
                f"the config of 'timm:{name}' could not be downloaded ({cache.first_line(error)}): "
                f"{advice}",
            ) from None
    try:
        config = json_of(path)
        architecture = config["architecture"]
    except FileNotFoundError:
        raise NetworkError("no-config", f"there is no {path}: {advice}") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise NetworkError("no-config", f"{path} names no architecture of timm: {advice}") from None
    if not isinstance(architecture, str):
        raise NetworkError("no-config", f"{path} names no architecture of timm: {advice}")
    return dict(config)


def download(repository: str, file: str) -> Path:
    """A file of a repository of the hub, by timm's own way, from its cache where it lies there."""
    from timm.models import _hub

    return Path(_hub.download_from_hf(repository, file))


def downloaded_weights(name: str) -> Path:
    """The file of weights of a repository, downloaded. Those of a folder lie in it."""
    name = name.removeprefix("timm:")
    config_of(name)  # what it is comes first: without it the weights are of no use
    if name.startswith(FOLDER):
        folder = name.removeprefix(FOLDER)
        raise NetworkError(
            "no-weights",
            f"{folder} holds no weights: one of {', '.join(cache.FOLDER_WEIGHTS)} is looked for",
        )
    repository = name.removeprefix(HUB)
    try:
        return download(repository, "model.safetensors")
    except Exception as error:
        try:
            return download(repository, "pytorch_model.bin")
        except Exception:
            raise error from None
