"""The lower bounds of pyproject.toml as pins, for an environment with exactly these.

python tests/packaging/lowest.py > lowest.txt      # `make test-lowest` does
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXTRAS = ("train", "hub", "trackers", "lora", "remote", "attribution", "test")
"""What the tests are run with; the rest of `dev` is a browser, a linter, a type checker and
what builds the documentation."""


def requirements() -> list[str]:
    """What pyproject asks for, but not what refers to an extra of overpaint itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][name] for name in EXTRAS)]
    return [line for names in lists for line in names if not line.startswith("overpaint[")]


def pins() -> dict[str, str]:
    """Each library with its lowest version."""
    bounds = [re.fullmatch(r"([\w.-]+)>=([\d.]+)", line) for line in requirements()]
    return {bound[1]: bound[2] for bound in bounds if bound}


if __name__ == "__main__":
    print("\n".join(f"{name}=={version}" for name, version in pins().items()))  # noqa: T201
