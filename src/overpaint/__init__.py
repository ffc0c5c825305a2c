"""See what fine-tuning painted over your pre-trained network.

>>> import overpaint as op
>>> network = op.load("inception_small", weights="random")
>>> network.layers[-1]
'mixed5a'

The public names, nothing else. Each is imported when it is first used, so that the command line
answers before torch has loaded.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_HOME = {
    "Comparison": "overpaint.comparison",
    "Dataset": "overpaint.datasets",
    "Network": "overpaint.networks",
    "OverpaintError": "overpaint.errors",
    "Study": "overpaint.study",
    "Unit": "overpaint.networks.taps",
    "compare": "overpaint.comparison",
    "dataset": "overpaint.datasets.opening",
    "load": "overpaint.networks",
    "read_study": "overpaint.study",
    "render": "overpaint.render",
    "report": "overpaint.report",
    "taps": "overpaint.networks.taps",
}

__all__ = sorted(_HOME)  # noqa: PLE0605 - a list, made from the table above


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'overpaint' has no attribute {name!r}")
    found = getattr(import_module(_HOME[name]), "build" if name == "report" else name)
    globals()[name] = found  # a submodule of the same name must not stand in for it later
    return found


def __dir__() -> list[str]:
    return __all__


class _Front(ModuleType):
    """Keeps `op.render` the function: importing the module of that name would put itself there."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Front
