"""Canvas: what is painted on. A picture as a spectrum of decorrelated colours.

Gradient ascent on pixels gives noise; on a spectrum whose frequencies weigh alike it gives
pictures (Olah et al. 2017, "Feature visualization"; the constants are those of Lucid).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SD = 0.01
COLOUR = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""A square root of the covariance of ImageNet's colours: rows R, G, B; columns decorrelated."""


def colour_matrix() -> Tensor:
    """The colour correlation divided by its largest column norm, [3, 3]."""
    matrix = torch.tensor(COLOUR)
    return matrix / matrix.norm(dim=0).max()


def spectrum_scale(size: int) -> Tensor:
    """What each frequency is multiplied by [size, size // 2 + 1]: one over its magnitude.

    The lowest frequency counts as one wave across the picture.
    """
    rows, columns = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)
    return 1 / torch.sqrt(rows**2 + columns**2).clamp(min=1 / size)


class FourierCanvas(nn.Module):
    """A batch of square pictures, each as a spectrum drawn from its own seed.

    >>> FourierCanvas(32, seeds=[1, 2]).pixels().shape
    torch.Size([2, 3, 32, 32])
    """

    def __init__(self, size: int, seeds: Sequence[int]) -> None:
        super().__init__()
        self.size = size
        shape = (3, size, size // 2 + 1, 2)  # the last axis: real and imaginary part
        starts = [torch.randn(shape, generator=torch.Generator().manual_seed(s)) for s in seeds]
        self.spectrum = nn.Parameter(SD * torch.stack(starts))
        self.register_buffer("scale", spectrum_scale(size))
        self.register_buffer("colours", colour_matrix())
        self.scale: Tensor
        self.colours: Tensor

    def pixels(self) -> Tensor:
        """The pictures (B, 3, size, size), RGB, 0..1."""
        spectrum = torch.view_as_complex(self.spectrum) * self.scale
        # Lucid scales by sqrt(w·h) before an inverse transform that divides by w·h: "ortho".
        plain = torch.fft.irfft2(spectrum, s=(self.size, self.size), norm="ortho") / 4
        return torch.einsum("rc,bchw->brhw", self.colours, plain).sigmoid()
