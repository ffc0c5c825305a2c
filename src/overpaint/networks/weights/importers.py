"""Weights of other programs, brought under our names.

>>> our_name("inception_4d/3x3_reduce.weight")
'mixed4d_3x3_bottleneck_pre_relu.weight'

`InceptionV1` was published twice: as a caffemodel of the Caffe model zoo, and as a frozen graph of
TensorFlow in `inception5h.zip`. Nothing of either file is executed.
"""

import math
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from overpaint.errors import NetworkError
from overpaint.networks.inception_v1 import LAYERS
from overpaint.networks.tensorflow import LRN_DEFAULTS
from overpaint.networks.weights.protobuf import DecodeError, parse

# --- Caffe -------------------------------------------------------------------------------------

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
    state = {}
    for name, tensor in tensors.items():
        try:
            state[our_name(name)] = tensor
        except KeyError:
            raise NetworkError(
                "foreign-weights", f"the Caffe weights hold a layer that GoogLeNet has not: {name}"
            ) from None
    return state


def has_caffe_names(tensors: Mapping[str, Tensor]) -> bool:
    """Whether tensors stand under Caffe's layer names."""
    return "conv1/7x7_s2.weight" in tensors


def read_caffemodel(path: Path) -> dict[str, Tensor]:
    """The tensors of a `.caffemodel`, under Caffe's layer names, without the auxiliary heads.

    Raises NetworkError for a file that is no caffemodel, or one without a layer with weights.
    """
    net = _parsed("NetParameter", _bytes_of(path), path)
    tensors: dict[str, Tensor] = {}
    for layer in (*net.layers, *net.layer):
        if not layer.name.startswith(("loss1/", "loss2/")):
            for kind, blob in zip(("weight", "bias"), layer.blobs, strict=False):
                name = f"{layer.name}.{kind}"
                shape = list(blob.shape.dim) or [blob.num, blob.channels, blob.height, blob.width]
                while 1 < len(shape) <= MOST_SIDES and shape[0] == 1:
                    shape = shape[1:]  # the old four numbers put ones before a matrix or a vector
                tensors[name] = _filled(blob.data, shape, f"{name} of {path}")
    return _any_of(tensors, path)


# --- TensorFlow --------------------------------------------------------------------------------

GRAPH = "tensorflow_inception_graph.pb"
"""The member of `inception5h.zip` that holds the weights; no other is read."""

MOST_BYTES = 256 * 1024 * 1024
"""No file of InceptionV1 is as large, nor are its tensors; what says that it is, is not read."""

MOST_SIDES = 8
"""Dimensions of a tensor."""

DT_FLOAT = 1


def read_graph(path: Path) -> dict[str, Tensor]:
    """The tensors of a frozen TensorFlow graph, or of the one in a zip, as a state of the variant.

    Kernels come as OIHW, and with them the constants of the two normalisations. Raises NetworkError
    for a file that is no graph, or the graph of another network.
    """
    graph = _parsed("GraphDef", _graph_bytes(path), path)
    nodes = {node.name: node for node in graph.node}
    tensors = _any_of(dict(_weights(nodes, path)), path)
    for name in ("localresponsenorm0", "localresponsenorm1"):
        if name in nodes and nodes[name].op == "LRN":
            attributes = _attributes(nodes[name])
            constants = [
                (attributes[key].i if key == "depth_radius" else attributes[key].f)
                if key in attributes
                else default
                for key, default in LRN_DEFAULTS.items()
            ]
            tensors[f"{name}.constants"] = torch.tensor([float(number) for number in constants])
    return tensors


def _graph_bytes(path: Path) -> bytes:
    if path.suffix != ".zip":
        return _bytes_of(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(GRAPH).file_size > MOST_BYTES:
                raise NetworkError("broken-weights", f"{GRAPH} in {path} is far too large")
            return archive.read(GRAPH)
    except KeyError:
        raise NetworkError("foreign-weights", f"{path} holds no {GRAPH}") from None
    except (zipfile.BadZipFile, OSError, RuntimeError, ValueError, EOFError) as error:
        raise NetworkError("broken-weights", f"{path} cannot be unpacked: {error}") from None


def _bytes_of(path: Path) -> bytes:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise NetworkError("broken-weights", f"{path} has {size} bytes, far too many for its kind")
    return path.read_bytes()


def _weights(nodes: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Tensor]]:
    """The kernels and biases that there are, under our names."""
    left = MOST_BYTES // 4
    convolutions = [
        name
        for layer in LAYERS
        for name in (
            [f"{layer}_{branch}" for branch in BRANCH.values()]
            if layer.startswith("mixed")
            else [layer]
        )
    ]
    places = {convolution: f"{convolution}_pre_relu" for convolution in convolutions}
    for name, place in (places | {"softmax2": "head"}).items():
        for letter, kind in (("w", "weight"), ("b", "bias")):
            node = nodes.get(f"{name}_{letter}")
            if node is not None and node.op == "Const":
                tensor = _constant(node, f"{node.name} of {path}", left)
                left -= tensor.numel()
                if kind == "weight" and place == "head" and tensor.ndim == 2:
                    tensor = tensor.T.contiguous()  # (in, out) -> (out, in)
                elif kind == "weight" and place != "head" and tensor.ndim == 4:
                    tensor = tensor.permute(3, 2, 0, 1).contiguous()  # HWIO -> OIHW
                yield f"{place}.{kind}", tensor


def _constant(node: Any, where: str, most: int) -> Tensor:
    """The numbers of a constant, `most` at most."""
    tensor = _attributes(node)["value"].tensor if "value" in _attributes(node) else None
    if tensor is None or tensor.dtype != DT_FLOAT:
        raise NetworkError("foreign-weights", f"{where} is no constant of float32")
    shape = [dimension.size for dimension in tensor.shape.dim]
    if tensor.content:
        if len(tensor.content) % 4:
            raise NetworkError("broken-weights", f"{where} has half a number")
        return _filled(np.frombuffer(tensor.content, "<f4"), shape, where)
    values = tensor.float_val
    # a single value stands for a tensor full of it
    if len(values) == 1 and len(shape) <= MOST_SIDES and min(shape, default=1) >= 0:
        if math.prod(shape) > most:
            raise NetworkError(
                "broken-weights",
                f"{where} would make the tensors too large: {tuple(shape)} of one number",
            )
        values = np.full(math.prod(shape), values[0], np.float32)
    return _filled(values, shape, where)


def _attributes(node: Any) -> dict[str, Any]:
    return {attribute.key: attribute.value for attribute in node.attr}


# --- both ----------------------------------------------------------------------------------------

READERS: dict[str, Callable[[Path], dict[str, Tensor]]] = {
    ".caffemodel": read_caffemodel,
    ".pb": read_graph,
    ".zip": read_graph,
}
"""By the ending of the file."""


def _parsed(message: str, data: bytes, path: Path) -> Any:
    try:
        return parse(message, data)
    except (DecodeError, UnicodeDecodeError) as error:
        raise NetworkError("broken-weights", f"{path} is cut short or foreign: {error}") from None


def _filled(
    values: Sequence[float] | NDArray[np.float32], shape: Sequence[int], where: str
) -> Tensor:
    """Numbers in a shape; a NetworkError when they are too few or too many."""
    numbers = np.array(values, dtype=np.float32)
    if len(shape) > MOST_SIDES or max(shape, default=0) > MOST_BYTES:
        raise NetworkError(
            "broken-weights",
            f"{where} has {len(shape)} dimensions, the largest of {max(shape)}",
        )
    if min(shape, default=1) < 0 or len(numbers) != math.prod(shape):
        raise NetworkError(
            "broken-weights", f"{where} has {len(numbers)} numbers for the shape {tuple(shape)}"
        )
    return torch.from_numpy(numbers.reshape(shape))


def _any_of(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    if tensors:
        return tensors
    raise NetworkError("foreign-weights", f"{path} holds no weights of InceptionV1")
