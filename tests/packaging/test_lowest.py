"""The lower bounds: said once, and what `make test-lowest` really has."""

import importlib.metadata
import os
import tomllib
from importlib.util import find_spec

import pytest
from lowest import EXTRAS, ROOT, pins, requirements

from overpaint.errors import TRAIN, require_train


def test_every_library_has_a_lower_bound():
    """Each line of pyproject is one library and one lower bound, and none is there twice."""
    names = list(pins())
    assert len(names) == len(requirements()) == len(set(names)) > 25


def test_the_extras_of_the_tests_are_all_there_are():
    """An extra that is added is tried at its lower bounds too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {*project["optional-dependencies"]} == {*EXTRAS, "dev"}


@pytest.mark.skipif("OVERPAINT_LOWEST" not in os.environ, reason="only in `make test-lowest`")
def test_this_environment_has_exactly_the_lower_bounds():
    """What is installed is what pyproject says, version by version."""
    for name, version in pins().items():
        installed = importlib.metadata.version(name).split("+")[0].split(".")
        said = version.split(".")
        assert installed[: len(said)] == said, name
        assert {*installed[len(said) :]} <= {"0"}, name


def test_what_is_looked_for_is_what_the_extra_brings():
    """Each module that is told as missing comes with a library of `train`, not of the base."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    homes = importlib.metadata.packages_distributions()
    extra = [line.split(">=")[0] for line in project["optional-dependencies"]["train"]]
    for module in TRAIN:
        assert {*homes[module]} & {*extra}, module


def test_nothing_is_asked_for_where_all_is_there():
    """Where every library of the extra is installed there is nothing to say."""
    assert all(find_spec(module) for module in TRAIN)
    require_train("this")
