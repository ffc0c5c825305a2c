"""Local response normalisation: torch's own and overpaint's band, and what InceptionV1 spends.

    .venv/bin/python benchmarks/lrn.py [--rounds 9] [--batch 16]

Times the two normalisations of InceptionV1 on maps of their true sizes, forward and with the
gradient, and the whole forward of the network with either; in turn, medians. The results are equal.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from overpaint.networks import build
from overpaint.networks.inception_v1 import LocalResponseNorm


def medians(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each way, taken in turn; the first round does not count."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, work in ways.items():
            begin = time.perf_counter()
            work()
            taken[name].append(1000 * (time.perf_counter() - begin))
    return {name: statistics.median(each[1:]) for name, each in taken.items()}


def told(title: str, ways: dict[str, Callable[[], object]], rounds: int) -> None:
    """Print the times of the ways and how much faster the second is."""
    found = medians(ways, rounds)
    times = ", ".join(f"{name} {value:.1f} ms" for name, value in found.items())
    first, second = found.values()
    print(f"{title:42} {times}: {first / second:.2f} times as fast")


def with_gradient(norm: nn.Module, maps: Tensor) -> None:
    """Forward and backward."""
    norm(maps.detach().requires_grad_()).sum().backward()


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, batch {options.batch}")
    for channels in (64, 192):
        maps = torch.randn(options.batch, channels, 56, 56).to(memory_format=torch.channels_last)
        torchs, ours = nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0), LocalResponseNorm(channels)
        worst = (torchs(maps) - ours(maps)).abs().max().item()
        title = f"{channels} × 56 × 56 (they differ by {worst:.0e})"
        with torch.inference_mode():
            told(title, {"torch": lambda m=maps, n=torchs: n(m),
                         "band": lambda m=maps, n=ours: n(m)}, options.rounds)  # fmt: skip
        told(f"{channels} × 56 × 56 with gradient",
             {"torch": lambda m=maps, n=torchs: with_gradient(n, m),
              "band": lambda m=maps, n=ours: with_gradient(n, m)}, options.rounds)  # fmt: skip
    whole(options.batch, options.rounds)


def whole(batch: int, rounds: int) -> None:
    """The forward of InceptionV1 with either."""
    images = torch.rand(batch, 3, 224, 224).to(memory_format=torch.channels_last)
    networks = {name: build("inception_v1", classes=("a",), seed=0).eval()
                for name in ("torch", "band")}  # fmt: skip
    for network in networks.values():
        network.to(memory_format=torch.channels_last)
    for place in ("localresponsenorm0", "localresponsenorm1"):
        setattr(networks["torch"].body, place, nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0))
    with torch.inference_mode():
        told("InceptionV1, whole forward",
             {name: lambda n=network: n(images) for name, network in networks.items()},
             rounds)  # fmt: skip


if __name__ == "__main__":
    main()
