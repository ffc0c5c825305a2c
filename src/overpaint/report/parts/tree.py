"""The lineage as nested boxes: each network, the training that led to it, what came of it.

The repeats of a training stand in the box of the first: they and their children differ from it by
their seed only.
"""

from statistics import fmean

from overpaint.report.parts.routes import score_name
from overpaint.report.parts.rows import Cell, Link, Node, Repeat
from overpaint.report.parts.text import interval, known, number, percent, setting, slug
from overpaint.report.study.reading import NetworkRecords, Records


def tree(records: Records) -> list[Node]:
    """The boxes of the networks that come from no other, with all that comes from them inside."""
    parents = {
        name: parent_of(records, name) for name in records.networks if records.route(name) == name
    }
    return [_node(records, parents, name) for name, parent in parents.items() if parent is None]


def parent_of(records: Records, name: str) -> str | None:
    """The network that a training began from: what the run says, or else the study."""
    said = records.networks[name].facts.get("parent")
    if said in records.networks and said != name:
        return str(said)
    if name not in records.study.all_networks:
        return None
    planned = records.study.all_networks[name].parent
    return planned or (f"{name}.init" if f"{name}.init" in records.networks else None)


def origin(records: Records, name: str) -> str:
    """What a network was loaded from, or where it began."""
    entry = records.study.all_networks.get(name)
    if entry is None:
        return f"where {name.removesuffix('.init')} began, drawn at random"
    return entry.load or ""


def training(records: Records, name: str) -> str:
    """The recipe of a network's training with what was overridden."""
    entry = records.study.all_networks.get(name)
    if entry is None or entry.recipe is None:
        return ""
    own = "; ".join(
        f"{key.replace('_', ' ')} {setting(value)}" for key, value in entry.overrides.items()
    )
    return f"{entry.recipe}, {own}" if own else entry.recipe


def _node(records: Records, parents: dict[str, str | None], name: str) -> Node:
    found = records.networks[name]
    children = [child for child, parent in parents.items() if parent == name]
    entry = records.study.all_networks.get(name)
    repeats = [each for each in records.networks if each != name and records.route(each) == name]
    return Node(
        anchor(name),
        _link(found),
        f"{_kind(records, name)}{' failed' if found.failed else ''}",
        origin(records, name),
        training(records, name),
        entry.fit or "" if entry else "",
        _score(found),
        _change(records, name, parents[name]),
        tuple(_repeat(records.networks[each]) for each in repeats),
        _mean([found, *(records.networks[each] for each in repeats)]) if repeats else "",
        tuple(_node(records, parents, child) for child in children),
    )


def _change(records: Records, name: str, parent: str | None) -> Link | None:
    """The mean CKA of the comparison with the parent, debiased where every layer has it."""
    found = records.comparisons.get(f"{parent}--{name}")
    mean = None if found is None else known(found.layers[found.trusted].mean())
    if found is None or mean is None:
        return None
    return Link(f"CKA {number(mean)}", found.address())


def anchor(name: str) -> str:
    """The anchor of a network on the first page."""
    return f"network-{slug(name)}"


def _link(found: NetworkRecords) -> Link:
    return Link(found.name, f"networks/{slug(found.name)}.html" if found.trained else None)


def _kind(records: Records, name: str) -> str:
    entry = records.study.all_networks.get(name)
    if records.networks[name].trained:
        return "trained"
    return "random" if entry is None or entry.weights == "random" else "loaded"


def _score(found: NetworkRecords) -> Cell | None:
    if found.failed:
        return Cell("failed" if found.trained else "not made")
    if not found.trained:
        return None
    if not found.scores:
        return Cell("not scored yet")
    score = found.scores.scores[found.scores.main]
    name = score_name(found.scores.main)
    return Cell(percent(score.value), f"{name}, {interval(score.low, score.high)}")


def _repeat(found: NetworkRecords) -> Repeat:
    score = _score(found)
    return Repeat(anchor(found.name), _link(found), score.value if score else "")


def _mean(found: list[NetworkRecords]) -> str:
    """How many trainings of one route there are, and the mean of what they score."""
    values = [each.scores.scores[each.scores.main].value for each in found if each.scores]
    if not found[0].trained:
        return f"{len(found)} of them"
    some = "" if len(values) in (0, len(found)) else f", {len(values)} scored"
    told = f", mean {percent(fmean(values))}" if values else ""
    return f"{len(found)} trainings{some}{told}"
