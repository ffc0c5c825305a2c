"""Features: one pass over a split, and what each layer of one network or several said of it.

One Zarr group a network and split. In it, for each layer, an array `mean` float32 [N, C], rows in
the order of the dataset; on request `max` and `argmax` (int32, the position in the flat map), and
for a second look at CKA `flattened` and `sampled`. Beside them `images` holds ids, digests and
labels, so that the group can be read on its own. Nearly every measure is a pure function of these.

    features/tuned/rasta-test.zarr/mixed4d/mean     an array; its attributes tell the map's size
                                  /images/digest
                                  /manifest.json    which arrays are whole

The group grows in blocks of rows, by as many processes as run: who claims a block computes it. A
chunk is there whole or not at all, and one that is there is never computed again.
"""

import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import tee
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from numpy.typing import NDArray
from torch import Tensor
from zarr.errors import ContainsArrayError

from overpaint.datasets import Split
from overpaint.device import device_of, exact, on_best_device
from overpaint.errors import RecordError, nearest
from overpaint.networks import Network
from overpaint.networks.taps import Reduction, Tap, map_size, reduction_of, taps
from overpaint.pixels.batches import as_float, batches, in_order, pixels_of, view_of
from overpaint.records import (
    FeaturesFacts,
    Manifest,
    digest,
    new_folder,
    read_json,
    with_facts,
    write_manifest,
)
from overpaint.records.claims import Claims

BATCH = 32
BLOCK = 256
"""Images that are claimed, computed and written together; as many whole batches as fit."""

COLUMNS = 1 << 14
"""Columns in a chunk at most. Wider arrays, of flattened maps, have a batch of rows in a chunk."""

WAIT = 0.2
"""Seconds between two looks at what other processes are still at."""

Values = dict[str, NDArray[Any]]
"""What a network says of a batch: "layer/reduction" -> an array with a row an image."""


# --- one pass --------------------------------------------------------------------------------


def run_over(
    networks: Sequence[tuple[Network, Sequence[str]]],
    split: Split,
    order: Iterable[Sequence[int]],
) -> Iterator[tuple[Sequence[int], list[Values]]]:
    """What the layers of several networks say of a split: for each batch its rows and values.

    For each network the names of arrays, as "mixed4d/mean". Each picture is decoded once for all
    networks that want it in one size, however many layers are read.
    """
    views = list(dict.fromkeys(view_of(network.preprocessing) for network, _ in networks))
    pixels = [pixels_of(split, view) for view in views]
    for source in pixels:
        source.draw(None, crop=False, flip=False)
        if split.cache:
            source.keep()
    order, *orders = tee(order, 1 + len(views))
    streams = [batches(source, rows) for source, rows in zip(pixels, orders, strict=True)]
    owners = [network for network, _ in networks]
    with on_best_device(*owners, channels_last=True) as device, ExitStack() as stack:
        tapped = []
        for network, arrays in networks:
            reductions = _by_layer(arrays)
            tap = stack.enter_context(taps(network, list(reductions), reduction=reductions))
            tapped.append((tap, view_of(network.preprocessing)))
        for *pictures, rows in zip(*streams, order, strict=True):
            images = {
                view: as_float(batch, device) for view, batch in zip(views, pictures, strict=True)
            }
            yield rows, [_values(tap, images[view]) for tap, view in tapped]


def _by_layer(arrays: Iterable[str]) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
    """For each layer, what all its arrays are made of, named by array."""
    by_layer: dict[str, dict[str, Reduction]] = defaultdict(dict)
    for name in arrays:
        layer, _, reduction = name.rpartition("/")
        by_layer[layer][name] = reduction_of(reduction)

    def reduced(reductions: Mapping[str, Reduction], activation: Tensor) -> dict[str, Tensor]:
        return {name: reduction(activation) for name, reduction in reductions.items()}

    return {layer: partial(reduced, reductions) for layer, reductions in by_layer.items()}


def _values(tap: Tap[dict[str, Tensor]], images: Tensor) -> Values:
    """One batch through one network, in full float32 and by the same algorithms each time."""
    with torch.inference_mode(), exact():
        layers = tap(images).values()
    return {
        name: (values.float() if values.is_floating_point() else values).cpu().numpy()
        for arrays in layers
        for name, values in arrays.items()
    }


def features_of(
    networks: Sequence[tuple[Network, Sequence[str]]], split: Split, reduction: str = "mean"
) -> list[dict[str, NDArray[Any]]]:
    """For each network and its layers the features [N, C] by layer, in memory, in one pass."""
    arrays = [
        (network, [f"{layer}/{reduction}" for layer in layers]) for network, layers in networks
    ]
    parts = [values for _, values in run_over(arrays, split, in_order(len(split), BATCH))]
    return [
        {
            layer: np.concatenate([part[number][f"{layer}/{reduction}"] for part in parts])
            for layer in layers
        }
        for number, (_, layers) in enumerate(networks)
    ]


# --- kept on disk ----------------------------------------------------------------------------


@dataclass(frozen=True)
class FeatureRequest:
    """Features to have of a network on a split: arrays ("mixed4d/mean") in the group at `path`.

    The manifest holds weights, pictures and settings by digest; a group of others is refused.
    """

    network: Network
    path: Path
    arrays: Sequence[str]
    manifest: Manifest


Work = tuple[tuple[str, ...], ...]
"""What a block lacks: for each network, the names of arrays."""


def store_features(
    requests: Sequence[FeatureRequest],
    split: Split,
    *,
    claims: Path,
    batch: int = BATCH,
    progress: Callable[[int, int], None] | None = None,
) -> list[Counter[str]]:
    """Have features of several networks on a split, computing in one pass what is not there.

    Any number of processes may do this at once, with one folder for their claims; each returns when
    everything is there. One batch size gives the same bytes, whoever writes them and in whatever
    order; another one may differ in the last digit, and is refused for a group that was begun.

    Returns, for each network, the layers that gave NaN or infinity here, and of how many images:
    they are stored as they are. Raises RecordError for a group that was made from other weights,
    pictures or settings; nothing is written then.
    """
    shelves = [_Shelf(request, split, batch) for request in requests]
    for shelf in shelves:
        shelf.check()
    for shelf in shelves:
        shelf.open()
    odd: list[Counter[str]] = [Counter() for _ in requests]
    tell = progress or (lambda *_: None)
    while gaps := _gaps(shelves):
        missing = sum(len(shelves[0].rows(start)) for starts in gaps.values() for start in starts)
        tell(len(split) - missing, len(split))
        with Claims(claims) as held:
            blocks = sum(
                _fill(shelves, work, starts, claims=held, odd=odd, tell=tell)
                for work, starts in gaps.items()
            )
        if not blocks:
            time.sleep(WAIT)  # the rest is claimed by others, who finish it or let it go
    for shelf in shelves:
        shelf.finish()
    return odd


def _gaps(shelves: "Sequence[_Shelf]") -> dict[Work, list[int]]:
    """The blocks that lack anything, by what they lack."""
    gaps: dict[Work, list[int]] = defaultdict(list)
    for start in range(0, len(shelves[0].split), shelves[0].block):
        lack = tuple(shelf.lacks(start) for shelf in shelves)
        if any(lack):
            gaps[lack].append(start)
    return gaps


def _fill(
    shelves: "Sequence[_Shelf]",
    work: Work,
    starts: Sequence[int],
    *,
    claims: Claims,
    odd: Sequence[Counter[str]],
    tell: Callable[[int, int], None],
) -> int:
    """Compute the blocks that nobody else has claimed; returns how many."""
    busy = [number for number, names in enumerate(work) if names]
    count, step = len(shelves[0].split), shelves[0].batch
    done = count - sum(len(shelves[0].rows(start)) for start in starts)
    blocks = 0

    def claimed() -> Iterator[Sequence[int]]:
        # The batches ahead of the network pull this, so a block is claimed while the one before
        # it is still computed, and decoding never pauses.
        for start in starts:
            if not claims.take(str(start)):
                continue
            if tuple(shelf.lacks(start) for shelf in shelves) == work:
                rows = shelves[0].rows(start)
                yield from (rows[first : first + step] for first in range(0, len(rows), step))
            else:
                claims.release(str(start))

    networks = [(shelves[number].request.network, work[number]) for number in busy]
    for rows, batch in run_over(networks, shelves[0].split, claimed()):
        for number, arrays in zip(busy, batch, strict=True):
            shelves[number].add(rows[0], arrays)
            # The layers whose values are no numbers, and in how many images.
            lost: Counter[str] = Counter()
            for name, values in arrays.items():
                images = int(np.count_nonzero(~np.isfinite(values).all(axis=1)))
                lost |= Counter({name.rpartition("/")[0]: images})
            odd[number].update(lost)
        done += len(rows)
        tell(done, count)
        if rows[-1] + 1 == count or (rows[-1] + 1) % shelves[0].block == 0:
            start = rows[0] // shelves[0].block * shelves[0].block
            assert not any(shelf.lacks(start) for shelf in shelves), "a written chunk is not there"
            claims.release(str(start))
            blocks += 1
    return blocks


class _Shelf:
    """The group of one network while it fills."""

    def __init__(self, request: FeatureRequest, split: Split, batch: int) -> None:
        self.request, self.split, self.batch = request, split, batch
        self.block = max(BLOCK // batch, 1) * batch
        self.made_from = _made_from(request.manifest) | {"batch": batch}
        self.arrays: dict[str, zarr.Array[Any]] = {}
        self.waiting: dict[str, list[NDArray[Any]]] = defaultdict(list)

    def rows(self, start: int) -> range:
        """The rows of the block that begins at `start`."""
        return range(start, min(start + self.block, len(self.split)))

    def check(self) -> None:
        """Refuse a group that is there but was made from something else."""
        path = self.request.path
        if not path.exists():
            return
        there = made_from(path)
        names = {**there, **self.made_from}
        differ = [name for name in names if there.get(name) != self.made_from.get(name)]
        if differ:
            raise RecordError(
                "foreign-features",
                f"{path} holds other features than those wanted: they differ in "
                f"{' and '.join(differ)}; nothing was written: remove the "
                "folder, or choose another",
            )

    def open(self) -> None:
        """Open the group, or begin it; the arrays that it lacks are there afterwards, empty."""
        path = self.request.path
        if not path.exists():
            with new_folder(path) as draft:
                group = zarr.open_group(draft, mode="w")
                columns = {
                    "image": self.split.images,
                    "digest": [picture.digest for picture in self.split.pictures],
                    "labels": ["|".join(picture.labels) for picture in self.split.pictures],
                }
                for column, values in columns.items():
                    strings = np.array(values, dtype=np.dtypes.StringDType())
                    group.create_array(f"{IMAGES}/{column}", data=strings)
                group.attrs.put({"made_from": self.made_from})
            self.check()  # another process may have begun it in the meantime
        group = zarr.open_group(path, mode="r+")
        missing = [name for name in self.request.arrays if name not in group]
        for name, (width, dtype, attributes) in _forms(self.request.network, missing).items():
            rows = self.block if width <= COLUMNS else self.batch
            try:
                group.create_array(
                    name,
                    shape=(len(self.split), width),
                    chunks=(min(rows, len(self.split)), min(width, COLUMNS)),
                    dtype=dtype,
                    # what was never written is no number, and a chunk of zeros is a chunk
                    fill_value=-1 if dtype == "i4" else float("nan"),
                    attributes=attributes,
                )
            except ContainsArrayError:
                continue  # the other process
        self.arrays = {
            name: _array(group, name).with_config({"write_empty_chunks": True})
            for name in self.request.arrays
        }

    def lacks(self, start: int) -> tuple[str, ...]:
        """The arrays that lack any chunk of a block."""
        return tuple(
            name
            for name, array in self.arrays.items()
            if not all(_is_there(self.request.path, array, self.rows(start)))
        )

    def add(self, start: int, arrays: Values) -> None:
        """Take the values of the rows that begin at `start`; write the chunks that they complete.

        The rows of a block come in order.
        """
        for name, values in arrays.items():
            array, end = self.arrays[name], start + len(values)
            self.waiting[name].append(values)
            if end % array.chunks[0] == 0 or end == len(self.split):
                whole = np.concatenate(self.waiting.pop(name))
                array[end - len(whole) : end] = whole

    def finish(self) -> None:
        """Write the manifest: which arrays are whole."""
        path = self.request.path
        group = zarr.open_group(path, mode="r")
        arrays = [name for name in _names(path) if _is_whole(path, _array(group, name))]
        write_manifest(path, with_facts(self.request.manifest, FeaturesFacts(arrays=arrays)))


IMAGES = "images"


def _made_from(manifest: Manifest) -> dict[str, Any]:
    """Inputs and settings of a manifest, each by name, as JSON gives them back.

    The version of features is among them from 2 on, so that groups from before there were versions
    can still be read.
    """
    parts = {**manifest.inputs, **manifest.settings}
    if (manifest.version or 1) > 1:
        parts["version"] = str(manifest.version)
    return {name: part if isinstance(part, str) else digest(part) for name, part in parts.items()}


def discard_foreign(path: Path, manifest: Manifest) -> bool:
    """Remove a group that was made from something else than this manifest says; whether it was."""
    if not path.exists():
        return False
    parts = _made_from(manifest)
    if (path / "zarr.json").is_file() and parts.items() <= made_from(path).items():
        return False
    shutil.rmtree(path)
    return True


def made_from(path: Path) -> dict[str, Any]:
    """What a group was begun for: digests of weights, images and settings; none of a stranger."""
    attributes = read_json(path / "zarr.json").get("attributes", {})
    return dict(attributes.get("made_from", {}))


def _forms(network: Network, arrays: Sequence[str]) -> dict[str, tuple[int, str, dict[str, Any]]]:
    """For each array the width, type and attributes that a black picture's forward tells."""
    if not arrays:
        return {}
    size = network.preprocessing.size
    layers = list(_by_layer(arrays))
    with torch.inference_mode(), taps(network, layers, reduction=torch.clone) as tap:
        maps = tap(torch.zeros(1, 3, size, size, device=device_of(network)))
    forms = {}
    for name in arrays:
        layer, _, reduction = name.rpartition("/")
        values = reduction_of(reduction)(maps[layer])
        height, width = map_size(maps[layer])
        dtype = "f4" if values.is_floating_point() else "i4"
        forms[name] = (values.shape[1], dtype, {"height": height, "width": width})
    return forms


def _array(group: zarr.Group, name: str) -> "zarr.Array[Any]":
    array = group[name]
    assert isinstance(array, zarr.Array)
    return array


def _names(path: Path) -> list[str]:
    """The arrays of a group, whole or not; zarr would warn of the manifest."""
    arrays = (file.parent for file in path.glob("*/*/zarr.json"))
    return sorted(
        f"{array.parent.name}/{array.name}" for array in arrays if array.parent.name != IMAGES
    )


def _is_there(path: Path, array: "zarr.Array[Any]", rows: range) -> Iterator[bool]:
    """Of each chunk that holds some of the rows, whether it is there."""
    height, width = array.chunks
    for number in range(rows.start // height, -(-rows.stop // height)):
        for column in range(-(-array.shape[1] // width)):
            key = array.metadata.encode_chunk_key((number, column))
            yield (path / array.path / key).is_file()


def _is_whole(path: Path, array: "zarr.Array[Any]") -> bool:
    return all(_is_there(path, array, range(array.shape[0])))


# --- read again ------------------------------------------------------------------------------


def stored(path: Path, layer: str, reduction: str = "mean") -> "zarr.Array[Any]":
    """The array [N, columns] of one layer in the group at `path`, to be read in slices.

    >>> maps = stored(path, "mixed4d", "flattened")                     # doctest: +SKIP
    >>> maps[:64], maps[:, 100:164]                                     # doctest: +SKIP

    `.shape` and `.dtype` are an array's; its attributes "height" and "width" are those of the
    layer's map, for which a position of `argmax` is row × width + column. Only the chunks that a
    slice touches are read. Raises RecordError for a missing group, a layer or reduction that was
    not stored, and an array that is not whole yet.
    """
    try:
        group = zarr.open_group(path, mode="r")
    except (FileNotFoundError, KeyError, ValueError):
        raise RecordError("missing-record", f"{path} is missing: run the study first") from None
    name = f"{layer}/{reduction}"
    if name not in group:
        raise RecordError(
            "missing-layer", f"{path} holds no {name!r}; {nearest(name, _names(path))}"
        )
    array = _array(group, name)
    if not _is_whole(path, array):
        raise RecordError(
            "unfinished-features", f"{path} holds only a part of {name}: run the study again"
        )
    return array


def read_features(path: Path, layer: str, reduction: str = "mean") -> NDArray[Any]:
    """The features [N, C] of one layer, in memory; errors as `stored`."""
    return np.asarray(stored(path, layer, reduction))
