"""Attribution: what of a picture speaks for a class, by gradients; `op.attribute`.

>>> from overpaint.networks import build
>>> network = build("inception_small", classes=("cat", "dog"), seed=0)
>>> picture = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
>>> looked = attribute(network, picture, label="dog", method="integrated_gradients")
>>> looked.label, looked.values.shape, looked.alike is not None
('dog', (64, 64), True)

Integrated gradients and Grad-CAM are Captum's (`overpaint[attribution]`). Grad-CAM takes the last
map of a convolutional network. On transformers it localises badly (arXiv 2602.20853): there, a
gradient-weighted rollout of their attention takes its place, which needs no Captum.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import isqrt
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from overpaint.device import device_of, exact, on_best_device
from overpaint.errors import NetworkError, nearest
from overpaint.gaze.captum import captum_attr
from overpaint.gaze.tiles import overlay
from overpaint.networks import Network
from overpaint.networks.attention import attention_share
from overpaint.networks.order import evaluating
from overpaint.networks.taps import map_size, taps, unplaced
from overpaint.pixels.images import centre_square, fitted, read
from overpaint.seeds import generator
from overpaint.study.recipe import A_TRANSFORMER

Method = Literal["integrated_gradients", "grad_cam", "rollout"]

METHODS: tuple[Method, ...] = get_args(Method)

STEPS, MOST_STEPS = 32, 128
"""Steps of integrated gradients: doubled, up to the most, until they sum up as they must."""

TOLERANCE = 0.05
"""What the sum of integrated gradients may miss, as a share of what it must come to."""

AT_ONCE = 16
"""Steps that go through a network together."""

GRID = 16
"""Places a side in which fine maps are compared and drawn: single pixels are noise."""

Values = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Attribution:
    """What of a picture speaks for a class, in one network; a notebook shows it over the picture.

    `alike` is the rank correlation with the same map of the network with its weights dealt out at
    random: a map that is much like it says little of the network, however well it looks.
    """

    method: Method
    label: str  # the class
    logit: float  # what the network says for it
    values: Values  # [H, W]; integrated gradients of each pixel, else of each place of a map
    gap: float | None = None  # integrated gradients: what their sum misses, as a share
    steps: int | None = None  # of integrated gradients
    randomised: Values | None = None  # the map of the network with its weights dealt out
    alike: float | None = None  # −1..1; None where a map is the same everywhere
    picture: NDArray[np.uint8]  # [S, S, 3], as the network was shown it

    @property
    def by_place(self) -> Values:
        """How much each place says, for or against: at most `GRID` places a side."""
        return by_place(self.values)

    def _repr_png_(self) -> bytes:
        from overpaint.pixels.images import encoded

        parts = [by_place(part) for part in (self.values, self.randomised) if part is not None]
        tiles = [
            self.picture,
            *(overlay(self.picture, part / max(float(part.max()), 1e-30)) for part in parts),
        ]
        return encoded(Image.fromarray(np.hstack(tiles)), "PNG")


def attribute(
    network: Network,
    picture: str | Path | NDArray[np.uint8],
    *,
    label: str | int | None = None,
    method: Method | None = None,
    seed: int = 0,
) -> Attribution:
    """What of a picture speaks for a class.

    picture: a file, or pixels [H, W, 3]; cut and sized as the network wants it. `label`: a class,
    or its number; without it the one that the network says. `method`: "integrated_gradients" of the
    pixels, from a picture of the colour that the network takes for the mean; "grad_cam" of the last
    map of a convolutional network; "rollout" of a transformer's attention. Without it, that of the
    last two which the network takes.

    Raises NetworkError: `no-head`, `unknown-class`, `unknown-method`; `no-map` and `no-attention`
    where a method does not go with the network. MissingExtraError where Captum is not installed.

    Source: Sundararajan, Taly & Yan 2017 (integrated gradients); Selvaraju et al. 2017 (Grad-CAM);
    Chefer, Gur & Wolf 2021, "Generic attention-model explainability" (rollout); Adebayo et al.
    2018, "Sanity checks for saliency maps" (randomised weights, here dealt out within each tensor).
    """
    if not network.head:
        raise NetworkError(
            "no-head", f"{network.architecture} has no head: nothing speaks for a class"
        )
    pixels = shown(network, picture)
    name = method or own_method(network)
    if name not in METHODS:
        raise NetworkError("unknown-method", f"no method {name!r}; {nearest(name, METHODS)}")
    images = as_images([pixels])
    logits = logits_of(network, images)[0]
    target = class_number(network, label, logits)
    [real] = attributions(network, images, [target], name)
    dealt = with_weights_dealt_out(network, seed)
    [random] = attributions(dealt, images, [target], name, exactly=False)
    return Attribution(
        method=name,
        label=class_name(network, target),
        logit=float(logits[target]),
        values=real.values,
        gap=real.gap,
        steps=real.steps,
        randomised=random.values,
        alike=rank_correlation(by_place(real.values), by_place(random.values)),
        picture=pixels,
    )


# --- pictures and classes ------------------------------------------------------------------------


def shown(network: Network, picture: "str | Path | NDArray[np.uint8] | Any") -> NDArray[np.uint8]:
    """A picture as a network is shown it: [S, S, 3]. What has `open` beside a path is read too."""
    view = network.preprocessing
    whole = (
        Image.fromarray(picture)
        if isinstance(picture, np.ndarray)
        else read(Path(picture) if isinstance(picture, str) else picture, view.resize)
    )
    red, green, blue = (round(255 * value) for value in (*view.mean, 0, 0)[:3])
    sized = fitted(
        whole,
        view.size,
        view.resize,
        view.interpolation,
        crop_mode=view.crop_mode,
        border=(red, green, blue),
    )
    return np.asarray(centre_square(sized, view.size))


def as_images(pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Pixels [S, S, 3] each -> (N, 3, S, S), 0..1, channels last."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div_(255)


def logits_of(network: Network, images: Tensor) -> Tensor:
    """What a network says of pictures (N, 3, S, S): (N, C), on the CPU."""
    with (
        on_best_device(network, channels_last=True) as device,
        torch.inference_mode(),
        evaluating(network),
        exact(),
    ):
        return network(images.to(device)).double().cpu()


def class_name(network: Network, number: int) -> str:
    """What a network calls a class; its number where it names none."""
    return network.classes[number] if network.classes else str(number)


def class_number(network: Network, label: str | int | None, logits: Tensor) -> int:
    """The number of a class by its name or number, or of the one that is said most: (C,)."""
    if label is None:
        return int(logits.argmax())
    if isinstance(label, int) and 0 <= label < len(logits):
        return label
    if label in network.classes:
        return network.classes.index(str(label))
    raise NetworkError(
        "unknown-class",
        f"{network.architecture} has no class {label!r}; "
        f"{nearest(str(label), network.classes or map(str, range(len(logits))))}",
    )


# --- the methods ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Attributed:
    """The map of one picture, [H, W]; of integrated gradients what their sum misses."""

    values: Values
    gap: float | None = None
    steps: int | None = None


def own_method(network: Network) -> Method:
    """The method that looks into a network: by its attention, where it has any to speak of."""
    return "rollout" if attention_share(network.body) >= A_TRANSFORMER else "grad_cam"


def attributions(
    network: Network,
    images: Tensor,
    targets: Sequence[int],
    method: Method,
    *,
    exactly: bool = True,
) -> list[Attributed]:
    """The map of each picture (N, 3, S, S) for a class of it, of a network with a head, in
    evaluation mode; the network stays as it was. Not exactly: integrated gradients of few steps,
    whatever their sum misses. Raises as `attribute`.
    """
    of_method: dict[Method, Callable[[Network, Tensor, Tensor], list[Attributed]]] = {
        "integrated_gradients": partial(
            integrated_gradients, most=MOST_STEPS if exactly else STEPS
        ),
        "grad_cam": grad_cam,
        "rollout": attention_rollout,
    }
    # channels last, whoever ran the network before: sums in another order are other numbers
    with (
        on_best_device(network, channels_last=True) as device,
        evaluating(network),
        exact(),
        torch.enable_grad(),
    ):
        return of_method[method](
            network, images.to(device).clone(), torch.tensor(targets, device=device)
        )


def integrated_gradients(
    network: Network, images: Tensor, targets: Tensor, *, most: int = MOST_STEPS
) -> list[Attributed]:
    """Integrated gradients of the logits, summed over the colours of each pixel.

    They sum up to the logit of the picture minus that of the baseline (completeness): what is
    missed by finitely many steps is the gap. Steps are doubled, up to the most, while it is larger
    than `TOLERANCE`.
    """
    method = captum_attr().IntegratedGradients(network)
    results = []
    for image, target in zip(torch.split(images, 1), targets.tolist(), strict=True):
        baseline = mean_colour(network, image)
        with torch.no_grad():
            whole, nothing = network(torch.cat([image, baseline]))[:, target].double().tolist()
        steps = STEPS
        while True:
            gradients = method.attribute(
                image, baselines=baseline, target=target, n_steps=steps, internal_batch_size=AT_ONCE
            ).detach()
            missed = abs(float(gradients.double().sum()) - (whole - nothing))
            gap = missed / max(abs(whole - nothing), 1e-12)
            if gap <= TOLERANCE or 2 * steps > most:
                break
            steps *= 2
        results.append(Attributed(values=_plain(gradients.sum(dim=1)[0]), gap=gap, steps=steps))
    return results


def mean_colour(network: Network, image: Tensor) -> Tensor:
    """A picture of the one colour that a network takes for the mean: what it is told as nothing."""
    mean = torch.tensor(network.preprocessing.mean, dtype=image.dtype, device=image.device)
    if network.preprocessing.order == "BGR":
        mean = mean.flip(0)
    return mean.reshape(1, -1, 1, 1).expand_as(image).contiguous()


def grad_cam(network: Network, images: Tensor, targets: Tensor) -> list[Attributed]:
    """Grad-CAM at the last map of a network: what of it speaks for the class, never against."""
    layer = last_map(network)
    if layer is None:
        raise NetworkError(
            "no-map",
            f"{network.architecture} has no layer with a map of channels and places before its "
            "head, as Grad-CAM takes: ask for integrated_gradients, or rollout of a transformer",
        )
    module = network.body.get_submodule(layer)
    method = captum_attr().LayerGradCam(network, module)
    maps = method.attribute(
        images.requires_grad_(), target=targets, relu_attributions=True
    ).detach()
    return [Attributed(values=_plain(each[0])) for each in maps]


def last_map(network: Network) -> str | None:
    """The last layer that gives a map (N, C, H, W) of more than one place; None without any."""
    size = network.preprocessing.size
    with torch.no_grad(), taps(network, network.layers, reduction=_form) as tap:
        forms = tap(torch.zeros(1, 3, size, size, device=device_of(network)))
    for layer in reversed(network.layers):
        layout = network.layouts.get(layer)
        order = layout.order if layout else "NHWC" if network.channels_last else "NCHW"
        ndim, places, is_placed = forms[layer]
        if ndim == 4 and order == "NCHW" and places > 1 and is_placed:
            return layer
    return None


def _form(activation: Tensor) -> tuple[int, int, bool]:
    height, width = map_size(activation)
    return activation.ndim, height * width, not unplaced(activation)


def attention_rollout(network: Network, images: Tensor, targets: Tensor) -> list[Attributed]:
    """Gradient-weighted rollout of attention: what the class token, or the mean of all patches
    where the head takes that, has of each patch.

    Attention is reckoned in the open while this runs, and as fast as before afterwards.
    """
    with open_attention(network) as attentions:
        logits = network(images.requires_grad_())
        said = logits.gather(1, targets[:, None]).sum()
        count = {tuple(attention.shape[2:]) for attention in attentions}
        rows = {len(attention) for attention in attentions}
        tokens = attentions[0].shape[-1] if attentions else 0
        patches = tokens - network.prefix_tokens
        pooled = getattr(network.body, "global_pool", "token")
        if (
            count != {(tokens, tokens)}
            or rows != {len(images)}
            or isqrt(patches) ** 2 != patches
            or pooled not in ("token", "", "avg")
        ):
            raise NetworkError(
                "no-attention",
                f"the attention of {network.architecture} is not of all patches to all others in "
                "each block, and then of the class token or the mean of all, so that it cannot be "
                "rolled out: ask for integrated_gradients",
            )
        gradients = torch.autograd.grad(said, attentions)
    relevance = rollout([part.detach() for part in attentions], gradients)
    of_patches = relevance[:, :, network.prefix_tokens :]
    if network.prefix_tokens and pooled in ("token", ""):
        patch_rows = of_patches[:, 0]
    else:
        patch_rows = of_patches[:, network.prefix_tokens :].mean(dim=1)
    side = isqrt(patches)
    return [Attributed(values=_plain(row.reshape(side, side))) for row in patch_rows]


def rollout(attentions: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """Attention (N, heads, T, T) of each block and its gradients -> relevance (N, T, T).

    >>> half = torch.full((1, 1, 2, 2), 0.5)
    >>> rollout([half], [torch.tensor([[[[2.0, 0.0], [-1.0, 4.0]]]])])
    tensor([[[2., 0.],
             [0., 3.]]])

    R begins as the identity; each block adds (mean over heads of the positive part of A × ∂A) · R.
    """
    tokens = attentions[0].shape[-1]
    relevance = torch.eye(tokens, device=attentions[0].device).repeat(len(attentions[0]), 1, 1)
    for attention, gradient in zip(attentions, gradients, strict=True):
        relevance = relevance + (attention * gradient).clamp(min=0).mean(dim=1) @ relevance
    return relevance


@contextmanager
def open_attention(network: Network) -> Iterator[list[Tensor]]:
    """Inside the block, what each attention of timm's kind gives weights to, in the order in which
    they run: (N, heads, T, T). Raises NetworkError, `no-attention`, where there is none.
    """
    blocks: list[Any] = [
        module
        for module in network.body.modules()
        if hasattr(module, "fused_attn")
        and isinstance(getattr(module, "attn_drop", None), nn.Module)
    ]
    if not blocks:
        raise NetworkError(
            "no-attention",
            f"{network.architecture} has no attention that can be looked into, as timm's "
            "transformers have: ask for integrated_gradients, or grad_cam of a convolutional one",
        )
    attentions: list[Tensor] = []
    fused = [block.fused_attn for block in blocks]
    handles = [
        block.attn_drop.register_forward_hook(lambda _m, _i, output: attentions.append(output))
        for block in blocks
    ]
    try:
        for block in blocks:
            block.fused_attn = False
        yield attentions
    finally:
        for block, setting in zip(blocks, fused, strict=True):
            block.fused_attn = setting
        for handle in handles:
            handle.remove()


# --- the check -----------------------------------------------------------------------------------


def with_weights_dealt_out(network: Network, seed: int) -> Network:
    """A copy of a network whose numbers are dealt out anew within each of its tensors: it has
    learnt nothing, and what it is made of is of the same size.
    """
    dealt = copy.deepcopy(network)
    tensors = {}
    for name, tensor in dealt.tensors().items():
        if tensor.is_floating_point() and tensor.numel() > 1:
            order = generator(seed, "weights dealt out", name).permutation(tensor.numel())
            flat = tensor.detach().flatten()
            tensors[name] = flat[torch.from_numpy(order).to(flat.device)].reshape(tensor.shape)
    dealt.fill(dealt.tensors() | tensors)
    return dealt


def by_place(values: Values) -> Values:
    """How much each place of a map says, for or against; a fine map in squares, `GRID` a side.

    >>> by_place(np.array([[1.0, -2.0], [0.0, 0.5]], np.float32)).tolist()
    [[1.0, 2.0], [0.0, 0.5]]
    """
    sizes = np.abs(values)
    if min(sizes.shape) <= GRID:
        return sizes
    grid = nn.functional.adaptive_avg_pool2d(torch.from_numpy(sizes)[None, None], GRID)
    return grid[0, 0].numpy()


def rank_correlation(first: Values, second: Values) -> float | None:
    """Spearman's, of the places of two maps: −1..1; None where one is the same everywhere.

    >>> rank_correlation(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 4.0, 9.0]]))
    1.0
    """
    from scipy.stats import rankdata

    if first.shape != second.shape or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    ranks = [rankdata(part.ravel()) for part in (first, second)]
    return float(np.round(np.corrcoef(*ranks)[0, 1], 12))


def _plain(values: Tensor) -> Values:
    plain: Values = values.float().cpu().numpy()
    return plain
