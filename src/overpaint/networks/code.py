"""Code: a network that a function of somebody's makes, named as `package.module:function`.

To make the network imports and runs it: so that is done only where the user has said that it may.
"""

import copy
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from overpaint.cache import first_line
from overpaint.errors import NetworkError, OverpaintError
from overpaint.networks.network import Network, seeded
from overpaint.networks.own import wrap
from overpaint.records import file_digest
from overpaint.study.code import source_of

_imported: set[str] = set()
"""The modules that were imported from beside a study."""


def made_by(name: str, folder: Path, seed: int) -> Network:
    """What a function makes, its draws from a seed; its own errors are told with their line.

    Its code is looked for in the folder, and where Python looks. A module is wrapped; it is copied,
    because a function may give the same one twice.
    """
    source = source_of(name, folder)
    module, _, function = name.partition(":")
    with _on_path(folder):
        try:
            make = _function(module, function, source, folder)
            with seeded(seed):
                made = copy.deepcopy(make())
        except OverpaintError:
            raise
        except Exception as error:
            line = next(
                (f", line {frame.lineno}" for frame in
                 reversed(traceback.extract_tb(error.__traceback__))
                 if frame.filename == str(source)), "",
            )  # fmt: skip
            raise NetworkError(
                "code-failed",
                f"{name} failed: {type(error).__name__}: {first_line(error)} ({source}{line})",
            ) from error
    if not isinstance(made, Network | nn.Module):
        raise NetworkError(
            "no-code",
            f"{name} gives a {type(made).__name__}: let it give a torch.nn.Module, or what "
            "overpaint.wrap makes of one",
        )
    network = made if isinstance(made, Network) else wrap(made)
    network.architecture = name
    network.code = folder
    network.source_digest = file_digest(source)
    return network


def drawn(
    name: str, folder: Path, *, classes: tuple[str, ...], seed: int, multi_label: bool = False
) -> Network:
    """A new one for some classes: the function is called anew, and where it makes one for another
    number of classes, its heads are drawn anew, each a linear layer or a convolution.
    """
    network = made_by(name, folder, seed)
    if classes and not network.head:
        raise NetworkError("no-head", f"{name} has no head, so it cannot be trained on classes")
    if len(network.classes) != len(classes):
        with seeded(seed):
            for head in network.heads:
                _replace_head(network, head, len(classes))
    network.classes, network.multi_label = classes, multi_label
    return network


@contextmanager
def _on_path(folder: Path) -> Iterator[None]:
    """The folder is where Python looks first, inside the block."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _function(name: str, function: str, source: Path, folder: Path) -> Callable[[], object]:
    """A function of the module of a file; a module of this name that came from another file is not
    taken for it.
    """
    for imported in _imported:  # of another study, or from before it was changed
        sys.modules.pop(imported, None)
    _imported.clear()
    present = getattr(sys.modules.get(name), "__file__", None)
    if name in sys.modules and (present is None or Path(present).resolve() != source):
        raise NetworkError(
            "no-code",
            f"{source} cannot be imported: a module {name!r} is loaded already from {present}; "
            "give yours another name",
        )
    before = set(sys.modules)
    module = importlib.import_module(name)
    for new in set(sys.modules) - before:
        file = getattr(sys.modules[new], "__file__", None)
        if file and folder in Path(file).parents:
            _imported.add(new)
    make: Callable[[], object] | None = getattr(module, function, None)
    if not callable(make):
        raise NetworkError("no-code", f"{source} has no function {function!r}")
    return make


def _replace_head(network: Network, head: str, classes: int) -> None:
    """A layer of the same kind with as many outputs, under the same name."""
    old = network.body.get_submodule(head)
    weight = getattr(old, "weight", None)
    assert weight is None or isinstance(weight, Tensor)
    options: dict[str, Any] = (
        {} if weight is None else {"device": weight.device, "dtype": weight.dtype}
    )
    new: nn.Module
    if type(old) is nn.Linear:
        new = nn.Linear(old.in_features, classes, bias=old.bias is not None, **options)
    elif type(old) is nn.Conv2d and set(old.kernel_size) == {1}:
        new = nn.Conv2d(old.in_channels, classes, 1, bias=old.bias is not None, **options)
    else:
        raise NetworkError(
            "no-linear-head",
            f"the head {head!r} of {network.architecture} is a {type(old).__name__}, which cannot "
            f"be made for {classes} classes: let the function make the network for as many",
        )
    above, _, name = head.rpartition(".")
    setattr(network.body.get_submodule(above), name, new.train(old.training))
