"""The charts of the section What mattered, each with a sentence on how to read it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from overpaint.records import Score
from overpaint.report.charts import causes
from overpaint.report.charts.comparison import Drawing, at_layers
from overpaint.report.parts.text import counted, listed, number, percent, points
from overpaint.report.study.reading import ComparisonRecords

SHOWN_PROBES = 6
"""The most networks whose probes one chart shows."""


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """How far a layer changed, and what it costs to set it back; ends of 95 % intervals."""

    layer: str
    position: int
    change: float | None  # 1 − debiased CKA, or 1 − CKA where not all layers have that
    change_low: float | None
    change_high: float | None
    luck: float | None  # the same between two trainings of one route
    cka_debiased_twins: float | None
    beside_luck: float | None
    cost: float  # of setting the layer back alone, a difference of two scores
    cost_low: float
    cost_high: float
    up_to: float | None  # of all layers up to it
    up_to_low: float | None
    up_to_high: float | None
    onwards: float | None  # of all layers from it on
    onwards_low: float | None
    onwards_high: float | None
    moved: float | None  # norm of the change of its weights, divided by that before
    n: int  # pictures
    identical: bool
    sure: bool  # whether the interval of the cost leaves 0 out


def change_beside_cost(comparison: ComparisonRecords) -> pd.DataFrame:
    """A row (LayerCost) for each layer that was set back."""
    rewind, cka = comparison.causes.rewind, comparison.trusted
    by_way = {
        how: rows.drop_duplicates("layer").set_index("layer")
        for how, rows in rewind.groupby("how", sort=False)
    }
    only = by_way.get("only", rewind.iloc[:0].set_index("layer"))
    layers = comparison.layers.drop_duplicates("layer").set_index("layer")
    table = pd.DataFrame({"layer": only.index, "position": only["position"].to_numpy()})
    for column, of_layers in (
        ("change", cka),
        ("change_low", f"{cka}_high"),
        ("change_high", f"{cka}_low"),
    ):
        table[column] = 1 - table["layer"].map(layers[of_layers]).astype(float)
    for column in ("cka_debiased_twins", "beside_luck"):
        table[column] = table["layer"].map(layers[column]).astype(float)
    table["luck"] = 1 - table["cka_debiased_twins"]
    for column, of_rows in (("cost", "cost"), ("cost_low", "low"), ("cost_high", "high")):
        table[column] = only[of_rows].to_numpy(float)
    for column, how in (("up_to", "up_to"), ("onwards", "from")):
        for end, of_rows in (("", "cost"), ("_low", "low"), ("_high", "high")):
            costs = by_way.get(how, only.iloc[:0])[of_rows]
            table[f"{column}{end}"] = table["layer"].map(costs).astype(float)
    table["moved"] = only["moved"].to_numpy(float)
    table["n"] = only["n"].to_numpy()
    table["identical"] = (only["status"] == "identical").to_numpy()
    table["sure"] = (table["cost_low"] > 0) | (table["cost_high"] < 0)
    return table


def rewinds(comparison: ComparisonRecords, table: pd.DataFrame, score: str) -> Drawing | None:
    """Change beside the cost of setting back, by layer."""
    if table.empty:
        return None
    dearest = table.nlargest(1, "cost").iloc[0]
    marks = (
        " The bar across is luck: as much as two trainings of one route differ, by their seed."
        if table["luck"].notna().any()
        else ""
    )
    same = int(table["identical"].sum())
    unmoved = f" {counted(same, 'layer')} did not change and cost exactly 0." if same else ""
    return Drawing(
        reading=(
            f"On the left how much a layer changed, 1 minus CKA.{marks} On the right how many "
            f"points of {score} are lost when that layer alone is set back to before, on "
            f"{counted(int(table['n'].max()), 'test picture')}; 0 is what chance gives. Lines are "
            f"95\xa0% intervals; a diamond is filled where its interval leaves 0 out.{unmoved}"
        ),
        alt_text=(
            f"Change and cost of setting back by layer, {counted(len(table), 'layer')}; the "
            f"largest cost is {points(dearest['cost'])} points at {dearest['layer']}, which "
            f"changed by {number(dearest['change'])}."
        ),
        chart=causes.change_and_cost(
            at_layers(comparison, table).assign(
                **{name: 100 * table[name] for name in ("cost", "cost_low", "cost_high")}
            ),
            score,
        ),
        table=table,
    )


def way(comparison: ComparisonRecords, tasks: tuple[str, str], score: str) -> Drawing | None:
    """What is won and lost on the way from before to after; `tasks` name their own and the
    parent's.
    """
    parts = [
        (comparison.causes.way("between"), tasks[0]),
        (comparison.causes.way("forgetting"), tasks[1]),
    ]
    present = [(rows, name) for rows, name in parts if len(rows)]
    if not present:
        return None
    places = pd.concat([rows.assign(what=name) for rows, name in present], ignore_index=True)
    names = [name for _, name in present]
    told = []
    for rows, name in present:
        first, last = rows.iloc[0], rows.iloc[(rows["alpha"] - 1).abs().argmin()]
        told.append(
            f"{percent(first['value'])} at {first['alpha']:g} and {percent(last['value'])} at "
            f"{last['alpha']:g} {name}"
        )
    n = listed(counted(int(rows["n"].max()), "picture") for rows, _ in present)
    both = (
        "Where the solid line rises while the dashed one falls, the new task was won at the price "
        "of the old. " if len(present) == 2 else ""
    )  # fmt: skip
    return Drawing(
        reading=(
            "Networks on the straight way from the weights before to those after, and a little "
            f"beyond. {both}Bands are 95\xa0% intervals over {n}; dotted lines are chance."
            f"{outcome(comparison, score)}"
        ),
        alt_text=f"{score} along the way from before to after: {listed(told)}.",
        chart=causes.way(places, names, score),
        table=places,
    )


def outcome(comparison: ComparisonRecords, score: str) -> str:
    """What the way comes to, in sentences: its best place, its barrier, what was forgotten."""
    facts, told = comparison.causes.facts, []
    if facts.best_alpha is not None and facts.best and facts.best_gain:
        told.append(
            f"Best by validation is α\xa0=\xa0{facts.best_alpha:g}: "
            f"{percent(facts.best.value)} {score} on test, {_with_ends(facts.best_gain)} more than "
            "the network after."
        )
    if facts.barrier:
        told.append(f"Half-way stands a barrier of {_with_ends(facts.barrier)}.")
    if facts.lost:
        told.append(
            f"Of the task of {comparison.study.title_of(facts.parent)} ({facts.parent_dataset}) "
            f"{_with_ends(facts.lost)} were lost, on {counted(facts.lost.n, 'picture')}."
        )
    return "".join(f" {sentence}" for sentence in told)


def _with_ends(difference: Score) -> str:
    ends = f"{points(difference.low)} to {points(difference.high)}"
    return f"{points(difference.value)} points ({ends})"


def knows(comparison: ComparisonRecords, score: str) -> Drawing | None:
    """What the layers of the networks know of the classes, by a linear probe."""
    probes = comparison.causes.probes
    linear = probes[probes["method"] == "linear"].dropna(subset="value")
    # Networks of other layers would stand between these.
    layers = comparison.order or linear["layer"]
    alike = linear[linear["layer"].isin(layers)]["network"].unique()
    linear = linear[linear["network"].isin(alike)]
    names, networks = linear["network"].drop_duplicates().tolist(), comparison.study.all_networks
    # What keeps the backbone of another has its features, and would hide beneath its line.
    hidden = {
        name: entry.parent
        for name, entry in networks.items()
        if name in names and entry.keeps_backbone and entry.parent in names
    }
    first = [name for name in names if name not in hidden][:SHOWN_PROBES]
    linear = linear[linear["network"].isin(first)].sort_values("position", kind="stable")
    linear = linear.assign(what=linear["network"].map(comparison.study.title_of))
    names = list(map(comparison.study.title_of, first))
    if linear.empty:
        return None
    told = [
        f"{name} from {percent(rows['value'].iloc[0])} at {rows['layer'].iloc[0]} to "
        f"{percent(rows['value'].iloc[-1])} at {rows['layer'].iloc[-1]}"
        for name in names
        if len(rows := linear[linear["what"] == name])
    ]
    return Drawing(
        reading=(
            f"How well the features of a layer alone tell the classes: {score} on "
            f"{counted(int(linear['n'].max()), 'test picture')} of a linear probe fitted on "
            f"{counted(int(linear['n_train'].max()), 'picture')} of train. The further left a line "
            "rises, the earlier the classes become readable. Bands, of the first two, are 95\xa0% "
            "intervals; the dotted line is chance."
            + "".join(
                f" {comparison.study.title_of(name)} has the features of "
                f"{comparison.study.title_of(parent)}, and so its line."
                for name, parent in hidden.items()
                if parent is not None
            )
        ),
        alt_text=f"Linear probes by layer: {'; '.join(told)}.",
        chart=causes.probes(at_layers(comparison, linear), names, score),
        table=linear,
    )


def sentence(table: pd.DataFrame, score: str, rank: str) -> str:
    """What the chart of change and cost comes to, in one sentence; `rank` is said last."""
    tried = table[~table["identical"]]
    if tried.empty:
        return "No layer changed, so that there is nothing to set back."
    dearest = tried.nlargest(1, "cost").iloc[0]
    within = f"({points(dearest['cost_low'])} to {points(dearest['cost_high'])})"
    sure = int((tried["cost_low"] > 0).sum())
    cost = f"{points(dearest['cost'])} points of {score} {within}"
    start = (
        f"What {dearest['layer']} learned matters most: set back alone it costs {cost}"
        if dearest["cost_low"] > 0
        else f"No layer alone is missed for certain: the dearest, {dearest['layer']}, costs {cost}"
    )
    free = len(tried) - sure
    return (
        f"{start}; {free} of {counted(len(tried), 'changed layer')} can be set back alone without "
        f"a loss that {counted(int(table['n'].max()), 'test picture')} would show{rank}."
    )


def where_it_changed_most(comparison: ComparisonRecords, layers: Iterable[str]) -> list[str]:
    """Layers, the most changed first: of the least CKA."""
    cka = comparison.layers.drop_duplicates("layer").set_index("layer")[comparison.trusted]
    values = {layer: float(cka.get(layer, np.nan)) for layer in layers}
    return sorted(values, key=lambda layer: (np.isnan(values[layer]), values[layer]))
