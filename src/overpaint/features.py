"""Features: one pass over a split, and what each layer of one network or several said of it.

One Zarr group a network and split. In it, for each layer, an array `mean` float32 [N, C], rows in
the order of the dataset; on request `max` and `argmax` (int32, the position in the flat map), and
for a second look at CKA `flattened` and `sampled`. Beside them `images` holds ids, digests and
labels, so that the group can be read on its own. Nearly every measure is a pure function of these.

    features/tuned/rasta-test.zarr/mixed4d/mean     an array; its attributes tell the map's size
                                  /images/digest
                                  /manifest.json    which arrays are whole

The group grows in blocks of rows, by as many processes as run: who claims a block computes it. A
chunk is there whole or not at all, and one that is there is never computed again. What all layers
of all networks say of a batch comes from the device as one tensor, while the next batch runs, and
a thread of its own writes it.
"""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
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

from overpaint.apart import CHUNKS, chunks_of, open_group
from overpaint.datasets import Split
from overpaint.datasets.remote import RemoteFolder
from overpaint.device import (
    PRECISIONS,
    SMALLEST_FORWARD,
    Fetched,
    best_device,
    device_of,
    fetch,
    forward_batch,
    give_back_memory,
    in_words,
    on_best_device,
    out_of_memory,
    reckoning,
)
from overpaint.errors import RecordError, nearest
from overpaint.machine import refusals_told
from overpaint.networks import Network
from overpaint.networks.taps import Reduction, map_size, reduction_of, taps
from overpaint.pixels.batches import as_float, batches, in_order, pixels_of, view_of
from overpaint.progress import notebook_bar
from overpaint.records import (
    FeaturesFacts,
    Manifest,
    contents,
    damages_of,
    digest,
    facts_of,
    new_folder,
    read_json,
    read_manifest,
    with_facts,
    write_manifest,
)
from overpaint.records.belongings import refuse_link, refuse_strangers, strangers
from overpaint.records.claims import Claims
from overpaint.records.drafts import remove_folder, sync_all

BLOCK = 256
"""Images that are claimed, computed and written together: as many whole batches as fit. Where a
batch has as many itself it is four, for a GPU is done with one sooner than a disk with the files of
all layers.
"""

COLUMNS = 1 << 14
"""Columns in a chunk at most. Wider arrays, of flattened maps, have a batch of rows in a chunk."""

WRITES = 2
"""Batches that wait to be written at most: the device does not wait for the disk, nor the memory
fill with what it has not taken.
"""

WAIT = 0.2
"""Seconds between two looks at what other processes are still at."""

Values = dict[str, NDArray[Any]]
"""What a network says of a batch: "layer/reduction" -> an array with a row an image."""


# --- one pass --------------------------------------------------------------------------------


def run_over(
    networks: Sequence[tuple[Network, Sequence[str]]],
    split: Split,
    order: Iterable[Sequence[int]],
    *,
    precision: str = PRECISIONS[0],
) -> Iterator[tuple[Sequence[int], list[Values]]]:
    """What the layers of several networks say of a split: for each batch its rows and values.

    For each network the names of arrays, as "mixed4d/mean". Each picture is decoded once for all
    networks that want it in one size, however many layers are read. A batch is given out once the
    next is under way: so the device has work while its values come over.
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
        under_way: deque[tuple[Sequence[int], _Joined]] = deque()
        for *pictures, rows in zip(*streams, order, strict=True):
            images = {
                view: as_float(batch, device) for view, batch in zip(views, pictures, strict=True)
            }
            with torch.inference_mode(), reckoning(device, precision):
                values = [_flat(tap(images[view]).values()) for tap, view in tapped]
                under_way.append((rows, _Joined.of(values)))
            if len(under_way) > 1:
                earlier, joined = under_way.popleft()
                yield earlier, joined.values()
        for earlier, joined in under_way:
            yield earlier, joined.values()


def _by_layer(arrays: Iterable[str]) -> dict[str, Callable[[Tensor], dict[str, Tensor]]]:
    """For each layer, what all its arrays are made of, named by array."""
    by_layer: dict[str, dict[str, Reduction]] = defaultdict(dict)
    for name in arrays:
        layer, _, reduction = name.rpartition("/")
        by_layer[layer][name] = reduction_of(reduction)

    def reduced(reductions: Mapping[str, Reduction], activation: Tensor) -> dict[str, Tensor]:
        # whatever precision the network has, a mean is taken in float32
        whole = activation.float() if activation.is_floating_point() else activation
        return {name: reduction(whole) for name, reduction in reductions.items()}

    return {layer: partial(reduced, reductions) for layer, reductions in by_layer.items()}


def _flat(layers: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The arrays of all layers of a network, by name."""
    return {name: values for arrays in layers for name, values in arrays.items()}


@dataclass(frozen=True, kw_only=True)
class _Joined:
    """The arrays of all networks of a batch, side by side in one tensor that is copied once."""

    form: list[list[tuple[str, int, str]]]  # of each network: array, columns, type
    numbers: Fetched  # int32 [B, all columns]: a float is carried by its bits, whatever it is

    @classmethod
    def of(cls, networks: Sequence[Mapping[str, Tensor]]) -> "_Joined":
        form = [
            [(name, values.shape[1], "f4" if values.is_floating_point() else "i4")
             for name, values in arrays.items()]
            for arrays in networks
        ]  # fmt: skip
        columns = [values.view(torch.int32) for arrays in networks for values in arrays.values()]
        return cls(form=form, numbers=fetch(torch.cat(columns, dim=1)))

    def values(self) -> list[Values]:
        """The arrays again, of each network."""
        numbers, start = self.numbers.array(), 0
        networks: list[Values] = []
        for arrays in self.form:
            networks.append({})
            for name, width, dtype in arrays:
                networks[-1][name] = numbers[:, start : start + width].view(dtype)
                start += width
        return networks


def features_of(
    networks: Sequence[tuple[Network, Sequence[str]]], split: Split, reduction: str = "mean"
) -> list[dict[str, NDArray[Any]]]:
    """For each network and its layers the features [N, C] by layer, in memory, in one pass."""
    arrays = [
        (network, [f"{layer}/{reduction}" for layer in layers]) for network, layers in networks
    ]
    batch = batch_size(arrays)
    features: list[dict[str, NDArray[Any]]] = [{} for _ in networks]
    advance = notebook_bar(f"features on {split.dataset}/{split.name}")
    for rows, parts in run_over(arrays, split, in_order(len(split), batch)):
        for (_, layers), by_layer, part in zip(networks, features, parts, strict=True):
            for layer in layers:
                values = part[f"{layer}/{reduction}"]
                if layer not in by_layer:
                    by_layer[layer] = np.empty((len(split), values.shape[1]), values.dtype)
                by_layer[layer][rows[0] : rows[-1] + 1] = values
        if advance:
            advance(rows[-1] + 1, len(split))
    return features


def batch_size(
    networks: Sequence[tuple[Network, Sequence[str]]], precision: str = PRECISIONS[0]
) -> int:
    """Pictures of a batch where these networks run: the device's number, or what its memory holds.

    A batch larger than any device takes is tried with black pictures, and halved until it fits;
    networks of one architecture take alike, so one of them is tried.
    """
    alike = {(net.architecture, net.preprocessing, *arrays): (net, arrays)
             for net, arrays in networks}  # fmt: skip
    with on_best_device(*(network for network, _ in networks), channels_last=True) as device:
        batch = forward_batch(device)
        while batch > SMALLEST_FORWARD:
            try:
                for network, arrays in alike.values():
                    size, reductions = network.preprocessing.size, _by_layer(arrays)
                    images = torch.zeros(batch, 3, size, size, device=device)
                    with (
                        torch.inference_mode(),
                        reckoning(device, precision),
                        taps(network, list(reductions), reduction=reductions) as tap,
                    ):
                        tap(images.to(memory_format=torch.channels_last))
                break
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
            give_back_memory(device)  # outside the handler: an error holds what it failed on
            batch //= 2
    return batch


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
    precision: str = PRECISIONS[0]
    """One of `device.PRECISIONS`; it is among the manifest's settings unless it is the first."""
    store: str = ""
    """An address for the chunks of a group that is begun now; by default they lie in the group."""


Work = tuple[tuple[str, ...], ...]
"""What a block lacks: for each network, the names of arrays."""


def store_features(
    requests: Sequence[FeatureRequest],
    split: Split,
    *,
    claims: Path,
    batch: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Counter[str]]:
    """Have features of several networks on a split, computing in one pass what is not there.

    Any number of processes may do this at once, with one folder for their claims; each returns when
    everything is there. One batch size gives the same bytes, whoever writes them and in whatever
    order; another one may differ in the last digit. So a group is finished with the size it was
    begun with, which it holds; `batch` is that of one begun now, and by default the device's.

    Returns, for each network, the layers that gave NaN or infinity here, and of how many images:
    they are stored as they are. Raises RecordError for a group that was made from other weights,
    pictures or settings; nothing is written then.
    """
    shelves = [_Shelf(request, split) for request in requests]
    for shelf in shelves:
        shelf.check()
    new = [(shelf.request.network, shelf.request.arrays) for shelf in shelves if not shelf.begun]
    if new and batch is None:
        batch = batch_size(new, requests[0].precision)
    together: dict[tuple[int, str], list[_Shelf]] = defaultdict(list)
    for shelf in shelves:
        with refusals_told(shelf.request.path):  # Zarr's errors do not say what they are about
            shelf.open(batch or SMALLEST_FORWARD)
        together[shelf.batch, shelf.request.precision].append(shelf)
    for alike in together.values():  # a pass each; nearly always it is one
        _complete(alike, claims, progress or (lambda *_: None))
    return [shelf.odd for shelf in shelves]


def _complete(shelves: "Sequence[_Shelf]", claims: Path, tell: Callable[[int, int], None]) -> None:
    """Have all that groups of one batch size and precision lack."""
    split = shelves[0].split
    while gaps := _gaps(shelves):
        missing = sum(len(shelves[0].rows(start)) for starts in gaps.values() for start in starts)
        tell(len(split) - missing, len(split))
        with Claims(claims) as held:
            blocks = sum(
                _fill(shelves, work, starts, claims=held, tell=tell)
                for work, starts in gaps.items()
            )
        if not blocks:
            time.sleep(WAIT)  # the rest is claimed by others, who finish it or let it go
    for shelf in shelves:
        shelf.finish()


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
    tell: Callable[[int, int], None],
) -> int:
    """Compute the blocks that nobody else has claimed; returns how many."""
    busy = [shelf for shelf, names in zip(shelves, work, strict=True) if names]
    count = len(shelves[0].split)
    done = count - sum(len(shelves[0].rows(start)) for start in starts)
    last_rows = {shelves[0].rows(start)[-1]: start for start in starts}
    blocks = 0

    def write(before: Future[None] | None, rows: Sequence[int], batch: list[Values]) -> None:
        if before is not None:
            before.result()  # after an error nothing more is written: a block would lack a batch
        for shelf, arrays in zip(busy, batch, strict=True):
            shelf.note(made_on)
            shelf.add(rows[0], arrays)
        if rows[-1] in last_rows:
            start = last_rows[rows[-1]]
            assert not any(shelf.lacks(start) for shelf in shelves), "a written chunk is not there"
            claims.release(shelves[0].claim(start))

    networks = [(shelf.request.network, names)
                for shelf, names in zip(shelves, work, strict=True) if names]  # fmt: skip
    order = _claimed(shelves, work, starts, claims)
    precision = shelves[0].request.precision
    made_on = in_words(
        best_device(*(network for network, _ in networks)),
        half=precision == "bf16",
        tf32=precision == "tf32",
    )
    writes: deque[Future[None]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="write") as pool:
        for rows, batch in run_over(networks, shelves[0].split, order, precision=precision):
            writes.append(pool.submit(write, writes[-1] if writes else None, rows, batch))
            if len(writes) > WRITES:
                writes.popleft().result()
            done += len(rows)
            tell(done, count)
            blocks += rows[-1] in last_rows
        for pending in writes:
            pending.result()
    return blocks


def _claimed(
    shelves: "Sequence[_Shelf]", work: Work, starts: Sequence[int], claims: Claims
) -> Iterator[Sequence[int]]:
    """The batches of the blocks that nobody else has claimed.

    The batches ahead of the network pull this, so a block is claimed while the one before it is
    still computed, and decoding never pauses.
    """
    step = shelves[0].batch
    for start in starts:
        if not claims.take(shelves[0].claim(start)):
            continue
        if tuple(shelf.lacks(start) for shelf in shelves) == work:
            rows = shelves[0].rows(start)
            yield from (rows[first : first + step] for first in range(0, len(rows), step))
        else:
            claims.release(shelves[0].claim(start))


class _Shelf:
    """The group of one network while it fills."""

    def __init__(self, request: FeatureRequest, split: Split) -> None:
        self.request, self.split = request, split
        self.begun = request.path.exists()
        self.made_from = _made_from(request.manifest)
        self.arrays: dict[str, zarr.Array[Any]] = {}
        self.waiting: dict[str, list[NDArray[Any]]] = defaultdict(list)
        self.devices: list[str] = []  # that computed some of it, as far as is known here
        self.odd: Counter[str] = Counter()  # layer -> images for which it gave what is no number

    def rows(self, start: int) -> range:
        """The rows of the block that begins at `start`."""
        return range(start, min(start + self.block, len(self.split)))

    def claim(self, start: int) -> str:
        """What the block that begins at `start` is claimed by; blocks of another length differ."""
        return f"{self.block}-{start}"

    def check(self) -> None:
        """Refuse a group that is there but was made from something else."""
        path = self.request.path
        if not path.exists():
            return
        there = made_from(path)
        wanted = self.made_from | {"batch": there.get("batch", "unknown")}  # it goes on with that
        differ = [name for name in there | wanted if there.get(name) != wanted.get(name)]
        if differ:
            raise RecordError(
                "foreign-features",
                f"{path} holds other features than those wanted: they differ in "
                f"{' and '.join(differ)}; nothing was written: remove the "
                "folder, or choose another",
            )

    def open(self, batch: int) -> None:
        """Open the group, or begin it with batches of this size; what arrays it lacks are there
        afterwards, empty.
        """
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
                made_of = self.made_from | {"batch": batch}
                attributes: dict[str, Any] = {"made_from": made_of}
                if self.request.store:
                    attributes[CHUNKS] = f"{self.request.store}/{digest(made_of)[:24]}.zarr"
                    RemoteFolder(attributes[CHUNKS]).reach()
                group.attrs.put(attributes)
            self.check()  # another process may have begun it in the meantime
        self.batch = int(made_from(path)["batch"])
        self.block = (BLOCK // self.batch if self.batch < BLOCK else 4) * self.batch
        group = open_group(path, mode="r+")
        missing = [name for name in self.request.arrays if name not in group]
        for layer in _by_layer(self.request.arrays):
            group.require_group(layer)  # Zarr would write it after its first array, or never
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

    def note(self, made_on: str) -> None:
        """Have the group remember a device that computes some of it: a pass that was broken off on
        one may be finished on another.
        """
        if made_on not in self.devices:
            self.devices = sorted({*devices_of(self.request.path), made_on})
            open_group(self.request.path, mode="r+").attrs[DEVICES] = self.devices

    def add(self, start: int, arrays: Values) -> None:
        """Take the values of the rows that begin at `start`; write the chunks that they complete.

        The rows of a block come in order.
        """
        not_finite: Counter[str] = Counter()
        path, written = self.request.path, list[str]()
        for name, values in arrays.items():
            images = int(np.count_nonzero(~np.isfinite(values).all(axis=1)))
            not_finite |= Counter({name.rpartition("/")[0]: images})
            array, end = self.arrays[name], start + len(values)
            self.waiting[name].append(values)
            if end % array.chunks[0] == 0 or end == len(self.split):
                whole = np.concatenate(self.waiting.pop(name))
                rows = range(end - len(whole), end)
                with refusals_told(self.request.path):
                    array[rows.start : rows.stop] = whole
                written += _chunks(array, rows)
        if not chunks_of(path):
            # Zarr renames without; their names need none: a chunk without a name is lacking
            with refusals_told(path):
                sync_all(path / chunk for chunk in written)
        self.odd.update(not_finite)

    def finish(self) -> None:
        """Write the manifest: which arrays are whole."""
        path = self.request.path
        group = open_group(path, mode="r")
        arrays = [name for name in _names(path) if _is_whole(path, _array(group, name))]
        facts = FeaturesFacts(arrays=arrays, batch=self.batch)
        made_on = "; ".join(devices_of(path))
        made = with_facts(self.request.manifest, facts, device=made_on)
        with suppress(RecordError):
            present = read_manifest(path)
            if (
                (present.key, present.facts) == (made.key, made.facts)
                and (present.files or {}).keys() == {*contents.parts(path, "features")}
                and not damages_of(path, settle=True)
            ):
                return  # another process has said so already
        write_manifest(path, made)


IMAGES = "images"

DEVICES = "devices"
"""The group's attribute that says what computed it."""


def devices_of(path: Path) -> list[str]:
    """The devices that computed a group, as far as it is there, and in which precision."""
    attributes = read_json(path / "zarr.json").get("attributes", {})
    return [str(device) for device in attributes.get(DEVICES, [])]


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
    """Remove a group that was made from something else than this manifest says; whether it was.

    Raises RecordError as `discard`, and for a link in a group that stays.
    """
    if not path.exists():
        return False
    refuse_strangers(path, "features")
    with suppress(RecordError):  # one that is lost or cut off tells nothing
        there = made_from(path)
        there.pop("batch", None)  # it is finished with its own
        if there == _made_from(manifest):
            for name in strangers(path, "features"):
                refuse_link(path / name)
            return False
    discard(path)
    return True


def discard(path: Path) -> None:
    """Remove a group; a RecordError, and nothing removed, where anything in it is not ours."""
    for name in strangers(path, "features"):
        raise RecordError(
            "not-ours",
            f"{path} holds {name!r}, which overpaint did not write: move it away, and run the "
            "same command again",
        )
    remove_folder(path)


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
    elsewhere = chunks_of(path)
    folder = RemoteFolder(elsewhere) if elsewhere else None
    for chunk in _chunks(array, rows):
        yield folder.has(chunk) if folder else (path / chunk).is_file()


def _chunks(array: "zarr.Array[Any]", rows: range) -> Iterator[str]:
    """Where in the group the chunks lie that hold some of the rows."""
    height, width = array.chunks
    for number in range(rows.start // height, -(-rows.stop // height)):
        for column in range(-(-array.shape[1] // width)):
            yield f"{array.path}/{array.metadata.encode_chunk_key((number, column))}"


def _is_whole(path: Path, array: "zarr.Array[Any]") -> bool:
    return all(_is_there(path, array, range(array.shape[0])))


# --- read again ------------------------------------------------------------------------------


def stored(path: Path, layer: str, reduction: str = "mean") -> "zarr.Array[Any]":
    """The array [N, columns] of one layer in the group at `path`, to be read in slices.

    >>> means = stored(path, "mixed4b")                                 # doctest: +SKIP
    >>> means[:64], means[:, 10:20]                                     # doctest: +SKIP

    `.shape` and `.dtype` are an array's; its attributes "height" and "width" are those of the
    layer's map, for which a position of `argmax` is row × width + column. Only the chunks that a
    slice touches are read. Raises RecordError for a missing group, a layer or reduction that was
    not stored, and an array that is not whole yet.
    """
    try:
        group = open_group(path, mode="r")
    except (FileNotFoundError, KeyError, ValueError):
        raise RecordError("missing-record", f"{path} is missing: run the study first") from None
    name = f"{layer}/{reduction}"
    if name not in group:
        raise RecordError(
            "missing-layer", f"{path} holds no {name!r}; {nearest(name, _names(path))}"
        )
    array = _array(group, name)
    # Of chunks elsewhere the manifest is believed: to ask for each takes long, and one that is gone
    # after all is an error when it is read.
    whole = (
        name in facts_of(read_manifest(path), FeaturesFacts).arrays
        if chunks_of(path) and (path / "manifest.json").is_file()
        else _is_whole(path, array)
    )
    if not whole:
        raise RecordError(
            "unfinished-features", f"{path} holds only a part of {name}: run the study again"
        )
    return array


def read_features(path: Path, layer: str, reduction: str = "mean") -> NDArray[Any]:
    """The features [N, C] of one layer, in memory; errors as `stored`."""
    return np.asarray(stored(path, layer, reduction))


def features_of_rows(path: Path, rows: Sequence[int], layer: str) -> NDArray[Any]:
    """The means [len(rows), C] of one layer for some pictures, in memory; errors as `stored`."""
    array = stored(path, layer)
    step = array.chunks[0]
    wanted = np.asarray(rows, np.intp)
    parts = [
        np.asarray(array[start : start + step])[
            wanted[(wanted >= start) & (wanted < start + step)] - start
        ]
        for start in range(0, array.shape[0], step)
    ]
    return np.concatenate(parts)
