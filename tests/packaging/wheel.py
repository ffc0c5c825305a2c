"""The wheel as users get it: installed in an empty environment, and put to work there.

make test-wheel      # which has `make dist` build it, and runs this

The source distribution is installed first, in an environment of its own, and says its version.
Then the plain install reads: it writes the report of a study. Then `[train]` is added and the
demonstration is run. All of it far from the sources, which cannot be imported.
"""

import os
import shutil
import subprocess
import time
import venv
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
WRITE_STUDY = "import pathlib, tiny_study; tiny_study.write_study(pathlib.Path('study'))"


def main() -> None:
    """Look inside, install, read, and train."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        (wheel,) = (ROOT / "dist").glob("overpaint-*.whl")
        (source,) = (ROOT / "dist").glob("overpaint-*.tar.gz")
        check_contents(wheel)
        venv.create(folder / "source", with_pip=True)
        run(folder / "source/bin/python", "-m", "pip", "install", "-q", source)
        run(folder / "source/bin/overpaint", "version")
        venv.create(folder / "empty", with_pip=True)
        python, overpaint = folder / "empty/bin/python", folder / "empty/bin/overpaint"
        work = folder / "work"
        work.mkdir()

        run(python, "-m", "pip", "install", "-q", wheel)
        say(f"plain install: {megabytes(folder / 'empty')} MB")
        run(python, "-c", IS_FAR, ROOT, cwd=work)
        shutil.copy(ROOT / "tests/report/tiny_study.py", work)
        run(python, "-c", WRITE_STUDY, cwd=work)
        run(overpaint, "report", "study", cwd=work)
        refused = subprocess.run(
            [overpaint, "run", "demo"], cwd=work, capture_output=True, text=True, check=False
        )
        assert refused.returncode == 2, refused
        assert "[missing-extra]" in refused.stderr, refused

        run(python, "-m", "pip", "install", "-q", f"{wheel}[train]")
        say(f"with [train]: {megabytes(folder / 'empty')} MB")
        run(overpaint, "run", "demo", cwd=work)
        assert (work / "runs/demo/site/index.html").is_file()
        say("the demonstration is done")


IS_FAR = """
import sys, pathlib, overpaint
assert pathlib.Path(sys.argv[1]) not in pathlib.Path(overpaint.__file__).parents, overpaint.__file__
"""


def check_contents(wheel: Path) -> None:
    """All of the package is in the wheel, data and the mark of types too, and nothing else."""
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = ROOT / "src"
    there = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == there, sorted(inside ^ there)
    endings = {Path(name).suffix for name in inside}
    assert endings >= {".py", ".html", ".css", ".js", ".yaml", ".typed"}, endings


def run(*command: str | Path, cwd: Path | None = None) -> None:
    """A command that must succeed, where no source can be seen."""
    hidden = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    subprocess.run([*map(str, command)], cwd=cwd, env=environment, check=True)


def megabytes(folder: Path) -> int:
    """What a folder takes."""
    return sum(path.lstat().st_size for path in folder.rglob("*")) // 10**6


START = time.monotonic()


def say(text: str) -> None:
    """A line with the seconds since the start."""
    print(f"{time.monotonic() - START:5.0f} s  {text}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
