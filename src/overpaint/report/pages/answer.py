"""The study in one sentence: which route won, whether by more than luck, which layers changed, and
whether that mattered.

Nothing is said that no record says; what a study did not look for is said to be not known.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from overpaint.measures.verdicts import beyond_twins
from overpaint.records import LayerRow
from overpaint.report.parts.addresses import FINDINGS
from overpaint.report.parts.edges import (
    change_of_layer,
    cost_in_words,
    extremes,
    set_back,
)
from overpaint.report.parts.routes import (
    Route,
    by_seeds,
    contests,
    difference,
    fitted,
    hardly_tells,
    routes,
    score_name,
    with_interval,
)
from overpaint.report.parts.rows import Link
from overpaint.report.parts.text import count, listed, number, percent, points, slug, times
from overpaint.report.parts.tree import parent_of
from overpaint.report.study.reader import rows
from overpaint.report.study.reading import ComparisonRecords, Records

MOST = 3
"""The datasets that are summed up; the lists below have all."""

UNKNOWN = "not known"


@dataclass(frozen=True, kw_only=True)
class Clause:
    """A part of the sentence: the question, its answer in a word or two, and the rest."""

    question: str
    answer: str
    text: str
    link: Link

    @property
    def is_known(self) -> bool:
        """Whether the study answers it."""
        return self.answer != UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a study says of the routes to one dataset, in one sentence of four clauses."""

    about: str
    clauses: tuple[Clause, ...]


def answers(records: Records) -> Iterable[Answer]:
    """A sentence for each dataset on which routes compete; where none do, for what there is."""
    scored = [dataset for dataset in fitted(records) if routes(records, dataset)]
    for dataset in (contests(records) or scored)[:MOST]:
        trained = [route for route in routes(records, dataset) if not route.members]
        if trained:
            best, *rest = trained
            # A route that leaves its backbone as it was has changed nothing: the next one has.
            pairs = [pair for route in trained if (pair := change_of(records, route))]
            pair = pairs[0] if pairs else None
            yield Answer(
                about=f"On {dataset}",
                clauses=(
                    _won(records, dataset, best, rest),
                    _luck(records, dataset, best, rest),
                    _layers(records, pair, best),
                    _mattered(pair),
                ),
            )
    if not scored:
        pairs = [pair for pair in records.comparisons.values() if not records.is_control(pair)]
        for pair in [pair for pair in pairs if extremes(pair)][:1]:
            yield Answer(
                about=f"From {pair.title_before} to {pair.title_after}",
                clauses=(
                    Clause(
                        question=QUESTIONS[0],
                        answer=UNKNOWN,
                        text="no network of the study is scored",
                        link=Link("comparison", href=pair.address()),
                    ),
                    _layers(records, pair, None),
                    _mattered(pair),
                ),
            )


QUESTIONS = (
    "Which route won?",
    "Is it more than luck?",
    "Which layers changed?",
    "Did that matter?",
)


def change_of(records: Records, route: Route) -> ComparisonRecords | None:
    """The comparison of a training of a route with what it began from, or else with another."""
    pairs = [
        pair
        for pair in records.comparisons.values()
        if pair.after in route.scores and not records.is_control(pair) and extremes(pair)
    ]
    pairs.sort(key=lambda pair: pair.before != parent_of(records, pair.after))
    return pairs[0] if pairs else None


# --- the clauses ---------------------------------------------------------------------------------


def _won(records: Records, dataset: str, best: Route, rest: list[Route]) -> Clause:
    name, title = score_name(best.main), records.title(best.name)
    score = with_interval(best.score)
    if len(best.values) > 1:
        score = f"{percent(best.mean)}, the mean of {len(best.values)} trainings"
    link = Link("all scores", href=f"#scores-{slug(dataset)}")
    if not rest:
        return Clause(
            question=QUESTIONS[0],
            answer="nothing to win",
            text=f"{title} is the only route scored: {name} {score}",
            link=link,
        )
    second = rest[0]
    rival = records.title(second.name)
    if best.mean == second.mean:
        return Clause(
            question=QUESTIONS[0],
            answer=f"{title} and {rival}",
            text=f"are level: {name} {score}",
            link=link,
        )
    within = _interval(records, best, second)
    gap = difference(records, second.name, best.name)
    told = within and not (gap and hardly_tells(gap))  # else the next clause has it, with a word
    ends = f" ({points(within[0])} to {points(within[1])})" if within and told else ""
    is_settled = within[0] > 0 if within else _is_apart(best, second)
    return Clause(
        question=QUESTIONS[0],
        answer=title if is_settled else f"{title} leads",
        text=(
            f"with {name} {score}, {points(best.mean - second.mean)} points{ends} above {rival}"
            f"{'' if is_settled else ', an order that is not settled'}"
        ),
        link=link,
    )


def _is_apart(best: Route, second: Route) -> bool:
    """Whether the intervals of two single trainings do not overlap."""
    are_single = len(best.values) == len(second.values) == 1
    return are_single and best.score.low > second.score.high


def _interval(records: Records, best: Route, second: Route) -> tuple[float, float] | None:
    """Where the lead would lie with other seeds, or, of single trainings, with other pictures."""
    gap = difference(records, second.name, best.name)
    if gap is not None and gap.low is not None and gap.high is not None:
        return gap.low, gap.high
    return None if len(best.values) > 1 or len(second.values) > 1 else _paired(
        records, best, second
    )  # fmt: skip


def _paired(records: Records, best: Route, second: Route) -> tuple[float, float] | None:
    """The interval of a finding that put these two routes to the same pictures."""
    for row in records.findings:
        if row.statement == "double" and row.low is not None and row.high is not None:
            if (row.before, row.after) == (second.name, best.name):
                return row.low, row.high
            if (row.before, row.after) == (best.name, second.name):
                return -row.high, -row.low
    return None


def _luck(records: Records, dataset: str, best: Route, rest: list[Route]) -> Clause:
    """Whether other seeds would keep the order: only twins of both routes tell."""
    link = Link("its trainings", href=f"#scores-{slug(dataset)}")
    answer, text = UNKNOWN, ""
    if not rest:
        text = "there is no other route to compare it with"
    else:
        second = rest[0]
        gap = difference(records, second.name, best.name)
        once = [records.title(route.name) for route in (best, second) if len(route.values) == 1]
        if gap is not None and gap.low is not None and gap.high is not None:
            answer = "more than luck" if gap.low > 0 else "it may be luck"
            text = by_seeds(gap)
        elif once:
            was = "was" if len(once) == 1 else "were each"
            text = f"{listed(once)} {was} trained once, which does not tell the luck of its seed"
            for route in (best, second):
                if len(route.values) > 1:
                    spread = max(route.values) - min(route.values)
                    text += (
                        f"; {count(len(route.values))} trainings of {records.title(route.name)} "
                        f"differ by {points(spread)} points"
                    )
            if len(once) == 2 and (within := _paired(records, best, second)):
                settled = "settled" if within[0] > 0 else "not settled"
                text += f"; over the test pictures alone the order is {settled}"
        else:
            text = "how far its trainings differ is not recorded"
    return Clause(question=QUESTIONS[1], answer=answer, text=text, link=link)


def _layers(records: Records, pair: ComparisonRecords | None, best: Route | None) -> Clause:
    """What the best route changed, or else the best of those that were compared."""
    measured = extremes(pair) if pair else None
    winner = records.title(best.name) if best else ""
    if pair is None or measured is None:
        return Clause(
            question=QUESTIONS[2],
            answer=UNKNOWN,
            text=f"the study compares {winner} with nothing it came from",
            link=Link("comparisons", href="#comparisons"),
        )
    most, least = measured
    layers = {row.layer: row for row in rows(pair.layers, LayerRow)}
    beside = layers[most].beside_luck
    luck = f", {times(beside)} what two trainings differ by" if beside is not None else ""
    text = (
        f"most from {pair.title_before} to {pair.title_after}: 1\xa0−\xa0CKA "
        f"{number(change_of_layer(pair, layers[most]), 2)}{luck}"
    )
    text += f"; {least} least, {number(change_of_layer(pair, layers[least]), 2)}" if (
        least != most) else ""  # fmt: skip
    text += _beside_luck(records, pair)
    if best and pair.after not in best.scores:
        entry = records.study.all_networks.get(best.name)
        kept = entry is not None and entry.keeps_backbone
        about = "changes none, as only its head was trained" if kept else "was not compared"
        text = f"{winner} {about}; of the others, {text}"
    return Clause(
        question=QUESTIONS[2],
        answer=most,
        text=text,
        link=Link("layer by layer", href=pair.address("by-layer")),
    )


def _beside_luck(records: Records, pair: ComparisonRecords) -> str:
    """How many layers changed beyond what two trainings of one route differ by: of a comparison, or
    else of the first other one on the same dataset that knows; "" where none does.
    """
    fits = {name: entry.fit for name, entry in records.study.all_networks.items()}
    for known in (pair, *records.comparisons.values()):
        is_near = fits.get(known.after) == fits.get(pair.after) and not records.is_control(known)
        if not is_near:
            continue
        layers = known.layers.drop_duplicates("layer")
        columns = (layers[name].tolist() for name in ("cka_debiased_high", "cka_debiased_twins"))
        more, measured = beyond_twins(*columns)
        if measured:
            counted = f"{more} of {measured} layers changed beyond"
            if known is pair:
                return f"; {counted} that"
            edge = f"from {known.title_before} to {known.title_after}"
            return f"; {edge} {counted} what two trainings differ by"
    return ""


def _mattered(pair: ComparisonRecords | None) -> Clause:
    """Whether the layer that changed most is missed when it alone is set back to before."""
    measured = extremes(pair) if pair else None
    if pair is None or measured is None:
        return Clause(
            question=QUESTIONS[3],
            answer=UNKNOWN,
            text="no change was measured",
            link=Link("findings", href=f"{FINDINGS}#matters"),
        )
    costs, most = set_back(pair), measured[0]
    link = Link("what mattered", href=pair.address("mattered"))
    if most not in costs:
        text = "no layer was set back; with “causes: true” a study tries that"
        return Clause(question=QUESTIONS[3], answer=UNKNOWN, text=text, link=link)
    text = f"set back alone, {most} costs {cost_in_words(costs[most])}"
    sure = [row for row in costs.values() if row.low > 0]
    dearest = max(sure, key=lambda row: row.cost, default=None)
    if dearest is None:
        text += "; no layer alone is missed for certain"
    elif dearest.layer != most:
        costs_more = dearest.cost > costs[most].cost
        what = "costs most" if costs_more else "is missed for certain"
        text += f"; {dearest.layer} {what}, {cost_in_words(dearest)}"
    elif len(costs) > 1:
        text += ", the most of all"
    answer = "yes" if costs[most].low > 0 else "not for certain"
    return Clause(question=QUESTIONS[3], answer=answer, text=text, link=link)
