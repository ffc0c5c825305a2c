"""How fast overpaint trains, beside a bare PyTorch loop and with pictures decoded on the way.

    .venv/bin/python benchmarks/train.py [--images 64] [--rounds 5] [--pictures FOLDER]

Three ways to train one network on the same pictures, in turn, `rounds` times: a bare loop over a
tensor in memory; overpaint with pictures kept in memory; overpaint decoding the JPEG files anew.
Printed are medians in images a second and the median of the ratios of each round. The first round
warms up and does not count. A GPU is used where there is one.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch import nn

from overpaint.datasets import Dataset
from overpaint.datasets.catalogue import Picture, dataset_of
from overpaint.device import device_of, on_best_device
from overpaint.networks import Network, build
from overpaint.pixels.batches import as_float, shuffled
from overpaint.seeds import generator
from overpaint.study.recipe import Recipe
from overpaint.training.fit import _Loop, child_of

ARCHITECTURES = ("inception_v1", "torchvision:resnet18")
RECIPE = Recipe(epochs=1, batch_size=16, lr_decay=0.0)


def noise(folder: Path, count: int) -> None:
    """JPEG files of 700 × 500 pixels."""
    for number in range(count):
        pixels = generator(0, "benchmark", number).integers(0, 255, (50, 70, 3), np.uint8)
        Image.fromarray(pixels).resize((700, 500)).save(folder / f"{number}.jpg", quality=90)


def collection(folder: Path, count: int) -> Dataset:
    """The first JPEG files below a folder, each with one of two labels."""
    files = sorted(folder.rglob("*.jpg"))[:count]
    splits = [*(("train", each) for each in files), ("val", files[0])]
    pictures = [
        Picture(image=file.relative_to(folder).as_posix(), split=split, labels=("ab"[number % 2],))
        for number, (split, file) in enumerate(splits)
    ]
    return dataset_of("benchmark", folder, pictures)


def bare(network: Network, pixels: torch.Tensor, labels: torch.Tensor) -> Callable[[int], None]:
    """An epoch of the plainest loop: the same network, batches, precision and optimiser."""
    device = device_of(network)
    groups = [
        {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": 4e-4},
        {"params": [p for p in network.parameters() if p.ndim <= 1]},
    ]
    optimiser = torch.optim.SGD(groups, lr=1e-3, momentum=0.9)
    loss_of, targets = nn.CrossEntropyLoss(), labels.to(device)
    half = device.type == "cuda"

    def epoch(number: int) -> None:
        network.train()
        for rows in shuffled(len(pixels), RECIPE.batch_size, 0, number):
            with torch.autocast("cuda", torch.bfloat16, enabled=half):
                logits = network(as_float(pixels[rows], device))
            optimiser.zero_grad()
            loss_of(logits.float(), targets[rows]).backward()
            optimiser.step()
        if half:
            torch.cuda.synchronize()

    return epoch


def timed(work: Callable[[int], object], number: int) -> float:
    """Seconds."""
    begin = time.perf_counter()
    work(number)
    return time.perf_counter() - begin


def measure(architecture: str, dataset: Dataset, rounds: int) -> None:
    """Print the rates of the three ways and their ratios."""
    parent, rival = (build(architecture, classes=("a", "b"), seed=0) for _ in range(2))
    children = [child_of(parent, dataset, RECIPE, 0) for _ in range(2)]
    networks = [rival, *(child for child, _ in children)]
    with on_best_device(*networks, channels_last=True):  # as `fit` does
        in_memory, decoding = (_Loop(*child, dataset, RECIPE, 0) for child in children)
        train = in_memory.train
        train.keep()
        decoding.train = type(train)(train.split, train.preprocessing)
        pixels = torch.stack([train[index] for index in range(len(train))])
        ways = {
            "bare loop": bare(rival, pixels, torch.as_tensor(train.split.labels)),
            "in memory": lambda number: in_memory._epoch(number, None),  # noqa: SLF001
            "from JPEG": lambda number: decoding._epoch(number, None),  # noqa: SLF001
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):  # the first warms up
            for name, work in ways.items():
                seconds[name].append(timed(work, number + 1))
    images = len(pixels) // RECIPE.batch_size * RECIPE.batch_size
    for name, times in seconds.items():
        print(f"{architecture:22} {name}  {images / statistics.median(times[1:]):7.1f} images/s")
    for name, base in (("in memory", "bare loop"), ("from JPEG", "in memory")):
        ratios = [b / a for a, b in zip(seconds[name][1:], seconds[base][1:], strict=True)]
        spread = f"{min(ratios):.3f} … {max(ratios):.3f}"
        print(f"{architecture:22} {name} / {base}: {statistics.median(ratios):.3f} ({spread})")


def main() -> None:
    """Read the options and measure each architecture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=Path, help="a folder with JPEG files; noise without it")
    options = parser.parse_args()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    with TemporaryDirectory() as made:
        if options.pictures is None:
            noise(Path(made), options.images)
        dataset = collection(options.pictures or Path(made), options.images)
        for architecture in ARCHITECTURES:
            measure(architecture, dataset, options.rounds)


if __name__ == "__main__":
    main()
