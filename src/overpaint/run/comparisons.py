"""The comparisons of a study: the features that they lack, then their tables."""

from collections.abc import Iterable, Iterator
from dataclasses import astuple
from functools import partial
from typing import TYPE_CHECKING

from overpaint.datasets import Split
from overpaint.findings import ancestors, twins
from overpaint.records import (
    ChannelRow,
    ComparisonFacts,
    LayerRow,
    Manifest,
    MatrixRow,
    MaximalRow,
    PictureRow,
    PlaneRow,
    ReceptiveFields,
    ResponseRow,
    SpectrumRow,
    WeightRow,
    column_kinds,
    digest,
    manifest,
    read_rows,
    whole_folder,
    with_facts,
    write_manifest,
    write_table,
)
from overpaint.run.channel_choice import choose_channels
from overpaint.run.features import (
    arrays_of,
    damaged_features,
    keep_arrays,
    keep_features,
    wanted_features,
)
from overpaint.run.workspace import Workspace
from overpaint.study import Pair

if TYPE_CHECKING:
    from overpaint.comparison import Comparison
    from overpaint.networks import Network

TABLES: dict[str, type] = {
    "layers": LayerRow,
    "matrix": MatrixRow,
    "weights": WeightRow,
    "spectra": SpectrumRow,
    "channels": ChannelRow,
    "maximal": MaximalRow,
    "responses": ResponseRow,
    "pictures": PictureRow,
    "plane": PlaneRow,
}
"""The tables of a comparison and their rows."""


def compared_pairs(work: Workspace) -> list[Pair]:
    """The pairs whose networks are both there."""
    return [pair for pair in work.study.compare if not any(map(work.has_failed, pair.pair))]


def twin_of(work: Workspace, pair: Pair) -> str | None:
    """Another training of the route of a network that is compared with one that it came from: by
    what the two differ, luck is told. None where it was trained once.
    """
    study = work.study
    if pair.before not in ancestors(study, pair.after):
        return None
    return next(
        (
            name
            for name in study.all_networks
            if twins(study, pair.after, name) and not work.has_failed(name)
        ),
        None,
    )


def looked_at(work: Workspace, pair: Pair) -> list[str]:
    """The networks whose features a comparison reads: the pair, and a twin of the second."""
    twin = twin_of(work, pair)
    return [*pair.pair, *([twin] if twin else [])]


def splits_of(work: Workspace, pair: Pair) -> tuple[tuple[str, str], tuple[str, str]]:
    """Dataset and split for CKA, and those for maximal images."""
    dataset = work.study.dataset_of(pair)
    assert dataset is not None
    if pair.on:
        split = pair.on.split("/")[1]
        return (dataset, split), (dataset, split)
    return (dataset, "test"), (dataset, "train")


def reductions_of(pair: Pair) -> tuple[list[str], list[str]]:
    """What is read of the maps on the split for CKA, and on that for maximal images."""
    return [pair.reduction], ["mean", "argmax"]


Needed = tuple[str, tuple[str, str], list[str]]
"""Features: of a network, on a dataset's split, by these reductions."""


def keep_compared_features(work: Workspace, also: Iterable[Needed] = ()) -> None:
    """Have the features that the missing comparisons need, and those that the folder has whole: one
    pass over each split for all networks. `also`: what else is needed.
    """
    arrays = damaged_features(work)
    if work.dry:
        for on, by_network in arrays.items():
            for name in by_network:
                work.must_make(work.folder.features(name, *on), wanted_features(work, name, *on))
        arrays = {}
    for name, on, reductions in [*_features_of_comparisons(work), *also]:
        if work.dry:
            work.must_make(work.folder.features(name, *on), wanted_features(work, name, *on))
            continue
        of_network = arrays.setdefault(on, {}).setdefault(name, set())
        of_network.update(arrays_of(work, name, reductions=reductions))
    for on, by_network in arrays.items():
        keep_arrays(work, by_network, work.split(*on))


def _features_of_comparisons(work: Workspace) -> Iterator[Needed]:
    """What the missing comparisons need."""
    for pair in compared_pairs(work):
        place = work.folder.comparison(*pair.pair)
        is_there = not work.reasons(place, wanted_comparison(work, pair))
        for on, reductions in zip(splits_of(work, pair), reductions_of(pair), strict=True):
            for name in looked_at(work, pair):
                path = work.folder.features(name, *on)
                # A group without a manifest is unfinished; one that is gone nobody misses.
                if not (is_there and (work.is_there(path) or not path.exists())):
                    yield name, on, reductions


def wanted_comparison(work: Workspace, pair: Pair) -> Manifest:
    """What the comparison of a pair would be made from now."""
    (cka, maximal), render = splits_of(work, pair), work.study.render
    inputs = {
        "before": work.weights_digest(pair.before),
        "after": work.weights_digest(pair.after),
        "cka images": work.split_digest(*cka),
        "maximal images": work.split_digest(*maximal),
    }
    networks = looked_at(work, pair)
    if len(networks) > len(pair.pair):
        inputs["twin"] = work.weights_digest(networks[-1])
    for side, name in zip(("before", "after", "twin"), networks, strict=False):
        for on in dict.fromkeys((cka, maximal)):
            key = wanted_features(work, name, *on).key
            inputs[f"features of {side} on {'/'.join(on)}"] = key
    return manifest(
        "comparison",
        inputs=inputs | work.groups_of(*cka),
        settings={
            "k": work.study.maximal_images,
            "render": {"layers": render.layers, "channels": render.channels} if render else {},
            "reduction": pair.reduction,
            "related": work.study.related(*pair.pair),
            # A column that is added or renamed reaches the folders that exist.
            "columns": digest({name: list(column_kinds(row)) for name, row in TABLES.items()}),
        },
        defaults={"reduction": "mean"},
        seed=work.study.seed,
    )


def keep_comparison(work: Workspace, pair: Pair) -> None:
    """Compare a pair, unless the folder has the comparison."""
    wanted = wanted_comparison(work, pair)
    work.keep(work.folder.comparison(*pair.pair), wanted, lambda: _compare(work, pair, wanted))


def _compare(work: Workspace, pair: Pair, wanted: Manifest) -> None:
    from overpaint.comparison import Stored, tables
    from overpaint.comparison.luck import with_luck

    cka_split, maximal_split = (work.split(*on) for on in splits_of(work, pair))
    on_cka, on_maximal = (
        keep_features(work, looked_at(work, pair), split, reductions=reductions)
        for split, reductions in zip((cka_split, maximal_split), reductions_of(pair), strict=True)
    )
    with work.progress.stage(f"compare {pair.before} with {pair.after}") as advance:
        before, after, *others = (
            Stored(
                work.opened(name),
                cka=on_cka[name],
                maximal=on_maximal[name],
                reduction=pair.reduction,
            )
            for name in looked_at(work, pair)
        )
        compared = partial(
            tables,
            split=maximal_split,
            k=work.study.maximal_images,
            compared=cka_split,
            seed=work.study.seed,
        )
        related = work.study.related(*pair.pair)
        made = compared(before, after, related=related, progress=advance)
        for twin in others:
            made = with_luck(made, compared(after, twin, mapped=False))
        write_comparison(work, pair, made, cka_split, maximal_split, wanted)


def write_comparison(
    work: Workspace,
    pair: Pair,
    made: "Comparison",
    cka_split: Split,
    maximal_split: Split,
    wanted: Manifest,
) -> None:
    """Write the tables of a pair, with what its pages need to know."""
    with whole_folder(work.folder.comparison(*pair.pair)) as draft:
        for name in TABLES:
            write_table(draft / f"{name}.parquet", getattr(made, name))
        render, layers = work.study.render, work.network_facts(pair.after).layers
        facts = ComparisonFacts(
            dataset=maximal_split.dataset,
            cka_split=cka_split.name,
            maximal_split=maximal_split.name,
            n_cka=len(cka_split),
            n_maximal=len(maximal_split) - made.duplicates,
            duplicates=made.duplicates,
            k=work.study.maximal_images,
            classes=len(maximal_split.classes),
            multi_label=maximal_split.multi_label,
            notes=[*made.notes, *_said_of_precision(work.study.precision)],
            shown=choose_channels(
                read_rows(draft / "channels.parquet", ChannelRow),
                [layer for layer in render.layers if layer in layers] if render else [],
                render.channels if render else [],
            ),
            receptive_fields={
                side: receptive_fields_of(work.opened(name))
                for side, name in zip(("before", "after"), pair.pair, strict=True)
            },
            plane=made.plane_facts,
        )
        write_manifest(draft, with_facts(wanted, facts))


def _said_of_precision(precision: str) -> list[str]:
    usual = precision == "float32"
    return [] if usual else [f"The features were computed in {precision}, not in float32."]


def receptive_fields_of(network: "Network") -> ReceptiveFields:
    """What the positions of each layer see of a picture, and how much the network is shown."""
    from overpaint.networks.receptive_fields import receptive_fields

    return ReceptiveFields(
        size=network.preprocessing.size,
        resize=network.preprocessing.resize,
        crop_mode=network.preprocessing.crop_mode,
        layers={
            layer: {"rows": astuple(field.rows), "columns": astuple(field.columns)}
            for layer, field in receptive_fields(network, network.layers).items()
            if not field.whole
        },
    )
