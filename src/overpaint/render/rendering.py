"""Renderings: the images that most excite a network's channels, and how well each came out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as Pillow

from overpaint.pixels.images import encoded, sheet, signed
from overpaint.records import whole_file
from overpaint.records.belongings import refuse_picture
from overpaint.render.loop import Image


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """The image that most excites a channel.

    `objective_start` and `objective_end` are the channel's mean on the first noise and on `image`,
    both as 8-bit pictures and without transforms. `seed` is this image's own. `status` is "ok" or
    a sentence that says why the image shows nothing, after `attempts` attempts. Of an objective
    that is no channel, `layer` names all that it reads and `channel` is None. `frames` are pictures
    on the way, where they were asked for.
    """

    layer: str
    channel: int | None
    image: Image
    objective_start: float
    objective_end: float
    steps: int
    seed: int
    status: str
    attempts: int = 1
    frames: tuple[Image, ...] = ()

    @property
    def name(self) -> str:
        """The unit, or the layers: "mixed4d:164"."""
        return self.layer if self.channel is None else f"{self.layer}:{self.channel}"


class Renderings(list[Rendering]):
    """Several, in the order in which they were asked for."""

    def save(self, path: str | Path, columns: int | None = None) -> None:
        """A contact sheet of them; the file's ending says of what kind (PNG, JPEG, WebP).

        Raises RecordError where a file lies there that is no picture of overpaint's.
        """
        together = self._sheet(columns)
        refuse_picture(Path(path))
        kind = Pillow.registered_extensions()[Path(path).suffix.lower()]
        with whole_file(Path(path)) as draft:
            draft.write_bytes(encoded(together, kind, quality=88, **signed(Path(path).suffix)))

    def _sheet(self, columns: int | None = None) -> Pillow.Image:
        pictures = [Pillow.fromarray(rendering.image) for rendering in self]
        return sheet(pictures, [rendering.name for rendering in self], columns)

    def _repr_png_(self) -> bytes | None:
        return encoded(self._sheet(), "PNG") if self else None


def status_of(image: Image, start: float, end: float) -> str:
    """What is the matter with an image, or "ok".

    >>> import numpy as np
    >>> status_of(np.zeros((8, 8, 3), np.uint8), 0.0, 0.0)
    'the objective did not rise: 0 at the start, 0 at the end'
    """
    if not math.isfinite(start):
        return f"the objective is {start} on the first noise: nothing could be optimised"
    if not math.isfinite(end):
        return f"the objective became {end} on the way: the network gives what is no number"
    if end - start <= 0.01 * max(abs(start), abs(end)):
        return f"the objective did not rise: {start:.3g} at the start, {end:.3g} at the end"
    if (spread := image[..., :3].std() / 255) < 0.02:
        return f"the image is grey: its values spread by {spread:.3f} of 1"
    return "ok"


def best(attempts: Sequence[Rendering]) -> Rendering:
    """The first that came out well, or of those that did not the one that rose furthest."""

    def rise(attempt: Rendering) -> float:
        by = attempt.objective_end - attempt.objective_start
        return by if math.isfinite(by) else -math.inf

    good = [attempt for attempt in attempts if attempt.status == "ok"]
    return good[0] if good else max(attempts, key=rise)
