"""Whether a change mattered: the statements put to tables whose answer is known, and to nothing."""

import numpy as np
import pandas as pd
import pytest

from overpaint.findings import (
    SPARED,
    STATEMENTS,
    ComparedPair,
    Results,
    TriedPair,
    basin_finding,
    earlier_finding,
    findings,
    forgot_finding,
    free_finding,
    matters_finding,
)
from overpaint.measures.scores import contrast
from overpaint.records import ProbeRow, RewindRow, Score, table
from overpaint.seeds import generator
from overpaint.study import Study

STUDY = Study.model_validate({
    "study": "causes",
    "datasets": {name: {"kind": "folder", "root": name} for name in ("styles", "objects")},
    "networks": {
        "imagenet": {"load": "inception_v1"},
        "styles": {"from": "imagenet", "fit": "styles", "recipe": "mode_a", "repeats": 2},
        "scratch": {"load": "inception_v1", "weights": "random", "fit": "styles",
                    "recipe": "from_scratch", "repeats": 2},
        "single": {"from": "imagenet", "fit": "objects", "recipe": "mode_a"},
        "double": {"from": "styles", "fit": "objects", "recipe": "mode_a"},
    },
})  # fmt: skip

NULLS = 200
"""Studies in which there is nothing to find."""


def rewound(costs, *, how="only", n=249, half=0.03, same=()):
    """Layers that cost so much to set back; those in `same` did not change."""
    return table(
        [
            RewindRow(
                layer=f"layer{position}",
                position=position,
                how=how,
                value=0.6 - cost,
                cost=cost,
                low=cost - half * (position not in same),
                high=cost + half * (position not in same),
                loss=1.0,
                n=n,
                tensors=2 * (position not in same),
                status="identical" if position in same else "ok",
                moved=0.01 * position,
            )
            for position, cost in enumerate(costs)
        ],
        RewindRow,
    )


def tried(rewind=None, *, before="imagenet", after="styles", barrier=None, lost=None):
    """What was tried of two networks."""
    return TriedPair(
        before=before,
        after=after,
        rewind=table([], RewindRow) if rewind is None else rewind,
        barrier=barrier,
        lost=lost,
        parent="styles" if lost else "",
        parent_dataset="styles" if lost else "",
    )


def compared(changes, *, before="imagenet", after="styles", seed=0):
    """A comparison whose layers changed by so much."""
    layers = pd.DataFrame(
        {
            "layer": [f"layer{position}" for position in range(len(changes))],
            "position": range(len(changes)),
            "cka_debiased": 1 - np.asarray(changes),
        }
    )
    return ComparedPair(
        before=before,
        after=after,
        layers=layers,
        channels=pd.DataFrame(
            columns=["layer", "entropy_before", "entropy_after", "specialised_p", "specialised_q"]
        ),
        images="styles/test",
        seed=seed,
        read=lambda network, layer: generator(0, network, layer).standard_normal((20, 3)),
    )


def score(value, half=0.01, n=249):
    """A difference of scores with its interval."""
    return Score(value=value, low=value - half, high=value + half, chance=0.0, n=n)


# --- which layers matter -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7], "yes"), ([0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1], "no"),
     ([0.4, 0.1, 0.6, 0.3, 0.7, 0.2, 0.5], "undecided")],
)  # fmt: skip
def test_whether_the_layers_that_moved_most_matter_most(changes, verdict):
    """Costs in the order of the changes say yes, in the reverse order no, in another nothing."""
    costs = [0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.13]
    row = matters_finding(tried(rewound(costs)), compared(changes))
    assert (row.verdict, row.n, row.unit, row.chance) == (verdict, 7, "layers", 0.0)
    assert -1 <= row.low <= row.value <= row.high <= 1


def test_layers_that_did_not_change_are_left_out():
    """Frozen layers, which cost nothing and changed by nothing, make no rank correlation."""
    costs = [0.0, 0.0, 0.0, 0.0, 0.03, 0.02]
    row = matters_finding(
        tried(rewound(costs, same=(0, 1, 2, 3))), compared([0, 0, 0, 0, 0.3, 0.2])
    )
    assert (row.verdict, row.value) == ("untested", None)
    assert "5 values; got 2" in row.remark


def test_chance_makes_no_layers_matter():
    """Of 200 studies whose costs have nothing to do with changes at most 5 % say yes or no."""
    false = 0
    for seed in range(NULLS):
        rng = generator(seed, "null", "matters")
        costs, changes = rng.normal(0, 0.02, 12), rng.uniform(0, 0.6, 12)
        row = matters_finding(tried(rewound(costs)), compared(changes, seed=seed))
        false += row.verdict != "undecided"
    assert false <= 0.05 * NULLS + 4  # a law of 5 % gives more than 14 in one case of 100


# --- what can be set back, mixed, and was forgotten ----------------------------------------------


@pytest.mark.parametrize(
    ("cost", "half", "n", "verdict"),
    [(0.001, 0.01, 2000, "yes"), (0.08, 0.03, 249, "no"), (0.01, 0.03, 249, "undecided"),
     (0.0, 0.0, 60, "undecided")],
)  # fmt: skip
def test_whether_low_layers_can_be_set_back(cost, half, n, verdict):
    """Below two points for certain says yes; that no picture of 60 changed is not enough."""
    up_to = rewound(
        [0.0, cost / 2, cost, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4], how="up_to", n=n, half=half
    )
    row = free_finding(tried(up_to))
    assert (row.verdict, row.value, row.n, row.chance) == (verdict, cost, n, SPARED)
    assert row.remark == "the 3 of 9 layers up to layer2"


def test_frozen_low_layers_are_no_test():
    """What was not trained can be set back for free, which says nothing."""
    up_to = rewound([0.0, 0.0, 0.0, 0.2, 0.3, 0.4], how="up_to", same=(0, 1))
    row = free_finding(tried(up_to))
    assert row.verdict == "untested"
    assert row.remark == "the 2 of 6 layers up to layer1 did not change"
    assert free_finding(tried(up_to.head(2))).remark == "2 layers have no lower third"


@pytest.mark.parametrize(
    ("pair", "barrier", "verdict", "remark"),
    [
        (("styles", "styles.2"), score(0.001), "yes", "two trainings of one route"),
        (("single", "double"), score(0.2), "no", "single and double fine-tuning"),
        (("double", "single"), score(0.02), "undecided", "single and double fine-tuning"),
        (("scratch", "scratch.2"), score(0.3), "no",
         "two trainings of one route, from other random weights"),
    ],
)  # fmt: skip
def test_whether_two_trainings_lie_in_one_basin(pair, barrier, verdict, remark):
    """A barrier below two points says yes, one above says no."""
    row = basin_finding(STUDY, tried(before=pair[0], after=pair[1], barrier=barrier))
    assert (row.verdict, row.remark, row.chance) == (verdict, remark, SPARED)


def test_a_training_and_its_start_are_no_two_trainings():
    """The way from a start to its training has no barrier that anybody asks about."""
    assert basin_finding(STUDY, tried(barrier=score(0.1))) is None
    assert basin_finding(STUDY, tried(before="styles", after="styles.2")) is None


@pytest.mark.parametrize(("value", "verdict"), [(0.3, "yes"), (-0.1, "no"), (0.005, "undecided")])
def test_whether_the_parents_task_was_forgotten(value, verdict):
    """What is lost for certain was forgotten."""
    lost = score(value)
    row = forgot_finding(tried(before="styles", after="double", lost=lost), lost)
    assert (row.verdict, row.value, row.chance) == (verdict, value, 0.0)
    assert (row.subject, row.remark) == ("double, of styles", "the parent is styles")


def right(share, images, rng):
    """What two networks say that are right on so many pictures, each by its own luck."""
    labels = np.zeros(images, np.int64)
    return labels, [np.eye(2)[(rng.random(images) >= share).astype(int)] for _ in range(2)]


def test_chance_forgets_nothing_and_spares_nothing():
    """Of 200 studies in which nothing was lost at most 5 % find a loss; of 200 that lost two
    points at most 5 % call that free or not.
    """
    false = {"forgot": 0, "free": 0}
    for seed in range(NULLS):
        rng = generator(seed, "null", "lost")
        labels, networks = right(0.6, 249, rng)
        lost = contrast(networks, [1.0, -1.0], labels, dataset="d", split="test", seed=seed)
        row = forgot_finding(tried(before="styles", after="double", lost=lost), lost)
        false["forgot"] += row.verdict != "undecided"
        broken = rng.random(400) < SPARED  # pictures that only the one is right on
        whole, mended = np.eye(2)[np.zeros(400, int)], np.eye(2)[broken.astype(int)]
        cost = contrast(
            [whole, mended], [1.0, -1.0], np.zeros(400, np.int64), dataset="d", split="test",
            seed=seed,
        )  # fmt: skip
        up_to = rewound([0.0, cost.value, 0.1], how="up_to", n=400)
        up_to[["cost", "low", "high"]] = [cost.value, cost.low, cost.high]
        false["free"] += free_finding(tried(up_to)).verdict != "undecided"
    assert max(false.values()) <= 0.05 * NULLS + 6


# --- where classes become readable ---------------------------------------------------------------


def probed(network, values, *, half=0.03, n=249):
    """Linear probes of the layers of a network."""
    return table(
        [
            ProbeRow(
                network=network,
                layer=f"layer{position}",
                position=position,
                method=method,
                value=value,
                low=value - half,
                high=value + half,
                chance=0.2,
                n_train=500,
                n=n,
                status="ok",
            )
            for position, value in enumerate(values)
            for method in ("linear", "neighbours")
        ],
        ProbeRow,
    )


@pytest.mark.parametrize(
    ("after", "verdict"),
    [([0.25, 0.55, 0.6, 0.65, 0.7], "yes"), ([0.2, 0.25, 0.25, 0.3, 0.7], "no"),
     ([0.25, 0.31, 0.39, 0.5, 0.9], "undecided")],
)  # fmt: skip
def test_whether_classes_become_readable_earlier(after, verdict):
    """Below the last layer a rise says yes and a fall no; the last layer itself does not count."""
    probes = {
        "imagenet": probed("imagenet", [0.25, 0.3, 0.4, 0.5, 0.55]),
        "styles": probed("styles", after),
    }
    row = earlier_finding(compared([0.1] * 5), *probes.values())
    assert (row.verdict, row.n, row.unit) == (verdict, 249, "pictures")
    if verdict == "yes":
        assert row.remark.endswith("above chance, at layer4 before and layer1 after")


def test_probes_of_other_pictures_are_not_compared():
    """Networks that were probed on other pictures, or say the same, are not tested."""
    values = [0.25, 0.3, 0.4, 0.5]
    first = probed("imagenet", values)
    for second in (probed("styles", values, n=12), probed("styles", values)):
        row = earlier_finding(compared([0.1] * 5), first, second)
        assert row.verdict == "untested"


def test_chance_makes_nothing_readable_earlier():
    """Of 200 studies in which two networks know as much at most 5 % find a difference."""
    false, images, layers = 0, 249, 6
    for seed in range(NULLS):
        rng = generator(seed, "null", "earlier")
        values = {}
        for name in ("imagenet", "styles"):
            # What all layers of a network get wrong is mostly the same pictures.
            common = rng.random(images)
            hits = [0.8 * common + 0.2 * rng.random(images) < 0.5 for _ in range(layers)]
            values[name] = [hit.mean() for hit in hits]
        half = 1.96 * np.sqrt(0.25 / images)
        probes = {name: probed(name, row, half=half) for name, row in values.items()}
        false += earlier_finding(compared([0.1] * 5), *probes.values()).verdict != "undecided"
    assert false <= 0.05 * NULLS + 4


# --- all of them ---------------------------------------------------------------------------------


def test_each_is_put_to_what_it_is_about():
    """Changes are asked what mattered, two trainings for their basin; what was not tried is not."""
    pairs = [("imagenet", "styles"), ("styles", "double"), ("single", "double")]
    lost = score(0.2)
    rows = list(
        findings(
            Results(
                study=STUDY,
                compared={
                    pair: compared([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], before=pair[0], after=pair[1])
                    for pair in pairs
                },
                routes=[],
                tried={
                    pairs[0]: tried(rewound([0, 0.01, 0.02, 0.03, 0.04, 0.05])),
                    pairs[1]: tried(before="styles", after="double", lost=lost),
                    ("single", "double"): tried(
                        before="single", after="double", barrier=score(0.1)
                    ),
                    ("styles", "styles.2"): tried(
                        before="styles", after="styles.2", barrier=score(0.0)
                    ),
                },
                probes={
                    (name, "styles"): probed(name, [0.2 + shift, 0.3 + shift, 0.4])
                    for name, shift in (("imagenet", 0.0), ("styles", 0.01))
                },
            )
        )
    )
    subjects = {
        key: [(row.before, row.after) for row in rows if row.statement == key]
        for key in ("matters", "free", "basin", "forgot", "earlier")
    }
    assert subjects == {
        "matters": [pairs[0]],
        "free": [pairs[0]],
        "basin": [("single", "double"), ("styles", "styles.2")],
        "forgot": [pairs[1]],
        "earlier": [pairs[0]],
    }
    assert {row.statement for row in rows} <= STATEMENTS.keys()
