"""How much of a network is attention: what tells transformers from convolutional networks.

>>> from overpaint.networks import build
>>> attention_share(build("inception_small", classes=("cat", "dog"), seed=0).body)
0.0
"""

from torch import nn


def attention_share(body: nn.Module) -> float:
    """The share of a network's weights that its attention holds, 0 to 1.

    A third of a plain transformer; next to nothing where only channels are weighed. A pooling by
    attention at the end of a convolutional network does not count.
    """
    modules = [
        name
        for name, module in body.named_modules()
        if "attention" in (kind := type(module).__name__.lower().replace("attn", "attention"))
        and "pool" not in kind
    ]
    within = tuple(f"{name}." for name in modules if name)
    sizes = {name: weight.numel() for name, weight in body.named_parameters()}
    inside = sum(size for name, size in sizes.items() if name.startswith(within))
    return inside / max(sum(sizes.values()), 1) if within else 0.0
