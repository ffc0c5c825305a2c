"""Networks: the paper's gives the golden values, any other comes by name, none in silence."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from overpaint import cache
from overpaint.errors import NetworkError
from overpaint.networks import Network, build, load, open_network, save_weights
from overpaint.networks.inception_v1 import LAYERS, InceptionV1, LocalResponseNorm
from overpaint.networks.network import luminance
from overpaint.networks.parts import Parts, Preprocessing
from overpaint.networks.taps import taps
from overpaint.pixels.images import centre_square, read, shorter_side
from overpaint.records import manifest, write_json


@pytest.fixture(scope="module")
def bvlc(real):
    return load("inception_v1.bvlc_in1k", weights=real / "weights/bvlc_googlenet.safetensors")


@pytest.fixture(scope="module")
def golden(real):
    return json.loads((real / "weights/bvlc_googlenet.golden.json").read_text())


def golden_pictures() -> torch.Tensor:
    """The golden input brought back to RGB, 0..1; the network subtracts and swaps by itself."""
    bgr = np.random.RandomState(0).rand(2, 3, 224, 224).astype("float32")
    return torch.from_numpy(bgr).flip(1)


def test_golden_layers(bvlc, golden):
    """Every layer mean agrees with an independent implementation to 1e-4, relative."""
    assert set(golden["layers"]) == set(LAYERS)
    with torch.inference_mode(), taps(bvlc, LAYERS) as tap:
        seen = tap(golden_pictures())
    for layer, expected in golden["layers"].items():
        assert seen[layer].mean().item() == pytest.approx(expected["mean"], rel=1e-4)
        assert seen[layer][0, :4].tolist() == pytest.approx(
            expected["gap_first4"], rel=1e-3, abs=1e-4
        )


def test_golden_logits(bvlc, golden):
    """The logits agree, and so does the class that wins."""
    with torch.inference_mode():
        logits = bvlc.eval()(golden_pictures())
    assert logits[:, :8].flatten().tolist() == pytest.approx(
        np.ravel(golden["logits_first8"]).tolist(), abs=1e-3
    )
    assert logits.argmax(1).tolist() == golden["argmax"]


def test_photographs(bvlc, golden, real):
    """The network names as many of 120 photographs right as the golden implementation."""
    synsets = [line.split()[0] for line in (real / "weights/ilsvrc12_synsets.txt").open()]
    files = sorted((real / "data/imagenet_sample").glob("*.JPEG"))
    seen = bvlc.preprocessing
    right = 0
    for file in files:
        picture = shorter_side(read(file, seen.resize), seen.resize, seen.interpolation)
        pixels = np.asarray(centre_square(picture, seen.size))
        image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
        with torch.inference_mode():
            found = bvlc.eval()(image).argmax().item()
        right += synsets[found] == file.name.split("_")[0]
    assert len(files) == golden["imagenet_sample"]["n"]
    assert right >= 95


def test_response_norm():
    """The band form of local response normalisation equals torch's own, gradients too."""
    torch.manual_seed(0)
    ours, theirs = LocalResponseNorm(24), torch.nn.LocalResponseNorm(5, 1e-4, 0.75, 1)
    x = (torch.randn(2, 24, 5, 6) * 100).requires_grad_()
    a, b = ours(x), theirs(x)
    torch.testing.assert_close(a, b)
    (grad_a,) = torch.autograd.grad(a.square().sum(), x)
    (grad_b,) = torch.autograd.grad(b.square().sum(), x)
    torch.testing.assert_close(grad_a, grad_b, rtol=1e-4, atol=1e-2)


def test_every_convolution_has_an_address():
    """Each of the 57 convolutions can be tapped under the paper's name."""
    convolutions = {
        name for name, each in InceptionV1(2).named_modules() if isinstance(each, torch.nn.Conv2d)
    }
    assert len(convolutions) == 57
    assert "conv2d0_pre_relu" in convolutions
    assert "mixed4d_3x3_bottleneck_pre_relu" in convolutions
    assert "mixed5b_pool_reduce_pre_relu" in convolutions


def test_filters_make_the_channels(bvlc):
    """Channel 164 of mixed4d is filter 52 of its 3x3 branch, as in the paper."""
    before, branch = bvlc.filters["mixed4d"][:2]
    assert branch == "mixed4d_3x3_pre_relu"
    width = bvlc.body.get_submodule(before).out_channels
    assert 164 - width == 52
    sizes = [bvlc.body.get_submodule(each).out_channels for each in bvlc.filters["mixed4d"]]
    assert sum(sizes) == 528


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("timm:resnet18", "layer4"),
        ("timm:vit_tiny_patch16_224", "blocks.11"),
        ("torchvision:resnet18", "layer4"),
        ("torchvision:googlenet", "inception5b"),
    ],
)
def test_zoo(name, layer):
    """Networks of timm and torchvision come with ordered layers and a head for the classes."""
    network = build(name, classes=("a", "b", "c"), seed=0)
    assert network.layers[-1] == layer
    size = network.preprocessing.size
    with torch.inference_mode(), taps(network, network.layers) as tap:
        seen = tap(torch.zeros(2, 3, size, size))
    assert list(seen) == list(network.layers)
    assert all(values.ndim == 2 and len(values) == 2 for values in seen.values())
    with torch.inference_mode():
        assert network.eval()(torch.zeros(2, 3, size, size)).shape == (2, 3)


def test_random_is_seeded():
    """The same seed gives the same weights, another gives others; torch's state is untouched."""
    state = torch.get_rng_state()
    one, same, other = (build("inception_small", classes=("a",), seed=s).digest for s in (1, 1, 2))
    assert one == same != other
    assert torch.equal(state, torch.get_rng_state())


def test_network_of_a_folder(tmp_path):
    """A saved network comes back bit for bit, with its classes."""
    from overpaint.networks import describe

    network = build("inception_small", classes=("cat", "dog"), seed=5)
    weights = save_weights(network, tmp_path / "weights.safetensors")
    facts = {**describe(network), "weights": weights}
    made = manifest("network", inputs={}, settings={}, seed=0, facts=facts)
    write_json(tmp_path / "manifest.json", made)
    assert load(str(tmp_path)).digest == network.digest
    data = bytearray((tmp_path / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "weights.safetensors").write_bytes(data)
    with pytest.raises(NetworkError) as caught:
        open_network(tmp_path)
    assert caught.value.slug == "changed-weights"


@pytest.mark.parametrize(
    ("name", "options", "slug", "said"),
    [
        ("inception_v1", {}, "no-weights", "bvlc_googlenet.safetensors"),
        ("inception_v1.bvlc", {}, "unknown-weights", "bvlc_in1k"),
        ("inception_small", {}, "no-weights", "weights: random"),
        ("inceptoin_v1", {"weights": "random"}, "unknown-architecture", "inception_v1"),
        ("timm:resnet81", {"weights": "random"}, "unknown-architecture", "resnet"),
        ("inception_v1", {"weights": "nowhere.safetensors"}, "no-weights", "nowhere"),
    ],
)
def test_weights_that_cannot_be_had(name, options, slug, said, tmp_path, monkeypatch):
    """Weights are never random in silence: the error says what to put where."""
    monkeypatch.setenv("OVERPAINT_CACHE", str(tmp_path))
    gone = replace(cache.CAFFEMODEL, url="http://127.0.0.1:9/gone")
    monkeypatch.setitem(cache.SOURCES, "inception_v1", gone)
    with pytest.raises(NetworkError, match=said) as caught:
        load(name, **options)
    assert caught.value.slug == slug


@pytest.mark.parametrize(
    ("name", "file", "url"),
    [
        (
            "timm:resnet18.a1_in1k",
            "timm-resnet18.a1_in1k.safetensors",
            "https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors",
        ),
        (
            "torchvision:resnet18",
            "torchvision-resnet18.pth",
            "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        ),
    ],
)
def test_download_that_fails(name, file, url, tmp_path, monkeypatch):
    """A download that fails says what to put where; put there, it is found."""
    monkeypatch.setenv("OVERPAINT_CACHE", str(tmp_path))

    def offline(architecture):
        raise OSError("no route to host")

    monkeypatch.setattr("overpaint.networks.zoo.pretrained", offline)
    with pytest.raises(NetworkError, match="no route to host") as caught:
        load(name)
    assert f"put {url} as {file} into {tmp_path}" in str(caught.value)
    network = build(name, classes=tuple("abc"), seed=4)
    if file.endswith(".pth"):
        torch.save(network.tensors(), tmp_path / file)
    else:
        save_weights(network, tmp_path / file)
    for key, tensor in load(name).tensors().items():
        assert torch.equal(tensor, network.tensors()[key])


def test_auxiliary_heads_are_left_out(tmp_path):
    """A file of torchvision's googlenet, which has auxiliary heads, fits."""
    network = build("torchvision:googlenet", classes=("a", "b"), seed=0)
    with_heads = network.tensors() | {"aux1.fc1.weight": torch.ones(3)}
    torch.save(with_heads, tmp_path / "w.pth")
    found = load("torchvision:googlenet", weights=tmp_path / "w.pth")
    assert found.tensors().keys() == network.tensors().keys()


def test_weights_that_do_not_fit(tmp_path):
    """A file of another architecture is refused, with the first tensor that does not fit."""
    save_weights(build("inception_small", classes=("a",), seed=0), tmp_path / "w.safetensors")
    with pytest.raises(NetworkError) as caught:
        load("inception_v1", weights=tmp_path / "w.safetensors")
    assert caught.value.slug == "weights-misfit"


def test_nothing_is_executed(tmp_path):
    """A pickle with code in it is refused."""
    import pickle

    class Evil:
        def __reduce__(self):
            return (print, ("executed",))

    (tmp_path / "w.pth").write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(NetworkError) as caught:
        load("inception_v1", weights=tmp_path / "w.pth")
    assert caught.value.slug == "broken-weights"


class OneChannel(nn.Module):
    """Says how bright a picture is."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, images):
        return self.head(self.conv(images).mean((2, 3)))


def test_one_channel():
    """A network of one channel is given the luminance, as its weights want to see it."""
    wanted = Preprocessing(8, 8, mean=(0.5,), std=(0.25,), order="grey")
    network = Network("grey", Parts(OneChannel(), ("conv",), "head", wanted), ("a", "b"))
    images = torch.rand(2, 3, 8, 8)
    seen = network.normalise(images)
    red, green, blue = images.unbind(1)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    torch.testing.assert_close(seen, ((grey - 0.5) / 0.25)[:, None])
    assert network(images).shape == (2, 2)


def test_luminance():
    """Luminance is what Pillow makes of a picture in grey, and grey stays as it is."""
    levels = np.random.default_rng(0).integers(256, size=(9, 9, 3), dtype=np.uint8)
    pillow = np.asarray(Image.fromarray(levels).convert("L"))
    found = luminance(torch.from_numpy(levels).permute(2, 0, 1)[None] / 255)[0, 0] * 255
    assert np.abs(found.numpy() - pillow).max() < 0.51
    grey = torch.rand(1, 1, 5, 5)
    torch.testing.assert_close(luminance(grey.expand(1, 3, 5, 5)), grey)


def test_a_name_without_its_zoo_is_told_with_it():
    """No weights are published for `resnet50`, and there are some of that name in two zoos."""
    with pytest.raises(NetworkError, match="torchvision:resnet50 or timm:resnet50") as caught:
        load("resnet50")
    assert caught.value.slug == "no-weights"


def test_published_classes_have_names(real, monkeypatch):
    """The names are in the order of the outputs: what is seen on photographs of known classes."""
    monkeypatch.setenv("OVERPAINT_CACHE", str(real / "weights"))
    network = load("inception_v1").eval()
    files = sorted((real / "data/imagenet_sample").glob("*.JPEG"))[:24]
    said = []
    with torch.inference_mode():
        for file in files:
            square = centre_square(shorter_side(read(file), 224, "bilinear"), 224)
            pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float() / 255
            answer = network(pixels)
            said.append(network.classes[int(answer.argmax())].replace(" ", "_").lower())
    right = sum(name in file.stem.lower() for name, file in zip(said, files, strict=True))
    assert right >= 12, list(zip(said, [file.stem for file in files], strict=True))
