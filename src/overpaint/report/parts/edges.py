"""An edge of the lineage as a picture: the channel that a training changed most, before and after,
and how far it changed each layer.
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from overpaint.errors import RecordError
from overpaint.records import ChannelRow, LayerRow, RewindRow, table_file
from overpaint.report.parts.gallery import rendering, thumbnail
from overpaint.report.parts.rows import Link, Picture
from overpaint.report.parts.text import known, number, points, times
from overpaint.report.site.files import Site
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import ComparisonRecords, Records

TRIED = 8
"""Channels whose pictures are looked for, until one has both."""

HIGH = 24.0
"""What the layer that changed most of all measures in the drawing of an edge, 100 wide."""

LEAST = 0.02
"""1 − CKA that has that height at least: where hardly anything changed, no bar is to look tall."""


@dataclass(frozen=True, kw_only=True)
class LayerBar:
    """How far a layer changed, as a bar, in hundredths of the drawing's width."""

    href: str
    title: str  # its numbers, in words
    x: float
    width: float
    height: float  # of HIGH, that of the layer that changed most in the study
    luck: float | None  # as high as between two trainings of one route
    missed: bool  # whether setting the layer back costs something for certain


@dataclass(frozen=True, kw_only=True)
class Edge:
    """What a training changed: a channel in two pictures, and all layers as bars."""

    link: Link  # the comparison, and the mean of its CKA
    channel: Link | None
    kind: str  # "drawn", or "maximal" for images of the dataset
    before: Picture | None
    after: Picture | None
    bars: tuple[LayerBar, ...]
    most: str  # the layer that changed most, "" where nothing is known

    @property
    def has_luck(self) -> bool:
        """Whether a bar has a mark of luck across."""
        return any(bar.luck is not None for bar in self.bars)

    @classmethod
    def of(
        cls, site: Site, records: Records, comparison: ComparisonRecords, tallest: float
    ) -> "Edge | None":
        """The edge between two networks; None where nothing was measured of them. `tallest` is the
        change that has the full height.
        """
        cka = known(comparison.layers[comparison.trusted].mean())
        if comparison.failed or cka is None:
            return None
        measured = extremes(comparison)
        channel, kind, before, after = strongest(site, records, comparison)
        return cls(
            link=Link(f"mean CKA {number(cka)}", href=comparison.address()),
            channel=channel,
            kind=kind,
            before=before,
            after=after,
            bars=tuple(_bars(comparison, tallest)),
            most=measured[0] if measured else "",
        )


def extremes(comparison: ComparisonRecords) -> tuple[str, str] | None:
    """The layers that changed most and least; None where nothing was measured."""
    measured = comparison.layers.dropna(subset=comparison.trusted)
    if measured.empty:
        return None
    values = measured.set_index("layer")[comparison.trusted]
    return str(values.idxmin()), str(values.idxmax())


def set_back(comparison: ComparisonRecords) -> dict[str, RewindRow]:
    """What it costs to set each layer alone back to before, by layer."""
    rewind = comparison.causes.rewind
    return {row.layer: row for row in rows(rewind[rewind["how"] == "only"], RewindRow)}


def cost_in_words(row: RewindRow) -> str:
    """What setting a layer back costs, with its interval."""
    return f"{points(row.cost)} points ({points(row.low)} to {points(row.high)})"


def change_of_layer(comparison: ComparisonRecords, row: LayerRow) -> float:
    """How far a layer changed: 1 − CKA."""
    debiased = comparison.trusted == "cka_debiased"
    return 1 - float((row.cka_debiased if debiased else row.cka) or 0)


def tallest_change(records: Records) -> float:
    """The largest change of a layer, 1 − CKA, in all comparisons of a study; 1 at most, although
    debiased CKA may fall below 0.
    """
    least = (known(comparison.layers[comparison.trusted].min())
             for comparison in records.comparisons.values())  # fmt: skip
    return max([LEAST, *(min(1 - cka, 1.0) for cka in least if cka is not None)])


def _bars(comparison: ComparisonRecords, tallest: float) -> list[LayerBar]:
    def height(change: float) -> float:
        return round(HIGH * min(max(change / tallest, 0.0), 1.0), 2)

    measured = comparison.layers.drop_duplicates("layer").dropna(subset=comparison.trusted)
    costs, bars = set_back(comparison), []
    step = 100 / max(len(measured), 1)
    for place, row in enumerate(rows(measured, LayerRow)):
        change, luck = change_of_layer(comparison, row), row.cka_debiased_twins
        title = f"{row.layer}: 1\xa0−\xa0CKA {number(change)}"
        if row.beside_luck is not None:
            title += f", {times(row.beside_luck)} luck"
        if row.layer in costs:
            title += f"; set back alone it costs {cost_in_words(costs[row.layer])}"
        bars.append(
            LayerBar(
                href=comparison.layer(row.layer),
                title=title,
                x=round(place * step + 0.1 * step, 2),
                width=round(0.8 * step, 2),
                height=height(change),
                luck=None if luck is None else height(1 - luck),
                missed=row.layer in costs and costs[row.layer].low > 0,
            )
        )
    return bars


def strongest(
    site: Site, records: Records, comparison: ComparisonRecords
) -> tuple[Link | None, str, Picture | None, Picture | None]:
    """The channel that kept the fewest of its maximal images, among those that were drawn, with its
    two feature visualisations; where none was drawn, among all, with its first images.
    """
    pair, chosen = (comparison.before, comparison.after), {*comparison.facts.shown}
    in_order = rows(
        comparison.channels.dropna(subset="overlap").sort_values(
            ["overlap", "concentration"], ascending=[True, False], kind="stable"
        ),
        ChannelRow,
    )
    for row in [row for row in in_order if (row.layer, row.channel) in chosen][:TRIED]:
        before, after = (
            rendering(site, records.folder, network, row.layer, row.channel) for network in pair
        )
        if before and after:
            return _link(comparison, row), "drawn", before, after
    pairs = [
        (_link(comparison, row), "maximal", before, after)
        for row in [row for row in in_order if row.n_before and row.n_after][:TRIED]
        for before, after in [first_images(site, records, comparison, row)]
        if before and after
    ]
    pairs.sort(key=lambda pair: pair[2] == pair[3])  # one picture twice shows no change
    return pairs[0] if pairs else (None, "", None, None)


def _link(comparison: ComparisonRecords, row: ChannelRow) -> Link:
    return Link(f"{row.layer}:{row.channel}", href=comparison.channel(row.layer, int(row.channel)))


def first_images(
    site: Site, records: Records, comparison: ComparisonRecords, row: ChannelRow
) -> tuple[Picture | None, Picture | None]:
    """The picture that excites a channel most, before and after, in small; None where it is not
    there. The page of the comparison says what cannot be read.
    """
    if comparison.maximal is None:
        return None, None
    columns = ["network", "rank", "image", "digest"]
    filters = [("layer", "==", row.layer), ("channel", "==", row.channel), ("rank", "==", 1)]
    try:
        with table_file(comparison.maximal) as file:
            frame = pq.read_table(file, columns=columns, filters=filters).to_pandas()
    except (RecordError, OSError, ValueError, TypeError, pa.ArrowException):
        return None, None
    first = frame.drop_duplicates("network").set_index("network")
    before, after = (
        thumbnail(
            site,
            records.folder,
            comparison.facts.dataset,
            str(first.loc[side, "image"]),
            str(first.loc[side, "digest"]),
        )
        if side in first.index
        else None
        for side in ("before", "after")
    )
    return before, after
