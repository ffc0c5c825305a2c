"""Kernels: what a tensor's layer is called where people read it."""


def kernel_layer(tensor: str) -> str:
    """The layer that a kernel is of.

    >>> kernel_layer("mixed3a_1x1_pre_relu.0.weight"), kernel_layer("blocks.0.attn.qkv.weight")
    ('mixed3a_1x1', 'blocks.0.attn.qkv')
    """
    return tensor.removesuffix(".weight").removesuffix("_pre_relu.0").removesuffix("_pre_relu")
