"""What the names in a file of weights look like, for those whose file does not fit.

>>> import torch
>>> looks_like({"layer4.2.conv3.weight": torch.zeros(2048, 512, 1, 1)})
'a ResNet of bottlenecks, as timm and torchvision name it (blocks: 0, 0, 0, 3)'
"""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

_KINDS: tuple[tuple[str, str], ...] = (
    (r"lora_[AB]\.|\.lora_(down|up)\.", "an adapter (LoRA) without its base: merge the two"),
    (r"\.(absmax|quant_map|qweight|qzeros|SCB)$|quant_state", "quantised weights"),
    (r"(^|\.)exp_avg(_sq)?$|momentum_buffer$", "an optimiser's state"),
    (r"(^|\.)text_model\.|(^|\.)vision_model\.encoder\.|visual\.class_embedding", "a CLIP"),
    (r"visual\.transformer\.resblocks", "a CLIP"),
    (r"(^|\.)embeddings\.class_embedding$", "Hugging Face's CLIP (its part for pictures)"),
    (r"(^|\.)(rpn|roi_heads|bbox_head|transformer\.decoder)\.", "a detector of objects"),
    (r"(^|\.)model\.\d+\.(cv\d|conv|m\.\d)", "a YOLO"),
    (r"(^|\.)(down_blocks|up_blocks|diffusion_model)\.", "a diffusion model"),
    (r"self_attn\.[qkvo]_proj.*|word_embeddings|embed_tokens", "a model of language"),
    (r"embeddings\.patch_embeddings\.projection\.weight$", "Hugging Face's {transformer}"),
    (r"embeddings\.patch_embeddings\.weight$", "Hugging Face's ConvNeXt (first width {width})"),
    (r"embedder\.embedder\.convolution\.weight$", "Hugging Face's ResNet (first width {width})"),
    (r"(^|\.)conv_proj\.weight$", "torchvision's ViT (hidden size {width})"),
    (r"(^|\.)patch_embed\.proj\.weight$", "a {transformer} in timm's names"),
    (r"(^|\.)layer4\.\d+\.conv3\.weight$", "a ResNet of bottlenecks{blocks}"),
    (r"(^|\.)layer4\.\d+\.conv2\.weight$", "a ResNet of basic blocks{blocks}"),
    (r"(^|\.)stages\.\d+\.blocks\.\d+\.conv_dw\.weight$", "a ConvNeXt in timm's names"),
    (r"(^|\.)features\.denseblock1\.", "a DenseNet"),
    (r"(^|\.)features\.0\.weight$", "an AlexNet, a VGG or another plain chain of torchvision's"),
    (r"(^|\.)features\.\d+\.conv\.|features\.\d+\.block\.", "a network of torchvision's"),
    (r"inception_3a/", "GoogLeNet in Caffe's names"),
    (r"(^|\.)conv2d0_pre_relu\.", "an InceptionV1 of overpaint"),
)


def looks_like(tensors: Mapping[str, Tensor]) -> str:
    """A kind of network, or of file, by the first mark that its names bear; "" for no known one."""
    for mark, words in _KINDS:
        name = next((name for name in tensors if re.search(mark, name)), None)
        if name is not None:
            shape = tuple(tensors[name].shape)
            return words.format(
                width=shape[0] if shape else 0,
                blocks=_blocks(tensors),
                transformer=_transformer(tensors, shape),
            )
    return ""


def _transformer(tensors: Iterable[str], patch: tuple[int, ...]) -> str:
    """Which transformer: what its patches are embedded in, and how many blocks follow."""
    width = patch[0] if patch else 0
    size = f", patches of {patch[-1]}" if len(patch) == 4 else ""
    if any(re.search(r"(^|\.)layers\.\d+\.blocks\.", name) for name in tensors):
        return f"Swin (first width {width})"
    numbers = [
        int(match.group(2))
        for name in tensors
        if (match := re.search(r"(^|\.)(?:blocks|layers?)\.(\d+)\.", name))
    ]
    kind = "DINOv2" if any("layer_scale1" in name for name in tensors) else "ViT"
    return f"{kind} (hidden size {width}{size}, {max(numbers, default=-1) + 1} blocks)"


def _blocks(tensors: Iterable[str]) -> str:
    counts = [
        max(
            (
                int(match.group(1)) + 1
                for name in tensors
                if (match := re.search(rf"(?:^|\.)layer{stage}\.(\d+)\.", name))
            ),
            default=0,
        )
        for stage in range(1, 5)
    ]
    blocks = ", ".join(map(str, counts))
    return f", as timm and torchvision name it (blocks: {blocks})"
