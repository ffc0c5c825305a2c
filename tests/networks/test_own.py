"""One's own networks: any module that takes pictures is wrapped, and left as it was."""

import copy
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torchvision
import transformers
from torch import nn

import overpaint as op
from overpaint.errors import NetworkError
from overpaint.features import features_of
from overpaint.networks.parts import Preprocessing
from overpaint.networks.receptive_fields import receptive_field
from overpaint.render import render_pair

SMALL = {"size": 32, "resize": 32, "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}


class Block(nn.Module):
    """A convolution with its norm and activation, as people write them."""

    def __init__(self, before, after):
        super().__init__()
        self.convolution = nn.Conv2d(before, after, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, maps):
        return torch.relu_(self.norm(self.convolution(maps)))


class Mine(nn.Module):
    """A network of thirty lines, as somebody has written it."""

    def __init__(self, classes=2, channels=3):
        super().__init__()
        self.stem = Block(channels, 8)
        self.middle = Block(8, 16)
        self.last = Block(16, 16)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(16, classes)

    def forward(self, pictures):
        maps = self.last(self.middle(self.stem(pictures)))
        return self.classifier(self.pool(maps).flatten(1))


def seeded(make, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make()


def small_vit():
    config = transformers.ViTConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=48,
        image_size=32,
        patch_size=8,
        num_labels=2,
    )
    return transformers.ViTForImageClassification(config)


def state_of(module):
    """All that a use may not change: values, modes, gradients, hooks, places."""
    return {
        "values": {name: tensor.clone() for name, tensor in module.state_dict().items()},
        "strides": [weight.stride() for weight in module.parameters()],
        "asking": [weight.requires_grad for weight in module.parameters()],
        "gradients": [weight.grad is None for weight in module.parameters()],
        "places": [weight.device for weight in module.parameters()],
        "modes": [part.training for part in module.modules()],
        "hooks": [
            (len(part._forward_hooks), len(part._forward_pre_hooks)) for part in module.modules()
        ],
    }


def assert_same(state, other):
    for name, tensor in state.pop("values").items():
        torch.testing.assert_close(other["values"][name], tensor, rtol=0, atol=0)
    del other["values"]
    assert state == other


def five_steps(module, split):
    """What a notebook does: five steps of an optimiser on a few pictures."""
    network = op.wrap(module, preprocessing=SMALL)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pictures = torch.rand(8, 3, 32, 32)
    optimiser = torch.optim.SGD(module.parameters(), lr=0.05)
    module.train()
    for _ in range(5):
        loss = nn.functional.cross_entropy(network(pictures), torch.arange(8) % 2)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    optimiser.zero_grad()


@pytest.mark.parametrize("make", [Mine, small_vit])
def test_before_and_after_five_steps(make, pictures):
    """Two modules of the user's are compared and rendered; nothing of them has changed after."""
    module = seeded(make)
    before = copy.deepcopy(module)
    images = op.dataset(pictures).split("train")
    five_steps(module, images)
    module.train()
    next(iter(module.parameters())).requires_grad_(False)
    states = [state_of(before), state_of(module)]
    old, new = (
        op.wrap(side, preprocessing=SMALL, classes=("blue", "red")) for side in (before, module)
    )
    change = op.compare(old, new, images, k=5)
    assert change.layers["layer"].tolist() == list(new.layers)
    assert change.layers["cka_debiased_high"].notna().all()  # of plain colours less may be left
    assert (change.layers["cka"] < 1).all()
    assert (change.weights["l2"] > 0).any()
    assert len(change.channels) == sum(
        of_layer.shape[1] for of_layer in features_of([(new, new.layers)], images)[0].values()
    )
    layer = new.layers[1]
    drawn = op.render(new, layer, [0, 3], steps=4, size=32)
    assert [rendering.image.shape for rendering in drawn] == [(32, 32, 3)] * 2
    together = render_pair(old, new, layer, [1], steps=2, size=32)
    assert together[0].image.shape == (32, 32, 3)
    with op.taps(new, ["penultimate", "logits"]) as tap:
        seen = tap(torch.rand(2, 3, 32, 32))
    assert [tuple(values.shape) for values in seen.values()][1] == (2, 2)
    for side, state in zip((before, module), states, strict=True):
        assert_same(state, state_of(side))


def test_what_is_read_is_what_the_module_gives(pictures):
    """Features are means over places of the module's own output, of pictures as it wants them."""
    module = seeded(small_vit).eval()
    network = op.wrap(module, preprocessing=SMALL)
    assert network.layers == ("vit.embeddings", "vit.layers.0", "vit.layers.1", "vit.layers.2")
    assert (network.head, network.prefix_tokens) == ("classifier", 1)
    views = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    kept = []
    handle = module.vit.layers[1].register_forward_hook(
        lambda _module, _inputs, output: kept.append(output)
    )
    with torch.no_grad():
        logits = module((views - 0.5) / 0.25).logits
        handle.remove()
        with op.taps(network, ["vit.layers.1", "logits"]) as tap:
            seen = tap(views)
    torch.testing.assert_close(seen["vit.layers.1"], kept[0][:, 1:].mean(1))
    torch.testing.assert_close(seen["logits"], logits)


def test_register_tokens_are_no_places():
    """Tokens of registers are left out, also where all tokens together make a square."""
    config = transformers.Dinov2WithRegistersConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, mlp_ratio=2,
        image_size=32, patch_size=8, num_labels=2, num_register_tokens=8,
    )  # fmt: skip
    module = seeded(lambda: transformers.Dinov2WithRegistersForImageClassification(config)).eval()
    network = op.wrap(module, preprocessing=SMALL)
    layer = network.layers[-1]
    assert network.prefix_tokens == 9
    views, kept = torch.rand(2, 3, 32, 32), []
    handle = module.get_submodule(layer).register_forward_hook(
        lambda _module, _inputs, output: kept.append(output)
    )
    with torch.no_grad(), op.taps(network, [layer]) as tap:
        seen = tap(views)[layer]
    handle.remove()
    assert kept[0].shape == (2, 25, 24)
    torch.testing.assert_close(seen, kept[0][:, 9:].mean(1))


def test_channels_that_stand_last_are_channels():
    """Maps (N, H, W, C) of somebody's own are averaged over their places."""

    class Last(Mine):
        def forward(self, pictures):
            maps = self.last(self.turn(self.middle(self.stem(pictures))).permute(0, 3, 1, 2))
            return self.classifier(self.pool(maps).flatten(1))

        def __init__(self):
            super().__init__()
            self.turn = Turn()

    class Turn(nn.Module):
        def forward(self, maps):
            return maps.permute(0, 2, 3, 1)

    network = op.wrap(seeded(Last), layers=["middle", "turn"], preprocessing=SMALL)
    with torch.no_grad(), op.taps(network, network.layers) as tap:
        seen = tap(torch.rand(2, 3, 32, 32))
    torch.testing.assert_close(seen["turn"], seen["middle"])


def test_layers_are_those_of_the_zoo():
    """A wrapped network of torchvision or timm has the layers that it has by name."""
    for name in ("resnet18", "squeezenet1_1"):
        by_name = op.load(f"torchvision:{name}", weights="random")
        wrapped = op.wrap(torchvision.models.get_model(name), preprocessing=by_name.preprocessing)
        assert (wrapped.layers, wrapped.head) == (by_name.layers, by_name.head)
        assert wrapped.filters == by_name.filters


def test_a_model_inside_a_model():
    """The layers of a backbone that is an attribute of the module are found; so is its head."""

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = Mine()

        def forward(self, pictures):
            return self.model(pictures)

    network = op.wrap(Outer(), preprocessing=SMALL)
    assert network.layers == ("model.stem", "model.middle", "model.last")
    assert network.head == "model.classifier"


def test_named_layers_are_taken_in_the_order_of_execution():
    """Who names layers names modules that run once; their order is the network's."""
    network = op.wrap(Mine(), layers=["last", "stem.convolution"], preprocessing=SMALL)
    assert network.layers == ("stem.convolution", "last")


def test_a_place_of_a_map_has_its_receptive_field():
    """Receptive fields are followed through one's own modules."""
    network = op.wrap(Mine(), preprocessing=SMALL)
    field = receptive_field(network, "middle")
    assert (field.columns.size, field.columns.jump) == (7, 4)


# --- outputs -------------------------------------------------------------------------------------


class Pair(NamedTuple):
    features: torch.Tensor
    logits: torch.Tensor


@dataclass
class Row:
    loss: None
    logits: torch.Tensor
    features: torch.Tensor


@pytest.mark.parametrize(
    "pack",
    [
        lambda logits, maps: (logits, maps),
        lambda logits, maps: [logits, [maps]],
        lambda logits, maps: {"features": maps, "logits": logits},
        lambda logits, maps: OrderedDict(out=logits, aux=maps),
        lambda logits, maps: Pair(maps, logits),
        lambda logits, maps: Row(None, logits, maps),
    ],
)
def test_logits_are_found_in_an_output(pack):
    """The tensor `logits`, or else the first, of a tuple, a dictionary or a dataclass."""

    class Packed(Mine):
        def forward(self, pictures):
            return pack(super().forward(pictures), pictures)

    module = seeded(Packed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = op.wrap(module, preprocessing=SMALL)
    plain = seeded(Mine)
    plain.load_state_dict(module.state_dict())
    views = torch.rand(2, 3, 32, 32)
    expected = op.wrap(plain, preprocessing=SMALL).eval()(views)
    torch.testing.assert_close(network.eval()(views), expected)
    assert network.head == "classifier"
    with op.taps(network, ["logits"]) as tap:
        torch.testing.assert_close(tap(views)["logits"], expected)


def test_a_guess_among_several_tensors_is_said():
    """Where no tensor is called logits, it is said that the first was taken."""

    class Two(Mine):
        def forward(self, pictures):
            logits = super().forward(pictures)
            return logits, logits

    with pytest.warns(UserWarning, match=r"2 tensors \(0, 1\): the first, '0'"):
        op.wrap(Two(), preprocessing=SMALL)


def test_an_output_without_a_tensor_is_refused():
    """A module that gives no tensor is told what to give."""

    class Word(Mine):
        def forward(self, pictures):
            return "cat"

    with pytest.raises(NetworkError, match="a str") as caught:
        op.wrap(Word(), preprocessing=SMALL)
    assert caught.value.slug == "no-tensor"


# --- heads ---------------------------------------------------------------------------------------


def test_a_network_without_a_head_is_compared_and_rendered(pictures):
    """Maps at the end are no logits: all is done but what needs a head."""
    module = nn.Sequential(
        OrderedDict(one=Block(3, 8), two=Block(8, 16), three=Block(16, 16), four=Block(16, 16))
    )
    network = op.wrap(module, preprocessing=SMALL)
    assert (network.head, network.heads, network.classes) == ("", (), ())
    change = op.compare(network, network, op.dataset(pictures).split("train"), k=3)
    assert change.layers["cka"].tolist() == pytest.approx([1] * 4)
    assert len(op.render(network, "two", [1], steps=2, size=32)) == 1
    assert not network.in_head("one.convolution.weight")
    for layer in ("penultimate", "logits"):
        with pytest.raises(NetworkError, match="no head") as caught, op.taps(network, [layer]):
            pass
        assert caught.value.slug == "no-head"


def test_two_heads_whose_mean_are_the_logits():
    """Both heads of a distilled network of transformers belong to no layer."""
    config = transformers.DeiTConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
        image_size=32, patch_size=8, num_labels=3,
    )  # fmt: skip
    network = op.wrap(
        transformers.DeiTForImageClassificationWithTeacher(config), preprocessing=SMALL
    )
    assert network.heads == ("cls_classifier", "distillation_classifier")
    assert network.layers == ("deit.embeddings", "deit.layers.0", "deit.layers.1")
    assert network.prefix_tokens == 2


def test_no_head_on_request():
    """Who says that there is no head has none, though a linear layer ends the network."""
    assert op.wrap(Mine(), head=False, preprocessing=SMALL).head == ""


def test_classes_are_counted():
    """Names of classes are as many as the logits; without names they are numbers."""
    assert op.wrap(Mine(3), preprocessing=SMALL).classes == ("0", "1", "2")
    assert op.wrap(small_vit(), preprocessing=SMALL).classes == ("LABEL_0", "LABEL_1")
    with pytest.raises(NetworkError) as caught:
        op.wrap(Mine(3), preprocessing=SMALL, classes=("a", "b"))
    assert caught.value.slug == "classes-differ"


# --- preprocessing -------------------------------------------------------------------------------


def test_the_size_is_found_and_said():
    """A module that takes one size only is shown pictures of that, and it is said."""

    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = Block(3, 4), Block(4, 4)
            self.classifier = nn.Linear(4 * 24 * 24, 2)

        def forward(self, pictures):
            return self.classifier(self.two(self.one(pictures)).flatten(1))

    with pytest.warns(UserWarning, match="at 96 pixels with ImageNet's mean"):
        network = op.wrap(Flat())
    assert (network.preprocessing.size, network.any_size) == (96, False)
    with pytest.warns(UserWarning, match="at 224 pixels"):
        assert op.wrap(Mine()).preprocessing == Preprocessing()
    with pytest.warns(UserWarning, match="at 32 pixels"):
        assert op.wrap(small_vit()).preprocessing.size == 32


def test_a_network_of_one_channel_is_given_the_luminance():
    """Grey modules are wrapped, with one mean and one deviation."""
    with pytest.warns(UserWarning, match="in grey"):
        network = op.wrap(Mine(channels=1))
    assert network.preprocessing.order == "grey"
    assert len(network.preprocessing.mean) == 1
    assert network.eval()(torch.rand(2, 3, 32, 32)).shape == (2, 2)


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        (
            transformers.ViTImageProcessor,
            Preprocessing(
                size=224, resize=224, mean=(0.5,) * 3, std=(0.5,) * 3, crop_mode="squash"
            ),
        ),
        (
            lambda: transformers.CLIPImageProcessor(size={"shortest_edge": 256}),
            Preprocessing(
                resize=256,
                interpolation="bicubic",
                mean=(0.48145466, 0.4578275, 0.40821073),
                std=(0.26862954, 0.26130258, 0.27577711),
            ),
        ),
        (
            lambda: transformers.ViTImageProcessor(do_normalize=False, rescale_factor=1 / 127.5),
            Preprocessing(resize=224, mean=(0.0,) * 3, std=(0.5,) * 3, crop_mode="squash"),
        ),
    ],
)
def test_an_image_processor_says_how_pictures_must_look(processor, expected):
    """Size, crop, interpolation, mean, deviation and scale of transformers are taken over."""
    network = op.wrap(Mine(), preprocessing=processor())
    for name in ("size", "resize", "interpolation", "order", "crop_mode"):
        assert getattr(network.preprocessing, name) == getattr(expected, name)
    np.testing.assert_allclose(network.preprocessing.mean, expected.mean)
    np.testing.assert_allclose(network.preprocessing.std, expected.std)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sise": 32},
        {"size": 32, "mean": (0.5,)},
        {"size": 0},
        {"size": 64, "resize": 32},
        {"order": "GBR"},
        {"std": (0.0, 1.0, 1.0)},
        "imagenet",
    ],
)
def test_a_preprocessing_that_cannot_be_is_refused(wrong):
    """A misspelt field, a number too few, a size that cannot be cut: each is told."""
    with pytest.raises(NetworkError) as caught:
        op.wrap(Mine(), preprocessing=wrong)
    assert caught.value.slug == "bad-preprocessing"


# --- what is refused, or unwrapped ---------------------------------------------------------------


def refusal(module, **options):
    with pytest.raises(NetworkError) as caught:
        op.wrap(module, **{"preprocessing": SMALL, **options})
    return caught.value.slug, str(caught.value)


def test_several_inputs_are_refused():
    """A forward that needs more than pictures is told of an adapter of five lines."""

    class Two(Mine):
        def forward(self, pictures, masks):
            return super().forward(pictures * masks)

    slug, message = refusal(Two())
    assert slug == "several-inputs"
    assert "needs pictures, masks" in message
    assert "return self.inner(pictures, ...)" in message


def test_a_module_that_fails_says_so_itself():
    """The first line of the module's own error is told, with the size that was tried."""
    slug, message = refusal(Mine(channels=5))
    assert slug == "cannot-run"
    assert "(2, 3, 32, 32)" in message
    assert "to have 5 channels" in message


def test_lazy_and_meta_modules_are_refused():
    """Weights without a shape or without values are told, and the module stays lazy."""
    lazy = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU())
    assert refusal(lazy)[0] == "no-weights"
    assert lazy[0].has_uninitialized_params()
    with torch.device("meta"):
        assert refusal(Mine())[0] == "no-weights"
    assert refusal(nn.Sequential(nn.ReLU()))[0] == "no-weights"


def test_no_module_at_all_is_refused():
    """A function, a network that is wrapped already, TorchScript and a compiled part are told."""
    assert refusal(lambda pictures: pictures)[0] == "not-a-module"
    assert refusal(op.wrap(Mine(), preprocessing=SMALL))[0] == "not-a-module"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, and still about
        scripted = torch.jit.trace(Mine().eval(), torch.rand(1, 3, 32, 32))
    assert refusal(scripted)[0] == "not-a-module"
    compiled = Mine()
    compiled.middle = torch.compile(compiled.middle)
    assert "'middle' is compiled" in refusal(compiled)[1]


def test_wrappers_around_a_module_are_taken_off():
    """DataParallel and torch.compile leave no trace in the names of layers."""
    module = Mine()
    for outer in (nn.DataParallel(module), torch.compile(module)):
        network = op.wrap(outer, preprocessing=SMALL)
        assert network.body is module
        assert network.layers == ("stem", "middle", "last")


@pytest.mark.parametrize(
    ("layers", "slug"),
    [
        (["midle"], "unknown-layer"),
        (["pool", "pool"], "no-layers"),
        ("stem", "no-layers"),
        ([], "no-layers"),
    ],
)
def test_layers_that_cannot_be_are_refused(layers, slug):
    """An unknown name, one that stands twice, none at all."""
    assert refusal(Mine(), layers=layers)[0] == slug


def test_a_layer_must_run_once_and_tell_of_each_picture():
    """A module that runs twice, or whose rows are windows and not pictures, is no layer."""

    class Odd(Mine):
        def __init__(self):
            super().__init__()
            self.twice = nn.ReLU()
            self.windows = nn.Identity()

        def forward(self, pictures):
            windows = self.windows(pictures.unfold(2, 16, 16).flatten(0, 1))
            return super().forward(self.twice(self.twice(pictures))) + 0 * windows.mean()

    assert refusal(Odd(), layers=["twice"])[0] == "layer-calls"
    assert refusal(Odd(), layers=["windows"])[0] == "no-layers"


def test_a_name_of_a_network_that_there_is_is_refused():
    """One's own network is not taken for one of overpaint's or timm's."""
    assert refusal(Mine(), name="timm:resnet18")[0] == "name-taken"


# --- odd modules ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions(dtype, pictures):
    """A module in half or double precision is compared, rendered, and keeps its precision."""
    module = seeded(Mine).to(dtype)
    network = op.wrap(module, preprocessing=SMALL)
    change = op.compare(network, network, op.dataset(pictures).split("train"), k=3)
    assert change.layers["cka"].tolist() == pytest.approx([1] * 3, abs=1e-6)
    assert (change.weights["l2"] == 0).all()
    assert op.render(network, "middle", [0], steps=2, size=32)[0].image.shape == (32, 32, 3)
    assert {weight.dtype for weight in module.parameters()} == {dtype}
    assert len(network.digest) == 64


def test_shared_parts_and_tied_weights(pictures):
    """A part under two names, and a weight of two parts, are one; nothing is counted twice."""

    class Tied(Mine):
        def __init__(self):
            super().__init__()
            self.again = self.middle
            self.extra = nn.Linear(16, 2)
            self.extra.weight = self.classifier.weight

    network = op.wrap(seeded(Tied), preprocessing=SMALL)
    assert network.layers == ("stem", "middle", "last")
    change = op.compare(network, network, op.dataset(pictures).split("train"), k=3)
    assert change.weights["layer"].is_unique
    assert (change.weights["status"] == "identical").all()


def test_values_that_are_no_numbers(pictures):
    """A layer that gives NaN has a status, and costs no other layer its numbers."""

    class Broken(Mine):
        def forward(self, pictures):
            maps = self.middle(self.stem(pictures))
            return self.classifier(self.pool(self.last(maps) / 0 * 0).flatten(1))

    module = seeded(Broken)
    with torch.no_grad():
        module.last.norm.bias.fill_(float("nan"))
    network = op.wrap(module, preprocessing=SMALL)
    change = op.compare(network, network, op.dataset(pictures).split("train"), k=3)
    statuses = dict(zip(change.layers["layer"], change.layers["status"], strict=True))
    assert statuses["middle"] == "ok"
    assert "NaN" in statuses["last"]


def test_one_module_before_and_after_is_said(pictures):
    """Who wraps the trained module twice is told that there is nothing to compare."""
    module = Mine()
    old, new = (op.wrap(module, preprocessing=SMALL) for _ in range(2))
    change = op.compare(old, new, op.dataset(pictures).split("train"), k=3)
    assert "one and the same module" in change.notes[0]


def test_the_digest_is_of_name_preprocessing_and_weights():
    """Equal modules have one digest; another weight, name or size has another."""
    module = seeded(Mine)
    same, digest = copy.deepcopy(module), op.wrap(module, preprocessing=SMALL).digest
    assert op.wrap(same, preprocessing=SMALL).digest == digest
    assert op.wrap(same, preprocessing=SMALL, name="other").digest != digest
    assert op.wrap(same, preprocessing=SMALL | {"size": 24}).digest != digest
    with torch.no_grad():
        same.stem.convolution.weight[0, 0, 0, 0] += 1
    assert op.wrap(same, preprocessing=SMALL).digest != digest
