"""Colours: contrast of text at least WCAG AA, curves told apart without full colour vision."""

import itertools
import re
from importlib.resources import files

import numpy as np
import pytest

from overpaint.report.charts import colours

STYLE = (files("overpaint.report") / "assets/style.css").read_text(encoding="utf-8")

# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB.
VISION = {
    "full": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                            [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip


def linear(colour: str) -> np.ndarray:
    if len(colour) == 4:
        colour = "#" + "".join(2 * digit for digit in colour[1:])
    values = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG 2: (lighter + 0.05) / (darker + 0.05), of relative luminances."""
    luminances = sorted(float(linear(each) @ [0.2126, 0.7152, 0.0722]) for each in (one, other))
    return (luminances[1] + 0.05) / (luminances[0] + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB, D65."""
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    relative = np.array(matrix) @ np.clip(rgb, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(relative > 0.008856, np.cbrt(relative), 7.787 * relative + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def variables(block: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6});", block))


LIGHT = variables(STYLE.split(":root {")[1].split("}")[0])
DARK = variables(STYLE.split("prefers-color-scheme: dark")[1].split("}")[0])
PRINT = LIGHT | variables(STYLE.split("@media print")[1].split("}")[0])


def test_contrast_of_black_and_white():
    """The formula gives what WCAG says of black on white and of grey on grey."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [LIGHT, DARK, PRINT], ids=["light", "dark", "print"])
def test_text_is_legible(theme):
    """Ink, soft ink, links and edges have at least 4.5 to 1 on each ground that they stand on."""
    for ground, text in itertools.product(("wall", "paper"), ("ink", "soft", "accent", "edge")):
        assert contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
    for text in ("ink", "soft", "accent"):
        assert contrast(theme[text], theme["warn"]) >= 4.5, text


@pytest.mark.parametrize("ground", [colours.PAPER, "#ffffff"])
def test_charts_are_legible(ground):
    """The words of charts have 4.5 to 1, their curves 3 to 1."""
    assert min(contrast(each, ground) for each in (colours.INK, colours.FAINT)) >= 4.5
    assert min(contrast(each, ground) for each in colours.LINES) >= 3
    assert min(contrast(each, ground) for each in colours.PARTS) >= 3


@pytest.mark.parametrize("vision", VISION)
def test_curves_are_told_apart(vision):
    """Any two curves differ by a ΔE of 11 for every vision; their dashes and shapes differ too."""
    seen = [lab(VISION[vision] @ linear(colour)) for colour in colours.LINES]
    nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert nearest > 11
    first = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen[:2], 2)]
    assert min(first) > 40
    for marks in (colours.LINES, [tuple(each) for each in colours.DASHES], colours.SHAPES):
        assert len(set(marks)) == len(colours.LINES)


@pytest.mark.parametrize("vision", VISION)
def test_parts_of_a_bar_are_told_apart(vision):
    """Neighbouring parts of a bar differ for every vision."""
    seen = [lab(VISION[vision] @ linear(colour)) for colour in colours.PARTS]
    assert min(np.linalg.norm(a - b) for a, b in itertools.pairwise(seen)) > 20
