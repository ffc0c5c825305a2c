"""The front door has types: what users write is checked, and mistakes are told before a run."""

import re
from collections import Counter
from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api", reason="mypy is among the developers' tools")

HERE = Path(__file__).parent
ERROR = re.compile(r"^(?P<file>.+?):(?P<line>\d+): error: .*\[(?P<code>[a-z-]+)\]$", re.MULTILINE)


def errors_in(name: str, cache: Path) -> tuple[Counter[tuple[int, str]], str]:
    """Line and code of each error that strict mypy finds in a file, and all that it says."""
    arguments = [str(HERE / name), "--strict", "--no-error-summary", f"--cache-dir={cache}"]
    said, _, _ = api.run([*arguments, "--follow-imports=silent", "--ignore-missing-imports"])
    found = ((int(match["line"]), match["code"]) for match in ERROR.finditer(said))
    return Counter(found), said


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("mypy")


def test_what_users_write_is_accepted(cache):
    """The calls of the README type-check, and their results are no Any."""
    errors, said = errors_in("accepted.py", cache)
    assert not errors, said


def test_mistakes_are_refused(cache):
    """Each marked line is an error of its kind; no other line is one."""
    lines = (HERE / "refused.py").read_text().splitlines()
    marked = Counter(
        (number, match[1])
        for number, line in enumerate(lines, start=1)
        if (match := re.search(r"# refused: ([a-z-]+)$", line))
    )
    errors, said = errors_in("refused.py", cache)
    assert errors == marked, said
