"""docs/cka-conformance.json: the values are those of the definitions, and ours agree."""

import json

import numpy as np
import pytest
from cka_conformance import FILE, text

from overpaint.errors import MeasureError
from overpaint.measures.cka import linear_cka
from overpaint.measures.matrix import cka_matrix
from overpaint.measures.mergeable import CkaSums

CASES = {case["name"]: case for case in json.loads(FILE.read_text("utf-8"))["cases"]}
KINDS = ("biased", "debiased")
both_types = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each_case = pytest.mark.parametrize("name", CASES)


def features(name: str, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """The two tables of a case."""
    x, y = (np.array(CASES[name][side], dtype) for side in "xy")
    return x, y


def test_the_file_is_that_of_the_definitions():
    """The file in the repository is what exact arithmetic gives."""
    assert FILE.read_text("utf-8") == text()


@each_case
@both_types
@pytest.mark.parametrize("kind", KINDS)
def test_our_value_is_the_exact_one(name, dtype, kind):
    """To twelve digits, from float32 too; where there is no number, an error says why."""
    x, y = features(name, dtype)
    exact = CASES[name][kind]
    if exact is None:
        with pytest.raises(MeasureError):
            linear_cka(x, y, debiased=kind == "debiased")
    else:
        value = linear_cka(x, y, debiased=kind == "debiased")
        assert value == pytest.approx(float(exact), abs=1e-12)


@pytest.mark.parametrize("size", [1, 4, 5])
@each_case
def test_batches_change_nothing(name, size):
    """Sums over batches of any size, the last one shorter, give the value of all rows."""
    if CASES[name]["debiased"] is None:
        pytest.skip("has no debiased value")
    x, y = features(name, np.float64)
    parts = [CkaSums.of(x[a : a + size], y[a : a + size]) for a in range(0, len(x), size)]
    whole = sum(parts, CkaSums.empty())
    for kind in KINDS:
        value = whole.result(debiased=kind == "debiased")
        assert value == pytest.approx(float(CASES[name][kind]), abs=1e-9)


def test_the_matrix_of_layers_has_these_values():
    """All layers with all, at once."""
    names = ("plain", "dead", "negative")
    tables = {name: features(name, np.float32)[0] for name in names}
    matrix = cka_matrix(tables, {"y": features("plain", np.float32)[1]}, debiased=True)
    assert matrix.cka[:, 0] == pytest.approx(float(CASES["plain"]["debiased"]), abs=1e-9)


def test_every_mistake_is_told_from_the_right_value():
    """A program that makes one of the mistakes cannot pass: its value is another one."""
    for case in CASES.values():
        for mistake, value in case.get("instead", {}).items():
            right = [float(case[kind]) for kind in KINDS if case[kind]]
            assert value is None or min(abs(float(value) - each) for each in right) > 0.01, mistake
