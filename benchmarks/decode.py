"""How fast overpaint decodes and feeds large photographs, beside Pillow and torchvision.

    .venv/bin/python benchmarks/decode.py [--pictures 12] [--rounds 5] [--megapixels 0.35 2 6 12]

JPEG files of so many megapixels become batches of 224 pixels, in turn: by a plain loop that opens,
converts, resizes and crops with Pillow; the same loop with the decoder of torchvision; and as
overpaint feeds a training whose pictures fit nowhere. overpaint decodes a JPEG at a fraction of its
size where that is at least what is needed (Pillow's draft mode), and on as many threads as there
are cores. The limit is that decoding alone, by as many threads. Printed are the medians of the
ratios of each round, by the clock and by the processors' time (which threads do not help); the
first round warms up and does not count.

A picture that is less than twice as large as the network wants it (here of 0.35 megapixels) cannot
be decoded smaller: overpaint then does what the plain loop does, and only the threads help.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from rounds import Bar, Case, in_turn
from torchvision.io import ImageReadMode, decode_jpeg, read_file
from torchvision.transforms.v2.functional import center_crop, resize

from overpaint.datasets.catalogue import Picture, dataset_of
from overpaint.networks import Preprocessing
from overpaint.pixels.batches import Pixels, batches, in_order
from overpaint.pixels.images import centre_square, shorter_side
from overpaint.seeds import generator

PILLOW, OURS = "plain Pillow loop", "overpaint"
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


def measured(folder: Path, megapixels: float, count: int, rounds: int) -> Case:
    """What the ways take for pictures of one size."""
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

    def decoded(path: Path) -> None:
        with Image.open(path) as opened:
            opened.draft("RGB", (VIEW.resize * 3 // 2, VIEW.resize))
            opened.load()

    def limit() -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(decoded, paths))

    seconds, failed = in_turn(
        {
            "decoding alone": lambda _number: limit(),
            PILLOW: lambda _number: pillow(paths),
            "torchvision": lambda _number: torchvisions(paths),
            OURS: lambda _number: list(batches(pixels, in_order(count, 4))),
        },
        rounds,
    )
    return Case(
        title=f"{megapixels:g} megapixels",
        amount=count,
        unit="pictures",
        seconds=seconds,
        failed=failed,
        base=PILLOW,
        bars=[Bar(way=OURS, base=PILLOW, least=2)] if megapixels >= 2 else [],
    )


def cases(
    sizes: Sequence[float] = (0.35, 2, 6, 12), *, pictures: int = 12, rounds: int = 5
) -> Iterator[Case]:
    """Each size."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for megapixels in sizes:
            with TemporaryDirectory() as folder:
                yield measured(Path(folder), megapixels, pictures, rounds)
    finally:
        torch.set_num_threads(threads)


def main() -> None:
    """Read the options and measure each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[0.35, 2, 6, 12])
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, torch {torch.__version__}")
    for case in cases(options.megapixels, pictures=options.pictures, rounds=options.rounds):
        case.show()


if __name__ == "__main__":
    main()
