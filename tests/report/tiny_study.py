"""A study folder made of the rows alone, small for the tests or bigger for looking at.

python tests/report/tiny_study.py FOLDER          # 12 layers, hundreds of channels, textures
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from overpaint.records import (
    ChannelRow,
    ClassRow,
    EpochRow,
    ImageRow,
    LayerRow,
    MaximalRow,
    RenderingRow,
    Score,
    Scores,
    StudyFolder,
    WeightRow,
    digest,
    manifest,
    write_json,
    write_rows,
    write_table,
    write_text,
)
from overpaint.seeds import generator
from overpaint.study import Study

SCRIPT = "<script>alert(1)</script>"
BREAKOUT = '"><img src=x onerror=alert(1)>.jpg'
HOSTILE = (SCRIPT, "浮世絵", "الخط العربي", "a & b \"quoted\" 'single'")


@dataclass(frozen=True)
class Plan:
    """How big the study is."""

    layers: dict[str, int]  # channels of each
    classes: tuple[str, ...]
    pictures: int
    shown: int
    k: int
    side: int  # of a rendering


DEPTHS = ("conv2d0", "conv2d2", "mixed3a", "mixed4a", "mixed4d", "mixed5b")
TINY = Plan(dict.fromkeys(DEPTHS, 8), HOSTILE, 40, 3, 12, 16)

LAYERS = (64, 64, 192, 256, 480, 508, 512, 512, 528, 832, 832, 1024)
NAMES = ("conv2d0", "conv2d1", "conv2d2", "mixed3a", "mixed3b", "mixed4a", "mixed4b", "mixed4c",
         "mixed4d", "mixed4e", "mixed5a", "mixed5b")  # fmt: skip
STYLES = ("Baroque", "Cubism", "Early Renaissance", "Expressionism", "Impressionism", "Naïve Art",
          "Rococo", "Romanticism", "Surrealism", "Symbolism", "Ukiyo-e", "浮世絵")  # fmt: skip
GALLERY = Plan(dict(zip(NAMES, LAYERS, strict=True)), STYLES, 900, 9, 100, 128)

PAIRS = (("imagenet", "fine_tuned"), ("fine_tuned", "double"), ("scratch.init", "scratch"))


def study(*, lean: bool = False) -> Study:
    """A lineage with a double fine-tuning and one from scratch; lean, a single fine-tuning."""
    if lean:
        whole = study()
        kept = {name: whole.networks[name] for name in ("imagenet", "fine_tuned")}
        data = {"rasta": whole.datasets["rasta"]}
        pairs = whole.compare[:1]
        return whole.model_copy(update={"networks": kept, "datasets": data, "compare": pairs})
    return Study.model_validate(
        {
            "study": "gallery",
            "datasets": {
                "rasta": {"kind": "folder", "root": "rasta"},
                "iconart": {"kind": "folder", "root": "iconart"},
            },
            "networks": {
                "imagenet": {"load": "inception_v1.tf_in1k"},
                "fine_tuned": {"from": "imagenet", "fit": "rasta", "recipe": "mode_a"},
                "gentle": {"from": "imagenet", "fit": "rasta", "recipe": "mode_b",
                           "with": {"epochs": 4}},
                "scratch": {"load": "inception_v1", "weights": "random", "fit": "rasta",
                            "recipe": "from_scratch"},
                "single": {"from": "imagenet", "fit": "iconart", "recipe": "mode_a"},
                "double": {"from": "fine_tuned", "fit": "iconart", "recipe": "mode_a"},
            },
            "compare": [list(pair) for pair in PAIRS],
            "render": {"layers": ["mixed3a"]},
        }
    )  # fmt: skip


def write_study(root: Path, plan: Plan = TINY, *, lean: bool = False) -> Path:
    """Write the whole folder, as a finished run leaves it."""
    folder, plan_of = StudyFolder(root), study(lean=lean)
    write_text(folder.study, plan_of.to_yaml())
    for name in plan_of.datasets:
        write_dataset(folder, name, plan, multi_label=name == "iconart")
    for name in plan_of.nodes():
        write_network(folder, plan_of, name, plan)
    for pair in plan_of.compare:
        write_comparison(folder, *pair.pair, plan)
    return root


# --- datasets ----------------------------------------------------------------------------------


def pictures(dataset: str, plan: Plan) -> list[ImageRow]:
    """The rows of a dataset: the first picture has a hostile name, the last was left out."""
    found = []
    for number in range(plan.pictures):
        split = ("train", "train", "train", "train", "val", "test")[number % 6]
        name = BREAKOUT if number == 0 else f"{split}/{number:04d}.jpg"
        label = plan.classes[(number + number // 6) % len(plan.classes)]
        key = digest([dataset, number])
        found.append(ImageRow(name, split, [label], "", 9000, key, 300, 200, "ok"))
    return [*found[:-1], replace(found[-1], status="not decodable: truncated file")]


def scored_pictures(dataset: str, plan: Plan) -> list[ImageRow]:
    """The pictures that a network is scored on."""
    return [row for row in pictures(dataset, plan) if row.split == "test" and row.status == "ok"]


def write_dataset(folder: StudyFolder, name: str, plan: Plan, *, multi_label: bool) -> None:
    place = folder.dataset(name)
    write_rows(place / "images.parquet", pictures(name, plan), ImageRow)
    facts = {
        "classes": list(plan.classes),
        "multi_label": multi_label,
        "kind": "folder",
        "left_out": 1,
    }
    write_json(place / "manifest.json", the_manifest("dataset", name, facts))


def the_manifest(kind: str, name: str, facts: dict) -> object:
    """A manifest that names no machine."""
    return manifest(
        kind, inputs={"name": name}, settings={}, seed=0, facts=facts, hardware="x86_64, 2 cores"
    )


# --- networks ----------------------------------------------------------------------------------

MAIN = {"fine_tuned": 0.623, "gentle": 0.592, "scratch": 0.307, "single": 0.541, "double": 0.583}


def write_network(folder: StudyFolder, plan_of: Study, name: str, plan: Plan) -> None:
    entry = plan_of.networks.get(name)
    trained = entry is not None and entry.fit is not None
    place = folder.network(name)
    parent = (entry.parent or f"{name}.init") if entry is not None and trained else None
    facts = {
        "architecture": "inception_v1",
        "layers": list(plan.layers),
        "parameters": 5_999_817,
        "classes": list(plan.classes),
        "multi_label": trained and entry.fit == "iconart",
        "parent": parent,
        "dataset": entry.fit if trained else None,
        "recipe": entry.training().model_dump() if trained else None,
        "trained": "trains 4,812,345 of 5,999,817 parameters: mixed4a … head" if trained else None,
        "best_epoch": 4 if trained else None,
        "weights": digest(["weights", name]),
    }
    write_json(place / "manifest.json", the_manifest("network", name, facts))
    if trained:
        write_rows(place / "history.parquet", epochs(name), EpochRow)
        write_json(place / "scores.json", scores(name, entry.fit, plan))
        write_table(place / "predictions.parquet", predictions(name, entry.fit, plan))


def epochs(name: str) -> list[EpochRow]:
    """Six epochs that begin to overfit after the fourth."""
    top = MAIN[name]
    return [
        EpochRow(
            epoch, 2.2 * 0.7**epoch, 1.1 + 0.05 * (epoch - 4) ** 2, top - 0.02 * abs(epoch - 4),
            1e-2, 1e-3, epoch == 4,
        )
        for epoch in range(1, 7)
    ]  # fmt: skip


def scores(name: str, dataset: str, plan: Plan) -> Scores:
    """Scores around the number of the network, with intervals."""
    multi, value, n = dataset == "iconart", MAIN[name], len(scored_pictures(dataset, plan))
    chance = 1 / len(plan.classes)
    names = {"mAP": 1.0} if multi else {"top1": 1.0, "top3": 1.3, "top5": 1.45}
    several = {
        kind: Score(value * times, value * times - 0.0147, value * times + 0.0152, chance, n)
        for kind, times in names.items()
    }
    classes = [
        ClassRow(label, n // len(plan.classes), value, value - 0.05, value - 0.02, value + 0.06)
        for label in plan.classes[:-1]
    ] + [ClassRow(plan.classes[-1], 0, None, None, None, None)]
    main = next(iter(names))
    return Scores(dataset, "test", multi, main, several, classes, [plan.classes[-1]])


def predictions(name: str, dataset: str, plan: Plan) -> pd.DataFrame:
    """Probabilities of the test pictures, right about as often as the score says."""
    draw = generator(0, "predictions", name)
    rows = scored_pictures(dataset, plan)
    chances = draw.dirichlet(np.ones(len(plan.classes)), len(rows))
    for number, row in enumerate(rows):
        chances[number, plan.classes.index(row.labels[0])] += MAIN[name] / 3
    names = [f"p({label})" for label in plan.classes]
    frame = pd.DataFrame(chances / chances.sum(axis=1, keepdims=True), columns=names)
    frame.insert(0, "labels", [row.labels for row in rows])
    frame.insert(0, "image", [row.image for row in rows])
    return frame


# --- comparisons -------------------------------------------------------------------------------


def write_comparison(folder: StudyFolder, before: str, after: str, plan: Plan) -> None:
    place, draw = folder.comparison(before, after), generator(0, "comparison", before, after)
    dataset = study().networks[after].fit
    channels = [row for layer in plan.layers for row in channel_rows(draw, layer, plan)]
    write_rows(place / "layers.parquet", layer_rows(draw, plan), LayerRow)
    write_rows(place / "weights.parquet", weight_rows(draw, plan), WeightRow)
    write_rows(place / "channels.parquet", channels, ChannelRow)
    alive = [row for row in channels if row.concentration is not None]
    best = sorted(alive, key=lambda row: -row.concentration)[: plan.shown]
    shown = [[row.layer, row.channel] for row in best]
    train = [row for row in pictures(dataset, plan) if row.split == "train" and row.status == "ok"]
    maximal = [row for each in best for row in maximal_rows(draw, each, train, plan)]
    write_rows(place / "maximal.parquet", maximal, MaximalRow)
    for row in maximal:
        write_texture(folder.thumbnail(dataset, row.digest), int(row.digest[:6], 16), (112, 84))
    for network in (before, after):
        write_renderings(folder, network, shown, plan)
    facts = {
        "dataset": dataset, "cka_split": "test", "maximal_split": "train",
        "n_cka": plan.pictures // 6, "n_maximal": len(train), "k": plan.k,
        "classes": len(plan.classes), "multi_label": dataset == "iconart", "shown": shown,
    }  # fmt: skip
    write_json(place / "manifest.json", the_manifest("comparison", f"{before}--{after}", facts))


def layer_rows(draw: np.random.Generator, plan: Plan) -> list[LayerRow]:
    found = []
    for position, (layer, channels) in enumerate(plan.layers.items()):
        cka = 1.0 if position == 0 else 0.995 - 0.62 * (position / len(plan.layers)) ** 1.6
        width = 0 if position == 0 else 0.01 + 0.02 * draw.random()
        low = cka - 0.04 * position / len(plan.layers)
        found.append(
            LayerRow(layer, position, channels, plan.pictures // 6, "mean", cka, cka - width,
                     min(1.0, cka + width), low, low - width, min(1.0, low + width), "ok")
        )  # fmt: skip
    return found


def weight_rows(draw: np.random.Generator, plan: Plan) -> list[WeightRow]:
    found = []
    for position, (layer, channels) in enumerate(plan.layers.items()):
        l2 = 0.0 if position == 0 else 2 * position * (0.5 + draw.random())
        relative = l2 / 90
        found.append(
            WeightRow(layer, position, channels * 900, l2, relative, 1 - relative / 2, "ok")
        )
    return found


def channel_rows(draw: np.random.Generator, layer: str, plan: Plan) -> list[ChannelRow]:
    depth = list(plan.layers).index(layer) / len(plan.layers)
    found = []
    for channel in range(plan.layers[layer]):
        overlap = float(np.round(draw.beta(2 + 6 * (1 - depth), 1 + 9 * depth) * plan.k) / plan.k)
        before = float(np.clip(draw.normal(0.84 - 0.1 * depth, 0.06), 0, 1))
        after = float(np.clip(before - depth * draw.beta(1.2, 2.5) * 0.9, 0.02, 1))
        p = float(10.0 ** -(40 * overlap))
        leading = [plan.classes[number] for number in draw.integers(len(plan.classes), size=2)]
        found.append(
            ChannelRow(layer, channel, plan.k, plan.k - (channel == 1), overlap, 0.11, p, before,
                       after, 0.93, before - after, 0.2, 0.4, leading[0], 0.21, leading[1],
                       float(min(1, 1.1 - after)), float(draw.gamma(2, 0.1)), "ok")
        )  # fmt: skip
    dead = replace(found[0], entropy_after=None, concentration=None, n_after=0,
                   top_class_after=None, top_share_after=None, status="dead after")  # fmt: skip
    return [dead, *found[1:]]


def maximal_rows(
    draw: np.random.Generator, channel: ChannelRow, train: list[ImageRow], plan: Plan
) -> list[MaximalRow]:
    """The hostile picture leads both rows of each channel."""
    found = []
    for network in ("before", "after"):
        chosen = [0, *(1 + draw.permutation(min(len(train) - 1, 40)))]
        for rank, number in enumerate(chosen[: min(plan.k, 14)], start=1):
            row = train[number]
            found.append(
                MaximalRow(channel.layer, channel.channel, network, rank, row.image, row.digest,
                           " · ".join(row.labels), 9.0 - rank / 10)
            )  # fmt: skip
    return found


def write_renderings(folder: StudyFolder, network: str, shown: list, plan: Plan) -> None:
    place, told = folder.renderings(network), []
    for layer, channel in shown:
        seed = int(digest([network, layer, channel])[:6], 16)
        write_texture(place / layer / f"{channel}.png", seed, (plan.side, plan.side))
        status = "ok" if channel % 7 else "grey: the objective did not rise"
        told.append(RenderingRow(layer, channel, 0.12, 14.8, 512, plan.side, seed, status))
    path = place / "renderings.parquet"
    if path.exists():
        told += [RenderingRow(*row) for row in pd.read_parquet(path).itertuples(index=False)]
    write_rows(path, told, RenderingRow)


def write_texture(path: Path, seed: int, size: tuple[int, int]) -> None:
    """A picture of a few overlaid waves, so that pictures can be told apart by eye."""
    draw = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    waves = [
        np.sin(a * x + b * y + c * np.sin(d * x * y)) for a, b, c, d in draw.normal(0, 14, (5, 4))
    ]
    mixed = np.tensordot(np.array(waves), draw.normal(0, 0.5, (5, 3)), axes=(0, 0))
    pixels = (255 * (0.5 + 0.45 * np.tanh(mixed))).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


if __name__ == "__main__":
    write_study(Path(sys.argv[1]), GALLERY)
