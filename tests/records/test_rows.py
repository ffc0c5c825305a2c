"""Rows: what a channel's row says of each of its two networks."""

from dataclasses import fields

import pytest

from overpaint.records import ChannelRow, ChannelSide

BEFORE = ChannelSide(n=3, entropy=0.5, gain=0.1, top_class="cat", top_share=0.7, top_lift=2.0)
AFTER = ChannelSide(n=0, entropy=None, gain=None, top_class=None, top_share=None, top_lift=None)


@pytest.fixture
def row() -> ChannelRow:
    columns = {column.name: None for column in fields(ChannelRow)}
    return ChannelRow(**columns | BEFORE.columns("before") | AFTER.columns("after"))


def test_a_side_comes_back_from_the_flat_row(row):
    """What was laid flat is read again as it was, for each of the two networks."""
    assert row.side("before") == BEFORE
    assert row.side("after") == AFTER


def test_the_flat_row_has_every_column_of_a_side():
    """A field of a side is a column before and a column after."""
    names = {column.name for column in fields(ChannelRow)}
    assert {*BEFORE.columns("before"), *AFTER.columns("after")} <= names
