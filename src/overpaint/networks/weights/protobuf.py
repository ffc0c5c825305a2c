"""The messages of Caffe's and TensorFlow's files, as far as weights are concerned.

>>> message = parse("GraphDef", bytes.fromhex("0a050a03") + b"abc")
>>> message.node[0].name
'abc'

Fields that are not listed are passed over, as the format wants it.
Sources: caffe.proto of BVLC/caffe; graph.proto, node_def.proto, attr_value.proto, tensor.proto and
tensor_shape.proto of tensorflow/tensorflow.
"""

from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

__all__ = ["DecodeError", "parse"]

FIELDS: dict[str, dict[str, tuple[int, str]]] = {
    # Caffe: the old layers are those of the model zoo, the new ones of a file saved again
    "NetParameter": {"name": (1, "string"), "layers": (2, "V1Layer*"), "layer": (100, "Layer*")},
    "V1Layer": {"name": (4, "string"), "blobs": (6, "Blob*")},
    "Layer": {"name": (1, "string"), "blobs": (7, "Blob*")},
    "Blob": {
        "num": (1, "int32"),
        "channels": (2, "int32"),
        "height": (3, "int32"),
        "width": (4, "int32"),
        "data": (5, "float*"),
        "shape": (7, "BlobShape"),
    },
    "BlobShape": {"dim": (1, "int64*")},
    # TensorFlow
    "GraphDef": {"node": (1, "Node*")},
    "Node": {"name": (1, "string"), "op": (2, "string"), "attr": (5, "Attribute*")},
    "Attribute": {"key": (1, "string"), "value": (2, "Value")},
    "Value": {"i": (3, "int64"), "f": (4, "float"), "tensor": (8, "Tensor")},
    "Tensor": {
        "dtype": (1, "int32"),
        "shape": (2, "TensorShape"),
        "content": (4, "bytes"),
        "float_val": (5, "float*"),
    },
    "TensorShape": {"dim": (2, "Dimension*")},
    "Dimension": {"size": (1, "int64")},
}
"""Message -> field -> (number, type); a star means repeated."""


def parse(message: str, data: bytes) -> Any:
    """A message from its bytes; raises DecodeError for what is none."""
    return GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{message}")).FromString(data)


_PACKAGE = "overpaint"
_SCALARS = ("string", "bytes", "float", "int32", "int64")


def _pool() -> DescriptorPool:
    """The messages of FIELDS, as protobuf wants them described."""
    file = FileDescriptorProto(name="weights.proto", package=_PACKAGE, syntax="proto3")
    for message, fields in FIELDS.items():
        described = file.message_type.add(name=message)
        for name, (number, kind) in fields.items():
            plain = kind.removesuffix("*")
            label = "REPEATED" if kind.endswith("*") else "OPTIONAL"
            field = FieldDescriptorProto(
                name=name, number=number, label=FieldDescriptorProto.Label.Value(f"LABEL_{label}")
            )
            type_name = plain if plain in _SCALARS else "message"
            field.type = FieldDescriptorProto.Type.Value(f"TYPE_{type_name.upper()}")
            if type_name == "message":
                field.type_name = f".{_PACKAGE}.{plain}"
            described.field.append(field)
    pool = DescriptorPool()
    pool.Add(file)
    return pool


_POOL = _pool()
