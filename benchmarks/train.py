"""How fast overpaint trains, beside a bare PyTorch loop, timm's pieces, and the network alone.

    .venv/bin/python benchmarks/train.py [--images 64] [--rounds 5] [--batch 16 32]
        [--pictures FOLDER] [--only ARCHITECTURE]

Ways to train one network on the same pictures, in turn, `rounds` times: the limit, forward and
backward of one batch again and again; a bare loop over a tensor in the host's memory; overpaint
from files, any epoch but the first, when the pictures are kept (on a GPU there, by gathers); on a
GPU also from pictures that are kept on the host, as where they do not fit; overpaint decoding the
JPEG files anew in each epoch, as where they fit nowhere; and, where timm has the network, a loop of
its own pieces, which decodes anew too: `create_loader` with two workers and a random resized crop,
`create_optimizer_v2`. (timm's training script is not among what PyPI has of it: `all.py --timm`.)

Printed are medians in images a second, and of each round the ratio by the clock and by the
processors' time, which tells more where the machine does other work besides; it leaves out what
worker processes do. The first round warms up and does not count.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import timm
import timm.data
import timm.optim
import torch
from PIL import Image
from rounds import Bar, Case, Way, in_turn
from torch import nn

from overpaint.datasets import Dataset, Split
from overpaint.datasets.catalogue import Picture, dataset_of
from overpaint.device import chosen, device_of, has_own_memory, on_best_device
from overpaint.networks import Network, build
from overpaint.pixels.batches import Pixels, as_float, settled, shuffled
from overpaint.seeds import generator
from overpaint.study.recipe import Recipe
from overpaint.training.fit import _Loop, child_of

ARCHITECTURES = ("inception_v1", "torchvision:resnet18")

LIMIT, BARE = "the network alone", "bare loop"
KEPT, HOST = "overpaint, kept", "overpaint, kept on the host"
ANEW, TIMM = "overpaint, decoding anew", "timm's pieces, decoding anew"


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


def alone(
    network: Network, pixels: torch.Tensor, batch: int, batches: int
) -> Callable[[int], None]:
    """Forward and backward of one batch: no epoch can take less."""
    device = device_of(network)
    images = as_float(pixels[:batch], device)
    half = device.type == "cuda"

    def epoch(_number: int) -> None:
        network.train()
        for _ in range(batches):
            network.zero_grad()
            with torch.autocast("cuda", torch.bfloat16, enabled=half):
                logits = network(images)
            logits.float().logsumexp(1).mean().backward()
        if half:
            torch.cuda.synchronize()

    return epoch


class Files(torch.utils.data.Dataset):
    """JPEG files and labels for timm's loader."""

    def __init__(self, split: Split) -> None:
        self.paths = [split.root / picture.image for picture in split.pictures]
        self.labels, self.transform = split.labels, None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[object, int]:
        with Image.open(self.paths[index]) as picture:
            return self.transform(picture.convert("RGB")), int(self.labels[index])


def of_timm(
    name: str, split: Split, batch: int, batches: int, device: torch.device
) -> Callable[[int], None]:
    """An epoch from files by timm's network, loader and optimiser."""
    network = timm.create_model(name, num_classes=2).to(device, memory_format=torch.channels_last)
    half = device.type == "cuda"
    loader = timm.data.create_loader(
        Files(split), 224, batch, is_training=True, color_jitter=0.0, num_workers=2, device=device,
        pin_memory=half,
    )  # fmt: skip
    optimiser = timm.optim.create_optimizer_v2(network, "sgd", lr=1e-3, weight_decay=4e-4)
    loss_of = nn.CrossEntropyLoss()

    def epoch(_number: int) -> None:
        network.train()
        for images, targets in islice(loader, batches):
            laid = images.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cuda", torch.bfloat16, enabled=half):
                loss = loss_of(network(laid), targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if half:
            torch.cuda.synchronize()

    return epoch


def measured(architecture: str, dataset: Dataset, batch: int, rounds: int) -> Case:
    """What the ways take for one network."""
    recipe = Recipe(epochs=1, batch_size=batch, lr_decay=0.0)
    parent, rival, bound = (build(architecture, classes=("a", "b"), seed=0) for _ in range(3))
    children = [child_of(parent, dataset, recipe, 0) for _ in range(3)]
    networks = [rival, bound, *(child for child, _ in children)]
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
        batches = max(len(pixels) // batch, 1)
        ways: dict[str, Way] = {
            LIMIT: alone(bound, pixels, batch, batches),
            BARE: bare(rival, pixels, labels, batch),
            KEPT: lambda number: kept._epoch(number + 1, None),  # noqa: SLF001
        }
        bars = [Bar(way=KEPT, base=BARE, least=0.95)]
        if has_own_memory(device):
            ways[HOST] = lambda number: streamed._epoch(number + 1, None)  # noqa: SLF001
            bars.append(Bar(way=HOST, base=KEPT, least=0.9))
        ways[ANEW] = lambda number: decoding._epoch(number + 1, None)  # noqa: SLF001
        if not has_own_memory(device):
            bars.append(Bar(way=ANEW, base=KEPT, least=0.9))
        _, _, name = architecture.rpartition(":")
        if timm.is_model(name):
            ways[TIMM] = of_timm(name, source.split, batch, batches, device)
        with settled(device, source):
            seconds, failed = in_turn(ways, rounds)
    return Case(
        title=f"{architecture}, batch {batch}",
        amount=batches * batch,
        unit="images",
        seconds=seconds,
        failed=failed,
        base=BARE,
        bars=bars,
        remarks=[f"decoded once before: {decoded:.0f} images/s"],
    )


def cases(
    architectures: Sequence[str] = ARCHITECTURES,
    batches: Sequence[int] = (16,),
    *,
    images: int = 64,
    rounds: int = 5,
    pictures: Path | None = None,
) -> Iterator[Case]:
    """Each network with each size of batch."""
    with TemporaryDirectory() as made:
        if pictures is None:
            noise(Path(made), images)
        dataset = collection(pictures or Path(made), images)
        for architecture in architectures:
            for batch in batches:
                yield measured(architecture, dataset, batch, rounds)


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
    for case in cases(
        options.only,
        options.batch,
        images=options.images,
        rounds=options.rounds,
        pictures=options.pictures,
    ):
        case.show()


if __name__ == "__main__":
    main()
