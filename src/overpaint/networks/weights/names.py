"""The same architectures under the names of other programs, and what a file looks like.

>>> VIT_OF_HF.renamed("encoder.layer.3.attention.attention.key.bias")
('blocks.3.attn.qkv.bias', 1, 3)
>>> VIT_OF_HF.renamed("layernorm.weight")
('norm.weight', 0, 1)

Every program is translated to timm's names, and from there to torchvision's where it has the
architecture, too. In the tables `#` is a number, `$` one of the tensors of a layer; `|1/3` says
that a tensor is the second of three that stand in one, one below the other.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

Pair = tuple[str, str]
"""A name of another program, and timm's."""

# --- vision transformers -----------------------------------------------------------------------

HF_VIT: tuple[Pair, ...] = (
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.distillation_token", "dist_token"),
    ("embeddings.register_tokens", "reg_token"),
    ("embeddings.position_embeddings", "pos_embed"),
    ("embeddings.patch_embeddings.projection.$", "patch_embed.proj.$"),
    *(
        (f"{layer}.#.{theirs}.$", f"blocks.#.{timm}")
        # as transformers has it in memory since version 5, and as it writes it
        for layer in ("layers", "encoder.layer")
        for theirs, timm in (
            ("attention.attention.query", "attn.qkv.$|0/3"),
            ("attention.attention.key", "attn.qkv.$|1/3"),
            ("attention.attention.value", "attn.qkv.$|2/3"),
            ("attention.q_proj", "attn.qkv.$|0/3"),
            ("attention.k_proj", "attn.qkv.$|1/3"),
            ("attention.v_proj", "attn.qkv.$|2/3"),
            ("attention.output.dense", "attn.proj.$"),
            ("attention.o_proj", "attn.proj.$"),
            ("layernorm_before", "norm1.$"),
            ("layernorm_after", "norm2.$"),
            ("norm1", "norm1.$"),
            ("norm2", "norm2.$"),
            ("intermediate.dense", "mlp.fc1.$"),
            ("output.dense", "mlp.fc2.$"),
            ("mlp.fc1", "mlp.fc1.$"),
            ("mlp.fc2", "mlp.fc2.$"),
            ("mlp.weights_in", "mlp.fc1.$"),
            ("mlp.weights_out", "mlp.fc2.$"),
            ("mlp.gate_proj", "mlp.fc1.$|0/2"),
            ("mlp.up_proj", "mlp.fc1.$|1/2"),
            ("mlp.down_proj", "mlp.fc2.$"),
        )
    ),
    ("encoder.layer.#.layer_scale1.lambda1", "blocks.#.ls1.gamma"),
    ("encoder.layer.#.layer_scale2.lambda1", "blocks.#.ls2.gamma"),
    ("layernorm.$", "norm.$"),
)

TORCHVISION_VIT: tuple[Pair, ...] = (
    ("class_token", "cls_token"),
    ("encoder.pos_embedding", "pos_embed"),
    ("conv_proj.$", "patch_embed.proj.$"),
    ("encoder.layers.encoder_layer_#.ln_1.$", "blocks.#.norm1.$"),
    ("encoder.layers.encoder_layer_#.self_attention.in_proj_weight", "blocks.#.attn.qkv.weight"),
    ("encoder.layers.encoder_layer_#.self_attention.in_proj_bias", "blocks.#.attn.qkv.bias"),
    ("encoder.layers.encoder_layer_#.self_attention.out_proj.$", "blocks.#.attn.proj.$"),
    ("encoder.layers.encoder_layer_#.ln_2.$", "blocks.#.norm2.$"),
    ("encoder.layers.encoder_layer_#.mlp.0.$", "blocks.#.mlp.fc1.$"),
    ("encoder.layers.encoder_layer_#.mlp.3.$", "blocks.#.mlp.fc2.$"),
    ("encoder.ln.$", "norm.$"),
    ("heads.head.$", "head.$"),
    # of its first versions; what is written to timm's names and back takes those above
    ("encoder.layers.encoder_layer_#.mlp.linear_1.$", "blocks.#.mlp.fc1.$"),
    ("encoder.layers.encoder_layer_#.mlp.linear_2.$", "blocks.#.mlp.fc2.$"),
)

HF_SWIN: tuple[Pair, ...] = (
    ("embeddings.patch_embeddings.projection.$", "patch_embed.proj.$"),
    ("embeddings.norm.$", "patch_embed.norm.$"),
    *(
        (f"encoder.layers.#.blocks.#.{theirs}", f"layers.#.blocks.#.{timm}")
        for theirs, timm in (
            ("attention.self.query.$", "attn.qkv.$|0/3"),
            ("attention.self.key.$", "attn.qkv.$|1/3"),
            ("attention.self.value.$", "attn.qkv.$|2/3"),
            ("attention.q_proj.$", "attn.qkv.$|0/3"),
            ("attention.k_proj.$", "attn.qkv.$|1/3"),
            ("attention.v_proj.$", "attn.qkv.$|2/3"),
            ("attention.output.dense.$", "attn.proj.$"),
            ("attention.o_proj.$", "attn.proj.$"),
            ("attention.self.relative_position_bias_table", "attn.relative_position_bias_table"),
            (
                "attention.relative_position_bias.relative_position_bias_table",
                "attn.relative_position_bias_table",
            ),
            ("layernorm_before.$", "norm1.$"),
            ("layernorm_after.$", "norm2.$"),
            ("intermediate.dense.$", "mlp.fc1.$"),
            ("output.dense.$", "mlp.fc2.$"),
            ("mlp.fc1.$", "mlp.fc1.$"),
            ("mlp.fc2.$", "mlp.fc2.$"),
        )
    ),
    # it ends a stage there and begins the next one here
    *(
        (f"encoder.layers.{stage}.downsample.{part}.$", f"layers.{stage + 1}.downsample.{part}.$")
        for stage in range(3)
        for part in ("norm", "reduction")
    ),
    ("layernorm.$", "norm.$"),
)

# --- convolutions --------------------------------------------------------------------------------

HF_RESNET: tuple[Pair, ...] = (
    ("embedder.embedder.convolution.$", "conv1.$"),
    ("embedder.embedder.normalization.$", "bn1.$"),
    *(
        (f"encoder.stages.{stage}.layers.#.{theirs}.$", f"layer{stage + 1}.#.{timm}.$")
        for stage in range(4)
        for theirs, timm in (
            ("layer.0.convolution", "conv1"),
            ("layer.0.normalization", "bn1"),
            ("layer.1.convolution", "conv2"),
            ("layer.1.normalization", "bn2"),
            ("layer.2.convolution", "conv3"),
            ("layer.2.normalization", "bn3"),
            ("shortcut.convolution", "downsample.0"),
            ("shortcut.normalization", "downsample.1"),
        )
    ),
)

HF_CONVNEXT: tuple[Pair, ...] = (
    ("embeddings.patch_embeddings.$", "stem.0.$"),
    ("embeddings.layernorm.$", "stem.1.$"),
    ("encoder.stages.#.downsampling_layer.#.$", "stages.#.downsample.#.$"),
    ("encoder.stages.#.layers.#.layer_scale_parameter", "stages.#.blocks.#.gamma"),
    ("encoder.stages.#.layers.#.dwconv.$", "stages.#.blocks.#.conv_dw.$"),
    ("encoder.stages.#.layers.#.layernorm.$", "stages.#.blocks.#.norm.$"),
    ("encoder.stages.#.layers.#.pwconv1.$", "stages.#.blocks.#.mlp.fc1.$"),
    ("encoder.stages.#.layers.#.pwconv2.$", "stages.#.blocks.#.mlp.fc2.$"),
    ("encoder.stages.#.layers.#.grn.$", "stages.#.blocks.#.mlp.grn.$"),
    ("layernorm.$", "head.norm.$"),
)

TORCHVISION_CONVNEXT: tuple[Pair, ...] = (
    ("features.0.0.$", "stem.0.$"),
    ("features.0.1.$", "stem.1.$"),
    *(
        (f"features.{2 * stage + 1}.#.{theirs}", f"stages.{stage}.blocks.#.{timm}")
        for stage in range(4)
        for theirs, timm in (
            ("layer_scale", "gamma"),
            ("block.0.$", "conv_dw.$"),
            ("block.2.$", "norm.$"),
            ("block.3.$", "mlp.fc1.$"),
            ("block.5.$", "mlp.fc2.$"),
        )
    ),
    *(
        (f"features.{2 * stage}.{part}.$", f"stages.{stage}.downsample.{part}.$")
        for stage in range(1, 4)
        for part in range(2)
    ),
    ("classifier.0.$", "head.norm.$"),
    ("classifier.2.$", "head.fc.$"),
)

OLD_DENSENET: tuple[Pair, ...] = tuple(
    (
        f"features.denseblock#.denselayer#.{part}.{number}.$",
        f"features.denseblock#.denselayer#.{part}{number}.$",
    )
    for part in ("norm", "conv")
    for number in (1, 2)
)

# --- translating -------------------------------------------------------------------------------

_TENSORS = r"(weight|bias|running_mean|running_var|num_batches_tracked)"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A program's names for an architecture; `mark` is a name that no file of it lacks."""

    program: str
    mark: str
    pairs: tuple[Pair, ...]

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        return [
            (
                re.compile(re.escape(name).replace(r"\#", r"(\d+)").replace(r"\$", _TENSORS)),
                re.sub(r"[#$]", "{}", other),
            )
            for name, other in self.pairs
        ]

    def renamed(self, name: str) -> tuple[str, int, int]:
        """The other name of a tensor, and which part of how many it is; its own if it has none."""
        for pattern, other in self._patterns:
            if match := pattern.fullmatch(name):
                whole, _, part = other.format(*match.groups()).partition("|")
                number, _, parts = part.partition("/")
                return whole, int(number or 0), int(parts or 1)
        return name, 0, 1

    def backwards(self, program: str, *, mark: str) -> "Table":
        """The table from timm's names to the program's."""
        pairs = tuple((timm, theirs) for theirs, timm in self.pairs)
        return Table(program=program, mark=mark, pairs=pairs)


VIT_OF_HF = Table(
    program="Hugging Face's ViT",
    mark="embeddings.patch_embeddings.projection.weight",
    pairs=HF_VIT,
)
CONVNEXT_OF_HF = Table(
    program="Hugging Face's ConvNeXt", mark="embeddings.patch_embeddings.weight", pairs=HF_CONVNEXT
)
VIT_OF_TORCHVISION = Table(
    program="torchvision's ViT", mark="conv_proj.weight", pairs=TORCHVISION_VIT
)
CONVNEXT_OF_TORCHVISION = Table(
    program="torchvision's ConvNeXt", mark="features.1.0.layer_scale", pairs=TORCHVISION_CONVNEXT
)
VIT_OF_TIMM = VIT_OF_TORCHVISION.backwards("timm's ViT", mark="patch_embed.proj.weight")
CONVNEXT_OF_TIMM = CONVNEXT_OF_TORCHVISION.backwards(
    "timm's ConvNeXt", mark="stages.0.blocks.0.conv_dw.weight"
)

ROUTES: tuple[tuple[Table, ...], ...] = (
    (VIT_OF_HF,),
    (VIT_OF_HF, VIT_OF_TIMM),
    (
        Table(
            program="Hugging Face's Swin",
            mark="embeddings.patch_embeddings.projection.weight",
            pairs=HF_SWIN,
        ),
    ),
    (CONVNEXT_OF_HF,),
    (CONVNEXT_OF_HF, CONVNEXT_OF_TIMM),
    (
        Table(
            program="Hugging Face's ResNet",
            mark="embedder.embedder.convolution.weight",
            pairs=HF_RESNET,
        ),
    ),
    (VIT_OF_TORCHVISION,),
    (VIT_OF_TORCHVISION, VIT_OF_TIMM),  # its first versions' names to those of today
    (CONVNEXT_OF_TORCHVISION,),
    (VIT_OF_TIMM,),
    (CONVNEXT_OF_TIMM,),
    (
        Table(
            program="an older torchvision's DenseNet",
            mark="features.denseblock1.denselayer1.norm.1.weight",
            pairs=OLD_DENSENET,
        ),
    ),
)
"""The tables that lead from one program to another, one after the other."""


def translated(tensors: Mapping[str, Tensor], route: Iterable[Table]) -> dict[str, Tensor] | None:
    """Tensors under the names of another program; None where two would come under one name.

    Query, key and value that stand alone are put one below the other.
    """
    for table in route:
        parts: dict[str, dict[int, Tensor]] = {}
        counts: dict[str, int] = {}
        for name, tensor in tensors.items():
            whole, number, count = table.renamed(name)
            if number in parts.setdefault(whole, {}) or counts.setdefault(whole, count) != count:
                return None
            parts[whole][number] = tensor
        if any(len(parts[name]) != count for name, count in counts.items()):
            return None
        tensors = {
            name: parts[name][0]
            if count == 1
            else torch.cat([parts[name][number] for number in range(count)])
            for name, count in counts.items()
        }
    return dict(tensors)
