"""Intervals hold the truth as often as they say, and nothing is found where nothing is."""

import importlib.util
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "coverage.py"


@pytest.fixture(scope="module")
def simulation():
    """The file beside the benchmarks, which is no package."""
    spec = importlib.util.spec_from_file_location("coverage_of_intervals", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop(spec.name)


@pytest.mark.parametrize("kind", ["top-1", "difference", "debiased CKA"])
def test_intervals_over_groups_cover_and_those_over_pictures_do_not(simulation, kind):
    """Of 20 groups of 10 pictures about 95 % of the intervals hold the truth; over pictures far
    fewer.
    """
    by_group, by_picture = simulation.coverage(kind, 20, 80, of_truth=400)
    assert 0.88 <= by_group <= 1
    assert by_picture < by_group - 0.1


def test_null_studies_have_few_findings(simulation):
    """Of statements in which nothing is, hardly one is said to be true."""
    verdicts = simulation.false_findings(5)
    assert len(verdicts) == 7
    for name, counts in verdicts.items():
        assert counts["yes"] <= 1, name
        assert counts["untested"] == 0, name
