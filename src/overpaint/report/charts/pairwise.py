"""The heat maps of all networks of a dataset with all: mean CKA, mean distance of the weights."""

from dataclasses import replace
from functools import partial

import pandas as pd

from overpaint.report.charts import plots
from overpaint.report.charts.drawing import link
from overpaint.report.parts.rows import Figure
from overpaint.report.parts.text import count, counted, number, of_groups
from overpaint.report.site.files import Site, method
from overpaint.report.study.pairwise import PairwiseRecords
from overpaint.report.study.reading import Records


def pairwise_figures(site: Site, records: Records) -> list[Figure]:
    """The heat maps of each dataset that has them, the weights after CKA."""
    drawn = [
        (pairwise.dataset, draw(site, records, pairwise))
        for pairwise in records.pairwise.values()
        for draw in (alike, apart)
    ]
    return [replace(figure, id=f"{figure.id}-{name}") for name, figure in drawn if figure]


def alike(site: Site, records: Records, pairwise: PairwiseRecords) -> Figure | None:
    """The mean debiased CKA over layers."""
    pairs = pairwise.pairs.dropna(subset="cka_debiased")
    if pairs.empty:
        return None
    least, most = pairs.nsmallest(1, "cka_debiased").iloc[0], pairs.nlargest(1, "cka_debiased")
    unchanged = pairs[(pairs["layers_changed"] < pairs["layers"]) & (pairs["layers_changed"] > 0)]
    frozen = (
        f" {counted(len(unchanged), 'pair')} {'has' if len(unchanged) == 1 else 'have'} layers in "
        "common that are wholly alike (CKA exactly 1), as frozen ones are: the table has the mean "
        "over the others too."
        if len(unchanged)
        else ""
    )
    strangers = len(pairwise.pairs) - len(pairs)
    empty = (
        f" {counted(strangers, 'pair')} without a layer in common "
        f"{'is' if strangers == 1 else 'are'} left empty."
        if strangers
        else ""
    )
    pictures, groups = f"{count(pairs['n_images'].max())} test pictures", pairs["n_groups"].max()
    over = pictures if pd.isna(groups) else of_groups(pictures, groups)
    titles = partial(_titles, records)
    return site.figure(
        f"pairwise/{pairwise.dataset}/cka",
        title=f"Mean CKA of all networks of {pairwise.dataset}",
        reading=(
            "Debiased linear CKA, the mean over the layers that two networks both have, on "
            f"{over}: 1 where all layers see them alike.{frozen}{empty} Intervals stand in the "
            "table, and the biased values, which the paper has."
        ),
        alt_text=(
            f"Heat map of the mean debiased CKA of {counted(len(pairs), 'pair')} of networks; the "
            f"least alike are {' and '.join(titles(least))} at {number(least['cka_debiased'])}, "
            f"the most {' and '.join(titles(most.iloc[0]))} at "
            f"{number(most.iloc[0]['cka_debiased'])}."
        ),
        chart=plots.network_matrix(
            _squared(records, pairwise, "cka_debiased", own=1.0),
            _order(records, pairwise, pairs),
            legend="mean CKA",
            most=1.0,
        ),
        table=pairwise.pairs,
        definition=method("pairwise"),
    )


def apart(site: Site, records: Records, pairwise: PairwiseRecords) -> Figure | None:
    """The mean distance of the weights."""
    pairs = pairwise.pairs.dropna(subset="l2")
    if pairs.empty:
        return None
    least, most = pairs.nsmallest(1, "l2").iloc[0], pairs.nlargest(1, "l2").iloc[0]
    unrelated = len(pairwise.pairs) - len(pairs)
    empty = (
        f" {counted(unrelated, 'pair')} without a common start {'is' if unrelated == 1 else 'are'} "
        "left empty: their filters are numbered by chance."
        if unrelated
        else ""
    )
    return site.figure(
        f"pairwise/{pairwise.dataset}/weights",
        title=f"Mean distance of the weights of all networks of {pairwise.dataset}",
        reading=(
            "Frobenius norm of the difference of a layer’s weights, the mean over the backbone’s "
            f"{count(pairs['kernels'].max())} kernels: 0 where nothing differs.{empty}"
        ),
        alt_text=(
            f"Heat map of the mean weight distance of {counted(len(pairs), 'pair')} of networks; "
            f"the nearest are {' and '.join(_titles(records, least))} at {number(least['l2'])}, "
            f"the farthest {' and '.join(_titles(records, most))} at {number(most['l2'])}."
        ),
        chart=plots.network_matrix(
            _squared(records, pairwise, "l2", own=0.0),
            _order(records, pairwise, pairs),
            legend="mean L2",
            most=float(most["l2"]),
        ),
        table=pairwise.pairs,
        definition=method("pairwise"),
    )


def _titles(records: Records, row: "pd.Series[str]") -> list[str]:
    return records.titles([row["first"], row["second"]])


def _order(records: Records, pairwise: PairwiseRecords, pairs: pd.DataFrame) -> list[str]:
    """The networks that have a value, by their titles, in the order of the study."""
    named = {*pairs["first"], *pairs["second"]}
    return records.titles(
        name for name in records.study.pairwise_on(pairwise.dataset) if name in named
    )


def _squared(
    records: Records, pairwise: PairwiseRecords, column: str, *, own: float
) -> pd.DataFrame:
    """Each pair in both orders, and each network with itself: first, second, value, href."""
    pairs = pairwise.pairs[["first", "second", column]].dropna()
    pairs = pairs.set_axis(["first", "second", "value"], axis=1)
    names = pd.unique(pairs[["first", "second"]].to_numpy().ravel())
    cells = pd.concat(
        [
            pairs,
            pairs.rename(columns={"first": "second", "second": "first"}),
            pd.DataFrame({"first": names, "second": names, "value": own}),
        ],
        ignore_index=True,
    )
    pages = {
        frozenset((pair.before, pair.after)): pair.address()
        for pair in records.comparisons.values()
    }
    both = zip(cells["first"], cells["second"], strict=True)
    href = [link(pages[key]) if (key := frozenset(pair)) in pages else "" for pair in both]
    for side in ("first", "second"):
        cells[side] = [records.title(name) for name in cells[side]]
    return cells.assign(href=href)
