"""Trials of bad input: each door is entered in a fork of one warm process, whose memory and time
are measured. Torch is not imported, so a trial costs some hundredths of a second.

    with Trials() as trials:
        outcome = trials.command(folder, "report", ".")
        outcome.status, outcome.slug, outcome.megabytes
"""

import importlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

SOURCES = Path(__file__).parents[2] / "src"

IMPORTS = ("pyarrow.parquet", "openpyxl", "rich.console", "overpaint.cli", "overpaint.run",
           "overpaint.report", "overpaint.report.export.against", "overpaint.cli.drawing",
           "overpaint.datasets.opening", "overpaint.datasets.museum")  # fmt: skip

CPU_SECONDS = 20
HANGING = 240
"""Seconds by the clock, on a machine that does other work as well."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a trial ended."""

    status: int  # minus the signal, where one ended it
    output: str  # both streams
    megabytes: float  # the most resident memory, that of the warm process included
    seconds: float  # of processors

    @property
    def slug(self) -> str:
        """The last word in brackets of what was printed."""
        words = re.findall(r"\[([a-z]+(?:-[a-z]+)*)\]\s*$", self.output)
        return words[-1] if words else ""


class Trials:
    """The warm process."""

    def __enter__(self) -> Self:
        single = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self.process = subprocess.Popen(
            [sys.executable, "-c", "import trials; trials.serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent,
            env=os.environ | single | {"PYTHONPATH": str(SOURCES), "COLUMNS": "200"},
        )
        assert self.process.stdout
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)

    def command(self, folder: Path, *arguments: str, **environment: str) -> Outcome:
        """`overpaint ARGUMENTS` in a folder."""
        return self._order(folder, arguments=arguments, environment=environment)

    def python(self, folder: Path, door: str, *positional: Any, **named: Any) -> Outcome:
        """A function of `module:name` in a folder."""
        return self._order(folder, door=door, positional=positional, named=named)

    def _order(self, folder: Path, **order: Any) -> Outcome:
        assert self.process.stdin
        assert self.process.stdout
        output = folder.with_name(f"{folder.name}.output")
        order |= {"folder": str(folder), "output": str(output)}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return Outcome(**answer, output=output.read_text(errors="replace"))


def serve() -> None:
    """Carry out orders of standard input, a JSON line each."""
    for name in IMPORTS:
        importlib.import_module(name)
    orders, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    answers.write("ready\n")
    answers.flush()
    for line in orders:
        child = os.fork()
        if child == 0:
            _carry_out(json.loads(line))
        _, state, usage = os.wait4(child, 0)
        signalled = os.WIFSIGNALED(state)
        answer = {
            "status": -os.WTERMSIG(state) if signalled else os.WEXITSTATUS(state),
            "megabytes": usage.ru_maxrss / 1024,
            "seconds": usage.ru_utime + usage.ru_stime,
        }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _carry_out(order: dict[str, Any]) -> None:
    """In the fork: enter the door, and end with a status."""
    from overpaint.errors import OverpaintError

    status = 70
    try:
        os.chdir(order["folder"])
        output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        signal.alarm(HANGING)
        if "door" in order:
            module, _, name = order["door"].partition(":")
            getattr(importlib.import_module(module), name)(*order["positional"], **order["named"])
        else:
            from overpaint.cli import main

            os.environ.update(order["environment"])
            sys.argv = ["overpaint", *order["arguments"]]
            main()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except OverpaintError as error:
        print(f"{error} [{error.slug}]")  # noqa: T201
        status = 2
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
