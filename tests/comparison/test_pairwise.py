"""All networks with all: the table beside slow twins, and what is no network of its own."""

import io

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from overpaint.comparison.pairwise import pairwise_table
from overpaint.comparison.sources import InMemory
from overpaint.errors import StudyError
from overpaint.measures.cka import Kernels, linear_cka, mean_cka
from overpaint.measures.groups import group_numbers
from overpaint.networks import load
from overpaint.progress import Progressing
from overpaint.records import StudyFolder, read_table
from overpaint.run import run_study
from overpaint.study import Study, read_study

N = 24


def features(seed, widths=(6, 9, 4)):
    """Features of some layers of a network; those of seed 0 are a part of all."""
    base, own = np.random.default_rng(7), np.random.default_rng(seed)
    both = [draw.standard_normal((2, N, width)) for width in widths for draw in (base, own)]
    return [
        one[0] + 0.3 * seed * other[0] for one, other in zip(both[::2], both[1::2], strict=True)
    ]


def mean_by_hand(first, second, *, debiased, groups=None):
    """The mean CKA of layers, and its interval: each image or group left out, and all anew."""
    value = np.mean(
        [linear_cka(x, y, debiased=debiased) for x, y in zip(first, second, strict=True)]
    )
    numbers = np.arange(N) if groups is None else np.unique(groups, return_inverse=True)[1]
    without = []
    for number in range(numbers.max() + 1):
        rest = numbers != number
        pairs = [(x[rest], y[rest]) for x, y in zip(first, second, strict=True)]
        without.append(np.mean([linear_cka(x, y, debiased=debiased) for x, y in pairs]))
    stretched = np.arctanh(without)
    error = np.sqrt((len(stretched) - 1) * np.var(stretched))
    from scipy.stats import norm, t

    reach = error * (norm.ppf(0.975) if groups is None else t.ppf(0.975, len(stretched) - 1))
    return value, np.tanh(np.arctanh(value) - reach), np.tanh(np.arctanh(value) + reach)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("groups", [None, [f"artist {number // 2}" for number in range(N)]])
def test_the_mean_and_its_interval(debiased, groups):
    """As by hand, with whole images or groups left out of all layers at once."""
    first, second = features(1), features(2)
    kernels = [Kernels.of(x, y) for x, y in zip(first, second, strict=True)]
    made = mean_cka(kernels, debiased=debiased, groups=group_numbers(groups, N))
    assert made == pytest.approx(mean_by_hand(first, second, debiased=debiased, groups=groups))


@given(seed=st.integers(1, 50), noise=st.floats(0.1, 3))
def test_laws_of_the_mean(seed, noise):
    """It lies within its interval and between its layers, and of one layer it is that layer's."""
    draw = np.random.default_rng(seed)
    layers = [draw.standard_normal((12, width)) for width in (3, 5)]
    kernels = [Kernels.of(x, x + noise * draw.standard_normal(x.shape)) for x in layers]
    value, low, high = mean_cka(kernels)
    assert low <= value <= high
    assert min(each.cka() for each in kernels) <= value <= max(each.cka() for each in kernels)
    assert mean_cka(kernels[:1]) == pytest.approx((kernels[0].cka(), *kernels[0].interval()))


@pytest.fixture(scope="module")
def sources():
    """Three small networks with features in memory: a start, one that moved above, another."""
    networks = {
        name: load("inception_small", weights="random", seed=seed)
        for name, seed in (("start", 0), ("moved", 0), ("other", 1))
    }
    with torch.no_grad():
        for name, parameter in networks["moved"].body.named_parameters():
            if "mixed4" in name:
                parameter.add_(0.01)
    found = {}
    for number, (name, network) in enumerate(networks.items()):
        tables = features(number, range(3, 3 + len(network.layers)))
        if name == "moved":
            tables[0] = features(0, [3])[0]  # a layer that nothing has changed
        by_layer = dict(zip(network.layers, tables, strict=True))
        found[name] = InMemory(network=network, by_layer=by_layer, means_by_layer=by_layer)
    return found


def test_the_table(sources):
    """A row for each two; what is the same in both is counted apart; no distance of strangers."""
    related = lambda first, second: "other" not in (first, second)  # noqa: E731
    made = pairwise_table(sources, related=related).set_index(["first", "second"])
    assert len(made) == 3
    row = made.loc[("start", "moved")]
    first, second = (list(sources[name].by_layer.values()) for name in ("start", "moved"))
    values = [linear_cka(x, y) for x, y in zip(first, second, strict=True)]
    assert values[0] == 1
    assert row["cka"] == pytest.approx(np.mean(values))
    assert (row["layers"], row["layers_changed"]) == (8, 7)
    assert row["cka_changed"] == pytest.approx(np.mean(values[1:]))
    tensors = [sources[name].network.tensors() for name in ("start", "moved")]
    norms = [
        float(torch.linalg.vector_norm(tensors[1][name] - tensors[0][name]))
        for name, parameter in sources["moved"].network.body.named_parameters()
        if parameter.ndim > 1 and not sources["moved"].network.in_head(name)
    ]
    assert row["l2"] == pytest.approx(np.mean(norms), rel=1e-5)
    assert row["l2_moved"] == pytest.approx(np.mean([norm for norm in norms if norm]), rel=1e-5)
    assert row["kernels_moved"] == sum(norm > 0 for norm in norms) > 0
    assert np.isnan(made.loc[("start", "other"), "l2"])
    assert made.loc[("start", "other"), "cka"] < 1


def test_of_one_network_there_is_no_pair(sources):
    """As where all others failed: a table without rows."""
    assert pairwise_table({"start": sources["start"]}, related=lambda *_: True).empty


STUDY = """\
study: tiny
datasets:
  art: {kind: atelier, task: subjects, sizes: {train: 24, val: 12, test: 12}}
  more: {kind: atelier, task: manners, sizes: {train: 24, val: 12, test: 12}}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: art, recipe: mode_a, with: {epochs: 1}, repeats: 2}
  frozen: {from: tuned, fit: more, recipe: frozen, with: {epochs: 1}}
  again: {from: frozen, fit: more, recipe: mode_a, with: {epochs: 1}}
  end: {from: tuned, fit: more, recipe: end_from_scratch, with: {epochs: 1}}
  scratch: {load: inception_small, fit: more, recipe: from_scratch, with: {epochs: 1}}
pairwise: [more]
"""


def study(text=STUDY):
    """A study with a collection by way of another."""
    return Study.model_validate(yaml.safe_load(text))


def test_which_networks():
    """Those that were fitted to it and what they come from, with random starts; none that has its
    parent's backbone.
    """
    assert study().pairwise_on("more") == [
        "source", "tuned", "again", "end.init", "end", "scratch.init", "scratch",
    ]  # fmt: skip
    assert study().pairwise_on("art") == ["source", "tuned", "tuned.2"]


@pytest.mark.parametrize(
    ("key", "why"),
    [("pairwise: [none]", "none"), ("pairwise: [more, more]", "twice"),
     ("pairwise: [idle]", "fewer than two")],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(key, why, tmp_path):
    """With the key, and what would be right."""
    text = STUDY.replace("pairwise: [more]", key).replace(
        "networks:", "  idle: {kind: atelier, task: manners}\nnetworks:"
    )
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StudyError, match=why):
        read_study(path)


def test_a_run_has_them_once(tmp_path):
    """A run makes them, another keeps them; and another network makes them anew."""
    said = io.StringIO()
    run_study(study(), tmp_path / "run", Progressing(Console(file=said)))
    path = StudyFolder(tmp_path / "run").pairwise("more") / "pairwise.parquet"
    made = read_table(path)
    assert len(made) == 7 * 6 / 2
    strangers = made["first"].str.startswith("scratch") ^ made["second"].str.startswith("scratch")
    assert (made["l2"].isna() == strangers).all()
    page = (tmp_path / "run/site/index.html").read_text(encoding="utf-8")
    assert 'id="cka-more"' in page
    again = io.StringIO()
    run_study(study(), tmp_path / "run", Progressing(Console(file=again)), explain=True)
    assert "kept  pairwise/more" in again.getvalue()
    fewer = study(STUDY.replace("  again:", "  other:"))
    told = run_study(fewer, tmp_path / "run", Progressing(Console(file=again)), dry=True)
    assert "pairwise/more" in told.pending
