"""How fast overpaint decodes and feeds large photographs, beside Pillow and torchvision.

    .venv/bin/python benchmarks/decode.py [--pictures 12] [--rounds 5] [--megapixels 0.35 2 6 12]

JPEG files of so many megapixels become batches of 224 pixels, in turn: by a plain loop that opens,
converts, resizes and crops with Pillow; the same loop with the decoder of torchvision; and as
overpaint feeds a training whose pictures fit nowhere. overpaint decodes a JPEG at a fraction of its
size where that is at least what is needed (Pillow's draft mode), and on as many threads as there
are cores. Printed are the medians of the ratios of each round, by the clock and by the processors'
time (which threads do not help); the first round warms up and does not count.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms.v2.functional import center_crop, resize

from overpaint.datasets.catalogue import Picture, dataset_of
from overpaint.networks import Preprocessing
from overpaint.pixels.batches import Pixels, batches, in_order
from overpaint.pixels.images import centre_square, shorter_side
from overpaint.seeds import generator

VIEW = Preprocessing(size=224, resize=256)


def pillow(paths: list[Path]) -> torch.Tensor:
    """The plainest loop, on one thread."""
    squares = []
    for path in paths:
        with Image.open(path) as opened:
            small = shorter_side(opened.convert("RGB"), VIEW.resize, VIEW.interpolation)
        squares.append(np.asarray(centre_square(small, VIEW.size)))
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)


def torchvisions(paths: list[Path]) -> torch.Tensor:
    """The same by torchvision's decoder and its resizing of tensors."""
    return torch.stack([
        center_crop(
            resize(decode_jpeg(read_file(str(path)), ImageReadMode.RGB), [VIEW.resize]),
            [VIEW.size],
        )
        for path in paths
    ])  # fmt: skip


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of processors."""
    begin, before = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begin, time.process_time() - before


def measure(folder: Path, megapixels: float, count: int, rounds: int) -> None:
    """Print what the ways take for pictures of one size."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        noise = generator(0, "decode", number).integers(0, 255, (60, 90, 3), np.uint8)
        Image.fromarray(noise).resize((height * 3 // 2, height)).save(path, quality=90)
    pictures = [
        Picture(image=path.name, split=split, labels=("a",))
        for path in paths
        for split in ("train", "val")
    ]
    pixels = Pixels(dataset_of("benchmark", folder, pictures).split("train"), VIEW)
    ways: dict[str, Callable[[], object]] = {
        "Pillow": lambda: pillow(paths),
        "torchvision": lambda: torchvisions(paths),
        "overpaint": lambda: list(batches(pixels, in_order(count, 4))),
    }
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, work in ways.items():
            seconds[name].append(timed(work))
    for name, times in seconds.items():
        clock, busy = (
            statistics.median(base[kind] / spent[kind] for base, spent in
                              zip(seconds["Pillow"][1:], times[1:], strict=True))
            for kind in (0, 1)
        )  # fmt: skip
        rate = count / statistics.median(spent for spent, _ in times[1:])
        print(
            f"{megapixels:5.2f} megapixels  {name:12} {rate:7.1f} pictures/s, {clock:5.2f} × a "
            f"plain Pillow loop; {busy:5.2f} × by processors' time"
        )


def main() -> None:
    """Read the options and measure each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.35, 2, 6, 12])
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{os.cpu_count()} cores, torch {torch.__version__}")
    for megapixels in options.megapixels:
        with TemporaryDirectory() as folder:
            measure(Path(folder), megapixels, options.pictures, options.rounds)


if __name__ == "__main__":
    main()
