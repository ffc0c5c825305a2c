"""The lineage as nested boxes: each network, the training that led to it, what came of it.

The repeats of a training stand in the box of the first: they and their children differ from it by
their seed only.
"""

from dataclasses import dataclass, replace
from statistics import fmean

from overpaint.records import Score
from overpaint.report.parts.addresses import network_page
from overpaint.report.parts.edges import Edge, tallest_change
from overpaint.report.parts.routes import contests, routes, score_name
from overpaint.report.parts.rows import Cell, Link
from overpaint.report.parts.text import interval, percent, setting, slug
from overpaint.report.site.files import Site
from overpaint.report.study.reading import NetworkRecords, Records
from overpaint.study.recipe import AUTO, PRESETS, recipe


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """A training of the route whose box it stands in: the first, or one of another seed."""

    id: str  # "" of the first, whose anchor is that of the box
    link: Link
    score: str


@dataclass(frozen=True, kw_only=True)
class ScoreBar:
    """A score with its interval and the level of chance, in hundredths of all right."""

    value: float
    low: float
    width: float  # of the interval
    chance: float

    @classmethod
    def of(cls, score: Score) -> "ScoreBar":
        """The bar of a score."""
        value, low, high, chance = (
            round(100 * end, 1) for end in (score.value, score.low, score.high, score.chance)
        )
        return cls(value=value, low=low, width=round(max(high - low, 0.0), 1), chance=chance)


@dataclass(frozen=True, kw_only=True)
class Node:
    """A network in the lineage, the training that led to it, and what was trained from it."""

    id: str
    starts: tuple[str, ...]  # the anchors of initialisations that have no box of their own
    link: Link
    name: str  # as the study has it, where it has a title
    kind: str  # "trained", "loaded" or "random"; and "failed", "best"
    best_on: str  # the dataset on which it scores best, of several routes
    origin: str
    training: str
    dataset: str
    score: Cell | None
    bar: ScoreBar | None
    edge: Edge | None  # what its training changed inside; None where that was not compared
    repeats: tuple[Repeat, ...]
    mean: str  # how many it and its repeats are
    children: tuple["Node", ...]


@dataclass(frozen=True, kw_only=True)
class Tree:
    """The lineage: the networks that come from no other, with all that comes from them inside."""

    roots: tuple[Node, ...]
    levels: int  # of networks, each from the one before

    @property
    def nodes(self) -> list[Node]:
        """All its networks, parents before children."""
        nodes = list(self.roots)
        for node in nodes:
            nodes.extend(node.children)
        return nodes

    @classmethod
    def of(cls, site: Site, records: Records) -> "Tree":
        """The lineage of a study.

        An initialisation that is compared with nothing has no box: it stands in that of what was
        trained from it.
        """
        compared = {
            name for pair in records.comparisons.values() for name in (pair.before, pair.after)
        }
        names = [name for name in records.networks if records.route(name) == name]
        boxes = [name for name in names if not name.endswith(".init") or name in compared]
        starts = {name.removesuffix(".init"): name for name in names if name not in boxes}
        parents = {
            name: parent if (parent := parent_of(records, name)) in boxes else None
            for name in boxes
        }
        alone = {
            dataset: [route for route in routes(records, dataset) if not route.members]
            for dataset in contests(records)
        }
        best = {
            route.name: dataset
            for dataset, those in alone.items()
            for route in those
            if route.mean == those[0].mean  # several may be level
        }

        tallest = tallest_change(records)

        def node(name: str) -> Node:
            """The box of a network, with all that comes from it inside."""
            network = records.networks[name]
            entry = records.study.all_networks.get(name)
            kind = "random" if entry is None or entry.weights == "random" else "loaded"
            kind = "trained" if network.trained else kind
            kind += " failed" if network.failed else ""
            repeats = [
                repeat
                for repeat in records.networks.values()
                if repeat.name != name and records.route(repeat.name) == name
            ]
            comparison = records.comparisons.get(f"{parents[name]}--{name}")
            score = network.scores and network.scores.scores[network.scores.main]
            return Node(
                id=anchor(name),
                starts=(anchor(starts[name]),) if name in starts else (),
                link=_link(network),
                name=name if network.title != name else "",
                kind=f"{kind} best" if name in best else kind,
                best_on=best.get(name, ""),
                origin=origin(records, name),
                training=training(records, name),
                dataset=(entry.fit or "") if entry else "",
                score=_mean_score([network, *repeats]) or _score(network),
                bar=ScoreBar.of(_over([network, *repeats]) or score) if score else None,
                edge=Edge.of(site, records, comparison, tallest) if comparison else None,
                repeats=tuple(
                    Repeat(
                        id="" if repeat is network else anchor(repeat.name),
                        link=_link(repeat),
                        score=cell.value if (cell := _score(repeat)) else "",
                    )
                    for repeat in ([network, *repeats] if repeats else ())
                ),
                mean=_counted([network, *repeats]) if repeats else "",
                children=tuple(node(child) for child, parent in parents.items() if parent == name),
            )

        def depth(name: str) -> int:
            parent = parents[name]
            return 1 if parent is None else 1 + depth(parent)

        return cls(
            roots=tuple(node(name) for name, parent in parents.items() if parent is None),
            levels=max(map(depth, boxes), default=0),
        )


def parent_of(records: Records, name: str) -> str | None:
    """The network that a training began from: what the run says, or else the study."""
    recorded = records.networks[name].facts.parent
    if recorded in records.networks and recorded != name:
        return recorded
    if name not in records.study.all_networks:
        return None
    planned = records.study.all_networks[name].parent
    return planned or (f"{name}.init" if f"{name}.init" in records.networks else None)


def begin_of(records: Records, name: str) -> str:
    """What a network began from, as a reader knows it: a network, or what is loaded."""
    parent = parent_of(records, name)
    return records.title(parent) if parent else origin(records, name)


def origin(records: Records, name: str) -> str:
    """What a network was loaded from, or where it began."""
    entry = records.study.all_networks.get(name)
    if entry is None:
        return f"where {records.title(name.removesuffix('.init'))} began, drawn at random"
    return entry.load or ""


def recipe_of(records: Records, name: str) -> str:
    """The recipe that a network was trained by, and which one `auto` took; "" for one of none."""
    entry, network = records.study.all_networks.get(name), records.networks.get(name)
    if entry is None or entry.recipe is None:
        return ""
    taken = (network.facts.recipe or {}).get("name", "") if network else ""
    return entry.recipe if taken in ("", entry.recipe) else f"{entry.recipe} ({taken})"


def training(records: Records, name: str) -> str:
    """The recipe of a network's training with what was overridden."""
    told = recipe_of(records, name)
    if not told:
        return ""
    overrides = records.study.all_networks[name].overrides
    words = {key: setting(value) for key, value in overrides.items()}
    preset = told.removeprefix(f"{AUTO} (").removesuffix(")")
    if "epochs" in words and preset in PRESETS:
        own = recipe(preset).epochs
        if overrides["epochs"] < own:  # a recipe that is cut short is not what it was
            words["epochs"] += f" instead of {own}"
    changes = "; ".join(f"{key.replace('_', ' ')} {value}" for key, value in words.items())
    return f"{told}, {changes}" if changes else told


def anchor(name: str) -> str:
    """The anchor of a network on the first page."""
    return f"network-{slug(name)}"


def _link(network: NetworkRecords) -> Link:
    return Link(network.title, href=network_page(network.name) if network.trained else None)


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


def _over(networks: list[NetworkRecords]) -> Score | None:
    """The mean score of a route, from the least to the most; None of a single training."""
    scores = [network.scores.scores[network.scores.main] for network in networks if network.scores]
    if len(scores) < 2:
        return None
    values = [score.value for score in scores]
    return replace(scores[0], value=fmean(values), low=min(values), high=max(values))


def _mean_score(networks: list[NetworkRecords]) -> Cell | None:
    over, first = _over(networks), networks[0].scores
    if over is None or first is None:
        return None
    scored = sum(network.scores is not None for network in networks)
    name = f"mean {score_name(first.main)} of {scored}"
    return Cell(percent(over.value), aside=f"{name}, {interval(over.low, over.high)}")


def _counted(networks: list[NetworkRecords]) -> str:
    """How many trainings of one route there are, and how many of them are scored."""
    if not networks[0].trained:
        return f"{len(networks)} of them"
    scored = sum(network.scores is not None for network in networks)
    rest = "" if scored in (0, len(networks)) else f", {scored} scored"
    return f"each of {len(networks)} trainings{rest}"
