"""LoRA: thin adapters beside frozen kernels, merged at the end into the very same function."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from overpaint.datasets.folder import FolderEntry
from overpaint.datasets.opening import open_dataset
from overpaint.errors import MissingExtraError, NetworkError
from overpaint.networks import build
from overpaint.networks.network import tensor_digests
from overpaint.study.recipe import Lora, Recipe, recipe
from overpaint.training.checkpoint import Checkpoint
from overpaint.training.fit import child_of, fit
from overpaint.training.lora import Adapting, adaptable, adapted, lora_plan
from overpaint.training.plan import plan

SMALL = "inception_small"
VIT = "timm:test_vit"
KINDS = [SMALL, "inception_v1", "inception_v1.tf_in1k", VIT, "timm:test_resnet",
         "torchvision:vit_b_16"]  # fmt: skip


@pytest.fixture
def colours(pictures, tmp_path):
    return open_dataset(
        "colours", FolderEntry(kind="folder", root=pictures), workplace=tmp_path / "w"
    )[0]


def trained(colours, architecture=SMALL, seed=3, checkpoint=None, advance=None, **overrides):
    fields = {"epochs": 2, "batch_size": 8, **overrides}
    the_recipe = recipe("lora", fields)
    parent = build(architecture, classes=("x", "y", "z"), seed=11)
    child, the_plan = child_of(parent, colours, the_recipe, seed=seed)
    return fit(
        child, the_plan, colours, the_recipe, seed=seed, checkpoint=checkpoint, advance=advance
    )


def drawn(architecture):
    """A network whose head is not at 0, as some architectures begin."""
    network = build(architecture, classes=("a", "b"), seed=1).eval()
    generator = torch.Generator().manual_seed(6)
    for name, weight in network.body.named_parameters():
        if network.in_head(name):
            weight.data = 0.1 * torch.randn(weight.shape, generator=generator)
    return network


def with_adapters(architecture, **lora):
    """A network whose adapters are no longer at 0, and its pictures."""
    network = drawn(architecture)
    the_lora = Lora(**lora)
    the_plan = lora_plan(network, plan(network, recipe("lora")), the_lora)
    adapting = Adapting(network, the_plan, the_lora, seed=0)
    generator = torch.Generator().manual_seed(5)
    for name, weight in network.body.named_parameters():
        if "lora_B" in name:
            weight.data = 0.05 * torch.randn(weight.shape, generator=generator)
    size = network.preprocessing.size
    return network, adapting, torch.rand(2, 3, size, size, generator=generator)


@pytest.mark.parametrize("architecture", KINDS)
def test_merged_and_unmerged_are_one_function(architecture):
    """The logits of the merged network are those with adapters to 1e-5; its layers are its own."""
    plain = drawn(architecture)
    network, adapting, pictures = with_adapters(architecture)
    with torch.inference_mode():
        before = plain(pictures)
        unmerged = network(pictures)
        adapter = adapting.merge()
        merged = network(pictures)
    assert (before - unmerged).abs().max() > 1e-4  # the adapters do something
    assert torch.allclose(merged, unmerged, atol=1e-5, rtol=1e-5)
    assert list(network.tensors()) == list(plain.tensors())
    assert [type(module) for module in network.modules()] == [
        type(module) for module in plain.modules()
    ]
    assert not hasattr(network.body, "peft_config")
    for row in adapter.rows:
        change = network.tensors()[row.kernel].double() - plain.tensors()[row.kernel].double()
        assert float(change.norm()) == pytest.approx(row.norm, rel=1e-3)
        assert row.norm_relative == pytest.approx(
            row.norm / float(plain.tensors()[row.kernel].double().norm())
        )
        assert 1 <= row.effective_rank <= min(row.rank, row.directions) * (1 + 1e-9)


def test_a_training_changes_adapted_kernels_and_the_head_alone(colours):
    """Kernels change by at most the rank, all other tensors are bit-equal, statistics too."""
    result = trained(colours, lora={"rank": 2, "where": "mixed3a"})
    before, after = (tensor_digests(n.tensors()) for n in (result.start, result.network))
    changed = {name for name in before if before[name] != after[name]}
    kernels = {row.kernel for row in result.adapter.rows}
    assert all(name.startswith("mixed3a") for name in kernels)
    assert changed == kernels | {"head.weight", "head.bias"}
    for name in kernels:
        old, new = (n.tensors()[name].double() for n in (result.start, result.network))
        values = np.linalg.svd((new - old).reshape(len(old), -1).numpy(), compute_uv=False)
        assert (values[2:] < 1e-3 * values[0]).all()
    assert result.plan.summary().startswith(f"trains {result.plan.parameters:,} of ")
    thin = sum(row.parameters for row in result.adapter.rows)
    assert result.plan.parameters == thin + sum(
        result.network.tensors()[name].numel() for name in ("head.weight", "head.bias")
    )


def test_a_base_that_moves_is_told(colours, monkeypatch):
    """Were the base to change under the adapters, the training would end with an error."""
    step = torch.optim.AdamW.step

    def spoilt(optimiser, *arguments, **options):
        for kernel in kernels:
            kernel.data.add_(1e-3)
        return step(optimiser, *arguments, **options)

    draw = Adapting.__init__

    def listening(adapting, network, *arguments, **options):
        draw(adapting, network, *arguments, **options)
        kernels.append(network.body.get_submodule(adapting.modules[0]).base_layer.weight)

    kernels = []
    monkeypatch.setattr(Adapting, "__init__", listening)
    monkeypatch.setattr(torch.optim.AdamW, "step", spoilt)
    with pytest.raises(NetworkError) as caught:
        trained(colours, lora={"where": "mixed3a"})
    assert caught.value.slug == "frozen-moved"


def test_same_seed_same_bytes(colours, tmp_path):
    """Two trainings with one seed give the same bits, adapters too; another seed gives others."""
    results = [trained(colours, lora={"dropout": 0.1}) for _ in range(2)]
    for number, result in enumerate(results):
        result.adapter.save(tmp_path / str(number))
    assert results[0].network.digest == results[1].network.digest
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()
    assert trained(colours, seed=4).network.digest != results[0].network.digest


def test_a_killed_training_goes_on_to_the_same_bytes(colours, tmp_path):
    """Killed in any epoch, it goes on from the last whole one to the weights of an unbroken one."""
    whole = trained(colours, epochs=3, lora={"dropout": 0.1})
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "key")
    for kill in (2, 3):

        def stop(_done, _all, words, kill=kill):
            if words.startswith(f"epoch {kill},"):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            trained(colours, epochs=3, lora={"dropout": 0.1}, checkpoint=checkpoint, advance=stop)
        assert checkpoint.load()["epoch"] == kill - 1
    resumed = trained(colours, epochs=3, lora={"dropout": 0.1}, checkpoint=checkpoint)
    assert resumed.network.digest == whole.network.digest
    assert resumed.adapter.rows == whole.adapter.rows


def test_with_an_average_of_the_weights(colours):
    """With ema the average of the adapters is what is kept, and the base is still the parent's."""
    result = trained(colours, ema=0.9)
    before, after = (tensor_digests(n.tensors()) for n in (result.start, result.network))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {row.kernel for row in result.adapter.rows} | {"head.weight", "head.bias"}


@pytest.mark.parametrize("architecture", [SMALL, VIT])
def test_peft_itself_loads_the_adapter(colours, tmp_path, architecture):
    """The folder is one of peft's: on the network before it makes the network after."""
    from peft import PeftModel

    result = trained(colours, architecture)
    result.adapter.save(tmp_path / "adapter")
    head = {name: tensor for name, tensor in result.network.tensors().items()
            if result.network.in_head(name)}  # fmt: skip
    start = result.start
    start.body.load_state_dict(head, strict=False)
    wrapped = PeftModel.from_pretrained(start.body, tmp_path / "adapter").eval()
    size = start.preprocessing.size
    pictures = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = result.network.eval()(pictures)
        assert torch.allclose(wrapped(start.normalise(pictures)), expected, atol=1e-5, rtol=1e-5)


def test_where_nothing_is_said():
    """A transformer's linear layers, a network of convolutions' convolutions; never the head."""
    vit = adapted(build(VIT, classes=("a",), seed=0), Lora())
    assert {name.rpartition(".")[2] for name in vit} == {"qkv", "proj", "fc1", "fc2"} - (
        {"proj"} if not any(name.endswith("attn.proj") for name in vit) else set()
    )
    network = build("inception_v1", classes=("a",), seed=0)
    assert len(adapted(network, Lora())) == sum(
        isinstance(module, nn.Conv2d) for module in network.modules()
    )


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("attention", {"qkv", "proj"}),
        ("qkv", {"qkv"}),
        (["qkv", "mlp.fc1"], {"qkv", "fc1"}),
        ("blocks.0", {"qkv", "proj", "fc1", "fc2"}),
    ],
)
def test_where_in_words(where, expected):
    """A kind of layer, the end of a name, several, or all in a block."""
    names = adapted(build(VIT, classes=("a",), seed=0), Lora(where=where))
    assert {name.rpartition(".")[2] for name in names} == expected
    if where == "blocks.0":
        assert all(name.startswith("blocks.0.") for name in names)


@pytest.mark.parametrize(
    ("architecture", "where", "slug"),
    [
        (VIT, "blocks.99", "unknown-layer"),
        (VIT, "head", "no-lora"),
        (VIT, "norm1", "no-lora"),
        (SMALL, "attention", "no-lora"),
        ("torchvision:vit_b_16", "out_proj", "no-lora"),
        ("timm:mobilenetv2_050", "conv_dw", "no-lora"),
    ],
)
def test_where_nothing_can_be(architecture, where, slug):
    """What is not there, or what no adapter can be merged into, is refused with the reason."""
    with pytest.raises(NetworkError) as caught:
        adapted(build(architecture, classes=("a",), seed=0), Lora(where=where))
    assert caught.value.slug == slug


@pytest.mark.parametrize(
    "architecture",
    ["timm:resnetv2_50x1_bit", "timm:tf_efficientnet_b0", "timm:beit_base_patch16_224"],
)
def test_layers_that_change_their_kernels_are_left_out(architecture):
    """Standardised kernels, padding by the layer itself and kernels used without the layer are not
    adapted: merged they would be another function.
    """
    names = adaptable(build(architecture, classes=("a",), seed=0))
    assert not any(name.endswith(("attn.qkv", "conv_stem")) for name in names)
    assert not (architecture.endswith("_bit") and names)


@pytest.mark.parametrize(
    "fields",
    [
        {"train": "head"},
        {"train": "from middle"},
        {"stages": ["head", "all"]},
        {"reinit": "all"},
        {"reinit": "from middle"},
        {"layer_decay": 0.8},
        {"auxiliary": (0.3,)},
        {"backbone_lr": 0},
        {"lora": {"rank": 0}},
        {"lora": {"alpha": 0}},
        {"lora": {"ranks": 4}},
        {"lora": {"dropout": 1}},
    ],
)
def test_fields_that_mean_nothing_together(fields):
    """Where no kernel could be adapted, or another training is meant, the recipe is refused."""
    with pytest.raises(ValidationError):
        recipe("lora", fields)


def test_no_lora_of_a_linear_svm():
    """A head that is found by a linear SVM goes down no gradient."""
    with pytest.raises(ValidationError, match="lora"):
        recipe("linear_svm", {"lora": {"rank": 2}})


def test_recipes_without_lora_are_what_they_were():
    """No other preset has adapters."""
    assert Recipe().lora is None
    assert recipe("lora").lora == Lora(rank=8)


def test_without_the_extra(colours, monkeypatch):
    """Where peft is not installed, the message says what to install, before any training."""
    monkeypatch.setitem(sys.modules, "peft", None)
    parent = build(SMALL, classes=("x",), seed=0)
    with pytest.raises(MissingExtraError, match=r"overpaint\[lora\]"):
        child_of(parent, colours, recipe("lora"), seed=0)


def test_peft_is_imported_by_lora_alone():
    """Neither overpaint nor its trainer imports peft."""
    code = "import overpaint, overpaint.training.fit, sys; print('peft' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert out.stdout.strip() == "False"
