"""Routes: the ways to a network that were scored on a dataset, and which of them classifies best.

Networks that differ by the seed of their training only are one route: what is said of it is said of
the mean of its trainings.
"""

from dataclasses import dataclass, replace
from statistics import fmean

from overpaint.records import RouteDifference, Score, Scores
from overpaint.report.parts.text import interval, listed, of_pictures, percent, points
from overpaint.report.study.reading import Records

SCORE_NAMES = {"top1": "top-1", "top3": "top-3", "top5": "top-5", "mAP": "mAP"}


def score_name(name: str) -> str:
    """A score as people write it.

    >>> score_name("top1"), score_name("mAP")
    ('top-1', 'mAP')
    """
    return SCORE_NAMES.get(name, name)


@dataclass(frozen=True)
class Route:
    """A training, several that differ by their seed only, or an ensemble of its `members`."""

    name: str
    scores: dict[str, Scores]  # by network, at least one
    members: tuple[str, ...] = ()

    @property
    def main(self) -> str:
        """The name of the score that decides."""
        return next(iter(self.scores.values())).main

    @property
    def score(self) -> Score:
        """The main score of the first training."""
        return next(iter(self.scores.values())).scores[self.main]

    @property
    def values(self) -> list[float]:
        """The main score of each training."""
        return [scores.scores[scores.main].value for scores in self.scores.values()]

    @property
    def mean(self) -> float:
        """The mean of the main scores."""
        return fmean(self.values)


def routes(records: Records, dataset: str) -> list[Route]:
    """What was scored on a dataset, ensembles too, the best mean first."""
    by_route: dict[str, dict[str, Scores]] = {}
    for network in records.networks.values():
        if network.scores and network.scores.dataset == dataset:
            by_route.setdefault(records.route(network.name), {})[network.name] = network.scores
    trained = [Route(name, scores) for name, scores in by_route.items()]
    ensembles = [
        Route(ensemble.name, {ensemble.name: ensemble.scores}, tuple(ensemble.members))
        for ensemble in records.ensembles.values()
        if ensemble.scores and ensemble.scores.dataset == dataset
    ]
    return sorted([*trained, *ensembles], key=lambda route: -route.mean)


def fitted(records: Records) -> list[str]:
    """The datasets that networks were fitted to, in the order of the study."""
    fits = {network.fit for network in records.study.all_networks.values()}
    return [name for name in records.study.datasets if name in fits]


def contests(records: Records) -> list[str]:
    """The datasets on which several routes were scored."""
    return [dataset for dataset in fitted(records) if len(routes(records, dataset)) > 1]


# --- which is best -----------------------------------------------------------------------------


def best_route(records: Records, dataset: str) -> str:
    """Which route classifies best and how sure that is, in words; "" where none was scored."""
    scored = routes(records, dataset)
    trained = [route for route in scored if not route.members]
    if not trained:
        return ""
    best, *rest = trained
    start, name = f"On {dataset}, {records.title(best.name)} classifies best", score_name(best.main)
    chance = f"where chance is {percent(best.score.chance)}"
    pictures = of_pictures(best.score, "picture")
    if len(best.values) == 1:
        start = f"{start}: {name} {with_interval(best.score)} of {pictures}, {chance}"
    else:
        start = (
            f"{start} on average: {name} {percent(best.mean)} over {len(best.values)} trainings "
            f"({interval(min(best.values), max(best.values))}) on {pictures}, {chance}"
        )
    text = f"{start}. {_lead(records, best, rest)}"
    top = scored[0]
    if not top.members:
        return text
    members = listed(records.titles(top.members))
    return (
        f"{text} The ensemble {top.name} of {members} scores higher still: "
        f"{with_interval(top.score)}."
    )


def _lead(records: Records, best: Route, rest: list[Route]) -> str:
    """How far the best route is ahead of the second, and whether that is settled."""
    if not rest:
        kind = "route" if len(best.values) > 1 else "network"
        return f"It is the only {kind} scored on it."
    second = rest[0]
    if best.mean == second.mean:
        return f"{records.title(second.name)} is level with it."
    start = f"That is {points(best.mean - second.mean)} points above {records.title(second.name)}"
    if len(best.values) == len(second.values) == 1:
        how_sure = "their intervals overlap, so the order is not settled"
        if best.score.low > second.score.high:
            how_sure = "their intervals do not overlap"
        return f"{start} {with_interval(second.score)}; {how_sure}."
    if len(second.values) == 1:
        against = f"a single training with {with_interval(second.score)}"
    else:
        against = f"{percent(second.mean)} on average of {len(second.values)} trainings"
    return f"{start}, {against}; {_by_trainings(records, best, second)}."


def _by_trainings(records: Records, best: Route, second: Route) -> str:
    """Whether other seeds would keep the order of two routes."""
    if 1 in (len(best.values), len(second.values)):
        return "a single training does not tell its luck, so the order is not settled"
    gap = difference(records, second.name, best.name)
    if gap is None or gap.low is None or gap.high is None:
        return "whether other seeds would keep the order is not known"
    so = "so the order is settled" if gap.low > 0 else "so the order is not settled"
    return f"{by_seeds(gap)}, {so}"


def hardly_tells(gap: RouteDifference) -> bool:
    """Whether the luck of two routes is known from so few trainings that nearly all is possible."""
    return min(gap.n_first, gap.n_second) < FEW_TRAININGS


FEW_TRAININGS = 3
"""Of two trainings each, Student's t reaches 4 to 13 standard errors to each side: the interval
then says more of their number than of the routes."""


def by_seeds(gap: RouteDifference) -> str:
    r"""Where the lead of a route would lie with other seeds, in words.

    >>> gap = RouteDifference(score="mAP", n_first=2, n_second=2, difference=0.03, low=-0.334,
    ...                       high=0.392, status="ok")
    >>> by_seeds(gap)
    'two trainings hardly tell what other seeds give (−33.4 to 39.2 points, 95\xa0%)'
    >>> by_seeds(replace(gap, n_first=5, n_second=4, low=0.01, high=0.05))
    'with other seeds the lead is 1.0 to 5.0 points (95\xa0%)'
    """
    assert gap.low is not None
    assert gap.high is not None
    within = f"{points(gap.low)} to {points(gap.high)} points"
    if hardly_tells(gap) and gap.low <= 0:
        return f"two trainings hardly tell what other seeds give ({within}, 95\xa0%)"
    return f"with other seeds the lead is {within} (95\xa0%)"


def with_interval(score: Score) -> str:
    """A score and its interval."""
    return f"{percent(score.value)} ({interval(score.low, score.high)})"


# --- how far two routes differ -----------------------------------------------------------------


def difference(records: Records, below: str, above: str) -> RouteDifference | None:
    """How much better one route scores than another, whichever of them the record names first."""
    gaps = records.repeats.differences
    if (below, above) in gaps:
        return gaps[below, above]
    return _turned(gaps[above, below]) if (above, below) in gaps else None


def _turned(gap: RouteDifference) -> RouteDifference:
    low, high = (None if end is None else -end for end in (gap.high, gap.low))
    return replace(
        gap,
        n_first=gap.n_second,
        n_second=gap.n_first,
        difference=-gap.difference,
        low=low,
        high=high,
    )


def apart(below: str, above: str, gap: RouteDifference) -> str:
    r"""A difference of two routes in one sentence, the better one first.

    >>> gap = RouteDifference(score="mAP", n_first=3, n_second=3, difference=-0.021, low=-0.052,
    ...                       high=0.01, status="ok")
    >>> apart("double", "single", gap).split(" on average of ")
    ['double scores 2.1 points above single',
     '3 and 3 trainings (95\xa0% −1.0 to 5.2): not settled.']
    """
    if gap.difference < 0:
        return apart(above, below, _turned(gap))
    trainings = f"on average of {gap.n_second} and {gap.n_first} trainings"
    if gap.difference == 0:
        start = f"{above} scores as {below} {trainings}"
    else:
        start = f"{above} scores {points(gap.difference)} points above {below} {trainings}"
    if gap.low is None or gap.high is None:
        return f"{start}: {gap.status}."
    settled = "settled" if gap.low > 0 else "not settled"
    return f"{start} (95\xa0% {points(gap.low)} to {points(gap.high)}): {settled}."
