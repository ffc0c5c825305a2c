"""What the tests share: where real weights and pictures are, and a tiny collection."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from overpaint.seeds import generator

# Bytes are the same on a CPU only, so the tests leave a GPU alone, unless the variable is set.
os.environ.setdefault("ACCELERATE_USE_CPU", "true")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test of what holds to the bit, or of how work is cut for a CPU, says nothing of a GPU."""
    if item.get_closest_marker("of_a_cpu"):
        import torch

        if os.environ["ACCELERATE_USE_CPU"] == "false" and torch.cuda.is_available():
            pytest.skip("tells what holds on a CPU")


REAL = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real weights and pictures beside the checkout."""
    if not (REAL / "weights").is_dir():
        pytest.skip("needs the real weights and pictures in ../shared, which are not distributed")
    return REAL


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Class folders of small pictures: 12 reddish, 12 bluish; told apart by their colour."""
    for label, colour in (("red", (200, 40, 40)), ("blue", (40, 40, 200))):
        folder = tmp_path / "pictures" / label
        folder.mkdir(parents=True)
        for number in range(12):
            paint(folder / f"{number:02}.png", colour, number)
    return tmp_path / "pictures"


def paint(path: Path, colour: tuple[int, int, int], number: int) -> None:
    """A noisy picture of one colour, 80 × 70."""
    noise = generator(0, "test picture", path.parent.name, number).normal(0, 30, (70, 80, 3))
    Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8)).save(path)
