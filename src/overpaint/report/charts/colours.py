"""The colours of charts; the paper is the same in light and in dark.

Colours are told apart without red and green, and the second of two is dashed as well.
"""

PAPER, INK, FAINT, RULE = "#fffdf8", "#23201b", "#5d574d", "#e6dfd2"
BEFORE, AFTER, CHANCE = "#b45f06", "#1f5a8c", "#8a1c5b"

LINES = (AFTER, BEFORE, "#12876f", INK, CHANCE, "#c25fa3")
"""Colours of several curves, the least alike first; each has a dash and a shape of its own too."""

DASHES = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 4], [1, 3])
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")

PARTS = (AFTER, "#6598c0", BEFORE)
"""Of a bar in parts, in the order of the splits."""

SHADES = (PAPER, "#c9dbe8", "#6c9dc4", "#1f5a8c", "#0c2c4a")
"""From nothing to all."""
