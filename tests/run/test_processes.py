"""Several processes and several jobs make of a study what one process makes of it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.numpy import load_file
from threadpoolctl import threadpool_limits

from overpaint.errors import NetworkError, StudyError
from overpaint.networks import build
from overpaint.processes import Processes
from overpaint.progress import Progressing
from overpaint.records import StudyFolder, read_json, read_table
from overpaint.run import run_study
from overpaint.study import read_study
from overpaint.training.batch_norms import over_whole_batches

CODE = """\
import overpaint
import torch
from torch import nn


def block(before, after, *more):
    convolution = nn.Conv2d(before, after, 3, stride=2, padding=1)
    return nn.Sequential(convolution, nn.ReLU(), *more)


class Plain(nn.Module):  # without batch norm, of which each process has its own
    def __init__(self):
        super().__init__()
        self.one = block(3, 8)
        self.two = block(8, 12, nn.Dropout2d(0.2))
        self.three = block(12, 16, nn.Dropout(0.1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(16, 5)

    def forward(self, pictures):
        return self.head(self.pool(self.three(self.two(self.one(pictures)))).flatten(1))


def make():
    torch.manual_seed(0)
    return overpaint.wrap(Plain(), preprocessing={"size": 64})
"""

STUDY = """\
study: shared
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 40, val: 70, test: 270}}
networks:
  source: {load: "plain:make"}
  small: {load: inception_small, weights: random}
  other: {load: inception_small, weights: random, seed: 5}
  tuned:
    from: source
    fit: photographs
    recipe: mode_d
    with: {epochs: 1, batch_size: 15, head_lr: 0.1, backbone_lr: 0.1, dropout: 0.2,
           auxiliary_dropout: 0.5, clip_norm: 1.0}
  mixed:
    from: source
    fit: photographs
    recipe: mode_a
    with: {epochs: 1, batch_size: 3, head_lr: 0.1, backbone_lr: 0.1, mixup: 0.2, ema: 0.9,
           class_weights: balanced, augment: rand-m9, crop: random, flip: true}
compare:
  - {pair: [small, other], on: photographs/test}
maximal_images: 8
render: {layers: [mixed3b], channels: [1, 4, 5], steps: 3, size: 48, together: true}
"""

CAUSES = """\
study: caused
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 30, val: 20, test: 40}}
networks:
  source: {load: "plain:make"}
  tuned:
    {from: source, fit: photographs, recipe: mode_a, with: {epochs: 1, head_lr: 0.1}, repeats: 2}
compare:
  - [source, tuned]
causes: true
"""

LONG = """\
study: long
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 24, val: 8, test: 16}}
networks:
  source: {load: "plain:make"}
  tuned: {from: source, fit: photographs, recipe: mode_a, with: {epochs: 60, batch_size: 8}}
"""

JOBS = """\
study: jobs
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 24, val: 8, test: 16}}
networks:
  source: {load: inception_small, weights: random}
  tuned: {from: source, fit: photographs, recipe: frozen, with: {epochs: 1}, repeats: 2}
  wild:
    from: source
    fit: photographs
    recipe: mode_c
    with: {epochs: 2, batch_size: 8, backbone_lr: 9.0, weight_penalty: 1000.0}
  orphan: {from: wild, fit: photographs, recipe: frozen}
"""

ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ACCELERATE_USE_CPU": "true",
}


def place(folder: Path, text: str) -> Path:
    """A folder with a study and the code that it names."""
    folder.mkdir(exist_ok=True)
    (folder / "plain.py").write_text(CODE)
    (folder / "study.yaml").write_text(text)
    return folder


def words(folder: Path, *options: str) -> list[str]:
    """The command line after `python`."""
    study, out = str(folder / "study.yaml"), str(folder / "run")
    return ["-m", "overpaint", "run", study, "--out", out, "--allow-code", *options]


def carry_out(folder: Path, *options: str, processes: int = 1) -> subprocess.CompletedProcess[str]:
    """Run the study of a folder, by torchrun where there are several processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [sys.executable, *(launcher if processes > 1 else []), *words(folder, *options)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, env=ENVIRONMENT, timeout=600
    )


def carry_out_here(folder: Path) -> None:
    """Run it in this process, on one thread like the others: torch need not be imported again."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        study = read_study(str(folder / "study.yaml"))
        with threadpool_limits(1):  # NumPy's own threads too
            run_study(study, folder / "run", Progressing(Console(quiet=True)), allow_code=True)
    finally:
        torch.set_num_threads(threads)


def contents(folder: Path, *parts: str) -> dict[str, bytes]:
    """What the files of some parts of a study folder hold."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for part in parts
        for path in (folder / part).rglob("*")
        if path.is_file()
    }


def farthest(one: Path, other: Path, network: str) -> float:
    """The largest difference of a weight."""
    before, after = (
        load_file(StudyFolder(folder / "run").network(network) / "weights.safetensors")
        for folder in (one, other)
    )
    return max(float(np.abs(before[name] - after[name]).max()) for name in before)


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> Path:
    """The study, carried out by one process."""
    folder = place(tmp_path_factory.mktemp("processes") / "one", STUDY)
    carry_out_here(folder)
    return folder


MEASURED = ("features", "comparisons", "renderings")


@pytest.mark.parametrize("count", [2, 4])
def test_several_processes_make_the_same(one, tmp_path, count):
    """Features, tables and renderings are the same to the byte, trainings within 1e-5, whatever
    they draw; and what has to be said is said once.
    """
    folder = place(tmp_path / "several", STUDY)
    shutil.copytree(one / "run", folder / "run")
    for part in MEASURED:
        shutil.rmtree(folder / "run" / part)
    for name in ("tuned", "tuned.init", "mixed", "mixed.init"):
        shutil.rmtree(folder / "run/networks" / name, ignore_errors=True)
    done = carry_out(folder, processes=count)
    assert done.returncode == 0, done.stderr
    before, after = (contents(place / "run", *MEASURED) for place in (one, folder))
    assert any(name.endswith(".png") for name in before)
    assert [name for name in before | after if before.get(name) != after.get(name)] == []
    for name in ("tuned", "mixed"):
        assert farthest(one, folder, name) < 1e-5
        rows = [read_table(place / f"run/networks/{name}/history.parquet")
                for place in (one, folder)]  # fmt: skip
        losses = [row[["train_loss", "val_loss"]].to_numpy() for row in rows]
        assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    made_on = read_json(folder / "run/networks/tuned/manifest.json")["device"]
    assert made_on == f"cpu, float32, {count} processes"
    assert done.stdout.count("compare small with other") == 1


def test_causes_are_the_same_by_several_processes(tmp_path):
    """What other weights would do, what layers know and difference concepts, to the byte."""
    alone, together = place(tmp_path / "alone", CAUSES), place(tmp_path / "together", CAUSES)
    carry_out_here(alone)
    shutil.copytree(alone / "run", together / "run")
    parts = ("causes", "probes", "concepts")
    before = contents(alone / "run", *parts)
    assert {name.partition("/")[0] for name in before} == set(parts)
    for part in parts:
        shutil.rmtree(together / "run" / part)
    done = carry_out(together, processes=2)
    assert done.returncode == 0, done.stderr
    after = contents(together / "run", *parts)
    assert [name for name in before | after if before.get(name) != after.get(name)] == []


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def begin(folder: Path, count: int) -> list["subprocess.Popen[str]"]:
    """The processes of a run, with nobody who looks after them as torchrun does."""
    port = str(free_port())
    return [
        subprocess.Popen(
            [sys.executable, *words(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT
            | {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(count),
                "LOCAL_WORLD_SIZE": str(count),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
            },
        )
        for rank in range(count)
    ]


def test_a_killed_process_ends_all_and_a_rerun_goes_on(tmp_path):
    """In the middle of a training the others end within seconds, say which was killed, and the same
    command, now of one process, comes to the tables of an unbroken run.
    """
    whole, broken = place(tmp_path / "whole", LONG), place(tmp_path / "broken", LONG)
    processes = begin(broken, 3)
    checkpoint = StudyFolder(broken / "run").checkpoint("tuned")
    try:
        deadline = time.monotonic() + 200
        while not checkpoint.is_file() and time.monotonic() < deadline:
            assert all(process.poll() is None for process in processes), "ended too early"
            time.sleep(0.02)
        killed = time.monotonic()
        processes[1].send_signal(signal.SIGKILL)
        for process in (processes[0], processes[2]):
            _, said = process.communicate(timeout=10)
            assert process.returncode == 1
            assert "process 2 of 3 was killed" in said
            assert "Traceback" not in said
        assert time.monotonic() - killed < 10
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert not StudyFolder(broken / "run").network("tuned").exists()
    carry_out_here(broken)
    carry_out_here(whole)
    assert farthest(whole, broken, "tuned") < 1e-5
    scores = [read_json(folder / "run/networks/tuned/scores.json") for folder in (whole, broken)]
    assert scores[0] == scores[1]


def test_the_message_of_the_process_that_fails_ends_all(tmp_path):
    """While the first waits for the second in a step of training, the second fails by itself."""
    folder = place(tmp_path / "broken", LONG)
    fault = "import os\n        if self.training and os.environ['RANK'] == '1':\n"
    fault += "            raise ValueError('no luck')\n        return self.head("
    (folder / "plain.py").write_text(CODE.replace("return self.head(", fault))
    processes = begin(folder, 2)
    try:
        for process in processes:
            _, said = process.communicate(timeout=200)
            assert process.returncode == 1
            assert "process 2 of 2 failed: ValueError: no luck" in said
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_where_nothing_is_missing_processes_end_quietly(one):
    """They do not meet, none but the first says anything, and torch is not imported."""
    code = (
        "import sys; from overpaint.cli import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    for rank, lines in ((1, 0), (0, 1)):
        done = subprocess.run(
            [sys.executable, "-c", code, *words(one)[2:]],
            check=False,
            capture_output=True,
            text=True,
            env=ENVIRONMENT | {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("report: ") == lines
        assert bool(done.stdout) is bool(lines)


def test_jobs_make_the_same(tmp_path):
    """Trainings at once, each after its parent's, come to the same bytes; failures are told as in
    one process, and what a job says comes with its network's name.
    """
    folders = [place(tmp_path / name, JOBS) for name in ("one", "two")]
    carry_out_here(folders[0])
    done = carry_out(folders[1], "--jobs", "2")
    assert done.returncode == 1
    parts = ("networks", "failures.json", "repeats.json")
    before, after = (contents(folder / "run", *parts) for folder in folders)
    assert before
    assert before == after
    failures = [json.loads((folder / "run/failures.json").read_text()) for folder in folders]
    assert failures[0] == failures[1]
    assert failures[1].keys() == {"wild", "orphan"}
    assert "tuned.2 | network tuned.2: train on photographs" in done.stdout
    assert done.stdout.count("the training diverged") == 2  # on the way, and at the end


def test_a_stopped_run_leaves_no_job(tmp_path):
    """A job ends with the run, also with one that was killed."""
    folder = place(tmp_path / "jobs", LONG.replace("epochs: 60", "epochs: 2000"))
    run = subprocess.Popen(
        [sys.executable, *words(folder, "--jobs", "2")], stdout=subprocess.PIPE, env=ENVIRONMENT
    )
    checkpoint = StudyFolder(folder / "run").checkpoint("tuned")
    deadline = time.monotonic() + 200
    while not checkpoint.is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    run.kill()
    run.communicate()
    time.sleep(2)
    written = checkpoint.stat().st_mtime_ns
    time.sleep(1)
    assert checkpoint.stat().st_mtime_ns == written


def test_jobs_are_for_one_process(tmp_path, monkeypatch):
    """Processes that train together are not given jobs as well."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    study = read_study(str(place(tmp_path / "jobs", JOBS) / "study.yaml"))
    with pytest.raises(StudyError, match="leave --jobs out") as caught:
        run_study(study, tmp_path / "run", Progressing(Console(quiet=True)), jobs=2)
    assert caught.value.slug == "jobs-of-processes"
    assert not (tmp_path / "run").exists()


def test_batch_norm_over_processes_is_refused_on_a_cpu():
    """Torch has it on GPUs only, and it is said before a step of training."""
    network = build("inception_small", classes=("a", "b"), seed=0)
    with (
        pytest.raises(NetworkError, match="batch_norm 'local'") as caught,
        over_whole_batches(network, on=True),
    ):
        pass
    assert caught.value.slug == "no-global-norm"


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_item_is_somebodys(count):
    """The parts of all processes are the whole, in order, and nearly alike."""
    items = list(range(10))
    parts = [Processes(rank=rank, count=count).share(items) for rank in range(count)]
    assert [item for part in parts for item in part] == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
