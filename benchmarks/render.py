"""How fast renderings are drawn, and how well they come out, beside torch-lucent.

    pip install --target PEERS --no-deps torch-lucent kornia kornia-rs tqdm decorator
    .venv/bin/python benchmarks/render.py --peers PEERS [--rounds 3] [--network NAME]
    .venv/bin/python benchmarks/render.py --peers PEERS --weights FILE --units mixed4d:164,450 \
        [--keep FILE.json]

Speed: image-steps a second of eight channels at 128 pixels, both loops in turn, of each round the
median over its steps. overpaint is timed in the precision that it chooses for the machine, and in
float32, behind the first steps, which redirect ReLUs; beside them a bare forward of the whole
network and backward from the layer, without transforms and in float32. torch-lucent enlarges the
canvas to 224 pixels and runs the whole network: that is its way.
The weights are random.

    .venv/bin/python benchmarks/render.py --whole [--channels 528] [--steps 512]

With `--whole`: how long all channels of mixed4d of InceptionV1 take from `render`, on the device
that overpaint chooses; at most 60 seconds are asked of a GPU, and 20 are the goal. On a CPU ask for
fewer channels and steps. Of a GPU the memory is told, beside what the batches were reckoned to
need. torch-lucent is not needed.

With `--units`: the objective after 512 steps, of both on the same real weights, measured on the
final picture without transforms, at its own size and enlarged to the 224 pixels that torch-lucent
optimises whatever the size. With `--size 224` both optimise what is measured. `--keep` adds the
values to a file and prints the median ratio over all that it holds.
"""

import argparse
import json
import statistics
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray
from rounds import Bar, Case, Paced, in_turn
from torch import Tensor, nn

from overpaint.device import chosen, on_best_device
from overpaint.networks import Network, build, load
from overpaint.networks.taps import taps
from overpaint.render import lens, render, render_steps, single
from overpaint.render.loop import Settings
from overpaint.render.objectives import channel, score

CASES = {
    "googlenet": ("torchvision:googlenet", "inception4a"),
    "inception_v1": ("inception_v1", "mixed4d"),
    "resnet50": ("torchvision:resnet50", "layer2.3"),
}
SIZE = 128
TOGETHER = 8
WARM = 17
"""overpaint's first sixteen steps redirect ReLUs."""


# --- torch-lucent --------------------------------------------------------------------------------


@cache
def peer(folder: Path | None) -> types.ModuleType:
    """torch-lucent, made to import: it wants a notebook for showing, and kornia of 2020."""
    if folder:
        sys.path.append(str(folder))
    notebook = types.ModuleType("IPython")
    notebook.display = types.ModuleType("IPython.display")
    sys.modules |= {"IPython": notebook, "IPython.display": notebook.display}
    import kornia.geometry

    for name in ("get_rotation_matrix2d", "warp_affine"):
        setattr(kornia, name, getattr(kornia.geometry, name))
    from lucent import optvis
    from lucent.optvis import objectives, param, render  # noqa: F401 - become members of optvis

    return optvis


def lucent_images(
    optvis: types.ModuleType,
    model: nn.Module,
    layer: str,
    channels: list[int],
    steps: int,
    *,
    preprocess: bool,
    size: int = SIZE,
) -> tuple[NDArray[np.float32], list[tuple[float, float]]]:
    """torch-lucent's pictures [B, H, W, 3], 0..1, and when each step began."""
    goals = [optvis.objectives.channel(layer, c, batch=row) for row, c in enumerate(channels)]
    stamps: list[tuple[float, float]] = []

    def canvas() -> tuple[list[Tensor], Callable[[], Tensor]]:
        leaves, image = optvis.param.image(size, batch=len(channels))

        def stamped() -> Tensor:
            stamps.append(stamp())
            return image()

        return leaves, stamped

    (images,) = optvis.render.render_vis(
        model, optvis.objectives.Objective.sum(goals), canvas, thresholds=(steps,),
        preprocess=preprocess, progress=False, show_image=False,
    )  # fmt: skip
    return images, stamps[1:-1]  # the first asks for the shape, the last for the result


# --- speed ---------------------------------------------------------------------------------------


LUCENT, OURS, EXACT = "torch-lucent", "overpaint", "overpaint, float32"
BARE = "bare forward and backward"
STEPS_EACH = 6
"""Timed steps of a round, behind those that are not."""


def paced(stamps: list[tuple[float, float]]) -> Paced:
    """Seconds of a step, of the clock and of processors: medians from one stamp to the next."""
    clock, busy = np.median(np.diff(np.array(stamps), axis=0), axis=0)
    return Paced(float(clock), float(busy))


def stamp() -> tuple[float, float]:
    """Now, once a GPU has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def ours(network: Network, layer: str, *, half: bool = True) -> Paced:
    """A step of overpaint, behind the first ones, which redirect ReLUs."""
    able = lens.has_bfloat16
    try:
        if not half:
            lens.has_bfloat16 = lambda _device: False
        loop = render_steps(
            network, layer, list(range(TOGETHER)), steps=WARM + STEPS_EACH, size=SIZE
        )
        return paced([stamp() for _ in loop][WARM - 1 :])
    finally:
        lens.has_bfloat16 = able


def alone(network: Network, layer: str, device: torch.device) -> Paced:
    """Forward to the layer and backward to the pixels, of a whole network, without transforms."""
    pixels = torch.rand(TOGETHER, 3, SIZE, SIZE, device=device)
    pixels = pixels.to(memory_format=torch.channels_last).requires_grad_()
    stamps = []
    with taps(network, [layer], reduction=torch.clone) as tap:
        for _ in range(STEPS_EACH + 1):
            stamps.append(stamp())
            score(
                [channel(layer, index) for index in range(TOGETHER)], tap(pixels)
            ).sum().backward()
    return paced(stamps[1:])


def measured(name: str, folder: Path | None, rounds: int) -> Case:
    """What the ways take for one network."""
    architecture, layer = CASES[name]
    network = build(architecture, classes=tuple(map(str, range(1000))), seed=0).eval()

    def lucent(_number: int) -> Paced:
        optvis = peer(folder)
        model, named, preprocess = network, f"body_{layer}".replace(".", "_"), False
        if name != "inception_v1":
            extra = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
            model = getattr(torchvision.models, name)(**extra).eval()
            named, preprocess = layer.replace(".", "_"), True
        channels = list(range(TOGETHER))
        _, stamps = lucent_images(
            optvis, model.to(device), named, channels, STEPS_EACH, preprocess=preprocess
        )
        return paced(stamps[1:])

    seed_all()
    with on_best_device(network, channels_last=True) as device:
        seconds, failed = in_turn(
            {
                BARE: lambda _number: alone(network, layer, device),
                LUCENT: lucent,
                OURS: lambda _number: ours(network, layer),
                EXACT: lambda _number: ours(network, layer, half=False),
            },
            rounds,
        )
    return Case(
        title=f"{name} at {layer}, {TOGETHER} channels, {SIZE} pixels",
        amount=TOGETHER,
        unit="image-steps",
        seconds=seconds,
        failed=failed,
        base=LUCENT,
        bars=[Bar(way=OURS, base=LUCENT, least=6)],
        remarks=[f"overpaint in {'bfloat16' if lens.has_bfloat16(device) else 'float32'}"],
    )


def cases(
    folder: Path | None = None, names: Sequence[str] = ("inception_v1", "resnet50"), rounds: int = 3
) -> Iterator[Case]:
    """Each network, beside torch-lucent from a folder, or from where Python finds it."""
    for name in names:
        yield measured(name, folder, rounds)


def seed_all() -> None:
    """torch-lucent draws its transforms from the global generators: the same each time."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002


# --- a whole layer -------------------------------------------------------------------------------

ASKED, GOAL = 60, 20
"""Seconds for all of `CHANNELS` and `STEPS` on a GPU."""
CHANNELS, STEPS = 528, 512


def whole(channels: int, steps: int) -> None:
    """Print how long renderings of a layer take, with what they are measured by."""
    architecture, layer = CASES["inception_v1"]
    network = build(architecture, classes=tuple(map(str, range(1000))), seed=0)
    device = chosen().device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    with on_best_device(network), lens.open_lens(network, [layer], Settings().shapes) as opened:
        each, at_once, half = opened.bytes_each, opened.at_once, opened.half
    with single_attempt():
        render(network, layer, [0, 1], steps=WARM + 3, size=SIZE)  # the first launches are slow
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        begin, busy = time.perf_counter(), time.process_time()
        drawn = render(network, layer, list(range(channels)), steps=steps, size=SIZE)
        spent, busy = time.perf_counter() - begin, time.process_time() - busy
    precision = "bfloat16" if half else "float32"
    print(
        f"{channels} channels of {layer} x {steps} steps at {SIZE} pixels on {name}, {precision}:"
    )
    print(f"  {spent:.1f} s ({busy:.1f} s of processors), "
          f"{channels * steps / spent:.0f} image-steps a second")  # fmt: skip
    print(f"  {sum(image.status == 'ok' for image in drawn)} came out well at the first attempt")
    print(f"  at most {at_once} images a batch, reckoned at {each / 1e6:.1f} MB each")
    if device.type == "cuda":
        batch = min(at_once, channels)
        peak = torch.cuda.max_memory_allocated(device)
        print(f"  memory at its peak {peak / 1e9:.2f} GB, of a full batch {batch * each / 1e9:.2f}")
        if (channels, steps) == (CHANNELS, STEPS):
            print(f"  asked: at most {ASKED} s: {'yes' if spent <= ASKED else 'NO'}; "
                  f"goal: {GOAL} s: {'yes' if spent <= GOAL else 'no'}")  # fmt: skip


@contextmanager
def single_attempt() -> Iterator[None]:
    """Of random weights some channels show nothing; they are not tried again inside the block."""
    attempts, single.ATTEMPTS = single.ATTEMPTS, 1
    try:
        yield
    finally:
        single.ATTEMPTS = attempts


# --- objectives ----------------------------------------------------------------------------------


def judged(network: Network, layer: str, channels: list[int], pixels: Tensor) -> list[float]:
    """Each channel's mean on its own picture (B, 3, H, W), without transforms."""
    with torch.no_grad(), taps(network, [layer], reduction=torch.clone) as tap:
        return score([channel(layer, index) for index in channels], tap(pixels)).tolist()


def objectives(
    weights: Path, units: str, optvis: types.ModuleType, steps: int, size: int
) -> Iterator[dict[str, Any]]:
    """What each of both reaches for channels of a layer of InceptionV1."""
    layer, _, numbers = units.partition(":")
    channels = [int(each) for each in numbers.split(",")]
    network = load("inception_v1", weights=weights).eval()
    theirs, _ = lucent_images(
        optvis, network, f"body_{layer}", channels, steps, preprocess=False, size=size
    )
    drawn = render(network, layer, channels, steps=steps, size=size)
    mine = np.stack([each.image for each in drawn]) / 255
    found: dict[str, dict[str, list[float]]] = {}
    for way, images in (("overpaint", mine), ("lucent", np.round(theirs * 255) / 255)):
        pixels = torch.from_numpy(images).float().permute(0, 3, 1, 2)
        large = nn.functional.interpolate(pixels, size=224, mode="bilinear", align_corners=True)
        found[way] = {
            str(shown.shape[-1]): judged(network, layer, channels, shown)
            for shown in (pixels, large)
        }
    for row, index in enumerate(channels):
        values = {f"{way} at {seen}": found[way][seen][row] for way in found for seen in found[way]}
        yield {"unit": f"{layer}:{index}", "steps": steps, **values}


def _ratio(ours: float, theirs: float) -> float:
    return ours / theirs if theirs > 0 else float("inf")  # a channel that they never excite


def summary(rows: list[dict[str, Any]]) -> None:
    """Print the ratio of each unit and the median."""
    for size in sorted(key.split()[-1] for key in rows[0] if key.startswith("lucent")):
        ratios = [_ratio(row[f"overpaint at {size}"], row[f"lucent at {size}"]) for row in rows]
        told = ", ".join(
            f"{row['unit']} {ratio:.2f}" for row, ratio in zip(rows, ratios, strict=True)
        )
        print(f"objective, overpaint / torch-lucent, seen at {size} pixels: {told}")
        print(f"  median of {len(ratios)}: {statistics.median(ratios):.3f}")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, help="where torch-lucent lies")
    parser.add_argument("--whole", action="store_true", help="a whole layer, without a peer")
    parser.add_argument("--channels", type=int, default=CHANNELS, help="of --whole")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--network", choices=CASES, action="append")
    parser.add_argument("--weights", type=Path, help="of inception_v1")
    parser.add_argument("--units", help="of inception_v1, as mixed4d:164,450")
    parser.add_argument("--steps", type=int, default=STEPS, help="of --whole and --units")
    parser.add_argument("--size", type=int, default=SIZE, help="of the pictures of --units")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    if options.whole:
        whole(options.channels, options.steps)
        return
    if not options.peers:
        parser.error("--peers says where torch-lucent lies; without it there is only --whole")
    if not options.units:
        for case in cases(options.peers, options.network or tuple(CASES), options.rounds):
            case.show()
        return
    seed_all()
    optvis = peer(options.peers)
    rows = list(objectives(options.weights, options.units, optvis, options.steps, options.size))
    if options.keep:
        kept = json.loads(options.keep.read_text()) if options.keep.exists() else []
        rows = [*kept, *rows]
        options.keep.write_text(json.dumps(rows, indent=1))
    summary(rows)


if __name__ == "__main__":
    main()
