r"""The tables of a paper, in LaTeX and Markdown: scores by network, changes by comparison.

>>> grid = Grid("Scores", ("Network", "top-1"), (("fine_tuned", "62.3"),), "On 149 pictures.")
>>> print(in_markdown(grid))
**Scores**
<BLANKLINE>
| Network | top-1 |
|---|---:|
| fine\_tuned | 62.3 |
<BLANKLINE>
On 149 pictures.
<BLANKLINE>

A grid is plain text until it is written; what its names could do to LaTeX or Markdown is escaped
there, once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from statistics import stdev
from typing import Any

import numpy as np
import pandas as pd

from overpaint.records import Score
from overpaint.report.export.escape import markdown, tex
from overpaint.report.parts.routes import Route, routes, score_name
from overpaint.report.parts.rows import Link
from overpaint.report.parts.text import ABSENT, count, interval, known, listed, number, percent
from overpaint.report.parts.tree import origin, parent_of, training
from overpaint.report.site.files import Site
from overpaint.report.study.reading import ComparisonRecords, Records


@dataclass(frozen=True)
class Grid:
    """A table of a paper: the first column holds names, the others numbers."""

    title: str
    heads: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    note: str
    last: tuple[str, ...] = ()  # a line apart, for the level of chance
    left: int = 1  # columns of words


def write(site: Site, records: Records) -> Iterable[tuple[str, tuple[Link, ...]]]:
    """The tables as files of the site: what each tells, and the files that tell it."""
    for place, title, grids, frame in [
        ("scores", "Scores", score_grids(records), None),
        ("changes", "Changes", change_grids(records), changes(records)),
    ]:
        if grids:
            links = [
                Link(
                    "LaTeX", href=site.text(f"tables/{place}.tex", "\n".join(map(in_latex, grids)))
                ),
                Link(
                    "Markdown",
                    href=site.text(f"tables/{place}.md", "\n".join(map(in_markdown, grids))),
                ),
            ]
            if frame is not None:
                links.append(Link("CSV", href=site.data(f"tables/{place}", frame)))
            yield title, tuple(links)


# --- scores ------------------------------------------------------------------------------------


def score_grids(records: Records) -> list[Grid]:
    """The scores on each dataset, best route first."""
    fits = {network.fit for network in records.study.all_networks.values()}
    found = [(name, routes(records, name)) for name in records.study.datasets if name in fits]
    return [_score_grid(records, dataset, own) for dataset, own in found if own]


def _score_grid(records: Records, dataset: str, found: list[Route]) -> Grid:
    first = next(iter(found[0].scores.values()))
    kinds = list(dict.fromkeys(kind for route in found for kind in _first(route)))
    several = any(len(route.values) > 1 for route in found)
    pictures = sorted({score.n for route in found for score in _first(route).values()})
    spread = (
        " Where a route was trained several times: mean ± standard deviation over the trainings."
        if several
        else ""
    )
    return Grid(
        f"Scores on {dataset}/{first.split}, in percent",
        ("Network", "Training", *map(score_name, kinds), "Trainings", "N"),
        tuple(
            (
                route.name,
                _way(records, route),
                *(_score(route, kind) for kind in kinds),
                count(len(route.values)),
                count(max(score.n for score in _first(route).values())),
            )
            for route in found
        ),
        "In parentheses the 95\xa0% bootstrap interval over the "
        f"{' or '.join(map(count, pictures))} pictures.{spread}",
        ("chance", "", *(_chance(found, kind) for kind in kinds), "", ""),
        left=2,
    )


def _first(route: Route) -> dict[str, Score]:
    return next(iter(route.scores.values())).scores


def _way(records: Records, route: Route) -> str:
    if route.members:
        return f"ensemble of {listed(route.members)}"
    start = parent_of(records, route.name) or origin(records, route.name)
    return f"{start} → {training(records, route.name)}"


def _score(route: Route, kind: str) -> str:
    found = [each.scores[kind] for each in route.scores.values() if kind in each.scores]
    values = [score.value for score in found]
    if not found:
        return ABSENT
    if len(found) == 1:
        return f"{_bare(values[0])} ({interval(found[0].low, found[0].high)})"
    return f"{_bare(float(np.mean(values)))} ± {100 * stdev(values):.1f}"


def _chance(found: list[Route], kind: str) -> str:
    levels = {
        each.scores[kind].chance
        for route in found
        for each in route.scores.values()
        if kind in each.scores
    }
    return " to ".join(map(_bare, sorted(levels)[:1] + sorted(levels)[1:][-1:]))


def _bare(share: float | None) -> str:
    return percent(share).removesuffix("\xa0%")


# --- changes -----------------------------------------------------------------------------------


def changes(records: Records) -> pd.DataFrame:
    """A row a comparison, with the means that papers print, unrounded."""
    return pd.DataFrame([_change(each) for each in records.comparisons.values()])


def _change(each: ComparisonRecords) -> dict[str, Any]:
    layers, channels = each.layers, each.channels
    told = layers.dropna(subset="cka")
    moved = told[told["cka"] < 1]
    return {
        "before": each.before,
        "after": each.after,
        "dataset": each.facts.dataset or None,
        "pictures": known(layers["n_images"].max()),
        "layers": len(told),
        **_mean_cka(told, "cka"),
        **_mean_cka(told, "cka_debiased"),
        "layers_changed": len(moved),
        "cka_changed": known(moved["cka"].mean()),
        "cka_debiased_changed": known(moved["cka_debiased"].mean()),
        "l2": known(each.weights["l2"].mean()),
        "l2_relative": known(each.weights["l2_relative"].mean()),
        "weight_layers": int(each.weights["l2"].notna().sum()),
        **over_channels(channels, "overlap"),
        "overlap_chance": known(channels["overlap_chance"].mean()),
        **over_channels(channels, "entropy_before"),
        **over_channels(channels, "entropy_after"),
        "entropy_chance": known(channels["entropy_chance"].mean()),
        "channels": len(channels),
        "k": each.facts.k,
        "pictures_maximal": each.facts.n_maximal,
    }


def _mean_cka(layers: pd.DataFrame, name: str) -> dict[str, float | None]:
    """The mean over layers, and that of the intervals' ends.

    The standard error of a mean is at most the mean of the standard errors, whatever the layers
    have in common, so that this interval is rather too wide.
    """
    ends = {"": name, "_low": f"{name}_low", "_high": f"{name}_high"}
    return {f"{name}{end}": known(layers[column].mean()) for end, column in ends.items()}


def over_channels(channels: pd.DataFrame, column: str) -> dict[str, float | None]:
    """The mean over channels with its 95 % interval: that of other channels of such layers.

    >>> table = pd.DataFrame({"layer": ["a", "a", "b", "b"], "x": [0.1, 0.3, 0.5, 0.5]})
    >>> {name: round(value, 3) for name, value in over_channels(table, "x").items()}
    {'x': 0.35, 'x_low': 0.252, 'x_high': 0.448}

    The variance is that within layers, each with as many channels as it has.
    """
    told = channels[["layer", column]].dropna()
    mean = known(told[column].mean())
    if mean is None:
        return dict.fromkeys((column, f"{column}_low", f"{column}_high"))
    groups = told.groupby("layer")[column]
    error = sqrt(float((groups.size() * groups.var().fillna(0)).sum())) / len(told)
    return {
        column: mean,
        f"{column}_low": mean - 1.96 * error,
        f"{column}_high": mean + 1.96 * error,
    }


def change_grids(records: Records) -> list[Grid]:
    """What changed inside, a line a comparison; none where nothing was compared."""
    told = [row for row in map(_change, records.comparisons.values()) if row["layers"]]
    if not told:
        return []
    values = [
        (f"{row['before']} → {row['after']}", {key: _number(each) for key, each in row.items()})
        for row in told
    ]
    return [
        Grid(
            "What each training changed in the layers",
            ("Before → after", "CKA", "CKA, debiased", "Weights, L2", "relative", "Layers", "N"),
            tuple((name, *_of_layers(row)) for name, row in values),
            _note(told),
        ),
        Grid(
            "What each training changed in the channels",
            ("Before → after", "Overlap, %", "by chance", "Entropy before", "after", "by chance",
             "Channels", "N"),
            tuple((name, *_of_channels(row)) for name, row in values),
            "Overlap and normalised class entropy of the maximal activation images of a channel"
            f"{_how_many(told)}: mean over channels, in parentheses the 95\xa0% interval over "
            "channels; N pictures to choose from.",
        ),
    ]  # fmt: skip


Values = dict[str, float | None]


def _of_layers(row: Values) -> tuple[str, ...]:
    return (
        _within(row, "cka"),
        _within(row, "cka_debiased"),
        number(row["l2"], 2),
        number(row["l2_relative"]),
        count(row["layers"]),
        count(row["pictures"]),
    )


def _of_channels(row: Values) -> tuple[str, ...]:
    return (
        _in_percent(row, "overlap"),
        _bare(row["overlap_chance"]),
        _within(row, "entropy_before"),
        _within(row, "entropy_after"),
        number(row["entropy_chance"]),
        count(row["channels"]),
        count(row["pictures_maximal"]),
    )


def _number(value: object) -> float | None:
    return known(float(value)) if isinstance(value, int | float) else None


def _within(row: Values, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    told = "" if low is None or high is None else f" ({number(low)}–{number(high)})"
    return f"{number(row[name])}{told}"


def _in_percent(row: Values, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    told = "" if low is None or high is None else f" ({interval(low, high)})"
    return f"{_bare(row[name])}{told}"


def _how_many(told: list[dict[str, Any]]) -> str:
    k = sorted({int(row["k"]) for row in told if row["k"]})
    return f" ({' or '.join(map(count, k))} of them)" if k else ""


def _note(told: list[dict[str, Any]]) -> str:
    """How each mean was taken, and what the frozen layers do to it."""
    note = (
        "Linear CKA of the pictures’ mean features: mean over layers, in parentheses the mean of "
        "the layers’ 95\xa0% intervals, rather too wide for that of the mean; N pictures. Weights: "
        "Frobenius norm of the difference, and the same divided by the norm before, mean over the "
        "parametrised layers."
    )
    frozen = [
        f"{row['before']} → {row['after']}: {row['layers'] - row['layers_changed']} of "
        f"{row['layers']} layers are as before (CKA exactly 1), as frozen ones are; over the "
        f"others the means are {number(row['cka_changed'])} and "
        f"{number(row['cka_debiased_changed'])}."
        for row in told
        if 0 < row["layers_changed"] < row["layers"]
    ]
    return " ".join([note, *frozen])


# --- as text -----------------------------------------------------------------------------------


def in_latex(grid: Grid) -> str:
    """A table in LaTeX with the rules of booktabs."""
    columns = "l" * grid.left + "r" * (len(grid.heads) - grid.left)
    last = [r"\midrule", _tex_line(grid.last)] if grid.last else []
    return "\n".join(
        [
            r"% \usepackage{booktabs}; other scripts than Latin need XeLaTeX or LuaLaTeX",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{tex(grid.title)}. {tex(grid.note)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _tex_line(grid.heads),
            r"\midrule",
            *map(_tex_line, grid.lines),
            *last,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _tex_line(cells: tuple[str, ...]) -> str:
    # A line that begins with [ or * would be taken for an argument of the \\ before it.
    return (
        " & ".join(f"{{}}{tex(cell)}" if cell[:1] in ("[", "*") else tex(cell) for cell in cells)
        + r" \\"
    )


def in_markdown(grid: Grid) -> str:
    """A table in Markdown, as GitHub and Pandoc read it."""
    rule = ["---"] * grid.left + ["---:"] * (len(grid.heads) - grid.left)
    lines = [grid.heads, *grid.lines, *([grid.last] if grid.last else [])]
    first, *others = ["| " + " | ".join(map(markdown, line)) + " |" for line in lines]
    table = [first, f"|{'|'.join(rule)}|", *others]
    return "\n".join([f"**{markdown(grid.title)}**", "", *table, "", markdown(grid.note), ""])
