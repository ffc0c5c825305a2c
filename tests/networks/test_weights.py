"""Files of weights: in every shape that people have them, each tensor arrives in its place.

The files are written here as the programs write them; what Hugging Face's networks say is asked of
transformers itself.
"""

import argparse
import io
import json
import pathlib
import pickle
import warnings
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from overpaint.errors import NetworkError
from overpaint.networks import Network, build, load

VIT, RESNET = "timm:test_vit", "torchvision:resnet18"


def noisy(architecture, classes=3, seed=1):
    """A network of which no two tensors are alike."""
    network = build(architecture, classes=tuple(map(str, range(classes))), seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.body.state_dict().items():
        if tensor.is_floating_point():
            drawn = torch.rand(tensor.shape, generator=generator) + 0.1
            tensor.copy_(drawn if name.endswith("running_var") else drawn - 0.6)
    return network


@pytest.fixture(scope="module")
def vit():
    return noisy(VIT)


@pytest.fixture(scope="module")
def resnet():
    return noisy(RESNET)


def read(name, path):
    """The network of a file, and what was said of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network = load(name, weights=path)
    sentences = [str(row.message) for row in caught if str(row.message).startswith("weights ")]
    assert sentences == ([f"weights {network.remark}"] if network.remark else [])
    assert "\n" not in network.remark
    return network, network.remark


def equal(network: Network, other: Network, *, but=()):
    tensors, others = network.tensors(), other.tensors()
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        if not name.startswith(tuple(but)):
            assert tensor.dtype == others[name].dtype, name
            assert torch.equal(tensor, others[name]), name


# --- wrappers and prefixes -----------------------------------------------------------------------


def prefixed(prefix, state):
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def others(state):
    """A network of the same shape that is not meant."""
    return {name: torch.zeros_like(tensor) for name, tensor in state.items()}


def headless(state):
    return {name: t for name, t in state.items() if not name.startswith(("fc.", "head."))}


def optimiser(state):
    steps = {number: {"exp_avg": tensor, "step": 3} for number, tensor in enumerate(state.values())}
    return {"state": steps, "param_groups": [{"lr": 0.1, "params": list(steps)}]}


def lightning(state):
    return {
        "epoch": 3,
        "global_step": 120,
        "pytorch-lightning_version": "2.2.0",
        "state_dict": prefixed("model.", state),
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(0.3)}},
        "optimizer_states": [optimiser(state)],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": np.float64(0.1), "out": pathlib.PurePosixPath("runs")},
    }


def timm_checkpoint(state):
    return {
        "epoch": 9,
        "arch": "test_vit",
        "state_dict": others(state),
        "optimizer": optimiser(state),
        "version": 2,
        "args": argparse.Namespace(model="test_vit", lr=0.1, mean=(0.5,)),
        "amp_scaler": {"scale": 1.0},
        "state_dict_ema": state,
        "metric": 81.3,
    }


def dino(state):
    head = {"head.mlp.0.weight": torch.ones(8, 64), "head.last_layer.weight_g": torch.ones(9, 1)}
    bare = prefixed("backbone.", headless(state))
    return {
        "student": prefixed("module.", others(bare) | head),
        "teacher": bare | head,
        "optimizer": optimiser(state),
        "epoch": 100,
        "args": argparse.Namespace(arch="vit_small"),
        "dino_loss": {"center": torch.zeros(1, 9)},
    }


def moco(state):
    """MoCo v1: a projection of 128 numbers stands where the classifier would."""
    encoder = headless(state) | {"fc.weight": torch.ones(128, 512), "fc.bias": torch.ones(128)}
    return {
        "arch": "resnet18",
        "state_dict": prefixed("module.encoder_q.", encoder)
        | prefixed("module.encoder_k.", others(encoder))
        | {"module.queue": torch.ones(128, 64), "module.queue_ptr": torch.zeros(1)},
    }


def simclr(state):
    return prefixed("encoder.", headless(state)) | {
        "projector.0.weight": torch.ones(512, 512),
        "projector.2.weight": torch.ones(128, 512),
    }


def renamed(state, old, new):
    return {name.replace(old, new): tensor for name, tensor in state.items()}


FULL = [
    ("a plain dictionary", VIT, dict, ""),
    ("an ordered one", VIT, OrderedDict, ""),
    ("state_dict", RESNET, lambda s: {"state_dict": s, "epoch": 3}, "under 'state_dict.'"),
    ("model", VIT, lambda s: {"model": s, "args": argparse.Namespace(a=1)}, "under 'model.'"),
    ("net", RESNET, lambda s: {"net": s, "acc": 93.2, "epoch": 7}, "under 'net.'"),
    ("params", VIT, lambda s: {"params": s}, "under 'params.'"),
    (
        "model_state_dict",
        RESNET,
        lambda s: {"model_state_dict": s, "optimizer_state_dict": optimiser(s), "loss": 0.2},
        "under 'model_state_dict.'",
    ),
    (
        "the running average is taken",
        VIT,
        lambda s: {"model": others(s), "model_ema": s},
        "under 'model_ema.' (a running average); left: model (",
    ),
    ("nested wrappers", VIT, lambda s: {"module": {"network": {"state_dict": s}}}, "module.network"),
    ("DataParallel", RESNET, lambda s: {"state_dict": prefixed("module.", s)}, "dict.module.'"),
    ("compiled", VIT, lambda s: prefixed("_orig_mod.module.", s), "under '_orig_mod.module.'"),
    ("compiled inside", VIT, lambda s: prefixed("module._orig_mod.", s), "'module._orig_mod.'"),
    ("Lightning", VIT, lightning, "under 'state_dict.model.'; left: callbacks"),
    ("timm's training", VIT, timm_checkpoint, "under 'state_dict_ema.' (a running average)"),
    ("timm's wrapper of transformers", VIT, lambda s: prefixed("timm_model.", s), "timm_model"),
    (
        "no count of batches",
        RESNET,
        lambda s: {name: t for name, t in s.items() if "num_batches" not in name},
        "",
    ),
    (
        "a classifier outside of the backbone",
        RESNET,
        lambda s: prefixed("backbone.", headless(s))
        | {"classifier.weight": s["fc.weight"], "classifier.bias": s["fc.bias"]},
        "its classifier is 'classifier'",
    ),
    ("a classifier behind dropout", RESNET, lambda s: renamed(s, "fc.", "fc.1."), "is 'fc.1'"),
    (
        "a backbone and a head apart",
        VIT,
        lambda s: {
            "backbone": headless(s),
            "head": {"weight": s["head.weight"], "bias": s["head.bias"]},
        },
        "under 'backbone.'; its classifier is 'head'",
    ),
    (
        "profiled",
        RESNET,
        lambda s: s | {"total_ops": torch.zeros(1), "layer1.total_params": torch.zeros(1)},
        "left: total_ops",
    ),
    ("parameters", VIT, lambda s: {k: torch.nn.Parameter(t) for k, t in s.items()}, ""),
    ("doubles", VIT, lambda s: {k: t.double() for k, t in s.items()}, "of float64 are float32"),
]


@pytest.mark.parametrize(("shape", "architecture", "wrap", "words"), FULL, ids=[r[0] for r in FULL])
def test_every_tensor_of_a_wrapped_file_arrives(
    shape, architecture, wrap, words, tmp_path, vit, resnet
):
    """Whatever wraps a network and its names, it is the same network, and the line says how."""
    network = vit if architecture == VIT else resnet
    path = tmp_path / "w.pth"
    torch.save(wrap(network.tensors()), path)
    found, remark = read(architecture, path)
    equal(found, network)
    assert words in remark
    assert bool(words) == bool(remark)


HEADLESS = [
    ("no classifier", VIT, headless, "a new one, of a single class"),
    ("DINO", VIT, dino, "under 'teacher.backbone.'"),
    ("MoCo", RESNET, moco, "under 'state_dict.module.encoder_q.'"),
    ("SimCLR", RESNET, simclr, "left: projector (2 tensors)"),
    (
        "a classifier of several layers",
        RESNET,
        lambda s: headless(s) | {"fc.0.weight": torch.ones(512, 512), "fc.2.weight": torch.ones(4, 512)},
        "left: fc (2 tensors)",
    ),
    (
        "MAE",
        VIT,
        lambda s: {
            "model": headless(s)
            | {"mask_token": torch.ones(1, 1, 9), "decoder_blocks.0.norm1.weight": torch.ones(9)}
        },
        "left: mask_token, decoder_blocks",
    ),
]


@pytest.mark.parametrize(("shape", "architecture", "wrap", "words"), HEADLESS)
def test_a_body_without_its_classifier_gets_a_new_one(
    shape, architecture, wrap, words, tmp_path, vit, resnet
):
    """A body fits without a classifier; the new one is of a single class, and that is said."""
    network = vit if architecture == VIT else resnet
    torch.save(wrap(network.tensors()), tmp_path / "w.pth")
    found, remark = read(architecture, tmp_path / "w.pth")
    equal(found, network, but=(f"{network.head}.",))
    assert found.classes == ("0",)
    assert words in remark
    assert "a new one, of a single class" in remark


@pytest.mark.parametrize("ending", ["pt", "bin", "ckpt", "pth.tar", "safetensors", "model"])
def test_the_ending_of_a_file_is_no_matter(ending, tmp_path, vit):
    """PyTorch's files and safetensors are read under any of the names that they go by."""
    path = tmp_path / f"w.{ending}"
    if ending == "safetensors":
        safetensors.torch.save_file(vit.tensors(), path)
    else:
        torch.save(vit.tensors(), path, _use_new_zipfile_serialization=ending != "pth.tar")
    equal(read(VIT, path)[0], vit)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_single(dtype, tmp_path, vit):
    """Numbers of half precision are float32 with the same values, and the line says so."""
    half = {name: tensor.to(dtype) for name, tensor in vit.tensors().items()}
    safetensors.torch.save_file(half, tmp_path / "w.safetensors")
    found, remark = read(VIT, tmp_path / "w.safetensors")
    for name, tensor in found.tensors().items():
        assert torch.equal(tensor, half[name].float())
    assert f"of {str(dtype).removeprefix('torch.')} are float32 now" in remark


def test_the_number_of_classes_is_the_files(tmp_path):
    """A classifier of any number of classes is taken."""
    network = noisy(RESNET, classes=7)
    torch.save({"state_dict": network.tensors()}, tmp_path / "w.pth")
    assert len(read(RESNET, tmp_path / "w.pth")[0].classes) == 7


def test_positions_of_another_grid_are_interpolated(tmp_path, vit):
    """Position embeddings of another size of pictures become this one's as timm makes them."""
    from timm.layers import resample_abs_pos_embed

    state = vit.tensors() | {"pos_embed": torch.randn(1, 1 + 14 * 14, 64)}
    torch.save(state, tmp_path / "w.pth")
    found, remark = read(VIT, tmp_path / "w.pth")
    expected = resample_abs_pos_embed(state["pos_embed"], new_size=[10, 10])
    assert torch.equal(found.tensors()["pos_embed"], expected)
    assert "positions of 14×14 are interpolated to 10×10" in remark


WORDS = st.sampled_from(
    ["module", "model", "_orig_mod", "backbone", "encoder", "net", "network", "visual", "x.y"]
)


@pytest.fixture(scope="module")
def small():
    return noisy("inception_small")


@given(wrappers=st.lists(WORDS, max_size=3), prefixes=st.lists(WORDS, max_size=3), data=st.data())
@settings(max_examples=15, deadline=None)
def test_any_wrapping_gives_the_same_network(small, tmp_path_factory, wrappers, prefixes, data):
    """Wrapped, prefixed and shuffled at random, a network is read byte for byte."""
    names = data.draw(st.permutations(sorted(small.tensors())))
    prefix = "".join(f"{word}." for word in prefixes)
    state = {f"{prefix}{name}": small.tensors()[name] for name in names}
    for word in wrappers:
        state = {word: state, "epoch": 3}
    path = tmp_path_factory.mktemp("wrapped") / "w.pth"
    torch.save(state, path)
    found, remark = read("inception_small", path)
    assert found.digest == Network(
        "inception_small", _parts(small), found.classes
    ).digest
    assert bool(remark) == bool(wrappers or prefixes)


def _parts(network):
    from overpaint.networks import parts

    return parts.Parts(
        network.body, network.layers, network.head, network.preprocessing, network.filters
    )


# --- Hugging Face and torchvision -----------------------------------------------------------------


def configured(kind):
    """A network of transformers with random weights, and overpaint's name of the same."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    vit = {
        "hidden_size": 64,
        "num_hidden_layers": 6,
        "num_attention_heads": 2,
        "intermediate_size": 192,
        "image_size": 160,
        "layer_norm_eps": 1e-6,
        "num_labels": 5,
        "initializer_range": 0.2,
    }
    model, name = {
        "vit": lambda: (
            transformers.ViTForImageClassification(transformers.ViTConfig(**vit)),
            VIT,
        ),
        "resnet": lambda: (
            transformers.ResNetForImageClassification(
                transformers.ResNetConfig(
                    hidden_sizes=[64, 128, 256, 512],
                    depths=[2, 2, 2, 2],
                    layer_type="basic",
                    num_labels=5,
                )
            ),
            RESNET,
        ),
        "resnet of bottlenecks": lambda: (
            transformers.ResNetForImageClassification(
                transformers.ResNetConfig(depths=[2, 2, 2, 2], num_labels=5)
            ),
            "timm:resnet26",
        ),
        "convnext": lambda: (
            transformers.ConvNextForImageClassification(
                transformers.ConvNextConfig(
                    hidden_sizes=[24, 32, 48, 64],
                    depths=[1, 1, 2, 1],
                    num_labels=5,
                    layer_norm_eps=1e-6,
                )
            ),
            "timm:test_convnext",
        ),
        "swin": lambda: (
            transformers.SwinForImageClassification(
                transformers.SwinConfig(num_labels=5, layer_norm_eps=1e-5)
            ),
            "timm:swin_tiny_patch4_window7_224",
        ),
    }[kind]()
    for module in model.modules():  # statistics and scales that tell one place from another
        for scale in (getattr(module, "layer_scale_parameter", None),):
            if scale is not None:
                torch.nn.init.normal_(scale)
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
        if isinstance(module, torch.nn.LayerNorm | torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
    return model.eval(), name


def logits_of(network, model):
    """What both say of the same pictures."""
    size = network.preprocessing.size
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        expected = model(pixel_values=network.normalise(images))
        return network.eval()(images), getattr(expected, "logits", expected)


@pytest.mark.parametrize("kind", ["vit", "resnet", "resnet of bottlenecks", "convnext", "swin"])
@pytest.mark.parametrize("written", ["folder", "safetensors", "memory"])
def test_networks_of_hugging_face_say_the_same(kind, written, tmp_path):
    """A network of transformers, in its own names, gives transformers' own logits to 1e-5."""
    model, name = configured(kind)
    path = tmp_path / "hub"
    if written == "memory":
        path = tmp_path / "w.pth"
        torch.save(model.state_dict(), path)
    else:
        model.save_pretrained(path)
    network, remark = read(name, path / "model.safetensors" if written == "safetensors" else path)
    logits, expected = logits_of(network, model)
    assert expected.std() > 1e-3
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
    assert "names of Hugging Face's" in remark
    assert "its classifier is 'classifier" in remark
