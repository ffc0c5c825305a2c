"""Network: an architecture with weights, the preprocessing that they want, and its layers."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from overpaint.networks.order import back_to
from overpaint.networks.outputs import logits_in
from overpaint.networks.parts import Parts
from overpaint.records import digest


class Network(nn.Module):
    """An architecture with weights, ready to run on pictures and to be tapped by layer name."""

    def __init__(
        self,
        architecture: str,
        parts: Parts,
        classes: tuple[str, ...],
        *,
        multi_label: bool = False,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.body = parts.body
        self.layers = parts.layers
        self.head = parts.head
        self.heads = tuple(filter(None, (parts.head, *parts.more_heads)))
        self.filters = parts.filters
        self.any_size = parts.any_size
        self.prefix_tokens = parts.prefix_tokens
        self.channels_last = parts.channels_last
        self.layouts = parts.layouts
        self.preprocessing = parts.preprocessing
        self.classes = classes
        self.multi_label = multi_label
        self.remark = ""  # how its file of weights was read, where there is anything to say
        self.borrowed = False  # whether the body is somebody else's, to be left as it was
        self.code: Path | None = None  # where the code of an own network lies, if it may be run
        self.source_digest = ""  # of the file of that code
        self.register_buffer("_mean", _per_channel(self.preprocessing.mean), persistent=False)
        self.register_buffer("_std", _per_channel(self.preprocessing.std), persistent=False)
        self._mean: Tensor
        self._std: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W), RGB, 0..1 -> logits (N, classes)."""
        return logits_in(self.body(self.normalise(images)), self.architecture)

    def normalise(self, images: Tensor) -> Tensor:
        """Pictures 0..1 -> the values that the weights want to see."""
        if self.preprocessing.order == "BGR":
            images = images.flip(1)
        if self.preprocessing.order == "grey":
            images = luminance(images)
        values = (images - self._mean.to(images.device)) / self._std.to(images.device)
        return values.to(self._dtype)

    @property
    def _dtype(self) -> torch.dtype:
        """What the body reckons in; float32, unless its owner has made it another."""
        weights = (weight.dtype for weight in self.body.parameters())
        return next((dtype for dtype in weights if dtype.is_floating_point), torch.float32)

    def in_head(self, tensor: str) -> bool:
        """Whether a tensor belongs to a classifier.

        >>> from overpaint.networks import build
        >>> network = build("inception_small", classes=("cat", "dog"), seed=0)
        >>> network.in_head("head.weight"), network.in_head("conv2d0_pre_relu.0.weight")
        (True, False)
        """
        return tensor.startswith(tuple(f"{head}." for head in self.heads))

    @property
    def parameters_in_all(self) -> int:
        """How many numbers the network has learnt."""
        return sum(parameter.numel() for parameter in self.parameters())

    def tensors(self) -> dict[str, Tensor]:
        """All weights and statistics by name."""
        state = self.body.state_dict()  # which may carry more than tensors
        return {name: value for name, value in state.items() if isinstance(value, Tensor)}

    def fill(self, tensors: Mapping[str, Tensor]) -> None:
        """Take weights and statistics: all of them, by the names of `tensors`."""
        state = self.body.state_dict()
        # in the body's own dictionary: MNASNet reads from its metadata how old the weights are
        state.update(tensors)
        self.body.load_state_dict(state)
        modes = [(module, module.training) for module in self.body.modules()]
        self.body.train()  # LeViT and its like forget here what they computed from the old weights
        back_to(modes)

    @property
    def digest(self) -> str:
        """SHA-256 over architecture, preprocessing and every tensor's name and bytes."""
        preprocessing = asdict(self.preprocessing)
        if self.preprocessing.crop_mode == "center":
            del preprocessing["crop_mode"]  # it came later, and digests are to stay
        parts = [self.architecture, preprocessing, list(self.classes)]
        return digest([parts, tensor_digests(self.tensors())])


def tensor_digests(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """SHA-256 of each tensor's bytes."""
    return {
        # as bytes: NumPy knows no bfloat16
        name: hashlib.sha256(
            tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
        ).hexdigest()
        for name, tensor in tensors.items()
    }


def luminance(images: Tensor) -> Tensor:
    """How bright colours are, as ITU-R 601 and Pillow have it: (N, 3, H, W) -> (N, 1, H, W)."""
    shares = torch.tensor([0.299, 0.587, 0.114]).to(images).reshape(1, 3, 1, 1)
    return (images * shares).sum(dim=1, keepdim=True)


def _per_channel(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values).reshape(1, -1, 1, 1)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's generator at a seed inside the block, and as it was afterwards."""
    # manual_seed is for the GPUs too; to ask for the state of one that nobody uses would start it
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    gpus = range(torch.cuda.device_count()) if started else ()
    with torch.random.fork_rng(devices=gpus):
        torch.manual_seed(seed)
        yield
