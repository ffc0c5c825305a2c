"""Whether what changed matters: of rewinds, the way between, forgetting and probes."""

import numpy as np
import pandas as pd

from overpaint.errors import MeasureError
from overpaint.findings.hypothesis import Hypothesis, of_change, spared
from overpaint.findings.results import (
    ComparedPair,
    TriedPair,
    twins,
)
from overpaint.measures.verdicts import (
    depth_rank,
    over_permutations,
)
from overpaint.records import FindingRow, Score
from overpaint.seeds import generator
from overpaint.study import Study
from overpaint.study.causes import double_routes


def matters_finding(tried: TriedPair, compared: ComparedPair) -> FindingRow:
    """Whether setting a layer back costs the more, the more it changed.

    Layers whose weights did not change cost nothing and say nothing of it.
    """
    hypothesis = of_change(
        compared,
        "matters",
        "rank correlation of change (1 − debiased CKA) with the cost of setting the layer back",
        "layers",
    )
    only = tried.rewind[tried.rewind["how"] == "only"]
    changed = only[only["status"] == "ok"].merge(
        compared.with_cka[["layer", "cka_debiased"]], on="layer"
    )
    changes, costs = (1 - changed["cka_debiased"]).tolist(), changed["cost"].tolist()
    try:
        interval = over_permutations(changes, costs, generator(compared.seed, "dealt", "matters"))
        value = depth_rank(changes, costs)
    except MeasureError as error:
        return hypothesis.untested(str(error))
    moved = changed.dropna(subset="moved")
    remarks = []
    if len(moved) == len(changed) and len({*moved["moved"]}) > 1:
        of_weights = depth_rank(moved["moved"].tolist(), costs)
        remarks.append(f"{of_weights:.2f} with how far the weights moved".replace("-", "−"))
    if len(changed) < len(only):
        remarks.append(f"{len(only) - len(changed)} of {len(only)} layers left out: did not change")
    return hypothesis.decided(
        value, interval, n=len(changed), hoped="above", remark="; ".join(remarks)
    )


def free_finding(tried: TriedPair) -> FindingRow:
    """Whether the lower third of the layers can be set back, all together, for nothing."""
    hypothesis = Hypothesis(
        statement="free",
        before=tried.before,
        after=tried.after,
        subject=f"{tried.before} → {tried.after}",
        measured="score lost when the lower third of the layers is set back to before",
        unit="pictures",
    )
    up_to = tried.rewind[tried.rewind["how"] == "up_to"].sort_values("position")
    third = len(up_to) // 3
    if not third:
        return hypothesis.untested(f"{len(up_to)} layers have no lower third")
    last = up_to.iloc[third - 1]
    layers = f"the {third} of {len(up_to)} layers up to {last['layer']}"
    if last["status"] == "identical":
        return hypothesis.untested(f"{layers} did not change")
    cost = Score(
        value=float(last["cost"]),
        low=float(last["low"]),
        high=float(last["high"]),
        chance=0.0,
        n=int(last["n"]),
        n_groups=None if pd.isna(n_groups := last.get("n_groups")) else int(n_groups),
    )
    return spared(hypothesis, cost, layers)


def basin_finding(study: Study, tried: TriedPair) -> FindingRow | None:
    """Whether no barrier stands between two trainings; None of two that are no such pair."""
    pair = tried.before, tried.after
    if twins(study, *pair):
        drawn = study.all_networks[tried.before].draws_everything
        remark = "two trainings of one route" + (", from other random weights" if drawn else "")
    elif pair in (routes := double_routes(study)) or pair[::-1] in routes:
        remark = "single and double fine-tuning"
    else:
        return None
    if tried.barrier is None:
        return None
    hypothesis = Hypothesis(
        statement="basin",
        before=tried.before,
        after=tried.after,
        subject=f"{tried.before} and {tried.after}",
        measured="mean score of the two minus that of the network half-way between them",
        unit="pictures",
    )
    return spared(hypothesis, tried.barrier, remark)


def forgot_finding(tried: TriedPair, lost: Score) -> FindingRow:
    """Whether the training lost the parent's task: the parent's head on the child's backbone."""
    hypothesis = Hypothesis(
        statement="forgot",
        before=tried.before,
        after=tried.after,
        subject=f"{tried.after}, of {tried.parent_dataset}",
        measured="score of the parent on its own task minus that of its head on the child",
        unit="pictures",
    )
    return hypothesis.decided(
        lost.value,
        (lost.low, lost.high),
        n=lost.n,
        n_groups=lost.n_groups,
        hoped="above",
        remark=f"the parent is {tried.parent}",
    )


READABLE = 0.9
"""Classes are readable where a probe has this share of what it has at best, above chance."""


def earlier_finding(
    pair: ComparedPair, probes_before: pd.DataFrame, probes_after: pd.DataFrame
) -> FindingRow:
    """Whether layers below the last tell the classes better after the training than before.

    The score of a linear probe, after minus before, mean over the layers but the last, which any
    training for the classes raises. Standard errors of two networks and of layers on the same
    pictures are added as if the networks were independent and the layers one: rather too wide.
    """
    hypothesis = of_change(
        pair,
        "earlier",
        "score of a linear probe, after minus before, mean over all layers but the last",
        "pictures",
    )
    linear = [
        probes.query("method == 'linear'").dropna(subset=["value", "low", "high", "chance"])
        for probes in (probes_before, probes_after)
    ]
    both = linear[0].merge(linear[1], on="layer", suffixes=("_before", "_after"))
    both = both.sort_values("position_after")
    below = both.iloc[:-1]
    if len(below) < 2 or (both["n_before"] != both["n_after"]).any():
        return hypothesis.untested("they were not probed on the same pictures at three layers")
    if (below["value_before"] == below["value_after"]).all():
        return hypothesis.untested("below the last layer both say the same")
    value = float((below["value_after"] - below["value_before"]).mean())
    widths = [below[f"high_{end}"] - below[f"low_{end}"] for end in ("before", "after")]
    half = float(np.hypot(widths[0], widths[1]).mean() / 2)
    chance = both["chance_before"].iloc[0]
    level = chance + READABLE * (both["value_before"].max() - chance)
    places = [
        next(iter(both.loc[both[f"value_{end}"] >= level, "layer"]), "no layer")
        for end in ("before", "after")
    ]
    return hypothesis.decided(
        value,
        (value - half, value + half),
        n=int(both["n_after"].iloc[0]),
        hoped="above",
        remark=f"{100 * READABLE:.0f} % of what {pair.before} knows at best, above chance, at "
        f"{places[0]} before and {places[1]} after",
    )
