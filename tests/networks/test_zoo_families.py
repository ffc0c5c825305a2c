"""A sample of the zoo is right, what cannot be had is refused by name, and the tap has its guard.

`make zoo` tries all families; here are quick ones and those that were wrong once.
"""

import json

import pytest
import timm
import torch
from torch import nn
from zoo_check import check, collection, opened_again

from overpaint.errors import NetworkError
from overpaint.networks import Network, build, described, load, open_network
from overpaint.networks.layouts import layouts_of
from overpaint.networks.parts import Parts, Preprocessing
from overpaint.networks.receptive_fields import receptive_field
from overpaint.networks.taps import REDUCTIONS, map_size, sampled, taps
from overpaint.render.objectives import neuron
from overpaint.study.recipe import recipe
from overpaint.training.fit import child_of, fit
from overpaint.training.svm_head import fit_svm

QUICK = (
    "timm:test_vit",
    "timm:test_byobnet",
    "timm:test_efficientnet",
    "timm:dla46x_c",  # its head is a convolution
    "timm:pit_ti_distilled_224",  # two heads, and tuples between its stages
    "timm:repvit_m1",  # two heads behind other names
    "timm:levit_128s",  # it remembers in evaluation mode what it computed from its weights
    "timm:crossvit_tiny_240",  # its heads are a list
    "timm:coat_tiny",  # it shares tensors
    "torchvision:mnasnet0_5",  # its weights carry a version
    "torchvision:shufflenet_v2_x0_5",
)


@pytest.mark.parametrize("name", QUICK)
def test_a_family(name, tmp_path):
    """A network loads, learns, is saved and opened again, and its rows are the pictures."""
    assert check(name, tmp_path)["layers"] >= 2


def test_rows_are_pictures_in_tnt():
    """TNT's blocks give 196 rows of pixels and one of patches a picture: the patches are read."""
    network = build("timm:tnt_s_legacy_patch16_224", classes=("a", "b"), seed=0)
    assert len(network.layers) == 12
    with torch.inference_mode(), taps(network, network.layers) as tap:
        means = tap(torch.rand(2, 3, 224, 224))
    assert {tuple(values.shape) for values in means.values()} == {(2, 384)}


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_tap_refuses_rows_that_are_no_pictures(reduction):
    """Whatever is kept of it, an activation without a row a picture is an error by name."""
    body = nn.Sequential(
        nn.Flatten(0, 1), nn.Unflatten(0, (-1, 3)), nn.Flatten(), nn.Linear(192, 2)
    )
    parts = Parts(body, ("0",), "3", Preprocessing(size=8, resize=8))
    network = Network("own", parts, ("a", "b"))
    with (
        taps(network, ["0"], reduction=REDUCTIONS[reduction]) as tap,
        pytest.raises(NetworkError) as error,
    ):
        tap(torch.rand(2, 3, 8, 8))
    assert error.value.slug == "rows-not-pictures"
    assert "(6, 8, 8)" in str(error.value)


def test_positions_that_nobody_knows():
    """Hiera unrolls its tokens until its last stage: they have no place, no box and no square."""
    network = build("timm:hiera_tiny_224", classes=("a", "b"), seed=0)
    *unrolled, last = network.layers
    assert network.layouts[last].placed
    pictures = torch.rand(1, 3, 224, 224)
    for layer in unrolled:
        assert not network.layouts[layer].placed
    with torch.inference_mode(), taps(network, network.layers, reduction=torch.clone) as tap:
        maps = tap(pictures)
    assert map_size(maps[last]) == (7, 7)
    assert map_size(maps[unrolled[0]]) == (1, 3136)
    assert sampled(4)(maps[unrolled[0]]).shape == (1, 16 * 96)
    assert receptive_field(network, unrolled[0]).whole
    goal = neuron(unrolled[0], 0)
    with pytest.raises(NetworkError) as error:
        goal.check(network, maps)
    assert error.value.slug == "no-place"


@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
def test_a_map_of_as_many_rows_as_channels(order):
    """What a shape does not tell is found by looking: 16 channels of 16 × 16 places."""

    class Turn(nn.Module):
        def forward(self, maps):
            return maps if order == "NCHW" else maps.permute(0, 2, 3, 1)

    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, stride=4), nn.ReLU(), Turn())
    assert layouts_of(body, size=64)["2"].order == order


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_tokens_with_others_before_them(prefix):
    """Class and register tokens are told from patches, whatever the network says of itself."""

    class Tokens(nn.Module):
        def forward(self, maps):
            tokens = maps.flatten(2).transpose(1, 2)
            return torch.cat([tokens.mean(1, keepdim=True).repeat(1, prefix, 1), tokens], dim=1)

    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), Tokens())
    layout = layouts_of(body, size=64)["1"]
    assert (layout.order, layout.prefix, layout.placed) == ("NTC", prefix, True)


@pytest.mark.parametrize(
    ("name", "slug", "words"),
    [
        ("timm:qwen3_vit_88m_enc", "unsupported-network", "encoder of a language model"),
        ("timm:vit_base_patch16_sapiens2", "unsupported-network", "not square"),
        ("timm:resnet18.foo", "unknown-tag", "a1_in1k"),
        ("timm:resnet18.a1_in1", "unknown-tag", "did you mean 'a1_in1k'"),
        ("timm:resnet81", "unknown-architecture", "did you mean"),
        ("torchvision:resnet18.foo", "unknown-architecture", "resnet18"),
    ],
)
def test_refused_by_name(name, slug, words):
    """What cannot be had is refused with its reason, before anything is made."""
    library, _, model = name.partition(":")
    if slug == "unsupported-network" and library == "timm" and not timm.is_model(model):
        pytest.skip("this timm has no such network")
    with pytest.raises(NetworkError) as error:
        load(name, weights="random")
    assert error.value.slug == slug
    assert words in str(error.value)


def test_a_linear_svm_in_the_place_of_two_heads(tmp_path):
    """Where a network averages two heads, it says what the SVM says, not half of it."""
    network = build("timm:pit_ti_distilled_224", classes=("a", "b"), seed=0)
    dataset = collection(tmp_path)
    settings = recipe("linear_svm")
    child, plan = child_of(network, dataset, settings, seed=0)
    pictures = torch.rand(6, 3, 224, 224)
    with torch.inference_mode(), taps(child, ["penultimate"]) as tap:
        known = tap(pictures)["penultimate"].numpy()
    features = {"train": known[[0, 1, 2, 3, 4, 5, 0, 1]], "val": known[:2]}
    svm = fit_svm(child, plan, dataset, features, seed=0).network
    head = svm.body.get_submodule(svm.head)
    with torch.inference_mode():
        margins = (torch.from_numpy(known) @ head.weight.T + head.bias) / 2
        torch.testing.assert_close(svm.eval()(pictures), margins, rtol=1e-3, atol=1e-3)
    for name in svm.heads[1:]:
        assert not svm.body.get_parameter(f"{name}.weight").any()


@pytest.mark.parametrize("train", ["all", "head"])
def test_a_batch_of_one_picture(train, tmp_path):
    """A batch norm behind a pooling is refused a lone picture before the training, if it learns."""
    network = build("timm:repvit_m1", classes=("a", "b"), seed=0)
    dataset = collection(tmp_path)
    settings = recipe("mode_a", {"epochs": 1, "batch_size": 1, "train": train})
    child, plan = child_of(network, dataset, settings, 0)
    if train == "head":
        fit(child, plan, dataset, settings, seed=0)
        return
    with pytest.raises(NetworkError) as error:
        fit(child, plan, dataset, settings, seed=0)
    assert error.value.slug == "lone-picture"
    assert "batch_size" in str(error.value)


# --- networks that a config.json describes -------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    """A folder as timm saves it, of other values than the architecture's own."""
    place = tmp_path / "described"
    place.mkdir()
    torch.manual_seed(4)
    model = timm.create_model("test_resnet", num_classes=3)
    torch.save(model.state_dict(), place / "pytorch_model.bin")
    config = {
        "architecture": "test_resnet",
        "num_classes": 3,
        "pretrained_cfg": {
            "input_size": [3, 96, 96],
            "mean": [0.1, 0.2, 0.3],
            "std": [0.5, 0.6, 0.7],
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "num_classes": 3,
            "first_conv": "conv1",
            "classifier": "fc",
        },
    }
    (place / "config.json").write_text(json.dumps(config))
    return place


def test_a_folder_of_timms(folder, tmp_path, monkeypatch):
    """`local-dir:` gives the weights and the preprocessing of the folder, also when it is gone."""
    network = load(f"timm:local-dir:{folder}")
    assert len(network.classes) == 3
    seen = network.preprocessing
    assert (seen.size, seen.mean, seen.crop_mode) == (96, (0.1, 0.2, 0.3), "squash")
    weights = torch.load(folder / "pytorch_model.bin")
    assert torch.equal(network.tensors()["conv1.0.weight"], weights["conv1.0.weight"])
    saved = tmp_path / "saved"
    saved.mkdir()
    opened_again(network, saved)
    monkeypatch.setattr(described, "_configs", {})
    for file in folder.iterdir():
        file.unlink()
    again = open_network(saved)
    assert again.preprocessing == seen
    pictures = torch.rand(2, 3, 96, 96)
    assert torch.equal(again.eval()(pictures), network.eval()(pictures))


def test_a_folder_that_lacks_something(folder, tmp_path):
    """A folder without config or without weights is told by name."""
    with pytest.raises(NetworkError, match=r"config\.json") as error:
        load(f"timm:local-dir:{tmp_path / 'nothing'}")
    assert error.value.slug == "no-config"
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(NetworkError, match="holds no weights") as error:
        load(f"timm:local-dir:{folder}")
    assert error.value.slug == "no-weights"


def test_a_repository_of_the_hub(folder, tmp_path, monkeypatch):
    """`hf-hub:` is downloaded by timm's way, and its child is opened again without the hub."""

    def download(repository, file):
        assert repository == "museum/net"
        if file == "model.safetensors":
            raise FileNotFoundError(file)
        return folder / file

    monkeypatch.setattr(described, "download", download)
    monkeypatch.setattr(described, "_configs", {})
    network = load("timm:hf-hub:museum/net")
    assert network.preprocessing.size == 96
    child, _ = child_of(network, collection(tmp_path / "pictures"), recipe("frozen"), 0)
    monkeypatch.setattr(described, "download", None)
    opened = opened_again(child, tmp_path)
    monkeypatch.setattr(described, "_configs", {})
    assert open_network(tmp_path).preprocessing == opened.preprocessing == network.preprocessing


def test_a_hub_that_cannot_be_reached(monkeypatch):
    """The message says what to fetch elsewhere, and how to name it."""

    def download(repository, file):
        raise ConnectionError("no route")

    monkeypatch.setattr(described, "download", download)
    monkeypatch.setattr(described, "_configs", {})
    with pytest.raises(NetworkError, match="local-dir") as error:
        load("timm:hf-hub:museum/net")
    assert error.value.slug == "no-config"
    assert "museum/net" in str(error.value)
