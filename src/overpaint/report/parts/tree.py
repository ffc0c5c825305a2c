"""The lineage as nested boxes: each network, the training that led to it, what came of it.

The repeats of a training stand in the box of the first: they and their children differ from it by
their seed only.
"""

from dataclasses import dataclass
from statistics import fmean

from overpaint.report.parts.addresses import network_page
from overpaint.report.parts.routes import score_name
from overpaint.report.parts.rows import Cell, Link
from overpaint.report.parts.text import interval, known, number, percent, setting, slug
from overpaint.report.study.reading import NetworkRecords, Records


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """A network that differs from the one in whose box it stands by its seed only."""

    id: str
    link: Link
    score: str


@dataclass(frozen=True, kw_only=True)
class Node:
    """A network in the lineage, the training that led to it, and what was trained from it."""

    id: str
    link: Link
    kind: str  # "trained", "loaded" or "random"; and "failed"
    origin: str
    training: str
    dataset: str
    score: Cell | None
    change: Link | None  # how much its training changed inside
    repeats: tuple[Repeat, ...]
    mean: str  # over the network and its repeats
    children: tuple["Node", ...]

    @classmethod
    def of(cls, records: Records, parents: dict[str, str | None], name: str) -> "Node":
        """The box of a network, with all that comes from it inside."""
        network = records.networks[name]
        entry = records.study.all_networks.get(name)
        kind = "random" if entry is None or entry.weights == "random" else "loaded"
        kind = "trained" if network.trained else kind
        repeats = [
            repeat
            for repeat in records.networks.values()
            if repeat.name != name and records.route(repeat.name) == name
        ]
        comparison = records.comparisons.get(f"{parents[name]}--{name}")
        cka = None if comparison is None else known(comparison.layers[comparison.trusted].mean())
        change = None
        if comparison is not None and cka is not None:
            change = Link(f"CKA {number(cka)}", href=comparison.address())
        return cls(
            id=anchor(name),
            link=_link(network),
            kind=f"{kind}{' failed' if network.failed else ''}",
            origin=origin(records, name),
            training=training(records, name),
            dataset=(entry.fit or "") if entry else "",
            score=_score(network),
            change=change,
            repeats=tuple(
                Repeat(
                    id=anchor(repeat.name),
                    link=_link(repeat),
                    score=score.value if (score := _score(repeat)) else "",
                )
                for repeat in repeats
            ),
            mean=_mean([network, *repeats]) if repeats else "",
            children=tuple(
                cls.of(records, parents, child)
                for child, parent in parents.items()
                if parent == name
            ),
        )


def tree(records: Records) -> list[Node]:
    """The boxes of the networks that come from no other, with all that comes from them inside."""
    parents = {
        name: parent_of(records, name) for name in records.networks if records.route(name) == name
    }
    return [Node.of(records, parents, name) for name, parent in parents.items() if parent is None]


def parent_of(records: Records, name: str) -> str | None:
    """The network that a training began from: what the run says, or else the study."""
    recorded = records.networks[name].facts.parent
    if recorded in records.networks and recorded != name:
        return recorded
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
    overrides = "; ".join(
        f"{key.replace('_', ' ')} {setting(value)}" for key, value in entry.overrides.items()
    )
    return f"{entry.recipe}, {overrides}" if overrides else entry.recipe


def anchor(name: str) -> str:
    """The anchor of a network on the first page."""
    return f"network-{slug(name)}"


def _link(network: NetworkRecords) -> Link:
    return Link(network.name, href=network_page(network.name) if network.trained else None)


def _score(network: NetworkRecords) -> Cell | None:
    if network.failed:
        return Cell("failed" if network.trained else "not made")
    if not network.trained:
        return None
    if not network.scores:
        return Cell("not scored yet")
    score = network.scores.scores[network.scores.main]
    name = score_name(network.scores.main)
    return Cell(percent(score.value), aside=f"{name}, {interval(score.low, score.high)}")


def _mean(networks: list[NetworkRecords]) -> str:
    """How many trainings of one route there are, and the mean of what they score."""
    if not networks[0].trained:
        return f"{len(networks)} of them"
    scored = [network.scores for network in networks if network.scores]
    values = [scores.scores[scores.main].value for scores in scored]
    number_scored = "" if len(values) in (0, len(networks)) else f", {len(values)} scored"
    mean = f", mean {percent(fmean(values))}" if values else ""
    return f"{len(networks)} trainings{number_scored}{mean}"
