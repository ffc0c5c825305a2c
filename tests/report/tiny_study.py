"""A study folder made of the rows alone, small for the tests or bigger for looking at.

python tests/report/tiny_study.py FOLDER   # 12 layers, 5,808 channels, 100 maximal images of each
python tests/report/tiny_study.py FOLDER 10                         # ten comparisons of that size
"""

import sys
from dataclasses import asdict, dataclass, fields, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from overpaint.gaze.tiles import ACROSS, TILE, sheet_of
from overpaint.records import (
    AdviceRow,
    BetweenRow,
    ChannelRow,
    ClassRow,
    ConceptImageRow,
    ConceptRow,
    EpochRow,
    FindingRow,
    GazePictureRow,
    GazeTileRow,
    ImageRow,
    LayerRow,
    MatrixRow,
    MaximalRow,
    PairwiseRow,
    PlaneRow,
    ProbeRow,
    RenderingRow,
    ResponseRow,
    RewindRow,
    RouteDifference,
    Score,
    Scores,
    SpectrumRow,
    Spread,
    StudyFolder,
    SvmRow,
    WeightRow,
    digest,
    manifest,
    read_rows,
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
    pairs: int  # that are compared


DEPTHS = ("conv2d0", "conv2d2", "mixed3a", "mixed4a", "mixed4d", "mixed5b")
TINY = Plan(dict.fromkeys(DEPTHS, 8), HOSTILE, 40, 3, 14, 16, 4)

LAYERS = (64, 64, 192, 256, 480, 512, 512, 512, 528, 832, 832, 1024)
NAMES = ("conv2d0", "conv2d1", "conv2d2", "mixed3a", "mixed3b", "mixed4a", "mixed4b", "mixed4c",
         "mixed4d", "mixed4e", "mixed5a", "mixed5b")  # fmt: skip
STYLES = ("Abstract Art", "Abstract Expressionism", "Art Informel", "Art Nouveau", "Baroque",
          "Color Field Painting", "Cubism", "Early Renaissance", "Expressionism",
          "High Renaissance",
          "Impressionism", "Magic Realism", "Mannerism", "Minimalism", "Naïve Art", "Neoclassicism",
          "Northern Renaissance", "Pop Art", "Post-Impressionism", "Realism", "Rococo",
          "Romanticism", "Surrealism", "Symbolism", "Ukiyo-e")  # fmt: skip
GALLERY = Plan(dict(zip(NAMES, LAYERS, strict=True)), STYLES, 12_000, 96, 100, 128, 1)
"""The size of the paper's network and collection, one comparison of it."""

PAIRS = (("imagenet", "fine_tuned"), ("fine_tuned", "double"), ("scratch.init", "scratch"),
         ("imagenet", "broken"))  # fmt: skip

FAILED = {
    "broken": f"the loss is not finite after step 3 {SCRIPT} [not-finite]",
    "after_broken": "its parent 'broken' has failed [parent-failed]",
}

LINEAGE = {
    "imagenet": {"load": "inception_v1.tf_in1k"},
    "fine_tuned": {"from": "imagenet", "fit": "rasta", "recipe": "mode_a"},
    "gentle": {"from": "imagenet", "fit": "rasta", "recipe": "mode_b", "with": {"epochs": 4}},
    "svm": {"from": "imagenet", "fit": "rasta", "recipe": "linear_svm"},
    "scratch": {"load": "inception_v1", "weights": "random", "fit": "rasta",
                "recipe": "from_scratch"},
    "broken": {"from": "imagenet", "fit": "rasta", "recipe": "mode_c"},
    "single": {"from": "imagenet", "fit": "iconart", "recipe": "mode_a", "repeats": 3},
    "double": {"from": "fine_tuned", "fit": "iconart", "recipe": "mode_a", "repeats": 3},
    "after_broken": {"from": "broken", "fit": "iconart", "recipe": "mode_a"},
}  # fmt: skip


def study(*, lean: bool = False, pairs: int = len(PAIRS)) -> Study:
    """A lineage with a double fine-tuning, one from scratch, an SVM, repeats, ensembles, and a
    training that failed; lean, a single fine-tuning.
    """
    names = ("imagenet", "fine_tuned") if lean else tuple(LINEAGE)
    more = [f"again_{number}" for number in range(pairs - len(PAIRS))]
    compared = [*PAIRS[: 1 if lean else pairs], *(("imagenet", name) for name in more)]
    datasets = ("rasta",) if lean else ("rasta", "iconart")
    ensembles = {"together": ["fine_tuned", "gentle"], "hindered": ["gentle", "broken"]}
    return Study.model_validate(
        {
            "study": "gallery",
            "datasets": {name: {"kind": "folder", "root": name} for name in datasets},
            "networks": {name: LINEAGE[name] for name in names}
            | dict.fromkeys(more, LINEAGE["fine_tuned"]),
            "ensembles": {} if lean else ensembles,
            "compare": list(map(list, compared)),
            "render": {"layers": ["mixed3a"]},
            "pairwise": [] if lean else ["rasta"],
        }
    )


def write_study(root: Path, plan: Plan = TINY, *, lean: bool = False) -> Path:
    """Write the whole folder, as a finished run leaves it."""
    folder, plan_of = StudyFolder(root), study(lean=lean, pairs=plan.pairs)
    write_text(folder.study, plan_of.to_yaml())
    for name in plan_of.datasets:
        write_dataset(folder, name, plan, multi_label=name == "iconart")
    for name in plan_of.nodes():
        if name.removesuffix(".init") not in FAILED:
            write_network(folder, plan_of, name, plan)
    for pair in plan_of.compare:
        if not {*pair.pair} & {*FAILED}:
            write_comparison(folder, *pair.pair, plan)
    if not lean:
        write_pairwise(folder, plan_of, plan)
        write_ensemble(folder, "together", plan)
        write_json(folder.repeats, repeats())
        write_json(folder.failures, FAILED)
        write_rows(folder.advice, advice(plan), AdviceRow)
    write_json(folder.findings, {"key": "", "findings": [asdict(row) for row in findings()]})
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
        found.append(
            ImageRow(
                image=name,
                split=split,
                labels=[label],
                group="",
                bytes=9000,
                digest=key,
                width=300,
                height=200,
                status="ok",
            )
        )
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
        "leak": leak() if name == "rasta" else [],
        "duplicates": duplicates() if name == "rasta" else [],
    }
    write_json(place / "manifest.json", the_manifest("dataset", name, facts))


def leak() -> list[dict]:
    """Rows as the doctor writes them: val shares no group with train, test does."""
    names = ("split", "n", "known", "share", "groups", "known_groups", "accuracy", "chance")
    val, test = ("val", 6, 0, 0.0, 4, 0, None, None), ("test", 5, 3, 0.6, 4, 2, 0.495, 0.125)
    return [dict(zip(names, row, strict=True)) for row in (val, test)]


def duplicates() -> list[dict]:
    """One picture under two names, more often than a page can name."""
    return [
        {"digest": digest(number), "first": f"train/{number:03d}.jpg", "first_split": "train",
         "second": f"test/{number:03d} {BREAKOUT}", "second_split": "test"}
        for number in range(53)
    ]  # fmt: skip


def the_manifest(kind: str, name: str, facts: dict) -> object:
    """A manifest that names no machine."""
    made = manifest(kind, inputs={"name": name}, settings={}, seed=0, facts=facts)
    return replace(made, hardware="x86_64, 2 cores")


# --- networks ----------------------------------------------------------------------------------

MAIN = {"fine_tuned": 0.623, "gentle": 0.592, "svm": 0.47, "scratch": 0.307,
        "single": 0.541, "single.2": 0.569, "single.3": 0.537,
        "double": 0.583, "double.2": 0.561, "double.3": 0.593, "together": 0.641}  # fmt: skip
MAIN |= {f"again_{number}": 0.6 for number in range(20)}


def write_network(folder: StudyFolder, plan_of: Study, name: str, plan: Plan) -> None:
    entry = plan_of.all_networks.get(name)
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
        "recipe": {"name": entry.recipe, **entry.training().model_dump()} if trained else None,
        "trained": "trains 4,812,345 of 5,999,817 parameters: mixed4a … head" if trained else None,
        "best_epoch": 4 if trained and name != "svm" else None,
        "weights": digest(["weights", name]),
    }
    write_json(place / "manifest.json", the_manifest("network", name, facts))
    if trained:
        write_rows(place / "history.parquet", epochs(name) if name != "svm" else [], EpochRow)
        if name == "svm":
            write_rows(place / "svm.parquet", svm(plan), SvmRow)
        write_json(place / "scores.json", scores(name, entry.fit, plan))
        write_table(place / "predictions.parquet", predictions(name, entry.fit, plan))


def svm(plan: Plan) -> list[SvmRow]:
    """A row a class; the last was not fitted."""
    *most, last = plan.classes
    found = [
        SvmRow(
            label=label,
            n=7,
            cost=10.0 ** (number - 2),
            cv_score=0.512,
            converged=number > 0,
            status="ok",
        )
        for number, label in enumerate(most)
    ]
    return [
        *found,
        SvmRow(
            label=last,
            n=0,
            cost=None,
            cv_score=None,
            converged=None,
            status=f"no picture shows it {SCRIPT}",
        ),
    ]


def epochs(name: str) -> list[EpochRow]:
    """Six epochs that begin to overfit after the fourth."""
    top = MAIN[name]
    return [
        EpochRow(
            epoch=epoch,
            train_loss=2.2 * 0.7**epoch,
            val_loss=1.1 + 0.05 * (epoch - 4) ** 2,
            val_score=top - 0.02 * abs(epoch - 4),
            head_lr=1e-2,
            backbone_lr=1e-3,
            best=epoch == 4,
        )
        for epoch in range(1, 7)
    ]


def scores(name: str, dataset: str, plan: Plan) -> Scores:
    """Scores around the number of the network, with intervals."""
    multi, value, n = dataset == "iconart", MAIN[name], len(scored_pictures(dataset, plan))
    chance = 1 / len(plan.classes)
    names = {"mAP": 1.0} if multi else {"top1": 1.0, "top3": 1.3, "top5": 1.45}
    several = {
        kind: Score(
            value=value * times,
            low=value * times - 0.0147,
            high=value * times + 0.0152,
            chance=chance,
            n=n,
            n_groups=None if multi else n // 2,
        )
        for kind, times in names.items()
    }
    classes = [
        ClassRow(
            label=label,
            n=n // len(plan.classes),
            precision=value,
            recall=value - 0.05,
            f1=value - 0.02,
            average_precision=value + 0.06,
            precision_at_20=value + 0.012 if multi else None,
        )
        for label in plan.classes[:-1]
    ] + [
        ClassRow(
            label=plan.classes[-1],
            n=0,
            precision=None,
            recall=None,
            f1=None,
            average_precision=None,
        )
    ]
    main = next(iter(names))
    confusion = None if multi else confusions(name, dataset, plan)
    groups = {} if multi else {
        "known": Score(value=value + 0.081, low=value + 0.05, high=value + 0.1, chance=0.4, n=3,
                       n_groups=2),
        "unknown": Score(value=value - 0.203, low=value - 0.25, high=value - 0.15, chance=0.5, n=2),
    }  # fmt: skip
    return Scores(
        dataset=dataset,
        split="test",
        multi_label=multi,
        main=main,
        scores=several,
        classes=classes,
        without_positives=[plan.classes[-1]],
        confusion=confusion,
        groups=groups,
    )


def confusions(name: str, dataset: str, plan: Plan) -> list[list[int]]:
    """What was taken for what, counted from the predictions."""
    found = np.zeros((len(plan.classes), len(plan.classes)), dtype=int)
    table = predictions(name, dataset, plan)
    named = table.filter(regex=r"(?s)^p\(").to_numpy().argmax(axis=1)
    for labels, column in zip(table["labels"], named, strict=True):
        found[plan.classes.index(labels[0]), column] += 1
    return found.tolist()


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


# --- several networks ---------------------------------------------------------------------------


def write_ensemble(folder: StudyFolder, name: str, plan: Plan) -> None:
    place = folder.ensemble(name)
    write_json(place / "manifest.json", the_manifest("ensemble", name, {"dataset": "rasta"}))
    write_json(place / "scores.json", scores(name, "rasta", plan))
    write_table(place / "predictions.parquet", predictions(name, "rasta", plan))


def repeats() -> dict:
    """The two repeated routes and how far they differ."""
    values = {name: [MAIN[name], MAIN[f"{name}.2"], MAIN[f"{name}.3"]] for name in ROUTES}
    spreads = {
        name: asdict(
            Spread(
                score="mAP",
                n=3,
                mean=float(np.mean(each)),
                deviation=float(np.std(each, ddof=1)),
                min=min(each),
                max=max(each),
                values=each,
            )
        )
        for name, each in values.items()
    }
    gap = spreads["double"]["mean"] - spreads["single"]["mean"]
    difference = asdict(
        RouteDifference(
            score="mAP",
            n_first=3,
            n_second=3,
            difference=gap,
            low=gap - 0.041,
            high=gap + 0.041,
            status="ok",
        )
    )
    told = {"first": "single", "second": "double", **difference}
    return {"spreads": spreads, "differences": [told]}


def findings() -> list[FindingRow]:
    """Every verdict, and a statement that nothing tests."""
    first = {"subject": "imagenet → fine_tuned", "before": "imagenet", "after": "fine_tuned"}
    second = {"subject": "fine_tuned → double", "before": "fine_tuned", "after": "double"}
    routes = {"subject": f"double against single {SCRIPT}", "before": "single", "after": "double"}
    nothing = dict.fromkeys(("value", "low", "high", "chance"))
    correlation = {"measured": "rank correlation", "chance": 0.0, "remark": ""}
    return [
        FindingRow(statement="layers", **first, verdict="yes", value=-0.93, low=-1.0, high=-0.71,
                   n=6, unit="pictures", **correlation),
        FindingRow(statement="layers", **second, verdict="undecided", value=-0.1, low=-0.4,
                   high=0.2, n=6, unit="pictures", **correlation),
        FindingRow(statement="classes", **first, verdict="no", value=0.3, low=0.2, high=0.4, n=48,
                   unit="channels", **correlation),
        FindingRow(statement="filters", **first, verdict="untested", measured="share", **nothing,
                   n=0, unit="channels", remark=f"no channel was tested {SCRIPT}"),
        FindingRow(statement="double", **routes, verdict="undecided",
                   measured="difference of mAP", value=0.021, low=-0.02, high=0.062, chance=0.0,
                   n=6, unit="trainings", remark=""),
    ]  # fmt: skip


ROUTES = ("single", "double")


def advice(plan: Plan) -> list[AdviceRow]:
    """A start that did well, one that could not be told, and one that the study has no more."""
    many = plan.pictures // 2
    return [
        AdviceRow(
            network="fine_tuned",
            dataset="iconart",
            split="train",
            n=many,
            logme=0.412,
            neighbour=0.377,
            low=0.31,
            high=0.44,
            chance=0.279,
            status="ok",
        ),
        AdviceRow(
            network="imagenet",
            dataset="iconart",
            split="train",
            n=many,
            logme=-0.113,
            neighbour=0.352,
            low=0.29,
            high=0.41,
            chance=0.279,
            status="ok",
        ),
        AdviceRow(
            network=SCRIPT,
            dataset="iconart",
            split="train",
            n=0,
            logme=None,
            neighbour=None,
            low=None,
            high=None,
            chance=None,
            status="too few pictures",
        ),
    ]


# --- comparisons -------------------------------------------------------------------------------


def write_comparison(folder: StudyFolder, before: str, after: str, plan: Plan) -> None:
    place, draw = folder.comparison(before, after), generator(0, "comparison", before, after)
    dataset = study(pairs=plan.pairs).all_networks[after].fit
    channels = [row for layer in plan.layers for row in channel_rows(draw, layer, plan)]
    layers, weights = layer_rows(draw, plan), weight_rows(draw, plan)
    if before == "fine_tuned":  # which was gone on from twice
        layers = [
            replace(
                row,
                cka_debiased_twins=(1 + row.cka_debiased) / 2,
                beside_luck=2.0,
                cka_permuted=0.31,
                dominant=f"{BREAKOUT} · test/0011.jpg · test/0017.jpg",
                cka_debiased_without=row.cka_debiased - 0.01,
                cka_debiased_partial=row.cka_debiased / 2,
            )
            for row in layers
        ]
        weights = [replace(row, l2_twins=row.l2 / 4, beside_luck=4.0) for row in weights]
        channels = [
            replace(row, overlap_twins=(1 + row.overlap) / 2, beside_luck=2.0) for row in channels
        ]
    write_rows(place / "layers.parquet", layers, LayerRow)
    write_rows(place / "weights.parquet", weights, WeightRow)
    write_rows(place / "spectra.parquet", spectrum_rows(weights), SpectrumRow)
    write_rows(place / "channels.parquet", channels, ChannelRow)
    write_rows(place / "matrix.parquet", matrix_rows(plan), MatrixRow)
    write_rows(place / "responses.parquet", response_rows(draw, plan), ResponseRow)
    alive = [row for row in channels if row.concentration is not None]
    best = sorted(alive, key=lambda row: -row.concentration)[: plan.shown]
    shown = [[row.layer, row.channel] for row in best]
    train = [row for row in pictures(dataset, plan) if row.split == "train" and row.status == "ok"]
    maximal = maximal_table(draw, channels, train, plan)
    write_table(place / "maximal.parquet", maximal)
    tested = scored_pictures(dataset, plan)
    write_rows(place / "plane.parquet", plane_rows(before, after, tested), PlaneRow)
    for key in {*maximal["digest"]} | {row.digest for row in tested}:
        write_texture(folder.thumbnail(dataset, key), int(key[:6], 16), (112, 84))
    for network in (before, after):
        write_renderings(folder, network, shown, plan)
    facts = {
        "dataset": dataset, "cka_split": "test", "maximal_split": "train",
        "n_cka": plan.pictures // 6, "n_maximal": len(train), "k": plan.k,
        "classes": len(plan.classes), "multi_label": dataset == "iconart", "shown": shown,
        "plane": {"layer_before": list(plan.layers)[-1], "layer_after": list(plan.layers)[-1],
                  "n": len(tested), "of": len(tested), "kept": 0.4, "chance": 0.05,
                  "trust_before": 0.912, "trust_after": 0.934},
        "duplicates": 2, "receptive_fields": dict.fromkeys(("before", "after"), sees(plan)),
    }  # fmt: skip
    write_json(place / "manifest.json", the_manifest("comparison", f"{before}--{after}", facts))
    write_causes(folder, before, after, plan)
    if before == "imagenet":
        write_gaze(folder, before, after, shown, train, plan)


def write_pairwise(folder: StudyFolder, plan_of: Study, plan: Plan) -> None:
    """All networks of RASTA with all but those that failed; no distance of those from scratch."""
    names = [name for name in plan_of.pairwise_on("rasta") if name not in FAILED]
    draw, n = generator(0, "pairwise"), len(scored_pictures("rasta", plan))
    rows = []
    for first, second in combinations(names, 2):
        cka, related = float(draw.uniform(0.2, 1)), plan_of.related(first, second)
        l2 = float(draw.uniform(0, 3)) if related else None
        rows.append(
            PairwiseRow(
                first=first,
                second=second,
                n_images=n,
                n_groups=None,
                layers=len(plan.layers),
                cka=cka,
                cka_low=cka - 0.02,
                cka_high=min(cka + 0.02, 1.0),
                cka_debiased=cka - 0.1,
                cka_debiased_low=cka - 0.13,
                cka_debiased_high=cka - 0.07,
                layers_changed=len(plan.layers) - (first == names[0]),
                cka_changed=cka - 0.01,
                cka_debiased_changed=cka - 0.11,
                kernels=57,
                l2=l2,
                kernels_moved=57,
                l2_moved=l2,
                status="ok",
            )
        )
    place = folder.pairwise("rasta")
    write_rows(place / "pairwise.parquet", rows, PairwiseRow)
    facts = {"dataset": "rasta", "split": "test", "n": n, "networks": names}
    write_json(place / "manifest.json", the_manifest("pairwise", "rasta", facts))


def write_gaze(
    folder: StudyFolder, before: str, after: str, shown: list, train: list[ImageRow], plan: Plan
) -> None:
    """Where two networks look, on two pictures; of the second the network before has the class."""
    place, dataset = folder.gaze(before, after), study(pairs=plan.pairs).all_networks[after].fit
    layers = list(dict.fromkeys(layer for layer, _ in shown))[:2]
    channel = dict(reversed(shown))
    picture_rows, tiles = [], []
    for number, row in enumerate((train[0], scored_pictures(dataset, plan)[0])):
        picture_rows.append(
            GazePictureRow(
                number=number,
                image=row.image,
                digest=row.digest,
                split=row.split,
                label=" · ".join(row.labels),
                chosen_for="unlike" if number else f"{layers[0]}:{channel[layers[0]]}",
                alike=0.25 if number else None,
                said_before=plan.classes[0],
                said_before_p=0.5,
                said_after=plan.classes[number],
                said_after_p=0.75,
                in_before=bool(number),
            )
        )

        def add(number: int = number, **told: object) -> None:
            tiles.append(GazeTileRow(picture=number, tile=len(tiles), **told))

        add(kind="picture")
        sides, at = ("before", "after"), {"row": 0.1, "column": 0.9}
        for layer in layers:
            for side, largest in zip(sides, (1.5, 2.25), strict=True):
                add(kind="heat", network=side, layer=layer, channel=channel[layer],
                    largest=largest, **at)  # fmt: skip
            for side in sides:
                add(kind="colours", network=side, layer=layer)
        for method, places in (("grad_cam", 49), ("integrated_gradients", 256)):
            for side in (*sides[not number :], "randomised"):
                random = side == "randomised"
                fine = method == "integrated_gradients" and not random
                add(kind=method, network=side, places=places, gap=0.012 if fine else None,
                    alike=0.4 if random else None, **at)  # fmt: skip
    write_rows(place / "pictures.parquet", picture_rows, GazePictureRow)
    write_rows(place / "tiles.parquet", tiles, GazeTileRow)
    colours = (7 * np.arange(len(tiles)) % 256).astype(np.uint8)[:, None, None, None]
    drawn = np.broadcast_to(colours, (len(tiles), TILE, TILE, 3))
    (place / "sheet.webp").write_bytes(sheet_of(drawn))
    facts = {
        "dataset": dataset, "tile": TILE, "across": ACROSS, "layers": layers,
        "agreement": dict.fromkeys(layers, 0.75), "shares": dict.fromkeys(layers, (0.5, 0.6)),
        "methods": ["grad_cam", "integrated_gradients"], "notes": [f"{SCRIPT} has no places."],
    }  # fmt: skip
    write_json(place / "manifest.json", the_manifest("gaze", f"{before}--{after}", facts))


def plane_rows(before: str, after: str, tested: list[ImageRow]) -> list[PlaneRow]:
    """The pictures in a cloud before, and by their classes after; who is near, by their order."""
    draw, names = generator(0, "plane", before, after), [row.image for row in tested]
    classes = sorted({row.labels[0] for row in tested})
    found = []
    for number, row in enumerate(tested):
        x, y = draw.normal(0, 0.7, 2).tolist()
        turn = 2 * np.pi * classes.index(row.labels[0]) / len(classes)
        near = [names[(number + step) % len(names)] for step in range(1, min(8, len(names)))]
        found.append(
            PlaneRow(
                image=row.image,
                x_before=x,
                y_before=y,
                x_after=float(np.cos(turn)) + 0.2 * x,
                y_after=float(np.sin(turn)) + 0.2 * y,
                kept=(number % 11) / 10,
                nearest_before=near[:6],
                nearest_after=near[1:7],
            )
        )
    return found


def write_causes(folder: StudyFolder, before: str, after: str, plan: Plan) -> None:
    """What was tried of a comparison; of a training from nothing there is no task to forget."""
    place, draw = folder.causes(before, after), generator(0, "causes", before, after)
    dataset = study(pairs=plan.pairs).all_networks[after].fit
    write_rows(place / "rewind.parquet", rewind_rows(draw, after, dataset, plan), RewindRow)
    n = len(scored_pictures(dataset, plan))
    write_rows(place / "between.parquet", way_rows(0.12, MAIN[after], n, plan), BetweenRow)
    facts = {"dataset": dataset, "score": "mAP" if dataset == "iconart" else "top1",
             "causes": ["rewind", "between"], "best_alpha": 0.9,
             "best": asdict(a_score(MAIN[after] + 0.004, n)),
             "best_gain": asdict(a_score(0.004, n))}  # fmt: skip
    if before == "fine_tuned":
        facts |= {"causes": ["rewind", "between", "forgetting"], "parent": before,
                  "parent_dataset": "rasta", "lost": asdict(a_score(0.28, n))}  # fmt: skip
        lost = way_rows(MAIN[before], MAIN[before] / 2, n, plan)
        write_rows(place / "forgetting.parquet", lost, BetweenRow)
    write_json(place / "manifest.json", the_manifest("causes", f"{before}--{after}", facts))
    concepts, images = concept_rows(draw, before, dataset, plan)
    write_rows(folder.concepts(before, after) / "concepts.parquet", concepts, ConceptRow)
    write_rows(folder.concepts(before, after) / "images.parquet", images, ConceptImageRow)
    told = {"dataset": dataset, "split": "test", "n": n, "of": n}
    if before == "fine_tuned":
        told["repeats"] = [["fine_tuned", "double.2"]]
    concepts_manifest = the_manifest("concepts", f"{before}--{after}", told)
    write_json(folder.concepts(before, after) / "manifest.json", concepts_manifest)
    for row in images:
        write_texture(folder.thumbnail(dataset, row.digest), int(row.digest[:6], 16), (112, 84))
    for network in (before, after):
        place = folder.probe(network, dataset)
        write_rows(place / "probe.parquet", probe_rows(network, n, plan), ProbeRow)
        told = {"dataset": dataset, "n_train": 24, "of_train": 24, "n": n}
        write_json(place / "manifest.json", the_manifest("probe", network, told))


def a_score(value: float, n: int) -> Score:
    """A difference of two scores."""
    return Score(value=value, low=value - 0.02, high=value + 0.02, chance=0.0, n=n)


def rewind_rows(draw: np.random.Generator, after: str, dataset: str, plan: Plan) -> list[RewindRow]:
    """The cost grows with depth; the first layer did not change."""
    n, found, last = len(scored_pictures(dataset, plan)), [], len(plan.layers) - 1
    for position, layer in enumerate(plan.layers):
        alone = 0.0 if position == 0 else 0.22 * (position / last) ** 3 + 0.02 * draw.random()
        costs = {
            "only": alone,
            "up_to": alone * 1.6,
            "from": 0.4 - 0.3 * position / last if position else 0.41,
        }
        for how, cost in costs.items():
            found.append(
                RewindRow(
                    layer=layer,
                    position=position,
                    how=how,
                    value=MAIN[after] - cost,
                    cost=cost,
                    low=cost - 0.06 * bool(cost),
                    high=cost + 0.06 * bool(cost),
                    loss=1.1 + 2 * cost,
                    n=n,
                    tensors=4 * bool(cost),
                    status="ok" if cost else "identical",
                    moved=0.04 * position,
                )
            )
    return found


def way_rows(start: float, end: float, n: int, plan: Plan) -> list[BetweenRow]:
    """From one score to another in an arc, thirteen places; half-way it stands 5 points below."""
    found = []
    for number in range(13):
        alpha = number / 10
        barrier = 0.2 * alpha * (1 - alpha)
        value = start + (end - start) * alpha - barrier
        found.append(
            BetweenRow(
                layer="",
                alpha=alpha,
                value=value,
                low=max(0.0, value - 0.05),
                high=value + 0.05,
                chance=1 / len(plan.classes),
                loss=2 - value,
                n=n,
            )
        )
    return found


def probe_rows(network: str, n: int, plan: Plan) -> list[ProbeRow]:
    """What was trained is readable earlier; neighbours know a little less than a linear probe."""
    gain = MAIN.get(network, 0.3)
    last = len(plan.layers) - 1
    return [
        ProbeRow(
            network=network,
            layer=layer,
            position=position,
            method=method,
            value=(value := 0.25 + times * gain * (position / last) ** (1.5 - gain)),
            low=value - 0.04,
            high=value + 0.04,
            chance=1 / len(plan.classes),
            n_train=24,
            n=n,
            status="ok",
        )
        for position, layer in enumerate(plan.layers)
        for method, times in (("linear", 1.0), ("neighbours", 0.8))
    ]


def concept_rows(
    draw: np.random.Generator, before: str, dataset: str, plan: Plan
) -> tuple[list[ConceptRow], list[ConceptImageRow]]:
    """Two groups of the last layers held together after, one before; the first is sure."""
    tested, concepts, images = scored_pictures(dataset, plan), [], []
    for position, layer in list(enumerate(plan.layers))[-4:]:
        for number, held_by in ((1, "after"), (2, "after"), (1, "before"), (2, "before")):
            gain = (0.31 - 0.1 * number) * (0.4 + position / len(plan.layers))
            held = {"before": 0.62, "after": 0.62, held_by: 0.62 + gain}
            members = [tested[place] for place in draw.permutation(len(tested))[:10]]
            label = plan.classes[int(draw.integers(len(plan.classes)))]
            concepts.append(
                ConceptRow(
                    layer=layer,
                    position=position,
                    held_by=held_by,
                    number=number,
                    n=len(members),
                    coherence_before=held["before"],
                    coherence_after=held["after"],
                    gain=gain,
                    low=gain - 0.08,
                    high=gain + 0.08,
                    p=10 ** (-20 * gain),
                    q=min(1.0, 10 ** (1 - 20 * gain)),
                    top_class=label,
                    top_share=0.75,
                    top_lift=3.0,
                    repeated=gain - 0.02 if before == "fine_tuned" else None,
                    luck=0.11 if before == "fine_tuned" else None,
                    beyond_luck=gain > 0.13 if before == "fine_tuned" else None,
                    top_group="Vermeer" if number == 1 else "",
                    top_group_share=0.4 if number == 1 else None,
                    top_group_lift=4.0 if number == 1 else None,
                )
            )
            images += [
                ConceptImageRow(
                    layer=layer,
                    held_by=held_by,
                    number=number,
                    rank=rank,
                    image=row.image,
                    digest=row.digest,
                    label=" · ".join(row.labels),
                )
                for rank, row in enumerate(members, start=1)
            ]
    return concepts, images


def sees(plan: Plan) -> dict:
    """What the positions of maps of 5 × 5 see, the deeper the more; of the last layer, all."""
    lines = {layer: [-8 * depth, 45, 40 * depth + 16] for depth, layer in enumerate(plan.layers)}
    layers = {layer: {"rows": line, "columns": line} for layer, line in list(lines.items())[:-1]}
    return {"size": 224, "resize": 224, "layers": layers}


def layer_rows(draw: np.random.Generator, plan: Plan) -> list[LayerRow]:
    found = []
    for position, (layer, channels) in enumerate(plan.layers.items()):
        cka = 1.0 if position == 0 else 0.995 - 0.62 * (position / len(plan.layers)) ** 1.6
        width = 0 if position == 0 else 0.01 + 0.02 * draw.random()
        low = cka - 0.04 * position / len(plan.layers)
        found.append(
            LayerRow(
                layer=layer,
                position=position,
                channels=channels,
                n_images=plan.pictures // 6,
                n_groups=plan.pictures // 12,
                reduction="mean",
                cka=cka,
                cka_low=cka - width,
                cka_high=min(1.0, cka + width),
                cka_debiased=low,
                cka_debiased_low=low - width,
                cka_debiased_high=min(1.0, low + width),
                status="ok",
                procrustes=(2 - 2 * cka) ** 0.5,
                mutual_neighbours=cka**3,
                mutual_neighbours_chance=0.02,
            )
        )
    return found


def matrix_rows(plan: Plan) -> list[MatrixRow]:
    """Layers that are the more alike the nearer they stand."""
    names, found = list(plan.layers), []
    for row, before in enumerate(names):
        for column, after in enumerate(names):
            cka = 0.98 * 0.8 ** (abs(row - column) + row / 4)
            found.append(
                MatrixRow(
                    layer_before=before,
                    layer_after=after,
                    cka=cka,
                    cka_debiased=cka - 0.02,
                    n_images=plan.pictures // 6,
                    reduction="mean",
                    status="ok",
                )
            )
    return found


def response_rows(draw: np.random.Generator, plan: Plan) -> list[ResponseRow]:
    """Two channels of each layer for each class."""
    return [
        ResponseRow(
            label=label,
            network=side,
            layer=layer,
            rank=rank,
            channel=int(draw.integers(channels)),
            mean_class=1.2,
            mean_all=0.3,
            response=0.9,
            standardised=float(draw.gamma(3, 0.3)) + (side == "after"),
            n=plan.pictures // 30,
        )
        for label in plan.classes
        for side in ("before", "after")
        for layer, channels in plan.layers.items()
        for rank in (1, 2)
    ]


def weight_rows(draw: np.random.Generator, plan: Plan) -> list[WeightRow]:
    found = []
    for position, (layer, channels) in enumerate(plan.layers.items()):
        l2 = 0.0 if position == 0 else 2 * position * (0.5 + draw.random())
        relative = l2 / 90
        found.append(
            WeightRow(
                layer=layer,
                position=position,
                parameters=channels * 900,
                l2=l2,
                l2_relative=relative,
                cosine=1 - relative / 2,
                status="ok" if l2 else "identical",
                **(directions(position, channels) if l2 else {}),
            )
        )
    return found


def directions(position: int, channels: int) -> dict:
    """The fewer the deeper the layer stands."""
    return {
        "directions": channels,
        "effective_rank": 1 + 0.8 * (channels - 1) / position,
        "effective_rank_chance": 1 + 0.9 * (channels - 1),
        "stable_rank": 1 + 0.2 * (channels - 1) / position,
        "first_ten": 1 - 0.5 / position,
        "first_ten_chance": min(1.0, 10 / channels),
        "intruders": max(position - 4, 0),
        "intruders_chance": 10.0,
    }


def spectrum_rows(weights: list[WeightRow]) -> list[SpectrumRow]:
    return [
        SpectrumRow(
            layer=row.layer,
            position=row.position,
            direction=direction,
            change=row.l2 * 0.9 ** ((direction - 1) * row.position),
            before=10 / direction,
        )
        for row in weights
        if row.directions
        for direction in range(1, min(row.directions, 64) + 1)
    ]


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
            ChannelRow(
                layer=layer,
                channel=channel,
                n_before=plan.k,
                n_after=plan.k - (channel == 1),
                overlap=overlap,
                overlap_chance=0.11,
                overlap_p=p,
                matched_channel=(channel + (depth > 0.5)) % plan.layers[layer],
                matched_correlation=1 - depth / 2,
                overlap_matched=(1 + overlap) / 2,
                entropy_before=before,
                entropy_after=after,
                entropy_chance=0.93,
                entropy_p_after=1e-3 ** (1 - after),
                concentration=before - after,
                specialised_p=1e-5 ** (before - after) / 2,
                specialised_q=1e-5 ** (before - after),
                gain_before=0.2,
                gain_after=0.4,
                top_class_before=leading[0],
                top_share_before=0.21,
                top_lift_before=1.7,
                top_class_after=leading[1],
                top_share_after=float(min(1, 1.1 - after)),
                top_lift_after=4.4,
                filter_change=float(draw.gamma(2, 0.1)),
                status="ok",
            )
        )
    lost = ("matched_channel", "matched_correlation", "overlap_matched", "entropy_after",
            "entropy_p_after", "concentration", "specialised_p", "specialised_q", "gain_after",
            "top_class_after", "top_share_after", "top_lift_after")  # fmt: skip
    dead = replace(found[0], **dict.fromkeys(lost), n_after=0, status="dead_after")
    return [dead, *found[1:]]


def maximal_table(
    draw: np.random.Generator, channels: list[ChannelRow], train: list[ImageRow], plan: Plan
) -> pd.DataFrame:
    """The maximal images of all channels; in a small study the hostile picture leads them all.

    By column: a large study has a million of them.
    """
    k, near = min(plan.k, len(train) - 1), 40
    sides = [(side, row) for row in channels for side in ("before", "after")
             if (side, row.status) != ("after", "dead_after")]  # fmt: skip
    begin = draw.integers(max(1, len(train) - near - k), size=len(channels))
    begin = dict(zip(((row.layer, row.channel) for row in channels), begin.tolist(), strict=True))
    chosen = []
    for _, row in sides:
        start = begin[row.layer, row.channel]
        window = np.arange(start, min(start + k + near, len(train)))
        found = draw.permutation(window[window > 0])[: k - (plan.k < 100)]
        chosen.append(found if plan.k >= 100 else np.array([0, *found]))
    counts, rows = [len(each) for each in chosen], np.concatenate(chosen)
    ranks = np.concatenate([np.arange(1, count + 1) for count in counts])
    of_row = {name: np.array([getattr(row, name) for row in train], object)
              for name in ("image", "digest")}  # fmt: skip
    labels = np.array([" · ".join(row.labels) for row in train], object)
    columns = {
        "layer": np.repeat([row.layer for _, row in sides], counts),
        "channel": np.repeat([row.channel for _, row in sides], counts),
        "network": np.repeat([side for side, _ in sides], counts),
        "rank": ranks,
        "image": of_row["image"][rows],
        "digest": of_row["digest"][rows],
        "label": labels[rows],
        "value": 9.0 - ranks / 10,
        "row": rows % 5,
        "column": (rows // 5 + ranks) % 5,
    }
    return pd.DataFrame(columns)[[each.name for each in fields(MaximalRow)]]


def write_renderings(folder: StudyFolder, network: str, shown: list, plan: Plan) -> None:
    place, told = folder.renderings(network), []
    for layer, channel in shown:
        seed = int(digest([network, layer, channel])[:6], 16)
        write_texture(place / layer / f"{channel}.png", seed, (plan.side, plan.side))
        status = "ok" if channel % 7 else "grey: the objective did not rise"
        told.append(
            RenderingRow(
                layer=layer,
                channel=channel,
                objective_start=0.12,
                objective_end=14.8,
                steps=512,
                size=plan.side,
                seed=seed,
                status=status,
            )
        )
    path = place / "renderings.parquet"
    if path.exists():
        told += read_rows(path, RenderingRow)
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
    Image.fromarray(pixels).save(path, optimize=True)


if __name__ == "__main__":
    many = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    # of four, one is of a training that failed
    write_study(Path(sys.argv[1]), replace(GALLERY, pairs=many + (many >= len(PAIRS))))
