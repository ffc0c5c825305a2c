"""Weights under other programs' names, brought under ours.

>>> our_name("inception_4d/3x3_reduce.weight")
'mixed4d_3x3_bottleneck_pre_relu.weight'
"""

from collections.abc import Mapping

from torch import Tensor

from overpaint.errors import NetworkError

STEM = {"conv1/7x7_s2": "conv2d0", "conv2/3x3_reduce": "conv2d1", "conv2/3x3": "conv2d2"}
BRANCH = {
    "1x1": "1x1",
    "3x3_reduce": "3x3_bottleneck",
    "3x3": "3x3",
    "5x5_reduce": "5x5_bottleneck",
    "5x5": "5x5",
    "pool_proj": "pool_reduce",
}


def our_name(caffe: str) -> str:
    """The name of a tensor of the Caffe model zoo's GoogLeNet in `InceptionV1`."""
    layer, _, kind = caffe.rpartition(".")
    if layer == "loss3/classifier":
        return f"head.{kind}"
    if layer in STEM:
        return f"{STEM[layer]}_pre_relu.{kind}"
    block, _, branch = layer.partition("/")
    return f"mixed{block.removeprefix('inception_')}_{BRANCH[branch]}_pre_relu.{kind}"


def from_caffe_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors (OIHW) under Caffe's layer names as a state of `InceptionV1`.

    Raises NetworkError for a name that the architecture does not have.
    """
    try:
        return {our_name(name): tensor for name, tensor in tensors.items()}
    except KeyError as error:
        raise NetworkError(
            "foreign-weights", f"the Caffe weights hold an unknown layer, near {error.args[0]!r}"
        ) from None


def has_caffe_names(tensors: Mapping[str, Tensor]) -> bool:
    """Whether tensors stand under Caffe's layer names."""
    return "conv1/7x7_s2.weight" in tensors
