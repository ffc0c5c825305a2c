"""The paper's statements, put to studies whose answer is known."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from overpaint.errors import MeasureError
from overpaint.findings import (
    STATEMENTS,
    ComparedPair,
    ComparedRoutes,
    Results,
    Sampled,
    Shown,
    classes_finding,
    classes_more_finding,
    control_finding,
    double_finding,
    filters_finding,
    findings,
    layers_finding,
    twins,
)
from overpaint.measures.cka import linear_cka
from overpaint.measures.redrawn import Maximal
from overpaint.measures.specialised import corrected, specialisation
from overpaint.records import RouteDifference, Score
from overpaint.seeds import generator
from overpaint.study import Study
from overpaint.study.causes import double_routes

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")


def noisy(noise, name, *, images=120, width=6):
    """Features of five layers, before and after, with so much noise in each layer of after."""
    features = {}
    for layer, share in zip(LAYERS, noise, strict=True):
        base = generator(0, "base", layer).standard_normal((images, width))
        features["before", layer] = base.astype("f4")
        other = generator(0, "other", name, layer).standard_normal((images, width))
        features[name, layer] = (base + share * other).astype("f4")
    return features


def compared(features, before, after, channels=None):
    """A comparison of two of the networks in `features`."""
    rows = [
        {
            "layer": layer,
            "position": position,
            "cka_debiased": linear_cka(
                features[before, layer], features[after, layer], debiased=True
            ),
        }
        for position, layer in enumerate(LAYERS)
    ]
    empty = pd.DataFrame(
        columns=["layer", "entropy_before", "entropy_after", "specialised_p", "specialised_q"]
    )
    channels = empty if channels is None else channels
    return ComparedPair(
        before=before,
        after=after,
        layers=pd.DataFrame(rows),
        channels=channels,
        images="art/test",
        seed=0,
        read=lambda network, layer: features[network, layer],
    )


@pytest.mark.parametrize(
    ("noise", "verdict"),
    [((0.1, 0.4, 0.8, 1.3, 2.0), "yes"), ((2.0, 1.3, 0.8, 0.4, 0.1), "no"),
     ((0.5, 0.5, 0.5, 0.5, 0.5), "undecided")],
)  # fmt: skip
def test_which_layers_change(noise, verdict):
    """Noise that grows with depth says yes, that falls says no, and even noise decides nothing."""
    features = noisy(noise, "after")
    row = layers_finding(compared(features, "before", "after"))
    assert (row.verdict, row.n, row.unit, row.chance) == (verdict, 120, "pictures", 0.0)
    assert -1 <= row.low <= row.value <= row.high <= 1


def test_a_network_and_itself_have_no_trend():
    """Where nothing changed, the statement is not tested, and the row says why."""
    features = noisy((0, 0, 0, 0, 0), "after")
    row = layers_finding(compared(features, "before", "after"))
    assert (row.verdict, row.value) == ("untested", None)
    assert "the same" in row.remark


def test_many_pictures_are_sampled(monkeypatch):
    """Of a large split some pictures give the interval, and N tells all of them."""
    monkeypatch.setattr("overpaint.findings.hypothesis.PICTURES", 40)
    features = noisy((0.1, 0.4, 0.8, 1.3, 2.0), "after")
    layers = [(features["before", layer], features["after", layer]) for layer in LAYERS]
    assert {len(grams.x) for grams in Sampled.of(layers, 0).layers} == {40}
    assert layers_finding(compared(features, "before", "after")).n == 120


def test_pictures_of_few_groups_decide_less():
    """The interval of pictures in few groups is wider, N tells the groups, and too few are said."""
    features = noisy((0.1, 0.4, 0.8, 1.3, 2.0), "after")
    painters = np.arange(120) // 15
    by_painter = {name: table + 3 * table[painters] for name, table in features.items()}
    pair = compared(by_painter, "before", "after")
    grouped = replace(pair, groups=[f"painter {number}" for number in painters])
    plain, row = layers_finding(pair), layers_finding(grouped)
    assert row.value == plain.value
    assert (plain.n_groups, row.n, row.n_groups) == (None, 120, 8)
    assert "8 groups only" in row.remark
    assert row.high - row.low >= plain.high - plain.low


def test_luck_stands_beside_the_change_of_layers():
    """Where there are twins the row tells how many layers changed beyond what these differ by: a
    layer in whose interval the CKA of the twins lies does not count.
    """
    features = noisy((0.1, 0.4, 0.8, 1.3, 2.0), "after")
    pair = compared(features, "before", "after")
    highs = pair.layers["cka_debiased"] + 0.01
    twins = [highs[0] + 0.001, highs[1] - 0.001, highs[2] + 0.1, np.nan, highs[4]]
    layers = pair.layers.assign(cka_debiased_high=highs, cka_debiased_twins=twins)
    assert layers_finding(pair).remark == ""
    row = layers_finding(replace(pair, layers=layers))
    assert row.remark == "2 of 4 layers changed beyond what two trainings differ by"


def test_one_group_decides_nothing():
    """Pictures of a single painter leave a statement untested, and the row says why."""
    features = noisy((0.1, 0.4, 0.8, 1.3, 2.0), "after")
    pair = replace(compared(features, "before", "after"), groups=["Monet"] * 120)
    row = layers_finding(pair)
    assert row.verdict == "untested"
    assert "at least 4 groups" in row.remark


def test_grams_give_the_cka_of_a_half():
    """CKA from a part of the Gram matrices is that of the features of these pictures."""
    features = noisy((1.0,) * 5, "after")
    x, y = features["before", "conv1"] + 7, features["after", "conv1"]
    few = np.isin(np.arange(120), [3, 5, 8, 9, 40, 77, 78, 100, 111, 119])
    sampled = Sampled.of([(x, y)], 0)
    assert sampled.n == 120
    assert sampled.layers[0].cka_debiased(np.stack([few, ~few])) == pytest.approx(
        [linear_cka(x[rows], y[rows], debiased=True) for rows in (few, ~few)], abs=1e-9
    )


def test_a_half_of_equals_has_no_cka():
    """Pictures that are all alike in a layer are refused, however much the others differ."""
    x, y = np.zeros((40, 3)), np.random.default_rng(0).standard_normal((40, 3))
    x[:20] = np.random.default_rng(1).standard_normal((20, 3)) * 1e3
    x[20:] += 0.1
    with pytest.raises(MeasureError, match="equally far apart") as error:
        Sampled.of([(x, y)], 0).layers[0].cka_debiased(np.arange(40)[None] >= 20)
    assert error.value.slug == "degenerate-features"


def channel_table(before, after, *, width=40):
    """Channels of five layers whose entropy lies around these values."""
    rng = generator(0, "entropies")
    return pd.DataFrame([
        {"layer": layer, "entropy_before": b + 0.02 * rng.standard_normal(),
         "entropy_after": a + 0.02 * rng.standard_normal(), "specialised_p": 0.5,
         "specialised_q": 0.9}
        for layer, b, a in zip(LAYERS, before, after, strict=True) for _ in range(width)
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "verdicts"),
    [
        ((0.9, 0.89, 0.9, 0.91, 0.9), (0.9, 0.8, 0.7, 0.6, 0.5), ["yes", "yes"]),
        ((0.9, 0.8, 0.7, 0.6, 0.5), (0.5, 0.6, 0.7, 0.8, 0.9), ["no", "no"]),
        ((0.9, 0.8, 0.7, 0.6, 0.5), (0.9, 0.9, 0.9, 0.9, 0.9), ["undecided", "no"]),
    ],
)
def test_where_classes_concentrate(before, after, verdicts):
    """Entropy that falls with depth says yes, and no matter where there is none is undecided."""
    features = noisy((0.1,) * 5, "after")
    pair = compared(features, "before", "after", channel_table(before, after))
    rows = [classes_finding(pair), classes_more_finding(pair)]
    assert [row.statement for row in rows] == ["classes", "classes_more"]
    assert [row.verdict for row in rows] == verdicts
    assert {(row.n, row.unit) for row in rows} == {(200, "channels")}


def test_dead_channels_say_nothing_of_classes():
    """Channels without an entropy are not counted."""
    table = channel_table((0.9,) * 5, (0.9, 0.8, 0.7, 0.6, 0.5))
    table.loc[:9, "entropy_after"] = np.nan
    features = noisy((0.1,) * 5, "after")
    assert classes_finding(compared(features, "before", "after", table)).n == 190


@pytest.mark.parametrize(
    ("gained", "lost", "verdict"),
    [(100, 0, "yes"), (0, 100, "no"), (90, 90, "undecided"), (0, 0, "undecided"),
     (None, 0, "untested")],
)  # fmt: skip
def test_whether_filters_specialise(gained, lost, verdict):
    """More channels that gained than lost say yes; as many of both decide nothing."""
    table = channel_table((0.9,) * 5, (0.9,) * 5).sample(frac=1, random_state=0, ignore_index=True)
    table.loc[: (gained or 0) - 1, ["specialised_p", "specialised_q"]] = (0.001, 0.01)
    table.loc[len(table) - lost :, "specialised_p"] = 0.99
    if gained is None:
        table["specialised_p"] = np.nan
    row = filters_finding(compared(noisy((0.1,) * 5, "after"), "before", "after", table))
    assert row.verdict == verdict
    if gained is not None:
        assert (row.value, row.chance, row.n) == (pytest.approx((gained - lost) / 200), 0.0, 200)
        assert row.remark.startswith(f"{gained} concentrated, {lost} scattered; {gained} conc")


DEPTHS = tuple(f"layer{depth}" for depth in range(6))
IMAGES = 160


def alike_channels(seed, shares, *, width=20):
    """A comparison whose layers are each of `width` channels that like the same 30 of 160 pictures
    of four classes, and ten each for itself: at random but for a share of one class, after.
    """
    rng, labels = np.random.default_rng(seed), np.arange(IMAGES) % 4
    sides = {"before": [], "after": []}
    for share in shares:
        chosen = rng.permutation(np.flatnonzero(labels == 0))[: int(40 * share)]
        for side, first in (("before", chosen[:0]), ("after", chosen)):
            others = rng.permutation(np.setdiff1d(np.arange(IMAGES), first))
            common, rest = np.append(first, others)[:30], np.setdiff1d(others, others[:30])
            sides[side] += [np.append(common, rng.permutation(rest)[:10]) for _ in range(width)]
    once = np.ones((IMAGES, 1))
    before, after = (
        Maximal.of(maximal, labels, classes=4).entropies(once)[:, 0] for maximal in sides.values()
    )
    p = specialisation(*sides.values(), labels, classes=4, rng=rng)
    channels = pd.DataFrame({
        "layer": np.repeat(DEPTHS, width), "entropy_before": before, "entropy_after": after,
        "specialised_p": p, "specialised_q": corrected(p),
    })  # fmt: skip
    return ComparedPair(
        before="before",
        after="after",
        layers=pd.DataFrame({"layer": DEPTHS, "position": range(len(DEPTHS))}),
        channels=channels,
        images="art/test",
        seed=seed,
        read=lambda network, layer: None,
        shown=lambda: Shown(**sides, labels=labels, classes=4, groups=[""] * IMAGES),
    )


@pytest.mark.parametrize("finding", [classes_finding, classes_more_finding, filters_finding])
def test_channels_that_like_the_same_pictures_are_one_witness(finding):
    """Where nothing is to be found, they say yes or no in few studies; as independent units they
    would in many.
    """
    pairs = [alike_channels(seed, (0,) * 6) for seed in range(12)]
    decided = sum(finding(pair).verdict != "undecided" for pair in pairs)
    as_units = sum(finding(replace(pair, shown=None)).verdict != "undecided" for pair in pairs)
    assert decided <= 2
    assert as_units >= 4


@pytest.mark.parametrize("finding", [classes_finding, classes_more_finding, filters_finding])
def test_what_channels_learnt_is_found_however_alike_they_are(finding):
    """Channels that took to a class, the deeper the more, are found in every study."""
    pairs = [alike_channels(seed, (0, 0.2, 0.4, 0.5, 0.6, 0.7)) for seed in range(3)]
    assert [finding(pair).verdict for pair in pairs] == ["yes"] * 3


def test_pictures_of_few_groups_say_less_of_channels():
    """Where the pictures are of few groups, the interval of what channels show is wider."""
    pair = alike_channels(0, (0, 0.2, 0.4, 0.5, 0.6, 0.7))
    groups = [f"painter {row % 8}" for row in range(IMAGES)]  # of one class each
    grouped = replace(pair, shown=lambda: replace(pair.shown(), groups=groups))
    plain, row = filters_finding(pair), filters_finding(grouped)
    assert row.value == plain.value
    assert row.high - row.low > plain.high - plain.low


@pytest.mark.parametrize("finding", [classes_finding, classes_more_finding, filters_finding])
def test_what_twins_differ_by_is_no_finding(finding):
    """A change that two trainings of one start differ by as well is undecided, and told."""
    table = channel_table((0.9, 0.9, 0.9, 0.9, 0.9), (0.9, 0.88, 0.87, 0.86, 0.85))
    table.loc[:40, "specialised_p"] = 0.001
    pair = compared(noisy((0.1,) * 5, "after"), "before", "after", table)
    assert finding(pair).verdict == "yes"
    assert "two trainings" not in finding(pair).remark
    row = finding(pair, [pair])
    assert row.verdict == "undecided"
    assert "between two trainings of one start it differs by" in row.remark
    calm = replace(pair, channels=channel_table((0.9,) * 5, (0.9,) * 5))
    assert finding(pair, [calm]).verdict == "yes"


# --- routes --------------------------------------------------------------------------------------

STUDY = Study.model_validate({
    "study": "routes",
    "datasets": {name: {"kind": "folder", "root": name} for name in ("styles", "objects")},
    "networks": {
        "imagenet": {"load": "inception_v1"},
        "styles": {"from": "imagenet", "fit": "styles", "recipe": "mode_a", "repeats": 2},
        "single": {"from": "imagenet", "fit": "objects", "recipe": "mode_a"},
        "double": {"from": "styles", "fit": "objects", "recipe": "mode_f"},
        "again": {"from": "styles", "fit": "styles", "recipe": "mode_a"},
        "svm": {"from": "imagenet", "fit": "objects", "recipe": "linear_svm"},
        "svm_double": {"from": "styles", "fit": "objects", "recipe": "linear_svm"},
        "gentle": {"from": "imagenet", "fit": "styles", "recipe": "mode_b"},
        "twin": {"from": "imagenet", "fit": "styles", "recipe": "mode_a", "seed": 7},
    },
})  # fmt: skip


def test_which_routes_are_double():
    """By way of another dataset, from one start to one dataset; an SVM is no training's rival."""
    assert double_routes(STUDY) == [("single", "double"), ("svm", "svm_double")]


def test_which_networks_are_twins():
    """Repeats and networks that differ by their seed are; others are not."""
    assert twins(STUDY, "styles", "styles.2")
    assert twins(STUDY, "twin", "styles")
    assert not twins(STUDY, "styles", "styles")
    assert not twins(STUDY, "styles", "single")
    assert not twins(STUDY, "styles", "gentle")
    assert not twins(STUDY, "imagenet", "styles")


def test_double_over_trainings_and_over_pictures():
    """Repeated trainings decide; with one of each, pictures do, and the remark says so."""
    routes = ComparedRoutes(
        single="single",
        double="double",
        by_pictures=Score(value=0.04, low=0.01, high=0.07, chance=0.0, n=225),
        by_trainings=RouteDifference(
            score="top1",
            n_first=3,
            n_second=3,
            difference=-0.016,
            low=-0.066,
            high=0.033,
            status="ok",
        ),
    )
    row = double_finding(routes)
    assert (row.verdict, row.unit, row.n) == ("undecided", "trainings", 6)
    assert (row.before, row.after) == ("single", "double")
    row = double_finding(replace(routes, by_trainings=None))
    assert (row.verdict, row.unit, row.n) == ("yes", "pictures", 225)
    assert "one training of each" in row.remark


def test_the_control():
    """Two trainings that stay together, far from their start, say yes; trainings far apart, no."""
    features = noisy((1.0,) * 5, "after")
    close = {("twin", layer): features["after", layer] + 0.1 * features["before", layer]
             for layer in LAYERS}  # fmt: skip
    together = features | close
    change = compared(together, "before", "after")
    row = control_finding(change, compared(together, "after", "twin"))
    assert (row.verdict, row.n, row.before, row.after) == ("yes", 120, "after", "twin")
    far = features | {
        ("twin", layer): generator(1, layer).standard_normal((120, 6)) for layer in LAYERS
    }
    assert control_finding(change, compared(far, "after", "twin")).verdict == "no"


def test_a_control_on_other_pictures():
    """Comparisons on different pictures are not held against each other."""
    features = noisy((1.0,) * 5, "after")
    change = compared(features, "before", "after")
    elsewhere = replace(change, before="after", after="twin", images="art/val")
    assert control_finding(change, elsewhere).verdict == "untested"


# --- all of them ---------------------------------------------------------------------------------


def test_each_statement_is_tested_on_what_it_is_about():
    """Trainings are held against their start, twins against each other; what is neither is not."""
    pairs = [("imagenet", "styles"), ("styles.2.init", "styles.2"), ("imagenet", "double"),
             ("styles", "styles.2"), ("single", "gentle"), ("double", "single")]  # fmt: skip
    features = {
        (name, layer): generator(0, name, layer).standard_normal((20, 3)).astype("f4")
        for name in {name for pair in pairs for name in pair}
        for layer in LAYERS
    }
    results = Results(
        study=STUDY,
        compared={pair: compared(features, *pair) for pair in pairs},
        routes=[],
    )
    changes = {(row.before, row.after) for row in findings(results) if row.statement == "layers"}
    assert changes == {*pairs[:3]}
    rows = [row for row in findings(results) if row.statement == "control"]
    assert [(row.before, row.after) for row in rows] == [("styles", "styles.2")]
    assert rows[0].subject == "styles, styles.2 and their start imagenet"


def test_a_row_has_the_key_of_its_statement():
    """What tests a statement writes its key, under which the report tells it in words."""
    features = noisy((0.1,) * 5, "styles") | noisy((0.1,) * 5, "styles.2")
    features |= {("imagenet", layer): features["before", layer] for layer in LAYERS}
    pairs = [("imagenet", "styles"), ("styles", "styles.2")]
    by_pictures = Score(value=0.04, low=0.01, high=0.07, chance=0.0, n=225)
    results = Results(
        study=STUDY,
        compared={pair: compared(features, *pair) for pair in pairs},
        routes=[
            ComparedRoutes(
                single="single", double="double", by_pictures=by_pictures, by_trainings=None
            )
        ],
    )
    for key, statement in STATEMENTS.items():
        assert {row.statement for row in statement.test(results)} in ({key}, set()), key


def test_the_words_are_read_without_torch():
    """The report tells what a statement says on a machine that has no torch."""
    code = (
        "import sys, overpaint.findings\n"
        "sys.exit(str({'torch', 'zarr'} & sys.modules.keys() or ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr.strip() == ""
