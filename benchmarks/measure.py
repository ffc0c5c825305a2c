"""CKA of all layers of two networks with each other, beside torch_cka on the same random images.

    pip install --target PEERS --no-deps torch_cka matplotlib contourpy cycler kiwisolver pyparsing
    PYTHONPATH=PEERS .venv/bin/python benchmarks/measure.py [--batch 128] [--batches 2] [--size 64]

The layers are all convolutions and batch norms: 40 of ResNet-18, 106 of ResNet-50; random weights.
Both read whole maps and compare the images of each batch (debiased minibatch CKA), so that the work
is the same; a third row has overpaint's default, spatial means, all images compared with all. Each
time is of both networks' forwards and the matrix; the more images in a batch, the larger the share
of the matrix and the ratio. It takes about two minutes on two cores; on a machine that does other
work besides, the processors' time tells more than the clock's.

Values are compared of convolutions only, for what a batch norm says is overwritten in place by the
ReLU behind it before torch_cka reads it. Then a last batch of 3, 2 and 1 images, where torch_cka
divides by 0.
"""

import argparse
import time
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torch_cka import CKA

from overpaint.measures.matrix import BatchSums, cka_matrix
from overpaint.networks import Network, build
from overpaint.networks.taps import gram, taps


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--size", type=int, default=64)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    images = pictures(options.batch * options.batches, options.size)
    compared("resnet18", images, options.batch, wanted=3)
    compared("resnet50", images[: options.batch], options.batch, wanted=12)
    for left in (3, 2, 1):
        ragged(images, 32, left)


def pictures(count: int, size: int) -> Tensor:
    """Random images that differ in colour and coarse shapes; of plain noise, which is alike to
    every network, torch_cka makes NaN.
    """
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)


def two_networks(name: str) -> tuple[Network, Network, list[str]]:
    """Two of an architecture, weights random, and the layers: convolutions and batch norms."""
    one, two = (build(f"torchvision:{name}", classes=("a",), seed=seed).eval() for seed in (0, 1))
    kinds = (nn.Conv2d, nn.BatchNorm2d)
    layers = [name for name, module in one.body.named_modules() if isinstance(module, kinds)]
    return one, two, layers


def compared(name: str, images: Tensor, batch: int, wanted: int) -> None:
    """Time the ways on two networks and tell the ratios, and whether the values agree."""
    one, two, layers = two_networks(name)
    with torch.inference_mode():
        for network in (one, two):
            network(images[:batch])  # the first forward of all is slower
    ways = {"torch_cka": peer, "overpaint, whole maps": whole_maps, "overpaint, means": means}
    spent, busy, values = {}, {}, {}
    for way, work in ways.items():
        begin, before = time.perf_counter(), time.process_time()
        values[way] = work(one, two, layers, images, batch)
        spent[way], busy[way] = time.perf_counter() - begin, time.process_time() - before
        times = [each["torch_cka"] / each[way] for each in (spent, busy)]
        print(f"{name}, {len(layers)} layers, {len(images)} images: {way:22} {spent[way]:6.1f} s "
              f"({busy[way]:.1f} s of processors): torch_cka takes {times[0]:.1f} ({times[1]:.1f}) "
              "times as long", flush=True)  # fmt: skip
    enough = spent["torch_cka"] / spent["overpaint, whole maps"] >= wanted
    print(f"  asked of whole maps: at least {wanted} times: {'yes' if enough else 'NO'}")
    convolutions = [number for number, layer in enumerate(layers) if "conv" in layer]
    cells = np.ix_(convolutions, convolutions)
    gap = np.abs(values["torch_cka"] - values["overpaint, whole maps"])[cells]
    print(f"  values of convolutions differ by {np.nanmax(gap):.1e} at most; torch_cka has no "
          f"number in {np.isnan(gap).sum()} cells of {gap.size}")  # fmt: skip


def ragged(images: Tensor, batch: int, left: int) -> None:
    """A last batch that is too small for an unbiased estimate."""
    one, two, layers = two_networks("resnet18")
    images = images[: batch + left]
    ours = whole_maps(one, two, layers, images, batch)
    try:
        theirs = f"{np.isnan(peer(one, two, layers, images, batch)).sum()} cells are no number"
    except (AssertionError, ZeroDivisionError) as error:
        theirs = f"{type(error).__name__} {error}"
    print(f"a last batch of {left}: overpaint {np.isnan(ours).sum()} cells without a value of "
          f"{ours.size}; torch_cka: {theirs}")  # fmt: skip


# --- the ways ----------------------------------------------------------------------------------


def batches(images: Tensor, batch: int) -> Iterator[Tensor]:
    """As overpaint itself lays them out."""
    for part in images.split(batch):
        yield part.contiguous(memory_format=torch.channels_last)


def whole_maps(
    one: Network, two: Network, layers: list[str], images: Tensor, batch: int
) -> np.ndarray:
    """Overpaint on whole maps: Gram matrices inside the taps, batch by batch."""
    total = BatchSums.empty()
    for network in (one, two):
        network.to(memory_format=torch.channels_last)
    with (
        torch.inference_mode(),
        taps(one, layers, reduction=gram) as first,
        taps(two, layers, reduction=gram) as second,
    ):
        for part in batches(images, batch):
            total += BatchSums.of(first(part), second(part))
    return total.result().cka


def means(one: Network, two: Network, layers: list[str], images: Tensor, batch: int) -> np.ndarray:
    """Overpaint's default: spatial means of all images, compared all with all."""
    found = []
    for network in (one, two):
        with torch.inference_mode(), taps(network, layers) as tap:
            seen = [tap(part) for part in batches(images, batch)]
        found.append({layer: torch.cat([each[layer] for each in seen]).numpy() for layer in layers})
    return cka_matrix(*found, debiased=True).cka


def peer(one: Network, two: Network, layers: list[str], images: Tensor, batch: int) -> np.ndarray:
    """torch_cka on the bodies, given what each network's own preprocessing makes of the images."""
    for network in (one, two):
        network.to(memory_format=torch.contiguous_format)
    cka = CKA(one.body, two.body, "one", "two", layers, layers)
    try:
        cka.compare(DataLoader(TensorDataset(one.normalise(images).contiguous()), batch))
    except AssertionError:
        pass  # some cells are no number; it has done all its work by then
    finally:
        for network in (one, two):  # it leaves its hooks
            for module in network.modules():
                module._forward_hooks.clear()  # noqa: SLF001
    return cka.hsic_matrix.numpy()


if __name__ == "__main__":
    main()
