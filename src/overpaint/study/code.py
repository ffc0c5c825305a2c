"""Code: own networks that a study names as `package.module:function`; nothing is imported here.

>>> is_code("mynets:small"), is_code("timm:resnet18"), is_code("inception_v1.tf_in1k")
(True, False, False)
"""

import importlib
import re
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from overpaint.errors import NetworkError, StudyError
from overpaint.study.model import Study

_CODE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")

MADE_IN_PYTHON = "python:"
"""Stands before the name of a network that was wrapped in Python, and that no study can load."""


def is_code(name: str) -> bool:
    """Whether the name of a network is that of a function."""
    libraries = ("timm:", "torchvision:", MADE_IN_PYTHON)
    return bool(_CODE.fullmatch(name)) and not name.startswith(libraries)


def source_of(name: str, folder: Path) -> Path:
    """The file that holds a function: in the folder, or where Python looks.

    Raises NetworkError where there is none. Packages are not imported to look into them.
    """
    module = name.partition(":")[0]
    places = [str(folder), *sys.path]
    spec: ModuleSpec | None = None
    importlib.invalidate_caches()
    for depth in range(1, module.count(".") + 2):
        spec = PathFinder.find_spec(".".join(module.split(".")[:depth]), places)
        places = list((spec and spec.submodule_search_locations) or ())
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise NetworkError(
            "no-code",
            f"there is no Python file for {module!r} of {name!r}, neither in {folder} nor where "
            "Python looks",
        )
    return Path(spec.origin).resolve()


def check_code(study: Study, *, allowed: bool) -> None:
    """Raises StudyError where a network is a function that nobody has allowed to be run."""
    for entry in study.networks.values():
        if not allowed and is_code(str(entry.load)):
            raise not_allowed(str(entry.load))


def not_allowed(name: str) -> StudyError:
    """What is said where code is named and nobody has said that it may run."""
    return StudyError(
        "code-not-allowed",
        f"{name!r} names a Python function, and to load it runs that code: where you trust it, say "
        "so with --allow-code (in Python: code=FOLDER); nothing was imported",
    )
