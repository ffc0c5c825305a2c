"""Every kind of work: overpaint, its peers and the limit, in one run; writes docs/performance.md.

    make bench [PICTURES=FOLDER] [TIMM=FILE]
    .venv-bench/bin/python benchmarks/all.py [--only PART …] [--rounds 3] [--pictures FOLDER]
        [--timm FILE] [--json docs/performance.json]

Each part is a process of its own; what fails, or takes longer than it may, is told in the page, and
the others go on. The figures of this machine replace its earlier ones in the JSON file, those of
other machines stay; the page is made from that file and nothing else (`benchmarks/page.py`).

PICTURES is a folder of JPEG files to train on, as `rasta_small`; without it they are drawn. TIMM is
timm's training script, `train.py` of its repository, which PyPI does not have.
"""

import argparse
import datetime as dt
import importlib
import importlib.metadata
import json
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import torch
from page import page
from rounds import Case

from overpaint.device import chosen

ROOT = Path(__file__).parents[1]
VERSIONS = (
    *("torch", "torchvision", "timm", "accelerate", "numpy", "pillow", "zarr", "torch_cka"),
    *("torch-lucent", "kornia"),
)
LIMIT = 420
"""Seconds that a part may take."""


def training(options: argparse.Namespace) -> Iterator[Case]:
    """Training, with timm's script where there is one."""
    large = chosen().device.type == "cuda"
    yield from importlib.import_module("train").cases(
        batches=(32, 256) if large else (16,),
        images=1024 if large else 64,
        rounds=options.rounds,
        pictures=options.pictures,
    )
    if options.timm:
        yield script_of_timm(options)


def script_of_timm(options: argparse.Namespace) -> Case:
    """The script of timm itself, two epochs; its own figures of each batch of the second."""
    train = importlib.import_module("train")
    device, count, batch = chosen().device.type, 64, 16
    with TemporaryDirectory() as made:
        pictures = options.pictures or Path(made) / "drawn"
        if options.pictures is None:
            pictures.mkdir()
            train.noise(pictures, count)
        for number, path in enumerate(sorted(pictures.resolve().rglob("*.jpg"))[:count]):
            for split in ("train", "validation"):
                place = Path(made, "sorted", split, "ab"[number % 2])
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{number}.jpg").symlink_to(path)
        command = [
            *(sys.executable, options.timm, "--data-dir", f"{made}/sorted", "--model", "resnet18"),
            *("--num-classes", "2", "--epochs", "2", "--warmup-epochs", "0", "--opt", "sgd"),
            *("--lr", "1e-3", "--device", device, "--workers", "2", "--log-interval", "1"),
            *("--batch-size", str(batch), "--color-jitter", "0", "--output", f"{made}/out"),
        ]
        if device == "cuda":
            command += ["--amp", "--amp-dtype", "bfloat16", "--channels-last"]
        done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603, PLW1510
    lines = re.findall(r"Train: 1 .*Time: ([\d.]+)s", done.stdout + done.stderr)
    way = "timm's training script, decoding anew"
    last = (done.stderr.strip().splitlines() or [""])[-1]
    return Case(
        title=f"resnet18, batch {batch}, by timm's training script (a process of its own)",
        amount=batch,
        unit="images",
        seconds={way: [(float(each), 0.0) for each in lines]} if lines else {},
        failed={} if lines else {way: f"status {done.returncode}: {last}"[:200]},
        base=way,
        remarks=["each batch of the second epoch, as the script tells them"],
    )


def decoding(options: argparse.Namespace) -> Iterator[Case]:
    """Decode and feed."""
    return importlib.import_module("decode").cases(rounds=options.rounds)


def features(options: argparse.Namespace) -> Iterator[Case]:
    """The feature pass."""
    images = 2048 if chosen().device.type == "cuda" else 64
    return importlib.import_module("features").cases(images=images, rounds=options.rounds)


def cka(_options: argparse.Namespace) -> Iterator[Case]:
    """The matrix of layers; torch_cka takes most of the time, so rounds are two."""
    return importlib.import_module("measure").cases(rounds=2)


def maximal(options: argparse.Namespace) -> Iterator[Case]:
    """Maximal images."""
    return importlib.import_module("maximal").cases(rounds=options.rounds)


def rendering(_options: argparse.Namespace) -> Iterator[Case]:
    """Renderings."""
    return importlib.import_module("render").cases(rounds=2)


def report(options: argparse.Namespace) -> Iterator[Case]:
    """The report."""
    return importlib.import_module("report").cases(rounds=options.rounds)


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[Case]]] = {
    "training": training,
    "decode and feed": decoding,
    "feature pass": features,
    "CKA of all layers": cka,
    "maximal images": maximal,
    "rendering": rendering,
    "report": report,
}


def part(name: str, options: argparse.Namespace) -> None:
    """Measure one part in this process; the file has each case as soon as it is measured."""
    cases = []
    for case in PARTS[name](options):
        case.show()
        cases.append(asdict(case))
        options.json.write_text(json.dumps(cases))


def in_a_process(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One part, as the JSON file has it."""
    print(f"\n## {name}\n", flush=True)
    begin, failed = time.perf_counter(), ""
    with TemporaryDirectory() as made:
        file = Path(made) / "cases.json"
        command = [sys.executable, __file__, "--part", name, "--json", str(file)]
        command += ["--rounds", str(options.rounds)]
        for option in ("pictures", "timm"):
            if value := getattr(options, option):
                command += [f"--{option}", str(value)]
        try:
            done = subprocess.run(  # noqa: S603, PLW1510
                command, stderr=subprocess.PIPE, text=True, timeout=LIMIT
            )
            if done.returncode:
                last = (done.stderr.strip().splitlines() or [""])[-1]
                failed = f"status {done.returncode}: {last}"[:300]
        except subprocess.TimeoutExpired:
            failed = f"out of time after {LIMIT} s"
        cases = json.loads(file.read_text()) if file.exists() else []
    if failed:
        print(f"failed: {failed}", flush=True)
    return {
        "part": name,
        "took": round(time.perf_counter() - begin),
        "failed": failed,
        "cases": cases,
    }


def machine(options: argparse.Namespace) -> dict[str, Any]:
    """What is measured on, and with."""
    device = chosen().device
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", info.read_text()) if info.exists() else []
    versions = {}
    for name in ("overpaint", *VERSIONS):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not there"
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "versions": versions,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "command": shlex.join(["benchmarks/all.py", *sys.argv[1:]]),
        "pictures": options.pictures.name if options.pictures else "",
        "rounds": options.rounds,
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=Path, help="a folder with JPEG files to train on")
    parser.add_argument("--timm", type=Path, help="timm's train.py")
    parser.add_argument("--json", type=Path, default=ROOT / "docs/performance.json")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        part(options.part, options)
        return
    here = machine(options)
    load, begin = os.getloadavg()[0], time.perf_counter()
    told = json.loads(options.json.read_text()) if options.json.exists() else []
    place = {"device": here["device"], "processor": here["processor"], "cores": here["cores"]}
    others = [run for run in told if {name: run[name] for name in place} != place]
    parts = []
    for name in options.only:
        parts.append(in_a_process(name, options))
        took = round(time.perf_counter() - begin)
        run = here | {"load": round(load, 1), "took": took, "parts": parts}
        machines = sorted([*others, run], key=lambda run: (run["device"] != "cpu", run["device"]))
        # after each part: a run that is broken off has its figures all the same
        options.json.write_text(json.dumps(machines, indent=1) + "\n")
        options.json.with_suffix(".md").write_text(page(machines), encoding="utf-8")
    print(f"\n{options.json.with_suffix('.md')}, after {took} s")


if __name__ == "__main__":
    main()
