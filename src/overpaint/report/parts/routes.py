"""Routes: the ways to a network that were scored on a dataset, and which of them classifies best.

Networks that differ by the seed of their training only are one route: what is said of it is said of
the mean of its trainings.
"""

from dataclasses import dataclass, replace
from statistics import fmean

from overpaint.records import RouteDifference, Score, Scores
from overpaint.report.parts.text import count, counted, interval, listed, percent, points
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
        return [each.scores[each.main].value for each in self.scores.values()]

    @property
    def mean(self) -> float:
        """The mean of the main scores."""
        return fmean(self.values)


def routes(records: Records, dataset: str) -> list[Route]:
    """What was scored on a dataset, ensembles too, the best mean first."""
    found: dict[str, dict[str, Scores]] = {}
    for each in records.networks.values():
        if each.scores and each.scores.dataset == dataset:
            found.setdefault(records.route(each.name), {})[each.name] = each.scores
    trained = [Route(name, scores) for name, scores in found.items()]
    together = [
        Route(each.name, {each.name: each.scores}, tuple(each.members))
        for each in records.ensembles.values()
        if each.scores and each.scores.dataset == dataset
    ]
    return sorted([*trained, *together], key=lambda route: -route.mean)


# --- which is best -----------------------------------------------------------------------------


def best_route(records: Records, dataset: str) -> str:
    """Which route classifies best and how sure that is, in words; "" where none was scored."""
    found = routes(records, dataset)
    trained = [route for route in found if not route.members]
    if not trained:
        return ""
    best, *others = trained
    text = f"{_start(dataset, best)}. {_lead(records, best, others)}"
    top = found[0]
    if not top.members:
        return text
    return (
        f"{text} The ensemble {top.name} of {listed(top.members)} scores higher still: "
        f"{with_interval(top.score)}."
    )


def _start(dataset: str, best: Route) -> str:
    pictures, name = counted(best.score.n, "picture"), score_name(best.main)
    chance = f"where chance is {percent(best.score.chance)}"
    if len(best.values) == 1:
        return (
            f"On {dataset}, {best.name} classifies best: {name} {with_interval(best.score)} of "
            f"{count(best.score.n)} pictures, {chance}"
        )
    return (
        f"On {dataset}, {best.name} classifies best on average: {name} {percent(best.mean)} over "
        f"{len(best.values)} trainings ({interval(min(best.values), max(best.values))}) on "
        f"{pictures}, {chance}"
    )


def _lead(records: Records, best: Route, others: list[Route]) -> str:
    if not others:
        several = len(best.values) > 1
        return f"It is the only {'route' if several else 'network'} scored on it."
    other = others[0]
    if best.mean == other.mean:
        return f"{other.name} is level with it."
    start = f"That is {points(best.mean - other.mean)} points above {other.name}"
    if len(best.values) == len(other.values) == 1:
        return f"{start} {with_interval(other.score)}; {_by_pictures(best.score, other.score)}."
    if len(other.values) == 1:
        told = f"a single training with {with_interval(other.score)}"
    else:
        told = f"{percent(other.mean)} on average of {len(other.values)} trainings"
    return f"{start}, {told}; {_by_trainings(records, best, other)}."


def _by_pictures(best: Score, other: Score) -> str:
    if best.low > other.high:
        return "their intervals do not overlap"
    return "their intervals overlap, so the order is not settled"


def _by_trainings(records: Records, best: Route, other: Route) -> str:
    if 1 in (len(best.values), len(other.values)):
        return "a single training does not tell its luck, so the order is not settled"
    gap = difference(records, other.name, best.name)
    if gap is None or gap.low is None or gap.high is None:
        return "whether other seeds would keep the order is not known"
    so = "so the order is settled" if gap.low > 0 else "so the order is not settled"
    return f"with other seeds it may be {points(gap.low)} to {points(gap.high)} (95\xa0%), {so}"


def with_interval(score: Score) -> str:
    """A score and its interval."""
    return f"{percent(score.value)} ({interval(score.low, score.high)})"


# --- how far two routes differ -----------------------------------------------------------------


def difference(records: Records, below: str, above: str) -> RouteDifference | None:
    """How much better one route scores than another, whichever of them the record names first."""
    found = records.repeats.differences
    if (below, above) in found:
        return found[below, above]
    return _turned(found[above, below]) if (above, below) in found else None


def _turned(gap: RouteDifference) -> RouteDifference:
    low, high = (None if each is None else -each for each in (gap.high, gap.low))
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

    >>> gap = RouteDifference("mAP", 3, 3, -0.021, -0.052, 0.01, "ok")
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
