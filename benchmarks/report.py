"""How long the report of a study takes: all of it, and when nothing has changed.

    .venv/bin/python benchmarks/report.py [--rounds 3] [--study FOLDER]

Without a folder a small study is run first: two trainings of a small network on drawn pictures and
one comparison. No other program makes such a report.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from rounds import Case, in_turn

from overpaint.report import build

STUDY = """
study: small
datasets:
  photographs: {kind: atelier, task: photographs, sizes: {train: 24, val: 8, test: 16}}
  manners: {kind: atelier, task: manners, sizes: {train: 32, val: 16, test: 24}}
networks:
  source:
    load: inception_small
    weights: random
    fit: photographs
    recipe: from_scratch
    with: {epochs: 1}
  tuned: {from: source, fit: manners, recipe: mode_a, with: {epochs: 1}}
compare:
  - [source, tuned]
"""


def cases(*, study: Path | None = None, rounds: int = 3) -> Iterator[Case]:
    """One study, in a copy of its folder."""
    with TemporaryDirectory() as made:
        folder = Path(made) / "run"
        if study is None:
            (Path(made) / "small.yaml").write_text(STUDY)
            command = [sys.executable, "-m", "overpaint", "run", f"{made}/small.yaml"]
            subprocess.run(  # noqa: S603
                [*command, "--out", str(folder)], check=True, capture_output=True, cwd=made
            )
        else:
            shutil.copytree(study, folder)
        build(folder)
        pages = len(list((folder / "site").rglob("*.html")))

        def anew(_number: int) -> None:
            shutil.rmtree(folder / "site")
            build(folder)

        seconds, failed = in_turn(
            {WHOLE: anew, "overpaint, nothing changed": lambda _number: build(folder)}, rounds
        )
    yield Case(
        title=f"{study.name if study else 'a small study'}, {pages} pages",
        amount=1,
        unit="reports",
        seconds=seconds,
        failed=failed,
        base=WHOLE,
    )


WHOLE = "overpaint, all pages"


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--study", type=Path, help="the folder of a study that was run")
    options = parser.parse_args()
    for case in cases(study=options.study, rounds=options.rounds):
        case.show()


if __name__ == "__main__":
    main()
