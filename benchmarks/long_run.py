"""A long run: memory, open files and processes of a study of 20,000 pictures and 200 epochs.

    .venv/bin/python benchmarks/long_run.py [--plot docs/long-run.svg] [--pictures 20000]
                                            [--epochs 200] [--folder FOLDER]

The pictures are of 32 × 32 pixels, painted at random in the colour of their class; the network has
two convolutions. So an epoch takes a second or two, and what a run keeps of each epoch or picture
would show. The study is run by the command line as a process of its own, which is looked at twice a
second: its resident memory, its open files, its threads, its child processes. Printed is, for each
stage, the least and the most of each, and what the memory grows by from the tenth epoch to the
last; then which processes are left of the run when it has ended.
"""

import argparse
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import altair as alt
import numpy as np
import pandas as pd
import psutil
from PIL import Image

CODE = """\
import overpaint
import torch
from torch import nn


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
        self.two = nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU())
        self.head = nn.Linear(16, 4)

    def forward(self, pictures):
        return self.head(self.two(self.one(pictures)).mean((2, 3)))


def make():
    torch.manual_seed(0)
    return overpaint.wrap(Small(), preprocessing={"size": 32})
"""

STUDY = """\
study: long
datasets:
  many: {kind: table, file: labels.csv, root: ., path: path, label: label, split: split}
networks:
  source: {load: "small:make"}
  tuned:
    {from: source, fit: many, recipe: mode_a, with: {epochs: EPOCHS, batch_size: 256}}
compare: [[source, tuned]]
maximal_images: 20
render: {layers: [two], channels: most_changed(4), steps: 32, size: 32}
"""

COLOURS = {"red": (200, 60, 50), "green": (60, 160, 70), "blue": (50, 80, 190), "grey": (128,) * 3}


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a look at the process saw."""

    minutes: float
    stage: str
    megabytes: float
    files: int
    threads: int
    children: int


def paint(folder: Path, pictures: int) -> None:
    """So many pictures and their table: eight of ten to train on."""
    rng = np.random.default_rng(0)
    lines, names = ["path,label,split"], list(COLOURS)
    for number in range(pictures):
        name = names[number % len(names)]
        place = folder / f"{number // 1000:03d}" / f"{number:06d}.jpg"
        place.parent.mkdir(exist_ok=True)
        noise = rng.normal(0, 60, (32, 32, 3)) + np.array(COLOURS[name])
        Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(place, quality=80)
        split = {8: "val", 9: "test"}.get(number // len(names) % 10, "train")
        lines.append(f"{place.relative_to(folder).as_posix()},{name},{split}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")


def watch(process: "subprocess.Popen[str]") -> tuple[list[Look], list[str]]:
    """Look at a process until it ends; what it said is read by the way, and names the stage."""
    begun, watched, looks = time.monotonic(), psutil.Process(process.pid), list[Look]()
    lines: list[str] = []
    assert process.stdout is not None
    output = process.stdout
    reader = threading.Thread(target=lambda: lines.extend(iter(output.readline, "")))
    reader.start()
    while process.poll() is None:
        try:
            if watched.status() == psutil.STATUS_ZOMBIE:
                continue
            with watched.oneshot():
                looks.append(
                    Look(
                        minutes=(time.monotonic() - begun) / 60,
                        stage=stage_of(lines),
                        megabytes=watched.memory_info().rss / 1e6,
                        files=watched.num_fds(),
                        threads=watched.num_threads(),
                        children=len(watched.children(recursive=True)),
                    )
                )
        except psutil.NoSuchProcess:
            break
        time.sleep(0.5)
    reader.join()
    return looks, lines


STAGES = {
    "read the pictures": r"\0",
    "train": r"network source: load",
    "features": r"network tuned: train on \S+  ",
    "compare": r"features of .*  ",
    "draw and report": r"compare .*  ",
}
"""Each begins when the line has been said that ends the one before."""


def stage_of(lines: list[str]) -> str:
    """The stage that a run is at, by the lines that it has said."""
    stage = "read the pictures"
    for name, pattern in STAGES.items():
        if any(re.match(pattern, line) for line in list(lines)):
            stage = name
    return stage


def chart(table: pd.DataFrame) -> alt.VConcatChart:
    """Memory above, open files below, over the minutes of the run."""
    stages = list(dict.fromkeys(table["stage"]))
    colours = alt.Scale(
        domain=stages, range=["#8a8a8a", "#9a3412", "#1d4ed8", "#047857", "#7c3aed"]
    )
    base = alt.Chart(table, width=560).encode(
        x=alt.X("minutes:Q", title="minutes of the run"),
        color=alt.Color("stage:N", sort=stages, title=None, scale=colours,
                        legend=alt.Legend(orient="top")),
    )  # fmt: skip
    memory = base.mark_line(strokeWidth=2).encode(
        y=alt.Y("megabytes:Q", title="resident memory, MB", scale=alt.Scale(zero=True))
    )
    files = base.mark_line(strokeWidth=2, interpolate="step-after").encode(
        y=alt.Y("files:Q", title="open files", scale=alt.Scale(zero=True))
    )
    both = alt.vconcat(memory.properties(height=200), files.properties(height=90))
    return both.properties(background="white")


def main() -> None:
    """Run the study and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--folder", type=Path, help="where pictures and run stay")
    asked = parser.parse_args()
    with TemporaryDirectory() as passing:
        place = asked.folder or Path(passing)
        place.mkdir(parents=True, exist_ok=True)
        paint(place, asked.pictures)
        (place / "small.py").write_text(CODE)
        (place / "study.yaml").write_text(STUDY.replace("EPOCHS", str(asked.epochs)))
        process = subprocess.Popen(
            [sys.executable, "-m", "overpaint", "run", "study.yaml", "--out", "run",
             "--allow-code"],
            cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        looks, lines = watch(process)
        if process.returncode:
            sys.exit("".join(lines[-20:]))
        left = [
            other.pid for other in psutil.process_iter() if session_of(other.pid) == process.pid
        ]
        history = pd.read_parquet(place / "run" / "networks" / "tuned" / "history.parquet")
    table = pd.DataFrame([asdict(look) for look in looks])
    print("".join(lines))
    print(f"{asked.pictures:,} pictures, {len(history)} epochs")
    for stage, rows in table.groupby("stage", sort=False):
        spans = ", ".join(
            f"{rows[column].min():.0f} … {rows[column].max():.0f} {what}"
            for column, what in (("megabytes", "MB"), ("files", "open files"),
                                 ("threads", "threads"), ("children", "children"))
        )  # fmt: skip
        print(f"{stage:18} {rows['minutes'].max() - rows['minutes'].min():5.1f} min  {spans}")
    training = table[table["stage"] == "train"]
    settled = training[training["minutes"] > training["minutes"].quantile(0.1)]
    first, last = (
        settled["megabytes"].iloc[part].median() for part in (slice(20), slice(-20, None))
    )
    slope = np.polyfit(settled["minutes"], settled["megabytes"], 1)[0]
    in_all = slope * (settled["minutes"].max() - settled["minutes"].min())
    print(f"memory from the first tenth of the training to its end: {first:.0f} -> {last:.0f} MB, "
          f"by a straight line {in_all:+.1f} MB; processes left: {len(left)}")  # fmt: skip
    if asked.plot:
        chart(table).save(asked.plot)


def session_of(pid: int) -> int:
    """The session of a process; 0 of one that has ended."""
    try:
        return os.getsid(pid)
    except OSError:
        return 0


if __name__ == "__main__":
    main()
