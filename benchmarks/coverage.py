"""How often 95 % intervals hold the truth, and how often findings find what is not there.

    .venv/bin/python benchmarks/coverage.py [--draws 400] [--studies 200]

Two simulations, printed as tables. Coverage: pictures of 20 to 100 groups, 10 of a group, that are
alike within their group; the intervals over groups beside those over pictures. Null studies: made
from features without networks, through the true measures; nothing is in any statement, and each
finding that says yes or no is false.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from overpaint.comparison.channels import (
    LayerChannels,
    Pictures,
    chance_of,
    channel_rows,
    with_p_values,
)
from overpaint.datasets.catalogue import Picture, Split
from overpaint.findings import (
    ComparedPair,
    ComparedRoutes,
    Shown,
    classes_finding,
    classes_more_finding,
    control_finding,
    double_finding,
    filters_finding,
    layers_finding,
)
from overpaint.measures.cka import cka_interval, linear_cka
from overpaint.measures.repeats import route_difference
from overpaint.measures.scores import difference, main_score, main_value
from overpaint.records import ChannelRow, FindingRow, Score, Scores, table

OF_GROUP = 10
"""Pictures of a group."""

KINDS = ("top-1", "mAP", "difference", "CKA", "debiased CKA")

Features = NDArray[np.float64]


# --- coverage ------------------------------------------------------------------------------------


def hits(n_groups: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Whether a network is right on each picture: the pictures of a group are hard or easy alike,
    and it is right on 60 %.
    """
    return rng.random(n_groups * OF_GROUP) < np.repeat(rng.beta(0.9, 0.6, n_groups), OF_GROUP)


def named(right: NDArray[np.bool_]) -> Features:
    """Probabilities of two classes, of which the first is true."""
    return np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])


def labelled(n_groups: int, rng: np.random.Generator) -> tuple[Features, NDArray[np.int64]]:
    """Probabilities and labels of two classes that a picture may show both; both hang on the
    group.
    """
    group = np.repeat(rng.standard_normal((n_groups, 2)), OF_GROUP, axis=0)
    present = (group + rng.standard_normal(group.shape) > 0.5).astype(np.int64)
    bias = np.repeat(rng.standard_normal((n_groups, 2)), OF_GROUP, axis=0)
    return present + bias + rng.standard_normal(group.shape), present


def layers(n_groups: int, rng: np.random.Generator) -> tuple[Features, Features]:
    """A layer before and after, both alike within a group."""
    latent = np.repeat(rng.standard_normal((n_groups, 6)), OF_GROUP, axis=0)
    x = latent + rng.standard_normal(latent.shape)
    moved = np.repeat(rng.standard_normal((n_groups, 6)), OF_GROUP, axis=0)
    return x, x + moved + rng.standard_normal(latent.shape)


def interval_of(
    kind: str, n_groups: int, rng: np.random.Generator, groups: list[str] | None
) -> tuple[float, float, float]:
    """A value of fresh pictures, and its interval."""
    zeros = np.zeros(n_groups * OF_GROUP, np.int64)
    if kind in ("CKA", "debiased CKA"):
        pair, debiased = layers(n_groups, rng), kind == "debiased CKA"
        value = linear_cka(*pair, debiased=debiased)
        return (value, *cka_interval(*pair, debiased=debiased, groups=groups))
    if kind == "mAP":
        score = main_score(*labelled(n_groups, rng), rng, groups)
    elif kind == "top-1":
        score = main_score(named(hits(n_groups, rng)), zeros, rng, groups)
    else:
        pair = named(hits(n_groups, rng)), named(hits(n_groups, rng))
        seed = int(rng.integers(2**31))
        score = difference(*pair, zeros, dataset="d", split="test", seed=seed, groups=groups)
    return score.value, score.low, score.high


def truth_of(kind: str, n_groups: int, draws: int) -> float:
    """What the value is on average: known of accuracies, else over many fresh samples."""
    if kind in ("top-1", "difference"):
        return 0.6 if kind == "top-1" else 0.0
    rng = np.random.default_rng(1)
    if kind == "mAP":
        values = [main_value(*labelled(n_groups, rng)) for _ in range(draws)]
    else:
        debiased = kind == "debiased CKA"
        values = [linear_cka(*layers(n_groups, rng), debiased=debiased) for _ in range(draws)]
    return float(np.mean(values))


def coverage(
    kind: str, n_groups: int, draws: int, *, seed: int = 0, of_truth: int = 2000
) -> tuple[float, float]:
    """The share of intervals that hold the truth: over groups, and over pictures."""
    truth, held = truth_of(kind, n_groups, of_truth), Counter[bool]()
    names = np.repeat(np.arange(n_groups), OF_GROUP).astype(str).tolist()
    for draw in range(draws):
        for groups in (names, None):
            rng = np.random.default_rng([seed, draw])  # the same pictures for both
            _, low, high = interval_of(kind, n_groups, rng, groups)
            held[groups is not None] += low <= truth <= high
    return held[True] / draws, held[False] / draws


# --- null studies --------------------------------------------------------------------------------

NAMES = tuple(f"layer{number}" for number in range(6))
CLASSES = ("calm", "storm", "ice", "fire")


def split_of(images: int) -> Split:
    """Pictures that were never files, the classes in turn."""
    pictures = tuple(
        Picture(
            image=f"{row:04}.png",
            split="train",
            labels=(CLASSES[row % len(CLASSES)],),
            digest=f"{row:08x}",
        )
        for row in range(images)
    )
    return Split(
        dataset="none",
        name="train",
        root=Path(),
        pictures=pictures,
        classes=CLASSES,
        multi_label=False,
    )


BEHIND = {
    "own": "channels of their own",
    "few": "three latents behind the channels of a layer, three behind its noise",
    "one": "one latent behind all channels",
}
"""What may stand behind the channels of a null study."""


def null_study(
    seed: int, *, behind: str = "own", images: int = 160, channels: int = 16
) -> Iterator[FindingRow]:
    """The findings of a study in which nothing is to be found.

    Each layer is a latent of pictures in groups, the same in all networks, with noise of each
    network, as much in all layers and networks: none changed more than another, twins differ as
    start and training do, and no channel knows a class. `behind`: the channels of all layers are
    mixtures of one latent, or those of a layer of three numbers, in their noise too. So they are no
    independent channels, as those of a network are none: they like the same pictures.
    """
    rng = np.random.default_rng([7, seed])
    n_groups = images // 4
    few = 3 if behind == "few" else channels
    mixtures = [np.eye(channels)] * 2
    if behind == "few":  # the same for all layers and networks: none is to differ
        mixtures = [rng.standard_normal((few, channels)) / few**0.5 for _ in range(2)]
    latents = {
        layer: np.repeat(rng.standard_normal((n_groups, few)) @ mixtures[0], 4, axis=0)
        for layer in NAMES
    }
    if behind == "one":
        turns = [np.linalg.qr(rng.standard_normal((channels, channels)))[0] for _ in NAMES]
        latents = {
            layer: latents[NAMES[0]] @ turn for layer, turn in zip(NAMES, turns, strict=True)
        }
    groups = np.repeat(np.arange(n_groups), 4).astype(str).tolist()
    networks = {
        (network, layer): latents[layer] + rng.standard_normal((images, few)) @ mixtures[1]
        for network in ("start", "one", "two")
        for layer in NAMES
    }
    change, control = (
        compared(networks, *names, groups=groups, seed=seed)
        for names in (("start", "one"), ("one", "two"))
    )
    for finding in (classes_finding, classes_more_finding, filters_finding):
        yield finding(change)
    if behind != "own":
        return  # the others take no channels for units
    yield layers_finding(change)
    yield control_finding(change, control)
    zeros = np.zeros(images, np.int64)
    right = [rng.random(images) < np.repeat(rng.beta(3, 2, n_groups), 4) for _ in range(2)]
    gap = difference(
        named(right[0]), named(right[1]), zeros, dataset="d", split="test", seed=seed, groups=groups
    )
    luck = rng.normal(0.6, 0.03, (2, 3))
    trainings = route_difference(*([of_value(value) for value in route] for route in luck))
    for by_trainings in (None, trainings):
        routes = ComparedRoutes(
            single="single", double="double", by_pictures=gap, by_trainings=by_trainings
        )
        yield double_finding(routes)


def compared(
    networks: dict[tuple[str, str], Features],
    before: str,
    after: str,
    *,
    groups: list[str],
    seed: int,
    k: int = 40,
) -> ComparedPair:
    """The comparison of two networks, by the true measures of layers and channels."""
    split = split_of(len(groups))
    pictures, chance, rows = Pictures.of(split), chance_of(split, k, seed), []
    ranked: dict[str, list[NDArray[np.intp]]] = {"before": [], "after": []}
    ckas = []
    for layer in NAMES:
        pair = networks[before, layer], networks[after, layer]
        ckas.append(linear_cka(*pair, debiased=True))
        if before != "start":  # twins are compared by layer alone
            continue
        of_layer = LayerChannels.of(*(part.astype(np.float32) for part in pair), pictures, k=k)
        rows += channel_rows(layer, of_layer, images=len(split), k=k, chance=chance, changes=None)
        for side in (of_layer.before, of_layer.after):
            ranked[side.name] += side.maximal
    return ComparedPair(
        before=before,
        after=after,
        layers=pd.DataFrame({"layer": NAMES, "position": range(len(NAMES)), "cka_debiased": ckas}),
        channels=with_p_values(table(rows, ChannelRow), **ranked, split=split, seed=seed)
        if rows
        else table([], ChannelRow),
        images="none/test",
        seed=seed,
        read=lambda network, layer: networks[network, layer],
        groups=groups,
        shown=lambda: Shown(
            **ranked, labels=np.asarray(split.labels), classes=len(CLASSES), groups=groups
        ),
    )


def of_value(value: float) -> Scores:
    """A training that scored so."""
    score = Score(value=value, low=value, high=value, chance=0.5, n=100)
    return Scores(
        dataset="d",
        split="test",
        multi_label=False,
        main="top1",
        scores={"top1": score},
        classes=[],
        without_positives=[],
    )


def false_findings(studies: int, *, behind: str = "own") -> dict[str, Counter[str]]:
    """The verdicts of null studies, by statement and the unit of its interval."""
    verdicts: dict[str, Counter[str]] = {}
    for seed in range(studies):
        for row in null_study(seed, behind=behind):
            verdicts.setdefault(f"{row.statement} over {row.unit}", Counter())[row.verdict] += 1
    return verdicts


def main() -> None:
    """Read the options, simulate and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--studies", type=int, default=200)
    options = parser.parse_args()
    print(f"Coverage of 95 % intervals, {OF_GROUP} pictures a group, {options.draws} draws")
    print(f"{'':16}{'groups':>8}{'over groups':>14}{'over pictures':>16}")
    for kind in KINDS if options.draws else ():
        for n_groups in (20, 50, 100):
            by_group, by_picture = coverage(kind, n_groups, options.draws)
            print(f"{kind:16}{n_groups:8}{by_group:14.1%}{by_picture:16.1%}", flush=True)
    for behind, words in BEHIND.items() if options.studies else ():
        print(f"\nFalse findings in {options.studies} null studies, {words}")
        for name, verdicts in false_findings(options.studies, behind=behind).items():
            says = " ".join(
                f"{verdict} {verdicts[verdict] / options.studies:5.1%}" for verdict in ("yes", "no")
            )
            print(f"{name:32}{says}", flush=True)


if __name__ == "__main__":
    main()
