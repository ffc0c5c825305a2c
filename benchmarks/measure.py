"""CKA of all layers of two networks with each other, beside torch_cka on the same random images.

    pip install --target PEERS --no-deps torch_cka matplotlib contourpy cycler kiwisolver pyparsing
    PYTHONPATH=PEERS .venv/bin/python benchmarks/measure.py [--batch 128] [--batches 2] [--size 64]
        [--rounds 2]

The layers are all convolutions and batch norms: 40 of ResNet-18, 106 of ResNet-50; random weights.
Both read whole maps and compare the images of each batch (debiased minibatch CKA), so that the work
is the same; a third row has overpaint's default, spatial means, all images compared with all, and
the limit is both networks' forwards alone. Each time is of both networks' forwards and the matrix;
the more images in a batch, the larger the share of the matrix and the ratio. On a machine that does
other work besides, the processors' time tells more than the clock's. All of it on the CPU, where
torch_cka gathers its sums.

Values are compared of convolutions only, for what a batch norm says is overwritten in place by the
ReLU behind it before torch_cka reads it. Then, from the command line, a last batch of 3, 2 and 1
images, where torch_cka divides by 0.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch
from rounds import Bar, Case, Way, in_turn
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from overpaint.measures.matrix import BatchSums, cka_matrix
from overpaint.networks import Network, build
from overpaint.networks.taps import gram, taps


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    for case in cases(
        batch=options.batch, batches=options.batches, size=options.size, rounds=options.rounds
    ):
        case.show()
    warnings.simplefilter("ignore")
    for left in (3, 2, 1):
        ragged(pictures(64, options.size), 32, left)


def cases(*, batch: int = 128, batches: int = 2, size: int = 64, rounds: int = 2) -> Iterator[Case]:
    """40 layers and 106."""
    images = pictures(batch * batches, size)
    yield compared("resnet18", images, batch, rounds=rounds, wanted=3)
    yield compared("resnet50", images[:batch], batch, rounds=rounds, wanted=12)


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


LIMIT, PEER = "two forwards alone", "torch_cka"
WHOLE, MEANS = "overpaint, whole maps", "overpaint, means"


def compared(name: str, images: Tensor, batch: int, *, rounds: int, wanted: float) -> Case:
    """What the ways take for two networks, and whether the values agree."""
    one, two, layers = two_networks(name)
    values: dict[str, np.ndarray] = {}

    def way(label: str, work: Callable[..., np.ndarray]) -> Way:
        def keep(_number: int) -> None:
            values[label] = work(one, two, layers, images, batch)

        return keep

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        for network in (one, two):
            network(images[:batch])  # the first forward of all is slower
        seconds, failed = in_turn(
            {
                LIMIT: lambda _number: forwards(one, two, images, batch),
                PEER: way(PEER, peer),
                WHOLE: way(WHOLE, whole_maps),
                MEANS: way(MEANS, means),
            },
            rounds,
            warm=False,
        )
    remarks = []
    if PEER in values and WHOLE in values:
        convolutions = [number for number, layer in enumerate(layers) if "conv" in layer]
        cells = np.ix_(convolutions, convolutions)
        gap = np.abs(values[PEER] - values[WHOLE])[cells]
        remarks.append(
            f"values of convolutions differ by {np.nanmax(gap):.0e} at most; torch_cka has no "
            f"number in {np.isnan(gap).sum()} cells of {gap.size}"
        )
    return Case(
        title=f"{name}, {len(layers)} layers, {len(images)} images",
        amount=1,
        unit="matrices",
        seconds=seconds,
        failed=failed,
        base=PEER,
        bars=[Bar(way=WHOLE, base=PEER, least=wanted)],
        remarks=remarks,
    )


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


def forwards(one: Network, two: Network, images: Tensor, batch: int) -> None:
    """What every way has to do."""
    for network in (one, two):
        network.to(memory_format=torch.channels_last)
        for part in batches(images, batch):
            network(part)


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
    from torch_cka import CKA

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
