"""What is told of a channel's feature visualisations beside the pictures: the best picture of the
dataset on the same scale, and the visualisations that both networks were shown at once.
"""

import pandas as pd

from overpaint.records import PairRenderingRow, RenderingRow, StudyFolder
from overpaint.report.reader import rows
from overpaint.report.reading import ComparisonRecords
from overpaint.report.rows import Picture, Together
from overpaint.report.site import Site
from overpaint.report.words import number

TITLES = {"both": "both at once", "only_after": "only after"}


def best_picture(
    found: ComparisonRecords, side: str, network: str, layer: str, channel: int
) -> str:
    """How many times as much a rendering excites its channel as the best picture does.

    Both are means over the positions of the layer's map; the picture is one of this comparison.
    """
    drawn = _of_channel(found.renderings.get(network), layer, channel)
    best = _of_channel(found.maximal, layer, channel)
    best = best[(best["network"] == side) & (best["rank"] == 1)]
    if drawn.empty or best.empty:
        return ""
    row: RenderingRow = rows(drawn, RenderingRow)[0]
    value = float(best["value"].iloc[0])
    if row.objective_end is None or not value > 0:
        return ""
    tried = f"; attempt {row.attempts:.0f}" if (row.attempts or 1) > 1 else ""
    return f"; reaches {number(row.objective_end / value, 1)} times the best picture{tried}"


def together(
    site: Site, folder: StudyFolder, found: ComparisonRecords, layer: str, channel: int
) -> tuple[Together, ...]:
    """The visualisations that both networks were shown, if any was asked for."""
    told = rows(_of_channel(found.together, layer, channel), PairRenderingRow)
    return tuple(
        Together(TITLES[row.kind], _picture(site, folder, found, row), _caption(row))
        for row in told
        if row.kind in TITLES
    )


def _picture(
    site: Site, folder: StudyFolder, found: ComparisonRecords, row: PairRenderingRow
) -> Picture | None:
    below = folder.pair_renderings(found.before, found.after)
    path = below / row.layer / f"{row.channel:.0f}-{row.kind}.png"
    inside = path.resolve().is_relative_to(below.resolve())
    return (
        site.pair_rendering(path, found.name, row.layer, row.channel, row.kind) if inside else None
    )


def _caption(row: PairRenderingRow) -> str:
    shares = [
        f"{side} {number(value / reach)}"
        for side, value, reach in [
            ("before", row.before, row.reach_before),
            ("after", row.after, row.reach_after),
        ]
        if value is not None and reach
    ]
    told = f"{', '.join(shares)} of what it reaches alone" if shares else ""
    return told if row.status == "ok" else "; ".join(filter(None, [told, row.status]))


def _of_channel(frame: pd.DataFrame | None, layer: str, channel: int) -> pd.DataFrame:
    if frame is None:
        return pd.DataFrame()
    return frame[(frame["layer"] == layer) & (frame["channel"] == channel)]
