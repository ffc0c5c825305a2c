"""Which channels a study draws: by number, by name, all, or by what the comparison says of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.records import ChannelRow
from overpaint.run.channel_choice import choose_channels, extremes


def row(layer, channel, overlap=0.5, change=None, status="ok"):
    known = {"overlap": overlap, "filter_change": change, "status": status, "n_before": 8}
    known |= {"layer": layer, "channel": channel, "concentration": -overlap, "n_after": 8}
    return ChannelRow(**{name: known.get(name) for name in ChannelRow.__dataclass_fields__})


ROWS = [row("a", number, overlap) for number, overlap in enumerate([0.9, 0.1, 0.5, 0.3, 0.7])] + [
    row("b", number, change=change) for number, change in enumerate([0.1, 0.3, 0.2])
]

CHOICES = [
    ("all", [("a", 0), ("a", 1), ("a", 2), ("a", 3), ("a", 4), ("b", 0), ("b", 1), ("b", 2)]),
    ("least_overlap(2)", [("a", 1), ("a", 3), ("b", 0), ("b", 1)]),
    ("most_changed(1)", [("a", 1), ("b", 1)]),
    ("most_concentrated(1)", [("a", 1), ("b", 0)]),
    ("extremes_of_overlap(1)", [("a", 1), ("a", 2), ("a", 0), ("b", 0), ("b", 2)]),
    ([4, 1, 9], [("a", 4), ("a", 1), ("b", 1)]),
    (["b:2", "a:0", "a:99"], [("a", 0), ("b", 2)]),
]


@pytest.mark.parametrize(("choice", "wanted"), CHOICES, ids=[str(each[0]) for each in CHOICES])
def test_choices(choice, wanted):
    """Each word means what it says, layer by layer."""
    assert choose_channels(ROWS, ["a", "b"], choice) == wanted


def test_dead_channels():
    """What fires in one network alone is chosen by `all` and by number, not by a criterion."""
    rows = [row("a", 0, 0.0, status="dead before"), row("a", 1, 0.4)]
    assert choose_channels(rows, ["a"], "least_overlap(2)") == [("a", 1)]
    assert choose_channels(rows, ["a"], "extremes_of_overlap(2)") == [("a", 1)]
    assert choose_channels(rows, ["a"], "all") == [("a", 0), ("a", 1)]
    assert choose_channels(rows, ["a"], [0]) == [("a", 0)]
    assert choose_channels(rows[:1], ["a"], "extremes_of_overlap(2)") == []


@settings(deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=30), st.integers(1, 6))
def test_extremes(values, count):
    """The lowest, the middle and the highest are among them, each channel once."""
    scored = [(value / 20, channel) for channel, value in enumerate(values)]
    found = extremes(scored, count)
    assert len(found) == len(set(found)) <= 3 * count
    ordered = sorted(value for value, _ in scored)
    chosen = [scored[channel][0] for channel in found]
    for want in (*ordered[:count], *ordered[-count:], ordered[(len(ordered) - 1) // 2]):
        assert min(abs(want - each) for each in chosen) < 1e-9 or count < len(ordered)
    assert {ordered[0], ordered[-1]} <= {*chosen}
    assert len(found) >= min(count, len(values))
