"""Features: one pass of a network over a split, and what each layer said of each picture.

One Zarr group a network and split: for each layer an array `mean` float32 [N, C], rows in the
order of the dataset, and beside it the images' ids, digests and labels. Nearly every measure is a
pure function of these.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zarr
from numpy.typing import NDArray

from overpaint.batches import centred, pixels_of
from overpaint.datasets import Split
from overpaint.errors import RecordError, nearest
from overpaint.networks import Network
from overpaint.records import Manifest, whole_folder, write_json
from overpaint.taps import channels_of, taps
from overpaint.training.fit import accelerate

REDUCTION = "mean"
BATCH = 32
CHUNK = 1024
"""Images in a chunk: at most 4 MB at a thousand channels."""


def run_over(
    network: Network,
    split: Split,
    layers: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """The spatial means [B, C] of each layer, batch by batch, in the order of the dataset."""
    pixels = pixels_of(split, network.preprocessing)
    pixels.keep()
    device = accelerate().device
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    done = 0
    try:
        with torch.inference_mode(), taps(network, layers) as tap:
            for images in centred(pixels, BATCH, device):
                seen = tap(images)
                yield {layer: seen[layer].float().cpu().numpy() for layer in layers}
                done += len(images)
                if progress:
                    progress(done, len(split))
    finally:
        network.to("cpu")


def features_of(
    network: Network, split: Split, layers: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    """The features [N, C] of each layer, in memory."""
    parts = list(run_over(network, split, layers))
    return {layer: np.concatenate([part[layer] for part in parts]) for layer in layers}


def store_features(
    network: Network,
    split: Split,
    layers: Sequence[str],
    path: Path,
    manifest: Manifest,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Keep the features of a network on a split as a Zarr group, whole or not at all."""
    with whole_folder(path) as draft:
        group = zarr.open_group(draft, mode="w")
        arrays = _arrays(group, len(split), channels_of(network, layers))
        _write_images(group, split)
        done = 0
        for seen in run_over(network, split, layers, progress):
            count = len(next(iter(seen.values())))
            for layer, array in arrays.items():
                array[done : done + count] = seen[layer]
            done += count
        write_json(draft / "manifest.json", manifest)


def _arrays(group: zarr.Group, count: int, channels: dict[str, int]) -> dict[str, Any]:
    return {
        layer: group.create_array(
            f"{layer}/{REDUCTION}",
            shape=(count, width),
            chunks=(min(CHUNK, count), width),
            dtype="f4",
        )
        for layer, width in channels.items()
    }


def _write_images(group: zarr.Group, split: Split) -> None:
    """Ids, digests and labels of the images, so that the group can be read on its own."""
    columns = {
        "image": split.images,
        "digest": [picture.digest for picture in split.pictures],
        "labels": ["|".join(picture.labels) for picture in split.pictures],
    }
    for name, values in columns.items():
        strings = np.array(values, dtype=np.dtypes.StringDType())
        group.create_array(f"images/{name}", data=strings)


def read_features(path: Path, layer: str) -> NDArray[np.float32]:
    """The features [N, C] of one layer.

    Raises RecordError for a missing group or a layer that was not stored.
    """
    group = _open(path)
    name = f"{layer}/{REDUCTION}"
    if name not in group:
        known = nearest(layer, (key for key in group if key != "images"))
        raise RecordError("missing-layer", f"{path} holds no layer {layer!r}; {known}")
    return np.asarray(group[name])


def _open(path: Path) -> zarr.Group:
    try:
        return zarr.open_group(path, mode="r")
    except (FileNotFoundError, KeyError, ValueError):
        raise RecordError("missing-record", f"{path} is missing: run the study first") from None
