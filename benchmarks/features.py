"""What reading features costs beside bare forwards, and how much memory it takes.

    .venv/bin/python benchmarks/features.py speed [--images 64] [--rounds 5] [--weights FILE]
    .venv/bin/python benchmarks/features.py memory [--plot memory.svg]

`speed`: one pass of two InceptionV1 over a split, the means of all twelve layers written as Zarr,
beside the two bare forwards of the same decoded pictures, in turn; printed are medians in images a
second and the medians of the ratios of each round, by the clock and in processor time. The first
round warms up and does not count.

`memory`: the peak of the resident memory of a process that stores all features of a small network
on 1,000 to 20,000 pictures of 64 pixels, decoded on the way; drawn beside what would be needed to
hold decoded pictures and features.
"""

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import altair as alt
import numpy as np
import pandas as pd
import torch
from PIL import Image
from rounds import Bar, Case, in_turn

from overpaint.datasets import Split
from overpaint.datasets.catalogue import Picture, dataset_of
from overpaint.device import forward_batch, on_best_device, reckoning
from overpaint.features import FeatureRequest, store_features
from overpaint.networks import Network, build, load
from overpaint.networks.taps import channels_of
from overpaint.pixels.batches import as_float, pixels_of
from overpaint.records import manifest
from overpaint.seeds import generator

COUNTS = (1000, 5000, 10000, 20000)
FILES = 100
"""Different pictures; each stands many times in a split, under other names."""


def split_of(folder: Path, count: int, side: int) -> Split:
    """So many pictures of noise, as PNG files."""
    for number in range(min(count, FILES)):
        pixels = generator(0, "benchmark", number).integers(0, 255, (side, side, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    pictures = [
        Picture(image=f"{number}.png", split="train", labels=("a",)) for number in range(count)
    ]
    for number in range(FILES, count):
        os.link(folder / f"{number % FILES}.png", folder / f"{number}.png")
    return dataset_of("benchmark", folder, pictures).split("train")


def store(networks: list[Network], split: Split, place: Path) -> None:
    """The means of all layers, written anew."""
    made = manifest("features", inputs={"images": split.digest}, settings={}, seed=0)
    wanted = [
        FeatureRequest(
            network, place / f"{number}.zarr", [f"{each}/mean" for each in network.layers], made
        )
        for number, network in enumerate(networks)
    ]
    store_features(wanted, split, claims=place / "claims")


# --- speed -----------------------------------------------------------------------------------


BARE, OURS = "two bare forwards", "overpaint, means stored"


def bare(networks: list[Network], pixels: torch.Tensor, device: torch.device) -> None:
    """Every picture through every network, to the logits, as plainly as it goes."""
    with torch.inference_mode(), reckoning(device, "float32"):
        for part in pixels.split(forward_batch(device)):
            batch = as_float(part, device)
            for network in networks:
                network(batch)
    if device.type == "cuda":
        torch.cuda.synchronize()


def cases(*, images: int = 64, rounds: int = 5, weights: Path | None = None) -> Iterator[Case]:
    """The pass of two InceptionV1 beside their forwards."""
    networks = [
        load("inception_v1", weights=weights)
        if weights
        else build("inception_v1", classes=("a",), seed=seed)
        for seed in (0, 1)
    ]
    for network in networks:
        network.eval()
    with TemporaryDirectory() as made, on_best_device(*networks, channels_last=True) as device:
        (Path(made) / "pictures").mkdir()
        split = split_of(Path(made) / "pictures", images, 256)
        kept = pixels_of(split, networks[0].preprocessing)
        kept.keep()
        pixels = torch.stack([kept[index] for index in range(images)])
        seconds, failed = in_turn(
            {
                BARE: lambda _number: bare(networks, pixels, device),
                OURS: lambda number: store(networks, split, Path(made) / f"round-{number}"),
            },
            rounds,
        )
    yield Case(
        title=f"two InceptionV1, batch {forward_batch(device)}",
        amount=images,
        unit="images",
        seconds=seconds,
        failed=failed,
        base=BARE,
        bars=[Bar(way=OURS, base=BARE, least=1 / 1.25)],
    )


# --- memory ----------------------------------------------------------------------------------


def peak(count: int) -> int:
    """Megabytes at the peak of this process, after so many pictures."""
    network = build("inception_small", classes=("a",), seed=0)
    with TemporaryDirectory() as made:
        (Path(made) / "pictures").mkdir()
        store([network], split_of(Path(made) / "pictures", count, 64), Path(made))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def memory(plot: Path | None) -> None:
    """Print the peaks, each of a process of its own; draw them."""
    rows = []
    for count in COUNTS:
        command = [sys.executable, __file__, "peak", "--images", str(count)]
        found = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        rows.append((count, int(found.stdout)))
        print(f"{count:6,} pictures: {rows[-1][1]:4} MB")
    network = build("inception_small", classes=("a",), seed=0)
    width = sum(channels_of(network, network.layers).values())
    each = (64 * 64 * 3 + 4 * width) / 1e6
    first = rows[0][1]
    held = [(count, first + each * (count - COUNTS[0])) for count in COUNTS]
    if plot:
        draw(rows, held, plot)


def draw(rows: list[tuple[int, int]], held: list[tuple[int, float]], plot: Path) -> None:
    """Peaks against the number of pictures."""
    names = ("overpaint", "if pictures and features were held")
    table = pd.DataFrame(
        [(count, value, name) for name, own in zip(names, (rows, held), strict=True)
         for count, value in own],
        columns=["pictures", "MB", "what"],
    )  # fmt: skip
    base = alt.Chart(table).encode(
        x=alt.X("pictures:Q", title="pictures in the split",
                axis=alt.Axis(format=",.0f", tickCount=5)),
        y=alt.Y("MB:Q", title="peak resident memory, MB", scale=alt.Scale(zero=True)),
        strokeDash=alt.StrokeDash("what:N", legend=None, sort=names),
        color=alt.Color("what:N", sort=names, title=None,
                        scale=alt.Scale(domain=names, range=["#9a3412", "#8a8a8a"]),
                        legend=alt.Legend(orient="top", labelLimit=400)),
    )  # fmt: skip
    numbers = (
        base.transform_filter(alt.datum.what == names[0])
        .mark_text(dy=14)
        .encode(text=alt.Text("MB:Q", format=",.0f"))
    )
    chart = base.mark_line(point=True) + numbers
    chart.properties(width=480, height=260, background="white").save(plot)


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["speed", "memory", "peak"])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--weights", type=Path, help="of InceptionV1; random without")
    parser.add_argument("--plot", type=Path, help="where to draw the memory, .svg or .png")
    options = parser.parse_args()
    if options.what == "speed":
        print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
        for case in cases(images=options.images, rounds=options.rounds, weights=options.weights):
            case.show()
    elif options.what == "memory":
        memory(options.plot)
    else:
        print(peak(options.images))


if __name__ == "__main__":
    main()
