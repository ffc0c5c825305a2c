"""Rendering: the image that most excites a channel, found by optimisation.

>>> from overpaint.networks import build
>>> network = build("inception_small", classes=("cat", "dog"), seed=0)
>>> first, second = render(network, "mixed3b", [1, 2], steps=4, size=64)
>>> first.channel, second.channel, first.image.shape
(1, 2, (64, 64, 3))
>>> first.objective_end > first.objective_start
True

What to want (`objectives`), what is painted on (`canvas`, `maco`), what it must survive
(`transforms`), in one `setup`; how a network is looked through (`lens`), and how to run (`loop`).
`render` is one call and `render_steps` the open loop, for one network (`single`); `render_pair` is
for two (`pair`); `dream` changes a picture that there is (`dreaming`).

Source: Olah et al., "Feature Visualization", Distill 2017, and its program Lucid.
"""

from overpaint.render.dreaming import dream
from overpaint.render.loop import Step
from overpaint.render.pair import PairRendering, render_pair
from overpaint.render.rendering import Rendering, Renderings
from overpaint.render.single import render, render_steps

__all__ = [
    "PairRendering",
    "Rendering",
    "Renderings",
    "Step",
    "dream",
    "render",
    "render_pair",
    "render_steps",
]
