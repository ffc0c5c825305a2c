"""Room: how much of a disk a run will need, told before hours are spent on what does not fit.

What lies in the folder already counts nothing, also where it will be made anew: that takes its
place. The figures per picture, channel and chart are measured on studies of all sizes; together
they are to be no less than what a run leaves, and no more than twice as much.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from overpaint.datasets.atelier import AtelierEntry
from overpaint.defaults import MOST_MAPPED, SHOWN_IMAGES
from overpaint.errors import MachineError
from overpaint.machine import free_at, in_bytes
from overpaint.run.comparisons import Needed, looked_at, reductions_of, splits_of
from overpaint.run.concepts import needed_by_concepts, pairs_with_concepts
from overpaint.run.extents import Extent, extents_of, lies_at, pictures_of
from overpaint.run.pairwise import needed_by_pairwise
from overpaint.run.probes import needed_by_probe, probed_networks
from overpaint.run.workspace import Workspace
from overpaint.study.causes import pairs_of_weights

NUMBER = 4
"""Bytes of a float32, which hardly lets itself be compressed."""

PLACE = 2
"""Bytes of a position in a map, compressed."""

FILE = 2048
"""Bytes that a file takes beside its own, half a block."""

ARRAY = 20_000
"""Bytes of the folders and the description of an array of features."""

PAINTED = 4_300
"""Bytes of a picture of the atelier's."""

THUMBNAIL = 2_600

ROW = 11
"""Bytes of a maximal image in a table."""

CHANNEL = 2_600
SHOWN = 20
"""Bytes of a channel on the page of its layer and in the script beside it, and of each of its
maximal images there."""

PLACED, MAPPED = 120, 450
"""Bytes of a picture in the table of a map, and on the map."""

PICTURED = 700
"""Bytes of a picture in the list of its dataset's, and in the script beside it."""

TRIED = 30_000
"""Bytes of the tables of what other weights would do in a pair."""

SVG = 32_000
"""Bytes of a chart."""

MARGIN = 1.15
"""Times what is reckoned that is asked for."""

WORTH_TELLING = 10**9
"""Bytes from which on a run says what it needs though that is there."""


def check_room(work: Workspace) -> None:
    """Refuse a run that needs more room than there is; a dry run says how much it would need.

    Raises MachineError, slug `no-space`.
    """
    if work.dry and not work.explain:
        return  # a look whether there is anything to do
    needs = room(work)
    need, free = sum(needs.values()), free_at(work.folder.root)
    if not need or free is None:
        return
    largest = ", ".join(f"{part} {in_bytes(size)}" for part, size in needs.most_common(4) if size)
    needed = f"about {in_bytes(need)} in {work.folder.root} ({largest})"
    if need > free and not work.dry:
        raise MachineError(
            "no-space",
            f"no room for this run: what is missing needs {needed}, and the disk has "
            f"{in_bytes(free)} left. Nothing was begun: make room, or name a folder on another "
            "disk with --out",
        )
    if work.dry or need > WORTH_TELLING:
        enough = "" if need <= free else ": NOT ENOUGH"
        work.progress.say(f"room  {needed}; {in_bytes(free)} are free{enough}")


def room(work: Workspace) -> Counter[str]:
    """The bytes that what is missing will take at most at one time, by kind.

    What cannot be known before, as of a network that cannot be had, is left out.
    """
    extents = extents_of(work)
    counts = {name: pictures_of(work, name) for name in work.study.datasets}
    needs = Counter[str]()
    for name, dataset in work.study.datasets.items():
        if isinstance(dataset, AtelierEntry) and not work.folder.dataset(name).exists():
            needs["datasets"] += sum(counts[name].values()) * (PAINTED + FILE)
        if dataset.cache and not (work.folder.dataset(name) / "decoded").exists():
            sides = {extent.resize for extent in extents.values()}
            decoded = sum(math.ceil(side * side * 3 * 1.3) for side in sides)
            needs["decoded pictures"] += sum(counts[name].values()) * decoded
    state = 0  # of the largest training, which is gone when it has ended
    for name, entry in work.study.all_networks.items():
        extent, training = extents.get(name), entry.training()
        if extent is None or lies_at(work.folder.network(name)):
            continue
        weights = extent.parameters * NUMBER + 20_000
        needs["networks"] += weights * (1 + entry.starts_random)
        if training is None or training.optimiser == "linear_svm":
            continue
        needs["networks"] += counts[str(entry.fit)]["test"] * 200
        moments = 1 if training.optimiser == "sgd" else 2
        copies = 2 + moments + (training.ema is not None)
        state = max(state, copies * weights * 2)  # the next is written beside the last
    needs.update(_of_features(work, extents, counts))
    needs.update(_of_pages(work, extents, counts))
    later = sum(size for part, size in needs.items() if part not in ("networks", "datasets"))
    needs["the state of a training"] = max(state - later, 0)
    return Counter({part: round(MARGIN * size) for part, size in needs.items()})


def _of_features(
    work: Workspace, extents: Mapping[str, Extent], counts: Mapping[str, Mapping[str, int]]
) -> Counter[str]:
    """The features that comparisons, probes and concepts need, by network and split."""
    reductions: dict[tuple[str, str, str], set[str]] = {}
    for name, (dataset, split), read in _needed(work):
        reductions.setdefault((name, dataset, split), set()).update(read)
    needs = Counter[str]()
    elsewhere = work.study.features is not None and work.study.features.store
    for (name, dataset, split), names in reductions.items():
        extent = extents.get(name.removesuffix(".init"))
        if extent is None or elsewhere or lies_at(work.folder.features(name, dataset, split)):
            continue
        pictures = counts[dataset][split]
        width = sum(extent.channels.values())
        of_picture = width * (NUMBER * ("mean" in names) + PLACE * ("argmax" in names))
        for reduction in names - {"mean", "argmax"}:
            of_picture += NUMBER * _width(work, name.removesuffix(".init"), reduction, width)
        of_arrays = ARRAY + FILE * (pictures // 256)
        needs["features"] += pictures * of_picture + of_arrays * len(names) * len(extent.channels)
    return needs


def _needed(work: Workspace) -> Iterator[Needed]:
    """The features that are needed by what does not lie in the folder."""
    for pair in work.study.compare:
        if not lies_at(work.folder.comparison(*pair.pair)):
            for on, read in zip(splits_of(work, pair), reductions_of(pair), strict=True):
                yield from ((name, on, read) for name in looked_at(work, pair))
    for name, dataset in probed_networks(work):
        if not lies_at(work.folder.probe(name, dataset)):
            yield from needed_by_probe(name, dataset)
    for pair in pairs_with_concepts(work):
        if not lies_at(work.folder.concepts(*pair.pair)):
            yield from needed_by_concepts(work, pair)
    for dataset in work.study.pairwise:
        if not lies_at(work.folder.pairwise(dataset)):
            yield from needed_by_pairwise(work, dataset)


def _of_pages(
    work: Workspace, extents: Mapping[str, Extent], counts: Mapping[str, Mapping[str, int]]
) -> Counter[str]:
    """Tables of comparisons, renderings, thumbnails and the site."""
    needs, study, folder = Counter[str](), work.study, work.folder
    has_site = folder.site_state.exists()
    of_site = 0 if has_site else 700_000
    trained = [name for name, entry in study.all_networks.items() if entry.fit]
    charts = 0 if has_site else 2 * len(trained) + 3 * len(study.datasets) + 2
    pictures_of: Counter[str] = Counter()  # dataset -> pictures
    mapped_of: Counter[str] = Counter()  # likewise, of those on maps
    for pair in study.compare:
        before, after = (extents.get(name.removesuffix(".init")) for name in pair.pair)
        lies = lies_at(folder.comparison(*pair.pair))
        if before is None or after is None or (lies and has_site):
            continue
        _, (dataset, split) = splits_of(work, pair)
        channels = {
            layer: max(width, after.channels[layer])
            for layer, width in before.channels.items()
            if layer in after.channels
        }
        width, images = sum(channels.values()), min(study.maximal_images, counts[dataset][split])
        (on, compared), _ = splits_of(work, pair)
        mapped = min(counts[on][compared], MOST_MAPPED)
        mapped_of[dataset] = max(mapped_of[dataset], mapped)
        if not lies:
            needs["comparisons"] += width * (300 + 2 * images * ROW) + 40_000
            needs["comparisons"] += mapped * PLACED
        of_site += mapped * MAPPED
        of_site += width * (CHANNEL + SHOWN * 2 * min(images, SHOWN_IMAGES))
        of_site += len(channels) * 20_000
        charts += 10
        pictures_of[dataset] = max(
            pictures_of[dataset], min(2 * width * images, counts[dataset][split])
        )
        if study.render and not lies:
            drawn = sum(
                _drawn(study.render.channels, layer, channels.get(layer, 0))
                for layer in study.render.layers
            )
            picture = study.render.size**2 * 3 + 1_500 + FILE
            needs["renderings"] += drawn * picture * (4 if study.render.together else 2)
    if study.causes:  # where nothing is said, they are looked for beside large trainings alone
        lacking = [pair for pair in pairs_of_weights(study) if not lies_at(folder.causes(*pair))]
        needs["causes"] = TRIED * len(lacking)
    for dataset, pictures in pictures_of.items():
        if not folder.thumbnails(dataset).exists():
            of_test = max(mapped_of[dataset], min(counts[dataset]["test"], 60 * len(trained)))
            needs["thumbnails"] += (pictures + of_test) * (THUMBNAIL + FILE)
    of_site += charts * SVG + (pictures_of.total() + mapped_of.total()) * PICTURED
    needs["the report"] = of_site + needs["renderings"] + needs["thumbnails"]
    return needs


def _drawn(channels: "str | Iterable[int | str]", layer: str, width: int) -> int:
    """How many channels of a layer are drawn of a pair."""
    if isinstance(channels, str):
        count = channels.rstrip(")").partition("(")[2]
        return min(int(count), width) if count else width
    return sum(isinstance(unit, int) or unit.rpartition(":")[0] == layer for unit in channels)


def _width(work: Workspace, name: str, reduction: str, channels: int) -> int:
    """Numbers of a picture that a reduction leaves of all layers of a network."""
    import torch

    from overpaint.networks import open_network
    from overpaint.networks.taps import reduction_of, taps

    place = work.folder.network(name)
    entry = work.study.all_networks[name]
    network = work.started.get(name) or (
        open_network(place, code=work.code) if lies_at(place) else None
    )
    if network is None and entry.parent:
        return _width(work, entry.parent, reduction, channels)
    if network is None:
        return channels * 100
    side = network.preprocessing.size
    with (
        torch.inference_mode(),
        taps(network, network.layers, reduction=reduction_of(reduction)) as tap,
    ):
        return sum(values.shape[1] for values in tap(torch.zeros(1, 3, side, side)).values())
