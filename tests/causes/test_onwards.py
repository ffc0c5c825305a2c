"""Forwards that begin behind a layer say what whole forwards say, or are not used."""

import numpy as np
import pytest
import torch
from torch import nn

from overpaint.causes.onwards import Onwards
from overpaint.causes.variants import Variant, said_of, said_of_each
from overpaint.datasets.opening import ENTRY, open_dataset
from overpaint.networks import build
from overpaint.networks.own import wrap

NETWORKS = [
    "inception_small",
    "torchvision:resnet18",
    "timm:mobilenetv3_small_050",
    "timm:vit_tiny_patch16_224",
]


def drawn(count):
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_behind_each_layer_are_the_logits_of_a_whole_forward(name):
    """To the bit, for batches of other sizes than the one that was tried, and without a trace."""
    network = build(name, classes=("a", "b", "c"), seed=0).eval()
    size = 224 if "vit" in name else 64
    images = nn.functional.interpolate(drawn(5), size)
    onwards = Onwards(network)
    able = onwards.tried(network, images)
    assert len(able) > 0.6 * len(network.layers)
    for batch in (images, images[:2]):
        with onwards.recording() as outputs:
            whole = network(batch)
        for layer in able:
            with onwards.behind(layer, outputs[layer]):
                assert torch.equal(network(batch), whole)
    assert torch.equal(network(images), network(images))
    assert not any(module._forward_hooks for module in network.body.modules())
    assert not any("forward" in vars(module) for module in network.body.modules())


@torch.inference_mode()
def test_what_runs_before_is_not_run():
    """The convolutions before a layer are not called, those behind it are."""
    network = build("inception_small", classes=("a", "b"), seed=0).eval()
    images, called = drawn(2), []
    onwards = Onwards(network)
    with onwards.recording() as outputs:
        network(images)
    for name, module in network.body.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *_, name=name: called.append(name))
    with onwards.behind("mixed4b", outputs["mixed4b"]):
        network(images)
    assert called
    assert not any(name.startswith(("conv2d", "mixed3", "mixed4a", "mixed4b")) for name in called)


class Reaching(nn.Module):
    """What the first layer gives is added again behind the second."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.head = nn.Linear(3, 2)

    def forward(self, images):
        first = self.one(images)
        return self.head(self.three(self.two(first).relu_() + first).mean((2, 3)))


def reaching(seed):
    torch.manual_seed(seed)
    return wrap(Reaching(), preprocessing={"size": 32}, classes=["bird", "tree"],
                layers=["one", "two", "three"]).eval()  # fmt: skip


@torch.inference_mode()
def test_a_layer_that_is_reached_past_is_seen():
    """Behind it no forward begins; one before and one behind it are as good as ever."""
    network = reaching(0)
    assert Onwards(network).tried(network, drawn(2)) == {"one", "three"}


@pytest.mark.parametrize("behind", ["one", "two", "three"])
def test_variants_say_what_they_say_alone(pictures, tmp_path, behind):
    """Also where a layer is reached past, and where the last batch is smaller than the first."""
    (pictures / "red").rename(pictures / "bird")
    (pictures / "blue").rename(pictures / "tree")
    entry = ENTRY.validate_python({"kind": "folder", "root": pictures})
    dataset, _ = open_dataset("colours", entry, workplace=tmp_path / "work")
    images, network, old = dataset.split("train"), reaching(1), reaching(2).tensors()
    above = ["one", "two", "three"][: ["one", "two", "three"].index(behind) + 1]
    back = {name: value for name, value in old.items() if name.partition(".")[0] not in above}
    alone = said_of(network, images, back).logits
    variants = [Variant(tensors={}), Variant(tensors=back, behind=behind)]
    _, said = said_of_each(network, images, variants)
    assert np.array_equal(said.logits, alone)
    assert not np.array_equal(said.logits, said_of(network, images).logits)
