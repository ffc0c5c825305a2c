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
from overpaint.networks.weights.opening import read_tensors
from overpaint.networks.weights.placing import Places, placed

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
        "callbacks": {
            "ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(0.3)}
        },
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
    (
        "nested wrappers",
        VIT,
        lambda s: {"module": {"network": {"state_dict": s}}},
        "module.network",
    ),
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
        lambda s: (
            prefixed("backbone.", headless(s))
            | {"classifier.weight": s["fc.weight"], "classifier.bias": s["fc.bias"]}
        ),
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
        lambda s: (
            headless(s) | {"fc.0.weight": torch.ones(512, 512), "fc.2.weight": torch.ones(4, 512)}
        ),
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
    assert found.digest == small.digest
    assert bool(remark) == bool(wrappers or prefixes)


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
                    hidden_sizes=[40, 80, 160, 320], depths=[2, 2, 6, 2], num_labels=5
                )
            ),
            "timm:convnext_atto",
        ),
        "swin": lambda: (
            transformers.SwinForImageClassification(
                transformers.SwinConfig(num_labels=5, layer_norm_eps=1e-5)
            ),
            "timm:swin_tiny_patch4_window7_224",
        ),
    }[kind]()
    for module in model.modules():  # statistics and scales that tell one place from another
        if hasattr(module, "layer_scale_parameter"):
            torch.nn.init.normal_(module.layer_scale_parameter)
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


@pytest.mark.parametrize("kind", ["with registers", "without"])
def test_dinov2_of_hugging_face_gives_the_same_features(kind, tmp_path):
    """DINOv2's own names and its register tokens lead to transformers' own features."""
    transformers = pytest.importorskip("transformers")
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    settings_of = {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 56,
        "patch_size": 14,
        "initializer_range": 0.2,
    }
    registers = kind == "with registers"
    model = (
        transformers.Dinov2WithRegistersModel(
            transformers.Dinov2WithRegistersConfig(**settings_of, num_register_tokens=4)
        )
        if registers
        else transformers.Dinov2Model(transformers.Dinov2Config(**settings_of))
    ).eval()
    for name, parameter in model.named_parameters():
        if "layer_scale" in name or "register" in name or "embeddings" in name:
            torch.nn.init.normal_(parameter)
    model.save_pretrained(tmp_path)
    body = timm.create_model(
        "vit_small_patch14_reg4_dinov2" if registers else "vit_small_patch14_dinov2",
        embed_dim=64,
        depth=2,
        num_heads=2,
        img_size=56,
        num_classes=1,
    )
    tensors = read_tensors(tmp_path)
    found = placed(tensors, Places(body, ("head",)), where="a folder", architecture="DINOv2")
    body.load_state_dict(found.tensors)
    images = torch.rand(2, 3, 56, 56)
    with torch.inference_mode():
        features = body.eval().forward_features(images)[:, 0]
        expected = model(pixel_values=images).pooler_output
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
    assert "names of Hugging Face's ViT" in found.remarks


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("torchvision:vit_b_32", "timm:vit_base_patch32_224"),
        ("torchvision:convnext_tiny", "timm:convnext_tiny"),
    ],
)
def test_torchvision_and_timm_read_each_other(one, other, tmp_path):
    """What timm names is torchvision's network, there and back, with the same logits."""
    network = build(one, classes=("a", "b"), seed=0)
    torch.save({"model": network.tensors()}, tmp_path / "there.pth")
    there, remark = read(other, tmp_path / "there.pth")
    assert "names of torchvision's" in remark
    images = torch.rand(1, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(
            there.eval().body(images), network.eval().body(images), rtol=1e-4, atol=1e-5
        )
    torch.save(there.tensors(), tmp_path / "back.pth")
    back, remark = read(one, tmp_path / "back.pth")
    assert "names of timm's" in remark
    equal(back, network)


def test_shards_are_read_by_their_index(tmp_path, vit):
    """A folder of shards is one network; one that is missing is named."""
    names = sorted(vit.tensors())
    weight_map = {}
    for number in (1, 2):
        shard = f"model-0000{number}-of-00002.safetensors"
        part = {name: vit.tensors()[name] for name in names[number - 1 :: 2]}
        safetensors.torch.save_file(part, tmp_path / shard)
        weight_map |= dict.fromkeys(part, shard)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    equal(read(VIT, tmp_path)[0], vit)
    equal(read(VIT, index)[0], vit)
    (tmp_path / shard).unlink()
    with pytest.raises(NetworkError, match=r"1 are not beside it: model-00002") as caught:
        load(VIT, weights=tmp_path)
    assert caught.value.slug == "broken-weights"


# --- what does not fit ---------------------------------------------------------------------------


class Payload:
    """An object that would run something when it is unpickled."""

    def __reduce__(self):
        return (print, ("this must never be seen",))


class Custom:
    """A class of somebody's own program."""

    def __init__(self):
        self.weight = torch.ones(3)


def torchscript(path, state):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


def npz(path, state):
    buffer = io.BytesIO()
    np.savez(buffer, **{"Transformer/encoder_norm/scale": np.ones(3)})
    path.write_bytes(buffer.getvalue())


def zipped(path, state):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no weights")


def saved(make):
    return lambda path, state: torch.save(make(state), path)


def bytes_of(data):
    return lambda path, state: path.write_bytes(data)


def with_nan(state):
    weight = state["fc.weight"].clone()
    weight[0, 0] = float("nan")
    return state | {"fc.weight": weight}


def changed(state, **tensors):
    return {name: tensors.get(name.replace(".", "_"), tensor) for name, tensor in state.items()}


MISFITS = [
    ("a page", "w.pth", bytes_of(b"<!DOCTYPE html>"), "broken-weights", "a page of the web"),
    ("LFS", "w.bin", bytes_of(b"version https://git-lfs.github"), "broken-weights", "Git LFS"),
    ("nothing", "w.pt", bytes_of(b""), "broken-weights", "is empty"),
    ("noise", "w.pt", bytes_of(b"\x07noise" * 99), "broken-weights", "holds no weights"),
    ("cut safetensors", "w.safetensors", bytes_of(b"\x99" * 64), "broken-weights", "cut short"),
    ("HDF5", "w.h5", bytes_of(b"\x89HDF\r\n\x1a\n"), "foreign-weights", "Keras"),
    ("ONNX", "w.onnx", bytes_of(b"\x08\x07\x12\x07pytorch"), "foreign-weights", "ONNX"),
    ("GGUF", "w.gguf", bytes_of(b"GGUF\x03"), "foreign-weights", "llama.cpp"),
    (
        "TorchScript",
        "w.pt",
        torchscript,
        "foreign-weights",
        "TorchScript archive, which holds code",
    ),
    ("JAX", "w.npz", npz, "foreign-weights", "as JAX's networks are published"),
    ("a zip", "w.pth", zipped, "foreign-weights", "a zip of other things"),
    (
        "a whole model",
        "w.pth",
        saved(lambda s: torch.nn.Sequential(torch.nn.Linear(2, 2))),
        "foreign-weights",
        "a whole pickled object (torch.nn.modules.container.Sequential",
    ),
    ("its own class", "w.pth", saved(lambda s: {"model": Custom()}), "foreign-weights", "Custom"),
    ("code", "w.pth", saved(lambda s: s | {"x": Payload()}), "broken-weights", "print to be run"),
    (
        "a plain pickle",
        "w.pkl",
        lambda path, state: path.write_bytes(pickle.dumps(state)),
        "broken-weights",
        "torch.save",
    ),
    ("an optimiser", "w.pth", saved(optimiser), "foreign-weights", "the state of an optimiser"),
    ("a tensor", "w.pth", saved(lambda s: s["fc.weight"]), "broken-weights", "a single tensor"),
    ("a list", "w.pth", saved(lambda s: [1, 2]), "broken-weights", "a list"),
    ("settings", "w.pth", saved(lambda s: {"lr": 0.1}), "broken-weights", "a dictionary of 'lr'"),
    (
        "NaN",
        "w.pth",
        saved(with_nan),
        "broken-weights",
        "not finite (NaN or infinite) in fc.weight",
    ),
    (
        "another depth",
        "w.pth",
        saved(lambda s: s | {"layer1.2.conv1.weight": torch.ones(64, 64, 3, 3)}),
        "weights-misfit",
        "layer1.2.conv1.weight has no place in it; it looks like a ResNet of basic blocks",
    ),
    (
        "many differences",
        "w.pth",
        saved(lambda s: {k: t for k, t in s.items() if not k.startswith(("bn1.", "layer4"))}),
        "weights-misfit",
        "it lacks bn1.bias; it lacks bn1.running_mean; it lacks bn1.running_var; and ",
    ),
    (
        "a head of a single number",
        "w.pth",
        saved(lambda s: changed(s, fc_weight=torch.tensor(1.0))),
        "weights-misfit",
        "fc.weight is ()",
    ),
    (
        "quantised",
        "w.pth",
        saved(lambda s: changed(s, conv1_weight=s["conv1.weight"].to(torch.int8))),
        "weights-misfit",
        "conv1.weight holds int8 (quantised?)",
    ),
    (
        "LoRA",
        "w.pth",
        saved(lambda s: {"base_model.model.layer1.lora_A.weight": torch.ones(2, 2)}),
        "weights-misfit",
        "an adapter (LoRA)",
    ),
    (
        "two networks",
        "w.pth",
        saved(lambda s: {"first": s, "second": others(s)}),
        "ambiguous-weights",
        "2 networks that fit, under 'first.' and 'second.'",
    ),
    (
        "two classifiers",
        "w.pth",
        saved(
            lambda s: (
                headless(s)
                | {"head.weight": torch.ones(2, 512), "classifier.weight": torch.ones(2, 512)}
            )
        ),
        "weights-misfit",
        "may all be fc.weight",
    ),
]


@pytest.mark.parametrize(("what", "name", "write", "slug", "words"), MISFITS)
def test_what_is_no_such_network_is_named(what, name, write, slug, words, tmp_path, resnet, capfd):
    """A file that does not fit is refused by what it is; nothing in it is executed."""
    write(tmp_path / name, resnet.tensors())
    with pytest.raises(NetworkError) as caught:
        load(RESNET, weights=tmp_path / name)
    assert caught.value.slug == slug
    assert words in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert "add_safe_globals" not in str(caught.value)
    assert "never be seen" not in capfd.readouterr().out


def test_a_network_of_hugging_face_that_does_not_fit_is_recognised(tmp_path):
    """The message for another architecture says whose network it is, and how large."""
    model, _ = configured("vit")
    model.save_pretrained(tmp_path)
    with pytest.raises(
        NetworkError, match=r"Hugging Face's ViT \(hidden size 64, patches of 16, 6"
    ):
        load(RESNET, weights=tmp_path)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"num_attention_heads": 4}, "4 attention heads, not 2"),
        ({"hidden_act": "quick_gelu"}, "the activation quick_gelu, not GELU"),
    ],
)
def test_what_no_shape_shows_is_read_in_the_settings(setting, words, tmp_path):
    """Heads and activation of a folder of Hugging Face are compared with the network's."""
    model, _ = configured("vit")
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | setting))
    with pytest.raises(NetworkError) as caught:
        load(VIT, weights=tmp_path)
    assert caught.value.slug == "weights-misfit"
    assert words in str(caught.value)
    path.write_text(
        json.dumps(
            json.loads(path.read_text())
            | {"num_attention_heads": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12}
        )
    )
    assert "layer_norm_eps is 1e-12 in its config.json and 1e-06 here" in read(VIT, tmp_path)[1]


def test_folders_without_weights_say_what_they_are(tmp_path):
    """An adapter's folder is named as such; another one is asked for its file."""
    torch.save({}, tmp_path / "best.pth")
    with pytest.raises(NetworkError, match=r"give one of its files: best\.pth"):
        load(RESNET, weights=tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(NetworkError, match=r"an adapter \(LoRA\) without its base"):
        load(RESNET, weights=tmp_path)
