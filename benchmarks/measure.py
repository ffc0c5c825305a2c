"""CKA of all layers of two networks with each other, beside torch_cka on the same random images.

    pip install --target PEERS --no-deps torch_cka matplotlib contourpy cycler kiwisolver pyparsing
    PYTHONPATH=PEERS .venv/bin/python benchmarks/measure.py [--batch 32] [--batches 2] [--size 224]

The layers are all convolutions and batch norms: 40 of ResNet-18, 106 of ResNet-50; random weights.
Both read whole maps and compare the images of each batch (debiased minibatch CKA), so that the work
is the same; a third row has overpaint's default, spatial means, all images compared with all. Each
time is of both networks' forwards and the matrix; taken in turn, once for ResNet-50.

Once more with pictures that differ much, of which torch_cka makes numbers, to compare the values:
of convolutions only, for what a batch norm says is overwritten in place by the ReLU behind it
before torch_cka reads it. Then a last batch of 3, 2 and 1 images, where torch_cka divides 0 by 0.
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

from overpaint.measures.matrix import BatchSums, CkaMatrix, cka_matrix
from overpaint.networks import Network, build
from overpaint.taps import gram, taps


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    images = torch.rand(
        options.batch * options.batches, 3, options.size, options.size, generator=seeded(0)
    )
    compared("resnet18", images, options.batch, wanted=3)
    compared("resnet50", images[: options.batch], options.batch, wanted=12)
    for left in (3, 2, 1):
        ragged(images[: options.batch, :, :64, :64], options.batch // 2, left)


def seeded(seed: int) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def two_networks(name: str) -> tuple[Network, Network, list[str]]:
    """Two of an architecture, weights random, and the layers: convolutions and batch norms."""
    one, two = (build(f"torchvision:{name}", classes=("a",), seed=seed).eval() for seed in (0, 1))
    kinds = (nn.Conv2d, nn.BatchNorm2d)
    layers = [name for name, module in one.body.named_modules() if isinstance(module, kinds)]
    return one, two, layers


def compared(name: str, images: Tensor, batch: int, wanted: int) -> None:
    """Time the ways on two networks and tell the ratios, and whether the values agree."""
    one, two, layers = two_networks(name)
    ways = {"torch_cka": peer, "overpaint, whole maps": whole_maps, "overpaint, means": means}
    spent, values = {}, {}
    for way, work in ways.items():
        begin = time.perf_counter()
        values[way] = work(one, two, layers, images, batch)
        spent[way] = time.perf_counter() - begin
        print(f"{name}, {len(layers)} layers, {len(images)} images: {way:22} {spent[way]:6.1f} s, "
              f"torch_cka takes {spent['torch_cka'] / spent[way]:.1f} times as long")  # fmt: skip
    ratio = spent["torch_cka"] / spent["overpaint, whole maps"]
    told = [number for number, layer in enumerate(layers) if "conv" in layer]
    gap = values["torch_cka"] - values["overpaint, whole maps"]
    apart = np.abs(gap[np.ix_(told, told)]).max()
    print(f"  asked: at least {wanted} times: {'yes' if ratio >= wanted else 'NO'}")
    print(f"  the values of convolutions differ by {apart:.1e} at most")


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
    return total.result().values


def means(one: Network, two: Network, layers: list[str], images: Tensor, batch: int) -> np.ndarray:
    """Overpaint's default: spatial means of all images, compared all with all."""
    found = []
    for network in (one, two):
        with torch.inference_mode(), taps(network, layers) as tap:
            seen = [tap(part) for part in batches(images, batch)]
        found.append({layer: torch.cat([each[layer] for each in seen]).numpy() for layer in layers})
    matrix: CkaMatrix = cka_matrix(*found, debiased=True)
    return matrix.values


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
