"""How fast overpaint trains, beside a bare PyTorch loop and with pictures decoded on the way.

    .venv/bin/python benchmarks/train.py [--images 64] [--rounds 5] [--batch 16 32]
        [--pictures FOLDER] [--only ARCHITECTURE]

Ways to train one network on the same pictures, in turn, `rounds` times: a bare loop over a tensor
in the host's memory; overpaint from files, any epoch but the first, when the pictures are kept (on
a GPU there, by gathers); on a GPU also from pictures that are kept on the host, as where they do
not fit; and overpaint decoding the JPEG files anew in each epoch, as where they fit nowhere.

Printed are medians in images a second, and of each round the ratio by the clock and by the
processors' time, which tells more where the machine does other work besides. The first round warms
up and does not count.
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
from overpaint.device import chosen, device_of, has_own_memory, on_best_device
from overpaint.networks import Network, build
from overpaint.pixels.batches import Pixels, as_float, settled, shuffled
from overpaint.seeds import generator
from overpaint.study.recipe import Recipe
from overpaint.training.fit import _Loop, child_of

ARCHITECTURES = ("inception_v1", "torchvision:resnet18")


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


def bare(
    network: Network, pixels: torch.Tensor, labels: torch.Tensor, batch: int
) -> Callable[[int], None]:
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
        for rows in shuffled(len(pixels), batch, 0, number):
            with torch.autocast("cuda", torch.bfloat16, enabled=half):
                logits = network(as_float(pixels[rows], device))
            optimiser.zero_grad()
            loss_of(logits.float(), targets[rows]).backward()
            optimiser.step()
        if half:
            torch.cuda.synchronize()

    return epoch


def timed(work: Callable[[int], object], number: int) -> tuple[float, float]:
    """Seconds by the clock, and of processors."""
    begin, before = time.perf_counter(), time.process_time()
    work(number)
    return time.perf_counter() - begin, time.process_time() - before


def measure(architecture: str, dataset: Dataset, batch: int, rounds: int) -> None:
    """Print the rates of the ways and their ratios."""
    recipe = Recipe(epochs=1, batch_size=batch, lr_decay=0.0)
    parent, rival = (build(architecture, classes=("a", "b"), seed=0) for _ in range(2))
    children = [child_of(parent, dataset, recipe, 0) for _ in range(3)]
    networks = [rival, *(child for child, _ in children)]
    with on_best_device(*networks, channels_last=True) as device:  # as `fit` does
        kept, streamed, decoding = (_Loop(*child, dataset, recipe, 0) for child in children)
        for loop, (_, the_plan) in zip((kept, streamed, decoding), children, strict=True):
            loop._begin(recipe, the_plan, 0)  # noqa: SLF001
        source = kept.train
        begin = time.perf_counter()
        source.keep()
        decoded = len(source) / (time.perf_counter() - begin)
        for loop in (streamed, decoding):
            loop.train = Pixels(source.split, source.preprocessing)
        streamed.train.decoded = source.decoded
        pixels = torch.stack([source[index] for index in range(len(source))])
        labels = torch.as_tensor(source.split.labels)
        ways = {
            "bare loop": bare(rival, pixels, labels, batch),
            "kept": lambda number: kept._epoch(number, None),  # noqa: SLF001
            "kept on the host": lambda number: streamed._epoch(number, None),  # noqa: SLF001
            "decoding anew": lambda number: decoding._epoch(number, None),  # noqa: SLF001
        }
        if not has_own_memory(device):
            del ways["kept on the host"]
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        with settled(device, source):
            for number in range(rounds + 1):  # the first warms up
                for name, work in ways.items():
                    seconds[name].append(timed(work, number + 1))
    images = len(pixels) // batch * batch
    title = f"{architecture:21} batch {batch:3}"
    print(f"{title}  decoded once before {decoded:17.1f} images/s")
    for name, times in seconds.items():
        rate = images / statistics.median(clock for clock, _ in times[1:])
        print(f"{title}  {name:17} {rate:20.1f} images/s")
    for name, base in (
        ("kept", "bare loop"),
        ("kept on the host", "kept"),
        ("decoding anew", "kept"),
        ("decoding anew", "bare loop"),
    ):
        if name in seconds:
            pairs = list(zip(seconds[name][1:], seconds[base][1:], strict=True))
            clock, busy = (sorted(b[kind] / a[kind] for a, b in pairs) for kind in (0, 1))
            print(
                f"{title}  {name} / {base}: {statistics.median(clock):.3f} ({clock[0]:.3f} … "
                f"{clock[-1]:.3f}), of processors' time {statistics.median(busy):.3f}"
            )


def main() -> None:
    """Read the options and measure each architecture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, nargs="+", default=[16])
    parser.add_argument("--pictures", type=Path, help="a folder with JPEG files; noise without it")
    parser.add_argument("--only", nargs="+", default=ARCHITECTURES, help="architectures")
    options = parser.parse_args()
    device = chosen().device
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(f"{card}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    with TemporaryDirectory() as made:
        if options.pictures is None:
            noise(Path(made), options.images)
        dataset = collection(options.pictures or Path(made), options.images)
        for architecture in options.only:
            for batch in options.batch:
                measure(architecture, dataset, batch, options.rounds)


if __name__ == "__main__":
    main()
