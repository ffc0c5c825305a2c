"""What must be right of a network of the zoo: run alone, one JSON line of what came out.

python tests/networks/zoo_check.py timm:resnet18
"""

import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import overpaint
from overpaint.errors import OverpaintError
from overpaint.networks import build, describe, open_network, save_weights
from overpaint.networks.taps import PENULTIMATE, REDUCTIONS, map_size, taps
from overpaint.records import manifest, write_json
from overpaint.study.recipe import recipe
from overpaint.training.fit import child_of, fit


def collection(root):
    """Two classes told apart by their colour, eight pictures to train on.

    Not as many of each: where random weights let all features vanish, a head learns their shares.
    """
    rng = np.random.default_rng(0)
    counts = {"train": (3, 5), "val": (1, 1), "test": (1, 1)}
    for split, both in counts.items():
        for label, colour, count in zip(
            ("red", "blue"), ((200, 40, 40), (40, 40, 200)), both, strict=True
        ):
            folder = Path(root) / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                noise = rng.normal(0, 30, (70, 80, 3)) + colour
                Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return overpaint.dataset(root)


def opened_again(network, folder):
    """The network as a study folder gives it back."""
    weights = save_weights(network, folder / "weights.safetensors")
    facts = {**describe(network), "weights": weights}
    write_json(
        folder / "manifest.json",
        manifest("network", inputs={}, settings={}, seed=0, facts=facts),
    )
    return open_network(folder)


def check(architecture, folder):
    """Load, a step of frozen and of mode_a, save, open again; what was seen on the way."""
    network = build(architecture, classes=("a", "b"), seed=0)
    layers, size = list(network.layers), network.preprocessing.size
    assert len(layers) >= 2, layers
    pictures = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(1))
    several = dict.fromkeys(
        [*layers, PENULTIMATE],
        lambda activation: (
            {name: reduce(activation) for name, reduce in REDUCTIONS.items()}
            | {"size": map_size(activation)}
        ),
    )
    with torch.inference_mode(), taps(network, [*layers, PENULTIMATE], reduction=several) as tap:
        read = tap(pictures)
    unknown = []
    for layer, values in read.items():
        for name in REDUCTIONS:
            assert len(values[name]) == 3, (layer, name, values[name].shape)
        assert bool(torch.isfinite(values["mean"]).all()), layer
        height, width = values["size"]
        if height == 1 < width and layer != PENULTIMATE:
            unknown.append(layer)
    dataset = collection(folder / "pictures")
    for name in ("frozen", "mode_a"):
        settings = recipe(name, {"epochs": 1, "batch_size": 8})
        child, plan = child_of(network, dataset, settings, seed=3)
        before = {key: tensor.clone() for key, tensor in child.tensors().items()}
        trained = fit(child, plan, dataset, settings, seed=3).network
        after = trained.tensors()
        for head in trained.heads:
            own = [key for key in before if key.startswith(f"{head}.")]
            moved = any(not torch.equal(before[key], after[key]) for key in own)
            assert moved, f"{name} did not train {head}"
        others = [key for key in before if not trained.in_head(key)]
        moved = [key for key in others if not torch.equal(before[key], after[key])]
        assert bool(moved) == (name == "mode_a"), (name, moved[:3])
        place = folder / name
        place.mkdir()
        again = opened_again(trained, place)
        assert again.classes == dataset.classes
        assert again.layers == network.layers
        # a training leaves weights in another order in memory, which moves the last digits; where
        # random weights blow everything up, by more
        trained.to(memory_format=torch.contiguous_format)
        with torch.inference_mode():
            logits = [each.eval()(pictures[:2]) for each in (trained, again)]
        assert logits[0].shape == (2, 2), logits[0].shape
        apart = (logits[0] - logits[1]).abs().max() / logits[0].abs().max().clamp(min=1e-3)
        assert apart < 1e-5, f"opened again, the logits are {float(apart):.1e} apart"
        (place / "weights.safetensors").unlink()
    return {
        "layers": len(layers),
        "unknown": len(unknown),
        "heads": len(network.heads),
        "parameters": network.parameters_in_all,
    }


def outcome(architecture):
    """What came out, in words that go into a table."""
    start = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as folder:
            result = {"status": "right", **check(architecture, Path(folder))}
    except OverpaintError as error:
        refused = error.slug in ("unsupported-network", "no-layers")
        status = "refused" if refused else "wrong"
        result = {"status": status, "why": f"{error} [{error.slug}]"}
    except Exception as error:  # whatever it is, it is a fault that the table shows
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        result = {"status": "wrong", "why": f"{type(error).__name__}: {first}"[:300]}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "name": architecture,
        **result,
        "seconds": round(time.monotonic() - start, 1),
        "gigabytes": round(peak, 1),
    }


if __name__ == "__main__":
    os.environ.setdefault("ACCELERATE_USE_CPU", "true")
    print(json.dumps(outcome(sys.argv[1])))  # noqa: T201
