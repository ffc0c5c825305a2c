"""The page of figures is what the measurements give."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def rounds(monkeypatch):
    """The module that measures, and the one that writes: not packages, but files side by side."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import rounds

    yield rounds
    for name in {"rounds", "page"} - before:
        sys.modules.pop(name, None)


@pytest.fixture
def page(rounds):
    import page

    return page


def test_the_page_is_what_the_file_gives(page):
    """`docs/performance.md` is made from `docs/performance.json` and nothing else."""
    machines = json.loads((ROOT / "docs/performance.json").read_text(encoding="utf-8"))
    written = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    assert page.page(machines) == written, "run benchmarks/page.py"


def test_a_peer_that_fails_is_told_and_the_others_go_on(rounds, page):
    """A way that raises has no seconds; what was asked of it is neither reached nor missed."""

    def broken(_number):
        raise ImportError("no kornia here\nand more")

    seconds, failed = rounds.in_turn({"peer": broken, "overpaint": lambda _number: None}, 2)
    assert failed == {"peer": "ImportError: no kornia here"}
    assert [len(each) for each in seconds.values()] == [2]
    bar = rounds.Bar(way="overpaint", base="peer", least=6)
    case = rounds.Case(
        title="a layer", amount=8, unit="steps", seconds=seconds, failed=failed, base="peer",
        bars=[bar],
    )  # fmt: skip
    assert page.asked("rendering", case, bar).endswith("| peer failed |")
    assert "| peer | failed: ImportError: no kornia here |" in page.table(case)


def test_ratios_are_of_the_same_round(rounds, page):
    """A machine that slows down between rounds changes no ratio; a warm-up does not count."""
    paced = rounds.Paced
    seconds, _ = rounds.in_turn(
        {
            "bare": lambda number: paced([99, 1, 10][number], 1),
            "overpaint": lambda number: paced([1, 2, 20][number], 0.5),
        },
        2,
    )
    case = rounds.Case(title="", amount=4, unit="images", seconds=seconds, base="bare")
    assert case.times("overpaint", "bare") == (0.5, 0.5, 0.5)
    assert case.times("overpaint", "bare", processors=True) == (2, 2, 2)
    assert case.rate("bare") == (2.2, 0.4, 4)
    bars = [(0.5, "yes"), (0.6, "**no**")]
    for least, reached in bars:
        bar = rounds.Bar(way="overpaint", base="bare", least=least)
        assert page.asked("training", case, bar).endswith(f"| 0.50 | 2.00 | {reached} |")
