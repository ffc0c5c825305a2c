"""Causes: of which of its pairs a study looks for them; no torch.

>>> from overpaint.study import read_study
>>> study = read_study("demo")
>>> [parent_of_task(study, *pair.pair) for pair in study.compare][-2:]
['photographs', 'gentle']
"""

from typing import TYPE_CHECKING

from overpaint.study.asked import Cause, asks_for

if TYPE_CHECKING:
    from overpaint.study.model import Pair, Study


def pairs_of_trainings(study: "Study") -> list["Pair"]:
    """The pairs whose second network was trained here: there is a change with a score."""
    networks = study.all_networks
    trained = {name for name, entry in networks.items() if entry.recipe}
    return [pair for pair in study.compare if pair.after in trained]


def parent_of_task(study: "Study", before: str, after: str) -> str | None:
    """Whose own task the training of a pair's second network may have forgotten: that of the first
    if the second descends from it, else that of the second's parent; None where neither was fitted
    to a dataset.
    """
    networks = study.all_networks
    ancestors: list[str] = []
    parent = networks[after].parent if after in networks else None
    while parent:
        ancestors.append(parent)
        parent = networks[parent].parent
    candidates = [name for name in (before, *ancestors[:1]) if name in ancestors]
    return next((name for name in candidates if networks[name].fit), None)


def double_routes(study: "Study") -> list[tuple[str, str]]:
    """The (single, double) routes of a study: to one dataset from one start, at once and by way of
    another dataset.
    """
    entries, routes = study.networks, []
    for double, entry in entries.items():
        middle = entries.get(entry.parent or "")
        if middle is None or middle.parent is None or middle.fit in (None, entry.fit):
            continue
        for single, direct in entries.items():
            alike = (entry.recipe == "linear_svm") == (direct.recipe == "linear_svm")
            if direct.parent == middle.parent and direct.fit == entry.fit and alike:
                routes.append((single, double))
    return routes


def basins(study: "Study") -> list[tuple[str, str]]:
    """Trainings that may lie in one basin or in two: those of a route that was repeated, each with
    the first of them; and single with double fine-tuning.
    """
    twins = [(name, twin) for name in study.networks for twin in study.repeated(name)[1:]]
    routes = double_routes(study)
    return twins + [pair for pair in routes if study.networks[pair[0]].recipe != "linear_svm"]


def pairs_of_weights(study: "Study") -> list[tuple[str, str]]:
    """The pairs of which it is tried what other weights would do: those compared whose second
    network is trained, and those whose basins are looked at.
    """
    words: tuple[Cause, ...] = ("rewind", "between", "forgetting")
    compared = any(asks_for(study, word) is not False for word in words)
    between = asks_for(study, "between") is not False
    pairs = [pair.pair for pair in pairs_of_trainings(study)] if compared else []
    return list(dict.fromkeys(pairs + (basins(study) if between else [])))


# --- trainings that were repeated ----------------------------------------------------------------

MOST_REPEATS = 2
"""Repeats of a comparison that are looked at to tell luck."""


def are_twins(study: "Study", one: str, other: str) -> bool:
    """Whether two networks are trainings of one route, or beginnings of such.

    >>> are_twins(read_study("demo"), "fine_tuned", "fine_tuned.2")       # doctest: +SKIP
    True
    """
    first, second = _trainings(study, one), _trainings(study, other)
    return one != other and first == second and len(first) > 1


def repeats_of(study: "Study", before: str, after: str) -> list[tuple[str, str]]:
    """The pairs that a comparison would be of, had the other trainings of its routes been taken:
    each of the second network with that of the same number of the first, or with the first itself
    where that was not trained again. Of two trainings of one route there are none.
    """
    firsts, seconds = _trainings(study, before), _trainings(study, after)
    if firsts == seconds:
        return []
    pairs = [
        (firsts[number] if number < len(firsts) else before,
         seconds[number] if number < len(seconds) else after)
        for number in range(max(len(firsts), len(seconds)))
    ]  # fmt: skip
    return [pair for pair in pairs if pair != (before, after)][:MOST_REPEATS]


def _trainings(study: "Study", name: str) -> list[str]:
    """All trainings of a network's route, or what they began with if it is that."""
    network, ending = name.removesuffix(".init"), ".init" if name.endswith(".init") else ""
    for route in study.networks:
        if network in (trainings := study.repeated(route)):
            return [f"{training}{ending}" for training in trainings]
    return [name]
