"""The setup of a rendering: what it is painted on, what it must survive, how fast it changes.

>>> fourier().paint(32, [1], "cpu").pixels().shape
torch.Size([1, 3, 32, 32])
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from overpaint.errors import NetworkError, nearest
from overpaint.networks import Network
from overpaint.render.canvas import Canvas, FourierCanvas, PixelCanvas
from overpaint.render.colours import Colours, Picture
from overpaint.render.maco import MacoCanvas, crops, measured_spectrum
from overpaint.render.transforms import (
    BORDER,
    Transform,
    compose,
    lucid_exact,
    on_noise,
    standard,
)

RATE = 0.05
"""Adam's learning rate, as in Lucid."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How renderings are painted.

    `paint(size, seeds, device)` gives the canvas. `views(side, network_side)` gives the transforms:
    `side` is the size that a network insists on, or None, and `network_side` that of the pictures
    that it is made for.
    `border` is by how many pixels a view is wider than its canvas. `alone` says that an image would
    depend on its batch mates, so that it must have none.
    """

    paint: Callable[[int, Sequence[int], torch.device | str], Canvas]
    views: Callable[[int | None, int], Transform]
    rate: float = RATE
    border: int = BORDER
    alone: bool = False


def fourier(*, colours: Colours = "imagenet", alpha: bool = False) -> Setup:
    """Painted in frequencies: Lucid's way, and the default."""
    return _plain(FourierCanvas, colours, alpha=alpha)


def pixel(*, colours: Colours = "imagenet", alpha: bool = False) -> Setup:
    """Painted in pixels, for comparison."""
    return _plain(PixelCanvas, colours, alpha=alpha)


def _plain(
    canvas: Callable[..., FourierCanvas | PixelCanvas], colours: Colours, *, alpha: bool
) -> Setup:
    def paint(size: int, seeds: Sequence[int], device: torch.device | str) -> Canvas:
        return canvas(size, seeds, colours=colours, alpha=alpha, device=device)

    def views(side: int | None, _network_side: int) -> Transform:
        return compose(on_noise(), standard(side)) if alpha else standard(side)

    return Setup(paint=paint, views=views)


def lucid(*, colours: Colours = "imagenet") -> Setup:
    """Painted in frequencies and seen exactly as by Lucid, oddities and all; one image at a time,
    because there a batch shares its draws.
    """
    paint = fourier(colours=colours).paint
    return Setup(paint=paint, views=lambda side, _network_side: lucid_exact(side), alone=True)


def maco(pictures: Iterable[Picture], size: int, *, colours: Colours = "imagenet") -> Setup:
    """Painted in phases: the waves are as strong as in pictures of a collection."""
    spectrum = measured_spectrum(pictures, size, colours=colours)

    def paint(size: int, seeds: Sequence[int], device: torch.device | str) -> Canvas:
        return MacoCanvas(size, seeds, spectrum=spectrum, colours=colours, device=device)

    return Setup(
        paint=paint, views=lambda side, network_side: crops(side or network_side), border=0
    )


SETUPS: dict[str, Callable[..., Setup]] = {"fourier": fourier, "pixel": pixel, "lucid": lucid}


def setup_of(setup: str | Setup, *networks: Network) -> Setup:
    """A setup, or that of a name, in grey where all networks that look at it see one channel;
    `maco` has no name, because it needs pictures.
    """
    if isinstance(setup, Setup):
        return setup
    if setup not in SETUPS:
        raise NetworkError(
            "unknown-setup", f"there is no setup {setup!r}; {nearest(setup, SETUPS)}"
        )
    grey = all(network.preprocessing.order == "grey" for network in networks)
    return SETUPS[setup](colours="grey" if networks and grey else "imagenet")
