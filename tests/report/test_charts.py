"""Tables that charts are drawn from, against slow ones; and what the drawings hold."""

import shutil
import subprocess
import sys

import altair as alt
import numpy as np
import pandas as pd
import pytest
from tiny_study import GALLERY, channel_rows

from overpaint.records import ChannelRow, table
from overpaint.report.charts import drawing, plots, tables


@pytest.fixture(scope="module")
def channels() -> pd.DataFrame:
    """Some thousands of channels."""
    draw = np.random.default_rng(0)
    return table(
        [row for layer in GALLERY.layers for row in channel_rows(draw, layer, GALLERY)], ChannelRow
    )


def test_boxes_are_quantiles(channels):
    """A box holds the quantiles that sorting and counting give."""
    found = tables.boxes(channels, {"entropy_after": "after"}, list(GALLERY.layers))
    for row in found.itertuples():
        own = channels[channels["layer"] == row.layer]["entropy_after"].dropna()
        values = sorted(own)
        assert row.channels == len(values)
        for name, share in [("q05", 0.05), ("q25", 0.25), ("median", 0.5), ("q95", 0.95)]:
            place = share * (len(values) - 1)
            low = int(place)
            high = min(low + 1, len(values) - 1)
            slow = values[low] + (place - low) * (values[high] - values[low])
            assert getattr(row, name) == pytest.approx(slow)


def test_boxes_leave_out_layers_without_numbers():
    """A layer whose channels are all dead has no box."""
    frame = pd.DataFrame({"layer": ["a", "b"], "x": [0.5, np.nan]})
    assert tables.boxes(frame, {"x": "x"}, ["a", "b"])["layer"].tolist() == ["a"]


def test_a_sample_keeps_both_ends(channels):
    """A scatter plot of too many channels shows so many as it may, the extremes among them."""
    every = channels.dropna(subset="entropy_after")
    sample = tables.evenly(every, "entropy_after")
    assert len(sample) == tables.POINTS < len(every)
    assert sample.duplicated(["layer", "channel"]).sum() == 0
    for end in ("min", "max"):
        assert getattr(sample["entropy_after"], end)() == getattr(every["entropy_after"], end)()


def test_confusions_count_every_picture():
    """Confusions add up to the pictures, and each row's shares to one where it has pictures."""
    draw = np.random.default_rng(1)
    names = ["a", "b", "c", "never"]
    truth, guess = ([names[k] for k in draw.integers(3, size=50)] for _ in range(2))
    square = [[sum((t, g) == (a, b) for t, g in zip(truth, guess, strict=True)) for b in names]
              for a in names]  # fmt: skip
    pairs = tables.confusion(square, names)
    for row in pairs.itertuples():
        both = sum(t == row.true and g == row.predicted for t, g in zip(truth, guess, strict=True))
        assert row.n == both
    shares = pairs.groupby("true")["share"].sum()
    assert shares.drop("never").tolist() == pytest.approx([1, 1, 1])
    assert shares["never"] == 0


def test_drawings_are_modest(channels):
    """The charts of a large network are small files."""
    order = list(GALLERY.layers)
    found = tables.boxes(channels, {"overlap": "overlap"}, order)
    found = tables.with_chance(found, channels, "overlap_chance")
    assert len(drawing.svg(plots.box_plots(found, "overlap", ["overlap"]))) < 40_000
    points = tables.evenly(channels.dropna(subset="entropy_after"), "entropy_after")
    assert len(drawing.svg(plots.scatter(points, order))) < 400_000


def test_layers_stand_in_their_order():
    """The layers of a chart stand as the network runs them, not in the order of the alphabet."""
    layers = pd.DataFrame(
        {"layer": ["z", "a"], "what": "debiased", "value": [0.9, 0.4], "low": 0.3, "high": 0.95}
    )
    picture = drawing.svg(plots.similarity(layers))
    assert picture.index(">z</text>") < picture.index(">a</text>")


def test_labels_are_escaped_in_drawings():
    """A class that looks like markup is text in the drawing."""
    name = "<script>alert(1)</script>"
    picture = drawing.svg(plots.heat_map(tables.confusion([[1]], [name]), [name]))
    assert "&lt;script&gt;alert(1)" in picture
    assert "<script" not in picture


@pytest.mark.parametrize("ends", ["never", "at once", "is none"])
def test_a_chart_of_another_process_is_the_same(monkeypatch, ends):
    """A painter draws what is drawn here, and so it does where its process is lost or none is."""
    if ends == "at once":
        monkeypatch.setattr(drawing.sys, "executable", shutil.which("true"))
    if ends == "is none":
        monkeypatch.setattr(drawing.sys, "executable", "/nowhere/python")
    layers = pd.DataFrame({"layer": ["a", "b"], "x": [0.5, 0.25]})
    chart = alt.Chart(layers).mark_bar().encode(x="x", y="layer").to_dict()
    with drawing.Painter() as painter:
        begun = [painter.begin(chart) for _ in range(2)]
        drawn = [drawing.svg(chart, "../", each) for each in begun]
    assert drawn == [drawing.svg(chart, "../")] * 2
    assert painter.is_lost == (ends != "never")
    assert painter.process is None or painter.process.returncode is not None


def test_a_program_without_a_guard_may_build_a_report(tmp_path):
    """Whoever calls from the top of a module, after threads, gets a chart and no second start."""
    program = tmp_path / "mine.py"
    program.write_text(
        "import threading\n"
        "from overpaint.report.charts import drawing\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "with drawing.Painter() as painter:\n"
        "    chart = {'data': {'values': [{'x': 1}]}, 'mark': 'point',\n"
        "             'encoding': {'x': {'field': 'x'}}}\n"
        "    print(painter.begin(chart).result()[:4], painter.is_lost)\n"
    )
    run = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["<svg", "False"]
