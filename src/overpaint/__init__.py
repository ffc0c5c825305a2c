"""See what fine-tuning painted over your pre-trained network.

>>> import overpaint as op
>>> network = op.load("inception_small", weights="random")
>>> network.layers[-1]
'mixed5a'

The public names, nothing else. Each is imported when it is first used, so that the command line
answers before torch has loaded; a type checker sees the plain imports.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from overpaint.errors import require_train

if TYPE_CHECKING:
    from overpaint.causes.between import Way, between
    from overpaint.causes.rewind import Rewound, rewind
    from overpaint.comparison import Comparison, compare
    from overpaint.comparison.concepts import Concepts, concepts
    from overpaint.comparison.probes import Probes, probe
    from overpaint.datasets import Dataset
    from overpaint.datasets.opening import dataset
    from overpaint.errors import OverpaintError
    from overpaint.gaze.attribution import Attribution, attribute
    from overpaint.networks import Network, load
    from overpaint.networks.own import wrap
    from overpaint.networks.taps import Unit, taps
    from overpaint.render import render
    from overpaint.report.opened import OpenComparison, OpenStudy, open_study
    from overpaint.reporting import report
    from overpaint.study import Study, read_study

__all__ = [
    "Attribution",
    "Comparison",
    "Concepts",
    "Dataset",
    "Network",
    "OpenComparison",
    "OpenStudy",
    "OverpaintError",
    "Probes",
    "Rewound",
    "Study",
    "Unit",
    "Way",
    "attribute",
    "between",
    "compare",
    "concepts",
    "dataset",
    "load",
    "open_study",
    "probe",
    "read_study",
    "render",
    "report",
    "rewind",
    "taps",
    "wrap",
]

_HOMES = {
    "Attribution": "overpaint.gaze.attribution:Attribution",
    "Comparison": "overpaint.comparison:Comparison",
    "Concepts": "overpaint.comparison.concepts:Concepts",
    "Dataset": "overpaint.datasets:Dataset",
    "Network": "overpaint.networks:Network",
    "OpenComparison": "overpaint.report.opened:OpenComparison",
    "OpenStudy": "overpaint.report.opened:OpenStudy",
    "OverpaintError": "overpaint.errors:OverpaintError",
    "Probes": "overpaint.comparison.probes:Probes",
    "Rewound": "overpaint.causes.rewind:Rewound",
    "Study": "overpaint.study:Study",
    "Unit": "overpaint.networks.taps:Unit",
    "Way": "overpaint.causes.between:Way",
    "attribute": "overpaint.gaze.attribution:attribute",
    "between": "overpaint.causes.between:between",
    "compare": "overpaint.comparison:compare",
    "concepts": "overpaint.comparison.concepts:concepts",
    "dataset": "overpaint.datasets.opening:dataset",
    "load": "overpaint.networks:load",
    "open_study": "overpaint.report.opened:open_study",
    "probe": "overpaint.comparison.probes:probe",
    "read_study": "overpaint.study:read_study",
    "render": "overpaint.render:render",
    "report": "overpaint.reporting:report",
    "rewind": "overpaint.causes.rewind:rewind",
    "taps": "overpaint.networks.taps:taps",
    "wrap": "overpaint.networks.own:wrap",
}
"""Where each name lives: module:name."""

if not TYPE_CHECKING:  # which would take every name for one of Any

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'overpaint' has no attribute {name!r}")
        module, _, attribute = _HOMES[name].partition(":")
        try:
            value = getattr(import_module(module), attribute)
        except ModuleNotFoundError:
            require_train(f"overpaint.{name}")
            raise
        globals()[name] = value  # a submodule of the same name must not stand in for it later
        return value

    def __dir__() -> list[str]:
        return __all__

    class _Front(ModuleType):
        """Keeps `op.render` the function: importing the module of that name would replace it."""

        def __setattr__(self, name: str, value: object) -> None:
            if not (name in _HOMES and isinstance(value, ModuleType)):
                super().__setattr__(name, value)

    sys.modules[__name__].__class__ = _Front
