"""What the analysis of many pictures takes: seconds and memory of each step, from 2,000 up.

    .venv/bin/python benchmarks/million.py [--pictures 2000 20000 200000] [--folder FOLDER]

No network runs. Features of the twelve layers of InceptionV1 (5,808 channels) are drawn at random
for two networks, some of them for the classes, and written to Zarr in the chunks of a study, means
and positions both; about 60 kB a picture, in a folder that is removed afterwards (not with
`--keep`). Then the functions that a study calls: the digest of the split, all tables of the
comparison (CKA with its intervals, Procrustes, neighbours, the matrix of layers, maximal images,
classes, matching, responses, the permutation test), written as Parquet, and the scores of
predictions drawn at random.

Each number of pictures has a process of its own. Printed are for each step the seconds by the
clock, the seconds of processors (all threads; what counts where a machine does other work besides)
and the largest resident memory while the step ran; and how often each chunk was read. The memory of
a step is read from /proc; elsewhere it is the largest up to then.
"""

import argparse
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import LocalStore

from overpaint import comparison
from overpaint.comparison import Stored, layers, tables
from overpaint.comparison.channels import ChannelSums
from overpaint.datasets.catalogue import Picture, Split, dataset_of
from overpaint.features import BLOCK, COLUMNS
from overpaint.measures.cka import KernelSums
from overpaint.measures.matching import Products
from overpaint.measures.matrix import LayerKernels
from overpaint.measures.maximal import Largest
from overpaint.measures.responses import ClassSums
from overpaint.measures.scores import prediction_table, score
from overpaint.measures.similarity import Neighbours
from overpaint.networks import Network, build
from overpaint.networks.taps import channels_of
from overpaint.records import write_table
from overpaint.run.comparisons import TABLES
from overpaint.seeds import generator

CLASSES = 25
K = 100
SIDES = {"conv2d0": 112, "conv2d1": 56, "conv2d2": 56, "mixed3": 28, "mixed4": 14, "mixed5": 7}
"""The maps of the layers, by how their names begin."""

NAMES = ("before", "after")


# --- what is analysed ----------------------------------------------------------------------------


def split_of(count: int) -> Split:
    """So many pictures with one of 25 labels each, some of them twice in the collection."""
    labels = generator(0, "benchmark labels").integers(0, CLASSES, count)
    pictures = [
        Picture(
            image=f"{number % 97:02}/{number:09}.jpg",
            split="train",
            labels=(f"class {label:02}",),
            digest=f"{number - (number % 1000 == 999):064x}",
        )
        for number, label in enumerate(labels.tolist())
    ]
    return dataset_of("benchmark", Path("nowhere"), pictures).split("train")


def write_features(folder: Path, widths: dict[str, int], split: Split) -> None:
    """Means and positions of two networks, in the chunks of a study, drawn block by block."""
    count, rows_at_once = len(split), 16 * BLOCK
    for layer, width in widths.items():
        side = next(side for name, side in SIDES.items() if layer.startswith(name))
        arrays = {
            (name, what): zarr.create_array(
                folder / f"{name}.zarr" / layer / what,
                shape=(count, width),
                chunks=(min(BLOCK, count), min(width, COLUMNS)),
                dtype=dtype,
                fill_value=fill,
                attributes={"height": side, "width": side},
            ).with_config({"write_empty_chunks": True})
            for name in NAMES
            for what, dtype, fill in (("mean", "f4", np.nan), ("argmax", "i4", -1))
        }
        rng = generator(0, "benchmark features", layer)
        by_class = rng.standard_normal((2, CLASSES, width), np.float32) / 2
        for start in range(0, count, rows_at_once):
            rows = slice(start, min(start + rows_at_once, count))
            shape, labels = (rows.stop - start, width), split.labels[rows]
            values = rng.standard_normal(shape, np.float32)
            changed = 0.8 * values + 0.6 * rng.standard_normal(shape, np.float32)
            for name, part, shift in zip(NAMES, (values, changed), by_class, strict=True):
                arrays[name, "mean"][rows] = np.maximum(part + shift[labels], 0)
                arrays[name, "argmax"][rows] = rng.integers(0, side**2, shape, np.int32)
    for name in NAMES:
        zarr.open_group(folder / f"{name}.zarr", mode="a")


# --- what is measured ----------------------------------------------------------------------------


class Steps:
    """The seconds and the peak of the memory of what was done, step by step."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[float, float, int]] = {}
        self.inner = 0  # the highest of the steps within the one that runs

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Measure a block; a step that comes again is added up."""
        self.rows.setdefault(name, (0.0, 0.0, 0))  # in the order in which the steps begin
        outer, self.inner = self.inner, 0
        reset_peak()
        begin = time.perf_counter(), processors()
        yield
        clock, busy, most = self.rows[name]
        highest = max(self.inner, peak())
        self.inner = max(outer, highest)
        self.rows[name] = (
            clock + time.perf_counter() - begin[0],
            busy + processors() - begin[1],
            max(most, highest),
        )

    def measured(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function itself, each call a step."""

        def call(*arguments: Any, **options: Any) -> Any:
            with self.step(name):
                return function(*arguments, **options)

        return call


def processors() -> float:
    """Seconds of all threads of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def reset_peak() -> None:
    """Let the peak begin anew, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak() -> int:
    """Megabytes, the largest resident memory since it was reset."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) // 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def count_chunks() -> Counter[str]:
    """How often each file of features is read from now on."""
    reads: Counter[str] = Counter()
    get = LocalStore.get

    async def counted(self: LocalStore, key: str, *arguments: Any, **options: Any) -> Any:
        if "/c/" in key:
            reads[f"{self.root.name}/{key}"] += 1
        return await get(self, key, *arguments, **options)

    LocalStore.get = counted  # type: ignore[method-assign]
    return reads


INNER = (
    (comparison, "first_look", "  1st look: means by layer, ranges of channels"),
    (LayerKernels, "of", "  2nd look: matrix of layers, and the products for CKA"),
    (comparison, "look", "  3rd look: reading, and with it"),
    (KernelSums, "add", "    intervals of CKA"),
    (Neighbours, "add", "    neighbours in common"),
    (ChannelSums, "add", "    channels"),
    (Largest, "add", "      maximal images"),
    (Products, "add", "      matching"),
    (ClassSums, "add", "      classes and responses"),
    (layers, "procrustes", "  Procrustes"),
    (comparison, "maximal_table", "  table of maximal images, positions"),
    (comparison, "with_p_values", "  permutation test"),
)
"""Parts of `comparison.tables` that are measured by themselves, by the functions it calls. A thread
reads ahead while they run; its seconds are theirs.
"""


def report(done: int, count: int) -> None:
    """A long run says how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {done} of {count} layers", file=sys.stderr, flush=True)


def analyse(folder: Path, count: int, networks: list[Network]) -> None:
    """Run and time what a study runs, and print a row a step."""
    steps = Steps()
    with steps.step("catalogue and its digest"):
        split = split_of(count)
        assert split.digest
    with steps.step("(features drawn and written)"):
        write_features(folder, channels_of(networks[0], networks[0].layers), split)
    for owner, function, name in INNER:
        setattr(owner, function, steps.measured(name, getattr(owner, function)))
    reads = count_chunks()
    begin, busy = time.perf_counter(), processors()
    before, after = (
        Stored(network, cka=folder / f"{name}.zarr", maximal=folder / f"{name}.zarr")
        for name, network in zip(NAMES, networks, strict=True)
    )
    with steps.step("comparison"):
        made = tables(before, after, split, k=K, seed=0, progress=report)
    with steps.step("tables written"):
        for name in TABLES:
            write_table(folder / f"{name}.parquet", getattr(made, name))
    with steps.step("scores of predictions"):
        chances = generator(0, "benchmark predictions").dirichlet(np.full(CLASSES, 0.1), count)
        score(chances, split.labels, split.classes, dataset="benchmark", split="train", seed=0)
        predicted = prediction_table(
            chances,
            images=split.images,
            labels=[picture.labels for picture in split.pictures],
            classes=split.classes,
        )
        write_table(folder / "predictions.parquet", predicted)
    whole = time.perf_counter() - begin, processors() - busy
    highest = max(most for _, _, most in steps.rows.values())
    steps.rows["all but the drawing of features"] = (*whole, highest)
    for name, (clock, used, most) in steps.rows.items():
        print(f"{count:9,}  {name:58} {clock:8.1f} s {used:8.1f} s {most:6,} MB", flush=True)
    for what in ("mean", "argmax"):
        of_array = [number for key, number in reads.items() if f"/{what}/" in key]
        print(
            f"{count:9,}  chunks of {what}: {len(of_array):,}, read "
            f"{sum(of_array) / max(len(of_array), 1):.1f} times on average, "
            f"{max(of_array, default=0)} at most"
        )


def main() -> None:
    """Read the options; measure each number of pictures in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, nargs="+", default=[2_000, 20_000, 200_000])
    parser.add_argument("--folder", type=Path, default=Path("million-data"), help="14 GB at most")
    parser.add_argument("--keep", action="store_true", help="leave features and tables there")
    options = parser.parse_args()
    if len(options.pictures) > 1:
        print(f"{'pictures':>9}  {'step':58} {'clock':>10} {'processors':>10} {'memory':>9}")
        for count in options.pictures:
            own = ["--pictures", str(count), "--folder", str(options.folder)]
            command = [sys.executable, __file__, *own, *(["--keep"] if options.keep else [])]
            subprocess.run(command, check=True)  # noqa: S603
        return
    count = options.pictures[0]
    folder = options.folder / str(count)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    networks = [build("inception_v1", classes=("a",), seed=seed) for seed in (0, 1)]
    try:
        analyse(folder, count, networks)
    finally:
        if not options.keep:
            shutil.rmtree(folder)
            if not any(options.folder.iterdir()):
                options.folder.rmdir()


if __name__ == "__main__":
    main()
