"""How fast the images that most excite each channel are found in stored features.

    .venv/bin/python benchmarks/maximal.py [--images 20000] [--rounds 3]

Features of one layer (528 channels) are drawn at random and written as Zarr. The 100 largest of
each channel are then found, in turn: by sorting every column with NumPy, by `torch.topk`, and by
overpaint, which reads slices, needs no memory for the whole, and orders equal values by the images'
ids. All three read the same Zarr; the limit is reading it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import zarr
from rounds import Case, in_turn

from overpaint.measures.maximal import maximal_images
from overpaint.seeds import generator

CHANNELS, K = 528, 100


def cases(*, images: int = 20_000, rounds: int = 3) -> Iterator[Case]:
    """One layer."""
    with TemporaryDirectory() as folder:
        array = zarr.create_array(
            Path(folder) / "mean", shape=(images, CHANNELS), chunks=(256, CHANNELS), dtype="f4"
        )
        array[:] = generator(0, "maximal").standard_normal((images, CHANNELS), np.float32)
        ids = [f"{number:08}" for number in range(images)]
        ways = {
            "reading alone": lambda _number: array[:],
            SORTED: lambda _number: np.argsort(-array[:], axis=0, kind="stable")[:K],
            "torch.topk": lambda _number: torch.from_numpy(array[:]).topk(K, dim=0),
            "overpaint": lambda _number: maximal_images(array, ids, K),
        }
        seconds, failed = in_turn(ways, rounds)
    yield Case(
        title=f"{K} of {images:,} images, {CHANNELS} channels",
        amount=1,
        unit="layers",
        seconds=seconds,
        failed=failed,
        base=SORTED,
    )


SORTED = "sorted by NumPy"


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for case in cases(images=options.images, rounds=options.rounds):
        case.show()


if __name__ == "__main__":
    main()
