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
    """A message from its bytes; raises DecodeError for what is none, or has far too many parts."""
    _check_parts(message, data)
    return GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{message}")).FromString(data)


MOST_PARTS = 2**21
"""Messages and numbers one by one; a byte or two may stand for each, and take a hundred."""


def _check_parts(message: str, data: bytes) -> None:
    """A DecodeError for too many, before they take memory; what else is wrong, the parser tells."""
    waiting = [(message, 0, len(data))]
    count = 0
    while waiting:
        name, place, end = waiting.pop()
        kinds = {number: kind.removesuffix("*") for number, kind in FIELDS[name].values()}
        while place < end:
            tag, place = _varint(data, place, end)
            kind, wire = kinds.get(tag >> 3, ""), tag & 7
            length = {1: 8, 5: 4}.get(wire, 0)
            if wire in (0, 2):
                length, after = _varint(data, place, end)
                place, length = after, length if wire == 2 else 0
            elif not length:
                raise DecodeError("groups, which none of these files has")
            if length > end - place:
                raise DecodeError("a part is cut short")
            if kind in FIELDS and wire == 2:
                waiting.append((kind, place, place + length))
            # numbers behind each other have a byte each, at worst
            count += 1 + (length if kind.startswith("int") else 0)
            if count > MOST_PARTS:
                raise DecodeError(f"more than {MOST_PARTS} parts")
            place += length


def _varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    """A number of as many bytes as it needs, and the place behind it."""
    value = shift = 0
    while place < end and shift < 70:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    raise DecodeError("a number is cut short")


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
