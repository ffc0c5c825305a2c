"""What the plain install leaves out: `overpaint` reads and reports, `overpaint[train]` does all."""

from importlib.util import find_spec

from overpaint.errors import OverpaintError

TRAIN = ("torch", "torchvision", "timm", "accelerate", "safetensors", "zarr", "scipy", "sklearn")
"""Modules that only the extra brings."""


class MissingExtraError(OverpaintError, ImportError):
    """What was asked for needs libraries that the plain install leaves out."""


def require_train(purpose: str) -> None:
    """Raises MissingExtraError where a library of `overpaint[train]` is not installed.

    It looks for them without importing any, so it costs nothing where all are there.
    """
    missing = [name for name in TRAIN if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            "missing-extra",
            f"{purpose} needs libraries that are not installed ({', '.join(missing)}): "
            "python -m pip install 'overpaint[train]'; reading and reporting do without",
        ) from None
