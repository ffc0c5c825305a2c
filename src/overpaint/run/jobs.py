"""Jobs: independent trainings of a study made at once, each by a process of its own.

A study has ten small trainings, repeats and routes, more often than a large one: with several GPUs
each job has the next of them, on a CPU all have a share of the threads. A training waits for that
of its parent. What a job says comes with its network's name before it, and what it wrote the run
finds in the folder, as after an earlier run.

A job is a process of `main` below, which is told what to do by its standard input. That stays open
as long as the run lives: where it ends, the job ends too.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from rich.console import Console

from overpaint.datasets import Dataset
from overpaint.defaults import DEVICE_VARIABLE
from overpaint.errors import MachineError, NetworkError
from overpaint.machine import refusals_told
from overpaint.progress import Progressing
from overpaint.records import StudyFolder
from overpaint.records.claims import Claims
from overpaint.records.drafts import forget_mine
from overpaint.run.networks import keep_network, must_make_network, note_failure
from overpaint.run.workspace import Workspace
from overpaint.study import Study

PAUSE = 0.1
"""Seconds between two looks at the jobs."""

FAREWELL = 2.0
"""Seconds that a job has to end when it is asked to."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")

OF_A_TERMINAL = [getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)]
"""Signals that come to all processes of a terminal. A job leaves them to the run, which ends it."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a job is told: a workspace as far as it can be sent, and which network to train."""

    study: Study
    folder: StudyFolder
    trackers: tuple[str, ...]
    allow_code: bool
    datasets: dict[str, Dataset]
    split_digests: dict[str, dict[str, str]]
    network: str
    failure: Path  # where a failure is to be written


@dataclass(kw_only=True)
class Job:
    """A training on its way: its process, and where its failure would stand."""

    name: str
    process: "subprocess.Popen[bytes]"
    failure: Path
    slot: int
    reader: threading.Thread = field(repr=False)


def train_at_once(work: Workspace, jobs: int) -> None:
    """Make the trainings that the folder lacks, at most so many at once; what fails is noted."""
    waiting = list(work.study.all_networks)
    running: dict[str, Job] = {}
    with TemporaryDirectory() as notes, _ended(running):
        while waiting or running:
            for name in list(waiting):
                entry = work.study.all_networks[name]
                if {*entry.parents} & {*waiting, *running}:
                    continue
                if entry.recipe is None or {*entry.parents} & {*work.failed}:
                    keep_network(work, name)
                elif must_make_network(work, name):
                    free = sorted(set(range(jobs)) - {job.slot for job in running.values()})
                    if not free:
                        break
                    running[name] = _start(work, name, free[0], jobs, Path(notes))
                waiting.remove(name)
            for name, job in list(running.items()):
                if job.process.poll() is not None:
                    del running[name]
                    _finish(work, job)
            time.sleep(PAUSE if running else 0)


def _start(work: Workspace, name: str, slot: int, jobs: int, notes: Path) -> Job:
    """Begin the training of a network, beside others."""
    failure = notes / f"{len(list(notes.iterdir()))}-{slot}.pickle"
    failure.touch()
    environment = os.environ | _of_slot(slot, jobs)
    with _shut_out(OF_A_TERMINAL):  # a job has them shut out from its first instant on
        process = subprocess.Popen(
            [sys.executable, "-c", "from overpaint.run.jobs import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    reader = threading.Thread(target=_tell, args=(work, name, process.stdout), daemon=True)
    reader.start()
    order = Order(
        study=work.study,
        folder=work.folder,
        trackers=work.trackers,
        allow_code=work.allow_code,
        datasets=work.datasets,
        split_digests=work.split_digests,
        network=name,
        failure=failure,
    )
    with suppress(BrokenPipeError):  # it has ended already, and said why
        pickle.dump(order, process.stdin)
        process.stdin.flush()
    return Job(name=name, process=process, failure=failure, slot=slot, reader=reader)


@contextmanager
def _shut_out(signals: Iterable[signal.Signals]) -> Iterator[None]:
    """Signals that come inside the block wait for its end; who is begun in it never sees them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _of_slot(slot: int, jobs: int) -> dict[str, str]:
    """Variables of a job: a GPU of its own where there are several and none is asked for, else a
    share of the threads where nobody has said how many.
    """
    import torch

    if torch.cuda.is_available() and os.environ.get(DEVICE_VARIABLE) in (None, "", "cuda"):
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        gpus = visible.split(",") if visible else list(map(str, range(torch.cuda.device_count())))
        return {"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]}
    if any(os.environ.get(variable) for variable in THREADS):
        return {}
    return dict.fromkeys(THREADS, str(max(torch.get_num_threads() // jobs, 1)))


def _tell(work: Workspace, name: str, output: IO[bytes]) -> None:
    """Say what a job says, line by line."""
    for line in output:
        work.progress.say(f"{name} | {line.decode(errors='replace').rstrip()}")


def _finish(work: Workspace, job: Job) -> None:
    """Note how a job has ended."""
    job.reader.join()
    if job.process.stdin:
        job.process.stdin.close()
    if job.failure.stat().st_size:
        failure = pickle.loads(job.failure.read_bytes())  # noqa: S301 - it is ours
        if isinstance(failure, MachineError):
            raise failure
        work.failed[job.name] = failure  # it has said so itself
    elif job.process.returncode:
        error = NetworkError(
            "job-ended",
            f"the process that trained {job.name} ended with status {job.process.returncode}; what "
            "it said stands above, and the same command goes on from its last whole epoch",
        )
        note_failure(work, job.name, error)


@contextmanager
def _ended(running: dict[str, Job]) -> Iterator[None]:
    """After the block no job is left, however it ends."""
    try:
        yield
    finally:
        for job in running.values():
            job.process.terminate()
        for job in running.values():
            try:
                job.process.wait(FAREWELL)
            except subprocess.TimeoutExpired:
                job.process.kill()
                job.process.wait()


# --- the job itself ------------------------------------------------------------------------------


def main() -> None:
    """Train the network that standard input tells of."""
    for number in OF_A_TERMINAL:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _end(128 + signal.SIGTERM))
    order: Order = pickle.load(sys.stdin.buffer)  # noqa: S301 - the run has written it
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    work = Workspace(
        order.study,
        order.folder,
        Progressing(Console(soft_wrap=True, force_terminal=False)),
        order.trackers,
        allow_code=order.allow_code,
        datasets=order.datasets,
        split_digests=order.split_digests,
    )
    with Claims(work.folder.root / "trainings" / ".claims") as claims:
        while not claims.take(order.network):
            time.sleep(PAUSE)  # another run is at it, and may leave nothing to do
        try:
            with refusals_told(order.folder.root):
                keep_network(work, order.network)
        except MachineError as error:
            work.failed[order.network] = error
    if order.network in work.failed:
        order.failure.write_bytes(pickle.dumps(work.failed[order.network]))


def _end_with_the_run() -> None:
    while os.read(
        0, 1
    ):  # and not by sys.stdin, whose lock a daemon thread must not hold at the end
        pass
    _end(1)


def _end(status: int) -> None:
    forget_mine()
    os._exit(status)
