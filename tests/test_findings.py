"""The paper's statements, put to studies whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from overpaint.findings import (
    Seen,
    _some,
    class_findings,
    control_finding,
    double_finding,
    double_routes,
    filters_finding,
    layers_finding,
    twins,
)
from overpaint.measures.cka import linear_cka
from overpaint.records import RouteDifference, Score
from overpaint.seeds import generator
from overpaint.study import Study

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")


def noisy(noise, name, *, images=120, width=6):
    """Features of five layers, before and after, with so much noise in each layer of after."""
    found = {}
    for layer, share in zip(LAYERS, noise, strict=True):
        base = generator(0, "base", layer).standard_normal((images, width))
        found["before", layer] = base.astype("f4")
        other = generator(0, "other", name, layer).standard_normal((images, width))
        found[name, layer] = (base + share * other).astype("f4")
    return found


def seen(features, before, after, channels=None):
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
    empty = pd.DataFrame(columns=["layer", "specialised_p", "specialised_q"])
    channels = empty if channels is None else channels
    return Seen(before, after, pd.DataFrame(rows), channels, "art/test", 0)


def reader(features):
    return lambda network, layer: features[network, layer]


@pytest.mark.parametrize(
    ("noise", "verdict"),
    [((0.1, 0.4, 0.8, 1.3, 2.0), "yes"), ((2.0, 1.3, 0.8, 0.4, 0.1), "no"),
     ((0.5, 0.5, 0.5, 0.5, 0.5), "undecided")],
)  # fmt: skip
def test_which_layers_change(noise, verdict):
    """Noise that grows with depth says yes, that falls says no, and even noise decides nothing."""
    features = noisy(noise, "after")
    row = layers_finding(seen(features, "before", "after"), reader(features))
    assert (row.verdict, row.n, row.unit, row.chance) == (verdict, 120, "pictures", 0.0)
    assert -1 <= row.low <= row.value <= row.high <= 1


def test_a_network_and_itself_have_no_trend():
    """Where nothing changed, the statement is not tested, and the row says why."""
    features = noisy((0, 0, 0, 0, 0), "after")
    row = layers_finding(seen(features, "before", "after"), reader(features))
    assert (row.verdict, row.value) == ("untested", None)
    assert "the same" in row.remark


def test_many_pictures_are_sampled(monkeypatch):
    """Of a large split some pictures give the interval, and N tells all of them."""
    monkeypatch.setattr("overpaint.findings.TRIED", 40)
    features = noisy((0.1, 0.4, 0.8, 1.3, 2.0), "after")
    seen_rows = []

    def read(network, layer):
        seen_rows.append(len(features[network, layer]))
        return features[network, layer]

    assert layers_finding(seen(features, "before", "after"), read).n == 120


def test_grams_give_the_cka_of_a_half():
    """CKA from a part of the Gram matrices is that of the features of these pictures."""
    features = noisy((1.0,) * 5, "after")
    x, y = features["before", "conv1"] + 7, features["after", "conv1"]
    rows = np.array([3, 5, 8, 9, 40, 77, 78, 100, 111, 119])
    both, n = _some([(x, y)], 0)
    assert n == 120
    assert both[0].cka(rows) == pytest.approx(linear_cka(x[rows], y[rows], debiased=True), abs=1e-9)


def channel_table(before, after, *, each=40):
    """Channels of five layers whose entropy lies around these values."""
    rng = generator(0, "entropies")
    return pd.DataFrame([
        {"layer": layer, "entropy_before": b + 0.02 * rng.standard_normal(),
         "entropy_after": a + 0.02 * rng.standard_normal(), "specialised_p": 0.5,
         "specialised_q": 0.9}
        for layer, b, a in zip(LAYERS, before, after, strict=True) for _ in range(each)
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
    found = list(class_findings(seen(features, "before", "after", channel_table(before, after))))
    assert [row.statement for row in found] == ["classes", "classes_more"]
    assert [row.verdict for row in found] == verdicts
    assert {(row.n, row.unit) for row in found} == {(200, "channels")}


def test_dead_channels_say_nothing_of_classes():
    """Channels without an entropy are not counted."""
    table = channel_table((0.9,) * 5, (0.9, 0.8, 0.7, 0.6, 0.5))
    table.loc[:9, "entropy_after"] = np.nan
    features = noisy((0.1,) * 5, "after")
    falls, _ = class_findings(seen(features, "before", "after", table))
    assert falls.n == 190


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
    row = filters_finding(seen(noisy((0.1,) * 5, "after"), "before", "after", table))
    assert row.verdict == verdict
    if gained is not None:
        assert (row.value, row.chance, row.n) == (pytest.approx((gained - lost) / 200), 0.0, 200)
        assert row.remark.startswith(f"{gained} concentrated, {lost} scattered; {gained} conc")


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
    by_pictures = Score(0.04, 0.01, 0.07, 0.0, 225)
    gap = RouteDifference("top1", 3, 3, -0.016, -0.066, 0.033, "ok")
    row = double_finding("single", "double", by_pictures, gap)
    assert (row.verdict, row.unit, row.n) == ("undecided", "trainings", 6)
    row = double_finding("single", "double", by_pictures, None)
    assert (row.verdict, row.unit, row.n) == ("yes", "pictures", 225)
    assert "one training of each" in row.remark


def test_the_control():
    """Two trainings that stay together, far from their start, say yes; trainings far apart, no."""
    features = noisy((1.0,) * 5, "after")
    close = {("twin", layer): features["after", layer] + 0.1 * features["before", layer]
             for layer in LAYERS}  # fmt: skip
    every = features | close
    change, control = seen(every, "before", "after"), seen(every, "after", "twin")
    row = control_finding(change, control, reader(every))
    assert (row.verdict, row.n) == ("yes", 120)
    far = features | {
        ("twin", layer): generator(1, layer).standard_normal((120, 6)) for layer in LAYERS
    }
    row = control_finding(change, seen(far, "after", "twin"), reader(far))
    assert row.verdict == "no"


def test_a_control_on_other_pictures():
    """Comparisons on different pictures are not held against each other."""
    features = noisy((1.0,) * 5, "after")
    change = seen(features, "before", "after")
    other = Seen("after", "twin", change.layers, change.channels, "art/val", 0)
    assert control_finding(change, other, reader(features)).verdict == "untested"
