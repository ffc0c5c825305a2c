"""Study folders made of rows alone."""

import functools
import json
import sys
from pathlib import Path

import altair as alt
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the modules beside the tests are no package

from tiny_study import write_study

from overpaint.report import build
from overpaint.report.charts import drawing, formats


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """A finished study with its report; not to be changed."""
    folder = write_study(tmp_path_factory.mktemp("study") / "whole")
    build(folder)
    return folder


_draw = drawing.draw
_DRAWN: dict[str, str] = {}
_WRITTEN = {kind: functools.cache(write) for kind, write in formats.WRITERS.items()}


def _drawn_once(chart, theme, *, linked=True) -> str:
    described = chart if isinstance(chart, dict) else chart.to_dict()
    key = json.dumps([described, theme, linked], sort_keys=True)
    if key not in _DRAWN:
        alt.Chart.from_dict(described)  # a build holds no chart against Vega-Lite's schema
        _DRAWN[key] = _draw(chart, theme, linked=linked)
    return _DRAWN[key]


@pytest.fixture
def drawn_once(monkeypatch):
    """Equal charts are drawn once for all tests, which is most of the time of a build."""
    monkeypatch.setattr(drawing, "draw", _drawn_once)
    for kind, write in _WRITTEN.items():
        monkeypatch.setitem(formats.WRITERS, kind, write)


@pytest.fixture
def lean(tmp_path, drawn_once) -> Path:
    """A finished study of one fine-tuning, to take something away from."""
    return write_study(tmp_path / "lean", lean=True)


@pytest.fixture
def quick(monkeypatch):
    """Charts are described but not drawn, which is most of the time of a build."""
    empty = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    monkeypatch.setattr(drawing, "svg", lambda chart, root="", _=None: empty if chart else root)
    monkeypatch.setattr(drawing.Painter, "begin", lambda self, chart: None)
    monkeypatch.setattr(formats, "WRITERS", dict.fromkeys(formats.WRITERS, lambda svg: b""))
