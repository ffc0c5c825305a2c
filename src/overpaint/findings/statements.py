"""The statements by key, each with the function that tests it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from overpaint.findings.changes import (
    classes_finding,
    classes_more_finding,
    control_finding,
    double_finding,
    filters_finding,
    layers_finding,
)
from overpaint.findings.results import (
    Results,
)
from overpaint.findings.tried import (
    basin_finding,
    earlier_finding,
    forgot_finding,
    free_finding,
    matters_finding,
)
from overpaint.records import FindingRow


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A statement of the paper: in words, how it is tested, and what tests it.

    `nothing` is what is said, and advised, where a study has nothing to test it on.
    """

    key: str
    title: str
    reading: str
    nothing: str
    test: Callable[[Results], Iterable[FindingRow]]
    in_points: bool = False  # whether its value is a difference of shares, told in points


OF_CHANNELS = (
    "The interval is a bootstrap over the channels of each layer and over the pictures, or their "
    "groups: channels that like the same pictures move together. Where a route was trained twice, "
    "the difference between its trainings widens it."
)
NO_CHANGE = "No comparison is of a network and its training."
NOT_TRIED = "A study tests it with “causes: {word}”, or true, {of}."

STATEMENTS = {
    statement.key: statement
    for statement in (
        Statement(
            key="layers",
            title="Low layers change less than high ones",
            reading=(
                "Spearman’s rank correlation of debiased CKA with depth, −1 to 1: below 0, the "
                "deeper a layer the more it changed. The interval is that of random halves of the "
                "pictures."
            ),
            nothing=NO_CHANGE,
            test=lambda results: map(layers_finding, results.changes),
        ),
        Statement(
            key="classes",
            title="High layers concentrate classes",
            reading=(
                "Spearman’s rank correlation of a channel’s class entropy after the training with "
                "the depth of its layer: below 0, the deeper the fewer the classes that excite a "
                f"channel. {OF_CHANNELS}"
            ),
            nothing=NO_CHANGE,
            test=lambda results: (
                classes_finding(pair, results.twins_of(pair)) for pair in results.changes
            ),
        ),
        Statement(
            key="classes_more",
            title="… and more so after the training than before",
            reading=(
                "The same correlation after the training minus that before: below 0, the training "
                f"made the fall steeper. {OF_CHANNELS}"
            ),
            nothing=NO_CHANGE,
            test=lambda results: (
                classes_more_finding(pair, results.twins_of(pair)) for pair in results.changes
            ),
        ),
        Statement(
            key="filters",
            title="Filters specialise",
            reading=(
                "A channel’s fall of class entropy is held against labels dealt out at random, in "
                "a permutation test. The value is the share of channels that concentrated (p ≤ "
                "0.05) minus the share that scattered (p ≥ 0.95): between two trainings of one "
                f"start as many do one as the other. {OF_CHANNELS}"
            ),
            nothing=NO_CHANGE,
            test=lambda results: (
                filters_finding(pair, results.twins_of(pair)) for pair in results.changes
            ),
            in_points=True,
        ),
        Statement(
            key="double",
            title="Double fine-tuning helps",
            reading=(
                "The score of the route by way of another collection minus that of the direct "
                "route, on the same test pictures. Over repeated trainings the interval is "
                "Welch’s; where each route was trained once, it is a paired bootstrap over "
                "pictures."
            ),
            nothing=(
                "No two routes lead from one start to one collection, at once and by way of "
                "another. A study tests it with a child and a grandchild of one network, fitted "
                "to the same dataset."
            ),
            test=lambda results: map(double_finding, results.routes),
            in_points=True,
        ),
        Statement(
            key="control",
            title="Two trainings from one start differ less than training and start",
            reading=(
                "Mean debiased CKA over the layers of two trainings that differ by their seed "
                "only, minus that of one of them and its start: above 0, what the training did is "
                "more than luck. The interval is that of random halves of the pictures."
            ),
            nothing=(
                "No comparison is of two trainings that differ by their seed only. A study tests "
                "it with “repeats: 2” on a network NAME and the pairs [parent, NAME] and [NAME, "
                "NAME.2]."
            ),
            test=lambda results: (control_finding(*pair) for pair in results.controls),
        ),
        Statement(
            key="matters",
            title="The layers that moved most matter most",
            reading=(
                "Spearman’s rank correlation over the layers of 1 − debiased CKA with what the "
                "score loses when the layer alone is set back to before: above 0, the more a layer "
                "changed, the more its change is missed. The interval is as wide as what dealing "
                "the costs out to the layers at random gives; layers that did not change are left "
                "out. Both may grow with depth for reasons of their own."
            ),
            nothing=NOT_TRIED.format(
                word="[rewind]", of="on a comparison of a network and its training"
            ),
            test=lambda results: (
                matters_finding(results.tried[pair], compared)
                for pair, compared in results.of_changes
                if len(results.tried[pair].rewind)
            ),
        ),
        Statement(
            key="free",
            title="Low layers can be set back for free",
            reading=(
                "What the score loses when the lower third of the layers is set back to before, "
                "all together: free below 2 points, which stand in the place of chance. The "
                "interval is a paired bootstrap over pictures, never narrower than what so few "
                "pictures can show."
            ),
            nothing=NOT_TRIED.format(
                word="[rewind]", of="on a comparison of a network and its training"
            ),
            test=lambda results: (
                free_finding(results.tried[pair])
                for pair, _ in results.of_changes
                if len(results.tried[pair].rewind)
            ),
            in_points=True,
        ),
        Statement(
            key="basin",
            title="Two trainings lie in one basin",
            reading=(
                "The mean score of two trainings minus that of the network half-way between their "
                "weights, the barrier: below 2 points, which stand in the place of chance, the two "
                "lie in one basin and can be mixed. Trainings of one route that differ by their "
                "seed, and double with single fine-tuning. The interval is a paired bootstrap over "
                "pictures, never narrower than what so few pictures can show."
            ),
            nothing=NOT_TRIED.format(
                word="[between]",
                of="on trainings that are repeated, and on double with single fine-tuning",
            ),
            test=lambda results: filter(
                None,
                (basin_finding(results.study, tried) for tried in results.tried.values()),
            ),
            in_points=True,
        ),
        Statement(
            key="forgot",
            title="The training forgot the parent’s task",
            reading=(
                "The score of the parent on its own test pictures minus that of the parent’s head "
                "on the child’s backbone: above 0, that much was forgotten. The interval is a "
                "paired bootstrap over pictures. A new head on the child’s features may do better."
            ),
            nothing=NOT_TRIED.format(
                word="[forgetting]", of="where a network is trained from one that was trained here"
            ),
            test=lambda results: (
                forgot_finding(tried, tried.lost) for tried in results.tried.values() if tried.lost
            ),
            in_points=True,
        ),
        Statement(
            key="earlier",
            title="Classes become readable earlier after fine-tuning",
            reading=(
                "The score of a linear probe on a layer’s features, after minus before, mean over "
                "all layers but the last: above 0, lower layers tell the classes that before only "
                "higher ones told. The interval adds those of the two networks as if they were "
                "independent, which makes it rather too wide. The remark names the first layer "
                "that has 90 % of what the network before knows at best, above chance."
            ),
            nothing=NOT_TRIED.format(
                word="[probe]", of="on a comparison of a network and its training"
            ),
            test=lambda results: (
                earlier_finding(pair, before, after) for pair, before, after in results.probed
            ),
            in_points=True,
        ),
    )
}
"""The statements by key, in the order in which they are reported."""


def findings(results: Results) -> Iterator[FindingRow]:
    """A row for each statement and each comparison or pair of routes that tests it."""
    for statement in STATEMENTS.values():
        yield from statement.test(results)
